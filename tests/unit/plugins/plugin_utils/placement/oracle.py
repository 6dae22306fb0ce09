"""A slow, plain judge of plans. It shares no code with the planner: all of it is written from docs/architecture.md.

`complaints(problem, plan)` lists what is wrong with a plan; both are the plain JSON dicts that cross the wall. It is
linear in the number of instances, so that it can judge a fleet too. What is possible at all is found by
`oracle_search.py`, for small problems, by trying everything.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
import re
from typing import Any

Key = tuple[str, str, int]
LITTLE = 1e-6
STAYS = {"keep", "unknown", "foreign"}
ON_A_HOST = STAYS | {"create", "update", "move", "start", "stop"}
UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}


def size(value: Any) -> float:
    """A size in bytes (or in whatever a named resource counts), from a number or a string like "512m"."""
    if isinstance(value, (int, float)):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?\s*", value.lower())
    if not match:
        raise ValueError(value)
    return float(match.group(1)) * UNITS[match.group(2)]


def text(value: Any) -> str:
    """A label's value as it is compared."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def cpus_of(host: dict[str, Any]) -> list[dict[str, int]]:
    """The logical CPUs of a host, written out where only their number is given."""
    cpus = host.get("cpus", 0)
    if isinstance(cpus, int):
        return [{"id": i, "core": i, "socket": 0, "node": 0} for i in range(cpus)]
    return [{"core": cpu["id"], "socket": 0, "node": 0, **cpu} for cpu in cpus]


