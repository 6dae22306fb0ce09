# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges over NICs that NetworkManager keeps, as profiles of its own (keyfiles).

What the NIC's profile says of addresses, routes, name servers and DHCP goes into one for the bridge, word for word; the
NIC gets one that makes it a port. Both are preferred to all others, so the administrator's profile stays untouched, and
holds again when ours are gone.
"""

from __future__ import annotations

import os
import re
import uuid

from ...common.files import read_text
from .sections import read_sections

# It reads no others: they may hold secrets.
MODE = 0o600
_FOLDER = "/etc/NetworkManager/system-connections"
_SPACE = uuid.UUID("6d1f3f0e-3c0a-4b53-9d0f-2f1d3a5b7c11")
_OF_BRIDGE = ("ipv4", "ipv6", "proxy", "hostname")

FUNCTIONS = """\
networkmanager_bridge() {
  nmcli connection reload && nmcli --wait 20 connection up "stowage-$1-port"
}
networkmanager_unbridge() {
  nmcli connection reload
  [ ! -e "/sys/class/net/$1" ] || ip link del "$1"
  nmcli --wait 20 connection up "$2"
}
"""


def keeps(nic, run):
    """Return the id of the profile by which NetworkManager keeps a NIC, or None."""
    rc, out, _err = run(["nmcli", "-t", "-f", "GENERAL.CON-UUID", "device", "show", nic])
    found = out.strip().partition(":")[2] if rc == 0 else ""
    # What others made, and it only looks on.
    if not re.fullmatch(r"[0-9a-f-]{36}", found) or "external=true" in (read_text(_file(found, run)) or ""):
        return None
    return found


def objection(link, run):
    """Return why NetworkManager can't make this bridge; nothing when it can."""
    path = _file(link["source"], run)
    if read_text(path) is None or not path.endswith(".nmconnection"):
        return (f"the profile of {link['parent']} is {path or 'nowhere'}; expected a keyfile, as "
                f"'nmcli connection migrate {link['source']}' makes one")
    return ""


def paths(link):
    """Return the paths of the profiles of a bridge and of its port."""
    return [f"{_FOLDER}/stowage-{link['name']}{end}.nmconnection" for end in ("", "-port")]


def texts(link, run):
    """Return {path: text} of a bridge, or None when the NIC's profile is not there any more."""
    source = read_text(_file(link["source"], run))
    mac = (read_text(f"/sys/class/net/{link['parent']}/address") or "").strip()
    return None if source is None else render(link, source, mac)


def render(link, source, mac):
    """Return {path: text} of a bridge. Pure.

    :param source: the NIC's profile, as text.
    """
    name, nic = link["name"], link["parent"]
    bridge = _connection(name, name, "bridge")
    port = [*_connection(f"{name}-port", nic, "ethernet"), f"master={name}", "slave-type=bridge"]
    carried = []
    for section, lines in read_sections(source):
        if section == "connection":
            bridge += [line for line in lines if re.match(r"(zone|dns-over-tls|llmnr|mdns)\s*=", line)]
        elif section in _OF_BRIDGE:
            carried += [f"[{section}]", *lines]
        elif not section.startswith("."):
            port += [f"[{section}]", *lines]
    bridge += ["[ethernet]", f"cloned-mac-address={mac}", *([f"mtu={link['mtu']}"] if link["mtu"] else []),
               "[bridge]", "stp=false", *carried]
    return {path: "\n".join([*lines, ""]) for path, lines in zip(paths(link), (bridge, port))}


def _connection(name, interface, kind):
    number = uuid.uuid5(_SPACE, f"{name} {interface}")
    return ["# Written by stowage.fleet.", "[connection]", f"id=stowage-{name}", f"uuid={number}", f"type={kind}",
            f"interface-name={interface}", "autoconnect-priority=999"]


def unmake(link):
    """Return the line that runs before a bridge's profiles go."""
    return ":"


def restore(link):
    """Return the line that runs when a bridge's profiles are gone: the NIC is kept as it was."""
    return f"networkmanager_unbridge {link['name']} {link['source']}"


def make(link):
    """Return the line that makes a bridge whose profiles are there."""
    return f"networkmanager_bridge {link['name']}"


def _file(number, run):
    """Return the path of a profile, or an empty text."""
    _rc, out, _err = run(["nmcli", "-t", "-f", "UUID,FILENAME", "connection", "show"])
    lines = (line.partition(":") for line in out.splitlines())
    path = next((path.replace("\\:", ":") for seen, _colon, path in lines if seen == number), "")
    return path if os.path.isabs(path) else ""
