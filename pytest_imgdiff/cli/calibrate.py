"""``pytest-imgdiff flaky`` and ``calibrate``: what several runs say about images in which nothing changed."""

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
from pytest_imgdiff.base.text import counted, visible
from pytest_imgdiff.cli.flaky import results_paths
from pytest_imgdiff.cli.parser import above_zero, add_config
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
"""Unchanged comparisons of an image after which it gets limits of its own: 20, times a margin of 1.5, exceeded by less
than one in a hundred further ones of real font renderings."""
_LEAST = {"visible": 1.0}
"""Limits that are not made stricter: what is below is not visible to a person."""

_NOTHING, _FOUND = 0, 1
_FEWEST_FOLDERS = 2
_NEAR = 8
"""Pixels between two places in which one image flickers, up to which they are one."""
_RIM = 2
_MOST_AREAS = 5
_LARGEST_SHARE = 0.25
"""Of the image: what flickers in more of it is not offered to be ignored."""

_DIGIT, _MOVED, _PANEL = "a changed digit", "a line moved by 4 pixels", "a faint panel (8 levels)"
_PIXELS, _IN_WINDOW = "pixels", "most_in_window"
"""The details of metrics that `max_pixels` and `max_in_window` limit."""
_STEP = 4
_FAINT = 8 / 255
_INK = 48
"""Levels of 255 by which a character stands out from its ground."""
_BLUR = 31
_LOWEST, _HIGHEST = 6, 28
"""Heights of characters, in pixels."""
_FEWEST = 4
"""Characters of a line of text."""
_FAR = 6
"""Heights of a character between two neighbours of a line, up to which they are on one line."""
_UNLIKE = 0.12
"""Share of pixels in which two characters differ that are not the same one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Propose limits as a fragment of imgdiff.yaml, from runs or renderings in which nothing changed, "
        "and say what they would miss. Exit code 0: limits for every image, 1: not for all, 2: something could not "
        "be read."
    )
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="RESULTS|FOLDER",
        help="results.json or report folders of several runs; or folders with renderings of the same images",
    )
    parser.add_argument(
        "--pairs",
        choices=("first", "all"),
        default="first",
        help="of folders: compare all with the first one, or each with each (default: first)",
    )
    parser.add_argument(
        "--same",
        nargs=2,
        action="append",
        metavar=("A", "B"),
        help="two folders whose images are similar; may be repeated",
    )
    parser.add_argument(
        "--different", nargs=2, action="append", metavar=("C", "D"), help="two folders whose images all differ"
    )
    parser.add_argument("--margin", type=_margin, default=1.5, metavar="X", help="times the worst value (default: 1.5)")
    parser.add_argument(
        "--per",
        choices=("auto", "picture", "folder", "suite"),
        default="auto",
        help="which images share limits (default: those with fewer than 20 comparisons)",
    )
    parser.add_argument("--output", "-o", metavar="FILE", help="write the fragment here (default: standard output)")
    parser.add_argument("--force", action="store_true", help="replace FILE where it is there already")
    add_config(parser)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="set a key of imgdiff.yaml, as for compare"
    )
    parser.add_argument("--measure", metavar="METRICS", help="of folders: measure these as well, as for compare")


def run(options: argparse.Namespace) -> int:
    """Propose limits from comparisons in which nothing changed, and print what they would miss.

    Returns:
        0: every image has limits under which a changed digit is seen. 1: at least one has none, or differs where it
        must not.

    Raises:
        ImgdiffError: the command cannot be followed, or something cannot be read.
    """
    if options.output and os.path.lexists(options.output) and not options.force:
        raise ConfigError(f"{visible(options.output)}: is there already; name another file, or add --force")
    workspace = _workspace(options)
    evidence, source = _evidence(options, workspace)
    if not evidence:
        raise ConfigError("calibrate: nothing was compared, so there is nothing to learn from")
    for picture in evidence:
        picture.try_edits(workspace)
    groups, refused = _groups(evidence, options, workspace.registry)
    fragment = _fragment(groups, refused, evidence, source, options)
    words = sys.stdout if options.output else sys.stderr
    if options.output:
        write_output(fragment.encode(), options.output, "the limits")
    else:
        sys.stdout.write(fragment)
        sys.stdout.flush()
    for line in _told(groups, refused, evidence, source, options):
        print(line, file=words)
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
    workspace.policy("")  # a mistake in --set is told before anything is compared
    return workspace


@dataclass(frozen=True)
class _Edited:
    """A known edit of an image, measured.

    Attributes:
        kind: what was done.
        values: of each metric.
        counts: of each metric that counts pixels, by the names of its details.
    """

    kind: str
    values: dict[str, float]
    counts: dict[str, dict[str, int]]


@dataclass
class _Evidence:
    """What is known of one image.

    Attributes:
        name, key: of the comparison, as in its record.
        rules: the rules that it is judged by, with their options.
        measured: the metrics that are measured only.
        values: of each metric, of each comparison in which nothing changed.
        counted: likewise, counts of pixels by metric and detail, where a limit on them is named.
        limited: the metrics whose value has a limit, or that are measured only.
        windows: the size of the windows in which a metric's pixels are limited.
        compared: how many independent comparisons that were.
        failed: how many of them fail under the present limits.
        boxes: the regions of each that differs.
        size: width and height; None if it is not known.
        unusable: why comparisons could not be used.
        changed: the values of pairs that must be distinguished (`--different`).
        expected: the image, where it is there.
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
        """Take a comparison in which nothing changed."""
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
        """Measure known edits of the image by its rules."""
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
        except BrokenImageError:  # that of the comparisons says why
            return
        for kind, edited in _known_edits(pixels):
            comparison = compare(pixels, edited, policy, name=self.name, registry=workspace.registry)
            self.edits.append(_edited(kind, record_of(comparison)))

    @property
    def areas(self) -> list[tuple[Box, int]]:
        """Where it flickers: boxes that do not touch, and in how many comparisons something differed in each."""
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
    """Return the rule with the limit that equal images just hold, to be measured in any case."""
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


