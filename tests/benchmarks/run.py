"""Run a benchmark: `python tests/benchmarks/run.py NAME [--case CASE …]`. Its JSON lines come last. See README.md."""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
# The script's own folder would shadow packages of the same names; its parent makes them `benchmarks.<name>`.
sys.path[:1] = [str(HERE.parent)]

from benchmarks.measure import Measurement

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def names() -> list[str]:
    """The benchmarks there are: packages beside this file."""
    return sorted(path.parent.name for path in HERE.glob("*/__init__.py"))


def measure(bench: ModuleType, name: str, case: str) -> tuple[list[str], bool, bool]:
    """Run one case here. Returns its JSON lines, whether it ran at all, and whether it reached what it aimed at."""
    lines: list[str] = []
    reached = True
    try:
        for measurement in bench.run(case):
            lines.append(measurement.line())
            reached = reached and measurement.ok() is not False
    except Exception:  # the other cases still run; this one is reported as failed
        traceback.print_exc()
        lines.append(Measurement(name, case, "error", None).line())
        return lines, False, False
    return lines, True, reached


def measure_apart(name: str, case: str) -> tuple[list[str], bool, bool]:
    """Run one case in a process of its own, pinned to one core, so that no case pays for another's memory."""
    core = str(max(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lines"
        command = [sys.executable, str(HERE / "run.py"), name, "--case", case, "--here", "--json", str(file)]
        code = subprocess.call(["taskset", "-c", core, *command], env={**os.environ, **ONE_THREAD})
        if not file.exists():
            return [Measurement(name, case, "error", None).line()], False, False
        lines = file.read_text().splitlines()
    return lines, code == 0, all('"ok": false' not in line for line in lines)


def needs(bench: ModuleType) -> str:
    """What a benchmark asks of the machine, a word and a value in each line, for scripts/bench.sh."""
    lines = [f"package {name}\n" for name in getattr(bench, "PACKAGES", [])]
    lines += [f"download {name}\n" for name in getattr(bench, "DOWNLOADS", [])]
    lines += ["engine docker\n"] if getattr(bench, "NEEDS_ENGINE", False) else []
    return "".join(lines)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Run a benchmark; its JSON lines come last.")
    parser.add_argument("name", choices=names())
    parser.add_argument("--case", action="append", default=[], help="only this case; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.add_argument("--needs", action="store_true", help="name what this machine must have for it, and stop")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a figure missed its reach")
    parser.add_argument("--json", type=Path, help="also write the JSON lines to this file")
    parser.add_argument("--here", action="store_true", help="run the cases in this very process (for a profiler)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """The exit code: 1 when a case could not run (or, with --strict, missed its reach)."""
    args = arguments(argv)
    bench = importlib.import_module(f"benchmarks.{args.name}")
    if args.needs:
        sys.stdout.write(needs(bench))
        return 0
    known = bench.cases()
    if args.list:
        sys.stdout.write("\n".join(known) + "\n")
        return 0
    takes = getattr(bench, "takes", known.__contains__)
    unknown = [case for case in args.case if not takes(case)]
    if unknown:
        sys.stderr.write(f"No such case of {args.name}: {', '.join(unknown)}; there are {', '.join(known)}\n")
        return 2
    apart = getattr(bench, "ISOLATED", False) and not args.here
    lines: list[str] = []
    failed = missed = False
    for case in args.case or known:
        some, ran, reached = measure_apart(args.name, case) if apart else measure(bench, args.name, case)
        lines += some
        failed, missed = failed or not ran, missed or not reached
    if args.json:
        args.json.write_text("".join(line + "\n" for line in lines))
    if not args.here:
        sys.stdout.write("\n" + "".join(line + "\n" for line in lines))
    return 1 if failed or (args.strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
