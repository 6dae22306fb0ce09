# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans that are not carried out, since an operator has to decide first. Each refusal comes before the first change."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..plan.disk_claims import room_in_released
from ..plan.folding import fold_unplaced
from ..plan.images import unavailable
from ..plan.last_known import Observation
from ..plan.planning import Planned
from ..read.disks import left_behind
from ..read.state import Desired
from .diff import describe_unplaced
from .layers import unlimited_layers
from .network_change import refuse_changes


def find_refusal(
    desired: Desired,
    planned: Planned,
    observations: Mapping[str, Observation],
    hosts: Collection[str],
    missing_images: Mapping[str, Collection[str]] | None = None,
) -> str | None:
    """Return why a plan is not carried out, and what would let it be; None when it is.

    :param hosts: those that this run may change.
    :param missing_images: hosts that lack an image which the plan needs there and which nobody brings, by its name.
    """
    return (
        refuse_changes(desired, observations, hosts)
        or _unplaced(desired, planned, observations)
        or unavailable(missing_images or {})
        or "\n".join(unlimited_layers(planned.plan["instances"], planned.options, observations))
        or _stranded(desired, planned)
        or None
    )


def _unplaced(desired: Desired, planned: Planned, observations: Mapping[str, Observation]) -> str:
    unplaced = planned.plan.get("unplaced") or []
    if not unplaced or desired.partial:
        return ""
    head = (
        f"{_instances(len(unplaced))} can't be placed, and nothing was touched. Make room, relax a rule, or set "
        "stowage_placement.partial to true to apply what fits."
    )
    texts = ["- " + "\n  ".join(describe_unplaced(item)) for item in fold_unplaced(unplaced)]
    return "\n".join(filter(None, [head, *texts, room_in_released(planned.plan, observations)]))


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


def _stranded(desired: Desired, planned: Planned) -> str:
    stranded = [] if desired.leave_data else left_behind(planned.plan["instances"], planned.options)
    if not stranded:
        return ""
    head = (
        f"{_instances(len(stranded))} would lose sight of data, and nothing was touched. Let them stay, or set "
        "stowage_placement.leave_data to true to start them on empty disks."
    )
    return "\n".join([head, *(f"- {sentence}" for sentence in stranded)])
