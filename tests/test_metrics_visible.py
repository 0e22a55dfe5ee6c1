"""The metric `visible`: what a person would see fails, and what only rendering or encoding changed passes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter, ImageFont

from pytest_imgdiff import images
from pytest_imgdiff.images.differing import differing_pixels
from pytest_imgdiff.metrics.visible import LARGEST, Visible
from pytest_imgdiff.report.scores import MOST_VISIBLE
from tests.metric_pictures import DEPTHS, as_jpeg, at_depth, image_of, photograph, with_alpha

FONT = ImageFont.load_default(size=14)
LINES = [
    "Overview settings of the shop",
    "Invoice 1027 for 318.40 is due",
    "12 items, delivered to all",
    "modern filters, will follow",
    "Total of 4 810.75 in 38 days",
]


def page(*, lines=LINES, shift=0.0, ink=(31, 41, 55), panel=(255, 255, 255), background=(255, 255, 255), edit=None):
    """A page of text with a button; text may be shifted by a part of a pixel, as another renderer would."""
    large = Pillow.new("RGB", (300 * 4, 180 * 4), background)
    draw = ImageDraw.Draw(large)
    draw.rectangle((40, 40, 1160, 520), fill=panel)
    font = ImageFont.load_default(size=56)
    for row, line in enumerate(lines):
        draw.text((56 + round(4 * shift), 48 + 92 * row), line, fill=ink, font=font)
    draw.rectangle((64, 560, 400, 680), fill=(37, 99, 235))
    draw.text((100, 584), "Pay now", fill="white", font=font)
    small = large.resize((300, 180), Pillow.Resampling.BOX)
    if edit is not None:
        edit(ImageDraw.Draw(small))
    return np.asarray(small)


def changed(old, new):
    return page(lines=[line.replace(old, new) for line in LINES])


def measure(expected, actual, **options):
    return Visible(**options).measure(image_of(expected), image_of(actual), None)


SEEN = {
    "a word": page(lines=["Overview of settings, the shop", *LINES[1:]]),
    "a digit": changed("318.40", "378.40"),
    "a full stop that became a comma": changed("318.40", "318,40"),
    "O for 0": changed("1027", "1O27"),
    "rn for m": changed("modern", "modem"),
    "one red pixel": page(edit=lambda draw: draw.point((250, 165), (220, 38, 38))),
    "a faint panel": page(panel=(249, 250, 251)),
    "faded text": page(ink=(60, 69, 82)),
    "another text colour": page(ink=(194, 65, 12)),
    "a hue of the same lightness": page(edit=lambda draw: draw.rectangle((16, 140, 100, 170), fill=(150, 60, 200))),
    "a faint line": page(edit=lambda draw: draw.line((20, 132, 280, 132), fill=(223, 223, 223))),
    "a ring of focus": page(edit=lambda draw: draw.rectangle((13, 137, 103, 173), outline=(187, 207, 250))),
    "a moved line": page(lines=[f"  {LINES[0]}", *LINES[1:]]),
}
UNSEEN = {
    "half a pixel": page(shift=0.5),
    "a quarter of a pixel": page(shift=0.25),
    "a pixel": np.roll(page(), 1, axis=1),
    "one level": np.where(page() > 200, page() - 1, page()),
    "encoded again": as_jpeg(page(), 95),
    "other smoothing": np.asarray(Pillow.fromarray(page()).filter(ImageFilter.GaussianBlur(0.35))),
}


@pytest.mark.parametrize("actual", SEEN.values(), ids=SEEN)
def test_what_a_person_sees_fails(actual):
    result = measure(page(), actual)
    assert result.value > 1
    assert result.details["pixels"] > 0
    assert result.details["evidence"] in ("structure", "colour")
    assert np.count_nonzero(result.heat) == result.details["pixels"]


@pytest.mark.parametrize("actual", UNSEEN.values(), ids=UNSEEN)
def test_what_nobody_sees_passes_and_is_counted(actual):
    result = measure(page(), actual)
    assert result.value <= 1
    assert result.details["pixels"] == 0
    assert result.details["below"] == differing_pixels(image_of(page()), image_of(actual)) > 0
    assert not result.heat.any()


def caret(draw):
    draw.line((250, 140, 250, 157), fill=(31, 41, 55))


def test_a_text_cursor_alone_is_noted_and_not_counted():
    result = measure(page(), page(edit=caret))
    assert result.value <= 1
    assert result.details["caret"] == [250, 140, 1, 18]
    assert measure(page(), page(edit=caret), caret="count").value > 1


def plus(draw):
    draw.line((250, 140, 250, 154), fill=(31, 41, 55))
    draw.line((243, 147, 257, 147), fill=(31, 41, 55))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            plus, lambda draw: draw.line((243, 147, 257, 147), fill=(31, 41, 55)), id="a plus becomes a minus"
        ),
        pytest.param(None, lambda draw: draw.rectangle((250, 140, 251, 157), (221, 51, 51)), id="2 pixels wide"),
        pytest.param(
            lambda draw: draw.line((250, 140, 250, 157), (221, 51, 51)),
            lambda draw: draw.line((250, 140, 250, 157), (37, 99, 235)),
            id="another colour",
        ),
        pytest.param(None, lambda draw: draw.line((250, 130, 250, 190), (31, 41, 55)), id="too tall"),
    ],
)
def test_a_thin_bar_that_cannot_be_a_text_cursor_is_counted(before, after):
    result = measure(page(edit=before), page(edit=after))
    assert result.value > 1
    assert "caret" not in result.details


@pytest.mark.parametrize("columns", [[(143, 148, 155)], [(38, 48, 61), (235, 236, 238)]], ids=["half ink", "a fringe"])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_bar_that_was_typed_is_no_text_cursor(columns, inverted):
    plain = page()
    end = np.flatnonzero((plain[13:27, :240] < 128).any(axis=(0, 2))).max() + 5
    typed = plain.copy()
    for at, colour in enumerate(columns):
        typed[13:27, end + at] = colour
    result = measure(*(255 - side if inverted else side for side in (plain, typed)))
    assert result.value > 1
    assert "caret" not in result.details


def test_a_text_cursor_of_two_device_pixels_is_noted():
    def wide(draw):
        draw.rectangle((250, 130, 251, 165), fill=(31, 41, 55))

    result = measure(page(), page(edit=wide))
    assert result.value == 0
    assert result.details["caret"] == [250, 130, 2, 36]


def test_a_text_cursor_may_have_a_colour_of_its_own():
    blue = page(edit=lambda draw: draw.line((240, 13, 240, 28), (37, 99, 235)))
    result = measure(page(), blue)
    assert result.value == 0
    assert result.details["caret"] == [240, 13, 1, 16]


def test_a_text_cursor_beside_another_change_is_counted():
    def both(draw):
        caret(draw)
        draw.point((20, 175), (220, 38, 38))

    alone, together = (measure(page(), page(edit=edit)).details["pixels"] for edit in (caret, both))
    assert alone == 0
    assert together > 18


def test_a_text_cursor_hides_no_small_edit():
    lines = [line.replace("318.40", "318,40") for line in LINES]
    result = measure(page(), page(lines=lines, edit=caret))
    assert result.value > 1
    assert "caret" not in result.details
    tall = [
        np.concatenate([*[page(edit=edit)] * 14, page(lines=last)]) for edit, last in ((None, LINES), (caret, lines))
    ]
    assert measure(*tall).value > 1


def test_reports_know_the_largest_value():
    assert MOST_VISIBLE == LARGEST


@pytest.mark.parametrize("size", [9, 10, 12, 14])
def test_many_equal_small_edits_side_by_side_are_seen(size):
    font = ImageFont.load_default(size=size)

    def versions(point):
        image = Pillow.new("RGB", (260, 8 * (size + 4)), "white")
        draw = ImageDraw.Draw(image)
        for row in range(8):
            for column in range(8):
                draw.text((6 + 32 * column, 2 + (size + 4) * row), f"1{point}1{point}{row}", "black", font)
        return np.asarray(image)

    assert measure(versions("."), versions(",")).value > 1


@pytest.mark.parametrize("size", [12, 13, 14, 16])
@pytest.mark.parametrize("texts", [("6", "8"), ("6.50", "8.50"), ("1.60", "1.80"), ("Total 16.60", "Total 18.80")])
def test_a_changed_digit_is_seen_where_it_is_most_of_the_text(texts, size):
    labels = []
    for text in texts:
        label = Pillow.new("RGB", (160, 60), "white")
        ImageDraw.Draw(label).text((20, 20), text, (20, 20, 20), font=ImageFont.load_default(size=size))
        labels.append(image_of(np.array(label)))
    assert Visible().measure(*labels, None).value > 1


def test_the_evidence_is_where_the_change_is():
    result = measure(page(), changed("318.40", "378.40"))
    rows, columns = np.nonzero(result.heat)
    x, y, width, height = result.details["box"]
    assert (x, y) == (columns.min(), rows.min())
    assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
    assert 95 < x < 140
    assert 33 < y < 55


def test_a_change_has_the_same_value_on_a_page_of_any_size():
    expected, actual = page(), changed("318.40", "378.40")
    tall = [np.concatenate([picture, *[page()] * 8]) for picture in (expected, actual)]
    assert measure(*tall).value == measure(expected, actual).value


@pytest.mark.parametrize("across", [1, 3, 5])
def test_many_small_edits_fail_as_one_does(across):
    """A rule that counts clusters would take many commas for another font rendering."""
    expected, actual = page(), changed("318.40", "318,40")
    tiled = [np.tile(picture, (across, across, 1)) for picture in (expected, actual)]
    assert measure(*tiled).value > 1


EDITS = ("comma", "digit", "pixel", "panel", "line")


@given(
    places=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from(EDITS)), min_size=1, max_size=6),
    quality=st.sampled_from([None, 95, 90]),
)
@settings(max_examples=25, deadline=None)
def test_more_change_never_passes_where_less_fails(places, quality):
    sheet = np.tile(page(), (3, 4, 1))
    tiles = {
        "comma": changed("318.40", "318,40"),
        "digit": changed("318.40", "378.40"),
        "pixel": SEEN["one red pixel"],
        "panel": SEEN["a faint panel"],
        "line": SEEN["a faint line"],
    }
    actual, values = sheet.copy(), []
    for row, column, edit in places:
        actual[row * 180 : (row + 1) * 180, column * 300 : (column + 1) * 300] = tiles[edit]
        values.append(measure(sheet, actual if quality is None else as_jpeg(actual, quality)).value)
    assert all(value > 1 for value in values)


@given(contrast=st.integers(2, 120), more=st.integers(1, 120), side=st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_where_a_weak_change_fails_a_stronger_one_does(contrast, more, side):
    plain = np.full((90, 90, 3), 128, np.uint8)
    weak, strong = plain.copy(), plain.copy()
    weak[10 : 10 + side, 10 : 10 + side] -= contrast
    strong[10 : 10 + side, 10 : 10 + side] -= min(128, contrast + more)
    less, most = measure(plain, weak).value, measure(plain, strong).value
    assert less <= 1 or most > 1


@given(
    size=st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (1, 9), (9, 1), (5, 8), (1, 30), (30, 1)]),
    ground=st.sampled_from([0, 128, 255]),
    contrast=st.integers(2, 120),
    more=st.integers(1, 120),
)
@example(size=(1, 1), ground=128, contrast=40, more=40)
@settings(max_examples=20, deadline=None)
def test_the_value_of_a_small_change_that_is_seen_does_not_fall_as_it_gets_stronger(size, ground, contrast, more):
    plain = np.full((60, 60, 3), ground, np.uint8)
    sign = 1 if ground < 128 else -1
    values = []
    for step in (contrast, min(128, contrast + more)):
        changed = plain.astype(np.int16)
        changed[20 : 20 + size[0], 20 : 20 + size[1]] += sign * step
        values.append(measure(plain, changed.astype(np.uint8), caret="count").value)
    assert values[0] <= 1 or values[1] >= values[0]


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    depth=st.sampled_from(DEPTHS),
    translucent=st.booleans(),
    level=st.sampled_from(["exact", "strict", "normal", "layout"]),
    scale=st.sampled_from([1, 2, 3]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_any_size_depth_and_transparency_has_a_value_the_same_both_ways(size, depth, translucent, level, scale, seed):
    random = np.random.default_rng(seed)
    pair = [random.integers(0, 256, (*size, 3)).astype(np.uint8) for _ in range(2)]
    if translucent:
        pair = [with_alpha(picture, random.integers(0, 256, size)) for picture in pair]
    pair = [at_depth(picture, depth) for picture in pair]
    metric = Visible(level=level, scale=scale)
    one, other = (metric.measure(*map(image_of, order), None) for order in (pair, pair[::-1]))
    assert one.value == other.value
    assert one.details == other.details
    assert np.array_equal(one.heat, other.heat)
    assert 0 <= one.value <= LARGEST


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_change_that_shows_on_white_only_is_seen(depth):
    clear = np.zeros((40, 40, 4), np.uint8)
    white = clear.copy()
    white[10:30, 10:30] = (0, 0, 0, 200)
    result = measure(*(at_depth(picture, depth) for picture in (clear, white)))
    assert result.value > 1
    assert result.details["backdrop"] == "white"


def test_exact_counts_every_pixel_and_strict_explains_nothing_by_shifts():
    noise = UNSEEN["one level"]
    exact = measure(page(), noise, level="exact")
    assert exact.value > 1
    assert exact.details["pixels"] == differing_pixels(image_of(page()), image_of(noise))
    assert measure(page(), noise, level="strict").value <= 1
    assert measure(page(), UNSEEN["half a pixel"], level="strict").value > 1


def moved_button(draw):
    draw.rectangle((0, 132, 299, 179), fill="white")
    draw.rectangle((40, 140, 124, 170), fill=(37, 99, 235))


@pytest.mark.parametrize(
    ("actual", "is_seen"),
    [
        (page(ink=(194, 65, 12)), False),
        (changed("318.40", "378.40"), False),
        (as_jpeg(page(), 80), False),
        (page(lines=LINES[:-1]), True),
        (page(edit=moved_button), True),
    ],
    ids=["another colour", "another digit", "noise", "a line gone", "a box moved"],
)
def test_layout_sees_boxes_and_lines_alone(actual, is_seen):
    result = measure(page(), actual, level="layout")
    assert (result.value > 1) == is_seen
    assert (result.details["pixels"] > 0) == is_seen


def test_a_screenshot_at_two_device_pixels_is_judged_in_css_pixels():
    def doubled(picture):
        return picture.repeat(2, axis=0).repeat(2, axis=1)

    moved = np.roll(doubled(page()), 2, axis=1)
    assert measure(doubled(page()), moved).value > 1
    assert measure(doubled(page()), moved, scale=2).value <= 1
    digit = measure(doubled(page()), doubled(changed("318.40", "378.40")), scale=2)
    assert digit.value == measure(page(), changed("318.40", "378.40")).value
    assert digit.heat.shape == (360, 600)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
def test_a_photograph_that_was_encoded_again_passes_and_a_spot_on_it_fails(name):
    picture = photograph(name, 200, 260)
    again = as_jpeg(picture, 90)
    assert measure(picture, again).value <= 1
    spot = again.copy()
    spot[90:110, 120:140] = 255 - spot[90:110, 120:140]
    assert measure(picture, spot).value > 1


def test_how_a_file_stores_its_rows_does_not_change_the_value():
    expected, actual = (
        np.concatenate([*[page()] * 3, picture, *[page()] * 3]) for picture in (page(), SEEN["a digit"])
    )
    stored = []
    for picture in (expected, actual):
        buffer = io.BytesIO()
        Pillow.fromarray(picture).save(buffer, "PNG")
        stored.append(images.read(buffer.getvalue()))
    expected_file, actual_file = (decoded[0] for decoded in images.decode_pair(*stored))
    found, wanted = Visible().measure(expected_file, actual_file, None), measure(expected, actual)
    assert (found.value, found.details) == (wanted.value, wanted.details)
    assert np.array_equal(found.heat, wanted.heat)
