# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the links of one container to what is wanted: what the module link does, and containers for its instances."""

from __future__ import annotations

import contextlib

from ...common.errors import HostError, InvalidInput
from ...common.naming import check_name
from ...engine.client import Engine, NotFound
from ...host.lock import host_lock
from .. import specs
from ..filter.load import load
from ..filter.policy import RUNTIME_NAME
from . import attach, lease
from .wanted import Link, read_links


def converge_link(params, check):
    """Do what the module was asked for and return its result.

    :raises StowageError: with one sentence; nothing was changed then.
    """
    check_name(params["fleet"], "fleet")
    engine = Engine(params["docker_host"], params["engine_timeout"])
    try:
        container = engine.inspect(params["container"])
    except NotFound as error:
        raise HostError(f"there is no container {params['container']} on this host; nothing was changed") from error
    name = container["Name"].lstrip("/")
    links = read_links(name, params["links"])
    lock = contextlib.nullcontext() if check else host_lock(params["fleet"], params["by"], params["lock_timeout"])
    with lock:
        if not check:
            _forget_gone(engine)
        done = bring(engine, container, name, links, check)
        leases = lease.show(container["Id"], links)
    shown = [[link.to_dict() for link in links], done["before"]]
    return {"changed": done["changed"], "actions": done["actions"], "links": shown[0], "leases": leases,
            "diff": {"before": {"links": shown[1]}, "after": {"links": shown[0]}}}


def _forget_gone(engine):
    """Forget what is remembered of containers that were removed by hand."""
    present = {listed["Id"] for listed in engine.list_containers()}
    for ident in specs.known():
        if ident not in present:
            specs.forget(ident)


def has_links(ident):
    """Say whether links of a container are remembered."""
    return specs.read_links(ident) is not None


def leave(ident):
    """Have leases given back when a container stops, for it will not start again."""
    specs.mark_leaving(ident)


def bring(engine, container, name, links, check):
    """Bring one container's links to ``links``; return ``{"changed", "actions", "before"}``.

    :raises StowageError: with one sentence; nothing was changed then.
    """
    ident, state = container["Id"], container["State"]
    known = specs.read_links(ident) or {}
    before = [Link.from_dict(link).to_dict() for link in known.get("links", [])]
    wanted = [link.to_dict() for link in links]
    if links and container["HostConfig"].get("Runtime") != RUNTIME_NAME:
        raise HostError(f"{name} was made without the runtime {RUNTIME_NAME}, so links would be gone after a restart; "
                        f"expected it to be made with --runtime {RUNTIME_NAME}. Nothing was changed")
    if links:
        _refuse_taken(engine, ident, name, links)
    pid = state["Pid"] if state["Running"] and not state.get("Restarting") else 0
    away, make = [], []
    if pid:
        namespace = attach.namespace_of(pid)
        away, make = attach.compare(ident, links, namespace)
    taken = {link.parent for link in away if link.kind == "nic"}
    held = {entry["parent"] for entry in before if entry["kind"] == "nic"} if pid else set()
    for link in make if pid else links:
        if link.kind != "nic" or link.parent not in taken | held:
            attach.check(link)
    actions = [f"{link.name} taken away" for link in away] + [f"{link.name} made" for link in make]
    if before != wanted and not actions:
        actions.append("remembered for the next start")
    if actions and not check:
        filtered = specs.read(ident) is not None
        specs.write_links(ident, name, filtered, wanted)
        if pid:
            _change(attach.Process(ident, name, pid), links, away, make, (before, filtered))
    return {"changed": bool(actions), "actions": actions, "before": before}


def _change(process, links, away, make, old):
    before, filtered = old
    try:
        attach.change(process, links, away, make)
    except HostError:
        specs.write_links(process.ident, process.owner, filtered, before)
        raise
    if filtered:
        load(process.ident, process.pid, specs.read(process.ident)["rules"])


def _refuse_taken(engine, ident, name, links):
    """Refuse an address, a MAC, a name on the host or a NIC that another container's links have.

    :raises InvalidInput: with all complaints.
    """
    problems = []
    for other in specs.known():
        entry = specs.read_links(other)
        # Of the same name is the one that this one replaces.
        if other == ident or entry is None or entry["owner"] == name:
            continue
        found = [f"links: {what} is given to link {theirs['name']} of {entry['owner']} already"
                 for theirs in entry["links"] for link in links for what in _shared(link, theirs)]
        if found and _is_there(engine, other):
            problems += found
    if problems:
        raise InvalidInput(problems)


def _is_there(engine, ident):
    """Say whether a container is there: what is remembered of one that was removed by hand binds nobody."""
    try:
        engine.inspect(ident)
    except NotFound:
        return False
    return True


def _shared(link, theirs):
    own = {address.partition("/")[0] for address in link.addresses}
    for address in sorted(own & {address.partition("/")[0] for address in theirs["addresses"]}):
        yield f"address {address}"
    for key in ("mac", "host_name"):
        if getattr(link, key) and getattr(link, key) == theirs[key]:
            yield f"{key} {theirs[key]}"
    if link.kind == theirs["kind"] == "nic" and link.parent == theirs["parent"]:
        yield f"NIC {link.parent}"
