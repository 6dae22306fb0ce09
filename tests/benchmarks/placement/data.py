"""The data sets: public traces from disk, and a fleet that is generated.

A `Workload` is plain numbers that peers and the bound work on; `problem()` is the same as the planner's JSON dict.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import smoke

GIB = 2**30
MIB = 2**20
RACKS = 100


@dataclasses.dataclass(frozen=True)
class Flavour:
    """What one instance takes: cores (or a share of them), bytes; `numa` nodes it lies in evenly, 0 for anywhere."""

    cores: float
    memory: int
    numa: int = 0


@dataclasses.dataclass(frozen=True)
class Item:
    """One instance in the order it arrived: its flavour's number, and the rule of the group it belongs to, if any."""

    flavour: int
    rule: str = ""
    group: str = ""
    domain: str = ""


@dataclasses.dataclass
class Workload:
    """Hosts as arrays of shape (hosts, NUMA nodes), racks of shape (hosts,), and items in order of arrival."""

    name: str
    cores: NDArray[np.float64]
    memory: NDArray[np.float64]
    racks: NDArray[np.int64]
    flavours: list[Flavour]
    items: list[Item]
    problem: dict[str, Any]


def folder() -> Path:
    """Where the traces are: `STOWAGE_DATA`, or ../shared/data beside the checkout."""
    beside = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    return Path(os.environ.get("STOWAGE_DATA") or beside)


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file of the traces; a missing one is an error that says where it was looked for."""
    if smoke():
        return made_up(name)
    file = folder() / name
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing; STOWAGE_DATA names the folder with huawei/ and openb/")
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def made_up(name: str) -> list[dict[str, str]]:
    """Rows as the traces have them, few and invented, so that a smoke run needs no data."""
    rng = random.Random(name)
    few = range(120)
    made: dict[str, Callable[[int], dict[str, object]]] = {
        "PM_res": lambda _n: {"CPU1": 32, "RAM1": 128, "CPU2": 32, "RAM2": 128},
        "VM_data": lambda n: {
            "flavor_vcpus": rng.choice([2, 4, 8]),
            "flavor_ram": rng.choice([4, 8, 16]),
            "numa": rng.choice([1, 2]),
            "strategy": ["", "", "", "affinity", "anti-affinity", "fault_domain"][n // 4 % 6],
            "group": n // 4 if n // 4 % 6 > 2 else "",
            "domain": n % 2 if n // 4 % 6 == 5 else "",
        },
        "openb_node": lambda n: {"sn": f"node{n}", "cpu_milli": 32000, "memory_mib": 131072},
        "openb_pod": lambda n: {"cpu_milli": rng.choice([500, 4000]), "memory_mib": 2048, "creation_time": n},
    }
    row = next(make for start, make in made.items() if Path(name).name.startswith(start))
    return [{key: str(value) for key, value in row(number).items()} for number in few]


# --- huawei ---------------------------------------------------------------------------------------------------------


def huawei(sequence: str) -> Workload:
    """A sequence of 4,998 requests on 1,710 servers of two NUMA nodes (CC0). Rack = row number modulo 100.

    affinity: all of a group in one rack; anti-affinity: each on another server; fault_domain: members with another
    domain in another rack.
    """
    servers = [[int(row[k]) for k in ("CPU1", "RAM1", "CPU2", "RAM2")] for row in rows("huawei/PM_res.csv")]
    items, flavours = [], {}
    for row in rows(f"huawei/VM_data_{sequence}.csv"):
        flavour = Flavour(int(row["flavor_vcpus"]), int(row["flavor_ram"]) * GIB, int(row["numa"]))
        number = flavours.setdefault(flavour, len(flavours))
        items.append(Item(number, row["strategy"], row["group"], row["domain"]))
    table = np.array(servers, dtype=float)
    workload = Workload(
        f"huawei-{sequence}",
        table[:, [0, 2]],
        table[:, [1, 3]] * GIB,
        np.arange(len(servers)) % RACKS,
        list(flavours),
        items,
        {},
    )
    workload.problem = {"version": 1, "hosts": huawei_hosts(servers), **huawei_clusters(workload)}
    return workload


def huawei_hosts(servers: list[list[int]]) -> list[dict[str, Any]]:
    """The servers as hosts: cores numbered through both nodes, memory per node declared."""
    hosts = []
    for number, (cores0, gib0, cores1, gib1) in enumerate(servers):
        cpus = [
            {"id": i, "core": i, "socket": int(i >= cores0), "node": int(i >= cores0)} for i in range(cores0 + cores1)
        ]
        hosts.append(
            {
                "name": f"server{number:04}",
                "labels": {"rack": f"rack{number % RACKS:02}"},
                "cpus": cpus,
                "resources": {"memory": (gib0 + gib1) * GIB},
                "numa_memory": {"0": gib0 * GIB, "1": gib1 * GIB},
            }
        )
    return hosts


def grade_name(flavour: Flavour) -> str:
    """A grade's name that tells what it is."""
    return f"c{flavour.cores:g}-m{flavour.memory // MIB}-n{flavour.numa}".replace(".", "-")


