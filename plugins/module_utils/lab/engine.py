# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine calls that a lab is made of, and what one lab host is in the engine's terms."""

from __future__ import annotations

import io
import tarfile

from ..engine.client import Engine, NotFound, name_path

LAB = "stowage.lab"
RELEASE = "stowage.lab.release"
_MARK = "-----"
# Everything that is asked of a host goes in one call: each costs as much as all the rest.
_PROBE = f"""
ask() {{ "$@" 2>&1; echo "{_MARK}"; }}
ask systemctl is-system-running --wait
ask cat /etc/ssh/ssh_host_ed25519_key.pub
ask cat /root/.ssh/authorized_keys
ask systemctl is-active ssh
ask systemctl is-active docker
command -v dockerd >/dev/null && ask docker version -f '{{{{.Server.Version}}}}'
"""


class LabEngine(Engine):
    """The engine of the machine that carries labs."""

    def lab_containers(self, lab):
        """Return the containers of a lab, in the engine's short form, by name."""
        filters = '{"label":["%s=%s"]}' % (LAB, lab)
        found = self.call("GET", "/containers/json", {"all": 1, "filters": filters})
        return {item["Names"][0].lstrip("/"): item for item in found}

    def other_labs(self, lab):
        """Return the names of other labs that have containers."""
        found = self.call("GET", "/containers/json", {"all": 1, "filters": '{"label":["%s"]}' % LAB})
        return sorted({item["Labels"][LAB] for item in found} - {lab})

    def lab_volumes(self, lab):
        """Return the names of the volumes of a lab."""
        filters = '{"label":["%s=%s"]}' % (LAB, lab)
        return [item["Name"] for item in self.call("GET", "/volumes", {"filters": filters}).get("Volumes") or []]

    def lab_images(self):
        """Return the images that were built for labs, in the engine's short form."""
        return self.call("GET", "/images/json", {"filters": '{"label":["%s"]}' % LAB})

    def find_network(self, name):
        """Return a network, or None."""
        try:
            return self.call("GET", name_path("networks", name))
        except NotFound:
            return None

    def network_subnets(self):
        """Return the subnets of all networks of this engine, as text."""
        configs = [item for network in self.list_networks() for item in (network.get("IPAM") or {}).get("Config") or []]
        return [item["Subnet"] for item in configs if item.get("Subnet")]

    def create_network(self, lab, name, layout):
        """Create a lab's network. Hosts get fixed addresses from the lower half; the engine gives nothing else."""
        config = {"Subnet": layout["subnet"], "IPRange": layout["hosts"], "Gateway": layout["gateway"]}
        self.call("POST", "/networks/create", body={
            "Name": name,
            "Driver": "bridge",
            "CheckDuplicate": True,
            "IPAM": {"Driver": "default", "Config": [config]},
            "Labels": {LAB: lab},
        })

    def create_volume(self, lab, name):
        """Create a volume; one that is there stays as it is."""
        self.call("POST", "/volumes/create", body={"Name": name, "Labels": {LAB: lab}})

    def run(self, ident, *command):
        """Run a command in a container and return (exit status, output)."""
        client = self._client()
        job = client.exec_create(ident, list(command), tty=False)["Id"]
        output = client.exec_start(job)
        return client.exec_inspect(job)["ExitCode"], output.decode("utf-8", "replace")

    def put_file(self, ident, path, text, mode):
        """Write a file of root's into a container, running or not. Its folder is made with 0700 if it is missing."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            folder, _slash, name = path.rpartition("/")
            parent = tarfile.TarInfo(folder.lstrip("/"))
            parent.type, parent.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(parent)
            info = tarfile.TarInfo(f"{folder.lstrip('/')}/{name}")
            data = text.encode("utf-8")
            info.size, info.mode = len(data), mode
            archive.addfile(info, io.BytesIO(data))
        self._client().put_archive(ident, "/", buffer.getvalue())

    def probe(self, ident):
        """Return the state of a running host: {system, host_key, keys, ssh, docker, engine}.

        ``system`` is systemd's own word, such as running or degraded; it waits until the host has booted. ``engine``
        is the version of the host's engine, None where none is installed and empty where none answers.
        """
        _status, output = self.run(ident, "sh", "-c", _PROBE)
        answers = [text.strip() for text in output.split(_MARK)]
        answers += [""] * (6 - len(answers))
        engine = answers[5] if len(answers) > 6 else None
        return {
            "system": answers[0].splitlines()[-1] if answers[0] else "",
            "host_key": " ".join(answers[1].split()[:2]) if answers[1].startswith("ssh-") else "",
            "keys": answers[2],
            "ssh": answers[3],
            "docker": answers[4],
            "engine": engine if engine is None or engine[:1].isdigit() else "",
        }


def host_payload(lab, host, machine):
    """Return what the engine is asked for to make a lab host.

    :param lab: {name, network}: the lab's name and the name of its network.
    :param host: {name, address, image, release, volume}.
    :param machine: {missing_capabilities, cgroup_version, nameservers, modules}: ``modules`` is the folder of kernel
        modules, or None.
    """
    environment = ["container=docker", "STOWAGE_NAMESERVERS=" + " ".join(machine["nameservers"])]
    if machine["cgroup_version"] == 1:
        # systemd 256 and newer refuse to start on the legacy hierarchy unless told twice.
        environment.append("SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1")
    binds = [f"{host['volume']}:/var/lib/docker"]
    if machine["modules"]:
        binds.append(f"{machine['modules']}:/lib/modules:ro")
    return {
        "Hostname": host["name"],
        "Image": host["image"],
        "Env": environment,
        "Labels": {LAB: lab["name"], RELEASE: host["release"]},
        "StopSignal": "SIGRTMIN+3",
        "StopTimeout": 30,
        "HostConfig": {
            "Binds": binds,
            "Tmpfs": {"/run": "rw,nosuid,nodev,mode=755", "/run/lock": "rw,nosuid,nodev,noexec,mode=1777"},
            "CgroupnsMode": "private",
            "NetworkMode": lab["network"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
            **_privileges(machine["missing_capabilities"]),
        },
        "NetworkingConfig": {
            "EndpointsConfig": {lab["network"]: {"IPAMConfig": {"IPv4Address": host["address"]}}},
        },
    }


def _privileges(missing):
    if not missing:
        return {"Privileged": True}
    return {
        "CapAdd": ["ALL"],
        "CapDrop": list(missing),
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined", "label=disable"],
        # What `docker run --security-opt systempaths=unconfined` sends: all of /proc and /sys as it is.
        "MaskedPaths": [],
        "ReadonlyPaths": [],
        # What a block or character device may be opened is decided by the host, as on a real one.
        "DeviceCgroupRules": ["a *:* rwm"],
    }
