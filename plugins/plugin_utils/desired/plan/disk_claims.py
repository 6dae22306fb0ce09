# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the planner is told of disks: which instance's lie where, and what a type's further volumes add to a grade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....module_utils.common.naming import is_instance_name, split_instance_name
from ....module_utils.common.sizes import human_size
from ..read.state import Desired
from ..read.volumes import extra_disk
from .last_known import Observation


def disk_rows(observations: Mapping[str, Observation]) -> list[dict[str, Any]]:
    """Return one row for each instance and host where disks of it lie, attached or released.

    Its size is their sum, with what their snapshots take up.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for host in sorted(observations):
        for volume in observations[host].get("volumes") or []:
            name = volume.get("instance")
            # What is kept for a disk that comes is room of its instance, which counts when it is placed there.
            if not is_instance_name(name) or not volume.get("size") or volume["state"] == "incoming":
                continue
            cluster, group, index = split_instance_name(name)
            new = {"cluster": cluster, "group": group, "index": index, "host": host, "size": 0}
            row = rows.setdefault((host, name), new)
            row["size"] += volume["size"] + (volume.get("snapshot_bytes") or 0)
            # A copy that is outdated takes room, and calls nobody back.
            if volume.get("released_at") and volume["state"] != "moved":
                row["released_at"] = max(volume["released_at"], row.get("released_at", ""))
    return [rows[key] for key in sorted(rows)]


def group_grades(desired: Desired) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], str]]:
    """Return (grades, {(cluster, group): name}) as the planner is to count them.

    A group whose type has further volumes counts as one of a grade with so much more disk.
    """
    grades = dict(desired.grades)
    names = {}
    for cluster, entry in desired.clusters.items():
        for group, spec in entry["groups"].items():
            extra = extra_disk(desired.types.get(spec["type"]))
            if not extra or spec["grade"] not in desired.grades:
                continue
            grade = desired.grades[spec["grade"]]
            larger = {**grade, "disk": (grade.get("disk") or 0) + extra}
            name = f"{spec['grade'][:30]}-plus-{extra}"
            while grades.get(name, larger) != larger:
                name += "x"
            grades[name] = larger
            names[cluster, group] = name
    return grades, names


def with_own_grades(plan: dict[str, Any], desired: Desired) -> dict[str, Any]:
    """Return a plan that names the grades as the operator does."""
    _grades, names = group_grades(desired)
    for instance in plan["instances"]:
        key = (instance["cluster"], instance["group"])
        if instance.get("grade") and instance["grade"] == names.get(key):
            instance["grade"] = desired.clusters[key[0]]["groups"][key[1]]["grade"]
    return plan


def room_in_released(plan: Mapping[str, Any], observations: Mapping[str, Observation]) -> str:
    """Return what deleting released disks would free, when something lacks disk for it; '' otherwise."""
    lacking = any(
        reason.get("reason") == "disk" for item in plan.get("unplaced") or [] for reason in item.get("reasons") or []
    )
    holding = []
    for host in sorted(observations) if lacking else []:
        released = [one for one in observations[host].get("volumes") or [] if one.get("state") == "released"]
        if released:
            names = ", ".join(f"{one['name']} since {str(one.get('released_at'))[:10]}" for one in released)
            holding.append(f"{human_size(sum(one.get('size') or 0 for one in released))} on {host} ({names})")
    if not holding:
        return ""
    return (
        f"Released disks hold room: {'; '.join(holding)}. Who needs none of that data deletes all of them with the "
        "playbook stowage.fleet.delete_disks and -e stowage_keep_disks_days=0, or one with stowage.fleet.volume and "
        "state: absent."
    )
