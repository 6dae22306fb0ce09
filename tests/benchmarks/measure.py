"""What the benchmarks share: the shape of a measurement, medians, peak memory, tables."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One figure, beside one peer or alone.

    `better` says whether a lower or a higher figure is better. `reach` is a ratio when there is a peer, else it is in
    the unit. `strictly` asks for more than the reach instead of at least it. `judged` overrules the comparison where
    the bare figures don't tell, e.g. a peer that used fewer hosts because it left work undone.
    """

    bench: str
    case: str
    unit: str
    ours: float | None
    peer: str | None = None
    theirs: float | None = None
    reach: float | None = None
    better: str = "lower"
    strictly: bool = False
    judged: bool | None = None

    def ratio(self) -> float | None:
        """How many times better than the peer; None without a peer or where a zero makes it meaningless."""
        if self.ours is None or self.theirs is None:
            return None
        top, bottom = (self.theirs, self.ours) if self.better == "lower" else (self.ours, self.theirs)
        return top / bottom if bottom else None

    def ok(self) -> bool | None:
        """Whether the figure got where it aimed; None if it aimed at nothing, or means nothing as in a smoke run."""
        if self.ours is None:
            return False
        if smoke():
            return None
        if self.judged is not None:
            return self.judged
        if self.reach is None:
            return None
        if self.peer is None:
            distance = self.reach - self.ours if self.better == "lower" else self.ours - self.reach
        else:
            ratio = self.ratio()
            if ratio is None:
                return None
            distance = ratio - self.reach
        return distance > 0 if self.strictly else distance >= 0

    def line(self) -> str:
        """The JSON object that `make bench` prints."""
        return json.dumps(
            {
                "bench": self.bench,
                "case": self.case,
                "unit": self.unit,
                "ours": _short(self.ours),
                "peer": self.peer,
                "theirs": _short(self.theirs),
                "ratio": _short(self.ratio()),
                "reach": self.reach,
                "ok": self.ok(),
            }
        )


def _short(figure: float | None) -> float | int | None:
    """Four significant digits; whole numbers stay whole."""
    if figure is None or isinstance(figure, int):
        return figure
    return float(f"{figure:.4g}")


def smoke() -> bool:
    """Whether this run only shows that the benchmarks work: small sizes, one round, figures that mean nothing."""
    return os.environ.get("SMOKE", "") not in ("", "0")


def turns(count: int) -> range:
    """The numbers of `count` rounds, from 1, after a warm-up of number 0; a smoke run has one round and no warm-up."""
    return range(1, 2) if smoke() else range(count + 1)


def median_seconds(function: Callable[[], Any], rounds: int = 3, warmup: int = 1) -> tuple[float, Any]:
    """The median wall-clock seconds of `rounds` calls after `warmup` unmeasured ones, and the last call's result.

    Garbage of earlier calls is collected before each, so that none pays for another.
    """
    wall, _cpu, result = median_wall_and_cpu(function, rounds, warmup)
    return wall, result


def median_wall_and_cpu(function: Callable[[], Any], rounds: int = 3, warmup: int = 1) -> tuple[float, float, Any]:
    """The median wall-clock and processor seconds, as above.

    Of one thread that waits for nothing, the two are the same, unless others keep the core busy.
    """
    result = None
    if smoke():
        rounds, warmup = 1, 0
    for _turn in range(warmup):
        result = function()
    wall, cpu = [], []
    for _turn in range(rounds):
        result = None
        gc.collect()
        start, worked = time.perf_counter(), time.process_time()
        result = function()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - worked)
    return statistics.median(wall), statistics.median(cpu), result


def peak_memory() -> int:
    """The peak resident memory of this process so far, in bytes (Linux counts it in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under headers; the first column to the left, the others to the right."""
    cells = [[str(h) for h in headers]] + [[_cell(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = [
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) for row in cells
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
