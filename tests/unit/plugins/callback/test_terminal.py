# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the callback for terminals prints: of events, and of small playbooks that Ansible runs for real."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.stowage.fleet.plugins.callback.terminal import CallbackModule

OPTIONS = {"display_failed_stderr": False, "show_task_path_on_failure": False, "check_mode_markers": False,
           "show_custom_stats": False, "result_format": "yaml", "pretty_results": None}
HOSTS = """
all:
  vars: {ansible_connection: local}
  hosts: {h1: , h2: , h10: }
"""
PLAYBOOK = """
- name: Prepare the hosts
  hosts: all
  gather_facts: false
  tasks:
    - name: Look around
      ansible.builtin.debug: {msg: quiet}
      when: false
    - name: Install packages
      ansible.builtin.set_fact: {installed: 1}
      changed_when: true
    - ansible.builtin.debug: {msg: "all is well\\nso far"}
    - ansible.builtin.debug: {msg: "this is {{ inventory_hostname }}"}
    - name: Tolerate
      ansible.builtin.fail: {msg: "not so important\\nindeed"}
      ignore_errors: true
      run_once: true
    - name: Try
      block:
        - ansible.builtin.include_tasks: included.yml
      rescue:
        - ansible.builtin.set_fact: {rescued: 1}
    - name: Keep a secret
      ansible.builtin.fail: {msg: "the password is hunter2"}
      no_log: true
      ignore_errors: true
      when: inventory_hostname == 'h1'
    - name: Start containers
      ansible.builtin.fail: {msg: "acme_web_1: not healthy after 120 seconds:\\nconnection refused"}
      when: inventory_hostname == 'h2'
    - name: Start more of them
      ansible.builtin.fail: {msg: "no {{ item.name }}"}
      loop: [{name: disk, size: 1}, {name: core, size: 2}]
      loop_control: {label: "{{ item.name }}"}
      when: inventory_hostname == 'h10'
"""
INCLUDED = """
- name: Try something
  ansible.builtin.fail: {msg: it does not work}
  when: inventory_hostname == 'h10'
"""
SAID = """\
Prepare the hosts
  Install packages: changed h1, h2, h10
all is well
so far
h1: this is h1
h2: this is h2
h10: this is h10
  Tolerate:
    not so important (ignored)
  Try something:
    h10: it does not work (rescued)
  Keep a secret:
    h1: failed, and no_log hides why (ignored)
  Start containers:
    h2: acme_web_1: not healthy after 120 seconds:
      connection refused
  Start more of them:
    h10: disk: no disk
    h10: core: no core
"""
WAITING = """
- name: Wait
  hosts: h1,h2
  gather_facts: false
  tasks:
    - name: Go to work
      ansible.builtin.set_fact: {done: 1}
      changed_when: true
"""


