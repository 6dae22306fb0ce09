# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet as the controller sees it: the desired state in its variables, the hosts and what was observed of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..module_utils.common.errors import InvalidInput, StowageError
from .desired.plan.options import check_types
from .desired.plan.planning import check_rules
from .desired.read.complaints import Complaints
from .desired.read.host_side import reserve
from .desired.read.hosts import VARIABLES as HOST_VARIABLES
from .desired.read.hosts import check_hosts
from .desired.read.state import VARIABLES, Desired, read_desired
from .desired.read.values import Render, fill, plain, typed
from .inventory_sources import find_namesakes
from .run_folder import OBSERVED, SETTLED, RunFolder

DEFAULT_GROUP = "fleet"
_SHOWN = 3


def solve(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the planner; plain JSON in and out."""
    # Imported when asked: NumPy takes a while to load, and a map needs no planner.
    from .placement import Problem
    from .placement import solve as place

    plan: dict[str, Any] = place(Problem.from_dict(problem)).to_dict()
    return plan


def check_problem(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Let the planner read a problem without solving it."""
    from .placement import Problem

    Problem.from_dict(problem)
    return {}


def fleet_group(variables: Mapping[str, Any], group: str | None = None) -> str:
    """Return the inventory group whose hosts are the fleet."""
    return group or str(variables.get("stowage_fleet") or DEFAULT_GROUP)


def refusal(problems: list[str]) -> str:
    """Return complaints as one message."""
    if len(problems) == 1:
        return f"{problems[0]}. Nothing was touched."
    listed = "\n".join(f"- {problem}" for problem in problems)
    return f"{len(problems)} problems were found, and nothing was touched:\n{listed}"


@dataclass
class Fleet:
    """What is known of the hosts: their variables, who answered with what, who did not, who is outside the limit."""

    variables: Mapping[str, Any]
    hosts: list[str]
    in_play: list[str]
    #: All hosts, as the inventory has them.
    ordered: list[str] = field(default_factory=list)
    observations: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def outside(self) -> list[str]:
        """Hosts of the fleet that this run may not touch."""
        held = set(self.in_play)
        return [host for host in self.hosts if host not in held]

    @classmethod
    def of_play(cls, variables: Mapping[str, Any], group: str | None) -> Fleet:
        """Read the fleet from the variables of a task."""
        name = fleet_group(variables, group)
        groups = variables.get("groups") or {}
        if name not in groups:
            raise InvalidInput(f"inventory: there is no group {name}; expected the hosts of the fleet in it")
        ordered = list(plain(groups[name]))
        hosts = sorted(ordered)
        members = set(hosts)
        in_play = [host for host in plain(variables.get("ansible_play_hosts_all") or []) if host in members]
        return cls(variables, hosts, in_play, ordered)

    def take_observations(self, register: str, folder: RunFolder) -> None:
        """Sort the hosts of the play into those that answered and those that did not.

        :param register: where results of ``host_info`` are, when the task that keeps them in the folder was not used.
        """
        seen, settled = folder.read_of(OBSERVED, self.in_play), folder.read_of(SETTLED, self.in_play)
        for host in self.in_play:
            result = seen.get(host) or self.variables["hostvars"].raw_get(host).get(register) or {}
            if result.get("host") and host in settled:
                result = {**result, "host": {**result["host"], **settled[host]}}
            observation = plain(result.get("host"))
            if observation and not result.get("failed") and not result.get("unreachable"):
                self.observations[host] = observation
            else:
                self.missing[host] = first_line(result.get("msg")) or "it failed or was unreachable earlier in this run"

    def take_outside(self, results: Mapping[str, Mapping[str, Any]]) -> None:
        """Add what an observer found out about hosts outside the limit."""
        for host in self.outside:
            result = results.get(host) or {}
            if result.get("host"):
                self.observations[host] = plain(result["host"])
            else:
                self.missing[host] = first_line(result.get("msg")) or "it does not answer"

    def refuse_unseen(self) -> None:
        """Raise StowageError when no host at all was observed: without them there is nothing to plan for."""
        if not self.observations:
            why = "; ".join(f"{host}: {reason}" for host, reason in sorted(self.missing.items())[:_SHOWN])
            more = f"; and {len(self.missing) - _SHOWN} more" if len(self.missing) > _SHOWN else ""
            raise StowageError(f"no host of the fleet was observed, so there is nothing to plan for ({why}{more}). "
                               "Nothing was touched.")

    def check_hosts(self, render: Render, complaints: Complaints) -> dict[str, Any]:
        """Check what the inventory says of each host; return labels of the hosts, all in one, as an example."""
        for place, sentence in find_namesakes(plain(self.variables.get("ansible_inventory_sources") or [])):
            complaints.add(place, sentence)
        hosts: dict[str, dict[str, Any]] = {}
        labels: dict[str, Any] = {}
        for name in self.hosts:
            raw = self.variables["hostvars"].raw_get(name)
            complaints.spelling(f"host {name}.", raw, HOST_VARIABLES)
            hosts[name] = {
                key: typed(raw.get(key), fill(raw.get(key), render, f"host {name}.{key}", complaints, raw))
                for key in HOST_VARIABLES
                if raw.get(key) is not None
            }
            hosts[name].update(_place(raw, render))
            if isinstance(hosts[name].get("stowage_host_labels"), dict):
                labels.update(hosts[name]["stowage_host_labels"])
        check_hosts(hosts, complaints)
        return labels


def _place(raw: Mapping[str, Any], render: Render) -> dict[str, Any]:
    """Return where Ansible connects to, when the inventory says so."""
    if raw.get("ansible_connection", "ssh") != "ssh" or not raw.get("ansible_host"):
        return {}
    return {"address": plain(render(raw["ansible_host"], raw)), "port": plain(render(raw.get("ansible_port"), raw))}


def first_line(text: Any) -> str:
    """Return the first line of a message, as text."""
    return str(text or "").strip().split("\n", 1)[0]


def read_and_check(
    variables: Mapping[str, Any],
    render: Render,
    fleet: Fleet | None,
    override: Mapping[str, Any] | None = None,
    labels: Mapping[str, Any] | None = None,
) -> Desired:
    """Return the desired state, or raise InvalidInput with everything that is wrong with it.

    :param fleet: whose host variables are checked too; None leaves them out.
    :param labels: of any host, to try types with; taken from the fleet's hosts when there is a fleet.
    """
    complaints = Complaints()
    complaints.spelling("", variables, VARIABLES)
    example = fleet.check_hosts(render, complaints) if fleet else dict(labels or {})
    desired = read_desired(variables, render, complaints, override)
    if not complaints.sentences:
        reserve(desired.networks, fleet.ordered if fleet else [])
    check_rules(desired, check_problem, complaints)
    if not complaints.sentences:
        check_types(desired, example, render, complaints)
    complaints.raise_if_any()
    return desired
