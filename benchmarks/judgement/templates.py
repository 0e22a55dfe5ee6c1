"""The pages: HTML made from a seed, with ids that tell `changes` where it can change something."""

from __future__ import annotations

import json
import math
import random
import re
from typing import TYPE_CHECKING

from benchmarks.judgement.photos import data_url, photo

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH, HEIGHT = 1100, 760
"""CSS pixels of each page's window."""

WORDS = (
    "account amount balance branch budget button cancel channel client column compare content customer daily default "
    "deliver detail device edit export filter freight general harbour header history image invoice item label layout "
    "limit margin message module monthly number option order owner page payment people plan price profile project "
    "public quarter record region release report result review sample screen search section service setting shape "
    "source status storage summary supplier system table target team theme total update user value version view weekly"
).split()
HAN = "日月山川田人口車門水火木金土本中国語文字東西南北大小上下左右年時間今週先生学校会社電話新聞道市町村海空花雨雪風音楽色光線図書館計画報告"
KANA = "あいうえおかきくけこさしすせそたちつてとなにのはひふへほまみむもやゆよらりるれろわをん"
ARABIC = "المشروع تقرير شهري يعرض نتائج المبيعات والتكاليف في كل منطقة مع مقارنة الأرقام بالعام الماضي وخطة العمل القادمة".split()
HEBREW = "הדוח החודשי מציג את תוצאות המכירות וההוצאות בכל אזור עם השוואה לשנה הקודמת ותוכנית העבודה הבאה".split()

LIGHT = {
    "page": "#ffffff",
    "panel": "#f4f6f8",
    "ink": "#1f2937",
    "faint": "#64748b",
    "line": "#e2e5ea",
    "accent": "#2563eb",
}
PAPER = {
    "page": "#fdfcf9",
    "panel": "#efe9dd",
    "ink": "#2b2b2b",
    "faint": "#7a7164",
    "line": "#d8cfbf",
    "accent": "#b4451f",
}
DARK = {
    "page": "#0f172a",
    "panel": "#1e293b",
    "ink": "#e2e8f0",
    "faint": "#94a3b8",
    "line": "#334155",
    "accent": "#22c55e",
}
BLACK = {
    "page": "#111214",
    "panel": "#1a1c20",
    "ink": "#d7dae0",
    "faint": "#8b919c",
    "line": "#2a2d33",
    "accent": "#8b5cf6",
}
STATES = {"paid": "#16a34a", "open": "#d97706", "overdue": "#dc2626", "draft": "#64748b"}
SERIES = ("#2563eb", "#f97316", "#10b981", "#a855f7")

STYLE = """
* { box-sizing: border-box } body { margin: 0; background: var(--page); color: var(--ink); font: var(--font) }
header { display: flex; align-items: center; gap: 18px; padding: 12px 20px; background: var(--panel);
  border-bottom: 1px solid var(--line) } header b { font-size: 1.3em } a { color: var(--accent) }
small { color: var(--faint) } .grow { flex: 1 } .row { display: flex; gap: 16px; align-items: center; margin-bottom: 14px }
ul { list-style: none; margin: 0; padding: 0; border: 1px solid var(--line); border-radius: 6px }
li { padding: 7px 12px; border-bottom: 1px solid var(--line) } li:last-child { border: 0 }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px;
  box-shadow: 0 2px 6px rgba(0, 0, 0, .12) }
button { font: inherit; padding: 7px 16px; border-radius: 6px; border: 1px solid var(--line); background: var(--panel);
  color: var(--ink) } button.primary { background: var(--accent); color: #fff; border-color: var(--accent) }
input, select, textarea { font: inherit; padding: 6px 8px; border: 1px solid var(--line); border-radius: 4px;
  background: var(--page); color: var(--ink) } input::placeholder, textarea::placeholder { color: var(--hint, #9aa3b0) }
table { border-collapse: collapse; width: 100% } td, th { padding: var(--pad, 6px) 8px; text-align: left;
  border-bottom: 1px solid var(--line) } th { color: var(--faint); font-weight: normal } .number { text-align: right }
tr.selected { background: color-mix(in srgb, var(--accent) 14%, var(--page)) !important }
.dot { display: inline-block; width: 8px; height: 8px; border-radius: 50% }
.badge { color: #fff; border-radius: 9px; padding: 1px 9px; font-size: .85em }
.spin { width: 26px; height: 26px; border-radius: 50%; border: 4px solid var(--line); border-top-color: var(--accent);
  transform: rotate(20deg) }
.bar { height: 8px; border-radius: 4px; background: var(--line); overflow: hidden } .bar i { display: block; height: 8px;
  background: var(--accent) } p { margin: 0 0 10px } img { display: block } svg { flex: none }
"""

