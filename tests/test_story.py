"""The user's whole story with baselines: missing, written, passes, differs, accepted, passes."""

from __future__ import annotations

import itertools
import json
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.pictures import BLUE, RED, square, write

SUITE = """
    import numpy as np
    import pytest

    def picture(colour):
        pixels = np.full((40, 60, 3), 255, np.uint8)
        pixels[10:30, 10:30] = colour
        return pixels

    COLOURS = [(200, 0, 0), (0, 160, 0), (0, 0, 220), (90, 90, 0)]

    @pytest.mark.parametrize("number", range(4))
    def test_square(assert_images_similar, number):
        assert_images_similar(picture(COLOURS[number]))
"""
OTHER_SUITE = SUITE.replace("(200, 0, 0)", "(0, 0, 0)")
WORKERS = [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")]


def results(pytester: pytest.Pytester) -> dict:
    return json.loads((pytester.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))


def stored(pytester: pytest.Pytester) -> dict[str, bytes]:
    folder = pytester.path / "baselines"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


@pytest.mark.parametrize("workers", WORKERS)
def test_missing_written_passes_differs_accepted_passes(pytester, workers):
    pytester.makepyfile(test_page=SUITE)

    missing = pytester.runpytest_subprocess(*workers)
    missing.assert_outcomes(failed=4)
    missing.stdout.fnmatch_lines(["*there is no baseline baselines/test_page/test_square[[]0[]].png yet*"])
    missing.stdout.fnmatch_lines(["*pytest --imgdiff-update=missing 'test_page.py::test_square[[]0[]]'*"])
    assert not (pytester.path / "baselines").exists()
    assert {record["verdict"] for record in results(pytester)["comparisons"]} == {"missing"}

    written = pytester.runpytest_subprocess(*workers, "--imgdiff-update=missing")
    written.assert_outcomes(passed=4)
    written.stdout.fnmatch_lines(["*baseline written: baselines/test_page/test_square[[]0[]].png"])
    first = stored(pytester)
    assert sorted(first) == [f"test_page/test_square[{number}].png" for number in range(4)]

    passes = pytester.runpytest_subprocess(*workers)
    passes.assert_outcomes(passed=4)
    passes.stdout.no_fnmatch_line("*unused*")
    assert stored(pytester) == first

    pytester.makepyfile(test_page=OTHER_SUITE)
    for update in ([], ["--imgdiff-update=missing"]):
        differs = pytester.runpytest_subprocess(*workers, *update)
        differs.assert_outcomes(passed=3, failed=1)
        assert stored(pytester) == first
    differs.stdout.fnmatch_lines(["*visible*", "*pytest --imgdiff-update=failed 'test_page.py::test_square[[]0[]]'*"])
    (record,) = [record for record in results(pytester)["comparisons"] if not record["passed"]]
    assert record["verdict"] == "different"
    assert [(r["x"], r["y"], r["width"], r["height"], r["area"]) for r in record["regions"]] == [(10, 10, 20, 20, 400)]
    for path in record["artefacts"].values():
        assert (pytester.path / "imgdiff-report" / path).read_bytes()[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0")

    accepted = pytester.runpytest_subprocess(*workers, "--imgdiff-update=failed")
    accepted.assert_outcomes(passed=4)
    changed = [name for name, data in stored(pytester).items() if data != first[name]]
    assert changed == ["test_page/test_square[0].png"]

    pytester.runpytest_subprocess(*workers).assert_outcomes(passed=4)
    assert results(pytester)["complete"]


def test_a_killed_worker_is_a_failure_and_leaves_the_report_incomplete(pytester):
    pytester.makepyfile(test_page=SUITE)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=4)
    deadly = SUITE.replace(
        "assert_images_similar(picture(COLOURS[number]))",
        "number == 2 and os.kill(os.getpid(), signal.SIGKILL); assert_images_similar(picture(COLOURS[number]))",
    ).replace("import pytest", "import os, signal, pytest", 1)
    pytester.makepyfile(test_page=deadly)
    killed = pytester.runpytest_subprocess("-n", "2")
    assert killed.ret == pytest.ExitCode.TESTS_FAILED
    killed.stdout.fnmatch_lines(["*incomplete*"])
    run = results(pytester)
    assert not run["complete"]
    assert run["unrecorded"] == ["test_page.py::test_square[2]"]
    assert len(run["comparisons"]) == 3


def test_stopping_at_the_first_failure_leaves_the_report_incomplete(pytester):
    pytester.makepyfile(test_page=SUITE)
    stopped = pytester.runpytest_subprocess("--maxfail=1")
    stopped.assert_outcomes(failed=1)
    run = results(pytester)
    assert not run["complete"]
    assert run["unrecorded"] == [f"test_page.py::test_square[{number}]" for number in (1, 2, 3)]


def test_a_rerun_replaces_the_record_of_the_first_try(pytester):
    flaky = SUITE.replace(
        "assert_images_similar(picture(COLOURS[number]))",
        "first = not TRIED; TRIED.append(1); assert_images_similar(picture((0, 0, 0) if first else COLOURS[number]))",
    ).replace("COLOURS =", "TRIED = []\n\n    COLOURS =")
    pytester.makepyfile(test_page=SUITE)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=4)
    pytester.makepyfile(test_page=flaky)
    rerun = pytester.runpytest_subprocess("--reruns=1", "-p", "no:randomly")
    assert rerun.ret == 0
    rerun.stdout.fnmatch_lines(["*4 passed, 1 rerun*"])
    run = results(pytester)
    assert run["complete"]
    assert [record["verdict"] for record in run["comparisons"]] == ["match"] * 4


