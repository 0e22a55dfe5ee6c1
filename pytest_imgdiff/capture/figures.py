"""Figures, plots, charts, widgets and documents of Python libraries, each drawn by its own library."""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import CaptureError
from pytest_imgdiff.base.model import Shot
from pytest_imgdiff.images.pdf import DEFAULT_DPI, render

if TYPE_CHECKING:
    from pytest_imgdiff.base.model import CaptureSettings

# ---- Matplotlib


def matplotlib_capturer(target: Any, settings: CaptureSettings) -> MatplotlibCapturer:
    """Return what captures a figure; for axes, a subfigure or a seaborn grid the whole figure is captured.

    Raises:
        CaptureError: the axes were removed from their figure.
    """
    figure = target if hasattr(target, "savefig") else getattr(target, "figure", None)
    while figure is not None and not hasattr(figure, "savefig"):  # subfigures are in a figure, or in one another
        figure = figure.figure
    if figure is None:
        raise CaptureError("these Matplotlib axes are no longer in a figure; capture them before they are removed")
    return MatplotlibCapturer(figure, settings)


class MatplotlibCapturer:
    """Captures by ``savefig`` with the Agg renderer, whatever backend is in use; the figure is unchanged.

    Args:
        figure: a figure, or an object that saves itself like one.
        settings: how to capture it.
    """

    target = "Matplotlib figure"
    live = False
    follows: frozenset[str] = frozenset({"dpi", "transparent"})

    def __init__(self, figure: Any, settings: CaptureSettings) -> None:
        self._figure = figure
        self._settings = settings

    def capture(self) -> Shot:
        """Return a PNG without metadata, at the figure's own resolution or at ``dpi``.

        Raises:
            CaptureError: the figure cannot be drawn.
        """
        file = io.BytesIO()
        options: dict[str, Any] = {"transparent": True} if self._settings.transparent else {}
        try:
            self._figure.savefig(
                file,
                format="png",
                backend="agg",
                dpi=self._settings.dpi or "figure",
                metadata={"Software": None},
                **options,
            )
        except Exception as error:  # drawing runs the user's own code
            raise CaptureError(f"Matplotlib figure: its savefig() failed: {type(error).__name__}: {error}") from error
        return Shot(file.getvalue())


# ---- Plotly


_RENDERS_WITHIN = 30.0
"""Seconds in which Chrome starts and renders a figure; now and then one that Kaleido starts never answers."""
_TRIES = 2


def plotly_capturer(target: Any, settings: CaptureSettings) -> PlotlyCapturer:
    """Return what captures a figure.

    Raises:
        CaptureError: Kaleido is not installed.
    """
    if importlib.util.find_spec("kaleido") is None:
        raise CaptureError("a Plotly figure is rendered by Kaleido, which is not installed; run pip install kaleido")
    return PlotlyCapturer(target, settings)


class PlotlyCapturer:
    """Captures by the figure's own ``to_image``.

    Args:
        figure: a Plotly figure.
        settings: how to capture it; ``timeout``, at least 30 s, is how long Chrome may take to start and render.
    """

    target = "Plotly figure"
    live = False
    follows: frozenset[str] = frozenset({"timeout"})

    def __init__(self, figure: Any, settings: CaptureSettings) -> None:
        self._figure = figure
        self._limit = max(settings.timeout, _RENDERS_WITHIN)

    def capture(self) -> Shot:
        """Return a PNG with the size of the figure's layout.

        Raises:
            CaptureError: Kaleido finds no Chrome, Chrome does not answer, or cannot render the figure.
        """
        if _has_kaleido_server():  # if a call of it were given up, the next call would receive its figure
            return self._shot(self._render(Future()))
        for _ in range(_TRIES):
            # Kaleido waits forever. Its own threads are daemons like the thread that starts them, and end with pytest.
            rendered: Future[bytes] = Future()
            threading.Thread(target=self._render, args=(rendered,), daemon=True).start()
            wait([rendered], self._limit)
            if rendered.done():
                return self._shot(rendered)
        raise CaptureError(
            f"a Plotly figure is rendered in Chrome, which did not answer Kaleido within {self._limit:g} seconds, "
            f"{_TRIES} times; check that the browser starts (BROWSER_PATH), or raise the capture's timeout"
        )

    def _render(self, rendered: Future[bytes]) -> Future[bytes]:
        try:
            rendered.set_result(self._figure.to_image(format="png"))
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            rendered.set_exception(error)
        return rendered

    @staticmethod
    def _shot(rendered: Future[bytes]) -> Shot:
        try:
            return Shot(rendered.result())
        except Exception as error:  # Kaleido, its browser and Plotly's checks raise errors of many kinds
            if "chrome" in str(error).lower():
                raise CaptureError(
                    "a Plotly figure is rendered in Chrome, which Kaleido could not find or start: install "
                    "Chrome or Chromium, or run plotly_get_chrome, or set BROWSER_PATH to its executable"
                ) from error
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise CaptureError(f"Plotly figure: its to_image() failed: {reason}") from error


