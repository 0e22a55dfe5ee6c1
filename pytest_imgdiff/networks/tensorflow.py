"""SavedModels in TensorFlow, and their conversion to ONNX."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff.base.errors import ModelError, ModelUnavailableError
from pytest_imgdiff.base.files import write_atomically
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.networks.backends import in_one_line, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

CPU_BATCH = 8
GPU_BATCH = 64

_SIGNATURE = "serving_default"
_HUB_SIGNATURE = "default"
_HUB_FORMAT = "tfhub_module.pb"
"""The file that marks a model of TensorFlow Hub's first format, for TensorFlow 1."""
_IMAGE_AXES = 4


class TensorFlowBackend:
    """A SavedModel in TensorFlow; see `pytest_imgdiff.networks.backends.Backend`.

    Args:
        saved_model: its folder.
        device: ``auto`` (the first GPU where there is one), ``cpu`` or ``gpu:N``. GPU memory is allocated on
            demand, unless TensorFlow was used before in this process.
        threads: how many one operation may use; 0: TensorFlow's choice.

    Raises:
        ModelUnavailableError: TensorFlow cannot be imported.
        ModelError: the folder has no SavedModel that takes images.
    """

    def __init__(self, saved_model: Path, device: str = "auto", threads: int = 0) -> None:
        self._tensorflow = _imported()
        notices = [_with_threads(self._tensorflow, threads)]
        self._gpu, notice = _gpu(self._tensorflow, device)
        self.notice: str | None = "; ".join(filter(None, [*notices, notice])) or None
        with quiet(), self._placed():
            self._function = image_function(saved_model)
        self._model = printable(str(saved_model))

    @property
    def device(self) -> str:
        """The name of the device that the model runs on."""
        if self._gpu is None:
            return "CPU"
        details = self._tensorflow.config.experimental.get_device_details(self._gpus()[self._gpu])
        return f"GPU {self._gpu} ({details.get('device_name', 'of unknown name')})"

    @property
    def batch_size(self) -> int:
        """The number of images in a batch that suits the device."""
        return CPU_BATCH if self._gpu is None else GPU_BATCH

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the model's output for (n, height, width, 3) images.

        Raises:
            ModelError: TensorFlow cannot run it, for example because of the batch's shape or the device's memory.
        """
        tf = self._tensorflow
        try:
            with self._placed(), _full_precision(tf, needed=self._gpu is not None):
                return np.asarray(self._function(tf.constant(batch)).numpy())
        except Exception as error:  # TensorFlow's errors have no common class
            raise ModelError(f"{self._model}: TensorFlow cannot run it: {in_one_line(error)}") from error

    def _gpus(self) -> list[Any]:
        return list(self._tensorflow.config.list_physical_devices("GPU"))

    def _placed(self) -> AbstractContextManager[Any]:
        place: AbstractContextManager[Any] = self._tensorflow.device(
            "/CPU:0" if self._gpu is None else f"/GPU:{self._gpu}"
        )
        return place


def image_function(saved_model: Path) -> Any:
    """Return a SavedModel as a ``tf.function`` from one batch of images to one output.

    It is the loaded object itself if it is callable, as TF Hub's models are, else its signature
    ``serving_default``, or ``default`` in TensorFlow Hub's first format. The input's height and width are the model's
    own; the batch may have any size.

    Raises:
        ModelUnavailableError: TensorFlow cannot be imported.
        ModelError: there is no SavedModel, or it does not take one batch of RGB floats and give one output.
    """
    tf = _imported()
    name = printable(str(saved_model))
    load = _hub_loader(name) if (saved_model / _HUB_FORMAT).is_file() else tf.saved_model.load
    with quiet():
        try:
            model = load(os.fspath(saved_model))
        except Exception as error:  # a damaged one fails in many ways
            raise ModelError(f"{name}: this SavedModel cannot be loaded: {in_one_line(error)}") from error
        call = _call(model, name)
        spec = _image_spec(tf, model, name)

        @tf.function(input_signature=[spec], autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow ships no types
        def images_to_output(images: Any) -> Any:
            return _only_output(call(images), name)

        images_to_output.saved_model = model  # its variables live as long as it does
        try:
            images_to_output.get_concrete_function()
        except ModelError:
            raise
        except Exception as error:  # a model may fail in any way on what it was not made for
            raise ModelError(f"{name}: the model does not accept a batch of images: {in_one_line(error)}") from error
    return images_to_output


def _imported() -> Any:
    # The level has to be set before the library is loaded; a user's own choice is kept.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet():
        try:
            import tensorflow as tf
        except ModuleNotFoundError as error:
            raise ModelUnavailableError(
                f"TensorFlow is not installed ({error}); run pip install 'pytest-imgdiff[tensorflow]'"
            ) from error
        except Exception as error:  # a build for another processor or NumPy fails in many ways
            raise ModelUnavailableError(
                f"TensorFlow is installed but cannot be imported: {in_one_line(error)}"
            ) from error
    return tf


def _hub_loader(name: str) -> Any:
    with quiet():
        try:
            import tensorflow_hub
        except ImportError as error:  # it also imports tf-keras, and pkg_resources of setuptools before 82
            raise ModelUnavailableError(
                f"{name}: this is a model of TensorFlow Hub's first format, and tensorflow-hub cannot be imported "
                f"({in_one_line(error)}); pip install 'pytest-imgdiff[tensorflow]'"
            ) from error
    return tensorflow_hub.load


def _with_threads(tf: Any, threads: int) -> str | None:
    if not threads:
        return None
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        if tf.config.threading.get_intra_op_parallelism_threads() != threads:
            return "TensorFlow was running before `threads` could be set"
    return None


def _gpu(tf: Any, device: str) -> tuple[int | None, str | None]:
    """Return the index of the GPU to use, or None for the CPU, and a notice if it is not the requested one."""
    if device == "cpu":
        return None, None
    with quiet():
        gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with suppress(RuntimeError):  # an earlier use of TensorFlow in this process has decided this
            tf.config.experimental.set_memory_growth(gpu, enable=True)
    wanted = 0 if device == "auto" else int(device.removeprefix("gpu:"))
    if wanted < len(gpus):
        return wanted, None
    return None, None if device == "auto" else f"TensorFlow found no {device}: using the CPU"


@contextmanager
def _full_precision(tf: Any, *, needed: bool) -> Iterator[None]:
    """Compute in float32, not in TF32, whose 10 bits change a distance by more than backends may differ."""
    precision = tf.config.experimental
    before = precision.tensor_float_32_execution_enabled()
    if needed:
        precision.enable_tensor_float_32_execution(enabled=False)
    try:
        yield
    finally:
        precision.enable_tensor_float_32_execution(enabled=before)


def _call(model: Any, name: str) -> Any:
    if callable(model):
        return model
    signature = _signature(model)
    if signature is None:
        there = ", ".join(sorted(model.signatures)) or "none"
        raise ModelError(f"{name}: the SavedModel cannot be called and has no signature {_SIGNATURE} (has: {there})")
    inputs = list(signature.structured_input_signature[1])
    if len(inputs) != 1:
        raise ModelError(f"{name}: its signature takes {', '.join(inputs) or 'nothing'}, not one batch")
    return lambda images: signature(**{inputs[0]: images})


def _signature(model: Any) -> Any:
    signatures = getattr(model, "signatures", {})
    return next((signatures[name] for name in (_SIGNATURE, _HUB_SIGNATURE) if name in signatures), None)


def _image_spec(tf: Any, model: Any, name: str) -> Any:
    """Return the model's input signature, with any batch size."""
    given = [spec for spec in _inputs(model) if isinstance(spec, tf.TensorSpec)]
    if not given:
        return tf.TensorSpec([None, None, None, 3], tf.float32, name="images")
    spec = given[0]
    if spec.dtype != tf.float32:
        raise ModelError(f"{name}: the model takes {spec.dtype.name}; it must take float32")
    shape = [None] * _IMAGE_AXES if spec.shape.rank is None else spec.shape.as_list()
    if len(shape) != _IMAGE_AXES or shape[3] not in (3, None):
        raise ModelError(f"{name}: the model takes {spec.shape}, not a batch of images (n, height, width, 3)")
    return tf.TensorSpec([None, *shape[1:3], 3], tf.float32, name="images")


