"""Applying decisions: images of a report become baselines, if they are still the reviewed ones."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pytest_imgdiff.base.errors import BaselineError, ConfigError, ImgdiffError, ReportError
from pytest_imgdiff.base.files import OutsideError, path_below, write_atomically
from pytest_imgdiff.base.opening import NotRegularError, open_regular, read_regular
from pytest_imgdiff.base.project import label_of, project_folders, relative
from pytest_imgdiff.base.record import AcceptRecord  # noqa: TC001 - msgspec reads the annotation
from pytest_imgdiff.base.text import counted, shortened, visible
from pytest_imgdiff.report import close_results, open_results
from pytest_imgdiff.report.results_json import RESULTS_FILE
from pytest_imgdiff.report.words import replaced_frames
from pytest_imgdiff.run.baselines import alternative_place, is_baseline_file, place_to_write, stored_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord


Result = Literal["accepted", "would be accepted", "already accepted", "rejected", "left", "refused", "not written"]

ACCEPTING = ("accept", "alternative")
"""The decisions that write an image."""
_BLOCK = 1024 * 1024
_LONGEST_NAME, _LONGEST_COMMENT = 1000, 300
"""Characters that a line shows."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The result of one decision.

    Attributes:
        decision: the decision.
        result: ``accepted`` (the baseline was written), ``would be accepted`` (dry run), ``already accepted`` (it was
            this image before), ``refused`` (images or baselines have changed, or a path is invalid), ``not written``
            (an error of the disk), ``rejected``, or ``left`` (no decision, at most a comment).
        words: the baseline's path, and the number of frames or pages to replace if there are several; or the error and
            what to do.
        cause: the error in words that are equal for all decisions with this cause, such as a stale report.
    """

    decision: Decision
    result: Result
    words: str = ""
    cause: str = ""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do: False if it was refused or could not be written."""
        return self.result not in {"refused", "not written"}

    @property
    def line(self) -> str:
        """The result in one printable line."""
        decision = self.decision
        name = _name(decision)
        verb = "comment on" if self.result == "left" else f"{self.result}:"
        words = f": {shortened(self.words, _LONGEST_NAME)}" if self.words else ""
        comment = f': "{shortened(decision.comment.strip(), _LONGEST_COMMENT)}"' if decision.comment.strip() else ""
        return visible(f"{verb} {name}{words}{comment}")


def _name(decision: Decision) -> str:
    """Return the name of the comparison and, in a report of several runs, its run."""
    name = shortened(decision.name, _LONGEST_NAME)
    return name if decision.column is None else f"{name} [{shortened(decision.column, _LONGEST_NAME)}]"


def root_of_baselines(report: Path, run: RunRecord, start: Path) -> Path:
    """Return the base folder of the baselines' paths in a report, if it was not specified.

    It is the folder recorded in the report, else the first that contains one of its baselines, else `start`. Only
    `start` and its parents in the same project are considered, because a report may be from anyone.

    Args:
        report: the report's folder.
        run: its results.
        start: the current folder of the user.
    """
    folders = project_folders(start)
    if run.root is not None:
        named = Path(os.path.realpath(report / run.root))
        for folder in folders:
            if Path(os.path.realpath(folder)) == named:
                return folder
    places = [record.accepts.baseline for record in run.comparisons if record.accepts is not None]
    return next((folder for folder in folders if any(_is_there(folder, place) for place in places)), start)


def _is_there(root: Path, place: str) -> bool:
    try:
        return path_below(root, place).is_file()
    except (OutsideError, OSError, ValueError):
        return False


