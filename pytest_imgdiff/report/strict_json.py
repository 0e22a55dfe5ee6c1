"""JSON that is sure to give back what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.report.text import visible

if TYPE_CHECKING:
    from pytest_imgdiff.record import ComparisonRecord, RunRecord


def strictly_encoded(value: RunRecord | ComparisonRecord, where: str) -> bytes:
    """Return the value as JSON, the keys of free-form objects sorted, sure that reading gives the same again.

    Args:
        value: what to write.
        where: what errors call it.

    Raises:
        ReportError: it holds what JSON cannot: NaN would silently become null, and a tuple a list.
    """
    try:
        content = msgspec.json.encode(value, order="deterministic")
        same = msgspec.json.decode(content, type=type(value)) == value
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise ReportError(f"{where}: cannot be written as JSON: {visible(str(error))}") from error
    if not same:
        raise ReportError(f"{where}: holds what JSON cannot (NaN, a tuple)")
    return content
