"""How pytest was started: the settings file, the base of paths, and the options to repeat in suggested commands."""

from __future__ import annotations

import inspect
import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.project import common_folder, find_config, relative
from pytest_imgdiff.base.text import is_scan_file, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_CHOOSE_THE_BROWSER = ("--browser", "--browser-channel", "--device", "--driver", "--base-url")
"""Options of pytest-playwright, pytest-selenium and pytest-base-url that change what a test captures."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """The imgdiff.yaml in use.

    Attributes:
        path: absolute; None if no file was specified and none was found.
        named: whether an option, an ini key or an argument specifies it, so that no search took place.
    """

    path: Path | None
    named: bool = False


def settings_file(config: pytest.Config) -> SettingsFile:
    """Return the settings file in use: the specified one, else the nearest to the tests.

    The search goes upward from the common folder of all tests on the command line, and then from the folder where
    pytest was started.

    Raises:
        ConfigError: a folder contains both ``imgdiff.yaml`` and ``imgdiff.yml``.
    """
    named = chosen_path(config, "imgdiff_config")
    if named is not None:
        return SettingsFile(named, named=True)
    paths = _argument_paths(config)
    if len(paths) == 1 and is_scan_file(paths[0].name) and paths[0].is_file():
        return SettingsFile(paths[0], named=True)
    folder = common_folder(path for path in paths if not is_scan_file(path.name))
    found = None if folder is None else find_config(folder)
    return SettingsFile(found or find_config(config.invocation_params.dir))


def settings_files(config: pytest.Config) -> list[Path]:
    """Return the settings file in use, if any, and those that were passed as arguments for their scans.

    Raises:
        ConfigError: as for `settings_file`.
    """
    paths = _argument_paths(config)
    scans = [path for path in paths if is_scan_file(path.name) and path.is_file()]
    in_force = settings_file(config).path
    others = [] if in_force is None or (scans and len(scans) == len(paths)) else [in_force]
    return list(dict.fromkeys([*others, *scans]))


def settings_line(config: pytest.Config) -> str:
    """Return the header line with the settings file in use."""
    try:
        files = settings_files(config)
    except ConfigError as error:
        return f"imgdiff: {error}"
    names = [printable(relative(file, config.invocation_params.dir)) for file in files]
    return f"imgdiff: settings: {', '.join(names) or 'defaults (no imgdiff.yaml)'}"


def _argument_paths(config: pytest.Config) -> list[Path]:
    return [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]


def chosen_path(config: pytest.Config, name: str) -> Path | None:
    """Return the path from an option (relative to the current folder) or the ini file (relative to the rootdir)."""
    option, ini = getattr(config.option, name), config.getini(name)
    if option:
        return config.invocation_params.dir / str(option)
    return config.rootpath / str(ini) if ini else None


def refuse_other_settings(config: pytest.Config, folders: Iterable[tuple[str, Path]], in_force: SettingsFile) -> None:
    """Raise if files are nearer to another imgdiff.yaml than to the one in use.

    Args:
        config: pytest's.
        folders: folders with their descriptions.
        in_force: the file that the run uses. A specified file is always accepted.

    Raises:
        pytest.UsageError: another file is the nearest one.
        ConfigError: a folder contains both ``imgdiff.yaml`` and ``imgdiff.yml``.
    """
    if in_force.named:
        return
    for what, folder in folders:
        nearest = find_config(folder)
        if nearest is None or (in_force.path is not None and nearest.samefile(in_force.path)):
            continue
        here = config.invocation_params.dir
        nearer = relative(nearest, here)
        used = "this run uses none" if in_force.path is None else f"this run uses {relative(in_force.path, here)}"
        raise pytest.UsageError(
            f"imgdiff: {nearer} is the nearest settings file to {what}, but {used}: a run uses one settings file. "
            f"Run these tests separately, or set the file for the whole run: --imgdiff-config={nearer}"
        )


def project_root(config: pytest.Config, in_force: SettingsFile) -> Path:
    """Return the base folder of baseline names and default folders.

    It is pytest's rootdir or, if the imgdiff.yaml that was found is elsewhere, the folder of that file: `pytest sub`
    and `-c ci/pytest.ini` change the rootdir, but must not move the baselines.
    """
    root = _setup(config, ())[0]
    if in_force.named or in_force.path is None or in_force.path.parent.is_relative_to(root):
        return root
    return in_force.path.parent


def refuse_lost_ini_file(config: pytest.Config, options: Mapping[str, int]) -> None:
    """Raise if pytest did not read the right ini file because it took values of our options for test paths.

    pytest chooses its rootdir and ini file before it knows the options of plugins.

    Args:
        config: pytest's.
        options: our options, with their number of values.

    Raises:
        pytest.UsageError: without these values pytest would read another ini file.
    """
    given = [str(word) for word in config.invocation_params.args]
    words = [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *given]
    separate = list(_separate_values(words, options))
    values = [value for _, values in separate for value in values]
    if not any((config.invocation_params.dir / value).exists() for value in values):
        return
    expected, used = _setup(config, ())[1], _setup(config, values)[1]
    if expected == used:
        return
    here = config.invocation_params.dir
    instead = " ".join(_joined(option, values) for option, values in separate)
    reads = f"reads {relative(used, here)}" if used else "reads no ini file"
    lost = f"not {relative(expected, here)}" if expected else "although the project has none"
    raise pytest.UsageError(
        f"imgdiff: pytest took the values of {' and '.join(dict.fromkeys(option for option, _ in separate))} as "
        f"test paths and therefore {reads}, {lost}. Write instead: {instead}"
    )


def _separate_values(words: list[str], options: Mapping[str, int]) -> Iterator[tuple[str, list[str]]]:
    for index, word in enumerate(words):
        if options.get(word):
            yield word, words[index + 1 : index + 1 + options[word]]


def _joined(option: str, values: list[str]) -> str:
    """Return the option in a form that pytest does not take for a path."""
    names = ("--imgdiff-expected", "--imgdiff-actual") if option == "--imgdiff-scan" else (option,)
    return shlex.join(f"{name}={value}" for name, value in zip(names, values, strict=True))


def _setup(config: pytest.Config, values: Iterable[str]) -> tuple[Path, Path | None]:
    """Return the rootdir and ini file that pytest chooses for the test paths and further arguments."""
    option = config.option
    root, ini, _ = _determined(
        config.invocation_params.dir, [*option.file_or_dir, *values], option.inifilename, option.rootdir or None
    )
    return root, ini


def rootdir_from(folder: Path) -> tuple[Path, dict[str, str]]:
    """Return the rootdir that pytest chooses when it is started in this folder without arguments.

    Returns:
        The rootdir; and the keys of its ini file, with the options in ``addopts`` by their names without dashes.
    """
    root, _, keys = _determined(folder, [], None, None)
    texts = {name: getattr(value, "value", value) for name, value in keys.items()}
    words = texts.get("addopts", "")
    try:
        options = words if isinstance(words, list) else shlex.split(str(words))
    except ValueError:  # an unclosed quotation mark, which pytest itself reports
        options = []
    found = {name: value for name, value in texts.items() if isinstance(value, str)}
    for index, word in enumerate(options):
        name, equals, value = str(word).partition("=")
        following = str(options[index + 1]) if index + 1 < len(options) else ""
        if name.startswith("--") and (equals or following):
            found.setdefault(name.lstrip("-"), value or following)
    return root, found


def _determined(
    folder: Path, arguments: list[str], ini: str | None, rootdir: str | None
) -> tuple[Path, Path | None, Mapping[str, Any]]:
    """Return the rootdir, the ini file and its keys that pytest chooses."""
    # pytest has no public function for it, and a copy would differ in details.
    from _pytest.config.findpaths import determine_setup

    overrides = {"override_ini": None} if "override_ini" in inspect.signature(determine_setup).parameters else {}
    root, file, keys, *_ = determine_setup(
        inifile=ini, args=arguments, rootdir_cmd_arg=rootdir, invocation_dir=folder, **overrides
    )
    return root, file, keys


def scans(config: pytest.Config) -> list[tuple[str, str]]:
    """Return the pairs of folders from ``--imgdiff-scan``, and from ``--imgdiff-expected`` with ``-actual``."""
    option = config.option
    pairs = zip(option.imgdiff_expected or (), option.imgdiff_actual or (), strict=True)
    return [*((expected, actual) for expected, actual in option.imgdiff_scan or ()), *pairs]


def scan_options(config: pytest.Config) -> list[str]:
    """Return the scan options as typed, for a command to paste."""
    option = config.option
    words = [word for scan in option.imgdiff_scan or () for word in ("--imgdiff-scan", *scan)]
    for expected, actual in zip(option.imgdiff_expected or (), option.imgdiff_actual or (), strict=True):
        words += [f"--imgdiff-expected={expected}", f"--imgdiff-actual={actual}"]
    return words


def typed_command(config: pytest.Config) -> tuple[str, ...]:
    """Return the command that started pytest, such as ``pytest`` or ``python -m pytest``.

    It is for the folder where pytest was started.
    """
    here = config.invocation_params.dir
    worker: dict[str, Any] = getattr(config, "workerinput", {})
    started = Path(worker.get("mainargv", sys.argv)[0])
    if started.name == "__main__.py":
        python = next((name for name in ("python", "python3") if shutil.which(name) == sys.executable), None)
        return (python or _from(here, Path(sys.executable)), "-m", "pytest")
    if started.stem in ("pytest", "py.test") and started.is_absolute():
        return ("pytest",) if shutil.which("pytest") == str(started) else (_from(here, started),)
    return ("pytest",)


def _from(here: Path, program: Path) -> str:
    """Return the path of a program as one would type it in this folder."""
    return relative(program, here) if program.is_relative_to(here) else str(program)


def _of_other_plugin(config: pytest.Config, name: str) -> list[Any]:
    """Return the values of another plugin's option; none if the plugin is not installed."""
    given = config.getoption(name, None)
    return given if isinstance(given, list) else [given]


