"""The report as one HTML file: styles, scripts, data and images inside."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from contextlib import closing
from html import escape
from html.parser import HTMLParser
from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.text import visible
from pytest_imgdiff.report.files import replace_file
from pytest_imgdiff.report.html import (
    PAGE_TEMPLATE,
    RUN_SCRIPT,
    RunScript,
    details_script,
    drawn_of,
    page_view,
    shards_of,
)
from pytest_imgdiff.report.html_data import data_address, literal
from pytest_imgdiff.report.templates import ASSETS, Templates, asset_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_imgdiff.base.record import RunRecord
    from pytest_imgdiff.report.html import PageView


BESIDE = frozenset({"'self'", "file:"})
"""Sources of a policy that mean files next to the page."""
ENDS_SCRIPT = re.compile(r"<(?=/script|!--)", re.IGNORECASE)
"""Text that would end a script or start a comment in it (HTML, "Restrictions for contents of script elements")."""
ENDS_STYLE = re.compile(r"<(?=/style)", re.IGNORECASE)


def inlined(page: str, text_of: Callable[[str], str | None]) -> str:
    """Return the page with its linked files embedded, and with a policy that allows only these.

    Scripts move to the end of the body in their order, so that they run after the page is parsed, like deferred ones.

    Args:
        page: HTML, with ``<link rel="stylesheet" href=...>`` and ``<script src=... defer></script>``.
        text_of: returns the style or script at a URL; None if there is none.

    Raises:
        ReportError: the page links a style or script that does not exist.
    """
    links = _Links(page, text_of)
    pieces = [*links.styles]
    if links.policy is not None:
        start, end, policy = links.policy
        pieces.append((start, end, _policy(links, policy)))
    pieces += [(start, end, "") for start, end in links.removed]
    scripts = "".join(f"<script>{text}</script>\n" for text in links.script_texts)
    pieces.append((links.body_end, links.body_end, scripts))
    parts, at = [], 0
    for start, end, piece in sorted(pieces):
        parts += [page[at:start], piece]
        at = end
    return "".join([*parts, page[at:]])


class _Links(HTMLParser):
    """Positions in a page where styles and scripts are linked.

    Attributes:
        policy: start and end of the element with the Content-Security-Policy, and the policy; None without one.
        styles: start and end of each linked style, and what takes its place.
        style_texts, script_texts: the embedded contents.
        removed: start and end of each linked script.
        body_end: end of the body.
    """

    def __init__(self, page: str, text_of: Callable[[str], str | None]) -> None:
        super().__init__()
        self.policy: tuple[int, int, str] | None = None
        self.styles: list[tuple[int, int, str]] = []
        self.style_texts: list[str] = []
        self.script_texts: list[str] = []
        self.removed: list[tuple[int, int]] = []
        self.body_end = len(page)
        self._page = page
        self._text_of = text_of
        self._lines = [0, *accumulate(len(line) + 1 for line in page.split("\n"))]
        self._script: int | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        start = self._at()
        end = start + len(self.get_starttag_text() or "")
        if tag == "meta" and given.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = (start, end, given.get("content", ""))
        elif tag == "link" and given.get("rel", "").lower() == "stylesheet":
            text = ENDS_STYLE.sub(r"\\3c ", self._text(given.get("href", "")))
            self.style_texts.append(text)
            media = f' media="{escape(given["media"])}"' if "media" in given else ""
            self.styles.append((start, end, f"<style{media}>{text}</style>"))
        elif tag == "script" and "src" in given:
            self.script_texts.append(ENDS_SCRIPT.sub(r"\\x3c", self._text(given["src"])))
            self._script = start

    def handle_endtag(self, tag: str) -> None:
        start = self._at()
        if tag == "script" and self._script is not None:
            self.removed.append((self._script, self._page.index(">", start) + 1))
            self._script = None
        elif tag == "body":
            self.body_end = start

    def _at(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def _text(self, address: str) -> str:
        text = self._text_of(address)
        if text is None:
            raise ReportError(
                f"the page links {visible(address)!r}, which is not an asset and cannot be embedded; "
                "put the file into the folder `assets` of your templates"
            )
        return text


def _policy(links: _Links, policy: str) -> str:
    """Return the page's policy with hashes of the embedded contents instead of linked files."""
    inside = {"style-src": _hashes(links.style_texts), "script-src": _hashes(links.script_texts)}
    directives = []
    for directive in policy.split(";"):
        name, *sources = directive.split() or [""]
        kept = [source for source in sources if source not in BESIDE] + inside.get(name, [])
        directives.append(" ".join([name, *(kept or ["'none'"])]))
    content = escape("; ".join(directives), quote=False)
    return f'<meta http-equiv="Content-Security-Policy" content="{content}">'


def _hashes(texts: Sequence[str]) -> list[str]:
    """Return the sources that allow these texts (Content Security Policy Level 3, 2.3.1)."""
    digests = (b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return [f"'sha256-{digest}'" for digest in digests]


SELF_CONTAINED_PAGE = "report.html"


class InlinedPictures:
    """Images embedded in the page: each is in a list once, and is referred to by its index.

    Args:
        directory: base of the images' paths.
    """

    def __init__(self, directory: Path) -> None:
        self.list: list[str] = []
        """The images as ``data:`` URLs."""
        self._directory = directory
        self._by_path: dict[str, msgspec.Raw | None] = {}
        self._by_content: dict[bytes, msgspec.Raw] = {}

    def address(self, path: str) -> msgspec.Raw | None:
        """Return the JavaScript expression for the image's URL; None if there is no such image."""
        if path not in self._by_path:
            self._by_path[path] = self._stored(path)
        return self._by_path[path]

    def pixels(self, path: str) -> None:
        """Return None: a page may read its embedded images."""

    def attachment(self, path: str) -> None:
        """Return None: a single file has nothing to link to."""

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
    """Write the report as one file, ``report.html``, that can be sent and opened alone.

    It is the same page that `pytest_imgdiff.report.html.write_page` writes. Assets that the template links are
    embedded, and so are existing images of the records, each once. The Content-Security-Policy of the template is
    replaced by one that allows only the embedded scripts and styles, by their hashes.

    Args:
        directory: the report's folder, with the images.
        run: the run to report.
        templates: a folder of the user's own templates and assets, see `Templates`.

    Returns:
        The path of the file.

    Raises:
        ReportError: as `write_page`; or the page links a script or style that is not an asset.
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
    """Return the scripts that pass the comparisons to the page: first the list, then its details."""
    details = []
    with closing(RunScript(run, view)) as script:
        for number, shard in enumerate(shards_of(drawn_of(run, pictures))):
            details.append(details_script(number, shard))
            for drawn in shard:
                script.add(drawn.row)
        return [b"".join(script.content()), *details]


def _script(pictures: list[str], receivers: list[bytes]) -> str:
    """Return one script that passes all data to the page, with the images in scope."""
    parts = [b"(() => {\nconst pictures = ", literal(pictures), b";\n", *receivers, b"})();\n"]
    return b"".join(parts).decode()
