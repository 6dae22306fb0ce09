# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the disk room asks of the kernel: loop devices, mounts, freezing.

Everything here is a thin, typed door to one system call. Starting ``losetup`` and ``mount`` for each volume costs
several times what the calls themselves do, and their output has to be parsed; the calls answer with an errno.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct
import threading

from .errors import DiskError, VolumeBusy

# include/uapi/linux/loop.h
LOOP_SET_FD = 0x4C00
LOOP_CLR_FD = 0x4C01
LOOP_SET_STATUS64 = 0x4C04
LOOP_GET_STATUS64 = 0x4C05
LOOP_SET_CAPACITY = 0x4C07
LOOP_SET_DIRECT_IO = 0x4C08
LOOP_CONFIGURE = 0x4C0A
LOOP_CTL_ADD = 0x4C80
LOOP_CTL_GET_FREE = 0x4C82
LO_FLAGS_AUTOCLEAR = 4
LO_FLAGS_DIRECT_IO = 16
LOOP_MAJOR = 7
_LOOP_INFO = struct.Struct("=QQQQQIIII64s64s32s2Q")

# include/uapi/linux/fs.h
FICLONE = 0x40049409
FIFREEZE = 0xC0045877
FITHAW = 0xC0045878

# include/uapi/linux/mount.h
MOUNT_FLAGS = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "sync": 16, "dirsync": 128, "noatime": 1024,
               "nodiratime": 2048, "relatime": 1 << 21, "strictatime": 1 << 24, "lazytime": 1 << 25}
_NO_FLAG = {"rw", "defaults", "loop"}

_libc = ctypes.CDLL(None, use_errno=True)
# Between "which device is free" and "take it" another thread could take it; other processes are met by retrying.
_loop_lock = threading.Lock()
_LOOP_TRIES = 64


class LoopStatus:
    """One bound loop device: its number, and the (major, minor, inode) of the file behind it."""

    __slots__ = ("backing", "flags", "number")

    def __init__(self, number, backing, flags):
        self.number = number
        self.backing = backing
        self.flags = flags

    @property
    def path(self):
        """The device node."""
        return f"/dev/loop{self.number}"

    @property
    def direct_io(self):
        """Whether it bypasses the page cache of the pool."""
        return bool(self.flags & LO_FLAGS_DIRECT_IO)


def file_identity(path_or_fd):
    """Return (major, minor, inode) of a file: what a loop device says of the file behind it.

    Names won't do: hosts that share a kernel show each other's loop devices, with the same path in every one.
    """
    status = os.stat(path_or_fd)
    return os.major(status.st_dev), os.minor(status.st_dev), status.st_ino


def _kernel_device(number):
    """Decode the kernel's ``new_encode_dev`` numbering (include/linux/kdev_t.h)."""
    return (number & 0xFFF00) >> 8, (number & 0xFF) | ((number >> 12) & 0xFFF00)


def loop_node(number):
    """Return the path of a loop device's node, made where no udev or devtmpfs makes it."""
    path = f"/dev/loop{number}"
    try:
        if stat.S_ISBLK(os.stat(path).st_mode):
            return path
        raise DiskError(f"{path} is not a block device; remove it so that the loop device can be used")
    except FileNotFoundError:
        try:
            os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(LOOP_MAJOR, number))
        except FileExistsError:
            pass
    return path


def _loop_info(flags, name=b""):
    return _LOOP_INFO.pack(0, 0, 0, 0, 0, 0, 0, 0, flags, name[:63], b"", b"", 0, 0)


def attach_loop(image_fd, name=""):
    """Bind a free loop device to an open image and return (device fd, number).

    Direct I/O is asked for and dropped silently by the kernel where the pool's file system can't. The device frees
    itself when its last user is gone (autoclear), so neither a crash nor a power cut can leak one; the caller must
    keep the returned descriptor open until the device is mounted.

    :raises DiskError: when the kernel has no loop driver or no free device left.
    """
    try:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    except OSError as exc:
        raise DiskError(f"this host has no usable loop driver (/dev/loop-control: {exc.strerror})") from exc
    try:
        for _attempt in range(_LOOP_TRIES):
            with _loop_lock:
                device, number = _take_loop(control, image_fd, os.fsencode(name))
            if device is not None:
                return device, number
    finally:
        os.close(control)
    raise DiskError(f"no loop device could be had in {_LOOP_TRIES} attempts: others take each free one first")


def _take_loop(control, image_fd, name):
    """Try to bind the next free device; (None, number) when somebody else was faster."""
    try:
        number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
    except OSError as exc:
        raise DiskError(f"the kernel gives no further loop device ({exc.strerror}); release volumes that nobody "
                        "uses") from exc
    device, number = _open_free(number)
    try:
        if _configure(device, image_fd, name):
            return device, number
    except BaseException:
        os.close(device)
        raise
    os.close(device)
    return None, number


def _open_free(number):
    """Open the device that the kernel offers, or another free one where this host has no node for that."""
    try:
        return os.open(loop_node(number), os.O_RDWR | os.O_CLOEXEC), number
    except OSError as exc:
        for other in free_loops():
            try:
                return os.open(f"/dev/loop{other}", os.O_RDWR | os.O_CLOEXEC), other
            except OSError:
                continue
        raise DiskError(f"the kernel offers /dev/loop{number}, which this host can't use ({exc.strerror}), and no "
                        "other is free; release volumes that nobody uses, or make more device nodes") from exc