DRAW = """
function draw(values, colour, dx) {
  const canvas = document.querySelector("#canvas"), pen = canvas.getContext("2d"), ratio = devicePixelRatio;
  const wide = canvas.clientWidth, high = canvas.clientHeight, style = getComputedStyle(document.body);
  canvas.width = wide * ratio; canvas.height = high * ratio; pen.scale(ratio, ratio); pen.translate(dx || 0, 0);
  pen.font = "11px DejaVu Sans"; pen.fillStyle = style.getPropertyValue("--faint");
  pen.strokeStyle = style.getPropertyValue("--line");
  for (let tick = 0; tick <= 4; tick++) {
    const y = 12 + (high - 34) * tick / 4; pen.fillText(String(100 - 25 * tick), 2, y + 4);
    pen.beginPath(); pen.moveTo(30, y); pen.lineTo(wide - 4, y); pen.stroke();
  }
  const step = (wide - 40) / values.length, point = (i) => [34 + step * (i + .5), high - 22 - (high - 34) * values[i] / 100];
  pen.globalAlpha = .25; pen.fillStyle = colour; pen.beginPath(); pen.moveTo(point(0)[0], high - 22);
  values.forEach((_, i) => pen.lineTo(...point(i))); pen.lineTo(point(values.length - 1)[0], high - 22); pen.fill();
  pen.globalAlpha = 1; pen.strokeStyle = colour; pen.lineWidth = 2; pen.beginPath();
  values.forEach((_, i) => pen.lineTo(...point(i))); pen.stroke();
  values.forEach((_, i) => { pen.beginPath(); pen.arc(...point(i), 3, 0, 7); pen.fill(); });
}
"""

SHADE = """
function shade(angle, hue, noise) {
  const canvas = document.querySelector("#webgl"), ratio = devicePixelRatio;
  canvas.width = canvas.clientWidth * ratio; canvas.height = canvas.clientHeight * ratio;
  const gl = canvas.getContext("webgl", { preserveDrawingBuffer: true });
  if (!gl) return;
  gl.viewport(0, 0, canvas.width, canvas.height);
  const program = gl.createProgram(), add = (kind, text) => {
    const shader = gl.createShader(kind); gl.shaderSource(shader, text); gl.compileShader(shader);
    gl.attachShader(program, shader); };
  add(gl.VERTEX_SHADER, "attribute vec2 p; varying vec2 q; void main() { q = p; gl_Position = vec4(p, 0., 1.); }");
  add(gl.FRAGMENT_SHADER, `precision highp float; varying vec2 q; uniform float angle, hue, noise;
    void main() {
      float r = length(q * vec2(1.6, 1.)), z = sqrt(max(0., .64 - r * r));
      vec3 light = normalize(vec3(cos(angle), sin(angle), .8)), n = vec3(q * vec2(1.6, 1.), z) / .8;
      float edge = smoothstep(.8, .79, r), lit = .25 + .75 * max(0., dot(n, light));
      vec3 tone = .55 + .45 * cos(hue + vec3(0., 2., 4.));
      vec3 c = mix(vec3(.93, .94, .96) - .1 * q.y, tone * lit * (.9 + .1 * sin(18. * q.x)), edge);
      c += noise * (fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5) - .5) / 255.;
      gl_FragColor = vec4(c, 1.); }`);
  gl.linkProgram(program); gl.useProgram(program);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0); gl.bindAttribLocation(program, 0, "p"); gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
  for (const [name, value] of Object.entries({ angle, hue, noise })) gl.uniform1f(gl.getUniformLocation(program, name), value);
  gl.drawArrays(gl.TRIANGLES, 0, 3);
}
"""


