# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last look before a host changes: nothing is promised twice, and no more than the host has.

The planner has checked all this already, but from what it saw minutes ago. Here it is checked against the host itself,
under its lock.
"""

from __future__ import annotations

from typing import NamedTuple

from ..common.sizes import human_size

_BYTES = ("memory", "disk")
# Sums of fractions such as 0.1 must not fail on their last binary digit.
_TOLERANCE = 1e-9


class Holding(NamedTuple):
    """What one container holds of a host."""

    name: str
    #: ``cores`` or ``cpus``, ``memory`` and ``disk`` in bytes, named resources.
    claims: dict
    #: The cores it owns; empty for one that shares.
    cores: tuple = ()


def problems(cpus, resources, reserved, holdings):
    """Return sentences, one for each way in which the holdings do not fit the host; none when all is well.

    :param cpus: numbers of the host's CPUs. As many of the lowest as ``reserved["cores"]`` says are the host's own.
    :param resources: amounts of ``memory`` and ``disk`` in bytes and of named resources.
    """
    kept = sorted(cpus)[: int(reserved.get("cores", 0))]
    found = _cores(cpus, kept, holdings)
    owned = {core for holding in holdings for core in holding.cores}
    shared = len(set(cpus) - set(kept) - owned)
    asked = sum(holding.claims.get("cpus") or 0 for holding in holdings)
    if asked > shared + _TOLERANCE:
        found.append(f"{asked:g} shared cpus are promised, and {shared} cores are left that nobody owns")
    for name in sorted({name for holding in holdings for name in holding.claims} - {"cores", "cpus"}):
        found += _amount(name, resources.get(name), reserved.get(name, 0), holdings)
    return found


def _cores(cpus, kept, holdings):
    owners, found = {}, []
    for holding in holdings:
        for core in holding.cores:
            owners.setdefault(core, []).append(holding.name)
    for core, names in sorted(owners.items()):
        if len(names) > 1:
            found.append(f"core {core} would be owned by {' and '.join(sorted(names))}")
        if core not in cpus:
            found.append(f"{names[0]} is to own core {core}, which this host does not have")
        elif core in kept:
            found.append(f"{names[0]} is to own core {core}, which is reserved for the host")
    return found


def _amount(name, total, reserved, holdings):
    asked = sum(holding.claims.get(name) or 0 for holding in holdings)
    show = human_size if name in _BYTES else "{:g}".format
    if total is None:
        who = [holding.name for holding in holdings if holding.claims.get(name)]
        return [f"{who[0]} claims {show(asked)} of {name}, which this host does not offer"] if who else []
    if asked > total - reserved + _TOLERANCE:
        return [f"{show(asked)} of {name} are promised, and the host has {show(total)} less {show(reserved)} reserved"]
    return []
