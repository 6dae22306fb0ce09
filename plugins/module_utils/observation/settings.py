# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a type says of a container, as short texts that can be compared and shown.

One side reads them off an inspection, the other makes them of options. So a plan can name what it changes about
containers of any age, though their labels hold no more than a hash.

Names have a dot where an option has parts: ``command``, ``env.PASSWORD``, ``mounts./data``. The text of a variable is
no value but a mark that differs when the value does, since passwords are kept there.
"""

from __future__ import annotations

import hashlib
import shlex

from ..common.errors import MissingDependency
from ..common.labels import CLUSTER, FLEET, GROUP, INDEX, SPEC, digest
from ..common.sizes import human_size
from ..containers.options import FROM_ENGINE, FROM_IMAGE, OPTIONS
from ..containers.values import is_anonymous

#: Where a setting comes from: somebody asked for it, the image has it, or the engine.
OWN, IMAGE, ENGINE = "own", "image", "engine"
#: What the plan decides, and shows by itself.
_DECIDED = ("cpuset", "mems", "cpus", "shares", "memory", "memory_and_swap", "network")
_SHOWN = tuple(option for option in OPTIONS if option.where and option.compared and option.name not in _DECIDED)
_IDENTITY = (FLEET, CLUSTER, GROUP, INDEX, SPEC)
_SIZES = ("shm_size", "storage_opt.size")
_DURATIONS = ("health.interval", "health.timeout", "health.start_period")
_COMMANDS = ("command", "entrypoint", "health.test")
_LONGEST_TEXT = 160
# Enough to see nearly every change, too little to guess a password by.
_MARK_DIGITS = 4
_NOTHING = (None, "", [], False)
_NO_LIMIT = ("pids_limit", -1)
#: What an option is when nobody asks for it, in words.
UNSET = {option.name: option.unset if option.unset in (FROM_IMAGE, FROM_ENGINE) else "none" for option in _SHOWN}
UNSET["hostname"] = "its name"


class SettingsTable:
    """Settings of many containers, each row only once: most containers of a host are told the same."""

    def __init__(self, key):
        """``key`` is anything that both sides know; marks of variables are only comparable with one key."""
        self._key = key
        #: [name, text, origin]; containers give positions in it.
        self.rows = []
        self._positions = {}
        self._read = {}

    def add(self, inspection, image, asked):
        """Return the positions of the settings of one container.

        :param image: inspection of the image that it was made from; None when that is gone.
        :param asked: the options that its spec notes as set on purpose although the engine has a default of its own.
        """
        found = []
        made_from = (image or {}).get("Id")
        for option in _SHOWN:
            value = _reported(option, inspection)
            # What thousand containers have alike is read once; the keys are cheaper than the reading.
            known = (option.name, repr(value), made_from, asked if option.unset is FROM_ENGINE else ())
            if known not in self._read:
                self._read[known] = [self._position(row) for row in self._rows(option, value, image, asked)]
            found += self._read[known]
        return found

    def _rows(self, option, value, image, asked):
        defaults = (image or {}).get("Config") or {}
        base = _texts(option, defaults.get(option.where[-1]), self._key) if option.unset is FROM_IMAGE else {}
        for name, text in _texts(option, value, self._key).items():
            if option.unset is FROM_ENGINE:
                yield name, text, OWN if name in asked else ENGINE
            elif option.unset is FROM_IMAGE and (image is None or base.get(name) == text):
                yield name, text, IMAGE
            else:
                yield name, text, OWN

    def _position(self, row):
        if row not in self._positions:
            self._positions[row] = len(self.rows)
            self.rows.append(list(row))
        return self._positions[row]


def _reported(option, inspection):
    """Return what the engine reports of an option, without what belongs to each container alone."""
    value = inspection
    for name in option.where:
        value = (value or {}).get(name)
    if option.name == "labels":
        return {name: text for name, text in (value or {}).items() if name not in _IDENTITY}
    if option.name == "hostname" and value == _own_hostname(inspection.get("Name") or ""):
        return None
    return value


def _own_hostname(name):
    return name.lstrip("/").replace("_", "-")


def wanted_settings(instance, key):
    """Return ({name: text}, names of options that can't be read here) of checked options, disks among the mounts."""
    wanted, unread = {}, []
    for option in _SHOWN:
        value = instance.get(option.source or option.name)
        if value is None and (not option.always or option.name == "hostname"):
            continue
        try:
            wanted.update(_texts(option, option.make(value, instance), key))
        except MissingDependency:
            # Ports are read with the engine's SDK, which a controller need not have.
            unread.append(option.name)
    return wanted, unread


def _texts(option, value, key):
    """Return {name: text} of the engine's value of one option; what is as if it was not set is left out."""
    shown = option.show(value)
    if not isinstance(shown, dict):
        return {} if shown in _NOTHING or (option.name, shown) == _NO_LIMIT else {
            option.name: _cut(_text(option.name, shown))}
    found = {}
    for part, item in shown.items():
        name = f"{option.name}.{part}"
        if option.name == "env":
            found[name] = _mark(key, part, item)
        elif not (option.name == "health" and item == 0):
            found[name] = _cut(_text(name, item))
    return found


def _mark(key, name, value):
    secret = "\0".join((str(key), name, value)).encode("utf-8", "surrogateescape")
    return hashlib.sha256(secret).hexdigest()[:_MARK_DIGITS]


def _text(name, value):
    if name in _SIZES:
        return _size(int(value))
    if name in _DURATIONS:
        return f"{value / 1e9:g}s"
    if name in _COMMANDS:
        return " ".join(shlex.quote(word) for word in value)
    if name.startswith("mounts."):
        return _mount(value)
    if name.startswith("ports."):
        return ", ".join(f"{address}:{port}" if address else port for address, port in value) or "a free port"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) or "''"


def _size(number):
    """A size that people read, unless that would round it: two that differ must not read the same."""
    whole = human_size(number)
    return whole if "." not in whole else f"{number} B"


def _mount(mount):
    source = mount["source"]
    words = ["a volume of its own" if mount["type"] == "volume" and (not source or is_anonymous(source)) else source]
    words += [mount["type"]] if mount["type"] == "tmpfs" else []
    words += ["read-only"] if mount["read_only"] else []
    words += [f"{name} {value}" for name, value in mount.items() if name not in ("type", "source", "read_only")]
    return ", ".join(word for word in words if word)


def _cut(text):
    """Keep long texts comparable without carrying them from every host."""
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]}… ({len(text)} characters, {digest(text)[:8]})"
