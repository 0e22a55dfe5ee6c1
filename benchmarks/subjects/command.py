"""Goal 2: our command on two files that differ, and on two byte-equal ones."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.attempts import all_attempted, attempted
from benchmarks.commands import compare
from benchmarks.duels import duels
from benchmarks.goals import COMMAND, EQUAL_FILES, goal
from benchmarks.processes import CODES, Command
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.alternating import Contender
    from benchmarks.bench import Bench
    from benchmarks.processes import Workers

RULE = ("--set", "metrics={perceptual: {max: 0, difference: yiq}}")
"""The nearest to what odiff says of a pair. One that fails is explained as well: kinds of regions, what moved."""
WITHIN = ("--set", "metrics={perceptual: {max: 0.9999, difference: yiq}}")
"""The same, and the pair passes."""
NUMPY = """
import sys
from pytest_imgdiff.cli.quick import main
sys.argv[1:] = ["compare", *sys.argv[1:]]
main()
print(sum(name.partition(".")[0] in ("numpy", "cv2") for name in sys.modules))
"""


def measure(bench: Bench) -> Iterator[Row]:
    """Measure pictures that differ, then copies of one."""
    for picture in COMMAND:
        pairs = {f"command/{picture}/odiff": ("ours", "odiff"), f"command/{picture}/within": ("within", "odiff")}
        yield from all_attempted(filter(bench.wanted, pairs), partial(_differing, bench, pairs, picture))
    for picture in EQUAL_FILES:
        name = f"command/equal-{picture}/odiff"
        yield from duels(bench, {name: ("ours", "odiff")}, _contenders(bench, *_copies(bench, picture)))
    if bench.wanted("command/equal-numpy"):
        yield attempted("command/equal-numpy", lambda: _numpy(bench, "equal", *_copies(bench, "500x500")))
    if bench.wanted("command/differing-numpy"):
        yield attempted(
            "command/differing-numpy", lambda: _numpy(bench, "differing", *bench.pictures.pair("500x500"), *RULE)
        )


def _differing(bench: Bench, pairs: dict[str, tuple[str, str]], picture: str) -> list[Row]:
    files = bench.pictures.pair(picture)
    makers: dict[str, Callable[[Workers], Contender]] = {
        "ours": lambda _: compare(bench, *files, *RULE),
        "within": lambda _: compare(bench, *files, *WITHIN),
        "odiff": lambda _: Command(
            [bench.rivals.odiff, *files, "--antialiasing"], folder=bench.scratch, codes=CODES["odiff"]
        ),
    }
    return duels(bench, pairs, makers)


def _numpy(bench: Bench, which: str, *words: str | Path) -> Row:
    command = Command([sys.executable, "-c", NUMPY, *words], folder=bench.scratch, codes=CODES["ours"])
    command.run()
    return Row(goal(f"command/{which}-numpy"), [float(command.said.split()[-1])])


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
