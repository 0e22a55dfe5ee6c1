"""Alignment of two images: what was inserted, deleted and moved, and the expected image laid out as the actual one.

Rows come first: lines that are equal byte for byte vote for offsets between the two images, and dynamic programming
chooses the offset of each line that leaves the least unexplained. Parts that are next to each other are cut at quiet
gutters and aligned separately, then columns, then strips of columns without a gutter between them. Content that was
deleted at one place is searched for at all other places that differ. An alignment is only a proposal: the pixels that
it leaves unequal are still judged.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.derived import eight_bit
from pytest_imgdiff.base.geometry import (
    Alignment,
    Axis,
    Band,
    Kept,
    Move,
    Placed,
    Rect,
    corners,
    extent,
    joined_parts,
    overlapping,
    slices_of,
)
from pytest_imgdiff.comparison.line_maps import LineMap, Segment, View, believed_map, line_map

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Pixels

    Words = NDArray[np.uint32]
    """(height, width): RGBA with 8 bits per channel, one word per pixel."""
    Numbers = NDArray[np.intp]


_ACCEPTED = 0.6
"""An alignment is accepted if it leaves at most this share of the cost of "changed in place"."""
_GUTTER = 8
"""Quiet columns that separate two parts that are next to each other."""
_QUIET = 8
"""Maximum difference between the pixels of a quiet column, in levels of 255."""
_PARTED = 12
"""Equal lines that separate two changes."""
_THIN = 3
"""Rows or columns by which spacing may grow or shrink when a length is rounded to pixels: one CSS pixel at a device
scale of 3."""
_STRIP = 64
"""Columns of the strips that are aligned separately where there is no gutter."""
_MOST_LOOKED = 3
"""Maximum pixels that are aligned over all nested rectangles, as a multiple of the image size."""
_LARGE = 1 << 23
"""Pixels above which only rows, and parts with a gutter between them, are aligned: columns and strips of a tall page
take seconds, and explain nothing if rows do not."""
_MOST_SHIFTED = 256
"""Maximum lines by which a band is shifted to where content begins."""
_TILE = 8
"""Rows and columns of the tiles that locate a block at another place."""
_FAIR_TILES = 3
"""Tiles that must agree on the shift of a block."""
_MOST_ALIKE = 4
"""Maximum places of a tile: a tile at more places, such as a piece of a border, does not locate a block."""
_MOST_TILES = 4096
_MOST_SEARCHED = 1 << 22
"""Maximum pixels of all searched places in both images; above that, no block is searched for."""
_MOST_BLOCKS = 32
_RIM = 2
"""Pixels around a differing rectangle that show the background there."""
_LEAST_BLOCK = 2048
"""Minimum pixels of a block that moved between two places that are not bands; a smaller block is changed text."""
_MOST_OF_IT = 0.5
"""Minimum share of the content of one of the two places that a moved block makes up. A smaller share, such as a button
that two items have in common, is not a move."""
_DEPTH = 8
_LEAST = 3
"""Lines below which there is nothing to align."""
_STRIP_PIXELS = 1 << 16
"""Pixels of the strips in which two rectangles are compared: most unequal rectangles differ in an early strip."""


def align(expected: Pixels, actual: Pixels) -> Alignment | None:
    """Find what was inserted, deleted and moved.

    Args:
        expected: (height, width, 4) RGBA of any depth.
        actual: (height, width, 4) RGBA of the same depth; the size may differ.

    Returns:
        None if no alignment explains clearly more than a comparison in place, from the top left.
    """
    aligner = _Aligner(_words(expected), _words(actual))
    height, width = aligner.one.shape
    other_height, other_width = aligner.two.shape
    explained = aligner.explain(Rect(0, 0, width, height), Rect(0, 0, other_width, other_height), 0)
    aligner.search()
    aligner.settle()
    if not aligner.is_explained and not aligner.moves:
        return None
    bands = sorted(aligner.bands, key=lambda band: (band.box.y, band.box.x, band.kind))
    plane = _Plane(aligner.two)
    plane.place(explained, 0, 0)
    return Alignment(
        (other_width, other_height), tuple(aligner.kept), tuple(bands), tuple(aligner.moves), joined_parts(plane.layout)
    )


def _words(pixels: Pixels) -> Words:
    words: Words = np.ascontiguousarray(eight_bit(pixels)).view(np.uint32)[..., 0]
    return words


class _Stack(NamedTuple):
    """Parts one below the other (rows) or next to each other (columns)."""

    axis: Axis
    parts: list[_Part]


_Part = Kept | Band | _Stack


class _Plane:
    """Layout in which each part is below, or to the right of, the parts before it in both images."""

    def __init__(self, actual: Words) -> None:
        self.actual = actual
        self.layout: list[Placed] = []

    def place(self, part: _Part, x: int, y: int) -> tuple[int, int]:
        """Place a part with its top left corner at ``x`` and ``y``, and return the width and height that it takes."""
        if not isinstance(part, _Stack):
            self.layout.append(Placed(part.expected, part.actual, x, y))
            box = extent(self.layout[-1])
            return box.width, box.height
        if part.axis == "columns":
            return self._side_by_side(part, x, y)
        width = height = 0
        for one in part.parts:
            across, down = self.place(one, x, y + height)
            width, height = max(width, across), height + down
        return width, height

    def _side_by_side(self, part: _Stack, x: int, y: int) -> tuple[int, int]:
        sizes = [_size(one) for one in part.parts]
        height = max((down for _, down in sizes), default=0)
        width = 0
        for one, (across, down) in zip(part.parts, sizes, strict=True):
            if isinstance(one, Kept) and down < height:
                self._stretched(one, x + width, y, height - down)
            else:
                self.place(one, x + width, y)
            width += across
        return width, height

    def _stretched(self, kept: Kept, x: int, y: int, spare: int) -> None:
        """Place a part that is less high than its neighbour, with the spare space in its last row of one colour.

        This way no line of text is cut where the rows below, which both images have, begin.
        """
        one, two = kept.expected, kept.actual
        words = self.actual[slices_of(two)]
        quiet = np.flatnonzero((words == words[:, :1]).all(axis=1))
        above = int(quiet[-1]) if quiet.size else one.height
        for start, stop, down in ((0, above, 0), (above, one.height, spare)):
            if stop > start:
                first, second = (replace(box, y=box.y + start, height=stop - start) for box in (one, two))
                self.layout.append(Placed(first, second, x, y + start + down))


def _size(part: _Part) -> tuple[int, int]:
    """Return the width and height that a part takes on the plane."""
    if not isinstance(part, _Stack):
        box = extent(part)
        return box.width, box.height
    widths, heights = zip(*(_size(one) for one in part.parts), strict=True) if part.parts else ((0,), (0,))
    return (max(widths), sum(heights)) if part.axis == "rows" else (sum(widths), max(heights))


class _Aligner:
    """Explanation of two images, rectangle by rectangle."""

    def __init__(self, one: Words, two: Words) -> None:
        self.one = one
        self.two = two
        self.kept: list[Kept] = []
        self.bands: list[Band] = []
        self.moves: list[Move] = []
        self._left = _MOST_LOOKED * max(one.size, two.size)
        self.is_explained = False
        """Whether anything was found except differences in place."""

    def explain(self, first: Rect, second: Rect, depth: int, axis: Axis | None = None) -> _Part:
        """Explain how a rectangle of the expected image became a rectangle of the actual image.

        Args:
            first: Rectangle of the expected image.
            second: Rectangle of the actual image.
            depth: Number of rectangles around this one.
            axis: The axis along which the lines are already aligned.
        """
        if first.is_empty or second.is_empty:
            return self._only_one(first, second, "rows" if first.width == second.width else "columns")
        a, b = first.of(self.one), second.of(self.two)
        if _are_equal(a, b):
            return self._keep(first, second, equal=True)
        if (trimmed := self._trimmed(first, second, depth, axis)) is not None:
            return trimmed
        if depth >= _DEPTH or min(*a.shape, *b.shape) < _LEAST:
            return self._in_place(first, second)
        return self._parted(first, second, depth, axis) or self._changed(first, second, depth, axis)

    def _changed(self, first: Rect, second: Rect, depth: int, axis: Axis | None) -> _Part:
        """Explain two rectangles that differ from the first row to the last."""
        a, b = View(self.one, first), View(self.two, second)
        self._left -= first.width * first.height
        if self._left < 0:
            return self._in_place(first, second)
        lines = line_map(a, b, "rows") if axis != "rows" else None
        if lines is not None and lines.is_believed(0):  # it leaves nothing to explain
            return self._along("rows", first, second, lines, depth)
        cuts = _gutters(a.pixels, b.pixels)
        if cuts and _cost_of_parts(a, b, cuts) < _ACCEPTED * _cost(lines, a, b) * first.width:
            return self._side_by_side(first, second, cuts, depth)
        if lines is not None and lines.is_believed(_ACCEPTED):
            return self._along("rows", first, second, lines, depth)
        return self._columns(first, second, depth, axis)

    def search(self) -> None:
        """Record the blocks that were deleted at one place and inserted at another.

        Each of the two places is a band or another place that differs.
        """
        bands = [band for band in self.bands if not band.plain]
        deleted = [Rect(*corners(band.expected)) for band in bands if band.kind == "deleted"]
        inserted = [Rect(*corners(band.actual)) for band in bands if band.kind == "inserted"]
        numbers = len(deleted), len(inserted)
        for first, second in self._differing():
            deleted.append(first)
            inserted.append(second)
        if (
            not deleted
            or not inserted
            or sum(rect.width * rect.height for rect in (*deleted, *inserted)) > _MOST_SEARCHED
        ):
            return
        found = _Search(self.one, self.two, deleted, inserted, numbers).blocks()
        self.moves += [Move(rect.box, dx, dy) for rect, dx, dy in found]
        for place, band in enumerate(self.bands):
            words = self.one if band.kind == "deleted" else self.two
            moved = [
                rect if band.kind == "deleted" else rect._replace(x=rect.x + dx, y=rect.y + dy)
                for rect, dx, dy in found
            ]
            if not band.plain and _contains_only(words, Rect(*corners(band.box)), moved):
                self.bands[place] = replace(band, moved=True)

    def settle(self) -> None:
        """Mark bands as space if they made room for other content or lost room to it, even if borders run through them.

        An item that is inserted into a column takes its room from the end of the column.
        """
        stretched = {
            place
            for place, band in enumerate(self.bands)
            if not (band.plain or band.moved)
            and _is_stretched(self.one if band.kind == "deleted" else self.two, Rect(*corners(band.box)), band.axis)
        }
        for place in stretched:
            band = self.bands[place]
            if any(
                other.kind != band.kind
                and number not in stretched
                and not other.plain
                and _across(other) == _across(band)
                and abs(other.lines - band.lines) <= _THIN
                for number, other in enumerate(self.bands)
            ):
                self.bands[place] = replace(band, plain=True)

    def _differing(self) -> list[tuple[Rect, Rect]]:
        """Return the rectangles of both images in which kept parts differ."""
        found = []
        for kept in self.kept:
            if kept.equal:
                continue
            first, second = Rect(*corners(kept.expected)), Rect(*corners(kept.actual))
            differs = first.of(self.one) != second.of(self.two)
            for top, bottom in _runs(differs.any(axis=1), _TILE):
                for left, right in _runs(differs[top:bottom].any(axis=0), _TILE):
                    one, two = (side.rows(top, bottom).columns(left, right) for side in (first, second))
                    found.append((_with_rim(one, self.one), _with_rim(two, self.two)))
        return found

    def _keep(self, first: Rect, second: Rect, *, equal: bool) -> Kept:
        self.kept.append(Kept(first.box, second.box, equal=equal))
        return self.kept[-1]

    def _side_by_side(self, first: Rect, second: Rect, cuts: Sequence[tuple[int, int]], depth: int) -> _Stack:
        """Explain each of the parts that are next to each other separately."""
        return _Stack(
            "columns",
            [self.explain(first.columns(left, right), second.columns(left, right), depth + 1) for left, right in cuts],
        )

    def _columns(self, first: Rect, second: Rect, depth: int, axis: Axis | None) -> _Part:
        """Explain what rows do not: by columns, then by strips of columns, else in place."""
        a, b = View(self.one, first), View(self.two, second)
        if first.width * first.height > _LARGE:
            return self._in_place(first, second)
        if axis != "columns":
            columns = believed_map(a, b, "columns", _ACCEPTED)
            is_tall = first[2:] != second[2:] or first.height >= _STRIP
            if columns is not None and (is_tall or _skips_space_alone(a.pixels, b.pixels, columns.segments)):
                return self._along("columns", first, second, columns, depth)
        if first[2:] == second[2:] and axis is None and (cuts := _strips(a, b)):
            return self._side_by_side(first, second, cuts, depth)
        return self._in_place(first, second)

    def _trimmed(self, first: Rect, second: Rect, depth: int, axis: Axis | None) -> _Stack | None:
        """Keep the equal rows at the top and at the bottom; in the most common case this explains everything.

        Return None if there are no such rows.
        """
        if first.width != second.width:
            return None
        a, b = first.of(self.one), second.of(self.two)
        top, bottom = _equal_ends(a, b)
        top = _quiet_place(a, top)
        if not top and not bottom:
            return None
        above = [self._keep(first.rows(0, top), second.rows(0, top), equal=True)] if top else []
        rest = first.rows(len(a) - bottom, len(a)), second.rows(len(b) - bottom, len(b))
        below = [self._keep(*rest, equal=True)] if bottom else []
        self.is_explained |= len(a) != len(b) and top + bottom > 0
        between = self.explain(first.rows(top, len(a) - bottom), second.rows(top, len(b) - bottom), depth, axis)
        return _Stack("rows", [*above, between, *below])

    def _parted(self, first: Rect, second: Rect, depth: int, axis: Axis | None) -> _Stack | None:
        """Explain changes with equal rows between them one by one, after row alignment; None for a single change."""
        if first[2:] != second[2:] or axis is None:
            return None
        differs = (first.of(self.one) != second.of(self.two)).any(axis=1)
        runs = _runs(differs, _PARTED)
        if len(runs) < 2:  # noqa: PLR2004 - one change
            return None
        parts: list[_Part] = []
        below = 0
        for start, stop in runs:
            if start > below:
                parts.append(self._keep(first.rows(below, start), second.rows(below, start), equal=True))
            parts.append(self.explain(first.rows(start, stop), second.rows(start, stop), depth + 1))
            below = stop
        return _Stack("rows", parts)

    def _along(self, axis: Axis, first: Rect, second: Rect, lines: LineMap, depth: int) -> _Stack:
        """Explain segment by segment; the lines between segments were deleted or inserted."""
        self.is_explained = True
        a, b = first.of(self.one), second.of(self.two)
        segments = _at_quiet_lines(lines.segments, *((a, b) if axis == "rows" else (a.T, b.T)))
        self._note_move(axis, first, second, segments)
        ends = (first.height, second.height) if axis == "rows" else (first.width, second.width)
        parts: list[_Part] = []
        one = two = 0
        for start, other, count in [*segments, Segment(*ends, 0)]:
            if start > one:
                parts.append(self._only_one(first.lines(axis, one, start), second.lines(axis, two, two), axis))
            if other > two:
                parts.append(self._only_one(first.lines(axis, start, start), second.lines(axis, two, other), axis))
            if count:
                here, there = first.lines(axis, start, start + count), second.lines(axis, other, other + count)
                parts.append(self.explain(here, there, depth + 1, axis))
            one, two = start + count, other + count
        return _Stack(axis, parts)

    def _note_move(self, axis: Axis, first: Rect, second: Rect, segments: Sequence[Segment]) -> None:
        """Record the only segment that moved within plain space, unless the space spans the image.

        If it does, everything that follows moved, and the band describes the change better.
        """
        moved = [segment for segment in segments if segment.one != segment.two]
        spans = first.width == self.one.shape[1] if axis == "rows" else first.height == self.one.shape[0]
        if spans or first[2:] != second[2:] or len(moved) != 1:
            return
        start, other, count = moved[0]
        shift = other - start
        if shift > 0:
            left, fresh = (start + count, other + count), (start, other)
        else:
            left, fresh = (other, start), (other + count, start + count)
        before, after = first.lines(axis, *left), second.lines(axis, *fresh)
        if not _is_plain(before.of(self.one)) or not _is_plain(after.of(self.two)):
            return
        rect = _trimmed_to_content(self.one, first.lines(axis, start, start + count))
        dx, dy = (0, shift) if axis == "rows" else (shift, 0)
        self.moves.append(Move(rect.box, dx + second.x - first.x, dy + second.y - first.y))

    def _only_one(self, first: Rect, second: Rect, axis: Axis) -> _Part:
        """Record a band; at least one of the rectangles is empty."""
        if first.is_empty and second.is_empty:
            return _Stack(axis, [])
        if second.is_empty:
            band = Band("deleted", axis, first.box, second.box, _is_space(self.one, first, axis))
        else:
            band = Band("inserted", axis, first.box, second.box, _is_space(self.two, second, axis))
        self.bands.append(band)
        return band

    def _in_place(self, first: Rect, second: Rect) -> _Part:
        """Keep differences in place; if sizes differ, the rest below and to the right was inserted or deleted."""
        width, height = min(first.width, second.width), min(first.height, second.height)
        common = first.rows(0, height).columns(0, width), second.rows(0, height).columns(0, width)
        equal = _are_equal(common[0].of(self.one), common[1].of(self.two))
        self.is_explained |= equal
        across: list[_Part] = [self._keep(*common, equal=equal)]
        down: list[_Part] = [_Stack("columns", across)]
        for side, other in ((first, second), (second, first)):
            right = side.rows(0, height).columns(width, side.width)
            below = side.rows(height, side.height)
            rests: tuple[tuple[Axis, Rect], ...] = ("columns", right), ("rows", below)
            for axis, rest in rests:
                if rest.is_empty:
                    continue
                place = other.lines(axis, width, width) if axis == "columns" else other.lines(axis, height, height)
                band = self._only_one(rest, place, axis) if side is first else self._only_one(place, rest, axis)
                (across if axis == "columns" else down).append(band)
        return _Stack("rows", down)


def _at_quiet_lines(segments: Sequence[Segment], a: Words, b: Words) -> list[Segment]:
    """Return the segments with the bands between them shifted to where content begins, as far as lines are equal.

    The last line of a deleted item and the line before the item may be equal; then the band can be shifted by a line.
    The reported band begins after the most lines of one colour. Other bands would begin within the item and end within
    the next one.
    """
    found = list(segments)
    for number in range(1, len(found)):
        before, after = found[number - 1], found[number]
        is_deleted = after.two == before.two + before.length
        if not is_deleted and after.one != before.one + before.length:
            continue
        up = _equal_lines(a, b, after.one, after.two, -1, min(before.length - 1, _MOST_SHIFTED))
        end = before.one + before.length, before.two + before.length
        down = _equal_lines(a, b, *end, 1, min(after.length - 1, _MOST_SHIFTED))
        lines, edge = (a, end[0]) if is_deleted else (b, end[1])
        quiet = [
            _is_plain(lines[edge + place : edge + place + 1]) for place in range(-up - 1, down)
        ]  # the line before each place
        runs = [0]
        for is_quiet in quiet:
            runs.append(runs[-1] + 1 if is_quiet else 0)
        best = max(range(-up, down + 1), key=lambda place: (runs[place + up + 1], -abs(place)))
        if runs[best + up + 1] > runs[up + 1]:
            found[number - 1] = before._replace(length=before.length + best)
            found[number] = Segment(after.one + best, after.two + best, after.length - best)
    return found


def _equal_lines(a: Words, b: Words, one: int, two: int, step: int, most: int) -> int:
    """Return how many lines are equal from these lines on, downwards (1) or upwards (-1)."""
    for count in range(most):
        place = count if step > 0 else -count - 1
        if not np.array_equal(a[one + place], b[two + place]):
            return count
    return max(0, most)


def _across(band: Band) -> tuple[Axis, int, int]:
    """Return the axis of a band and its extent across it."""
    box = band.box
    return (band.axis, box.x, box.width) if band.axis == "rows" else (band.axis, box.y, box.height)


_Block = tuple[Rect, int, int]
"""A rectangle of the expected image, and its shift to the right and down."""


class _Search:
    """Search for content of some rectangles of the expected image in some rectangles of the actual image.

    Tiles are found by their hashes and vote for a shift; then the pixels decide.
    """

    def __init__(
        self, one: Words, two: Words, deleted: Sequence[Rect], inserted: Sequence[Rect], bands: tuple[int, int]
    ) -> None:
        """Set up the search.

        Args:
            one: The expected image.
            two: The actual image.
            deleted: Rectangles of the expected image from which blocks are taken.
            inserted: Rectangles of the actual image in which blocks are searched for.
            bands: How many rectangles of each list, from the start, are bands; between other places only large blocks
                move.
        """
        self.one = one
        self.two = two
        self.deleted = deleted
        self.inserted = inserted
        self.bands = bands

    def blocks(self) -> list[_Block]:
        """Return the blocks that moved, without overlaps; blocks with the most votes come first."""
        found: list[_Block] = []
        for (source, target, dx, dy), tiles in self._votes():
            block = self._block(self.deleted[source], self.inserted[target], dx, dy, tiles)
            if block is None or len(found) == _MOST_BLOCKS:
                continue
            is_of_band = source < self.bands[0] or target < self.bands[1]
            if not is_of_band and block.width * block.height < _LEAST_BLOCK:
                continue
            there = block._replace(x=block.x + dx, y=block.y + dy)
            if any(
                overlapping(block, rect) or overlapping(there, rect._replace(x=rect.x + right, y=rect.y + down))
                for rect, right, down in found
            ):
                continue
            shares = (
                _share_of_content(self.one, self.deleted[source], block),
                _share_of_content(self.two, self.inserted[target], there),
            )
            if max(shares) >= _MOST_OF_IT:
                found.append((block, dx, dy))
        return self._joined(found)

    def _joined(self, blocks: Sequence[_Block]) -> list[_Block]:
        """Return the blocks, with blocks of the same shift joined if everything between them has that shift too."""
        found: list[_Block] = []
        for rect, dx, dy in sorted(blocks, key=lambda block: (block[1:], block[0].y, block[0].x)):
            last = found[-1] if found else None
            if last is not None and last[1:] == (dx, dy):
                both = _around(last[0], rect)
                if np.array_equal(both.of(self.one), both._replace(x=both.x + dx, y=both.y + dy).of(self.two)):
                    found[-1] = (both, dx, dy)
                    continue
            found.append((rect, dx, dy))
        return found

    def _votes(self) -> list[tuple[tuple[int, int, int, int], list[tuple[int, int]]]]:
        """Return the tiles, (x, y), of each pair of rectangles and shift, ordered by descending number of votes."""
        tiles: dict[int, list[tuple[int, int, int]]] = {}
        for source, rect in enumerate(self.deleted):
            for x, y, digest in _tiles(self.one, rect):
                tiles.setdefault(digest, []).append((source, x, y))
        known = {digest: places for digest, places in tiles.items() if len(places) <= _MOST_ALIKE}
        votes: dict[tuple[int, int, int, int], list[tuple[int, int]]] = {}
        for digest, places in self._places(known).items():
            for source, x, y in known[digest]:
                for target, across, down in places:
                    votes.setdefault((source, target, across - x, down - y), []).append((x, y))
        fair = [(key, found) for key, found in votes.items() if len(found) >= _FAIR_TILES]
        return sorted(fair, key=lambda vote: (-len(vote[1]), vote[0]))

    def _places(self, known: Mapping[int, object]) -> dict[int, list[tuple[int, int, int]]]:
        """Return the places of tiles in the actual image by hash, (rectangle, x, y), without frequent tiles."""
        if not known:
            return {}
        digests = np.array(sorted(known), np.uint32)
        is_known = np.zeros(1 << 16, np.bool_)  # half a hash excludes most tiles
        is_known[digests >> 16] = True
        found: dict[int, list[tuple[int, int, int]]] = {}
        for target, rect in enumerate(self.inserted):
            hashes = tile_hashes(View(self.two, rect))
            places = np.flatnonzero(is_known[hashes >> 16])
            candidates = hashes.ravel()[places]
            which = np.minimum(np.searchsorted(digests, candidates), len(digests) - 1)
            is_one = digests[which] == candidates
            counts = np.bincount(which[is_one], minlength=len(digests))
            for place in places[is_one & (counts[which] <= _MOST_ALIKE)].tolist():
                down, across = divmod(place, hashes.shape[1])
                found.setdefault(int(hashes[down, across]), []).append((target, rect.x + across, rect.y + down))
        return {digest: each for digest, each in found.items() if len(each) <= _MOST_ALIKE}

    def _block(self, source: Rect, target: Rect, dx: int, dy: int, tiles: list[tuple[int, int]]) -> Rect | None:
        """Return the largest equal rectangle around the tiles, without the space around its content."""
        x, y = max(source.x, target.x - dx), max(source.y, target.y - dy)
        right = min(source.x + source.width, target.x - dx + target.width)
        bottom = min(source.y + source.height, target.y - dy + target.height)
        common = Rect(x, y, right - x, bottom - y)
        equal = common.of(self.one) == common._replace(x=x + dx, y=y + dy).of(self.two)
        grown = _grown(equal, [(across - x, down - y) for across, down in tiles])
        if grown is None:
            return None
        left, top, width, height = grown
        content = _content(self.one, source)
        return _bounds(
            Rect(x + left, y + top, width, height),
            content[y + top - source.y :, x + left - source.x :][:height, :width],
        )


def _grown(equal: NDArray[np.bool_], tiles: Sequence[tuple[int, int]]) -> Rect | None:
    """Return the rectangle around tiles, (x, y), grown on all sides while it is equal; None if the tiles are not."""
    left, top = min(x for x, _ in tiles), min(y for _, y in tiles)
    right, bottom = max(x for x, _ in tiles) + _TILE, max(y for _, y in tiles) + _TILE
    if not equal[top:bottom, left:right].all():
        return None
    height, width = equal.shape
    grows = True
    while grows:
        grows = False
        if top > 0 and equal[top - 1, left:right].all():
            top, grows = top - 1, True
        if bottom < height and equal[bottom, left:right].all():
            bottom, grows = bottom + 1, True
        if left > 0 and equal[top:bottom, left - 1].all():
            left, grows = left - 1, True
        if right < width and equal[top:bottom, right].all():
            right, grows = right + 1, True
    return Rect(left, top, right - left, bottom - top)


def _with_rim(rect: Rect, words: Words) -> Rect:
    """Return a rectangle with `_RIM` pixels around it, clipped to the image."""
    left, top = max(0, rect.x - _RIM), max(0, rect.y - _RIM)
    right, bottom = min(words.shape[1], rect.x + rect.width + _RIM), min(len(words), rect.y + rect.height + _RIM)
    return Rect(left, top, right - left, bottom - top)


def _around(one: Rect, other: Rect) -> Rect:
    """Return the smallest rectangle that contains both."""
    x, y = min(one.x, other.x), min(one.y, other.y)
    right, bottom = max(one.x + one.width, other.x + other.width), max(one.y + one.height, other.y + other.height)
    return Rect(x, y, right - x, bottom - y)


def _tiles(words: Words, rect: Rect) -> Iterator[tuple[int, int, int]]:
    """Yield x, y and the hash of adjacent tiles from where content begins, except tiles of one colour."""
    rect = _bounds(rect, _content(words, rect))
    down, across = rect.height // _TILE, rect.width // _TILE
    if not down or not across:
        return
    part = rect.of(words)
    pixels = part[: down * _TILE, : across * _TILE].reshape(down, _TILE, across, _TILE)
    has_content = (pixels != pixels[:, :1, :, :1]).any(axis=(1, 3))
    hashes = tile_hashes(View(words, rect))[::_TILE, ::_TILE]
    places = np.argwhere(has_content)
    for row, column in places[:: 1 + len(places) // _MOST_TILES].tolist():
        yield rect.x + column * _TILE, rect.y + row * _TILE, int(hashes[row, column])


def tile_hashes(view: View) -> Words:
    """Return a hash of the tile below and to the right of each pixel, for tiles inside the view."""
    rect = view.rect
    height, width = (max(0, length - _TILE + 1) for length in (rect.height, rect.width))
    if CORE is not None and height and width:
        found = CORE.tile_hashes(view.rows, view.words.shape[1], rect.x, rect.width, rect.height)
        if found is not None:
            return np.frombuffer(found, np.uint32).reshape(height, width)
    mixed: Words = view.pixels * np.uint32(0x9E3779B1)
    mixed ^= mixed >> np.uint32(15)
    for axis, factor in ((1, 0x85EBCA6B), (0, 0xC2B2AE35)):
        size = (len(mixed), width) if axis == 1 else (height, width)
        hashes: Words = np.zeros(size, np.uint32)
        for place in range(_TILE):
            hashes *= np.uint32(factor)
            hashes += mixed[:, place : place + width] if axis == 1 else mixed[place : place + height]
        hashes ^= hashes >> np.uint32(13)
        mixed = hashes
    return mixed


def _content(words: Words, rect: Rect) -> NDArray[np.bool_]:
    """Return where pixels differ from the most common colour at the rectangle's edges."""
    part = rect.of(words)
    edges = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])
    colours, counts = np.unique(edges, return_counts=True)
    return np.asarray(part != colours[counts.argmax()], np.bool_)


