# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of an image: its digests, its mmdebstrap call, its complaints."""

from __future__ import annotations

import json

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.image_build.recipe import RECIPE_LABEL, Recipe, read_label


def recipe(**options):
    """Return a recipe of a small image, with ``options`` on top."""
    return Recipe.from_options({"name": "shop/redis:1", "suite": "bookworm", "packages": ["redis-server"], **options})


def test_order_and_repetition_of_packages_do_not_matter():
    first, second = recipe(packages=["b", "a"]), recipe(packages=["a", "b", "a"])
    assert first.digest == second.digest
    assert "--include=a,b" in first.command("/tmp/files.tar")


@pytest.mark.parametrize(
    "options", [{"cmd": ["redis-server"]}, {"env": {"A": "1"}}, {"labels": {"a": "b"}}, {"stop_signal": "SIGQUIT"}]
)
def test_configuration_changes_the_digest_but_not_the_root(options):
    assert recipe(**options).digest != recipe().digest
    assert recipe(**options).root_digest == recipe().root_digest


@pytest.mark.parametrize(
    "options",
    [
        {"packages": ["redis-tools"]},
        {"suite": "trixie"},
        {"commands": ["true"]},
        {"files": [{"dest": "/a", "content": "b"}]},
        {"documentation": True},
    ],
)
def test_what_is_in_the_image_changes_the_root(options):
    assert recipe(**options).root_digest != recipe().root_digest


def test_an_empty_option_is_the_same_as_none():
    assert recipe(cmd=[], env={}, user=None, hooks=[]).digest == recipe().digest


def test_content_of_a_source_file_counts(tmp_path):
    source = tmp_path / "a"
    digests = set()
    for text in ("one", "two"):
        source.write_text(text)
        digests.add(recipe(files=[{"dest": "/a", "src": str(source)}]).root_digest)
    assert len(digests) == 2


def test_the_label_reads_back():
    made = recipe(cmd=["redis-server"])
    labels = made.image_config("sha256:0")["config"]["Labels"]
    assert read_label(labels) == (made.digest, json.loads(json.dumps(made.describe())))


@pytest.mark.parametrize("labels", [None, {}, {RECIPE_LABEL: "no json"}, {RECIPE_LABEL: "[]"}, {RECIPE_LABEL: "{}"}])
def test_a_foreign_image_has_no_recipe(labels):
    assert read_label(labels) == (None, None)


def test_name_without_tag_is_latest():
    assert recipe(name="registry.example:5000/shop/redis").name == "registry.example:5000/shop/redis:latest"


def test_all_complaints_come_at_once():
    with pytest.raises(InvalidInput) as caught:
        Recipe.from_options(
            {
                "name": "Not A Name",
                "packages": ["good", "-bad"],
                "files": [
                    {"dest": "relative", "content": ""},
                    {"dest": "/a", "mode": "rw"},
                    {"dest": "/b", "src": "/no"},
                ],
            }
        )
    starts = [problem.split(":")[0] for problem in caught.value.problems]
    assert starts == ["name", "files[0].dest", "files[1].mode", "files[2].src", "suite", "packages[1]"]


def test_commands_are_quoted_and_run_after_files():
    call = recipe(files=[{"dest": "/a", "content": ""}], commands=["echo 'a b' >\"$HOME/x\""]).command("/tmp/f.tar")
    hooks = [item for item in call if item.startswith("--customize-hook")]
    assert hooks[0] == "--customize-hook=tar-in /tmp/f.tar /"
    assert hooks[1].startswith('--customize-hook=chroot "$1" /bin/sh -eu -c ')
    assert call[-2:] == ["bookworm", "-"]


def test_a_given_mirror_brings_its_own_keys():
    assert recipe(mirrors=["http://mirror.example/debian"]).keyrings() == []
    assert recipe(mirrors=["http://mirror.example/debian"], keyrings=["/k.gpg"]).keyrings() == ["/k.gpg"]


def test_configuration_takes_the_form_of_the_image_specification():
    config = recipe(
        env={"A": 1},
        exposed_ports=["80", "53/udp"],
        volumes=["/data"],
        health={"test": ["CMD", "true"], "interval": 1.5},
    ).image_config("sha256:0")["config"]
    assert "A=1" in config["Env"]
    assert any(item.startswith("PATH=") for item in config["Env"])
    assert config["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert config["Volumes"] == {"/data": {}}
    assert config["Healthcheck"] == {"Test": ["CMD", "true"], "Interval": 1_500_000_000}
