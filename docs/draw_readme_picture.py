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
    """Compare the examples and photograph one section of the report."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        command = ["compare", "examples/expected", "examples/actual", "--report", folder, "--quiet"]
        subprocess.run([sys.executable, "-m", "pytest_imgdiff", *command], cwd=ROOT, check=False)  # noqa: S603 - ours
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto((Path(folder) / "index.html").as_uri())
        page.get_by_label("Search names and tests").fill("checkout")
        page.wait_for_timeout(500)
        page.screenshot(path=TARGET, clip={"x": 0, "y": 0, "width": 1200, "height": 640})
        browser.close()


if __name__ == "__main__":
    draw()
