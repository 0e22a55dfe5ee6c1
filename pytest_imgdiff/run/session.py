"""State that the comparisons of one run share: settings, registry, baselines, results, and what may be written."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pytest_imgdiff import images
from pytest_imgdiff.base.errors import BaselineError, BrokenImageError, ImgdiffError, ReportError
from pytest_imgdiff.base.memory import Allowance
from pytest_imgdiff.base.model import AUTO, Comparison, Verdict
from pytest_imgdiff.base.parallel import worth_copies
from pytest_imgdiff.base.project import label_of, relative
from pytest_imgdiff.base.record import AcceptRecord, digest_of, record_of
from pytest_imgdiff.base.stores import StoredFile, StoreFolder
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.comparison.engine import compare
from pytest_imgdiff.comparison.fingerprint import fingerprint, of_all_frames
from pytest_imgdiff.comparison.registry import GLANCE
from pytest_imgdiff.config.settings import merged_rules, with_options
from pytest_imgdiff.report import failure_text
from pytest_imgdiff.run.baselines import EXTENSIONS, alternative_place, store
from pytest_imgdiff.run.pairing import scan_folders
from pytest_imgdiff.run.pictures import keep, write_artefacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.base.model import Policy, Rule
    from pytest_imgdiff.base.record import ComparisonRecord
    from pytest_imgdiff.comparison.registry import Registry
    from pytest_imgdiff.config import ScanSettings, Settings
    from pytest_imgdiff.run.baselines import Baselines
    from pytest_imgdiff.run.journal import ResultsFolder
    from pytest_imgdiff.run.pairing import FoundPair, Pair, Scanned

GATHERED = 8
"""Pairs that wait together for a model, so that it evaluates them in one batch."""

_NOT_ACCEPTED = (Verdict.BROKEN, Verdict.UNMATCHED)
"""Verdicts without an image that could become the expected one."""

Update = Literal["none", "missing", "failed", "alternative", "all"]


@dataclass
class Workspace:
    """The shared state of a run.

    Attributes:
        root: base folder of the paths in records.
        here: base folder of printed paths: the user's current folder; default: the root.
        settings: the loaded settings.
        registry: the known metrics and loaders.
        baselines: the stored expected images.
        results: where records and images are written; None if they are not needed.
        update: which baselines may be written: none, missing ones, failed ones (including missing), or all; with
            ``alternative``, failed ones are stored as alternatives.
        command_line: the policy settings of the command line, as in imgdiff.yaml.
        merges_metrics: whether its ``metrics`` are single keys, so that other rules are kept.
        command: the command that started pytest.
        options: the options that a command to accept a change must repeat.
        allowance: how much memory the pairs in progress may use.
        always_page: whether the page is written if everything passes.
        self_contained: whether the report is also written as one file.
        settings_files: the settings files; empty for defaults.
        glance: whether each pair is also measured with the metrics of `GLANCE`, and regions are found by structure
            unless the settings specify it.
        ended: whether the report was written, so that later comparisons are too late for it.
    """

    root: Path
    settings: Settings
    registry: Registry
    baselines: Baselines
    results: ResultsFolder | None = None
    update: Update = "none"
    command_line: Mapping[str, Any] = field(default_factory=dict)
    merges_metrics: bool = False
    command: tuple[str, ...] = ("pytest",)
    options: tuple[str, ...] = ()
    allowance: Allowance = field(default_factory=Allowance)
    always_page: bool = True
    self_contained: bool = False
    here: Path | None = None
    settings_files: tuple[Path, ...] = ()
    glance: bool = False
    ended: bool = False
    _policies: dict[tuple[bool, ...], Policy] = field(default_factory=dict, init=False, repr=False)
    """By which overrides match."""

    @property
    def has_store(self) -> bool:
        """Whether the baselines folder is pulled from a store; a folder from an option of this run is not."""
        return self.settings.baselines.store is not None and self.baselines.folder == self.settings.baselines.folder

    def policy(self, name: str, call: Mapping[str, Any] | None = None) -> Policy:
        """Return the policy for the image with this name.

        Raises:
            ConfigError: the settings of the command line or of the call are invalid.
        """
        if call:
            return self._policy(name, call)
        matching = tuple(override.matches(name) for override in self.settings.overrides)
        if matching not in self._policies:
            self._policies[matching] = self._policy(name, {})
        return self._policies[matching]

    def _policy(self, name: str, call: Mapping[str, Any]) -> Policy:
        command_line = dict(self.command_line)
        if self.merges_metrics:
            rules = self.settings.policy_for(name).metrics
            command_line["metrics"] = merged_rules(rules, command_line["metrics"])
        if self.glance or "measure" in command_line:
            command_line["measure"] = self._measure(name, command_line)
        policy = self.settings.policy_for(name, command_line=command_line, call=call)
        return replace(policy, mask="ssim") if self.glance and policy.mask == AUTO else policy

    def _measure(self, name: str, command_line: Mapping[str, Any]) -> Any:
        """Return what to measure for this image. Metrics without options use those of imgdiff.yaml."""
        configured = self.settings.policy_for(name)
        named = command_line.get("measure", [rule.metric for rule in configured.measure])
        if not isinstance(named, list):
            return named  # the settings report the error
        if self.glance:
            listed = {next(iter(item), "") if isinstance(item, dict) else str(item): item for item in named}
            named = [*(listed.pop(metric, metric) for metric in GLANCE), *listed.values()]
        return with_options(named, (*configured.measure, *configured.metrics))

    def prepare(self, names: Iterable[str]) -> None:
        """Check before any image is read that the models for images with these names are available.

        Raises:
            ImgdiffError: a model is missing or cannot be used, and its rule does not allow it to be skipped.
        """
        self._look(self.model_rules(names))

    def prepare_all(self) -> None:
        """Check the models of all configured rules, if the images are not known in advance.

        Raises:
            ImgdiffError: as in `prepare`.
        """
        self._look(dict.fromkeys([*self._override_rules(), *self.model_rules(["any"])]))

    def _override_rules(self) -> list[Rule]:
        """Return the rules of overrides that use models, unless the command line replaces all rules."""
        if "metrics" in self.command_line and not self.merges_metrics:
            return []
        layers = (override.layer.policy.get("metrics", ()) for override in self.settings.overrides)
        return self._asking(rule for rules in layers for rule in rules)

    def models(self, rules: Iterable[Rule]) -> dict[str, str]:
        """Return the model and the backend of each of these rules, as text that identifies them.

        Raises:
            ImgdiffError: a model is missing or cannot be used, and its rule does not allow it to be skipped.
        """
        found = {}
        for rule in rules:
            metric: Any = self.registry.metric(rule.metric, rule.options)
            try:
                about = metric.prepare()
            except ImgdiffError:
                if rule.on_unavailable == "fail":
                    raise
                about = "nothing"
            found[f"the model of {rule.metric}"] = str(about)
        return found

    def threads(self, names: Iterable[str]) -> int | None:
        """Return how many pairs to compare in parallel: enough to fill a model's batches, or None for one per core."""
        return GATHERED if self.model_rules(names) else None

    def may_run_apart(self, count: int, names: Iterable[str]) -> bool:
        """Return whether pairs with these names may be compared by copies of this process, and prepare for it.

        Plugins may keep state, and a model is loaded once: these need a single process.
        """
        if not worth_copies(count) or self.registry.extended or self.threads(names) is not None:
            return False
        try:
            self.allowance.share()
        except (ImportError, OSError):
            return False
        return True

    def model_rules(self, names: Iterable[str]) -> list[Rule]:
        """Return the rules for images with these names whose metrics need preparation."""
        policies = {id(policy): policy for policy in map(self.policy, names)}
        return self._asking(rule for policy in policies.values() for rule in (*policy.metrics, *policy.measure))

    def _asking(self, rules: Iterable[Rule]) -> list[Rule]:
        distinct = dict.fromkeys(rules)
        return [rule for rule in distinct if hasattr(self.registry.metric(rule.metric, rule.options), "prepare")]

    def _look(self, rules: Iterable[Rule]) -> None:
        for rule in rules:
            if rule.on_unavailable == "fail":
                self.registry.metric(rule.metric, rule.options).prepare()  # type: ignore[attr-defined]  # it has one

    @contextmanager
    def compared(self, pair: Pair | FoundPair, name: str) -> Iterator[Comparison]:
        """Compare a pair of a scan when there is memory for it.

        Raises:
            ImgdiffError: its policy is invalid.
        """
        policy = self.policy(pair.key)
        expected, actual = pair.sources
        with ExitStack() as stack:
            yield self.compared_with(
                expected, actual, policy, name, lambda size: stack.enter_context(self.allowance.of(size))
            )

    def judged(self, pair: Pair | FoundPair) -> ComparisonRecord:
        """Compare a pair of a scan and return its record.

        Raises:
            ImgdiffError: its policy is invalid, or an image of the report cannot be written.
        """
        with self.compared(pair, pair.name) as comparison:
            place = None if comparison.passed else pair.expected_place
            return self.record(comparison, baseline=None if isinstance(place, StoredFile) else place, key=pair.key)

    def not_compared(self, pair: Pair | FoundPair, name: str, reason: str) -> Comparison:
        """Return the record for a pair that could not be compared and whose images were not read."""
        policy = self.policy(pair.key)
        return Comparison(name=name, verdict=Verdict.BROKEN, passed=False, policy=policy, reason=reason)

    def keep_frame(self, frame: Comparison) -> tuple[dict[str, str], str | None]:
        """Write the images of one of several frames, if the settings require them.

        Returns:
            The path of each below the report's folder, and the fingerprint of the difference.

        Raises:
            ReportError: an image could not be written.
        """
        if self.results is None or not self._needs_pictures(frame):
            return {}, None
        self.results.begin()
        try:
            return write_artefacts(frame, self.results.directory, of_frame=True), _fingerprint(frame)
        except OSError as error:
            raise self._cannot_write_pictures(frame, error) from error

    def _cannot_write_pictures(self, comparison: Comparison, error: OSError) -> ReportError:
        folder = "" if self.results is None else label_of(self.results.directory)
        return ReportError(f"{folder}: the images of {comparison.name} cannot be written: {error.strerror}")

    def against(self, stored: Sequence[Path], actual: object, policy: Policy, name: str) -> Comparison:
        """Compare with a baseline and its alternatives, and return the deciding comparison.

        An unreadable stored image makes the comparison broken, even if another one passes. Otherwise an equal image is
        preferred to one that passes without a warning, and that to one that passes with a warning. If none passes, the
        comparison with the baseline itself decides.

        Args:
            stored: the baseline and its alternatives; empty if nothing is stored yet.
            actual: the image; already read if its source can be read only once.
            policy: the policy.
            name: name of the comparison.
        """
        if not stored:
            return self.compared_with(None, actual, policy, name)
        judged: list[Comparison] = []
        for path in stored:
            if any(_rank(comparison) == 0 for comparison in judged) and self._cause_unreadable(path, policy) is None:
                continue  # an equal image was found: the others must only be readable
            comparison = self.compared_with(path, actual, policy, name)
            if _is_unreadable(comparison):
                return comparison
            judged.append(comparison)
        best = min(judged, key=_rank)
        if not best.passed and len(stored) > 1:
            others = len(stored) - 1
            note = (
                "its alternative does not match either" if others == 1 else f"its {others} alternatives do not either"
            )
            return replace(judged[0], notes=(*judged[0].notes, note))
        return best

    def _cause_unreadable(self, path: Path, policy: Policy) -> str | None:
        """Return why a stored image is unreadable; None if it can be read."""
        try:
            for _ in images.check(
                images.read(path, root=self.root), frames=policy.frames, max_pixels=policy.limits.pixels
            ):
                pass
        except BrokenImageError as error:
            return str(error)
        return None

    def compared_with(
        self,
        expected: object | None,
        actual: object,
        policy: Policy,
        name: str,
        room: Callable[[int], object] | None = None,
    ) -> Comparison:
        """Compare two images with the run's metrics and loaders; the arguments are those of `engine.compare`."""
        return compare(
            expected,
            actual,
            policy,
            name=name,
            registry=self.registry,
            root=self.root,
            keep_frame=self.keep_frame,
            room=room,
        )

    def scanned(self, scan: ScanSettings, skip: Iterable[Path], prefix: str = "") -> Scanned:
        """Return the pairs of a scan; the arguments are those of `pytest_imgdiff.run.pairing.scan_folders`."""
        return scan_folders(
            scan.expected,
            scan.actual,
            include=scan.include,
            exclude=scan.exclude,
            others=scan.others,
            skip=skip,
            prefix=prefix,
            shown=self.shown,
        )

    def accept(self, place: Path, comparison: Comparison) -> Path:
        """Store the actual image of a comparison as the baseline or an alternative, and return its path.

        Args:
            place: path of the baseline, from `Baselines.path`.
            comparison: a comparison with an actual image.

        Raises:
            BaselineError: it cannot be stored, or an alternative is unreadable, so that the comparison would still
                fail.
        """
        if comparison.actual is None:
            raise AssertionError(comparison.name)
        for path in self.baselines.accepted(place)[1:]:
            if cause := self._cause_unreadable(path, comparison.policy):
                raise BaselineError(f"{cause}; restore or delete this alternative baseline first")
        data = stored_form(comparison.actual)
        if self.update != "alternative":
            return self.baselines.accept(place, comparison.actual, data)
        target = self.baselines.target(place, comparison.actual)
        alternative = alternative_place(target, data)
        if alternative is None:  # another process has stored it meanwhile
            return target
        store(alternative, data)
        return alternative

    def may_write(self, comparison: Comparison) -> bool:
        """Return whether the user requested that this actual image becomes the expected one."""
        if comparison.actual is None or comparison.equal == "bytes":
            return False
        missing = comparison.verdict is Verdict.MISSING
        failed = missing or not comparison.passed
        requested = {
            "none": False,
            "missing": missing,
            "failed": failed,
            "alternative": failed and comparison.verdict is not Verdict.BROKEN,
            "all": True,
        }
        return requested[self.update]

    def record(
        self,
        comparison: Comparison,
        *,
        test: str | None = None,
        asserted: bool = True,
        accept: str | None = None,
        written: str | None = None,
        baseline: Path | None = None,
        takes_alternatives: bool = False,
        key: str | None = None,
    ) -> ComparisonRecord:
        """Write the comparison's images, if the settings require them, and return its record.

        Args:
            comparison: the comparison.
            test: the node id of the pytest item.
            asserted: whether its failure fails the run.
            accept: the command that accepts the change.
            written: the baseline that this comparison wrote.
            baseline: the file that accepting the actual image would write.
            takes_alternatives: whether the actual image can be stored as an alternative.
            key: name that overrides are matched against.

        Raises:
            ReportError: an image could not be written.
        """
        failed = not comparison.passed and not written
        pictures = _Pictures()
        if self.results is not None and self._needs_pictures(comparison):
            self.results.begin()
            try:
                pictures = self._pictures(comparison, baseline if failed else None, self.results.directory)
            except OSError as error:
                raise self._cannot_write_pictures(comparison, error) from error
        accepts = pictures.accepts
        if accepts is not None and accepts.replaces is not None and takes_alternatives:
            accepts = msgspec.structs.replace(accepts, alternative=True)
        return record_of(
            comparison,
            test=test,
            asserted=asserted,
            accept=accept if failed and comparison.verdict not in _NOT_ACCEPTED else None,
            artefacts=pictures.artefacts,
            written=written,
            accepts=accepts,
            fingerprint=pictures.fingerprint,
            key=key,
        )

    def _pictures(self, comparison: Comparison, baseline: Path | None, report: Path) -> _Pictures:
        if comparison.frame_count > 1:
            artefacts = _artefacts_of_worst(comparison)
            mark = _fingerprint_of_all(comparison)
        else:
            artefacts, mark = None, _fingerprint(comparison)
        artefacts = artefacts or write_artefacts(comparison, report)
        return _Pictures(artefacts, self._accepts(comparison, baseline, report), mark)

    def _accepts(self, comparison: Comparison, baseline: Path | None, report: Path) -> AcceptRecord | None:
        """Return how the actual image can be accepted from the report; None if the tests must run for that."""
        actual, expected = comparison.actual, comparison.expected
        if actual is None or baseline is None or comparison.verdict is Verdict.BROKEN:
            return None
        baseline = self.root / baseline
        if not baseline.is_relative_to(self.root) or baseline.exists() != (expected is not None):
            return None
        place = baseline.relative_to(self.root).as_posix()
        if printable(place) != place:  # JSON cannot represent such a name
            return None
        try:
            data = stored_form(actual)
        except BaselineError:
            return None
        digest = actual.derived(digest_of) if data is actual.encoded else hashlib.sha256(data).hexdigest()
        return AcceptRecord(
            baseline=place,
            source=keep(report, EXTENSIONS.get(actual.info.format, ".png")[1:], data, digest),
            digest=digest,
            replaces=None if expected is None else expected.derived(digest_of),
        )

    def _needs_pictures(self, comparison: Comparison) -> bool:
        which = self.settings.report.pictures
        if which == "failed":
            warned = comparison.warnings or any(score.warned for score in comparison.scores)
            return not comparison.passed or bool(warned)
        if which == "different":
            return comparison.equal is None
        return which == "all"

    def named(self, path: Path) -> str:
        """Return the path for records: relative to the root if it is below it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def shown(self, path: Path | StoreFolder) -> str:
        """Return the path for the terminal: relative to the user's folder if it is in the project."""
        if isinstance(path, StoreFolder):
            return path.label
        here = self.here or self.root
        inside = path.is_relative_to(here) or path.is_relative_to(self.root)
        return relative(path, here) if inside else str(path)

    def failure_text(self, record: ComparisonRecord) -> str:
        """Return the message for a failed comparison, with paths for the terminal."""
        directory = None if self.results is None else self.shown(self.results.directory)
        record = msgspec.structs.replace(
            record,
            reason=None if record.reason is None else "; ".join(map(self._shown_start, record.reason.split("; "))),
            notes=[self._shown_start(note) for note in record.notes],
        )
        return failure_text(record, directory=directory, shown=self._shown_label)

    def _shown_start(self, words: str) -> str:
        """Return a message such as ``old.png: PNG: truncated`` with the file's path for the terminal."""
        label, colon, rest = words.partition(": ")
        return f"{self._shown_label(label)}{colon}{rest}" if colon else words

    def _shown_label(self, label: str) -> str:
        """Return a label for the terminal; in records, labels of files are relative to the root."""
        place = self.root / label
        return self.shown(place) if place.exists() else label


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The fields of a record that depend on the images."""

    artefacts: dict[str, str] = field(default_factory=dict)
    accepts: AcceptRecord | None = None
    fingerprint: str | None = None


def _is_unreadable(comparison: Comparison) -> bool:
    """Return whether the expected image exists but is unreadable."""
    return comparison.verdict is Verdict.BROKEN and comparison.expected is None and comparison.actual is not None


def _rank(comparison: Comparison) -> int:
    """Return the rank of a comparison with one of several accepted images; 0 is best."""
    if not comparison.passed:
        return 3
    if comparison.warnings or any(score.warned for score in comparison.scores):
        return 2
    return 1 if comparison.equal is None else 0


def _fingerprint(comparison: Comparison) -> str | None:
    if comparison.mask is None or comparison.compared is None:
        return None
    before = None if comparison.alignment is None else comparison.expected
    return fingerprint(*comparison.compared, comparison.mask, comparison.regions, before)


def _fingerprint_of_all(comparison: Comparison) -> str | None:
    """Return the fingerprint of all failing frames; None if the pair also differs in other ways."""
    if comparison.reason is not None:
        return None
    failed = [frame for frame in comparison.frames if not frame.passed]
    return of_all_frames(frame.fingerprint for frame in failed or comparison.frames)


def _artefacts_of_worst(comparison: Comparison) -> dict[str, str] | None:
    """Return the written images of the frame that represents the pair."""
    shown = None if comparison.expected is None else comparison.expected.info.frame
    return next((dict(frame.pictures) for frame in comparison.frames if frame.index == shown), None)


def is_storable(image: Image) -> bool:
    """Whether a baseline can store this image without loss: not for floats or several frames."""
    return image.encoded is not None or (image.dtype.kind == "u" and image.info.alone)


def stored_form(image: Image) -> bytes:
    """Return the bytes to store for a baseline: the image's own, or a lossless PNG.

    Raises:
        BaselineError: no lossless form exists for its depth, or it has several frames of a PIL image.
    """
    if image.encoded is not None:
        return image.encoded
    if not image.info.alone:
        raise BaselineError(
            f"{image.info.label}: its {image.info.frames} frames cannot be stored as one image; pass the file or the "
            "bytes that the PIL image was opened from"
        )
    try:
        return images.encode_png(image.pixels)
    except ImgdiffError as error:
        raise BaselineError(str(error)) from error
