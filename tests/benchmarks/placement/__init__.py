"""How well and how fast the planner packs, beside the rules other schedulers use. See data.py, peers.py, bound.py."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measure import Measurement

# Peak memory is a figure here, and so is "on one core".
ISOLATED = True


def cases() -> list[str]:
    """The names `--case` takes, in the order they run."""
    return []


def run(case: str) -> Iterator[Measurement]:
    """Measure one case."""
    raise NotImplementedError(case)
