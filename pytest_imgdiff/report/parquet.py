"""``results.parquet``: the comparisons of a run as a table, for pandas, DuckDB and Polars."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import ConfigError, ReportError
from pytest_imgdiff.base.files import TEMPORARY
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.record import VERSION
from pytest_imgdiff.report.records import outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord, SideRecord

PARQUET_FILE = "results.parquet"
_ROWS = 10_000
"""Rows in a row group, and in memory at the same time."""
_COPIED = (
    *("name", "verdict", "passed", "asserted", "reason", "equal", "test", "key", "column", "seconds", "size_policy"),
    *("compared_width", "compared_height", "mask_metric", "region_count", "ignored", "differing_pixels", "redrawn"),
    *("frame_count", "fingerprint", "accept", "written", "warnings", "notes"),
)
"""Columns that copy the record's field of the same name."""
_OF_A_SIDE = ("label", "format", "width", "height", "mode", "digest", "byte_size")


def require_parquet() -> None:
    """Import the package that writes the file.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401 - whether it is installed
    except ImportError as error:
        raise ConfigError(
            f"Parquet results need the package pyarrow ({error}): run pip install 'pytest-imgdiff[parquet]'"
        ) from error


def write_parquet(directory: Path, run: RunRecord) -> Path:
    """Write the comparisons as ``results.parquet`` into the directory, atomically.

    Rows are in the order of the run; docs/results.md lists the columns. Facts about the run are in the file's metadata.

    Returns:
        The path of the file.

    Raises:
        ConfigError: pyarrow is not installed.
        ReportError: the file cannot be written.
    """
    require_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = directory / PARQUET_FILE
    temporary = directory / f"{TEMPORARY}{os.getpid()}-{PARQUET_FILE}"
    schema = _schema(run)
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for rows in _pieces(run):
                writer.write_table(pa.Table.from_pylist(rows, schema))
        temporary.replace(path)
    except (OSError, pa.ArrowException) as error:
        raise ReportError(
            f"{label_of(path)}: cannot be written: {getattr(error, 'strerror', None) or error}"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return path


def _pieces(run: RunRecord) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for record in run.comparisons:
        rows.append(_row(record))
        if len(rows) == _ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


def _row(record: ComparisonRecord) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in _COPIED}
    row["outcome"] = outcome_of(record)
    row |= _side("expected", record.expected) | _side("actual", record.actual)
    row["scores"] = [
        {
            "metric": score.metric,
            "value": score.value,
            "limit": score.limit,
            "unit": score.unit,
            "passed": score.passed,
            "warned": score.warned,
            "measured": score.measured,
            "omitted": score.omitted,
        }
        for score in record.scores
    ]
    row["regions"] = [
        {
            "x": region.x,
            "y": region.y,
            "width": region.width,
            "height": region.height,
            "area": region.area,
            "kind": region.kind,
            "element": None if region.element is None else region.element.path,
        }
        for region in record.regions
    ]
    return row


def _side(name: str, side: SideRecord | None) -> dict[str, Any]:
    return {f"{name}_{field}": None if side is None else getattr(side, field) for field in _OF_A_SIDE}


def _schema(run: RunRecord) -> Any:
    import pyarrow as pa

    text, whole, number, truth = pa.string(), pa.int64(), pa.float64(), pa.bool_()
    score = {
        "metric": text,
        "value": number,
        "limit": number,
        "unit": text,
        "passed": truth,
        "warned": truth,
        "measured": truth,
        "omitted": text,
    }
    region = {"x": whole, "y": whole, "width": whole, "height": whole, "area": whole, "kind": text, "element": text}
    types = {
        **dict.fromkeys(_COPIED, text),
        **dict.fromkeys(("passed", "asserted", "redrawn"), truth),
        **dict.fromkeys(("seconds", "ignored"), number),
        **dict.fromkeys(
            ("compared_width", "compared_height", "region_count", "differing_pixels", "frame_count"), whole
        ),
        **dict.fromkeys(("warnings", "notes"), pa.list_(text)),
        "outcome": text,
    }
    for side in ("expected", "actual"):
        for field in _OF_A_SIDE:
            types[f"{side}_{field}"] = whole if field in ("width", "height", "byte_size") else text
    types["scores"] = pa.list_(pa.struct(list(score.items())))
    types["regions"] = pa.list_(pa.struct(list(region.items())))
    facts = {
        "imgdiff.version": str(VERSION),
        "imgdiff.tool": f"{run.tool.name} {run.tool.version}",
        "imgdiff.run": run.run,
        "imgdiff.title": run.title,
        "imgdiff.complete": "true" if run.complete else "false",
        "imgdiff.shard": "" if run.shard is None else f"{run.shard.number}/{run.shard.count}",
    }
    return pa.schema(list(types.items()), metadata=facts)
