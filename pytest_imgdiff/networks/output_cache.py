"""Outputs of models on disk, so that a picture that was looked at once is not looked at again."""

from __future__ import annotations

import hashlib
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff.base.files import write_atomically
from pytest_imgdiff.base.opening import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_imgdiff.networks.backends import ChosenBackend

MOST_BYTES = 256 << 20
"""Some fifty thousand outputs of 1280 numbers."""

_MAGIC = b"imgdiff1"
_HEADER = struct.Struct("<8sI")
"""The magic, and how many numbers follow."""
_NUMBER = np.dtype("<f4")
_CHECKSUM_BYTES = 32
_SUFFIX = ".output"
_BETWEEN_PRUNINGS = 512
"""How many are stored between two looks at the folder's size."""
_AFTER_PRUNING = 0.8
"""Share of the limit that is left, so that the next looks find nothing to do."""


def key_of(model_input: NDArray[np.float32], model_digest: str, backend: ChosenBackend) -> str:
    """Return what an output depends on, as 64 hexadecimal digits.

    The picture's pixels, the backdrop and the preprocessing are all in the model's input, to the last bit.

    Args:
        model_input: (height, width, 3).
        model_digest: of the model's files.
        backend: what runs it: versions differ in their last digits.
    """
    key = hashlib.sha256(f"{model_digest}\n{backend.title}\n{model_input.shape}\n".encode())
    key.update(np.ascontiguousarray(model_input, _NUMBER).data)
    return key.hexdigest()


class EmbeddingCache:
    """A folder of outputs, one file each, shared by any number of processes.

    Files are written whole and renamed into place. Each holds a checksum over its key and its numbers: one that is
    damaged, or is not what its name says, is as good as none. When there is too much, what was used longest ago goes.

    Args:
        folder: where; made when the first output is stored.
        most_bytes: how large it may become (it is looked at now and then, and can be a few megabytes above).
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._stored = 0

    def get(self, key: str) -> NDArray[np.float32] | None:
        """Return the (d,) output stored under a key of `key_of`; None where there is none that is whole."""
        path = self._path(key)
        try:
            data = read_regular(path)
        except OSError:
            return None
        output = _decoded(key, data)
        if output is not None:
            with suppress(OSError):  # a folder that is only readable stays in its order
                path.touch()
        return output

    def put(self, key: str, output: NDArray[np.float32]) -> None:
        """Store a (d,) output.

        Raises:
            OSError: the disk is full, or the folder may not be written to.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what others can exchange is not trusted
        write_atomically(self._path(key), _encoded(key, output))
        with self._lock:
            look = self._stored % _BETWEEN_PRUNINGS == 0
            self._stored += 1
        if look:
            self._prune()

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key[2:]}{_SUFFIX}"

    def _prune(self) -> None:
        files = []
        for path in self._folder.glob(f"*/*{_SUFFIX}"):
            with suppress(FileNotFoundError):  # another process prunes too
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in files)
        if total <= self._most_bytes:
            return
        for _, size, path in sorted(files):
            if total <= self._most_bytes * _AFTER_PRUNING:
                break
            with suppress(OSError):
                path.unlink(missing_ok=True)
            total -= size


def _encoded(key: str, output: NDArray[np.float32]) -> bytes:
    numbers = np.ascontiguousarray(output, _NUMBER).tobytes()
    return _HEADER.pack(_MAGIC, output.size) + numbers + _checksum(key, numbers)


def _decoded(key: str, data: bytes) -> NDArray[np.float32] | None:
    if len(data) < _HEADER.size:
        return None
    magic, count = _HEADER.unpack_from(data)
    numbers, checksum = data[_HEADER.size : -_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if magic != _MAGIC or len(numbers) != count * _NUMBER.itemsize or checksum != _checksum(key, numbers):
        return None
    return np.frombuffer(numbers, _NUMBER).astype(np.float32, copy=False)


def _checksum(key: str, numbers: bytes) -> bytes:
    return hashlib.sha256(key.encode() + numbers).digest()
