"""Tests that were renamed: their baselines are offered under the new name, and moved on request."""

from __future__ import annotations

import json

import pytest

from pytest_imgdiff.cli.parser import main
from tests.pictures import BLUE, RED, square, write

SUITE = """
import numpy as np

def picture(shade):
    pixels = np.full((30, 30, 3), 255, np.uint8)
    pixels[5:25, 5:25] = shade
    return pixels

def test_first(assert_images_similar):
    assert_images_similar(picture(10))

def test_cart(assert_images_similar):
    assert_images_similar(picture(90))
"""
OLD, NEW = "baselines/test_shop/test_cart.png", "baselines/test_shop/test_basket.png"
WORKERS = [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")]


@pytest.fixture
def shop(pytester, monkeypatch):
    """A suite of two tests with baselines, the second with an alternative."""
    monkeypatch.chdir(pytester.path)
    (pytester.path / "test_shop.py").write_text(SUITE, encoding="utf-8")
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=2)
    write(pytester.path / "baselines/test_shop/test_cart.alt1.png", square(BLUE))
    return pytester


def renamed(shop, **changes):
    """Rename the second test, and change the suite's text."""
    text = SUITE.replace("test_cart", "test_basket")
    for old, new in changes.items():
        text = text.replace(f"({old.removeprefix('shade_')})", f"({new})")
    (shop.path / "test_shop.py").write_text(text, encoding="utf-8")


def results(shop):
    return json.loads((shop.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))


def stored(shop):
    return sorted(path.relative_to(shop.path).as_posix() for path in shop.path.glob("baselines/**/*.png"))


@pytest.mark.parametrize("workers", WORKERS)
def test_a_renamed_test_is_offered_its_baseline_and_gets_it(shop, workers, capsys):
    before = {name: (shop.path / name).read_bytes() for name in stored(shop)}
    renamed(shop)
    run = shop.runpytest_subprocess(*workers)
    run.assert_outcomes(passed=1, failed=1)
    run.stdout.fnmatch_lines(
        [
            f"renamed test[?]: {OLD} is equal to the image of test_shop.py::test_basket; rename it to {NEW}",
            "rename them: pytest-imgdiff accept imgdiff-report --renames",
        ]
    )
    assert "is equal to the image of" in (shop.path / "imgdiff-report/index.html").read_text(encoding="utf-8")
    assert "Renamed tests?" in (shop.path / "imgdiff-report/summary.md").read_text(encoding="utf-8")
    assert main(["accept", "imgdiff-report", "--renames", "--dry-run"]) == 0
    assert {name: (shop.path / name).read_bytes() for name in stored(shop)} == before
    assert main(["accept", "imgdiff-report", "--renames"]) == 0
    assert f"renamed: {OLD} -> {NEW}" in capsys.readouterr().out
    after = {name: (shop.path / name).read_bytes() for name in stored(shop)}
    assert after == {name.replace("test_cart", "test_basket"): data for name, data in before.items()}
    run = shop.runpytest_subprocess(*workers)
    run.assert_outcomes(passed=2)
    run.stdout.no_fnmatch_line("*unused*")


def test_a_picture_that_passes_the_settings_is_offered_too(shop, capsys):
    renamed(shop, shade_90="91")
    shop.runpytest_subprocess("--imgdiff-set", "metrics={mse: {max: 0.01}}").assert_outcomes(passed=1, failed=1)
    assert results(shop)["renames"] == []
    run = shop.runpytest_subprocess("--imgdiff-set", "metrics={mse: {max: 50}}")
    run.stdout.fnmatch_lines([f"renamed test[?]: {OLD} passes for the image of test_shop.py::test_basket*"])
    assert main(["accept", "imgdiff-report", "--renames"]) == 0
    assert f"renamed: {OLD} -> {NEW}" in capsys.readouterr().out


def test_a_renamed_test_file_is_offered_its_baselines(shop):
    (shop.path / "test_shop.py").rename(shop.path / "test_store.py")
    shop.runpytest_subprocess().assert_outcomes(failed=2)
    assert [rename["old"] for rename in results(shop)["renames"]] == ["baselines/test_shop/test_first.png", OLD]
    assert main(["accept", "imgdiff-report", "--renames"]) == 0
    shop.runpytest_subprocess().assert_outcomes(passed=2)
    assert not [name for name in stored(shop) if "test_shop/" in name]


@pytest.mark.parametrize(
    ("options", "change"),
    [
        pytest.param(["-k", "basket"], "", id="a part"),
        pytest.param(
            [], "\ndef test_named(assert_images_similar):\n    raise AssertionError\n", id="another failed early"
        ),
        pytest.param([], "\n@__import__('pytest').mark.skip\ndef test_s(assert_images_similar): pass\n", id="skipped"),
    ],
)
def test_what_another_test_may_use_is_not_offered(shop, options, change):
    renamed(shop)
    path = shop.path / "test_shop.py"
    path.write_text(path.read_text(encoding="utf-8") + change, encoding="utf-8")
    run = shop.runpytest_subprocess(*options)
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.no_fnmatch_line("*renamed*")
    assert results(shop)["renames"] == []


def test_the_baseline_of_a_test_that_is_still_there_is_not_offered(shop):
    path = shop.path / "test_shop.py"
    path.write_text(SUITE + SUITE[SUITE.index("def test_cart") :].replace("test_cart", "test_copy"), encoding="utf-8")
    shop.runpytest_subprocess().assert_outcomes(passed=2, failed=1)
    assert results(shop)["renames"] == []


def changed_since(shop):
    write(shop.path / OLD, square(RED))


def taken(shop):
    write(shop.path / NEW, square(RED))


def linked(shop):
    (shop.path / OLD).rename(shop.path / "kept.png")
    (shop.path / OLD).symlink_to("../../kept.png")


def in_use(shop):
    path = shop.path / "imgdiff-report/results.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    user = next(record for record in run["comparisons"] if record["expected"] is not None)
    user["expected"]["label"] = OLD
    path.write_text(json.dumps(run), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed_since, "has changed since"),
        (taken, "was added"),
        (linked, "symbolic link"),
        (in_use, "used by test_shop.py::test_first"),
    ],
)
def test_what_does_not_hold_any_more_is_refused(shop, capsys, change, words):
    renamed(shop)
    shop.runpytest_subprocess()
    change(shop)
    before = {name: (shop.path / name).read_bytes() for name in stored(shop)}
    assert main(["accept", "imgdiff-report", "--renames"]) == 2
    assert words in capsys.readouterr().err
    assert {name: (shop.path / name).read_bytes() for name in stored(shop)} == before


def test_nothing_is_renamed_in_ci(shop, capsys, monkeypatch):
    renamed(shop)
    shop.runpytest_subprocess()
    monkeypatch.setenv("CI", "true")
    assert main(["accept", "imgdiff-report", "--renames"]) == 2
    assert "not changed in CI" in capsys.readouterr().err
    assert NEW not in stored(shop)
