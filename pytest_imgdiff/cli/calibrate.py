"""``pytest-imgdiff calibrate``: propose limits from comparisons of unchanged images."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pytest_imgdiff import images
from pytest_imgdiff.base.derived import full_value
from pytest_imgdiff.base.errors import BrokenImageError, ConfigError
from pytest_imgdiff.base.geometry import Box
from pytest_imgdiff.base.memory import Allowance
from pytest_imgdiff.base.model import Rule, WindowLimit
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.record import record_of
from pytest_imgdiff.base.text import counted, literal_glob, visible
from pytest_imgdiff.cli.flaky import results_paths
from pytest_imgdiff.cli.parser import above_zero, add_shared
from pytest_imgdiff.comparison.engine import compare
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import find_config, load_settings
from pytest_imgdiff.config.policy import could_fail
from pytest_imgdiff.config.settings import assigned, measure_list, merges_metrics
from pytest_imgdiff.report import read_results
from pytest_imgdiff.report.files import write_output
from pytest_imgdiff.report.results_json import RESULTS_FILE
from pytest_imgdiff.report.scores import number, passing_limit, percent
from pytest_imgdiff.run.baselines import Baselines
from pytest_imgdiff.run.pairing import scan_folders
from pytest_imgdiff.run.session import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_imgdiff.base.image import Pixels
    from pytest_imgdiff.base.model import Direction
    from pytest_imgdiff.base.record import ComparisonRecord, ScoreRecord, SideRecord

ENOUGH = 20
"""Unchanged comparisons after which an image gets its own limits. With 20 and a margin of 1.5, fewer than 1 % of
further comparisons of real font renderings exceeded the limit."""
_LEAST = {"visible": 1.0}
"""The strictest proposed limits: smaller differences are not visible to a person."""

_NOTHING, _FOUND = 0, 1
_FEWEST_FOLDERS = 2
_NEAR = 8
"""Flickering areas with at most this distance, in pixels, are joined."""
_RIM = 2
_MOST_AREAS = 5
_LARGEST_SHARE = 0.25
"""Share of the image; no larger flickering area is proposed as an ignored area."""

_DIGIT, _MOVED, _PANEL = "a changed digit", "a line moved by 4 pixels", "a faint panel (8 levels)"
_PIXELS, _IN_WINDOW = "pixels", "most_in_window"
"""The details of metrics that `max_pixels` and `max_in_window` limit."""
_STEP = 4
_FAINT = 8 / 255
_INK = 48
"""Levels of 255 between a character and its background."""
_BLUR = 31
_LOWEST, _HIGHEST = 6, 28
"""Heights of characters, in pixels."""
_FEWEST = 4
"""Characters of a line of text."""
_FAR = 6
"""The largest distance of two characters on one line, in heights of a character."""
_DIFFERENT = 0.12
"""Share of pixels in which two different characters differ at least."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Propose limits as a fragment of imgdiff.yaml, from unchanged runs or renderings, and test which edits "
        "they would miss. Exit code 0: limits for every image, 1: not for all, 2: an input could not be read."
    )
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="RESULTS|FOLDER",
        help="results.json files or report folders of several runs, or folders with renderings of the same images",
    )
    parser.add_argument(
        "--pairs",
        choices=("first", "all"),
        default="first",
        help="with folders: compare all with the first, or each with each (default: first)",
    )
    parser.add_argument(
        "--same",
        nargs=2,
        action="append",
        metavar=("A", "B"),
        help="two folders whose images are similar; can be repeated",
    )
    parser.add_argument(
        "--different",
        nargs=2,
        action="append",
        metavar=("C", "D"),
        help="two folders whose images all differ; can be repeated",
    )
    parser.add_argument(
        "--margin",
        type=_margin,
        default=1.5,
        metavar="X",
        help="the factor from the worst value to the limit (default: 1.5)",
    )
    parser.add_argument(
        "--per",
        choices=("auto", "picture", "folder", "suite"),
        default="auto",
        help="which images share limits (default auto: those with fewer than 20 comparisons)",
    )
    parser.add_argument("--output", "-o", metavar="FILE", help="write the fragment to FILE (default: standard output)")
    parser.add_argument("--force", action="store_true", help="replace an existing FILE")
    add_shared(parser, "--config", "--set")
    parser.add_argument("--measure", metavar="METRICS", help="with folders: also measure these metrics, as for compare")