def _has_kaleido_server() -> bool:
    """Whether the user started one Chrome for all figures, by ``kaleido.start_sync_server()``."""
    server = getattr(sys.modules.get("kaleido"), "_global_server", None)
    return server is not None and bool(server.is_running())


# ---- Altair


_CSS_DPI = 72
"""The resolution at which vl-convert makes one pixel of each pixel of the chart's size."""


def altair_capturer(target: Any, settings: CaptureSettings) -> AltairCapturer:
    """Return what captures a chart.

    Raises:
        CaptureError: vl-convert is not installed.
    """
    if importlib.util.find_spec("vl_convert") is None:
        raise CaptureError(
            "an Altair chart is rendered by vl-convert, which is not installed; run pip install vl-convert-python"
        )
    return AltairCapturer(target, settings)


class AltairCapturer:
    """Captures by the chart's own ``save``.

    Args:
        chart: an Altair chart.
        settings: how to capture it.
    """

    target = "Altair chart"
    live = False
    follows: frozenset[str] = frozenset({"dpi"})

    def __init__(self, chart: Any, settings: CaptureSettings) -> None:
        self._chart = chart
        self._settings = settings

    def capture(self) -> Shot:
        """Return a PNG: at 72 dpi one pixel for each pixel of the chart's size, otherwise in proportion.

        Raises:
            CaptureError: the chart cannot be rendered.
        """
        file = io.BytesIO()
        try:
            self._chart.save(file, format="png", ppi=self._settings.dpi or _CSS_DPI)
        except Exception as error:  # Altair checks the chart here, and vl-convert runs Vega
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise CaptureError(f"Altair chart: its save() failed: {reason}") from error
        return Shot(file.getvalue())


# ---- Bokeh


def bokeh_capturer(target: Any, settings: CaptureSettings) -> BokehCapturer:
    """Return what captures a plot, layout or document.

    Raises:
        CaptureError: Selenium is not installed.
    """
    if importlib.util.find_spec("selenium") is None:
        raise CaptureError(
            "a Bokeh plot is rendered in a browser by Selenium, which is not installed; run pip install selenium"
        )
    return BokehCapturer(target, settings)


class BokehCapturer:
    """Captures by `bokeh.io.export`, which keeps one headless browser for all plots of the process.

    Args:
        model: a Bokeh model that can be shown, or a document.
        settings: how to capture it; ``timeout`` is how long the plot may take to render.
    """

    target = "Bokeh plot"
    live = False
    follows: frozenset[str] = frozenset({"timeout"})

    def __init__(self, model: Any, settings: CaptureSettings) -> None:
        self._model = model
        self._settings = settings

    def capture(self) -> Shot:
        """Return the exported image, one pixel for each pixel of the plot's size.

        Raises:
            CaptureError: there is no browser that Selenium can drive, or the plot cannot be rendered.
        """
        from bokeh.io import export

        try:
            picture = export.get_screenshot_as_png(self._model, timeout=max(1, round(self._settings.timeout)))
        except Exception as error:  # Bokeh, Selenium and the driver raise errors of many kinds
            if "geckodriver" in str(error):
                raise CaptureError(
                    "a Bokeh plot is rendered in a browser, but Bokeh could not start one: install Chromium and "
                    "chromedriver, or Firefox and geckodriver; where tests run as root, also set BOKEH_IN_DOCKER=1"
                ) from error
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise CaptureError(f"Bokeh plot: its export failed: {reason}") from error
        return Shot(picture)


