"""`assert_images_similar(page)`: pages and elements of Playwright, in real Chromium, through pytest."""

from __future__ import annotations

import json
import re

import pytest

from tests.capture_pages import CHANGED, MOVING
from tests.chromium import ARGUMENTS, EXECUTABLE

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="there is no Chromium on the PATH")
CONFTEST = f"""
import pytest
from playwright.sync_api import sync_playwright

OPTIONS = dict(executable_path={EXECUTABLE!r}, args={list(ARGUMENTS)!r})


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as driver:
        yield driver.chromium.launch(**OPTIONS)


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={{"width": 640, "height": 400}})
    yield context.new_page()
    context.close()
"""
ASYNC_CONFTEST = f"""
import pytest_asyncio
from playwright.async_api import async_playwright


@pytest_asyncio.fixture(scope="session")
async def browser():
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path={EXECUTABLE!r}, args={list(ARGUMENTS)!r})
        yield browser
        await browser.close()


@pytest_asyncio.fixture
async def page(browser):
    context = await browser.new_context(viewport={{"width": 640, "height": 400}})
    yield await context.new_page()
    await context.close()
"""
SHOP = """
<title>Shop</title>
<style>body { margin: 0; font: 16px sans-serif } nav { background: #eef; padding: 12px }</style>
<nav><a class="badge" href="#">%s</a></nav>
<h1>Checkout</h1><p>Two items</p>
"""
STORY = f"""
import os

SHOP = {SHOP!r}


def test_shop(page, assert_images_similar):
    page.set_content(SHOP % os.environ.get("BADGE", "New"))
    assert_images_similar(page)


def test_navigation(page, assert_images_similar):
    page.set_content(SHOP % os.environ.get("BADGE", "New"))
    assert_images_similar(page.locator("nav"))
"""
ASYNC_STORY = f"""
import os

SHOP = {SHOP!r}


async def test_shop(page, assert_images_similar):
    await page.set_content(SHOP % os.environ.get("BADGE", "New"))
    await assert_images_similar(page)
    assert (await assert_images_similar.compare(page.locator("nav"), page.locator("nav"))).passed
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """A project of its own, run in a process of its own, with the plugins that it needs and no others."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("CI", raising=False)
    loops = "".join(f"asyncio_default_{whose}_loop_scope = session\n" for whose in ("fixture", "test"))
    pytester.makeini(f"[pytest]\nasyncio_mode = auto\n{loops}")
    pytester.makeconftest(CONFTEST)

    def run(*arguments, plugins=("pytest_imgdiff.plugin",)):
        named = [word for plugin in plugins for word in ("-p", plugin)]
        return pytester.runpytest_subprocess(*named, *arguments)

    run.path = pytester.path
    run.write = lambda text, name="test_shop": pytester.makepyfile(**{name: text})
    run.conftest = pytester.makeconftest
    return run


def records(suite):
    return json.loads((suite.path / "imgdiff-report" / "results.json").read_text(encoding="utf-8"))["comparisons"]


def shown(result):
    return result.stdout.str()


@pytest.mark.parametrize("api", ["sync", "async"])
def test_the_whole_story(suite, api, monkeypatch):
    plugins = ["pytest_imgdiff.plugin", "xdist.plugin"]
    count = 2
    if api == "async":
        suite.conftest(ASYNC_CONFTEST)
        plugins.append("pytest_asyncio.plugin")
        count = 1
    suite.write(ASYNC_STORY if api == "async" else STORY)

    def run(*arguments):
        return suite(*arguments, plugins=plugins)

    missing = run()
    missing.assert_outcomes(failed=count)
    assert "there is no baseline baselines/test_shop/test_shop.png yet" in shown(missing)
    assert not (suite.path / "baselines").exists()
    run("--imgdiff-update=missing").assert_outcomes(passed=count)
    monkeypatch.setenv("BADGE", "Sold out")
    differs = run("-n", "2")  # what was captured comes from the workers
    differs.assert_outcomes(failed=count)
    record = next(record for record in records(suite) if "test_shop.py::test_shop" in record["name"])
    assert (record["verdict"], record["capture"]["target"]) == ("different", "Playwright page")
    assert record["capture"].get("steady", True)
    assert record["capture"]["viewport"] == [640, 400]
    assert record["capture"]["title"] == "Shop"
    assert record["regions"][0]["element"]["path"] == "nav > a.badge"
    run("--imgdiff-update=failed").assert_outcomes(passed=count)
    run().assert_outcomes(passed=count)


