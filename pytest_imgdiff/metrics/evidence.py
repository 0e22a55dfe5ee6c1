"""Evidence that a person would see a difference: changed structure and changed colour, per pixel.

Rendering noise (font smoothing, hinting, sub-pixel offsets, re-encoding) moves edges by less than a pixel or adds noise
of zero mean. Therefore structure counts only where no shift of at most one pixel explains it, and colour only where the
low-passed difference keeps its sign.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.derived import full_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Plane = NDArray[np.float32]
    """(height, width)."""
    Planes = NDArray[np.float32]
    """(3, height, width)."""
    Weights = tuple[np.float32, ...]
    """Weights of a symmetric kernel, from its centre outwards."""

SEEN = 0.02
"""Smallest colour difference that counts as structure: five gray levels of 255."""
_ASKED = ((0.1, 0.08), (0.15, 0.025), (0.35, SEEN))
"""Unexplained shares and contrasts too small for any evidence: shifts need not explain what is below all of them."""
EVIDENT_COLOUR = 0.016
"""The smallest visible low-passed difference: four gray levels."""
EVIDENT_FADE = 0.0085
"""The same where no edge moved: on flat ground, and where the difference repeats the image, as a fade does."""
_FLAT = 2e-4
"""Energy around a pixel below which there is no edge."""
_FADE = 0.6
"""Squared correlation of difference and image from which on it repeats the image: a moved edge leaves its slope."""
_FADED = 0.7
"""Share of the visible differences nearby that must be such a fade."""

_YIQ = np.array(
    [[0.29889531, 0.58662247, 0.11448223], [0.59597799, -0.2741761, -0.32180189], [0.21147017, -0.52261711, 0.31114694]]
)
_WEIGHTS = np.sqrt(np.array([0.5053, 0.299, 0.1957]) / 35215) * 255
_COLOURS = (_WEIGHTS[:, None] * _YIQ).astype(np.float32)
"""From RGB of 0..1 to a space where black and white are about 1 apart: YIQ as pixelmatch 7 weighs it (see `yiq`)."""

_NOISE = np.float32(0.02**2)
"""Energy that counts as noise; it prevents 0 / 0 in flat areas."""


def _gaussian(sigma: float, radius: int) -> Weights:
    sides = [math.exp(-(step**2) / (2 * sigma**2)) for step in range(radius + 1)]
    whole = sides[0] + 2 * sum(sides[1:])
    return tuple(np.float32(side / whole) for side in sides)


_NEAR = _gaussian(1.5, 4)
"""For local means: the radius of a pixel's structure."""
_CHROMA = _gaussian(1.0, 3)
"""For chroma along a row: the fringes of LCD text cancel out."""
_LOW = _gaussian(2.5, 8)
"""For colour, at half resolution."""
_SHIFTS = (-1, -0.5, 0, 0.5, 1)
_COHERENT = 0.7
"""Share of the low-passed absolute difference that keeps its sign: codec noise does not."""
_EDGES_NEAR = 13
"""Side of the square, in pixels at half resolution, in which moved edges may have changed a colour."""

BLOCK = 384
"""Side of the blocks, which are searched one by one until the largest value is reached."""
MARGIN = 24
TILE = 64
"""Side of the tiles that are compared under all shifts."""
_TILE_MARGIN = 6
"""Radius of the pixels that a pixel's share under shifts depends on: that of a mean, plus a shift each way."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The evidence in one block.

    Attributes:
        contrast: (height, width), the distance of the colours, 0 to about 1.
        unexplained: (height, width), the share of the local energy that no shift explains, 0..1; 0 where the colours
            are less than `SEEN` apart.
        colour: (height, width), the coherent low-passed difference relative to the smallest visible one.
    """

    contrast: Plane
    unexplained: Plane
    colour: Plane


