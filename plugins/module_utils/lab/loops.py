# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loop devices of a lab host: the kernel has one set of them for all hosts, and they outlive a container."""

from __future__ import annotations

import glob

# Only devices whose backing file is seen from inside the host under the same inode belong to it.
_DETACH = """
losetup --list --noheadings --raw --output NAME,BACK-INO,BACK-FILE 2>/dev/null | while read -r device inode file; do
  [ "$(stat -c %i "$file" 2>/dev/null)" = "$inode" ] || continue
  findmnt --noheadings --output TARGET --source "$device" | while read -r target; do umount -l "$target"; done
  losetup --detach "$device"
done
"""


def detach_loops(engine, name):
    """Detach the loop devices that a running host has set up. Nothing happens when the machine has none."""
    if not glob.glob("/sys/block/loop*/loop/backing_file"):
        return
    state = engine.inspect(name)["State"]
    if state["Running"] and not state["Paused"]:
        # Containers first: what they hold open keeps a device busy.
        engine.run(name, "sh", "-c", "systemctl stop docker.socket docker.service")
        engine.run(name, "sh", "-c", _DETACH)
