# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that a DHCP server gives: a client for each such link, the distribution's own, which systemd looks after.

The client runs on the host, in the container's network namespace, as a transient unit. At each event it calls our
program (``udhcpc -s``), which puts what the server said on the interface. The kernel takes an address away by itself
when its lease has run out.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import shutil
import signal
import time

from ...common.errors import HostError
from .. import specs
from .wanted import Link
from .wire import PATH, Namespace, run

#: What a client calls our program for.
EVENTS = ("bound", "renew", "nak", "deconfig", "leasefail")
_DEFAULT_PROGRAM = "/usr/local/lib/stowage/network.pyz"
_FOREVER = 0xFFFFFFFF
_LOOK_EVERY = 0.05
#: A client says what it does when it has done so.
_RELEASING = "releasing"
_RELEASE_TAKES = 2.0
_ALL = "0.0.0.0/0"
_OPTIONS = {"gateway": "router", "routes": "staticroutes", "mtu": "mtu"}


def unit_of(ident, name):
    """Return the name of the unit in which the client of a container's link runs."""
    return f"stowage-dhcp-{ident[:12]}-{name}.service"


def check_client(link):
    """Refuse a link that asks for addresses on a host that has nobody to ask for it.

    :raises HostError: with one sentence.
    """
    if not _client():
        raise HostError(f"link {link.name}: this host has no DHCP client; expected udhcpc, which the role network "
                        "installs with network_dhcp: true (package udhcpc on Debian and Ubuntu, busybox elsewhere)")


def _client():
    for name, words in (("udhcpc", []), ("busybox", ["udhcpc"])):
        path = shutil.which(name, path=PATH)
        if path:
            return [path, *words]
    return []


def begin(ident, owner, link, namespace, pid):
    """Start the client of a link, and wait until the link has its address.

    When no server answers, what remains of the last lease is used, and the client goes on asking (RFC 2131, 3.2).

    :param namespace: by a path that stays as long as the client may run.
    :raises HostError: with one sentence when there is no address; the client is stopped then.
    """
    check_client(link)
    last = specs.read_lease(ident, link.name)
    specs.write_lease(ident, link.name, {**last, "bound": False, "problem": ""})
    unit = unit_of(ident, link.name)
    _stop(unit)
    try:
        run("systemd-run", *_unit_words(unit, ident, owner, link, namespace, pid),
            *_client(), *_client_words(owner, link, last))
        _await(ident, owner, link, namespace, last)
    except HostError:
        _stop(unit)
        raise


def _unit_words(unit, ident, owner, link, namespace, pid):
    told = json.dumps({"ident": ident, "pid": pid, "born": _born(pid), "link": link.to_dict()})
    # It reads what strangers send, so it may do no more than it has to.
    kept = {
        "NetworkNamespacePath": namespace.path, "Restart": "on-failure", "RestartSec": "2",
        "StartLimitIntervalSec": "0", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes",
        "ReadWritePaths": specs.FOLDER, "CapabilityBoundingSet": "CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE",
    }
    return ["--quiet", "--collect", "--service-type=exec", f"--unit={unit}", f"--setenv=STOWAGE_TOLD={told}",
            f"--description=DHCP client of link {link.name} of container {owner}",
            *(f"--property={key}={value}" for key, value in kept.items())]


def _client_words(owner, link, last):
    words = ["-f", "-t", "4", "-T", "2", "-A", "5", "-i", link.name,
             "-s", specs.program() or _DEFAULT_PROGRAM,
             "-x", f"0x3d:{client_id(owner, link.name).hex()}", "-x", f"hostname:{host_name(owner)}"]
    for take in link.dhcp_take:
        words += ["-O", _OPTIONS[take]]
    if link.kind == "ipvlan":
        # It has the MAC of its siblings, and would not see an answer to that before it has an address.
        words.append("-B")
    return [*words, *(["-r", last["address"].partition("/")[0]] if last.get("address") else [])]


def client_id(owner, name):
    """Return the option 61 that a link always has: type 0, not a MAC, and the names (RFC 2132, 9.14)."""
    text = f"{owner}/{name}".encode()
    return b"\0" + (text if len(text) < 200 else hashlib.sha256(text).hexdigest().encode())


