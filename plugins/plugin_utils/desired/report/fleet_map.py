# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the fleet as text: hosts by zone, who owns their cores, how full memory and disk are, what runs where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ....module_utils.common.sizes import human_size
from ..plan.last_known import newest_ledger
from ..plan.other_fleets import claimed, others, owned_cores
from .diff import ranges

_BAR = 20
_MOST_CORES = 32
_OWNERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Above this many hosts each becomes one line.
_MOST_DRAWN = 20


def draw_map(
    observations: Mapping[str, Mapping[str, Any]], missing: Mapping[str, str], topology: str = "zone"
) -> list[str]:
    """Return the lines of the map.

    :param observations: what host_info returned, by host name.
    :param missing: hosts that did not answer, with why.
    :param topology: the label that hosts are grouped by.
    """
    zones: dict[str, list[str]] = {}
    for name in sorted(observations):
        zone = str((observations[name].get("labels") or {}).get(topology, ""))
        zones.setdefault(zone, []).append(name)
    brief = len(observations) > _MOST_DRAWN
    lines: list[str] = [_headline(observations, missing), ""]
    for zone in sorted(zones):
        if zone or len(zones) > 1:
            lines.append(f"{topology} {zone or '(none)'}")
        for name in zones[zone]:
            lines.extend(_draw_brief(name, observations[name]) if brief else _draw_host(name, observations[name]))
    if brief:
        lines.extend(["", *_draw_clusters(observations)])
    if missing and any(zones):
        lines.append("unreachable")
    for name, why in sorted(missing.items()):
        lines.append(f"  {name}  DOES NOT ANSWER: {why}")
        lines.extend(_draw_remembered(name, observations))
    return lines


