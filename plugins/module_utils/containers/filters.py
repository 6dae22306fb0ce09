# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the packet filters of a host's containers to what the policy says: what the module isolation does."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

from ..common.errors import StowageError
from ..common.labels import CLUSTER
from ..common.naming import check_name
from ..engine.client import Engine, NotFound
from ..host.lock import host_lock
from ..network import specs
from ..network.filter import namespace
from ..network.filter.load import load
from ..network.filter.policy import RUNTIME_NAME, Policy, memorize, recall
from .ownership import Owned

# Sets of a filter that hold members of the cluster, and what its rules that name each of them have in them.
_MEMBERS = ("peers", "near", "far", "near_local", "local")
_OF_EACH = ("dup to ", "icmpv6 type nd-neighbor-advert @th")
_PARALLEL = 8


def converge_isolation(params, check):
    """Do what the module was asked for and return its result; ``failed`` and ``msg`` are set when a container failed.

    :raises StowageError: when nothing could be started, and so nothing was changed.
    """
    check_name(params["fleet"], "fleet")
    told = recall(params["policy"], params["fleet"])
    policy = Policy(told)
    engine = Engine(params["docker_host"], params["engine_timeout"])
    lock = contextlib.nullcontext() if check else host_lock(params["fleet"], params["by"], params["lock_timeout"])
    with lock:
        report = bring_filters(engine, policy, params["fleet"], params["only_changed"], check)
        if not check and not params["only_changed"]:
            memorize(told, params["fleet"])
        return report


def bring_filters(engine, policy, fleet, only_changed, check):
    """Bring the filters of a host to a policy, under its lock; see ``converge_isolation`` for the result."""
    listed = engine.list_containers()
    owned = Owned(listed, fleet)
    wanted = {name: container for name, container in owned.instances.items() if _concerns(policy, name, container)}
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        results = list(pool.map(lambda item: _one(engine, policy, item, only_changed, check), sorted(wanted.items())))
    return _report(results + _forget({container["Id"] for container in listed}, check))


def _concerns(policy, name, listed):
    cluster = (listed.get("Labels") or {}).get(CLUSTER)
    return policy.covers(cluster) and policy.knows(name, cluster)


def _one(engine, policy, item, only_changed, check):
    name, listed = item
    result = {"name": name, "id": listed["Id"], "action": "none", "changed": False, "failed": False, "msg": ""}
    try:
        known, text = _texts(policy, result, listed["Labels"][CLUSTER])
        if known != text or not only_changed or specs.loaded(listed["Id"]) is None:
            _bring(engine, policy, result, listed["Labels"][CLUSTER], known, text, check)
    except NotFound:
        result["msg"] = "it went away meanwhile"
    except StowageError as error:
        result.update(failed=True, msg=error.message)
    return result


def _texts(policy, result, cluster):
    """Return the filter that is written down of a container, and the one that it should have."""
    return (specs.read(result["id"]) or {}).get("rules", ""), policy.rules_of(result["name"], cluster)


def _bring(engine, policy, result, cluster, known, text, check):
    name, ident = result["name"], result["id"]
    container = engine.inspect(ident)
    if known != text:
        result.update(action="written", changed=True, diff={"before": known, "after": text})
        if not check:
            policy.remember(ident, name, cluster)
    pid = _process(container)
    try:
        if pid and (known != text or _drifted(ident, pid)):
            result.update(action="loaded", changed=True)
            if not check:
                load(ident, pid, text)
    except StowageError:
        # Whatever starts it again loads the file that was just written.
        if _process(engine.inspect(ident)) == pid:
            raise
    if container["HostConfig"].get("Runtime") != RUNTIME_NAME:
        result["msg"] = (f"its filter does not outlive a restart: it was made without the runtime {RUNTIME_NAME}, "
                         "which its next update gives it")


def _process(container):
    """Return the process whose namespace can be looked into, or 0: one that is being restarted has none."""
    state = container["State"]
    return state["Pid"] if state["Running"] and not state.get("Restarting") else 0


def _drifted(ident, pid):
    noted = specs.loaded(ident)
    return noted is None or noted != namespace.fingerprint(pid)


def _forget(present, check):
    """Forget containers that are gone, whoever owned them: their filters went with their namespaces."""
    results = []
    for ident in specs.known():
        if ident in present:
            continue
        name = ident[:12]
        with contextlib.suppress(StowageError):
            name = (specs.read(ident) or {}).get("name", name)
        if not check:
            specs.forget(ident)
        results.append({"name": name, "id": ident, "action": "forgotten", "changed": True, "failed": False,
                        "msg": "the container is gone"})
    return results


def _drawn(changed):
    """Return a line for each sort of change: members of a cluster learn of the same neighbours at once."""
    alike = {}
    for result in changed:
        if result.get("diff"):
            alike.setdefault(_change(**result["diff"]), []).append(result["name"])
    return "".join(f"~ packet filter of {', '.join(names)}: {what}\n" for what, names in alike.items())


def _change(before, after):
    """Say in a few words how a filter differs from what it was."""
    if not before:
        return "made"
    (old, old_rules), (new, new_rules) = _members(before), _members(after)
    words = [f"+{address}" for address in sorted(new - old)] + [f"-{address}" for address in sorted(old - new)]
    if old_rules != new_rules or not words:
        words.append("rules")
    return ", ".join(words)


def _members(text):
    """Return the addresses of the members that a filter knows, and the rest of its lines."""
    members, rest, name = set(), [], ""
    for line in text.splitlines():
        words = line.split()
        name = words[1] if words[:1] == ["set"] else name
        if words[:1] == ["elements"] and name in _MEMBERS:
            members.update(word.strip(",") for word in words[3:-1] if name == "peers")
        elif not line.startswith(_OF_EACH):
            rest.append(line)
    return members, rest


def _report(results):
    changed = [result for result in results if result["changed"]]
    report = {
        "changed": bool(changed),
        "containers": results,
        "diff": {"prepared": _drawn(changed)},
        "warnings": [f"{result['name']}: {result['msg']}" for result in results
                     if result["msg"] and not result["failed"] and result["action"] != "forgotten"],
    }
    failures = [f"{result['name']}: {result['msg']}" for result in results if result["failed"]]
    if failures:
        report.update(failed=True, msg=f"{len(failures)} of {len(results)} failed. {' | '.join(failures)}")
    return report
