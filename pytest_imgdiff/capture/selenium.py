"""Pages and elements of Selenium: the driver itself, and a WebElement."""

from __future__ import annotations

import base64
import math
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import Shot
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.capture import browser

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_imgdiff.base.captured import CaptureInfo, Element
    from pytest_imgdiff.base.geometry import Box
    from pytest_imgdiff.base.model import CaptureSettings, MaskedElements

_OF_A_PAGE = frozenset(
    ("timeout", "full_page", "clip", "scale", "animations", "caret", "transparent", "style", "mask"),
)
_OF_AN_ELEMENT = _OF_A_PAGE - {"full_page", "clip"}
_CHROMIUM = ("chrome", "chromium", "chrome-headless-shell", "msedge", "microsoftedge")
"""Browsers that follow the Chrome DevTools Protocol, as WebDriver names them."""
_CLOSED = "the page or its browser is closed; capture it before it is closed"
_NAVIGATED = "the page navigated during the capture; wait until it has, for example with WebDriverWait"
_REFUSALS = (
    ("crash", "the page crashed"),
    ("InvalidSessionId", _CLOSED),
    ("NoSuchWindow", _CLOSED),
    ("StaleElementReference", "the element is no longer in the page; look it up again"),
    ("NoSuchFrame", "the frame is no longer in the page; call driver.switch_to.default_content()"),
    ("UnexpectedAlertPresent", "a dialog of the page is open; accept or dismiss it first"),
    ("InvalidSelector", "the selector is not valid CSS; an XPath starts with //"),
    ("document unloaded", _NAVIGATED),
    ("aborted by navigation", _NAVIGATED),
    ("context was destroyed", _NAVIGATED),
    ("execution contexts cleared", _NAVIGATED),
    ("script timeout", "the page did not respond in time"),
    ("not connected to DevTools", "the connection to the browser is closed; capture the page before it is closed"),
    ("urllib3", "the connection to the browser is closed; capture the page before it is closed"),
    ("ConnectionRefused", "the connection to the browser is closed; capture the page before it is closed"),
)
"""Selenium's errors, and their meaning for the capture; the first that is in an error's type or message applies."""
_POLL = 0.1


def capturer(target: Any, settings: CaptureSettings) -> SeleniumCapturer:
    """Return what captures the page of a driver, or one of its elements."""
    return SeleniumCapturer(target, settings)


