"""Repeated captures until the target is stable: a match is used immediately, otherwise two captures must be equal."""

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
        shot: the capture that was judged; the last one if the target never became stable.
        comparison: its result; None if the target never became stable.
        attempts: how many captures were taken.
        before: if the target never became stable, the capture before the last.
        seconds: the total time.
    """

    shot: Shot
    comparison: Comparison | None
    attempts: int
    before: Shot | None
    seconds: float

    @property
    def steady(self) -> bool:
        """Whether the first capture passed, or was equal to the second."""
        return self.comparison is not None and self.attempts <= 2  # noqa: PLR2004 - the first and the second


async def settle(
    capturer: Capturer,
    timeout: float,
    judge: Callable[[Shot], Comparison],
    alike: Callable[[Shot, Shot], bool],
) -> Settled:
    """Capture a target repeatedly until one capture passes or two successive ones are equal.

    Args:
        capturer: of the target.
        timeout: seconds until it must be stable. If the first capture does not pass, a second one is always taken.
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
            # The first two are equal: the first was judged already.
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
    """Return a value, or the result of an awaitable."""
    return await value if inspect.isawaitable(value) else value


def at_once(steps: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits, because it works without awaitables.

    Raises:
        CaptureError: it waits: an asynchronous object was used in a synchronous call.
    """
    try:
        steps.send(None)
    except StopIteration as ended:
        return ended.value
    steps.close()
    raise CaptureError("this capture must be awaited: await assert_images_similar(...)")
