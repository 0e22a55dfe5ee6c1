"""One model of one process: images of any thread in, outputs out, each distinct image looked at once.

Outputs are kept on disk, so that an image that another process looked at is not looked at again.
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
from pytest_imgdiff.base.errors import ImgdiffError, ModelError
from pytest_imgdiff.base.files import write_atomically
from pytest_imgdiff.base.opening import read_regular
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

# ---- Outputs on disk


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

    The image's pixels, the backdrop and the preprocessing are all in the model's input, to the last bit.

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
        """Return the (d,) output stored under a key of `key_of`; None if there is none that is whole."""
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


# ---- The service


T = TypeVar("T")


class Gathering(Generic[T]):
    """A queue whose taker waits a moment for more to come."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._grown = threading.Condition()

    def add(self, items: Iterable[T]) -> None:
        """Bring something."""
        with self._grown:
            self._items.extend(items)
            self._grown.notify_all()

    def take(self, most: int, linger: float) -> list[T]:
        """Take up to ``most`` in the order in which they came, once there are so many or ``linger`` seconds are over.

        Returns:
            Nothing if nothing came.
        """
        end = time.monotonic() + linger
        with self._grown:
            while len(self._items) < most and (left := end - time.monotonic()) > 0:
                self._grown.wait(left)
            return [self._items.popleft() for _ in range(min(most, len(self._items)))]


Made = TypeVar("Made")


class Once(Generic[Made]):
    """Calls ``make`` at most once, and gives every caller what came of it.

    An `ImgdiffError` is kept as well: what is not there is not searched for, or waited for, at every image.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[Made] = []
        self._error: ImgdiffError | None = None

    def __call__(self) -> Made:
        """Return what was made.

        Raises:
            ImgdiffError: it could not be made, now or before.
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
        """Return it where it was made already, without waiting for it."""
        return self._made[0] if self._made else None


_FILTERS: Mapping[Resampling, Filter] = {
    "bilinear": Filter.BILINEAR,
    "nearest": Filter.NEAREST,
    "bicubic": Filter.BICUBIC,
    "area": Filter.BOX,
    "lanczos": Filter.LANCZOS,
}


