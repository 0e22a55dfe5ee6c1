"""Captured until it stands still: a capture that matches is taken at once, another one until two are alike."""

from __future__ import annotations

import inspect
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pytest_imgdiff.base.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pytest_imgdiff.base.model import BrowserCapturer, Capturer, Comparison, Shot

DELAYS = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Seconds before the second capture, the third, and so on; the last one is repeated. The order of Playwright's
``toHaveScreenshot``."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of a capture.

    Attributes:
        shot: the capture that was judged; the last one where the target never stood still.
        comparison: what it was judged; None if the target never stood still.
        attempts: how many captures were taken.
        before: where the target never stood still, the capture before the last.
        seconds: what all this took.
    """

    shot: Shot
    comparison: Comparison | None
    attempts: int
    before: Shot | None
    seconds: float

    @property
    def steady(self) -> bool:
        """Whether the first capture was good, or equal to the second."""
        return self.comparison is not None and self.attempts <= 2  # noqa: PLR2004 - the first and the second


async def settle(
    capturer: Capturer,
    timeout: float,
    judge: Callable[[Shot], Comparison],
    alike: Callable[[Shot, Shot], bool],
) -> Settled:
    """Capture a target, again and again if need be, until one capture is good or two successive ones are alike.

    Args:
        capturer: of the target.
        timeout: seconds until it must have stood still. Two captures are taken in any case.
        judge: compares a capture with what is expected. One that passes ends it, as does one that is not live.
        alike: whether two captures are equal where they are compared.

    Raises:
        CaptureError: the target cannot be captured.
    """
    started = time.monotonic()
    shot = await answer(capturer.capture())
    comparison = judge(shot)
    attempts = 1
    if comparison.passed or not capturer.live:
        return Settled(shot, comparison, attempts, None, time.monotonic() - started)
    for delay in itertools.chain(DELAYS, itertools.repeat(DELAYS[-1])):
        left = max(0.0, started + timeout - time.monotonic())
        await _pause(capturer, min(delay, left))
        before, shot = shot, await answer(capturer.capture())
        attempts += 1
        if alike(before, shot):
            # The first two alike: the first was judged already.
            final = comparison if attempts == 2 else judge(shot)  # noqa: PLR2004 - the second capture
            return Settled(shot, final, attempts, None, time.monotonic() - started)
        if time.monotonic() - started >= timeout:
            return Settled(shot, None, attempts, before, time.monotonic() - started)
    raise AssertionError(attempts)  # the delays never end


async def _pause(capturer: Capturer, seconds: float) -> None:
    if not seconds:
        return
    if hasattr(capturer, "pause"):
        await answer(cast("BrowserCapturer", capturer).pause(seconds))
    else:
        time.sleep(seconds)  # noqa: ASYNC251 - such a capturer is synchronous, and so is its call


async def answer(value: Any) -> Any:
    """Return a value, or what an awaitable gives."""
    return await value if inspect.isawaitable(value) else value


def at_once(steps: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing, as it does where no awaitable is among what it works with.

    Raises:
        CaptureError: it does wait: an asynchronous object was used in a synchronous call.
    """
    try:
        steps.send(None)
    except StopIteration as ended:
        return ended.value
    steps.close()
    raise CaptureError("this capture must be awaited: await assert_images_similar(...)")
