"""A failed comparison is always heard: a green run has a green report, a red report makes the run red."""

from __future__ import annotations

import json
import sys

import pytest

from pytest_imgdiff.plugin.fixture import _file_clock
from tests.report_records import png

HEAD = """
import asyncio, contextlib, gc, multiprocessing, os, threading, time, unittest
from pathlib import Path
import numpy as np
import pytest
WHITE, BLACK = np.full((9, 9, 3), 255, np.uint8), np.zeros((9, 9, 3), np.uint8)
"""

SWALLOWED = {
    "bare except": """
def test_it(assert_images_similar):
    try:
        assert_images_similar(BLACK, WHITE)
    except:
        pass
""",
    "except Exception": """
def test_it(assert_images_similar):
    try:
        assert_images_similar(BLACK, WHITE)
    except Exception:
        pass
""",
    "finally return": """
def test_it(assert_images_similar):
    def check():
        try:
            assert_images_similar(BLACK, WHITE)
        finally:
            return None
    check()
""",
    "suppress": """
def test_it(assert_images_similar):
    with contextlib.suppress(BaseException):
        assert_images_similar(BLACK, WHITE)
""",
    "skip after it": """
def test_it(assert_images_similar):
    try:
        assert_images_similar(BLACK, WHITE)
    except AssertionError:
        pytest.skip("never mind")
""",
    "thread": """
def test_it(assert_images_similar):
    thread = threading.Thread(target=assert_images_similar, args=(BLACK, WHITE))
    thread.start()
    thread.join()
""",
    "thread that outlives the test": """
def test_it(assert_images_similar):
    threading.Thread(target=lambda: (time.sleep(0.3), assert_images_similar(BLACK, WHITE))).start()

def test_later():
    time.sleep(1)
""",
    "thread that outlives the run": """
def test_it(assert_images_similar):
    threading.Thread(target=lambda: (time.sleep(3), assert_images_similar(BLACK, WHITE))).start()
""",
    "fixture kept for later": """
kept = []

def test_it(assert_images_similar):
    kept.append(assert_images_similar)

def test_later():
    with contextlib.suppress(AssertionError):
        kept[0](BLACK, WHITE)
""",
    "task that nobody awaits": """
def test_it(assert_images_similar):
    async def check():
        assert_images_similar(BLACK, WHITE)
    async def main():
        task = asyncio.create_task(check())
        await asyncio.sleep(0.1)
    asyncio.run(main())
""",
    "gather that returns exceptions": """
def test_it(assert_images_similar):
    async def check():
        assert_images_similar(BLACK, WHITE)
    async def main():
        await asyncio.gather(check(), return_exceptions=True)
    asyncio.run(main())
""",
    "callback": """
def test_it(assert_images_similar):
    async def main():
        asyncio.get_running_loop().call_soon(assert_images_similar, BLACK, WHITE)
        await asyncio.sleep(0.1)
    asyncio.run(main())
""",
    "__del__": """
class Checked:
    def __init__(self, check):
        self.check = check
    def __del__(self):
        self.check(BLACK, WHITE)

def test_it(assert_images_similar):
    Checked(assert_images_similar)
    gc.collect()
""",
    "forked child": """
def test_it(assert_images_similar):
    child = multiprocessing.get_context("fork").Process(target=assert_images_similar, args=(BLACK, WHITE))
    child.start()
    child.join()
""",
    "a call that cannot be followed": """
def test_it(assert_images_similar):
    with contextlib.suppress(Exception):
        assert_images_similar(BLACK, WHITE, metrics={"ssin": {"min": 1}})
""",
    "pytest.raises for another failure": """
def test_it(assert_images_similar):
    with contextlib.suppress(AssertionError):
        assert_images_similar(BLACK, WHITE)
    with pytest.raises(AssertionError):
        raise AssertionError
""",
}


def results(pytester):
    return json.loads((pytester.path / "imgdiff-report" / "results.json").read_text(encoding="utf-8"))


def run_test(pytester, code, *options):
    pytester.makepyfile(HEAD + code)
    return pytester.runpytest_subprocess("-W", "ignore", *options)


WITH_XDIST = ("bare except", "forked child", "thread that outlives the test")


@pytest.mark.parametrize(
    ("how", "workers"), [*((how, []) for how in SWALLOWED), *((how, ["-n", "1"]) for how in WITH_XDIST)]
)
def test_a_failure_that_the_test_does_not_hear_makes_the_run_fail_by_name(pytester, how, workers):
    run = run_test(pytester, SWALLOWED[how], *workers)
    assert run.ret == 1
    output = run.stdout.str() + run.stderr.str()
    assert "test_it" in output
    assert (
        "images differ (9x9 at 0,0 recoloured; visible 81 px, 10 > 1)" in output
        or "fails visible: 81 px" in output
        or "ssin" in output
    )
    if how != "thread that outlives the run":  # its report was written before
        assert any(not record["passed"] and record["asserted"] for record in results(pytester)["comparisons"])