def run(options: argparse.Namespace) -> int:
    """Propose limits from comparisons of unchanged images, and print what they would miss.

    Returns:
        0: every image has limits that detect a changed digit. 1: at least one image has none, or labelled pairs are
        missed.

    Raises:
        ImgdiffError: an argument is invalid, or an input cannot be read.
    """
    if options.output and os.path.lexists(options.output) and not options.force:
        raise ConfigError(f"{visible(options.output)}: already exists; choose another file, or add --force")
    workspace = _workspace(options)
    evidence, source = _evidence(options, workspace)
    if not evidence:
        raise ConfigError("calibrate: no comparisons found; pass results or folders with images")
    for image in evidence:
        image.try_edits(workspace)
    groups, refused = _groups(evidence, options, workspace.registry)
    fragment = _fragment(groups, refused, evidence, source, options)
    stream = sys.stdout if options.output else sys.stderr
    if options.output:
        write_output(fragment.encode(), options.output, "the limits")
    else:
        sys.stdout.write(fragment)
        sys.stdout.flush()
    for line in _summary(groups, refused, evidence, source, options):
        print(line, file=stream)
    missed = any(group.missed_pairs for group in groups)
    return _FOUND if refused or missed or any(one.unusable for one in evidence) else _NOTHING


def _workspace(options: argparse.Namespace) -> Workspace:
    here = Path.cwd()
    command_line = assigned(options.set, "--set")
    if options.measure is not None:
        command_line["measure"] = measure_list(options.measure, "--measure")
    registry = Registry()
    settings = load_settings(Path(options.config) if options.config else find_config(here), registry, folder=here)
    workspace = Workspace(
        root=here,
        settings=settings,
        registry=registry,
        baselines=Baselines(settings.baselines.folder, settings.baselines.layout),
        command_line=command_line,
        merges_metrics=merges_metrics(options.set),
        allowance=Allowance(settings.memory),
    )
    workspace.policy("")  # reports an invalid --set before anything is compared
    return workspace


@dataclass(frozen=True)
class _Edited:
    """The measured values of a known edit of an image.

    Attributes:
        kind: the edit.
        values: metric to value.
        counts: metric to counts of pixels, by the names of its details.
    """

    kind: str
    values: dict[str, float]
    counts: dict[str, dict[str, int]]


@dataclass
class _Evidence:
    """The comparisons of one image.

    Attributes:
        name, key: of the comparison, as in its record.
        rules: its rules, with their options.
        measured: the metrics that are measured only.
        values: metric to its values in unchanged comparisons.
        counted: metric and detail to counts of pixels, if they have a limit.
        limited: the metrics whose value has a limit, or that are measured only.
        windows: metric to the size of its windows (`max_in_window`).
        compared: the number of independent comparisons.
        failed: how many of them fail with the current limits.
        boxes: the regions of each comparison that differs.
        size: width and height; None if unknown.
        unusable: the reasons of comparisons that could not be used.
        changed: the values of pairs that must differ (`--different`).
        expected: the image file, if it exists.
    """

    name: str
    key: str
    rules: dict[str, Rule] = field(default_factory=dict)
    measured: dict[str, Rule] = field(default_factory=dict)
    directions: dict[str, Direction] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)
    counted: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    limited: set[str] = field(default_factory=set)
    windows: dict[str, int] = field(default_factory=dict)
    compared: int = 0
    comparisons: int = 0
    failed: int = 0
    boxes: list[list[Box]] = field(default_factory=list)
    size: tuple[int, int] | None = None
    unusable: list[str] = field(default_factory=list)
    changed: list[_Edited] = field(default_factory=list)
    edits: list[_Edited] = field(default_factory=list)
    expected: Path | None = None

    def add(self, record: ComparisonRecord, *, independent: bool) -> None:
        """Add a comparison of unchanged images."""
        if record.verdict not in {"match", "different"} or any(_lacks_value(score) for score in record.scores):
            self.unusable.append(record.reason or record.verdict)
            return
        self.comparisons += 1
        self.compared += independent
        self.failed += record.verdict == "different"
        self.size = (record.compared_width or 0, record.compared_height or 0)
        if record.regions:
            self.boxes.append([Box(one.x, one.y, one.width, one.height) for one in record.regions])
        for score in record.scores:
            if score.value is None:
                continue
            self.directions[score.metric] = score.direction
            (self.measured if score.measured else self.rules).setdefault(score.metric, Rule(score.metric))
            self.values.setdefault(score.metric, []).append(score.value)
            if score.measured or score.limit is not None:
                self.limited.add(score.metric)
            if score.max_in_window is not None:
                self.windows[score.metric] = score.max_in_window.size
            limits = {_PIXELS: score.max_pixels, _IN_WINDOW: score.max_in_window}
            for detail in (detail for detail, limit in limits.items() if limit is not None):
                self.counted.setdefault((score.metric, detail), []).append(int(score.details.get(detail, 0)))

    def try_edits(self, workspace: Workspace) -> None:
        """Measure known edits of the image with its rules."""
        if self.expected is None:
            return
        policy = workspace.policy(self.key)
        rules = tuple(
            _strictest(rule, workspace.registry, self.windows.get(rule.metric)) for rule in self.rules.values()
        )
        policy = replace(policy, metrics=rules, measure=(), ignore=(), frames=0)
        try:
            found = images.decode(
                images.read(self.expected, root=workspace.root), frames=0, max_pixels=policy.limits.pixels
            )
            pixels = next(iter(found)).pixels
        except BrokenImageError:  # the comparisons report the reason
            return
        for kind, edited in _known_edits(pixels):
            comparison = compare(pixels, edited, policy, name=self.name, registry=workspace.registry)
            self.edits.append(_edited(kind, record_of(comparison)))

    @property
    def areas(self) -> list[tuple[Box, int]]:
        """The flickering areas: separate boxes, each with the number of comparisons that differ in it."""
        mask = [box for boxes in self.boxes for box in boxes]
        joined: list[Box] = []
        for box in mask:
            area = box
            while near := [other for other in joined if _touch(area, other)]:
                joined = [other for other in joined if other not in near]
                area = _around([area, *near])
            joined.append(area)
        counts = [(area, sum(any(_touch(area, box) for box in boxes) for boxes in self.boxes)) for area in joined]
        return sorted(counts, key=lambda one: (-one[1], one[0].y, one[0].x))


