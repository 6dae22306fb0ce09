# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read about tasks: results of hosts in, sentences and short lines out. Pure, and without Ansible."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HIDDEN = "failed, and no_log hides why"
#: Lines of what a program printed that are told: the end says what was wrong.
TAIL = 20
#: A label of a loop's item is a hint, not a document.
LABEL_WIDTH = 60

# ansible-core 2.19 and newer begin with who is speaking.
_SPEAKERS = re.compile(r"^(?:(?:Task|Action) failed: )+")
_BROKEN = re.compile(r"^Module failed: ")
# Messages that say that something failed, and not what.
_EMPTY_WORDS = re.compile(
    r"^(?:non-zero return code$|The command exited with a non-zero return code|A 'failed_when' expression"
    r"|MODULE FAILURE|Module result deserialization failed)"
)
# A host may say what it likes, but not steer the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Return the text with its control characters spelt out; ends of lines and tabs stay."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", lines)


def readable(value: Any) -> str:
    """Return what a task's ``msg`` says, without its outer blank lines; empty for nothing and for structures."""
    if isinstance(value, (list, tuple)) and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    if isinstance(value, (bool, int, float)):
        value = str(value)
    return printable(value).strip("\n").rstrip() if isinstance(value, str) else ""


def failure(result: Mapping[str, Any]) -> str:
    """Return why a task failed, as its result tells it; empty where no key of it is a sentence."""
    if is_hidden(result):
        return HIDDEN
    message = _SPEAKERS.sub("", readable(result.get("msg")) or readable(result.get("reason")))
    message = "" if message.endswith("Unknown error.") else _BROKEN.sub("the module broke: ", message)
    if message == "Assertion failed" and result.get("assertion"):
        return f"{message}: {readable(str(result['assertion']))}"
    if message and not _EMPTY_WORDS.match(message):
        return message
    return _broken(result) or _exit(result) or message


def is_hidden(result: Mapping[str, Any]) -> bool:
    """Return whether ``no_log`` keeps this result to itself."""
    return bool(result.get("_ansible_no_log")) or "censored" in result


def _broken(result: Mapping[str, Any]) -> str:
    """Return the last line of the traceback of a module that broke."""
    for key in ("module_stderr", "exception"):
        lines = [line for line in readable(result.get(key)).splitlines() if line.strip()]
        if lines and (key == "module_stderr" or lines[0].startswith("Traceback")):
            return f"the module broke: {lines[-1].strip()}"
    said = readable(result.get("module_stdout"))
    return f"the module broke: {tail(said)}" if said else ""


def _exit(result: Mapping[str, Any]) -> str:
    """Return what a program printed before it failed, and its return code."""
    said = tail(readable(result.get("stderr")) or readable(result.get("stdout")))
    condition = "failed_when is true" if result.get("failed_when_result") is True else ""
    code = f"return code {result['rc']}" if result.get("rc") is not None else ""
    return ": ".join(part for part in (", ".join(filter(None, (condition, code))), said) if part)


def tail(text: str, limit: int = TAIL) -> str:
    """Return the last lines of a text; the first line says how many are left out."""
    lines = text.splitlines()
    if len(lines) <= limit:
        return text
    return "\n".join([f"({len(lines) - limit} lines before)", *lines[-limit:]])


def label(value: Any) -> str:
    """Return the label of a loop's item in one short line."""
    return cut(" ".join(printable(str(value)).split()), LABEL_WIDTH)


def cut(text: str, width: int) -> str:
    """Return the first ``width`` characters of a text, with an ellipsis where there are more."""
    return text if len(text) <= width else f"{text[: max(width - 3, 0)].rstrip()}..."


def aside(text: str, remark: str, width: int) -> str:
    """Return a failure that stops nothing as one line of at most ``width`` characters that ends with the remark."""
    return f"{cut((text.splitlines() or [''])[0].strip(), width - len(remark) - 3)} ({remark})"


def indent(text: str, by: int) -> str:
    """Return the text with its first line ``by`` columns from the left, and what follows two further."""
    first, *rest = text.splitlines() or [""]
    return "\n".join([" " * by + first, *(f"{' ' * (by + 2)}{line}".rstrip() for line in rest)])


def in_order(names: Iterable[str]) -> list[str]:
    """Return names without their doubles, sorted as people count: h2 before h10."""
    return sorted(set(names), key=lambda name: [(part.isdecimal(), int(part) if part.isdecimal() else 0, part)
                                                for part in re.split(r"([0-9]+)", name)])


def fold(names: Iterable[str], width: int) -> str:
    """Return names in one line of about ``width`` characters: at least one of them, then ``and 37 more``."""
    ordered = in_order(names)
    whole = ", ".join(ordered)
    if len(whole) <= width or len(ordered) < 2:
        return whole
    shown = len(ordered) - 1
    while shown > 1 and len(_folded(ordered, shown)) > width:
        shown -= 1
    return _folded(ordered, shown)


def _folded(ordered: Sequence[str], shown: int) -> str:
    return f"{', '.join(ordered[:shown])} and {len(ordered) - shown} more"


def by_text(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return who says what, from pairs of host and text: each text once, in the order of hosts."""
    told = list(pairs)
    said: dict[str, list[str]] = {}
    for name in in_order(host for host, _text in told):
        for _host, text in (pair for pair in told if pair[0] == name):
            said.setdefault(text, []).append(name)
    return {text: in_order(hosts) for text, hosts in said.items()}


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``23 s``, ``3 min 20 s``, ``1 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def worth_a_line(counts: Mapping[str, Mapping[str, int]], limit: int) -> list[str]:
    """Return the hosts that the recap names: all up to ``limit``, else those that changed, failed or are silent."""
    hosts = in_order(counts)
    if len(hosts) <= limit:
        return hosts
    return [host for host in hosts if any(counts[host][key] for key in ("changed", "failures", "unreachable"))]


def total(counts: Mapping[str, Mapping[str, int]], seconds: float) -> str:
    """Return the run in one line: ``3 hosts: ok 41, changed 3, failed 0 in 23 s``."""
    sums = {key: sum(count[key] for count in counts.values())
            for key in ("ok", "changed", "failures", "unreachable", "rescued", "ignored")}
    told = [f"ok {sums['ok']}", f"changed {sums['changed']}", f"failed {sums['failures']}"]
    told += [f"{key} {sums[key]}" for key in ("unreachable", "rescued", "ignored") if sums[key]]
    hosts = "1 host" if len(counts) == 1 else f"{len(counts)} hosts"
    return f"{hosts}: {', '.join(told)} in {duration(seconds)}"