def test_control_c_ends_with_what_was_compared_and_not_with_success(pytester):
    slow = SUITE.replace(
        "assert_images_similar(picture(COLOURS[number]))",
        "assert_images_similar(picture(COLOURS[number])) if number == 0 else (print('WAITING', flush=True), time.sleep(60))",
    ).replace("import pytest", "import time, pytest", 1)
    pytester.makepyfile(test_page=SUITE)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=4)
    pytester.makepyfile(test_page=slow)
    command = [sys.executable, "-m", "pytest", "-s", *plugin_options()]
    with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE, text=True) as process:
        lines = iter(process.stdout.readline, "")
        assert any("WAITING" in line for line in lines)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output = "".join(lines)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "INCOMPLETE" in output
    run = results(pytester)
    assert [record["verdict"] for record in run["comparisons"]] == ["match"]
    assert run["unrecorded"] == [f"test_page.py::test_square[{number}]" for number in (1, 2, 3)]


def test_control_c_twice_under_xdist_without_settings_leaves_an_incomplete_report(pytester):
    slow = SUITE.replace(
        "assert_images_similar(picture(COLOURS[number]))",
        "assert_images_similar(picture(COLOURS[number])) if number < 2 else (open(f'at{number}', 'w').close(), time.sleep(60))",
    ).replace("import pytest", "import time, pytest", 1)
    pytester.makepyfile(test_page=SUITE)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=4)
    shutil.rmtree(pytester.path / "imgdiff-report")
    pytester.makepyfile(test_page=slow)
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:randomly", *plugin_options()]
    with subprocess.Popen(
        command, cwd=pytester.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and not (_written(pytester) == 2 and any(pytester.path.glob("at?"))):
            time.sleep(0.01)
        pauses = itertools.chain([2], itertools.repeat(20))  # a third signal would interrupt what writes the report
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(next(pauses))
    assert process.returncode != 0
    run = results(pytester)
    assert not run["complete"]
    assert [record["verdict"] for record in run["comparisons"]] == ["match"] * 2
    assert run["unrecorded"] == [f"test_page.py::test_square[{number}]" for number in (2, 3)]


def _written(pytester: pytest.Pytester) -> int:
    """How many comparisons were recorded so far."""
    files = (pytester.path / "imgdiff-report/records").glob("*/*.jsonl")
    return sum(file.read_text(encoding="utf-8").count('"verdict":"match"') for file in files)


def plugin_options() -> list[str]:
    return []


ACCEPT_ON = """
mount -t tmpfs -o {options} tmpfs baselines && cp -r kept/. baselines/ && {then}
exec {python} -m pytest -q --imgdiff-update=failed
"""


@pytest.mark.parametrize(
    ("options", "then", "cause"),
    [
        pytest.param("size=16m", "mount -o remount,ro baselines", "Read-only file system", id="read-only"),
        pytest.param(
            "size=64k", "head -c 1m /dev/zero > baselines/filler 2>/dev/null; true", "No space left", id="full"
        ),
    ],
)
def test_a_baseline_that_cannot_be_written_is_a_failure_and_loses_nothing(pytester, options, then, cause):
    """In a mount namespace of its own: a folder's permissions do not bind the superuser, a mount does."""
    pytester.makepyfile(test_page=SUITE)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=4)
    before = stored(pytester)
    (pytester.path / "baselines").rename(pytester.path / "kept")
    (pytester.path / "baselines").mkdir()
    noise = SUITE.replace("(200, 0, 0)", "np.random.default_rng(1).integers(0, 255, (20, 20, 3))")
    pytester.makepyfile(test_page=noise)
    then += " && cp -r baselines/. seen-before"
    script = ACCEPT_ON.format(options=options, then=then, python=sys.executable)
    script = script.replace("exec ", "").rstrip() + "; code=$?; cp -r baselines/. seen-after; exit $code\n"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=pytester.path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare failed" in done.stderr:
        pytest.skip(f"this system lets nobody make a mount namespace: {done.stderr}")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert cause in done.stdout
    assert "3 passed" in done.stdout
    after = pytester.path / "seen-after"
    for name, data in before.items():
        assert (after / name).read_bytes() == data
    assert [path.name for path in after.rglob("*") if path.name.startswith(".imgdiff")] == []


