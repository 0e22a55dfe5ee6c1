"""Renders pairs of pages with a known truth, and counts which rule is right about them.

    python -m benchmarks.judgement generate OUT --seeds 0,1             pairs from two seeds
    python -m benchmarks.judgement generate OUT --seeds 0 --only hard   one group of changes
    python -m benchmarks.judgement table SETS...                        every rule over every set, as Markdown
    python -m benchmarks.judgement wrong SETS... --out FOLDER           expected, actual and heat of each wrong pair

Needs the extra test, npm and Node, and Chromium, named in CHROMIUM or found on the PATH. The rivals are installed from
npm and PyPI into the cache folder, and the font for Japanese from npm.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.judgement.changes import GROUPS
from benchmarks.judgement.generate import Studio, generate, planned
from benchmarks.judgement.rules import pairs_of, rules, scored
from benchmarks.judgement.table import markdown, rows
from benchmarks.judgement.wrong import drawn
from benchmarks.processes import ROOT
from benchmarks.rivals import JUDGING_NODE, JUDGING_PYTHON, set_up, set_up_font


def main() -> None:
    """Read the command line and run its command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.judgement",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=ROOT / "build" / "benchmarks",
        help="folder of fonts, rivals and what they said (default: %(default)s)",
    )
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("generate", help="render pairs")
    making.add_argument("out", type=Path, metavar="OUT", help="folder for expected, actual and truth.json")
    making.add_argument(
        "--seeds", type=_seeds, default=[0], help="whole numbers, with commas between them (default: 0)"
    )
    making.add_argument("--only", action="append", choices=GROUPS, help="a group of changes; may be repeated")
    making.add_argument("--pages", type=int, default=1, metavar="N", help="pages for each change (default: 1)")
    making.set_defaults(run=_generate)
    counting = commands.add_parser("table", help="count which rule is right")
    counting.add_argument(
        "sets", type=Path, nargs="+", metavar="SET", help="folder with expected, actual and truth.json"
    )
    counting.add_argument(
        "--only", action="append", metavar="NAME", help="rules whose name has this in it; may be repeated"
    )
    counting.set_defaults(run=_table)
    looking = commands.add_parser("wrong", help="draw the pairs that `visible`, or another metric of ours, gets wrong")
    looking.add_argument("sets", type=Path, nargs="+", metavar="SET", help="a folder that `generate` wrote")
    looking.add_argument("--out", type=Path, required=True, help="folder for a picture of each pair, and wrong.md")
    looking.add_argument("--metric", default="visible", help="default: %(default)s")
    looking.add_argument("--limit", type=float, default=1.0, help="largest value of the same (default: %(default)s)")
    looking.set_defaults(run=_wrong)
    options = parser.parse_args()
    options.run(options)


def _generate(options: argparse.Namespace) -> None:
    begun = time.perf_counter()
    cjk = set_up_font(options.cache.resolve() / "rivals")
    if cjk is None:
        print("no font for Japanese could be installed: boxes are drawn instead of its characters")
    with ExitStack() as ended, tempfile.TemporaryDirectory() as scratch:
        studio = Studio(ended, Path(scratch), cjk)
        pairs = (pair for seed in options.seeds for pair in planned(seed, options.only or GROUPS, options.pages))
        truth = generate(options.out, pairs, studio)
    print(f"{len(truth)} pairs in {time.perf_counter() - begun:.0f} s: {options.out}")


def _table(options: argparse.Namespace) -> None:
    rivals = set_up(options.cache.resolve() / "rivals", JUDGING_NODE, JUDGING_PYTHON)
    pairs = [pair for folder in options.sets for pair in pairs_of(folder)]
    lines = []
    for rule in rules(rivals):
        if not options.only or any(part in rule.name for part in options.only):
            begun = time.perf_counter()
            lines += rows(rule, pairs, scored(rule, pairs, options.cache / "judgement"))
            print(f"{rule.name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    print(markdown(lines, pairs), end="\n\n")
    print(", ".join(f"{name} {version}" for name, version in rivals.versions.items()))
    for name, problem in rivals.problems.items():
        print(f"not installed: {name}: {problem}")


def _wrong(options: argparse.Namespace) -> None:
    pairs = [pair for folder in options.sets for pair in pairs_of(folder)]
    lines = list(drawn(pairs, options.metric, options.limit, options.out))
    print("\n".join(lines))
    print(f"{len(lines)} of {len(pairs)} pairs are wrong: {options.out}")


def _seeds(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
