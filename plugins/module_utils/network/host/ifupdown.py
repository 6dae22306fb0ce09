# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges over NICs that ifupdown keeps (Debian's /etc/network/interfaces), in its own language.

The bridge gets what is said of the NIC, word for word, in a file of ours. That also maps the NIC to another name that
has no addresses, so the administrator's files stay untouched, and what they say holds again when ours is gone.
"""

from __future__ import annotations

import fnmatch
import glob
import os

from ...common.files import read_text

MODE = 0o644
_MAIN = "/etc/network/interfaces"
_FOLDER = f"{_MAIN}.d"
_BEGINS = ("iface", "mapping", "auto", "source", "source-directory", "no-auto-down", "no-scripts", "template", "rename")

FUNCTIONS = """\
ifupdown_bridge() {
  ifdown --force "$1" 2>/dev/null
  ifdown --force "$2"
  # A client of DHCP goes on as the same one, and is given the same address.
  for family in "" 6; do
    lease=/var/lib/dhcp/dhclient$family
    [ ! -s "$lease.$2.leases" ] || sed "s/\"$2\"/\"$1\"/" "$lease.$2.leases" >"$lease.$1.leases"
  done
  ip address flush dev "$2" scope global
  ifup "$1" && ifup "$2"
}
ifupdown_unbridge() {
  ifdown --force "$1"
  ifdown --force "$2"
  [ ! -e "/sys/class/net/$1" ] || ip link del "$1"
  rm -f "/var/lib/dhcp/dhclient.$1.leases" "/var/lib/dhcp/dhclient6.$1.leases"
}
"""


def keeps(nic, run):
    """Return the file by which ifupdown keeps a NIC, or None."""
    # The one of Proxmox and Cumulus reads the same file, and has no mappings.
    if run(["ifup", "--version"])[0] or os.path.exists("/usr/share/ifupdown2"):
        return None
    stanzas, _sources = _read(_MAIN)
    return _MAIN if _of(stanzas, nic) else None


def objection(link, run):
    """Return why ifupdown can't make this bridge; nothing when it can."""
    stanzas, sources = _read(_MAIN)
    (path,) = paths(link)
    if not any(fnmatch.fnmatch(path, pattern) for pattern in sources):
        return f"{_MAIN} does not read {_FOLDER}; expected a line 'source {_FOLDER}/*' in it"
    if any(words[0] == "mapping" and link["parent"] in words[1:] for words, lines in stanzas):
        return f"{_MAIN} maps {link['parent']} to another name; expected a NIC that is not mapped"
    return ""


def paths(link):
    """Return the path of the file of a bridge."""
    return [f"{_FOLDER}/stowage-{link['name']}"]


def texts(link, run):
    """Return {path: text} of a bridge, or None when nothing is said of the NIC any more."""
    stanzas = _of(_read(_MAIN)[0], link["parent"])
    return render(link, stanzas) if stanzas else None


def render(link, stanzas):
    """Return {path: text} of a bridge. Pure.

    :param stanzas: what is said of the NIC, each ``([word], [line])``.
    """
    name, nic, mtu = link["name"], link["parent"], link["mtu"]
    lines = [
        f"# Written by stowage.fleet; what the bridge is told is what {_MAIN} says of {nic}.",
        f"mapping {nic}", "    script grep", f"    map {nic}-port", f"iface {nic}-port inet manual", f"auto {name}",
    ]
    six = "/proc/sys/net/ipv6/conf"
    ready = [
        f"for turn in $(seq 100); do [ ! -e /sys/class/net/{nic} ] || break; sleep 0.1; done",
        f"[ -e /sys/class/net/{name} ] || ip link add {name} type bridge",
        f'ip link set {name} address "$(cat /sys/class/net/{nic}/address)"',
        f"ip link set {nic} up master {name}",
        # A new interface may have no IPv6 by default, where the NIC has it.
        f"[ ! -e {six}/{nic} ] || cat {six}/{nic}/disable_ipv6 >{six}/{name}/disable_ipv6",
        *([f"ip link set {name} mtu {mtu}"] if mtu else []),
    ]
    for words, options in stanzas:
        lines.append(" ".join(["iface", name, *words[2:]]))
        lines += [f"    pre-up {command}" for command in ready]
        lines += [f"    {option}" for option in options if not (mtu and option.split()[0] == "mtu")]
    return {paths(link)[0]: "\n".join([*lines, ""])}


def unmake(link):
    """Return the line that runs before a bridge's file goes."""
    return f"ifupdown_unbridge {link['name']} {link['parent']}"


def restore(link):
    """Return the line that runs when a bridge's file is gone: the NIC is kept as it was."""
    return f"ifup {link['parent']}"


def make(link):
    """Return the line that makes a bridge whose file is there."""
    return f"ifupdown_bridge {link['name']} {link['parent']}"


def _of(stanzas, nic):
    return [(words, lines) for words, lines in stanzas if words[0] == "iface" and words[1:2] == [nic]]


def _read(path, depth=0):
    """Return ([(words, [line])], [pattern of what is read]) of a file and of what it reads; none of it is ours."""
    stanzas, sources = [], []
    text = (read_text(path) or "").replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        words = line.split()
        if line.startswith("#"):
            continue
        if words[0] in ("source", "source-directory") and depth < 9:
            pattern = os.path.join(os.path.dirname(path), *words[1:2])
            pattern += "/*" if words[0] == "source-directory" else ""
            sources.append(pattern)
            for found in sorted(glob.glob(pattern)):
                if not os.path.basename(found).startswith("stowage-"):
                    inner, further = _read(found, depth + 1)
                    stanzas += inner
                    sources += further
        elif words[0] in _BEGINS or words[0].startswith("allow-"):
            stanzas.append((words, []))
        elif stanzas:
            stanzas[-1][1].append(line)
    return stanzas, sources
