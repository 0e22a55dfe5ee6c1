"""Which model is asked, and how: what imgdiff.yaml says of it, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

FEATURE_VECTOR = "https://tfhub.dev/google/tf2-preview/mobilenet_v2/feature_vector/4"
CLASSIFICATION = "https://tfhub.dev/google/tf2-preview/mobilenet_v2/classification/4"
LABELS = "https://storage.googleapis.com/download.tensorflow.org/data/ImageNetLabels.txt"
"""The names of the 1001 classes that TensorFlow's models of ImageNet tell apart, one a line."""

Backend = Literal["auto", "tensorflow", "onnx"]
Resampling = Literal["bilinear", "nearest", "bicubic", "area", "lanczos"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """A model and how it is found and run; hashable, so that metrics with equal settings share one.

    Attributes:
        model: a handle of TensorFlow Hub (https) or Kaggle, a SavedModel folder, a ``.tar.gz`` of one, or an ``.onnx``
            file.
        input_size: width and height in pixels that pictures are resampled to.
        value_range: what black and white are to the model.
        resampling: how pictures are resampled; another method alone moves every distance.
        backend: what runs it; ``auto``: ONNX Runtime where the model is exported and onnxruntime installed, else
            TensorFlow.
        device: ``auto``, ``cpu`` or ``gpu:N``.
        threads: how many the backend may use; 0: its own choice.
        batch_size: how many pictures at once; 0: chosen for the device.
        cache: the folder of downloaded models; None: the user's own cache folder.
        download: whether a test run may download the model.
        connect_timeout: seconds that the server may keep silent: while it is connected to, and at any time afterwards.
        timeout: seconds for the whole download, and to wait for another process that downloads the same model.
        max_megabytes: the largest download and the largest unpacked model; a megabyte is 1,000,000 bytes.
    """

    model: str
    input_size: int = 224
    value_range: tuple[float, float] = (0.0, 1.0)
    resampling: Resampling = "bilinear"
    backend: Backend = "auto"
    device: str = "auto"
    threads: int = 0
    batch_size: int = 0
    cache: str | None = None
    download: bool = False
    connect_timeout: float = 10.0
    timeout: float = 300.0
    max_megabytes: float = 1000.0


@dataclass(frozen=True, slots=True)
class LocatedModel:
    """A model on this machine.

    Attributes:
        handle: what the settings call it.
        saved_model: its SavedModel folder, where there is one.
        onnx: its ONNX file, where it was exported or is nothing else.
        digest: SHA-256 over the SavedModel's files (or the ONNX file where there is no other): what results depend on.
    """

    handle: str
    saved_model: Path | None
    onnx: Path | None
    digest: str
