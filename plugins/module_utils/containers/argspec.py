# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument spec of the module ``containers``."""

from __future__ import annotations

from ..engine.client import ENGINE_SPEC
from ..network.filter.policy import POLICY_SPEC
from .options import INSTANCE_SPEC

STATE_DIR = "/var/lib/stowage"
POOL = "/var/lib/stowage/pool"

NETWORK_SPEC = {
    "name": {"type": "str", "required": True},
    "driver": {"type": "str", "choices": ["bridge", "macvlan", "ipvlan"], "default": "bridge"},
    "parent": {"type": "str"},
    "subnet": {"type": "str"},
    "gateway": {"type": "str"},
    "ip_range": {"type": "str"},
    "subnet6": {"type": "str"},
    "gateway6": {"type": "str"},
    "internal": {"type": "bool", "default": False},
    "mtu": {"type": "int"},
    "options": {"type": "dict", "default": {}},
}
PLAN_SPEC = {
    "id": {"type": "str", "required": True},
    "serial": {"type": "int", "required": True},
    "base_serial": {"type": "int", "required": True},
}
MODULE_SPEC = {
    **ENGINE_SPEC,
    "instances": {"type": "list", "elements": "dict", "options": INSTANCE_SPEC, "default": []},
    "remove": {"type": "list", "elements": "str", "default": []},
    "networks": {"type": "list", "elements": "dict", "options": NETWORK_SPEC, "default": []},
    "prune_networks": {"type": "bool", "default": False},
    "isolation": POLICY_SPEC,
    "plan": {"type": "dict", "options": PLAN_SPEC},
    "claim": {"type": "bool", "default": False},
    "ledger": {"type": "dict", "default": {}},
    "by": {"type": "str", "default": "unknown"},
    "host_name": {"type": "str"},
    "pool": {"type": "path", "default": POOL},
    "release_disks": {"type": "bool", "default": False},
    "keep_disks": {"type": "list", "elements": "str", "default": []},
    "keep_disks_days": {"type": "float"},
    "keep_instances": {"type": "list", "elements": "str", "default": []},
    "disk_thin_ratio": {"type": "float", "default": 1.0},
    "disk_warn_percent": {"type": "float", "default": 90.0},
    "state_dir": {"type": "path", "default": STATE_DIR},
    "reserved": {"type": "dict", "default": {}},
    "resources": {"type": "dict", "default": {}},
    "pull": {"type": "str", "choices": ["missing", "never", "always"], "default": "missing"},
    "parallel": {"type": "int", "default": 8},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 120},
    "wait_groups": {"type": "list", "elements": "list", "default": []},
    "wait_patience": {"type": "float"},
    "filters": {"type": "str", "choices": ["none", "changed", "all"], "default": "none"},
    "observe": {"type": "str", "choices": ["never", "changed", "always"], "default": "never"},
    "lock_timeout": {"type": "int", "default": 60},
}
_HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


def without_env(params):
    """Return the module's options with the values of all variables of containers hidden, as Ansible does it.

    Its own ``no_log`` would hide every text that is equal to a value or holds one: with a variable that is ``1``,
    every 1 of the result.
    """
    instances = [{**instance, "env": dict.fromkeys(instance["env"], _HIDDEN)} if instance.get("env") else instance
                 for instance in params["instances"]]
    return {**params, "instances": instances}
