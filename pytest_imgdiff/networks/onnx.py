"""Exported models run by ONNX Runtime: a small package that starts in a fraction of a second."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff.base.errors import ModelError, ModelUnavailableError
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.networks.backends import in_one_line, quiet

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CPU_BATCH = 8
GPU_BATCH = 64

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_FATAL = 4
"""ONNX Runtime's log level: errors are raised as exceptions, and the rest is in `notice`."""


class OnnxBackend:
    """An ONNX file in ONNX Runtime; see `pytest_imgdiff.networks.backends.Backend`.

    Args:
        model: the file. It takes one ``float32`` batch (n, height, width, 3) of any size and gives one output.
        device: ``auto`` (the first CUDA device where this build of ONNX Runtime has one), ``cpu`` or ``gpu:N``.
        threads: how many one operation may use; 0: ONNX Runtime's choice.

    Raises:
        ModelUnavailableError: ONNX Runtime cannot be imported.
        ModelError: the file is not an ONNX model, or has other inputs or outputs.
    """

    def __init__(self, model: Path, device: str = "auto", threads: int = 0) -> None:
        self._model = printable(str(model))
        runtime = _imported()
        wanted = _wanted_gpu(runtime, device)
        with quiet():
            self._session = self._opened(runtime, model, wanted, threads)
        # A provider that cannot be loaded is dropped silently: the remaining ones show the device.
        self._gpu = wanted if _CUDA in self._session.get_providers() else None
        asked = device not in ("auto", "cpu")
        self.notice: str | None = (
            f"ONNX Runtime found no {device}: using the CPU" if asked and self._gpu is None else None
        )
        self._input = self._only_input()

    @property
    def device(self) -> str:
        """The name of the device that the model runs on."""
        return "CPU" if self._gpu is None else f"GPU {self._gpu} (CUDA)"

    @property
    def batch_size(self) -> int:
        """The number of images in a batch that suits the device."""
        return CPU_BATCH if self._gpu is None else GPU_BATCH

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the model's output for (n, height, width, 3) images.

        Raises:
            ModelError: ONNX Runtime cannot run it, for example because of the batch's shape or the device's memory.
        """
        try:
            return np.asarray(self._session.run(None, {self._input: batch})[0])
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise ModelError(f"{self._model}: ONNX Runtime cannot run it: {in_one_line(error)}") from error

    def _opened(self, runtime: Any, model: Path, gpu: int | None, threads: int) -> Any:
        options = runtime.SessionOptions()
        options.log_severity_level = _FATAL
        options.intra_op_num_threads = threads
        # TF32 would move a distance by more than backends may differ; a search for the fastest algorithm
        # at each new batch size would take longer than the batches.
        cuda = {"device_id": gpu, "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}
        providers = [_CPU] if gpu is None else [(_CUDA, cuda), _CPU]
        try:
            return runtime.InferenceSession(os.fspath(model), options, providers=providers)
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise ModelError(f"{self._model}: this ONNX model cannot be loaded: {in_one_line(error)}") from error

    def _only_input(self) -> str:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        for kind, values in (("input", inputs), ("output", outputs)):
            if len(values) != 1:
                named = ", ".join(value.name for value in values) or "nothing"
                raise ModelError(
                    printable(f"{self._model}: the model must have one {kind}, not {len(values)}: {named}")
                )
        if inputs[0].type != "tensor(float)":
            raise ModelError(f"{self._model}: the model takes {inputs[0].type}; it must take float32")
        return str(inputs[0].name)


def _imported() -> Any:
    with quiet():
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise ModelUnavailableError(
                f"ONNX Runtime is not installed ({error}); run pip install 'pytest-imgdiff[onnx]'"
            ) from error
        except Exception as error:  # a build for another system fails in many ways
            raise ModelUnavailableError(
                f"ONNX Runtime is installed but cannot be imported: {in_one_line(error)}"
            ) from error
    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()  # which would be kept in files of its own, and are not needed
    return onnxruntime


def _wanted_gpu(runtime: Any, device: str) -> int | None:
    if device == "cpu" or _CUDA not in runtime.get_available_providers():
        return None
    if hasattr(runtime, "preload_dlls"):  # since 1.21: finds CUDA in the packages of nvidia
        with quiet():
            runtime.preload_dlls()
    return 0 if device == "auto" else int(device.removeprefix("gpu:"))
