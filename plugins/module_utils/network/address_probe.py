# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the LAN whether anybody has an address, before a container takes it: for many addresses at once.

IPv4 by ARP probes (RFC 5227: sender address 0.0.0.0, so that nobody's cache changes), IPv6 by neighbour solicitations
from the unspecified address (RFC 4862). Both say three times in a moment what the RFCs say in seconds: a LAN answers
within milliseconds, and an operator waits.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import struct
import time

from ..common.errors import HostError

#: Seconds: between two rounds of questions, and after the last one.
PAUSE = 0.08
LAST_PAUSE = 0.16
ROUNDS = 3
_ETH_ARP, _ETH_IPV6 = 0x0806, 0x86DD
# What to listen to, by the length of the addresses.
_KINDS = {4: _ETH_ARP, 16: _ETH_IPV6}
_BROADCAST = b"\xff" * 6
_ICMPV6, _SOLICITATION, _ADVERTISEMENT = 58, 135, 136
# linux/if_packet.h
_SOL_PACKET, _ADD_MEMBERSHIP, _ALL_MULTICAST = 263, 1, 2


def strangers(interface, addresses):
    """Return {address: MAC} of those addresses that somebody on the interface's network has.

    It takes about a third of a second, however many addresses they are.

    :param addresses: texts, IPv4 and IPv6 mixed.
    :raises HostError: when the interface can't be used.
    """
    wanted = {ipaddress.ip_address(text).packed: text for text in addresses}
    if not wanted:
        return {}
    try:
        with open(f"/sys/class/net/{interface}/address", encoding="ascii") as stream:
            own = bytes.fromhex(stream.read().strip().replace(":", ""))
        with contextlib.ExitStack() as stack:
            wires = {version: stack.enter_context(_listen(interface, kind)) for version, kind in _KINDS.items()
                     if any(len(packed) == version for packed in wanted)}
            return _ask(wires, own, wanted)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise HostError(f"can't ask on {interface} whether addresses are in use: {reason}") from error


def _listen(interface, kind):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(kind))
    wire.bind((interface, kind))
    everything = struct.pack("iHH8s", socket.if_nametoindex(interface), _ALL_MULTICAST, 0, b"")
    wire.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, everything)
    return wire


def _ask(wires, own, wanted):
    found = {}
    questions = [(packed, arp_probe(own, packed) if len(packed) == 4 else solicitation(own, packed))
                 for packed in wanted]
    for turn in range(ROUNDS):
        for packed, frame in questions:
            wires[len(packed)].send(frame)
        deadline = time.monotonic() + (LAST_PAUSE if turn == ROUNDS - 1 else PAUSE)
        while True:
            ready = select.select(list(wires.values()), [], [], max(0, deadline - time.monotonic()))[0]
            for wire in ready:
                packed, mac = claim(wire.recv(2048))
                if packed in wanted and mac != own:
                    found[wanted[packed]] = ":".join(f"{byte:02x}" for byte in mac)
            if time.monotonic() >= deadline:
                break
    return found


def arp_probe(own, address):
    """Return the frame that asks who has an IPv4 address."""
    header = struct.pack("!6s6sH", _BROADCAST, own, _ETH_ARP)
    return header + struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, own, b"\0" * 4, b"\0" * 6, address)


def solicitation(own, address):
    """Return the frame that asks who has an IPv6 address."""
    group = b"\xff\x02" + b"\0" * 9 + b"\x01\xff" + address[-3:]
    message = struct.pack("!BBHI16s", _SOLICITATION, 0, 0, 0, address)
    pseudo = b"\0" * 16 + group + struct.pack("!II", len(message), _ICMPV6)
    message = message[:2] + struct.pack("!H", _checksum(pseudo + message)) + message[4:]
    header = struct.pack("!6s6sH", b"\x33\x33" + group[-4:], own, _ETH_IPV6)
    return header + struct.pack("!IHBB16s16s", 6 << 28, len(message), _ICMPV6, 255, b"\0" * 16, group) + message


def claim(frame):
    """Return (address, MAC) that a frame lays claim to, both packed; (None, b"") when it lays claim to none.

    An answer does, any ARP packet of an owner does, and so does somebody else's own probe for the same address.
    """
    if len(frame) >= 42 and frame[12:14] == struct.pack("!H", _ETH_ARP):
        mac, sender, target = frame[22:28], frame[28:32], frame[38:42]
        return (target if sender == b"\0" * 4 else sender), mac
    if len(frame) < 78 or frame[12:14] != struct.pack("!H", _ETH_IPV6) or frame[20] != _ICMPV6:
        return None, b""
    kind, source, target = frame[54], frame[22:38], frame[62:78]
    if kind == _ADVERTISEMENT or (kind == _SOLICITATION and source == b"\0" * 16):
        return target, frame[6:12]
    return None, b""


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
