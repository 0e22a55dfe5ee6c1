"""The kind of each region of a difference: added, removed, moved, recoloured, text, content or rendering only."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import cv2
import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.derived import full_value
from pytest_imgdiff.comparison.colours import apart_from, colours_of, commonest, maps, median, percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.base.model import Region
    from pytest_imgdiff.comparison.colours import Colours

    Numbers = NDArray[np.float32]
    """(height, width)."""

MOST_CLASSIFIED = 200
"""Only this many of the largest regions are classified: as many as a record lists."""
MOST_PIXELS = 1 << 16
"""Maximum pixels of a region; in a larger one only every second, third, ... pixel and row is examined."""
MOST_PIXELS_IN_ALL = 1 << 21
"""Maximum pixels of all regions of a pair; above that, more regions are subsampled."""

RING = 4
"""Pixels around a region's box in which its background is searched for."""
MARGIN = 14
"""Pixels around a box that contain the text of a changed letter."""

SEEN = 0.02
"""Pixels that differ by less, as a share of black to white, are not examined: about 5 of 255 levels of gray."""
NEAR = 0.05
"""Two pixels that differ by less have the same content."""
OFF_BACKGROUND = 0.06
ABSENT, PRESENT = 0.08, 0.5
"""An image has no content in a box if at most the first share of the changed pixels is off the background, and has
content if at least the second share is."""
EXPLAINED = 0.88
"""Minimum share of the changed pixels that a move explains exactly; the rest is within a pixel of it."""
LINE, OUTLINE = 3, 0.3
"""Maximum thickness of a line in pixels; less than this share of a box with an outline or with letters differs."""

TEXTURED = 0.02
"""Minimum share of a box with shapes in it that is off its background."""
MOST_ASKED = 4000
"""Number of evenly spread pixels that are examined for shapes in a box."""
STROKE, STROKE_DOWN, HEADING_STROKE = 7, 14, 12
"""Maximum mean extent of text ink across and down in pixels, and of heading ink across."""
LINE_HEIGHT, LETTER_WIDTH = 40, 60
"""A larger box is not a letter of a line of text."""
WORD = 160
"""Maximum width of connected letters in pixels."""
INSIDE, FRAMED = 0.15, 0.1
"""In text at least the second share of the differences is inside the box, at least the first share of its sides away
from the edge."""
SHIFTS = sorted(itertools.product((-1, -0.5, 0, 0.5, 1), repeat=2), key=lambda shift: abs(shift[0]) + abs(shift[1]))
"""Shifts across and down in pixels; the nearest comes first, because it is nearly always sufficient."""
RIM = 6
"""Radius in pixels of the local energy of a pixel."""
TINT, TINT_OF_FLAT, FLAT = 0.016, 0.0085, 1e-4
"""Maximum distance of the low-passed colours of a slightly different rendering; less where both images are flat. Flat
means that the energy is below the last number: no edge can have moved there."""
FEW_REGIONS = 16
"""With more regions, smoothing that differs everywhere may look like a small change in some of them."""

BLOCK = 8
"""Side in pixels of the squares that detect a redrawn image."""
INK, GROUND = 0.16, 0.02
"""Minimum distance of the colours within a square with drawn content, as a share of black to white; minimum distance
of differing colours."""
REDRAWN, GROUND_TOUCHED, LEAST_GROUND = 0.4, 0.05, 0.3
"""Redrawn means: at least the first share of the squares with drawn content differs (borders, rules and images are
unchanged) and at most the second share of the plain squares, which are at least the third share of all squares."""
MOST_COUNTED = 1 << 19
"""Number of pixels, in evenly spread rows of squares, that are examined to detect a redrawn image."""

_BESIDE = np.ones((3, 3), np.uint8)


