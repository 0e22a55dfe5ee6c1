"""Comparing pairs on a Dask cluster: batches of pairs are sent out, records return in order.

Pairs are compared as in a local run. Batches have a limited number of bytes, and workers read the images themselves.
Each returns records as JSON, and the images for the report. Only a few batches for each worker are in progress at any
time, so the memory of scheduler and client does not grow with the number of pairs.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import os
import pickle
import platform
import signal
import sys
import tempfile
import time
import uuid
import warnings
import zlib
from collections import deque
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from itertools import chain, count
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import cv2
import msgspec

from pytest_imgdiff import __version__
from pytest_imgdiff.base.environment import installed, versions
from pytest_imgdiff.base.errors import ConfigError, ImgdiffError, ReportError
from pytest_imgdiff.base.memory import Allowance
from pytest_imgdiff.base.parallel import cores
from pytest_imgdiff.base.record import ComparisonRecord
from pytest_imgdiff.base.stores import StoredFile
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.comparison.registry import ENTRY_POINT_GROUP, Registry
from pytest_imgdiff.report.files import replace_derived
from pytest_imgdiff.report.records import line_of
from pytest_imgdiff.run.baselines import Baselines
from pytest_imgdiff.run.journal import ResultsFolder
from pytest_imgdiff.run.pairing import FoundPair, Pair
from pytest_imgdiff.run.pictures import FOLDER
from pytest_imgdiff.run.session import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from distributed import Worker
    from distributed.scheduler import KilledWorker
    from typing_extensions import Self

    from pytest_imgdiff.base.model import Rule

T = TypeVar("T")

_BATCH_BYTES = 8 << 20
_PAIR_BYTES = 16 << 10
"""Fixed cost of a pair in bytes: the smallest pair takes as long as these bytes."""
_SHARES = 4
"""Least batches for each thread of the cluster, so that all threads finish at about the same time."""
_AHEAD = 2
"""Batches in progress for each thread of the cluster."""
_LOOK_EVERY = 0.5
_NO_PROGRESS = 10
"""Multiple of the time limit after which a cluster without results is given up."""
_ALLOWED_FAILURES = 1
"""How many workers a batch may lose on a `local` cluster; other schedulers have their own setting."""
_PROMPT = 5
"""Seconds in which a worker answers that is not stuck."""
_RECONNECTS = 3
_LOCAL = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "2s",
}
"""Dask's own measurements, disabled for `local`: they take much of the time of small pairs."""

