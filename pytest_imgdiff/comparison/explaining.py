"""Where a pair differs and how: the mask and its regions, their kinds, and what was inserted, deleted and moved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pytest_imgdiff.base.errors import BrokenImageError, MetricError, ModelUnavailableError
from pytest_imgdiff.base.geometry import slices_of
from pytest_imgdiff.base.model import Region, SizePolicy, Verdict
from pytest_imgdiff.comparison.alignment import align
from pytest_imgdiff.comparison.kinds import classify, could_all_have_moved, is_redrawn
from pytest_imgdiff.comparison.masks import ignore_mask, painted, same_size, with_pixels
from pytest_imgdiff.comparison.measuring import Measurements, deciding_metric
from pytest_imgdiff.comparison.regions import contour_mask, contour_regions, difference_mask, find_regions
from pytest_imgdiff.images.differing import differing_rows, equal_pixels

if TYPE_CHECKING:
    from pytest_imgdiff.base.geometry import Alignment, Box, Mask
    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.base.model import Comparison, Metric, Policy, RegionKind
    from pytest_imgdiff.comparison.registry import Registry

    Pair = tuple[Image, Image]

LAST_MASK_METRIC = "pixel_match"
"""Creates the mask if the policy's own choice detects nothing although the pair fails."""

ALIGNED_ROWS = 24
"""A difference in fewer rows is reported in place: hardly any content can have moved."""
CONTEXT = 64
"""Rows above and below the differing rows that are aligned with them: equal lines are the reference."""
STILL_DIFFERENT = 0.5
"""Maximum share of the differing pixels that a reported alignment leaves."""
BANDS_SHARE = 0.6
"""Maximum share of the bands of a reported alignment in the box around all differences in place."""
AROUND = 16
"""Rows around the remaining differences that a metric also measures."""
ALIGNING_BYTES = 24
"""Bytes per pixel and channel byte that aligning takes: both images, the laid out image, marks and lines."""

_BY_ALIGNMENT: tuple[RegionKind, ...] = ("inserted", "deleted", "moved")


def with_regions(comparison: Comparison, measured: Measurements, *, with_kinds: bool = True) -> Comparison:
    """Return the comparison with its mask and regions, from the first metric that detects where the pair differs.

    Args:
        comparison: The comparison with its scores.
        measured: The measurements of its metrics.
        with_kinds: False if `aligned` finds the kinds of the regions later.
    """
    for metric in _mask_metrics(comparison, measured.registry):
        try:
            heat = measured.result(metric).heat
        except (MetricError, ModelUnavailableError):
            continue  # the score gives the reason; another metric may still show where they differ
        if heat is None:
            continue
        settings = comparison.policy.regions
        if metric.heat_threshold == "otsu":
            mask = contour_mask(heat)
            regions = contour_regions(mask, heat, settings.min_area)
        else:
            rows = measured.heated(metric)
            mask = difference_mask(heat, "zero", rows)
            regions = find_regions(mask, heat, settings, rows)
        if mask.any():
            regions = _beyond_either(regions, comparison)
            comparison = replace(comparison, mask=mask, mask_metric=metric.name, regions=regions)
            comparison = _with_kinds(comparison) if with_kinds else comparison
            break
    return replace(comparison, results=measured.results)


def _mask_metrics(comparison: Comparison, registry: Registry) -> list[Metric]:
    """Return the metrics for the mask, in order: the policy's choice, then, for an undetected failure, the others."""
    policy = comparison.policy
    options = {rule.metric: rule.options for rule in (*policy.measure, *policy.metrics)}
    names = [deciding_metric(policy, registry)]
    if not comparison.passed:
        names += [item.metric for item in comparison.scores if not item.passed] + [LAST_MASK_METRIC]
    metrics = [registry.metric(name, options.get(name, ())) for name in dict.fromkeys(names)]
    return [metric for metric in metrics if metric.heat_threshold != "none"]


def _with_kinds(comparison: Comparison) -> Comparison:
    """Return the comparison with the kinds of its regions if a person will look at it: if it fails or warns."""
    mask = comparison.mask
    if mask is None or comparison.compared is None:
        return comparison
    if comparison.passed and not any(item.warned for item in comparison.scores):
        return comparison
    return replace(comparison, regions=classify(*comparison.compared, mask, comparison.regions))


def _beyond_either(regions: tuple[Region, ...], comparison: Comparison) -> tuple[Region, ...]:
    """Return the regions; those where only one of two padded images has pixels get kinds of their own."""
    expected, actual = comparison.expected, comparison.actual
    if comparison.policy.size is not SizePolicy.PAD or expected is None or actual is None:
        return regions
    return tuple(_beyond_one(region, expected.size, actual.size) for region in regions)