def carry_out(
    decisions: Sequence[Decision], report: Path, root: Path, *, dry_run: bool = False, here: Path | None = None
) -> list[Carried]:
    """Write the accepted images over their baselines. All are verified before the first is written.

    An image is written if the report still contains the decided comparison, the image's file has the reviewed bytes,
    and the baseline is still the compared one. Decisions that cannot be verified are refused and the others are
    written: each file atomically, after a second verification.

    Args:
        decisions: the decisions, as `read_manifest` returns them.
        report: the report's folder.
        root: base folder of the baselines' paths; nothing outside it is written.
        dry_run: only verify.
        here: base folder of the paths in messages; default: `root`.

    Returns:
        The result of each decision, in their order.

    Raises:
        ReportError: the report's results cannot be read.
        ConfigError: `root` does not exist, or is not the base folder of the baselines' paths.
    """
    if not root.is_dir():
        raise ConfigError(f"{label_of(root)}: no such folder; pass the folder of the project with --root")
    _require_root([one.accepts for one in decisions if one.decision in ACCEPTING and one.accepts is not None], root)
    decided = {_identity(decision) for decision in decisions}
    run = open_results(report / RESULTS_FILE)
    records = {_identity(record): record for record in run.comparisons if _identity(record) in decided}
    close_results(run)
    grounds = _Basis(records, report, root, here or root)
    verified = grounds.without_conflicts([grounds.verified(decision) for decision in decisions])
    if dry_run:
        return verified
    done = dict(enumerate(verified))
    # Alternatives first: they are compared with the baseline, which another decision may replace.
    for number in sorted(done, key=lambda number: verified[number].decision.decision != "alternative"):
        if verified[number].result == "would be accepted":
            done[number] = grounds.written(verified[number].decision)
    return list(done.values())


def _identity(named: ComparisonRecord | Decision) -> tuple[str, str | None]:
    """Return what identifies a comparison, as the page shows it."""
    return visible(named.name), None if named.column is None else visible(named.column)


def _require_root(accepts: Sequence[AcceptRecord], root: Path) -> None:
    """Raise if a folder contains none of the baselines, nor their folders."""
    stored = [one.baseline for one in accepts if one.replaces is not None]
    if stored and not any(root.joinpath(place).parent.is_dir() for place in stored):
        raise ConfigError(
            f"{label_of(root)}: neither the baselines of the report ({counted(len(stored), 'file')}, the first is "
            f"{visible(shortened(stored[0], _LONGEST_COMMENT))}) nor their folders are below this folder: pass the "
            "base folder of these paths with --root DIR"
        )


class _RefusedError(ImgdiffError):
    """Why a decision cannot be applied, and what to do.

    Args:
        words: about this decision.
        cause: the message for all decisions with this cause; empty if it is specific to the decision.
    """

    def __init__(self, words: str, cause: str = "") -> None:
        super().__init__(words)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class _Claim:
    """A file, and the digest of the image to write to it."""

    target: Path
    digest: str


