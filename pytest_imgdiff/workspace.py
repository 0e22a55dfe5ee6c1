"""What the comparisons of one run share: settings, registry, baselines, results, and what may be written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pytest_imgdiff.artefacts import write_artefacts
from pytest_imgdiff.config.assignments import merged_rules
from pytest_imgdiff.errors import BaselineError, ImgdiffError, ReportError
from pytest_imgdiff.images import encode_png
from pytest_imgdiff.model import Verdict
from pytest_imgdiff.record import record_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_imgdiff.baselines import Baselines
    from pytest_imgdiff.config import Settings
    from pytest_imgdiff.model import Comparison, Image, Policy, Rule
    from pytest_imgdiff.record import ComparisonRecord
    from pytest_imgdiff.registry import Registry
    from pytest_imgdiff.results import ResultsFolder

GATHERED = 8
"""How many pairs wait together for a model's answers, so that it answers them in one batch."""

Update = Literal["none", "missing", "failed", "all"]


@dataclass
class Workspace:
    """One run's surroundings.

    Attributes:
        root: the folder that relative paths are relative to.
        settings: the loaded configuration.
        registry: the known metrics and loaders.
        baselines: the stored expected images.
        results: where records and pictures go; None where nobody asked for any.
        update: which baselines may be written: none, the missing ones, whatever failed (the missing ones too), or all.
        command_line: the policy settings of the command line, as in imgdiff.yaml.
        merges_metrics: whether its ``metrics`` are single keys of rules, so that the other rules stay.
        options: the command line's options that a command which accepts a change must repeat.
    """

    root: Path
    settings: Settings
    registry: Registry
    baselines: Baselines
    results: ResultsFolder | None = None
    update: Update = "none"
    command_line: Mapping[str, Any] = field(default_factory=dict)
    merges_metrics: bool = False
    options: tuple[str, ...] = ()

    def policy(self, name: str, call: Mapping[str, Any] | None = None) -> Policy:
        """Return what holds for the picture of this name.

        Raises:
            ConfigError: the settings of the command line or of the call cannot be followed.
        """
        command_line = dict(self.command_line)
        if self.merges_metrics:
            rules = self.settings.policy_for(name).rules
            command_line["metrics"] = merged_rules(rules, command_line["metrics"])
        return self.settings.policy_for(name, command_line=command_line, call=call or {})

    def prepare(self, names: Iterable[str]) -> None:
        """Look, before any picture is read, for the models that pictures of these names are judged by.

        Raises:
            ImgdiffError: one is not on this machine, or cannot be used, and its rule does not allow it to be skipped.
        """
        self._look(self._model_rules(names))

    def prepare_all(self) -> None:
        """Look for the models of every configured rule, where it is not known which pictures there will be.

        Raises:
            ImgdiffError: as in `prepare`.
        """
        self._look(dict.fromkeys([*self._override_rules(), *self._model_rules(["any"])]))

    def _override_rules(self) -> list[Rule]:
        """Return the rules of overrides that ask models, unless the command line names rules in place of all."""
        if "metrics" in self.command_line and not self.merges_metrics:
            return []
        layers = (override.layer.policy.get("rules", ()) for override in self.settings.overrides)
        return self._asking(rule for rules in layers for rule in rules)

    def threads(self, names: Iterable[str]) -> int | None:
        """Return how many pairs to compare at once: enough to fill a model's batches, or None for one a core."""
        return GATHERED if self._model_rules(names) else None

    def _model_rules(self, names: Iterable[str]) -> list[Rule]:
        """Return the rules for pictures of these names whose metrics have something to prepare."""
        policies = {self.policy(name).rules for name in names}
        return self._asking(rule for rules in policies for rule in rules)

    def _asking(self, rules: Iterable[Rule]) -> list[Rule]:
        distinct = dict.fromkeys(rules)
        return [rule for rule in distinct if hasattr(self.registry.metric(rule.metric, rule.options), "prepare")]

    def _look(self, rules: Iterable[Rule]) -> None:
        for rule in rules:
            if rule.on_unavailable == "fail":
                self.registry.metric(rule.metric, rule.options).prepare()  # type: ignore[attr-defined]  # it has one

    def may_write(self, comparison: Comparison) -> bool:
        """Return whether the user asked for this actual image to become the expected one."""
        if comparison.actual is None or comparison.equal == "bytes":
            return False
        missing = comparison.verdict is Verdict.MISSING
        asked = {"none": False, "missing": missing, "failed": missing or not comparison.passed, "all": True}
        return asked[self.update]

    def record(
        self,
        comparison: Comparison,
        *,
        test: str | None = None,
        accept: str | None = None,
        written: str | None = None,
    ) -> ComparisonRecord:
        """Write the comparison's pictures, where the settings ask for them, and return its record.

        Raises:
            ReportError: a picture could not be written.
        """
        artefacts = {}
        if self.results is not None and self._wants_pictures(comparison):
            self.results.begin()
            try:
                artefacts = write_artefacts(comparison, self.results.directory)
            except OSError as error:
                msg = f"{self.results.directory}: the pictures of {comparison.name} cannot be written: {error.strerror}"
                raise ReportError(msg) from error
        accept = None if comparison.passed or written else accept
        return record_of(comparison, test=test, accept=accept, artefacts=artefacts, written=written)

    def _wants_pictures(self, comparison: Comparison) -> bool:
        wanted = self.settings.report.pictures
        if wanted == "failed":
            return not comparison.passed or any(score.warned for score in comparison.scores)
        if wanted == "different":
            return comparison.equal is None
        return wanted == "all"

    def shown(self, path: Path) -> str:
        """Return the path as messages show it: relative to the root where it lies below it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


def stored_form(image: Image) -> bytes:
    """Return the bytes that a baseline of this image is stored as: its own, or a lossless PNG.

    Raises:
        BaselineError: there is no lossless form for its depth.
    """
    if image.encoded is not None:
        return image.encoded
    try:
        return encode_png(image.pixels)
    except ImgdiffError as error:
        raise BaselineError(str(error)) from error