def _share_of_content(words: Words, rect: Rect, part: Rect) -> float:
    """Return the share of a rectangle's content that is in a part of it."""
    content = _content(words, rect)
    inside = part._replace(x=part.x - rect.x, y=part.y - rect.y).of(cast("Words", content))
    return int(np.count_nonzero(inside)) / max(1, int(np.count_nonzero(content)))


def _contains_only(words: Words, rect: Rect, parts: Sequence[Rect]) -> bool:
    """Whether a rectangle has no content outside these parts."""
    if not any(overlapping(rect, part) for part in parts):
        return False
    content = _content(words, rect)
    for x, y, width, height in parts:
        left, top = max(0, x - rect.x), max(0, y - rect.y)
        content[top : max(0, y - rect.y + height), left : max(0, x - rect.x + width)] = False
    return not content.any()


def _trimmed_to_content(words: Words, rect: Rect) -> Rect:
    """Return the rectangle without the lines at its edges that have the colour of its first pixel."""
    return _bounds(rect, np.asarray(rect.of(words) != rect.of(words)[0, 0], np.bool_))


def _bounds(rect: Rect, marked: NDArray[np.bool_]) -> Rect:
    """Return the smallest rectangle that contains all marked pixels; the whole rectangle if none is marked."""
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if not rows.size:
        return rect
    return rect.rows(int(rows[0]), int(rows[-1]) + 1).columns(int(columns[0]), int(columns[-1]) + 1)


