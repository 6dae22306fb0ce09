# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of a lab of its own, with the role storage on it, and hands to work it with."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import time

import ansible
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(sys.executable).parent
# A lab of these tests' own (STOWAGE_OWN_DISK_LAB names it), or one that is there already and stays (STOWAGE_DISK_LAB).
LAB = os.environ.get("STOWAGE_DISK_LAB") or os.environ.get("STOWAGE_OWN_DISK_LAB", "disktest")
# Labs come and go one at a time, as scripts/lab.sh has it.
LOCKED = ("flock", "--close", "build/labs.lock")
POOL = "/var/lib/stowage/pool"
# Where the host has the modules, with what they need of Ansible: each call without a controller saves a second or two.
CODE = "/opt/disktest"
# A container image out of the host's own files: a shell and what is needed to write, flush and wait.
IMAGE = """set -e; cd "$(mktemp -d)"
for tool in /bin/sh /bin/sleep /bin/dd /bin/cat /bin/sync; do
  cp -L --parents $tool . ; ldd $tool | grep -o '/[^ ]*' | xargs -I% cp -L --parents -n % .
done
mkdir -p data tmp; tar c . | docker import - disktest >/dev/null"""


def run(*command, check=True, timeout=300, **more):
    """Run a command on this machine and return its CompletedProcess."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, timeout=timeout, check=False,
                          **{"text": True, **more})
    assert not check or done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


class Host:
    """One lab host, and hands to work it with."""

    def __init__(self, name, inventory):
        self.name = name
        self.inventory = inventory

    def sh(self, script, check=True):
        """Run a shell script on the host and return its output."""
        done = run("docker", "exec", self.name, "sh", "-c", script, check=check)
        return done.stdout.strip()

    def volume(self, *volumes, check=False, diff=False, **options):
        """Run the module ``volume`` on the host and return its result; ``failed`` is in it, never raised."""
        return self.module("volume", {"volumes": list(volumes), "thin_ratio": 50, **options}, check, diff)

    def module(self, name, arguments, check=False, diff=False):
        """Run a module of the collection on the host, by its file, as Ansible's wrapper does; return its result."""
        told = {**arguments, "_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": "/tmp"}
        done = run("docker", "exec", "-i", "-e", f"PYTHONPATH={CODE}", self.name, "python3", "-m",
                   f"ansible_collections.stowage.fleet.plugins.modules.{name}", check=False,
                   input=json.dumps({"ANSIBLE_MODULE_ARGS": told}))
        assert done.stdout, done.stderr
        result = json.loads(done.stdout.splitlines()[-1])
        return {"failed": False, **result, "warned": json.dumps(result.get("warnings"))}

    def task(self, name, arguments, *flags):
        """Run a module as a playbook does: over SSH, with its action plugin; ``shown`` is what that printed."""
        done = run("env", "ANSIBLE_CALLBACK_RESULT_FORMAT=json", BIN / "ansible", "-i", self.inventory, self.name, "-m",
                   f"stowage.fleet.{name}", "-a", json.dumps(arguments), *flags, check=False)
        start = done.stdout.index(f"{self.name} | ")
        result, _end = json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("{", start))
        return {**result, "failed": done.stdout[start:].startswith(f"{self.name} | FAILED!"),
                "shown": done.stdout[:start]}

    def container(self, name, volume, script, pool=POOL):
        """Start a container with a volume at /data, the way the module ``containers`` mounts it."""
        self.sh(f"docker run -d --name {name} --restart unless-stopped --network none "
                f"--mount type=bind,source={pool}/mounts/{volume}/data,target=/data disktest /bin/sh -c '{script}'")

    def loops(self):
        """Return the images of the pool that loop devices hold; other hosts on this kernel show theirs here too."""
        script = (f"losetup -n -l -O BACK-INO,BACK-FILE | while read inode file; do case $file in {POOL}/*) "
                  "[ \"$(stat -c %i \"$file\" 2>/dev/null)\" != \"$inode\" ] || echo $file;; esac; done")
        return sorted(self.sh(script).split())

    def orphans(self):
        """Return the loop devices whose image in a pool was deleted, on whatever host of this kernel."""
        return set(self.sh(f"losetup -n -l -O NAME,BACK-FILE | grep ' {POOL}/.*(deleted)' || true").splitlines())

    def wait(self, script, seconds=60):
        """Wait until a script succeeds on the host."""
        end = time.monotonic() + seconds
        while run("docker", "exec", self.name, "sh", "-c", script, check=False).returncode:
            assert time.monotonic() < end, f"not within {seconds} s: {script}"
            time.sleep(0.2)

    def power_cut(self):
        """Take the power away and bring it back."""
        run("docker", "kill", self.name)
        self.boot()

    def reboot(self):
        """Shut it down in order and start it again."""
        run("docker", "restart", "-t", "60", self.name)
        self.wait("systemctl is-active docker && docker version")

    def boot(self):
        """Start the host and wait until its engine answers."""
        run("docker", "start", self.name)
        self.wait("systemctl is-active docker && docker version")


