# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup of a disk to a file, and back.

The file is a tar archive with holes (GNU tar's sparse format), compressed by its name (.zst, .gz or not), holding
``volume.img`` and ``volume.json``; ``FILE.sha256`` beside it is what ``sha256sum -c`` reads. So a disk can be got back
with nothing but tar, on a machine that has never heard of this collection.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess

from ..common.files import write_bytes
from . import copies, filesystems, progress
from .errors import DiskError

_COMPRESSORS = {".zst": "zstd -T0 -3", ".gz": "gzip -1"}


def _compressor(path):
    command = _COMPRESSORS.get(os.path.splitext(path)[1])
    if command and shutil.which(command.split()[0]) is None:
        raise DiskError(f"{path}: this host has no {command.split()[0]}; install it, or choose another ending")
    return [] if command is None else [f"--use-compress-program={command}"]


def back_up(pool, record, path, mounted):
    """Write a volume to the file ``path``; it exists completely, with its checksum beside it, or not at all."""
    name = record["name"]
    compress = _compressor(path)
    image = os.path.join(pool.snapshots, f".new-{name}@backup.img")
    notes = os.path.join(pool.snapshots, f".new-{name}@backup.json")
    copies.require_room(pool, os.stat(pool.image(name)).st_blocks * 512, f"volume {name}: the copy for its backup")
    try:
        size = os.stat(pool.image(name)).st_blocks * 512
        progress.stage("copying", size)
        checksum = copies.consistent_copy(pool, name, image, mounted)
        progress.stage("packing", size)
        with open(notes, "w", encoding="utf-8") as handle:
            json.dump({**record, "sha256": checksum}, handle, sort_keys=True)
        command = ["tar", "--sparse", "-C", pool.snapshots, *compress, "--transform", r"s,.*\.,volume.,", "-cf", "-",
                   os.path.basename(notes), os.path.basename(image)]
        digest = _write_through(command, path, name)
        line = f"{digest}  {os.path.basename(path)}\n"
        write_bytes(f"{path}.sha256", line.encode())
        os.rename(f"{path}.part", path)
    finally:
        for leftover in (image, notes, f"{path}.part"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(leftover)


def _write_through(command, path, name):
    """Run a command, write what it says to ``path``.part durably, and return the SHA-256 of that."""
    digest = hashlib.sha256()
    os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
    with open(f"{path}.part", "wb", buffering=0) as target:
        os.fchmod(target.fileno(), 0o600)
        # The archive is written as a stream, which run_command can not give.
        # pylint: disable-next=ansible-bad-function
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tar:
            for block in iter(lambda: tar.stdout.read(copies.CHUNK), b""):
                target.write(block)
                digest.update(block)
                progress.reach(_bytes_read(tar.pid))
            words = tar.stderr.read().decode("utf-8", "replace")
        os.fsync(target.fileno())
    if tar.returncode:
        raise DiskError(f"volume {name}: its backup to {path} failed: {words.strip()[-300:]}; nothing was kept of it")
    return digest.hexdigest()


def _bytes_read(pid):
    """Return what a process has read by now: how far tar got in the disk, whatever the compressor makes of it."""
    try:
        with open(f"/proc/{pid}/io", encoding="ascii") as handle:
            return int(handle.readline().split()[1])  # rchar
    except (OSError, ValueError, IndexError):
        return 0


def restore(pool, name, path):
    """Put a backup in the place of a volume's unmounted image (or where there is none); return what it says of itself.

    Both checksums are compared first: of the file, and of the disk in it. The volume is as it was when they differ.
    """
    if not os.path.exists(path):
        raise DiskError(f"volume {name}: there is no backup {path}")
    _verify(path, name)
    folder = os.path.join(pool.snapshots, f".new-{name}@restore")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder, 0o700)
    try:
        done = _unpack(["tar", "--sparse", "-C", folder, *_compressor(path), "-xf", path, "volume.json", "volume.img"],
                       os.path.join(folder, "volume.img"))
        if done.returncode:
            raise DiskError(f"volume {name}: its backup {path} can't be read: {done.stderr.strip()[-300:]}; "
                            "the volume is as it was")
        with open(os.path.join(folder, "volume.json"), encoding="utf-8") as handle:
            kept = json.load(handle)
        progress.stage("copying", os.stat(os.path.join(folder, "volume.img")).st_blocks * 512)
        copies.replace_image(pool, name, os.path.join(folder, "volume.img"), kept["sha256"], f"backup {path}")
        return kept
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(command, image):
    """Run tar and count what it has unpacked; return its CompletedProcess."""
    progress.stage("unpacking")
    # At boot this runs without Ansible.
    # pylint: disable-next=ansible-bad-function
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, errors="replace") as tar:
        while True:
            try:
                _nothing, words = tar.communicate(timeout=0.5)
                return subprocess.CompletedProcess(command, tar.returncode, "", words)
            except subprocess.TimeoutExpired:
                progress.reach(filesystems.data_size(image))


def _verify(path, name):
    """Compare a backup with the checksum beside it."""
    try:
        with open(f"{path}.sha256", encoding="utf-8") as handle:
            expected = handle.read().split()[0]
    except (FileNotFoundError, IndexError):
        raise DiskError(f"volume {name}: {path}.sha256 is missing, so its backup can't be checked; nothing was changed"
                        ) from None
    digest = hashlib.sha256()
    progress.stage("checking", os.stat(path).st_size)
    with open(path, "rb", buffering=0) as handle:
        for block in iter(lambda: handle.read(copies.CHUNK), b""):
            digest.update(block)
            progress.count(len(block))
    if digest.hexdigest() != expected:
        raise DiskError(f"volume {name}: its backup {path} is damaged (SHA-256 {digest.hexdigest()[:16]}, expected "
                        f"{expected[:16]}); nothing was changed")
