# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges over NICs that systemd-networkd keeps, in its own language.

What its file says of the NIC (addresses, routes, name servers, DHCP) goes into a file for the bridge, word for word;
the NIC gets a file that makes it a port. Both come before all others by their names, so the administrator's file stays
untouched, and what it says holds again when ours are gone.
"""

from __future__ import annotations

import glob
import os
import re

from ...common.files import read_text
from .sections import read_sections

MODE = 0o644
_FOLDER = "/etc/systemd/network"
# By the order of names, the first file that matches is the one.
_FIRST = "00-stowage-"
_STATE = "/run/systemd/netif"
_HEAD = "# Written by stowage.fleet; the rest is from {source}.\n"
# What networkd is to know of the NIC itself.
_OF_NIC = ("Link", "SR-IOV", "Bridge", "BridgeVLAN", "CAN")

FUNCTIONS = """\
networkd_bridge() {
  networkctl reload || return 1
  # A bridge that somebody has deleted is made anew only by a start.
  [ -e "/sys/class/net/$1" ] || { sleep 0.5; [ -e "/sys/class/net/$1" ] || systemctl restart systemd-networkd; }
  wait_for "$1"
  turns=0
  while [ ! -e "/sys/class/net/$1/brif/$2" ] && [ "$turns" -lt 20 ]; do sleep 0.1; turns=$((turns + 1)); done
  [ -e "/sys/class/net/$1/brif/$2" ] || networkctl reconfigure "$2" "$1"
}
networkd_unbridge() {
  networkctl reload
  [ ! -e "/sys/class/net/$1" ] || ip link del "$1"
  networkctl reconfigure "$2"
}
"""


def keeps(nic, run):
    """Return the path of the file by which networkd keeps a NIC, or None."""
    if run(["systemctl", "is-active", "-q", "systemd-networkd"])[0]:
        return None
    state = _read_state(f"{_STATE}/links/{_index(nic)}")
    return state.get("NETWORK_FILE") if state.get("ADMIN_STATE") != "unmanaged" else None


def objection(link, run):
    """Return why networkd can't make this bridge; nothing when it can."""
    if os.path.basename(link["source"]) < _FIRST:
        return f"{link['source']} keeps {link['parent']} and comes before {_FIRST}*; expected a name that comes later"
    return ""


def paths(link):
    """Return the paths of the files of a bridge: of its device, of what it is told, of its port."""
    stem = f"{_FOLDER}/{_FIRST}{link['name']}"
    return [f"{stem}.netdev", f"{stem}.network", f"{stem}-port.network"]


def texts(link, run):
    """Return {path: text} of a bridge, or None when the file that kept the NIC is not there any more."""
    source, nic = _read_source(link["source"]), link["parent"]
    if source is None:
        return None
    holder = link["name"] if os.path.exists(f"/sys/class/net/{link['name']}/brif/{nic}") else nic
    mac = (read_text(f"/sys/class/net/{nic}/address") or "").strip()
    lease = _read_state(f"{_STATE}/leases/{_index(holder)}").get("CLIENTID", "")
    return render(link, source, mac, lease)


def render(link, source, mac, client_id=""):
    """Return {path: text} of a bridge. Pure.

    :param source: what keeps the NIC now, as text.
    :param client_id: what DHCP servers know the NIC by, in hex. networkd makes a part of it of the interface's name, so
        the bridge is told that part, to be given the same address.
    """
    head = _HEAD.format(source=link["source"])
    bridge = [f"{head}[Match]\nName={link['name']}"]
    port = [f"{head}[Match]\nName={link['parent']}"]
    for name, lines in read_sections(source):
        text = "\n".join([f"[{name}]", *lines])
        if name in _OF_NIC:
            port.append(text)
        elif name != "Match":
            bridge.append(text)
    port.append(f"[Network]\nBridge={link['name']}\nLinkLocalAddressing=no")
    if link["mtu"]:
        bridge.append(f"[Link]\nMTUBytes={link['mtu']}")
    if re.fullmatch(r"ff[0-9a-f]{12,}", client_id):
        bridge.append(f"[DHCPv4]\nIAID={int(client_id[2:10], 16)}")
    device = f"{head}[NetDev]\nName={link['name']}\nKind=bridge\nMACAddress={mac}\n[Bridge]\nSTP=no\n"
    return dict(zip(paths(link), (device, "\n".join([*bridge, ""]), "\n".join([*port, ""]))))


def unmake(link):
    """Return the line that runs before a bridge's files go."""
    return ":"


def restore(link):
    """Return the line that runs when a bridge's files are gone: the NIC is kept as it was."""
    return f"networkd_unbridge {link['name']} {link['parent']}"


def make(link):
    """Return the line that makes a bridge whose files are there."""
    return f"networkd_bridge {link['name']} {link['parent']}"


def _read_source(path):
    """Return a file together with what drop-ins add to it."""
    text = read_text(path)
    if text is None:
        return None
    extra = {}
    # Of two of one name the administrator's counts.
    for folder in ("/usr/lib", "/lib", "/run", "/etc"):
        for found in glob.glob(f"{folder}/systemd/network/{os.path.basename(path)}.d/*.conf"):
            extra[os.path.basename(found)] = found
    return "\n".join([text, *(read_text(extra[name]) or "" for name in sorted(extra))])


def _read_state(path):
    pairs = (line.partition("=") for line in (read_text(path) or "").splitlines())
    return {key: value for key, _equals, value in pairs}


def _index(interface):
    return (read_text(f"/sys/class/net/{interface}/ifindex") or "").strip()
