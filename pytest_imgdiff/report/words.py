"""Comparisons and runs as text for the terminal, the failing test and the page."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_args

from pytest_imgdiff.base.record import VerdictName
from pytest_imgdiff.base.text import IDENTICAL, IDENTICAL_PIXELS, counted, thousands, visible
from pytest_imgdiff.report.records import is_unsettled, overview_of
from pytest_imgdiff.report.scores import (
    MOST_VISIBLE,
    differing_pixels,
    limit_checks,
    passing_rule,
    phrase,
    sentence,
    worst_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_imgdiff.base.captured import CaptureInfo, Element
    from pytest_imgdiff.base.model import RegionKind
    from pytest_imgdiff.base.record import (
        BandRecord,
        ComparisonRecord,
        RegionRecord,
        RenameRecord,
        RunRecord,
        ScoreRecord,
        SideRecord,
    )
    from pytest_imgdiff.report.records import Overview

VERDICTS: tuple[VerdictName, ...] = get_args(VerdictName)
REGIONS_IN_TEXT = 3
NAMED_IN_TEXT = 6
"""Most regions with a line of their own, if their elements are known."""
LEAST_REDRAWN = 5
"""Failing comparisons from which another font renderer is assumed."""
BANDS_IN_TEXT = 3
MOST_FRAMES_NAMED = 20
"""Numbers or ranges of numbers."""
HEADLINES = {
    "different": "images differ",
    "missing": "no expected image",
    "unmatched": "no actual image",
    "resized": "sizes differ",
    "broken": "could not be judged",
    "match": "images match",
}
DEFAULT_REASONS = {
    "missing": "there is no expected image",
    "unmatched": "there is no actual image",
    "resized": "the sizes differ",
    "broken": "an image is unreadable",
}
KIND_WORDS: dict[RegionKind, str] = {
    "text": "text changed",
    "content": "content changed",
    "rendering": "rendering only",
}
"""Text for kinds of regions that do not describe themselves."""
EQUALITIES = {"bytes": IDENTICAL, "pixels": IDENTICAL_PIXELS}

NOT_FILES = frozenset({"array", "bytes", "figure", "file object", "PIL image"})
"""Labels of sources that are not files the reader could open."""


def counts(run: RunRecord) -> dict[str, int]:
    """Return the number of comparisons with each verdict, and the numbers ``passed`` and ``failed``."""
    overview = overview_of(run.comparisons)
    failed = overview.outcomes["failed"]
    verdicts: dict[str, int] = {verdict: overview.verdicts[verdict] for verdict in VERDICTS}
    return {**verdicts, "passed": len(run.comparisons) - failed, "failed": failed}


def summary_line(run: RunRecord) -> str:
    """Return the run in one line: ``130 comparisons: 7 failed (6 different, 1 broken), 123 passed``."""
    total = len(run.comparisons)
    if not total:
        line = "no image was compared"
    else:
        overview = overview_of(run.comparisons)
        failed = overview.outcomes["failed"]
        parts = []
        if failed:
            parts.append(f"{thousands(failed)} failed ({_failed_verdicts(overview)})")
        if overview.unasserted:
            parts.append(f"{thousands(overview.unasserted)} not asserted")
        passed = total - failed - overview.unasserted
        if passed:
            parts.append(_passed_part(overview, passed))
        line = f"{counted(total, 'comparison')}: {', '.join(parts)}{_skipped_part(overview)}"
    return line if run.complete else f"{line}; INCOMPLETE: {incompleteness(run)}"


def _skipped_part(overview: Overview) -> str:
    """Return the number of comparisons with skipped rules: a passing run must show that something was not checked."""
    return f"; rules SKIPPED in {thousands(overview.skipped)} of them" if overview.skipped else ""


def settings_words(run: RunRecord) -> str:
    """Return the settings files in use: ``settings: imgdiff.yaml``."""
    return f"settings: {visible(', '.join(run.settings)) or 'defaults (no imgdiff.yaml)'}"


def incompleteness(run: RunRecord) -> str:
    """Return what is missing from an incomplete run: ``3 of the collected items did not finish``."""
    if run.unrecorded:
        return f"{thousands(len(run.unrecorded))} of the collected items did not finish"
    return "the run did not finish"


def redrawn_line(run: RunRecord) -> str | None:
    """Return the message that another font renderer explains most failures; None if it does not.

    Another renderer changes every page with text. So most failing comparisons must be redrawn, at least
    `LEAST_REDRAWN`, and more than have equal pixels.
    """
    overview = overview_of(run.comparisons)
    failed = overview.failed_verdicts["different"] + overview.failed_verdicts["resized"]
    redrawn = overview.redrawn
    if redrawn < LEAST_REDRAWN or 2 * redrawn <= failed or redrawn <= overview.equal:
        return None
    return (
        f"the font rendering differs: in {thousands(redrawn)} of "
        f"{thousands(failed)} failing comparisons nearly all text differs and the background does not. Check that the "
        "baselines were made with the same fonts, browser version and operating system. Run the tests in the container "
        "image that made them, or accept the new images: pytest-imgdiff accept REPORT. "
        "See docs/browsers.md"
    )


def rename_line(rename: RenameRecord) -> str:
    """Return one line: the unused baseline, the renamed test that it belongs to, and its new path."""
    how = "is equal to the image of" if rename.equal else "passes for the image of"
    return visible(f"{rename.old} {how} {rename.name}; rename it to {rename.new}")


def verdict_line(record: ComparisonRecord) -> str:
    """Return one line: ``fails ssim: 0.98 < 0.99; passes orb 0.9 >= 0.8; 1 region, 240x64 at 16,80``."""
    parts = [_verdict_words(record)]
    frames = failing_frames(record)
    if frames is not None:
        parts.append(frames)
    unsteady = unsteady_words(record)
    if unsteady is not None:
        parts.append(f"unsteady: {unsteady}")
    if record.passed:
        parts += _below_limits(record)
        parts += _made_comparable(record)
        parts += map(visible, [*record.warnings, *record.notes])
    elif not record.asserted:
        parts.append("not asserted")
    if record.written is not None:
        parts.append(f"baseline written: {visible(record.written)}")
    return "; ".join(parts)


def named_line(record: ComparisonRecord) -> str:
    """Return the name and the `verdict_line`."""
    return f"{visible(record.name)}: {verdict_line(record)}"


def measured_words(record: ComparisonRecord) -> list[str]:
    """Return the measured-only metrics, one line each: ``orb: 0.93``.

    Metrics that could not be measured because a model or backend is missing are reported once for the whole run.
    """
    return [
        f"{visible(score.metric)}: {phrase(score)}"
        for score in record.scores
        if score.measured and score.omitted is None
    ]


def _scores_with_limits(record: ComparisonRecord) -> list[ScoreRecord]:
    return [score for score in record.scores if not score.measured]


def failure_text(record: ComparisonRecord, *, directory: str | None, shown: Callable[[str], str] | None = None) -> str:
    """Return everything a person needs to understand a failed comparison.

    Args:
        record: the failed comparison.
        directory: the report's folder as shown to the user; None if no images were written.
        shown: returns the path to show for a recorded path; default: the recorded path.

    Returns:
        Lines, without a final newline: the verdict, every rule, the limits that would have passed, the
        regions, the paths, what to do and the command that accepts the change.
    """
    if record.passed:
        return named_line(record)
    lines = [f"{_headline(record)}: {visible(record.name)}"]
    facts = [
        *_outcome_lines(record),
        *_attachment_lines(record, shown or str),
        *_path_lines(record, directory, shown or str),
        *_advice_lines(record),
    ]
    width = max((len(label) for label, _ in facts), default=0) + 1
    lines += [f"  {label + ':':<{width}} {text}" for label, text in facts]
    return "\n".join(lines)


def failure_summary(record: ComparisonRecord) -> str:
    """Return why a comparison failed, in one line: ``34x18 at 310,12 text changed; visible 223 px, 4.2 > 1``."""
    expected, actual = record.expected, record.actual
    if record.verdict == "resized" and expected is not None and actual is not None:
        return f"expected {size_words(expected)}, actual {size_words(actual)}"
    failed = [
        f"{visible(score.metric)} {phrase(score, with_evidence=False)}" for score in record.scores if not score.passed
    ]
    return _reason(record) or "; ".join([*_largest_change(record), *failed])


def _largest_change(record: ComparisonRecord) -> list[str]:
    """Return what changed in the largest region: its element, or its box, its kind, and how many more there are."""
    if not record.regions:
        return []
    region = record.regions[0]
    element = region.element
    words = _kind_of_region(region)
    where = _box(region) if element is None else element_words(element)
    more = f" and {counted(record.region_count - 1, 'more region')}" if record.region_count > 1 else ""
    return [f"{where}{words and f' {words}'}{more}"]


def _headline(record: ComparisonRecord) -> str:
    """Return the first words of a failure: ``images differ (34x18 at 310,12 moved; visible 9 px, 4.2 > 1)``."""
    words = HEADLINES[record.verdict]
    return f"{words} ({failure_summary(record)})" if record.verdict in ("different", "resized") else words


def region_words(region: RegionRecord) -> str:
    """Return a region's element, if known, and its box: ```nav > a` 'New' (link), 34x18 at 310,12``."""
    element = region.element
    return box_words(region) if element is None else f"{element_words(element)}, {box_words(region)}"


