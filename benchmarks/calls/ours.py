"""Our own calls."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff import BrokenImageError, Image, MetricError, Policy, Registry, Rule, compare
from pytest_imgdiff.images import decode, decode_pair, read
from pytest_imgdiff.images.differing import differing_rows
from pytest_imgdiff.run.pictures import one_bit_png

if TYPE_CHECKING:
    from collections.abc import Callable

NEARLY_ALL = 0.9999
"""A limit that pictures pass which differ: their mask and regions are found, and nothing is explained."""
WARM = 64
"""Side of the pictures that are compared before the first run, so that it finds everything imported."""


def pair(
    expected: str, actual: str, mask: str | None = None, antialiasing: str = "ignore", *, explained: bool = False
) -> Callable[[], Any]:
    """Compare two files; write the mask where one is asked for. Returns the count and the number of regions.

    Args:
        expected: one file.
        actual: the other.
        mask: where the mask is written.
        antialiasing: as in `Perceptual`.
        explained: have the pair fail: then it is said of each region what kind it is, and of rows that they moved.
    """
    registry = Registry()
    options = (("antialiasing", antialiasing), ("difference", "yiq"))
    policy = Policy(metrics=(Rule("perceptual", options=options, max=0.0 if explained else NEARLY_ALL),))
    _warm(policy, registry)

    def compared() -> tuple[int, int]:
        comparison = compare(Path(expected), Path(actual), policy, registry=registry)
        if comparison.verdict == "broken":
            raise ValueError(comparison.reason)
        if mask is not None and comparison.mask is not None:
            Path(mask).write_bytes(one_bit_png(comparison.mask))
        return int(comparison.scores[0].details["pixels"]), len(comparison.regions)

    return compared


def folder(expected: str, actual: str) -> Callable[[], Any]:
    """Compare each file of a tree with its counterpart, one after the other. Returns how many passed."""
    registry, policy = Registry(), Policy()
    _warm(policy, registry)
    names = sorted(path.relative_to(expected) for path in Path(expected).rglob("*.png"))

    def compared() -> int:
        pairs = ((expected / name, actual / name) for name in names)
        return sum(compare(*files, policy, registry=registry).passed for files in pairs)

    return compared


def distance(expected: str, actual: str, metric: str) -> Callable[[], Any]:
    """Compare two files by the rule that this metric, a distance, is 0. Returns its value."""
    registry, policy = Registry(), Policy(metrics=(Rule(metric, max=0.0),))
    _warm(policy, registry)
    return lambda: compare(Path(expected), Path(actual), policy, registry=registry).scores[0].value


def decoded(expected: str, actual: str) -> Callable[[], Any]:
    """Read and decode two files, one after the other. Returns the shapes of their pixels."""
    return lambda: [_image(path).pixels.shape for path in (expected, actual)]


def number(expected: str, actual: str, name: str) -> Callable[[], Any]:
    """Read two files and measure one metric, and nothing else: no rule is judged, no mask made. Returns its value."""
    measured = Registry().metric(name)
    first, second = _image(expected), _image(actual)
    measured.measure(_corner(first), _corner(second), None)

    def from_disk() -> float:
        sides = decode_pair(read(Path(expected)), read(Path(actual)))
        [one], [other] = (_unbroken(side) for side in sides)
        differing_rows(one, other)
        return float(measured.measure(one, other, None).value)

    return from_disk


def _unbroken(side: tuple[Image, ...] | BrokenImageError) -> tuple[Image, ...]:
    if isinstance(side, BrokenImageError):
        raise side
    return side


def metric(expected: str, actual: str, name: str, keep: str | None = None) -> Callable[[], Any]:
    """Measure one metric of two decoded pictures, of which nothing was derived before. Returns its value.

    Args:
        expected: the file of one picture.
        actual: of the other.
        name: the metric.
        keep: a ``.npy`` file for the metric's map.
    """
    measured = Registry().metric(name)
    first, second = _image(expected), _image(actual)
    with suppress(MetricError):  # some metrics have no value for pictures as small and plain as this
        measured.measure(_corner(first), _corner(second), None)

    def measure() -> float:
        fresh = [Image(image.pixels, image.info, opaque=image.opaque) for image in (first, second)]
        result = measured.measure(*fresh, None)
        if keep is not None and result.heat is not None:
            np.save(keep, result.heat)
        return float(result.value)

    return measure


def _image(path: str) -> Image:
    [image] = decode(read(Path(path)))
    return image


def _corner(image: Image) -> Image:
    return Image(image.pixels[:WARM, :WARM].copy(), image.info)


def _warm(policy: Policy, registry: Registry) -> None:
    blank = np.zeros((WARM, WARM, 3), np.uint8)
    changed = blank.copy()
    changed[8:16, 8:16] = 255
    comparison = compare(blank, changed, policy, registry=registry)
    if comparison.mask is not None:
        one_bit_png(comparison.mask)
