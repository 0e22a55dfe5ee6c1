"""Whether a careful person would see that two images differ, and by what."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import cv2
import msgspec
import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.derived import are_opaque, compared_pixels, full_value, on_worse_backdrop
from pytest_imgdiff.base.model import MetricGroup, MetricResult
from pytest_imgdiff.images.differing import differing_pixels, unequal, windows
from pytest_imgdiff.metrics import evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image

    Size = tuple[int, int]
    """Rows and columns."""
    Floats = NDArray[np.float32]
    Place = tuple[slice, slice]
    """Rows and columns."""
    Corners = tuple[int, int, int, int]
    """x, y, width and height."""

Level = Literal["exact", "strict", "normal", "layout"]

LARGEST = 10.0
"""The largest value. Once it is reached, no further evidence is searched for."""

_JOINED = 9
"""Side of the square that each pixel is dilated to, in pixels: pixels whose squares touch form one cluster."""

# Each kind of structural evidence: the smallest unexplained share and contrast of its pixels, and their number.
_SEVERAL = (0.4, 0.045, 3)
_STRONG = (0.6, 0.3, 1)
_MANY = (0.25, 0.045, 50)
_FAINT_AREA = (0.55, evidence.SEEN, 100)
# The same where the surroundings are unchanged.
_SMALL = (0.13, 0.1, 1)
_FAINT_LINE = (0.2, 0.03, 30)
_COUNTED = 0.1
"""Strength below which a pixel is not counted."""
_AT_MOST = 2.0
"""The largest value of evidence from many weak pixels."""

_TINTED = 0.6
"""The smallest strength of a pixel that belongs to a visible colour difference."""

_AROUND = 40
"""Radius of the surroundings of a small change, in pixels."""
_CELL = 8
_TEXTURE = 0.1
"""Smallest contrast of neighbouring pixels at which a rendering change would show in their cell."""
_STILL = 0.25
"""Fonts that are rendered differently change more than this share of the cells with texture around each change."""
_CONTEXT = 88
"""Rows beyond the differing ones that may be read: surroundings, and the reach of the filters beyond them."""
_DRIFT = 0.25
"""Share of a change's own contrast below which its surroundings count as unchanged: codec noise is far below it."""
_SPECK = 25
"""Largest number of pixels in a cluster that is too small to be text."""
_FEW = 0.05
"""Share of the pixels at edges around a speck below which those that drift are other specks, not another rendering."""
_NEARLY = 0.7
"""Strength from which on a cluster that is most of the text around it may be an edit."""
_EXACTLY = 0.1
"""Share of the other cells with texture that may differ at all where they must be equal."""
_FAR = 320
"""Distance around a cluster in which other text is searched for if there is little within `_AROUND`, in pixels."""
_MOST_ASKED = 1000
"""Largest number of clusters whose surroundings are checked, strongest first."""

_ENOUGH = 4
"""Number of blocks that are always searched. Once `LARGEST` is reached, the others are drawn by contrast only."""
_EDGE = 0.12
"""Contrast within 3x3 pixels that makes an edge of a layout."""
_LINE = (15, 5)
"""Gaps in a layout, across and down, that are closed: those between letters and words of a line."""
_GRAIN = 9
_LAYOUT_STEP = 4.0
"""Smallest visible movement of an edge or a line at the level ``layout``, in pixels."""

_CARET_HEIGHTS = {1: (8, 48), 2: (24, 64)}
"""Heights of a text cursor by its width, in pixels. A bar of two pixels is a cursor only if it is gray."""
_CARET_TONES, _CARET_CONTRAST = 8 / 255, 40 / 255
_CARET_INK, _CARET_TYPE = 0.85, 3
"""A bar with less than this share of the ink of so many pixels beside it was typed: it is no text cursor."""


