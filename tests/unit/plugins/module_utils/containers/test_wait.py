# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until containers are well, by a clock of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import EngineError
from ansible_collections.stowage.fleet.plugins.module_utils.containers.replace import Result
from ansible_collections.stowage.fleet.plugins.module_utils.containers.wait import SETTLE, Waiter


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0
        self.pauses = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


class Engine:
    """Containers that go through states: ``(until, state, status)`` in order of time, the last one for ever."""

    def __init__(self, clock, inspections=None, log="", **lives):
        self.clock = clock
        self.lives = lives
        self.inspections = inspections or {}
        self.log = log
        self.lists = 0

    def list_containers(self):
        self.lists += 1
        found = []
        for name, life in self.lives.items():
            state, status = next((step[1:] for step in life if self.clock.now < step[0]), life[-1][1:])
            if state:
                found.append({"Id": name, "Names": [f"/{name}"], "State": state, "Status": status})
        return found

    def inspect(self, name):
        if name not in self.lives:
            raise EngineError("No such container")
        inspection = {"Id": name, "State": {"Status": "running"}, "RestartCount": 0, **self.inspections.get(name, {})}
        if isinstance(inspection.get("error"), Exception):
            raise inspection["error"]
        return inspection

    def logs(self, ident, lines):
        return self.log


EVER = float("inf")
RUNS = [(EVER, "running", "Up 1 second")]
HEALTHY = [(EVER, "running", "Up 1 second (healthy)")]
STARTING = [(EVER, "running", "Up 1 second (health: starting)")]


def wait(engine, timeout=10, started=0.0, results=None, **options):
    """Wait for all containers of the engine; return {name: sentence} of those that failed."""
    if results is None:
        results = [Result(name) for name in engine.lives]
        for result in results:
            result.started = started
    with ThreadPoolExecutor(1) as pool:
        Waiter(engine, results, pool, timeout, clock=engine.clock, sleep=engine.clock.sleep, **options).wait()
    return {result.name: "; ".join(result.notes) for result in results if result.failed}


@pytest.fixture
def clock():
    return Clock()


def test_nothing_to_wait_for_takes_one_look_and_no_time(clock):
    engine = Engine(clock)
    assert wait(engine) == {}
    assert (engine.lists, clock.pauses) == (1, [])


def test_a_healthy_container_is_well_at_once(clock):
    assert wait(Engine(clock, a=HEALTHY)) == {}
    assert clock.now == 0


def test_a_container_that_ran_before_this_run_is_well_at_once(clock):
    assert wait(Engine(clock, a=RUNS), started=None) == {}
    assert clock.now == 0


def test_a_fresh_container_without_a_health_check_has_to_stand_for_a_moment(clock):
    assert wait(Engine(clock, a=RUNS)) == {}
    assert SETTLE <= clock.now < SETTLE + 0.5


def test_a_container_is_waited_for_until_its_check_says_healthy(clock):
    life = [(2, "running", "Up 1 second (health: starting)"), (5, "running", "Up 4 seconds (unhealthy)"), *HEALTHY]
    assert wait(Engine(clock, a=life)) == {}
    assert 5 <= clock.now < 6


def test_one_list_tells_about_all_containers(clock):
    engine = Engine(clock, **{f"c{number}": STARTING for number in range(40)})
    wait(engine, timeout=1)
    assert engine.lists == len(clock.pauses) + 1


def test_looks_come_less_often_the_longer_it_takes(clock):
    wait(Engine(clock, a=STARTING), timeout=5)
    assert clock.pauses == sorted(clock.pauses)
    assert (clock.pauses[0], clock.pauses[-1]) == (0.02, 0.5)


def test_no_look_comes_later_than_one_pause_after_the_time_is_over(clock):
    wait(Engine(clock, a=STARTING), timeout=3)
    assert 3 <= clock.now <= 3.5


def test_a_container_that_stops_right_away_fails_with_its_last_words(clock):
    engine = Engine(clock, log="no such file: /etc/app.conf", a=[(EVER, "exited", "Exited (1) 1 second ago")])
    assert wait(engine) == {"a": "it stopped right after its start: Exited (1) 1 second ago; it wrote last: "
                                 "no such file: /etc/app.conf"}
    assert clock.now == 0


def test_long_last_words_are_cut_to_their_end(clock):
    engine = Engine(clock, log="x" * 5000 + "the end", a=[(EVER, "dead", "Dead")])
    said = wait(engine)["a"]
    assert said.endswith("the end")
    assert len(said) < 1200


def test_a_container_that_vanishes_fails(clock):
    assert wait(Engine(clock, a=[(1, "running", "Up (health: starting)"), (EVER, None, None)])) == {
        "a": "it vanished while it was waited for"}