# What is learnt from


def _evidence(options: argparse.Namespace, workspace: Workspace) -> tuple[list[_Evidence], str]:
    """Return what is known of each image, and in words what it is known from."""
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
            f"calibrate: {visible(str(folders[0]))} is a folder of images and {visible(str(other))} is not: name "
            "either folders of images or results of runs"
        )
    if not paths:
        raise ConfigError("calibrate: name results of runs in which nothing changed, or folders of renderings")
    for path in results_paths(options.sources):
        _read_run(path, workspace, found)
    return _complete(found, workspace), f"{counted(len(paths), 'run')} in which nothing changed"


def _from_labelled(options: argparse.Namespace, workspace: Workspace) -> tuple[list[_Evidence], str]:
    if options.sources:
        raise ConfigError("calibrate: name folders with --same and --different, or without them, and not both")
    if not options.same:
        raise ConfigError("calibrate: --different needs --same: limits come from pairs in which nothing changed")
    found: dict[str, _Evidence] = {}
    for first, other in options.same:
        _compare_folders(Path(first), Path(other), workspace, found)
    different = options.different or []
    for first, other in different:
        _compare_changed(Path(first), Path(other), workspace, found)
    told = f"{counted(len(options.same), 'pair')} of folders that are alike"
    return _complete(found, workspace), told + (f" and {len(different)} that differ" if different else "")


def _from_folders(
    folders: Sequence[Path], options: argparse.Namespace, workspace: Workspace
) -> tuple[list[_Evidence], str]:
    if len(folders) < _FEWEST_FOLDERS:
        raise ConfigError("calibrate: name at least two folders of renderings of the same images")
    found: dict[str, _Evidence] = {}
    pairs = combinations(folders, 2) if options.pairs == "all" else ((folders[0], other) for other in folders[1:])
    for first, other in pairs:
        # With each compared with each, no more comparisons are independent of one another than with the first.
        _compare_folders(first, other, workspace, found, independent=first == folders[0])
    way = "each compared with each" if options.pairs == "all" else "all compared with the first"
    return _complete(found, workspace), f"{len(folders)} folders of renderings, {way}"


def _complete(found: dict[str, _Evidence], workspace: Workspace) -> list[_Evidence]:
    for picture in found.values():
        policy = workspace.policy(picture.key)
        known = {rule.metric: rule for rule in (*policy.measure, *policy.metrics)}  # with their options
        for rules in (picture.rules, picture.measured):
            rules.update({metric: known.get(metric, rule) for metric, rule in rules.items()})
    return [picture for picture in found.values() if picture.values or picture.unusable]


def _read_run(path: Path, workspace: Workspace, found: dict[str, _Evidence]) -> None:
    run = read_results(path)
    root = path.parent / (run.root or ".")
    for record in run.comparisons:
        picture = found.setdefault(record.name, _Evidence(record.name, record.key or record.name))
        picture.add(record, independent=True)
        if picture.expected is None and record.expected is not None:
            picture.expected = _picture_of(record.expected, [root, workspace.root])


