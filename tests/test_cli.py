"""The command ``pytest-imgdiff``, as a shell runs it."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import jsonschema
import pytest

from pytest_imgdiff.images.png_structure import chunk_bytes
from pytest_imgdiff.report import read_results
from tests import warm
from tests.packages import install
from tests.pictures import BLUE, RED, notes, square, trees, write

COMMAND = [sys.executable, "-m", "pytest_imgdiff"]
ALIKE, DIFFERENT, NOT_JUDGED = 0, 1, 2
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="uses what only Linux has")


class Shell:
    """Runs the command in a folder; it never prints a traceback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *map(str, arguments)]
        if options:
            options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
            done = subprocess.run(command, cwd=self.folder, encoding="utf-8", timeout=120, check=False, **options)
        else:
            done = warm.run(command, cwd=self.folder)
        assert "Traceback" not in (done.stdout or "") + (done.stderr or "")
        return done

    def refused(self, *arguments: object) -> str:
        """Return the one line that a refused command prints."""
        done = self(*arguments)
        assert done.returncode == NOT_JUDGED
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("pytest-imgdiff: ")
        return line


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


@pytest.fixture
def two_trees(shell):
    trees(shell.folder)
    return shell


@pytest.fixture
def pair(shell):
    """Two pictures that differ, and a copy of the first."""
    write(shell.folder / "old.png", square(RED))
    write(shell.folder / "new.png", square(BLUE))
    shutil.copy(shell.folder / "old.png", shell.folder / "copy.png")
    return shell


# ---- Two pictures


def test_pictures_that_are_alike(pair):
    done = pair("compare", "old.png", "copy.png")
    assert done.returncode == ALIKE
    assert done.stdout.splitlines() == ["copy.png: identical, byte for byte", "1 comparison: 1 passed"]
    assert done.stderr == ""


def test_pictures_that_differ(pair):
    done = pair("compare", "old.png", "new.png")
    assert done.returncode == DIFFERENT
    assert "): new.png" in done.stdout
    assert "visible: 400 px, 10 > 1, seen: structure" in done.stdout
    assert "20x20 at 10,10" in done.stdout
    assert "old.png (40x40)" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 comparison: 1 failed (1 different)"


def test_a_picture_that_cannot_be_read(pair):
    (pair.folder / "new.png").write_bytes(b"<html>Not found</html>")
    done = pair("compare", "old.png", "new.png")
    assert done.returncode == NOT_JUDGED
    assert "could not be judged: new.png" in done.stdout
    assert "HTML" in done.stdout


def test_two_equal_files_that_are_no_pictures_are_not_alike(pair):
    for name in ("old.png", "new.png"):
        (pair.folder / name).write_bytes(b"no picture")
    assert pair("compare", "old.png", "new.png").returncode == NOT_JUDGED


def test_of_two_damaged_files_of_equal_bytes_both_are_named(pair):
    whole = (pair.folder / "new.png").read_bytes()
    for name in ("old.png", "new.png"):
        (pair.folder / name).write_bytes(whole[:-20])
    done = pair("compare", "old.png", "new.png")
    assert done.returncode == NOT_JUDGED
    assert re.search(r"old\.png: PNG: truncated: .*; new\.png: PNG: truncated: ", done.stdout)


def test_a_picture_that_is_not_there(pair):
    done = pair("compare", "old.png", "nowhere.png")
    assert done.returncode == NOT_JUDGED
    assert "nowhere.png: missing: there is no such file" in done.stdout


# ---- Folders and scans


def test_two_folders(two_trees):
    done = two_trees("compare", "expected", "actual")
    assert done.returncode == DIFFERENT
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "gone.png",
        "new.png",
        "sub/other.png",
        "4 comparisons",
    ]
    assert done.stdout.splitlines()[-1] == "4 comparisons: 3 failed (1 different, 1 missing, 1 unmatched), 1 passed"


def test_two_folders_that_are_alike(two_trees):
    shutil.rmtree(two_trees.folder / "actual")
    shutil.copytree(two_trees.folder / "expected", two_trees.folder / "actual")
    done = two_trees("compare", "expected", "actual")
    assert done.returncode == ALIKE
    assert done.stdout.splitlines() == ["3 comparisons: 3 passed"]


