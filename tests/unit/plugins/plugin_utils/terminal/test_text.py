# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read of a result: sentences, short lines, and nothing that steers their terminal."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.terminal import text

TRACEBACK = "Traceback (most recent call last):\n  File \"x.py\", line 1\nKeyError: 'missing'\n"


@pytest.mark.parametrize(("result", "sentence"), [
    ({"msg": "acme_web_1: not healthy", "stderr": "noise", "rc": 1}, "acme_web_1: not healthy"),
    ({"msg": "one\n  two\n"}, "one\n  two"),
    ({"msg": ["one", "two"]}, "one\ntwo"),
    ({"msg": "Task failed: Action failed: no disk"}, "no disk"),
    ({"msg": "Assertion failed", "assertion": "x == 1"}, "Assertion failed: x == 1"),
    ({"reason": "there is no such file"}, "there is no such file"),
], ids=["message", "lines", "list", "speakers", "assertion", "include"])
def test_a_message_is_the_sentence(result, sentence):
    assert text.failure(result) == sentence


@pytest.mark.parametrize(("result", "sentence"), [
    ({"msg": "non-zero return code", "rc": 3, "stderr": "no such file\n", "stdout": "noise"},
     "return code 3: no such file"),
    ({"msg": "The command exited with a non-zero return code.", "rc": 1, "stdout": "no"}, "return code 1: no"),
    ({"msg": "non-zero return code", "rc": 1, "stderr": "", "stdout": ""}, "return code 1"),
    ({"rc": 0, "stdout": "hi", "failed_when_result": True}, "failed_when is true, return code 0: hi"),
    ({"msg": "MODULE FAILURE\nSee stdout/stderr", "module_stderr": TRACEBACK, "rc": 1},
     "the module broke: KeyError: 'missing'"),
    ({"msg": "MODULE FAILURE", "exception": TRACEBACK}, "the module broke: KeyError: 'missing'"),
    ({"msg": "MODULE FAILURE", "module_stdout": "sudo: no tty", "exception": "(unavailable)"},
     "the module broke: sudo: no tty"),
    ({"msg": "Task failed: Module failed: 'missing'"}, "the module broke: 'missing'"),
])
def test_where_a_message_says_nothing_the_most_telling_key_does(result, sentence):
    assert text.failure(result) == sentence


@pytest.mark.parametrize("result", [
    {}, {"changed": False}, {"msg": {"a": 1}}, {"msg": "Task failed: Module failed: Unknown error."},
])
def test_a_result_without_words_has_no_sentence(result):
    assert text.failure(result) == ""


@pytest.mark.parametrize("result", [{"censored": "hidden"}, {"_ansible_no_log": True, "msg": "secret"}])
def test_no_log_hides_why(result):
    assert text.failure(result) == text.HIDDEN


def test_a_host_does_not_steer_the_terminal():
    assert text.failure({"msg": "a\x1b[2Jb\x9bc\td\r\ne\rf"}) == "a\\x1b[2Jb\\x9bc\td\ne\nf"


def test_of_a_long_output_the_end_is_told():
    assert text.tail("\n".join("abcd"), 2) == "(2 lines before)\nc\nd"
    assert text.tail("a\nb", 2) == "a\nb"


def test_a_failure_that_stops_nothing_is_one_line_that_ends_with_the_remark():
    assert text.aside("h1: no disk\nmore", "ignored", 40) == "h1: no disk (ignored)"
    assert text.aside("h1: " + "x" * 90, "rescued", 40) == "h1: " + "x" * 23 + "... (rescued)"


def test_lines_that_follow_stand_further_in():
    assert text.indent("h1: one\ntwo\n\n  three", 4) == "    h1: one\n      two\n\n        three"


def test_hosts_are_sorted_as_people_count():
    assert text.in_order(["h10", "h2", "h1", "h2", "a"]) == ["a", "h1", "h2", "h10"]


def test_hosts_fold_beyond_the_width():
    names = [f"h{number}" for number in range(1, 41)]
    assert text.fold(names[:3], 20) == "h1, h2, h3"
    assert text.fold(names, 25) == "h1, h2, h3 and 37 more"
    assert text.fold(names, 1) == "h1 and 39 more"
    assert text.fold(["one-name-that-is-long"], 5) == "one-name-that-is-long"


def test_equal_texts_are_said_once_with_the_names_of_all():
    said = text.by_text([("h10", "a"), ("h2", "b"), ("h1", "a"), ("h10", "c")])
    assert list(said.items()) == [("a", ["h1", "h10"]), ("b", ["h2"]), ("c", ["h10"])]


@pytest.mark.parametrize(("seconds", "said"), [
    (22.6, "23 s"), (59.7, "1 min 0 s"), (200, "3 min 20 s"), (3900, "1 h 5 min"),
])
def test_durations_are_said_as_people_do(seconds, said):
    assert text.duration(seconds) == said


def counts(**given):
    return {**dict.fromkeys(("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored"), 0), **given}


def test_the_total_names_what_is_rare_only_where_it_is():
    quiet = {"h1": counts(ok=20, changed=3), "h2": counts(ok=21)}
    assert text.total(quiet, 23) == "2 hosts: ok 41, changed 3, failed 0 in 23 s"
    assert text.total({"h1": counts(ok=1, unreachable=1, rescued=2)}, 1) == (
        "1 host: ok 1, changed 0, failed 0, unreachable 1, rescued 2 in 1 s")


def test_of_many_hosts_the_recap_names_those_with_news():
    many = {f"h{number}": counts(ok=1) for number in range(1, 12)}
    many["h3"] = counts(changed=1)
    many["h10"] = counts(failures=1)
    many["h5"] = counts(unreachable=1)
    assert text.worth_a_line(many, 10) == ["h3", "h5", "h10"]
    assert len(text.worth_a_line(many, 11)) == 11
