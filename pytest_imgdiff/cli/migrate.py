"""``pytest-imgdiff import``: copy the stored images of other tools to baselines."""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import os
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from pytest_imgdiff import images
from pytest_imgdiff.base.errors import BaselineError, BrokenImageError, ConfigError, UnreadableError
from pytest_imgdiff.base.opening import open_regular, read_regular
from pytest_imgdiff.base.project import label_of, relative
from pytest_imgdiff.base.text import counted, visible
from pytest_imgdiff.cli.parser import add_shared, refuse_in_ci
from pytest_imgdiff.comparison.registry import Registry
from pytest_imgdiff.config import find_config, load_settings
from pytest_imgdiff.images.sniff import sniff
from pytest_imgdiff.plugin.invocation import rootdir_from
from pytest_imgdiff.run.baselines import (
    ALTERNATIVE,
    ANY,
    PICTURE_SUFFIXES,
    SETTING,
    BaselineKey,
    Baselines,
    place_to_write,
    stored_for,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_imgdiff.base.image import Image

_DONE, _NOT_ALL, _REFUSED = 0, 1, 2

_PLATFORMS = "linux|darwin|win32|cygwin|freebsd[0-9]*|aix"
_BROWSERS = ("chromium", "firefox", "webkit")
_OF_A_BROWSER = {"page", "browser", "context", "browser_name", "browser_type", "new_context"}
"""Fixtures of pytest-playwright: the source of a test that uses them does not contain the browser."""
_SKIPPED_FOLDERS = {"node_modules", "__pycache__", "site-packages"}
_VECTORS = {".svg", ".pdf", ".eps"}
_RAW = ".raw"
"""The extension of syrupy's SingleFileSnapshotExtension; its files may be images."""
_FIRST_BYTES = 256
"""Bytes that contain the signature of every format."""
_LARGEST_LIBRARY = 1 << 24
"""The largest JSON file, in bytes, that is read as a hash library."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Import the stored images of pytest-playwright-visual-snapshot, pytest-playwright-visual, "
        "pytest-playwright-snapshot, pytest-image-snapshot, pytest-mpl, pytest-regressions, syrupy or playwright as "
        "baselines. The originals are unchanged. Exit code 0: done, 1: some images could not be mapped to a test, "
        "2: an image was refused or could not be written."
    )
    parser.add_argument(
        "what",
        nargs="*",
        metavar="FROM|PATH",
        help="a tool (default: all), then files and folders (default: the whole project)",
    )
    add_shared(parser, "--dry-run")
    parser.add_argument("--replace", action="store_true", help="replace existing baselines that differ")
    for option, metavar, what in (
        (
            "--browser",
            "NAME",
            "the browser of images whose names do not contain it, if the layout contains {browser}",
        ),
        ("--platform", "NAME", "the platform of images whose names do not contain it: linux, darwin or win32"),
        ("--viewport", "WxH", "the viewport: 1280x720"),
        ("--dpr", "N", "the screen pixels per CSS pixel: 1 or 2"),
        ("--color-scheme", "NAME", "the colour scheme: light or dark"),
    ):
        parser.add_argument(option, metavar=metavar, help=what)
    parser.add_argument("--root", metavar="DIR", help="the root of the test modules' paths (default: pytest's rootdir)")
    add_shared(parser, "--config", "--in-ci")


def run(options: argparse.Namespace) -> int:
    """Copy the baselines of other tools to the baselines folder, and print the result.

    Returns:
        0: every image found is a baseline. 1: some images could not be mapped; a line reports why. 2: an image was
        refused or could not be written; a line on standard error reports why.

    Raises:
        ImgdiffError: an argument is invalid; nothing was written.
    """
    refuse_in_ci(options)
    tool, paths = _tool_and_paths(options.what)
    project = _Project.of(options, paths, is_tool_named=tool is not None)
    found = _found(project, [tool] if tool is not None else list(_TOOLS), paths)
    for line in project.unlisted:
        print(f"pytest-imgdiff: {visible(line)}", file=sys.stderr)
    if not found.pictures and not found.notes:
        where = ", ".join(map(label_of, paths)) or label_of(project.root)
        known = tool or f"any of {', '.join(_TOOLS)}"
        raise ConfigError(
            f"import: no baselines of {known} below {where}; pass the tool and its folder: "
            "pytest-imgdiff import TOOL FOLDER"
        )
    plan = _Plan(project, options)
    planned = plan.planned(found.pictures)
    done = planned if options.dry_run else [plan.carried_out(line) for line in planned]
    _print_result(done, found.notes, project, dry_run=options.dry_run)
    results = {one.result for one in done}
    if results & {"refused", "not written"} or project.unlisted:
        return _REFUSED
    return _NOT_ALL if "not mapped" in results else _DONE


def _tool_and_paths(words: Sequence[str]) -> tuple[str | None, list[Path]]:
    """Return the tool, if the first word is one, and the paths.

    Raises:
        ConfigError: a path does not exist.
    """
    tool = words[0] if words and words[0] in _TOOLS else None
    paths = [Path(word) for word in (words if tool is None else words[1:])]
    for path in paths:
        if not path.exists():
            tools = f"; the tools are {', '.join(_TOOLS)}" if tool is None and path == paths[0] else ""
            raise ConfigError(f"import: {label_of(path)} does not exist{tools}")
    return tool, paths


# ---- The project: its folders and tests


@dataclass(frozen=True, slots=True)
class _Test:
    """A test function in the source.

    Attributes:
        module: its file.
        classes: its classes, the outermost first.
        node: its definition.
        ids: of its parameters, as pytest writes them between brackets; empty if it has none, None if the source does
            not contain them.
    """

    module: _Module
    classes: tuple[str, ...]
    node: ast.FunctionDef | ast.AsyncFunctionDef
    ids: tuple[str, ...] | None

    @property
    def function(self) -> str:
        return self.node.name

    @property
    def qualified(self) -> str:
        """Return the node id after the file, in the form of baseline names, without parameters."""
        return ".".join((*self.classes, self.function))

    @property
    def browser(self) -> str | None:
        """Return `ANY` if the test has none; None if the source does not contain it."""
        arguments = self.node.args
        names = {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        return None if names & _OF_A_BROWSER else ANY

    def variants(self) -> Iterator[tuple[str, str | None]]:
        """Yield the part after the function in the node id, and the browser in it.

        pytest-playwright adds the browser as the first parameter, which the source does not show.
        """
        for one in (self.ids or ("",)) if self.ids is not None else ():
            yield (f"[{one}]" if self.ids else ""), self.browser
            for browser in _BROWSERS:
                yield (f"[{browser}-{one}]" if self.ids else f"[{browser}]"), browser


@dataclass
class _Module:
    """A Python file with tests.

    Attributes:
        path: of the file.
        place: the file relative to the root folder, without its suffix, with forward slashes.
        text, tree: its source.
    """

    path: Path
    place: str
    text: str
    tree: ast.Module

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """Return the values that are assigned to names of the module."""
        return _assignments(self.tree.body)

    @cached_property
    def tests(self) -> list[_Test]:
        """Return the test functions, also those that a class inherits from another class of the file."""
        classes = {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}
        is_open = any(
            "parametrize" in ast.unparse(value) for name, value in self.constants.items() if name == "pytestmark"
        )
        found = list(self._tests_in(self.tree.body, (), (), classes))
        return [replace(test, ids=None) for test in found] if is_open else found

    def _tests_in(
        self,
        body: Iterable[ast.stmt],
        outer: tuple[str, ...],
        marks: tuple[ast.expr, ...],
        classes: Mapping[str, ast.ClassDef],
    ) -> Iterator[_Test]:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
                nearest_first = (*reversed(node.decorator_list), *marks)
                yield _Test(self, outer, node, _parameter_ids(nearest_first, self.constants))
            elif isinstance(node, ast.ClassDef):
                inner = (*reversed(node.decorator_list), *marks)
                own = {child.name for child in node.body if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))}
                yield from self._tests_in(node.body, (*outer, node.name), inner, classes)
                bases = [classes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in classes]
                for base in bases:
                    inherited = self._tests_in(base.body, (*outer, node.name), inner, classes)
                    yield from (test for test in inherited if test.function not in own)


@dataclass
class _Project:
    """The tests, and pytest's ini file.

    Attributes:
        root: the folder that the modules of baselines are relative to.
        here: the current folder.
        settings_baselines: folder and layout of the baselines.
        max_pixels: the most pixels of an image.
        ini: keys of pytest's ini file, and the options in its addopts.
        paths: folders from the command line; they are searched even if the search skips such folders.
        named: the paths from the command line if it has a tool.
        unread: a line for each test file that cannot be read.
        unlisted: a line for each folder that cannot be listed.
    """

    root: Path
    here: Path
    settings_baselines: Baselines
    max_pixels: int
    ini: dict[str, str]
    paths: tuple[Path, ...] = ()
    named: tuple[Path, ...] = ()
    unread: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    _with: dict[str, list[_Module]] = field(default_factory=dict)

    @classmethod
    def of(cls, options: argparse.Namespace, paths: Sequence[Path], *, is_tool_named: bool) -> _Project:
        """Return the project of the current folder.

        Args:
            options: of the command.
            paths: from the command line.
            is_tool_named: whether the command line has a tool.

        Raises:
            ConfigError: its imgdiff.yaml is invalid, or the folder of ``--root`` is missing.
        """
        here = Path.cwd()
        root, ini = rootdir_from(here)
        in_ini = {key: root / ini[key] for key in ("imgdiff_config", "imgdiff_baselines") if ini.get(key)}
        named = Path(options.config) if options.config else in_ini.get("imgdiff_config")
        config = named or find_config(here)
        if options.root is not None:
            root = Path(os.path.abspath(options.root))  # noqa: PTH100 - links stay, as in pytest's rootdir
            if not root.is_dir():
                raise ConfigError(f"--root {options.root}: this folder does not exist")
        elif config is not None and named is None and not config.parent.is_relative_to(root):
            root = config.parent
        settings = load_settings(config, Registry(), folder=root)
        folder = in_ini.get("imgdiff_baselines", settings.baselines.folder)
        absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - as the root is
        return cls(
            root=root,
            here=here,
            settings_baselines=Baselines(folder, settings.baselines.layout),
            max_pixels=settings.defaults.limits.pixels,
            ini=ini,
            paths=tuple(path for path in absolute if path.is_dir()),
            named=tuple(absolute) if is_tool_named else (),
        )

    @cached_property
    def files(self) -> dict[Path, list[Path]]:
        """Return each folder with its files, without environments, caches and hidden folders."""
        found: dict[Path, list[Path]] = {}
        for start in (self.root, *self.paths):
            for name, folders, files in os.walk(start, onerror=self._unlisted):
                folder = Path(name)
                if folder in found or ("pyvenv.cfg" in files and folder != start):
                    folders.clear()
                    continue
                folders[:] = sorted(
                    each for each in folders if not each.startswith(".") and each not in _SKIPPED_FOLDERS
                )
                found[folder] = [folder / each for each in sorted(files)]
        return found

    def _unlisted(self, error: OSError) -> None:
        self.unlisted.append(f"{label_of(Path(str(error.filename)))}: cannot be listed: {error.strerror or error}")

    @cached_property
    def modules(self) -> list[_Module]:
        """Return the Python files that define tests."""
        found = []
        for path in (file for files in self.files.values() for file in files if file.suffix == ".py"):
            try:
                source = read_regular(path)
                text = source.decode("utf-8", "replace")
                if re.search(r"\bdef test", text) is None:
                    continue
                tree = ast.parse(source, path.name)
            except (OSError, ValueError, SyntaxError, RecursionError) as error:
                self.unread.append(f"{label_of(path)}: cannot be read, so its tests are unknown: {error}")
                continue
            place = PurePosixPath(relative(path, self.root)).with_suffix("").as_posix()
            found.append(_Module(path, place, text, tree))
        return found

    def modules_with(self, word: str) -> list[_Module]:
        """Return the modules whose source contains this word."""
        if word not in self._with:
            self._with[word] = [module for module in self.modules if re.search(rf"\b{word}\b", module.text)]
        return self._with[word]

    def folders(self, matches: Callable[[str], object]) -> list[Path]:
        """Return the folders whose names match: those below the command line's folders, or else these themselves."""
        found = [folder for folder in self.files if matches(folder.name)]
        below: list[Path] = []
        for named in self.named:
            inside = [folder for folder in found if folder == named or folder.is_relative_to(named)]
            inside += [folder for folder in found if named.is_relative_to(folder) and folder not in inside]
            below += inside or ([named] if named.is_dir() else [])
        return list(dict.fromkeys(below if self.named else found))

    def pictures(self, base: Path, suffixes: frozenset[str] = PICTURE_SUFFIXES) -> list[Path]:
        """Return the images in a folder and those below it."""
        below = f"{base}{os.sep}"
        return [
            file
            for folder, files in self._by_prefix
            if folder.startswith(below)
            for file in files
            if file.suffix.lower() in suffixes
        ]

    @cached_property
    def _by_prefix(self) -> list[tuple[str, list[Path]]]:
        return [(f"{folder}{os.sep}", files) for folder, files in self.files.items() if files]

    def ini_folder(self, key: str) -> list[Path]:
        """Return the folder in a key of the ini file, if it is set; relative to the root."""
        return [self.root / self.ini[key]] if self.ini.get(key) else []


def _assignments(body: Iterable[ast.stmt]) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        found |= {
            target.id: value for target in targets if isinstance(target, ast.Name) and isinstance(value, ast.expr)
        }
    return found


def _parameter_ids(decorators: Iterable[ast.expr], constants: Mapping[str, ast.expr]) -> tuple[str, ...] | None:
    """Return the ids that pytest gives a test's parameters.

    Args:
        decorators: the marks of the test, the nearest to the function first: pytest writes the ids in this order.
        constants: the values of the module's names.

    Returns:
        The ids; empty if the test has no parameters. None if the source does not contain them.
    """
    groups = []
    for decorator in decorators:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("mark.parametrize"):
            ids = _ids_of_mark(decorator, constants)
            if ids is None or len(set(ids)) < len(ids):  # pytest numbers ids that are equal
                return None
            groups.append(ids)
    return tuple("-".join(ids) for ids in itertools.product(*groups)) if groups else ()


def _ids_of_mark(mark: ast.Call, constants: Mapping[str, ast.expr]) -> list[str] | None:
    def argument(index: int, name: str) -> ast.expr | None:
        given: ast.expr | None = mark.args[index] if len(mark.args) > index else None
        given = next((keyword.value for keyword in mark.keywords if keyword.arg == name), given)
        return constants.get(given.id, given) if isinstance(given, ast.Name) else given

    try:
        names = ast.literal_eval(argument(0, "argnames") or ast.Constant(None))
    except ValueError:
        return None
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
    values, given = argument(1, "argvalues"), argument(3, "ids")
    if not isinstance(names, (list, tuple)) or not isinstance(values, (ast.List, ast.Tuple)):
        return None
    if given is not None and not isinstance(given, (ast.List, ast.Tuple)):
        return None
    found = []
    for index, value in enumerate(values.elts):
        named = given.elts[index] if given is not None and index < len(given.elts) else None
        one = _id_of_value(value, named, list(names), index)
        if one is None:
            return None
        found.append(one)
    return found


def _id_of_value(value: ast.expr, given: ast.expr | None, names: list[str], index: int) -> str | None:
    """Return the id of one set of parameters; None if the source does not contain it."""
    if isinstance(value, ast.Call):
        if not ast.unparse(value.func).endswith("param"):
            return None
        given = next((keyword.value for keyword in value.keywords if keyword.arg == "id"), given)
        parts = value.args
    elif len(names) > 1:
        if not isinstance(value, (ast.Tuple, ast.List)):
            return None
        parts = value.elts
    else:
        parts = [value]
    if given is not None and not (isinstance(given, ast.Constant) and given.value is None):
        return _id_of_part(given, "", 0) if isinstance(given, ast.Constant) else None
    ids = [_id_of_part(part, name, index) for part, name in zip(parts, names, strict=False)]
    return None if None in ids or len(ids) != len(names) else "-".join(part for part in ids if part is not None)


def _id_of_part(value: ast.expr, name: str, index: int) -> str | None:
    if isinstance(value, (ast.List, ast.Tuple, ast.Dict, ast.Set)):
        return f"{name}{index}"
    try:
        constant = ast.literal_eval(value)
    except ValueError:
        return None
    if isinstance(constant, str):
        return constant.encode("unicode_escape").decode("ascii")
    return None if isinstance(constant, bytes) else str(constant)


# ---- The images found


@dataclass(frozen=True, slots=True)
class _Place:
    """The parts of a baseline's name.

    Attributes:
        module: the test's file relative to the root, without its suffix.
        test: the part after the file in the node id, or the name that the call passes.
        call: number of the unnamed comparison in the test, from 1.
        owner: for a name from a call, the test's `request.node.name`; None if the name is that of the test.
        browser, platform: None if the tool's file name does not contain it.
    """

    module: str
    test: str
    call: int = 1
    owner: str | None = None
    browser: str | None = None
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class _StoredImage:
    """An image of another tool, and its places; without places, the reason."""

    tool: str
    source: Path
    places: tuple[_Place, ...] = ()
    why: str = ""


@dataclass
class _Found:
    pictures: list[_StoredImage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _found(project: _Project, tools: Sequence[str], paths: Sequence[Path]) -> _Found:
    """Return the images of these tools below the paths; without paths, in the whole project."""
    scope = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - as the project's folders are
    by_source: defaultdict[Path, list[_StoredImage]] = defaultdict(list)
    for tool in tools:
        for picture in _TOOLS[tool](project, tool):
            if not scope or any(picture.source.is_relative_to(path) for path in scope):
                by_source[picture.source].append(picture)
    found = _Found()
    for source in sorted(by_source):
        mapped = [picture for picture in by_source[source] if picture.places]
        found.pictures += mapped or by_source[source][:1]
    if "pytest-mpl" in tools:
        found.notes += _hash_libraries(project, scope)
    found.notes += project.unread
    return found


def _numbers(indices: Iterable[int], named: int) -> dict[int, int] | None:
    """Return the number of the unnamed comparison for each image.

    The tools number all calls of a test, this package only those without a name.

    Args:
        indices: the numbers of the unnamed images, from 0.
        named: how many images with a name the test has.

    Returns:
        Number to call. None if more numbers are missing than there are names: an image was removed, or two calls
        have the same name.
    """
    known = sorted(set(indices))
    if known and known[-1] + 1 - len(known) > named:
        return None
    return {index: rank for rank, index in enumerate(known, 1)}


# ---- pytest-playwright-visual-snapshot and its relatives


def _visual_snapshot(project: _Project, tool: str) -> Iterator[_StoredImage]:
    """``__snapshots__/FILE/FUNCTION/FUNCTION[PARAMETERS][PLATFORM]_N.png`` below the rootdir."""
    bases = project.ini_folder("playwright_visual_snapshots_path")
    bases += project.folders(lambda name: name == "__snapshots__")
    modules = defaultdict(list)
    for module in project.modules:
        modules[module.path.stem].append(module)
    for base in dict.fromkeys(bases):
        yield from _by_function(project, tool, base, modules)


def _visual(project: _Project, tool: str) -> Iterator[_StoredImage]:
    """``snapshots/FILE/FUNCTION/FUNCTION[PARAMETERS][PLATFORM].png`` next to the test's file."""
    for base in project.folders(lambda name: name == "snapshots"):
        modules = defaultdict(list)
        for module in project.modules:
            if module.path.parent == base.parent or base in project.named:
                modules[module.path.name.strip(".py")].append(module)
        yield from _by_function(project, tool, base, modules)


def _by_function(
    project: _Project, tool: str, base: Path, modules: Mapping[str, Sequence[_Module]]
) -> Iterator[_StoredImage]:
    """Map images that have a folder for each test function.

    Args:
        project: the project.
        tool: the tool of the images.
        base: the folder of all images.
        modules: name of a folder to its modules.
    """
    groups: defaultdict[tuple[str, str], list[Path]] = defaultdict(list)
    for file in project.pictures(base):
        parts = file.relative_to(base).parts
        if len(parts) == len(("FILE", "FUNCTION", "NAME")) and not _is_browser_folder(parts):
            groups[parts[0], parts[1]].append(file)
    for (stem, function), files in groups.items():
        tests = [test for module in modules.get(stem, ()) for test in module.tests if test.function == function]
        own = re.compile(
            rf"{re.escape(function)}(?P<parameters>\[.*\])?\[(?P<platform>{_PLATFORMS})\](?:_(?P<index>\d+))?"
        )
        matches = {file: own.fullmatch(file.stem) for file in files}
        named = sum(match is None for match in matches.values())
        indices: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for found in filter(None, matches.values()):
            indices[found["parameters"] or "", found["platform"]].append(int(found["index"] or 0))
        for file, match in matches.items():
            if not tests:
                yield _StoredImage(tool, file, why=f"there is no test {function} in a file {stem}.py")
            elif match is None:
                places = [_Place(test.module.place, file.stem, owner=function) for test in tests]
                yield _StoredImage(tool, file, tuple(dict.fromkeys(places)))
            else:
                parameters, platform = match["parameters"] or "", match["platform"]
                numbers = _numbers(indices[parameters, platform], named)
                yield _unnamed(tool, file, tests, parameters, platform, numbers, int(match["index"] or 0))


def _unnamed(
    tool: str,
    file: Path,
    tests: Sequence[_Test],
    parameters: str,
    platform: str,
    numbers: Mapping[int, int] | None,
    index: int,
) -> _StoredImage:
    if numbers is None:
        return _StoredImage(tool, file, why="images with a smaller number are missing, so its call is not known")
    browser = _browser_in(parameters)
    places = [
        _Place(test.module.place, test.qualified + parameters, numbers[index], browser=browser, platform=platform)
        for test in tests
    ]
    return _StoredImage(tool, file, tuple(dict.fromkeys(places)))


def _browser_in(parameters: str) -> str | None:
    words = re.split(r"[-\[\]]", parameters)
    return next((browser for browser in _BROWSERS if browser in words), None)


def _is_browser_folder(parts: Sequence[str]) -> bool:
    """Return whether the path has the form of pytest-playwright-snapshot."""
    return (
        len(parts) > len(("BROWSER", "PLATFORM")) and parts[0] in _BROWSERS and bool(re.fullmatch(_PLATFORMS, parts[1]))
    )


def _playwright_snapshot(project: _Project, tool: str) -> Iterator[_StoredImage]:
    """``__snapshots__/BROWSER/PLATFORM/NAME`` next to the test's file; the call passes the name."""
    for base in project.folders(lambda name: name == "__snapshots__"):
        modules = [
            module
            for module in project.modules_with("assert_snapshot")
            if module.path.parent == base.parent or base in project.named
        ]
        for file in project.pictures(base):
            parts = file.relative_to(base).parts
            if not _is_browser_folder(parts):
                continue
            name = "/".join(parts[2:])
            users = [
                test for module in modules for test in module.tests if _passes_name(test, "assert_snapshot", 1, name)
            ]
            if not users and len(modules) == 1:  # its name is computed; only one file can use it
                places = [_Place(modules[0].place, _stem(name), owner="", browser=parts[0], platform=parts[1])]
            else:
                places = [
                    _Place(test.module.place, _stem(name), owner=test.function, browser=parts[0], platform=parts[1])
                    for test in users
                ]
            why = "" if places else f"no assert_snapshot call in {label_of(base.parent)} has the name {name!r}"
            yield _StoredImage(tool, file, tuple(dict.fromkeys(places)), why)


def _stem(name: str) -> str:
    return re.sub(r"[/\\]", "-", name.rpartition(".")[0] or name)


def _passes_name(test: _Test, function: str, index: int, name: str) -> bool:
    """Return whether a test passes this name to a function, as ``name`` or as the argument with this index."""
    return any(
        isinstance(value, ast.Constant) and value.value == name
        for call in _calls(test.node, function)
        for value in _arguments(call, index, "name")
    )


def _calls(node: ast.AST, function: str) -> Iterator[ast.Call]:
    """Yield the calls of a function, or of a method, of this name."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            called = inner.func
            if (isinstance(called, ast.Name) and called.id == function) or (
                isinstance(called, ast.Attribute) and called.attr == function
            ):
                yield inner


def _arguments(call: ast.Call, index: int | None, name: str) -> list[ast.expr]:
    found = [keyword.value for keyword in call.keywords if keyword.arg == name]
    if not found and index is not None and len(call.args) > index:
        found = [call.args[index]]
    return found


# ---- syrupy


def _syrupy(project: _Project, tool: str) -> Iterator[_StoredImage]:
    """``__snapshots__/FILE/CLASS.FUNCTION[PARAMETERS].N.png``, or ``[NAME]`` instead of ``.N``, next to the file."""
    own = Path(project.ini.get("snapshot-dirname", "__snapshots__")).name
    by_stem = defaultdict(list)
    for module in project.modules:
        by_stem[module.path.stem].append(module)
    for base in project.folders(lambda name: name == own):
        groups: defaultdict[str, list[Path]] = defaultdict(list)
        for file in project.pictures(base, PICTURE_SUFFIXES | {_RAW, ".svg"}):
            parts = file.relative_to(base).parts
            if len(parts) == len(("FILE", "NAME")):
                groups[parts[0]].append(file)
        for stem, files in groups.items():
            modules = [module for module in by_stem[stem] if module.path.parent == base.parent or base in project.named]
            yield from _syrupy_pictures(tool, files, modules, f"{stem}.py")


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The parts of a file name of syrupy."""

    test: _Test
    parameters: str
    browser: str | None
    index: int
    name: str | None


def _syrupy_pictures(tool: str, files: Sequence[Path], modules: Sequence[_Module], what: str) -> Iterator[_StoredImage]:
    tests = [test for module in modules for test in module.tests]
    taken = {file: _parsed(file.stem, tests) for file in files}
    indices: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    named: Counter[tuple[str, str]] = Counter()
    for known in filter(None, taken.values()):
        key = known.test.qualified, known.parameters
        if known.name is None:
            indices[key].append(known.index)
        else:
            named[key] += 1
    for file, snapshot in taken.items():
        if file.suffix == ".svg":
            yield _StoredImage(tool, file, why="an SVG is not an image of pixels; draw it as PNG in the test")
        elif file.suffix == _RAW and not _may_be_image(file):
            continue
        elif snapshot is None:
            yield _StoredImage(tool, file, why=f"no test in {what} has this name")
        elif snapshot.name is not None:
            owner = snapshot.test.function + snapshot.parameters
            place = _Place(snapshot.test.module.place, snapshot.name, owner=owner, browser=snapshot.browser)
            yield _StoredImage(tool, file, (place,))
        else:
            key = snapshot.test.qualified, snapshot.parameters
            numbers = _numbers(indices[key], named[key])
            if numbers is None:
                yield _StoredImage(tool, file, why="images with a smaller number are missing, so its call is not known")
                continue
            test = snapshot.test.qualified + snapshot.parameters
            place = _Place(snapshot.test.module.place, test, numbers[snapshot.index], browser=snapshot.browser)
            yield _StoredImage(tool, file, (place,))


def _may_be_image(file: Path) -> bool:
    """Return whether a file starts like an image, or cannot be opened, which is reported later."""
    try:
        with open_regular(file) as stream:
            sniff(stream.read(_FIRST_BYTES))
    except UnreadableError:
        return False
    except OSError:
        return True
    return True


def _syrupy_text(text: str) -> str:
    """Return the string without the characters that syrupy removes from file names."""
    return "".join(
        character for character in text if character not in '\\/?*:|"<>' and unicodedata.category(character)[0] != "C"
    )


def _parsed(stem: str, tests: Sequence[_Test]) -> _Snapshot | None:
    """Return the test and the call of a file name."""
    for test in sorted(tests, key=lambda test: -len(test.qualified)):
        rest = stem.removeprefix(_syrupy_text(test.qualified))
        if rest == stem or (rest and rest[0] not in "[."):
            continue
        for parameters, browser in sorted(_written_parameters(test, rest), key=lambda pair: -len(pair[0])):
            left = rest.removeprefix(_syrupy_text(parameters))
            if left == rest and parameters:
                continue
            call = re.fullmatch(r"(?:\.(?P<index>[1-9]\d*)|\[(?P<name>.+)\])?", left)
            if call is not None:
                return _Snapshot(test, parameters, browser, int(call["index"] or 0), call["name"])
    return None


def _written_parameters(test: _Test, rest: str) -> Iterator[tuple[str, str | None]]:
    """Yield the possible parameters in a file name, if the source does not contain them in this form."""
    names = any(
        keyword.arg == "name" for node in ast.walk(test.node) if isinstance(node, ast.Call) for keyword in node.keywords
    )
    if test.ids is not None and (test.ids or names):
        yield from test.variants()
        return
    if not test.ids:
        yield from test.variants()
    if found := re.match(r"\[.*\](?=\[)|\[.*\]" if names else r"\[.*\]", rest):
        yield found.group(), _browser_in(found.group()) or test.browser


# ---- pytest-mpl


def _mpl(project: _Project, tool: str) -> Iterator[_StoredImage]:
    """``baseline/FUNCTION_PARAMETERS.png`` next to the test's file, or in the folder of the ini file."""
    given = [*project.named, *project.ini_folder("mpl-baseline-path")]
    places: defaultdict[Path, list[_Place]] = defaultdict(list)
    bases: dict[Path, list[_Test]] = {base: [] for base in given}
    for module in project.modules_with("mpl_image_compare"):
        for test in module.tests:
            marker = _mpl_marker(test)
            own = marker.get("baseline_dir")
            base = Path(os.path.normpath(module.path.parent / own)) if own else None
            for folder in [base] if base else given or [module.path.parent / "baseline"]:
                bases.setdefault(folder, []).append(test)
                for name, place in _mpl_names(test, marker):
                    places[folder / name].append(place)
    for base, tests in bases.items():
        for file in project.pictures(base, PICTURE_SUFFIXES | _VECTORS):
            if file.suffix in _VECTORS:
                yield _StoredImage(tool, file, why=f"{file.suffix} is not an image of pixels; save the figure as PNG")
            elif file in places:
                yield _StoredImage(tool, file, tuple(dict.fromkeys(places[file])))
            else:
                yield _StoredImage(tool, file, why=_why_no_test(file.stem, tests))


def _mpl_marker(test: _Test) -> dict[str, str]:
    """Return the strings that the mark passes as ``baseline_dir`` and ``filename``."""
    found: dict[str, str] = {}
    for decorator in test.node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("mpl_image_compare"):
            for keyword in decorator.keywords:
                value = keyword.value
                if isinstance(value, ast.Name):
                    value = test.module.constants.get(value.id, value)
                if keyword.arg and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found[keyword.arg] = value.value
    return found


def _mpl_names(test: _Test, marker: Mapping[str, str]) -> Iterator[tuple[str, _Place]]:
    """Yield the file names of the test's figures in pytest-mpl, with their places."""
    parts = test.module.place.split("/")
    modules = [".".join(parts[start:]) for start in range(len(parts))]  # as the test's folder is imported
    for parameters, browser in test.variants():
        place = _Place(test.module.place, test.qualified + parameters, browser=browser)
        if "filename" not in marker:
            yield f"{_mpl_text(test.function + parameters)}.png", place
        elif browser not in _BROWSERS:
            yield marker["filename"], place
        for module in modules:
            yield f"{_mpl_text(f'{module}.{test.qualified}{parameters}')}.png", place


def _mpl_text(name: str) -> str:
    return re.sub(r"[\[\]/]", "_", name).removesuffix("_")


def _why_no_test(stem: str, tests: Sequence[_Test]) -> str:
    """Return why an image has no test."""
    word = re.sub(r"\W", "_", stem)
    for test in tests:
        if test.ids is None and f"{test.function}_" in word:
            where = f"{test.module.place}.py"
            return f"the parameters of {test.function} in {where} are not literals, so its test is unknown"
    return "no test has this name"


def _hash_libraries(project: _Project, scope: Sequence[Path]) -> list[str]:
    """Return a line for each hash library of pytest-mpl: it has no images."""
    if not project.modules_with("mpl_image_compare"):
        return []
    found = []
    for file in (file for files in project.files.values() for file in files if file.suffix == ".json"):
        if (scope and not any(file.is_relative_to(path) for path in scope)) or not (count := _hashes_in(file)):
            continue
        found.append(
            f"{label_of(file)}: {count} of pytest-mpl without images: nothing to import; run "
            "pytest --imgdiff-update=missing to write baselines"
        )
    return found


def _hashes_in(file: Path) -> str | None:
    try:
        if file.stat().st_size > _LARGEST_LIBRARY:
            return None
        data = json.loads(read_regular(file))
    except (OSError, ValueError):
        return None
    is_library = isinstance(data, dict) and all(
        isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) for value in data.values()
    )
    if not is_library or not data:
        return None
    return "1 hash" if len(data) == 1 else f"{len(data)} hashes"


# ---- pytest-regressions


def _regressions(project: _Project, tool: str) -> Iterator[_StoredImage]:
    """``FILE/CLASS_FUNCTION_PARAMETERS.png`` next to the test's file; ``_`` replaces punctuation."""
    for module in project.modules_with("image_regression"):
        folder = module.path.with_suffix("")
        places: defaultdict[str, list[_Place]] = defaultdict(list)
        for test in module.tests:
            for parameters, browser in test.variants():
                place = _Place(module.place, test.qualified + parameters, browser=browser)
                name = test.function + parameters
                for one in (name, *(f"{outer}_{name}" for outer in test.classes[-1:])):
                    places[re.sub(r"\W", "_", one)].append(place)
        for file in project.pictures(folder, frozenset({".png"})):
            if file.parent != folder:
                continue
            given = [
                _Place(module.place, file.stem, owner=test.function, browser=test.browser)
                for test in module.tests
                for call in _calls(test.node, "check")
                for value in _arguments(call, None, "basename")
                if (pattern := _pattern(value, module, test.node)) and re.fullmatch(pattern, file.stem)
            ]
            found = given or places.get(file.stem, [])
            yield _StoredImage(
                tool, file, tuple(dict.fromkeys(found)), "" if found else _why_no_test(file.stem, module.tests)
            )


# ---- pytest-image-snapshot


_UNKNOWN = "\0"
"""The placeholder for an unknown part of a path."""


def _image_snapshot(project: _Project, tool: str) -> Iterator[_StoredImage]:
    """Paths that the calls pass, relative to the folder where pytest is started."""
    modules = project.modules_with("image_snapshot")
    places: defaultdict[Path, list[_Place]] = defaultdict(list)
    pictures = [file for files in project.files.values() for file in files if file.suffix.lower() in PICTURE_SUFFIXES]
    for module in modules:
        for test, pattern in _image_paths(module, project.root):
            for file in pictures:
                if re.fullmatch(pattern, file.as_posix()):
                    place = _Place(module.place, file.stem, owner=test.function, browser=test.browser)
                    places[file].append(place)
    for file in pictures:
        if file.stem.endswith((".diff", ".new")):
            continue  # --image-snapshot-save-diff writes it next to an image that differs
        if file in places:
            yield _StoredImage(tool, file, tuple(dict.fromkeys(places[file])))
        elif any(file.is_relative_to(folder) for folder in project.named):
            only = [_Place(module.place, file.stem, owner="") for module in modules]
            why = "no image_snapshot call in the source has this path"
            yield _StoredImage(tool, file, tuple(only), "") if len(only) == 1 else _StoredImage(tool, file, why=why)


def _image_paths(module: _Module, root: Path) -> Iterator[tuple[_Test, str]]:
    """Yield the tests that call image_snapshot, with a pattern for the path of each call."""
    for test in module.tests:
        for call in _calls(test.node, "image_snapshot"):
            for value in _arguments(call, 1, "img_path"):
                if pattern := _pattern(value, module, test.node, root):
                    yield test, pattern


def _pattern(value: ast.expr, module: _Module, function: ast.AST, root: Path | None = None) -> str | None:
    """Return a regular expression for the possible values of a string or path; None if all of it is unknown.

    Args:
        value: the expression.
        module: its module.
        function: its function, for the values of variables.
        root: the base folder of a relative path; None for a string.
    """
    names = {**module.constants, **_assignments(getattr(function, "body", []))}
    text = _text(value, module, names, 0)
    if not text.strip(f"{_UNKNOWN}/"):
        return None
    if root is not None and not text.startswith(("/", _UNKNOWN)):
        text = f"{root.as_posix()}/{text}"
    text = os.path.normpath(text).replace(os.sep, "/") if root is not None else text
    return re.sub(rf"{_UNKNOWN}+", ".+", re.escape(text).replace("\\" + _UNKNOWN, _UNKNOWN))


_DEEPEST = 20
"""The most assignments that a variable is traced back through."""


def _text(value: ast.expr, module: _Module, names: Mapping[str, ast.expr], depth: int) -> str:  # noqa: C901, PLR0911 - a form of expression a line
    """Return the text of a path, with `_UNKNOWN` for the parts that depend on the run."""

    def text(inner: ast.expr) -> str:
        return _text(inner, module, names, depth + 1) if depth < _DEEPEST else _UNKNOWN

    match value:
        case ast.Constant(value=str(written)):
            return written
        case ast.JoinedStr(values=parts):
            return "".join(text(part) for part in parts)
        case ast.Name(id="__file__"):
            return module.path.as_posix()
        case ast.Name(id=name) if name in names:
            return text(names[name])
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return f"{text(left)}/{text(right)}"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text(left) + text(right)
        case ast.Attribute(value=inner, attr="parent"):
            return text(inner).rpartition("/")[0] or _UNKNOWN
        case ast.Call(func=ast.Attribute(value=inner, attr="resolve" | "absolute"), args=[]):
            return text(inner)
        case ast.Call(func=ast.Name(id="str" | "Path" | "fspath"), args=[inner]):
            return text(inner)
        case ast.Call(func=ast.Attribute(attr="Path" | "fspath" | "abspath" | "realpath"), args=[inner]):
            return text(inner)
        case ast.Call(func=ast.Attribute(attr="dirname"), args=[inner]):
            return text(inner).rpartition("/")[0] or _UNKNOWN
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="path"), attr="join"), args=parts):
            return "/".join(text(part) for part in parts)
    return _UNKNOWN


