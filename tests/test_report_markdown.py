"""The Markdown for a pull request: small pictures, within what GitHub takes, and no name becomes markup."""

from __future__ import annotations

import re
from html import unescape

import pytest

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.report import markdown
from pytest_imgdiff.report.summary import LARGEST, MOST_FAILURES, MOST_THUMBNAILS
from tests.report_records import HOSTILE_NAMES, captured, different, equal, perceptual, run_of, uncompared

COMMENT = 65_536


def with_thumb(name, **changes):
    return different(name, artefacts={"thumb": f"pictures/{name}/thumb.jpg"}, **changes)


def sources(text):
    return [unescape(source) for source in re.findall(r'<img src="([^"]*)"', text)]


def rows(text):
    return [line for line in text.splitlines() if line.startswith("| <code>")]


def test_the_worst_dozen_has_pictures():
    run = run_of(*(with_thumb(f"p{number}") for number in range(20)), equal("fine"))
    text = markdown(run, pictures="")

    assert sources(text) == [f"pictures/p{number}/thumb.jpg" for number in range(MOST_THUMBNAILS)]
    assert len(rows(text)) == 20
    assert "| failed | passed |" in text


def test_pictures_are_shown_only_where_they_can_be_found():
    run = run_of(with_thumb("a"))
    assert sources(markdown(run)) == []
    assert sources(markdown(run, pictures="https://x.test/7/")) == ["https://x.test/7/pictures/a/thumb.jpg"]
    assert "<img" not in markdown(run_of(different("a")), pictures="")


def test_every_row_has_as_many_cells_as_the_head():
    records = [with_thumb("a|b", column="x|y"), uncompared("missing", "b", column="mac")]
    text = markdown(run_of(*records, columns=["x|y", "mac"]), pictures="")
    table = text[text.index("| failed | run") :].splitlines()

    assert len(table) == 4
    assert {line.count("|") for line in table} == {6}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_stay_text(name):
    path = f"pictures/{name.replace('/', '-')}/thumb.jpg"
    record = different(name, artefacts={"thumb": path}, column=name)
    (row,) = rows(markdown(run_of(record, columns=[name]), pictures=""))

    tags = re.findall(r"</?[a-z][^>]*>", row)
    assert {re.match(r"</?[a-z]+", tag).group() for tag in tags} == {"<code", "</code", "<img"}
    assert row.count("|") == 6
    (source,) = sources(row)
    assert re.fullmatch(r"[A-Za-z0-9_.~%/-]+", source)
    assert not set("[]`*\\") & set(row)


@pytest.mark.parametrize("path", ["../x.webp", "/x.webp", "javascript:alert(1)/../x", "C:/x.webp"])
def test_a_picture_outside_of_the_folder_is_refused(path):
    with pytest.raises(ReportError, match="stay within it"):
        markdown(run_of(different("a", artefacts={"thumb": path})), pictures="")


@pytest.mark.parametrize("character", ["<", "é", "\u202e", "🎨", "x"])
def test_it_is_never_longer_than_github_takes(character):
    name = character * 3000
    records = [with_thumb(f"{number}{name}", reason=name, verdict="broken", column=name) for number in range(200)]
    run = run_of(*records, title=name, complete=False, unrecorded=[f"{n}{name}" for n in range(500)], columns=[name])
    text = markdown(run, pictures="https://x.test/" + "a" * 300 + "/")

    assert len(text.encode()) <= LARGEST < COMMENT
    shown = rows(text)
    assert shown
    assert text.rstrip().endswith(f"and {200 - len(shown)} more")


def test_the_rest_is_counted():
    text = markdown(run_of(*(different(f"{number}") for number in range(MOST_FAILURES + 7))))
    assert len(rows(text)) == MOST_FAILURES
    assert text.endswith("and 7 more\n")
    assert "more" not in markdown(run_of(*(different(f"{number}") for number in range(MOST_FAILURES))))


def test_what_passed_with_a_warning_stands_in_a_table_of_its_own():
    warned = [
        different(f"w{number}", passed=True, scores=[perceptual(0.001, passed=True, warned=True, warn=0.0)])
        for number in range(3)
    ]
    text = markdown(run_of(equal("fine"), *warned, different("bad")))
    failed, passed = text.split("| passed with a warning |")

    assert ["bad" in failed, "w0" in failed, "fine" in text] == [True, False, False]
    assert [re.search(r"w\d", row)[0] for row in rows(passed)] == ["w0", "w1", "w2"]
    assert "warns perceptual" in unescape(passed)


def test_warnings_that_find_no_room_are_counted():
    name = "x" * 3000
    records = [different(f"{number}{name}", column=name, reason=name, verdict="broken") for number in range(200)]
    warned = [
        different(f"w{name}{n}", passed=True, scores=[perceptual(0.001, passed=True, warned=True, warn=0.0)])
        for n in range(90)
    ]
    text = markdown(run_of(*records, *warned, title=name, columns=[name]), pictures="https://x.test/")

    assert len(text.encode()) <= LARGEST
    more = int(re.search(r"and (\d+) more\n$", text)[1])
    assert more + len(rows(text.split("| passed with a warning |")[1])) == 90


def test_a_captured_page_is_named_with_its_element():
    (row,) = [line for line in markdown(run_of(captured())).splitlines() if "shop/cart" in line]
    shown = unescape(row)
    assert "largest `nav > a.badge` 'New' (link), 34x18 at 310,12<br>" in shown
    assert "<br>https://shop.example/cart 'Your cart'; Playwright page, 2 captures, chromium 140.0.7339.16, " in shown
