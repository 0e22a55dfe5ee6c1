"""Whether a folder looks like a SavedModel; what is in its graph is for the one to say who runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.errors import ModelError
from pytest_imgdiff.models.unpack import what_it_is
from pytest_imgdiff.opening import open_regular

if TYPE_CHECKING:
    from pathlib import Path

_GRAPH = "saved_model.pb"
_LONGEST_POINTER = 1024
"""Bytes; a Git LFS pointer has some 130."""


def check_saved_model(folder: Path) -> None:
    """Refuse a folder that TensorFlow would not take for a SavedModel.

    Raises:
        ModelError: in words that do not name the folder.
        OSError: it cannot be read.
    """
    graph = folder / _GRAPH
    if not graph.is_file():
        raise ModelError(f"no SavedModel: it has no {_GRAPH}{_hint(folder)}")
    check_content(graph)
    for variables in folder.glob("variables/*"):
        if variables.is_file() and variables.stat().st_size < _LONGEST_POINTER:
            check_content(variables)


def check_content(path: Path) -> None:
    """Refuse a file that is empty, or that Git LFS has not yet replaced by what it stands for.

    Raises:
        ModelError: it is one.
        OSError: it cannot be read.
    """
    with open_regular(path) as stream:
        start = stream.read(64)
    if not start or start.startswith(b"version https://git-lfs"):
        raise ModelError(f"its {path.name} is {what_it_is(start)}")


def _hint(folder: Path) -> str:
    deeper = sorted(folder.glob(f"*/{_GRAPH}"))
    return f" at its top, but {deeper[0].parent.name}/ has one" if deeper else ""
