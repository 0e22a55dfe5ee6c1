"""The hooks with which other packages and conftest.py files extend imgdiff.

An installed package registers a module of such functions in the entry-point group ``imgdiff``; a conftest.py only
defines them. Neither has to import pluggy: `hookimpl` marks are optional in conftest.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_imgdiff.base.model import Capturer, CaptureSettings
    from pytest_imgdiff.base.record import RunRecord

HOOKS = ("imgdiff_metrics", "imgdiff_load", "imgdiff_capture", "imgdiff_report")

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker("imgdiff")
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker("imgdiff")


@hookspec
def imgdiff_metrics() -> Mapping[str, Any]:  # type: ignore[empty-body]  # a hookspec has no body
    """Return further metrics: their names and their classes, or ``"module:Class"`` strings loaded on first use.

    Example::

        from dataclasses import dataclass

        import numpy as np

        from pytest_imgdiff import MetricResult


        @dataclass(frozen=True)
        class Brightness:
            gain: float = 1.0  # an option: `brightness: {max: 0.02, gain: 2.0}`

            name = "brightness"
            direction = "distance"
            perfect = 0.0
            bounds = (0.0, float("inf"))
            counts_pixels = False
            unit = "share"
            heat_threshold = "none"

            def measure(self, expected, actual, ignore):
                means = [np.mean(image.pixels[..., :3]) for image in (expected, actual)]
                return MetricResult(self.gain * float(abs(means[0] - means[1])) / 255, self.unit)


        def imgdiff_metrics():
            return {"brightness": Brightness}
    """


@hookspec(firstresult=True)
def imgdiff_load(source: object) -> object | None:
    """Convert a value of your own type into a source that imgdiff reads: a path, encoded bytes, an array, a PIL image.

    Return None for other types. The first hook that returns a value counts.

    Example::

        class Canvas:
            def __init__(self, width, height, colour):
                self.width, self.height, self.colour = width, height, colour


        def imgdiff_load(source):
            if not isinstance(source, Canvas):
                return None
            import numpy as np

            return np.full((source.height, source.width, 3), source.colour, np.uint8)
    """


@hookspec(firstresult=True)
def imgdiff_capture(target: object, settings: CaptureSettings) -> Capturer | None:
    """Return a capturer for your own type of target: a terminal, a game window, a device's screen.

    Return None for other types. A capturer has three attributes and one method; ``capture`` returns a `Shot` with any
    source that imgdiff reads. With ``live = True`` the target is captured again until two captures are equal.

    Example::

        from pytest_imgdiff import Shot


        class Dashboard:
            def __init__(self, values):
                self.values = values


        class DashboardCapturer:
            target = "dashboard"
            live = False
            follows = frozenset()

            def __init__(self, dashboard):
                self.dashboard = dashboard

            def capture(self):
                import numpy as np

                return Shot(np.repeat(np.array([self.dashboard.values], np.uint8), 40, axis=0))


        def imgdiff_capture(target):
            return DashboardCapturer(target) if isinstance(target, Dashboard) else None
    """


@hookspec
def imgdiff_report(run: RunRecord, directory: Path) -> None:
    r"""Run after a report was written: ``directory`` contains ``results.json``, and the page and its images if any.

    A pytest run in which everything passed writes no page, unless a report was requested.

    Example::

        def imgdiff_report(run, directory):
            failed = [record.name for record in run.comparisons if not record.passed]
            (directory / "failed.txt").write_text("\n".join(failed), encoding="utf-8")
    """
