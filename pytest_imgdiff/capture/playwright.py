"""Pages, frames and elements of Playwright, by its synchronous and its asynchronous API."""

from __future__ import annotations

import inspect
import re
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import MaskedElements, Shot
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.capture import browser
from pytest_imgdiff.capture.steady import at_once

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Sequence

    from pytest_imgdiff.base.captured import CaptureInfo, Element
    from pytest_imgdiff.base.geometry import Box
    from pytest_imgdiff.base.model import CaptureSettings

_OF_A_PAGE = frozenset(
    ("timeout", "full_page", "clip", "scale", "animations", "caret", "transparent", "style", "mask"),
)
_OF_AN_ELEMENT = _OF_A_PAGE - {"full_page", "clip"}
_NAMES = {"Page": "page", "Locator": "locator", "ElementHandle": "element", "Frame": "frame", "FrameLocator": "frame"}
_REFUSALS = (
    ("crashed", "the page crashed"),
    ("has been closed", "the page or its browser is closed; capture it before it is closed"),
    ("Connection closed", "the connection to the browser is closed; capture the page before it is closed"),
    (
        "Execution context was destroyed",
        "the page navigated during the capture; wait until it has, for example with page.wait_for_load_state()",
    ),
    ("not attached", "the element is no longer in the page"),
    ("Clipped area is either empty or outside", "clip is outside the captured image"),
)
"""Playwright's messages, and their meaning for the capture."""


def capturer(target: Any, settings: CaptureSettings) -> PlaywrightCapturer:
    """Return what captures a page, locator, element handle, frame or frame locator of Playwright."""
    return PlaywrightCapturer(target, settings)