def _skips_space_alone(a: Words, b: Words, segments: Sequence[Segment]) -> bool:
    """Whether each column outside the segments has one colour: columns drifted, and no text changed."""
    kept, others = np.zeros(a.shape[1], np.bool_), np.zeros(b.shape[1], np.bool_)
    for start, other, count in segments:
        kept[start : start + count] = True
        others[other : other + count] = True
    return all((part == part[:1]).all() for part in (a[:, ~kept], b[:, ~others]))


def _is_space(words: Words, rect: Rect, axis: Axis) -> bool:
    """Whether a band is space: it has one colour, and so has the line before or after it.

    A thin band is also space if each of its lines is equal to one of these lines: spacing that was rounded to another
    number of pixels may have borders on its sides.
    """
    if not _is_plain(rect.of(words)):
        lines = rect.height if axis == "rows" else rect.width
        return lines <= _THIN and _is_stretched(words, rect, axis)
    start, stop, end = (
        (rect.y, rect.y + rect.height, len(words)) if axis == "rows" else (rect.x, rect.x + rect.width, words.shape[1])
    )
    size = stop - start
    beside = ([rect.lines(axis, -1, size)] if start else []) + ([rect.lines(axis, 0, size + 1)] if stop < end else [])
    return any(_is_plain(larger.of(words)) for larger in beside)


