# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a host itself, for rules that keep containers away from them."""

from __future__ import annotations

import json
import subprocess


def own_addresses():
    """Return all addresses of this host but those of its loopback and of its links alone; none where there is no ip."""
    try:
        # An observation is made without a module at hand.
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(["ip", "-json", "address"], capture_output=True, text=True, timeout=10, check=False)
        links = json.loads(done.stdout or "[]")
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return []
    return sorted({address["local"] for link in links for address in link.get("addr_info") or []
                   if address.get("scope") == "global" and address.get("local")})
