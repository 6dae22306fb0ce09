# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner: a pure function from a problem (what shall run, what there is) to a plan (what runs where).

``Problem.from_dict(data)`` checks and prepares, ``solve(problem)`` decides, ``Plan.to_dict()`` tells.
The dicts are plain JSON; docs/problem.schema.json and docs/plan.schema.json describe them.
"""

from __future__ import annotations

from .planner import solve
from .read.parse import Problem
from .result.plan import Plan

__all__ = ["Plan", "Problem", "solve"]
