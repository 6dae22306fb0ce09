# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom, with real packets between hosts: before, while and after things are restarted."""

from __future__ import annotations

import itertools
import threading

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.network.filter import rules

from .conftest import METADATA, WIRE_BRIDGE
from .test_links import lasting

FOREIGN_NETWORK = "10.99.0.0/16"
KINDS = ("tcp", "udp", "icmp", "multicast", "arp", "tcp6", "udp6", "icmp6", "multicast6", "nd")
# Between networks there are no neighbours, and no groups.
ROUTED = ("tcp", "udp", "icmp", "tcp6", "udp6", "icmp6")
# What arrives, by who talks to whom. A further relation is a further line.
TRUTH = {
    ("member", "same cluster"): KINDS,
    ("member", "other cluster"): (),
    ("member", "host"): (),
    ("member", "outside"): (),
    ("member", "open"): (),
    ("host", "member"): (),
    ("outside", "member"): (),
    ("open", "member"): (),
    # Containers without isolation, by the same ways: what is missing above is missing because of the filter.
    ("open", "outside"): KINDS,
    ("outside", "open"): KINDS,
}
# What arrives beyond that: places that no one should reach. A further case is a further line.
CASES = {
    ("red_one_0", "metadata", "tcp"): False,
    ("red_one_0", "metadata", "tcp6"): False,
    ("red_one_0", "foreign", "tcp"): False,
    ("red_one_0", "foreign", "tcp6"): False,
    ("red_one_0", "foreign", "icmp"): False,
    ("red_one_0", "foreign", "icmp6"): False,
    ("red_one_0", "gateway", "icmp"): False,
    ("red_one_0", "gateway", "icmp6"): False,
    # Engines' APIs: by the host's NIC from another host, by its own bridge.
    ("red_one_0", "host2", "tcp", 2375): False,
    ("red_one_0", "host2", "tcp6", 2375): False,
    ("green_one_0", "host1", "tcp", 2375): False,
    ("green_one_0", "host1", "tcp6", 2375): False,
    ("blue_one_0", "red_two_0", "tcp", 7008): False,
    ("blue_one_0", "red_two_0", "tcp6", 7008): False,
    ("open_one_0", "metadata", "tcp"): True,
    ("open_one_0", "metadata", "tcp6"): True,
    ("open_one_0", "foreign", "icmp"): True,
    ("open_one_0", "foreign", "icmp6"): True,
    ("open_one_0", "host2", "tcp", 2375): True,
    ("open_one_0", "host2", "tcp6", 2375): True,
    ("bare_one_0", "host1", "tcp", 2375): True,
    ("bare_one_0", "host1", "tcp6", 2375): True,
}
# Red and blue are on the LAN by macvlan, green and gray on another one by bridges of their hosts. One more on each is
# not isolated.
CLUSTERS = {"red": {"one": 2, "two": 1}, "blue": {"one": 1, "two": 1}, "open": {"one": 1, "isolation": False},
            "green": {"one": 2, "two": 1, "network": "wire"}, "gray": {"one": 1, "two": 1, "network": "wire"},
            "bare": {"one": 1, "network": "wire", "isolation": False}}

# A few of all these, where one container was touched.
AT_A_GLANCE = {(sender, "red_one_0", kind): sender == "red_two_0" for kind in KINDS
               for sender in ("red_two_0", "blue_two_0", "outside", "open_one_0")}
AT_A_GLANCE.update({("blue_one_0", "blue_two_0", kind): True for kind in KINDS})


# What a rule opens from the test on in which clusters come and go. Who may come says who it is by that, or is asked:
# whether before or after the member looks is left open.
OPENED = {case: arrives for one in ("red_one_0", "red_one_1")
          for case, arrives in ((("outside", one, "tcp"), True), (("outside", one, "arp"), True),
                                ((one, "outside", "arp"), None))}


def place(actor):
    """What an actor is: a host, a machine outside, a member of a cluster, or a container without isolation."""
    if actor.kind != "container":
        return actor.kind
    return "open" if CLUSTERS.get(actor.cluster, {}).get("isolation") is False else "member"