def test_what_could_not_be_judged_counts_more_than_what_differs(two_trees):
    (two_trees.folder / "actual/same.png").write_bytes(b"")
    done = two_trees("compare", "expected", "actual")
    assert done.returncode == NOT_JUDGED
    assert "1 different" in done.stdout
    assert "1 broken" in done.stdout


def test_the_scans_of_the_configuration(two_trees):
    config = "scans:\n  - {expected: expected, actual: actual, include: ['*.png'], exclude: [gone.png]}\n"
    (two_trees.folder / "imgdiff.yaml").write_text(config, encoding="utf-8")
    done = two_trees("compare")
    assert done.returncode == DIFFERENT
    assert done.stdout.splitlines()[-1] == "2 comparisons: 1 failed (1 missing), 1 passed"


def test_a_configuration_elsewhere_whose_folders_start_from_it(two_trees):
    (two_trees.folder / "deep").mkdir()
    config = "scans: [{expected: ../expected, actual: ../actual}]\nmissing: allow\nunmatched: allow\n"
    (two_trees.folder / "deep/ours.yaml").write_text(config, encoding="utf-8")
    done = two_trees("compare", "--config", "deep/ours.yaml")
    assert done.returncode == DIFFERENT
    assert (
        done.stdout.splitlines()[-1]
        == "4 comparisons: 1 failed (1 different), 3 passed (1 missing and 1 unmatched allowed)"
    )


def test_two_scans_that_share_a_folder_are_both_judged(shell):
    write(shell.folder / "light/page.png", square(RED))
    for folder in ("dark", "actual"):
        write(shell.folder / folder / "page.png", square(BLUE))
    config = "scans:\n  - {expected: light, actual: actual}\n  - {expected: dark, actual: actual}\n"
    (shell.folder / "imgdiff.yaml").write_text(config, encoding="utf-8")
    done = shell("compare")
    assert done.returncode == DIFFERENT
    assert done.stdout.splitlines()[-1] == "2 comparisons: 1 failed (1 different), 1 passed"


def test_include_and_exclude(two_trees):
    chosen = two_trees("compare", "expected", "actual", "--include", "sub/**", "--include", "same.png")
    assert chosen.stdout.splitlines()[-1] == "2 comparisons: 1 failed (1 different), 1 passed"
    left = two_trees("compare", "expected", "actual", "--exclude", "sub/**", "--exclude", "[gn]*.png")
    assert left.returncode == ALIKE
    assert left.stdout.splitlines()[-1] == "1 comparison: 1 passed"


@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_change_nothing_but_the_speed(shell, jobs):
    for number in range(12):
        write(shell.folder / f"expected/{number:02}.png", square(RED))
        write(shell.folder / f"actual/{number:02}.png", square(RED if number % 3 else BLUE))
    done = shell("compare", "expected", "actual", "--jobs", jobs)
    names = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert names == ["00.png", "03.png", "06.png", "09.png", "12 comparisons"]


@on_linux
def test_names_that_are_not_utf8(shell):
    for side, colour in (("expected", RED), ("actual", BLUE)):
        path = write(shell.folder / side / "plain.png", square(colour))
        os.rename(os.fsencode(path), os.path.join(os.fsencode(path.parent), b"caf\xe9\n.png"))  # noqa: PTH104, PTH118 - bytes
    done = shell("compare", "expected", "actual", "--report", "report", "--json", "-")
    assert done.returncode == DIFFERENT
    assert json.loads(done.stdout)["comparisons"][0]["name"] == r"caf\xe9\x0a.png"


# ---- Options


def test_settings_of_the_command_line(pair):
    write(pair.folder / "large.png", square(RED, side=48))
    assert pair("compare", "old.png", "large.png").returncode == DIFFERENT
    scaled = pair("compare", "old.png", "large.png", "--set", "size=crop", "--set", "metrics={ssim: {min: 0.1}}")
    assert scaled.returncode == ALIKE
    assert "ssim" in scaled.stdout


