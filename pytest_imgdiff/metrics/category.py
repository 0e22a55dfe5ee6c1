"""Whether a network trained on photographs classifies two images as the same kind of object."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np

from pytest_imgdiff.base.derived import on_worse_backdrop
from pytest_imgdiff.base.errors import MetricError, ModelError
from pytest_imgdiff.base.model import MetricGroup, MetricResult
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.networks.service import service_for
from pytest_imgdiff.networks.settings import CLASSIFICATION, FEATURE_VECTOR, ModelSettings, kind_of
from pytest_imgdiff.networks.store import labels_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.derived import Backdrop
    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.networks.service import InferenceService

Handle = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        description="a handle of TensorFlow Hub or Kaggle, a SavedModel folder, a .tar.gz of one, or an .onnx file",
        extra={"expects": "a handle of TensorFlow Hub or Kaggle, a SavedModel folder, a .tar.gz or an .onnx file"},
    ),
]
InputSize = Annotated[
    int, msgspec.Meta(ge=1, le=4096, description="side in pixels of the square that images are resampled to")
]
ValueRange = Annotated[
    tuple[float, float],
    msgspec.Meta(
        description="what black and white are to the model", extra={"expects": "two numbers such as [0, 1] or [-1, 1]"}
    ),
]
ResamplingName = Annotated[
    Literal["bilinear", "nearest", "bicubic", "area", "lanczos"],
    msgspec.Meta(description="how images are resampled; another method alone moves every value"),
]
BackendChoice = Annotated[
    Literal["auto", "tensorflow", "onnx"],
    msgspec.Meta(description="what runs the model; auto: ONNX Runtime where the model is exported, else TensorFlow"),
]
Device = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(auto|cpu|gpu:[0-9]{1,3})$",
        description="auto, cpu or gpu:N",
        extra={"expects": "auto, cpu, or a GPU such as gpu:0"},
    ),
]
Threads = Annotated[int, msgspec.Meta(ge=0, le=1024, description="how many the backend may use; 0: its own choice")]
BatchSize = Annotated[int, msgspec.Meta(ge=0, le=4096, description="how many images at once; 0: chosen for the device")]
FolderName = Annotated[str, msgspec.Meta(min_length=1, description="the folder of models and of what they gave")]
StoreUrl = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z][A-Za-z0-9+.-]+://(?![^/:]*:(?!\d+/).*@)[^?\s]+$",
        description="URL of a folder in a store where what the model gave is kept for all machines",
        extra={"expects": "a URL such as s3://bucket/outputs, without a user name, password or query"},
    ),
]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86400)]
Megabytes = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
LabelsFile = Annotated[
    str, msgspec.Meta(min_length=1, description="a text file with one label a line, in the order of the classes")
]
Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]


@dataclass(frozen=True, slots=True)
class _ModelMetric:
    """Base class of the metrics of this file, with the fields of `ModelSettings` as options."""

    model: Handle = FEATURE_VECTOR
    input_size: InputSize = 224
    value_range: ValueRange = (0.0, 1.0)
    resampling: ResamplingName = "bilinear"
    backend: BackendChoice = "auto"
    device: Device = "auto"
    threads: Threads = 0
    batch_size: BatchSize = 0
    cache: FolderName | None = None
    shared_cache: StoreUrl | None = None
    download: bool = False
    connect_timeout: Seconds = 10.0
    timeout: Seconds = 300.0
    max_megabytes: Megabytes = 1000.0

    path_options: ClassVar[tuple[str, ...]] = ("model", "cache")
    name: ClassVar[str]
    counts_pixels: ClassVar[bool] = False
    heat_threshold: ClassVar[Literal["none"]] = "none"
    plane_bytes: ClassVar[tuple[int, int]] = (0, 6)

    def __post_init__(self) -> None:
        low, high = self.value_range
        if not (np.isfinite(self.value_range).all() and low < high):
            raise ValueError("`value_range` must be two finite numbers, the smaller one first, such as [0, 1]")

    @property
    def settings(self) -> ModelSettings:
        """The model's part of the options; metrics with equal ones share one model and its outputs."""
        return ModelSettings(**{field.name: getattr(self, field.name) for field in fields(ModelSettings)})

    def _outputs(self, service: InferenceService, images: tuple[Image, Image], backdrop: Backdrop) -> list[Any]:
        try:
            return service.outputs(images, backdrop)
        except ModelError as error:
            raise MetricError(f"{self.name}: {error}") from error

    def prepare(self) -> str:
        """Find the model and its backend without loading them, before any image is read.

        Returns:
            The name and version of the backend, and the model's digest.

        Raises:
            ModelUnavailableError: one of them is not on this machine.
            ModelError: it cannot be used.
        """
        return service_for(self.settings).about()


