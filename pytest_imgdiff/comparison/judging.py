"""The verdict on two images of one frame: their sizes, the ignore areas, equality, then the rules.

`measuring` runs the metrics, `scoring` compares a value with its rule, `explaining` finds where and how a pair differs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff.base.derived import common_depth, compared_pixels
from pytest_imgdiff.base.errors import BrokenImageError, MetricError, ModelUnavailableError
from pytest_imgdiff.base.model import Comparison, MetricResult, Score, SizePolicy, Verdict
from pytest_imgdiff.comparison import explaining
from pytest_imgdiff.comparison.masks import ignore_mask, painted, same_size
from pytest_imgdiff.comparison.measuring import Measurements, beyond_memory
from pytest_imgdiff.comparison.scoring import score
from pytest_imgdiff.config.policy import could_fail, worst_value
from pytest_imgdiff.images.differing import differing_pixels, equal_pixels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.base.model import Metric, Policy, Rule
    from pytest_imgdiff.comparison.registry import Registry

    Pair = tuple[Image, Image]

ALL_IGNORED = "the ignore areas cover the whole image: nothing was compared"

NO_MEMORY = "there is not enough memory to decode both images"

DIGEST_SHOWN = 12
"""Digits of a SHA-256 that distinguish two profiles in a message; a cICP value is never shortened."""


def judge(name: str, expected: Image, actual: Image, policy: Policy, registry: Registry) -> Comparison:
    """Compare two decoded images of one frame each."""
    notes = _notes(expected, actual)
    needed = beyond_memory(expected, actual, policy, policy.metrics, registry)
    if policy.measure and needed is None:
        unmeasured = beyond_memory(expected, actual, policy, (*policy.measure, *policy.metrics), registry)
        if unmeasured is not None:
            notes = (*notes, f"nothing was measured: {unmeasured}")
            policy = replace(policy, measure=())
    comparison = Comparison(
        name=name,
        verdict=Verdict.BROKEN,
        passed=False,
        policy=policy,
        reason=needed,
        expected=expected,
        actual=actual,
        warnings=_warnings(expected, actual),
        notes=notes,
    )
    if needed is not None:
        return comparison
    pair = common_depth(expected, actual)
    sized = same_size(*pair, policy.size)
    judged = _resized(comparison, pair, registry) if sized is None else _judged(comparison, sized, registry)
    return explaining.looked_over(judged)


def _judged(comparison: Comparison, sized: Pair, registry: Registry) -> Comparison:
    """Return the comparison of two images of one size and depth."""
    try:
        ignore, notes = ignore_mask(comparison.policy.ignore, sized[0].size)
    except BrokenImageError as error:
        return replace(comparison, reason=str(error))
    notes = comparison.notes + notes
    if ignore is not None and ignore.all():
        return replace(comparison, notes=notes, ignored=1.0, reason=ALL_IGNORED)
    sized, ignore, ignored = _without_ignored(sized, ignore)
    try:
        equal = equal_pixels(*sized)
    except MemoryError:  # pixels are created when they are requested
        return replace(comparison, notes=notes, ignored=ignored, compared=sized, reason=NO_MEMORY)
    if equal:
        return replace(
            comparison,
            verdict=Verdict.MATCH,
            passed=True,
            equal="pixels",
            notes=notes,
            ignored=ignored,
            compared=sized,
            scores=_scores_of_equal(comparison.policy, registry),
            differing_pixels=0,
        )
    comparison = replace(comparison, notes=notes, ignored=ignored, compared=sized)
    return _differing(comparison, Measurements(*sized, ignore, registry, {}))


def judge_equal(name: str, expected: Image, actual: Image, policy: Policy, registry: Registry) -> Comparison:
    """Judge two images of equal bytes without reading their pixels."""
    notes = tuple(f"{expected.info.label}: {note}" for note in expected.info.notes)
    ignored, reason = 0.0, None
    if policy.ignore:
        try:
            ignore, ignore_notes = ignore_mask(policy.ignore, expected.size)
        except BrokenImageError as error:
            reason = str(error)
        else:
            notes += ignore_notes
            ignored = 0.0 if ignore is None else float(ignore.mean())
            reason = ALL_IGNORED if ignore is not None and ignore.all() else None
    if reason is not None:
        return Comparison(
            name=name,
            verdict=Verdict.BROKEN,
            passed=False,
            policy=policy,
            reason=reason,
            expected=expected,
            actual=actual,
            notes=notes,
            ignored=ignored,
        )
    return Comparison(
        name=name,
        verdict=Verdict.MATCH,
        passed=True,
        policy=policy,
        equal="bytes",
        expected=expected,
        actual=actual,
        compared=(expected, actual),
        scores=_scores_of_equal(policy, registry),
        ignored=ignored,
        differing_pixels=0,
        notes=notes,
    )


def _without_ignored(pair: Pair, ignore: Mask | None) -> tuple[Pair, Mask | None, float]:
    """Return the pair with ignored pixels painted in one colour, the mask of these pixels, and its share."""
    if ignore is None or not ignore.any():
        return pair, None, 0.0
    return (painted(pair[0], ignore), painted(pair[1], ignore)), ignore, float(ignore.mean())


# ---- Pairs that are decided without a metric


def _scores_of_equal(policy: Policy, registry: Registry) -> tuple[Score, ...]:
    """Return the scores of a pair whose pixels are equal."""
    measured = (replace(item, measured=True) for item in _perfect(_measured_only(policy), registry))
    return (*_perfect(policy.metrics, registry), *measured)


def _perfect(rules: Iterable[Rule], registry: Registry) -> list[Score]:
    """Return what the metrics of these rules would measure for equal images."""
    scores = []
    for rule in rules:
        metric = registry.metric(rule.metric, rule.options)
        details = {"pixels": 0} if metric.counts_pixels else {}
        scores.append(score(rule, metric, MetricResult(metric.perfect, metric.unit, details=details)))
    return scores


def _measured_only(policy: Policy) -> list[Rule]:
    """Return the metrics to measure in addition to the rules: a metric with a rule is measured by the rule."""
    ruled = {rule.metric for rule in policy.metrics}
    return [rule for rule in policy.measure if rule.metric not in ruled]


def _resized(comparison: Comparison, pair: Pair, registry: Registry) -> Comparison:
    """Return the comparison of two images whose sizes differ, if the policy is not to compare them."""
    reason = f"the sizes differ: expected {_size(pair[0])}, actual {_size(pair[1])}"
    comparison = replace(comparison, verdict=Verdict.RESIZED, reason=reason)
    if comparison.policy.measure:
        comparison = _measured_resampled(comparison, pair, registry)
    return explaining.resized(comparison, pair, registry)


def _measured_resampled(comparison: Comparison, pair: Pair, registry: Registry) -> Comparison:
    """Measure two images of unequal size for information only."""
    policy = comparison.policy
    try:
        sized = same_size(*pair, SizePolicy.SCALE) or pair
        sized, ignore, _ = _without_ignored(sized, ignore_mask(policy.ignore, sized[0].size)[0])
        equal = equal_pixels(*sized)
    except (BrokenImageError, MemoryError):  # the verdict does not need it
        return comparison
    measured = Measurements(*sized, ignore, registry, {})
    scores = _perfect(policy.measure, registry) if equal else _scores_without_limits(policy.measure, measured)
    note = f"measured with the actual image resampled to {_size(pair[0])}"
    return replace(
        comparison,
        scores=tuple(replace(item, measured=True) for item in scores),
        results=measured.results,
        notes=(*comparison.notes, note),
    )


# ---- Pairs that differ


def _differing(comparison: Comparison, measured: Measurements) -> Comparison:
    """Return the comparison of two unequal images, judged by all rules."""
    policy = comparison.policy
    scores = _scores(policy.metrics, measured)
    unmeasured = [f"{item.reason}" for item in scores if item.value is None and item.omitted is None]
    if all(item.omitted for item in scores):
        unmeasured = [f"nothing was judged: {'; '.join(f'{item.metric} {item.omitted}' for item in scores)}"]
    passed = all(item.passed for item in scores)
    if passed and not unmeasured:
        unmeasured = _unfailing(scores, measured, policy)
    comparison = replace(
        comparison,
        verdict=Verdict.BROKEN if unmeasured else Verdict.MATCH if passed else Verdict.DIFFERENT,
        passed=passed and not unmeasured,
        reason="; ".join(unmeasured) or None,
        scores=(*scores, *_scores_without_limits(_measured_only(policy), measured)),
        differing_pixels=differing_pixels(measured.expected, measured.actual),
    )
    will_be_aligned = not passed and not unmeasured
    with_kinds = bool(policy.kinds) or not will_be_aligned
    comparison = _allowed(explaining.with_regions(comparison, measured, with_kinds=with_kinds))
    return explaining.aligned(comparison, measured) if will_be_aligned and not comparison.passed else comparison


def _scores(rules: tuple[Rule, ...], measured: Measurements) -> list[Score]:
    """Measure the rules that always apply, then the others if the result is undecided."""
    scores: dict[str, Score] = {}
    for rule in sorted(rules, key=lambda rule: rule.when == "undecided"):  # stable: otherwise in the policy's order
        metric = measured.registry.metric(rule.metric, rule.options)
        if rule.when == "undecided" and not all(item.passed for item in scores.values()):
            scores[rule.metric] = _omitted(rule, metric, "not needed: another rule fails already")
            continue
        try:
            found = score(rule, metric, measured.result(metric))
            if not found.passed:  # the reader needs to know which limit would have passed
                found = replace(found, worst=worst_value(metric, measured.expected.dtype))
            scores[rule.metric] = found
        except ModelUnavailableError as error:
            skipped = _omitted(rule, metric, f"skipped: {error}")
            scores[rule.metric] = skipped if rule.on_unavailable == "skip" else _unmeasured(rule, metric, str(error))
        except MetricError as error:
            scores[rule.metric] = _unmeasured(rule, metric, str(error))
    return [scores[rule.metric] for rule in rules]


def _scores_without_limits(rules: Iterable[Rule], measured: Measurements) -> list[Score]:
    """Measure metrics whose values decide nothing; the score gives the reason if one cannot be measured."""
    scores = []
    for rule in rules:
        metric = measured.registry.metric(rule.metric, rule.options)
        try:
            found = score(rule, metric, measured.result(metric))
        except ModelUnavailableError as error:
            from pytest_imgdiff.networks.backends import nothing_installed  # imports the network code for downloads

            found = _omitted(rule, metric, f"not measured: {nothing_installed() or error}")
        except MetricError as error:
            found = replace(_unmeasured(rule, metric, str(error)), passed=True)
        scores.append(replace(found, measured=True))
    return scores


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


def _unfailing(scores: list[Score], measured: Measurements, policy: Policy) -> list[str]:
    """Return why this pair has not passed although every limit is met: a rule that any two such images pass."""
    image = measured.expected
    pixels = compared_pixels(image, measured.ignore)
    reasons = []
    for rule, item in zip(policy.metrics, scores, strict=True):
        metric = measured.registry.metric(rule.metric, rule.options)
        if item.omitted is not None or could_fail(rule, metric, (image.dtype,), pixels, image.size):
            continue
        window = rule.max_in_window
        if window is not None and could_fail(replace(rule, max_pixels=None), metric, (image.dtype,)):
            most = f"max_in_window allows {window.pixels} pixels"
            advice = f"{most}, and a window in this image has only {window.room(image.size)}; name fewer pixels"
        elif rule.max_pixels is not None and could_fail(rule, metric, (image.dtype,)):
            advice = (
                f"max_pixels is {rule.max_pixels}, and only {pixels} pixels are compared; name a smaller max_pixels"
            )
        else:
            worst = worst_value(metric, image.dtype)
            depth = "floats" if image.dtype.kind == "f" else f"{8 * image.dtype.itemsize} bits"
            advice = f"it is {worst:.15g} at the worst for images of {depth}; name a stricter limit"
        reasons.append(f"{rule.metric} could not fail for this pair: {advice}")
    return reasons


def _allowed(comparison: Comparison) -> Comparison:
    """Return a failing comparison as passed if the policy allows the kind of every region.

    It never passes if something other than these regions may fail: a rule has no value, or was not measured because
    another failed; a rule fails whose metric did not create the mask; pixels that this metric counts are in no region;
    or the kind of a region was not determined.
    """
    chosen = dict(comparison.policy.kinds)
    kinds = Counter(region.kind for region in comparison.regions)
    if comparison.verdict is not Verdict.DIFFERENT or not kinds or any(kind not in chosen for kind in kinds):
        return comparison
    rules = [item for item in comparison.scores if not item.measured]
    failing = [item for item in rules if not item.passed]
    undecided = {rule.metric for rule in comparison.policy.metrics if rule.when == "undecided"}
    if any(item.omitted is not None and item.metric in undecided for item in rules):
        return comparison
    if any(item.metric != comparison.mask_metric for item in failing) or not _cover_all_differences(comparison):
        return comparison
    words = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    reason = f"{'1 region differs' if kinds.total() == 1 else f'{kinds.total()} regions differ'}: {words}"
    warned = [kind for kind in kinds if chosen[kind] == "warn"]
    if warned:
        warning = f"passes with a warning by its kind ({', '.join(warned)})"
        return replace(comparison, passed=True, reason=reason, warnings=(*comparison.warnings, warning))
    note = f"passes by its kind ({', '.join(kinds)})"
    return replace(comparison, passed=True, reason=reason, notes=(*comparison.notes, note))


def _cover_all_differences(comparison: Comparison) -> bool:
    """Whether each pixel that the mask's metric counts is in one of the regions."""
    mask, name = comparison.mask, comparison.mask_metric
    if mask is None or name is None:
        return False
    counted = comparison.results[name].details.get("pixels")
    marked = int(np.count_nonzero(mask))
    return counted == marked == sum(region.area for region in comparison.regions)


# ---- Additional information for the reader


def _warnings(expected: Image, actual: Image) -> tuple[str, ...]:
    """Return the differences between the two files that change how equal pixels look."""
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
    """Return a tag of a file in words, or the first digits of a digest."""
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
