"""One model for all threads of a process, which runs once for each distinct image.

Outputs are cached on disk for other processes, and in a store for other machines, which then need not run the model.
"""

from __future__ import annotations

import functools
import hashlib
import struct
import sys
import threading
import time
from collections import OrderedDict, deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import cv2
import numpy as np
import PIL.Image
from PIL.Image import Resampling as Filter

from pytest_imgdiff.base.derived import full_value
from pytest_imgdiff.base.errors import BrokenImageError, ConfigError, ImgdiffError, ModelError
from pytest_imgdiff.base.files import write_atomically
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.stores import MISSING, StoredFile, opened, time_limit
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.networks import locate
from pytest_imgdiff.networks.backends import choose
from pytest_imgdiff.networks.store import cache_folder, distrust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_imgdiff.base.derived import Backdrop
    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.networks.backends import Backend, ChosenBackend
    from pytest_imgdiff.networks.settings import LocatedModel, ModelSettings, Resampling

    Output = NDArray[np.float32]

    """(d,) of one image, read-only."""

# ---- Outputs on disk and in a store


MOST_BYTES = 256 << 20
"""Some fifty thousand outputs of 1280 numbers."""

_MAGIC = b"imgdiff1"
_HEADER = struct.Struct("<8sI")
"""The magic, and the number of values that follow."""
_NUMBER = np.dtype("<f4")
_CHECKSUM_BYTES = 32
_SUFFIX = ".output"
_MOST_STORED_BYTES = 16 << 20
"""Four million numbers: of a larger object only this much is read, and it is not valid."""
_BETWEEN_PRUNINGS = 512
"""The number of stored outputs between two checks of the folder's size."""
_AFTER_PRUNING = 0.8
"""Share of the limit that is kept, so that the next checks have nothing to remove."""


def key_of(model_input: NDArray[np.float32], model_digest: str, backend: ChosenBackend) -> str:
    """Return the cache key of an output, as 64 hexadecimal digits.

    The image's pixels, the backdrop and the preprocessing are all in the model's input, to the last bit.

    Args:
        model_input: (height, width, 3).
        model_digest: of the model's files.
        backend: its name and version: the results of versions differ in their last digits.
    """
    key = hashlib.sha256(f"{model_digest}\n{backend.title}\n{model_input.shape}\n".encode())
    key.update(np.ascontiguousarray(model_input, _NUMBER).data)
    return key.hexdigest()


class EmbeddingCache:
    """A folder of outputs, one file each, shared by any number of processes.

    Files are written completely and renamed into place. Each has a checksum over its key and its values; a file that is
    damaged, or does not fit its name, is ignored. Above the limit, the least recently used files are removed.

    Args:
        folder: created when the first output is stored.
        most_bytes: the largest size (it is checked after every few outputs, and can be exceeded by a few megabytes).
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._stored = 0

    def get(self, key: str) -> NDArray[np.float32] | None:
        """Return the (d,) output stored under a key of `key_of`; None if there is no valid one."""
        path = self._path(key)
        try:
            data = read_regular(path)
        except OSError:
            return None
        output = _decoded(key, data)
        if output is not None:
            with suppress(OSError):  # a read-only folder keeps its order
                path.touch()
        return output

    def put(self, key: str, output: NDArray[np.float32]) -> None:
        """Store a (d,) output.

        Raises:
            OSError: the disk is full, or the folder may not be written to.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # do not trust files that others can replace
        write_atomically(self._path(key), _encoded(key, output))
        with self._lock:
            look = self._stored % _BETWEEN_PRUNINGS == 0
            self._stored += 1
        if look:
            self._prune()

    def _path(self, key: str) -> Path:
        return self._folder / _name(key)

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


