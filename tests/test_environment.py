"""Whether this is CI, and which OpenCV there is."""

from __future__ import annotations

import pytest

from pytest_imgdiff.base.environment import in_ci


@pytest.mark.parametrize("value", ["", " ", "0", "false", "False", "no", "n", "N", "off", "OFF"])
def test_what_says_no(value):
    assert not in_ci({"CI": value})


@pytest.mark.parametrize("value", ["1", "true", "yes", "on", "woodpecker"])
def test_what_says_yes(value):
    assert in_ci({"CI": value})


def test_nothing_says_no():
    assert not in_ci({})


def test_two_builds_of_opencv_are_told(pytester, monkeypatch):
    installed = pytester.path / "site/opencv_python-4.9.0.80.dist-info/METADATA"
    installed.parent.mkdir(parents=True)
    installed.write_text("Metadata-Version: 2.1\nName: opencv-python\nVersion: 4.9.0.80\n", encoding="utf-8")
    warning = "imgdiff: warning: *opencv-python 4.9.0.80*overwrite each other's files: keep one of them"
    pytester.runpytest_subprocess().stdout.no_fnmatch_line(warning)
    monkeypatch.setenv("PYTHONPATH", str(pytester.path / "site"))
    pytester.runpytest_subprocess().stdout.fnmatch_lines([warning])
