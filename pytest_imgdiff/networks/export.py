"""A SavedModel converted to ONNX, once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import ModelError, ModelUnavailableError
from pytest_imgdiff.base.files import write_atomically
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.networks.backends import in_one_line, quiet
from pytest_imgdiff.networks.tensorflow import image_function

if TYPE_CHECKING:
    from pathlib import Path

OPSET = 17
"""What ONNX Runtime has understood since 1.12."""


def export_onnx(saved_model: Path, target: Path) -> None:
    """Convert a SavedModel to an ONNX file that takes batches of any size.

    Args:
        saved_model: the SavedModel's folder.
        target: the file; written whole or not at all.

    Raises:
        ModelUnavailableError: TensorFlow, tf2onnx or onnx is not installed.
        ModelError: the model cannot be loaded or converted, or the file cannot be written.
    """
    onnx, tf2onnx = _imported()
    name = printable(str(saved_model))
    function = image_function(saved_model)
    with quiet():
        try:
            proto, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=OPSET)
            onnx.checker.check_model(proto)  # what ONNX does not have is left in it under its old name
            data: bytes = proto.SerializeToString()
        except Exception as error:  # an operation that ONNX does not have fails in many ways
            raise ModelError(f"{name}: the model cannot be converted to ONNX: {in_one_line(error)}") from error
    try:
        write_atomically(target, data)
    except OSError as error:
        raise ModelError(f"{printable(str(target))}: the ONNX file cannot be written: {error.strerror}") from error


def _imported() -> tuple[Any, Any]:
    with quiet():
        try:
            import onnx
            import tf2onnx
        except ImportError as error:
            raise ModelUnavailableError(
                f"a model is exported by TensorFlow, tf2onnx and onnx, of which one is missing ({error}); "
                "pip install 'pytest-imgdiff[tensorflow,export]'"
            ) from error
    # It reports its progress as warnings, and what it then raises, or the checker does, as errors.
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    return onnx, tf2onnx
