# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine of one host does not run and can't be started; the others converge, and the exit code tells."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def silent(fleet):
    """The host without an engine: one that runs a front end."""
    host = fleet.named("acme_web_")[-1].host
    fleet.on(host).check_output("systemctl mask --now docker.service docker.socket")
    yield host
    fleet.on(host).check_output("systemctl unmask docker.service docker.socket")
    fleet.on(host).check_output("systemctl start docker.service")
    fleet.wait_for_host(host)
    fleet.converge()


def test_the_others_converge_and_the_exit_code_tells(fleet, silent):
    living = [host for host in fleet.hosts if host != silent]
    lost = next(name for name in fleet.ids(living[0]) if name.startswith("acme_zookeeper_"))
    whole = set(fleet.ids(*living))
    fleet.on(living[0]).check_output("docker rm -f %s", lost)

    run = fleet.play("site", "--tags", "containers")

    assert run.rc != 0
    assert run.recap[silent]["failed"] > 0, run.output
    assert "Traceback" not in run.output
    assert silent in run.output
    for host in living:
        assert run.recap[host]["failed"] == 0, run.output
    found = fleet.containers(*living)
    assert set(found) == whole, "healed, and nothing taken over"
