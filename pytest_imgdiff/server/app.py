"""The WSGI application: the checks of every request, the pages, and the error responses."""

from __future__ import annotations

import re
import stat
import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

import flask
import msgspec
from markupsafe import escape
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, InternalServerError, MethodNotAllowed, NotFound

from pytest_imgdiff import __version__
from pytest_imgdiff.base.errors import ImgdiffError
from pytest_imgdiff.base.files import OutsideError, path_below
from pytest_imgdiff.base.model import AUTO
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.text import visible
from pytest_imgdiff.config.policy import written_limits
from pytest_imgdiff.images.sniff import KINDS
from pytest_imgdiff.report import read_results
from pytest_imgdiff.report.html import DATA, PAGE_TEMPLATE, page_view
from pytest_imgdiff.report.results_json import RESULTS_FILE
from pytest_imgdiff.report.templates import ASSETS
from pytest_imgdiff.server.api import Endpoints, offers
from pytest_imgdiff.server.http import SECURITY_HEADERS

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.config import Settings
    from pytest_imgdiff.server.jobs import Service

SECURITY_POLICY = (
    "default-src 'none'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What served pages may load and request: only this server."""
_MAIN_SCRIPT = re.compile(r"""<script\b[^>]*\bsrc=["']?[^"'>]*\bmain\.js""", re.IGNORECASE)
_END_OF_HEAD = re.compile(r"</head\s*>", re.IGNORECASE)


def live_page(page: str, token: str, kind: str) -> str:
    """Return a report's page with the script for live actions and the token.

    Args:
        page: the report's ``index.html``.
        token: required in requests that write.
        kind: ``report``, which can accept immediately, or ``job``.
    """
    added = (
        f'<meta name="imgdiff-token" content="{escape(token)}"><meta name="imgdiff-served" content="{escape(kind)}">'
        '<script src="/server/live.js" defer></script>'
    )
    place = _MAIN_SCRIPT.search(page) or _END_OF_HEAD.search(page)
    at = place.start() if place else 0
    return page[:at] + added + page[at:]


def refusal_page(code: int, phrase: str, line: str) -> str:
    """Return an error page with a one-line reason."""
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{code} {escape(phrase)}</title>"
        '<link rel="stylesheet" href="/server/base.css"><link rel="stylesheet" href="/server/upload.css">'
        f'<main class="refusal"><h1>{code} {escape(phrase)}</h1><p>{escape(line)}</p>'
        '<p><a href="/">Start page</a></p></main></html>\n'
    )


_OTHER_FILES = {"plain.html": "text/html", "results.json": "application/json", "summary.md": "text/plain"}
_PICTURES = {kind.extension[1:]: kind.media_type for kind in KINDS.values() if kind.media_type}
_ASSETS = {**_PICTURES, "css": "text/css", "js": "text/javascript"}
_FOLDERS = {"data": {"js": "text/javascript"}, "pictures": _PICTURES}
"""The folders of a report that are served, with their file types. The records of a run are not served."""
_DATA = re.compile(rb'imgdiff\.receive\("(?:run|details|piece)",(.*)\);\s*', re.DOTALL)
"""As `pytest_imgdiff.report.html_data` writes it. Served pages do not need images as scripts."""
_FOLDER_NAME = re.compile(r"[A-Za-z0-9._\[\]-]{1,120}")
"""Names of a report's folders, as `pytest_imgdiff.base.text.safe_name` creates them."""
_FILE_NAME = re.compile(r"[A-Za-z0-9_\[\]-][A-Za-z0-9._~\[\]-]{0,239}")
"""Names of the files in them: up to two such names and an extension."""
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def served_file(folder: Path, path: str) -> tuple[Path, str] | None:
    """Return a report's file and its content type, or None if the path is not served.

    Args:
        folder: the report's folder.
        path: from the URL, decoded once.

    Returns:
        The file, with symbolic links resolved if they stay in the folder, and its type, which depends on its folder and
        extension, never on its content.
    """
    kind = _kind(path)
    if kind is None:
        return None
    try:
        file = path_below(folder, path)
        if not stat.S_ISREG(file.stat().st_mode):
            return None
    except (OutsideError, OSError, ValueError):
        return None
    return file, kind


