"""Values computed from an image's pixels: depth, opaque and gray forms.

Call functions of one `Image` through `Image.derived`, which computes them at most once:
``expected.derived(gray_on_black)``. Their results are shared and therefore read-only.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from pytest_imgdiff.base.image import Image, ImageInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import DTypeLike, NDArray

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Pixels
    from pytest_imgdiff.base.model import Direction, MetricResult

STRIP_BYTES = 1 << 17
"""The size of a strip, for `strips`: what is computed from it takes at most a few megabytes."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in gray: ITU-R BT.601, as in OpenCV, Pillow and JPEG."""

_WIDER = {np.dtype(np.uint8): np.uint16, np.dtype(np.uint16): np.uint32}
_COLOUR = ImageInfo("colour", "array", 3, 3, "RGBA")
_DEPTHS = tuple(np.dtype(depth) for depth in (np.uint8, np.uint16, np.float32, np.float64))


def full_value(dtype: DTypeLike) -> float:
    """Return the value of full intensity and of full opacity: 255, 65535, or 1.0 for floats."""
    dtype = np.dtype(dtype)
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def eight_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return values of any depth rounded to 0..255, for algorithms that exist for 8 bits only."""
    if values.dtype == np.uint8:
        return values
    rounded = np.empty(values.shape, np.uint8)
    for rows in strips(values):
        rounded[rows] = np.rint(values[rows] * (255 / full_value(values.dtype))).clip(0, 255)
    return rounded


def strips(pixels: NDArray[Any], strip_bytes: int = STRIP_BYTES) -> Iterator[slice]:
    """Yield slices of rows, top to bottom, each of about ``strip_bytes`` and at least one row.

    For computations that take several times the memory of their pixels: a comparison must stay within
    `pytest_imgdiff.base.model.Policy.memory`, however large an image is.
    """
    height = pixels.shape[0]
    rows = max(1, strip_bytes * height // max(1, pixels.nbytes))
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def most_different_colours(depth: DTypeLike) -> Iterator[tuple[Image, Image]]:
    """Yield all pairs of corners of the RGB cube as plain opaque images: one of these pairs differs most."""
    full = full_value(depth)
    corners = [
        Image(_read_only(np.full((3, 3, 4), (red, green, blue, full), depth)), _COLOUR, opaque=True)
        for red, green, blue in itertools.product((0, full), repeat=3)
    ]
    yield from itertools.combinations(corners, 2)


def common_depth(expected: Image, actual: Image) -> tuple[Image, Image]:
    """Return the pair at the deeper of its two depths, without rounding.

    ``uint8`` becomes ``uint16`` times 257, integers become floats divided by their full value. Images that
    already have that depth are returned unchanged.
    """
    depth = max(expected.dtype, actual.dtype, key=_DEPTHS.index)
    return _widened(expected, depth), _widened(actual, depth)


def _widened(image: Image, depth: np.dtype[Any]) -> Image:
    if image.dtype == depth:
        return image
    pixels = image.pixels
    if depth.kind == "u":
        wide = pixels.astype(depth) * depth.type(257)
    elif pixels.dtype.kind == "u":
        wide = pixels.astype(depth) / depth.type(full_value(pixels.dtype))
    else:
        wide = pixels.astype(depth)
    return Image(_read_only(wide), image.info, image.encoded, opaque=image.opaque)


def has_alpha(image: Image) -> bool:
    """Whether any pixel is less than fully opaque."""
    if image.opaque:
        return False
    return not are_opaque(image.pixels)


def are_opaque(pixels: Pixels) -> bool:
    """Whether every one of these pixels is fully opaque."""
    return bool(cv2.extractChannel(pixels, 3).min() >= full_value(pixels.dtype))


def halvings(size: tuple[int, int], side: int) -> int:
    """Return the number of halvings until one side of an image is below ``side``."""
    shorter, times = min(size), 0
    while shorter >= side:
        shorter, times = shorter // 2, times + 1
    return times


def halved(pixels: NDArray[Any], times: int) -> NDArray[Any]:
    """Return the image with rows and columns halved ``times`` times: each pixel is the mean of 2x2.

    An odd last row or column is left out. OpenCV's INTER_AREA is many times as fast as the alternatives.
    """
    for _ in range(times):
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        whole = pixels[: 2 * height, : 2 * width]
        pixels = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))
    return pixels


def rgb_on_black(image: Image) -> NDArray[Any]:
    """Return (height, width, 3) RGB in the image's own depth and range, composited on black where it is not opaque."""
    return _composited_on(image, 0) if image.derived(has_alpha) else image.derived(_rgb)


def rgb_on_white(image: Image) -> NDArray[Any]:
    """Return (height, width, 3) RGB in the image's own depth and range, composited on white where it is not opaque."""
    return _composited_on(image, 1) if image.derived(has_alpha) else image.derived(_rgb)


