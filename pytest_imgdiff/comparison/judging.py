"""Two images of one frame, judged: sizes, ignore areas, equality, then the rules and the difference mask."""

from __future__ import annotations

import logging
import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pytest_imgdiff import images
from pytest_imgdiff.base.derived import common_depth, compared_pixels
from pytest_imgdiff.base.errors import BrokenImageError, MetricError, ModelUnavailableError
from pytest_imgdiff.base.model import AUTO, DEFAULT_RULES, Comparison, MetricResult, Region, Score, SizePolicy, Verdict
from pytest_imgdiff.comparison.alignment import align
from pytest_imgdiff.comparison.kinds import classify, is_redrawn
from pytest_imgdiff.comparison.masks import ignore_mask, painted
from pytest_imgdiff.comparison.regions import contour_mask, contour_regions, difference_mask, find_regions
from pytest_imgdiff.comparison.scoring import score
from pytest_imgdiff.comparison.sizes import same_size, with_pixels
from pytest_imgdiff.config.policy import could_fail, worst_value
from pytest_imgdiff.images.differing import decoded_share, differing_pixels, differing_rows, equal_pixels, windows
from pytest_imgdiff.networks.backends import nothing_installed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_imgdiff.base.geometry import Alignment, Box, Mask
    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.base.model import Metric, Policy, RegionKind, Rule
    from pytest_imgdiff.comparison.registry import Registry

USUAL_MASK_METRIC = "perceptual"
LAST_MASK_METRIC = "pixel_match"
"""Paints the mask where the policy's own choice sees nothing although the pair fails."""

ALL_IGNORED = "the ignore areas cover the whole picture: nothing was compared"

NO_MEMORY = "there is not enough memory to decode both pictures"

MOST_BYTES = 128
"""Bytes for each pixel, and for each byte of a channel, that no pair takes beyond: no need to count more exactly."""
MARKS, HEAT = 8, 4
"""Bytes for each pixel: while a pair is read, and what a metric's heat takes at the most."""
MOST_UNKNOWN = 16
"""Bytes for each pixel, and as many for each byte of a channel, that a metric is taken to hold that does not say it."""

ROUNDING = 1e-6
"""By how much a value may be better than that of equal pictures, or as a share of it worse than the worst possible one,
before it is a fault of the metric."""

ALIGNED_ROWS = 24
"""A difference in fewer rows is told as it lies: nothing much can have moved."""
CONTEXT = 64
"""Rows above and below those that differ that are aligned with them: lines that are equal are what it holds on to."""
STILL_DIFFERENT = 0.5
"""An alignment is told where at most this share of the differing pixels is left."""
BANDS_SHARE = 0.6
"""And where its bands take at most this share of the box around all that differs in place."""
AROUND = 16
"""Rows around what is still different that a metric sees as well."""
ALIGNING_BYTES = 24
"""Bytes that aligning takes for each pixel and each byte of a channel: both pictures, one laid out, marks and lines."""

DIGEST_SHOWN = 12
"""Characters of a SHA-256 that tell two profiles apart in a line; a cICP value has them all."""

_log = logging.getLogger(__name__)


def judge(name: str, expected: Image, actual: Image, policy: Policy, registry: Registry) -> Comparison:
    """Compare two decoded images of one frame each."""
    comparison = Comparison(
        name=name,
        verdict=Verdict.BROKEN,
        passed=False,
        policy=policy,
        expected=expected,
        actual=actual,
        warnings=_warnings(expected, actual),
        notes=_notes(expected, actual),
    )
    judged_only = replace(policy, measure=())
    if needed := _beyond_memory(expected, actual, judged_only, registry):
        return replace(comparison, reason=needed)
    if policy.measure and (needed := _beyond_memory(expected, actual, policy, registry)):
        comparison = replace(
            comparison, policy=judged_only, notes=(*comparison.notes, f"nothing was measured: {needed}")
        )
    sized = same_size(*common_depth(expected, actual), policy.size)
    if sized is None:
        reason = f"the sizes differ: expected {_size(expected)}, actual {_size(actual)}"
        resized = _measured_resampled(replace(comparison, verdict=Verdict.RESIZED, reason=reason), registry)
        return _looked_over(_drawn_resized(resized, common_depth(expected, actual), registry))
    try:
        ignore, ignore_notes = ignore_mask(policy.ignore, sized[0].size)
    except BrokenImageError as error:
        return replace(comparison, reason=str(error))
    comparison = replace(comparison, notes=comparison.notes + ignore_notes)
    if ignore is not None and ignore.all():
        return replace(comparison, ignored=1.0, reason=ALL_IGNORED)
    if ignore is not None and ignore.any():
        sized = (painted(sized[0], ignore), painted(sized[1], ignore))
        comparison = replace(comparison, ignored=float(ignore.mean()))
    else:
        ignore = None
    comparison = replace(comparison, compared=sized)
    try:
        equal = equal_pixels(*sized)
    except MemoryError:  # pixels are made when they are asked for
        return replace(comparison, reason=NO_MEMORY)
    return _equal(comparison, registry) if equal else _looked_over(_measured(comparison, ignore, registry))


