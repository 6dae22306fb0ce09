# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MAC that a container has by its address, and the link-local address that follows from it."""

from __future__ import annotations

import ipaddress


def mac_of(address):
    """Return the MAC that belongs to an IPv4 address, as the engine derives it: 02:42 and the address's four bytes."""
    return "02:42:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(address).packed)


def link_local_of(address):
    """Return the IPv6 link-local address that a kernel gives the MAC of an IPv4 address (RFC 4291, appendix A)."""
    mac = bytes.fromhex(mac_of(address).replace(":", ""))
    identifier = bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + identifier))
