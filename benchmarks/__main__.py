"""Measures the performance goals beside the rivals, and prints the table.

    python -m benchmarks                      all goals, seven rounds each
    python -m benchmarks --quick              a first look, in two minutes
    python -m benchmarks --only pair/page     some of them
    python -m benchmarks --python 1           then a round without the compiled core, in a column of its own
    python -m benchmarks --json speed.json    the figures of every round as well, for benchmarks/plot.py

Needs the extra test, npm and Node, Chromium, and Linux. The rivals are installed from npm and PyPI into the cache
folder, and the pictures are made there.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench import Bench
from benchmarks.goals import GOALS
from benchmarks.layout import Pictures
from benchmarks.machine import described
from benchmarks.processes import ROOT, environment
from benchmarks.rivals import set_up
from benchmarks.subjects.suite import MEMORY
from benchmarks.table import completed, markdown

if TYPE_CHECKING:
    from benchmarks.goals import Goal
    from benchmarks.rivals import Rivals
    from benchmarks.table import Row

CORE_VARIABLE = "IMGDIFF_CORE"
QUICK_ROUNDS, ROUNDS = 2, 7
QUICK_PAIRS, PAIRS = 20, 200
QUICK_TINY, TINY = (500,), (10_000, 100_000)


def main() -> None:
    """Read the command line, measure, and print the table."""
    options = _options()
    wanted = [goal for goal in GOALS if not options.only or goal.name.startswith(tuple(options.only))]
    if not wanted:
        sys.exit(f"no goal's name begins with {' or '.join(options.only)}; --list shows them")
    if options.list:
        print("\n".join(goal.name for goal in wanted))
        return
    rivals = set_up(options.cache / "rivals")
    setup = described(rivals)
    rows = _measured(options, wanted, rivals)
    without: list[Row] = []
    if options.python:
        os.environ[CORE_VARIABLE] = "python"
        print("without the core:", file=sys.stderr)
        options.runs = options.python
        without = _measured(options, wanted, rivals)
    print(markdown(rows, without), end="\n\n")
    for what, said in setup.items():
        print(f"{what}: {', '.join(f'{name} {version}' for name, version in said.items())}")
    for name, problem in rivals.problems.items():
        print(f"not installed: {name}: {problem}")
    if options.json:
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        result = {"when": when, "rounds": options.runs, **setup, "rows": [row.as_json() for row in rows]}
        if without:
            result["without the core"] = [row.as_json() for row in without]
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _measured(options: argparse.Namespace, wanted: list[Goal], rivals: Rivals) -> list[Row]:
    """Measure subject by subject; each row is shown on standard error as soon as it is there."""
    names = {goal.name for goal in wanted}
    pictures = _pictures(options, names)
    rows = []
    with tempfile.TemporaryDirectory(dir=options.cache, ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")  # else pytest would look further up
        bench = Bench(rivals, pictures, folder, options.runs, options.quick, names.__contains__)
        for subject in dict.fromkeys(goal.subject for goal in wanted):
            for row in importlib.import_module(f"benchmarks.subjects.{subject}").measure(bench):
                rows.append(row)
                print(" | ".join(cell for cell in row.cells() if cell), file=sys.stderr, flush=True)
    return completed(rows, wanted, "not with --quick" if options.quick else "its subject gave no figures")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--only", action="append", metavar="NAME", help="goals whose name begins so; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the names of the goals and end")
    parser.add_argument(
        "--runs", type=int, metavar="N", help=f"rounds (default: {ROUNDS}, {QUICK_ROUNDS} with --quick)"
    )
    parser.add_argument(
        "--python", type=int, default=0, metavar="N", help="then so many rounds with the compiled core turned off"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds, smaller folders; what takes minutes is left out"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=ROOT / "build" / "benchmarks",
        help="folder of rivals and pictures (default: %(default)s)",
    )
    options = parser.parse_args()
    options.cache = options.cache.resolve()
    options.cache.mkdir(parents=True, exist_ok=True)
    options.runs = options.runs or (QUICK_ROUNDS if options.quick else ROUNDS)
    return options


def _pictures(options: argparse.Namespace, names: set[str]) -> Pictures:
    """Make the pictures in a process of its own: what it holds would otherwise be what every command starts from."""
    pairs, tiny = (QUICK_PAIRS, QUICK_TINY) if options.quick else (PAIRS, TINY)
    made = tiny if not names.isdisjoint(MEMORY) else tiny[:1]
    pictures = Pictures(options.cache / "pictures", pairs, tiny)
    words = [sys.executable, "-m", "benchmarks.pictures", str(pictures.root), str(pairs), ",".join(map(str, made))]
    if subprocess.run(words, check=False, cwd=ROOT, env=environment()).returncode:  # noqa: S603 - our own module
        sys.exit("without the pictures nothing can be measured")
    return pictures


if __name__ == "__main__":
    main()
