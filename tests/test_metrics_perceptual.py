"""The metric `perceptual`: the counts of pixelmatch 7.2 and 8.0, at every depth, and what shows on one backdrop only."""

from __future__ import annotations

import itertools
import json
import math
import re

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pytest_imgdiff import Policy, Registry, Rule, Verdict, compare
from pytest_imgdiff.base.model import WindowLimit
from pytest_imgdiff.comparison.regions import most_in_window
from pytest_imgdiff.config import load_settings
from pytest_imgdiff.metrics import pixelmatch as pixelmatch_rule
from pytest_imgdiff.metrics.antialiasing import smoothed as smoothed_pixels
from pytest_imgdiff.metrics.perceptual import Perceptual
from pytest_imgdiff.metrics.pixelmatch import find_differences
from tests.cores import SOURCES, built, core
from tests.metric_pictures import DEPTHS, as_jpeg, at_depth, image_of, photograph, with_alpha


@pytest.fixture(autouse=True, scope="module", params=["python", "native"])
def _each_core(request):
    with core(built() if request.param == "native" else None):
        yield


PATTERN, BLACK, WHITE = "pattern", (0, 0, 0), (255, 255, 255)


HASHED = "hashed"


def backdrop_at(position, backdrop):
    if backdrop == HASHED:
        hashed = (position * 0x9E3779B1) % 2**32
        return tuple(48 + 159 * (hashed >> bit & 1) for bit in (31, 30, 29))
    if backdrop != PATTERN:
        return backdrop
    k = 4 * position
    return 48 + 159 * (k % 2), 48 + 159 * (int(k / 1.618033988749895) % 2), 48 + 159 * (int(k / 2.618033988749895) % 2)


def laid_difference(one, two, position, backdrop):
    (r1, g1, b1, a1), (r2, g2, b2, a2) = one, two
    if a1 == 255 and a2 == 255:
        return r1 - r2, g1 - g2, b1 - b2
    rb, gb, bb = backdrop_at(position, backdrop)
    da = a1 - a2
    return (r1 * a1 - r2 * a2 - rb * da) / 255, (g1 * a1 - g2 * a2 - gb * da) / 255, (b1 * a1 - b2 * a2 - bb * da) / 255


def luma(dr, dg, db):
    return dr * 0.29889531 + dg * 0.58662247 + db * 0.11448223


def colour_delta(one, two, position, backdrop):
    dr, dg, db = laid_difference(one, two, position, backdrop)
    y = luma(dr, dg, db)
    i = dr * 0.59597799 - dg * 0.27417610 - db * 0.32180189
    q = dr * 0.21147017 - dg * 0.52261711 + db * 0.31114694
    return 0.5053 * y * y + 0.299 * i * i + 0.1957 * q * q


LIGHT = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (min(i, 255) / 255 for i in range(257))]


def interpolated(table, place):
    below = int(place)
    return table[below] + (table[below + 1] - table[below]) * (place - below)


def cube_root(value):
    if value * 4096 < 8:
        return float(np.cbrt(value))
    below = int(value * 4096)
    first, second = (float(np.cbrt(step / 4096)) for step in (below, below + 1))
    return first + (second - first) * (value * 4096 - below)


