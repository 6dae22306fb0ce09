"""Judges a whole plan: nobody forgotten, nothing overcommitted at any step, no rule broken."""

from __future__ import annotations

import collections
from typing import Any

from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle import (
    ON_A_HOST,
    Claim,
    Key,
    Placed,
    World,
    host_complaints,
    offenders,
    rule_complaints,
)
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_addresses import (
    address_complaints,
)

ACTIONS = {"keep", "create", "update", "move", "start", "stop", "remove", "unknown", "foreign"}
QUIET = {"keep", "unknown", "foreign"}


def complaints(problem: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    """All that is wrong with a plan; empty for a good one. Both are plain JSON dicts."""
    world = World(problem)
    out = roll_call(world, plan)
    if out:
        return out
    after = final_state(world, plan)
    for host, items in by_host(after).items():
        out += host_complaints(world.hosts[host], items)
    out += address_complaints(world, after)
    out += offenders(world, after, {key_of(u) for u in plan["unplaced"]} & set(world.running))
    out += fate_complaints(world, plan)
    out += step_complaints(world, plan)
    return out + figure_complaints(world, plan, after)


def key_of(entry: dict[str, Any]) -> Key:
    """Which instance an entry of a plan speaks of."""
    return entry["cluster"], entry["group"], entry["index"]


def by_host(placed: list[Placed]) -> dict[str, list[Placed]]:
    """Placed instances by their host."""
    out: dict[str, list[Placed]] = collections.defaultdict(list)
    for item in placed:
        out[item.host].append(item)
    return out


def roll_call(world: World, plan: dict[str, Any]) -> list[str]:
    """Every instance wanted or running is answered for exactly once, with an action there is."""
    out = []
    seen = collections.Counter(key_of(i) for i in plan["instances"])
    missing = {key_of(u) for u in plan["unplaced"]}
    out += [f"{key} is listed {n} times" for key, n in seen.items() if n > 1]
    for entry in plan["instances"]:
        key, action = key_of(entry), entry["action"]
        if action not in ACTIONS:
            out.append(f"{key}: no such action: {action}")
        if key not in world.desired and key not in world.running:
            out.append(f"{key} is neither wanted nor running")
        if entry["name"] != "_".join(map(str, key)):
            out.append(f"{key} is named {entry['name']}")
        if action in ON_A_HOST and entry["host"] not in world.hosts:
            out.append(f"{key} is on {entry['host']}, which is no host")
    for key in world.desired:
        if key not in seen and key not in missing:
            out.append(f"{key} is forgotten: neither placed nor unplaced")
        if key in missing and key not in world.running and key in seen:
            out.append(f"{key} is both placed and unplaced")
    out += [f"{key} runs, but is forgotten" for key in world.running if key not in seen]
    return out + [f"{key} is unplaced, but nobody wanted it" for key in missing - set(world.desired)]


def final_state(world: World, plan: dict[str, Any]) -> list[Placed]:
    """What is where when the plan is done."""
    return [placed_by(world, entry) for entry in plan["instances"] if entry["action"] in ON_A_HOST]


def placed_by(world: World, entry: dict[str, Any]) -> Placed:
    """One instance as the plan has it. What was not changed is counted as it was, not as the plan writes it down."""
    key = key_of(entry)
    fresh = entry["action"] in ("create", "update", "move")
    if not fresh:
        return as_running(world, key)
    claim = world.grades[world.desired[key]["grade"]] if key in world.desired else as_running(world, key).claim
    cores = tuple(entry["cores"] or ()) if claim.cores else ()
    return Placed(
        key, entry["host"], claim, cores, entry["network"], entry["address"], True, arrives=entry["action"] != "update"
    )


def as_running(world: World, key: Key) -> Placed:
    """A running instance; its grade, where known, says how its memory lies over NUMA nodes."""
    item = world.as_running(key)
    grade = world.grades.get(world.running[key].get("grade") or "")
    if grade is not None:
        claim = item.claim
        item.claim = Claim(claim.cores, claim.cpus, claim.amounts, grade.numa, grade.smt)
    return item


def fate_complaints(world: World, plan: dict[str, Any]) -> list[str]:
    """Each action fits what was wanted, what was there, and the state of its host."""
    out = []
    for entry in plan["instances"]:
        key, action = key_of(entry), entry["action"]
        if key in world.running:
            out += running_complaints(world, key, entry, plan)
        elif action != "create":
            out.append(f"{key} does not run, yet its action is {action}")
        if action in ("create", "move") and world.hosts[entry["host"]].state != "active":
            out.append(f"{key} goes to {entry['host']}, which is {world.hosts[entry['host']].state}")
        out += written_down(world, key, entry)
    return out


def running_complaints(world: World, key: Key, entry: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    """What may become of an instance that runs."""
    run, action = world.running[key], entry["action"]
    home = world.hosts[run["host"]]
    fate = world.fate(key)
    if home.state == "unreachable":
        replaced = world.problem.get("options", {}).get("replace_unreachable", False)
        allowed = {"unknown"} | ({"move"} if replaced is True or home.name in (replaced or []) else set())
        allowed |= {"foreign"} if fate == "foreign" else set()
    elif fate == "foreign":
        allowed = {"foreign"}
    elif fate == "surplus":
        allowed = {"remove"}
    else:
        allowed = {"keep"} if world.waits(key) else {"keep", "update", "move", "start", "stop"}
    out = [] if action in allowed else [f"{key} is {fate} on {home.name} ({home.state}), yet its action is {action}"]
    if action in ("keep", "update", "start", "stop", "unknown", "foreign") and entry["host"] != run["host"]:
        out.append(f"{key}: action {action}, but from {run['host']} to {entry['host']}")
    if action == "move" and (entry["from_host"] != run["host"] or entry["host"] == run["host"]):
        out.append(f"{key}: a move from {entry['from_host']} to {entry['host']}, but it runs on {run['host']}")
    stuck = key in {key_of(u) for u in plan["unplaced"]}
    if action == "keep" and "digest" in run and key in world.desired and not stuck:
        wanted = world.desired[key].get("digest")
        outdated = wanted is not None and run["digest"] is not None and wanted != run["digest"]
        if outdated and not (world.waits(key) and entry.get("waits")):
            out.append(f"{key} is kept, though its digest is to be {wanted}")
    if "waits" in entry and not world.waits(key):
        out.append(f"{key} waits ({entry['waits']}), though enough of its group answer")
    if home.state == "drained" and world.waits(key) and not stuck:
        out.append(f"{key} stays on {home.name}, which is drained, and is not reported")
    return out


def written_down(world: World, key: Key, entry: dict[str, Any]) -> list[str]:
    """The plan's own words: cpuset, mems and sizes agree with the cores and the grade."""
    if entry["action"] not in ("create", "update", "move") or key not in world.desired:
        return []
    out = []
    host, claim = world.hosts[entry["host"]], world.grades[world.desired[key]["grade"]]
    amounts = dict(claim.amounts)
    if claim.cores and sorted(entry["cpuset"]) != sorted(entry["cores"]):
        out.append(f"{key}: owns {entry['cores']}, but is confined to {entry['cpuset']}")
    nodes, mems = {host.node[c] for c in entry["cores"] or [] if c in host.node}, set(entry["mems"] or [])
    # Where memory is counted per node, some may lie in a node in which the instance has no core.
    if claim.cores and (nodes - mems or (mems - nodes and not (host.node_memory and claim.numa == "any"))):
        out.append(f"{key}: mems {entry['mems']} are not the NUMA nodes of cores {entry['cores']}")
    if (entry["memory"] or 0) != amounts.get("memory", 0):
        out.append(f"{key}: memory {entry['memory']}, its grade says {amounts.get('memory', 0)}")
    if (entry["disk"] or 0) != amounts.get("disk", 0):
        out.append(f"{key}: disk {entry['disk']}, its grade says {amounts.get('disk', 0)}")
    return out


# --- steps ----------------------------------------------------------------------------------------------------------


def step_complaints(world: World, plan: dict[str, Any]) -> list[str]:
    """Steps in a valid order, each change in exactly one of them, and no overcommit at any boundary."""
    out = order_complaints(world, plan)
    entries = {entry["name"]: entry for entry in plan["instances"]}
    state = {key: as_running(world, key) for key in world.running}
    done: collections.Counter[str] = collections.Counter()
    for step in plan["steps"]:
        leaving = take_step(world, state, [entries[name] for name in step["instances"]], step)
        done.update(step["instances"])
        out += boundary_complaints(world, state, leaving, step)
    for name, entry in entries.items():
        if entry["action"] not in QUIET and not done[name]:
            out.append(f"{name}: {entry['action']} is in no step")
    wanted = {key_of(e): e["host"] for e in plan["instances"] if e["action"] in ON_A_HOST}
    if {key: item.host for key, item in state.items()} != wanted:
        out.append("the steps do not lead to the state that the plan says")
    return out


def take_step(
    world: World, state: dict[Key, Placed], entries: list[dict[str, Any]], step: dict[str, Any]
) -> list[Placed]:
    """Do to the state what a step says. Returns what still takes room while the step is under way.

    A moved instance holds its old place until the new one is healthy.
    """
    leaving = []
    via = step.get("via") or {}
    for entry in [{**entry, **via.get(entry["name"], {})} for entry in entries]:
        key = key_of(entry)
        if step["kind"] == "remove":
            state.pop(key, None)
        elif entry["action"] in ON_A_HOST:
            if entry["action"] == "move" and key in state:
                leaving.append(state[key])
            state[key] = placed_by(world, entry)
    touched = {state[key].host for key in map(key_of, entries) if key in state}
    return [item for item in leaving if item.host in touched]


def boundary_complaints(
    world: World, state: dict[Key, Placed], leaving: list[Placed], step: dict[str, Any]
) -> list[str]:
    """What is wrong on the hosts that a step put something on."""
    parts = (name.split("_") for name in step["instances"])
    keys = [(cluster, group, int(index)) for cluster, group, index in parts]
    touched = {state[key].host for key in keys if key in state}
    items = by_host([item for item in state.values() if item.host in touched] + leaving)
    out = [text for host in sorted(touched) for text in host_complaints(world.hosts[host], items[host])]
    for name in step.get("via") or {}:
        broken = rule_complaints(world, list(state.values()))
        out += [f"a stop breaks {b.text}" for b in broken if name in {"_".join(map(str, key)) for key in b.who}]
    if len(state) < 1000:
        out += address_complaints(world, list(state.values()))
    return [f"during step {step['index']} ({step['name']}): {text}" for text in out]


def order_complaints(world: World, plan: dict[str, Any]) -> list[str]:
    """Steps are listed after what they wait for; groups wait for the groups they require; updates roll in batches."""
    out: list[str] = []
    entries = {entry["name"]: entry for entry in plan["instances"]}
    ancestors: dict[int, set[int]] = {}
    creates: dict[tuple[str, str], set[int]] = collections.defaultdict(set)
    for position, step in enumerate(plan["steps"]):
        if step["index"] != position:
            out.append(f"step {position} calls itself {step['index']}")
        ancestors[position] = set(step["waits_for"])
        for earlier in step["waits_for"]:
            if earlier >= position:
                out.append(f"step {position} waits for {earlier}, which comes later")
            ancestors[position] |= ancestors.get(earlier, set())
        rolling: collections.Counter[tuple[str, str]] = collections.Counter()
        for name in step["instances"]:
            if name not in entries:
                out.append(f"step {position} speaks of {name}, which is not in the plan")
                continue
            entry = entries[name]
            group = (entry["cluster"], entry["group"])
            if entry["action"] == "create" and step["kind"] != "remove" and entry["state"] == "started":
                creates[group].add(position)
            if entry["action"] in ("update", "move") and step["kind"] != "remove":
                rolling[group] += 1
        out += [
            f"step {position} touches {n} of {'/'.join(group)} at once"
            for group, n in rolling.items()
            if n > max(1, world.batch(group) - world.silent(group))
        ]
    for group, steps in creates.items():
        for other in world.groups[group].get("requires") or []:
            for step in steps:
                late = creates.get((group[0], other), set()) - ancestors[step]
                out += [
                    f"step {step} starts {'/'.join(group)} before step {n} has started {other}" for n in sorted(late)
                ]
    return out


# --- figures --------------------------------------------------------------------------------------------------------


def figure_complaints(world: World, plan: dict[str, Any], after: list[Placed]) -> list[str]:
    """The sums that a plan gives agree with its instances."""
    out = []
    count = collections.Counter(entry["action"] for entry in plan["instances"])
    summary = plan["summary"]
    for action in ("create", "keep", "update", "move", "remove", "unknown", "foreign"):
        if summary[action] != count[action]:
            out.append(f"summary says {summary[action]} to {action}, the instances say {count[action]}")
    used = {item.host for item in after}
    if summary["hosts_used"] != len(used):
        out.append(f"summary says {summary['hosts_used']} hosts used, the instances say {len(used)}")
    if summary["unplaced"] != len(plan["unplaced"]):
        out.append(f"summary says {summary['unplaced']} unplaced, there are {len(plan['unplaced'])}")
    if plan["complete"] != (not plan["unplaced"]):
        out.append(f"complete is {plan['complete']}, with {len(plan['unplaced'])} unplaced")
    if plan["changed"] != any(entry["action"] not in QUIET for entry in plan["instances"]):
        out.append(f"changed is {plan['changed']}, but the actions are {dict(count)}")
    return out + free_complaints(world, plan, after)


def free_complaints(world: World, plan: dict[str, Any], after: list[Placed]) -> list[str]:
    """What the plan says is left on each host is what is left."""
    out = []
    items = by_host(after)
    for name, said in plan["hosts"].items():
        host = world.hosts[name]
        here = items.get(name, [])
        owned = {core for item in here for core in item.cores}
        if sorted(said["shared_cores"]) != sorted(host.cores - owned):
            out.append(f"{name}: shared cores {said['shared_cores']}, but nobody owns {sorted(host.cores - owned)}")
        if said["instances"] != len(here):
            out.append(f"{name}: says {said['instances']} instances, has {len(here)}")
        for resource in host.allowance:
            left = host.allowance[resource] - sum(dict(i.claim.amounts).get(resource, 0) for i in here)
            left -= host.lying(here) if resource == "disk" else 0
            if resource in said["free"] and abs(said["free"][resource] - left) > 1 and left >= 0:
                out.append(f"{name}: says {said['free'][resource]} of {resource} are free, {left} are")
    return out
