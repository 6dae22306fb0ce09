# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hosts' processes see what is done, what failed, and whether waiting makes sense."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.job_board import JobBoard, refusals
from ansible_collections.stowage.fleet.plugins.plugin_utils.run_folder import CLAIMS, RunFolder

STEPS = [{"name": "Start group db of acme", "kind": "apply", "hosts": ["h1", "h2"]},
         {"name": "Start group web of acme", "kind": "apply", "hosts": ["h2"]}]


@pytest.fixture
def folder(tmp_path):
    return RunFolder("fleet", str(tmp_path))


def job(index, waits_for=()):
    return {"index": index, "waits_for": [list(wait) for wait in waits_for]}


def test_a_job_waits_until_every_host_of_the_step_before_is_done(folder):
    one, two = JobBoard(folder, STEPS, "h1"), JobBoard(folder, STEPS, "h2")
    web = job(1, [(0, None)])
    one.report(job(0))
    assert two.obstacle(web).text == "waits for 'Start group db of acme' on h2"
    assert not two.obstacle(web).final
    two.report(job(0))
    assert two.obstacle(web) is None


def test_a_job_is_given_up_when_what_it_waits_for_failed(folder):
    one, two = JobBoard(folder, STEPS, "h1"), JobBoard(folder, STEPS, "h2")
    one.report(job(0), "acme_db_0: not healthy")
    obstacle = two.obstacle(job(1, [(0, ["h1"])]))
    assert obstacle.final
    assert obstacle.text == "waits for 'Start group db of acme', which is not done on h1"


def test_nobody_is_stopped_by_what_is_only_tried(folder):
    steps = [{**STEPS[0], "kind": "open"}, STEPS[1]]
    JobBoard(folder, steps, "h1").report(job(0), "it did not answer")
    assert JobBoard(folder, steps, "h2").obstacle(job(1, [(0, ["h1"])])) is None


def test_waiting_makes_sense_while_somebody_works(folder):
    one, two = JobBoard(folder, STEPS, "h1"), JobBoard(folder, STEPS, "h2")
    two.start(working=False)
    assert not two.can_progress(["h1", "h2"], forks=2, starting=False)
    assert two.can_progress(["h1", "h2"], forks=2, starting=True)
    one.start(working=True)
    assert two.can_progress(["h1", "h2"], forks=2, starting=False)
    one.start(working=False)
    assert not two.can_progress(["h1", "h2"], forks=2, starting=True)


def test_a_process_that_died_counts_for_nobody_who_works(folder):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder.write("active", "h1", ["working", dead.pid])
    assert not JobBoard(folder, STEPS, "h2").can_progress(["h1", "h2"], forks=2, starting=False)


def test_who_waits_in_vain_twice_is_stuck(folder):
    board = JobBoard(folder, STEPS, "h2")
    assert not board.is_stuck()
    assert board.is_stuck()
    JobBoard(folder, STEPS, "h1").report(job(0))
    assert not board.is_stuck()


def test_the_jobs_of_a_host_that_did_not_take_the_plan_have_failed(folder):
    folder.write(CLAIMS, "h1", "Plan x is outdated")
    folder.write(CLAIMS, "h2", "")
    refused = refusals(folder, ["h1", "h2", "h3"])
    assert refused == {"h1": "Plan x is outdated", "h3": "it did not answer"}
    board = JobBoard(folder, STEPS, "h2")
    board.give_up_on(refused)
    assert board.obstacle(job(1, [(0, ["h1"])])).final
    assert [(step["name"], host, why) for step, host, why in board.failures()] == [
        ("Start group db of acme", "h1", "Plan x is outdated"),
        ("Start group db of acme", "h2", "was not reached"),
        ("Start group web of acme", "h2", "was not reached"),
    ]


def test_names_of_hosts_may_hold_anything(folder):
    folder.write("hosts", "../../etc/passwd\n", {"a": 1})
    assert folder.read("hosts", "../../etc/passwd\n") == {"a": 1}
    assert folder.read("hosts", "other") is None
