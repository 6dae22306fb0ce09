# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of one engine, each looked at once and fetched once, however many containers want it."""

from __future__ import annotations

import threading

from ..common.errors import EngineError
from .client import NotFound


class Images:
    """Finds images, and fetches them as ``policy`` says (``missing``, ``never`` or ``always``). For several threads."""

    def __init__(self, engine, policy, host, check):
        self._engine = engine
        self._policy = policy
        self._host = host
        self._check = check
        self._guard = threading.Lock()
        self._locks = {}
        self._found = {}

    def find(self, name):
        """Return the inspection of an image, fetched if need be; None in check mode when it would have to be fetched.

        :raises EngineError: naming the image and the host.
        """
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._found:
                try:
                    self._found[name] = self._look(name)
                except EngineError as error:
                    self._found[name] = EngineError(str(error))
        found = self._found[name]
        if isinstance(found, EngineError):
            raise found
        return found

    def _look(self, name):
        if self._policy == "always" and not self._check:
            self._fetch(name, "can't be fetched anew")
        try:
            return self._engine.inspect_image(name)
        except NotFound:
            if self._policy == "never":
                raise EngineError(f"image {name} is not on host {self._host}, and pull is never") from None
        if self._check:
            return None
        self._fetch(name, "is not there and can't be fetched")
        return self._engine.inspect_image(name)

    def _fetch(self, name, what):
        try:
            self._engine.pull(name)
        except EngineError as error:
            raise EngineError(f"image {name} on host {self._host} {what}: {error}") from error
