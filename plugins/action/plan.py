# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The brain's door: reads variables and observations, asks the planner, and hands out what each host has to do."""

from __future__ import annotations

import getpass
import json
import socket
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc
from ansible.utils.display import Display

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput, StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.common.files import write_text
from ansible_collections.stowage.fleet.plugins.plugin_utils.controller import (
    Fleet,
    fleet_group,
    read_and_check,
    refusal,
    solve,
)
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.deferral import find_held
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.disk_moves import (
    Travel,
    Travels,
    find_travels,
)
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan import images
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.last_known import (
    keepers_of,
    needs_body,
    newest_ledger,
)
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.planning import Planned, make_plan
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.types import needs_of
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.values import plain
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.changes import find_changes
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.diff import draw_diff, summarize
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.fleet_map import draw_map
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.refusals import find_refusal
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.verify import find_differences
from ansible_collections.stowage.fleet.plugins.plugin_utils.hand_out import HandOut
from ansible_collections.stowage.fleet.plugins.plugin_utils.job_board import JobBoard
from ansible_collections.stowage.fleet.plugins.plugin_utils.remote.observer import observe
from ansible_collections.stowage.fleet.plugins.plugin_utils.rendering import Renderer
from ansible_collections.stowage.fleet.plugins.plugin_utils.run_folder import SETTLED, RunFolder, word

