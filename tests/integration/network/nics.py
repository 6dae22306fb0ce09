# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NICs of a host, one for each manager: veth pairs that are there at boot before anything configures them, as hardware.

networkd has two, one with an address of its own and one with DHCP, which networkd itself serves at the other end.
"""

from __future__ import annotations

import contextlib

MANAGERS = ["networkd", "networkd", "ifupdown", "networkmanager", "none"]
NICS = [f"nic{number}" for number in range(1, len(MANAGERS) + 1)]
BRIDGES = [f"br{number}" for number in range(1, len(MANAGERS) + 1)]
UNIT = """[Unit]
DefaultDependencies=no
After=local-fs.target
Before=network-pre.target systemd-networkd.service NetworkManager.service networking.service
Wants=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for n in 1 2 3 4 5; do ip link add nic$n address 02:00:00:96:00:0$n type veth peer name far$n; \
  ip link set far$n up; done; \
  ip link set nic5 up; ip address replace 10.96.4.1/24 dev nic5'
[Install]
WantedBy=sysinit.target
"""
STATIC = "[Match]\nName={nic}\n[Network]\nConfigureWithoutCarrier=yes\n{lines}\n"
FILES = {
    "/etc/systemd/system/nics.service": UNIT,
    "/etc/systemd/network/10-nic1.network": STATIC.format(nic="nic1", lines="Address=10.96.0.1/24"),
    "/etc/systemd/network/10-nic1.network.d/route.conf": "[Route]\nDestination=198.51.100.0/24\nGateway=10.96.0.9\n",
    "/etc/systemd/network/10-nic2.network": "[Match]\nName=nic2\n[Network]\nDHCP=ipv4\n[DHCPv4]\n"
                                            "UseRoutes=no\nUseDNS=no\n",
    "/etc/systemd/network/10-far2.network": "[Match]\nName=far2\n[Network]\nAddress=10.96.1.1/24\nDHCPServer=yes\n"
                                            "[DHCPServer]\nPoolOffset=20\nEmitDNS=no\nEmitRouter=no\n",
    "/etc/network/interfaces.d/nic3": "auto nic3\niface nic3 inet static\n  address 10.96.2.1/24\n",
    "/etc/NetworkManager/conf.d/nics.conf": "[main]\nno-auto-default=*\n[keyfile]\nunmanaged-devices=*,"
                                            "except:interface-name:nic4,except:interface-name:br4\n",
    "/etc/NetworkManager/system-connections/nic4.nmconnection":
        "[connection]\nid=nic4\nuuid=7d5d6a8e-52a8-4fc3-a6a8-4f1bb8c37b26\ntype=ethernet\ninterface-name=nic4\n"
        "[ipv4]\nmethod=manual\naddress1=10.96.3.1/24\n[ipv6]\nmethod=disabled\n",
}
SERVICES = "nics systemd-networkd NetworkManager networking"


class Nics:
    """The NICs of one host."""

    def __init__(self, sh, wait):
        """:param sh: runs a script on the host and returns what it said."""
        self.sh, self.wait = sh, wait

    def plug(self):
        """Put them in, with who keeps them."""
        for path, text in FILES.items():
            self.write(path, text)
        self.sh("set -e; [ -x /usr/bin/nmcli -a -x /usr/sbin/ifup ] || DEBIAN_FRONTEND=noninteractive apt-get -qq "
                "install -y --no-install-recommends network-manager ifupdown >/dev/null; systemctl daemon-reload; "
                f"for unit in {SERVICES}; do systemctl -q enable $unit; systemctl restart $unit; done")
        self.wait(lambda: len(self.sh("ip -4 -o address show | grep -o ' nic[1-5] '").split()) == len(NICS),
                  "all NICs have their addresses")

    def unplug(self):
        """Take them out again."""
        self.sh(f"for nic in {' '.join(NICS)}; do ip link del $nic; done; systemctl -q disable --now {SERVICES} "
                f"systemd-networkd.socket; rm -rf {' '.join(FILES)}; rm -rf /etc/systemd/network/*.d; true")

    def networks(self, mtu=None):
        """A bridge over each."""
        return [{"name": f"net{bridge}", "parent": nic, "bridge": bridge, **({"mtu": mtu} if mtu else {})}
                for nic, bridge in zip(NICS, BRIDGES)]

    def write(self, path, text):
        """Write a file that only root may read."""
        self.sh(f"mkdir -p {path.rpartition('/')[0]}; cat >{path} <<'END'\n{text}END\n"
                f"chmod {'600' if 'Manager' in path else '644'} {path}")

    @contextlib.contextmanager
    def keeping(self, nic, manager):
        """Have a NIC with addresses kept by somebody for a while."""
        held = self.sh(f"ip -o address show dev {nic} scope global | awk '{{print $4}}'").split()
        route = self.sh(f"ip route show default dev {nic}")
        gateway = route.split()[2] if route else ""
        if manager != "none":
            getattr(self, f"_{manager}")(nic, held, gateway)
        try:
            yield
        finally:
            again = "; ".join(f"ip address replace {address} dev {nic} {'nodad' if ':' in address else ''}"
                              for address in held)
            self.sh(f"rm -f /etc/systemd/network/20-{nic}.network; networkctl reload; if grep -q ^{nic}= "
                    f"/run/network/ifstate; then ifdown --force {nic}; fi; rm -f /etc/network/interfaces.d/{nic}; "
                    f"rm -f /etc/NetworkManager/system-connections/{nic}.nmconnection")
            if manager == "networkmanager":
                self.write("/etc/NetworkManager/conf.d/nics.conf", FILES["/etc/NetworkManager/conf.d/nics.conf"])
                self.sh("systemctl restart NetworkManager")
            self.sh(f"ip link set {nic} up; ip address flush dev {nic} scope global; {again}; "
                    f"[ -z '{gateway}' ] || ip route replace default via {gateway} dev {nic}")

    def _networkd(self, nic, held, gateway):
        lines = [f"Address={address}" for address in held] + ([f"Gateway={gateway}"] if gateway else [])
        self.write(f"/etc/systemd/network/20-{nic}.network", STATIC.format(nic=nic, lines="\n".join(lines)))
        self.sh("networkctl reload")
        self.wait(lambda: "configured" in self.sh(f"networkctl --no-legend list {nic}"), f"networkd keeps {nic}")

    def _ifupdown(self, nic, held, gateway):
        text = f"auto {nic}\n"
        for address in held:
            text += f"iface {nic} inet6 static\n  dad-attempts 0\n" if ":" in address else f"iface {nic} inet static\n"
            text += f"  address {address}\n"
            text += f"  gateway {gateway}\n" if gateway and ":" not in address else ""
        self.write(f"/etc/network/interfaces.d/{nic}", text)
        self.sh(f"ip address flush dev {nic} scope global; ifup {nic}")

    def _networkmanager(self, nic, held, gateway):
        four = [address for address in held if ":" not in address]
        six = [address for address in held if ":" in address]
        settings = FILES["/etc/NetworkManager/conf.d/nics.conf"].replace(
            "unmanaged-devices=*", f"unmanaged-devices=*,except:interface-name:{nic},except:interface-name:br0")
        self.write("/etc/NetworkManager/conf.d/nics.conf", settings)
        method = "manual" if six else "disabled"
        self.write(f"/etc/NetworkManager/system-connections/{nic}.nmconnection",
                   f"[connection]\nid={nic}\nuuid=7d5d6a8e-52a8-4fc3-a6a8-4f1bb8c37b27\ntype=ethernet\n"
                   f"interface-name={nic}\n[ipv4]\nmethod=manual\naddress1={four[0]},{gateway}\n"
                   f"[ipv6]\nmethod={method}\n" + "".join(f"address1={address}\n" for address in six[:1]))
        self.sh(f"systemctl restart NetworkManager; nmcli --wait 20 connection up {nic}")