def _looked_over(comparison: Comparison) -> Comparison:
    """Return a failing comparison that says whether nearly all of it was drawn again; see `kinds.is_redrawn`."""
    is_judged = comparison.verdict in (Verdict.DIFFERENT, Verdict.RESIZED)
    if not is_judged or comparison.passed or comparison.compared is None:
        return comparison
    return replace(comparison, redrawn=is_redrawn(*comparison.compared, comparison.regions))


def _beyond_memory(expected: Image, actual: Image, policy: Policy, registry: Registry) -> str | None:
    """Return why a pair takes more memory than it may, in words; None where it does not.

    Of a picture whose rows are decoded when they are asked for, what is asked for counts.
    """
    width, height = (max(sides) for sides in zip(expected.size, actual.size, strict=True))
    plane = width * height
    sides = expected, actual
    value_bytes = max(image.dtype.itemsize for image in sides)
    if plane * value_bytes * MOST_BYTES <= policy.memory:  # most pairs
        return None
    rules = {rule.metric: rule.options for rule in (*policy.measure, *policy.rules)}
    mask = _deciding(policy, registry) if policy.mask == AUTO else policy.mask
    metrics = [registry.metric(name, rules.get(name, ())) for name in dict.fromkeys([*rules, mask])]
    is_alike = expected.size == actual.size and expected.dtype == actual.dtype
    share = 1.0
    if all(hasattr(metric, "_margin") for metric in metrics) and not policy.ignore and is_alike:
        share = decoded_share(expected, actual)
    # The pixels, and while rows become pixels the same rows as they are stored, and a few planes of marks.
    pixels = sum(4 * image.dtype.itemsize * math.prod(image.size) * share for image in sides)
    read = plane * MARKS + sum(
        4 * image.dtype.itemsize * math.prod(image.size) * share * (1 if image.stored is None else 2) for image in sides
    )
    if policy.ignore or not is_alike:
        pixels += 2 * 4 * value_bytes * plane  # both are copied: painted, brought to one size or to one depth
    backdrops = 1 if expected.opaque and actual.opaque else 2
    held = [getattr(metric, "plane_bytes", (MOST_UNKNOWN, MOST_UNKNOWN)) for metric in metrics]
    # Gray and other forms are shared, and one metric at a time works; each may leave a heat.
    largest = max(always for always, _ in held) + value_bytes * max(by_width for _, by_width in held)
    needed = round(max(read, pixels + plane * (largest * backdrops + HEAT * len(metrics))))
    if needed <= policy.memory:
        return None
    names = ", ".join(metric.name for metric in metrics)
    return (
        f"{expected.info.label} and {actual.info.label}: comparing them takes about {images.in_mebibytes(needed)} of "
        f"memory ({width}x{height} pixels of {8 * value_bytes} bits a channel; {names}), more than `memory` allows "
        f"({images.in_mebibytes(policy.memory)}); raise `memory`, or compare smaller pictures or by fewer metrics"
    )


