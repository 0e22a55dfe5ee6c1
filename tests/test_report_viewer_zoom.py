"""Zoom and pan, regions and pixels in the viewer: the same point of the picture everywhere, to the pixel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.viewer_pages import (
    PLACES,
    address,
    hover,
    on_screen,
    open_at,
    open_viewer,
    report,
    served,
    shot,
    without_outlines,
)
from tests.viewer_report import BOX, SMALL, WIDTH, gradient

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["address", "open_at", "open_viewer", "report", "served"]


# Zoom and pan


def assert_in_step(page: Page) -> dict[str, float]:
    """Both panes are of one size, at one scale, and look at one point; return the first's place."""
    first, second = page.evaluate(PLACES)
    for name in ("width", "height", "scale", "x", "y"):
        assert first[name] == pytest.approx(second[name], abs=1e-3), name
    return first


def test_same_point_is_under_both_cursors_after_any_zoom_and_pan(open_viewer, address):
    page = open_viewer("page", address=address)
    pane = assert_in_step(page)
    x, y = pane["left"] + 300, pane["top"] + 350
    page.mouse.move(x, y)

    def under() -> tuple[float, float]:
        place = assert_in_step(page)
        return place["x"] + 300 / place["scale"], place["y"] + 350 / place["scale"]

    before = under()
    page.keyboard.down("Control")
    for _ in range(4):
        page.mouse.wheel(0, -240)
    page.keyboard.up("Control")
    scale = assert_in_step(page)["scale"]
    assert scale > 3
    assert np.abs(np.subtract(under(), before)).max() <= 1 / scale, "the wheel zooms at the cursor"
    before = under()
    page.mouse.wheel(30, 50)
    assert np.subtract(under(), before) == pytest.approx(np.array([30, 50]) / scale, abs=1 / scale)
    before = under()
    page.mouse.down()
    page.mouse.move(x - 40, y - 60, steps=3)
    page.mouse.up()
    assert np.subtract(under(), before) == pytest.approx(np.array([40, 60]) / scale, abs=1 / scale)
    page.mouse.wheel(0, 0)
    for key in ("+", "ArrowRight", "ArrowDown", "-", "Shift+ArrowUp", "w", "z", "+", "e", "0"):
        page.keyboard.press(key)
        assert_in_step(page)


def test_panes_that_show_equal_pixels_look_equal_to_the_pixel(open_viewer):
    page = open_viewer("same")
    page.mouse.move(5, 5)
    for zoom in (1.37, 3.1, 0.6):
        page.evaluate("(zoom) => imgdiff.viewing.camera.zoom(zoom, {x: 111, y: 77})", zoom)
        page.evaluate("imgdiff.viewing.camera.drag(13.4, -7.7)")
        panes = [shot(page, f".pane:nth-child({number}) .pane-window") for number in (1, 2)]
        assert (panes[0][:, :370] == panes[1][:, :370]).all()  # the map lies in the corner of the second


def test_keys_fit_zoom_and_show_true_size(open_viewer):
    page = open_viewer("page")
    percent = page.locator(".zoom-percent")

    assert percent.inner_text() == "100 %"  # it fits
    page.keyboard.press("+")
    assert percent.inner_text() == "150 %"
    assert page.locator("#status").inner_text() == "150 %"
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert percent.inner_text() == "67 %"
    page.keyboard.press("z")
    assert percent.inner_text() == "100 %"
    page.keyboard.press("w")
    place = assert_in_step(page)
    assert place["scale"] * WIDTH == pytest.approx(place["width"])
    page.keyboard.press("0")
    assert percent.inner_text() == "100 %"
    page.get_by_role("button", name="Zoom in").click()
    assert percent.inner_text() == "150 %"


def test_true_size_is_one_pixel_of_the_screen_on_dense_screens(open_viewer):
    page = open_viewer("page", device_scale_factor=2)

    page.keyboard.press("z")
    assert assert_in_step(page)["scale"] == 0.5
    assert page.locator(".zoom-percent").inner_text() == "100 %"


def test_wheel_pans_and_says_how_to_zoom_where_nothing_can_be_panned(open_viewer):
    page = open_viewer("page")
    before = assert_in_step(page)

    page.mouse.move(before["left"] + 300, before["top"] + 350)
    page.mouse.wheel(0, 100)
    assert page.locator(".stage-hint").inner_text() == "Ctrl and the wheel, or a pinch, zoom"
    assert assert_in_step(page) == before


