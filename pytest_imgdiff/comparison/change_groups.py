"""What a difference looks like wherever it is, as numbers and as one line of text, and when two of them look alike."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import chain, starmap
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import cv2
import numpy as np

from pytest_imgdiff.base.derived import LUMA, are_opaque, full_value

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
    levels of -255..255; 0 away from the mask."""

FORM = "2"
"""Begins every text; appearances that were measured in another way are never compared."""
GRIDS = (16, 8, 8, 8)
"""Cells across and down in luma, blue chroma, red chroma and opacity."""
ROUNDING = 1e-6
BETWEEN_FRAMES = "|"
"""Between the appearances of several frames."""
MOST = 7
"""A cell holds -7..7."""

_ZERO = ord("h")  # of the letters a to o
_PATCH = re.compile(
    r"(?P<width>\d{1,9})x(?P<height>\d{1,9})(?P<kind>[cea])(?P<ink>\d{1,12})"
    r"/(?P<levels>-?\d{1,4}(?:,-?\d{1,4}){4})/"
    + r"\.".join(rf"(?P<plane{number}>[a-o]{{{size * size}}}|)" for number, size in enumerate(GRIDS)),
    re.ASCII,
)
_REST = re.compile(r"\+(?P<count>\d{1,9})/(?P<area>\d{1,12})", re.ASCII)


_T = TypeVar("_T", "Patch", "Appearance")


class Tolerance(NamedTuple):
    """How far two numbers may be apart: ``least``, and a share of the mean of their magnitudes.

    What holds for each pair of numbers holds for their sums, with ``least`` taken as often as there are pairs.
    """

    least: float
    share: float

    def holds(self, one: float, other: float) -> bool:
        """Whether the two numbers are near."""
        return abs(one - other) <= self.least + self.share * (abs(one) + abs(other)) / 2


LENGTH = Tolerance(2, 0.05)  # pixels: anti-aliasing moves an edge by one
INK = Tolerance(2, 0.15)
REST = Tolerance(4, 0.15)  # pixels
LEVEL = Tolerance(6, 0.1)  # levels of 255
LINE = Tolerance(0.2, 0.33)
"""Of a row or column of cells, of what its cells differ by on average: beyond the least, one other letter in a short
line of text is 0.35 of the magnitude and more, noise or a few percent of size 0.1 to 0.3."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One region of a difference, without its place.

    Attributes:
        width, height: of its box, in pixels.
        kind: ``c`` (changed), ``e`` (only expected) or ``a`` (only actual).
        ink: how much differs, as so many pixels that differ by 255 levels; blurred edges hardly change it.
        levels: the signed difference (actual less expected) in luma, blue and red chroma and opacity, and the sum of
            their magnitudes, in levels of 255: means weighted by that sum.
        planes: where it differs and in which direction, on the `GRIDS`, row by row, as bytes: 0 for -7, 14 for 7.
        magnitude: what a cell of the strongest plane holds on average, without its sign.
    """

    width: int
    height: int
    kind: str
    ink: int
    levels: tuple[int, ...]
    planes: tuple[bytes, ...]
    magnitude: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "magnitude", max(map(mean_magnitude, self.planes)))

    def __str__(self) -> str:
        levels = ",".join(map(str, self.levels))
        planes = ".".join(_letters(plane) for plane in self.planes)
        return f"{self.width}x{self.height}{self.kind}{self.ink}/{levels}/{planes}"

    def is_like(self, other: Patch) -> bool:
        """Whether both could be the same change, drawn at another place."""
        return (
            self.kind == other.kind
            and LENGTH.holds(self.width, other.width)
            and LENGTH.holds(self.height, other.height)
            and INK.holds(self.ink, other.ink)
            and all(starmap(LEVEL.holds, zip(self.levels, other.levels, strict=True)))
            and self._is_drawn_like(other)
        )

    def _is_drawn_like(self, other: Patch) -> bool:
        magnitudes = self.magnitude, other.magnitude
        drawn = zip(GRIDS, self.planes, other.planes, strict=True)
        return all(one == two or _is_plane_like(one, two, size, magnitudes) for size, one, two in drawn)


_VALUES = bytes(range(2 * MOST + 1))
_LETTERS = bytes(range(_ZERO - MOST, _ZERO + MOST + 1))
_TO_LETTERS, _TO_VALUES = bytes.maketrans(_VALUES, _LETTERS), bytes.maketrans(_LETTERS, _VALUES)
_TO_MAGNITUDES = bytes.maketrans(_VALUES, bytes(abs(value - MOST) for value in _VALUES))


def mean_magnitude(cells: bytes) -> float:
    """Return what these cells hold on average, without their signs."""
    return sum(cells.translate(_TO_MAGNITUDES)) / len(cells)


def _letters(plane: bytes) -> str:
    """Return a plane as letters: ``h`` is 0; nothing at all where every cell is 0."""
    return plane.translate(_TO_LETTERS).decode() if plane.strip(bytes([MOST])) else ""


def _plane(letters: str, size: int) -> bytes:
    return letters.encode().translate(_TO_VALUES) if letters else bytes([MOST]) * (size * size)


