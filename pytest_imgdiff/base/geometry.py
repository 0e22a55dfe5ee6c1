"""Rectangles, and the alignment of two images: what was inserted, deleted and moved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Pixels

    Mask = NDArray[np.bool_]
    """(height, width), true where the mask applies."""
    Words = NDArray[np.uint32]
    """(height, width): RGBA of 8 bits a channel, one word a pixel."""

Axis = Literal["rows", "columns"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in whole pixels, origin at the top left of the image."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Band:
    """Rows or columns that only one image has.

    Attributes:
        kind: ``inserted``: only the actual image has them; ``deleted``: only the expected one.
        axis: whether they are rows or columns.
        expected: where they are in the expected image; for inserted ones the place between two lines, without extent
            along the axis.
        actual: the same in the actual image.
        plain: it is space: it has one colour and a line beside it has the same colour; or all its lines equal a line
            beside it, and there are at most 3 of them or they made room for other content.
        moved: all of its content is reported as a `Move`: it is elsewhere in the other image.
    """

    kind: Literal["inserted", "deleted"]
    axis: Axis
    expected: Box
    actual: Box
    plain: bool
    moved: bool = False

    @property
    def box(self) -> Box:
        """The box of the band in the image that has it."""
        return self.actual if self.kind == "inserted" else self.expected

    @property
    def lines(self) -> int:
        """The number of rows or columns."""
        return self.box.height if self.axis == "rows" else self.box.width


@dataclass(frozen=True, slots=True)
class Move:
    """A block at another place, or one that stays while everything around it moves, such as a fixed sidebar.

    Attributes:
        box: in the expected image.
        dx, dy: how far it is moved in the actual image, in pixels, to the right and down.
    """

    box: Box
    dx: int
    dy: int

    @property
    def actual(self) -> Box:
        """Its place in the actual image."""
        return replace(self.box, x=self.box.x + self.dx, y=self.box.y + self.dy)


@dataclass(frozen=True, slots=True)
class Kept:
    """A rectangle of the expected image and the place in the actual one with the same content, possibly changed.

    Attributes:
        expected: in the expected image.
        actual: in the actual image, of the same size.
        equal: the pixels are equal in 8 bits a channel.
    """

    expected: Box
    actual: Box
    equal: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """A part of the padded plane, which places parts that both images have at the same position.

    Attributes:
        expected: the part of the expected image; without extent if only the actual one has it.
        actual: the part of the actual image; without extent if only the expected one has it. If both have an extent,
            they have the same size.
        x, y: the part's top left corner on the plane.
    """

    expected: Box
    actual: Box
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Alignment:
    """The changes that turn the expected image into the actual one.

    The boxes of ``kept`` and of inserted bands cover every pixel of the actual image once, those of ``kept`` and of
    deleted bands every pixel of the expected one.

    Attributes:
        size: width and height of the actual image.
        kept: what both images have.
        bands: what only one of them has, from the top, then from the left, of the image that has it.
        moves: blocks that are elsewhere: those of ``kept`` that are reported as moved instead of by the plain bands
            before and after them, and those that were deleted at one place and inserted at another.
        layout: both images padded: ``kept`` and ``bands``, joined where possible, on one plane. No two parts
            overlap.
    """

    size: tuple[int, int]
    kept: tuple[Kept, ...]
    bands: tuple[Band, ...]
    moves: tuple[Move, ...] = ()
    layout: tuple[Placed, ...] = ()

    @property
    def shown(self) -> tuple[Band, ...]:
        """The bands to report: plain space only if no band has content and nothing moved.

        An item that is inserted into one of two columns leaves space at the end of the other one.
        """
        with_content = tuple(band for band in self.bands if not (band.plain or band.moved))
        return with_content if with_content or self.moves else self.bands

    @property
    def moved(self) -> tuple[Move, ...]:
        """The blocks that change their position."""
        return tuple(move for move in self.moves if move.dx or move.dy)

    def new(self) -> Mask:
        """Return (height, width) of the actual image, true in moved blocks and in shown inserted bands."""
        import numpy as np

        mask = np.zeros(self.size[::-1], np.bool_)  # uses no memory until it is written
        for band in self.shown:
            if band.kind == "inserted":
                mask[slices_of(band.actual)] = True
        for move in self.moves:
            mask[slices_of(move.actual)] = bool(move.dx or move.dy)
        return mask

    def covered(self, expected: Mask, actual: Mask) -> Mask:
        """Return (height, width) of the actual image, true where a mask of either image is.

        Args:
            expected: (height, width) of the expected image.
            actual: (height, width) of the actual image.
        """
        mask: Mask = actual.copy()
        for kept in self.kept:
            mask[slices_of(kept.actual)] |= expected[slices_of(kept.expected)]
        return mask

    def laid_out(self, expected: Pixels, actual: Pixels) -> Pixels:
        """Return the expected image laid out like the actual one.

        Inserted content, and the background that a moved block uncovers, come from the actual image.

        Args:
            expected: (height, width, 4), as it was aligned.
            actual: (height, width, 4), as it was aligned, with the same dtype.

        Returns:
            An array of the shape of ``actual``.
        """
        import numpy as np

        laid: Pixels = actual.copy()
        for kept in self.kept:
            if not (kept.equal and expected.dtype == np.uint8):
                laid[slices_of(kept.actual)] = expected[slices_of(kept.expected)]
        for move in self.moves:
            for place in self._vacated(move):
                left = actual[slices_of(place)]
                edges = np.concatenate([left[0], left[-1], left[:, 0], left[:, -1]])
                colours, counts = np.unique(edges, axis=0, return_counts=True)
                if 2 * int(counts.max()) > len(edges):
                    is_space = (left == colours[counts.argmax()]).all(axis=2)
                    laid[slices_of(place)][is_space] = left[is_space]
        for move in self.moves:
            laid[slices_of(move.actual)] = expected[slices_of(move.box)]
        return laid

    def _vacated(self, move: Move) -> Iterator[Box]:
        """Yield the boxes of the actual image that show the old place of a moved block."""
        for kept in self.kept:
            right, down = kept.actual.x - kept.expected.x, kept.actual.y - kept.expected.y
            rect, block = Rect(*corners(kept.expected)), Rect(*corners(move.box))
            if kept.equal or (right, down) == (move.dx, move.dy) or not overlapping(rect, block):
                continue
            common = common_part(rect, block)
            yield common._replace(x=common.x + right, y=common.y + down).box

    def below(self, top: int, heights: tuple[int, int]) -> Alignment:
        """Return the alignment of taller images that are equal above and below what was aligned.

        Args:
            top: the number of equal rows above.
            heights: of the expected and the actual image.
        """

        def lower(box: Box) -> Box:
            return replace(box, y=box.y + top)

        kept = [replace(one, expected=lower(one.expected), actual=lower(one.actual)) for one in self.kept]
        layout = [Placed(lower(part.expected), lower(part.actual), part.x, part.y + top) for part in self.layout]
        width, height = self.size
        rest = heights[1] - top - height
        end_of_plane = max((part.y + extent(part).height for part in layout), default=top)
        for start, end, place, count in (
            (0, 0, 0, top),
            (heights[0] - rest, heights[1] - rest, end_of_plane, rest),
        ):
            if count:
                same = Kept(Box(0, start, width, count), Box(0, end, width, count), equal=True)
                kept.append(same)
                layout.append(Placed(same.expected, same.actual, 0, place))
        return Alignment(
            (width, heights[1]),
            tuple(kept),
            tuple(replace(band, expected=lower(band.expected), actual=lower(band.actual)) for band in self.bands),
            tuple(replace(move, box=lower(move.box)) for move in self.moves),
            joined_parts(layout),
        )

    def is_space_alone(self, expected: Pixels, actual: Pixels) -> bool:
        """Whether the images differ only in plain space that spans the whole image.

        Every band has whole rows or columns of one colour, next to a row or column of that colour. Everything else is
        equal in every channel of every pixel, and in the same order.
        """
        import numpy as np

        for band in self.bands:
            pixels = actual if band.kind == "inserted" else expected
            box = band.box
            spans = box.width == pixels.shape[1] if band.axis == "rows" else box.height == pixels.shape[0]
            part = pixels[slices_of(_with_line_beside(box, band.axis, pixels))]
            if not (band.plain and spans and (part == part[0, 0]).all()):
                return False
        return bool(self.bands) and all(
            np.array_equal(expected[slices_of(one.expected)], actual[slices_of(one.actual)]) for one in self.kept
        )

    def unequal_rows(self) -> slice:
        """Return the rows of the actual image outside of which the images are equal in 8 bits a channel."""
        unequal = [kept.actual for kept in self.kept if not kept.equal]
        if not unequal:
            return slice(0, 0)
        return slice(min(box.y for box in unequal), max(box.y + box.height for box in unequal))

    def expected_place(self, x: int, y: int) -> tuple[int, int] | None:
        """Return the expected image's pixel for a pixel of the actual one; None if there is none."""
        for kept in self.kept:
            box = kept.actual
            if box.x <= x < box.x + box.width and box.y <= y < box.y + box.height:
                return kept.expected.x + x - box.x, kept.expected.y + y - box.y
        return None


