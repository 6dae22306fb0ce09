# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of an engine: find, load, save, remove."""

from __future__ import annotations

import contextlib
import os

from ..common.errors import EngineError
from ..common.labels import digest
from ..engine.client import DEFAULT_SOCKET, Conflict, Engine, NotFound, name_path
from .archive import read_archive

# Loading half a gigabyte keeps an engine busy for a while before it answers.
_TIMEOUT = 600
_COMPARED = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "StopSignal", "User", "Volumes",
             "WorkingDir")


class ImageStore:
    """The images of one engine."""

    def __init__(self, engine):
        self._engine = engine

    @classmethod
    def connect(cls, address=None):
        """Connect to the engine at ``address``, or where the environment says.

        :raises MissingDependency: without the Docker SDK for Python.
        :raises EngineError: when no engine answers.
        """
        return cls(StreamingEngine(address or os.environ.get("DOCKER_HOST") or DEFAULT_SOCKET, timeout=_TIMEOUT))

    def find(self, name):
        """Return {id, labels, size, architecture, layers, content} of an image, or None.

        ``content`` is a digest of its layers and configuration: engines that keep images in containerd give the same
        image another id than those that don't.
        """
        try:
            found = self._engine.inspect_image(name)
        except NotFound:
            return None
        return {
            "id": found["Id"],
            "labels": (found.get("Config") or {}).get("Labels") or {},
            "size": found.get("Size", 0),
            "architecture": found.get("Architecture", ""),
            "layers": (found.get("RootFS") or {}).get("Layers") or [],
            "content": _content_digest(found),
        }

    def holds(self, image):
        """Say whether the engine has ``image`` ({name, id, content}) under its name, with the same content."""
        found = self.find(image["name"])
        return found is not None and (found["id"] == image["id"] or found["content"] == image["content"])

    def load(self, path):
        """Load an image archive; an image that had the name before loses it, and goes if nothing else uses it."""
        before = {tag: self.find(tag) for tag in read_archive(path)["tags"]}
        with open(path, "rb") as stream:
            self._engine.load_image(stream)
        for tag, image in before.items():
            if image and image["id"] != self.find(tag)["id"]:
                self._remove_unused(image["id"])

    def save(self, name, path):
        """Write an image to ``path`` in the form that ``load`` takes; the file appears when it is whole."""
        partial = f"{path}.partial"
        with open(partial, "wb") as stream:
            for chunk in self._engine.save_image(name):
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)

    def _remove_unused(self, image_id):
        """Remove an image that nothing names any more, unless a container still runs it."""
        with contextlib.suppress(NotFound, Conflict):
            if not self._engine.inspect_image(image_id).get("RepoTags"):
                self.remove(image_id)

    def remove(self, name):
        """Remove an image by its name or id."""
        self._engine.call("DELETE", name_path("images", name, safe="/:@"))


def _content_digest(found):
    config = found.get("Config") or {}
    kept = {key: config[key] for key in _COMPARED if config.get(key)}
    return digest([(found.get("RootFS") or {}).get("Layers") or [], kept])


class StreamingEngine(Engine):
    """An engine that also moves images, which are too large to hold in memory."""

    def load_image(self, stream):
        """Load an image archive from a binary stream.

        :raises EngineError: with the engine's own words.
        """
        try:
            for event in self._client().load_image(stream):
                if event.get("error"):
                    raise EngineError(f"the engine refused to load the image: {event['error']}")
        except (self._sdk.errors.DockerException, OSError) as error:
            raise EngineError(f"the engine refused to load the image: {error}") from error

    def save_image(self, name):
        """Return the chunks of an image archive."""
        try:
            return self._client().get_image(name)
        except (self._sdk.errors.DockerException, OSError) as error:
            raise EngineError(f"image {name} can't be saved: {error}") from error
