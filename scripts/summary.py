#!/usr/bin/env python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add up what every test run wrote into build/junit, and show how long each phase took.

The last line is the count of all test runs together: ``N passed, N failed, N skipped``. Fails when a test failed, or
when there was none.
"""

from __future__ import annotations

import pathlib
import sys
from xml.etree import ElementTree

BUILD = pathlib.Path(__file__).resolve().parent.parent / "build"


def count(report: pathlib.Path) -> dict[str, int]:
    """Return how many tests of one JUnit report passed, failed or were skipped; names the ones that did not pass."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for case in ElementTree.parse(report).iter("testcase"):
        name = "%s::%s" % (case.get("classname"), case.get("name"))
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
            sys.stdout.write("  FAILED  %s: %s\n" % (report.stem, name))
        elif (skipped := case.find("skipped")) is not None:
            counts["skipped"] += 1
            sys.stdout.write("  SKIPPED %s: %s: %s\n" % (report.stem, name, skipped.get("message")))
        else:
            counts["passed"] += 1
    return counts


def main() -> int:
    """Print the tables and the sum. Returns the exit code."""
    timings = BUILD / "timings.txt"
    if timings.exists():
        sys.stdout.write("\nTimings\n" + "".join("  %s\n" % line for line in timings.read_text().splitlines()))
    total = {"passed": 0, "failed": 0, "skipped": 0}
    sys.stdout.write("\nTests\n")
    for report in sorted((BUILD / "junit").glob("*.xml")):
        counts = count(report)
        sys.stdout.write("  %-28s %5d passed %3d failed %3d skipped\n" % (report.stem, *counts.values()))
        for key, number in counts.items():
            total[key] += number
    sys.stdout.write("\n%(passed)d passed, %(failed)d failed, %(skipped)d skipped\n" % total)
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