def oklab(pixel, position, backdrop):
    *channels, alpha = pixel
    blended = [
        (c * alpha + b * (255 - alpha)) / 255 for c, b in zip(channels, backdrop_at(position, backdrop), strict=True)
    ]
    red, green, blue = (interpolated(LIGHT, channel) for channel in blended)
    long = cube_root(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = cube_root(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = cube_root(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    x = (1.206 / 1.03) * lightness - 0.206
    toed = 0.5 * (x + math.sqrt(x * x + 4 * 0.03 * (1.206 / 1.03) * lightness))
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return toed, a, b


def hyab(one, two, position, backdrop):
    (l1, a1, b1), (l2, a2, b2) = oklab(one, position, backdrop), oklab(two, position, backdrop)
    return abs(l1 - l2) + math.hypot(a1 - a2, b1 - b2)


def around(x, y, width, height):
    columns = range(max(x - 1, 0), min(x + 1, width - 1) + 1)
    rows = range(max(y - 1, 0), min(y + 1, height - 1) + 1)
    return [(i, j) for i in columns for j in rows if (i, j) != (x, y)]


def at_edge(x, y, width, height):
    return x in (0, width - 1) or y in (0, height - 1)


def has_many_siblings(picture, x, y):
    height, width = len(picture), len(picture[0])
    equal = sum(picture[j][i] == picture[y][x] for i, j in around(x, y, width, height))
    return equal + at_edge(x, y, width, height) > 2


def yiq_brightness(one, two, position):
    return luma(*laid_difference(one, two, position, PATTERN))


def brightness_on_white(one, two, position):
    on_white = luma(*laid_difference(one, two, position, WHITE))
    return on_white or (one[3] - two[3]) / 2


def antialiased(picture, other, x, y, brightness=yiq_brightness):
    height, width = len(picture), len(picture[0])
    equal = int(at_edge(x, y, width, height))
    darkest = brightest = 0
    dark = bright = (0, 0)
    for i, j in around(x, y, width, height):
        delta = 0
        if picture[y][x] != picture[j][i]:
            delta = brightness(picture[y][x], picture[j][i], y * width + x)
        if delta == 0:
            equal += 1
        elif delta < darkest:
            darkest, dark = delta, (i, j)
        elif delta > brightest:
            brightest, bright = delta, (i, j)
    if equal > 2 or darkest == 0 or brightest == 0:
        return False
    return any(has_many_siblings(picture, *place) and has_many_siblings(other, *place) for place in (dark, bright))


def pixelmatch(expected, actual, threshold, backdrops=(PATTERN,)):
    """pixelmatch 7.2.0 written out pixel by pixel: where pixels differ, and where they are anti-aliased."""
    return judged(expected, actual, 35215 * threshold * threshold, colour_delta, yiq_brightness, backdrops)


def pixelmatch_8(expected, actual, threshold, backdrops=(HASHED,)):
    """The same of pixelmatch 8.0.0."""
    return judged(expected, actual, threshold, hyab, brightness_on_white, backdrops)


def judged(expected, actual, limit, difference, brightness, backdrops):
    first, second = ([[tuple(map(int, pixel)) for pixel in row] for row in picture] for picture in (expected, actual))
    height, width = expected.shape[:2]
    differing, smoothed = np.zeros((2, height, width), bool)
    for y in range(height):
        for x in range(width):
            one, two = first[y][x], second[y][x]
            delta = max(difference(one, two, y * width + x, backdrop) for backdrop in backdrops)
            if one != two and delta > limit:
                sides = ((first, second), (second, first))
                is_smoothed = any(antialiased(*pair, x, y, brightness) for pair in sides)
                (smoothed if is_smoothed else differing)[y, x] = True
    return differing, smoothed


colours = st.tuples(*[st.sampled_from((0, 1, 40, 90, 128, 200, 254, 255)) for _ in range(3)])
alphas = st.sampled_from((0, 1, 60, 128, 254, 255))


@st.composite
def pairs(draw, *, opaque):
    """Two small pictures of a few colours, so that edges, slopes and flat areas are many."""
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 11)))
    alpha = st.just(255) if opaque else alphas
    palette = np.array(
        draw(st.lists(st.builds(lambda c, a: (*c, a), colours, alpha), min_size=2, max_size=5)), np.uint8
    )
    palette[palette[:, 3] == 0] = 0
    places = arrays(np.intp, shape, elements=st.integers(0, len(palette) - 1))
    return palette[draw(places)], palette[draw(places)]


thresholds = st.sampled_from((0.0, 0.01, 0.05, 0.1, 0.5, 1.0))


def smooth_line(offset):
    picture = np.full((60, 80, 3), 255, np.uint8)
    return cv2.line(picture, (5, 10 + offset), (70, 45), (0, 0, 0), 2, cv2.LINE_AA)