@dataclass(frozen=True, slots=True)
class _Basis:
    """The data that decisions are verified against."""

    records: dict[tuple[str, str | None], ComparisonRecord]
    report: Path
    root: Path
    here: Path

    def _shown(self, accepts: AcceptRecord) -> str:
        """Return the baseline's path relative to the user's folder."""
        root, here = (Path(os.path.abspath(folder)) for folder in (self.root, self.here))  # noqa: PTH100 - links stay
        return accepts.baseline if root == here else relative(root / accepts.baseline, here)

    def verified(self, decision: Decision) -> Carried:
        """Return the expected result of a decision, without writing."""
        if decision.decision not in ACCEPTING:
            return Carried(decision, "rejected" if decision.decision == "reject" else "left")
        try:
            accepts = _accepted(decision)
            target = self._target(accepts)
            if decision.decision == "alternative":
                return self._verified_alternative(decision, accepts, target)
            present = _digest(target)
            if present == accepts.digest:
                return Carried(decision, "already accepted", self._shown(accepts))
            self._check_report(decision)
            self._check_source(accepts)
            self._check_baseline(present, accepts)
        except _RefusedError as error:
            return Carried(decision, "refused", str(error), error.cause)
        except BaselineError as error:
            return Carried(decision, "refused", str(error))
        return Carried(decision, "would be accepted", f"{self._shown(accepts)}{self._scope(decision)}")

    def _verified_alternative(self, decision: Decision, accepts: AcceptRecord, target: Path) -> Carried:
        if not accepts.alternative or accepts.replaces is None:
            raise _RefusedError(
                f"{accepts.baseline}: only an image that a test compared with a stored baseline can be accepted as an "
                "alternative"
            )
        if accepts.digest in [_digest(file) for file in stored_for(target)]:
            return Carried(decision, "already accepted", self._shown(accepts))
        self._check_report(decision)
        self._check_source(accepts)
        self._check_baseline(_digest(target), accepts)
        return Carried(decision, "would be accepted", f"{self._shown(accepts)}, as an alternative of it")

    def _scope(self, decision: Decision) -> str:
        """Return what is replaced besides the first frame in the report; empty for a file with one frame."""
        record = self.records.get(_identity(decision))
        words = None if record is None else replaced_frames(record)
        return "" if words is None else f" ({words})"

    def written(self, decision: Decision) -> Carried:
        """Verify again, because files may have changed, and write."""
        carried = self.verified(decision)
        if carried.result != "would be accepted":
            return carried
        try:
            accepts = _accepted(decision)
            target = self._target(accepts)
            data = read_regular(_below(self.report, accepts.source))
            if hashlib.sha256(data).hexdigest() != accepts.digest:
                return Carried(decision, "refused", _changed_source(accepts))
            alternative = self._write(decision, target, data)
        except (_RefusedError, BaselineError) as error:
            return Carried(decision, "refused", str(error))
        except OSError as error:
            words = f"{carried.words}: {error.strerror or error}; the old file is unchanged"
            return Carried(decision, "not written", words)
        return replace(carried, result="accepted", words=f"{carried.words}{alternative}")

    def _write(self, decision: Decision, target: Path, data: bytes) -> str:
        """Write an image, and return what to add to its line."""
        if decision.decision == "accept":
            write_atomically(place_to_write(target), data)
            return ""
        alternative = alternative_place(target, data)
        if alternative is None:  # another decision has written it
            return ""
        write_atomically(alternative, data)
        return f": {alternative.name}"

    def without_conflicts(self, verified: list[Carried]) -> list[Carried]:
        """Reject decisions that would write different images to one file."""
        claims = [self._claim(carried) for carried in verified]
        rivals: defaultdict[Path, dict[str, str]] = defaultdict(dict)
        for carried, claim in zip(verified, claims, strict=True):
            if claim is not None:
                rivals[claim.target].setdefault(claim.digest, _name(carried.decision))
        return [
            carried if claim is None else _unless_conflicting(carried, claim, rivals[claim.target])
            for carried, claim in zip(verified, claims, strict=True)
        ]

    def _claim(self, carried: Carried) -> _Claim | None:
        accepts = carried.decision.accepts
        if carried.result not in {"would be accepted", "already accepted"} or accepts is None:
            return None
        if carried.decision.decision == "alternative":  # it has its own file
            return None
        return _Claim(self._target(accepts), accepts.digest)

    def _target(self, accepts: AcceptRecord) -> Path:
        """Return the file of the baseline."""
        target = _below(self.root, accepts.baseline)
        if not is_baseline_file(target):
            raise _RefusedError(
                f"{accepts.baseline}: not the name of an image, nor an image file; if this is intended, copy it"
            )
        try:
            place_to_write(target)
        except BaselineError as error:
            raise _RefusedError(str(error)) from error
        return target

    def _check_report(self, decision: Decision) -> None:
        record = self.records.get(_identity(decision))
        where = f"the report in {label_of(self.report)}"
        if record is None:
            words = f"{where} has no such comparison; pass the report that the decision was made in"
            raise _RefusedError(words, words)
        if record.accepts != decision.accepts:
            words = f"stale: {where} is from another run with other images; review it again"
            raise _RefusedError(words, words)

    def _check_source(self, accepts: AcceptRecord) -> None:
        digest = _digest(_below(self.report, accepts.source))
        if digest is None:
            raise _RefusedError(f"{accepts.source}: the image was removed from the report; run the comparison again")
        if digest != accepts.digest:
            raise _RefusedError(_changed_source(accepts))

    def _check_baseline(self, present: str | None, accepts: AcceptRecord) -> None:
        """Raise if the baseline is not the compared one, or is missing."""
        if present == accepts.replaces:
            return
        place = self._shown(accepts)
        if present is None:
            what = f"the baseline {place} was removed"
        elif accepts.replaces is None:
            what = f"a baseline {place} was added"
        else:
            what = f"the baseline {place} has changed since"
        again = "run the comparison again and decide again"
        older = f"stale: the report in {label_of(self.report)} is from an older run: the baselines have changed since"
        raise _RefusedError(f"stale: {what}; {again}", f"{older}; {again}")


def _unless_conflicting(carried: Carried, claim: _Claim, claimed: dict[str, str]) -> Carried:
    others = [name for digest, name in claimed.items() if digest != claim.digest]
    if not others:
        return carried
    words = f"{carried.words}: {others[0]} is accepted for the same baseline; accept only one of them"
    return Carried(carried.decision, "refused", words)


