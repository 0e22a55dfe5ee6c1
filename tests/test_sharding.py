"""Shards of a scan: each pair in one of them, joined into one run, and nothing missing that passes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_imgdiff.cli.parser import main
from pytest_imgdiff.report import read_results
from pytest_imgdiff.run.sharding import Shard, split
from tests.report_records import png

REPORT = (sys.executable, "-m", "pytest_imgdiff", "report")
SETS = st.dictionaries(st.text(min_size=1), st.integers(0, 10**7), max_size=60)


def shares(sizes, count):
    names = list(sizes)
    return [split(names, names, list(sizes.values()), Shard(number, count))[0] for number in range(1, count + 1)]


@given(SETS, st.integers(1, 12), st.randoms(use_true_random=False))
def test_each_pair_is_in_one_shard_whatever_the_order(sizes, count, random):
    parts = shares(sizes, count)
    assert sorted(name for part in parts for name in part) == sorted(sizes)
    shuffled = list(sizes.items())
    random.shuffle(shuffled)
    assert list(map(set, shares(dict(shuffled), count))) == list(map(set, parts))


@given(SETS, st.integers(1, 12))
def test_shares_are_equal_by_bytes_but_for_one_pair(sizes, count):
    fair = sum(size + 1 for size in sizes.values()) / count
    for part in shares(sizes, count):
        assert abs(sum(sizes[name] + 1 for name in part) - fair) <= max(sizes.values(), default=0) + 1


def test_a_new_picture_moves_only_pairs_at_the_cuts():
    sizes = {f"page-{number}.png": 1000 + number for number in range(1000)}
    before, after = shares(sizes, 8), shares({"new.png": 500, **sizes}, 8)
    stayed = sum(len(set(one) & set(other)) for one, other in zip(before, after, strict=True))
    assert stayed > 980


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Twenty pairs of unequal sizes, of which two differ."""
    monkeypatch.chdir(tmp_path)
    for side in ("expected", "actual"):
        (tmp_path / side).mkdir()
    for number in range(20):
        picture = png(4 + number, 9, (number, 90, 11 * number))
        (tmp_path / "expected" / f"{number}.png").write_bytes(picture)
        changed = png(4 + number, 9, (255, 0, 0)) if number in (3, 11) else picture
        (tmp_path / "actual" / f"{number}.png").write_bytes(changed)
    return tmp_path


def compare(shard, *, report):
    return main(["compare", "expected", "actual", "--shard", shard, "--report", report, "--quiet"])


def joined(*sources):
    return main(["report", "--from", *sources, "--report", "all"])


def test_joined_shards_are_the_run_that_was_split(folders, capsys):
    codes = [compare(f"{number}/3", report=f"shards/{number}") for number in (1, 2, 3)]
    assert max(codes) == 1
    assert joined("shards/1", "shards/2", "shards/3") == 1
    main(["compare", "expected", "actual", "--report", "whole"])

    run, whole = (read_results(folders / name / "results.json") for name in ("all", "whole"))
    assert run.complete
    assert run.shard is None
    verdicts = {record.name: (record.verdict, record.passed) for record in run.comparisons}
    assert verdicts == {record.name: (record.verdict, record.passed) for record in whole.comparisons}
    assert len(run.comparisons) == 20
    assert "shard 2/3: " in capsys.readouterr().out


def test_a_missing_shard_is_named_and_nothing_passes(folders, capsys):
    (folders / "actual" / "3.png").write_bytes((folders / "expected" / "3.png").read_bytes())
    (folders / "actual" / "11.png").write_bytes((folders / "expected" / "11.png").read_bytes())
    assert [compare(f"{number}/3", report=f"shards/{number}") for number in (1, 3)] == [0, 0]
    capsys.readouterr()

    assert joined("shards/1", "shards/3") == 2
    assert "missing: shard 2/3: its results are missing" in capsys.readouterr().out
    assert joined("shards/3") == 2
    assert main(["report", "--from", "shards/3"]) == 0
    assert "this is only shard 3/3" in capsys.readouterr().out
    shard = read_results(folders / "shards" / "3" / "results.json").shard
    assert shard is not None
    assert (shard.number, shard.whole) == (3, 20)


