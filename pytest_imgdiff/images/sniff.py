"""Type of data, from its first bytes: the supported formats, and common data that are not images."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Literal

from pytest_imgdiff.base.errors import UnreadableError

Format = Literal["PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF", "AVIF", "Netpbm", "JPEG 2000", "PDF"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A supported format.

    Attributes:
        extension: Extension of a file that is written, in lower case.
        others: Other extensions of the format.
        signatures: Possible first bytes of its data; none if `sniff` looks further.
        opener: Module of this package, and function, that reads a file's headers; None for a PDF, which has pages.
        media_type: Media type for browsers; None if they do not show it.
        copies: Maximum memory for decoding as a multiple of the size of its pixels: the pixels, the uncompressed data
            of the file, and the canvas of an animation.
    """

    extension: str
    others: tuple[str, ...]
    signatures: tuple[bytes, ...]
    opener: str | None
    media_type: str | None = None
    copies: int = 2


KINDS: dict[Format, Kind] = {
    "PNG": Kind(".png", (".apng",), (b"\x89PNG\r\n\x1a\n",), "png:open_png", "image/png"),
    "JPEG": Kind(
        ".jpg",
        (".jpeg", ".jpe", ".jfif", ".jif", ".pjp", ".pjpeg", ".mpo"),
        (b"\xff\xd8\xff",),
        "jpeg:open_jpeg",
        "image/jpeg",
    ),
    "WebP": Kind(".webp", (), (), "webp:open_webp", "image/webp", copies=3),
    "GIF": Kind(".gif", (), (b"GIF87a", b"GIF89a"), "gif:open_gif", "image/gif", copies=3),
    "BMP": Kind(".bmp", (".dib",), (b"BM",), "bmp:open_bmp", "image/bmp"),
    "TIFF": Kind(".tiff", (".tif",), (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "tiff:open_tiff", copies=3),
    "AVIF": Kind(".avif", (".avifs",), (), "avif:open_avif", "image/avif", copies=3),
    "JPEG 2000": Kind(
        ".jp2",
        (".j2k", ".j2c", ".jpc"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        "jpeg2000:open_jpeg2000",
    ),
    "Netpbm": Kind(".pnm", (".pbm", ".pgm", ".ppm", ".pam"), (), "netpbm:open_netpbm"),
    "PDF": Kind(".pdf", (), (b"%PDF-",), None),
}
"""The supported formats. Another one is a row here, its name in `Format`, and a module that opens it."""

EXTENSIONS: dict[str, Format] = {
    extension: name for name, kind in KINDS.items() if kind.opener for extension in (kind.extension, *kind.others)
}
"""Lower-case file name extension to its format. Scans read these files, but not PDFs."""


@dataclass(frozen=True, slots=True)
class _Foreign:
    """An unsupported format with a signature."""

    signature: bytes
    kind: str
    cause: str


_SAVE_AS_PNG = "this format is not read; save the image as PNG"
_NOT_RUN = "a program for a printer, never handed to an interpreter; convert it to PNG"
_UNPACK = "an archive; unpack it and name the image inside"

_FOREIGN = (
    _Foreign(
        b"version https://git-lfs.github.com/spec/", "Git LFS pointer", "the image is not here; run `git lfs pull`"
    ),
    _Foreign(b"/annex/objects/", "git-annex pointer", "the image is not here; run `git annex get`"),
    _Foreign(b"%!", "PostScript", _NOT_RUN),
    _Foreign(b"\xc5\xd0\xd3\xc6", "EPS", _NOT_RUN),
    _Foreign(b"\xff\x0a", "JPEG XL", _SAVE_AS_PNG),
    _Foreign(b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", _SAVE_AS_PNG),
    _Foreign(b"8BPS", "PSD", _SAVE_AS_PNG),
    _Foreign(b"\0\0\1\0", "ICO", _SAVE_AS_PNG),
    _Foreign(b"\0\0\2\0", "CUR", _SAVE_AS_PNG),
    _Foreign(b"qoif", "QOI", _SAVE_AS_PNG),
    _Foreign(b"\x76\x2f\x31\x01", "OpenEXR", _SAVE_AS_PNG),
    _Foreign(b"#?RADIANCE", "Radiance HDR", _SAVE_AS_PNG),
    _Foreign(b"DDS ", "DDS", _SAVE_AS_PNG),
    _Foreign(b"\x8aMNG\r\n\x1a\n", "MNG", _SAVE_AS_PNG),
    _Foreign(b"\x1aE\xdf\xa3", "Matroska video", "a video; save the frame as PNG"),
    _Foreign(b"\x1f\x8b", "gzip", _UNPACK),
    _Foreign(b"PK\x03\x04", "ZIP", _UNPACK),
    _Foreign(b"PK\x05\x06", "ZIP", _UNPACK),
    _Foreign(b"7z\xbc\xaf\x27\x1c", "7-Zip", _UNPACK),
    _Foreign(b"\x28\xb5\x2f\xfd", "Zstandard", _UNPACK),
    _Foreign(b"BZh", "bzip2", _UNPACK),
    _Foreign(b"\xfd7zXZ\0", "xz", _UNPACK),
    _Foreign(b"SQLite format 3\0", "SQLite database", "not an image"),
    _Foreign(b"\x7fELF", "program", "not an image"),
)

_BRANDS: tuple[tuple[bytes, str], ...] = (
    (b"hei", "HEIC"),
    (b"hev", "HEIC"),
    (b"mif1", "HEIC"),
    (b"msf1", "HEIC"),
    (b"crx ", "Canon raw"),
    (b"qt  ", "QuickTime video"),
)
_TEXTS = (
    (
        re.compile(r"\A<!doctype html|<html|<body", re.IGNORECASE),
        "HTML",
        "a web page, not an image",
    ),
    (re.compile(r"<svg", re.IGNORECASE), "SVG", "vector graphics; render it to PNG"),
    (re.compile(r"\A<"), "XML", "a document, not an image"),
    (re.compile(r"\A[{\[]"), "JSON", "data, not an image"),
)
"""Formats that are recognised by words, in this order."""
_TEXT_LOOKED_AT = 4096
_DATA_URL = re.compile(r"\Adata:[^,\s]{0,200},")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}\Z")
_BASE64_LOOKED_AT = 64
"""Characters of a string that are examined for an encoded image; a multiple of 4."""
_URL_SAFE = str.maketrans("-_", "+/")
_NETPBM = re.compile(rb"P[1-7][\s#]")
_DAMAGED_PNG = re.compile(rb"^.?PNG\r?\n?\x1a?\r?\n")


def sniff(data: bytes) -> Format:
    """Return the format of the data.

    Raises:
        UnreadableError: The format is unsupported; the error names it.
    """
    if not data:
        raise UnreadableError("it holds no bytes; the program that writes it may have failed or not finished", "empty")
    for name, kind in KINDS.items():
        if kind.signatures and data.startswith(kind.signatures):
            return name
    if _NETPBM.match(data):
        return "Netpbm"
    if data[:4] == b"RIFF":
        return _sniff_riff(data)
    if data[4:8] == b"ftyp":
        return _sniff_ftyp(data)
    for foreign in _FOREIGN:
        if data.startswith(foreign.signature):
            raise UnreadableError(foreign.cause, foreign.kind)
    if _DAMAGED_PNG.match(data):
        raise UnreadableError("its signature is damaged; it may have been copied as text", "PNG")
    raise _text_refusal(data[:_TEXT_LOOKED_AT]) or UnreadableError(
        f"its first bytes ({data[:8].hex(' ')}) are not of a known image format", "unknown data"
    )


def encoded_text(text: str) -> str | None:
    """Return how an image is encoded in this string: ``base64`` or ``a data: URL``; None if it contains none."""
    if _DATA_URL.match(text):
        return "a data: URL"
    start = text[:_BASE64_LOOKED_AT].strip()
    if not _BASE64.match(start):
        return None
    padded = start.rstrip("=")[: len(start) // 4 * 4].translate(_URL_SAFE)
    try:
        sniff(base64.b64decode(padded))
    except (UnreadableError, ValueError):
        return None
    return "base64"


def _sniff_riff(data: bytes) -> Format:
    form = data[8:12]
    if form == b"WEBP":
        return "WebP"
    kind = {b"AVI ": "AVI video", b"WAVE": "WAV sound"}.get(form, "RIFF data")
    raise UnreadableError("not a WebP image", kind)


def _sniff_ftyp(data: bytes) -> Format:
    size = int.from_bytes(data[:4], "big")
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, min(size, 256), 4))]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    for prefix, kind in _BRANDS:
        if brands[0].startswith(prefix):
            raise UnreadableError(_SAVE_AS_PNG, kind)
    raise UnreadableError("a video; save the frame as PNG", "MP4")


def _text_refusal(start: bytes) -> UnreadableError | None:
    """Return an error with the kind of text, or None if it is not text."""
    text = _as_text(start)
    if text is None:
        return None
    stripped = text.strip()
    if not stripped:
        return UnreadableError("it holds white space only", "text")
    encoded = encoded_text(stripped)
    if encoded is not None:
        decoded = "base64.b64decode(data)" if encoded == "base64" else "base64.b64decode(data.split(b',')[1])"
        return UnreadableError(f"this is {encoded}, not the image itself; pass {decoded}", "text")
    for pattern, kind, cause in _TEXTS:
        if pattern.search(stripped):
            return UnreadableError(cause, kind)
    return UnreadableError(f"not an image; it begins with {stripped.splitlines()[0][:60]!r}", "text")


def _as_text(start: bytes) -> str | None:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if start.startswith(mark):
            return start[2:].decode(encoding, "replace")
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", start):
        return None
    try:
        # The cut may be inside a character.
        return start.removeprefix(b"\xef\xbb\xbf").decode(
            "utf-8", "strict" if len(start) < _TEXT_LOOKED_AT else "ignore"
        )
    except UnicodeDecodeError:
        return None
