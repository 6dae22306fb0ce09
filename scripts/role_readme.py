#!/usr/bin/env python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the variable tables of the roles' READMEs from their argument specs.

The text between the two markers is generated; all around it is kept. A role without a README gets one.
``--check`` changes nothing, and fails naming each README that is out of date.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import yaml

BEGIN = "<!-- begin: generated from meta/argument_specs.yml by scripts/role_readme.py -->"
END = "<!-- end: generated -->"


def plain(text: str | list[str]) -> str:
    """Return a description as one line of Markdown, with the semantic markup of Ansible turned into code."""
    line = " ".join(text.split() if isinstance(text, str) else " ".join(text).split())
    return re.sub(r"\b[CVOIBU]\(([^)]*)\)", r"`\1`", line).replace("|", "\\|")


def default_of(option: dict, role_default: object) -> str:
    """Return what a table says of an option's default; one that is computed is described, not shown."""
    if option.get("required"):
        return "required"
    value = option.get("default", role_default)
    if value is None or (isinstance(value, str) and "{{" in value):
        return "see the description"
    return f"`{json.dumps(value)}`"


def rows(options: dict, role_defaults: dict, prefix: str = "") -> list[str]:
    """Return the table rows of options and, below each, of their suboptions (``parent[].child``)."""
    lines = []
    for name, option in options.items():
        kind = option.get("type", "str")
        if "elements" in option:
            kind = f"{kind} of {option['elements']}"
        description = plain(option.get("description", ""))
        if "choices" in option:
            description += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
        role_default = "{{ }}" if prefix and not option.get("required") else role_defaults.get(name)
        lines.append(f"| `{prefix}{name}` | {kind} | {default_of(option, role_default)} | {description} |")
        below = f"{prefix}{name}{'[]' if kind.startswith('list') else ''}."
        lines += rows(option.get("options", {}), role_defaults, below)
    return lines


def generated(role: Path) -> str:
    """Return the generated part of a role's README."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    defaults_file = role / "defaults/main.yml"
    defaults = (yaml.safe_load(defaults_file.read_text(encoding="utf-8")) if defaults_file.is_file() else None) or {}
    parts = [BEGIN]
    for entry, spec in specs.items():
        description = spec.get("description", [])
        sentences = [description] if isinstance(description, str) else description
        parts += ["", f"## {spec.get('short_description', entry)}" + ("" if entry == "main" else f" (`{entry}`)"), ""]
        parts += [f"- {plain(sentence)}" for sentence in sentences]
        if spec.get("options"):
            parts += ["", "| variable | type | default | meaning |", "|---|---|---|---|"]
            parts += rows(spec["options"], defaults)
    return "\n".join([*parts, "", END])


def updated(role: Path) -> str:
    """Return the whole README of a role, with its generated part renewed."""
    readme = role / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else f"# stowage.fleet.{role.name}\n"
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n"
    head, rest = text.split(BEGIN, 1)
    return head + generated(role) + rest.split(END, 1)[1]


def main() -> int:
    """Renew or check the READMEs of the named roles, or of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail where a README is out of date")
    parser.add_argument("roles", nargs="*", help="names of roles; all by default")
    arguments = parser.parse_args()
    home = Path(__file__).resolve().parent.parent / "roles"
    stale = []
    for role in sorted(spec.parent.parent for spec in home.glob("*/meta/argument_specs.yml")):
        if arguments.roles and role.name not in arguments.roles:
            continue
        text, readme = updated(role), role / "README.md"
        if not readme.is_file() or readme.read_text(encoding="utf-8") != text:
            stale.append(role.name)
            if not arguments.check:
                readme.write_text(text, encoding="utf-8")
    if stale:
        verb = "is out of date; run scripts/role_readme.py" if arguments.check else "was written"
        print("\n".join(f"roles/{name}/README.md {verb}" for name in stale))
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