def decoded(path):
    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(picture, {3: cv2.COLOR_BGR2RGBA, 4: cv2.COLOR_BGRA2RGBA}[picture.shape[2]])


@pytest.mark.parametrize("depth", DEPTHS)
def test_counts_what_pixelmatch_7_counts_on_its_own_pictures(shared_fixtures, depth):
    folder = shared_fixtures / "pixelmatch"
    cases = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["cases"]
    counts = []
    for case in cases:
        pictures = [image_of(at_depth(decoded(folder / case[side]), depth)) for side in ("expected", "actual")]
        counts.append(
            Perceptual(threshold=case["threshold"], difference="yiq").measure(*pictures, None).details["pixels"]
        )
    assert counts == [case["different_pixels"] for case in cases]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("opaque", [True, False])
def test_counts_what_pixelmatch_8_counts_on_its_own_pictures(shared_fixtures, depth, opaque):
    """On pictures with transparency ours counts what differs on black and on white as well."""
    folder = shared_fixtures / "pixelmatch"
    cases = json.loads((folder / "expected-8.json").read_text(encoding="utf-8"))["cases"]
    seen = 0
    for case in cases:
        if "with_antialiased" not in case:  # a page of 37 megapixels
            continue
        pictures = [decoded(folder / case[side]) for side in ("expected", "actual")]
        if all((picture[..., 3] == 255).all() for picture in pictures) is not opaque:
            continue
        seen += 1
        metric = Perceptual(threshold=case["threshold"])
        found = metric.measure(*(image_of(at_depth(picture, depth)) for picture in pictures), None).details
        assert found["pixels"] == case["different_pixels"]
        total = found["pixels"] + found["antialiased"]
        assert total == case["with_antialiased"] if opaque else total >= case["with_antialiased"]
    assert seen


def test_the_most_in_a_window_is_what_pixelmatch_8_counts_and_the_limit_holds_it(shared_fixtures):
    folder = shared_fixtures / "pixelmatch"
    cases = json.loads((folder / "expected-8.json").read_text(encoding="utf-8"))["cases"]
    cases = [case for case in cases if "most_in_window_32" in case]
    for case in cases:
        most = case["most_in_window_32"]
        pair = folder / case["expected"], folder / case["actual"]
        options = (("threshold", case["threshold"]),)

        def compared(pixels, pair=pair, options=options):
            rule = Rule("perceptual", options, max_in_window=WindowLimit(32, pixels))
            return compare(*pair, Policy(metrics=(rule,)))

        beyond = compared(max(0, most - 1))
        assert beyond.scores[0].details["most_in_window"] == most
        assert (beyond.verdict is Verdict.DIFFERENT) == (most > 0)
        if most < 32 * 32:  # a limit of all pixels of a window is refused
            assert compared(most).passed
    assert len(cases) > 20


@given(
    shape=st.tuples(st.sampled_from((1, 3, 40, 300, 700)), st.integers(1, 12)),
    size=st.sampled_from((1, 2, 5, 32, 290, 1000)),
    share=st.sampled_from((0.0, 0.001, 0.1, 0.9, 1.0)),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=150)
def test_a_window_is_square_and_lies_inside_the_picture(shape, size, share, seed):
    marked = np.random.default_rng(seed).random(shape) < share
    side = min(size, *shape)
    windows = np.lib.stride_tricks.sliding_window_view(marked, (side, side))
    assert most_in_window(marked.astype(np.uint8) * 200, size) == windows.sum(axis=(2, 3)).max()


def speckled_and_blotted():
    """Return white; white with 64 black pixels far apart; and white with as many side by side."""
    white = np.full((128, 128, 3), 255, np.uint8)
    speckled, blotted = white.copy(), white.copy()
    speckled[::16, ::16] = 0
    blotted[40:48, 60:68] = 0
    return white, speckled, blotted


