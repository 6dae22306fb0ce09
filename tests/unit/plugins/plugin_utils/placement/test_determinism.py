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

SEEDS = range(150)
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


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
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
    # Without exact search: the solver behind it may be of another release there, or missing.
    problems = sample_problems("never")
    here = [hashlib.sha256(told(problem).encode()).hexdigest() for problem in problems]
    others = other_pythons()
    for python in others:
        assert digests(python, problems, root) == here, python
    if not others:
        pytest.skip("NOT TESTED: this machine has no other Python with NumPy to compare plans with")
