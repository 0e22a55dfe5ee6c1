"""The rivals, installed from their registries into a folder of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from shutil import which
from typing import TYPE_CHECKING
from venv import EnvBuilder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NODE = ("odiff-bin@4", "pixelmatch@7.2")
JUDGING_NODE = (*NODE, "pixelmatch8@npm:pixelmatch@8", "looks-same@10")
FONT = "@fontsource/noto-sans-jp@5"
PYTHON = {"blazediff": "blazediff>=6,<7", "scikit-image": "scikit-image>=0.22", "diffimg": "diffimg==0.3.0"}
JUDGING_PYTHON = PYTHON | {"flip-evaluator": "flip-evaluator>=1.7,<2"}
"""What is installed where verdicts are compared: those whose speed is not measured as well."""
_VERSIONS = (
    "import json, importlib.metadata as m; "
    "print(json.dumps({d.name.lower().replace('_', '-'): d.version for d in m.distributions()}))"
)


class UnavailableError(Exception):
    """A rival, or something else that is needed, is not there; the message says why."""


@dataclass(frozen=True)
class Rivals:
    """Where the rivals are, by the names of their packages.

    Attributes:
        folder: what they were installed into.
        versions: of those that are there.
        problems: why the others are not.
    """

    folder: Path
    versions: dict[str, str]
    problems: dict[str, str]

    def require(self, name: str) -> None:
        """Do nothing where this rival is there.

        Raises:
            UnavailableError: it could not be installed.
        """
        if name not in self.versions:
            raise UnavailableError(f"{name} could not be installed: {self.problems.get(name, 'reason unknown')}")

    @property
    def python(self) -> Path:
        """The interpreter of the virtual environment of those that are Python packages."""
        return _interpreter(self.folder / "python")

    @property
    def odiff(self) -> Path:
        """Its native program: the one that npm links starts Node first, which costs more than most comparisons."""
        self.require("odiff-bin")
        return next((self.folder / "node" / "node_modules" / "@odiff").glob("*/odiff*"))

    @property
    def pixelmatch(self) -> list[str]:
        """Its command."""
        self.require("pixelmatch")
        return [node(), str(self.folder / "node" / "node_modules" / "pixelmatch" / "bin" / "pixelmatch")]


def set_up(folder: Path, from_node: Sequence[str] = NODE, from_python: Mapping[str, str] = PYTHON) -> Rivals:
    """Install what is not there yet; what cannot be is a problem of that rival alone."""
    problems: dict[str, str] = {}
    _set_up_node(folder / "node", from_node, problems)
    _set_up_python(folder / "python", from_python, problems)
    versions = _node_versions(folder / "node", from_node) | _python_versions(folder / "python", from_python)
    return Rivals(folder, versions, problems)


def node() -> str:
    """Return the program of Node.

    Raises:
        UnavailableError: it is not on the PATH.
    """
    return _program("node")


def set_up_font(folder: Path) -> Path | None:
    """Install a font for Japanese; return its file, or None where npm does not give it."""
    files = folder / "fonts" / "node_modules" / "@fontsource" / "noto-sans-jp" / "files"
    file = files / "noto-sans-jp-japanese-400-normal.woff2"
    if not file.is_file():
        (folder / "fonts").mkdir(parents=True, exist_ok=True)
        _install("font", ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder / "fonts"), FONT], {})
    return file if file.is_file() else None


def _set_up_node(folder: Path, packages: Sequence[str], problems: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = _node_versions(folder, packages)
    for package in packages:
        name = package.partition("@")[0]
        if name not in found:
            _install(name, ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), package], problems)


def _node_versions(folder: Path, packages: Sequence[str]) -> dict[str, str]:
    versions = {}
    for package in packages:
        name = package.partition("@")[0]
        described = folder / "node_modules" / name / "package.json"
        if described.is_file():
            versions[name] = str(json.loads(described.read_text(encoding="utf-8"))["version"])
    if not list((folder / "node_modules" / "@odiff").glob("*/odiff*")):
        versions.pop("odiff-bin", None)  # npm leaves out, without an error, a program that there is not for this system
    return versions


def _set_up_python(folder: Path, packages: Mapping[str, str], problems: dict[str, str]) -> None:
    if not _interpreter(folder).exists():
        EnvBuilder(with_pip=True).create(folder)
    found = _python_versions(folder, packages)
    for name, package in packages.items():
        if name not in found:
            words = [str(_interpreter(folder)), "-m", "pip", "install", "--disable-pip-version-check", package]
            _install(name, words, problems)


def _python_versions(folder: Path, packages: Mapping[str, str]) -> dict[str, str]:
    said = subprocess.run(  # noqa: S603 - the interpreter that was just made
        [str(_interpreter(folder)), "-c", _VERSIONS], check=True, capture_output=True, text=True
    ).stdout
    versions: dict[str, str] = json.loads(said)
    return {name: versions[name] for name in packages if name in versions}


def _interpreter(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _install(name: str, words: list[str], problems: dict[str, str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - npm or pip, with the names above
            [_program(words[0]), *words[1:]], check=False, capture_output=True, text=True
        )
    except UnavailableError as error:
        problems[name] = str(error)
        return
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        problems[name] = said[-1] if said else f"exit code {done.returncode}"


def _program(name: str) -> str:
    found = which(name)
    if found is None:
        raise UnavailableError(f"there is no {name} on the PATH")
    return found
