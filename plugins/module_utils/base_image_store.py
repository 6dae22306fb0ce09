# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of an engine: find, load, remove."""

from __future__ import annotations

import contextlib

from .base_image_archive import read_archive
from .errors import EngineError, MissingDependency

try:
    import docker
    import docker.errors

    HAS_DOCKER = True
except ImportError:
    HAS_DOCKER = False

# A build keeps the engine busy with hundreds of megabytes; a minute without an answer is none of its pauses.
_TIMEOUT = 300


def connect(address=None):
    """Return a ``docker.DockerClient`` of the engine at ``address``, or of the one that the environment names."""
    if not HAS_DOCKER:
        raise MissingDependency("docker", "talking to a Docker engine")
    try:
        if address:
            return docker.DockerClient(base_url=address, timeout=_TIMEOUT, version="auto")
        return docker.from_env(timeout=_TIMEOUT, version="auto")
    except docker.errors.DockerException as error:
        raise EngineError(f"no Docker engine answers at {address or 'the local socket'}: {error}") from error


class ImageStore:
    """The images of one engine. ``client`` is a ``docker.DockerClient``."""

    def __init__(self, client):
        self._client = client
        self._errors = docker.errors

    @classmethod
    def connect(cls, address=None):
        """Connect to the engine at ``address``, or where the environment says.

        :raises MissingDependency: without the Docker SDK for Python.
        :raises EngineError: when no engine answers.
        """
        return cls(connect(address))

    def find(self, name):
        """Return {id, labels, size, architecture} of an image, or None."""
        try:
            found = self._client.api.inspect_image(name)
        except self._errors.ImageNotFound:
            return None
        except self._errors.DockerException as error:
            raise EngineError(f"image {name} can't be inspected: {error}") from error
        return {
            "id": found["Id"],
            "labels": (found.get("Config") or {}).get("Labels") or {},
            "size": found.get("Size", 0),
            "architecture": found.get("Architecture", ""),
        }

    def load(self, path):
        """Load an image archive; an image that had the name before loses it, and goes if nothing else uses it."""
        tags = read_archive(path)["tags"]
        before = {tag: self.find(tag) for tag in tags}
        try:
            with open(path, "rb") as stream:
                for event in self._client.api.load_image(stream):
                    if event.get("error"):
                        raise EngineError(f"the engine refused to load {path}: {event['error']}")
        except self._errors.DockerException as error:
            raise EngineError(f"the engine refused to load {path}: {error}") from error
        for tag, image in before.items():
            if image and image["id"] != self.find(tag)["id"]:
                self._remove_unused(image["id"])

    def _remove_unused(self, image_id):
        """Remove an image that nothing names any more, unless a container still runs it."""
        with contextlib.suppress(self._errors.APIError):
            if not self._client.api.inspect_image(image_id).get("RepoTags"):
                self._client.api.remove_image(image_id)

    def remove(self, name):
        """Remove an image by its name."""
        try:
            self._client.api.remove_image(name)
        except self._errors.DockerException as error:
            raise EngineError(f"image {name} can't be removed: {error}") from error