def _measured_resampled(comparison: Comparison, registry: Registry) -> Comparison:
    """Measure, for the reader, two pictures of unequal size whose policy is not to compare such ones."""
    policy, expected, actual = comparison.policy, comparison.expected, comparison.actual
    if not policy.measure or expected is None or actual is None:
        return comparison
    try:
        sized = same_size(*common_depth(expected, actual), SizePolicy.SCALE) or (expected, actual)
        ignore, _ = ignore_mask(policy.ignore, sized[0].size)
        if ignore is not None and ignore.any():
            sized = (painted(sized[0], ignore), painted(sized[1], ignore))
        bench = _Bench(*sized, ignore if ignore is not None and ignore.any() else None, registry)
        equal = equal_pixels(*sized)
    except (BrokenImageError, MemoryError):  # the verdict stands without
        return comparison
    scores = _perfect(policy.measure, registry) if equal else _just_measured(policy.measure, bench)
    scores = [replace(item, measured=True) for item in scores]
    note = f"measured with the actual image resampled to {_size(expected)}"
    notes = (*comparison.notes, note)
    return replace(comparison, scores=tuple(scores), results=bench.results, notes=notes)


def judge_equal(name: str, expected: Image, actual: Image, policy: Policy, registry: Registry) -> Comparison:
    """Settle two images of equal bytes, whose pixels are not asked for."""
    comparison = Comparison(
        name=name,
        verdict=Verdict.BROKEN,
        passed=False,
        policy=policy,
        expected=expected,
        actual=actual,
        notes=tuple(f"{expected.info.label}: {note}" for note in expected.info.notes),
    )
    if policy.ignore:
        try:
            ignore, ignore_notes = ignore_mask(policy.ignore, expected.size)
        except BrokenImageError as error:
            return replace(comparison, reason=str(error))
        comparison = replace(comparison, notes=comparison.notes + ignore_notes)
        if ignore is not None and ignore.all():
            return replace(comparison, ignored=1.0, reason=ALL_IGNORED)
        comparison = replace(comparison, ignored=0.0 if ignore is None else float(ignore.mean()))
    return replace(_equal(replace(comparison, compared=(expected, actual)), registry), equal="bytes")


def _equal(comparison: Comparison, registry: Registry) -> Comparison:
    policy = comparison.policy
    measured = (replace(item, measured=True) for item in _perfect(_measured_only(policy), registry))
    scores = (*_perfect(policy.rules, registry), *measured)
    return replace(comparison, verdict=Verdict.MATCH, passed=True, equal="pixels", scores=scores, differing_pixels=0)


def _perfect(rules: Iterable[Rule], registry: Registry) -> list[Score]:
    """Return what the metrics of these rules would measure of equal pictures."""
    scores = []
    for rule in rules:
        metric = registry.metric(rule.metric, rule.options)
        details = {"pixels": 0} if metric.counts_pixels else {}
        scores.append(score(rule, metric, MetricResult(metric.perfect, metric.unit, details=details)))
    return scores


def _measured_only(policy: Policy) -> list[Rule]:
    """Return what is measured beside the rules: a metric with a rule is measured by that."""
    ruled = {rule.metric for rule in policy.rules}
    return [rule for rule in policy.measure if rule.metric not in ruled]


def _measured(comparison: Comparison, ignore: Mask | None, registry: Registry) -> Comparison:
    bench = _Bench(*_both(comparison), ignore, registry)
    scores = _scores(comparison.policy.rules, bench)
    unmeasured = [f"{item.reason}" for item in scores if item.value is None and item.omitted is None]
    if all(item.omitted for item in scores):
        unmeasured = [f"nothing was judged: {'; '.join(f'{item.metric} {item.omitted}' for item in scores)}"]
    passed = all(item.passed for item in scores)
    if passed and not unmeasured:
        unmeasured = _unfailing(scores, bench, comparison.policy)
    verdict = Verdict.BROKEN if unmeasured else Verdict.MATCH if passed else Verdict.DIFFERENT
    comparison = replace(
        comparison,
        verdict=verdict,
        passed=passed and not unmeasured,
        reason="; ".join(unmeasured) or None,
        scores=(*scores, *_just_measured(_measured_only(comparison.policy), bench)),
        differing_pixels=differing_pixels(bench.expected, bench.actual),
    )
    comparison = _allowed(_with_mask(comparison, bench), bench)
    return comparison if comparison.passed or unmeasured else _aligned(comparison, bench)


