# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ext4 superblock: read it, and give a copied file system an identity of its own.

Layout: Linux, Documentation/filesystems/ext4/super.rst. Only fields named there are touched.
"""

from __future__ import annotations

import os
import struct
import uuid as uuid_module

OFFSET = 1024
SIZE = 1024
MAGIC = 0xEF53
_ERRORS_SEEN = 0x0002
_INCOMPAT_CSUM_SEED = 0x2000
_RO_COMPAT_METADATA_CSUM = 0x400
_UUID = slice(0x68, 0x78)
_LABEL = slice(0x78, 0x88)
_HASH_SEED = slice(0xEC, 0xFC)
_CHECKSUM = 0x3FC


def _crc32c_table():
    table = []
    for byte in range(256):
        crc = byte
        for _bit in range(8):
            crc = (crc >> 1) ^ 0x82F63B78 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_TABLE = _crc32c_table()


def crc32c(data, crc=0xFFFFFFFF):
    """Return the CRC-32C (Castagnoli) of ``data`` without the final inversion, as ext4 stores it."""
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


class Superblock:
    """What a superblock says of its file system. ``size`` is in bytes; ``errors`` is the kernel's own mark."""

    __slots__ = ("errors", "label", "raw", "size", "uuid")

    def __init__(self, raw):
        self.raw = raw
        self.uuid = str(uuid_module.UUID(bytes=bytes(raw[_UUID])))
        self.label = bytes(raw[_LABEL]).rstrip(b"\0").decode("utf-8", "replace")
        low, = struct.unpack_from("<I", raw, 0x04)
        high, = struct.unpack_from("<I", raw, 0x150)
        self.size = (low | high << 32) << (10 + struct.unpack_from("<I", raw, 0x18)[0])
        self.errors = bool(struct.unpack_from("<H", raw, 0x3A)[0] & _ERRORS_SEEN)

    @property
    def sound(self):
        """Whether the superblock's own checksum holds (True where it carries none)."""
        ro_compat, = struct.unpack_from("<I", self.raw, 0x64)
        if not ro_compat & _RO_COMPAT_METADATA_CSUM:
            return True
        return struct.unpack_from("<I", self.raw, _CHECKSUM)[0] == crc32c(self.raw[:_CHECKSUM])


def is_superblock(raw):
    """Say whether 1,024 bytes look like an ext4 superblock."""
    return len(raw) >= SIZE and struct.unpack_from("<H", raw, 0x38)[0] == MAGIC


def read(path):
    """Return the Superblock of an image, or None when there is none."""
    with open(path, "rb", buffering=0) as image:
        raw = os.pread(image.fileno(), SIZE, OFFSET)
    return Superblock(raw) if is_superblock(raw) else None


def can_restamp(raw):
    """Say whether a new UUID may be written without touching any other block.

    Every checksum of the file system is seeded with the UUID, unless the seed is stored (metadata_csum_seed).
    """
    incompat, = struct.unpack_from("<I", raw, 0x60)
    return bool(incompat & _INCOMPAT_CSUM_SEED)


class Stamp:
    """A new identity for one copy of a fresh file system.

    The CRC is linear: ``crc(a ^ d) = crc(a) ^ crc0(d)``. All copies of the superblock change in the same bytes, so one
    short calculation serves the primary and all backups, whatever else differs between them.
    """

    def __init__(self, old_raw, uuid, label, hash_seed):
        self.uuid = uuid_module.UUID(uuid).bytes
        self.label = label.encode("utf-8")[:16].ljust(16, b"\0")
        self.hash_seed = hash_seed
        delta = bytearray(_CHECKSUM)
        for place, value in ((_UUID, self.uuid), (_LABEL, self.label), (_HASH_SEED, self.hash_seed)):
            delta[place] = bytes(new ^ old for new, old in zip(value, old_raw[place]))
        self._change = crc32c(delta, 0)

    def apply(self, raw):
        """Return a superblock (bytes) with the new identity."""
        changed = bytearray(raw)
        changed[_UUID], changed[_LABEL], changed[_HASH_SEED] = self.uuid, self.label, self.hash_seed
        checksum, = struct.unpack_from("<I", raw, _CHECKSUM)
        struct.pack_into("<I", changed, _CHECKSUM, checksum ^ self._change)
        return bytes(changed)
