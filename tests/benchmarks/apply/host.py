"""The host of the benchmark: this machine's engine, a tiny image, and the same containers for every contender."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker

PARALLEL = 8
MEMORY = 16 << 20


class Host:
    """A context: makes the image, and takes away image and containers afterwards."""

    engine = "unix:///var/run/docker.sock"

    def __init__(self, count: int) -> None:
        self.fleet = f"b{uuid.uuid4().hex[:8]}"
        self.names = [f"{self.fleet}_web_{index}" for index in range(count)]
        self.image = f"stowage-bench-{self.fleet}:1"
        self.api = docker.APIClient(base_url=self.engine, version="auto")
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self._temporary.name)
        # Settings of the user, or of the checkout, must not tell on one contender.
        (self.folder / "ansible.cfg").write_text("[defaults]\n")

    def __enter__(self) -> Host:
        root = self._root()
        self.api.import_image_from_data(root, *self.image.split(":"), changes=['CMD ["/bin/sleep","100000"]'])
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        self.api.remove_image(self.image, force=True)
        self._temporary.cleanup()

    def _root(self) -> bytes:
        """A root file system with nothing but a static busybox from the machine's packages."""
        subprocess.run(
            ["apt-get", "download", "-qq", "busybox-static"], cwd=self.folder, check=True, capture_output=True
        )
        (package,) = self.folder.glob("busybox-static_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, self.folder / "unpacked"], check=True)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(self.folder / "unpacked" / "bin" / "busybox", "bin/busybox")
            link = tarfile.TarInfo("bin/sleep")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        return buffer.getvalue()

    def _mine(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.containers(all=True, filters={"name": f"{self.fleet}_"})
        return found

    def clear(self) -> None:
        """Remove the containers."""
        with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
            list(pool.map(lambda one: self.api.remove_container(one["Id"], v=True, force=True), self._mine()))

    def check(self) -> None:
        """Raise unless every container runs, with the options that all contenders were given."""
        running = [one for one in self._mine() if one["State"] == "running"]
        if len(running) != len(self.names):
            raise RuntimeError(f"{len(running)} of {len(self.names)} containers run")
        confined = self.api.inspect_container(running[0]["Id"])["HostConfig"]
        if (confined["Memory"], [name.replace("CAP_", "") for name in confined["CapDrop"]]) != (MEMORY, ["NET_RAW"]):
            raise RuntimeError(f"the containers are not alike: {confined['Memory']}, {confined['CapDrop']}")

    def playbook(self, name: str) -> Path:
        """Write the playbook of a contender (`ours` or `loop`) and return its path."""
        task = {"ours": self._ours, "loop": self._loop}[name]()
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        play = {"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": [task]}
        path = self.folder / f"{name}.yml"
        path.write_text(json.dumps([play]))
        return path

    def _ours(self) -> dict[str, Any]:
        instances = [
            {
                "name": name,
                "cluster": self.fleet,
                "group": "web",
                "index": index,
                "image": self.image,
                "memory": MEMORY,
                "env": {"NUMBER": str(index)},
                "hostname": name.replace("_", "-"),
            }
            for index, name in enumerate(self.names)
        ]
        options = {
            "fleet": self.fleet,
            "instances": instances,
            "parallel": PARALLEL,
            "state_dir": str(self.folder / "state"),
        }
        return {"name": "Converge the containers", "stowage.fleet.containers": options}

    def _loop(self) -> dict[str, Any]:
        options = {
            "name": f"{self.fleet}_web_{{{{ item }}}}",
            "image": self.image,
            "memory": str(MEMORY),
            "memory_swap": str(MEMORY),
            "env": {"NUMBER": "{{ item | string }}"},
            "hostname": f"{self.fleet}-web-{{{{ item }}}}",
            "cap_drop": ["NET_RAW"],
            "security_opts": ["no-new-privileges"],
            "restart_policy": "unless-stopped",
            "stop_timeout": 10,
            "labels": {"stowage.fleet": self.fleet},
            "image_name_mismatch": "recreate",
        }
        return {
            "name": "Converge the containers one by one",
            "community.docker.docker_container": options,
            "loop": list(range(len(self.names))),
        }


def bare_payload(host: Host, name: str) -> dict[str, Any]:
    """What the engine is told by bare calls: the same containers."""
    return {
        "Image": host.image,
        "Hostname": name.replace("_", "-"),
        "Env": [f"NUMBER={name.rpartition('_')[2]}"],
        "StopTimeout": 10,
        "Labels": {"stowage.fleet": host.fleet},
        "HostConfig": {
            "Memory": MEMORY,
            "MemorySwap": MEMORY,
            "CapDrop": ["NET_RAW"],
            "SecurityOpt": ["no-new-privileges"],
            "RestartPolicy": {"Name": "unless-stopped"},
        },
    }
