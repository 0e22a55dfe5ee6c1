"""ONNX files run by ONNX Runtime, without TensorFlow."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pytest_imgdiff.base.errors import ModelError, ModelUnavailableError
from tests.tiny_models import SIDE, WEIGHTS, onnx_file

pytest.importorskip("onnxruntime")

from pytest_imgdiff.networks.onnx import OnnxBackend

PICTURES = np.random.default_rng(2).random((5, SIDE, SIDE, 3), np.float32)


def test_a_batch_of_any_size_gives_a_row_for_each_picture(tmp_path):
    backend = OnnxBackend(onnx_file(tmp_path / "tiny.onnx"), device="cpu")
    assert backend.run(PICTURES) == pytest.approx(PICTURES.mean(axis=(1, 2)) @ WEIGHTS, abs=1e-5)
    assert backend.run(PICTURES[:1]).shape == (1, WEIGHTS.shape[1])
    assert backend.device == "CPU"
    assert backend.notice is None


def test_a_file_whose_name_is_not_ascii(tmp_path):
    assert OnnxBackend(onnx_file(tmp_path / "modèle ünïcode.onnx")).run(PICTURES).shape == (5, WEIGHTS.shape[1])


def test_a_gpu_that_is_not_there_is_told_and_the_cpu_taken(tmp_path):
    backend = OnnxBackend(onnx_file(tmp_path / "tiny.onnx"), device="gpu:93")
    assert backend.device == "CPU"
    assert "gpu:93" in backend.notice
    assert backend.run(PICTURES).shape == (5, WEIGHTS.shape[1])


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"type": 2}, "uint8"), ({"outputs": 2}, "features0, features1")],
)
def test_a_model_of_another_kind_is_refused_in_one_line(tmp_path, changes, says):
    with pytest.raises(ModelError, match=says) as caught:
        OnnxBackend(onnx_file(tmp_path / "tiny.onnx", **changes))
    assert "\n" not in str(caught.value)


def test_a_picture_of_another_size_is_refused_in_one_line(tmp_path):
    backend = OnnxBackend(onnx_file(tmp_path / "tiny.onnx"))
    with pytest.raises(ModelError, match="cannot run it") as caught:
        backend.run(np.zeros((1, SIDE + 1, SIDE, 3), np.float32))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", bytes(1000)])
def test_what_is_no_onnx_model_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "no.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"no\.onnx: this ONNX model cannot be loaded") as caught:
        OnnxBackend(path)
    assert "\n" not in str(caught.value)


def test_without_onnx_runtime_the_command_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelUnavailableError, match=r"pip install 'pytest-imgdiff\[onnx\]'"):
        OnnxBackend(tmp_path / "any.onnx")


def test_neither_tensorflow_nor_a_word_on_standard_error(tmp_path, root):
    path = onnx_file(tmp_path / "tiny.onnx")
    code = f"""if True:
        import sys, pathlib, numpy
        from pytest_imgdiff.networks.onnx import OnnxBackend
        OnnxBackend(pathlib.Path({str(path)!r}), device="gpu:0").run(numpy.zeros((1, {SIDE}, {SIDE}, 3), "f4"))
        print("tensorflow" in sys.modules)
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert (run.stdout.strip(), run.stderr) == ("False", "")