# ---- Playwright for Node


_NODE_TEST = r"[cm]?[jt]sx?"
"""The endings of test files of Playwright for Node."""


def _playwright(project: _Project, tool: str) -> Iterator[_StoredImage]:
    """``FILE.spec.ts-snapshots/NAME-PROJECT-PLATFORM.png``, or the snapshotPathTemplate of Playwright's settings.

    The tests are TypeScript or JavaScript; those in Python are new.
    """
    folder_name = re.compile(rf"(?P<file>.+\.(?:{_NODE_TEST}|py))-snapshots")
    configs = [
        (file.parent, read_regular(file).decode("utf-8", "replace"))
        for files in project.files.values()
        for file in files
        if re.fullmatch(r"playwright\.config\.[cm]?[jt]s", file.name)
    ]
    names = {name for _, text in configs for name in _quoted("name", text)}
    projects = sorted(
        {*_BROWSERS, *(re.sub(r"\W+", "-", name, flags=re.ASCII) for name in names)}, key=len, reverse=True
    )
    for base in project.folders(folder_name.fullmatch):
        match = folder_name.fullmatch(base.name)
        for file in project.pictures(base) if match is not None else ():
            name = file.relative_to(base).with_suffix("").as_posix()
            found = re.fullmatch(rf"(?P<name>.+?)-(?P<platform>{_PLATFORMS})", name)
            name, platform = (found["name"], found["platform"]) if found else (name, None)
            ending = next((one for one in projects if name.endswith(f"-{one}")), None)
            name = name.removesuffix(f"-{ending}")
            module = _module_for(base.parent, match["file"] if match else "", project)
            yield _StoredImage(tool, file, (_of_playwright(module, name, ending, platform),))
    for folder, text in configs:
        test_folder = folder / next(iter(_quoted("testDir", text)), "")
        for template in _quoted("(?:snapshotP|p)athTemplate", text):
            pattern = _template(template, folder, test_folder, next(iter(_quoted("snapshotDir", text)), None), projects)
            for file in project.pictures(folder):
                if (found := re.fullmatch(pattern, file.as_posix())) is None:
                    continue
                parts = found.groupdict()
                path = parts.get("testFilePath") or f"{parts.get('testFileDir') or ''}{parts.get('testFileName') or ''}"
                if not path:
                    yield _StoredImage(tool, file, why="the snapshotPathTemplate names no test file")
                    continue
                module = _module_for((test_folder / path).parent, PurePosixPath(path).name, project)
                platform = parts.get("platform") or parts.get("snapshotSuffix")
                yield _StoredImage(
                    tool, file, (_of_playwright(module, found["arg"], parts.get("projectName"), platform),)
                )


