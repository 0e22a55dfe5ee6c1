"""Goal 1: one pair in one process, both from disk."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.attempts import all_attempted
from benchmarks.duels import duels
from benchmarks.goals import PICTURES
from benchmarks.processes import CODES, Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.alternating import Contender
    from benchmarks.bench import Bench
    from benchmarks.processes import Workers
    from benchmarks.table import Row

DUELS = {
    "odiff-mask": ("ours, mask", "odiff, mask"),
    "explained": ("ours, mask, explained", "odiff, mask"),
    "blazediff-mask": ("ours, mask", "blazediff, mask"),
    "blazediff-antialiasing": ("ours, anti-aliasing", "blazediff, anti-aliasing"),
    "odiff-antialiasing": ("ours, anti-aliasing", "odiff, anti-aliasing"),
    "pixelmatch": ("ours, anti-aliasing", "pixelmatch"),
}


def measure(bench: Bench) -> Iterator[Row]:
    """Measure image by image."""
    for picture in PICTURES:
        pairs = {f"pair/{picture}/{what}": sides for what, sides in DUELS.items()}
        if bench.quick:
            pairs.pop(f"pair/{picture}/pixelmatch")
        yield from all_attempted(filter(bench.wanted, pairs), partial(_measured, bench, picture, pairs))


def _measured(bench: Bench, picture: str, pairs: dict[str, tuple[str, str]]) -> list[Row]:
    return duels(bench, pairs, _contenders(bench, *bench.pictures.pair(picture)))


def _contenders(bench: Bench, expected: Path, actual: Path) -> dict[str, Callable[[Workers], Contender]]:
    files = {"expected": expected, "actual": actual}
    rivals, scratch = bench.rivals, bench.scratch

    def blazediff(start: Workers, **options: object) -> Contender:
        rivals.require("blazediff")
        return start(rivals.python, "blazediff_calls.pair", **files, **options)

    def odiff(*options: str | Path) -> Contender:
        return Command([rivals.odiff, expected, actual, *options], folder=scratch, codes=CODES["odiff"])

    blazediff_mask = {"diff_output": scratch / "blazediff.png", "diff_mask": True}
    return {
        "ours, mask": lambda start: start(
            sys.executable, "ours.pair", **files, mask=scratch / "ours.png", antialiasing="count"
        ),
        "ours, mask, explained": lambda start: start(
            sys.executable, "ours.pair", **files, mask=scratch / "ours.png", antialiasing="count", explained=True
        ),
        "odiff, mask": lambda _: odiff(scratch / "odiff.png", "--diff-mask"),
        "blazediff, mask": lambda start: blazediff(start, **blazediff_mask),
        "ours, anti-aliasing": lambda start: start(sys.executable, "ours.pair", **files),
        "blazediff, anti-aliasing": lambda start: blazediff(start, antialiasing=True),
        "odiff, anti-aliasing": lambda _: odiff("--antialiasing"),
        "pixelmatch": lambda _: Command(
            [*rivals.pixelmatch, expected, actual], folder=scratch, codes=CODES["pixelmatch"]
        ),
    }
