"""Where expected images live: their names, their alternatives, their atomic acceptance, and those nobody uses."""

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

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.base.model import CaptureInfo

EXTENSIONS = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "WebP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tiff",
    "AVIF": ".avif",
    "Netpbm": ".pnm",
    "JPEG 2000": ".jp2",
    "PDF": ".pdf",
}
"""The extension of a baseline that is stored as its file was; whatever was no file is stored as PNG."""
ALTERNATIVE = re.compile(r"\.alt\d+$")
"""What the stem of a further accepted baseline ends in."""
UNCLEAN = "a test of their modules did not pass"
"""Why a run does not tell that a baseline of such a module is unused."""
_PLATFORMS = "linux|darwin|win32|cygwin|aix|emscripten|wasi|ios|android|freebsd[0-9]*"
"""The values of ``sys.platform``: a folder of another name belongs to another layout."""
ANY = "any"
"""What stands for the browser, viewport, ... of an image that was not captured."""
SETTING = {"browser": "browser", "viewport": "viewport", "dpr": "device scale", "color_scheme": "colour scheme"}
"""The placeholders that follow from how a page was captured, and what they are in words."""
_MEANINGS = {
    "module": ".+",
    "test": "[^/]+",
    "platform": _PLATFORMS,
    "browser": "[^/]+",
    "viewport": f"[0-9]+x[0-9]+|{ANY}",
    "dpr": f"[0-9]+(?:[.][0-9]+)?|{ANY}",
    "color_scheme": f"light|dark|{ANY}",
}
"""What may stand in the place of each placeholder."""
_BROWSERS = "chromium|firefox|webkit|chrome|msedge|edge|safari"
"""Browsers as they are known where only a test's parameters name them."""
_MOST_NAMED = 3
"""So many baselines of other settings are named where one is missing."""
_STORE_HASHES = ("md5", "sha1", "sha256", "sha512")
"""What stores of large files (git-annex, DVC, Git LFS) name a file by."""
PICTURE_SUFFIXES = frozenset({*EXTENSIONS.values(), ".jpeg", ".tif"})


@dataclass(frozen=True, slots=True)
class BaselineKey:
    """What the place of a baseline follows from.

    Attributes:
        module: the test's file relative to the root folder, without its suffix, with forward slashes.
        test: the rest of its node id (classes, function, parameters), or the name that the call gave.
        call: which unnamed comparison of the test it is, from 1.
        browser: of the test's ``browser_name`` parameter or fixture, or of the capture; ``any`` where there is none.
        viewport: of the capture, in CSS pixels: ``1280x720``; ``any`` where nothing was captured.
        dpr: screen pixels for each CSS pixel of the capture: ``1``, ``1.5``; likewise.
        color_scheme: ``light`` or ``dark``; likewise.
    """

    module: str
    test: str
    call: int = 1
    browser: str = ANY
    viewport: str = ANY
    dpr: str = ANY
    color_scheme: str = ANY

    def captured(self, info: CaptureInfo) -> BaselineKey:
        """Return the key of what was captured like this; a browser that the test itself names stays."""
        return replace(
            self,
            browser=self.browser if self.browser != ANY else info.browser or ANY,
            viewport=ANY if info.viewport is None else "x".join(map(str, info.viewport)),
            dpr=ANY if info.device_scale is None else f"{info.device_scale:g}",
            color_scheme=info.color_scheme or ANY,
        )

    @property
    def file_test(self) -> str:
        """The name of the test as files have it."""
        return safe_name(self.test if self.call == 1 else f"{self.test}-{self.call}")

    @property
    def setting(self) -> dict[str, str]:
        """The platform, browser, ... as files have them."""
        own = {name: safe_name(getattr(self, name)) for name in SETTING}
        return {"platform": sys.platform, **own}


