"""What the tests of modules on a real engine share: an image made here, a fleet of random name, and its cleanup."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tarfile
import uuid

import docker
import pytest

ENGINE = "unix:///var/run/docker.sock"
# A static program is all that an image needs; the machine's own package has one.
PROGRAMS = ("sh", "sleep", "cat", "hostname", "touch", "true", "false", "echo", "id", "env", "grep", "kill", "sync")


def busybox(folder):
    """The path of a static busybox, from the machine's packages."""
    subprocess.run(["apt-get", "download", "-qq", "busybox-static"], cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("busybox-static_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder / "unpacked"], check=True)
    return folder / "unpacked" / "bin" / "busybox"


def archive(program):
    """A root file system with busybox and little else."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(program, "bin/busybox")
        for name in PROGRAMS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def api():
    """The machine's engine, by a connection of the tests' own. Without one the tests fail: that is what they test."""
    return docker.APIClient(base_url=ENGINE, version="auto")


@pytest.fixture(scope="session")
def image(api, tmp_path_factory):
    """An image that has a volume, a variable and a command of its own."""
    name = f"stowage-test-{uuid.uuid4().hex[:8]}:1"
    changes = ["ENV PLACE=hold", 'CMD ["/bin/sleep","1000"]', "VOLUME /data"]
    api.import_image_from_data(archive(busybox(tmp_path_factory.mktemp("busybox"))), *name.split(":"), changes=changes)
    yield name
    for found in api.images(name.partition(":")[0], quiet=True):
        api.remove_image(found, force=True)


class Fleet:
    """A fleet of its own on the machine's engine, driven through the modules as Ansible runs them."""

    def __init__(self, api, image, folder):
        self.api = api
        self.image = image
        self.folder = folder
        self.name = f"t{uuid.uuid4().hex[:8]}"

    def module(self, name, check=False, diff=False, **options):
        """Run a module by its file, as an Ansible host would, and return its answer."""
        common = {"fleet": self.name, "state_dir": str(self.folder / "state"), "docker_host": ENGINE}
        arguments = {**common, **options, "_ansible_check_mode": check, "_ansible_diff": diff}
        arguments["_ansible_remote_tmp"] = str(self.folder)
        done = subprocess.run(
            [sys.executable, "-m", f"ansible_collections.stowage.fleet.plugins.modules.{name}"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def containers(self, *instances, **options):
        """Converge instances (and give them short waits)."""
        options.setdefault("wait_timeout", 20)
        return self.module("containers", instances=list(instances), **options)

    def instance(self, index=0, group="web", **options):
        """Options of one instance."""
        known = {"name": f"{self.name}_{group}_{index}", "cluster": self.name, "group": group, "index": index}
        return {**known, "image": self.image, "stop_timeout": 0, **options}

    def inspect(self, index=0, group="web"):
        """What the engine says of an instance."""
        return self.api.inspect_container(f"{self.name}_{group}_{index}")

    def run_in(self, command, index=0, group="web"):
        """What a command in an instance says."""
        # By the engine's own client: the SDK loses what the engine sends in one packet with the head of its answer.
        words = ["docker", "--host", ENGINE, "exec", f"{self.name}_{group}_{index}", "/bin/sh", "-c", command]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()

    def mine(self):
        """All containers of the fleet, by name."""
        found = self.api.containers(all=True, filters={"name": self.name})
        return sorted(container["Names"][0].lstrip("/") for container in found)

    def clean(self):
        """Take away whatever a test left, volumes that a container took over from the one before it too."""
        for container in self.api.containers(all=True, filters={"name": self.name}):
            mounts = self.api.inspect_container(container["Id"])["Mounts"]
            self.api.remove_container(container["Id"], v=True, force=True)
            for volume in {mount["Name"] for mount in mounts if mount["Type"] == "volume"}:
                with contextlib.suppress(docker.errors.NotFound):
                    self.api.remove_volume(volume)
        for network in self.api.networks(filters={"label": f"stowage.fleet={self.name}"}):
            self.api.remove_network(network["Id"])


@pytest.fixture
def fleet(api, image, tmp_path):
    """A fleet of its own, gone afterwards with all that it made, volumes too."""
    before = {volume["Name"] for volume in api.volumes()["Volumes"] or []}
    made = Fleet(api, image, tmp_path)
    yield made
    made.clean()
    for volume in api.volumes(filters={"dangling": True})["Volumes"] or []:
        if volume["Name"] not in before and volume["Name"].startswith(made.name):
            api.remove_volume(volume["Name"])
