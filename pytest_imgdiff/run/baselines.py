"""Stored expected images: their names, alternatives, atomic replacement, and unused ones."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import stat
import string
import sys
import unicodedata
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import BaselineError
from pytest_imgdiff.base.files import write_atomically
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.text import safe_name
from pytest_imgdiff.images import is_picture_file
from pytest_imgdiff.images.files import FETCH_LINKED
from pytest_imgdiff.images.sniff import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from pytest_imgdiff.base.captured import CaptureInfo
    from pytest_imgdiff.base.image import Image

EXTENSIONS: dict[str, str] = {name: kind.extension for name, kind in KINDS.items()}
"""Extensions of baselines that are stored unchanged; other sources are stored as PNG."""
ALTERNATIVE = re.compile(r"\.alt\d+$")
"""Suffix of the stem of an alternative."""
UNCLEAN = "a test of their modules did not pass"
"""Why a run cannot decide that a baseline of such a module is unused."""
_PLATFORMS = "linux|darwin|win32|cygwin|aix|emscripten|wasi|ios|android|freebsd[0-9]*"
"""Values of ``sys.platform``: a folder with another name belongs to another layout."""
ANY = "any"
"""Value for the browser, viewport, ... of an image that was not captured."""
SETTING = {"browser": "browser", "viewport": "viewport", "dpr": "device scale", "color_scheme": "colour scheme"}
"""Placeholders that depend on the capture, with their descriptions."""
_MEANINGS = {
    "module": ".+",
    "test": "[^/]+",
    "platform": _PLATFORMS,
    "browser": "[^/]+",
    "viewport": f"[0-9]+x[0-9]+|{ANY}",
    "dpr": f"[0-9]+(?:[.][0-9]+)?|{ANY}",
    "color_scheme": f"light|dark|{ANY}",
}
"""Patterns of the values of each placeholder."""
_BROWSERS = "chromium|firefox|webkit|chrome|msedge|edge|safari"
"""Browser names that are recognized in a test's parameters."""
_MOST_NAMED = 3
"""Most baselines for other settings to name if one is missing."""
_STORE_HASHES = ("md5", "sha1", "sha256", "sha512")
"""Hashes in the file names of stores for large files (git-annex, DVC, Git LFS)."""
PICTURE_SUFFIXES = frozenset({*EXTENSIONS.values(), ".jpeg", ".tif"})


@dataclass(frozen=True, slots=True)
class BaselineKey:
    """The parts that determine a baseline's path.

    Attributes:
        module: the test's file relative to the root folder, without its suffix, with forward slashes.
        test: the rest of its node id (classes, function, parameters), or the name that was passed.
        call: number of the unnamed comparison in the test, from 1.
        browser: from the test's ``browser_name`` parameter or fixture, or from the capture; ``any`` if there is none.
        viewport: of the capture, in CSS pixels: ``1280x720``; ``any`` if nothing was captured.
        dpr: device pixels per CSS pixel of the capture: ``1``, ``1.5``; or ``any``.
        color_scheme: ``light``, ``dark`` or ``any``.
    """

    module: str
    test: str
    call: int = 1
    browser: str = ANY
    viewport: str = ANY
    dpr: str = ANY
    color_scheme: str = ANY

    def captured(self, info: CaptureInfo) -> BaselineKey:
        """Return the key for a capture. A browser from the test itself is kept."""
        return replace(
            self,
            browser=self.browser if self.browser != ANY else info.browser or ANY,
            viewport=ANY if info.viewport is None else "x".join(map(str, info.viewport)),
            dpr=ANY if info.device_scale is None else f"{info.device_scale:g}",
            color_scheme=info.color_scheme or ANY,
        )

    @property
    def file_test(self) -> str:
        """Name of the test as used in file names."""
        return safe_name(self.test if self.call == 1 else f"{self.test}-{self.call}")

    @property
    def setting(self) -> dict[str, str]:
        """Platform, browser, ... as used in file names."""
        own = {name: safe_name(getattr(self, name)) for name in SETTING}
        return {"platform": sys.platform, **own}


