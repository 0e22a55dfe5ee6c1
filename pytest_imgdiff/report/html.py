"""The HTML report: the page, the plain page without scripts, what their templates draw, and all of it as one file."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from itertools import accumulate, count, islice
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import msgspec

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.lines import Lines, OnDemand, Spool
from pytest_imgdiff.base.text import counted, thousands, visible
from pytest_imgdiff.report.files import Staged, replace_derived, replace_file
from pytest_imgdiff.report.html_data import (
    NO_COLUMN,
    PIECE,
    SHARD,
    Address,
    Change,
    Detail,
    Details,
    LinkedPictures,
    PieceBuilder,
    Row,
    RunData,
    Waiting,
    companions_of,
    data_address,
    detail_of,
    literal,
    receiving,
    row_of,
    same_change,
    write_companions,
)
from pytest_imgdiff.report.records import Chosen, Outcome, in_order, overview_of
from pytest_imgdiff.report.templates import ASSETS, Templates, asset_bytes, asset_text
from pytest_imgdiff.report.words import (
    VERDICTS,
    counts,
    incompleteness,
    redrawn_line,
    rename_line,
    settings_words,
    summary_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord
    from pytest_imgdiff.report.html_data import Pictures

RUN_DIGITS = 16
_ROWS = b'"rows":[]'
"""Where the rows go in the data. Inside a JSON string the quotation marks would be escaped."""


class Drawn(NamedTuple):
    """The row and the details of one comparison."""

    row: Row
    detail: Detail


def shards_of(drawn: Iterable[Drawn]) -> Iterator[list[Drawn]]:
    """Yield up to `SHARD` drawn comparisons at a time."""
    left = iter(drawn)
    while shard := list(islice(left, SHARD)):
        yield shard


def listed_initially(run: RunRecord, piece: int) -> int:
    """Return how many comparisons the page lists at first. The others passed and are in pieces.

    The page lists all failures and warnings, and at least as many comparisons as a piece holds. It lists all
    comparisons of merged runs, because the results of one name are shown together.
    """
    total = len(run.comparisons)
    if run.columns:
        return total
    outcomes = overview_of(run.comparisons).outcomes
    return min(total, max(outcomes["failed"] + outcomes["warned"], piece))


def details_script(number: int, shard: Iterable[Drawn]) -> bytes:
    """Return the script that passes the details of a shard to the page."""
    return receiving("details", Details(number, [each.detail for each in shard]))


def drawn_of(run: RunRecord, pictures: Pictures) -> Iterator[Drawn]:
    """Draw the comparisons in the order of the list.

    Raises:
        ReportError: an image path leads out of the report's folder.
    """
    numbers = {column: index for index, column in enumerate(run.columns)}
    changes = same_change(_fingerprints(run.comparisons))
    for record in in_order(run.comparisons):
        column = numbers.get(record.column or "", NO_COLUMN)
        change = None if record.fingerprint is None else changes.get(record.fingerprint)
        yield Drawn(row_of(record, column, change, pictures), detail_of(record, pictures))


def _fingerprints(records: Sequence[ComparisonRecord]) -> Iterator[str]:
    marked = Chosen(records, overview_of(records).marked)
    return (record.fingerprint for record in marked if record.fingerprint is not None)


class RunScript:
    """The script that passes the list to the page. Rows are stored on disk as they are added.

    Args:
        run: the run.
        view: its page.
    """

    def __init__(self, run: RunRecord, view: PageView) -> None:
        self._run = run
        self._view = view
        self._rows = Spool()
        self._changes: Counter[str] = Counter()
        self._pieces: list[list[Waiting]] = []

    def add(self, row: Row) -> None:
        """Store the next row.

        Raises:
            ReportError: the disk is full.
        """
        self._rows.append(literal(row))
        if row.change is not None:
            self._changes[row.change] += 1

    def add_piece(self, waiting: list[Waiting]) -> None:
        """Add the contents of the next piece."""
        self._pieces.append(waiting)

    def close(self) -> None:
        """Delete the stored rows."""
        self._rows.close()

    def content(self) -> Iterator[bytes]:
        """Yield the script."""
        before, _, after = receiving("run", self._data()).partition(_ROWS)
        yield before + _ROWS[:-1]
        for index, row in enumerate(self._rows):
            yield b"," + row if index else row
        yield _ROWS[-1:] + after

    def _data(self) -> RunData:
        view = self._view
        return RunData(
            run=self._run.run or _inline_name(self._run),
            title=view.title,
            headline=view.headline,
            summary=view.summary,
            outcome=view.outcome,
            columns=list(view.columns),
            rows=[],
            total=len(self._run.comparisons),
            pieces=self._pieces,
            changes=[Change(name, size) for name, size in self._changes.most_common() if size > 1],
        )


def _inline_name(run: RunRecord) -> str:
    """Return an identifier for a run without a name: a hash of its results."""
    found = ((record.name, record.verdict, record.actual and record.actual.digest) for record in run.comparisons)
    return hashlib.sha256(repr(list(found)).encode("utf-8", "surrogatepass")).hexdigest()[:RUN_DIGITS]


HEADINGS: dict[Outcome, str] = {"failed": "Failed", "warned": "Passed with a warning", "passed": "Passed"}


class PlainRow(NamedTuple):
    """A comparison: its row of the list, and the label and URL of each image."""

    row: Row
    pictures: list[tuple[str, Address]]


_PLAIN_ROW = msgspec.json.Decoder(PlainRow)


class PlainRows(OnDemand[PlainRow]):
    """Stored rows, read when the template needs them."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    def item(self, number: int) -> PlainRow:
        """Read a row."""
        return _PLAIN_ROW.decode(self._lines[number])


