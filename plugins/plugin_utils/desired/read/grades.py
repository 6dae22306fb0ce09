# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grades: what one container gets."""

from __future__ import annotations

from typing import Any

from ....module_utils.common.sizes import human_size
from .complaints import Complaints, join, show

VARIABLE = "stowage_grades"
LEAST_MEMORY = 6 << 20  # of Docker 20.10 and newer; older ones take 4 MiB
KEYS = ("cores", "cpus", "memory", "disk", "numa", "smt", "resources")


def read_grades(value: Any, complaints: Complaints) -> dict[str, dict[str, Any]]:
    """Return the grades with sizes in bytes."""
    return {
        name: _read_grade(join(VARIABLE, name), item, complaints)
        for name, item in complaints.named(VARIABLE, value).items()
    }


def _read_grade(path: str, value: Any, complaints: Complaints) -> dict[str, Any]:
    given = complaints.mapping(path, value, KEYS)
    grade: dict[str, Any] = {}
    if "cores" in given and "cpus" in given:
        complaints.add(path, "has both cores and cpus; expected one: cores are exclusive, cpus are a share")
    elif "cores" not in given and "cpus" not in given:
        complaints.add(path, "has neither cores nor cpus; expected one: cores are exclusive, cpus are a share")
    if "cores" in given:
        grade["cores"] = complaints.whole(join(path, "cores"), given["cores"], lowest=1, default=1)
    if "cpus" in given:
        grade["cpus"] = complaints.number(join(path, "cpus"), given["cpus"], default=1)
    if given.get("memory") is None:
        complaints.add(join(path, "memory"), "missing; expected a size such as 512m")
    for name in ("memory", "disk"):
        if given.get(name) is not None:
            grade[name] = complaints.size(join(path, name), given[name], default=0)
    if grade.get("memory", LEAST_MEMORY) < LEAST_MEMORY:
        expected = f"expected {human_size(LEAST_MEMORY)} or more, which is the least that an engine takes"
        complaints.add(join(path, "memory"), f"{show(given['memory'])} is too small; {expected}")
    grade.update({name: given[name] for name in ("numa", "smt") if given.get(name) is not None})
    resources = complaints.mapping(join(path, "resources"), given.get("resources"))
    if resources:
        grade["resources"] = {
            name: _read_amount(join(join(path, "resources"), name), amount, complaints)
            for name, amount in resources.items()
        }
    return grade


def _read_amount(path: str, value: Any, complaints: Complaints) -> Any:
    """Read a further resource: a count such as 1, or a size such as 10g."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < 0:
            complaints.add(path, f"{show(value)} is below 0; expected an amount of 0 or more")
        return value
    return complaints.size(path, value, default=0)


def claims_of(grade: dict[str, Any]) -> dict[str, Any]:
    """Return what a grade promises, as it is written into a container's label."""
    claims = {name: grade[name] for name in ("cores", "cpus", "memory", "disk") if grade.get(name) is not None}
    claims.update(grade.get("resources") or {})
    return claims