def asset_kind(name: str) -> str | None:
    """Return the content type of a style, script or image of the templates; None for other files."""
    return _ASSETS.get(name.rpartition(".")[2].lower())


def is_data(script: bytes) -> bool:
    """Return whether the script only passes JSON data to the page."""
    found = _DATA.fullmatch(script)
    if found is None:
        return False
    try:
        msgspec.json.decode(found[1])
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _kind(path: str) -> str | None:
    first, *between, last = path.split("/") if "/" in path else ("", path)
    if not first:
        return None if between else _OTHER_FILES.get(last)
    if not all(_FOLDER_NAME.fullmatch(part) and part.strip(".") for part in between) or not _FILE_NAME.fullmatch(last):
        return None
    if any(_DEVICE.fullmatch(part) for part in (*between, last)):
        return None
    _, dot, extension = last.rpartition(".")
    return _FOLDERS.get(first, {}).get(extension.lower()) if dot else None


_PAGE = "index.html"
_OWN_FILES = ("base.css", "imgdiff.js", "live.js", "upload.css", "upload.js", "upload_files.js")
"""Files that the server's own pages load."""


class Pages:
    """The pages of one server."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def add_to(self, app: flask.Flask) -> None:
        """Register the routes."""
        app.add_url_rule("/", "first", self.first, methods=["GET"])
        app.add_url_rule("/upload", "upload", self.upload, methods=["GET"])
        app.add_url_rule("/server/<name>", "own_file", self.own_file, methods=["GET"])
        app.add_url_rule("/jobs/<job>/", "job", self.job_file, methods=["GET"], defaults={"path": _PAGE})
        app.add_url_rule("/jobs/<job>/<path:path>", "job_file", self.job_file, methods=["GET"])
        app.add_url_rule("/<path>", "report_file", self.report_file, methods=["GET"])
        for folder in (ASSETS, DATA, "pictures"):
            app.add_url_rule(f"/{folder}/<path:path>", folder, partial(self.report_folder, folder), methods=["GET"])

    def first(self) -> Any:
        """Show the report or, if there is none, the upload page."""
        if self._service.report is None:
            return flask.redirect("/upload", 303)
        return self.report_file(_PAGE)

    def report_file(self, path: str) -> Any:
        """Send the served report's page or one of its files."""
        if self._service.report is None:
            raise NotFound("this server has no report; compare images at /upload")
        return self._file(self._service.report, path, "report")

    def report_folder(self, folder: str, path: str) -> Any:
        """Send a file from a folder of the served report."""
        return self.report_file(f"{folder}/{path}")

    def job_file(self, job: str, path: str) -> Any:
        """Send the page or a file of an upload's report."""
        found = self._service.jobs.get(job)
        if found.state != "done":
            raise NotFound("this job has no report: it is not finished or has failed")
        return self._file(found.report, path, "job")

    def upload(self) -> Any:
        """Send the upload page."""
        service = self._service
        listed = offers(service.registry, service.settings)
        page = service.templates.rendered(
            "upload.html.j2",
            token=service.gate.token,
            groups={group: [one for one in listed if one.group == group] for group in {one.group: 0 for one in listed}},
            painting=[AUTO, *(one.name for one in listed if one.paints)],
            config=None if service.settings.path is None else visible(service.settings.path.name),
            rules=_rules_in_words(service.settings),
            size=service.settings.defaults.size.value,
            mask=service.settings.defaults.mask,
            limits=service.limits,
            version=__version__,
            has_report=service.report is not None,
        )
        return flask.Response(page, mimetype="text/html")

    def own_file(self, name: str) -> Any:
        """Send a file of the server's own pages."""
        if name not in _OWN_FILES:
            raise NotFound
        return self._asset(name)

    def _file(self, report: Path, path: str, kind: str) -> flask.Response:
        if path == _PAGE:
            page = self._service.templates.rendered(PAGE_TEMPLATE, page=page_view(read_results(report / RESULTS_FILE)))
            return flask.Response(live_page(page, self._service.gate.token, kind), mimetype="text/html")
        folder, _, name = path.partition("/")
        if folder == ASSETS:
            return self._asset(name)
        served = served_file(report, path)
        if served is None:
            raise NotFound("no such page or file")
        if folder == DATA and not is_data(read_regular(served[0])):
            raise Forbidden("this script of the report is not data; it may not run on a page that can accept")
        return _sent(*served)

    def _asset(self, name: str) -> flask.Response:
        file, kind = self._service.templates.assets().get(name), asset_kind(name)
        if file is None or kind is None:
            raise NotFound("no such style or script")
        return _sent(file, kind)


