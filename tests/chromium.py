"""The real browser that the tests of the page look through."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

NAMES = ("chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome")
EXECUTABLE = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
"""The browser: the one that CHROMIUM names, or the first of these on the PATH.

The headless shell is Chromium without windows, and what Playwright runs by default: a page takes a third of the time.
"""
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
"""Containers run as root, where Chromium's sandbox cannot be; nothing but our own page is opened."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the test extra brings playwright")
    if EXECUTABLE is None:
        pytest.skip("there is no Chromium on the PATH, nor one named in CHROMIUM")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=EXECUTABLE, args=list(ARGUMENTS))
        yield chromium
        chromium.close()