def _modules():
    """Return an archive of the collection's modules and of what they import."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("__init__.py", "_vendor", "release.py", "module_utils"):
            tar.add(pathlib.Path(ansible.__file__).parent / name, f"ansible/{name}")
        for name in ("module_utils", "modules"):
            tar.add(ROOT / "plugins" / name, f"ansible_collections/stowage/fleet/plugins/{name}")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def lab():
    """A lab of one host with the storage role; STOWAGE_DISK_LAB names one that is there already and stays."""
    inventory = f"inventories/labs/{LAB}"
    own = "STOWAGE_DISK_LAB" not in os.environ
    if own:
        (ROOT / "build").mkdir(exist_ok=True)
        run(*LOCKED, BIN / "ansible-playbook", "-i", "localhost,", "playbooks/lab_up.yml", "-e", f"lab_name={LAB}",
            "-e", "lab_hosts=1", timeout=900)
    try:
        run(BIN / "ansible-playbook", "-i", inventory, "tests/integration/disks/storage.yml", timeout=600)
        host = Host(f"{LAB}-h1", inventory)
        host.sh(IMAGE)
        run("docker", "exec", "-i", host.name, "sh", "-c", f"rm -rf {CODE}; mkdir {CODE}; tar xC {CODE}",
            input=_modules(), text=False)
        yield host
    finally:
        if own:
            run(*LOCKED, BIN / "ansible-playbook", "-i", "localhost,", "playbooks/lab_down.yml",
                "-e", f"lab_name={LAB}", "-e", "lab_keep_images=true", timeout=300)


@pytest.fixture
def host(lab):
    """The lab's host for one test: see ``cleared``."""
    with cleared(lab) as one:
        yield one


@contextlib.contextmanager
def cleared(lab):
    """The lab's host, without containers and volumes before and after; a leaked loop device or mount is a failure."""
    _clear(lab)
    orphans = lab.orphans()
    try:
        yield lab
    finally:
        _clear(lab)
    assert lab.loops() == []
    # Those of another lab's hosts, which delete disks meanwhile, are gone in a moment; one that leaked stays.
    end = time.monotonic() + 10
    while not lab.orphans() <= orphans:
        assert time.monotonic() < end, lab.orphans() - orphans
    assert lab.sh(f"grep {POOL}/mounts /proc/mounts || true") == ""
    assert lab.sh(f"ls {POOL}/images {POOL}/mounts {POOL}/records | grep -v : || true") == ""


def _clear(host):
    host.sh("docker ps -aq | xargs -r docker rm -f")
    if host.sh(f"ls -A {POOL}/images {POOL}/mounts {POOL}/records | grep -v : || true") == "":
        return
    names = sorted(set(host.sh(f"cd {POOL}/records && ls | sed s/.json$//; cd {POOL}/images && ls | "
                               "grep -v '^[.]' | sed s/.img$//").split()))
    result = host.volume(*({"name": name, "state": "absent"} for name in names))
    assert not result.get("failed"), result
