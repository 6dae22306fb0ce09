# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access to a Docker engine: the Docker SDK carries the bytes, the engine's own JSON goes in and comes out.

Only the SDK's low-level client is used, and imported when first needed: it takes a tenth of a second to load, and its
high-level objects would cost a second request for most of what is asked here.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
from urllib.parse import quote

from ansible.module_utils.basic import env_fallback

from ..common.errors import EngineError, MissingDependency

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
# Mirrors doc_fragments/engine.py.
ENGINE_SPEC = {
    "docker_host": {"type": "str", "default": DEFAULT_SOCKET, "fallback": (env_fallback, ["DOCKER_HOST"])},
    "engine_timeout": {"type": "int", "default": 60},
    "fleet": {"type": "str", "default": "fleet"},
}


class NotFound(EngineError):
    """What was asked for does not exist on this engine (HTTP 404)."""


class Conflict(EngineError):
    """The engine refuses because of the state that something is in (HTTP 409)."""


class Engine:
    """One Docker engine. May be used by several threads; each gets its own connection."""

    def __init__(self, docker_host=DEFAULT_SOCKET, timeout=60):
        """Connect, or raise EngineError naming ``docker_host``, or MissingDependency naming the package."""
        self.docker_host = docker_host
        self.timeout = timeout
        self._sdk = load_sdk()
        self._local = threading.local()
        self._api_version = "auto"
        self._api_version = self._client().api_version

    def _client(self):
        client = getattr(self._local, "client", None)
        if client is None:
            try:
                client = self._sdk.APIClient(
                    base_url=self.docker_host, version=self._api_version, timeout=self.timeout
                )
            except Exception as error:  # the SDK lets exceptions of its transport through, whichever that is
                raise EngineError(self._no_answer(error)) from error
            # Looking up proxies in the environment for a local socket takes longer than the call itself.
            client.trust_env = not client.base_url.startswith("http+docker")
            self._local.client = client
        return client

    def _no_answer(self, error):
        path = self.docker_host[len("unix://") :] if self.docker_host.startswith("unix://") else None
        if path and not os.path.exists(path):
            why = "there is no such socket; is the engine installed and running?"
        elif path and not os.access(path, os.W_OK):
            why = "this user may not write to the socket; become root, or join the group docker"
        else:
            why = str(error)
        return f"The Docker engine of {platform.node()} does not answer at {self.docker_host}: {why}"

    def call(self, method, path, params=None, body=None, timeout=None):
        """Make one request and return the decoded answer, or None when it has no body.

        :param path: below the API version, such as ``/containers/json``; quote names with ``name_path``.
        :param timeout: seconds, when the engine may take longer than usual.
        :raises NotFound, Conflict, EngineError: with the engine's own words.
        """
        client = self._client()
        try:
            response = client.request(
                method,
                f"{client.base_url}/v{client.api_version}{path}",
                params=params,
                data=None if body is None else json.dumps(body),
                headers={} if body is None else {"Content-Type": "application/json"},
                timeout=timeout or self.timeout,
            )
        except OSError as error:  # the transport's own exceptions are all OSErrors
            raise EngineError(self._no_answer(error)) from error
        return _decode(response)

    def version(self):
        """Return what the engine says about its version."""
        return self.call("GET", "/version")

    def info(self):
        """Return what the engine says about itself and its host."""
        return self.call("GET", "/info")

    def list_containers(self):
        """Return the short form of all containers, running or not, whoever owns them."""
        return self.call("GET", "/containers/json", {"all": 1})

    def inspect(self, ident):
        """Return all the engine knows about a container, by id or name."""
        return self.call("GET", name_path("containers", ident, "json"))

    def create(self, name, payload):
        """Create a container from the engine's own JSON and return its id."""
        return self.call("POST", "/containers/create", {"name": name}, payload)["Id"]

    def start(self, ident):
        """Start a container; one that runs stays as it is."""
        self.call("POST", name_path("containers", ident, "start"))

    def stop(self, ident, grace):
        """Ask a container to stop, and kill it after ``grace`` seconds."""
        # A negative grace period means: for as long as it takes.
        patience = None if grace < 0 else grace + self.timeout
        self.call("POST", name_path("containers", ident, "stop"), {"t": grace}, timeout=patience or 24 * 3600)

    def unpause(self, ident):
        """Let a paused container go on."""
        self.call("POST", name_path("containers", ident, "unpause"))

    def rename(self, ident, name):
        """Give a container another name."""
        self.call("POST", name_path("containers", ident, "rename"), {"name": name})

    def update(self, ident, resources):
        """Change resources of a container in place."""
        return self.call("POST", name_path("containers", ident, "update"), body=resources)

    def remove(self, ident, volumes):
        """Remove a container, with its anonymous volumes if ``volumes``; one that is gone already is fine."""
        try:
            self.call("DELETE", name_path("containers", ident), {"v": int(volumes), "force": 1})
        except NotFound:
            pass

    def logs(self, ident, lines):
        """Return the last ``lines`` lines that a container wrote, or what stands in the way of reading them."""
        try:
            text = self._client().logs(ident, tail=lines, stdout=True, stderr=True)
        except Exception as error:  # only ever decorates another message
            return f"(no log: {error})"
        return text.decode("utf-8", "replace").strip()

    def inspect_image(self, name):
        """Return all the engine knows about an image."""
        return self.call("GET", name_path("images", name, "json", safe="/:@"))

    def pull(self, name):
        """Fetch an image from its registry, with the credentials of the user's own configuration.

        :raises EngineError: with the words of the engine or the registry.
        """
        repository, tag = split_image(name)
        try:
            for line in self._client().pull(repository, tag=tag, stream=True, decode=True):
                if line.get("error"):
                    raise EngineError(line["error"])
        except self._sdk.errors.APIError as error:
            raise EngineError(error.explanation or str(error)) from error
        except OSError as error:
            raise EngineError(str(error)) from error

    def list_networks(self):
        """Return all networks."""
        return self.call("GET", "/networks")

    def remove_volume(self, name):
        """Remove a volume unless something uses it; one that is gone already is fine."""
        try:
            self.call("DELETE", name_path("volumes", name))
        except (NotFound, Conflict):
            pass