def test_quiet_prints_the_summary_only(two_trees):
    done = two_trees("compare", "expected", "actual", "--quiet")
    assert done.returncode == DIFFERENT
    assert done.stdout.splitlines() == ["4 comparisons: 3 failed (1 different, 1 missing, 1 unmatched), 1 passed"]


def test_a_pair_that_passes_with_a_warning_is_told(two_trees):
    done = two_trees("compare", "expected", "actual", "--set", "metrics={pixel_match: {min: 0.0, warn: 1.0}}")
    lines = [line for line in done.stdout.splitlines() if "warns pixel_match" in line]
    assert lines
    assert re.search(rf"{len(lines)} with a warning", done.stdout.splitlines()[-1])


def test_an_override_that_matches_no_image_is_reported(two_trees):
    text = (
        "overrides:\n"
        "  - {match: 'same*.png', size: crop}\n"
        "  - {match: ['icons/**', '*.PNG'], metrics: {pixel_match: {min: 1}}}\n"
    )
    (two_trees.folder / "imgdiff.yaml").write_text(text, encoding="utf-8")
    done = two_trees("compare", "expected", "actual", "--quiet")
    told = "overrides[1] (match: icons/**, *.PNG) matches none of these images"
    assert done.stdout.splitlines()[1:] == [told]
    part = two_trees("compare", "expected", "actual", "--quiet", "--include", "same*.png")
    assert told not in part.stdout


def test_a_scan_of_which_all_is_left_out_says_by_what(two_trees):
    done = two_trees("compare", "expected", "actual", "--exclude", "**")
    assert done.returncode == NOT_JUDGED
    assert "no images in expected nor in actual with ** left out: an empty scan fails" in done.stderr


def test_json_to_a_file_keeps_the_words(two_trees):
    done = two_trees("compare", "expected", "actual", "--json", "new/folder/results.json")
    assert done.returncode == DIFFERENT
    assert "4 comparisons" in done.stdout
    run = read_results(two_trees.folder / "new/folder/results.json")
    assert [record.name for record in run.comparisons] == ["gone.png", "new.png", "same.png", "sub/other.png"]


def test_json_alone_on_standard_output(two_trees):
    done = two_trees("compare", "expected", "actual", "--json", "-")
    assert done.returncode == DIFFERENT
    schema = json.loads(two_trees("schema", "--results").stdout)
    jsonschema.validate(json.loads(done.stdout), schema)
    assert done.stderr.splitlines()[-1].startswith("4 comparisons: 3 failed")


def test_the_schema_of_the_configuration(shell, root):
    import yaml

    schema = json.loads(shell("schema").stdout)
    jsonschema.validate(yaml.safe_load((root / "imgdiff.yaml").read_text(encoding="utf-8")), schema)


def test_a_report(two_trees):
    done = two_trees("compare", "expected", "actual", "--report", "report")
    assert done.returncode == DIFFERENT
    assert done.stdout.splitlines()[-1] == "report: report/index.html"
    report = two_trees.folder / "report"
    for name in ("plain.html", "data/run.js", "results.json", "summary.md"):
        text = (report / name).read_text(encoding="utf-8")
        assert "sub/other.png" in text
        assert str(two_trees.folder) not in text
    (record,) = [r for r in read_results(report / "results.json").comparisons if r.verdict == "different"]
    assert {"expected", "actual", "mask", "thumb"} <= set(record.artefacts)
    assert all((report / path).is_file() for path in record.artefacts.values())


def test_absolute_folders_leave_no_trace_in_the_report(two_trees):
    folder = two_trees.folder
    two_trees("compare", folder / "expected", folder / "actual", "--report", folder / "report")
    texts = [path.read_bytes() for path in (folder / "report").rglob("*") if path.is_file()]
    assert len(texts) > 5
    assert all(os.fsencode(folder) not in text for text in texts)


