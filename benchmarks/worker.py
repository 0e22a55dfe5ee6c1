"""The process in which one library is measured: ``python -m benchmarks.worker MODULE FUNCTION ARGUMENTS``.

``MODULE.FUNCTION`` (of `benchmarks.calls`), called with the arguments (a JSON object), imports and prepares all that it
needs and returns what is to be measured, a function without arguments. Each line of standard input, a number of runs,
is answered by one line of JSON. The line ``memory`` requests one run and its peak memory.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

STATUS = Path("/proc/self/status")
PEAK = Path("/proc/self/clear_refs")


def main() -> None:
    """Answer until standard input ends."""
    module, function, arguments = sys.argv[1:]
    measured = getattr(importlib.import_module(f"benchmarks.calls.{module}"), function)(**json.loads(arguments))
    for line in sys.stdin:
        asked = line.strip()
        answer = peak_memory(measured) if asked == "memory" else timed(measured, int(asked))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def timed(measured: Callable[[], Any], runs: int) -> dict[str, Any]:
    """Return the mean milliseconds of a run, and the result of the last one."""
    started = time.perf_counter()
    for _ in range(runs):
        result = measured()
    return {"ms": 1000 * (time.perf_counter() - started) / runs, "result": result}


def peak_memory(measured: Callable[[], Any]) -> dict[str, Any]:
    """Return the peak growth of memory in megabytes during one run, and its result (Linux)."""
    PEAK.write_text("5", encoding="ascii")  # the peak starts again from what is held now
    before = _status("VmRSS")
    result = measured()
    return {"MB": _status("VmHWM") - before, "result": result}


def _status(key: str) -> float:
    [line] = [line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(key)]
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
