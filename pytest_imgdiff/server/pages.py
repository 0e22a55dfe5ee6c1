"""The pages: the served report, the one on which pictures are dropped, and the reports of what was dropped."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import flask
from werkzeug.exceptions import Forbidden, NotFound

from pytest_imgdiff import __version__
from pytest_imgdiff.config.rules import written_limits
from pytest_imgdiff.model import AUTO
from pytest_imgdiff.opening import read_regular
from pytest_imgdiff.report import read_results
from pytest_imgdiff.report.page import DATA, PAGE_TEMPLATE
from pytest_imgdiff.report.results import RESULTS_FILE
from pytest_imgdiff.report.templates import ASSETS
from pytest_imgdiff.report.text import visible
from pytest_imgdiff.report.view import page_view
from pytest_imgdiff.server.choices import offers
from pytest_imgdiff.server.drawing import live_page
from pytest_imgdiff.server.folders import asset_kind, is_data, served_file

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.config import Settings
    from pytest_imgdiff.server.service import Service

_PAGE = "index.html"
_OWN_FILES = ("base.css", "imgdiff.js", "live.js", "upload.css", "upload.js", "upload_files.js")
"""What the server's own pages load."""


class Pages:
    """The pages of one server."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def add_to(self, app: flask.Flask) -> None:
        """Give each its address."""
        app.add_url_rule("/", "first", self.first, methods=["GET"])
        app.add_url_rule("/upload", "upload", self.upload, methods=["GET"])
        app.add_url_rule("/server/<name>", "own_file", self.own_file, methods=["GET"])
        app.add_url_rule("/jobs/<job>/", "job", self.job_file, methods=["GET"], defaults={"path": _PAGE})
        app.add_url_rule("/jobs/<job>/<path:path>", "job_file", self.job_file, methods=["GET"])
        app.add_url_rule("/<path>", "report_file", self.report_file, methods=["GET"])
        for folder in (ASSETS, DATA, "pictures"):
            app.add_url_rule(f"/{folder}/<path:path>", folder, partial(self.report_folder, folder), methods=["GET"])

    def first(self) -> Any:
        """Show the report, or, where none is served, where to drop pictures."""
        if self._service.report is None:
            return flask.redirect("/upload", 303)
        return self.report_file(_PAGE)

    def report_file(self, path: str) -> Any:
        """Show the served report, or a file of it."""
        if self._service.report is None:
            raise NotFound("no report is served here; pictures are compared at /upload")
        return self._file(self._service.report, path, "report")

    def report_folder(self, folder: str, path: str) -> Any:
        """Show a file of a folder of the served report."""
        return self.report_file(f"{folder}/{path}")

    def job_file(self, job: str, path: str) -> Any:
        """Show the report of an upload, or a file of it."""
        found = self._service.jobs.get(job)
        if found.state != "done":
            raise NotFound("there is no report of this job: it is not judged yet, or could not be")
        return self._file(found.report, path, "job")

    def upload(self) -> Any:
        """Show where pictures are dropped, and what they can be judged by."""
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
        """Send what the server's own pages load."""
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
            raise NotFound("there is nothing of that name here")
        if folder == DATA and not is_data(read_regular(served[0])):
            raise Forbidden("this script of the report is no data, and is not run with the right to accept")
        return _sent(*served)

    def _asset(self, name: str) -> flask.Response:
        file, kind = self._service.templates.assets().get(name), asset_kind(name)
        if file is None or kind is None:
            raise NotFound("there is no style or script of that name")
        return _sent(file, kind)


def _sent(file: Path, kind: str) -> flask.Response:
    response = flask.send_file(file, mimetype=kind, conditional=True, max_age=0)
    response.headers["Cache-Control"] = "no-cache"  # kept and asked for anew: a report may be drawn again meanwhile
    return response


def _rules_in_words(settings: Settings) -> list[str]:
    """Return the rules of the default policy as imgdiff.yaml has them."""
    return [f"{rule.metric}: {_in_words(written_limits(rule))}" for rule in settings.defaults.rules]


def _in_words(limits: dict[str, Any]) -> str:
    parts = [
        f"{name}: {_in_words(value) if isinstance(value, dict) else format(value, 'g')}"
        for name, value in limits.items()
    ]
    return f"{{{', '.join(parts)}}}"
