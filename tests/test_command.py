"""Two equal files, settled before anything large is loaded: the same words, and never a false one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib

import msgspec
import numpy as np
import PIL.Image
import pytest

from pytest_imgdiff.cli import parser
from tests.cores import built, core
from tests.image_files import chunk, photograph, png, saved
from tests.test_verdicts import CASES

ROWS = b"".join(b"\0" + row.tobytes() for row in photograph(40, 50))
WATCHED = """
import sys
from pytest_imgdiff.cli.quick import main
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
    assert parser.main(["compare", "a.png", "b.png"]) == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_what_follows_the_end_of_equal_files_is_reported(folder):
    for name in ("a.png", "b.png"):
        with (folder / name).open("ab") as file:
            file.write(b"tail")
    lines, _, _ = run(folder, "compare", "a.png", "b.png", "-v")
    short, end, _ = run(folder, "compare", "a.png", "b.png")
    assert "4 bytes follow its end" in short[0]
    assert (short, end[:2]) == (lines, "0 ")


@pytest.mark.parametrize("options", [[], ["--quiet"]])
def test_an_image_in_a_store_is_not_read_from_a_folder_with_the_name_of_the_store(folder, options):
    (folder / "memory:" / "bucket").mkdir(parents=True)
    shutil.copy(folder / "a.png", folder / "memory:" / "bucket" / "e.png")
    _, end, _ = run(folder, "compare", "memory://bucket/e.png", "b.png", *options)
    assert end.startswith("2 ")


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


def store(path, pixels, **options):
    PIL.Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


def changed(pixels):
    found = pixels.copy()
    found[10:20, 5:30] ^= 40
    found[30, 44] = 255 - found[30, 44]
    return found


FOUR = {
    "perceptual": "{perceptual: {max: 0.9}}",
    "perceptual of pixelmatch 7, in windows": "{perceptual: {max: 0.9, difference: yiq, max_in_window: {pixels: 900}}}",
    "pixel_match": "{pixel_match: {min: 0.1, tolerance: 2.5}}",
    "diffimg": "{diffimg: {max: 0.5}}",
    "mse": "{mse: {max: 9000}}",
    "all": "{perceptual: {max: 0.9}, pixel_match: {min: 0.1}, diffimg: {max: 0.5}, mse: {max: 9000}}",
}


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """Two PNG files that differ, in the working directory."""
    assert built()  # otherwise there is no compiler
    monkeypatch.chdir(tmp_path)
    store("a.png", photograph(40, 50))
    store("b.png", changed(photograph(40, 50)))
    return tmp_path


def told(module, capsys, *arguments):
    """Return the exit code and the words of the command with this core, or without one."""
    with core(module):
        code = parser.main(["compare", *arguments])
    return code, capsys.readouterr()


def assert_same(capsys, *arguments):
    """Hold the words and the exit code with the core against those without it; return them."""
    found = [told(module, capsys, *arguments) for module in (built(), None)]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("metrics", FOUR.values(), ids=FOUR)
def test_pairs_that_pass_by_these_metrics_need_no_numpy(pair, capsys, metrics):
    arguments = "compare", "a.png", "b.png", "--set", f"metrics={metrics}"
    lines, end, _ = run(pair, *arguments)
    assert end == "0 ['msgspec', 'yaml']"
    code, words = assert_same(capsys, *arguments[1:])
    assert (code, words.out.splitlines()) == (0, lines)
    assert "1 region" in lines[0] or "2 regions" in lines[0]


def test_settings_in_a_file_need_no_numpy_either(pair):
    (pair / "imgdiff.yaml").write_text("metrics: {pixel_match: {min: 0.5}}\n", encoding="utf-8")
    lines, end, _ = run(pair, "compare", "a.png", "b.png", "--quiet")
    assert lines == ["1 comparison: 1 passed (1 differ below the limits)"]
    assert end == "0 ['msgspec', 'yaml']"


@pytest.mark.parametrize("settings", ["", *FOUR.values()])
def test_equal_pixels_in_unequal_files_need_no_numpy(pair, settings):
    store("b.png", photograph(40, 50), compress_level=0)
    assert (pair / "a.png").read_bytes() != (pair / "b.png").read_bytes()
    lines, end, _ = run(pair, "compare", "a.png", "b.png", *(["--set", f"metrics={settings}"] if settings else []))
    assert lines == ["b.png: identical, pixel for pixel", "1 comparison: 1 passed"]
    assert end == ("0 ['msgspec', 'yaml']" if settings else "0 []")


