"""The element of a page under a region that differs, as the page itself tells it in a real Chromium."""

from __future__ import annotations

import pytest

from pytest_imgdiff import compare
from pytest_imgdiff.base.captured import Element
from pytest_imgdiff.base.geometry import Box
from pytest_imgdiff.base.model import Shot
from pytest_imgdiff.capture import browser as script
from pytest_imgdiff.report import read_results
from tests.chromium import ARGUMENTS, EXECUTABLE

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="there is no Chromium on the PATH")
WIDTH, HEIGHT = 640, 480


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    yield page
    page.close()


def shown(page, body):
    page.set_content(f"<!DOCTYPE html><html lang=en><title>Shop</title><body>{body}</body></html>")
    return page


def box_of(page, selector, *, by=(0, 0, 0, 0)):
    """Return x, y, width and height of an element in the document, each changed by so much."""
    found = page.locator(selector).evaluate(
        "(e) => { const r = e.getBoundingClientRect(); return [r.x + scrollX, r.y + scrollY, r.width, r.height]; }"
    )
    return [value + more for value, more in zip(found, by, strict=True)]


def under(page, box):
    return page.evaluate(script.script("elements"), ["elements", [box]])[0]


def words(found):
    return found["path"], found["role"], found["name"], found["text"]


CHART = """
  <svg class=chart width=200 height=100><title>Sales</title>
    <g class=bars><rect class=bar x=10 y=20 width=20 height=80 /><rect class=bar x=40 y=60 width=20 height=40 /></g>
    <path class=line d="M0 90 L200 10" stroke=red fill=none />
    <text x=100 y=95>2026</text>
  </svg>"""
FRAME = """<style>body { margin: 0 }</style><p style='margin: 40px 0 0 10px'><button>Pay now</button>"""
SHADOW = """
  <my-card id=one><b slot=title>Blue shoe</b></my-card><my-card><b slot=title>Red shoe</b></my-card>
  <script>
    for (const card of document.querySelectorAll("my-card")) {
      card.attachShadow({ mode: "open" }).innerHTML = "<h2><slot name=title></slot></h2><p class=price>12.00</p>";
    }
  </script>"""
MODAL = f"""
  <main><p>{"text " * 200}</p></main>
  <dialog aria-label="Are you sure?"><button>Yes</button></dialog><script>document.querySelector("dialog").showModal()</script>"""
TEXT_ITEM = "style='height: 30px; margin: 0'"

