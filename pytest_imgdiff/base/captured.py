"""What is known of a captured page besides its pixels, as data and as JSON."""

from __future__ import annotations

import msgspec


class Element(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """The element under a region of a captured page."""

    path: str
    """A short CSS selector: ``nav > a.badge``."""
    role: str | None = None
    """Its accessible role: ``link``."""
    name: str | None = None
    """Its accessible name."""
    text: str | None = None
    """The first words of its text."""


class CaptureInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """How an image was captured."""

    target: str
    """The name of the target: ``Playwright page``, ``Matplotlib figure``."""
    attempts: int = 1
    """The number of captures until two were equal, or one matched the baseline."""
    steady: bool = True
    """Whether the first capture matched, or was equal to the second."""
    url: str | None = None
    title: str | None = None
    viewport: tuple[int, int] | None = None
    """Width and height in CSS pixels."""
    device_scale: float | None = None
    """Screen pixels per CSS pixel."""
    browser: str | None = None
    browser_version: str | None = None
    color_scheme: str | None = None
    """``light`` or ``dark``, as the page sees it."""
    unmatched_masks: list[str] = []
    """The selectors of ``mask`` that matched no element in the last capture."""
    attachments: dict[str, str] = {}
    """Files with more information by type (``trace``, ``video``): paths with forward slashes, relative to the root, or
    absolute if they are outside of it."""
