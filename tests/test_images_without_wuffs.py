"""Where the extra `fast` is not installed pictures are read by the other decoders, to the same pixels and errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
WITHOUT = """
import sys
sys.modules["pywuffs"] = None  # as if it were not installed
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "file",
    [
        "test_images_png_fast.py",
        "test_images_png.py",
        "test_images_png_bands.py",
        "test_images_bad.py",
        "test_verdicts.py",
    ],
)
def test_the_tests_of_the_decoders_pass_without_it(file):
    words = [sys.executable, "-c", WITHOUT, "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(TESTS / file)]
    run = subprocess.run(words, check=False, capture_output=True, text=True, cwd=TESTS.parent)
    assert run.returncode == 0, run.stdout[-3000:]
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout


def test_the_same_pixels_with_and_without_it():
    """Adaptive filters, as browsers write them, RGB and RGBA."""
    script = """
import hashlib, sys
if sys.argv[1] == "without":
    sys.modules["pywuffs"] = None
from pathlib import Path
from pytest_imgdiff.images import decode, read
for path in sorted(Path("examples").rglob("*.png")):
    [image] = decode(read(path))
    print(path, image.pixels.shape, hashlib.sha256(image.pixels.tobytes()).hexdigest(), image.stored is not None)
"""
    told = {}
    for how in ("with", "without"):
        run = subprocess.run(
            [sys.executable, "-c", script, how],
            check=True,
            capture_output=True,
            text=True,
            cwd=TESTS.parent,
            env=os.environ | {"IMGDIFF_CORE": "python"},
        )
        told[how] = [line.rpartition(" ") for line in run.stdout.splitlines()]
    assert [line[0] for line in told["with"]] == [line[0] for line in told["without"]]
    assert {line[2] for line in told["with"]} >= {"True"}
    assert {line[2] for line in told["without"]} == {"False"}
