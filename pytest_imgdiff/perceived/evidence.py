"""Evidence that a person would see a difference: changed structure and changed colour, per pixel.

Rendering noise (font smoothing, hinting, sub-pixel offsets, re-encoding) moves edges by less than a pixel or adds noise
of zero mean. So structure counts only where no shift of at most one pixel explains it, and colour only where the
low-passed difference keeps its sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pytest_imgdiff.views import full_value, pixel_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Plane = NDArray[np.float32]
    """(height, width)."""
    Planes = NDArray[np.float32]
    """(height, width, 3)."""

SEEN = 0.02
"""Colours that differ by less are never seen to differ in structure: five gray levels of 255."""
_ASKED = ((0.1, 0.08), (0.15, 0.025), (0.35, SEEN))
"""Unexplained shares and contrasts that are less than any evidence: shifts need not explain what stays below all."""
EVIDENT_COLOUR = 0.016
"""The least low-passed difference that is seen: four gray levels."""
EVIDENT_FADE = 0.0085
"""The same where no edge moved: on flat ground, and where the difference repeats the picture, as a fade does."""
_FLAT = 2e-4
"""Energy around a pixel below which there is no edge."""
_FADE = 0.6
"""Squared correlation of difference and picture from which on it repeats it: an edge that moved leaves its slope."""
_FADED = 0.7
"""Share of what is seen nearby that has to be such a fade."""

_YIQ = np.array(
    [[0.29889531, 0.58662247, 0.11448223], [0.59597799, -0.2741761, -0.32180189], [0.21147017, -0.52261711, 0.31114694]]
)
_WEIGHTS = np.sqrt(np.array([0.5053, 0.299, 0.1957]) / 35215) * 255
_COLOURS = (_WEIGHTS[:, None] * _YIQ).astype(np.float32)
"""From RGB of 0..1 to a space where black and white are about 1 apart: YIQ as pixelmatch 7 weighs it (see `yiq`)."""

_SIGMA = 1.5
_NOISE = np.float32(0.02**2)
"""Energy that is taken for noise: without it, flat areas would divide nothing by nothing."""
_CHROMA = (1.0, 0.3)
"""How far chroma is blurred along a row and across rows: the fringes of LCD text cancel along a row."""
_COLOUR_SIGMA = 5.0
_SHIFTS = (-1, -0.5, 0, 0.5, 1)
_COHERENT = 0.7
"""Share of the low-passed absolute difference that keeps its sign: noise of a codec does not."""
_EDGES_NEAR = 13
"""Side of the square, in pixels of half the resolution, in which moved edges may have changed a colour."""

BLOCK = 384
"""Side of the blocks that are looked at one by one: what is computed of one stays in a core's cache."""
MARGIN = 24
TILE = 64
"""Side of the tiles that are looked at under all shifts."""
_TILE_MARGIN = 8


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What was found in one block.

    Attributes:
        contrast: (height, width), how far the colours are apart, 0 to about 1.
        unexplained: (height, width), the share of the local energy that no shift explains, 0..1; 0 where the colours
            are less than `SEEN` apart.
        colour: (height, width), the coherent low-passed difference relative to the least one that is seen.
    """

    contrast: Plane
    unexplained: Plane
    colour: Plane


def differing_blocks(first: NDArray[Any], second: NDArray[Any]) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of what differs in each block of two pictures of equal shape, in whole tiles."""
    height, width = first.shape[:2]
    for top in range(0, height, BLOCK):
        rows = slice(top, min(top + BLOCK, height))
        differs = _differs(first[rows], second[rows])
        for left in range(0, width, BLOCK):
            x, y, columns_wide, rows_high = cv2.boundingRect(differs[:, left : left + BLOCK])
            if columns_wide:
                yield (
                    slice(top + y // TILE * TILE, min(height, top + -(-(y + rows_high) // TILE) * TILE)),
                    slice(left + x // TILE * TILE, min(width, left + -(-(x + columns_wide) // TILE) * TILE)),
                )


def _differs(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.uint8]:
    """Return (height, width), 1 where pixels of equal shape and depth are not equal."""
    is_rgba = first.shape[2] == len("RGBA")
    words = (pixel_words(first), pixel_words(second)) if is_rgba else (None, None)
    unlike = (first != second).any(axis=2) if words[0] is None or words[1] is None else words[0] != words[1]
    differs: NDArray[np.uint8] = unlike.view(np.uint8)
    return differs


def channel_contrast(first: NDArray[Any], second: NDArray[Any]) -> Plane:
    """Return (height, width), by how much the channel differs that differs most, 0..1: what is quickly found."""
    red, green, blue = cv2.split(cv2.absdiff(first, second))[:3]
    return np.asarray(cv2.max(cv2.max(red, green), blue) * (1 / full_value(first.dtype)), np.float32)


def luma(picture: NDArray[Any]) -> Plane:
    """Return (height, width), the lightness of RGB of any depth, 0 to about 1."""
    lightness: Plane = space(picture)[..., 0]
    return lightness


def look(first: NDArray[Any], second: NDArray[Any], rows: slice, columns: slice, *, shifts: bool) -> Block:
    """Look for evidence in one block.

    Args:
        first: (height, width, 3 or 4) RGB of any depth; a fourth channel is not looked at.
        second: the same.
        rows: those of the block; pixels around them are looked at, too.
        columns: the same.
        shifts: whether shifts of at most one pixel may explain a difference.
    """
    one, two = _with_margin(first, second, rows, columns)
    apart = _length(one - two)
    inner = np.s_[MARGIN : MARGIN + rows.stop - rows.start, MARGIN : MARGIN + columns.stop - columns.start]
    seen = apart > SEEN
    unexplained = np.zeros(apart.shape, np.float32)
    if seen.any():
        soft = _softened(one), _softened(two)
        unexplained = np.where(seen, _unexplained_in_place(*soft), np.float32(0))
        if shifts:
            for tile in _tiles(_to_be_explained(unexplained, apart), inner):
                core = tuple(slice(side.start + _TILE_MARGIN, side.stop - _TILE_MARGIN) for side in tile)
                least = _unexplained_by_shifts(soft[0][tile], soft[1][tile])
                unexplained[core] = np.minimum(unexplained[core], least)
    colour = np.zeros(apart.shape, np.float32)
    if apart.max() > EVIDENT_FADE:
        colour = _colour(one, two, seen, shifts=shifts)
    return Block(apart[inner], unexplained[inner], colour[inner])


def _with_margin(
    first: NDArray[Any], second: NDArray[Any], rows: slice, columns: slice
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a block of both, in `space`, and `MARGIN` pixels around it.

    Beyond the picture goes on the mean of what both have at its edge: nothing differs there.
    """
    height, width = first.shape[:2]
    top, bottom = max(0, rows.start - MARGIN), min(height, rows.stop + MARGIN)
    left, right = max(0, columns.start - MARGIN), min(width, columns.stop + MARGIN)
    beyond = (
        (top - rows.start + MARGIN, rows.stop + MARGIN - bottom),
        (
            left - columns.start + MARGIN,
            columns.stop + MARGIN - right,
        ),
    )
    one, two = (space(side[top:bottom, left:right]) for side in (first, second))
    if not any(beyond[0] + beyond[1]):
        return one, two
    around = np.pad((one + two) * np.float32(0.5), (*beyond, (0, 0)), mode="edge")
    sides = around, around.copy()
    inside = np.s_[beyond[0][0] : beyond[0][0] + bottom - top, beyond[1][0] : beyond[1][0] + right - left]
    sides[0][inside], sides[1][inside] = one, two
    return sides


def space(picture: NDArray[Any]) -> Planes:
    """Return (height, width, 3): RGB of any depth in a space where distances are contrasts, black to white about 1."""
    colours = np.multiply(picture[..., :3], np.float32(1 / full_value(picture.dtype)), dtype=np.float32)
    return np.asarray(cv2.transform(colours, _COLOURS), np.float32)


def _length(vectors: Planes) -> Plane:
    x, y, z = cv2.split(vectors)
    length: Plane = np.sqrt(x * x + y * y + z * z)
    return length


def _softened(colours: Planes) -> Planes:
    luma, *chroma = cv2.split(colours)
    return np.asarray(
        cv2.merge([luma, *(cv2.GaussianBlur(c, (0, 0), sigmaX=_CHROMA[0], sigmaY=_CHROMA[1]) for c in chroma)]),
        np.float32,
    )


def _mean(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), _SIGMA, borderType=cv2.BORDER_REPLICATE), np.float32)


def _energy(vectors: Planes) -> Plane:
    x, y, z = cv2.split(vectors)
    energy: Plane = x * x + y * y + z * z
    return energy


def _variance(colours: Planes) -> Plane:
    variance: Plane = np.maximum(_mean(_energy(colours)) - _energy(_mean(colours)), np.float32(0))
    return variance


def _unexplained_in_place(one: Planes, two: Planes) -> Plane:
    """Return the energy of the difference as a share of the energy that both pictures have: 0..1."""
    share = _mean(_energy(one - two)) / (_variance(one) + _variance(two) + _NOISE)
    capped: Plane = np.minimum(share, np.float32(1))
    return capped


def _to_be_explained(unexplained: Plane, apart: Plane) -> NDArray[np.bool_]:
    masks = [(unexplained > np.float32(share)) & (apart > np.float32(contrast)) for share, contrast in _ASKED]
    asked: NDArray[np.bool_] = masks[0] | masks[1] | masks[2]
    return asked


def _tiles(mask: NDArray[np.bool_], inner: tuple[slice, slice]) -> Iterator[tuple[slice, slice]]:
    """Yield the tiles of the inner part, each with its margin, in which anything is true."""
    rows, columns = inner
    for top in range(rows.start, rows.stop, TILE):
        for left in range(columns.start, columns.stop, TILE):
            bottom, right = min(top + TILE, rows.stop), min(left + TILE, columns.stop)
            if mask[top:bottom, left:right].any():
                yield (
                    slice(top - _TILE_MARGIN, bottom + _TILE_MARGIN),
                    slice(left - _TILE_MARGIN, right + _TILE_MARGIN),
                )


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """Second moments and variances of one picture where it is, and half a pixel to the right, down, and both."""

    energy: dict[tuple[int, int], Plane]
    variance: dict[tuple[int, int], Plane]

    @classmethod
    def of(cls, channels: list[Plane]) -> _Moments:
        def auto(x: int, y: int) -> Plane:
            return _mean(_products([_from(channel, x, y) for channel in channels], channels))

        still, right, down, diagonal, other = auto(0, 0), auto(1, 0), auto(0, 1), auto(1, 1), auto(1, -1)
        beside, below = still + _from(still, 1, 0), still + _from(still, 0, 1)
        energy = {
            (0, 0): still,
            (1, 0): (beside + 2 * right) / 4,
            (0, 1): (below + 2 * down) / 4,
            (1, 1): (
                (beside + _from(beside, 0, 1))
                + 2 * (right + _from(right, 0, 1) + down + _from(down, 1, 0))
                + 2 * (diagonal + _from(other, 0, 1))
            )
            / 16,
        }
        variance = {}
        means = [_mean(channel) for channel in channels]
        for (x, y), whole in energy.items():
            moved = [_halfway(mean, x, y) for mean in means]
            square = moved[0] * moved[0] + moved[1] * moved[1] + moved[2] * moved[2]
            variance[x, y] = np.maximum(whole - square, np.float32(0))
        return cls(energy, variance)


def _channels(vectors: Planes) -> list[Plane]:
    return [np.asarray(channel, np.float32) for channel in cv2.split(vectors)]


def _products(one: list[Plane], two: list[Plane]) -> Plane:
    """Return the scalar product of two vectors at each pixel."""
    product: Plane = one[0] * two[0] + one[1] * two[1] + one[2] * two[2]
    return product


def _from(plane: Plane, x: int, y: int) -> Plane:
    """Return what stands x columns and y rows further; what comes in at the edge is never used."""
    return np.roll(plane, (-y, -x), (0, 1))


def _halfway(plane: Plane, x: int, y: int) -> Plane:
    """Return the plane half a pixel further along the axes whose number is 1."""
    if x:
        plane = (plane + _from(plane, 1, 0)) * np.float32(0.5)
    if y:
        plane = (plane + _from(plane, 0, 1)) * np.float32(0.5)
    return plane


def _unexplained_by_shifts(one: Planes, two: Planes) -> Plane:
    """Return the least share of energy that is left when either picture is shifted by up to one pixel, in half pixels.

    The share for a shift is ``G(|a' - b|^2) / (var a' + var b + noise)``, where a' is the shifted picture and G the
    mean under a Gaussian. As ``G(|a' - b|^2) = G(a'a') + G(bb) - 2 G(a'b)``, all 49 shifts are sums of few means of
    products.

    Args:
        one: (height, width, 3), with `_TILE_MARGIN` pixels around what is asked for.
        two: the same.

    Returns:
        Without the margin.
    """
    first, second = _channels(one), _channels(two)
    moments = _Moments.of(first), _Moments.of(second)
    cross = {
        (x, y): _mean(_products([_from(channel, x, y) for channel in first], second))
        for x in (-1, 0, 1)
        for y in (-1, 0, 1)
    }
    mirrored = {(-x, -y): _from(plane, -x, -y) for (x, y), plane in cross.items()}
    height, width = (side - 2 * _TILE_MARGIN for side in one.shape[:2])
    inner = np.s_[_TILE_MARGIN : _TILE_MARGIN + height, _TILE_MARGIN : _TILE_MARGIN + width]
    best = np.full((height, width), np.float32(1))
    for moved, still, products in ((moments[0], moments[1], cross), (moments[1], moments[0], mirrored)):
        rest_energy, rest_variance = still.energy[0, 0][inner], still.variance[0, 0][inner] + _NOISE
        for half_x in range(-2, 3):
            for half_y in range(-2, 3):
                kind = half_x % 2, half_y % 2
                x, y = half_x // 2, half_y // 2
                at = np.s_[_TILE_MARGIN + y : _TILE_MARGIN + y + height, _TILE_MARGIN + x : _TILE_MARGIN + x + width]
                product = products[x, y][inner]
                if kind[0]:
                    product = product + products[x + 1, y][inner]
                if kind[1]:
                    product = product + products[x, y + 1][inner]
                    if kind[0]:
                        product = product + products[x + 1, y + 1][inner]
                left = moved.energy[kind][at] + rest_energy - np.float32(2 / 2 ** sum(kind)) * product
                np.minimum(best, left / (moved.variance[kind][at] + rest_variance), out=best)
    least: Plane = np.maximum(best, np.float32(0))
    return least


def _is_steady(one: Planes, two: Planes, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return, in half the resolution, where no edge can have moved.

    That is where nearly all that is seen nearby has only lost or gained contrast, and where there are no edges.
    """
    difference, signal = one - two, (one + two) * np.float32(0.5)
    mean, level = _mean(difference), _mean(signal)
    shared = _mean(_dot(difference, signal)) - _dot(mean, level)
    fades = shared * shared > np.float32(_FADE) * _variance(difference) * _variance(signal)
    near = (_EDGES_NEAR, _EDGES_NEAR)
    counts = [cv2.boxFilter(_halved(mask.astype(np.float32)), -1, near) for mask in (seen & fades, seen)]
    fading: NDArray[np.bool_] = (counts[1] > 0) & (counts[0] >= np.float32(_FADED) * counts[1])
    texture = _halved(_variance(one) + _variance(two))
    flat: NDArray[np.bool_] = cv2.dilate(texture, np.ones(near, np.uint8)) < _FLAT
    return fading | flat


def _dot(one: Planes, two: Planes) -> Plane:
    return _products(_channels(one), _channels(two))


def _colour(one: Planes, two: Planes, seen: NDArray[np.bool_], *, shifts: bool) -> Plane:
    """Return the low-passed difference, where it is coherent, relative to the least one that is seen.

    A shift by a pixel adds colour on one side of an edge: so the least difference under shifts counts.
    """
    apart = _length(one - two)
    sigma = _COLOUR_SIGMA / 2
    low = [
        np.asarray(cv2.GaussianBlur(_halved(plane), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)
        for plane in (one, two, apart)
    ]
    found = _length(low[0] - low[1])
    coherent = found > np.float32(_COHERENT) * low[2]
    if not (coherent & (found > EVIDENT_FADE)).any():
        return np.zeros(apart.shape, np.float32)
    limit = np.where(_is_steady(one, two, seen), np.float32(EVIDENT_FADE), np.float32(EVIDENT_COLOUR))
    beyond = coherent & (found > limit)
    if shifts and beyond.any():
        x, y, wide, high = cv2.boundingRect(beyond.view(np.uint8))
        place = np.s_[max(0, y - 1) : y + high + 1, max(0, x - 1) : x + wide + 1]
        found[place] = np.minimum(found[place], _least_by_shifts(low[0][place], low[1][place]))
    relative = np.where(coherent, found / limit, np.float32(0))
    height, width = apart.shape
    return np.asarray(relative.repeat(2, axis=0).repeat(2, axis=1)[:height, :width], np.float32)


def _least_by_shifts(one: Planes, two: Planes) -> Plane:
    """Return how far apart the low-passed colours are at least when either picture is shifted by up to one pixel."""
    least = np.full(one.shape[:2], np.float32(np.inf))
    for moved, still in ((one, two), (two, one)):
        for x in _SHIFTS:
            across = _shifted(moved, 1, x / 2)
            for y in _SHIFTS:
                if x or y:
                    energy = _energy(_shifted(across, 0, y / 2) - still)
                    np.minimum(least, energy, out=least)
    root: Plane = np.sqrt(least)
    return root


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return means of 2x2; an odd last row or column stands for the one beyond it, too."""
    height, width = plane.shape[:2]
    even = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    size = (width + width % 2) // 2, (height + height % 2) // 2
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.float32)


def _shifted(planes: Planes, axis: int, step: float) -> Planes:
    """Return smooth planes, shifted by at most one of their pixels along an axis; those at the edge go on beyond it."""
    if not step:
        return planes
    share, size = np.float32(abs(step)), planes.shape[axis]
    places = np.arange(size) - (1 if step > 0 else -1)
    mixed: Planes = planes * (1 - share) + planes.take(places.clip(0, size - 1), axis=axis) * share
    return mixed
