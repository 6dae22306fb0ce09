# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of containers on real hosts: made before the process, lasting, changed while it runs, given back."""

from __future__ import annotations

import contextlib
import json
import os
import re

import pytest

from .conftest import BIN, LISTEN, Actor, run

NAME = "nettest-link"
BRIDGE = "ntbr"
# What makes the role network bring a DHCP client to the hosts: a type of the fleet that has such a link.
ASKS_FOR_DHCP = {"stowage_clusters": {}, "stowage_types": {"wired": {
    "image": "nettest", "links": [
        {"name": "eth1", "parent": BRIDGE, "dhcp": True, "host_name": "w{{ instance.index }}"}]}}}
DNSMASQ = ("dnsmasq --user=root --conf-file=/dev/null --port=0 --no-ping --bind-interfaces --log-dhcp "
           "--dhcp-authoritative --pid-file=/tmp/nt.pid --log-facility=/tmp/nt.log --dhcp-leasefile=/tmp/nt.leases")
# It gives leases of 30 s, where dnsmasq knows nothing below two minutes.
UDHCPD = """interface eth0
start {first}
end {last}
max_leases 5
min_lease 10
lease_file /tmp/nt.udhcpd
pidfile /tmp/nt.pid
option subnet 255.255.255.0
option lease 30
"""

# Takes in what comes, and says when it has all.
SINK = """import socket
client = socket.create_server(("10.77.0.1", 7055)).accept()[0]
while client.recv(65536):
    pass
client.sendall(b"all")"""
FILL = """import socket, time
for attempt in range(100):
    try:
        client = socket.create_connection(("10.77.0.1", 7055), timeout=30)
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
begin = time.monotonic()
client.sendall(bytes(5000000))
client.shutdown(socket.SHUT_WR)
client.recv(3)
print(time.monotonic() - begin)"""


class Linked:
    """A container without a network on one host, and the module link for it."""

    def __init__(self, net, host):
        self.net, self.host = net, host
        self.actor = Actor(NAME, "container", host, "")

    def make(self, name=NAME, further=()):
        """Make the container; what interfaces its process finds first is kept."""
        program = ("open('/tmp/first', 'w').write(open('/proc/net/dev').read() + open('/proc/net/fib_trie').read())\n"
                   f"{LISTEN}")
        run("docker", "exec", self.host, "docker", "create", "--runtime", "stowage", "--name", name, "--network",
            "none", "--cap-drop", "NET_RAW", *further, "nettest", "python3", "-c", program)

    def link(self, *links, check=False, container=NAME):
        """Run the module and return its answer."""
        arguments = json.dumps({"container": container, "links": list(links)})
        return self.net.ansible(self.host, "stowage.fleet.link", arguments, *(["--check"] if check else []))

    def sh(self, script, check=True):
        """Run a script on the host."""
        return self.net.sh(self.host, script, check=check)

    def inside(self, script, check=True):
        """Run a command in the container's network namespace, with the host's tools."""
        return inside(self.net, self.host, NAME, script, check)

    def start(self):
        """Start the container and wait until it listens."""
        self.sh(f"docker start {NAME}")
        self.wait()

    def wait(self):
        """Wait until the container runs."""
        self.net.wait(lambda: "eth1" in run(*self.actor.command("cat", "/tmp/first"), check=False).stdout, "it started")

    def restart(self):
        """Restart the container, and wait until its process has looked at its interfaces anew."""
        self.forget()
        self.sh(f"docker restart -t 0 {NAME}")
        self.wait()

    def forget(self):
        """Forget what its process found first."""
        self.sh(f"docker exec {NAME} sh -c ': > /tmp/first'")

    def first(self):
        """What its process found when it started."""
        return run(*self.actor.command("cat", "/tmp/first")).stdout

    def refusals(self, *wishes):
        """Return what the module says to each of several bad wishes, at one go."""
        answers, play = self.net.folder / "answers.json", self.net.folder / "wishes.json"
        play.write_text(json.dumps([{"hosts": self.host, "gather_facts": False, "tasks": [
            {"stowage.fleet.link": {"container": NAME, "links": "{{ [item] }}"}, "loop": wishes, "register": "said",
             "failed_when": False},
            {"ansible.builtin.copy": {"content": "{{ said.results | map(attribute='msg') | to_json }}",
                                      "dest": str(answers), "mode": "0600"}, "delegate_to": "localhost"}]}]))
        run(str(BIN / "ansible-playbook"), "-i", str(self.net.inventory), str(play), timeout=120)
        return json.loads(answers.read_text())

    def clients(self):
        """The units of DHCP clients on the host, as systemd lists them."""
        return self.sh("systemctl list-units --all --plain --no-legend 'stowage-dhcp-*'")

    def leased(self):
        """The container's IPv4 addresses on eth1."""
        return addresses(self.inside("ip -4 -o address show dev eth1", check=False))

    def error(self):
        """Why the engine did not start the container."""
        return self.sh(f"docker inspect -f '{{{{.State.Error}}}}' {NAME}")

    def pings(self, address):
        """Whether an address answers the container."""
        return self.actor.send([{"kind": "icmp", "to": address, "token": "ping"}])["answers"]["ping"] is True


