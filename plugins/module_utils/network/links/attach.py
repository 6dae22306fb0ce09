# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All links of one container: made before its process starts, brought to what is wanted while it runs, given back."""

from __future__ import annotations

import contextlib
import fcntl
import os

from ...common.errors import HostError
from .. import specs
from . import lease
from .wanted import Link
from .wire import Namespace, attach, check_host, detach, drop_end, drop_vlan, run


def namespace_of(pid):
    """Return the network namespace of a process; refuse the host's own.

    :raises HostError: when the container shares the host's network.
    """
    path = f"/proc/{pid}/ns/net"
    try:
        if os.path.samefile(path, "/proc/self/ns/net"):
            raise HostError("the container shares the host's network, and can have no links of its own")
    except FileNotFoundError as error:
        raise HostError(f"{error.filename} is not there: {error.strerror}") from error
    return Namespace(path)


def check(link):
    """Refuse what this host can't wire.

    :raises HostError: with one sentence.
    """
    check_host(link)
    if link.dhcp:
        lease.check_client(link)


def wire_all(ident, pid):
    """Make all links of a container that is about to start, or none.

    :raises HostError: with one sentence; what was made is gone again.
    """
    known = specs.read_links(ident) or {}
    links = [Link.from_dict(link) for link in known.get("links", [])]
    process = Process(ident, known.get("owner", ident), pid)
    # An engine that died with the container could not have its NICs taken back.
    give_back(ident)
    specs.unmark_leaving(ident)
    with _vlans(links):
        try:
            process.attach_all(links)
        except HostError:
            process.let_go()
            _sweep(ident, links)
            raise
        process.note(links)


class Process:
    """The process of a container, and links in its network namespace."""

    def __init__(self, ident, owner, pid):
        self.ident, self.owner, self.pid = ident, owner, pid
        self.namespace = namespace_of(pid)

    def attach_all(self, links):
        """Make links, or none of them.

        :raises HostError: with one sentence; what was made is gone again.
        """
        made = []
        self._hold(links)
        try:
            for link in links:
                attach(self.namespace, link, self.pid)
                made.append(link)
                if link.dhcp:
                    lease.begin(self.ident, self.owner, link, Namespace(_held(self.ident)), self.pid)
        except HostError:
            for link in made:
                self.detach(link)
            raise

    def detach(self, link, release=False):
        """Take a link away; with ``release``, what a DHCP server gave it is given back."""
        if link.dhcp:
            lease.end(self.ident, link.name, release)
        detach(self.namespace, link)

    def note(self, links):
        """Write down what links there are now."""
        specs.write_wired(self.ident, {link.name: {"link": link.to_dict(), "seen": self.namespace.observe(link.name)}
                                       for link in links})
        if not _to_hold(links):
            self.let_go()

    def _hold(self, links):
        """Keep the namespace when the container is not there any more: for NICs to be taken out, and for clients."""
        held = _held(self.ident)
        if _to_hold(links) and not os.path.exists(held):
            os.makedirs(os.path.dirname(held), mode=0o700, exist_ok=True)
            with open(held, "w", encoding="ascii"):
                pass
            run("mount", "--bind", self.namespace.path, held)

    def let_go(self):
        """Keep the namespace no longer."""
        _let_go(_held(self.ident))


def _to_hold(links):
    return any(link.kind == "nic" or link.dhcp for link in links)


def _held(ident):
    return os.path.join(specs.LOADED, f"{ident}.netns")


def _let_go(held):
    if os.path.exists(held):
        run("umount", held, check=False)
        os.unlink(held)


def give_back(ident):
    """Give the NICs of a container that ended back to the host, under their own names, and stop its clients."""
    held = _held(ident)
    wired = [Link.from_dict(entry["link"]) for entry in specs.read_wired(ident).values()]
    lease.end_all(ident)
    if os.path.exists(held):
        namespace = Namespace(held)
        try:
            for link in wired:
                if link.kind == "nic":
                    detach(namespace, link)
        finally:
            _let_go(held)
    for link in wired:
        # They go with the namespace, but some time after it, and the next start wants their names.
        drop_end(link)
    with _vlans(wired):
        specs.unwire(ident)
        _sweep(ident, wired)


@contextlib.contextmanager
def _vlans(links):
    """Let nobody else make or take away interfaces of VLANs meanwhile, where links have some."""
    if not any(link.vlan for link in links):
        yield
        return
    os.makedirs(specs.LOADED, mode=0o700, exist_ok=True)
    with open(os.path.join(specs.LOADED, ".vlans"), "w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _sweep(ident, links):
    """Take away the interfaces of VLANs on the host that no link needs any more; ``links`` are those that went."""
    gone = [link for link in links if link.vlan and link.kind in ("macvlan", "ipvlan")]
    if not gone:
        return
    used = {(entry["link"]["parent"], entry["link"]["vlan"]) for other in specs.known()
            for entry in specs.read_wired(other).values()}
    for link in gone:
        if (link.parent, link.vlan) not in used:
            drop_vlan(link, {other.mac for other in gone})


def compare(ident, links, namespace):
    """Return (links to take away, links to make) so that a running container has ``links``.

    A link is as wanted when it was made from the same wish and still is what it was when it was made.
    """
    wired = specs.read_wired(ident)
    made = {name: Link.from_dict(entry["link"]) for name, entry in wired.items()}
    good = {link.name for link in links if made.get(link.name) == link
            and _is_as_made(ident, link, wired[link.name], namespace)}
    return [link for name, link in made.items() if name not in good], [link for link in links if link.name not in good]


def _is_as_made(ident, link, entry, namespace):
    seen = namespace.observe(link.name)
    return lease.is_as_leased(ident, link, seen) if link.dhcp else seen == entry["seen"]


def change(process, links, away, make):
    """Take away and make what ``compare`` said, in that order.

    :raises HostError: what was wanted before is tried again then, so that the container is not left without.
    """
    taken = {link.parent for link in away if link.kind == "nic"}
    for link in make:
        # A NIC that the container has already is not on the host.
        if link.kind != "nic" or link.parent not in taken:
            check(link)
    ident, staying = process.ident, {link.name for link in links if link.dhcp}
    before = [Link.from_dict(entry["link"]) for entry in specs.read_wired(ident).values()]
    with _vlans([*away, *make]):
        for link in away:
            process.detach(link, release=link.name not in staying)
        try:
            process.attach_all(make)
        except HostError:
            process.attach_all(away)
            process.note(before)
            raise
        process.note(links)
        _sweep(ident, away)