class Host:
    """A host's allowance: what it has, less what is reserved."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.name: str = raw["name"]
        self.state: str = raw.get("state", "active")
        self.labels = {"host": self.name, **{k: text(v) for k, v in (raw.get("labels") or {}).items()}}
        reserved = raw.get("reserved") or {}
        self.cpus = {cpu["id"]: cpu for cpu in cpus_of(raw)}
        self.reserved_cores = set(sorted(self.cpus)[: int(reserved.get("cores", 0))])
        self.cores = set(self.cpus) - self.reserved_cores
        self.node = {i: cpu["node"] for i, cpu in self.cpus.items()}
        siblings = collections.defaultdict(set)
        for i, cpu in self.cpus.items():
            siblings[cpu["socket"], cpu["core"]].add(i)
        self.siblings = {i: siblings[cpu["socket"], cpu["core"]] for i, cpu in self.cpus.items()}
        self.threads = max((len(together) for together in siblings.values()), default=1)
        self.allowance = {
            name: size(amount) - size(reserved.get(name, 0)) for name, amount in (raw.get("resources") or {}).items()
        }
        per_node = raw.get("numa_memory") or {}
        pairs = enumerate(per_node) if isinstance(per_node, list) else per_node.items()
        self.node_memory = {int(node): size(amount) for node, amount in sorted(pairs, key=lambda p: int(p[0]))}
        held_back = size(reserved.get("memory", 0))
        for node in sorted(self.node_memory):
            taken = min(held_back, self.node_memory[node])
            self.node_memory[node] -= taken
            held_back -= taken
        self.disks: list[tuple[Key, float]] = []

    def lying(self, placed: list[Placed]) -> float:
        """Bytes of data disks that are no part of what an instance on this host claims."""
        claimed = {item.key: dict(item.claim.amounts).get("disk", 0) for item in placed}
        return math.fsum(max(0.0, amount - claimed.get(key, 0)) for key, amount in self.disks)


@dataclasses.dataclass(frozen=True)
class Claim:
    """What one instance takes of its host."""

    cores: int = 0
    cpus: float = 0.0
    amounts: tuple[tuple[str, float], ...] = ()
    numa: Any = "any"
    smt: str = "any"

    @classmethod
    def of_grade(cls, grade: dict[str, Any]) -> Claim:
        """What a grade promises."""
        amounts = {k: size(grade[k]) for k in ("memory", "disk") if grade.get(k)}
        amounts.update({k: size(v) for k, v in (grade.get("resources") or {}).items()})
        return cls(
            int(grade.get("cores") or 0),
            float(grade.get("cpus") or 0),
            tuple(sorted(amounts.items())),
            grade.get("numa", "any"),
            grade.get("smt", "any"),
        )

    @classmethod
    def of_claims(cls, claims: dict[str, Any]) -> Claim:
        """What a running instance was promised (the label's claims: cores, cpus, and the rest by name)."""
        flat = {k: v for k, v in claims.items() if k not in ("cores", "cpus", "resources") and v is not None}
        flat.update(claims.get("resources") or {})
        amounts = tuple(sorted((k, size(v)) for k, v in flat.items()))
        return cls(int(claims.get("cores") or 0), float(claims.get("cpus") or 0), amounts)


@dataclasses.dataclass
class Placed:
    """An instance on a host, with all it holds there."""

    key: Key
    host: str
    claim: Claim
    cores: tuple[int, ...] = ()
    network: str | None = None
    address: str | None = None
    fresh: bool = False  # put there (or changed) by the plan, so that it must fit
    arrives: bool = False  # put there by the plan, so that it must obey all rules

    @property
    def name(self) -> str:
        """The container's name."""
        return "_".join(map(str, self.key))


class World:
    """A problem, read plainly."""

    def __init__(self, problem: dict[str, Any]) -> None:
        self.problem = problem
        self.hosts = {h["name"]: Host(h) for h in problem["hosts"]}
        self.grades = {n: Claim.of_grade(g) for n, g in (problem.get("grades") or {}).items()}
        for disk in problem.get("disks") or []:
            key = (disk["cluster"], disk["group"], disk["index"])
            self.hosts[disk["host"]].disks.append((key, size(disk["size"])))
        self.networks = problem.get("networks") or {}
        self.groups: dict[tuple[str, str], dict[str, Any]] = {}
        self.desired: dict[Key, dict[str, Any]] = {}
        for cluster, body in (problem.get("clusters") or {}).items():
            for group, spec in (body.get("groups") or {}).items():
                self.groups[cluster, group] = spec
                count = 0 if body.get("state") == "absent" else spec.get("count", 1)
                for index in range(count):
                    self.desired[cluster, group, index] = spec
        self.running = {(r["cluster"], r["group"], r["index"]): r for r in problem.get("running") or []}

    def placement(self, key: Key) -> dict[str, Any]:
        """The placement rules of an instance; none for a foreign one."""
        return self.groups.get(key[:2], {}).get("placement") or {}

    def fate(self, key: Key) -> str:
        """What becomes of a running instance: wanted, foreign or surplus."""
        if key in self.desired:
            return "wanted"
        clusters = self.problem.get("clusters") or {}
        known = key[0] in clusters and (clusters[key[0]].get("state") == "absent" or key[:2] in self.groups)
        return "surplus" if known else "foreign"

    def decides(self, key: Key) -> bool:
        """Whether a plan has a say in it: it is wanted, and its host answers (or it does not run yet)."""
        run = self.running.get(key)
        return key in self.desired and (run is None or self.hosts[run["host"]].state != "unreachable")

    @functools.cached_property
    def _silent(self) -> collections.Counter[tuple[str, str]]:
        """Of each group, as below; counted once, since a fleet's judge asks for every instance."""
        replaced = (self.problem.get("options") or {}).get("replace_unreachable", False)
        return collections.Counter(
            key[:2]
            for key, run in self.running.items()
            if key in self.desired and self.hosts[run["host"]].state == "unreachable"
            if replaced is not True and run["host"] not in (replaced or [])
        )

    def silent(self, group: tuple[str, str]) -> int:
        """How many wanted members of a group are on hosts that don't answer, and are not replaced."""
        return self._silent[group]

    def batch(self, group: tuple[str, str]) -> int:
        """How many members of a group may be down at once."""
        return int((self.groups[group].get("update") or {}).get("batch", 1))

    def waits(self, key: Key) -> bool:
        """Whether an instance must stay up as it is, since as many of its group are silent as may be down at once."""
        run = self.running.get(key)
        if run is None or key not in self.desired or self.hosts[run["host"]].state == "unreachable":
            return False
        well = run.get("state", "running") in ("running", "restarting") and run.get("healthy") is not False
        started = self.problem["clusters"][key[0]].get("state", "started") == "started"
        return well and started and self.silent(key[:2]) >= self.batch(key[:2])

    def as_running(self, key: Key) -> Placed:
        """A running instance as it is now."""
        run = self.running[key]
        claim = Claim.of_claims(run["claims"]) if "claims" in run else self.grades[run["grade"]]
        return Placed(key, run["host"], claim, tuple(run.get("cores") or ()), run.get("network"), run.get("address"))


def hard(rule: dict[str, Any]) -> bool:
    """Whether a rule must be kept."""
    return rule.get("required", True)


def admits(host: Host, constraint: dict[str, Any]) -> bool:
    """Whether a host satisfies one constraint."""
    value = host.labels.get(constraint["label"])
    if "in" in constraint and value not in [text(v) for v in constraint["in"]]:
        return False
    if "not_in" in constraint and value in [text(v) for v in constraint["not_in"]]:
        return False
    if "exists" in constraint and (value is not None) != constraint["exists"]:
        return False
    for word, sign in (("greater_than", 1), ("less_than", -1)):
        if word in constraint:
            try:
                if (float(value) - float(constraint[word])) * sign <= 0:  # type: ignore[arg-type]
                    return False
            except (TypeError, ValueError):
                return False
    return True


def admitted(host: Host, placement: dict[str, Any]) -> bool:
    """Whether a host satisfies all hard constraints."""
    return all(admits(host, c) for c in placement.get("constraints") or [] if hard(c))


# --- one host -------------------------------------------------------------------------------------------------------


def host_complaints(host: Host, placed: list[Placed], fresh_only: bool = True) -> list[str]:
    """What is wrong on one host. What already was too much before is no fault of the plan unless it adds to it."""
    out: list[str] = []
    owners: dict[int, str] = {}
    for item in placed:
        out += own_cores_complaints(host, item)
        for core in item.cores:
            if core in owners:
                out.append(f"{host.name}: core {core} is owned by {owners[core]} and {item.name}")
            owners[core] = item.name
    if fresh_only and not any(item.fresh for item in placed):
        return out
    shared = math.fsum(item.claim.cpus for item in placed)
    unowned = len(host.cores - set(owners))
    if shared > unowned + LITTLE:
        out.append(f"{host.name}: {shared} cpus are promised of {unowned} cores that nobody owns")
    if not unowned and any(not item.claim.cores for item in placed):
        out.append(f"{host.name}: containers without own cores, but no core is left that nobody owns")
    sums: dict[str, float] = collections.defaultdict(float)
    grows = set()
    for item in placed:
        for resource, amount in item.claim.amounts:
            sums[resource] += amount
            if item.fresh and amount > 0:
                grows.add(resource)
    sums["disk"] += host.lying(placed)
    for resource in sorted(grows):
        if sums[resource] > host.allowance.get(resource, 0) + LITTLE:
            out.append(f"{host.name}: {sums[resource]} of {resource} promised, {host.allowance.get(resource, 0)} there")
    return out + node_memory_complaints(host, placed)


def own_cores_complaints(host: Host, item: Placed) -> list[str]:
    """Whether an instance's own cores are real, free to give, as many as promised, and as its grade asks."""
    if not item.fresh:
        return []
    where = f"{item.name} on {host.name}"
    cores = set(item.cores)
    out = []
    if len(item.cores) != item.claim.cores or len(cores) != len(item.cores):
        out.append(f"{where}: owns {sorted(item.cores)}, its grade says {item.claim.cores} cores")
    if cores - set(host.cpus):
        out.append(f"{where}: cores {sorted(cores - set(host.cpus))} do not exist")
        return out
    if cores & host.reserved_cores:
        out.append(f"{where}: cores {sorted(cores & host.reserved_cores)} are reserved")
    if cores and item.claim.numa != "any":
        share = collections.Counter(host.node[c] for c in cores)
        if len(share) != int(item.claim.numa) or len(set(share.values())) > 1:
            out.append(f"{where}: numa {item.claim.numa}, but its cores lie in nodes as {dict(share)}")
    if item.claim.smt == "whole" and any(
        host.siblings[c] - cores or len(host.siblings[c]) < host.threads for c in cores
    ):
        out.append(f"{where}: smt whole, but {sorted(cores)} are not whole physical cores")
    return out


def node_memory_complaints(host: Host, placed: list[Placed]) -> list[str]:
    """Where memory per NUMA node is known: `numa: n` draws an n-th of its memory from each of its nodes."""
    if not host.node_memory:
        return []
    used: dict[int, float] = collections.defaultdict(float)
    fresh_on = set()
    for item in placed:
        if item.claim.numa == "any" or not item.cores:
            continue
        memory = dict(item.claim.amounts).get("memory", 0)
        for node in {host.node[c] for c in item.cores if c in host.node}:
            used[node] += memory / int(item.claim.numa)
            if item.fresh:
                fresh_on.add(node)
    out = [
        f"{host.name}: {used[n]} bytes drawn from NUMA node {n}, which has {host.node_memory.get(n, 0)}"
        for n in sorted(fresh_on)
        if used[n] > host.node_memory.get(n, 0) + LITTLE * used[n]
    ]
    total = math.fsum(dict(item.claim.amounts).get("memory", 0) for item in placed)
    if total > sum(host.node_memory.values()) * (1 + LITTLE):
        out.append(f"{host.name}: {total} bytes promised, all its NUMA nodes have {sum(host.node_memory.values())}")
    return out


# --- rules over many hosts ------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Broken:
    """A broken rule, and the instances without whose doing it would not be broken."""

    text: str
    who: frozenset[Key]
    rule: tuple[Any, ...] = ()


class Census:
    """How many instances of which group are in which domain of which topology."""

    def __init__(self, world: World, placed: list[Placed]) -> None:
        self.world = world
        self.placed = placed
        self.of_group: dict[tuple[str, str], list[Placed]] = collections.defaultdict(list)
        for item in placed:
            self.of_group[item.key[:2]].append(item)
        self._members: dict[tuple[tuple[str, str], str], dict[str, list[Placed]]] = {}

    def members(self, group: tuple[str, str], topology: str) -> dict[str, list[Placed]]:
        """The instances of a group by domain; those on hosts without the label are in none."""
        known = self._members.get((group, topology))
        if known is None:
            known = collections.defaultdict(list)
            for item in self.of_group.get(group, []):
                domain = self.world.hosts[item.host].labels.get(topology)
                if domain is not None:
                    known[domain].append(item)
            self._members[group, topology] = known
        return known


def rule_complaints(world: World, placed: list[Placed]) -> list[Broken]:
    """All hard rules that this state of the fleet breaks, each from the side of the group that has the rule."""
    census = Census(world, placed)
    out: list[Broken] = []
    for group in sorted(census.of_group):
        rules = world.groups.get(group, {}).get("placement") or {}
        found = [("constraints", 0, constraint_breaks(world, census, group, rules))]
        for kind, breaks in RULES.items():
            for number, rule in enumerate(rules.get(kind) or []):
                if hard(rule):
                    found.append((kind, number, breaks(world, census, group, rule)))
        if rules.get("dedicated"):
            found.append(("dedicated", 0, dedicated_breaks(census, group, placed)))
        out += [
            dataclasses.replace(broken, rule=(group, kind, number))
            for kind, number, listed in found
            for broken in listed
        ]
    return out


def offenders(world: World, placed: list[Placed], stuck: set[Key]) -> list[str]:
    """Hard rules that a state breaks through the plan's own doing, or that what stays breaks without being reported.

    What arrives obeys all rules towards all that is there. What stays where it ran obeys them too, but not towards
    what is stuck (that one is reported in its stead), nor towards what is remembered on a dead host.
    """
    everyone = rule_complaints(world, placed)
    arriving = {item.key for item in placed if item.arrives}
    out = [broken.text for broken in everyone if broken.who & arriving]
    left_out = stuck | {item.key for item in placed if world.hosts[item.host].state == "unreachable"}
    without = rule_complaints(world, [i for i in placed if i.key not in left_out]) if left_out else everyone
    staying = {item.key for item in placed if world.decides(item.key) and not world.waits(item.key)} - arriving - stuck
    both = {(b.rule, key) for b in everyone for key in b.who} & {(b.rule, key) for b in without for key in b.who}
    return out + [f"{key} stays though it breaks {rule}, and is not reported" for rule, key in both if key in staying]


def constraint_breaks(world: World, census: Census, group: tuple[str, str], rules: dict[str, Any]) -> list[Broken]:
    """Members on hosts that their constraints don't admit."""
    return [
        Broken(f"{item.name}: {item.host} breaks its constraints", frozenset([item.key]))
        for item in (census.of_group[group] if rules.get("constraints") else [])
        if not admitted(world.hosts[item.host], rules)
    ]


def target(group: tuple[str, str], rule: dict[str, Any]) -> tuple[str, str]:
    """The group that a rule speaks of."""
    return rule.get("cluster") or group[0], rule.get("group") or group[1]


def affinity_breaks(world: World, census: Census, group: tuple[str, str], rule: dict[str, Any]) -> list[Broken]:
    """Members in a domain without a member of the other group; of one's own group: members in several domains."""
    topology, other = rule.get("topology", "host"), target(group, rule)
    there = census.members(other, topology)
    text = f"affinity of {'/'.join(group)} to {'/'.join(other)} over {topology}"
    out = []
    for item in census.of_group[group]:
        domain = world.hosts[item.host].labels.get(topology)
        if domain is None or not there.get(domain):
            out.append(Broken(f"{text}: {item.name} is alone on {item.host}", frozenset([item.key])))
    if other == group and len(there) > 1:
        out.append(Broken(f"{text}: in {sorted(there)}", frozenset(i.key for i in census.of_group[group])))
    return out


def anti_affinity_breaks(world: World, census: Census, group: tuple[str, str], rule: dict[str, Any]) -> list[Broken]:
    """Domains with too many members together."""
    topology, other, most = rule.get("topology", "host"), target(group, rule), rule.get("max", 1)
    mine, theirs = census.members(group, topology), census.members(other, topology)
    out = []
    for domain in sorted(mine):
        others = len(theirs.get(domain, [])) - (1 if other == group else 0)
        if mine[domain] and others >= most:
            who = frozenset(i.key for i in mine[domain] + theirs.get(domain, []))
            out.append(
                Broken(f"anti-affinity of {'/'.join(group)} to {'/'.join(other)} over {topology} in {domain}", who)
            )
    return out


def eligible(world: World, group: tuple[str, str], topology: str) -> set[str]:
    """The domains with an active host that the group's hard constraints admit: spread is measured from their least."""
    rules = world.groups[group].get("placement") or {}
    return {
        h.labels[topology]
        for h in world.hosts.values()
        if topology in h.labels and h.state == "active" and admitted(h, rules)
    }


def spread_breaks(world: World, census: Census, group: tuple[str, str], rule: dict[str, Any]) -> list[Broken]:
    """A group whose fullest and emptiest domain differ by more than `max_skew`, or a member in no domain."""
    topology, most = rule.get("topology", "zone"), rule.get("max_skew", 1)
    mine = census.members(group, topology)
    text = f"spread of {'/'.join(group)} over {topology}"
    out = [
        Broken(f"{text}: {item.name} is on {item.host}, which has no such label", frozenset([item.key]))
        for item in census.of_group[group]
        if topology not in world.hosts[item.host].labels
    ]
    least = min((len(mine.get(domain, [])) for domain in eligible(world, group, topology)), default=None)
    for domain in sorted(mine):
        if least is not None and len(mine[domain]) - least > most:
            who = frozenset(i.key for i in mine[domain])
            out.append(Broken(f"{text}: {len(mine[domain])} in {domain}, {least} in the emptiest", who))
    return out


def dedicated_breaks(census: Census, group: tuple[str, str], placed: list[Placed]) -> list[Broken]:
    """Other tenants on the hosts of a dedicated group."""
    mine: dict[str, list[Key]] = collections.defaultdict(list)
    for item in census.of_group[group]:
        mine[item.host].append(item.key)
    return [
        Broken(f"{'/'.join(group)} is dedicated, but {i.name} is on {i.host}", frozenset([i.key, *mine[i.host]]))
        for i in placed
        if i.host in mine and i.key[0] != group[0]
    ]


RULES = {"affinity": affinity_breaks, "anti_affinity": anti_affinity_breaks, "spread": spread_breaks}