def _strictest(rule: Rule, registry: Registry, window: int | None) -> Rule:
    """Return the rule with the limit that only equal images meet, so that it is always measured."""
    metric = registry.metric(rule.metric, rule.options)
    counted = None if window is None else WindowLimit(window, 0)
    rule = Rule(rule.metric, rule.options, max_in_window=counted, on_unavailable=rule.on_unavailable)
    if metric.direction == "distance":
        return replace(rule, max=float(metric.perfect))
    return replace(rule, min=float(metric.perfect))


def _lacks_value(score: ScoreRecord) -> bool:
    return score.value is None and score.omitted is None and not score.measured


def _edited(kind: str, record: ComparisonRecord) -> _Edited:
    return _Edited(
        kind,
        {score.metric: score.value for score in record.scores if score.value is not None},
        {
            score.metric: {name: int(score.details[name]) for name in (_PIXELS, _IN_WINDOW) if name in score.details}
            for score in record.scores
        },
    )


def _touch(one: Box, other: Box) -> bool:
    return (
        one.x <= other.x + other.width + _NEAR
        and other.x <= one.x + one.width + _NEAR
        and one.y <= other.y + other.height + _NEAR
        and other.y <= one.y + one.height + _NEAR
    )


def _around(boxes: Sequence[Box]) -> Box:
    left, top = min(box.x for box in boxes), min(box.y for box in boxes)
    right, bottom = max(box.x + box.width for box in boxes), max(box.y + box.height for box in boxes)
    return Box(left, top, right - left, bottom - top)


# Evidence


def _evidence(options: argparse.Namespace, workspace: Workspace) -> tuple[list[_Evidence], str]:
    """Return the evidence of each image, and a description of its source."""
    if options.same or options.different:
        return _from_labelled(options, workspace)
    found: dict[str, _Evidence] = {}
    paths = [Path(source) for source in options.sources]
    folders = [path for path in paths if path.is_dir() and not (path / RESULTS_FILE).exists()]
    if len(folders) == len(paths) and folders:
        return _from_folders(folders, options, workspace)
    if folders:
        other = next(path for path in paths if path not in folders)
        raise ConfigError(
            f"calibrate: {visible(str(folders[0]))} is a folder of images and {visible(str(other))} is not; pass "
            "either folders of images or results of runs"
        )
    if not paths:
        raise ConfigError("calibrate: pass results of unchanged runs, or folders of renderings")
    for path in results_paths(options.sources):
        _read_run(path, workspace, found)
    return _complete(found, workspace), f"{counted(len(paths), 'run')} without changes"