def _picture_of(side: SideRecord, roots: Sequence[Path]) -> Path | None:
    """Return the file of a record's image; None if it is not there, or is another one by now."""
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
        picture = found.setdefault(record.name, _Evidence(record.name, record.key or record.name))
        picture.add(record, independent=independent)
        picture.expected = picture.expected or path


def _compare_changed(expected: Path, actual: Path, workspace: Workspace, found: dict[str, _Evidence]) -> None:
    for _, record in _records(expected, actual, workspace):
        picture = found.setdefault(record.name, _Evidence(record.name, record.key or record.name))
        if record.verdict in {"match", "different"}:
            picture.changed.append(_edited("labelled different", record))


# Limits


@dataclass
class _Limit:
    """A proposed limit.

    Attributes:
        worst: the worst value of a comparison in which nothing changed.
        limit: the proposed `max` or `min`, as it is written; None if the rule limits counts only.
        counts: the proposed limits of counts, by the names of details.
        window: the size of the windows.
        where: the image with the worst value.
        problem: why there is no such limit.
    """

    worst: float
    limit: str | None
    where: str
    direction: Direction
    counts: dict[str, int] = field(default_factory=dict)
    window: int | None = None
    problem: str | None = None

    def holds(self, value: float, counts: dict[str, int]) -> bool:
        """Whether a pair with this value and these counts passes."""
        if any(counts.get(name, most) > most for name, most in self.counts.items()):
            return False
        if self.limit is None:
            return True
        return value <= float(self.limit) if self.direction == "distance" else value >= float(self.limit)

    def written(self) -> list[str]:
        """Return the limits as imgdiff.yaml has them."""
        parts = [] if self.limit is None else [f"{'max' if self.direction == 'distance' else 'min'}: {self.limit}"]
        if _PIXELS in self.counts:
            parts.append(f"max_pixels: {self.counts[_PIXELS]}")
        if _IN_WINDOW in self.counts:
            parts.append(f"max_in_window: {{size: {self.window}, pixels: {self.counts[_IN_WINDOW]}}}")
        return parts


@dataclass
class _Group:
    """Images that share limits."""

    pictures: list[_Evidence]
    limits: dict[str, _Limit] = field(default_factory=dict)

    @property
    def first(self) -> _Evidence:
        return self.pictures[0]

    @property
    def compared(self) -> int:
        return sum(picture.compared for picture in self.pictures)

    def passes(self, edited: _Edited) -> bool:
        """Whether all rules would let this edit pass."""
        ruled = [metric for metric in self.first.rules if metric in edited.values and metric in self.limits]
        return all(self.limits[metric].holds(edited.values[metric], edited.counts.get(metric, {})) for metric in ruled)

    def edits(self) -> dict[str, tuple[int, int]]:
        """Return of each kind of edit how many were tried and how many would be missed."""
        kinds = dict.fromkeys(edit.kind for picture in self.pictures for edit in picture.edits)
        every = [edit for picture in self.pictures for edit in picture.edits]
        return {
            kind: (
                sum(edit.kind == kind for edit in every),
                sum(edit.kind == kind and self.passes(edit) for edit in every),
            )
            for kind in kinds
        }

    @property
    def missed_pairs(self) -> list[str]:
        """The images labelled different that would pass."""
        return [picture.name for picture in self.pictures for pair in picture.changed if self.passes(pair)]

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
    """Return the groups with proposed limits, and the images for which there are none."""
    refused: list[_Group] = []
    pools: dict[tuple[Any, ...], list[_Evidence]] = {}
    for picture in evidence:
        if not picture.values:
            continue
        own = _limited([picture], options, registry)
        if own.problem:
            refused.append(own)
        else:
            pools.setdefault(_pool_of(picture, options.per), []).append(picture)
    groups = []
    for pictures in pools.values():
        pooled = _limited(pictures, options, registry)
        groups += [_limited([picture], options, registry) for picture in pictures] if pooled.problem else [pooled]
    return groups, refused


def _pool_of(picture: _Evidence, per: str) -> tuple[Any, ...]:
    """Return what images have in common that share limits; the same rules in any case."""
    kinds = tuple(sorted(picture.counted)), tuple(sorted(picture.limited)), tuple(sorted(picture.windows.items()))
    rules = kinds, tuple((name, rule.options) for name, rule in sorted(picture.rules.items()))
    if per == "picture" or (per == "auto" and picture.compared >= ENOUGH):
        return (*rules, picture.name)
    return (*rules, PurePosixPath(picture.key).parent.as_posix()) if per == "folder" else rules