def test_in_ci_no_baseline_is_written_unless_that_is_said_twice(pytester, monkeypatch):
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile(test_page=SUITE)
    refused = pytester.runpytest_subprocess("--imgdiff-update=missing")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*not changed in CI*--imgdiff-update-in-ci*"])
    assert not (pytester.path / "baselines").exists()
    pytester.runpytest_subprocess("--imgdiff-update=missing", "--imgdiff-update-in-ci").assert_outcomes(passed=4)


def test_unused_baselines_are_told_after_a_whole_run_and_deleted_on_request(pytester):
    pytester.makepyfile(test_page=SUITE)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=4)
    fewer = SUITE.replace("range(4)", "range(3)")
    pytester.makepyfile(test_page=fewer)
    unused = "baselines/test_page/test_square[[]3[]].png"
    pytester.runpytest_subprocess().stdout.fnmatch_lines([f"unused baseline*: {unused}"])
    for narrow in (["-k", "0"], ["test_page.py::test_square[0]"]):
        run = pytester.runpytest_subprocess("--imgdiff-prune", *narrow)
        run.stdout.fnmatch_lines(
            [
                "pruning checked 1 stored image: 0 unused",
                "pruning did not check 3 stored images: only some*",
            ]
        )
        run.stdout.no_fnmatch_line("no unused*")
        assert len(stored(pytester)) == 4
    pytester.runpytest_subprocess("--imgdiff-prune").stdout.fnmatch_lines([f"unused baseline deleted: {unused}"])
    assert len(stored(pytester)) == 3
    assert Path(pytester.path / "baselines/test_page/test_square[0].png").exists()


def test_the_command_that_accepts_is_for_the_folder_where_pytest_was_started(pytester, monkeypatch):
    pytester.makeini("[pytest]")
    for folder, colour in (("expected", RED), ("actual", BLUE)):
        write(pytester.path / "inner" / folder / "page.png", square(colour))
    scans = "scans:\n  - {expected: expected, actual: actual}\n"
    (pytester.path / "inner/imgdiff.yaml").write_text(scans, encoding="utf-8")
    (pytester.path / "inner/test_page.py").write_text(textwrap.dedent(SUITE), encoding="utf-8")
    monkeypatch.chdir(pytester.path / "inner")
    for arguments in (["test_page.py"], ["imgdiff.yaml"]):
        commands = []
        for workers in ([], ["-n", "2"]):
            pytester.runpytest_subprocess(*workers, *arguments, f"--imgdiff-report={pytester.path / 'imgdiff-report'}")
            commands.append(sorted(record["accept"] for record in results(pytester)["comparisons"]))
        assert commands[0] == commands[1]
        for command in commands[0]:
            pytester.run(*shlex.split(command)).assert_outcomes(passed=1)
        assert pytester.runpytest_subprocess(*arguments).ret == pytest.ExitCode.OK


@pytest.mark.parametrize("preset", ["ini", "environment"])
def test_the_command_that_accepts_selects_the_test_although_the_project_deselects_it(pytester, monkeypatch, preset):
    deselect = "-m 'not visual' -k 'not square'"
    if preset == "ini":
        pytester.makeini(f"[pytest]\nmarkers = visual\naddopts = {deselect}")
    else:
        pytester.makeini("[pytest]\nmarkers = visual")
        monkeypatch.setenv("PYTEST_ADDOPTS", deselect)
    pytester.makepyfile(test_page=textwrap.dedent(SUITE) + "\n\npytestmark = pytest.mark.visual\n")
    pytester.runpytest_subprocess("-m", "visual", "-k", "square")
    commands = [record["accept"] for record in results(pytester)["comparisons"]]
    assert len(commands) == 4
    pytester.run(*shlex.split(commands[0])).assert_outcomes(passed=1)


def test_a_first_run_names_the_file_that_will_be_written_and_what_cannot_be(pytester):
    pytester.makepyfile(
        test_forms="""
        import io
        import numpy as np
        from PIL import Image

        def test_animated(assert_images_similar):
            file = io.BytesIO()
            Image.new("P", (9, 9)).save(file, "GIF")
            assert_images_similar(file.getvalue())

        def test_floats(assert_images_similar):
            assert_images_similar(np.full((9, 9), 0.5))
        """
    )
    run = pytester.runpytest_subprocess("--color=no")
    run.assert_outcomes(failed=2)
    run.stdout.fnmatch_lines(
        [
            "*there is no baseline baselines/test_forms/test_animated.gif yet",
            "*accept: *--imgdiff-update=missing test_forms.py::test_animated",
            "*test_floats.png yet; float64 pixels cannot be stored: convert the image to uint8 or uint16",
        ]
    )
    run.stdout.no_fnmatch_line("*accept: *test_floats*")