# The page, the element whose box is looked at and by how much that is changed; path, role, name and text.
CASES = {
    "a link among others": (
        "<nav><a href=/ class=logo>Shop</a> <a href=/new class=badge>New</a></nav><p><a href=/ class=badge>Old</a>",
        "nav .badge",
        (0, 0, 0, 0),
        ("nav > a.badge", "link", "New", "New"),
    ),
    "an id": ("<div><p id=total>24.00", "p", (0, 0, -500, 0), ("#total", "paragraph", None, "24.00")),
    "an id that a machine made": (
        "<main><p id=radix-17>24.00",
        "p",
        (0, 0, -500, 0),
        ("main > p", "paragraph", None, "24.00"),
    ),
    "a test id": (
        "<div><div data-testid=row:1><i>7</i></div></div>",
        "i",
        (0, 0, 0, 0),
        ('[data-testid="row\\:1"] > i', None, None, "7"),
    ),
    "classes that machines made, and those for looks": (
        "<div class='css-1x2y3z'><div class='px-4 Card_card__3xK2a text-sm price'>12.00</div><div class=css-9>x</div></div>",
        ".price",
        (0, 0, 0, 0),
        ("div.price", None, None, "12.00"),
    ),
    "one item of a list": (
        "<ul class=cart><li>One<li>Two<li>Three</ul>",
        "li:nth-child(2)",
        (0, 0, -500, 0),
        ("ul.cart > li:nth-of-type(2)", "listitem", None, "Two"),
    ),
    "the marker of an item": (
        "<ul class=cart><li>One<li>Two<li>Three</ul>",
        "li:nth-child(2)",
        (-18, 4, -574, -8),
        ("ul.cart > li:nth-of-type(2)", "listitem", None, "Two"),
    ),
    "several items: their list": (
        "<main><ul class=cart><li>One<li>Two<li>Three</ul>",
        "li:nth-child(2)",
        (0, -10, -500, 20),
        ("main > ul.cart", "list", None, "One Two Three"),
    ),
    "parts of two sections: what holds both": (
        f"<main><section class=one><p {TEXT_ITEM}>One</section><section class=two><p {TEXT_ITEM}>Two</section>",
        ".one",
        (0, 10, 0, 10),
        ("main", "main", None, "One Two"),
    ),
    "an icon is its button's": (
        "<button id=save><svg width=16 height=16><path d='M0 0H16V16H0Z'/></svg> Save</button>",
        "path",
        (0, 0, 0, 0),
        ("#save", "button", "Save", "Save"),
    ),
    "an icon's button has a label": (
        "<button aria-label=Search><svg width=16 height=16><path d='M0 0H16V16H0Z'/></svg></button>",
        "path",
        (0, 0, 0, 0),
        ("button", "button", "Search", None),
    ),
    "a word in a heading is the heading's": (
        "<h1>Sales <em>today</em></h1>",
        "em",
        (0, 0, 0, 0),
        ("h1", "heading", "Sales today", "today"),
    ),
    "a word in a paragraph is itself": (
        "<main><p>You pay <b class=sum>24.00</b> in all",
        "b",
        (0, 0, 0, 0),
        ("p > b.sum", None, None, "24.00"),
    ),
    "a cell": (
        "<table><tr><td>a<td>b<tr><td>c<td><span>42</span></table>",
        "span",
        (0, 0, 0, 0),
        ("tr:nth-of-type(2) > td:nth-of-type(2)", "cell", "42", "42"),
    ),
    "a picture in a link": (
        "<a href=/><img alt='Blue shoe' src=x width=50 height=50></a>",
        "img",
        (5, 5, -10, -10),
        ("a > img", "img", "Blue shoe", None),
    ),
    "a field in its label": (
        "<form class=login><label>Name <input value=Ada></label><label for=p>Password</label><input id=p type=password value=secret></form>",
        "input >> nth=0",
        (2, 2, -100, -4),
        ("label:nth-of-type(1) > input", "textbox", "Name", "Ada"),
    ),
    "a password is not told": (
        "<label for=p>Password</label><input id=p type=password value=secret>",
        "input",
        (2, 2, -100, -4),
        ("#p", None, "Password", None),
    ),
    "a label elsewhere": (
        "<h2 id=head>Speed</h2><div role=slider aria-labelledby=head class=knob style='width:90px;height:20px;background:silver'></div>",
        ".knob",
        (0, 0, 0, 0),
        ("div.knob", "slider", "Speed", None),
    ),
    "a role of its own": (
        "<div role=tablist><div role=tab class=tab>One</div><div role=tab class='tab is-active'>Two</div></div>",
        ".is-active",
        (0, 0, -500, 0),
        ("div.tab.is-active", "tab", "Two", "Two"),
    ),
    "painted outside of its parent": (
        """<div class=bell style='position:relative;width:40px;height:40px;background:silver'>
        <span class=count style='position:absolute;left:60px;top:0;background:red;width:20px;height:20px'>3</span></div>""",
        ".count",
        (0, 0, 0, 0),
        ("div.bell > span.count", None, None, "3"),
    ),
    "a pseudo element outside of its element": (
        """<style>.tip { position: relative } .tip::after { content: ""; position: absolute; left: 100%; top: 0; width: 20px; height: 20px; background: red }</style>
        <p style="margin: 50px"><b class=tip>Tip</b>""",
        ".tip",
        (25, 0, -10, 0),
        ("p > b.tip", None, None, "Tip"),
    ),
    "text that does not fit": (
        "<div class=name style='width:60px;white-space:nowrap'>A long text that does not fit at all</div><p>x",
        ".name",
        (70, 0, 30, 0),
        ("div.name", None, None, "A long text that does not fit at all"),
    ),
    "a shadow": (
        "<main><div class=card style='margin:30px;width:90px;height:40px;box-shadow:0 0 12px black'>Text</div></main>",
        ".card",
        (-10, 40, 20, -30),
        ("main > div.card", None, None, "Text"),
    ),
    "below the viewport": (
        "<div style='height:3000px'></div><footer><small class=legal>Imprint</small></footer>",
        ".legal",
        (0, 0, 0, 0),
        ("footer > small.legal", None, None, "Imprint"),
    ),
    "in a modal dialog, above the page": (
        MODAL,
        "dialog button",
        (0, 0, 0, 0),
        ("dialog > button", "button", "Yes", "Yes"),
    ),
    "behind a layer that paints nothing": (
        "<main><p class=intro>Hello</p></main><div style='position:fixed;inset:0'></div>",
        ".intro",
        (0, 0, -500, 0),
        ("main > p.intro", "paragraph", None, "Hello"),
    ),
    "in front of what is positioned lower": (
        """<div class=back style='position:absolute;z-index:1;inset:0;background:silver'>Back</div>
        <div class=front style='position:absolute;z-index:2;left:20px;top:40px;background:gold'>Front</div>
        <div class=last style='position:absolute;inset:0;background:green'>Last</div>""",
        ".front",
        (0, 0, 0, 0),
        ("div.front", None, None, "Front"),
    ),
    "hidden elements paint nothing": (
        """<p class=intro>Hello</p><div style='position:absolute;inset:0;background:red;opacity:0'>a</div>
        <div style='position:absolute;inset:0;background:red;visibility:hidden'>b</div>""",
        ".intro",
        (0, 0, -500, 0),
        ("p.intro", "paragraph", None, "Hello"),
    ),
    "below what a scroller cuts off": (
        """<div class=list style='overflow:hidden;height:40px'><div class=tall style='height:400px;background:gold'>x</div></div>
        <p class=below>Below</p>""",
        ".below",
        (0, 0, -500, 0),
        ("p.below", "paragraph", None, "Below"),
    ),
    "a border that changed, not what it holds": (
        "<div class=frame style='border:2px solid;width:100px'><div class=inner style='background:gold'>Text</div></div>",
        ".frame",
        (0, 0, 0, 0),
        ("div.frame", None, None, "Text"),
    ),
    "an element that shrank": (
        "<main><div><button>OK</button></div></main>",
        "button",
        (0, 0, 12, 0),
        ("main button", "button", "OK", "OK"),
    ),
    "a text that became shorter": (
        "<header><h1 class=title><span>Now</span></h1></header>",
        "h1",
        (0, 0, -300, 0),
        ("header > h1.title", "heading", "Now", "Now"),
    ),
    "a text that became shorter, beside others": (
        "<nav><a href=/ class=brand>Shop</a> <a href=/new class=badge>Old</a></nav>",
        ".badge",
        (1, 3, 60, -4),
        ("nav > a.badge", "link", "Old", "Old"),
    ),
    "a word and the text after it: the paragraph": (
        "<main><p>You pay <b class=sum>24.00</b> in all",
        "b",
        (0, 2, 40, -4),
        ("main > p", "paragraph", None, "You pay 24.00 in all"),
    ),
    "two links: what holds both": (
        "<nav><a href=/ class=brand>Shop</a> <a href=/new class=badge>Old</a></nav>",
        ".brand",
        (0, 2, 40, -4),
        ("nav", "navigation", None, "Shop Old"),
    ),
    "a link over two lines": (
        "<p style='width:120px'>Some words before <a href=#>a link that wraps over lines</a> and after it",
        "a",
        (0, 0, 0, 0),
        ("p > a", "link", "a link that wraps over lines", "a link that wraps over lines"),
    ),
    "a bar of a drawing": (
        CHART,
        ".bar >> nth=1",
        (2, 4, -4, -8),
        ("g.bars > rect.bar:nth-of-type(2)", None, None, None),
    ),
    "a line of a drawing": (CHART, ".line", (0, 0, 0, 0), ("svg.chart > path.line", None, None, None)),
    "a text of a drawing": (CHART, "text", (0, 0, 0, 0), ("svg.chart > text", None, None, "2026")),
    "a whole drawing": (CHART, ".chart", (0, 0, 0, 0), ("svg.chart", "img", "Sales", "2026")),
    "a canvas": (
        "<figure><canvas aria-label='Sales of the year' width=200 height=100></canvas></figure>",
        "canvas",
        (20, 20, -50, -50),
        ("figure > canvas", None, "Sales of the year", None),
    ),
    "in a shadow tree": (
        SHADOW,
        "#one .price",
        (0, 0, -500, 0),
        ("#one >>> p.price", "paragraph", None, "12.00"),
    ),
    "in a shadow tree without an id": (
        SHADOW,
        "my-card >> nth=1 >> .price",
        (0, 0, -500, 0),
        ("my-card:nth-of-type(2) >>> p.price", "paragraph", None, "12.00"),
    ),
    "in the slot of a heading": (
        SHADOW,
        "#one b",
        (0, 0, 0, 0),
        ("#one >>> h2", "heading", "Blue shoe", "Blue shoe"),
    ),
    "the page itself": ("<p>Hello", "body", (0, 0, 0, 400), ("body", None, None, "Hello")),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_element_under_a_box_is_named(page, case):
    body, selector, by, expected = case
    shown(page, body)

    found = under(page, box_of(page, selector, by=by))

    assert words(found) == expected
    if ">>>" not in found["path"]:
        assert page.locator(f"css={found['path']}").count() == 1


def test_element_in_a_frame_is_named(page):
    shown(page, f'<h1>Shop</h1><iframe id=pay width=200 height=120 srcdoc="{FRAME}"></iframe>')
    page.frame_locator("#pay").locator("button").wait_for()
    left, top, *_ = box_of(page, "#pay")

    found = under(page, [left + 2 + 10 + 5, top + 2 + 40 + 5, 30, 8])

    assert words(found) == ("#pay >>> p > button", "button", "Pay now", "Pay now")


def test_frame_of_another_origin_is_named_itself(page):
    shown(page, "<main><iframe class=pay title='Payment' sandbox srcdoc='<button>Pay now</button>'></iframe></main>")

    found = under(page, box_of(page, "iframe", by=(20, 20, -200, -100)))

    assert words(found) == ("main > iframe.pay", None, "Payment", None)


def test_scrolled_page_has_the_same_elements(page):
    items = "".join(f"<li {TEXT_ITEM}>Item {number}</li>" for number in range(100))
    shown(page, f"<ul class=items>{items}</ul>")
    box = box_of(page, "li >> nth=2", by=(2, 2, -500, -4))
    before = under(page, box)

    page.evaluate("scrollTo(0, 1500)")

    assert under(page, box) == before
    assert before["text"] == "Item 2"


def test_box_outside_of_the_page_has_no_element(page):
    shown(page, "<p>Hello")

    assert under(page, [5000, 5000, 10, 10]) is None


def test_long_texts_are_cut_at_a_word(page):
    shown(page, f"<main><h2>{'several words ' * 20}</h2></main>")

    found = under(page, box_of(page, "h2"))

    assert found["text"] == "several words several words several words several words…"
    assert len(found["name"]) <= 81


def test_every_element_of_a_large_page_has_a_path_of_its_own(page):
    cards = "".join(
        f"<div class=card><h3>Shoe {number}</h3><p>Some <b>words</b></p><span>12</span></div>" for number in range(30)
    )
    shown(page, f"<main><section>{cards}</section><section>{cards}</section></main>")
    boxes = page.locator("span").evaluate_all(
        "(all) => all.map((e) => { const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })"
    )

    found = page.evaluate(script.script("elements"), ["elements", boxes])

    paths = [element["path"] for element in found]
    assert len(set(paths)) == 60
    assert [page.locator(f"css={path}").count() for path in paths] == [1] * 60


def test_page_is_left_as_it_was(page):
    shown(page, "<main><p>Hello</p></main><div style='height:3000px'></div>")
    page.evaluate("scrollTo(0, 700)")
    before = page.evaluate("[document.documentElement.outerHTML, scrollY]")

    under(page, [8, 8, 200, 30])

    assert page.evaluate("[document.documentElement.outerHTML, scrollY]") == before


SHOP = """
<style>
  * { font-family: "DejaVu Sans", sans-serif; box-sizing: border-box }
  body { margin: 0 } nav, main, footer { padding: 12px 20px } nav { background: #235; display: flex; gap: 20px }
  nav a { color: white } .badge { background: #c33; border-radius: 8px; padding: 2px 8px }
  .cards { display: flex; gap: 16px } .card { border: 1px solid #ccc; padding: 12px; width: 180px; position: relative }
  .sale { position: absolute; top: -8px; right: -8px; background: gold; padding: 2px 6px }
  button { padding: 6px 12px; border: 1px solid #888; background: #eee } th, td { padding: 4px 12px; text-align: left }
</style>
<nav><a href=/ class=logo>Shop</a><a href=/new class=badge>New</a><a href=/help>Help</a></nav>
<main>
  <h1>Shoes of the year</h1>
  <div class=cards>
    <article class=card aria-label="Blue shoe"><h2>Blue shoe</h2><p class=price>12.00</p><button>Buy</button><span class=sale>-20 %</span></article>
    <article class=card aria-label="Red shoe"><h2>Red shoe</h2><p class=price>14.00</p><button>Buy</button></article>
  </div>
  <form><label>Search <input placeholder="Name or size"></label> <label><input type=checkbox> In stock</label></form>
  <table><tr><th>Size</th><th>Left</th></tr><tr><td>42</td><td>7</td></tr><tr><td>43</td><td>5</td></tr></table>
</main>
<footer><svg width=24 height=24 role=img aria-label="Warning"><circle cx=12 cy=12 r=10 fill=green /></svg> <small>Imprint</small></footer>
"""

# What is done to the page, and the path, role and name of the element under the largest region.
CHANGES = {
    "a colour": ("nav .badge", "e.style.background = '#36c'", ("nav > a.badge", "link", "New")),
    "a text": ("h1", "e.textContent = 'Shoes of all years'", ("main > h1", "heading", "Shoes of all years")),
    "a price": (
        ".price >> nth=1",
        "e.textContent = '19.00'",
        ("article.card:nth-of-type(2) > p.price", "paragraph", None),
    ),
    "a border": (
        "button >> nth=0",
        "e.style.borderColor = 'red'",
        ("article.card:nth-of-type(1) > button", "button", "Buy"),
    ),
    "an element that hides": (".sale", "e.style.visibility = 'hidden'", ("article.card > span.sale", None, None)),
    "an element that fades": ("nav .badge", "e.style.opacity = 0", ("nav > a.badge", "link", "New")),
    "a tick": ("input >> nth=1", "e.checked = true", ("label:nth-of-type(2) > input", "checkbox", "In stock")),
    "a value": ("input >> nth=0", "e.value = 'blue 42'", ("label:nth-of-type(1) > input", "textbox", "Search")),
    "a cell": ("td >> nth=3", "e.textContent = '0'", ("tr:nth-of-type(3) > td:nth-of-type(2)", "cell", "0")),
    "a drawing": ("circle", "e.setAttribute('fill', 'red')", ("svg > circle", None, None)),
    "another place": ("small", "e.style.position = 'relative'; e.style.left = '6px'", ("footer > small", None, None)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_changed_element_is_named(page, change):
    selector, code, expected = change
    before = shown(page, SHOP).screenshot()
    page.locator(selector).evaluate(f"(e) => {{ {code} }}")
    shot = Shot(page.screenshot())

    found = compare(before, shot.picture)

    boxes = script.in_document([region.box for region in found.regions], shot)
    elements = script.elements_from(page.evaluate(script.script("elements"), ["elements", boxes]))
    assert (elements[0].path, elements[0].role, elements[0].name) == expected
    assert {element.path for element in elements} == {expected[0]}


def test_pixels_of_a_capture_are_points_of_the_document():
    shot = Shot(b"", origin=(100.0, 2000.0), scale=2.0)

    assert script.in_document([Box(20, 40, 60, 80)], shot) == [[110.0, 2020.0, 30.0, 40.0]]


PROJECT_CONFTEST = f"""
import pytest


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    return {{**browser_type_launch_args, "executable_path": {EXECUTABLE!r}, "args": {list(ARGUMENTS)!r}}}
"""
PROJECT = f"""
import os

SHOP = {SHOP!r}


def test_cart(page, assert_images_similar):
    page.set_content("<title>Your cart</title>" + SHOP)
    if "CHANGED" in os.environ:
        page.evaluate("document.querySelectorAll('.price')[1].textContent = '19.00'")
    assert_images_similar(page)
"""


def test_failure_under_pytest_playwright_names_element_page_and_trace(pytester, monkeypatch):
    pytester.makeini("[pytest]\n")
    pytester.makeconftest(PROJECT_CONFTEST)
    pytester.makepyfile(test_shop=PROJECT)
    plugins = ["-p", "pytest_imgdiff.plugin", "-p", "pytest_playwright.pytest_playwright"]
    written = pytester.runpytest_subprocess(*plugins, "--imgdiff-update=missing", "--tracing=retain-on-failure")
    assert written.ret == 0
    assert not list(pytester.path.glob("test-results/*/*"))

    monkeypatch.setenv("CHANGED", "1")
    failed = pytester.runpytest_subprocess(*plugins, "--tracing=retain-on-failure")

    trace = "test-results/test-shop-py-test-cart-chromium/trace.zip"
    failed.stdout.fnmatch_lines(
        [
            "  region 1:   `article.card:nth-of-type(2) > p.price` '19.00' (paragraph), * (text changed)",
            "  page:       about:blank 'Your cart'",
            "  captured:   Playwright page, 2 captures, chromium *, viewport 1280x720, device scale 1, light",
            f"  trace:      {trace}",
        ]
    )
    assert (pytester.path / trace).is_file()
    (record,) = read_results(pytester.path / "imgdiff-report" / "results.json").comparisons
    assert record.capture.attachments == {"trace": trace}
    assert record.regions[0].element == Element("article.card:nth-of-type(2) > p.price", role="paragraph", text="19.00")
    assert f"../{trace}" in (pytester.path / "imgdiff-report" / "data" / "details-0.js").read_text(encoding="utf-8")
