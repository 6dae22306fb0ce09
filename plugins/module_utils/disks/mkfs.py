# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making file systems: mkfs once per size, and its result copied for every further volume of that size.

A fresh file system of 10 GiB holds about 240 KiB that are not zero. mkfs finds out which, once; a template keeps them
(compressed, with a checksum), and a new image is those few blocks with a UUID of its own, written into a sparse file.
Where that isn't possible (xfs, an old mke2fs), mkfs runs for every volume: slower, otherwise the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import uuid as uuid_module
import zlib

from . import ext4
from .errors import DiskError
from .stream import data_ranges

BLOCK = 4096
FILESYSTEMS = ("ext4", "xfs")
# mkfs.xfs refuses less than 300 MiB; an ext4 below 4 MiB has no room for its journal.
MINIMUM_SIZE = {"ext4": 4 << 20, "xfs": 300 << 20}
# Spelled out, for a distribution's mke2fs.conf may add features that the kernel of another one can't mount.
EXT4_FEATURES = ("none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,metadata_csum,"
                 "metadata_csum_seed,sparse_super,large_file,huge_file,dir_nlink,extra_isize")
# Room for group descriptors up to this many times the size; beyond it the kernel grows in another way (meta_bg).
_GROWTH = 16
_TOOLS = {"ext4": ("mke2fs", "e2fsprogs"), "xfs": ("mkfs.xfs", "xfsprogs")}
_SEARCH = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"


def run_tool(arguments, package):
    """Run a file system tool and return its CompletedProcess; DiskError names the package when it is missing."""
    try:
        # At boot this runs without Ansible.
        # pylint: disable-next=ansible-bad-function
        return subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", check=False,
                              env={"PATH": _SEARCH, "LC_ALL": "C", "E2FSPROGS_UNDO_DIR": "none"})
    except FileNotFoundError as exc:
        raise DiskError(f"{arguments[0]} is missing on this host; install the package {package}") from exc


def label_of(name):
    """Return the file system label of a volume: at most 12 characters (xfs), the same for the same name."""
    return "stw-" + hashlib.sha256(name.encode()).hexdigest()[:8]