def test_results_that_lost_a_comparison_or_contradict_themselves_never_pass(folders, capsys):
    for number in (3, 11):
        shutil.copy(folders / "expected" / f"{number}.png", folders / "actual" / f"{number}.png")
    assert [compare(f"{number}/2", report=f"shards/{number}") for number in (1, 2)] == [0, 0]
    capsys.readouterr()
    results = Path("shards/1/results.json")
    whole = results.read_text(encoding="utf-8")
    lost = next(line for line in whole.splitlines(keepends=True) if line.startswith('{"type"') and line.endswith(",\n"))
    changes = {
        whole.replace(lost, ""): "shards/1/results.json: has 9 of 10 pairs: the file was changed",
        whole.replace('"unrecorded":[]', '"unrecorded":["x.png"]'): "missing: x.png",
        whole.replace('"match"', '"broken"', 1): "is broken and passed: the file was changed",
    }
    for text, told in changes.items():
        assert text != whole
        results.write_text(text, encoding="utf-8")
        assert joined("shards/1", "shards/2") == 2
        assert told in "".join(capsys.readouterr())


def test_a_shard_given_twice_and_one_of_another_set_are_refused(folders, capsys):
    for report, shard in (("a", "1/2"), ("b", "2/2"), ("c", "1/2"), ("d", "1/4")):
        compare(shard, report=report)
    main(["compare", "expected", "actual", "--report", "whole", "--quiet"])
    (folders / "expected" / "20.png").write_bytes(png(3, 3, (1, 2, 3)))
    compare("2/2", report="e")
    capsys.readouterr()

    assert joined("a", "b", "c") == 2
    assert "a/results.json and c/results.json: both are shard 1/2: pass each shard once" in capsys.readouterr().err
    assert joined("a", "d") == 2
    assert "a/results.json (shard 1/2 of 20 pairs or tests) and d/results.json (shard 1/4" in capsys.readouterr().err
    assert joined("a", "e") == 2
    assert "(shard 2/2 of 21 pairs or tests): not shards of one set" in capsys.readouterr().err
    assert joined("a", "whole") == 2
    assert "whole/results.json: is a complete run, but a/results.json is shard 1/2" in capsys.readouterr().err
    assert main(["report", "--from", "a", "b", "--name", "x", "--name", "y", "--report", "all"]) == 2
    assert "a/results.json is a shard; merge the shards first" in capsys.readouterr().err
    assert not (folders / "all").exists()


def test_more_shards_than_pairs_leave_some_without_any(folders):
    for path in (folders / "expected").glob("1?.png"):
        path.unlink()
        (folders / "actual" / path.name).unlink()
    assert {compare(f"{number}/40", report=f"shards/{number}") for number in range(1, 41)} == {0, 1}
    assert joined(*(f"shards/{number}" for number in range(1, 41))) == 1
    assert len(read_results(folders / "all" / "results.json").comparisons) == 10


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3"])
def test_what_is_no_shard_is_told(capsys, shard):
    assert main(["compare", "expected", "actual", f"--shard={shard}"]) == 2
    assert f"--shard '{shard}': must be NUMBER/COUNT, such as 3/8" in capsys.readouterr().err


@pytest.mark.usefixtures("folders")
def test_two_pictures_have_no_shards(capsys):
    assert main(["compare", "expected/1.png", "actual/1.png", "--shard", "1/2"]) == 2
    assert "--shard needs two folders" in capsys.readouterr().err


@pytest.fixture
def scanned(folders, pytester):
    for side in ("expected", "actual"):
        (folders / side).rename(pytester.path / side)
    return pytester


