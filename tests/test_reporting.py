"""Reports drawn again from their results: the same one, several as columns, shards as one."""

from __future__ import annotations

import hashlib
import json
import os
import re
from html import unescape

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.record import AcceptRecord
from pytest_imgdiff.cli.parser import main
from pytest_imgdiff.report import close_results, read_results, write_report
from pytest_imgdiff.report.merge import Part, merged, unique_labels
from tests.report_records import different, equal, png, run_of, uncompared

PICTURE = png(8, 6, (200, 30, 30))
NAMES = ("expected", "actual", "mask", "thumb")


def report_at(folder, *records, **changes):
    """Write a report whose failed records have pictures."""
    folder.mkdir(parents=True)
    shown = [record if record.passed else with_pictures(folder, record) for record in records]
    write_report(folder, run_of(*shown, **{"run": folder.name, **changes}))
    (folder / ".gitignore").write_text("# written by pytest-imgdiff: this folder is replaced by every run\n*\n")
    return folder


def with_pictures(folder, record):
    artefacts = {name: f"pictures/{record.name.replace('/', '-')}/{name}.png" for name in NAMES}
    for number, path in enumerate(artefacts.values()):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(png(8, 6, (number, 9, len(folder.name))))
    source = artefacts["actual"]
    digest = hashlib.sha256((folder / source).read_bytes()).hexdigest()
    accepts = AcceptRecord(f"baselines/{record.name}.png", source, digest, None)
    return msgspec.structs.replace(record, artefacts=artefacts, accepts=accepts)


def results_of(folder):
    return read_results(folder / "results.json")


def all_pictures_of(folder):
    return {path for record in results_of(folder).comparisons for path in record.artefacts.values()}


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def merged_in_memory(parts):
    run = merged(parts)
    try:
        return msgspec.structs.replace(run, comparisons=list(run.comparisons))
    finally:
        close_results(run)


def test_a_report_is_drawn_again_in_its_own_folder(tmp_path, capsys):
    folder = report_at(tmp_path / "imgdiff-report", different("a"), equal("b"))
    before = files(folder)
    (folder / "index.html").write_text("an older page")

    assert main(["report", "--from", str(folder)]) == 1

    after = files(folder)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"summary.md", "results.sarif"}
    said = capsys.readouterr().out
    assert "2 comparisons: 1 failed (1 different), 1 passed" in said
    assert f"report: {folder / 'index.html'}" in said


def test_a_copy_has_the_pictures_that_the_records_name_and_no_others(tmp_path):
    folder = report_at(tmp_path / "one", different("a/b"), equal("c"))
    (folder / "pictures" / "stray.png").write_bytes(PICTURE)
    (folder / "secret.txt").write_text("not named by any record")

    assert main(["report", "--from", str(folder / "results.json"), "--report", str(tmp_path / "two")]) == 1

    copied = files(tmp_path / "two")
    assert all_pictures_of(tmp_path / "two") == all_pictures_of(folder)
    assert {name for name in copied if name.startswith("pictures/") and name.endswith(".png")} == all_pictures_of(
        folder
    )
    assert "secret.txt" not in copied
    for path in all_pictures_of(folder):
        assert copied[path] == (folder / path).read_bytes()
    assert results_of(tmp_path / "two").comparisons == results_of(folder).comparisons


def test_runs_become_columns_each_with_its_own_pictures(tmp_path, capsys):
    for browser in ("chromium", "firefox"):
        report_at(tmp_path / browser / "imgdiff-report", different("page"), equal("logo"), title="Shop")
    sources = [str(tmp_path / browser / "imgdiff-report") for browser in ("chromium", "firefox")]

    code = main(["report", "--from", sources[0], "--from", sources[1], "--report", str(tmp_path / "all")])

    run = results_of(tmp_path / "all")
    assert code == 1
    assert run.columns == ["chromium", "firefox"]
    assert [(record.name, record.column) for record in run.comparisons] == [
        ("page", "chromium"),
        ("logo", "chromium"),
        ("page", "firefox"),
        ("logo", "firefox"),
    ]
    assert run.title == "Shop"
    assert len(all_pictures_of(tmp_path / "all")) == 8
    for record, source in zip(run.comparisons[::2], sources, strict=True):
        assert record.accepts.source == record.artefacts["actual"]
        copied = (tmp_path / "all" / record.artefacts["actual"]).read_bytes()
        assert hashlib.sha256(copied).hexdigest() == record.accepts.digest
        assert (
            copied
            == (tmp_path / source / results_of(tmp_path / source).comparisons[0].artefacts["actual"]).read_bytes()
        )
    assert "4 comparisons: 2 failed" in capsys.readouterr().out


