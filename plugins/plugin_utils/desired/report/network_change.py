# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that would change while containers are on them: engines can't do that, so an operator is told how."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ....module_utils.common.labels import FLEET
from ....module_utils.engine.networks import INTERFACES, differing
from ..plan.last_known import Observation
from ..read.networks import VARIABLE, for_engines
from ..read.state import Desired

_SHOWN = 3


def refuse_changes(desired: Desired, observations: Mapping[str, Observation], hosts: Collection[str]) -> str:
    """Return why networks can't become what is wanted, and what to do about each; '' when they can.

    :param hosts: those that this run may change.
    """
    sentences = []
    for wanted in for_engines(desired.networks):
        found: dict[tuple[str, bool, bool], dict[str, list[str]]] = {}
        for host in sorted(set(hosts) & set(observations)):
            there = _on_engine(wanted["name"], observations[host])
            users = _users(wanted["name"], observations[host])
            differs = differing(wanted, there) if there and users else {}
            if differs:
                text = ", ".join(f"{key} {_show(now)} instead of {_show(then)}" for key, (then, now) in differs.items())
                ours = there["Labels"].get(FLEET) in {
                    container.get("fleet") for container in observations[host].get("containers") or []
                }
                found.setdefault((text, ours, _can_stand_beside(differs)), {})[host] = users
        sentences += [_sentence(wanted["name"], *what, users) for what, users in found.items()]
    return "\n".join(sentences)


def _on_engine(name: str, observation: Observation) -> dict[str, Any] | None:
    """Return a network in the engine's own shape; None where it is not there, or was observed by an older release."""
    there = next((item for item in observation.get("networks") or [] if item["name"] == name), None)
    if there is None or "pools" not in there:
        return None
    return {"Driver": there["driver"], "Internal": there["internal"], "Options": there["options"],
            "IPAM": {"Config": there["pools"]}, "Labels": there.get("labels") or {}}


def _users(name: str, observation: Observation) -> list[str]:
    containers = [*(observation.get("containers") or []), *(observation.get("others") or [])]
    return sorted(item["name"] for item in containers if item.get("network") == name)


def _can_stand_beside(differs: Mapping[str, Any]) -> bool:
    """Whether an engine can have the network as it is and as it is wanted at once, under two names."""
    return "subnet" in differs and any(key in differs for key in INTERFACES)


def _show(value: Any) -> str:
    return "none" if value in (None, "") else str(value)


def _sentence(network: str, differs: str, ours: bool, beside: bool, users: Mapping[str, list[str]]) -> str:
    names = [name for host in users for name in users[host]]
    listed = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    head = (
        f"{VARIABLE}.{network}: an engine changes no network that containers are on, and {listed} on "
        f"{', '.join(users)} {'is' if len(names) == 1 else 'are'} on this one, which would get {differs}. Nothing was "
        "touched. "
    )
    if not ours:
        return f"{head}Another fleet made it or is on it alone, and has to let go of it first."
    clusters = ", ".join(sorted({name.split("_")[0] for name in names}))
    way = (
        f"Set the state of {clusters} to absent, run the playbook (their disks are kept), change the network, and set "
        "it back"
    )
    if beside:
        way = (
            "Give the new settings a name of their own beside it and say that network in the groups, which are then "
            f"recreated by update.batch; or: {way[0].lower()}{way[1:]}"
        )
    return f"{head}{way}."