def _sent(file: Path, kind: str) -> flask.Response:
    response = flask.send_file(file, mimetype=kind, conditional=True, max_age=0)
    response.headers["Cache-Control"] = "no-cache"  # revalidated on each use, because the report may be written again
    return response


def _rules_in_words(settings: Settings) -> list[str]:
    """Return the rules of the default policy in the form of imgdiff.yaml."""
    return [f"{rule.metric}: {_in_words(written_limits(rule))}" for rule in settings.defaults.metrics]


def _in_words(limits: dict[str, Any]) -> str:
    parts = [
        f"{name}: {_in_words(value) if isinstance(value, dict) else format(value, 'g')}"
        for name, value in limits.items()
    ]
    return f"{{{', '.join(parts)}}}"


# ---- The application


_OTHER_PARTS = 4


def application(service: Service) -> flask.Flask:
    """Return the application for this service."""
    app = flask.Flask("pytest_imgdiff.server", static_folder=None, template_folder=None)
    limits = service.limits
    app.config.update(
        MAX_CONTENT_LENGTH=limits.upload_bytes + limits.settings_bytes,
        MAX_FORM_MEMORY_SIZE=limits.settings_bytes,
        MAX_FORM_PARTS=limits.pictures + _OTHER_PARTS,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    app.url_map.merge_slashes = False
    app.before_request(lambda: _check_request(service))
    app.after_request(_secured)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(ImgdiffError, _error_response)
    app.register_error_handler(Exception, _internal)
    Pages(service).add_to(app)
    Endpoints(service).add_to(app)
    return app


def _check_request(service: Service) -> None:
    request = flask.request
    if request.mimetype != "multipart/form-data":
        request.max_content_length = service.limits.json_bytes
    service.gate.check(request)


def _secured(response: flask.Response) -> flask.Response:
    response.headers.update(SECURITY_HEADERS)
    response.headers["Content-Security-Policy"] = SECURITY_POLICY
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _refused(error: HTTPException) -> flask.Response:
    code = error.code or InternalServerError.code
    line = visible(error.description or error.name)
    if flask.request.path.startswith("/api/"):
        response = flask.jsonify(error=line)
    else:
        response = flask.Response(refusal_page(code, error.name, line), mimetype="text/html")
    response.status_code = code
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(error.valid_methods)
    return response


def _error_response(error: ImgdiffError) -> flask.Response:
    """Return the response for an error of the package: an invalid request, or a failure while reading."""
    kind = BadRequest if flask.request.method == "POST" else InternalServerError
    return _refused(kind(str(error)))


def _internal(error: Exception) -> flask.Response:
    print("pytest-imgdiff: internal error; please report it with these lines:", file=sys.stderr)  # noqa: T201 - a command's own output
    traceback.print_exception(error)
    return _refused(InternalServerError("internal error; see the server's terminal"))
