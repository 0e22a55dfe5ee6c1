"""Our own commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import CODES, Command

if TYPE_CHECKING:
    from benchmarks.bench import Bench


def ours(bench: Bench, *words: str | Path, folder: Path | None = None) -> Command:
    """Return ``pytest-imgdiff`` with these words, run in a folder; by default in the scratch folder."""
    script = Path(sys.executable).with_name("pytest-imgdiff")
    command: list[str | Path] = [script] if script.exists() else [sys.executable, "-m", "pytest_imgdiff"]
    return Command([*command, *words], folder=folder or bench.scratch, codes=CODES["ours"])


def compare(bench: Bench, expected: Path, actual: Path, *options: str | Path) -> Command:
    """Return ``pytest-imgdiff compare`` of two files or folders."""
    return ours(bench, "compare", expected, actual, *options)


def scan(bench: Bench, expected: Path, actual: Path, *options: str | Path) -> Command:
    """Return ``pytest --imgdiff-scan`` of two folders, with no other plugin: theirs is not ours to measure."""
    report = bench.scratch / "pytest-report"
    words = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_imgdiff.plugin", "-p", "no:cacheprovider"]
    return Command(
        [
            *words,
            f"--imgdiff-expected={expected}",
            f"--imgdiff-actual={actual}",
            f"--imgdiff-report={report}",
            *options,
        ],
        folder=bench.scratch,
        codes=CODES["ours"],
        variables={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
