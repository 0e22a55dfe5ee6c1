"""The data beside the page for its scripts (`reports/types/imgdiff.d.ts`): rows, details, pictures, changes."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections import Counter, defaultdict
from functools import lru_cache
from itertools import product
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import quote

import msgspec

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.text import thousands, visible
from pytest_imgdiff.comparison.change_groups import GRIDS, INK, LEVEL, LINE, MOST, Changes, changes_of
from pytest_imgdiff.comparison.registry import GLANCE
from pytest_imgdiff.report.files import replace_derived
from pytest_imgdiff.report.records import (
    Outcome,
    outcome_of,
    worst_departure,
)
from pytest_imgdiff.report.scores import (
    SIDES,
    byte_size,
    classes,
    differing_pixels,
    differing_share,
    limit_checks,
    measured,
    number,
    percent,
    phrase,
    value_text,
)
from pytest_imgdiff.report.words import (
    accept_command,
    box_words,
    capture_facts,
    element_words,
    elements_of,
    kinds_of,
    nearest_limits,
    replaced_frames,
    size_choice,
    verdict_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_imgdiff.base.record import (
        ComparisonRecord,
        FrameRecord,
        FrameSideRecord,
        RegionRecord,
        ScoreRecord,
        SideRecord,
    )


Address = str | msgspec.Raw
"""Of a picture: relative to the page and percent-encoded, or an expression that stands for the picture itself."""

FORM = 1
"""Version of what is written here; the page and its data are always written together."""
SHARD = 100
"""How many comparisons' details one file holds."""
PIECE = 10_000
"""How many passed comparisons one file holds that is loaded when they are asked for; smaller runs have none."""
SIZE_CLASSES = (0.0, 0.001, 0.01, 0.1, 1.0)
"""The upper ends of the sizes of change that the page filters by, as shares of the picture."""


class Figure(msgspec.Struct, frozen=True):
    """One picture."""

    key: str
    """Its name among the record's artefacts."""
    caption: str
    alt: str
    href: Address
    width: int | None
    height: int | None
    pixels: str | None
    """Address of the script that holds the picture once more, for pages that may not read it."""


class Rule(msgspec.Struct, frozen=True):
    """A row of the table of rules."""

    metric: str
    value: str
    limits: list[str]
    margins: list[str]
    outcome: Outcome
    verdict: str
    details: list[tuple[str, str]]
    measured: bool = False
    """It was measured only, and decides nothing."""


class Area(msgspec.Struct, frozen=True):
    """A region: its box in pixels of the compared picture, and what is known of it in words."""

    x: int
    y: int
    width: int
    height: int
    words: str
    area: str
    peak: str
    kind: str
    contour: list[tuple[int, int]] = []
    """The corners of its outline; none where that is its box."""
    element: str = ""
    """The element of the page under it, in words; empty where it is unknown."""
    moved: tuple[int, int] | None = None
    """How far this block moved, to the right and down; null of all but the blocks that the alignment moved."""


class Part(msgspec.Struct, frozen=True):
    """A part of the padded plane, on which equal parts of both pictures lie at one place."""

    x: int
    y: int
    width: int
    height: int
    expected: tuple[int, int] | None
    """Where the part starts in the expected picture; null where only the actual picture has it."""
    actual: tuple[int, int] | None
    """Likewise in the actual picture."""


class Fact(msgspec.Struct, frozen=True):
    """A row of the table of both files."""

    name: str
    expected: str
    actual: str
    differs: bool


class Accepts(msgspec.Struct, frozen=True):
    """As `pytest_imgdiff.base.record.AcceptRecord`: exact, as paths and digests must be."""

    baseline: str
    source: str
    digest: str
    replaces: str | None
    alternative: bool


class Card(msgspec.Struct, frozen=True):
    """One metric of the glance at two pictures."""

    metric: str
    title: str
    value: str
    words: str
    """What the number says, in a few words; or why there is none."""


class Glance(msgspec.Struct, frozen=True):
    """What was measured of two pictures, for one look."""

    cards: list[Card]
    expected: list[tuple[str, str, float]]
    """What a classifier takes the picture for, likeliest first: label, probability in words, and as a number 0..1."""
    actual: list[tuple[str, str, float]]
    lacks: list[str]
    """What could not be measured, and why."""


class FrameDetail(msgspec.Struct, frozen=True, rename="camel"):
    """What is shown in place of a comparison's own facts while one of its frames or pages is looked at."""

    frame: int
    words: str
    """Such as ``frame 3``."""
    outcome: Outcome
    verdict: str
    line: str
    figures: list[Figure]
    size: tuple[int, int] | None
    scaled: bool
    rules: list[Rule]
    regions: list[Area]
    region_count: int
    facts: list[Fact]
    glance: Glance | None = None
    layout: list[Part] = []