def _of_playwright(module: str, name: str, project: str | None, platform: str | None) -> _Place:
    """Return the place of an image. A project whose name is not a browser stays part of the name."""
    name = name.replace("/", "-")
    if project is not None and project not in _BROWSERS:
        name = f"{name}-{project}"
    browser = None if project is None else _browser_of(project)
    return _Place(module, name, owner="", browser=browser, platform=platform)


def _quoted(key: str, text: str) -> list[str]:
    """Return the string values of a key in a settings file in TypeScript or JavaScript."""
    found = re.findall(rf"""\b{key}['"]?\s*:\s*(['"`])(.+?)\1""", text)
    return [value for _, value in found if "${" not in value]


def _template(template: str, folder: Path, tests: Path, snapshots: str | None, projects: Sequence[str]) -> str:
    """Return a regular expression for a snapshotPathTemplate, with a group for each of its words."""
    words = {
        "testDir": re.escape(Path(os.path.normpath(tests)).as_posix()),
        "snapshotDir": re.escape(Path(os.path.normpath(tests if snapshots is None else folder / snapshots)).as_posix()),
        "testFileDir": r"(?:[^/]+/)*",
        "testFileName": rf"[^/]+\.{_NODE_TEST}",
        "testFilePath": rf".+?\.{_NODE_TEST}",
        "arg": r".+?",
        "ext": r"\.\w+",
        "projectName": "|".join(map(re.escape, projects)),
        "platform": _PLATFORMS,
        "snapshotSuffix": _PLATFORMS,
        "testName": r"[^/]+",
    }
    pattern, end, seen = "", 0, set()
    text = template.replace("{testFileDir}/", "{testFileDir}").removeprefix("./")
    for found in re.finditer(r"\{(?P<before>\W)?(?P<word>\w+)\}", text):
        before, word = found["before"] or "", found["word"]
        if word not in words:
            return r"(?!)"
        group = f"(?P={word})" if word in seen else f"(?P<{word}>{words[word]})"
        seen.add(word)
        pattern += re.escape(text[end : found.start()]) + (f"(?:{re.escape(before)}{group})?" if before else group)
        end = found.end()
    pattern += re.escape(text[end:])
    is_rooted = text.startswith(("{testDir}", "{snapshotDir}", "/"))
    return pattern if is_rooted else re.escape(f"{folder.as_posix()}/") + pattern


