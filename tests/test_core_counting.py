"""What the compiled core counts while it reads two files is what the reference in Python counts in their pixels."""

from __future__ import annotations

import random
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz_kernels import filtered_png
from pytest_imgdiff import Policy, Rule, compare
from pytest_imgdiff.images import counting
from pytest_imgdiff.metrics.pixelmatch import find_differences
from tests.cores import built, core
from tests.image_files import PNG_SIGNATURE, chunk, png_header

ALL_METRICS = ("perceptual", "pixel_match", "diffimg", "mse", "psnr")
LIMITS = {"pixel_match": {"min": 0.99}, "psnr": {"min": 30.0}}


def chance_of(seed):
    return random.Random(seed)  # noqa: S311 - not for secrets


def rules(*names, limits=LIMITS):
    return Policy(metrics=tuple(Rule(name, **limits.get(name, {"max": 0.001})) for name in names))


@pytest.fixture(scope="module", params=[1, 3], ids=["one thread", "three threads"])
def native(request):
    module = built()
    patched = pytest.MonkeyPatch()
    patched.setattr(counting, "threads", lambda: request.param)
    with core(module):
        yield module
    patched.undo()


def told(expected, actual, policy):
    """All that a comparison says of the pixels."""
    found = compare(expected, actual, policy)
    scores = [(score.metric, score.value, score.passed, dict(score.details)) for score in found.scores]
    regions = [(region.box, region.area, region.peak, region.kind) for region in found.regions]
    heats = {name: None if result.heat is None else result.heat.tobytes() for name, result in found.results.items()}
    mask = None if found.mask is None else found.mask.tobytes()
    return found.verdict, found.equal, found.reason, found.differing_pixels, scores, regions, heats, mask


def as_in_python(expected, actual, policy):
    with core(None):
        return told(expected, actual, policy)