class Detail(msgspec.Struct, frozen=True, rename="camel"):
    """What is shown of one comparison once it is opened."""

    figures: list[Figure]
    size: tuple[int, int] | None
    scaled: bool
    rules: list[Rule]
    nearest_limits: str | None
    regions: list[Area]
    region_count: int
    facts: list[Fact]
    notes: list[str]
    accept: str | None
    accepts: Accepts | None
    written: str | None
    seconds: str
    frames: list[FrameDetail] = []
    """Of several frames, those that fail or pass with a warning."""
    frame: int | None = None
    """Which of them the facts above are of."""
    glance: Glance | None = None
    """What was measured only; None where nothing was."""
    layout: list[Part] = []
    """Both pictures padded; none where they are compared in place."""
    replaces: str | None = None
    """What accepting replaces, where that is more than one frame or page."""
    capture: list[tuple[str, str]] = []
    """What is known of the capture, in labels and words; nothing where an image was given."""
    attachments: list[tuple[str, str]] = []
    """Files of other tools that show more, a trace or a video: what each is, and its address."""


class Details(msgspec.Struct, frozen=True):
    """The details of up to `SHARD` comparisons that follow one another in the list."""

    shard: int
    details: list[Detail]


class Row(msgspec.Struct, frozen=True):
    """What the list shows of one comparison, and finds it by."""

    anchor: str
    name: str
    verdict: str
    outcome: Outcome
    line: str
    test: str
    fails: list[str]
    pixels: int | None
    share: float | None
    regions: int
    departure: float
    change: str | None
    thumb: Address | None
    column: int
    acceptable: bool
    alternative: bool
    frames: int
    """How many frames or pages accepting replaces; 1 of a still picture, 0 where there is nothing to accept."""
    kinds: list[str] = []
    """The kinds of its regions, that of most of the area first; of those of its frames, too."""
    glance: bool = False
    """Whether metrics were measured only, so that there is something to look at whatever the verdict."""
    elements: list[str] = []
    """The elements of the page under its regions, in words: what the search finds them by."""


class Change(msgspec.Struct, frozen=True):
    """A group of comparisons that show the same change."""

    id: str
    size: int


class Waiting(msgspec.Struct, frozen=True):
    """Passed comparisons of a piece that every filter treats alike."""

    row: msgspec.Raw
    """A `Row` that stands for them: it has no name but the folder's, and no anchor."""
    count: int


class RunData(msgspec.Struct, frozen=True):
    """Everything that the list needs; the worst comparison first."""

    run: str
    title: str
    headline: str
    summary: str
    outcome: Literal["failed", "passed"]
    columns: list[str]
    rows: list[Row]
    changes: list[Change]
    total: int
    """How many comparisons there are, with those in pieces."""
    pieces: list[list[Waiting]]
    """What each piece holds, without its names."""
    shard: int = SHARD
    version: int = FORM


class Kind(msgspec.Struct, frozen=True):
    """What comparisons of a piece have in common: all but name, test, anchor and seconds."""

    row: Row
    detail: Detail


class Piece(msgspec.Struct, frozen=True):
    """Passed comparisons that the list loads when they are asked for, in the order of the list.

    Strings hold all of a piece: a browser keeps a million of them in a few bytes each.
    """

    piece: int
    names: str
    """A line for each."""
    tests: str
    """Likewise; empty where none has a test."""
    anchors: str
    """The `ANCHOR_DIGITS` of each, one after another."""
    seconds: str
    """A line for each, in words."""
    kinds: list[msgspec.Raw]
    """Of `Kind`."""
    of_kind: list[int]
    """The number of the kind of each."""


MAIN_PICTURES = {"expected": "Expected", "actual": "Actual", "mask": "Difference mask"}
"""Shown first, in this order."""
THUMB = "thumb"
"""The small picture that stands in the list."""
DRIVE = re.compile("[A-Za-z]:")
"""How a path begins on Windows that leaves the folder without a slash."""


class Pictures(Protocol):
    """Where a page finds its pictures."""

    def address(self, path: str) -> Address | None:
        """Return the address of the picture at this path below the report's folder; None where there is none."""

    def pixels(self, path: str) -> str | None:
        """Return the address of the script that holds the picture once more; None where there is none."""

    def attachment(self, path: str) -> str | None:
        """Return the address of another tool's file, such as a trace; None where the page cannot link it."""


class LinkedPictures:
    """Pictures that lie beside the page.

    Args:
        companions: path of a picture to the path of the script that holds it once more.
        directory: the report's folder.
        root: the way from there to the folder that the paths of attachments start from; None where it is unknown.
    """

    def __init__(self, companions: Mapping[str, str], directory: Path, root: str | None) -> None:
        self._companions = companions
        self._directory = directory
        self._root = root

    def address(self, path: str) -> str:
        """Return the path as a relative address; it is not looked whether there is a file."""
        return address_of(path)

    def pixels(self, path: str) -> str | None:
        """Return the address of the picture's companion."""
        companion = self._companions.get(path)
        return None if companion is None else address_of(companion)

    def attachment(self, path: str) -> str | None:
        """Return the address of a file that is there: a trace is written after its test, and perhaps not kept."""
        way = Path(self._root or "", path)
        if not (way.is_absolute() or self._root) or not self._directory.joinpath(way).is_file():
            return None
        return way.as_uri() if way.is_absolute() else address_of(way.as_posix())


