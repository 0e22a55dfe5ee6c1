"""Draw the pictures of the README from the examples: report.png and comparison.png in docs/pictures."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import sync_playwright

import pytest_imgdiff

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
EXAMPLE = "pages/checkout.png"

PANEL = (620, 359)
GAP, CAPTION = 20, 44
INK, RED = (31, 35, 40), (207, 0, 80)


def draw_report() -> None:
    """Compare the examples and take a screenshot of one comparison in the report's viewer."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        command = ["compare", "examples/expected", "examples/actual", "--report", folder, "--quiet"]
        subprocess.run([sys.executable, "-m", "pytest_imgdiff", *command], cwd=ROOT, check=False)  # noqa: S603 - ours
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto((Path(folder) / "index.html").as_uri())
        page.get_by_text(EXAMPLE).first.click()
        page.get_by_text("Expected", exact=True).first.wait_for()
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURES / "report.png")
        browser.close()


def draw_comparison() -> None:
    """Draw expected, actual and difference beside each other, each with its caption."""
    sides = [ROOT / "examples" / side / EXAMPLE for side in ("expected", "actual")]
    comparison = pytest_imgdiff.compare(*sides)
    expected, actual = (Image.open(side).convert("RGB") for side in sides)
    pixels = np.asarray(actual).astype(np.float32) * 0.25 + 255 * 0.75
    pixels[comparison.mask] = RED
    difference = Image.fromarray(pixels.astype(np.uint8))
    pen = ImageDraw.Draw(difference)
    region = comparison.regions[0]
    box = region.box
    pen.rectangle((box.x - 4, box.y - 4, box.x + box.width + 4, box.y + box.height + 4), outline=RED, width=3)
    panels = {
        "expected": expected,
        "actual": actual,
        f"difference: {region.kind} by {region.moved[0]},{region.moved[1]}": difference,
    }
    sheet = Image.new("RGB", (3 * PANEL[0] + 2 * GAP, PANEL[1] + CAPTION), "white")
    pen = ImageDraw.Draw(sheet)
    for column, (caption, panel) in enumerate(panels.items()):
        left = column * (PANEL[0] + GAP)
        pen.text((left, 4), caption, INK, font=ImageFont.load_default(28))
        sheet.paste(panel.resize(PANEL, Image.Resampling.LANCZOS), (left, CAPTION))
        pen.rectangle((left, CAPTION, left + PANEL[0] - 1, CAPTION + PANEL[1] - 1), outline=(208, 215, 222))
    sheet.quantize(128).save(PICTURES / "comparison.png", optimize=True)


if __name__ == "__main__":
    draw_report()
    draw_comparison()
