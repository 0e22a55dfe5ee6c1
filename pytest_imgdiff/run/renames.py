"""Renamed tests: their old baselines are found by content, and renamed on request."""

from __future__ import annotations

import hashlib
import os
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import BaselineError, ImgdiffError
from pytest_imgdiff.base.files import OutsideError, path_below, sync_folder
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.record import RenameRecord
from pytest_imgdiff.base.text import printable, safe_name, visible
from pytest_imgdiff.comparison.engine import compare
from pytest_imgdiff.run.baselines import ALTERNATIVE, UNCLEAN, is_baseline_file, module_place, stored_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord
    from pytest_imgdiff.run.baselines import Survey
    from pytest_imgdiff.run.journal import Merged
    from pytest_imgdiff.run.session import Workspace

MOST_COMPARED = 500
"""Most unequal pairs to compare in a run with many missing and unused baselines."""


def find_renames(workspace: Workspace, merged: Merged, survey: Survey) -> list[RenameRecord]:
    """Return the unused baselines that have the image of a test without a baseline.

    A stored image is considered if its test file was removed, or if all tests of its module ran, none has its name, and
    all failures were image differences: after another error, a test may not have reached its comparison.

    Args:
        workspace: of the run.
        merged: the records of all processes.
        survey: the unused stored images.
    """
    failed = [merged.records[number] for number in merged.records.overview.failures()]
    missing = [record for record in failed if record.verdict == "missing" and _place(workspace, record) is not None]
    if not missing:
        return []
    unused = dict.fromkeys(_candidates(workspace, merged, survey, {record.test for record in failed}))
    digests = {path: hashlib.sha256(read_regular(path)).hexdigest() for path in unused}
    found: list[RenameRecord] = []
    for record in missing:
        equal = (path for path in digests if record.accepts and digests[path] == record.accepts.digest)
        old = next((path for path in equal if _is_of_setting(workspace, record, path)), None)
        if old is not None:
            found.append(_rename(workspace, record, old, digests.pop(old), equal=True))
    pairs = ((record, path) for record in missing for path in list(digests))
    for record, path in islice(pairs, MOST_COMPARED):
        if (
            path in digests
            and _is_of_setting(workspace, record, path)
            and record.name not in {one.name for one in found}
            and _passes(workspace, record, path)
        ):
            found.append(_rename(workspace, record, path, digests.pop(path), equal=False))
    return found


def _place(workspace: Workspace, record: ComparisonRecord) -> str | None:
    """Return the path of a comparison's baseline below the baselines folder; None if it has none."""
    if record.accepts is None:
        return None
    path = workspace.root / record.accepts.baseline
    folder = workspace.baselines.folder
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else None


def _is_of_setting(workspace: Workspace, record: ComparisonRecord, path: Path) -> bool:
    """Return whether a baseline is for the browser, viewport, ... of the comparison, or in another layout."""
    baselines, place = workspace.baselines, _place(workspace, record)
    setting = baselines.setting_of(baselines.relative(path))
    return place is None or not any(setting) or setting == baselines.setting_of(place)


def _candidates(workspace: Workspace, merged: Merged, survey: Survey, failed: set[str | None]) -> Iterator[Path]:
    unexplained = {module_place(module) for module, tests in merged.unclean.items() if not tests <= failed}
    names = {safe_name(name.partition("::")[2].replace("::", ".")) for name in merged.collected}
    for path in survey.orphans:
        if _is_movable(workspace, path):
            yield path
    for path in [*survey.unused, *survey.left.get(UNCLEAN, [])]:
        named = workspace.baselines.module_and_test(path)
        if named is None or not _is_movable(workspace, path):
            continue
        module, test = named
        if module not in unexplained and not {test, re.sub(r"-\d+$", "", test)} & names:
            yield path


def _is_movable(workspace: Workspace, path: Path) -> bool:
    name = path.relative_to(workspace.root).as_posix() if path.is_relative_to(workspace.root) else "\0"
    return printable(name) == name and not path.is_symlink() and ALTERNATIVE.search(path.stem) is None


def _passes(workspace: Workspace, record: ComparisonRecord, path: Path) -> bool:
    place = _place(workspace, record)
    if place is None or record.accepts is None or workspace.results is None:
        return False
    source = workspace.results.directory / record.accepts.source
    try:
        return compare(path, source, workspace.policy(place), registry=workspace.registry).passed
    except ImgdiffError:
        return False


def _rename(workspace: Workspace, record: ComparisonRecord, old: Path, digest: str, *, equal: bool) -> RenameRecord:
    if record.accepts is None:
        raise AssertionError(record.name)
    new = Path(record.accepts.baseline).with_suffix(old.suffix).as_posix()
    return RenameRecord(record.name, old.relative_to(workspace.root).as_posix(), new, digest, equal)


class RenameError(ImgdiffError):
    """The reason why a baseline is not renamed."""


def rename_baseline(rename: RenameRecord, run: RunRecord, root: Path, *, dry_run: bool) -> None:
    """Move a baseline, with its alternatives, to the path for the renamed test.

    Args:
        rename: the rename that the report suggests.
        run: the report.
        root: base folder of the paths; nothing outside it is moved.
        dry_run: only verify.

    Raises:
        RenameError: a test uses the baseline, it has changed since, the new path exists, or a file cannot be moved.
    """
    try:
        old, new = path_below(root, rename.old), path_below(root, rename.new)
        stored = stored_for(old)
        taken = stored_for(new)
        content = None if not stored or stored[0] != old or old.is_symlink() else read_regular(old)
    except (OutsideError, BaselineError, OSError) as error:
        raise RenameError(f"{rename.old}: {error}") from error
    if content is None or not is_baseline_file(old) or not is_baseline_file(new):
        raise RenameError(f"{rename.old}: this baseline no longer exists, or is a symbolic link: move it yourself")
    if hashlib.sha256(content).hexdigest() != rename.digest:
        raise RenameError(f"stale: the baseline {rename.old} has changed since; run the tests again")
    if user := next((record.name for record in run.comparisons if _uses(record, rename.old)), None):
        raise RenameError(f"{rename.old}: used by {visible(user)}")
    if taken:
        raise RenameError(f"stale: a baseline {rename.new} was added; run the tests again")
    if not dry_run:
        _move([(file, new.with_name(f"{new.stem}{file.stem[len(old.stem) :]}{file.suffix}")) for file in stored])


def _uses(record: ComparisonRecord, baseline: str) -> bool:
    labels = {record.expected.label} if record.expected is not None else set()
    return baseline in labels or (record.accepts is not None and record.accepts.baseline == baseline)


def _move(files: Sequence[tuple[Path, Path]]) -> None:
    """Move all files or none. The baseline itself is moved last, so that its test does not find a partial set."""
    moved: list[tuple[Path, Path]] = []
    try:
        for old, new in reversed(files):
            new.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(new):
                raise FileExistsError(17, "a file is in the way", str(new))
            old.rename(new)
            moved.append((old, new))
    except OSError as error:
        for old, new in reversed(moved):
            new.rename(old)
        raise RenameError(f"{files[0][0]}: {error.strerror or error}; nothing was moved") from error
    sync_folder(files[0][1].parent)