def test_double_click_zooms_in_where_it_is(open_viewer):
    page = open_viewer("page")
    before = assert_in_step(page)

    page.mouse.dblclick(before["left"] + 300, before["top"] + 350)
    after = assert_in_step(page)
    assert after["scale"] == 1.5
    assert after["x"] + 300 / 1.5 == pytest.approx(before["x"] + 300, abs=1)


def test_pinch_zooms_between_the_fingers(open_viewer):
    page = open_viewer("page", has_touch=True, viewport={"width": 400, "height": 844})
    pane = page.evaluate(PLACES)[0]
    touch = page.context.new_cdp_session(page)
    middle = (pane["left"] + 180, pane["top"] + 100)

    def fingers(kind: str, *apart: int) -> None:
        points = [{"x": middle[0] + side, "y": middle[1], "id": index} for index, side in enumerate(apart)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", -20)
    fingers("touchStart", -20, 20)
    for spread in range(25, 85, 5):
        fingers("touchMove", -spread, spread)
    fingers("touchEnd")
    after = assert_in_step(page)
    assert after["scale"] / pane["scale"] == pytest.approx(4, rel=0.15)
    expected = (pane["x"] + 180 / pane["scale"], pane["y"] + 100 / pane["scale"])
    assert (after["x"] + 180 / after["scale"], after["y"] + 100 / after["scale"]) == pytest.approx(expected, abs=12)


def test_view_keeps_its_place_when_the_window_is_resized(open_viewer):
    page = open_viewer("page")
    page.keyboard.press("n")
    region = page.locator(".outlines .is-selected .line").first

    def off_centre() -> float:
        box, pane = region.bounding_box(), page.locator(".pane-window").first.bounding_box()
        return abs(box["x"] + box["width"] / 2 - pane["x"] - pane["width"] / 2)

    assert off_centre() <= 1
    page.set_viewport_size({"width": 1100, "height": 700})
    page.wait_for_function("() => document.querySelector('.pane-window').clientWidth < 400")
    page.wait_for_function("() => imgdiff.viewing.camera.pane.width < 400")
    assert off_centre() <= 1


# Regions


def test_region_keys_centre_each_region_and_zoom_on_it(open_viewer, address):
    page = open_viewer("page", address=address)

    for key, number, box in (("n", 1, BOX), ("]", 2, SMALL), ("n", 1, BOX), ("p", 2, SMALL), ("[", 1, BOX)):
        page.keyboard.press(key)
        place = assert_in_step(page)
        x, y, width, height = box
        centre = place["x"] + place["width"] / 2 / place["scale"], place["y"] + place["height"] / 2 / place["scale"]
        assert centre == pytest.approx((x + width / 2, y + height / 2), abs=1 / place["scale"])
        assert width * place["scale"] <= place["width"]
        assert place["scale"] > 1
        assert f"region={number}" in page.url
        current = page.locator(".region[aria-current=true] .region-number")
        assert current.all_inner_texts() == [str(number)]
        assert page.locator("#status").inner_text().startswith(f"Region {number} of 2: {width}x{height} at {x},{y}")
    page.get_by_role("group", name="Regions").get_by_text("1 of 2").wait_for()


def test_region_jump_glides_unless_less_motion_is_asked_for(open_viewer):
    page = open_viewer("page", reduced_motion="no-preference")

    scales = page.evaluate(
        """() => new Promise((done) => {
          const { camera, regions } = imgdiff.viewing;
          const scales = [camera.scale];
          camera.onChange(() => scales.push(camera.scale));
          regions.jump(1);
          setTimeout(() => done(scales), 1000);
        })"""
    )
    assert len(scales) > 3
    assert scales == sorted(scales)
    assert scales[-1] == 12


def test_link_to_a_region_opens_the_comparison_there(open_viewer, open_at, report):
    page = open_viewer("page", view="swipe")
    page.keyboard.press("n")
    page.keyboard.press("n")
    link, place = page.url, page.evaluate(PLACES)

    again = open_at(report.as_uri(), link.partition("#")[2])
    again.locator(".region[aria-current=true]").wait_for()
    assert again.evaluate(PLACES) == place
    assert again.locator("[data-view=swipe]").get_attribute("aria-pressed") == "true"


def test_outlines_lie_on_the_regions_in_both_panes_and_are_toggled(open_viewer):
    page = open_viewer("page")

    for pane in (0, 1):
        line = page.locator(f".pane:nth-child({pane + 1}) .outlines .line").first.bounding_box()
        left, top = on_screen(page, BOX[0] - 0.5, BOX[1] - 0.5, pane)
        around = 5  # it does not cover the region
        assert (line["x"], line["y"]) == pytest.approx((left - around, top - around), abs=2)
        assert (line["width"], line["height"]) == pytest.approx([side + 2 * around for side in BOX[2:]], abs=3)
    toggle = page.get_by_role("button", name="Outlines of the regions")
    assert toggle.get_attribute("aria-pressed") == "true"
    without_outlines(page)
    assert toggle.get_attribute("aria-pressed") == "false"
    toggle.click()
    page.locator(".outlines").first.wait_for()


def test_hover_links_outlines_and_list_both_ways(open_viewer):
    page = open_viewer("page")

    page.locator(".region").nth(1).hover()
    assert page.locator(".outlines .is-highlighted").count() == 2
    assert page.locator(".pane:first-child .outlines g").nth(1).get_attribute("class") == "is-highlighted"
    hover(page, BOX[0] + 10, BOX[1] + 10)
    assert page.locator(".region.is-highlighted .region-number").all_inner_texts() == ["1"]
    hover(page, 200, 20)
    assert page.locator(".region.is-highlighted, .outlines .is-highlighted").count() == 0
    hover(page, SMALL[0] + 2, SMALL[1] + 2)
    page.mouse.down()
    page.mouse.up()
    assert page.locator(".region[aria-current=true] .region-number").all_inner_texts() == ["2"]
    page.locator(".region").first.focus()
    assert page.locator(".pane:first-child .outlines g").first.get_attribute("class") == "is-highlighted"
    page.keyboard.press("Enter")
    assert "region=1" in page.url


# Pixels


@pytest.mark.parametrize(("x", "y"), [(BOX[0] + 3, BOX[1] + 2), (BOX[0] - 2, BOX[1] + 1), (300, 220)])
def test_colours_under_the_cursor_are_those_of_the_files(open_viewer, address, x, y):
    page = open_viewer("page", address=address)
    page.keyboard.press("n")
    for _ in range(2):
        page.keyboard.press("+")
    hover(page, x, y)

    expected = gradient()[y, x].astype(int)
    inside = BOX[0] <= x < BOX[0] + BOX[2] and BOX[1] <= y < BOX[1] + BOX[3]
    actual = np.array([250, 10, 20]) if inside else expected
    sides = page.locator(".pixel-colour")
    page.wait_for_function("() => document.querySelectorAll('.pixel-colour')[1].textContent.startsWith('#')")
    assert page.locator(".pixel-place").inner_text() == f"x {x}, y {y}"
    texts = ["#{:02x}{:02x}{:02x} {}, {}, {}, 255".format(*colour, *colour) for colour in (expected, actual)]
    assert sides.all_inner_texts() == texts
    by = ", ".join(f"{value:+d}" if value else "0" for value in actual - expected).replace("-", "−")  # noqa: RUF001 - as it is printed
    assert page.locator(".pixel-difference").inner_text() == (f"Difference {by}, 0" if inside else "Equal")


def test_transparent_colours_are_told_as_the_browser_keeps_them(open_viewer):
    page = open_viewer("icon")
    hover(page, 7, 7)

    page.wait_for_function("() => document.querySelectorAll('.pixel-colour')[1].textContent.includes(',')")
    expected, actual = page.locator(".pixel-colour").all_inner_texts()
    assert expected == "#3c5a78 60, 90, 120, 255"
    assert actual.startswith("≈ ")
    values = [int(value) for value in re.findall(r"\d+", actual.split(" ", 2)[2])]
    assert values == pytest.approx([200, 100, 50, 128], abs=1)
    hover(page, 0, 0)
    assert page.locator(".pixel-colour").first.inner_text() == "#000000 0, 0, 0, 0"


def test_pixel_grid_appears_from_eight_times_on(open_viewer):
    page = open_viewer("page")
    grid = page.locator(".pixel-grid").first

    page.evaluate("imgdiff.viewing.camera.zoom(7.9 / imgdiff.viewing.camera.scale)")
    assert grid.is_hidden()
    page.evaluate("imgdiff.viewing.camera.zoom(8.1 / imgdiff.viewing.camera.scale)")
    grid.wait_for()
    assert page.locator("#viewer .stage.is-pixelated").count() == 1
    assert page.locator(".layer img").first.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    # Without a pointer the middle of the pane is described: keys are enough.
    page.wait_for_function("() => document.querySelector('.pixel-colour').textContent.startsWith('#')")


def test_colours_of_far_pictures_are_not_loaded_for_nothing(open_viewer):
    page = open_viewer("page")
    hover(page, 100, 50)

    assert page.locator(".pixel-place").inner_text() == "x 100, y 50"
    page.get_by_text("Zoom to 8:1 for colours").wait_for()
    assert page.locator(".pixel-colour").first.is_hidden()