def test_a_report_in_a_compared_folder_is_not_compared_itself(two_trees):
    runs = [two_trees("compare", "expected", "actual", "--report", "actual/report") for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout
    assert "4 comparisons" in runs[1].stdout


def test_without_a_report_nothing_is_written(two_trees):
    before = sorted(two_trees.folder.rglob("*"))
    two_trees("compare", "expected", "actual")
    assert sorted(two_trees.folder.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_terminal_sees_a_progress_bar_and_a_pipe_does_not(two_trees):
    import pty

    ours, theirs = pty.openpty()
    done = two_trees("compare", "expected", "actual", stderr=theirs)
    os.close(theirs)
    bar = os.read(ours, 10_000).decode()
    os.close(ours)
    assert re.findall(r"(\d)/4", bar) == ["1", "2", "3", "4"]
    assert bar.endswith("\r\x1b[K")
    assert "\r" not in done.stdout
    assert two_trees("compare", "expected", "actual").stderr == ""


# ---- What cannot be followed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["old.png", "old.png"], "the same file", id="one-file-twice"),
        pytest.param(["old.png", "folder/../old.png"], "the same file", id="one-file-by-two-names"),
        pytest.param(["folder", "folder"], "are the same", id="one-folder-twice"),
        pytest.param(["folder", "old.png"], "folder is a folder and old.png is not", id="folder-and-file"),
        pytest.param(["old.png", "folder"], "folder is a folder and old.png is not", id="file-and-folder"),
        pytest.param(["folder", "nowhere"], "nowhere does not exist", id="folder-and-nothing"),
        pytest.param(["folder", "empty"], "no images in folder nor in empty", id="no-pictures"),
        pytest.param(["old.png"], "pass two images or two folders", id="one-name"),
        pytest.param([], "there is no imgdiff.yaml in this folder or above it", id="nothing-to-compare"),
        pytest.param(["old.png", "new.png", "--include", "*"], "--include and --exclude", id="include-for-files"),
        pytest.param(["--exclude", "*"], "--include and --exclude", id="exclude-for-scans"),
        pytest.param(["old.png", "new.png", "--set", "size"], "--set size: expected KEY=VALUE", id="set-without-value"),
        pytest.param(["old.png", "new.png", "--set", "size=big"], 'command line: size: expected*"big"', id="set-value"),
        pytest.param(["old.png", "new.png", "--set", "sise=pad"], '*unknown key "sise"; did you mean "size"', id="key"),
        pytest.param(["old.png", "new.png", "--set", "size=[1"], "--set size*", id="set-no-yaml"),
        pytest.param(["old.png", "new.png", "--config", "no.yaml"], "no.yaml: cannot be read", id="no-configuration"),
        pytest.param(["old.png", "new.png", "--report", "full"], "full: contains files that are not", id="foreign-report"),
        pytest.param(["old.png", "new.png", "--report", "old.png/r"], "old.png/r: the results cannot", id="no-report"),
        pytest.param(["old.png", "new.png", "-q", "--json", "folder"], "folder: the results cannot be", id="json-folder"),
    ],
)  # fmt: skip
def test_a_command_that_cannot_be_followed_says_why_in_one_line(pair, arguments, told):
    for folder in ("folder", "empty", "full"):
        (pair.folder / folder).mkdir()
    (pair.folder / "full/mine.txt").write_text("precious", encoding="utf-8")
    (pair.folder / "folder/note.txt").write_text("no picture", encoding="utf-8")
    line = pair.refused("compare", *arguments).replace(str(pair.folder) + os.sep, "")
    pattern = re.escape(told).replace(r"\*", ".*")
    assert re.search(pattern, line)
    assert (pair.folder / "full/mine.txt").read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("size: pad\nsise: pad\n", 'imgdiff.yaml:2:1: sise: unknown key "sise"', id="key"),
        pytest.param("scans: []\n", "imgdiff.yaml has no scans", id="no-scans"),
        pytest.param("scans: [\n", "imgdiff.yaml:2:1", id="no-yaml"),
        pytest.param(
            "scans: [{expected: nowhere, actual: folder}]\n",
            "nowhere: the folder of expected images does not exist",
            id="no-folder",
        ),
    ],
)
def test_a_configuration_that_cannot_be_followed_says_why_in_one_line(pair, text, told):
    (pair.folder / "imgdiff.yaml").write_text(text, encoding="utf-8")
    (pair.folder / "folder").mkdir()
    assert told in pair.refused("compare")


