# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OR-Tools where it is installed, loaded when a search needs it: that takes a second, and most plans need none."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

HAS_ORTOOLS = find_spec("ortools") is not None


def cp_model() -> Any:
    """Return OR-Tools' module of the CP-SAT solver."""
    return import_module("ortools.sat.python.cp_model")


def pywraplp() -> Any:
    """Return OR-Tools' module of linear solvers."""
    return import_module("ortools.linear_solver.pywraplp")
