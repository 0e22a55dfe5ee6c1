"""The run as Markdown, for the page of a continuous-integration job."""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.report.order import worst_first
from pytest_imgdiff.report.text import counted, shortened, thousands, visible
from pytest_imgdiff.report.words import VERDICTS, counts, incompleteness, verdict_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_imgdiff.record import RunRecord

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
MOST_FAILURES = 50
"""Rows of the table; GitHub drops a step summary of more than 1 MiB."""
MOST_UNRECORDED = 20
LONGEST_NAME = 120
LONGEST_LINE = 300
MARKUP = re.compile(r"""[!"#$&'*+:<>?@\[\\\]^_`{|}~]|(?<=www)\.""", re.IGNORECASE)
"""Whatever Markdown, its extensions or HTML take for markup within a line, or for an address to link."""


def markdown(run: RunRecord) -> str:
    """Return the run as GitHub-flavoured Markdown: counts, what is missing, the failures, the worst first."""
    return "\n\n".join(_blocks(run)) + "\n"


def append_step_summary(text: str, environ: Mapping[str, str]) -> Path | None:
    """Append the text to the file that GitHub Actions names in ``GITHUB_STEP_SUMMARY``.

    Returns:
        The file, or None where the variable is not set.

    Raises:
        ReportError: the file cannot be written, or is something else than a regular file.
    """
    name = environ.get(STEP_SUMMARY)
    if not name:
        return None
    path = Path(name)
    try:
        _require_regular(path)
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text if text.endswith("\n") else f"{text}\n")
    except OSError as error:
        raise ReportError(
            f"{visible(name)}: the summary cannot be written (${STEP_SUMMARY}): {error.strerror or error}"
        ) from error
    return path


def _require_regular(path: Path) -> None:
    if path.exists() and not path.is_file():  # a pipe could keep the writer waiting for ever
        raise OSError(errno.EINVAL, "it is no regular file")


def _blocks(run: RunRecord) -> Iterator[str]:
    yield f"## {_escaped(shortened(visible(run.title), LONGEST_NAME))}"
    if not run.complete:
        yield _warning(run)
    yield _counts_table(run) if run.comparisons else "**No image was compared.**"
    failures = worst_first([record for record in run.comparisons if not record.passed])
    if failures:
        rows = ["| failed | verdict | what |", "| --- | --- | --- |"]
        for record in failures[:MOST_FAILURES]:
            line = _escaped(shortened(verdict_line(record), LONGEST_LINE))
            rows.append(f"| {_code(record.name)} | {record.verdict} | {line} |")
        yield "\n".join(rows)
    if len(failures) > MOST_FAILURES:
        yield f"and {thousands(len(failures) - MOST_FAILURES)} more"


def _warning(run: RunRecord) -> str:
    lines = ["> [!WARNING]", f"> **Incomplete**: {incompleteness(run)}."]
    lines += [f"> - {_code(name)}" for name in run.unrecorded[:MOST_UNRECORDED]]
    more = len(run.unrecorded) - MOST_UNRECORDED
    if more > 0:
        lines.append(f"> - and {thousands(more)} more")
    return "\n".join(lines)


def _counts_table(run: RunRecord) -> str:
    numbers = counts(run)
    shown = [name for name in ("failed", "passed", *VERDICTS) if numbers[name] or name in ("failed", "passed")]
    total = f"**{counted(len(run.comparisons), 'comparison')}**"
    header = "| " + " | ".join(shown) + " |"
    ruler = "|" + " ---: |" * len(shown)
    return f"{total}\n\n{header}\n{ruler}\n| " + " | ".join(thousands(numbers[name]) for name in shown) + " |"


def _code(text: str) -> str:
    """Return a name as code; as HTML, since a pipe ends a table's cell even inside backticks."""
    return f"<code>{_escaped(shortened(visible(text), LONGEST_NAME))}</code>"


def _escaped(text: str) -> str:
    """Write punctuation as character references, which never act as markup (GFM 6.2)."""
    return MARKUP.sub(lambda mark: f"&#{ord(mark[0])};", text)
