"""Pictures of failed comparisons in the reports of pytest-html and Allure."""

from __future__ import annotations

import base64
import html
import json
import re
import subprocess
import sys

import pytest

from tests.report_records import png

RED, GREEN, BLUE = (png(20, 10, colour) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200)))
OTHERS = [word for name in ("metadata", "html", "html_fixtures", "allure_pytest") for word in ("-p", name)]
QUIET = ["-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning"]  # of the other plugins' own
TEST = """
def test_page(assert_images_similar):
    assert_images_similar("{actual}", "expected.png", name="page")

def test_soft(assert_images_similar):
    assert_images_similar.compare("{actual}", "expected.png")

def test_other():
    assert {other}
"""


@pytest.fixture
def suite(pytester):
    pytester.path.joinpath("expected.png").write_bytes(RED)
    pytester.path.joinpath("same.png").write_bytes(RED)
    pytester.path.joinpath("changed.png").write_bytes(BLUE)

    def run(*options, actual="changed.png", other="False", others=OTHERS):
        pytester.makepyfile(TEST.format(actual=actual, other=other))
        return pytester.runpytest_subprocess(*others, *QUIET, *options)

    return run


def html_pictures(path):
    """Return, for each test of a pytest-html page, name and content of its pictures."""
    blob = re.search(r'data-jsonblob="([^"]*)"', path.read_text(encoding="utf-8")).group(1)
    tests = json.loads(html.unescape(blob))["tests"]
    found = {}
    for name, results in tests.items():
        extras = [extra for result in results for extra in result["extras"] if extra["format_type"] == "image"]
        found[name.rpartition("::")[2]] = {extra["name"]: extra["content"] for extra in extras}
    return found


def bytes_of(content, folder):
    if content.startswith("data:"):
        return base64.b64decode(content.partition(",")[2])
    return (folder / content).read_bytes()


@pytest.mark.parametrize("options", [[], ["--self-contained-html"], ["-n", "2"]], ids=["beside", "inside", "workers"])
def test_pytest_html_shows_the_pictures_of_what_failed(suite, pytester, options):
    suite("--html=out/report.html", *options)

    shown = html_pictures(pytester.path / "out" / "report.html")
    title = "test_pytest_html_shows_the_pictures_of_what_failed.py::test_page"
    assert list(shown["test_page"]) == [f"{title}: {name}" for name in ("expected", "actual", "mask", "thumb")]
    assert len(shown["test_soft"]) == 4  # it did not fail, and the comparison did
    assert shown["test_other"] == {}
    folder = pytester.path / "out"
    assert bytes_of(shown["test_page"][f"{title}: expected"], folder) == RED
    assert bytes_of(shown["test_page"][f"{title}: actual"], folder) == BLUE


def test_pytest_html_shows_nothing_of_what_passed(suite, pytester):
    suite("--html=report.html", actual="same.png", other="True").assert_outcomes(passed=3)
    assert set(map(len, html_pictures(pytester.path / "report.html").values())) == {0}


def test_pictures_of_a_scan_are_attached(pytester):
    for folder, content in (("old", RED), ("new", BLUE)):
        pytester.mkdir(folder).joinpath("page.png").write_bytes(content)
    pytester.runpytest_subprocess(
        *OTHERS, *QUIET, "--imgdiff-scan", "old", "new", "--html=report.html", "--self-contained-html"
    )
    (shown,) = html_pictures(pytester.path / "report.html").values()
    assert [name.rpartition(": ")[2] for name in shown] == ["expected", "actual", "mask", "thumb"]


