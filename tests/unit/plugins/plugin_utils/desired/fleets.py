# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small fleets to plan for, and a planner that places by a script."""

from __future__ import annotations

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.complaints import Complaints
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.state import read_desired


def render(text, variables=None):
    """Fill in {{ name }} and {{ name.key }} only, which is all that these tests need."""
    expression = text.strip().removeprefix("{{").removesuffix("}}").strip()
    value = dict(variables or {})
    for part in expression.split("."):
        if not isinstance(value, dict) or part not in value:
            raise StowageError(f"can't be filled in: '{expression}' is undefined")
        value = value[part]
    return value


def variables(**changes):
    """Return a valid desired state: three of acme/db, and acme/web that requires them."""
    groups = {
        "db": {"count": 3, "type": "db", "grade": "small"},
        "web": {"count": 1, "type": "web", "grade": "tiny", "requires": ["db"]},
    }
    return {
        "stowage_grades": {"small": {"cores": 1, "memory": "64m"}, "tiny": {"cpus": 0.1, "memory": "32m"}},
        "stowage_types": {"db": {"image": "db:1"}, "web": {"image": "web:1", "command": "{{ members.db }}"}},
        "stowage_networks": {
            "lan": {"driver": "macvlan", "parent": "eth0", "subnet": "10.0.0.0/24", "pool": "10.0.0.10-10.0.0.99"}
        },
        "stowage_clusters": {"acme": {"groups": groups}},
        **changes,
    }


def read(override=None, **changes):
    """Return (desired state, complaints)."""
    complaints = Complaints()
    return read_desired(variables(**changes), render, complaints, override), complaints.sentences


def instance(name, action="create", host="h1", **more):
    """Return a planned instance."""
    cluster, group, index = name.split("_")
    return {
        "name": name,
        "cluster": cluster,
        "group": group,
        "index": int(index),
        "action": action,
        "host": host,
        "from_host": None,
        "state": "started",
        "cores": [],
        "memory": 1,
        "network": "lan",
        "address": f"10.0.0.{10 + int(index)}",
        "reasons": [],
        **more,
    }


def running(name, host="h1", **more):
    """Return a running instance as the planner is told."""
    cluster, group, index = name.split("_")
    return {
        "cluster": cluster,
        "group": group,
        "index": int(index),
        "host": host,
        "state": "running",
        "healthy": True,
        "claims": {"memory": 1},
        "cores": [],
        "network": "lan",
        "address": f"10.0.0.{10 + int(index)}",
        **more,
    }


def step(index, kind, *names, waits_for=()):
    """Return a step of a plan."""
    return {"index": index, "name": f"step {index}", "kind": kind, "instances": list(names), "waits_for": [*waits_for]}
