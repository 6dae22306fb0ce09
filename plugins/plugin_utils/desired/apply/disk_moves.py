# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance finds its data wherever it is: which disks have to travel for a plan, and which copies are outdated.

What counts is where the good copy of a disk lies, not where its container ran. So a move, the end of an interrupted
move, the way back from one, and an instance that comes back elsewhere are all the same thing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ....module_utils.common.naming import instance_name
from ....module_utils.common.sizes import human_size
from ....module_utils.disks.names import instance_of, volume_name
from ..plan.last_known import Observation, newest_ledger
from ..plan.options import GONE
from ..plan.planning import Planned

Volume = Mapping[str, Any]
Disk = dict[str, Any]
_USABLE = ("attached", "released", "leaving")


@dataclass
class Travel:
    """What has to be done for the disks of one instance; lists of disks as ``disk_move`` takes them.

    :ivar carry: to bring to the instance's host. :ivar recall: to take back there.
    :ivar forget: by host, copies that are outdated once the instance is well.
    """

    instance: str
    host: str
    carry: list[Disk] = field(default_factory=list)
    recall: list[Disk] = field(default_factory=list)
    forget: dict[str, list[Disk]] = field(default_factory=dict)
    used: int = 0
    size: int = 0

    @property
    def text(self) -> str:
        """What travels, in words; '' when nothing does."""
        if not self.size:
            return ""
        what = "its disk" if len(self.carry) == 1 else f"its {len(self.carry)} disks"
        places = ", ".join(sorted({disk["from_host"] for disk in self.carry}))
        return f"with {what} from {places} ({human_size(self.used)} of {human_size(self.size)} used)"


@dataclass(frozen=True)
class Travels:
    """All that travels for a plan, and why an instance must not be touched, by instance.

    :ivar interrupted: what became of the data of instances on silent hosts that were on their way.
    """

    moves: dict[str, Travel]
    held: dict[str, str]
    interrupted: dict[str, str] = field(default_factory=dict)


def find_travels(
    instances: Collection[Mapping[str, Any]],
    options: Mapping[str, Mapping[str, Any]],
    observations: Mapping[str, Observation],
    missing: Collection[str],
    allowed: Collection[str],
) -> Travels:
    """Return what travels.

    :param instances: the plan's.
    :param options: container options of each wanted instance, by name, templates filled in.
    :param missing: hosts that don't answer.
    :param allowed: hosts that this run may touch.
    """
    copies = _copies(observations)
    silent = _remembered(observations, missing)
    moves: dict[str, Travel] = {}
    held: dict[str, str] = {}
    for item in instances:
        name = item["name"]
        if item["action"] in (*GONE, "unknown") or name not in options:
            continue
        travel = Travel(name, item["host"])
        for volume in _volumes(name, options[name]):
            reason = _follow(travel, item, volume, copies.get(volume, {}), missing, allowed)
            if not reason and volume not in copies and name in silent:
                reason = f"its disk is on {silent[name]}, which does not answer"
            if reason and item["action"] != "keep":
                held.setdefault(name, reason)
        if item["action"] == "keep" and not _is_well(item, observations):
            travel.forget = {}
        if name not in held and (travel.carry or travel.recall or travel.forget):
            moves[name] = travel
    for name, copy in sorted(copies.items()):
        owner = instance_of(name)
        if owner not in options:
            _tidy(moves.setdefault(owner, Travel(owner, "")), name, copy, allowed)
    silent_ones = {item["name"] for item in instances if item["action"] == "unknown"}
    interrupted = {instance_of(name): _good_copy(name, copy, missing)[1] for name, copy in sorted(copies.items())
                   if instance_of(name) in silent_ones}
    return Travels({name: travel for name, travel in moves.items() if travel != Travel(name, travel.host)}, held,
                   {name: reason for name, reason in interrupted.items() if reason})


def _tidy(travel: Travel, name: str, copies: Mapping[str, Volume], allowed: Collection[str]) -> None:
    """Forget what an interrupted move left of a disk that nothing uses any more, and keep the good copy."""
    for host, other in copies.items():
        better = [
            int(good.get("generation") or 1)
            for good in copies.values()
            if good is not other and good["state"] in _USABLE and good.get("uuid") == other.get("uuid")
            and (other["state"] == "incoming" or _is_newer(good, other))
        ]
        if better and host in allowed:
            disk = {"name": name, "instance": travel.instance, "uuid": other.get("uuid"), "generation": max(better)}
            travel.forget.setdefault(host, []).append(disk)


class _Fleet(Protocol):
    observations: Mapping[str, Observation]
    missing: Collection[str]


def disks_to_remember(
    planned: Planned, travels: Mapping[str, Travel], fleet: _Fleet, deleting: bool
) -> list[dict[str, str]]:
    """Return [{instance, host}]: where disks will lie after this plan, for when a host no longer answers.

    :param deleting: whether what the plan removes loses its disks.
    """
    gone = {item["name"] for item in planned.plan["instances"] if item["action"] == "remove"} if deleting else set()
    places = set(_remembered(fleet.observations, fleet.missing).items())
    for row in planned.problem.get("disks") or []:
        name = instance_name(row["cluster"], row["group"], row["index"])
        travel = travels.get(name)
        if name not in gone:
            places.add((name, travel.host if travel and travel.carry else row["host"]))
    return [{"instance": name, "host": host} for name, host in sorted(places)]