@dataclass
class Baselines:
    """The stored expected images of a project.

    Args:
        folder: the baselines folder.
        layout: path below it, with `pytest_imgdiff.config.settings.PLACEHOLDERS`.
    """

    folder: Path
    layout: str
    _owners: dict[str, tuple[str, str]] = field(default_factory=dict)

    def place(self, key: BaselineKey) -> str:
        """Return the path of the baseline below the folder, with forward slashes."""
        return self.layout.format(module=module_place(key.module), test=key.file_test, **key.setting)

    def follows_capture(self, key: BaselineKey) -> bool:
        """Return whether the path of the baseline depends on the capture."""
        unknown = (name for name in SETTING if getattr(key, name) == ANY)
        return any(f"{{{name}}}" in self.layout for name in unknown)

    def elsewhere(self, key: BaselineKey) -> list[OtherBaseline]:
        """Return the stored baselines of the same comparison for another platform, browser, viewport, ...

        This includes baselines whose browser, viewport or colour scheme occurs only in the test's parameters
        (``test_page[chromium]``). Those that differ in the fewest settings come first.
        """
        pattern, wildcard = self._any_setting(key)
        if wildcard is None:
            return []
        own = self.place(key).rpartition(".")[0]
        found = []
        for file in self.folder.glob(wildcard):
            stem = self.relative(file).rpartition(".")[0]
            match = pattern.fullmatch(stem)
            if match is None or stem == own or file.suffix.lower() not in PICTURE_SUFFIXES:
                continue
            there, here = match.groupdict(), key.setting
            found.append(OtherBaseline(file, {name: there[name] for name in there if there[name] != here[name]}))
        return sorted(found, key=lambda other: (len(other.differs), other.path))

    def _any_setting(self, key: BaselineKey) -> tuple[re.Pattern[str], str | None]:
        """Return a pattern for the stems of this key's baselines with any setting, and a glob for their files.

        The glob is None if there is only one setting.
        """
        stem = self.layout.rpartition(".")[0]
        pattern, wildcard = "", ""
        named: set[str] = set()
        for literal, name, _, _ in string.Formatter().parse(stem):
            pieces: list[tuple[str, str | None]] = [(literal, None)]
            if name == "module":
                pieces.append((module_place(key.module), None))
            elif name == "test":
                pieces += _settings_in(key)
            elif name is not None:
                pieces.append(("", name))
            for text, setting in pieces:
                pattern += re.escape(text)
                wildcard += glob.escape(text)
                if setting is not None:
                    strict = setting == "browser" and "{browser}" not in stem
                    meaning = _BROWSERS if strict else _MEANINGS[setting]
                    pattern += f"(?P={setting})" if setting in named else f"(?P<{setting}>{meaning})"
                    wildcard = f"{wildcard.rstrip('*')}*"
                    named.add(setting)
        return re.compile(pattern), f"{wildcard}.*" if named else None

    def path(self, key: BaselineKey, owner: str) -> Path:
        """Return where the baseline of this key is stored, with the layout's own extension.

        Args:
            key: of the baseline.
            owner: description of the comparison; another owner of the same file (also on a case-insensitive disk) is an
                error.

        Raises:
            BaselineError: another comparison of this run already has this baseline.
        """
        if ALTERNATIVE.search(key.test):
            msg = f"{owner}: names that end in .alt and digits are reserved for alternatives; use another name"
            raise BaselineError(msg)
        relative = self.place(key)
        claimed = unicodedata.normalize("NFC", str(PurePosixPath(relative).with_suffix(""))).casefold()
        holder, held = self._owners.setdefault(claimed, (owner, relative))
        if holder != owner:
            lacking = " and ".join(part for part in ("{module}", "{test}") if part not in self.layout)
            layout = f", or add {lacking} to baselines.layout" if lacking else ""
            why = "" if held == relative else " (some disks are case-insensitive)"
            msg = (
                f"{holder} and {owner} would share the baseline {relative}{why}: pass another name=... to one of them, "
                f'such as name=f"{{request.node.name}}-..." in a parametrized test{layout}'
            )
            raise BaselineError(msg)
        return self.folder / relative

    def accepted(self, path: Path) -> list[Path]:
        """Return the stored baselines for this place: see `stored_for`.

        Raises:
            BaselineError: as `stored_for`; or DVC tracks the baseline, and its content is not on this machine.
        """
        found = stored_for(path)
        if not found and (tracked := self._tracked_elsewhere(path)) is not None:
            raise BaselineError(f"{label_of(path)}: tracked by DVC ({tracked.name}) but missing; run `dvc pull`")
        return found

    def _tracked_elsewhere(self, path: Path) -> Path | None:
        """Return the .dvc file of a baseline, or of a folder above it, that was not pulled."""
        siblings = (path.with_name(f"{path.stem}{suffix}.dvc") for suffix in sorted(PICTURE_SUFFIXES))
        folders = [folder for folder in path.parents if folder.is_relative_to(self.folder) and not folder.exists()]
        above = (folder.with_name(f"{folder.name}.dvc") for folder in folders)
        return next((file for file in (*siblings, *above) if file.is_file()), None)

    def accept(self, path: Path, image: Image, data: bytes) -> Path:
        """Store the image as the baseline, and keep its alternatives.

        Args:
            path: as `path` returned it.
            image: the image, which determines the format.
            data: its encoded bytes.

        Returns:
            Its path: the extension depends on the content.

        Raises:
            BaselineError: it could not be written; the old one is unchanged.
        """
        target = self.target(path, image)
        replaced = [file for file in self.accepted(path)[:1] if file != target and file.stem == target.stem]
        for file in replaced:
            if file.is_symlink():
                raise BaselineError(
                    f"{label_of(file)}: the baseline is a symbolic link, and the new image has another format; delete "
                    "the link first"
                )
        store(target, data)
        for file in replaced:
            if not file.samefile(target):  # such as test.PNG and test.png on a case-insensitive disk
                file.unlink()
        return target

    def target(self, path: Path, image: Image) -> Path:
        """Return the path for this image as the baseline: the extension depends on the content."""
        return path.with_name(path.stem + EXTENSIONS.get(image.info.format, ".png"))

    def relative(self, path: Path) -> str:
        """Return the path of a stored baseline below the folder, with forward slashes."""
        return path.relative_to(self.folder).as_posix()

    def survey(self, used: Collection[str], ran: RanModules, root: Path) -> Survey:
        """Find stored images that no test used.

        Args:
            used: the baselines that were used, relative to the folder.
            ran: what is known about the modules of the run.
            root: the folder that modules are relative to.
        """
        survey = Survey()
        if not self.folder.is_dir():
            return survey
        settings = _Settings(self.layout, [self._parts(place) for place in ran.claimed])
        for file in sorted(self.folder.rglob("*")):
            if file.suffix.lower() not in PICTURE_SUFFIXES or not (file.is_file() or file.is_symlink()):
                continue
            place = self.relative(file)
            if place in used:
                survey.looked_at += 1
                continue
            parts = self._parts(place)
            if "{module}" not in self.layout:
                survey.leave("the layout names no {module}", file)
            elif not parts or not _has_test_file(root, parts["module"]):
                survey.orphans.append(file)
            elif why := ran.why_unknown(parts["module"], parts.get("platform"), settings.why_unknown(parts)):
                survey.leave(why, file)
            else:
                survey.looked_at += 1
                survey.unused.append(file)
        return survey

    def module_and_test(self, file: Path) -> tuple[str, str] | None:
        """Return module and test from the path of a stored baseline; None if it has another layout."""
        parts = self._parts(self.relative(file))
        return (parts["module"], parts["test"]) if {"module", "test"} <= parts.keys() else None

    def setting_of(self, place: str) -> Setting:
        """Return the browser, viewport, ... of a stored baseline; None for those that the layout does not contain."""
        return _setting(self._parts(place))

    def _parts(self, place: str) -> dict[str, str]:
        """Return the value of each placeholder in the path of a baseline; empty if it has another layout."""
        found = _pattern(self.layout).fullmatch(place.rpartition(".")[0])
        return {} if found is None else found.groupdict()