def figures(record: ComparisonRecord, pictures: Pictures) -> list[Figure]:
    """Return the pictures of a comparison but for the small one: both sides, the mask, then the others by name.

    Raises:
        ReportError: a picture's path is absolute or leads out of the report's folder.
    """
    names = [name for name in MAIN_PICTURES if name in record.artefacts]
    names += sorted(record.artefacts.keys() - MAIN_PICTURES.keys() - {THUMB})
    return list(_figures(record, names, pictures))


def frame_as_comparison(record: ComparisonRecord, frame: FrameRecord) -> ComparisonRecord:
    """Return the comparison as it would be if it had this frame alone: whatever draws the one draws the other."""
    expected, actual = (
        None if side is None else msgspec.structs.replace(side, frame=frame.frame, **_own(side, own))
        for side, own in ((record.expected, frame.expected), (record.actual, frame.actual))
    )
    return msgspec.structs.replace(
        record,
        verdict=frame.verdict,
        passed=frame.passed,
        reason=frame.reason,
        equal=None,
        expected=expected,
        actual=actual,
        compared_width=frame.compared_width,
        compared_height=frame.compared_height,
        mask_metric=frame.mask_metric,
        scores=frame.scores,
        regions=frame.regions,
        region_count=frame.region_count,
        ignored=frame.ignored,
        artefacts=frame.artefacts,
        differing_pixels=frame.differing_pixels,
        alignment=frame.alignment,
        warnings=[],
        notes=[],
        frames=[],
        frame_count=1,
    )


def _own(side: SideRecord, own: FrameSideRecord) -> dict[str, Any]:
    changes = msgspec.structs.asdict(own)
    if side.byte_size is None:  # then the digest is that of the pixels of another frame
        changes["digest"] = ""
    return changes


def thumb(record: ComparisonRecord, pictures: Pictures) -> Address | None:
    """Return the address of the small picture, None where there is none; raises as `figures`."""
    return pictures.address(picture_path(record, THUMB)) if THUMB in record.artefacts else None


def picture_path(record: ComparisonRecord, name: str) -> str:
    """Return the path of a picture, below the report's folder.

    Raises:
        ReportError: it is absolute, leads out of the folder, or is not in its plainest form.
    """
    path = record.artefacts[name]
    parts = path.replace("\\", "/").split("/")
    if "\0" in path or DRIVE.match(path) or not {"", ".", ".."}.isdisjoint(parts):
        raise ReportError(
            f"{visible(record.name)}: the picture {visible(name)} is at {visible(path)!r}; "
            "a picture's path is relative to the report's folder and stays within it"
        )
    return path


