# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sparse file, piece by piece, from one host to another: only what is not zero travels, compressed where that helps.

Runs on hosts as a program of its own, once for each piece, so it imports nothing of ours and starts in no time:

    stream.py send FILE OFFSET BYTES     one frame to standard output, with at most that many bytes of data
    stream.py receive FILE OFFSET        one frame from standard input into a file that holds all before OFFSET

A frame is ``STWG1``, the length of its head (4 bytes), the head (JSON) and the data. While a file is received its
length says how far it got, so an interrupted copy goes on from there.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import zlib

MAGIC = b"STWG1"
_LENGTH = struct.Struct(">I")
_PAGE = 4096
_ZERO = bytes(_PAGE)
_SAMPLES = 32
_STEP = 1 << 20


class TornFrame(Exception):
    """A frame that is not whole; nothing of it was written."""


def data_ranges(descriptor, position=0):
    """Yield (start, end) of the parts of a sparse file from ``position`` on that hold data."""
    size = os.fstat(descriptor).st_size
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:
            return  # ENXIO: nothing but a hole up to the end
        position = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, position


def _pages(data, at):
    """Yield (offset, bytes) of the runs of pages in ``data`` that are not zero; ``at`` is its place in the file."""
    size, here = len(data), 0
    while here < size:
        if data[here:here + _PAGE] == _ZERO[:size - here]:
            here += _PAGE
            continue
        end = here
        while end < size and data[end:end + _PAGE] != _ZERO[:size - end]:
            end += _PAGE
        yield at + here, data[here:end]
        here = end


def read_frame(path, offset, most):
    """Return one frame (bytes) with what a file holds from ``offset`` on, at most ``most`` bytes of data."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        places, pieces, room, after = [], [], most, size
        for start, end in data_ranges(descriptor, offset):
            while start < end and room > 0:
                data = os.pread(descriptor, min(end - start, room, _STEP), start)
                if not data:
                    raise TornFrame(f"{path} ends early: it is being changed")
                for place, piece in _pages(data, start):
                    places.append([place, len(piece)])
                    pieces.append(piece)
                start += len(data)
                room -= len(data)
            if room <= 0:
                after = start
                break
    finally:
        os.close(descriptor)
    return pack(places, b"".join(pieces), offset, after, size)


def pack(places, data, offset, after, size):
    """Return a frame: ``places`` are [offset, length] of the pieces that ``data`` is made of."""
    packed = zlib.compress(data, 1) if _is_worth_packing(data) else data
    head = json.dumps({"offset": offset, "next": after, "size": size, "places": places, "data": len(data),
                       "packed": len(packed), "crc": zlib.crc32(packed)}).encode()
    return MAGIC + _LENGTH.pack(len(head)) + head + packed


def _is_worth_packing(data):
    """Say whether samples from all over shrink: what is compressed or encrypted already would only cost time."""
    step = max(_PAGE, len(data) // _SAMPLES)
    sample = b"".join(data[at:at + _PAGE] for at in range(0, len(data), step))
    return len(zlib.compress(sample, 1)) < 0.7 * len(sample)


def unpack(frame):
    """Return (head, data) of a frame; TornFrame when it is not whole. What stands before its mark is skipped."""
    begin = frame.find(MAGIC)
    head_at = begin + len(MAGIC) + _LENGTH.size
    if begin < 0 or len(frame) < head_at:
        raise TornFrame("no frame came")
    length = _LENGTH.unpack(frame[begin + len(MAGIC):head_at])[0]
    try:
        head = json.loads(frame[head_at:head_at + length])
    except ValueError:
        raise TornFrame("a frame came whose head is torn") from None
    packed = frame[head_at + length:head_at + length + head["packed"]]
    if len(packed) != head["packed"] or zlib.crc32(packed) != head["crc"]:
        raise TornFrame("a frame came that is not whole")
    return head, packed if head["packed"] == head["data"] else zlib.decompress(packed)


def write_frame(path, frame, offset):
    """Write a frame into a file that exists and holds all before ``offset``; return the head.

    :raises TornFrame: when the frame is not whole, or not the one that comes next.
    """
    head, data = unpack(frame)
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        have = os.fstat(descriptor).st_size
        if head["offset"] != offset or have < offset:
            raise TornFrame(f"{path} holds {have} bytes; a frame for {head['offset']} can't follow")
        done = 0
        for place, length in head["places"]:
            os.pwrite(descriptor, data[done:done + length], place)
            done += length
        if have < head["next"]:
            os.ftruncate(descriptor, head["next"])
    finally:
        os.close(descriptor)
    return head


def main(arguments):
    """Run one command; the answer of ``receive`` is a line of JSON."""
    command, path, offset = arguments[0], arguments[1], int(arguments[2])
    try:
        if command == "send":
            sys.stdout.buffer.write(read_frame(path, offset, int(arguments[3])))
        else:
            head = write_frame(path, sys.stdin.buffer.read(), offset)
            sys.stdout.write(json.dumps({"next": head["next"], "size": head["size"]}) + "\n")
        sys.stdout.flush()
    except (OSError, TornFrame) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
