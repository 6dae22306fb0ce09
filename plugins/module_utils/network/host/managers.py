# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who makes a host's bridges: whatever keeps the NIC below, or a unit of our own where nothing does.

A manager is a module of its own. It says whether it keeps a NIC (``keeps``), which files of ours make it keep a bridge
over that NIC (``texts``), and which lines of shell bring that about and take it back (``make``, ``unmake``,
``restore``). Copies, timers and confirmations are no business of theirs: see change.py.
"""

from __future__ import annotations

import os

from ...common.files import read_text
from . import ifupdown, networkd, networkmanager
from .unit import NONE

MANAGERS = {"networkd": networkd, "networkmanager": networkmanager, "ifupdown": ifupdown}


def of(link):
    """Return the manager of a link, or None where our own unit makes it."""
    return MANAGERS.get(link.get("manager"))


def identity(link):
    """Return what a link can't change without being made anew."""
    keys = ("kind", "name", "parent", "manager") if link["kind"] == "bridge" else sorted(link)
    return [(key, link.get(key)) for key in keys]


def choose(links, before, wish, run):
    """Write into each link who makes it, and from what it is derived; return sentences on what is against that.

    :param before: the links as they are. A bridge that is there stays with who made it: its NIC says no more than that.
    :param wish: ``auto``, the name of a manager, or ``none``.
    """
    found = []
    for link in links:
        link["manager"] = NONE
        if link["kind"] != "bridge" or not os.path.exists(f"/sys/class/net/{link['parent']}"):
            continue
        name, source = _keeper(link, before, run)
        if wish not in ("auto", name):
            found.append(f"network {link['network']}: {name} keeps {link['parent']}, not {wish}; expected manager "
                         f"{name}, or auto")
        if name == NONE:
            continue
        link.update(manager=name, source=source)
        if source != (_was(link, before) or {}).get("source"):
            sentence = MANAGERS[name].objection(link, run)
            found += [f"network {link['network']}: parent: {sentence}"] if sentence else []
    return found


def keeper(nic, run):
    """Return (name, source) of who keeps a NIC, or (``none``, None)."""
    for name, manager in MANAGERS.items():
        source = manager.keeps(nic, run)
        if source:
            return name, source
    return NONE, None


def _keeper(link, before, run):
    old = _was(link, before)
    found = keeper(link["parent"], run)
    # A NIC that is a port says who keeps a port. One that should be a port and is none has its manager's word for it.
    is_port = os.path.exists(f"/sys/class/net/{link['name']}/brif/{link['parent']}")
    if old and (is_port or found[0] in (old["manager"], NONE)):
        return old["manager"], old.get("source")
    return found


def _was(link, before):
    """Return the same bridge as it was made last, or None."""
    return next((old for old in before if (old["name"], old["parent"]) == (link["name"], link["parent"])), None)


def texts(link, run):
    """Return {path: text} of what makes a link's manager keep it. Where its source is gone, it stays as it is."""
    manager = of(link)
    if manager is None:
        return {}
    return manager.texts(link, run) or {path: read_text(path) or "" for path in manager.paths(link)}


def functions(links):
    """Return the functions of shell that the managers of these links need."""
    return "".join(manager.FUNCTIONS for manager in MANAGERS.values() if manager in map(of, links))


def paths(link):
    """Return the paths of a link's own files."""
    return of(link).paths(link) if of(link) else []
