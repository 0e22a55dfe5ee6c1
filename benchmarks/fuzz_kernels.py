"""Trials of the kernels that work on pixels, each against the reference in Python. `benchmarks.fuzz` runs them.

A trial draws its own input, calls a kernel and compares the result with the reference, bit for bit. It calls the kernel
again with each of its allocations failing once, and with arguments that do not fit: buffers of wrong lengths, wrong
types, numbers out of range.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import random
    from collections import Counter
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Call = tuple[str, tuple[Any, ...]]
    Failure = tuple[Callable[[int], Any], Callable[[], Any], str, tuple[type[Exception], ...]]

MOST_ALLOCATIONS = 64
"""No call of the core makes as many."""
MISUSES = 6
_OPAQUE = 255
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
REFUSALS = (TypeError, ValueError, OverflowError, BufferError, MemoryError)
NUMBERS = (
    -1,
    0,
    1,
    2,
    3,
    7,
    255,
    2**15,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**62,
    2**63,
    2**64,
    -(2**63),
    0.5,
    "4",
    None,
)
DEPTHS = (np.uint8, np.uint16, np.float32, np.float64)


class FoundError(Exception):
    """The core and the reference disagree, or the core did what it never may; the message says which."""


class Kernels:
    """The kernels under test.

    Args:
        native: the compiled core, with `fail_after`.
        counts: of what was tried, by name; the trials add to it.
    """

    def __init__(self, native: Any, counts: Counter[str]) -> None:
        self._native = native
        self._counts = counts
        self._python_memory: Any = None
        with contextlib.suppress(ImportError):  # a Python without the modules of its own tests
            self._python_memory = importlib.import_module("_testcapi")
        self.trials: tuple[Callable[[random.Random], None], ...] = (
            self.perceptual,
            self.count,
            self.other_metrics,
            self.windows_and_regions,
            self.look,
            self.weigh,
            self.ssim,
            self.mask_png,
            self.lines,
            self.parts_of_rows,
            self.medians,
            self.colours,
            self.commonest,
            self.maps,
            self.moved,
            self.whole_files,
        )

    def perceptual(self, rng: random.Random) -> None:
        """Count perceptible differences, with heat, in all rows and in some of them."""
        from pytest_imgdiff.metrics.pixelmatch import find_differences

        pair, opaque = _pair(rng)
        height, width = pair[0].shape[:2]
        threshold = rng.choice((0.0, 0.01, 0.05, 0.1, 0.5, 1.0, rng.random()))
        oklab, ignore = rng.random() < 1 / 2, rng.random() < 2 / 3
        wanted = find_differences(
            *pair,
            threshold,
            opaque=opaque,
            antialiasing="ignore" if ignore else "count",
            difference="oklab" if oklab else "yiq",
        )
        first, last = sorted((rng.randint(0, height), rng.randint(0, height)))
        heat = np.zeros((height, width), np.uint8)
        heat[first:last] = wanted.heat[first:last]
        options = threshold, oklab, opaque, ignore

        def whole() -> tuple[Call, Pixels]:
            written = np.zeros((height, width), np.uint8)
            return ("perceptual", (*pair, width, height, 0, height, *options, written)), written

        def part() -> tuple[Call, Pixels]:
            written = np.zeros((height, width), np.uint8)
            return ("perceptual", (*pair, width, height, first, last, *options, written)), written

        def comparable(result: Any, written: Pixels) -> Any:
            return result, written.tobytes()

        self._holds(whole, comparable, ((wanted.pixels, wanted.antialiased), wanted.heat.tobytes()))
        found = self._native.perceptual(*whole()[0][1][:-1], None)
        if found != (wanted.pixels, wanted.antialiased):
            raise FoundError("perceptual counts otherwise without heat")
        (_, arguments), written = part()
        if self._native.perceptual(*arguments)[0] != np.count_nonzero(heat) or not np.array_equal(written, heat):
            raise FoundError("perceptual judges some rows otherwise than all of them")
        self._misused(rng, *whole()[0])
        # Rows that are said to be opaque and are not: any result, no crash.
        self._native.perceptual(*pair, width, height, first, last, threshold, oklab, 1, ignore, None)

    def count(self, rng: random.Random) -> None:
        """Count what differs in two files, on one thread and on several."""
        from pytest_imgdiff.metrics.pixelmatch import find_differences

        pair, opaque = _pair(rng)
        height, width = pair[0].shape[:2]
        channels = 3 if opaque else 4
        files = [filtered_png(rng, side[..., :channels]) for side in pair]
        rule = rng.choice((0.0, 0.05, 0.1, 0.5, 1.0)), rng.random() < 1 / 2, rng.random() < 2 / 3
        tolerance = rng.choice((0, 1, 60, 255))
        options = {"difference": "oklab" if rule[1] else "yiq", "antialiasing": "ignore" if rule[2] else "count"}
        differs = find_differences(*pair, rule[0], opaque=opaque, **options)  # type: ignore[arg-type]  # these words
        steps = np.abs(np.subtract(*pair, dtype=np.int64))
        largest = steps.max(axis=2)
        levels = np.where(largest > tolerance, largest, 0).astype(np.uint8)
        unlike = largest.any(axis=1).tobytes()
        sums = (*(int(channel) for channel in steps.sum(axis=(0, 1))), int((steps**2).sum()))
        beyond, unequal = np.count_nonzero(levels), np.count_nonzero(largest)
        wanted = unlike, unequal, differs.pixels, differs.antialiased, beyond, sums

        heats = np.zeros((2, height, width), np.uint8)
        threads = rng.choice((1, 2, 3, 9))
        arguments = *files, width, height, *rule, heats[0], tolerance, heats[1], 1, threads
        found = self._native.count(*arguments)
        if found is None and not opaque:  # the whole picture decides what lies behind a pixel
            self._counts.update(("count", "count, declined"))
            return
        if found is None or (bytes(found[0]), *found[1:]) != wanted:
            raise FoundError("count is not what the reference says")
        if not np.array_equal(heats[1], levels) or not np.array_equal(*(heat > 0 for heat in (heats[0], differs.heat))):
            raise FoundError("count marks other pixels than the reference")
        if opaque and not np.array_equal(heats[0], differs.heat):
            raise FoundError("count gives pixels another heat than the reference")
        call = "count", (*files, width, height, *rule, None, tolerance, None, 1, threads)
        self._holds(lambda: (call, None), lambda result, _: (bytes(result[0]), *result[1:]), wanted)
        self._misused(rng, "count", arguments)

    def other_metrics(self, rng: random.Random) -> None:
        """Sum differences, and count those beyond a tolerance."""
        from pytest_imgdiff.metrics.intensity import DiffImg, Mse
        from pytest_imgdiff.metrics.pixel_match import PixelMatch

        pair, _ = _pair(rng)
        count = pair[0].shape[0] * pair[0].shape[1]
        images = [_image(side) for side in pair]
        steps = np.abs(np.subtract(*pair, dtype=np.int64)).reshape(-1, 4)
        sums = (*(int(channel) for channel in steps.sum(axis=0)), int((steps**2).sum()))
        self._holds(lambda: (("sums", (*pair, count)), None), lambda result, _: result, sums)
        opaque = all((side[..., 3] == _OPAQUE).all() for side in pair)
        channels = 3 if opaque else 4
        if Mse().measure(images[0], images[1], None).value != sums[4] / (channels * count):
            raise FoundError("mse is not the mean of the core's sum")
        mean = sum(sums[:channels]) / (channels * count * 255)
        score = DiffImg(ignore_alpha=opaque).measure(images[0], images[1], None).value
        if not math.isclose(score, mean, abs_tol=0.01):
            raise FoundError("diffimg is far from the mean of the core's sums")
        tolerance = rng.choice((0, 1, 2, 60, 254, 255, rng.randrange(256)))
        wanted = PixelMatch(float(tolerance)).measure(images[0], images[1], None)
        if wanted.heat is None:
            raise FoundError("pixel_match has no heat")

        def beyond() -> tuple[Call, Pixels]:
            written = np.zeros(pair[0].shape[:2], np.uint8)
            return ("beyond_tolerance", (*pair, count, tolerance, written)), written

        right = wanted.details["pixels"], wanted.heat.tobytes()
        self._holds(beyond, lambda result, written: (result, written.tobytes()), right)
        if self._native.beyond_tolerance(*pair, count, tolerance, None) != right[0]:
            raise FoundError("pixels beyond a tolerance are counted otherwise without heat")
        first_is = bool((pair[0][..., 3] == _OPAQUE).all())
        self._holds(lambda: (("opaque", (pair[0],)), None), lambda result, _: result, first_is)
        self._misused(rng, "opaque", (pair[0],))
        self._misused(rng, "sums", (*pair, count))
        self._misused(rng, *beyond()[0])

    def windows_and_regions(self, rng: random.Random) -> None:
        """Count in windows, and find regions."""
        from pytest_imgdiff.base.model import RegionSettings
        from pytest_imgdiff.comparison.regions import find_regions, most_in_window

        numbers = np.random.default_rng(rng.getrandbits(32))
        shape = rng.choice(((1, 1), (1, 300), (300, 1), (rng.randint(1, 90), rng.randint(1, 90)), (130, 257)))
        heat = (numbers.random(shape) < rng.choice((0.0, 0.001, 0.01, 0.1, 0.9, 1.0))).astype(np.uint8)
        if rng.random() < 1 / 2:
            heat[numbers.random(shape) < 1 / 2] = 0
            heat[rng.randrange(shape[0]) :, rng.randrange(shape[1]) :] = 0
        heat *= numbers.integers(1, 256, shape, np.uint8)
        height, width = shape
        side, distance = rng.choice((1, 2, 8, 32, 1000)), rng.choice((0, 1, 2, 5, 6, 8, 30))
        most = most_in_window(heat, side)
        self._holds(lambda: (("most_in_window", (heat, width, height, side)), None), lambda result, _: result, most)
        self._misused(rng, "most_in_window", (heat, width, height, side))
        regions = find_regions(heat > 0, heat, RegionSettings(merge=distance, min_area=1))
        boxes = sorted((*_corners(region.box), region.area, round(region.peak * 255)) for region in regions)
        self._holds(
            lambda: (("regions", (heat, width, height, distance)), None), lambda result, _: sorted(result), boxes
        )
        self._misused(rng, "regions", (heat, width, height, distance))

    def look(self, rng: random.Random) -> None:
        """Look for evidence in a block, at every depth."""
        from pytest_imgdiff.metrics import evidence

        depth = rng.choice(DEPTHS)
        pair, _ = _pair(rng, most=100)
        channels = rng.choice((3, 4))
        scaled = [np.ascontiguousarray(side[..., :channels]) for side in pair]
        scaled = [side if depth is np.uint8 else _at_depth(side, depth) for side in scaled]
        height, width = pair[0].shape[:2]
        top, left = (2 * rng.randrange((size + 1) // 2) if rng.random() < 1 / 2 else 0 for size in (height, width))
        bottom, right = rng.randint(top + 1, height), rng.randint(left + 1, width)
        shifts = rng.random() < 2 / 3
        wanted = evidence.look(scaled[0], scaled[1], slice(top, bottom), slice(left, right), shifts=shifts)
        planes = [plane.tobytes() for plane in (wanted.contrast, wanted.unexplained, wanted.colour)]
        place = height, width, channels, scaled[0].itemsize, top, bottom, left, right, shifts
        self._holds(
            lambda: (("look", (*scaled, *place)), None),
            lambda result, _: [_zeros(part) for part in result],
            [_zeros(plane) for plane in planes],
        )
        self._misused(rng, "look", (*scaled, *place))

    def weigh(self, rng: random.Random) -> None:
        """Weigh the evidence of clusters."""
        from pytest_imgdiff.metrics.visible import weighed

        numbers = np.random.default_rng(rng.getrandbits(32))
        shape = rng.choice(((1, 1), (1, 200), (rng.randint(1, 60), rng.randint(1, 60))))
        count, steps = rng.randint(1, 9), rng.choice((3, 11, 2**20))
        labels = numbers.integers(0, count, shape, np.int32)
        share, contrast = ((numbers.integers(0, steps, shape) / steps).astype(np.float16) for _ in range(2))
        wanted = [plane.tobytes() for plane in weighed(labels, share, contrast, count)]
        self._holds(
            lambda: (("weigh", (labels, share, contrast, count)), None),
            lambda result, _: [bytes(part) for part in result],
            wanted,
        )
        wild = numbers.integers(-2, count + 2, shape, np.int32)
        self._native.weigh(wild, share, contrast, count)
        self._native.weigh(labels, _any_halves(numbers, shape), _any_halves(numbers, shape), count)
        self._misused(rng, "weigh", (labels, share, contrast, count))

    def lines(self, rng: random.Random) -> None:
        """Align the lines of two images."""
        from pytest_imgdiff.base.geometry import Rect
        from pytest_imgdiff.comparison.line_maps import Lines, View, cheapest, line_costs, votes_of

        numbers = np.random.default_rng(rng.getrandbits(32))
        height, width = rng.randint(1, 40), rng.choice((rng.randint(1, 30), rng.randint(250, 600)))
        first = numbers.integers(0, rng.choice((2, 256)), (height, width, 4), np.uint8)
        second = np.roll(first, rng.randint(-9, 9), axis=rng.randint(0, 1))[: rng.randint(1, height)].copy()
        second[numbers.random(len(second)) < rng.choice((0.0, 0.3))] ^= np.uint8(rng.choice((1, 40)))
        axis: Any = rng.choice(("rows", "columns"))
        views = [View(side.view(np.uint32)[..., 0], Rect(0, 0, width, len(side))) for side in (first, second)]
        length = width if axis == "rows" else len(second)
        one, two = (Lines(view, axis, length) for view in views)
        for lines in (one, two):
            samples = lines.samples, lines.count, lines.width, 16
            self._holds(
                lambda s=samples: (("line_ink", s), None),
                lambda result, _: (bytes(result[0]), bytes(result[1])),
                (lines.ink.tobytes(), lines.repeats.tobytes()),
            )
            self._misused(rng, "line_ink", samples)
        votes, equal = votes_of(one, two)
        asked = one.digests, two.digests, one.content
        self._holds(
            lambda: (("line_votes", asked), None),
            lambda result, _: (bytes(result[0]), result[1]),
            (votes.astype(np.int64).tobytes(), equal),
        )
        self._misused(rng, "line_votes", asked)
        tones = (one.tone(), two.tone()) if rng.random() < 1 / 2 else None
        offsets = sorted({0, two.count - one.count, *(rng.randint(-one.count, two.count) for _ in range(3))})
        costs = np.stack([line_costs(one, two, offset, tones) for offset in offsets])
        sides = [
            (side.samples, side.ink, side.digests, tone)
            for side, tone in zip((one, two), tones or (None, None), strict=True)
        ]
        limits = 16, one.width / 64, 0.1, 25.0, 0.02, 1.5
        for offset, cost in zip(offsets, costs, strict=True):
            costing = *sides, one.width, offset, limits
            self._holds(lambda c=costing: (("line_costs", c), None), _told, cost.tobytes())
        self._misused(rng, "line_costs", costing)
        mapped = cheapest(one, two, offsets, costs)
        program = costs, np.array(offsets, np.int64), one.content_before, two.content_before, 3.0, 0.5, 1e-9
        self._holds(
            lambda: (("cheapest_lines", program), None),
            lambda result, _: ([*map(tuple, result[0])], *result[1:]),
            ([tuple(segment) for segment in mapped.segments], mapped.cost, mapped.in_place),
        )
        self._misused(rng, "cheapest_lines", program)

    def parts_of_rows(self, rng: random.Random) -> None:
        """Digest and sum the rows or columns of a part of an image, and hash its tiles."""
        from pytest_imgdiff.base.geometry import Rect
        from pytest_imgdiff.comparison.alignment import tile_hashes
        from pytest_imgdiff.comparison.line_maps import View, digests_of, sums_of

        numbers = np.random.default_rng(rng.getrandbits(32))
        shape = rng.choice(((8, 8), (rng.randint(8, 40), rng.randint(8, 40)), (8, rng.randint(250, 1100)), (600, 9)))
        words = numbers.integers(0, 2**32, shape, np.uint32)
        words[numbers.random(shape) < rng.choice((0.0, 0.5, 1.0))] = rng.choice((0, 2**32 - 1))
        height, width = shape
        least = rng.choice((1, 8))
        x, y = rng.randint(0, width - least), rng.randint(0, height - least)
        whole = Rect(0, 0, width, height)
        part = Rect(x, y, rng.randint(least, width - x), rng.randint(least, height - y))
        for rect in (whole, part):
            view = View(words, rect)
            place = view.rows, width, rect.x, rect.width, rect.height
            axis: Any
            for axis in ("rows", "columns"):
                arguments = *place, axis == "columns"
                self._holds(lambda a=arguments: (("line_digests", a), None), _told, digests_of(view, axis).tobytes())
                self._holds(lambda a=arguments: (("line_sums", a), None), _told, sums_of(view, axis).tobytes())
            self._misused(rng, "line_digests", arguments)
            self._misused(rng, "line_sums", arguments)
            if min(rect.width, rect.height) >= 8:  # noqa: PLR2004 - a tile
                self._holds(lambda p=place: (("tile_hashes", p), None), _told, tile_hashes(view).tobytes())
                self._misused(rng, "tile_hashes", place)

    def medians(self, rng: random.Random) -> None:
        """Find the median of the samples of lines."""
        from pytest_imgdiff.comparison.line_maps import medians_of

        numbers = np.random.default_rng(rng.getrandbits(32))
        step = rng.choice((1, 1, 2, 3, 8, 300))
        count = rng.randint(1, 128 * min(step, 3))
        lines = rng.choice((1, rng.randint(1, 20), 8, 16))
        samples = numbers.choice(256, (lines, 4 * count)).astype(np.uint8)
        if rng.random() < 1 / 2:
            samples = numbers.choice([0, 1, 127, 128, 254, 255], samples.shape).astype(np.uint8)
        if rng.random() < 1 / 4:
            samples[:, : rng.randint(1, 4 * count)] = rng.choice((0, 255))
        arguments = samples, lines, count, step
        self._holds(lambda: (("line_medians", arguments), None), _told, medians_of(samples, step).tobytes())
        self._misused(rng, "line_medians", arguments)

    def colours(self, rng: random.Random) -> None:
        """Turn pixels into colours, and measure how far these are apart."""
        from pytest_imgdiff.comparison import colours

        pair, _ = _pair(rng, most=300)
        width = pair[0].shape[1]
        step = rng.choice((1, 1, 2, 3, 1000))
        start = rng.randrange(width)
        columns = slice(start, rng.randint(start + 1, width), step)
        found = [colours.colours_of(side, columns) for side in pair]
        size = found[0].shape[1], found[0].shape[0]
        place = width, start, *size, step, float(np.float32(1 / 255)), colours.OF_PREMULTIPLIED
        for side, wanted in zip(pair, found, strict=True):
            self._holds(lambda s=side: (("colours", (s, *place)), None), _told, wanted.tobytes())
        self._misused(rng, "colours", (pair[0], *place))
        one, two = (side.reshape(-1, 4) for side in found)
        for other in (two, two[rng.randrange(len(two))]):
            distances = colours.apart_from(one, other).tobytes()
            self._holds(lambda o=other: (("apart", (one, o)), None), _told, distances)
            self._misused(rng, "apart", (one, other))

    def commonest(self, rng: random.Random) -> None:
        """Find the commonest of colours, of which some are near to each other and some as common as others."""
        from pytest_imgdiff.comparison import colours

        numbers = np.random.default_rng(rng.getrandbits(32))
        few = _colours(numbers, rng.randint(1, 6))
        some = few[numbers.integers(0, len(few), rng.choice((1, 2, 3, rng.randint(1, 400))))]
        some += (numbers.random(some.shape) * rng.choice((0, 0.01, 0.1))).astype(np.float32)
        wanted = tuple(colours.commonest(some).tolist())
        self._holds(lambda: (("commonest", (some, 64.0)), None), lambda result, _: result, wanted)
        self._misused(rng, "commonest", (some, 64.0))
        self._native.commonest(_any_floats(numbers, some.shape), 64.0)

    def maps(self, rng: random.Random) -> None:
        """Judge whether a rule from colour to colour maps the pixels of a region."""
        from pytest_imgdiff.comparison import colours

        numbers = np.random.default_rng(rng.getrandbits(32))
        few = _colours(numbers, rng.randint(1, 6))
        which = numbers.integers(0, len(few), rng.choice((1, 2, 3, rng.randint(1, 400))))
        recoloured = np.where(
            numbers.random((len(few), 1)) < rng.choice((0.3, 0.7, 1.0)), _colours(numbers, len(few)), few
        )
        grain = (numbers.random((2, len(which), 4)) * rng.choice((0, 0, 0.01, 0.1, 0.5))).astype(np.float32)
        first, second = few[which] + grain[0], recoloured[which] + grain[1]
        changed = colours.apart_from(first, second) > rng.choice((0.0, 0.02))
        changed ^= numbers.random(len(which)) < rng.choice((0.0, 0.0, 0.3))
        limits = colours.COLOURS, colours.KEPT, colours.UNMAPPED, colours.MAPPED, colours.FLAT_COLOURS
        arguments = first, second, changed, float(colours.STEPS_OF_COLOUR), limits
        wanted = colours.maps(first, second, changed)
        self._counts[f"maps, {'a rule' if wanted else 'none'}"] += 1
        self._holds(lambda: (("maps", arguments), None), lambda result, _: result, wanted)
        self._misused(rng, "maps", arguments)
        self._native.maps(_any_floats(numbers, first.shape), _any_floats(numbers, first.shape), *arguments[2:])

    def moved(self, rng: random.Random) -> None:
        """Count what differs where what stands on a background is painted elsewhere."""
        from pytest_imgdiff.comparison.colours import apart_from
        from pytest_imgdiff.comparison.kinds import NEAR, SEEN

        numbers = np.random.default_rng(rng.getrandbits(32))
        height, width = rng.randint(1, 30), rng.randint(1, 30)
        across, down = rng.randint(-width, width), rng.randint(-height, height)
        few = _colours(numbers, rng.randint(1, 4))
        one = few[numbers.integers(0, len(few), (height, width))]
        one += (numbers.random(one.shape) * rng.choice((0, 0.03))).astype(np.float32)
        two = np.roll(one, (down, across), axis=(0, 1))
        two[numbers.random((height, width)) < rng.choice((0.0, 0.2))] = few[0]
        fill = few[:1] if rng.random() < 1 / 2 else few[numbers.integers(0, len(few), (height, width))]
        changed = numbers.random((height, width)) < rng.choice((0.0, 0.3, 1.0))
        painted = np.broadcast_to(fill, one.shape).copy()
        target = np.s_[max(0, down) : height + min(0, down), max(0, across) : width + min(0, across)]
        source = np.s_[max(0, -down) : height + min(0, -down), max(0, -across) : width + min(0, -across)]
        present = apart_from(one[source], np.broadcast_to(fill, one.shape)[source]) > SEEN
        painted[target][present] = one[source][present]
        unlike = apart_from(painted, two) > NEAR
        wanted = np.count_nonzero(unlike), np.count_nonzero(unlike | changed)
        arguments = one, two, fill, changed, width, height, across, down, SEEN, NEAR
        self._holds(lambda: (("moved", arguments), None), lambda result, _: result, wanted)
        self._misused(rng, "moved", arguments)

    def whole_files(self, rng: random.Random) -> None:
        """Check, decode and compare PNG files, and keep the rows near those that differ."""
        pair, opaque = _pair(rng)
        height, width = pair[0].shape[:2]
        files = [filtered_png(rng, side[..., : 3 if opaque else 4]) for side in pair]
        self._holds(lambda: (("check", (files[0],)), None), lambda result, _: result, (width, height))
        self._holds(
            lambda: (("decode", (files[0],)), None),
            lambda result, _: (*result[:2], bytes(result[2])),
            (width, height, pair[0].tobytes()),
        )
        top, bottom = sorted((rng.randint(0, height), rng.randint(0, height)))
        pixels = bytearray(pair[1].tobytes())
        wanted = pair[1].copy()
        wanted[top:bottom] = pair[0][top:bottom]
        if self._native.decode(files[0], pixels, top, bottom) is None or bytes(pixels) != wanted.tobytes():
            raise FoundError("decode writes other rows than it was asked for")
        near = rng.choice((-1, 0, 1, 2, 9, 1024))
        unlike = (pair[0] != pair[1]).any(axis=(1, 2))
        kept = np.full(height, near < 0)
        for row in np.flatnonzero(unlike):
            kept[max(0, row - max(0, near)) : row + max(0, near) + 1] = True
        needed = 4 * width * int(np.count_nonzero(unlike) + np.count_nonzero(kept))
        most = rng.choice((2**62, needed, max(0, needed - 1), rng.randint(0, 2 * needed)))
        rows = [pair[0][kept].tobytes(), pair[1][unlike].tobytes()]

        def comparable(result: Any, _: Any) -> Any:
            if result[3] is None:
                return result[:2]
            written = [np.frombuffer(side, np.uint8).reshape(pair[0].shape) for side in result[4:]]
            found = [written[0][kept].tobytes(), written[1][unlike].tobytes()]
            return *result[:2], bytes(result[2]), bytes(result[3]), found

        right = (width, height) if most < needed else (width, height, unlike.tobytes(), kept.tobytes(), rows)
        self._holds(lambda: (("compare", (*files, near, most)), None), comparable, right)
        self._misused(rng, "compare", (*files, near, most))
        self._misused(rng, "decode", (files[0], pixels, top, bottom))

    def ssim(self, rng: random.Random) -> None:
        """Measure structural similarity, of gray and of opaque colours."""
        import cv2

        from pytest_imgdiff.metrics.ssim import UNITS, Ssim

        side = rng.choice((3, 5, 7, 9, 11))
        height, width = rng.randint(side, 40), rng.choice((rng.randint(side, 90), rng.randint(1010, 1050)))
        numbers = np.random.default_rng(rng.getrandbits(32))
        first = numbers.integers(0, 256, (height, width, 4), np.uint8) // rng.choice((1, 1, 50)) * rng.choice((1, 7))
        first[..., 3] = _OPAQUE
        second = first.copy()
        changed = numbers.random((height, width)) < rng.choice((0.001, 0.1, 1.0))
        second[changed, :3] = numbers.integers(0, 256, (np.count_nonzero(changed), 3), np.uint8)
        grays = [np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGBA2GRAY)) for picture in (first, second)]
        ignore = numbers.random((height, width)) < rng.choice((0.0, 0.2, 1.0))
        margin = side // 2
        losses = Ssim(window=side).window_losses(grays[0], grays[1])
        counting = losses[margin : height - margin, margin : width - margin]
        units = (counting * np.float32(UNITS)).astype(np.int64)
        total = int(units[~ignore[margin : height - margin, margin : width - margin]].sum())
        wanted = total, np.minimum(losses / 2, np.float32(1)).tobytes()

        def measured(one: Pixels, other: Pixels, channels: int) -> tuple[Call, Any]:
            heat = np.zeros((height, width), np.float32)
            return ("ssim", (one, other, width, height, channels, side, 0, height, ignore, heat)), heat

        def comparable(result: Any, written: Any) -> Any:
            return result, written.tobytes()

        self._holds(lambda: measured(first, second, 4), comparable, wanted)
        self._holds(lambda: measured(grays[0], grays[1], 1), comparable, wanted)
        middle = rng.randint(0, height)
        options = width, height, 4, side
        parts = [
            self._native.ssim(first, second, *options, start, stop, ignore, None)
            for start, stop in ((0, middle), (middle, height))
        ]
        if sum(parts) != total:
            raise FoundError("ssim says something else of parts")
        self._misused(rng, *measured(first, second, 4)[0])

    def mask_png(self, rng: random.Random) -> None:
        """Write masks, which OpenCV reads."""
        import cv2

        numbers = np.random.default_rng(rng.getrandbits(32))
        shape = rng.randint(1, 50), rng.choice((rng.randint(1, 80), rng.randint(1, 5000)))
        mask = (numbers.random(shape) < rng.choice((0.0, 0.001, 0.1, 0.5, 1.0))).astype(np.uint8)
        mask *= rng.choice((1, 2, 128, 255))  # whatever is not 0
        mask[rng.randrange(shape[0]) :] = mask[rng.randrange(shape[0])]
        height, width = shape

        def comparable(result: Any, _: Any) -> Any:
            picture = cv2.imdecode(np.frombuffer(result, np.uint8), cv2.IMREAD_UNCHANGED)
            return None if picture is None else (picture > 0).tobytes()

        self._holds(lambda: (("mask_png", (mask, width, height)), None), comparable, (mask > 0).tobytes())
        self._misused(rng, "mask_png", (mask, width, height))

    def _holds(
        self, prepare: Callable[[], tuple[Call, Any]], comparable: Callable[[Any, Any], Any], wanted: Any
    ) -> None:
        """Hold a call to the reference: as it is, and with each of its allocations failing once.

        Args:
            prepare: returns the call, and what it writes into.
            comparable: returns what is compared, of the result and of what was written.
            wanted: what the reference says.
        """
        (name, arguments), written = prepare()
        self._counts[name] += 1
        function = getattr(self._native, name)
        result = function(*arguments)
        if result is None or comparable(result, written) != wanted:
            raise FoundError(f"{name} is not what the reference says")
        for fail, restore, kind, refusals in self._failures():
            for number in range(MOST_ALLOCATIONS):
                (_, arguments), written = prepare()
                before = None if written is None else written.tobytes()
                fail(number)
                try:
                    result = function(*arguments)
                except refusals:
                    result = None
                finally:
                    restore()
                if result is None:
                    self._counts[f"{name}, {kind}"] += 1
                    if before is not None and not refusals and written.tobytes() != before:
                        raise FoundError(f"{name} declined, and had written")
                elif comparable(result, written) != wanted:
                    raise FoundError(f"{name} says something else when an allocation failed")
                else:
                    break

    def _failures(self) -> list[Failure]:
        """Return how to have one allocation fail, how to end that, what it is called, and what may then be raised."""
        ways: list[Failure] = [
            (self._native.fail_after, functools.partial(self._native.fail_after, -1), "its memory refused", ())
        ]
        memory = self._python_memory
        if memory is not None:

            def one(number: int) -> None:
                memory.set_nomemory(number, number + 1)

            # Python itself says of an array that there is no memory to look into that it is no array.
            ways.append((one, memory.remove_mem_hooks, "Python's memory refused", (MemoryError, TypeError)))
        return ways

    def _misused(self, rng: random.Random, name: str, arguments: tuple[Any, ...]) -> None:
        """Call it with arguments that do not fit: it has to refuse them, or to answer; not to crash."""
        for _ in range(MISUSES):
            wrong = [side.copy() if isinstance(side, np.ndarray) else side for side in arguments]
            if rng.random() < 1 / 4:
                wrong = [_overflowing(rng, argument) for argument in wrong]
            else:
                for _ in range(rng.choice((1, 1, 2))):
                    place = rng.randrange(len(wrong))
                    wrong[place] = _wrong(rng, wrong[place])
            try:
                getattr(self._native, name)(*wrong)
            except REFUSALS:
                self._counts[f"{name}, misuse refused"] += 1
            else:
                self._counts[f"{name}, misuse answered"] += 1


def _wrong(rng: random.Random, argument: Any) -> Any:
    """Return something else than this argument; often something near to it."""
    if isinstance(argument, np.ndarray):
        data = argument.tobytes()
        spaced = np.zeros((argument.size, 2), argument.dtype)[:, 0]
        odd = np.frombuffer(b"\0" + data, np.uint8)[1:]
        choices: list[Any] = [
            data[:-1],
            data + b"\0",
            data[: rng.randrange(len(data) + 1)],
            b"",
            data,
            spaced,
            odd,
            "text",
            None,
            7,
            [],
        ]
        return rng.choice(choices)
    if isinstance(argument, tuple):
        parts = list(argument)
        place = rng.randrange(len(parts))
        parts[place] = _wrong(rng, parts[place])
        return rng.choice((tuple(parts), tuple(parts), tuple(parts), argument[:-1], parts, None))
    if isinstance(argument, bool):
        return rng.choice((not argument, 2, None, "yes"))
    if isinstance(argument, float):
        return rng.choice((math.nan, math.inf, -math.inf, -1e-9, 1.1, 1e300, "0.1", None))
    if isinstance(argument, int) and rng.random() < 1 / 2:
        return argument + rng.choice((-2, -1, 1, 2))
    return rng.choice(NUMBERS)


def _overflowing(rng: random.Random, argument: Any) -> Any:
    """Return nothing in place of an array, and a number whose products may not fit a word."""
    if isinstance(argument, np.ndarray):
        return rng.choice((b"", b"", b"", None))
    if isinstance(argument, tuple):
        return tuple(_overflowing(rng, part) for part in argument)
    if isinstance(argument, int) and not isinstance(argument, bool):
        return rng.choice((2**16, 2**24, 2**31, 2**31, 2**62, 2**62, 2**63, argument))
    return argument


def _told(result: Any, _: Any) -> bytes:
    return bytes(result)


def _pair(rng: random.Random, most: int = 600) -> tuple[tuple[Pixels, Pixels], bool]:
    """Return two RGBA pictures of one size in the normal form, and whether they are opaque."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    shape = rng.choice(
        (
            (1, 1),
            (1, rng.randint(1, most)),
            (rng.randint(1, most), 1),
            (rng.randint(1, 4), rng.randint(1, most)),
            (rng.randint(1, 40), rng.randint(1, 70)),
        )
    )
    opaque = rng.random() < 1 / 2
    colours = numbers.integers(0, 256, (rng.randint(1, 6), 4))
    if rng.random() < 1 / 2:
        colours = numbers.choice([0, 1, 60, 128, 254, 255], colours.shape)
    if opaque:
        colours[:, 3] = 255
    first, second = (colours[numbers.integers(0, len(colours), shape)] for _ in range(2))
    if rng.random() < 1 / 2:
        first[..., :3] = numbers.integers(0, 256, (*shape, 3))
        reach = rng.choice((3, 20, 80))
        second[..., :3] = (first[..., :3] + numbers.integers(-reach, reach + 1, (*shape, 3))).clip(0, 255)
    alike = numbers.random(shape) >= rng.choice((0.01, 0.3, 1.0))
    second[alike] = first[alike]
    pair = np.ascontiguousarray(first, np.uint8), np.ascontiguousarray(second, np.uint8)
    for side in pair:
        side[side[..., 3] == 0] = 0
    return pair, opaque


