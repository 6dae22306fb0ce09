# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: which of them the desired state names, and where a plan needs one that is not there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..read.complaints import Complaints
from ..read.state import Desired
from ..read.values import Render, fill
from .last_known import Observation

# What makes a container, and so needs its image.
_MAKING = ("create", "update", "move")
_MOST_HOSTS = 5


def images_of(desired: Desired, render: Render) -> list[str]:
    """Return the names of the images that the desired state uses, for hosts to look for.

    One whose name depends on the instance is known only once there is a plan, and left out.
    """
    names = set()
    for _cluster, _group, spec in desired.groups():
        image = fill(desired.types[spec["type"]].get("image"), render, "image", Complaints()) if spec["count"] else None
        if image:
            names.add(str(image))
    return sorted(names)


def find_missing(
    instances: Iterable[Mapping[str, Any]],
    options: Mapping[str, Mapping[str, Any]],
    observations: Mapping[str, Observation],
    held: Collection[str],
) -> dict[str, list[str]]:
    """Return the hosts that lack an image which the plan needs there, by its name.

    A host that was not asked for an image says nothing about it.
    """
    missing: dict[str, set[str]] = {}
    for item in instances:
        image = (options.get(item["name"]) or {}).get("image")
        seen = (observations.get(str(item.get("host"))) or {}).get("images") or {}
        if item["action"] in _MAKING and item["name"] not in held and image in seen and seen[image] is None:
            missing.setdefault(str(image), set()).add(item["host"])
    return {image: sorted(missing[image]) for image in sorted(missing)}


def judge(
    missing: Mapping[str, list[str]], pull: str, brought: Collection[str], check: bool
) -> tuple[dict[str, list[str]], list[str]]:
    """Return (what nobody brings and no engine may fetch, notes about the rest) of missing images.

    :param pull: when engines fetch images: ``missing``, ``never`` or ``always``.
    :param brought: images that the role ``images`` brings; in a check it has not brought them yet.
    """
    brought = brought if check else ()
    left = {image: hosts for image, hosts in missing.items() if image not in brought}
    notes = [f"image {image} is not on {_hosts(hosts)} yet; the playbook images, or site, brings it there."
             for image, hosts in missing.items() if image in brought]
    if pull == "never":
        return left, notes
    # When it is not only a check, the engines are about to fetch them and say it themselves where they can't.
    return {}, [*notes, *(_to_be_fetched(image, hosts) for image, hosts in left.items())] if check else []


def _to_be_fetched(image: str, hosts: Collection[str]) -> str:
    who = "its engine has" if len(hosts) == 1 else "their engines have"
    return f"image {image} is not on {_hosts(hosts)}; {who} to fetch it, and where that fails so does what needs it."


def unavailable(missing: Mapping[str, Collection[str]]) -> str:
    """Return the refusal of a plan that needs images which are not there and which engines may not fetch."""
    if not missing:
        return ""
    sentences = [f"image {image} is not on {_hosts(hosts)}, and pull is never" for image, hosts in missing.items()]
    head = "The plan needs images that are not where it needs them" if len(sentences) > 1 else sentences[0]
    listed = [f"- {sentence}" for sentence in sentences] if len(sentences) > 1 else []
    return "\n".join([f"{head}. Nothing was touched. The playbook images brings images to the hosts.", *listed])


def _hosts(names: Collection[str]) -> str:
    shown = sorted(names)[:_MOST_HOSTS]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{'host' if len(names) == 1 else 'hosts'} {', '.join(shown)}{more}"
