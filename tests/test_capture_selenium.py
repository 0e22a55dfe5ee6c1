"""`assert_images_similar(driver)`: pages and elements of Selenium, in real Chromium, through pytest."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

import pytest_imgdiff.plugin.run  # noqa: F401 - runs in this process drop what they import
from tests.capture_pages import CHANGED, MOVING
from tests.chromium import ARGUMENTS, EXECUTABLE

if TYPE_CHECKING:
    from selenium import webdriver

pytestmark = pytest.mark.skipif(
    not (EXECUTABLE and shutil.which("chromedriver")), reason="there is no Chromium with its driver on the PATH"
)
CONFTEST = f"""
import sys

import pytest
from selenium import webdriver


def start():
    options = webdriver.ChromeOptions()
    options.binary_location = {EXECUTABLE!r}
    for argument in {["--headless=new", "--hide-scrollbars", "--window-size=640,600", *ARGUMENTS]!r}:
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService({shutil.which("chromedriver")!r}))


@pytest.fixture(scope="session")
def browser():
    shared = getattr(sys.modules.get({__name__!r}), "DRIVERS", None)
    driver = shared[0] if shared else start()
    if shared == []:
        shared.append(driver)
    yield driver
    if shared is None:
        driver.quit()


@pytest.fixture
def show(browser, tmp_path):
    def show(html):
        (tmp_path / "page.html").write_text(html)
        browser.get((tmp_path / "page.html").as_uri())
        return browser
    return show
