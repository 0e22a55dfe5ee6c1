"""The pictures of failed comparisons, attached to the reports of pytest-html and Allure where these are made."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_imgdiff.base.errors import ImageAssertionError
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.text import visible
from pytest_imgdiff.report.html_data import media_type, picture_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_imgdiff.base.record import ComparisonRecord

RECORDS = pytest.StashKey[list["ComparisonRecord"]]()
"""Of an item: what its test compared so far; of a test that is run again, in its last run only."""
ATTACHED = ("expected", "actual", "mask", "thumb")
LARGEST = 8 << 20
"""Bytes of a picture; pytest-html keeps them in the page's own text."""


class Attachment(NamedTuple):
    """One picture.

    Attributes:
        name: ``tests/test_page.py::test_it: actual``.
        kind: its media type.
        extension: of its file, without the dot.
        content: its bytes.
    """

    name: str
    kind: str
    extension: str
    content: bytes


def show_in_words(report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Show a failed comparison by its message, without a traceback, and in the short summary by its numbers."""
    if call.excinfo is None or not report.failed or not isinstance(call.excinfo.value, ImageAssertionError):
        return
    shown = call.excinfo.getrepr(style="value", chain=False)
    if shown.reprcrash is not None:
        shown.reprcrash.message = call.excinfo.value.summary
    report.longrepr = shown


def attach(item: pytest.Item, report: pytest.TestReport, directory: Path) -> None:
    """Attach the pictures of the item's failed comparisons to whichever reports this run makes.

    Args:
        item: whose test has just run.
        report: of that run; pytest-html's extras are added to it, and go to the process that writes the page.
        directory: the folder of our own report.
    """
    takers = [taker for taker in (_of_pytest_html(item.config, report), _of_allure(item.config)) if taker is not None]
    if takers:
        for attachment in _attachments(item.stash.get(RECORDS, []), directory):
            for take in takers:
                take(attachment)


def _attachments(records: list[ComparisonRecord], directory: Path) -> Iterator[Attachment]:
    for record in records:
        if record.passed:
            continue
        for picture in ATTACHED:
            path = picture_path(record, picture) if picture in record.artefacts else ""
            kind = media_type(path)
            if kind is not None and (content := _content(directory / path)) is not None:
                yield Attachment(visible(f"{record.name}: {picture}"), kind, path.rpartition(".")[2].lower(), content)


def _content(path: Path) -> bytes | None:
    """Return what is in the file; None where it cannot be read: the test's own outcome counts more than its picture."""
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
        # Its page names files beside it by the test's name; bytes it puts where they belong, in or beside the page.
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
