# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The brain's door: reads variables and observations, asks the planner, and returns what each host has to do."""

from __future__ import annotations

import getpass
import socket
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc
from ansible.utils.display import Display

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput, StowageError
from ansible_collections.stowage.fleet.plugins.plugin_utils.controller import Fleet, read_and_check, refusal, solve
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.deferral import find_held
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.disk_moves import (
    Travel,
    Travels,
    disks_to_remember,
    find_travels,
)
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.host_tasks import (
    build_keep,
    build_ledger,
    build_steps,
)
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.policies import build_policies
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan import images
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.planning import Planned, make_plan
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.networks import for_engines
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.state import Desired
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.types import needs_of
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.values import plain
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.changes import find_changes
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.diff import draw_diff, summarize
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.fleet_map import draw_map
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.refusals import find_refusal
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.verify import find_differences
from ansible_collections.stowage.fleet.plugins.plugin_utils.remote.observer import observe
from ansible_collections.stowage.fleet.plugins.plugin_utils.rendering import Renderer

ARGUMENTS = {
    "operation": {"type": "str", "choices": ["check", "plan", "show", "verify", "map"], "default": "plan"},
    "cluster": {"type": "str"},
    "group": {"type": "str"},
    "count": {"type": "raw"},
    "fleet_group": {"type": "str"},
    "observed": {"type": "str", "default": "stowage_observed"},
    "planned": {"type": "str", "default": "stowage_plan"},
    "topology": {"type": "str", "default": "zone"},
    "pull": {"type": "str", "choices": ["missing", "never", "always"], "default": "missing"},
    "brought": {"type": "list", "elements": "str", "default": []},
}
_COLORS = {
    "+": constants.COLOR_DIFF_ADD,
    "-": constants.COLOR_DIFF_REMOVE,
    "~": constants.COLOR_CHANGED,
    "!": constants.COLOR_ERROR,
}
display = Display()