MOVES = """
from pathlib import Path

from moving import SETTINGS, SITE, TIMES


def test_moving(page, assert_images_similar):
    page.goto(SITE)
    assert_images_similar(page, capture=SETTINGS)
    (stored,) = Path("baselines").rglob("*.png")
    for _ in range(TIMES):
        page.goto(SITE)
        assert_images_similar(page, stored, capture=SETTINGS)
        assert page.evaluate("[scrollY, document.querySelector('img').loading]") == [0, "lazy"]
"""
CALLS = re.compile(r"((?:page\.|assert_images_similar[.(])[^\n]*?\))(?=\)?(?: ==|\n))")


def asynchronous(suite):
    """The same suite for the asynchronous API: each call is awaited."""
    return CALLS.sub(r"(await \1)", suite).replace("def test_", "async def test_")


@pytest.mark.parametrize(("api", "times"), [("sync", 20), ("async", 10)])
def test_a_page_that_moves_is_captured_many_times_without_a_false_alarm(suite, api, times):
    """Web font, late image, video poster, endless animation, transition, caret, clock."""
    suite.write(f"{MOVING}\nTIMES = {times}\n", "moving")
    plugins = ["pytest_imgdiff.plugin"]
    if api == "async":
        suite.conftest(ASYNC_CONFTEST)
        plugins.append("pytest_asyncio.plugin")
    suite.write(asynchronous(MOVES) if api == "async" else MOVES)
    suite("--imgdiff-update=missing", plugins=plugins).assert_outcomes(passed=1)
    verdicts = [record["verdict"] for record in records(suite)]
    assert verdicts == ["missing"] + ["match"] * times


def test_a_page_that_never_stands_still_fails_with_what_moves(suite):
    suite.write("""
        def test_ticking(page, assert_images_similar):
            page.set_content("<h1>Still</h1><p id=clock></p><script>setInterval(() => "
                "document.querySelector('#clock').textContent = performance.now(), 5)</script>")
            assert_images_similar(page, capture={"timeout": 0.6})
    """)
    result = suite("--imgdiff-update=missing")
    result.assert_outcomes(failed=1)
    assert "the Playwright page never became stable" in shown(result)
    assert not list(suite.path.rglob("baselines/**/*.png"))
    (record,) = records(suite)
    assert record["verdict"] == "broken"
    assert record["capture"]["steady"] is False
    assert record["capture"]["attempts"] >= 2
    assert record["regions"][0]["element"]["path"] == "#clock"
    assert {"expected", "actual", "mask"} <= set(record["artefacts"])
    assert record.get("accept") is None


def test_a_page_that_is_late_is_unsteady_and_passes(suite):
    """The page counts how often it is prepared for a capture, and stands still from the third time on."""
    suite.write("""
        PAGE = "<p>0</p><script>let n = 0; Object.defineProperty(document.fonts, 'ready', {get() { n += 1; "
        PAGE += "document.querySelector('p').textContent = n < 3 ? n : 'ready'; return Promise.resolve() }})</script>"

        def test_late(page, assert_images_similar):
            page.set_content(PAGE)
            comparison = assert_images_similar(page)
            assert (comparison.capture.attempts, comparison.capture.steady) == (4, False)
    """)
    assert suite("--imgdiff-update=missing").ret == 0  # stored when it stood still, with the text that came late
    suite().assert_outcomes(passed=1)
    (record,) = records(suite)
    assert (record["capture"]["attempts"], record["capture"]["steady"]) == (4, False)


def test_noise_of_drawing_a_page_twice_does_not_move_it(suite):
    """A hook's target whose captures differ by a level in a few pixels stands still; by more, it does not."""
    suite.conftest("""
        import numpy as np

        from pytest_imgdiff import Shot


        class Screen:
            def __init__(self, levels):
                self.levels, self.number = levels, 0


        class ScreenCapturer:
            target, live, follows = "screen", True, frozenset({"timeout"})

            def __init__(self, screen):
                self.screen = screen

            def capture(self):
                self.screen.number += 1
                pixels = np.full((40, 40, 3), 90, np.uint8)
                pixels[3, 5] += self.screen.levels * (self.screen.number % 2)
                return Shot(pixels)


        def imgdiff_capture(target):
            return ScreenCapturer(target) if isinstance(target, Screen) else None
    """)
    suite.write("""
        import pytest
        from conftest import Screen


        @pytest.mark.parametrize("levels", [2, 3])
        def test_screen(assert_images_similar, levels):
            assert_images_similar(Screen(levels), capture={"timeout": 0.3})
    """)
    result = suite("--imgdiff-update=missing")
    result.assert_outcomes(passed=1, failed=1)
    assert "the screen never became stable" in shown(result)


