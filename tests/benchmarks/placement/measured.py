"""The cases: what is measured, how often, and what it aims at."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_plan import complaints
from benchmarks.measure import Measurement, median_wall_and_cpu, peak_memory, smoke, table
from benchmarks.placement import data
from benchmarks.placement.bound import lower_bound
from benchmarks.placement.peers import PEERS, Outcome

BENCH = "placement"
MIB = 2**20
# Servers used, as a multiple of the linear-programming bound, and the seconds it may take.
HUAWEI_REACH, HUAWEI_SECONDS = 1.08, 60


def judged(problem: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """The plan, if the oracle has nothing against it; a figure for a wrong plan would be no figure."""
    wrong = complaints({"running": [], **problem}, plan)
    if wrong:
        raise AssertionError(f"the plan is wrong in {len(wrong)} places: " + "; ".join(wrong[:5]))
    return plan


# --- the fleet at scale ---------------------------------------------------------------------------------------------


def fleet() -> tuple[str, dict[str, Any]]:
    """The size of the fleet in the names of cases, and its problem."""
    return ("1k", data.fleet(1000, 20, 100)) if smoke() else ("100k", data.fleet())


def scale() -> Iterator[Measurement]:
    """100,000 instances in 2,000 groups on 10,000 hosts, from empty. Three rounds after one to warm up."""
    size, raw = fleet()
    problem, parsing = parsed(raw)
    seconds, cpu, plan = median_wall_and_cpu(lambda: solve(problem))
    result = told(plan)
    # Taken before the plan is judged: the judge's memory is not the planner's.
    peak = peak_memory()
    say(f"scale-{size}", seconds, cpu, parsing, judged(raw, result))
    yield Measurement(BENCH, f"scale-{size}", "s", seconds, reach=2)
    yield Measurement(BENCH, f"scale-{size}", "unplaced instances", len(result["unplaced"]), reach=0)
    yield Measurement(BENCH, f"scale-{size}", "MiB peak memory", peak / MIB, reach=1024)


def add_20() -> Iterator[Measurement]:
    """One group of 20 more, kept apart on hosts, on the fleet with its 100,000 running. Five rounds after one."""
    _size, raw = full_fleet()
    raw["clusters"]["newcomer"] = {
        "state": "started",
        "groups": {
            "app": {
                "count": 20,
                "type": "app",
                "grade": "medium",
                "placement": {"anti_affinity": [{"group": "app", "topology": "host"}]},
            }
        },
    }
    problem, parsing = parsed(raw)
    seconds, cpu, plan = median_wall_and_cpu(lambda: solve(problem), rounds=5)
    result = judged(raw, told(plan))
    say("add-20", seconds, cpu, parsing, result)
    done = result["summary"]["create"] == 20 and result["summary"]["keep"] == len(raw["running"])
    yield Measurement(BENCH, "add-20", "s", seconds, reach=0.1, judged=None if done else False)


def no_change() -> Iterator[Measurement]:
    """The same fleet, with nothing to change. Five rounds after one."""
    size, raw = full_fleet()
    problem, parsing = parsed(raw)
    seconds, cpu, plan = median_wall_and_cpu(lambda: solve(problem), rounds=5)
    result = judged(raw, told(plan))
    say(f"no-change-{size}", seconds, cpu, parsing, result)
    judgement = False if result["changed"] else None
    yield Measurement(BENCH, f"no-change-{size}", "s", seconds, reach=0.5, judged=judgement)


def full_fleet() -> tuple[str, dict[str, Any]]:
    """The fleet with all its instances running as planned."""
    size, raw = fleet()
    raw["running"] = data.running_of(raw, told(solve(Problem.from_dict(raw))))
    return size, raw


def parsed(raw: dict[str, Any]) -> tuple[Problem, float]:
    """The problem behind the door, and the seconds that took."""
    start = time.perf_counter()
    problem = Problem.from_dict(raw)
    return problem, time.perf_counter() - start


def told(plan: Any) -> dict[str, Any]:
    """The plan as a dict."""
    result: dict[str, Any] = plan.to_dict()
    return result


def say(case: str, seconds: float, cpu: float, parsing: float, plan: dict[str, Any]) -> None:
    """One line about a case at scale."""
    sys.stdout.write(
        f"{case}: solve {seconds:.3f} s (median; {cpu:.3f} s of processor time), Problem.from_dict {parsing:.2f} s, "
        f"hosts used {plan['summary']['hosts_used']}, unplaced {len(plan['unplaced'])}, "
        f"peak so far {peak_memory() / MIB:.0f} MiB\n"
    )
    sys.stdout.flush()


# --- traces ---------------------------------------------------------------------------------------------------------


def huawei(sequence: str, quick: bool) -> Iterator[Measurement]:
    """A sequence of VM requests, all to be placed, on as few servers as possible, in a minute or in a second."""
    case = f"huawei-{sequence}" + ("-1s" if quick else "")
    workload = data.huawei(sequence)
    limit = 1.0 if quick else float(HUAWEI_SECONDS)
    # Counted work, not time: what is left of the limit is for the rest of planning and for a slower core.
    workload.problem["options"] = {"mode": "binpack", "improve_seconds": limit * (0.4 if quick else 0.45)}
    yield from trace(case, workload, limit, HUAWEI_REACH)


def openb() -> Iterator[Measurement]:
    """A production trace, binpacked: fewer hosts than every peer."""
    workload = data.openb()
    workload.problem["options"] = {"mode": "binpack"}
    yield from trace("openb", workload, None, None)


def trace(case: str, workload: data.Workload, limit: float | None, reach: float | None) -> Iterator[Measurement]:
    """Ours and all peers on one trace; one round each, as all of them always answer the same."""
    bound = lower_bound(workload)
    problem, _seconds = parsed(workload.problem)
    seconds, cpu, plan = median_wall_and_cpu(lambda: solve(problem), rounds=1, warmup=0)
    result = judged(workload.problem, told(plan))
    hosts, unplaced = result["summary"]["hosts_used"], len(result["unplaced"])
    outcomes = {name: peer(workload) for name, peer in PEERS.items()}
    rows = [["stowage", hosts, unplaced, seconds, hosts / bound]]
    rows += [[name, o.hosts, o.unplaced, o.seconds, o.hosts / bound] for name, o in outcomes.items()]
    rows.append(["lower bound (linear programming)", bound, 0, None, 1.0])
    note = "; racks are row number modulo 100" if case.startswith("huawei") else ""
    sys.stdout.write(f"\n{case}: {len(workload.items)} instances on {len(workload.cores)} hosts{note}; ")
    sys.stdout.write(f"ours took {cpu:.3f} s of processor time\n")
    sys.stdout.write(table(["rule", "hosts used", "unplaced", "s", "x bound"], rows) + "\n")
    sys.stdout.flush()
    if limit is not None:
        yield Measurement(BENCH, case, "s", seconds, reach=limit)
    yield Measurement(BENCH, case, "unplaced instances", unplaced, reach=0)
    failed = False if unplaced else None
    yield Measurement(BENCH, case, "hosts used / LP bound", hosts / bound, reach=reach, judged=failed)
    for name, outcome in outcomes.items():
        yield against(case, hosts, unplaced, name, outcome)


def against(case: str, hosts: int, unplaced: int, name: str, outcome: Outcome) -> Measurement:
    """Fewer hosts than a peer. One that left instances out had less to house, so placing more is judged first."""
    better = (unplaced, hosts) < (outcome.unplaced, outcome.hosts)
    peer = name if not outcome.unplaced else f"{name} ({outcome.unplaced} unplaced)"
    return Measurement(BENCH, case, "hosts", hosts, peer, outcome.hosts, reach=1, judged=better)


CASES: dict[str, Callable[[], Iterator[Measurement]]] = {
    "scale-100k": scale,
    "scale-1k": scale,
    "add-20": add_20,
    "no-change-100k": no_change,
    "no-change-1k": no_change,
    **{
        f"huawei-{sequence}{suffix}": lambda sequence=sequence, suffix=suffix: huawei(sequence, bool(suffix))
        for sequence in ("C1", "C2", "C3")
        for suffix in ("", "-1s")
    },
    "openb": openb,
}