class _Box(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int


@dataclass(eq=False)
class _Patch:
    """A region of both images with its surroundings.

    Attributes:
        expected, actual: Colours, including up to `MARGIN` pixels around the box.
        box: The region's box within the patch.
        step: Sampling step: only every ``step``-th pixel and row of the images is in the patch.
        changed: (height, width) of the box, which pixels differ.
    """

    expected: Colours
    actual: Colours
    box: _Box
    step: int
    changed: Mask

    @functools.cached_property
    def inside(self) -> tuple[Colours, Colours]:
        """The colours of the box, as separate arrays."""
        left, top, right, bottom = self.box
        one, two = (np.ascontiguousarray(side[top:bottom, left:right]) for side in (self.expected, self.actual))
        return one, two

    @functools.cached_property
    def apart(self) -> Numbers:
        """The distance between the colours of the box."""
        return apart_from(*self.inside)

    @functools.cached_property
    def size(self) -> int:
        """The number of pixels of the box that differ."""
        return int(np.count_nonzero(self.changed))

    def share(self, marked: Mask) -> float:
        """Return the share of the changed pixels that are marked."""
        return float(np.count_nonzero(marked & self.changed)) / self.size if self.size else math.nan

    def reversed(self) -> _Patch:
        return _Patch(self.actual, self.expected, self.box, self.step, self.changed)


def classify(expected: Image, actual: Image, mask: Mask, regions: Sequence[Region]) -> tuple[Region, ...]:
    """Return the regions, each with the kind of its difference.

    Regions that already have a kind keep it, and so do those beyond the `MOST_CLASSIFIED` largest. Transparent pixels
    are examined over black and over white. Exchanging the two images exchanges ``added`` and ``removed`` and reverses
    the direction of moves.

    Args:
        expected: The image as it was compared, with ignore areas painted.
        actual: The same for the actual image, of the same size and depth.
        mask: (height, width), where the two differ.
        regions: The regions of the mask, the largest first.
    """
    found = list(regions)
    removed: dict[int, _Patch] = {}
    added: dict[int, _Patch] = {}
    numbers = _numbers(regions)
    for number, patch in _patches(expected, actual, mask, regions, numbers):
        found[number] = _classified(found[number], patch, few=len(regions) <= FEW_REGIONS)
        if found[number].kind in ("removed", "added"):
            (removed if found[number].kind == "removed" else added)[number] = patch
    for number, other, shift in _pairs(removed, added, found):
        for each in (number, other):
            found[each] = replace(found[each], kind="moved", moved=shift)
    return tuple(found)


def could_all_have_moved(expected: Image, actual: Image, mask: Mask, regions: Sequence[Region]) -> bool:
    """Return whether `classify`, with the same arguments, may find that all regions moved.

    The smallest regions are examined first, up to the first that did not move.
    """
    numbers = _numbers(regions)
    if len(numbers) < len(regions):
        return all(region.kind == "moved" for region in regions)
    few = len(regions) <= FEW_REGIONS
    patches = _patches(expected, actual, mask, regions, numbers[::-1])
    looked_at = (_classified(regions[number], patch, few=few) for number, patch in patches)
    return all(region.kind in ("moved", "added", "removed") for region in looked_at)


def _numbers(regions: Sequence[Region]) -> list[int]:
    """Return the indices of the regions that need a kind."""
    return [number for number, region in enumerate(regions[:MOST_CLASSIFIED]) if region.kind == "changed"]


def _patches(
    expected: Image, actual: Image, mask: Mask, regions: Sequence[Region], numbers: Sequence[int]
) -> Iterator[tuple[int, _Patch]]:
    """Yield the regions with these indices, in order, as patches with a limited total number of pixels."""
    areas = [regions[number].box.width * regions[number].box.height for number in numbers]
    share = min(1.0, MOST_PIXELS_IN_ALL / max(1, sum(min(area, MOST_PIXELS) for area in areas)))
    for number in numbers:
        yield number, _patch(expected, actual, mask, regions[number], int(MOST_PIXELS * share))


def is_redrawn(expected: Image, actual: Image, regions: Sequence[Region]) -> bool:
    """Return whether nearly all drawn content differs, while the plain background between does not.

    This happens if another font renderer or other fonts drew the same page: every letter has other edges. If only a
    part changed, the rest is equal; another colour or a move shows in the kinds of the regions.

    Args:
        expected: The image as it was compared.
        actual: The same for the actual image, of the same size and depth.
        regions: Where they differ, with their kinds.
    """
    shapes = sum(region.area for region in regions if region.kind in ("text", "content", "rendering"))
    width, height = (side // BLOCK for side in expected.size)
    if 2 * shapes <= sum(region.area for region in regions) or not width * height:
        return False
    step = max(1, math.ceil(width * height * BLOCK**2 / MOST_COUNTED))
    full = full_value(expected.dtype)
    parts = [slice(top, top + BLOCK) for top in range(0, height * BLOCK, step * BLOCK)]
    drawn, differs = [], []
    for part in parts if step > 1 else [slice(0, height * BLOCK)]:
        one, two = (image.rows(part.start, part.stop)[:, : width * BLOCK] for image in (expected, actual))
        spread = [_of_blocks(side, np.max) / full - _of_blocks(side, np.min) / full for side in (one, two)]
        drawn.append(np.maximum(*spread).max(axis=2) > INK)
        differs.append(_of_blocks(cv2.absdiff(one, two), np.max).max(axis=2) / full > GROUND)
    ink, changed = np.concatenate(drawn), np.concatenate(differs)
    if not ink.any() or ink.mean() > 1 - LEAST_GROUND:
        return False
    return bool(changed[ink].mean() >= REDRAWN and changed[~ink].mean() <= GROUND_TOUCHED)


def _of_blocks(rows: NDArray[Any], best: Callable[..., NDArray[Any]]) -> NDArray[np.float32]:
    """Return (height / BLOCK, width / BLOCK, 4), the maximum or the minimum of each channel in each block."""
    height, width = rows.shape[:2]
    down = best(rows.reshape(height // BLOCK, BLOCK, 4 * width), axis=1)
    return best(down.reshape(height // BLOCK, width // BLOCK, BLOCK, 4), axis=2).astype(np.float32)


def _patch(expected: Image, actual: Image, mask: Mask, region: Region, most: int) -> _Patch:
    box = region.box
    step = max(1, math.ceil(math.sqrt(box.width * box.height / most)))
    width, height = expected.size
    # One grid, so that both images and the mask are sampled at the same places.
    left, top = (min(start // step, MARGIN) for start in (box.x, box.y))
    columns = slice(box.x - left * step, min(width, box.x + box.width + MARGIN * step), step)
    first, last = box.y - top * step, min(height, box.y + box.height + MARGIN * step)
    one, two = (colours_of(image.rows(first, last), columns) for image in (expected, actual))
    across, down = -(-box.width // step), -(-box.height // step)
    inside = _Box(left, top, left + across, top + down)
    marked = mask[box.y : box.y + box.height : step, box.x : box.x + box.width : step]
    patch = _Patch(one, two, inside, step, marked)
    patch.changed = marked | (patch.apart > SEEN)
    return patch


def _classified(region: Region, patch: _Patch, *, few: bool) -> Region:
    if _is_rendering(patch, few=few):
        return replace(region, kind="rendering")
    textured = all(_texture(side) > TEXTURED for side in patch.inside)
    drawn_over = _is_drawn_over(patch)
    if textured and not drawn_over and _is_recoloured(patch):
        return replace(region, kind="recoloured")
    backgrounds = []
    for background in _off_backgrounds(patch):
        kind = _on_one_side(patch, background)
        if kind is not None:
            return replace(region, kind=kind)
        backgrounds.append(background)
    if textured and drawn_over and _is_recoloured(patch):
        return replace(region, kind="recoloured")
    shift = _shift(patch, backgrounds[0].fill) if backgrounds else None
    if shift is not None:
        return replace(region, kind="moved", moved=shift)
    in_place = not textured and _is_recoloured(patch)
    return replace(region, kind="recoloured" if in_place else _in_place(patch, backgrounds))


def _is_drawn_over(patch: _Patch) -> bool:
    """Whether little of a box differs: an outline or a line around or over unchanged content, or letters."""
    return min(patch.changed.shape) <= LINE or float(patch.changed.mean()) < OUTLINE


def _on_one_side(patch: _Patch, background: _Background) -> Literal["text", "added", "removed"] | None:
    """Return the kind if one image has only the background; None if both have content."""
    if background.expected < ABSENT and background.actual > PRESENT:
        return "text" if _is_part_of_text(patch, patch.actual, background) else "added"
    if background.actual < ABSENT and background.expected > PRESENT:
        return "text" if _is_part_of_text(patch, patch.expected, background) else "removed"
    return None


def _in_place(patch: _Patch, backgrounds: Sequence[_Background]) -> Literal["recoloured", "text", "content"]:
    if backgrounds and (_is_text(patch, backgrounds[0]) or _is_letter(patch, backgrounds[0])):
        return "text"
    return "recoloured" if _is_shaded(patch) else "content"


class _Background(NamedTuple):
    """The background of a box without content, and the shares of the changed pixels that are off it."""

    fill: Colours
    expected: float
    actual: float


def _off_backgrounds(patch: _Patch) -> Iterator[_Background]:
    """Yield the backgrounds that both images may share: one colour, or the surroundings continued across or down."""
    typical = median(patch.apart[patch.changed])
    limit = min(OFF_BACKGROUND, max(SEEN, 0.35 * typical))
    for fill in (_surrounding_colour(patch), _continued(patch, across=True), _continued(patch, across=False)):
        if fill is not None:
            off = [patch.share(apart_from(side, fill) > limit) for side in patch.inside]
            yield _Background(fill, off[0], off[1])


def _surrounding_colour(patch: _Patch) -> Colours | None:
    """Return the most common colour around the box; None if it is different in the two images."""
    around = _Box(
        max(0, patch.box.left - RING), max(0, patch.box.top - RING), patch.box.right + RING, patch.box.bottom + RING
    )
    colours = []
    for side in (patch.expected, patch.actual):
        ring = np.concatenate(
            [
                side[around.top : patch.box.top, around.left : around.right].reshape(-1, 4),
                side[patch.box.bottom : around.bottom, around.left : around.right].reshape(-1, 4),
                side[patch.box.top : patch.box.bottom, around.left : patch.box.left].reshape(-1, 4),
                side[patch.box.top : patch.box.bottom, patch.box.right : around.right].reshape(-1, 4),
            ]
        )
        colours.append(commonest(ring if len(ring) else side.reshape(-1, 4)))
    if apart_from(*colours) > SEEN:
        return None
    return np.asarray((colours[0] + colours[1]) / 2, np.float32).reshape(1, 1, 4)


def _continued(patch: _Patch, *, across: bool) -> Colours | None:
    """Return the box filled between the pixels on either side of it, across or down; None if these differ."""
    left, top, right, bottom = patch.box
    edges = []
    for side in (patch.expected, patch.actual):
        rows = side if across else side.transpose(1, 0, 2)
        low, high = (top, bottom) if across else (left, right)
        before, after = (left, right) if across else (top, bottom)
        ends = [rows[low:high, place] for place in (before - 2, after + 1) if 0 <= place < rows.shape[1]]
        if not ends:
            return None
        edges.append(np.stack([ends[0], ends[-1]]))
    if float(apart_from(edges[0], edges[1]).mean()) > SEEN:
        return None
    first, last = (edges[0] + edges[1]) / 2
    length = right - left if across else bottom - top
    part = np.linspace(0, 1, length, dtype=np.float32)[np.newaxis, :, np.newaxis]
    fill = first[:, np.newaxis] * (1 - part) + last[:, np.newaxis] * part
    return np.asarray(fill if across else fill.transpose(1, 0, 2), np.float32)


def _texture(side: Colours) -> float:
    """Return the share of a box that is off its most common colour."""
    colours = side.reshape(-1, 4)
    colours = colours[:: 1 + len(colours) // MOST_ASKED]
    return float(np.count_nonzero(apart_from(colours, commonest(colours)) > OFF_BACKGROUND)) / len(colours)


def _is_recoloured(patch: _Patch) -> bool:
    """Whether a mapping of colours turns either image into the other."""
    one, two = (side.reshape(-1, 4) for side in patch.inside)
    changed = patch.changed.ravel()
    return all(maps(first, second, changed) for first, second in ((one, two), (two, one)))


def _is_shaded(patch: _Patch) -> bool:
    """Whether all pixels changed in brightness or hue by about the same amount, with unchanged edges."""
    one, two = patch.inside
    edges = [cv2.Laplacian(np.ascontiguousarray(side[..., 0]), cv2.CV_32F)[patch.changed] for side in (one, two)]
    if min(float(edge.std()) for edge in edges) < 1e-3:  # noqa: PLR2004 - flat
        return False
    apart = patch.apart[patch.changed]
    alike = float(np.corrcoef(edges[0], edges[1])[0, 1])
    return alike > 0.9 and float(apart.std()) < 0.5 * float(apart.mean())  # noqa: PLR2004 - fitted


def _is_part_of_text(patch: _Patch, side: Colours, background: _Background) -> bool:
    """Whether content on one side only has the ink of unchanged text next to it, on the same line."""
    left, top, right, bottom = patch.box
    if bottom - top > LINE_HEIGHT or right - left > LETTER_WIDTH or patch.step > 1 or background.fill.size > 4:  # noqa: PLR2004 - one colour
        return False
    colour = background.fill.reshape(4)
    rows = slice(max(0, top - 12), bottom + 4)
    around, other = side[rows], (patch.actual if side is patch.expected else patch.expected)[rows]
    unchanged = (apart_from(around, other) < SEEN) & (apart_from(around, colour) > 0.15)  # noqa: PLR2004 - ink
    new = side[top:bottom, left:right][patch.changed]
    if np.count_nonzero(unchanged) < 8 or _runs(unchanged).mean > HEADING_STROKE:  # noqa: PLR2004 - one letter has more
        return False
    beside: NDArray[np.float32] = (around[unchanged] + other[unchanged]) * np.float32(0.5)
    directions = [_ink(colours, colour) for colours in (new, beside)]
    lengths = [float(np.linalg.norm(direction)) for direction in directions]
    if min(lengths) <= 0:
        return False
    return float(directions[0] @ directions[1]) / (lengths[0] * lengths[1]) > 0.97  # noqa: PLR2004 - fitted


def _is_letter(patch: _Patch, background: _Background) -> bool:
    """Whether a small change is in a letter next to unchanged ones: the difference has their ink in both images."""
    sides = patch.expected, patch.actual
    if not all(_is_part_of_text(patch, side, background) for side in sides):
        return False
    return not any(_continues_outside(patch, side, background.fill) for side in sides)


def _ink(colours: NDArray[np.float32], background: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the direction from the background to the strongest of (n, 4) colours."""
    distances = apart_from(colours, background)
    strongest = colours[distances >= percentile(distances, 70)]
    direction: NDArray[np.float32] = np.median(strongest, axis=0) - background
    return direction


def _is_text(patch: _Patch, background: _Background) -> bool:
    """Whether both images have thin strokes on one background that are not a frame or a line of a drawing."""
    if patch.step > 2 or _is_frame(patch.changed):  # noqa: PLR2004 - strokes are lost
        return False
    if not all(_has_strokes(side, background.fill) for side in patch.inside):
        return False
    return not any(_continues_outside(patch, side, background.fill) for side in (patch.expected, patch.actual))


def _is_frame(changed: Mask) -> bool:
    """Whether a box that is larger than a line of text differs only at its edge."""
    height, width = changed.shape
    if min(height, width) <= LINE_HEIGHT:
        return False
    down, across = int(height * INSIDE), int(width * INSIDE)
    inside = np.count_nonzero(changed[down : height - down, across : width - across])
    return bool(inside < FRAMED * np.count_nonzero(changed))


def _continues_outside(patch: _Patch, side: Colours, fill: Colours) -> bool:
    """Whether changed ink continues beyond the box on opposite sides or is longer than a word, as the line of a chart.

    Straight lines, across or down, do not count: text is underlined, and occurs in tables.
    """
    if fill.size > 4:  # noqa: PLR2004 - not one colour
        return False
    strength = apart_from(side, fill)
    ink = strength > percentile(strength, 99.5) / 2
    ink[ink.all(axis=1)] = False
    ink[:, ink.all(axis=0)] = False
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(ink.view(np.uint8), connectivity=8)
    left, top, right, bottom = patch.box
    changed = np.zeros(count, np.bool_)
    changed[labels[top:bottom, left:right][patch.changed]] = True
    changed[0] = False
    ends = np.zeros((4, count), np.bool_)
    for at, end in enumerate((labels[:, 0], labels[:, -1], labels[0], labels[-1])):
        ends[at, end] = True
    beyond = left > 0 and right < ink.shape[1], top > 0 and bottom < ink.shape[0]
    through = (ends[0] & ends[1] & beyond[0]) | (ends[2] & ends[3] & beyond[1])
    is_long = statistics[:, cv2.CC_STAT_WIDTH] * patch.step > WORD
    return bool((changed & (through | is_long)).any())


def _has_strokes(side: Colours, fill: Colours) -> bool:
    strength = apart_from(side, fill)
    strongest = percentile(strength, 99.5)
    if strongest < 0.08:  # noqa: PLR2004 - fainter than any ink
        return False
    ink = strength > strongest / 2
    across, down = _runs(ink), _runs(ink.T)
    cover = float(ink.mean())
    several = bool(across.number >= 1.5 * np.count_nonzero(ink.any(axis=1)) or len(ink) <= 20)  # noqa: PLR2004 - in one line
    return across.mean <= STROKE and down.mean <= STROKE_DOWN and 0.03 < cover < 0.6 and several  # noqa: PLR2004 - fitted


class _Runs(NamedTuple):
    number: int
    mean: float


def _runs(ink: Mask) -> _Runs:
    """Return how many runs of ink the rows have, and their mean length."""
    starts = np.count_nonzero(ink[:, 1:] & ~ink[:, :-1]) + np.count_nonzero(ink[:, 0])
    return _Runs(starts, np.count_nonzero(ink) / max(1, starts))


def _shift(patch: _Patch, fill: Colours) -> tuple[int, int] | None:
    """Return how far the content on the background moved to the right and down; None if it did not only move."""
    sums = [side.sum(axis=(0, 1)) for side in (side - fill for side in patch.inside)]
    largest = max(float(np.abs(total).sum()) for total in sums)
    if float(np.abs(sums[0] - sums[1]).sum()) > 0.1 * largest:
        return None
    back = patch.reversed()
    candidates = set(_candidates(patch, fill))
    candidates |= {(-across, -down) for across, down in _candidates(back, fill)}
    candidates.discard((0, 0))
    scores = {}
    for across, down in candidates:
        score = min(_explained(patch, fill, across, down), _explained(back, fill, -across, -down))
        if score >= EXPLAINED:
            scores[across, down] = score
    if not scores:
        return None
    best = max(scores.values())
    nearest = min(abs(across) + abs(down) for (across, down), score in scores.items() if score == best)
    found = [shift for shift, score in scores.items() if score == best and sum(map(abs, shift)) == nearest]
    if len(found) > 1:  # the direction is ambiguous
        return None
    return found[0][0] * patch.step, found[0][1] * patch.step


def _candidates(patch: _Patch, fill: Colours) -> Iterator[tuple[int, int]]:
    """Yield the shifts at which the object on the background of one image matches the other image best."""
    one, two = patch.inside
    present = apart_from(one, fill) > NEAR
    x, y, width, height = cv2.boundingRect(present.view(np.uint8))
    if np.count_nonzero(present) < 8:  # noqa: PLR2004 - too little to be found again
        return
    middle_x, middle_y = x + width // 2, y + height // 2
    half_width, half_height = max(4, width // 4), max(4, height // 4)
    parts = [
        (x, y, x + width, y + height),
        (
            max(0, middle_x - half_width),
            max(0, middle_y - half_height),
            min(one.shape[1], middle_x + half_width),
            min(one.shape[0], middle_y + half_height),
        ),
    ]
    for left, top, right, bottom in parts:
        part = one[top:bottom, left:right]
        if part.shape[0] < two.shape[0] or part.shape[1] < two.shape[1]:
            unlike = cv2.matchTemplate(np.ascontiguousarray(two), np.ascontiguousarray(part), cv2.TM_SQDIFF)
            _, _, place, _ = cv2.minMaxLoc(unlike)
            yield place[0] - left, place[1] - top


def _explained(patch: _Patch, fill: Colours, across: int, down: int) -> float:
    """Return the share of the changed pixels that one image has if the other's object is painted elsewhere.

    Return 0 if some of the other pixels differ from all their neighbours: then something else has changed as well.
    """
    one, two = patch.inside
    height, width = one.shape[:2]
    if abs(across) >= width or abs(down) >= height:
        return 0.0
    if CORE is not None:
        changed = np.ascontiguousarray(patch.changed)
        found = CORE.moved(one, two, np.ascontiguousarray(fill), changed, width, height, across, down, SEEN, NEAR)
        if found[1] == 0 or 1 - found[0] / found[1] < EXPLAINED:
            return 0.0
    painted = np.broadcast_to(fill, one.shape).copy()
    target = np.s_[max(0, down) : height + min(0, down), max(0, across) : width + min(0, across)]
    source = np.s_[max(0, -down) : height + min(0, -down), max(0, -across) : width + min(0, -across)]
    present = apart_from(one[source], fill if fill.size == 4 else fill[source]) > SEEN  # noqa: PLR2004 - one colour
    painted[target][present] = one[source][present]
    unlike = apart_from(painted, two) > NEAR
    differing = int(np.count_nonzero(unlike)), int(np.count_nonzero(patch.changed | unlike))
    share = 1 - differing[0] / max(1, differing[1])
    if share < EXPLAINED or not differing[1]:
        return 0.0
    if not differing[0]:
        return share
    beyond = np.maximum(two - cv2.dilate(painted, _BESIDE), cv2.erode(painted, _BESIDE) - two).max(axis=2)
    return share if float(beyond.max()) < 2 * NEAR else 0.0


def _pairs(
    removed: dict[int, _Patch], added: dict[int, _Patch], regions: Sequence[Region]
) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Yield content that was removed at one place and added at another: the indices of both regions, and the shift."""
    found = []
    for number, patch in removed.items():
        for other, at in added.items():
            sizes = [(regions[each].box.width, regions[each].box.height) for each in (number, other)]
            if sizes[0] != sizes[1] or patch.step != at.step:
                continue
            before, after = patch.inside[0], at.inside[1]
            flat = float(before.reshape(-1, 4).std(axis=0).max()) < SEEN  # a plain rectangle is ambiguous
            if before.shape == after.shape and not flat and float((apart_from(before, after) < NEAR).mean()) > 0.98:  # noqa: PLR2004 - all
                one, two = regions[number].box, regions[other].box
                shift = two.x - one.x, two.y - one.y
                found.append((abs(shift[0]) + abs(shift[1]), min(number, other), max(number, other), shift))
    used: set[int] = set()
    for _, one_number, other_number, shift in sorted(found):
        if not used & {one_number, other_number}:
            used |= {one_number, other_number}
            yield one_number, other_number, shift


def _is_rendering(patch: _Patch, *, few: bool) -> bool:
    """Whether the images differ only as much as smoothing, hinting, half pixels or encoding explain.

    This depends on the local energy that no shift of at most one pixel explains, and on the low-passed colour. A region
    that is too large to examine every pixel is never only rendering.
    """
    if patch.step > 1:
        return False
    left, top, right, bottom = patch.box
    rim = np.s_[max(0, top - RIM) : bottom + RIM, max(0, left - RIM) : right + RIM]
    own = np.s_[min(top, RIM) : min(top, RIM) + bottom - top, min(left, RIM) : min(left, RIM) + right - left]
    lumas = [np.ascontiguousarray(side[rim][..., 0]) for side in (patch.expected, patch.actual)]
    if any(patch.share(_beyond(*each)[own] > 0.3) > 0.1 for each in (lumas, lumas[::-1])):  # noqa: PLR2004 - fitted
        return False  # most regions end here
    one, two = _softened(patch.expected[rim]), _softened(patch.actual[rim])
    if any(patch.share(_beyond(*each)[own] > 0.3) > 0.1 for each in ((one, two), (two, one))):  # noqa: PLR2004 - fitted
        return False
    tint = _tint(patch.expected, patch.actual)
    if float(tint[top:bottom, left:right].max()) > TINT:
        return False
    flat = np.maximum(*(_variance(side) for side in (patch.expected, patch.actual))) < FLAT
    if (flat & (tint > TINT_OF_FLAT))[top:bottom, left:right].any():
        return False
    apart, seen = patch.apart, patch.apart > SEEN
    alone = few and int(np.count_nonzero(seen)) <= 256  # noqa: PLR2004 - fitted
    return any(not _is_visible(evidence[own], apart, seen, alone=alone) for evidence in _energies_unexplained(one, two))


def _is_visible(evidence: Numbers, apart: Numbers, seen: Mask, *, alone: bool) -> bool:
    """Whether several pixels are unexplained, or a few strong ones; in a small change that is alone, a single one."""
    over = seen & (evidence > 0.4)  # noqa: PLR2004 - fitted
    if np.count_nonzero(over & (apart > 0.045)) >= 3 or np.count_nonzero(over) >= 100:  # noqa: PLR2004 - fitted
        return True
    if (seen & (evidence > 0.6) & (apart > 0.3)).any():  # noqa: PLR2004 - fitted
        return True
    return alone and bool((seen & (evidence > 0.13) & (apart > 0.1)).any())  # noqa: PLR2004 - as `visible`


def _softened(colours: Colours) -> Colours:
    """Return colours with their chroma blurred along the rows: the fringes of sub-pixel smoothing cancel out."""
    soft: Colours = colours.copy()
    soft[..., 1:3] = cv2.GaussianBlur(colours[..., 1:3], (7, 1), 1)
    return soft


def _beyond(one: NDArray[np.float32], two: NDArray[np.float32]) -> Numbers:
    """Return how far the second image is outside the first one's range within a pixel, as the maximum of all planes."""
    outside = np.maximum(two - cv2.dilate(one, _BESIDE), cv2.erode(one, _BESIDE) - two)
    return np.asarray(functools.reduce(np.maximum, cv2.split(outside)), np.float32)


def _tint(one: Colours, two: Colours) -> Numbers:
    """Return by how much the low-passed colours differ, where the differences have one direction."""
    difference = one - two
    low = cv2.GaussianBlur(difference, (0, 0), 5)
    strength = np.sqrt(np.square(low).sum(axis=2))
    whole = cv2.GaussianBlur(apart_from(one, two), (0, 0), 5)
    return np.asarray(np.where(strength > 0.7 * (whole + 1e-6), strength, 0), np.float32)


def _energies_unexplained(one: Colours, two: Colours) -> Iterator[Numbers]:
    """Yield, for each pixel, the share of the local energy that no shift of either image so far explains."""
    spread = [_variance(side) for side in (one, two)]
    least = np.full(one.shape[:2], np.inf, np.float32)
    for across, down in SHIFTS:
        for number, (side, other) in enumerate(((one, two), (two, one))):
            at = np.array([[1, 0, across], [0, 1, down]], np.float32)
            moved = np.asarray(cv2.warpAffine(side, at, side.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), np.float32)
            difference = moved - other
            energy = cv2.GaussianBlur(np.einsum("ijc,ijc->ij", difference, difference), (0, 0), 1.5)
            least = np.minimum(least, energy / (_variance(moved) + spread[1 - number] + SEEN**2))
        yield least


def _variance(colours: Colours) -> Numbers:
    mean = cv2.GaussianBlur(colours, (0, 0), 1.5)
    square = cv2.GaussianBlur(np.square(colours), (0, 0), 1.5)
    return np.asarray(np.maximum(square - np.square(mean), 0).sum(axis=2), np.float32)