def huawei_clusters(workload: Workload) -> dict[str, Any]:
    """Groups of identical instances: one per request group, domain and flavour; each request group is a cluster."""
    counts: dict[tuple[str, str, str, int], int] = {}
    for item in workload.items:
        key = (item.rule, item.group, item.domain, item.flavour)
        counts[key] = counts.get(key, 0) + 1
    members: dict[str, dict[str, tuple[str, str, int, int]]] = {}
    for (rule, group, domain, flavour), count in counts.items():
        cluster = f"{rule.replace('_', '-')}-{group}" if rule else "free"
        name = f"d{domain or 0}-{grade_name(workload.flavours[flavour])}"
        members.setdefault(cluster, {})[name] = (rule, domain, flavour, count)
    clusters = {
        cluster: {
            "state": "started",
            "groups": {
                name: {
                    "count": count,
                    "type": "vm",
                    "grade": grade_name(workload.flavours[flavour]),
                    "placement": huawei_rules(rule, name, domain, groups),
                }
                for name, (rule, domain, flavour, count) in groups.items()
            },
        }
        for cluster, groups in members.items()
    }
    grades = {grade_name(f): {"cores": int(f.cores), "memory": f.memory, "numa": f.numa} for f in workload.flavours}
    return {"grades": grades, "clusters": clusters}


def huawei_rules(rule: str, name: str, domain: str, groups: dict[str, tuple[str, str, int, int]]) -> dict[str, Any]:
    """The rules of one group of identical members among the groups of its cluster."""
    if rule == "affinity":
        return {"affinity": [{"group": next(iter(groups)), "topology": "rack"}]}
    if rule == "anti-affinity":
        return {"anti_affinity": [{"group": other, "topology": "host"} for other in groups]}
    if rule == "fault_domain":
        others = [other for other, (_first, theirs, _third, _fourth) in groups.items() if theirs != domain]
        return {"anti_affinity": [{"group": other, "topology": "rack"} for other in others]}
    return {}


# --- openb ----------------------------------------------------------------------------------------------------------


def openb() -> Workload:
    """8,152 tasks on 1,523 nodes of a production trace (Alibaba cluster-trace-gpu-v2023), CPU and memory only."""
    nodes = rows("openb/openb_node_list_all_node.csv")
    flavours: dict[Flavour, int] = {}
    items = []
    # Tasks arrive in the order of their creation; the file's order decides among equals.
    for row in sorted(rows("openb/openb_pod_list_default.csv"), key=lambda r: int(r["creation_time"])):
        flavour = Flavour(int(row["cpu_milli"]) / 1000, int(row["memory_mib"]) * MIB)
        items.append(Item(flavours.setdefault(flavour, len(flavours))))
    cores = np.array([[int(node["cpu_milli"]) / 1000] for node in nodes])
    memory = np.array([[int(node["memory_mib"]) * MIB] for node in nodes], dtype=float)
    hosts = [
        {
            "name": node["sn"],
            "cpus": int(node["cpu_milli"]) // 1000,
            "resources": {"memory": int(node["memory_mib"]) * MIB},
        }
        for node in nodes
    ]
    counts = [0] * len(flavours)
    for item in items:
        counts[item.flavour] += 1
    groups = {
        f"task-{grade_name(flavour)}": {"count": counts[number], "type": "task", "grade": grade_name(flavour)}
        for flavour, number in flavours.items()
    }
    grades = {grade_name(f): {"cpus": f.cores, "memory": f.memory} for f in flavours}
    problem = {
        "version": 1,
        "hosts": hosts,
        "grades": grades,
        "clusters": {"trace": {"state": "started", "groups": groups}},
    }
    return Workload("openb", cores, memory, np.zeros(len(nodes), dtype=np.int64), list(flavours), items, problem)


# --- a fleet at scale -----------------------------------------------------------------------------------------------

