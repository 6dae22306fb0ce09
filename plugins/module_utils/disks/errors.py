# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the disk room: branches of the one exception tree."""

from __future__ import annotations

from ..common.errors import HostError, InvalidInput


class DiskError(HostError):
    """A disk operation on this host failed; the message names the volume and says what was left untouched."""


class DamagedVolume(DiskError):
    """A volume's file system is damaged and was not, or could not be, repaired safely."""


class VolumeBusy(DiskError):
    """A volume can't be unmounted because something on the host still uses it."""


class PoolFull(InvalidInput):
    """The promised sizes would exceed what the pool may promise; refused before any change."""


class NoLoopDevices(DiskError):
    """More volumes are to be mounted than this host has loop devices for; refused before any change."""