def _inputs(model: Any) -> list[Any]:
    functions = list(getattr(getattr(model, "__call__", None), "concrete_functions", []))  # noqa: B004 - an attribute
    signature = _signature(model)
    functions += [] if signature is None else [signature]
    if not functions:
        return []
    positional, named = functions[0].structured_input_signature
    return [*positional, *named.values()]


def _only_output(output: Any, name: str) -> Any:
    if not isinstance(output, dict):
        return output
    if len(output) != 1:
        raise ModelError(
            f"{name}: the model returns {', '.join(sorted(output)) or 'nothing'}, but must return one output"
        )
    return next(iter(output.values()))


# ---- Export to ONNX


OPSET = 17
"""The opset that ONNX Runtime supports since 1.12."""


def export_onnx(saved_model: Path, target: Path) -> None:
    """Convert a SavedModel to an ONNX file that takes batches of any size.

    Args:
        saved_model: the SavedModel's folder.
        target: the file; written whole or not at all.

    Raises:
        ModelUnavailableError: TensorFlow, tf2onnx or onnx is not installed.
        ModelError: the model cannot be loaded or converted, or the file cannot be written.
    """
    onnx, tf2onnx = _converters()
    name = printable(str(saved_model))
    function = image_function(saved_model)
    with quiet():
        try:
            proto, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=OPSET)
            onnx.checker.check_model(proto)  # unsupported operations are left in it under their old names
            data: bytes = proto.SerializeToString()
        except Exception as error:  # an operation that ONNX does not have fails in many ways
            raise ModelError(f"{name}: the model cannot be converted to ONNX: {in_one_line(error)}") from error
    try:
        write_atomically(target, data)
    except OSError as error:
        raise ModelError(f"{printable(str(target))}: the ONNX file cannot be written: {error.strerror}") from error


def _converters() -> tuple[Any, Any]:
    with quiet():
        try:
            import onnx
            import tf2onnx
        except ImportError as error:
            raise ModelUnavailableError(
                f"a model is exported by TensorFlow, tf2onnx and onnx, but one is missing ({error}); "
                "pip install 'pytest-imgdiff[tensorflow,export]'"
            ) from error
    # It reports its progress as warnings, and what it then raises, or the checker does, as errors.
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    return onnx, tf2onnx
