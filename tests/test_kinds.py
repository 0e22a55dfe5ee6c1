"""What kind of difference each region is: one drawn pair for each kind, and what holds for any pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from PIL import ImageDraw, ImageFilter, ImageFont

from pytest_imgdiff import Policy, Rule, compare
from pytest_imgdiff.base.model import Length, RectangleArea, RegionSettings, SizePolicy
from pytest_imgdiff.comparison.explaining import ALIGNED_ROWS

FONT = ImageFont.load_default(14)
EXACT = Policy((Rule("pixel_match", min=1.0),), mask="pixel_match")
OPPOSITE = {"added": "removed", "removed": "added"}


def page(*, heading="Orders of this week", ink="#1f2937", button=(40, 60), fill="#2563eb", badge=False, logo=0):
    picture = Picture.new("RGB", (320, 200), "#ffffff")
    draw = ImageDraw.Draw(picture)
    draw.text((20, 16), heading, ink, FONT)
    left, top = button
    draw.rounded_rectangle((left, top, left + 90, top + 30), 5, fill)
    draw.text((left + 14, top + 7), "Send now", "#ffffff", FONT)
    if badge:
        draw.ellipse((250, 20, 268, 38), "#dc2626")
    noise = np.random.default_rng(logo).integers(0, 256, (12, 16, 3), np.uint8)
    picture.paste(Picture.fromarray(noise).resize((80, 60), Picture.Resampling.BICUBIC), (200, 120))
    return picture


CHANGED = {
    "added": {"badge": True},
    "moved": {"button": (54, 66)},
    "recoloured": {"fill": "#7c3aed"},
    "text": {"heading": "Guests of last month"},
    "content": {"logo": 1},
}


@pytest.mark.parametrize("kind", CHANGED)
def test_a_change_is_told_by_its_kind(kind):
    found = compare(page(), page(**CHANGED[kind]), EXACT).regions

    assert {region.kind for region in found} == {kind}
    assert {region.moved for region in found} == ({(14, 6)} if kind == "moved" else {None})


def test_what_is_gone_is_removed():
    assert [region.kind for region in compare(page(badge=True), page(), EXACT).regions] == ["removed"]


def test_what_is_gone_here_and_has_come_there_has_moved():
    one, other = Picture.new("RGB", (300, 200), "#fff"), Picture.new("RGB", (300, 200), "#fff")
    ImageDraw.Draw(one).polygon([(20, 20), (60, 30), (30, 70)], "#dc2626")
    ImageDraw.Draw(other).polygon([(220, 120), (260, 130), (230, 170)], "#dc2626")

    found = compare(one, other, EXACT).regions

    assert [(region.kind, region.moved) for region in found] == [("moved", (200, 100))] * 2


def test_one_letter_more_is_text():
    found = compare(page(), page(heading="Orders of this weeks"), EXACT).regions
    assert [region.kind for region in found] == ["text"]


def drawn(draw_on):
    picture = page()
    draw_on(ImageDraw.Draw(picture))
    return picture


def chart(values):
    large = Picture.new("RGB", (1280, 800), "#ffffff")
    ImageDraw.Draw(large).line([(240 + 48 * at, 400 - 4 * value) for at, value in enumerate(values)], "#0d9488", 8)
    return large.resize((320, 200), Picture.Resampling.BOX)


def panel(*, dashed=False, border=1):
    picture = Picture.new("RGB", (320, 200), "#ffffff")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((20, 20, 300, 180), "#f8fafc", "#cbd5e1", border)
    for line in range(8):
        draw.text((32, 30 + 17 * line), "Orders of this week and of the last", "#1f2937", FONT)
    for gap in range(20, 300, 8) if dashed else ():
        draw.line((gap, 20, gap + 3, 20), "#f8fafc")
        draw.line((gap, 180, gap + 3, 180), "#f8fafc")
    for gap in range(24, 176, 8) if dashed else ():
        draw.line((20, gap, 20, gap + 3), "#f8fafc")
        draw.line((300, gap, 300, gap + 3), "#f8fafc")
    return picture


def small_print(words):
    return drawn(lambda draw: draw.text((20, 150), words, "#1f2937", ImageFont.load_default(11)))


VALUES = (10, 40, 22, 35, 5, 48, 30, 12, 44, 20, 33, 8, 26, 41, 15)


@pytest.mark.parametrize(
    ("expected", "actual", "kind"),
    [
        (page(), drawn(lambda draw: draw.rectangle((37, 57, 133, 93), outline="#93c5fd")), "added"),
        (panel(), panel(border=2), "added"),
        (panel(), panel(dashed=True), "removed"),
        (chart(VALUES), chart([value * 0.8 for value in VALUES]), "content"),
        (small_print("a: b"), small_print("a; b"), "text"),
    ],
    ids=["a focus ring", "a thicker border", "a dashed border", "the line of a chart", "a small letter"],
)
def test_lines_outlines_and_letters_are_told_apart(expected, actual, kind):
    assert {region.kind for region in compare(expected, actual, EXACT).regions} == {kind}


def test_a_faint_panel_is_not_rendering_only():
    one, other = Picture.new("RGB", (200, 120), "#ffffff"), Picture.new("RGB", (200, 120), "#ffffff")
    ImageDraw.Draw(other).rectangle((40, 30, 160, 90), "#fbfcfd")
    assert [region.kind for region in compare(one, other, EXACT).regions] == ["recoloured"]


def test_another_text_that_also_moved_is_not_merely_moved():
    changed = page(button=(54, 66))
    ImageDraw.Draw(changed).rectangle((70, 70, 100, 90), "#facc15")
    assert {region.kind for region in compare(page(), changed, EXACT).regions} != {"moved"}


def test_smoother_edges_are_rendering_only():
    smooth = page().filter(ImageFilter.Kernel((3, 3), (0, 0, 0, 1, 14, 1, 0, 0, 0)))
    assert {region.kind for region in compare(page(), smooth, EXACT).regions} == {"rendering"}


def test_what_shows_over_white_only_is_told():
    clear, filled = np.zeros((60, 80, 4), np.uint8), np.zeros((60, 80, 4), np.uint8)
    filled[20:40, 30:50] = (0, 0, 0, 255)  # black: nothing to be seen over black
    assert [region.kind for region in compare(clear, filled, EXACT).regions] == ["added"]


@pytest.mark.parametrize("depth", [np.uint16, np.float32])
def test_kinds_are_the_same_at_any_depth(depth):
    deep = [
        (np.asarray(picture, np.float64) / 255 * (65535 if depth == np.uint16 else 1)).astype(depth)
        for picture in (page(), page(badge=True))
    ]
    assert [region.kind for region in compare(*deep, EXACT).regions] == ["added"]


def test_what_is_ignored_has_no_part_in_the_kind():
    area = RectangleArea(Length(10), Length(10), Length(230), Length(30))
    ignoring = Policy(EXACT.metrics, ignore=(area,), mask="pixel_match")
    changed = page(heading="Guests of last month", badge=True)
    assert [region.kind for region in compare(page(), changed, ignoring).regions] == ["added"]


def test_a_region_without_pixels_on_one_side_stays_what_it_is():
    padded = Policy(EXACT.metrics, size=SizePolicy.PAD, mask="pixel_match")
    wide = Picture.new("RGB", (360, 200), "#123456")
    wide.paste(page(), (0, 0))
    assert [region.kind for region in compare(page(), wide, padded).regions] == ["only actual"]


def test_kinds_are_not_worked_out_where_everything_is_good():
    allowing = Policy((Rule("pixel_match", min=0.5),), mask="pixel_match")
    assert [region.kind for region in compare(page(), page(badge=True), allowing).regions] == ["changed"]


def test_a_large_region_has_a_kind():
    flat = np.full((1200, 1600, 3), 240, np.uint8)
    filled = flat.copy()
    filled[100:1100, 100:1500] = (20, 90, 200)
    assert [region.kind for region in compare(flat, filled, EXACT).regions] == ["added"]


MOVED = page(button=(54, 66))
REPAINTED = page(button=(54, 66), heading="Guests of last month")


def judged(actual, *, rules=EXACT.metrics, **changes):
    changes = {"mask": "pixel_match", "kinds": (("moved", "allow"),)} | changes
    return compare(page(), actual, Policy(rules, **changes))


def test_a_pair_passes_by_kinds_that_are_allowed():
    comparison = judged(MOVED)
    assert (comparison.verdict.value, comparison.passed) == ("different", True)
    assert (comparison.notes, comparison.warnings) == (("passes by its kind (moved)",), ())


def test_a_pair_passes_with_a_warning_by_kinds_that_warn():
    comparison = judged(MOVED, kinds=(("moved", "warn"),))
    assert comparison.passed
    assert comparison.warnings == ("passes with a warning by its kind (moved)",)


@pytest.mark.parametrize(
    ("actual", "changes"),
    [
        pytest.param(MOVED, {"kinds": ()}, id="no kind is allowed"),
        pytest.param(MOVED, {"kinds": (("text", "allow"),)}, id="another kind is allowed"),
        pytest.param(REPAINTED, {}, id="one region is of another kind"),
        pytest.param(MOVED, {"mask": "perceptual"}, id="the failing rule did not paint the mask"),
        pytest.param(MOVED, {"rules": (*EXACT.metrics, Rule("ssim", min=0.9999))}, id="another rule fails, too"),
        pytest.param(
            MOVED,
            {"rules": (*EXACT.metrics, Rule("ssim", min=0.9999, when="undecided"))},
            id="another rule was not measured",
        ),
        pytest.param(MOVED, {"rules": (Rule("ssim", min=0.9999),), "mask": "ssim"}, id="the metric counts no pixels"),
    ],
)
def test_a_pair_still_fails_where_something_else_does(actual, changes):
    assert not judged(actual, **changes).passed


def with_dot(picture, at):
    dotted = picture.copy()
    dotted.putpixel(at, (250, 0, 0))
    return dotted


def test_a_pair_still_fails_by_a_region_too_small_to_be_listed():
    dotted = with_dot(MOVED, (300, 10))
    comparison = judged(dotted, regions=RegionSettings(min_area=2))
    assert {region.kind for region in comparison.regions} == {"moved"}
    assert not comparison.passed


def test_a_pair_still_fails_by_a_pixel_within_what_moved():
    assert not judged(with_dot(MOVED, (100, 80))).passed


def test_a_pair_still_fails_where_what_moved_has_lost_a_part():
    lost = MOVED.copy()
    lost.paste("#ffffff", (134, 76, 138, 80))  # white, as it was there before
    assert not judged(lost).passed


def test_a_pair_still_fails_by_a_region_beyond_those_that_have_a_kind():
    dots = np.full((400, 600, 3), 255, np.uint8)
    dotted = dots.copy()
    dotted[5::20, 5::20] = 0  # 600 of them
    policy = Policy(EXACT.metrics, mask="pixel_match", kinds=(("added", "allow"),))
    assert not compare(dots, dotted, policy).passed
    assert compare(dots[:100, :400], dotted[:100, :400], policy).passed


def test_a_pair_of_other_sizes_still_fails():
    assert not judged(MOVED.resize((321, 200))).passed
    wider = Picture.new("RGB", (321, 200), "#000")
    wider.paste(MOVED)
    assert not judged(wider, size=SizePolicy.PAD).passed


def test_kinds_are_named_in_the_settings_of_a_call_and_of_the_file(pytester):
    page().save(pytester.path / "page.png")
    MOVED.save(pytester.path / "moved.png")
    pytester.makefile(".yaml", imgdiff="metrics: {pixel_match: {min: 1}}\nmask: pixel_match\nkinds: {moved: warn}\n")
    pytester.makepyfile(
        """
        def test_file(assert_images_similar):
            assert assert_images_similar("moved.png", "page.png").warnings

        def test_call(assert_images_similar):
            assert not assert_images_similar("moved.png", "page.png", kinds={"moved": "allow"}).warnings

        def test_taken_back(assert_images_similar):
            assert_images_similar("moved.png", "page.png", kinds={})
        """
    )
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=1)


@st.composite
def pairs(draw):
    """Two pictures of one size and depth, flat but for a few rectangles, some of them the same in another place."""
    width = draw(st.integers(1, 40))
    height = draw(st.integers(1, ALIGNED_ROWS - 1))  # taller ones are aligned, which of two equal ways takes the first
    depth = draw(st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]))
    channels = draw(st.sampled_from([3, 4]))
    levels = st.lists(st.integers(0, 4), min_size=channels, max_size=channels)
    full = 1.0 if np.dtype(depth).kind == "f" else np.iinfo(depth).max
    both = [np.full((height, width, channels), [level / 4 * full for level in draw(levels)], depth)] * 2
    both = [side.copy() for side in both]
    for _ in range(draw(st.integers(1, 5))):
        colour = [level / 4 * full for level in draw(levels)]
        for side in draw(st.sampled_from([both[:1], both[1:], both])):
            left, top = draw(st.integers(0, width)), draw(st.integers(0, height))
            side[top : top + draw(st.integers(1, 20)), left : left + draw(st.integers(1, 20))] = colour
    return both


@settings(max_examples=150, deadline=None)
@given(pairs())
def test_exchanging_the_sides_exchanges_the_kinds(pair):
    expected, actual = pair
    forward = compare(expected, actual, EXACT).regions
    backward = compare(actual, expected, EXACT).regions

    assert "changed" not in {region.kind for region in forward}
    assert [region.box for region in forward] == [region.box for region in backward]
    assert [region.kind for region in backward] == [OPPOSITE.get(region.kind, region.kind) for region in forward]
    turned = [None if region.moved is None else (-region.moved[0], -region.moved[1]) for region in forward]
    assert [region.moved for region in backward] == turned