class Author:
    """Writes words and figures from a seed."""

    def __init__(self, seed: int, page: str) -> None:
        self.chance = random.Random(f"{page} {seed}")  # noqa: S311 - contents, not secrets

    def words(self, least: int, most: int | None = None) -> str:
        """Return that many words, the first one with a capital."""
        return " ".join(self.chance.choices(WORDS, k=self.chance.randint(least, most or least))).capitalize()

    def amount(self) -> str:
        """Return a figure such as ``482.57``."""
        return f"{self.chance.randint(100, 999)}.{self.chance.randint(10, 99)}"

    def values(self, count: int) -> list[int]:
        """Return figures from 10 to 95."""
        return [self.chance.randint(10, 95) for _ in range(count)]

    def state(self) -> str:
        """Return one of the states of an invoice."""
        return self.chance.choice(list(STATES))

    def entries(self, count: int) -> str:
        """Return a list."""
        lines = "".join(f"<li id=item{index}>{self.words(1, 3)}</li>" for index in range(count))
        return f"<ul id=list>{lines}</ul>"

    def buttons(self) -> str:
        """Return three buttons."""
        return (
            f"<button id=plain>{self.words(1)}</button><button class=primary id=primary>{self.words(1)}</button>"
            f"<button id=other>{self.words(1)}</button>"
        )

    def japanese(self, length: int) -> str:
        """Return a sentence of Japanese characters; it means nothing."""
        return "".join(self.chance.choice(self.chance.choice((HAN, KANA))) for _ in range(length)) + "。"

    def rows(self, count: int) -> str:
        """Return the lines of a table of invoices."""
        lines = []
        for index in range(count):
            state = self.state()
            lines.append(
                f"<tr id=row{index}><td>{self.words(2)}<td>{self.chance.randint(10, 99)}<td class='number amount'>"
                f"{self.amount()}<td><span class=dot id=dot{index} style='background:{STATES[state]}'></span> {state}</tr>"
            )
        return "".join(lines)


def app(seed: int) -> str:
    """Return a page of a web application, in one of three themes and three fonts."""
    author = Author(seed, "app")
    theme = (LIGHT, PAPER, DARK)[seed % 3]
    family = author.chance.choice(("DejaVu Sans", "Liberation Sans", "Liberation Serif"))
    bars = "".join(f"<i style='height:{value}px'></i>" for value in author.values(14))
    return _page(
        f"<style>main {{ display: flex; gap: 24px; padding: 20px }} aside {{ width: 230px }} section {{ flex: 1 }}"
        f".bars {{ display: flex; align-items: flex-end; gap: 6px; height: 100px }} .bars i {{ width: 16px;"
        f"background: var(--accent); border-radius: 3px 3px 0 0 }} #hero {{ height: 64px; border-radius: 8px;"
        f"background: linear-gradient(90deg, var(--accent), var(--panel)); margin-bottom: 14px }}</style>"
        f"<header id=header><b id=title>{author.words(1)}</b><a>{author.words(1)}</a><a id=link>{author.words(1)}</a>"
        f"<span class=grow></span><div class=spin id=spin></div></header><main><aside>{author.entries(9)}</aside>"
        f"<section><div id=hero></div><div class=row>{author.buttons()}<input id=input value='{author.words(2)}'></div>"
        f"<div class=card id=card><p id=prose>{author.words(22, 40)}.</p><p id=more>{author.words(20, 34)}.</p></div>"
        f"<div class=row style='margin-top:14px'>{_photo(seed, 'picture', 180, 120)}<div class=bars id=chart>{bars}</div>"
        f"</div><table id=table>{author.rows(8)}</table></section></main>",
        theme,
        f"{author.chance.choice((13, 14, 15, 16))}px/1.45 '{family}'",
    )


