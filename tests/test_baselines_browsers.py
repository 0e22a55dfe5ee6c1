"""Baselines of several browsers, viewports, device scales and colour schemes."""

from __future__ import annotations

import re
import sys

import pytest

from tests.chromium import ARGUMENTS, EXECUTABLE
from tests.pictures import BLUE, RED, square, write

CONFTEST = """
    import os
    from dataclasses import dataclass

    import numpy as np
    import pytest
    from pytest_imgdiff import Shot
    from pytest_imgdiff.base.captured import CaptureInfo

    @dataclass
    class Device:
        browser: str
        width: int
        scale: float
        scheme: str

    class DeviceCapturer:
        target = "device"
        live = False
        follows = frozenset()

        def __init__(self, device):
            self.device = device

        def info(self):
            with open("asked", "a") as file:
                file.write("x")
            return CaptureInfo(
                self.target,
                viewport=(self.device.width, 600),
                device_scale=self.device.scale,
                browser=self.device.browser,
                color_scheme=self.device.scheme,
            )

        def capture(self):
            pixels = np.full((30, 40, 3), 250 if self.device.scheme == "light" else 30, np.uint8)
            pixels[5:15, 5:15] = self.device.width % 256
            return Shot(pixels)

    def imgdiff_capture(target):
        return DeviceCapturer(target) if isinstance(target, Device) else None

    @pytest.fixture
    def device():
        browser, width, scale, scheme = os.environ["DEVICE"].split()
        return Device(browser, int(width), float(scale), scheme)
"""
TESTS = """
    def test_form(device, assert_images_similar):
        assert_images_similar(device)
"""
LAYOUT = "{module}/{browser}/{viewport}@{dpr}/{color_scheme}/{test}.png"


@pytest.fixture
def suite(pytester, monkeypatch):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_shop=TESTS)
    (pytester.path / "imgdiff.yaml").write_text(f'baselines: {{layout: "{LAYOUT}"}}\n', encoding="utf-8")

    def run(device, *options):
        monkeypatch.setenv("DEVICE", device)
        return pytester.runpytest_inprocess(*options)

    suite = pytester
    suite.on = run
    return suite


def stored(suite):
    folder = suite.path / "baselines"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_each_way_of_capturing_has_a_baseline_of_its_own(suite):
    for way in ("chromium 1280 1.5 light", "webkit 390 1 dark"):
        suite.on(way, "--imgdiff-update=missing").assert_outcomes(passed=1)
    assert stored(suite) == [
        "test_shop/chromium/1280x600@1.5/light/test_form.png",
        "test_shop/webkit/390x600@1/dark/test_form.png",
    ]
    suite.on("chromium 1280 1.5 light").assert_outcomes(passed=1)


def test_an_image_that_was_not_captured_is_of_any(suite):
    suite.makepyfile(
        test_shop="import numpy as np\ndef test_form(assert_images_similar): assert_images_similar(np.zeros((9, 9), np.uint8))\n"
    )
    suite.on("", "--imgdiff-update=missing").assert_outcomes(passed=1)
    assert stored(suite) == ["test_shop/any/any@any/any/test_form.png"]


def test_nothing_is_asked_before_the_capture_where_the_layout_names_nothing_of_it(suite):
    (suite.path / "imgdiff.yaml").write_text('baselines: {layout: "{module}/{test}.png"}\n', encoding="utf-8")
    suite.on("chromium 1280 1 light", "--imgdiff-update=missing").assert_outcomes(passed=1)
    assert (suite.path / "asked").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize(
    ("way", "told"),
    [
        pytest.param(
            "webkit 1280 1 light",
            "there is one for chromium: baselines/test_shop/chromium/1280x600@1/light/test_form.png; run with that "
            "browser, or accept this one",
            id="browser",
        ),
        pytest.param(
            "firefox 390 2 dark",
            "there is one for chromium, viewport 1280x600, device scale 1, colour scheme light: *; run with that browser "
            "and viewport and device scale and colour scheme, or accept this one",
            id="everything",
        ),
    ],
)
def test_a_baseline_of_another_setting_is_named_where_one_is_missing(suite, way, told):
    write(suite.path / "baselines/test_shop/chromium/1280x600@1/light/test_form.png", square(RED))
    run = suite.on(way)
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines([f"*reason: *there is no baseline *; {told}*"])


def test_a_baseline_of_another_platform_is_named_also_where_only_parameters_name_the_browser(suite):
    (suite.path / "imgdiff.yaml").write_text('baselines: {layout: "{platform}/{test}.png"}\n', encoding="utf-8")
    suite.makepyfile(
        test_shop="""
        import pytest

        @pytest.mark.parametrize("browser_name", ["chromium"])
        @pytest.mark.parametrize("theme", ["plain"])
        def test_form(device, browser_name, theme, assert_images_similar):
            assert_images_similar(device)
        """
    )
    for name in ("darwin/test_form[plain-firefox]", "darwin/test_form[plain-other]", "win32/test_form[plain-chromium]"):
        write(suite.path / f"baselines/{name}.png", square(RED))
    run = suite.on("chromium 1280 1 light")
    run.stdout.fnmatch_lines(
        ["*; there is one for win32: baselines/win32/test_form?plain-chromium?.png and 1 more; run on that platform, *"]
    )