def relation(sender, receiver):
    """What one is to the other."""
    if place(sender) == place(receiver) == "member":
        return "member", "same cluster" if sender.cluster == receiver.cluster else "other cluster"
    return place(sender), place(receiver)


def expected(net):
    """The truth table for all ordered pairs of those who are there."""
    table = {}
    for sender, receiver in itertools.permutations(net.actors.values(), 2):
        arrives = TRUTH.get(relation(sender, receiver))
        if arrives is not None:
            kinds = KINDS if sender.networks & receiver.networks else ROUTED
            table.update({(sender.name, receiver.name, kind): kind in arrives for kind in kinds})
    return table


def wrong(net, table):
    """What is not as the table says; where it says None, either is right."""
    happened = net.exchange(table)
    return [f"{' '.join(map(str, case))}: expected {table[case]}" for case in table
            if table[case] not in (None, happened[case])]


def check(net, opened=None):
    """Compare all there is with the truth, and with what a rule opens beyond it."""
    table = {**expected(net), **CASES, **(opened or {})}
    assert len(table) > 1200
    found = wrong(net, table)
    assert not found, found


def test_members_of_a_cluster_reach_each_other_and_nobody_else(net):
    net.converge(CLUSTERS)
    for actor in (net.actors["red_one_0"], net.actors["green_two_0"]):
        # Beside its IPv4 address it has the IPv6 one with the same host part.
        assert actor.address6.rpartition("::")[2] == f"{int(actor.address.rpartition('.')[2]):x}"
    check(net)


def test_a_second_run_changes_nothing_and_repairs_what_somebody_changed(net):
    again = net.converge(CLUSTERS)
    assert again.stdout.count("changed=0") == 2, again.stdout
    host = net.hosts[0]
    pid = net.sh(host, "docker inspect -f '{{.State.Pid}}' red_one_0")
    net.sh(host, f"nsenter --net=/proc/{pid}/ns/net nft insert rule ip6 stowage input accept")
    repaired = net.converge(CLUSTERS)
    assert "changed=0" in repaired.stdout
    assert "changed=1" in repaired.stdout
    assert "input accept" not in net.sh(host, f"nsenter --net=/proc/{pid}/ns/net nft list table ip6 stowage")
    assert not wrong(net, AT_A_GLANCE)


def test_it_holds_after_a_container_restart(net):
    for name in ("red_one_0", "blue_one_0"):
        net.sh(net.hosts[0], f"docker restart -t 0 {name}")
        net.wait_listening(net.actors[name])
    check(net)


def test_it_holds_after_an_engine_restart(net):
    net.sh(net.hosts[1], "systemctl restart docker")
    check(net)


def test_it_holds_after_a_reboot(net):
    host = net.hosts[0]
    # Links of another container outlast it too, which is told where they are tested.
    with lasting(net, host, net.hosts[1]):
        net.reboot(host)
        for actor in net.actors.values():
            if actor.kind == "container" and actor.host == host:
                net.wait_listening(actor)
        check(net)
        # One attacker on the host that was away, by its bridge, and one that takes the name of somebody there.
        attack_by_container(net, *HOSTILE[1])
        attack_from_outside(net, *OUTSIDE_ATTACKS[0])


