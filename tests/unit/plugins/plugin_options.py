# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins with their options, made without Ansible's loader, which would have to be told where this collection lies."""

from __future__ import annotations

import functools

import yaml
from ansible import constants


def with_options(plugin, kind, name, *documentation):
    """Return a plugin that knows its options as the loader would have told it.

    :param documentation: its own, and the fragments that it extends.
    """
    definitions = {}
    for text in documentation:
        definitions.update(_options_of(text))
    constants.config.initialize_plugin_configuration_definitions(kind, name, definitions)
    plugin._load_name = plugin.ansible_name = name
    plugin._redirected_names = [name]
    return plugin


@functools.cache
def _options_of(documentation):
    return yaml.safe_load(documentation)["options"]