def _from_labelled(options: argparse.Namespace, workspace: Workspace) -> tuple[list[_Evidence], str]:
    if options.sources:
        raise ConfigError("calibrate: pass folders either with --same and --different or without them, not both")
    if not options.same:
        raise ConfigError("calibrate: --different needs --same, because limits come from unchanged pairs")
    found: dict[str, _Evidence] = {}
    for first, other in options.same:
        _compare_folders(Path(first), Path(other), workspace, found)
    different = options.different or []
    for first, other in different:
        _compare_changed(Path(first), Path(other), workspace, found)
    source = f"{counted(len(options.same), 'pair')} of similar folders"
    return _complete(found, workspace), source + (f" and {len(different)} of different folders" if different else "")


def _from_folders(
    folders: Sequence[Path], options: argparse.Namespace, workspace: Workspace
) -> tuple[list[_Evidence], str]:
    if len(folders) < _FEWEST_FOLDERS:
        raise ConfigError("calibrate: pass at least two folders of renderings of the same images")
    found: dict[str, _Evidence] = {}
    pairs = combinations(folders, 2) if options.pairs == "all" else ((folders[0], other) for other in folders[1:])
    for first, other in pairs:
        # With each compared with each, only the comparisons with the first folder are independent.
        _compare_folders(first, other, workspace, found, independent=first == folders[0])
    way = "each compared with each" if options.pairs == "all" else "all compared with the first"
    return _complete(found, workspace), f"{len(folders)} folders of renderings, {way}"


def _complete(found: dict[str, _Evidence], workspace: Workspace) -> list[_Evidence]:
    for image in found.values():
        if not image.values:  # no rule measured it, so no edit of it can be tried
            image.expected = None
        policy = workspace.policy(image.key)
        known = {rule.metric: rule for rule in (*policy.measure, *policy.metrics)}  # with their options
        for rules in (image.rules, image.measured):
            rules.update({metric: known.get(metric, rule) for metric, rule in rules.items()})
    return [image for image in found.values() if image.values or image.unusable]


def _read_run(path: Path, workspace: Workspace, found: dict[str, _Evidence]) -> None:
    run = read_results(path)
    root = path.parent / (run.root or ".")
    for record in run.comparisons:
        image = found.setdefault(record.name, _Evidence(record.name, record.key or record.name))
        image.add(record, independent=True)
        if image.expected is None and record.expected is not None:
            image.expected = _image_of(record.expected, [root, workspace.root])


def _image_of(side: SideRecord, roots: Sequence[Path]) -> Path | None:
    """Return the file of a record's image; None if it is missing or has changed."""
    for root in roots:
        path = root / side.label
        try:
            if path.is_file() and hashlib.sha256(read_regular(path)).hexdigest() == side.digest:
                return path
        except OSError:
            continue
    return None


def _records(expected: Path, actual: Path, workspace: Workspace) -> Iterator[tuple[Path, ComparisonRecord]]:
    for pair in scan_folders(expected, actual, shown=workspace.shown).pairs:
        with workspace.compared(pair, pair.name) as comparison:
            yield expected / pair.key, workspace.record(comparison, key=pair.key)


def _compare_folders(
    expected: Path, actual: Path, workspace: Workspace, found: dict[str, _Evidence], *, independent: bool = True
) -> None:
    for path, record in _records(expected, actual, workspace):
        image = found.setdefault(record.name, _Evidence(record.name, record.key or record.name))
        image.add(record, independent=independent)
        image.expected = image.expected or path


def _compare_changed(expected: Path, actual: Path, workspace: Workspace, found: dict[str, _Evidence]) -> None:
    for _, record in _records(expected, actual, workspace):
        image = found.setdefault(record.name, _Evidence(record.name, record.key or record.name))
        if record.verdict in {"match", "different"}:
            image.changed.append(_edited("labelled different", record))


# Limits


@dataclass
class _Limit:
    """A proposed limit.

    Attributes:
        worst: the worst value of an unchanged comparison.
        limit: the proposed `max` or `min`, as written; None if the rule limits counts only.
        counts: detail to its proposed limit.
        window: the size of the windows.
        where: the image with the worst value.
        problem: why there is no limit.
    """

    worst: float
    limit: str | None
    where: str
    direction: Direction
    counts: dict[str, int] = field(default_factory=dict)
    window: int | None = None
    problem: str | None = None

    def is_met(self, value: float, counts: dict[str, int]) -> bool:
        """Return whether a pair with this value and these counts passes."""
        if any(counts.get(name, most) > most for name, most in self.counts.items()):
            return False
        if self.limit is None:
            return True
        return value <= float(self.limit) if self.direction == "distance" else value >= float(self.limit)

    def written(self) -> list[str]:
        """Return the limits in the form of imgdiff.yaml."""
        parts = [] if self.limit is None else [f"{'max' if self.direction == 'distance' else 'min'}: {self.limit}"]
        if _PIXELS in self.counts:
            parts.append(f"max_pixels: {self.counts[_PIXELS]}")
        if _IN_WINDOW in self.counts:
            parts.append(f"max_in_window: {{size: {self.window}, pixels: {self.counts[_IN_WINDOW]}}}")
        return parts


