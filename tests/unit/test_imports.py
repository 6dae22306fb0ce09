# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports run downwards only: between the rooms of docs/architecture.md, as between files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
COLLECTION = "ansible_collections.stowage.fleet.plugins."
#: From the top down. A file belongs to the longest name that it starts with.
ROOMS = (
    # What Ansible calls.
    "action", "inventory", "modules", "connection", "lookup", "filter", "callback", "doc_fragments",
    # The controller's side.
    "plugin_utils.hand_out", "plugin_utils.controller", "plugin_utils.host_work", "plugin_utils.job_board",
    "plugin_utils.run_folder",
    "plugin_utils.desired.report", "plugin_utils.desired.apply", "plugin_utils.desired.plan",
    "plugin_utils.desired.read", "plugin_utils.desired",
    "plugin_utils.placement", "plugin_utils.placement.planner", "plugin_utils.placement.result",
    "plugin_utils.placement.steps", "plugin_utils.placement.search", "plugin_utils.placement.feasible",
    "plugin_utils.placement.read", "plugin_utils.placement.model", "plugin_utils.placement.numeric",
    "plugin_utils.remote", "plugin_utils.rendering", "plugin_utils.inventory_sources",
    "plugin_utils.terminal",
    # The hosts' side, which both use.
    "module_utils.observation", "module_utils.containers", "module_utils.disks",
    "module_utils.network.runtime", "module_utils.network.links", "module_utils.network.filter",
    "module_utils.network.host", "module_utils.network",
    "module_utils.image_build", "module_utils.lab", "module_utils.engine", "module_utils.host", "module_utils.common",
)


def module_of(path: Path) -> str:
    name = ".".join(path.relative_to(PLUGINS).with_suffix("").parts)
    return name.removesuffix(".__init__")


FILES = {module_of(path): path for path in sorted(PLUGINS.rglob("*.py"))}


def room_of(module: str) -> str | None:
    fitting = [room for room in ROOMS if module == room or module.startswith(f"{room}.")]
    return max(fitting, key=len, default=None)


def imports(module: str) -> Iterator[str]:
    path = FILES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])
        elif (node.module or "").startswith(COLLECTION):
            base = str(node.module).removeprefix(COLLECTION)
        else:
            continue
        for alias in node.names:
            full = f"{base}.{alias.name}"
            yield full if full in FILES else base


GRAPH = {module: sorted(set(imports(module)) - {module}) for module in FILES}


def test_every_file_has_a_room():
    assert [module for module in FILES if room_of(module) is None] == []


@pytest.mark.parametrize("module", sorted(FILES))
def test_imports_run_downwards(module):
    upwards = [other for other in GRAPH[module] if ROOMS.index(room_of(other)) < ROOMS.index(room_of(module))]
    assert upwards == []


def test_no_file_is_imported_by_what_it_imports():
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join([*way[way.index(module):], module])
        if module not in done:
            for other in GRAPH.get(module, ()):
                visit(other, (*way, module))
            done.add(module)

    for module in FILES:
        visit(module, ())


def test_what_every_room_may_use_needs_the_standard_library_only():
    # common/program.py finds modules by name and so imports none of the collection's.
    assert {room_of(other) for module in FILES if room_of(module) == "module_utils.common"
            for other in GRAPH[module]} <= {"module_utils.common"}
