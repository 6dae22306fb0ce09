# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes, reads and takes away links with ip and tc, on the host and in a container's network namespace."""

from __future__ import annotations

import json
import os
import subprocess
import zlib

from ...common.errors import HostError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SYS = "/sys/class/net"
_TIMEOUT = 30
_LONGEST_NAME = 15
#: What says on the host that an interface of a VLAN was made for links, so that it goes with the last of them.
VLAN_MARK = "stowage links"


class Namespace:
    """A network namespace, by the path of its file, seen from the host's own; without a path, the one we are in."""

    def __init__(self, path=""):
        self.path = path

    def run(self, *words, check=True):
        """Run a command inside; return what it said."""
        return run(*(["nsenter", f"--net={self.path}"] if self.path else []), *words, check=check)

    def observe(self, name):
        """Return what an interface is right now, as plain data; None when there is none."""
        said = self.run("ip", "-json", "-details", "address", "show", "dev", name, check=False)
        found = [entry for entry in json.loads(said or "[]") if entry]
        if not found:
            return None
        link = found[0]
        routes = [json.loads(self.run("ip", "-json", family, "route", "show", "dev", name, check=False) or "[]")
                  for family in ("-4", "-6")]
        return {
            "kind": (link.get("linkinfo") or {}).get("info_kind") or "nic",
            "mac": link.get("address"),
            "mtu": link.get("mtu"),
            "up": "UP" in link.get("flags", []),
            "addresses": sorted(f"{item['local']}/{item['prefixlen']}" for item in link.get("addr_info") or []
                                if item.get("scope") == "global"),
            "routes": sorted(f"{route['dst']} {route.get('gateway', '')}".strip() for family in routes
                             for route in family if route.get("protocol") != "kernel"),
            "rate": self.run("tc", "qdisc", "show", "dev", name, check=False).partition("tbf")[2].strip(),
        }


def run(*words, check=True):
    """Run a command and return what it said; raise HostError with its own words when it failed."""
    try:
        # There is no module at hand when the engine starts a container, and both run this.
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(words, capture_output=True, text=True, timeout=_TIMEOUT, check=False, env={"PATH": PATH})
    except FileNotFoundError as error:
        raise HostError(f"{error.filename} is not there: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{' '.join(words)} did not end within {_TIMEOUT} s") from error
    if done.returncode and check:
        raise HostError(f"{' '.join(words)}: {' '.join(done.stderr.split())[:300]}")
    return done.stdout if not done.returncode else ""


def check_host(link):
    """Refuse what this host can't wire.

    :raises HostError: with one sentence.
    """
    if not os.path.exists(f"{_SYS}/{link.parent}"):
        there = ", ".join(sorted(os.listdir(_SYS)))
        raise HostError(f"link {link.name}: this host has no interface {link.parent}; it has {there}")
    is_bridge = os.path.exists(f"{_SYS}/{link.parent}/bridge")
    if link.kind == "bridge" and not is_bridge:
        raise HostError(f"link {link.name}: {link.parent} is no bridge; expected one, or another kind than bridge")
    if link.kind == "bridge" and link.vlan and not _filters_vlans(link.parent):
        raise HostError(f"link {link.name}: bridge {link.parent} does not filter VLANs; expected it to")
    if link.kind == "nic":
        _check_nic(link)


def _filters_vlans(bridge):
    try:
        with open(f"{_SYS}/{bridge}/bridge/vlan_filtering", encoding="ascii") as stream:
            return stream.read().strip() == "1"
    except FileNotFoundError:
        return False  # a kernel without them


def _check_nic(link):
    routes = json.loads(run("ip", "-json", "route", "show", "default") or "[]")
    if any(route.get("dev") == link.parent for route in routes):
        raise HostError(f"link {link.name}: {link.parent} carries the host's own default route; expected one that the "
                        "host can spare")


def attach(namespace, link, pid):
    """Make one link in the namespace of the process ``pid``, up and configured; when it fails, nothing stays."""
    check_host(link)
    if namespace.observe(link.name) is not None:
        raise HostError(f"link {link.name}: the container has an interface of that name already")
    if link.host_name and os.path.exists(f"{_SYS}/{link.host_name}"):
        raise HostError(f"link {link.name}: this host has an interface {link.host_name} already; expected a name that "
                        "is free")
    try:
        _make(namespace, link, pid)
        _configure(namespace, link)
    except HostError:
        detach(namespace, link)
        raise


