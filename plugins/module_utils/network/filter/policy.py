# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk to whom, as a host is told: the part of the fleet's policy that its own containers need."""

from __future__ import annotations

from ...common.errors import InvalidInput
from .. import specs
from . import rules

# What modules take; see docs/architecture.md.
POLICY_SPEC = {
    "type": "dict",
    "options": {
        "clusters": {"type": "dict", "default": {}},
        "protected": {"type": "list", "elements": "str", "default": []},
        "gateways": {"type": "list", "elements": "str", "default": []},
    },
}
WAYS = ("in", "out")
#: The name that engines know the runtime by which loads filters.
RUNTIME_NAME = "stowage"


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
