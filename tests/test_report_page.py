"""The page as a reader meets it: opened from its folder in a real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_imgdiff.report import write_report
from tests.chromium import browser
from tests.report_records import (
    HOSTILE_NAMES,
    different,
    equal,
    perceptual,
    region,
    run_of,
    side,
    uncompared,
    with_pictures,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from pytest_imgdiff.record import RunRecord

__all__ = ["browser"]

VISIBLE_SECTIONS = "article.comparison:not([hidden]) h3"
SCROLLS_SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Write a run's report and open it; in the end nothing may have gone wrong or outside."""
    complaints: list[str] = []
    contexts = []

    def opened(run: RunRecord, **settings: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: complaints.append(request.url) if not is_local(request.url) else None)
        page.goto(write_report(tmp_path / "report", run).as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def is_local(address: str) -> bool:
    return address.startswith(("file:", "data:"))


def shop_run(directory: Path) -> RunRecord:
    return run_of(
        with_pictures(directory, different("shop/basket", scores=[perceptual(0.9, 9000)])),
        with_pictures(directory, different("shop/cart")),
        uncompared("missing", "blog/new", reason="there is no expected picture"),
        with_pictures(
            directory,
            different("blog/warned", verdict="match", passed=True, scores=[perceptual(0.001, warned=True, warn=0.0)]),
        ),
        equal("blog/same"),
        equal("shop/same", equal="pixels"),
    )


def names(page: Page) -> list[str]:
    return page.locator(VISIBLE_SECTIONS).all_inner_texts()


def passed_names(page: Page) -> list[str]:
    return page.locator("details.passed tbody tr:not([hidden]) th").all_inner_texts()


def test_page_shows_the_failures_worst_first_and_the_rest_folded(open_page, tmp_path):
    page = open_page(shop_run(tmp_path / "report"))

    assert page.get_by_role("heading", level=1).inner_text() == "3 of 6 comparisons failed"
    assert names(page) == ["blog/new", "shop/basket", "shop/cart", "blog/warned"]
    assert not page.locator("details.passed").evaluate("details => details.open")
    assert page.locator("details.passed tbody tr").count() == 2


def test_section_shows_pictures_rules_regions_and_the_command(open_page, tmp_path):
    record = different("charts/bar", size_policy="pad", actual=side("actual/chart.png", height=290), ignored=0.25)
    page = open_page(run_of(with_pictures(tmp_path / "report", record)))
    section = page.locator("article.comparison")

    captions = section.locator(".pictures figcaption").all_inner_texts()
    assert captions == ["Expected", "Actual", "Difference mask (perceptual)", "Regions outlined"]
    rows = [row.locator("th, td").all_inner_texts() for row in section.locator("table.rules tbody tr").all()]
    assert rows == [
        ["perceptual", "1 284 px, 0.8 %", "<= 0.5 %", "over by 0.3 %", "fails"],
        ["ssim", "0.993", ">= 0.99", "0.003 to spare", "passes"],
    ]
    regions = [row.locator("th, td").all_inner_texts() for row in section.locator("table.regions tbody tr").all()]
    assert regions[0] == ["240x64 at 16,80", "1 200", "75 %"]
    text = section.inner_text()
    assert "expected 400x300, actual 400x290: both were padded with transparency to 400x300 (size: pad)" in text
    assert "25 % of the picture was not looked at" in text
    assert section.locator(".command code").inner_text() == record.accept
    section.get_by_text("Files and measurements").click()
    assert section.locator("tr.differs th").all_inner_texts() == ["pixels (differs)"]


def test_every_picture_loads_and_none_moves_the_page(open_page, tmp_path):
    page = open_page(run_of(with_pictures(tmp_path / "report", different())))
    height = page.evaluate("document.documentElement.scrollHeight")
    page.locator("details").evaluate_all("all => all.forEach(details => { details.open = true; })")
    page.locator("img").evaluate_all(
        "all => Promise.all(all.map(image => { image.loading = 'eager'; return image.decode(); }))"
    )

    sizes = page.locator("img").evaluate_all("all => all.map(image => [image.naturalWidth, image.naturalHeight])")
    assert sizes == [[400, 300]] * 7
    page.locator("details").evaluate_all(
        "all => all.forEach(details => { details.open = details.matches('.tables *'); })"
    )
    assert page.evaluate("document.documentElement.scrollHeight") == height


def test_small_pictures_are_enlarged_pixel_by_pixel(open_page, tmp_path):
    icon = side(width=16, height=16)
    record = different("icon", expected=icon, actual=icon, compared_width=16, compared_height=16)
    page = open_page(run_of(with_pictures(tmp_path / "report", record)))

    image = page.locator(".pictures img").first
    assert image.evaluate("image => [image.width, getComputedStyle(image).imageRendering]") == [160, "pixelated"]


def test_filters_show_the_pressed_outcomes_and_verdicts(open_page, tmp_path):
    page = open_page(shop_run(tmp_path / "report"))

    page.get_by_role("button", name="different 2").click()
    assert names(page) == ["shop/basket", "shop/cart"]
    assert page.locator("details.passed").is_hidden()
    page.get_by_role("button", name="missing 1").click()
    assert names(page) == ["blog/new", "shop/basket", "shop/cart"]
    assert page.get_by_role("status").inner_text() == "3 of 6 shown"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="passed 2").click()
    assert names(page) == []
    assert page.locator("details.passed tbody tr").first.is_visible()


