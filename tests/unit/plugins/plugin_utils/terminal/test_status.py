# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line at the bottom of a terminal comes and goes without a trace."""

from __future__ import annotations

import io
import os

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.terminal.status import StatusLine


class Display:
    columns = 20

    def __init__(self, stream):
        self.stream = stream

    def display(self, line, color=None):
        self.stream.write(line + "\n")


@pytest.fixture
def stream():
    return io.StringIO()


def test_whatever_is_printed_erases_the_line_first(stream):
    display = Display(stream)
    status = StatusLine(display, stream)
    status.show("running")
    display.display("wave 2 of 4", color="red")
    display.display("wave 3 of 4")
    assert stream.getvalue() == "\r\x1b[Krunning\r\r\x1b[Kwave 2 of 4\nwave 3 of 4\n"


def test_a_line_is_never_wider_than_the_terminal(stream):
    StatusLine(Display(stream), stream).show("x" * 50)
    assert stream.getvalue() == f"\r\x1b[K{'x' * 19}\r"


def test_workers_leave_the_line_alone(stream, monkeypatch):
    display = Display(stream)
    StatusLine(display, stream).show("running")
    before = stream.getvalue()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    display.display("from a worker")
    assert stream.getvalue() == before + "from a worker\n"