@dataclass(frozen=True, slots=True)
class PlainGroup:
    """The comparisons of one outcome."""

    outcome: Outcome
    heading: str
    rows: Sequence[PlainRow]
    count: int
    """Number of comparisons; `rows` has the first `MOST_PLAIN`."""


MOST_PLAIN = 10_000
"""Most comparisons of one outcome in ``plain.html``: browsers lay out a whole table before they show it."""


class PlainGroups:
    """The comparisons by outcome, stored on disk as they are added."""

    def __init__(self) -> None:
        self._spools: dict[Outcome, Spool] = {outcome: Spool() for outcome in HEADINGS}
        self._counts: Counter[Outcome] = Counter()

    def add(self, drawn: Drawn) -> None:
        """Store the next comparison.

        Raises:
            ReportError: the disk is full.
        """
        outcome = drawn.row.outcome
        self._counts[outcome] += 1
        if self._counts[outcome] > MOST_PLAIN:
            return
        detail = drawn.detail
        pictures = [(figure.key.replace("_", " "), figure.href) for figure in detail.figures]
        pictures += [
            (f"{frame.words} {figure.key.replace('_', ' ')}", figure.href)
            for frame in detail.frames
            if frame.frame != detail.frame
            for figure in frame.figures
        ]
        self._spools[outcome].append(msgspec.json.encode(PlainRow(drawn.row, pictures)))

    def close(self) -> None:
        """Delete the stored comparisons."""
        for spool in self._spools.values():
            spool.close()

    def groups(self) -> list[PlainGroup]:
        """Return the groups that are not empty, failures first."""
        found = ((outcome, self._spools[outcome]) for outcome in HEADINGS)
        return [
            PlainGroup(outcome, HEADINGS[outcome], PlainRows(spool), self._counts[outcome])
            for outcome, spool in found
            if spool
        ]


OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class FilterView:
    """The number of comparisons with one outcome or verdict."""

    facet: Literal["outcome", "verdict"]
    key: str
    count: str


@dataclass(frozen=True, slots=True)
class PageView:
    """Everything on a page except its comparisons. All strings are safe to show.

    Attributes:
        outcome: ``failed`` also if nothing was compared or the run is incomplete.
        incompleteness: what is missing from an incomplete run; None for a complete run.
        redrawn: the message that another font renderer explains most failures; None if it does not.
        unrecorded: collected pairs and tests that did not finish.
        total: number of comparisons in the run.
        filters: outcomes and verdicts that occur.
        renames: baselines that probably belong to renamed tests, one line each.
        not_compared: what the scans did not compare, one line each.
        columns: the runs that were merged into this one.
        self_contained: whether the page is a single file and has nothing to link to.
    """

    title: str
    outcome: Literal["failed", "passed"]
    headline: str
    summary: str
    incompleteness: str | None
    redrawn: str | None
    unrecorded: tuple[str, ...]
    total: int
    filters: tuple[FilterView, ...]
    columns: tuple[str, ...]
    unused_baselines: tuple[str, ...]
    renames: tuple[str, ...]
    not_compared: tuple[str, ...]
    tool: str
    packages: tuple[tuple[str, str], ...]
    settings: str
    self_contained: bool


def page_view(run: RunRecord, *, self_contained: bool = False) -> PageView:
    """Return the page of a run."""
    failed = overview_of(run.comparisons).outcomes["failed"]
    passed = run.comparisons and not failed and run.complete
    return PageView(
        title=visible(run.title),
        outcome="passed" if passed else "failed",
        headline=_headline(run, failed),
        summary=summary_line(run),
        incompleteness=None if run.complete else incompleteness(run),
        redrawn=redrawn_line(run),
        unrecorded=tuple(visible(name) for name in run.unrecorded),
        total=len(run.comparisons),
        filters=_filters(run),
        columns=tuple(visible(column) for column in run.columns),
        renames=tuple(map(rename_line, run.renames)),
        unused_baselines=tuple(visible(name) for name in run.unused_baselines),
        not_compared=tuple(visible(line) for line in run.not_compared),
        tool=visible(f"{run.tool.name} {run.tool.version}"),
        packages=tuple((visible(name), visible(version)) for name, version in sorted(run.tool.packages.items())),
        settings=settings_words(run),
        self_contained=self_contained,
    )