def test_a_rule_opens_exactly_what_it_says(net):
    rules = [{"from": "blue", "from_group": "one", "to_group": "two", "ports": ["7008/tcp"]},
             {"to": FOREIGN_NETWORK, "from_group": "one", "ports": ["icmp"]},
             {"to": "0.0.0.0/0", "from_group": "one", "ports": ["7008/tcp"]},
             {"to": "::/0", "from_group": "one", "ports": ["7008/tcp"]},
             {"to": net.host_addresses[net.hosts[1]], "from_group": "one", "ports": ["7007/tcp"]},
             {"to": METADATA[0], "from_group": "one", "ports": ["7007/tcp"]},
             {"from": net.outside_address, "to_group": "one", "ports": ["7007/udp"]},
             {"from": net.actors["outside"].address6, "to_group": "one", "ports": ["7007/udp"]}]
    net.converge({**CLUSTERS, "red": {**CLUSTERS["red"], "allow": rules}})
    table = {
        ("blue_one_0", "red_two_0", "tcp", 7008): True,
        ("blue_one_0", "red_two_0", "tcp", 7007): False,
        ("blue_one_0", "red_two_0", "udp", 7008): False,
        ("blue_one_0", "red_one_0", "tcp", 7008): False,
        ("blue_two_0", "red_two_0", "tcp", 7008): False,
        ("red_two_0", "blue_one_0", "tcp", 7008): False,
        ("red_one_0", "foreign", "icmp"): True,
        ("red_one_0", "foreign", "tcp", 7008): True,
        ("red_one_0", "foreign", "tcp", 7007): False,
        ("red_two_0", "foreign", "icmp"): False,
        ("blue_one_0", "red_two_0", "tcp6", 7008): True,
        ("blue_one_0", "red_two_0", "tcp6", 7007): False,
        ("blue_two_0", "red_two_0", "tcp6", 7008): False,
        ("red_one_0", "foreign", "tcp6", 7008): True,
        ("red_one_0", "foreign", "tcp6", 7007): False,
        ("red_one_0", "host2", "tcp6", 7008): False,
        ("red_one_0", "metadata", "tcp6", 7008): False,
        ("outside", "red_one_0", "udp6", 7007): True,
        ("outside", "red_one_0", "udp6", 7008): False,
        ("outside", "red_two_0", "udp6", 7007): False,
        # Hosts and metadata lie in the rule's network, but it does not name them; and blue lets nobody in.
        ("red_one_0", "host1", "tcp", 7008): False,
        ("red_one_0", "host2", "tcp", 7008): False,
        ("red_one_0", "metadata", "tcp", 7008): False,
        ("red_one_0", "blue_two_0", "tcp", 7008): False,
        # Two further rules name one of each.
        ("red_one_0", "host2", "tcp", 7007): True,
        ("red_one_0", "metadata", "tcp", 7007): True,
        ("red_one_0", "host2", "udp", 7007): False,
        ("red_one_0", "metadata", "tcp6", 7007): False,
        ("red_two_0", "host1", "tcp", 7007): False,
        ("red_two_0", "metadata", "tcp", 7007): False,
        ("outside", "red_one_0", "udp", 7007): True,
        ("outside", "red_one_0", "udp", 7008): False,
        ("outside", "red_two_0", "udp", 7007): False,
        ("red_one_0", "red_two_0", "tcp", 7007): True,
    }
    found = wrong(net, table)
    assert not found, found


def test_clusters_come_and_go_while_connections_go_on_and_doors_stay_shut(net):
    # What the test before opened is shut again on the way, but for one rule.
    allow = [{"from": net.outside_address, "to_group": "one", "ports": ["7007/tcp"]}]
    net.converge({**CLUSTERS, "red": {**CLUSTERS["red"], "allow": allow}, "extra": {"one": 1, "two": 1}})
    assert not wrong(net, {**AT_A_GLANCE, **CASES, **OPENED, ("extra_one_0", "extra_two_0", "tcp6"): True})
    # What members say to each other is not tracked, what a rule opens is: its state meets the new tables.
    talks = [net.actors["red_one_0"].start_talk(net.actors["red_two_0"].address),
             net.actors["outside"].start_talk(net.actors["red_one_0"].address)]
    opened, done = [], threading.Event()

    def knock():
        kinds = ("tcp", "udp", "multicast", "tcp6", "udp6", "icmp6", "multicast6")
        shut = {("blue_one_0", "red_two_0", kind): False for kind in kinds}
        passes = {("red_one_0", "red_two_0", kind): True for kind in kinds}
        while not done.is_set():
            opened.extend(wrong(net, {**shut, **passes}))

    knocker = threading.Thread(target=knock)
    knocker.start()
    try:
        net.converge({**CLUSTERS, "red": {"one": 2, "two": 2, "allow": allow}, "extra": {"state": "absent"}})
    finally:
        done.set()
        knocker.join()
    assert not opened, opened
    assert [talk.ends_well() for talk in talks] == [True, True], "an established connection was cut"
    left = net.sh(net.hosts[0], "cat /var/lib/stowage/network/*.json")
    assert "extra_" not in left
    check(net, OPENED)


