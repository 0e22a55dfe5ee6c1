"""The report as one HTML file: styles, scripts, data and pictures inside."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff.report.companions import data_address
from pytest_imgdiff.report.content import RunScript, details_script, shards_of
from pytest_imgdiff.report.files import replace_file
from pytest_imgdiff.report.inlining import inlined
from pytest_imgdiff.report.page import PAGE_TEMPLATE, RUN_SCRIPT
from pytest_imgdiff.report.script import literal
from pytest_imgdiff.report.templates import ASSETS, Templates, asset_text
from pytest_imgdiff.report.view import page_view

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.record import RunRecord
    from pytest_imgdiff.report.view import PageView

SELF_CONTAINED_PAGE = "report.html"


class InlinedPictures:
    """Pictures that are part of the page: each stands once in a list, and is named by its place there.

    Args:
        directory: what the pictures' paths start from.
    """

    def __init__(self, directory: Path) -> None:
        self.list: list[str] = []
        """The pictures as ``data:`` addresses."""
        self._directory = directory
        self._by_path: dict[str, msgspec.Raw | None] = {}
        self._by_content: dict[bytes, msgspec.Raw] = {}

    def address(self, path: str) -> msgspec.Raw | None:
        """Return the expression that is the picture's address; None where there is no such picture."""
        if path not in self._by_path:
            self._by_path[path] = self._stored(path)
        return self._by_path[path]

    def pixels(self, path: str) -> None:
        """Return None: a page may read the pictures that it holds itself."""

    def attachment(self, path: str) -> None:
        """Return None: the page is sent alone."""

    def _stored(self, path: str) -> msgspec.Raw | None:
        address = data_address(self._directory, path)
        if address is None:
            return None
        picture = b"".join(address)
        content = hashlib.sha256(picture).digest()
        if content not in self._by_content:
            self._by_content[content] = msgspec.Raw(b"pictures[%d]" % len(self.list))
            self.list.append(picture.decode("ascii"))
        return self._by_content[content]


def write_self_contained(directory: Path, run: RunRecord, *, templates: Path | None = None) -> Path:
    """Draw the run as one file, ``report.html``, that can be sent and opened alone.

    It is the same page as `pytest_imgdiff.report.page.write_page` draws. What its template links from ``assets`` is
    put inside, and so are the pictures that the records name and that are there, each once. What takes the place of
    the template's Content-Security-Policy allows the scripts and styles inside by their hashes, and nothing else.

    Args:
        directory: the report's folder, with the pictures.
        run: what to draw.
        templates: a folder of the user's own templates and assets, see `Templates`.

    Returns:
        The path of the file.

    Raises:
        ReportError: as `write_page`; or the page links a script or a style that is no asset.
    """
    shelf = Templates(templates)
    view = page_view(run, self_contained=True)
    pictures = InlinedPictures(directory)
    receivers = _receivers(run, view, pictures)
    page = shelf.rendered(PAGE_TEMPLATE, page=view)
    assets = {f"{ASSETS}/{name}": path for name, path in shelf.assets().items()}

    def text_of(address: str) -> str | None:
        if address == RUN_SCRIPT:
            return _script(pictures.list, receivers)
        return asset_text(assets[address]) if address in assets else None

    return replace_file(directory / SELF_CONTAINED_PAGE, inlined(page, text_of).encode())


def _receivers(run: RunRecord, view: PageView, pictures: InlinedPictures) -> list[bytes]:
    """Draw the comparisons and return the scripts that hand them to the page: first the list, then its details."""
    details = []
    with closing(RunScript(run, view)) as script:
        for number, shard in enumerate(shards_of(run, pictures)):
            details.append(details_script(number, shard))
            for drawn in shard:
                script.add(drawn.row)
        return [b"".join(script.content()), *details]


def _script(pictures: list[str], receivers: list[bytes]) -> str:
    """Return one script that hands all data to the page, with the pictures at hand."""
    parts = [b"(() => {\nconst pictures = ", literal(pictures), b";\n", *receivers, b"})();\n"]
    return b"".join(parts).decode()
