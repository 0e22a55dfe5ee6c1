"""What --imgdiff-prune must never delete: whatever a run could not have asked for."""

from __future__ import annotations

import itertools
import json
import sys

import pytest

from tests.pictures import RED, square, trees, write

TEST = """
    import numpy as np

    def test_page(assert_images_similar):
        assert_images_similar(np.full((20, 20, 3), 90, np.uint8))
"""


@pytest.fixture
def suite(pytester):
    """Two folders of one test each, their baselines, and one baseline more in each that no test uses."""
    for folder in ("tests/a", "tests/b"):
        path = pytester.path / folder / f"test_{folder[-1]}.py"
        path.parent.mkdir(parents=True)
        path.write_text(TEST.replace("\n    ", "\n").lstrip(), encoding="utf-8")
    pytester.makeini("[pytest]\n")
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=2)
    for letter in "ab":
        write(pytester.path / f"baselines/tests/{letter}/test_{letter}/test_gone.png", square(RED))
    return pytester


def stored(suite):
    return sorted(
        path.relative_to(suite.path / "baselines").as_posix() for path in suite.path.rglob("baselines/**/*.png")
    )


EVERYTHING = [f"tests/{letter}/test_{letter}/{name}.png" for letter in "ab" for name in ("test_gone", "test_page")]


def test_a_whole_run_prunes_what_no_test_used(suite):
    run = suite.runpytest_subprocess("--imgdiff-prune")
    assert stored(suite) == [name for name in EVERYTHING if "gone" not in name]
    assert run.ret == 0


def test_a_part_of_the_suite_prunes_only_its_own(suite):
    suite.runpytest_subprocess("tests/a", "--imgdiff-prune").assert_outcomes(passed=1)
    assert stored(suite) == [name for name in EVERYTHING if name != "tests/a/test_a/test_gone.png"]


@pytest.mark.parametrize(
    ("options", "count", "reason"),
    [
        pytest.param(["tests/a"], 2, "no image test of their modules ran", id="a part named"),
        pytest.param(["--deselect", "tests/b"], 2, "no image test of their modules ran", id="deselected"),
        pytest.param(["tests/b/test_b.py::test_page"], 1, "only some of the tests", id="a node id"),
    ],
)
def test_pruning_says_what_it_did_not_look_at_and_why(suite, options, count, reason):
    run = suite.runpytest_subprocess("--imgdiff-prune", *options)
    pictures = "stored images" if count > 1 else "stored image"
    run.stdout.fnmatch_lines(["pruning checked *", f"pruning did not check {count} {pictures}: {reason}*"])
    assert "tests/b/test_b/test_gone.png" in stored(suite)


def test_pruning_says_so_after_last_failed_and_with_a_layout_without_modules(suite):
    path = suite.path / "tests/b/test_b.py"
    path.write_text(path.read_text(encoding="utf-8").replace("90", "10"), encoding="utf-8")
    run = suite.runpytest_subprocess("--imgdiff-prune")
    run.stdout.fnmatch_lines(["pruning did not check 1 stored image: a test of their modules did not pass*"])
    run = suite.runpytest_subprocess("--imgdiff-prune", "--lf")
    run.stdout.fnmatch_lines(["pruning did not check *: only some of the tests of their modules ran*"])
    (suite.path / "imgdiff.yaml").write_text('baselines: {layout: "{test}.png"}\n', encoding="utf-8")
    run = suite.runpytest_subprocess("--imgdiff-prune", "tests/a")
    run.stdout.fnmatch_lines(
        ["pruning checked no stored image", "pruning did not check *: the layout names no {module}*"]
    )
    assert "tests/b/test_b/test_gone.png" in stored(suite)


def test_baselines_of_a_deleted_test_file_are_listed_and_deleted_on_request(suite):
    (suite.path / "tests/b/test_b.py").unlink()
    gone = ["tests/b/test_b/test_gone.png", "tests/b/test_b/test_page.png"]
    lines = [f"belongs to no test file (delete with --imgdiff-prune-orphans): baselines/{name}" for name in gone]
    run = suite.runpytest_subprocess()
    run.stdout.fnmatch_lines([line.replace("[", "[[]") for line in lines])
    report = json.loads((suite.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))
    assert [name for name in report["unused_baselines"] if "/test_b/" in name] == gone
    suite.runpytest_subprocess("--imgdiff-prune")
    suite.runpytest_subprocess("--imgdiff-prune-orphans", "-k", "page and not other", "tests/a")
    assert [name for name in stored(suite) if "test_b" in name] == gone
    run = suite.runpytest_subprocess("--imgdiff-prune-orphans")
    run.stdout.fnmatch_lines([f"unused baseline deleted: baselines/{name}" for name in gone])
    assert stored(suite) == ["tests/a/test_a/test_page.png"]