def name_path(*parts, safe=""):
    """Return a path of quoted parts."""
    return "".join("/" + quote(part, safe=safe) for part in parts)


def split_image(name):
    """Split ``repository:tag`` or ``repository@digest``; the tag is ``latest`` if none is given."""
    if "@" in name:
        repository, _at, reference = name.partition("@")
        return repository, reference
    repository, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        return repository, tag
    return name, "latest"


def load_sdk():
    """Return the Docker SDK; raise MissingDependency naming the package and the host."""
    try:
        import docker  # pylint: disable=import-outside-toplevel
        import docker.errors  # pylint: disable=import-outside-toplevel
        import docker.utils.ports  # pylint: disable=import-outside-toplevel
    except ImportError as error:
        raise MissingDependency(
            f"docker (python3-docker in Debian, Ubuntu and Fedora) for {sys.executable}, where {error}",
            f"Talking to the Docker engine of {platform.node()}",
        ) from error
    return docker


def _decode(response):
    body = response.content
    if response.status_code >= 400:
        try:
            message = response.json()["message"]
        except (ValueError, KeyError, TypeError):
            message = response.text or f"HTTP status {response.status_code}"
        raise {404: NotFound, 409: Conflict}.get(response.status_code, EngineError)(message.strip())
    if not body or not response.headers.get("Content-Type", "").startswith("application/json"):
        return None
    return response.json()


def container_name(listed):
    """Return the name of a container of the engine's list (links of other containers add names with a slash)."""
    names = [name.lstrip("/") for name in listed.get("Names") or []]
    return next((name for name in names if "/" not in name), listed["Id"])
