"""Measures `assert_images_similar(page)` beside a bare screenshot and the `toHaveScreenshot` of Playwright for Node.

    python -m benchmarks.captures              seven alternating rounds on twenty pages
    python -m benchmarks.captures --rounds 2   a first look

Both judge the same twenty pages, as they are and with one change each, in the same Chromium. A round is one process of
each; in it every page is loaded, captured by a bare screenshot and then asserted, which passes. Needs the extra test,
npm and Node, and Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

from benchmarks.judgement import generate
from benchmarks.judgement.changes import EDITS, RESTYLED
from benchmarks.judgement.templates import HEIGHT, PAGES, WIDTH
from benchmarks.machine import cores
from benchmarks.processes import ROOT
from benchmarks.rivals import node

if TYPE_CHECKING:
    from collections.abc import Iterator

RIVAL = "@playwright/test@1"
COUNT = 20
ROUNDS = 7
CONFTEST = """
import json, os, time
import pytest
from playwright.sync_api import sync_playwright

times = {}


@pytest.fixture(scope="session")
def page():
    with sync_playwright() as driver:
        arguments = json.loads(os.environ["ARGUMENTS"])
        browser = driver.chromium.launch(executable_path=os.environ["CHROMIUM"], args=arguments)
        yield browser.new_page(viewport=json.loads(os.environ["VIEWPORT"]))


@pytest.fixture(scope="session", autouse=True)
def _written():
    yield
    with open(os.environ["TIMES"], "w") as file:
        json.dump(times, file)
"""
SUITE = """
import os, time
from pathlib import Path

import pytest
from conftest import times

PAGES = Path(os.environ["PAGES"])


@pytest.mark.parametrize("name", ["warm", *sorted(path.stem for path in PAGES.glob("page*.html"))])
def test_page(page, assert_images_similar, name):
    page.goto((PAGES / f"{name}.html").as_uri())
    started = time.perf_counter()
    page.screenshot()
    shot = time.perf_counter()
    try:
        assert_images_similar(page)
    finally:
        times[name] = [shot - started, time.perf_counter() - shot]
"""
SETTINGS = """
module.exports = {
  workers: 1,
  reporter: [["json", { outputFile: process.env.OUTCOME }]],
  snapshotPathTemplate: process.env.BASELINES + "/{arg}{ext}",
  use: {
    viewport: JSON.parse(process.env.VIEWPORT),
    launchOptions: { executablePath: process.env.CHROMIUM, args: JSON.parse(process.env.ARGUMENTS) },
  },
};
"""
SPEC = """
const fs = require("fs");
const path = require("path");
const url = require("url");
const { test, expect } = require("@playwright/test");
const times = {};
const folder = process.env.PAGES;
const names = fs.readdirSync(folder).filter((name) => name.startsWith("page")).map((name) => path.parse(name).name);
let page;
test.beforeAll(async ({ browser }) => { page = await browser.newPage(); });
test.afterAll(() => fs.writeFileSync(process.env.TIMES, JSON.stringify(times)));
for (const name of ["warm", ...names.sort()]) {
  test(name, async () => {
    await page.goto(url.pathToFileURL(path.join(folder, name + ".html")).href);
    const started = performance.now();
    await page.screenshot();
    const shot = performance.now();
    try {
      await expect(page).toHaveScreenshot(name + ".png");
    } finally {
      times[name] = [(shot - started) / 1000, (performance.now() - shot) / 1000];
    }
  });
}
"""


def main() -> None:
    """Render the pages, run both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--cache", type=Path, default=ROOT / "build" / "benchmarks", help="where the rival is installed"
    )
    options = parser.parse_args()
    rival = options.cache / "rivals" / "playwright"
    rival.mkdir(parents=True, exist_ok=True)
    npm = which("npm") or sys.exit("npm is needed for Playwright's own test runner")
    subprocess.run([npm, "install", "--silent", "--prefix", rival, RIVAL], check=True)  # noqa: S603 - npm itself
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as ended:
        folder = Path(scratch)
        changes = _pages(folder, generate.Studio(ended, folder))
        contenders = (_Ours(folder), _Rival(folder, rival))
        for contender in contenders:
            contender.run("expected", update=True)
        passing: dict[str, list[dict[str, list[float]]]] = {contender.name: [] for contender in contenders}
        for _ in range(options.rounds):
            for contender in contenders:
                passing[contender.name].append(contender.run("expected"))
                _print_failed(contender, f"unchanged pages called different by {contender.name}")
        _print_times(passing)
        for contender in contenders:
            contender.run("actual")
            passed = sorted(set(changes) - contender.failed())
            missed = ", ".join(f"{name} ({changes[name]})" for name in passed) or "none"
            print(f"of {len(changes)} changes passed by {contender.name}: {missed}")
    print(f"cores: {cores()}, load: {os.getloadavg()[0]:.1f}")


