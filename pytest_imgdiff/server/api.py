"""The endpoints below ``/api/``: JSON out, JSON or images in. docs/serve.md describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flask
import msgspec
from werkzeug.exceptions import BadRequest, NotFound, UnsupportedMediaType

from pytest_imgdiff import __version__
from pytest_imgdiff.base.text import visible
from pytest_imgdiff.report import read_results
from pytest_imgdiff.report.results_json import RESULTS_FILE
from pytest_imgdiff.run.accepting import Decision, carry_out
from pytest_imgdiff.server.jobs import Job, stored_pairs
from pytest_imgdiff.server.metric_choices import (
    AcceptRequest,
    CompareSettings,
    Nothing,
    decoded,
    offers,
    policy_changes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_imgdiff.run.accepting import Carried
    from pytest_imgdiff.server.service import Service

_ACCEPTED = 202
_LONGEST_SHOWN = 100


class Endpoints:
    """The endpoints of one server."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def add_to(self, app: flask.Flask) -> None:
        """Register each route with its method."""
        app.add_url_rule("/api/version", "version", self.version, methods=["GET"])
        app.add_url_rule("/api/metrics", "metrics", self.metrics, methods=["GET"])
        app.add_url_rule("/api/stale", "stale", self.stale, methods=["GET"])
        app.add_url_rule("/api/accept", "accept", self.accept, methods=["POST"])
        app.add_url_rule("/api/compare", "compare", self.compare, methods=["POST"])
        app.add_url_rule("/api/jobs/<name>", "progress", self.progress, methods=["GET"])
        app.add_url_rule("/api/jobs/<name>/remove", "remove", self.remove, methods=["POST"])

    def version(self) -> Any:
        """Return the version and limits of this server."""
        limits = self._service.limits
        return flask.jsonify(
            name="pytest-imgdiff",
            version=__version__,
            api=1,
            report=self._service.report is not None,
            limits={"bytes": limits.upload_bytes, "pictures": limits.pictures, "pixels": limits.pixels},
        )

    def metrics(self) -> Any:
        """Return the metrics for uploads."""
        return flask.jsonify(metrics=msgspec.to_builtins(offers(self._service.registry, self._service.settings)))

    def stale(self) -> Any:
        """Return the failures that can no longer be accepted because baselines or images have changed."""
        records = read_results(self._report() / RESULTS_FILE).comparisons
        decisions = [
            Decision(record.name, record.column, "accept", "", record.accepts)
            for record in records
            if record.accepts is not None and not record.passed
        ]
        carried = self._carried(decisions, dry_run=True)
        return flask.jsonify(stale=[_line_of(one) for one in carried if one.words.startswith("stale: ")])

    def accept(self) -> Any:
        """Apply decisions to the served report, and return the result of each."""
        wanted = decoded(_json_body(), AcceptRequest)
        carried = self._carried(wanted.decisions, dry_run=wanted.dry_run)
        return flask.jsonify(results=[_line_of(one) for one in carried], done=all(one.is_done for one in carried))

    def compare(self) -> Any:
        """Accept an upload, and return its job."""
        if flask.request.mimetype != "multipart/form-data":
            raise UnsupportedMediaType("send the images as multipart/form-data")
        with self._service.jobs.arriving() as (name, folder):
            job = self._uploaded(name, folder)
            self._service.jobs.submit(job)
        return flask.jsonify(self._told(job)), _ACCEPTED

    def progress(self, name: str) -> Any:
        """Return the progress of a job."""
        return flask.jsonify(self._told(self._service.jobs.get(name)))

    def remove(self, name: str) -> Any:
        """Cancel a job, and delete its images and report."""
        decoded(_json_body(), Nothing)
        self._service.jobs.remove(self._service.jobs.get(name))
        return flask.jsonify(removed=name)

    def _report(self) -> Path:
        report = self._service.report
        if report is None:
            raise NotFound("this server has no report to accept from")
        return report

    def _carried(self, decisions: Sequence[Decision], *, dry_run: bool) -> list[Carried]:
        with self._service.accepting:
            return carry_out(decisions, self._report(), self._service.root, dry_run=dry_run)

    def _uploaded(self, name: str, folder: Path) -> Job:
        request, service = flask.request, self._service
        unknown = [*(set(request.form) - {"settings"}), *(set(request.files) - {"expected", "actual"})]
        if unknown:
            raise BadRequest(f"unknown field {visible(min(unknown)[:_LONGEST_SHOWN])}: send settings, expected, actual")
        texts = request.form.getlist("settings")
        if len(texts) > 1:
            raise BadRequest("duplicate field settings")
        chosen = decoded((texts or ["{}"])[0].encode("utf-8", "replace"), CompareSettings)
        changes = policy_changes(chosen, service.settings, service.registry)
        service.settings.apply(service.settings.defaults, changes, "settings")  # report errors now, not in the job
        pairs = stored_pairs(request.files.getlist("expected"), request.files.getlist("actual"), folder, service.limits)
        return Job(name, folder, pairs, changes, chosen.glance)

    def _told(self, job: Job) -> dict[str, Any]:
        return {
            "id": job.id,
            "state": job.state,
            "ahead": self._service.jobs.ahead(job),
            "done": job.done,
            "total": len(job.pairs),
            "line": job.line,
            "passed": job.passed if job.state == "done" else None,
            "report": f"/jobs/{job.id}/" if job.state == "done" else None,
        }


def _line_of(carried: Carried) -> dict[str, str | None]:
    decision = carried.decision
    return {"name": decision.name, "column": decision.column, "result": carried.result, "line": carried.line}


def _json_body() -> bytes:
    if flask.request.mimetype != "application/json":
        raise UnsupportedMediaType("send application/json")
    return flask.request.get_data(cache=False)
