"""The data that the page's scripts load (`reports/types/imgdiff.d.ts`): rows, details, images, groups of changes."""

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
from pytest_imgdiff.base.text import literal_glob, thousands, visible
from pytest_imgdiff.comparison.change_groups import GRIDS, INK, LEVEL, LINE, MOST, Changes, changes_of
from pytest_imgdiff.comparison.registry import GLANCE
from pytest_imgdiff.images.sniff import EXTENSIONS, KINDS
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
        AcceptRecord,
        ComparisonRecord,
        FrameRecord,
        FrameSideRecord,
        RegionRecord,
        ScoreRecord,
        SideRecord,
    )


Address = str | msgspec.Raw
"""URL of an image: relative to the page and percent-encoded, or a JavaScript expression for an embedded image."""

FORM = 1
"""Version of the data format. The page and its data are always written together."""
SHARD = 100
"""Comparisons whose details are in one file."""
PIECE = 10_000
"""Passed comparisons in one file that is loaded on demand. Smaller runs have no such files."""
SIZE_CLASSES = (0.0, 0.001, 0.01, 0.1, 1.0)
"""Upper bounds of the change sizes that the page filters by, as shares of the image."""


class Figure(msgspec.Struct, frozen=True):
    """One image."""

    key: str
    """Key of the image among the record's artefacts."""
    caption: str
    alt: str
    href: Address
    width: int | None
    height: int | None
    pixels: str | None
    """URL of the script that contains the image's bytes, for pages that may not read the image."""


class Rule(msgspec.Struct, frozen=True):
    """A row in the table of rules."""

    metric: str
    value: str
    limits: list[str]
    margins: list[str]
    outcome: Outcome
    verdict: str
    details: list[tuple[str, str]]
    measured: bool = False
    """Whether the metric was only measured and does not affect the verdict."""


class Area(msgspec.Struct, frozen=True):
    """A region: its box in pixels of the compared image, and its description."""

    x: int
    y: int
    width: int
    height: int
    words: str
    area: str
    peak: str
    kind: str
    contour: list[tuple[int, int]] = []
    """Corners of the outline; empty if the outline is the box."""
    element: str = ""
    """Description of the page element under the region; empty if unknown."""
    moved: tuple[int, int] | None = None
    """How far this block moved, right and down; null for regions that are not moved blocks."""


class Part(msgspec.Struct, frozen=True):
    """A part of the padded plane, where matching parts of both images have the same position."""

    x: int
    y: int
    width: int
    height: int
    expected: tuple[int, int] | None
    """Where the part starts in the expected image; null if only the actual image has it."""
    actual: tuple[int, int] | None
    """Where the part starts in the actual image; null if only the expected image has it."""


class Fact(msgspec.Struct, frozen=True):
    """A row in the table of both files."""

    name: str
    expected: str
    actual: str
    differs: bool


class Card(msgspec.Struct, frozen=True):
    """One metric in the glance at two images."""

    metric: str
    title: str
    value: str
    words: str
    """What the number means, in a few words, or why there is no number."""


class Glance(msgspec.Struct, frozen=True):
    """All measurements of two images, for a quick overview."""

    cards: list[Card]
    expected: list[tuple[str, str, float]]
    """Classes of the expected image, likeliest first: label, probability as text, and probability 0..1."""
    actual: list[tuple[str, str, float]]
    lacks: list[str]
    """Metrics that could not be measured, with reasons."""


class FrameDetail(msgspec.Struct, frozen=True, rename="camel"):
    """What replaces the comparison's own details while the user views one of its frames or pages."""

    frame: int
    words: str
    """For example ``frame 3``."""
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
    """The details of one comparison, shown when it is opened."""

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
    accepts: AcceptRecord | None
    match: str | None
    """The glob for an override of this image alone; None if no override can name it."""
    written: str | None
    seconds: str
    frames: list[FrameDetail] = []
    """Frames that fail or pass with a warning, if there are several frames."""
    frame: int | None = None
    """The frame that the fields above describe."""
    glance: Glance | None = None
    """Metrics that were only measured; None if there are none."""
    layout: list[Part] = []
    """Layout of both padded images; empty if they are compared in place."""
    replaces: str | None = None
    """What accepting replaces, if that is more than one frame or page."""
    capture: list[tuple[str, str]] = []
    """Facts about the capture as labels and values; empty if an image was passed."""
    attachments: list[tuple[str, str]] = []
    """Files of other tools, such as a trace or a video: description and URL."""


