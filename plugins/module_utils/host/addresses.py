# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a host itself, for rules that keep containers away from them."""

from __future__ import annotations

import ipaddress
import json
import subprocess


def own_addresses():
    """Return all addresses of this host but those of its loopback and of its links alone; none where there is no ip."""
    return sorted({address["local"] for link in _ask("address") for address in link.get("addr_info") or []
                   if address.get("scope") == "global" and address.get("local")})


def own_networks():
    """Return (network, interface) of all that this host has a route to, without default routes and single addresses."""
    found = []
    for version in ("-4", "-6"):
        for route in _ask(version, "route"):
            try:
                network = ipaddress.ip_network(route.get("dst") or "")
            except ValueError:
                continue
            if 0 < network.prefixlen < network.max_prefixlen and not network.is_link_local and route.get("dev"):
                found.append((network, route["dev"]))
    return found


def _ask(*words):
    try:
        # An observation is made without a module at hand.
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(["ip", "-json", *words], capture_output=True, text=True, timeout=10, check=False)
        return json.loads(done.stdout or "[]")
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return []
