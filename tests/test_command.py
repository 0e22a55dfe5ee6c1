"""Two equal files, settled before anything large is loaded: the same words, and never a false one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib

import pytest

from pytest_imgdiff import cli
from tests.image_files import photograph, png, saved

ROWS = b"".join(b"\0" + row.tobytes() for row in photograph(40, 50))
WATCHED = """
import sys
from pytest_imgdiff.command import main
sys.argv[1:] = {arguments!r}
code = main()
loaded = sorted({{"numpy", "cv2", "PIL", "msgspec", "yaml", "pytest"}} & set(sys.modules))
print(code, loaded)
"""


def run(folder, *arguments):
    """Return what the command printed, its exit code and which large packages it loaded."""
    code = WATCHED.format(arguments=list(arguments))
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    *lines, end = done.stdout.splitlines()
    return lines, end, done.stderr


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.png").write_bytes(png((50, 40), 8, 2, ROWS))
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    return tmp_path


def test_equal_files_are_settled_without_numpy(folder):
    lines, end, _ = run(folder, "compare", "a.png", "b.png")
    assert lines == ["b.png: identical, byte for byte", "1 comparison: 1 passed"]
    assert end == "0 []"


def test_the_words_are_those_of_the_long_way(folder, monkeypatch, capsys):
    lines, _, _ = run(folder, "compare", "a.png", "b.png")
    monkeypatch.chdir(folder)
    assert cli.main(["compare", "a.png", "b.png"]) == 0
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (png((50, 40), 8, 2, ROWS)[:-20], "truncated"),
        (png((50, 40), 8, 2, ROWS[:-151]), "truncated"),
        (png((50, 40), 8, 2, ROWS).replace(b"IDAT", b"IDAX"), "damaged"),
        (png((50, 40), 8, 2, b"\6" + ROWS[1:]), "filter 6"),
        (png((50, 40), 8, 2, ROWS)[:60] + b"\0" + png((50, 40), 8, 2, ROWS)[61:], "damaged"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"", "empty"),
        (b"no picture at all", "text"),
        (saved(photograph(), "JPEG")[:-200], "JPEG"),
        (zlib.compress(b"x"), "broken"),
    ],
)
def test_two_broken_files_of_equal_bytes_are_broken(folder, data, cause):
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(data)
    lines, end, _ = run(folder, "compare", "a.png", "b.png")
    assert end.startswith("2 ")
    assert lines[-1] == "1 comparison: 1 failed (1 broken)"
    assert cause in "\n".join(lines)


def test_a_configuration_is_heeded(folder):
    (folder / "imgdiff.yaml").write_text("limits: {megapixels: 0.001}\n", encoding="utf-8")
    lines, end, _ = run(folder, "compare", "a.png", "b.png")
    assert end.startswith("2 ")
    assert "limits.megapixels" in "\n".join(lines)


@pytest.mark.parametrize(
    "option", [["--set", "metrics.nonsense.max=1"], ["--config", "none.yaml"], ["--json", "a.png"]]
)
def test_an_option_is_heeded(folder, option):
    _, end, words = run(folder, "compare", "a.png", "b.png", *option)
    assert end.startswith("2 ")
    assert words


def test_one_file_twice_is_refused(folder):
    (folder / "c.png").hardlink_to(folder / "a.png")
    for arguments in (("a.png", "a.png"), ("a.png", "./a.png"), ("a.png", "c.png")):
        _, end, words = run(folder, "compare", *arguments)
        assert end.startswith("2 ")
        assert "same file" in words


def test_other_equal_formats_and_animations_go_the_long_way(folder):
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(saved(photograph(), "JPEG"))
    lines, end, _ = run(folder, "compare", "a.jpg", "b.jpg")
    assert lines == ["b.jpg: identical, byte for byte", "1 comparison: 1 passed"]
    assert end.startswith("0 ")
    assert "numpy" in end