def test_search_looks_in_names_and_tests(open_page, tmp_path):
    page = open_page(shop_run(tmp_path / "report"))

    page.keyboard.press("/")
    page.keyboard.type("BLOG")
    assert names(page) == ["blog/new", "blog/warned"]
    assert passed_names(page) == ["blog/same"]
    page.get_by_role("searchbox").fill("nothing has this name")
    assert names(page) == passed_names(page) == []
    assert page.get_by_text("No comparison fits").is_visible()
    page.keyboard.press("Escape")
    assert len(names(page)) == 4


def test_keys_go_from_comparison_to_comparison(open_page, tmp_path):
    page = open_page(shop_run(tmp_path / "report"))

    visited = []
    for key in ("n", "j", "p", "k", "k"):
        page.keyboard.press(key)
        visited.append(page.evaluate("document.activeElement.innerText"))
    assert visited == ["blog/new", "shop/basket", "blog/new", "blog/warned", "shop/cart"]


def test_heading_that_the_keys_reach_is_not_under_the_toolbar(open_page, tmp_path):
    page = open_page(shop_run(tmp_path / "report"), reduced_motion="reduce")

    page.keyboard.press("n")
    page.keyboard.press("n")
    toolbar = page.locator(".toolbar").bounding_box()
    heading = page.locator("h3:focus").bounding_box()
    assert toolbar["y"] + toolbar["height"] <= heading["y"] < 900


def test_pictures_can_be_shown_one_at_a_time(open_page, tmp_path):
    page = open_page(run_of(with_pictures(tmp_path / "report", different())))

    figures = page.locator(".pictures figure")
    page.get_by_role("button", name="One at a time").click()
    assert [figure.is_visible() for figure in figures.all()] == [True, False, False, False]
    page.keyboard.press("3")
    assert [figure.is_visible() for figure in figures.all()] == [False, False, True, False]
    page.keyboard.press("v")
    assert all(figure.is_visible() for figure in figures.all())


def test_accept_command_is_copied(open_page):
    page = open_page(run_of(different(accept="pytest --imgdiff-update=failed 'a b'")), permissions=["clipboard-read"])

    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "pytest --imgdiff-update=failed 'a b'"


def test_hostile_names_neither_run_nor_break_the_page(open_page, tmp_path):
    records = [
        with_pictures(
            tmp_path / "report",
            different(name, test=name, reason=name, notes=[name], accept=name, scores=[perceptual(metric=name)]),
        )
        for name in HOSTILE_NAMES
    ]
    run = run_of(
        *records, equal("passed " + HOSTILE_NAMES[0]), title=HOSTILE_NAMES[1], unused_baselines=[*HOSTILE_NAMES]
    )
    page = open_page(run, viewport={"width": 400, "height": 800})
    page.locator("details").evaluate_all("all => all.forEach(details => { details.open = true; })")

    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.locator("article.comparison").count() == len(HOSTILE_NAMES)
    assert page.locator("script").count() == 1
    assert "<script>window.hacked = 1</script>" in names(page)
    assert "{{ 7 * 7 }} {% raise %}" in names(page)
    assert not page.evaluate(SCROLLS_SIDEWAYS)


@pytest.mark.parametrize("width", [320, 400, 1024, 1440])
def test_page_never_scrolls_sideways(open_page, tmp_path, width):
    wide = different("wide", compared_width=3000, regions=[region(i, i) for i in range(30)], region_count=100)
    page = open_page(
        run_of(with_pictures(tmp_path / "report", wide), *shop_run(tmp_path / "report").comparisons),
        viewport={"width": width, "height": 800},
    )
    page.locator("details").evaluate_all("all => all.forEach(details => { details.open = true; })")

    assert not page.evaluate(SCROLLS_SIDEWAYS)


def test_page_reads_without_javascript(open_page, tmp_path):
    page = open_page(shop_run(tmp_path / "report"), java_script_enabled=False)

    assert names(page) == ["blog/new", "shop/basket", "shop/cart", "blog/warned"]
    assert page.locator(".pictures img").first.is_visible()
    assert page.locator("table.rules").first.is_visible()
    assert page.get_by_role("searchbox").count() == 0
    page.locator("details.passed summary").click()
    assert page.locator("details.passed tbody tr").first.is_visible()


def test_incomplete_run_says_what_did_not_run(open_page):
    page = open_page(run_of(equal(), complete=False, unrecorded=["test_a.py::test_killed"]))

    banner = page.get_by_role("region", name="This report is incomplete")
    assert "1 of what was collected did not run to the end" in banner.inner_text()
    assert "test_a.py::test_killed" in banner.inner_text()
    assert page.locator("header.masthead.is-failed").count() == 1


def test_run_without_comparisons_does_not_look_passed(open_page):
    page = open_page(run_of())

    assert page.get_by_role("heading", level=1).inner_text() == "No image was compared"
    assert page.locator("header.masthead.is-failed").count() == 1


def test_link_to_a_passed_comparison_opens_the_fold(open_page):
    page = open_page(run_of(equal("one"), equal("two")))
    anchor = page.locator("details.passed tbody tr").last.get_attribute("id")

    page.goto(f"{page.url}#{anchor}")
    assert page.locator(f"#{anchor}").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_background(open_page, tmp_path, scheme):
    records = shop_run(tmp_path / "report").comparisons
    notable = different("noted", notes=["profiles differ"], actual=side(mode="RGBA 8-bit"))
    run = run_of(*records, notable, complete=False, unrecorded=["x"], unused_baselines=["y"])
    page = open_page(run, color_scheme=scheme)
    page.locator("details").evaluate_all("all => all.forEach(details => { details.open = true; })")

    assert page.evaluate(LOW_CONTRAST) == []


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
  for (const element of document.querySelectorAll("body *")) {
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
