#!/usr/bin/env python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let ``ansible-test --requirements`` work where its pip bootstrap script can't be downloaded.

ansible-test fetches a get-pip script from the web and keeps it in its cache. Behind a mirror of the package index that
fetch fails although every package can be had. This builds the same script from the pip package that ansible-test names,
with pip as it is configured on this machine. Run it with the Python that holds ansible-core; it does nothing when the
cache already has the script.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import ansible_test

SCRIPT = """\
import sys
sys.path.insert(0, {wheel!r})
from pip._internal.cli.main import main
arguments = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", "--quiet", "--upgrade", "--force-reinstall", "--find-links", {wheels!r}] + arguments))
"""


def wanted_version() -> str:
    """Return the newest pip version that this ansible-test names, the one it takes for Python 3.7 and newer."""
    source = pathlib.Path(next(iter(ansible_test.__path__))) / "_internal" / "python_requirements.py"
    found = re.findall(r"\bpip='(\d+(?:\.\d+)+)'", source.read_text(encoding="utf-8"))
    if not found:
        sys.exit("%s names no pip version; this script must learn where ansible-test keeps it now" % source)
    return max(found, key=lambda version: [int(part) for part in version.split(".")])


def main() -> None:
    """Build the script unless it is there."""
    version = wanted_version()
    cache = pathlib.Path.home() / ".ansible" / "test" / "cache"
    script = cache / ("get_pip_%s.py" % version.replace(".", "_"))
    if script.is_file() and script.stat().st_size:
        return
    wheels = cache / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    wanted = "pip==" + version
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), wanted]
    subprocess.run(command, check=True)
    wheel = next(wheels.glob("pip-%s-*.whl" % version))
    script.write_text(SCRIPT.format(wheel=str(wheel), wheels=str(wheels)), encoding="utf-8")


if __name__ == "__main__":
    main()
