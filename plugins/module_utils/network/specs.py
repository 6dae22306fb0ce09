# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host remembers of its containers' networks: one file for each container, by the engine's id.

The files are read whenever a container starts, also when nobody but the engine is there to start it. So they outlive a
reboot, and they hold finished text: nothing is decided when a container starts.
"""

from __future__ import annotations

import json
import os

from ..common.errors import HostError
from ..common.files import write_text

VERSION = 1
FOLDER = "/var/lib/stowage/network"
#: What the kernel had right after a filter was loaded. Gone with a reboot, as is the filter.
LOADED = "/run/stowage/network"
#: What links were when they were made, beside LOADED.
WIRED = ".wired"
#: Where the program is, as the engine called it last.
PROGRAM = "/run/stowage/program"
#: That a container leaves for good, so that what others lent it is given back, beside LOADED.
LEAVING = ".leaving"
_SUFFIX = ".json"
_LINKS = ".links"
_LEASE = ".lease"


def path_of(ident, folder=FOLDER):
    """Return the path of a container's file."""
    return os.path.join(folder, ident + _SUFFIX)


def read(ident, folder=FOLDER):
    """Return what is remembered of a container, or None.

    :raises HostError: when the file is damaged or of another version.
    """
    path = path_of(ident, folder)
    try:
        with open(path, encoding="utf-8") as stream:
            spec = json.load(stream)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise HostError(f"{path} is damaged ({error}); run the playbook site to write it anew") from error
    if not isinstance(spec, dict) or spec.get("version") != VERSION:
        raise HostError(f"{path} is of another version; run the playbook site to write it anew")
    return spec


def write(ident, spec, folder=FOLDER):
    """Remember a container in one step, on the disk before this returns: a power cut finds the old text or the new."""
    _replace(path_of(ident, folder), json.dumps({"version": VERSION, **spec}, sort_keys=True))


def _replace(path, text):
    """Whom a container may talk to, and what others lend it, is for root alone."""
    write_text(path, text, mode=0o600, folder_mode=0o700)


def note_loaded(ident, fingerprint, folder=LOADED):
    """Remember the fingerprint of what was just loaded into a container's namespace."""
    _replace(os.path.join(folder, ident), fingerprint)


def unnote_loaded(ident, folder=LOADED):
    """Remember that it is not known what is loaded into a container's namespace."""
    _unlink(os.path.join(folder, ident))


def loaded(ident, folder=LOADED):
    """Return the fingerprint of what was last loaded into a container's namespace, or None."""
    try:
        with open(os.path.join(folder, ident), encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def read_links(ident, folder=FOLDER):
    """Return ``{"owner": name, "filtered": bool, "links": [...]}`` of a container, or None when it has no links.

    :raises HostError: when the file is damaged.
    """
    return _read_json(os.path.join(folder, ident + _LINKS))


def write_links(ident, owner, filtered, links, folder=FOLDER):
    """Remember the links of a container; nothing stays when there are none."""
    path = os.path.join(folder, ident + _LINKS)
    if links:
        _replace(path, json.dumps({"owner": owner, "filtered": filtered, "links": links}, sort_keys=True))
    elif os.path.exists(path):
        os.unlink(path)


def read_wired(ident, folder=LOADED):
    """Return {name: {"link": what it was made from, "seen": what it was then}} of the links that were made."""
    return _read_json(os.path.join(folder, ident + WIRED)) or {}


def write_wired(ident, wired, folder=LOADED):
    """Remember the links that were made."""
    _replace(os.path.join(folder, ident + WIRED), json.dumps(wired, sort_keys=True))


def unwire(ident, folder=LOADED):
    """Forget the links that were made, for they are gone."""
    _unlink(os.path.join(folder, ident + WIRED))


def lease_path(ident, name, folder=FOLDER):
    """Return the path of the lease that a container's link ``name`` has; it outlives a reboot, as the lease does."""
    return os.path.join(folder, f"{ident}.{name}{_LEASE}")


def read_lease(ident, name, folder=FOLDER):
    """Return the last lease of a link as plain data, empty when it never had one."""
    return _read_json(lease_path(ident, name, folder)) or {}


def write_lease(ident, name, lease, folder=FOLDER):
    """Remember the lease of a link."""
    _replace(lease_path(ident, name, folder), json.dumps(lease, sort_keys=True))


def forget_lease(ident, name, folder=FOLDER):
    """Forget the lease of a link."""
    _unlink(lease_path(ident, name, folder))


def leased(ident, folder=FOLDER):
    """Return the names of a container's links that have, or had, a lease."""
    start = f"{ident}."
    return sorted(name[len(start):-len(_LEASE)] for name in _names(folder)
                  if name.startswith(start) and name.endswith(_LEASE))


def mark_leaving(ident, folder=LOADED):
    """Remember that a container that is about to stop will not start again."""
    _replace(os.path.join(folder, ident + LEAVING), "")


def unmark_leaving(ident, folder=LOADED):
    """Remember that a container starts again after all."""
    _unlink(os.path.join(folder, ident + LEAVING))


def is_leaving(ident, folder=LOADED):
    """Say whether a container that stops will not start again."""
    return os.path.exists(os.path.join(folder, ident + LEAVING))


def note_program(path, kept=PROGRAM):
    """Remember where the program is: others run it, too."""
    if program(kept) != path:
        _replace(kept, path)


def program(kept=PROGRAM):
    """Return where the program is, as far as it was called since the host booted; else nothing."""
    try:
        with open(kept, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def _read_json(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise HostError(f"{path} is damaged ({error}); run the playbook site to write it anew") from error


def known(folder=FOLDER, loaded=LOADED):
    """Return the ids of all containers that are remembered, for their filter, their links or a lease."""
    kept = {name.partition(".")[0] for name in _names(folder) if name.endswith((_SUFFIX, _LINKS, _LEASE))}
    made = {os.path.splitext(name)[0] for name in _names(loaded) if "." not in name or name.endswith(WIRED)}
    return sorted(kept | made)


def _names(folder):
    try:
        return [name for name in os.listdir(folder) if name[0] != "."]
    except FileNotFoundError:
        return []


def forget(ident, folder=FOLDER, loaded=LOADED):
    """Forget a container."""
    for name in leased(ident, folder):
        forget_lease(ident, name, folder)
    for path in (path_of(ident, folder), os.path.join(folder, ident + _LINKS),
                 *(os.path.join(loaded, ident + suffix) for suffix in ("", WIRED, LEAVING))):
        _unlink(path)


def _unlink(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
