"""`assert_images_similar` with PyVista plotters; collected only where PyVista is installed (see conftest.py)."""

from __future__ import annotations

import json

import pytest
import pyvista

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import CaptureSettings
from pytest_imgdiff.capture import capturer_of
from pytest_imgdiff.images import decode, read

STORY = """
import os

import pyvista


def test_scene(assert_images_similar):
    plotter = pyvista.Plotter(off_screen=True, window_size=(300, 200))
    plotter.add_mesh(pyvista.Cube() if "CUBE" in os.environ else pyvista.Sphere(), color="red")
    assert_images_similar(plotter)
    plotter.close()
"""


def test_missing_written_passes_differs_accepted_passes(pytester, monkeypatch):
    pytester.makepyfile(test_it=STORY)
    pytester.runpytest_subprocess("-n", "2").assert_outcomes(failed=1)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=1)
    pytester.runpytest_subprocess("-n", "2").assert_outcomes(passed=1)
    monkeypatch.setenv("CUBE", "1")
    pytester.runpytest_subprocess().assert_outcomes(failed=1)
    (record,) = json.loads((pytester.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))["comparisons"]
    assert (record["verdict"], record["capture"]["target"]) == ("different", "PyVista plotter")
    pytester.runpytest_subprocess("--imgdiff-update=failed").assert_outcomes(passed=1)
    pytester.runpytest_subprocess("-n", "2").assert_outcomes(passed=1)


def test_a_scene_is_drawn_in_its_window_s_size_also_without_background():
    plotter = pyvista.Plotter(off_screen=True, window_size=(120, 80))
    plotter.add_mesh(pyvista.Sphere())
    for transparent in (False, True):
        found = capturer_of(plotter, CaptureSettings(transparent=transparent)).capture()
        (image,) = decode(read(found.picture))
        assert image.size == (120, 80)
        assert image.pixels[0, 0, 3] == (0 if transparent else 255)
    plotter.close()


def test_a_plotter_that_would_open_a_window_is_refused_with_what_to_do():
    plotter = pyvista.Plotter(off_screen=False)
    with pytest.raises(
        CaptureError, match=r"its screenshot\(\) failed: .*; make it with pyvista\.Plotter\(off_screen=T"
    ):
        capturer_of(plotter, CaptureSettings()).capture()


def test_a_closed_plotter_that_never_drew_says_so():
    plotter = pyvista.Plotter(off_screen=True)
    plotter.close()
    with pytest.raises(CaptureError, match="PyVista plotter: its screenshot"):
        capturer_of(plotter, CaptureSettings()).capture()