def test_baselines_of_an_old_layout_are_listed_and_deleted_on_request(suite):
    (suite.path / "imgdiff.yaml").write_text(
        'baselines: {layout: "{platform}/{module}/{test}.png"}\n', encoding="utf-8"
    )
    suite.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=2)
    write(suite.path / "baselines/win32/tests/a/test_a/test_page.png", square(RED))
    named = write(suite.path / "baselines/by-hand.png", square(RED))
    (suite.path / "tests/a/test_named.py").write_text(
        f"def test_named(assert_images_similar):\n    assert_images_similar({named.read_bytes()!r}, {str(named)!r})\n",
        encoding="utf-8",
    )
    run = suite.runpytest_subprocess("--imgdiff-prune-orphans", "-n", "2")
    run.assert_outcomes(passed=3)
    run.stdout.fnmatch_lines(["pruning did not check 1 stored image: they are of another platform*"])
    left = stored(suite)
    assert [name for name in left if not name.startswith(sys.platform)] == [
        "by-hand.png",
        "win32/tests/a/test_a/test_page.png",
    ]
    assert len(left) == 4


def test_orphans_stay_where_the_run_has_no_baseline_of_the_folder(suite):
    for letter in "ab":
        path = suite.path / f"tests/{letter}/test_{letter}.py"
        path.rename(path.with_name(f"test_{letter}_new.py"))
    (suite.path / "tests/a/test_a_new.py").write_text(
        "def test_given(assert_images_similar):\n    assert assert_images_similar.compare(b'x', b'y').passed is False\n",
        encoding="utf-8",
    )
    (suite.path / "tests/b/test_b_new.py").unlink()
    run = suite.runpytest_subprocess("--imgdiff-prune-orphans")
    run.stdout.fnmatch_lines(
        ["pruning did not check 4 stored images: they belong to no test file, and no test of the run*"]
    )
    assert stored(suite) == EVERYTHING


CONFTEST_DESELECTS = """
    def pytest_collection_modifyitems(config, items):
        config.hook.pytest_deselected(items=items[1:])
        items[:] = items[:1]
"""
CONFTEST_DROPS = """
    def pytest_collection_modifyitems(items):
        del items[:]
"""
TWO_TESTS = TEST + TEST.replace("test_page", "test_second").replace("import numpy as np", "")


@pytest.mark.parametrize("workers", [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")])
@pytest.mark.parametrize(
    "conftest", [pytest.param(CONFTEST_DESELECTS, id="deselects"), pytest.param(CONFTEST_DROPS, id="drops")]
)
def test_a_conftest_that_leaves_tests_out_prunes_nothing_of_them(pytester, workers, conftest):
    pytester.makepyfile(test_two=TWO_TESTS)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=2)
    pytester.makeconftest(conftest)
    pytester.runpytest_subprocess("--imgdiff-prune", *workers)
    assert len(stored(pytester)) == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("import pytest; pytest.skip('not today')", id="skipped"),
        pytest.param("raise AssertionError", id="failed"),
        pytest.param("import pytest; pytest.xfail('known')", id="xfailed"),
    ],
)
def test_a_test_that_did_not_come_to_its_baseline_keeps_it(pytester, change):
    pytester.makepyfile(test_two=TWO_TESTS)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=2)
    pytester.makepyfile(
        test_two=TWO_TESTS.replace("assert_images_similar(np", f"{change}; assert_images_similar(np", 1)
    )
    pytester.runpytest_subprocess("--imgdiff-prune")
    assert len(stored(pytester)) == 2


def test_pictures_that_are_no_baselines_are_left_alone(suite):
    pictures = [write(suite.path / name, square(RED)) for name in ("baselines/masks/m.png", "docs/logo.png", "x.png")]
    (suite.path / "baselines/tests/a/test_a/folder.png").mkdir()
    suite.runpytest_subprocess("--imgdiff-prune").assert_outcomes(passed=2)
    suite.runpytest_subprocess("--imgdiff-prune", "--imgdiff-baselines", "docs")
    assert all(path.exists() for path in pictures)


