"""The right verdict for small pairs, each through real files: no false pass, no false alarm.

`python -m tests.test_verdicts` prints the table.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import PIL.Image
import pytest

from pytest_imgdiff import Policy, Registry, compare
from pytest_imgdiff.config import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

EXACT = {"metrics": {"pixel_match": {"min": 1.0}}}
DEFAULT: dict[str, Any] = {}


def photo(height: int = 24, width: int = 32, channels: int = 3) -> np.ndarray:
    """A smooth picture with an edge, so that nothing in it is anti-aliasing."""
    row, column = np.indices((height, width))
    planes = [row * 7 % 256, column * 5 % 256, np.where(column > width // 2, 220, 30), np.full_like(row, 255)]
    return np.stack(planes[:channels], axis=-1).astype(np.uint8)


def png(pixels: np.ndarray, **info: Any) -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, "PNG", **info)
    return stream.getvalue()


def png16(pixels: np.ndarray) -> bytes:
    """16-bit RGB or RGBA; Pillow would narrow it."""
    code = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    return cv2.imencode(".png", cv2.cvtColor(pixels, code))[1].tobytes()


def with_chunk(data: bytes, kind: bytes, content: bytes) -> bytes:
    """Put a chunk right behind IHDR."""
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return data[:33] + chunk + data[33:]


def changed(pixels: np.ndarray, box: tuple[slice, slice], value: Any) -> np.ndarray:
    copy = pixels.copy()
    copy[box] = value
    return copy


def pil(pixels: np.ndarray, mode: str, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation: int) -> bytes:
    tags = PIL.Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def icc() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def rgba(colour: tuple[int, int, int], alpha: int | np.ndarray) -> np.ndarray:
    pixels = np.empty((24, 32, 4), np.uint8)
    pixels[...] = (*colour, 255)
    pixels[..., 3] = alpha
    return pixels


def gif(*frames: np.ndarray) -> bytes:
    stream = io.BytesIO()
    first, *rest = [PIL.Image.fromarray(frame).convert("P", palette=PIL.Image.Palette.ADAPTIVE) for frame in frames]
    first.save(stream, "GIF", save_all=True, append_images=rest, duration=100)
    return stream.getvalue()


PHOTO = photo()
WIDE = (PHOTO.astype(np.uint16) * 257) & 0xFF00
SPOT = (slice(10, 14), slice(5, 9))
ONE = (slice(10, 11), slice(5, 6))
LEFT_HALF = np.where(np.arange(32) < 16, 0, 255)
NOISE = np.random.default_rng(3).integers(0, 256, (48, 64, 3)).astype(np.uint8)
GRAY = photo()[..., 1]


@dataclass(frozen=True)
class Case:
    name: str
    expected: Callable[[], bytes]
    actual: Callable[[], bytes]
    verdict: str
    policy: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    suffix: str = ".png"


CASES = [
    Case("the same bytes", lambda: png(PHOTO), lambda: png(PHOTO), "match"),
    Case("the same pixels, other compression", lambda: png(PHOTO), lambda: png(PHOTO, compress_level=0), "match", EXACT),
    Case("RGB and RGBA, opaque", lambda: png(PHOTO), lambda: png(photo(channels=4)), "match", EXACT),
    Case("gray and RGB of equal channels", lambda: png(GRAY), lambda: png(np.stack([GRAY] * 3, -1)), "match", EXACT),
    Case("gray and another gray", lambda: png(GRAY), lambda: png(changed(GRAY, SPOT, 255)), "different"),
    Case("gray against RGB, one channel off", lambda: png(GRAY), lambda: png(np.stack([GRAY, GRAY, 255 - GRAY], -1)), "different"),
    Case("palette and RGB, equal colours", lambda: pil(PHOTO // 64 * 64, "P", colors=64), lambda: png(np.asarray(PIL.Image.open(io.BytesIO(pil(PHOTO // 64 * 64, "P", colors=64))).convert("RGB"))), "match", EXACT),
    Case("palettes in other order, equal colours", lambda: palette([(255, 0, 0), (0, 0, 255)], [[0, 1], [1, 0]]), lambda: palette([(0, 0, 255), (255, 0, 0)], [[1, 0], [0, 1]]), "match", EXACT),
    Case("equal indices, other palette", lambda: palette([(255, 0, 0), (0, 0, 255)], [[0, 1], [1, 0]]), lambda: palette([(255, 0, 0), (0, 255, 0)], [[0, 1], [1, 0]]), "different"),
    Case("palette, transparency by tRNS only", lambda: palette([(9, 9, 9), (0, 0, 0)], [[0, 1]] * 2), lambda: palette([(9, 9, 9), (0, 0, 0)], [[0, 1]] * 2, alpha=b"\xff\x00"), "different"),
    Case("one pixel by one level, exactly", lambda: png(PHOTO), lambda: png(changed(PHOTO, ONE, PHOTO[ONE] + 1)), "different", EXACT),
    Case("one pixel by one level, as the eye sees it", lambda: png(PHOTO), lambda: png(changed(PHOTO, ONE, PHOTO[ONE] + 1)), "match", DEFAULT, "one level: not visible"),
    Case("one pixel by a lot", lambda: png(PHOTO), lambda: png(changed(PHOTO, ONE, 255)), "different"),
    Case("four pixels, limit max_pixels 16", lambda: png(PHOTO), lambda: png(changed(PHOTO, SPOT, 255)), "match", {"metrics": {"perceptual": {"max_pixels": 16}}}),
    Case("sixteen pixels, limit max_pixels 15", lambda: png(PHOTO), lambda: png(changed(PHOTO, SPOT, 255)), "different", {"metrics": {"perceptual": {"max_pixels": 15}}}),
    Case("a last row", lambda: png(PHOTO), lambda: png(changed(PHOTO, (slice(-1, None), slice(None)), 255)), "different"),
    Case("a last column", lambda: png(PHOTO), lambda: png(changed(PHOTO, (slice(None), slice(-1, None)), 0)), "different"),
    Case("cropped by one row", lambda: png(PHOTO), lambda: png(PHOTO[:-1]), "resized"),
    Case("cropped by one column", lambda: png(PHOTO), lambda: png(PHOTO[:, :-1]), "resized"),
    Case("cropped by one row, padded", lambda: png(PHOTO), lambda: png(PHOTO[:-1]), "different", {"size": "pad"}),
    Case("cropped by one row of black, padded", lambda: png(changed(PHOTO, (slice(-1, None), slice(None)), 0)), lambda: png(PHOTO[:-1]), "different", {"size": "pad"}),
    Case("cropped by one row, cropped", lambda: png(PHOTO), lambda: png(PHOTO[:-1]), "match", {"size": "crop"}),
    Case("shifted by a row, cropped", lambda: png(PHOTO), lambda: png(PHOTO[1:]), "match", {"size": "crop"}, "shifted by one pixel: not visible"),
    Case("shifted by a row, cropped, exactly", lambda: png(PHOTO), lambda: png(PHOTO[1:]), "different", {"size": "crop", **EXACT}),
    Case("transposed", lambda: png(NOISE), lambda: png(NOISE.transpose(1, 0, 2)), "resized"),
    Case("rotated by half a turn", lambda: png(NOISE), lambda: png(NOISE[::-1, ::-1]), "different"),
    Case("red and blue swapped", lambda: png(PHOTO), lambda: png(PHOTO[..., ::-1]), "different"),
    Case("alpha alone", lambda: png(rgba((200, 40, 40), 255)), lambda: png(rgba((200, 40, 40), 128)), "different"),
    Case("alpha alone, by one level, exactly", lambda: png(rgba((200, 40, 40), 255)), lambda: png(rgba((200, 40, 40), 254)), "different", EXACT),
    Case("black that turns transparent: shows on light", lambda: png(rgba((0, 0, 0), 255)), lambda: png(rgba((0, 0, 0), LEFT_HALF)), "different"),
    Case("white that turns transparent: shows on dark", lambda: png(rgba((255, 255, 255), 255)), lambda: png(rgba((255, 255, 255), LEFT_HALF)), "different"),
    Case("dark gray that turns transparent", lambda: png(rgba((48, 48, 48), 255)), lambda: png(rgba((48, 48, 48), 0)), "different"),
    Case("white that turns transparent, by ssim", lambda: png(rgba((255, 255, 255), 255)), lambda: png(rgba((255, 255, 255), LEFT_HALF)), "different", {"metrics": {"ssim": {"min": 0.99}}}),
    Case("black that turns transparent, by ssim", lambda: png(rgba((0, 0, 0), 255)), lambda: png(rgba((0, 0, 0), LEFT_HALF)), "different", {"metrics": {"ssim": {"min": 0.99}}}),
    Case("colour hidden under full transparency", lambda: png(rgba((200, 40, 40), 0)), lambda: png(rgba((0, 200, 40), 0)), "match", EXACT),
    Case("colour under nearly full transparency, exactly", lambda: png(rgba((200, 40, 40), 1)), lambda: png(rgba((0, 200, 40), 1)), "different", EXACT),
    Case("16 bit and the same in 8 bit", lambda: png(PHOTO), lambda: png16(PHOTO.astype(np.uint16) * 257), "match", EXACT),
    Case("16 bit, low byte of one pixel, exactly", lambda: png16(WIDE), lambda: png16(changed(WIDE, ONE, WIDE[ONE] + 1)), "different", EXACT),
    Case("16 bit, low byte everywhere, exactly", lambda: png16(WIDE), lambda: png16(WIDE + 200), "different", EXACT),
    Case("16 bit, low byte, as the eye sees it", lambda: png16(WIDE), lambda: png16(WIDE + 200), "match", DEFAULT, "less than one level of 256"),
    Case("16 bit, high byte", lambda: png16(WIDE), lambda: png16(changed(WIDE, SPOT, 65535)), "different"),
    Case("EXIF orientation that undoes the turn", lambda: png(PHOTO), lambda: png(np.rot90(PHOTO).copy(), exif=exif(6)), "match", EXACT),
    Case("EXIF orientation alone", lambda: png(PHOTO), lambda: png(PHOTO, exif=exif(3)), "different", EXACT),
    Case("EXIF without orientation", lambda: png(PHOTO), lambda: png(PHOTO, exif=exif(1)), "match", EXACT),
    Case("gamma tag alone", lambda: png(PHOTO), lambda: with_chunk(png(PHOTO), b"gAMA", struct.pack(">I", 100000)), "match", EXACT, "told in the notes"),
    Case("ICC profile alone", lambda: png(PHOTO), lambda: png(PHOTO, icc_profile=icc()), "match", EXACT, "told in the notes"),
    Case("text chunk alone", lambda: png(PHOTO), lambda: with_chunk(png(PHOTO), b"tEXt", b"Comment\0by another program"), "match", EXACT),
    Case("interlaced", lambda: png(PHOTO), lambda: adam7(PHOTO), "match", EXACT),
    Case("PNG and lossless WebP", lambda: png(PHOTO), lambda: pil(PHOTO, "RGB", "WEBP", lossless=True), "match", EXACT),
    Case("PNG and BMP", lambda: png(PHOTO), lambda: pil(PHOTO, "RGB", "BMP"), "match", EXACT),
    Case("PNG and TIFF", lambda: png(PHOTO), lambda: pil(PHOTO, "RGB", "TIFF"), "match", EXACT),
    Case("a photograph as JPEG of quality 95, by ssim", lambda: png(PHOTO), lambda: pil(PHOTO, "RGB", "JPEG", quality=95, subsampling=0), "match", {"metrics": {"ssim": {"min": 0.97}}}),
    Case("a photograph as JPEG, exactly", lambda: png(PHOTO), lambda: pil(PHOTO, "RGB", "JPEG", quality=95), "different", EXACT),
    Case("a change in an ignore area", lambda: png(PHOTO), lambda: png(changed(PHOTO, SPOT, 255)), "match", {"ignore": [{"x": 5, "y": 10, "width": 4, "height": 4}], **EXACT}),
    Case("a change one pixel beyond an ignore area", lambda: png(PHOTO), lambda: png(changed(PHOTO, SPOT, 255)), "different", {"ignore": [{"x": 6, "y": 10, "width": 4, "height": 4}], **EXACT}),
    Case("everything ignored", lambda: png(PHOTO), lambda: png(255 - PHOTO), "broken", {"ignore": [{"x": 0, "y": 0, "width": "100%", "height": "100%"}]}),
    Case("everything ignored, of equal images", lambda: png(PHOTO), lambda: png(PHOTO, compress_level=0), "broken", {"ignore": [{"x": 0, "y": 0, "width": "100%", "height": "100%"}]}),
    Case("two broken files, byte for byte the same", lambda: png(PHOTO)[:-20], lambda: png(PHOTO)[:-20], "broken"),
    Case("two empty files", lambda: b"", lambda: b"", "broken"),
    Case("the actual file cut short", lambda: png(PHOTO), lambda: png(PHOTO)[:-40], "broken"),
    Case("two animations that differ in the last frame", lambda: gif(PHOTO, PHOTO // 2), lambda: gif(PHOTO, 255 - PHOTO), "broken", DEFAULT, "no frame was named"),
    Case("the same, all frames", lambda: gif(PHOTO, PHOTO // 2), lambda: gif(PHOTO, 255 - PHOTO), "different", {"frames": "all"}),
    Case("the same, first frame named", lambda: gif(PHOTO, PHOTO // 2), lambda: gif(PHOTO, 255 - PHOTO), "match", {"frames": 0}),
    Case("another number of frames", lambda: gif(PHOTO, PHOTO // 2), lambda: gif(PHOTO, PHOTO // 2, 255 - PHOTO), "different", {"frames": "all"}),
    Case("too small for ssim", lambda: png(PHOTO[:5, :5]), lambda: png(255 - PHOTO[:5, :5]), "broken", {"metrics": {"ssim": {"min": 0.1}}}),
    Case("too small for ssim, equal", lambda: png(PHOTO[:5, :5]), lambda: png(PHOTO[:5, :5], compress_level=0), "match", {"metrics": {"ssim": {"min": 0.1}}}),
    Case("no keypoints for orb", lambda: png(PHOTO * 0), lambda: png(PHOTO * 0 + 255), "broken", {"metrics": {"orb": {"min": 0.1}}}),
    Case("1x1, other colour", lambda: png(PHOTO[:1, :1] * 0), lambda: png(PHOTO[:1, :1] * 0 + 255), "different"),
    Case("1x1, equal", lambda: png(PHOTO[:1, :1]), lambda: png(PHOTO[:1, :1], compress_level=0), "match"),
    Case("named .png, holds JPEG", lambda: png(PHOTO), lambda: pil(PHOTO, "RGB", "JPEG", quality=100, subsampling=0), "match", {"metrics": {"ssim": {"min": 0.97}}}, "told in the notes"),
]  # fmt: skip


def palette(colours: list[tuple[int, int, int]], indices: list[list[int]], alpha: bytes | None = None) -> bytes:
    image = PIL.Image.fromarray(np.kron(np.array(indices, np.uint8), np.ones((8, 8), np.uint8)), "L").copy()
    picture = PIL.Image.new("P", image.size)
    picture.putdata(list(np.asarray(image).ravel()))
    picture.putpalette([value for colour in colours for value in colour])
    stream = io.BytesIO()
    picture.save(stream, "PNG", **({} if alpha is None else {"transparency": alpha}))
    return stream.getvalue()


def adam7(pixels: np.ndarray) -> bytes:
    """An interlaced PNG (PNG, third edition, 8.1), which Pillow does not write."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [b"\0" + row.tobytes() for top, left, down, right in passes for row in pixels[top::down, left::right]]
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 1)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def judged(case: Case, folder: Path) -> tuple[str, str]:
    expected, actual = folder / "expected.png", folder / "actual.png"
    expected.write_bytes(case.expected())
    actual.write_bytes(case.actual())
    registry = Registry()
    policy = load_settings(None, registry).apply(Policy(), case.policy, "the table")
    comparison = compare(expected, actual, policy, registry=registry)
    assert comparison.passed == (comparison.verdict.value == "match")
    return comparison.verdict.value, comparison.reason or "; ".join(comparison.notes)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_verdict(case, tmp_path):
    assert judged(case, tmp_path)[0] == case.verdict