def test_columns_are_labelled_by_name(tmp_path):
    one, two = (report_at(tmp_path / name, equal("a")) for name in ("x", "y"))
    command = ["report", "--from", str(one), "--from", str(two), "--name", "Linux", "--name", "caf\udce9 <b>"]
    assert main([*command, "--report", str(tmp_path / "all"), "--title", "Both"]) == 0

    run = results_of(tmp_path / "all")
    assert run.columns == ["Linux", "caf\\xe9 <b>"]
    assert run.title == "Both"


def test_shards_become_one_run_without_columns(tmp_path):
    one = report_at(tmp_path / "1", different("a"), unused_baselines=["x.png"])
    two = report_at(tmp_path / "2", different("b"), equal("c"), unused_baselines=["y.png"])

    assert main(["report", "--shards", "--from", str(one), "--from", str(two), "--report", str(tmp_path / "all")]) == 1

    run = results_of(tmp_path / "all")
    assert run.columns == []
    assert [(record.name, record.column) for record in run.comparisons] == [("a", None), ("b", None), ("c", None)]
    assert run.unused_baselines == ["x.png", "y.png"]
    assert len(all_pictures_of(tmp_path / "all")) == 8
    assert all((tmp_path / "all" / path).is_file() for path in all_pictures_of(tmp_path / "all"))


def test_merged_runs_can_be_merged_again():
    chrome, safari = (Part(run_of(equal("a")), name, name) for name in ("chrome", "safari"))
    linux = merged_in_memory([chrome, safari])
    run = merged_in_memory([Part(linux, "linux.json", "linux"), Part(run_of(equal("a")), "mac.json", "mac")])

    assert run.columns == ["linux: chrome", "linux: safari", "mac"]
    assert [record.column for record in run.comparisons] == ["linux: chrome", "linux: safari", "mac"]
    assert merged_in_memory([Part(linux, "linux.json")]) == linux


def test_a_name_that_two_shards_share_is_refused_naming_both(tmp_path, capsys):
    one, two = (report_at(tmp_path / name, equal("same")) for name in ("first", "second"))
    assert main(["report", "--shards", "--from", str(one), "--from", str(two), "--report", str(tmp_path / "all")]) == 2

    told = capsys.readouterr().err
    assert str(one / "results.json") in told
    assert str(two / "results.json") in told
    assert "the comparison same" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "all").exists()


def test_a_name_that_stands_twice_in_one_result_is_refused():
    with pytest.raises(ReportError, match=r"^one\.json: contains the comparison a twice"):
        merged_in_memory([Part(run_of(equal("a"), equal("a")), "one.json")])


def test_two_columns_of_one_label_are_refused(tmp_path, capsys):
    one, two = (report_at(tmp_path / name, equal("a")) for name in ("x", "y"))
    command = ["report", "--from", str(one), "--from", str(two), "--name", "same", "--name", "same"]
    assert main([*command, "--report", str(tmp_path / "all")]) == 2
    assert "both would be the column 'same'" in capsys.readouterr().err


@pytest.mark.parametrize("shards", [True, False])
def test_an_incomplete_run_makes_the_merged_one_incomplete(tmp_path, shards):
    one = report_at(tmp_path / "one", equal("a"))
    two = report_at(tmp_path / "two", equal("b"), complete=False, unrecorded=["tests/t.py::lost"])
    words = ["--shards"] if shards else []
    assert main(["report", *words, "--from", str(one), "--from", str(two), "--report", str(tmp_path / "all")]) == 2

    run = results_of(tmp_path / "all")
    assert not run.complete
    assert run.unrecorded == ["tests/t.py::lost" if shards else "two: tests/t.py::lost"]
    assert "INCOMPLETE" not in (tmp_path / "one" / "index.html").read_text()
    assert "Incomplete" in (tmp_path / "all" / "summary.md").read_text()


def test_a_baseline_that_one_platform_uses_is_not_unused():
    parts = [Part(run_of(equal("a"), unused_baselines=names), str(names), str(names)) for names in (["x", "y"], ["y"])]
    assert merged_in_memory(parts).unused_baselines == ["y"]