class Details(msgspec.Struct, frozen=True):
    """The details of up to `SHARD` consecutive comparisons in the list."""

    shard: int
    details: list[Detail]


class Row(msgspec.Struct, frozen=True):
    """One comparison in the list, with the fields that filters and search use."""

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
    """How many frames or pages accepting replaces; 1 for a still image, 0 if there is nothing to accept."""
    kinds: list[str] = []
    """Kinds of its regions, including those of its frames, ordered by area."""
    glance: bool = False
    """Whether metrics were only measured, so that there is a glance to show for any verdict."""
    elements: list[str] = []
    """Descriptions of the page elements under its regions, for the search."""


class Change(msgspec.Struct, frozen=True):
    """A group of comparisons that show the same change."""

    id: str
    size: int


class Waiting(msgspec.Struct, frozen=True):
    """Passed comparisons of a piece that no filter distinguishes."""

    row: msgspec.Raw
    """A representative `Row`: its name is only the folder, and it has no anchor."""
    count: int


class RunData(msgspec.Struct, frozen=True):
    """Everything that the list needs, worst comparison first."""

    run: str
    title: str
    headline: str
    summary: str
    outcome: Literal["failed", "passed"]
    columns: list[str]
    rows: list[Row]
    changes: list[Change]
    total: int
    """Number of comparisons, including those in pieces."""
    pieces: list[list[Waiting]]
    """Contents of each piece, without names."""
    shard: int = SHARD
    version: int = FORM


class Kind(msgspec.Struct, frozen=True):
    """What comparisons of a piece have in common: everything except name, test, anchor and seconds."""

    row: Row
    detail: Detail


class Piece(msgspec.Struct, frozen=True):
    """Passed comparisons that the list loads on demand, in the order of the list.

    Each field joins the values of all comparisons in one string: a browser stores a million of them in a few bytes
    each.
    """

    piece: int
    names: str
    """One line for each comparison."""
    tests: str
    """One line for each comparison; empty if none has a test."""
    anchors: str
    """`ANCHOR_DIGITS` characters for each comparison, without separators."""
    seconds: str
    """One line for each comparison, as text."""
    kinds: list[msgspec.Raw]
    """Of `Kind`."""
    of_kind: list[int]
    """For each comparison, the index of its kind."""


MAIN_PICTURES = {"expected": "Expected", "actual": "Actual", "mask": "Difference mask"}
"""These are shown first, in this order."""
THUMB = "thumb"
"""The small image in the list."""
DRIVE = re.compile("[A-Za-z]:")
"""A Windows drive at the start of a path: it leads out of the folder without a slash."""


class Pictures(Protocol):
    """Resolves the paths of a page's images."""

    def address(self, path: str) -> Address | None:
        """Return the URL of the image at this path below the report's folder; None if it is missing."""

    def pixels(self, path: str) -> str | None:
        """Return the URL of the script that contains the image; None if there is no such script."""

    def attachment(self, path: str) -> str | None:
        """Return the URL of another tool's file, such as a trace; None if the page cannot link it."""


class LinkedPictures:
    """Images in the page's folder.

    Args:
        companions: path of an image to the path of the script that contains it.
        directory: the report's folder.
        root: path from the report's folder to the folder of the attachments' paths; None if unknown.
    """

    def __init__(self, companions: Mapping[str, str], directory: Path, root: str | None) -> None:
        self._companions = companions
        self._directory = directory
        self._root = root

    def address(self, path: str) -> str:
        """Return the path as a relative URL. The file may be missing."""
        return address_of(path)

    def pixels(self, path: str) -> str | None:
        """Return the URL of the image's companion script."""
        companion = self._companions.get(path)
        return None if companion is None else address_of(companion)

    def attachment(self, path: str) -> str | None:
        """Return the URL of an existing file. A trace is written after its test and may have been deleted."""
        way = Path(self._root or "", path)
        if not (way.is_absolute() or self._root) or not self._directory.joinpath(way).is_file():
            return None
        return way.as_uri() if way.is_absolute() else address_of(way.as_posix())


