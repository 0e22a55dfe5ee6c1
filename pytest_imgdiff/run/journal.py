"""The results during a run: one JSON line each, appended atomically by the process that created it."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import weakref
from array import array
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, islice, pairwise, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.files import TEMPORARY, hold, is_held, locked, write_atomically
from pytest_imgdiff.base.lines import Lines
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.record import ComparisonRecord, ShardRecord
from pytest_imgdiff.report.records import Chosen, Overview, StoredRecords, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKER = ".gitignore"
MARK = "# written by pytest-imgdiff: this folder is replaced by every run\n*\n"
LINES = "records"
LOCK = ".lock"
MOST_WAIT = 60
"""Seconds that a run waits for others that start at the same time."""
_NO_LOCKS = {getattr(errno, name) for name in ("ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP") if hasattr(errno, name)}
"""Error codes of file systems without locks."""


class Collected(msgspec.Struct, frozen=True, tag_field="type", tag="collected"):
    """The image tests or pairs to run; all processes of a run record the same."""

    ids: list[str]
    whole: list[str] = []
    """Modules whose tests are all to be run: only for these can a baseline be found unused."""
    modules: list[str] = []
    """Modules of the tests among them."""
    is_whole_suite: bool = False
    """Whether the complete suite was selected, without paths, names or marks."""


class Finished(msgspec.Struct, frozen=True, tag_field="type", tag="finished"):
    """A test that finished, with any outcome."""

    id: str


class Unclean(msgspec.Struct, frozen=True, tag_field="type", tag="unclean"):
    """A module with a test that did not pass, and so may not have used all its baselines."""

    module: str
    test: str = ""


class Red(msgspec.Struct, frozen=True, tag_field="type", tag="red"):
    """An image test that failed in any phase."""

    id: str


class Again(msgspec.Struct, frozen=True, tag_field="type", tag="again"):
    """An image test that is rerun: its earlier comparisons no longer count."""

    id: str


class Problem(msgspec.Struct, frozen=True, tag_field="type", tag="problem"):
    """An error in a process that cannot stop the run: the run fails."""

    text: str
    is_usage_error: bool = False
    """Whether the main process would have rejected it with pytest's exit code 4."""


class NotCompared(msgspec.Struct, frozen=True, tag_field="type", tag="not compared"):
    """What scans do not compare, one line each."""

    lines: list[str]


class Sharded(msgspec.Struct, frozen=True, tag_field="type", tag="sharded"):
    """The shard of the run; all processes of a run record the same."""

    shard: ShardRecord


class Claimed(msgspec.Struct, frozen=True, tag_field="type", tag="claimed"):
    """The path of a baseline, and the comparison that owns it."""

    place: str
    owner: str


class Used(msgspec.Struct, frozen=True, tag_field="type", tag="used"):
    """A stored baseline that a test used, relative to the baselines folder."""

    baseline: str


Line = (
    ComparisonRecord | Collected | Finished | Unclean | Red | Again | Problem | NotCompared | Sharded | Claimed | Used
)


@dataclass
class Merged:
    """What all processes of a run recorded."""

    records: StoredRecords = field(default_factory=lambda: StoredRecords(Lines(), Overview()))
    """The comparisons; for a rerun test, the last ones."""
    lines: Lines = field(default_factory=Lines)
    """All comparisons, including those of tests that were rerun."""
    overview: Overview = field(default_factory=Overview)
    hashes: array[int] = field(default_factory=lambda: array("q"))
    """Hashes of their names."""
    tests: array[int] = field(default_factory=lambda: array("q"))
    """Hashes of the names of the tests that made `records`, in their order."""
    void: dict[int, str] = field(default_factory=dict)
    """Indices of comparisons whose test was rerun, with the test's name."""
    red: set[str] = field(default_factory=set)
    """Tests that failed."""
    collected: dict[str, None] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    """Modules whose tests were all to run."""
    collected_modules: set[str] = field(default_factory=set)
    is_whole_suite: bool = False
    written: dict[str, None] = field(default_factory=dict)
    """Baselines written by any attempt of any test."""
    owners: dict[str, dict[str, None]] = field(default_factory=dict)
    """Owners of each baseline's path; more than one is an error that no single process can see."""
    problems: dict[str, None] = field(default_factory=dict)
    not_compared: dict[str, None] = field(default_factory=dict)
    """What scans did not compare, one line each; all processes of a run record the same."""
    shard: ShardRecord | None = None
    is_usage_error: bool = False
    unclean: dict[str, set[str]] = field(default_factory=dict)
    """Modules with a test that did not pass, and these tests."""
    torn: int = 0
    """Incomplete lines: their process died while writing."""

    def undetected(self) -> list[ComparisonRecord]:
        """Return the failed, asserted comparisons whose test finished and did not fail."""
        red = {hash(test) for test in self.red}
        doubtful = [number for number in self.records.overview.failures() if self.tests[number] not in red]
        found = [self.records[number] for number in doubtful]
        return [record for record in found if record.test in self.finished]

    @property
    def unrecorded(self) -> list[str]:
        """Collected items that did not finish, in the order of collection."""
        return [item for item in self.collected if item not in self.finished]