def model_input(image: Image, backdrop: Backdrop, settings: ModelSettings) -> NDArray[np.float32]:
    """Return an image as the model takes it.

    The image is laid on the backdrop, stretched to a square of ``input_size`` and scaled to ``value_range``. It is
    resampled in floats: nothing is rounded to the levels of the image's depth.

    Sample ``i`` of ``n`` lies at ``(i + 0.5) * length / n - 0.5`` of the image's ``length``, whose edge pixels go on
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
"""Seconds that a batch which is not full waits for more images; to look at one takes ten."""
MOST_REMEMBERED = 4096
"""Outputs that stay in memory: some 20 MB."""


@dataclass(frozen=True, slots=True)
class InferenceCounts:
    """What a service has done so far.

    Attributes:
        images_embedded: images that went through the model.
        cache_hits: images whose output was on disk.
        batches: how often the model was run.
    """

    images_embedded: int = 0
    cache_hits: int = 0
    batches: int = 0


@dataclass(frozen=True, slots=True)
class _Model:
    """The model as it was found, and what will run it; nothing is loaded yet."""

    located: LocatedModel
    chosen: ChosenBackend
    cache: EmbeddingCache | None


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    key: str
    picture: NDArray[np.float32]
    output: Future[Output]


class InferenceService:
    """Runs one model for all threads of this process; made by `service_for`.

    No thread of its own: whoever needs an output and finds the model idle runs a batch for all who wait. The model is
    loaded when an image first needs it, and never where the cache on disk has them all.
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
        self._cache_is_full = False

    @property
    def counts(self) -> InferenceCounts:
        """What was done so far."""
        with self._state:
            return self._counts

    @property
    def notices(self) -> tuple[str, ...]:
        """What could not be done as it was asked, without harm to any result: another device, no cache."""
        with self._state:
            return tuple(self._notices)

    @property
    def device(self) -> str | None:
        """What the model runs on, in words; None if it was not needed so far."""
        backend = self._backend.if_made()
        return None if backend is None else backend.device

    def backend_title(self) -> str:
        """Find the model and what will run it, without loading either; return name and version of the latter.

        Raises:
            ModelUnavailableError: the model, or what runs it, is not on this machine.
            ModelError: the model cannot be used.
        """
        return self._model().chosen.title

    def about(self) -> str:
        """Return `backend_title` and the digest of the model: what outputs depend on beside images and settings.

        Raises:
            ModelUnavailableError, ModelError: as `backend_title`.
        """
        return f"{self.backend_title()} and SHA-256 {self._model().located.digest}"

    def outputs(self, images: Sequence[Image], backdrop: Backdrop) -> list[Output]:
        """Return the model's output for each image, laid on the backdrop where it is not opaque.

        Returns:
            ``float32`` (d,) each, finite and read-only.

        Raises:
            ModelUnavailableError: the model, or what runs it, is not on this machine.
            ModelError: the model cannot be used, or gives something else than d finite numbers for each image.
        """
        model = self._model()
        futures = []
        for image in images:
            picture = model_input(image, backdrop, self._settings)
            futures.append(self._requested(model, picture))
        while not all(future.done() for future in futures):
            with self._running:
                if not all(future.done() for future in futures):
                    self._run_batch()
        return [future.result() for future in futures]

    def _requested(self, model: _Model, picture: NDArray[np.float32]) -> Future[Output]:
        """Return what becomes of an image: known, on disk, or put into the queue."""
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
            stored = None if model.cache is None else model.cache.get(key)
        except BaseException:  # an interruption: who waits for this image must not wait forever
            self._waiting.add([request])
            raise
        if stored is None:
            self._waiting.add([request])
        else:
            self._count(cache_hits=1)
            future.set_result(_read_only(stored))
        return future

    def _run_batch(self) -> None:
        """Load the model if it is not, and run it for those who wait; what goes wrong they find in their futures."""
        try:
            backend = self._backend()
        except Exception as error:  # noqa: BLE001 - raised again by each who waits
            self._fail(self._waiting.take(sys.maxsize, 0), error)
            return
        requests = self._waiting.take(self._settings.batch_size or backend.batch_size, LINGER)
        if not requests:
            return
        try:
            self._settle(requests, self._run(backend, requests))
        except Exception as error:  # noqa: BLE001 - raised again by each who waits
            self._fail(requests, error)
        except BaseException:  # an interruption is this thread's own: another one runs the batch
            self._waiting.add([request for request in requests if not request.output.done()])
            raise

    def _run(self, backend: Backend, requests: list[_Request]) -> NDArray[np.float32]:
        """Return the (n, d) outputs of a batch.

        Raises:
            ModelError: the model cannot be run, or gives something of another shape.
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

    def _settle(self, requests: list[_Request], outputs: NDArray[np.float32]) -> None:
        for request, row in zip(requests, outputs, strict=True):
            if not np.isfinite(row).all():
                error = ModelError(f"{self._handle} returns numbers that are not finite (NaN or infinity)")
                self._fail([request], error)
                continue
            request.output.set_result(_read_only(row.copy()))
            self._store(request.key, row)

    def _fail(self, requests: list[_Request], error: Exception) -> None:
        for request in requests:
            with self._state:
                self._known.pop(request.key, None)
            if not request.output.done():
                request.output.set_exception(error)

    def _store(self, key: str, output: Output) -> None:
        cache = self._model().cache
        if cache is None or self._cache_is_full:
            return
        try:
            cache.put(key, output)
        except OSError as error:
            self._cache_is_full = True
            self._notice(f"outputs of the model cannot be cached and are computed again in each run: {error.strerror}")

    def _found(self) -> _Model:
        located = locate(self._settings)
        return _Model(located, choose(self._settings, located), self._cache())

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