def _headline(run: RunRecord, failed: int) -> str:
    total = len(run.comparisons)
    if not total:
        return "No image was compared"
    if failed:
        return f"{thousands(failed)} of {counted(total, 'comparison')} failed"
    passed = f"{counted(total, 'comparison')} passed"
    return passed if run.complete else f"{passed}, others did not run"


def _filters(run: RunRecord) -> tuple[FilterView, ...]:
    outcomes = overview_of(run.comparisons).outcomes
    verdicts = counts(run)
    return (
        *(FilterView("outcome", key, thousands(outcomes[key])) for key in OUTCOMES if outcomes[key]),
        *(FilterView("verdict", key, thousands(verdicts[key])) for key in VERDICTS if verdicts[key]),
    )


PAGE = "index.html"
PAGE_TEMPLATE = "report.html.j2"
PLAIN_PAGE = "plain.html"
PLAIN_TEMPLATE = "plain.html.j2"
SERVERS_OWN = ("live", "upload")
"""Prefixes of assets that only `pytest-imgdiff serve` uses."""
DATA = "data"
RUN_SCRIPT = f"{DATA}/run.js"


def write_page(directory: Path, run: RunRecord, *, templates: Path | None = None, piece: int = PIECE) -> Path:
    """Write the report of the run: ``index.html``, ``plain.html``, ``assets`` and ``data``.

    The page works from ``file://`` and refers only to files in its folder. ``plain.html`` shows up to `MOST_PLAIN`
    comparisons of each outcome without scripts. Passed comparisons of a large run are in pieces that the page loads on
    demand. The images that the records name must be in the directory. Images of failures are also written as scripts,
    so that the page can read their pixels. All files are moved into place together after everything is written,
    ``index.html`` last. Rows and details are stored on disk meanwhile, so memory does not grow with the run.

    Args:
        directory: the report's folder; created if missing.
        run: the run to report.
        templates: a folder of the user's own templates and assets, see `Templates`.
        piece: how many passed comparisons one piece holds.

    Returns:
        The path of the page.

    Raises:
        ReportError: a file cannot be written, an image path leads out of the folder, or a user's template has an error
            (the message names its file and line).
    """
    shelf = Templates(templates)
    view = page_view(run)
    page = shelf.rendered(PAGE_TEMPLATE, page=view)
    assets = {name: asset_bytes(path) for name, path in shelf.assets().items() if not name.startswith(SERVERS_OWN)}
    companions = companions_of(directory, in_order(run.comparisons))
    with Staged() as staged, ThreadPoolExecutor(1, thread_name_prefix="imgdiff-report") as background:
        # It mostly waits for the disk, so it runs in parallel with the rest.
        copying = background.submit(write_companions, directory, companions)
        pictures = LinkedPictures(companions, directory, run.root)
        written = _draw(staged, directory, run, view, pictures, shelf, piece)
        copying.result()
        for name, asset in assets.items():
            replace_derived(directory / ASSETS / name, asset)
        staged.put()
    _remove_others(directory / DATA, written)
    return replace_file(directory / PAGE, page.encode())


def _draw(
    staged: Staged,
    directory: Path,
    run: RunRecord,
    view: PageView,
    pictures: LinkedPictures,
    shelf: Templates,
    piece: int,
) -> set[str]:
    """Write all comparisons and return the names of their files in `DATA`."""
    written: list[str] = []

    def write(name: str, script: bytes) -> None:
        staged.write(directory / DATA / name, [script])
        written.append(name)

    with closing(RunScript(run, view)) as script, closing(PlainGroups()) as plain:
        drawn = drawn_of(run, pictures)
        for number, shard in enumerate(shards_of(islice(drawn, listed_initially(run, piece)))):
            write(f"details-{number}.js", details_script(number, shard))
            for each in shard:
                script.add(each.row)
                plain.add(each)
        for number in count():
            waiting = PieceBuilder(number)
            for each in islice(drawn, piece):
                waiting.add(each.row, each.detail)
                plain.add(each)
            if not len(waiting):
                break
            write(f"piece-{number}.js", receiving("piece", waiting.piece()))
            script.add_piece(waiting.waiting())
        staged.write(directory / RUN_SCRIPT, script.content())
        staged.write(directory / PLAIN_PAGE, shelf.drawn(PLAIN_TEMPLATE, page=view, groups=plain.groups()))
    return set(written)


def _remove_others(folder: Path, written: set[str]) -> None:
    """Remove data files of an earlier, larger report."""
    for path in [*folder.glob("details-*.js"), *folder.glob("piece-*.js")]:
        if path.name not in written:
            with suppress(OSError):  # no page refers to it
                path.unlink()


# ---- The report as one file: styles, scripts, data and pictures inside


_LOCAL_SOURCES = frozenset({"'self'", "file:"})
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
        kept = [source for source in sources if source not in _LOCAL_SOURCES] + inside.get(name, [])
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
