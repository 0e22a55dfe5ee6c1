"""Comparisons that lie on disk: the report is the same as of those in memory, and memory does not grow with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.cli.parser import main
from pytest_imgdiff.report import (
    close_results,
    markdown,
    open_results,
    read_results,
    summary_line,
    write_report,
    write_results,
)
from pytest_imgdiff.report.html_data import SHARD
from pytest_imgdiff.report.records import RecordSpool, StoredRecords
from pytest_imgdiff.report.sarif import sarif
from pytest_imgdiff.run.journal import Collected, Finished, ResultsFolder
from tests.report_records import different, equal, perceptual, run_of, ssim, uncompared

ROOT = Path(__file__).parent.parent
KINDS = [
    equal,
    lambda name: equal(name, equal=None, scores=[perceptual(0.001, 9, warned=True, warn=0.0005)]),
    different,
    lambda name: different(name, scores=[perceptual(0.9)], fingerprint="2;9x9c9"),
    lambda name: different(name, scores=[ssim(None, passed=False, details={"backend": "onnx", "device": "CPU"})]),
    lambda name: equal(name, scores=[ssim(None, passed=True, omitted="skipped: no model")]),
    lambda name: equal(name, verdict="missing", equal=None, scores=[]),
    lambda name: equal(name, verdict="missing", equal=None, scores=[], written="baselines/a.png"),
    lambda name: uncompared("broken", name),
    lambda name: uncompared("resized", name),
]


def stored(records):
    spool = RecordSpool()
    for record in records:
        spool.append(record)
    return spool


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(KINDS), max_size=2 * SHARD + 5))
def test_report_of_stored_comparisons_is_that_of_those_in_memory(tmp_path_factory, kinds):
    records = [kind(f"{number}") for number, kind in enumerate(kinds)]
    in_memory = run_of(*records, run="a run")
    folders = [tmp_path_factory.mktemp(name) for name in ("memory", "disk")]
    write_report(folders[0], in_memory)

    with closing(stored(records)) as spool:
        on_disk = msgspec.structs.replace(in_memory, comparisons=spool)
        write_report(folders[1], on_disk)

        assert list(spool) == records
        assert spool[1:3] == records[1:3]
        assert summary_line(on_disk) == summary_line(in_memory)
        assert markdown(on_disk, pictures="") == markdown(in_memory, pictures="")
        assert sarif(on_disk) == sarif(in_memory)
    assert contents(folders[1]) == contents(folders[0])


def peak(tmp_path, count):
    """Return the peak memory of writing a report of this number of comparisons, in bytes."""
    tracemalloc.start()
    try:
        with closing(RecordSpool()) as spool:
            for number in range(count):
                spool.append(different(f"{number}") if number % 10 == 0 else equal(f"{number}"))
            write_report(tmp_path, run_of(comparisons=spool, run="a run"))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def joined_peak(folder, count):
    """Return the peak memory, in bytes, of joining two shards of this number of comparisons, and of accepting them."""
    for part in ("one", "two"):
        records = (different(f"{part}/{n}") if n % 10 == 0 else equal(f"{part}/{n}") for n in range(count // 2))
        write_report(folder / part, run_of(*records, run=part))
    tracemalloc.start()
    try:
        sources = [str(folder / part) for part in ("one", "two")]
        assert main(["report", "--from", *sources, "--shards", "--report", str(folder / "all")]) == 1
        assert main(["accept", str(folder / "all"), "--only", "one/0", "--dry-run"]) == 2  # it has no picture
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_comparisons(tmp_path):
    # In a process of its own, where no thread that another test left behind takes memory meanwhile; the first report imports
    # and compiles what there is. Files of a few lines stay in memory as a whole: here their limit is low, not 1 MiB, so
    # that a thousand comparisons tell what ten thousand would.
    code = "import pathlib; from pytest_imgdiff.base import lines; lines._SMALL = 1 << 14\n"
    code += "from tests.test_stored_records import joined_peak, peak\n"
    code += "print(*[peak(pathlib.Path(str(count)).absolute(), count) for count in (20, 500, 1500)])\n"
    code += "print(*[joined_peak(pathlib.Path(f'joined-{count}'), count) for count in (20, 300, 1000)])"
    found = {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **found}, capture_output=True, text=True, check=True
    )
    peaks = [int(word) for word in done.stdout.split() if word.isdigit()]
    (_, few, many), (_, few_joined, many_joined) = peaks[:3], peaks[-3:]

    assert (many - few) / 1000 < 100  # bytes for each; a record takes 3000
    assert (many_joined - few_joined) / 700 < 300


def full_run():
    return run_of(*(kind(f"{number}") for number, kind in enumerate(KINDS)), complete=False, unrecorded=["x"])


@pytest.mark.parametrize("run", [full_run(), run_of(), run_of(equal())])
@pytest.mark.parametrize("laid_out", [True, False])
def test_results_that_stay_on_disk_are_those_that_are_read_as_a_whole(tmp_path, run, laid_out):
    path = write_results(tmp_path, run)
    if not laid_out:
        path.write_text(json.dumps(json.loads(path.read_bytes()), indent=1))
    opened = open_results(path)
    try:
        assert msgspec.structs.replace(opened, comparisons=list(opened.comparisons)) == run == read_results(path)
        assert isinstance(opened.comparisons, StoredRecords) == laid_out
    finally:
        close_results(opened)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"verdict":"match"', b'"verdict":"fine"'),
        (b",\n{", b"\n{"),
        (b"}\n]", b"},\n]"),
        (b"\n]", b"\n"),
        (b'"version":1', b'"version":2'),
        (b'"complete":', b'"whole":'),
    ],
)
def test_results_that_stay_on_disk_are_read_as_strictly(tmp_path, old, new):
    path = write_results(tmp_path, full_run())
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(ReportError) as whole:
        read_results(path)
    with pytest.raises(ReportError) as opened:
        open_results(path)
    assert str(opened.value) == str(whole.value)


LINES = st.lists(st.tuples(st.sampled_from(["gw0", "gw1", "main"]), st.sampled_from("abcde"), st.integers(0, 9)))


@settings(deadline=None)
@given(LINES)
def test_of_what_was_compared_again_the_last_counts_in_the_place_of_the_first(tmp_path_factory, lines):
    report = tmp_path_factory.mktemp("report") / "report"
    processes = {process: ResultsFolder(report, "run", process) for process in ("gw0", "gw1", "main")}
    for folder in processes.values():
        folder.append(Collected(["a"]))
    for process, name, seconds in lines:
        processes[process].append(different(name, seconds=seconds, passed=seconds > 4))
    for folder in processes.values():
        folder.close()

    expected = {}
    for process in processes:  # files are read in the order of their names
        for own, name, seconds in lines:
            if own == process:
                expected[name] = different(name, seconds=seconds, passed=seconds > 4)
    merged = processes["main"].merge()
    with closing(merged.lines):
        assert list(merged.records) == list(expected.values())
        assert merged.records.overview.outcomes["failed"] == sum(not record.passed for record in expected.values())
        write_results(report, run_of(comparisons=merged.records))
    assert (report / "results.json").read_bytes() == write_results(
        report / "again", run_of(*expected.values())
    ).read_bytes()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda file: file.truncate(40), "cut short"),
        (lambda file: file.write(b"#" * 40), "changed"),
        (lambda file: file.write(b"\xc3" * 40), "changed"),
    ],
)
def test_lines_that_are_no_longer_what_they_were_are_told(tmp_path, damage, told):
    folder = ResultsFolder(tmp_path / "report", "run")
    folder.append(different("a"))
    merged = folder.merge()
    (path,) = tmp_path.glob("report/records/run/*.jsonl")
    with path.open("rb+") as file:
        damage(file)

    with closing(merged.lines), pytest.raises(ReportError, match=told):
        write_report(tmp_path / "report", run_of(comparisons=merged.records))
    assert not (tmp_path / "report" / "index.html").exists()


def test_a_line_that_is_no_text_is_no_comparison(tmp_path):
    folder = ResultsFolder(tmp_path / "report", "run")
    folder.append(different("a"))
    folder.close()
    (path,) = tmp_path.glob("report/records/run/*.jsonl")
    path.write_bytes(path.read_bytes() + path.read_bytes().replace(b'"name":"a"', b'"name":"\xc3"'))

    merged = folder.merge()
    with closing(merged.lines):
        assert ([record.name for record in merged.records], merged.torn) == (["a"], 1)


def test_half_a_line_is_no_comparison(tmp_path):
    folder = ResultsFolder(tmp_path / "report", "run")
    folder.append(Collected(["a", "b"]))
    folder.append(different("a"))
    folder.append(Finished("a"))
    folder.append(different("b"))
    folder.close()
    (path,) = tmp_path.glob("report/records/run/*.jsonl")
    path.write_bytes(path.read_bytes()[:-30])

    merged = folder.merge()
    with closing(merged.lines):
        assert [record.name for record in merged.records] == ["a"]
        assert (merged.torn, merged.unrecorded) == (1, ["b"])


FULL_DISK = """
import resource
from pytest_imgdiff.report.records import RecordSpool, StoredRecords
from tests.report_records import different

resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
spool = RecordSpool()
for number in range(10_000):
    spool.append(different(f"{number}"))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit to the size of a file that a process may set")
def test_full_disk_of_temporary_files_is_told():
    run = subprocess.run([sys.executable, "-c", FULL_DISK], check=False, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 1
    assert "ReportError: the results cannot be put aside among the temporary files: File too large" in run.stderr


def test_what_json_cannot_hold_is_told_when_it_is_recorded(tmp_path):
    with (
        closing(RecordSpool()) as spool,
        pytest.raises(ReportError, match="comparison 'a': contains a value that JSON cannot represent"),
    ):
        spool.append(different("a", scores=[ssim(float("nan"))]))
    with pytest.raises(ReportError, match="comparison 'a': contains a value that JSON cannot represent"):
        ResultsFolder(tmp_path / "report", "run").append(different("a", scores=[ssim(float("nan"))]))
