"""A report of many comparisons: its size on disk, its loading time, and its scrolling.

    python -m benchmarks.report                      10 000 comparisons of which 1500 fail
    python -m benchmarks.report --failing 10000      all of them
    python -m benchmarks.report --rows 1000000 --failing 10000

The comparisons are real records of real images (the shipped examples), repeated under other names. Needs the test
extra and Chromium, named in CHROMIUM or found on the PATH.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from playwright.sync_api import sync_playwright

from pytest_imgdiff.cli.parser import main as imgdiff
from pytest_imgdiff.report import read_results, write_report
from pytest_imgdiff.report.records import RecordSpool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord

ROOT = Path(__file__).parent.parent
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
FRAMES = 300
STEPS = (60, 300, 1200)
"""Pixels that the page moves in each frame: reading, scrolling, flinging."""
WATCH = """
new MutationObserver((changes, watcher) => {
  if (!document.querySelector("#comparisons > *")) return;
  watcher.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.firstLine = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""
FIRST = "[window.firstLine, performance.getEntriesByName('first-contentful-paint')[0].startTime]"
SCROLL = """([step, frames]) => new Promise((done) => {
  const times = [];
  let last = performance.now();
  function frame(now) {
    times.push(now - last);
    last = now;
    scrollBy({ top: step, behavior: "instant" });
    if (times.length < frames) requestAnimationFrame(frame); else done(times.slice(5));
  }
  requestAnimationFrame(frame);
})"""


def main() -> None:
    """Make the report, open it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--failing", type=int, default=1500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        run = _repeated(_examples(report), options.rows, options.failing)
        begun = time.perf_counter()
        write_report(report, run)
        print(f"{options.rows} comparisons, {options.failing} fail: written in {time.perf_counter() - begun:.2f} s")
        print(f"  peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
        _print_sizes(report)
        with sync_playwright() as playwright:
            executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
            _print_opening(browser, report)
            browser.close()


def _examples(report: Path) -> RunRecord:
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        imgdiff(["compare", "examples/expected", "examples/actual", "--report", str(report), "--quiet"])
    finally:
        os.chdir(here)
    return read_results(report / "results.json")


def _repeated(run: RunRecord, rows: int, failing: int) -> RunRecord:
    failed = [record for record in run.comparisons if not record.passed]
    passed = [record for record in run.comparisons if record.passed]
    records = RecordSpool()  # a million do not fit in memory
    for copies in (_copies(failed, failing), _copies(passed, rows - failing)):
        for record in copies:
            records.append(record)
    return msgspec.structs.replace(run, comparisons=records)


def _copies(records: list[ComparisonRecord], count: int) -> Iterator[ComparisonRecord]:
    for number in range(count):
        record = records[number % len(records)]
        folder = f"area-{number % 40:02}"
        seconds = record.seconds * (1 + number % 997 / 997)
        yield msgspec.structs.replace(record, name=f"{folder}/{number:07}-{Path(record.name).name}", seconds=seconds)


def _print_sizes(report: Path) -> None:
    for part in ("index.html", "plain.html", "results.json", "data", "assets", "pictures", "."):
        path = report / part
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        name = "the whole folder" if part == "." else part
        print(f"  {name}: {sum(file.stat().st_size for file in files) / 1e6:.2f} MB in {len(files)} files")


def _print_opening(browser: Browser, report: Path) -> None:
    firsts = []
    for _ in range(5):
        page = _opened(browser, report)
        firsts.append(page.evaluate(FIRST))
        page.close()
    lines, paints = (sorted(column) for column in zip(*firsts, strict=True))
    print(f"  first contentful paint: {statistics.median(paints):.0f} ms (largest {paints[-1]:.0f})")
    print(f"  first line of the list: {statistics.median(lines):.0f} ms (largest {lines[-1]:.0f})")
    page = _opened(browser, report)
    heap = page.evaluate("performance.memory.usedJSHeapSize / 1e6")
    print(f"  JavaScript heap: {heap:.0f} MB; elements: {page.evaluate('document.querySelectorAll(`*`).length')}")
    page.evaluate("imgdiff.state.set({ outcome: 'all', group: 'none' })")
    for step in STEPS:
        frames: list[Any] = sorted(page.evaluate(SCROLL, [step, FRAMES]))
        median, late = statistics.median(frames), frames[int(len(frames) * 0.99)]
        print(f"  scrolling {step} px a frame: median {median:.1f} ms, 99th percentile {late:.1f} ms")


def _opened(browser: Browser, report: Path) -> Page:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.add_init_script(WATCH)
    page.goto((report / "index.html").as_uri())
    page.wait_for_function("window.firstLine > 0")
    return page


if __name__ == "__main__":
    main()