@pytest.mark.parametrize("jobs", ["0", "-1", "many", "1.5"])
def test_jobs_are_a_positive_number(pair, jobs):
    done = pair("compare", "old.png", "new.png", f"--jobs={jobs}")
    assert done.returncode == NOT_JUDGED
    assert f"expected an integer of at least 1, not '{jobs}'" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["comparse"], ["compare", "--reprot", "x"], ["compare", "1", "2", "3"]])
def test_a_misspelt_command_is_no_success(shell, arguments):
    done = shell(*arguments)
    assert done.returncode == NOT_JUDGED
    assert done.stderr.startswith("usage: pytest-imgdiff")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "compare a b --reprot x",
            'pytest-imgdiff compare: error: unknown argument --reprot; did you mean "--report"?',
        ),
        (
            "baselines pull --forse=1",
            'pytest-imgdiff baselines pull: error: unknown argument --forse=1; did you mean "--force"?',
        ),
        ("compare a b c", "pytest-imgdiff compare: error: unknown argument c"),
        ("comapre a b", 'pytest-imgdiff: error: unknown command comapre; did you mean "compare"?'),
        ("zz", "pytest-imgdiff: error: unknown command zz; known: compare, report, "),
    ],
)
def test_a_word_that_the_command_does_not_know_is_named_with_the_nearest_one(shell, words, message):
    done = shell(*words.split())
    assert done.returncode == NOT_JUDGED
    usage, *_, line = done.stderr.splitlines()
    assert line.startswith(message)
    assert usage.startswith(f"usage: {message.partition(':')[0]} ")


def test_json_that_cannot_be_written(two_trees):
    done = two_trees("compare", "expected", "actual", "--json", "actual/same.png/results.json")
    assert done.returncode == NOT_JUDGED
    (line,) = done.stderr.splitlines()
    assert line.startswith("pytest-imgdiff: actual/same.png/results.json: the results cannot be written: ")


@pytest.mark.parametrize("to_json", [pytest.param([], id="words"), pytest.param(["--quiet", "--json", "-"], id="json")])
def test_a_reader_that_has_gone_is_no_success(two_trees, to_json):
    """As in ``pytest-imgdiff compare ... | head -1``."""
    reader, writer = os.pipe()
    os.close(reader)
    done = two_trees("compare", "expected", "actual", *to_json, stdout=writer)
    os.close(writer)
    assert done.returncode == NOT_JUDGED


@on_linux
def test_a_full_disk_under_standard_output_is_no_success(two_trees):
    with Path("/dev/full").open("wb") as full:
        done = two_trees("compare", "expected", "actual", "--json", "-", stdout=full)
    assert done.returncode == NOT_JUDGED
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["compare", "expected", "actual"], ["compare", "expected", "actual", "--json", "-"], ["--help"], ["schema"]]
)  # fmt: skip
@pytest.mark.parametrize("closed", ["1", "2"])
@on_linux
def test_a_closed_stream_is_told_where_it_can_be(two_trees, arguments, closed):
    """As in ``pytest-imgdiff ... >&-``: nothing that was to be read is lost without a word."""
    command = ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *COMMAND, *arguments]
    done = subprocess.run(command, cwd=two_trees.folder, capture_output=True, text=True, check=False, timeout=120)
    if closed == "1":
        assert done.returncode == NOT_JUDGED
        assert done.stderr == "pytest-imgdiff: standard output is closed; redirect it, for example to /dev/null\n"
    else:
        assert done.returncode == (DIFFERENT if arguments[0] == "compare" else ALIKE)
        assert done.stderr == ""
        if "-" in arguments:
            assert len(json.loads(done.stdout)["comparisons"]) == 4


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("arguments", [["--help"], ["schema"], ["compare", "old.png", "nowhere", "--set", "size"]])
@on_linux
def test_a_full_disk_under_any_stream_is_no_success(pair, arguments, stream):
    with Path("/dev/full").open("wb") as full:
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        done = pair(*arguments, env=buffered, **{stream: full})
    needed = stream == ("stderr" if arguments[0] == "compare" else "stdout")
    assert done.returncode == (NOT_JUDGED if needed or arguments[0] == "compare" else ALIKE)


