"""The run in other forms: Markdown for a pull request or the page of a job, properties for JUnit XML."""

from __future__ import annotations

import errno
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.text import counted, shortened, thousands, visible
from pytest_imgdiff.report.records import failures, not_asserted, unsettled, warned
from pytest_imgdiff.report.scores import differing_pixels
from pytest_imgdiff.report.words import (
    VERDICTS,
    capture_facts,
    counts,
    incompleteness,
    redrawn_line,
    region_words,
    rename_line,
    settings_words,
    verdict_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord

# ---- JUnit XML


def properties(record: ComparisonRecord) -> list[tuple[str, str]]:
    """Return names and values for pytest's ``user_properties``.

    Values are plain ``str`` of printable characters: execnet sends neither NumPy scalars nor surrogates, and XML cannot
    contain control characters. ``float()`` reads numbers back exactly.
    """
    pairs = [("name", record.name), ("verdict", record.verdict), ("passed", "true" if record.passed else "false")]
    if record.reason is not None:
        pairs.append(("reason", record.reason))
    for score in record.scores:
        pairs.append((score.metric, "not measured" if score.value is None else repr(score.value)))
        pixels = differing_pixels(score)
        if pixels is not None:
            pairs.append((f"{score.metric}.pixels", str(pixels)))
    pairs.append(("regions", str(record.region_count)))
    if record.regions:
        pairs.append(("largest_region", region_words(record.regions[0])))
    return [_shared(f"imgdiff.{name}", value) for name, value in pairs]


@lru_cache(maxsize=4096)
def _shared(name: str, value: str) -> tuple[str, str]:
    """Return a property. Equal ones are shared, because pytest keeps the properties of all tests until the end."""
    return visible(name), visible(value)


# ---- Markdown


STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
MOST_FAILURES = 50
"""Most rows in the table of failures, and in the table of warnings."""
MOST_THUMBNAILS = 12
THUMBNAIL_WIDTH = 160
LARGEST = 60_000
"""Most bytes in total: GitHub drops comments over 65 536 characters and step summaries over 1 MiB."""
MOST_UNRECORDED = 20
LONGEST_NAME = 120
LONGEST_LINE = 300
MARKUP = re.compile(r"""[!"#$&'*+:<>?@\[\\\]^_`{|}~]|(?<=www)\.""", re.IGNORECASE)
"""Characters that Markdown, its extensions or HTML interpret within a line, or that could form a link."""


def markdown(run: RunRecord, *, pictures: str | None = None) -> str:
    """Return the run as GitHub-flavoured Markdown.

    It has counts, incomplete parts, failures with the worst first, warnings, and comparisons that passed with differing
    pixels. It has at most `LARGEST` bytes; rows that do not fit are counted.

    Args:
        run: the run to report.
        pictures: URL prefix of the thumbnails of the worst failures: empty for URLs relative to the report's folder,
            else the URL where the folder is published, with a final slash. None shows no thumbnails.

    Raises:
        ReportError: thumbnails are requested, and an image path leads out of the report's folder.
    """
    blocks = [f"## {_escaped(shortened(visible(run.title), LONGEST_NAME))}"]
    if not run.complete:
        blocks.append(_warning(run))
    blocks.append(_counts_table(run) if run.comparisons else "**No image was compared.**")
    if line := redrawn_line(run):
        blocks.append(f"> [!IMPORTANT]\n> {_escaped(line)}")
    if run.renames:
        blocks.append("\n".join(["**Renamed tests?**", "", *_lines(map(rename_line, run.renames[:MOST_UNRECORDED]))]))
    if run.not_compared:
        blocks.append(_not_compared(run))
    blocks.append(_escaped(shortened(settings_words(run), LONGEST_NAME)))
    for what, chosen in (
        ("failed", failures(run.comparisons)),
        ("not asserted", not_asserted(run.comparisons)),
        ("passed with a warning", warned(run.comparisons)),
        ("passed, not equal", unsettled(run.comparisons)),
    ):
        if chosen:
            room = LARGEST - len("\n\n".join(blocks).encode()) - _CLOSING
            blocks += _table(chosen, _columns(what, run, chosen, pictures), room)
    return "\n\n".join(blocks) + "\n"


def append_step_summary(text: str, environ: Mapping[str, str]) -> Path | None:
    """Append the text to the file that GitHub Actions names in ``GITHUB_STEP_SUMMARY``.

    Returns:
        The file, or None if the variable is not set.

    Raises:
        ReportError: the file cannot be written, or is not a regular file.
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
    if path.exists() and not path.is_file():  # a pipe could block the writer forever
        raise OSError(errno.EINVAL, "not a regular file")


_CLOSING = 300
"""Bytes for the text around a table, and for the note about another table that does not fit."""


class _Columns:
    """The columns of a table: the run, if several were merged, and a thumbnail, if there is one."""

    def __init__(self, what: str, *, runs: bool, pictures: str | None) -> None:
        self._what = what
        self._runs = runs
        self._pictures = pictures

    @property
    def heads(self) -> list[str]:
        return [self._what, *(["run"] if self._runs else []), "verdict", "what", *([""] if self._shows else [])]

    @property
    def _shows(self) -> bool:
        return self._pictures is not None

    def cells(self, record: ComparisonRecord, rank: int) -> list[str]:
        line = _escaped(shortened(verdict_line(record), LONGEST_LINE))
        if record.capture is not None:
            facts = "; ".join(words for label, words in capture_facts(record) if label != "unsteady")  # the line has it
            line += f"<br>{_escaped(shortened(facts, LONGEST_LINE))}"
        run = [_code(record.column or "")] if self._runs else []
        return [_code(record.name), *run, record.verdict, line, *([self._picture(record, rank)] if self._shows else [])]

    def _picture(self, record: ComparisonRecord, rank: int) -> str:
        from pytest_imgdiff.report.html_data import THUMB, address_of, picture_path  # slow; few runs show images

        if THUMB not in record.artefacts or rank >= MOST_THUMBNAILS:
            return ""
        address = _escaped(f"{self._pictures}{address_of(picture_path(record, THUMB))}")
        return f'<img src="{address}" alt="" width="{THUMBNAIL_WIDTH}">'


def _columns(what: str, run: RunRecord, records: Iterable[ComparisonRecord], pictures: str | None) -> _Columns:
    from pytest_imgdiff.report.html_data import THUMB  # as above

    shown = any(THUMB in record.artefacts for record in records)
    return _Columns(what, runs=bool(run.columns), pictures=pictures if shown else None)


def _table(records: Sequence[ComparisonRecord], columns: _Columns, room: int) -> Iterator[str]:
    rows = [_row(columns.heads), _row(["---"] * len(columns.heads))]
    room -= sum(len(row.encode()) + 1 for row in rows)
    for rank, record in enumerate(records[:MOST_FAILURES]):
        row = _row(columns.cells(record, rank))
        room -= len(row.encode()) + 1
        if room < 0:
            break
        rows.append(row)
    yield "\n".join(rows)
    more = len(records) - len(rows) + 2
    if more:
        yield f"and {thousands(more)} more"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _warning(run: RunRecord) -> str:
    lines = ["> [!WARNING]", f"> **Incomplete**: {incompleteness(run)}."]
    lines += [f"> - {_code(name)}" for name in run.unrecorded[:MOST_UNRECORDED]]
    more = len(run.unrecorded) - MOST_UNRECORDED
    if more > 0:
        lines.append(f"> - and {thousands(more)} more")
    return "\n".join(lines)


def _lines(lines: Iterable[str]) -> list[str]:
    return [f"- {_escaped(shortened(line, LONGEST_LINE))}" for line in lines]


def _not_compared(run: RunRecord) -> str:
    lines = [f"- {_escaped(shortened(visible(line), LONGEST_LINE))}" for line in run.not_compared[:MOST_UNRECORDED]]
    more = len(run.not_compared) - MOST_UNRECORDED
    return "\n".join([*lines, *([f"- and {thousands(more)} more"] if more > 0 else [])])


def _counts_table(run: RunRecord) -> str:
    numbers = counts(run)
    shown = [name for name in ("failed", "passed", *VERDICTS) if numbers[name] or name in ("failed", "passed")]
    total = f"**{counted(len(run.comparisons), 'comparison')}**"
    header = "| " + " | ".join(shown) + " |"
    ruler = "|" + " ---: |" * len(shown)
    return f"{total}\n\n{header}\n{ruler}\n| " + " | ".join(thousands(numbers[name]) for name in shown) + " |"


def _code(text: str) -> str:
    """Return a name as inline code in HTML, because a pipe ends a table cell even inside backticks."""
    return f"<code>{_escaped(shortened(visible(text), LONGEST_NAME))}</code>"


def _escaped(text: str) -> str:
    """Write punctuation as character references, which never act as markup (GFM 6.2)."""
    return MARKUP.sub(lambda mark: f"&#{ord(mark[0])};", text)
