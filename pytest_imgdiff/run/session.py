"""What the comparisons of one run share: settings, registry, baselines, results, and what may be written."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
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
from pytest_imgdiff.run.pictures import keep, write_artefacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.base.model import Policy, Rule
    from pytest_imgdiff.base.record import ComparisonRecord
    from pytest_imgdiff.comparison.registry import Registry
    from pytest_imgdiff.config import Settings
    from pytest_imgdiff.run.baselines import Baselines
    from pytest_imgdiff.run.journal import ResultsFolder
    from pytest_imgdiff.run.pairing import FoundPair, Pair

GATHERED = 8
"""How many pairs wait together for a model's answers, so that it answers them in one batch."""

_NOT_ACCEPTED = (Verdict.BROKEN, Verdict.UNMATCHED)
"""There is no picture that could become the expected one."""

Update = Literal["none", "missing", "failed", "alternative", "all"]


@dataclass
class Workspace:
    """One run's surroundings.

    Attributes:
        root: the folder that the paths in records are relative to.
        here: the folder that the user is in, which printed paths are relative to; the root where omitted.
        settings: the loaded configuration.
        registry: the known metrics and loaders.
        baselines: the stored expected images.
        results: where records and pictures go; None where nobody asked for any.
        update: which baselines may be written: none, the missing ones, whatever failed (the missing ones too), or all;
            with ``alternative``, what failed is stored beside the baseline.
        command_line: the policy settings of the command line, as in imgdiff.yaml.
        merges_metrics: whether its ``metrics`` are single keys of rules, so that the other rules stay.
        command: the words that start pytest as this run was started.
        options: the command line's options that a command which accepts a change must repeat.
        allowance: how much memory the pairs under way may take.
        self_contained: whether the report is written as one file, too.
        settings_files: the files that the settings come from; empty where the defaults hold.
        glance: whether every pair is measured by the metrics of `GLANCE` as well, and its regions are found by
            structure where the settings leave it open.
        ended: whether the report was written, so that a comparison comes too late for it.
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
    self_contained: bool = False
    here: Path | None = None
    settings_files: tuple[Path, ...] = ()
    glance: bool = False
    ended: bool = False

    @property
    def has_store(self) -> bool:
        """Whether the folder of the baselines is pulled from a store: one that was named for this run alone is not."""
        return self.settings.baselines.store is not None and self.baselines.folder == self.settings.baselines.folder

    def policy(self, name: str, call: Mapping[str, Any] | None = None) -> Policy:
        """Return what holds for the picture of this name.

        Raises:
            ConfigError: the settings of the command line or of the call cannot be followed.
        """
        command_line = dict(self.command_line)
        if self.merges_metrics:
            rules = self.settings.policy_for(name).metrics
            command_line["metrics"] = merged_rules(rules, command_line["metrics"])
        if self.glance or "measure" in command_line:
            command_line["measure"] = self._measure(name, command_line)
        policy = self.settings.policy_for(name, command_line=command_line, call=call or {})
        return replace(policy, mask="ssim") if self.glance and policy.mask == AUTO else policy

    def _measure(self, name: str, command_line: Mapping[str, Any]) -> Any:
        """Return what to measure of this picture: metrics named without options have those of imgdiff.yaml."""
        configured = self.settings.policy_for(name)
        named = command_line.get("measure", [rule.metric for rule in configured.measure])
        if not isinstance(named, list):
            return named  # of which the settings say what is wrong
        if self.glance:
            listed = {next(iter(item), "") if isinstance(item, dict) else str(item): item for item in named}
            named = [*(listed.pop(metric, metric) for metric in GLANCE), *listed.values()]
        return with_options(named, (*configured.measure, *configured.metrics))

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
        layers = (override.layer.policy.get("metrics", ()) for override in self.settings.overrides)
        return self._asking(rule for rules in layers for rule in rules)

    def threads(self, names: Iterable[str]) -> int | None:
        """Return how many pairs to compare at once: enough to fill a model's batches, or None for one a core."""
        return GATHERED if self._model_rules(names) else None

    def may_run_apart(self, count: int, names: Iterable[str]) -> bool:
        """Return whether so many pairs of these names may be compared by copies of this process, and prepare for it.

        Plugins may keep something of what they see, and a model is loaded once: these stay in one process.
        """
        if not worth_copies(count) or self.registry.extended or self.threads(names) is not None:
            return False
        try:
            self.allowance.share()
        except (ImportError, OSError):
            return False
        return True

    def _model_rules(self, names: Iterable[str]) -> list[Rule]:
        """Return the rules for pictures of these names whose metrics have something to prepare."""
        policies = {(*policy.metrics, *policy.measure) for policy in map(self.policy, names)}
        return self._asking(rule for rules in policies for rule in rules)

    def _asking(self, rules: Iterable[Rule]) -> list[Rule]:
        distinct = dict.fromkeys(rules)
        return [rule for rule in distinct if hasattr(self.registry.metric(rule.metric, rule.options), "prepare")]

    def _look(self, rules: Iterable[Rule]) -> None:
        for rule in rules:
            if rule.on_unavailable == "fail":
                self.registry.metric(rule.metric, rule.options).prepare()  # type: ignore[attr-defined]  # it has one

    @contextmanager
    def compared(self, pair: Pair | FoundPair, name: str) -> Iterator[Comparison]:
        """Compare a pair of a scan once there is memory for it, which is given back in the end.

        Raises:
            ImgdiffError: its policy cannot be followed.
        """
        policy = self.policy(pair.key)
        with self.allowance.of(images.working_size(pair.expected, pair.actual)):
            yield compare(
                pair.expected,
                pair.actual,
                policy,
                name=name,
                registry=self.registry,
                root=self.root,
                keep_frame=self.keep_frame,
            )

    def judged(self, pair: Pair | FoundPair) -> ComparisonRecord:
        """Compare a pair of a scan and return its record.

        Raises:
            ImgdiffError: its policy cannot be followed, or a picture of the report cannot be written.
        """
        with self.compared(pair, pair.name) as comparison:
            place = pair.expected_place
            return self.record(comparison, baseline=None if isinstance(place, StoredFile) else place, key=pair.key)

    def not_compared(self, pair: Pair | FoundPair, name: str, reason: str) -> Comparison:
        """Return what stands for a pair that could not be compared, whose pictures were not even read."""
        policy = self.policy(pair.key)
        return Comparison(name=name, verdict=Verdict.BROKEN, passed=False, policy=policy, reason=reason)

    def keep_frame(self, frame: Comparison) -> tuple[dict[str, str], str | None]:
        """Write the pictures of one of several frames, where the settings ask for them.

        Returns:
            The path of each below the report's folder, and the fingerprint of the difference.

        Raises:
            ReportError: a picture could not be written.
        """
        if self.results is None or not self._wants_pictures(frame):
            return {}, None
        self.results.begin()
        try:
            return write_artefacts(frame, self.results.directory, of_frame=True), _fingerprint(frame)
        except OSError as error:
            raise self._cannot_write_pictures(frame, error) from error

    def _cannot_write_pictures(self, comparison: Comparison, error: OSError) -> ReportError:
        folder = "" if self.results is None else label_of(self.results.directory)
        return ReportError(f"{folder}: the pictures of {comparison.name} cannot be written: {error.strerror}")

    def against(self, stored: Sequence[Path], actual: object, policy: Policy, name: str) -> Comparison:
        """Compare with a baseline and its alternatives, and return the comparison that counts.

        A stored picture that cannot be read makes the comparison broken, also where another one passes. Otherwise an
        equal picture counts before one that passes without a warning, and that before one that passes with a warning.
        Where none passes, the baseline itself counts.

        Args:
            stored: the baseline and its alternatives; none where nothing is stored yet.
            actual: the picture, read already where it can be read only once.
            policy: what decides.
            name: of the comparison.
        """
        if not stored:
            return self.compared_with(None, actual, policy, name)
        judged: list[Comparison] = []
        for path in stored:
            if any(_rank(comparison) == 0 for comparison in judged) and self._cause_unreadable(path, policy) is None:
                continue  # an equal picture was found: the others must only be readable
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
        """Return why a stored picture cannot be read; None where it can."""
        try:
            for _ in images.check(
                images.read(path, root=self.root), frames=policy.frames, max_pixels=policy.limits.pixels
            ):
                pass
        except BrokenImageError as error:
            return str(error)
        return None

    def compared_with(self, expected: object | None, actual: object, policy: Policy, name: str) -> Comparison:
        """Compare two pictures by the run's metrics and loaders; the arguments are those of `engine.compare`."""
        return compare(
            expected,
            actual,
            policy,
            name=name,
            registry=self.registry,
            root=self.root,
            keep_frame=self.keep_frame,
        )

    def accept(self, place: Path, comparison: Comparison) -> Path:
        """Store the actual image of a comparison as the baseline, or as an alternative of it, and return where.

        Args:
            place: of the baseline, as `Baselines.path` gave it.
            comparison: one that has an actual image.

        Raises:
            BaselineError: it cannot be stored, or an alternative of the baseline cannot be read, so that the
                comparison would fail all the same.
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
        beside = alternative_place(target, data)
        if beside is None:  # stored by another process meanwhile
            return target
        store(beside, data)
        return beside

    def may_write(self, comparison: Comparison) -> bool:
        """Return whether the user asked for this actual image to become the expected one."""
        if comparison.actual is None or comparison.equal == "bytes":
            return False
        missing = comparison.verdict is Verdict.MISSING
        failed = missing or not comparison.passed
        asked = {
            "none": False,
            "missing": missing,
            "failed": failed,
            "alternative": failed and comparison.verdict is not Verdict.BROKEN,
            "all": True,
        }
        return asked[self.update]

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
        """Write the comparison's pictures, where the settings ask for them, and return its record.

        Args:
            comparison: what was judged.
            test: the node id of the pytest item.
            asserted: whether the run fails where the comparison does.
            accept: the command that accepts the change.
            written: the baseline that this comparison wrote.
            baseline: the file that accepting the actual image would write.
            takes_alternatives: whether the actual image can be stored beside it, too.
            key: the name that overrides are matched against.

        Raises:
            ReportError: a picture could not be written.
        """
        failed = not comparison.passed and not written
        pictures = _Pictures()
        if self.results is not None and self._wants_pictures(comparison):
            self.results.begin()
            try:
                pictures = self._pictures(comparison, baseline if failed else None, self.results.directory)
            except OSError as error:
                raise self._cannot_write_pictures(comparison, error) from error
        accepts = pictures.accepts
        if accepts is not None and accepts.replaces is not None and takes_alternatives:
            accepts = msgspec.structs.replace(accepts, alternative=True)
        record = record_of(
            comparison,
            test=test,
            asserted=asserted,
            accept=accept if failed and comparison.verdict not in _NOT_ACCEPTED else None,
            artefacts=pictures.artefacts,
            written=written,
            accepts=accepts,
            fingerprint=pictures.fingerprint,
        )
        return record if key is None else msgspec.structs.replace(record, key=printable(key))

    def _pictures(self, comparison: Comparison, baseline: Path | None, report: Path) -> _Pictures:
        if comparison.frame_count > 1:
            artefacts = _artefacts_of_worst(comparison)
            mark = _fingerprint_of_all(comparison)
        else:
            artefacts, mark = None, _fingerprint(comparison)
        artefacts = artefacts or write_artefacts(comparison, report)
        return _Pictures(artefacts, self._accepts(comparison, baseline, report), mark)

    def _accepts(self, comparison: Comparison, baseline: Path | None, report: Path) -> AcceptRecord | None:
        """Return how the actual image can be accepted from the report; None where that takes a run of the tests."""
        actual, expected = comparison.actual, comparison.expected
        if actual is None or baseline is None or comparison.verdict is Verdict.BROKEN:
            return None
        baseline = self.root / baseline
        if not baseline.is_relative_to(self.root) or baseline.exists() != (expected is not None):
            return None
        place = baseline.relative_to(self.root).as_posix()
        if printable(place) != place:  # no JSON holds such a name
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

    def _wants_pictures(self, comparison: Comparison) -> bool:
        wanted = self.settings.report.pictures
        if wanted == "failed":
            warned = comparison.warnings or any(score.warned for score in comparison.scores)
            return not comparison.passed or bool(warned)
        if wanted == "different":
            return comparison.equal is None
        return wanted == "all"

    def named(self, path: Path) -> str:
        """Return the path as records name it: relative to the root where it lies below it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def shown(self, path: Path | StoreFolder) -> str:
        """Return the path as the terminal shows it: relative to where the user is, if it lies in the project."""
        if isinstance(path, StoreFolder):
            return path.label
        here = self.here or self.root
        inside = path.is_relative_to(here) or path.is_relative_to(self.root)
        return relative(path, here) if inside else str(path)

    def failure_text(self, record: ComparisonRecord) -> str:
        """Return all that a person needs at a failed comparison, with paths as the terminal shows them."""
        directory = None if self.results is None else self.shown(self.results.directory)
        record = msgspec.structs.replace(
            record,
            reason=None if record.reason is None else "; ".join(map(self._shown_start, record.reason.split("; "))),
            notes=[self._shown_start(note) for note in record.notes],
        )
        return failure_text(record, directory=directory, shown=self._shown_label)

    def _shown_start(self, words: str) -> str:
        """Return words such as ``old.png: PNG: truncated`` with their file as the terminal shows it."""
        label, colon, rest = words.partition(": ")
        return f"{self._shown_label(label)}{colon}{rest}" if colon else words

    def _shown_label(self, label: str) -> str:
        """Return a label of a record as the terminal shows it: records name files from the root."""
        place = self.root / label
        return self.shown(place) if place.exists() else label


