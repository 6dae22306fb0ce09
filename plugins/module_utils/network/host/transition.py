# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a host from some bridges and shims to others, as a script, and the way back. Pure.

Both ways are the same: what is not wanted any more goes, files are put in place, what is wanted is made.
"""

from __future__ import annotations

from . import managers, unit

FOLDER = "/var/lib/stowage/host-network"
#: Undoes the last change until somebody has confirmed it.
UNDO = f"{FOLDER}/undo"
APPLY = f"{FOLDER}/apply"
#: The units that run it.
APPLY_UNITS = ("stowage-host-network-apply.timer", "stowage-host-network-apply.service")
#: Files as they are to be, and as they were.
AFTER, BEFORE = f"{FOLDER}/after", f"{FOLDER}/before"
_WANTS = f"/etc/systemd/system/multi-user.target.wants/{unit.SERVICE}"
BACK_SERVICE = "stowage-host-network-back.service"
BACK = f"/etc/systemd/system/{BACK_SERVICE}"
BACK_WANTS = f"/etc/systemd/system/sysinit.target.wants/{BACK_SERVICE}"
BACK_TEXT = f"""\
# Written by stowage.fleet: a reboot undoes a change that nobody has confirmed, before anything reads what was changed.
[Unit]
Description=Undo an unconfirmed change of bridges and shims
DefaultDependencies=no
RequiresMountsFor={FOLDER} /etc
After=local-fs.target
Before=network-pre.target systemd-networkd.service NetworkManager.service networking.service {unit.SERVICE}
Wants=network-pre.target
ConditionPathExists={UNDO}
[Service]
Type=oneshot
ExecStart=/bin/sh {UNDO} at-boot
[Install]
WantedBy=sysinit.target
"""
_AWAIT = """\
# Wait until $1 has the other addresses.
await() {
  holder=$1
  shift
  for address; do
    turns=0
    until ip -o address show dev "$holder" 2>/dev/null | grep -qF " $address/"; do
      [ "$turns" -lt 200 ] || { echo "$holder does not get the address $address"; return 1; }
      sleep 0.1
      turns=$((turns + 1))
    done
  done
}
"""


def copy_name(path):
    """Return the name of a file's copy."""
    return path.strip("/").replace("/", "_")


def script(before, after, remake, files, folder, addresses=(), undoes=False):
    """Return the script that brings a host from some links to others.

    :param remake: names of the links in ``after`` that a manager has to make, or to make anew.
    :param files: {path: whether it is to be there}; what is lies in ``folder`` under its copy's name.
    :param addresses: [(interface, [address])] to wait for in the end.
    :param undoes: whether this is the way back, which may run at boot before anything else: then files are enough.
    """
    stay = [managers.identity(link) for link in after]
    gone = [link for link in reversed(before) if managers.identity(link) not in stay]
    lines = [_unmake(link) for link in gone]
    # A change that is slower than the timer must not go on beside its undoing.
    stop = f"systemctl stop {' '.join(APPLY_UNITS)} 2>/dev/null"
    down = _unless_boot([stop, *lines]) if undoes else lines
    placed = [_place(path, there, f"{folder}/{copy_name(path)}") for path, there in sorted(files.items())]
    enabled = f"if [ -e {unit.UNIT} ]; then ln -sf {unit.UNIT} {_WANTS}; else rm -f {_WANTS}; fi"
    # The mark goes before the rest: what runs from here on is as it was, and must not be undone once more.
    marks = [f"rm -f {BACK} {BACK_WANTS} {UNDO}"] if undoes else []
    up = [f"[ -e {unit.UNIT} ] || systemctl stop {unit.SERVICE} 2>/dev/null", "systemctl daemon-reload"]
    up += [managers.of(link).restore(link) for link in gone if managers.of(link)]
    up += [f"{managers.of(link).make(link)} || failed=1" for link in after
           if managers.of(link) and link["name"] in remake]
    up.append(f"[ ! -e {unit.SCRIPT} ] || /bin/sh {unit.SCRIPT} || failed=1")
    up += [f"await {' '.join([holder, *wanted])} || failed=1" for holder, wanted in addresses if wanted]
    functions = unit.WAIT + unit.FUNCTIONS + _AWAIT + managers.functions([*before, *after])
    return "\n".join(["#!/bin/sh", "# Written by stowage.fleet.", functions + "failed=0", *down, *placed,
                      enabled, *marks, *(_unless_boot(up) if undoes else up), 'exit "$failed"', ""])


def _unless_boot(lines):
    return ['if [ "$1" != at-boot ]; then', *lines, ":", "fi"]


def _unmake(link):
    manager = managers.of(link)
    return manager.unmake(link) if manager else unit.unmake(link)


def _place(path, there, copy):
    return f"mkdir -p {path.rpartition('/')[0]} && cp -p {copy} {path}" if there else f"rm -f {path}"