SCALE_GRADES: dict[str, dict[str, Any]] = {
    "micro": {"cpus": 0.25, "memory": "256m"},
    "tiny": {"cpus": 0.5, "memory": "1g"},
    "small": {"cores": 1, "memory": "2g"},
    "medium": {"cores": 2, "memory": "8g"},
    "large": {"cores": 4, "memory": "16g"},
    "wide": {"cores": 8, "memory": "24g"},
}


def fleet(instances: int = 100_000, groups: int = 2_000, hosts: int = 10_000, zones: int = 8) -> dict[str, Any]:
    """A generated problem: 70 % of the groups with host anti-affinity, 20 % with zone spread, 10 % with affinity.

    Of the last, half keep their members in one rack, half want one of another group's members on their host. Hosts
    have 16, 32 or 64 cores in racks of 40; about three quarters of the cores are asked for.
    """
    rng = random.Random(2026)
    return {
        "version": 1,
        "hosts": [scale_host(n, zones, rng) for n in range(hosts)],
        "grades": SCALE_GRADES,
        "clusters": scale_clusters(instances, groups, rng),
    }


def scale_host(number: int, zones: int, rng: random.Random) -> dict[str, Any]:
    """A host of one of three sizes, 4 GiB of memory for each core."""
    cores = rng.choice([16, 16, 16, 16, 16, 32, 32, 32, 64])
    rack = number // 40
    return {
        "name": f"host{number:05}",
        "labels": {"zone": f"zone{rack % zones}", "rack": f"rack{rack:03}", "disk": rng.choice(["ssd", "hdd"])},
        "cpus": cores,
        "resources": {"memory": cores * 4 * GIB, "disk": cores * 50 * GIB},
        "reserved": {"cores": 1, "memory": 2 * GIB},
    }


def scale_clusters(instances: int, groups: int, rng: random.Random) -> dict[str, Any]:
    """Ten groups to a cluster; sizes vary around the mean and add up exactly."""
    mean = instances // groups
    sizes = [rng.randint(mean // 5, mean * 9 // 5) for _turn in range(groups)]
    surplus = sum(sizes) - instances
    number = 0
    while surplus:
        step = 1 if surplus > 0 else -1
        if sizes[number % groups] - step > 0:
            sizes[number % groups] -= step
            surplus -= step
        number += 1
    clusters: dict[str, Any] = {}
    for n, size in enumerate(sizes):
        cluster = clusters.setdefault(f"tenant{n // 10:03}", {"state": "started", "groups": {}})
        grade = rng.choices(list(SCALE_GRADES), weights=[16, 18, 24, 22, 14, 6])[0]
        group = {"count": size, "type": "app", "grade": grade, "digest": f"digest-of-{grade}"}
        group["placement"] = scale_rules(n, cluster["groups"])
        if "affinity" in group["placement"] and n % 20 == 19:
            # Beside one of each of the first members of the group it wants near; small ones, as sidecars are.
            first = cluster["groups"]["app0"]
            group["grade"], spare = "micro", max(0, size - first["count"])
            group["digest"] = "digest-of-micro"
            group["count"], first["count"] = size - spare, first["count"] + spare
        cluster["groups"][f"app{n % 10}"] = group
    return clusters


def scale_rules(number: int, before: dict[str, Any]) -> dict[str, Any]:
    """Of ten groups the first seven keep apart, two spread over zones, and the last has an affinity."""
    place = number % 10
    if place < 7:
        return {"anti_affinity": [{"group": f"app{place}", "topology": "host"}]}
    if place < 9:
        return {"spread": [{"topology": "zone", "max_skew": 1}]}
    if number % 20 == 19:
        return {"affinity": [{"group": "app0", "topology": "host"}]}
    return {"affinity": [{"group": "app9", "topology": "rack"}]}


def running_of(problem: dict[str, Any], plan: dict[str, Any]) -> list[dict[str, Any]]:
    """What runs once a plan has been applied, as the problem's `running`."""
    out = []
    for entry in plan["instances"]:
        spec = problem["clusters"][entry["cluster"]]["groups"][entry["group"]]
        out.append(
            {
                "cluster": entry["cluster"],
                "group": entry["group"],
                "index": entry["index"],
                "host": entry["host"],
                "state": "running",
                "healthy": True,
                "claims": {k: v for k, v in problem["grades"][spec["grade"]].items() if k not in ("numa", "smt")},
                "cores": entry["cores"],
                "network": entry["network"],
                "address": entry["address"],
                "digest": spec.get("digest"),
                "grade": spec["grade"],
            }
        )
    return out