_CODECS = ("jpg", "jpg_2000", "zlib", "libtiff", "webp", "avif")
"""Of Pillow."""
_READERS = ("flip-evaluator", "msgspec", "pypdfium2", "ssimulacra2")
_ENGINE = ("dask", "distributed")
_GONE = (OSError, TimeoutError, asyncio.TimeoutError)
"""Exceptions that stand for a worker that was lost."""
_RECORD = msgspec.json.Decoder(ComparisonRecord)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a worker needs to compare like this process.

    Attributes:
        about: the versions that it must have.
        wants_pictures: whether images of failures are needed for a report.
        space: arguments of a workspace that can be pickled.
        rules: those that use a model.
        models: the model versions that each worker needs for them; None if they are not known yet.
    """

    about: dict[str, str]
    wants_pictures: bool
    space: dict[str, Any]
    rules: tuple[Rule, ...]
    models: dict[str, str] | None = None


@dataclass(slots=True)
class _Answer:
    """The records of a batch in order, and the files of its images by their path in the report."""

    lines: list[bytes]
    pictures: dict[str, bytes]


@dataclass(slots=True)
class _Batch:
    """Pairs that are compared in one task.

    Attributes:
        resources: what a worker must offer to compare them, because their rules use a model.
        is_alone: whether it is a single pair from a batch that lost its workers; then this pair is the cause.
    """

    pairs: list[Pair | FoundPair]
    resources: Mapping[str, float] = field(default_factory=dict)
    is_alone: bool = False
    future: Any = None


class WorkerMismatchError(ImgdiffError):
    """A worker with other versions."""


class _SchedulerLostError(Exception):
    """The scheduler does not answer; the message says why."""


class _ClusterLostError(Exception):
    """The workers or the scheduler are lost, or there was no result within the time limit."""


class Cluster:
    """A Dask cluster that compares pairs.

    Args:
        named: ``local`` for processes on this machine, the URL of a scheduler, or ``module:factory``: a function
            without arguments that returns a cluster, a client or a URL.
        workers: number of processes for ``local``; default: the number of cores.
        patience: seconds to wait for the scheduler, and for a first worker.

    Raises:
        ConfigError: distributed is not installed, the value is invalid, or the scheduler cannot be reached.
    """

    def __init__(self, named: str, workers: int | None, patience: float) -> None:
        self._named = named
        self.patience = patience
        self._own: Any = None
        self._client: Any = None
        self._is_own_client = True
        _import_distributed()
        try:
            with _children_ignore_interrupts():
                self._target = self._found(workers)
            self._connect()
        except BaseException:
            self.close()
            raise

    def _found(self, workers: int | None) -> Any:
        if self._named == "local":
            self._own = _local_cluster(workers or cores())
            return self._own
        if "://" in self._named:
            return self._named
        return _made(self._named)

    def _connect(self) -> None:
        import distributed

        client: Any = distributed.Client

        if isinstance(self._target, client):
            self._client, self._is_own_client = self._target, False
            return
        try:
            with warnings.catch_warnings():  # versions are checked and reported in one line
                warnings.simplefilter("ignore")
                self._client = client(self._target, timeout=self.patience, set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError, ImportError) as error:
            raise ConfigError(
                f"--cluster {printable(self._named)}: no scheduler responded within {self.patience:g} seconds "
                f"({_in_words(error)})"
            ) from error

    @property
    def client(self) -> Any:
        """The connection to the scheduler."""
        if self._client is None:
            raise AssertionError(self)
        return self._client

    def check(self) -> None:
        """Check before any image is read that scheduler and workers have the versions of this process.

        Raises:
            ConfigError: no worker is available within the time limit, or the scheduler was lost several times.
            WorkerMismatchError: a worker has another version, or no pytest-imgdiff.
        """
        self._insisting(self._check)

    def check_models(self, plan: bytes, resources: Mapping[str, float]) -> dict[str, str]:
        """Check before any image is read that the workers that offer these resources have the models.

        Args:
            plan: what `_plan` made.
            resources: what a worker must offer.

        Returns:
            The model and the backend of each rule.

        Raises:
            ConfigError: no worker that offers this started within the time limit, or the scheduler was lost.
            ImgdiffError: a model or its backend is missing or cannot be used.
            WorkerMismatchError: two workers have different models or backends.
        """
        return self._insisting(functools.partial(self._check_models, plan, resources))

    def _insisting(self, check: Callable[[], T], reconnects: int = _RECONNECTS) -> T:
        """Return the result of a check. If the scheduler is lost meanwhile, connect again and repeat the check."""
        try:
            return check()
        except _SchedulerLostError as error:
            if not reconnects:
                named = printable(self._named)
                times = _RECONNECTS + 1
                raise ConfigError(f"--cluster {named}: the scheduler was lost {times} times ({error})") from error
        self._connect_again()
        return self._insisting(check, reconnects - 1)

    def _check(self) -> None:
        self._wait(self.threads, "worker")
        ours = installed(_ENGINE)
        theirs = self._scheduler_versions()
        _refuse_others("the scheduler", ours, {name: theirs.get(name) or "nothing" for name in ours})
        for worker, about in self._ask_workers(about_worker).items():
            if isinstance(about, Exception):
                raise WorkerMismatchError(
                    f"the worker {worker} cannot load pytest-imgdiff {__version__} ({_in_words(about)}): install the "
                    "version of this machine there"
                )
            _refuse_others(f"the worker {worker}", about_this_process(), about)

    def _check_models(self, plan: bytes, resources: Mapping[str, float]) -> dict[str, str]:
        found: dict[str, dict[str, str] | None]

        def has_models() -> bool:
            nonlocal found
            found = {}
            for worker, models in self._ask_workers(models_of_worker, plan, dict(resources)).items():
                if isinstance(models, Exception):
                    words = str(models) if isinstance(models, ImgdiffError) else _in_words(models)
                    raise ImgdiffError(f"the worker {worker}: {words}") from models
                found[worker] = models
            return any(models is not None for models in found.values())

        self._wait(has_models, _worker_with(resources))
        (first, ours), *others = [(worker, models) for worker, models in found.items() if models is not None]
        for worker, theirs in others:
            _refuse_others(f"the worker {worker}", ours, theirs, f"the worker {first}")
        return ours

    def _wait(self, is_there: Callable[[], object], what: str) -> None:
        """Wait for a worker.

        Raises:
            ConfigError: none started within the time limit.
        """
        end = time.monotonic() + self.patience
        while not is_there():
            if time.monotonic() > end:
                named = printable(self._named)
                raise ConfigError(f"--cluster {named}: no {what} started within {self.patience:g} seconds")
            time.sleep(min(_LOOK_EVERY, self.patience / 4))

    def _ask_workers(self, function: Callable[..., Any], *args: object) -> dict[str, Any]:
        """Return what each worker returns or raises, without workers that are lost or stuck.

        Raises:
            _SchedulerLostError: the scheduler was lost.
        """
        ask = functools.partial(self.client.run, function, *args, on_error="return")
        try:
            try:
                answers = ask(callback_timeout=self.patience)
            except (TimeoutError, asyncio.TimeoutError):
                answers = {}
                for worker in self.client.nthreads():
                    with suppress(TimeoutError, asyncio.TimeoutError):
                        answers |= ask(workers=[worker], callback_timeout=_PROMPT)
        except Exception as error:
            raise _SchedulerLostError(_in_words(error)) from error
        return {worker: answer for worker, answer in answers.items() if not isinstance(answer, _GONE)}

    def _scheduler_versions(self) -> dict[str, str]:
        try:
            packages: dict[str, str] = self.client.get_versions()["scheduler"]["packages"]
        except Exception as error:
            raise _SchedulerLostError(f"it does not report its versions: {_in_words(error)}") from error
        return packages

    def threads(self) -> int:
        """Return the total number of threads of all workers; 0 if there is no worker or no scheduler."""
        try:
            return sum(self.client.nthreads().values())
        except Exception:  # noqa: BLE001 - the connection is lost, in one of many ways
            return 0

    def offers(self, resources: Mapping[str, float]) -> bool:
        """Return whether a worker offers these; False if there is no scheduler."""
        try:
            workers = self._ask_workers(offered).values()
        except _SchedulerLostError:
            return False
        return any(_is_offered(resources, theirs) for theirs in workers if isinstance(theirs, dict))

    def reconnect(self) -> None:
        """Reconnect to a lost scheduler.

        Raises:
            ImgdiffError: it does not respond within the time limit, or has other versions.
        """
        self._connect_again()
        self.check()

    def _connect_again(self) -> None:
        with suppress(Exception):
            if self._is_own_client:
                self.client.close(timeout=2)
        self._connect()

    def close(self) -> None:
        """Close the connection, and stop the processes of ``local``."""
        with suppress(Exception):
            if self._client is not None and self._is_own_client:
                self._client.close(timeout=2)
        with suppress(Exception):
            if self._own is not None:
                self._own.close(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def records(cluster: Cluster, todo: Sequence[Pair | FoundPair], workspace: Workspace) -> Iterator[ComparisonRecord]:
    """Compare the pairs on the cluster and yield their records, in order.

    A pair that loses its workers again when it is compared alone is broken; so are all remaining pairs if the cluster
    is lost.

    Args:
        cluster: a checked cluster.
        todo: the pairs.
        workspace: settings, and the folder of the report's images.

    Raises:
        ImgdiffError: a worker cannot use the settings, or has other versions; an image cannot be written.
    """
    rules = workspace.model_rules(pair.key for pair in todo)
    resources = workspace.settings.resources if rules else {}
    plan = _plan(workspace, rules)
    if rules:
        plan = _plan(workspace, rules, cluster.check_models(plan, resources))
    run = _Run(cluster, workspace, plan)

    def needs(pair: Pair | FoundPair) -> Mapping[str, float]:
        return resources if resources and workspace.model_rules([pair.key]) else {}

    left = _batches(todo, max(1, cluster.threads()), needs)
    try:
        while batch := run.next(left):
            yield from run.answered(batch)
    except _ClusterLostError as error:
        for batch in chain(run.under_way, left):
            if (finished := run.finished(batch)) is not None:
                yield from finished
                continue
            for pair in batch.pairs:
                yield workspace.record(workspace.not_compared(pair, pair.name, str(error)), key=pair.key)
    finally:
        run.cancel()


class _Run:
    """The work in progress on a cluster."""

    def __init__(self, cluster: Cluster, workspace: Workspace, plan: bytes) -> None:
        self.under_way: deque[_Batch] = deque()
        """Batches whose records were not yet returned, the oldest first."""
        self._cluster = cluster
        self._workspace = workspace
        self._plan = plan
        self._name = uuid.uuid4().hex[:12]
        self._numbers = count()
        self._reconnects = 0
        self._threads = max(1, cluster.threads())
        self._looked = self._heard = time.monotonic()
        self._empty_since: float | None = None

    def next(self, left: Iterator[_Batch]) -> _Batch | None:
        """Submit as many batches as allowed, and return the oldest one in progress; None if none is left."""
        while len(self.under_way) < _AHEAD * self._threads and (batch := next(left, None)) is not None:
            self.under_way.append(batch)
            self._submit(batch)
        return self.under_way[0] if self.under_way else None

    def _submit(self, batch: _Batch) -> None:
        key = f"imgdiff-{self._name}-{next(self._numbers)}"
        batch.future = self._cluster.client.submit(
            compare_batch,
            self._plan,
            _packed(batch.pairs),
            key=key,
            pure=False,
            resources=dict(batch.resources) or None,
        )

    def answered(self, batch: _Batch) -> Iterator[ComparisonRecord]:
        """Yield the records of the oldest batch."""
        from distributed.scheduler import KilledWorker

        try:
            answer = self._awaited(batch)
        except KilledWorker as error:
            if batch.is_alone:
                yield self._lost(batch, error)
                return
            self.under_way.popleft()
            self.under_way.extendleft(_Batch([pair], batch.resources, is_alone=True) for pair in reversed(batch.pairs))
            for _ in batch.pairs:  # one at a time, so that the cause of a crash is certain
                self._submit(self.under_way[0])
                yield from self.answered(self.under_way[0])
            return
        self._write(answer.pictures)
        self.under_way.popleft()
        yield from map(_RECORD.decode, answer.lines)

    def finished(self, batch: _Batch) -> list[ComparisonRecord] | None:
        """Return the records of a batch that is finished although an older one is not; None if this one is not."""
        if batch.future is None or batch.future.status != "finished":
            return None
        try:
            answer: _Answer = batch.future.result(timeout=_PROMPT)
        except Exception:  # noqa: BLE001 - it is lost after all, with its worker or the scheduler
            return None
        self._write(answer.pictures)
        return [*map(_RECORD.decode, answer.lines)]

    def _lost(self, batch: _Batch, error: KilledWorker) -> ComparisonRecord:
        self.under_way.popleft()
        (pair,) = batch.pairs
        reason = (
            f"the workers that compared this pair died, the last at {error.last_worker.address}: perhaps killed "
            "because of too little memory"
        )
        return self._workspace.record(self._workspace.not_compared(pair, pair.name, reason), key=pair.key)

    def _awaited(self, batch: _Batch) -> _Answer:
        from distributed import TimeoutError as NotYetError

        while True:
            if batch.future is None:
                raise AssertionError(batch)
            try:
                answer: _Answer = batch.future.result(timeout=_LOOK_EVERY)
            except NotYetError:
                self._look()
            except (asyncio.CancelledError, futures.CancelledError):
                self._reconnect()
            except ImgdiffError:
                raise
            except Exception as error:  # noqa: BLE001 - what a worker raises is of any kind
                _reraise(error, has_failed=batch.future.status == "error")
                self._look()
            else:
                self._heard = time.monotonic()
                self._empty_since = None
                if self._heard - self._looked > _LOOK_EVERY:
                    self._look()
                return answer

    def _look(self) -> None:
        """Check for workers and for recent results.

        Raises:
            _ClusterLostError: there are none.
        """
        now = self._looked = time.monotonic()
        patience = self._cluster.patience
        threads = self._cluster.threads()
        self._threads = threads or self._threads
        resources = self.under_way[0].resources
        if self._cluster.offers(resources) if resources else threads:
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = now
        elif now - self._empty_since > patience:
            what = _worker_with(resources)
            raise _ClusterLostError(f"not compared: the cluster had no {what} for {patience:g} seconds")
        if now - self._heard > _NO_PROGRESS * patience:
            raise _ClusterLostError(
                f"not compared: the cluster returned no result for {_NO_PROGRESS * patience:g} seconds"
            )

    def _reconnect(self) -> None:
        """Submit the batches in progress again after the scheduler was lost."""
        self._reconnects += 1
        if self._reconnects > _RECONNECTS:
            raise _ClusterLostError(f"not compared: the scheduler was lost {self._reconnects} times")
        try:
            self._cluster.reconnect()
        except ImgdiffError as error:
            raise _ClusterLostError(f"not compared: the scheduler was lost ({error})") from error
        for batch in self.under_way:
            if batch.future is not None:
                self._submit(batch)

    def _write(self, pictures: dict[str, bytes]) -> None:
        results = self._workspace.results
        if results is None or not pictures:
            return
        results.begin()
        for path, data in pictures.items():
            folder, _, name = path.partition("/")
            if folder != FOLDER or name in {"", ".", ".."} or "/" in name or "\\" in name:
                raise ReportError(f"a worker of the cluster returned an image with the path {printable(path)!r}")
            replace_derived(results.directory / path, data)

    def cancel(self) -> None:
        """Cancel the batches in progress."""
        waiting = [batch.future for batch in self.under_way if batch.future is not None]
        with suppress(Exception):
            if waiting:
                self._cluster.client.cancel(waiting, force=True)


def _reraise(error: Exception, *, has_failed: bool) -> None:
    """Raise the error of a batch, unless it is one of distributed itself and the batch is still in progress.

    A bug in distributed: if its wait is cancelled at the moment of its timeout, it raises an UnboundLocalError.
    """
    if isinstance(error, UnboundLocalError) and not has_failed:
        return
    if type(error).__name__ == "KilledWorker":
        raise error
    raise ImgdiffError(f"a worker of the cluster cannot compare: {_in_words(error)}") from error


def _worker_with(resources: Mapping[str, float]) -> str:
    return " with ".join(["worker", *filter(None, [", ".join(f"{name}={most:g}" for name, most in resources.items())])])


def _is_offered(resources: Mapping[str, float], offer: Mapping[str, float]) -> bool:
    return all(offer.get(name, 0) >= most for name, most in resources.items())


def _batches(
    todo: Sequence[Pair | FoundPair], threads: int, needs: Callable[[Pair | FoundPair], Mapping[str, float]]
) -> Iterator[_Batch]:
    """Yield the pairs in batches of about equal bytes. Paths are absolute, because workers have other folders.

    Args:
        todo: the pairs.
        threads: number of threads of the cluster.
        needs: what a worker must offer to compare a pair.
    """
    most = -(-len(todo) // (_SHARES * threads))
    absolute: dict[tuple[Path, ...], tuple[Path, Path]] = {}
    pairs: list[Pair | FoundPair] = []
    resources: Mapping[str, float] = {}
    size = 0
    for found in todo:
        pair: Pair | FoundPair
        needed = needs(found)
        if pairs and needed != resources:
            yield _Batch(pairs, resources)
            pairs, size = [], 0
        resources = needed
        folders = (
            tuple(folder for folder in found.folders if isinstance(folder, Path))
            if isinstance(found, FoundPair)
            else ()
        )
        if isinstance(found, FoundPair) and len(folders) == len(found.folders):
            # The pair of folders is sent once for each batch; listings of stores are not sent.
            if folders not in absolute:
                absolute[folders] = (_absolute(folders[0]), _absolute(folders[1]))
            pair = replace(found, folders=absolute[folders])
        else:
            place = _absolute(found.expected_place)
            pair = Pair(found.name, found.key, _absolute(found.expected), _absolute(found.actual), place)
        pairs.append(pair)
        size += _PAIR_BYTES + _size(pair.expected) + _size(pair.actual)
        if size >= _BATCH_BYTES or len(pairs) >= most:
            yield _Batch(pairs, resources)
            pairs, size = [], 0
    if pairs:
        yield _Batch(pairs, resources)


@overload
def _absolute(path: Path) -> Path: ...


@overload
def _absolute(path: StoredFile) -> StoredFile: ...


@overload
def _absolute(path: Path | StoredFile) -> Path | StoredFile: ...


@overload
def _absolute(path: Path | StoredFile | None) -> Path | StoredFile | None: ...


def _absolute(path: Path | StoredFile | None) -> Path | StoredFile | None:
    return path if path is None or isinstance(path, StoredFile) else Path(os.path.abspath(path))  # noqa: PTH100 - links stay


def _size(path: Path | StoredFile | None) -> int:
    if isinstance(path, StoredFile):
        return path.size()
    try:
        return 0 if path is None else path.stat().st_size
    except OSError:  # reading it reports the error
        return 0


def _plan(workspace: Workspace, rules: Sequence[Rule], models: dict[str, str] | None = None) -> bytes:
    settings = replace(workspace.settings, metrics=None)  # type: ignore[arg-type]  # each process has its own
    space = {
        "root": Path(os.path.abspath(workspace.root)),  # noqa: PTH100 - links stay
        "settings": settings,
        "command_line": dict(workspace.command_line),
        "merges_metrics": workspace.merges_metrics,
        "glance": workspace.glance,
    }
    return pickle.dumps(_Plan(about_this_process(), workspace.results is not None, space, tuple(rules), models))


@functools.lru_cache(maxsize=4)
def _planned(plan: bytes, worker: str) -> tuple[Workspace, _Plan]:
    """In a worker: return a plan and its workspace."""
    found: _Plan = pickle.loads(plan)  # noqa: S301 - a cluster runs whatever its clients send
    _refuse_others(f"the worker {worker}", found.about, about_this_process())
    cv2.setNumThreads(1)  # parallel pairs already use all cores
    registry = Registry()
    settings = replace(found.space["settings"], metrics=registry)
    allowance = Allowance(settings.memory)
    space = Workspace(
        **{**found.space, "settings": settings},
        registry=registry,
        baselines=Baselines(settings.baselines.folder, settings.baselines.layout),
        allowance=allowance,
    )
    return space, found


def _packed(pairs: Sequence[Pair | FoundPair]) -> bytes:
    """Return pairs as a few bytes each: a scheduler keeps the last thousand messages to each worker."""
    return zlib.compress(pickle.dumps(pairs), 1)


def compare_batch(plan: bytes, packed: bytes) -> _Answer:
    """In a worker: compare pairs.

    Args:
        plan: from `_planned`'s sender.
        packed: what `_packed` made of pairs with absolute paths.

    Raises:
        ImgdiffError: the worker has other versions, or cannot use the settings.
    """
    worker = _own_address()
    space, found = _planned(plan, worker)
    pairs: list[Pair | FoundPair] = pickle.loads(zlib.decompress(packed))  # noqa: S301 - as for the plan
    if not found.wants_pictures:
        return _Answer(_lines(space, found, pairs, worker), {})
    with tempfile.TemporaryDirectory(prefix="imgdiff-") as scratch:
        results = ResultsFolder(Path(scratch) / "report", uuid.uuid4().hex)
        lines = _lines(replace(space, results=results), found, pairs, worker)
        results.release()
        files = sorted((results.directory / FOLDER).glob("*"))
        return _Answer(lines, {f"{FOLDER}/{file.name}": file.read_bytes() for file in files})


def _lines(space: Workspace, plan: _Plan, pairs: Sequence[Pair | FoundPair], worker: str) -> list[bytes]:
    line = functools.partial(_line, space, worker)
    together = space.threads(pair.key for pair in pairs) if plan.rules else None
    if together is None:
        return [line(pair) for pair in pairs]
    _refuse_others(f"the worker {worker}", plan.models or {}, space.models(plan.rules), "other workers")
    with futures.ThreadPoolExecutor(together) as pool:  # their images fill the model's batches
        return list(pool.map(line, pairs))


def _line(space: Workspace, worker: str, pair: Pair | FoundPair) -> bytes:
    try:
        return line_of(space.judged(pair))
    except (MemoryError, OSError, ReportError) as error:  # of this machine and this pair
        reason = f"the worker {worker} could not compare this pair: {_in_words(error)}"
        space = replace(space, results=None)
        return line_of(space.record(space.not_compared(pair, pair.name, reason), key=pair.key))


def _own_address() -> str:
    from distributed import get_worker

    return str(get_worker().address)


def offered(dask_worker: Worker) -> dict[str, float]:
    """Return the resources that a worker offers.

    Args:
        dask_worker: the worker; distributed passes it by this name.
    """
    return dict(dask_worker.state.total_resources)


async def models_of_worker(plan: bytes, resources: dict[str, float], dask_worker: Worker) -> dict[str, str] | None:
    """Return the models and backends of a worker for a plan; None if it does not offer the resources.

    Args:
        plan: what `_plan` made.
        resources: what it must offer.
        dask_worker: the worker; distributed passes it by this name.

    Raises:
        ImgdiffError: a model or its backend is missing or cannot be used.
    """
    if not _is_offered(resources, offered(dask_worker)):
        return None

    def look() -> dict[str, str]:
        space, found = _planned(plan, str(dask_worker.address))
        return space.models(found.rules)

    return await asyncio.to_thread(look)  # it may read or download a model, and the worker must answer meanwhile


@functools.cache
def about_this_process() -> dict[str, str]:
    """Return the versions of everything that can affect results: packages, codecs and plugins."""
    from PIL import features

    codecs = {f"Pillow's {name}": str(features.version(name) or "none") for name in _CODECS}
    plugins = {
        f"the plugin {point.name}": "?" if point.dist is None else f"{point.dist.name} {point.dist.version}"
        for point in metadata.entry_points(group=ENTRY_POINT_GROUP)
    }
    python = ".".join(platform.python_version_tuple()[:2])
    return {"pytest-imgdiff": __version__, "Python": python, **versions(), **installed(_READERS), **codecs, **plugins}


def about_worker() -> dict[str, str]:
    """Return `about_this_process` from a worker."""
    return about_this_process()


def _refuse_others(who: str, ours: Mapping[str, str], theirs: Mapping[str, str], whose: str = "this machine") -> None:
    for name in dict.fromkeys([*ours, *theirs]):
        here, there = ours.get(name, "nothing"), theirs.get(name, "nothing")
        if here != there:
            raise WorkerMismatchError(
                f"{who} has {there} of {name}, and {whose} has {here}: install the same on both, or the verdicts "
                "could differ"
            )


def _import_distributed() -> None:
    try:
        import distributed  # noqa: F401 - whether it is there
    except ImportError as error:
        raise ConfigError(
            f"--cluster needs the package distributed ({error}): run pip install 'pytest-imgdiff[cluster]'"
        ) from error
    for name in ["distributed", *logging.root.manager.loggerDict]:
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)  # errors of the cluster are reported in one line


def _local_cluster(workers: int) -> Any:
    import dask
    import distributed

    cluster: Any = distributed.LocalCluster
    try:
        with dask.config.set(_LOCAL), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return cluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=":0",
                silence_logs=logging.CRITICAL,
                scheduler_kwargs={"allowed_failures": _ALLOWED_FAILURES},
            )
    except (OSError, RuntimeError, ImportError) as error:
        raise ConfigError(f"--cluster local: the processes could not start: {_in_words(error)}") from error


@contextmanager
def _children_ignore_interrupts() -> Iterator[None]:
    """Make child processes ignore Ctrl-C, because this process stops them.

    This process handles Ctrl-C again after they have started.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # starting it later would unblock the signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _made(named: str) -> Any:
    """Return the result of the function ``module:factory``.

    Raises:
        ConfigError: it is missing or fails.
    """
    module, colon, factory = named.partition(":")
    if not colon or not module or not factory:
        raise ConfigError(
            f"--cluster {printable(named)}: must be local, the URL of a scheduler (tcp://HOST:PORT), or MODULE:FACTORY"
        )
    sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), factory)()
    except Exception as error:
        raise ConfigError(f"--cluster {printable(named)}: the factory failed: {_in_words(error)}") from error
    finally:
        sys.path.remove(str(Path.cwd()))


def _in_words(error: BaseException) -> str:
    return printable(" ".join(f"{type(error).__name__}: {error}".split()))
