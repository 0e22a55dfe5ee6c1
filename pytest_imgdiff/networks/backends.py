"""The interface of backends that run models, the choice of one, and the suppression of their log output."""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import IO, TYPE_CHECKING, Literal, Protocol

from pytest_imgdiff.base.errors import ModelUnavailableError
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.networks.locating import command

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from pytest_imgdiff.networks.settings import LocatedModel, ModelSettings


BackendName = Literal["tensorflow", "onnx"]

_MODULES: dict[BackendName, str] = {"tensorflow": "tensorflow", "onnx": "onnxruntime"}
_TITLES: dict[BackendName, str] = {"tensorflow": "TensorFlow", "onnx": "ONNX Runtime"}
_LONGEST_CAUSE = 300


class Backend(Protocol):
    """A loaded model. Its methods may be called from any thread, but only from one at a time.

    Attributes:
        device: the name of its device: ``CPU``, or the number and name of a GPU.
        notice: settings that could not be applied, such as a missing GPU; None if there are none.
        batch_size: the number of images in a batch that suits the device.
    """

    @property
    def device(self) -> str: ...  # noqa: D102 - described above
    @property
    def notice(self) -> str | None: ...  # noqa: D102 - the class says
    @property
    def batch_size(self) -> int: ...  # noqa: D102 - the class says

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the model's unchanged output.

        Args:
            batch: (n, height, width, 3) RGB in the model's value range.

        Raises:
            ModelError: the model cannot be run on it.
        """
        ...


@dataclass(frozen=True, slots=True)
class ChosenBackend:
    """The name and version of an installed backend; nothing of it is imported yet."""

    name: BackendName
    version: str

    @property
    def title(self) -> str:
        """Name and version for messages and for the keys of cached outputs: ``TensorFlow 2.21.0``."""
        return f"{_TITLES[self.name]} {self.version}"


def choose(settings: ModelSettings, model: LocatedModel) -> ChosenBackend:
    """Return the backend for the model, without importing it.

    Any installed distribution counts that brings the module ``tensorflow`` or ``onnxruntime``.

    Raises:
        ModelUnavailableError: the requested backend (or every one, if none was) is not installed, or the
            model does not exist in its format; the message names the model and the command.
    """
    usable: list[BackendName] = []
    lacking: list[str] = []
    wanted: tuple[BackendName, ...] = ("onnx", "tensorflow") if settings.backend == "auto" else (settings.backend,)
    for name in wanted:
        cause = _lacks(name, settings, model)
        if cause is None:
            usable.append(name)
        else:
            lacking.append(cause)
    if not usable:
        raise ModelUnavailableError(f"model {printable(model.handle)} cannot be run: {'; '.join(lacking)}")
    return ChosenBackend(usable[0], _version(_MODULES[usable[0]]))


def _lacks(name: BackendName, settings: ModelSettings, model: LocatedModel) -> str | None:
    """Return what the backend lacks to run the model, and the command that fixes it."""
    if (model.onnx if name == "onnx" else model.saved_model) is None:
        if name == "onnx":
            return f"it is not exported to ONNX (where TensorFlow is installed: {command('export', settings)})"
        return "there is no SavedModel of it for TensorFlow"
    if not _is_installed(_MODULES[name]):
        extra = "onnx" if name == "onnx" else "tensorflow"
        return f"{_TITLES[name]} is not installed (pip install 'pytest-imgdiff[{extra}]')"
    return None


def nothing_installed() -> str | None:
    """Return how to install a backend if none is installed."""
    if any(_is_installed(module) for module in _MODULES.values()):
        return None
    return "neither TensorFlow nor ONNX Runtime is installed (pip install 'pytest-imgdiff[tensorflow]')"


def _is_installed(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None  # a folder that an uninstall left behind has no origin


def _version(module: str) -> str:
    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:  # another build, such as tensorflow-cpu or onnxruntime-gpu
        distributions = metadata.packages_distributions().get(module, [])
        return metadata.version(distributions[0]) if distributions else "of unknown version"


def in_one_line(error: BaseException) -> str:
    """Return the first line of the message of a backend's exception."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return printable(text if len(text) <= _LONGEST_CAUSE else f"{text[:_LONGEST_CAUSE]} ...")


STANDARD_ERROR = 2

_ALONE = threading.RLock()
"""Two threads that replace and restore the descriptor in turns would lose it."""

_LOG_LINE = re.compile(
    rb"[IWEF]\d{4} [\d:. ]+"  # abseil: I0000 00:00:1795379377.566624   12019 port.cc:153] ...
    rb"|\d{4}-\d\d-\d\d [\d:. ]+: [IWEF] "  # TensorFlow: 2026-01-31 12:00:00.123456: I tensorflow/...
    rb"|.{0,10}\d{4}-\d\d-\d\d [\d:. ]+\[[IWEF]:onnxruntime:"
    rb"|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    rb"|To enable the following instructions: "
)


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Python warnings, and log lines that C++ code writes to file descriptor 2.

    Other output to it in the meantime, such as that of other threads, is written to it at the end. Meant for
    importing and loading: both the warning filters and the descriptor belong to the whole process.
    """
    with _ALONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            saved = os.dup(STANDARD_ERROR)
        except OSError:  # there is no standard error
            yield
            return
        with os.fdopen(saved, "wb", buffering=0) as stream, tempfile.TemporaryFile() as kept:
            os.dup2(kept.fileno(), STANDARD_ERROR)
            try:
                yield
            finally:
                os.dup2(stream.fileno(), STANDARD_ERROR)
                _write_the_rest(kept, stream)


def _write_the_rest(kept: IO[bytes], stream: IO[bytes]) -> None:
    kept.seek(0)
    for line in kept:
        if not _LOG_LINE.match(line):
            stream.write(line)
