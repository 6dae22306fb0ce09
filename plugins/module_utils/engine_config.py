# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the engine's configuration as a transaction: the engine runs with the new one, or again with the old one.

While a change is under way the old file stands beside the new one. A run that finds it there knows that an earlier run
died between writing and restarting, and finishes its work.
"""

from __future__ import annotations

import json

from ansible_collections.stowage.fleet.plugins.module_utils.errors import EngineError, HostError, InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.files import read_text, remove, write_text

OLD_FILE = ".before-stowage"


def converge(service, path, config, check_mode=False):
    """Bring the engine that is ``service`` to run, now and at boot, with ``config`` (a dict) in the file ``path``.

    Returns ``{"changed", "restarted", "validated", "diff"}``. Raises ``InvalidInput`` when the engine's validator
    refuses the configuration (nothing was touched then), ``EngineError`` when the engine did not come up with it,
    ``HostError`` where there is no engine.
    """
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    before = read_text(path)
    unfinished = read_text(path + OLD_FILE)
    new_file = parsed(before) != config or unfinished is not None
    enabled, active = service.enabled(), service.active()
    result = {"changed": new_file or not (enabled and active), "restarted": False, "validated": False,
              "diff": {"before": shown(path, (before or "") if new_file else text, enabled, active),
                       "after": shown(path, text, True, True)}}
    if not result["changed"]:
        return result
    if service.installed():
        if new_file:
            _refuse_bad(service, path, text)
            result["validated"] = True
    elif not check_mode:
        raise HostError(f"There is no engine on this host: the program {service.program} was not found. "
                        f"{path} was left as it is.")
    if check_mode:
        return result
    if not enabled:
        service.enable()
    if new_file:
        _switch(service, path, text, before if unfinished is None else (unfinished or None), config)
    elif not active:
        _start(service, path)
    result["restarted"] = new_file or not active
    return result


def shown(path, text, enabled, active):
    """Return what a diff shows of the engine: its file, and how its service stands."""
    stands = f"{'enabled' if enabled else 'disabled'}, {'runs' if active else 'does not run'}"
    return f"# {path}\n{text}# service: {stands}\n"


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


def _switch(service, path, text, old, config):
    """Put the new file in place and restart; on failure put the ``old`` text (``None``: no file) back and restart."""
    write_text(path + OLD_FILE, old or "")
    write_text(path, text)
    if config.get("live-restore"):
        service.enable_live_restore()
    reason = service.restart()
    if reason is None:
        remove(path + OLD_FILE)
        return
    if old is None:
        remove(path)
    else:
        write_text(path, old)
    still = service.restart()
    remove(path + OLD_FILE)
    kept = f"The old {path} is back" if old is not None else f"There was no {path} before, and it is removed again"
    outcome = "and the engine runs with it." if old is not None else "and the engine runs without it."
    if still is not None:
        outcome = f"but the engine does not come up now either: {still}."
    raise EngineError(f"The engine did not come up with the new configuration: {reason}. {kept}, {outcome}")
