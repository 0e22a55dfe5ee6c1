"""`compare`: two sources and a policy in, one comparison out."""

from __future__ import annotations

import functools
import os
import time
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, get_args

from pytest_imgdiff import images
from pytest_imgdiff.base.errors import BrokenImageError, ImgdiffError
from pytest_imgdiff.base.model import Comparison, Frame, Policy, Verdict
from pytest_imgdiff.base.record import MOST_REGIONS
from pytest_imgdiff.base.stores import StoredFile
from pytest_imgdiff.comparison.judging import judge, judge_equal
from pytest_imgdiff.comparison.measuring import asked_by
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import check_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_imgdiff.base.image import Image, ImageInfo

    KeepFrame = Callable[[Comparison], tuple[Mapping[str, str], str | None]]

_DEFAULT = Policy()
_SIDES = ("expected", "actual")
LEAST_DURATION = 1.0
"""Milliseconds by which two durations must differ: formats round them."""
MOST_DURATIONS = 3
"""Maximum frames that a reason names if their durations differ."""
_BEST_FIRST = (Verdict.MATCH, Verdict.DIFFERENT, Verdict.RESIZED, Verdict.BROKEN)


def compare(
    expected: object | None,
    actual: object | None,
    policy: Policy | None = None,
    *,
    name: str = "comparison",
    registry: Registry | None = None,
    root: Path | None = None,
    keep_frame: KeepFrame | None = None,
    room: Callable[[int], object] | None = None,
) -> Comparison:
    """Compare two images and judge them.

    Args:
        expected: the expected image: any source that `pytest_imgdiff.images.read` accepts; None if there is none
            (verdict ``missing``).
        actual: the actual image; None if there is none (verdict ``unmatched``).
        policy: the rules and other settings. Default: `Policy()`.
        name: the name of the pair in reports.
        registry: the known metrics and loaders. Default: the built-in and installed ones.
        root: absolute paths in the comparison become relative to this folder. Default: they do not change.
        keep_frame: for animations and documents: called with each frame that fails or passes with a warning, while its
            pixels are in memory. It returns `Frame.pictures` and `Frame.fingerprint`.
        room: called once, before anything is decoded, with about how many bytes that takes; it may wait.

    Returns:
        The comparison. If an image cannot be read, or a metric has no value for this pair, the verdict is
        ``broken``, which never passes.

    Raises:
        ImgdiffError: both sources are None, or the policy is invalid: a metric is unknown or cannot be loaded, a rule
            has no limit or one that could not fail, a value has the wrong type.
    """
    if expected is None and actual is None:
        msg = f"{name}: there is neither an expected nor an actual image"
        raise ImgdiffError(msg)
    started = time.perf_counter()
    policy = _DEFAULT if policy is None else policy
    registry = registry or _installed()
    # A policy that cannot be followed is an error for equal images too. Most images of a run have one policy.
    if policy is not registry.followed:
        check_policy(policy, registry)
        registry.followed = policy
    reading = _Reading(policy, registry, root)
    comparison = _compared(name, expected, actual, reading, keep_frame, room)
    # No other code has the object yet, and a copy of all fields takes longer than reading a small file.
    object.__setattr__(comparison, "seconds", time.perf_counter() - started)
    return comparison


@functools.cache
def _installed() -> Registry:
    """Return the built-in and installed metrics. Finding them takes as long as comparing a small pair."""
    return Registry()


def _compared(
    name: str,
    expected: object | None,
    actual: object | None,
    reading: _Reading,
    keep: KeepFrame | None,
    room: Callable[[int], object] | None,
) -> Comparison:
    first = reading.read(expected, "expected")
    if isinstance(actual, StoredFile) and first is not None and first.data is not None and actual.holds(first.data):
        second: images.Source | None = images.Source("path", actual.label, data=first.data)  # no need to fetch it
    else:
        second = reading.read(actual, "actual")
    sources = [first, second]
    if room is not None:
        room(images.working_size(first, second))
    if first is not None and second is not None and first.data is not None and first.data == second.data:
        return _equal_bytes(name, first, second.label, reading)
    found = reading.decode(sources)
    if expected is None or actual is None or reading.problems:
        return _one_sided(name, found, reading)
    return _frame_by_frame(name, found, reading, keep)


def _equal_bytes(name: str, source: images.Source, other_label: str, reading: _Reading) -> Comparison:
    """Judge a pair of equal files without their pixels. The file is checked: two broken files are never equal."""
    count = 0
    shown: Comparison | None = None
    for image in reading.each(reading.check(source), "expected"):
        other = image.named(image.info.called(other_label))
        judged = judge_equal(name, image, other, reading.policy, reading.registry)
        count += 1
        if shown is None or _severity(judged) > _severity(shown):
            shown = judged
    if reading.problems or shown is None:
        found = () if shown is None or shown.expected is None else (shown.expected,)
        other_name = reading.called(other_label, "actual")
        return _broken(name, reading.policy, [found], [*reading.problems, *_same(reading.problems, other_name)])
    return shown if count == 1 else replace(shown, frame_count=count)


