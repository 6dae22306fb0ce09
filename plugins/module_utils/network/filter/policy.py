# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk to whom, as a host is told: the part of the fleet's policy that its own containers need."""

from __future__ import annotations

import json
import os

from ...common.errors import InvalidInput
from ...common.files import read_text, write_text
from .. import specs
from . import rules

# What modules take; see docs/contracts.md.
POLICY_SPEC = {
    "type": "dict",
    "options": {
        "clusters": {"type": "dict", "default": {}},
        "protected": {"type": "list", "elements": "str", "default": []},
        "gateways": {"type": "list", "elements": "str", "default": []},
        # {part: digest} of clusters, and of the rest as COMMON; what is as the host remembers it is not sent again.
        "digests": {"type": "dict", "default": {}},
    },
}
#: Where the parts of each fleet's policy are remembered.
POLICIES = "/var/lib/stowage/policies"
WAYS = ("in", "out")
#: The name that engines know the runtime by which loads filters.
RUNTIME_NAME = "stowage"


#: What protected addresses and gateways are together, among the parts of a policy.
COMMON = ":common"


def recall(given, fleet, folder=POLICIES):
    """Return a policy whose parts of known digests are filled in from what this host was told before.

    :raises InvalidInput: when one is not remembered.
    """
    given = dict(given or {})
    clusters, missing = dict(given.get("clusters") or {}), []
    for part, digest in sorted((given.get("digests") or {}).items()):
        if part in clusters or (part == COMMON and given.get("protected")):
            continue
        body = _remembered(fleet, folder).get(part)
        if body is None or body["digest"] != digest:
            missing.append(f"isolation.digests.{part}: {digest} is not remembered on this host; plan again")
        elif part == COMMON:
            given.update(body["policy"])
        else:
            clusters[part] = body["policy"]
    if missing:
        raise InvalidInput(missing)
    return {**given, "clusters": clusters}


def memorize(given, fleet, folder=POLICIES):
    """Remember the parts of a policy by their digests, and forget those of clusters that have left the host."""
    digests = given.get("digests") or {}
    if not digests:
        return
    common = {key: given.get(key) or [] for key in ("protected", "gateways")}
    told = {part: {"digest": digest, "policy": common if part == COMMON else given["clusters"][part]}
            for part, digest in digests.items()}
    if _remembered(fleet, folder) != told:
        write_text(os.path.join(folder, f"{fleet}.json"), json.dumps(told, sort_keys=True), 0o600, 0o700)


def known_policies(fleet, folder=POLICIES):
    """Return {part: digest} of the policy that this host was told last."""
    return {part: body["digest"] for part, body in _remembered(fleet, folder).items()}


def _remembered(fleet, folder):
    """Return what is remembered; a damaged file is as good as none, for all is sent again then."""
    try:
        told = json.loads(read_text(os.path.join(folder, f"{fleet}.json")) or "{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) and all(isinstance(body, dict) and "digest" in body
                                                  for body in told.values()) else {}


class Policy:
    """The policy of one host's clusters."""

    def __init__(self, given, folder=specs.FOLDER):
        """Read what a module was given; nothing reads as a policy that isolates no cluster.

        :raises InvalidInput: with all complaints.
        """
        given = given or {}
        self._folder = folder
        self._clusters = given.get("clusters") or {}
        self._common = {key: given.get(key) or [] for key in ("protected", "gateways")}
        problems = []
        for name, cluster in self._clusters.items():
            problems += [f"clusters.{name}.{problem}" for problem in _complaints(cluster)]
        if problems:
            raise InvalidInput(problems)

    def covers(self, cluster):
        """Say whether a cluster is isolated."""
        return cluster in self._clusters

    def knows(self, name, cluster):
        """Say whether an instance is a member of its isolated cluster; one that is about to go may not be."""
        return any(member["name"] == name for member in self._clusters[cluster]["members"])

    def rules_of(self, name, cluster):
        """Return the packet filter of an instance, as text for nft.

        :raises InvalidInput: when the policy does not know the instance.
        """
        return rules.render({**self._common, **self._clusters[cluster]}, name)

    def remember(self, ident, name, cluster):
        """Write down what the container has to be started with; return whether that is news."""
        wanted = {"name": name, "cluster": cluster, "rules": self.rules_of(name, cluster)}
        known = specs.read(ident, self._folder) or {}
        if all(known.get(key) == value for key, value in wanted.items()):
            return False
        specs.write(ident, {**known, **wanted}, self._folder)
        return True

    def forget(self, ident):
        """Forget a container that was removed; its filter went with its namespace."""
        specs.forget(ident, self._folder)


def _complaints(cluster):
    if not isinstance(cluster, dict) or not isinstance(cluster.get("members"), list):
        return ["members: missing; expected a list of name, group, network and address"]
    problems = [f"members[{index}]: {member!r} has no name; expected one" for index, member in
                enumerate(cluster["members"]) if not isinstance(member, dict) or not member.get("name")]
    for index, rule in enumerate(cluster.get("allow") or []):
        if rule.get("way") not in WAYS:
            problems.append(f"allow[{index}].way: {rule.get('way')!r}; expected one of {', '.join(WAYS)}")
        for text in rule.get("ports") or []:
            try:
                rules.parse_port(text)
            except InvalidInput as error:
                problems.append(f"allow[{index}].ports: {error}")
    return problems
