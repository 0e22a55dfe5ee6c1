"""How `visible` judges small images with one label: ``python -m benchmarks.judgement.labels FONT.ttf...``.

A label is most of what its image shows, so there is little unchanged text around a changed letter. Prints how many
changed labels pass, and how many labels that were only drawn or encoded in another way fail.
"""

from __future__ import annotations

import argparse
import io
import itertools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pytest_imgdiff import compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIZES = (10, 12, 14, 16, 20)
CHANGED = (
    ("6", "8"),
    ("3", "8"),
    ("8", "B"),
    ("D", "O"),
    ("5", "S"),
    ("Z", "2"),
    ("+", "÷"),
    ("6.50", "8.50"),
    ("1.60", "1.80"),
    ("1,360", "1,380"),
    ("Total 16.60", "Total 18.80"),
    ("2 x 3", "Z x 3"),
    ("OK", "0K"),
    ("Save", "Save."),
    ("burn", "bum"),
    ("modern", "modem"),
    ("Illinois", "lllinois"),
)
DRAWN_AGAIN = ("6", "8", "OK", "Save", "modern", "Illinois", "Total 16.60")
PLACE = (20.0, 20.0)


def main() -> None:
    """Read the fonts, judge all labels, print the counts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judgement.labels", description=__doc__)
    parser.add_argument("fonts", nargs="+", metavar="FONT", help="TrueType files")
    fonts: Sequence[str] = parser.parse_args().fonts
    passed: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    changed = again = 0
    for font, size in itertools.product(fonts, SIZES):
        for before, after in CHANGED:
            changed += 1
            passed[f"{before} -> {after}"] += _passes(_label(before, font, size), _label(after, font, size))
        for text in DRAWN_AGAIN:
            for name, other in _drawn_again(text, font, size):
                again += 1
                failed[name] += not _passes(_label(text, font, size), other)
    print(f"{passed.total()} of {changed} changed labels pass: {dict(+passed)}")
    print(f"{failed.total()} of {again} unchanged labels fail: {dict(+failed)}")


def _passes(expected: Image.Image, actual: Image.Image) -> bool:
    return compare(np.asarray(expected), np.asarray(actual)).passed


def _label(text: str, font: str, size: int, *, place: tuple[float, float] = PLACE, scale: int = 1) -> Image.Image:
    drawn = Image.new("RGB", (160 * scale, 60 * scale), "white")
    at = place[0] * scale, place[1] * scale
    ImageDraw.Draw(drawn).text(at, text, (20, 20, 20), font=ImageFont.truetype(font, size * scale))
    return drawn.resize((160, 60), Image.Resampling.BOX) if scale > 1 else drawn


def _drawn_again(text: str, font: str, size: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield the label a fraction of a pixel further, with other smoothing, and encoded again."""
    x, y = PLACE
    yield "a quarter of a pixel to the right", _label(text, font, size, place=(x + 0.25, y))
    yield "half a pixel to the right", _label(text, font, size, place=(x + 0.5, y))
    yield "half a pixel down", _label(text, font, size, place=(x, y + 0.5))
    yield "smoothed without hinting", _label(text, font, size, scale=4)
    for quality in (90, 75):
        encoded = io.BytesIO()
        _label(text, font, size).save(encoded, "JPEG", quality=quality)
        yield f"JPEG of quality {quality}", Image.open(encoded).convert("RGB")


if __name__ == "__main__":
    main()
