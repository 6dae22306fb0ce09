# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction around daemon.json, with a service that plays its part (the real ones are met in integration)."""

from __future__ import annotations

import json

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import EngineError, HostError, InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.engine.config import OLD_FILE, converge


class Service:
    """An engine that is installed and runs; ``answers`` is what its next restarts say."""

    program = "dockerd"

    def __init__(self, complaint=None, answers=(), installed=True, active=True, enabled=True):
        self.complaint, self.answers, self.calls = complaint, list(answers), []
        self._installed, self._active, self._enabled = installed, active, enabled

    def installed(self):
        return self._installed

    def active(self):
        return self._active

    def enabled(self):
        return self._enabled

    def enable(self):
        self.calls.append("enable")

    def complaint_about(self, text):
        return self.complaint

    def enable_live_restore(self):
        self.calls.append("live-restore")

    def restart(self):
        self.calls.append("restart")
        return self.answers.pop(0) if self.answers else None


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "daemon.json"
    file.write_text('{"icc": true}')
    return file


def test_the_same_configuration_in_another_layout_restarts_nothing(path):
    service = Service()
    assert not converge(service, str(path), {"icc": True})["changed"]
    assert service.calls == []
    assert path.read_text() == '{"icc": true}'


def test_a_change_restarts_once_and_leaves_no_trace(path):
    service = Service()
    assert converge(service, str(path), {"icc": False})["restarted"]
    assert service.calls == ["restart"]
    assert json.loads(path.read_text()) == {"icc": False}
    assert [p.name for p in path.parent.iterdir()] == ["daemon.json"]


def test_live_restore_is_turned_on_before_the_restart(path):
    service = Service()
    converge(service, str(path), {"live-restore": True})
    assert service.calls == ["live-restore", "restart"]


def test_a_refusal_of_the_validator_touches_nothing_also_in_check_mode(path):
    for check_mode in (False, True):
        service = Service(complaint="unknown option: nope")
        with pytest.raises(InvalidInput, match=r"unknown option: nope\. .*left as they are"):
            converge(service, str(path), {"nope": 1}, check_mode=check_mode)
        assert service.calls == []
        assert path.read_text() == '{"icc": true}'


def test_an_engine_that_stays_down_gets_its_old_file_back(path):
    service = Service(answers=["driver not supported"])
    with pytest.raises(EngineError, match=r"driver not supported\. The old .* is back, and the engine runs with it"):
        converge(service, str(path), {"storage-driver": "x"})
    assert service.calls == ["restart", "restart"]
    assert path.read_text() == '{"icc": true}'
    assert [p.name for p in path.parent.iterdir()] == ["daemon.json"]


def test_an_engine_that_had_no_file_gets_none_back(path):
    path.unlink()
    with pytest.raises(EngineError, match=r"There was no .* removed again"):
        converge(Service(answers=["no"]), str(path), {"storage-driver": "x"})
    assert list(path.parent.iterdir()) == []


def test_an_engine_that_never_comes_back_is_said_to_be_down(path):
    with pytest.raises(EngineError, match="but the engine does not come up now either: disk full"):
        converge(Service(answers=["no", "disk full"]), str(path), {"icc": False})


def test_a_half_done_change_is_finished_and_its_old_file_still_serves(path):
    (path.parent / ("daemon.json" + OLD_FILE)).write_text('{"first": 1}')
    assert converge(Service(), str(path), {"icc": True})["restarted"]
    (path.parent / ("daemon.json" + OLD_FILE)).write_text('{"first": 1}')
    with pytest.raises(EngineError):
        converge(Service(answers=["no"]), str(path), {"icc": True})
    assert path.read_text() == '{"first": 1}'


def test_check_mode_predicts_on_a_bare_host_and_touches_nothing(path):
    path.unlink()
    result = converge(Service(installed=False, active=False, enabled=False), str(path), {"icc": False}, check_mode=True)
    assert result["changed"]
    assert not result["validated"]
    assert list(path.parent.iterdir()) == []


def test_a_host_without_an_engine_is_refused(path):
    with pytest.raises(HostError, match="no engine on this host"):
        converge(Service(installed=False), str(path), {"icc": False})


def test_a_stopped_and_disabled_engine_is_enabled_and_started(path):
    service = Service(active=False, enabled=False)
    assert converge(service, str(path), {"icc": True})["changed"]
    assert service.calls == ["enable", "restart"]


def drop_in(path, text, service=None):
    unit = path.parent / "90-stowage.conf"
    return converge(service or Service(), str(path), {"icc": True}, str(unit), text), unit


def test_a_drop_in_comes_changes_and_goes_each_with_one_restart(path):
    for text in ("[Service]\nEnvironment=A=secret\n", "[Service]\nEnvironment=A=other\n", ""):
        service = Service()
        result, unit = drop_in(path, text, service)
        assert result["changed"]
        assert service.calls == ["restart"]
        assert "A=" not in json.dumps(result)
        assert (unit.read_text() if unit.exists() else "") == text
        assert not drop_in(path, text)[0]["changed"]
    assert [p.name for p in path.parent.iterdir()] == ["daemon.json"]


def test_a_drop_in_that_the_engine_dies_of_is_taken_back(path):
    drop_in(path, "good")
    with pytest.raises(EngineError, match="runs with it"):
        drop_in(path, "bad", Service(answers=["no"]))
    assert not drop_in(path, "good")[0]["changed"]


def test_a_run_that_died_after_it_wrote_the_drop_in_is_finished(path):
    _result, unit = drop_in(path, "good")
    (unit.parent / (unit.name + OLD_FILE)).write_text("old")
    service = Service()
    assert drop_in(path, "good", service)[0]["restarted"]
    assert service.calls == ["restart"]
    assert not drop_in(path, "good")[0]["changed"]