HEARD = {
    "pytest.raises": """
def test_it(assert_images_similar):
    with pytest.raises(AssertionError, match="images differ"):
        assert_images_similar(BLACK, WHITE)
""",
    "pytest.raises with a function": """
def test_it(assert_images_similar):
    pytest.raises(AssertionError, assert_images_similar, BLACK, WHITE)
""",
    "assertRaises": """
def test_it(assert_images_similar):
    with unittest.TestCase().assertRaises(AssertionError):
        assert_images_similar(BLACK, WHITE)
""",
    "xfail": """
@pytest.mark.xfail(strict=True)
def test_it(assert_images_similar):
    assert_images_similar(BLACK, WHITE)
""",
    "compare": """
def test_it(assert_images_similar):
    assert not assert_images_similar.compare(BLACK, WHITE).passed
""",
}


@pytest.mark.parametrize(
    ("how", "workers"), [*((how, []) for how in HEARD), *((how, ["-n", "1"]) for how in ("pytest.raises", "xfail"))]
)
def test_a_failure_that_the_test_expects_is_no_failure_of_the_run_or_the_report(pytester, how, workers):
    run = run_test(pytester, HEARD[how], *workers)
    assert run.ret == 0
    run.stdout.fnmatch_lines(["1 comparison: 1 not asserted", "not asserted: *test_it: fails visible: 81 px*"])
    (record,) = results(pytester)["comparisons"]
    assert (record["passed"], record["asserted"]) == (False, False)


def test_the_report_command_fails_for_what_was_asserted_only(pytester):
    run_test(pytester, HEARD["compare"])
    assert pytester.run(sys.executable, "-m", "pytest_imgdiff", "report", "--from", "imgdiff-report").ret == 0
    run_test(pytester, SWALLOWED["bare except"])
    assert pytester.run(sys.executable, "-m", "pytest_imgdiff", "report", "--from", "imgdiff-report").ret == 1


def test_a_test_that_fails_anyway_is_not_failed_twice(pytester):
    run = run_test(
        pytester,
        """
def test_it(assert_images_similar):
    try:
        assert_images_similar(BLACK, WHITE)
    except AssertionError:
        raise ValueError("told in other words")
""",
    )
    run.assert_outcomes(failed=1)


def test_an_expected_failure_of_a_scan_is_no_failure_of_the_report(pytester):
    for folder, colour in (("old", (0, 0, 0)), ("new", (255, 255, 255))):
        (pytester.path / folder).mkdir()
        (pytester.path / folder / "page.png").write_bytes(png(9, 9, colour))
    pytester.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.xfail)
        """
    )
    run = pytester.runpytest_subprocess("--imgdiff-scan", "old", "new")
    run.assert_outcomes(xfailed=1)
    run.stdout.fnmatch_lines(["1 comparison: 1 not asserted"])


def test_each_worker_of_dist_each_has_records_of_its_own(pytester):
    run = run_test(
        pytester,
        """
def test_it(assert_images_similar):
    assert_images_similar(BLACK if os.environ["PYTEST_XDIST_WORKER"] == "gw0" else WHITE, WHITE.copy())
""",
        "-n2",
        "--dist=each",
    )
    run.assert_outcomes(failed=1, passed=1)
    run.stdout.fnmatch_lines(["2 comparisons: 1 failed (1 different), 1 passed"])
    assert {record["name"].rpartition(" ")[2]: record["passed"] for record in results(pytester)["comparisons"]} == {
        "[gw0]": False,
        "[gw1]": True,
    }


def test_what_an_earlier_try_compared_counts_no_longer(pytester):
    """Its last try passes without that comparison: no red report beside a green test."""
    run = run_test(
        pytester,
        """
tries = []

def test_it(assert_images_similar):
    tries.append(1)
    if len(tries) == 1:
        assert_images_similar(BLACK, WHITE)
    assert_images_similar(BLACK, BLACK.copy(), name="second")
    assert_images_similar(BLACK, BLACK.copy(), name="third")
""",
        "--reruns=1",
    )
    assert run.ret == 0
    run.stdout.fnmatch_lines(["2 comparisons: 2 passed"])


def test_the_failure_is_an_assertion_error_that_reads_like_one_line(pytester, monkeypatch):
    monkeypatch.setenv("CI", "true")  # pytest then shows whole messages in its summary
    run = run_test(
        pytester,
        """
def test_it(assert_images_similar):
    assert_images_similar(BLACK, WHITE)

def test_caught(assert_images_similar):
    try:
        assert_images_similar(BLACK, WHITE)
    except Exception as error:
        assert isinstance(error, AssertionError)
        raise
