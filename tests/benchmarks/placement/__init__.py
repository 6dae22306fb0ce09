"""How well and how fast the planner packs, beside the rules other schedulers use.

data.py reads and makes the problems, peers.py re-implements the peers, bound.py computes what no planner can beat,
measured.py measures. Every plan is judged by the unit tests' oracle before its figures count.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measure import Measurement, smoke

# Peak memory is a figure here, and so is "on one core".
ISOLATED = True
CASES = [
    "scale-100k",
    "add-20",
    "no-change-100k",
    "huawei-C1",
    "huawei-C1-1s",
    "huawei-C2",
    "huawei-C2-1s",
    "huawei-C3",
    "huawei-C3-1s",
    "openb",
]
# With small fleets, and traces that are made for the purpose.
SMOKE_CASES = ["scale-1k", "add-20", "no-change-1k", "huawei-C1-1s", "openb"]


def cases() -> list[str]:
    """The names `--case` takes, in the order they run."""
    return SMOKE_CASES if smoke() else CASES


def run(case: str) -> Iterator[Measurement]:
    """Measure one case. Imports late, so that `--list` needs no planner."""
    from benchmarks.placement import measured

    yield from measured.CASES[case]()