def _beyond_one(region: Region, expected: tuple[int, int], actual: tuple[int, int]) -> Region:
    if _is_outside(region, actual):
        return replace(region, kind="only expected")
    if _is_outside(region, expected):
        return replace(region, kind="only actual")
    return region


def _is_outside(region: Region, size: tuple[int, int]) -> bool:
    return region.box.x >= size[0] or region.box.y >= size[1]


def looked_over(comparison: Comparison) -> Comparison:
    """Return a failing comparison that records whether nearly all of it was redrawn; see `kinds.is_redrawn`."""
    is_judged = comparison.verdict in (Verdict.DIFFERENT, Verdict.RESIZED)
    if not is_judged or comparison.passed or comparison.compared is None:
        return comparison
    redrawn = is_redrawn(*comparison.compared, comparison.regions)
    return replace(comparison, redrawn=True) if redrawn else comparison


# ---- What was inserted, deleted and moved


def aligned(comparison: Comparison, measured: Measurements) -> Comparison:
    """Return a failing comparison as what was inserted, deleted and moved, if that explains clearly more.

    Otherwise classify the regions in place. The kinds are found only once, for the reported regions, because this step
    takes longest.
    """
    in_place, pair = comparison.mask, (measured.expected, measured.actual)
    if in_place is None or not _can_be_aligned(pair, comparison.policy):
        return _with_kinds(comparison)
    if np.count_nonzero(in_place.any(axis=1)) < ALIGNED_ROWS:
        return _with_kinds(comparison)
    width, height = measured.expected.size
    rows = np.flatnonzero(differing_rows(*pair))
    top, bottom = max(0, int(rows[0]) - CONTEXT), min(height, int(rows[-1]) + 1 + CONTEXT)
    alignment = align(*(image.rows(top, bottom) for image in pair))
    if alignment is None or _has_too_large_bands(alignment, in_place):
        return _with_kinds(comparison)
    if not any(band.box.width == width or band.box.height == height for band in alignment.shown):
        if not alignment.shown or could_all_have_moved(*pair, in_place, comparison.regions):
            comparison = _with_kinds(comparison)
        moved = [region.kind == "moved" for region in comparison.regions]
        if all(moved) or (not alignment.shown and any(moved)):
            return comparison  # the regions already show it
    alignment = alignment.below(top, (height, height))
    ignored = None if measured.ignore is None else (measured.ignore, measured.ignore)
    explained = _by_alignment(comparison, pair, alignment, measured.registry, ignored)
    still = sum(region.area for region in explained.regions if region.kind not in _BY_ALIGNMENT)
    if explained is comparison or still > STILL_DIFFERENT * np.count_nonzero(in_place):
        return _with_kinds(comparison)
    return _allowed_space(explained, pair)


def _has_too_large_bands(alignment: Alignment, in_place: Mask) -> bool:
    _, _, across, down = cv2.boundingRect(in_place.view(np.uint8))
    banded = sum(min(band.box.width, across) * min(band.box.height, down) for band in alignment.shown)
    return banded > BANDS_SHARE * across * down


def resized(comparison: Comparison, pair: Pair, registry: Registry) -> Comparison:
    """Show where two images of unequal size differ: aligned or, if that explains nothing, placed at the top left."""
    if not _can_be_aligned(pair, comparison.policy):
        return comparison
    ignored, notes = _ignored_in_each(pair, comparison.policy)
    comparison = replace(comparison, notes=(*comparison.notes, *notes))
    if ignored is not None:
        comparison = replace(comparison, ignored=float(ignored[1].mean()))
    alignment = align(*(image.pixels for image in pair))
    if alignment is not None:
        return _allowed_space(_by_alignment(comparison, pair, alignment, registry, ignored), pair)
    padded, ignore = same_size(*pair, SizePolicy.PAD) or pair, None
    if ignored is not None:
        ignore = np.zeros(padded[0].size[::-1], np.bool_)
        for mask in ignored:
            ignore[: mask.shape[0], : mask.shape[1]] |= mask
        padded = painted(padded[0], ignore), painted(padded[1], ignore)
    measured = Measurements(*padded, ignore, registry, {})
    shown = replace(with_regions(replace(comparison, compared=padded), measured), results=comparison.results)
    return replace(shown, regions=tuple(_beyond_one(one, pair[0].size, pair[1].size) for one in shown.regions))