ATTACKS = """
import socket, struct, fcntl
def attempt(name, action):
    try:
        action()
        print(name, "worked")
    except OSError as error:
        print(name, "refused")
def forged(family, level, option, source, target):
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.setsockopt(level, option, 1)  # FREEBIND: bind to what is not ours
    client.bind((source, 7007))
    client.sendto(b"forged", (target, 7007))
def sent(family, to, token, route=None):
    client = socket.socket(family, socket.SOCK_DGRAM)
    if route:  # LSRR: by way of somebody else
        client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([131, 7, 4]) + socket.inet_aton(route) + bytes(1))
    client.sendto(token, to)
four, six, index = socket.AF_INET, socket.AF_INET6, socket.if_nametoindex("eth0")
attempt("raw", lambda: socket.socket(four, socket.SOCK_RAW, socket.IPPROTO_UDP))
attempt("raw6", lambda: socket.socket(six, socket.SOCK_RAW, 58))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3))
attempt("netfilter", lambda: open("/proc/sys/net/ipv4/ip_forward", "w").write("1"))
attempt("transparent", lambda: socket.socket().setsockopt(socket.IPPROTO_IP, 19, 1))
attempt("mark", lambda: socket.socket().setsockopt(socket.SOL_SOCKET, 36, 1))
sock, sock6 = socket.socket(four, socket.SOCK_DGRAM), socket.socket(six, socket.SOCK_DGRAM)
def request(address, flags=0):
    return struct.pack("16sH2s4s8s", b"eth0", four, bytes(2), socket.inet_aton(address), bytes(8))
attempt("address", lambda: fcntl.ioctl(sock, 0x8916, request("{peer}")))
attempt("address6", lambda: fcntl.ioctl(sock6, 0x8916, socket.inet_pton(six, "{peer6}") + struct.pack("Ii", 64, index)))
attempt("route", lambda: fcntl.ioctl(sock, 0x890B, bytes(120)))
attempt("route6", lambda: fcntl.ioctl(sock6, 0x890B, bytes(80)))
other = bytes.fromhex("0242aabbccdd") + bytes(8)
attempt("mac", lambda: fcntl.ioctl(sock, 0x8924, struct.pack("16sH14s", b"eth0", 1, other)))
entry = struct.pack("H14sH14sI16s16s", 2, bytes(2) + socket.inet_aton("{target}") + bytes(8), 1, other, 4, bytes(16),
                    b"eth0")
attempt("neighbour", lambda: fcntl.ioctl(sock, 0x8955, entry))
attempt("forged", lambda: forged(four, socket.IPPROTO_IP, 15, "{peer}", "{target}"))
attempt("forged6", lambda: forged(six, socket.IPPROTO_IPV6, 78, "{peer6}", "{target6}"))
attempt("group", lambda: forged(four, socket.IPPROTO_IP, 15, "{peer}", "239.77.7.7"))
attempt("by its own", lambda: sent(four, ("{target}", 7007), b"routed", "{own}"))
attempt("by a host", lambda: sent(four, ("{target}", 7007), b"routed", "{host}"))
for address in {links}:
    attempt(address, lambda: sent(six, (address, 7007, 0, index), b"linked"))
for address in ("ff02::1", "ff02::2"):  # those of its own cluster get copies
    try:
        sent(six, (address, 7007, 0, index), b"linked")
    except OSError:
        pass
"""


def heard_by(net, names, *tokens):
    """Which of these tokens arrived anywhere among those of these names."""
    return {(name, token) for name in names for _kind, token in net.actors[name].heard() if token in tokens}