@dataclass
class Baselines:
    """The stored expected images of a project.

    Args:
        folder: where they live.
        layout: their place below it, with `pytest_imgdiff.config.settings.PLACEHOLDERS`.
    """

    folder: Path
    layout: str
    _owners: dict[str, str] = field(default_factory=dict)

    def place(self, key: BaselineKey) -> str:
        """Return the place of this key's baseline below the folder, with forward slashes."""
        return self.layout.format(module=module_place(key.module), test=key.file_test, **key.setting)

    def follows_capture(self, key: BaselineKey) -> bool:
        """Return whether the place of this key's baseline depends on how the page is captured."""
        unknown = (name for name in SETTING if getattr(key, name) == ANY)
        return any(f"{{{name}}}" in self.layout for name in unknown)

    def elsewhere(self, key: BaselineKey) -> list[OtherBaseline]:
        """Return the stored baselines of the same comparison for another platform, browser, viewport, ...

        Also where only the test's parameters name the browser, viewport or colour scheme (``test_page[chromium]``).
        The nearest come first: those that differ in the fewest settings.
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
            theirs, ours = match.groupdict(), key.setting
            found.append(OtherBaseline(file, {name: theirs[name] for name in theirs if theirs[name] != ours[name]}))
        return sorted(found, key=lambda other: (len(other.differs), other.path))

    def _any_setting(self, key: BaselineKey) -> tuple[re.Pattern[str], str | None]:
        """Return what matches the stems of this key's baselines of any setting, and a glob that finds the files.

        The glob is None where there is but one setting.
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
            key: what to name it by.
            owner: who asks, in words; another owner that comes to the same file (also on a disk that does not
                tell upper from lower case) is an error.

        Raises:
            BaselineError: another comparison of this run already has this baseline.
        """
        if ALTERNATIVE.search(key.test):
            msg = f"{owner}: a name that ends in .alt and digits is that of an alternative baseline; choose another"
            raise BaselineError(msg)
        relative = self.place(key)
        claimed = unicodedata.normalize("NFC", str(PurePosixPath(relative).with_suffix(""))).casefold()
        holder = self._owners.setdefault(claimed, owner)
        if holder != owner:
            lacking = " and ".join(part for part in ("{module}", "{test}") if part not in self.layout)
            layout = f", or add {lacking} to baselines.layout" if lacking else ""
            msg = (
                f"{holder} and {owner} would share the baseline {relative} (names that differ in upper and lower case "
                f"only are one on some disks): give one of them another name=...{layout}"
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
            raise BaselineError(f"{label_of(path)}: DVC tracks it ({tracked.name}) and it is not here; run `dvc pull`")
        return found

    def _tracked_elsewhere(self, path: Path) -> Path | None:
        """Return the .dvc file of a baseline, or of a folder above it, that was not fetched."""
        beside = (path.with_name(f"{path.stem}{suffix}.dvc") for suffix in sorted(PICTURE_SUFFIXES))
        folders = [folder for folder in path.parents if folder.is_relative_to(self.folder) and not folder.exists()]
        above = (folder.with_name(f"{folder.name}.dvc") for folder in folders)
        return next((file for file in (*beside, *above) if file.is_file()), None)

    def accept(self, path: Path, image: Image, data: bytes) -> Path:
        """Store the image as the baseline, in place of the one there was; its alternatives stay.

        Args:
            path: as `path` gave it.
            image: what is stored, for its format.
            data: its encoded bytes.

        Returns:
            Where it was stored: the extension follows the content.

        Raises:
            BaselineError: it could not be written; the old one is untouched.
        """
        target = self.target(path, image)
        replaced = [file for file in self.accepted(path)[:1] if file != target and file.stem == target.stem]
        for file in replaced:
            if file.is_symlink():
                raise BaselineError(
                    f"{file}: the baseline is a symbolic link, and the new picture has another format; delete the link "
                    "first"
                )
        store(target, data)
        for file in replaced:
            if not file.samefile(target):  # as test.PNG and test.png are where case does not count
                file.unlink()
        return target

    def target(self, path: Path, image: Image) -> Path:
        """Return where this image would be stored as the baseline of that place: the extension follows the content."""
        return path.with_name(path.stem + EXTENSIONS.get(image.info.format, ".png"))

    def relative(self, path: Path) -> str:
        """Return a stored baseline's place below the folder, with forward slashes."""
        return path.relative_to(self.folder).as_posix()

    def survey(self, used: Collection[str], ran: RanModules, root: Path) -> Survey:
        """Look for stored pictures that no test asked for.

        Args:
            used: the baselines that were asked for, relative to the folder.
            ran: what the run can tell about its modules.
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
        """Return the places of module and test in the name of a stored baseline; None where it is of another layout."""
        parts = self._parts(self.relative(file))
        return (parts["module"], parts["test"]) if {"module", "test"} <= parts.keys() else None

    def setting_of(self, place: str) -> Setting:
        """Return for which browser, viewport, ... a baseline is stored here; None for what the layout does not name."""
        return _setting(self._parts(place))

    def _parts(self, place: str) -> dict[str, str]:
        """Return what stands for each placeholder in the place of a baseline; nothing where it is of another layout."""
        found = _pattern(self.layout).fullmatch(place.rpartition(".")[0])
        return {} if found is None else found.groupdict()


Setting = tuple["str | None", ...]
"""The values of `SETTING`, in its order."""


@lru_cache(maxsize=8)
def _pattern(layout: str) -> re.Pattern[str]:
    """Return what the stems of baselines of this layout match, with any setting."""
    pattern = re.escape(layout.rpartition(".")[0])
    for word, meaning in _MEANINGS.items():
        written = re.escape(f"{{{word}}}")
        pattern = pattern.replace(written, f"(?P<{word}>{meaning})", 1).replace(written, f"(?P={word})")
    return re.compile(pattern)


def _setting(parts: Mapping[str, str]) -> Setting:
    return tuple(map(parts.get, SETTING))


def _settings_in(key: BaselineKey) -> Iterator[tuple[str, str | None]]:
    """Yield a test's name in pieces: texts, and the settings that its parameters name.

    A name whose characters had to be replaced ends in a hash of them all, so it is one piece.
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
    """A stored baseline of the same comparison in another setting.

    Attributes:
        path: of the file.
        differs: its own values of the settings that differ, by placeholder.
    """

    path: Path
    differs: Mapping[str, str]

    @property
    def words(self) -> str:
        """What it is for: ``chromium``, ``viewport 390x844, colour scheme dark``."""
        bare = ("platform", "browser")
        named = ((value if name in bare else f"{SETTING[name]} {value}") for name, value in self.differs.items())
        return ", ".join(named)

    def advice(self, key: BaselineKey) -> str:
        """Return what would make it serve for this key."""
        if any(key.setting[name] == ANY for name in self.differs):
            return "pass the page itself, not an image of it, or accept this one"
        if ANY in self.differs.values():
            return "it was stored from an image that was not captured: rename it, or accept this one"
        named = [SETTING[name] for name in self.differs if name in SETTING]
        parts = [*(["on that platform"] if "platform" in self.differs else [])]
        parts += [f"with that {' and '.join(named)}"] if named else []
        return f"run {' '.join(parts)}, or accept this one"