BAD = """
import time

import pytest


@pytest.fixture
def shop(page):
    page.set_content("<div class=card>One</div><div class=card>Two</div><div class=gone style='display: none'>x</div>"
        "<div class=flat style='height: 0'></div>")
    return page


def test_no_element(shop, assert_images_similar):
    assert_images_similar(shop.locator(".missing"), capture={"timeout": 0.3})

def test_two_elements(shop, assert_images_similar):
    assert_images_similar(shop.locator(".card"))

def test_hidden_element(shop, assert_images_similar):
    assert_images_similar(shop.locator(".gone"), capture={"timeout": 0.3})

def test_flat_element(shop, assert_images_similar):
    assert_images_similar(shop.locator(".flat"), capture={"timeout": 0.3})

def test_removed_element(shop, assert_images_similar):
    handle = shop.query_selector(".card")
    shop.evaluate("document.body.innerHTML = ''")
    assert_images_similar(handle, capture={"timeout": 0.3})

def test_clip_outside(shop, assert_images_similar):
    assert_images_similar(shop, capture={"clip": {"x": 5000, "y": 0, "width": 10, "height": 10}})

def test_clip_half_outside(shop, assert_images_similar):
    assert_images_similar(shop, capture={"clip": {"x": 600, "y": 0, "width": 100, "height": 10}})

def test_open_dialog(shop, assert_images_similar):
    shop.on("dialog", lambda dialog: None)
    shop.evaluate("setTimeout(() => alert('hello'))")
    time.sleep(0.3)
    assert_images_similar(shop, capture={"timeout": 0.5})

def test_milliseconds(shop, assert_images_similar):
    assert_images_similar(shop, capture={"timeout": 5000})

def test_option_beside_capture(shop, assert_images_similar):
    assert_images_similar(shop, full_page=True)

def test_mask_beside_capture(shop, assert_images_similar):
    assert_images_similar(shop, mask=[".card"])

def test_option_of_a_page(shop, assert_images_similar):
    assert_images_similar(shop.locator(".card").first, capture={"full_page": True})

def test_unknown_option(shop, assert_images_similar):
    assert_images_similar(shop, capture={"fullpage": True})

def test_option_of_nothing(assert_images_similar):
    assert_images_similar(b"...", capture={"full_page": True})

def test_locator_of_another_page(shop, browser, assert_images_similar):
    other = browser.new_page()
    assert_images_similar(shop, capture={"mask": [other.locator("p")]})

def test_bad_mask(shop, assert_images_similar):
    assert_images_similar(shop, capture={"mask": [object]})

def test_bad_selector(shop, assert_images_similar):
    assert_images_similar(shop, capture={"mask": ["p >>> ["]})

def test_missing_style(shop, assert_images_similar):
    assert_images_similar(shop, capture={"style": "nowhere.css"})

def test_closed_page(shop, assert_images_similar):
    shop.close()
    assert_images_similar(shop)

def test_crashed_page(shop, assert_images_similar):
    try:
        shop.goto("chrome://crash", timeout=2000)
    except Exception:
        pass
    assert_images_similar(shop, capture={"timeout": 1})
"""
GOOD = """
def test_the_browser_is_still_usable(page, assert_images_similar):
    assert_images_similar(page)


def test_a_page_that_navigates_while_it_is_prepared_is_captured_where_it_arrives(page, assert_images_similar):
    page.route("**/next", lambda route: route.fulfill(body="<p>next</p>", content_type="text/html"))
    page.set_content("<p>first</p>")
    page.evaluate("Object.defineProperty(document.fonts, 'ready', "
        "{get() { location.href = 'http://shop.test/next'; return new Promise(() => {}) }})")
    comparison = assert_images_similar(page.main_frame)
    assert comparison.capture.url == "http://shop.test/next"
"""
WORDS = {
    "no_element": "Playwright locator: .missing matches no element within 0.3 s",
    "two_elements": 'Playwright locator: locator(".card") matches 2 elements; make it match one, as with .first',
    "hidden_element": "Playwright locator: .gone has no size or is hidden, and did not become visible within 0.3 s",
    "flat_element": "Playwright locator: .flat has no size or is hidden, and did not become visible within 0.3 s",
    "removed_element": "Playwright element: the element is no longer in the page",
    "clip_outside": "Playwright page: clip is outside the captured image",
    "clip_half_outside": "Playwright page: clip reaches beyond the page",
    "open_dialog": "Playwright page: the page did not respond within 1.5 s; close its dialog",
    "milliseconds": "capture.timeout",
    "option_beside_capture": "this is a setting of capture: capture={'full_page': True}",
    "mask_beside_capture": "belong in capture: capture={'mask': ['.card']}",
    "option_of_a_page": "capture: a Playwright locator does not support full_page",
    "unknown_option": "capture.fullpage",
    "option_of_nothing": "capture={'full_page': True}: an image was passed, so nothing is captured",
    "locator_of_another_page": "mask p: this locator belongs to another page",
    "bad_mask": "pass a selector or a locator of Playwright",
    "bad_selector": "mask p >>> [:",
    "missing_style": "nowhere.css",
    "closed_page": "Playwright page: the page or its browser is closed",
    "crashed_page": "Playwright page: the page crashed",
}