def figures(record: ComparisonRecord, pictures: Pictures) -> list[Figure]:
    """Return the images of a comparison except the thumbnail: both sides, the mask, then the others by name.

    Raises:
        ReportError: an image path is absolute or leads out of the report's folder.
    """
    names = [name for name in MAIN_PICTURES if name in record.artefacts]
    names += sorted(record.artefacts.keys() - MAIN_PICTURES.keys() - {THUMB})
    return list(_figures(record, names, pictures))


def frame_as_comparison(record: ComparisonRecord, frame: FrameRecord) -> ComparisonRecord:
    """Return the comparison as if this frame were its only one, so that the same code can show both."""
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
    if side.byte_size is None:  # then the digest is that of another frame's pixels
        changes["digest"] = ""
    return changes


def thumb(record: ComparisonRecord, pictures: Pictures) -> Address | None:
    """Return the URL of the thumbnail, None if there is none; raises like `figures`."""
    return pictures.address(picture_path(record, THUMB)) if THUMB in record.artefacts else None


def picture_path(record: ComparisonRecord, name: str) -> str:
    """Return the path of an image, below the report's folder.

    Raises:
        ReportError: the path is absolute, leads out of the folder, or is not normalized.
    """
    path = record.artefacts[name]
    parts = path.replace("\\", "/").split("/")
    if "\0" in path or DRIVE.match(path) or not {"", ".", ".."}.isdisjoint(parts):
        raise ReportError(
            f"{visible(record.name)}: invalid path of the image {visible(name)}: {visible(path)!r}; "
            "image paths must be relative to the report's folder and stay within it"
        )
    return path


def address_of(path: str) -> str:
    """Return a path below the report's folder as a percent-encoded URL; non-UTF-8 bytes are kept.

    Raises:
        ReportError: the path contains a surrogate that encodes no byte, so no file can have this name.
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
    """Return the image's size in pixels as far as the record contains it."""
    side = {"expected": record.expected, "actual": record.actual}.get(name)
    if side is not None:
        return side.width, side.height
    if name == "mask" or name.endswith("_heat"):
        return record.compared_width, record.compared_height
    return None, None


ANCHOR = "c-"
ANCHOR_DIGITS = 12
"""Hexadecimal digits of a hash: in ten thousand names, two collide once in five million reports."""
NO_COLUMN = -1
MOST_ELEMENTS = 20
"""Elements of one comparison that the search finds."""


def row_of(record: ComparisonRecord, column: int, change: str | None, pictures: Pictures) -> Row:
    """Return the row of a comparison.

    Args:
        record: of the comparison.
        column: index of its run; `NO_COLUMN` if runs were not merged.
        change: id of the group with the same change.
        pictures: where its images are.

    Raises:
        ReportError: an image path leads out of the report's folder.
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
    """Collects passed comparisons in a piece. Details that several comparisons share are stored once.

    A piece has no table of both files; results.json has these facts.

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
        """Return the comparisons, counted by the fields that filters use."""
        fitting = (counts for counts in self._waiting[:-1] if len(counts) <= MOST_WAITING)
        counts = next(fitting, self._waiting[-1])
        return [Waiting(msgspec.Raw(row), count) for row, count in counts.items()]


MOST_WAITING = 200
"""Most rows that count a piece. If each image has its own folder, folders are counted by their first component."""


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
    """Return the score that counted the differing pixels: first of the mask's metric, then of a rule, then any."""
    counting = [score for score in record.scores if differing_pixels(score) is not None]  # rules come first
    of_mask = (score for score in counting if score.metric == record.mask_metric)
    return next(of_mask, counting[0] if counting else None)