def test_a_limit_on_a_window_tells_speckle_from_a_change():
    white, speckled, blotted = speckled_and_blotted()
    policy = load_settings(None, Registry()).policy_for(
        "a", call={"metrics": {"perceptual": {"max_in_window": {"size": 32, "pixels": 4}}}}
    )
    assert compare(white, speckled, policy).passed
    failed = compare(white, blotted, policy)
    assert failed.verdict is Verdict.DIFFERENT
    assert failed.scores[0].details == {"pixels": 64, "antialiased": 0, "most_in_window": 64}


def test_ignored_pixels_are_not_counted_in_a_window():
    white, _, blotted = speckled_and_blotted()
    ignored = {"ignore": [{"x": 60, "y": 40, "width": 8, "height": 7}]}
    rule = {"metrics": {"perceptual": {"max_in_window": {"pixels": 8}}}}
    comparison = compare(white, blotted, load_settings(None, Registry()).policy_for("a", call={**ignored, **rule}))
    assert comparison.passed
    assert comparison.scores[0].details["most_in_window"] == 8


def test_windows_are_not_counted_unless_a_rule_limits_them():
    white, speckled, _ = speckled_and_blotted()
    assert "most_in_window" not in compare(white, speckled).scores[0].details


def test_counts_what_pixelmatch_8_counts_on_a_full_page(shared_fixtures):
    pair = [image_of(decoded(shared_fixtures / "speed" / name)) for name in ("page-a.png", "page-b.png")]
    assert Perceptual().measure(*pair, None).details["pixels"] == 929_103


@given(pair=pairs(opaque=True), threshold=thresholds)
@settings(max_examples=200, deadline=None)
def test_opaque_pixels_differ_exactly_where_pixelmatch_8_says(pair, threshold):
    found = find_differences(*pair, threshold, opaque=True)
    differing, smoothed = pixelmatch_8(*pair, threshold)
    assert np.array_equal(found.heat > 0, differing)
    assert (found.pixels, found.antialiased) == (differing.sum(), smoothed.sum())


@given(pair=pairs(opaque=False), threshold=thresholds)
@settings(max_examples=200, deadline=None)
def test_translucent_pixels_differ_where_pixelmatch_8_black_or_white_shows_it(pair, threshold):
    found = find_differences(*pair, threshold, opaque=False)
    differing, smoothed = pixelmatch_8(*pair, threshold, (HASHED, BLACK, WHITE))
    assert np.array_equal(found.heat > 0, differing)
    assert (found.pixels, found.antialiased) == (differing.sum(), smoothed.sum())


@given(pair=pairs(opaque=False), threshold=thresholds, depth=st.sampled_from(DEPTHS[1:3]))
@settings(max_examples=100, deadline=None)
def test_oklab_finds_the_same_pixels_at_another_depth(pair, threshold, depth):
    opaque = all((picture[..., 3] == 255).all() for picture in pair)
    rule = {"opaque": opaque, "antialiasing": "count"}
    shallow = find_differences(*pair, threshold, **rule)
    deep = find_differences(*(at_depth(p, depth) for p in pair), threshold, **rule)
    assert np.array_equal(shallow.heat > 0, deep.heat > 0)


@given(seed=st.integers(0, 999), brightest=st.sampled_from((3, 9, 20)), threshold=st.sampled_from((0.05, 0.0948, 0.1)))
@settings(max_examples=60, deadline=None)
def test_dark_colours_that_are_few_levels_apart_differ_exactly_where_pixelmatch_8_says(seed, brightest, threshold):
    """Steps too small to differ are not measured; of dark colours the smallest steps do."""
    random = np.random.default_rng(seed)
    pair = random.integers(0, brightest + 1, (2, 12, 12, 4), np.uint8)
    pair[..., 3] = 255
    found = find_differences(*pair, threshold, opaque=True, antialiasing="count")
    differing, smoothed = pixelmatch_8(*pair, threshold)
    assert np.array_equal(found.heat > 0, differing | smoothed)