def filtered_png(rng: random.Random, samples: Pixels) -> bytes:
    """Return (height, width, channels) samples as a PNG file, with any filter in each row."""
    height, width, channels = samples.shape
    padded = np.zeros((height + 1, width + 1, channels), np.int16)
    padded[1:, 1:] = samples
    left, up, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    by = [abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)]
    paeth = np.where((by[0] <= by[1]) & (by[0] <= by[2]), left, np.where(by[1] <= by[2], up, corner))
    predictions = [np.zeros_like(left), left, up, (left + up) >> 1, paeth]
    usual = rng.choice(((0, 1, 2, 3, 4), (0, 1, 2), (4,), (3, 4), (1, 2, 4, 4, 4)))
    rows = bytearray()
    for y in range(height):
        kind = rng.choice(usual)
        rows += bytes([kind]) + (samples[y] - predictions[kind][y]).astype(np.uint8).tobytes()
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, _COLOUR_TYPES[channels], 0, 0, 0])
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, rng.randrange(10))), (b"IEND", b""))
    chunks = (kind + data for kind, data in parts)
    lengths = (len(data).to_bytes(4, "big") for _, data in parts)
    checked = (
        length + chunk + zlib.crc32(chunk).to_bytes(4, "big") for length, chunk in zip(lengths, chunks, strict=True)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(checked)


def _at_depth(pixels: Pixels, depth: Any) -> NDArray[Any]:
    return pixels.astype(np.uint16) * 257 if depth is np.uint16 else pixels.astype(depth) / depth(255)


def _any_halves(numbers: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float16]:
    """Return half floats of any bits: infinite ones, negative ones, none at all."""
    return numbers.integers(0, 2**16, shape, np.uint16).view(np.float16)


def _any_floats(numbers: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return floats of any bits: infinite ones, none at all, and such as fit no integer."""
    return numbers.integers(0, 2**32, shape, np.uint32).view(np.float32)


def _colours(numbers: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Return (count, 4) colours of random pixels, among them black, white and nothing."""
    from pytest_imgdiff.comparison.colours import colours_of

    pixels = numbers.integers(0, 256, (1, count, 4), np.uint8)
    pixels[0, numbers.random(count) < 1 / 4] = numbers.choice([0, 255], 4)
    return colours_of(pixels, slice(0, count, 1))[0]


def _image(pixels: Pixels) -> Any:
    from pytest_imgdiff.base.image import Image, ImageInfo

    return Image(pixels, ImageInfo("array", "array", pixels.shape[1], pixels.shape[0], "RGBA"))


def _corners(box: Any) -> tuple[int, int, int, int]:
    return box.x, box.y, box.x + box.width, box.y + box.height


def _zeros(plane: bytes) -> bytes:
    """Return floats with one kind of zero: 0 and -0 are equal."""
    floats: NDArray[np.float32] = np.frombuffer(plane, np.float32) + np.float32(0)
    return floats.tobytes()