def element_words(element: Element) -> str:
    """Return a page element as path, name (or text) and role: ```nav > a.badge` 'New' (link)``."""
    said = element.name or element.text
    quoted = "" if said is None else f" '{visible(said)}'"
    role = "" if element.role is None else f" ({visible(element.role)})"
    return f"`{visible(element.path)}`{quoted}{role}"


def elements_of(record: ComparisonRecord) -> list[Element]:
    """Return the distinct elements under a comparison's regions, the one under the largest region first."""
    return list({region.element.path: region.element for region in record.regions if region.element}.values())


def capture_facts(record: ComparisonRecord) -> list[tuple[str, str]]:
    """Return the known facts about the capture as labels and values; empty if nothing was captured."""
    capture = record.capture
    if capture is None:
        return []
    facts = []
    if capture.url is not None:
        title = f" '{visible(capture.title)}'" if capture.title else ""
        facts.append(("page", f"{visible(capture.url)}{title}"))
    taken = f"{visible(capture.target)}, {counted(capture.attempts, 'capture')}"
    facts.append(("captured", ", ".join([taken, *_capture_conditions(capture)])))
    unsteady = unsteady_words(record)
    if unsteady is not None:
        facts.append(("unsteady", unsteady))
    return facts


def _capture_conditions(capture: CaptureInfo) -> Iterator[str]:
    if capture.browser is not None:
        yield visible(f"{capture.browser} {capture.browser_version or ''}".strip())
    if capture.viewport is not None:
        yield f"viewport {capture.viewport[0]}x{capture.viewport[1]}"
    if capture.device_scale is not None:
        yield f"device scale {capture.device_scale:g}"
    if capture.color_scheme is not None:
        yield visible(capture.color_scheme)
    for selector in capture.unmatched_masks:
        yield f"mask {visible(selector)} matched no element"


