"""Baselines in a store that all checkouts share: images named by their content, and a manifest for each commit.

The store contains ``objects/ab/cdef...``, named by the SHA-256 of their content, and
``manifests/<commit>/<tree>.<sha256>.json``, named by the commit, its tree and the manifest's own SHA-256. Nothing is
overwritten: two pushes for one commit create two manifests. A later one lists those that it supersedes; two manifests
that do not list each other are a conflict, which is reported.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import msgspec

from pytest_imgdiff.base.environment import users_cache
from pytest_imgdiff.base.errors import BaselineError, UnreadableError
from pytest_imgdiff.base.files import OutsideError, locked, path_below, path_mistake, write_atomically
from pytest_imgdiff.base.git import Commit, Git, GitError, is_hash
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.stores import MOST_BYTES, ObjectStore
from pytest_imgdiff.base.text import counted, printable
from pytest_imgdiff.images.sniff import sniff
from pytest_imgdiff.run.baselines import PICTURE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

CACHE_VARIABLE = "IMGDIFF_CACHE"
STATE_FILE = ".imgdiff-store.json"
"""File in the baselines folder: the `State` after the last pull or push."""
STAGE = ".imgdiff-pull"
"""Folder in the baselines folder during a pull: the new files."""
PULL = "pytest-imgdiff baselines pull"
PUSH_LINE = "the baselines are in a store: commit your change, then run `pytest-imgdiff baselines push`"
"""The line to print after baselines were accepted."""
VERSION = 1
_DAY = 24 * 3600.0
GRACE = _DAY
"""Seconds that an object without a manifest is kept: its push may be running."""
_PLAN = "plan.json"
_MOST_MANIFEST = 256 * 1024 * 1024
_AT_ONCE = 8
"""Objects to upload or fetch in parallel."""
_MOST_NAMED = 5
_SHORT = 8
"""Digits of a hash in messages."""
_LOCK_WAIT = 30.0
_MANIFEST_NAME = re.compile(r"manifests/([0-9a-f]{40,64})/([0-9a-f]{40,64})\.([0-9a-f]{64})\.json")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a baseline."""

    sha256: str
    size: int

    @property
    def object(self) -> str:
        """Return the name of its object in the store."""
        return f"objects/{self.sha256[:2]}/{self.sha256[2:]}"


Files = dict[str, Entry]
"""Baselines by their paths below the baselines folder, with forward slashes."""


class StoreManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The baselines of a commit, written by a push."""

    imgdiff: Literal["baselines"] = "baselines"
    version: int = VERSION
    commit: str
    tree: str
    supersedes: list[str]
    """SHA-256 of the manifests of this commit that this one replaces."""
    files: Files


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The baselines folder after the last pull or push."""

    imgdiff: Literal["pulled baselines"] = "pulled baselines"
    version: int = VERSION
    head: str
    """The commit of the pull or push."""
    manifests: dict[str, str]
    """SHA-256 of the baselines' manifests, with the commit of each."""
    files: Files


class _Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that a pull replaces or deletes."""

    name: str
    before: str | None
    """SHA-256 of the old file; None if there was none."""
    staged: str | None
    """Name of the new file in the stage; None to delete the baseline."""


class _Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The moves of a pull after everything is fetched. The next pull finishes an interrupted one."""

    version: int
    moves: list[_Move]
    state: State


class _Marked(msgspec.Struct):
    imgdiff: str
    version: int


@dataclass(frozen=True)
class Source:
    """A commit whose baselines are used.

    Attributes:
        commit: in the history of the requested commit.
        pushed_for: the commit of its manifest: itself, or another one with the same files.
        manifests: by their SHA-256; several if they have the same baselines.
    """

    commit: str
    pushed_for: str
    manifests: Mapping[str, StoreManifest]

    @property
    def files(self) -> Files:
        """Return the baselines."""
        return next(iter(self.manifests.values())).files


@dataclass(frozen=True)
class Resolved:
    """The baselines that belong to a commit.

    Attributes:
        commit: the requested commit.
        sources: the nearest commits with baselines in its history; several if branches were merged since.
        files: the baselines; merged if there are several sources.
    """

    commit: str
    sources: tuple[Source, ...]
    files: Files

    @property
    def manifests(self) -> dict[str, str]:
        """SHA-256 of the baselines' manifests, with the commit of each."""
        return {
            digest: manifest.commit for source in self.sources for digest, manifest in sorted(source.manifests.items())
        }


class ConflictError(BaselineError):
    """Two equally near manifests have different images for one baseline.

    Attributes:
        manifests: SHA-256 of all of them.
    """

    def __init__(self, message: str, manifests: Iterable[str]) -> None:
        super().__init__(message)
        self.manifests: frozenset[str] = frozenset(manifests)


