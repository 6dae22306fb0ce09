# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All options of ansible-core's own SSH connection, whichever version is installed."""

from __future__ import annotations

from typing import Any

import yaml
from ansible.plugins.connection.ssh import DOCUMENTATION as SSH


def _without_versions(value: Any) -> Any:
    """Leave out since and until when ansible-core has an option: it would read as a version of this collection."""
    if isinstance(value, dict):
        kept = value.keys() - {"version_added", "deprecated"}
        return {key: _without_versions(item) for key, item in value.items() if key in kept}
    return [_without_versions(item) for item in value] if isinstance(value, list) else value


class ModuleDocFragment:
    """What connection plugins add that go through SSH."""

    # Annotated, since sanity takes a plain assignment for a literal text.
    DOCUMENTATION: str = yaml.safe_dump({"options": _without_versions(yaml.safe_load(SSH)["options"])})
