"""Map of the lines of two images: rows or columns, of the whole images or of parts.

Lines that are equal byte for byte vote for offsets between the two images, and dynamic programming chooses the offset
of each line that leaves the least unexplained. The compiled core does the work if it is available; the code next to
each call is its reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from pytest_imgdiff._core import CORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_imgdiff.base.geometry import Axis, Rect

    Words = NDArray[np.uint32]
    """(height, width): RGBA with 8 bits per channel, one word per pixel."""
    Numbers = NDArray[np.intp]
    Costs = NDArray[np.float64]
    Digests = NDArray[np.uint64]


_NOISE = 16
"""Maximum difference of two pixels that count as the same when lines are aligned, in levels of 255."""
_MOST_OFFSETS = 8
_FAIR_VOTES = 2
"""Lines that must agree on an offset: one may be equal by chance."""
_MOST_GUESSED = 4
"""Offsets that are estimated by correlation if few lines are equal byte for byte."""
_SAMPLES = 256
"""Evenly spread pixels of a line by which two lines are compared; only digests use full lines."""
_PROFILE = 32
"""Numbers that describe a line when offsets are estimated."""
_CHANGE = 3.0
"""Completely different lines that a change of offset must save. Below, lines that repeat by chance become moves."""
_SKIPPED = 0.5
"""Cost of an inserted or deleted line with content, in completely different lines: two equal a changed one."""
_NEARLY = 0.02
"""Cost of a line that is equal within `_NOISE`: worse than an equal line, better than any other."""
_DRIFTED = 0.1
"""Cost of a line with the same ink at other columns, or equal to its neighbour: a line that drifts by part of a pixel
or sideways is the same line."""
_TONE = 25.0
"""Weight of ink: a difference of a twentieth means other ink. A line that drifts differs by at most a hundredth."""
_FEW_EQUAL = 0.5
"""Share of lines with content below which equal lines alone do not determine the offsets."""
_LEAST_INK = 1 / 64
"""Minimum share of a line that its ink counts as."""
_ROUNDING = 1e-9
_BEYOND = 1.5
"""Cost of a line without a counterpart: more than a completely different line."""


class View(NamedTuple):
    """A rectangle of an image."""

    words: Words
    rect: Rect

    @property
    def pixels(self) -> Words:
        """The pixels of the rectangle."""
        return self.rect.of(self.words)

    @property
    def rows(self) -> Words:
        """The full rows of the image that contain the rectangle: C-contiguous, as the compiled core reads them."""
        return self.words[self.rect.y : self.rect.y + self.rect.height]

    def columns(self, left: int, right: int) -> View:
        """Return its columns from ``left`` up to ``right``."""
        return self._replace(rect=self.rect.columns(left, right))


class Segment(NamedTuple):
    """The lines from ``one`` on in the expected image that are those from ``two`` on in the actual image."""

    one: int
    two: int
    length: int


class LineMap(NamedTuple):
    """Map of lines: segments that ascend in both images, and the cost that they leave unexplained.

    The costs count completely different lines, beyond what the numbers of lines demand: the cost of this map, and the
    cost of the images in place.
    """

    segments: list[Segment]
    cost: float
    in_place: float

    def is_believed(self, share: float) -> bool:
        """Whether it leaves at most this share of the cost of the images in place."""
        return self.in_place > 0 and self.cost <= share * self.in_place


class Lines:
    """The lines of a rectangle, its rows or its columns, as samples, ink and digests."""

    def __init__(self, view: View, axis: Axis, length: int) -> None:
        """Take the first ``length`` pixels of each line."""
        rect = view.rect
        self._axis = axis
        self._length = length
        self._view = view._replace(rect=rect.columns(0, length) if axis == "rows" else rect.rows(0, length))
        self.count = rect.height if axis == "rows" else rect.width
        step = -(-length // _SAMPLES)
        pixels = self._view.pixels
        sampled = np.ascontiguousarray(pixels[:, ::step] if axis == "rows" else pixels[::step].T)
        self.samples: NDArray[np.uint8] = sampled.view(np.uint8).reshape(self.count, -1)
        self.width = sampled.shape[1]
        self.ink, self.repeats = _ink(self.samples)
        """Number of samples that differ from the one before, 0 for lines of one colour; which lines repeat the line
        before."""
        self.content = self.ink > 0
        self.content_before: Costs = np.zeros(self.count + 1)
        """Number of lines with content before each line, without those that repeat the line before: borders that run
        through them, the inside of a box."""
        np.cumsum(self.content & ~self.repeats, out=self.content_before[1:])
        self.digests = digests_of(self._view, axis)
        """A number for each line: the same for equal lines, and rarely the same for different ones."""

    def profile(self) -> NDArray[np.float32]:
        """Return (lines, `_PROFILE`): the brightness of each line, column by column, minus the line before it."""
        gray = cv2.cvtColor(self.samples.reshape(self.count, -1, 4), cv2.COLOR_RGBA2GRAY)
        size = min(_PROFILE, self.width), self.count
        small = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.float32).reshape(self.count, -1)
        return np.diff(small, axis=0, prepend=small[:1])

    def tone(self) -> Costs:
        """Return (lines, 4): the sum of each line's pixels minus its typical colour, per channel.

        This is the exact amount of ink of the line, independent of its position in the line.
        """
        sums = sums_of(self._view, self._axis)
        ink: Costs = sums - self._length * medians_of(self.samples, -(-self.width // _PROFILE))
        return ink


def _ink(samples: NDArray[np.uint8]) -> tuple[Costs, NDArray[np.bool_]]:
    """Return how many samples of each line differ from the one before, and which lines are equal to the line before."""
    count = len(samples)
    if CORE is not None:
        found = CORE.line_ink(samples, count, samples.shape[1] // 4, _NOISE)
        if found is not None:
            return np.frombuffer(found[0]), np.frombuffer(found[1], np.bool_)
    repeats = np.zeros(count, np.bool_)
    repeats[1:] = (samples[1:] == samples[:-1]).all(axis=1)
    return _marked(samples[:, 4:], samples[:, :-4]).astype(np.float64), repeats


def digests_of(view: View, axis: Axis) -> Digests:
    """Return the sum of the products of each line's pixels with widely spaced odd numbers."""
    rect = view.rect
    if CORE is not None:
        sizes = view.words.shape[1], rect.x, rect.width, rect.height
        found = CORE.line_digests(view.rows, *sizes, axis == "columns")
        if found is not None:
            return np.frombuffer(found, np.uint64)
    length, along = (rect.width, 1) if axis == "rows" else (rect.height, 0)
    mixed = np.arange(1, length + 1, dtype=np.uint32) * np.uint32(0x9E3779B1)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x85EBCA6B)
    factors = mixed ^ mixed >> np.uint32(13) | np.uint32(1)
    if axis == "columns":
        factors = factors[:, np.newaxis]
    digests: Digests = np.multiply(view.pixels, factors, dtype=np.uint64).sum(axis=along)
    return digests


