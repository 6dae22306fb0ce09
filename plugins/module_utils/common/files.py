# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small text files of a host, read whole and replaced whole, and its commands."""

from __future__ import annotations

import os
import tempfile


def read_text(path):
    """Return the text of the file at ``path``, or ``None`` where there is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def write_text(path, text, mode=0o644, folder_mode=0o777):
    """Replace the file at ``path`` by ``text``; see ``write_bytes``."""
    write_bytes(path, text.encode("utf-8"), mode, folder_mode)


def write_bytes(path, data, mode=0o600, folder_mode=0o777):
    """Replace the file at ``path`` in one step: a reader, or a power cut, finds all of the old or the new.

    Directories on the way are made, the last one with ``folder_mode`` (less the umask); ``mode`` is taken as it is.
    Raises ``OSError``.
    """
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=folder_mode, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", suffix=".new", dir=directory)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
    sync_folder(directory)


def sync_folder(path):
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path):
    """Remove the file at ``path`` if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def runner(module):
    """Return a function that runs an argument list and returns ``(rc, out, err)``.

    A command that is not installed is one that failed (127), so that a bare host can be looked at in check mode.
    """
    def run(args):
        if module.get_bin_path(args[0]) is None:
            return 127, "", f"{args[0]} is not installed"
        return module.run_command(args)
    return run