def inside(net, host, name, script, check=True):
    """Run a command in the network namespace of a container, with its host's tools."""
    pid = net.sh(host, f"docker inspect -f '{{{{.State.Pid}}}}' {name}")
    return net.sh(host, f"nsenter --net=/proc/{pid}/ns/net {script}", check=check)


def addresses(said):
    """The IPv4 addresses in what ip says."""
    return re.findall(r"inet ([0-9.]+)/", said)


def serve(net, host, *words):
    """Run dnsmasq on a host as a DHCP server that knows nobody."""
    hush(net, host)
    net.sh(host, f"{DNSMASQ} {' '.join(words)}")


@contextlib.contextmanager
def lasting(net, host, server):
    """A container with links that outlasts what is done to its host meanwhile, which takes more than 15 s.

    One of its links is on the engine's own bridge, the other has an address of a DHCP server on another host.
    """
    give_dhcp(net)
    first, last = net.subnet[245], net.subnet[248]
    run("docker", "exec", "-i", server, "sh", "-c", "cat > /tmp/nt.conf; : > /tmp/nt.udhcpd",
        text=UDHCPD.format(first=first, last=last))
    run("docker", "exec", "-d", server, "sh", "-c", "exec busybox udhcpd -f /tmp/nt.conf > /tmp/nt.log 2>&1")
    made = Linked(net, host)
    made.make(further=["--restart", "always"])
    wanted = [bridged(parent="docker0", addresses=["10.69.0.7/24"]),
              {"name": "lan0", "kind": "macvlan", "parent": "eth0", "dhcp": True}]
    try:
        made.link(*wanted)
        made.start()
        (address,) = addresses(made.inside("ip -o address show dev lan0"))
        macs = re.findall("link/ether ([0-9a-f:]+)", made.inside("ip -o link"))
        asked = len(re.findall("sending OFFER", log(net, server)))
        made.forget()
        yield
        net.wait(lambda: "lan0" in made.sh(f"docker exec {NAME} cat /tmp/first", check=False), "it runs again")
        assert address in made.first()
        assert "10.69.0.7" in made.first()
        assert re.findall("link/ether ([0-9a-f:]+)", made.inside("ip -o link")) == macs
        said = made.link(*wanted)
        assert not said["changed"], said["actions"]
        told = log(net, server)
        assert len(re.findall("sending OFFER", told)) == asked + 1, told
        # One answer for the first start and one for that after the reboot; all others renew the lease.
        net.wait(lambda: len(re.findall("sending ACK", log(net, server))) > 2, "the lease is renewed by itself")
    finally:
        made.sh(f"id=$(docker inspect -f '{{{{.Id}}}}' {NAME}); docker rm -f {NAME}; rm /var/lib/stowage/network/$id.*",
                check=False)
        hush(net, server)


def hush(net, host):
    """End the DHCP server of a host."""
    net.sh(host, "[ ! -e /tmp/nt.pid ] || kill $(cat /tmp/nt.pid); rm -f /tmp/nt.*", check=False)


def log(net, host):
    """What the DHCP server of a host wrote."""
    return net.sh(host, "cat /tmp/nt.log")