def _limited(pictures: Sequence[_Evidence], options: argparse.Namespace, registry: Registry) -> _Group:
    group = _Group(list(pictures))
    for metric in group.first.directions:
        rule = (group.first.rules | group.first.measured)[metric]
        made = registry.metric(metric, rule.options)
        group.limits[metric] = _limit(rule, made, pictures, options.margin)
    return group


def _limit(rule: Rule, metric: Any, pictures: Sequence[_Evidence], margin: float) -> _Limit:
    """Return the limit of one metric: the worst value in which nothing changed, times the margin.

    The margin widens the distance to the value of equal images, so that it serves similarities too.
    """
    name, direction = rule.metric, metric.direction
    sign = 1 if direction == "distance" else -1
    values = [(sign * value, picture.name) for picture in pictures for value in picture.values.get(name, ())]
    worst, where = max(values)
    worst *= sign
    perfect = float(metric.perfect)
    limit = perfect + (worst - perfect) * margin if math.isfinite(perfect) else worst / margin
    limit = _apart(name, direction, worst, limit, pictures)
    if name in _LEAST:
        limit = max(limit, _LEAST[name])
    low, high = metric.bounds
    text = passing_limit(min(max(limit, low), high), direction)
    counts = {
        detail: math.ceil(max(found) * margin)
        for detail in (_PIXELS, _IN_WINDOW)
        if (found := [count for picture in pictures for count in picture.counted.get((name, detail), ())])
    }
    window = pictures[0].windows.get(name)
    limited = name in pictures[0].limited
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
        problem = f"{name} is {number(worst)} where nothing changed, and a limit as loose as that could never fail"
    return _Limit(worst, text if limited else None, where, direction, counts, window, problem)


def _apart(metric: str, direction: Direction, worst: float, limit: float, pictures: Sequence[_Evidence]) -> float:
    """Return the limit, moved to the middle between what is alike and what differs where the margin reaches too far."""
    changed = [one.values[metric] for picture in pictures for one in picture.changed if metric in one.values]
    if not changed:
        return limit
    nearest = min(changed) if direction == "distance" else max(changed)
    middle = (worst + nearest) / 2
    if direction == "distance":
        return min(limit, middle) if nearest > worst else limit
    return max(limit, middle) if nearest < worst else limit


def false_alarms(compared: int) -> float:
    """Return the rate of false alarms that a limit not exceeded in so many comparisons stays below, at 95 %.

    Distribution-free: if the rate were p, none of n would exceed it with a chance of (1 - p)^n. The rate at which that
    is .05 is below 3/n (the rule of three; Hanley and Lippman-Hand, JAMA 249 (13), 1983).
    """
    return 1 - 0.05 ** (1 / compared) if compared else 1.0


# Known edits


