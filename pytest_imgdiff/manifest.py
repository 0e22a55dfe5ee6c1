"""What a person decided over a report: the file that its page exports and ``pytest-imgdiff accept`` reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.opening import read_regular
from pytest_imgdiff.record import AcceptRecord  # noqa: TC001 - msgspec reads the annotation
from pytest_imgdiff.report.text import visible

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
MOST_BYTES = 64 * 1024 * 1024
"""Of a manifest; a hundred thousand decisions take less."""


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was decided of one comparison."""

    name: str
    """The comparison's, as in ``results.json``."""
    column: str | None
    """The run that it is from, in a report of several."""
    decision: Literal["accept", "alternative", "reject", "none"]
    comment: str
    accepts: AcceptRecord | None
    """What was looked at, and over what it would be written; None where nothing can be accepted."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All decisions over one report."""

    imgdiff: Literal["decisions"]
    version: int
    run: str
    """Which run's page they were made on."""
    decisions: list[Decision]


class _Marked(msgspec.Struct):
    """Whatever JSON object says that it holds decisions: read first, so that other versions are told by number."""

    imgdiff: Literal["decisions"]
    version: int


# Made when nothing else runs: msgspec crashes where two threads are the first to decode a type at the same time.
_MARKED = msgspec.json.Decoder(_Marked)
_MANIFEST = msgspec.json.Decoder(Manifest)


def read_manifest(path: Path) -> list[Decision]:
    """Read the decisions of a manifest.

    Raises:
        ReportError: the file cannot be read, is no JSON, is no manifest or one of another version, has an unknown,
            missing, mistyped or repeated field, or decides twice over one comparison; the message is one line.
    """
    shown = visible(str(path))
    decisions = _decoded(_text(path, shown), shown).decisions
    seen = set()
    for decision in decisions:
        if (decision.name, decision.column) in seen:
            raise ReportError(f"{shown}: decides twice over {visible(decision.name)}; export the decisions again")
        seen.add((decision.name, decision.column))
    return decisions


def _text(path: Path, shown: str) -> str:
    try:
        content = read_regular(path, MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path that holds a NUL
        cause = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ReportError(f"{shown}: cannot be read: {cause}") from error
    if len(content) > MOST_BYTES:
        raise ReportError(f"{shown}: larger than {MOST_BYTES // 1024**2} MiB, which no manifest is")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReportError(f"{shown}: not JSON: byte {error.start} is not UTF-8") from error


def _decoded(text: str, shown: str) -> Manifest:
    try:
        version = _MARKED.decode(text).version
        if version != VERSION:
            raise ReportError(
                f"{shown}: decisions of version {version}; this pytest-imgdiff reads version {VERSION}: use the "
                "release that drew the report, or draw it again"
            )
        manifest = _MANIFEST.decode(text)
        json.loads(text, object_pairs_hook=_without_repetition)  # whose shape is known by now: neither deep nor odd
    except msgspec.ValidationError as error:
        raise ReportError(f"{shown}: not decisions that a report exported: {visible(str(error))}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ReportError(f"{shown}: not JSON: {visible(str(error))}") from error
    except _RepeatedKeyError as error:
        raise ReportError(f"{shown}: the key {visible(str(error))!r} stands twice in one object") from error
    return manifest


class _RepeatedKeyError(Exception):
    """A key that stands twice: two readers of the file could take it for two different things."""


def _without_repetition(pairs: list[tuple[str, Any]]) -> None:
    keys = set()
    for key, _ in pairs:
        if key in keys:
            raise _RepeatedKeyError(key)
        keys.add(key)
