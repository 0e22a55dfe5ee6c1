"""Appearance of a difference, as numbers and as one line of text, and the similarity of two appearances."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import chain, starmap
from typing import NamedTuple, TypeVar

FORM = "2"
"""Start of every string; appearances that were measured in another way are never compared."""
GRIDS = (16, 8, 8, 8)
"""Cells across and down in luma, blue chroma, red chroma and opacity."""
ROUNDING = 1e-6
BETWEEN_FRAMES = "|"
"""Separator between the appearances of several frames."""
MOST = 7
"""A cell is in -7..7."""

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
    """Maximum distance of two numbers: ``least``, and a share of the mean of their magnitudes.

    If it is met for each pair of numbers, it is met for their sums, with ``least`` multiplied by the number of pairs.
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
"""Of the mean difference of the cells in a row or column: beyond the least, another letter in a short line of text is
0.35 of the magnitude and more, noise or a few percent of size 0.1 to 0.3."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One region of a difference, without its position.

    Attributes:
        width, height: Size of its box in pixels.
        kind: ``c`` (changed), ``e`` (only expected) or ``a`` (only actual).
        ink: The amount of difference, as a number of pixels that differ by 255 levels; blurred edges hardly change it.
        levels: The signed difference (actual less expected) in luma, blue and red chroma and opacity, and the sum of
            their magnitudes, in levels of 255: means weighted by that sum.
        planes: Where it differs and in which direction, on the `GRIDS`, row by row, as bytes: 0 for -7, 14 for 7.
        magnitude: Mean magnitude of a cell of the strongest plane.
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

    def is_similar(self, other: Patch) -> bool:
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
    """Return the mean magnitude of these cells."""
    return sum(cells.translate(_TO_MAGNITUDES)) / len(cells)


def _letters(plane: bytes) -> str:
    """Return a plane as letters: ``h`` is 0; an empty string if every cell is 0."""
    return plane.translate(_TO_LETTERS).decode() if plane.strip(bytes([MOST])) else ""


def _plane(letters: str, size: int) -> bytes:
    return letters.encode().translate(_TO_VALUES) if letters else bytes([MOST]) * (size * size)


def _is_plane_like(one: bytes, other: bytes, size: int, magnitudes: tuple[float, float]) -> bool:
    """Whether each row and column is near, relative to its own magnitude, or the patch's if that is larger."""
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
    """A whole difference: its largest regions, and the amount of the rest.

    Attributes:
        patches: At least one, the largest first.
        rest_count: Number of other regions.
        rest_area: Number of pixels of the mask outside the patches.
    """

    patches: tuple[Patch, ...]
    rest_count: int
    rest_area: int
    sums: tuple[int, int, int] = field(init=False)
    """Sums of the patches' widths, heights and ink."""

    def __post_init__(self) -> None:
        columns = zip(*((patch.width, patch.height, patch.ink) for patch in self.patches), strict=True)
        object.__setattr__(self, "sums", tuple(map(sum, columns)))

    def __str__(self) -> str:
        return ";".join([FORM, *map(str, self.patches), f"+{self.rest_count}/{self.rest_area}"])

    def is_similar(self, other: Appearance) -> bool:
        """Whether both could be the same change: the regions of one are similar to those of the other, one to one.

        As with any tolerance, the relation is symmetric but not transitive.
        """
        return (
            len(self.patches) == len(other.patches)
            and self.rest_count == other.rest_count
            and REST.holds(self.rest_area, other.rest_area)
            and self._has_sums_like(other)
            and _can_be_paired(self.patches, other.patches)
        )

    def _has_sums_like(self, other: Appearance) -> bool:
        """Whether the sums are near enough for the patches to be paired; this excludes most others."""
        pairs = len(self.patches)
        for tolerance, one, two in zip((LENGTH, LENGTH, INK), self.sums, other.sums, strict=True):
            if abs(one - two) > tolerance.least * pairs + tolerance.share * (one + two) / 2 + ROUNDING:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Changes:
    """The different changes of all frames or pages of a pair, each only once.

    Attributes:
        parts: At least one; no two of them are similar.
    """

    parts: tuple[Appearance, ...]

    def __str__(self) -> str:
        return BETWEEN_FRAMES.join(map(str, self.parts))

    @property
    def patches(self) -> tuple[Patch, ...]:
        """The patches of all parts."""
        return tuple(patch for part in self.parts for patch in part.patches)

    @property
    def shape(self) -> tuple[tuple[int, int], ...]:
        """Number of patches and of other regions of each part: similar changes have the same shape."""
        return tuple(sorted((len(part.patches), part.rest_count) for part in self.parts))

    def is_similar(self, other: Changes) -> bool:
        """Whether both could be the same changes: each of one has a similar one in the other, and none is left."""
        return self.shape == other.shape and _can_be_paired(self.parts, other.parts)


def changes_of(text: str) -> Changes | None:
    """Return the changes that `str` made this string of; None for any other string."""
    parts = [appearance_of(part) for part in text.split(BETWEEN_FRAMES)]
    known = tuple(part for part in parts if part is not None)
    return Changes(known) if len(known) == len(parts) else None


def appearance_of(text: str) -> Appearance | None:
    """Return the appearance that `str` made this string of; None for any other string."""
    form, *patches, rest = text.split(";") if ";" in text else ("", "")
    found = [_PATCH.fullmatch(patch) for patch in patches]
    beside = _REST.fullmatch(rest)
    if form != FORM or beside is None or not found:
        return None
    known = tuple(_patch(match) for match in found if match is not None)
    if len(known) < len(found):
        return None
    return Appearance(known, int(beside["count"]), int(beside["area"]))


def _patch(match: re.Match[str]) -> Patch:
    return Patch(
        width=int(match["width"]),
        height=int(match["height"]),
        kind=match["kind"],
        ink=int(match["ink"]),
        levels=tuple(map(int, match["levels"].split(","))),
        planes=tuple(_plane(match[f"plane{number}"], size) for number, size in enumerate(GRIDS)),
    )


def _can_be_paired(one: tuple[_T, ...], other: tuple[_T, ...]) -> bool:
    """Whether each item of one can be paired with a similar item of the other (H. W. Kuhn, 1955)."""
    likes = []
    for mine in one:
        found = [place for place, theirs in enumerate(other) if mine.is_similar(theirs)]
        if not found:  # nearly always, and early
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
