"""What the door refuses: all faults at once, each with its path, quickly, and never by a traceback."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve

MIB = 2**20
# Whoever sends ten megabytes of nonsense waits no longer than this on a slow machine.
QUICKLY = 10.0


def sample() -> dict[str, Any]:
    """A good problem that uses every key there is."""
    return {
        "version": 1,
        "hosts": [
            {
                "name": "h1",
                "state": "active",
                "labels": {"zone": "a", "gen": 3, "fast": True},
                "cpus": [{"id": i, "core": i % 4, "socket": 0, "node": i % 4 // 2} for i in range(8)],
                "resources": {"memory": "8g", "disk": 100_000, "gpus": 4},
                "reserved": {"cores": 1, "memory": "1g"},
                "numa_memory": {"0": "4g", "1": "4g"},
            },
            {"name": "h2", "cpus": 4, "resources": {"memory": "8g"}, "labels": {"zone": "b"}},
        ],
        "grades": {
            "small": {"cores": 1, "memory": "512m", "disk": "1k", "numa": 1, "smt": "any", "resources": {"gpus": 1}},
            "tiny": {"cpus": 0.25, "memory": 134217728},
        },
        "clusters": {
            "acme": {
                "state": "started",
                "groups": {
                    "db": {"count": 1, "type": "db", "grade": "small", "digest": "d", "network": "lan"},
                    "web": {
                        "count": 2,
                        "type": "web",
                        "grade": "tiny",
                        "digest": "d",
                        "network": "lan",
                        "requires": ["db"],
                        "update": {"batch": 1},
                        "placement": {
                            "mode": "spread",
                            "constraints": [{"label": "zone", "in": ["a", "b"], "required": False, "weight": 2}],
                            "affinity": [{"group": "db", "cluster": "acme", "topology": "zone", "required": False}],
                            "anti_affinity": [{"group": "web", "topology": "host", "max": 2}],
                            "spread": [{"topology": "zone", "max_skew": 2}],
                            "dedicated": False,
                        },
                    },
                },
            }
        },
        "running": [
            {
                "cluster": "acme",
                "group": "db",
                "index": 0,
                "host": "h1",
                "state": "running",
                "healthy": True,
                "claims": {"cores": 1, "memory": 536870912, "resources": {"gpus": 1}},
                "cores": [1],
                "network": "lan",
                "address": "10.0.0.1",
                "digest": "d",
                "grade": "small",
                "type": "db",
            }
        ],
        "networks": {"lan": {"pool": ["10.0.0.1-10.0.0.9"], "exclude": ["10.0.0.3"]}},
        "options": {
            "mode": "binpack",
            "exact": "auto",
            "exact_seconds": 1,
            "improve_seconds": 0,
            "replace_unreachable": False,
            "rebalance": {"moves": 1, "goal": "consolidate"},
        },
    }


def refused(problem: Any) -> list[str]:
    """The complaints about a problem that must be refused."""
    with pytest.raises(InvalidInput) as caught:
        Problem.from_dict(problem)
    assert caught.value.problems
    return caught.value.problems


def put(problem: Any, path: str, value: Any) -> Any:
    """The problem with another value at a path such as `hosts.0.name`."""
    *way, last = path.split(".")
    place = problem
    for key in way:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return problem


def test_the_sample_is_good() -> None:
    assert solve(Problem.from_dict(sample())).to_dict()["complete"]


WEB = "clusters.acme.groups.web"
BAD = {
    "a negative count": (f"{WEB}.count", -1, "-1"),
    "a count that is not whole": (f"{WEB}.count", 1.5, "1.5"),
    "a count that is NaN": (f"{WEB}.count", math.nan, "nan"),
    "an infinite count": (f"{WEB}.count", math.inf, "inf"),
    "a count that is true": (f"{WEB}.count", True, "True"),
    "negative memory": ("hosts.0.resources.memory", -1, "-1"),
    "memory that is NaN": ("hosts.0.resources.memory", math.nan, "nan"),
    "infinite memory": ("hosts.0.resources.memory", math.inf, "inf"),
    "memory in parsecs": ("hosts.0.resources.memory", "5 parsecs", "parsecs"),
    "a negative size as text": ("grades.small.memory", "-5m", "-5m"),
    "a negative resource": ("hosts.0.resources.gpus", -4, "-4"),
    "negative reserved cores": ("hosts.0.reserved.cores", -1, "-1"),
    "half a reserved core": ("hosts.0.reserved.cores", 0.5, "0.5"),
    "negative cpus of a host": ("hosts.1.cpus", -4, "-4"),
    "a cpu twice": ("hosts.0.cpus.1.id", 0, "0"),
    "a negative cpu id": ("hosts.0.cpus.1.id", -7, "-7"),
    "an unknown state of a host": ("hosts.0.state", "asleep", "asleep"),
    "a host without a name": ("hosts.0.name", None, "name"),
    "an empty name": ("hosts.0.name", "", "name"),
    "two hosts of one name": ("hosts.1.name", "h1", "h1"),
    "cores and cpus in one grade": ("grades.small.cpus", 1, "cores"),
    "no exclusive core at all": ("grades.small.cores", 0, "0"),
    "cpus that are NaN": ("grades.tiny.cpus", math.nan, "nan"),
    "infinite cpus": ("grades.tiny.cpus", math.inf, "inf"),
    "negative cpus": ("grades.tiny.cpus", -0.5, "-0.5"),
    "numa that does not divide cores": ("grades.small.numa", 2, "2"),
    "numa of zero": ("grades.small.numa", 0, "0"),
    "an unknown smt": ("grades.small.smt", "half", "half"),
    "an unknown state of a cluster": ("clusters.acme.state", "paused", "paused"),
    "an unknown grade": (f"{WEB}.grade", "huge", "huge"),
    "an unknown network": (f"{WEB}.network", "wan", "wan"),
    "a group that requires itself": (f"{WEB}.requires", ["web"], "web"),
    "a requirement nobody knows": (f"{WEB}.requires", ["cache"], "cache"),
    "a batch of nothing": (f"{WEB}.update.batch", 0, "0"),
    "an unknown mode": (f"{WEB}.placement.mode", "best", "best"),
    "affinity to an unknown group": (f"{WEB}.placement.affinity.0.group", "ghost", "ghost"),
    "affinity to an unknown cluster": (f"{WEB}.placement.affinity.0.cluster", "ghost", "ghost"),
    "anti-affinity to an unknown group": (f"{WEB}.placement.anti_affinity.0.group", "ghost", "ghost"),
    "anti-affinity of none": (f"{WEB}.placement.anti_affinity.0.max", 0, "0"),
    "a skew of nothing": (f"{WEB}.placement.spread.0.max_skew", 0, "0"),
    "a weight that is NaN": (f"{WEB}.placement.constraints.0.weight", math.nan, "nan"),
    "a negative weight": (f"{WEB}.placement.constraints.0.weight", -1, "-1"),
    "a flag that is a text": (f"{WEB}.placement.dedicated", "yes", "yes"),
    "a constraint with two operators": (f"{WEB}.placement.constraints.0.exists", True, "exists"),
    "running on an unknown host": ("running.0.host", "h9", "h9"),
    "running with a negative index": ("running.0.index", -1, "-1"),
    "a pool that runs backwards": ("networks.lan.pool.0", "10.0.0.9-10.0.0.1", "10.0.0.9"),
    "a pool that is no address": ("networks.lan.pool.0", "somewhere", "somewhere"),
    "an unknown mode of the fleet": ("options.mode", "tetris", "tetris"),
    "exact seconds without end": ("options.exact_seconds", math.inf, "inf"),
    "a negative budget of moves": ("options.rebalance.moves", -1, "-1"),
    "another version": ("version", 2, "2"),
}


@pytest.mark.parametrize(("path", "value", "named"), BAD.values(), ids=BAD.keys())
def test_a_fault_is_refused_with_its_path_and_value(path: str, value: Any, named: str) -> None:
    problems = refused(put(sample(), path, value))
    shown = _dotted(path)
    near = [text for text in problems if text.startswith((shown, shown.rsplit(".", 1)[0]))]
    assert near, f"{shown} is in none of {problems}"
    assert any(named.lower() in text.lower() for text in near), problems
    assert len(problems) <= 2, problems


def _dotted(path: str) -> str:
    """hosts.0.name as it is written in a complaint: hosts[0].name."""
    out = ""
    for key in path.split("."):
        out += f"[{key}]" if key.isdigit() else f".{key}" if out else key
    return out


def dicts(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all objects in a value."""
    if isinstance(value, dict):
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from dicts(child, f"{path}.{key}" if path else str(key))


