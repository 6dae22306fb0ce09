# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One at a time: the locks that are held while a host or its pool of disks converges."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from datetime import datetime, timezone

from ..common.errors import HostError, LockHeld

LOCK_DIR = "/run/lock"
_PAUSE = 0.05


def host_lock(fleet, holder, timeout, directory=LOCK_DIR):
    """Hold the host's lock for ``fleet``: see ``hold``."""
    return hold(os.path.join(directory, f"stowage-{fleet}.lock"), "This host", holder, timeout)


@contextlib.contextmanager
def hold(path, what, holder, timeout):
    """Hold the lock file ``path``. The kernel gives it back when the holder dies, however it dies.

    :param what: what it guards, as a sentence begins: ``This host``.
    :param holder: who holds it, shown to others who wait in vain.
    :param timeout: seconds to wait for it.
    :raises LockHeld: naming the holder; HostError when it can't be had at all.
    """
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # Anyone may make files in /run/lock, so a link in place of the file is not followed.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise HostError(f"The lock {path} can't be opened: {error.strerror}") from error
    try:
        _acquire(handle, path, what, timeout)
        since = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{holder} (process {os.getpid()}, since {since})".encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _acquire(handle, path, what, timeout):
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise HostError(f"The lock {path} can't be taken: {error.strerror}") from error
        if time.monotonic() >= deadline:
            holder = os.pread(handle, 500, 0).decode("utf-8", "replace").strip() or "somebody who left no name"
            raise LockHeld(
                f"{what} is being worked on by {holder}. Waited {timeout:g} seconds for {path}; nothing was changed"
            )
        # flock(2) has no time limit of its own; a blocked call could not be given up without signals.
        time.sleep(_PAUSE)