@dataclass
class _Group:
    """Images that share limits."""

    members: list[_Evidence]
    limits: dict[str, _Limit] = field(default_factory=dict)

    @property
    def first(self) -> _Evidence:
        return self.members[0]

    @property
    def compared(self) -> int:
        return sum(image.compared for image in self.members)

    def passes(self, edited: _Edited) -> bool:
        """Return whether this edit passes all rules."""
        ruled = [metric for metric in self.first.rules if metric in edited.values and metric in self.limits]
        return all(self.limits[metric].is_met(edited.values[metric], edited.counts.get(metric, {})) for metric in ruled)

    def edits(self) -> dict[str, tuple[int, int]]:
        """Return kind of edit to the number of edits tried and the number missed."""
        kinds = dict.fromkeys(edit.kind for image in self.members for edit in image.edits)
        every = [edit for image in self.members for edit in image.edits]
        return {
            kind: (
                sum(edit.kind == kind for edit in every),
                sum(edit.kind == kind and self.passes(edit) for edit in every),
            )
            for kind in kinds
        }

    @property
    def missed_pairs(self) -> list[str]:
        """The images that are labelled different but would pass."""
        return [image.name for image in self.members for pair in image.changed if self.passes(pair)]

    @property
    def problem(self) -> str | None:
        """Why these limits are not proposed."""
        ruled = [self.limits[metric] for metric in self.first.rules if metric in self.limits]
        if ruled and all(limit.problem for limit in ruled):
            return ruled[0].problem
        tried, missed = self.edits().get(_DIGIT, (0, 0))
        return f"a changed digit would pass ({missed} of {tried} tried)" if missed else None


def _groups(
    evidence: Sequence[_Evidence], options: argparse.Namespace, registry: Registry
) -> tuple[list[_Group], list[_Group]]:
    """Return the groups with proposed limits, and the images without."""
    refused: list[_Group] = []
    pools: dict[tuple[Any, ...], list[_Evidence]] = {}
    for image in evidence:
        if not image.values:
            continue
        own = _limited([image], options, registry)
        if own.problem:
            refused.append(own)
        else:
            pools.setdefault(_pool_of(image, options.per), []).append(image)
    groups = []
    for members in pools.values():
        pooled = _limited(members, options, registry)
        groups += [_limited([image], options, registry) for image in members] if pooled.problem else [pooled]
    return groups, refused


def _pool_of(image: _Evidence, per: str) -> tuple[Any, ...]:
    """Return the key of the images that share limits; they always have the same rules."""
    kinds = tuple(sorted(image.counted)), tuple(sorted(image.limited)), tuple(sorted(image.windows.items()))
    rules = kinds, tuple((name, rule.options) for name, rule in sorted(image.rules.items()))
    if per == "picture" or (per == "auto" and image.compared >= ENOUGH):
        return (*rules, image.name)
    return (*rules, PurePosixPath(image.key).parent.as_posix()) if per == "folder" else rules


def _limited(members: Sequence[_Evidence], options: argparse.Namespace, registry: Registry) -> _Group:
    group = _Group(list(members))
    for metric in group.first.directions:
        rule = (group.first.rules | group.first.measured)[metric]
        made = registry.metric(metric, rule.options)
        group.limits[metric] = _limit(rule, made, members, options.margin)
    return group