def _accepted(decision: Decision) -> AcceptRecord:
    if decision.accepts is None:
        raise _RefusedError(
            "nothing to accept: there is no actual image, it is unreadable, or the expected image is not a file below "
            "the folder in which the comparison ran (to remove a baseline, delete its file)"
        )
    return decision.accepts


def _changed_source(accepts: AcceptRecord) -> str:
    return f"stale: {accepts.source} is not the reviewed image; run the comparison again and decide again"


def _below(folder: Path, relative: str) -> Path:
    try:
        return path_below(folder, relative)
    except OutsideError as error:
        raise _RefusedError(f"{shortened(relative, _LONGEST_COMMENT)}: {error}; such a path is rejected") from error


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file's bytes; None if there is no file.

    Raises:
        _RefusedError: it is not a file, or is unreadable.
    """
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            for block in iter(partial(file.read, _BLOCK), b""):
                digest.update(block)
    except FileNotFoundError:
        return None
    except NotRegularError as error:
        raise _RefusedError(f"{label_of(path)}: a folder or device, not a file; move it out of the way") from error
    except OSError as error:
        raise _RefusedError(f"{label_of(path)}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


VERSION = 1
MOST_BYTES = 64 * 1024 * 1024
"""Largest manifest; a hundred thousand decisions need less."""


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The decision on one comparison."""

    name: str
    """Name of the comparison, as in ``results.json``."""
    column: str | None
    """Its run, in a report of several runs."""
    decision: Literal["accept", "alternative", "reject", "none"]
    comment: str
    accepts: AcceptRecord | None
    """The reviewed image and its baseline; None if nothing can be accepted."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All decisions over one report."""

    imgdiff: Literal["decisions"]
    version: int
    run: str
    """The run whose page was used."""
    decisions: list[Decision]


class _Marked(msgspec.Struct):
    """A JSON object with decisions, whose version is read first so that an error can name it."""

    imgdiff: Literal["decisions"]
    version: int


# Created at import: msgspec crashes if two threads decode a type for the first time at the same time.
_MARKED = msgspec.json.Decoder(_Marked)
_MANIFEST = msgspec.json.Decoder(Manifest)


def read_manifest(path: Path) -> list[Decision]:
    """Read the decisions of a manifest.

    Raises:
        ReportError: the file is unreadable, is not JSON, is not a manifest or has another version, has an unknown,
            missing, mistyped or repeated field, or has two decisions on one comparison; the message is one line.
    """
    shown = visible(str(path))
    decisions = _decoded(_text(path, shown), shown).decisions
    seen = set()
    for decision in decisions:
        if (decision.name, decision.column) in seen:
            raise ReportError(f"{shown}: has two decisions on {visible(decision.name)}; export the decisions again")
        seen.add((decision.name, decision.column))
    return decisions


def _text(path: Path, shown: str) -> str:
    try:
        content = read_regular(path, MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: the path contains a NUL
        cause = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ReportError(f"{shown}: cannot be read: {cause}") from error
    if len(content) > MOST_BYTES:
        raise ReportError(f"{shown}: larger than {MOST_BYTES // 1024**2} MiB; not a manifest")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReportError(f"{shown}: not JSON: byte {error.start} is not UTF-8") from error


def _decoded(text: str, shown: str) -> Manifest:
    try:
        version = _MARKED.decode(text).version
        if version != VERSION:
            raise ReportError(
                f"{shown}: decisions of version {version}; this pytest-imgdiff reads version {VERSION}: use the "
                "release that wrote the report, or write it again"
            )
        manifest = _MANIFEST.decode(text)
        json.loads(text, object_pairs_hook=_without_repetition)  # the structure is known to be valid by now
    except msgspec.ValidationError as error:
        raise ReportError(f"{shown}: not decisions that a report exported: {visible(str(error))}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ReportError(f"{shown}: not JSON: {visible(str(error))}") from error
    except _RepeatedKeyError as error:
        raise ReportError(f"{shown}: the key {visible(str(error))!r} is repeated in one object") from error
    return manifest


class _RepeatedKeyError(Exception):
    """A repeated key: two readers of the file could read different values."""


def _without_repetition(pairs: list[tuple[str, Any]]) -> None:
    keys = set()
    for key, _ in pairs:
        if key in keys:
            raise _RepeatedKeyError(key)
        keys.add(key)
