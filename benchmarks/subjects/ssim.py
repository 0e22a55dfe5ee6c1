"""Goal 4: SSIM of two decoded 4K pictures in colour, which ours makes gray within the time.

scikit-image is measured both with its own ``rgb2gray`` and without, on pictures that were made gray beforehand.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.attempts import attempted
from benchmarks.duels import duels
from benchmarks.goals import goal
from benchmarks.processes import workers
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.processes import Worker, Workers

PICTURES = {"different": "4k-photo", "interface": "4k-interface"}


def measure(bench: Bench) -> Iterator[Row]:
    """Measure the photograph, where everything differs, and the interface."""
    for change in PICTURES:
        yield from _timed(bench, change)
        for what, measured in (("memory", _memory), ("score", _score), ("map", _map)):
            name = f"ssim/{change}/{what}"
            if bench.wanted(name) and not (bench.quick and what == "map"):
                yield attempted(name, partial(measured, bench, change, name))


def _ours(bench: Bench, change: str, start: Workers, keep: Path | None = None) -> Worker:
    expected, actual = bench.pictures.pair(PICTURES[change])
    return start(sys.executable, "ours.metric", expected=expected, actual=actual, name="ssim", keep=keep)


def _theirs(bench: Bench, change: str, start: Workers, keep: Path | None = None) -> Worker:
    bench.rivals.require("scikit-image")
    expected, actual = (bench.pictures.gray(path) for path in bench.pictures.pair(PICTURES[change]))
    return start(bench.rivals.python, "skimage_calls.ssim", expected=expected, actual=actual, keep=keep)


def _from_colours(bench: Bench, change: str, start: Workers) -> Worker:
    bench.rivals.require("scikit-image")
    expected, actual = bench.pictures.pair(PICTURES[change])
    return start(bench.rivals.python, "skimage_calls.ssim_of_colours", expected=expected, actual=actual)


def _timed(bench: Bench, change: str) -> list[Row]:
    pairs = {f"ssim/{change}/time": ("ours", "scikit-image"), f"ssim/{change}/time-of-gray": ("ours", "of gray")}
    makers = {
        "ours": lambda start: _ours(bench, change, start),
        "scikit-image": lambda start: _from_colours(bench, change, start),
        "of gray": lambda start: _theirs(bench, change, start),
    }
    return duels(bench, pairs, makers)


def _memory(bench: Bench, change: str, name: str) -> Row:
    figures: tuple[list[float], list[float]] = ([], [])
    for _ in range(1 if bench.quick else bench.rounds):
        for side, started in enumerate((_ours, _theirs)):
            with workers() as start:
                figures[side].append(started(bench, change, start).memory())
    return Row(goal(name), *figures)


def _score(bench: Bench, change: str, name: str) -> Row:
    with workers() as start:
        sides = [_ours(bench, change, start), _theirs(bench, change, start)]
        for side in sides:
            side(1)
    return Row(goal(name), [abs(sides[0].result - sides[1].result)])


def _map(bench: Bench, change: str, name: str) -> Row:
    files = [bench.scratch / f"{side}.npy" for side in ("ours", "theirs")]
    with workers() as start:
        _ours(bench, change, start, files[0])(1)
        _theirs(bench, change, start, files[1])(1)
        deviation = start(bench.rivals.python, "skimage_calls.map_deviation", ours=files[0], theirs=files[1])
        deviation(1)
    return Row(goal(name), [deviation.result])
