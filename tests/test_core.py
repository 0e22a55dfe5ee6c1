"""The compiled core gives what the reference in Python gives, or declines; it accepts nothing that the reference refuses."""

from __future__ import annotations

import itertools
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_build import MODULE
from pytest_imgdiff import BrokenImageError, Image, Policy, Registry, Rule, compare
from pytest_imgdiff._core import described
from pytest_imgdiff.config import load_settings
from pytest_imgdiff.images import check, decode, png_core, read
from pytest_imgdiff.images.decoding import decode_pair
from pytest_imgdiff.images.differing import differing_rows, equal_pixels
from pytest_imgdiff.report import read_results
from tests.bad_files import bad_files
from tests.cores import built, core
from tests.image_files import PNG_SIGNATURE, chunk, noise, photograph, png, png_header, saved
from tests.test_images_png_filters import filtered
from tests.test_verdicts import CASES

ROOT = Path(__file__).parent.parent
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
MOST = 2**62
BAD = {name: found[0] for name, found in bad_files().items() if name.endswith(".png")}


@pytest.fixture(scope="module")
def native():
    return built()


def reference(file: bytes) -> np.ndarray | str:
    """The pixels that Python decodes, or why it refuses the file."""
    with core(None):
        try:
            [image] = decode(read(file))
        except BrokenImageError as error:
            return error.cause
    return image.pixels


def pixels_of(found) -> np.ndarray:
    width, height, pixels = found
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 4)


@st.composite
def samples(draw):
    """Samples of some colour type: noise, flat areas, or one colour; some of it transparent."""
    colour = draw(st.sampled_from(sorted(CHANNELS)))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = height, width, CHANNELS[colour]
    kind = draw(st.sampled_from(["noise", "areas", "plain"]))
    if kind == "areas":
        small = rng.integers(0, 256, (height // 4 + 1, width // 8 + 1, shape[2]))
        found = small.repeat(4, axis=0).repeat(8, axis=1)[:height, :width]
    else:
        found = rng.integers(0, 256, shape) if kind == "noise" else np.full(shape, draw(st.integers(0, 255)))
    if colour in (4, 6):
        found[..., -1] = rng.choice([0, 1, 255], (height, width))
    return found.astype(np.uint8), colour


@st.composite
def layouts(draw, height):
    """How rows are stored: filters, compression, where IDAT is cut, other chunks before and behind it."""
    one = draw(st.sampled_from([0, 1, 2, 3, 4, None, None]))
    kinds = draw(st.lists(st.integers(0, 4), min_size=height, max_size=height)) if one is None else [one] * height
    text = chunk(b"tEXt", b"Comment\0" + bytes(draw(st.integers(0, 30))))
    return {
        "kinds": kinds,
        "level": draw(st.integers(0, 9)),
        "strategy": draw(st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED])),
        "window": draw(st.sampled_from([15, 15, 9, 12])),
        "cuts": draw(st.lists(st.floats(0, 1), max_size=4)),
        "before": draw(st.sampled_from([b"", text, chunk(b"gAMA", b"\0\0\xb1\x8f"), chunk(b"pHYs", bytes(9))])),
        "after": draw(st.sampled_from([b"", text])),
    }


def stored(found, layout, stream=lambda data: data, *, colours=256, alpha=b"") -> bytes:
    """A PNG file of these samples; ``stream`` may change its compressed data, whose CRCs are right all the same."""
    values, colour = found
    height, width, channels = values.shape
    rows = filtered(values.reshape(height, -1), layout["kinds"], channels)
    deflater = zlib.compressobj(layout["level"], zlib.DEFLATED, layout["window"], 9, layout["strategy"])
    data = stream(deflater.compress(rows) + deflater.flush())
    places = [0, *sorted(int(cut * len(data)) for cut in layout["cuts"]), len(data)]
    parts = b"".join(chunk(b"IDAT", data[one:two]) for one, two in itertools.pairwise(places))
    palette = chunk(b"PLTE", np.random.default_rng(3).bytes(3 * colours)) if colour == 3 else b""
    transparency = chunk(b"tRNS", alpha) if colour == 3 and alpha else b""
    head = png_header(width, height, 8, colour)
    return PNG_SIGNATURE + head + layout["before"] + palette + transparency + parts + layout["after"] + chunk(b"IEND")


def assert_agrees(native, file: bytes) -> bool:
    """Hold what the core says of a file against the reference; return whether it was accepted."""
    checked, decoded = native.check(file), native.decode(file)
    assert (checked is None) == (decoded is None)
    if decoded is None:
        return False
    expected = reference(file)
    assert not isinstance(expected, str), expected
    assert checked == decoded[:2]
    assert np.array_equal(pixels_of(decoded), expected)
    return True


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_whole_files_are_accepted_and_have_the_pixels_of_the_reference(data):
    found = data.draw(samples())
    layout = data.draw(layouts(len(found[0])))
    alpha = data.draw(st.sampled_from([b"", b"\0\x80\xff", bytes(256)]))
    assert assert_agrees(built(), stored(found, layout, alpha=alpha))


@st.composite
def damages(draw):
    """A change of compressed data."""
    kind = draw(st.sampled_from(["bits", "cut", "more", "bytes", "checksum", "other"]))
    rng = draw(st.randoms(use_true_random=True))
    count = draw(st.integers(1, 4))

    def changed(stream: bytes) -> bytes:
        found = bytearray(stream)
        if kind == "bits":
            for _ in range(count):
                found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del found[rng.randrange(len(found)) :]
        elif kind == "more":
            found += rng.randbytes(count)
        elif kind == "bytes":
            place = rng.randrange(len(found))
            found[place : place + count] = rng.randbytes(rng.randrange(4))
        elif kind == "checksum":
            found[-4:] = rng.randbytes(4)
        else:
            found = bytearray(b"\x78\x01" + rng.randbytes(100 * count))
        return bytes(found)

    return changed


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_damaged_streams_are_accepted_only_where_the_reference_does_so(data):
    found = data.draw(samples())
    file = stored(found, data.draw(layouts(len(found[0]))), data.draw(damages()))
    assert_agrees(built(), file)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_files_with_damaged_chunks_are_accepted_only_where_the_reference_does_so(data):
    found = data.draw(samples())
    file = bytearray(
        stored(found, data.draw(layouts(len(found[0]))), colours=data.draw(st.sampled_from([1, 200, 256])))
    )
    rng = data.draw(st.randoms(use_true_random=True))
    for _ in range(data.draw(st.integers(0, 3))):
        place = rng.randrange(len(file))
        if rng.random() < 0.5:
            file[place] = rng.randrange(256)
        elif rng.random() < 0.5:
            del file[place : place + rng.randrange(20)]
        else:
            file[place:place] = rng.choice([chunk(b"tEXt"), chunk(b"IDAT"), chunk(b"ABCD"), chunk(b"PLTE", bytes(3))])
    assert_agrees(built(), bytes(file))


@pytest.mark.parametrize("name", BAD)
def test_no_bad_file_is_accepted(native, name):
    file = BAD[name]
    assert native.check(file) is None
    assert native.decode(file) is None
    assert native.compare(file, file, 2, MOST) is None


def adam7() -> bytes:
    return png((4, 4), 8, 2, b"\0" + bytes(3) + b"\0" + bytes(3) + b"\0" + bytes(6) + bytes(40), interlace=1)


@pytest.mark.parametrize(
    "file",
    [
        saved(PIL.Image.fromarray(noise(5, 5, dtype=np.uint16)), "PNG"),
        saved(PIL.Image.fromarray(photograph()).convert("1"), "PNG"),
        adam7(),
        png((1, 1), 8, 2, b"\0rgb", before=chunk(b"tRNS", bytes(6))),
        saved(photograph(), "PNG") + b"more",
        saved(photograph(), "PNG", save_all=True, append_images=[PIL.Image.fromarray(photograph()[::-1])]),
        saved(photograph(), "JPEG"),
        b"",
    ],
    ids=["16 bit", "1 bit", "interlaced", "transparent colour", "bytes behind the end", "animation", "JPEG", "nothing"],
)
def test_what_the_core_does_not_know_it_declines(native, file):
    assert native.check(file) is None
    assert native.decode(file) is None
    assert native.compare(file, file, -1, MOST) is None


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_rows_that_differ_are_those_that_the_pixels_say(data):
    values, colour = data.draw(samples())
    changed = values.copy()
    for _ in range(data.draw(st.integers(0, 3))):
        row, column = data.draw(st.integers(0, len(values) - 1)), data.draw(st.integers(0, values.shape[1] - 1))
        changed[row, column] ^= data.draw(st.integers(0, 255))
    first = stored((values, colour), data.draw(layouts(len(values))))
    form = data.draw(st.sampled_from(["the same", "other", "RGBA"]))
    if form == "RGBA":
        second = saved(
            PIL.Image.fromarray(reference(stored((changed, colour), FLAT | {"kinds": [0] * len(values)}))), "PNG"
        )
    else:
        layout = data.draw(layouts(len(values))) if form == "other" else FLAT | {"kinds": [1] * len(values)}
        second = stored((changed, colour), layout)
    near = data.draw(st.integers(-1, 5))
    width, height, unlike, kept, one, two = built().compare(first, second, near, MOST)
    pixels = reference(first), reference(second)
    differs = (pixels[0] != pixels[1]).any(axis=(1, 2))
    assert np.array_equal(np.frombuffer(unlike, np.bool_), differs)
    wanted = np.array([near < 0 or differs[max(0, row - near) : row + near + 1].any() for row in range(height)])
    assert np.array_equal(np.frombuffer(kept, np.bool_), wanted)
    assert np.array_equal(pixels_of((width, height, one))[wanted], pixels[0][wanted])
    assert np.array_equal(pixels_of((width, height, two))[differs], pixels[1][differs])


FLAT = {"level": 6, "strategy": 0, "window": 15, "cuts": [], "before": b"", "after": b""}


def tall(height=3000, width=300, colour=2, filters=(0, 1, 1, 2, 3, 4), seed=0) -> tuple[np.ndarray, list[int]]:
    """Samples of several bands, and filters that come in runs."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (height // 8 + 1, width, CHANNELS[colour]), np.uint8).repeat(8, axis=0)[:height]
    return values, rng.choice(filters, height // 50 + 1).repeat(50)[:height].tolist()


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
@pytest.mark.parametrize("near", [-1, 2])
def test_pictures_of_several_bands(native, colour, near):
    values, kinds = tall(colour=colour, height=900)
    changed = values.copy()
    changed[[3, 437, 438, 899]] ^= 1
    first, second = (stored((side, colour), FLAT | {"kinds": kinds}) for side in (values, changed))
    found = native.compare(first, second, near, MOST)
    pixels = reference(first), reference(second)
    differs = (pixels[0] != pixels[1]).any(axis=(1, 2))
    assert np.array_equal(np.frombuffer(found[2], np.bool_), differs)
    kept = np.frombuffer(found[3], np.bool_)
    assert kept.all() if near < 0 else kept.sum() < 30
    assert np.array_equal(pixels_of((*found[:2], found[4]))[kept], pixels[0][kept])
    assert np.array_equal(pixels_of((*found[:2], found[5]))[differs], pixels[1][differs])
    part = bytearray(len(found[4]))
    native.decode(second, part, 400, 500)
    assert np.array_equal(pixels_of((*found[:2], part))[400:500], pixels[1][400:500])
    assert not any(part[: 400 * 4 * 300])
    assert not any(part[500 * 4 * 300 :])


def test_no_more_is_written_than_may_be(native):
    first, second = (saved(noise(50, 50, 3) + level, "PNG") for level in (0, 1))
    assert native.compare(first, second, -1, 4 * 50 * 99)[3:] == (None, None, None)
    assert native.compare(first, second, -1, 4 * 50 * 100)[3] == bytearray(b"\1" * 50)


def test_pictures_of_unequal_size_are_declined(native):
    assert native.compare(saved(noise(5, 5, 3), "PNG"), saved(noise(5, 6, 3), "PNG"), -1, MOST) is None
    assert native.compare(saved(noise(5, 5, 3), "PNG"), saved(noise(6, 5, 3), "PNG"), -1, MOST) is None


def test_wrong_arguments_are_errors(native):
    file = saved(photograph(), "PNG")
    with pytest.raises(TypeError):
        native.decode(file, b"no bytearray")
    with pytest.raises(ValueError, match="3072"):
        native.decode(file, bytearray(7))
    with pytest.raises(ValueError, match="near"):
        native.compare(file, file, -2, MOST)
    with pytest.raises(TypeError):
        native.check("text")


def test_where_there_is_no_memory_the_core_declines(native):
    first, second = saved(photograph(), "PNG"), saved(photograph()[::-1], "PNG")
    calls = {
        "check": lambda: native.check(first),
        "decode": lambda: native.decode(first),
        "compare": lambda: native.compare(first, second, 2, MOST),
    }
    for name, call in calls.items():
        native.fail_after(-1)
        right, failed = call(), 0
        for count in range(100):
            native.fail_after(count)
            found = call()
            if found == right:
                break
            assert found is None, name
            failed += 1
        native.fail_after(-1)
        assert failed > 2, name
        assert call() == right


def test_many_threads_at_once(native):
    files = [saved(noise(60, 60, 3) + level, "PNG") for level in range(4)]
    pairs = [(one, two) for one in files for two in files]

    def compared(pair):
        return native.compare(*pair, -1, MOST)[:5]  # of the last, only rows that differ are set

    right = [compared(pair) for pair in pairs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert list(pool.map(compared, pairs)) == right


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_rows_of_a_pair_are_those_of_the_pictures(data):
    """Through the decoder, in any order, also of pictures that count as large."""
    values, kinds = tall(height=data.draw(st.integers(1, 60)), width=9, colour=6, seed=data.draw(st.integers(0, 99)))
    changed = values.copy()
    for row in data.draw(st.lists(st.integers(0, len(values) - 1), max_size=3)):
        changed[row] ^= 3
    files = [stored((side, 6), FLAT | {"kinds": kinds}) for side in (values, changed)]
    memory = data.draw(st.sampled_from([None, 10**9, 100]))
    usual = png_core.LARGE
    png_core.LARGE = data.draw(st.sampled_from([0, usual]))
    try:
        with core(built()):
            (first,), (second,) = decode_pair(*map(read, files), memory=memory)
            assert isinstance(first.stored, png_core.CoreRows)
            pixels = [reference(file) for file in files]
        with core(built()):
            assert equal_pixels(first, second) == bool((pixels[0] == pixels[1]).all())
            differs = (pixels[0] != pixels[1]).any(axis=(1, 2))
            assert np.array_equal(differing_rows(first, second), differs)
            for _ in range(data.draw(st.integers(1, 4))):
                side, top = data.draw(st.integers(0, 1)), data.draw(st.integers(0, len(values) - 1))
                bottom = data.draw(st.integers(top + 1, len(values)))
                rows = (first, second)[side].rows(top, bottom)
                assert np.array_equal(rows, pixels[side][top:bottom])
                assert not rows.flags.writeable
    finally:
        png_core.LARGE = usual


def told(expected, actual, policy, registry) -> dict:
    comparison = compare(expected, actual, policy, registry=registry)
    return {
        "verdict": comparison.verdict,
        "reason": comparison.reason,
        "notes": comparison.notes,
        "values": [(score.metric, score.value, score.details) for score in comparison.scores],
        "regions": comparison.regions,
        "mask": None if comparison.mask is None else comparison.mask.tobytes(),
        "infos": [side and side.info for side in (comparison.expected, comparison.actual)],
    }


def assert_same_with_and_without(native, expected, actual, policy, registry=None):
    registry = registry or Registry()
    found = []
    for module in (native, None):
        with core(module):
            found.append(told(expected, actual, policy, registry))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table_of_verdicts_is_the_same_with_and_without_the_core(native, case):
    registry = Registry()
    policy = load_settings(None, registry).apply(Policy(), case.policy, "the table")
    assert_same_with_and_without(native, case.expected(), case.actual(), policy, registry)


@pytest.mark.parametrize("name", BAD)
def test_bad_files_have_the_same_words_with_and_without_the_core(native, name):
    file = BAD[name]
    for pair in ((file, saved(photograph(), "PNG")), (saved(photograph(), "PNG"), file), (file, file)):
        assert_same_with_and_without(native, *pair, Policy())


EXAMPLES = sorted(
    path.relative_to(ROOT / "examples" / "expected") for path in (ROOT / "examples" / "expected").rglob("*.png")
)


@pytest.mark.parametrize("metric", ["visible", "perceptual"])
def test_the_examples_are_the_same_with_and_without_the_core(native, metric):
    registry = Registry()
    policy = Policy(metrics=(Rule(metric, max=0.01),))
    compared = 0
    for name in EXAMPLES:
        pair = [ROOT / "examples" / side / name for side in ("expected", "actual")]
        if all(path.is_file() for path in pair):
            assert_same_with_and_without(native, *pair, policy, registry)
            compared += 1
    assert compared > 5


def test_a_palette_that_lacks_a_colour_is_refused_by_whoever_looks(native):
    file = png((4, 1), 8, 3, b"\0" + bytes([0, 1, 2, 3]), before=chunk(b"PLTE", bytes(range(9))))
    with core(native):
        for door in (check, decode):
            with pytest.raises(BrokenImageError, match="palette index 3"):
                door(read(file))


def test_a_picture_decoded_by_the_core_needs_no_reference(native, monkeypatch):
    """What is accepted is not decoded a second time by Python."""
    monkeypatch.setattr("pytest_imgdiff.images.png.inflate", lambda *_: pytest.fail("Python inflated it"))
    with core(native):
        [image] = decode(read(saved(photograph(), "PNG")))
        assert isinstance(image, Image)
        assert np.array_equal(image.pixels[..., :3], photograph())


def test_the_variable_turns_the_core_off():
    code = "from pytest_imgdiff._core import CORE, described; print(CORE, described())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"IMGDIFF_CORE": "python"},
    )
    assert done.stdout == "None python\n"


@pytest.mark.parametrize("off", [False, True])
def test_the_header_and_the_results_and_the_report_name_the_core(pytester, off):
    name = "python" if off else described()
    with pytest.MonkeyPatch.context() as patch:
        if off:
            patch.setenv("IMGDIFF_CORE", "python")
        pytester.makepyfile("""
            import numpy as np

            def test_page(assert_images_similar):
                assert_images_similar(np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8))
            """)
        result = pytester.runpytest_subprocess()
    result.stdout.fnmatch_lines([f"imgdiff: * (core: {name}; *"])
    folder = pytester.path / "imgdiff-report"
    assert read_results(folder / "results.json").tool.packages["core"] == name
    assert f", core {name}" in (folder / "plain.html").read_text()


@pytest.mark.parametrize(
    ("variables", "tag"),
    [({"CC": "/nowhere/cc"}, "py3-none-any"), ({}, "abi3"), ({"IMGDIFF_CORE": "python"}, "py3-none-any")],
)
def test_a_wheel_is_built_with_and_without_a_compiler(native, tmp_path, variables, tag):
    assert native  # otherwise there is no compiler
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    clean = {name: value for name, value in os.environ.items() if name not in {"CC", "IMGDIFF_CORE"}}
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, cwd=ROOT, env=clean | variables
    )
    [wheel] = tmp_path.glob("*.whl")
    assert tag in wheel.name
    names = [Path(name).name for name in zipfile.ZipFile(wheel).namelist() if "/_core/" in name]
    assert (MODULE in names) == (tag == "abi3")
    assert not [name for name in names if name.endswith((".c", ".h"))]


def test_a_header_of_the_largest_numbers_is_declined(native):
    for size in ((2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (1_000_001, 1), (1_000_000, 1_000_000)):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 6, 0, 0, 0))
        file = PNG_SIGNATURE + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND")
        assert native.check(file) is None
        assert native.decode(file) is None
        assert native.compare(file, file, -1, MOST) is None