class SharedEmbeddingCache:
    """Outputs below a URL, one object each, shared by all machines that may read the store.

    Nothing is removed. An object that is damaged, or does not fit its name, is ignored and written again.

    Args:
        url: of the folder in the store.

    Raises:
        ConfigError: no installed package reads such URLs, or the time limit of stores is not a number.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        time_limit()
        opened(url)

    @property
    def label(self) -> str:
        """The name in messages, without credentials."""
        return StoredFile(self._url).label

    def get(self, key: str) -> NDArray[np.float32] | None:
        """Return the (d,) output stored under a key of `key_of`; None if there is no valid one.

        Raises:
            BrokenImageError: the store does not answer, or refuses it.
        """
        try:
            return _decoded(key, self._object(key).fetch(_MOST_STORED_BYTES))
        except BrokenImageError as error:
            if error.kind == MISSING:
                return None
            raise

    def put(self, key: str, output: NDArray[np.float32]) -> None:
        """Store a (d,) output.

        Raises:
            BrokenImageError: the store does not answer, or refuses it.
        """
        self._object(key).write(_encoded(key, output))

    def _object(self, key: str) -> StoredFile:
        return StoredFile(self._url, _name(key))


def _name(key: str) -> str:
    return f"{key[:2]}/{key[2:]}{_SUFFIX}"


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


# ---- The service


T = TypeVar("T")


class Gathering(Generic[T]):
    """A queue whose consumer waits briefly for more items."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._grown = threading.Condition()

    def add(self, items: Iterable[T]) -> None:
        """Add an item."""
        with self._grown:
            self._items.extend(items)
            self._grown.notify_all()

    def take(self, most: int, linger: float) -> list[T]:
        """Take up to ``most`` items in their order, once that many have arrived or ``linger`` seconds are over.

        Returns:
            The items; empty if none arrived.
        """
        end = time.monotonic() + linger
        with self._grown:
            while len(self._items) < most and (left := end - time.monotonic()) > 0:
                self._grown.wait(left)
            return [self._items.popleft() for _ in range(min(most, len(self._items)))]


Made = TypeVar("Made")


class Once(Generic[Made]):
    """Calls ``make`` at most once, and returns its result to every caller.

    An `ImgdiffError` is also kept: a missing model is not searched for, or waited for, at every image.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[Made] = []
        self._error: ImgdiffError | None = None

    def __call__(self) -> Made:
        """Return the result.

        Raises:
            ImgdiffError: ``make`` failed, now or before.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            if not self._made:
                try:
                    self._made.append(self._make())
                except ImgdiffError as error:
                    self._error = error
                    raise
            return self._made[0]

    def if_made(self) -> Made | None:
        """Return the result if it exists already, without waiting."""
        return self._made[0] if self._made else None


_FILTERS: Mapping[Resampling, Filter] = {
    "bilinear": Filter.BILINEAR,
    "nearest": Filter.NEAREST,
    "bicubic": Filter.BICUBIC,
    "area": Filter.BOX,
    "lanczos": Filter.LANCZOS,
}


def model_input(image: Image, backdrop: Backdrop, settings: ModelSettings) -> NDArray[np.float32]:
    """Return an image as the model's input.

    It is composited on the backdrop, stretched to a square of ``input_size`` and scaled to ``value_range``. It is
    resampled in floats: nothing is rounded to the levels of the image's depth.

    Sample ``i`` of ``n`` is at ``(i + 0.5) * length / n - 0.5`` of the image's ``length``, whose edge pixels continue
    beyond it. The filters are Pillow's: where the image shrinks they widen by the same factor, so that every pixel
    counts (TensorFlow's ``antialias=True``): ``bilinear`` a triangle, ``bicubic`` a = -0.5, ``lanczos`` three lobes,
    ``area`` a box. ``nearest`` takes one pixel.

    Returns:
        (input_size, input_size, 3) RGB.
    """
    colours = backdrop.rgb(image)
    side = settings.input_size
    low, high = settings.value_range
    scale = (high - low) / full_value(colours.dtype)
    result = np.empty((side, side, 3), np.float32)
    for channel in range(3):  # one by one: a third of the floats at a time
        plane = cv2.extractChannel(colours, channel).astype(np.float32)
        resized = PIL.Image.fromarray(plane).resize((side, side), _FILTERS[settings.resampling])
        result[..., channel] = np.asarray(resized)
    result *= np.float32(scale)
    result += np.float32(low)
    return result.clip(min(low, high), max(low, high))  # bicubic and lanczos overshoot


LINGER = 0.003
"""Seconds that a partial batch waits for more images; the model takes ten times as long for one image."""
MOST_REMEMBERED = 4096
"""The number of outputs that stay in memory: about 20 MB."""


@dataclass(frozen=True, slots=True)
class InferenceCounts:
    """Counters of a service.

    Attributes:
        images_embedded: images that went through the model.
        cache_hits: images whose output was on disk or in the store.
        batches: the number of runs of the model.
    """

    images_embedded: int = 0
    cache_hits: int = 0
    batches: int = 0


@dataclass(frozen=True, slots=True)
class _Model:
    """The model and its backend; nothing is loaded yet."""

    located: LocatedModel
    chosen: ChosenBackend
    cache: EmbeddingCache | None
    shared: SharedEmbeddingCache | None


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    key: str
    picture: NDArray[np.float32]
    output: Future[Output]