@pytest.mark.parametrize("step", range(1, 18))
def test_steps_that_are_too_small_to_be_measured_are_not_seen_by_the_reference(step):
    """Dark colours differ most, and about most at the corners of the cube of steps; the core leaves small steps out."""
    levels = np.array(list(itertools.product(range(20), repeat=3)), np.int64)
    signs = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    others = levels + step * signs[:, None]
    kept = ((others >= 0) & (others <= 255)).all(axis=2)
    pair = [
        image_of(side[kept][None].astype(np.uint8)).pixels for side in (np.broadcast_to(levels, others.shape), others)
    ]
    for threshold in (0.04, 0.05, 0.068, 0.0948, 0.1, 0.11, 0.13):
        found = []
        for module in (built(), None):
            with core(module):
                found.append(find_differences(*pair, threshold, opaque=True, antialiasing="count"))
        assert found[0].pixels == found[1].pixels
        assert np.array_equal(found[0].heat, found[1].heat)


def test_the_heat_is_the_distance_also_of_the_darkest_colours():
    random = np.random.default_rng(0)
    pair = np.concatenate((random.integers(0, 256, (2, 20, 30, 4)), random.integers(0, 16, (2, 20, 30, 4))), axis=1)
    pair[..., 3] = 255
    first, second = pair.astype(np.uint8)
    heat = find_differences(first, second, 0, opaque=True, antialiasing="count").heat.reshape(-1)
    sides = (side.reshape(-1, 4).tolist() for side in pair)
    distances = np.array([hyab(one, two, 0, WHITE) for one, two in zip(*sides, strict=True)])
    assert np.abs(heat - (distances * 255).clip(1, 255)).max() < 1.1


@pytest.mark.parametrize("threshold", [0.9, 0.97, 0.999])
def test_white_for_black_is_seen_at_every_threshold_below_1(threshold):
    """By `yiq` it is none from 0.97 on."""
    pair = image_of(np.zeros((4, 5), np.uint8)), image_of(np.full((4, 5), 255, np.uint8))
    metric = Perceptual(threshold=threshold)
    assert metric.measure(*pair, None).value == metric.worst(np.uint8) == 1


def test_dark_green_that_turns_gray_is_seen_by_oklab_and_not_by_yiq():
    pair = [image_of(np.full((10, 10, 3), colour, np.uint8)) for colour in ((0, 80, 0), (30, 50, 30))]
    assert Perceptual().measure(*pair, None).details["pixels"] == 100
    assert Perceptual(difference="yiq").measure(*pair, None).details["pixels"] == 0


@given(pair=pairs(opaque=True), threshold=thresholds)
@settings(max_examples=300, deadline=None)
def test_opaque_pixels_differ_exactly_where_pixelmatch_7_says(pair, threshold):
    found = find_differences(*pair, threshold, opaque=True, difference="yiq")
    differing, smoothed = pixelmatch(*pair, threshold)
    assert np.array_equal(found.heat > 0, differing)
    assert (found.pixels, found.antialiased) == (differing.sum(), smoothed.sum())


@given(pair=pairs(opaque=False), threshold=thresholds)
@settings(max_examples=300, deadline=None)
def test_translucent_pixels_differ_where_pixelmatch_7_black_or_white_shows_it(pair, threshold):
    found = find_differences(*pair, threshold, opaque=False, difference="yiq")
    differing, smoothed = pixelmatch(*pair, threshold, (PATTERN, BLACK, WHITE))
    assert np.array_equal(found.heat > 0, differing)
    assert (found.pixels, found.antialiased) == (differing.sum(), smoothed.sum())
    assert not (pixelmatch(*pair, threshold)[0] & ~differing).any()


@given(pair=pairs(opaque=False), threshold=thresholds, depth=st.sampled_from(DEPTHS[1:3]))
@settings(max_examples=100, deadline=None)
def test_yiq_finds_the_same_pixels_at_another_depth(pair, threshold, depth):
    opaque = all((picture[..., 3] == 255).all() for picture in pair)
    rule = {"opaque": opaque, "antialiasing": "count", "difference": "yiq"}
    shallow = find_differences(*pair, threshold, **rule)
    deep = find_differences(*(at_depth(p, depth) for p in pair), threshold, **rule)
    assert np.array_equal(shallow.heat > 0, deep.heat > 0)


