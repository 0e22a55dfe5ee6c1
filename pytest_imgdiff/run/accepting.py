"""Decisions carried out: pictures of a report become baselines, if they are those that were looked at."""

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
"""The decisions that write a picture."""
_BLOCK = 1024 * 1024
_LONGEST_NAME, _LONGEST_COMMENT = 1000, 300
"""Characters that a line shows."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of one decision.

    Attributes:
        decision: the decision.
        result: ``accepted`` (the baseline is written), ``would be accepted`` (it is not, as this is a dry run),
            ``already accepted`` (it was this picture before), ``refused`` (what was looked at is not what is there, or
            the paths are not to be followed), ``not written`` (the disk refused), ``rejected``, or ``left`` (no
            decision, at most a comment).
        words: the baseline's path, and how many frames or pages are replaced where these are several; or what is wrong
            and what to do.
        cause: what is wrong, in words that are the same for every decision with this cause: a stale report, say.
    """

    decision: Decision
    result: Result
    words: str = ""
    cause: str = ""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do: False for what was refused or could not be written."""
        return self.result not in {"refused", "not written"}

    @property
    def line(self) -> str:
        """What became of it, in one printable line."""
        decision = self.decision
        name = _name(decision)
        verb = "comment on" if self.result == "left" else f"{self.result}:"
        words = f": {shortened(self.words, _LONGEST_NAME)}" if self.words else ""
        comment = f': "{shortened(decision.comment.strip(), _LONGEST_COMMENT)}"' if decision.comment.strip() else ""
        return visible(f"{verb} {name}{words}{comment}")


def _name(decision: Decision) -> str:
    """Return what the comparison is called and, in a report of several runs, the run it is from."""
    name = shortened(decision.name, _LONGEST_NAME)
    return name if decision.column is None else f"{name} [{shortened(decision.column, _LONGEST_NAME)}]"


def root_of_baselines(report: Path, run: RunRecord, start: Path) -> Path:
    """Return the folder that the baselines' paths in a report start from, where nobody named it.

    It is the folder that the report names, else the first that holds one of its baselines, else `start`. Only `start`
    and the folders above it in the same project come into question: a report can be from anybody.

    Args:
        report: the report's folder.
        run: its results.
        start: the folder that the user is in.
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
    """Write the accepted pictures over their baselines; all of them are verified before the first is written.

    A picture is written where the report still says of its comparison what the decision says, the picture's file
    has the very bytes that were looked at, and the baseline is still that which it was compared with. What cannot be
    verified is refused, and the rest is written: each file atomically, after it was verified once more.

    Args:
        decisions: what was decided, as `pytest_imgdiff.run.accepting.read_manifest` gives it.
        report: the report's folder.
        root: the folder that the paths of baselines start from; nothing outside of it is written.
        dry_run: verify only.
        here: the folder that the paths in words are relative to; `root` where omitted.

    Returns:
        What became of each decision, in their order.

    Raises:
        ReportError: the report's results cannot be read.
        ConfigError: there is no folder `root`, or it is not the one that the baselines' paths start from.
    """
    if not root.is_dir():
        raise ConfigError(f"{label_of(root)}: there is no such folder; baselines are written below it")
    _require_root([one.accepts for one in decisions if one.decision in ACCEPTING and one.accepts is not None], root)
    decided = {_identity(decision) for decision in decisions}
    run = open_results(report / RESULTS_FILE)
    records = {_identity(record): record for record in run.comparisons if _identity(record) in decided}
    close_results(run)
    grounds = _Grounds(records, report, root, here or root)
    verified = grounds.without_conflicts([grounds.verified(decision) for decision in decisions])
    if dry_run:
        return verified
    done = dict(enumerate(verified))
    # Alternatives first: they are compared with the baseline that another decision may replace.
    for number in sorted(done, key=lambda number: verified[number].decision.decision != "alternative"):
        if verified[number].result == "would be accepted":
            done[number] = grounds.written(verified[number].decision)
    return list(done.values())


def _identity(named: ComparisonRecord | Decision) -> tuple[str, str | None]:
    """Return what tells a comparison from the others, as the page shows it: a decision made there has no more."""
    return visible(named.name), None if named.column is None else visible(named.column)


def _require_root(accepts: Sequence[AcceptRecord], root: Path) -> None:
    """Refuse a folder that has nothing of the stored baselines, not even the folders that they are in."""
    stored = [one.baseline for one in accepts if one.replaces is not None]
    if stored and not any(root.joinpath(place).parent.is_dir() for place in stored):
        raise ConfigError(
            f"{label_of(root)}: neither the baselines of the report ({counted(len(stored), 'file')}, the first is "
            f"{visible(shortened(stored[0], _LONGEST_COMMENT))}) nor their folders are below this folder: name the "
            "folder that these paths start from with --root DIR"
        )