@dataclass(frozen=True)
class Changes:
    """The differences of the baselines folder from the last pull.

    Attributes:
        new, changed, removed: names of baselines.
    """

    new: list[str]
    changed: list[str]
    removed: list[str]

    @classmethod
    def between(cls, base: Files, local: Files) -> Changes:
        """Compare the pulled baselines with those of the folder."""
        return cls(
            sorted(local.keys() - base.keys()),
            sorted(name for name in local.keys() & base.keys() if local[name] != base[name]),
            sorted(base.keys() - local.keys()),
        )

    def any(self) -> bool:
        """Return whether there is a difference."""
        return bool(self.new or self.changed or self.removed)


@dataclass
class Pulled:
    """The result of a pull, or of a dry run.

    Attributes:
        resolved: the source of the baselines.
        written, deleted: names of baselines.
        here: local changes that the pull kept.
        left_behind: the commit whose baselines the folder had before, if this branch was at that commit and no longer
            has it in its history: it was rebased or amended.
        fetched, cached: the number of objects from the store and from the cache.
    """

    resolved: Resolved
    written: list[str]
    deleted: list[str]
    here: Changes
    left_behind: str | None = None
    fetched: int = 0
    cached: int = 0


@dataclass
class Pushed:
    """The result of a push, or of a dry run.

    Attributes:
        commit: its commit.
        files: the number of baselines.
        manifest: its SHA-256.
        is_there: whether the store already had these baselines for this commit.
        uploaded: names of the baselines whose objects were uploaded.
        rivals: SHA-256 of manifests that another push wrote for this commit at the same time.
    """

    commit: str
    files: int
    manifest: str
    is_there: bool
    uploaded: list[str]
    rivals: list[str] = field(default_factory=list)


@dataclass
class Collected:
    """The result of a garbage collection, or of a dry run.

    Attributes:
        manifests: their names in the store.
        objects: names, with sizes in bytes.
        kept_manifests, kept_objects: the number of kept ones.
    """

    manifests: list[str]
    objects: dict[str, int]
    kept_manifests: int
    kept_objects: int


@dataclass
class Status:
    """The differences between the folder and the store.

    Attributes:
        commit: the requested commit.
        resolved: its baselines; None if the store has none.
        conflict: why its baselines are ambiguous; empty if they are not.
        state: of the last pull; None if there was none.
        is_current: whether the last pull has the baselines of the commit.
        here: the differences of the folder from the baselines of the commit or, if they were not pulled, from the last
            pull.
        missing: baselines whose objects are missing in the store, or have another size.
    """

    commit: str
    resolved: Resolved | None
    conflict: str
    state: State | None
    is_current: bool
    here: Changes
    missing: list[str]

    @property
    def in_step(self) -> bool:
        """Return whether there is nothing to pull and nothing to push."""
        return self.is_current and not self.here.any() and not self.missing


class _Index(NamedTuple):
    """The manifests of a store.

    Attributes:
        names: of their objects, by commit and SHA-256.
        trees: commits by their tree.
    """

    names: dict[str, dict[str, str]]
    trees: dict[str, set[str]]


def merge(base: Files, sides: Sequence[Files]) -> tuple[Files, list[str]]:
    """Merge the changes that several sides made to one base; also return the names with conflicting changes."""
    files: Files = {}
    conflicts = []
    for name in sorted({*base, *(name for side in sides for name in side)}):
        before = base.get(name)
        changed = [value for value in (side.get(name) for side in sides) if value != before]
        if any(value != changed[0] for value in changed):
            conflicts.append(name)
            continue
        entry = changed[0] if changed else before
        if entry is not None:
            files[name] = entry
    return files, conflicts


