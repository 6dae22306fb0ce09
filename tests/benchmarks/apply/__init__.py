"""Applying a plan on one host: forty containers created and started, and a second run that changes nothing.

Peers: `community.docker.docker_container` in a loop (both through `ansible-playbook`, the whole command's wall-clock
time, start-up of Ansible included on both sides), and bare engine calls (Docker SDK, as many threads, creating and
starting only), against which the module's own time in the task stands.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.apply.host import PARALLEL, Host, bare_payload
from benchmarks.measure import Measurement, smoke, table, turns

ISOLATED = False
NEEDS_ENGINE = True
DOWNLOADS = ["busybox-static"]
ROOT = Path(__file__).resolve().parents[3]
COUNT = 40
ROUNDS = 3
LOOP = "docker_container loop"
BARE = "bare engine calls"
# What the module may add to what the engine itself needs; as a ratio of theirs to ours.
CREATE_REACH = 1 / 1.25
NO_CHANGE_REACH = 10


def cases() -> list[str]:
    """The names `--case` takes."""
    count = 3 if smoke() else COUNT
    return [f"create-{count}", f"no-change-{count}"]


def run(case: str) -> Iterator[Measurement]:
    """Measure one case."""
    with Host(int(case.rpartition("-")[2])) as host:
        yield from (_create if case.startswith("create") else _no_change)(case, host)


def _playbook(host: Host, name: str) -> tuple[float, dict[str, Any]]:
    """Run a playbook of the peers' environment; returns its seconds and what its last task returned."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(host.folder),
        "ANSIBLE_STDOUT_CALLBACK": "json",
        "ANSIBLE_CONFIG": str(host.folder / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(host.folder / "tmp"),
        "LC_ALL": "C.UTF-8",
    }
    command = [str(_peers() / "bin" / "ansible-playbook"), "-i", "localhost,", str(host.playbook(name))]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=host.folder, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{name} failed: {(done.stdout + done.stderr)[-2000:]}")
    output = json.loads(done.stdout[done.stdout.index("{") :])
    return seconds, output["plays"][0]["tasks"][-1]["hosts"]["localhost"]


def _peers() -> Path:
    """The virtual environment with Ansible, the peers and this collection; made when it is missing."""
    if not (ROOT / ".venv-bench" / "bin" / "ansible-playbook").exists():
        subprocess.run([str(ROOT / "scripts" / "venv.sh"), "bench"], check=True, stdout=sys.stderr)
    return ROOT / ".venv-bench"


def _bare(host: Host) -> float:
    """Create and start with the SDK alone, in as many threads as the module."""
    import docker

    client = docker.APIClient(base_url=host.engine, version="auto")

    def make(name: str) -> None:
        made = client.create_container_from_config(bare_payload(host, name), name)
        client.start(made["Id"])

    began = time.perf_counter()
    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        list(pool.map(make, host.names))
    return time.perf_counter() - began


def _rounds(host: Host, contenders: dict[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Measure the contenders in turn, so that a slow moment of the machine hits all; the first round is warm-up."""
    found: dict[str, list[Any]] = {name: [] for name in contenders}
    for number in turns(ROUNDS):
        for name, contender in contenders.items():
            if name == LOOP and number < turns(ROUNDS)[-1]:
                continue  # a minute each time, and no aim hangs on it: the last round has to do
            host.clear()
            answer = contender()
            host.check()
            if number:
                found[name].append(answer)
    return found


def _create(case: str, host: Host) -> Iterator[Measurement]:
    found = _rounds(
        host,
        {
            "ours": lambda: _playbook(host, "ours"),
            LOOP: lambda: _playbook(host, "loop")[0],
            BARE: lambda: _bare(host),
        },
    )
    _check_changed(found["ours"], True)
    whole = statistics.median(seconds for seconds, _dummy in found["ours"])
    inside = statistics.median(answer["seconds"] for _dummy, answer in found["ours"])
    loop, bare = statistics.median(found[LOOP]), statistics.median(found[BARE])
    _show(case, [("containers, whole run", whole), ("containers, in the task", inside), (LOOP, loop), (BARE, bare)])
    yield Measurement("apply", f"{case}-run", "s", whole, LOOP, loop)
    yield Measurement("apply", case, "s", inside, BARE, bare, reach=CREATE_REACH)


def _no_change(case: str, host: Host) -> Iterator[Measurement]:
    # Each side meets containers of its own making, so that neither has anything to change.
    _playbook(host, "ours")
    ours = [_playbook(host, "ours") for _turn in turns(ROUNDS)][-ROUNDS:]
    host.check()
    _check_changed(ours, False)
    host.clear()
    _playbook(host, "loop")
    loops = [_playbook(host, "loop") for _turn in turns(ROUNDS)][-ROUNDS:]
    host.check()
    _check_changed(loops, False)
    whole = statistics.median(seconds for seconds, _dummy in ours)
    inside = statistics.median(answer["seconds"] for _dummy, answer in ours)
    loop = statistics.median(seconds for seconds, _dummy in loops)
    _show(case, [("containers, whole run", whole), ("containers, in the task", inside), (LOOP, loop)])
    yield Measurement("apply", case, "s", whole, LOOP, loop, reach=NO_CHANGE_REACH)


def _check_changed(answers: list[Any], expected: bool) -> None:
    for _dummy, answer in answers:
        if answer["changed"] is not expected:
            raise RuntimeError(f"expected changed={expected}, got {json.dumps(answer)[:2000]}")


def _show(case: str, rows: list[tuple[str, float]]) -> None:
    print(f"\n{case}: medians of {turns(ROUNDS)[-1]} rounds after one as warm-up, {PARALLEL} threads")
    if case.startswith("create"):
        print(f"({LOOP}: one round)")
    print(table(["what", "seconds"], rows))