def dashboard(seed: int) -> str:
    """Return a dense dashboard in a dark theme: tiles, an SVG and a canvas chart, progress bars, a table."""
    author = Author(seed, "dashboard")
    tiles = "".join(
        f"<div class='card tile'><small>{author.words(2)}</small><b class=figure id=figure{index}>{author.amount()}</b>"
        f"<small>{author.chance.randint(-9, 9):+d} % since {author.words(1)}</small></div>"
        for index in range(5)
    )
    bars = "".join(
        f"<small>{author.words(1)}</small><div class=bar id=bar{index}><i style='width:{value}%'></i></div>"
        for index, value in enumerate(author.values(5))
    )
    badges = " ".join(
        f"<span class=badge id=badge{index} style='background:{STATES[state]}'>{state}</span>"
        for index, state in enumerate(STATES)
    )
    return _page(
        "<style>body { display: flex } nav { width: 170px; padding: 12px; background: var(--panel);"
        "border-right: 1px solid var(--line) } main { flex: 1; padding: 14px; display: grid; gap: 12px }"
        ".tiles { display: grid; grid-template-columns: repeat(5, 1fr); gap: 12px } .tile { padding: 8px 12px }"
        ".figure { display: block; font-size: 20px } .split { display: grid; grid-template-columns: 3fr 2fr; gap: 12px }"
        "td, th { --pad: 3px } #canvas { width: 100%; height: 150px; display: block }</style>"
        f"<nav><p><b id=title>{author.words(1)}</b></p>{author.entries(12)}<p></p><div class=row>"
        f"<button class=primary id=primary>{author.words(1)}</button></div></nav><main><div class=tiles>{tiles}</div>"
        f"<div class=split><div class=card id=card>{_svg_lines(author, 520, 170)}</div><div class=card>{bars}<p></p>"
        f"{badges}</div></div><div class=split><div class=card><table id=table>{author.rows(12)}</table></div>"
        f"<div class=card><canvas id=canvas></canvas><p></p><p id=prose>{author.words(22, 30)}.</p></div></div></main>"
        f"<script>{DRAW}; draw({json.dumps(author.values(12))}, '#38bdf8')</script>",
        (BLACK, DARK)[seed % 2],
        "12px/1.4 'DejaVu Sans'",
    )


def charts(seed: int) -> str:
    """Return charts: SVG bars and lines, a pie, a canvas, a map of heat, and a sphere by WebGL."""
    author = Author(seed, "charts")
    cells = "".join(
        f"<rect x={column * 22} y={row * 22} width=21 height=21 fill='hsl(215 80% {30 + 0.6 * author.chance.randint(0, 99):.0f}%)'/>"
        for row in range(7)
        for column in range(16)
    )
    legend = " ".join(
        f"<span><span class=dot style='background:{colour}'></span> {author.words(1)}</span>" for colour in SERIES
    )
    return _page(
        "<style>main { padding: 16px; display: grid; grid-template-columns: 1fr 1fr; gap: 14px } h3 { margin: 0 0 6px;"
        "font-size: 14px } #canvas { width: 100%; height: 190px; display: block } #webgl { width: 230px; height: 150px }"
        f"</style><header id=header><b id=title>{author.words(2)}</b><small id=legend>{legend}</small></header><main>"
        f"<div class=card id=card><h3>{author.words(2)}</h3>{_svg_bars(author, 480, 190)}</div>"
        f"<div class=card><h3>{author.words(2)}</h3>{_svg_lines(author, 480, 190)}</div>"
        f"<div class=card><h3>{author.words(2)}</h3><canvas id=canvas></canvas></div>"
        f"<div class=card><h3>{author.words(2)}</h3><svg id=heat width=352 height=154>{cells}</svg>"
        f"<small id=note>{author.words(8)}</small></div>"
        f"<div class=card><div class=row>{_svg_pie(author)}<p id=prose>{author.words(18, 24)}.</p></div></div>"
        f"<div class=card><div class=row><canvas id=webgl></canvas><p id=more>{author.words(14, 18)}.</p></div></div>"
        f"</main><script>{DRAW}{SHADE}; draw({json.dumps(author.values(16))}, '#0d9488'); shade(.9, 1.2, 0)</script>",
        (LIGHT, PAPER)[seed % 2],
        "13px/1.4 'Liberation Sans'",
    )


