# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of one run hand to each other on the controller: files in Ansible's private temporary folder.

Observations and plans of a large fleet do not belong into variables, which each task would carry and each template look
through. The folder is Ansible's own (mode 0700), is shared by the processes that it forks for tasks, and goes when
Ansible ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import suppress
from typing import Any

from ansible import constants

OBSERVED = "observed"
CLAIMS = "claims"
SETTLED = "settled"


class RunFolder:
    """The folder of one fleet in one run of Ansible."""

    def __init__(self, group: str, root: str | None = None) -> None:
        """``group`` is the inventory group of the fleet; ``root`` is Ansible's own folder when None."""
        self._path = os.path.join(root or str(constants.DEFAULT_LOCAL_TMP), f"stowage-{word(group)}")

    def write(self, kind: str, name: str, value: Any) -> None:
        """Keep a value (plain JSON) in one step: a reader finds the old one or the new one."""
        folder = os.path.join(self._path, kind)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(value, stream)
        os.replace(draft, os.path.join(folder, word(name)))

    def read(self, kind: str, name: str) -> Any:
        """Return what was kept, or None."""
        try:
            with open(os.path.join(self._path, kind, word(name)), encoding="utf-8") as stream:
                return json.load(stream)
        except FileNotFoundError:
            return None

    def read_of(self, kind: str, names: Any) -> dict[str, Any]:
        """Return {name: value} of those names that something was kept for."""
        there = self.words(kind)
        return {name: self.read(kind, name) for name in names if word(name) in there}

    def words(self, kind: str) -> set[str]:
        """Return the words of all names that something was kept for; ``word`` gives that of a name."""
        try:
            return {entry for entry in os.listdir(os.path.join(self._path, kind)) if not entry.startswith(".")}
        except FileNotFoundError:
            return set()

    def forget(self, kind: str, name: str) -> None:
        """Forget one value."""
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self._path, kind, word(name)))

    def clear(self, *kinds: str) -> None:
        """Forget all values of these kinds."""
        for kind in kinds:
            shutil.rmtree(os.path.join(self._path, kind), ignore_errors=True)


def word(name: str) -> str:
    """Return a word for a name: names come from inventories, and may hold anything."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:24]