def _remembered(observations: Mapping[str, Observation], missing: Collection[str]) -> dict[str, str]:
    """Return {instance: host}: disks on hosts that don't answer, from the newest ledger."""
    rows = newest_ledger(observations).get("disks") or []
    return {row["instance"]: row["host"] for row in rows if row["host"] in missing}


def _copies(observations: Mapping[str, Observation]) -> dict[str, dict[str, Volume]]:
    """Return {volume: {host: what that host says of it}}."""
    found: dict[str, dict[str, Volume]] = {}
    for host in sorted(observations):
        for volume in observations[host].get("volumes") or []:
            if volume.get("state") != "unreadable":
                found.setdefault(volume["name"], {})[host] = volume
    return found


def _volumes(name: str, options: Mapping[str, Any]) -> list[str]:
    names = [name] if options.get("data") else []
    return names + [volume_name(name, volume["name"]) for volume in options.get("volumes") or []]


def _is_well(item: Mapping[str, Any], observations: Mapping[str, Observation]) -> bool:
    for container in observations.get(item["host"], {}).get("containers") or []:
        if container["name"] == item["name"]:
            running = container.get("state") == "running" or item.get("state") != "started"
            return running and container.get("health") not in ("unhealthy", "starting")
    return False


def _follow(
    travel: Travel,
    item: Mapping[str, Any],
    name: str,
    copies: Mapping[str, Volume],
    missing: Collection[str],
    allowed: Collection[str],
) -> str:
    """Add to ``travel`` what one disk needs; return why the instance must be left as it is, or ''."""
    where, reason = _good_copy(name, copies, missing)
    if reason:
        return reason
    if where is None:
        left = item.get("data_host") or item.get("from_host")
        return f"its disk is on {left}, which does not answer" if left in missing else ""
    good, here = copies[where], travel.host
    disk = {"name": name, "instance": travel.instance}
    final = int(good.get("generation") or 1)
    handing = [host for host, other in copies.items() if _hands_over(other, good, here)]
    if where != here and item["action"] != "keep":
        if where not in allowed:
            return f"its disk is on {where}, which this run may not touch"
        final += 3 if good["state"] == "leaving" and good.get("peer") != here else 1
        travel.carry.append({**disk, "from_host": where})
        travel.used += int(good.get("used") or 0)
        travel.size += int(good.get("size") or 0)
    elif good["state"] == "leaving":
        travel.recall.append(disk)
        final += 2
    elif good["state"] == "released" and handing:
        # It has arrived, but the old place does not know yet that its own copy is outdated.
        travel.carry.append({**disk, "from_host": handing[0]})
    for host, other in copies.items():
        outdated = other["state"] == "incoming" or (
            other.get("uuid") == good.get("uuid") and int(other.get("generation") or 1) < final
        )
        if host != here and host in allowed and outdated:
            travel.forget.setdefault(host, []).append({**disk, "uuid": good.get("uuid"), "generation": final})
    return ""


def _hands_over(other: Volume, good: Volume, here: str) -> bool:
    return other["state"] == "leaving" and other.get("peer") == here and other.get("uuid") == good.get("uuid")


def _good_copy(name: str, copies: Mapping[str, Volume], missing: Collection[str]) -> tuple[str | None, str]:
    """Return (host of the good copy, '') or (None, why that can't be told); (None, '') when there is no copy.

    Of copies with one UUID the one with the higher generation is good; of different disks the one that is in use,
    else the one that was released last.
    """
    usable = {host: volume for host, volume in copies.items() if volume["state"] in _USABLE}
    newest = [host for host, volume in usable.items() if not any(_is_newer(o, volume) for o in usable.values())]
    newest.sort(key=lambda host: (usable[host]["state"] == "attached", usable[host].get("released_at") or "", host))
    if newest:
        best = usable[newest[-1]]
        if best["state"] == "leaving" and best.get("peer") in missing:
            return None, (f"its disk was on its way from {newest[-1]} to {best['peer']}, which does not answer, so it "
                          "can't be told which copy is the good one")
        return newest[-1], ""
    for host, volume in copies.items():
        peer = volume.get("peer")
        if volume["state"] == "incoming":
            why = "does not answer" if peer in missing else "has it no longer"
            return None, f"its data was on its way from {peer} to {host}, and {peer} {why}; it is not started empty"
    for host, volume in copies.items():
        peer = volume.get("peer")
        why = "does not answer" if peer in missing else "has it no longer"
        return None, f"its disk was moved from {host} to {peer}, and {peer} {why}; it is not started empty"
    return None, ""


def _is_newer(other: Volume, volume: Volume) -> bool:
    return other.get("uuid") == volume.get("uuid") and int(other.get("generation") or 1) > int(
        volume.get("generation") or 1
    )
