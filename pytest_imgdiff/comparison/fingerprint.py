"""Fingerprint of a difference, independent of its position, to find equal changes on several pages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pytest_imgdiff.base.derived import LUMA, are_opaque, full_value
from pytest_imgdiff.comparison.change_groups import GRIDS, MOST, Appearance, Changes, Patch, appearance_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image, Pixels
    from pytest_imgdiff.base.model import Region

    Numbers = NDArray[np.float32]
    """(height, width)."""
    Positions = NDArray[np.float64]
    """(n,)."""
    Change = NDArray[np.float32]
    """(height, width, 4): signed difference (actual less expected) in luma, blue chroma, red chroma and opacity, in
    levels of -255..255; 0 outside the mask."""

_KINDS = {"only expected": "e", "only actual": "a", "deleted": "e", "inserted": "a"}
"""The kinds with a letter of their own; all others have c."""
MOST_PATCHES = 6
"""Maximum number of regions, the largest ones, that are described; for the others only number and area are."""
MOST_CHANGES = 50
"""Maximum number of different changes in one pair's frames; each takes half a kilobyte or more."""
MOST_PIXELS = 1 << 14
"""Maximum pixels of a region; in a larger one only every second, third, ... pixel and row is examined."""
NEAR = np.ones((5, 5), np.uint8)
"""Distance in pixels from the mask that still belongs to the change: whether a metric counts the anti-aliased pixels
of an edge depends on their neighbours."""
FAINT = 0.125
"""Pixels that differ by less than this share of the region's largest difference do not define its shape."""
MARGIN = 0.02
"""Share of the difference beyond each side of the grid: a pixel more or less at the edge does not move the grid."""
TYPICAL = 3
"""Value of a cell of typical difference (the root of the mean square); values are limited to 7."""

_BLUE, _RED = 0.564, 0.713  # ITU-R BT.601: factors of blue and red less luma
_COLOURS = np.array(
    [
        [*LUMA, 0],
        [-_BLUE * LUMA[0], -_BLUE * LUMA[1], _BLUE * (1 - LUMA[2]), 0],
        [_RED * (1 - LUMA[0]), -_RED * LUMA[1], -_RED * LUMA[2], 0],
        [0, 0, 0, 1],
    ],
    np.float32,
)
"""From red, green, blue and opacity to the planes of a change."""
_SUM = np.ones((1, 4), np.float32)
"""From the planes to the sum of their magnitudes."""
_STEPS = np.linspace(0, 1, GRIDS[0] + 1)
"""The edges of the cells, of any length."""


def fingerprint(
    expected: Image,
    actual: Image,
    mask: Mask,
    regions: Sequence[Region],
    expected_as_read: Image | None = None,
) -> str:
    """Return a line of text that describes the difference, independent of its position.

    It is computed from the pixels of the mask, region by region, so that it is the same on every page with the change,
    and at every position. `change_groups.Appearance.is_similar` decides whether two of them could be the same change;
    it tolerates anti-aliasing and a few percent of size. All of the mask counts: the rest outside the described
    regions is included as number and area, so that a page with an additional change is not confused with the others.

    Args:
        expected: The image as it was compared.
        actual: The same for the actual image, of the same size and depth.
        mask: (height, width), where the two differ.
        regions: The regions of the mask, at least one, the largest first.
        expected_as_read: The expected image before it was laid out as the actual one, which has the deleted regions.
    """
    described = regions[:MOST_PATCHES]
    patches = tuple(_patch(region, expected, actual, mask, expected_as_read or expected) for region in described)
    masked = [region.area for region in described if region.kind != "deleted"]
    beside = cv2.countNonZero(mask.view(np.uint8)) - sum(masked)
    return str(Appearance(patches, len(regions) - len(described), max(0, beside)))


def of_all_frames(marks: Iterable[str | None]) -> str | None:
    """Return the fingerprint of a pair of several frames or pages.

    Similar changes on several frames count once: the same change on each page of two documents of different length is
    one change.

    Args:
        marks: The fingerprint of each frame that fails; None if a frame has none.

    Returns:
        The text for `change_groups.changes_of`; None if a frame has no fingerprint or the frames have more than
        `MOST_CHANGES` changes: then the whole cannot be described.
    """
    distinct: list[Appearance] = []
    for mark in marks:
        appearance = None if mark is None else appearance_of(mark)
        if appearance is None:
            return None
        if not any(known.is_similar(appearance) for known in distinct):
            distinct.append(appearance)
    return str(Changes(tuple(distinct))) if 0 < len(distinct) <= MOST_CHANGES else None


