"""``results.json``: a whole run, written at once and read back strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.record import VERSION, RunRecord
from pytest_imgdiff.report.files import replace_file
from pytest_imgdiff.report.text import visible

if TYPE_CHECKING:
    from pathlib import Path

RESULTS_FILE = "results.json"
SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Versioned(msgspec.Struct):
    """Whatever JSON object names a version: read first, so that other versions are told by number."""

    version: int


def write_results(directory: Path, run: RunRecord) -> Path:
    """Write the run as ``results.json`` into the directory, atomically.

    The bytes depend on the run alone: UTF-8, fields in the order of the schema, keys of free-form objects
    sorted, a final newline.

    Returns:
        The path of the file.

    Raises:
        ReportError: the file cannot be written, or the run holds what JSON cannot (NaN, a lone surrogate).
    """
    return replace_file(directory / RESULTS_FILE, _encoded(run))


def read_results(path: Path) -> RunRecord:
    """Read a ``results.json``.

    Raises:
        ReportError: the file is missing, is no JSON, is of another version, or has an unknown, missing or
            mistyped field; the message names the field.
    """
    shown = visible(str(path))
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ReportError(f"{shown}: no such file: give the {RESULTS_FILE} that a run has written") from error
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


def results_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``results.json``, made from the records themselves."""
    return {"$schema": SCHEMA_DIALECT, **msgspec.json.schema(RunRecord)}


def _encoded(run: RunRecord) -> bytes:
    """Encode the run, sure that reading gives the same run again: NaN would silently become null."""
    try:
        content = msgspec.json.encode(run, order="deterministic")
        same = msgspec.json.decode(content, type=RunRecord) == run
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise ReportError(f"{RESULTS_FILE}: the run cannot be written as JSON: {visible(str(error))}") from error
    if not same:
        raise ReportError(f"{RESULTS_FILE}: the run holds what JSON cannot (NaN, a tuple): {_first_unlike(run)}")
    return msgspec.json.format(content, indent=2) + b"\n"


def _first_unlike(run: RunRecord) -> str:
    for record in run.comparisons:
        if msgspec.json.decode(msgspec.json.encode(record), type=type(record)) != record:
            return f"comparison {visible(record.name)!r}"
    return "outside the comparisons"
