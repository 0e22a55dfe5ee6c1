"""``pytest-imgdiff accept``: what was looked at becomes the baseline, and nothing else ever does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.files import OutsideError, path_below
from pytest_imgdiff.base.record import AcceptRecord
from pytest_imgdiff.cli.parser import main
from pytest_imgdiff.report import read_results, write_results
from pytest_imgdiff.run.accepting import Decision, carry_out
from tests.decided_report import NEW, OLD, Project, sha
from tests.pictures import trees
from tests.report_records import HOSTILE_NAMES, png, run_of

COMMAND = [sys.executable, "-m", "pytest_imgdiff", "accept"]
DONE, REFUSED = 0, 2
OTHER = png(8, 8, (0, 200, 0))


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return Project(tmp_path / "project")


@pytest.fixture
def accept(capsys):
    """Run the command as a shell would; every line that it prints is one line, and none is a traceback."""

    def run(*arguments: object) -> tuple[int, list[str], list[str]]:
        code = main(["accept", *map(str, arguments)])
        captured = capsys.readouterr()
        for line in (captured.out + captured.err).splitlines():
            assert line.isprintable()
        assert "Traceback" not in captured.err
        return code, captured.out.splitlines(), captured.err.splitlines()

    return run


@pytest.fixture
def refused(accept, project):
    """Run a command that is to be refused as a whole, with one line; nothing is written."""

    def run(*arguments: object) -> str:
        before = project.files()
        code, out, err = accept(*arguments)
        assert (code, out) == (REFUSED, [])
        (line,) = err
        assert line.startswith("pytest-imgdiff: ")
        assert project.files() == before
        return line

    return run


# ---- Carried out


def test_accepted_pictures_are_written_and_the_rest_is_told(project, accept):
    for name in ("cart", "login", "menu", "search"):
        project.changed(name)
    decisions = project.decisions(login="reject", search="none")
    decisions[0]["comment"] = "the new colour"
    decisions[1]["comment"] = "the button is cut off"
    decisions[3]["comment"] = "who knows?"
    code, out, err = accept(project.manifest(decisions))
    assert (code, err) == (DONE, [])
    assert out == [
        'accepted: cart: baselines/cart.png: "the new colour"',
        'rejected: login: "the button is cut off"',
        "accepted: menu: baselines/menu.png",
        'comment on search: "who knows?"',
        "2 accepted, 1 rejected",
    ]
    assert project.files() == {
        "baselines/cart.png": NEW,
        "baselines/login.png": OLD,
        "baselines/menu.png": NEW,
        "baselines/search.png": OLD,
    }


def test_a_missing_baseline_is_written_with_its_folders(project, accept):
    project.changed("new", baseline="baselines/deep/er/new.png", old=None)
    assert accept(project.manifest())[0] == DONE
    assert project.files() == {"baselines/deep/er/new.png": NEW}


def test_a_dry_run_verifies_and_writes_nothing(project, accept):
    project.changed("good")
    project.changed("stale")
    project.put(project.root / "baselines/stale.png", OTHER)
    before = project.files()
    code, out, err = accept(project.manifest(), "--dry-run")
    assert code == REFUSED
    assert out == [
        "would be accepted: good: baselines/good.png",
        "1 would be accepted, 1 refused; nothing was written (--dry-run)",
    ]
    assert len(err) == 1
    assert project.files() == before


def test_what_is_accepted_already_is_no_error(project, accept):
    project.changed("cart")
    manifest = project.manifest()
    accept(manifest)
    code, out, err = accept(manifest)
    assert (code, err) == (DONE, [])
    assert out == ["already accepted: cart: baselines/cart.png", "1 already accepted"]


def test_also_after_a_further_run_has_replaced_the_report(project, accept):
    project.changed("cart")
    manifest = project.manifest()
    accept(manifest)
    project.records = []
    project.record("cart", passed=True, verdict="match", equal="bytes")
    code, out, _ = accept(manifest)
    assert (code, out[0]) == (DONE, "already accepted: cart: baselines/cart.png")


def test_the_report_is_found_beside_the_manifest_where_it_is_named_and_where_it_is_configured(
    project, accept, refused, tmp_path
):
    project.changed("cart")
    manifest = project.manifest()
    elsewhere = tmp_path / "downloads" / "imgdiff-decisions.json"
    elsewhere.parent.mkdir()
    manifest.rename(elsewhere)
    assert "would be accepted" in accept(elsewhere, "--dry-run")[1][0]
    project.report.rename(tmp_path / "artifact")
    assert "pass its folder with --report DIR" in refused(elsewhere)
    assert "would be accepted" in accept(elsewhere, "--dry-run", "--report", tmp_path / "artifact")[1][0]
    (project.root / "imgdiff.yaml").write_text("report: {folder: ../artifact}\n", encoding="utf-8")
    assert "would be accepted" in accept(elsewhere, "--dry-run")[1][0]
    (project.root / "imgdiff.yaml").unlink()
    elsewhere.rename(tmp_path / "artifact" / "mine.json")
    assert "would be accepted" in accept(tmp_path / "artifact" / "mine.json", "--dry-run")[1][0]


def test_the_root_is_another_folder_than_this(project, accept, refused, tmp_path, monkeypatch):
    project.changed("cart")
    manifest = project.manifest()
    monkeypatch.chdir(tmp_path)
    assert accept(manifest, "--root", "project")[0] == DONE
    assert project.files() == {"baselines/cart.png": NEW}
    line = refused(manifest, "--root", "nowhere", "--report", project.report)
    assert "nowhere: no such folder" in line


# ---- Chosen from a report


def test_failed_comparisons_are_chosen_by_name(project, accept):
    for name in ("shop/cart.png", "shop/login.png", "blog/post.png"):
        project.changed(name, baseline=f"expected/{name}")
    project.record("shop/same.png", passed=True)
    code, out, _ = accept(project.report, "--only", "shop/*", "--only", "shop/cart.png")
    assert code == DONE
    assert out[-1] == "2 accepted"
    assert project.files()["expected/blog/post.png"] == OLD
    assert accept(project.report / "results.json", "--only", "**")[1][-1] == "1 accepted, 2 already accepted"


def test_a_name_with_brackets_is_chosen_by_itself(project, accept):
    project.changed("tests/test_a.py::test_page[dark]", baseline="baselines/dark.png")
    project.changed("tests/test_a.py::test_page[light]", baseline="baselines/light.png")
    _, out, _ = accept(project.report, "--only", "tests/test_a.py::test_page[dark]")
    assert out == ["accepted: tests/test_a.py::test_page[dark]: baselines/dark.png", "1 accepted"]


def test_a_choice_that_finds_nothing_is_refused(project, refused):
    project.changed("cart")
    project.record("same", passed=True)
    assert "--only nothing*: matches none of 2 comparisons; a name is, for example, cart" in refused(
        project.report, "--only", "cart", "--only", "nothing*"
    )
    assert "braces" in refused(project.report, "--only", "{a,b}")
    assert "--only '**'" in refused(project.report)
    assert "--only needs the folder of a report" in refused(project.manifest(), "--only", "cart")
    assert "--report is for a manifest" in refused(project.report, "--only", "cart", "--report", "elsewhere")


@pytest.mark.parametrize("only", [(), ("--only", "**"), ("--only", "same"), ("--only", "same", "--alternative")])
def test_where_everything_passed_there_is_nothing_to_accept_which_is_no_mistake(project, accept, only):
    project.record("same", passed=True)
    assert accept(project.report, *only) == (DONE, ["nothing to accept: the comparison passed"], [])
    project.record("equal", passed=True)
    all_passed = "nothing to accept: all 2 comparisons passed"
    assert accept(project.report, "--only", "**") == (DONE, [all_passed], [])
    assert project.files() == {}


def test_of_a_report_with_failures_what_passed_needs_no_accepting(project, accept):
    project.changed("cart")
    project.record("same", passed=True)
    assert accept(project.report, "--only", "same") == (DONE, ["nothing to accept: the comparison passed"], [])
    assert accept(project.report, "--only", "same", "--only", "cart")[1][-1] == "1 accepted"


def test_a_failure_without_a_picture_to_accept_is_told(project, accept):
    project.changed("good")
    project.record("gone", verdict="unmatched", actual=None)
    code, out, err = accept(project.report, "--only", "**")
    assert (code, out[-1]) == (REFUSED, "1 accepted, 1 refused")
    assert err[0].startswith("pytest-imgdiff: refused: gone: nothing to accept: ")
    assert len(err) == 1


def test_runs_of_a_merged_report_are_told_apart(project, accept):
    project.changed("cart", baseline="baselines/chromium/cart.png", column="chromium")
    project.changed("cart", baseline="baselines/firefox/cart.png", column="firefox")
    decisions = project.decisions()[1:]
    assert accept(project.manifest(decisions))[1][0] == "accepted: cart [firefox]: baselines/firefox/cart.png"
    assert project.files()["baselines/chromium/cart.png"] == OLD
    decisions[0]["column"] = None
    project.put(project.root / "baselines/firefox/cart.png", OLD)
    assert "no such comparison" in accept(project.manifest(decisions))[2][0]


def test_a_name_that_the_page_writes_out_is_that_of_its_comparison(project, accept):
    name = "\u202egnp.tset\u200b"
    project.changed(name, baseline="baselines/odd.png", column="run\u202e")
    decisions = project.decisions()
    decisions[0]["name"] = "\\u202egnp.tset\\u200b"
    decisions[0]["column"] = "run\\u202e"
    _, out, _ = accept(project.manifest(decisions))
    assert out[0] == "accepted: \\u202egnp.tset\\u200b [run\\u202e]: baselines/odd.png"
    assert accept(project.report, "--only", "\\u202egnp.tset\\u200b")[1][-1] == "1 already accepted"


# ---- Stale, both ways


def test_a_baseline_that_changed_since_is_left_and_the_others_are_written(project, accept):
    project.changed("cart")
    project.changed("login")
    project.put(project.root / "baselines/cart.png", OTHER)
    code, out, err = accept(project.manifest())
    assert (code, out[-1]) == (REFUSED, "1 accepted, 1 refused")
    assert err[0].endswith(
        "refused: cart: stale: the baseline baselines/cart.png has changed since; run the comparison again and decide again"
    )
    assert project.files() == {"baselines/cart.png": OTHER, "baselines/login.png": NEW}


def stale_gone(project: Project) -> None:
    (project.root / "baselines/cart.png").unlink()


def stale_picture(project: Project) -> None:
    (project.report / "pictures/0-actual.png").write_bytes(OTHER)


def stale_no_picture(project: Project) -> None:
    (project.report / "pictures/0-actual.png").unlink()


def stale_results(project: Project) -> None:
    """Another run has drawn the report anew, with another picture."""
    project.records = []
    project.changed("cart", new=OTHER)


def stale_other_results(project: Project) -> None:
    project.records = []
    project.changed("something else", baseline="baselines/else.png")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (stale_gone, "stale: the baseline baselines/cart.png was removed"),
        (stale_picture, "stale: pictures/0-actual.png is not the reviewed image"),
        (stale_no_picture, "the image was removed from the report"),
        (stale_results, "is from another run with other images"),
        (stale_other_results, "has no such comparison"),
    ],
)
def test_what_was_not_looked_at_is_not_accepted(project, accept, change, words):
    project.changed("cart")
    manifest = project.manifest()
    change(project)
    before = project.files()
    code, out, (line,) = accept(manifest)
    assert (code, out) == (REFUSED, ["1 refused"])
    assert line.startswith("pytest-imgdiff: refused: cart: ")
    assert words in line
    assert project.files() == before


def test_a_dry_run_looks_at_the_picture_too(project, accept):
    project.changed("cart")
    manifest = project.manifest()
    stale_picture(project)
    code, out, (line,) = accept(manifest, "--dry-run")
    assert (code, out) == (REFUSED, ["1 refused; nothing was written (--dry-run)"])
    assert "stale: pictures/0-actual.png is not the reviewed image" in line


def test_a_picture_that_changes_while_it_is_accepted_is_not_written(project, accept, monkeypatch):
    project.changed("cart")
    manifest = project.manifest()
    source = project.report / "pictures/0-actual.png"
    with_system, opened = os.open, []

    def count(path: object, *arguments: Any, **options: Any) -> int:
        if Path(os.fsdecode(path)).name == source.name:
            opened.append(path)
            if len(opened) == change_at:
                source.write_bytes(OTHER)
        return with_system(path, *arguments, **options)

    monkeypatch.setattr(os, "open", count)
    change_at = 0
    assert accept(manifest)[0] == DONE
    times = len(opened)
    assert times > 1  # it is verified before it is read for writing
    for number in range(1, times + 1):
        change_at = number
        source.write_bytes(NEW)
        project.put(project.root / "baselines/cart.png", OLD)
        opened.clear()
        code, out, (line,) = accept(manifest)
        assert (code, out) == (REFUSED, ["1 refused"])
        assert "stale: pictures/0-actual.png is not the reviewed image" in line
        assert project.files() == {"baselines/cart.png": OLD}


def test_a_baseline_that_came_meanwhile_is_left(project, accept):
    project.changed("cart", old=None)
    project.put(project.root / "baselines/cart.png", OTHER)
    code, _, (line,) = accept(project.manifest())
    assert code == REFUSED
    assert "a baseline baselines/cart.png was added" in line
    assert project.files() == {"baselines/cart.png": OTHER}


@pytest.mark.parametrize("field", ["baseline", "source", "digest", "replaces"])
def test_a_manifest_that_says_other_than_the_report_is_refused(project, accept, field):
    project.changed("cart")
    project.put(project.root / "baselines/other.png", OLD)
    project.put(project.report / "pictures/other.png", NEW)
    decisions = project.decisions()
    others = {
        "baseline": "baselines/other.png",
        "source": "pictures/other.png",
        "digest": sha(OTHER),
        "replaces": sha(OTHER),
    }
    decisions[0]["accepts"][field] = others[field]
    before = project.files()
    code, _, (line,) = accept(project.manifest(decisions))
    assert code == REFUSED
    assert "with other images" in line
    assert project.files() == before


def test_two_pictures_for_one_baseline_refuse_each_other(project, accept):
    project.changed("chromium", baseline="baselines/cart.png")
    project.changed("firefox", baseline="baselines/cart.png", new=OTHER)
    project.changed("menu")
    code, out, err = accept(project.manifest())
    assert (code, out[-1]) == (REFUSED, "1 accepted, 2 refused")
    assert "baselines/cart.png: firefox is accepted for the same baseline; accept only one of them" in err[0]
    assert "baselines/cart.png: chromium is accepted for the same baseline; accept only one of them" in err[1]
    assert project.files()["baselines/cart.png"] == OLD


def test_one_picture_accepted_twice_for_one_baseline_is_written_once(project, accept):
    project.changed("chromium", baseline="baselines/cart.png")
    project.changed("firefox", baseline="baselines/cart.png")
    code, out, _ = accept(project.manifest())
    assert (code, out[-1]) == (DONE, "1 accepted, 1 already accepted")


@pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links")
def test_one_baseline_by_two_ways_is_one(project, accept):
    project.changed("straight", baseline="baselines/cart.png")
    (project.root / "alias").symlink_to("baselines", target_is_directory=True)
    project.changed("round", baseline="alias/cart.png", new=OTHER)
    assert accept(project.manifest())[1][-1] == "2 refused"


# ---- Paths from untrusted files

HOSTILE_PATHS = [
    "",
    "../outside.png",
    "baselines/../../outside.png",
    "baselines/./cart.png",
    "baselines//cart.png",
    "baselines/..",
    "/outside.png",
    "C:/outside.png",
    "c:outside.png",
    "..\\outside.png",
    "baselines\\..\\..\\outside.png",
    "\\\\server\\share\\outside.png",
    "baselines/cart.png\0.txt",
    "baselines/\ncart.png",
    "baselines/",
    "conftest.py",
    ".github/workflows/ci.yml",
    "Makefile",
    "a/" * 3000 + "x.png",
    "x" * 300 + ".png",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=range(len(HOSTILE_PATHS)))
def test_a_report_cannot_have_other_files_written(project, accept, path, tmp_path):
    """Report and manifest agree, and both are forged."""
    (tmp_path / "outside.png").write_bytes(OLD)
    for name in ("conftest.py", ".github/workflows/ci.yml"):
        project.put(project.root / name, OLD)
    project.changed("good")
    project.put(project.report / "pictures/new.png", NEW)
    project.record("bad", accepts=AcceptRecord(path, "pictures/new.png", sha(NEW), sha(OLD)))
    before = project.files()
    code, out, (line,) = accept(project.manifest())
    assert (code, out) == (REFUSED, ["accepted: good: baselines/good.png", "1 accepted, 1 refused"])
    assert line.startswith("pytest-imgdiff: refused: bad: ")
    assert len(line) < 1500
    assert project.files() == {**before, "baselines/good.png": NEW}
    assert (tmp_path / "outside.png").read_bytes() == OLD


@pytest.mark.parametrize(
    "path", ["../project/baselines/secret.png", "/etc/hostname", "pictures", "pictures/link.png", ""]
)
@pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links")
def test_a_report_cannot_have_other_files_read(project, accept, path):
    project.put(project.root / "baselines/secret.png", OTHER)
    project.changed("bad")
    (project.report / "pictures/link.png").symlink_to(project.root / "baselines/secret.png")
    project.records = []
    project.record("bad", accepts=AcceptRecord("baselines/bad.png", path, sha(OTHER), sha(OLD)))
    assert accept(project.manifest())[0] == REFUSED
    assert project.files()["baselines/bad.png"] == OLD


@pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links")
def test_symbolic_links_are_followed_inside_and_never_out(project, accept, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/cart.png").write_bytes(OLD)
    (project.root / "inner").mkdir()
    (project.root / "baselines").symlink_to("inner", target_is_directory=True)
    (project.root / "leads-out").symlink_to(tmp_path / "outside", target_is_directory=True)
    (project.root / "file-out.png").symlink_to(tmp_path / "outside/cart.png")
    (project.root / "nowhere.png").symlink_to(tmp_path / "outside/made.png")
    (project.root / "loop").symlink_to("loop")
    project.changed("inside", baseline="baselines/cart.png")
    for path in ("leads-out/cart.png", "leads-out/sub/cart.png", "file-out.png", "nowhere.png", "loop/cart.png"):
        source = f"pictures/{len(project.records)}.png"
        project.put(project.report / source, NEW)
        project.record(path, accepts=AcceptRecord(path, source, sha(NEW), sha(OLD)))
    code, out, err = accept(project.manifest())
    assert (code, out[-1]) == (REFUSED, "1 accepted, 5 refused")
    assert sum("a symbolic link leads out of" in line for line in err) == 4
    assert (project.root / "inner/cart.png").read_bytes() == NEW
    assert {path.name: path.read_bytes() for path in (tmp_path / "outside").iterdir()} == {"cart.png": OLD}


@pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links")
def test_a_baseline_that_is_a_link_is_updated_at_its_target(project, accept):
    project.put(project.root / "baselines/shared.png", OLD)
    (project.root / "baselines/cart.png").symlink_to("shared.png")
    project.changed("cart")
    (project.root / "baselines/shared.png").write_bytes(OLD)
    assert accept(project.manifest())[0] == DONE
    assert (project.root / "baselines/cart.png").is_symlink()
    assert project.files() == {"baselines/cart.png": NEW, "baselines/shared.png": NEW}


@pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links")
def test_links_that_must_not_be_followed_are_refused_and_stay(project, accept):
    annexed = project.root / f".git/annex/objects/SHA256E-s9--{sha(OLD)}.png"
    project.changed("stored")
    project.changed("gone")
    project.changed("config")
    project.put(annexed, OLD)
    project.put(project.root / ".git/config.txt", OLD)
    for name, target in (("stored", annexed), ("gone", "fetched.png"), ("config", project.root / ".git/config.txt")):
        (project.root / f"baselines/{name}.png").unlink()
        (project.root / f"baselines/{name}.png").symlink_to(target)
    for options in (["--dry-run"], []):
        code, out, err = accept(project.manifest(), *options)
        assert code == REFUSED
        assert out[-1].startswith("3 refused")
        assert "run `git annex unlock stored.png`" in err[0]
        assert "fetched.png, which does not exist; fetch its content" in err[1]
        assert "which is not an image" in err[2]
    assert annexed.read_bytes() == OLD
    assert all((project.root / f"baselines/{name}.png").is_symlink() for name in ("stored", "gone", "config"))


def test_a_folder_where_the_baseline_should_be_is_left(project, accept):
    project.changed("cart", old=None)
    (project.root / "baselines/cart.png").mkdir(parents=True)
    project.changed("menu", old=None, baseline="notes.txt/menu.png")
    (project.root / "notes.txt").write_bytes(b"notes")
    code, out, err = accept(project.manifest())
    assert (code, out) == (REFUSED, ["2 refused"])
    assert "a folder or device, not a file" in err[0]
    assert "cannot be read" in err[1]
    assert project.files() == {"notes.txt": b"notes"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe")
def test_a_pipe_keeps_nobody_waiting(project, accept):
    project.changed("cart")
    (project.root / "baselines/cart.png").unlink()
    os.mkfifo(project.root / "baselines/cart.png")
    assert "not a file" in accept(project.manifest())[2][0]


def test_a_picture_without_extension_is_replaced_by_a_picture_only(project, accept):
    """Scans compare pictures without extension; a file that is none may be a program."""
    project.changed("logo", baseline="expected/logo")
    project.changed("hook", baseline="expected/hook", old=b"#!/bin/sh\n")
    project.changed("new", baseline="expected/new", old=None)
    code, out, err = accept(project.manifest())
    assert (code, out[0], len(err)) == (REFUSED, "accepted: logo: expected/logo", 2)
    assert project.files() == {"expected/logo": NEW, "expected/hook": b"#!/bin/sh\n"}


segments = st.sampled_from(["a", "b.png", "..", ".", "", "in", "out", "link", "C:", "x\\y", "\0", "..\\", " ", "…"])


@pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(segments, max_size=6))
def test_a_path_below_a_folder_is_below_it(tmp_path, parts):
    folder = tmp_path / "folder"
    if not folder.exists():
        (folder / "in").mkdir(parents=True)
        (tmp_path / "outside").mkdir()
        (folder / "out").symlink_to(tmp_path / "outside")
        (folder / "in" / "link").symlink_to("..")
        (folder / "link").symlink_to("in/link/out")
    try:
        path = path_below(folder, "/".join(parts))
    except OutsideError:
        return
    real = Path(os.path.realpath(path))
    assert folder in {real, *real.parents}
    assert folder in path.parents


# ---- Manifests that were not exported by a report

GOOD = {"name": "cart", "column": None, "decision": "accept", "comment": "", "accepts": None}


def text_of(**changes: object) -> bytes:
    return json.dumps({"imgdiff": "decisions", "version": 1, "run": "", "decisions": [], **changes}).encode()


BAD_MANIFESTS = {
    "empty": (b"", "not JSON"),
    "no JSON": (b"decisions", "not JSON"),
    "cut off": (text_of(decisions=[GOOD])[:-9], "not JSON"),
    "two documents": (text_of() * 2, "not JSON"),
    "a list": (b"[]", "not decisions that a report exported: Expected `object`"),
    "something else": (b'{"version": 1, "comparisons": []}', "missing required field `imgdiff`"),
    "another version": (text_of(version=2), "decisions of version 2; this pytest-imgdiff reads version 1"),
    "version as text": (text_of(version="1"), "$.version"),
    "unknown field": (text_of(extra=1), "unknown field `extra`"),
    "unknown field of a decision": (text_of(decisions=[{**GOOD, "force": True}]), "unknown field `force`"),
    "missing field": (text_of(decisions=[{"name": "cart"}]), "missing required field `column`"),
    "wrong type": (text_of(decisions=[{**GOOD, "comment": 5}]), "$.decisions[0].comment"),
    "unknown decision": (text_of(decisions=[{**GOOD, "decision": "maybe"}]), "$.decisions[0].decision"),
    "accepts a text": (text_of(decisions=[{**GOOD, "accepts": "all"}]), "$.decisions[0].accepts"),
    "decided twice": (text_of(decisions=[GOOD, {**GOOD, "decision": "reject"}]), "has two decisions on cart"),
    "key twice": (
        text_of(decisions=[GOOD]).replace(b'"comment"', b'"decision": "reject", "comment"'),
        "the key 'decision' is repeated",
    ),
    "key twice at the top": (text_of().replace(b'"run"', b'"run": "x", "run"'), "the key 'run' is repeated"),
    "not UTF-8": (text_of(run="x").replace(b'"x"', b'"\xff"'), "is not UTF-8"),
    "UTF-16": (text_of().decode().encode("utf-16"), "is not UTF-8"),
    "half a character": (text_of(decisions=[GOOD]).replace(b'"cart"', b'"\\ud800"'), "not JSON"),
    "NUL": (text_of() + b"\0", "not JSON"),
    "not a number": (text_of().replace(b'"version": 1', b'"version": NaN'), "not JSON"),
    "deep": (text_of(decisions=0).replace(b"0}", b"[" * 100_000 + b"]" * 100_000 + b"}"), "m.json: not"),
    "deep below the marks": (b'{"x": ' + b'{"x":' * 100_000, "m.json: not"),
    "huge number": (text_of().replace(b'"version": 1', b'"version": ' + b"9" * 100_000), "m.json: not"),
}


@pytest.mark.parametrize(("content", "words"), BAD_MANIFESTS.values(), ids=BAD_MANIFESTS)
def test_a_manifest_that_no_page_exported_is_one_line(project, refused, content, words):
    project.changed("cart")
    (project.root / "m.json").write_bytes(content)
    assert words in refused("m.json")


def test_a_manifest_that_cannot_be_read_is_one_line(project, refused):
    project.changed("cart")
    assert "no.json: cannot be read: No such file or directory" in refused("no.json")
    with (project.root / "huge.json").open("wb") as file:
        file.truncate(70 * 1024 * 1024)
    assert "larger than 64 MiB" in refused("huge.json")
    assert "results.json: no such file" in refused(project.root, "--only", "**")


def test_comments_and_names_of_any_kind_stay_on_their_line(project, accept):
    for name in HOSTILE_NAMES:
        project.changed(
            name.replace("\r", "").replace("\n", " ").replace("\t", " "), baseline=f"b/{len(project.records)}.png"
        )
    decisions = project.decisions()
    for decision, comment in zip(decisions, HOSTILE_NAMES, strict=True):
        decision["comment"] = comment + "\x1b[31m\u2028\u202e"
    decisions[0]["comment"] = "x\n" * 5_000_000
    code, out, err = accept(project.manifest(decisions))
    assert (code, err) == (DONE, [])
    assert len(out) == len(decisions) + 1
    assert max(map(len, out)) < 3000


# ---- CI, and disks that refuse


def test_in_ci_nothing_is_written_unless_that_is_said(project, accept, refused, monkeypatch):
    monkeypatch.setenv("CI", "true")
    project.changed("cart")
    manifest = project.manifest()
    assert "--in-ci" in refused(manifest)
    assert accept(manifest, "--dry-run")[0] == DONE
    assert project.files() == {"baselines/cart.png": OLD}
    assert accept(manifest, "--in-ci")[1][-1] == "1 accepted"


ACCEPT_ON = """
mount -t tmpfs -o {options} tmpfs baselines/disk && cp kept/* baselines/disk/ && {then}
{python} -m pytest_imgdiff accept imgdiff-decisions.json; code=$?
cp -r baselines/disk seen; exit $code
"""


@pytest.mark.skipif(sys.platform != "linux", reason="uses Linux's namespaces")
@pytest.mark.parametrize(
    ("options", "then", "cause"),
    [
        pytest.param("size=16m", "mount -o remount,ro baselines/disk", "Read-only file system", id="read-only"),
        pytest.param(
            "size=64k", "head -c 1m /dev/zero > baselines/disk/filler 2>/dev/null", "No space left", id="full"
        ),
    ],
)
def test_a_write_that_fails_loses_nothing_and_keeps_none_of_the_others(project, options, then, cause):
    project.changed("before")
    project.changed("on disk", baseline="baselines/disk/cart.png")
    project.changed("after")
    project.manifest()
    (project.root / "baselines/disk").rename(project.root / "kept")
    (project.root / "baselines/disk").mkdir()
    script = ACCEPT_ON.format(options=options, then=then + "; true", python=sys.executable)
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=project.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare failed" in done.stderr:
        pytest.skip(f"this system lets nobody make a mount namespace: {done.stderr}")
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "accepted: before: baselines/before.png",
        "accepted: after: baselines/after.png",
        "2 accepted, 1 not written",
    ]
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"pytest-imgdiff: not written: on disk: baselines/disk/cart.png: {cause}")
    assert line.endswith("; the old file is unchanged")
    assert (project.root / "seen/cart.png").read_bytes() == OLD
    assert [path.name for path in project.root.rglob(".imgdiff*")] == []


@pytest.mark.skipif(sys.platform != "linux", reason="uses Linux's capabilities")
def test_folders_without_permission_are_told(project):
    project.changed("cart")
    project.changed("secret", baseline="secret/menu.png")
    project.manifest()
    (project.root / "baselines").chmod(0o500)
    (project.root / "secret").chmod(0o000)
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*bound, *COMMAND, "imgdiff-decisions.json"], cwd=project.root, capture_output=True, text=True, check=False
    )
    (project.root / "secret").chmod(0o700)
    assert done.returncode == REFUSED, done.stderr
    assert done.stdout == "1 refused, 1 not written\n"
    written, secret = done.stderr.splitlines()
    assert "not written: cart: baselines/cart.png: Permission denied; the old file is unchanged" in written
    assert "cannot be read: Permission denied" in secret
    assert project.files() == {"baselines/cart.png": OLD, "secret/menu.png": OLD}


def test_what_changes_between_verifying_and_writing_is_verified_again(project):
    """A second decision's file is the first one's under another name, as on a disk that does not tell cases apart."""
    first = project.changed("first", baseline="baselines/cart.png", old=None)
    second = project.changed("second", baseline="baselines/CART.png", old=None, new=OTHER)
    decisions = [
        Decision(name, None, "accept", "", accepts) for name, accepts in (("first", first), ("second", second))
    ]

    class Meddling(list):
        """The decisions; once all are verified, another process writes the second one's baseline."""

        def __iter__(self):
            yield from super().__iter__()
            project.put(project.root / "baselines/CART.png", OLD)

    carried = carry_out(Meddling(decisions), project.report, project.root)
    assert [one.result for one in carried] == ["accepted", "refused"]
    assert "was added" in carried[1].words
    assert project.files() == {"baselines/cart.png": NEW, "baselines/CART.png": OLD}


# ---- The whole story

SUITE = """
    import numpy as np
    import pytest

    @pytest.mark.parametrize("side", [8, 12, 16])
    def test_square(assert_images_similar, side):
        pixels = np.full((40, 60, 3), 255, np.uint8)
        pixels[10:10 + side, 10:10 + side] = {colour}
        assert_images_similar(pixels)
"""


def decisions_of(root: Path) -> list[dict]:
    """What the page would export where everything that failed is accepted."""
    run = read_results(root / "imgdiff-report/results.json")
    return [
        {"name": r.name, "column": r.column, "decision": "accept", "comment": "", "accepts": Project.plain(r.accepts)}
        for r in run.comparisons
        if not r.passed
    ]


def test_fails_looked_at_accepted_passes(pytester, accept):
    root = pytester.path
    project = Project(root)
    pytester.makepyfile(test_page=SUITE.format(colour=(200, 0, 0)))
    pytester.runpytest_subprocess().assert_outcomes(failed=3)
    missing = decisions_of(root)
    assert [decision["accepts"]["replaces"] for decision in missing] == [None] * 3
    assert accept(project.manifest(missing))[1][-1] == "3 accepted"
    pytester.runpytest_subprocess().assert_outcomes(passed=3)

    pytester.makepyfile(test_page=SUITE.format(colour=(0, 0, 200)))
    pytester.runpytest_subprocess().assert_outcomes(failed=3)
    first = decisions_of(root)
    assert accept(project.manifest(first[:2]))[1][-1] == "2 accepted"
    pytester.runpytest_subprocess().assert_outcomes(passed=2, failed=1)

    pytester.makepyfile(test_page=SUITE.format(colour=(0, 200, 0)))
    pytester.runpytest_subprocess().assert_outcomes(failed=3)
    before = project.files()
    code, _, err = accept(project.manifest(first))
    assert code == REFUSED
    assert [line.rpartition(": ")[2].partition(" with ")[0] for line in err] == [
        "the report in imgdiff-report is from another run"
    ]
    assert {name: data for name, data in project.files().items() if name.endswith(".png")} == {
        name: data for name, data in before.items() if name.endswith(".png")
    }
    assert accept("imgdiff-report", "--only", "test_page.py::*")[1][-1] == "3 accepted"
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


def test_compared_folders_accepted_are_alike(project, accept, capsys):
    trees(project.root)
    assert main(["compare", "expected", "actual", "--report", "out"]) == 1
    capsys.readouterr()
    code, out, err = accept("out", "--only", "**")
    assert (code, out[-1], len(err)) == (REFUSED, "2 accepted, 1 refused", 1)
    assert "refused: gone.png: nothing to accept" in err[0]
    assert main(["compare", "expected", "actual", "--exclude", "gone.png"]) == 0


def test_carrying_out_tells_of_each_decision_in_its_order(project):
    accepts = project.changed("cart")
    decisions = [
        Decision("cart", None, "accept", "", accepts),
        Decision("menu", None, "reject", "", None),
        Decision("search", None, "none", "", None),
        Decision("unknown", None, "accept", "", accepts),
    ]
    carried = carry_out(decisions, project.report, project.root, dry_run=True)
    assert [one.decision for one in carried] == decisions
    assert [one.result for one in carried] == ["would be accepted", "rejected", "left", "refused"]
    assert [one.is_done for one in carried] == [True, True, True, False]


# ---- From a sub-folder, and from a report of an older run


@pytest.fixture
def below(project, monkeypatch):
    """Stand in a sub-folder of the project."""
    folder = project.root / "tests" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("mark", [".git", "imgdiff.yaml"])
def test_in_a_sub_folder_the_root_is_found_above(project, accept, below, mark):
    (project.root / mark).touch()
    project.changed("shop/cart")
    project.changed("shop/login")
    code, out, _ = accept("../../imgdiff-report", "--only", "*cart")
    assert (code, out[0]) == (DONE, "accepted: shop/cart: ../../baselines/shop/cart.png")
    # The manifest lies elsewhere; the report is found where the project keeps it.
    project.manifest().rename(below / "mine.json")
    assert accept("mine.json")[1][-1] == "1 accepted, 1 already accepted"
    assert set(project.files().values()) >= {NEW}
    assert OLD not in project.files().values()


@pytest.mark.usefixtures("below")
def test_new_baselines_go_where_the_report_says_if_that_is_a_folder_above(project, accept):
    (project.root / ".git").touch()
    project.changed("cart", old=None, verdict="missing", expected=None)
    write_results(project.report, run_of(*project.records, run="the-run", root=".."))
    code, out, _ = accept("../../imgdiff-report", "--only", "cart")
    assert (code, out[0]) == (DONE, "accepted: cart: ../../baselines/cart.png")
    assert project.files()["baselines/cart.png"] == NEW


@pytest.mark.parametrize("root", ["../..", "../../..", "/", "../../other"])
def test_a_report_cannot_choose_a_folder_outside_of_the_project(project, accept, below, tmp_path, root):
    (project.root / ".git").touch()
    project.changed("cart", old=None, verdict="missing", expected=None)
    write_results(project.report, run_of(*project.records, run="the-run", root=root))
    assert accept("../../imgdiff-report", "--only", "cart")[0] == DONE
    assert [path.relative_to(below).as_posix() for path in tmp_path.rglob("cart.png")] == ["baselines/cart.png"]


def test_a_wrong_folder_is_told_once(project, refused, tmp_path, monkeypatch):
    for name in ("cart", "login", "menu"):
        project.changed(name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    line = refused("../project/imgdiff-report", "--only", "*")
    assert "neither the baselines of the report (3 files, the first is baselines/cart.png) nor their folders" in line
    assert "--root DIR" in line


def test_a_report_of_an_older_run_is_told_once(project, accept):
    for name in ("cart", "login", "menu", "post"):
        project.changed(name)
    for name in ("cart", "login", "menu", "post"):
        project.put(project.root / f"baselines/{name}.png", OTHER)
    code, out, err = accept(project.report, "--only", "*")
    assert (code, out) == (REFUSED, ["4 refused"])
    (line,) = err
    assert line == (
        "pytest-imgdiff: refused: 4 images (cart, login, menu and 1 more): stale: the report in imgdiff-report is from "
        "an older run: the baselines have changed since; run the comparison again and decide again"
    )


def test_a_report_of_another_run_than_the_decisions_is_told_once(project, accept):
    for name in ("cart", "login"):
        project.changed(name)
    manifest = project.manifest()
    project.records.clear()
    for name in ("cart", "login"):
        project.changed(name, new=OTHER)
    code, _, err = accept(manifest)
    assert code == REFUSED
    (line,) = err
    assert "2 images (cart, login): stale: the report in imgdiff-report is from another run" in line


@pytest.mark.parametrize(
    ("glob", "chosen"),
    [
        ("*checkout*", ["a/b/checkout.png", "checkout.png"]),
        ("a/*.png", ["a/b/checkout.png", "a/c.png"]),
        ("**/*.png", ["a/b/checkout.png", "a/c.png", "checkout.png"]),
        ("a/**", ["a/b/checkout.png", "a/c.png"]),
        ("?/c.png", ["a/c.png"]),
    ],
)
def test_a_star_stands_for_folders_too(project, accept, glob, chosen):
    for name in ("a/b/checkout.png", "a/c.png", "checkout.png"):
        project.changed(name, baseline=f"expected/{name}")
    accept(project.report, "--only", glob)
    written = [name.removeprefix("expected/") for name, data in project.files().items() if data == NEW]
    assert sorted(written) == chosen