def _is_stretched(words: Words, rect: Rect, axis: Axis) -> bool:
    """Whether each line of a band is equal to the line before or after the band."""
    size = rect.height if axis == "rows" else rect.width
    start = rect.y if axis == "rows" else rect.x
    band = rect.of(words)
    beside = [rect.lines(axis, -1, 0)] if start else []
    if start + size < words.shape[0 if axis == "rows" else 1]:
        beside.append(rect.lines(axis, size, size + 1))
    return any(bool((band == line.of(words)).all()) for line in beside)


def _is_plain(words: Words) -> bool:
    return bool((words == words[0, 0]).all())


def _equal_ends(a: Words, b: Words) -> tuple[int, int]:
    """Return how many rows are equal at the top, and how many of the remaining rows at the bottom."""
    least = min(len(a), len(b))
    top = _equal_start(a[:least], b[:least])
    rest = least - top
    return top, _equal_start(a[::-1][:rest], b[::-1][:rest])


def _quiet_place(words: Words, top: int) -> int:
    """Return the nearest row at or above ``top`` that follows a row of one colour; ``top`` if there is none nearby.

    The first row that differs may be within an item whose first rows are equal to those of another item.
    """
    for place in range(top, max(0, top - _MOST_SHIFTED), -1):
        if _is_plain(words[place - 1 : place]):
            return place
    return top if top > _MOST_SHIFTED else 0


