# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine is asked for, and how that differs from what it reports.

Both sides are the engine's own JSON: the payload that creates a container, laid over the image's defaults as the engine
itself does it, and an inspection. So the comparison never has to remember what it once sent.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..common.errors import InvalidInput
from ..common.labels import SPEC, instance_labels
from ..network.filter.policy import RUNTIME_NAME
from ..network.mac import mac_of
from .options import FROM_ENGINE, FROM_IMAGE, OPTIONS, Option
from .values import is_anonymous, make_address, make_address6

UNLIMITED_SWAP = -1
#: Where the engine keeps what was asked for, and how it is written.
_ADDRESSES = {"address": ("IPv4Address", make_address), "address6": ("IPv6Address", make_address6)}


class Difference(NamedTuple):
    """One option that is not as wanted."""

    name: str
    before: Any
    after: Any
    #: What ``docker update`` is to be sent, or None when only a new container helps.
    update: dict | None = None


def made_values(instance):
    """Return {name: the engine's value} of all options that are set.

    :raises InvalidInput: with all complaints, each with the option's name.
    """
    made, problems = {}, []
    for option in OPTIONS:
        value = instance.get(option.source or option.name)
        if not option.where or (value is None and not option.always):
            continue
        try:
            made[option.name] = option.make(value, instance)
        except InvalidInput as error:
            if option.source is None:
                problems += [f"{option.name}: {problem}" for problem in error.problems]
    for key, (_field, make) in _ADDRESSES.items():
        if instance.get(key):
            try:
                make(instance[key])
            except InvalidInput as error:
                problems.append(f"{key}: {error}")
    if problems:
        raise InvalidInput(problems)
    return made


def asked_names(made):
    """Return the names of options that are set though the engine has a default which nobody can look up."""
    names = []
    for option in OPTIONS:
        if option.unset is FROM_ENGINE and option.name in made:
            if option.keyed:
                names += [f"{option.name}.{key}" for key in option.show(made[option.name])]
            else:
                names.append(option.name)
    return names


def payload(instance, made, fleet, spec, carried=()):
    """Return the JSON that creates the container.

    :param carried: further mounts, which keep the anonymous volumes of the container that this one replaces.
    """
    result = {"Config": {}, "HostConfig": {}}
    for option in OPTIONS:
        if option.name in made:
            _put(result, option.where, made[option.name])
        elif option.where and option.unset not in (None, FROM_IMAGE, FROM_ENGINE):
            _put(result, option.where, option.unset)
    config = result.pop("Config")
    identity = instance_labels(fleet, instance["cluster"], instance["group"], instance["index"], spec)
    config["Labels"] = {**config.get("Labels", {}), **identity}
    result["HostConfig"]["Mounts"] = [*result["HostConfig"].get("Mounts", []), *carried]
    network = instance.get("network")
    if network and network not in ("bridge", "host", "none"):
        address = instance.get("address")
        asked = {field: make(instance[key]) for key, (field, make) in _ADDRESSES.items() if instance.get(key)}
        endpoint = {"IPAMConfig": asked} if asked else {}
        if address and instance.get("runtime") == RUNTIME_NAME:
            # Peers believe a packet only from this MAC. Engines before 28 take it without being told.
            endpoint["MacAddress"] = mac_of(make_address(address))
        result["NetworkingConfig"] = {"EndpointsConfig": {network: endpoint}}
    return {"Image": instance["image"], **config, **result}


def _put(tree, where, value):
    for key in where[:-1]:
        tree = tree.setdefault(key, {})
    tree[where[-1]] = value


def _get(tree, where):
    for key in where:
        tree = (tree or {}).get(key)
    return tree


def differences(instance, made, image, container, fleet, spec, networks):
    """Return the list of Difference between what is wanted and what is.

    :param image: inspection of the wanted image.
    :param container: inspection of the container.
    :param spec: what ``stowage.spec`` said when the container was made (for its note of options asked for).
    :param networks: {name: id} of the networks of the engine.
    """
    found = []
    if container["Image"] != image["Id"]:
        before = f"{container['Config'].get('Image')} ({_short(container['Image'])})"
        found.append(Difference("image", before, f"{instance['image']} ({_short(image['Id'])})"))
    asked = set(spec.get("asked", ()))
    for option in OPTIONS:
        if option.where and option.compared:
            found += _compare(option, instance, made, image, container, fleet, asked)
    return found + _endpoint(instance, container, networks)


