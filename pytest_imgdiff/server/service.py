"""Objects that all routes share."""

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
    """Shared state of one server.

    Attributes:
        report: the report's folder; None if no report is served.
        root: base folder of baselines.
        settings: from imgdiff.yaml.
        registry: the known metrics.
        templates: of the pages, and their assets.
        gate: checks requests.
        jobs: the uploads.
        limits: of the server.
        accepting: lock for writing baselines: two requests at the same time would verify what the other changes.
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