@dataclass(frozen=True, slots=True)
class Visible:
    """The strongest evidence that two images differ visibly, where 1 is just visible.

    There are two kinds of evidence, each looked for around every pixel that differs.

    *Structure*: the share of the local energy that no shift of at most one pixel, in half pixels, explains. Shifts
    explain font smoothing, hinting, sub-pixel offsets, and re-encoding, but not a changed letter. Several pixels with
    a high share, one that is strong, or many that are weak are evidence. A smaller change is evidence if its
    surroundings are unchanged: another font rendering changes everything nearby, an edit does not.

    *Colour*: the difference after a blur (a Gaussian with a sigma of 5 pixels), where it keeps its sign and no shift by
    one pixel explains it. A faint panel, a hue, a shadow, and faded text count; codec noise does not.

    A text cursor (one thin upright bar of one colour in flat surroundings) that is the only evidence is not counted.

    Contrast is the weighted YIQ distance of pixelmatch 7 (see `pytest_imgdiff.metrics.yiq`), 0 to 1. The value is not
    a share of the image: the same change has the same value on a page of any size.

    Attributes:
        level: ``exact``: every pixel that differs in any channel counts. ``strict``: nothing is explained by shifts.
            ``normal``: as above. ``layout``: only boxes and lines of text that move, appear, or vanish count; colours
            and contents do not.
        caret: ``ignore``: a text cursor that is the only evidence does not count; ``count``: it does.
        scale: device pixels per CSS pixel of a screenshot: the images are reduced by it.
    """

    level: Level = "normal"
    caret: Literal["ignore", "count"] = "ignore"
    scale: Annotated[int, msgspec.Meta(ge=1, le=4)] = 1

    name: ClassVar[str] = "visible"
    summary: ClassVar[str] = "whether a person would see a difference: the strongest evidence, 1 is just visible"
    group: ClassVar[MetricGroup] = "pixels"
    usual_limit: ClassVar[float] = 1.0
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, LARGEST)
    counts_pixels: ClassVar[bool] = True
    unit: ClassVar[str] = ""
    heat_threshold: ClassVar[Literal["zero"]] = "zero"
    plane_bytes: ClassVar[tuple[int, int]] = (24, 0)
    _margin: ClassVar[int] = _CONTEXT  # see `pytest_imgdiff.images.differing`

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the strongest evidence that the images differ visibly.

        Returns:
            Details: ``pixels``, how many differ and belong to evidence; ``below``, how many differ and do not;
            ``compared_pixels``, the number that is not ignored;
            ``evidence``, the kind of the strongest (``structure``, ``colour``, ``layout`` or ``pixels``), its ``box``
            (x, y, width, height) and its contrast in ``levels`` (0..255); ``caret``, the box of a text cursor that was
            not counted. Heat: (height, width) ``uint8``, 0 where a pixel is no evidence, else 1..255 by its contrast.
        """
        # Blocks are aligned to the image, not to the rows that are read.
        bands = windows(expected, actual, self._margin * self.scale, evidence.BLOCK * self.scale)
        rows = [tuple(image.rows(band.start, band.stop) for image in (expected, actual)) for band in bands]
        size = expected.size[::-1]
        if self.level == "exact" or (
            self.level != "layout" and all(are_opaque(part) for pair in rows for part in pair)
        ):
            found = _Found.of_parts(self, size, [(band.start, *pair) for band, pair in zip(bands, rows, strict=True)])
            result = found.result(self)
        else:
            result = on_worse_backdrop(
                expected,
                actual,
                self.direction,
                lambda on: _Found.of_parts(self, size, [(0, on.rgb(expected), on.rgb(actual))]).result(self),
            )
        below = max(0, differing_pixels(expected, actual) - result.details["pixels"])
        counts = {"below": below, "compared_pixels": compared_pixels(expected, ignore)}
        return replace(result, details={**result.details, **counts})


@dataclass(eq=False)
class _Found:
    """The evidence in an image, which is searched part by part.

    Attributes:
        heat: (height, width), as in `Visible.measure`.
        value: of the strongest evidence so far, up to `LARGEST`.
        kind, box, levels: of that evidence.
        caret: the box of a text cursor that was the only evidence; None if there is none.
    """

    heat: NDArray[np.uint8]
    value: float = 0.0
    kind: str | None = None
    box: Corners | None = None
    levels: int = 0
    caret: Corners | None = None

    @classmethod
    def of_parts(cls, metric: Visible, size: Size, parts: Sequence[tuple[int, NDArray[Any], NDArray[Any]]]) -> _Found:
        """Search bands of rows, each with the number of its first row; no other rows differ."""
        found = cls(np.zeros(size, np.uint8))
        structures: list[_Structure] = []
        for top, one, two in parts:
            differs = unequal(one, two)
            first, second = _in_order(one, two, differs)
            if metric.level == "exact":
                found.add_pixels(top, first, second)
            elif metric.level == "layout":
                found.add_layout(top, _reduced(first, metric.scale), _reduced(second, metric.scale), metric.scale)
            else:
                reduced = _reduced(first, metric.scale), _reduced(second, metric.scale)
                if metric.scale > 1:
                    differs = unequal(*reduced)
                if (place := _surrounded(differs, top // metric.scale)) is None:
                    continue
                sides = [np.ascontiguousarray(side[place]) for side in (*reduced, differs)]
                begin = place[0].start + top // metric.scale, place[1].start
                before = structures[-1] if structures else None
                part = _Structure.of(begin, sides[0], sides[1], sides[2], before, shifts=metric.level == "normal")
                structures.append(part)
        if structures:
            found.add_structures(structures, metric)
        return found

    def result(self, metric: Visible) -> MetricResult:
        details: dict[str, Any] = {"pixels": int(np.count_nonzero(self.heat))}
        if self.kind is not None:
            details |= {"evidence": self.kind, "levels": self.levels}
        if self.box is not None:
            details["box"] = list(self.box)
        if self.caret is not None:
            details["caret"] = list(self.caret)
        return MetricResult(self.value, metric.unit, heat=self.heat, details=details)

    def _add_evidence(self, value: float, kind: str, box: Corners, levels: float) -> None:
        value = min(float(value), LARGEST)
        if value > self.value:
            self.value, self.kind, self.box, self.levels = value, kind, box, round(min(levels, 1.0) * 255)

    def add_pixels(self, top: int, first: NDArray[Any], second: NDArray[Any]) -> None:
        """Count every pixel that differs in any channel: the smallest difference is more than just visible."""
        one, two = (side.astype(np.float64) / full_value(side.dtype) for side in (first, second))
        share = np.abs(one - two).max(axis=2)
        if share.any():
            self.heat[top : top + len(share)] = np.where(share > 0, (share * 255).clip(1, 255), 0).astype(np.uint8)
            largest = float(share.max())
            box = _around(_box(share > 0, top), self.box)
            self._add_evidence(1 + largest * (LARGEST - 1), "pixels", box, largest)
            self.box = box

    def add_layout(self, top: int, first: Floats, second: Floats, scale: int) -> None:
        """Measure how far edges, and lines of text, are from the nearest ones of the other image."""
        one, two = _layout(first), _layout(second)
        far = np.maximum(_distances(one, two), _distances(two, one)) / np.float32(_LAYOUT_STEP)
        if (farthest := float(far.max())) > 0:
            heat = np.where(far > 1, (far * (255 / LARGEST)).clip(1, 255), 0).astype(np.uint8)
            self._paint((top // scale, 0), heat, scale)
            self._add_evidence(farthest, "layout", _box(far >= min(farthest, 1.0), top, scale), 0)

    def add_structures(self, structures: Sequence[_Structure], metric: Visible) -> None:
        """Draw and weigh the evidence of all parts; a text cursor is only searched for when all parts are complete."""
        seen = [(part, number) for part in structures for number in np.flatnonzero(part.strengths >= 1).tolist()]
        colours = sum(int(part.coloured.any()) for part in structures)
        if metric.caret == "ignore" and len(seen) == 1 and not any(part.rest.any() for part in structures):
            part, number = seen[0]
            caret = part.caret(number)
            if caret is not None and colours == int(part.coloured.any()) and part.without_caret(number, caret):
                self.caret = part.in_picture(caret, metric.scale)
        for part in structures:
            self._paint(part.place, part.heat(), metric.scale)
            for value, kind, box, contrast in part.strongest():
                self._add_evidence(value, kind, part.in_picture(box, metric.scale), contrast)

    def _paint(self, place: tuple[int, int], heat: NDArray[np.uint8], scale: int) -> None:
        large = heat.repeat(scale, axis=0).repeat(scale, axis=1) if scale > 1 else heat
        part = self.heat[place[0] * scale :, place[1] * scale :][: large.shape[0], : large.shape[1]]
        part[:] = large[: part.shape[0], : part.shape[1]]


class _Surroundings(NamedTuple):
    """Counts around a cluster.

    Attributes:
        pixels: pixels of the cluster.
        textured, drifting: cells with texture, and those of them that differ nearly as much as the cluster.
        others, drifting_others, changed_others: cells with texture and no pixel of the cluster; those of them that
            differ nearly as much; those that differ at all.
        changed: cells without a pixel of the cluster that differ at all, with texture or without.
        edges, drifting_edges: pixels at edges that are not of the cluster; those of them that differ nearly as much.
    """

    pixels: int
    textured: int
    drifting: int
    others: int
    drifting_others: int
    changed_others: int
    changed: int
    edges: int
    drifting_edges: int

    @property
    def is_alone(self) -> bool:
        """Whether the cluster has more than twice as much texture as the rest."""
        return 2 * self.others < max(2, self.textured - self.others)


@dataclass(eq=False)
class _Structure:
    """The evidence for each pixel of one part, and for each cluster of differing pixels.

    Attributes:
        place: the numbers of its first row and column, in the reduced image.
        first, second: (height, width, 3 or 4), the part of both images.
        blocks: the differing rows and columns of each block of the part; looked_at: the searched ones.
        contrast, unexplained: (height, width), as in `pytest_imgdiff.metrics.evidence.Block`.
        rest: (height, width), differing pixels that were not searched; the value is then `LARGEST`.
        coloured: (height, width), where a difference in colour is visible.
        colour: the strongest of them, relative to the smallest visible one; its row and column.
        labels: (height, width), the number of each pixel's cluster; 0 where no colour difference is visible.
        strengths: of the structural evidence of each cluster, by its number.
        certain: whether evidence of this part or of one above is as strong as `LARGEST`.
        searched: the number of searched blocks in this part and those above.
    """

    place: tuple[int, int]
    first: NDArray[Any]
    second: NDArray[Any]
    blocks: list[list[Place]]
    looked_at: list[Place]
    contrast: NDArray[np.float16]
    unexplained: NDArray[np.float16]
    rest: Mask
    coloured: Mask
    labels: NDArray[np.int32]
    strengths: Floats
    colour: float = 0.0
    colour_at: tuple[int, int] = (0, 0)
    certain: bool = False
    searched: int = 0

    @classmethod
    def of(
        cls,
        place: tuple[int, int],
        first: NDArray[Any],
        second: NDArray[Any],
        differs: NDArray[np.uint8],
        before: _Structure | None,
        *,
        shifts: bool,
    ) -> _Structure:
        size = first.shape[:2]
        planes = [np.zeros(size, np.float16) for _ in range(2)]
        masks = [np.zeros(size, np.bool_) for _ in range(2)]
        labels, strengths = np.zeros(size, np.int32), np.zeros(1, np.float32)
        blocks = list(evidence.differing_blocks(differs, place))
        part = cls(place, first, second, blocks, [], planes[0], planes[1], masks[0], masks[1], labels, strengths)
        if before is not None:
            part.certain, part.searched = before.certain, before.searched
        part._search(shifts=shifts)
        part._gather()
        return part

    def _search(self, *, shifts: bool) -> None:
        tinted = np.zeros(self.contrast.shape, np.bool_)

        places = [(place, number == 0) for places in self.blocks for number, place in enumerate(places)]
        for place, begins in places:
            self.searched += begins
            if self.certain and self.searched > _ENOUGH:
                contrast = evidence.channel_contrast(self.first[place], self.second[place])
                self.rest[place] = contrast > _SEVERAL[1]
                self.contrast[place] = contrast
                continue
            block = evidence.look(self.first, self.second, *place, shifts=shifts)
            self.looked_at.append(place)
            self.contrast[place], self.unexplained[place] = block.contrast, block.unexplained
            self.coloured[place] |= block.colour > 1
            tinted[place] |= block.colour > _TINTED
            if (strongest := float(block.colour.max())) > self.colour:
                row, column = np.unravel_index(block.colour.argmax(), block.colour.shape)
                self.colour, self.colour_at = strongest, (int(row) + place[0].start, int(column) + place[1].start)
            self.certain = self.certain or strongest >= LARGEST or _is_certain(block)
        if self.colour > 1:
            near = _place(tinted)
            count, labels = cv2.connectedComponents(tinted[near].view(np.uint8), connectivity=8)
            reached = np.zeros(count, np.bool_)
            reached[labels[self.coloured[near]]] = True
            self.coloured[near] = reached[labels] & (self.contrast[near] > 0)

    def _gather(self) -> None:
        """Join pixels that differ into clusters, and weigh them."""
        seen = np.zeros(self.contrast.shape, np.bool_)
        for place in self.looked_at:
            seen[place] = self.contrast[place] > evidence.SEEN
        place = rows, _ = _place(seen)
        if not seen[place].size:
            return
        near = cv2.dilate(seen[place].view(np.uint8), np.ones((_JOINED, _JOINED), np.uint8))
        count, labels = cv2.connectedComponents(near, connectivity=8)
        np.multiply(labels, seen[place], out=self.labels[place])
        planes = self.labels[rows], self.unexplained[rows], self.contrast[rows]
        if self.rest.any():  # the value is certain: the strength of the others does not matter
            self.strengths = _evident(*planes, count)
            return
        self.strengths, lone, strongest = weighed(*planes, count)
        # One that is evidence already is asked as well where it may be the strongest: its value would fall otherwise
        # as soon as it becomes strong enough to need no still surroundings.
        asked = np.flatnonzero((lone > self.strengths) & ((self.strengths < 1) | (lone > self.strengths.max())))
        asked = asked[np.argsort(-lone[asked], kind="stable")][:_MOST_ASKED]
        for number, pixel in zip(asked.tolist(), strongest[asked].tolist(), strict=True):
            if lone[number] < 1 and lone[number] <= self.strengths.max():
                break  # neither this one nor a later one can be evidence, or the strongest
            row, column = divmod(pixel, self.labels.shape[1])
            if self._is_stationary(number, rows.start + row, column):
                self.strengths[number] = lone[number]

    def _is_stationary(self, number: int, row: int, column: int) -> bool:
        """Return whether the surroundings of a pixel did not change with its cluster.

        A speck itself is not texture. Another font rendering changes everything nearby by a similar amount. Codec noise
        does not, so an edit that was encoded again is still detected. A cluster that is most of the text near it is an
        edit if it is nearly evidence already and the rest of the text is equal, or if nothing else nearby differs.
        """
        near = self._surroundings(number, row, column, _AROUND)
        if near.pixels <= _SPECK:
            return near.drifting_others < _STILL * max(1, near.others) or near.drifting_edges < _FEW * near.edges
        if near.drifting < _STILL * max(1, near.textured):
            return True
        if self.strengths[number] < _NEARLY or near.changed_others > _EXACTLY * near.others:
            return False
        if near.is_alone:
            near = self._surroundings(number, row, column, _FAR)
        if near.changed_others > _EXACTLY * near.others:
            return False
        return not near.is_alone or not near.changed

    def _surroundings(self, number: int, row: int, column: int, around: int) -> _Surroundings:
        height, width = self.contrast.shape
        top, left = (max(0, place - around) // _CELL * _CELL for place in (row, column))
        bottom, right = min(height, row + around + _CELL), min(width, column + around + _CELL)
        place = np.s_[top:bottom, left:right]
        lumas = [evidence.luma(side[place]) for side in (self.first, self.second)]
        textured = np.logical_or(*(_has_texture(luma) for luma in lumas))
        own, contrast = self.labels[place] == number, self.contrast[place]
        enough = max(evidence.SEEN, _DRIFT * float(contrast[own].max()))
        edges: Mask = np.logical_or(*map(_are_edges, lumas)) & ~own
        largest = _cells(contrast, np.maximum)
        drifts = largest > enough
        others = _cells(own.view(np.uint8), np.maximum) == 0
        masks = textured, textured & drifts, textured & others, textured & others & drifts
        changed = (textured & others & (largest > 0)), (others & (largest > 0))
        at_edges = edges, edges & (contrast > enough)
        return _Surroundings(*(int(np.count_nonzero(mask)) for mask in (own, *masks, *changed, *at_edges)))

    def heat(self) -> NDArray[np.uint8]:
        heat, strong = np.zeros(self.contrast.shape, np.uint8), self.strengths >= 1
        for place in itertools.chain.from_iterable(self.blocks):
            contrast = self.contrast[place].astype(np.float32)
            evident = (strong[self.labels[place]] | self.coloured[place] | self.rest[place]) & (contrast > 0)
            heat[place] = (contrast * np.float32(255)).clip(1, 255) * evident
        return heat

    def strongest(self) -> list[tuple[float, str, Corners, float]]:
        """Return the strongest evidence of each kind: value, kind, box (x, y, width, height) and contrast."""
        found = []
        if self.strengths.size > 1:
            number = int(self.strengths.argmax())
            if self.strengths[number] > 0:
                mask = self.labels == number
                value = LARGEST if self.rest.any() and self.colour < LARGEST else float(self.strengths[number])
                found.append((value, "structure", _box(mask), float(self.contrast[mask].max())))
        if self.colour > 0:
            box, contrast = (self.colour_at[1], self.colour_at[0], 1, 1), float(self.contrast[self.colour_at])
            if self.coloured[self.colour_at]:
                near = _place(self.coloured)
                _, labels = cv2.connectedComponents(self.coloured[near].view(np.uint8), connectivity=8)
                begin = near[0].start, near[1].start
                mask = labels == labels[self.colour_at[0] - begin[0], self.colour_at[1] - begin[1]]
                x, y, width, height = _box(mask)
                box = x + begin[1], y + begin[0], width, height
                contrast = float(np.median(self.contrast[near][mask]))
            found.append((self.colour, "colour", box, contrast))
        return found

    def in_picture(self, box: Corners, scale: int) -> Corners:
        """Return the place of a box of this part in the image: x, y, width and height."""
        x, y, width, height = box
        return (x + self.place[1]) * scale, (y + self.place[0]) * scale, width * scale, height * scale

    def caret(self, number: int) -> Corners | None:
        """Return the box of a text cursor that makes up a whole cluster, or None."""
        mask = (self.labels == number) & (self.contrast > _SMALL[1])
        box = x, y, width, height = _box(mask)
        rows, columns = self.contrast.shape
        if y == 0 or x == 0 or y + height == rows or x + width == columns:
            return None
        shortest, tallest = _CARET_HEIGHTS.get(width, (1, 0))
        if not shortest <= height <= tallest or np.count_nonzero(mask) < width * height:
            return None
        fringes = self.contrast[y : y + height, [x - 1, x + width]] > evidence.SEEN
        if (fringes.mean(axis=0) >= 1 / 2).any():
            return None  # a cursor fills whole pixels; a typed bar is smoothed
        place = np.s_[y - 1 : y + height + 1, x - 1 : x + width + 1]
        first, second = (
            side[place][..., :3].astype(np.float32) / np.float32(full_value(side.dtype))
            for side in (self.first, self.second)
        )
        for side, bar, ground in ((self.first, first, second), (self.second, second, first)):
            tone = np.median(bar[1:-1, 1], axis=0)
            if width > 1 and np.ptp(tone) > _CARET_CONTRAST:
                continue
            columns = [np.s_[:, [0, middle, -1]] for middle in range(1, width + 1)]
            if all(_is_ground(ground[three]) and _is_caret(bar[three], tone) for three in columns):
                return None if self._is_fainter_than_type(side, box, tone) else box
        return None

    def _is_fainter_than_type(self, side: NDArray[Any], box: Corners, tone: Floats) -> bool:
        """Whether the colour of a bar is a neighbouring colour mixed with the background: smoothed text.

        A text cursor has the colour of the text, or another one, in full.
        """
        x, y, width, height = box
        left = max(0, x - height)
        line = side[y : y + height, left : x + width + height, :3].astype(np.float32)
        line /= np.float32(full_value(side.dtype))
        ground = np.median(line.reshape(-1, 3), axis=0)
        ink, colours = tone - ground, line - ground
        parts = colours @ ink / (ink @ ink)
        apart = np.abs(colours - parts[..., None] * ink).max(axis=-1)
        stronger = (parts * np.float32(_CARET_INK) > 1) & (apart < _CARET_TONES * parts)
        return bool(np.count_nonzero(stronger) >= _CARET_TYPE)

    def without_caret(self, number: int, box: Corners) -> bool:
        """Remove a text cursor from the evidence if it is the only evidence."""
        x, y, width, height = box
        reach = evidence.MARGIN
        around = np.s_[max(0, y - reach) : y + height + reach, max(0, x - reach) : x + width + reach]
        beyond = self.coloured.copy()
        beyond[around] = False
        if beyond.any():
            return False
        self.strengths[number] = 0
        self.coloured[around] = False
        self.colour = 0.0
        return True


def _is_ground(around: Floats) -> bool:
    """Whether the middle column of (height, 3, 3) colours continues one beside it, but where a letter overhangs it."""
    left, middle, right = (around[:, column] for column in range(3))
    steps = np.minimum(np.abs(middle - left).max(axis=-1), np.abs(middle - right).max(axis=-1))
    return bool((steps <= _CARET_TONES).mean() >= 3 / 4)


def _is_caret(around: Floats, tone: Floats) -> bool:
    """Whether the middle column of (height, 3, 3) colours is a bar of this tone that touches nothing.

    A letter may touch one of its sides: a text cursor stands behind it.
    """
    unlike = np.abs(around - tone).max(axis=-1) >= _CARET_CONTRAST
    sides = sorted((unlike[1:-1, 0].mean(), unlike[1:-1, 2].mean()))
    free = unlike[0, 1] and unlike[-1, 1] and sides[0] >= 1 / 2 and sides[1] == 1
    return bool(free and np.abs(around[1:-1, 1] - tone).max() <= _CARET_TONES)


def _place(mask: NDArray[Any]) -> Place:
    """Return the rows and columns that have nonzero values; empty if there are none."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return slice(y, y + height), slice(x, x + width)


