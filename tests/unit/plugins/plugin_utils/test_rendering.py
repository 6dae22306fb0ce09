# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a template can't be filled in is said in half a sentence, whatever ansible-core makes of it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError

from ansible_collections.stowage.fleet.plugins.plugin_utils.rendering import Renderer, TemplateFailed


class _Templar:
    """Fails as ansible-core's own does, with what led to it as its cause."""

    def __init__(self, cause):
        self.available_variables = {}
        self._cause = cause

    def copy_with_new_env(self, available_variables):
        return self

    def template(self, value):
        raise AnsibleError("Error while resolving value for 'image': and so on, at length") from self._cause


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (AnsibleError("'n' is undefined"), "'n' is undefined"),
        (AnsibleError("no vault secrets found."), "no vault secrets found"),
        (RecursionError("maximum recursion depth exceeded"), "it refers to itself"),
        (AnsibleError("recursive loop detected in template string: {{ a }}"), "it refers to itself"),
    ],
)
def test_the_reason_is_half_a_sentence(cause, reason):
    with pytest.raises(TemplateFailed) as caught:
        Renderer(_Templar(cause), {})("{{ a }}")
    assert str(caught.value) == f"can't be filled in: {reason}"
