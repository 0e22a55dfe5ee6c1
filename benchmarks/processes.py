"""Processes that are measured: commands from start to end, and workers that are asked for one run after another."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parent.parent
CODES = {"ours": (0, 1), "odiff": (0, 22), "pixelmatch": (0, 66), "xargs": (0, 123)}
"""Exit codes of a completed comparison of equal or different images."""


class MeasuringError(Exception):
    """Raised if a measured process fails; the message is its output."""


def environment(**more: str) -> dict[str, str]:
    """Return the environment of measured processes: without variables of CI, profilers and tracers."""
    # Without byte code on disk ours would be compiled in every process, which an installed package never is.
    left_out = ("CI", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in os.environ.items() if key not in left_out}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"} | more


class Command:
    """A command, measured from its start to its end."""

    def __init__(
        self,
        words: Sequence[str | Path],
        *,
        folder: Path,
        feed: str = "",
        codes: Sequence[int] = (0,),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.words = [str(word) for word in words]
        self.folder = folder
        self.feed = feed.encode()
        self.codes = codes
        self.environment = environment(**(variables or {}))
        self.said = ""
        """By the last run, on standard output and standard error."""

    def __call__(self, runs: int) -> float:
        """Run it ``runs`` times; return the mean milliseconds."""
        return sum(self.run()[0] for _ in range(runs)) / runs

    def run(self) -> tuple[float, float]:
        """Run it once; return milliseconds, and the megabytes that it (not its children) took at most.

        Raises:
            MeasuringError: its exit code is not that of a comparison that was done.
        """
        with (self.folder / "said.txt").open("w+b") as said:
            started = time.perf_counter()
            process = subprocess.Popen(  # noqa: S603 - the commands are this benchmark's own
                self.words,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE if self.feed else subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                close_fds=False,  # else Python forks, which costs what Python holds
            )
            if process.stdin is not None:
                process.stdin.write(self.feed)
                process.stdin.close()
            _, status, usage = os.wait4(process.pid, 0)
            milliseconds = 1000 * (time.perf_counter() - started)
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            self.said = said.read().decode(errors="replace")
        # Python ends with 1 where it fails, too.
        if process.returncode not in self.codes or "Traceback (most recent call last)" in self.said:
            raise MeasuringError(f"{Path(self.words[0]).name} ended with {process.returncode}: {_end(self.said)}")
        return milliseconds, usage.ru_maxrss * 1024 / 1e6


def _end(said: str) -> str:
    lines = said.strip().splitlines()
    return " / ".join(lines[-3:])


class Worker:
    """A process of `benchmarks.worker`."""

    def __init__(self, python: str | Path, call: str, **arguments: Any) -> None:
        module, function = call.split(".")
        self._errors = TemporaryFile()  # noqa: SIM115 - it is open as long as the process runs
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [str(python), "-m", "benchmarks.worker", module, function, json.dumps(arguments, default=str)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.result: Any = None
        """The result of the last run."""

    def __call__(self, runs: int) -> float:
        """Run it ``runs`` times in a row; return the mean milliseconds."""
        return float(self._asked(str(runs))["ms"])

    def memory(self) -> float:
        """Run it once; return by how many megabytes it grew at most."""
        return float(self._asked("memory")["MB"])

    def _asked(self, line: str) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise AssertionError(line)
        try:
            stdin.write(line + "\n")
            stdin.flush()
            answer: dict[str, Any] = json.loads(stdout.readline())
        except (OSError, ValueError):
            self._process.kill()
            self._errors.seek(0)
            raise MeasuringError(_end(self._errors.read().decode(errors="replace"))) from None
        self.result = answer["result"]
        return answer

    def close(self) -> None:
        """End the process."""
        with self._errors, suppress(BrokenPipeError), self._process:  # closes its pipes, and waits
            pass


@contextmanager
def workers() -> Iterator[Workers]:
    """Yield a function that starts workers, like `Worker`; all are ended with the block."""
    started = Workers()
    try:
        yield started
    finally:
        for worker in started.running:
            worker.close()


class Workers:
    """Those that were started."""

    def __init__(self) -> None:
        self.running: list[Worker] = []

    def __call__(self, python: str | Path, call: str, **arguments: Any) -> Worker:
        """Start one."""
        worker = Worker(python, call, **arguments)
        self.running.append(worker)
        return worker
