"""Renders pairs of pages with a known truth, and counts which rule is right about them.

    python -m benchmarks.judgement generate OUT --seeds 0,1             pairs from two seeds
    python -m benchmarks.judgement generate OUT --seeds 0 --only hard   one group of changes

Needs the extra test, and Chromium, named in CHROMIUM or found on the PATH. npm gives the font for Japanese where the
system has none.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.judgement.changes import GROUPS
from benchmarks.judgement.generate import Studio, generate, planned
from benchmarks.processes import ROOT
from benchmarks.rivals import set_up_font


def main() -> None:
    """Read the command line, do what it asks."""
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


def _seeds(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
