"""Renders each page before and after each change, and writes down what is true of the pair."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from benchmarks.judgement.changes import CHANGES, GROUPS, RENDERINGS, Change
from benchmarks.judgement.photos import data_url, photo
from benchmarks.judgement.templates import HEIGHT, PAGES, WIDTH, ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Playwright

EXECUTABLES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb")
"""Containers run as root, where Chromium's sandbox cannot be; nothing but our own pages is opened."""
UNSET = ("--font-render-hinting=none", "--disable-lcd-text")
"""Playwright's own settings of type, which would override those of fontconfig."""
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include>/etc/fonts/fonts.conf</include>
  {}
</fontconfig>
"""
ASSIGNED = """<match target="{}">
    <edit name="rgba" mode="assign"><const>{}</const></edit>
    <edit name="hintstyle" mode="assign"><const>{}</const></edit>
    <edit name="hinting" mode="assign"><bool>{}</bool></edit>
    <edit name="antialias" mode="assign"><bool>true</bool></edit>
  </match>"""
HELPERS = "const q = s => document.querySelector(s), all = s => [...document.querySelectorAll(s)];"
BOX = """selector => {
  const boxes = [...document.querySelectorAll(selector)].map(e => e.getBoundingClientRect());
  return [Math.min(...boxes.map(b => b.left)), Math.min(...boxes.map(b => b.top)),
          Math.max(...boxes.map(b => b.right)), Math.max(...boxes.map(b => b.bottom))];
}"""
EVERY = 4
"""One pair of so many has two device pixels for each CSS pixel."""
FAINTEST = 5
"""A change of at most so many levels of 255 has no right answer: on most screens nobody sees it."""
APPEARS, VANISHES, NOWHERE = ("added", "inserted"), ("removed", "deleted"), ("noise", "caret", "theme")


class Studio:
    """Browsers that render pages, one for each way to render type; each is started for the first page.

    Args:
        ended: what the browsers are closed with.
        scratch: an existing folder for the settings of fontconfig.
        cjk: a WOFF2 file for Japanese, where the system has no font for it.
    """

    def __init__(self, ended: ExitStack, scratch: Path, cjk: Path | None = None) -> None:
        self._ended = ended
        self._scratch = scratch
        self._driver: Playwright | None = None
        self._browsers: dict[str | None, Browser] = {}
        self._face = (
            f"<style>@font-face {{ font-family: 'Sheet CJK'; src: url({_font_url(cjk)}) }}</style>" if cjk else ""
        )

    def open(self, html: str, scale: int, rendering: str | None = None) -> Page:
        """Open a page with so many pixels for each CSS pixel.

        Raises:
            FileNotFoundError: there is no Chromium on the PATH, nor one named in CHROMIUM.
        """
        browser = self._browsers.get(rendering) or self._started(rendering)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=scale)
        page.set_content(html + (self._face if "Sheet CJK" in html else ""))
        page.evaluate("document.fonts.ready.then(() => true)")
        return page

    def _started(self, rendering: str | None) -> Browser:
        from playwright.sync_api import sync_playwright

        found = (path for name in EXECUTABLES if (path := shutil.which(name)))
        executable = os.environ.get("CHROMIUM") or next(found, None)
        if executable is None:
            raise FileNotFoundError("there is no Chromium on the PATH, nor one named in CHROMIUM")
        self._driver = self._driver or self._ended.enter_context(sync_playwright())
        more: dict[str, Any] = {}
        if rendering is not None:
            settings = self._scratch / f"{rendering}.conf"
            assigned = "\n  ".join(ASSIGNED.format(target, *RENDERINGS[rendering]) for target in ("pattern", "font"))
            settings.write_text(FONTS.format(assigned), encoding="utf-8")
            more = {"ignore_default_args": list(UNSET), "env": {**os.environ, "FONTCONFIG_FILE": str(settings)}}
        browser = self._driver.chromium.launch(executable_path=executable, args=list(ARGUMENTS), **more)
        self._ended.callback(browser.close)
        self._browsers[rendering] = browser
        return browser


@dataclass(frozen=True)
class Pair:
    """What is rendered: a page, one change of it, and the device pixels for each CSS pixel."""

    seed: int
    page: str
    change: Change
    scale: int

    @property
    def name(self) -> str:
        """The file of the pair in ``expected`` and ``actual``."""
        return f"s{self.seed}-{self.page}-{self.change.name}.png"


def planned(seed: int, groups: Iterable[str] = GROUPS, pages: int = 1) -> Iterator[Pair]:
    """Say which page gets which change, and at which device scale: every fourth at 2.

    Args:
        seed: each seed starts at another page, so that a change is seen on different pages.
        groups: of the changes.
        pages: on how many pages each change is shown, where so many suit it.
    """
    suited = {name: ids(make(seed)) for name, make in PAGES.items()}
    for index, change in enumerate(CHANGES):
        names = [name for name, found in suited.items() if change.needs <= found]
        for turn in range(min(pages, len(names)) if change.group in groups else 0):
            at = seed + index + turn
            yield Pair(seed, names[at % len(names)], change, 2 if at % EVERY == EVERY - 1 else 1)


def generate(out: Path, pairs: Iterable[Pair], studio: Studio) -> dict[str, Any]:
    """Write ``out/expected``, ``out/actual`` and ``out/truth.json``; return the truth.

    The truth has a row for each picture: ``kind`` and ``match`` as `Change` has them, ``before`` and ``after`` the
    box (left, top, right, bottom, in pixels of the picture) of what is changed in either, None where it is not there,
    ``moved`` how far it moved, ``dpr`` the device scale, and the ``page``, ``seed``, ``change`` and ``group``.
    """
    for side in ("expected", "actual"):
        (out / side).mkdir(parents=True, exist_ok=True)
    truth: dict[str, Any] = {}
    shots: dict[tuple[object, ...], bytes] = {}
    for pair in pairs:
        html = PAGES[pair.page](pair.seed)
        values = _values(pair.seed, html)
        first, second = pair.change.renderings or (None, None)
        key = (pair.seed, pair.page, pair.scale, pair.change.prepare, first)
        if key not in shots:
            shots[key] = _shot(studio, html, pair, values, first)
        (out / "expected" / pair.name).write_bytes(shots[key])
        shown = studio.open(html, pair.scale, second)
        before, after = _changed(shown, pair.change, values)
        actual = _grained(shown.screenshot(), pair.change.grain, pair.seed)
        shown.close()
        (out / "actual" / pair.name).write_bytes(actual)
        truth[pair.name] = {
            "kind": pair.change.kind,
            "match": _answer(pair, shots[key], actual),
            "before": before and [value * pair.scale for value in before],
            "after": after and [value * pair.scale for value in after],
            "moved": _displacement(pair, before, after),
            "dpr": pair.scale,
            "page": pair.page,
            "seed": pair.seed,
            "change": pair.change.name,
            "group": pair.change.group,
        }
    (out / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    return truth


def _answer(pair: Pair, expected: bytes, actual: bytes) -> bool | None:
    """Return the right answer; on a theme in which nobody can see the change there is none.

    Raises:
        ValueError: a change that is to be seen left every pixel as it was.
    """
    if pair.change.match is not False:
        return pair.change.match
    first, second = (cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR) for shot in (expected, actual))
    step = float(cv2.norm(first, second, cv2.NORM_INF))
    if not step:
        raise ValueError(f"{pair.change.name} changes nothing on the page {pair.page} of seed {pair.seed}")
    return False if step > FAINTEST else None


def _changed(page: Page, change: Change, values: dict[str, Any]) -> tuple[list[float] | None, list[float] | None]:
    """Change the page; return where the change is, before and after."""
    _run(page, change.prepare, values)
    here = change.kind not in NOWHERE
    before = page.evaluate(BOX, change.target) if here and change.kind not in APPEARS else None
    _run(page, change.edit, values)
    new = "#new" if page.query_selector("#new") else change.target
    after = page.evaluate(BOX, new) if here and change.kind not in VANISHES else None
    return before, after


def prepare(page: Page, pair: Pair) -> None:
    """Bring an opened page into the state before the pair's change."""
    _run(page, pair.change.prepare, _values(pair.seed, PAGES[pair.page](pair.seed)))