def _browser_of(name: str) -> str | None:
    words = {
        "chromium": r"chrom|edge|pixel|galaxy",
        "firefox": "firefox",
        "webkit": "webkit|safari|iphone|ipad",
    }
    return next((browser for browser, word in words.items() if re.search(word, name, re.IGNORECASE)), None)


def _module_for(folder: Path, file: str, project: _Project) -> str:
    """Return the Python test module that replaces a test file of Playwright: ``test_NAME.py``."""
    if file.endswith(".py"):
        path = folder / file
    else:
        name = "test_" + re.sub(r"\W+", "_", re.sub(r"(\.(spec|test))?\.[cm]?[jt]sx?$", "", file))
        written = [module.path for module in project.modules if module.path.stem == name]
        path = written[0] if len(written) == 1 else folder / f"{name}.py"
    return PurePosixPath(relative(path, project.root)).with_suffix("").as_posix()


_TOOLS: dict[str, Callable[[_Project, str], Iterator[_StoredImage]]] = {
    "pytest-playwright-visual-snapshot": _visual_snapshot,
    "pytest-playwright-visual": _visual,
    "pytest-playwright-snapshot": _playwright_snapshot,
    "pytest-image-snapshot": _image_snapshot,
    "pytest-mpl": _mpl,
    "pytest-regressions": _regressions,
    "syrupy": _syrupy,
    "playwright": _playwright,
}
"""Name of a tool on the command line to the function that finds its images."""