class _RefusedError(ImgdiffError):
    """Why one decision cannot be carried out, and what to do.

    Args:
        words: about this decision.
        cause: the same about every decision with this cause; empty where it is the decision's own.
    """

    def __init__(self, words: str, cause: str = "") -> None:
        super().__init__(words)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class _Claim:
    """A file, and the digest of the picture that is to be in it."""

    target: Path
    digest: str


@dataclass(frozen=True, slots=True)
class _Grounds:
    """What decisions are verified against."""

    records: dict[tuple[str, str | None], ComparisonRecord]
    report: Path
    root: Path
    here: Path

    def _shown(self, accepts: AcceptRecord) -> str:
        """Return the baseline's path from where the user is."""
        root, here = (Path(os.path.abspath(folder)) for folder in (self.root, self.here))  # noqa: PTH100 - links stay
        return accepts.baseline if root == here else relative(root / accepts.baseline, here)

    def verified(self, decision: Decision) -> Carried:
        """Return what is to become of a decision, without writing anything."""
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
                f"{accepts.baseline}: only a picture that a test compared with a stored baseline can be accepted as an "
                "alternative"
            )
        if accepts.digest in [_digest(file) for file in stored_for(target)]:
            return Carried(decision, "already accepted", self._shown(accepts))
        self._check_report(decision)
        self._check_source(accepts)
        self._check_baseline(_digest(target), accepts)
        return Carried(decision, "would be accepted", f"{self._shown(accepts)}, as an alternative of it")

    def _scope(self, decision: Decision) -> str:
        """Return what is replaced beside the frame that the report shows first; nothing for a file of one frame."""
        record = self.records.get(_identity(decision))
        words = None if record is None else replaced_frames(record)
        return "" if words is None else f" ({words})"

    def written(self, decision: Decision) -> Carried:
        """Verify once more, as the disk may have changed meanwhile, and write."""
        carried = self.verified(decision)
        if carried.result != "would be accepted":
            return carried
        try:
            accepts = _accepted(decision)
            target = self._target(accepts)
            data = read_regular(_below(self.report, accepts.source))
            if hashlib.sha256(data).hexdigest() != accepts.digest:
                return Carried(decision, "refused", _changed_source(accepts))
            beside = self._write(decision, target, data)
        except (_RefusedError, BaselineError) as error:
            return Carried(decision, "refused", str(error))
        except OSError as error:
            words = f"{carried.words}: {error.strerror or error}; what stood there is untouched"
            return Carried(decision, "not written", words)
        return replace(carried, result="accepted", words=f"{carried.words}{beside}")

    def _write(self, decision: Decision, target: Path, data: bytes) -> str:
        """Write a picture, and return what its line says beside the baseline's name."""
        if decision.decision == "accept":
            write_atomically(place_to_write(target), data)
            return ""
        beside = alternative_place(target, data)
        if beside is None:  # another decision has written it
            return ""
        write_atomically(beside, data)
        return f": {beside.name}"

    def without_conflicts(self, verified: list[Carried]) -> list[Carried]:
        """Refuse decisions that would write different pictures to one file."""
        claims = [self._claim(carried) for carried in verified]
        rivals: defaultdict[Path, dict[str, str]] = defaultdict(dict)
        for carried, claim in zip(verified, claims, strict=True):
            if claim is not None:
                rivals[claim.target].setdefault(claim.digest, _name(carried.decision))
        return [
            carried if claim is None else _unless_rivalled(carried, claim, rivals[claim.target])
            for carried, claim in zip(verified, claims, strict=True)
        ]

    def _claim(self, carried: Carried) -> _Claim | None:
        accepts = carried.decision.accepts
        if carried.result not in {"would be accepted", "already accepted"} or accepts is None:
            return None
        if carried.decision.decision == "alternative":  # it has a file of its own
            return None
        return _Claim(self._target(accepts), accepts.digest)

    def _target(self, accepts: AcceptRecord) -> Path:
        """Return the file of the baseline."""
        target = _below(self.root, accepts.baseline)
        if not is_baseline_file(target):
            raise _RefusedError(
                f"{accepts.baseline}: not the name of a picture, nor is it one now; if it is meant, copy it by hand"
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
            words = f"{where} has no such comparison; give the report that the decision was made on"
            raise _RefusedError(words, words)
        if record.accepts != decision.accepts:
            words = f"stale: {where} is of another run, with other pictures; look at it and decide again"
            raise _RefusedError(words, words)

    def _check_source(self, accepts: AcceptRecord) -> None:
        digest = _digest(_below(self.report, accepts.source))
        if digest is None:
            raise _RefusedError(f"{accepts.source}: the report has no such picture any more; run the comparison again")
        if digest != accepts.digest:
            raise _RefusedError(_changed_source(accepts))

    def _check_baseline(self, present: str | None, accepts: AcceptRecord) -> None:
        """Refuse where another baseline stands there than the one that was compared, or none any more."""
        if present == accepts.replaces:
            return
        place = self._shown(accepts)
        if present is None:
            what = f"the baseline {place} is gone"
        elif accepts.replaces is None:
            what = f"a baseline {place} is there by now"
        else:
            what = f"the baseline {place} has changed since"
        again = "run the comparison again and decide anew"
        older = f"stale: the report in {label_of(self.report)} is of an older run: the baselines have changed since"
        raise _RefusedError(f"stale: {what}; {again}", f"{older}; {again}")


def _unless_rivalled(carried: Carried, claim: _Claim, claimed: dict[str, str]) -> Carried:
    others = [name for digest, name in claimed.items() if digest != claim.digest]
    if not others:
        return carried
    words = f"{carried.words}: {others[0]} is accepted for the same baseline; accept one of the two"
    return Carried(carried.decision, "refused", words)


def _accepted(decision: Decision) -> AcceptRecord:
    if decision.accepts is None:
        raise _RefusedError(
            "nothing to accept: there is no actual picture, it could not be read, or it was not compared with a stored "
            "baseline (one whose picture is gone for good is deleted by hand)"
        )
    return decision.accepts


def _changed_source(accepts: AcceptRecord) -> str:
    return f"stale: {accepts.source} is not the picture that was looked at; run the comparison again and decide anew"


def _below(folder: Path, relative: str) -> Path:
    try:
        return path_below(folder, relative)
    except OutsideError as error:
        raise _RefusedError(f"{shortened(relative, _LONGEST_COMMENT)}: {error}; such a path is not followed") from error


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file's bytes; None where there is no file.

    Raises:
        _RefusedError: what is there is no file, or cannot be read.
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
"""Of a manifest; a hundred thousand decisions take less."""


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was decided of one comparison."""

    name: str
    """The comparison's, as in ``results.json``."""
    column: str | None
    """The run that it is from, in a report of several."""
    decision: Literal["accept", "alternative", "reject", "none"]
    comment: str
    accepts: AcceptRecord | None
    """What was looked at, and over what it would be written; None where nothing can be accepted."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All decisions over one report."""

    imgdiff: Literal["decisions"]
    version: int
    run: str
    """Which run's page they were made on."""
    decisions: list[Decision]


class _Marked(msgspec.Struct):
    """Whatever JSON object says that it holds decisions: read first, so that other versions are told by number."""

    imgdiff: Literal["decisions"]
    version: int


# Made when nothing else runs: msgspec crashes where two threads are the first to decode a type at the same time.
_MARKED = msgspec.json.Decoder(_Marked)
_MANIFEST = msgspec.json.Decoder(Manifest)


def read_manifest(path: Path) -> list[Decision]:
    """Read the decisions of a manifest.

    Raises:
        ReportError: the file cannot be read, is no JSON, is no manifest or one of another version, has an unknown,
            missing, mistyped or repeated field, or decides twice over one comparison; the message is one line.
    """
    shown = visible(str(path))
    decisions = _decoded(_text(path, shown), shown).decisions
    seen = set()
    for decision in decisions:
        if (decision.name, decision.column) in seen:
            raise ReportError(f"{shown}: decides twice over {visible(decision.name)}; export the decisions again")
        seen.add((decision.name, decision.column))
    return decisions


def _text(path: Path, shown: str) -> str:
    try:
        content = read_regular(path, MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path that holds a NUL
        cause = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ReportError(f"{shown}: cannot be read: {cause}") from error
    if len(content) > MOST_BYTES:
        raise ReportError(f"{shown}: larger than {MOST_BYTES // 1024**2} MiB, which no manifest is")
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
                "release that drew the report, or draw it again"
            )
        manifest = _MANIFEST.decode(text)
        json.loads(text, object_pairs_hook=_without_repetition)  # whose shape is known by now: neither deep nor odd
    except msgspec.ValidationError as error:
        raise ReportError(f"{shown}: not decisions that a report exported: {visible(str(error))}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ReportError(f"{shown}: not JSON: {visible(str(error))}") from error
    except _RepeatedKeyError as error:
        raise ReportError(f"{shown}: the key {visible(str(error))!r} stands twice in one object") from error
    return manifest


class _RepeatedKeyError(Exception):
    """A key that stands twice: two readers of the file could take it for two different things."""


def _without_repetition(pairs: list[tuple[str, Any]]) -> None:
    keys = set()
    for key, _ in pairs:
        if key in keys:
            raise _RepeatedKeyError(key)
        keys.add(key)