def unsteady_words(record: ComparisonRecord) -> str | None:
    """Return ``4 captures until two were equal``; None if the first two were equal or no two were."""
    capture = record.capture
    if capture is None or capture.steady or record.verdict == "broken":
        return None  # the reason says that it never became stable
    return f"{thousands(capture.attempts)} captures until two were equal"


def box_words(region: RegionRecord) -> str:
    """Return a region's box and, if known, its kind: ``240x64 at 16,80 (moved by 14,-6)``."""
    kind = _kind_of_region(region)
    return _box(region) + (f" ({kind})" if kind else "")


def _box(region: RegionRecord) -> str:
    return f"{region.width}x{region.height} at {region.x},{region.y}"


def _kind_of_region(region: RegionRecord) -> str:
    """Return a region's kind in words: ``moved by 14,-6``; empty if it is unknown."""
    if region.kind == "changed":
        return ""
    moved = "" if region.moved is None else f" by {region.moved[0]},{region.moved[1]}"
    return f"{KIND_WORDS.get(region.kind, region.kind)}{moved}"


def kinds_of(record: ComparisonRecord) -> list[RegionKind]:
    """Return the kinds of regions of a comparison and its frames, ordered by area."""
    areas: Counter[RegionKind] = Counter()
    for region in (*record.regions, *(region for frame in record.frames for region in frame.regions)):
        if region.kind != "changed":
            areas[region.kind] += region.area
    return [kind for kind, _ in areas.most_common()]


def size_words(side: SideRecord) -> str:
    """Return a side's size in pixels: ``800x600``."""
    return f"{side.width}x{side.height}"


def accept_command(record: ComparisonRecord) -> str | None:
    """Return the command that accepts the actual image; None if there is none to accept."""
    return None if record.accept is None or record.actual is None else visible(record.accept)


