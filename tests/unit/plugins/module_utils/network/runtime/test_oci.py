# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between the engine and runc."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import HostError
from ansible_collections.stowage.fleet.plugins.module_utils.network import specs
from ansible_collections.stowage.fleet.plugins.module_utils.network.filter.policy import Policy
from ansible_collections.stowage.fleet.plugins.module_utils.network.runtime import oci as runtime
from ansible_collections.stowage.fleet.plugins.module_utils.network.runtime import program


def bundle(folder, config):
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def hooks(folder):
    return json.loads((folder / "config.json").read_text())["hooks"]


def test_the_hook_comes_before_the_engines_own_and_once(tmp_path):
    place = bundle(tmp_path, {"hooks": {"prestart": [{"path": "/engine"}], "poststop": [{"path": "/other"}]}})
    runtime.add_hook(place, "/program")
    runtime.add_hook(place, "/program")
    assert [hook["path"] for hook in hooks(tmp_path)["prestart"]] == ["/program", "/engine"]
    assert hooks(tmp_path)["poststop"] == [{"path": "/other"}]


def test_a_bundle_without_hooks_gets_one(tmp_path):
    runtime.add_hook(bundle(tmp_path, {"process": {}}), "/program")
    assert hooks(tmp_path)["prestart"][0]["args"] == ["/program", "hook"]


def test_a_bundle_that_can_not_be_read_makes_no_container_and_tells_the_engine(tmp_path, capsys):
    log = tmp_path / "log.json"
    assert runtime.main(["create", "--log", str(log), "create", "--bundle", str(tmp_path), "id"]) == 1
    assert "the container was not made" in capsys.readouterr().err
    assert json.loads(log.read_text())["level"] == "error"


def test_a_container_that_nothing_is_remembered_of_does_not_start(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"id": "ab" * 32, "pid": 1})))
    assert runtime.main(["hook"]) == 1
    assert "must not start without its packet filter" in capsys.readouterr().err


def test_the_program_is_the_same_for_the_same_code_and_holds_no_ansible(tmp_path):
    assert program.build() == program.build()
    assert len(program.install(str(tmp_path))) == 2
    assert program.install(str(tmp_path)) == []
    with zipfile.ZipFile(tmp_path / "network.pyz") as archive:
        sources = [archive.read(name).decode() for name in archive.namelist()]
    assert not any("import ansible" in source or "from ansible" in source for source in sources)


def test_the_program_runs_without_the_collection(tmp_path):
    program.install(str(tmp_path))
    words = [sys.executable, "-IS", str(tmp_path / "network.pyz"), "sing"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr == "expected create, start, delete or hook\n"


def test_check_mode_writes_no_program(tmp_path):
    assert len(program.install(str(tmp_path / "new"), check_mode=True)) == 2
    assert not (tmp_path / "new").exists()


def test_what_is_remembered_is_found_again_until_it_is_forgotten(tmp_path):
    folder = str(tmp_path / "network")
    policy = Policy({"clusters": {"acme": {"members": [{"name": "acme_web_0", "address": "10.0.0.1"}]}}}, folder)
    assert policy.remember("id1", "acme_web_0", "acme")
    assert not policy.remember("id1", "acme_web_0", "acme")
    assert specs.known(folder, folder) == ["id1"]
    assert "ip saddr != 10.0.0.1 drop" in specs.read("id1", folder)["rules"]
    policy.forget("id1")
    assert specs.known(folder, folder) == []
    assert specs.read("id1", folder) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 2}'])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "id1.json").write_text(text)
    with pytest.raises(HostError, match=r"id1\.json is"):
        specs.read("id1", str(tmp_path))