# ---- Alternatives


def as_alternative(project, name, **changes):
    """Have a comparison that failed, as the fixture records it."""
    accepts = project.changed(name, **changes)
    record = project.records.pop()
    project.record(name, accepts=msgspec.structs.replace(accepts, alternative=True), artefacts=record.artefacts)


def test_a_picture_is_stored_beside_the_baseline_under_the_first_free_number(project, accept):
    as_alternative(project, "cart")
    project.put(project.root / "baselines/cart.alt1.png", OTHER)
    project.put(project.root / "baselines/cart.alt3.webp", b"another format")
    before = project.files()
    dry = accept(project.manifest(project.decisions(cart="alternative")), "--dry-run")
    assert dry[:2] == (
        DONE,
        [
            "would be accepted: cart: baselines/cart.png, as an alternative of it",
            "1 would be accepted; nothing was written (--dry-run)",
        ],
    )
    assert project.files() == before
    code, out, _ = accept(project.manifest(project.decisions(cart="alternative")))
    assert (code, out[0]) == (DONE, "accepted: cart: baselines/cart.png, as an alternative of it: cart.alt2.png")
    assert project.files() == {**before, "baselines/cart.alt2.png": NEW}
    code, out, _ = accept("imgdiff-report", "--only", "cart", "--alternative")
    assert (code, out[0]) == (DONE, "already accepted: cart: baselines/cart.png")
    assert project.files() == {**before, "baselines/cart.alt2.png": NEW}