def table(seed: int) -> str:
    """Return a dense table: small type, stripes, a selected row, badges, small charts."""
    author = Author(seed, "table")
    lines = []
    for index in range(26):
        state = author.state()
        lines.append(
            f"<tr id=row{index}><td><input type=checkbox id=tick{index}{' checked' * (index % 5 == 1)}><td>{author.words(2)}"
            f"<td><small>{author.words(1, 2)}</small><td class='number amount'>{author.amount()}<td class=number>"
            f"{author.chance.randint(1_000, 99_999):,}<td class=number>{author.chance.randint(-99, 99) / 10:+.1f} %"
            f"<td><span class=badge id=badge{index} style='background:{STATES[state]}'>{state}</span>"
            f"<td>{_sparkline(author)}<td><a>{author.words(1)}</a></tr>"
        )
    headings = "".join(f"<th>{author.words(1)}" for _ in range(8))
    return _page(
        "<style>main { padding: 10px 14px } td, th { --pad: 1px; line-height: 22px } tr:nth-child(even) { background:"
        "var(--panel) }input[type=checkbox]"
        "{ margin: 0 } svg { vertical-align: middle }</style>"
        f"<header id=header><b id=title>{author.words(2)}</b><input id=input value='{author.words(1)}'><span class=grow>"
        f"</span>{author.buttons()}</header><main><table id=table><tr><th>{headings}</tr>{''.join(lines)}</table></main>"
        "<script>document.querySelector('#row7').className = 'selected'</script>",
        (LIGHT, DARK, PAPER)[seed % 3],
        f"{(12, 11)[seed % 2]}px/1.3 '{('DejaVu Sans', 'Liberation Sans Narrow', 'Liberation Mono')[seed % 3]}'",
    )


def article(seed: int) -> str:
    """Return an article: Latin, Japanese, Arabic and Hebrew, a quotation, code, a picture, a watermark."""
    author = Author(seed, "article")
    arabic = " ".join(author.chance.choices(ARABIC, k=34))
    hebrew = " ".join(author.chance.choices(HEBREW, k=30))
    code = "\n".join(f"{author.words(1).lower()} = {author.words(1).lower()}({author.amount()})" for _ in range(4))
    return _page(
        "<style>main { width: 860px; margin: 0 auto; padding: 14px; columns: 2; column-gap: 28px } h2 { margin: 0 0 8px }"
        "blockquote { margin: 0 0 10px; padding: 8px 14px; border-left: 4px solid var(--accent); background: var(--panel) }"
        "pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 10px; font: 12px/1.5"
        "'DejaVu Sans Mono'; margin: 0 0 10px } #japanese { font-family: 'Sheet CJK' } #watermark { position: absolute;"
        "left: 250px; top: 330px; font: bold 110px 'Liberation Sans'; transform: rotate(-24deg); opacity: .07 }</style>"
        f"<header id=header><b id=title>{author.words(2)}</b><small id=note>{author.words(3)}</small><a id=link>"
        f"{author.words(1)}</a></header><main><h2 id=heading>{author.words(4)}</h2><p id=prose>{author.words(40, 60)}.</p>"
        f"<p id=japanese>{author.japanese(90)}</p>{_photo(seed + 1, 'picture', 380, 170)}<small>{author.words(6)}</small>"
        f"<p id=more>{author.words(24, 36)}.</p><p id=arabic dir=rtl lang=ar style='font-family:DejaVu Sans'>{arabic}.</p>"
        f"<blockquote id=quote dir=rtl lang=he style='font-family:DejaVu Sans'>{hebrew}.</blockquote>"
        f"<pre id=code>{code}</pre><p>{author.words(30, 44)}.</p></main><div id=watermark>DRAFT</div>",
        (PAPER, LIGHT, DARK)[seed % 3],
        f"{(15, 14)[seed % 2]}px/1.5 '{('Liberation Serif', 'DejaVu Serif', 'DejaVu Sans')[seed % 3]}'",
    )