class PlaywrightCapturer:
    """Captures by Playwright's own ``screenshot``; see `pytest_imgdiff.base.model.BrowserCapturer`.

    The same code serves both APIs: results of Playwright are awaited if possible (`_answer`). The methods return
    awaitables for the asynchronous API, and plain values for the synchronous one.
    """

    live = True

    def __init__(self, target: Any, settings: CaptureSettings) -> None:
        kind = next(owner.__name__ for owner in type(target).__mro__ if owner.__name__ in _NAMES)
        if kind == "Frame" and target.parent_frame is None:
            target, kind = target.page, "Page"
        self.target: str = f"Playwright {_NAMES[kind]}"
        self.awaits: bool = type(target).__module__.startswith("playwright.async_api")
        self.follows: frozenset[str] = _OF_A_PAGE if kind == "Page" else _OF_AN_ELEMENT
        self._target = target
        self._kind = kind
        self._settings = settings
        self._page: Any = None
        self._element: Any = None
        self._found: dict[str, Any] = {}
        self._unmatched: list[str] = []

    def capture(self) -> Shot | Awaitable[Shot]:
        """Capture the target as it is now: a `Shot` with PNG bytes.

        Raises:
            CaptureError: it cannot be captured.
        """
        shot: Shot | Awaitable[Shot] = self._given(self._capture())
        return shot

    def pause(self, seconds: float) -> Awaitable[None] | None:
        """Wait while Playwright continues its work."""
        paused: Awaitable[None] | None = self._given(self._pause(seconds))
        return paused

    def info(self) -> CaptureInfo | Awaitable[CaptureInfo]:
        """Return metadata of the page from the last capture, or its current metadata if there was none."""
        known: CaptureInfo | Awaitable[CaptureInfo] = self._given(self._info())
        return known

    async def _info(self) -> CaptureInfo:
        if not self._found:
            with self._in_words():
                await self._find()
                self._found = await self._run("info", None)
        page_browser = self._page.context.browser
        kind = page_browser.browser_type.name if page_browser else "chromium"  # a persistent context has no browser
        version = page_browser.version if page_browser else ""
        info = browser.info_from(self._found, self.target, kind, version, self._unmatched)
        return msgspec.structs.replace(info, attachments=await self._attachments())

    def elements(
        self, shot: Shot, boxes: Sequence[Box]
    ) -> Sequence[Element | None] | Awaitable[Sequence[Element | None]]:
        """Return the element under each box."""
        found: Sequence[Element | None] | Awaitable[Sequence[Element | None]]
        found = self._given(self._elements(shot, boxes))
        return found

    def restore(self) -> Awaitable[None] | None:
        """Restore what the captures changed in the page."""
        restored: Awaitable[None] | None = self._given(self._restore())
        return restored

    def _given(self, steps: Any) -> Any:
        return steps if self.awaits else at_once(steps)

    async def _capture(self) -> Shot:
        with self._in_words():
            await self._find()
            settings, is_page = self._settings, self._kind == "Page"
            argument = browser.preparation(settings, is_page=is_page, by_script=False)
            self._found = await self._prepared(argument)
            options: dict[str, Any] = {
                "type": "png",
                "timeout": max(1.0, settings.timeout * 1000),
                "animations": settings.animations,
                "caret": settings.caret,
                "scale": settings.scale,
                "omit_background": settings.transparent,
            }
            if settings.style:
                options["style"] = settings.style
            if is_page:
                return await self._of_page(options)
            return await self._of_element(options)

    async def _prepared(self, argument: dict[str, Any]) -> dict[str, Any]:
        """Run the script's action ``prepare``, as ``wait_for_function``: ``evaluate`` has no timeout of its own."""
        longest = self._settings.timeout + 1
        call = {"arg": ["prepare", argument], "timeout": longest * 1000, "polling": 100}
        try:
            handle = await _answer(self._page.wait_for_function(browser.script("prepare"), **call))
            found: dict[str, Any] = await _answer(handle.json_value())
        except Exception as error:
            if type(error).__name__ != "TimeoutError":
                raise
            raise CaptureError(
                f"{self.target}: the page did not respond within {longest:g} s; close its dialog, or check for an "
                "endless script"
            ) from None
        return found

    async def _find(self) -> None:
        """Find the page and, unless it is the target, the element."""
        if self._page is not None:
            return
        target = self._target
        if self._kind == "Page":
            self._page = target
        elif self._kind == "Locator":
            self._element, self._page = target, target.page
        elif self._kind == "FrameLocator":
            self._element, self._page = target.owner, target.owner.page
        elif self._kind == "Frame":
            self._element, self._page = await _answer(target.frame_element()), target.page
        else:
            frame = await _answer(target.owner_frame())
            if frame is None:
                raise CaptureError("the element is no longer in a frame; use a locator, or look it up again")
            self._element, self._page = target, frame.page

    async def _of_page(self, options: dict[str, Any]) -> Shot:
        settings, scale = self._settings, self._scale()
        clip = settings.clip
        if clip is not None:
            options["clip"] = {"x": clip.x, "y": clip.y, "width": clip.width, "height": clip.height}
        areas = await self._masked()
        data = await _answer(self._page.screenshot(**options, full_page=settings.full_page))
        if clip is None:
            if settings.full_page:
                browser.check_whole(data, self._found, scale)
        elif browser.is_cut(data, clip, scale):
            raise CaptureError(f"{self.target}: clip reaches beyond the page; make it smaller, or add full_page")
        left, top = (0.0, 0.0) if settings.full_page else self._found["scroll"]
        if clip is not None:
            left, top = left + clip.x, top + clip.y
        return _with_masks(Shot(data, origin=(left, top), scale=scale), areas)

    async def _of_element(self, options: dict[str, Any]) -> Shot:
        try:
            data = await _answer(self._element.screenshot(**options))
        except Exception as error:
            if type(error).__name__ != "TimeoutError":
                raise
            raise CaptureError(f"{self.target}: {await self._why_not_shown(str(error))}") from None
        areas = await self._masked()
        # The screenshot scrolled the element into view; its place is only known afterwards.
        box = await _answer(self._element.bounding_box())
        scroll = (await self._run("info", None))["scroll"]
        if box is None:
            raise CaptureError(f"the {_NAMES[self._kind]} was scrolled out of view during the capture")
        # Playwright captures whole CSS pixels, from the one in which the element begins.
        origin = (box["x"] + scroll[0]) // 1, (box["y"] + scroll[1]) // 1
        return _with_masks(Shot(data, origin=origin, scale=self._scale()), areas)

    def _scale(self) -> float:
        return float(self._found["deviceScale"]) if self._settings.scale == "device" else 1.0

    async def _run(self, action: str, argument: object) -> Any:
        """Run one action of the script in the page."""
        return await _answer(self._page.evaluate(browser.script(action), [action, argument]))

    async def _masked(self) -> list[browser.Rectangle]:
        """Return where the masked elements are, in CSS pixels of the document."""
        rectangles: list[browser.Rectangle] = []
        self._unmatched = []
        for mask in self._settings.mask:
            locator = self._located(mask)
            call = f"(elements, what) => ({browser.script('boxes')})(['boxes', {{elements, what}}])"
            try:
                found = await _answer(locator.evaluate_all(call, mask.what))
            except Exception as error:
                if "while parsing" not in str(error):
                    raise
                cause = str(error).partition("\n")[0].partition(": ")[2]
                raise CaptureError(f"mask {_shown(mask)}: {printable(cause)}") from None
            if None in found:
                raise CaptureError(
                    f"mask {_shown(mask)}: the element is in a frame of another origin, where its position is unknown; "
                    "mask the frame itself"
                )
            if not found:
                self._unmatched.append(_shown(mask))
            rectangles += map(tuple, found)
        return rectangles

    def _located(self, mask: MaskedElements) -> Any:
        selector = mask.selector
        if isinstance(selector, str):
            return self._page.locator(selector)
        owner = type(selector)
        if owner.__name__ != "Locator" or owner.__module__.partition(".")[0] != "playwright":
            raise CaptureError(f"mask {printable(repr(selector))}: pass a selector or a locator of Playwright")
        if selector.page != self._page:
            raise CaptureError(f"mask {_shown(mask)}: this locator belongs to another page")
        return selector

    async def _pause(self, seconds: float) -> None:
        with self._in_words():
            await _answer(self._page.wait_for_timeout(seconds * 1000))

    async def _elements(self, shot: Shot, boxes: Sequence[Box]) -> list[Element | None]:
        with self._in_words():
            return browser.elements_from(await self._run("elements", browser.in_document(boxes, shot)))

    async def _restore(self) -> None:
        if self._found.get("changed"):
            with self._in_words():
                await self._run("restore", None)

    async def _attachments(self) -> dict[str, str]:
        """Return the video of the page, if one is recorded."""
        video = self._page.video
        if video is None:
            return {}
        try:
            return {"video": str(await _answer(video.path()))}
        except Exception as error:  # a browser on another machine has its files there
            if not type(error).__module__.startswith("playwright"):
                raise
            return {}

    @contextmanager
    def _in_words(self) -> Generator[None]:
        """Return a one-line message for an error of Playwright."""
        cause: BaseException | None = None
        try:
            yield
        except Exception as error:
            if not type(error).__module__.startswith("playwright"):
                raise
            cause = error
            words = self._words(str(error))
        if cause is not None:
            raise CaptureError(words) from None

    def _words(self, message: str) -> str:
        if many := re.search(r"strict mode violation: (.*) resolved to (\d+) elements", message):
            words = f"{printable(many[1])} matches {many[2]} elements; make it match one, as with .first"
        else:
            first_line = printable(message.partition("\n")[0])
            words = next((words for sign, words in _REFUSALS if sign in message), first_line)
        return f"{self.target}: {words}"

    async def _why_not_shown(self, message: str) -> str:
        """Return why an element was not captured within the time."""
        label, waited = printable(_selector_of(self._target)), f"within {self._settings.timeout:g} s"
        is_locator = hasattr(self._element, "count")
        if is_locator and not await _answer(self._element.count()):
            return f"{label} matches no element {waited}"
        if not await _answer(self._element.is_visible()):
            return f"{label} has no size or is hidden, and did not become visible {waited}"
        if "not stable" in message:
            return f"{label} did not become stable {waited}"
        return f"{label} could not be captured {waited}: {printable(message.partition(chr(10))[0])}"


def _with_masks(shot: Shot, rectangles: list[browser.Rectangle]) -> Shot:
    return replace(shot, ignore=browser.masked(rectangles, shot)) if rectangles else shot


def _selector_of(target: Any) -> str:
    """Return a locator's description, without the frames around it."""
    shown = re.search(r"selector='(.*)'>$", str(target))
    return shown[1] if shown else "the element"


def _shown(mask: MaskedElements) -> str:
    return printable(mask.selector if isinstance(mask.selector, str) else _selector_of(mask.selector))


async def _answer(value: Any) -> Any:
    """Return the result of a call of Playwright, for both APIs."""
    return await value if inspect.isawaitable(value) else value
