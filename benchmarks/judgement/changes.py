"""What is changed in the pages, and whether a careful person would call the two pictures different."""

from __future__ import annotations

import re
from dataclasses import dataclass

EDITS, HARD, RESTYLED, NOISE = "edits", "hard", "restyled", "noise"
GROUPS = (EDITS, HARD, RESTYLED, NOISE)

PLAIN, SLIGHT, FULL = "gray-none", "gray-slight", "gray-full"
LCD, LCD_SLIGHT = "lcd-none", "lcd-slight"
RENDERINGS = {
    PLAIN: ("none", "hintnone", "false"),
    SLIGHT: ("none", "hintslight", "true"),
    FULL: ("none", "hintfull", "true"),
    LCD: ("rgb", "hintnone", "false"),
    LCD_SLIGHT: ("rgb", "hintslight", "true"),
}
"""Ways to render type: sub-pixel order, hinting style and hinting of fontconfig."""


@dataclass(frozen=True)
class Change:
    """One change of a page.

    Attributes:
        name: unique among all.
        group: one of `GROUPS`.
        kind: what a person would call it: ``added``, ``removed``, ``moved``, ``recoloured``, ``text``, ``content``,
            ``inserted``, ``deleted``, ``theme``, ``caret`` or ``noise``.
        match: whether a careful person would say that the two show the same; None where people would disagree.
        target: CSS selector of what is changed; a page without the ids in it does not get this change.
        edit: JavaScript that changes the actual page. ``q`` finds an element, ``all`` a list of them, ``v`` holds values
            drawn from the seed (see `generate`). An element that it adds has the id ``new``.
        prepare: JavaScript that is run in both pages before.
        renderings: how the type of the expected and of the actual page is rendered, of `RENDERINGS`; None for the
            browser's own way.
        grain: largest random step, in levels, that is added to each channel of the actual picture.
    """

    name: str
    group: str
    kind: str
    match: bool | None
    target: str
    edit: str = ""
    prepare: str = ""
    renderings: tuple[str, str] | None = None
    grain: int = 0

    @property
    def needs(self) -> set[str]:
        """The ids that a page must have."""
        return set(re.findall(r"#([a-z]+\d*)", self.target))


def _edit(name: str, kind: str, target: str, edit: str, *, match: bool | None = False, prepare: str = "") -> Change:
    return Change(name, EDITS, kind, match, target, edit, prepare)


def _hard(name: str, kind: str, target: str, edit: str, *, match: bool | None = False, prepare: str = "") -> Change:
    return Change(name, HARD, kind, match, target, edit, prepare)


def _restyled(name: str, target: str, edit: str, *, prepare: str = "", kind: str = "recoloured") -> Change:
    return Change(name, RESTYLED, kind, match=False, target=target, edit=edit, prepare=prepare)


def _noise(name: str, target: str = "body", edit: str = "", *, prepare: str = "", kind: str = "noise") -> Change:
    return Change(name, NOISE, kind, match=True, target=target, edit=edit, prepare=prepare)


def _type(name: str, expected: str, actual: str, *, match: bool | None = True) -> Change:
    return Change(name, NOISE, "noise", match, "body", renderings=(expected, actual))


def _style(target: str, style: str) -> str:
    return f"all('{target}').forEach(e => e.style.cssText += `;{style}`)"


def _added(style: str, text: str = "") -> str:
    return (
        "const b = document.createElement('span'); b.id = 'new'; "
        f"b.textContent = '{text}'; b.style = `position: absolute; {style}`; document.body.append(b)"
    )


def _text(target: str, pattern: str, new: str) -> str:
    return f"const e = q('{target}'); e.textContent = e.textContent.replace({pattern}, {new})"