def _make(namespace, link, pid):
    draft = link.parent if link.kind == "nic" else f"t{os.getpid() % 10**6}x{abs(hash(link.name)) % 10**6}"
    if link.kind == "bridge":
        run("ip", "link", "add", link.host_name, "type", "veth", "peer", "name", draft)
        run("ip", "link", "set", link.host_name, "master", link.parent)
        if link.vlan:
            run("bridge", "vlan", "del", "dev", link.host_name, "vid", "1")
            run("bridge", "vlan", "add", "dev", link.host_name, "vid", str(link.vlan), "pvid", "untagged")
        if link.mtu:
            run("ip", "link", "set", link.host_name, "mtu", str(link.mtu))
        run("ip", "link", "set", link.host_name, "up")
    elif link.kind != "nic":
        mode = ("macvlan", "mode", "bridge") if link.kind == "macvlan" else ("ipvlan", "mode", "l2")
        run("ip", "link", "add", "link", _with_vlan(link), "name", draft, "type", *mode)
    try:
        run("ip", "link", "set", draft, "netns", str(pid))
    except HostError:
        if link.kind != "nic":
            run("ip", "link", "delete", draft, check=False)
        raise
    namespace.run("ip", "link", "set", draft, "down")
    if draft != link.name:
        namespace.run("ip", "link", "set", draft, "name", link.name)


def _with_vlan(link):
    """Return the interface of a link's VLAN on its parent; make it where it is not there."""
    if not link.vlan:
        return link.parent
    name = find_vlan(link)
    if not name:
        name = f"{link.parent}.{link.vlan}"
        if len(name) > _LONGEST_NAME:
            name = f"sv{zlib.crc32(name.encode()):08x}"
        run("ip", "link", "add", "link", link.parent, "name", name, "type", "vlan", "id", str(link.vlan))
        run("ip", "link", "set", name, "alias", VLAN_MARK)
    run("ip", "link", "set", name, "up")
    return name


def find_vlan(link):
    """Return the interface of a link's VLAN on its parent, whoever made it; nothing when there is none."""
    for there in json.loads(run("ip", "-json", "-details", "link", "show", "type", "vlan", check=False) or "[]"):
        if there.get("link") == link.parent and there["linkinfo"]["info_data"]["id"] == link.vlan:
            return there["ifname"]
    return ""


def drop_vlan(link, macs):
    """Take the interface of a VLAN away when links made it, and nobody else is on it.

    :param macs: of the macvlan links that were on it last; any other means that somebody else is.
    """
    name = find_vlan(link)
    if not name:
        return
    (there,) = json.loads(run("ip", "-json", "link", "show", "dev", name))
    heard = json.loads(run("bridge", "-json", "fdb", "show", "dev", name, check=False) or "[]")
    others = [entry["mac"] for entry in heard
              if not int(entry["mac"][:2], 16) & 1 and entry["mac"] not in {*macs, there["address"]}]
    if there.get("ifalias") == VLAN_MARK and not others:
        run("ip", "link", "delete", name)


def _configure(namespace, link):
    if link.mac:
        namespace.run("ip", "link", "set", link.name, "address", link.mac)
    if link.mtu:
        namespace.run("ip", "link", "set", link.name, "mtu", str(link.mtu))
    if any(":" in address for address in link.addresses):
        # The engine turns IPv6 off in containers whose networks have none.
        namespace.run("sh", "-c", f"echo 0 > /proc/sys/net/ipv6/conf/{link.name}/disable_ipv6")
    for address in link.addresses:
        namespace.run("ip", "address", "add", address, "dev", link.name, *(["nodad"] if ":" in address else []))
    namespace.run("ip", "link", "set", link.name, "up")
    if link.rate:
        shape = ("root", "tbf", "rate", link.rate, "burst", "64kb", "latency", "100ms")
        namespace.run("tc", "qdisc", "replace", "dev", link.name, *shape)
        if link.host_name:
            run("tc", "qdisc", "replace", "dev", link.host_name, *shape)
    if link.dhcp:
        return  # routes come with the address
    for to, via in link.routes:
        namespace.run("ip", "route", "replace", to, *(["via", via] if via else []), "dev", link.name)
    if link.gateway:
        namespace.run("ip", "route", "replace", "default", "via", link.gateway, "dev", link.name)


def detach(namespace, link):
    """Take a link away; a NIC goes back to the host under its own name. What is not there is no error."""
    if link.kind == "nic":
        if namespace.observe(link.name) is not None:
            namespace.run("ip", "link", "set", link.name, "down")
            namespace.run("ip", "address", "flush", "dev", link.name)
            if link.name != link.parent:
                namespace.run("ip", "link", "set", link.name, "name", link.parent)
        # Of all processes, the first is surely in the host's own namespace.
        namespace.run("ip", "link", "set", link.parent, "netns", "1", check=False)
        run("ip", "link", "set", link.parent, "up", check=False)
        return
    namespace.run("ip", "link", "delete", link.name, check=False)
    drop_end(link)


def drop_end(link):
    """Take the host's end of a link away, if it has one."""
    if link.host_name:
        run("ip", "link", "delete", link.host_name, check=False)