Setting = tuple["str | None", ...]
"""The values of `SETTING`, in its order."""


@lru_cache(maxsize=8)
def _pattern(layout: str) -> re.Pattern[str]:
    """Return a pattern for stems of baselines in this layout, with any setting."""
    pattern = re.escape(layout.rpartition(".")[0])
    for word, meaning in _MEANINGS.items():
        written = re.escape(f"{{{word}}}")
        pattern = pattern.replace(written, f"(?P<{word}>{meaning})", 1).replace(written, f"(?P={word})")
    return re.compile(pattern)


def _setting(parts: Mapping[str, str]) -> Setting:
    return tuple(map(parts.get, SETTING))


def _settings_in(key: BaselineKey) -> Iterator[tuple[str, str | None]]:
    """Yield the parts of a test's name: strings, and the settings that its parameters contain.

    A name with replaced characters ends in a hash of all characters, so it is one part.
    """
    name = key.file_test
    written = key.test if key.call == 1 else f"{key.test}-{key.call}"
    parameters = re.search(r"(?<=\[)[^\[\]]+(?=\](?:-\d+)?$)", name)
    values = {getattr(key, setting): setting for setting in SETTING if setting != "dpr"}
    if parameters is None or name != written:
        yield name, None
        return
    yield name[: parameters.start()], None
    for part in re.split("(-)", parameters[0]):
        yield ("", values[part]) if part in values and part != ANY else (part, None)
    yield name[parameters.end() :], None