def edit(page: Page, pair: Pair) -> None:
    """Make the pair's change in a page that was prepared."""
    _run(page, pair.change.edit, _values(pair.seed, PAGES[pair.page](pair.seed)))


def _displacement(pair: Pair, before: list[float] | None, after: list[float] | None) -> list[int] | None:
    if pair.change.kind != "moved" or before is None or after is None:
        return None
    return [round((after[axis] - before[axis]) * pair.scale) for axis in (0, 1)]


def _shot(studio: Studio, html: str, pair: Pair, values: dict[str, Any], rendering: str | None) -> bytes:
    page = studio.open(html, pair.scale, rendering)
    _run(page, pair.change.prepare, values)
    shot = page.screenshot()
    page.close()
    return shot


def _run(page: Page, code: str, values: dict[str, Any]) -> None:
    if code:
        page.evaluate(f"async v => {{ {HELPERS} {code} }}", values)


def _values(seed: int, html: str) -> dict[str, Any]:
    """Draw what the changes take from the seed; pictures are given as URLs of the page's own one, changed."""
    chance = random.Random(f"values {seed}")  # noqa: S311 - contents, not secrets
    dx, dy = chance.choice(((14, 0), (0, 9), (11, 6), (-9, 12), (5, -4)))
    values: dict[str, Any] = {
        "dx": dx,
        "dy": dy,
        "colour": chance.choice(("#7c3aed", "#be185d", "#0f766e", "#a16207")),
        "values": [chance.randint(10, 90) for _ in range(14)],
    }
    shown = re.search(r"<img id=picture width=(\d+) height=(\d+) data-photo=(\d+)", html)
    if shown:
        width, height, number = map(int, shown.groups())
        picture = photo(number, width, height)
        once = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1], cv2.IMREAD_COLOR)
        values |= {
            "swapped": data_url(photo(number + 1000, width, height)),
            "jpeg": data_url(picture, "jpeg", 92),
            "webp": data_url(picture, "webp", 92),
            "twice": data_url(once.astype(np.uint8), "jpeg", 93),
            "coarse": data_url(picture, "jpeg", 8),
        }
    return values


def _grained(shot: bytes, grain: int, seed: int) -> bytes:
    """Add to each channel a random whole number from ``-grain`` to ``grain``; nothing to no grain."""
    if not grain:
        return shot
    picture = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR).astype(np.int16)
    steps = np.random.default_rng(seed).integers(-grain, grain, picture.shape, np.int16, endpoint=True)
    return cv2.imencode(".png", np.clip(picture + steps, 0, 255).astype(np.uint8))[1].tobytes()


def _font_url(path: Path) -> str:
    return f"data:font/woff2;base64,{base64.b64encode(path.read_bytes()).decode()}"
