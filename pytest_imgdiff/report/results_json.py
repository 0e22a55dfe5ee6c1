"""``results.json``: a complete run, written atomically and read back strictly."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.lines import Lines
from pytest_imgdiff.base.opening import open_regular, read_regular
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.record import VERSION, ComparisonRecord, RunRecord
from pytest_imgdiff.base.text import visible
from pytest_imgdiff.report.files import replace_file, strictly_encoded
from pytest_imgdiff.report.records import Overview, StoredRecords, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

RESULTS_FILE = "results.json"
RESULTS_START = b'{"tool":'
"""How every such file begins."""
SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Versioned(msgspec.Struct):
    """A JSON object with a version, which is read first so that an error can name the version."""

    version: int


def write_results(directory: Path, run: RunRecord) -> Path:
    """Write the run as ``results.json`` into the directory, atomically.

    The bytes depend only on the run: UTF-8, fields in the order of the schema, keys of free-form objects sorted, a
    final newline.

    Returns:
        The path of the file.

    Raises:
        ReportError: the file cannot be written, or the run contains a value that JSON cannot represent (NaN, a lone
            surrogate).
    """
    return replace_file(directory / RESULTS_FILE, encoded(run))


def read_results(path: Path) -> RunRecord:
    """Read a ``results.json``.

    Raises:
        ReportError: the file is missing, is not JSON, has another version, or has an unknown, missing or mistyped
            field; the message names the field.
    """
    shown = visible(label_of(path))
    try:
        content = read_regular(path)
    except FileNotFoundError as error:
        raise ReportError(f"{shown}: no such file: pass the {RESULTS_FILE} of a run") from error
    except OSError as error:
        raise ReportError(f"{shown}: cannot be read: {error.strerror or error}") from error
    try:
        version = msgspec.json.decode(content, type=_Versioned).version
        if version != VERSION:
            raise ReportError(
                f"{shown}: results of version {version}; this pytest-imgdiff reads version {VERSION}: "
                "read it with the release that wrote it, or run the comparison again"
            )
        return msgspec.json.decode(content, type=RunRecord)
    except msgspec.ValidationError as error:
        raise ReportError(f"{shown}: not the results of pytest-imgdiff: {visible(str(error))}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReportError(f"{shown}: not JSON: {visible(str(error))}") from error


_BUFFER = 1 << 20
_LONGEST_START = 64 << 20
"""Most bytes before the comparisons, which include the names of tests that did not run."""
_COMPARISONS = b'"comparisons":['
_RECORD = msgspec.json.Decoder(ComparisonRecord)


def open_results(path: Path) -> RunRecord:
    """Read a ``results.json`` and leave its comparisons on disk. Each is read again on demand.

    Every comparison is checked as in `read_results`. The file stays open until `close_results`. A file that another
    program has written, without one comparison on each line, is read into memory.

    Raises:
        ReportError: as `read_results`.
    """
    try:
        file = io.BufferedReader(open_regular(path), _BUFFER)  # type: ignore[type-var]  # a raw file, as it is unbuffered
    except (OSError, ValueError):
        return read_results(path)  # it raises the error with the reason
    try:
        run = _by_lines(file)
    except (OSError, ValueError, msgspec.MsgspecError, RecursionError):
        run = None
    if run is None:
        file.close()
        return read_results(path)
    return run


def close_results(run: RunRecord) -> None:
    """Close the file that `open_results` left open."""
    if isinstance(run.comparisons, StoredRecords):
        run.comparisons.lines.close()


def _by_lines(file: IO[bytes]) -> RunRecord | None:
    """Return the run; None if the file does not have the layout that `encoded` writes."""
    before = file.readline(_LONGEST_START)
    if not before.endswith(_COMPARISONS + b"\n"):
        return None
    lines, overview = Lines(), Overview()
    lines.files.append(file)
    start, is_last = len(before), False
    while not (whole := file.readline()).startswith(b"]"):
        line = whole.removesuffix(b"\n")
        if is_last or not line:
            return None
        is_last = not line.endswith(b",")
        line = line.removesuffix(b",")
        overview.add(_RECORD.decode(line))
        lines.note(0, start, len(line))
        start += len(whole)
    if len(lines) and not is_last:
        return None
    run = msgspec.json.decode(before[:-1] + whole + file.read(), type=RunRecord)
    if run.version != VERSION:
        return None
    return msgspec.structs.replace(run, comparisons=StoredRecords(lines, overview))


def results_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``results.json``, generated from the records."""
    return {"$schema": SCHEMA_DIALECT, **msgspec.json.schema(RunRecord)}


def encoded(run: RunRecord) -> Iterator[bytes]:
    """Yield the run as JSON, one comparison on each line. Only one comparison is encoded at a time.

    Raises:
        ReportError: as `write_results`: NaN would silently become null, and a tuple a list.
    """
    around = strictly_encoded(msgspec.structs.replace(run, comparisons=[]), "the run, outside of its comparisons")
    before, empty, after = around.partition(b'"comparisons":[]')
    yield before + empty[:-1]
    records = run.comparisons
    lines = records.lines if isinstance(records, StoredRecords) else map(line_of, records)
    for index, line in enumerate(lines):
        yield (b",\n" if index else b"\n") + line
    yield b"\n]" + after + b"\n"