def free_loops():
    """Return the numbers of the loop devices that the kernel has and that nothing is bound to, in order."""
    return sorted(int(entry.name[4:]) for entry in os.scandir("/sys/block") if entry.name[:4] == "loop"
                  and not os.path.exists(f"/sys/block/{entry.name}/loop/backing_file"))


def _configure(device, image_fd, name):
    """Bind atomically, or step by step on kernels before 5.8. False when the device was taken meanwhile."""
    flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO
    config = struct.pack("=II", image_fd, 0) + _loop_info(flags, name) + b"\0" * 64
    try:
        fcntl.ioctl(device, LOOP_CONFIGURE, config)
        return True
    except OSError as exc:
        if exc.errno == errno.EBUSY:
            return False
        if exc.errno not in (errno.EINVAL, errno.ENOTTY):
            raise DiskError(f"the loop device refused its image: {exc.strerror}") from exc
    return _configure_stepwise(device, image_fd, name)


def _configure_stepwise(device, image_fd, name):
    try:
        fcntl.ioctl(device, LOOP_SET_FD, image_fd)
    except OSError as exc:
        if exc.errno == errno.EBUSY:
            return False
        raise DiskError(f"the loop device refused its image: {exc.strerror}") from exc
    try:
        fcntl.ioctl(device, LOOP_SET_STATUS64, _loop_info(LO_FLAGS_AUTOCLEAR, name))
    except OSError as exc:
        fcntl.ioctl(device, LOOP_CLR_FD)
        raise DiskError(f"the loop device refused its settings: {exc.strerror}") from exc
    try:
        fcntl.ioctl(device, LOOP_SET_DIRECT_IO, 1)
    except OSError:
        pass  # the pool's file system can't; buffered I/O is slower, not wrong
    return True


def loop_status(number):
    """Return the LoopStatus of a bound loop device, or None when it is free."""
    try:
        device = os.open(loop_node(number), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        answer = fcntl.ioctl(device, LOOP_GET_STATUS64, b"\0" * _LOOP_INFO.size)
    except OSError:
        return None
    finally:
        os.close(device)
    fields = _LOOP_INFO.unpack(answer)
    return LoopStatus(number, (*_kernel_device(fields[0]), fields[1]), fields[8])


def bound_loops():
    """Return the LoopStatus of every bound loop device of this kernel, also those of other hosts that share it."""
    found = []
    for entry in os.scandir("/sys/block"):
        # Only a bound device has a "loop" folder there, so free ones need no opening.
        if entry.name.startswith("loop") and os.path.exists(f"/sys/block/{entry.name}/loop/backing_file"):
            status = loop_status(int(entry.name[4:]))
            if status is not None:
                found.append(status)
    return found


def backing_path(number):
    """Return the path that the kernel shows for the file behind a loop device ('' when it is free)."""
    try:
        with open(f"/sys/block/loop{number}/loop/backing_file", encoding="utf-8", errors="surrogateescape") as handle:
            return handle.read().rstrip("\n")
    except OSError:
        return ""


def refresh_capacity(number):
    """Make a loop device notice that its image has grown."""
    device = os.open(loop_node(number), os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, LOOP_SET_CAPACITY, 0)
    finally:
        os.close(device)


def loop_size(number):
    """Return the size in bytes that a loop device offers at this moment."""
    with open(f"/sys/block/loop{number}/size", encoding="ascii") as handle:
        return int(handle.read()) * 512


def is_claimed(number):
    """Say whether a file system on a loop device is mounted anywhere, also where this process can't see it.

    A mount claims its device, and an exclusive opening is refused then. Unmounting succeeds on the host while a
    container still has its own mount of the same file system; only this tells.
    """
    try:
        os.close(os.open(loop_node(number), os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as exc:
        return exc.errno == errno.EBUSY
    return False


def detach_loop(number):
    """Free a loop device, now or, while somebody still uses it, as soon as that ends."""
    try:
        device = os.open(loop_node(number), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.ioctl(device, LOOP_CLR_FD)
    except OSError as exc:
        if exc.errno not in (errno.ENXIO, errno.EBUSY):
            raise DiskError(f"/dev/loop{number} can't be freed: {exc.strerror}") from exc
    finally:
        os.close(device)


def split_mount_options(options):
    """Split mount options into (flags, data) as mount(2) takes them."""
    flags, data = 0, []
    for option in options:
        if option in MOUNT_FLAGS:
            flags |= MOUNT_FLAGS[option]
        elif option not in _NO_FLAG:
            data.append(option)
    return flags, ",".join(data)


def mount(source, target, fstype, options=()):
    """Mount ``source`` on ``target``; OSError carries the kernel's errno."""
    flags, data = split_mount_options(options)
    if _libc.mount(os.fsencode(source), os.fsencode(target), fstype.encode(), ctypes.c_ulong(flags), data.encode()):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def unmount(target):
    """Unmount ``target``.

    :raises VolumeBusy: when it is in use; nothing is ever detached lazily, for a lazy unmount hides who still writes.
    """
    if _libc.umount2(os.fsencode(target), 8):  # UMOUNT_NOFOLLOW
        code = ctypes.get_errno()
        if code == errno.EBUSY:
            raise VolumeBusy(f"{target} is in use and stays mounted; stop what uses it first")
        raise DiskError(f"{target} can't be unmounted: {os.strerror(code)}")


def clone_range(source_fd, target_fd):
    """Make ``target_fd`` share all blocks of ``source_fd`` (reflink); False where the file system can't."""
    try:
        fcntl.ioctl(target_fd, FICLONE, source_fd)
        return True
    except OSError as exc:
        if exc.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS):
            return False
        raise
