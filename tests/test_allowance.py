"""How much is under way at once is bounded by memory, and nothing waits for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.memory import Allowance
from pytest_imgdiff.base.parallel import RunAhead
from pytest_imgdiff.comparison.engine import compare
from pytest_imgdiff.images import decoded_size, read
from tests.image_files import photograph, saved


@given(st.lists(st.integers(0, 200), min_size=1, max_size=30))
@settings(deadline=None)
def test_no_more_is_under_way_than_allowed_but_what_is_alone(sizes):
    allowance = Allowance(100)
    guard = threading.Lock()
    under_way: list[int] = []
    broken = []

    def work(index: int) -> int:
        with allowance.of(sizes[index]):
            with guard:
                under_way.append(sizes[index])
                if sum(under_way) > 100 and len([size for size in under_way if size]) > 1:
                    broken.append(list(under_way))
            with guard:
                under_way.remove(sizes[index])
        return index

    ahead = RunAhead(work, range(len(sizes)), 4)
    assert [ahead.result(index) for index in range(len(sizes))] == list(range(len(sizes)))
    ahead.close()
    assert not broken


@pytest.mark.skipif(sys.platform != "linux", reason="only there processes begin as copies")
def test_processes_share_what_is_allowed(tmp_path):
    script = """
import os, sys, time
from pathlib import Path
from pytest_imgdiff.base.memory import Allowance
from pytest_imgdiff.base.parallel import RunAhead
allowance = Allowance(100)
allowance.share()
folder = Path(sys.argv[1])

def work(number):
    with allowance.of(60):  # two of them are too much
        mark = folder / f"{os.getpid()}"
        mark.touch()
        together = len(list(folder.iterdir()))
        time.sleep(0.002)
        mark.unlink()
    return os.getpid(), together

ahead = RunAhead(work, range(32), 2, apart=True)
found = [ahead.result(number) for number in range(32)]
ahead.close()
print(len({process for process, _ in found}), max(together for _, together in found))
"""
    words = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert done.stdout.split() == ["2", "1"]


def test_what_fails_gives_its_share_back():
    allowance = Allowance(100)
    with pytest.raises(ZeroDivisionError), allowance.of(100):
        raise ZeroDivisionError
    with allowance.of(100):
        pass


@pytest.mark.parametrize(
    ("form", "pixels", "size"),
    [
        ("PNG", photograph(24, 32), 24 * 32 * 4),
        ("PNG", np.zeros((24, 32), np.uint16), 24 * 32 * 8),
        ("JPEG", photograph(24, 32), 24 * 32 * 4),
        ("WEBP", photograph(24, 32), 24 * 32 * 4),
        ("GIF", photograph(24, 32), 24 * 32 * 4),
        ("BMP", photograph(24, 32), 24 * 32 * 4),
    ],
)
def test_the_size_of_a_picture_is_known_from_its_header(form, pixels, size):
    assert decoded_size(read(saved(pixels, form))) == size


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"text", b"%!PS-Adobe-3.0"])
def test_what_has_no_header_has_no_size_and_raises_nothing(content):
    assert decoded_size(read(content)) == 0
    assert decoded_size(None) == 0


def test_a_large_pair_waits_for_room_and_a_small_one_does_not():
    pair = [np.zeros((300, 400, 3), np.uint8), np.full((300, 400, 3), 9, np.uint8)]
    encoded = [saved(pixels, "PNG") for pixels in pair]
    asked = []
    compare(*encoded, room=asked.append)
    assert asked == [2 * 2 * 300 * 400 * 4]
    allowance = Allowance(1 << 20)
    with allowance.of(1 << 20), allowance.of(1 << 10):  # a thousandth of the whole is not counted
        pass