def _surrounded(differs: NDArray[np.uint8], top: int) -> Place | None:
    """Return the differing rows and columns and their surroundings, aligned to whole tiles of the image.

    Args:
        differs: (height, width), not 0 where a part of the image differs.
        top: the number of its first row in the image.
    """
    rows, columns = _place(differs)
    if rows.start == rows.stop:
        return None
    begins = (
        max(0, (rows.start + top - _CONTEXT) // evidence.TILE * evidence.TILE - top),
        max(0, (columns.start - _CONTEXT) // evidence.TILE * evidence.TILE),
    )
    height, width = differs.shape
    return slice(begins[0], min(height, rows.stop + _CONTEXT)), slice(begins[1], min(width, columns.stop + _CONTEXT))


def _in_order(one: NDArray[Any], two: NDArray[Any], differs: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return two images in an order that does not depend on the argument order, so that rounding does not either."""
    first = _place(differs)[0].start
    column = int((differs[first] > 0).argmax())
    return (one, two) if one[first, column].tolist() <= two[first, column].tolist() else (two, one)


def _reduced(picture: NDArray[Any], scale: int) -> NDArray[Any]:
    if scale == 1:
        return picture
    height, width = picture.shape[:2]
    colours = picture[..., :3].astype(np.float32) / np.float32(full_value(picture.dtype))
    whole = cv2.copyMakeBorder(colours, 0, -height % scale, 0, -width % scale, cv2.BORDER_REPLICATE)
    size = -(-width // scale), -(-height // scale)
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA)).reshape(size[1], size[0], 3)


def _strength(share: Floats, contrast: Floats, kind: tuple[float, float, int]) -> Floats:
    """Return 1 where share and contrast are just enough; below 1 the smaller ratio, above 1 both."""
    x, y = share / np.float32(kind[0]), contrast / np.float32(kind[1])
    strength: Floats = np.where(np.minimum(x, y) <= 1, np.minimum(x, y), 1 + (x - 1) * (y - 1))
    return strength


def _weakness(share: Floats, contrast: Floats, kind: tuple[float, float, int]) -> Floats:
    least = np.minimum(share / np.float32(kind[0]), contrast / np.float32(kind[1]))
    return np.asarray(np.minimum(least, np.float32(_AT_MOST)), np.float32)


def _is_certain(block: evidence.Block) -> bool:
    """Whether a cluster of this block already has the largest value."""
    strongest = _strength(block.unexplained, block.contrast, _SEVERAL) >= LARGEST
    if not strongest.any():
        return False
    return bool(cv2.boxFilter(strongest.view(np.uint8), cv2.CV_8U, (3, 3), normalize=False).max() >= _SEVERAL[2])


def _evident(
    labels: NDArray[np.int32], unexplained: NDArray[np.float16], contrasts: NDArray[np.float16], count: int
) -> Floats:
    """Return 1 for each cluster that is evidence regardless of its surroundings, else 0."""
    numbers, share, contrast = _of_clusters(labels, unexplained, contrasts)[1:]
    found = np.zeros(count, np.bool_)
    for least_share, least_contrast, pixels in (_SEVERAL, _STRONG, _MANY, _FAINT_AREA):
        evident = (share >= np.float32(least_share)) & (contrast >= np.float32(least_contrast))
        found |= np.bincount(numbers[evident], minlength=count) >= pixels
    return found.astype(np.float32)


def _of_clusters(
    labels: NDArray[np.int32], unexplained: NDArray[np.float16], contrasts: NDArray[np.float16]
) -> tuple[NDArray[np.intp], NDArray[np.int32], Floats, Floats]:
    """Return, for each pixel of a cluster, its index, the cluster's number, and its unexplained share and contrast."""
    pixels = np.flatnonzero(labels)
    share, contrast = (plane.reshape(-1)[pixels].astype(np.float32) for plane in (unexplained, contrasts))
    return pixels, labels.reshape(-1)[pixels], share, contrast


def weighed(
    labels: NDArray[np.int32], unexplained: NDArray[np.float16], contrasts: NDArray[np.float16], count: int
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return, for each cluster, the strength of its evidence, and its strength if its surroundings are unchanged.

    Also return the index of its first pixel with the largest product of share and contrast; -1 where it has no pixel.
    """
    if CORE is not None:
        found = CORE.weigh(labels, unexplained, contrasts, count)
        if found is not None:
            strengths, lone = (np.frombuffer(part, np.float32) for part in found[:2])
            return strengths, lone, np.frombuffer(found[2], np.int64)
    pixels, numbers, share, contrast = _of_clusters(labels, unexplained, contrasts)
    strengths = np.maximum.reduce(
        [
            *(
                _nth_strongest(numbers, _strength(share, contrast, kind), kind[2], count)
                for kind in (_SEVERAL, _STRONG)
            ),
            *(
                _nth_strongest(numbers, _weakness(share, contrast, kind), kind[2], count)
                for kind in (_MANY, _FAINT_AREA)
            ),
        ]
    )
    lone = np.maximum.reduce(
        [_nth_strongest(numbers, _weakness(share, contrast, kind), kind[2], count) for kind in (_SMALL, _FAINT_LINE)]
    )
    strongest = np.full(count, -1, np.int64)
    order = np.lexsort((-share * contrast, numbers))
    begins = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    strongest[numbers[order[begins]]] = pixels[order[begins]]
    return strengths, lone, strongest


def _nth_strongest(numbers: NDArray[Any], strengths: Floats, nth: int, count: int) -> Floats:
    """Return, for each cluster, the strength that ``nth`` pixels reach; 0 if it has fewer pixels."""
    found = np.zeros(count, np.float32)
    kept = np.flatnonzero(strengths > _COUNTED)
    order = kept[np.lexsort((-strengths[kept], numbers[kept]))]
    ordered = numbers[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    at = begins + nth - 1
    inside = at < np.append(begins[1:], ordered.size)
    found[ordered[begins[inside]]] = strengths[order[at[inside]]]
    return found


def _has_texture(luma: Floats) -> NDArray[np.bool_]:
    """Return which cells have edges both across and down, as text has: lines and gradients never drift."""
    steps = (np.abs(np.diff(luma, axis=axis, append=np.take(luma, [-1], axis))) for axis in (0, 1))
    down, across = (_cells(step, np.maximum) > _TEXTURE for step in steps)
    both: NDArray[np.bool_] = down & across
    return both


def _are_edges(luma: Floats) -> NDArray[np.bool_]:
    """Return which pixels are at an edge, whatever its direction."""
    square = np.ones((3, 3), np.uint8)
    steep: NDArray[np.bool_] = cv2.dilate(luma, square) - cv2.erode(luma, square) > _TEXTURE
    return steep


def _cells(plane: NDArray[Any], best: np.ufunc) -> NDArray[Any]:
    """Return the largest or the smallest value of each cell of 8x8 pixels; those at the edge may be smaller."""
    height, width = plane.shape
    down = best.reduceat(plane, np.arange(0, height, _CELL), axis=0)
    cells: NDArray[Any] = best.reduceat(down, np.arange(0, width, _CELL), axis=1)
    return cells


def _box(mask: NDArray[np.bool_], top: int = 0, scale: int = 1) -> Corners:
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return x * scale, (y + top) * scale, width * scale, height * scale


def _around(box: Corners, other: Corners | None) -> Corners:
    """Return the smallest box that contains both."""
    if other is None:
        return box
    x, y = min(box[0], other[0]), min(box[1], other[1])
    right, bottom = max(box[0] + box[2], other[0] + other[2]), max(box[1] + box[3], other[1] + other[3])
    return x, y, right - x, bottom - y


def _layout(picture: Floats) -> NDArray[np.uint8]:
    """Return (height, width), 1 at the edges of boxes and within lines of text."""
    colours = evidence.space(picture)
    side = np.ones((3, 3), np.uint8)
    edges = [cv2.morphologyEx(channel, cv2.MORPH_GRADIENT, side) for channel in colours]
    ink = (np.maximum.reduce(edges) > _EDGE).view(np.uint8)
    closed = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones(_LINE[::-1], np.uint8))
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    kept = statistics[:, cv2.CC_STAT_AREA] > _GRAIN
    kept[0] = False
    return np.asarray(kept[:count][labels].view(np.uint8))


def _distances(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> Floats:
    """Return, at each edge of one image, the distance to the nearest edge of the other; 0 elsewhere."""
    if not two.any():
        return np.asarray(np.where(one > 0, one.size, 0), np.float32)
    far = cv2.distanceTransform(1 - two, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(np.where(one > 0, far, 0), np.float32)