def _allowed(comparison: Comparison, bench: _Bench) -> Comparison:
    """Return a failing comparison as passed where the policy lets every region through by its kind.

    It never passes where something besides these regions may fail: where a rule has no value, or was not measured
    because another failed; where a rule fails whose metric did not paint the mask; where pixels that this metric counts
    are in no region; where a region's kind was not worked out.
    """
    chosen = dict(comparison.policy.kinds)
    kinds = Counter(region.kind for region in comparison.regions)
    if comparison.verdict is not Verdict.DIFFERENT or not kinds or any(kind not in chosen for kind in kinds):
        return comparison
    rules = [item for item in comparison.scores if not item.measured]
    failing = [item for item in rules if not item.passed]
    undecided = {rule.metric for rule in comparison.policy.rules if rule.when == "undecided"}
    if any(item.omitted is not None and item.metric in undecided for item in rules):
        return comparison
    if any(item.metric != comparison.mask_metric for item in failing) or not _hold_everything(comparison, bench):
        return comparison
    words = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    reason = f"{'1 region differs' if kinds.total() == 1 else f'{kinds.total()} regions differ'}: {words}"
    warned = [kind for kind in kinds if chosen[kind] == "warn"]
    if warned:
        warning = f"passes with a warning by its kind ({', '.join(warned)})"
        return replace(comparison, passed=True, reason=reason, warnings=(*comparison.warnings, warning))
    note = f"passes by its kind ({', '.join(kinds)})"
    return replace(comparison, passed=True, reason=reason, notes=(*comparison.notes, note))


def _hold_everything(comparison: Comparison, bench: _Bench) -> bool:
    """Whether each pixel that the mask's metric counts is in one of the regions."""
    mask, name = comparison.mask, comparison.mask_metric
    if mask is None or name is None:
        return False
    counted = bench.results[name].details.get("pixels")
    marked = int(np.count_nonzero(mask))
    return counted == marked == sum(region.area for region in comparison.regions)


def _unfailing(scores: list[Score], bench: _Bench, policy: Policy) -> list[str]:
    """Return why this pair has not passed, though every limit holds: a rule that any two such pictures pass."""
    image = bench.expected
    pixels = compared_pixels(image, bench.ignore)
    reasons = []
    for rule, item in zip(policy.rules, scores, strict=True):
        metric = bench.registry.metric(rule.metric, rule.options)
        if item.omitted is not None or could_fail(rule, metric, (image.dtype,), pixels, image.size):
            continue
        window = rule.max_in_window
        if window is not None and could_fail(replace(rule, max_pixels=None), metric, (image.dtype,)):
            most = f"max_in_window allows {window.pixels} pixels"
            told = f"{most}, and a window in this picture has only {window.room(image.size)}; name fewer pixels"
        elif rule.max_pixels is not None and could_fail(rule, metric, (image.dtype,)):
            told = f"max_pixels is {rule.max_pixels}, and only {pixels} pixels are compared; name a smaller max_pixels"
        else:
            worst = worst_value(metric, image.dtype)
            depth = "floats" if image.dtype.kind == "f" else f"{8 * image.dtype.itemsize} bits"
            told = f"it is {worst:.15g} at the worst for pictures of {depth}; name a stricter limit"
        reasons.append(f"{rule.metric} could not fail for this pair: {told}")
    return reasons


def _scores(rules: tuple[Rule, ...], bench: _Bench) -> list[Score]:
    """Measure what is to be measured in any case, then, where that settles nothing, the rest."""
    scores: dict[str, Score] = {}
    for rule in sorted(rules, key=lambda rule: rule.when == "undecided"):  # stable: otherwise in the policy's order
        metric = bench.registry.metric(rule.metric, rule.options)
        if rule.when == "undecided" and not all(item.passed for item in scores.values()):
            scores[rule.metric] = _omitted(rule, metric, "not needed: another rule fails already")
            continue
        try:
            measured = score(rule, metric, bench.measure(metric))
            if not measured.passed:  # then somebody asks which limit would have passed
                measured = replace(measured, worst=worst_value(metric, bench.expected.dtype))
            scores[rule.metric] = measured
        except ModelUnavailableError as error:
            skipped = _omitted(rule, metric, f"skipped: {error}")
            scores[rule.metric] = skipped if rule.on_unavailable == "skip" else _unmeasured(rule, metric, str(error))
        except MetricError as error:
            scores[rule.metric] = _unmeasured(rule, metric, str(error))
    return [scores[rule.metric] for rule in rules]