def gallery(seed: int) -> str:
    """Return photographs with captions, prices and labels over them."""
    author = Author(seed, "gallery")
    figures = "".join(
        f"<figure class=card>{_photo(seed * 6 + index, ('picture', 'photo1', 'photo2', 'photo3', 'photo4', 'photo5')[index], 316, 200)}"
        f"<figcaption><b>{author.words(2)}</b> <small>{author.words(2)}</small><span class='badge' id=badge{index} "
        f"style='background:#0f766e'>{author.words(1)}</span><div class=amount id=price{index}>{author.amount()}</div>"
        f"</figcaption></figure>"
        for index in range(6)
    )
    return _page(
        "<style>main { padding: 14px 20px; display: grid; grid-template-columns: repeat(3, 1fr); gap: 16px } figure {"
        "margin: 0; padding: 12px } figcaption { padding-top: 8px; position: relative } .badge { position: absolute;"
        "right: 8px; top: -26px } #hero { height: 26px; background: linear-gradient(90deg, #38bdf8, #a78bfa) }</style>"
        f"<div id=hero></div><header id=header><b id=title>{author.words(2)}</b><span class=grow></span>{author.buttons()}"
        f"</header><main>{figures}</main>",
        (LIGHT, BLACK)[seed % 2],
        "13px/1.4 'DejaVu Sans'",
    )


def form(seed: int) -> str:
    """Return a form: fields, placeholders, an error box, switches, a disabled button, tabs, progress."""
    author = Author(seed, "form")
    fields = "".join(
        f"<label><small>{author.words(1, 2)}</small><input id=field{index} placeholder='{author.words(2)}'></label>"
        for index in range(4)
    )
    choices = "".join(
        f"<label class=row><input type=radio name=r {'checked' * (index == 1)}>{author.words(2)}</label>"
        for index in range(3)
    )
    tabs = "".join(
        f"<span class='tab {'on' * (index == 1)}' id=tab{index}>{author.words(1)}</span>" for index in range(4)
    )
    return _page(
        "<style>main { width: 760px; margin: 16px auto; display: grid; gap: 12px } label { display: block } input {"
        "width: 100% } input[type=radio] { width: auto; margin: 0 } .two { display: grid; grid-template-columns: 1fr 1fr;"
        "gap: 12px } #alert { border: 1px solid #fca5a5; background: #fef2f2; color: #991b1b; border-radius: 6px; padding:"
        "9px 14px } .tab { display: inline-block; padding: 7px 14px; border-bottom: 2px solid transparent } .tab.on {"
        "border-color: var(--accent) } .switch { width: 38px; height: 20px; border-radius: 10px; background: #16a34a;"
        "position: relative } .switch i { position: absolute; right: 2px; top: 2px; width: 16px; height: 16px;"
        "border-radius: 50%; background: #fff } #disabled { opacity: .45 } .row { margin-bottom: 4px }</style>"
        f"<header id=header><b id=title>{author.words(2)}</b><a id=link>{author.words(1)}</a></header><main>"
        f"<div id=tabs>{tabs}</div><div id=alert>{author.words(7)}.</div><div class='card two' id=card>{fields}</div>"
        f"<div class=two><div>{choices}</div><div><div class=row><div class=switch id=switch><i></i></div>"
        f"{author.words(2)}</div><small id=note>{author.words(10)}</small></div></div>"
        f"<input id=input value='{author.words(2)}'><textarea rows=3 id=area placeholder='{author.words(5)}'></textarea>"
        f"<p id=prose>{author.words(26, 36)}.</p><div class=bar id=bar0><i style='width:{author.chance.randint(20, 90)}%'>"
        f"</i></div><div class=row>{author.buttons()}<button class=primary id=disabled>{author.words(1)}</button></div></main>",
        (LIGHT, PAPER, DARK)[(seed + 1) % 3],
        "14px/1.45 'Liberation Sans'",
    )