def link_local(net, host, nic):
    """The link-local address of a host's interface."""
    return net.sh(host, f"ip -6 -o address show dev {nic} scope link | awk '{{print $4}}' | cut -d/ -f1").split()[-1]


# Who attacks, whom, in whose name; a member of the attacker's own; and the interface of hosts on that network.
HOSTILE = [
    ("blue_one_0", "red_two_0", "red_one_0", "blue_two_0", "eth0"),
    ("gray_one_0", "green_two_0", "green_one_0", "gray_two_0", WIRE_BRIDGE),
]


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_container_can_not_pretend_to_be_another(net, attack):
    attack_by_container(net, *attack)


def attack_by_container(net, attacker, target, peer, own, nic):
    """Try all that a container may try, and see that nothing came of it."""
    attacker, target, peer, own = (net.actors[name] for name in (attacker, target, peer, own))
    links = [rules.link_local_of(target.address), *(link_local(net, host, nic) for host in net.hosts)]
    program = ATTACKS
    for word, value in {"peer": peer.address, "peer6": peer.address6, "target": target.address, "links": repr(links),
                        "target6": target.address6, "own": own.address,
                        "host": net.address("host1", "tcp", attacker.name)}.items():
        program = program.replace(f"{{{word}}}", value)
    said = attacker.python(program)
    assert "worked" not in said, said
    assert said.count("refused") == 20, said
    others = [name for name, actor in net.actors.items() if actor.cluster != attacker.cluster]
    assert not heard_by(net, others, "forged", "routed", "linked")


OUTSIDER = r"""
import fcntl, socket, struct, time
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("{nic}", 0))
own = wire.getsockname()[4]
def raw(mac):
    return bytes.fromhex(mac.replace(":", ""))
def six(address):
    return socket.inet_pton(socket.AF_INET6, address)
mac, member, host = raw("{mac}"), raw("{member}"), raw("{host}")
peer, target, stranger = (socket.inet_aton(one) for one in ("{peer}", "{target}", "{stranger}"))
peer6, target6, stranger6, router6 = (six(one) for one in ("{peer6}", "{target6}", "{stranger6}", "{router6}"))
for operation in (1, 2):
    for to in (mac, bytes([255] * 6)):
        wire.send(to + own + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, operation) + own + peer + mac + target)
        wire.send(to + own + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, operation) + own + peer + mac + peer)
def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff
def udp(to, source, goal, said):
    body = struct.pack("!HHHH", 7007, 7007, 8 + len(said), 0) + said
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0, source, goal)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    wire.send(to + own + b"\x08\x00" + head + body)
def packet6(to, source, goal, kind, body, at, hops=255):
    pseudo = source + goal + struct.pack("!II", len(body), kind)
    body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2:]
    wire.send(to + own + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(body), kind, hops) + source + goal + body)
def udp6(to, source, goal, said):
    packet6(to, source, goal, 17, struct.pack("!HHHH", 7007, 7007, 8 + len(said), 0) + said, 6)
def about(source, goal, kind, flags, subject, option):
    packet6(mac, source, goal, 58, struct.pack("!BBHI", kind, 0, 0, flags) + subject + bytes([option, 1]) + own, 2)
# A member's address from a MAC that is not its own; what its neighbours, a router and strangers say of it.
udp(mac, peer, target, b"spoofed\n")
udp6(mac, peer6, target6, b"spoofed\n")
local = six("fe80::bad")
for source in (peer6, stranger6, router6, local):
    about(source, target6, 136, 0x20000000, peer6, 2)  # an answer that overrides
    about(source, six("ff02::1"), 136, 0x20000000, peer6, 2)
about(peer6, target6, 135, 0, target6, 1)  # a question, with the MAC of who asks
# A router that nobody asked for, with a network, and one that sends traffic elsewhere.
prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xc0, 1000, 1000, 0) + six("fd00:bad::")
for source in (local, router6):
    packet6(mac, source, six("ff02::1"), 58, struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1000, 0, 0) + prefix, 2)
    packet6(mac, source, target6, 58, struct.pack("!BBHI", 137, 0, 0, 0) + local + peer6, 2)
# By way of a host, and of a member: frames to their MACs, packets to somebody else.
for hop in (member, host):
    udp(hop, peer, target, b"hopped\n")
    udp(hop, stranger, target, b"hopped\n")
    udp6(hop, peer6, target6, b"hopped\n")
    udp6(hop, stranger6, target6, b"hopped\n")
    udp(hop, socket.inet_aton("{third}"), target, b"hopped\n")
print("sent")
"""