def command(folder: Path, playbook: str) -> tuple[list[str], dict[str, str]]:
    (folder / "hosts.yml").write_text(HOSTS)
    (folder / "included.yml").write_text(INCLUDED)
    (folder / "play.yml").write_text(playbook)
    # A configuration of this folder: neither the checkout's nor the user's.
    (folder / "ansible.cfg").write_text("[defaults]\nstdout_callback = stowage.fleet.terminal\n")
    tool = Path(sys.executable).with_name("ansible-playbook")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment |= {"ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "TERM": "xterm"}
    return [str(tool), "-i", str(folder / "hosts.yml"), str(folder / "play.yml")], environment


def test_a_run_reads_as_what_changed_and_what_failed(tmp_path):
    line, environment = command(tmp_path, PLAYBOOK)
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2, done.stdout + done.stderr
    said, recap = done.stdout.split("\n\n")
    assert said + "\n" == SAID
    *hosts, total = recap.splitlines()
    assert [re.split(r"\s+:\s+|\s+", host)[:3] for host in hosts] == [
        ["h1", "ok=6", "changed=1"], ["h2", "ok=4", "changed=1"], ["h10", "ok=5", "changed=1"]]
    assert re.fullmatch(r"3 hosts: ok 15, changed 3, failed 2, rescued 1, ignored 2 in \d+ s", total)
    assert "hunter2" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout, "no status line where there is no terminal"


def test_a_terminal_shows_what_runs_until_there_is_something_to_say(tmp_path):
    line, environment = command(tmp_path, WAITING)
    ours, theirs = pty.openpty()
    with subprocess.Popen(line, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # Linux says so when the other end is closed
                break
    os.close(ours)
    screen = shown.decode()
    assert running.returncode == 0, screen
    assert re.search(r"\r\x1b\[KGo to work: running since [\d:]+, waiting for h1, h2\r", screen), screen
    assert re.search(r"\r\x1b\[KGo to work: 1 of 2 hosts since [\d:]+, waiting for h\d\r", screen), screen
    assert "\r\x1b[K  Go to work: changed h1, h2\r\n" in screen, "the line is erased first"
    assert screen.endswith(" s\r\n"), "and nothing of it is left"


class Run:
    """The callback, and events as a strategy sends them; under the names of old and of new versions of ansible-core."""

    def __init__(self) -> None:
        self.callback = CallbackModule()
        self.callback._plugin_options = dict(OPTIONS)

    def result(self, task, host, told):
        named = SimpleNamespace(get_name=lambda: host)
        return SimpleNamespace(host=named, _host=named, task=task, _task=task, result=told, _result=told)

    def end(self, counts=None):
        stats = SimpleNamespace(processed=counts or {}, summarize=lambda host: counts[host], custom={})
        self.callback.v2_playbook_on_stats(stats)


def task(name, **given):
    """A task as far as callbacks look at it."""
    return SimpleNamespace(**{"name": name, "_uuid": name, "run_once": False, "action": "stowage.fleet.containers",
                              "loop": None, "delegate_to": None, "check_mode": False, "_parent": None,
                              "ignore_unreachable": False, **given})


@pytest.fixture
def run(monkeypatch):
    made = Run()
    monkeypatch.setattr(made.callback._display, "columns", 79)
    monkeypatch.setattr(made.callback._display, "verbosity", 0)
    return made


def diff(before, after):
    return {"changed": True, "diff": {"before": before, "after": after}}


def change(run, task, told):
    for host, outcome in told.items():
        run.callback.v2_on_file_diff(run.result(task, host, dict(outcome)))
        run.callback.v2_runner_on_ok(run.result(task, host, dict(outcome)))


def test_equal_diffs_are_printed_once_below_the_names_of_their_hosts(run, capsys):
    change(run, task("Write"), {"h3": diff("a\n", "b\n"), "h2": diff("a\n", "c\n"), "h1": diff("a\n", "b\n")})
    run.end()
    said = capsys.readouterr().out
    assert said.startswith("  Write: changed h1, h2, h3\n    h1, h3:\n--- before\n+++ after\n@@ -1 +1 @@\n-a\n+b\n")
    assert "\n    h2:\n--- before\n" in said
    assert said.count("+b\n") == 1


def test_one_diff_of_all_that_changed_needs_no_names_of_its_own(run, capsys):
    change(run, task("Write"), {"h1": diff("a\n", "b\n"), "h2": diff("a\n", "b\n")})
    run.end()
    assert capsys.readouterr().out.startswith("  Write: changed h1, h2\n--- before\n")


def test_what_the_fleet_as_a_whole_is_told_names_no_host(run, capsys):
    prepared = {"changed": True, "diff": {"prepared": "+ create acme_web_0 on h2\n"}}
    change(run, task("Show the plan", run_once=True), {"h1": prepared})
    run.end()
    assert capsys.readouterr().out.startswith("  Show the plan: changed\n+ create acme_web_0 on h2\n")


def test_a_silent_host_is_said_to_be_silent(run, capsys):
    told = {"msg": "Connection refused", "unreachable": True}
    run.callback.v2_runner_on_unreachable(run.result(task("Ping"), "h3", told))
    assert capsys.readouterr().out == "  Ping:\n    h3 does not answer: Connection refused\n"


def test_a_result_without_words_is_printed_as_ansible_prints_it(run, capsys):
    run.callback.v2_runner_on_failed(run.result(task("Ask"), "h1", {"changed": False, "answer": 42}))
    assert capsys.readouterr().out == "  Ask:\n    h1: answer: 42\n      changed: false\n"


def test_many_hosts_fold(run, capsys):
    change(run, task("Start"), {f"host-{number}": {"changed": True} for number in range(1, 41)})
    run.end()
    assert capsys.readouterr().out.splitlines()[0] == (
        "  Start: changed host-1, host-2, host-3, host-4, host-5, host-6 and 34 more")


def test_details_are_ansibles_own(run, capsys, monkeypatch):
    monkeypatch.setattr(run.callback._display, "verbosity", 1)
    run.callback._last_task_banner = "Ask"
    run.callback.v2_runner_on_failed(run.result(task("Ask"), "h1", {"msg": "no"}))
    assert capsys.readouterr().out.startswith("fatal: [h1]: FAILED! => ")
