"""The HTML report: one page drawn by Jinja, its style and its script beside it."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from pytest_imgdiff.errors import ReportError
from pytest_imgdiff.report.files import replace_file
from pytest_imgdiff.report.text import visible
from pytest_imgdiff.report.view import page_view

if TYPE_CHECKING:
    from pytest_imgdiff.record import RunRecord
    from pytest_imgdiff.report.view import PageView

PAGE = "index.html"
PAGE_TEMPLATE = "report.html.j2"
ASSETS = ("imgdiff.css", "imgdiff.js")
SHIPPED_MARK = "!"
"""Before a template's name: the one that is shipped, though the user has one of this name."""


def write_page(directory: Path, run: RunRecord, *, templates: Path | None = None) -> Path:
    """Draw the run as ``index.html`` into the directory, with ``imgdiff.css`` and ``imgdiff.js`` beside it.

    The page works from ``file://``, names nothing outside its folder and reads without JavaScript. The
    pictures that the records name are expected below the directory; they are linked, not looked at.

    Args:
        directory: the report's folder; made where it is missing.
        run: what to draw.
        templates: a folder of the user's own templates and assets. What it holds is taken before what is
            shipped; ``{% extends "!report.html.j2" %}`` reaches the shipped one of the same name.

    Returns:
        The path of the page.

    Raises:
        ReportError: a file cannot be written, a picture's path leads out of the folder, or a template of the
            user's is at fault (the message names its file and line).
    """
    folders = [shipped_templates()]
    if templates is not None:
        if not templates.is_dir():
            raise ReportError(f"{visible(str(templates))}: no such folder: report templates are looked for there")
        folders.insert(0, templates)
    page = _rendered(page_view(run), folders)
    for name in ASSETS:
        replace_file(directory / name, _asset(name, folders))
    return replace_file(directory / PAGE, page.encode())


def shipped_templates() -> Path:
    """Return the folder of the templates that come with the package."""
    installed = Path(__file__).with_name("templates")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "reports" / "templates"


def _environment(folders: list[Path]) -> jinja2.Environment:
    loaders = [jinja2.FileSystemLoader(folder) for folder in folders]
    shipped = jinja2.PrefixLoader({"": loaders[-1]}, delimiter=SHIPPED_MARK)
    return jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        loader=jinja2.ChoiceLoader([*loaders, shipped]),
    )


def _rendered(page: PageView, folders: list[Path]) -> str:
    try:
        return _environment(folders).get_template(PAGE_TEMPLATE).render(page=page)
    except jinja2.TemplateSyntaxError as error:
        source = error.filename or error.name or PAGE_TEMPLATE
        raise ReportError(f"{visible(source)}:{error.lineno}: {visible(error.message or 'syntax error')}") from error
    except Exception as error:  # a template may raise anything; only what the user's own raises is theirs to mend
        place = _users_place(error, folders)
        if place is None:
            raise
        raise ReportError(f"{place}: {_fault(error)}") from error


def _users_place(error: Exception, folders: list[Path]) -> str | None:
    """Return file and line of the user's template that the error came through, the innermost one."""
    if len(folders) == 1:
        return None
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(folders[0]):
            return f"{visible(frame.filename)}:{frame.lineno}"
    # Raised while a template was read: it has no lines yet.
    unread = isinstance(error, (jinja2.TemplateError, OSError, UnicodeDecodeError))
    return visible(str(folders[0])) if unread else None


def _fault(error: Exception) -> str:
    if isinstance(error, jinja2.TemplateNotFound):
        return f"there is no template {visible(str(error))!r}"
    if isinstance(error, UnicodeDecodeError):
        return f"a template is not UTF-8: {visible(str(error))}"
    if isinstance(error, jinja2.TemplateError):
        return visible(str(error))
    return visible(f"{type(error).__name__}: {error}")


def _asset(name: str, folders: list[Path]) -> bytes:
    for folder in folders:
        path = folder / name
        if path.is_file():
            try:
                return path.read_bytes()
            except OSError as error:
                raise ReportError(f"{visible(str(path))}: cannot be read: {error.strerror or error}") from error
    raise ReportError(f"{name}: missing from the installed package; install pytest-imgdiff again")
