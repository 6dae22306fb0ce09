# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the engine's configuration as a transaction: the engine runs with the new one, or again with the old one.

While a change is under way the old files stand beside the new ones. A run that finds them there knows that an earlier
run died between writing and restarting, and finishes its work.
"""

from __future__ import annotations

import json

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import EngineError, HostError, InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.common.files import read_text, remove, write_text

OLD_FILE = ".before-stowage"


class _File:
    """One file of the engine, from what it says to what it shall say. ``None`` stands for no file."""

    def __init__(self, path, wanted, mode, read=lambda text: text):
        self.path, self.wanted, self.mode = path, wanted, mode
        self.before = read_text(path)
        self.unfinished = read_text(path + OLD_FILE)
        self.old = self.before if self.unfinished is None else (self.unfinished or None)
        self.new = self.unfinished is not None or read(self.before) != read(wanted)

    def remember(self):
        write_text(self.path + OLD_FILE, self.old or "", self.mode)

    def put(self, text):
        if text is None:
            remove(self.path)
        else:
            write_text(self.path, text, self.mode)

    def settle(self):
        remove(self.path + OLD_FILE)


def converge(service, path, config, drop_in_path=None, drop_in="", check_mode=False):
    """Bring the engine that is ``service`` to run, now and at boot, with ``config`` (a dict) in the file ``path``.

    ``drop_in`` is the text of a drop-in of its systemd unit; it may hold a secret, so it is never shown. Without text
    there is no such file.

    Returns ``{"changed", "restarted", "validated", "diff"}``. Raises ``InvalidInput`` when the engine's validator
    refuses the configuration (nothing was touched then), ``EngineError`` when the engine did not come up with it,
    ``HostError`` where there is no engine.
    """
    main = _File(path, json.dumps(config, indent=2, sort_keys=True) + "\n", 0o644, parsed)
    files = [main] + ([_File(drop_in_path, drop_in or None, 0o600)] if drop_in_path else [])
    new = [file for file in files if file.new]
    enabled, active = service.enabled(), service.active()
    result = {"changed": bool(new) or not (enabled and active), "restarted": False, "validated": False,
              "diff": {"before": shown(files, False, enabled, active), "after": shown(files, True, True, True)}}
    if not result["changed"]:
        return result
    if service.installed():
        if main.new:
            _refuse_bad(service, path, main.wanted)
            result["validated"] = True
    elif not check_mode:
        raise HostError(f"There is no engine on this host: the program {service.program} was not found. "
                        f"{path} was left as it is.")
    if check_mode:
        return result
    if not enabled:
        service.enable()
    if new:
        _switch(service, new, path, config)
    elif not active:
        _start(service, path)
    result["restarted"] = bool(new) or not active
    return result


def shown(files, after, enabled, active):
    """Return what a diff shows of the engine: its file, whether it has a drop-in, and how its service stands."""
    main, *others = files
    text = main.wanted if after or not main.new else main.before or ""
    lines = [f"# {main.path}\n{text}"]
    for file in others:
        there = file.wanted if after else file.before
        state = "absent" if there is None else "new" if after and file.new else "there"
        if file.new:
            lines.append(f"# {file.path} (its text may hold secrets): {state}\n")
    stands = f"{'enabled' if enabled else 'disabled'}, {'runs' if active else 'does not run'}"
    return "".join([*lines, f"# service: {stands}\n"])


def _start(service, path):
    reason = service.restart()
    if reason is not None:
        raise EngineError(f"The engine does not come up: {reason}. {path} was not changed by this run.")


def parsed(text):
    """Return what a JSON text says; ``None`` where it is missing or broken."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def _refuse_bad(service, path, text):
    complaint = service.complaint_about(text)
    if complaint:
        raise InvalidInput(f"The engine's validator refuses the new configuration: {complaint}. "
                           f"{path} and the running engine were left as they are.")


def _switch(service, files, path, config):
    """Put new files in place and restart; on failure put the old ones back and restart."""
    for file in files:
        file.remember()
    for file in files:
        file.put(file.wanted)
    if config.get("live-restore"):
        service.enable_live_restore()
    reason = service.restart()
    if reason is None:
        for file in files:
            file.settle()
        return
    for file in files:
        file.put(file.old)
    still = service.restart()
    for file in files:
        file.settle()
    outcome = _way_back(files, path, still)
    raise EngineError(f"The engine did not come up with the new configuration: {reason}. {outcome}")


def _way_back(files, path, still):
    old = next((file.old for file in files if file.path == path), "")
    kept = f"The old {path} is back" if old is not None else f"There was no {path} before, and it is removed again"
    if still is not None:
        return f"{kept}, but the engine does not come up now either: {still}."
    return f"{kept}, and the engine runs {'with' if old is not None else 'without'} it."
