"""Same input, same plan: whatever the order of hosts and keys, the hash seed, and the Python."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.strategies import problem_of_seed
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.test_property_planted import planted

SEEDS = range(100)
REPOSITORY = Path(__file__).resolve().parents[5]


def told(problem: dict[str, Any]) -> str:
    """A plan as text."""
    return json.dumps(solve(Problem.from_dict(problem)).to_dict())


def shuffled(value: Any, rng: random.Random, path: str = "") -> Any:
    """The same JSON with the keys of its objects, its hosts and what runs in another order."""
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: shuffled(value[key], rng, f"{path}.{key}") for key in keys}
    if isinstance(value, list):
        items = [shuffled(item, rng, path) for item in value]
        if path in (".hosts", ".running", ".hosts.cpus"):
            rng.shuffle(items)
        return items
    return value


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_hosts_and_keys_never_changes_the_plan(seed: int) -> None:
    problem = problem_of_seed(seed)
    rng = random.Random(seed)
    expected = told(problem)
    for _turn in range(3):
        assert told(shuffled(problem, rng)) == expected, json.dumps(problem)


@pytest.mark.parametrize("seed", range(20))
def test_solving_twice_gives_the_same_plan(seed: int) -> None:
    problem = Problem.from_dict(problem_of_seed(seed))
    assert solve(problem).to_dict() == solve(problem).to_dict()


def test_the_id_is_the_digest_of_the_rest_of_the_plan() -> None:
    plan = solve(Problem.from_dict(problem_of_seed(1))).to_dict()
    other = solve(Problem.from_dict(problem_of_seed(2))).to_dict()
    assert len(plan["id"]) == 16
    assert int(plan["id"], 16) >= 0
    assert plan["id"] != other["id"]
    rest = {key: value for key, value in plan.items() if key != "id"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    assert plan["id"] == hashlib.sha256(canonical.encode()).hexdigest()[:16]


# What another interpreter runs: the plans of all seeds, boiled down to one line of digests. Only the standard library
# and the planner are imported, so the problems come by standard input.
SCRIPT = """
import hashlib, json, sys
from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve
for problem in json.load(sys.stdin):
    plan = solve(Problem.from_dict(problem)).to_dict()
    print(hashlib.sha256(json.dumps(plan).encode()).hexdigest())
"""


def digests(python: str, problems: list[dict[str, Any]], root: Path, **environment: str) -> list[str]:
    """What an interpreter plans for these problems."""
    done = subprocess.run(
        [python, "-c", SCRIPT],
        input=json.dumps(problems),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder from which any Python imports the collection of this checkout."""
    folder = tmp_path_factory.mktemp("collections")
    (folder / "ansible_collections" / "stowage").mkdir(parents=True)
    (folder / "ansible_collections" / "stowage" / "fleet").symlink_to(REPOSITORY)
    return folder


def sample_problems(exact: str) -> list[dict[str, Any]]:
    """Random problems that are solved by heuristics alone, or with exact search where it is needed."""
    problems = [problem_of_seed(seed) for seed in SEEDS]
    for problem in problems:
        problem["options"]["exact"] = exact
    return problems


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_the_hash_seed_never_changes_the_plan(hash_seed: str, root: Path) -> None:
    problems = sample_problems("auto")
    here = [hashlib.sha256(told(problem).encode()).hexdigest() for problem in problems]
    assert digests(sys.executable, problems, root, PYTHONHASHSEED=hash_seed) == here


