"""Git's view of a project: commits, their history, and uncommitted changes."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_imgdiff.base.errors import ImgdiffError
from pytest_imgdiff.base.text import printable

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LONGEST_MESSAGE = 300


class GitError(ImgdiffError):
    """Raised if Git is not installed, this is not a repository, or Git fails; the message is one line."""


class Commit(NamedTuple):
    """A commit with its full hashes.

    Attributes:
        hash: its own.
        tree: of its files. Commits with equal files have the same tree, such as a squashed branch and its last commit.
        parents: those in this clone.
    """

    hash: str
    tree: str
    parents: tuple[str, ...]


def is_hash(text: str) -> bool:
    """Return whether the text is a whole hash of Git, SHA-1 or SHA-256."""
    return _HASH.fullmatch(text) is not None


@dataclass(frozen=True)
class Git:
    """The repository that a folder is in."""

    folder: Path

    def is_repository(self) -> bool:
        """Return whether the folder is in a repository.

        Raises:
            GitError: Git is not installed, or refuses to look at the repository.
        """
        try:
            self._run("rev-parse", "--git-dir")
        except GitError as error:
            if "not a git repository" in str(error):
                return False
            raise
        return True

    def commit(self, name: str) -> Commit:
        """Return the commit of a name such as ``HEAD``, a branch, a tag or a hash.

        Raises:
            GitError: the commit does not exist here.
        """
        if not name or name.startswith("-"):
            raise GitError(f"invalid commit {printable(name)!r}: pass a branch, a tag or a hash")
        try:
            text = self._run("log", "-1", "--format=%H %T %P", f"{name}^{{commit}}", "--")
        except GitError as error:
            if not re.search("unknown revision|bad revision|bad object|does not have any commits", str(error)):
                raise
            what = "there is no commit yet" if name == "HEAD" else f"there is no commit {printable(name)} here"
            raise GitError(f"{what}; fetch it, or name another one with --commit") from None
        return _commit(text)

    def history(self, starts: Sequence[str]) -> Generator[Commit, None, None]:
        """Yield these commits and all their ancestors, each after all of its descendants among them.

        Raises:
            GitError: Git refuses.
        """
        words = self._command("log", "--topo-order", "--format=%H %T %P", *starts, "--")
        with subprocess.Popen(  # noqa: S603 - no shell; what users name is one argument and no option
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=_environment()
        ) as process:
            try:
                yield from map(_commit, process.stdout or ())
            except GeneratorExit:  # the caller stopped early
                process.kill()
                raise
        if process.returncode:
            raise GitError(f"git log: Git failed with code {process.returncode}")

    def all_commits(self) -> list[Commit]:
        """Return every commit reachable from a branch, a tag, a remote branch or HEAD."""
        return [_commit(line) for line in self._run("log", "--all", "HEAD", "--format=%H %T %P", "--").splitlines()]

    def ends_of_shallow_history(self) -> set[str]:
        """Return the commits whose parents were not fetched; none in a full clone."""
        if self._run("rev-parse", "--is-shallow-repository").strip() != "true":
            return set()
        path = self.folder / self._run("rev-parse", "--git-path", "shallow").strip()
        return set(path.read_text("ascii").split())

    def merge_base(self, commits: Sequence[str]) -> str | None:
        """Return the best common ancestor of all of these commits; None if there is none."""
        done = self._done("merge-base", "--octopus", *commits)
        return done.stdout.strip() or None

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Return whether one commit is in the history of the other, or is that commit; False if Git lacks it."""
        return self._done("merge-base", "--is-ancestor", older, newer).returncode == 0

    def was_at(self, commit: str) -> bool:
        """Return whether the current branch was at this commit before, by its reflog."""
        branch = self._done("symbolic-ref", "--quiet", "HEAD").stdout.strip()
        if not branch:
            return False
        return commit in self._done("log", "--walk-reflogs", "--format=%H", branch, "--").stdout.split()

    def count(self, older: str, newer: str) -> int:
        """Return the number of commits in the newer one's history that are not in the older one's."""
        return int(self._run("rev-list", "--count", f"{older}..{newer}", "--"))

    def uncommitted(self, without: Path) -> list[str]:
        """Return the tracked files that differ from HEAD, except those below a folder."""
        top = Path(self._run("rev-parse", "--show-toplevel").rstrip("\n"))
        paths = [":/"]
        real = Path(os.path.realpath(without))
        if real.is_relative_to(os.path.realpath(top)):
            paths.append(f":(exclude,top,literal){real.relative_to(os.path.realpath(top)).as_posix()}")
        text = self._run("status", "--porcelain", "-z", "--untracked-files=no", "--no-renames", "--", *paths)
        return [entry[3:] for entry in text.split("\0") if entry]

    def ignores(self, path: Path) -> bool:
        """Return whether a path is left out by .gitignore."""
        return self._done("check-ignore", "--quiet", "--", str(path)).returncode == 0

    def _command(self, *words: str) -> list[str]:
        return ["git", "-C", str(self.folder), "-c", "log.showSignature=false", "--no-pager", *words]

    def _done(self, *words: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603 - as above
                self._command(*words),
                capture_output=True,
                check=False,
                encoding="utf-8",
                errors="surrogateescape",
                env=_environment(),
            )
        except FileNotFoundError:
            raise GitError("git is not installed, or not on the PATH") from None
        except OSError as error:
            raise GitError(f"git cannot be run: {error.strerror or error}") from None

    def _run(self, *words: str) -> str:
        done = self._done(*words)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"code {done.returncode}"]
            said = printable(lines[0].removeprefix("fatal: "))[:_LONGEST_MESSAGE]
            raise GitError(f"git {words[0]}: {said}")
        return done.stdout


def _environment() -> dict[str, str]:
    """Return the environment with messages in English, and without prompts, and without locks for reading."""
    return {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}


def _commit(line: str) -> Commit:
    commit, tree, *parents = line.split()
    return Commit(commit, tree, tuple(parents))