def differing_blocks(differs: NDArray[np.uint8], place: tuple[int, int]) -> Iterator[list[tuple[slice, slice]]]:
    """Yield, for each differing block of a part of an image, the rows and columns to search.

    These are whole tiles. Differing tiles that do not touch are separate if that leaves less to search.

    Args:
        differs: (height, width), not 0 where the part differs.
        place: the numbers of its first row and column in the image, at whole tiles: blocks are aligned to the image.
    """
    height, width = differs.shape
    for top in range(-(place[0] % BLOCK), height, BLOCK):
        for left in range(-(place[1] % BLOCK), width, BLOCK):
            y, x = max(0, top), max(0, left)
            block = differs[y : top + BLOCK, x : left + BLOCK]
            if not block.any():
                continue
            tiles = _any_in_tiles(block)
            _, _, statistics, _ = cv2.connectedComponentsWithStats(tiles, connectivity=8)
            boxes = statistics[1:, :4].tolist()
            whole = cv2.boundingRect(tiles)
            if sum(map(_cost, boxes)) >= _cost(whole):
                boxes = [whole]
            yield [
                (
                    slice(y + row * TILE, min(height, y + (row + rows) * TILE)),
                    slice(x + column * TILE, min(width, x + (column + columns) * TILE)),
                )
                for column, row, columns, rows in boxes
            ]