def _same(problems: Iterable[BrokenImageError], other: str) -> list[BrokenImageError]:
    """Return the same problems for the actual image, which has the same bytes: both must be fixed."""
    return [BrokenImageError(other, problem.kind, problem.cause) for problem in problems if problem.label != other]


class _Reading:
    """Reader and decoder of the two sides, which collects the problems of both."""

    def __init__(self, policy: Policy, registry: Registry, root: Path | None) -> None:
        self.policy = policy
        self.registry = registry
        self.root = root
        self.problems: list[BrokenImageError] = []
        self._has_path: set[str] = set()

    def read(self, value: object | None, side: str) -> images.Source | None:
        if value is None:
            return None
        if isinstance(value, (str, os.PathLike, StoredFile)):
            self._has_path.add(side)
        try:
            source = images.read(value, load=self.registry.load, root=self.root)
        except BrokenImageError as error:
            self._note(error, side, type(value).__name__)
            return None
        if source.path is not None:  # one that was read before, too
            self._has_path.add(side)
        return source

    def _note(self, error: BrokenImageError, side: str, name_of_type: str = "") -> None:
        """Keep a problem; a value without a name, such as an array, is labelled by its side."""
        label = self.called(error.label, side, name_of_type)
        kind = label if error.kind == error.label else error.kind
        self.problems.append(BrokenImageError(label, kind, error.cause))

    def called(self, label: str, side: str, name_of_type: str = "") -> str:
        """Return the label with its side before it, unless it is a path."""
        is_value = label in (*get_args(images.SourceKind), "coroutine", name_of_type)
        return f"{side} {label}" if is_value and side not in self._has_path else label

    def check(self, source: images.Source) -> images.Images:
        """Check the bytes that are the same on both sides."""
        try:
            return images.check(
                source,
                frames=self.policy.frames,
                max_pixels=self.policy.limits.pixels,
                memory=self.policy.memory,
                dpi=self.policy.capture.dpi,
            )
        except BrokenImageError as error:
            self._note(error, "expected")
            return ()

    def each(self, found: images.Images, side: str) -> Iterator[Image]:
        """Yield the images, up to the first damaged one."""
        try:
            yield from found
        except BrokenImageError as error:
            self._note(error, side)

    def decode(self, sources: Sequence[images.Source | None]) -> list[images.Images]:
        expected, actual = sources
        policy = self.policy
        decoded = images.decode_pair(
            expected,
            actual,
            frames=policy.frames,
            max_pixels=policy.limits.pixels,
            memory=policy.memory,
            dpi=policy.capture.dpi,
            asked=asked_by(policy, self.registry),
        )
        for outcome, side in zip(decoded, _SIDES, strict=True):
            if isinstance(outcome, BrokenImageError):
                self._note(outcome, side)
        return [() if isinstance(outcome, BrokenImageError) else outcome for outcome in decoded]


def _broken(
    name: str, policy: Policy, frames: Sequence[Sequence[Image]], problems: list[BrokenImageError]
) -> Comparison:
    expected, actual = (side[0] if side else None for side in (*frames, ())[:2])
    return Comparison(
        name=name,
        verdict=Verdict.BROKEN,
        passed=False,
        policy=policy,
        reason="; ".join(str(problem) for problem in problems),
        expected=expected,
        actual=actual,
    )


def _one_sided(name: str, found: Sequence[images.Images], reading: _Reading) -> Comparison:
    policy = reading.policy
    shown: list[Image | None] = []
    for frames, side in zip(found, _SIDES, strict=True):
        first: Image | None = None
        for image in reading.each(frames, side):  # all of them: any may be damaged
            first = first or image
        shown.append(first)
    expected, actual = shown
    if reading.problems:
        return _broken(name, policy, [[image] if image else [] for image in shown], reading.problems)
    missing = expected is None
    return Comparison(
        name=name,
        verdict=Verdict.MISSING if missing else Verdict.UNMATCHED,
        passed=(policy.missing if missing else policy.unmatched) == "allow",
        policy=policy,
        reason="there is no expected image" if missing else "there is no actual image",
        expected=expected,
        actual=actual,
    )