def address_of(path: str) -> str:
    """Return a path below the report's folder as an address: percent-encoded, bytes that are not UTF-8 too.

    Raises:
        ReportError: the path holds a surrogate that stands for no byte; there can be no such file.
    """
    try:
        return quote(path, safe="/", errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise ReportError(f"{visible(path)}: no file can have this name") from error


def _figures(record: ComparisonRecord, names: list[str], pictures: Pictures) -> Iterator[Figure]:
    name_shown = visible(record.name)
    for name in names:
        path = picture_path(record, name)
        address = pictures.address(path)
        if address is None:
            continue
        caption = _caption(record, name)
        width, height = _picture_size(record, name)
        yield Figure(
            visible(name), caption, f"{caption} of {name_shown}", address, width, height, pictures.pixels(path)
        )


def _caption(record: ComparisonRecord, name: str) -> str:
    caption = MAIN_PICTURES.get(name) or visible(name).replace("_", " ").capitalize()
    if name == "mask" and record.mask_metric is not None:
        return f"{caption} ({visible(record.mask_metric)})"
    return caption


def _picture_size(record: ComparisonRecord, name: str) -> tuple[int | None, int | None]:
    """Return the picture's size in its own pixels, as far as the record knows it."""
    side = {"expected": record.expected, "actual": record.actual}.get(name)
    if side is not None:
        return side.width, side.height
    if name == "mask" or name.endswith("_heat"):
        return record.compared_width, record.compared_height
    return None, None


ANCHOR = "c-"
ANCHOR_DIGITS = 12
"""Hexadecimal digits of a hash: two of ten thousand names share one once in five million reports."""
NO_COLUMN = -1
MOST_ELEMENTS = 20
"""Elements of one comparison that the search knows."""


def row_of(record: ComparisonRecord, column: int, change: str | None, pictures: Pictures) -> Row:
    """Return the row of a comparison.

    Args:
        record: of the comparison.
        column: the number of the run that it is from; `NO_COLUMN` where runs were not merged.
        change: the group of those that show the same change.
        pictures: where its pictures are.

    Raises:
        ReportError: a picture's path leads out of the report's folder.
    """
    counting = _counting_score(record)
    return Row(
        anchor=_anchor(record),
        name=visible(record.name),
        verdict=record.verdict,
        outcome=outcome_of(record),
        line=verdict_line(record),
        test=visible(record.test or ""),
        fails=[visible(score.metric) for score in record.scores if not score.passed],
        pixels=None if counting is None else differing_pixels(counting),
        share=None if counting is None else differing_share(counting),
        regions=record.region_count,
        kinds=[str(kind) for kind in kinds_of(record)],
        departure=round(worst_departure(record), 6),
        change=change,
        thumb=thumb(record, pictures),
        column=column,
        acceptable=record.accepts is not None,
        alternative=record.accepts is not None and record.accepts.alternative,
        frames=_replaced(record),
        glance=any(score.measured for score in record.scores),
        elements=[element_words(element) for element in elements_of(record)[:MOST_ELEMENTS]],
    )


class PieceBuilder:
    """Puts passed comparisons together as a piece, one after another: details are kept once for all that share them.

    A piece lacks the table of both files, which results.json has.

    Args:
        number: of the piece.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._names: list[str] = []
        self._tests: list[str] = []
        self._anchors: list[str] = []
        self._seconds: list[str] = []
        self._kinds: dict[bytes, int] = {}
        self._of_kind: list[int] = []
        self._waiting: list[Counter[bytes]] = [Counter() for _ in _DEPTHS]

    def __len__(self) -> int:
        return len(self._of_kind)

    def add(self, row: Row, detail: Detail) -> None:
        """Add the next comparison."""
        self._names.append(row.name)
        self._tests.append(row.test)
        self._anchors.append(row.anchor.removeprefix(ANCHOR))
        self._seconds.append(detail.seconds)
        kind = Kind(
            msgspec.structs.replace(row, anchor="", name="", test=""),
            msgspec.structs.replace(detail, seconds="", facts=[]),
        )
        self._of_kind.append(self._kinds.setdefault(msgspec.json.encode(kind), len(self._kinds)))
        for counts, depth in zip(self._waiting, _DEPTHS, strict=True):
            if depth == 0 or len(counts) <= MOST_WAITING:
                counts[_filtered(row, depth)] += 1

    def piece(self) -> Piece:
        """Return the piece."""
        return Piece(
            piece=self._number,
            names="\n".join(self._names),
            tests="\n".join(self._tests) if any(self._tests) else "",
            anchors="".join(self._anchors),
            seconds="\n".join(self._seconds),
            kinds=[msgspec.Raw(kind) for kind in self._kinds],
            of_kind=self._of_kind,
        )

    def waiting(self) -> list[Waiting]:
        """Return the comparisons, counted by what the filters see of them."""
        fitting = (counts for counts in self._waiting[:-1] if len(counts) <= MOST_WAITING)
        counts = next(fitting, self._waiting[-1])
        return [Waiting(msgspec.Raw(row), count) for row, count in counts.items()]


MOST_WAITING = 200
"""Lines that count a piece; where each picture has a folder of its own, folders are counted by their first part."""


_DEPTHS = (None, 1, 0)


def _filtered(row: Row, depth: int | None) -> bytes:
    folders = row.name.partition("::")[0].split("/")[:-1][:depth]
    return msgspec.json.encode(
        msgspec.structs.replace(
            row,
            anchor="",
            name="".join(f"{folder}/" for folder in folders),
            line="",
            test="",
            pixels=None,
            share=None if row.share is None else next(most for most in SIZE_CLASSES if row.share <= most),
            regions=0,
            departure=0.0,
            thumb=None,
            frames=0,
            elements=[],
        )
    )


def _replaced(record: ComparisonRecord) -> int:
    if record.accepts is None:
        return 0
    return 1 if record.expected is None else record.expected.frames


def _counting_score(record: ComparisonRecord) -> ScoreRecord | None:
    """Return the score that counted the differing pixels: that of the mask's metric, then a rule's, then any."""
    counting = [score for score in record.scores if differing_pixels(score) is not None]  # rules come first
    of_mask = (score for score in counting if score.metric == record.mask_metric)
    return next(of_mask, counting[0] if counting else None)


def _anchor(record: ComparisonRecord) -> str:
    """Return what a link to the comparison ends with: made from its name, so that links hold from run to run."""
    text = record.name if record.column is None else f"{record.name}\0{record.column}"
    return f"{ANCHOR}{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:ANCHOR_DIGITS]}"


MOST_REGIONS = 200
MOST_REGIONS_OF_FRAME = 50
MOST_REGIONS_PASSED = 20
"""Nobody goes through the regions of what is good enough."""
CLASSES_SHOWN = 3
CARD_WORDS = {
    "pixel_match": ("Pixel match", "of all pixels"),
    "ssim": ("SSIM", "1: the same structure"),
    "orb": ("ORB", "of the points found again"),
    "embedding_cosine": ("Cosine distance", "0: alike, 2: opposite"),
    "embedding_euclidean": ("Euclidean distance", "0: alike"),
    "classification": ("Classification", "the likeliest class"),
}
"""What the glance calls a metric, and what its number says."""
NOTHING = "\N{EN DASH}"
"""In a cell of a side that has no such fact."""
DIGEST_SHOWN = 16
"""Characters of a SHA-256 that tell two files apart at a glance; results.json has them all."""


def detail_of(record: ComparisonRecord, pictures: Pictures) -> Detail:
    """Return what is shown of one comparison; of one that passed without a warning, only what tells something.

    Raises:
        ReportError: a picture's path leads out of the report's folder.
    """
    lean = outcome_of(record) == "passed"
    shown = None if record.expected is None else record.expected.frame
    return Detail(
        figures=figures(record, pictures),
        size=_size(record),
        scaled=_is_scaled(record),
        rules=[_rule(score, lean=lean and not score.measured) for score in record.scores],
        nearest_limits=nearest_limits(record),
        regions=[_area(region, record) for region in record.regions[: MOST_REGIONS_PASSED if lean else MOST_REGIONS]],
        region_count=record.region_count,
        facts=[fact for fact in _facts(record.expected, record.actual) if fact.differs or not lean],
        notes=list(_notes(record)),
        accept=accept_command(record),
        accepts=_accepts(record),
        written=None if record.written is None else visible(record.written),
        seconds=f"{number(record.seconds)} s",
        frames=[_frame(record, frame, pictures) for frame in record.frames],
        frame=shown if record.frame_count > 1 else None,
        glance=_glance(record),
        layout=_layout(record),
        replaces=replaced_frames(record) if record.accepts is not None else None,
        capture=capture_facts(record),
        attachments=list(_attachments(record, pictures)),
    )


def _attachments(record: ComparisonRecord, pictures: Pictures) -> Iterator[tuple[str, str]]:
    """Yield the files that show more of a captured page: what each is, and its address."""
    for what, path in () if record.capture is None else record.capture.attachments.items():
        address = pictures.attachment(path)
        if address is not None:
            yield visible(what), address


def _frame(record: ComparisonRecord, frame: FrameRecord, pictures: Pictures) -> FrameDetail:
    alone = frame_as_comparison(record, frame)
    return FrameDetail(
        frame=frame.frame,
        words=f"frame {frame.frame}",
        outcome=outcome_of(alone),
        verdict=frame.verdict,
        line=verdict_line(alone),
        figures=figures(alone, pictures),
        size=_size(alone),
        scaled=_is_scaled(alone),
        rules=[_rule(score, lean=False) for score in frame.scores],
        regions=[_area(region, alone) for region in frame.regions[:MOST_REGIONS_OF_FRAME]],
        region_count=frame.region_count,
        facts=list(_facts(alone.expected, alone.actual)),
        glance=_glance(alone),
        layout=_layout(alone),
    )


def _glance(record: ComparisonRecord) -> Glance | None:
    """Return what was measured only, the values of the rules among it in a fixed order; None where nothing was."""
    if not any(score.measured for score in record.scores):
        return None
    by_name = {score.metric: score for score in record.scores}
    scores = [by_name.pop(name) for name in GLANCE if name in by_name]
    scores += [score for score in by_name.values() if score.measured]
    seen = {side: [(label, percent(share), share) for label, share in _first_classes(scores, side)] for side in SIDES}
    return Glance(
        cards=[_card(score) for score in scores if score.value is not None],
        expected=seen["expected"],
        actual=seen["actual"],
        lacks=[f"{visible(score.metric)}: {phrase(score)}" for score in scores if score.value is None],
    )


def _first_classes(scores: Sequence[ScoreRecord], side: str) -> list[tuple[str, float]]:
    return next((found for score in scores if (found := classes(score, side))), [])[:CLASSES_SHOWN]


def _card(score: ScoreRecord) -> Card:
    title, words = CARD_WORDS.get(score.metric, (visible(score.metric).replace("_", " "), ""))
    value = value_text(score, score.value or 0.0)
    pixels = differing_pixels(score)
    if pixels is not None:
        words = f"{thousands(pixels)} px differ"
    if score.metric == "classification" and score.value in (0.0, 1.0):
        value = "same class" if score.value else "other class"
    found = score.details.get("consistent")
    if score.metric == "orb" and isinstance(found, int):
        words = f"{thousands(found)} points found again"
    return Card(visible(score.metric), title, value, words)


def _size(record: ComparisonRecord) -> tuple[int, int] | None:
    width, height = record.compared_width, record.compared_height
    return None if width is None or height is None else (width, height)


def _rule(score: ScoreRecord, *, lean: bool) -> Rule:
    checks = limit_checks(score)
    verdict = "fails" if not score.passed else "passes, with a warning" if score.warned else "passes"
    if score.omitted is not None:
        verdict = "not judged"
    if score.measured:
        verdict = "measured only" if score.value is not None else "not measured"
    limits = [f"{check.sign_that_holds} {check.limit}" for check in checks]
    if score.warn is not None:
        sign = "<=" if score.direction == "distance" else ">="
        limits.append(f"{sign} {value_text(score, score.warn)} (warning)")
    return Rule(
        metric=visible(score.metric),
        value=measured(score),
        limits=limits,
        margins=[check.margin for check in checks],
        measured=score.measured,
        outcome="failed" if not score.passed else "warned" if score.warned or score.omitted else "passed",
        verdict=verdict,
        details=[] if lean else [(visible(key), _measure(value)) for key, value in sorted(score.details.items())],
    )


def _measure(value: Any) -> str:
    """Return a metric's further fact: a number in few digits, anything else as it stands in the JSON."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int):
        return thousands(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict) and value.keys() >= {"label", "probability"}:  # what a classifier takes a picture for
        return f"{visible(str(value['label']))} {percent(value['probability'])}"
    if isinstance(value, list) and value:
        return ", ".join(_measure(item) for item in value)
    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _area(region: RegionRecord, record: ComparisonRecord) -> Area:
    moves = () if record.alignment is None else record.alignment.moves
    box = region.x, region.y, region.width, region.height
    is_block = any((move.x + move.dx, move.y + move.dy, move.width, move.height) == box for move in moves)
    return Area(
        x=region.x,
        y=region.y,
        width=region.width,
        height=region.height,
        words=box_words(region),
        area=thousands(region.area),
        peak=_peak(region.peak),
        kind=region.kind,
        contour=region.contour,
        element="" if region.element is None else element_words(region.element),
        moved=region.moved if is_block else None,
    )


@lru_cache(maxsize=4096)
def _peak(share: float) -> str:
    """Return the largest difference within a region; a big report has hundreds of thousands, many the same."""
    return percent(share)


def _layout(record: ComparisonRecord) -> list[Part]:
    """Return where the parts of both pictures lie once they are padded."""
    parts = []
    for part in () if record.alignment is None else record.alignment.layout:
        (left, top, *size), (other_left, other_top, *other_size) = part.expected, part.actual
        width, height = size if all(size) else other_size
        expected = (left, top) if all(size) else None
        actual = (other_left, other_top) if all(other_size) else None
        parts.append(Part(part.x, part.y, width, height, expected, actual))
    return parts


def _facts(expected: SideRecord | None, actual: SideRecord | None) -> Iterator[Fact]:
    """Yield what is known of both files, rows that say something only."""
    sides = [{} if side is None else _facts_of(side) for side in (expected, actual)]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        left, right = (side.get(name, NOTHING) for side in sides)
        differs = left != right and expected is not None and actual is not None and name != "file"
        yield Fact(name, left, right, differs)


def _facts_of(side: SideRecord) -> dict[str, str]:
    facts = {
        "file": visible(side.label),
        "format": visible(side.format),
        "pixels": f"{side.width} x {side.height}",
        "mode": visible(side.mode),
    }
    if side.byte_size is not None:
        facts["size"] = byte_size(side.byte_size)
    if side.frames > 1:
        facts["frame"] = f"{side.frame} of {side.frames}, counted from 0"
    if side.duration is not None:
        facts["shown for"] = f"{side.duration:g} ms"
    if side.loops is not None:
        facts["played"] = {0: "for ever", 1: "once"}.get(side.loops, f"{thousands(side.loops)} times")
    if side.orientation > 1:
        facts["EXIF orientation"] = f"{side.orientation}, applied"
    if side.gamma is not None:
        facts["gamma"] = f"{number(side.gamma)}, not applied"
    if side.cicp is not None:
        facts["colour code (cICP)"] = f"{visible(side.cicp)}, not applied"
    if side.icc is not None:
        facts["ICC profile"] = f"SHA-256 {visible(side.icc)[:DIGEST_SHOWN]}…, not applied"
    if side.digest:
        facts["SHA-256"] = f"{visible(side.digest)[:DIGEST_SHOWN]}…"
    return facts


def _notes(record: ComparisonRecord) -> Iterator[str]:
    size = size_choice(record)
    if size is not None:
        yield f"Sizes: {size}."
    if record.ignored:
        yield f"Ignore areas: {percent(record.ignored, unlike=(1.0,))} of the picture was not looked at."
    if record.differing_pixels:
        yield f"Pixels that are not equal, however little they differ: {thousands(record.differing_pixels)}."
    for note in (*record.warnings, *record.notes):
        yield visible(note)


def _accepts(record: ComparisonRecord) -> Accepts | None:
    accepts = record.accepts
    if accepts is None:
        return None
    return Accepts(accepts.baseline, accepts.source, accepts.digest, accepts.replaces, accepts.alternative)


def _is_scaled(record: ComparisonRecord) -> bool:
    """Return whether the actual image was resampled to be compared."""
    expected, actual = record.expected, record.actual
    if record.size_policy != "scale" or expected is None or actual is None:
        return False
    return (expected.width, expected.height) != (actual.width, actual.height)


DataKind = Literal["run", "details", "pixels", "piece"]

# JSON has none of these outside of its strings, and in a string an escape stands for the same character.
_ESCAPES = {b"<": rb"\u003c", "\u2028".encode(): rb"\u2028", "\u2029".encode(): rb"\u2029"}


def literal(value: msgspec.Struct | Mapping[str, str] | list[str]) -> bytes:
    """Return the value as a JavaScript expression that is safe inside an HTML document, too.

    JSON is JavaScript (ECMA-262, since 2019). ``<`` is written as an escape, so that nothing ends a script element
    or begins a comment in it; so are the line separators, which older engines refuse.

    Raises:
        ReportError: a text holds a lone surrogate, which UTF-8 cannot carry.
    """
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise ReportError(f"the report's data cannot be written: {visible(str(error))}") from error
    for character, escape in _ESCAPES.items():
        encoded = encoded.replace(character, escape)
    return encoded


def receiving(kind: DataKind, value: msgspec.Struct | Mapping[str, str]) -> bytes:
    """Return the script that hands the value to the page: ``imgdiff.receive("run", {...});``."""
    return b'imgdiff.receive("%s",%s);\n' % (kind.encode(), literal(value))


LARGEST = 4 << 20
"""Bytes of a picture; the script is a third larger, and is read as a whole."""
MOST_TOGETHER = 32 << 20
"""Bytes of all pictures of a report; the worst comparisons come first."""
PLACE = "@DATA@"
"""Percent-encoded addresses do not hold it."""
MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".avif": "image/avif",
}
"""Of the files that browsers show."""


