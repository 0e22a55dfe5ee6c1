"""The comparisons of a run as a Parquet file, read by those who will read it."""

from __future__ import annotations

import sys

import duckdb
import msgspec
import pandas as pd
import pyarrow.parquet
import pytest

from pytest_imgdiff.cli.parser import main
from pytest_imgdiff.report import parquet, read_results
from tests.report_records import different, equal, png, run_of, uncompared


@pytest.fixture
def report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for side in ("expected", "actual"):
        (tmp_path / side).mkdir()
        for number in range(6):
            changed = side == "actual" and number in (2, 4)
            (tmp_path / side / f"{number}.png").write_bytes(png(40, 30, (255, 0, 0) if changed else (10, 20, 30)))
    (tmp_path / "actual" / "5.png").write_bytes(b"no picture")
    (tmp_path / "imgdiff.yaml").write_text("report: {parquet: true}\n")
    assert main(["compare", "expected", "actual", "--report", "out", "--measure", "ssim"]) == 2
    return tmp_path / "out"


def test_a_table_has_a_row_for_each_comparison_with_the_fields_of_its_record(report):
    table = pyarrow.parquet.read_table(report / "results.parquet")
    records = read_results(report / "results.json").comparisons
    rows = table.to_pylist()
    assert [row["name"] for row in rows] == [record.name for record in records]
    for row, record in zip(rows, records, strict=True):
        whole = msgspec.structs.asdict(record)
        same = set(row) & set(whole) - {"scores", "regions"}
        assert {name: row[name] for name in same} == {name: whole[name] for name in same}
        assert len(same) == 24
        assert [score["value"] for score in row["scores"]] == [score.value for score in record.scores]
        assert [region["area"] for region in row["regions"]] == [region.area for region in record.regions]
        assert row["expected_digest"] == record.expected.digest
    assert [row["outcome"] for row in rows] == ["passed", "passed", "failed", "passed", "failed", "failed"]
    assert rows[5]["actual_digest"] is None
    facts = table.schema.metadata
    assert (facts[b"imgdiff.version"], facts[b"imgdiff.complete"], facts[b"imgdiff.shard"]) == (b"1", b"true", b"")


def test_duckdb_and_pandas_read_it(report):
    failed = duckdb.read_parquet(str(report / "results.parquet")).filter("outcome = 'failed'")
    found = failed.project("name, unnest(scores) AS score").filter("NOT score.passed").project("name, score.metric")
    assert sorted(found.fetchall()) == [("2.png", "visible"), ("4.png", "visible")]
    frame = pd.read_parquet(report / "results.parquet", filters=[("verdict", "==", "broken")])
    assert list(frame["name"]) == ["5.png"]


def test_the_columns_are_the_documented_ones(report, root):
    chapter = (root / "docs" / "results.md").read_text(encoding="utf-8").partition("## results.parquet")[2]
    for name in pyarrow.parquet.read_schema(report / "results.parquet").names:
        assert f"`{name.replace('actual_', 'expected_')}`" in chapter


def test_a_large_run_is_written_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_ROWS", 2)
    run = run_of(different("a"), equal("b"), uncompared("c", "missing"), equal("d"), equal("e"))
    file = pyarrow.parquet.ParquetFile(parquet.write_parquet(tmp_path, run))
    assert (file.metadata.num_rows, file.metadata.num_row_groups) == (5, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["results.parquet"]


def test_a_joined_report_has_a_table_of_all(report, monkeypatch):
    monkeypatch.chdir(report.parent)
    for number in ("1", "2"):
        main(["compare", "expected", "actual", "--shard", f"{number}/2", "--report", f"shards/{number}"])
    assert main(["report", "--from", "shards/1", "shards/2", "--report", "all", "--parquet"]) == 2
    assert pyarrow.parquet.read_metadata("all/results.parquet").num_rows == 6
    assert pyarrow.parquet.read_schema("shards/2/results.parquet").metadata[b"imgdiff.shard"] == b"2/2"


def test_what_writes_it_is_named_where_it_is_missing_before_anything_is_compared(report, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    capsys.readouterr()
    assert main(["compare", "expected", "actual", "--report", "new"]) == 2
    assert "pip install 'pytest-imgdiff[parquet]'" in capsys.readouterr().err
    assert not (report.parent / "new").exists()


def test_a_table_that_cannot_be_written_fails_the_run(report, monkeypatch, capsys):
    monkeypatch.chdir(report.parent)
    (report.parent / "actual" / "5.png").write_bytes((report.parent / "expected" / "5.png").read_bytes())
    (report / "results.parquet").unlink()
    (report / "results.parquet").mkdir()
    assert main(["report", "--from", "out", "--parquet"]) == 2
    assert "out/results.parquet: cannot be written" in capsys.readouterr().err