def gray_on_black(image: Image) -> NDArray[Any]:
    """Return (height, width) gray (BT.601) in the image's own depth and range, on black where not opaque."""
    return _gray_on(image, 0) if image.derived(has_alpha) else image.derived(_opaque_gray)


def gray_on_white(image: Image) -> NDArray[Any]:
    """Return (height, width) gray (BT.601) in the image's own depth and range, on white where not opaque."""
    return _gray_on(image, 1) if image.derived(has_alpha) else image.derived(_opaque_gray)


def _rgb(image: Image) -> NDArray[Any]:
    return _read_only(without_alpha(image.pixels))


def without_alpha(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the first three of (height, width, 4) channels as a separate array."""
    if pixels.dtype == np.float64:  # cv2.cvtColor does not support it
        return np.ascontiguousarray(pixels[..., :3])
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB))


def _opaque_gray(image: Image) -> NDArray[Any]:
    return _gray(image.pixels)


def _gray(colours: NDArray[Any]) -> NDArray[Any]:
    if colours.dtype == np.float64:  # cv2.cvtColor does not support it
        return _read_only(colours[..., :3] @ np.array(LUMA))
    code = cv2.COLOR_RGBA2GRAY if colours.shape[2] == 4 else cv2.COLOR_RGB2GRAY  # noqa: PLR2004 - RGBA
    return _read_only(cv2.cvtColor(colours, code))


def _gray_on(image: Image, backdrop: Literal[0, 1]) -> NDArray[Any]:
    """Return gray on the backdrop, computed in strips: the colours take three times the memory of gray."""
    pixels = image.pixels
    gray = np.empty(pixels.shape[:2], pixels.dtype)
    for rows in strips(pixels):
        gray[rows] = _gray(_composited(pixels[rows], backdrop))
    return _read_only(gray)


def rgb8_on(image: Image, backdrop: Literal["black", "white"]) -> NDArray[np.uint8]:
    """Return (height, width, 3) RGB in 8 bits, composited on black or white where it is not opaque; strip by strip."""
    pixels = image.pixels
    is_opaque = not image.derived(has_alpha)
    colours = np.empty((*pixels.shape[:2], 3), np.uint8)
    for rows in strips(pixels):
        strip = pixels[rows]
        laid = without_alpha(strip) if is_opaque else _composited(strip, 1 if backdrop == "white" else 0)
        colours[rows] = eight_bit(laid)
    return colours


def _composited_on(image: Image, backdrop: Literal[0, 1]) -> NDArray[Any]:
    """Return ``colour * alpha + backdrop * (1 - alpha)``, rounded to the image's own depth."""
    pixels = image.pixels
    laid = np.empty((*pixels.shape[:2], 3), pixels.dtype)
    for rows in strips(pixels):
        laid[rows] = _composited(pixels[rows], backdrop)
    return _read_only(laid)


def _composited(pixels: Pixels, backdrop: Literal[0, 1]) -> NDArray[Any]:
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    wider = _WIDER.get(pixels.dtype)
    if wider is None:
        return colour * alpha + backdrop * (1 - alpha)
    full = wider(full_value(pixels.dtype))
    light = colour.astype(wider) * alpha  # at most full * full, which fits the wider type
    if backdrop:
        light += full * (full - alpha.astype(wider))
    rounded: NDArray[Any] = (light + full // wider(2)) // full
    return rounded.astype(pixels.dtype)


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    values.flags.writeable = False
    return values


@dataclass(frozen=True, slots=True)
class Backdrop:
    """The backdrop of an image that is not opaque, for metrics of perceived colour."""

    name: Literal["black", "white"]
    rgb: Callable[[Image], NDArray[Any]]
    gray: Callable[[Image], NDArray[Any]]


BLACK = Backdrop("black", rgb_on_black, gray_on_black)
WHITE = Backdrop("white", rgb_on_white, gray_on_white)


def on_worse_backdrop(
    expected: Image, actual: Image, direction: Direction, measure: Callable[[Backdrop], MetricResult]
) -> MetricResult:
    """Return the result of ``measure`` on black or on white, whichever is less similar.

    A difference that is visible on only one backdrop counts. Opaque pairs look the same on both and are measured once;
    the result of any other pair has its ``backdrop`` in the details.
    """
    if not (expected.derived(has_alpha) or actual.derived(has_alpha)):
        return measure(BLACK)
    results = {backdrop.name: measure(backdrop) for backdrop in (BLACK, WHITE)}
    least_alike = max if direction == "distance" else min
    name = least_alike(results, key=lambda name: results[name].value)
    return replace(results[name], details={**results[name].details, "backdrop": name})


def compared_pixels(image: Image, ignore: Mask | None) -> int:
    """Return the number of compared pixels: all except the ignored ones."""
    width, height = image.size
    return width * height - (0 if ignore is None else int(np.count_nonzero(ignore)))
