"""Another font renderer is reported once for the run: real renderings of Chromium."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.chromium import ARGUMENTS, EXECUTABLE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="there is no Chromium on the PATH")
WORDS = "The quick brown fox jumps over the lazy dog, while figures of sales and costs rise in every quarter. "
PAGES = {
    "article": "<body style='font: 16px sans-serif; margin: 24px'><h1>Quarterly report</h1>" + f"<p>{WORDS}</p>" * 4,
    "form": "<body style='font: 14px sans-serif; background: #f4f5f7'><header>Accounts</header>"
    + "<p>A field of the form with its label <input value='a value' style='border: 1px solid #999; padding: 6px'></p>"
    * 6,
    "table": "<body style='font: 13px serif'><table border=1 cellpadding=4 style='border-collapse: collapse'>"
    + f"<tr>{'<td>Cell and 97</td>' * 5}</tr>" * 10,
    "code": "<body style='font: 13px monospace; background: #1e1e1e; color: #ddd'><pre>"
    + "def function(argument):\n    return argument * 2\n" * 8,
    "menu": "<body style='font: bold 18px sans-serif'>"
    + "<p style='border-bottom: 1px solid #ccc'>Menu entry with some words</p>" * 6,
}
CHANGE = """<style>h1, header { color: #a00; background: #fd6 }</style>
<div style="position: fixed; bottom: 0; left: 0; right: 0; background: #fd6; padding: 10px">Cookies on all pages</div>"""
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include><match target="font">
<edit name="hinting" mode="assign"><bool>true</bool></edit>
<edit name="autohint" mode="assign"><bool>true</bool></edit>
<edit name="hintstyle" mode="assign"><const>hintfull</const></edit></match></fontconfig>"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered")
    (folder / "fonts.conf").write_text(FONTS, encoding="utf-8")
    other = {"FONTCONFIG_FILE": str(folder / "fonts.conf")}
    with ThreadPoolExecutor(1) as apart:  # the browser of other tests has the event loop of this thread
        for drawn in (
            apart.submit(render, folder / "expected"),
            apart.submit(render, folder / "changed", change=CHANGE),
            apart.submit(render, folder / "other", environ=other, hinting="full"),
        ):
            drawn.result()
    return folder


def render(folder: Path, change="", environ=None, hinting="none"):
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=EXECUTABLE,
            args=[*ARGUMENTS, f"--font-render-hinting={hinting}"],
            env={**os.environ, **(environ or {})},
        )
        page = browser.new_page(viewport={"width": 560, "height": 400})
        for name, html in PAGES.items():
            page.set_content(html + change)
            page.screenshot(path=folder / f"{name}.png")
        browser.close()


SAID = "the font rendering differs: in 5 of 5 failing comparisons"


def test_another_font_renderer_is_told_once_and_every_page_still_fails(pytester, rendered):
    run = pytester.runpytest_subprocess("--imgdiff-scan", rendered / "expected", rendered / "other")
    run.assert_outcomes(failed=len(PAGES))
    assert sum(SAID in line for line in run.stdout.lines) == 1
    report = pytester.path / "imgdiff-report"
    assert all(record["redrawn"] for record in json.loads((report / "results.json").read_text())["comparisons"])
    for name in ("summary.md", "index.html", "plain.html"):
        text = (report / name).read_text(encoding="utf-8").replace("&#39;", "'")
        assert text.count("the font rendering differs") == 1, name


def test_the_same_change_on_every_page_is_not_another_font_renderer(pytester, rendered):
    run = pytester.runpytest_subprocess("--imgdiff-scan", rendered / "expected", rendered / "changed")
    run.assert_outcomes(failed=len(PAGES))
    assert "the font rendering differs" not in run.stdout.str()
    assert "the font rendering differs" not in (pytester.path / "imgdiff-report/summary.md").read_text(encoding="utf-8")