def _ignored_in_each(pair: Pair, policy: Policy) -> tuple[tuple[Mask, Mask] | None, list[str]]:
    """Return the ignored areas of each of two images of unequal size, and notes.

    The areas are None if they cover nothing. A mask image applies to the image that has its size.
    """
    masks, problems = [], []
    for image in pair:
        mask = None
        try:
            mask, _ = ignore_mask(policy.ignore, image.size)
        except BrokenImageError as error:
            problems.append(f"the ignore areas were applied to one image at the most: {error}")
        masks.append(np.zeros(image.size[::-1], np.bool_) if mask is None else mask)
    return ((masks[0], masks[1]) if any(mask.any() for mask in masks) else None), problems[:1]


def _can_be_aligned(pair: Pair, policy: Policy) -> bool:
    width, height = (max(sides) for sides in zip(*(image.size for image in pair), strict=True))
    needed: int = width * height * pair[0].dtype.itemsize * ALIGNING_BYTES
    return needed <= policy.memory


def _by_alignment(
    comparison: Comparison,
    pair: Pair,
    alignment: Alignment,
    registry: Registry,
    ignored: tuple[Mask, Mask] | None,
) -> Comparison:
    """Return the comparison with the mask and the regions that remain after the expected image is laid out again.

    The ignored areas of both images are left out.
    """
    expected, actual = pair
    ignore = None if ignored is None else alignment.covered(*ignored)
    opaque = expected.opaque and actual.opaque
    laid = with_pixels(expected, alignment.laid_out(expected.pixels, actual.pixels), opaque=opaque)
    mask = alignment.new()
    if ignore is not None:
        mask &= ~ignore
    masks = {"inserted": ignore, "deleted": None if ignored is None else ignored[0]}
    regions = [_whole(band.kind, band.box, masks[band.kind]) for band in alignment.shown]
    regions += [replace(_whole("moved", move.actual, ignore), moved=(move.dx, move.dy)) for move in alignment.moved]
    regions = [region for region in regions if region.area]
    left, metric = _left_over(comparison, laid, actual, alignment, ignore, registry)
    for region, part in left:
        regions.append(region)
        mask[slices_of(region.box)] |= part
    if not regions:  # everything is ignored
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


def _whole(kind: RegionKind, box: Box, ignore: Mask | None) -> Region:
    """Return a region of all pixels of a box that are not ignored."""
    covered = 0 if ignore is None else int(np.count_nonzero(ignore[slices_of(box)]))
    return Region(box, box.width * box.height - covered, 1.0, kind)


def _left_over(
    comparison: Comparison, laid: Image, actual: Image, alignment: Alignment, ignore: Mask | None, registry: Registry
) -> tuple[list[tuple[Region, Mask]], str]:
    """Return the regions that still differ, each with its part of the mask, and the metric that detects them."""
    rows = alignment.unequal_rows() if laid.dtype == np.uint8 else slice(0, actual.size[1])
    metric = _mask_metrics(comparison, registry)[0].name
    top, bottom = max(0, rows.start - AROUND), min(actual.size[1], rows.stop + AROUND)
    one, two = (with_pixels(image, image.rows(top, bottom), opaque=image.opaque) for image in (laid, actual))
    if rows.stop <= rows.start or equal_pixels(one, two):
        return [], metric
    if ignore is not None:
        ignore = ignore[top:bottom]
        one, two = painted(one, ignore), painted(two, ignore)
    part = replace(comparison, compared=(one, two), mask=None, mask_metric=None, regions=())
    part = with_regions(part, Measurements(one, two, ignore, registry, {}))
    if part.mask is None:
        return [], metric
    found = []
    for region in part.regions:
        contour = tuple((x, y + top) for x, y in region.contour)
        lower = replace(region, box=replace(region.box, y=region.box.y + top), contour=contour)
        found.append((lower, part.mask[slices_of(region.box)]))
    return found, part.mask_metric or metric


def _allowed_space(comparison: Comparison, pair: Pair) -> Comparison:
    """Return the comparison as passed if the policy allows inserted plain space, and nothing else differs."""
    alignment = comparison.alignment
    if comparison.policy.moved != "allow" or alignment is None or comparison.policy.ignore:
        return comparison
    if not alignment.is_space_alone(*(image.pixels for image in pair)):
        return comparison
    reason = "only plain space was inserted or deleted"
    return replace(
        comparison, passed=True, reason=reason if comparison.reason is None else f"{comparison.reason}; {reason}"
    )
