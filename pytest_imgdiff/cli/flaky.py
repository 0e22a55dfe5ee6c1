"""``pytest-imgdiff flaky``: list images whose verdict changed between runs although their baseline did not."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.text import counted, shortened, visible
from pytest_imgdiff.cli.parser import add_shared, print_table
from pytest_imgdiff.report import read_results
from pytest_imgdiff.report.files import write_output
from pytest_imgdiff.report.results_json import RESULTS_FILE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord

_NOTHING, _FOUND = 0, 1
_FEWEST_RUNS = 2
_LONGEST_NAME = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "List images whose verdict changed between runs although their baseline did not. Pass the runs in "
        "their order. Exit code 0: none, 1: at least one, 2: results could not be read."
    )
    parser.add_argument(
        "results", nargs="+", metavar="RESULTS", help="the results.json of a run, or the folder of its report"
    )
    add_shared(parser, "--json")


def run(options: argparse.Namespace) -> int:
    """Print which images changed their verdict between runs although their baseline did not change.

    Returns:
        0: none. 1: at least one.

    Raises:
        ImgdiffError: an argument is invalid, or a results.json cannot be read.
    """
    sources = results_paths(options.results)
    if len(sources) < _FEWEST_RUNS:
        raise ConfigError("flaky: pass the results of at least two runs: results.json files or report folders")
    runs = [read_results(path) for path in sources]
    histories = _histories(runs)
    flaky = sorted((one for one in histories if one.is_flaky), key=lambda one: (-one.switches, one.name, one.column))
    words = sys.stderr if options.json == "-" else sys.stdout
    _print_result(flaky, histories, runs, words)
    if options.json:
        found = {
            "runs": [visible(str(path)) for path in sources],
            "pictures": len({(one.name, one.column) for one in histories}),
            "seen_once": len(_seen_once(histories)),
            "flaky": [one.as_json() for one in flaky],
        }
        write_output(json.dumps(found, indent=2).encode() + b"\n", options.json, "the result")
    return _FOUND if flaky else _NOTHING


def results_paths(named: Sequence[str]) -> list[Path]:
    """Return the results.json of each file or report folder.

    Raises:
        ConfigError: one was passed twice.
    """
    paths = [Path(name) / RESULTS_FILE if Path(name).is_dir() else Path(name) for name in named]
    seen: set[str] = set()
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            raise ConfigError(f"{visible(str(path))}: these results were passed twice; pass each run once")
        seen.add(real)
    return paths


@dataclass
class _History:
    """The comparisons of one image with one content of its baseline, over all runs.

    Attributes:
        name, column: of the comparison.
        baseline: the digest of the baseline; None if there was no baseline.
        runs: the number of runs.
        records: index of a run to its comparison.
    """

    name: str
    column: str | None
    baseline: str | None
    runs: int
    records: dict[int, ComparisonRecord] = field(default_factory=dict)

    @property
    def is_flaky(self) -> bool:
        return self.switches > 0

    @property
    def switches(self) -> int:
        """How often the verdict changed from one run to the next."""
        outcomes = [(record.verdict, record.passed) for _, record in sorted(self.records.items())]
        return sum(before != after for before, after in pairwise(outcomes))

    @property
    def marks(self) -> str:
        """One character for each run: ``.`` passed, ``F`` failed, ``B`` broken, ``-`` without this baseline."""
        return "".join(_mark(self.records.get(number)) for number in range(self.runs))

    @property
    def notes(self) -> list[str]:
        """Explanations of the changed verdict, other than the image."""
        records = list(self.records.values())
        notes = []
        if len({tuple(_limits(record)) for record in records if record.scores}) > 1:
            notes.append("the limits also changed")
        actual = {record.actual.digest for record in records if record.actual is not None}
        if len(actual) == 1 and all(record.actual is not None for record in records):
            notes.append("the actual image is the same in all runs")
        return notes

    def as_json(self) -> dict[str, Any]:
        found = [self.records.get(number) for number in range(self.runs)]
        metrics = dict.fromkeys(score.metric for record in self.records.values() for score in record.scores)
        return {
            "name": self.name,
            "column": self.column,
            "baseline": self.baseline,
            "verdicts": [None if record is None else record.verdict for record in found],
            "passed": [None if record is None else record.passed for record in found],
            "switches": self.switches,
            "values": {metric: [_value(record, metric) for record in found] for metric in metrics},
            "notes": self.notes,
        }


def _mark(record: ComparisonRecord | None) -> str:
    if record is None:
        return "-"
    return "." if record.passed else "B" if record.verdict == "broken" else "F"


def _limits(record: ComparisonRecord) -> Iterable[tuple[object, ...]]:
    return ((one.metric, one.limit, one.max_pixels, one.max_in_window) for one in record.scores if not one.measured)


def _value(record: ComparisonRecord | None, metric: str) -> float | None:
    scores = [] if record is None else record.scores
    return next((score.value for score in scores if score.metric == metric), None)


def _histories(runs: Sequence[RunRecord]) -> list[_History]:
    found: dict[tuple[str, str | None, str | None], _History] = {}
    for place, run in enumerate(runs):
        for record in run.comparisons:
            if record.expected is None and record.verdict == "broken":
                continue  # the content of the baseline is unknown
            baseline = record.baselines_digest or (None if record.expected is None else record.expected.digest)
            key = record.name, record.column, baseline
            found.setdefault(key, _History(*key, runs=len(runs))).records[place] = record
    return list(found.values())


def _seen_once(histories: Sequence[_History]) -> set[tuple[str, str | None]]:
    """Return the images that no two runs compared with the same baseline."""
    several = {(one.name, one.column) for one in histories if len(one.records) > 1}
    return {(one.name, one.column) for one in histories} - several


def _print_result(
    flaky: Sequence[_History], histories: Sequence[_History], runs: Sequence[RunRecord], stream: TextIO
) -> None:
    images = {(one.name, one.column) for one in histories}
    if flaky:
        rows = [("VERDICTS", "FAILED", "CHANGES", "IMAGE")]
        for one in flaky:
            failed = sum(not record.passed for record in one.records.values())
            name = one.name if one.column is None else f"{one.column}: {one.name}"
            notes = f" ({'; '.join(one.notes)})" if one.notes else ""
            share = f"{failed} of {len(one.records)}"
            rows.append((one.marks, share, str(one.switches), visible(shortened(name, _LONGEST_NAME)) + notes))
        print_table(rows, stream)
    once = _seen_once(histories)
    if once:
        print(f"{counted(len(once), 'image')}: no two runs compared it with the same baseline", file=stream)
    if incomplete := sum(not run.complete for run in runs):
        print(f"{counted(incomplete, 'run')} of {len(runs)} incomplete", file=stream)
    total = counted(len(images), "image")
    print(f"{total} in {len(runs)} runs: {len({(one.name, one.column) for one in flaky})} flaky", file=stream)