ARGUMENTS = {
    "operation": {"type": "str", "choices": ["check", "plan", "conclude", "map"], "default": "plan"},
    "cluster": {"type": "str"},
    "group": {"type": "str"},
    "count": {"type": "raw"},
    "fleet_group": {"type": "str"},
    "observed": {"type": "str", "default": "stowage_observed"},
    "topology": {"type": "str", "default": "zone"},
    "pull": {"type": "str", "choices": ["missing", "never", "always"], "default": "missing"},
    "brought": {"type": "list", "elements": "str", "default": []},
    "to": {"type": "path"},
}
_COLORS = {
    "+": constants.COLOR_DIFF_ADD,
    "-": constants.COLOR_DIFF_REMOVE,
    "~": constants.COLOR_CHANGED,
    "!": constants.COLOR_ERROR,
}
_LEFTOVERS = ("plan", "hosts", "policies", "claims", "jobs", "active", "rounds", "failures", "settled")
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
        variables = task_vars or {}
        self._folder = RunFolder(fleet_group(variables, arguments["fleet_group"]))
        try:
            result.update(getattr(self, f"_{arguments['operation']}")(plain(arguments), variables))
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
        self._folder.clear(*_LEFTOVERS)
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
        notes += [f"{name} is left as it is: {reason}."
                  for name, reason in sorted({**travels.interrupted, **travels.held}.items())]
        lacking = images.find_missing(planned.plan["instances"], planned.options, fleet.observations, held)
        unbrought, image_notes = images.judge(lacking, arguments["pull"], arguments["brought"], self._task.check_mode)
        notes += image_notes
        refused = find_refusal(desired, planned, fleet.observations, allowed, unbrought)
        diff = self._draw(planned, held, travels.moves, fleet, refused)
        if refused:
            self._show_diff(diff)
            return {"failed": True, "msg": refused}
        hand_out = HandOut(desired, planned, fleet, held, allowed, travels.moves)
        deleting = boolean(variables.get("release_disks") or False, strict=False)
        hand_out.write(self._folder, f"{getpass.getuser()}@{socket.gethostname()}", deleting)
        if arguments["to"]:
            told = {"plan": planned.plan, "held": held, "waves": hand_out.waves}
            write_text(arguments["to"], json.dumps(told), mode=0o600)
        return self._told(planned, hand_out, notes, diff)

    def _told(self, planned: Planned, hand_out: HandOut, notes: list[str], diff: str) -> dict[str, Any]:
        """Show the plan to people, and return what tasks and people need to know of it."""
        drawn = diff.lower()
        for note in notes:
            # What the diff says is not said twice.
            if note.lower() not in drawn:
                display.warning(note)
        changed = hand_out.changes and bool(self._task.check_mode)
        result: dict[str, Any] = {
            "changed": changed,
            "changes": hand_out.changes,
            "msg": summarize(planned.plan, hand_out.held),
            "workers": "".join(f" {host} " for host in hand_out.workers),
            "waves": [{**wave, "hosts": len(wave["hosts"])} for wave in hand_out.waves],
            "held": hand_out.held,
            "notes": notes,
            "serial": hand_out.claim["serial"],
            "plan_id": planned.plan["id"],
            # With -v it would fill the screen.
            "_ansible_verbose_override": True,
        }
        if changed and diff:
            result["diff"] = {"prepared": _colored(diff)}
        elif self._task.diff:
            self._show_diff(diff)
        display.display(result["msg"])
        return result

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

    def _conclude(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Say what was not done, draw the fleet, and fail where what runs is not as planned."""
        planned, common = self._folder.read("plan", "planned"), self._folder.read("plan", "common")
        self._map(arguments, variables)
        if planned is None or self._task.check_mode:
            return {"msg": "nothing was planned, or nothing was to be touched"}
        fleet = Fleet.of_play(variables, arguments["fleet_group"])
        fleet.take_observations(arguments["observed"], self._folder)
        # Who failed has said so; what waited for it is said here, once.
        undone = list(JobBoard(self._folder, common["steps"], "").failures()) if common["changes"] else []
        for sentence in dict.fromkeys(f"{step['name']}: {why}" for step, _host, why in undone
                                      if why.startswith("waits for ")):
            display.warning(f"Not done. {sentence}")
        failed = {name for step, _host, _why in undone for name in step["instances"]}
        if common["changes"]:
            # What a host did after it was observed is known only when it said so.
            settled = self._folder.words(SETTLED)
            fleet.observations = {host: seen for host, seen in fleet.observations.items() if word(host) in settled}
        differences = find_differences(planned["instances"], fleet.observations, {*common["held"], *failed})
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
        fleet.take_observations(arguments["observed"], self._folder)
        ways = {"play_context": self._play_context, "loader": self._loader}
        if fleet.outside:
            outside = self._folder.read("plan", "outside") or plain(observe(fleet.outside, **ways))
            self._folder.write("plan", "outside", outside)
            fleet.take_outside(outside)
        if needs_body(fleet.observations, fleet.hosts):
            self._fetch_ledger(fleet, ways)
        return fleet

    def _fetch_ledger(self, fleet: Fleet, ways: dict[str, Any]) -> None:
        """Ask one of its keepers for the ledger's body: it tells what ran on hosts that are silent now."""
        kept = self._folder.read("plan", "remembered")
        for keeper in keepers_of(fleet.observations):
            if kept is None:
                answer = plain(observe([keeper], ledger="body", **ways)).get(keeper) or {}
                kept = ((answer.get("host") or {}).get("ledger") or {}).get("body")
            if kept is not None:
                self._folder.write("plan", "remembered", kept)
                fleet.observations[keeper]["ledger"]["body"] = kept
                return
        newest = newest_ledger(fleet.observations)
        if fleet.missing and newest and self._task.args.get("operation") == "plan":
            raise StowageError(f"what ran on {', '.join(sorted(fleet.missing))} is written down on "
                               f"{', '.join(newest.get('keepers') or ['nobody'])} only, and none of these answers with "
                               "it. Nothing was touched.")

    def _show_diff(self, diff: str) -> None:
        for line in diff.splitlines():
            display.display(line, color=_COLORS.get(line[:1]))


def _colored(diff: str) -> str:
    """Color the diff as Ansible would, where it would."""
    return "".join(
        f"{stringc(line, _COLORS[line[:1]]) if line[:1] in _COLORS else line}\n" for line in diff.splitlines()
    )
