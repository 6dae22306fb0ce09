# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends what standard input asks for, all at once, and says what came back. Bounded: each is tried twice at most."""

import concurrent.futures
import json
import socket
import struct
import sys
import time

GROUP, GROUP6, GROUP_PORT = "239.77.7.7", "ff05::7:7", 7009
PATIENCE = 2.5
# Reachable, stale, delayed, probed or permanent: the neighbour has answered.
ANSWERED = 0x02 | 0x04 | 0x08 | 0x10 | 0x80


def family_of(address):
    """The family of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp(to, token, port):
    """Whether a connection answers."""
    with socket.socket(family_of(to), socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        client.connect((to, port))
        client.sendall(token.encode() + b"\n")
        return token.encode() in client.recv(1000)


def udp(to, token, port):
    """Send two datagrams; the receiver knows whether they came."""
    with socket.socket(family_of(to), socket.SOCK_DGRAM) as client:
        for _time in range(2):
            client.sendto(token.encode(), (to, port))
            time.sleep(0.2)


def icmp(to, token, _port):
    """Whether an echo comes back. Needs no raw socket."""
    six = ":" in to
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    with socket.socket(family_of(to), socket.SOCK_DGRAM, protocol) as client:
        client.settimeout(PATIENCE)
        client.sendto(struct.pack("!BBHHH", 128 if six else 8, 0, 0, 1, 1) + token.encode(), (to, 0))
        return token.encode() in client.recv(1000)


def everywhere(client, level, option, form, to, token):
    """Tell a group by each interface."""
    for _time in range(2):
        for index, name in socket.if_nameindex():
            if name.startswith("eth") or "wire" in name:
                try:
                    client.setsockopt(level, option, struct.pack(form, index))
                    client.sendto(token.encode(), to)
                except OSError:
                    pass  # a port of a bridge has no address to send from
        time.sleep(0.2)


def multicast(_to, token, _port):
    """Tell the group."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        everywhere(client, socket.IPPROTO_IP, socket.IP_MULTICAST_IF, "8xi", (GROUP, GROUP_PORT), token)


def multicast6(_to, token, _port):
    """Tell the IPv6 group."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        everywhere(client, socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, "i", (GROUP6, GROUP_PORT), token)


KINDS = {"tcp": tcp, "udp": udp, "icmp": icmp, "icmp6": icmp, "tcp6": tcp, "udp6": udp, "multicast": multicast,
         "multicast6": multicast6}


def attempt(item):
    """Send one thing; what goes wrong is an answer too."""
    try:
        return item["token"], KINDS[item["kind"]](item["to"], item["token"], item.get("port", 7007)) or False
    except OSError as error:
        return item["token"], f"{type(error).__name__} {error.errno}"


def neighbours():
    """The MACs of the addresses, of both families, that a neighbour answered for, as the kernel's netlink says."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as client:
        client.bind((0, 0))
        client.send(struct.pack("=IHHII12x", 28, 30, 0x301, 1, 0))  # RTM_GETNEIGH, request and dump
        found = {}
        while True:
            data = client.recv(1 << 16)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind != 28:  # RTM_NEWNEIGH; anything else ends the dump
                    return found
                found.update(entry(data[16:length]))
                data = data[length + 3 & ~3:]


def entry(message):
    """{address: MAC} of one neighbour, or nothing when it has not answered."""
    _family, _interface, state = struct.unpack_from("=BxxxiH", message)
    attributes, rest = {}, message[12:]
    while len(rest) >= 4:
        length, kind = struct.unpack_from("=HH", rest)
        attributes[kind] = rest[4:length]
        rest = rest[length + 3 & ~3:]
    if not state & ANSWERED or 1 not in attributes:
        return {}
    address = attributes[1]
    return {socket.inet_ntop(socket.AF_INET6 if len(address) == 16 else socket.AF_INET, address):
            attributes.get(2, b"").hex(":")}


wanted = json.load(sys.stdin)
with concurrent.futures.ThreadPoolExecutor(max_workers=256) as pool:
    answers = dict(pool.map(attempt, wanted))
sys.stdout.write(json.dumps({"answers": answers, "neighbours": neighbours()}))