def _any_in_tiles(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return, for each tile, whether anything in it is not 0."""
    height, width = mask.shape
    lines = np.bitwise_or.reduceat(mask, range(0, height, TILE), axis=0)
    tiles: NDArray[np.uint8] = np.bitwise_or.reduceat(lines, range(0, width, TILE), axis=1)
    return tiles


def _cost(box: Sequence[int]) -> int:
    """Return the number of pixels to read for a box of tiles: x, y, width and height."""
    return (box[2] * TILE + 2 * MARGIN) * (box[3] * TILE + 2 * MARGIN)


def channel_contrast(first: NDArray[Any], second: NDArray[Any]) -> Plane:
    """Return (height, width), the largest difference of any channel, 0..1: it is quick to compute."""
    red, green, blue = cv2.split(cv2.absdiff(first, second))[:3]
    return np.asarray(cv2.max(cv2.max(red, green), blue) * (1 / full_value(first.dtype)), np.float32)


def luma(picture: NDArray[Any]) -> Plane:
    """Return (height, width), the lightness of RGB of any depth, 0 to about 1."""
    return _mixed(_unit(picture), _COLOURS[0])


def space(picture: NDArray[Any]) -> Planes:
    """Return (3, height, width): RGB of any depth in a space where distances are contrasts, black to white about 1."""
    unit = _unit(picture)
    return np.stack([_mixed(unit, weights) for weights in _COLOURS])


def _unit(picture: NDArray[Any]) -> tuple[Plane, Plane, Plane]:
    scale = np.float32(1 / full_value(picture.dtype))
    red, green, blue = (np.multiply(picture[..., channel], scale, dtype=np.float32) for channel in range(3))
    return red, green, blue


def _mixed(unit: tuple[Plane, Plane, Plane], weights: NDArray[np.float32]) -> Plane:
    mixed: Plane = unit[0] * weights[0] + unit[1] * weights[1] + unit[2] * weights[2]
    return mixed


def look(first: NDArray[Any], second: NDArray[Any], rows: slice, columns: slice, *, shifts: bool) -> Block:
    """Find the evidence in one block.

    The result at a pixel depends only on the pixels within `MARGIN`, not on the limits of blocks. All values are
    float32, added and multiplied in the order of this code, so that the compiled core computes the same bits.

    Args:
        first: (height, width, 3 or 4) RGB of any depth; a fourth channel is not used.
        second: the same.
        rows: those of the block, starting at an even one; pixels around them are also read.
        columns: the same.
        shifts: whether shifts of at most one pixel may explain a difference.
    """
    if CORE is not None and first.flags.c_contiguous and second.flags.c_contiguous:
        place = rows.start, rows.stop, columns.start, columns.stop
        found = CORE.look(first, second, *first.shape, first.itemsize, *place, shifts)
        if found is not None:
            size = rows.stop - rows.start, columns.stop - columns.start
            return Block(*(np.frombuffer(plane, np.float32).reshape(size) for plane in found))
    return _look(first, second, rows, columns, shifts=shifts)


def _look(first: NDArray[Any], second: NDArray[Any], rows: slice, columns: slice, *, shifts: bool) -> Block:
    one, two = _with_margin(first, second, rows, columns)
    around = _length(one - two)
    apart = _within(around, MARGIN)
    seen = apart > SEEN
    unexplained = np.zeros(apart.shape, np.float32)
    if seen.any():
        soft = _softened(one), _softened(two)
        unexplained[seen] = _unexplained_in_place(*soft)[seen]
        if shifts:
            for tile in _tiles(_to_be_explained(unexplained, apart)):
                wide = (slice(None), *(slice(side.start, side.stop + 2 * _TILE_MARGIN) for side in tile))
                least = _unexplained_by_shifts(soft[0][wide], soft[1][wide])
                unexplained[tile] = np.minimum(unexplained[tile], least)
    colour = np.zeros(apart.shape, np.float32)
    if around.max() > EVIDENT_FADE:
        colour = _colour(one, two, around, shifts=shifts)
    return Block(np.ascontiguousarray(apart), unexplained, colour)


def _with_margin(first: NDArray[Any], second: NDArray[Any], rows: slice, columns: slice) -> tuple[Planes, Planes]:
    """Return a block of both, in `space`, and `MARGIN` pixels around it.

    Beyond the image, both continue with the mean of their edge pixels: nothing differs there.
    """
    height, width = first.shape[:2]
    top, bottom = max(0, rows.start - MARGIN), min(height, rows.stop + MARGIN)
    left, right = max(0, columns.start - MARGIN), min(width, columns.stop + MARGIN)
    beyond = (
        (top - rows.start + MARGIN, rows.stop + MARGIN - bottom),
        (left - columns.start + MARGIN, columns.stop + MARGIN - right),
    )
    one, two = (space(side[top:bottom, left:right]) for side in (first, second))
    if not any(beyond[0] + beyond[1]):
        return one, two
    around = np.pad((one + two) * np.float32(0.5), ((0, 0), *beyond), mode="edge")
    sides = around, around.copy()
    inside = np.s_[:, beyond[0][0] : beyond[0][0] + bottom - top, beyond[1][0] : beyond[1][0] + right - left]
    sides[0][inside], sides[1][inside] = one, two
    return sides


def _within(planes: NDArray[Any], reach: int, columns: int | None = None) -> NDArray[Any]:
    """Return planes without ``reach`` rows at top and bottom, and ``columns`` (else ``reach``) columns on each side."""
    across = reach if columns is None else columns
    height, width = planes.shape[-2:]
    inner: NDArray[Any] = planes[..., reach : height - reach, across : width - across]
    return inner


def _products(one: Planes, two: Planes) -> Plane:
    """Return the scalar product of two vectors at each pixel."""
    product: Plane = one[0] * two[0] + one[1] * two[1] + one[2] * two[2]
    return product


def _energy(vectors: Planes) -> Plane:
    return _products(vectors, vectors)


def _length(vectors: Planes) -> Plane:
    length: Plane = np.sqrt(_energy(vectors))
    return length


def _positive(plane: Plane) -> Plane:
    positive: Plane = np.maximum(plane, np.float32(0))
    return positive


def _blurred(plane: Plane, weights: Weights) -> Plane:
    """Blur down and then across; the plane becomes smaller by the reach of the weights on each side."""
    return _along(_along(plane, weights, 0), weights, 1)


def _along(plane: Plane, weights: Weights, axis: int) -> Plane:
    """Return the weighted sum of each value and its neighbours down (0) or across (1), from the middle outwards."""
    reach = len(weights) - 1
    size = plane.shape[axis] - 2 * reach

    def shifted(step: int) -> Plane:
        part = slice(reach + step, reach + step + size)
        return plane[part] if axis == 0 else plane[:, part]

    total: Plane = shifted(0) * weights[0]
    for step, weight in enumerate(weights[1:], start=1):
        total += (shifted(-step) + shifted(step)) * weight
    return total


def _mean(plane: Plane) -> Plane:
    return _blurred(plane, _NEAR)


def _means(planes: Planes) -> Planes:
    return np.stack([_mean(plane) for plane in planes])


_REACH = len(_NEAR) - 1


def _softened(colours: Planes) -> Planes:
    """Return the planes in which structure is searched for, with `_TILE_MARGIN` pixels around the block."""
    reach = len(_CHROMA) - 1
    luma, *chroma = _within(colours, MARGIN - _TILE_MARGIN, MARGIN - _TILE_MARGIN - reach)
    return np.stack([luma[:, reach:-reach], *(_along(plane, _CHROMA, 1) for plane in chroma)])


def _unexplained_in_place(one: Planes, two: Planes) -> Plane:
    """Return the energy of the difference as a share of the energy of both images: 0..1."""
    one, two = (_within(side, _TILE_MARGIN - _REACH) for side in (one, two))
    energy = _mean(_energy(one)), _mean(_energy(two))
    variance = [_positive(both - _energy(_means(side))) for both, side in zip(energy, (one, two), strict=True)]
    share = _mean(_energy(one - two)) / (variance[0] + variance[1] + _NOISE)
    capped: Plane = np.minimum(share, np.float32(1))
    return capped


def _to_be_explained(unexplained: Plane, apart: Plane) -> NDArray[np.bool_]:
    masks = [(unexplained > np.float32(share)) & (apart > np.float32(contrast)) for share, contrast in _ASKED]
    asked: NDArray[np.bool_] = masks[0] | masks[1] | masks[2]
    return asked


def _tiles(mask: NDArray[np.bool_]) -> Iterator[tuple[slice, slice]]:
    """Yield the tiles in which anything is true."""
    height, width = mask.shape
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            tile = slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))
            if mask[tile].any():
                yield tile


def _at(planes: NDArray[np.float32], x: int, y: int, reach: int = 1) -> NDArray[np.float32]:
    """Return the planes shifted by x columns and y rows, without ``reach`` pixels on each side."""
    height, width = planes.shape[-2:]
    return planes[..., reach + y : height - reach + y, reach + x : width - reach + x]


def _beside(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum of each pixel and the one on its right."""
    return planes[..., 1:] + planes[..., :-1]


def _below(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum of each pixel and the one below it."""
    return planes[..., 1:, :] + planes[..., :-1, :]


_HALF, _QUARTER = np.float32(1 / 2), np.float32(1 / 4)
_KINDS = ((0, 0), (1, 0), (0, 1), (1, 1))
"""The axes that are shifted by another half pixel: none, columns, rows, both."""


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """Local energies and variances of one image where it is, and half a pixel to the right, down, and both.

    Keyed by `_KINDS`, each with one pixel of margin; values half a pixel beyond the last pixel are unknown.
    """

    energy: dict[tuple[int, int], Plane]
    variance: dict[tuple[int, int], Plane]

    @classmethod
    def of(cls, picture: Planes) -> _Moments:
        """Compute them for planes with a margin of `_TILE_MARGIN` pixels."""
        here = _at(picture, 0, 0)
        still, right, down, diagonal, other = (
            _mean(_products(_at(picture, x, y), here)) for x, y in ((0, 0), (1, 0), (0, 1), (1, 1), (1, -1))
        )
        sides, corners = _below(right[:, :-1]) + _beside(down[:-1]), diagonal[:-1, :-1] + other[1:, :-1]
        energy = {
            (0, 0): still,
            (1, 0): _beside(still) * _QUARTER + right[:, :-1] * _HALF,
            (0, 1): _below(still) * _QUARTER + down[:-1] * _HALF,
            (1, 1): _below(_beside(still)) * np.float32(1 / 16) + (sides + corners) * np.float32(1 / 8),
        }
        mean = _means(here)
        across = _beside(mean) * _HALF
        means = {(0, 0): mean, (1, 0): across, (0, 1): _below(mean) * _HALF, (1, 1): _below(across) * _HALF}
        return cls(energy, {kind: _positive(energy[kind] - _energy(means[kind])) for kind in _KINDS})


def _unexplained_by_shifts(one: Planes, two: Planes) -> Plane:
    """Return the smallest share of energy that remains when either image is shifted by up to one pixel, in half pixels.

    The share for a shift is ``G(|a' - b|^2) / (var a' + var b + noise)``, where a' is the shifted image and G the
    mean under a Gaussian. As ``G(|a' - b|^2) = G(a'a') + G(bb) - 2 G(a'b)``, all 49 shifts are sums of a few means of
    products.

    Args:
        one: (3, height, width), with a margin of `_TILE_MARGIN` pixels.
        two: the same.

    Returns:
        Without the margin.
    """
    height, width = (side - 2 * _TILE_MARGIN for side in one.shape[1:])
    moments, still = (_Moments.of(one), _Moments.of(two)), _at(two, 0, 0)
    cross = {(x, y): _mean(_products(_at(one, x, y), still)) for x in (-1, 0, 1) for y in (-1, 0, 1)}
    forth = {(x, y): _at(plane, 0, 0) for (x, y), plane in cross.items()}
    back = {(-x, -y): _at(plane, -x, -y) for (x, y), plane in cross.items()}
    best = np.ones((height, width), np.float32)
    for moved, other, whole in ((moments[0], moments[1], forth), (moments[1], moments[0], back)):
        rest_energy, rest_variance = _at(other.energy[0, 0], 0, 0), _at(other.variance[0, 0], 0, 0) + _NOISE
        for kind in _KINDS:
            for (x, y), product in _between(whole, kind).items():
                if moved is moments[1] and kind == (x, y) == (0, 0):
                    continue  # as if the other one were not shifted
                at = np.s_[1 + y : 1 + y + height, 1 + x : 1 + x + width]
                left = moved.energy[kind][at] + rest_energy - product * np.float32(2 / 2 ** sum(kind))
                np.minimum(best, left / (moved.variance[kind][at] + rest_variance), out=best)
    return _positive(best)


def _between(whole: dict[tuple[int, int], Plane], kind: tuple[int, int]) -> dict[tuple[int, int], Plane]:
    """Return the sums of the products of neighbouring whole shifts (half-pixel shifts), keyed by the first."""
    if kind[0]:
        whole = {(x, y): whole[x, y] + whole[x + 1, y] for x in (-1, 0) for y in (-1, 0, 1)}
    if kind[1]:
        whole = {(x, y): product + whole[x, y + 1] for (x, y), product in whole.items() if y < 1}
    return whole


def _colour(one: Planes, two: Planes, apart: Plane, *, shifts: bool) -> Plane:
    """Return the low-passed difference, where it is coherent, relative to the smallest visible one.

    A shift by a pixel adds colour on one side of an edge, so the smallest difference under shifts counts.

    Args:
        one: (3, height, width), with a margin of `MARGIN` pixels.
        two: the same.
        apart: (height, width), the distance of their colours.
        shifts: whether shifts may explain a difference.

    Returns:
        Without the margin; 0 if nothing in the block is visible.
    """
    height, width = (side - 2 * MARGIN for side in apart.shape)
    difference = np.stack([_low(plane) for plane in one - two])
    found = _length(_at(difference, 0, 0))
    coherent = found > np.float32(_COHERENT) * _at(_low(apart), 0, 0)
    if not (coherent & (found > np.float32(EVIDENT_FADE))).any():
        return np.zeros((height, width), np.float32)
    if shifts:
        x, y, wide, high = cv2.boundingRect(coherent.view(np.uint8))
        first = np.stack([_low(plane) for plane in one])[:, y : y + high + 2, x : x + wide + 2]
        least = _least_by_shifts(first, first - difference[:, y : y + high + 2, x : x + wide + 2])
        place = np.s_[y : y + high, x : x + wide]
        found[place] = np.minimum(found[place], least)
    limit = np.where(_is_steady(one, two, apart), np.float32(EVIDENT_FADE), np.float32(EVIDENT_COLOUR))
    relative = np.where(coherent, found / limit, np.float32(0))
    return np.asarray(relative.repeat(2, axis=0).repeat(2, axis=1)[:height, :width], np.float32)


def _low(plane: Plane) -> Plane:
    """Return the low-passed plane at half resolution, with a margin of one of its pixels."""
    return _blurred(_halved(plane, len(_LOW)), _LOW)


def _halved(plane: Plane, reach: int) -> Plane:
    """Return the 2x2 means of a plane with a margin of `MARGIN`; the result has a margin of ``reach`` pixels."""
    halved: Plane = _fours(plane, MARGIN, reach) * _QUARTER
    return halved


def _fours(plane: NDArray[Any], margin: int, reach: int) -> NDArray[Any]:
    """Return the sums of 2x2 pixels; an odd last row or column is paired with the first one beyond it."""
    height, width = (2 * ((side - 2 * margin + 1) // 2 + 2 * reach) for side in plane.shape)
    begin = margin - 2 * reach
    even = plane[begin : begin + height, begin : begin + width]
    down = even[0::2] + even[1::2]
    fours: NDArray[Any] = down[:, 0::2] + down[:, 1::2]
    return fours


def _least_by_shifts(one: Planes, two: Planes) -> Plane:
    """Return the smallest distance of low-passed colours when either image is shifted by up to one pixel.

    Args:
        one: (3, height, width) at half resolution, with a margin of one pixel.
        two: the same.

    Returns:
        Without the margin.
    """
    height, width = (side - 2 for side in one.shape[1:])
    least = np.full((height, width), np.float32(np.inf))
    for moved, still in ((one, two), (two, one)):
        rest = _at(still, 0, 0)
        for x in _SHIFTS:
            across = _mixture(moved, 2, x)
            for y in _SHIFTS:
                if x or y:
                    np.minimum(least, _energy(_mixture(across, 1, y) - rest), out=least)
    root: Plane = np.sqrt(least)
    return root


def _mixture(planes: Planes, axis: int, step: float) -> Planes:
    """Return planes at half resolution, shifted by pixels of the full resolution, without the first and last."""
    size = planes.shape[axis]
    sides = [planes.take(range(begin, begin + size - 2), axis) for begin in range(3)]
    share, far = np.float32(abs(step) / 2), sides[0 if step > 0 else 2]
    mixed: Planes = sides[1] * (1 - share) + far * share if step else sides[1]
    return mixed


def _is_steady(one: Planes, two: Planes, apart: Plane) -> NDArray[np.bool_]:
    """Return, at half resolution, where no edge can have moved.

    That is where nearly all visible differences nearby only lost or gained contrast, and where there are no edges.
    """
    reach, margin = _EDGES_NEAR // 2, _EDGES_NEAR  # an odd one is paired with a pixel beyond it
    around = MARGIN - margin
    one, two = (_within(side, around - _REACH) for side in (one, two))
    energies = [_mean(_energy(side)) for side in (one, two, one - two)]
    means = [_means(side) for side in (one, two)]
    change, level = means[0] - means[1], (means[0] + means[1]) * _HALF
    shared = (energies[0] - energies[1]) * _HALF - _products(change, level)
    signal = (energies[0] + energies[1]) * _HALF - energies[2] * _QUARTER
    variances = [_positive(energies[2] - _energy(change)), _positive(signal - _energy(level))]
    fades = shared * shared > np.float32(_FADE) * variances[0] * variances[1]
    seen = _within(apart, around) > np.float32(SEEN)
    counts = [_number_near(_fours(mask.view(np.uint8), margin, reach)) for mask in (seen & fades, seen)]
    fading = (counts[1] > 0) & (counts[0] >= np.float32(_FADED) * counts[1].astype(np.float32))
    texture = _positive(energies[0] - _energy(means[0])) + _positive(energies[1] - _energy(means[1]))
    edges = _fours(texture, margin, reach) * _QUARTER >= np.float32(_FLAT)
    steady: NDArray[np.bool_] = fading | (_number_near(edges.view(np.uint8)) == 0)
    return steady


def _number_near(numbers: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the sums over squares of `_EDGES_NEAR`, without the pixels around them."""
    square = _EDGES_NEAR, _EDGES_NEAR
    return np.asarray(_within(cv2.boxFilter(numbers, cv2.CV_32S, square, normalize=False), _EDGES_NEAR // 2))