# Whom, in whose name, by way of whom; and the interfaces of that network outside and on hosts.
OUTSIDE_ATTACKS = [
    ("red_two_0", "red_one_0", "red_one_1", "eth0", "eth0"),
    ("green_two_0", "green_one_0", "green_one_1", "eth1", WIRE_BRIDGE),
]


@pytest.mark.parametrize("attack", OUTSIDE_ATTACKS)
def test_a_machine_outside_can_not_pretend_to_be_a_member(net, attack):
    attack_from_outside(net, *attack)


def attack_from_outside(net, target, peer, third, nic, hosts_nic):
    """Send what a machine on the LAN may send, and see that nothing came of it."""
    target, peer, third = (net.actors[name] for name in (target, peer, third))
    outside = net.actors["outside"]
    values = {"nic": nic, "mac": rules.mac_of(target.address), "member": rules.mac_of(peer.address),
              "host": net.sh(net.hosts[0], f"cat /sys/class/net/{hosts_nic}/address"), "third": third.address,
              "peer": peer.address, "peer6": peer.address6, "target": target.address, "target6": target.address6,
              "stranger": net.address("outside", "tcp", target.name), "router6": net.gateway[1],
              "stranger6": net.address("outside", "tcp6", target.name)}
    program = OUTSIDER
    for word, value in values.items():
        program = program.replace(f"{{{word}}}", value)
    routes = target.python("print(open('/proc/net/ipv6_route').read().count('00000bad') or 'none')")
    assert not wrong(net, {(target.name, peer.name, kind): True for kind in ("tcp", "tcp6")})
    assert outside.python(program) == "sent"
    found = target.send([])["neighbours"]
    assert {found[address] for address in (peer.address, peer.address6)} == {rules.mac_of(peer.address)}
    assert "fe80::bad" not in found
    assert target.python("print(open('/proc/net/ipv6_route').read().count('fd000bad') or 'none')") == routes == "none"
    assert not wrong(net, {(a.name, b.name, kind): True for a, b in ((target, peer), (peer, target))
                           for kind in ("tcp", "tcp6", "udp", "udp6")})
    assert not heard_by(net, [target.name, peer.name, third.name], "spoofed", "hopped")


def test_a_container_without_its_filter_does_not_start(net):
    host = net.hosts[1]
    ident = net.sh(host, "docker inspect -f '{{.Id}}' blue_two_0")
    path = f"/var/lib/stowage/network/{ident}.json"
    net.sh(host, f"mv {path} {path}.away && docker restart -t 0 blue_two_0", check=False)
    assert "must not start without its packet filter" in net.sh(host, "docker inspect -f '{{.State.Error}}' blue_two_0")
    net.sh(host, f"mv {path}.away {path}; docker start blue_two_0")
    net.wait_listening(net.actors["blue_two_0"])
    assert not wrong(net, {**AT_A_GLANCE, **OPENED})


def test_what_the_host_had_of_its_own_stays_and_what_was_removed_leaves_nothing(net):
    host = net.hosts[0]
    net.sh(host, "nft add table inet admin && nft add chain inet admin keep")
    before = net.sh(host, "nft -s list ruleset")
    net.converge({name: {"state": "absent"} for name in CLUSTERS})
    assert net.sh(host, "nft -s list ruleset") == before
    assert net.sh(host, "ls /var/lib/stowage/network /run/stowage/network | grep -v -e : -e program || true") == ""
    net.sh(host, "nft delete table inet admin")
