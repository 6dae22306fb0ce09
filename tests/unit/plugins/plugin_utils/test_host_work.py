# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host is told of a plan, and what is made of its answers."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.host_work import HostWork
from ansible_collections.stowage.fleet.plugins.plugin_utils.job_board import JobBoard
from ansible_collections.stowage.fleet.plugins.plugin_utils.run_folder import RunFolder

STEPS = [{"name": name, "kind": "apply", "hosts": ["h1"]} for name in ("Start a", "Start b")]
COMMON = {"changes": True, "claim": {"id": "x", "serial": 2, "base_serial": 1}, "by": "alice@control", "networks": [],
          "steps": STEPS}


def job(index, *names, kind="apply", **more):
    return {"index": index, "name": f"step {index}", "kind": kind, "waits_for": [], "remove": [], "keep_disks": [],
            "disks": [], "instances": [{"name": name} for name in names], **more}


def row(name, **more):
    return {"name": name, "failed": False, "waiting": False, "msg": "", **more}


class Host:
    """Answers like the modules of a host, with what it is told to."""

    def __init__(self, folder, jobs, *answers, known=None, check=False, options=None):
        self.calls = []
        self.answers = list(answers)
        policies = {phase: {":common": "c1", "acme": f"a-{phase}"} for phase in ("before", "during", "after")}
        mine = {"jobs": jobs, "keep": [{"name": "acme_db_0"}], "keep_instances": ["acme_db_0"], "policies": policies,
                "known": known or {}, "ledger": {"keepers": ["h1"], "digest": "d"}, "unwell": False}
        self.work = HostWork("h1", options or {}, COMMON, mine, folder, self.call, check)
        self.board = JobBoard(folder, STEPS, "h1")

    def call(self, module, options):
        self.calls.append((module, options))
        return self.answers.pop(0) if self.answers else {"changed": False}

    def do(self, jobs, more=False):
        return self.work.do(jobs, more, self.board, lambda text: None)


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder("fleet", str(tmp_path))
    folder.write("policies", "c1", {"protected": ["10.0.0.1"], "gateways": []})
    for phase in ("before", "during", "after"):
        folder.write("policies", f"a-{phase}", {"members": [{"name": phase}], "allow": []})
    folder.write("plan", "ledger", {"instances": []})
    return folder


def test_jobs_that_are_ready_together_are_one_call(folder):
    jobs = [job(0, "acme_a_0"), job(1, "acme_b_0")]
    host = Host(folder, jobs, {"changed": True, "containers": [row("acme_a_0"), row("acme_b_0")]})
    assert host.do(jobs)["changed"]
    ((module, options),) = host.calls
    assert module == "containers"
    assert [one["name"] for one in options["instances"]] == ["acme_a_0", "acme_b_0"]
    assert all(host.board.is_reported(one) for one in jobs)


def test_who_is_not_healthy_yet_is_asked_for_again_and_others_go_on(folder):
    jobs = [job(0, "acme_a_0"), job(1, "acme_b_0")]
    host = Host(folder, jobs, {"changed": True, "containers": [row("acme_a_0"), row("acme_b_0", waiting=True)]})
    host.do(jobs)
    assert host.board.is_reported(jobs[0])
    assert not host.board.is_reported(jobs[1])
    assert host.calls[0][1]["wait_groups"] == [["acme_a_0"], ["acme_b_0"]]


def test_one_container_that_fails_fails_its_own_job_only(folder):
    jobs = [job(0, "acme_a_0"), job(1, "acme_b_0")]
    failed = row("acme_a_0", failed=True, msg="not healthy")
    host = Host(folder, jobs, {"failed": True, "msg": "acme_a_0: not healthy",
                               "containers": [failed, row("acme_b_0")]})
    assert host.do(jobs)["msg"] == "acme_a_0: not healthy"
    assert [why for _step, _host, why in host.board.failures()] == ["acme_a_0: not healthy"]


def test_a_host_that_refuses_fails_all_that_it_was_to_do(folder):
    jobs = [job(0, "acme_a_0"), job(1, "acme_b_0")]
    host = Host(folder, jobs, {"failed": True, "msg": "this host is locked", "containers": []})
    host.do(jobs)
    assert [why for _step, _host, why in host.board.failures()] == ["this host is locked"] * 2


def test_only_those_parts_of_the_policy_are_sent_that_the_host_does_not_know(folder):
    host = Host(folder, [], {"changed": False}, {"changed": False}, known={":common": "c1"})
    host.work.settle()
    told = host.calls[0][1]["isolation"]
    assert told["digests"] == {":common": "c1", "acme": "a-after"}
    assert told["clusters"] == {"acme": {"members": [{"name": "after"}], "allow": []}}
    assert "protected" not in told


def test_a_keeper_gets_the_body_of_the_ledger(folder):
    host = Host(folder, [])
    host.work.claim()
    assert host.calls[0][1]["ledger"]["body"] == {"instances": []}
    assert host.calls[0][1]["claim"] is True


def test_settling_keeps_filters_and_old_disks_in_one_call(folder):
    host = Host(folder, [], options={"keep_disks_days": 3})
    host.work.settle()
    ((_module, options),) = host.calls
    assert (options["filters"], options["keep_disks_days"], options["keep_instances"]) == ("all", 3, ["acme_db_0"])
    assert options["observe"] == "always"


def test_disks_are_moved_by_their_own_action_and_reported(folder):
    carry = job(0, kind="carry", disks=[{"name": "acme_a_0"}])
    host = Host(folder, [carry], {"changed": True}, options={"pool": "/pool", "parallel_moves": 3})
    assert host.do([carry])["changed"]
    ((module, options),) = host.calls
    assert (module, options["operation"], options["parallel"], options["pool"]) == ("disk_move", "carry", 3, "/pool")
    assert host.board.is_reported(carry)
