"""A pair takes no more memory than `memory` allows: what would is refused by name, before it is decoded."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from pytest_imgdiff import Policy, Rule, compare
from pytest_imgdiff.base.model import Verdict

ROOT = Path(__file__).parent.parent
MEBIBYTE = 1 << 20


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def flat_png(width: int, height: int, value: bytes) -> bytes:
    """A 16-bit RGBA picture of one value, in a thousandth of its size."""
    row = b"\0" + value * (width * 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    (folder / "a.png").write_bytes(flat_png(4000, 4000, b"\x55"))
    (folder / "b.png").write_bytes(flat_png(4000, 4000, b"\x99"))
    return folder


PEAK = """
import sys
from pathlib import Path
from pytest_imgdiff.cli import parser
sys.argv = ["pytest-imgdiff", *sys.argv[1:]]
code = parser.main()
# ru_maxrss would be the peak of the process that started this one, if that is larger.
[peak] = [line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if "VmHWM" in line]
print("peak", int(peak.split()[1]) // 1024)
sys.exit(code)
"""


def compared(folder: Path, memory: int, *words: str) -> tuple[int, str, int]:
    (folder / "imgdiff.yaml").write_text(f"memory: {memory}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "compare", "a.png", "b.png", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert not done.stderr
    lines = done.stdout.splitlines()
    return done.returncode, "\n".join(lines[:-1]), int(lines[-1].removeprefix("peak "))


LIBRARIES = 300
"""Mebibytes that Python, NumPy, OpenCV and what they load take without any picture."""
MANY = ["ssim.min=0.9", "pixel_match.min=0.9", "mse.max=10", "psnr.min=10", "phash.max=1"]


@pytest.mark.parametrize("metrics", [[], MANY], ids=["default", "many metrics"])
def test_what_takes_more_than_memory_is_refused_by_name_and_takes_little(large, metrics):
    code, words, peak = compared(large, 300, *(f"--set=metrics.{metric}" for metric in metrics))
    assert code == 2
    assert "a.png: PNG: decoding it and one more of its size takes about 489 MiB" in words
    assert "more than `memory` allows (300 MiB); it was not decoded; increase `memory`" in words
    assert peak < 300 + LIBRARIES


@pytest.mark.parametrize("metrics", [[], MANY], ids=["default", "many metrics"])
def test_what_is_compared_stays_within_memory(large, metrics):
    options = [f"--set=metrics.{metric}" for metric in metrics]
    needed, code, words, peak = 64, 2, "", 0
    for _ in range(3):  # what decoding takes, then what comparing takes
        code, words, peak = compared(large, needed, *options)
        if code == 1:
            break
        needed = int(words.partition("takes about ")[2].partition(" MiB")[0].replace(" ", ""))
    assert code == 1, words
    assert peak < needed + LIBRARIES


def test_memory_counts_bytes_and_not_pixels():
    rows = np.arange(400 * 300, dtype=np.float64).reshape(400, 300) / 200_000
    policy = Policy(metrics=(Rule("perceptual", max=0.0),), memory=4 * MEBIBYTE)
    for dtype, verdict in ((np.uint8, Verdict.DIFFERENT), (np.float64, Verdict.BROKEN)):
        first = (rows * 255).astype(np.uint8) if dtype is np.uint8 else rows
        found = compare(first, first[::-1].copy(), policy)
        assert found.verdict is verdict, found.reason
    assert "64 bits a channel; perceptual" in str(found.reason)


def test_a_picture_that_takes_too_much_is_refused_before_it_is_decoded(tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((1000, 1000, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "b.jpg"), np.full((1000, 1000, 3), 255, np.uint8))
    found = compare(tmp_path / "a.jpg", tmp_path / "b.jpg", Policy(memory=4 * MEBIBYTE))
    assert found.verdict is Verdict.BROKEN
    assert "a.jpg: JPEG: decoding it and one more of its size takes about 16 MiB" in str(found.reason)
    assert found.expected is None
    assert compare(tmp_path / "a.jpg", tmp_path / "b.jpg").verdict is Verdict.DIFFERENT
