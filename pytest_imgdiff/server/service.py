"""What all routes serve."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.comparison.registry import Registry
    from pytest_imgdiff.config import Settings
    from pytest_imgdiff.report.templates import Templates
    from pytest_imgdiff.server.jobs import Jobs
    from pytest_imgdiff.server.limits import Limits
    from pytest_imgdiff.server.security import Gate


@dataclass(frozen=True, eq=False)
class Service:
    """One server's surroundings.

    Attributes:
        report: the report's folder, or None where there is none to serve.
        root: the folder that baselines are written below.
        settings: imgdiff.yaml's.
        registry: the known metrics.
        templates: those of the pages, and the files beside them.
        gate: who may ask for what.
        jobs: the uploads.
        limits: how much is taken on.
        accepting: held while baselines are written; two at a time would verify what the other is about to change.
    """

    report: Path | None
    root: Path
    settings: Settings
    registry: Registry
    templates: Templates
    gate: Gate
    jobs: Jobs
    limits: Limits
    accepting: threading.Lock = field(default_factory=threading.Lock)
