"""Models of a few numbers, made here: what a test needs to know of a model, without the weight of a trained one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_imgdiff.networks.backends import quiet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIDE = 8
FEATURES = 6
WEIGHTS = np.random.default_rng(5).normal(size=(3, FEATURES)).astype(np.float32)


def onnx_file(path: Path, **changes: Any) -> Path:
    """Write an ONNX model: the mean colour of each picture times WEIGHTS, or times other ones.

    Changes: ``weights``; ``shape`` and ``type`` of the input; ``after``, the name of an operation on the output;
    ``keep``, to leave the output's height and width; ``outputs``, how many.
    """
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node
    kind = changes.get("type", onnx.TensorProto.FLOAT)
    weights = changes.get("weights", WEIGHTS)
    nodes = [
        node("Cast", ["images"], ["floats"], to=onnx.TensorProto.FLOAT),
        node("ReduceMean", ["floats"], ["means"], axes=[1, 2], keepdims=int(changes.get("keep", False))),
        node("MatMul", ["means", "weights"], ["products"]),
    ]
    nodes += [
        node(changes.get("after", "Identity"), ["products"], [f"features{i}"]) for i in range(changes.get("outputs", 1))
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "tiny",
        [onnx.helper.make_tensor_value_info("images", kind, changes.get("shape", ["n", SIDE, SIDE, 3]))],
        [
            onnx.helper.make_tensor_value_info(f"features{i}", onnx.TensorProto.FLOAT, None)
            for i in range(changes.get("outputs", 1))
        ],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def saved_model(
    folder: Path,
    compute: Callable[[Any, Any], Any] | None = None,
    *,
    dtype: str = "float32",
    shape: tuple[int | None, ...] = (None, SIDE, SIDE, 3),
    signature: str | None = None,
) -> Path:
    """Write a SavedModel of ``compute(tf, images)``, or of what `onnx_file` computes where that is omitted.

    It is an object that can be called, as the models of TF Hub are, or has the named signature and nothing else.
    """
    tf = pytest.importorskip("tensorflow")
    model = tf.Module()
    model.weights = tf.Variable(WEIGHTS)

    def products(tf: Any, images: Any) -> Any:
        return tf.linalg.matmul(tf.reduce_mean(images, axis=[1, 2]), model.weights)

    @tf.function(input_signature=[tf.TensorSpec(shape, getattr(tf, dtype), name="images")])
    def run(images: Any) -> Any:
        return (compute or products)(tf, images)

    with quiet():
        if signature is None:
            model.__call__ = run
            tf.saved_model.save(model, str(folder))
        else:
            tf.saved_model.save(model, str(folder), signatures={signature: run})
    return folder