def _frame_by_frame(name: str, found: Sequence[images.Images], reading: _Reading, keep: KeepFrame | None) -> Comparison:
    """Judge frame by frame; the worst frame, and the first of equally bad ones, represents the pair.

    Only one frame of either side is in memory at a time, in addition to the worst one.
    """
    several = _Several((len(found[0]), len(found[1])), keep)
    shown: list[list[Image]] = [[], []]
    for pair in zip_longest(*(reading.each(frames, side) for frames, side in zip(found, _SIDES, strict=True))):
        for side, image in zip(shown, pair, strict=True):
            if not side and image is not None:
                side.append(image)
        expected, actual = pair
        # Beyond the end of one side, or beyond damage, frames are read, as they may be damaged, and not judged.
        if expected is not None and actual is not None and not reading.problems:
            several.add(judge(name, expected, actual, reading.policy, reading.registry))
    if reading.problems:
        return _broken(name, reading.policy, shown, reading.problems)
    return several.judged()


class _Several:
    """Summary of the comparisons of the frames of one pair.

    Args:
        counts: How many frames of expected and actual are read.
        keep: As in `compare`.
    """

    def __init__(self, counts: tuple[int, int], keep: KeepFrame | None) -> None:
        self._counts = counts
        self._keep = keep
        self._count = 0
        self._worst: Comparison | None = None
        self._frames: list[Frame] = []
        self._warnings: dict[str, None] = {}
        self._notes: dict[str, None] = {}
        self._differing = 0
        self._durations: list[str] = []
        self._loops: str | None = None

    def add(self, judged: Comparison) -> None:
        """Add the next frame."""
        self._count += 1
        if self._worst is None or _severity(judged) > _severity(self._worst):
            self._worst = judged
        expected, actual = judged.expected, judged.actual
        if expected is None or actual is None:
            raise AssertionError(judged)
        self._check_timing(expected.info, actual.info)
        self._warnings |= dict.fromkeys(judged.warnings)
        self._notes |= dict.fromkeys(judged.notes)
        self._differing += judged.differing_pixels or 0
        if max(self._counts) > 1 and (not judged.passed or any(score.warned for score in judged.scores)):
            pictures, mark = ({}, None) if self._keep is None else self._keep(judged)
            self._frames.append(_frame_of(judged, expected.info, actual.info, pictures, mark))

    def _check_timing(self, expected: ImageInfo, actual: ImageInfo) -> None:
        both = expected.duration, actual.duration
        if both[0] is not None and both[1] is not None and abs(both[0] - both[1]) >= LEAST_DURATION:
            self._durations.append(f"frame {expected.frame}: {both[0]:g} ms, {both[1]:g} ms")
        if expected.loops is not None and actual.loops is not None and expected.loops != actual.loops:
            self._loops = f"expected {_plays(expected.loops)}, actual {_plays(actual.loops)}"

    def judged(self) -> Comparison:
        """Return the comparison of the pair."""
        worst = self._worst
        if worst is None:
            raise AssertionError(self._counts)
        reasons = list(self._differences(*self._counts))
        if max(self._counts) > 1:
            worst = replace(
                worst,
                warnings=tuple(self._warnings),
                notes=tuple(self._notes),
                differing_pixels=self._differing if worst.differing_pixels is not None else None,
                frame_count=self._count,
                frames=tuple(self._frames),
            )
        if not reasons:
            return worst
        if worst.verdict not in (Verdict.MATCH, Verdict.DIFFERENT):
            return replace(worst, notes=(*worst.notes, *reasons))
        return replace(worst, verdict=Verdict.DIFFERENT, passed=False, equal=None, reason="; ".join(reasons))

    def _differences(self, expected: int, actual: int) -> Iterator[str]:
        """Yield the differences other than the pixels of the frames."""
        if expected != actual:
            yield f"the numbers of frames differ: expected {expected}, actual {actual}"
        if self._count == 1:  # one frame was chosen, and an image has no duration
            return
        if self._durations:
            listed = "; ".join(self._durations[:MOST_DURATIONS])
            more = len(self._durations) - MOST_DURATIONS
            yield f"the durations of frames differ: {listed}" + (f"; and of {more} more" if more > 0 else "")
        if self._loops is not None:
            yield f"the animations are played differently often: {self._loops}"


def _plays(count: int) -> str:
    return {0: "forever", 1: "once"}.get(count, f"{count} times")


def _frame_of(
    judged: Comparison, expected: ImageInfo, actual: ImageInfo, pictures: Mapping[str, str], mark: str | None
) -> Frame:
    return Frame(
        index=expected.frame,
        verdict=judged.verdict,
        passed=judged.passed,
        expected=expected,
        actual=actual,
        reason=judged.reason,
        compared=None if judged.compared is None else judged.compared[0].size,
        scores=judged.scores,
        mask_metric=judged.mask_metric,
        regions=judged.regions[:MOST_REGIONS],
        region_count=len(judged.regions),
        ignored=judged.ignored,
        differing_pixels=judged.differing_pixels,
        pictures=pictures,
        fingerprint=mark,
        alignment=judged.alignment,
    )


def _severity(comparison: Comparison) -> tuple[bool, int, bool]:
    return not comparison.passed, _BEST_FIRST.index(comparison.verdict), comparison.equal is None