def read_state(folder: Path) -> State | None:
    """Return the state after the last pull or push of a baselines folder; None if there was none.

    Raises:
        BaselineError: the file is damaged or has another version.
    """
    path = folder / STATE_FILE
    try:
        data = read_regular(path, _MOST_MANIFEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(f"{label_of(path)}: {error.strerror or error}") from None
    return _decoded(data, State, "pulled baselines", label_of(path), "; delete it and pull again")


def is_interrupted(folder: Path) -> bool:
    """Return whether a pull was interrupted while it replaced baselines, so that old and new ones are mixed."""
    return (folder / STAGE / _PLAN).is_file()


def refuse_interrupted(folder: Path) -> None:
    """Raise an error if old and new baselines are mixed in a folder.

    Raises:
        BaselineError: a pull was interrupted.
    """
    if is_interrupted(folder):
        raise BaselineError(
            f"{label_of(folder)}: a pull was interrupted while it replaced baselines, so old and new ones are mixed; "
            f"run `{PULL}` to finish it"
        )


def require_whole(folder: Path) -> None:
    """Raise an error if a pull of this folder was interrupted, or if its record of the last pull is unreadable.

    Raises:
        BaselineError: the message says what to do.
    """
    refuse_interrupted(folder)
    read_state(folder)


def pull_advice(folder: Path, name: str) -> str | None:
    """Return what to do about a missing baseline, if the project's baselines are in a store.

    Args:
        folder: of the baselines.
        name: of the baseline below it.
    """
    state = read_state(folder)
    if state is None:
        return f"nothing was pulled from the store yet; run `{PULL}`"
    if name in state.files:
        return f"it was removed after the last pull; restore it: `{PULL} --force`"
    return None


def stale_line(folder: Path, project: Path) -> str | None:
    """Return a line if the baselines were not pulled for the current commit. It does not access the store.

    Args:
        folder: of the baselines.
        project: a folder of the repository.
    """
    state = read_state(folder)
    if state is None:
        return f"the baselines are in a store, and nothing was pulled yet; run `{PULL}`"
    git = Git(project)
    try:
        head = git.commit("HEAD").hash
        if head == state.head:
            return None
        if not git.is_ancestor(state.head, head):
            return (
                f"the baselines may be out of date: they were pulled for {state.head[:_SHORT]}, which is not in the "
                f"history of HEAD ({head[:_SHORT]}); run `{PULL}`"
            )
        newer = counted(git.count(state.head, head), "commit")
    except GitError:
        return None  # without Git the commit is unknown
    return (
        f"the baselines may be out of date: they were pulled for {state.head[:_SHORT]}, and HEAD is {newer} later; "
        f"run `{PULL}`"
    )


@dataclass
class BaselineStore:
    """A project's baselines folder and its store.

    Args:
        store: with objects and manifests.
        folder: of the baselines.
        git: of the project.
    """

    store: ObjectStore
    folder: Path
    git: Git
    _manifests: dict[str, StoreManifest] = field(default_factory=dict)

    # ---- The baselines of a commit

    def start(self, name: str | None) -> Commit:
        """Return the commit of a name, or HEAD for None.

        Without a repository, as in a container image, a full hash is required.

        Raises:
            BaselineError: this is not a repository.
            GitError: the commit does not exist, or Git fails.
        """
        try:
            is_repository = self.git.is_repository()
        except GitError:
            if name is None or not is_hash(name):
                raise
            is_repository = False
        if is_repository:
            return self.git.commit("HEAD" if name is None else name)
        if name is None or not is_hash(name):
            raise BaselineError(
                f"{label_of(self.git.folder)}: not in a Git repository, so the commit is unknown; pass its full hash "
                "with --commit"
            )
        return Commit(name, "", ())

    def index(self) -> _Index:
        """List the manifests of the store."""
        index = _Index(defaultdict(dict), defaultdict(set))
        for name in self.store.objects("manifests"):
            if parts := _parts(name):
                commit, tree, digest = parts
                index.names[commit][digest] = name
                index.trees[tree].add(commit)
        return index

    def resolve(self, start: Commit, index: _Index, joined: Sequence[Commit] = ()) -> Resolved | None:
        """Return the baselines of a commit: its own, or those of the nearest commits in its history.

        A commit without a manifest uses the manifest of a commit with the same files, as a squashed branch has other
        commits. If several are nearest because branches were merged since, their baselines are merged: each baseline
        comes from the side that changed it.

        Args:
            start: the commit.
            index: of the store.
            joined: commits that count as merged into it.

        Raises:
            ConflictError: one commit has several manifests, or two sides changed one baseline.
            BaselineError: the clone is shallow and its history ends before a manifest; a manifest is damaged.
        """
        sources = tuple(self._source(commit, index) for commit in self._nearest([start, *joined], index))
        if len(sources) < 2:  # noqa: PLR2004 - nothing to join
            return Resolved(start.hash, sources, sources[0].files) if sources else None
        fork = self.git.merge_base([source.commit for source in sources])
        before = None if fork is None else self.resolve(self.git.commit(fork), index)
        files, conflicts = merge({} if before is None else before.files, [source.files for source in sources])
        if conflicts:
            sides = " and ".join(source.commit[:_SHORT] for source in sources)
            raise ConflictError(
                f"{sides} were merged, and both changed {_named(conflicts)}; pull one of them with --commit, accept "
                "what is right and run `pytest-imgdiff baselines push --force`",
                (digest for source in sources for digest in source.manifests),
            )
        return Resolved(start.hash, sources, files)

    def _nearest(self, starts: Sequence[Commit], index: _Index) -> list[Commit]:
        """Return the commits with manifests in this history that have no descendant with one in it."""
        if not starts[0].tree:  # without a repository
            return [start for start in starts if start.hash in index.names]
        ends = self.git.ends_of_shallow_history()
        left, behind, found = {start.hash for start in starts}, set[str](), list[Commit]()
        with closing(self.git.history([start.hash for start in starts])) as history:
            for commit in history:
                left.discard(commit.hash)
                if commit.hash in behind:
                    behind.update(commit.parents)
                elif commit.hash in index.names or commit.tree in index.trees:
                    found.append(commit)
                    behind.update(commit.parents)
                elif commit.hash in ends:
                    raise BaselineError(
                        "this clone is shallow, and its history ends before a commit with baselines; run `git fetch "
                        "--unshallow`, or set `fetch-depth: 0` for actions/checkout"
                    )
                else:
                    left.update(parent for parent in commit.parents if parent not in behind)
                left -= behind
                if not left:
                    break
        return found

    def _source(self, commit: Commit, index: _Index) -> Source:
        twins = [commit.hash] if commit.hash in index.names else sorted(index.trees[commit.tree])
        heads = {digest: manifest for twin in twins for digest, manifest in self.heads(twin, index).items()}
        if any(manifest.files != next(iter(heads.values())).files for manifest in heads.values()):
            # Of two commits with the same files, one after the other, the later one has the right baselines.
            later = {
                one for one in twins if not any(one != other and self.git.is_ancestor(one, other) for other in twins)
            }
            heads = {digest: manifest for digest, manifest in heads.items() if manifest.commit in later}
        manifests = list(heads.values())
        if differing := sorted(
            {name for one in manifests for name in _differing(one.files, manifests[0].files)},
        ):
            named = " and ".join(digest[:_SHORT] for digest in heads)
            raise ConflictError(
                f"commit {commit.hash[:_SHORT]} has {len(heads)} sets of baselines, {named}, pushed "
                f"independently and differ in {_named(differing)}: choose one with "
                f"`{PULL} --manifest {next(iter(heads))[:_SHORT]}`, and push it",
                heads,
            )
        return Source(commit.hash, manifests[0].commit, heads)

    def heads(self, commit: str, index: _Index) -> dict[str, StoreManifest]:
        """Return the manifests of a commit that are not superseded, by their SHA-256."""
        names = index.names.get(commit, {})
        found = {digest: self.manifest(name) for digest, name in sorted(names.items())}
        superseded = {digest for manifest in found.values() for digest in manifest.supersedes}
        return {digest: manifest for digest, manifest in found.items() if digest not in superseded}

    def manifest(self, name: str) -> StoreManifest:
        """Return a verified manifest of the store.

        Raises:
            BaselineError: it cannot be read, or does not match its name.
        """
        if name not in self._manifests:
            self._manifests[name] = self._read_manifest(name)
        return self._manifests[name]

    def _read_manifest(self, name: str) -> StoreManifest:
        data = self.store.read(name, _MOST_MANIFEST)
        label = f"{self.store.label}/{name}"
        if hashlib.sha256(data).hexdigest() not in _parts(name):
            raise BaselineError(
                f"{label}: the content does not match the SHA-256 in its name: truncated, damaged or forged; "
                "delete this object and push the baselines of the commit again"
            )
        manifest = _decoded(data, StoreManifest, "baselines", label)
        if (manifest.commit, manifest.tree) != _parts(name)[:2]:
            raise BaselineError(f"{label}: invalid content: it is the manifest of another commit")
        for path, entry in manifest.files.items():
            _require_name(path, label)
            if not re.fullmatch("[0-9a-f]{64}", entry.sha256) or not 0 < entry.size <= MOST_BYTES:
                raise BaselineError(f"{label}: {printable(path)}: invalid SHA-256 or size")
        return manifest

    # ---- The folder

    def local(self, *, checked: bool = False) -> Files:
        """Return the baselines of the folder by their content.

        Args:
            checked: raise if one is not an image.

        Raises:
            BaselineError: one cannot be read.
        """
        names = list(_pictures_in(self.folder))
        look = self._checked if checked else self._read
        return dict(zip(names, _each(lambda name: _entry(look(name)), names), strict=True))

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        try:
            return read_regular(path, MOST_BYTES + 1)
        except OSError as error:
            raise BaselineError(f"{label_of(path)}: cannot be read: {error.strerror or error}") from None

    def _checked(self, name: str) -> bytes:
        """Return the content of a baseline to push.

        Raises:
            BaselineError: it is not an image (for example a pointer of Git LFS), or too large.
        """
        label = label_of(self.folder / name)
        _require_name(name, label)
        data = self._read(name)
        if len(data) > MOST_BYTES:
            raise BaselineError(f"{label}: larger than {MOST_BYTES:,} bytes, the limit for one image")
        try:
            sniff(data)
        except UnreadableError as error:
            kind = "" if error.kind is None else f"{error.kind}: "
            raise BaselineError(f"{label}: {kind}{error.cause}; nothing was pushed") from None
        return data

    # ---- Pull

    def pull(
        self,
        name: str | None,
        *,
        merge_with: str | None = None,
        manifest: str | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> Pulled:
        """Replace the folder's baselines by those of a commit.

        All of them are fetched and verified before the first file of the folder changes.

        Args:
            name: of the commit; None for HEAD.
            merge_with: name of a commit whose baselines are merged with these, as if it were in the history: after a
                squash no commit of the branch is.
            manifest: the first digits of a manifest's SHA-256, to choose it if a commit has several.
            force: overwrite local changes that were not pushed, and restore removed files.
            dry_run: change nothing.

        Raises:
            BaselineError: it is not possible; the folder is unchanged.
        """
        with self._locked():
            if not dry_run:
                self._finish()
            refuse_interrupted(self.folder)
            start = self.start(name)
            index = self.index()
            joined = [] if merge_with is None else [self.start(merge_with)]
            resolved = self._chosen(start, manifest, index) if manifest else self.resolve(start, index, joined)
            if resolved is None:
                raise BaselineError(
                    f"{self.store.label}: no baselines for commit {start.hash[:_SHORT]} or an ancestor; push them "
                    "first: `pytest-imgdiff baselines push`"
                )
            state, local = read_state(self.folder), self.local()
            base = {} if state is None else state.files
            target, conflicts = merge(base, [local, resolved.files])
            if force:
                target = resolved.files | {
                    name: entry for name, entry in local.items() if name not in base and name not in resolved.files
                }
            elif conflicts:
                raise BaselineError(
                    f"{label_of(self.folder)}: {_named(conflicts)} changed both here and in the store; nothing was "
                    "written: keep a copy of yours, overwrite them with --force, and accept again"
                )
            done = Pulled(
                resolved,
                sorted(name for name, entry in target.items() if local.get(name) != entry),
                sorted(local.keys() - target.keys()),
                Changes.between(resolved.files, target),
                self._abandoned_commit(state, resolved) if start.tree else None,
            )
            if not dry_run:
                self._require_free(done.written)
                seen = resolved.manifests
                if manifest:  # the user chose one of them: the next push supersedes all
                    twins = {
                        commit
                        for source in resolved.sources
                        for commit in self._commits_with_equal_trees(source.pushed_for, index)
                    }
                    seen |= {digest: commit for commit in twins for digest in self.heads(commit, index)}
                self._replace_files(done, target, local, State(head=start.hash, manifests=seen, files=resolved.files))
            return done

    def _abandoned_commit(self, state: State | None, resolved: Resolved) -> str | None:
        if (
            state is None
            or state.head not in state.manifests.values()
            or state.manifests.keys() <= resolved.manifests.keys()
        ):
            return None
        if self.git.is_ancestor(state.head, resolved.commit) or not self.git.was_at(state.head):
            return None
        return state.head

    def _chosen(self, start: Commit, digest: str, index: _Index) -> Resolved:
        """Return the baselines of the only manifest whose SHA-256 starts with these digits."""
        found = {
            each: name for names in index.names.values() for each, name in names.items() if each.startswith(digest)
        }
        if len(found) != 1:
            raise BaselineError(
                f"--manifest {printable(digest)}: {counted(len(found), 'manifest')} in the store start with this; pass "
                "more digits, as the message about the conflict shows them"
            )
        each, name = next(iter(found.items()))
        manifest = self.manifest(name)
        return Resolved(start.hash, (Source(start.hash, manifest.commit, {each: manifest}),), manifest.files)

    @staticmethod
    def _commits_with_equal_trees(commit: str, index: _Index) -> set[str]:
        """Return the commits with manifests and the same files as this one, itself included."""
        return {commit}.union(*(commits for commits in index.trees.values() if commit in commits))

    def _require_free(self, names: Iterable[str]) -> None:
        """Raise before anything changes if a file cannot be written to its path."""
        for name in names:
            path = _place(self.folder, name)
            wrong = next((each for each in path.parents if each.exists() and not each.is_dir()), None)
            if path.is_dir() and not path.is_symlink():
                wrong = path
            if wrong is not None:
                raise BaselineError(f"{label_of(wrong)}: in the way of the baseline {name}; move it")

    def _replace_files(self, done: Pulled, target: Files, local: Files, state: State) -> None:
        """Fetch everything into the stage and verify it, then move it into place."""
        stage = self.folder / STAGE
        cache = _Cache.of_user()
        moves = [_Move(name, local[name].sha256, None) for name in done.deleted]
        try:
            stage.mkdir(parents=True, exist_ok=True)
            names: defaultdict[Entry, list[str]] = defaultdict(list)
            for name in done.written:
                names[target[name]].append(name)

            def fetch(entry: Entry) -> bool:
                data = cache.get(entry)
                fetched = data is None
                if data is None:
                    data = self._fetched(entry, names[entry][0])
                    cache.put(entry, data)
                for name in names[entry]:
                    (stage / staged[name]).write_bytes(data)
                return fetched

            staged = {name: str(number) for number, name in enumerate(done.written)}
            fetched = _each(fetch, list(names))
            done.fetched, done.cached = sum(fetched), len(fetched) - sum(fetched)
            moves += [_Move(name, local[name].sha256 if name in local else None, staged[name]) for name in done.written]
            plan = _Plan(VERSION, moves, state)
            write_atomically(stage / _PLAN, msgspec.json.encode(plan))
        except OSError as error:
            self._clear_stage()
            raise BaselineError(
                f"{label_of(self.folder)}: the baselines cannot be written: {error.strerror or error}; nothing was "
                "changed"
            ) from None
        except BaseException:
            self._clear_stage()
            raise
        self._execute(plan)

    def _fetched(self, entry: Entry, name: str) -> bytes:
        label = f"{self.store.label}/{entry.object}"
        try:
            data = self.store.read(entry.object, entry.size + 1)
        except BaselineError as error:
            raise BaselineError(f"{name}: {error}; nothing was changed") from None
        if len(data) < entry.size:
            raise BaselineError(
                f"{name}: {label}: truncated: it has {len(data):,} of {entry.size:,} bytes; nothing was changed"
            )
        if _entry(data) != entry:
            raise BaselineError(
                f"{name}: {label}: the content does not match the SHA-256 in its name: damaged or forged; delete this "
                "object and push again from a checkout that has the baseline; nothing was changed"
            )
        return data

    def _finish(self) -> None:
        """Finish an interrupted pull, or delete its files."""
        stage = self.folder / STAGE
        if is_interrupted(self.folder):
            data = read_regular(stage / _PLAN)
            try:
                plan = msgspec.json.decode(data, type=_Plan)
            except msgspec.DecodeError as error:
                raise BaselineError(f"{label_of(stage / _PLAN)}: {error}; delete {STAGE} and pull again") from None
            self._execute(plan)
        else:
            self._clear_stage()

    def _clear_stage(self) -> None:
        """Delete the files of a pull. The plan is deleted first: it must not be executed without its files."""
        (self.folder / STAGE / _PLAN).unlink(missing_ok=True)
        shutil.rmtree(self.folder / STAGE, ignore_errors=True)

    def _execute(self, plan: _Plan) -> None:
        stage = self.folder / STAGE
        try:
            for move in plan.moves:
                place = _place(self.folder, move.name)
                if move.staged is None:
                    if _digest(place) == move.before:
                        place.unlink()
                    _remove_empty(place.parent, self.folder)
                elif (stage / move.staged).exists() and _digest(place) == move.before:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    (stage / move.staged).replace(place)
            write_atomically(self.folder / STATE_FILE, msgspec.json.encode(plan.state))
        except OSError as error:
            raise BaselineError(
                f"{label_of(Path(error.filename or self.folder))}: {error.strerror or error}; the pull is not "
                f"finished; fix the cause and run `{PULL}` again"
            ) from None
        self._clear_stage()

    # ---- Push

    def push(
        self, name: str | None, *, force: bool = False, allow_dirty: bool = False, dry_run: bool = False
    ) -> Pushed:
        """Store the baselines of the folder for a commit: first the missing objects, then the manifest.

        Args:
            name: of the commit; None for HEAD.
            force: push even if the store has baselines for this commit that were not pulled here.
            allow_dirty: push even if tracked files differ from HEAD.
            dry_run: upload nothing.

        Raises:
            BaselineError: it is rejected, or something was not written. The manifest is written last, so that objects
                without one have no effect.
        """
        with self._locked():
            refuse_interrupted(self.folder)
            commit = self.start(name)
            if not commit.tree:
                raise BaselineError(f"{label_of(self.git.folder)}: not in a Git repository; push from a checkout")
            if name is None and not allow_dirty:
                self._require_clean()
            files = self.local(checked=True)
            if not files:
                raise BaselineError(f"{label_of(self.folder)}: no baselines to push")
            index = self.index()
            heads = self.heads(commit.hash, index)
            if len(heads) == 1 and next(iter(heads.values())).files == files:
                digest, missing = next(iter(heads)), self._missing(files)
                if not dry_run:
                    self._upload(missing)
                    self._write_state(commit.hash, {digest: commit.hash}, files)
                return Pushed(commit.hash, len(files), digest, is_there=True, uploaded=sorted(missing))
            if not force:
                self._require_pulled(commit, heads, index)
            superseded = sorted(index.names.get(commit.hash, {}))
            manifest = StoreManifest(commit=commit.hash, tree=commit.tree, supersedes=superseded, files=files)
            data = msgspec.json.encode(manifest, order="deterministic")
            digest = hashlib.sha256(data).hexdigest()
            needed = self._needed(files, heads.values())
            done = Pushed(commit.hash, len(files), digest, is_there=False, uploaded=sorted(needed))
            if dry_run:
                return done
            self._upload({name: files[name] for name in needed})
            self.store.write(f"manifests/{commit.hash}/{commit.tree}.{digest}.json", data)
            # A garbage collection may have removed an object that was there when this push began.
            self._upload(self._missing(files))
            self._write_state(commit.hash, {digest: commit.hash}, files)
            done.rivals = sorted(self.heads(commit.hash, self.index()).keys() - {digest})
            return done

    def _require_clean(self) -> None:
        if changed := self.git.uncommitted(self.folder):
            raise BaselineError(
                f"{_named(changed)} uncommitted, and baselines belong to a commit; commit first, or add --allow-dirty"
            )

    def _require_pulled(self, commit: Commit, heads: Mapping[str, StoreManifest], index: _Index) -> None:
        """Raise if the push would undo baselines of others, because those of the commit were not pulled here."""
        state = read_state(self.folder)
        seen = set[str]() if state is None else state.manifests.keys()
        where = {commit.hash[:_SHORT]}
        remote = set(heads)
        if not heads:
            try:
                resolved = self.resolve(commit, index)
            except ConflictError as error:
                if error.manifests <= seen:
                    return
                raise
            if resolved is None:
                return
            remote = set(resolved.manifests)
            where = {source.commit[:_SHORT] for source in resolved.sources}
        if not remote <= seen:
            raise BaselineError(
                f"{self.store.label}: it has baselines of {' and '.join(sorted(where))} that were not pulled here, and "
                f"this push would undo them; run `{PULL}` first (it keeps your changes), or add --force"
            )

    def _needed(self, files: Files, heads: Iterable[StoreManifest]) -> set[str]:
        """Return one name for each object to upload.

        An old object that is in no known manifest is uploaded again: a running garbage collection may remove it.
        """
        state = read_state(self.folder)
        in_use = {entry for manifest in heads for entry in manifest.files.values()}
        in_use.update(() if state is None else state.files.values())
        kept = self.store.objects("objects")
        needed: dict[Entry, str] = {}
        for name, entry in files.items():
            there = kept.get(entry.object)
            is_whole = there is not None and there.size in {None, entry.size}
            is_old = there is not None and there.written is not None and time.time() - there.written > GRACE / 2
            if not is_whole or (is_old and entry not in in_use):
                needed.setdefault(entry, name)
        return set(needed.values())

    def _missing(self, files: Files) -> Files:
        kept = self.store.objects("objects")
        return {
            name: entry
            for name, entry in files.items()
            if (there := kept.get(entry.object)) is None or there.size not in {None, entry.size}
        }

    def _upload(self, files: Files) -> None:
        def send(name: str) -> None:
            data = self._checked(name)
            if _entry(data) != files[name]:
                raise BaselineError(f"{label_of(self.folder / name)}: changed during the push; push again")
            self.store.write(files[name].object, data)

        _each(send, sorted(files))

    def _write_state(self, head: str, manifests: dict[str, str], files: Files) -> None:
        path = self.folder / STATE_FILE
        try:
            write_atomically(path, msgspec.json.encode(State(head=head, manifests=manifests, files=files)))
        except OSError as error:
            raise BaselineError(f"{label_of(path)}: cannot be written: {error.strerror or error}") from None

    # ---- Status

    def status(self, name: str | None) -> Status:
        """Compare commit, folder and store.

        Raises:
            BaselineError: something cannot be read.
        """
        refuse_interrupted(self.folder)
        start, index = self.start(name), self.index()
        resolved, conflict = None, ""
        try:
            resolved = self.resolve(start, index)
        except ConflictError as error:
            conflict = str(error)
        state = read_state(self.folder)
        target = {} if resolved is None else resolved.manifests
        is_current = not conflict and target.keys() <= ({} if state is None else state.manifests).keys()
        base = {} if state is None else state.files
        if is_current and resolved is not None:
            base = resolved.files
        missing = [] if resolved is None else sorted(self._missing(resolved.files))
        return Status(start.hash, resolved, conflict, state, is_current, Changes.between(base, self.local()), missing)

    # ---- Garbage collection

    def collect(self, keep_days: float, *, delete: bool) -> Collected:
        """Remove old manifests that are superseded or whose commits no longer exist, and objects without a manifest.

        Args:
            keep_days: younger manifests are kept even if their commits are unknown here.
            delete: remove them; otherwise change nothing.

        Raises:
            BaselineError: the clone is shallow, a manifest is damaged, or the store does not respond, so that it is
                unknown what is needed.
        """
        hashes, trees = self._known()
        now = time.time()
        objects = self.store.objects("objects")  # before the manifests: later ones are young
        manifests = {name: about for name, about in self.store.objects("manifests").items() if _parts(name)}
        of_commit: defaultdict[str, list[str]] = defaultdict(list)
        for name in manifests:
            of_commit[_parts(name)[0]].append(name)
        needed, doomed = set[str](), list[str]()

        def look(names: list[str]) -> None:
            read = {name: self._read_manifest(name) for name in names}  # not kept: all of them need too much memory
            superseded = {digest for manifest in read.values() for digest in manifest.supersedes}
            for name, manifest in read.items():
                commit, tree, digest = _parts(name)
                written = manifests[name].written
                is_old = written is not None and now - written > keep_days * _DAY
                if is_old and ((commit not in hashes and tree not in trees) or digest in superseded):
                    doomed.append(name)
                else:
                    needed.update([entry.object for entry in manifest.files.values()])

        _each(look, list(of_commit.values()))
        unused = {
            name: about.size or 0
            for name, about in objects.items()
            if name not in needed and about.written is not None and now - about.written > GRACE
        }
        if delete and unused and len(doomed) == len(manifests):
            raise BaselineError(
                f"{self.store.label}: no manifest is needed, so all {counted(len(objects), 'object')} would be removed"
                "; check the URL and the repository, or delete the folder yourself"
            )
        if delete:
            _each(self.store.remove, sorted(doomed))
            for name in filter(_parts, self.store.objects("manifests").keys() - manifests.keys()):
                for entry in self.manifest(name).files.values():  # a push has ended meanwhile
                    unused.pop(entry.object, None)
            _each(self._remove_if_old, sorted(unused))
        return Collected(sorted(doomed), unused, len(manifests) - len(doomed), len(objects) - len(unused))

    def _known(self) -> tuple[set[str], set[str]]:
        """Return the commits in the history of all branches, tags and HEAD, and their trees."""
        if not self.git.is_repository():
            raise BaselineError(f"{label_of(self.git.folder)}: not in a Git repository; run gc in a checkout")
        if self.git.ends_of_shallow_history():
            raise BaselineError(
                "this clone is shallow, so it is unknown which commits are needed; run `git fetch --unshallow`, or "
                "set `fetch-depth: 0` for actions/checkout"
            )
        known = self.git.all_commits()
        return {commit.hash for commit in known}, {commit.tree for commit in known}

    def _remove_if_old(self, name: str) -> None:
        """Remove an object unless a push has uploaded it again meanwhile."""
        about = self.store.objects(name.rpartition("/")[0]).get(name)
        if about is not None and about.written is not None and time.time() - about.written > GRACE:
            self.store.remove(name)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the baselines folder."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with locked(self.folder / ".imgdiff-lock", _LOCK_WAIT):
                yield
        except TimeoutError:
            raise BaselineError(
                f"{label_of(self.folder)}: another pull or push is running; run this again when it has ended"
            ) from None
        except OSError as error:
            raise BaselineError(f"{label_of(self.folder)}: {error.strerror or error}") from None


@dataclass(frozen=True)
class _Cache:
    """Objects that were fetched to this machine earlier. Each one is verified when it is used.

    Args:
        folder: None if the user has none.
    """

    folder: Path | None

    @classmethod
    def of_user(cls) -> _Cache:
        if named := os.environ.get(CACHE_VARIABLE):
            return cls(Path(named) / "baselines")
        try:
            return cls(users_cache() / "baselines")
        except RuntimeError:  # no home folder
            return cls(None)

    def get(self, entry: Entry) -> bytes | None:
        if self.folder is None:
            return None
        try:
            data = read_regular(self.folder / entry.object, entry.size + 1)
        except OSError:
            return None
        return data if _entry(data) == entry else None

    def put(self, entry: Entry, data: bytes) -> None:
        if self.folder is not None:
            with suppress(OSError):  # a full disk or a read-only home folder: the store has it
                write_atomically(self.folder / entry.object, data)


def _each(act: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """Return the result for each item, computed in parallel; stop at the first error."""
    if len(items) < 2:  # noqa: PLR2004 - no threads for one
        return [act(item) for item in items]
    with ThreadPoolExecutor(min(_AT_ONCE, len(items))) as pool:
        futures = [pool.submit(act, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _pictures_in(folder: Path) -> Iterator[str]:
    """Yield the names of the baselines below a folder, sorted."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each != STAGE]
        start = Path(parent).relative_to(folder)
        found += [(start / name).as_posix() for name in names if Path(name).suffix.lower() in PICTURE_SUFFIXES]
    yield from sorted(found)


def _parts(name: str) -> tuple[str, ...]:
    """Return commit, tree and SHA-256 from the name of a manifest; empty for other names."""
    found = _MANIFEST_NAME.fullmatch(name)
    return found.groups() if found else ()


def _entry(data: bytes) -> Entry:
    return Entry(hashlib.sha256(data).hexdigest(), len(data))


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if there is none."""
    try:
        return hashlib.sha256(read_regular(path)).hexdigest()
    except FileNotFoundError:
        return None


def _place(folder: Path, name: str) -> Path:
    try:
        return path_below(folder, name)
    except OutsideError as error:
        raise BaselineError(f"{printable(name)}: {error}; such a path is rejected") from None


def _require_name(name: str, label: str) -> None:
    """Raise if a name is not an image below the baselines folder."""
    if wrong := path_mistake(name):
        raise BaselineError(f"{label}: {printable(name)}: {wrong}; such a path is rejected")
    if os.path.splitext(name)[1].lower() not in PICTURE_SUFFIXES or STAGE in name.split("/"):  # noqa: PTH122 - a manifest has many
        raise BaselineError(f"{label}: {printable(name)}: not the name of an image")


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder and those above it while they are empty."""
    real = Path(os.path.realpath(root))
    with suppress(OSError):
        while folder != real and folder.is_relative_to(real):
            folder.rmdir()
            folder = folder.parent


def _differing(one: Files, other: Files) -> list[str]:
    return [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(printable(name) for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


_Kind = TypeVar("_Kind", StoreManifest, State)


def _decoded(data: bytes, kind: type[_Kind], word: str, label: str, advice: str = "") -> _Kind:
    """Return the content of one of this module's JSON files.

    Raises:
        BaselineError: it is invalid, or has another version.
    """
    try:
        marked = msgspec.json.decode(data, type=_Marked)
        if marked.imgdiff == word and marked.version != VERSION:
            raise BaselineError(
                f"{label}: unsupported version {marked.version} of the format, this release reads {VERSION}; use the "
                "same release everywhere"
            )
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise BaselineError(f"{label}: invalid content: {printable(str(error))}{advice}") from None
