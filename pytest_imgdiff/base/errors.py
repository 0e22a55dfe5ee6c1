"""The exceptions of the package; each message says what to fix."""

from __future__ import annotations


class ImgdiffError(Exception):
    """The base class of all errors that are reported in one line, without a traceback."""


class ImageAssertionError(AssertionError):
    """Raised by a failed ``assert_images_similar`` or a failed pair of a scan.

    The images differ, or the call is invalid. pytest shows the message without a traceback.

    Attributes:
        summary: the failure in one line, for pytest's short summary: ``perceptual 223 px, 0.08 % > 0 %``.
    """

    def __init__(self, message: str, summary: str | None = None) -> None:
        super().__init__(message)
        self.summary: str = message.partition("\n")[0] if summary is None else summary

    def __reduce__(self) -> tuple[type[ImageAssertionError], tuple[str, str]]:
        """Support pickling, so that the error can pass between processes."""
        return type(self), (str(self), self.summary)


class BrokenImageError(ImgdiffError):
    """Raised for a source that is not one complete, readable image.

    Attributes:
        label: the name of the source in messages: a path, or a word such as ``array``.
        kind: the type of the source (``PNG``, ``HTML``, ``directory``, ...).
        cause: what is wrong with it and, if that helps, what to do.
    """

    def __init__(self, label: str, kind: str, cause: str) -> None:
        super().__init__(f"{label}: {cause}" if label == kind else f"{label}: {kind}: {cause}")
        self.label = label
        self.kind = kind
        self.cause = cause

    def __reduce__(self) -> tuple[type[BrokenImageError], tuple[str, str, str]]:
        """Support pickling, so that the error can pass between processes."""
        return type(self), (self.label, self.kind, self.cause)


class CaptureError(ImgdiffError):
    """Raised if a page, an element or a figure cannot be captured, or never becomes stable."""


class MetricError(ImgdiffError):
    """Raised by a metric that has no value for this pair, such as SSIM for 3x3 pixels."""


class ConfigError(ImgdiffError):
    """Raised for an invalid settings file, option or argument."""


class BaselineError(ImgdiffError):
    """Raised if a baseline cannot be named, written, or identified without ambiguity."""


class ReportError(ImgdiffError):
    """Raised if results cannot be written or read."""


class ModelUnavailableError(ImgdiffError):
    """Raised if a model or its backend is not on this machine; the message names handle, cause and command."""


class ModelError(ImgdiffError):
    """Raised if a model exists but cannot be used, or if its download is rejected."""


class UnreadableError(Exception):
    """Raised if the data is not one complete, readable image.

    `pytest_imgdiff.images.decode` turns it into a `BrokenImageError` with the source's label.

    Attributes:
        cause: what is wrong and, where that helps, what to do.
        kind: the type of the data, if it is not the format being decoded.
    """

    def __init__(self, cause: str, kind: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.kind = kind
