# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types: what one container runs. Their options are those of the module containers, so that there is one list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....module_utils.containers.options import INSTANCE_SPEC
from .complaints import Complaints, join, show
from .values import Render, fill, is_template, typed
from .volumes import check_volumes

VARIABLE = "stowage_types"
# What the plan decides, or what belongs to the group: a type can't say it.
DECIDED = frozenset(
    (
        *("name", "cluster", "group", "index", "state", "grade", "type", "digest", "claims"),
        *("cores", "cpus", "cpuset", "mems", "memory", "disk", "resources", "network", "address", "address6"),
    )
)
OPTIONS: dict[str, dict[str, Any]] = {name: spec for name, spec in INSTANCE_SPEC.items() if name not in DECIDED}


def read_types(value: Any, render: Render, complaints: Complaints) -> dict[str, Any]:
    """Return the types by name, with the templates inside them untouched.

    Only the outer two levels may be templates themselves (``{{ base_types | combine(own_types) }}``); what they hold
    is then filled in before planning and can't use ``instance`` and ``members``.
    """
    if is_template(value):
        value = fill(value, render, VARIABLE, complaints)
    types: dict[str, Any] = {}
    for name, item in complaints.named(VARIABLE, value).items():
        path = join(VARIABLE, name)
        if is_template(item):
            item = fill(item, render, path, complaints)
        types[name] = complaints.mapping(path, item, OPTIONS)
        raw = types[name].get("volumes")
        if raw is not None:
            # They are counted before anything is placed, so they can't name the instance.
            filled = fill(raw, render, join(path, "volumes"), complaints)
            types[name] = {**types[name], "volumes": typed(raw, filled)}
            check_volumes(path, types[name], complaints)
        if not types[name].get("image"):
            complaints.add(join(path, "image"), "missing; expected the name of an image")
        check_options(path, types[name], complaints)
    return types


def needs_of(types: Mapping[str, Any]) -> list[str]:
    """Return what hosts need beside an engine for containers of these types, in words of the role ``network``."""
    links = [link for each in types.values() for link in each.get("links") or [] if isinstance(link, Mapping)]
    # A template is somebody's wish for it, too: a client that nobody calls costs little.
    return ["dhcp"] if any(str(link.get("dhcp") or "no").lower() not in ("no", "false") for link in links) else []


def check_options(path: str, value: Mapping[str, Any], complaints: Complaints) -> None:
    """Check a type against the options of the module containers; templates are judged once they are filled in."""
    _check_mapping(path, value, OPTIONS, complaints)


def _check_mapping(path: str, value: Any, options: Mapping[str, Any], complaints: Complaints) -> None:
    given = complaints.mapping(path, value, options)
    for name, item in given.items():
        if item is not None:
            _check_value(join(path, name), item, options[name], complaints)
    for name, spec in options.items():
        if spec.get("required") and given.get(name) is None:
            complaints.add(join(path, name), "missing; expected a value")


def _check_value(path: str, value: Any, spec: Mapping[str, Any], complaints: Complaints) -> None:
    kind = spec.get("type", "str")
    if is_template(value):
        return
    if kind == "list":
        # Ansible reads "a,b" as a list; here only lists are lists, so that a forgotten bracket is seen.
        element = {"type": spec.get("elements", "raw"), "options": spec.get("options")}
        for position, item in enumerate(complaints.listing(path, value)):
            _check_value(join(path, position), item, element, complaints)
    elif kind == "dict" and spec.get("options"):
        _check_mapping(path, value, spec["options"], complaints)
    elif kind == "dict":
        _check_flat(path, value, complaints)
    elif kind == "int":
        complaints.whole(path, value, lowest=-1)
    elif kind == "bool":
        complaints.boolean(path, value)
    elif kind in ("str", "path") and (isinstance(value, (Mapping, list)) or value == ""):
        complaints.add(path, f"{show(value)} is not a text; expected a text")
    elif spec.get("choices"):
        complaints.choice(path, str(value), spec["choices"])


def _check_flat(path: str, value: Any, complaints: Complaints) -> None:
    """Names with plain values, such as env, labels and sysctls. Complaints show none: passwords are among them."""
    if not isinstance(value, Mapping):
        complaints.add(path, "is not a mapping; expected names with values")
        return
    for name, item in value.items():
        if isinstance(item, (Mapping, list)):
            kind = "list" if isinstance(item, list) else "mapping"
            complaints.add(join(path, str(name)), f"is a {kind}, not a plain value; expected a text or a number")