def test_versions_that_differ_are_all_named():
    tools = [msgspec.structs.replace(run_of().tool, packages={"numpy": version}) for version in ("2.1", "2.2", "2.1")]
    run = merged_in_memory([Part(run_of(tool=tool), str(number), str(number)) for number, tool in enumerate(tools)])
    assert run.tool.packages == {"numpy": "2.1 / 2.2"}
    assert run.tool.version == tools[0].version


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([equal("a")], 0),
        ([equal("a"), different("b")], 1),
        ([uncompared("missing", "a")], 1),
        ([different("a"), uncompared("broken", "b")], 2),
        ([], 2),
    ],
)
def test_exit_codes(tmp_path, records, code):
    assert main(["report", "--from", str(report_at(tmp_path / "report", *records))]) == code


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not the results of pytest-imgdiff"),
        (b'{"version": 99}', "results of version 99"),
        (b'{"version": 1, "comparisons": 7}', "not the results of pytest-imgdiff"),
        (b"\xff\xfe", "not JSON"),
        (None, "no such file"),
    ],
)
def test_what_cannot_be_read_gives_one_line(tmp_path, capsys, content, words):
    good = report_at(tmp_path / "good", equal("a"))
    if content is not None:
        (tmp_path / "results.json").write_bytes(content)
    command = ["report", "--from", str(good), "--from", str(tmp_path / "results.json")]
    assert main([*command, "--report", str(tmp_path / "all")]) == 2

    told = capsys.readouterr().err
    assert words in told
    assert "results.json" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from", "one", "--from", "two"],
        ["--from", "one", "--from", "one/results.json", "--report", "all"],
        ["--from", "one", "--from", "two", "--name", "a", "--report", "all"],
        ["--from", "one", "--from", "two", "--name", "a", "--name", "b", "--shards", "--report", "all"],
        ["--from", "one", "--from", "two", "--report", "one"],
        ["--from", "one", "--from", "two", "--report", "one/inside"],
        ["--from", "one", "--report", "."],
        ["--from", "one", "--report", "foreign"],
        ["--from", "foreign/results.json"],
        ["--from", "one", "--pictures-at", "javascript:alert(1)"],
    ],
)
def test_what_cannot_be_followed_changes_nothing(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    one, _ = (report_at(tmp_path / name, different(name)) for name in ("one", "two"))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("ten years of work")
    (tmp_path / "foreign" / "results.json").write_bytes((one / "results.json").read_bytes())
    before = files(tmp_path)

    assert main(["report", *arguments]) == 2

    told = capsys.readouterr().err
    assert told.startswith("pytest-imgdiff: ")
    assert told.count("\n") == 1
    assert files(tmp_path) == before


HOSTILE_PATHS = (
    "../secret.png",
    "pictures/../../secret.png",
    "/etc/passwd",
    "C:/windows/win.png",
    "pictures\\..\\..\\secret.png",
    "pictures//x.png",
    "pictures/link.png",
    "linked/secret.png",
    "",
)


@pytest.mark.skipif(os.name == "nt", reason="makes symbolic links")
@pytest.mark.parametrize("path", HOSTILE_PATHS)
@pytest.mark.parametrize("place", ["artefact", "accept"])
def test_a_path_that_leads_out_of_the_folder_is_refused_before_anything_is_written(tmp_path, capsys, path, place):
    (tmp_path / "outside").mkdir()
    for secret in (tmp_path / "secret.png", tmp_path / "outside" / "secret.png"):
        secret.write_bytes(PICTURE)
    folder = report_at(tmp_path / "report", equal("fine"))
    (folder / "pictures").mkdir(exist_ok=True)
    (folder / "pictures" / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "linked").symlink_to(tmp_path / "outside")
    results = json.loads((folder / "results.json").read_bytes())
    if place == "artefact":
        results["comparisons"][0]["artefacts"] = {"actual": path}
    else:
        digest = hashlib.sha256(PICTURE).hexdigest()
        results["comparisons"][0]["accepts"] = {"baseline": "b.png", "source": path, "digest": digest, "replaces": None}
    (folder / "results.json").write_text(json.dumps(results))
    target = report_at(tmp_path / "earlier", equal("x"))
    before = files(target)

    code = main(["report", "--from", str(folder), "--report", str(target)])

    assert code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "results.json" in told
    assert files(target) == before


def test_what_is_no_picture_is_not_copied(tmp_path):
    folder = report_at(tmp_path / "report", different("a"))
    run = results_of(folder)
    record = msgspec.structs.replace(
        run.comparisons[0], artefacts={"actual": "results.json", "mask": "pictures/m.html"}
    )
    write_report(folder, msgspec.structs.replace(run, comparisons=[record]))
    (folder / "pictures" / "m.html").write_text("<script>alert(1)</script>")

    main(["report", "--from", str(folder), "--report", str(tmp_path / "copy")])

    assert results_of(tmp_path / "copy").comparisons[0].artefacts == {}
    assert not list((tmp_path / "copy").rglob("m.html"))


def test_pictures_that_are_gone_are_counted_and_not_named(tmp_path, capsys):
    folder = report_at(tmp_path / "report", different("a"))
    record = results_of(folder).comparisons[0]
    (folder / record.artefacts["mask"]).unlink()
    (folder / record.artefacts["actual"]).write_bytes(b"another picture than the one that was judged")

    main(["report", "--from", str(folder), "--report", str(tmp_path / "copy")])

    copied = results_of(tmp_path / "copy").comparisons[0]
    assert set(copied.artefacts) == {"expected", "actual", "thumb"}
    assert copied.accepts is None
    assert "1 image of the results missing or changed" in capsys.readouterr().out


def test_a_folder_of_ours_is_replaced(tmp_path):
    target = report_at(tmp_path / "all", different("old"))
    source = report_at(tmp_path / "new", different("new"))

    main(["report", "--from", str(source), "--report", str(target)])

    assert [record.name for record in results_of(target).comparisons] == ["new"]
    assert not list(target.rglob("old"))


def test_one_file_with_everything_inside(tmp_path):
    folder = report_at(tmp_path / "report", different("a"))
    main(["report", "--from", str(folder), "--self-contained"])
    assert b"data:image/png;base64," in (folder / "report.html").read_bytes()


def test_findings_and_summary_are_written_where_they_are_asked_for(tmp_path, monkeypatch):
    folder = report_at(tmp_path / "report", different("a"))
    step = tmp_path / "step.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))

    main(["report", "--from", str(folder), "--sarif", str(tmp_path / "x.sarif"), "--pictures-at", "https://x.test/1"])

    assert (tmp_path / "x.sarif").read_bytes() == (folder / "results.sarif").read_bytes()
    address = f"https://x.test/1/{results_of(folder).comparisons[0].artefacts['thumb']}"
    assert address in unescape((folder / "summary.md").read_text())
    assert address in unescape(step.read_text())


def test_every_option_is_documented_and_exists(capsys, root):
    assert main(["report", "--help"]) == 0
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", capsys.readouterr().out))
    section = (root / "docs" / "reports.md").read_text("utf-8").partition("## report")[2].partition("\n## ")[0]
    rows = "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(--[a-z-]+)", rows)) == options


