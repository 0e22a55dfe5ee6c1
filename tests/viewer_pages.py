"""A report's viewer in a real Chromium, opened from a folder or from a web server, and what is seen of it there."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from tests.viewer_report import viewer_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from playwright.sync_api import Browser, Page

PLACES = """
() => [...document.querySelectorAll('.pane-window')].map((pane) => {
  const { left, top, width, height } = pane.getBoundingClientRect();
  const image = pane.querySelector('img').getBoundingClientRect();
  const scale = image.width / pane.querySelector('img').naturalWidth;
  return { left, top, width, height, scale, x: (left - image.left) / scale, y: (top - image.top) / scale };
})
"""
"""Of each pane its place in the window, and which point of the picture lies in its top left corner."""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    viewer_report(directory)
    return directory


@pytest.fixture(scope="module")
def served(report) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(report)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["file", "http"])
def address(request, report) -> str:
    return report.as_uri() if request.param == "file" else request.getfixturevalue("served")


@pytest.fixture
def open_at(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a report at an address's fragment; in the end nothing may have gone wrong or outside."""
    complaints: list[str] = []
    contexts = []

    def opened(address: str, fragment: str = "", **settings: Any) -> Page:
        known = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"}
        context = browser.new_context(**{**known, **settings})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: complaints.append(request.url) if is_outside(request.url, address) else None)
        page.goto(f"{address}/index.html#{fragment}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def is_outside(requested: str, address: str) -> bool:
    return not requested.startswith((address, "data:"))


@pytest.fixture
def open_viewer(open_at, report) -> Callable[..., Page]:
    """Open a comparison by its name, from ``file://`` unless an address is given."""

    def opened(name: str = "page", view: str = "", address: str = report.as_uri(), **settings: Any) -> Page:
        page = open_at(address, **settings)
        anchor = page.evaluate("(name) => imgdiff.run.rows.find((row) => row.name === name).anchor", name)
        page.evaluate("(values) => imgdiff.state.set(values, true)", {"open": anchor, "view": view})
        page.wait_for_function("(name) => imgdiff.viewing.subject?.row.name === name", arg=name)
        await_pictures(page)
        return page

    return opened


def await_pictures(page: Page) -> None:
    """Wait until the pictures of the view are loaded, as they are anew when another view is chosen."""
    page.wait_for_function(
        "() => [...document.querySelectorAll('#viewer .layer img')].every((image) => image.complete)"
    )


def shot(page: Page, selector: str = ".pane-window") -> NDArray[np.uint8]:
    """Return (height, width, 3) RGB as it is on the screen."""
    encoded = np.frombuffer(page.locator(selector).first.screenshot(), np.uint8)
    return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def on_screen(page: Page, x: float, y: float, pane: int = 0) -> tuple[float, float]:
    """Return where the middle of a picture's pixel lies in the window."""
    place = page.evaluate(PLACES)[pane]
    return (
        place["left"] + (x + 0.5 - place["x"]) * place["scale"],
        place["top"] + (y + 0.5 - place["y"]) * place["scale"],
    )


def pixel(page: Page, x: int, y: int) -> tuple[int, ...]:
    """Return the colour on the screen in the middle of a picture's pixel."""
    place = page.evaluate(PLACES)[0]
    at_x, at_y = on_screen(page, x, y)
    return tuple(int(value) for value in shot(page)[int(at_y - place["top"]), int(at_x - place["left"])])


def without_outlines(page: Page) -> None:
    page.keyboard.press("o")
    page.wait_for_function("() => getComputedStyle(document.querySelector('.outlines')).display === 'none'")


def hover(page: Page, x: int, y: int) -> None:
    page.mouse.move(*on_screen(page, x, y))
