# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observes hosts that the running play does not hold, by Ansible itself in a process of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def observe(hosts: Collection[str], **_how: Any) -> Mapping[str, Mapping[str, Any]]:
    return {}
