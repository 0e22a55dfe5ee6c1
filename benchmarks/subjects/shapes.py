"""Goal 8: cost beside the number of pixels, how many of them changed, and the shape of the picture."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.duels import fought
from benchmarks.layout import SIZES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.alternating import Contender
    from benchmarks.bench import Bench
    from benchmarks.processes import Workers
    from benchmarks.table import Row

DUELS = {
    "shapes/pixels": ("large", "small"),
    "shapes/interface-changed": ("interface, everything", "interface, sparse"),
    "shapes/photo-changed": ("photo, everything", "photo, sparse"),
    "shapes/tall": ("tall", "square"),
    "shapes/wide": ("wide", "square"),
    "shapes/one-pixel": ("one-pixel", "500x500"),
}


def measure(bench: Bench) -> Iterator[Row]:
    """Measure our own default comparison, both pictures from disk."""
    for name, sides in DUELS.items():
        if not bench.wanted(name):
            continue
        files = _files(bench)
        measured = fought({side: _maker(*files[side]) for side in sides}, bench.rounds)
        scales = _megapixel if name == "shapes/pixels" else (1.0, 1.0)
        yield measured.row(name, *sides, scales)


_small, _large = (width * height / 1e6 for width, height in SIZES)
_megapixel = (1 / _large, 1 / _small)


def _maker(expected: Path, actual: Path) -> Callable[[Workers], Contender]:
    return lambda start: start(sys.executable, "ours.pair", expected=expected, actual=actual)


def _files(bench: Bench) -> dict[str, tuple[Path, Path]]:
    pictures = bench.pictures
    small, large = (pictures.pair(f"photo-{width}x{height}") for width, height in SIZES)
    interface, photo = pictures.pair("4k-interface"), pictures.pair("4k-photo")
    return {
        "small": small,
        "large": large,
        "interface, everything": (interface[0], pictures.interface_dark),
        "interface, sparse": interface,
        "photo, everything": (photo[0], pictures.photo_changed),
        "photo, sparse": (photo[0], pictures.photo_sparse),
        **{name: pictures.pair(name) for name in ("tall", "wide", "square", "one-pixel", "500x500")},
    }
