# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the host without Ansible: it stands between the engine and its OCI runtime.

The engine calls the runtime ``stowage`` (a shell script beside this program) as it would call runc. Making a container
passes through here: a hook is added to its bundle, and runc goes on. The hook runs when the container's network
namespace is there and nothing of the container runs yet, first of all hooks: the filter stands before the interfaces.
Starting a container that has links passes through here too, for then the engine's own interfaces are there, and still
nothing of the container runs; and deleting one, for then a NIC has to go back to the host.
"""

from __future__ import annotations

import json
import os
import sys
import time

from ...common.errors import HostError, StowageError
from ...common.files import write_text
from .. import specs
from ..filter import namespace, rules
from ..links import attach, lease, wire

_HOOK_TIMEOUT = 60
_END_TAKES = 5.0


def main(arguments=None):
    """Run one command: ``create``, ``start`` or ``delete`` with runc's own arguments, ``hook``, or a client's event."""
    command, *rest = sys.argv[1:] if arguments is None else arguments
    if command == "create":
        return _create(rest)
    if command == "start":
        return _start(rest)
    if command == "delete":
        return _delete(rest)
    if command == "hook":
        return _hook(sys.stdin)
    if command in lease.EVENTS:
        return _event(command)
    sys.stderr.write("expected create, start, delete or hook\n")
    return 2


def _create(arguments):
    try:
        program = os.path.abspath(sys.argv[0])
        add_hook(_value(arguments, ("--bundle", "-b")) or ".", program)
        specs.note_program(program)
        os.execvp("runc", ["runc", *arguments])
    except (OSError, ValueError, StowageError) as error:
        _complain(f"stowage: the container was not made: {error}", _value(arguments, ("--log",)))
    return 1


def _start(arguments):
    """Make the links of a container whose process is about to start."""
    ident = arguments[-1]
    runc = ["runc", *arguments[: arguments.index("start")]]
    try:
        state = json.loads(wire.run(*runc, "state", ident))
        attach.wire_all(ident, state["pid"])
        os.execvp("runc", ["runc", *arguments])
    except (OSError, ValueError, KeyError, StowageError) as error:
        _complain(f"stowage: the container must not start without its links: {error}", _value(arguments, ("--log",)))
        _end(runc, ident)
    return 1


def _end(runc, ident):
    """End a container that was made and must not start: an engine does not remove what waits, nor start it again."""
    try:
        pid = json.loads(wire.run(*runc, "state", ident))["pid"]
        wire.run(*runc, "kill", ident, "KILL")
        deadline = time.monotonic() + _END_TAKES
        while pid and os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
            time.sleep(0.01)
    except (ValueError, KeyError, StowageError) as error:
        sys.stderr.write(f"stowage: it waits still: {error}\n")


def _delete(arguments):
    """Take NICs back before a container's namespace goes; the container goes whatever becomes of that."""
    try:
        attach.give_back(arguments[-1])
    except (OSError, ValueError, StowageError) as error:
        sys.stderr.write(f"stowage: a NIC was not given back: {error}\n")
    os.execvp("runc", ["runc", *arguments])


def _value(arguments, names):
    """Return the value of an option of runc, given as ``--name value`` or ``--name=value``."""
    for position, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else arguments[position + 1]
    return None


def _complain(sentence, log):
    """Say what went wrong to a person and, in runc's own log format, to the engine."""
    sys.stderr.write(f"{sentence}\n")
    if log:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with open(log, "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"level": "error", "msg": sentence, "time": moment}) + "\n")


def add_hook(bundle, program):
    """Add the hook to a bundle's configuration, before all others; once."""
    path = os.path.join(bundle, "config.json")
    with open(path, encoding="utf-8") as stream:
        config = json.load(stream)
    # Prestart is the older name of createRuntime; runc runs those first, and the engine's own hook is among them.
    hooks = config.setdefault("hooks", {}).setdefault("prestart", [])
    wanted = {"path": program, "args": [program, "hook"], "timeout": _HOOK_TIMEOUT,
              "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    if wanted in hooks:
        return
    hooks.insert(0, wanted)
    write_text(path, json.dumps(config), mode=os.stat(path).st_mode & 0o777)


def _hook(stream):
    """Load the filter of the container that runc describes on standard input. Fails closed."""
    try:
        state = json.load(stream)
        prepare(state["id"], state["pid"])
    except (OSError, ValueError, KeyError, StowageError) as error:
        sys.stderr.write(f"stowage: the container must not start without its packet filter: {error}\n")
        return 1
    return 0


def _event(word):
    """Do what a DHCP client of a link calls for."""
    try:
        lease.on_event(word, os.environ)
    except (OSError, ValueError, KeyError, StowageError) as error:
        sys.stderr.write(f"stowage: {word}: {error}\n")
        return 1
    return 0


def prepare(ident, pid, folder=specs.FOLDER):
    """Load what is remembered of a container into the namespace of ``pid``.

    :raises HostError: when nothing is remembered, or it can't be loaded.
    """
    spec, links = specs.read(ident, folder), specs.read_links(ident, folder)
    if spec is None and links is not None and not links["filtered"]:
        return
    if spec is None:
        raise HostError(f"{specs.path_of(ident, folder)} is missing; run the playbook site, which writes it")
    names = [link["name"] for link in (links or {}).get("links", [])]
    namespace.load(pid, rules.with_links(spec["rules"], names))
    specs.note_loaded(ident, namespace.fingerprint(pid))
