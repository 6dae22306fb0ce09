# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image archives written without an engine, and the builder that fills the cache with them."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import HostError
from ansible_collections.stowage.fleet.plugins.module_utils.image_build.archive import (
    files_archive,
    open_layer,
    read_archive,
    write_archive,
)
from ansible_collections.stowage.fleet.plugins.module_utils.image_build.build import Builder
from ansible_collections.stowage.fleet.plugins.module_utils.image_build.recipe import File, Recipe

LAYER = files_archive([File("/etc/motd", b"hello\n")])


def recipe(**options):
    """Return a recipe of a small image, with ``options`` on top."""
    return Recipe.from_options({"name": "shop/small:1", "suite": "bookworm", "timestamp": 0, **options})


@pytest.fixture
def mmdebstrap(tmp_path, monkeypatch):
    """Put a stand-in for mmdebstrap in the path; it counts its calls. ``fail`` makes it fail with two lines."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "layer.tar").write_bytes(LAYER)
    program = folder / "mmdebstrap"
    program.write_text(
        f"#!/bin/sh\necho called >>{tmp_path}/calls\n"
        f"if [ -e {tmp_path}/fail ]; then echo 'E: one' >&2; echo 'E: two' >&2; exit 25; fi\ncat {tmp_path}/layer.tar\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path


def calls(folder):
    """Return how often the stand-in was called."""
    path = folder / "calls"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_an_archive_reads_back(tmp_path):
    path = str(tmp_path / "image.tar")
    image_id = write_archive(path, io.BytesIO(LAYER), recipe())
    found = read_archive(path)
    assert found["id"] == image_id
    assert found["tags"] == ["shop/small:1"]
    with open_layer(path) as layer:
        assert layer.read() == LAYER


def test_equal_recipe_and_layer_give_equal_bytes(tmp_path):
    digests = set()
    for name in ("a", "b"):
        write_archive(str(tmp_path / name), io.BytesIO(LAYER), recipe())
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_build_that_fails_leaves_no_archive(tmp_path):
    with pytest.raises(HostError, match="empty"):
        write_archive(str(tmp_path / "image.tar"), io.BytesIO(b""), recipe())
    assert list(tmp_path.iterdir()) == []


def test_files_keep_mode_and_owner():
    with tarfile.open(fileobj=io.BytesIO(files_archive([File("/a/b", b"c", 0o750, 3, 4)]))) as archive:
        member = archive.getmember("a/b")
    assert (member.mode, member.uid, member.gid, member.size) == (0o750, 3, 4, 1)


def test_what_is_no_archive_is_named(tmp_path):
    path = tmp_path / "x"
    path.write_text("no archive")
    with pytest.raises(HostError, match="is not an image archive"):
        read_archive(str(path))


def test_a_root_is_built_once_for_all_configurations(mmdebstrap):
    cache, out = str(mmdebstrap / "cache"), str(mmdebstrap / "out.tar")
    for options in ({}, {"cmd": ["a"]}, {}):
        builder = Builder(recipe(**options), cache, archive=out)
        builder.make(builder.missing(builder.state()))
    assert calls(mmdebstrap) == 1


def test_a_second_run_finds_nothing_missing(mmdebstrap):
    builder = Builder(recipe(), str(mmdebstrap / "cache"), archive=str(mmdebstrap / "out.tar"))
    assert builder.missing(builder.state()) == ["archive"]
    builder.make(["archive"])
    assert builder.missing(builder.state()) == []


def test_the_cache_keeps_one_archive_of_an_image(mmdebstrap):
    for options in ({}, {"cmd": ["a"]}, {"name": "shop/other:1"}):
        builder = Builder(recipe(**options), str(mmdebstrap / "cache"), archive=str(mmdebstrap / "out.tar"))
        builder.make(["archive"])
    tags = [read_archive(str(path))["tags"] for path in (mmdebstrap / "cache").glob("*.tar")]
    assert sorted(tags) == [["shop/other:1"], ["shop/small:1"]]


def test_the_cached_archive_of_another_build_is_not_given_away(mmdebstrap):
    builder = Builder(recipe(), str(mmdebstrap / "cache"), archive=str(mmdebstrap / "out.tar"))
    assert builder.archive_of(None) == ""
    builder.make(["archive"])
    layers = read_archive(builder.cached)["layers"]
    assert builder.archive_of(None) == builder.archive_of({"layers": layers}) == builder.cached
    assert builder.archive_of({"layers": ["sha256:built by somebody else"]}) == ""


def test_force_builds_again(mmdebstrap):
    for force in (False, True):
        builder = Builder(recipe(), str(mmdebstrap / "cache"), archive=str(mmdebstrap / "out.tar"), force=force)
        builder.make(builder.missing(builder.state()))
    assert calls(mmdebstrap) == 2


def test_a_failed_build_shows_its_last_lines(mmdebstrap):
    (mmdebstrap / "fail").touch()
    builder = Builder(recipe(), str(mmdebstrap / "cache"), archive=str(mmdebstrap / "out.tar"))
    with pytest.raises(HostError, match=r"exit status 25.*\nE: one\nE: two"):
        builder.make(["archive"])
    assert not (mmdebstrap / "out.tar").exists()


def test_a_missing_mmdebstrap_names_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    builder = Builder(recipe(), str(tmp_path / "cache"), archive=str(tmp_path / "out.tar"))
    with pytest.raises(HostError, match="install the Debian package mmdebstrap"):
        builder.make(["archive"])


@pytest.mark.parametrize("rest", [0, 100, 2048], ids=["nothing", "part of a header", "no manifest"])
@pytest.mark.parametrize("options", [{}, {"cmd": ["b"]}], ids=["its own", "of the same root"])
def test_a_damaged_file_of_the_cache_is_not_used(mmdebstrap, options, rest):
    builder = Builder(recipe(), str(mmdebstrap / "cache"), archive=str(mmdebstrap / "out.tar"))
    builder.make(["archive"])
    os.unlink(mmdebstrap / "out.tar")
    os.truncate(builder.cached, rest)
    assert builder.archive_of(None) == ""
    again = Builder(recipe(**options), str(mmdebstrap / "cache"), archive=str(mmdebstrap / "out.tar"))
    assert again.make(["archive"])["built"]
    assert read_archive(again.cached)["layers"] == read_archive(str(mmdebstrap / "out.tar"))["layers"]
    assert calls(mmdebstrap) == 2
