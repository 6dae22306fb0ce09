# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an update changes inside a container: each field with its value before and after, as far as its engine shows it.

The label of a container holds a hash of its type, so what it was told is read off what the engine reports of it.
Variables are named without their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ....module_utils.common.sizes import human_size
from ....module_utils.containers.options import INSTANCE_SPEC
from ....module_utils.disks.instances import with_disks
from ....module_utils.disks.pool import DEFAULT_POOL
from ....module_utils.observation.settings import OWN, UNSET, wanted_settings
from ..plan.last_known import Observation

#: {field: "before → after"}, in the order to show them in.
Changes = dict[str, str]

_READER = ArgumentSpecValidator(INSTANCE_SPEC)
_CHANGING = ("update", "move")
_SIZES = ("memory", "disk")
_LONGEST = 60
# What is the same in two long texts is cut, but for this much before the first difference.
_LEAD = 16
_UNSEEN = "in what an engine does not show, such as links or the keeping of disks"


def find_changes(
    instances: Iterable[Mapping[str, Any]],
    options: Mapping[str, Mapping[str, Any]],
    observations: Mapping[str, Observation],
) -> dict[str, Changes]:
    """Return what changes inside each instance that a plan updates or moves, by name.

    :param instances: the plan's instances.
    :param options: the container options of each wanted instance, by name.
    """
    running = {
        (host, container["name"]): container
        for host, observation in observations.items()
        for container in observation.get("containers") or []
    }
    found = {}
    for item in instances:
        host = item.get("from_host") or item.get("host")
        container = running.get((str(host), item["name"]))
        if item["action"] in _CHANGING and container and item["name"] in options:
            changes = _compare(item, container, options[item["name"]], observations[str(host)])
            if changes:
                found[item["name"]] = changes
    return found


def _compare(
    item: Mapping[str, Any], container: Mapping[str, Any], options: Mapping[str, Any], observation: Observation
) -> Changes:
    changes: Changes = {}
    for name in ("type", "grade", "network"):
        _note(changes, name, container.get(name), options.get(name))
    if options.get("network"):
        _note(changes, "address", container.get("address"), options.get("address"))
    have, want = container.get("claims") or {}, options.get("claims") or {}
    for name in sorted({*have, *want}):
        _note(changes, name, _amount(name, have.get(name)), _amount(name, want.get(name)))
    if "settings" in container and container.get("digest") != options.get("digest"):
        _note(changes, "image", *_images(container, options, observation))
        _compare_settings(changes, container, options, observation)
        if not changes and item["action"] == "update":
            changes["type"] = _UNSEEN
    return changes


def _note(changes: Changes, name: str, before: Any, after: Any) -> None:
    before, after = before or None, after or None
    if before != after:
        changes[name] = f"{before or 'none'} → {after or 'none'}"


def _amount(name: str, value: Any) -> str | None:
    if not value:
        return None
    return human_size(value) if name in _SIZES else f"{value:g}"


def _images(
    container: Mapping[str, Any], options: Mapping[str, Any], observation: Observation
) -> tuple[str | None, str | None]:
    """Return the image before and after; with ids where one name has come to mean another image."""
    before, after = container.get("image"), options.get("image")
    known = (observation.get("images") or {}).get(after)
    if before == after and known and container.get("image_id") != known:
        return f"{before} ({_short(container.get('image_id'))})", f"{after} ({_short(known)})"
    return before, after


def _short(ident: Any) -> str:
    return str(ident).partition(":")[2][:12]


def _compare_settings(
    changes: Changes, container: Mapping[str, Any], options: Mapping[str, Any], observation: Observation
) -> None:
    read = _READER.validate(dict(options)).validated_parameters
    # The pool is the host's: where its disks are mounted from is no change of a type.
    with_mounts = with_disks(read, observation.get("pool") or DEFAULT_POOL)
    want, unread = wanted_settings(with_mounts, observation.get("machine"))
    rows = [(observation.get("settings") or [])[position] for position in container["settings"]]
    have = {name: (text, origin) for name, text, origin in rows}
    variables = []
    for name in _in_order(have, want):
        option, _dot, part = name.partition(".")
        before, origin = have.get(name, (None, OWN))
        after = want.get(name)
        if option in unread or before == after or (after is None and origin != OWN):
            continue
        if option == "env":
            variables.append(f"{part} {'added' if before is None else 'removed' if after is None else 'changed'}")
        else:
            # Of options with parts, only a health check has each from the image where nobody says it.
            unset = UNSET[option] if not part or option == "health" else "none"
            changes[name] = _arrow(before or unset, after or unset)
    if variables:
        changes["env"] = ", ".join(variables)


def _in_order(have: Iterable[str], want: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*have, *want]))


def _arrow(before: str, after: str) -> str:
    """Return both, cut to where they differ when they are long."""
    if max(len(before), len(after)) > _LONGEST:
        same = next((at for at, pair in enumerate(zip(before, after)) if pair[0] != pair[1]),
                    min(len(before), len(after)))
        start = same - _LEAD if same > _LEAD else 0
        before, after = _window(before, start), _window(after, start)
    return f"{before} → {after}"


def _window(text: str, start: int) -> str:
    shown = text[start : start + _LONGEST]
    return f"{'…' if start else ''}{shown}{'…' if start + _LONGEST < len(text) else ''}"