PAGES: dict[str, Callable[[int], str]] = {
    page.__name__: page for page in (app, dashboard, charts, table, article, gallery, form)
}


def ids(html: str) -> set[str]:
    """Return the ids of a page's elements."""
    return set(re.findall(r"\bid=([a-z]+\d*)", html))


def _page(body: str, theme: dict[str, str], font: str) -> str:
    colours = "; ".join(f"--{name}: {colour}" for name, colour in theme.items())
    return f"<!doctype html><meta charset=utf-8><style>:root {{ {colours}; --font: {font} }} {STYLE}</style>{body}"


def _photo(seed: int, name: str, width: int, height: int) -> str:
    return (
        f"<img id={name} width={width} height={height} data-photo={seed} src='{data_url(photo(seed, width, height))}'>"
    )


def _svg_bars(author: Author, width: int, height: int) -> str:
    lines = "".join(
        f"<path d='M30 {y}H{width}' stroke='var(--line)'/><text x=2 y={y + 4} font-size=10 fill='var(--faint)'>{100 - 25 * tick}</text>"
        for tick, y in enumerate(range(10, height - 20, (height - 30) // 4))
    )
    bars = "".join(
        f"<rect class=bars{group % 2} x={36 + 38 * group + 15 * part} y={height - 20 - value * (height - 30) / 100:.1f} width=13 "
        f"height={value * (height - 30) / 100:.1f} fill='{SERIES[part]}'/>"
        for group in range(11)
        for part, value in enumerate(author.values(2))
    )
    return f"<svg id=svgbars width={width} height={height}>{lines}{bars}</svg>"


def _svg_lines(author: Author, width: int, height: int) -> str:
    step = (width - 40) / 15
    grid = "".join(f"<path d='M30 {y}H{width}' stroke='var(--line)'/>" for y in range(10, height - 10, 32))
    lines = "".join(
        f"<polyline id=series{index} fill=none stroke='{SERIES[index]}' stroke-width=2 points='"
        + " ".join(
            f"{30 + step * at:.1f},{height - 10 - value * (height - 20) / 100:.1f}"
            for at, value in enumerate(author.values(16))
        )
        + "'/>"
        for index in range(3)
    )
    return f"<svg id=svglines width={width} height={height}>{grid}{lines}</svg>"


def _svg_pie(author: Author) -> str:
    values = author.values(4)
    total, turn, slices = sum(values), 0.0, ""
    for index, value in enumerate(values):
        start, turn = turn, turn + value / total
        begin, end = (
            f"{70 + 64 * math.sin(math.tau * at):.2f} {70 - 64 * math.cos(math.tau * at):.2f}" for at in (start, turn)
        )
        large = int(turn - start > 0.5)  # noqa: PLR2004 - half a turn
        slices += f"<path id=slice{index} fill='{SERIES[index]}' d='M70 70L{begin}A64 64 0 {large} 1 {end}Z'/>"
    return f"<svg id=pie width=140 height=140>{slices}</svg>"


def _sparkline(author: Author) -> str:
    points = " ".join(f"{6 * at},{18 - value * 0.17:.1f}" for at, value in enumerate(author.values(12)))
    return f"<svg width=70 height=20><polyline fill=none stroke='var(--accent)' points='{points}'/></svg>"