def other_pythons() -> list[str]:
    """Interpreters of this machine that have NumPy: on PATH, and in virtual environments beside the one that runs."""
    found = [path for n in range(10, 16) if (path := shutil.which(f"python3.{n}"))]
    for folder in sorted({Path(sys.prefix).parent, REPOSITORY}):
        found += [str(path) for path in sorted(folder.glob(".venv*/bin/python"))]
    out: dict[str, str] = {}
    for path in found:
        asked = [path, "-c", "import sys, numpy; print('%d.%d' % sys.version_info[:2], numpy.__version__)"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        version = tuple(int(part) for part in done.stdout.split(" ")[0].split(".")) if done.returncode == 0 else (0, 0)
        if version >= (3, 10) and version != sys.version_info[:2]:
            out.setdefault(done.stdout.strip(), path)
    return sorted(out.values())


def test_other_pythons_make_the_same_plans(root: Path) -> None:
    # Whichever are here. The golden plans below hold on every Python that runs these tests, so nothing is skipped.
    problems = sample_problems("never")
    here = [hashlib.sha256(told(problem).encode()).hexdigest() for problem in problems]
    for python in other_pythons():
        assert digests(python, problems, root) == here, python


# --- golden plans: every Python that runs the tests makes these very bytes -------------------------------------------

GOLDEN = Path(__file__).with_name("golden_plans.json")


def golden_problems() -> dict[str, list[dict[str, Any]]]:
    """Problems of several kinds: small ones with and without exact search, and a fleet that is packed again."""
    exact = [problem_of_seed(seed, stale=True) for seed in range(100)]
    return {
        "heuristics": sample_problems("never"),
        "exact": [*exact, planted(100, 0.0), cut_short(), crowded()],
        "packed": [packed(0.0), packed(0.2)],
    }


def cut_short() -> dict[str, Any]:
    """A hard problem, and far too little work allowed for it: what the search has by then is what counts."""
    return {**planted(106, slack=0.0), "options": {"exact_seconds": 0.2}}


def crowded() -> dict[str, Any]:
    """More is asked for than there is: what can't be placed is proven, with a conflict and relaxations."""
    problem = planted(201, slack=0.0)
    problem["clusters"]["acme"]["groups"]["extra"] = {"count": 3, "grade": "l"}
    return problem


def packed(seconds: float) -> dict[str, Any]:
    """New instances on forty hosts, on as few as so much work finds."""
    rng = random.Random(7)
    hosts = [
        {"name": f"h{n:02}", "cpus": rng.choice([16, 24, 32]), "resources": {"memory": rng.choice([32, 64]) * 2**30}}
        for n in range(40)
    ]
    grades = {f"g{n}": {"cores": rng.randint(1, 7), "memory": rng.randint(1, 15) * 2**30} for n in range(9)}
    groups = {f"g{n}": {"count": rng.randint(5, 15), "grade": f"g{n}"} for n in range(9)}
    options = {"mode": "binpack", "improve_seconds": seconds}
    return {"version": 1, "hosts": hosts, "grades": grades, "clusters": {"acme": {"groups": groups}}} | {
        "options": options
    }


def release() -> str:
    """The release of OR-Tools: another one may find another answer that is as good."""
    import ortools

    return ".".join(ortools.__version__.split(".")[:2])


def worth(problem: dict[str, Any]) -> tuple[int, int, list[bool]]:
    """What any release must find: how many have no place, how many move, and what is proven."""
    plan = solve(Problem.from_dict(problem)).to_dict()
    return len(plan["unplaced"]), plan["summary"]["move"], sorted({u["proven"] for u in plan["unplaced"]})


def fingerprint(values: list[Any]) -> str:
    """A digest of a list."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def golden() -> dict[str, Any]:
    """What GOLDEN holds. `python test_determinism.py` writes it anew, after a change that is meant to change plans."""
    problems = golden_problems()
    plans = {kind: fingerprint([told(problem) for problem in listed]) for kind, listed in problems.items()}
    return {"ortools": release(), "worth": fingerprint([worth(p) for p in problems["exact"]]), **plans}


def test_the_golden_plans_are_made_byte_by_byte() -> None:
    known, problems = json.loads(GOLDEN.read_text()), golden_problems()
    assert fingerprint([told(problem) for problem in problems["heuristics"]]) == known["heuristics"]
    assert fingerprint([worth(problem) for problem in problems["exact"]]) == known["worth"]
    if release() == known["ortools"]:
        for kind in ("exact", "packed"):
            assert fingerprint([told(problem) for problem in problems[kind]]) == known[kind], kind


def test_a_busy_machine_makes_the_same_plan() -> None:
    # Work is counted, not measured: two processes that take all cores away change nothing.
    spin = [sys.executable, "-c", "while True: pass"]
    quiet = told(packed(0.2)), told(cut_short())
    busy = [subprocess.Popen(spin) for _core in range(2 * (os.cpu_count() or 1))]
    try:
        assert (told(packed(0.2)), told(cut_short())) == quiet
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_a_search_that_the_clock_stopped_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.stowage.fleet.plugins.plugin_utils.placement.search import exact, improve

    stopped = "was stopped by the clock: on a faster machine the plan may be another"
    assert not solve(Problem.from_dict(packed(0.1))).notes
    for module in (improve, exact):
        monkeypatch.setattr(module, "BRAKE_SECONDS", 0.001)
        monkeypatch.setattr(module, "BRAKE_FACTOR", 0.0)
    assert solve(Problem.from_dict(packed(0.1))).notes == (f"the search for fewer hosts {stopped}",)
    assert f"the exact search {stopped}" in solve(Problem.from_dict(planted(106, 0.0))).notes


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_groups_grades_and_networks_never_changes_the_plan(seed: int) -> None:
    problem = planted(200 + seed, slack=0.1)
    expected = told(problem)
    assert told(shuffled(problem, random.Random(seed))) == expected


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=2, sort_keys=True) + "\n")