def test_whatever_cannot_be_captured_fails_in_one_line(suite):
    suite.write(BAD + GOOD)
    result = suite("--imgdiff-update=missing")
    result.assert_outcomes(failed=len(WORDS), passed=2)
    reasons = {record["name"].rpartition("::test_")[2]: record["reason"] for record in records(suite)}
    for name, words in WORDS.items():
        assert words in reasons[name], reasons[name]
        assert "\n" not in reasons[name]
    assert "Traceback" not in shown(result)
    stored = [path.name for path in suite.path.rglob("baselines/**/*.png")]
    assert len(stored) == 2


UNAWAITED = """
import asyncio


async def test_forgotten(page, assert_images_similar):
    await page.set_content("<p>x</p>")
    assert_images_similar(page)

async def test_forgotten_compare(page, assert_images_similar):
    assert_images_similar.compare(page)

async def test_cancelled(page, assert_images_similar):
    await page.set_content("<p id=p></p><script>setInterval(() => p.textContent = performance.now(), 5)</script>")
    try:
        await asyncio.wait_for(assert_images_similar(page), 0.3)
    except (asyncio.TimeoutError, TimeoutError):
        pass

async def test_swallowed_in_a_task(page, assert_images_similar):
    async def look():
        await assert_images_similar(page, "nowhere.png")
    await asyncio.gather(look(), return_exceptions=True)

async def test_two_at_once(page, assert_images_similar):
    await page.set_content("<p>one</p><b>two</b>")
    await asyncio.gather(
        assert_images_similar(page.locator("p"), name="one"), assert_images_similar(page.locator("b"), name="two")
    )
"""


def test_what_is_not_awaited_fails(suite):
    suite.conftest(ASYNC_CONFTEST)
    suite.write(UNAWAITED)
    result = suite("--imgdiff-update=missing", plugins=("pytest_imgdiff.plugin", "pytest_asyncio.plugin"))
    result.assert_outcomes(passed=5, errors=4)
    text = shown(result)
    assert text.count("the comparison was not awaited; write await assert_images_similar(...)") >= 3
    assert "never awaited" not in text + result.stderr.str()
    assert sorted(path.name for path in suite.path.rglob("baselines/**/*.png")) == ["one.png", "two.png"]
    assert json.loads((suite.path / "imgdiff-report" / "results.json").read_text(encoding="utf-8"))["comparisons"]


