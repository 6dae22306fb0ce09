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
import re
import shutil

from ...common.errors import HostError, InvalidInput
from ...common.files import read_text, remove, write_text
from . import live, managers, transition, unit, wanted

_KNOWN = f"{transition.FOLDER}/links.json"
_DONE = f"{transition.FOLDER}/done"
_TIMER = "stowage-host-network-undo"
_SECRET = re.compile(r"(?im)^(\S*(?:password|psk|secret|key)\S*\s*=).*")


def change(networks, undo_after, check, run, peer=None, manager="auto"):
    """Begin to bring this host to what its networks need; what changes has to be confirmed, or is undone.

    :param undo_after: seconds until a change that is not confirmed is undone.
    :param run: runs an argument list and returns (rc, out, err).
    :param peer: the address that this connection comes from.
    :param manager: who is to make bridges; ``auto`` is who keeps the NIC.
    :raises InvalidInput: with all that is against it; nothing has changed then.
    """
    links, before = wanted.read_links(networks), _known()
    problems = managers.choose(links, before, manager, run) + live.refusals(links, before, peer)
    texts, fresh = _texts(links, before, run)
    problems += [text for link in links for text in live.unsaid(link, fresh[link["name"]].values())]
    if problems:
        raise InvalidInput(problems)
    drift = {link["name"]: live.missing(link) for link in links}
    stale = [path for path, text in texts.items() if (read_text(path) or "") != text]
    pending = os.path.exists(transition.UNDO)
    result = {"changed": False, "armed": False, "links": [link["name"] for link in links],
              "managers": {link["name"]: link["manager"] for link in links}}
    if before == links and not (stale or pending or any(drift.values())):
        return result
    why = list(filter(None, drift.values())) or [f"{path} differs" for path in stale]
    result.update(changed=True, why=why, diff=[_diff(path, texts[path]) for path in stale])
    if check:
        return result
    if not os.path.exists("/run/systemd/system"):
        raise HostError("systemd does not run here, and a change that nobody could undo was not begun")
    if pending:
        # A run died before it could confirm. What it left is undone at once instead of later, and all looked at anew.
        undo(run)
        remove(transition.UNDO)
        return {**change(networks, undo_after, check, run, peer, manager), "changed": True}
    remake = {link["name"] for link in links if drift[link["name"]] or link not in before
              or any(path in stale for path in fresh[link["name"]])}
    _keep(before, links, remake, texts)
    _arm(undo_after, run)
    _begin(run)
    return {**result, "armed": True}


def _known():
    """Return the links that this host was given last."""
    return [{"manager": unit.NONE, **link} for link in json.loads(read_text(_KNOWN) or "[]")]


def _texts(links, before, run):
    """Return ({path: text of all files, none where it is to go}, {link: its paths})."""
    own = {link["name"]: managers.texts(link, run) for link in links}
    texts = {path: "" for link in before for path in managers.paths(link)}
    texts.update(unit.texts(links, managers.functions(links)))
    for found in own.values():
        texts.update(found)
    return texts, own


def _diff(path, text):
    return {"before_header": path, "after_header": path, "before": _SECRET.sub(r"\1...", read_text(path) or ""),
            "after": _SECRET.sub(r"\1...", text)}


def _must(done):
    if done[0]:
        raise HostError(f"systemd refused: {' '.join(done[2].split())[:300]}")


def _keep(before, after, remake, texts):
    """Lay out the files that are to come, keep those that are there, and write both ways down."""
    texts = {**texts, _KNOWN: json.dumps(after)}
    modes = {path: managers.of(link).MODE for link in after for path in managers.paths(link)}
    for folder in (transition.AFTER, transition.BEFORE):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder, mode=0o700)
    there = {path: os.path.exists(path) for path in texts}
    for path, text in texts.items():
        name = transition.copy_name(path)
        if there[path]:
            shutil.copy2(path, f"{transition.BEFORE}/{name}")
        if text:
            mode = 0o755 if path == unit.SCRIPT else modes.get(path, 0o644)
            write_text(f"{transition.AFTER}/{name}", text, mode=mode)
    forth = transition.script(before, after, remake, {path: bool(text) for path, text in texts.items()},
                              transition.AFTER, live.addresses_to_keep(before, after))
    stay = [managers.identity(link) for link in after]
    again = {link["name"] for link in before if link["name"] in remake or managers.identity(link) not in stay}
    back = transition.script(after, before, again, there, transition.BEFORE, undoes=True)
    write_text(transition.APPLY, forth, mode=0o700)
    write_text(transition.UNDO, back, mode=0o700)
    remove(_DONE)


def _arm(undo_after, run):
    for name in (f"{_TIMER}.timer", f"{_TIMER}.service", *transition.APPLY_UNITS):
        run(["systemctl", "stop", name])
        run(["systemctl", "reset-failed", name])
    write_text(transition.BACK, transition.BACK_TEXT)
    _must(run(["systemctl", "enable", "-q", transition.BACK_SERVICE]))
    _must(run(["systemd-run", "--quiet", "--collect", f"--unit={_TIMER}", f"--on-active={undo_after}",
               "--timer-property=AccuracySec=100ms", "/bin/sh", transition.UNDO]))


def _begin(run):
    """Have systemd make the change in a moment: it goes on when this connection does not."""
    command = f"/bin/sh {transition.APPLY} >{_DONE}.log 2>&1; echo $? >{_DONE}"
    _must(run(["systemd-run", "--quiet", "--collect", f"--unit={transition.APPLY_UNITS[1]}", "--on-active=300ms",
               "--timer-property=AccuracySec=10ms", "/bin/sh", "-c", command]))


def look(run):
    """Return ``{"done": ...}``: whether the change is made. Whoever hears that it is has heard it by the new network.

    :raises HostError: when it was undone, or did not do what it should and is undone now.
    """
    _refuse_late(run)
    status = read_text(_DONE)
    if not status:
        return {"done": False}
    lost = [text for text in map(live.missing, _known()) if text]
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
    for path in (transition.UNDO, transition.BACK, transition.BACK_WANTS):
        remove(path)
    if not _known():
        shutil.rmtree(transition.FOLDER, ignore_errors=True)
    return {"done": True}


def _refuse_late(run):
    undoing = run(["systemctl", "is-active", f"{_TIMER}.service"])[1].strip() in ("active", "activating")
    if undoing or not os.path.exists(transition.UNDO):
        raise HostError("the change was undone, since nobody confirmed it in time")


def undo(run):
    """Take an unconfirmed change back now."""
    run(["systemctl", "stop", f"{_TIMER}.timer"])
    run(["/bin/sh", transition.UNDO])