def sums_of(view: View, axis: Axis) -> Costs:
    """Return (lines, 4): the sums of the channels of each line."""
    rect = view.rect
    if CORE is not None:
        sizes = view.words.shape[1], rect.x, rect.width, rect.height
        found = CORE.line_sums(view.rows, *sizes, axis == "columns")
        if found is not None:
            return np.frombuffer(found).reshape(-1, 4)
    pixels = view.pixels
    channels = pixels.view(np.uint8).reshape(*pixels.shape, 4)
    sums: Costs = channels.sum(axis=1 if axis == "rows" else 0, dtype=np.uint64).astype(np.float64)
    return sums


def medians_of(samples: NDArray[np.uint8], step: int) -> Costs:
    """Return (lines, 4): the median of each channel of every ``step``-th sample of each line."""
    count = len(samples)
    if CORE is not None:
        found = CORE.line_medians(samples, count, samples.shape[1] // 4, step)
        if found is not None:
            return np.frombuffer(found).reshape(-1, 4)
    medians: Costs = np.median(samples.reshape(count, -1, 4)[:, ::step], axis=1).astype(np.float64)
    return medians


def _marked(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> Numbers:
    """Return for each line how many of its samples differ by more than `_NOISE` in any channel."""
    if not one.size:
        return np.zeros(len(one), np.intp)
    _, marked = cv2.threshold(cv2.absdiff(one, two), _NOISE, 255, cv2.THRESH_BINARY)
    counts: Numbers = np.count_nonzero(np.ascontiguousarray(marked).reshape(len(one), -1).view(np.uint32), axis=1)
    return counts


def line_map(a: View, b: View, axis: Axis) -> LineMap:
    """Return the map of the lines of two views; if their lengths are unequal, the common part counts."""
    return _mapped(*_lines(a, b, axis))


def believed_map(a: View, b: View, axis: Axis, share: float) -> LineMap | None:
    """Return the map of the lines if it is believed at this share; see `LineMap.is_believed`."""
    one, two = _lines(a, b, axis)
    if _is_implausible(one, two, share):
        return None
    lines = _mapped(one, two)
    return lines if lines.is_believed(share) else None


def _lines(a: View, b: View, axis: Axis) -> tuple[Lines, Lines]:
    length = min(view.rect.width if axis == "rows" else view.rect.height for view in (a, b))
    return Lines(a, axis, length), Lines(b, axis, length)


def _is_implausible(one: Lines, two: Lines, share: float) -> bool:
    """Whether no map of equally many lines can be believed: each has a change of offset, and lines without an equal."""
    if one.count != two.count:
        return False
    most = share * float(line_costs(one, two, 0, None).sum())
    if most < _CHANGE - _ROUNDING:
        return True
    unequal = one.content & ~one.repeats & ~np.isin(one.digests, two.digests)
    return bool(_CHANGE + _NEARLY * np.count_nonzero(unequal) - _ROUNDING * one.count > most)


def _mapped(one: Lines, two: Lines) -> LineMap:
    offsets, is_noisy = _offsets(one, two)
    tones = (one.tone(), two.tone()) if is_noisy else None
    costs = np.stack([line_costs(one, two, offset, tones) for offset in offsets])
    return cheapest(one, two, offsets, costs)


def _offsets(one: Lines, two: Lines) -> tuple[list[int], bool]:
    """Return the candidate offsets, ascending, and whether lines are rarely equal byte for byte."""
    n, m = one.count, two.count
    votes, equal = votes_of(one, two)
    voted = np.flatnonzero(votes >= _FAIR_VOTES)
    voted = voted[np.argsort(-votes[voted], kind="stable")]
    chosen = [offset - n for offset in voted[:_MOST_OFFSETS].tolist()]
    is_noisy = equal < _FEW_EQUAL * max(1.0, float(np.count_nonzero(one.content)))
    if len(chosen) < 2 or is_noisy:  # noqa: PLR2004 - one offset moves nothing
        chosen += _guessed(one, two)
    return sorted({*chosen, 0, m - n}), is_noisy


def votes_of(one: Lines, two: Lines) -> tuple[NDArray[np.int64], int]:
    """Return how many lines vote for each offset, and how many lines with content the other image has.

    Lines with content vote if they occur once in either image; the first number is for the smallest offset,
    -``one.count``.
    """
    first, second = one.digests, two.digests
    if CORE is not None:
        found = CORE.line_votes(first, second, one.content)
        if found is not None:
            return np.frombuffer(found[0], np.int64), found[1]
    values, starts, counts = np.unique(first, return_index=True, return_counts=True)
    others, other_starts, other_counts = np.unique(second, return_index=True, return_counts=True)
    _, mine, theirs = np.intersect1d(
        values[counts == 1], others[other_counts == 1], assume_unique=True, return_indices=True
    )
    here, there = starts[counts == 1][mine], other_starts[other_counts == 1][theirs]
    telling = one.content[here]
    votes = np.bincount((there - here)[telling] + one.count, minlength=one.count + two.count + 1)
    return votes, int(np.isin(first[one.content], second).sum())


def _guessed(one: Lines, two: Lines) -> list[int]:
    """Return the offsets at which the profiles of the lines correlate best (by the Fourier transform)."""
    n, m = one.count, two.count
    size = cv2.getOptimalDFTSize(n + m)
    spectra = [np.fft.rfft(lines.profile(), size, axis=0) for lines in (one, two)]
    correlation = np.fft.irfft((np.conj(spectra[0]) * spectra[1]).sum(axis=1), size)
    found = []
    for _ in range(_MOST_GUESSED):
        place = int(correlation.argmax())
        if correlation[place] <= 0:
            break
        offset = place if place < m else place - size
        if -n < offset < m:
            found.append(offset)
        correlation[max(0, place - 1) : place + 2] = 0
    return found


def line_costs(one: Lines, two: Lines, offset: int, tones: tuple[Costs, Costs] | None) -> Costs:
    """Return the cost of each line of the first image at an offset, from 0 if equal to 1 if completely different.

    Without a counterpart the cost is more than 1. If lines are rarely equal byte for byte, their tones show which of
    them drifted.
    """
    if CORE is not None:
        sides = [
            (lines.samples, lines.ink, lines.digests, tone)
            for lines, tone in zip((one, two), tones or (None, None), strict=True)
        ]
        limits = _NOISE, one.width * _LEAST_INK, _DRIFTED, _TONE, _NEARLY, _BEYOND
        of_core = CORE.line_costs(*sides, one.width, offset, limits)
        if of_core is not None:
            return np.frombuffer(of_core)
    costs = np.full(one.count, _BEYOND)
    start, stop = max(0, -offset), min(one.count, two.count - offset)
    if stop <= start:
        return costs
    here, there = slice(start, stop), slice(start + offset, stop + offset)
    found = _mismatch(one, two, here, there)
    if tones is not None:  # a page that drifts by a fraction of a pixel is the same page
        for drift in (-1, 1):
            low, high = max(start, -offset - drift), min(stop, two.count - offset - drift)
            if high > low:
                beside = _mismatch(one, two, slice(low, high), slice(low + offset + drift, high + offset + drift))
                part = found[low - start : high - start]
                np.minimum(part, _DRIFTED + beside, out=part)
        np.minimum(found, _drifted_sideways(tones[0][here], tones[1][there]), out=found)
    np.maximum(found, _NEARLY, out=found)
    found[one.digests[here] == two.digests[there]] = 0
    costs[here] = found
    return costs


def _mismatch(one: Lines, two: Lines, here: slice, there: slice) -> Costs:
    differing = _marked(one.samples[here], two.samples[there])
    ink = np.maximum(np.maximum(one.ink[here], two.ink[there]), one.width * _LEAST_INK)
    costs: Costs = np.minimum(1.0, differing / ink)
    return costs


def _drifted_sideways(mine: Costs, theirs: Costs) -> Costs:
    """Return the cost of lines that may have the same ink at other columns, as in a table with wider columns."""
    ink = np.maximum(np.abs(mine), np.abs(theirs)).sum(axis=1)
    apart = np.abs(mine - theirs).sum(axis=1) / np.maximum(ink, 255)
    costs: Costs = np.minimum(1.0, _DRIFTED + _TONE * apart)
    return costs


def cheapest(one: Lines, two: Lines, offsets: list[int], costs: Costs) -> LineMap:
    """Choose an offset for each line that minimises the total cost of lines and changes of offset.

    Dynamic programming: ``best[k, i]`` is the minimum cost of the first ``i`` lines if the last of them has offset
    ``k``. Each round allows one more change of offset, for all lines at the same time: the cost of a change is known
    where it happens, and what follows up to any line is a running minimum.
    """
    n, m = one.count, two.count
    if CORE is not None:
        content = one.content_before, two.content_before
        found = CORE.cheapest_lines(costs, np.array(offsets, np.int64), *content, _CHANGE, _SKIPPED, _ROUNDING)
        if found is not None:
            return LineMap([Segment(*segment) for segment in found[0]], *found[1:])
    before = np.concatenate([np.zeros((len(offsets), 1)), np.cumsum(costs, axis=1)], axis=1)
    best = np.full((len(offsets), n + 1), np.inf)
    for number, offset in enumerate(offsets):
        start, skipped = max(0, -offset), _skipped(one, two, 0, max(0, -offset), 0, max(0, offset))
        if start <= n and offset <= m:
            best[number, start:] = before[number, start:] - before[number, start] + (_CHANGE if offset else 0) + skipped
    steps: list[tuple[Numbers, Numbers]] = []
    while len(steps) < n:
        better, origin, place = _one_change_more(one, two, offsets, before, best)
        improved = better < best - _ROUNDING
        if not improved.any():
            break
        steps.append((np.where(improved, origin, -1), place))
        best = np.where(improved, better, best)
    ends = [_end_cost(one, two, best[number], offset) for number, offset in enumerate(offsets)]
    last = int(np.argmin(ends))
    in_place = before[offsets.index(0), min(n, m)] + (
        _CHANGE + _skipped(one, two, min(n, m), n, min(n, m), m) if n != m else 0.0
    )
    demanded = _CHANGE + _SKIPPED * abs(one.content_before[-1] - two.content_before[-1]) if n != m else 0.0
    return LineMap(_traced(steps, offsets, last, n, m), float(ends[last] - demanded), float(in_place - demanded))


def _skipped(one: Lines, two: Lines, start: int, stop: int, other: int, other_stop: int) -> float:
    """Return the cost of deleting lines of the first image and inserting lines of the second."""
    deleted = one.content_before[min(stop, one.count)] - one.content_before[min(start, one.count)]
    inserted = two.content_before[min(other_stop, two.count)] - two.content_before[min(other, two.count)]
    return float(_SKIPPED * (deleted + inserted))


def _one_change_more(
    one: Lines, two: Lines, offsets: list[int], before: Costs, best: Costs
) -> tuple[Costs, Numbers, Numbers]:
    """Return the minimum costs if the last event is a change of offset, the offset before it, and the line after it."""
    n, m = one.count, two.count
    lines = np.arange(n + 1)
    better = np.full(best.shape, np.inf)
    origin = np.zeros(best.shape, np.intp)
    place = np.zeros(best.shape, np.intp)
    for number, offset in enumerate(offsets):
        arrived = np.full(best.shape, np.inf)
        for source, old in enumerate(offsets):
            if old == offset:
                continue
            if offset > old:  # lines of the other are inserted
                stop = min(n, m - offset)
                if stop < 0:
                    continue
                start = max(0, -old)
                there = lines[start : stop + 1]
                inserted = two.content_before[there + offset] - two.content_before[there + old]
                arrived[source, start : stop + 1] = best[source, start : stop + 1] + _CHANGE + _SKIPPED * inserted
            else:  # lines of the one are deleted
                count = old - offset
                start = max(0, -offset)
                stop = min(n, m - offset)
                start = max(start, count)
                if stop < start:
                    continue
                deleted = one.content_before[start : stop + 1] - one.content_before[start - count : stop + 1 - count]
                arrived[source, start : stop + 1] = (
                    best[source, start - count : stop + 1 - count] + _CHANGE + _SKIPPED * deleted
                )
        from_which = arrived.argmin(axis=0)
        ahead = arrived[from_which, lines] - before[number]
        least = np.minimum.accumulate(ahead)
        at = np.maximum.accumulate(np.where(ahead <= least + _ROUNDING, lines, 0))
        better[number] = least + before[number]
        origin[number] = from_which[at]
        place[number] = at
    return better, origin, place


def _end_cost(one: Lines, two: Lines, best: Costs, offset: int) -> float:
    """Return the cost of ending at an offset: the remaining lines were deleted or inserted."""
    n, m = one.count, two.count
    end = min(n, m - offset)
    if end < max(0, -offset):
        return float("inf")
    rest = _skipped(one, two, end, n, end + offset, m)
    return float(best[end]) + (_CHANGE + rest if end < n or end + offset < m else 0.0)


def _traced(steps: Sequence[tuple[Numbers, Numbers]], offsets: list[int], last: int, n: int, m: int) -> list[Segment]:
    """Return the segments, traced from the last change of offset back to the first."""
    segments: list[Segment] = []
    number, end = last, min(n, m - offsets[last])
    for origins, places in reversed(steps):
        source = int(origins[number, end])
        if source < 0:
            continue
        start = int(places[number, end])
        segments.append(Segment(start, start + offsets[number], end - start))
        end = start - max(0, offsets[source] - offsets[number])
        number = source
    start = max(0, -offsets[number])
    segments.append(Segment(start, start + offsets[number], end - start))
    return [segment for segment in reversed(segments) if segment.length > 0]
