# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends what standard input asks for, all at once, and says what came back. Bounded: each is tried twice at most."""

import concurrent.futures
import json
import os
import socket
import struct
import sys
import time

GROUP, GROUP6, GROUP_PORT = "239.77.7.7", "ff05::7:7", 7009
PATIENCE = 2.5


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


def multicast(_to, token, _port):
    """Tell the group."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _time in range(2):
            client.sendto(token.encode(), (GROUP, GROUP_PORT))
            time.sleep(0.2)


def multicast6(_to, token, _port):
    """Tell the IPv6 group."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        for _time in range(2):
            client.sendto(token.encode(), (GROUP6, GROUP_PORT, 0, int(os.environ.get("SCOPE", "0"))))
            time.sleep(0.2)


KINDS = {"tcp": tcp, "udp": udp, "icmp": icmp, "icmp6": icmp, "tcp6": tcp, "udp6": udp, "multicast": multicast,
         "multicast6": multicast6}


def attempt(item):
    """Send one thing; what goes wrong is an answer too."""
    try:
        return item["token"], KINDS[item["kind"]](item["to"], item["token"], item.get("port", 7007)) or False
    except OSError as error:
        return item["token"], f"{type(error).__name__} {error.errno}"


def neighbours():
    """The IPv4 addresses that a neighbour answered for."""
    with open("/proc/net/arp", encoding="ascii") as stream:
        rows = [line.split() for line in stream][1:]
    return {row[0]: row[3] for row in rows if int(row[2], 16) & 2}


wanted = json.load(sys.stdin)
with concurrent.futures.ThreadPoolExecutor(max_workers=128) as pool:
    answers = dict(pool.map(attempt, wanted))
sys.stdout.write(json.dumps({"answers": answers, "neighbours": neighbours()}))