def test_a_container_that_falls_over_again_and_again_fails_though_it_runs_now_and_then(clock):
    crashes = {"a": {"RestartCount": 3, "State": {"Status": "running", "ExitCode": 137}}}
    assert wait(Engine(clock, crashes, log="out of luck", a=RUNS)) == {
        "a": "it is restarting repeatedly: restarted 3 times, exit status 137; it wrote last: out of luck"}
    assert clock.now < 1


def test_a_container_between_two_restarts_fails_as_one_that_falls_over(clock):
    crashes = {"a": {"RestartCount": 1, "State": {"Status": "restarting", "ExitCode": 1}}}
    said = wait(Engine(clock, crashes, a=[(EVER, "restarting", "Restarting (1) 1 second ago")]))
    assert "restarted 1 times, exit status 1" in said["a"]


def test_restarts_before_this_run_do_not_count(clock):
    crashes = {"a": {"RestartCount": 3, "State": {"Status": "running", "ExitCode": 137}}}
    assert wait(Engine(clock, crashes, a=RUNS), started=None) == {}


def test_a_restarted_container_with_a_health_check_is_judged_by_its_check(clock):
    starting = {"a": {"RestartCount": 2, "State": {"Status": "running", "Health": {"Status": "starting"}}}}
    life = [(1, "running", "Up Less than a second"), *HEALTHY]
    assert wait(Engine(clock, starting, a=life)) == {}
    assert clock.now >= 1


def test_a_container_that_is_not_well_in_time_fails_with_what_its_check_said(clock):
    log = [{"Output": "first"}, {"Output": " connection refused\n"}]
    ill = {"a": {"State": {"Status": "running", "Health": {"Status": "unhealthy", "Log": log}}}}
    assert wait(Engine(clock, ill, a=STARTING), timeout=2) == {
        "a": "not healthy after 2 seconds: health is unhealthy; its last check said: connection refused"}


def test_a_container_without_a_check_that_is_not_well_in_time_fails_with_its_state(clock):
    paused = {"a": {"State": {"Status": "paused"}}}
    assert wait(Engine(clock, paused, a=[(EVER, "paused", "Up 1 second (Paused)")]), timeout=2) == {
        "a": "not healthy after 2 seconds: state is paused"}


def test_an_engine_that_does_not_tell_why_is_quoted(clock):
    silent = {"a": {"error": EngineError("the engine does not answer")}}
    assert wait(Engine(clock, silent, a=STARTING), timeout=1) == {
        "a": "not healthy after 1 seconds: the engine does not answer"}


def test_one_container_that_fails_takes_nothing_from_the_others(clock):
    engine = Engine(clock, a=[(EVER, "exited", "Exited (1)")], b=[(3, "running", "Up (health: starting)"), *HEALTHY])
    assert list(wait(engine)) == ["a"]
    assert clock.now >= 3


def test_what_failed_before_is_not_waited_for(clock):
    result = Result("a")
    result.fail("it could not be made")
    engine = Engine(clock)
    wait(engine, results=[result])
    assert result.notes == ["it could not be made"]
    assert clock.now == 0


def test_without_time_there_is_one_look(clock):
    engine = Engine(clock, a=STARTING)
    assert "not healthy after 0 seconds" in wait(engine, timeout=0)["a"]
    assert (engine.lists, clock.pauses) == (1, [])


def left_waiting(engine, **options):
    """Wait; return the names of those that were left, neither well nor failed."""
    results = [Result(name) for name in engine.lives]
    assert wait(engine, results=results, **options) == {}
    return [result.name for result in results if result.waiting]


def test_what_takes_longer_than_the_patience_is_left_waiting_and_has_not_failed(clock):
    assert left_waiting(Engine(clock, a=STARTING, b=HEALTHY), timeout=60, patience=2) == ["a"]
    assert 2 <= clock.now <= 2.5


def test_no_patience_is_longer_than_the_time_there_is(clock):
    assert "not healthy after 3 seconds" in wait(Engine(clock, a=STARTING), timeout=3, patience=60)["a"]


def test_nobody_waits_for_the_others_once_one_group_is_well(clock):
    engine = Engine(clock, a=[(2, "running", "Up (health: starting)"), *HEALTHY], b=HEALTHY, c=STARTING)
    assert left_waiting(engine, timeout=60, groups=[["a", "b"], ["c"]]) == ["c"]
    assert 2 <= clock.now <= 2.5


def test_groups_that_are_all_well_leave_nobody_waiting(clock):
    assert left_waiting(Engine(clock, a=HEALTHY, b=HEALTHY), timeout=60, groups=[["a"], ["b"]]) == []


def test_a_group_that_is_half_well_is_waited_for(clock):
    engine = Engine(clock, a=HEALTHY, b=[(5, "running", "Up (health: starting)"), *HEALTHY])
    assert left_waiting(engine, timeout=60, groups=[["a", "b"]]) == []
    assert clock.now >= 5
