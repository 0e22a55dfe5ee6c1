"""Which files of two trees become pairs: none may be left out unsaid, none compared with itself."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.images.sniff import EXTENSIONS
from pytest_imgdiff.run.pairing import scan_folders
from tests.pictures import BLUE, RED, square, write

with_links = pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")


@pytest.fixture
def sides(tmp_path):
    """Two folders with one picture each, of the same name."""
    expected, actual = tmp_path / "expected", tmp_path / "actual"
    write(expected / "page.png", square(RED))
    write(actual / "page.png", square(BLUE))
    return expected, actual


def keys(*folders, **options):
    return [pair.key for pair in scan_folders(*folders, **options).pairs]


@with_links
def test_folders_behind_symbolic_links_are_compared(sides, tmp_path):
    expected, actual = sides
    write(tmp_path / "elsewhere/deep/chart.png", square(RED))
    (expected / "charts").symlink_to(tmp_path / "elsewhere")
    (expected / "again").symlink_to(tmp_path / "elsewhere")
    write(actual / "charts/deep/chart.png", square(BLUE))
    found = {pair.key: pair for pair in scan_folders(expected, actual).pairs}
    assert list(found) == ["again/deep/chart.png", "charts/deep/chart.png", "page.png"]
    assert found["charts/deep/chart.png"].expected is not None
    assert found["charts/deep/chart.png"].actual is not None


@with_links
def test_links_that_lead_back_end_the_way_and_nothing_else(sides):
    expected, actual = sides
    for folder in sides:
        write(folder / "a/b/deep.png", square(RED))
        (folder / "a/b/top").symlink_to(folder)
        (folder / "a/b/itself").symlink_to(folder / "a/b")
        (folder / "nowhere").symlink_to(folder / "nowhere")
    assert keys(expected, actual) == ["a/b/deep.png", "page.png"]


@with_links
def test_a_skipped_folder_is_skipped_behind_a_link_too(sides, tmp_path):
    expected, actual = sides
    write(tmp_path / "report/pictures/page.png", square(RED))
    (actual / "last").symlink_to(tmp_path / "report")
    assert keys(expected, actual, skip=[tmp_path / "report"]) == ["page.png"]


@pytest.mark.parametrize("extension", sorted({*EXTENSIONS, ".PNG", ".Jpeg"}))
def test_every_extension_of_a_picture_is_compared(sides, extension):
    for folder in sides:
        (folder / "page.png").rename(folder / f"page{extension}")
        (folder / "note.txt").write_text("no picture", encoding="utf-8")
    assert keys(*sides) == [f"page{extension}"]


def test_files_without_an_extension_are_compared_where_either_side_holds_a_picture(sides):
    expected, actual = sides
    for folder in sides:
        (folder / "page.png").rename(folder / "page")
        (folder / "README").write_text("no picture", encoding="utf-8")
        (folder / ".hidden").write_bytes(b"")
    (actual / "page").write_bytes(b"")
    (pair,) = scan_folders(expected, actual).pairs
    assert (pair.key, pair.expected, pair.actual) == ("page", expected / "page", actual / "page")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_without_a_writer_is_not_waited_for(sides):
    os.mkfifo(sides[1] / "pipe")
    assert keys(*sides) == ["page.png"]


@with_links
@pytest.mark.parametrize("linked", ["page.png", "."])
def test_a_picture_that_is_a_link_to_the_other_side_is_told(sides, linked):
    expected, actual = (folder / "sub" for folder in sides)
    for folder in sides:
        write(folder / "sub/page.png", square(RED))
    place = expected / linked
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to(actual / linked)
    with pytest.raises(
        ConfigError, match=r"sub/page\.png and .*sub/page\.png are the same file through a symbolic link"
    ):
        scan_folders(*sides)
    assert keys(*sides, exclude=["sub/*"]) == ["page.png"]


@with_links
def test_links_that_lead_nowhere_are_the_readers_business(sides):
    for folder in sides:
        (folder / "gone.png").symlink_to("/nowhere/at/all.png")
    assert keys(*sides) == ["gone.png", "page.png"]


def test_hard_links_are_equal_bytes_and_compared(sides):
    expected, actual = sides
    os.link(expected / "page.png", actual / "copy.png")
    os.link(expected / "page.png", expected / "copy.png")
    assert keys(expected, actual) == ["copy.png", "page.png"]


def told(*folders, **options):
    return scan_folders(*folders, shown=lambda folder: folder.name, **options).not_compared


def others(sides):
    """Files that are not images: two kinds, in both folders; a copy that an editor made; a hidden one."""
    for folder in sides:
        (folder / "figure.svg").write_text("<svg/>", encoding="utf-8")
    (sides[0] / "page.png.bak").write_bytes((sides[0] / "page.png").read_bytes())
    (sides[0] / "README").write_text("text", encoding="utf-8")
    (sides[1] / "sub").mkdir()
    (sides[1] / "sub/text.PDF").write_bytes(b"%PDF-1.7")
    (sides[1] / ".gitignore").write_text("*", encoding="utf-8")
    (sides[1] / ".cache").mkdir()
    (sides[1] / ".cache/state.json").write_text("{}", encoding="utf-8")


def test_files_of_other_kinds_are_counted(sides):
    assert told(*sides) == ()
    others(sides)
    (line,) = told(*sides)
    assert line.startswith("not compared: 2 .svg, ")
    kinds = line.removeprefix("not compared: ").partition(";")[0].split(", ")
    assert sorted(kinds) == ["1 .pdf", "1 .png.bak", "1 without extension", "2 .svg"]
    assert line.endswith("; in expected and actual")
    assert told(*sides, exclude=["*.svg", "sub/*", "README"]) == ("not compared: 1 .png.bak; in expected",)


def test_a_report_below_a_scanned_folder_is_named_and_not_compared(sides):
    report = sides[1] / "old"
    (report / "pictures").mkdir(parents=True)
    (report / "pictures/page~actual.png").write_bytes((sides[0] / "page.png").read_bytes())
    found = keys(*sides)
    assert "old/pictures/page~actual.png" in found  # a folder like any other
    for name in ("index.html", "results.json"):
        (report / name).write_text("", encoding="utf-8")
    assert keys(*sides) == [key for key in found if not key.startswith("old/")]
    (line,) = told(*sides)
    assert line.startswith("not compared: the report in ")
    assert line.endswith("old")
    assert told(*sides, exclude=["old/**"]) == ()


def test_what_was_left_out_by_choice_is_not_told(sides):
    others(sides)
    assert told(*sides, include=["*.png"]) == ()
    assert told(*sides, others="ignore") == ()


def test_files_of_other_kinds_can_be_made_to_fail(sides):
    others(sides)
    names = ["README", "figure.svg", "page.png", "page.png.bak", "sub/text.PDF"]
    assert keys(*sides, others="fail") == names
    assert told(*sides, others="fail") == ()


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "a.webp"),
        ("sub/b.JPG", "sub/b.jpg"),
        ("Sub/c.png", "sub/C.png"),
        ("d.png.bak", "d.png"),
        ("e.svg", "e.png"),
    ],
)
def test_names_that_differ_in_extension_or_case_only_are_told(sides, names):
    for folder, name in zip(sides, names, strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "page.png", folder / name)
    expected, actual = names
    (line,) = [line for line in told(*sides) if line.startswith("not paired")]
    assert line.startswith(
        f"not paired: expected/{expected} and actual/{actual}: their names differ only in extension or"
    )


def test_names_that_could_be_paired_in_several_ways_are_not(sides):
    for name in ("a.png", "a.gif"):
        shutil.copy(sides[0] / "page.png", sides[0] / name)
    shutil.copy(sides[0] / "page.png", sides[1] / "a.webp")
    for folder, name in zip(sides, ("b.svg", "b.pdf"), strict=True):
        (folder / name).write_text("x", encoding="utf-8")
    assert not any("not paired" in line for line in told(*sides))
