# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stranger on the LAN who has the IPv6 address that a container would get, though its IPv4 address is free."""

from __future__ import annotations

from .conftest import LAN6, OUTSIDE, run
from .test_networks import Told, all_well


def test_an_ipv6_address_that_a_stranger_has_is_refused_with_its_mac_and_the_others_go_on(net):
    told = Told(net)
    lan = {**told.lan, "subnet6": f"{LAN6}/64"}
    first, second = told.one(address6=f"{LAN6}c8"), told.one(1, address6=f"{LAN6}c9")
    mac = run("docker", "exec", OUTSIDE, "cat", "/sys/class/net/eth0/address").stdout.strip()
    stranger = f"{LAN6}c8/128 dev eth0"
    run("docker", "exec", OUTSIDE, "ip", "address", "add", *stranger.split(), "nodad")
    try:
        said = told.bring(lan, first, second)
        assert f"{LAN6}c8 is in use by a stranger on the network of eth0, with the MAC {mac}" in said["msg"], said
        assert net.sh(told.host, "docker ps --format '{{.Names}}' --filter label=stowage.fleet=nettest") == "red_one_1"
        run("docker", "exec", OUTSIDE, "ip", "address", "del", *stranger.split())
        # Its own answer, from the container that runs already, is no stranger's.
        assert all_well(told.bring(lan, first, second))
    finally:
        run("docker", "exec", OUTSIDE, "ip", "address", "del", *stranger.split(), check=False)
        net.sh(told.host, "docker rm -f red_one_0 red_one_1; docker network rm lan", check=False)
