# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds an image from its recipe, once: cache, mmdebstrap, engine."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import shutil
import subprocess
import tempfile

from ..common.errors import HostError
from .archive import files_archive, open_layer, read_archive, read_if_sound, write_archive
from .recipe import Recipe, read_label
from .store import ImageStore

_LAST_LINES = 20


class Builder:
    """Brings one image to the state that its recipe describes.

    ``engine`` is an ``ImageStore``, or None when only an archive is wanted. ``cache_dir`` holds image archives, named
    by the recipe; a root file system that was built once is never built again for another configuration.
    """

    def __init__(self, recipe, cache_dir, engine=None, archive=None, force=False):
        self.recipe = recipe
        self.cache_dir = cache_dir
        self.engine = engine
        self.archive = archive
        self.force = force

    def state(self):
        """Return (current, wanted): what is missing is whatever differs."""
        image = self.engine.find(self.recipe.name) if self.engine else None
        digest, recipe = read_label(image["labels"]) if image else (None, None)
        archive = self._archive_state() if self.archive else None
        return {"image": image, "digest": digest, "recipe": recipe, "archive": archive}

    def _archive_state(self):
        if not os.path.exists(self.archive):
            return None
        digest, recipe = read_label(read_archive(self.archive)["labels"])
        return {"digest": digest, "recipe": recipe}

    def missing(self, state):
        """Return which of "image" and "archive" have to be made."""
        wanted = []
        if self.engine and (self.force or state["digest"] != self.recipe.digest):
            wanted.append("image")
        if self.archive and (self.force or (state["archive"] or {}).get("digest") != self.recipe.digest):
            wanted.append("archive")
        return wanted

    def make(self, wanted):
        """Make what ``missing`` named; return {id, built, cached}."""
        os.makedirs(self.cache_dir, exist_ok=True)
        with self._lock():
            path, built = self._cached_archive()
            found = read_archive(path)
            if "archive" in wanted:
                _place(path, self.archive)
            if "image" in wanted:
                self.engine.load(path)
            self._forget_older(path)
        return {"id": found["id"], "built": built}

    @property
    def cached(self):
        """Path of the archive that the cache has, or would have, of this recipe."""
        return os.path.join(self.cache_dir, f"{self.recipe.root_digest}-{self.recipe.digest}.tar")

    def archive_of(self, image):
        """Return the path of the cached archive of ``image`` (None: of this recipe), or nothing.

        A build is not always the same to the last byte. Where others built the image that the engine has, the cache
        holds another one of the same recipe, and hosts would be given what they then don't know.
        """
        found = read_if_sound(self.cached)
        return self.cached if found and (image is None or found["layers"] == image["layers"]) else ""

    def _cached_archive(self):
        path = self.cached
        found = None if self.force else read_if_sound(path)
        if found and self.recipe.name in found["tags"]:
            return path, False
        same_root = [] if self.force else self._archives_of_root()
        if same_root:
            with open_layer(same_root[0]) as layer:
                write_archive(path, layer, self.recipe)
            return path, False
        self._build(path)
        return path, True

    def _archives_of_root(self):
        """Return the paths of sound archives with the root file system of this recipe."""
        paths = sorted(glob.glob(os.path.join(self.cache_dir, f"{self.recipe.root_digest}-*.tar")))
        return [path for path in paths if read_if_sound(path)]

    def _forget_older(self, path):
        """Remove archives from the cache that held this image before; each takes as much room as the image."""
        for other in glob.glob(os.path.join(self.cache_dir, "*-*.tar")):
            with contextlib.suppress(HostError, FileNotFoundError):
                if other != path and read_archive(other)["tags"] == [self.recipe.name]:
                    os.unlink(other)

    def _build(self, path):
        """Run mmdebstrap and write its root file system as an image archive to ``path``."""
        program = shutil.which("mmdebstrap")
        if program is None:
            raise HostError("mmdebstrap is not installed; install the Debian package mmdebstrap where base_image runs")
        with tempfile.TemporaryDirectory(prefix="stowage-image-") as scratch:
            files = os.path.join(scratch, "files.tar")
            with open(files, "wb") as stream:
                stream.write(files_archive(self.recipe.files))
            log = os.path.join(scratch, "log")
            with open(log, "wb") as errors:
                self._run(self.recipe.command(files, program), path, errors, log)

    def _run(self, command, path, errors, log):
        environment = dict(os.environ, LC_ALL="C.UTF-8", DEBIAN_FRONTEND="noninteractive")
        # mmdebstrap sets no file's time later than this, so two builds of one recipe give the same bytes.
        environment["SOURCE_DATE_EPOCH"] = str(self.recipe.options.get("timestamp") or 0)
        # The archive is read as a stream, which run_command can not give.
        # pylint: disable-next=ansible-bad-function
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                              env=environment) as process:
            try:
                write_archive(path, _Checked(process, log), self.recipe)
            except BaseException:
                process.terminate()
                raise

    @contextlib.contextmanager
    def _lock(self):
        """Let one build of a root file system run at a time; the second finds it in the cache."""
        with open(os.path.join(self.cache_dir, f"{self.recipe.root_digest}.lock"), "w", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


class _Checked:
    """The output of a process as a stream whose end is an error when the process failed."""

    def __init__(self, process, log):
        self._process = process
        self._log = log

    def read(self, size):
        chunk = self._process.stdout.read(size)
        if not chunk and self._process.wait() != 0:
            with open(self._log, encoding="utf-8", errors="replace") as stream:
                lines = [line.rstrip() for line in stream if line.strip()]
            tail = "\n".join(lines[-_LAST_LINES:])
            raise HostError(f"mmdebstrap failed with exit status {self._process.returncode}; its last lines:\n{tail}")
        return chunk


def recipe_text(recipe):
    """Return a recipe as the text that a diff compares, or nothing for none."""
    return json.dumps(recipe, indent=2, sort_keys=True) + "\n" if recipe else ""


def _place(source, target):
    """Put a file at ``target`` without holding its content twice where the file system allows it."""
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    partial = f"{target}.partial"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    os.replace(partial, target)


def run(options, check_mode):
    """Do what the module's ``options`` ask for, and return its result.

    :raises StowageError: when the recipe is wrong, the build fails or the engine refuses.
    """
    store = ImageStore.connect(options["docker_host"]) if options["engine"] else None
    if options["state"] == "absent":
        return _remove(options, store, check_mode)
    builder = Builder(Recipe.from_options(options), options["cache_dir"], store, options["archive"], options["force"])
    state = builder.state()
    wanted = builder.missing(state)
    made = {"built": False, "id": (state["image"] or {}).get("id")}
    image = state["image"]
    if wanted and not check_mode:
        made = builder.make(wanted)
        image = store.find(builder.recipe.name) if store else None
    known = state["recipe"] or (state["archive"] or {}).get("recipe")
    return {
        "changed": bool(wanted),
        "built": made["built"],
        "image": {
            "name": builder.recipe.name,
            "id": made["id"] or "",
            "digest": builder.recipe.digest,
            "content": (image or {}).get("content", ""),
        },
        "cached": builder.archive_of(image),
        "diff": {
            "before_header": builder.recipe.name,
            "after_header": builder.recipe.name,
            "before": recipe_text(known),
            "after": recipe_text(builder.recipe.describe()),
        },
    }


def _remove(options, store, check_mode):
    image = store.find(options["name"]) if store else None
    archive = options["archive"] if options["archive"] and os.path.exists(options["archive"]) else None
    if not check_mode:
        if image:
            store.remove(options["name"])
        if archive:
            os.unlink(archive)
    before = "".join(f"{item}\n" for item in (image and options["name"], archive) if item)
    return {
        "changed": bool(image or archive),
        "built": False,
        "image": {"name": options["name"], "id": "", "digest": "", "content": ""},
        "cached": "",
        "diff": {"before": before, "after": ""},
    }