def page(rng, height, width, channels):
    """Flat areas, text of one pixel, and noise: some of it alike in both."""
    areas = rng.integers(0, 4, (height // 9 + 1, width // 7 + 1, channels)) * 85
    first = areas.repeat(9, axis=0).repeat(7, axis=1)[:height, :width].astype(np.uint8)
    second = first.copy()
    for _ in range(rng.integers(1, 4)):
        top, left = rng.integers(0, height), rng.integers(0, width)
        part = second[top : top + rng.integers(1, 30), left : left + rng.integers(1, 60)]
        part[...] = rng.integers(0, 256, part.shape) if rng.random() < 1 / 2 else part + rng.integers(1, 40)
    if channels == 4:
        for side in (first, second):
            side[..., 3] = 255
        if rng.random() < 1 / 2:
            second[rng.integers(0, height), rng.integers(0, width), 3] = rng.integers(0, 255)
    return first, second


@pytest.mark.usefixtures("native")
@given(st.integers(0, 2**32), st.sampled_from([(40, 90), (200, 33), (1, 300), (300, 1), (17, 400), (3, 3)]))
@settings(deadline=None, max_examples=25)
def test_two_files_are_judged_as_python_judges_their_pixels(seed, size):
    rng, chance = np.random.default_rng(seed), chance_of(seed)
    pair = page(rng, *size, chance.choice((1, 3, 3, 4)))
    files = [filtered_png(chance, side) for side in pair]
    policy = rules(*chance.sample(ALL_METRICS, chance.randint(1, 5)))
    assert told(*files, policy) == as_in_python(*files, policy)


@pytest.mark.parametrize("difference", ["yiq", "oklab"])
@pytest.mark.parametrize("antialiasing", ["ignore", "count"])
def test_the_heat_is_the_same_to_the_last_bit(native, difference, antialiasing):
    rng, chance = np.random.default_rng(5), chance_of(5)
    first, second = page(rng, 700, 250, 3)
    second[400:420] = np.roll(first[400:420], 1, axis=1)
    one, two = (np.dstack([side, np.full(side.shape[:2], 255, np.uint8)]) for side in (first, second))
    wanted = find_differences(one, two, 0.1, opaque=True, difference=difference, antialiasing=antialiasing)
    heat = np.zeros((700, 250), np.uint8)
    files = [filtered_png(chance, side) for side in (first, second)]
    options = 0.1, difference == "oklab", antialiasing == "ignore", heat
    found = native.count(*files, 250, 700, *options, -1, None, False, 2)
    assert found[2:4] == (wanted.pixels, wanted.antialiased)
    assert wanted.pixels > 100
    assert (heat == wanted.heat).all()


def test_a_palette_is_judged_by_its_colours():
    rng = np.random.default_rng(2)
    indices = rng.integers(0, 8, (150, 70)).astype(np.uint8)
    colours = rng.integers(0, 256, (8, 3)).astype(np.uint8)
    other = indices.copy()
    other[90:100, 10:20] = 7

    def file(samples, palette=colours):
        rows = b"".join(b"\0" + row.tobytes() for row in samples)
        parts = chunk(b"PLTE", palette.tobytes()) + chunk(b"IDAT", zlib.compress(rows))
        return PNG_SIGNATURE + png_header(70, 150, 8, 3) + parts + chunk(b"IEND")

    policy = rules("perceptual", "pixel_match")
    with core(built()):
        assert told(file(indices), file(other), policy) == as_in_python(file(indices), file(other), policy)
        assert built().count(file(indices), file(other, colours[:7]), 70, 150, 0.1, 0, 1, None, -1, None, 0, 1) is None


def test_transparent_pixels_are_left_to_the_reference(native):
    pixels = np.full((60, 40, 4), 255, np.uint8)
    pixels[30, 20, 3] = 254
    changed = pixels.copy()
    changed[30, 5] = 0
    files = [filtered_png(chance_of(1), side) for side in (pixels, changed)]
    assert native.count(*files, 40, 60, 0.1, 0, 1, None, -1, None, 0, 1) is None
    policy = rules("perceptual")
    assert told(*files, policy) == as_in_python(*files, policy)


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_no_damaged_file_is_counted_that_is_not_accepted(native, seed):
    chance = chance_of(seed)
    pair = page(np.random.default_rng(seed), 50, 40, 3)
    files = [bytearray(filtered_png(chance, side)) for side in pair]
    side = chance.choice(files)
    side[chance.randrange(len(side))] ^= 1 << chance.randrange(8)
    found = native.count(*map(bytes, files), 40, 50, 0.1, 0, 1, None, 0, None, 1, 2)
    assert found is None or all(native.check(bytes(file)) for file in files)


def test_where_there_is_no_memory_the_core_declines_and_python_judges(native):
    chance = chance_of(3)
    files = [filtered_png(chance, side) for side in page(np.random.default_rng(3), 90, 80, 3)]
    whole = native.count(*files, 80, 90, 0.1, 0, 1, None, 0, None, 1, 1)
    declined = 0
    for number in range(40):
        native.fail_after(number)
        try:
            found = native.count(*files, 80, 90, 0.1, 0, 1, None, 0, None, 1, 2)
        finally:
            native.fail_after(-1)
        assert found in (None, whole)
        declined += found is None
    assert 5 < declined < 40


@pytest.mark.parametrize(
    "wrong",
    [
        {2: 0},
        {3: 0},
        {4: 1.5},
        {4: float("nan")},
        {7: np.zeros(5, np.uint8)},
        {8: 256},
        {9: bytes(80 * 90)},
        {0: "text"},
    ],
)
def test_wrong_arguments_are_errors(native, wrong):
    file = filtered_png(chance_of(1), np.zeros((90, 80, 3), np.uint8))
    arguments = [file, file, 80, 90, 0.1, 0, 1, None, -1, None, 0, 1]
    for place, value in wrong.items():
        arguments[place] = value
    with pytest.raises((TypeError, ValueError, BufferError)):
        native.count(*arguments)


def test_a_size_that_the_files_do_not_have_is_declined(native):
    file = filtered_png(chance_of(1), np.zeros((90, 80, 3), np.uint8))
    assert native.count(file, file, 90, 80, 0.1, 0, 1, None, -1, None, 0, 1) is None
    assert native.count(file, file, 80, 90, 0.1, 0, 1, None, -1, None, 0, 1)[1] == 0


@pytest.mark.usefixtures("native")
def test_rows_of_a_pair_that_was_counted_are_those_of_the_files():
    chance = chance_of(9)
    first, second = page(np.random.default_rng(9), 300, 120, 3)
    files = [filtered_png(chance, side) for side in (first, second)]
    policy = rules("perceptual", limits={"perceptual": {"max": 0.0}})
    found = compare(*files, policy)
    assert (found.expected.pixels[..., :3] == first).all()
    assert (found.actual.pixels[..., :3] == second).all()
    assert not found.passed


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("metric", ALL_METRICS)
def test_a_file_without_a_counterpart_is_told(metric):
    file = filtered_png(chance_of(1), np.zeros((9, 8, 3), np.uint8))
    assert compare(file, None, rules(metric)).verdict == "unmatched"
    assert compare(file, b"no picture", rules(metric)).verdict == "broken"
