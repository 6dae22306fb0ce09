# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches whom, with real packets between hosts: before, while and after things are restarted."""

from __future__ import annotations

import itertools
import threading

from .conftest import run

FOREIGN_NETWORK = "10.99.0.0/16"
KINDS = ("tcp", "udp", "icmp", "multicast", "arp")
# What arrives, by who talks to whom. A further relation is a further line.
TRUTH = {
    ("container", "same cluster"): KINDS,
    ("container", "other cluster"): (),
    ("container", "host"): (),
    ("container", "outside"): (),
    ("host", "container"): (),
    ("outside", "container"): (),
}
# What arrives beyond that: rules, and places that no one should reach. A further case is a further line.
CASES = {
    ("red_one_0", "metadata", "tcp"): False,
    ("red_one_0", "foreign", "tcp"): False,
    ("red_one_0", "foreign", "icmp"): False,
    ("red_one_0", "gateway", "icmp"): False,
    ("blue_one_0", "red_two_0", "tcp", 7008): False,
}
# Red and blue are on the LAN by macvlan, green and gray on another one by bridges of their hosts.
CLUSTERS = {"red": {"one": 2, "two": 1}, "blue": {"one": 1, "two": 1},
            "green": {"one": 2, "two": 1, "network": "wire"}, "gray": {"one": 1, "two": 1, "network": "wire"}}


def relation(sender, receiver):
    """What one is to the other."""
    if sender.kind == receiver.kind == "container":
        return sender.kind, "same cluster" if sender.cluster == receiver.cluster else "other cluster"
    return sender.kind, receiver.kind


def expected(net):
    """The truth table for all ordered pairs of those who are there."""
    table = {}
    for sender, receiver in itertools.permutations(net.actors.values(), 2):
        arrives = TRUTH.get(relation(sender, receiver))
        if arrives is not None:
            table.update({(sender.name, receiver.name, kind): kind in arrives for kind in KINDS})
    return table


def wrong(net, table):
    """What is not as the table says."""
    happened = net.exchange(table)
    return [f"{' '.join(map(str, case))}: expected {table[case]}" for case in table if happened[case] != table[case]]


def check(net):
    """Compare all there is with the truth."""
    table = {**expected(net), **CASES}
    assert len(table) > 150
    found = wrong(net, table)
    assert not found, found


def test_members_of_a_cluster_reach_each_other_and_nobody_else(net):
    net.converge(CLUSTERS)
    check(net)


def test_a_second_run_changes_nothing_and_repairs_what_somebody_changed(net):
    again = net.converge(CLUSTERS)
    assert again.stdout.count("changed=0") == 2, again.stdout
    host = net.hosts[0]
    pid = net.sh(host, "docker inspect -f '{{.State.Pid}}' red_one_0")
    net.sh(host, f"nsenter --net=/proc/{pid}/ns/net nft insert rule inet stowage input accept")
    repaired = net.converge(CLUSTERS)
    assert "changed=0" in repaired.stdout
    assert "changed=1" in repaired.stdout
    assert "input accept" not in net.sh(host, f"nsenter --net=/proc/{pid}/ns/net nft list table inet stowage")
    check(net)


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
    run("docker", "restart", "-t", "5", host)
    net.start_listening(host)
    net.plug(host)
    for actor in net.actors.values():
        if actor.kind == "container" and actor.host == host:
            net.wait_listening(actor)
    check(net)


def test_a_rule_opens_exactly_what_it_says(net):
    rules = [{"from": "blue", "from_group": "one", "to_group": "two", "ports": ["7008/tcp"]},
             {"to": FOREIGN_NETWORK, "from_group": "one", "ports": ["icmp"]},
             {"to": "0.0.0.0/0", "from_group": "one", "ports": ["7008/tcp"]},
             {"from": net.outside_address, "to_group": "one", "ports": ["7007/udp"]}]
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
        # Hosts and metadata lie in the rule's network, but it does not name them; and blue lets nobody in.
        ("red_one_0", "host1", "tcp", 7008): False,
        ("red_one_0", "host2", "tcp", 7008): False,
        ("red_one_0", "metadata", "tcp", 7008): False,
        ("red_one_0", "blue_two_0", "tcp", 7008): False,
        ("outside", "red_one_0", "udp", 7007): True,
        ("outside", "red_one_0", "udp", 7008): False,
        ("outside", "red_two_0", "udp", 7007): False,
        ("red_one_0", "red_two_0", "tcp", 7007): True,
    }
    found = wrong(net, table)
    assert not found, found