def _short(image_id):
    return image_id.replace("sha256:", "")[:12]


def _compare(option, instance, made, image, container, fleet, asked):
    have = option.show(_get(container, option.where))
    if option.unset is FROM_ENGINE and option.name not in made and not option.keyed:
        return [Difference(option.name, have, FROM_ENGINE)] if option.name in asked else []
    want = _wanted(option, instance, made, image, fleet)
    if option.keyed:
        keys = {*want, *(name.partition(".")[2] for name in asked if name.startswith(option.name + "."))}
        have = {key: item for key, item in have.items() if key in keys}
    elif option.name == "mounts":
        have = _without_carried(container, have, want)
    elif option.name == "labels":
        # The spec may be outdated by a change in place, and is kept up to date beside the container.
        have.pop(SPEC, None)
    elif option.name == "memory_and_swap" and have == UNLIMITED_SWAP:
        return []
    if want == have:
        return []
    if option.name == "env":
        have, want = _without_values(have, want)
    return [Difference(option.name, have, want, _update(option, made))]


def _without_values(have, want):
    """Return both with the variables that differ only, and no values: passwords are kept there, and diffs are shown."""
    names = {name for name in {*have, *want} if have.get(name) != want.get(name)}
    return (dict.fromkeys(sorted(names & set(have)), "a value"),
            {name: "another value" if name in have else "a value" for name in sorted(names & set(want))})


def _wanted(option, instance, made, image, fleet):
    """What inspect will show once all is as wanted: own values over the image's, as the engine merges them."""
    own = made.get(option.name)
    config = image.get("Config") or {}
    base = config.get(option.where[-1]) if option.unset is FROM_IMAGE else None
    if option.name == "command" and not own and made.get("entrypoint"):
        # The engine forgets the image's command together with its entry point.
        base = None
    if option.name == "command" and not own:
        return option.show(base)
    if option.name == "env":
        return {**option.show(base), **option.show(own)}
    if option.name == "labels":
        identity = instance_labels(fleet, instance["cluster"], instance["group"], instance["index"], {})
        del identity[SPEC]
        return {**option.show(base), **option.show(own), **identity}
    if option.name == "health" and own is not None:
        return option.show({**(base or {}), **{key: item for key, item in own.items() if item}})
    if option.name in made:
        return option.show(own)
    if option.unset is FROM_IMAGE:
        return option.show(base)
    return option.show(None if option.unset is FROM_ENGINE else option.unset)


def _without_carried(container, have, want):
    """Leave out volumes that a new container took over from the one it replaced: nobody asked for them by name."""
    carried = {
        mount["Target"]
        for mount in container["HostConfig"].get("Mounts") or []
        if mount.get("Type") == "volume" and is_anonymous(mount.get("Source"))
    }
    return {target: mount for target, mount in have.items() if target in want or target not in carried}


def _update(option: Option, made):
    """What changes the option in place; the engine takes nothing and zero as "leave it as it is"."""
    if not option.live:
        return None
    if option.name == "pids_limit":
        return {"PidsLimit": made.get("pids_limit") or -1}
    value = made.get(option.name)
    return {option.where[-1]: value} if value else None


def _endpoint(instance, container, networks):
    network = instance.get("network")
    if not network or network in ("host", "none"):
        return []
    endpoint = ((container.get("NetworkSettings") or {}).get("Networks") or {}).get(network)
    if endpoint is None:
        mode = container["HostConfig"].get("NetworkMode")
        return [Difference("network", f"detached from {network}", network)] if mode == network else []
    found = []
    if endpoint.get("NetworkID") and network in networks and endpoint["NetworkID"] != networks[network]:
        found.append(Difference("network", f"{network}, which was made anew since", network))
    for key, (field, make) in _ADDRESSES.items():
        have = (endpoint.get("IPAMConfig") or {}).get(field) or ""
        want = make(instance[key]) if instance.get(key) else ""
        if have != want:
            found.append(Difference(key, have, want))
    return found
