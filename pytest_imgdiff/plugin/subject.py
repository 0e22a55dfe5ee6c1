"""The subject of an `assert_images_similar` call: an image, or a target to capture and judge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np

from pytest_imgdiff import images
from pytest_imgdiff.base.captured import CaptureInfo
from pytest_imgdiff.base.errors import BrokenImageError, CaptureError
from pytest_imgdiff.base.geometry import Box
from pytest_imgdiff.base.model import Comparison, MaskedElements, Policy, Rule, SizePolicy, Verdict
from pytest_imgdiff.capture import capturer_of
from pytest_imgdiff.capture.steady import answer, settle
from pytest_imgdiff.comparison.engine import compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_imgdiff.base.model import BrowserCapturer, Capturer, Region, Shot
    from pytest_imgdiff.capture.steady import Settled
    from pytest_imgdiff.run.session import Workspace

    Judge = Callable[[object, Policy], Comparison]
    """Compares an image with the expected one, under a policy."""

MOST_NAMED = 50
"""Most regions of a failure that get the name of their element; the largest come first."""
NOISY_PIXELS, NOISY_LEVELS = 16, 2
"""Noise limits: two captures of one page may differ in this many pixels by this many levels."""
_NOT_IN_ACTUAL = ("deleted", "only expected")
"""Kinds of regions whose boxes are in the expected image."""
_EQUAL = Policy(metrics=(Rule("mse", max=0.0),))


@dataclass(frozen=True, slots=True)
class Judged:
    """A judged subject.

    Attributes:
        comparison: with the expected image.
        image: the image that was compared.
        still: whether the target became stable, so that its image may be stored.
    """

    comparison: Comparison
    picture: object
    still: bool = True


class Subject:
    """One side of a call: an image, or a target with its capturer.

    Args:
        given: the argument of the call.
        policy: the policy of the call.
        workspace: the workspace of the run.
        call: the capture settings of the call; a setting that the capturer does not support is rejected.

    Raises:
        CaptureError: the target cannot be captured with these settings.
    """

    def __init__(self, given: object, policy: Policy, workspace: Workspace, call: object = None) -> None:
        self.given = given
        self._policy = policy
        self._workspace = workspace
        registry = workspace.registry
        is_image = isinstance(given, (str, os.PathLike, bytes, bytearray, memoryview))
        found = None if is_image else registry.capturer(given, policy.capture)
        self._capturer: Capturer | None = found or capturer_of(given, policy.capture)
        if isinstance(call, Mapping):
            self._refuse_unfollowed(call)

    def _refuse_unfollowed(self, call: Mapping[str, Any]) -> None:
        if self._capturer is None:
            source = self._read()  # raises if it is not an image
            if set(call) == {"dpi"} and (source.data or b"").startswith(b"%PDF-"):
                return
            raise CaptureError(f"capture={dict(call)!r}: an image was passed, so nothing is captured; remove capture")
        unfollowed = sorted(set(call) - self._capturer.follows)
        if unfollowed:
            follows = ", ".join(sorted(self._capturer.follows)) or "none"
            raise CaptureError(
                f"capture: a {self._capturer.target} does not support {', '.join(unfollowed)}; it supports: {follows}"
            )

    def _read(self) -> images.Source:
        return images.read(self.given, load=self._workspace.registry.load, root=self._workspace.root)

    async def judged(self, judge: Judge, name: str) -> Judged:
        """Compare the image, or captures of the target until it is stable.

        Args:
            judge: compares an image with the expected one.
            name: name of the comparison.

        Raises:
            CaptureError: the target cannot be captured.
        """
        if self._capturer is None:
            picture = self.given
            # A file object can be read only once; the comparison reports unreadable ones.
            with suppress(BrokenImageError):
                picture = self._read()
            return Judged(judge(picture, self._policy), picture)
        settled = await settle(self._capturer, self._policy.capture.timeout, self._judge_shot(judge), self._are_equal)
        picture = self._picture(settled.shot)
        comparison = self._unstable_comparison(settled, name) if settled.comparison is None else settled.comparison
        info = await self._info(settled)
        comparison = replace(comparison, capture=info)
        if not comparison.passed and comparison.regions:
            comparison = await self._with_elements(comparison, settled.shot)
        return Judged(comparison, picture, settled.comparison is not None)

    async def image(self, name: str) -> object:
        """Return the image for an expected side. A target is captured until it is stable.

        Raises:
            CaptureError: the target cannot be captured, or never became stable.
        """
        if self._capturer is None:
            return self.given
        undecided = Comparison(name, Verdict.MISSING, passed=False, policy=self._policy)
        settled = await settle(self._capturer, self._policy.capture.timeout, lambda _: undecided, self._are_equal)
        if settled.comparison is None:
            raise CaptureError(f"expected: {self._unstable_reason(settled)}")
        return self._picture(settled.shot)

    async def info(self) -> CaptureInfo:
        """Return facts about the target before it is captured; empty for an image.

        Raises:
            CaptureError: the target does not respond.
        """
        if not hasattr(self._capturer, "info"):
            return CaptureInfo(self._target)
        info: CaptureInfo = await answer(cast("BrowserCapturer", self._capturer).info())
        return info

    async def restore(self) -> None:
        """Restore the state of the target."""
        if hasattr(self._capturer, "restore"):
            # A closed page needs no restoring, and its error was reported by the capture.
            with suppress(CaptureError):
                await answer(cast("BrowserCapturer", self._capturer).restore())

    def _judge_shot(self, judge: Judge) -> Callable[[Shot], Comparison]:
        def judged(shot: Shot) -> Comparison:
            policy = replace(self._policy, ignore=(*self._policy.ignore, *shot.ignore)) if shot.ignore else self._policy
            return judge(self._picture(shot), policy)

        return judged

    def _picture(self, shot: Shot) -> object:
        """Return the image of a capture, labelled by its target."""
        try:
            source = images.read(shot.picture, load=self._workspace.registry.load, root=self._workspace.root)
        except BrokenImageError as error:
            raise CaptureError(f"{self._target}: its capture is not an image: {error}") from error
        return replace(source, label=self._target)

    @property
    def _target(self) -> str:
        return "image" if self._capturer is None else self._capturer.target

    def _are_equal(self, one: Shot, other: Shot) -> bool:
        """Return whether two captures are equal outside ignored areas, except for rendering noise."""
        if one.picture is other.picture:
            return False  # a capturer that returns the same object again proves nothing
        if isinstance(one.picture, bytes) and one.picture == other.picture:
            return True
        ignore = (*self._policy.ignore, *one.ignore, *other.ignore)
        policy = replace(_EQUAL, ignore=ignore, limits=self._policy.limits, memory=self._policy.memory)
        found = compare(
            self._picture(one),
            self._picture(other),
            policy,
            registry=self._workspace.registry,
            name="successive captures",
        )
        if found.equal is not None:
            return True
        differing = found.differing_pixels
        if found.verdict not in {Verdict.MATCH, Verdict.DIFFERENT} or found.compared is None or differing is None:
            return False
        if differing > NOISY_PIXELS:
            return False
        first, second = (image.pixels.astype(np.int32) for image in found.compared)
        return int(np.abs(first - second).max()) <= NOISY_LEVELS

    def _unstable_reason(self, settled: Settled) -> str:
        return (
            f"the {self._target} never became stable: {settled.attempts} captures in {settled.seconds:.1f} s, no two "
            "in a row equal; mask moving parts, stop them before the capture, or increase capture: {timeout: ...}"
        )

    def _unstable_comparison(self, settled: Settled, name: str) -> Comparison:
        """Return the result for an unstable target: its last two captures, and where they differ."""
        if settled.before is None:
            raise AssertionError(name)
        last = settled.shot
        policy = replace(self._policy, ignore=(*self._policy.ignore, *last.ignore), size=SizePolicy.FAIL)
        moving = self._workspace.compared_with(self._picture(settled.before), self._picture(last), policy, name)
        note = "the expected image shown here is the second-to-last capture; the marked regions moved in between"
        return replace(
            moving,
            verdict=Verdict.BROKEN,
            passed=False,
            reason=self._unstable_reason(settled),
            notes=(*moving.notes, note),
        )

    async def _info(self, settled: Settled) -> CaptureInfo:
        return msgspec.structs.replace(await self.info(), attempts=settled.attempts, steady=settled.steady)

    async def _with_elements(self, comparison: Comparison, shot: Shot) -> Comparison:
        """Return the comparison with the page elements under its regions."""
        if not hasattr(self._capturer, "elements"):
            return comparison
        named = [
            index for index, region in enumerate(comparison.regions[:MOST_NAMED]) if region.kind not in _NOT_IN_ACTUAL
        ]
        regions = list(comparison.regions)
        boxes = [_in_capture(regions[index], comparison) for index in named]
        try:
            found = await answer(cast("BrowserCapturer", self._capturer).elements(shot, boxes))
        except CaptureError as error:
            note = f"the elements under the regions could not be looked up: {error}"
            return replace(comparison, notes=(*comparison.notes, note))
        for index, element in zip(named, found, strict=True):
            regions[index] = replace(regions[index], element=element)
        return replace(comparison, regions=tuple(regions))


def _in_capture(region: Region, comparison: Comparison) -> Box:
    """Return the region's box in pixels of the capture, which may have been scaled for the comparison."""
    box = region.box
    if comparison.policy.size is not SizePolicy.SCALE or comparison.compared is None or comparison.actual is None:
        return box
    compared, captured = comparison.compared[1].size, comparison.actual.size
    x, y = captured[0] / compared[0], captured[1] / compared[1]
    return Box(round(box.x * x), round(box.y * y), max(1, round(box.width * x)), max(1, round(box.height * y)))


def split_masks(call: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[MaskedElements, ...]]:
    """Split a call's settings into those that imgdiff.yaml could contain, and masks that are browser objects."""
    capture = call.get("capture")
    listed = capture.get("mask") if isinstance(capture, Mapping) else None
    if not isinstance(listed, (list, tuple)):
        return dict(call), ()
    kept, objects = [], []
    for item in listed:
        fields = item if isinstance(item, Mapping) else {"selector": item}
        is_plain = isinstance(fields.get("selector"), (str, int, float, bytes, Mapping, list, tuple, type(None)))
        if is_plain or not set(fields) <= {"selector", "what"} or fields.get("what", "box") not in {"box", "text"}:
            kept.append(item)  # the checks of imgdiff.yaml report invalid ones
        else:
            objects.append(MaskedElements(**fields))
    return {**call, "capture": {**cast("Mapping[str, Any]", capture), "mask": kept}}, tuple(objects)