def test_one_column_becomes_the_baseline_and_another_an_alternative(project, accept):
    as_alternative(project, "cart", new=NEW)
    as_alternative(project, "menu", baseline="baselines/cart.png", new=OTHER)
    decisions = project.decisions(cart="accept", menu="alternative")
    code, out, _ = accept(project.manifest(decisions))
    assert (code, out[-1]) == (DONE, "2 accepted")
    assert project.files() == {"baselines/cart.png": NEW, "baselines/cart.alt1.png": OTHER}


def test_what_has_no_alternatives_is_refused(project, accept):
    project.changed("scanned")
    as_alternative(project, "stale")
    (project.root / "baselines/stale.png").write_bytes(OTHER)
    before = project.files()
    code, out, err = accept("imgdiff-report", "--only", "**", "--alternative")
    assert (code, out[-1]) == (REFUSED, "2 refused")
    assert "only an image that a test compared with a stored baseline" in err[0]
    assert "stale: the baseline baselines/stale.png has changed since" in err[1]
    assert project.files() == before


def test_a_manifest_says_itself_what_becomes_an_alternative(project, refused):
    as_alternative(project, "cart")
    assert "a manifest has a decision for each image" in refused(project.manifest(), "--alternative")


def test_in_ci_no_alternative_is_written(project, refused, monkeypatch):
    as_alternative(project, "cart")
    monkeypatch.setenv("CI", "true")
    assert "not changed in CI" in refused("imgdiff-report", "--only", "cart", "--alternative")