@pytest.mark.parametrize("metrics", FOUR.values(), ids=FOUR)
def test_pairs_that_fail_are_told_in_full(pair, capsys, metrics):
    store(pair / "b.png", 255 - photograph(40, 50))
    code, words = assert_same(capsys, "a.png", "b.png", "--set", f"metrics={metrics}", "--set", "regions.min_area=3")
    assert code == 1 or "passes" in words.out


@pytest.mark.parametrize(
    "settings",
    [
        "size=pad",
        "mask=pixel_match",
        "kinds={moved: warn}",
        "regions={merge: 0, min_area: 4}",
        "limits.megapixels=0.001",
        "ignore=[{x: 0, y: 0, width: 9, height: 30}]",
        "metrics={perceptual: {max: 0.9, warn: 0.001}}",
        "metrics={perceptual: {max_in_window: {size: 8, pixels: 60}}}",
        "metrics={perceptual: {max: 5}}",
        "metrics={mse: {max: 70000}}",
        "metrics={pixel_match: {max_pixels: 5000}}",
        "metrics={diffimg: {max: 0.5, max_in_window: {pixels: 3}}}",
        "metrics={perceptual: {max: 0.9}, ssim: {min: 0.1}}",
        "metrics={perceptual: {max: 0.9}, pixel_match: {min: 0.1, when: undecided}}",
        "metrics.perceptual.max=0.9",
        "measure=[mse]",
        "nonsense=1",
    ],
)
def test_every_setting_is_heeded(pair, capsys, settings):
    defaults = ["--set", "metrics={perceptual: {max: 0.9}}"] if not settings.startswith("metrics") else []
    assert_same(capsys, "a.png", "b.png", "--set", settings, *defaults)
    store(pair / "b.png", photograph(40, 50), compress_level=0)
    assert_same(capsys, "a.png", "b.png", "--set", settings, *defaults)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"gAMA", b"\0\0\xb1\x8f"),
        chunk(b"cICP", bytes([9, 16, 0, 1])),
        chunk(b"iCCP", b"x\0\0" + zlib.compress(b"profile")),
        chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
        chunk(b"tEXt", b"a\0b"),
        chunk(b"tRNS", bytes(6)),
    ],
    ids=["gamma", "colour codes", "profile", "orientation", "text", "transparent colour"],
)
@pytest.mark.parametrize("both", [False, True])
def test_what_files_say_beside_their_pixels_is_told(pair, capsys, extra, both):
    for name in ("a.png", "b.png"):
        store(name, photograph(40, 50), compress_level=6 if name == "a.png" else 0)
        file = (pair / name).read_bytes()
        if both or name == "b.png":
            (pair / name).write_bytes(file[:33] + extra + file[33:])
    for settings in (["--set", "metrics={perceptual: {max: 0.9}}"], []):
        code, words = assert_same(capsys, "a.png", "b.png", *settings)
    lines, end, _ = run(pair, "compare", "a.png", "b.png")
    assert (lines, end.split()[0]) == (words.out.splitlines(), str(code))


def test_bytes_behind_the_end_and_other_names_are_told(pair, capsys):
    store("b.png", photograph(40, 50), compress_level=0)
    with (pair / "b.png").open("ab") as file:
        file.write(b"more")
    store("c.jpg", photograph(40, 50), format="PNG", compress_level=0)
    for name, note in (("b.png", "4 bytes follow its end"), ("c.jpg", "named .jpg, but holds PNG")):
        code, words = assert_same(capsys, "a.png", name)
        assert code == 0
        assert note in words.out
        assert run(pair, "compare", "a.png", name)[0] == words.out.splitlines()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_words_on_the_table_of_verdicts_are_the_same_with_and_without_the_core(tmp_path, monkeypatch, capsys, case):
    monkeypatch.chdir(tmp_path)
    files = []
    for name, make in (("a", case.expected), ("b", case.actual)):
        path = tmp_path / f"{name}{case.suffix}"
        path.write_bytes(make())
        files.append(path.name)
    (tmp_path / "imgdiff.yaml").write_bytes(msgspec.json.encode(case.policy))  # JSON is YAML
    assert_same(capsys, *files)
    if "metrics" not in case.policy:
        assert_same(capsys, *files, "--set", f"metrics={FOUR['all']}")