def companions_of(directory: Path, records: Iterable[ComparisonRecord]) -> dict[str, str]:
    """Return which pictures get a companion, and its path; both below the report's folder.

    These are both sides of what failed or has a warning, as far as there are such files.

    Args:
        directory: the report's folder.
        records: in the order of the list.

    Raises:
        ReportError: a picture's path leads out of the folder.
    """
    chosen: dict[str, str] = {}
    left = MOST_TOGETHER
    for record in records:
        if outcome_of(record) == "passed":
            break  # in the order of the list none after it failed
        for path in _sides(record):
            size = _file_size(directory / path)
            if path not in chosen and media_type(path) is not None and size is not None and size <= min(LARGEST, left):
                chosen[path] = f"{path}.js"
                left -= size
    return chosen


def _sides(record: ComparisonRecord) -> Iterator[str]:
    """Yield the paths of both sides, those of each frame after those of the whole."""
    for shown in (record, *(frame_as_comparison(record, frame) for frame in record.frames)):
        yield from (picture_path(shown, side) for side in SIDES if side in shown.artefacts)


def write_companions(directory: Path, companions: Mapping[str, str]) -> None:
    """Write the scripts, each beside its picture.

    Raises:
        ReportError: one cannot be written.
    """
    for path, script in companions.items():
        address = data_address(directory, path)
        if address is not None:
            # Base64 holds nothing that a script would have to escape: the long part is put in as it is.
            before, after = receiving("pixels", {"href": address_of(path), "data": PLACE}).split(PLACE.encode())
            replace_derived(directory / script, [before, *address, after])