def test_a_picture_that_is_judged_in_parts_is_judged_as_if_it_were_not(monkeypatch):
    expected = photograph("astronaut", 300, 400)
    pair = [image_of(picture).pixels for picture in (expected, as_jpeg(expected, 60))]
    whole = find_differences(*pair, 0.02, opaque=True)
    monkeypatch.setattr(pixelmatch_rule, "_AT_ONCE", 777)
    parts = find_differences(*pair, 0.02, opaque=True)
    assert np.array_equal(whole.heat, parts.heat)
    assert whole[1:] == parts[1:]
    assert whole.pixels > 1000


def test_smoothed_lines_are_judged_as_pixelmatch_judges_them():
    pair = [image_of(smooth_line(offset)).pixels for offset in (0, 1)]
    found = find_differences(*pair, 0.1, opaque=True)
    differing, smoothed = pixelmatch_8(*pair, 0.1)
    assert np.array_equal(found.heat > 0, differing)
    assert found.antialiased == smoothed.sum()


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("depth", DEPTHS)
def test_what_shows_on_a_dark_or_a_light_page_only_is_found_at_every_position(level, depth):
    clear = np.zeros((20, 30, 4), np.uint8)
    veil = np.full((20, 30, 4), (level, level, level, 128), np.uint8)
    pair = image_of(at_depth(clear, depth)), image_of(at_depth(veil, depth))
    assert Perceptual().measure(*pair, None).details["pixels"] == 600


def test_every_pixel_of_white_against_black_counts_with_the_largest_heat():
    pair = image_of(np.zeros((40, 50), np.uint8)), image_of(np.full((40, 50), 255, np.uint8))
    result = Perceptual().measure(*pair, None)
    assert result.value == 1
    assert (result.heat >= 180).all()


@pytest.mark.parametrize(("depth", "step"), [(np.uint16, 1), (np.float32, 1e-6), (np.float64, 1e-12)])
def test_at_threshold_0_the_smallest_step_of_any_depth_is_a_difference(depth, step):
    expected = np.full((8, 9, 3), 0.5 if depth is not np.uint16 else 30000, depth)
    actual = expected.copy()
    actual[3, 4, 2] += depth(step)
    result = Perceptual(threshold=0).measure(image_of(expected), image_of(actual), None)
    assert result.details["pixels"] == 1
    assert np.argwhere(result.heat).tolist() == [[3, 4]]


def test_a_pixel_that_is_only_smoothed_differently_is_named_and_not_counted_unless_asked_for():
    pair = image_of(smooth_line(0)), image_of(smooth_line(1))
    ignored = Perceptual().measure(*pair, None).details
    counted = Perceptual(antialiasing="count").measure(*pair, None).details
    assert ignored["antialiased"] > 0
    assert counted == {"pixels": ignored["pixels"] + ignored["antialiased"], "antialiased": 0}


def test_ignored_pixels_leave_the_share_and_not_the_count():
    expected = np.zeros((10, 10), np.uint8)
    actual = expected.copy()
    actual[:, :5] = 255
    ignore = np.zeros((10, 10), bool)
    ignore[:, 6:] = True
    result = Perceptual().measure(image_of(expected), image_of(actual), ignore)
    assert (result.value, result.details["pixels"]) == (50 / 60, 50)


def test_half_an_alpha_channel_is_judged_with_its_opaque_half():
    photo = photograph("chelsea", 50, 60)
    alpha = np.full((50, 60), 255)
    alpha[:, 30:] = 100
    pair = with_alpha(photo, alpha), with_alpha(as_jpeg(photo, 50), alpha)
    found = Perceptual(threshold=0.03).measure(image_of(pair[0]), image_of(pair[1]), None)
    differing, _ = pixelmatch_8(*pair, 0.03, (HASHED, BLACK, WHITE))
    assert np.array_equal(found.heat > 0, differing)


