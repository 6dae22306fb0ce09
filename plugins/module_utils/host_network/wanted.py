# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has for its networks, as text: a script that makes it, one that undoes it, a unit that runs it at boot.

Pure. The script knows ``ip`` and a shell, no Python: it runs at boot, and when the host is cut off and goes back.
"""

from __future__ import annotations

import ipaddress
import re
import zlib

from ..errors import InvalidInput

FOLDER = "/var/lib/stowage/host-network"
SCRIPT = "/usr/local/lib/stowage/host-network"
SERVICE = "stowage-host-network.service"
UNIT = f"/etc/systemd/system/{SERVICE}"
#: Undoes the last change until somebody has confirmed it.
UNDO = f"{FOLDER}/undo"
_LONGEST_NAME = 15
_INTERFACE = re.compile(rf"[A-Za-z0-9_.-]{{1,{_LONGEST_NAME}}}")

FUNCTIONS = """\
wait_for() {
  turns=0
  while [ ! -e "/sys/class/net/$1" ] && [ "$turns" -lt 300 ]; do sleep 0.1; turns=$((turns + 1)); done
}
# Addresses and routes of $1 go to $2.
move() {
  for family in -4 -6; do
    routes=$(ip $family route show dev "$1" | grep -v 'proto kernel')
    ip $family -o address show dev "$1" scope global | while read -r _ _ _ address _; do
      ip address add "$address" dev "$2"
      ip address del "$address" dev "$1"
    done
    printf '%s\\n' "$routes" | while read -r route; do
      # shellcheck disable=SC2086
      [ -z "$route" ] || ip $family route replace $route dev "$2"
    done
  done
}
# Bridge $1 over the NIC $2; its MTU is $3, or the NIC's. The MAC stays, so that neighbours need not learn anew.
bridge() {
  wait_for "$2"
  [ -e "/sys/class/net/$1" ] || ip link add "$1" type bridge || return 1
  ip link set "$1" address "$(cat "/sys/class/net/$2/address")"
  ip link set "$2" up
  ip link set "$2" master "$1" || return 1
  [ -z "$3" ] || ip link set "$1" mtu "$3" || return 1
  ip link set "$1" up
  move "$2" "$1"
}
unbridge() {
  [ -e "/sys/class/net/$1" ] || return 0
  ip link set "$2" nomaster
  move "$1" "$2"
  ip link del "$1"
}
# Shim $1 on the NIC $2, with the address $3 and the MTU $4, or the NIC's; the rest is what is reached by it.
shim() {
  name=$1; address=$3; mtu=$4
  wait_for "$2"
  [ -e "/sys/class/net/$1" ] || ip link add link "$2" name "$1" type macvlan mode bridge || return 1
  shift 4
  [ -z "$mtu" ] || ip link set "$name" mtu "$mtu" || return 1
  ip address replace "$address/32" dev "$name" || return 1
  ip link set "$name" up
  for route; do ip route replace "$route" dev "$name" src "$address" || return 1; done
}
unshim() {
  [ ! -e "/sys/class/net/$1" ] || ip link del "$1"
}
"""
_SERVICE = """\
# Written by stowage.fleet.
[Unit]
Description=Bridges and shims for the networks of containers
After=network.target systemd-networkd.service NetworkManager.service networking.service
Before=docker.service network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStartPre=-/bin/sh -c '[ ! -e {undo} ] || AT_BOOT=1 exec /bin/sh {undo}'
ExecStart=/bin/sh -c '[ ! -e {script} ] || exec /bin/sh {script}'
[Install]
WantedBy=multi-user.target
"""


def shim_name(network):
    """Return the name of the shim interface of a network: at most 15 characters, as the kernel has it."""
    name = f"shim-{network}"
    return name if len(name) <= _LONGEST_NAME else f"shim-{zlib.crc32(network.encode()):08x}"


def read_links(networks):
    """Return what a host has to have, each ``{"kind", "name", "parent", "mtu", ...}``, in the order of making.

    :param networks: ``{name, parent, bridge, shim, pool, mtu}``; ``shim`` is the address of this host's shim.
    :raises InvalidInput: with all complaints. What is left can stand in a script.
    """
    problems = [f"network {network['name']}: {problem}" for network in networks for problem in _complaints(network)]
    if problems:
        raise InvalidInput(problems)
    links = []
    for network in networks:
        common = {"network": network["name"], "parent": network.get("parent"), "mtu": network.get("mtu")}
        if network.get("bridge") and network.get("parent"):
            links.append({**common, "kind": "bridge", "name": network["bridge"]})
        if network.get("shim"):
            links.append({**common, "kind": "shim", "name": shim_name(network["name"]), "address": network["shim"],
                          "routes": blocks(network.get("pool") or [])})
    return sorted(links, key=lambda link: (link["kind"], link["name"]))


def _complaints(network):
    for key in ("parent", "bridge"):
        name = network.get(key)
        if name and not _INTERFACE.fullmatch(name):
            yield f"{key}: {name!r} is not the name of an interface; expected up to {_LONGEST_NAME} of A-Z a-z 0-9 _.-"
    try:
        if network.get("shim"):
            ipaddress.IPv4Address(network["shim"])
        blocks(network.get("pool") or [])
    except ValueError as error:
        yield f"{error}; expected addresses"


def blocks(pool):
    """Return ranges, blocks and addresses as blocks, as routes need them."""
    found = []
    for text in pool:
        first, dash, last = text.partition("-")
        if "/" in text:
            found.append(ipaddress.ip_network(text))
        else:
            ends = ipaddress.ip_address(first), ipaddress.ip_address(last if dash else first)
            found += ipaddress.summarize_address_range(*ends)
    return [str(block) for block in ipaddress.collapse_addresses(found)]


def make(link):
    """Return the line of the script that makes a link."""
    mtu = link["mtu"] or "''"
    if link["kind"] == "bridge":
        return f"bridge {link['name']} {link['parent']} {mtu}"
    return " ".join(["shim", link["name"], link["parent"], link["address"], str(mtu), *link["routes"]])


def unmake(link):
    """Return the line that takes a link away again."""
    if link["kind"] == "bridge":
        return f"unbridge {link['name']} {link['parent']}"
    return f"unshim {link['name']}"


def script(links):
    """Return the script that makes all links; nothing when there are none."""
    if not links:
        return ""
    lines = [f"{make(link)} || failed=1" for link in links]
    head = "#!/bin/sh\n# Written by stowage.fleet: bridges and shims for the networks of containers.\n"
    return "\n".join([f"{head}{FUNCTIONS}failed=0", *lines, 'exit "$failed"', ""])


def service():
    """Return the unit that makes the links at boot, after it has undone a change that nobody confirmed."""
    return _SERVICE.format(undo=UNDO, script=SCRIPT)


def apply_script(before, after):
    """Return the script that brings a host from some links to others."""
    lines = [unmake(link) for link in reversed(before) if link not in after]
    return "\n".join(["#!/bin/sh", FUNCTIONS + "\n".join(lines), f"[ ! -e {SCRIPT} ] || /bin/sh {SCRIPT}", ""])


def undo_script(before, after, files, enabled):
    """Return the script that takes a change back: what was made goes, files are as before, what was there is made.

    :param files: {path: whether it was there before}; copies lie in FOLDER/before.
    :param enabled: whether the unit ran at boot before.
    """
    lines = [unmake(link) for link in reversed(after) if link not in before]
    if not enabled:
        lines.append(f"systemctl disable {SERVICE} 2>/dev/null")
    for path, there in sorted(files.items()):
        copy = f"{FOLDER}/before/{path.rpartition('/')[2]}"
        lines.append(f"cp -p {copy} {path}" if there else f"rm -f {path}")
    # The mark goes before the rest: what runs from here on is as it was, and must not be undone once more.
    # At boot it is the unit itself that runs this, and systemd must not forget it meanwhile.
    lines += ['[ -n "$AT_BOOT" ] || systemctl daemon-reload', f"rm -f {UNDO}"]
    lines += [f"[ ! -e {SCRIPT} ] || /bin/sh {SCRIPT}", ""]
    return "\n".join(["#!/bin/sh", "# Written by stowage.fleet.", FUNCTIONS + "\n".join(lines)])
