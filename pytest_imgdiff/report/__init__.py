"""Reports drawn from records alone: results.json, the page, Markdown, JUnit properties and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.report.junit import properties
from pytest_imgdiff.report.results import read_results, results_schema, write_results
from pytest_imgdiff.report.summary import append_step_summary, markdown
from pytest_imgdiff.report.words import counts, failure_text, summary_line, verdict_line

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.record import RunRecord

__all__ = [
    "append_step_summary",
    "counts",
    "failure_text",
    "markdown",
    "properties",
    "read_results",
    "results_schema",
    "summary_line",
    "verdict_line",
    "write_report",
    "write_results",
]


def write_report(directory: Path, run: RunRecord, *, templates: Path | None = None) -> Path:
    """Write ``results.json`` and the page into the directory and return the page's path.

    Args and errors are those of `pytest_imgdiff.report.page.write_page`. The results are written first: a
    template that is at fault costs the page, not the results.
    """
    from pytest_imgdiff.report.page import write_page  # a failing test needs the words, not Jinja

    write_results(directory, run)
    return write_page(directory, run, templates=templates)
