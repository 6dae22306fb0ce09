# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image is not there: which one, on which host, and what runs is not harmed."""

from __future__ import annotations

import re

# A registry that refuses connections: nothing is asked for outside the lab.
MISSING = "127.0.0.1:1/stowage/nowhere:1"


def test_a_missing_image_is_named_with_its_host(fleet):
    types = fleet.desired("types")
    types["web"]["image"] = MISSING
    before = fleet.ids()

    run = fleet.play("site", "--tags", "containers", extra={"stowage_types": types})

    assert run.rc != 0
    named = re.findall(r"image (\S+) on host (\S+) is not there and can't be fetched", run.output)
    assert named, run.output
    assert "Traceback" not in run.output
    assert {name: found for name, found in fleet.ids().items() if not name.startswith("acme_web_")} == {
        name: found for name, found in before.items() if not name.startswith("acme_web_")}
    hosts = {front.host for front in fleet.named("acme_web_")}
    assert {image for image, _host in named} == {MISSING}
    assert {host for _image, host in named} <= hosts
    assert all(front.running for front in fleet.named("acme_web_")), "the old ones run on until the new image is there"
    assert len(fleet.named("acme_web_")) == 2
    fleet.converge()
