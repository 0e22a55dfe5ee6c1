"""Outputs on disk: whole or not at all, bounded, shared by processes."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.networks.backends import ChosenBackend
from pytest_imgdiff.networks.service import EmbeddingCache, key_of

BACKEND = ChosenBackend("onnx", "1.32.0")
OUTPUT = np.random.default_rng(1).normal(size=1280).astype(np.float32)


def key(number: int = 0) -> str:
    return key_of(np.full((2, 2, 3), number, np.float32), "model", BACKEND)


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_was_stored_is_read_again_to_the_last_bit(tmp_path):
    cache = EmbeddingCache(tmp_path / "cache")
    assert cache.get(key()) is None
    assert not (tmp_path / "cache").exists()
    cache.put(key(), OUTPUT)
    again = EmbeddingCache(tmp_path / "cache").get(key())
    assert again.dtype == np.float32
    assert np.array_equal(again, OUTPUT)


def test_an_output_depends_on_the_picture_the_model_and_what_runs_it():
    picture = np.zeros((2, 2, 3), np.float32)
    moved = picture.copy()
    moved[0, 0, 0] = np.nextafter(np.float32(0), np.float32(1))
    keys = [
        key_of(picture, "model", BACKEND),
        key_of(moved, "model", BACKEND),
        key_of(picture.reshape(1, 4, 3), "model", BACKEND),
        key_of(picture, "another", BACKEND),
        key_of(picture, "model", ChosenBackend("onnx", "1.33.0")),
        key_of(picture, "model", ChosenBackend("tensorflow", "1.32.0")),
    ]
    assert len(set(keys)) == len(keys)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_no_output_and_is_replaced(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cache")
    cache = EmbeddingCache(folder)
    cache.put(key(), OUTPUT[:4])
    [path] = files(folder)
    whole = path.read_bytes()
    if data.draw(st.booleans(), "cut"):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        place = data.draw(st.integers(0, len(whole) - 1))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :])
    assert cache.get(key()) is None
    cache.put(key(), OUTPUT[:4])
    assert path.read_bytes() == whole


def test_the_output_of_another_picture_is_not_taken_for_this_ones(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.put(key(0), OUTPUT)
    [path] = files(tmp_path)
    cache.put(key(1), OUTPUT + 1)
    [other] = set(files(tmp_path)) - {path}
    other.write_bytes(path.read_bytes())
    assert cache.get(key(1)) is None


def test_what_was_used_longest_ago_goes_when_there_is_too_much(tmp_path):
    cache = EmbeddingCache(tmp_path)
    for number in range(20):
        cache.put(key(number), OUTPUT)
    for path in files(tmp_path):
        os.utime(path, (1_000_000, 1_000_000))
    size = files(tmp_path)[0].stat().st_size
    assert cache.get(key(7)) is not None  # is used now
    EmbeddingCache(tmp_path, most_bytes=10 * size).put(key(20), OUTPUT)
    assert len(files(tmp_path)) == 8
    assert EmbeddingCache(tmp_path).get(key(7)) is not None
    assert EmbeddingCache(tmp_path).get(key(20)) is not None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no modes")
def test_nobody_else_can_put_outputs_there(tmp_path):
    before = os.umask(0)
    try:
        EmbeddingCache(tmp_path / "cache").put(key(), OUTPUT)
    finally:
        os.umask(before)
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


WRITER = """
import sys
from pathlib import Path
from tests.test_inference_cache import OUTPUT, key
from pytest_imgdiff.networks.service import EmbeddingCache
cache = EmbeddingCache(Path(sys.argv[1]), most_bytes=50_000)
for turn in range(4):
    for number in range(25):
        found = cache.get(key(number))
        assert found is None or (found == OUTPUT + number).all()
        cache.put(key(number), OUTPUT + number)
"""


def test_several_processes_write_and_prune_one_folder(tmp_path, root):
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], cwd=root) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    found = [EmbeddingCache(tmp_path).get(key(number)) for number in range(25)]
    assert any(output is not None for output in found)
    assert all(output is None or np.array_equal(output, OUTPUT + number) for number, output in enumerate(found))
    assert all(path.suffix == ".output" for path in files(tmp_path))