# The hosts of CI's lab are alike; those of a lab of these tests' own have two versions of the engine.
@pytest.fixture(params=[0] if "STOWAGE_LAB" in os.environ else [0, 1])
def linked(net, request):
    """A fresh container on one of the hosts, and a bridge there; both gone afterwards."""
    host = net.hosts[request.param]
    made = Linked(net, host)
    made.sh(f"ip link add {BRIDGE} type bridge; ip address add 10.66.0.1/24 dev {BRIDGE}; ip link set {BRIDGE} up; "
            f"echo 0 > /proc/sys/net/ipv6/conf/{BRIDGE}/disable_ipv6; ip address add fd00:66::1/64 dev {BRIDGE} nodad")
    made.make()
    yield made
    hush(net, host)
    made.sh(f"docker rm -f {NAME} {NAME}-2; ip link delete {BRIDGE}; ip link delete ntnic; "
            "rm -f /var/lib/stowage/network/*.links /var/lib/stowage/network/*.lease", check=False)


@pytest.fixture
def dhcp(net):
    """DHCP clients and servers are on the hosts."""
    give_dhcp(net)


def give_dhcp(net):
    """Bring DHCP to the hosts, once: the playbook site gives them a client where a link of the fleet asks for one."""
    if not hasattr(net, "has_dhcp"):
        net.play("site", "--tags", "network", "--limit", ",".join(net.hosts), "-e", json.dumps(ASKS_FOR_DHCP))
        for host in net.hosts:
            net.sh(host, "command -v udhcpc; [ -e /usr/sbin/dnsmasq ] || apt-get -qq install -y "
                   "--no-install-recommends dnsmasq-base >/dev/null")
        net.has_dhcp = True


def bridged(**more):
    return {"name": "eth1", "parent": BRIDGE, "addresses": ["10.66.0.7/24"], **more}


def leased(**more):
    return {"name": "eth1", "parent": BRIDGE, "dhcp": True, **more}


def spare(**more):
    return bridged(**{"addresses": ["10.66.0.20/24"], **more})


def test_links_are_there_before_the_process_and_after_every_restart(linked, dhcp):
    net, host = linked.net, linked.host
    # A server knows a link by its client's identity: the names of container and link.
    serve(net, host, f"--interface={BRIDGE} --dhcp-range=10.66.0.100,10.66.0.150,2m",
          f"--dhcp-host=id:{NAME}/eth1,10.66.0.142 --dhcp-option=121,10.88.0.0/16,10.66.0.2 --dhcp-option=26,1300")
    static = bridged(name="eth2", host_name="ntend", mtu=1400, rate="100mbit", gateway="10.66.0.1",
                     mac="02:00:00:00:00:07", addresses=["10.66.0.7/24", "fd00:66::7/64"],
                     routes=[{"to": "10.77.0.0/16", "via": "10.66.0.1"}, {"to": "fd00:88::/48", "via": "fd00:66::1"}])
    wanted = [leased(dhcp_take=["routes", "mtu"]), static]
    foretold = linked.link(*wanted, check=True)
    assert foretold["changed"], foretold
    assert linked.sh("ls /var/lib/stowage/network/*.links", check=False) == ""
    assert linked.link(*wanted)["changed"]
    linked.start()
    first = linked.first()
    assert all(there in first for there in ("eth1", "eth2", "10.66.0.7", "10.66.0.142", "10.88.0.0")), first
    links = linked.inside("ip -o link")
    assert re.search("eth1.* mtu 1300 ", links)
    assert re.search("eth2.* mtu 1400 ", links)
    routes = linked.inside("ip route")
    assert "10.77.0.0/16 via 10.66.0.1 dev eth2" in routes
    assert "10.88.0.0/16 via 10.66.0.2 dev eth1" in routes
    assert "default via 10.66.0.1 dev eth2" in routes
    assert "100Mbit" in linked.inside("tc qdisc show dev eth2")
    assert "100Mbit" in linked.sh("tc qdisc show dev ntend")
    assert "fd00:88::/48 via fd00:66::1 dev eth2" in linked.inside("ip -6 route")
    assert re.search("eth2.* link/ether 02:00:00:00:00:07 ", links)
    assert linked.pings("10.66.0.1")
    assert linked.pings("fd00:66::1")
    # Five megabytes by its route take 0.4 s at that rate.
    linked.sh(f"ip address add 10.77.0.1/32 dev {BRIDGE}")
    run("docker", "exec", "-d", host, "python3", "-c", SINK)
    assert float(linked.actor.python(FILL)) > 0.35
    again = linked.link(*wanted)
    assert not again["changed"], again["actions"]
    assert again["leases"]["eth1"]["address"] == "10.66.0.142/24"
    macs = re.findall("link/ether ([0-9a-f:]+)", links)
    served = log(net, host).count("DHCPACK")
    # The client asks the server itself, not the LAN, for what it has.
    linked.sh("systemctl kill --signal=USR1 'stowage-dhcp-*'")
    net.wait(lambda: log(net, host).count("DHCPACK") > served, "the lease is renewed")
    linked.restart()
    assert re.findall("link/ether ([0-9a-f:]+)", linked.inside("ip -o link")) == macs
    assert "10.66.0.142" in linked.first()
    linked.sh("systemctl restart docker")
    linked.sh(f"docker start {NAME}")
    assert linked.leased() == ["10.66.0.142"]
    assert linked.pings("10.66.0.1")
    assert linked.pings("fd00:66::1")
    assert not linked.link(*wanted)["changed"]
    # What is taken away for good is given back to the server.
    assert linked.link(static)["actions"] == ["eth1 taken away"]
    net.wait(lambda: "DHCPRELEASE" in log(net, host), "the lease is given back")
    assert linked.clients() == ""


