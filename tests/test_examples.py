"""The shipped examples do what their README says."""

from __future__ import annotations

import re
import subprocess
import sys

from pytest_imgdiff.report import read_results
from tests.chromium import EXECUTABLE


def test_the_scan_gives_the_verdicts_of_the_table(root, tmp_path):
    command = [sys.executable, "-m", "pytest_imgdiff", "compare", "examples/expected", "examples/actual", "--quiet"]
    done = subprocess.run([*command, "--json", tmp_path / "results.json"], cwd=root, check=False, capture_output=True)
    assert done.returncode == 1
    found = {record.name: record.verdict for record in read_results(tmp_path / "results.json").comparisons}
    text = (root / "examples/README.md").read_text(encoding="utf-8")
    verdicts = "match|different|missing|unmatched|resized"
    table = dict(re.findall(rf"^\| `([\w./]+)` \|.*?\b({verdicts})\b[^|]*\|", text, re.MULTILINE))
    assert found == table


def test_the_tests_pass(root, tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/test_examples.py"]
    done = subprocess.run(
        [*command, "--imgdiff-report", tmp_path / "report"], cwd=root, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    has_chromium = EXECUTABLE is not None
    assert ("7 passed" if has_chromium else "6 passed, 1 skipped") in done.stdout