def _known_edits(pixels: Pixels) -> Iterator[tuple[str, Pixels]]:
    """Yield known edits of an image: changed digits and a moved line where it has text, and a faint panel.

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
        if rim.max() - rim.min() <= _INK:  # apart from its neighbours, on one ground
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
    """Return the image with one character of a line in place of another one of its size; None if all are alike."""
    for box, other in combinations(line, 2):
        if abs(box.height - other.height) > 1 or abs(box.width - other.width) > 2:  # noqa: PLR2004 - as digits are
            continue
        width, height = max(box.width, other.width), max(box.height, other.height)
        here = pixels[box.y + box.height - height : box.y + box.height, box.x : box.x + width]
        there = pixels[other.y + other.height - height : other.y + other.height, other.x : other.x + width]
        full = full_value(pixels.dtype)
        apart = np.abs(here.astype(np.float64) - there).max(axis=2) / full > _INK / 255
        if here.shape == there.shape and apart.mean() > _UNLIKE:
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
    """Return the image with a panel a little lighter or darker, where there is least else in it."""
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


# What is written and said


def _fragment(
    groups: Sequence[_Group],
    refused: Sequence[_Group],
    evidence: Sequence[_Evidence],
    source: str,
    options: argparse.Namespace,
) -> str:
    lines = [
        f"# Limits that `pytest-imgdiff calibrate` proposes, from {source}.",
        f"# Each limit is the worst value where nothing changed, times {options.margin:g} (the margin).",
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
    yield f"{indent}# {_certainty(group)}"
    yield from (f"{indent}# {line.strip()}" for line in _told_edits(group))
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


def _certainty(group: _Group) -> str:
    """Say how sure it is that nothing fails that did not change."""
    comparisons = counted(group.compared, "independent comparison")
    pictures = counted(len(group.pictures), "image")
    words = f"{pictures}, {comparisons}: false alarms below {percent(round(false_alarms(group.compared), 4))} at 95 %"
    return words if group.compared >= ENOUGH else f"{words}; {ENOUGH} comparisons or more would say more"


def _globs(group: _Group, evidence: Sequence[_Evidence]) -> list[str]:
    """Return globs for these images and no others of those known: their folder, or each by its name."""
    keys = {picture.key for picture in group.pictures}
    folder = os.path.commonpath(map(os.path.dirname, keys)) if len(keys) > 1 else ""
    if folder and {one.key for one in evidence if one.key.startswith(f"{folder}/")} == keys:
        return [f"{_literal(folder)}/**"]
    return [_literal(key) for key in sorted(keys)]


def _literal(key: str) -> str:
    """Return the glob that matches this name alone."""
    return "".join(f"[{each}]" if each in "*?[{" else "?" if each == "\\" else each for each in key)


def _ignore_lines(picture: _Evidence) -> Iterator[str]:
    """Yield an override that ignores where the image flickers most often; nothing if that is much of it."""
    most = max((count for _, count in picture.areas), default=0)
    areas = [_grown(area, picture.size) for area, count in picture.areas if count == most]
    if not 0 < len(areas) <= _MOST_AREAS or picture.size is None:
        return
    if sum(area.width * area.height for area in areas) > _LARGEST_SHARE * picture.size[0] * picture.size[1]:
        return
    yield f"- match: {json.dumps(_literal(picture.key), ensure_ascii=False)}"
    yield "  ignore:"
    yield from (f"    - {{x: {a.x}, y: {a.y}, width: {a.width}, height: {a.height}}}" for a in areas)


def _grown(box: Box, size: tuple[int, int] | None) -> Box:
    """Return the box with a rim: the next run may differ a little beside it."""
    width, height = size or (box.x + box.width, box.y + box.height)
    left, top = max(0, box.x - _RIM), max(0, box.y - _RIM)
    right, bottom = min(width, box.x + box.width + _RIM), min(height, box.y + box.height + _RIM)
    return Box(left, top, right - left, bottom - top)


def _told(
    groups: Sequence[_Group],
    refused: Sequence[_Group],
    evidence: Sequence[_Evidence],
    source: str,
    options: argparse.Namespace,
) -> Iterator[str]:
    yield f"from {source}; margin {options.margin:g}"
    for group in groups:
        yield f"{', '.join(map(visible, _globs(group, evidence)))}: {_certainty(group)}"
        for metric, limit in group.limits.items():
            written = ", ".join(limit.written())
            yield f"  {metric}: {{{written}}}, worst {number(limit.worst)} in {visible(limit.where)}"
        yield from _told_edits(group)
        for name in group.missed_pairs:
            yield f"  missed: {visible(name)}, which is labelled different, would pass"
    for group in refused:
        yield f"{visible(group.first.name)}: no limit: {group.problem}"
        for metric in group.first.rules:
            yield f"  {metric}: worst {number(group.limits[metric].worst)}"
        yield from _told_edits(group)
    for picture in evidence:
        yield from _told_flicker(picture)
        for reason, count in Counter(picture.unusable).items():
            yield f"{visible(picture.name)}: {counted(count, 'comparison')} not used: {visible(reason)}"


def _told_edits(group: _Group) -> Iterator[str]:
    edits = group.edits()
    for kind, (tried, missed) in edits.items():
        yield f"  {kind}: {tried} tried, {missed} missed"
    if not edits:
        yield "  no edits were tried: the expected images are not there, or are others by now"
    elif _DIGIT not in edits:
        yield "  no digit was changed: nothing in these images looks like a line of text"


def _told_flicker(picture: _Evidence) -> Iterator[str]:
    if not picture.failed:
        return
    areas = picture.areas
    listed = ", ".join(
        f"{area.width}x{area.height} at {area.x},{area.y} ({count} of {picture.comparisons})"
        for area, count in areas[:_MOST_AREAS]
    )
    more = f" and {len(areas) - _MOST_AREAS} more" if len(areas) > _MOST_AREAS else ""
    yield f"{visible(picture.name)} flickers in {picture.failed} of {picture.comparisons} comparisons: {listed}{more}"
    ignore = list(_ignore_lines(picture))
    if ignore:
        yield "  to ignore it, add this to overrides in imgdiff.yaml, and calibrate again:"
        yield from (f"  {line}" for line in ignore)
    else:
        yield "  those are too many places, or too large ones, to ignore: find out why, or try other metrics (--set)"


def _margin(text: str) -> float:
    number = above_zero(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, not {text!r}")
    return number
