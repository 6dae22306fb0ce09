# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that modules of the collection declare, so that their gaps are admitted in their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes of a module that changes things, all supported; a module says what differs."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in check mode, touches nothing then, and returns what would change.
  diff_mode:
    support: full
    description: Returns details on what has changed, or would change in check mode, when run in diff mode.
  idempotent:
    support: full
    description: A second run with the same options changes nothing and says so.
"""

    # A module that only looks: nothing changes, so all three hold.
    READ_ONLY = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Only looks, in check mode and out of it.
  diff_mode:
    support: N/A
    description: Never changes anything.
  idempotent:
    support: full
    description: Never changes anything.
"""
