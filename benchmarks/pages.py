"""Interface pages that the benchmark renders itself: a dashboard as HTML, and the same after a change."""

from __future__ import annotations

import os
import random
import shutil
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

EXECUTABLES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
"""Containers run as root, where Chromium's sandbox cannot be; nothing but our own pages is opened."""
ATTEMPTS = 3

ROWS = 48
PARAGRAPHS = 14
MONTHS = 12
LIGHT = {"page": "#f4f6fa", "panel": "#ffffff", "text": "#1c2434", "faint": "#64748b", "line": "#e2e8f0"}
DARK = {"page": "#0f172a", "panel": "#1e293b", "text": "#e2e8f0", "faint": "#94a3b8", "line": "#334155"}
STATES = {"paid": "#16a34a", "open": "#d97706", "overdue": "#dc2626", "draft": "#64748b"}
NAMES = ("Aldana", "Brecht", "Castell", "Dumont", "Eklund", "Farkas", "Galvin", "Hollis", "Ibarra", "Jansen", "Kovacs")
WORDS = ("invoice", "region", "margin", "forecast", "quarter", "supplier", "freight", "warehouse", "order", "return")

STYLE = """
* {{ box-sizing: border-box; margin: 0 }}
body {{ font: 14px/1.5 'DejaVu Sans', sans-serif; background: {page}; color: {text}; display: flex }}
nav {{ width: 200px; min-height: 100vh; padding: 20px; background: linear-gradient(#312e81, #4f46e5); color: #e0e7ff }}
nav p {{ padding: 7px 10px; border-radius: 6px }} nav p.on {{ background: rgba(255, 255, 255, .18) }}
main {{ flex: 1; padding: 20px; display: grid; gap: 16px; align-content: start }}
.cards {{ display: grid; grid-template-columns: repeat(4, 1fr); gap: 16px }}
.panel {{ background: {panel}; border: 1px solid {line}; border-radius: 10px; padding: 14px;
          box-shadow: 0 2px 8px rgba(15, 23, 42, .08) }}
.panel small, th {{ color: {faint}; font-weight: normal }} .panel b {{ font-size: 24px; display: block }}
.banner {{ background: #fef3c7; color: #92400e; border-radius: 8px; padding: 8px 14px }}
table {{ border-collapse: collapse; width: 100% }} td, th {{ text-align: left; padding: 4px 8px }}
td {{ border-top: 1px solid {line} }} td.number {{ text-align: right; font-family: 'DejaVu Sans Mono', monospace }}
.state {{ color: #fff; border-radius: 9px; padding: 1px 9px; font-size: 11px }}
.split {{ display: grid; grid-template-columns: 3fr 2fr; gap: 16px }}
button {{ background: {button}; color: #fff; border: 0; border-radius: 6px; padding: 7px 16px; font: inherit }}
"""


def dashboard(seed: int, *, changed: bool = False, dark: bool = False) -> str:
    """Return a page of figures, a chart, a table and prose.

    Args:
        seed: of its content.
        changed: another figure and another colour of a button, and a banner that moves the table and the prose down.
        dark: in other colours everywhere.
    """
    chance = random.Random(seed)  # noqa: S311 - contents, not secrets
    colours = (DARK if dark else LIGHT) | {"button": "#0d9488" if changed else "#4f46e5"}
    figures = [chance.randint(1_000, 99_999) for _ in range(4)]
    figures[1] += 1_234 * changed
    cards = "".join(
        f"<div class=panel><small>{word}</small><b>{figure:,}</b><small>{figure % 17 - 8:+d} % since June</small></div>"
        for word, figure in zip(chance.sample(WORDS, 4), figures, strict=True)
    )
    banner = "<div class=banner>The figures of this quarter are preliminary.</div>" if changed else ""
    entries = "".join(f"<p{' class=on' * (not index)}>{word}</p>" for index, word in enumerate(WORDS))
    chart, table, prose = _chart(chance), _table(chance), _prose(chance)
    return (
        f"<!doctype html><meta charset=utf-8><style>{STYLE.format(**colours)}</style>"
        f"<nav><h3>Ledger {seed}</h3>{entries}</nav><main><div class=cards>{cards}</div>"
        f"<div class=panel>{chart}</div>{banner}<div class=split><div class=panel>{table}</div>"
        f"<div class=panel>{prose}<p style='margin-top:12px'><button>Export</button></p></div></div></main>"
    )