def slices_of(box: Box) -> tuple[slice, slice]:
    """Return the rows and columns of a box, to index an array with."""
    return slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)


def _with_line_beside(box: Box, axis: Axis, pixels: Pixels) -> Box:
    """Return the box of a band extended by the line before or after it, preferably one of its colour."""
    colour = pixels[box.y, box.x]
    if axis == "rows":
        lines = [replace(box, y=box.y - 1, height=box.height + 1), replace(box, height=box.height + 1)]
        inside = [box.y > 0, box.y + box.height < pixels.shape[0]]
    else:
        lines = [replace(box, x=box.x - 1, width=box.width + 1), replace(box, width=box.width + 1)]
        inside = [box.x > 0, box.x + box.width < pixels.shape[1]]
    possible = [line for line, is_inside in zip(lines, inside, strict=True) if is_inside]
    return next((line for line in possible if (pixels[slices_of(line)] == colour).all()), *possible[:1])


class Rect(NamedTuple):
    """A rectangle like `Box`, with methods that return its parts."""

    x: int
    y: int
    width: int
    height: int

    def rows(self, start: int, stop: int) -> Rect:
        """Return its rows from ``start`` up to ``stop``."""
        return Rect(self.x, self.y + start, self.width, stop - start)

    def columns(self, start: int, stop: int) -> Rect:
        """Return its columns from ``start`` up to ``stop``."""
        return Rect(self.x + start, self.y, stop - start, self.height)

    def lines(self, axis: Axis, start: int, stop: int) -> Rect:
        """Return its rows or columns from ``start`` up to ``stop``."""
        return self.rows(start, stop) if axis == "rows" else self.columns(start, stop)

    def of(self, words: Words) -> Words:
        """Return the part of an image in this rectangle."""
        return words[self.y : self.y + self.height, self.x : self.x + self.width]

    @property
    def is_empty(self) -> bool:
        """Whether it has no pixel."""
        return self.width == 0 or self.height == 0

    @property
    def box(self) -> Box:
        """The rectangle as a `Box`."""
        return Box(*self)