def _facts(service: InferenceService) -> dict[str, Any]:
    """Return what a value depends on besides the images, and which settings could not be applied."""
    facts = {"backend": service.backend_title(), "device": service.device or "not needed: all was cached"}
    return {**facts, "notices": list(service.notices)} if service.notices else facts


@dataclass(frozen=True, slots=True)
class _EmbeddingDistance(_ModelMetric):
    """Base class of the two distances."""

    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    unit: ClassVar[str] = "distance"

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the distance of the two images' features.

        Ignored areas are the same gray in both images and are included.

        Returns:
            Details: ``features``, how many; ``backend``, its name and version; ``device``, what it runs on.

        Raises:
            MetricError: the model is missing, cannot be used, or gives no distance for these images.
        """
        del ignore
        service = service_for(self.settings)

        def on(backdrop: Backdrop) -> MetricResult:
            first, second = (
                output.astype(np.float64) for output in self._outputs(service, (expected, actual), backdrop)
            )
            details = {"features": first.size, **_facts(service)}
            return MetricResult(self._distance(first, second), self.unit, details=details)

        return on_worse_backdrop(expected, actual, self.direction, on)

    def _distance(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class EmbeddingCosine(_EmbeddingDistance):
    """``1 - a . b / (|a| |b|)`` of the features ``a`` and ``b`` that the model finds in the two images."""

    name: ClassVar[str] = "embedding_cosine"
    summary: ClassVar[str] = "angle between the features that a network finds"
    group: ClassVar[MetricGroup] = "content"
    usual_limit: ClassVar[float] = 0.1
    bounds: ClassVar[tuple[float, float]] = (0.0, 2.0)

    def _distance(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        # Scaled by their largest number first: squares of features may leave the range of floats.
        units = []
        for side, features in (("expected", first), ("actual", second)):
            largest = np.abs(features).max()
            if largest == 0:
                raise MetricError(
                    f"{self.name}: the model finds nothing in the {side} image (all features are 0), "
                    "and nothing has no direction; use embedding_euclidean or another model"
                )
            scaled = features / largest
            units.append(scaled / np.linalg.norm(scaled))
        # |u - v|^2 / 2 = 1 - u . v for unit vectors; it keeps its digits where they are nearly equal.
        return float(min(2.0, ((units[0] - units[1]) ** 2).sum() / 2))


@dataclass(frozen=True, slots=True)
class EmbeddingEuclidean(_EmbeddingDistance):
    """``|a - b|`` of the features ``a`` and ``b`` that the model finds in the two images."""

    name: ClassVar[str] = "embedding_euclidean"
    summary: ClassVar[str] = "distance of the features that a network finds"
    group: ClassVar[MetricGroup] = "content"
    usual_limit: ClassVar[float] = 10.0
    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))

    def _distance(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        return float(np.linalg.norm(first - second))


@dataclass(frozen=True, slots=True)
class Classification(_ModelMetric):
    """1 if the model assigns both images to the same class, else 0.

    Attributes:
        labels: a file with one label a line, in the order of the classes. Without it, a downloaded model uses the
            labels of ImageNet that ``models fetch`` stored in the cache, if their number equals that of its classes;
            other classes are reported by index.
        top_k: how many of each image's likeliest classes the details list.
        overlap: return the share of classes that are among the ``top_k`` likeliest of both, instead of comparing the
            likeliest one.
    """

    model: Handle = CLASSIFICATION
    labels: LabelsFile | None = None
    top_k: Count = 5
    overlap: Count | None = None

    path_options: ClassVar[tuple[str, ...]] = ("model", "cache", "labels")
    name: ClassVar[str] = "classification"
    summary: ClassVar[str] = "whether a network sees the same class"
    group: ClassVar[MetricGroup] = "content"
    usual_limit: ClassVar[float] = 1.0
    direction: ClassVar[Literal["similarity"]] = "similarity"
    perfect: ClassVar[float] = 1.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    unit: ClassVar[str] = "share"

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return whether, or how far, the model's classes agree.

        Ignored areas are the same gray in both images and are included.

        Returns:
            Details: ``expected`` and ``actual``, each the ``top_k`` likeliest classes, likeliest first, with ``class``
            (its index), ``label`` and ``probability``; ``backend``, its name and version; ``device``, what it runs on.

        Raises:
            MetricError: the model is missing or cannot be used, or the number of labels differs from that of classes.
        """
        del ignore
        service = service_for(self.settings)

        def on(backdrop: Backdrop) -> MetricResult:
            outputs = self._outputs(service, (expected, actual), backdrop)
            first, second = (_probabilities(output) for output in outputs)
            labels = self._labels(first.size)
            details = {"expected": self._likeliest(first, labels), "actual": self._likeliest(second, labels)}
            return MetricResult(self._agreement(first, second), self.unit, details={**details, **_facts(service)})

        return on_worse_backdrop(expected, actual, self.direction, on)

    def _agreement(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        most = self.overlap or 1
        if most >= first.size:  # any two images would have all of them in common
            raise MetricError(
                f"{self.name}: `overlap` is {most}, and the model knows {first.size} classes; compare fewer than all"
            )
        return len({*_ranking(first)[:most].tolist()} & {*_ranking(second)[:most].tolist()}) / most

    def _likeliest(self, probabilities: NDArray[np.float64], labels: tuple[str, ...]) -> list[dict[str, Any]]:
        return [
            {
                "class": int(index),
                "label": labels[index] if labels else f"class {index}",
                "probability": round(float(probabilities[index]), 6),
            }
            for index in _ranking(probabilities)[: self.top_k]
        ]

    def _labels(self, classes: int) -> tuple[str, ...]:
        if self.labels is None:
            return self._fetched_labels(classes)
        labels = _read_labels(Path(self.labels))
        if len(labels) != classes:
            raise MetricError(
                f"{self.name}: {printable(self.labels)} has {len(labels)} labels, and the model knows {classes} classes"
            )
        return labels

    def _fetched_labels(self, classes: int) -> tuple[str, ...]:
        if kind_of(self.model) not in ("address", "kaggle"):
            return ()
        try:
            file = labels_file(self.cache)
        except ModelError:  # then the model was not found there either: it is in TensorFlow Hub's own cache
            return ()
        labels = _read_labels(file) if file.is_file() else ()
        return labels if len(labels) == classes else ()


@functools.lru_cache(maxsize=16)
def _read_labels(path: Path) -> tuple[str, ...]:
    name = printable(str(path))
    try:
        text = read_regular(path).decode("utf-8-sig")
    except OSError as error:
        raise MetricError(f"classification: the labels {name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MetricError(f"classification: the labels {name} are no UTF-8 text: {error.reason}") from error
    return tuple(printable(line.strip()) for line in text.splitlines())


def _probabilities(output: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return probabilities: the output itself if it already is a distribution, else its softmax (logits)."""
    values = output.astype(np.float64)
    if values.min() >= 0 and abs(values.sum() - 1) < 1e-3:  # noqa: PLR2004 - what float16 leaves of a sum of 1
        return values
    powers = np.exp(values - values.max())
    probabilities: NDArray[np.float64] = powers / powers.sum()
    return probabilities


def _ranking(probabilities: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the classes, likeliest first; of equally likely ones that of the lower index."""
    return np.argsort(-probabilities, kind="stable")
