# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a filter into the namespace of a container that runs."""

from __future__ import annotations

from .. import specs
from . import namespace, rules


def load(ident, pid, text):
    """Load a filter into a running container's namespace, and note what the kernel made of it."""
    links = (specs.read_links(ident) or {}).get("links", [])
    # When it fails, what is written down is not what is loaded, and the next run has to see that.
    specs.unnote_loaded(ident)
    namespace.load(pid, rules.with_links(text, [link["name"] for link in links]))
    specs.note_loaded(ident, namespace.fingerprint(pid))
