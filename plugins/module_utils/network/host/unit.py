# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges and shims by a unit of our own: a script of ``ip`` commands that runs now and at every boot.

It makes all shims, and bridges over NICs that no manager keeps. For those that a manager makes it waits, since an
engine that starts before makes its own of that name. Pure. It knows a shell and no Python: it also runs when the host
is cut off and goes back.
"""

from __future__ import annotations

#: Instead of a manager, where nobody keeps a NIC.
NONE = "none"
SCRIPT = "/usr/local/lib/stowage/host-network"
SERVICE = "stowage-host-network.service"
UNIT = f"/etc/systemd/system/{SERVICE}"

WAIT = """\
wait_for() {
  turns=0
  while [ ! -e "/sys/class/net/$1" ] && [ "$turns" -lt 300 ]; do sleep 0.1; turns=$((turns + 1)); done
}
"""
FUNCTIONS = """\
# Addresses and routes of $1 go to $2.
move() {
  for family in -4 -6; do
    # A bridge without its port is down, and its routes say so in words that no command takes.
    routes=$(ip $family route show dev "$1" | grep -v 'proto kernel' | sed -e 's/ linkdown//' -e 's/ dead//')
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
  # A new interface may have no IPv6 by default, where the NIC has it.
  six=/proc/sys/net/ipv6/conf
  [ ! -e "$six/$2" ] || cat "$six/$2/disable_ipv6" >"$six/$1/disable_ipv6"
  ip link set "$1" up
  move "$2" "$1"
}
# Bridge $1 is made by the manager of the NIC $2. An address that the NIC was given before (by an initrd, a hypervisor)
# goes. A manager that takes such a NIC for somebody else's is told by $3 that it is not.
port() {
  turns=0
  while [ ! -e "/sys/class/net/$1/brif/$2" ]; do
    [ "$turns" != 50 ] || "$3" "$1" "$2"
    [ "$turns" -lt 300 ] || { echo "$2 does not become a port of $1"; return 1; }
    sleep 0.1
    turns=$((turns + 1))
  done
  ip address flush dev "$2" scope global
  # Not every manager changes this of a bridge that is there.
  [ -z "$4" ] || ip link set "$1" mtu "$4"
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
ExecStart=/bin/sh -c '[ ! -e {script} ] || exec /bin/sh {script}'
[Install]
WantedBy=multi-user.target
"""


def make(link):
    """Return the line of the script that makes a link."""
    mtu = link["mtu"] or "''"
    if link["kind"] == "bridge" and link["manager"] != NONE:
        return f"port {link['name']} {link['parent']} {link['manager']}_bridge {mtu}"
    if link["kind"] == "bridge":
        return f"bridge {link['name']} {link['parent']} {mtu}"
    return " ".join(["shim", link["name"], link["parent"], link["address"], str(mtu), *link["routes"]])


def unmake(link):
    """Return the line that takes a link away again."""
    if link["kind"] == "bridge":
        return f"unbridge {link['name']} {link['parent']}"
    return f"unshim {link['name']}"


def texts(links, functions=""):
    """Return {path: text} of what makes these links at boot; without links the files are not there (no text).

    :param functions: what managers of bridges know, in shell.
    """
    if not links:
        return {SCRIPT: "", UNIT: ""}
    lines = [f"{make(link)} || failed=1" for link in links]
    head = "#!/bin/sh\n# Written by stowage.fleet: bridges and shims for the networks of containers.\n"
    script = "\n".join([f"{head}{WAIT}{FUNCTIONS}{functions}failed=0", *lines, 'exit "$failed"', ""])
    return {SCRIPT: script, UNIT: _SERVICE.format(script=SCRIPT)}
