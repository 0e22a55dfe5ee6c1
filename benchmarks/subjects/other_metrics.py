"""Goal 7: `mae` beside the same number of diffimg; hashes and ORB beside what decoding the pair costs."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.attempts import all_attempted
from benchmarks.duels import duels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.alternating import Contender
    from benchmarks.bench import Bench
    from benchmarks.processes import Workers
    from benchmarks.table import Row

BOUNDED = ("ahash", "dhash", "phash", "whash", "orb")


def measure(bench: Bench) -> Iterator[Row]:
    """Measure diffimg's number as `mae` computes it, then the metrics that work on a bounded size."""
    for picture in ("4k-interface", "4k-photo"):
        name = f"other_metrics/{picture}"
        pairs = {
            f"{name}/diffimg": ("ours", "diffimg.diff"),
            f"{name}/diffimg-decoded": ("ours, decoded", "diffimg.diff of BMP"),
            f"{name}/diffimg-judged": ("ours, judged", "diffimg.diff"),
        }
        yield from duels(bench, pairs, _diffimg(bench, *bench.pictures.pair(picture)))
    if bench.quick:
        return
    for picture in ("4k-interface", "page"):
        pairs = {f"other_metrics/{picture}/{metric}": (metric, "decoding") for metric in BOUNDED}
        yield from all_attempted(filter(bench.wanted, pairs), partial(_measured, bench, picture, pairs))


def _measured(bench: Bench, picture: str, pairs: dict[str, tuple[str, str]]) -> list[Row]:
    return duels(bench, pairs, _bounded(*bench.pictures.pair(picture)))


def _diffimg(bench: Bench, expected: Path, actual: Path) -> dict[str, Callable[[Workers], Contender]]:
    files = {"expected": expected, "actual": actual}

    def theirs(start: Workers, call: str) -> Contender:
        bench.rivals.require("diffimg")
        return start(bench.rivals.python, f"diffimg_calls.{call}", **files)

    return {
        "ours": lambda start: start(sys.executable, "ours.number", **files, name="mae"),
        "ours, judged": lambda start: start(sys.executable, "ours.distance", **files, metric="mae"),
        "diffimg.diff": lambda start: theirs(start, "number"),
        "ours, decoded": lambda start: start(sys.executable, "ours.metric", **files, name="mae"),
        "diffimg.diff of BMP": lambda start: theirs(start, "number_alone"),
    }


def _bounded(expected: Path, actual: Path) -> dict[str, Callable[[Workers], Contender]]:
    files = {"expected": expected, "actual": actual}

    def measuring(metric: str, start: Workers) -> Contender:
        return start(sys.executable, "ours.metric", **files, name=metric)

    makers: dict[str, Callable[[Workers], Contender]] = {metric: partial(measuring, metric) for metric in BOUNDED}
    return makers | {"decoding": lambda start: start(sys.executable, "ours.decoded", **files)}