def _selecting(config: pytest.Config) -> Iterator[tuple[str, str]]:
    """Yield ``-m`` and ``-k`` if others in the ini file or PYTEST_ADDOPTS could deselect the test."""
    preset = [*config.getini("addopts"), *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    for name, typed in (("-m", config.option.markexpr), ("-k", config.option.keyword)):
        if any(word.startswith(name) for word in preset):
            yield name, typed


def repeated_options(config: pytest.Config) -> tuple[str, ...]:
    """Return the options of this run that another run needs to find the same tests, settings and baselines.

    Options from an ini file or PYTEST_ADDOPTS apply without being repeated.
    """
    option = config.option
    values = {
        "-c": [option.inifilename],
        "--rootdir": [option.rootdir],
        "-o": option.override_ini or (),
        "-p": option.plugins or (),
        **{name: [typed] for name, typed in _selecting(config) if typed},
        "--confcutdir": [option.confcutdir],
        "--import-mode": [option.importmode],
        "--imgdiff-config": [option.imgdiff_config],
        "--imgdiff-baselines": [option.imgdiff_baselines],
        "--imgdiff-report": [option.imgdiff_report],
        "--imgdiff-set": option.imgdiff_set or (),
        "--imgdiff-measure": [option.imgdiff_measure],
        **{name: _of_other_plugin(config, name) for name in _CHOOSE_THE_BROWSER},
    }
    typed_words = [str(word) for word in config.invocation_params.args]
    words: list[str] = []
    for name, given in values.items():
        for value in dict.fromkeys(map(str, filter(None, given))):
            if any(word == value or (word.startswith("-") and word.endswith(value)) for word in typed_words):
                words += [name, value] if len(name) == len("-c") else [f"{name}={value}"]
    return tuple(words)
