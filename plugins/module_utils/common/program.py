# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run on hosts without Ansible: modules of the collection, packed into one file that Python runs.

They hold the very modules that Ansible runs, so there is one code; one file is written, and compared, in one step.
"""

from __future__ import annotations

import ast
import io
import zipfile
from importlib import import_module

from .files import write_bytes

_ROOT = __name__.rpartition(".common.")[0]
_PACKAGE = "stowage_host"
_MAIN = "import sys\nfrom {module} import main\nsys.exit(main())\n"
# Zip knows no earlier moment; a fixed one makes equal programs equal bytes.
_MOMENT = (1980, 1, 1, 0, 0, 0)


def build(entry, interpreter):
    """Return a program as bytes; the same bytes for the same code.

    :param entry: the module below ``module_utils`` whose ``main`` it runs. What that imports relatively comes along,
        and must itself need nothing but the standard library. Who calls this has imported it, so that Ansible has
        brought all of it to the host.
    :param interpreter: the program's first line, without ``#!``.
    """
    name = entry.__name__
    sources = {"__main__.py": _MAIN.format(module=_PACKAGE + name[len(_ROOT):])}
    waiting, seen = [name], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        module = import_module(name)
        source = module.__spec__.loader.get_source(name) or ""
        package = hasattr(module, "__path__")
        path = "/".join([_PACKAGE, *name[len(_ROOT) + 1:].split(".")]) if name != _ROOT else _PACKAGE
        sources[f"{path}/__init__.py" if package else f"{path}.py"] = "" if name == _ROOT else source
        if name != _ROOT:
            waiting += [name.rpartition(".")[0], *_imported(source, name if package else name.rpartition(".")[0])]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, source in sorted(sources.items()):
            archive.writestr(zipfile.ZipInfo(path, _MOMENT), source, zipfile.ZIP_DEFLATED)
    return f"#!{interpreter}\n".encode() + target.getvalue()


def _imported(source, package):
    """Yield the names of the modules that a source imports relatively."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        parts = package.split(".")
        base = ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
        yield base
        for alias in node.names:
            if _is_module(f"{base}.{alias.name}"):
                yield f"{base}.{alias.name}"


def _is_module(name):
    try:
        import_module(name)
    except ModuleNotFoundError:
        return False
    return True


def install(path, content, check_mode=False):
    """Write a program to ``path`` where it differs; return whether it did."""
    try:
        with open(path, "rb") as stream:
            if stream.read() == content:
                return False
    except FileNotFoundError:
        pass
    if not check_mode:
        write_bytes(path, content, mode=0o755)
    return True