def test_without_modules_in_the_layout_nothing_is_called_unused(pytester):
    (pytester.path / "imgdiff.yaml").write_text('baselines: {layout: "{test}.png"}\n', encoding="utf-8")
    pytester.makepyfile(test_page=TEST)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=1)
    write(pytester.path / "baselines/other.png", square(RED))
    pytester.runpytest_subprocess("--imgdiff-prune").assert_outcomes(passed=1)
    assert stored(pytester) == ["other.png", "test_page.png"]


@pytest.mark.parametrize("pair", [("out", "out"), ("out", "out/baselines"), ("out/report", "out")])
def test_the_folders_of_report_and_baselines_are_kept_apart(pytester, pair):
    pytester.makepyfile(test_page=TEST)
    run = pytester.runpytest_subprocess("--imgdiff-report", pair[0], "--imgdiff-baselines", pair[1])
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*must not contain each other*"])


def test_two_processes_that_would_share_a_baseline_are_told(pytester):
    (pytester.path / "imgdiff.yaml").write_text('baselines: {layout: "{test}.png"}\n', encoding="utf-8")
    body = TEST.replace("np.uint8))", 'np.uint8), name="icon")')
    pytester.makepyfile(test_one=body, test_two=body)
    run = pytester.runpytest_subprocess("-n", "2", "--dist", "loadfile", "--imgdiff-update=all")
    assert run.ret != 0
    run.stdout.fnmatch_lines(["*share the baseline icon.png*"])


def test_a_scan_that_stops_has_accepted_nothing_ahead(pytester):
    expected, actual = trees(pytester.path)
    (actual / "gone.png").write_bytes(b"broken")
    before = (expected / "sub/other.png").read_bytes()
    pytester.runpytest_subprocess("--imgdiff-scan", "expected", "actual", "--imgdiff-update=failed", "-x")
    assert (expected / "sub/other.png").read_bytes() == before


