# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells people at terminals what changed and what failed, and nothing else."""

from __future__ import annotations

DOCUMENTATION = r"""
name: terminal
type: stdout
short_description: Say what changed and what failed, in lines that people read
version_added: 0.1.0
author: The stowage.fleet maintainers (@stowage)
description:
  - For people at terminals. Tasks in which nothing changed and nothing failed make no lines.
  - Hosts that changed stand in one line behind the task's title, a failure in a sentence of its own, once. Failures
    that are ignored or that a C(rescue) takes up make one short line. Equal diffs of several hosts, and equal messages
    of M(ansible.builtin.debug), are printed once.
  - The recap has the lines of Ansible's own. With more than ten hosts it names those that changed, failed or do not
    answer. Its last line adds them up.
  - Warnings, deprecations and what tasks print themselves appear as ever.
  - With C(-v) and more, all is as the callback plugin P(ansible.builtin.default#callback) prints it.
    O(display_ok_hosts), O(display_skipped_hosts) and O(show_per_host_start) matter only then.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  status_line:
    description:
      - Show the running task, how many hosts are done with it, and whom it waits for, in a line that is redrawn in
        place.
      - Only where the output is a terminal that can do that.
    type: bool
    default: true
    env:
      - name: STOWAGE_STATUS_LINE
    ini:
      - section: callback_stowage_terminal
        key: status_line
requirements:
  - set as stdout in configuration
"""

EXAMPLES = r"""
# Switch it on, in ansible.cfg:
#
#   [defaults]
#   stdout_callback = stowage.fleet.terminal
#
# or for one run, and off again where ansible.cfg has it:
#
#   ANSIBLE_STDOUT_CALLBACK=stowage.fleet.terminal ansible-playbook stowage.fleet.site
#   ANSIBLE_STDOUT_CALLBACK=default ansible-playbook stowage.fleet.site
#
# What it prints:
#
#   Prepare the hosts
#     Install packages: changed h1, h2, h3
#   Place the containers
#     Start containers of acme:
#       h2: acme_web_1: not healthy after 120 seconds: connection refused
#       changed h1, h3
#
#   h1                         : ok=14   changed=2    unreachable=0    failed=0    skipped=9    rescued=0    ignored=0
#   h2                         : ok=13   changed=1    unreachable=0    failed=1    skipped=9    rescued=0    ignored=0
#   h3                         : ok=14   changed=2    unreachable=0    failed=0    skipped=9    rescued=0    ignored=0
#   3 hosts: ok 41, changed 5, failed 1 in 2 min 31 s
"""

import functools
import os
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from ansible import constants, context
from ansible.playbook.block import Block
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as DefaultCallback
from ansible.utils.color import colorize, hostcolor

from ansible_collections.stowage.fleet.plugins.plugin_utils.terminal import text
from ansible_collections.stowage.fleet.plugins.plugin_utils.terminal.status import StatusLine

#: Columns from the left of tasks below their play, and of hosts below their task.
TASK = 2
HOST = 4
#: Up to so many hosts the recap names all.
RECAP_HOSTS = 10
#: Width of short lines where no terminal has one.
LOG_WIDTH = 160
_DEBUG = ("debug", "ansible.builtin.debug", "ansible.legacy.debug")
_COUNTS = (
    ("ok", "ok", constants.COLOR_OK),
    ("changed", "changed", constants.COLOR_CHANGED),
    ("unreachable", "unreachable", constants.COLOR_UNREACHABLE),
    ("failed", "failures", constants.COLOR_ERROR),
    ("skipped", "skipped", constants.COLOR_SKIP),
    ("rescued", "rescued", constants.COLOR_OK),
    ("ignored", "ignored", constants.COLOR_WARN),
)