def _limit(rule: Rule, metric: Any, members: Sequence[_Evidence], margin: float) -> _Limit:
    """Return the limit of one metric: the worst unchanged value, times the margin.

    The margin applies to the distance from the value of equal images, so that it also suits similarities.
    """
    name, direction = rule.metric, metric.direction
    sign = 1 if direction == "distance" else -1
    values = [(sign * value, image.name) for image in members for value in image.values.get(name, ())]
    worst, where = max(values)
    worst *= sign
    perfect = float(metric.perfect)
    limit = perfect + (worst - perfect) * margin if math.isfinite(perfect) else worst / margin
    limit = _between(name, direction, worst, limit, members)
    if name in _LEAST:
        limit = max(limit, _LEAST[name])
    low, high = metric.bounds
    text = passing_limit(min(max(limit, low), high), direction)
    counts = {
        detail: math.ceil(max(found) * margin)
        for detail in (_PIXELS, _IN_WINDOW)
        if (found := [count for image in members for count in image.counted.get((name, detail), ())])
    }
    window = members[0].windows.get(name)
    limited = name in members[0].limited
    checked = Rule(
        name,
        rule.options,
        max=float(text) if limited and direction == "distance" else None,
        min=float(text) if limited and direction == "similarity" else None,
        max_pixels=counts.get(_PIXELS),
        max_in_window=WindowLimit(window, counts[_IN_WINDOW]) if window is not None and _IN_WINDOW in counts else None,
    )
    problem = None
    if not could_fail(checked, metric):
        problem = f"{name} is {number(worst)} for unchanged images; a limit that allows this could never fail"
    return _Limit(worst, text if limited else None, where, direction, counts, window, problem)


def _between(metric: str, direction: Direction, worst: float, limit: float, members: Sequence[_Evidence]) -> float:
    """Return the limit, or the middle between similar and different pairs if the limit would pass different ones."""
    changed = [one.values[metric] for image in members for one in image.changed if metric in one.values]
    if not changed:
        return limit
    nearest = min(changed) if direction == "distance" else max(changed)
    middle = (worst + nearest) / 2
    if direction == "distance":
        return min(limit, middle) if nearest > worst else limit
    return max(limit, middle) if nearest < worst else limit


def false_alarms(compared: int) -> float:
    """Return the upper bound, at 95 %, of the rate of false alarms of a limit, which no comparison exceeded.

    Distribution-free: with a rate of p, none of n comparisons exceeds it with a probability of (1 - p)^n. The rate at
    which that is .05 is below 3/n (the rule of three; Hanley and Lippman-Hand, JAMA 249 (13), 1983).
    """
    return 1 - 0.05 ** (1 / compared) if compared else 1.0


# Known edits