def test_a_setting_that_did_not_run_keeps_its_baselines(suite):
    for place in ("chromium/1280x600@1", "webkit/390x600@1"):
        write(suite.path / f"baselines/test_shop/{place}/light/test_form.png", square(RED))
    suite.makepyfile(test_shop=TESTS.replace("test_form", "test_page"))
    suite.on("chromium 1280 1 light", "--imgdiff-update=missing").assert_outcomes(passed=1)
    run = suite.on("chromium 1280 1 light", "--imgdiff-prune", "-n", "2")
    run.stdout.fnmatch_lines(
        [
            "unused baseline deleted: baselines/test_shop/chromium/1280x600@1/light/test_form.png",
            "pruning did not check 1 stored image: they are of a browser and viewport and device scale and *",
        ]
    )
    assert stored(suite) == [
        "test_shop/chromium/1280x600@1/light/test_page.png",
        "test_shop/webkit/390x600@1/light/test_form.png",
    ]


def test_one_test_of_another_viewport_does_not_make_the_others_baselines_unused(suite):
    write(suite.path / "baselines/test_shop/chromium/1280x600@1/light/test_form.png", square(RED))
    suite.makepyfile(
        test_shop=TESTS
        + """
    def test_wide(device, assert_images_similar):
        device.width = 1280
        assert_images_similar(device)
    """
    )
    suite.on("chromium 390 1 light", "--imgdiff-update=missing").assert_outcomes(passed=2)
    run = suite.on("chromium 390 1 light", "--imgdiff-prune")
    run.stdout.fnmatch_lines(["pruning did not check 1 stored image: their tests ran with another *"])
    assert "test_shop/chromium/1280x600@1/light/test_form.png" in stored(suite)


def test_a_renamed_test_gets_back_the_baseline_of_its_own_setting(suite):
    suite.on("chromium 1280 1 light", "--imgdiff-update=missing").assert_outcomes(passed=1)
    suite.makepyfile(test_shop=TESTS.replace("test_form", "test_page"))
    twin = suite.path / "baselines/test_shop/chromium/390x600@1/light/test_form.png"
    twin.parent.mkdir(parents=True)
    twin.write_bytes((suite.path / "baselines/test_shop/chromium/1280x600@1/light/test_form.png").read_bytes())
    run = suite.on("chromium 1280 1 light")
    run.stdout.fnmatch_lines(
        ["renamed test?: baselines/test_shop/chromium/1280x600@1/light/test_form.png is equal to the image of *"]
    )
    assert suite.run(sys.executable, "-m", "pytest_imgdiff", "accept", "imgdiff-report", "--renames").ret == 0
    suite.on("chromium 1280 1 light").assert_outcomes(passed=1)
    assert twin.is_file()


def test_a_report_accepts_into_the_setting_that_it_was_made_in(suite):
    wide, narrow = (
        suite.path / f"baselines/test_shop/chromium/{place}/light/test_form.png"
        for place in ("1280x600@1", "390x600@1")
    )
    for place in (wide, narrow):
        write(place, square(BLUE))
    before = wide.read_bytes()
    suite.on("chromium 390 1 light").assert_outcomes(failed=1)
    assert suite.run(sys.executable, "-m", "pytest_imgdiff", "accept", "imgdiff-report", "--only", "**").ret == 0
    suite.on("chromium 390 1 light").assert_outcomes(passed=1)
    assert wide.read_bytes() == before


def test_the_documented_pattern_for_viewports_and_colour_schemes(pytester, root, monkeypatch):
    monkeypatch.setenv(
        "PYTEST_PLUGINS",
        "pytest_imgdiff.plugin,xdist.plugin,pytest_playwright.pytest_playwright",
    )
    text = (root / "docs/browsers.md").read_text(encoding="utf-8")
    chapter = text.partition("## Several viewports and colour schemes")[2].partition("\n## ")[0]
    conftest, test = re.findall("```python\n# (?:conftest|test_shop).py\n(.*?)```", chapter, re.DOTALL)
    launched = f"""
@pytest.fixture(scope="session")
def browser_type_launch_args():
    return {{"executable_path": {EXECUTABLE!r}, "args": {list(ARGUMENTS)!r}}}
"""
    (pytester.path / "conftest.py").write_text(conftest + launched, encoding="utf-8")
    (pytester.path / "test_shop.py").write_text(test, encoding="utf-8")
    layout = "{browser}/{viewport}-{color_scheme}@{dpr}/{module}/{test}.png"
    (pytester.path / "imgdiff.yaml").write_text(f'baselines: {{layout: "{layout}"}}\n', encoding="utf-8")
    pytester.runpytest_subprocess("--browser", "chromium", "--imgdiff-update=missing").assert_outcomes(passed=4)
    assert stored(pytester) == [
        f"chromium/{size}-{scheme}@1/test_shop/test_form[{name}-{scheme}-chromium].png"
        for size, name in (("1280x720", "desktop"), ("390x844", "phone"))
        for scheme in ("dark", "light")
    ]
    pytester.runpytest_subprocess("--browser", "chromium", "-k", "phone and dark").assert_outcomes(
        passed=1, deselected=3
    )