def allure_pictures(folder):
    """Return, for each test of an Allure run, name and content of its pictures."""
    found = {}
    for path in folder.glob("*-result.json"):
        result = json.loads(path.read_bytes())
        attached = [one for one in result.get("attachments", []) if one["type"].startswith("image/")]
        found[result["name"]] = {one["name"]: (one["type"], (folder / one["source"]).read_bytes()) for one in attached}
    return found


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_allure_gets_the_pictures_of_what_failed(suite, pytester, options):
    suite("--alluredir=allure", *options)

    shown = allure_pictures(pytester.path / "allure")
    names = [name.rpartition(": ")[2] for name in shown["test_page"]]
    assert names == ["expected", "actual", "mask", "thumb"]
    assert [kind for kind, _ in shown["test_page"].values()] == ["image/png"] * 3 + ["image/jpeg"]
    assert [content for _, content in shown["test_page"].values()][:2] == [RED, BLUE]
    assert len(shown["test_soft"]) == 4
    assert shown["test_other"] == {}


def test_of_a_test_that_is_run_again_each_run_shows_its_own(pytester):
    for name, content in (("expected", RED), ("first", BLUE), ("second", GREEN)):
        pytester.path.joinpath(f"{name}.png").write_bytes(content)
    pytester.makepyfile(
        """
        runs = []

        def test_page(assert_images_similar):
            runs.append(1)
            assert_images_similar(("first.png", "second.png")[len(runs) - 1], "expected.png")
        """
    )
    pytester.runpytest_subprocess(*OTHERS, *QUIET, "--reruns=1", "--alluredir=allure")

    results = [json.loads(path.read_bytes()) for path in pytester.path.glob("allure/*-result.json")]
    shown = [[one for one in result["attachments"] if one["type"].startswith("image/")] for result in results]
    assert [len(pictures) for pictures in shown] == [4, 4]
    actual = {(pytester.path / "allure" / pictures[1]["source"]).read_bytes() for pictures in shown}
    assert actual == {BLUE, GREEN}


def test_allure_gets_nothing_of_what_passed(suite, pytester):
    suite("--alluredir=allure", actual="same.png", other="True").assert_outcomes(passed=3)
    assert set(map(len, allure_pictures(pytester.path / "allure").values())) == {0}


def test_both_at_once(suite, pytester):
    suite("--alluredir=allure", "--html=report.html")
    assert len(allure_pictures(pytester.path / "allure")["test_page"]) == 4
    assert len(html_pictures(pytester.path / "report.html")["test_page"]) == 4


def test_a_picture_that_is_gone_costs_the_picture_only(pytester):
    pytester.path.joinpath("expected.png").write_bytes(RED)
    pytester.path.joinpath("changed.png").write_bytes(BLUE)
    pytester.makepyfile(
        """
        import shutil

        def test_page(assert_images_similar):
            assert_images_similar.compare("changed.png", "expected.png")
            shutil.rmtree("imgdiff-report/pictures")
            assert False
        """
    )
    done = pytester.runpytest_subprocess(*OTHERS, *QUIET, "--alluredir=allure")
    done.assert_outcomes(failed=1)
    assert "INTERNALERROR" not in done.stdout.str()
    assert allure_pictures(pytester.path / "allure")["test_page"] == {}


@pytest.mark.parametrize("missing", [("html", "allure_pytest"), ()], ids=["absent", "not asked for"])
def test_plugins_that_make_no_report_are_not_imported(suite, pytester, monkeypatch, missing):
    pytester.makeconftest(
        """
        import sys

        def pytest_unconfigure(config):
            print("imported:", *sorted({"pytest_html.extras", "allure"} & set(sys.modules)), file=sys.stderr)
        """
    )
    if missing:  # then runs with every plugin that is installed but these
        monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
        monkeypatch.delenv("PYTEST_PLUGINS")
    done = suite(*(word for name in missing for word in ("-p", f"no:{name}")), others=() if missing else OTHERS)
    done.assert_outcomes(failed=2, passed=1)
    if missing:
        done.stderr.fnmatch_lines(["imported:"])


def test_our_plugin_imports_neither():
    code = "import sys, pytest_imgdiff.plugin; print(*{'pytest_html', 'allure', 'pytest_imgdiff.plugin.run'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