def _patch(region: Region, expected: Image, actual: Image, mask: Mask, expected_as_read: Image) -> Patch:
    box = region.box
    step = math.ceil(math.sqrt(box.width * box.height / MOST_PIXELS))
    top, bottom, columns = box.y, box.y + box.height, slice(box.x, box.x + box.width, step)
    if region.kind in ("inserted", "deleted"):  # the other side has another part of the page at this place
        side = actual if region.kind == "inserted" else expected_as_read
        pixels = side.rows(top, bottom)[::step, columns]
        nothing = np.full_like(pixels, full_value(pixels.dtype))
        shown = [nothing, pixels] if region.kind == "inserted" else [pixels, nothing]
        change = _change(shown[0], shown[1], np.ones(pixels.shape[:2], np.bool_))
    else:
        shown = [image.rows(top, bottom)[::step, columns] for image in (expected, actual)]
        change = _change(shown[0], shown[1], mask[top:bottom:step, columns])
    magnitude = np.asarray(cv2.transform(np.abs(change), _SUM), np.float32)
    strong: Numbers = np.maximum(magnitude - np.float32(FAINT) * magnitude.max(), 0)
    ink = cv2.sumElems(strong)[0]
    weighted = (*cv2.sumElems(change * strong[..., np.newaxis]), cv2.sumElems(magnitude * strong)[0])
    return Patch(
        width=box.width,
        height=box.height,
        kind=_KINDS.get(region.kind, "c"),
        ink=round(ink / 255 * step * step),
        levels=tuple(round(level / (ink or 1)) for level in weighted),
        planes=_planes(change, strong),
    )


def _change(expected: Pixels, actual: Pixels, mask: Mask) -> Change:
    if actual.dtype == np.uint8 and are_opaque(expected) and are_opaque(actual):
        difference = cv2.subtract(actual, expected, dtype=cv2.CV_32F)
    else:
        difference = _levels(actual) - _levels(expected)
    change = np.asarray(cv2.transform(difference, _COLOURS), np.float32)
    near = cv2.dilate(np.ascontiguousarray(mask).view(np.uint8), NEAR)
    return np.asarray(cv2.copyTo(change, near), np.float32)  # 0 elsewhere


def _levels(pixels: Pixels) -> Numbers:
    """Return RGBA in levels of 0..255, with the colour composed over white."""
    full = full_value(pixels.dtype)
    levels: Numbers = pixels.astype(np.float32)
    if full != 255:  # noqa: PLR2004 - 8 bits
        levels *= np.float32(255 / full)
    if pixels[..., 3].min() < full:
        opacity = levels[..., 3:] / np.float32(255)
        levels[..., :3] = levels[..., :3] * opacity + 255 * (1 - opacity)
    return levels


def _planes(change: Change, strong: Numbers) -> tuple[bytes, ...]:
    down, across = (_edges(np.asarray(cv2.reduce(strong, axis, cv2.REDUCE_SUM, dtype=cv2.CV_64F))) for axis in (1, 0))
    before = _sums_before(down, across, np.asarray(cv2.integral(change), np.float64))
    below = before[1:] - before[:-1]
    cells = (below[:, 1:] - below[:, :-1]) / ((down[2] - down[1]) * (across[2] - across[1]))
    cells /= math.sqrt(cv2.norm(cells, cv2.NORM_L2SQR) / len(cells) ** 2) or 1.0
    grids = {size: _quantised(cells, size) for size in set(GRIDS)}
    return tuple(grids[size][..., plane].tobytes() for plane, size in enumerate(GRIDS))


def _edges(strength: Positions) -> Positions:
    """Return the edges of the cells along an axis, in pixels.

    They are evenly spaced between the start and the end of the difference. The first and the last are those of the box,
    so that nothing is left out.
    """
    places = np.arange(strength.size + 1, dtype=np.float64)
    total = np.zeros_like(places)
    np.cumsum(strength, out=total[1:])
    if total[-1] <= 0:  # the metric detects a difference that these planes do not
        total = places
    first, last = np.interp([MARGIN * total[-1], (1 - MARGIN) * total[-1]], total, places)
    edges: Positions = first + (last - first) * _STEPS
    edges[0], edges[-1] = 0, strength.size
    return edges


def _sums_before(down: Positions, across: Positions, integral: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (len(down), len(across), 4): the sum above and to the left of each point, proportional between pixels.

    Args:
        down: Edges between rows, in pixels.
        across: Edges between columns, in pixels.
        integral: (height + 1, width + 1, 4), the sums above and to the left of every pixel's top left corner.
    """
    height, width, planes = integral.shape
    rows, columns = np.minimum(down.astype(np.intp), height - 2), np.minimum(across.astype(np.intp), width - 2)
    corner = rows[:, np.newaxis] * width + columns
    corners = np.array([[corner, corner + 1], [corner + width, corner + width + 1]])
    sums = integral.reshape(-1, planes).take(corners, axis=0)
    left, right = sums[:, 0], sums[:, 1]
    above, below = left + (right - left) * (across - columns)[:, np.newaxis]
    between: NDArray[np.float64] = above + (below - above) * (down - rows)[:, np.newaxis, np.newaxis]
    return between


def _quantised(cells: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """Return cells in units of the typical difference, averaged down to ``size`` across and down, as 0..14."""
    each = len(cells) // size
    if each > 1:
        cells = cells.reshape(size, each, size, each, -1).mean(axis=(1, 3))
    values: NDArray[np.uint8] = (np.rint(cells * TYPICAL).clip(-MOST, MOST) + MOST).astype(np.uint8)
    return values
