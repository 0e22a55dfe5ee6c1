"""Goal 3: our command on two byte-equal files."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from benchmarks.attempts import attempted
from benchmarks.commands import compare
from benchmarks.duels import duels
from benchmarks.goals import goal
from benchmarks.processes import Command
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.alternating import Contender
    from benchmarks.bench import Bench
    from benchmarks.processes import Workers

NUMPY = """
import sys
from pytest_imgdiff.cli.quick import main
sys.argv[1:] = ["compare", *sys.argv[1:]]
main()
print(sum(name.partition(".")[0] == "numpy" for name in sys.modules))
"""


def measure(bench: Bench) -> Iterator[Row]:
    """Measure the interface and the photograph."""
    for picture in ("4k-interface", "4k-photo"):
        name = f"equal_files/{picture}/odiff"
        yield from duels(bench, {name: ("ours", "odiff")}, _contenders(bench, *_copies(bench, picture)))
    if bench.wanted("equal_files/numpy"):
        yield attempted("equal_files/numpy", lambda: _numpy(bench))


def _numpy(bench: Bench) -> Row:
    command = Command([sys.executable, "-c", NUMPY, *_copies(bench, "500x500")], folder=bench.scratch)
    command.run()
    return Row(goal("equal_files/numpy"), [float(command.said.split()[-1])])


def _contenders(bench: Bench, *files: Path) -> dict[str, Callable[[Workers], Contender]]:
    return {
        "ours": lambda _: compare(bench, *files),
        "odiff": lambda _: Command([bench.rivals.odiff, *files], folder=bench.scratch),
    }


def _copies(bench: Bench, picture: str) -> list[Path]:
    expected, _ = bench.pictures.pair(picture)
    files = [bench.scratch / f"{picture}-{copy}.png" for copy in ("one", "two")]
    for file in files:
        shutil.copyfile(expected, file)
    return files
