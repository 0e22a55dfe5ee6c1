"""The images of failed comparisons, attached to the reports of pytest-html and Allure, if these are in use."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_imgdiff.base.errors import ImageAssertionError
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_imgdiff.base.record import ComparisonRecord

RECORDS = pytest.StashKey[list["ComparisonRecord"]]()
"""Comparisons of an item's test. If the test is rerun, only those of the last run."""
ATTACHED = ("expected", "actual", "mask", "thumb")
LARGEST = 8 << 20
"""Most bytes of an attached image; pytest-html embeds it in its page."""


class Attachment(NamedTuple):
    """One image.

    Attributes:
        name: ``tests/test_page.py::test_it: actual``.
        kind: media type.
        extension: file extension without the dot.
        content: bytes of the image.
    """

    name: str
    kind: str
    extension: str
    content: bytes


def show_in_words(report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Show a failed comparison as its message without a traceback, and its numbers in the short summary."""
    if call.excinfo is None or not report.failed or not isinstance(call.excinfo.value, ImageAssertionError):
        return
    shown = call.excinfo.getrepr(style="value", chain=False)
    if shown.reprcrash is not None:
        shown.reprcrash.message = call.excinfo.value.summary
    report.longrepr = shown


def attach(item: pytest.Item, report: pytest.TestReport, directory: Path) -> None:
    """Attach the images of the item's failed comparisons to the reports that this run writes.

    Args:
        item: the item whose test has finished.
        report: of that test; pytest-html's extras are added to it and sent to the process that writes the page.
        directory: the folder of the imgdiff report.
    """
    takers = [taker for taker in (_of_pytest_html(item.config, report), _of_allure(item.config)) if taker is not None]
    if takers:
        for attachment in _attachments(item.stash.get(RECORDS, []), directory):
            for take in takers:
                take(attachment)


def _attachments(records: list[ComparisonRecord], directory: Path) -> Iterator[Attachment]:
    from pytest_imgdiff.report.html_data import media_type, picture_path  # slow, and needed by few runs

    for record in records:
        if record.passed:
            continue
        for picture in ATTACHED:
            path = picture_path(record, picture) if picture in record.artefacts else ""
            kind = media_type(path)
            if kind is not None and (content := _content(directory / path)) is not None:
                yield Attachment(visible(f"{record.name}: {picture}"), kind, path.rpartition(".")[2].lower(), content)


def _content(path: Path) -> bytes | None:
    """Return the content of the file; None if it is unreadable, which must not affect the test's outcome."""
    try:
        content = read_regular(path, LARGEST + 1)
    except OSError:
        return None
    return content if len(content) <= LARGEST else None


def _of_pytest_html(config: pytest.Config, report: pytest.TestReport) -> Callable[[Attachment], None] | None:
    if not config.pluginmanager.hasplugin("html") or not config.getoption("htmlpath", None):
        return None
    from pytest_html import extras

    def take(attachment: Attachment) -> None:
        # For files, pytest-html builds names from the test's name; bytes are always attached correctly.
        text = b64encode(attachment.content).decode("ascii")
        shown = extras.image(text, attachment.name, attachment.kind, attachment.extension)
        report.extras = [*getattr(report, "extras", []), shown]  # type: ignore[attr-defined]  # where it looks for them

    return take


def _of_allure(config: pytest.Config) -> Callable[[Attachment], None] | None:
    if not config.pluginmanager.hasplugin("allure_listener"):
        return None
    import allure

    def take(attachment: Attachment) -> None:
        allure.attach(attachment.content, attachment.name, attachment.kind, attachment.extension)

    return take
