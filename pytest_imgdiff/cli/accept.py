"""``pytest-imgdiff accept``: write the decisions of a manifest, or images of a report, as baselines."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.project import label_of, project_folders
from pytest_imgdiff.base.text import counted, shortened, thousands, visible
from pytest_imgdiff.cli.parser import add_shared, refuse_in_ci
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import find_config, load_settings, name_matches
from pytest_imgdiff.report import close_results, open_results, read_results
from pytest_imgdiff.report.results_json import RESULTS_FILE
from pytest_imgdiff.run.accepting import Decision, Result, carry_out, read_manifest, root_of_baselines
from pytest_imgdiff.run.baseline_store import PUSH_LINE
from pytest_imgdiff.run.renames import RenameError, rename_baseline

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_imgdiff.base.record import ComparisonRecord, RenameRecord, RunRecord
    from pytest_imgdiff.run.accepting import Carried

_DONE, _REFUSED = 0, 2
_NAMED = 3
"""The most images that one line lists for the same cause."""
_LONGEST_NAME = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Write accepted images of a report as baselines. Images and baselines that changed since the report are "
        "refused. Exit code 0: done, 2: an image was refused or could not be written."
    )
    parser.add_argument("target", metavar="MANIFEST|REPORT", help="the exported decisions, or the folder of a report")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="GLOB",
        help="with REPORT: accept failed comparisons whose names match; can be repeated",
    )
    parser.add_argument(
        "--alternative",
        action="store_true",
        help="with REPORT: keep the baselines and add the images as alternatives",
    )
    parser.add_argument(
        "--renames",
        action="store_true",
        help="with REPORT: rename unused baselines that equal the images of tests without a baseline; --only GLOB "
        "selects the tests",
    )
    add_shared(parser, "--dry-run", "--root")
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="with MANIFEST: the folder of its report (default: the manifest's folder, else report.folder)",
    )
    add_shared(parser, "--in-ci")


def run(options: argparse.Namespace) -> int:
    """Carry out the decisions and print the result.

    Returns:
        0: all decisions are carried out, or there is nothing to accept. 2: an image was refused or could not be
        written; a line on standard error reports why.

    Raises:
        ImgdiffError: an argument is invalid; nothing was written.
    """
    refuse_in_ci(options)
    here = Path.cwd()
    if options.renames:
        return _rename(options, here)
    decisions, report = _decided(options, Path(options.target), Path(options.root or here))
    if decisions is None:
        return _DONE
    if options.root is not None:
        root = Path(options.root)
    else:
        run = open_results(report / RESULTS_FILE)
        root = root_of_baselines(report, run, here)
        close_results(run)
    carried = carry_out(decisions, report, root, dry_run=options.dry_run, here=here)
    _print_result(carried, dry_run=options.dry_run)
    if any(one.result == "accepted" for one in carried) and _has_store(root):
        print(PUSH_LINE)
    return _DONE if all(one.is_done for one in carried) else _REFUSED


def _has_store(root: Path) -> bool:
    """Return whether the project keeps its baselines in a store."""
    with suppress(ConfigError):  # the baselines are written; other commands report invalid settings
        return load_settings(find_config(root), Registry(), folder=root).baselines.store is not None
    return False


def _rename(options: argparse.Namespace, here: Path) -> int:
    """Rename the baselines that a report offers to rename."""
    target = Path(options.target)
    if options.alternative or options.report is not None or not (target.is_dir() or target.name == RESULTS_FILE):
        raise ConfigError(
            "--renames needs the folder of a report, and can be combined with --only, --root and --dry-run only"
        )
    report = target if target.is_dir() else target.parent
    run = read_results(report / RESULTS_FILE)
    root = Path(options.root) if options.root is not None else root_of_baselines(report, run, here)
    chosen = [
        one for one in run.renames if not options.only or any(_is_selected(glob, one.name) for glob in options.only)
    ]
    if not chosen:
        raise ConfigError(f"--renames: {label_of(report)} has no such baseline to rename")
    done = [_is_renamed(rename, run, root, dry_run=options.dry_run) for rename in chosen]
    return _DONE if all(done) else _REFUSED


def _is_renamed(rename: RenameRecord, run: RunRecord, root: Path, *, dry_run: bool) -> bool:
    try:
        rename_baseline(rename, run, root, dry_run=dry_run)
    except RenameError as error:
        print(f"pytest-imgdiff: refused: {visible(rename.name)}: {visible(str(error))}", file=sys.stderr)
        return False
    done = "would be renamed" if dry_run else "renamed"
    print(f"{done}: {visible(rename.old)} -> {visible(rename.new)}")
    return True


def _decided(options: argparse.Namespace, target: Path, root: Path) -> tuple[list[Decision] | None, Path]:
    """Return the decisions, and the folder of the report that they were made on.

    The decisions are None if every selected comparison passed; a line was printed.
    """
    if not target.is_dir() and target.name != RESULTS_FILE:
        if options.alternative:
            raise ConfigError("--alternative needs a report and --only; a manifest has a decision for each image")
        if options.only:
            raise ConfigError(f"--only needs the folder of a report, and {label_of(target)} is not a folder")
        return read_manifest(target), _report_of(target, options.report, root)
    if options.report is not None:
        raise ConfigError(f"--report is for a manifest; {label_of(target)} is a report")
    report = target if target.is_dir() else target.parent
    run = open_results(report / RESULTS_FILE)
    try:
        return _chosen(options, run), report
    finally:
        close_results(run)


def _chosen(options: argparse.Namespace, run: RunRecord) -> list[Decision] | None:
    """Return the decisions of ``--only``; None if every selected comparison passed."""
    if not options.only:
        if run.comparisons and run.complete and all(record.passed for record in run.comparisons):
            _print_nothing_to_accept(len(run.comparisons))
            return None
        raise ConfigError("accept: a report needs --only GLOB, or --only '**' for all failed images")
    decision: Literal["accept", "alternative"] = "alternative" if options.alternative else "accept"
    failed, passed = _selected(run.comparisons, options.only)
    if not failed:
        _print_nothing_to_accept(passed)
        return None
    return [Decision(record.name, record.column, decision, "", record.accepts) for record in failed]


def _print_nothing_to_accept(passed: int) -> None:
    only = "the comparison passed" if passed == 1 else f"all {counted(passed, 'comparison')} passed"
    print(f"nothing to accept: {only}")


def _report_of(manifest: Path, named: str | None, root: Path) -> Path:
    """Return the report's folder: of ``--report``, else the manifest's, else of the settings."""
    if named is not None:
        return Path(named)
    if (manifest.parent / RESULTS_FILE).is_file():
        return manifest.parent
    configured = load_settings(find_config(root), Registry(), folder=root).report.folder
    above = [folder / configured.name for folder in project_folders(root)]
    for folder in (manifest.parent / configured.name, configured, *above):
        if (folder / RESULTS_FILE).is_file():
            return folder
    raise ConfigError(
        f"{label_of(manifest)}: its report is neither in the same folder nor in "
        f"{label_of(configured)}; pass its folder with --report DIR"
    )


def _selected(records: Sequence[ComparisonRecord], globs: Sequence[str]) -> tuple[list[ComparisonRecord], int]:
    """Return the failed comparisons whose names equal or match a glob, in the order of the globs, and count the passed.

    Raises:
        ConfigError: a glob matches no comparison.
    """
    failed: dict[tuple[str, str | None], ComparisonRecord] = {}
    passed: set[int] = set()
    for glob in globs:
        found = False
        for number, record in enumerate(records):
            if not _is_selected(glob, record.name):
                continue
            found = True
            if record.passed:
                passed.add(number)
            else:
                failed[record.name, record.column] = record
        if not found:
            example = f"; a name is, for example, {visible(records[0].name)}" if records else ""
            raise ConfigError(f"--only {visible(glob)}: matches none of {counted(len(records), 'comparison')}{example}")
    return list(failed.values()), len(passed)


def _is_selected(glob: str, name: str) -> bool:
    """Return whether the name matches or equals the glob: pasted names of tests contain brackets."""
    if glob in {name, visible(name)}:
        return True
    try:
        return name_matches(glob, name)
    except ConfigError as error:
        raise ConfigError(f"--only: {error}") from error


def _print_result(carried: Sequence[Carried], *, dry_run: bool) -> None:
    causes = Counter(one.cause for one in carried if one.cause)
    shared = [cause for cause, count in causes.items() if count > 1]
    for cause in shared:
        names = [visible(shortened(one.decision.name, _LONGEST_NAME)) for one in carried if one.cause == cause]
        more = f" and {thousands(len(names) - _NAMED)} more" if len(names) > _NAMED else ""
        which = f"{counted(len(names), 'image')} ({', '.join(names[:_NAMED])}{more})"
        print(f"pytest-imgdiff: refused: {which}: {visible(cause)}", file=sys.stderr)
    for one in carried:
        if one.cause in shared:
            continue
        if not one.is_done:
            print(f"pytest-imgdiff: {one.line}", file=sys.stderr)
        elif one.result != "left" or one.decision.comment.strip():
            print(one.line)
    counts = Counter(one.result for one in carried)
    parts = [f"{counts[result]} {result}" for result in get_args(Result) if counts[result] and result != "left"]
    total = ", ".join(parts) or "nothing was decided"
    print(f"{total}; nothing was written (--dry-run)" if dry_run else total)