NO_TOLERANCE = {"metrics": {"visible": {"max": 1, "level": "exact"}}}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.policy.items() >= EXACT.items()], ids=lambda case: case.name
)
def test_the_exact_level_of_visible_gives_the_verdicts_of_equal_pixels(case, tmp_path):
    exactly = Case(case.name, case.expected, case.actual, case.verdict, {**case.policy, **NO_TOLERANCE})
    assert judged(exactly, tmp_path)[0] == case.verdict


@pytest.mark.parametrize("case", [case for case in CASES if case.verdict == "different"], ids=lambda case: case.name)
def test_a_difference_is_one_whichever_side_is_expected(case, tmp_path):
    swapped = Case(case.name, case.actual, case.expected, case.verdict, case.policy)
    assert judged(swapped, tmp_path)[0] == "different"


@pytest.mark.parametrize("case", [case for case in CASES if case.verdict == "different"], ids=lambda case: case.name)
def test_what_differs_is_shown(case):
    """A failure always comes with a mask, also where the mask's own metric sees nothing."""
    registry = Registry()
    policy = load_settings(None, registry).apply(Policy(), case.policy, "the table")
    comparison = compare(case.expected(), case.actual(), policy, registry=registry)
    if comparison.reason is None:  # frames of another number have no pixels to point at
        assert comparison.regions
        assert comparison.mask is not None
        assert sum(region.area for region in comparison.regions) == comparison.mask.sum()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(CASES, 1):
            verdict, told = judged(case, Path(folder))
            wrong = "" if verdict == case.verdict else "  WRONG"
            sys.stdout.write(
                f"{number:2} {case.name:55} {verdict:10} {case.note or told}{wrong}\n".replace(folder, ".")
            )
