"""Templates and assets: those of the package, and the user's replacements."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

ASSETS = "assets"
SHIPPED_MARK = "!"
"""Prefix of a template name that means the template of the package, even if the user has one with this name."""

_PIECE = 1000
"""Expressions and text parts of a template that are joined in one piece; each has a few bytes."""


def shipped_templates() -> Path:
    """Return the folder of the package's templates."""
    installed = Path(__file__).with_name("templates")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "reports" / "templates"


class Templates:
    """The templates and assets of the package, overridden by the user's.

    Args:
        own: a folder of the user's own. Its templates and the files in its ``assets`` replace those of the package with
            the same name; ``{% extends "!report.html.j2" %}`` extends the replaced template.

    Raises:
        ReportError: the folder does not exist.
    """

    def __init__(self, own: Path | None = None) -> None:
        if own is not None and not own.is_dir():
            raise ReportError(
                f"{visible(label_of(own))}: no such folder: set report.templates to a folder with templates"
            )
        self._own = own
        self._folders = [shipped_templates()] if own is None else [own, shipped_templates()]
        loaders = [jinja2.FileSystemLoader(folder) for folder in self._folders]
        shipped = jinja2.PrefixLoader({"": loaders[-1]}, delimiter=SHIPPED_MARK)
        self._environment = jinja2.Environment(
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            loader=jinja2.ChoiceLoader([*loaders, shipped]),
        )

    def rendered(self, name: str, **values: Any) -> str:
        """Render the template with these values.

        Raises:
            ReportError: a user's template has an error; the message names its file and line.
        """
        with self._reporting_errors(name):
            return self._environment.get_template(name).render(**values)

    def drawn(self, name: str, **values: Any) -> Iterator[bytes]:
        """Render the template with these values, in pieces; raises like `rendered`."""
        with self._reporting_errors(name):
            stream = self._environment.get_template(name).stream(**values)
            stream.enable_buffering(_PIECE)
            for piece in stream:
                yield piece.encode()

    @contextmanager
    def _reporting_errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except jinja2.TemplateSyntaxError as error:
            source = error.filename or error.name or name
            message = f"{visible(label_of(Path(source)))}:{error.lineno}: {visible(error.message or 'syntax error')}"
            raise ReportError(message) from error
        except ReportError:  # the data for the template could not be read
            raise
        except Exception as error:  # a template may raise anything; only errors of the user's own are for them to fix
            place = self._users_place(error)
            if place is None:
                raise
            raise ReportError(f"{place}: {_fault(error)}") from error

    def assets(self) -> dict[str, Path]:
        """Return the styles and scripts by name.

        Raises:
            ReportError: the package's files are missing, or a folder cannot be read.
        """
        found: dict[str, Path] = {}
        for folder in reversed(self._folders):
            try:
                entries = sorted((folder / ASSETS).iterdir()) if (folder / ASSETS).is_dir() else []
            except OSError as error:
                raise ReportError(f"{visible(label_of(folder / ASSETS))}: cannot be read: {error.strerror}") from error
            found |= {path.name: path for path in entries if path.is_file()}
            if not found:
                raise ReportError(f"{ASSETS}: missing from the installed package; install pytest-imgdiff again")
        return found

    def _users_place(self, error: Exception) -> str | None:
        """Return file and line of the user's template where the error occurred, the innermost one."""
        if self._own is None:
            return None
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if Path(frame.filename).is_relative_to(self._own):
                return f"{visible(label_of(Path(frame.filename)))}:{frame.lineno}"
        # Raised while a template was parsed: there is no line number yet.
        unread = isinstance(error, (jinja2.TemplateError, OSError, UnicodeDecodeError))
        return visible(label_of(self._own)) if unread else None


def asset_bytes(path: Path) -> bytes:
    """Return the content of an asset.

    Raises:
        ReportError: it cannot be read.
    """
    try:
        return read_regular(path)
    except OSError as error:
        raise ReportError(f"{visible(label_of(path))}: cannot be read: {error.strerror or error}") from error


def asset_text(path: Path) -> str:
    """Return the content of an asset as a browser decodes it.

    Raises:
        ReportError: it cannot be read, or is not UTF-8.
    """
    try:
        text = asset_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReportError(f"{visible(label_of(path))}: not UTF-8: {visible(str(error))}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _fault(error: Exception) -> str:
    if isinstance(error, jinja2.TemplateNotFound):
        return f"missing template {visible(str(error))!r}"
    if isinstance(error, UnicodeDecodeError):
        return f"a template is not UTF-8: {visible(str(error))}"
    if isinstance(error, jinja2.TemplateError):
        return visible(str(error))
    return visible(f"{type(error).__name__}: {error}")
