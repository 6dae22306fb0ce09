# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images are looked at once and fetched when the policy says so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import EngineError
from ansible_collections.stowage.fleet.plugins.module_utils.engine.client import NotFound
from ansible_collections.stowage.fleet.plugins.module_utils.engine.images import Images


class Engine:
    """An engine that has some images, beside a registry that has some."""

    def __init__(self, here=(), registry=()):
        self.here = {name: f"{name} of yesterday" for name in here}
        self.registry = registry
        self.told = []

    def inspect_image(self, name):
        self.told.append("look")
        if name not in self.here:
            raise NotFound(f"No such image: {name}")
        return {"Id": self.here[name]}

    def pull(self, name):
        self.told.append("fetch")
        if name not in self.registry:
            raise EngineError("the registry does not answer")
        self.here[name] = f"{name} of today"


def find(engine, policy="missing", check=False):
    return Images(engine, policy, "h1", check).find("web:1")


@pytest.mark.parametrize(("policy", "here", "found", "told"), [
    ("missing", True, "yesterday", ["look"]),
    ("missing", False, "today", ["look", "fetch", "look"]),
    ("never", True, "yesterday", ["look"]),
    ("always", True, "today", ["fetch", "look"]),
    ("always", False, "today", ["fetch", "look"]),
])
def test_the_policy_says_when_an_image_is_fetched(policy, here, found, told):
    engine = Engine(["web:1"] if here else [], ["web:1"])
    assert find(engine, policy) == {"Id": f"web:1 of {found}"}
    assert engine.told == told


@pytest.mark.parametrize("policy", ["missing", "always"])
def test_check_mode_fetches_nothing_and_tells_what_would_have_to_be_fetched(policy):
    engine = Engine(registry=["web:1"])
    assert find(engine, policy, check=True) is None
    assert engine.told == ["look"]


def test_check_mode_takes_the_image_that_is_there_even_if_it_would_be_fetched_anew():
    engine = Engine(["web:1"], ["web:1"])
    assert find(engine, "always", check=True) == {"Id": "web:1 of yesterday"}
    assert engine.told == ["look"]


@pytest.mark.parametrize("check", [False, True])
def test_an_image_that_is_missing_and_may_not_be_fetched_is_named_with_the_host(check):
    with pytest.raises(EngineError, match="image web:1 is not on host h1, and pull is never"):
        find(Engine(registry=["web:1"]), "never", check)


@pytest.mark.parametrize(("policy", "here", "sentence"), [
    ("missing", [], "image web:1 on host h1 is not there and can't be fetched: the registry does not answer"),
    ("always", ["web:1"], "image web:1 on host h1 can't be fetched anew: the registry does not answer"),
])
def test_a_failed_fetch_is_told_with_the_image_the_host_and_the_reason(policy, here, sentence):
    with pytest.raises(EngineError) as caught:
        find(Engine(here), policy)
    assert caught.value.message == sentence


def test_an_image_is_looked_at_once_for_all_its_containers():
    engine = Engine(["web:1"])
    images = Images(engine, "missing", "h1", False)
    assert images.find("web:1") is images.find("web:1")
    assert engine.told == ["look"]


def test_a_fetch_that_failed_is_not_tried_again_for_the_next_container():
    engine = Engine()
    images = Images(engine, "missing", "h1", False)
    for _container in range(3):
        with pytest.raises(EngineError, match="can't be fetched"):
            images.find("web:1")
    assert engine.told == ["look", "fetch"]


def test_one_image_that_fails_does_not_stand_in_anothers_way():
    images = Images(Engine(["db:1"]), "missing", "h1", False)
    with pytest.raises(EngineError):
        images.find("web:1")
    assert images.find("db:1") == {"Id": "db:1 of yesterday"}


def test_containers_that_start_side_by_side_fetch_their_image_once():
    engine = Engine(registry=["web:1"])
    images = Images(engine, "missing", "h1", False)
    together = threading.Barrier(4)

    def find_together(_container):
        together.wait(timeout=30)
        return images.find("web:1")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(find_together, range(4)))
    assert found == [{"Id": "web:1 of today"}] * 4
    assert engine.told.count("fetch") == 1