def _anchor(record: ComparisonRecord) -> str:
    """Return the anchor in links to the comparison: a hash of its name, so that links stay valid in later runs."""
    text = record.name if record.column is None else f"{record.name}\0{record.column}"
    return f"{ANCHOR}{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:ANCHOR_DIGITS]}"


MOST_REGIONS = 200
MOST_REGIONS_OF_FRAME = 50
MOST_REGIONS_PASSED = 20
"""Passed comparisons show few regions: rarely does anyone review them."""
CLASSES_SHOWN = 3
CARD_WORDS = {
    "pixel_match": ("Pixel match", "of all pixels"),
    "ssim": ("SSIM", "1: the same structure"),
    "orb": ("ORB", "of the points matched"),
    "embedding_cosine": ("Cosine distance", "0: equal, 2: opposite"),
    "embedding_euclidean": ("Euclidean distance", "0: equal"),
    "classification": ("Classification", "the likeliest class"),
}
"""Title of each metric in the glance, and what its number means."""
NOTHING = "\N{EN DASH}"
"""Shown if the side has no such fact."""
DIGEST_SHOWN = 16
"""Characters of a SHA-256 to show. results.json has all of them."""


def detail_of(record: ComparisonRecord, pictures: Pictures) -> Detail:
    """Return the details of a comparison. Details of a comparison that passed without a warning are shorter.

    Raises:
        ReportError: an image path leads out of the report's folder.
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
        accepts=record.accepts,
        match=None if record.key is None else literal_glob(record.key),
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
    """Yield the description and URL of each file that other tools attached to the capture."""
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
    """Return the measured metrics and the rules' values in a fixed order; None if nothing was only measured."""
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
        words = f"{thousands(found)} points matched"
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
    limits = [f"{check.required_sign} {check.limit}" for check in checks]
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
    """Return a detail of a metric: a number in few digits, anything else as in the JSON."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int):
        return thousands(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict) and value.keys() >= {"label", "probability"}:  # a class
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
    """Return the largest difference in a region. It is cached: large reports repeat the same values."""
    return percent(share)


def _layout(record: ComparisonRecord) -> list[Part]:
    """Return where the parts of both images are after padding."""
    parts = []
    for part in () if record.alignment is None else record.alignment.layout:
        (left, top, *size), (other_left, other_top, *other_size) = part.expected, part.actual
        width, height = size if all(size) else other_size
        expected = (left, top) if all(size) else None
        actual = (other_left, other_top) if all(other_size) else None
        parts.append(Part(part.x, part.y, width, height, expected, actual))
    return parts


def _facts(expected: SideRecord | None, actual: SideRecord | None) -> Iterator[Fact]:
    """Yield the known facts of both files."""
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
        facts["played"] = {0: "forever", 1: "once"}.get(side.loops, f"{thousands(side.loops)} times")
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
        yield f"Ignore areas: {percent(record.ignored, unlike=(1.0,))} of the image was ignored."
    if record.differing_pixels:
        yield f"Pixels with any difference, however small: {thousands(record.differing_pixels)}."
    for note in (*record.warnings, *record.notes):
        yield visible(note)


def _is_scaled(record: ComparisonRecord) -> bool:
    """Return whether the actual image was resampled to be compared."""
    expected, actual = record.expected, record.actual
    if record.size_policy != "scale" or expected is None or actual is None:
        return False
    return (expected.width, expected.height) != (actual.width, actual.height)


DataKind = Literal["run", "details", "pixels", "piece"]

# JSON has these only inside strings, where an escape means the same character.
_ESCAPES = {b"<": rb"\u003c", "\u2028".encode(): rb"\u2028", "\u2029".encode(): rb"\u2029"}


def literal(value: msgspec.Struct | Mapping[str, str] | list[str]) -> bytes:
    """Return the value as a JavaScript expression that is also safe inside an HTML document.

    JSON is valid JavaScript since ECMA-262 of 2019. ``<`` is escaped, so that no value can end a script element or
    start a comment in it. Line separators are escaped because older engines reject them.

    Raises:
        ReportError: a string contains a lone surrogate, which UTF-8 cannot encode.
    """
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise ReportError(f"the report's data cannot be written: {visible(str(error))}") from error
    for character, escape in _ESCAPES.items():
        encoded = encoded.replace(character, escape)
    return encoded


def receiving(kind: DataKind, value: msgspec.Struct | Mapping[str, str]) -> bytes:
    """Return the script that passes the value to the page: ``imgdiff.receive("run", {...});``."""
    return b'imgdiff.receive("%s",%s);\n' % (kind.encode(), literal(value))


LARGEST = 4 << 20
"""Most bytes of an image that gets a script. The script is a third larger and must be read as a whole."""
MOST_TOGETHER = 32 << 20
"""Most bytes of all these images in a report. The worst comparisons come first."""
PLACE = "@DATA@"
"""Percent-encoded URLs do not contain this."""


def companions_of(directory: Path, records: Iterable[ComparisonRecord]) -> dict[str, str]:
    """Return the images that get a companion script, and its path; both below the report's folder.

    These are existing files of both sides of comparisons that failed or have a warning.

    Args:
        directory: the report's folder.
        records: in the order of the list.

    Raises:
        ReportError: an image path leads out of the folder.
    """
    chosen: dict[str, str] = {}
    left = MOST_TOGETHER
    for record in records:
        if outcome_of(record) == "passed":
            break  # the list has all failures and warnings first
        for path in _sides(record):
            size = _file_size(directory / path)
            if path not in chosen and media_type(path) is not None and size is not None and size <= min(LARGEST, left):
                chosen[path] = f"{path}.js"
                left -= size
    return chosen


def _sides(record: ComparisonRecord) -> Iterator[str]:
    """Yield the paths of both sides, then those of each frame."""
    for shown in (record, *(frame_as_comparison(record, frame) for frame in record.frames)):
        yield from (picture_path(shown, side) for side in SIDES if side in shown.artefacts)


def write_companions(directory: Path, companions: Mapping[str, str]) -> None:
    """Write the script next to each image.

    Raises:
        ReportError: a script cannot be written.
    """
    for path, script in companions.items():
        address = data_address(directory, path)
        if address is not None:
            # Base64 needs no escapes in a script, so the long part is inserted unchanged.
            before, after = receiving("pixels", {"href": address_of(path), "data": PLACE}).split(PLACE.encode())
            replace_derived(directory / script, [before, *address, after])


def data_address(directory: Path, path: str) -> tuple[bytes, bytes] | None:
    """Return the image as a ``data:`` URL; None if it is unreadable or browsers do not show its format.

    Returns:
        The start of the URL, and the image in base64. They are separate to avoid copying megabytes.
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
    """Return the media type for the file extension; None if browsers do not show the format."""
    name = EXTENSIONS.get(PurePosixPath(path).suffix.lower())
    return None if name is None else KINDS[name].media_type