def in_other_settings(others: Sequence[OtherBaseline], key: BaselineKey, shown: Callable[[Path], str]) -> str:
    """Return in words which baselines of the same comparison there are, and what would make the nearest serve.

    Args:
        others: as `Baselines.elsewhere` gave them, at least one.
        key: of the missing baseline.
        shown: gives a path as the reader would name it.
    """
    nearest = [other for other in others if other.differs.keys() == others[0].differs.keys()]
    named = " and one for ".join(f"{other.words}: {shown(other.path)}" for other in nearest[:_MOST_NAMED])
    more = len(others) - len(nearest[:_MOST_NAMED])
    return f"there is one for {named}{f' and {more} more' if more else ''}; {nearest[0].advice(key)}"


class _Settings:
    """Which browsers, viewports, ... the comparisons of a run had.

    Args:
        layout: of the baselines.
        claims: the parts of the places that comparisons of the run took for their own.
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
        """Return why the run does not tell whether a baseline of these parts is used; None where it does."""
        setting = _setting(parts)
        if setting not in self._had:
            return f"they are of a {self._named} that the run did not have"
        if setting not in self._of_test.get(_test_in(parts), {setting}):
            return f"their tests ran with another {self._named} only"
        return None


def _test_in(parts: Mapping[str, str]) -> tuple[str | None, str]:
    """Return module and test of a baseline, without the number of its call and of an alternative."""
    return parts.get("module"), re.sub(r"-\d+$", "", ALTERNATIVE.sub("", parts.get("test", "")))


@dataclass(frozen=True, slots=True)
class RanModules:
    """What a run can tell about the modules of its image tests.

    Attributes:
        collected: those of which an image test was to run.
        whole: those of which every image test was to run.
        unclean: those of which an image test did not pass.
        claimed: the places of baselines that comparisons took for their own, below the baselines folder.
        is_stopped: whether some test that was collected did not run to its end.
    """

    collected: Collection[str]
    whole: Collection[str]
    unclean: Collection[str]
    claimed: Collection[str]
    is_stopped: bool

    def why_unknown(self, place: str, platform: str | None, setting: str | None) -> str | None:
        """Return why the run does not tell whether a baseline is used; None where it does.

        Args:
            place: of its module, as the layout has it.
            platform: that the layout names; None where it names none.
            setting: why its browser, viewport, ... does not tell; None where it does.
        """
        collected, whole, unclean = (
            {module_place(module) for module in modules} for modules in (self.collected, self.whole, self.unclean)
        )
        reasons = {
            "they are of another platform": platform not in {None, sys.platform},
            setting: setting is not None,
            "no image test of their modules ran": place not in collected,
            "the run stopped before its end": self.is_stopped,
            "only some of the tests of their modules ran (-k, -m, --lf, a node id)": place not in whole,
            UNCLEAN: place in unclean,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)


@dataclass
class Survey:
    """The stored pictures that no test of a run asked for.

    Attributes:
        looked_at: how many stored pictures the run can tell something about.
        unused: those among them that nobody asked for, although every test of their module ran and passed.
        orphans: pictures that belong to no test file: it was deleted, or the layout was another one.
        left: pictures that the run tells nothing about, by the reason.
    """

    looked_at: int = 0
    unused: list[Path] = field(default_factory=list)
    orphans: list[Path] = field(default_factory=list)
    left: dict[str, list[Path]] = field(default_factory=dict)

    def leave(self, reason: str, file: Path) -> None:
        """Note a picture that the run tells nothing about."""
        self.left.setdefault(reason, []).append(file)


def _has_test_file(root: Path, module: str) -> bool:
    """Return whether a file lies below the root that baselines of this module are named by."""
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
    """Return what the place of a baseline has for its module."""
    return "/".join(safe_name(part) for part in module.split("/"))


def _alternative(file: Path) -> str:
    found = ALTERNATIVE.search(file.stem)
    return found.group() if found else ""


def stored_for(path: Path) -> list[Path]:
    """Return what is stored for a baseline: the baseline itself first, then its alternatives.

    A baseline may be stored in any format (``login.png``, ``login.jpg``), and further ones that are just as good
    beside it as ``login.alt1.png``, ``login.alt2.png``, ... Whatever has such a name counts, also a symbolic link
    that leads nowhere: it is broken, not missing.

    Raises:
        BaselineError: the baseline is stored in two formats at once.
    """
    if not path.parent.is_dir():
        return []
    beside = [file for file in path.parent.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES]
    main = sorted(file for file in beside if file.stem == path.stem)
    if len(main) > 1:
        names = " and ".join(file.name for file in main)
        msg = f"{label_of(path.parent)}: {names} are baselines of the same image; keep one of them"
        raise BaselineError(msg)
    alternatives = (file for file in beside if file.stem == f"{path.stem}{_alternative(file)}" != path.stem)
    return main + sorted(alternatives)


def digest_of_all(stored: Sequence[Path]) -> str | None:
    """Return a SHA-256 that changes where the content of any of these files does; None where one cannot be read."""
    try:
        digests = [hashlib.sha256(read_regular(path)).hexdigest() for path in stored]
    except OSError:  # the comparison says why
        return None
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def alternative_place(path: Path, data: bytes) -> Path | None:
    """Return where a picture is stored beside a baseline as an alternative: under the first free number.

    Args:
        path: of the baseline, with the extension of the picture.
        data: the encoded picture.

    Returns:
        The path, which is that of the baseline where nothing is stored yet. None where one of the accepted pictures has
        these very bytes.

    Raises:
        BaselineError: the baseline is stored in two formats at once.
        OSError: one of the accepted pictures cannot be read.
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
    """Write an expected image atomically; a symbolic link stays, and the file that it leads to is replaced.

    Raises:
        BaselineError: it could not be written, or must not be (see `place_to_write`); what stood there is untouched.
    """
    place = place_to_write(path)
    try:
        write_atomically(place, data)
    except OSError as error:
        msg = f"{label_of(path)}: the baseline was not written: {error.strerror or error}; nothing was changed"
        raise BaselineError(msg) from error


