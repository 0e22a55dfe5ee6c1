"""Reports made from records alone: results.json, the page, Markdown, JUnit properties and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.report.results_json import (
    close_results,
    encoded,
    open_results,
    read_results,
    results_schema,
    write_results,
)
from pytest_imgdiff.report.summary import append_step_summary, markdown, properties
from pytest_imgdiff.report.words import counts, failure_summary, failure_text, summary_line, verdict_line

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.base.record import RunRecord

__all__ = [
    "append_step_summary",
    "close_results",
    "counts",
    "encoded",
    "failure_summary",
    "failure_text",
    "load_page",
    "markdown",
    "open_results",
    "properties",
    "read_results",
    "results_schema",
    "summary_line",
    "verdict_line",
    "write_report",
    "write_results",
]


def load_page() -> None:
    """Import the modules that write the page, while this process waits for its workers."""
    from pytest_imgdiff.report import html  # noqa: F401 - loads it early


def write_report(
    directory: Path, run: RunRecord, *, templates: Path | None = None, self_contained: bool = False
) -> Path:
    """Write ``results.json`` and the page into the directory and return the page's path.

    Args and errors are those of `pytest_imgdiff.report.html.write_page`. The results are written first: an error in a
    template loses the page, not the results.

    Args:
        directory: the report's folder; created if missing.
        run: the run to report.
        templates: a folder of the user's own templates and assets.
        self_contained: write ``report.html`` as well, the page with everything inside, and return its path.
    """
    from pytest_imgdiff.report.html import write_page, write_self_contained  # a failing test needs the words, not Jinja

    write_results(directory, run)
    html = write_page(directory, run, templates=templates)
    return write_self_contained(directory, run, templates=templates) if self_contained else html