@dataclass
class _Heard:
    """What hosts have said about one task so far."""

    id: str
    title: str
    fleetwide: bool
    since: str = field(default_factory=lambda: time.strftime("%H:%M:%S"))
    titled: bool = False
    working: list[str] = field(default_factory=list)
    done: int = 0
    changed: list[str] = field(default_factory=list)
    failed_items: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    diffs: list[tuple[str, str]] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)

    def doing(self) -> str:
        """Return the status line."""
        of = f"{self.done} of {self.done + len(self.working)} hosts" if self.done else "running"
        return f"{self.title}: {of} since {self.since}, waiting for {', '.join(text.in_order(self.working))}"


def _unless_verbose(method: Callable[..., None]) -> Callable[..., None]:
    """Leave an event to Ansible's own callback where somebody asked for details."""

    @functools.wraps(method)
    def chosen(self: CallbackModule, *arguments: Any, **options: Any) -> None:
        if self._display.verbosity:
            getattr(super(CallbackModule, self), method.__name__)(*arguments, **options)
        else:
            method(self, *arguments, **options)

    return chosen


class CallbackModule(DefaultCallback):
    """One task at a time: a failure is told at once, what else hosts say when all of them are done."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "stowage.fleet.terminal"

    def __init__(self) -> None:
        """Start the clock."""
        super().__init__()
        self._start = time.monotonic()
        self._heard: _Heard | None = None
        self._play_name = ""
        self._status: StatusLine | None = None
        self._aside_width = self._display.columns - HOST if sys.stdout.isatty() else LOG_WIDTH

    def set_options(self, *arguments: Any, **options: Any) -> None:
        """Read the options, and take the bottom line of a terminal that has one to give."""
        super().set_options(*arguments, **options)
        able = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not self._display.verbosity
        if able and self.get_option("status_line") and self._status is None:
            self._status = StatusLine(self._display, sys.stdout)

    # What is going on.

    @_unless_verbose
    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Say that nothing will be touched, where somebody wants to read that."""
        self._mark_dry_run()

    @_unless_verbose
    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Name the play. Another batch of hosts is no other play."""
        self._conclude()
        self._play = play
        name = self._marked(play.get_name().strip(), play)
        if name and name != self._play_name:
            self._display.display(name, color=constants.COLOR_HIGHLIGHT)
        self._play_name = name

    @_unless_verbose
    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Say why the play does nothing."""
        self._say("no host matches", TASK, constants.COLOR_SKIP)

    @_unless_verbose
    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """Say why what follows does not run."""
        self._conclude()
        self._say("No host is left to go on with.", TASK, constants.COLOR_ERROR)

    @_unless_verbose
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Remember the title while it can be rendered."""
        self._turn_to(task)

    @_unless_verbose
    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Remember the title while it can be rendered."""
        self._turn_to(task)

    @_unless_verbose
    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Count who is at work."""
        heard = self._turn_to(task)
        heard.working.append(host.get_name())
        self._show_status(heard)

    @_unless_verbose
    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Included files are nobody's concern."""

    @_unless_verbose
    def v2_runner_retry(self, result: Any) -> None:
        """A task that waits for a state tries again; that is no failure."""

    @_unless_verbose
    def v2_runner_on_async_poll(self, result: Any) -> None:
        """A task in the background goes on."""

    @_unless_verbose
    def v2_runner_on_async_ok(self, result: Any) -> None:
        """Its result follows."""

    @_unless_verbose
    def v2_runner_on_async_failed(self, result: Any) -> None:
        """Its result follows."""

    @_unless_verbose
    def v2_runner_item_on_ok(self, result: Any) -> None:
        """The result of the whole loop follows."""

    @_unless_verbose
    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Keep it until the whole loop is over: only then it is known whether it stops anything."""
        host = _of(result, "host").get_name()
        self._turn_to(_of(result, "task")).failed_items.setdefault(host, []).append(_outcome(result))

    @_unless_verbose
    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """The result of the whole loop follows."""

    # What came of it.

    @_unless_verbose
    def v2_runner_on_ok(self, result: Any) -> None:
        """Note who changed, and what debug has to say."""
        heard, host, outcome = self._finish(result)
        if isinstance(_of(result, "task"), TaskInclude):
            return
        if outcome.get("changed"):
            heard.changed.append(host)
        if _of(result, "task").action in _DEBUG:
            heard.messages += [(host, message) for message in self._debug_messages(outcome)]
        self._show_status(heard)

    @_unless_verbose
    def v2_runner_on_skipped(self, result: Any) -> None:
        """Say nothing but warnings."""
        self._show_status(self._finish(result)[0])

    @_unless_verbose
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Say why, in as much detail as it has consequences."""
        heard, host, outcome = self._finish(result)
        task = _of(result, "task")
        sentences = [f"{text.label(self._get_item_label(item))}: {self._why(item)}"
                     for item in heard.failed_items.pop(host, [])] or [self._why(outcome)]
        if not heard.fleetwide:
            sentences = [f"{self.host_label(result)}: {sentence}" for sentence in sentences]
        remark = "ignored" if ignore_errors else "rescued" if _is_rescued(task) else ""
        for sentence in sentences:
            self._say_failure(heard, sentence, remark, constants.COLOR_ERROR)
        if not remark and self.get_option("show_task_path_on_failure"):
            self._print_task_path(task)
        self._show_status(heard)

    @_unless_verbose
    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Say who is silent."""
        heard, host, outcome = self._finish(result)
        remark = "ignored" if _of(result, "task").ignore_unreachable else ""
        self._say_failure(heard, f"{host} does not answer: {self._why(outcome)}", remark, constants.COLOR_UNREACHABLE)
        self._show_status(heard)

    @_unless_verbose
    def v2_on_file_diff(self, result: Any) -> None:
        """Keep a diff until it is known who else has the same."""
        outcome = _outcome(result)
        items = outcome["results"] if _of(result, "task").loop and "results" in outcome else [outcome]
        for item in items:
            if not isinstance(item, dict) or not item.get("diff") or not item.get("changed"):
                continue
            if drawn := self._get_diff(item["diff"]):
                self._turn_to(_of(result, "task")).diffs.append((_of(result, "host").get_name(), drawn))

    # The end.

    @_unless_verbose
    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Add it all up."""
        self._conclude()
        counts = {host: stats.summarize(host) for host in stats.processed}
        self._display.display("", screen_only=True)
        for host in text.worth_a_line(counts, RECAP_HOSTS):
            for colored in (True, False):
                columns = [colorize(name, counts[host][key], color if colored else None)
                           for name, key, color in _COUNTS]
                line = f"{hostcolor(host, counts[host], colored)} : {' '.join(columns)}"
                self._display.display(line, screen_only=colored, log_only=not colored)
        self._display.display(text.total(counts, time.monotonic() - self._start))
        if stats.custom and self.get_option("show_custom_stats"):
            for whose, figures in sorted(stats.custom.items(), key=lambda one: (one[0] == "_run", one[0])):
                self._say(f"{'the run' if whose == '_run' else whose}: {self._dumped(figures)}", 0)
        self._mark_dry_run()

    # How it is told.

    def _turn_to(self, task: Any) -> _Heard:
        """Return what is known of a task; what was to be said of another one is said."""
        if self._heard is None or self._heard.id != task._uuid:
            self._conclude()
            title = self._marked((task.name or task.get_name()).strip(), task)
            self._heard = _Heard(task._uuid, text.printable(title), task.run_once is True)
        return self._heard

    def _finish(self, result: Any) -> tuple[_Heard, str, dict[str, Any]]:
        """Take a host off those at work; return its task, its name and its result, warnings told."""
        heard = self._turn_to(_of(result, "task"))
        host = _of(result, "host").get_name()
        if host in heard.working:
            heard.working.remove(host)
            heard.done += 1
        outcome = _outcome(result)
        self._handle_warnings(outcome)
        return heard, host, outcome

    def _conclude(self) -> None:
        """Say what was kept until all hosts of the task were heard."""
        heard, self._heard = self._heard, None
        if self._status:
            self._status.erase()
        if heard is None:
            return
        speakers = text.in_order(host for host, _message in heard.messages)
        for message, hosts in text.by_text(heard.messages).items():
            self._display.display(message if hosts == speakers else f"{', '.join(hosts)}: {message}")
        diffs = text.by_text(heard.diffs)
        if heard.changed:
            self._say_changed(heard)
        elif diffs:
            self._say_title(heard)
        for drawn, hosts in diffs.items():
            if not heard.fleetwide and not (len(diffs) == 1 and hosts == text.in_order(heard.changed)):
                self._say(f"{', '.join(hosts)}:", HOST)
            self._display.display(drawn)

    def _say_changed(self, heard: _Heard) -> None:
        said = "changed" if heard.titled else f"{heard.title}: changed"
        columns = HOST if heard.titled else TASK
        if not heard.fleetwide:
            said += " " + text.fold(heard.changed, max(self._display.columns - columns - len(said) - 1, 20))
        heard.titled = True
        self._say(said, columns, constants.COLOR_CHANGED)

    def _say_title(self, heard: _Heard) -> None:
        if not heard.titled:
            self._say(f"{heard.title}:", TASK)
            heard.titled = True

    def _say_failure(self, heard: _Heard, sentence: str, remark: str, color: str) -> None:
        self._say_title(heard)
        if remark:
            self._say(text.aside(sentence, remark, self._aside_width), HOST, constants.COLOR_SKIP)
        else:
            self._say(sentence, HOST, color, stderr=self.get_option("display_failed_stderr"))

    def _say(self, said: str, columns: int, color: str | None = None, stderr: bool = False) -> None:
        self._display.display(text.indent(said, columns), color=color, stderr=stderr)

    def _show_status(self, heard: _Heard) -> None:
        if self._status and heard.working:
            self._status.show(heard.doing())

    def _debug_messages(self, outcome: dict[str, Any]) -> list[str]:
        """Return what debug prints: a message as its lines, a variable by its name, of a loop those of all items."""
        if text.is_hidden(outcome):
            return []
        items = outcome.get("results")
        if isinstance(items, list) and any(isinstance(item, dict) and "ansible_loop_var" in item for item in items):
            return [message for item in items if not item.get("skipped") for message in self._debug_messages(item)]
        if message := text.readable(outcome.get("msg")):
            return [message]
        self._clean_results(outcome, "debug")
        return [self._dumped({key: value for key, value in outcome.items() if not key.startswith("ansible_")
                              and key not in ("item", "failed")})]

    def _why(self, outcome: dict[str, Any]) -> str:
        return text.failure(outcome) or self._dumped(outcome)

    def _dumped(self, result: Mapping[str, Any]) -> str:
        """Return a result that holds no sentence as Ansible prints it."""
        return textwrap.dedent(self._dump_results(dict(result)).strip("\n")).rstrip()

    def _marked(self, name: str, of: Any) -> str:
        return f"{name} [CHECK MODE]" if of.check_mode and self.get_option("check_mode_markers") else name

    def _mark_dry_run(self) -> None:
        if context.CLIARGS.get("check") and self.get_option("check_mode_markers"):
            self._display.display("DRY RUN")


def _of(result: Any, name: str) -> Any:
    """Return a part of a result."""
    # ansible-core before 2.19 has underscored names only, later ones are about to drop them.
    return getattr(result, name if hasattr(result, name) else f"_{name}")


def _outcome(result: Any) -> dict[str, Any]:
    outcome: dict[str, Any] = _of(result, "result")
    return outcome


def _is_rescued(task: Any) -> bool:
    """Return whether a block around the task takes up its failure: one whose rescue it is not a part of itself."""
    inner, outer = task, task._parent
    while outer is not None:
        if isinstance(outer, Block) and outer.rescue and any(one._uuid == inner._uuid for one in outer.block):
            return True
        inner, outer = outer, outer._parent
    return False