def _just_measured(rules: Iterable[Rule], bench: _Bench) -> list[Score]:
    """Measure metrics whose values decide nothing; what cannot be measured is told in the score."""
    scores = []
    for rule in rules:
        metric = bench.registry.metric(rule.metric, rule.options)
        try:
            found = score(rule, metric, bench.measure(metric))
        except ModelUnavailableError as error:
            found = _omitted(rule, metric, f"not measured: {nothing_installed() or error}")
        except MetricError as error:
            found = replace(_unmeasured(rule, metric, str(error)), passed=True)
        scores.append(replace(found, measured=True))
    return scores


def _both(comparison: Comparison) -> tuple[Image, Image]:
    if comparison.compared is None:
        raise AssertionError(comparison.name)
    return comparison.compared


@dataclass(eq=False)
class _Bench:
    """Measures each metric at most once for this pair."""

    expected: Image
    actual: Image
    ignore: Mask | None
    registry: Registry

    def __post_init__(self) -> None:
        self.results: dict[str, MetricResult] = {}

    def measure(self, metric: Metric) -> MetricResult:
        """Return the metric's result; whatever goes wrong in it is a `MetricError`."""
        if metric.name not in self.results:
            try:
                result = metric.measure(self.expected, self.actual, self.ignore)
            except (MetricError, ModelUnavailableError):
                raise
            except Exception as error:  # a metric may be anybody's code: its failure is this pair's verdict
                _log.debug("metric %s failed", metric.name, exc_info=True)
                msg = f"the metric {metric.name} failed with {type(error).__name__}: {error}"
                raise MetricError(msg) from error
            self.results[metric.name] = _checked(result, metric, self.expected)
        return self.results[metric.name]


def _checked(result: object, metric: Metric, image: Image) -> MetricResult:
    """Return what a metric, which may be anybody's code, measured, with a plain number for its value.

    Raises:
        MetricError: it is nothing that a limit can be held against, or its heat is none of this picture.
    """
    if not isinstance(result, MetricResult):
        msg = f"the metric {metric.name} returned {result!r:.60}, which is no MetricResult"
        raise MetricError(msg)
    value = _number(result.value)
    if not math.isfinite(value):
        msg = f"the metric {metric.name} returned {result.value!r:.60}, which is no number to hold a limit against"
        raise MetricError(msg)
    better = metric.perfect - value if metric.direction == "distance" else value - metric.perfect
    if better > ROUNDING:
        msg = f"the metric {metric.name} returned {value}, which is better than its {metric.perfect} of equal pictures"
        raise MetricError(msg)
    worst = worst_value(metric, image.dtype)
    if abs(value - metric.perfect) > abs(worst - metric.perfect) * (1 + ROUNDING):
        msg = f"the metric {metric.name} returned {value}, which is worse than its worst possible value, {worst}"
        raise MetricError(msg)
    if result.heat is not None and not _is_heat(result.heat, image):
        msg = f"the metric {metric.name} returned a heat that is not (height, width) of uint8 or float32"
        raise MetricError(msg)
    return replace(result, value=value, unit=str(result.unit), details=dict(result.details))


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, (int, float, np.integer, np.floating)) else math.nan
    except OverflowError:  # an integer beyond all floats
        return math.inf


def _is_heat(heat: object, image: Image) -> bool:
    shape = image.size[::-1]
    return isinstance(heat, np.ndarray) and heat.shape == shape and heat.dtype in (np.uint8, np.float32)


def _unmeasured(rule: Rule, metric: Metric, reason: str) -> Score:
    return Score(
        metric=metric.name,
        value=None,
        unit=metric.unit,
        direction=metric.direction,
        limit=rule.max if metric.direction == "distance" else rule.min,
        max_pixels=rule.max_pixels,
        warn=rule.warn,
        passed=False,
        reason=reason,
        max_in_window=rule.max_in_window,
    )


def _omitted(rule: Rule, metric: Metric, why: str) -> Score:
    return replace(_unmeasured(rule, metric, ""), passed=True, reason=None, omitted=why)


