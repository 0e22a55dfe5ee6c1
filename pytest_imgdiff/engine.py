"""The judge's door: two sources and a policy in, one comparison out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_imgdiff import images
from pytest_imgdiff.config import check_policy
from pytest_imgdiff.errors import BrokenImageError, ImgdiffError
from pytest_imgdiff.judging import judge
from pytest_imgdiff.model import Comparison, Policy, Verdict
from pytest_imgdiff.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.model import Image

_BEST_FIRST = (Verdict.MATCH, Verdict.DIFFERENT, Verdict.RESIZED, Verdict.BROKEN)


def compare(
    expected: object | None,
    actual: object | None,
    policy: Policy | None = None,
    *,
    name: str = "comparison",
    registry: Registry | None = None,
    root: Path | None = None,
) -> Comparison:
    """Compare two pictures and judge them.

    Args:
        expected: what it should look like: any source that `pytest_imgdiff.images.read` takes; None where
            there is none (verdict ``missing``).
        actual: what it looks like; None where there is none (verdict ``unmatched``).
        policy: the rules and choices; the default policy where omitted.
        name: what the pair is called in reports.
        registry: the known metrics and loaders; the built-in and installed ones where omitted.
        root: the folder that the comparison calls absolute paths relative to; as they were given where omitted.

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
    policy = Policy() if policy is None else policy
    registry = registry or Registry()
    # What cannot be followed is told whatever the pictures are, equal ones too.
    check_policy(policy, registry)
    reading = _Reading(policy, registry, root)
    comparison = _compared(name, expected, actual, reading)
    return replace(comparison, seconds=time.perf_counter() - started)


def _compared(name: str, expected: object | None, actual: object | None, reading: _Reading) -> Comparison:
    policy = reading.policy
    sources = [reading.read(side) for side in (expected, actual)]
    data = [None if source is None else source.data for source in sources]
    equal_bytes = data[0] is not None and data[0] == data[1]
    # Byte-equal sources are decoded once, and still strictly: two broken files are never equal.
    frames = [reading.decode(source) for source in (sources[:1] if equal_bytes else sources)]
    if reading.problems:
        return _broken(name, policy, frames, reading.problems)
    if equal_bytes and sources[1] is not None:
        label = sources[1].label
        frames.append([replace(image, info=replace(image.info, label=label, notes=())) for image in frames[0]])
    if expected is None or actual is None:
        return _one_sided(name, policy, frames)
    comparison = _worst_frame(name, policy, frames, reading.registry)
    return replace(comparison, equal="bytes") if equal_bytes and comparison.equal else comparison


class _Reading:
    """Reads and decodes the two sides, and keeps what went wrong with either."""

    def __init__(self, policy: Policy, registry: Registry, root: Path | None) -> None:
        self.policy = policy
        self.registry = registry
        self.root = root
        self.problems: list[BrokenImageError] = []

    def read(self, value: object | None) -> images.Source | None:
        if value is None:
            return None
        try:
            return images.read(value, load=self.registry.load, root=self.root)
        except BrokenImageError as error:
            self.problems.append(error)
            return None

    def decode(self, source: images.Source | None) -> list[Image]:
        if source is None:
            return []
        try:
            return list(images.decode(source, frames=self.policy.frames, max_pixels=self.policy.max_pixels))
        except BrokenImageError as error:
            self.problems.append(error)
            return []


def _broken(name: str, policy: Policy, frames: list[list[Image]], problems: list[BrokenImageError]) -> Comparison:
    expected, actual = (side[0] if side else None for side in (*frames, [])[:2])
    return Comparison(
        name=name,
        verdict=Verdict.BROKEN,
        passed=False,
        policy=policy,
        reason="; ".join(str(problem) for problem in problems),
        expected=expected,
        actual=actual,
    )


def _one_sided(name: str, policy: Policy, frames: list[list[Image]]) -> Comparison:
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


def _worst_frame(name: str, policy: Policy, frames: list[list[Image]], registry: Registry) -> Comparison:
    """Judge frame by frame; the worst one, and of equals the first, stands for the pair."""
    expected, actual = frames
    if len(expected) != len(actual):
        reason = f"the numbers of frames differ: expected {len(expected)}, actual {len(actual)}"
        return Comparison(
            name, Verdict.DIFFERENT, passed=False, policy=policy, reason=reason, expected=expected[0], actual=actual[0]
        )
    worst: Comparison | None = None
    failing = []
    for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
        comparison = judge(name, one, other, policy, registry)
        if not comparison.passed:
            failing.append(index)
        if worst is None or _badness(comparison) > _badness(worst):
            worst = comparison
    if worst is None:
        raise AssertionError(name)
    if len(expected) > 1:
        shown = expected[0].info.frame if worst.expected is None else worst.expected.info.frame
        note = f"{len(expected)} frames compared, {len(failing)} of them fail; shown is frame {shown}"
        worst = replace(worst, notes=(*worst.notes, note))
    return worst


def _badness(comparison: Comparison) -> tuple[bool, int, bool]:
    return not comparison.passed, _BEST_FIRST.index(comparison.verdict), comparison.equal is None