def test_an_address_is_kept_renewed_and_changed_with_its_lease(linked, dhcp):
    net, host = linked.net, linked.host
    wish = leased(dhcp_timeout=2)
    linked.link(wish)
    linked.sh(f"docker start {NAME}", check=False)
    assert (f"must not start without its links: link eth1: no DHCP server gave {NAME} an address over {BRIDGE} within "
            "2 s") in linked.error()
    assert linked.clients() == ""
    serve(net, host, f"--interface={BRIDGE} --dhcp-range=10.66.0.101,10.66.0.109,2m")
    linked.start()
    assert [at[:-1] for at in linked.leased()] == ["10.66.0.10"]
    # Another server does not know it: the address changes under the container, and that is as wanted.
    serve(net, host, f"--interface={BRIDGE} --dhcp-range=10.66.0.201,10.66.0.209,2m")
    linked.sh("systemctl kill --signal=USR1 'stowage-dhcp-*'")
    net.wait(lambda: [at[:-1] for at in linked.leased()] == ["10.66.0.20"], "the address is another")
    (address,) = linked.leased()
    assert not linked.link(wish)["changed"]
    linked.sh("systemctl kill --signal=KILL 'stowage-dhcp-*'")
    net.wait(lambda: log(net, host).count("DHCPACK") > 1, "systemd has started the client again")
    # The server is away, and what is left of the lease is good still.
    hush(net, host)
    linked.restart()
    assert linked.leased() == [address]
    assert not linked.link(wish)["changed"]
    linked.sh(f"docker kill {NAME}")
    linked.sh(f"docker rm {NAME}")
    assert linked.clients() == ""
    assert linked.sh("mount | grep stowage/network; ls /run/stowage/network", check=False) == ""


def test_a_running_container_gets_loses_and_changes_links(linked):
    linked.link(bridged())
    linked.start()
    both = [bridged(), {"name": "lan1", "kind": "macvlan", "parent": "eth0",
                        "addresses": [f"{linked.net.subnet[190]}/24"]}]
    assert linked.link(*both)["actions"] == ["lan1 made"]
    other = next(host for host in linked.net.hosts if host != linked.host)
    assert linked.pings(linked.net.host_addresses[other])
    changed = linked.link(bridged(addresses=["10.66.0.8/24"]), both[1])
    assert changed["actions"] == ["eth1 taken away", "eth1 made"]
    assert "10.66.0.8/24" in linked.inside("ip address show eth1")
    linked.inside("ip link set eth1 mtu 1000")
    assert linked.link(bridged(addresses=["10.66.0.8/24"]), both[1])["actions"] == ["eth1 taken away", "eth1 made"]
    assert linked.link()["changed"]
    assert linked.inside("ls /sys/class/net /proc/net/dev | grep -c lan1 || true") == "0"
    assert "eth1" not in linked.inside("ip -o link")
    assert linked.sh("ip -o link show type veth | grep -c master.ntbr || true") == "0"


