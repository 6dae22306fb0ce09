# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes a host's bridges and shims so that it can't stay cut off: what the module host_network does on a host.

A change arms a timer that undoes it, is made by systemd (no connection has to live that long), and stays only when the
controller confirms it over a connection that it opened afterwards. A reboot in between undoes it too.
"""

from __future__ import annotations

import json
import os
import shutil

from ..errors import HostError, InvalidInput
from ..files import read_text, remove, write_text
from . import live, wanted

_KNOWN = f"{wanted.FOLDER}/links.json"
_APPLY = f"{wanted.FOLDER}/apply"
_DONE = f"{wanted.FOLDER}/done"
_TIMER = "stowage-host-network-undo"
_FILES = (_KNOWN, wanted.SCRIPT, wanted.UNIT)


def change(networks, undo_after, check, run, peer=None):
    """Begin to bring this host to what its networks need; what changes has to be confirmed, or is undone.

    :param undo_after: seconds until a change that is not confirmed is undone.
    :param run: runs an argument list and returns (rc, out, err).
    :param peer: the address that this connection comes from.
    :raises InvalidInput: with all that is against it; nothing has changed then.
    """
    links = wanted.read_links(networks)
    before = json.loads(read_text(_KNOWN) or "[]")
    result = {"changed": False, "armed": False, "links": [link["name"] for link in links]}
    problems = live.refusals(links, before, peer, lambda unit: run(["systemctl", "is-active", "-q", unit])[0] == 0)
    if problems:
        raise InvalidInput(problems)
    texts = {wanted.SCRIPT: wanted.script(links), wanted.UNIT: wanted.service() if links else ""}
    drift = [text for text in map(live.missing, links) if text]
    pending = os.path.exists(wanted.UNDO)
    stale = [path for path, text in texts.items() if (read_text(path) or "") != text]
    if before == links and not (stale or drift or pending):
        return result
    result.update(changed=True, why=drift or [f"{path} differs" for path in stale],
                  diff={"before": _show(before), "after": _show(links)})
    if check:
        return result
    if not os.path.exists("/run/systemd/system"):
        raise HostError("systemd does not run here, and a change that nobody could undo was not begun")
    if pending:
        # A run died before it could confirm. What it left is undone at once instead of later.
        undo(run)
        before = json.loads(read_text(_KNOWN) or "[]")
    _keep(before, links, run)
    _arm(undo_after, run)
    if not links:
        run(["systemctl", "disable", "-q", wanted.SERVICE])
    for path, text in texts.items():
        if text:
            write_text(path, text, mode=0o755 if path == wanted.SCRIPT else 0o644)
        else:
            remove(path)
    write_text(_KNOWN, json.dumps(links))
    _must(run(["systemctl", "daemon-reload"]))
    if links:
        _must(run(["systemctl", "enable", "-q", wanted.SERVICE]))
    _begin(run)
    result["armed"] = True
    return result


def _show(links):
    return "".join(f"{wanted.make(link)}\n" for link in links)


def _must(done):
    if done[0]:
        raise HostError(f"systemd refused: {' '.join(done[2].split())[:300]}")


def _keep(before, after, run):
    """Keep what is there, and write down how to get back to it."""
    folder = f"{wanted.FOLDER}/before"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, mode=0o700)
    there = {path: os.path.exists(path) for path in _FILES}
    for path in filter(there.get, there):
        shutil.copy2(path, folder)
    enabled = run(["systemctl", "is-enabled", "-q", wanted.SERVICE])[0] == 0
    write_text(_APPLY, wanted.apply_script(before, after), mode=0o700)
    write_text(wanted.UNDO, wanted.undo_script(before, after, there, enabled), mode=0o700)
    remove(_DONE)


def _arm(undo_after, run):
    for unit in (f"{_TIMER}.timer", f"{_TIMER}.service"):
        run(["systemctl", "stop", unit])
        run(["systemctl", "reset-failed", unit])
    _must(run(["systemd-run", "--quiet", "--collect", f"--unit={_TIMER}", f"--on-active={undo_after}",
               "--timer-property=AccuracySec=100ms", "/bin/sh", wanted.UNDO]))


def _begin(run):
    """Have systemd make the change in a moment: it goes on when this connection does not."""
    command = f"/bin/sh {_APPLY} >{_DONE}.log 2>&1; echo $? >{_DONE}"
    _must(run(["systemd-run", "--quiet", "--collect", "--on-active=300ms", "--timer-property=AccuracySec=10ms",
               "/bin/sh", "-c", command]))


def look(run):
    """Return ``{"done": ...}``: whether the change is made. Whoever hears that it is has heard it by the new network.

    :raises HostError: when it was undone, or did not do what it should and is undone now.
    """
    _refuse_late(run)
    status = read_text(_DONE)
    if status is None:
        return {"done": False}
    lost = [text for text in map(live.missing, json.loads(read_text(_KNOWN) or "[]")) if text]
    if status.strip() != "0" or lost:
        said = "; ".join([*lost, " ".join((read_text(f"{_DONE}.log") or "").split())[:500]])
        undo(run)
        raise HostError(f"the change failed and was undone: {said}")
    return {"done": True}


def confirm(run):
    """Let a change stay that is made.

    :raises HostError: when it was undone before.
    """
    _refuse_late(run)
    run(["systemctl", "stop", f"{_TIMER}.timer"])
    remove(wanted.UNDO)
    if not json.loads(read_text(_KNOWN) or "[]"):
        shutil.rmtree(wanted.FOLDER, ignore_errors=True)
    return {"done": True}


def _refuse_late(run):
    undoing = run(["systemctl", "is-active", f"{_TIMER}.service"])[1].strip() in ("active", "activating")
    if undoing or not os.path.exists(wanted.UNDO):
        raise HostError("the change was undone, since nobody confirmed it in time")


def undo(run):
    """Take an unconfirmed change back now."""
    run(["systemctl", "stop", f"{_TIMER}.timer"])
    run(["/bin/sh", wanted.UNDO])
