"""CPUs as real machines number them: the shapes that `lscpu -e` shows, as the planner's `cpus` lists.

Two numberings are common. Linux on most Intel and AMD machines lists first one thread of each physical core and then,
in the same order, their siblings ("split"). Some firmware, and many virtual machines, put siblings next to each other
("adjacent"). Sockets are numbered through, or alternate (older dual-socket Dell machines: even CPUs on socket 0).
"""

from __future__ import annotations

import dataclasses
from typing import Any

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Machine:
    """What a machine is made of; `cores` are physical cores per NUMA node."""

    name: str
    sockets: int
    nodes_per_socket: int
    cores: int
    threads: int
    numbering: str = "split"

    @property
    def nodes(self) -> int:
        """NUMA nodes of the machine."""
        return self.sockets * self.nodes_per_socket

    def cpus(self) -> list[dict[str, int]]:
        """The logical CPUs in the order of their ids."""
        physical = [
            {"core": number, "socket": number // (self.cores * self.nodes_per_socket), "node": number // self.cores}
            for number in range(self.nodes * self.cores)
        ]
        if self.numbering == "alternate":
            physical.sort(key=lambda cpu: (cpu["core"] % (self.cores * self.nodes_per_socket), cpu["socket"]))
        if self.numbering == "adjacent":
            order = [cpu for cpu in physical for _thread in range(self.threads)]
        else:
            order = physical * self.threads
        return [{"id": number, **cpu} for number, cpu in enumerate(order)]

    def host(self, name: str = "h1", **extra: Any) -> dict[str, Any]:
        """A host of this make, with 4 GiB for each logical CPU."""
        total = self.nodes * self.cores * self.threads
        return {"name": name, "cpus": self.cpus(), "resources": {"memory": total * 4 * GIB, "disk": 100 * GIB}, **extra}


MACHINES = [
    Machine("desktop, 1 socket, 8 cores without SMT", 1, 1, 8, 1),
    Machine("Xeon E-2288G, 1 socket, 8 cores, SMT", 1, 1, 8, 2),
    Machine("virtual machine, 1 socket, 4 cores, siblings adjacent", 1, 1, 4, 2, "adjacent"),
    Machine("Xeon Gold 6140, 2 sockets of 18 cores, SMT", 2, 1, 18, 2),
    Machine("Xeon Gold 6140, 2 sockets of 18 cores, SMT off", 2, 1, 18, 1),
    Machine("Xeon E5-2640, 2 sockets of 6 cores, SMT, sockets alternate", 2, 1, 6, 2, "alternate"),
    Machine("EPYC 7601, 1 socket, 4 nodes of 8 cores, SMT", 1, 4, 8, 2),
    Machine("EPYC 7601, 2 sockets, 4 nodes of 8 cores each, SMT", 2, 4, 8, 2),
    Machine("EPYC 7763 NPS4, 2 sockets, 4 nodes of 16 cores each, SMT off", 2, 4, 16, 1),
    Machine("POWER9, 2 sockets of 4 cores, SMT4, siblings adjacent", 2, 1, 4, 4, "adjacent"),
]