def data_address(directory: Path, path: str) -> tuple[bytes, bytes] | None:
    """Return the picture as a ``data:`` address; None where it cannot be read or is none that browsers show.

    Returns:
        What it begins with, and the picture in base64: they are megabytes, which are copied no more than they must.
    """
    kind = media_type(path)
    if kind is None:
        return None
    try:
        content = read_regular(directory / path)
    except (OSError, ValueError):
        return None
    return f"data:{kind};base64,".encode("ascii"), b64encode(content)


def media_type(path: str) -> str | None:
    """Return the media type that the file's name says; None where browsers show no such picture."""
    return MEDIA_TYPES.get(PurePosixPath(path).suffix.lower())


def _file_size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # missing, or a name that no file can have
        return None


ID_DIGITS = 12
SORTED_BY = 3
"""So many numbers choose, by a sorted index, with what a change is compared: never all with all."""


def same_change(fingerprints: Iterable[str]) -> dict[str, str]:
    """Return, for each fingerprint, the group of comparisons that show the same change; none where one is alone.

    Every member of a group is like the one that stands for the group, the most frequent one; a chain of small steps
    does not join what is unlike. Groups do not depend on the order of the fingerprints, and a group is called by what
    stands for it: as long as the change looks the same, its name is that of the run before.

    Args:
        fingerprints: one of each comparison that has one.
    """
    frequency = Counter(fingerprints)
    standing = dict(_standing_for(frequency))
    sizes: Counter[str] = Counter()
    for text, first in standing.items():
        sizes[first] += frequency[text]
    return {text: _id(first) for text, first in standing.items() if sizes[first] > 1}