def _file_size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # missing, or an invalid file name
        return None


ID_DIGITS = 12
SORTED_BY = 3
"""Number of features in the sorted index, which avoids comparing each change with every other."""


def same_change(fingerprints: Iterable[str]) -> dict[str, str]:
    """Return the group of comparisons with the same change for each fingerprint; single comparisons have no group.

    Every member of a group is similar to its representative, the most frequent fingerprint, so chains of small steps do
    not join different changes. Groups do not depend on the order of the fingerprints. The representative names the
    group, so the name is stable between runs as long as the change looks the same.

    Args:
        fingerprints: the fingerprints of all comparisons that have one.
    """
    frequency = Counter(fingerprints)
    representatives = dict(_representatives(frequency))
    sizes: Counter[str] = Counter()
    for text, first in representatives.items():
        sizes[first] += frequency[text]
    return {text: _id(first) for text, first in representatives.items() if sizes[first] > 1}


def _id(fingerprint: str) -> str:
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:ID_DIGITS]


def _representatives(frequency: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield each fingerprint and the representative of its group."""
    by_shape: defaultdict[tuple[tuple[int, int], ...], dict[str, Changes]] = defaultdict(dict)
    for text in sorted(frequency, key=lambda text: (-frequency[text], text)):
        changes = changes_of(text)
        if changes is not None:  # results.json may come from elsewhere: an invalid fingerprint is in no group
            by_shape[changes.shape][text] = changes
    for of_one_shape in by_shape.values():
        texts = list(of_one_shape)
        for first, group in _groups(list(of_one_shape.values())):
            yield from ((texts[index], texts[first]) for index in group)


def _groups(changes: Sequence[Changes]) -> Iterator[tuple[int, list[int]]]:
    """Yield the representative of each group, and its members: the first change left, and all similar ones left."""
    if len(changes) == 1:
        yield 0, [0]
        return
    import numpy as np  # not needed if all changes are equal

    outlines = _Outlines(changes)
    left = np.ones(len(changes), np.bool_)
    for first, representatives in enumerate(changes):
        if left[first]:
            group = [index for index in outlines.near(first, left) if representatives.is_similar(changes[index])]
            left[group] = False
            yield first, group


class _Outlines:
    """A fast necessary condition for two changes to be similar, checked for thousands at the same time.

    The first patch of one change must be similar to a patch of the other, so all its features must be close. Two
    features are close if the intervals around them, as wide as the tolerance, overlap.

    Args:
        changes: all with the same number of patches.
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
        reach = (least + share * magnitudes) / 2 * 1.0001 + 1e-4  # do not separate similar changes by rounding
        # On these scales all intervals have about the same width.
        scaled = [np.sign(ends) * np.log1p(abs(ends) * share / least) for ends in (numbers - reach, numbers + reach)]
        widths = (scaled[1] - scaled[0]).max(axis=0) + 1e-9
        most_telling_first = np.argsort(-scaled[0].std(axis=0) / widths, kind="stable")
        telling = most_telling_first[:SORTED_BY]
        cells = np.floor(scaled[0][:, telling] / widths[telling]).astype(np.int64)
        cells += 1 - cells.min(axis=0)  # an interval overlaps only those that start in its own or a neighbouring cell
        self._keys = _keys(cells, sizes := cells.max(axis=0) + 2)
        self._order = np.argsort(self._keys, kind="stable")
        self._sorted = self._keys[self._order]
        steps = [-1, 0, 1]
        neighbours = np.array([(*others, -1) for others in product(steps, repeat=SORTED_BY - 1)])
        self._neighbours = _keys(neighbours, sizes)
        self._begins, self._ends = (
            np.ascontiguousarray(ends.T[most_telling_first], np.float32) for ends in (numbers - reach, numbers + reach)
        )

    def near(self, first: int, left: NDArray[Any]) -> list[int]:
        """Return the remaining changes that may be similar to the first; all others are certainly not.

        Args:
            first: index of the change to compare with; it is similar to itself.
            left: (n,) of bool, whether each change is still ungrouped.
        """
        import numpy as np

        mine = first * self._each
        starts = self._keys[mine] + self._neighbours
        # The three cells of the last feature have consecutive keys.
        ranges = zip(np.searchsorted(self._sorted, starts), np.searchsorted(self._sorted, starts + 3), strict=True)
        patches = np.concatenate([self._order[start:end] for start, end in ranges if end > start])
        patches = patches[left[patches // self._each]]
        for begin, end in zip(self._begins, self._ends, strict=True):
            if len(patches) == 1:  # only the first change itself
                break
            patches = patches[(begin[patches] <= end[mine]) & (end[patches] >= begin[mine])]
        return sorted(set((patches // self._each).tolist()))


def _keys(cells: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one key for the cells of each row; cells of the last column have consecutive keys."""
    import numpy as np

    keys: NDArray[np.int64] = cells @ np.append(np.cumprod(sizes[:0:-1])[::-1], 1)
    return keys