""",
    )
    output = run.stdout.str()
    run.stdout.fnmatch_lines(["FAILED *::test_it - 9x9 at 0,0 recoloured; visible 81 px, 10 > 1"])
    assert output.count("images differ (9x9 at 0,0 recoloured; visible 81 px, 10 > 1)") == 2  # one of each test
    assert "fixture.py" not in output
    assert "Traceback" not in output


def test_a_name_is_polled_until_it_passes(pytester):
    (pytester.path / "baselines/test_a_name_is_polled_until_it_passes").mkdir(parents=True)
    (pytester.path / "baselines/test_a_name_is_polled_until_it_passes/page.png").write_bytes(png(9, 9, (255, 255, 255)))
    code = """
def test_compare(assert_images_similar):
    shots = [BLACK, BLACK, WHITE]
    while not assert_images_similar.compare(shots.pop(0), name="page").passed:
        pass

def test_call(assert_images_similar):
    for shot in (BLACK, WHITE):
        try:
            assert_images_similar(shot, name="page2")
        except AssertionError:
            continue
"""
    (pytester.path / "baselines/test_a_name_is_polled_until_it_passes/page2.png").write_bytes(
        png(9, 9, (255, 255, 255))
    )
    run = run_test(pytester, code)
    assert run.ret == 0
    run.stdout.fnmatch_lines(["2 comparisons: 2 passed"])


def test_a_name_that_has_passed_is_taken(pytester):
    code = """
def test_it(assert_images_similar):
    assert_images_similar(WHITE, name="page")
    assert_images_similar(WHITE, name="page")
"""
    run = run_test(pytester, code, "--imgdiff-update=missing")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*name='page': a call with this name has already passed*"])


def test_while_updating_the_answer_is_that_of_the_next_run(pytester):
    code = """
def test_it(assert_images_similar):
    comparison = assert_images_similar.compare(BLACK)
    assert (comparison.passed, comparison.verdict.value) == (True, "match")
"""
    run = run_test(pytester, code, "--imgdiff-update=missing")
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(["baseline written: *test_it.png"])
    run_test(pytester, code).assert_outcomes(passed=1)


ITSELF = {
    "the same path": 'assert_images_similar(here / "a.png", str(here / "a.png"))',
    "a symbolic link": '(here / "link.png").symlink_to("a.png"); assert_images_similar(here / "link.png", here / "a.png")',
    "a hard link": 'os.link(here / "a.png", here / "hard.png"); assert_images_similar(here / "hard.png", here / "a.png")',
    "an open file": 'assert_images_similar(open(here / "a.png", "rb"), here / "a.png")',
    "a PIL image of the file": 'import PIL.Image; assert_images_similar(PIL.Image.open(here / "a.png"), here / "a.png")',
    "the same object": "assert_images_similar(WHITE, WHITE)",
    "a view of the same array": "assert_images_similar(WHITE[:, :], WHITE)",
    "a view of the same bytes": "data = (here / 'a.png').read_bytes(); assert_images_similar(memoryview(data), data)",
    "the baseline": 'assert_images_similar(here / "baselines/test_it/test_it.png")',
    "a screenshot saved over the baseline": 'time.sleep(0.05); (here / "baselines/test_it/test_it.png").write_bytes((here / "a.png").read_bytes()); assert_images_similar((here / "a.png").read_bytes())',
    "a screenshot saved over a named baseline": 'time.sleep(0.05); (here / "baselines/test_it/page.png").write_bytes((here / "a.png").read_bytes()); assert_images_similar((here / "a.png").read_bytes(), name="page")',
}


@pytest.mark.parametrize("how", ITSELF)
def test_a_picture_that_is_compared_with_itself_is_refused(pytester, how):
    folder = pytester.path / "baselines/test_it"
    folder.mkdir(parents=True)
    for name in ("a.png", "baselines/test_it/test_it.png", "baselines/test_it/page.png"):
        (pytester.path / name).write_bytes(png(9, 9, (9, 9, 9)))
    code = f"\ndef test_it(assert_images_similar):\n    here = Path(__file__).parent\n    {ITSELF[how]}\n"
    pytester.makepyfile(test_it=HEAD + code)
    run = pytester.runpytest_subprocess("-W", "ignore")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*compared with itself*"])


def test_a_file_written_during_a_test_is_not_older_than_its_start(tmp_path):
    for number in range(100):
        started = _file_clock()
        path = tmp_path / str(number)
        path.touch()
        assert path.stat().st_mtime_ns >= started


def test_equal_values_and_a_picture_that_was_changed_since_it_was_opened_are_no_mistake(pytester):
    (pytester.path / "a.png").write_bytes(png(9, 9, (255, 255, 255)))
    code = """
def test_it(assert_images_similar):
    import PIL.Image
    assert_images_similar(Path("a.png").read_bytes(), Path("a.png").read_bytes())
    assert_images_similar(WHITE, WHITE.copy())
    assert_images_similar(WHITE[:, :4], WHITE[:, 4:8])
    picture = PIL.Image.open("a.png")
    picture.putpixel((1, 1), 0)
    assert not assert_images_similar.compare(picture, "a.png").passed
"""
    run_test(pytester, code).assert_outcomes(passed=1)