def test_clusters_come_and_go_while_connections_go_on_and_doors_stay_shut(net):
    # What the test before opened is shut again on the way.
    net.converge({**CLUSTERS, "extra": {"one": 1, "two": 1}})
    check(net)
    talk = net.actors["red_one_0"].start_talk(net.actors["red_two_0"].address)
    opened, done = [], threading.Event()

    def knock():
        kinds = ("tcp", "udp", "multicast")
        shut = {("blue_one_0", "red_two_0", kind): False for kind in kinds}
        passes = {("red_one_0", "red_two_0", kind): True for kind in kinds}
        while not done.is_set():
            opened.extend(wrong(net, {**shut, **passes}))

    knocker = threading.Thread(target=knock)
    knocker.start()
    try:
        net.converge({**CLUSTERS, "red": {"one": 2, "two": 2}, "extra": {"state": "absent"}})
    finally:
        done.set()
        knocker.join()
    assert not opened, opened
    assert talk.ends_well(), "an established connection was cut"
    left = net.sh(net.hosts[0], "cat /var/lib/stowage/network/*.json")
    assert "extra_" not in left
    check(net)


ATTACKS = """
import socket, struct, fcntl
def attempt(name, action):
    try:
        action()
        print(name, "worked")
    except OSError as error:
        print(name, "refused")
def forged():
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND: bind to what is not ours
    client.bind(("{peer}", 7007))
    client.sendto(b"forged", ("{target}", 7007))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP))
attempt("raw6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3))
attempt("netfilter", lambda: open("/proc/sys/net/ipv4/ip_forward", "w").write("1"))
attempt("transparent", lambda: socket.socket().setsockopt(socket.IPPROTO_IP, 19, 1))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def request(address, flags=0):
    return struct.pack("16sH2s4s8s", b"eth0", socket.AF_INET, bytes(2), socket.inet_aton(address), bytes(8))
attempt("address", lambda: fcntl.ioctl(sock, 0x8916, request("{peer}")))
other = bytes.fromhex("0242aabbccdd") + bytes(8)
attempt("mac", lambda: fcntl.ioctl(sock, 0x8924, struct.pack("16sH14s", b"eth0", 1, other)))
entry = struct.pack("H14sH14sI16s16s", 2, bytes(2) + socket.inet_aton("{target}") + bytes(8), 1, other, 4, bytes(16),
                    b"eth0")
attempt("neighbour", lambda: fcntl.ioctl(sock, 0x8955, entry))
attempt("forged", forged)
"""


def test_a_hostile_container_can_not_pretend_to_be_another(net):
    red, target = net.actors["red_one_0"], net.actors["red_two_0"]
    said = net.actors["blue_one_0"].python(ATTACKS.replace("{peer}", red.address).replace("{target}", target.address))
    assert "worked" not in said, said
    assert said.count("refused") == 9, said
    assert ("udp", "forged") not in target.heard()
    check(net)


OUTSIDER = r"""
import socket, struct, time
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
own = wire.getsockname()[4]
mac = bytes.fromhex("{mac}".replace(":", ""))
peer, target = socket.inet_aton("{peer}"), socket.inet_aton("{target}")
for operation in (1, 2):
    for to in (mac, bytes([255] * 6)):
        wire.send(to + own + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, operation) + own + peer + mac + target)
        wire.send(to + own + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, operation) + own + peer + mac + peer)
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff
body = struct.pack("!HHHH", 7007, 7007, 8 + 8, 0) + b"spoofed\n"
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0, peer, target)
head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
wire.send(mac + own + b"\x08\x00" + head + body)
print("sent")
"""


def test_a_machine_outside_can_not_pretend_to_be_a_member(net):
    red, target = net.actors["red_one_0"], net.actors["red_two_0"]
    known = target.python("print(open('/proc/net/arp').read())")
    mac = "02:42:" + ":".join(f"{int(part):02x}" for part in target.address.split("."))
    program = OUTSIDER.replace("{mac}", mac).replace("{peer}", red.address).replace("{target}", target.address)
    assert net.actors["outside"].python(program) == "sent"
    check(net)
    assert ("udp", "spoofed") not in target.heard()
    entry = [line for line in target.python("print(open('/proc/net/arp').read())").splitlines() if red.address in line]
    assert [line.split()[3] for line in entry] == [
        line.split()[3] for line in known.splitlines() if red.address in line]


def test_a_container_without_its_filter_does_not_start(net):
    host = net.hosts[1]
    ident = net.sh(host, "docker inspect -f '{{.Id}}' blue_two_0")
    path = f"/var/lib/stowage/network/{ident}.json"
    net.sh(host, f"mv {path} {path}.away && docker restart -t 0 blue_two_0", check=False)
    assert "must not start without its packet filter" in net.sh(host, "docker inspect -f '{{.State.Error}}' blue_two_0")
    net.sh(host, f"mv {path}.away {path}; docker start blue_two_0")
    net.wait_listening(net.actors["blue_two_0"])
    check(net)


def test_what_the_host_had_of_its_own_stays_and_what_was_removed_leaves_nothing(net):
    host = net.hosts[0]
    net.sh(host, "nft add table inet admin && nft add chain inet admin keep")
    before = net.sh(host, "nft -s list ruleset")
    net.converge({name: {"state": "absent"} for name in CLUSTERS})
    assert net.sh(host, "nft -s list ruleset") == before
    assert net.sh(host, "ls /var/lib/stowage/network /run/stowage/network | grep -v : || true") == ""
    net.sh(host, "nft delete table inet admin")