@dataclass(frozen=True, slots=True)
class OtherBaseline:
    """A stored baseline of the same comparison for another setting.

    Attributes:
        path: of the file.
        differs: its own values of the settings that differ, by placeholder.
    """

    path: Path
    differs: Mapping[str, str]

    @property
    def words(self) -> str:
        """Description of its settings: ``chromium``, ``viewport 390x844, colour scheme dark``."""
        bare = ("platform", "browser")
        named = ((value if name in bare else f"{SETTING[name]} {value}") for name, value in self.differs.items())
        return ", ".join(named)

    def advice(self, key: BaselineKey) -> str:
        """Return how it could be used for this key."""
        if any(key.setting[name] == ANY for name in self.differs):
            return "pass the page itself, not an image of it, or accept this one"
        if ANY in self.differs.values():
            return "it was stored from an image, not a capture: rename it, or accept this one"
        named = [SETTING[name] for name in self.differs if name in SETTING]
        parts = [*(["on that platform"] if "platform" in self.differs else [])]
        parts += [f"with that {' and '.join(named)}"] if named else []
        return f"run {' '.join(parts)}, or accept this one"


def in_other_settings(others: Sequence[OtherBaseline], key: BaselineKey, shown: Callable[[Path], str]) -> str:
    """Describe the baselines of the same comparison for other settings, and how to use the nearest.

    Args:
        others: from `Baselines.elsewhere`, at least one.
        key: of the missing baseline.
        shown: returns the path to show.
    """
    nearest = [other for other in others if other.differs.keys() == others[0].differs.keys()]
    named = " and one for ".join(f"{other.words}: {shown(other.path)}" for other in nearest[:_MOST_NAMED])
    more = len(others) - len(nearest[:_MOST_NAMED])
    return f"there is one for {named}{f' and {more} more' if more else ''}; {nearest[0].advice(key)}"