def _id(fingerprint: str) -> str:
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:ID_DIGITS]


def _standing_for(frequency: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield each fingerprint and the one that stands for its group."""
    alike: defaultdict[tuple[tuple[int, int], ...], dict[str, Changes]] = defaultdict(dict)
    for text in sorted(frequency, key=lambda text: (-frequency[text], text)):
        changes = changes_of(text)
        if changes is not None:  # results may be anybody's: what is no fingerprint groups nothing
            alike[changes.shape][text] = changes
    for of_one_shape in alike.values():
        texts = list(of_one_shape)
        for first, group in _groups(list(of_one_shape.values())):
            yield from ((texts[index], texts[first]) for index in group)


def _groups(changes: Sequence[Changes]) -> Iterator[tuple[int, list[int]]]:
    """Yield what stands for a group, and the group: the first that is left, and all that are left and like it."""
    if len(changes) == 1:
        yield 0, [0]
        return
    import numpy as np  # a run whose changes are all of one kind does without

    outlines = _Outlines(changes)
    left = np.ones(len(changes), np.bool_)
    for first, standing in enumerate(changes):
        if left[first]:
            group = [index for index in outlines.near(first, left) if standing.is_like(changes[index])]
            left[group] = False
            yield first, group


class _Outlines:
    """What must hold for two changes to be alike, looked at for thousands at once.

    The first patch of one must have its like among those of the other, so that each of its numbers is near. Two
    numbers are near where the intervals around them, as wide as the tolerance, meet.

    Args:
        changes: of as many patches each.
    """

    def __init__(self, changes: Sequence[Changes]) -> None:
        import numpy as np

        patches = [patch for each in changes for patch in each.patches]
        self._each = len(changes[0].patches)
        inks = np.array([[patch.ink] for patch in patches], np.float64)
        levels = np.array([patch.levels for patch in patches], np.float64)
        size = GRIDS[0]
        luma = np.array([list(patch.planes[0]) for patch in patches], np.float64).reshape(-1, size, size) - MOST
        magnitude = np.array([[patch.magnitude] for patch in patches])
        lines = [(luma.mean(axis=axis), np.maximum(abs(luma).mean(axis=axis), magnitude)) for axis in (1, 2)]
        numbers = np.column_stack([inks, levels, *(numbers for numbers, _ in lines)])
        magnitudes = np.column_stack([inks, abs(levels), *(magnitudes for _, magnitudes in lines)])
        tolerances = [INK, *[LEVEL] * levels.shape[1], *[LINE] * 2 * size]
        least, share = (np.array(column) for column in zip(*tolerances, strict=True))
        reach = (least + share * magnitudes) / 2 * 1.0001 + 1e-4  # rounding must not part what is alike
        # On these scales the intervals are about equally wide, whatever the numbers are.
        scaled = [np.sign(ends) * np.log1p(abs(ends) * share / least) for ends in (numbers - reach, numbers + reach)]
        widths = (scaled[1] - scaled[0]).max(axis=0) + 1e-9
        most_telling_first = np.argsort(-scaled[0].std(axis=0) / widths, kind="stable")
        telling = most_telling_first[:SORTED_BY]
        cells = np.floor(scaled[0][:, telling] / widths[telling]).astype(np.int64)
        cells += 1 - cells.min(axis=0)  # an interval meets those that begin in its own cell or in one beside it
        self._keys = _keys(cells, sizes := cells.max(axis=0) + 2)
        self._order = np.argsort(self._keys, kind="stable")
        self._sorted = self._keys[self._order]
        steps = [-1, 0, 1]
        beside = np.array([(*others, -1) for others in product(steps, repeat=SORTED_BY - 1)])
        self._beside = _keys(beside, sizes)
        self._begins, self._ends = (
            np.ascontiguousarray(ends.T[most_telling_first], np.float32) for ends in (numbers - reach, numbers + reach)
        )

    def near(self, first: int, left: NDArray[Any]) -> list[int]:
        """Return those that are left and could be like the first; that no other is, is sure.

        Args:
            first: the change to compare with; it is like itself.
            left: (n,) of bool, whether each change is left.
        """
        import numpy as np

        mine = first * self._each
        starts = self._keys[mine] + self._beside
        # Of the last number the three cells have keys in a row.
        ranges = zip(np.searchsorted(self._sorted, starts), np.searchsorted(self._sorted, starts + 3), strict=True)
        patches = np.concatenate([self._order[start:end] for start, end in ranges if end > start])
        patches = patches[left[patches // self._each]]
        for begin, end in zip(self._begins, self._ends, strict=True):
            if len(patches) == 1:  # it is the first one itself
                break
            patches = patches[(begin[patches] <= end[mine]) & (end[patches] >= begin[mine])]
        return sorted(set((patches // self._each).tolist()))


def _keys(cells: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number for the cells of each row; those of the last column follow one another."""
    import numpy as np

    keys: NDArray[np.int64] = cells @ np.append(np.cumprod(sizes[:0:-1])[::-1], 1)
    return keys
