"""For every path that is read: a pipe without a writer, or a device, is rejected by name and not waited for."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

import pytest_imgdiff
from pytest_imgdiff.base.opening import NotRegularError, open_regular, read_regular
from tests import warm
from tests.image_files import photograph, saved

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for folder in ("e", "a"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.png").write_bytes(saved(photograph(), "PNG"))
    os.mkfifo(tmp_path / "a/pipe.png")
    (tmp_path / "e/pipe.png").write_bytes(saved(photograph(), "PNG"))
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def command(here: Path, *words: str) -> tuple[int, str]:
    done = warm.run([sys.executable, "-m", *words], cwd=here)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("jobs", [[], ["--jobs", "1"], ["--jobs", "2"]])
@pytest.mark.parametrize(
    "sides",
    [("e", "a"), ("a", "e"), ("e/pipe.png", "a/pipe.png"), ("a/pipe.png", "e/pipe.png"), ("a/pipe.png", "pipe")],
)
def test_a_pipe_in_the_place_of_a_picture_is_a_broken_picture(here, sides, jobs):
    code, words = command(here, "pytest_imgdiff", "compare", *sides, *jobs)
    assert code == 2, words
    assert "pipe" in words
    assert "FIFO: only regular files are read" in words


def test_a_scan_under_pytest_fails_at_a_pipe(here):
    code, words = command(here, "pytest", "-p", "no:cacheprovider", "--imgdiff-scan", "e", "a")
    assert code == 1, words
    assert "FIFO: only regular files are read" in words
    assert "1 failed, 1 passed" in words


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compare", "e/one.png", "a/one.png", "--config", "pipe"], "a device, pipe or socket, not a file"),
        (["compare", "e/one.png", "a/one.png", "--set", "ignore=[{mask: pipe}]"], "pipe"),
        (["accept", "pipe"], "a FIFO; only regular files are read"),
        (["report", "--from", "pipe", "--report", "r"], "a FIFO; only regular files are read"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_pipe_in_the_place_of_any_other_file_is_told(here, words, says):
    (here / "a/one.png").write_bytes(saved(photograph()[::-1], "PNG"))
    code, said = command(here, "pytest_imgdiff", *words)
    assert code == 2, said
    assert says in said
    assert "Traceback" not in said


def test_what_is_no_regular_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "FIFO"), (tmp_path, "directory"), (Path(os.devnull), "device")):
        with pytest.raises(NotRegularError, match=kind) as caught:
            open_regular(path)
        assert caught.value.kind == kind


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1])
def test_a_regular_file_is_read_whole_or_its_beginning(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    assert read_regular(tmp_path / "file") == data
    assert read_regular(tmp_path / "file", 1000) == data[:1000]


OWN_FILES = {
    "base/opening.py": "the one place that opens the files that somebody named",
    "capture/browser.py": "the scripts of this package itself",
    "run/journal.py": "the lines that the run's own processes have just written",
    "networks/locating.py": "what our own download has just put in a new folder",
    "base/git.py": "a file of Git itself, below its own folder",
    "base/stores.py": "objects of a store, which fsspec opens",
    "run/cluster.py": "the lines that a worker of this run has just written",
}


def test_no_other_code_opens_files_for_reading():
    root = Path(pytest_imgdiff.__file__).parent
    opened = {}
    for path in root.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and _reads(call):
                opened.setdefault(path.relative_to(root).as_posix(), []).append(ast.unparse(call))
    assert {name: calls for name, calls in opened.items() if name not in OWN_FILES} == {}
    assert set(OWN_FILES) <= set(opened)


def _reads(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id == "open"
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in {"open", "read_bytes", "read_text", "imread"}:
        return False
    if call.func.attr != "open":
        return True
    owner = ast.unparse(call.func.value)
    modes = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    if owner == "os":
        flags = ast.unparse(call.args[1])
        return not ("O_WRONLY" in flags or "O_CREAT" in flags or "O_DIRECTORY" in flags)
    if owner.startswith("PIL") or owner == "opener":  # from a file object; an address of the web
        return False
    return not any(set(mode) & set("wax") for mode in modes)