CHANGES: tuple[Change, ...] = (
    _edit("added-badge", "added", "#header", _added("right: 150px; top: 14px; background: #dc2626; color: #fff; border-radius: 9px; padding: 0 7px; font-size: 12px", "3")),
    _edit("added-dot", "added", "body", _added("right: ${60 + v.dx}px; top: 18px; background: #dc2626; border-radius: 50%; width: 5px; height: 5px")),
    _edit("added-scrollbar", "added", "body", _added("right: 0; top: 0; width: 12px; height: 760px; background: #c8c8c8")),
    _edit("added-toast", "added", "body", _added("right: 24px; top: 600px; width: 240px; padding: 12px; background: #166534; color: #fff; border-radius: 6px", "The changes are saved")),
    _edit("added-tick", "added", "#tick3", "q('#tick3').checked = true"),
    _edit("removed-button", "removed", "#other", _style("#other", "visibility: hidden")),
    _edit("removed-picture", "removed", "#picture", _style("#picture", "visibility: hidden")),
    _edit("removed-item", "removed", "#item3", _style("#item3", "color: transparent")),
    _edit("removed-series", "removed", "#series1", _style("#series1", "visibility: hidden")),
    _edit("removed-badge", "removed", "#badge0", _style("#badge0", "visibility: hidden")),
    _edit("moved-button", "moved", "#primary", _style("#primary", "position: relative; left: ${v.dx}px; top: ${v.dy}px")),
    _edit("moved-picture", "moved", "#picture", _style("#picture", "position: relative; left: ${v.dx}px; top: ${v.dy}px")),
    _edit("moved-chart", "moved", "#svgbars", _style("#svgbars", "position: relative; left: ${Math.abs(v.dx) + 9}px")),
    _edit("moved-quote", "moved", "#quote", _style("#quote", "position: relative; left: ${v.dx}px; top: ${v.dy}px")),
    _edit("moved-legend", "moved", "#legend", _style("#legend", "position: relative; left: ${Math.abs(v.dx) + 30}px")),
    _edit("recolour-button", "recoloured", "#primary", _style("#primary", "background: ${v.colour}; border-color: ${v.colour}")),
    _edit("recolour-text", "recoloured", "#prose", _style("#prose", "color: #c2410c")),
    _edit("recolour-dot", "recoloured", "#dot2", "const d = q('#dot2'); d.style.background = d.style.background == 'rgb(22, 163, 74)' ? '#dc2626' : '#16a34a'"),
    _edit("recolour-slice", "recoloured", "#slice1", "q('#slice1').setAttribute('fill', '#facc15')"),
    _edit("recolour-canvas", "recoloured", "#canvas", "draw(v.values, '#e11d48')", prepare="draw(v.values, '#0d9488')"),
    _edit("recolour-webgl", "recoloured", "#webgl", "shade(.9, 3.4, 0)"),
    _edit("shadow-strong", "recoloured", "#card", _style("#card", "box-shadow: 0 8px 20px rgba(0, 0, 0, .5)")),
    _edit("text-word", "text", "#item4", "q('#item4').textContent = 'Overview settings'"),
    _edit("text-digit", "text", "#row3 .amount", _text("#row3 .amount", r"/\d\./", "m => (m[0] == '8' ? '3' : '8') + '.'")),
    _edit("text-price", "text", "#price2", _text("#price2", r"/\d$/", "m => (m == '6' ? '5' : '6')")),
    _edit("text-figure", "text", "#figure1", _text("#figure1", r"/^\d/", "m => (m == '7' ? '1' : '7')")),
    _edit("text-comma", "text", "#row4 .amount", _text("#row4 .amount", "'.'", "','")),
    _edit("text-paragraph", "text", "#prose", "const e = q('#prose'), t = e.textContent.split(' '); t[5] = 'different'; e.textContent = t.join(' ')"),
    _edit("text-japanese", "text", "#japanese", "const e = q('#japanese'); e.textContent = e.textContent.slice(0, 20) + '変' + e.textContent.slice(21)"),
    _edit("text-arabic", "text", "#arabic", "const e = q('#arabic'), t = e.textContent.split(' '); t[4] = 'الجديدة'; e.textContent = t.join(' ')"),
    _edit("text-code", "text", "#code", _text("#code", "'='", "'~'")),
    _edit("text-input", "text", "#input", "q('#input').value = 'Another value'"),
    _edit("text-bold", "text", "#item2", _style("#item2", "font-weight: bold")),
    _edit("content-picture", "content", "#picture", "q('#picture').src = v.swapped; await q('#picture').decode()"),
    _edit("content-picture-coarse", "content", "#picture", "q('#picture').src = v.coarse; await q('#picture').decode()"),
    _edit("content-gradient", "content", "#hero", _style("#hero", "background: linear-gradient(90deg, #0ea5e9, #f43f5e)")),
    _edit("content-bars", "content", "#chart", "all('#chart i').forEach((e, i) => e.style.height = (20 + (i * 37) % 75) + 'px')"),
    _edit("content-canvas", "content", "#canvas", "const w = [...v.values]; w[5] = (w[5] + 40) % 100; draw(w, '#0d9488')", prepare="draw(v.values, '#0d9488')"),
    _edit("content-webgl", "content", "#webgl", "shade(2.6, 1.2, 0)"),
    _edit("content-progress", "content", "#bar0", "const e = q('#bar0 i'); e.style.width = (parseInt(e.style.width) - 9) + '%'"),
    _edit("content-spinner", "content", "#spin", _style("#spin", "transform: rotate(120deg)")),
    _edit("content-switch", "content", "#switch", _style("#switch", "background: #94a3b8") + "; q('#switch i').style.right = '20px'"),
    _edit("content-corners", "content", "#primary", _style("button", "border-radius: 0")),
    _edit("inserted-item", "inserted", "#item3", "const l = document.createElement('li'); l.id = 'new'; l.textContent = 'Inserted entry'; q('#item3').after(l)"),
    _edit("inserted-row", "inserted", "#row5", "const l = q('#row5').cloneNode(true); l.id = 'new'; l.cells[1].textContent = 'Inserted'; q('#row5').after(l)"),
    _edit("inserted-banner", "inserted", "#header", "const l = document.createElement('div'); l.id = 'new'; l.textContent = 'We have news for you: everything moves down'; l.style = 'padding: 10px 20px; background: #fde68a; color: #222; border-bottom: 1px solid #ccc'; q('#header').after(l)"),
    _edit("deleted-item", "deleted", "#item5", "q('#item5').remove()"),
    _edit("deleted-row", "deleted", "#row3", "q('#row3').remove()"),
    _edit("deleted-alert", "deleted", "#alert", "q('#alert').remove()"),
    _edit("theme-inverted", "theme", "body", "document.documentElement.style.filter = 'invert(1)'"),
    _edit("moved-card-1px", "moved", "#card", _style("#card", "position: relative; top: 1px"), match=None),
    # Small changes that a tolerant rule swallows.
    _hard("border-2px", "content", "#list", _style("#list", "border-width: 2px")),
    _hard("border-gone", "removed", "#item4", _style("#item4", "border-bottom-color: transparent")),
    _hard("border-dashed", "content", "#card", _style("#card", "border-style: dashed")),
    _hard("plus-minus", "text", "#plain", "q('#plain').textContent = '+'", prepare="q('#plain').textContent = '-'"),
    _hard("zero-o", "text", "#row1 .amount", _text("#row1 .amount", "'0.'", "'O.'"), prepare=_text("#row1 .amount", r"/\d\./", "'0.'")),
    _hard("l-i", "text", "#item5", "q('#item5').textContent = 'WiIl fill'", prepare="q('#item5').textContent = 'Will fill'"),
    _hard("rn-m", "text", "#item5", "q('#item5').textContent = 'modem'", prepare="q('#item5').textContent = 'modern'"),
    _hard("bar-added", "added", "#title", "q('#title').textContent += ' |'"),
    _hard("l-added", "text", "#title", "q('#title').textContent += 'l'"),
    _hard("dots-hebrew", "text", "#quote", _text("#quote", "/ /", "' .'")),
    _hard("stroke-japanese", "text", "#japanese", "const e = q('#japanese'); e.textContent = e.textContent.replace('大', '犬')", prepare="const e = q('#japanese'); e.textContent = e.textContent.slice(0, 9) + '大' + e.textContent.slice(10)"),
    _hard("underline", "added", "#title", _style("#title", "text-decoration: underline")),
    _hard("strike", "added", "#prose", "const e = q('#prose'), t = e.textContent.split(' '); e.innerHTML = `${t.slice(0, 3).join(' ')} <s>${t[3]}</s> ${t.slice(4).join(' ')}`"),
    _hard("text-opacity", "recoloured", "#prose", _style("#prose", "opacity: .85")),
    _hard("focus-ring", "added", "#other", _style("#other", "outline: 1px solid rgba(120, 160, 240, .5)")),
    _hard("font-size", "text", "#prose", _style("#prose", "font-size: 102%")),
    _hard("letter-spacing", "text", "#prose", _style("#prose", "letter-spacing: .2px")),
    _hard("hairline", "added", "body", _added("left: 500px; top: 420px; width: 260px; height: 1px; background: rgba(128, 128, 128, .25)")),
    _hard("gray-dot", "added", "body", _added("left: 1040px; top: 40px; width: 3px; height: 3px; background: rgba(128, 128, 128, .8)")),
    _hard("icon-cross", "text", "body", "q('#icon').textContent = '+'", prepare="const b = document.createElement('b'); b.id = 'icon'; b.style = 'position: absolute; left: 1000px; top: 14px; font: 11px DejaVu Sans'; b.textContent = '×'; document.body.append(b)"),
    _hard("moved-2px", "moved", "#primary", _style("#primary", "position: relative; left: 2px")),
    _hard("text-moved-2px", "moved", "#title", _style("#title", "position: relative; left: 2px")),
    _hard("slice-gap", "content", "#slice0", "q('#slice0').setAttribute('transform', 'translate(2 -2)')"),
    _hard("line-thin", "content", "#series0", "q('#series0').setAttribute('stroke-width', 1)"),
    _hard("heat-cell", "recoloured", "#heat", "q('#heat rect:nth-child(20)').setAttribute('fill', 'hsl(215 80% 55%)')", prepare="q('#heat rect:nth-child(20)').setAttribute('fill', 'hsl(215 80% 45%)')"),
    _hard("canvas-point", "content", "#canvas", "const w = [...v.values]; w[5] += 4; draw(w, '#0d9488')", prepare="draw(v.values, '#0d9488')"),
    _hard("picture-scratch", "added", "#picture", "const r = q('#picture').getBoundingClientRect(); " + _added("left: ${r.x + 40}px; top: ${r.y + 30}px; width: 50px; height: 1px; background: rgba(255, 255, 255, .6); transform: rotate(12deg)")),
    _hard("ok-text-1px", "noise", "#title", _style("#title", "position: relative; left: ${1 / devicePixelRatio}px"), match=True),
    _hard("ok-button-1px", "noise", "#primary", _style("#primary", "position: relative; transform: translateY(${1 / devicePixelRatio}px)"), match=True),
    _hard("ok-table-fraction", "noise", "#table", _style("#table", "position: relative; left: .4px"), match=True),
    _hard("ok-gradient-layer", "noise", "#hero", _style("#hero", "transform: translateZ(0)"), match=True),
    # Restyled: faint, of some size, and visible side by side.
    _restyled("error-success", "#alert", _style("#alert", "border-color: #86efac; background: #f0fdf4; color: #166534")),
    _restyled("row-selected", "#row6", _style("#row6", "background: color-mix(in srgb, var(--accent) 12%, var(--page))")),
    _restyled("row-deselected", "#row7", "q('#row7').className = ''", prepare="q('#row7').className = 'selected'"),
    _restyled("stripes-gone", "#row25, tr:nth-child(even)", _style("tr:nth-child(even)", "background: none")),
    _restyled("watermark-gone", "#watermark", _style("#watermark", "visibility: hidden")),
    _restyled("shadow-gone", "#card", _style(".card", "box-shadow: none")),
    _restyled("shadow-raised", "#card", _style(".card", "box-shadow: 0 6px 16px rgba(0, 0, 0, .28)")),
    _restyled("panel-gone", "#card", _style("#card", "background: var(--page)")),
    _restyled("button-disabled", "#primary", _style("#primary", "opacity: .6")),
    _restyled("placeholder-dark", "#field0", "document.documentElement.style.setProperty('--hint', '#5b6472')"),
    _restyled("badge-hue", "#badge0", "const e = q('#badge0'); e.style.background = `oklch(from ${getComputedStyle(e).backgroundColor} l c calc(h + 40))`"),
    _restyled("list-opacity", "#list", _style("#list", "opacity: .82")),
    _restyled("input-border", "#input", _style("#input", "border-color: #dc2626")),
    _restyled("input-focused", "#input", _style("#input", "border-color: #60a5fa; box-shadow: 0 0 0 3px rgba(96, 165, 250, .3)")),
    _restyled("item-hovered", "#item4", _style("#item4", "background: color-mix(in srgb, var(--ink) 10%, var(--page))")),
    _restyled("header-tint", "#header", _style("#header", "background: color-mix(in srgb, var(--accent) 10%, var(--panel))")),
    _restyled("page-warm", "body", _style("body", "background: color-mix(in srgb, #f59e0b 5%, var(--page))")),
    _restyled("link-colour", "#link", _style("#link", "color: color-mix(in srgb, var(--accent) 50%, #7c3aed)")),
    _restyled("note-darker", "#note", _style("#note", "color: var(--ink)")),
    _restyled("heading-accent", "#title", _style("#title", "color: var(--accent)")),
    _restyled("tab-changed", "#tab1", "q('#tab1').className = 'tab'; q('#tab2').className = 'tab on'", kind="content"),
    _restyled("progress-hue", "#bar0", _style("#bar0 i", "background: oklch(from var(--accent) l c calc(h + 35))")),
    _restyled("switch-colour", "#switch", _style("#switch", "background: #0d9488")),
    _restyled("quote-border", "#quote", _style("#quote", "border-left-color: var(--faint)")),
    _restyled("code-tint", "#code", _style("#code", "background: color-mix(in srgb, #38bdf8 9%, var(--panel))")),
    _restyled("overlay-faint", "body", _added("left: 0; top: 0; width: 100%; height: 760px; background: rgba(128, 128, 128, .07)")),
    _restyled("picture-faded", "#picture", _style("#picture", "filter: saturate(.6)")),
    _restyled("picture-warm", "#picture", _style("#picture", "filter: sepia(.25)")),
    _restyled("series-hue", "#series0", "q('#series0').setAttribute('stroke', '#4f7df0')"),
    _restyled("slice-lighter", "#slice0", "q('#slice0').setAttribute('fill', '#5080ee')"),
    _restyled("bars-opacity", "#svgbars", _style(".bars1", "opacity: .8")),
    _restyled("canvas-tint", "#canvas", _style("#canvas", "background: rgba(56, 189, 248, .08)")),
    _restyled("gradient-shifted", "#hero", _style("#hero", "background: linear-gradient(90deg, #38bdf8, #8b5cf6 80%)"), prepare=_style("#hero", "background: linear-gradient(90deg, #38bdf8, #a78bfa)")),
    _restyled("webgl-light", "#webgl", "shade(1.15, 1.2, 0)"),
    # Noise: what browsers, machines and codecs do of themselves.
    _noise("none"),
    _noise("caret", "#input", "const i = q('#input').getBoundingClientRect(); " + _added("left: ${Math.round(i.x) + 150}px; top: ${Math.round(i.y) + 6}px; width: 1px; height: 18px; background: var(--ink)"), kind="caret"),
    _noise("caret-area", "#area", "const i = q('#area').getBoundingClientRect(); " + _added("left: ${Math.round(i.x) + 9}px; top: ${Math.round(i.y) + 8}px; width: 1px; height: 17px; background: var(--ink)"), kind="caret"),
    _noise("card-1-level", "#card", "const c = getComputedStyle(q('#card')).backgroundColor.match(/\\d+/g).map(Number); q('#card').style.background = `rgb(${c[0] - 1}, ${c[1]}, ${c[2] - 1})`"),
    _noise("page-1-level", "body", "const c = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number); document.body.style.background = `rgb(${c[0]}, ${c[1] - 1}, ${c[2]})`"),
    _noise("layers", "body", _style("header, main, section, aside, .card, table", "will-change: transform")),
    _noise("layer-opacity", "body", _style("main, .card", "opacity: .998")),
    _noise("sub-pixel-text", "#prose", _style("#prose, #list, #table, #code, #japanese, #arabic", "position: relative; left: .3px")),
    _noise("sub-pixel-moved", "#title", _style("header, main", "transform: translate(.25px, 0)")),
    _noise("sub-pixel-down", "#prose", _style("#prose, #more", "transform: translate(.2px, .4px) rotate(.002deg)")),
    _noise("rotated-slightly", "#card", _style("#card", "transform: rotate(.004deg)")),
    _noise("picture-jpeg", "#picture", "q('#picture').src = v.jpeg; await q('#picture').decode()"),
    _noise("picture-webp", "#picture", "q('#picture').src = v.webp; await q('#picture').decode()"),
    _noise("picture-twice", "#picture", "q('#picture').src = v.twice; await q('#picture').decode()"),
    _noise("picture-smooth", "#picture", _style("#picture", "transform: translate(.3px, .2px)")),
    _noise("canvas-sub-pixel", "#canvas", "draw(v.values, '#0d9488', .3)", prepare="draw(v.values, '#0d9488')"),
    _noise("svg-sub-pixel", "#svglines", _style("#svglines", "transform: translate(.3px, .2px)")),
    _noise("svg-layer", "#svglines", _style("#svglines", "will-change: transform; filter: blur(0)")),
    _noise("webgl-dithered", "#webgl", "shade(.9, 1.2, 2)"),
    _noise("gradient-dithered", "#hero", _style("#hero", "background-image: linear-gradient(90deg, #38bdf8, #a78bfa); filter: brightness(1.002)"), prepare=_style("#hero", "background-image: linear-gradient(90deg, #38bdf8, #a78bfa)")),
    Change("grain-1", NOISE, "noise", match=True, target="body", grain=1),
    Change("grain-2", NOISE, "noise", match=True, target="body", grain=2),
    _type("type-hinted", PLAIN, SLIGHT),
    _type("type-lcd", PLAIN, LCD),
    _type("type-lcd-hinted", SLIGHT, LCD_SLIGHT),
    _type("type-lcd-and-hinted", PLAIN, LCD_SLIGHT),
    _type("type-hinted-fully", PLAIN, FULL, match=None),
)  # fmt: skip