def nearest_limits(record: ComparisonRecord) -> str | None:
    """Return the nearest limits that would have passed: ``perceptual: {max: 0.00804}, ssim: {min: 0.987}``.

    None if nothing failed, or if no limit would make the comparison pass.
    """
    if any(frame.reason is not None for frame in record.frames if not frame.passed):
        return None
    if record.verdict == "different" and record.reason is not None:  # such as durations, which no metric measures
        return None
    rules = [passing_rule(score) for score in _worst_scores(record) if not score.passed]
    known = [rule for rule in rules if rule is not None]
    return ", ".join(known) if known and len(known) == len(rules) else None


def _worst_scores(record: ComparisonRecord) -> list[ScoreRecord]:
    """Return the worst score of each rule over all frames: if it meets a limit, all frames do."""
    of_frames = [score for frame in record.frames for score in frame.scores]
    return [worst_of([score, *(one for one in of_frames if one.metric == score.metric)]) for score in record.scores]


def size_choice(record: ComparisonRecord) -> str | None:
    """Return how two images of unequal size were compared; None if they have equal sizes."""
    expected, actual = record.expected, record.actual
    if record.size_policy == "fail" or expected is None or actual is None or size_words(expected) == size_words(actual):
        return None
    if record.compared_width is None:  # an earlier error; the reason describes it
        return None
    compared = f"{record.compared_width}x{record.compared_height}"
    done = {
        "pad": f"both were padded with transparency to {compared}",
        "crop": f"both were cropped to {compared}",
        "scale": f"the actual image was resampled to {compared}",
    }[record.size_policy]
    return f"expected {size_words(expected)}, actual {size_words(actual)}: {done} (size: {record.size_policy})"


def failing_frames(record: ComparisonRecord) -> str | None:
    """Return which frames or pages fail: ``2 of 4 frames fail: 0, 3``; None if there is only one frame."""
    if record.frame_count < 2:  # noqa: PLR2004 - several
        return None
    failed = [frame.frame for frame in record.frames if not frame.passed]
    of_all = f"{thousands(len(failed))} of {counted(record.frame_count, 'frame')}"
    verb = "fails" if len(failed) == 1 else "fail"
    return f"{of_all} {verb}: {_numbers(failed)}" if failed else None


def _numbers(ascending: Sequence[int]) -> str:
    """Return numbers as text, with ranges: ``0, 3-5, 9``."""
    runs: list[list[int]] = []
    for value in ascending:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    more = len(words) - MOST_FRAMES_NAMED
    return ", ".join(words[:MOST_FRAMES_NAMED]) + (", ..." if more > 0 else "")


def replaced_frames(record: ComparisonRecord) -> str | None:
    """Return what accepting replaces if that is more than one frame or page: the whole file, whichever frames fail."""
    expected, actual = record.expected, record.actual
    if expected is None or actual is None or max(expected.frames, actual.frames) < 2:  # noqa: PLR2004 - several
        return None
    before = "both" if expected.frames == 2 else f"all {thousands(expected.frames)}"  # noqa: PLR2004 - both
    words = f"{before} frames" if expected.frames > 1 else "1 frame"
    if expected.frames != actual.frames:
        words += f" with {thousands(actual.frames)}"
    failed = sum(not frame.passed for frame in record.frames)
    if record.frame_count == 1:
        return f"replaces {words}; only frame {actual.frame} was compared"
    return f"replaces {words}; {thousands(failed)} {'fails' if failed == 1 else 'fail'}"


def _verdict_words(record: ComparisonRecord) -> str:
    if record.equal is not None and record.passed:
        return EQUALITIES[record.equal]
    reason = _reason(record)
    aligned = alignment_words(record)
    elements = elements_of(record)
    if aligned is not None and elements:
        aligned = f"{aligned}; under the largest region: {element_words(elements[0])}"
    if reason is not None and aligned is not None:
        reason = f"{reason}; {aligned}"
    if reason is not None and record.passed and record.written is None:
        return f"{reason} (allowed by the policy)"
    if reason is not None:
        return reason
    parts = [sentence(score) for score in sorted(_scores_with_limits(record), key=_failed_then_warned)]
    if aligned is not None:
        parts.append(aligned)
    elif record.region_count:
        parts.append(_regions_in_one_line(record))
    return "; ".join(parts) or record.verdict


def _below_limits(record: ComparisonRecord) -> Iterator[str]:
    """Yield how many pixels differ although all limits are met, unless a rule counted the same pixels."""
    counts = {differing_pixels(score) for score in _scores_with_limits(record)}
    if is_unsettled(record) and record.verdict == "match" and record.differing_pixels not in counts:
        yield f"{thousands(record.differing_pixels or 0)} px differ below the limits"