def _draw_remembered(name: str, observations: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """What a host that does not answer held, as the others remember it."""
    ledger = newest_ledger(observations)
    there = {item["name"] for host in observations.values() for item in host.get("containers") or []}
    for item in ledger.get("instances") or []:
        if item.get("host") == name and item["name"] not in there:
            yield f"      {item['name']}  remembered from ledger {ledger.get('serial')}, not replaced"


def _headline(observations: Mapping[str, Mapping[str, Any]], missing: Mapping[str, str]) -> str:
    containers = [item for host in observations.values() for item in host.get("containers") or []]
    running = sum(1 for item in containers if item.get("state") == "running")
    text = f"{len(observations)} hosts, {len(containers)} containers, {running} running"
    silent = "1 host does not answer" if len(missing) == 1 else f"{len(missing)} hosts do not answer"
    return f"{text}, {silent}" if missing else text


def _draw_host(name: str, host: Mapping[str, Any]) -> Iterable[str]:
    containers = sorted(host.get("containers") or [], key=lambda item: (item["cluster"], item["group"], item["index"]))
    letters = {item["name"]: letter for item, letter in zip((c for c in containers if c.get("cores")), _OWNERS)}
    state = "" if host.get("state", "active") == "active" else f"  {str(host['state']).upper()}"
    labels = ", ".join(f"{key}={value}" for key, value in sorted((host.get("labels") or {}).items()) if key != "zone")
    engine = (host.get("engine") or {}).get("version", "?")
    yield f"  {name}{state}  engine {engine}{'  ' + labels if labels else ''}"
    yield f"    cores   {_draw_cores(host, containers, letters)}"
    for dimension in ("memory", "disk"):
        yield f"    {dimension:<7} {_draw_bar(dimension, host, containers)}"
    width = max((len(item["name"]) for item in containers), default=0)
    for item in containers:
        yield f"    {letters.get(item['name'], ' ')} {item['name']:<{width}}  {_draw_container(item)}"
    if not containers:
        yield "      no containers"
    if others(host):
        yield f"      beside them, of other fleets: {_draw_others(host)}"


def _draw_others(host: Mapping[str, Any]) -> str:
    """What other fleets hold on a host, beside the cores that they own."""
    sums = claimed(host)
    parts = [f"{sums[name]:g} {name}" for name in ("cpus",) if name in sums]
    parts += [f"{human_size(int(sums[name]))} {name}" for name in ("memory", "disk") if name in sums]
    number = len(others(host))
    return ", ".join([f"{number} container{'s' if number > 1 else ''}", *parts])


def _draw_cores(host: Mapping[str, Any], containers: list[Mapping[str, Any]], letters: Mapping[str, str]) -> str:
    """One character a core: # reserved, a letter owned, x another fleet's, . nobody's. Wide machines get ranges."""
    cores = sorted(cpu["id"] for cpu in host.get("cpus") or [])
    reserved = set(cores[: int((host.get("reserved") or {}).get("cores") or 0)])
    owners = {core: item["name"] for item in containers for core in item.get("cores") or []}
    foreign = owned_cores(host)
    free = [core for core in cores if core not in reserved and core not in owners and core not in foreign]
    text = f"{len(cores)}: {len(reserved)} reserved, {len(owners)} owned, {len(free)} free"
    if foreign:
        text += f", {len(foreign)} another fleet's"
    if len(cores) <= _MOST_CORES:
        marks = {**dict.fromkeys(foreign, "x"), **{core: letters.get(owner, ".") for core, owner in owners.items()}}
        drawn = "".join("#" if core in reserved else marks.get(core, ".") for core in cores)
        return f"[{drawn}] {text}"
    return f"{text} ({ranges(free)})" if free else text


def _use(dimension: str, host: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> tuple[int, int, int]:
    """Return (claimed, reserved, all) bytes."""
    everything = int((host.get("resources") or {}).get(dimension) or 0)
    reserved = int((host.get("reserved") or {}).get(dimension) or 0)
    claimed = sum(int((item.get("claims") or {}).get(dimension) or 0) for item in containers)
    return claimed, reserved, everything


def _draw_bar(dimension: str, host: Mapping[str, Any], containers: list[Mapping[str, Any]]) -> str:
    claimed, reserved, everything = _use(dimension, host, containers)
    if not everything:
        return "unknown"
    held = min(_BAR, -(-reserved * _BAR // everything))
    used = min(_BAR - held, -(-claimed * _BAR // everything))
    drawn = "#" * held + "=" * used + "." * (_BAR - held - used)
    text = f"[{drawn}] {human_size(claimed)} of {human_size(everything)}"
    return f"{text}, {human_size(reserved)} reserved" if reserved else text


def _draw_container(item: Mapping[str, Any]) -> str:
    state = str(item.get("state"))
    if item.get("health"):
        state += f" ({item['health']})"
    if item.get("cores"):
        share = f"{'core' if len(item['cores']) == 1 else 'cores'} {ranges(item['cores'])}"
    elif item.get("cpus") is not None:
        share = f"{item['cpus']:g} cpus"
    else:
        share = "-"
    memory = human_size(item["memory"]) if item.get("memory") else "-"
    return f"{item.get('address') or '-':<15}  {share:<10}  {memory:>8}  {state}"


def _draw_brief(name: str, host: Mapping[str, Any]) -> Iterable[str]:
    containers = host.get("containers") or []
    cores = len(host.get("cpus") or [])
    owned = sum(len(item.get("cores") or []) for item in containers)
    running = sum(1 for item in containers if item.get("state") == "running")
    shares = []
    for dimension in ("memory", "disk"):
        claimed, reserved, everything = _use(dimension, host, containers)
        percent = f"{(claimed + reserved) * 100 // everything:>3} %" if everything else "  ?"
        shares.append(f"{dimension} {percent}")
    state = "" if host.get("state", "active") == "active" else f"  {str(host['state']).upper()}"
    yield f"  {name:<20}  cores {owned:>3}/{cores:<3}  {'  '.join(shares)}  running {running}/{len(containers)}{state}"


def _draw_clusters(observations: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    groups: dict[str, list[bool]] = {}
    for host in observations.values():
        for item in host.get("containers") or []:
            groups.setdefault(f"{item['cluster']}/{item['group']}", []).append(item.get("state") == "running")
    for name in sorted(groups):
        yield f"  {name:<30}  {sum(groups[name])} of {len(groups[name])} running"
