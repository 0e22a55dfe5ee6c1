"""The WSGI application: checks before each route, and error responses."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

import flask
from werkzeug.exceptions import BadRequest, HTTPException, InternalServerError, MethodNotAllowed

from pytest_imgdiff.base.errors import ImgdiffError
from pytest_imgdiff.base.text import visible
from pytest_imgdiff.server.api import Endpoints
from pytest_imgdiff.server.http import SECURITY_HEADERS
from pytest_imgdiff.server.pages import SECURITY_POLICY, Pages, refusal_page

if TYPE_CHECKING:
    from pytest_imgdiff.server.service import Service

_PARTS_BESIDE_PICTURES = 4


def application(service: Service) -> flask.Flask:
    """Return the application for this service."""
    app = flask.Flask("pytest_imgdiff.server", static_folder=None, template_folder=None)
    limits = service.limits
    app.config.update(
        MAX_CONTENT_LENGTH=limits.upload_bytes + limits.settings_bytes,
        MAX_FORM_MEMORY_SIZE=limits.settings_bytes,
        MAX_FORM_PARTS=limits.pictures + _PARTS_BESIDE_PICTURES,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    app.url_map.merge_slashes = False
    app.before_request(lambda: _admit(service))
    app.after_request(_secured)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(ImgdiffError, _told)
    app.register_error_handler(Exception, _internal)
    Pages(service).add_to(app)
    Endpoints(service).add_to(app)
    return app


def _admit(service: Service) -> None:
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


def _told(error: ImgdiffError) -> flask.Response:
    """Return the response for an error of the package: an invalid request, or a failure while reading."""
    kind = BadRequest if flask.request.method == "POST" else InternalServerError
    return _refused(kind(str(error)))


def _internal(error: Exception) -> flask.Response:
    print("pytest-imgdiff: internal error; please report it with these lines:", file=sys.stderr)  # noqa: T201 - a command's own output
    traceback.print_exception(error)
    return _refused(InternalServerError("internal error; see the server's terminal"))