class ActionModule(ActionBase):
    """Runs on the controller alone, once for the whole fleet."""

    _requires_connection = False
    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result of one operation; every error becomes a failure with sentences, here and only here."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(ARGUMENTS)
        try:
            result.update(getattr(self, f"_{arguments['operation']}")(plain(arguments), task_vars or {}))
        except InvalidInput as error:
            result.update(failed=True, msg=refusal(error.problems))
        except (StowageError, AnsibleError) as error:
            result.update(failed=True, msg=str(error))
        return result

    def _check(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        fleet = Fleet.of_play(variables, arguments["fleet_group"])
        render = Renderer(self._templar, variables)
        desired = read_and_check(variables, render, fleet, arguments)
        wanted = sum(spec["count"] for _cluster, _group, spec in desired.groups())
        return {"msg": f"{len(desired.clusters)} clusters with {wanted} instances for {len(fleet.hosts)} hosts",
                "needs": needs_of(desired.types), "images": images.images_of(desired, render)}

    def _plan(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        fleet = self._observed(arguments, variables)
        fleet.refuse_unseen()
        render = Renderer(self._templar, variables)
        desired = read_and_check(variables, render, fleet, arguments)
        planned = make_plan(desired, fleet.observations, fleet.missing, render, solve)
        allowed = [host for host in fleet.in_play if host in fleet.observations]
        travels = Travels({}, {})
        if not desired.leave_data:
            instances = planned.plan["instances"]
            travels = find_travels(instances, planned.options, fleet.observations, fleet.missing, allowed)
        reachable = [*allowed, *(set(fleet.missing) & set(fleet.in_play))]
        held = find_held(planned.plan, planned.problem, reachable, travels.held)
        notes = [*planned.notes, *([desired.override.sentence] if desired.override else [])]
        notes += [f"{name} is left as it is: {reason}." for name, reason in sorted(travels.held.items())]
        lacking = images.find_missing(planned.plan["instances"], planned.options, fleet.observations, held)
        unbrought, image_notes = images.judge(lacking, arguments["pull"], arguments["brought"], self._task.check_mode)
        notes += image_notes
        refused = find_refusal(desired, planned, fleet.observations, allowed, unbrought)
        diff = self._draw(planned, held, travels.moves, fleet, refused)
        if refused:
            self._show_diff(diff)
            return {"failed": True, "msg": refused}
        isolation = build_policies(desired, planned.plan["instances"], fleet.observations, held, allowed)
        result = self._planned(desired, planned, held, allowed, notes, diff, travels.moves)
        if result["changes"]:
            deleting = boolean(variables.get("release_disks") or False, strict=False)
            result["ledger"]["disks"] = disks_to_remember(planned, travels.moves, fleet, deleting)
        return {**result, "isolation": isolation}

    def _draw(
        self,
        planned: Planned,
        held: dict[str, str],
        travels: dict[str, Travel],
        fleet: Fleet,
        refused: str | None,
    ) -> str:
        """Return the diff where somebody asked for one. What a refusal says of the unplaced is not said twice."""
        if not self._task.diff:
            return ""
        plan = {**planned.plan, "unplaced": []} if refused else planned.plan
        changes = find_changes(plan["instances"], planned.options, fleet.observations)
        return draw_diff(plan, held, planned.strays, travels, changes)

    def _planned(
        self,
        desired: Desired,
        planned: Planned,
        held: dict[str, str],
        allowed: list[str],
        notes: list[str],
        diff: str,
        travels: dict[str, Travel],
    ) -> dict[str, Any]:
        drawn = diff.lower()
        for note in notes:
            # What the diff says is not said twice.
            if note.lower() not in drawn:
                display.warning(note)
        requires = {(cluster, group): spec["requires"] for cluster, group, spec in desired.groups()}
        steps = build_steps(planned, held, requires, travels)
        changes = bool(steps)
        return {
            # It holds the environment of containers, and with it passwords: it is for variables, not for callbacks.
            "_ansible_no_log": True,
            "changes": changes,
            "drawn": diff,
            "msg": summarize(planned.plan, held),
            "plan": planned.plan,
            "steps": steps,
            "keep": build_keep(planned, allowed),
            "held": held,
            "notes": notes,
            "networks": for_engines(desired.networks),
            "claim": {
                "id": planned.plan["id"],
                "base_serial": planned.base_serial,
                "serial": planned.base_serial + (1 if changes else 0),
            },
            "by": f"{getpass.getuser()}@{socket.gethostname()}",
            "ledger": build_ledger(planned, held) if changes else {},
        }

    def _show(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        planned = variables[arguments["planned"]]
        shown = {key: plain(planned[key]) for key in ("msg", "changes", "plan", "held", "notes")}
        diff = plain(planned["drawn"])
        # With -v the plan would fill the screen.
        result = {"_ansible_verbose_override": True, "changed": shown["changes"] and bool(self._task.check_mode)}
        if result["changed"] and diff:
            result["diff"] = {"prepared": _colored(diff)}
        elif self._task.diff:
            self._show_diff(diff)
        return {**shown, **result}

    def _verify(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        fleet = Fleet.of_play(variables, arguments["fleet_group"])
        fleet.take_observations(arguments["observed"])
        planned = plain(variables[arguments["planned"]])
        differences = find_differences(planned["plan"]["instances"], fleet.observations, planned["held"])
        if differences:
            listed = "\n".join(f"- {difference}" for difference in differences)
            raise StowageError(f"what runs is not as planned:\n{listed}")
        return {"msg": "everything runs as planned"}

    def _map(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        fleet = self._observed(arguments, variables)
        lines = draw_map(fleet.observations, fleet.missing, arguments["topology"])
        for line in lines:
            display.display(line)
        return {"map": lines}

    def _observed(self, arguments: dict[str, Any], variables: dict[str, Any]) -> Fleet:
        fleet = Fleet.of_play(variables, arguments["fleet_group"])
        fleet.take_observations(arguments["observed"])
        if fleet.outside:
            fleet.take_outside(observe(fleet.outside, play_context=self._play_context, loader=self._loader))
        return fleet

    def _show_diff(self, diff: str) -> None:
        for line in diff.splitlines():
            display.display(line, color=_COLORS.get(line[:1]))


def _colored(diff: str) -> str:
    """Color the diff as Ansible would, where it would."""
    return "".join(
        f"{stringc(line, _COLORS[line[:1]]) if line[:1] in _COLORS else line}\n" for line in diff.splitlines()
    )