def _are_equal(a: Words, b: Words) -> bool:
    return a.shape == b.shape and _equal_start(a, b) == len(a)


def _equal_start(a: Words, b: Words) -> int:
    step = max(1, _STRIP_PIXELS // max(1, a.shape[1]))
    for start in range(0, len(a), step):
        unequal = a[start : start + step] != b[start : start + step]
        if unequal.any():
            return start + int(unequal.any(axis=1).argmax())
    return len(a)


def _runs(marked: NDArray[np.bool_], least: int) -> list[tuple[int, int]]:
    """Return the runs of marked lines, (start, stop); runs with fewer than ``least`` lines between them are joined."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    runs: list[tuple[int, int]] = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if runs and start - runs[-1][1] < least:
            runs[-1] = runs[-1][0], stop
        else:
            runs.append((start, stop))
    return runs


def _cost(lines: LineMap | None, a: View, b: View) -> float:
    """Return the cost that the map leaves unexplained, in lines; without a map, the cost of the images in place."""
    if lines is not None:
        return min(lines.cost, lines.in_place)
    return line_map(a, b, "rows").in_place


def _gutters(a: Words, b: Words) -> list[tuple[int, int]]:
    """Return the parts next to each other in both images; an empty list if there is no quiet gutter between them.

    A quiet column has one colour from top to bottom, which is the same in both images.
    """
    if a.shape[1] != b.shape[1]:
        return []
    low = high = None
    runs: list[tuple[int, int]] = []
    step = max(1, _STRIP_PIXELS // a.shape[1])
    for top in range(0, max(len(a), len(b)), step):  # a column that is not quiet stays so, and most are found early
        for words in (a[top : top + step], b[top : top + step]):
            if not len(words):
                continue
            channels = words.view(np.uint8)
            least, most = channels.min(axis=0), channels.max(axis=0)
            low = least if low is None else np.minimum(low, least)
            high = most if high is None else np.maximum(high, most)
        if low is None or high is None:
            return []
        runs = _runs((high - low > _QUIET).reshape(-1, 4).any(axis=1), _GUTTER)
        if len(runs) < 2 and _fills(runs, a.shape[1]):  # noqa: PLR2004 - a single part
            return []
    if len(runs) < 2:  # noqa: PLR2004 - a single part
        return []
    cuts = [0, *((left[1] + right[0]) // 2 for left, right in itertools.pairwise(runs)), a.shape[1]]
    return list(itertools.pairwise(cuts))


def _fills(runs: Sequence[tuple[int, int]], width: int) -> bool:
    """Whether a run is too wide for another one next to it."""
    return bool(runs) and runs[0][0] <= _GUTTER and width - runs[0][1] <= _GUTTER


def _cost_of_parts(a: View, b: View, cuts: Sequence[tuple[int, int]]) -> float:
    """Return the cost left unexplained if each part is aligned separately, in pixels."""
    cost = 0.0
    for left, right in cuts:
        one, two = a.columns(left, right), b.columns(left, right)
        if _are_equal(one.pixels, two.pixels):
            continue
        lines = line_map(one, two, "rows")
        cost += (right - left) * min(lines.cost, lines.in_place)
    return cost


def _strips(a: View, b: View) -> list[tuple[int, int]]:
    """Return parts that moved separately without a gutter between them; an empty list if there are none.

    Strips of columns are aligned separately, and neighbours with the same shift are joined. Where two parts meet, each
    column is assigned to the part that it matches.
    """
    width, height = a.rect[2:]
    if width < 2 * _STRIP or height < _STRIP:
        return []
    still = [Segment(0, 0, height)]

    @functools.cache
    def aligned(left: int, right: int) -> list[Segment]:
        one, two = a.columns(left, right), b.columns(left, right)
        lines = None if _are_equal(one.pixels, two.pixels) else believed_map(one, two, "rows", _ACCEPTED)
        return still if lines is None else lines.segments

    strips = list(itertools.pairwise([*range(0, width - _STRIP // 2, _STRIP), width]))
    parts: list[tuple[int, int, list[Segment]]] = []
    for left, right in strips:
        segments = aligned(left, right)
        if parts and _have_equal_shifts(parts[-1][2], segments):
            parts[-1] = parts[-1][0], right, parts[-1][2]
        else:
            parts.append((left, right, segments))
    parts = _without_slivers(parts)
    if len(parts) < 2:  # noqa: PLR2004 - all have the same shift
        return []
    cuts = [0]
    for (left, _, mine), (middle, right, theirs) in itertools.pairwise(parts):
        low, high = max(left + 1, middle - _STRIP), min(right - 1, middle + _STRIP)
        own, other = (
            _unequal_columns(a.pixels[:, low:high], b.pixels[:, low:high], segments) for segments in (mine, theirs)
        )
        costs = np.concatenate([[0], np.cumsum(own)]) + np.concatenate([np.cumsum(other[::-1])[::-1], [0]])
        cuts.append(max(cuts[-1] + 1, low + int(costs.argmin())))
    cuts.append(width)
    return list(itertools.pairwise(cuts))


def _have_equal_shifts(one: Sequence[Segment], other: Sequence[Segment]) -> bool:
    return {line.two - line.one for line in one} == {line.two - line.one for line in other}


def _without_slivers(parts: list[tuple[int, int, list[Segment]]]) -> list[tuple[int, int, list[Segment]]]:
    """Return the parts without single strips between equal parts, whose content belongs to both sides."""
    joined: list[tuple[int, int, list[Segment]]] = []
    for number, (left, right, segments) in enumerate(parts):
        is_sliver = 0 < number < len(parts) - 1 and right - left <= _STRIP
        if joined and (is_sliver or _have_equal_shifts(joined[-1][2], segments)):
            joined[-1] = joined[-1][0], right, joined[-1][2]
        else:
            joined.append((left, right, segments))
    return joined


def _unequal_columns(a: Words, b: Words, segments: Sequence[Segment]) -> Numbers:
    """Return how many pixels of each column differ if its rows are mapped by the segments."""
    unequal = np.zeros(a.shape[1], np.intp)
    for start, other, count in segments:
        unequal += np.count_nonzero(a[start : start + count] != b[other : other + count], axis=0)
    return unequal
