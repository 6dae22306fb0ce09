# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listens for all that the tests send, and writes down what arrives. Runs in containers, on hosts and outside."""

import os
import socket
import struct
import threading

PORTS = (7007, 7008, 2375)  # the last as if it were an engine's API
GROUP, GROUP6, GROUP_PORT = "239.77.7.7", "ff05::7:7", 7009
HEARD = "/tmp/heard"


def note(kind, token):
    """Write down one arrival in one step."""
    handle = os.open(HEARD, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(handle, b"%s %s\n" % (kind.encode(), token.strip()))
    os.close(handle)


def serve_tcp(port):
    """Answer each connection with what it said."""
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    while True:
        connection, _peer = server.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection):
    """Send back every line of one connection."""
    with connection:
        while True:
            data = connection.recv(1000)
            if not data:
                return
            note("tcp", data)
            connection.sendall(data)


def serve_udp(port):
    """Write down datagrams."""
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("::", port))
    while True:
        note("udp", server.recv(1000))


def serve_group():
    """Write down what a multicast group is told, on every interface."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((GROUP, GROUP_PORT))
    for index, name in socket.if_nameindex():
        if name != "lo":
            wanted = struct.pack("4s4si", socket.inet_aton(GROUP), bytes(4), index)
            server.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, wanted)
    while True:
        note("multicast", server.recv(1000))


def serve_group6():
    """Write down what an IPv6 group is told."""
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind(("::", GROUP_PORT))
    for index, name in socket.if_nameindex():
        if name != "lo":
            wanted = socket.inet_pton(socket.AF_INET6, GROUP6) + struct.pack("i", index)
            try:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, wanted)
            except OSError:
                pass  # an interface without IPv6
    while True:
        note("multicast6", server.recv(1000))


for each in PORTS:
    threading.Thread(target=serve_tcp, args=(each,), daemon=True).start()
    threading.Thread(target=serve_udp, args=(each,), daemon=True).start()
threading.Thread(target=serve_group6, daemon=True).start()
serve_group()
