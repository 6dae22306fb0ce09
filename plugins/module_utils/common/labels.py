# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The label scheme: the one place that knows what is written on the things that a fleet owns."""

from __future__ import annotations

import hashlib
import json

PREFIX = "stowage."
FLEET = "stowage.fleet"
CLUSTER = "stowage.cluster"
GROUP = "stowage.group"
INDEX = "stowage.index"
SPEC = "stowage.spec"
VERSION = 1


def canonical_json(value):
    """Return ``value`` as JSON that is the same text for the same content: sorted keys, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value):
    """Return the first 16 hex digits of the SHA-256 of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()[:16]


def make_spec(claims, digest=None, grade=None, type=None, asked=()):  # pylint: disable=redefined-builtin
    """Return what ``stowage.spec`` holds.

    :param claims: what the grade promised: ``cores`` or ``cpus``, ``memory`` and ``disk`` in bytes, named resources.
    :param asked: options set on purpose whose default only the engine knows; without this note nobody could tell
        later that one of them is no longer wanted.
    """
    spec = {"v": VERSION, "digest": digest or "", "grade": grade or "", "type": type or "", "claims": dict(claims)}
    if asked:
        spec["asked"] = sorted(asked)
    return spec


def read_spec(text):
    """Return what a label ``stowage.spec`` says, or None when it is missing, damaged or of another version."""
    try:
        spec = json.loads(text)
    except (TypeError, ValueError):
        return None
    if not isinstance(spec, dict) or spec.get("v") != VERSION or not isinstance(spec.get("claims"), dict):
        return None
    return spec


def instance_labels(fleet, cluster, group, index, spec):
    """Return all labels of an instance."""
    return {FLEET: fleet, CLUSTER: cluster, GROUP: group, INDEX: str(index), SPEC: canonical_json(spec)}


def read_identity(labels):
    """Return (cluster, group, index) from labels, or None when they do not name an instance."""
    try:
        return labels[CLUSTER], labels[GROUP], int(labels[INDEX])
    except (KeyError, TypeError, ValueError):
        return None
