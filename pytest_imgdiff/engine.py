"""The judge's door: two sources and a policy in, one comparison out."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_imgdiff import images
from pytest_imgdiff.config import check_policy
from pytest_imgdiff.errors import BrokenImageError, ImgdiffError
from pytest_imgdiff.judging import judge, judge_equal
from pytest_imgdiff.model import Comparison, Policy, Verdict
from pytest_imgdiff.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_imgdiff.image import Image

_DEFAULT = Policy()
_BEST_FIRST = (Verdict.MATCH, Verdict.DIFFERENT, Verdict.RESIZED, Verdict.BROKEN)


def compare(
    expected: object | None,
    actual: object | None,
    policy: Policy | None = None,
    *,
    name: str = "comparison",
    registry: Registry | None = None,
    root: Path | None = None,
    at_once: bool = True,
) -> Comparison:
    """Compare two pictures and judge them.

    Args:
        expected: what it should look like: any source that `pytest_imgdiff.images.read` takes; None where
            there is none (verdict ``missing``).
        actual: what it looks like; None where there is none (verdict ``unmatched``).
        policy: the rules and choices; the default policy where omitted.
        name: what the pair is called in reports.
        registry: the known metrics and loaders; the built-in and installed ones, looked for once, where omitted.
        root: the folder that the comparison calls absolute paths relative to; as they were given where omitted.
        at_once: decode both sides at once, on a thread each. Whoever compares several pairs at once has no core to
            spare for that.

    Returns:
        The comparison. A picture that cannot be read, or a metric without a value for this pair, gives the
        verdict ``broken``: that is an answer, and never a pass.

    Raises:
        ImgdiffError: both sources are None, or the policy cannot be followed: a metric that is unknown or cannot be
            loaded, a rule without a limit or with one that could not fail, a value of another type.
    """
    if expected is None and actual is None:
        msg = f"{name}: there is neither an expected nor an actual picture"
        raise ImgdiffError(msg)
    started = time.perf_counter()
    policy = _DEFAULT if policy is None else policy
    registry = registry or _installed()
    # What cannot be followed is told whatever the pictures are, equal ones too.
    if policy is not registry.followed:  # most pictures of a run have one policy
        check_policy(policy, registry)
        registry.followed = policy
    reading = _Reading(policy, registry, root, at_once=at_once)
    comparison = _compared(name, expected, actual, reading)
    return replace(comparison, seconds=time.perf_counter() - started)


@functools.cache
def _installed() -> Registry:
    """Return what is built in and installed. To look for it takes as long as a small pair of pictures."""
    return Registry()


def _compared(name: str, expected: object | None, actual: object | None, reading: _Reading) -> Comparison:
    sources = [reading.read(side) for side in (expected, actual)]
    first, second = sources
    if first is not None and second is not None and first.data is not None and first.data == second.data:
        return _equal_bytes(name, first, second.label, reading)
    frames = reading.decode(sources)
    if reading.problems:
        return _broken(name, reading.policy, frames, reading.problems)
    if expected is None or actual is None:
        return _one_sided(name, reading.policy, frames)
    return _worst_frame(name, reading.policy, frames, reading.registry)


def _equal_bytes(name: str, source: images.Source, other_label: str, reading: _Reading) -> Comparison:
    """Settle a pair of equal files without their pixels, but not unread: two broken files are never equal."""
    found = reading.check(source)
    if reading.problems:
        return _broken(name, reading.policy, [found], [*reading.problems, *_same(reading.problems, other_label)])
    others = [image.named(replace(image.info, label=other_label, notes=())) for image in found]
    judged = [judge_equal(name, *pair, reading.policy, reading.registry) for pair in zip(found, others, strict=True)]
    return _worst(judged, reading.policy)


def _same(problems: Iterable[BrokenImageError], label: str) -> list[BrokenImageError]:
    """Return what is wrong with the file of the same bytes: whoever mends one of them is to know of the other."""
    return [BrokenImageError(label, problem.kind, problem.cause) for problem in problems if problem.label != label]


class _Reading:
    """Reads and decodes the two sides, and keeps what went wrong with either."""

    def __init__(self, policy: Policy, registry: Registry, root: Path | None, *, at_once: bool) -> None:
        self.policy = policy
        self.registry = registry
        self.root = root
        self.at_once = at_once
        self.problems: list[BrokenImageError] = []

    def read(self, value: object | None) -> images.Source | None:
        if value is None:
            return None
        try:
            return images.read(value, load=self.registry.load, root=self.root)
        except BrokenImageError as error:
            self.problems.append(error)
            return None

    def check(self, source: images.Source) -> tuple[Image, ...]:
        try:
            return images.check(source, frames=self.policy.frames, max_pixels=self.policy.max_pixels)
        except BrokenImageError as error:
            self.problems.append(error)
            return ()

    def decode(self, sources: Sequence[images.Source | None]) -> list[tuple[Image, ...]]:
        expected, actual = sources
        policy = self.policy
        decoded = images.decode_pair(
            expected, actual, frames=policy.frames, max_pixels=policy.max_pixels, at_once=self.at_once
        )
        self.problems += [outcome for outcome in decoded if isinstance(outcome, BrokenImageError)]
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


def _one_sided(name: str, policy: Policy, frames: Sequence[Sequence[Image]]) -> Comparison:
    expected, actual = (side[0] if side else None for side in frames)
    missing = expected is None
    return Comparison(
        name=name,
        verdict=Verdict.MISSING if missing else Verdict.UNMATCHED,
        passed=(policy.missing if missing else policy.unmatched) == "allow",
        policy=policy,
        reason="there is no expected picture" if missing else "there is no actual picture",
        expected=expected,
        actual=actual,
    )


def _worst_frame(name: str, policy: Policy, frames: Sequence[Sequence[Image]], registry: Registry) -> Comparison:
    """Judge frame by frame; the worst one, and of equals the first, stands for the pair."""
    expected, actual = frames
    if len(expected) != len(actual):
        reason = f"the numbers of frames differ: expected {len(expected)}, actual {len(actual)}"
        return Comparison(
            name, Verdict.DIFFERENT, passed=False, policy=policy, reason=reason, expected=expected[0], actual=actual[0]
        )
    judged = (judge(name, one, other, policy, registry) for one, other in zip(expected, actual, strict=True))
    return _worst(judged, policy)


def _worst(judged: Iterable[Comparison], policy: Policy) -> Comparison:
    worst: Comparison | None = None
    failing = count = 0
    for comparison in judged:  # one at a time: a long animation's masks need not stand in memory together
        count += 1
        failing += not comparison.passed
        if worst is None or _badness(comparison) > _badness(worst):
            worst = comparison
    if worst is None:
        raise AssertionError(policy)
    if count == 1:
        return worst
    shown = 0 if worst.expected is None else worst.expected.info.frame
    note = f"{count} frames compared, {failing} of them fail; shown is frame {shown}"
    return replace(worst, notes=(*worst.notes, note))


def _badness(comparison: Comparison) -> tuple[bool, int, bool]:
    return not comparison.passed, _BEST_FIRST.index(comparison.verdict), comparison.equal is None