class SeleniumCapturer:
    """Captures by WebDriver and, in Chromium, by the DevTools protocol.

    Selenium has none of the options of Playwright's ``screenshot``, so page.js stops animations, hides the caret and
    adds the style.
    """

    live = True
    awaits = False

    def __init__(self, target: Any, settings: CaptureSettings) -> None:
        self._element = target if _is_element(target) else None
        self._driver = target if self._element is None else target.parent
        self._settings = settings
        self._found: dict[str, Any] = {}
        self._unmatched: list[str] = []
        self.target = "Selenium page" if self._element is None else "Selenium element"
        self.follows: frozenset[str] = _OF_A_PAGE if self._element is None else _OF_AN_ELEMENT

    def capture(self) -> Shot:
        """Capture the target as it is now: a `Shot` with PNG bytes.

        Raises:
            CaptureError: it cannot be captured.
        """
        with self._in_words():
            argument = browser.preparation(self._settings, is_page=self._element is None, by_script=True)
            if self._element is None and self._in_a_frame():
                raise CaptureError(
                    f"{self.target}: the driver is in a frame; call driver.switch_to.default_content(), or pass an "
                    "element of the frame"
                )
            self._found = self._run("prepare", argument)
            return self._of_page() if self._element is None else self._of_element(self._element)

    def pause(self, seconds: float) -> None:
        """Wait while the page continues."""
        time.sleep(seconds)

    def info(self) -> CaptureInfo:
        """Return metadata of the page from the last capture, or its current metadata if there was none."""
        with self._in_words():
            found = self._found or self._run("info", None)
            capabilities = self._driver.capabilities
        name, version = capabilities.get("browserName", ""), capabilities.get("browserVersion", "")
        return browser.info_from(found, self.target, name, version, self._unmatched)

    def elements(self, shot: Shot, boxes: Sequence[Box]) -> Sequence[Element | None]:
        """Return the element under each box; None for each where the driver is in a frame."""
        with self._in_words():
            if self._in_a_frame():
                return [None] * len(boxes)
            return browser.elements_from(self._run("elements", browser.in_document(boxes, shot)))

    def restore(self) -> None:
        """Restore what the captures changed in the page."""
        if self._found.get("changed"):
            with self._in_words():
                self._run("restore", None)

    def _of_page(self) -> Shot:
        settings, clip = self._settings, self._settings.clip
        width, height = self._found["size"] if settings.full_page else self._found["viewport"]
        left, top = (0.0, 0.0) if settings.full_page else self._found["scroll"]
        part = (0.0, 0.0, float(width), float(height))
        if clip is not None:
            part = _common(part, (clip.x, clip.y, clip.width, clip.height))
            if part is None:
                raise CaptureError(f"{self.target}: clip is outside the captured image")
        x, y, width, height = part
        rectangle = (left + x, top + y, width, height)
        if self._by_protocol and (settings.full_page or clip is not None or self._needs_protocol):
            data = self._by_devtools(rectangle, beyond=settings.full_page)
        else:
            self._refuse_transparent()
            data = self._cut(self._whole() if settings.full_page else self._driver.get_screenshot_as_png(), part)
        if settings.full_page and clip is None:
            browser.check_whole(data, self._found, self._scale)
        return self._masked(Shot(data, origin=(rectangle[0], rectangle[1]), scale=self._scale))

    def _whole(self) -> bytes:
        """Return the whole page with the driver's command for it, such as that of Firefox."""
        take = getattr(self._driver, "get_full_page_screenshot_as_png", None)
        if take is None:
            raise CaptureError(
                f"{self.target}: this browser's driver captures only the viewport; remove full_page, or use "
                "Chromium or Firefox"
            )
        data: bytes = take()
        return data

    def _of_element(self, element: Any) -> Shot:
        self._wait_until_shown(element)
        self._driver.execute_script(
            "arguments[0].scrollIntoView({block: 'nearest', inline: 'nearest', behavior: 'instant'})", element
        )
        boxes = self._run("boxes", {"elements": [element], "what": "box"})
        if not boxes:
            raise CaptureError(f"{self.target}: <{element.tag_name}> has no size")
        box = boxes[0]
        if box is not None:
            visible = _common((0.0, 0.0, *map(float, self._run("info", None)["size"])), tuple(box))
            if visible is None and not self._in_a_frame():
                raise CaptureError(f"{self.target}: <{element.tag_name}> is outside the page")
            box = _outward(tuple(box) if visible is None else visible)
        if self._by_protocol and box is not None:
            return self._masked(Shot(self._by_devtools(box, beyond=True), origin=box[:2], scale=self._scale))
        self._refuse_transparent()
        data = self._cut(element.screenshot_as_png, None)
        return self._masked(Shot(data, origin=(0.0, 0.0) if box is None else box[:2], scale=self._scale))

    def _wait_until_shown(self, element: Any) -> None:
        deadline = time.monotonic() + self._settings.timeout
        while not element.is_displayed():
            if time.monotonic() > deadline:
                raise CaptureError(
                    f"{self.target}: <{element.tag_name}> has no size, is hidden or is outside the page, and did "
                    f"not become visible within {self._settings.timeout:g} s"
                )
            time.sleep(_POLL)

    @property
    def _by_protocol(self) -> bool:
        return str(self._driver.capabilities.get("browserName", "")).lower() in _CHROMIUM

    @property
    def _needs_protocol(self) -> bool:
        """Whether the image of the viewport is not the one that WebDriver gives."""
        return self._settings.transparent or self._scale != self._found["deviceScale"]

    @property
    def _scale(self) -> float:
        return float(self._found["deviceScale"]) if self._settings.scale == "device" else 1.0

    def _by_devtools(self, rectangle: browser.Rectangle, *, beyond: bool) -> bytes:
        """Return a rectangle of the document, in CSS pixels, also where it is larger than the viewport."""
        x, y, width, height = rectangle
        scale = self._scale / self._found["deviceScale"]
        transparent = self._settings.transparent
        if transparent:
            self._devtools("Emulation.setDefaultBackgroundColorOverride", color={"r": 0, "g": 0, "b": 0, "a": 0})
        try:
            answer = self._devtools(
                "Page.captureScreenshot",
                format="png",
                captureBeyondViewport=beyond,
                clip={"x": x, "y": y, "width": width, "height": height, "scale": scale},
            )
        finally:
            if transparent:
                self._devtools("Emulation.setDefaultBackgroundColorOverride")
        return base64.b64decode(answer["data"])

    def _devtools(self, command: str, **parameters: Any) -> Any:
        return self._driver.execute("executeCdpCommand", {"cmd": command, "params": parameters})["value"]

    def _refuse_transparent(self) -> None:
        if self._settings.transparent:
            raise CaptureError(f"{self.target}: transparent requires Chromium; remove it for this browser")

    def _cut(self, data: bytes, part: browser.Rectangle | None) -> bytes:
        """Return a part of a screenshot that WebDriver took, in CSS pixels, at the scale of the settings."""
        density = self._found["deviceScale"]
        width, height = browser.png_size(data)
        whole = (0, 0, width, height)
        box = whole if part is None else tuple(round(value * density) for value in part)
        shrunk = density / self._scale
        if (part is None or _common(whole, box) == whole) and shrunk == 1:
            return data
        import cv2
        import numpy as np

        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        x, y, width, height = box
        pixels = np.asarray(decoded)[y : y + height, x : x + width]
        if shrunk != 1:
            size = max(1, round(width / shrunk)), max(1, round(height / shrunk))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        return cv2.imencode(".png", pixels)[1].tobytes()

    def _run(self, action: str, argument: object) -> Any:
        """Run one action of the script in the page."""
        return self._driver.execute_script(f"return ({browser.script(action)})(arguments[0])", [action, argument])

    def _in_a_frame(self) -> bool:
        return bool(self._driver.execute_script("return window !== window.top"))

    def _masked(self, shot: Shot) -> Shot:
        """Return the capture with the masked elements as ignore areas."""
        rectangles: list[browser.Rectangle] = []
        self._unmatched = []
        for mask in self._settings.mask:
            elements = self._located(mask)
            if not elements:
                self._unmatched.append(_shown(mask))
            found = self._run("boxes", {"elements": elements, "what": mask.what})
            if None in found:
                raise CaptureError(
                    f"mask {_shown(mask)}: the element is in a frame of another origin, where its position is unknown; "
                    "mask the frame itself"
                )
            rectangles += map(tuple, found)
        return replace(shot, ignore=browser.masked(rectangles, shot)) if rectangles else shot

    def _located(self, mask: MaskedElements) -> Sequence[Any]:
        selector = mask.selector
        if isinstance(selector, str):
            is_path = selector.startswith(("//", "xpath="))
            found: Sequence[Any] = self._driver.find_elements(
                "xpath" if is_path else "css selector", selector.removeprefix("xpath=")
            )
            return found
        if not _is_element(selector):
            raise CaptureError(f"mask {_shown(mask)}: pass a selector or an element of Selenium")
        if selector.parent.session_id != self._driver.session_id:
            raise CaptureError(f"mask {_shown(mask)}: this element belongs to another browser")
        return [selector]

    @contextmanager
    def _in_words(self) -> Generator[None]:
        """Return a one-line message for an error of Selenium or of the connection to its driver."""
        words = None
        try:
            yield
        except CaptureError:
            raise
        except Exception as error:
            package = type(error).__module__.partition(".")[0]
            if package not in {"selenium", "urllib3"} and not isinstance(error, OSError):
                raise
            words = self._words(error)
        if words is not None:
            raise CaptureError(words) from None

    def _words(self, error: Exception) -> str:
        text = str(getattr(error, "msg", None) or error)
        told = f"{type(error).__module__} {type(error).__name__} {text}"
        first_line = printable(text.partition("\n")[0])
        return f"{self.target}: {next((words for sign, words in _REFUSALS if sign in told), first_line)}"


def _common(one: Any, other: Any) -> Any:
    """Return the intersection of two rectangles; None if it is empty."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = min(one[0] + one[2], other[0] + other[2]), min(one[1] + one[3], other[1] + other[3])
    return (left, top, right - left, bottom - top) if left < right and top < bottom else None


def _outward(box: browser.Rectangle) -> browser.Rectangle:
    """Return the whole CSS pixels that a rectangle touches."""
    left, top = math.floor(box[0]), math.floor(box[1])
    return left, top, math.ceil(box[0] + box[2]) - left, math.ceil(box[1] + box[3]) - top


def _shown(mask: MaskedElements) -> str:
    if isinstance(mask.selector, str):
        return printable(mask.selector)
    return f"<{mask.selector.tag_name}>" if _is_element(mask.selector) else printable(repr(mask.selector))


def _is_element(target: Any) -> bool:
    """Whether it is an element; its class says so, as each attribute of a driver asks the browser."""
    return any(owner.__name__ == "WebElement" for owner in type(target).__mro__)
