"""The API below ``/api/``: it receives JSON or images and returns JSON. docs/serve.md describes it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar

import flask
import msgspec
from msgspec import Meta
from werkzeug.exceptions import BadRequest, NotFound, UnsupportedMediaType

from pytest_imgdiff import __version__
from pytest_imgdiff.base.errors import ConfigError, ImgdiffError
from pytest_imgdiff.base.text import printable, visible
from pytest_imgdiff.comparison.registry import METRICS
from pytest_imgdiff.config.policy import limit_of
from pytest_imgdiff.report import read_results
from pytest_imgdiff.report.results_json import RESULTS_FILE
from pytest_imgdiff.run.accepting import (
    Decision,
    carry_out,
)
from pytest_imgdiff.server.jobs import Job, stored_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_imgdiff.base.model import Rule
    from pytest_imgdiff.comparison.registry import Registry
    from pytest_imgdiff.config import Settings
    from pytest_imgdiff.run.accepting import Carried
    from pytest_imgdiff.server.jobs import Service

Options = tuple[tuple[str, Any], ...]
_HEADINGS: dict[str, str] = {
    "pixels": "Pixels",
    "structure": "Structure",
    "hashes": "Hashes",
    "content": "What is in the image",
}
_OTHERS = "From plugins"
_CHOSEN = ("visible", "perceptual", "ssim", "pixel_match", "diffimg", "phash")
"""Metrics that have a value for nearly any two images; ORB, for example, has none without corners."""


class Offer(msgspec.Struct, frozen=True):
    """A metric on the page."""

    name: str
    group: str
    words: str
    limit: Literal["max", "min"]
    """``max`` for distances: the largest passing value; ``min`` for similarities: the smallest."""
    value: float
    """The initial limit: from imgdiff.yaml, or a common one."""
    lowest: float
    highest: float | None
    """The bounds of a limit; None for an unbounded distance."""
    unit: str
    chosen: bool
    paints: bool
    """Whether it can show where images differ."""
    unavailable: str | None
    """Why it cannot be selected, and what to install; None if it can."""


def offers(registry: Registry, settings: Settings) -> list[Offer]:
    """Return all metrics, by group. Models are located but not loaded."""
    configured, options = _configured(settings), _options(settings)
    names = [*METRICS, *(name for name in registry.names() if name not in METRICS)]
    listed = [_offer(name, configured.get(name), options.get(name, ()), registry) for name in names]
    headings = [*_HEADINGS.values(), _OTHERS]
    return sorted(listed, key=lambda offer: headings.index(offer.group))


def _offer(name: str, rule: Rule | None, options: Options, registry: Registry) -> Offer:
    try:
        metric: Any = registry.described(name)
    except ImgdiffError as error:  # a plugin's metric that cannot be imported
        cause = printable(str(error))
        return Offer(name, _OTHERS, "", "max", 0, 0, None, "", chosen=False, paints=False, unavailable=cause)
    limit = limit_of(metric)
    start = None if rule is None else getattr(rule, limit)
    usual = _class_attribute(metric, "usual_limit", (int, float), metric.perfect)
    unavailable = _unavailable(name, options, registry)
    lowest, highest = (float(bound) for bound in metric.bounds)
    return Offer(
        name=name,
        group=_HEADINGS.get(_class_attribute(metric, "group", str), _OTHERS),
        words=_class_attribute(metric, "summary", str) or (metric.__doc__ or "").strip().partition("\n")[0],
        limit=limit,
        value=float(usual if start is None else start),
        lowest=lowest,
        highest=highest if math.isfinite(highest) else None,
        unit=str(metric.unit),
        chosen=unavailable is None and (rule is not None or name in _CHOSEN),
        paints=metric.heat_threshold != "none",
        unavailable=unavailable,
    )


def _class_attribute(metric: Any, attribute: str, kind: type | tuple[type, ...], otherwise: Any = None) -> Any:
    """Return a class attribute of a metric; an option with the same name does not count."""
    value = getattr(metric, attribute, None)
    return value if isinstance(value, kind) else otherwise


def _unavailable(name: str, options: Options, registry: Registry) -> str | None:
    try:
        metric = registry.metric(name, options)
        if hasattr(metric, "prepare"):
            metric.prepare()
    except ImgdiffError as error:
        return printable(str(error))
    return None


def _configured(settings: Settings) -> dict[str, Rule]:
    """Return the first rule of each metric in imgdiff.yaml; it has the limit and the options."""
    layers: Iterable[tuple[Rule, ...]] = (
        settings.defaults.metrics,
        *(override.layer.policy.get("metrics", ()) for override in settings.overrides),
    )
    rules: dict[str, Rule] = {}
    for rule in (rule for layer in layers for rule in layer):
        rules.setdefault(rule.metric, rule)
    return rules


def _options(settings: Settings) -> dict[str, Options]:
    """Return the options of each metric in imgdiff.yaml, from its first rule or from ``measure``."""
    measured = {rule.metric: rule.options for rule in settings.defaults.measure}
    return {**measured, **{name: rule.options for name, rule in _configured(settings).items()}}


def policy_changes(chosen: CompareSettings, settings: Settings, registry: Registry) -> dict[str, Any]:
    """Return the changes to the policy of imgdiff.yaml, as settings of that file.

    The limit of a metric comes from the request; its options are unchanged.

    Raises:
        ImgdiffError: a metric is unknown, or a limit is invalid.
    """
    changes: dict[str, Any] = {}
    if chosen.metrics is not None:
        if not chosen.metrics:
            raise ConfigError("no metric is selected, so nothing could fail; select at least one")
        options = _options(settings)
        changes["metrics"] = {
            name: {
                **dict(options.get(name, ())),
                limit_of(registry.metric_class(name)): value,
            }
            for name, value in chosen.metrics.items()
        }
    if chosen.size is not None:
        changes["size"] = chosen.size
    if chosen.mask is not None:
        changes["mask"] = chosen.mask
    return changes


T = TypeVar("T")

MOST_DECISIONS = 100_000


class AcceptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/accept``."""

    decisions: Annotated[list[Decision], Meta(max_length=MOST_DECISIONS)]
    """Decisions as in an exported manifest."""
    dry_run: bool = False
    """Verify without writing."""


class CompareSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The field ``settings`` of ``POST /api/compare``. Paths, URLs and models can only be set in imgdiff.yaml."""

    metrics: Annotated[dict[str, float], Meta(max_length=100)] | None = None
    """Name and limit of each metric (largest distance, smallest similarity); None for the policy of imgdiff.yaml."""
    size: Literal["fail", "pad", "crop", "scale"] | None = None
    """What to do with unequal sizes; None for the setting of imgdiff.yaml."""
    mask: Annotated[str, Meta(max_length=100)] | None = None
    """The metric that shows where the images differ; None for the setting of imgdiff.yaml."""
    glance: bool = False
    """Whether to also measure the metrics of the glance, which do not affect the verdict."""


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An empty body: ``{}``."""


def decoded(text: bytes, target: type[T]) -> T:
    """Return the decoded JSON body.

    Raises:
        BadRequest: it is not JSON or does not have this form; the message is one line for the sender.
    """
    try:
        value = json.loads(text.decode(), object_pairs_hook=_unrepeated, parse_constant=_refuse_constant)
        return msgspec.convert(value, target)
    except msgspec.ValidationError as error:
        raise BadRequest(f"invalid request: {printable(str(error))}") from None
    except RecursionError:
        raise BadRequest("the JSON is nested too deeply") from None
    except ValueError as error:  # not UTF-8, not JSON, or a number with thousands of digits
        raise BadRequest(f"the body is not JSON: {printable(str(error))}") from None


def _unrepeated(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("duplicate key")
    return mapping


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


# ---- The endpoints


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
        body = decoded(_json_body(), AcceptRequest)
        carried = self._carried(body.decisions, dry_run=body.dry_run)
        return flask.jsonify(results=[_line_of(one) for one in carried], done=all(one.is_done for one in carried))

    def compare(self) -> Any:
        """Accept an upload, and return its job."""
        if flask.request.mimetype != "multipart/form-data":
            raise UnsupportedMediaType("send the images as multipart/form-data")
        with self._service.jobs.arriving() as (name, folder):
            job = self._uploaded(name, folder)
            self._service.jobs.submit(job)
        return flask.jsonify(self._progress(job)), _ACCEPTED

    def progress(self, name: str) -> Any:
        """Return the progress of a job."""
        return flask.jsonify(self._progress(self._service.jobs.get(name)))

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

    def _progress(self, job: Job) -> dict[str, Any]:
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
