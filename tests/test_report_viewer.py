"""The viewer as a reader meets it: a real report in a real Chromium, from a folder and from a web server alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import cv2
import msgspec
import numpy as np
import pytest
import yaml

from pytest_imgdiff import compare
from pytest_imgdiff.base.record import record_of
from pytest_imgdiff.config import glob_matches
from pytest_imgdiff.report import write_report
from tests.report_records import HOSTILE_NAMES, captured, different, run_of
from tests.test_alignment import two_columns
from tests.viewer_pages import (
    PLACES,
    address,
    await_pictures,
    on_screen,
    open_at,
    open_viewer,
    pixel,
    report,
    served,
    shot,
    without_outlines,
)
from tests.viewer_report import BOX, HEIGHT, TALL, WIDTH, gradient, illustrated, viewer_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

__all__ = ["address", "open_at", "open_viewer", "report", "served"]

VIEWS = ["Side by side", "Swipe", "Onion skin", "Blink", "Difference", "Mask", "Heat", "ORB matches"]
TINT = (230, 0, 89)


# Views


def test_every_view_has_a_key_and_stands_in_the_address(open_viewer, address):
    page = open_viewer("page", address=address)

    for key, name in enumerate(VIEWS, start=1):
        page.keyboard.press(str(key))
        assert page.locator(".views button[aria-pressed=true]").text_content() == f"{name}{key}"
        assert page.locator(".fallback").is_hidden()
        pictures = page.locator(".layer img")
        assert pictures.count() == {"Side by side": 2, "Difference": 1, "ORB matches": 1}.get(name, 2)
        pictures.evaluate_all("all => Promise.all(all.map((image) => image.decode()))")
    assert page.url.endswith("view=orb")


def test_view_is_kept_and_the_nearest_falls_in(open_viewer):
    page = open_viewer("page")

    page.keyboard.press("8")
    page.keyboard.press("j")
    page.get_by_role("heading", name="icon").wait_for()
    assert page.locator(".fallback").inner_text() == (
        "ORB matches: the orb metric did not draw any. Shown instead: Side by side."
    )
    assert page.locator("[data-view=side]").get_attribute("aria-pressed") == "true"
    assert page.locator("[data-view=orb]").get_attribute("aria-disabled") == "true"
    page.keyboard.press("7")
    assert "Shown instead: Mask" in page.locator(".fallback").inner_text()
    assert "Shown instead: Mask" in page.locator("#status").inner_text()
    page.keyboard.press("k")
    page.get_by_role("heading", name="page").wait_for()
    assert page.locator("[data-view=heat]").get_attribute("aria-pressed") == "true"
    assert page.locator(".fallback").is_hidden()


def test_swipe_shows_expected_left_and_actual_right_of_the_divider(open_viewer, address):
    page = open_viewer("page", view="swipe", address=address)
    without_outlines(page)
    x, y, width, _ = BOX

    slider = page.get_by_role("slider", name="Divider between expected and actual")
    assert slider.get_attribute("aria-valuenow") == "50"
    assert pixel(page, x + 5, y + 5) == (250, 10, 20)
    slider.focus()
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuenow") == "100"
    assert pixel(page, x + 5, y + 5) == tuple(gradient()[y + 5, x + 5])
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    assert slider.get_attribute("aria-valuenow") == "79"
    before = page.evaluate(PLACES)
    grip = slider.bounding_box()
    page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + 50)
    page.mouse.down()
    middle = on_screen(page, x + width // 2, y)[0]
    page.mouse.move(middle, grip["y"] + 80)
    page.mouse.up()
    assert slider.get_attribute("aria-valuenow") == str(round((x + width / 2) / WIDTH * 100))
    assert pixel(page, x + 5, y + 5) == tuple(gradient()[y + 5, x + 5])
    assert pixel(page, x + width - 5, y + 5) == (250, 10, 20)
    assert page.evaluate(PLACES) == before
    page.keyboard.press(".")
    assert slider.get_attribute("aria-valuenow") == str(round((x + width / 2) / WIDTH * 100) + 5)


def test_divider_stays_in_sight_when_the_picture_is_zoomed_and_moved(open_viewer):
    page = open_viewer("page", view="swipe")
    page.keyboard.press("z")
    for _ in range(8):
        page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowRight")

    pane = page.locator(".pane-window").bounding_box()
    grip = page.get_by_role("slider").bounding_box()
    assert pane["x"] < grip["x"] < pane["x"] + pane["width"]


def test_onion_skin_mixes_both_pictures(open_viewer):
    page = open_viewer("page", view="onion")
    without_outlines(page)
    x, y = BOX[0] + 5, BOX[1] + 5
    expected, actual = gradient()[y, x].astype(float), np.array([250, 10, 20])

    opacity = page.get_by_role("slider", name="Expected")
    assert np.abs(np.array(pixel(page, x, y)) - (expected + actual) / 2).max() <= 2
    opacity.fill("100")
    assert pixel(page, x, y) == tuple(actual)
    for _ in range(5):
        page.keyboard.press(",")
    assert opacity.input_value() == "75"
    assert np.abs(np.array(pixel(page, x, y)) - (expected + 3 * actual) / 4).max() <= 2
    page.keyboard.press("j")
    page.get_by_role("heading", name="icon").wait_for()
    assert page.get_by_role("slider", name="Expected").input_value() == "75"


def test_blink_turns_by_itself_at_the_chosen_rate_until_it_is_paused(open_viewer):
    page = open_viewer("page", view="blink", reduced_motion="no-preference")

    sides = "document.querySelector('.pane-name').textContent"
    page.wait_for_function(f"() => {sides} === 'Actual'")
    page.wait_for_function(f"() => {sides} === 'Expected'")
    rate = page.get_by_role("slider", name="Rate")
    assert float(rate.get_attribute("max")) <= 3, "more than three flashes a second can cause seizures"
    rate.fill("3")
    page.wait_for_function(f"() => {sides} === 'Actual'")
    page.keyboard.press("b")
    page.get_by_role("button", name="Start").wait_for()
    shown = page.locator(".pane-name").inner_text()
    page.wait_for_timeout(700)
    assert page.locator(".pane-name").inner_text() == shown


def test_blink_waits_where_less_motion_is_asked_for_and_flips_by_hand(open_viewer):
    page = open_viewer("page", view="blink")
    without_outlines(page)
    x, y = BOX[0] + 5, BOX[1] + 5

    page.get_by_text("your system requests reduced motion").wait_for()
    page.get_by_role("button", name="Start").wait_for()
    assert pixel(page, x, y) == tuple(gradient()[y, x])
    page.keyboard.press("f")
    assert pixel(page, x, y) == (250, 10, 20)
    assert page.locator(".pane-name").inner_text() == "Actual"
    page.keyboard.press("f")
    assert pixel(page, x, y) == tuple(gradient()[y, x])
    page.get_by_role("button", name="Start").click()
    page.get_by_role("button", name="Pause").wait_for()


def test_difference_is_white_where_a_pixel_differs(open_viewer):
    page = open_viewer("page", view="difference")
    without_outlines(page)

    assert pixel(page, BOX[0] + 5, BOX[1] + 5) == (255, 255, 255)
    assert pixel(page, 5, 5) == (0, 0, 0)


def test_mask_marks_what_differs_on_the_faint_actual_picture(open_viewer, address):
    page = open_viewer("page", view="mask", address=address)
    without_outlines(page)

    assert np.abs(np.subtract(pixel(page, BOX[0] + 5, BOX[1] + 5), TINT)).max() <= 1
    red, green, blue = pixel(page, 200, 100)
    assert red == green == blue > 160


def test_heat_is_chosen_among_metrics_and_laid_over_the_actual_picture(open_viewer):
    page = open_viewer("page", view="heat")
    without_outlines(page)
    x, y = BOX[0] + 5, BOX[1] + 5

    chooser = page.get_by_role("combobox", name="Heat of which metric")
    first = pixel(page, x, y)
    assert first in {(255, 127, 0), (0, 127, 255)}
    other = next(option for option in ("ssim_heat", "perceptual_heat") if option != chooser.input_value())
    chooser.select_option(other)
    assert pixel(page, x, y) == first[::-1]
    assert page.evaluate("document.activeElement.localName") == "select"
    page.get_by_role("slider", name="Actual").fill("0")
    assert pixel(page, x, y) == (250, 10, 20)


def test_pictures_stay_in_place_when_the_view_is_changed(open_viewer):
    page = open_viewer("page", view="swipe")
    page.keyboard.press("n")
    before = page.evaluate(PLACES)

    for key in "34567":
        page.keyboard.press(key)
        await_pictures(page)
        assert page.evaluate(PLACES)[0] == before[0]


# What there is to show


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("new", ["There is no expected image"]),
        ("gone", ["There is no actual image"]),
        ("torn", ["The expected image cannot be shown", "The actual image cannot be shown"]),
        (
            "bare",
            ["The expected image was not stored: both are equal", "The actual image was not stored: both are equal"],
        ),
        ("grown", []),
    ],
)
def test_views_cope_with_missing_pictures(open_viewer, name, absent):
    page = open_viewer(name)

    assert page.locator(".pane-notice").all_inner_texts() == absent
    for key in ("1", "2", "3", "4", "5", "6", "7", "8", "n", "p", "+", "-", "w", "0", "ArrowDown", ".", "b", "f", "o"):
        page.keyboard.press(key)
        assert page.locator(".pane").count() in {1, 2}
    page.keyboard.press("1")
    page.mouse.move(400, 400)
    assert page.locator(".pane-notice").all_inner_texts() == absent


def test_picture_that_is_stored_once_is_shown_on_both_sides(open_viewer):
    page = open_viewer("once")
    sources = "() => [...document.querySelectorAll('.pane')].map((pane) => pane.querySelector('img').naturalWidth)"

    for key in ("1", "4", "1"):
        page.keyboard.press(key)
    assert page.evaluate(sources) == [200, 200]


def test_pictures_of_two_sizes_lie_on_each_other_top_left(open_viewer):
    page = open_viewer("grown", view="onion")

    boxes = page.locator(".layer").evaluate_all(
        "all => all.map((layer) => { const { left, top, width, height } = layer.getBoundingClientRect(); return [left, top, width, height]; })"
    )
    (left, top, *_), (other_left, other_top, *_) = boxes
    assert (left, top) == (other_left, other_top)
    assert boxes[0][2] / boxes[1][2] == pytest.approx(200 / 400)
    assert boxes[0][3] / boxes[1][3] == pytest.approx(120 / 300)


def test_picture_that_was_resampled_is_drawn_at_the_compared_size(open_at, report):
    page = open_at(report.as_uri())
    index = page.evaluate("imgdiff.run.rows.findIndex((row) => row.name === 'grown')")
    page.evaluate(
        "(index) => imgdiff.loader.details(index).then((detail) => Object.assign(detail, { scaled: true, size: [200, 120] })).then(() => {})",
        index,
    )
    page.evaluate("(index) => imgdiff.viewer.open(index)", index)
    page.locator(".layer").nth(1).wait_for()

    first, second = (page.locator(".layer").nth(number).bounding_box() for number in (0, 1))
    assert (first["width"], first["height"]) == (second["width"], second["height"])


def test_size_that_the_report_does_not_know_is_found_by_the_browser(open_at, report):
    page = open_at(report.as_uri())
    index = page.evaluate("imgdiff.run.rows.findIndex((row) => row.name === 'new')")
    page.evaluate(
        "(index) => imgdiff.loader.details(index).then(({ figures }) => { for (const one of figures) one.width = one.height = null; })",
        index,
    )
    page.evaluate("(index) => imgdiff.viewer.open(index)", index)

    page.locator(".layer").wait_for()
    box = page.locator(".layer").bounding_box()
    assert (box["width"], box["height"]) == (400, 240)  # twice 200x120
    assert page.locator(".pane-size").last.inner_text() == "200×120"  # noqa: RUF001 - as it is printed


def test_picture_that_is_gone_is_named(open_at, tmp_path):
    viewer_report(tmp_path)
    page = open_at(tmp_path.as_uri())
    gone = page.evaluate("imgdiff.loader.details(1).then(({ figures }) => figures[0].href)")
    page.evaluate(
        "(href) => { imgdiff.loader.details(1).then(({ figures }) => { figures[0].href = 'data:image/png,torn'; }); }",
        gone,
    )
    page.evaluate("imgdiff.viewer.open(1)")

    page.get_by_text("cannot be shown: was the whole folder of the report kept?").wait_for()


def test_tall_picture_fits_by_its_width_with_a_map_beside_it(open_viewer):
    page = open_viewer("tall", view="swipe")
    place = page.evaluate(PLACES)[0]

    assert place["scale"] == 1
    assert place["y"] == 0
    minimap = page.locator(".minimap.is-beside")
    minimap.wait_for()
    assert minimap.locator(".minimap-marks span").count() == 2
    page.keyboard.press("End")
    assert page.evaluate(PLACES)[0]["y"] == TALL - place["height"]
    page.keyboard.press("PageUp")
    assert page.evaluate(PLACES)[0]["y"] == pytest.approx(TALL - 1.85 * place["height"], abs=1)
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    assert page.evaluate(PLACES)[0]["y"] == pytest.approx(0.85 * place["height"], abs=1)
    box = page.locator(".minimap-map").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.evaluate(PLACES)[0]["y"] + place["height"] / 2 == pytest.approx(TALL / 2, abs=TALL / box["height"])
    page.keyboard.press("e")
    assert page.evaluate(PLACES)[0]["scale"] * TALL <= place["height"] + 0.01
    page.keyboard.press("n")
    assert page.evaluate(PLACES)[0]["scale"] > 1


def test_panel_tells_everything_of_the_comparison(open_viewer):
    page = open_viewer("page")
    panel = page.get_by_role("complementary", name="About this comparison")
    text = panel.inner_text()

    assert "fails perceptual: 1 284 px, 0.8 % > 0.5 %" in text.replace("\u00a0", " ")
    assert "25 % of the image was ignored" in text
    rows = panel.locator(".rules tbody tr").all_inner_texts()
    assert [re.split(r"\s*[\t\n]\s*", row) for row in rows] == [
        ["perceptual", "fails", "1 284 px, 0.8 %", "<= 0.5 %", "over by 0.3 %"],
        ["ssim", "passes", "0.993", ">= 0.99", "0.003 to spare"],
    ]
    assert panel.locator(".region").count() == 2
    assert panel.locator(".facts tbody tr").first.inner_text().startswith("file")
    assert panel.get_by_role("link", name=re.compile("Expected")).get_attribute("href").endswith("expected.png")
    assert "tests/test_charts.py::test_bar" in text
    assert "0.0123 s" in text.replace("\u00a0", " ")


def test_regions_beyond_those_listed_are_counted(open_viewer):
    page = open_viewer("tall")

    page.get_by_role("heading", name="500 regions").wait_for()
    page.get_by_text("498 smaller regions not listed.").wait_for()


def test_accept_command_is_copied(open_viewer):
    page = open_viewer("page", permissions=["clipboard-read"])

    page.get_by_role("button", name="Copy the command").click()
    page.get_by_role("button", name="Copy the command").filter(has_text="Copied").wait_for()
    assert (
        page.evaluate("navigator.clipboard.readText()")
        == "pytest --imgdiff-update=failed 'tests/test_charts.py::test_bar'"
    )


OVERRIDE = 'overrides:\n  - match: "shop/page[[]desktop].png"\n    ignore:\n      - '
AREA = OVERRIDE + "{x: 240, y: 180, width: 60, height: 40}\n"
SMALL_AREA = OVERRIDE + "{x: 20, y: 30, width: 9, height: 5}\n"


def test_a_region_is_copied_as_an_ignore_area(open_viewer, address):
    page = open_viewer("page", address=address, permissions=["clipboard-read", "clipboard-write"])
    buttons = page.locator(".copy-area")

    buttons.nth(1).click()
    buttons.nth(1).filter(has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == SMALL_AREA
    assert page.locator("#status").inner_text() == "Copied as an ignore area for imgdiff.yaml"
    page.keyboard.press("n")
    page.keyboard.press("y")
    buttons.nth(0).filter(has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == AREA
    assert page.locator(".area-yaml").count() == 0
    (override,) = yaml.safe_load(AREA)["overrides"]
    (area,) = override["ignore"]
    assert tuple(area.values()) == BOX
    assert glob_matches(override["match"], "shop/page[desktop].png")
    assert not glob_matches(override["match"], "shop/paged.png")


def test_an_ignore_area_is_shown_and_selected_where_the_clipboard_is_refused(open_viewer):
    page = open_viewer("page")
    page.evaluate(
        """() => {
          navigator.clipboard.writeText = () => Promise.reject(new DOMException("no", "NotAllowedError"));
          document.execCommand = () => false;
        }"""
    )

    page.get_by_role("button", name="Copy region 1 as an ignore area").click()
    page.locator(".copy-area").first.filter(has_text="Press Ctrl+C").wait_for()
    assert page.locator(".area-yaml").text_content() == AREA
    assert page.evaluate("getSelection().toString().trim()") == AREA.strip()


def test_others_add_to_the_panel_of_each_comparison(open_at, report):
    page = open_at(report.as_uri())
    page.evaluate(
        "imgdiff.viewer.onOpen((index, detail, panel) => { panel.textContent = `row ${index}, ${detail.regionCount} regions`; })"
    )

    page.evaluate("imgdiff.viewer.open(1)")
    page.get_by_text("row 1, 2 regions").wait_for()
    page.keyboard.press("j")
    page.get_by_text("row 2, 1 regions").wait_for()


# Going through, opening and closing


def test_focus_goes_into_the_viewer_and_back_to_the_row(open_at, address):
    page = open_at(address)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.locator("#viewer h2").wait_for()
    name = page.locator("#viewer h2").inner_text()

    page.wait_for_function("() => document.activeElement.id === 'viewer-name'")
    assert page.locator(".columns").evaluate("columns => columns.inert")
    page.locator("#status").filter(has_text=f"{name}, ").wait_for(state="attached")
    page.keyboard.press("Escape")
    assert page.locator("#viewer").is_hidden()
    assert not page.locator(".columns").evaluate("columns => columns.inert")
    page.wait_for_function("(name) => document.activeElement.innerText.includes(name)", arg=name)
    assert "open=" not in page.url


def test_next_and_previous_follow_the_list_and_say_where_it_ends(open_at, report):
    page = open_at(report.as_uri())
    names = page.evaluate("imgdiff.list.steps().map((index) => imgdiff.run.rows[index].name)")
    page.evaluate("imgdiff.viewer.open(imgdiff.list.steps()[0])")
    heading = page.locator("#viewer h2")

    for name in names[1:]:
        page.keyboard.press("j")
        page.wait_for_function("(name) => document.querySelector('#viewer h2').textContent === name", arg=name)
    page.keyboard.press("j")
    assert page.locator(".stage-hint").inner_text() == "This is the last comparison"
    page.get_by_role("button", name="Previous comparison").click()
    page.wait_for_function("(name) => document.querySelector('#viewer h2').textContent === name", arg=names[-2])
    page.go_back()
    assert heading.is_hidden()


def test_runs_of_a_merged_report_are_one_key_apart(open_at, tmp_path):
    records = [
        illustrated(tmp_path, different("page", column=column), actual=gradient(), expected=gradient())
        for column in ("linux", "macos")
    ]
    write_report(tmp_path, run_of(*records, columns=["linux", "macos"]))
    page = open_at(tmp_path.as_uri())
    page.evaluate("imgdiff.viewer.open(0)")
    pressed = page.locator(".runs button[aria-pressed=true]")

    runs = page.locator("#viewer").get_by_role("group", name="Run", exact=True)
    runs.get_by_role("button").first.wait_for()  # they come with the comparison's details
    assert runs.get_by_role("button").all_inner_texts() == ["linux", "macos"]
    first = pressed.inner_text()
    page.keyboard.press("r")
    page.wait_for_function(
        "(first) => document.querySelector('.runs button[aria-pressed=true]').textContent !== first", arg=first
    )
    runs.get_by_role("button", name=first).click()
    page.wait_for_function(
        "(first) => document.querySelector('.runs button[aria-pressed=true]').textContent === first", arg=first
    )


def test_late_details_of_a_comparison_passed_by_are_dropped(open_at, report):
    page = open_at(report.as_uri())
    page.evaluate(
        """() => {
          const { details } = imgdiff.loader;
          imgdiff.loader.details = (index) => new Promise((done) => setTimeout(() => done(details(index)), index === 1 ? 300 : 10));
          imgdiff.viewer.open(1);
          imgdiff.viewer.open(2);
        }"""
    )
    page.get_by_role("heading", name="icon").wait_for()
    page.wait_for_timeout(400)
    assert page.locator("#viewer h2").inner_text() == "icon"


def test_details_that_cannot_be_read_are_told(open_at, report):
    page = open_at(report.as_uri())
    page.evaluate(
        "() => { imgdiff.loader.details = () => Promise.reject(new Error('data/details-0.js cannot be read')); }"
    )
    page.evaluate("imgdiff.viewer.open(1)")

    page.locator(".verdict", has_text="data/details-0.js cannot be read").wait_for()
    page.keyboard.press("Escape")
    assert page.locator("#viewer").is_hidden()


def test_details_can_be_put_away(open_viewer):
    page = open_viewer("page")
    before = page.locator(".stage").bounding_box()["width"]

    page.keyboard.press("i")
    assert page.locator(".viewer-panel").is_hidden()
    assert page.locator("#viewer-details").get_attribute("aria-expanded") == "false"
    assert page.locator(".stage").bounding_box()["width"] > before
    page.locator("#viewer-details").click()
    page.locator(".viewer-panel").wait_for()


def test_every_key_is_on_the_help_sheet(open_viewer):
    page = open_viewer("page")

    page.keyboard.press("?")
    sheet = page.locator("#help section").filter(has=page.get_by_role("heading", name="In a comparison")).inner_text()
    for text in (*VIEWS, "Next region", "Zoom in", "Fit the width", "Switch to the other image", "Back to the list"):
        assert text in sheet


# Anyone, anywhere


def test_hostile_names_neither_run_nor_break_the_viewer(open_at, report):
    page = open_at(report.as_uri(), viewport={"width": 400, "height": 800})
    found = page.evaluate("imgdiff.run.rows.map((row, index) => [row.verdict, index, row.name])")
    hostile = [
        index for verdict, index, name in found if verdict == "different" and name not in {"page", "icon", "tall"}
    ]

    assert len(hostile) == len(HOSTILE_NAMES)
    for index in hostile:
        page.evaluate("(index) => imgdiff.viewer.open(index)", index)
        page.wait_for_function("(index) => imgdiff.viewing.subject?.index === index", arg=index)
        assert page.locator("#viewer h2").text_content() == page.evaluate(
            "(index) => imgdiff.run.rows[index].name", index
        )
        assert page.locator("#viewer").evaluate("viewer => viewer.scrollWidth <= viewer.clientWidth")
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.locator("#viewer script, #viewer [onload], #viewer [onerror]").count() == 0


@pytest.mark.parametrize("width", [320, 400, 700, 1024, 1440])
@pytest.mark.parametrize("view", ["side", "blink", "heat"])
def test_viewer_never_scrolls_sideways(open_viewer, width, view):
    page = open_viewer("page", view=view, viewport={"width": width, "height": 800})

    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.locator("#viewer").evaluate("viewer => viewer.scrollWidth <= viewer.clientWidth")
    pane = page.locator(".pane-window").first.bounding_box()
    assert pane["width"] >= 130
    assert pane["height"] >= 150


def test_phone_stacks_pictures_and_panel(open_viewer):
    page = open_viewer("page", viewport={"width": 400, "height": 844}, has_touch=True)

    first, second = (page.locator(".pane").nth(index).bounding_box() for index in (0, 1))
    panel = page.locator(".viewer-panel").bounding_box()
    assert first["x"] == second["x"]
    assert first["y"] + first["height"] <= second["y"]
    assert second["y"] + second["height"] <= panel["y"]
    assert HEIGHT / WIDTH * first["width"] > 150


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_background(open_viewer, scheme):
    page = open_viewer("page", color_scheme=scheme)
    found = []
    for key in ("1", "4", "7", "n"):
        page.keyboard.press(key)
        found += page.evaluate(LOW_CONTRAST)
    page.keyboard.press("Escape")

    assert found == []


LOW_CONTRAST = """
() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const background = (element) => {
    for (let node = element; node; node = node.parentElement) {
      const colour = channels(getComputedStyle(node).backgroundColor);
      if (colour.length === 3) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("#viewer *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !element.checkVisibility()) continue;
    const pair = [channels(getComputedStyle(element).color), background(element)].map(luminance);
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${element.className} ${element.textContent.slice(0, 30)}`);
  }
  return found;
}
"""
"""WCAG 2.2, 1.4.3: texts whose contrast is below 4.5 to 1."""


# Rows that only one picture has


def reported(folder: Path, expected: np.ndarray, actual: np.ndarray) -> str:
    """Write the report of one pair and return its address."""
    comparison = compare(expected, actual, name="page")
    record = msgspec.structs.replace(record_of(comparison), name="page")
    mask = comparison.mask
    assert mask is not None
    pictures = {"expected": expected, "actual": actual, "mask": mask.astype(np.uint8) * 255}
    write_report(folder, run_of(illustrated(folder, record, **pictures)))
    return folder.as_uri()


@pytest.fixture(scope="module")
def aligned(tmp_path_factory) -> str:
    """A report of a page of which rows 200..239 were deleted, after 30 rows were inserted at 100."""
    expected = gradient()
    banner = np.full((30, WIDTH, 3), (250, 10, 20), np.uint8)
    banner[10:20, 50:80] = 0
    actual = np.concatenate([expected[:100], banner, expected[100:200], expected[240:]])
    return reported(tmp_path_factory.mktemp("aligned"), expected, actual)


@pytest.fixture(scope="module")
def item(tmp_path_factory) -> str:
    """A report of a page with an item of 30 rows inserted in the left one of two columns."""
    before, after = (two_columns(items)[..., :3].copy() for items in ([10, 11, 12, 13], [10, 11, 99, 12, 13]))
    return reported(tmp_path_factory.mktemp("item"), before, after)


@pytest.fixture(scope="module")
def columns(tmp_path_factory) -> str:
    """A report of a page that became wider: 40 columns were inserted at x = 150."""
    expected = gradient()
    bar = np.full((HEIGHT, 40, 3), (250, 10, 20), np.uint8)
    bar[50:80, 10:30] = 0
    actual = np.concatenate([expected[:, :150], bar, expected[:, 150:]], axis=1)
    return reported(tmp_path_factory.mktemp("columns"), expected, actual)


def open_only(open_at, address: str, **state: str) -> Page:
    """Open the one comparison of a report."""
    page = open_at(address)
    page.evaluate("(state) => imgdiff.state.set({ open: imgdiff.run.rows[0].anchor, ...state }, true)", state)
    page.wait_for_function("() => imgdiff.viewing.subject")
    await_pictures(page)
    return page


def plane(page: Page, pane: int = 1) -> Callable[[int, int, int, int], np.ndarray]:
    """Return what shows a box of the padded plane in a pane, in pixels of the screen, without its smoothed edges."""
    pixels = shot(page, f".pane:nth-child({pane}) .pane-window")
    scale, left, top = page.evaluate(
        "() => [imgdiff.viewing.camera.scale, imgdiff.viewing.camera.origin.x, imgdiff.viewing.camera.origin.y]"
    )

    def box(x: int, y: int, right: int, bottom: int) -> np.ndarray:
        rows = slice(int(top + y * scale) + 3, int(top + bottom * scale) - 3)
        return pixels[rows, int(left + x * scale) + 3 : int(left + right * scale) - 3].astype(int)

    return box


def test_an_item_in_one_of_two_columns_leaves_room_in_that_column_alone(open_at, item):
    page = open_only(open_at, item)
    without_outlines(page)
    size = page.evaluate("() => imgdiff.viewing.camera.picture")
    assert size == {"width": 400, "height": 330}
    gaps = page.evaluate("() => imgdiff.viewing.stage.panes.map(({ gaps }) => gaps.map(({ plan }) => plan))")
    ((room,), (end,)) = gaps
    assert (room["height"], end["height"], room["x"], end["x"]) == (30, 30, 0, 0)
    assert 70 <= room["y"] <= 81
    assert end["y"] >= 160
    cut = room["width"]
    assert 160 <= cut <= 220
    expected, actual = plane(page, 1), plane(page, 2)
    for part in ((0, 0, cut, 70), (0, 111, cut, end["y"]), (cut, 0, 400, 330)):
        assert np.abs(expected(*part) - actual(*part)).max() <= 2
    assert np.abs(expected(20, 82, 160, 98) - actual(20, 82, 160, 98)).max() > 100
    # Linked: what is moved and zoomed in one pane is so in the other.
    page.keyboard.press("z")
    page.evaluate("() => { imgdiff.viewing.camera.zoom(4); imgdiff.viewing.camera.centre({ x: 300, y: 120 }); }")
    expected, actual = plane(page, 1), plane(page, 2)
    assert np.ptp(expected(280, 100, 320, 140)) > 100
    assert np.abs(expected(280, 100, 320, 140) - actual(280, 100, 320, 140)).max() <= 2


def test_inserted_columns_leave_room_in_the_other_picture(open_at, columns):
    page = open_only(open_at, columns)
    without_outlines(page)
    assert page.evaluate("() => imgdiff.viewing.camera.picture") == {"width": WIDTH + 40, "height": HEIGHT}
    gaps = page.evaluate("() => imgdiff.viewing.stage.panes.map(({ gaps }) => gaps.map(({ plan }) => plan))")
    assert gaps == [[{"x": 150, "y": 0, "width": 40, "height": HEIGHT, "role": "expected"}], []]
    expected, actual = plane(page, 1), plane(page, 2)
    for part in ((0, 0, 150, HEIGHT), (190, 0, WIDTH + 40, HEIGHT)):
        assert np.abs(expected(*part) - actual(*part)).max() <= 2
    assert tuple(actual(150, 0, 190, 50)[2, 2]) == (250, 10, 20)


@pytest.mark.parametrize("pair", ["aligned", "item", "columns"])
def test_swipe_onion_skin_and_blink_lay_equal_parts_on_each_other(open_at, request, pair):
    page = open_only(open_at, request.getfixturevalue(pair), view="blink")
    without_outlines(page)
    size = page.evaluate("() => imgdiff.viewing.camera.picture")
    gaps = page.evaluate("() => imgdiff.viewing.stage.panes[0].gaps.map(({ plan }) => plan)")
    kept = np.ones((size["height"], size["width"]), bool)
    for gap in gaps:
        kept[gap["y"] : gap["y"] + gap["height"], gap["x"] : gap["x"] + gap["width"]] = False

    def seen() -> np.ndarray:
        return plane(page)(0, 0, size["width"], size["height"])

    expected = seen()
    page.keyboard.press("f")
    actual = seen()
    still = cv2.resize(kept.astype(np.uint8), expected.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    still = cv2.erode(still, np.ones((15, 15), np.uint8)).astype(bool)
    assert still.any()
    assert np.abs(expected - actual)[still].max() <= 2
    assert np.abs(expected - actual)[~still].max() > 100
    page.keyboard.press("3")
    await_pictures(page)
    assert np.abs(seen() - actual)[still].max() <= 3
    page.keyboard.press("2")
    await_pictures(page)
    swiped, middle = seen(), expected.shape[1] // 2
    assert np.abs(swiped - expected)[:, : middle - 20].max() <= 2
    assert np.abs(swiped - actual)[:, middle + 20 :].max() <= 2


@pytest.mark.parametrize("view", ["", "swipe", "onion", "blink"])
def test_pictures_are_shown_as_they_lie_where_that_is_asked_for(open_at, aligned, view):
    page = open_only(open_at, aligned, view=view)
    control = page.get_by_role("button", name=re.compile("^Aligned"))
    assert control.get_attribute("aria-pressed") == "true"
    assert page.locator(".gap").count() == 2
    page.keyboard.press("l")
    assert control.get_attribute("aria-pressed") == "false"
    assert page.locator(".gap").count() == 0
    assert page.evaluate("() => imgdiff.viewing.camera.picture.height") == HEIGHT - 10
    assert "aligned=off" in page.url
    control.click()
    assert page.locator(".gap").count() == 2
    page.keyboard.press("6")
    assert control.is_hidden()


def test_nothing_is_aligned_where_pictures_differ_in_place(open_viewer):
    page = open_viewer("page")
    assert page.get_by_role("button", name=re.compile("^Aligned")).is_hidden()
    page.keyboard.press("l")
    page.get_by_text("Nothing to align in this view").first.wait_for()


def test_a_mask_stays_on_the_actual_picture(open_at, aligned):
    page = open_only(open_at, aligned, view="mask")
    assert page.locator(".layer img").count() == 2
    assert page.locator(".gap").count() == 0


def test_equal_rows_stand_side_by_side(open_at, aligned):
    page = open_only(open_at, aligned)
    without_outlines(page)
    panes = [shot(page, f".pane:nth-child({number}) .pane-window") for number in (1, 2)]
    height, width = panes[0].shape[:2]
    scale, top, left = page.evaluate(
        "() => [imgdiff.viewing.camera.scale, imgdiff.viewing.camera.origin.y, imgdiff.viewing.camera.origin.x]"
    )
    assert page.evaluate("() => imgdiff.viewing.camera.picture.height") == HEIGHT + 30
    assert (height, width) == panes[1].shape[:2]

    def rows(pane: int, start: int, stop: int) -> np.ndarray:
        """What a pane shows of these rows of the page, without their edges, which are smoothed."""
        return panes[pane][int(top + start * scale) + 3 : int(top + stop * scale) - 3, int(left) + 3 : int(left) + 200]

    for start, stop in ((0, 100), (130, 230), (270, HEIGHT + 30)):
        assert np.abs(rows(0, start, stop).astype(int) - rows(1, start, stop)).max() <= 2
    assert tuple(rows(1, 100, 110)[1, 2]) == (250, 10, 20)
    gaps = page.locator(".gap").evaluate_all("(all) => all.map((gap) => gap.getBoundingClientRect().height)")
    assert gaps == pytest.approx([30 * scale, 40 * scale], abs=0.1)


def test_deleted_rows_are_outlined_in_the_expected_picture_alone(open_at, aligned):
    page = open_only(open_at, aligned)
    words = page.locator(".region-words").all_inner_texts()
    assert words == ["400x40 at 0,200 (deleted)", "400x30 at 0,100 (inserted)"]
    shown = page.evaluate(
        "() => [...document.querySelectorAll('.outlines')].map((svg) => "
        "[...svg.children].map((group) => getComputedStyle(group).display !== 'none'))"
    )
    assert shown == [[True, False], [False, True]]
    page.keyboard.press("6")
    await_pictures(page)
    page.wait_for_function("() => !document.querySelector('.gap')")


def test_colours_below_the_pointer_are_those_of_the_rows_that_are_shown(open_at, aligned):
    page = open_only(open_at, aligned)
    page.evaluate("() => { imgdiff.viewing.camera.zoom(10); imgdiff.viewing.camera.centre({ x: 150.5, y: 180.5 }); }")
    page.get_by_text("Equal", exact=True).wait_for()
    page.evaluate("() => imgdiff.viewing.camera.centre({ x: 150.5, y: 115.5 })")
    page.locator(".pixels").get_by_text("no pixel here").wait_for()


# Captured pages


def test_elements_and_the_capture_of_a_page_are_shown(open_at, tmp_path):
    trace = tmp_path / "test-results" / "cart" / "trace.zip"
    trace.parent.mkdir(parents=True)
    trace.write_bytes(b"PK")
    files = {"trace": "test-results/cart/trace.zip", "video": "test-results/cart/video.webm"}
    record = captured(capture={"attempts": 4, "steady": False, "attachments": files})
    folder = tmp_path / "report"
    folder.mkdir()
    write_report(folder, run_of(illustrated(folder, record, expected=gradient(), actual=gradient()), root=".."))

    page = open_at(folder.as_uri())
    page.evaluate("imgdiff.viewer.open(0)")
    page.locator(".viewer-panel .region").first.wait_for()

    panel = page.locator(".viewer-panel")
    assert panel.locator(".region-element").all_inner_texts() == [
        "`nav > a.badge` 'New' (link)",
        "`article.card:nth-of-type(2) > p.price` '12.00' (paragraph)",
    ]
    capture = panel.locator("section", has=page.get_by_role("heading", name="Capture"))
    facts = dict(zip(capture.locator("dt").all_inner_texts(), capture.locator("dd").all_inner_texts(), strict=True))
    assert facts == {
        "page": "https://shop.example/cart 'Your cart'",
        "captured": "Playwright page, 4 captures, chromium 140.0.7339.16, viewport 1280x720, device scale 2, light",
        "unsteady": "4 captures until two were equal",
    }
    links = capture.get_by_role("link")
    assert links.all_inner_texts() == ["trace"]  # no video was kept
    assert links.get_attribute("href") == "../test-results/cart/trace.zip"


def test_element_under_the_region_that_is_pointed_at_is_told_on_the_picture(open_at, tmp_path):
    write_report(tmp_path, run_of(illustrated(tmp_path, captured(), expected=gradient(), actual=gradient())))
    page = open_at(tmp_path.as_uri())
    page.evaluate("imgdiff.viewer.open(0)")
    regions = page.locator(".viewer-panel .region")
    label = page.locator(".region-label")
    regions.first.wait_for()
    assert label.is_hidden()

    regions.nth(1).hover()
    assert label.inner_text() == "`article.card:nth-of-type(2) > p.price` '12.00' (paragraph)"
    regions.nth(2).hover()
    assert label.is_hidden()  # its element is not known
    regions.nth(0).click()
    page.mouse.move(700, 20)
    assert label.inner_text() == "`nav > a.badge` 'New' (link)"
    page.keyboard.press("o")
    assert label.is_hidden()
