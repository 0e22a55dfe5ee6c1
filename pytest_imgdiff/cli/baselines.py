"""``pytest-imgdiff baselines``: pull, push, status, gc."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.git import Git, GitError
from pytest_imgdiff.base.project import find_config, label_of
from pytest_imgdiff.base.stores import ObjectStore
from pytest_imgdiff.base.text import counted, visible
from pytest_imgdiff.cli.parser import above_zero, add_shared
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import load_settings
from pytest_imgdiff.report.files import write_output
from pytest_imgdiff.run.baseline_store import PULL, BaselineStore

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from pytest_imgdiff.run.baseline_store import Changes, Collected, Pulled, Pushed, Resolved, Status

    _Verb = Callable[[argparse.Namespace, BaselineStore], tuple[int, dict[str, Any], list[str]]]

_DONE, _DIFFERS, _REFUSED = 0, 1, 2
_SHORT = 8
_STDOUT = "-"
_PUSH = "pytest-imgdiff baselines push"
_MEGABYTE = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Keep baselines in a store such as S3, by commit, instead of in Git. Exit code 0: done, 1: status "
        "found a difference, 2: failed, or another push for the same commit exists."
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    pull = verbs.add_parser("pull", help="write the baselines of the commit to the baselines folder")
    push = verbs.add_parser("push", help="store the baselines folder as the baselines of the commit")
    status = verbs.add_parser("status", help="print how folder, commit and store differ")
    gc = verbs.add_parser("gc", help="list what no kept commit needs; remove it with --delete")
    for verb, act in ((pull, _pull), (push, _push), (status, _status), (gc, _gc)):
        verb.set_defaults(verb=act)
        add_shared(verb, "--config", "--json")
    for verb in (pull, push, status):
        verb.add_argument("--commit", metavar="COMMIT", help="a branch, tag or hash (default: HEAD)")
    for verb, forced in (
        (pull, "overwrite local changes that are not pushed, and restore removed files"),
        (push, "push even if the store has baselines that were not pulled"),
    ):
        add_shared(verb, "--dry-run")
        verb.add_argument("--force", action="store_true", help=forced)
    source = pull.add_mutually_exclusive_group()
    source.add_argument(
        "--merge",
        metavar="COMMIT",
        help="also use the baselines of this commit, as if it were merged (after a squash)",
    )
    source.add_argument(
        "--manifest", metavar="SHA256", help="for a commit with several manifests: the first characters of one"
    )
    push.add_argument("--allow-dirty", action="store_true", help="push even if tracked files have uncommitted changes")
    gc.add_argument(
        "--keep-days",
        type=above_zero,
        default=30.0,
        metavar="DAYS",
        help="keep younger manifests of commits that this clone does not have (default: 30)",
    )
    removing = gc.add_mutually_exclusive_group()
    removing.add_argument("--delete", action="store_true", help="remove the listed objects and manifests")
    removing.add_argument("--dry-run", action="store_true", help="print only; the default")


def run(options: argparse.Namespace) -> int:
    """Run the verb.

    Returns:
        0: done. 1: ``status`` found a difference. 2: another push for the same commit exists; the store keeps both.

    Raises:
        ImgdiffError: the verb failed; the message is one line.
    """
    store = _store(options)
    verb: _Verb = options.verb
    code, result, lines = verb(options, store)
    if options.json is not None:
        write_output(json.dumps(result, indent=2).encode() + b"\n", options.json, "the result")
    stream = sys.stderr if options.json == _STDOUT else sys.stdout
    for line in lines:
        print(visible(line), file=stream)
    return code


def _store(options: argparse.Namespace) -> BaselineStore:
    config = find_config(Path.cwd()) if options.config is None else Path(options.config)
    settings = load_settings(config, Registry())
    if settings.baselines.store is None:
        where = "imgdiff.yaml" if config is None else label_of(config)
        raise ConfigError(
            f"{where}: baselines.store is not set; add `baselines: {{store: s3://bucket/prefix}}`, another URL or a "
            "folder"
        )
    return BaselineStore(ObjectStore(settings.baselines.store), settings.baselines.folder, Git(settings.folder))


def _pull(options: argparse.Namespace, store: BaselineStore) -> tuple[int, dict[str, Any], list[str]]:
    done = store.pull(
        options.commit,
        merge_with=options.merge,
        manifest=options.manifest,
        force=options.force,
        dry_run=options.dry_run,
    )
    lines = [_about(done.resolved, store)]
    if options.dry_run:
        lines += _each("would be written", done.written) + _each("would be deleted", done.deleted)
        lines.append("nothing was changed (--dry-run)")
    else:
        lines.append(_pull_line(done))
    lines += _each("kept, not in the store", done.here.new) + _each("kept, changed here", done.here.changed)
    lines += [
        f"{line} (`{PULL} --force` restores it)" for line in _each("not restored, removed here", done.here.removed)
    ]
    if done.left_behind is not None:
        lines.append(
            f"note: this branch was at {done.left_behind[:_SHORT]}, whose baselines are no longer in its history "
            f"(rebased or amended?); `{PULL} --merge {done.left_behind[:_SHORT]}` adds them"
        )
    if _is_tracked(store):
        lines.append(f"note: add {label_of(store.folder)}/ to .gitignore; the store keeps its files")
    return _DONE, _pull_json(done, dry_run=options.dry_run), lines


def _is_tracked(store: BaselineStore) -> bool:
    """Return whether Git does not ignore the baselines folder, so that Git and the store would both keep it."""
    try:
        return store.git.is_repository() and not store.git.ignores(store.folder / "x.png")
    except GitError:  # Git is not installed
        return False


def _pull_line(done: Pulled) -> str:
    if not (done.written or done.deleted):
        return "the folder is up to date"
    parts = [f"{counted(len(done.written), 'file')} written"]
    parts += [f"{counted(len(done.deleted), 'file')} deleted"] if done.deleted else []
    return f"{', '.join(parts)}; {counted(done.fetched, 'object')} fetched, {done.cached} from the cache"


def _pull_json(done: Pulled, *, dry_run: bool) -> dict[str, Any]:
    return {
        **_resolved_json(done.resolved),
        "dry_run": dry_run,
        "written": done.written,
        "deleted": done.deleted,
        "fetched": done.fetched,
        "cached": done.cached,
        "local": _changes_json(done.here),
        "left_behind": done.left_behind,
    }


def _push(options: argparse.Namespace, store: BaselineStore) -> tuple[int, dict[str, Any], list[str]]:
    done = store.push(options.commit, force=options.force, allow_dirty=options.allow_dirty, dry_run=options.dry_run)
    return (_REFUSED if done.rivals else _DONE), _push_json(done, options), _push_lines(done, options)


def _push_lines(done: Pushed, options: argparse.Namespace) -> list[str]:
    what = f"{counted(done.files, 'baseline')} of {done.commit[:_SHORT]}"
    if done.is_there:
        again = f", {counted(len(done.uploaded), 'missing object')} uploaded again" if done.uploaded else ""
        return [f"{what}: the store already has them (manifest {done.manifest[:_SHORT]}){again}"]
    if options.dry_run:
        listed = _each("would be uploaded", done.uploaded)
        return [
            *listed,
            f"{what}: {counted(len(listed), 'object')} would be uploaded; nothing was uploaded (--dry-run)",
        ]
    lines = [f"{what}: {counted(len(done.uploaded), 'object')} uploaded, manifest {done.manifest[:_SHORT]}"]
    if done.rivals:
        both = " and ".join(digest[:_SHORT] for digest in [done.manifest, *done.rivals])
        lines.append(
            f"conflict: another push for {done.commit[:_SHORT]} ran at the same time; both are kept: {both}; choose "
            f"one with `{PULL} --manifest {done.manifest[:_SHORT]}`, and push it"
        )
    return lines


def _push_json(done: Pushed, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "commit": done.commit,
        "dry_run": options.dry_run,
        "files": done.files,
        "manifest": done.manifest,
        "already_there": done.is_there,
        "uploaded": done.uploaded,
        "conflicts_with": done.rivals,
    }


def _status(options: argparse.Namespace, store: BaselineStore) -> tuple[int, dict[str, Any], list[str]]:
    found = store.status(options.commit)
    return (_DONE if found.in_step else _DIFFERS), _status_json(found), _status_lines(found, store)


def _status_lines(found: Status, store: BaselineStore) -> list[str]:
    if found.conflict:
        lines = [f"conflict: {found.conflict}"]
    elif found.resolved is None:
        lines = [f"{store.store.label}: no baselines for {found.commit[:_SHORT]} or a commit before it"]
    else:
        lines = [_about(found.resolved, store)]
    if found.state is None:
        lines.append(f"nothing was pulled yet: `{PULL}`")
    elif not found.is_current:
        lines.append(f"out of date: what is here was pulled for {found.state.head[:_SHORT]}: `{PULL}`")
    lines += _each("new", found.here.new) + _each("changed", found.here.changed) + _each("removed", found.here.removed)
    lines += _each("missing in the store", found.missing)
    if found.here.any():
        lines.append(f"not pushed: `{_PUSH}`")
    if found.missing:
        lines.append(f"run `{_PUSH}` where these baselines are")
    return [*lines, "in step"] if found.in_step else lines


def _status_json(found: Status) -> dict[str, Any]:
    nothing = {"commit": found.commit, "sources": [], "files": 0}
    return {
        **(nothing if found.resolved is None else _resolved_json(found.resolved)),
        "conflict": found.conflict or None,
        "pulled_for": None if found.state is None else found.state.head,
        "current": found.is_current,
        "in_step": found.in_step,
        "local": _changes_json(found.here),
        "missing_in_store": found.missing,
    }


def _gc(options: argparse.Namespace, store: BaselineStore) -> tuple[int, dict[str, Any], list[str]]:
    done = store.collect(options.keep_days, delete=options.delete)
    return _DONE, _gc_json(done, options), _gc_lines(done, options)


def _gc_lines(done: Collected, options: argparse.Namespace) -> list[str]:
    verb = "removed" if options.delete else "would be removed"
    size = sum(done.objects.values()) / _MEGABYTE
    lines = [] if options.delete else _each(verb, done.manifests)
    lines.append(
        f"{verb}: {counted(len(done.manifests), 'manifest')} and {counted(len(done.objects), 'object')} "
        f"({size:.1f} MB); {counted(done.kept_manifests, 'manifest')} and {counted(done.kept_objects, 'object')} kept"
    )
    return lines if options.delete else [*lines, "nothing was removed; add --delete"]


def _gc_json(done: Collected, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "deleted": options.delete,
        "manifests": done.manifests,
        "objects": done.objects,
        "kept_manifests": done.kept_manifests,
        "kept_objects": done.kept_objects,
    }


def _about(resolved: Resolved, store: BaselineStore) -> str:
    """Describe which baselines belong to the commit."""
    named = []
    for source in resolved.sources:
        same = (
            ""
            if source.pushed_for == source.commit
            else f", pushed for {source.pushed_for[:_SHORT]} with the same files"
        )
        if source.commit == resolved.commit or not store.git.is_ancestor(source.commit, resolved.commit):
            named.append(f"{source.commit[:_SHORT]}{same}")
        else:
            before = counted(store.git.count(source.commit, resolved.commit), "commit")
            named.append(f"{source.commit[:_SHORT]} ({before} before {resolved.commit[:_SHORT]}{same})")
    return f"{counted(len(resolved.files), 'baseline')} of {' joined with '.join(named)}"


def _resolved_json(resolved: Resolved) -> dict[str, Any]:
    sources = [
        {"commit": source.commit, "pushed_for": source.pushed_for, "manifests": sorted(source.manifests)}
        for source in resolved.sources
    ]
    return {"commit": resolved.commit, "sources": sources, "files": len(resolved.files)}


def _changes_json(changes: Changes) -> dict[str, list[str]]:
    return {"new": changes.new, "changed": changes.changed, "removed": changes.removed}


def _each(word: str, names: Iterable[str]) -> list[str]:
    return [f"{word}: {name}" for name in names]
