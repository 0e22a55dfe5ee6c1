"""The settings of models as data, and the handles that identify models."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pytest_imgdiff.base.errors import ModelError, ModelUnavailableError
from pytest_imgdiff.base.text import printable

FEATURE_VECTOR = "https://tfhub.dev/google/tf2-preview/mobilenet_v2/feature_vector/4"
CLASSIFICATION = "https://tfhub.dev/google/tf2-preview/mobilenet_v2/classification/4"
LABELS = "https://storage.googleapis.com/download.tensorflow.org/data/ImageNetLabels.txt"
"""The names of the 1001 classes of TensorFlow's ImageNet models, one per line."""

Backend = Literal["auto", "tensorflow", "onnx"]
Resampling = Literal["bilinear", "nearest", "bicubic", "area", "lanczos"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """A model and how it is found and run; hashable, so that metrics with equal settings share one.

    Attributes:
        model: a handle of TensorFlow Hub (https) or Kaggle, a SavedModel folder, a ``.tar.gz`` of one, or an ``.onnx``
            file.
        input_size: width and height in pixels that images are resampled to.
        value_range: the model's values of black and white.
        resampling: how images are resampled; another method changes every distance.
        backend: ``auto``: ONNX Runtime if the model is exported and onnxruntime installed, else TensorFlow.
        device: ``auto``, ``cpu`` or ``gpu:N``.
        threads: the number that the backend may use; 0: its own choice.
        batch_size: the number of images in a batch; 0: chosen for the device.
        cache: the folder of downloaded models; None: the user's own cache folder.
        shared_cache: URL of a folder in a store where outputs are cached for all machines; None: on this machine only.
        download: whether a test run may download the model.
        connect_timeout: seconds without data from the server, while connecting and at any time afterwards.
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
    shared_cache: str | None = None
    download: bool = False
    connect_timeout: float = 10.0
    timeout: float = 300.0
    max_megabytes: float = 1000.0


@dataclass(frozen=True, slots=True)
class LocatedModel:
    """A model on this machine.

    Attributes:
        handle: its name in the settings.
        saved_model: its SavedModel folder, if there is one.
        onnx: its ONNX file, if it was exported or has no other form.
        digest: SHA-256 over the SavedModel's files (or the ONNX file if there is no other); results depend on it.
    """

    handle: str
    saved_model: Path | None
    onnx: Path | None
    digest: str


Kind = Literal["address", "kaggle", "folder", "archive", "onnx"]

_KAGGLE = re.compile(r"[\w-]+/[\w.-]+/tensorflow[12]/[\w.-]+(/[0-9]+)?", re.ASCII | re.IGNORECASE)
"""Owner, model, framework, variation and version. Other frameworks have no SavedModels."""

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar")


def kind_of(handle: str) -> Kind:
    """Return the type of the handle.

    Raises:
        ModelError: it is none of these kinds.
        ModelUnavailableError: it names a file or folder that does not exist.
    """
    if "://" in handle:
        check_address(handle)
        return "address"
    path = Path(handle)
    if handle and path.is_dir():
        return "folder"
    if is_of_kaggle(handle):
        return "kaggle"
    if not handle or not path.exists():
        raise ModelUnavailableError(
            f"model {printable(handle)!r}: no such file or folder; pass its path, the https:// URL of "
            "a model of TensorFlow Hub, or OWNER/MODEL/tensorFlow2/VARIATION/VERSION of Kaggle"
        )
    if path.is_file() and handle.lower().endswith(ARCHIVE_SUFFIXES):
        return "archive"
    if path.is_file() and handle.lower().endswith(".onnx"):
        return "onnx"
    raise ModelError(
        f"model {printable(handle)}: neither a SavedModel folder nor a file called .tar.gz, .tgz, .tar or .onnx"
    )


def is_of_kaggle(handle: str) -> bool:
    """Whether the handle has the form of a TensorFlow model of Kaggle; a local folder of that name has priority."""
    return _KAGGLE.fullmatch(handle) is not None


def check_address(address: str) -> None:
    """Reject a URL that is not https; http is allowed for the loopback interface only.

    Raises:
        ModelError: it is not such a URL.
    """
    if not address.isascii() or not address.isprintable() or " " in address:
        raise ModelError(f"model {printable(address)}: a URL must not contain spaces or non-ASCII characters")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ModelError(f"model {address}: not a valid URL: {error}") from error
    if "@" in parts.netloc:
        raise ModelError(f"model {parts.scheme}://...@{host}: a URL must not contain a user name or password")
    if not host:
        raise ModelError(f"model {address}: the URL has no host")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ModelError(f"model {address}: only https:// URLs are allowed")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