def _known_edits(pixels: Pixels) -> Iterator[tuple[str, Pixels]]:
    """Yield known edits of an image: changed digits and a moved line if it contains text, and a faint panel.

    Args:
        pixels: (height, width, 4) as in `pytest_imgdiff.base.image.Image`.
    """
    lines = _lines_of_text(pixels)
    places = {0, len(lines) // 2, len(lines) - 1} if lines else set()
    for line in (lines[place] for place in sorted(places)):
        if (changed := _swapped(pixels, line)) is not None:
            yield _DIGIT, changed
    if lines:
        longest = max(lines, key=len)
        yield _MOVED, _moved(pixels, _around(longest))
    yield _PANEL, _with_panel(pixels)


def _lines_of_text(pixels: Pixels) -> list[list[Box]]:
    """Return boxes of shapes that look like characters, by lines, the lowest characters first."""
    share = pixels[..., :3] / full_value(pixels.dtype)
    gray = np.rint(share.mean(axis=2) * 255).astype(np.uint8)
    ground = np.asarray(cv2.medianBlur(gray, _BLUR), np.uint8)
    ink = (cv2.absdiff(gray, ground) > _INK).astype(np.uint8)
    _, _, found, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    height, width = gray.shape
    characters = []
    for x, y, across, down, _ in found[1:].tolist():
        if not (_LOWEST <= down <= _HIGHEST and 2 <= across <= down * 1.5):  # noqa: PLR2004 - an i, at least
            continue
        if x < 1 or y < 1 or x + across + 1 > width or y + down + 1 > height:
            continue
        outer = gray[y - 1 : y + down + 1, x - 1 : x + across + 1].astype(np.int16)
        rim = np.concatenate([outer[0], outer[-1], outer[:, 0], outer[:, -1]])
        if rim.max() - rim.min() <= _INK:  # separate from its neighbours, on a plain background
            characters.append(Box(x, y, across, down))
    lines: list[list[Box]] = []
    for box in sorted(characters, key=lambda box: (box.y + box.height, box.x)):
        line = next((line for line in lines if _on_line(box, line[-1])), None)
        if line is None:
            lines.append([box])
        else:
            line.append(box)
    return sorted((line for line in lines if len(line) >= _FEWEST), key=lambda line: max(box.height for box in line))


def _on_line(box: Box, other: Box) -> bool:
    apart = abs(box.x - other.x)
    return abs(box.y + box.height - other.y - other.height) <= 1 and apart < _FAR * max(box.height, other.height)


def _swapped(pixels: Pixels, line: Sequence[Box]) -> Pixels | None:
    """Return the image with a character replaced by another of its size; None if there is no different one."""
    for box, other in combinations(line, 2):
        if abs(box.height - other.height) > 1 or abs(box.width - other.width) > 2:  # noqa: PLR2004 - as digits are
            continue
        width, height = max(box.width, other.width), max(box.height, other.height)
        here = pixels[box.y + box.height - height : box.y + box.height, box.x : box.x + width]
        there = pixels[other.y + other.height - height : other.y + other.height, other.x : other.x + width]
        full = full_value(pixels.dtype)
        apart = np.abs(here.astype(np.float64) - there).max(axis=2) / full > _INK / 255
        if here.shape == there.shape and apart.mean() > _DIFFERENT:
            edited: Pixels = pixels.copy()
            edited[box.y + box.height - height : box.y + box.height, box.x : box.x + width] = there
            return edited
    return None


def _moved(pixels: Pixels, box: Box) -> Pixels:
    edited: Pixels = pixels.copy()
    block = pixels[box.y : box.y + box.height, box.x : box.x + box.width]
    edited[box.y : box.y + box.height, box.x : box.x + box.width] = pixels[box.y - 1, box.x - 1]
    height, width = pixels.shape[:2]
    top, left = min(box.y + _STEP, height - box.height), min(box.x + _STEP, width - box.width)
    edited[top : top + box.height, left : left + box.width] = block
    return edited


def _with_panel(pixels: Pixels) -> Pixels:
    """Return the image with a slightly lighter or darker panel in its plainest area."""
    height, width = pixels.shape[:2]
    down, across = min(height, max(24, height // 8)), min(width, max(48, width // 4))
    full = full_value(pixels.dtype)
    gray = np.asarray(pixels[..., :3].mean(axis=2) / full, np.float32)
    places = [
        (float(gray[top : top + down, left : left + across].std()), top, left)
        for top in range(0, height - down + 1, max(1, down // 2))
        for left in range(0, width - across + 1, max(1, across // 2))
    ]
    _, top, left = min(places)
    edited: Pixels = pixels.copy()
    part = edited[top : top + down, left : left + across, :3].astype(np.float64)
    part += (-1 if part.mean() > full / 2 else 1) * _FAINT * full
    edited[top : top + down, left : left + across, :3] = np.clip(part, 0, full).astype(pixels.dtype)
    return edited


# Output


def _fragment(
    groups: Sequence[_Group],
    refused: Sequence[_Group],
    evidence: Sequence[_Evidence],
    source: str,
    options: argparse.Namespace,
) -> str:
    lines = [
        f"# Limits that `pytest-imgdiff calibrate` proposes, from {source}.",
        f"# Each limit is the worst value of unchanged images, times {options.margin:g} (the margin).",
    ]
    whole = len(groups) == 1 and not refused
    if whole:
        lines += ["metrics:", *_rule_lines(groups[0], "  ")]
    elif groups or refused:
        lines.append("overrides:")
        for group in groups:
            lines += [f"  - match: {json.dumps(_globs(group, evidence), ensure_ascii=False)}", "    metrics:"]
            lines += _rule_lines(group, "      ")
        for group in refused:
            lines += [f"  # No limit for {visible(group.first.name)}: {group.problem}."]
            lines += [f"  #{line}" for line in _ignore_lines(group.first)]
        if not groups:
            lines[2] = "#overrides:"
    return "\n".join(lines) + "\n"


def _rule_lines(group: _Group, indent: str) -> Iterator[str]:
    yield f"{indent}# {_false_alarm_words(group)}"
    yield from (f"{indent}# {line.strip()}" for line in _edit_lines(group))
    for metric, limit in group.limits.items():
        rule = (group.first.rules | group.first.measured)[metric]
        parts = limit.written()
        parts += [f"{key}: {json.dumps(value)}" for key, value in rule.options]
        inactive = limit.problem or metric not in group.first.rules
        if metric in group.first.rules:
            parts += [f"when: {rule.when}"] if rule.when != "always" else []
            parts += [f"on_unavailable: {rule.on_unavailable}"] if rule.on_unavailable != "fail" else []
        why = limit.problem or f"worst {number(limit.worst)} in {visible(limit.where)}"
        only = "" if metric in group.first.rules else "; measured only"
        yield f"{indent}{'#' if inactive else ''}{metric}: {{{', '.join(parts)}}}  # {why}{only}"


def _false_alarm_words(group: _Group) -> str:
    """Describe how likely an unchanged image is to fail."""
    comparisons = counted(group.compared, "independent comparison")
    total = counted(len(group.members), "image")
    words = f"{total}, {comparisons}: false alarms below {percent(round(false_alarms(group.compared), 4))} at 95 %"
    return words if group.compared >= ENOUGH else f"{words}; use {ENOUGH} comparisons or more for a better bound"


def _globs(group: _Group, evidence: Sequence[_Evidence]) -> list[str]:
    """Return globs that match only these of the known images: their folder, or each name."""
    keys = {image.key for image in group.members}
    folder = os.path.commonpath(map(os.path.dirname, keys)) if len(keys) > 1 else ""
    if folder and {one.key for one in evidence if one.key.startswith(f"{folder}/")} == keys:
        return [f"{literal_glob(folder)}/**"]
    return [literal_glob(key) for key in sorted(keys)]


def _ignore_lines(image: _Evidence) -> Iterator[str]:
    """Yield an override that ignores the areas that flicker most often; nothing if they are too large."""
    most = max((count for _, count in image.areas), default=0)
    areas = [_grown(area, image.size) for area, count in image.areas if count == most]
    if not 0 < len(areas) <= _MOST_AREAS or image.size is None:
        return
    if sum(area.width * area.height for area in areas) > _LARGEST_SHARE * image.size[0] * image.size[1]:
        return
    yield f"- match: {json.dumps(literal_glob(image.key), ensure_ascii=False)}"
    yield "  ignore:"
    yield from (f"    - {{x: {a.x}, y: {a.y}, width: {a.width}, height: {a.height}}}" for a in areas)


def _grown(box: Box, size: tuple[int, int] | None) -> Box:
    """Return the box with a rim: the next run may differ slightly outside it."""
    width, height = size or (box.x + box.width, box.y + box.height)
    left, top = max(0, box.x - _RIM), max(0, box.y - _RIM)
    right, bottom = min(width, box.x + box.width + _RIM), min(height, box.y + box.height + _RIM)
    return Box(left, top, right - left, bottom - top)


def _summary(
    groups: Sequence[_Group],
    refused: Sequence[_Group],
    evidence: Sequence[_Evidence],
    source: str,
    options: argparse.Namespace,
) -> Iterator[str]:
    yield f"from {source}; margin {options.margin:g}"
    for group in groups:
        yield f"{', '.join(map(visible, _globs(group, evidence)))}: {_false_alarm_words(group)}"
        for metric, limit in group.limits.items():
            written = ", ".join(limit.written())
            yield f"  {metric}: {{{written}}}, worst {number(limit.worst)} in {visible(limit.where)}"
        yield from _edit_lines(group)
        for name in group.missed_pairs:
            yield f"  missed: {visible(name)}, which is labelled different, would pass"
    for group in refused:
        yield f"{visible(group.first.name)}: no limit: {group.problem}"
        for metric in group.first.rules:
            yield f"  {metric}: worst {number(group.limits[metric].worst)}"
        yield from _edit_lines(group)
    for image in evidence:
        yield from _flicker_lines(image)
        for reason, count in Counter(image.unusable).items():
            yield f"{visible(image.name)}: {counted(count, 'comparison')} not used: {visible(reason)}"


def _edit_lines(group: _Group) -> Iterator[str]:
    edits = group.edits()
    for kind, (tried, missed) in edits.items():
        yield f"  {kind}: {tried} tried, {missed} missed"
    if not edits:
        yield "  no edits tried: the expected images are missing or have changed"
    elif _DIGIT not in edits:
        yield "  no digit changed: no line of text found in these images"


def _flicker_lines(image: _Evidence) -> Iterator[str]:
    if not image.failed:
        return
    areas = image.areas
    listed = ", ".join(
        f"{area.width}x{area.height} at {area.x},{area.y} ({count} of {image.comparisons})"
        for area, count in areas[:_MOST_AREAS]
    )
    more = f" and {len(areas) - _MOST_AREAS} more" if len(areas) > _MOST_AREAS else ""
    yield f"{visible(image.name)} flickers in {image.failed} of {image.comparisons} comparisons: {listed}{more}"
    ignore = list(_ignore_lines(image))
    if ignore:
        yield "  to ignore these areas, add this to overrides in imgdiff.yaml and calibrate again:"
        yield from (f"  {line}" for line in ignore)
    else:
        yield "  too many or too large areas to ignore; find the cause, or try other metrics (--set)"


def _margin(text: str) -> float:
    number = above_zero(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, not {text!r}")
    return number
