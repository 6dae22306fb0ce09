# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line at the bottom of a terminal that says what is going on, and is gone before anything else is printed."""

from __future__ import annotations

import functools
import os
import threading
from typing import Any, TextIO

from ansible.utils.display import get_text_width

# Carriage return, and "erase to the end of the line" of ECMA-48.
_ERASE = "\r\x1b[K"


class StatusLine:
    """Draws on events only. Without a thread there is nothing that a fork of a worker could tear."""

    def __init__(self, display: Any, stream: TextIO) -> None:
        """Have the line erased by whatever is printed through Ansible's display, warnings and lines of tasks too."""
        self._stream = stream
        self._columns = display.columns
        self._shown = False
        self._process = os.getpid()
        # Ansible forks its workers under this lock, so that none inherits a stream that somebody writes to.
        self._lock = getattr(display, "_lock", None) or threading.RLock()
        print_line = display.display

        @functools.wraps(print_line)
        def erase_and_print(*arguments: Any, **options: Any) -> Any:
            self.erase()
            return print_line(*arguments, **options)

        display.display = erase_and_print

    def show(self, text: str) -> None:
        """Draw the text in place of the one before. The cursor stays in front of it: a prompt overwrites it."""
        while text and get_text_width(text) >= self._columns:
            text = text[:-1]
        with self._lock:
            self._stream.write(f"{_ERASE}{text}\r")
            self._stream.flush()
            self._shown = True

    def erase(self) -> None:
        """Leave an empty line, if there is something to erase. Workers leave it to the process that has drawn it."""
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._shown:
                self._stream.write(_ERASE)
                self._stream.flush()
                self._shown = False