def test_colours_are_ordered_in_integers_as_the_doubles_of_pixelmatch_order_them():
    """The core orders them so. For all differences of red and green, those of blue where the sign changes decide it."""
    step = np.arange(-255, 256, dtype=np.int64)
    red, green = (grid.reshape(-1) for grid in np.meshgrid(step, step))
    exact = (29889531, 58662247, 11448223)  # pixelmatch's weights, times 10^8
    source = (SOURCES / "pixels.c").read_text(encoding="utf-8")
    ours = [int(weight) for weight in re.findall(r"\* (\d+)u", source[source.index("brightness_order(") :])[:3]]
    crossing = np.floor_divide(-(red * exact[0] + green * exact[1]), exact[2])
    for blue in (crossing - 1, crossing, crossing + 1, np.full_like(red, -255), np.full_like(red, 255)):
        inside = abs(blue) <= 255
        signs = [
            np.sign(red * weights[0] + green * weights[1] + blue * weights[2])[inside] for weights in (exact, ours)
        ]
        assert (signs[0] == signs[1]).all()
        nothing = (red == 0) & (green == 0) & (blue == 0)
        assert ((signs[0] == 0) == nothing[inside]).all()  # no two colours are equally bright
    assert 255 * sum(ours) < 2**32


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_what_is_decided_in_integers_is_what_is_decided_in_doubles(data):
    """Deep inside a picture and at its edges, where few and where most pixels differ."""
    height, width = data.draw(st.integers(1, 24)), data.draw(st.integers(1, 24))
    levels = np.array(data.draw(st.lists(st.integers(0, 255), min_size=2, max_size=5, unique=True)), np.uint8)
    chance = np.random.default_rng(data.draw(st.integers(0, 999)))
    first = np.full((height, width, 4), 255, np.uint8)
    first[..., :3] = levels[chance.integers(0, len(levels), (height, width, 1 if data.draw(st.booleans()) else 3))]
    second = first.copy()
    changed = chance.random((height, width)) < data.draw(st.sampled_from([0.05, 0.5, 1.0]))
    second[changed, :3] = levels[chance.integers(0, len(levels), (int(changed.sum()), 3))]
    rule = {"opaque": True, "difference": "yiq"}
    plain = find_differences(first.astype(np.float64) / 255, second.astype(np.float64) / 255, 0.1, **rule)
    found = find_differences(first, second, 0.1, **rule)
    assert abs(found.pixels - plain.pixels) + abs(found.antialiased - plain.antialiased) == 0
    assert ((found.heat > 0) == (plain.heat > 0)).all()


@given(pair=pairs(opaque=True), start=st.integers(0, 3), step=st.integers(20, 40))
@settings(deadline=None, max_examples=100)
def test_whether_a_pixel_is_smoothed_hangs_on_no_other_that_is_asked_about(pair, start, step):
    rule = {"opaque": True, "difference": "yiq"}
    first, second = ([[tuple(map(int, pixel)) for pixel in row] for row in picture] for picture in pair)
    smoothed = np.array(
        [
            antialiased(first, second, x, y) or antialiased(second, first, x, y)
            for y in range(len(first))
            for x in range(len(first[0]))
        ]
    )
    indices = np.arange(smoothed.size)
    assert (smoothed_pixels(*pair, indices, **rule) == smoothed).all()
    assert (smoothed_pixels(*pair, indices[start::step], **rule) == smoothed[start::step]).all()


@pytest.mark.parametrize("difference", ["yiq", "oklab"])
@given(seed=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_no_colours_differ_more_than_the_corners_of_the_cube(difference, seed):
    random = np.random.default_rng(seed)
    pair = [random.choice([0, 0, 128, 255, 255, seed % 256], (40, 40, 3)).astype(np.uint8) for _ in range(2)]
    for threshold in (0.9, 0.95, 0.97, 1):
        metric = Perceptual(threshold=threshold, difference=difference, antialiasing="count")
        if metric.measure(*map(image_of, pair), None).value:
            assert metric.worst(np.uint8) == 1
