"""Small random problems: from a seed, by the thousand, or from Hypothesis, which shrinks what fails.

Both go through a `Chooser`, so that the two make the same kind of problem. A problem has up to 4 hosts and 6 wanted
instances; what runs was put there obeying all rules, before hosts were drained or rules and counts changed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle import (
    Claim,
    Host,
    Placed,
    World,
    host_complaints,
    rule_complaints,
)

T = TypeVar("T")
GIB = 2**30


class Chooser:
    """Makes the choices of a problem from a random generator."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def integer(self, low: int, high: int) -> int:
        """A whole number between the two, both included."""
        return self.rng.randint(low, high)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; the first is the simplest."""
        return options[self.integer(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        """True in about so many of a hundred cases; False is the simpler."""
        return self.integer(0, 99) >= 100 - percent


class Drawn(Chooser):
    """Makes them from Hypothesis."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        """A whole number between the two, both included."""
        return self.draw(st.integers(low, high))


@st.composite
def problems(draw: Any, stale: bool | None = None) -> dict[str, Any]:
    """A Hypothesis strategy for small problems."""
    return problem(Drawn(draw), stale)


def problem_of_seed(seed: int, stale: bool | None = None) -> dict[str, Any]:
    """The small problem of a seed; the same on every Python."""
    return problem(Chooser(random.Random(seed)), stale)


def problem(choose: Chooser, stale: bool | None = None) -> dict[str, Any]:
    """A small problem. `stale` says whether what runs may break rules (that came later); None leaves it to chance."""
    hosts = [host(choose, n) for n in range(1, choose.pick([3, 4, 2, 4, 1, 3]) + 1)]
    grades = {name: grade(choose) for name in ("small", "other")[: choose.integer(1, 2)]}
    networks = {"lan": network(choose)} if choose.chance(30) else {}
    out: dict[str, Any] = {"version": 1, "hosts": hosts, "grades": grades, "networks": networks}
    out["clusters"] = clusters(choose, list(grades), list(networks))
    out["running"] = []
    if choose.chance(65):
        out["running"] = runs(choose, out, stale)
        for one in hosts:
            one["state"] = choose.pick(["active"] * 7 + ["drained", "cordoned", "unreachable"])
    options = {}
    if choose.chance(30):
        options["mode"] = choose.pick(["binpack", "spread", "balanced"])
    out["options"] = options
    return out


def host(choose: Chooser, number: int) -> dict[str, Any]:
    """A host of up to eight logical CPUs, with or without NUMA nodes and hyper-threads."""
    labels: dict[str, Any] = {"zone": choose.pick("aab"), "rack": choose.pick(["r1", "r2", "r3"])}
    if choose.chance(10):
        del labels["zone"]
    if choose.chance(40):
        labels["disk"] = choose.pick(["ssd", "hdd"])
    if choose.chance(20):
        labels["gen"] = choose.integer(1, 9)
    out: dict[str, Any] = {"name": f"h{number}", "labels": labels, "cpus": cpus(choose)}
    out["resources"] = {"memory": choose.integer(2, 9) * GIB, "disk": choose.integer(2, 9) * GIB}
    if choose.chance(50):
        out["resources"]["gpus"] = choose.integer(1, 2)
    if choose.chance(30):
        out["reserved"] = {"cores": choose.integer(0, 1), "memory": choose.integer(0, 1) * GIB}
    if isinstance(out["cpus"], list) and choose.chance(25):
        nodes = {cpu["node"] for cpu in out["cpus"]}
        out["numa_memory"] = {str(node): choose.integer(2, 6) * GIB for node in sorted(nodes)}
    return out


def cpus(choose: Chooser) -> int | list[dict[str, int]]:
    """A number of cores, or a small topology written out."""
    if not choose.chance(40):
        return choose.integer(2, 8)
    nodes, per_node, threads = choose.integer(1, 2), choose.integer(1, 3), choose.integer(1, 2)
    physical = nodes * per_node
    # As most kernels number them: first one thread of each physical core, then the other threads.
    return [
        {"id": thread * physical + core, "core": core, "socket": core // per_node, "node": core // per_node}
        for thread in range(threads)
        for core in range(physical)
    ]


def grade(choose: Chooser) -> dict[str, Any]:
    """What one container gets; amounts that fill small hosts quickly."""
    out: dict[str, Any] = {}
    if choose.chance(65):
        out["cores"] = choose.integer(1, 3)
        if choose.chance(25):
            out["numa"] = choose.pick([n for n in (1, 2) if out["cores"] % n == 0])
        if choose.chance(20):
            out["smt"] = "whole"
    elif choose.chance(90):
        out["cpus"] = choose.pick([0.5, 0.25, 1.5, 0.1])
    out["memory"] = choose.pick([1, 1, 2, 3]) * GIB
    if choose.chance(30):
        out["disk"] = choose.integer(1, 3) * GIB
    if choose.chance(15):
        out["resources"] = {"gpus": 1}
    return out


def network(choose: Chooser) -> dict[str, Any]:
    """A pool that sometimes is too small."""
    last = choose.integer(9, 16)
    return {"pool": [f"172.30.0.9-172.30.0.{last}"], "exclude": ["172.30.0.10"] if choose.chance(30) else []}


def clusters(choose: Chooser, grades: list[str], networks: list[str]) -> dict[str, Any]:
    """One or two tenants with up to three groups, six instances in all."""
    names = [("acme", "web"), ("acme", "db"), ("umbra", "web")][: choose.integer(1, 3)]
    left = 6
    out: dict[str, Any] = {}
    for cluster, group in names:
        count = 0 if choose.chance(8) else choose.integer(min(left, 1), min(left, 4))
        left -= count
        spec: dict[str, Any] = {"count": count, "grade": choose.pick(grades), "type": group, "digest": "new"}
        if networks and choose.chance(80):
            spec["network"] = networks[0]
        body = out.setdefault(cluster, {"state": "started", "groups": {}})
        if choose.chance(10):
            body["state"] = choose.pick(["started", "reserved", "stopped", "absent"])
        if "web" in body["groups"] and choose.chance(30):
            spec["requires"] = ["web"]
        if choose.chance(20):
            spec["update"] = {"batch": 2}
        body["groups"][group] = spec
    for cluster, group in names:
        if choose.chance(50):
            out[cluster]["groups"][group]["placement"] = placement(choose, cluster, group, names)
    return out


def placement(choose: Chooser, cluster: str, group: str, names: list[tuple[str, str]]) -> dict[str, Any]:
    """A few rules, each of which is hard in most cases."""
    out: dict[str, Any] = {}
    if choose.chance(25):
        out["constraints"] = [softly(choose, constraint(choose))]
    if choose.chance(25):
        out["affinity"] = [softly(choose, between(choose, cluster, names))]
    if choose.chance(40):
        rule = between(choose, cluster, names)
        if choose.chance(30):
            rule["max"] = 2
        out["anti_affinity"] = [softly(choose, rule)]
    if choose.chance(25):
        rule = {"topology": choose.pick(["zone", "rack", "host"]), "max_skew": choose.integer(1, 2)}
        out["spread"] = [softly(choose, rule)]
    if choose.chance(10):
        out["dedicated"] = True
    return out


def between(choose: Chooser, cluster: str, names: list[tuple[str, str]]) -> dict[str, Any]:
    """A rule that names a group: one's own, another, or another tenant's."""
    other, group = choose.pick(names)
    out: dict[str, Any] = {"group": group, "topology": choose.pick(["host", "zone", "rack"])}
    if other != cluster:
        out["cluster"] = other
    return out


def constraint(choose: Chooser) -> dict[str, Any]:
    """A demand on the labels of a host."""
    return choose.pick(
        [
            {"label": "zone", "in": ["a"]},
            {"label": "zone", "not_in": ["b"]},
            {"label": "disk", "in": ["ssd", "nvme"]},
            {"label": "disk", "exists": False},
            {"label": "disk", "exists": True},
            {"label": "gen", "greater_than": 3},
            {"label": "gen", "less_than": 7},
            {"label": "host", "not_in": ["h1"]},
        ]
    )


def softly(choose: Chooser, rule: dict[str, Any]) -> dict[str, Any]:
    """The rule, in some cases only preferred."""
    return {**rule, "required": False, "weight": choose.integer(1, 3)} if choose.chance(20) else rule


# --- what runs ------------------------------------------------------------------------------------------------------


def runs(choose: Chooser, problem: dict[str, Any], stale: bool | None) -> list[dict[str, Any]]:
    """Some of the wanted instances, and some surplus and foreign ones, on hosts that have room for them."""
    world = World(problem)
    by_chance = choose.chance(15)
    wanted = [key for key in sorted(world.desired) if choose.chance(70)]
    extra = [("acme", "web", 7)] if choose.chance(15) else []
    extra += [("stray", "cat", 0)] if choose.chance(15) else []
    out: list[dict[str, Any]] = []
    placed: list[Placed] = []
    for key in wanted + extra:
        run = one_run(choose, world, key, placed)
        if run is None:
            continue
        item = Placed(key, run["host"], run.pop("claim"), tuple(run["cores"] or ()), fresh=True)
        here = [other for other in placed if other.host == item.host] + [item]
        if not host_complaints(world.hosts[item.host], here):
            placed.append(item)
            out.append(run)
    while rule_complaints(world, placed) and not (by_chance if stale is None else stale):
        placed.pop()
        out.pop()
    give_addresses(choose, world, out)
    return out


def one_run(choose: Chooser, world: World, key: tuple[str, str, int], placed: list[Placed]) -> dict[str, Any] | None:
    """An instance that runs as its grade says, or as an older one did."""
    chosen = world.hosts[choose.pick(sorted(world.hosts))]
    spec = world.groups.get(key[:2], {})
    old = choose.chance(15)
    name = choose.pick(sorted(world.grades)) if old or not spec else spec["grade"]
    claim = world.grades[name]
    cores = own_cores(choose, chosen, claim, {c for other in placed if other.host == chosen.name for c in other.cores})
    if cores is None:
        return None
    claims: dict[str, Any] = {**dict(claim.amounts)}
    claims.update({"cores": claim.cores} if claim.cores else {"cpus": claim.cpus} if claim.cpus else {})
    return {
        "cluster": key[0],
        "group": key[1],
        "index": key[2],
        "host": chosen.name,
        "state": "exited" if choose.chance(5) else "running",
        "healthy": True,
        "claims": claims,
        "cores": cores,
        "digest": "old" if old else "new",
        "grade": name,
        "claim": claim,
    }


def own_cores(choose: Chooser, host: Host, claim: Claim, taken: set[int]) -> list[int] | None:
    """Real cores for a claim that obey its NUMA and SMT rules, if some are found quickly."""
    free = sorted(host.cores - taken)
    if not claim.cores:
        return []
    start = choose.integer(0, 3)
    by_core = sorted(free, key=lambda c: (host.node[c], min(host.siblings[c]), c))
    turned = by_core[start:] + by_core[:start]
    for cores in (by_core[: claim.cores], turned[: claim.cores], spread_over_nodes(host, free, claim)):
        item = Placed(("x", "x", 0), host.name, claim, tuple(sorted(cores)), fresh=True)
        if len(cores) == claim.cores and not [c for c in host_complaints(host, [item]) if "core" in c or "numa" in c]:
            return sorted(cores)
    return None


def spread_over_nodes(host: Host, free: list[int], claim: Claim) -> list[int]:
    """The lowest cores of each of the first nodes, as many on each."""
    parts = 1 if claim.numa == "any" else int(claim.numa)
    out: list[int] = []
    for node in sorted({host.node[c] for c in free})[:parts]:
        out += [c for c in free if host.node[c] == node][: claim.cores // parts]
    return out


def give_addresses(choose: Chooser, world: World, runs: list[dict[str, Any]]) -> None:
    """Addresses of the pool for what runs on a network."""
    numbers = iter([9, 11, 12, 13, 14, 15, 16])
    for run in runs:
        spec = world.groups.get((run["cluster"], run["group"]), {"network": "lan" if world.networks else None})
        if spec.get("network"):
            run["network"], run["address"] = spec["network"], f"172.30.0.{next(numbers)}"