def host_name(owner):
    """Return the container's name as a label of DNS."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in owner)[:63].strip("-")


def _await(ident, owner, link, namespace, last):
    deadline = time.monotonic() + link.dhcp_timeout
    while time.monotonic() < deadline:
        lease = specs.read_lease(ident, link.name)
        if lease.get("bound"):
            return
        if lease.get("problem"):
            raise HostError(lease["problem"])
        time.sleep(_LOOK_EVERY)
    if last.get("address") and last["until"] > time.time():
        _apply(ident, link, namespace, last)
        return
    raise HostError(f"link {link.name}: no DHCP server gave {owner} an address over {link.parent} within "
                    f"{link.dhcp_timeout} s")


def _stop(unit):
    run("systemctl", "stop", unit, check=False)


def runs(ident, name):
    """Say whether the client of a link runs."""
    return run("systemctl", "is-active", unit_of(ident, name), check=False).strip() == "active"


def end(ident, name, release=False):
    """Stop the client of a link; with ``release`` the lease is given back, while the interface still is there."""
    unit = unit_of(ident, name)
    if release:
        specs.write_lease(ident, name, {_RELEASING: True})
        run("systemctl", "kill", "--signal=SIGUSR2", unit, check=False)
        deadline = time.monotonic() + _RELEASE_TAKES
        while runs(ident, name) and specs.read_lease(ident, name) and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
        specs.forget_lease(ident, name)
    _stop(unit)


def end_all(ident):
    """Stop all clients of a container that ended."""
    for name in specs.leased(ident):
        end(ident, name, release=specs.is_leaving(ident))


def is_as_leased(ident, link, seen):
    """Say whether a link is what its lease made of it, with a client that looks after it.

    One whose lease ran out has no address; as long as its client asks for one there is nothing to repair.
    """
    lease = specs.read_lease(ident, link.name)
    if not seen or not runs(ident, link.name):
        return False
    return seen == lease.get("seen") or not lease.get("until", 0) > time.time()


def show(ident, links):
    """Return {name: {"address", "until", "server"}} of the leases of links."""
    leases = {link.name: specs.read_lease(ident, link.name) for link in links if link.dhcp}
    return {name: {key: lease.get(key) for key in ("address", "until", "server")} for name, lease in leases.items()
            if lease.get("bound")}


# -- what a client calls


def on_event(word, environment):
    """Do what has to be done at an event of a client, whose words are in the environment.

    :raises HostError: when the address can't be had; whoever waits for it is told, too.
    """
    told = json.loads(environment["STOWAGE_TOLD"])
    ident, link = told["ident"], Link.from_dict(told["link"])
    if _born(told["pid"]) != told["born"]:
        # Nobody could tell the client that the container is gone.
        os.kill(os.getppid(), signal.SIGTERM)
        return
    if word == "nak":
        Namespace().run("ip", "-4", "address", "flush", "dev", link.name)
        specs.write_lease(ident, link.name, {"bound": False})
    if word == "deconfig" and specs.read_lease(ident, link.name).get(_RELEASING):
        specs.forget_lease(ident, link.name)
    if word not in ("bound", "renew"):
        return
    try:
        _apply(ident, link, Namespace(), read_words(link, environment, time.time()))
    except HostError as error:
        specs.write_lease(ident, link.name, {**specs.read_lease(ident, link.name), "problem": error.message})
        raise


def _born(pid):
    """Return when a process started, as /proc says it; its number may be another's some day."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def read_words(link, words, now):
    """Return the lease that a client's words say, as plain data. What they hold came from the network.

    :param now: in seconds since 1970.
    :raises HostError: when an address is missing or a word makes no sense.
    """
    try:
        address = ipaddress.IPv4Interface(f"{words['ip']}/{words['mask']}")
        lasts = min(int(words.get("lease", 0)) or _FOREVER, _FOREVER)
        lease = {"address": str(address), "lasts": lasts, "until": now + lasts, "routes": [], "mtu": 0,
                 "server": str(ipaddress.IPv4Address(words["serverid"])) if words.get("serverid") else ""}
        if "routes" in link.dhcp_take:
            lease["routes"] = _routes(words.get("staticroutes", "").split())
        if "gateway" not in link.dhcp_take:
            lease["routes"] = [route for route in lease["routes"] if route[0] != _ALL]
        elif words.get("router") and not any(to == _ALL for to, _via in lease["routes"]):
            # A router among the routes is meant instead of this one (RFC 3442).
            lease["routes"].append([_ALL, str(ipaddress.IPv4Address(words["router"].split()[0]))])
        if "mtu" in link.dhcp_take and words.get("mtu"):
            lease["mtu"] = int(words["mtu"])
            if not 576 <= lease["mtu"] <= 65535:
                raise ValueError(f"its MTU is {lease['mtu']}")
        return lease
    except KeyError as error:
        raise HostError(f"link {link.name}: the DHCP server's lease has no {error.args[0]}") from error
    except ValueError as error:
        raise HostError(f"link {link.name}: the DHCP server's lease makes no sense: {error}") from error


def _routes(words):
    return [[str(ipaddress.IPv4Network(to, strict=False)), str(ipaddress.IPv4Address(via))] for to, via in
            zip(words[::2], words[1::2])]


def _apply(ident, link, namespace, lease):
    """Put a lease on the link, with the routes that were asked for beside it; write down how that looks."""
    name, address = link.name, lease["address"]
    old = specs.read_lease(ident, name)
    seen = namespace.observe(name) or {"addresses": []}
    for other in seen["addresses"]:
        if ":" not in other and other != address:
            namespace.run("ip", "address", "del", other, "dev", name)
    lasts = "forever" if lease["lasts"] == _FOREVER else str(max(int(lease["until"] - time.time() + 1), 1))
    namespace.run("ip", "address", "replace", address, "dev", name, "valid_lft", lasts, "preferred_lft", lasts)
    if lease["mtu"]:
        namespace.run("ip", "link", "set", name, "mtu", str(lease["mtu"]))
    wanted = [*link.routes, *([("default", link.gateway)] if link.gateway else []), *lease["routes"]]
    for to, via in old.get("routes", []):
        if [to, via] not in lease["routes"]:
            namespace.run("ip", "route", "del", to, "via", via, "dev", name, check=False)
    for to, via in wanted:
        routed = ["via", via] if via and via != "0.0.0.0" else []
        namespace.run("ip", "route", "replace", to, *routed, "dev", name)
    specs.write_lease(ident, name, {**lease, "bound": True, "problem": "", "seen": namespace.observe(name)})