def test_a_nic_belongs_to_the_container_until_it_ends(linked):
    linked.sh("ip link add ntnic type veth peer name ntnicp; ip address add 10.67.0.1/24 dev ntnicp; "
              "ip link set ntnicp up")
    nic = {"name": "eth1", "kind": "nic", "parent": "ntnic", "addresses": ["10.67.0.2/24"]}
    linked.link(nic)
    linked.start()
    assert linked.pings("10.67.0.1")
    assert linked.sh("ls /sys/class/net/ntnic", check=False) == ""
    assert not linked.link(nic)["changed"]
    linked.sh(f"docker kill {NAME}")
    assert linked.sh("ls -d /sys/class/net/ntnic") == "/sys/class/net/ntnic"
    linked.start()
    assert linked.pings("10.67.0.1")
    # Somebody kills what keeps the container for the engine.
    linked.sh(f"kill -KILL $(pgrep -f 'containerd-shim.*'$(docker inspect -f '{{{{.Id}}}}' {NAME}))")
    linked.net.wait(lambda: linked.sh("ls -d /sys/class/net/ntnic", check=False), "the NIC is the host's again")
    # The engine may notice later than the NIC is back; it would take the start of what it thinks runs for done.
    linked.net.wait(lambda: linked.sh(f"docker inspect -f '{{{{.State.Running}}}}' {NAME}").strip() == "false",
                    "the engine knows that it ended")
    linked.start()
    assert linked.pings("10.67.0.1")
    linked.sh(f"docker rm -f {NAME}")
    assert linked.sh("ls -d /sys/class/net/ntnic") == "/sys/class/net/ntnic"
    assert linked.sh("mount | grep -c stowage/network || true") == "0"


def test_bad_wishes_are_one_sentence_and_change_nothing(linked):
    linked.make(f"{NAME}-2")
    linked.link(bridged(), container=f"{NAME}-2")
    before = linked.sh("ip -o link | wc -l; ls /var/lib/stowage/network | wc -l")
    cases = [
        (spare(parent="br9"), "this host has no interface br9; it has"),
        (spare(parent="eth0"), "eth0 is no bridge"),
        (spare(mac="01:00:5e:00:00:01"), "01:00:5e:00:00:01 is a multicast address"),
        (bridged(addresses=["10.66.0.7"]), "expected one such as 192.0.2.7/24"),
        (bridged(), f"address 10.66.0.7 is given to link eth1 of {NAME}-2 already"),
        (spare(vlan=7), "does not filter VLANs"),
        ({"name": "eth1", "kind": "nic", "parent": "eth0"}, "carries the host's own default route"),
        (bridged(dhcp=True), "10.66.0.7/24 is given beside dhcp"),
    ]
    for said, (_wish, sentence) in zip(linked.refusals(*(wish for wish, _sentence in cases)), cases):
        assert sentence in said, said
        assert "Traceback" not in said
    assert linked.sh("ip -o link | wc -l; ls /var/lib/stowage/network | wc -l") == before
    # What another had who was removed by hand is free. An interface of the host's own is not taken for a link's end.
    linked.sh(f"docker rm -f {NAME}-2")
    assert linked.link(bridged(host_name="eth0"))["changed"]
    linked.sh(f"docker start {NAME}", check=False)
    assert "this host has an interface eth0 already" in linked.error()
    assert linked.sh("ls -d /sys/class/net/eth0")


def test_a_container_without_its_link_does_not_start(linked):
    linked.link(bridged())
    linked.sh(f"ip link delete {BRIDGE}")
    linked.sh(f"docker start {NAME}", check=False)
    assert f"must not start without its links: link eth1: this host has no interface {BRIDGE}" in linked.error()


