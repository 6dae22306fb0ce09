# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that talks to a Docker engine; their argument spec is in module_utils/engine/client.py."""

from __future__ import annotations


class ModuleDocFragment:
    """How the engine is reached, and which fleet is meant."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - Where the host's Docker engine listens.
      - The environment variable E(DOCKER_HOST) is used when the option is not set.
    type: str
    default: unix:///var/run/docker.sock
  engine_timeout:
    description: Seconds to wait for one answer of the engine.
    type: int
    default: 60
  fleet:
    description:
      - Name of the fleet, the value of the label C(stowage.fleet) on all it owns.
      - What carries another value, or no such label, is never touched.
    type: str
    default: fleet
requirements:
  - Docker SDK for Python 4.1 or newer (C(python3-docker) in Debian, Ubuntu and Fedora)
  - Docker Engine API 1.40 or newer (Docker 19.03)
"""