def _made_comparable(record: ComparisonRecord) -> Iterator[str]:
    """Yield how two images with different sizes or frames were made comparable."""
    size = size_choice(record)
    if size is not None:
        yield size
    expected, actual = record.expected, record.actual
    if expected is not None and actual is not None and expected.frames != actual.frames:
        yield f"frame {expected.frame} of {expected.frames} with frame {actual.frame} of {actual.frames}"


def _failed_then_warned(score: ScoreRecord) -> int:
    return 0 if not score.passed else 1 if score.warned else 2


def _reason(record: ComparisonRecord) -> str | None:
    return visible(record.reason) if record.reason else DEFAULT_REASONS.get(record.verdict)


def alignment_words(record: ComparisonRecord) -> str | None:
    """Return what was inserted, deleted and moved: ``43 rows inserted at y = 47; the rest equal, moved down by 43``.

    None if the pair is compared in place.
    """
    alignment = record.alignment
    if alignment is None:
        return None
    content = [band for band in alignment.bands if not (band.plain or band.moved)]
    bands = content if content or alignment.moves else alignment.bands
    parts = [_band_words(record, band) for band in bands[:BANDS_IN_TEXT]]
    parts += [
        f"{move.width}x{move.height} at {move.x},{move.y} moved by {move.dx},{move.dy}"
        for move in alignment.moves[: BANDS_IN_TEXT - len(parts)]
    ]
    more = len(bands) + len(alignment.moves) - len(parts)
    words = ", ".join(parts) + (f", and {more} more" if more > 0 else "")
    rest = record.region_count - len(bands) - len(alignment.moves)
    if rest > 0:
        return f"{words}; {counted(rest, 'more region')} differ" + ("s" if rest == 1 else "")
    return f"{words}; the rest equal{_shift_words(alignment.bands)}"


def _band_words(record: ComparisonRecord, band: BandRecord) -> str:
    x, y, width, height = band.actual if band.kind == "inserted" else band.expected
    side = record.actual if band.kind == "inserted" else record.expected
    lines, axis, place, across, extent = (
        (height, "row", f"y = {y}", x, width) if band.axis == "rows" else (width, "column", f"x = {x}", y, height)
    )
    full = side is not None and extent == (side.width if band.axis == "rows" else side.height)
    what = f"plain {axis}" if band.plain else axis
    where = place if full else f"{place}, {'x' if band.axis == 'rows' else 'y'} = {across} to {across + extent - 1}"
    return f"{counted(lines, what)} {band.kind} at {where}"


def _shift_words(bands: Sequence[BandRecord]) -> str:
    """Return how far everything after a single band moved."""
    if len(bands) != 1:
        return ""
    (band,) = bands
    _, _, width, height = band.actual if band.kind == "inserted" else band.expected
    lines = height if band.axis == "rows" else width
    directions = {
        ("inserted", "rows"): "down",
        ("deleted", "rows"): "up",
        ("inserted", "columns"): "right",
        ("deleted", "columns"): "left",
    }
    return f", moved {directions[band.kind, band.axis]} by {thousands(lines)}"


def _regions_in_one_line(record: ComparisonRecord) -> str:
    regions = counted(record.region_count, "region")
    if not record.regions:
        return regions
    largest = region_words(record.regions[0])
    if record.region_count == 1:
        return f"{regions}, {largest}"
    numbers = Counter(region.kind for region in record.regions if region.kind != "changed")
    if len(numbers) > 1:
        kinds = (f"{thousands(number)} {KIND_WORDS.get(kind, kind)}" for kind, number in numbers.most_common())
        regions += f" ({', '.join(kinds)})"
    return f"{regions}, largest {largest}"


def _outcome_lines(record: ComparisonRecord) -> Iterator[tuple[str, str]]:
    reason = _reason(record)
    if reason is not None:
        yield "reason", reason
    for score in sorted(_scores_with_limits(record), key=_failed_then_warned):
        if score.omitted is not None:
            yield "omits", f"{visible(score.metric)}: {visible(score.omitted)}"
            continue
        verdict, words = sentence(score).split(" ", 1)
        yield verdict, words + _margin_words(score)
    limits = nearest_limits(record)
    if limits is not None:
        yield "would pass", limits
    yield from (("measured", words) for words in measured_words(record))
    frames = failing_frames(record)
    if frames is not None:
        shown = "" if record.expected is None else f" (counted from 0; the rest is about frame {record.expected.frame})"
        yield "frames", frames + shown
    aligned = alignment_words(record)
    if aligned is not None:
        yield "aligned", aligned
    yield from _region_lines(record)
    size = size_choice(record)
    if size is not None:
        yield "size", size
    yield from capture_facts(record)
    yield from (("warning", visible(warning)) for warning in record.warnings)
    yield from (("note", visible(note)) for note in record.notes)


