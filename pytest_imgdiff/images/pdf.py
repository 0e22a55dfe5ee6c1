"""PDF, rendered page by page with PDFium."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.container import Container, Page, Raster, opaque

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

DEFAULT_DPI = 150
"""An A4 page has 1241 x 1755 pixels: small print is legible."""
_POINTS_PER_INCH = 72
_END_LOOKED_AT = 1024
"""Bytes at the end of a file that contain ``%%EOF``, by the implementation notes of PDF 1.7 (appendix H, 3.4.4)."""
_PDFIUM = threading.RLock()
"""PDFium must be used by one thread at a time, and the two files of a pair are read in one thread each."""


def open_pdf(file: bytes, dpi: int | None = None) -> Container:
    """Read the pages' sizes; a page is rendered when its pixels are requested, on white, with its form fields.

    Args:
        file: The bytes of a PDF.
        dpi: Pixels per inch of a page; `DEFAULT_DPI` if None.

    Raises:
        UnreadableError: pypdfium2 is not installed; or the file is truncated, damaged, encrypted, or without pages.
    """
    dpi = dpi or DEFAULT_DPI
    scale = dpi / _POINTS_PER_INCH
    if b"%%EOF" not in file[-_END_LOOKED_AT:]:
        raise UnreadableError("truncated: it has no end mark (%%EOF)")
    with _PDFIUM:
        document = _opened(file)
        try:
            sizes = [document.get_page_size(index) for index in range(len(document))]
        except Exception as error:
            raise UnreadableError(f"damaged: the size of a page cannot be read: {error}") from error
        finally:
            document.close()
    if not sizes:
        raise UnreadableError("it has no pages")
    pages = [
        Page(math.ceil(width * scale), math.ceil(height * scale), "RGB 8-bit", opaque=True) for width, height in sizes
    ]

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        with _PDFIUM:
            document = _opened(file)
        try:
            for index in indices:
                yield _raster(document, index, dpi)
        finally:
            with _PDFIUM:
                document.close()

    return Container("PDF", pages, decode)


def render(page: Any, dpi: int) -> NDArray[Any]:
    """Return a ``pypdfium2.PdfPage`` as (height, width, 3) RGB, uint8, on white.

    Raises:
        Exception: Any exception of pypdfium2 for a page that is closed or damaged.
    """
    with _PDFIUM:
        bitmap = page.render(scale=dpi / _POINTS_PER_INCH, rev_byteorder=True)
        try:
            pixels: NDArray[Any] = bitmap.to_numpy().copy()
        finally:
            bitmap.close()
    return pixels


def _opened(file: bytes) -> Any:
    try:
        import pypdfium2
    except ImportError as error:
        raise UnreadableError('a PDF is rendered by pypdfium2: pip install "pytest-imgdiff[pdf]"') from error
    try:
        document = pypdfium2.PdfDocument(file)
        document.init_forms()
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise UnreadableError("it is encrypted; save it without a password") from error
        raise UnreadableError(f"damaged: {error}") from error
    return document


def _raster(document: Any, index: int, dpi: int) -> Raster:
    with _PDFIUM:
        try:
            page = document[index]
        except Exception as error:
            raise UnreadableError(f"damaged: its page {index} cannot be loaded: {error}") from error
        try:
            return opaque(render(page, dpi))
        finally:
            page.close()
