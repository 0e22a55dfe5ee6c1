"""The imgdiff.yaml that applies, and paths relative to the working directory for messages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.text import CONFIG_NAMES, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_REPOSITORY = (".git", ".hg")
"""The name in the root of a repository: a folder, or a file in a worktree of Git."""


def find_config(start: Path) -> Path | None:
    """Return the nearest settings file: that of the folder, or of the first folder above that has one.

    If the folder is in a repository, the search ends at its root.

    Args:
        start: the folder; relative to the working directory, or absolute.

    Returns:
        The absolute path of the file; None if there is none.

    Raises:
        ConfigError: a folder has both ``imgdiff.yaml`` and ``imgdiff.yml``.
    """
    return next((found for folder in _folders_upward(start) if (found := _config_in(folder)) is not None), None)


def refuse_other_settings(in_force: Path | None, sides: Sequence[str | None]) -> None:
    """Raise an error if another imgdiff.yaml is nearer to the images.

    Raises:
        ConfigError: another settings file is nearer to an image or folder.
    """
    for side in filter(None, sides):
        folder = Path(side) if Path(side).is_dir() else Path(side).parent
        nearest = find_config(folder)
        if nearest is None or (in_force is not None and nearest.samefile(in_force)):
            continue
        used = "this command uses none" if in_force is None else f"this command uses {label_of(in_force)}"
        raise ConfigError(
            f"{label_of(nearest)} is the nearest settings file to {printable(side)}, but {used}: "
            f"run it in the folder of the file that is meant, or name it: --config {label_of(nearest)}"
        )


def project_folders(start: Path) -> list[Path]:
    """Return the folder and those above it in the same project, nearest first.

    The last one is the root of the repository or, outside of one, the folder of the nearest imgdiff.yaml.
    """
    folders = list(_folders_upward(start))
    if _is_repository(folders[-1]):
        return folders
    config = find_config(start)
    return folders[:1] if config is None else folders[: folders.index(config.parent) + 1]


def _folders_upward(start: Path) -> Iterator[Path]:
    """Yield the folder and those above it, up to the root of its repository or, outside of one, of the file system."""
    folder = Path(os.path.abspath(start))  # noqa: PTH100 - resolves `..` but not symbolic links, as pytest does
    for each in (folder, *folder.parents):
        yield each
        if _is_repository(each):
            return


def _is_repository(folder: Path) -> bool:
    """Return whether the folder is the root of a repository."""
    return any(os.path.lexists(folder / name) for name in _REPOSITORY)


def common_folder(paths: Iterable[Path]) -> Path | None:
    """Return the folder that contains all of these files and folders that exist; None if there is none."""
    folders = [str(path if path.is_dir() else path.parent) for path in paths if path.exists()]
    try:
        return Path(os.path.commonpath(folders)) if folders else None
    except ValueError:  # they are on several drives
        return None


def label_of(path: Path) -> str:
    """Return the path for messages: relative if it is in the working directory or elsewhere in its project.

    A path in a folder above the working directory is also relative.
    """
    try:
        here = Path.cwd()
    except OSError:  # the working directory no longer exists
        return printable(str(path))
    if path.is_absolute() and path.parent != Path(path.anchor):
        root = _project_root(here)
        if here.is_relative_to(path.parent) or (root is not None and path.is_relative_to(root)):
            return printable(relative(path, here))
    return printable(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _project_root(start: Path) -> Path | None:
    """Return the root of the repository or, outside of one, the nearest folder with an imgdiff.yaml; None without."""
    for folder in (folders := list(_folders_upward(start))):
        if any(os.path.lexists(folder / name) for name in CONFIG_NAMES) and not _is_repository(folders[-1]):
            return folder
    return folders[-1] if _is_repository(folders[-1]) else None


def relative(path: Path, folder: Path) -> str:
    """Return the path relative to the folder, with forward slashes; the full path if it is on another drive."""
    try:
        return os.path.relpath(path, folder).replace(os.sep, "/")
    except ValueError:
        return path.as_posix()


def _config_in(folder: Path) -> Path | None:
    # lexists: a broken link is an error to report, not a missing file.
    found = [folder / name for name in CONFIG_NAMES if os.path.lexists(folder / name)]
    if len(found) > 1:
        both = " and ".join(CONFIG_NAMES)
        raise ConfigError(f"{label_of(folder)}: both {both} are there; remove one of them")
    return found[0] if found else None
