"""Draw docs/pictures/report.png: the report of the examples, as Chromium shows it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "pictures" / "report.png"


def draw() -> None:
    """Compare the examples and photograph one comparison in the report's viewer."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        command = ["compare", "examples/expected", "examples/actual", "--report", folder, "--quiet"]
        subprocess.run([sys.executable, "-m", "pytest_imgdiff", *command], cwd=ROOT, check=False)  # noqa: S603 - ours
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto((Path(folder) / "index.html").as_uri())
        page.get_by_text("pages/checkout.png").first.click()
        page.get_by_text("Expected", exact=True).first.wait_for()
        page.wait_for_timeout(500)
        page.screenshot(path=TARGET)
        browser.close()


if __name__ == "__main__":
    draw()
