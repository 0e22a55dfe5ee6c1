"""Records as what the page shows of a comparison that is looked at."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.builtin import GLANCE
from pytest_imgdiff.report.data import Accepts, Area, Card, Detail, Fact, FrameDetail, Glance, Part, Rule
from pytest_imgdiff.report.figures import figures, frame_as_comparison
from pytest_imgdiff.report.numbers import byte_size, number, percent
from pytest_imgdiff.report.overview import outcome_of
from pytest_imgdiff.report.scores import SIDES, classes, differing_pixels, limit_checks, measured, phrase, value_text
from pytest_imgdiff.report.text import thousands, visible
from pytest_imgdiff.report.words import (
    accept_command,
    box_words,
    capture_facts,
    element_words,
    nearest_limits,
    replaced_frames,
    size_choice,
    verdict_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_imgdiff.record import ComparisonRecord, FrameRecord, RegionRecord, ScoreRecord, SideRecord
    from pytest_imgdiff.report.figures import Pictures

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