class _Contender(ABC):
    """One test runner.

    Args:
        folder: of the pages; it keeps its suite, baselines and outcomes there.
    """

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / self.name.replace(" ", "-")
        self.home.mkdir()
        self.times = self.home / "times.json"

    def environment(self, side: str) -> dict[str, str]:
        """Return the environment of a run on one side of the pages."""
        executable = os.environ.get("CHROMIUM") or next(filter(None, map(which, generate.EXECUTABLES)))
        return {
            **os.environ,
            "CHROMIUM": executable,
            "ARGUMENTS": json.dumps(generate.ARGUMENTS),
            "VIEWPORT": json.dumps({"width": WIDTH, "height": HEIGHT}),
            "PAGES": str(self.folder / side),
            "TIMES": str(self.times),
            "OUTCOME": str(self.home / "outcome.json"),
            "BASELINES": str(self.home / "baselines"),
        }

    def run(self, side: str, *, update: bool = False) -> dict[str, list[float]]:
        """Run the suite once; return, for each page, the seconds of the bare screenshot and of the assertion."""
        self.times.unlink(missing_ok=True)
        done = subprocess.run(  # noqa: S603 - our own suites
            self.command(update=update),
            cwd=self.home,
            env=self.environment(side),
            capture_output=True,
            text=True,
            check=False,
        )
        if not self.times.is_file():
            sys.exit(f"{self.name} did not run:\n{done.stdout}\n{done.stderr}")
        times: dict[str, list[float]] = json.loads(self.times.read_text(encoding="utf-8"))
        times.pop("warm", None)  # of the rival's worker, which a failure replaces
        return times

    @abstractmethod
    def command(self, *, update: bool) -> list[str]:
        """Return the command that runs the suite."""

    @abstractmethod
    def failed(self) -> set[str]:
        """Return the pages that the last run reported as different."""


class _Ours(_Contender):
    name = "assert_images_similar"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.home / "conftest.py").write_text(CONFTEST, encoding="utf-8")
        (self.home / "test_pages.py").write_text(SUITE, encoding="utf-8")
        (self.home / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    def environment(self, side: str) -> dict[str, str]:
        return {**super().environment(side), "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

    def command(self, *, update: bool) -> list[str]:
        plugins = ["-p", "pytest_imgdiff.plugin"]
        return [sys.executable, "-m", "pytest", "-q", *plugins, *(["--imgdiff-update=all"] if update else [])]

    def failed(self) -> set[str]:
        results = json.loads((self.home / "imgdiff-report" / "results.json").read_text(encoding="utf-8"))
        names = (re.search(r"\[(.*)\]", record["name"]) for record in results["comparisons"] if not record["passed"])
        return {name[1] for name in names if name}


class _Rival(_Contender):
    name = "toHaveScreenshot"

    def __init__(self, folder: Path, rival: Path) -> None:
        super().__init__(folder)
        self._tool = rival / "node_modules" / "@playwright" / "test" / "cli.js"
        (self.home / "playwright.config.js").write_text(SETTINGS, encoding="utf-8")
        (self.home / "pages.spec.js").write_text(SPEC, encoding="utf-8")
        (self.home / "node_modules").symlink_to(rival / "node_modules")

    def command(self, *, update: bool) -> list[str]:
        return [node(), str(self._tool), "test", *(["--update-snapshots"] if update else [])]

    def failed(self) -> set[str]:
        outcome: dict[str, Any] = json.loads((self.home / "outcome.json").read_text(encoding="utf-8"))
        specs = (spec for suite in outcome["suites"] for spec in suite["specs"])
        return {spec["title"] for spec in specs if not spec["ok"]}


def _pages(folder: Path, studio: generate.Studio) -> dict[str, str]:
    """Write each page before and after its change as HTML without scripts; return the names of the changes."""
    changes = {}
    for side in ("expected", "actual"):
        (folder / side).mkdir()
        (folder / side / "warm.html").write_text("<h1>Warm</h1>", encoding="utf-8")
    for number, pair in enumerate(islice(_suited(), COUNT)):
        page = studio.open(PAGES[pair.page](pair.seed), 1)
        generate.prepare(page, pair)
        name = f"page{number:02}"
        (folder / "expected" / f"{name}.html").write_text(_without_scripts(page.content()), encoding="utf-8")
        generate.edit(page, pair)
        (folder / "actual" / f"{name}.html").write_text(_without_scripts(page.content()), encoding="utf-8")
        page.close()
        changes[name] = pair.change.name
    return changes


def _suited() -> Iterator[generate.Pair]:
    """Yield pairs whose change a person sees and a page without scripts can hold, from many kinds of changes."""
    pairs = [pair for seed in (0, 1) for pair in generate.planned(seed, (EDITS, RESTYLED))]
    good = [
        pair
        for pair in pairs
        if pair.change.match is False and not pair.change.renderings and "<canvas" not in PAGES[pair.page](pair.seed)
    ]
    step = max(1, len(good) // COUNT)
    yield from good[::step]


def _without_scripts(html: str) -> str:
    return "<!doctype html>" + re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL)


def _print_failed(contender: _Contender, words: str) -> None:
    if failed := contender.failed():
        print(f"{words}: {', '.join(sorted(failed))}")


def _print_times(passing: dict[str, list[dict[str, list[float]]]]) -> None:
    print("| | bare screenshot, ms | assertion that passes, ms | ratio | smallest and largest ratio of a round |")
    print("|---|---|---|---|---|")
    for name, rounds in passing.items():
        ratios = [sum(times[1] for times in one.values()) / sum(times[0] for times in one.values()) for one in rounds]
        bare, asserted = (
            1000 * statistics.median(times[index] for one in rounds for times in one.values()) for index in (0, 1)
        )
        middle = statistics.median(ratios)
        print(f"| {name} | {bare:.1f} | {asserted:.1f} | {middle:.2f} | {min(ratios):.2f}, {max(ratios):.2f} |")


if __name__ == "__main__":
    main()