class InferenceService:
    """Runs one model for all threads of this process; created by `service_for`.

    It has no thread: a caller that needs an output and finds the model idle runs a batch for all waiting callers. The
    model is loaded when an image first needs it, and never if the caches have all outputs.
    """

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._model = Once(self._found)
        self._backend = Once(self._loaded)
        self._waiting: Gathering[_Request] = Gathering()
        self._running = threading.Lock()
        self._state = threading.Lock()  # of what follows
        self._known: OrderedDict[str, Future[Output]] = OrderedDict()
        self._counts = InferenceCounts()
        self._notices: list[str] = []
        self._writes_to_disk = True
        self._reads_shared = True
        self._writes_shared = True

    @property
    def counts(self) -> InferenceCounts:
        """The counters so far."""
        with self._state:
            return self._counts

    @property
    def notices(self) -> tuple[str, ...]:
        """Settings that could not be applied and do not affect results: another device, no cache."""
        with self._state:
            return tuple(self._notices)

    @property
    def device(self) -> str | None:
        """The name of the model's device; None if the model was not needed so far."""
        backend = self._backend.if_made()
        return None if backend is None else backend.device

    def backend_title(self) -> str:
        """Find the model and its backend without loading them; return the backend's name and version.

        Raises:
            ModelUnavailableError: the model or its backend is not on this machine.
            ModelError: the model cannot be used.
        """
        return self._model().chosen.title

    def about(self) -> str:
        """Return `backend_title` and the digest of the model: outputs depend on these, images and settings.

        Raises:
            ModelUnavailableError, ModelError: as `backend_title`.
        """
        return f"{self.backend_title()} and SHA-256 {self._model().located.digest}"

    def outputs(self, images: Sequence[Image], backdrop: Backdrop) -> list[Output]:
        """Return the model's output for each image, composited on the backdrop if it is not opaque.

        Returns:
            ``float32`` (d,) each, finite and read-only.

        Raises:
            ModelUnavailableError: the model or its backend is not on this machine.
            ModelError: the model cannot be used, or does not return d finite numbers for each image.
        """
        model = self._model()
        futures = []
        for image in images:
            picture = model_input(image, backdrop, self._settings)
            futures.append(self._requested(model, picture))
        while not all(future.done() for future in futures):
            computed: list[tuple[str, Output]] = []
            with self._running:
                if not all(future.done() for future in futures):
                    computed = self._run_batch()
            for key, output in computed:  # without the lock: the model runs for other threads meanwhile
                self._store(key, output)
        return [future.result() for future in futures]

    def _requested(self, model: _Model, picture: NDArray[np.float32]) -> Future[Output]:
        """Return the future output of an image, from memory, from a cache, or queued."""
        key = key_of(picture, model.located.digest, model.chosen)
        with self._state:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
            future: Future[Output] = Future()
            self._known[key] = future
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        request = _Request(key, picture, future)
        try:
            stored = self._stored(model, key)
        except BaseException:  # an interruption: threads that wait for this image must not wait forever
            self._waiting.add([request])
            raise
        if stored is None:
            self._waiting.add([request])
        else:
            self._count(cache_hits=1)
            future.set_result(_read_only(stored))
        return future

    def _stored(self, model: _Model, key: str) -> Output | None:
        """Return an output from the disk, else from the store; None if neither has it."""
        stored = None if model.cache is None else model.cache.get(key)
        if stored is not None or model.shared is None or not self._reads_shared:
            return stored
        try:
            stored = model.shared.get(key)
        except BrokenImageError as error:
            self._reads_shared = self._writes_shared = False  # do not wait for it at every image
            self._notice(f"shared_cache {model.shared.label} is not used: {error.cause}")
        if stored is not None:
            self._write_to_disk(model, key, stored)
        return stored

    def _run_batch(self) -> list[tuple[str, Output]]:
        """Load the model if needed, and run it for all waiting callers, whose futures receive errors.

        Returns:
            Outputs to be stored, by their keys.
        """
        try:
            backend = self._backend()
        except Exception as error:  # noqa: BLE001 - raised again by each who waits
            self._fail(self._waiting.take(sys.maxsize, 0), error)
            return []
        requests = self._waiting.take(self._settings.batch_size or backend.batch_size, LINGER)
        if not requests:
            return []
        try:
            return self._settle(requests, self._run(backend, requests))
        except Exception as error:  # noqa: BLE001 - raised again by each who waits
            self._fail(requests, error)
            return []
        except BaseException:  # an interruption is this thread's own: another one runs the batch
            self._waiting.add([request for request in requests if not request.output.done()])
            raise

    def _run(self, backend: Backend, requests: list[_Request]) -> NDArray[np.float32]:
        """Return the (n, d) outputs of a batch.

        Raises:
            ModelError: the model cannot be run, or its output has another shape.
        """
        outputs = backend.run(np.stack([request.picture for request in requests]))
        handle = self._handle
        if outputs.ndim != 2 or len(outputs) != len(requests) or outputs.shape[1] == 0:  # noqa: PLR2004 - (n, d)
            raise ModelError(
                f"{handle} returns an output of shape {outputs.shape} for a batch of {len(requests)}, "
                f"not one row of numbers for each image, ({len(requests)}, d)"
            )
        if outputs.dtype.kind != "f":
            raise ModelError(f"{handle} returns {outputs.dtype} numbers, not floats")
        self._count(images_embedded=len(requests), batches=1)
        return outputs.astype(np.float32, copy=False)

    def _settle(self, requests: list[_Request], outputs: NDArray[np.float32]) -> list[tuple[str, Output]]:
        computed = []
        for request, row in zip(requests, outputs, strict=True):
            if not np.isfinite(row).all():
                error = ModelError(f"{self._handle} returns numbers that are not finite (NaN or infinity)")
                self._fail([request], error)
                continue
            output = _read_only(row.copy())
            request.output.set_result(output)
            computed.append((request.key, output))
        return computed

    def _fail(self, requests: list[_Request], error: Exception) -> None:
        for request in requests:
            with self._state:
                self._known.pop(request.key, None)
            if not request.output.done():
                request.output.set_exception(error)

    def _store(self, key: str, output: Output) -> None:
        model = self._model()
        self._write_to_disk(model, key, output)
        if model.shared is None or not self._writes_shared:
            return
        try:
            model.shared.put(key, output)
        except BrokenImageError as error:
            self._writes_shared = False
            self._notice(f"outputs of the model cannot be stored in shared_cache {model.shared.label}: {error.cause}")

    def _write_to_disk(self, model: _Model, key: str, output: Output) -> None:
        if model.cache is None or not self._writes_to_disk:
            return
        try:
            model.cache.put(key, output)
        except OSError as error:
            self._writes_to_disk = False
            self._notice(f"outputs of the model cannot be cached and are computed again in each run: {error.strerror}")

    def _found(self) -> _Model:
        located = locate(self._settings)
        return _Model(located, choose(self._settings, located), self._cache(), self._shared_cache())

    def _cache(self) -> EmbeddingCache | None:
        try:
            folder = cache_folder(self._settings.cache) / "embeddings"
        except ModelError as error:
            self._notice(str(error))
            return None
        for checked in (folder.parent, folder):
            if (reason := distrust(checked)) is not None:
                self._notice(f"the cache {printable(str(checked))} {reason}: it is not used")
                return None
        return EmbeddingCache(folder)

    def _shared_cache(self) -> SharedEmbeddingCache | None:
        url = self._settings.shared_cache
        try:
            return None if url is None else SharedEmbeddingCache(url)
        except ConfigError as error:
            raise ModelError(f"shared_cache {error}") from error

    def _loaded(self) -> Backend:
        model, device, threads = self._model(), self._settings.device, self._settings.threads
        backend: Backend
        if model.chosen.name == "onnx" and model.located.onnx is not None:
            from pytest_imgdiff.networks.onnx import OnnxBackend

            backend = OnnxBackend(model.located.onnx, device, threads)
        elif model.located.saved_model is not None:
            from pytest_imgdiff.networks.tensorflow import TensorFlowBackend

            backend = TensorFlowBackend(model.located.saved_model, device, threads)
        else:
            raise AssertionError(model)
        if backend.notice is not None:
            self._notice(backend.notice)
        return backend

    @property
    def _handle(self) -> str:
        return f"model {printable(self._settings.model)}"

    def _count(self, *, images_embedded: int = 0, cache_hits: int = 0, batches: int = 0) -> None:
        with self._state:
            counts = self._counts
            self._counts = InferenceCounts(
                counts.images_embedded + images_embedded, counts.cache_hits + cache_hits, counts.batches + batches
            )

    def _notice(self, text: str) -> None:
        with self._state:
            if text not in self._notices:  # several threads may have waited for one store
                self._notices.append(text)


def _read_only(output: Output) -> Output:
    output.flags.writeable = False
    return output


_MAKING = threading.Lock()  # functools.cache alone may call twice when two threads come at once


@functools.cache
def _service(settings: ModelSettings) -> InferenceService:
    return InferenceService(settings)


def service_for(settings: ModelSettings) -> InferenceService:
    """Return this process's service for a model; equal settings share one."""
    with _MAKING:
        return _service(settings)
