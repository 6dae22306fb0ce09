# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of any size with its tenants: the inventory and the desired state that a user would write.

Each tenant has a database, an application that requires it and a web server that requires that, so creating all of
them takes three waves. Types are as real ones: they name their neighbours, have secrets and health checks, and the
database has a disk. All tenants are isolated from each other, as is the default.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from benchmarks.fleet.simulated import address_of

ZONES = 4
HOSTS_OF_A_TENANT = 4


@dataclasses.dataclass(frozen=True)
class Scenario:
    """So many hosts with so many containers each; for every four hosts there is a tenant."""

    hosts: int
    each: int

    @property
    def names(self) -> list[str]:
        """The hosts."""
        return [f"ship{number:04}" for number in range(self.hosts)]

    @property
    def instances(self) -> int:
        """How many containers there are to be."""
        return sum(sum(self._counts(tenant)) for tenant in self.tenants)

    @property
    def tenants(self) -> list[str]:
        """The clusters."""
        return [f"tenant{number:03}" for number in range(max(1, self.hosts // HOSTS_OF_A_TENANT))]

    @property
    def web(self) -> int:
        """How many web servers the first tenant has: the group that the case `scale` scales, which nobody requires."""
        return self._counts(self.tenants[0])[2]

    def _counts(self, tenant: str) -> tuple[int, int, int]:
        whole, rest = divmod(self.hosts * self.each, len(self.tenants))
        total = whole + (1 if self.tenants.index(tenant) < rest else 0)
        database, application = max(1, total // 4), max(1, total * 3 // 8)
        return database, application, total - database - application

    def write(self, folder: Path, at_once: bool = False) -> None:
        """Write the inventory; `at_once` leaves out who requires whom, so that creating everything takes one wave."""
        hosts = {
            name: {
                "ansible_host": address_of(number),
                "stowage_host_labels": {"zone": f"zone{number % ZONES}", "rack": f"rack{number // 20}", "disk": "ssd"},
            }
            for number, name in enumerate(self.names)
        }
        (folder / "group_vars").mkdir(parents=True)
        _dump(folder / "hosts.yml", {"fleet": {"hosts": hosts}})
        _dump(folder / "group_vars" / "fleet.yml", {**VARIABLES, "stowage_clusters": self._clusters(at_once)})

    def _clusters(self, at_once: bool) -> dict[str, Any]:
        clusters = {}
        for tenant in self.tenants:
            database, application, web = self._counts(tenant)
            apart = {"anti_affinity": [{"group": "db", "topology": "host"}]}
            spread = {"spread": [{"topology": "zone", "max_skew": 1}]}
            requires = [[], []] if at_once else [["db"], ["app"]]
            clusters[tenant] = {
                "state": "started",
                "allow": [{"from": "{{ stowage_networks.lan.gateway }}", "ports": ["80/tcp"]}],
                "groups": {
                    "db": {"count": database, "type": "database", "grade": "small", "placement": apart},
                    "app": {"count": application, "type": "application", "grade": "shared", "requires": requires[0]},
                    "web": {
                        "count": web,
                        "type": "web",
                        "grade": "tiny",
                        "requires": requires[1],
                        "placement": spread,
                    },
                },
            }
        return clusters


VARIABLES: dict[str, Any] = {
    "ansible_python_interpreter": "/usr/bin/python3",
    "stowage_host_reserved": {"cores": 1, "memory": "1g", "disk": "10g"},
    "stowage_placement": {"mode": "spread"},
    "stowage_networks": {
        "lan": {
            "driver": "macvlan",
            "parent": "eth0",
            "subnet": "10.64.0.0/13",
            "gateway": "10.64.0.1",
            "pool": "10.65.0.0-10.71.255.250",
        }
    },
    "stowage_grades": {
        "small": {"cores": 1, "memory": "2g", "disk": "20g"},
        "shared": {"cpus": 0.5, "memory": "1g"},
        "tiny": {"cpus": 0.25, "memory": "512m"},
    },
    "secret_of_databases": "correct horse battery staple",
    "stowage_types": {
        "database": {
            "image": "shop/database:15",
            "env": {
                "DB_ID": "{{ instance.index + 1 }}",
                "DB_PEERS": "{{ members.db | map(attribute='address') | join(',') }}",
                "DB_PASSWORD": "{{ secret_of_databases }}",
                "DB_CACHE": "1g",
                "TZ": "UTC",
            },
            "data": {"path": "/data", "owner": "999", "group": "999", "mode": "0700"},
            "health": {"test": ["CMD", "/usr/local/bin/check"], "interval": "2s", "timeout": "5s", "retries": 5},
            "ulimits": [{"name": "nofile", "soft": 4096, "hard": 8192}],
        },
        "application": {
            "image": "shop/application:3.8",
            "command": ["application", "--listen", "{{ instance.address }}:8080", "--zone", "{{ instance.zone }}"],
            "env": {
                "DB_SERVERS": "{{ members.db | map(attribute='address') | join(',') }}",
                "DB_PASSWORD": "{{ secret_of_databases }}",
                "WORKERS": 4,
                "TZ": "UTC",
            },
            "health": {"test": ["CMD", "/usr/local/bin/check"], "interval": "2s", "timeout": "5s", "retries": 5},
        },
        "web": {
            "image": "shop/web:1.24",
            "env": {
                "HOST": "{{ instance.host }}",
                "BACKENDS": "{% for member in members.app %}{{ member.address }}:8080 {% endfor %}",
                "TZ": "UTC",
            },
            "health": {"test": "curl --fail --silent localhost", "interval": "2s", "timeout": "5s", "retries": 5},
            "stop_signal": "SIGQUIT",
        },
    },
}


def _dump(path: Path, content: dict[str, Any]) -> None:
    path.write_text("---\n" + yaml.dump(content, Dumper=_Dumper, sort_keys=False))


class _Dumper(yaml.SafeDumper):
    """Writes a list twice rather than once and a reference to it, as people do."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
