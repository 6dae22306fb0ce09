# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role images as it is installed: a read-only collection, whose cache is the user's."""

from __future__ import annotations

import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import uuid

import pytest
import yaml

TOP = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture
def collection(tmp_path):
    """A copy of the collection that nobody may write to; root could, so it is looked at afterwards."""
    target = tmp_path / "collections" / "ansible_collections" / "stowage" / "fleet"
    for part in ("plugins", "roles/images", "meta"):
        shutil.copytree(TOP / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "galaxy.yml", target)
    folders = [target, *(path for path in target.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    before = sorted(target.rglob("*"))
    yield tmp_path / "collections"
    assert sorted(target.rglob("*")) == before, "nothing was written into the collection"
    for folder in folders:
        folder.chmod(0o755)


@pytest.fixture
def recipe(api, tmp_path):
    """A recipe of an image of its own, with a stand-in for mmdebstrap that notes each call in ``calls``."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("motd"))
    (tmp_path / "layer.tar").write_bytes(layer.getvalue())
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho called >>{tmp_path}/calls\ncat {tmp_path}/layer.tar\n")
    program.chmod(0o755)
    name = f"stowage-test-{uuid.uuid4().hex[:8]}:1"
    yield {"name": name, "suite": "bookworm"}
    for found in api.images(name.partition(":")[0], quiet=True):
        api.remove_image(found, force=True)


def test_built_images_are_kept_in_the_users_cache(collection, recipe, tmp_path):
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}", "images_recipes": [recipe]},
            "roles": ["stowage.fleet.images"]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))

    def run(xdg_cache):
        environment = {**os.environ, "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": xdg_cache,
                       "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1",
                       "ANSIBLE_COLLECTIONS_PATH": str(collection), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(
            ["ansible-playbook", "-i", "localhost,", "-e", json.dumps({"images_controller_become": False}), "play.yml"],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout

    (tmp_path / "home").mkdir()
    # What is no absolute path counts as not set.
    run("cache")
    kept = list((tmp_path / "home" / ".cache" / "stowage" / "images").glob("*.tar"))
    assert len(kept) == 1
    # Elsewhere nothing is kept, but the engine has the image.
    (tmp_path / "elsewhere" / "stowage" / "images").mkdir(parents=True)
    assert "changed=0" in run(str(tmp_path / "elsewhere"))
    assert (tmp_path / "calls").read_text().splitlines() == ["called"]