# ---- Writing

_Result = Literal[
    "imported", "replaced", "would be imported", "would be replaced", "already there", "not mapped", "refused",
    "not written",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Line:
    """One image with one place, and the result.

    Attributes:
        picture: the image.
        result: its result.
        target: the path of the baseline, if it is known.
        name: the ``name`` that the call must pass; None if it needs none.
        why: the reason if it is not mapped, refused or not written.
        place: the parts of the baseline's name.
        digest: the SHA-256 of the image, if it is to be written.
    """

    picture: _StoredImage
    result: _Result
    target: Path | None = None
    name: str | None = None
    why: str = ""
    place: _Place | None = None
    digest: str = ""


class _Plan:
    """Determines the target of every image before anything is written."""

    def __init__(self, project: _Project, options: argparse.Namespace) -> None:
        self._project = project
        self._options = options
        self._baselines = project.settings_baselines

    def planned(self, pictures: Sequence[_StoredImage]) -> list[_Line]:
        """Return what to do with each image, in their order."""
        owners: defaultdict[tuple[str, str, str], set[tuple[str, Path | None]]] = defaultdict(set)
        for picture in pictures:
            for place in picture.places:
                if place.owner is not None:
                    owners[_name_key(place)].add((place.owner, None if place.owner else picture.source))
        shared = {key for key, users in owners.items() if len(users) > 1}
        lines = [line for picture in pictures for line in self._lines_of(picture, shared)]
        return self._without_conflicts(lines)

    def _lines_of(self, picture: _StoredImage, shared: set[tuple[str, str, str]]) -> Iterator[_Line]:
        if not picture.places:
            yield _Line(picture, "not mapped", why=picture.why)
            return
        try:
            image, data = _read(picture.source, self._project)
        except BrokenImageError as error:
            yield _Line(picture, "refused", why=str(error))
            return
        for place in picture.places:
            if _name_key(place) in shared and place.owner:
                place = replace(place, test=f"{place.owner}-{place.test}")  # noqa: PLW2901 - a name that two tests give
            yield self._line(picture, place, image, data)

    def _line(self, picture: _StoredImage, place: _Place, image: Image, data: bytes) -> _Line:
        name = None if place.owner is None else place.test
        target = self._target(place)
        if isinstance(target, str):
            return _Line(picture, "not mapped", why=target)
        target = self._baselines.target(target, image)
        digest = hashlib.sha256(data).hexdigest()
        line = _Line(picture, "would be imported", target, name, place=place, digest=digest)
        try:
            place_to_write(target)
            stored = [file for file in stored_for(target) if file.stem == target.stem]
        except BaselineError as error:
            return replace(line, result="refused", why=str(error))
        if stored and _bytes_of(stored[0]) == data:
            return replace(line, result="already there", target=stored[0])
        if stored and not self._options.replace:
            why = f"the baseline {label_of(stored[0])} is another image; add --replace to replace it"
            return replace(line, result="refused", why=why)
        return replace(line, result="would be replaced") if stored else line

    def _target(self, place: _Place) -> Path | str:
        """Return the path of the baseline, or why it is unknown."""
        if ALTERNATIVE.search(place.test):
            return "names that end in .alt and digits are reserved for alternative baselines"
        values = {"platform": place.platform, **dict.fromkeys(SETTING, place.browser if place.browser == ANY else None)}
        values["browser"] = place.browser
        for word, known in values.items():
            given = getattr(self._options, word)
            values[word] = given if known in {None, ANY} and given is not None else known
            if f"{{{word}}}" in self._baselines.layout and values[word] is None:
                option = word.replace("_", "-")
                return f"the layout contains {{{word}}}, but the file name does not contain it; add --{option} VALUE"
        platform = values.pop("platform")
        key = BaselineKey(
            place.module, place.test, place.call, **{word: value or ANY for word, value in values.items()}
        )
        filled = self._baselines.layout.replace("{platform}", platform or "")
        return self._baselines.folder / replace(self._baselines, layout=filled).place(key)

    def carried_out(self, line: _Line) -> _Line:
        """Write the baseline of a line if the plan says so, and image and baseline have not changed since."""
        if line.result not in {"would be imported", "would be replaced"} or line.target is None or line.place is None:
            return line
        try:
            image, data = _read(line.picture.source, self._project)
            again = self._line(line.picture, line.place, image, data)
            if again.result == "already there":  # another image with the same bytes was for this place
                return again
            if again != line:
                return replace(
                    line, result="refused", why="it or its baseline has changed in the meantime; import it again"
                )
            self._baselines.accept(line.target, image, data)
        except (BrokenImageError, BaselineError) as error:
            return replace(line, result="not written", why=str(error))
        except OSError as error:
            return replace(line, result="not written", why=f"{label_of(line.target)}: {error.strerror or error}")
        return replace(line, result="imported" if line.result == "would be imported" else "replaced")

    def _without_conflicts(self, lines: list[_Line]) -> list[_Line]:
        """Return the lines; different images for one place are refused, with the reason."""
        conflicts: defaultdict[str, dict[str, _Line]] = defaultdict(dict)
        for line in lines:
            if line.target is not None:
                conflicts[_path_key(line.target)].setdefault(line.digest, line)
        return [self._unless_conflicting(line, conflicts) for line in lines]

    def _unless_conflicting(self, line: _Line, conflicts: Mapping[str, Mapping[str, _Line]]) -> _Line:
        if line.target is None:
            return line
        others = [other for digest, other in conflicts[_path_key(line.target)].items() if digest != line.digest]
        if not others:
            return line
        lacking = [
            word
            for word in ("platform", "browser")
            if f"{{{word}}}" not in self._baselines.layout
            and len({getattr(one.place, word) for one in (line, *others)}) > 1
        ]
        layout = "/".join([*(f"{{{word}}}" for word in lacking), self._baselines.layout])
        advice = f'set a layout that distinguishes them: "{layout}"' if lacking else "rename one of the two"
        why = f"{label_of(others[0].picture.source)} would have the same baseline {label_of(line.target)}; {advice}"
        return replace(line, result="refused", why=why)


def _name_key(place: _Place) -> tuple[str, str, str]:
    return place.module, place.test, f"{place.browser} {place.platform}"


def _path_key(path: Path) -> str:
    """Return a key that is equal for paths that are one file on some disks."""
    return unicodedata.normalize("NFC", str(path.with_suffix(""))).casefold()


def _bytes_of(file: Path) -> bytes | None:
    try:
        return read_regular(file)
    except OSError:  # a broken link, or not a file: it is not this image
        return None


def _read(source: Path, project: _Project) -> tuple[Image, bytes]:
    """Return the image and its bytes after a check of every frame.

    Raises:
        BrokenImageError: it is not a complete, readable image.
    """
    found = images.read(source, root=project.here)
    first = None
    for frame in images.check(found, frames="all", max_pixels=project.max_pixels):
        first = frame if first is None else first
    if found.data is None or first is None:
        raise AssertionError(source)
    return first, found.data


# ---- Printing


def _print_result(lines: Sequence[_Line], notes: Sequence[str], project: _Project, *, dry_run: bool) -> None:
    by_tool: defaultdict[str, list[_Line]] = defaultdict(list)
    for line in lines:
        by_tool[line.picture.tool].append(line)
    for tool, of_tool in by_tool.items():
        print(f"{tool}: {counted(len({line.picture.source for line in of_tool}), 'image')}")
        for line in of_tool:
            if line.result in {"refused", "not written"}:
                print(f"pytest-imgdiff: {_words(line)}", file=sys.stderr)
            elif line.result != "already there" or dry_run:
                print(f"  {_words(line)}")
        if len(by_tool) == 1 and (layout := _usable_layout(of_tool, project)):
            print(f"  or keep them where they are, with this in imgdiff.yaml:\n    {layout}")
    for note in notes:
        print(visible(note))
    counts = Counter(line.result for line in lines)
    total = ", ".join(f"{number} {result}" for result, number in counts.items()) or "nothing to import"
    if counts.keys() == {"already there"}:
        total = f"nothing to import: all {counted(len(lines), 'baseline')} already exist"
    print(f"{total}; nothing was written (--dry-run)" if dry_run else total)


def _words(line: _Line) -> str:
    source = label_of(line.picture.source)
    if line.target is None or line.why:
        return visible(
            f"{line.result}: {line.why}"
            if line.why.startswith(f"{source}:")
            else f"{line.result}: {source}: {line.why}"
        )
    call = f'; pass name="{line.name}"' if line.name is not None else ""
    return visible(f"{line.result}: {source} -> {label_of(line.target)}{call}")


_LAYOUTS = (
    "{module}/{test}.png",
    "{browser}/{platform}/{test}.png",
    "{test}-{browser}-{platform}.png",
    "{test}-{platform}.png",
    "{test}.png",
)
"""Layouts that images of other tools may have; more specific ones come first."""


def _usable_layout(lines: Sequence[_Line], project: _Project) -> str | None:
    """Return a ``baselines`` line that uses all images at their place, if there is one."""
    mapped = [line for line in lines if line.place is not None]
    if not mapped or any(line.result == "already there" for line in mapped):
        return None
    sources = [line.picture.source for line in mapped]
    if len(set(sources)) < len(sources):  # one image for two tests
        return None
    common = Path(os.path.commonpath([source.parent for source in sources]))
    folders = [folder for folder in (common, *common.parents) if project.root in folder.parents]
    for layout, folder in itertools.product(_LAYOUTS, folders):
        baselines = Baselines(folder, layout)
        if baselines != project.settings_baselines and all(_fits(line, baselines) for line in mapped):
            name = relative(folder, _settings_folder(project))
            return f'baselines: {{folder: {json.dumps(name)}, layout: "{layout}"}}'
    return None


def _fits(line: _Line, baselines: Baselines) -> bool:
    place = line.place
    if place is None or place.call > 1:
        return False
    if ("{platform}" in baselines.layout and not place.platform) or (
        "{browser}" in baselines.layout and not place.browser
    ):
        return False
    filled = baselines.layout.replace("{platform}", place.platform or "")
    key = BaselineKey(place.module, place.test, place.call, place.browser or ANY)
    place_of_baseline = baselines.folder / replace(baselines, layout=filled).place(key)
    return (
        place_of_baseline.with_suffix("") == line.picture.source.with_suffix("")
        and line.picture.source.suffix in PICTURE_SUFFIXES
    )


def _settings_folder(project: _Project) -> Path:
    config = find_config(project.here)
    return project.root if config is None else config.parent