def _with_mask(comparison: Comparison, bench: _Bench) -> Comparison:
    for metric in _mask_metrics(comparison, bench.registry):
        try:
            result = bench.measure(metric)
        except (MetricError, ModelUnavailableError):
            continue  # the score says why; another metric may still show where they differ
        if result.heat is None:
            continue
        by_contours = metric.heat_threshold == "otsu"
        margin = getattr(metric, "_margin", None)
        rows = None if margin is None else windows(bench.expected, bench.actual, margin)
        mask = contour_mask(result.heat) if by_contours else difference_mask(result.heat, "zero", rows)
        if mask.any():
            settings = comparison.policy.regions
            if by_contours:
                regions = contour_regions(mask, result.heat, settings.min_area)
            else:
                regions = find_regions(mask, result.heat, settings, rows)
            comparison = replace(
                comparison,
                mask=mask,
                mask_metric=metric.name,
                regions=_with_kinds(regions, comparison, mask),
            )
            break
    return replace(comparison, results=bench.results)


def _aligned(comparison: Comparison, bench: _Bench) -> Comparison:
    """Return a failing comparison as what was inserted, deleted and moved, where that explains clearly more."""
    pair = bench.expected, bench.actual
    in_place = comparison.mask
    if in_place is None or not _can_be_aligned(pair, comparison.policy):
        return comparison
    if np.count_nonzero(in_place.any(axis=1)) < ALIGNED_ROWS:
        return comparison
    differing = np.flatnonzero(differing_rows(*pair))
    top, bottom = max(0, int(differing[0]) - CONTEXT), min(bench.expected.size[1], int(differing[-1]) + 1 + CONTEXT)
    alignment = align(*(image.rows(top, bottom) for image in pair))
    if alignment is None:
        return comparison
    moved = [region.kind == "moved" for region in comparison.regions]
    width, height = bench.expected.size
    spans = any(band.box.width == width or band.box.height == height for band in alignment.shown)
    if not spans and (all(moved) or (not alignment.shown and any(moved))):
        return comparison  # its regions say so already
    alignment = alignment.below(top, (height, height))
    ignored = None if bench.ignore is None else (bench.ignore, bench.ignore)
    aligned = _by_alignment(comparison, pair, alignment, bench, ignored)
    still = sum(region.area for region in aligned.regions if region.kind not in _TOLD)
    _, _, across, down = cv2.boundingRect(in_place.view(np.uint8))
    told = sum(min(band.box.width, across) * min(band.box.height, down) for band in alignment.shown)
    if still > STILL_DIFFERENT * np.count_nonzero(in_place) or told > BANDS_SHARE * across * down:
        return comparison
    return _allowed_space(aligned, pair)


def _drawn_resized(comparison: Comparison, pair: tuple[Image, Image], registry: Registry) -> Comparison:
    """Show where two pictures of unequal size differ: aligned or, where that explains nothing, laid top left."""
    if not _can_be_aligned(pair, comparison.policy):
        return comparison
    ignored, notes = _ignored_in_each(pair, comparison.policy)
    comparison = replace(comparison, notes=(*comparison.notes, *notes))
    if ignored is not None:
        comparison = replace(comparison, ignored=float(ignored[1].mean()))
    alignment = align(*(image.pixels for image in pair))
    if alignment is None:
        padded = same_size(*pair, SizePolicy.PAD) or pair
        ignore = None
        if ignored is not None:
            ignore = np.zeros(padded[0].size[::-1], np.bool_)
            for mask in ignored:
                ignore[: mask.shape[0], : mask.shape[1]] |= mask
            padded = painted(padded[0], ignore), painted(padded[1], ignore)
        bench = _Bench(*padded, ignore, registry)
        shown = replace(_with_mask(replace(comparison, compared=padded), bench), results=comparison.results)
        return replace(shown, regions=tuple(_with_kind(one, pair[0].size, pair[1].size) for one in shown.regions))
    aligned = _by_alignment(comparison, pair, alignment, _Bench(*pair, None, registry), ignored)
    return _allowed_space(aligned, pair)