def test_a_pair_may_be_marked(pytester):
    expected, _ = trees(pytester.path)
    before = (expected / "sub/other.png").read_bytes()
    pytester.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.skip(reason="not now"))
        """
    )
    run = pytester.runpytest_subprocess("--imgdiff-scan", "expected", "actual", "--imgdiff-update=all")
    run.assert_outcomes(skipped=4)
    assert (expected / "sub/other.png").read_bytes() == before


def test_results_that_vanish_in_mid_run_are_missed(pytester):
    pytester.makepyfile(
        test_page=TEST
        + """
    def test_tidy():
        import shutil
        shutil.rmtree("imgdiff-report")
    """
    )
    pytester.runpytest_subprocess("--imgdiff-update=missing")
    run = pytester.runpytest_subprocess()
    assert run.ret != 0
    run.stdout.fnmatch_lines(["*the results were deleted during the run*"])


def test_a_failure_in_another_thread_fails_the_test(pytester):
    pytester.makepyfile(
        """
        import threading
        import numpy as np
        import pytest

        @pytest.mark.filterwarnings("ignore")
        def test_threads(assert_images_similar):
            black, white = np.zeros((9, 9), np.uint8), np.full((9, 9), 255, np.uint8)
            thread = threading.Thread(target=assert_images_similar, args=(black, white))
            thread.start()
            thread.join()
        """
    )
    run = pytester.runpytest_subprocess()
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["*in another thread*"])


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("assert_images_similar(None, b'x')", "check that your function returns it"),
        ("assert_images_similar(b'x', name='')", "name must be a non-empty string"),
        ("assert_images_similar(b'x', name=3)", "name must be a non-empty string"),
        ("assert_images_similar(b'x', name='icon.alt1')", "reserved for alternatives"),
        ("assert assert_images_similar.compare(b'x', b'y')", "use its .passed"),
    ],
)
def test_calls_that_would_prove_nothing(pytester, call, told):
    (pytester.path / "imgdiff.yaml").write_text("missing: allow\nunmatched: allow\n", encoding="utf-8")
    pytester.makepyfile(f"def test_it(assert_images_similar):\n    {call}\n")
    run = pytester.runpytest_subprocess()
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines([f"*{told}*"])
    record = json.loads((pytester.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))
    assert [comparison["passed"] for comparison in record["comparisons"]] == [False]


def test_a_call_that_cannot_be_followed_in_another_thread_fails_its_test(pytester):
    pytester.makepyfile(
        """
        import threading
        import numpy as np
        import pytest

        @pytest.mark.filterwarnings("ignore")
        @pytest.mark.parametrize("way", ["__call__", "compare"])
        def test_threads(assert_images_similar, way):
            picture = np.zeros((9, 9), np.uint8)
            asked = {"metrics": {"ssmi": {"min": 0.9}}}
            thread = threading.Thread(target=getattr(assert_images_similar, way), args=(picture, picture), kwargs=asked)
            thread.start()
            thread.join()
        """
    )
    run = pytester.runpytest_subprocess()
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.assert_outcomes(passed=2, errors=2)
    run.stdout.fnmatch_lines(["*in another thread*did you mean 'ssim'*"])


def test_two_calls_that_name_both_pictures_may_share_a_name_and_baselines_may_not(pytester):
    pytester.makepyfile(
        """
        import numpy as np
        PICTURE = np.zeros((9, 9), np.uint8)

        def test_given(assert_images_similar):
            for _ in range(2):
                assert_images_similar(PICTURE, PICTURE.copy(), name="icon")

        def test_stored(assert_images_similar):
            assert_images_similar(PICTURE, name="icon")
            assert_images_similar(PICTURE, name="Icon")
        """
    )
    run = pytester.runpytest_subprocess("--imgdiff-update=missing", "--color=no")
    run.assert_outcomes(passed=1, failed=1)
    run.stdout.fnmatch_lines(
        [
            "*would share the baseline *Icon.png (some disks are case-insensitive): pass another name=... to one of them, such*"
        ]
    )


def test_a_call_that_cannot_be_followed_is_no_green_report(pytester):
    pytester.makepyfile(
        """
        from contextlib import suppress
        import numpy as np

        PICTURE = np.zeros((9, 9), np.uint8)

        def test_sound(assert_images_similar):
            assert_images_similar(PICTURE, PICTURE.copy())

        def test_misspelt(assert_images_similar):
            with suppress(BaseException):  # what was asked for first is not forgotten over what came next
                assert_images_similar(PICTURE, PICTURE.copy(), metrics={"ssmi": {"min": 0.9}})
            assert_images_similar(PICTURE, PICTURE.copy())
        """
    )
    pytester.runpytest_subprocess("-q")
    record = json.loads((pytester.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))
    verdicts = [(comparison["verdict"], comparison["passed"]) for comparison in record["comparisons"]]
    assert verdicts == [("match", True), ("broken", False), ("match", True)]
    assert "did you mean 'ssim'" in record["comparisons"][1]["reason"]
    assert "| 1 | 2 | 2 | 1 |" in (pytester.path / "imgdiff-report/summary.md").read_text(encoding="utf-8")


def test_a_scan_file_leaves_the_tests_beside_it_their_own_settings(pytester):
    (pytester.path / "imgdiff.yaml").write_text("metrics: {perceptual: {max: 0}}\n", encoding="utf-8")
    scans = pytester.path / "sub/imgdiff.yaml"
    trees(scans.parent)
    lenient = "metrics: {pixel_match: {min: 0.01}}\nscans: [{expected: expected, actual: actual, include: [sub/*]}]\n"
    scans.write_text(lenient, encoding="utf-8")
    pytester.makepyfile(
        test_page="""
        import numpy as np
        def test_page(assert_images_similar):
            assert_images_similar(np.zeros((9, 9), np.uint8), np.full((9, 9), 255, np.uint8))
        """
    )
    pytester.runpytest_subprocess("test_page.py", "sub/imgdiff.yaml").assert_outcomes(passed=1, failed=1)


def test_scans_of_nested_folders_and_of_a_folder_of_tests(pytester):
    expected, actual = trees(pytester.path)
    (expected / "test_inside.py").write_text("def test_that_fails(): raise AssertionError\n", encoding="utf-8")
    both = ["--imgdiff-scan", "expected", "actual", "--imgdiff-scan", "expected/sub", "actual/sub"]
    pytester.runpytest_subprocess(*both).assert_outcomes(passed=1, failed=4)
    pytester.runpytest_subprocess("expected", *both).assert_outcomes(passed=1, failed=5)
    assert actual.exists()


def test_a_name_that_no_scan_has_is_an_error(pytester):
    trees(pytester.path)
    alone = ["--imgdiff-only", "typo.png"]
    beside = ["--imgdiff-only", "same.png", *alone]
    for workers, names in itertools.product(([], ["-n", "2"]), (alone, beside)):
        run = pytester.runpytest_subprocess("--imgdiff-scan", "expected", "actual", *names, *workers)
        assert run.ret != 0
        assert "no scan has an image with this name: typo.png" in run.stdout.str() + run.stderr.str()
        assert "INTERNALERROR" not in run.stdout.str()
    one = ["--imgdiff-scan", "expected", "actual", "expected::same.png"]
    pytester.runpytest_subprocess(*one).assert_outcomes(passed=1)