@pytest.mark.parametrize("workers", [[], ["-n2"]])
def test_shards_of_a_scan_under_pytest_are_joined(scanned, workers):
    scan = ["--imgdiff-scan", "expected", "actual", *workers]
    for number in (1, 2):
        scanned.runpytest_subprocess(*scan, f"--imgdiff-shard={number}/2", f"--imgdiff-report=shards/{number}")
    shards = [read_results(scanned.path / "shards" / str(number) / "results.json") for number in (1, 2)]
    assert [run.complete for run in shards] == [True, True]
    assert sum(len(run.comparisons) for run in shards) == 20

    outcome = scanned.run(*REPORT, "--from", "shards/1", "shards/2", "--report", "all")
    assert outcome.ret == 1
    run = read_results(scanned.path / "all" / "results.json")
    assert sorted(record.test for record in run.comparisons if not record.passed) == [
        "expected::11.png",
        "expected::3.png",
    ]
    assert scanned.run(*REPORT, "--from", "shards/2", "--report", "half").ret == 2


def test_a_shard_under_pytest_without_any_pair_is_no_failure(scanned):
    for path in list((scanned.path / "expected").iterdir())[1:]:
        path.unlink()
        (scanned.path / "actual" / path.name).unlink()
    runs = [
        scanned.runpytest_subprocess(
            "--imgdiff-scan", "expected", "actual", f"--imgdiff-shard={number}/3", f"--imgdiff-report=shards/{number}"
        )
        for number in (1, 2, 3)
    ]
    assert runs[0].ret == 0
    runs[0].stdout.fnmatch_lines(["shard 1/3: 0 of 1; join all with `pytest-imgdiff report`"])
    scanned.run(*REPORT, "--from", "shards/1", "shards/2", "shards/3", "--report", "all")
    assert len(read_results(scanned.path / "all" / "results.json").comparisons) == 1


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_a_shard_of_what_is_no_scan_is_a_usage_error(scanned, workers):
    scanned.makepyfile("def test_page(assert_images_similar): assert_images_similar.compare('expected/1.png')")
    told = scanned.runpytest_subprocess("--imgdiff-shard=1/2", *workers)
    assert told.ret == pytest.ExitCode.USAGE_ERROR
    told.stdout.fnmatch_lines_random(["*1 image test would run in every shard*"]) if workers else (
        told.stderr.fnmatch_lines_random(["*1 image test would run in every shard*"])
    )
    refused = scanned.runpytest_subprocess("--imgdiff-shard=9/2", "--imgdiff-scan", "expected", "actual")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*--imgdiff-shard '9/2': must be NUMBER/COUNT*"])


def test_groups_of_pytest_split_know_which_shards_they_are(scanned, monkeypatch):
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_imgdiff.plugin,pytest_split.plugin")
    scanned.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("number", range(4, 10))
        def test_page(assert_images_similar, number):
            assert_images_similar(f"actual/{number}.png", f"expected/{number}.png")
        """
    )
    for group in ("1", "2", "3"):
        words = ["--splits=3", f"--group={group}", f"--imgdiff-report=shards/{group}"]
        assert scanned.runpytest_subprocess(*words).ret == 0
    report = [*REPORT, "--report", "all", "--from"]
    assert scanned.run(*report, "shards/1", "shards/2", "shards/3").ret == 0
    assert len(read_results(scanned.path / "all" / "results.json").comparisons) == 6
    lost = scanned.run(*report, "shards/1", "shards/3")
    assert lost.ret == 2
    lost.stdout.fnmatch_lines(["missing: shard 2/3: its results are missing"])

    test = "test_groups_of_pytest_split_know_which_shards_they_are.py::test_page"
    durations = {f"{test}[{number}]": 100 if number == 4 else 1 for number in range(4, 10)}
    (scanned.path / ".test_durations").write_text(json.dumps(durations))
    assert scanned.runpytest_subprocess("--splits=3", "--group=2", "--imgdiff-report=shards/2").ret == 0
    other = scanned.run(*report, "shards/1", "shards/2", "shards/3")
    assert other.ret == 2
    other.stderr.fnmatch_lines(["*the shards have 9 pairs or tests in total, but the set that was split has 6*"])