class _Settings:
    """The browsers, viewports, ... of a run's comparisons.

    Args:
        layout: of the baselines.
        claims: the path parts of the run's comparisons.
    """

    def __init__(self, layout: str, claims: Collection[Mapping[str, str]]) -> None:
        self._named = " and ".join(words for name, words in SETTING.items() if f"{{{name}}}" in layout)
        self._had = {_setting(parts) for parts in claims}
        self._of_test: dict[tuple[str | None, str], set[Setting]] = {}
        for parts in claims:
            self._of_test.setdefault(_test_in(parts), set()).add(_setting(parts))
        if not claims:
            self._had = {tuple(ANY if f"{{{name}}}" in layout else None for name in SETTING)}

    def why_unknown(self, parts: Mapping[str, str]) -> str | None:
        """Return why the run cannot decide whether a baseline with these parts is used; None if it can."""
        setting = _setting(parts)
        if setting not in self._had:
            return f"they are of a {self._named} that the run did not have"
        if setting not in self._of_test.get(_test_in(parts), {setting}):
            return f"their tests ran with another {self._named} only"
        return None


def _test_in(parts: Mapping[str, str]) -> tuple[str | None, str]:
    """Return module and test of a baseline, without the numbers of call and alternative."""
    return parts.get("module"), re.sub(r"-\d+$", "", ALTERNATIVE.sub("", parts.get("test", "")))


@dataclass(frozen=True, slots=True)
class RanModules:
    """What is known about the modules of a run's image tests.

    Attributes:
        collected: modules with an image test to run.
        whole: modules whose image tests were all to run.
        unclean: modules with an image test that did not pass.
        claimed: paths of the comparisons' own baselines below the baselines folder.
        is_stopped: whether a collected test did not finish.
    """

    collected: Collection[str]
    whole: Collection[str]
    unclean: Collection[str]
    claimed: Collection[str]
    is_stopped: bool

    def why_unknown(self, place: str, platform: str | None, setting: str | None) -> str | None:
        """Return why the run cannot decide whether a baseline is used; None if it can.

        Args:
            place: of its module, in the layout.
            platform: in the layout; None if it has none.
            setting: why its browser, viewport, ... prevents a decision; None if it does not.
        """
        collected, whole, unclean = (
            {module_place(module) for module in modules} for modules in (self.collected, self.whole, self.unclean)
        )
        reasons = {
            "they are of another platform": platform not in {None, sys.platform},
            setting: setting is not None,
            "no image test of their modules ran": place not in collected,
            "the run stopped early": self.is_stopped,
            "only some of the tests of their modules ran (-k, -m, --lf, a node id)": place not in whole,
            UNCLEAN: place in unclean,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)


@dataclass
class Survey:
    """Stored images that no test of a run used.

    Attributes:
        looked_at: number of stored images that the run can decide about.
        unused: those that no test used, although all tests of their module ran and passed.
        orphans: images that belong to no test file: it was deleted, or the layout has changed.
        left: images that the run cannot decide about, by reason.
    """

    looked_at: int = 0
    unused: list[Path] = field(default_factory=list)
    orphans: list[Path] = field(default_factory=list)
    left: dict[str, list[Path]] = field(default_factory=dict)

    def leave(self, reason: str, file: Path) -> None:
        """Add an image that the run cannot decide about."""
        self.left.setdefault(reason, []).append(file)


def _has_test_file(root: Path, module: str) -> bool:
    """Return whether a test file for this module exists below the root."""
    folders = [root]
    *parents, last = module.split("/")
    for part in parents:
        folders = [
            child
            for folder in folders
            for child in folder.iterdir()
            if child.is_dir() and safe_name(child.name) == part
        ]
    return any(safe_name(child.stem) == last and child.is_file() for folder in folders for child in folder.iterdir())


def module_place(module: str) -> str:
    """Return the module in the path of a baseline."""
    return "/".join(safe_name(part) for part in module.split("/"))


def _alternative(file: Path) -> str:
    found = ALTERNATIVE.search(file.stem)
    return found.group() if found else ""


