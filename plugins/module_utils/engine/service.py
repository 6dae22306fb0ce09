# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker engine as a service of the host: its validator, its restarts, and what it says when it fails.

This works before the engine runs and before its Python SDK is installed, so it needs neither.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import tempfile
import time

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import HostError
from ansible_collections.stowage.fleet.plugins.module_utils.common.files import write_text

NOBODY = 65534
# What an engine older than 23.0 says when its configuration is good and it was started without root's rights.
NEEDS_ROOT = "needs to be started with root"
FATAL = re.compile(r"(?:failed to (?:start|load) |unable to configure |Error starting )[^\n]+")


class EngineService:
    """One engine, run by systemd. ``run`` takes an argument list and returns ``(rc, out, err)``.

    :arg name: the service's name
    :arg program: the engine's program, whose validator is asked
    :arg address: path of its Unix socket
    :arg timeout: seconds that the engine may take to come up
    """

    def __init__(self, run, name="docker", program="dockerd", address="/run/docker.sock", timeout=60):
        self.run = run
        self.name = name
        self.program = program
        self.address = address
        self.timeout = timeout

    def installed(self):
        """Say whether the engine's program is on this host."""
        return self.run([self.program, "--version"])[0] == 0

    def complaint_about(self, text):
        """Return what the engine's own validator has against a configuration; ``None`` where it is good.

        Engines before 23.0 have no ``--validate``. They check their configuration before they look at who started
        them, so one started as nobody checks it all and then stops, before it makes a file or opens a socket.
        """
        validates = "--validate" in "".join(self.run([self.program, "--help"])[1:])
        draft = tempfile.mkdtemp(prefix="stowage-engine-")
        path = os.path.join(draft, "daemon.json")
        try:
            write_text(path, text, 0o400)
            if validates:
                code, out, err = self.run([self.program, "--validate", "--config-file", path])
                return None if code == 0 else last_line(out + err).replace(path, "daemon.json")
            os.chown(path, NOBODY, NOBODY)
            os.chown(draft, NOBODY, NOBODY)
            as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            said = "".join(self.run([*as_nobody, self.program, "--config-file", path])[1:])
            return None if NEEDS_ROOT in said else last_line(said).replace(path, "daemon.json")
        finally:
            shutil.rmtree(draft)

    def enabled(self):
        """Say whether the service starts at boot."""
        return self.run(["systemctl", "is-enabled", "--quiet", self.name])[0] == 0

    def enable(self):
        """Let the service start at boot. Raises ``HostError`` where systemd refuses."""
        code, out, err = self.run(["systemctl", "enable", self.name])
        if code != 0:
            raise HostError(f"The service {self.name} can't be enabled: {last_line(out + err)}.")

    def active(self):
        """Say whether the service runs. Asks systemd, since asking the engine's socket would start it."""
        return self.run(["systemctl", "is-active", "--quiet", self.name])[0] == 0

    def restart(self):
        """Restart the engine; return ``None`` once it answers, or what it said when it failed."""
        units = [f"{self.name}.service", f"{self.name}.socket"]
        # Its unit may have a new drop-in.
        self.run(["systemctl", "daemon-reload"])
        # An engine that failed a few times in a row is not started again before its count is cleared.
        self.run(["systemctl", "reset-failed", *units])
        since = int(time.time())
        code, out, err = self.run(["timeout", str(self.timeout), "systemctl", "restart", units[0]])
        if code == 0 and self._wait_for(lambda: self.info() is not None):
            return None
        if code in (0, 124):
            return f"it did not answer within {self.timeout} seconds"
        return self._last_words(since) or last_line(out + err)

    def enable_live_restore(self):
        """Let the running engine take up live-restore from its file, so that a restart leaves its containers alone."""
        if not self.active() or (self.info() or {}).get("LiveRestoreEnabled"):
            return
        self.run(["systemctl", "reload", self.name])
        self._wait_for(lambda: (self.info() or {}).get("LiveRestoreEnabled"), seconds=10)

    def info(self):
        """Return what the engine says of itself (``GET /info``), or ``None`` while it does not answer."""
        connection = UnixConnection(self.address, timeout=10)
        try:
            connection.request("GET", "/info")
            response = connection.getresponse()
            return json.loads(response.read()) if response.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def _wait_for(self, reached, seconds=None):
        end = time.monotonic() + (self.timeout if seconds is None else seconds)
        while not reached():
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def _last_words(self, since):
        log = self.run(["journalctl", "--unit", self.name, "--since", f"@{since}", "--output", "cat", "--no-pager"])[1]
        found = FATAL.findall(log)
        return found[-1].strip() if found else None


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, address, timeout):
        super().__init__("localhost", timeout=timeout)
        self.address = address

    def connect(self):
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.address)


def last_line(text):
    """Return the last line of ``text`` that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"
