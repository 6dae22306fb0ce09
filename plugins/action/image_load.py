# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of image_load: which images there are, and how they get to a host that lacks them."""

from __future__ import annotations

import fcntl
import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.image_build.archive import read_if_sound
from ansible_collections.stowage.fleet.plugins.module_utils.image_build.store import ImageStore
from ansible_collections.stowage.fleet.plugins.modules.image_load import ARGUMENTS


class ActionModule(ActionBase):
    """Compares the controller's images with a host's, and sends what the host lacks."""

    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            images = self._local_images(options)
        except StowageError as error:
            raise AnsibleActionFail(error.message) from error
        seen = self._ask(options, images, task_vars)
        if seen.get("failed") or not seen["missing"]:
            return seen
        missing = [image for image in images if image["name"] in seen["missing"]]
        result = {"changed": True, "missing": seen["missing"]}
        if not self._task.check_mode:
            result = self._send(options, images, missing, task_vars)
        names = [image["name"] for image in missing]
        listed = "".join(f"{image['name']} {image['id']}\n" for image in missing)
        return dict(result, loaded=names, diff={"before": "", "after": listed})

    @staticmethod
    def _local_images(options):
        """Return the wanted images with their identity; fail for those that the controller lacks."""
        store, images = None, []
        for image in options["images"]:
            if not (image["id"] and image["content"]):
                store = store or ImageStore.connect(options["controller_docker_host"])
                found = store.find(image["name"])
                if found is None:
                    raise AnsibleActionFail(
                        f"image {image['name']} is not in the controller's engine; build it with "
                        "stowage.fleet.base_image, or pull it there"
                    )
                image = dict(image, id=found["id"], content=found["content"])
            images.append(image)
        return images

    def _ask(self, options, images, task_vars, load=()):
        # Where archives lie on the controller is no business of the host.
        asked = [{key: image[key] for key in ("name", "id", "content")} for image in images]
        arguments = {"images": asked, "docker_host": options["docker_host"], "load": list(load)}
        return self._execute_module(module_name="stowage.fleet.image_load", module_args=arguments, task_vars=task_vars)

    def _send(self, options, images, missing, task_vars):
        """Send archives one after the other, so that the host needs room for one of them only."""
        folder = self._make_tmp_path()
        remote = self._connection._shell.join_path(folder, "image.tar")
        result = {}
        try:
            for image in missing:
                self._transfer_file(self._archive(options, image), remote)
                self._fixup_perms2((folder, remote))
                result = self._ask(options, images, task_vars, load=[remote])
                if result.get("failed"):
                    break
        finally:
            self._remove_tmp_path(folder)
        return result

    @staticmethod
    def _archive(options, image):
        """Return an archive of an image, saving it when no earlier task or host has."""
        if image.get("archive") and os.access(image["archive"], os.R_OK):
            return image["archive"]
        os.makedirs(options["cache_dir"], exist_ok=True)
        path = os.path.join(options["cache_dir"], f"saved-{image['id'].rpartition(':')[2]}.tar")
        # Hosts are served by processes of their own: the first one saves, the others wait for it.
        with open(f"{path}.lock", "w", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not read_if_sound(path):
                try:
                    store = ImageStore.connect(options["controller_docker_host"])
                    store.save(image["name"], path)
                    if (store.find(image["name"]) or {}).get("id") != image["id"]:
                        os.unlink(path)
                        raise AnsibleActionFail(f"image {image['name']} became another one while it was saved")
                except StowageError as error:
                    raise AnsibleActionFail(error.message) from error
        return path
