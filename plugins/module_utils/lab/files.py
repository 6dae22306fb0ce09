# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a lab: its SSH key, the host keys it trusts, and its inventory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

from ..common.errors import HostError

_HEADER = "# Written by `make lab`; a change made here is lost the next time.\n"


class LabFiles:
    """The folder with keys (``directory``) and the inventory file of one lab.

    All belong to whoever owns the folder above, so that a user who runs the lab with sudo can read them.
    """

    def __init__(self, directory, inventory, check_mode=False):
        self.directory = directory
        self.inventory = inventory
        self.check_mode = check_mode
        self.key = os.path.join(directory, "id_ed25519")
        self.known_hosts = os.path.join(directory, "known_hosts")

    def ensure_key(self, name):
        """Make the lab's key pair if there is none; return whether it was missing."""
        if os.path.exists(self.key) and os.path.exists(f"{self.key}.pub"):
            return False
        if not self.check_mode:
            self._make_folder(self.directory, 0o700)
            for path in (self.key, f"{self.key}.pub"):
                _remove(path)
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"stowage lab {name}", "-f", self.key]
            # The files of a lab are made without a module at hand.
            # pylint: disable-next=ansible-bad-function
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if done.returncode:
                raise HostError(f"ssh-keygen could not make the key {self.key}: {done.stderr.strip()}")
            self._give(self.key)
            self._give(f"{self.key}.pub")
        return True

    def public_key(self):
        """Return the public key, or nothing in check mode when there is none yet."""
        if self.check_mode and not os.path.exists(f"{self.key}.pub"):
            return ""
        with open(f"{self.key}.pub", encoding="utf-8") as stream:
            return stream.read().strip()

    def write_known_hosts(self, hosts):
        """Write the host keys; ``hosts`` are {name, address, host_key}. Return whether the file changed."""
        lines = [f"{host['name']},{host['address']} {host['host_key']}\n" for host in hosts if host.get("host_key")]
        return self._write(self.known_hosts, "".join(lines), 0o600)

    def write_inventory(self, data):
        """Write the inventory, given as data; JSON is YAML, and needs no library. Return whether the file changed."""
        return self._write(self.inventory, _HEADER + json.dumps(data, indent=2) + "\n", 0o644)

    def remove(self):
        """Remove all files, and folders that are empty then; return whether there were any."""
        present = [path for path in (self.directory, self.inventory) if os.path.exists(path)]
        if not self.check_mode:
            shutil.rmtree(self.directory, ignore_errors=True)
            _remove(self.inventory)
            folder = os.path.dirname(self.inventory)
            for empty in (folder, os.path.dirname(folder), os.path.dirname(self.directory)):
                _remove_empty(empty)
        return bool(present)

    def _write(self, path, text, mode):
        try:
            with open(path, encoding="utf-8") as stream:
                if stream.read() == text:
                    return False
        except OSError:
            pass
        if not self.check_mode:
            self._make_folder(os.path.dirname(path), 0o755)
            partial = f"{path}.partial.txt"
            with open(partial, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.chmod(partial, mode)
            self._give(partial)
            os.replace(partial, path)
        return True

    def _make_folder(self, path, mode):
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for folder in reversed(missing):
            os.mkdir(folder, mode)
            self._give(folder)

    @staticmethod
    def _give(path):
        owner = os.stat(os.path.dirname(path))
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)


def inventory_data(lab):
    """Return the inventory of a lab as plain data. ``lab`` holds hosts, network layout, key and known_hosts."""
    # A connection to a host that lost its power must not hang until TCP gives up.
    arguments = (
        f"-o UserKnownHostsFile={lab['known_hosts']} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes "
        "-o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=3"
    )
    network = {key: lab["network"][key] for key in ("subnet", "gateway", "pool")}
    return {
        "fleet": {
            "hosts": {
                host["name"]: {"ansible_host": host["address"], "stowage_host_labels": host["labels"]}
                for host in lab["hosts"]
            },
            "vars": {
                "ansible_user": "root",
                "ansible_ssh_private_key_file": lab["key"],
                "ansible_ssh_common_args": arguments,
                "ansible_python_interpreter": "/usr/bin/python3",
                "stowage_networks": {"lan": {"driver": "macvlan", "parent": "eth0", **network}},
            },
        }
    }


def _remove(path):
    if os.path.lexists(path):
        os.unlink(path)


def _remove_empty(path):
    """Remove a folder if it is empty."""
    try:
        os.rmdir(path)
    except OSError:
        pass
