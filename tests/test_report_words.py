"""What the terminal and the failing test say."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_imgdiff.base.captured import CaptureInfo, Element
from pytest_imgdiff.base.record import (
    AlignmentRecord,
    BandRecord,
    WindowRecord,
    record_of,
)
from pytest_imgdiff.base.text import printable, visible
from pytest_imgdiff.comparison.engine import compare
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import load_settings
from pytest_imgdiff.report import counts, failure_text, properties, summary_line, verdict_line
from pytest_imgdiff.report.records import failures
from pytest_imgdiff.report.scores import (
    byte_size,
    differing_share,
    measured,
    number,
    passing_limit,
    passing_rule,
    percent,
    sentence,
    worst_of,
)
from pytest_imgdiff.report.words import nearest_limits
from tests.report_records import (
    HOSTILE_NAMES,
    captured,
    different,
    equal,
    perceptual,
    region,
    run_of,
    side,
    ssim,
    uncompared,
)

if TYPE_CHECKING:
    from pytest_imgdiff.base.record import ComparisonRecord

PICTURES = {"expected": "pictures/b/expected.png", "actual": "pictures/b/actual.png", "mask": "pictures/b/mask.png"}
LINES = {
    "fails perceptual: 1 284 px, 0.8 % > 0.5 %; passes ssim 0.993 >= 0.99; 3 regions, largest 240x64 at 16,80": (
        different()
    ),
    "fails ssim: 0.98998 < 0.99; 1 region, 34x12 at 5,6 (text changed)": different(
        scores=[ssim(0.98998)], regions=[region(5, 6, 34, 12, kind="text")], region_count=1
    ),
    "fails ssim: 0.98998 < 0.99; 3 regions (2 moved, 1 added), largest 90x30 at 40,60 (moved by 14,-6)": different(
        scores=[ssim(0.98998)],
        regions=[
            region(40, 60, 90, 30, kind="moved", moved=(14, -6)),
            region(0, 0, 8, 8, kind="added"),
            region(0, 90, 8, 8, kind="moved", moved=(1, 0)),
        ],
        region_count=3,
    ),
    "fails ssim: 0.98998 < 0.99; 1 region, 8x8 at 0,0 (only actual)": different(
        scores=[ssim(0.98998)], regions=[region(0, 0, 8, 8, kind="only actual")], region_count=1
    ),
    "fails perceptual: 1 284 px > 1 000 px, 0.8 %": different(
        scores=[perceptual(limit=None, max_pixels=1000)], regions=[], region_count=0
    ),
    "fails psnr: 31.2 dB < 40 dB": different(
        scores=[ssim(31.2, metric="psnr", unit="dB", limit=40.0, passed=False)], regions=[], region_count=0
    ),
    "identical, byte for byte": equal(),
    "identical, pixel for pixel": equal(equal="pixels"),
    "identical, pixel for pixel; expected 400x300, actual 410x300: both were cropped to 400x300 (size: crop)": equal(
        equal="pixels", size_policy="crop", actual=side(width=410), compared_width=400, compared_height=300
    ),
    "identical, pixel for pixel; frame 0 of 4 with frame 0 of 5": equal(
        equal="pixels", expected=side(frames=4), actual=side(frames=5)
    ),
    "warns ssim 0.993 >= 0.99, below the warning limit 0.995; passes perceptual 0 px, 0 % <= 0.5 %": equal(
        equal=None, scores=[perceptual(0.0, 0), ssim(warn=0.995, warned=True)]
    ),
    "there is no expected image": uncompared("missing", "a"),
    "there is no actual image (allowed by the policy)": uncompared("unmatched", "a", passed=True),
    "no baseline yet; baseline written: baselines/a.png": uncompared(
        "missing", "a", passed=True, reason="no baseline yet", written="baselines/a.png"
    ),
    "the sizes differ: expected 4x3, actual 4x4": uncompared(
        "resized", "a", reason="the sizes differ: expected 4x3, actual 4x4"
    ),
    "a.png: HTML: a page, not an image": uncompared("broken", "a", reason="a.png: HTML: a page, not an image"),
}


@pytest.mark.parametrize(("line", "record"), LINES.items(), ids=range(len(LINES)))
def test_verdict_line(line, record):
    assert verdict_line(record) == line


def assert_text(text: str, expected: str) -> None:
    assert text == textwrap.dedent(expected).strip()


def test_failure_names_rules_limits_regions_paths_and_the_command():
    record = different(
        scores=[perceptual(0.00803401, 1284, max_pixels=1000), ssim(0.98765)], region_count=9, artefacts=PICTURES
    )
    assert_text(
        failure_text(record, directory="imgdiff-report"),
        """
        images differ (240x64 at 16,80 and 8 more regions; perceptual 1 284 px > 1 000 px, 0.803 % > 0.5 %; ssim 0.988 < 0.99): charts/bar
          fails:      perceptual: 1 284 px > 1 000 px, 0.803 % > 0.5 % (over by 284 px, over by 0.303 %)
          fails:      ssim: 0.988 < 0.99 (short by 0.00235)
          would pass: perceptual: {max_pixels: 1284, max: 0.00804}, ssim: {min: 0.987}
          regions:    9, largest: 240x64 at 16,80, 12x12 at 300,40, 8x8 at 10,10
          expected:   baselines/chart.png (400x300)
          actual:     actual/chart.png (400x300)
          difference: imgdiff-report/pictures/b/mask.png
          accept:     pytest --imgdiff-update=failed 'tests/test_charts.py::test_bar'
        """,
    )


def test_failure_without_a_report_names_no_pictures():
    record = different(scores=[perceptual(), ssim()], region_count=3, artefacts=PICTURES, notes=["profiles differ"])
    assert_text(
        failure_text(record, directory=None),
        """
        images differ (240x64 at 16,80 and 2 more regions; perceptual 1 284 px, 0.8 % > 0.5 %): charts/bar
          fails:      perceptual: 1 284 px, 0.8 % > 0.5 % (over by 0.3 %)
          passes:     ssim 0.993 >= 0.99
          would pass: perceptual: {max: 0.008}
          regions:    3: 240x64 at 16,80, 12x12 at 300,40, 8x8 at 10,10
          note:       profiles differ
          expected:   baselines/chart.png (400x300)
          actual:     actual/chart.png (400x300)
          accept:     pytest --imgdiff-update=failed 'tests/test_charts.py::test_bar'
        """,
    )


def test_missing_baseline_tells_how_to_accept():
    record = uncompared("missing", "charts/bar", accept="pytest --imgdiff-update=missing")
    assert_text(
        failure_text(record, directory=None),
        """
        no expected image: charts/bar
          reason: there is no expected image
          actual: actual/chart.png (400x300)
          to do:  accept the actual image as the expected one, or allow it: `missing: allow`
          accept: pytest --imgdiff-update=missing
        """,
    )


def test_unmatched_picture_offers_nothing_to_accept():
    assert_text(
        failure_text(uncompared("unmatched", "charts/bar"), directory=None),
        """
        no actual image: charts/bar
          reason:   there is no actual image
          expected: baselines/chart.png (400x300)
          to do:    find out why there is no actual image, delete the expected one, or allow it: `unmatched: allow`
        """,
    )


def test_resized_picture_tells_both_sizes_and_what_to_set():
    record = uncompared("resized", "charts/bar", actual=side("actual/chart.png", height=301), accept=None)
    assert_text(
        failure_text(record, directory=None),
        """
        sizes differ (expected 400x300, actual 400x301): charts/bar
          reason:   the sizes differ
          expected: baselines/chart.png (400x300)
          actual:   actual/chart.png (400x301)
          to do:    fix the size, accept the new one, or compare different sizes: `size: pad`, `crop` or `scale`
        """,
    )


def test_broken_picture_gives_the_cause():
    record = uncompared("broken", "charts/bar", reason="a.png: PNG: cut off", actual=None)
    assert_text(
        failure_text(record, directory="r"),
        """
        could not be judged: charts/bar
          reason:   a.png: PNG: cut off
          expected: baselines/chart.png (400x300)
          to do:    fix the error; a comparison with an error never passes
        """,
    )


def test_no_limit_is_offered_where_a_metric_has_no_value():
    record = different(verdict="broken", reason="ssim: too small", scores=[perceptual(), ssim(None)])
    text = failure_text(record, directory=None)

    assert "would pass" not in text
    assert "ssim: not measured (the image is smaller than the window of 7x7)" in text


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_stay_on_their_line(name):
    record = different(name, notes=[name], accept=name, expected=side(name))
    assert failure_text(record, directory=name).isascii() or "\u202e" not in failure_text(record, directory=name)
    assert len(failure_text(record, directory=name).splitlines()) == 9
    assert len(verdict_line(uncompared("broken", name, reason=name)).splitlines()) == 1


@given(st.text(st.characters(), max_size=30))
def test_visible_text_is_one_printable_line(text):
    assert visible(text).isprintable()
    assert visible(text).encode().decode() == visible(text)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["distance", "similarity"]))
def test_nearest_limit_is_passed_by_the_value(value, direction):
    limit = float(passing_limit(value, direction))
    assert value <= limit if direction == "distance" else value >= limit


@given(st.floats(1e-9, 1), st.sampled_from(["distance", "similarity"]))
def test_nearest_limit_is_near(value, direction):
    assert float(passing_limit(value, direction)) == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize(
    ("value", "direction", "limit"),
    [
        (0.00803401, "distance", "0.00804"),
        (0.98765, "similarity", "0.987"),
        (0.99996, "similarity", "0.99996"),
        (0.999912345, "similarity", "0.999912"),
        (38.1234, "similarity", "38.1"),
        (12345.678, "distance", "12346"),
        (7.0, "distance", "7"),
        (1.0, "distance", "1"),
        (0.99999, "distance", "1"),
        (0.000000123456, "distance", "0.000000124"),
        (-0.25, "similarity", "-0.25"),
    ],
)
def test_nearest_limit_is_short_and_has_no_exponent(value, direction, limit):
    assert passing_limit(value, direction) == limit


@given(st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_number_never_reads_like_a_limit_that_it_does_not_equal(value, limit):
    shown = number(value, unlike=[limit])
    assert value == limit or float(shown) != limit


def test_numbers_are_short():
    assert number(0.98765) == "0.988"
    assert number(1234567.0) == "1 234 567"
    assert number(-12345.678) == "-12 346"
    assert number(0.0) == number(-0.0) == "0"
    assert number(3.2e-12) == "3.2e-12"
    assert percent(0.005) == "0.5 %"
    assert percent(0.99999, unlike=[1.0]) == "99.999 %"
    assert byte_size(812) == "812 bytes"
    assert byte_size(20_480) == "20 KiB"
    assert byte_size(4_781_506) == "4.56 MiB"


def test_counts_name_every_verdict():
    run = run_of(different(), equal("b"), uncompared("missing", "c", passed=True))
    assert counts(run) == {
        "match": 1,
        "different": 1,
        "missing": 1,
        "unmatched": 0,
        "resized": 0,
        "broken": 0,
        "passed": 2,
        "failed": 1,
    }


def test_summary_line():
    warned = equal("w", equal=None, scores=[ssim(warn=0.995, warned=True)])
    assert summary_line(run_of(equal())) == "1 comparison: 1 passed"
    assert summary_line(run_of(equal(), warned)) == "2 comparisons: 2 passed (1 with a warning)"
    run = run_of(different(), uncompared("broken", "b"), equal(), complete=False, unrecorded=["x"])
    assert summary_line(run) == (
        "3 comparisons: 2 failed (1 different, 1 broken), 1 passed; INCOMPLETE: 1 of the collected items did not finish"
    )
    assert summary_line(run_of()) == "no image was compared"
    assert summary_line(run_of(complete=False)) == ("no image was compared; INCOMPLETE: the run did not finish")


def test_worst_failure_comes_first():
    records: list[ComparisonRecord] = [
        different("little"),
        different("much", scores=[perceptual(0.9)]),
        different("psnr", scores=[ssim(10.0, metric="psnr", unit="dB", limit=40.0, passed=False)]),
        uncompared("resized", "resized"),
        uncompared("broken", "broken"),
        different("unlike", scores=[ssim(0.05)]),
        uncompared("missing", "missing"),
    ]
    order = [record.name for record in failures(records)]
    assert order == ["broken", "unlike", "much", "psnr", "little", "resized", "missing"]


def test_junit_properties_are_plain_text():
    record = different(scores=[perceptual(), ssim(0.98123)])
    assert properties(record) == [
        ("imgdiff.name", "charts/bar"),
        ("imgdiff.verdict", "different"),
        ("imgdiff.passed", "false"),
        ("imgdiff.perceptual", "0.008"),
        ("imgdiff.perceptual.pixels", "1284"),
        ("imgdiff.ssim", "0.98123"),
        ("imgdiff.regions", "3"),
        ("imgdiff.largest_region", "240x64 at 16,80"),
    ]


@given(st.text(st.characters(), max_size=30))
def test_junit_properties_hold_nothing_that_xml_cannot(name):
    record = uncompared("broken", name, reason=name)
    for pair in properties(record):
        assert all(type(text) is str and text.isprintable() for text in pair)


def test_count_and_share_of_pixel_match_are_of_the_same_pixels():
    details = {"pixels": 1284, "compared_pixels": 160_500}
    score = perceptual(0.992, direction="similarity", metric="pixel_match", limit=1.0, details=details)
    assert sentence(score) == "fails pixel_match: 1 284 px differ (0.8 %), 99.2 % equal < 100 %"
    assert measured(score) == "1 284 px differ (0.8 %), 99.2 % equal"
    assert differing_share(score) == 0.008
    counted = msgspec.structs.replace(score, limit=None, max_pixels=500)
    assert sentence(counted) == "fails pixel_match: 1 284 px differ (0.8 %) > 500 px, 99.2 % equal"


def test_a_count_in_a_window_is_told_beside_its_limit():
    details = {"pixels": 1284, "most_in_window": 118}
    score = perceptual(limit=None, max_in_window=WindowRecord(32, 50), passed=False, details=details)
    assert sentence(score) == "fails perceptual: 1 284 px, 118 px in a window of 32x32 > 50 px, 0.8 %"
    assert passing_rule(score) == "perceptual: {max_in_window: {size: 32, pixels: 118}}"
    full = msgspec.structs.replace(score, max_in_window=WindowRecord(8, 5), details={**details, "most_in_window": 64})
    assert passing_rule(full) is None, "a limit of all pixels that a window has checks nothing"
    held = msgspec.structs.replace(score, max_in_window=WindowRecord(32, 200), passed=True)
    assert sentence(held) == "passes perceptual 1 284 px, 118 px in a window of 32x32 <= 200 px, 0.8 %"
    worse = msgspec.structs.replace(score, details={"pixels": 900, "most_in_window": 300})
    assert worst_of([score, worse]).details == {"pixels": 1284, "most_in_window": 300}


# What is offered can be followed


def speckled(share: float) -> np.ndarray:
    """Return white of which this share is black, at the top."""
    pixels = np.full((100, 200, 3), 255, np.uint8)
    pixels.reshape(-1, 3)[: round(share * 20_000)] = 0
    return pixels


@pytest.mark.parametrize("share", [0.0001, 0.1, 0.5, 0.99, 0.99995, 1.0])
@pytest.mark.parametrize(
    "metrics",
    [
        {"perceptual": {"max": 0}},
        {"perceptual": {"max_pixels": 0}},
        {"pixel_match": {"min": 1}},
        {"mse": {"max": 0}},
        {"perceptual": {"max": 0, "max_pixels": 0}, "ssim": {"min": 1}},
    ],
)
def test_the_limits_that_would_pass_are_accepted_and_pass(share, metrics):
    settings = load_settings(None, Registry())
    pair = speckled(0), speckled(share)
    comparison = compare(*pair, settings.policy_for("a", call={"metrics": metrics}))
    offered = nearest_limits(record_of(comparison))

    assert not comparison.passed
    if share == 1:
        assert offered is None, "two images that have nothing in common pass under no rule that checks anything"
    else:
        policy = settings.policy_for("a", call={"metrics": yaml.safe_load(f"{{{offered}}}")})
        assert compare(*pair, policy).passed


def test_a_size_that_came_to_no_comparison_is_not_told_as_one():
    record = uncompared(
        "broken", "a", size_policy="pad", actual=side(width=410), reason="m.png: PNG: this ignore mask is 4x4"
    )
    assert "None" not in failure_text(record, directory=None)
    assert "padded" not in verdict_line(record)


def test_failed_capture_names_elements_page_and_browser():
    record = captured(capture={"attempts": 4, "steady": False, "attachments": {"trace": "test-results/cart/trace.zip"}})
    assert_text(
        failure_text(record, directory=None, shown=lambda path: f"../{path}"),
        """
        images differ (`nav > a.badge` 'New' (link) and 2 more regions; perceptual 1 284 px, 0.8 % > 0.5 %): shop/cart
          fails:      perceptual: 1 284 px, 0.8 % > 0.5 % (over by 0.3 %)
          passes:     ssim 0.993 >= 0.99
          would pass: perceptual: {max: 0.008}
          regions:    3
          region 1:   `nav > a.badge` 'New' (link), 34x18 at 310,12
          region 2:   `article.card:nth-of-type(2) > p.price` '12.00' (paragraph), 240x64 at 16,80 (text changed)
          region 3:   8x8 at 5,5
          page:       https://shop.example/cart 'Your cart'
          captured:   Playwright page, 4 captures, chromium 140.0.7339.16, viewport 1280x720, device scale 2, light
          unsteady:   4 captures until two were equal
          trace:      ../test-results/cart/trace.zip
          expected:   ../baselines/chart.png (400x300)
          actual:     ../actual/chart.png (400x300)
          accept:     pytest --imgdiff-update=failed 'tests/test_charts.py::test_bar'
        """,
    )


def test_a_captured_image_is_named_by_its_file_in_the_report():
    record = captured(actual=side("Playwright page"), artefacts={"actual": "pictures/4f1d.png"})
    text = failure_text(record, directory="imgdiff-report", shown=lambda path: f"../{path}")
    assert "  actual:     Playwright page (400x300), shown in imgdiff-report/pictures/4f1d.png\n" in text


def test_only_the_largest_regions_are_named():
    assert "  regions:    9, here are the 3 largest; the report has all\n" in failure_text(
        captured(region_count=9), directory=None
    )


def test_line_of_a_capture_names_the_element_under_the_largest_region():
    assert verdict_line(captured()).endswith("3 regions, largest `nav > a.badge` 'New' (link), 34x18 at 310,12")


def test_line_of_rows_that_were_inserted_names_the_element_too():
    bands = AlignmentRecord(
        [BandRecord("inserted", "rows", (0, 47, 400, 0), (0, 47, 400, 43), plain=False, moved=False)], [], []
    )
    record = captured(alignment=bands, region_count=1)
    assert verdict_line(record).endswith(
        "43 rows inserted at y = 47; the rest equal, moved down by 43; under the largest region: `nav > a.badge` 'New' (link)"
    )


def test_capture_that_passes_after_several_tries_is_told_as_unsteady():
    record = equal(equal="pixels", capture=CaptureInfo("Playwright page", attempts=3, steady=False))
    assert verdict_line(record) == "identical, pixel for pixel; unsteady: 3 captures until two were equal"


def test_capture_that_never_stood_still_is_not_told_as_settled():
    record = uncompared("broken", "a", reason="it never became stable", capture=CaptureInfo("page", 9, steady=False))
    assert "until two were equal" not in failure_text(record, directory=None)


def test_capture_of_a_figure_has_no_page():
    record = different(capture=CaptureInfo("Matplotlib figure"))
    assert "  captured:   Matplotlib figure, 1 capture\n" in failure_text(record, directory=None)
    assert "page:" not in failure_text(record, directory=None)


def test_junit_names_the_element_of_the_largest_region():
    assert dict(properties(captured()))["imgdiff.largest_region"] == ("`nav > a.badge` 'New' (link), 34x18 at 310,12")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_words_of_elements_stay_on_their_line(name):
    hostile = captured(regions=[region(element=Element(printable(name), name=printable(name)))], region_count=1)
    text = failure_text(hostile, directory=None)
    plain = captured(regions=[region(element=Element("p", name="x"))], region_count=1)
    assert len(text.splitlines()) == len(failure_text(plain, directory=None).splitlines())
    assert text.replace("\n", "").isprintable()
