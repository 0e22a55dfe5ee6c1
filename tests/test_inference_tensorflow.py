"""SavedModels run by the real TensorFlow, and exported from it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pytest_imgdiff.base.errors import ModelError, ModelUnavailableError
from pytest_imgdiff.networks.backends import quiet
from pytest_imgdiff.networks.tensorflow import TensorFlowBackend, export_onnx
from tests.tiny_models import SIDE, WEIGHTS, saved_model

PICTURES = np.random.default_rng(2).random((5, SIDE, SIDE, 3), np.float32)
OUTPUTS = PICTURES.mean(axis=(1, 2)) @ WEIGHTS


@pytest.fixture(scope="module", autouse=True)
def _tensorflow():
    """Import it when a test runs: processes that only collect these tests do not wait for it."""
    with quiet():
        pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("models") / "tiny")


def test_a_model_that_can_be_called(tiny):
    backend = TensorFlowBackend(tiny, device="cpu")
    assert backend.run(PICTURES) == pytest.approx(OUTPUTS, abs=1e-5)
    assert backend.run(PICTURES[:1]).shape == (1, WEIGHTS.shape[1])
    assert backend.device == "CPU"


def test_a_model_that_has_a_signature_only(tmp_path):
    backend = TensorFlowBackend(saved_model(tmp_path / "model", signature="serving_default"))
    assert backend.run(PICTURES) == pytest.approx(OUTPUTS, abs=1e-5)


def first_format(folder):
    """Write a model as TensorFlow Hub had them for TensorFlow 1: graphs without tags and for training, one mark."""
    import tensorflow as tf

    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(folder))
    for tags in ([], ["train"]):
        with quiet(), v1.Graph().as_default(), v1.Session() as session:
            images = v1.placeholder(tf.float32, (None, SIDE, SIDE, 3), name="images")
            weights = v1.get_variable("weights", initializer=WEIGHTS, use_resource=True)
            features = tf.linalg.matmul(tf.reduce_mean(images, axis=[1, 2]), weights)
            session.run(v1.global_variables_initializer())
            signature = v1.saved_model.predict_signature_def({"images": images}, {"default": features})
            if tags:
                builder.add_meta_graph(tags, signature_def_map={"default": signature})
            else:
                builder.add_meta_graph_and_variables(session, tags, signature_def_map={"default": signature})
    builder.save()
    (folder / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return folder


def test_a_model_of_the_first_format_is_loaded_by_tensorflow_hub(tmp_path):
    backend = TensorFlowBackend(first_format(tmp_path / "model"), device="cpu")
    assert backend.run(PICTURES) == pytest.approx(OUTPUTS, abs=1e-5)


def test_without_tensorflow_hub_the_extra_is_named(tmp_path, tiny, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tfhub_module.pb").write_bytes(b"\x08\x03")
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)
    with pytest.raises(
        ModelUnavailableError, match=r"tensorflow-hub cannot be imported .*pytest-imgdiff\[tensorflow\]"
    ):
        TensorFlowBackend(tmp_path / "model", device="cpu")
    assert TensorFlowBackend(tiny, device="cpu").run(PICTURES).shape == OUTPUTS.shape  # which needs it for nothing


def test_a_model_that_names_its_one_output(tmp_path):
    def named(tf, images):
        return {"features": tf.reduce_mean(images, axis=[1, 2])}

    assert TensorFlowBackend(saved_model(tmp_path / "model", named)).run(PICTURES).shape == (5, 3)


def test_a_gpu_that_is_not_there_is_told_and_the_cpu_taken(tiny):
    backend = TensorFlowBackend(tiny, device="gpu:93")
    assert backend.device == "CPU"
    assert "gpu:93" in backend.notice
    assert backend.run(PICTURES) == pytest.approx(OUTPUTS, abs=1e-5)


def two_outputs(tf, images):
    return {"low": tf.reduce_min(images, axis=[1, 2]), "high": tf.reduce_max(images, axis=[1, 2])}


def of_bytes(tf, images):
    return tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2])


@pytest.mark.parametrize(
    ("compute", "changes", "says"),
    [
        (None, {"signature": "train"}, r"has no signature serving_default \(has: train\)"),
        (two_outputs, {}, "high, low"),
        (of_bytes, {"dtype": "uint8"}, "uint8"),
        (of_bytes, {"shape": (None, SIDE, SIDE)}, r"not a batch of images \(n, height, width, 3\)"),
        (of_bytes, {"shape": (None, SIDE, SIDE, 1)}, r"not a batch of images \(n, height, width, 3\)"),
    ],
)
def test_a_model_of_another_kind_is_refused_in_one_line(tmp_path, compute, changes, says):
    folder = saved_model(tmp_path / "model", compute, **changes)
    with pytest.raises(ModelError, match=says) as caught:
        TensorFlowBackend(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["no folder", "empty folder", "garbage", "no variables"])
def test_what_is_no_saved_model_is_refused_in_one_line(tmp_path, tiny, damage):
    folder = tmp_path / "model"
    if damage != "no folder":
        folder.mkdir()
    if damage == "garbage":
        (folder / "saved_model.pb").write_bytes(b"<html>404</html>")
    if damage == "no variables":
        (folder / "saved_model.pb").write_bytes((tiny / "saved_model.pb").read_bytes())
    with pytest.raises(ModelError, match="this SavedModel cannot be loaded") as caught:
        TensorFlowBackend(folder)
    assert "\n" not in str(caught.value)


def test_a_picture_of_another_size_is_refused_in_one_line(tiny):
    with pytest.raises(ModelError, match="cannot run it") as caught:
        TensorFlowBackend(tiny).run(np.zeros((1, SIDE + 1, SIDE, 3), np.float32))
    assert "\n" not in str(caught.value)


def test_a_model_exported_once_gives_the_same_without_tensorflow(tmp_path, tiny):
    pytest.importorskip("onnxruntime")
    from pytest_imgdiff.networks.onnx import OnnxBackend

    target = tmp_path / "new" / "tiny.onnx"
    export_onnx(tiny, target)
    backend = OnnxBackend(target, device="cpu")
    assert backend.run(PICTURES) == pytest.approx(OUTPUTS, abs=1e-5)
    assert backend.run(PICTURES[:2]).shape == (2, WEIGHTS.shape[1])
    assert [path.name for path in target.parent.iterdir()] == ["tiny.onnx"]


def test_a_model_with_a_signature_only_is_exported_too(tmp_path):
    pytest.importorskip("onnxruntime")
    from pytest_imgdiff.networks.onnx import OnnxBackend

    folder = saved_model(tmp_path / "model", signature="serving_default")
    export_onnx(folder, tmp_path / "tiny.onnx")
    assert OnnxBackend(tmp_path / "tiny.onnx").run(PICTURES) == pytest.approx(OUTPUTS, abs=1e-5)


def test_what_cannot_be_converted_leaves_nothing_behind(tmp_path):
    def bessel(tf, images):  # an operation that ONNX does not have
        return tf.math.bessel_i0(tf.reduce_mean(images, axis=[1, 2]))

    folder = saved_model(tmp_path / "model", bessel)
    target = tmp_path / "export" / "model.onnx"
    target.parent.mkdir()
    with pytest.raises(ModelError, match=r"cannot be converted to ONNX.*BesselI0") as caught:
        export_onnx(folder, target)
    assert "\n" not in str(caught.value)
    assert list(target.parent.iterdir()) == []


def test_an_export_that_cannot_be_written_is_told(tmp_path, tiny):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be written"):
        export_onnx(tiny, tmp_path / "file" / "tiny.onnx")


@pytest.mark.parametrize("missing", ["tf2onnx", "onnx"])
def test_without_the_converter_the_command_is_told(tmp_path, tiny, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModelUnavailableError, match=r"pip install 'pytest-imgdiff\[tensorflow,export\]'"):
        export_onnx(tiny, tmp_path / "tiny.onnx")


def test_without_tensorflow_the_command_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ModelUnavailableError, match=r"pip install 'pytest-imgdiff\[tensorflow\]'"):
        TensorFlowBackend(tmp_path)


def test_tensorflow_is_loaded_without_a_word_where_warnings_are_errors(tiny, root):
    code = f"""if True:
        import pathlib, numpy, sys
        from pytest_imgdiff.networks.tensorflow import TensorFlowBackend
        assert "tensorflow" not in sys.modules
        backend = TensorFlowBackend(pathlib.Path({str(tiny)!r}), threads=1)
        print(backend.run(numpy.zeros((1, {SIDE}, {SIDE}, 3), "f4")).shape, backend.notice)
    """
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert (run.stdout.strip(), run.stderr) == (f"(1, {WEIGHTS.shape[1]}) None", "")


def test_quiet_gives_standard_error_back_whichever_thread_ends_first(capfd):
    def silence(seconds):
        with quiet():
            time.sleep(seconds)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(silence, (0.05, 0.01, 0.03, 0.02)))
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_quiet_keeps_what_is_no_log_line(capfd):
    with quiet():
        os.write(2, b"I0000 00:00:1795379377.566624   12019 port.cc:153] oneDNN custom operations are on\nSegfault?\n")
        os.write(2, b"2026-01-31 12:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "Segfault?\nafter\n"
