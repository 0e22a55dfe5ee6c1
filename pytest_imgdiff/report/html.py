"""The HTML report: the page, the plain page without scripts, and what their templates draw."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import msgspec

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
    detail_of,
    literal,
    receiving,
    row_of,
    same_change,
    write_companions,
)
from pytest_imgdiff.report.records import Chosen, Outcome, in_order, overview_of
from pytest_imgdiff.report.templates import ASSETS, Templates, asset_bytes
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
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord
    from pytest_imgdiff.report.html_data import Pictures


RUN_DIGITS = 16
_ROWS = b'"rows":[]'
"""Where the rows stand in the data; within a JSON string the quotation marks would be escaped."""


class Drawn(NamedTuple):
    """What is shown of one comparison."""

    row: Row
    detail: Detail


def shards_of(drawn: Iterable[Drawn]) -> Iterator[list[Drawn]]:
    """Yield up to `SHARD` drawn comparisons at a time."""
    left = iter(drawn)
    while shard := list(islice(left, SHARD)):
        yield shard


def listed_at_once(run: RunRecord, piece: int) -> int:
    """Return how many comparisons the page lists from the start; those after them passed, and are in pieces.

    These are all that did not simply pass, and as many as a piece holds. Of merged runs all are listed, as the results
    of one name stand together.
    """
    total = len(run.comparisons)
    if run.columns:
        return total
    outcomes = overview_of(run.comparisons).outcomes
    return min(total, max(outcomes["failed"] + outcomes["warned"], piece))


def details_script(number: int, shard: Iterable[Drawn]) -> bytes:
    """Return the script that hands the details of a shard to the page."""
    return receiving("details", Details(number, [each.detail for each in shard]))


def drawn_of(run: RunRecord, pictures: Pictures) -> Iterator[Drawn]:
    """Draw the comparisons in the order of the list.

    Raises:
        ReportError: a picture's path leads out of the report's folder.
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
    """The script that hands the list to the page; its rows are put aside as they are drawn.

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
        """Put the next row aside.

        Raises:
            ReportError: the disk is full.
        """
        self._rows.append(literal(row))
        if row.change is not None:
            self._changes[row.change] += 1

    def add_piece(self, waiting: list[Waiting]) -> None:
        """Add what the next piece holds."""
        self._pieces.append(waiting)

    def close(self) -> None:
        """Let go of the rows."""
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
            run=self._run.run or _made_up_name(self._run),
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


def _made_up_name(run: RunRecord) -> str:
    """Return what tells a run without a name from others: a hash of what it found."""
    found = ((record.name, record.verdict, record.actual and record.actual.digest) for record in run.comparisons)
    return hashlib.sha256(repr(list(found)).encode("utf-8", "surrogatepass")).hexdigest()[:RUN_DIGITS]


HEADINGS: dict[Outcome, str] = {"failed": "Failed", "warned": "Passed with a warning", "passed": "Passed"}


class PlainRow(NamedTuple):
    """A comparison: its row of the list, and a word and an address for each picture."""

    row: Row
    pictures: list[tuple[str, Address]]


_PLAIN_ROW = msgspec.json.Decoder(PlainRow)


class PlainRows(OnDemand[PlainRow]):
    """Rows that were put aside, read when the template comes to them."""

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
    """How many there are; `rows` are the first `MOST_PLAIN` of them."""


MOST_PLAIN = 10_000
"""Comparisons of one outcome in ``plain.html``: browsers lay out all of a table before they show it."""


class PlainGroups:
    """The comparisons by outcome, put aside as they are drawn."""

    def __init__(self) -> None:
        self._spools: dict[Outcome, Spool] = {outcome: Spool() for outcome in HEADINGS}
        self._counts: Counter[Outcome] = Counter()

    def add(self, drawn: Drawn) -> None:
        """Put the next comparison aside.

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
        """Let go of the comparisons."""
        for spool in self._spools.values():
            spool.close()

    def groups(self) -> list[PlainGroup]:
        """Return the groups that hold anything, the failures first."""
        found = ((outcome, self._spools[outcome]) for outcome in HEADINGS)
        return [
            PlainGroup(outcome, HEADINGS[outcome], PlainRows(spool), self._counts[outcome])
            for outcome, spool in found
            if spool
        ]


OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class FilterView:
    """How many comparisons there are of one kind."""

    facet: Literal["outcome", "verdict"]
    key: str
    count: str


@dataclass(frozen=True, slots=True)
class PageView:
    """All of a page but for its comparisons; every text is fit to be shown.

    Attributes:
        outcome: ``failed`` as well where nothing was compared or the run is incomplete.
        incompleteness: what an incomplete run lacks, None of a complete one.
        redrawn: that most failures are those of another font renderer; None where they are not.
        unrecorded: what was collected and did not run to its end.
        total: how many comparisons the run holds.
        filters: the kinds that there are.
        renames: baselines that seem to belong to tests that were renamed, in lines.
        not_compared: what the scans left out, in lines.
        columns: the runs that were merged into this one.
        self_contained: whether the page is one file: there is nothing beside it to link to.
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
"""How the assets are called that only `pytest-imgdiff serve` shows."""
DATA = "data"
RUN_SCRIPT = f"{DATA}/run.js"


def write_page(directory: Path, run: RunRecord, *, templates: Path | None = None, piece: int = PIECE) -> Path:
    """Draw the run into the directory: ``index.html``, ``plain.html``, ``assets`` and ``data``.

    The page works from ``file://`` and names nothing outside its folder; ``plain.html`` holds the comparisons, of each
    outcome up to `MOST_PLAIN`, without scripts. Passed comparisons of a large run are in pieces that the page loads
    when they are asked for. The pictures that the records name are expected below the directory;
    those of the failures are written once more as scripts, beside them, so that the page may tell colours. Nothing else
    takes its place before everything is drawn, and ``index.html`` comes last. What is drawn is put aside on disk:
    memory does not grow with it.

    Args:
        directory: the report's folder; made where it is missing.
        run: what to draw.
        templates: a folder of the user's own templates and assets, see `Templates`.
        piece: how many passed comparisons one piece holds.

    Returns:
        The path of the page.

    Raises:
        ReportError: a file cannot be written, a picture's path leads out of the folder, or a template of the
            user's is at fault (the message names its file and line).
    """
    shelf = Templates(templates)
    view = page_view(run)
    page = shelf.rendered(PAGE_TEMPLATE, page=view)
    assets = {name: asset_bytes(path) for name, path in shelf.assets().items() if not name.startswith(SERVERS_OWN)}
    companions = companions_of(directory, in_order(run.comparisons))
    with Staged() as staged, ThreadPoolExecutor(1, thread_name_prefix="imgdiff-report") as beside:
        # Most of its time is the disk's, which can have it while the rest is drawn.
        copying = beside.submit(write_companions, directory, companions)
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
    """Draw all comparisons and return the names of the files in `DATA` that hold them."""
    written: list[str] = []

    def write(name: str, script: bytes) -> None:
        staged.write(directory / DATA / name, [script])
        written.append(name)

    with closing(RunScript(run, view)) as script, closing(PlainGroups()) as plain:
        drawn = drawn_of(run, pictures)
        for number, shard in enumerate(shards_of(islice(drawn, listed_at_once(run, piece)))):
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
    """Remove the data of a larger report that was here before."""
    for path in [*folder.glob("details-*.js"), *folder.glob("piece-*.js")]:
        if path.name not in written:
            with suppress(OSError):  # nothing asks for it
                path.unlink()