def rounded_size(size):
    """Return ``size`` (bytes) rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


class Maker:
    """Makes images for one pool and keeps its templates in ``folder``. Safe to use from several threads."""

    def __init__(self, folder):
        self.folder = folder
        self._lock = threading.Lock()
        self._templates = {}

    def make(self, descriptor, path, name, size, filesystem):
        """Fill the empty file ``descriptor`` (at ``path``) with a file system of ``size`` bytes; return its UUID."""
        uuid = str(uuid_module.uuid4())
        template = self._template(size) if filesystem == "ext4" else None
        if template is None:
            os.ftruncate(descriptor, size)
            _mkfs(path, filesystem, size, uuid, label_of(name))
        else:
            _write_copy(descriptor, template, size, uuid, label_of(name))
        return uuid

    def _template(self, size):
        """Return the template of a size: a list of (offset, bytes), or None when copies aren't possible."""
        with self._lock:
            if size not in self._templates:
                self._templates[size] = self._load(size) or self._build(size)
            return self._templates[size]

    def _path(self, size):
        return os.path.join(self.folder, f"ext4-{size}-{_tool_stamp()}.tpl")

    def _load(self, size):
        try:
            with open(self._path(size), "rb") as handle:
                return decode_template(handle.read())
        except (OSError, ValueError):
            return None

    def _build(self, size):
        """Run mkfs on a scratch file and keep what it wrote. None when its result can't be copied."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        scratch = os.path.join(self.folder, f".scratch-{size}-{os.getpid()}")
        try:
            with open(scratch, "wb") as handle:
                os.ftruncate(handle.fileno(), size)
            _mkfs(scratch, "ext4", size, str(uuid_module.uuid4()), "")
            pieces = list(data_pieces(scratch))
        finally:
            if os.path.exists(scratch):
                os.unlink(scratch)
        if not ext4.can_restamp(_primary(pieces)):
            return None
        self._store(size, pieces)
        return pieces

    def _store(self, size, pieces):
        """Write a template; whoever reads a torn one notices by its checksum and makes it anew."""
        for entry in os.scandir(self.folder):
            if entry.name.startswith(f"ext4-{size}-"):
                os.unlink(entry.path)
        temporary = self._path(size) + ".new"
        with open(temporary, "wb") as handle:
            handle.write(encode_template(pieces))
        os.replace(temporary, self._path(size))


def _tool_stamp():
    """Return a short mark of the mke2fs on this host: an upgrade of it makes new templates."""
    for folder in _SEARCH.split(":"):
        try:
            status = os.stat(os.path.join(folder, "mke2fs"))
        except OSError:
            continue
        text = f"{status.st_size}-{status.st_mtime_ns}-{EXT4_FEATURES}-{_GROWTH}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]
    return "none"


def _mkfs(path, filesystem, size, uuid, label):
    """Run the mkfs of ``filesystem`` on an image; DiskError with its words when it fails."""
    tool, package = _TOOLS[filesystem]
    for command in _mkfs_commands(tool, path, filesystem, size, uuid, label):
        done = run_tool(command, package)
        if done.returncode == 0:
            return
    raise DiskError(f"{tool} could not make a file system of {size} bytes: {done.stdout.strip()}")


def _mkfs_commands(tool, path, filesystem, size, uuid, label):
    """Return the commands to try, best first."""
    if filesystem == "xfs":
        return [[tool, "-q", "-f", "-K", "-m", f"uuid={uuid}", "-L", label, path]]
    start = [tool, "-q", "-F", "-t", "ext4", "-b", str(BLOCK), "-I", "256", "-i", "16384", "-m", "0",
             "-e", "remount-ro", "-O", EXT4_FEATURES, "-U", uuid, "-L", label]
    extended = f"nodiscard,lazy_itable_init=1,lazy_journal_init=1,resize={size // BLOCK * _GROWTH}"
    # A sparse file reads as zeros, so nothing is left for the kernel to initialise (e2fsprogs 1.47 and newer).
    best = [*start, "-E", extended + ",assume_storage_prezeroed=1", path]
    return [best, [*start, "-E", extended, path]]


def data_pieces(path, zero=bytes(BLOCK)):
    """Yield (offset, bytes) for every run of blocks of a file that are not all zero."""
    with open(path, "rb", buffering=0) as handle:
        for start, end in data_ranges(handle.fileno()):
            data = os.pread(handle.fileno(), end - start, start)
            at = 0
            while at < len(data):
                run = at
                while run < len(data) and data[run:run + BLOCK] != zero[:len(data) - run]:
                    run += BLOCK
                if run > at:
                    yield start + at, data[at:run]
                at = run + BLOCK


def _primary(pieces):
    """Return the primary superblock out of a template."""
    offset, data = pieces[0]
    return data[ext4.OFFSET - offset:ext4.OFFSET - offset + ext4.SIZE]


def _write_copy(descriptor, pieces, size, uuid, label):
    """Write a template into an empty file under a new identity."""
    primary = _primary(pieces)
    stamp = ext4.Stamp(primary, uuid, label, uuid_module.uuid4().bytes)
    os.ftruncate(descriptor, size)
    for offset, data in pieces:
        for at in range(0, len(data), BLOCK):
            # The primary superblock sits 1 KiB into the first block, each backup at the start of its block.
            start = at + (ext4.OFFSET if offset + at == 0 else 0)
            raw = data[start:start + ext4.SIZE]
            if ext4.is_superblock(raw) and raw[0x68:0x78] == primary[0x68:0x78]:
                data = data[:start] + stamp.apply(raw) + data[start + ext4.SIZE:]
        os.pwrite(descriptor, data, offset)


def encode_template(pieces):
    """Return a template as bytes: a JSON line with lengths and checksum, then the compressed data."""
    data = zlib.compress(b"".join(piece for _offset, piece in pieces), 1)
    head = {"version": 1, "sha256": hashlib.sha256(data).hexdigest(),
            "pieces": [[offset, len(piece)] for offset, piece in pieces]}
    return json.dumps(head).encode() + b"\n" + data


def decode_template(raw):
    """Return the pieces of a template; ValueError when it is torn or of another version."""
    head, _newline, data = raw.partition(b"\n")
    described = json.loads(head)
    if described.get("version") != 1 or described.get("sha256") != hashlib.sha256(data).hexdigest():
        raise ValueError("not a whole template")
    content, pieces, position = zlib.decompress(data), [], 0
    for offset, length in described["pieces"]:
        pieces.append((offset, content[position:position + length]))
        position += length
    return pieces
