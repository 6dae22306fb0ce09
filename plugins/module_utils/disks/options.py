# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the module ``volume``, and what becomes of them."""

from __future__ import annotations

from ..common.errors import InvalidInput
from ..common.sizes import parse_size
from .decide import STATES, Wanted
from .mkfs import FILESYSTEMS
from .pool import DEFAULT_POOL
from .runner import Settings
from .volumes import REPAIR_MODES

_PLAIN = ("name", "state", "fs", "instance", "path", "owner", "group", "mode", "options", "shrink", "snapshot",
          "rollback", "keep_snapshots", "backup", "restore")


def argument_spec():
    """Return the argument spec of the module."""
    text, path = {"type": "str"}, {"type": "path"}
    volume = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": list(STATES), "default": "present"},
        "size": text, "shrink": {"type": "bool", "default": False},
        "fs": {"type": "str", "choices": list(FILESYSTEMS)},
        "instance": text, "path": text, "owner": text, "group": text, "mode": text,
        "options": {"type": "list", "elements": "str"},
        "snapshot": text, "keep_snapshots": {"type": "int"}, "rollback": text, "backup": path, "restore": path,
    }
    return {
        "volumes": {"type": "list", "elements": "dict", "default": [], "options": volume},
        "pool": {"type": "path", "default": DEFAULT_POOL},
        "fleet": {"type": "str", "default": "fleet"},
        "pool_size": text,
        "reserve": {"type": "str", "default": "0"},
        "thin_ratio": {"type": "float", "default": 1.0},
        "warn_percent": {"type": "float", "default": 90.0},
        "keep_days": {"type": "float"},
        "keep_instances": {"type": "list", "elements": "str", "default": []},
        "repair": {"type": "str", "choices": list(REPAIR_MODES), "default": "safe"},
        "mend": {"type": "bool", "default": True},
        "parallel": {"type": "int", "default": 4},
        "lock_timeout": {"type": "int", "default": 60},
        "boot_program": path,
    }


def settings_from(params, check_mode=False):
    """Return the Settings that the module's options describe; InvalidInput names all that are wrong."""
    problems, sizes = [], {}
    for key in ("pool_size", "reserve"):
        try:
            sizes[key] = parse_size(params[key]) if params[key] is not None else 0
        except InvalidInput as exc:
            problems.append(f"{key}: {exc.message}")
    for key, wrong in (("thin_ratio", params["thin_ratio"] <= 0), ("parallel", params["parallel"] < 1),
                       ("keep_days", params["keep_days"] is not None and params["keep_days"] < 0)):
        if wrong:
            problems.append(f"{key}: {params[key]} is too small; expected more than 0")
    if problems:
        raise InvalidInput(problems)
    return Settings(params["pool"], params["fleet"], sizes["pool_size"], sizes["reserve"], params["thin_ratio"],
                    params["warn_percent"], params["keep_days"], params["repair"], params["mend"], params["parallel"],
                    check_mode, params["lock_timeout"], keep_instances=params["keep_instances"])


def wanted_from(params):
    """Return the Wanted volumes of the module's options; InvalidInput names all sizes that can't be read."""
    problems, wanted = [], []
    for index, volume in enumerate(params["volumes"]):
        size = None
        try:
            size = parse_size(volume["size"]) if volume.get("size") is not None else None
        except InvalidInput as exc:
            problems.append(f"volumes[{index}].size: {exc.message}")
        mode = volume.get("mode")
        if mode is not None and not _is_octal(mode):
            problems.append(f"volumes[{index}].mode: {mode!r} is no mode; expected octal digits such as '0750'")
        wanted.append(Wanted(size=size, fleet=params["fleet"], **{key: volume.get(key) for key in _PLAIN}))
    if problems:
        raise InvalidInput(problems)
    return wanted


def _is_octal(text):
    try:
        return 0 <= int(text, 8) <= 0o7777
    except ValueError:
        return False