def _margin_words(score: ScoreRecord) -> str:
    if score.metric == "visible" and score.value == MOST_VISIBLE:
        return f" ({score.value:g} is the largest value)"
    margins = [check.margin for check in limit_checks(score) if not check.is_met]
    return f" ({', '.join(margins)})" if margins else ""


def _region_lines(record: ComparisonRecord) -> Iterator[tuple[str, str]]:
    """Yield the regions in one line or, if elements are known, one line for each of the largest."""
    shown = record.regions[:NAMED_IN_TEXT]
    if not record.region_count:
        return
    if all(region.element is None for region in shown):
        yield "regions", _largest_regions(record)
        return
    more = f", here are the {len(shown)} largest; the report has all" if record.region_count > len(shown) else ""
    yield "regions", f"{thousands(record.region_count)}{more}"
    for number, region in enumerate(shown, start=1):
        yield f"region {number}", region_words(region)


def _largest_regions(record: ComparisonRecord) -> str:
    shown = record.regions[:REGIONS_IN_TEXT]
    boxes = ", ".join(region_words(region) for region in shown)
    if not shown:
        return thousands(record.region_count)
    if record.region_count <= len(shown):
        return f"{thousands(record.region_count)}: {boxes}"
    return f"{thousands(record.region_count)}, largest: {boxes}"


def _attachment_lines(record: ComparisonRecord, shown: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    for what, path in () if record.capture is None else record.capture.attachments.items():
        yield visible(what), visible(shown(path))


def _path_lines(
    record: ComparisonRecord, directory: str | None, shown: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    for name, side in (("expected", record.expected), ("actual", record.actual)):
        picture = _picture_path(record, name, directory)
        if side is not None:
            is_file = not (side.label in NOT_FILES or (record.capture and side.label == record.capture.target))
            text = f"{visible(shown(side.label) if is_file else side.label)} ({size_words(side)})"
            yield name, text if is_file or picture is None else f"{text}, shown in {picture}"
        elif picture is not None:
            yield name, picture
    mask = _picture_path(record, "mask", directory)
    if mask is not None:
        yield "difference", mask


def _picture_path(record: ComparisonRecord, name: str, directory: str | None) -> str | None:
    if directory is None or name not in record.artefacts:
        return None
    separator = "" if directory.endswith(("/", "\\")) else "/"
    return visible(f"{directory}{separator}{record.artefacts[name]}")


def _advice_lines(record: ComparisonRecord) -> Iterator[tuple[str, str]]:
    advice = {
        "missing": "accept the actual image as the expected one, or allow it: `missing: allow`",
        "unmatched": "find out why there is no actual image, delete the expected one, or allow it: `unmatched: allow`",
        "resized": "fix the size, accept the new one, or compare different sizes: `size: pad`, `crop` or `scale`",
        "broken": "fix the error; a comparison with an error never passes",
    }.get(record.verdict)
    if advice is not None:
        yield "to do", advice
    accept = accept_command(record)
    if accept is not None:
        yield "accept", accept
        replaces = replaced_frames(record)
        if replaces is not None:
            yield "replaces", replaces.removeprefix("replaces ")


def _failed_verdicts(overview: Overview) -> str:
    failed = overview.failed_verdicts
    return ", ".join(f"{thousands(failed[verdict])} {verdict}" for verdict in VERDICTS if failed[verdict])


def _passed_part(overview: Overview, passed: int) -> str:
    warnings = overview.outcomes["warned"] - overview.unasserted
    parts = [f"{thousands(warnings)} with a warning"] if warnings else []
    parts += [f"{thousands(overview.unsettled)} differ below the limits"] if overview.unsettled else []
    # A passing run must show that some pairs were not compared.
    nothing: tuple[VerdictName, ...] = ("missing", "unmatched")
    allowed = [f"{thousands(overview.allowed[name])} {name}" for name in nothing if overview.allowed[name]]
    parts += [f"{' and '.join(allowed)} allowed"] if allowed else []
    return f"{thousands(passed)} passed" + (f" ({', '.join(parts)})" if parts else "")