def test_options_of_a_capture(suite):
    """The settings of imgdiff.yaml, an override and a call; the page is left as it was."""
    suite.path.joinpath("shot.css").write_text("h1 { color: red }", encoding="utf-8")
    suite.path.joinpath("imgdiff.yaml").write_text(
        "capture: {style: shot.css}\noverrides: [{match: '**/*whole*', capture: {full_page: true}}]\n", encoding="utf-8"
    )
    suite.write("""
        import pytest

        PAGE = ("<body style='margin: 0'><h1>Title</h1><div style='height: 900px'></div><p>End</p>"
            "<iframe srcdoc='<p class=inner>inside</p>' style='position: absolute; left: 100px; top: 50px; width: 150px'></iframe>")


        @pytest.fixture
        def shop(browser):
            page = browser.new_page(viewport={"width": 300, "height": 200}, device_scale_factor=2)
            page.set_content(PAGE)
            page.frame_locator("iframe").locator(".inner").wait_for()
            page.evaluate("scrollTo(0, 100)")
            yield page
            assert page.evaluate("scrollY") == 100
            assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(0, 0, 0)"
            page.close()


        def size(comparison):
            return comparison.actual.size


        def test_whole(shop, assert_images_similar):
            whole = shop.evaluate("document.documentElement.scrollHeight")
            comparison = assert_images_similar.compare(shop)
            assert size(comparison) == (300, whole)
            reddish = (comparison.actual.pixels[..., :3] == [255, 0, 0]).all(axis=-1)
            assert reddish.any()


        def test_scales(shop, assert_images_similar):
            assert size(assert_images_similar.compare(shop)) == (300, 200)
            assert size(assert_images_similar.compare(shop, capture={"scale": "device"})) == (600, 400)
            clip = {"x": 10, "y": 20, "width": 50, "height": 30}
            assert size(assert_images_similar.compare(shop, capture={"clip": clip, "scale": "device"})) == (100, 60)


        @pytest.mark.parametrize("scale", ["css", "device"])
        def test_mask_in_a_frame(shop, assert_images_similar, scale):
            inner = shop.frame_locator("iframe").locator(".inner")
            settings = {"mask": [inner], "scale": scale, "full_page": True}
            comparison = assert_images_similar.compare(shop, capture=settings)
            (area,) = comparison.policy.ignore
            factor = 2 if scale == "device" else 1
            box = inner.bounding_box()
            expected = [box["x"] - 1, box["y"] + 100 - 1, box["width"] + 2, box["height"] + 2]  # a pixel around it
            expected = [value * factor for value in expected]
            found = [area.x.value, area.y.value, area.width.value, area.height.value]
            assert all(abs(one - other) <= 1 for one, other in zip(expected, found))


        def test_mask_reaches_one_pixel_around_its_element(browser, assert_images_similar):
            page = browser.new_page()
            html = "<p style='margin: 40px; width: 90px; height: 30px; outline: {}px solid {}'></p>"
            for width, passes in ((1, True), (2, False)):  # an outline overhangs the box, as the ink of letters may
                page.set_content(html.format(width, "black"))
                before = assert_images_similar.compare(page).actual.encoded
                page.set_content(html.format(width, "red"))
                assert assert_images_similar.compare(page, before, capture={"mask": ["p"]}).passed == passes


        def test_mask_of_text(shop, assert_images_similar):
            settings = {"mask": [{"selector": "h1", "what": "text"}], "full_page": True}
            (area,) = assert_images_similar.compare(shop, capture=settings).policy.ignore
            assert 20 < area.width.value < 120


        def test_mask_of_nothing(shop, assert_images_similar):
            comparison = assert_images_similar.compare(shop, capture={"mask": ["h1", ".nowhere"]})
            assert comparison.capture.unmatched_masks == [".nowhere"]
            with pytest.raises(AssertionError, match="mask .nowhere matched no element"):
                assert_images_similar(shop, capture={"mask": ["h1", ".nowhere"]})


        def test_targets(shop, assert_images_similar):
            frame = shop.frames[1]
            targets = [shop, shop.main_frame, frame, shop.frame_locator("iframe"), shop.locator("h1"), shop.query_selector("h1")]
            names = [assert_images_similar.compare(target).capture.target for target in targets]
            assert names == ["Playwright page", "Playwright page", "Playwright frame", "Playwright frame",
                "Playwright locator", "Playwright element"]


        def test_transparent(shop, assert_images_similar):
            comparison = assert_images_similar.compare(shop, capture={"transparent": True})
            assert comparison.actual.pixels[..., 3].min() == 0


        def test_two_pages(shop, browser, assert_images_similar):
            other = browser.new_page(viewport={"width": 300, "height": 200})
            other.set_content(PAGE)
            other.evaluate("scrollTo(0, 100)")
            other.frame_locator("iframe").locator(".inner").wait_for()
            assert_images_similar(shop, other)
    """)
    result = suite()
    result.assert_outcomes(passed=10)


CHANGES_ONE_ELEMENT = """
import pytest

from changed import CHANGES, PAGE, is_right, named


@pytest.mark.parametrize("change", CHANGES)
def test_change(page, assert_images_similar, change):
    page.set_content(PAGE)
    expected = page.screenshot(animations="disabled", caret="hide", scale="css")
    page.evaluate(change)
    found = named(assert_images_similar.compare(page, expected))
    assert is_right(found, change), found
"""


@pytest.mark.parametrize("api", ["sync", "async"])
def test_each_of_ten_changed_elements_is_found_and_named(suite, api):
    suite.write(CHANGED, "changed")
    plugins = ["pytest_imgdiff.plugin"]
    if api == "async":
        suite.conftest(ASYNC_CONFTEST)
        plugins.append("pytest_asyncio.plugin")
    suite.write(asynchronous(CHANGES_ONE_ELEMENT) if api == "async" else CHANGES_ONE_ELEMENT)
    suite(plugins=plugins).assert_outcomes(passed=10)
