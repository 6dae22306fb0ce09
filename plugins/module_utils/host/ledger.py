# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: which plan was claimed last, with a serial number, kept on every host.

Its head is small and lies on every host, with what concerns that host itself. Its body says of the whole fleet where
instances were seen and where the plan puts them; it lies on the few hosts that the head names as its keepers, and is
asked for only when somebody is silent.

Beside it lie the host's records: what a container was promised once that was changed in place, since the labels of a
container can't be changed.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone

from ..common.errors import HostError, PlanRefused
from ..common.files import read_text, remove, write_text
from ..common.labels import read_spec

VERSION = 2
_OLD_VERSION = 1
_BODY = ("instances", "seen", "hosts", "disks")


def _path(state_dir, fleet, name):
    return os.path.join(state_dir, fleet, name)


def read_ledger(state_dir, fleet):
    """Return the head of a fleet's ledger on this host, or None when there is none.

    ``{"version", "serial", "plan_id", "digest", "fleet_hosts", "keepers", "own", "applied_at", "by", "has_body"}``;
    one of version 1 has its body in the same file.

    :raises HostError: when it is there and can't be read, for a plan could otherwise be undone by an older one.
    """
    path = _path(state_dir, fleet, "ledger.json")
    ledger = _read_json(path)
    if ledger is None:
        return None
    if not isinstance(ledger, dict) or not isinstance(ledger.get("serial"), int):
        raise HostError(f"The ledger {path} is damaged; expected JSON with a serial number. Restore or remove it")
    if ledger.get("version") not in (VERSION, _OLD_VERSION):
        raise HostError(f"The ledger {path} has version {ledger.get('version')!r}; this collection writes {VERSION}")
    if ledger["version"] == _OLD_VERSION:
        return {**{key: value for key, value in ledger.items() if key not in _BODY}, "has_body": True}
    return {**ledger, "has_body": os.path.exists(_path(state_dir, fleet, "ledger-body.json"))}


def read_body(state_dir, fleet):
    """Return the body of the ledger on this host, ``{"instances", "seen", "hosts", "disks"}``, or None.

    :raises HostError: when it can't be read.
    """
    ledger = _read_json(_path(state_dir, fleet, "ledger.json"))
    if ledger is not None and ledger.get("version") == _OLD_VERSION:
        return {name: ledger.get(name) or [] for name in _BODY}
    body = _read_json(_path(state_dir, fleet, "ledger-body.json"))
    if body is None or ledger is None or body.get("plan_id") != ledger.get("plan_id"):
        return None
    return {name: body.get(name) or [] for name in _BODY}


def check_plan(plan, ledger):
    """Raise PlanRefused when the host has seen another plan since this one was made."""
    if ledger is None or ledger.get("plan_id") == plan["id"] or ledger["serial"] <= plan["base_serial"]:
        return
    raise PlanRefused(
        f"Plan {plan['id']} is outdated: it was made from ledger serial {plan['base_serial']}, and this host's ledger "
        f"has serial {ledger['serial']} of plan {ledger.get('plan_id')}, claimed by {ledger.get('by', 'unknown')} at "
        f"{ledger.get('applied_at', 'an unknown time')}. Nothing was changed; plan again"
    )


def is_claimed(plan, ledger):
    """Say whether the host's ledger already is this plan's."""
    return ledger is not None and (ledger["serial"], ledger.get("plan_id")) == (plan["serial"], plan["id"])


def write_ledger(state_dir, fleet, plan, by, content):
    """Replace the ledger by one for ``plan``; survives a power cut at any moment.

    :param content: what it keeps beside the plan's numbers: ``digest``, ``fleet_hosts``, ``keepers``, ``own``, and the
        ``body`` for a keeper.
    """
    body = _path(state_dir, fleet, "ledger-body.json")
    head = {
        **{key: value for key, value in content.items() if key != "body"},
        "version": VERSION,
        "serial": plan["serial"],
        "plan_id": plan["id"],
        "applied_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "by": by,
    }
    # The body first: a head whose body is not there yet would say that nobody knows.
    if content.get("body"):
        _write_json(body, {**content["body"], "plan_id": plan["id"], "serial": plan["serial"]})
    _write_json(_path(state_dir, fleet, "ledger.json"), head)
    if not content.get("body"):
        remove(body)


def read_records(state_dir, fleet):
    """Return {container id: spec} of containers whose label no longer says what they were promised.

    A lost or damaged file loses nothing for good: the labels count again, and the next run renews what differs.
    """
    try:
        records = _read_json(_path(state_dir, fleet, "records.json"))
    except HostError:
        return {}
    if not isinstance(records, dict):
        return {}
    checked = {ident: read_spec(json.dumps(spec)) for ident, spec in records.items()}
    return {ident: spec for ident, spec in checked.items() if spec is not None}


def write_records(state_dir, fleet, records):
    """Replace the records."""
    _write_json(_path(state_dir, fleet, "records.json"), records)


def _read_json(path):
    try:
        text = read_text(path)
        return None if text is None else json.loads(text)
    except (OSError, ValueError) as error:
        raise HostError(f"{path} can't be read: {error}. Restore or remove it") from error


def _write_json(path, value):
    try:
        write_text(path, json.dumps(value, sort_keys=True) + "\n", mode=0o600)
    except OSError as error:
        raise HostError(f"{path} can't be written: {error}") from error