def test_names_that_the_terminal_has_no_characters_for(shell):
    for name in ("expected", "actual"):
        write(shell.folder / name / "café ☃.png", square(RED if name == "actual" else BLUE))
    done = shell("compare", "expected", "actual", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == DIFFERENT
    assert done.stdout.partition("\n")[0].endswith(r": caf\xe9 \u2603.png")


def test_a_bug_is_not_taken_for_a_difference(monkeypatch, capsys):
    from pytest_imgdiff.cli import compare, parser

    def mistaken(_options):
        raise ZeroDivisionError

    monkeypatch.setattr(compare, "run", mistaken)
    assert parser.main(["compare", "old.png", "new.png"]) == NOT_JUDGED
    told = capsys.readouterr().err
    assert told.startswith("pytest-imgdiff: internal error; report it with these lines:\nTraceback")
    assert told.endswith("ZeroDivisionError\n")


# ---- Where the JSON goes


@on_linux
def test_json_to_a_device_leaves_it_a_device(two_trees):
    device = two_trees.folder / "null"
    device.symlink_to(os.devnull)
    assert two_trees("compare", "expected", "actual", "--json", device).returncode == DIFFERENT
    assert device.is_symlink()
    assert Path(os.devnull).is_char_device()


@on_linux
def test_json_to_a_pipe_reaches_its_reader(two_trees):
    os.mkfifo(two_trees.folder / "pipe")
    with subprocess.Popen(["timeout", "60", "cat", "pipe"], cwd=two_trees.folder, stdout=subprocess.PIPE) as reader:
        assert two_trees("compare", "expected", "actual", "--json", "pipe").returncode == DIFFERENT
        assert len(json.loads(reader.communicate(timeout=60)[0])["comparisons"]) == 4
    assert (two_trees.folder / "pipe").is_fifo()


@on_linux
def test_json_through_a_link_keeps_the_link(two_trees):
    (two_trees.folder / "latest.json").symlink_to("runs/1.json")
    (two_trees.folder / "runs").mkdir()
    for _ in range(2):  # what it leads to need not be there yet
        assert two_trees("compare", "expected", "actual", "--json", "latest.json").returncode == DIFFERENT
        assert len(read_results(two_trees.folder / "runs/1.json").comparisons) == 4
    assert (two_trees.folder / "latest.json").is_symlink()


@pytest.mark.parametrize("target", ["actual/same.png", "expected/gone.png", "actual/../actual/new.png"])
def test_json_over_a_compared_picture_is_refused(two_trees, target):
    before = (two_trees.folder / target).read_bytes()
    line = two_trees.refused("compare", "expected", "actual", "--json", target)
    assert "this image is compared; choose another file" in line
    assert (two_trees.folder / target).read_bytes() == before


def test_a_wrong_setting_is_told_before_anything_is_compared(two_trees):
    line = two_trees.refused("compare", "expected", "actual", "--set", "nope=3", "--report", "report")
    assert 'command line: nope: unknown key "nope"' in line
    assert not (two_trees.folder / "report").exists()


SLOW = """
from dataclasses import dataclass
from pathlib import Path
import time

from pytest_imgdiff import MetricResult


@dataclass(frozen=True)
class Slow:
    name = "slow"
    direction = "distance"
    perfect = 0.0
    bounds = (0.0, 1.0)
    counts_pixels = False
    unit = "share"
    heat_threshold = "none"

    def measure(self, expected, actual, ignore):
        Path("begun").touch()
        time.sleep(0.5)
        return MetricResult(1.0, self.unit)


def imgdiff_metrics():
    return {"slow": Slow}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_control_c_ends_in_one_line(shell):
    for number in range(100):
        write(shell.folder / f"expected/{number}.png", square(RED))
        write(shell.folder / f"actual/{number}.png", square(BLUE))
    path = install(shell.folder / "site", "slow", {"slow_metric.py": SLOW}, "slow = slow_metric")
    environment = {**os.environ, "PYTHONPATH": path}
    command = [*COMMAND, "compare", "expected", "actual", "--jobs", "1", "--set", "metrics.slow.max=0"]
    with subprocess.Popen(
        command, cwd=shell.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (shell.folder / "begun").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == NOT_JUDGED
    assert errors == "pytest-imgdiff: interrupted; not all images were compared\n"
    assert "100 comparisons" not in output


def test_the_version(shell):
    assert re.fullmatch(r"pytest-imgdiff \d+\.\d+\.\d+ \(core: (python|native( avx2)?)\)\n", shell("--version").stdout)


def test_setting_one_key_of_a_rule_leaves_the_other_rules_alone(two_trees):
    (two_trees.folder / "imgdiff.yaml").write_text(
        "metrics: {perceptual: {max: 0}, pixel_match: {min: 0.9}}\n", encoding="utf-8"
    )
    pair = ("compare", "expected/sub/other.png", "actual/sub/other.png", "--json", "-")
    one = json.loads(two_trees(*pair, "--set", "metrics.perceptual.max=0.9").stdout)["comparisons"][0]
    assert {score["metric"]: score["passed"] for score in one["scores"]} == {"perceptual": True, "pixel_match": False}
    both = json.loads(two_trees(*pair, "--set", "metrics={perceptual: {max: 0.9}}").stdout)["comparisons"][0]
    assert [score["metric"] for score in both["scores"]] == ["perceptual"]


# ---- What passes, and is not equal


@pytest.fixture
def faint(shell):
    """Two folders: even.png is equal, faint.png differs by two levels in its square of 400 pixels."""
    for side, level in (("expected", 100), ("actual", 102)):
        write(shell.folder / side / "even.png", square(RED))
        write(shell.folder / side / "faint.png", square((level, level, level)))
    return shell


def test_a_pass_says_how_many_pixels_differ_below_the_limits(faint):
    done = faint("compare", "expected/faint.png", "actual/faint.png")
    assert done.returncode == ALIKE
    assert done.stdout.splitlines() == [
        "actual/faint.png: passes visible 0 px, 0 <= 1; 400 px differ below the limits",
        "1 comparison: 1 passed (1 differ below the limits)",
    ]


def test_every_pass_has_a_line_where_it_is_asked_for(faint):
    assert faint("compare", "expected", "actual").stdout == "2 comparisons: 2 passed (1 differ below the limits)\n"
    even, unequal, _ = faint("compare", "expected", "actual", "-v").stdout.splitlines()
    assert even == "even.png: identical, byte for byte"
    assert unequal == "faint.png: passes visible 0 px, 0 <= 1; 400 px differ below the limits"


def test_pixels_that_a_rule_has_counted_are_not_counted_again(faint):
    done = faint("compare", "expected", "actual", "-v", "--set", "metrics={pixel_match: {min: 0.5}}")
    assert "faint.png: passes pixel_match 400 px differ (25 %), 75 % equal >= 50 %\n" in done.stdout
    assert "400 px differ below" not in done.stdout


@pytest.mark.parametrize(("pictures", "kept"), [("different", True), ("failed", False)])
def test_the_report_shows_what_passes_and_is_not_equal(faint, pictures, kept):
    (faint.folder / "imgdiff.yaml").write_text(f"report: {{pictures: {pictures}}}\n", encoding="utf-8")
    faint("compare", "expected", "actual", "--report", "report")
    records = {record.name: record for record in read_results(faint.folder / "report/results.json").comparisons}
    assert {name: record.differing_pixels for name, record in records.items()} == {"even.png": 0, "faint.png": 400}
    assert [bool(record.artefacts) for record in records.values()] == [False, kept]
    for page in ("plain.html", "data/run.js", "summary.md"):
        assert "400 px differ below the limits" in (faint.folder / "report" / page).read_text(encoding="utf-8")
    assert "even.png" not in (faint.folder / "report/summary.md").read_text(encoding="utf-8")
    details = (faint.folder / "report/data/details-0.js").read_text(encoding="utf-8")
    assert "Pixels with any difference, however small: 400." in details


def test_any_pixel_that_differs_can_be_a_warning(faint):
    done = faint("compare", "expected", "actual", "--set", "metrics={pixel_match: {min: 0, warn: 1}}")
    assert done.returncode == ALIKE
    line, summary = done.stdout.splitlines()
    assert line.startswith(
        "faint.png: warns pixel_match 400 px differ (25 %), 75 % equal >= 0 %, below the warning limit"
    )
    assert summary == "2 comparisons: 2 passed (1 with a warning, 1 differ below the limits)"


@pytest.mark.parametrize(
    ("chunk", "told"),
    [
        (
            (b"iCCP", b"p\0\0" + zlib.compress(b"profile")),
            r"the colour profiles \(ICC\) differ \(expected none, actual [0-9a-f]{12}\)",
        ),
        ((b"cICP", bytes([9, 16, 0, 1])), r"the colour codes \(cICP\) differ \(expected none, actual 9/16/0/1\)"),
        ((b"gAMA", (45455).to_bytes(4, "big")), r"the gamma values \(gAMA\) differ \(expected none, actual 0.45455\)"),
    ],
    ids=["ICC", "cICP", "gAMA"],
)
def test_equal_pixels_of_unlike_colours_pass_with_a_warning(shell, chunk, told):
    write(shell.folder / "expected/a.png", square(RED))
    plain = (shell.folder / "expected/a.png").read_bytes()
    (shell.folder / "actual").mkdir()
    (shell.folder / "actual/a.png").write_bytes(plain[:33] + chunk_bytes(*chunk) + plain[33:])
    done = shell("compare", "expected", "actual", "--report", "report")
    assert done.returncode == ALIKE
    line, summary, _ = done.stdout.splitlines()
    assert re.fullmatch(rf"a\.png: identical, pixel for pixel; {told}: colours are compared as stored", line)
    assert summary == "1 comparison: 1 passed (1 with a warning)"
    for page in ("plain.html", "data/details-0.js", "summary.md"):
        text = html.unescape((shell.folder / "report" / page).read_text(encoding="utf-8"))
        assert re.search(f"{told}: colours are compared", text)


# ---- What is not compared


def test_files_of_other_kinds_are_told_everywhere(two_trees):
    notes(two_trees.folder)
    done = two_trees("compare", "expected", "actual", "--report", "report")
    line = "not compared: 2 .txt; in expected and actual"
    assert line in done.stdout.splitlines()
    assert read_results(two_trees.folder / "report/results.json").not_compared == [line]
    again = two_trees("report", "--from", "report", "--report", "again")
    assert line in again.stdout.splitlines()
    for page in ("index.html", "plain.html", "summary.md"):
        assert line in html.unescape((two_trees.folder / "report" / page).read_text(encoding="utf-8"))


def test_files_of_other_kinds_fail_by_name_where_the_scan_says_so(two_trees):
    notes(two_trees.folder)
    config = "scans: [{expected: expected, actual: actual, others: fail, exclude: [gone.png, new.png, 'sub/*']}]"
    (two_trees.folder / "imgdiff.yaml").write_text(config, encoding="utf-8")
    done = two_trees("compare")
    assert done.returncode == NOT_JUDGED
    broken, summary = done.stdout.splitlines()
    assert broken.startswith("note.txt: expected/note.txt: text: not an image; it begins with 'no image'")
    assert summary == "2 comparisons: 1 failed (1 broken), 1 passed"


def test_folders_without_a_picture_say_what_they_hold(shell):
    for side in ("expected", "actual"):
        (shell.folder / side).mkdir()
        (shell.folder / side / "plan.pdf").write_bytes(b"%PDF-1.7")
    told = shell.refused("compare", "expected", "actual")
    assert told.endswith("an empty scan fails; not compared: 2 .pdf; in expected and actual")
