# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the host without Ansible: mounting all volumes at boot, before the engine starts its containers.

The role ``storage`` copies this folder to the host, so that boot and module are the same code.
"""

from __future__ import annotations

import argparse
import json
import sys

from ..common.errors import StowageError
from .decide import Wanted
from .pool import ATTACHED, DEFAULT_POOL
from .runner import Settings, converge, list_volumes


def main(arguments=None):
    """Run one command and return its exit code: 0 when all volumes are as they should be."""
    parser = argparse.ArgumentParser(prog="stowage-volumes", description="The volumes of stowage.fleet on this host")
    parser.add_argument("command", choices=["mount", "check", "list"], help="mount: mount all volumes that containers "
                        "use, check first those that need it; check: name what is wrong; list: as JSON")
    parser.add_argument("--pool", default=DEFAULT_POOL, help="folder of the pool")
    parser.add_argument("--repair", choices=["none", "safe"], default="safe", help="how far to mend file systems")
    chosen = parser.parse_args(arguments)
    if chosen.command == "list":
        sys.stdout.write(json.dumps(list_volumes(chosen.pool), indent=1) + "\n")
        return 0
    return _mount_all(chosen.pool, chosen.repair, chosen.command == "check")


def _mount_all(pool, repair, check_only):
    problems = []
    known = list_volumes(pool)
    problems += [volume["msg"] for volume in known if volume["state"] == "unreadable"]
    fleets = sorted({volume["fleet"] for volume in known if volume["state"] == ATTACHED})
    for fleet in fleets:
        wanted = [Wanted(volume["name"], fleet=fleet) for volume in known
                  if volume["state"] == ATTACHED and volume["fleet"] == fleet]
        try:
            # Mounting promises nothing new, so the pool needs no numbers here.
            outcome = converge(Settings(pool, fleet, repair=repair, mend=False, check_mode=check_only,
                                        as_far_as_possible=True), wanted)
        except StowageError as exc:
            problems.append(exc.message)
            continue
        problems += outcome.failures
        if check_only:
            problems += [f"volume {result['name']}: would {', '.join(result['actions'])}"
                         for result in outcome.volumes if result["actions"]]
            problems += [stray.msg for stray in outcome.strays]
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    sys.stdout.write(f"{sum(volume['state'] == ATTACHED for volume in known)} volumes in use, "
                     f"{len(problems)} problems\n")
    return 1 if problems else 0
