# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run is killed in the middle, as by a closed laptop; the next one finishes the job."""

from __future__ import annotations

import os
import signal
import subprocess


def test_the_next_run_finishes_what_a_killed_one_began(fleet, wait_until):
    whole = set(fleet.ids())
    for host in fleet.hosts:
        fleet.on(host).check_output("docker ps -aq --filter label=stowage.fleet | xargs -r docker rm -f")
    run = subprocess.Popen(
        fleet.command("site", "--tags", "containers"), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    wait_until(fleet.ids, "the first container is there")
    assert run.poll() is None, "the run was over before it could be killed"
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert set(fleet.ids()) < whole, "killed in the middle"
    fleet.converge()
    found = fleet.containers()
    assert set(found) == whole
    assert all(container.running for container in found.values())
    again = fleet.converge()
    assert again.changed() == {}, again.output