def test_an_isolated_instance_gets_the_links_of_its_type(net, dhcp):
    host = net.hosts[0]
    net.sh(host, f"ip link add {BRIDGE} type bridge; ip address add 10.66.0.1/24 dev {BRIDGE}; ip link set {BRIDGE} up")
    serve(net, host, f"--interface={BRIDGE} --dhcp-range=10.66.0.100,10.66.0.150,2m")
    wish = {"name": "eth1", "parent": BRIDGE}
    instance = {"name": "wired_web_0", "cluster": "wired", "group": "web", "index": 0, "image": "nettest",
                "network": "none", "runtime": "stowage", "command": ["python3", "-c", LISTEN], "stop_timeout": 0,
                "claims": {"memory": 1 << 20}, "links": [{**wish, "dhcp": True}]}
    isolation = {"clusters": {"wired": {"members": [{"name": "wired_web_0", "group": "web"}]}}}

    def converge(*instances, **more):
        arguments = json.dumps({"fleet": "nettest-links", "instances": instances, "pull": "never",
                                "isolation": isolation, **more})
        return net.ansible(host, "stowage.fleet.containers", arguments)

    try:
        assert converge(instance)["changed"]
        web = Actor("wired_web_0", "container", host, "")
        assert web.send([{"kind": "icmp", "to": "10.66.0.1", "token": "ping"}])["answers"]["ping"] is True
        # Its own filter lets the client through, which is in its namespace: broadcasts, and what goes to the server.
        assert "table arp stowage" in inside(net, host, "wired_web_0", "nft list ruleset")
        served = log(net, host).count("DHCPACK")
        net.sh(host, "systemctl kill --signal=USR1 'stowage-dhcp-*'")
        net.wait(lambda: log(net, host).count("DHCPACK") > served, "the lease is renewed")
        assert "broadcasting renew" not in net.sh(host, "journalctl -u 'stowage-dhcp-*' --since -30s")
        assert not converge(instance)["changed"]
        again = converge({**instance, "links": [{**wish, "addresses": ["10.66.0.9/24"]}]})
        assert "links: eth1 taken away, eth1 made" in again["containers"][0]["msg"], again
        # A new container takes the place of the old one, with the same address.
        anew = converge({**instance, "links": [{**wish, "addresses": ["10.66.0.9/24"]}], "env": {"A": "1"}})
        assert [one["action"] for one in anew["containers"]] == ["recreated"], anew
        assert "10.66.0.9" in inside(net, host, "wired_web_0", "ip -o address")
        assert converge({**instance, "env": {"A": "1"}})["changed"]
        released = log(net, host).count("DHCPRELEASE")
        assert converge(remove=["wired_web_0"])["changed"]
        assert log(net, host).count("DHCPRELEASE") == released + 1
        assert net.sh(host, "ls /var/lib/stowage/network | grep 'link\\|lease'; systemctl list-units --all --plain "
                      "--no-legend 'stowage-dhcp-*'", check=False) == ""
    finally:
        hush(net, host)
        net.sh(host, f"docker rm -f wired_web_0; ip link delete {BRIDGE}", check=False)


@pytest.mark.parametrize(("kind", "vlan", "probe"), [
    ("ipvlan", None, "type ipvlan mode l2"), ("macvlan", 7, "type vlan id 7"), ("ipvlan", 8, "type vlan id 8")])
def test_kinds_that_need_more_of_the_kernel(linked, kind, vlan, probe):
    tried = f"ip link add link eth0 name ntprobe {probe} && echo yes; ip link delete ntprobe"
    if linked.sh(tried, check=False) != "yes":
        pytest.skip(f"NOT TESTED: this kernel makes no '{probe}', so {kind} with vlan {vlan} is not proven here")
    wish = {"name": "eth1", "kind": kind, "parent": "eth0", "vlan": vlan, "addresses": ["10.68.0.7/24"]}
    linked.link(wish)
    linked.start()
    assert "10.68.0.7/24" in linked.inside("ip address show eth1")
    assert not linked.link(wish)["changed"]
    # The VLAN's interface on the host was made for the link, and goes with it.
    linked.sh(f"docker kill {NAME}")
    assert linked.sh("ls /sys/class/net | grep -c eth0. || true") == "0"
