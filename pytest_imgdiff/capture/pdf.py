"""Documents and pages of pypdfium2."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import Shot
from pytest_imgdiff.images.pdf import DEFAULT_DPI, render

if TYPE_CHECKING:
    from pytest_imgdiff.base.model import CaptureSettings


def capturer(target: Any, settings: CaptureSettings) -> PdfDocumentCapturer | PdfPageCapturer:
    """Return what captures a document or a page."""
    if any(owner.__name__ == "PdfPage" for owner in type(target).__mro__):
        return PdfPageCapturer(target, settings)
    return PdfDocumentCapturer(target)


class PdfDocumentCapturer:
    """Captures a document as a PDF file, whose pages are rendered when they are compared.

    Args:
        document: a ``pypdfium2.PdfDocument``.
    """

    target = "PDF document"
    live = False
    follows: frozenset[str] = frozenset({"dpi"})

    def __init__(self, document: Any) -> None:
        self._document = document

    def capture(self) -> Shot:
        """Return the document as it would be saved, without a password.

        Raises:
            CaptureError: it is closed, or cannot be saved.
        """
        import pypdfium2.raw

        file = io.BytesIO()
        try:
            self._document.save(file, flags=pypdfium2.raw.FPDF_REMOVE_SECURITY)
        except Exception as error:  # a closed document fails in ctypes, a damaged one in PDFium
            raise CaptureError(f"the PDF document cannot be saved; is it closed? {_in_words(error)}") from error
        return Shot(file.getvalue())


class PdfPageCapturer:
    """Captures one page as an image.

    Args:
        page: a ``pypdfium2.PdfPage``.
        settings: how to capture it.
    """

    target = "PDF page"
    live = False
    follows: frozenset[str] = frozenset({"dpi"})

    def __init__(self, page: Any, settings: CaptureSettings) -> None:
        self._page = page
        self._dpi = settings.dpi or DEFAULT_DPI

    def capture(self) -> Shot:
        """Return the page's pixels: (height, width, 3) RGB, uint8.

        Raises:
            CaptureError: its document is closed, or the page cannot be rendered.
        """
        try:
            return Shot(render(self._page, self._dpi))
        except Exception as error:  # likewise
            raise CaptureError(
                f"the PDF page cannot be rendered; is its document closed? {_in_words(error)}"
            ) from error


def _in_words(error: Exception) -> str:
    return f"({type(error).__name__}: {error})"