parts = st.lists(st.sampled_from(["a", "b", "report", "x"]), min_size=1, max_size=4).map(tuple)


@settings(deadline=None)
@given(st.lists(parts, min_size=1, max_size=5, unique=True))
def test_labels_tell_paths_apart_and_end_them(paths):
    labels = unique_labels(paths)
    assert len(set(labels)) == len(paths)
    for label, path in zip(labels, paths, strict=True):
        assert label in "/".join(path)


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["out/chromium/imgdiff-report", "out/firefox/imgdiff-report"], ["chromium", "firefox"]),
        (["a/linux", "b/mac"], ["linux", "mac"]),
        (["1/x/r", "2/x/r"], ["1", "2"]),
        (["1/x", "2/x", "2/y"], ["1/x", "2/x", "2/y"]),
        (["only/report"], ["report"]),
    ],
)
def test_labels_are_what_tells_folders_apart(paths, labels):
    assert unique_labels([tuple(path.split("/")) for path in paths]) == labels


def test_a_scan_under_pytest_and_a_comparison_by_the_command_are_one_row(tmp_path):
    def scanned(name, scan="shots/expected"):
        return different(f"{scan}::{name}", test=f"{scan}::{name}")

    scan = report_at(tmp_path / "scan", scanned("a.png"), scanned("sub/b.png"), scanned("only-here.png"))
    command = report_at(tmp_path / "command", different("a.png", test=None), different("sub/b.png", test=None))
    test = report_at(tmp_path / "tests", different("tests/test_a.py::test_a", test="tests/test_a.py::test_a"))
    words = [word for folder in (scan, command, test) for word in ("--from", str(folder))]
    assert main(["report", *words, "--report", str(tmp_path / "all")]) == 1

    rows = {(record.column, record.name) for record in results_of(tmp_path / "all").comparisons}
    assert rows == {
        ("scan", "a.png"),
        ("command", "a.png"),
        ("scan", "sub/b.png"),
        ("command", "sub/b.png"),
        ("scan", "shots/expected::only-here.png"),
        ("tests", "tests/test_a.py::test_a"),
    }


def test_two_scans_with_pictures_of_one_name_keep_their_names():
    names = ("old::a.png", "new::a.png")
    scans = run_of(*(different(name, test=name) for name in names))
    run = merged_in_memory(
        [Part(scans, "scan", "scan"), Part(run_of(different("a.png", test=None)), "command", "command")]
    )
    assert [record.name for record in run.comparisons] == [*names, "a.png"]
