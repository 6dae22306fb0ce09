# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the product's playbooks cost the controller, on hosts that are simulated.

`playbooks/containers.yml` (and `scale.yml`, with its check) run as a user runs them, with ansible-core's own defaults
(5 forks) and everything of the product that runs on the controller; only what would go over a connection is answered
there and then (stand_in/), so that hosts and networks cost nothing. Measured is the processor time (user and system) of
`ansible-playbook` and all its processes, without what the stand-ins took, as a multiple of that of one trivial task: a
playbook with nothing but a ping, answered the same way, on the same hosts, in the same run.

The case says what happens and on how many hosts, with 20 containers each: `create-40`, `no-change-40`, `scale-40` (one
group by one). `STOWAGE_BENCH_PYTHON` names the interpreter of another virtual environment, to measure with another
ansible-core: `.venv-2.16/bin/python`, which `make test-unit CORES=2.16` makes.
"""

from __future__ import annotations

import atexit
import collections
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fleet import simulated
from benchmarks.fleet.command import Cost, TooMuch
from benchmarks.fleet.command import run as run_command
from benchmarks.fleet.scenario import Scenario
from benchmarks.measure import Measurement, smoke, table

ISOLATED = False
BENCH = "fleet"
EACH = 20
LARGE = 1000
ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
# Multiples of the trivial task.
REACH = {"no-change": 5.0, "scale": 6.0, "create": 15.0}
MIB = 2**20
MEMORY_REACH = 2048.0
# A run beyond these is ended, and its case has no figure.
MOST_MEMORY = 8 * 2**30
MOST_SECONDS = float(os.environ.get("STOWAGE_BENCH_SECONDS") or 300)
# Further rounds of a case begin while no more than this has gone by.
SECONDS = 30.0
ROUNDS = 3


def cases() -> list[str]:
    """The names `--case` takes, in the order they run: what the first creates, the others of its size begin with."""
    if smoke():
        return ["create-4", "no-change-4", "scale-4"]
    return ["create-40", "no-change-40", "scale-40", f"no-change-{LARGE}", f"scale-{LARGE}"]


def takes(case: str) -> bool:
    """Whether this is a case: any number of hosts will do."""
    what, _dash, hosts = case.rpartition("-")
    return what in REACH and hosts.isdigit() and int(hosts) > 0


def run(case: str) -> Iterator[Measurement]:
    """Measure one case: in each round the trivial task first, so that a slow moment of the machine meets both."""
    what, _dash, hosts = case.rpartition("-")
    fleet = _fleet(Scenario(int(hosts), 3 if smoke() else EACH))
    measured = {"create": fleet.create, "no-change": fleet.no_change, "scale": fleet.scale}[what]
    if what != "create":
        fleet.prepare()
    began, rounds = time.perf_counter(), []
    while not rounds or (len(rounds) < (1 if smoke() else ROUNDS) and time.perf_counter() - began < SECONDS):
        rounds.append((fleet.play("trivial"), measured()))
    multiple = statistics.median(run.cost.cpu / trivial.cost.cpu for trivial, run in rounds)
    print(f"\n{case} with ansible-core {fleet.core}, {fleet.scenario.instances} containers, rounds: {len(rounds)}")
    rows = [_medians("trivial task", [trivial for trivial, _run in rounds]),
            _medians(what, [run for _trivial, run in rounds])]  # fmt: skip
    print(table(["", "CPU s", "s", "MiB"], rows))
    print(f"\n{rounds[-1][1].answers}\n", flush=True)
    yield Measurement(BENCH, case, "x trivial task (CPU)", multiple, reach=REACH[what])
    yield Measurement(BENCH, case, "CPU s", statistics.median(run.cost.cpu for _trivial, run in rounds))
    memory = statistics.median(run.cost.memory for _trivial, run in rounds) / MIB
    yield Measurement(BENCH, case, "MiB peak memory", memory, reach=MEMORY_REACH if int(hosts) >= LARGE else None)


class _Run(NamedTuple):
    """One run of a playbook: what it cost without the stand-ins, and what hosts were asked."""

    cost: Cost
    answers: _Answers


def _medians(name: str, runs: list[_Run]) -> list[Any]:
    kinds = ("cpu", "wall", "memory")
    cpu, wall, memory = (statistics.median(getattr(run.cost, kind) for run in runs) for kind in kinds)
    return [name, cpu, wall, int(memory / MIB)]


_fleets: dict[Scenario, _Fleet] = {}


def _fleet(scenario: Scenario) -> _Fleet:
    """Cases of one size share the inventory, and what has been created."""
    if scenario not in _fleets:
        _fleets[scenario] = _Fleet(scenario)
    return _fleets[scenario]


class _Fleet:
    """The simulated hosts of a scenario, and the playbooks that run on them."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._python = os.environ.get("STOWAGE_BENCH_PYTHON") or sys.executable
        self._folder = Path(tempfile.mkdtemp(prefix="stowage-bench-fleet-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self._hosts = self._folder / "hosts"
        self._created: Path | str | None = None
        scenario.write(self._folder / "inventory")
        scenario.write(self._folder / "at-once", at_once=True)
        # This checkout, whatever collection that environment has.
        (self._folder / "collections" / "ansible_collections" / "stowage").mkdir(parents=True)
        (self._folder / "collections" / "ansible_collections" / "stowage" / "fleet").symlink_to(ROOT)
        (self._folder / "ansible.cfg").write_text(CONFIGURATION)
        (self._folder / "trivial.yml").write_text(TRIVIAL)
        self._defaults = self._read_defaults()
        self.core = self._ansible("--version").split("]")[0].split()[-1]
        self._empty()
        self.play("trivial")  # warm-up: page cache, byte code

    def _ansible(self, *words: str, tool: str = "playbook") -> str:
        command = [self._python, "-m", "ansible", tool, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self._environment()).stdout

    def _read_defaults(self) -> dict[str, Any]:
        """The options of the collection's modules, since every result of a module repeats them all."""
        names = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
        said = json.loads(self._ansible("--json", *(f"stowage.fleet.{name}" for name in names), tool="doc"))
        return {name: said[f"stowage.fleet.{name}"]["doc"].get("options") or {} for name in names}

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(self._folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(self._folder / "collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "stand_in"),
            "ANSIBLE_CALLBACKS_ENABLED": "fleet_stand_in",
            "STOWAGE_SIMULATED": str(self._hosts),
            # Not beside the sources, which a benchmark leaves as they are.
            "PYTHONPYCACHEPREFIX": str(self._folder / "bytecode"),
        }

    # --- what happens

    def play(self, playbook: str, inventory: str = "inventory", **variables: object) -> _Run:
        """Run a playbook."""
        log = self._hosts / "answers.log"
        log.unlink(missing_ok=True)
        file = self._folder / "trivial.yml" if playbook == "trivial" else ROOT / "playbooks" / f"{playbook}.yml"
        words = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
        command = [self._python, "-m", "ansible", "playbook", "-i", str(self._folder / inventory), str(file), *words]
        cost = run_command(command, self._environment(), self._folder, MOST_SECONDS, MOST_MEMORY)
        answers = _Answers(log.read_text().splitlines())
        return _Run(dataclasses.replace(cost, cpu=cost.cpu - answers.seconds), answers)

    def create(self, inventory: str = "inventory") -> _Run:
        """Create everything, on hosts that have nothing."""
        self._empty()
        found = self.play("containers", inventory)
        self._expect(self.scenario.instances)
        if self._created is None:
            self._created = shutil.copytree(self._hosts, self._folder / "created")
        return found

    def no_change(self) -> _Run:
        """Run again, with nothing to change."""
        self._restore()
        found = self.play("containers")
        if found.answers.changed:
            raise RuntimeError(f"a second run changed something: {found.answers.changed[:5]}")
        return found

    def scale(self) -> _Run:
        """One web server more for one tenant."""
        self._restore()
        found = self.play("scale", cluster=self.scenario.tenants[0], group="web", count=self.scenario.web + 1)
        self._expect(self.scenario.instances + 1)
        return found

    # --- the hosts' files

    def _empty(self) -> None:
        shutil.rmtree(self._hosts, ignore_errors=True)
        self._hosts.mkdir()
        (self._hosts / "defaults.text").write_text(json.dumps(self._defaults))
        simulated.build(self._hosts, self.scenario.names)

    def prepare(self) -> None:
        """Create everything once, in the shortest way, for the cases that begin there."""
        if self._created is None:
            try:
                self.create("at-once")
            except (TooMuch, RuntimeError) as error:
                self._created = f"the hosts have nothing yet, and creating it failed: {error}"
        if isinstance(self._created, str):
            raise RuntimeError(self._created)

    def _restore(self) -> None:
        """Put the hosts back to where everything has just been created."""
        self.prepare()
        shutil.rmtree(self._hosts)
        shutil.copytree(str(self._created), self._hosts)

    def _expect(self, containers: int) -> None:
        there = simulated.census(self._hosts)
        if sum(map(len, there.values())) != containers:
            raise RuntimeError(f"{sum(map(len, there.values()))} containers are there instead of {containers}")
        # A fleet where some hosts have nothing would be another one.
        least, mean = min(map(len, there.values())), containers // len(there)
        if least < mean // 2:
            raise RuntimeError(f"a host has {least} containers where {mean} were meant")


class _Answers:
    """What hosts were asked, from the notes of the stand-ins."""

    def __init__(self, lines: list[str]) -> None:
        self.seconds = 0.0
        self.changed: list[str] = []
        self._asked: dict[str, list[float]] = collections.defaultdict(lambda: [0, 0, 0])
        for line in lines:
            module, host, seconds, told, said, changed = line.split()
            self.seconds += float(seconds)
            row = self._asked[module]
            row[:] = row[0] + 1, row[1] + int(told), row[2] + int(said)
            if int(changed):
                self.changed.append(f"{module} on {host}")

    def __str__(self) -> str:
        """A table: how often, and how many bytes went and came."""
        rows = [[module, int(times), told / 1e6, said / 1e6] for module, (times, told, said) in self._asked.items()]
        return table(["asked of hosts", "times", "MB told", "MB said"], rows)


CONFIGURATION = """\
[defaults]
forks = 5
retry_files_enabled = false
[ssh_connection]
pipelining = true
# Whatever would still connect fails at once: nothing is ever sent to the addresses of simulated hosts.
ssh_executable = /bin/false
"""

TRIVIAL = """\
---
- name: Do next to nothing
  hosts: fleet
  gather_facts: false
  tasks:
    - name: Ping
      ansible.builtin.ping:
"""