@dataclass(frozen=True, slots=True)
class _Pictures:
    """What of a comparison's record only its pictures tell."""

    artefacts: dict[str, str] = field(default_factory=dict)
    accepts: AcceptRecord | None = None
    fingerprint: str | None = None


def _is_unreadable(comparison: Comparison) -> bool:
    """Return whether the expected picture is there and could not be read."""
    return comparison.verdict is Verdict.BROKEN and comparison.expected is None and comparison.actual is not None


def _rank(comparison: Comparison) -> int:
    """Return how well a comparison with one of several accepted pictures ended; 0 is best."""
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
    """Return the fingerprint of all frames that fail; None where the pair differs in more than they show."""
    if comparison.reason is not None:
        return None
    failed = [frame for frame in comparison.frames if not frame.passed]
    return of_all_frames(frame.fingerprint for frame in failed or comparison.frames)


def _artefacts_of_worst(comparison: Comparison) -> dict[str, str] | None:
    """Return the pictures that were kept of the frame that stands for the pair."""
    shown = None if comparison.expected is None else comparison.expected.info.frame
    return next((dict(frame.pictures) for frame in comparison.frames if frame.index == shown), None)


def is_storable(image: Image) -> bool:
    """Whether a baseline of this image can be stored without loss: floats and several frames have no such form."""
    return image.encoded is not None or (image.dtype.kind == "u" and image.info.alone)


def stored_form(image: Image) -> bytes:
    """Return the bytes that a baseline of this image is stored as: its own, or a lossless PNG.

    Raises:
        BaselineError: there is no lossless form for its depth, or it is one of several frames of a PIL image.
    """
    if image.encoded is not None:
        return image.encoded
    if not image.info.alone:
        raise BaselineError(
            f"{image.info.label}: its {image.info.frames} frames cannot be stored as one picture; give the file or the "
            "bytes that the PIL image was opened from"
        )
    try:
        return images.encode_png(image.pixels)
    except ImgdiffError as error:
        raise BaselineError(str(error)) from error