def place_to_write(path: Path) -> Path:
    """Return the file to replace when a baseline is written: the path itself, or what a symbolic link leads to.

    Raises:
        BaselineError: the link leads to nothing, to what is no picture, or into a store whose files must not change
            (git-annex, DVC); the message says what to do.
    """
    if not os.path.islink(path):  # noqa: PTH114 - what cannot be looked at is for the writer to report
        return path
    target = Path(os.path.realpath(path))
    link = f"{label_of(path)}: the baseline is a symbolic link to {path.readlink()}"
    if not target.exists():
        raise BaselineError(f"{link}, which does not exist; {FETCH_LINKED}, or delete the link")
    if not target.is_file() or not is_baseline_file(target):
        raise BaselineError(f"{link}, which is not a picture; nothing was changed")
    if _must_stay(target):
        raise BaselineError(f"{link}, a file that must not change; {_unlocking(path, target)}; nothing was changed")
    return target


def is_baseline_file(path: Path) -> bool:
    """Return whether a file has the name of an image or of a PDF, or holds an image: accepting may write over it."""
    return path.suffix.lower() in PICTURE_SUFFIXES or is_picture_file(path)


def _must_stay(target: Path) -> bool:
    """Return whether a file is read-only, or belongs to a store that names its files by their content."""
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
