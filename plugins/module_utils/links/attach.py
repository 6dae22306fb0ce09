# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All links of one container: made before its process starts, brought to what is wanted while it runs, given back."""

from __future__ import annotations

import os

from ..errors import HostError
from ..isolation import specs
from .wanted import Link
from .wire import Namespace, attach, check_host, detach, run


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


def wire_all(ident, pid):
    """Make all links of a container that is about to start, or none.

    :raises HostError: with one sentence; what was made is gone again.
    """
    links = [Link.from_dict(link) for link in (specs.read_links(ident) or {}).get("links", [])]
    namespace = namespace_of(pid)
    # An engine that died with the container could not have its NICs taken back.
    give_back(ident)
    _attach_all(namespace, links, pid)
    _note(ident, namespace, links, pid)


def _attach_all(namespace, links, pid):
    made = []
    try:
        for link in links:
            attach(namespace, link, pid)
            made.append(link)
    except HostError:
        for link in made:
            detach(namespace, link)
        raise


def _note(ident, namespace, links, pid):
    specs.write_wired(ident, {link.name: {"link": link.to_dict(), "seen": namespace.observe(link.name)}
                              for link in links})
    held = _held(ident)
    wanted = any(link.kind == "nic" for link in links)
    if wanted and not os.path.exists(held):
        # So that the namespace is still there when the container is not, and the NIC can be taken out of it.
        with open(held, "w", encoding="ascii"):
            pass
        run("mount", "--bind", f"/proc/{pid}/ns/net", held)
    elif not wanted:
        _let_go(held)


def _held(ident):
    return os.path.join(specs.LOADED, f"{ident}.netns")


def _let_go(held):
    if os.path.exists(held):
        run("umount", held, check=False)
        os.unlink(held)


def give_back(ident):
    """Give the NICs of a container that ended back to the host, under their own names."""
    held = _held(ident)
    if not os.path.exists(held):
        return
    namespace = Namespace(held)
    try:
        for entry in specs.read_wired(ident).values():
            link = Link.from_dict(entry["link"])
            if link.kind == "nic":
                detach(namespace, link)
    finally:
        _let_go(held)


def compare(ident, links, namespace):
    """Return (links to take away, links to make) so that a running container has ``links``.

    A link is as wanted when it was made from the same wish and still is what it was when it was made.
    """
    wired = specs.read_wired(ident)
    wanted = {link.name: link for link in links}
    good = {name for name, entry in wired.items() if name in wanted and entry["link"] == wanted[name].to_dict()
            and entry["seen"] == namespace.observe(name)}
    away = [Link.from_dict(entry["link"]) for name, entry in wired.items() if name not in good]
    return away, [link for link in links if link.name not in good]


def change(ident, links, namespace, pid, away, make):
    """Take away and make what ``compare`` said, in that order.

    :raises HostError: what was wanted before is tried again then, so that the container is not left without.
    """
    held = {link.parent for link in away if link.kind == "nic"}
    for link in make:
        # A NIC that the container has already is not on the host.
        if link.kind != "nic" or link.parent not in held:
            check_host(link)
    for link in away:
        detach(namespace, link)
    try:
        _attach_all(namespace, make, pid)
    except HostError:
        _attach_all(namespace, away, pid)
        before = {link.name for link in away} | {link.name for link in links if link not in make}
        _note(ident, namespace, [Link.from_dict(entry["link"]) for name, entry in specs.read_wired(ident).items()
                                 if name in before], pid)
        raise
    _note(ident, namespace, links, pid)