def _is_plane_like(one: bytes, other: bytes, size: int, magnitudes: tuple[float, float]) -> bool:
    """Whether each row and each column is near; it is measured by its own magnitude, or the patch's if larger."""
    for mine, theirs in zip(_lines(one, size), _lines(other, size), strict=True):
        apart = sum(abs(a - b) for a, b in zip(mine, theirs, strict=True)) / size
        strengths = max(magnitudes[0], mean_magnitude(mine)) + max(magnitudes[1], mean_magnitude(theirs))
        if apart > LINE.least + LINE.share * strengths / 2:
            return False
    return True


def _lines(plane: bytes, size: int) -> chain[bytes]:
    """Return the columns and then the rows of a plane."""
    rows = (plane[start : start + size] for start in range(0, size * size, size))
    return chain((plane[start::size] for start in range(size)), rows)


@dataclass(frozen=True, slots=True)
class Appearance:
    """A whole difference: its largest regions, and how much there is beside them.

    Attributes:
        patches: at least one, the largest first.
        rest_count: how many more regions there are.
        rest_area: how many pixels of the mask are outside of the patches.
    """

    patches: tuple[Patch, ...]
    rest_count: int
    rest_area: int
    sums: tuple[int, int, int] = field(init=False)
    """Of the patches' widths, heights and ink."""

    def __post_init__(self) -> None:
        columns = zip(*((patch.width, patch.height, patch.ink) for patch in self.patches), strict=True)
        object.__setattr__(self, "sums", tuple(map(sum, columns)))

    def __str__(self) -> str:
        return ";".join([FORM, *map(str, self.patches), f"+{self.rest_count}/{self.rest_area}"])

    def is_like(self, other: Appearance) -> bool:
        """Whether both could be the same change: every region of one has its like in the other, and nothing is over.

        Like any tolerance it is not transitive; it is symmetric.
        """
        return (
            len(self.patches) == len(other.patches)
            and self.rest_count == other.rest_count
            and REST.holds(self.rest_area, other.rest_area)
            and self._has_sums_like(other)
            and _can_be_paired(self.patches, other.patches)
        )

    def _has_sums_like(self, other: Appearance) -> bool:
        """Whether the sums are as near as they must be if the patches can be paired: most that cannot be end here."""
        pairs = len(self.patches)
        for tolerance, one, two in zip((LENGTH, LENGTH, INK), self.sums, other.sums, strict=True):
            if abs(one - two) > tolerance.least * pairs + tolerance.share * (one + two) / 2 + ROUNDING:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Changes:
    """The differences of all frames or pages of a pair, each as often as once; of one frame, its own.

    Attributes:
        parts: at least one; no two of them are alike.
    """

    parts: tuple[Appearance, ...]

    def __str__(self) -> str:
        return BETWEEN_FRAMES.join(map(str, self.parts))

    @property
    def patches(self) -> tuple[Patch, ...]:
        """Those of all parts."""
        return tuple(patch for part in self.parts for patch in part.patches)

    @property
    def shape(self) -> tuple[tuple[int, int], ...]:
        """How many patches each part has, and how many more regions: what is alike has one shape."""
        return tuple(sorted((len(part.patches), part.rest_count) for part in self.parts))

    def is_like(self, other: Changes) -> bool:
        """Whether both could be the same changes: each of one has its like in the other, and nothing is over."""
        return self.shape == other.shape and _can_be_paired(self.parts, other.parts)


def changes_of(text: str) -> Changes | None:
    """Return the changes that `str` made this text of; None for any other text."""
    parts = [appearance_of(part) for part in text.split(BETWEEN_FRAMES)]
    known = tuple(part for part in parts if part is not None)
    return Changes(known) if len(known) == len(parts) else None


def appearance_of(text: str) -> Appearance | None:
    """Return the appearance that `str` made this text of; None for any other text."""
    form, *patches, rest = text.split(";") if ";" in text else ("", "")
    found = [_PATCH.fullmatch(patch) for patch in patches]
    beside = _REST.fullmatch(rest)
    if form != FORM or beside is None or not found:
        return None
    known = tuple(_parsed_patch(match) for match in found if match is not None)
    if len(known) < len(found):
        return None
    return Appearance(known, int(beside["count"]), int(beside["area"]))


def _parsed_patch(match: re.Match[str]) -> Patch:
    return Patch(
        width=int(match["width"]),
        height=int(match["height"]),
        kind=match["kind"],
        ink=int(match["ink"]),
        levels=tuple(map(int, match["levels"].split(","))),
        planes=tuple(_plane(match[f"plane{number}"], size) for number, size in enumerate(GRIDS)),
    )


def _can_be_paired(one: tuple[_T, ...], other: tuple[_T, ...]) -> bool:
    """Whether each item of the one can have a like one of the other for its own (H. W. Kuhn, 1955)."""
    likes = []
    for mine in one:
        found = [place for place, theirs in enumerate(other) if mine.is_like(theirs)]
        if not found:  # nearly always, and soon
            return False
        likes.append(found)
    owner: dict[int, int] = {}

    def finds_its_own(mine: int, asked: set[int]) -> bool:
        for place in likes[mine]:
            if place not in asked:
                asked.add(place)
                if place not in owner or finds_its_own(owner[place], asked):
                    owner[place] = mine
                    return True
        return False

    return all(finds_its_own(mine, set()) for mine in range(len(one)))


