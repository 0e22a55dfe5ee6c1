"""What tests with pytest-imgdiff look like. Run them: `pytest examples/test_examples.py`."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
EXPECTED, ACTUAL = HERE / "expected", HERE / "actual"


def test_two_files(assert_images_similar):
    """Without rules in the call those of imgdiff.yaml hold. These files differ in their bytes alone."""
    comparison = assert_images_similar(ACTUAL / "pages/unchanged.png", EXPECTED / "pages/unchanged.png")
    assert comparison.equal == "pixels"


def test_anti_aliasing_is_no_difference(assert_images_similar):
    assert_images_similar(ACTUAL / "pages/antialiasing.png", EXPECTED / "pages/antialiasing.png")


def test_photo_is_judged_by_structure(assert_images_similar):
    """Rules in the call replace those of imgdiff.yaml: another JPEG quality is not a different image."""
    photo = "photos/reencoded.jpg"
    assert_images_similar(ACTUAL / photo, EXPECTED / photo, metrics={"ssim": {"min": 0.95}})


def test_all_but_the_badge(assert_images_similar):
    badge = {"x": 270, "y": 20, "width": 82, "height": 32}
    assert_images_similar(ACTUAL / "pages/badge.png", EXPECTED / "pages/badge.png", ignore=[badge])


def test_array_against_its_baseline(assert_images_similar):
    """Without an expected image the stored baseline is used: here baselines/examples/test_examples/."""
    row, column = np.indices((60, 90))
    assert_images_similar(np.stack([row * 4, column * 2, row + column], axis=-1).astype(np.uint8))


def test_chart(assert_images_similar):
    """A matplotlib figure, without text: fonts are drawn a little differently by each version of matplotlib."""
    figure = pytest.importorskip("matplotlib.figure").Figure(figsize=(2.4, 1.6), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.bar(range(5), [3, 5, 4, 6, 2], color="#2f6fde")
    axes.set_axis_off()
    assert_images_similar(figure)


@pytest.fixture
def page():
    """A page of Chromium; the plugin pytest-playwright brings a fixture of this name, and this one is not needed."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"))
        except playwright.Error:
            pytest.skip("no Chromium: `playwright install chromium`, or name one in the environment variable CHROMIUM")
        yield browser.new_page(viewport={"width": 880, "height": 510})
        browser.close()


def test_closing_what_was_opened_leaves_no_trace(page, assert_images_similar):
    page.goto((HERE / "pages/checkout.html").as_uri())
    before = page.screenshot()
    page.locator("summary").click()
    assert not assert_images_similar.compare(page.screenshot(), before).passed
    page.locator("summary").click()
    assert_images_similar(page.screenshot(), before)