class ResultsFolder:
    """The report's folder, with the lines of one run.

    Each process of a run holds a lock in the folder while it runs. If another run is active in the folder, a run uses
    the folder with the next number: ``imgdiff-report-2``. The system releases the locks of killed processes.

    Args:
        directory: the report's folder.
        run: an identifier of the run, equal in all its processes.
        process: an identifier of this process in the run.
    """

    def __init__(self, directory: Path, run: str, process: str = "main") -> None:
        self.requested = directory
        """The requested folder."""
        self.run = run
        self._process = process
        self._begun_here = False
        self._handle: int | None = None
        self._lock: weakref.finalize[..., ResultsFolder] | None = None
        self._is_locked = False
        self._held = b""
        self._use(directory)

    def _use(self, directory: Path) -> None:
        self.directory = directory
        self._lines = directory / LINES / self.run
        self._file = self._lines / f"{self._process}-{os.getpid()}.jsonl"

    @property
    def begun(self) -> bool:
        """Whether any process of this run has started to write."""
        if not self._begun_here and (found := self._own_records()) is not None:
            self._use(found)
        return self._lines.is_dir()

    @property
    def lost(self) -> bool:
        """Whether the lines of this process are lost: the folder was removed, or another run has taken it."""
        return self._begun_here and not self.begun

    def reports(self) -> list[Path]:
        """Return the report folders with this name: the requested one, and those with a number."""
        numbered = takewhile(Path.exists, islice(self._candidates(), 1, None))
        return [self.requested, *(folder for folder in numbered if (folder / MARKER).is_file())]

    def check(self) -> None:
        """Raise before the run if the folder is used for something else.

        Raises:
            ReportError: it is not a folder, or contains files that are not from an earlier report.
        """
        try:
            _refuse_foreign(self.requested)
        except OSError as error:
            raise ReportError(_cannot_write(self.requested, error)) from error

    def begin(self) -> None:
        """Create the folder. The first process of a run deletes the earlier run in it.

        Raises:
            ReportError: the folder is used for something else, was removed during the run, or cannot be written.
        """
        if self.lost:
            msg = (
                f"{label_of(self.directory)}: the results of this run were deleted while it ran; use a separate report "
                "folder for each run"
            )
            raise ReportError(msg)
        if self._begun_here:
            return
        try:
            _refuse_foreign(self.requested)
            self.requested.mkdir(parents=True, exist_ok=True)
            self._choose_alone()
            self._begun_here = True
            self.join()
        except OSError as error:
            raise ReportError(_cannot_write(self.directory, error)) from error

    def _choose_alone(self) -> None:
        try:
            with locked(self.requested / f"{TEMPORARY}begin.lock", wait=MOST_WAIT):
                self._choose()
        except TimeoutError:
            raise ReportError(
                f"{label_of(self.requested)}: another run has been starting in it for {MOST_WAIT} seconds"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            self._choose()

    def _choose(self) -> None:
        """Find the folder that another process of this run has chosen, or take the first that no active run uses."""
        found = self._own_records()
        if found is None:
            found = next(folder for folder in self._candidates() if self._is_free(folder))
            self._use(found)
            self._claim()
            try:
                self._lines.mkdir(parents=True)
            except FileExistsError:  # without locks, another process of this run can be as fast
                return
            self._remove_other_runs()
            self.join()
        self._use(found)

    def _candidates(self) -> Iterator[Path]:
        yield self.requested
        for number in count(2):
            yield self.requested.with_name(f"{self.requested.name}-{number}")

    def _own_records(self) -> Path | None:
        folders = takewhile(Path.exists, self._candidates())
        return next((folder for folder in folders if (folder / LINES / self.run).is_dir()), None)

    def _is_free(self, folder: Path) -> bool:
        if folder != self.requested:
            try:
                _refuse_foreign(folder)
            except ReportError:
                return False
        return not any(is_held(lock) for lock in folder.glob(f"{LINES}/*/*{LOCK}"))

    def join(self) -> None:
        """Hold a lock, so that no other run takes the folder of an active run."""
        if self._is_locked or not self.begun:
            return
        try:
            handle = hold(self._file.with_suffix(LOCK))
        except OSError:  # without locks, a second run in the folder makes the first fail
            return
        self._is_locked = True
        if self._process == "main":  # a worker holds it until its process ends, before the run ends
            self._lock = weakref.finalize(self, os.close, handle)

    def release(self) -> None:
        """Release the folder: the report is written."""
        if self._lock is not None:
            self._lock()
            self._lock, self._is_locked = None, False
            for lock in self._lines.glob(f"*{LOCK}"):
                with suppress(OSError):  # of a running worker, on systems where open files cannot be deleted
                    lock.unlink()

    def _claim(self) -> None:
        marker = self.directory / MARKER
        if not marker.is_file():
            write_atomically(marker, MARK.encode())

    def _remove_other_runs(self) -> None:
        for name in (
            "index.html",
            "plain.html",
            "report.html",
            "results.json",
            "results.parquet",
            "results.sarif",
            "summary.md",
        ):
            (self.directory / name).unlink(missing_ok=True)
        for name in ("assets", "data", "pictures"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        for other in (self.directory / LINES).iterdir():
            if other != self._lines:
                shutil.rmtree(other, ignore_errors=True)

    def hold(self, line: Line | bytes) -> None:
        """Keep a line until the next one, which must follow soon: both are written at the same time.

        Args:
            line: the line; for a comparison also the result of `line_of`.

        Raises:
            ReportError: it is a comparison with a value that JSON cannot represent.
        """
        if isinstance(line, ComparisonRecord):
            line = line_of(line)
        self._held += (line if isinstance(line, bytes) else msgspec.json.encode(line)) + b"\n"

    def append(self, line: Line) -> None:
        """Append one line atomically, after any kept line.

        Raises:
            ReportError: it cannot be written, for example because the disk is full.
        """
        self.hold(line)
        self._write_held()

    def _write_held(self) -> None:
        data, self._held = self._held, b""
        try:
            written = os.write(self._opened(), data)
        except OSError as error:
            raise ReportError(_cannot_write(self._file, error)) from error
        if written != len(data):
            raise ReportError(_cannot_write(self._file, OSError("the disk is full")))

    def _opened(self) -> int:
        """Return the handle of this process's file. It stays open, as a run may have a hundred thousand lines."""
        if self._handle is None or not os.fstat(self._handle).st_nlink:  # if the file was removed, begin() reports it
            self.begin()
            self.close()
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._handle = os.open(self._file, flags, 0o666)
        return self._handle

    def close(self) -> None:
        """Close this process's file; the next line reopens it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def merge(self) -> Merged:
        """Read the lines of all processes of the run. Comparisons are read again on demand.

        The files stay open until the returned lines are closed.

        Raises:
            ReportError: a file cannot be read, or a kept line cannot be written.
        """
        if self._held:
            self._write_held()
        self.close()
        merged = Merged()
        try:
            for path in sorted(self._lines.glob("*.jsonl")):
                merged.lines.files.append(path.open("rb"))
                _take(merged)
            merged.records = _without_older(merged)
        except ReportError:
            merged.lines.close()
            raise
        except OSError as error:
            merged.lines.close()
            msg = f"{label_of(self._lines)}: cannot be read: {error.strerror}"
            raise ReportError(msg) from error
        return merged


def _refuse_foreign(directory: Path) -> None:
    marker = directory / MARKER
    if marker.is_file() and read_regular(marker).startswith(MARK[:30].encode()):
        return
    if not directory.exists():
        return
    # A file that another process of this run is writing right now is not foreign.
    if all(entry.name.startswith(TEMPORARY) or entry == marker for entry in directory.iterdir()):
        return
    msg = (
        f"{label_of(directory)}: contains files that are not from a report; empty it, or use another folder for "
        "the report"
    )
    raise ReportError(msg)


def _take(merged: Merged) -> None:
    """Read the last file."""
    decoder = msgspec.json.Decoder(Line)
    number = len(merged.lines.files) - 1
    end = 0
    for whole in merged.lines.files[number]:
        start, end = end, end + len(whole)
        line = whole.strip()
        if not line:
            continue
        try:
            value = decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            merged.torn += 1
            continue
        if isinstance(value, ComparisonRecord):
            merged.lines.note(number, start, len(line))
        _add(value, merged)


def _add(line: Line, merged: Merged) -> None:
    if isinstance(line, ComparisonRecord):
        merged.overview.add(line)
        merged.hashes.append(hash(line.name))
        merged.tests.append(hash(line.test))
        if line.written is not None:
            merged.written[line.written] = None
    elif isinstance(line, Collected):
        merged.collected.update(dict.fromkeys(map(sys.intern, line.ids)))
        merged.modules.update(line.whole)
        merged.collected_modules.update(line.modules)
        merged.is_whole_suite |= line.is_whole_suite
    elif isinstance(line, Claimed):
        merged.owners.setdefault(line.place, {})[line.owner] = None
    elif isinstance(line, Problem):
        merged.problems[line.text] = None
        merged.is_usage_error |= line.is_usage_error
    elif isinstance(line, NotCompared):
        merged.not_compared.update(dict.fromkeys(line.lines))
    elif isinstance(line, Sharded):
        if merged.shard not in (None, line.shard):
            merged.problems["the processes of this run split its pairs or tests in different ways"] = None
        merged.shard = line.shard
    elif isinstance(line, Used):
        merged.used.add(line.baseline)
    else:
        _add_outcome(line, merged)


def _add_outcome(line: Finished | Unclean | Red | Again, merged: Merged) -> None:
    if isinstance(line, Finished):
        merged.finished.add(sys.intern(line.id))
    elif isinstance(line, Unclean):
        merged.unclean.setdefault(line.module, set()).add(line.test)
    elif isinstance(line, Red):
        merged.red.add(sys.intern(line.id))
    else:
        merged.red.discard(line.id)
        test = hash(line.id)
        merged.void.update((number, line.id) for number, other in enumerate(merged.tests) if other == test)


def _without_older(merged: Merged) -> StoredRecords:
    """Return the comparisons. If a test was rerun, its last comparison replaces the first.

    Names are read again only if two hashes are equal.
    """
    hashes = merged.hashes
    records = StoredRecords(merged.lines, merged.overview)
    by_hash = sorted(range(len(hashes)), key=hashes.__getitem__)
    doubtful = {number for two in pairwise(by_hash) if hashes[two[0]] == hashes[two[1]] for number in two}
    void = {number for number, test in merged.void.items() if records[number].test == test}
    doubtful -= void
    if not doubtful and not void:
        return records
    first: dict[str, int] = {}
    last: dict[int, int] = {}
    for number in sorted(doubtful):
        last[first.setdefault(records[number].name, number)] = number
    kept = [
        last.get(number, number)
        for number in range(len(hashes))
        if number not in void and (number in last or number not in doubtful)
    ]
    merged.tests = array("q", (merged.tests[number] for number in kept))
    chosen = Chosen(records, kept)
    return StoredRecords(merged.lines.chosen(kept), Overview(chosen))


def _cannot_write(path: Path, error: OSError) -> str:
    return f"{label_of(path)}: the results cannot be written: {error.strerror or error}"
