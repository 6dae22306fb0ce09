# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says why a step of a plan can't start."""

from __future__ import annotations

from typing import Any


def blockers(step: dict[str, Any], steps: list[dict[str, Any]], hostvars: Any, alive: list[str]) -> list[str]:
    """Return a sentence for each awaited step that is not done, naming the hosts; an empty list lets the step start."""
    sentences = []
    for index in step["waits_for"]:
        failed = [host for host in steps[index]["hosts"] if host not in alive or _failed(hostvars[host], index)]
        if failed:
            sentences.append(f"waits for '{steps[index]['name']}', which is not done on {', '.join(sorted(failed))}")
    return sentences


def _failed(variables: Any, index: int) -> bool:
    return any(failure["step"] == index for failure in variables.get("stowage_failures") or [])


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Return filters by name."""
        return {"blockers": blockers}