"""
DRIVERS: list[webdriver.Chrome] = []
"""The browser that all runs in this process share; the first one starts it."""
SHOP = """<title>Shop</title><style>body { margin: 0; font: 16px sans-serif } nav { background: #eef; padding: 12px }</style>
<nav><a class="badge" href="#">BADGE</a></nav><h1>Checkout</h1><p>Two items</p>"""
STORY = f"""
def test_page(show, assert_images_similar):
    assert_images_similar(show({SHOP!r}))

def test_element(show, assert_images_similar):
    assert_images_similar(show({SHOP!r}).find_element("tag name", "nav"))
"""


@pytest.fixture(scope="module", autouse=True)
def _browser():
    yield
    for driver in DRIVERS:
        driver.quit()
    DRIVERS.clear()


@pytest.fixture
def suite(pytester):
    pytester.makeconftest(CONFTEST)
    return pytester


def test_the_whole_story(suite):
    suite.makepyfile(test_shop=STORY)
    run = suite.runpytest_inprocess()
    run.assert_outcomes(failed=2)
    run.stdout.fnmatch_lines(["*no expected image: test_shop.py::test_page*", "*actual: *Selenium page (640x*"])
    assert not (suite.path / "baselines").exists()
    suite.runpytest_inprocess("--imgdiff-update=missing").assert_outcomes(passed=2)
    suite.runpytest_subprocess("-n", "2").assert_outcomes(passed=2)
    suite.makepyfile(test_shop=STORY.replace("BADGE", "Sale"))
    run = suite.runpytest_inprocess()
    run.assert_outcomes(failed=2)
    run.stdout.fnmatch_lines(["*images differ*test_page", "*actual: *Selenium page (640x*"])
    accepted = suite.run(sys.executable, "-m", "pytest_imgdiff", "accept", "imgdiff-report", "--only", "**")
    assert accepted.ret == 0
    suite.runpytest_inprocess().assert_outcomes(passed=2)


def test_options(suite):
    suite.makepyfile(
        """
        import numpy as np
        import pytest

        PAGE = '''<style>body { margin: 0; height: 1500px } #box { position: absolute; top: 1000px; left: 20.5px; width: 100px; height: 40px;
        background: #00f } .clock { position: absolute; left: 10px; top: 20px; width: 50px; height: 30px }</style>
        <div id=box></div><div class=clock>TIME</div>'''

        @pytest.fixture
        def shot(show, assert_images_similar):
            blank = np.full((1, 1, 3), 255, np.uint8)
            def shot(target, **capture):
                return assert_images_similar.compare(target, blank, capture=capture)
            return shot

        def test_sizes(show, shot):
            driver = show(PAGE)
            driver.execute_script("scrollTo(0, 100)")
            view = tuple(driver.execute_script("return [innerWidth, innerHeight]"))
            box = driver.find_element("id", "box")
            assert shot(driver).actual.size == view
            assert shot(driver, full_page=True).actual.size == (view[0], 1500)
            assert shot(driver, clip={"x": 10, "y": 20, "width": 64, "height": 48}).actual.size == (64, 48)
            element = shot(box)
            assert element.actual.size == (101, 40)
            assert (element.actual.pixels[:, 1:-1] == (0, 0, 255, 255)).all()
            assert shot(driver, transparent=True).actual.pixels[..., 3].max() < 255
            assert driver.execute_script("return scrollY") == 100
            info = shot(driver).capture
            assert info.browser in ("chrome", "chrome-headless-shell")
            assert (info.viewport, info.device_scale, info.color_scheme) == (view, 1.0, "light")

        def test_scale(show, shot):
            driver = show(PAGE)
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": 300, "height": 200, "deviceScaleFactor": 2, "mobile": False},
            )
            try:
                assert shot(driver).actual.size == (300, 200)
                assert shot(driver, scale="device").actual.size == (600, 400)
            finally:
                driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

        @pytest.mark.parametrize("mask", [".clock", "//*[@class='clock']", {"selector": ".clock", "what": "text"}, None])
        def test_mask(show, shot, assert_images_similar, mask):
            before = shot(show(PAGE.replace("TIME", "12:02"))).actual.pixels
            driver = show(PAGE.replace("TIME", "12:01"))
            masks = [driver.find_element("class name", "clock")] if mask is None else [mask]
            different = assert_images_similar.compare(driver, before)
            assert not different.passed
            assert different.regions[0].element.path == "div.clock"
            assert_images_similar(driver, before, capture={"mask": masks})
            assert different.capture.unmatched_masks == []
            nowhere = assert_images_similar.compare(driver, before, capture={"mask": [".clock", "p.nowhere"]})
            assert nowhere.capture.unmatched_masks == ["p.nowhere"]
        """
    )
    suite.runpytest_inprocess().assert_outcomes(passed=6)


def test_a_page_that_moves_stands_still_for_the_capture_and_goes_on_after_it(suite):
    suite.makepyfile(
        """
        MOVING = '''<style>@keyframes turn { to { transform: rotate(360deg) } } @keyframes come { from { opacity: 0 } }
        .turn { animation: turn 1s infinite linear; width: 40px; height: 20px; background: red }
        .come { animation: come 60s } .fade { transition: opacity 60s; opacity: 0 } .fade.on { opacity: 1 }</style>
        <input autofocus value=typed><div class=turn></div><div class=come>comes</div><div class=fade>fades</div>'''

        def test_page(show, assert_images_similar):
            driver = show(MOVING)
            driver.execute_script("document.querySelector('.fade').offsetTop; document.querySelector('.fade').className += ' on'")
            comparison = assert_images_similar(driver, capture={"style": "input { outline: none }"})
            assert driver.execute_script("return document.querySelectorAll('style').length") == 1
            states = driver.execute_script("return document.getAnimations().map((animation) => animation.playState)")
            assert "running" in states
            assert comparison.capture.attempts <= 2
        """
    )
    suite.runpytest_inprocess("--imgdiff-update=missing").assert_outcomes(passed=1)
    suite.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_page_that_moves_is_captured_many_times_without_a_false_alarm(suite):
    suite.makepyfile(
        moving=MOVING,
        test_shop="""
        from pathlib import Path

        from moving import SETTINGS, SITE

        def test_moving(browser, assert_images_similar):
            browser.get(SITE)
            assert_images_similar(browser, capture=SETTINGS)
            (stored,) = Path("baselines").rglob("*.png")
            for _ in range(20):
                browser.get(SITE)
                assert_images_similar(browser, stored, capture=SETTINGS)
        """,
    )
    suite.runpytest_inprocess("--imgdiff-update=missing").assert_outcomes(passed=1)


def test_each_of_ten_changed_elements_is_found_and_named(suite):
    suite.makepyfile(
        changed=CHANGED,
        test_shop="""
        import pytest
        from changed import CHANGES, PAGE, is_right, named

        @pytest.mark.parametrize("change", CHANGES)
        def test_change(show, assert_images_similar, change):
            browser = show(PAGE)
            expected = assert_images_similar.compare(browser, name=f"before {list(CHANGES).index(change)}").actual.encoded
            browser.execute_script(change)
            found = named(assert_images_similar.compare(browser, expected))
            assert is_right(found, change), found
        """,
    )
    suite.runpytest_inprocess().assert_outcomes(passed=10)


def test_what_cannot_be_captured_is_told_in_one_line_and_the_browser_stays_usable(suite):
    suite.makepyfile(
        """
        import pytest
        from conftest import start
        from pytest_imgdiff import ImageAssertionError

        PAGE = '''<p id=p>here</p><p id=hidden style="display: none">no</p><p id=off style="position: absolute; left: -900px">
        off</p><iframe srcdoc="<b>in</b>"></iframe>'''

        @pytest.fixture
        def refused(assert_images_similar):
            def refused(words, target, **capture):
                with pytest.raises(ImageAssertionError) as caught:
                    assert_images_similar(target, capture={"timeout": 0.2, **capture})
                assert words in str(caught.value)
                _, called_at = str(caught.value).splitlines()
                assert called_at.startswith("  called at ")
            return refused

        def test_refusals(show, refused, assert_images_similar):
            driver = show(PAGE)
            gone = driver.find_element("id", "p")
            driver.execute_script("arguments[0].remove()", gone)
            refused("the element is no longer in the page", gone)
            for name in ("hidden", "off"):
                refused("has no size, is hidden or is outside the page", driver.find_element("id", name))
            refused("the selector is not valid CSS", driver, mask=["!!"])
            refused("clip is outside", driver, clip={"x": 9000, "y": 0, "width": 9, "height": 9})
            refused("does not support full_page", driver.find_element("id", "hidden"), full_page=True)
            driver.switch_to.frame(0)
            refused("the driver is in a frame", driver)
            driver.switch_to.default_content()
            driver.execute_script("setTimeout(() => alert('hello'), 0)")
            refused("a dialog of the page is open", driver)
            window = driver.current_window_handle
            driver.switch_to.new_window("tab")
            driver.close()
            refused("the page or its browser is closed", driver)
            driver.switch_to.window(window)
            assert not assert_images_similar.compare(show(PAGE)).passed

        def test_a_browser_that_crashed(refused):
            driver = start()
            with pytest.raises(Exception):
                driver.get("chrome://crash")
            refused("the page crashed", driver)
            driver.quit()
            refused("the connection to the browser is closed", driver)
        """
    )
    suite.runpytest_inprocess().assert_outcomes(passed=2)
    assert not (suite.path / "baselines").exists()