def _chart(chance: random.Random) -> str:
    heights = [chance.randint(20, 150) for _ in range(MONTHS)]
    bars = "".join(
        f"<rect x={40 + 60 * index} y={160 - height} width=34 height={height} rx=4 fill='url(#g)'/>"
        for index, height in enumerate(heights)
    )
    points = " ".join(f"{57 + 60 * index},{150 - height * 0.8:.1f}" for index, height in enumerate(heights))
    return (
        "<svg viewBox='0 0 780 170' width='100%' height=170><defs><linearGradient id=g x1=0 y1=0 x2=0 y2=1>"
        "<stop offset=0 stop-color='#6366f1'/><stop offset=1 stop-color='#c7d2fe'/></linearGradient></defs>"
        f"{bars}<polyline points='{points}' fill=none stroke='#f97316' stroke-width=2.5 /></svg>"
    )


def _table(chance: random.Random) -> str:
    rows = []
    for _ in range(ROWS):
        state = chance.choice(list(STATES))
        rows.append(
            f"<tr><td>{chance.choice(NAMES)} &amp; {chance.choice(NAMES)}<td>{chance.choice(WORDS)}"
            f"<td class=number>{chance.randint(10_000, 9_999_999) / 100:,.2f}"
            f"<td><span class=state style='background:{STATES[state]}'>{state}</span></tr>"
        )
    return f"<table><tr><th>Customer<th>Subject<th>Amount<th>State</tr>{''.join(rows)}</table>"


def _prose(chance: random.Random) -> str:
    return "".join(f"<p>{' '.join(chance.choices(WORDS, k=24)).capitalize()}.</p><br>" for _ in range(PARAGRAPHS))


class Camera:
    """A browser that renders pages; it is started for the first one."""

    def __init__(self, ended: ExitStack) -> None:
        self._ended = ended
        self._browser: Browser | None = None
        self._pages: dict[tuple[object, ...], Page] = {}

    def shoot(self, html: str, width: int, height: int, scale: float = 1) -> bytes:
        """Return a screenshot as PNG, of so many CSS pixels at so many pixels each.

        Raises:
            FileNotFoundError: there is no Chromium on the PATH, nor one named in CHROMIUM.
        """
        from playwright.sync_api import Error

        viewport: ViewportSize = {"width": width, "height": height}
        for _ in range(ATTEMPTS - 1):
            with suppress(Error):  # on a busy machine Chromium sometimes fails to capture
                return self._shot(html, viewport, scale)
            self._pages.clear()
        return self._shot(html, viewport, scale)

    def _shot(self, html: str, viewport: ViewportSize, scale: float) -> bytes:
        key = (*viewport.values(), scale)
        if key not in self._pages:
            self._browser = self._browser or self._started()
            self._pages[key] = self._browser.new_page(viewport=viewport, device_scale_factor=scale)
        page = self._pages[key]
        page.set_content(html)
        return page.screenshot()

    def _started(self) -> Browser:
        from playwright.sync_api import sync_playwright

        found = (path for name in EXECUTABLES if (path := shutil.which(name)))
        executable = os.environ.get("CHROMIUM") or next(found, None)
        if executable is None:
            raise FileNotFoundError("there is no Chromium on the PATH, nor one named in CHROMIUM")
        driver = self._ended.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        self._ended.callback(browser.close)
        return browser