# Objects whose keys the user names.
FREE = {"hosts.0.labels", "hosts.1.labels", "hosts.0.resources", "hosts.1.resources", "grades", "clusters"}
FREE |= {"grades.small.resources", "clusters.acme.groups", "running.0.claims", "running.0.claims.resources", "networks"}
FREE |= {"hosts.0.reserved", "hosts.0.numa_memory"}


@pytest.mark.parametrize("path", sorted(set(dicts(sample())) - FREE))
def test_an_unknown_key_is_refused_everywhere(path: str) -> None:
    place = f"{path}.colour" if path else "colour"
    problems = refused(put(sample(), place, "blue"))
    assert [text for text in problems if text.startswith(_dotted(place))], problems


def test_a_cycle_of_requirements_is_refused_and_spelled_out() -> None:
    problem = sample()
    problem["clusters"]["acme"]["groups"]["db"]["requires"] = ["web"]
    (text,) = refused(problem)
    assert "clusters.acme.groups" in text
    assert "db -> web -> db" in text or "web -> db -> web" in text


def test_a_long_cycle_is_found_without_exhausting_the_stack() -> None:
    problem = sample()
    groups = {f"g{n}": {"count": 0, "grade": "tiny", "requires": [f"g{(n + 1) % 20_000}"]} for n in range(20_000)}
    problem["clusters"]["ring"] = {"groups": groups}
    assert any("cycle" in text for text in refused(problem))