def extent(part: Placed | Kept | Band) -> Box:
    """Return the box of a part in an image that has it."""
    return part.expected if part.expected.width and part.expected.height else part.actual


def joined_parts(layout: Sequence[Placed]) -> tuple[Placed, ...]:
    """Return the layout with parts joined that are adjacent in both images and on the plane."""
    found = list(layout)
    for axis in ("rows", "columns"):
        groups: dict[tuple[int, ...], list[Placed]] = {}
        bands: list[Placed] = []
        for part in sorted(found, key=lambda part: (part.y, part.x)):
            one, two = part.expected, part.actual
            if _is_empty(one) or _is_empty(two):
                bands.append(part)
                continue
            lines = (part.x, one.width) if axis == "rows" else (part.y, one.height)
            group = groups.setdefault((one.x - part.x, one.y - part.y, two.x - part.x, two.y - part.y, *lines), [])
            joined = _with_neighbour(group[-1], part, axis) if group else None
            if joined is None:
                group.append(part)
            else:
                group[-1] = joined
        found = bands + [part for group in groups.values() for part in group]
    return tuple(sorted(found, key=lambda part: (part.y, part.x)))


def _with_neighbour(first: Placed, second: Placed, axis: Axis) -> Placed | None:
    """Return two parts with the same shift and the same extent across the axis as one; None if they are apart."""
    one, two = first.expected, first.actual
    if axis == "rows":
        height = one.height + second.expected.height
        is_next = first.y + one.height == second.y
        joined = replace(first, expected=replace(one, height=height), actual=replace(two, height=height))
    else:
        width = one.width + second.expected.width
        is_next = first.x + one.width == second.x
        joined = replace(first, expected=replace(one, width=width), actual=replace(two, width=width))
    return joined if is_next else None


def _is_empty(box: Box) -> bool:
    return not box.width or not box.height


def corners(box: Box) -> tuple[int, int, int, int]:
    """Return x, y, width and height."""
    return box.x, box.y, box.width, box.height


def common_part(one: Rect, other: Rect) -> Rect:
    """Return the intersection of two overlapping rectangles."""
    x, y = max(one.x, other.x), max(one.y, other.y)
    right, bottom = min(one.x + one.width, other.x + other.width), min(one.y + one.height, other.y + other.height)
    return Rect(x, y, right - x, bottom - y)


def overlapping(one: Rect, other: Rect) -> bool:
    """Whether two rectangles have a pixel in common."""
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )
