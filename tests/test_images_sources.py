"""Whatever holds a picture is a source."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import mmap
import os
import subprocess
import sys
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest

from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.images import decode, read
from tests.image_files import (
    exif,
    noise,
    photograph,
    pixels_of,
    rgba,
    saved,
    with_segment,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def test_every_kind_of_source_gives_the_same_pixels(tmp_path: Path):
    pixels = photograph()
    file = saved(pixels, "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(file)
    sources = [
        str(path),
        path,
        file,
        bytearray(file),
        memoryview(file),
        io.BytesIO(file),
        pixels,
        PIL.Image.fromarray(pixels),
    ]
    with path.open("rb") as stream:
        for source in [*sources, stream, decode(read(path))[0]]:
            assert np.array_equal(pixels_of(source), rgba(pixels))


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode there")
def test_a_name_that_is_not_utf_8_is_read_and_shown(tmp_path: Path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(path, "wb") as file:  # noqa: PTH123 - pathlib takes no bytes
        file.write(saved(photograph(), "PNG"))
    for source in (os.fsdecode(path), Path(os.fsdecode(path))):
        found = read(source)
        assert found.label.endswith(r"caf\xe9.png")
        assert decode(found)[0].info.label == found.label


def test_a_wrong_extension_is_noted(tmp_path: Path):
    (tmp_path / "a.JPG").write_bytes(saved(photograph(), "PNG"))
    (tmp_path / "a.dat").write_bytes(saved(photograph(), "PNG"))
    assert decode(read(tmp_path / "a.JPG"))[0].info.notes == ("named .jpg, but holds PNG",)
    assert decode(read(tmp_path / "a.dat"))[0].info.notes == ()


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (np.array([[True, False]]), [[[255] * 4, [0, 0, 0, 255]]]),
        (np.array([[7]], np.uint8), [[[7, 7, 7, 255]]]),
        (np.array([[[7]]], ">u2"), [[[7, 7, 7, 65535]]]),
        (np.array([[[7, 9]]], np.uint8), [[[7, 7, 7, 9]]]),
        (np.array([[0.5]], np.float16), [[[0.5, 0.5, 0.5, 1]]]),
        (np.array([[[0.25, 0.5, 1.0, 0.0]]]), [[[0, 0, 0, 0]]]),
    ],
)
def test_arrays(array, wanted):
    assert pixels_of(array).tolist() == wanted


def test_an_array_is_neither_changed_nor_shared():
    array = noise(6, 8, 4)[::2, ::-1]
    array[0, 0, 3] = 0
    array.setflags(write=False)
    before = array.copy()
    pixels = pixels_of(array)
    assert np.array_equal(array, before)
    assert not np.shares_memory(array, pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr"])
def test_pil_modes(mode):
    picture = (
        PIL.Image.fromarray(noise(5, 6, 4))
        .convert("RGB" if mode in ("P", "CMYK", "YCbCr", "RGBX", "1", "L") else "RGBA")
        .convert("LA" if mode == "PA" else mode)
    )
    picture = picture.convert(mode)
    reference = np.asarray(picture.convert("RGBA"))
    assert np.array_equal(pixels_of(picture), rgba(reference[..., :3], reference[..., 3]))


def test_pil_16_bit_and_float_are_not_narrowed():
    deep, real = noise(5, 6, dtype=np.uint16), np.random.default_rng(20).random((5, 6), np.float32)
    for picture in (PIL.Image.fromarray(deep), PIL.Image.fromarray(deep.astype(np.int32))):
        assert np.array_equal(pixels_of(picture), rgba(deep))
    assert np.array_equal(pixels_of(PIL.Image.fromarray(real)), rgba(real))


def test_a_pil_image_from_a_file_is_turned_and_one_made_here_is_not():
    file = with_segment(saved(photograph(), "JPEG"), 0xE1, b"Exif\0\0" + exif(6))
    with PIL.Image.open(io.BytesIO(file)) as picture:
        assert np.array_equal(pixels_of(picture), pixels_of(file))
        assert pixels_of(picture.copy()).shape == (24, 32, 4)


def test_a_figure_is_drawn_at_its_own_resolution():
    figures = pytest.importorskip("matplotlib.figure")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # matplotlib's own, on building its font cache
        figure = figures.Figure(figsize=(3, 2), dpi=50)
        figure.add_subplot().plot([1, 3, 2])
        (image,) = decode(read(figure))
    assert image.size == (150, 100)
    assert image.info.format == "figure"


class Canvas:
    pass


def test_the_load_hook_answers_for_values_of_its_own():
    pixels = photograph()
    asked = []

    def load(source: object) -> object | None:
        asked.append(source)
        return pixels if isinstance(source, Canvas) else None

    canvas = Canvas()
    found = read(canvas, load=load)
    assert np.array_equal(decode(found)[0].pixels, rgba(pixels))
    assert asked == [canvas]
    assert np.array_equal(pixels_of(pixels), decode(read(pixels, load=load))[0].pixels)


FRAMES = tuple(np.full((8, 9, 3), level, np.uint8) for level in (0, 100, 200))


def animated(kind: str) -> PIL.Image.Image:
    """A PIL image of three frames that stands at the second."""
    file = io.BytesIO()
    first, *others = map(PIL.Image.fromarray, FRAMES)
    first.save(file, kind, save_all=True, append_images=others)
    picture = PIL.Image.open(file)
    picture.seek(1)
    return picture


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_frames_of_a_pil_image_are_chosen_as_those_of_a_file(kind):
    picture = animated(kind)
    with pytest.raises(BrokenImageError, match="it has 3 frames; choose one"):
        decode(read(picture))
    with pytest.raises(BrokenImageError, match="it has no frame 3"):
        decode(read(picture), frames=3)
    images = decode(read(picture), frames="all")
    (last,) = decode(read(picture), frames=2)
    assert [int(image.pixels[0, 0, 0]) for image in (*images, last)] == [0, 100, 200, 200]
    assert [(image.info.frame, image.info.frames) for image in (*images, last)] == [(0, 3), (1, 3), (2, 3), (2, 3)]
    assert picture.tell() == 1


def test_all_frames_of_a_pil_image_count_against_the_limit():
    with pytest.raises(BrokenImageError, match=r"increase `limits\.megapixels`"):
        decode(read(animated("GIF")), frames="all", max_pixels=8 * 9 * 2)


def test_the_current_frame_of_a_pil_image_is_its_copy():
    (image,) = decode(read(animated("GIF").copy()))
    assert int(image.pixels[0, 0, 0]) == 100


def test_of_several_pictures_in_one_jpeg_one_is_compared_and_told():
    (image,) = decode(read(animated("MPO")))
    assert image.info.notes == ("of its 3 images the current one is compared",)
    assert [image.info.frame for image in decode(read(animated("MPO")), frames="all")] == [0, 1, 2]


def test_a_pil_image_whose_file_is_closed_says_so():
    picture = animated("GIF")
    picture.close()
    with pytest.raises(BrokenImageError, match=r"its frames cannot be counted: .*while its file is open"):
        decode(read(picture), frames=0)


@pytest.mark.parametrize("given", [5, None])
def test_a_path_that_is_none_is_a_broken_picture(given):
    class Odd(os.PathLike):
        def __fspath__(self):
            return given

    with pytest.raises(BrokenImageError, match="Odd: path: its __fspath__"):
        read(Odd())


class _AtFirstRead:
    """Does something once, right after the first bytes of a file were read, in the same thread."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act

    def __enter__(self) -> None:
        sys.setprofile(self._seen)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        assert self._act is None

    def _seen(self, _frame: FrameType, event: str, called: object) -> None:
        is_read = event == "c_return" and getattr(called, "__name__", "") == "read"
        if is_read and self._act is not None:
            act, self._act = self._act, None
            act()


def test_a_file_without_checksums_that_changes_unseen_while_it_is_read_is_broken(tmp_path: Path):
    path = tmp_path / "a.bmp"
    path.write_bytes(saved(photograph(), "BMP"))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
        pages[-1] ^= 1  # from now on the file's times say nothing of what is written by way of memory
        times = path.stat()

        def write() -> None:
            pages[-1] ^= 1

        with pytest.raises(BrokenImageError, match="changed while it was read"), _AtFirstRead(write):
            read(path)
        assert path.stat() == times
    assert read(path).data == path.read_bytes()


def test_a_file_that_is_replaced_while_it_is_read_is_broken(tmp_path: Path):
    path, other = tmp_path / "a.png", tmp_path / "b.png"
    path.write_bytes(saved(photograph(), "PNG"))
    other.write_bytes(path.read_bytes())
    with (
        pytest.raises(BrokenImageError, match="changed while it was read"),
        _AtFirstRead(lambda: _replace(other, path)),
    ):
        read(path)


@pytest.mark.skipif(os.name == "nt", reason="the time of the status is that of creation there")
def test_a_change_is_seen_although_its_time_is_set_back(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(photograph(), "PNG"))
    old = 10**18
    os.utime(path, ns=(old, old))

    def write() -> None:
        path.write_bytes(path.read_bytes()[::-1])
        os.utime(path, ns=(old, old))

    with pytest.raises(BrokenImageError, match="changed while it was read"), _AtFirstRead(write):
        read(path)


def _replace(new: Path, old: Path) -> None:
    new.replace(old)


# What is often given for a picture

PICTURE = io.BytesIO()
PIL.Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(20, 20, 3)).save(PICTURE, "PNG")
ENCODED = base64.b64encode(PICTURE.getvalue()).decode()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (ENCODED, "str: text: this text is base64, not a path; pass base64.b64decode(text)"),
        (ENCODED.replace("/", "_").replace("+", "-"), "str: text: this text is base64, not a path; pass base64."),
        (
            f"data:image/png;base64,{ENCODED}",
            "str: text: this text is a data: URL; pass base64.b64decode(text.split(',')[1])",
        ),
        (ENCODED.encode(), "bytes: text: this is base64, not the image itself; pass base64.b64decode(data)"),
        ("x" * 100_000, f"{'x' * 400}...: path: the name is longer than the file system allows"),
    ],
)
def test_encoded_text_is_said_to_be_that_and_never_repeated(given, told):
    with pytest.raises(BrokenImageError) as caught:
        decode(read(given))
    assert str(caught.value).startswith(told)
    assert len(str(caught.value)) < 500
    assert ENCODED[80:160] not in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_base64_of_any_format_is_known(kind):
    stream = io.BytesIO()
    PIL.Image.open(PICTURE).save(stream, kind)
    with pytest.raises(BrokenImageError, match="this text is base64"):
        read(base64.b64encode(stream.getvalue()).decode())


def test_a_file_with_such_a_name_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = ENCODED[:80].replace("/", "_")
    (tmp_path / name).write_bytes(PICTURE.getvalue())
    assert decode(read(name))[0].size == (20, 20)


async def screenshot() -> bytes:
    return PICTURE.getvalue()


@pytest.mark.filterwarnings("error")
def test_a_forgotten_await_is_told_and_leaves_no_warning():
    with pytest.raises(BrokenImageError, match=r"this is a coroutine \(screenshot\): did you forget await\?"):
        read(screenshot())
    gc.collect()


def test_a_task_is_no_picture_yet():
    async def given() -> str:
        with pytest.raises(BrokenImageError) as caught:
            read(asyncio.ensure_future(screenshot()))
        return str(caught.value)

    with ThreadPoolExecutor() as apart:  # a browser of other tests may have its own loop in this thread
        assert "did you forget await?" in apart.submit(asyncio.run, given()).result()


def class_of(package: str, name: str, *methods: str) -> object:
    """A value of a class of this name, in a package that need not be installed."""
    return type(name, (), {"__module__": package, **dict.fromkeys(methods, repr)})()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (class_of("pandas.io.formats.style", "Styler"), "this is a table, not an image; pass a screenshot of its to_"),
        (
            class_of("plotly.basedatatypes", "BaseFigure", "to_image"),
            "assert_images_similar(figure) captures it, and where there is no fixture pass figure.to_image(format='png')",
        ),
        (class_of("altair.vegalite.v6.api", "TopLevelMixin", "save"), "assert_images_similar(chart) captures it"),
        (class_of("bokeh.model.model", "Model"), "assert_images_similar(plot) captures it"),
        (class_of("pyvista.plotting.plotter", "BasePlotter", "screenshot"), "assert_images_similar(plotter) captures"),
        (class_of("PySide6.QtWidgets", "QWidget"), "assert_images_similar(widget) captures it"),
        (class_of("pypdfium2._helpers.page", "PdfPage"), "where there is no fixture pass page.render().to_pil()"),
        (class_of("playwright.sync_api", "Locator", "screenshot"), "assert_images_similar(element) captures it"),
        (
            class_of("selenium.webdriver", "WebDriver", "get_screenshot_as_png"),
            "assert_images_similar(driver) captures",
        ),
        (class_of("pyppeteer.page", "Page", "screenshot"), "pass its screenshot: .screenshot()"),
        (class_of("graphviz.sources", "Source", "_repr_png_"), "this draws itself as PNG; pass value._repr_png_()"),
        ([PICTURE], "list: this is a list of 1; pass one image at a time"),
        (io, "module: this is the module io; pass an image"),
    ],
)
def test_what_is_no_picture_names_what_to_pass(given, told):
    with pytest.raises(BrokenImageError) as caught:
        read(given)
    assert told in str(caught.value)


def test_axes_point_to_their_figure():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.add_subplot()
    with pytest.raises(
        BrokenImageError,
        match=r"this is a part of a Matplotlib figure; assert_images_similar\(ax\) captures it, .* ax\.figure",
    ):
        read(axes)


def test_pyplot_itself_points_to_the_figure():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.close("all")
    with pytest.raises(BrokenImageError, match=r"this is the module matplotlib\.pyplot; pass a figure, such as plt\.g"):
        read(pyplot)
    assert not pyplot.get_fignums()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"a": 1}, "the imgdiff_load hook returned a value of type dict: dict: this is not an image"),
        (False, "the imgdiff_load hook returned a value of type bool: bool: this is not an image"),
        ("gone.png", "the imgdiff_load hook returned a value of type str: gone.png: missing: there is no such file"),
        (np.zeros((2, 2, 7)), "the imgdiff_load hook returned a value of type ndarray: array: float64 array of shape"),
    ],
)
def test_what_a_load_hook_returns_by_mistake_is_told_as_its_answer(answer, told):
    with pytest.raises(BrokenImageError) as caught:
        read(object(), load=lambda _: answer)
    assert str(caught.value).startswith(f"object: value: {told}")


@pytest.mark.filterwarnings("error")
def test_an_asynchronous_load_hook_is_told():
    with pytest.raises(BrokenImageError, match=r"hook returned a value of type coroutine.*did you forget await"):
        read(object(), load=lambda _: screenshot())
    gc.collect()


def test_a_float_that_is_hardly_above_one_is_shown_with_all_its_digits():
    with pytest.raises(BrokenImageError, match=r"range from 0\.5 to 1\.0000000000000002; float images hold 0\.0 to 1"):
        read(np.array([[0.5, np.nextafter(1, 2)]]))


# What offers its pixels


class Tensor:
    """What libraries of tensors have: no array, and a method that gives one."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self._values


class Capsule:
    """A value that offers its memory by the protocol of DLPack alone."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __dlpack__(self, **options: object) -> object:
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._values.__dlpack_device__()


@pytest.mark.parametrize("kind", [Tensor, Capsule])
def test_what_gives_an_array_is_read_as_one(kind):
    pixels = photograph()
    (image,) = decode(read(kind(pixels)))
    assert np.array_equal(image.pixels[..., :3], pixels)


def test_a_tensor_that_gives_no_array_says_why():
    class OnAnotherDevice:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")

    with pytest.raises(
        BrokenImageError, match=r"it cannot be converted to a NumPy array: TypeError: can't convert .*\.cpu\(\)\.numpy"
    ):
        read(OnAnotherDevice())


def test_channels_that_come_first_are_told():
    with pytest.raises(BrokenImageError, match=r"its channels come first: give `\.transpose\(1, 2, 0\)`"):
        read(Tensor(np.zeros((3, 40, 50), np.uint8)))


QT = """
import os
os.environ["QT_QPA_PLATFORM"] = "offscreen"
import numpy as np
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPixmap
from pytest_imgdiff.base.errors import BrokenImageError
from pytest_imgdiff.images import decode, read

application = QGuiApplication([])
Format = QImage.Format
deep = {Format.Format_BGR30, Format.Format_RGB30, Format.Format_RGBX64, Format.Format_RGBA64, Format.Format_Grayscale16}
for found in (Format.Format_RGB32, Format.Format_ARGB32_Premultiplied, Format.Format_RGB888, Format.Format_RGBX32FPx4, *deep):
    picture = QImage(5, 3, found)
    picture.fill(QColor(0, 0, 0))
    picture.setPixelColor(4, 2, QColor(255, 255, 255))
    (image,) = decode(read(picture))
    depth = "float32" if "FP" in found.name else "uint16" if found in deep else "uint8"
    full = 1 if depth == "float32" else np.iinfo(depth).max
    assert (image.dtype, image.size) == (depth, (5, 3)), found
    assert image.pixels[2, 4].tolist() == [full] * 4, found
    assert image.pixels[0, 0].tolist() == [0, 0, 0, full], found
half = QImage(3, 1, Format.Format_ARGB32)
half.fill(QColor(200, 100, 50, 128))
assert decode(read(half))[0].pixels[0, 0].tolist() == [200, 100, 50, 128]
pixmap = QPixmap(7, 3)
pixmap.fill(QColor(1, 2, 3))
assert decode(read(pixmap))[0].pixels[2, 6].tolist() == [1, 2, 3, 255]
try:
    read(QImage())
except BrokenImageError as error:
    print(error)
"""


def test_pictures_of_qt_are_read_at_their_depth():
    pytest.importorskip("PySide6.QtGui", reason="the test extra brings PySide6")
    done = subprocess.run([sys.executable, "-c", QT], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "QImage: value: it is empty (isNull()): check the code that loads or paints it\n"


@pytest.mark.filterwarnings("error")
def test_figures_stay_as_they_were_given_and_none_is_made():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.close("all")
    figures = [pyplot.figure(figsize=(2, 1), dpi=60) for _ in range(20)]
    try:
        before = [(figure.dpi, tuple(figure.get_size_inches()), figure.canvas, figure.axes) for figure in figures]
        for figure in figures:
            assert decode(read(figure))[0].size == (120, 60)
        assert pyplot.get_fignums() == [figure.number for figure in figures]
        after = [(figure.dpi, tuple(figure.get_size_inches()), figure.canvas, figure.axes) for figure in figures]
        assert after == before
    finally:
        pyplot.close("all")


def test_a_figure_is_not_kept_alive():
    figures = pytest.importorskip("matplotlib.figure")
    figure = figures.Figure()
    source, gone = read(figure), weakref.ref(figure)
    del figure
    gc.collect()
    assert gone() is None
    assert source.data