def stored_for(path: Path) -> list[Path]:
    """Return the stored files for a baseline: the baseline itself, then its alternatives.

    A baseline may have any format (``login.png``, ``login.jpg``), and alternatives next to it: ``login.alt1.png``,
    ``login.alt2.png``, ... All files with such names count, also a dangling symbolic link: it is broken, not missing.

    Raises:
        BaselineError: the baseline is stored in two formats.
    """
    if not path.parent.is_dir():
        return []
    siblings = [file for file in path.parent.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES]
    main = sorted(file for file in siblings if file.stem == path.stem)
    if len(main) > 1:
        names = " and ".join(file.name for file in main)
        msg = f"{label_of(path.parent)}: {names} are baselines of the same image; keep one of them"
        raise BaselineError(msg)
    alternatives = (file for file in siblings if file.stem == f"{path.stem}{_alternative(file)}" != path.stem)
    return main + sorted(alternatives)


def digest_of_all(stored: Sequence[Path]) -> str | None:
    """Return a SHA-256 of the contents of all these files; None if one is unreadable."""
    try:
        digests = [hashlib.sha256(read_regular(path)).hexdigest() for path in stored]
    except OSError:  # the comparison reports it
        return None
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def alternative_place(path: Path, data: bytes) -> Path | None:
    """Return the path for an image as an alternative: the first free number.

    Args:
        path: of the baseline, with the extension of the image.
        data: the encoded image.

    Returns:
        The path; the baseline's own path if nothing is stored yet. None if one of the accepted images has the same
        bytes.

    Raises:
        BaselineError: the baseline is stored in two formats.
        OSError: one of the accepted images is unreadable.
    """
    found = stored_for(path)
    if any(read_regular(file) == data for file in found):
        return None
    if not any(file.stem == path.stem for file in found):
        return path
    taken = {file.stem.casefold() for file in path.parent.iterdir()}
    stem = next(stem for number in count(1) if (stem := f"{path.stem}.alt{number}").casefold() not in taken)
    return path.with_name(f"{stem}{path.suffix}")


def store(path: Path, data: bytes) -> None:
    """Write an expected image atomically. For a symbolic link the target file is replaced.

    Raises:
        BaselineError: it could not be written, or must not be (see `place_to_write`); the old file is unchanged.
    """
    place = place_to_write(path)
    try:
        write_atomically(place, data)
    except OSError as error:
        msg = f"{label_of(path)}: the baseline was not written: {error.strerror or error}; nothing was changed"
        raise BaselineError(msg) from error


def place_to_write(path: Path) -> Path:
    """Return the file to replace when a baseline is written: the path itself, or the target of a symbolic link.

    Raises:
        BaselineError: the target is missing, is not an image, or is in a store whose files must not change (git-annex,
            DVC); the message says what to do.
    """
    if not os.path.islink(path):  # noqa: PTH114 - the writer reports what is unreadable
        return path
    target = Path(os.path.realpath(path))
    link = f"{label_of(path)}: the baseline is a symbolic link to {path.readlink()}"
    if not target.exists():
        raise BaselineError(f"{link}, which does not exist; {FETCH_LINKED}, or delete the link")
    if not target.is_file() or not is_baseline_file(target):
        raise BaselineError(f"{link}, which is not an image; nothing was changed")
    if _must_stay(target):
        raise BaselineError(f"{link}, a file that must not change; {_unlocking(path, target)}; nothing was changed")
    return target


def is_baseline_file(path: Path) -> bool:
    """Return whether a file has the name of an image or a PDF, or contains an image: accepting may replace it."""
    return path.suffix.lower() in PICTURE_SUFFIXES or is_picture_file(path)


def _must_stay(target: Path) -> bool:
    """Return whether a file is read-only, or in a store that names files by their content."""
    if not target.stat().st_mode & target.parent.stat().st_mode & stat.S_IWUSR:
        return True
    name = "".join(target.parts[-3:])
    content = read_regular(target)
    return any(hashlib.new(kind, content, usedforsecurity=False).hexdigest() in name for kind in _STORE_HASHES)


def _unlocking(path: Path, target: Path) -> str:
    if "annex" in target.parts:
        return f"run `git annex unlock {path.name}` in its folder first"
    if ".dvc" in target.parts or "md5" in target.parts:
        return f"run `dvc unprotect {path.name}` in its folder first"
    return "replace the link by a copy of the file first"