def _ignored_in_each(pair: tuple[Image, Image], policy: Policy) -> tuple[tuple[Mask, Mask] | None, list[str]]:
    """Return what the ignore areas cover in each of two pictures of unequal size, and notes.

    None where they cover nothing. A mask picture applies to the picture that has its size.
    """
    masks, problems = [], []
    for image in pair:
        mask = None
        try:
            mask, _ = ignore_mask(policy.ignore, image.size)
        except BrokenImageError as error:
            problems.append(f"the ignore areas were applied to one picture at the most: {error}")
        masks.append(np.zeros(image.size[::-1], np.bool_) if mask is None else mask)
    notes = problems[:1]
    return ((masks[0], masks[1]) if any(mask.any() for mask in masks) else None), notes


def _can_be_aligned(pair: tuple[Image, Image], policy: Policy) -> bool:
    width, height = (max(sides) for sides in zip(*(image.size for image in pair), strict=True))
    needed: int = width * height * pair[0].dtype.itemsize * ALIGNING_BYTES
    return needed <= policy.memory


_TOLD: tuple[RegionKind, ...] = ("inserted", "deleted", "moved")


def _by_alignment(
    comparison: Comparison,
    pair: tuple[Image, Image],
    alignment: Alignment,
    bench: _Bench,
    ignored: tuple[Mask, Mask] | None,
) -> Comparison:
    """Return the comparison with the mask and the regions that are left once the expected picture is laid out anew.

    What an ignore area covers in either picture is left out.
    """
    expected, actual = pair
    ignore = None if ignored is None else alignment.covered(*ignored)
    opaque = expected.opaque and actual.opaque
    laid = with_pixels(expected, alignment.laid_out(expected.pixels, actual.pixels), opaque=opaque)
    mask = alignment.new()
    if ignore is not None:
        mask &= ~ignore
    masks = {"inserted": ignore, "deleted": None if ignored is None else ignored[0]}
    regions = [_told(band.kind, band.box, masks[band.kind]) for band in alignment.shown]
    regions += [replace(_told("moved", move.actual, ignore), moved=(move.dx, move.dy)) for move in alignment.moved]
    regions = [region for region in regions if region.area]
    left, metric = _left_over(comparison, laid, actual, alignment, replace(bench, ignore=ignore))
    for region, part in left:
        regions.append(region)
        box = region.box
        mask[box.y : box.y + box.height, box.x : box.x + box.width] |= part
    if not regions:  # all of it is ignored
        return comparison
    regions.sort(key=lambda region: (-region.area, region.box.y, region.box.x))
    return replace(
        comparison,
        compared=(laid, actual),
        mask=mask,
        mask_metric=comparison.mask_metric or metric,
        regions=tuple(regions),
        alignment=alignment,
    )


def _told(kind: RegionKind, box: Box, ignore: Mask | None) -> Region:
    """Return a region of all pixels of a box that are not ignored."""
    covered = (
        0 if ignore is None else int(np.count_nonzero(ignore[box.y : box.y + box.height, box.x : box.x + box.width]))
    )
    return Region(box, box.width * box.height - covered, 1.0, kind)


def _left_over(
    comparison: Comparison, laid: Image, actual: Image, alignment: Alignment, bench: _Bench
) -> tuple[list[tuple[Region, Mask]], str]:
    """Return the regions that still differ, each with its part of the mask, and the metric that sees them."""
    rows = alignment.unequal_rows() if laid.dtype == np.uint8 else slice(0, actual.size[1])
    metrics = _mask_metrics(comparison, bench.registry)
    top, bottom = max(0, rows.start - AROUND), min(actual.size[1], rows.stop + AROUND)
    one, two = (with_pixels(image, image.pixels[top:bottom].copy(), opaque=image.opaque) for image in (laid, actual))
    if rows.stop <= rows.start or equal_pixels(one, two):
        return [], metrics[0].name
    ignore = None if bench.ignore is None else bench.ignore[top:bottom]
    if ignore is not None:
        one, two = painted(one, ignore), painted(two, ignore)
    part = replace(comparison, compared=(one, two), mask=None, mask_metric=None, regions=())
    part = _with_mask(part, _Bench(one, two, ignore, bench.registry))
    if part.mask is None:
        return [], metrics[0].name
    found = []
    for region in part.regions:
        box = region.box
        contour = tuple((x, y + top) for x, y in region.contour)
        lower = replace(region, box=replace(box, y=box.y + top), contour=contour)
        found.append((lower, part.mask[box.y : box.y + box.height, box.x : box.x + box.width]))
    return found, part.mask_metric or metrics[0].name