# ---- PyVista


def pyvista_capturer(target: Any, settings: CaptureSettings) -> PyVistaCapturer:
    """Return what captures a plotter."""
    return PyVistaCapturer(target, settings)


class PyVistaCapturer:
    """Captures by the plotter's own ``screenshot``. A closed plotter returns its last image.

    Args:
        plotter: a PyVista plotter.
        settings: how to capture it.
    """

    target = "PyVista plotter"
    live = False
    follows: frozenset[str] = frozenset({"transparent"})

    def __init__(self, plotter: Any, settings: CaptureSettings) -> None:
        self._plotter = plotter
        self._settings = settings

    def capture(self) -> Shot:
        """Return the pixels: (height, width, 3), or 4 with a transparent background, uint8.

        Raises:
            CaptureError: the plotter was neither shown nor created for drawing off screen, or cannot draw.
        """
        try:
            pixels = self._plotter.screenshot(
                return_img=True, transparent_background=True if self._settings.transparent else None
            )
        except Exception as error:  # VTK and the user's own callbacks
            hint = "; make it with pyvista.Plotter(off_screen=True)" if "off_screen" in str(error) else ""
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise CaptureError(f"PyVista plotter: its screenshot() failed: {reason}{hint}") from error
        return Shot(pixels)


# ---- Qt


_STEP = 0.005
"""Seconds between two checks of Qt's events."""


def qt_capturer(target: Any, settings: CaptureSettings) -> QtCapturer:
    """Return what captures a widget."""
    return QtCapturer(target, settings)


class QtCapturer:
    """Captures by the widget's own ``grab``, which needs no visible window.

    Args:
        widget: a ``QWidget`` of PySide or PyQt.
        settings: how to capture it.
    """

    target = "Qt widget"
    live = True
    follows: frozenset[str] = frozenset({"timeout", "scale"})

    def __init__(self, widget: Any, settings: CaptureSettings) -> None:
        self._widget = widget
        self._settings = settings
        self._is_captured = False
        package = next(
            owner.__module__.partition(".")[0] for owner in type(widget).__mro__ if owner.__name__ == "QWidget"
        )
        self._core: Any = importlib.import_module(f"{package}.QtCore")
        self._gui: Any = importlib.import_module(f"{package}.QtGui")

    def capture(self) -> Shot:
        """Return a ``QImage``: one pixel for each pixel of the widget's layout or, by ``scale``, of the screen.

        Raises:
            CaptureError: the widget was deleted, or has no size.
        """
        if self._is_captured:  # captures of a stable widget need no events
            self._core.QCoreApplication.processEvents()
        self._is_captured = True
        try:
            pixmap = self._widget.grab()
            if pixmap.isNull():
                raise CaptureError("the Qt widget has no size: show it, or call its resize() or adjustSize()")
            scale = pixmap.devicePixelRatio() if self._settings.scale == "device" else 1.0
            image = pixmap.toImage() if scale == pixmap.devicePixelRatio() else self._drawn()
        except RuntimeError as error:  # PySide and PyQt raise it for objects that Qt has deleted
            raise CaptureError(f"Qt widget: it can no longer be captured: {error}") from error
        return Shot(image, scale=scale)

    def pause(self, seconds: float) -> None:
        """Let Qt handle its events: animations continue, and loading proceeds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._core.QCoreApplication.processEvents()
            time.sleep(_STEP)

    def _drawn(self) -> Any:
        """Return the widget drawn at one pixel for each of its own: scaling a capture down would blur it."""
        image = self._gui.QImage(self._widget.size(), self._gui.QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(0)
        self._widget.render(image, self._core.QPoint(0, 0))
        return image


# ---- PDF


def pdf_capturer(target: Any, settings: CaptureSettings) -> PdfDocumentCapturer | PdfPageCapturer:
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
        """Return the document as PDF bytes, without a password.

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