# ---- The fingerprint of a comparison


_KINDS = {"only expected": "e", "only actual": "a", "deleted": "e", "inserted": "a"}
"""The kinds that have a letter of their own; that of all others is c."""
MOST_PATCHES = 6
"""How many regions, the largest ones, are looked at; of the others the fingerprint has number and area."""
MOST_CHANGES = 50
"""So many different changes of one pair's frames are told apart; each takes half a kilobyte and more."""
MOST_PIXELS = 1 << 14
"""Of a larger region only every second, third, ... pixel of every such row is looked at."""
NEAR = np.ones((5, 5), np.uint8)
"""Pixels so near to the mask belong to the change: whether a metric counts an edge's anti-aliased pixels hangs on
their neighbours."""
FAINT = 0.125
"""A pixel that differs by less than this share of the region's largest difference tells nothing of its shape."""
MARGIN = 0.02
"""Each side of the grid stands where this share of the difference is beyond it: a pixel more or less at the edge does
not move it."""
TYPICAL = 3
"""What a cell of typical difference (the root of the mean square) holds; those above 7 hold 7."""

_BLUE, _RED = 0.564, 0.713  # ITU-R BT.601: what blue and red less luma are multiplied with
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
"""From the planes to what they hold together."""
_STEPS = np.linspace(0, 1, GRIDS[0] + 1)
"""The edges of the cells, of whatever length."""


def fingerprint(
    expected: Image,
    actual: Image,
    mask: Mask,
    regions: Sequence[Region],
    expected_as_read: Image | None = None,
) -> str:
    """Return a line of text that tells what the difference looks like, wherever it is.

    It is made of the pixels of the mask, region by region, so that it is the same on whatever page the change appears,
    and at whatever place. `change_groups.Appearance.is_like` tells whether two of them could be the same
    change; it bears anti-aliasing and a few percent of size. All of the mask counts: what the described regions leave
    over stands in it as number and area, so that a page with one change more is not taken for the others.

    Args:
        expected: as it was compared.
        actual: likewise, of the same size and depth.
        mask: (height, width), where the two differ.
        regions: of the mask, at least one, the largest first.
        expected_as_read: where the expected picture was laid out as the actual one: what it was before, which has the
            deleted regions.
    """
    described = regions[:MOST_PATCHES]
    patches = tuple(_patch_of(region, expected, actual, mask, expected_as_read or expected) for region in described)
    masked = [region.area for region in described if region.kind != "deleted"]
    beside = cv2.countNonZero(mask.view(np.uint8)) - sum(masked)
    return str(Appearance(patches, len(regions) - len(described), max(0, beside)))


def of_all_frames(marks: Iterable[str | None]) -> str | None:
    """Return the fingerprint of a pair of several frames or pages.

    What looks alike on several frames counts once: the same change on each page of two documents of different length is
    one change.

    Args:
        marks: the fingerprint of each frame that fails; None where a frame has none.

    Returns:
        What `change_groups.changes_of` reads; None where a frame has no fingerprint or the frames show
        more than `MOST_CHANGES` changes: then nothing can be told of the whole.
    """
    distinct: list[Appearance] = []
    for mark in marks:
        appearance = None if mark is None else appearance_of(mark)
        if appearance is None:
            return None
        if not any(known.is_like(appearance) for known in distinct):
            distinct.append(appearance)
    return str(Changes(tuple(distinct))) if 0 < len(distinct) <= MOST_CHANGES else None


def _patch_of(region: Region, expected: Image, actual: Image, mask: Mask, expected_as_read: Image) -> Patch:
    box = region.box
    step = math.ceil(math.sqrt(box.width * box.height / MOST_PIXELS))
    top, bottom, columns = box.y, box.y + box.height, slice(box.x, box.x + box.width, step)
    if region.kind in ("inserted", "deleted"):  # what stands at its place on the other side is another part of the page
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
    """Return RGBA in levels of 0..255, the colour laid on white."""
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

    They stand evenly between where the difference begins and where it ends, but for the first and the last, which are
    those of the box, so that nothing is left out.
    """
    places = np.arange(strength.size + 1, dtype=np.float64)
    total = np.zeros_like(places)
    np.cumsum(strength, out=total[1:])
    if total[-1] <= 0:  # the metric sees a difference that these planes do not
        total = places
    first, last = np.interp([MARGIN * total[-1], (1 - MARGIN) * total[-1]], total, places)
    edges: Positions = first + (last - first) * _STEPS
    edges[0], edges[-1] = 0, strength.size
    return edges


def _sums_before(down: Positions, across: Positions, integral: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (len(down), len(across), 4): what lies above and to the left of each point, between pixels in proportion.

    Args:
        down: edges between rows, in pixels.
        across: edges between columns, in pixels.
        integral: (height + 1, width + 1, 4), the sums above and to the left of every pixel's beginning.
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