def _allowed_space(comparison: Comparison, pair: tuple[Image, Image]) -> Comparison:
    """Return the comparison as passed where the policy allows plain space to be inserted, and there is nothing else."""
    alignment = comparison.alignment
    if comparison.policy.moved != "allow" or alignment is None or comparison.policy.ignore:
        return comparison
    if not alignment.is_space_alone(*(image.pixels for image in pair)):
        return comparison
    reason = "only plain space was inserted or deleted"
    return replace(
        comparison, passed=True, reason=reason if comparison.reason is None else f"{comparison.reason}; {reason}"
    )


def _mask_metrics(comparison: Comparison, registry: Registry) -> list[Metric]:
    """Return who is asked for a mask, in order: the policy's choice, then, for a failure it cannot see, the others."""
    policy = comparison.policy
    rules = {rule.metric: rule for rule in (*policy.measure, *policy.rules)}
    chosen = _deciding(policy, registry) if policy.mask == AUTO else policy.mask
    names = [chosen]
    if not comparison.passed:
        names += [item.metric for item in comparison.scores if not item.passed and item.metric != chosen]
        names += [] if LAST_MASK_METRIC in names else [LAST_MASK_METRIC]
    metrics = [registry.metric(name, rules[name].options if name in rules else ()) for name in names]
    return [metric for metric in metrics if metric.heat_threshold != "none"]


def _deciding(policy: Policy, registry: Registry) -> str:
    """Return the metric that says where pictures differ because it decides whether they do."""
    if any(rule.metric == DEFAULT_RULES[0].metric for rule in policy.rules):
        return DEFAULT_RULES[0].metric
    thresholds = {rule.metric: registry.metric(rule.metric, rule.options).heat_threshold for rule in policy.rules}
    structure = [name for name, threshold in thresholds.items() if threshold == "otsu"]
    return structure[0] if structure and "zero" not in thresholds.values() else USUAL_MASK_METRIC


def _with_kinds(regions: tuple[Region, ...], comparison: Comparison, mask: Mask) -> tuple[Region, ...]:
    """Work out the kinds of the regions, for pairs that a person will look at: those that fail or pass with a warning.

    Regions where only one of two padded pictures has pixels are of their own kinds.
    """
    expected, actual = comparison.expected, comparison.actual
    if comparison.policy.size.value == "pad" and expected is not None and actual is not None:
        regions = tuple(_with_kind(region, expected.size, actual.size) for region in regions)
    if comparison.passed and not any(item.warned for item in comparison.scores):
        return regions
    return classify(*_both(comparison), mask, regions)


def _with_kind(region: Region, expected: tuple[int, int], actual: tuple[int, int]) -> Region:
    if _outside(region, actual):
        return replace(region, kind="only expected")
    if _outside(region, expected):
        return replace(region, kind="only actual")
    return region


def _outside(region: Region, size: tuple[int, int]) -> bool:
    return region.box.x >= size[0] or region.box.y >= size[1]


def _warnings(expected: Image, actual: Image) -> tuple[str, ...]:
    """Return in what the two files differ that changes how equal pixels look."""
    one, other = expected.info, actual.info
    tags = {
        "colour profiles (ICC)": (one.icc, other.icc),
        "colour codes (cICP)": (one.cicp, other.cicp),
        "gamma values (gAMA)": (one.gamma, other.gamma),
    }
    return tuple(
        f"the {what} differ (expected {_tag(first)}, actual {_tag(second)}): colours are compared as stored"
        for what, (first, second) in tags.items()
        if first != second
    )


def _tag(value: str | float | None) -> str:
    """Return a tag of a file in words, of a digest its first digits."""
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else value[:DIGEST_SHOWN]


def _notes(expected: Image, actual: Image) -> tuple[str, ...]:
    notes = [f"{image.info.label}: {note}" for image in (expected, actual) for note in image.info.notes]
    if expected.info.orientation != actual.info.orientation:
        notes.append("the EXIF orientations differ; both were applied")
    if expected.dtype != actual.dtype:
        notes.append(
            f"the depths differ: expected {expected.info.mode}, actual {actual.info.mode}; the deeper one held"
        )
    return tuple(notes)


def _size(image: Image) -> str:
    return f"{image.size[0]}x{image.size[1]}"