def test_all_faults_are_named_at_once() -> None:
    problem = sample()
    places = {}
    for path, value, _named in BAD.values():
        if path not in places and not path.startswith(("hosts.0.cpus", "hosts.1.name", "hosts.0.name")):
            places[path] = put(problem, path, value)
    text = "\n".join(refused(problem))
    named = [path for path in places if _dotted(path) in text or _dotted(path).rsplit(".", 1)[0] in text]
    assert len(named) >= len(places) - 2, sorted(set(places) - set(named))


WRONG: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    math.nan,
    -math.inf,
    10**30,
    "",
    "x",
    "\x00\ud800",
    [],
    ["x"],
    [[]],
    {},
    {"x": 1},
]
WRONG += [{1: 2}, [None], b"x", (1,), 10**400, "9" * 5000, {"in": 1}]


def paths(value: Any, path: str = "") -> Iterator[str]:
    """The paths of everything in a value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        here = f"{path}.{key}" if path else str(key)
        yield here
        yield from paths(child, here)


@pytest.mark.parametrize("path", list(paths(sample())))
def test_a_wrong_type_anywhere_is_refused_or_harmless_but_never_a_crash(path: str) -> None:
    for value in WRONG:
        problem = put(sample(), path, copy.deepcopy(value))
        problem.setdefault("options", {})
        for text in complaints_or_plan(problem):
            assert text.strip()
            assert len(text) < 2000, f"{path}: a complaint repeats a huge value"


def complaints_or_plan(problem: Any) -> list[str]:
    """The complaints about a problem; where there are none, it is solved, and the plan is JSON."""
    try:
        parsed = Problem.from_dict(problem)
    except InvalidInput as error:
        return error.problems
    json.dumps(solve(parsed).to_dict(), allow_nan=False)
    return []


@pytest.mark.parametrize("value", [None, [], "x", 3, True, math.nan, b"{}"], ids=repr)
def test_what_is_no_problem_at_all_is_refused(value: Any) -> None:
    assert refused(value)


def test_an_empty_problem_lacks_its_hosts() -> None:
    assert any("hosts" in text for text in refused({}))


def _nested(depth: int) -> Any:
    value: Any = []
    for _turn in range(depth):
        value = [value]
    return value


HUGE: dict[str, Callable[[], Any]] = {
    "a text of 10 MB as a name": lambda: put(sample(), "hosts.0.name", "x" * (10 * MIB)),
    "a text of 10 MB as a size": lambda: put(sample(), "grades.small.memory", "9" * (10 * MIB)),
    "a text of 10 MB as a state": lambda: put(sample(), "hosts.0.state", "x" * (10 * MIB)),
    "a text of 10 MB as an address": lambda: put(sample(), "networks.lan.pool.0", "1." * (5 * MIB)),
    "a key of 10 MB": lambda: put(sample(), "options." + "k" * (10 * MIB), 1),
    "200,000 unknown keys": lambda: {**sample(), **{f"unknown{n:040}": n for n in range(200_000)}},
    "300,000 hosts that are numbers": lambda: put(sample(), "hosts", list(range(300_000))),
    "100,000 hosts of one name": lambda: put(sample(), "hosts", [{"name": "h1"} for _turn in range(100_000)]),
    "100,000 running nowhere": lambda: put(sample(), "running", [{"cluster": "acme"} for _turn in range(100_000)]),
    "a million brackets": lambda: put(sample(), "hosts", _nested(1_000_000)),
    "a label a million deep": lambda: put(sample(), "hosts.0.labels.zone", _nested(1_000_000)),
    "a number of a million digits": lambda: put(sample(), f"{WEB}.count", 10**1_000_000),
    "10 MB of brackets around a size": lambda: put(sample(), "grades.small.memory", "[" * (10 * MIB)),
    "a text that makes slow patterns slow": lambda: put(sample(), "grades.small.memory", " " * MIB + "x"),
    "a name that makes slow patterns slow": lambda: put(sample(), "clusters", {"a-" * MIB: {"groups": {}}}),
}


@pytest.mark.parametrize("make", HUGE.values(), ids=HUGE.keys())
def test_ten_megabytes_of_nonsense_are_refused_quickly_and_briefly(make: Callable[[], Any]) -> None:
    problem = make()
    start = time.process_time()
    problems = refused(problem)
    assert time.process_time() - start < QUICKLY
    assert sum(map(len, problems)) < 200_000, "the refusal repeats the nonsense"


def test_more_instances_than_any_fleet_has_are_refused_rather_than_counted_out() -> None:
    problem = sample()
    groups = {f"g{n}": {"count": 1_000_000, "grade": "tiny"} for n in range(2_000)}
    problem["clusters"]["swarm"] = {"groups": groups}
    start = time.process_time()
    assert any("count" in text for text in refused(problem))
    assert time.process_time() - start < QUICKLY


def test_a_pool_as_wide_as_the_internet_costs_nothing() -> None:
    problem = put(sample(), "networks.lan.pool", ["::/0"])
    problem["running"] = []
    start = time.process_time()
    assert solve(Problem.from_dict(problem)).to_dict()["complete"]
    assert time.process_time() - start < QUICKLY


def test_the_problem_is_not_changed_by_reading_or_solving_it() -> None:
    problem = sample()
    solve(Problem.from_dict(problem))
    assert problem == sample()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"antiaffinity": []}, "placement.antiaffinity: unknown key (did you mean anti_affinity?); expected one of"),
        ({"constraint": []}, "placement.constraint: unknown key (did you mean constraints?); expected one of"),
        ({"mode": "binpak"}, "placement.mode: 'binpak' is not known (did you mean binpack?); expected one of"),
        ({"affinity": [{"group": "wbe"}]}, "affinity[0].group: acme/wbe is not known (did you mean web?); expected"),
        ({"spread": [{"maxskew": 1}]}, "spread[0].maxskew: unknown key (did you mean max_skew?); expected one of"),
        ({"zzz": 1}, "placement.zzz: unknown key; expected one of"),
    ],
)
def test_a_word_that_is_almost_known_is_named(wrong: dict[str, Any], said: str) -> None:
    problem = sample()
    problem["clusters"]["acme"]["groups"]["web"]["placement"] = wrong
    with pytest.raises(InvalidInput) as refused:
        Problem.from_dict(problem)
    assert [text for text in refused.value.problems if said in text], refused.value.problems
