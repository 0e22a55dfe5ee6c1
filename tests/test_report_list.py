"""The report's list as a reader meets it: in a real Chromium, from its folder and from a web server."""

from __future__ import annotations

import functools
import os
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_imgdiff.comparison.change_groups import GRIDS, Appearance, Patch
from pytest_imgdiff.report import write_report
from tests.report_records import (
    HOSTILE_NAMES,
    captured,
    different,
    equal,
    perceptual,
    region,
    run_of,
    ssim,
    uncompared,
    with_pictures,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from pytest_imgdiff.base.record import ComparisonRecord, RunRecord

    Open = Callable[..., Page]


expect = pytest.importorskip("playwright.sync_api", reason="the test extra brings playwright").expect

MANY = 10_000
SCROLLS_SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
FOCUSED_LINE = "Number(document.activeElement.closest('[data-line]')?.dataset.line ?? -1)"
COVERS_SCREEN = """() => {
  const boxes = [...document.querySelectorAll("#comparisons > *")].map((line) => line.getBoundingClientRect());
  const list = document.getElementById("comparisons").getBoundingClientRect();
  const from = Math.max(0, list.top), to = Math.min(innerHeight, list.bottom);
  for (let height = from + 1; height < to; height += 20)
    if (!boxes.some((box) => box.top - 12 <= height && height <= box.bottom + 12)) return false;
  return true;
}"""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class has
        pass


@pytest.fixture
def served() -> Iterator[Callable[[Path], str]]:
    """Serve a folder as an artifact store would, and return its address."""
    servers = []

    def serve(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/index.html"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def open_list(browser: Browser, tmp_path: Path, served: Callable[[Path], str]) -> Iterator[Open]:
    """Write a run's report and open it; in the end nothing may have gone wrong or outside."""
    complaints: list[str] = []
    contexts = []

    def opened(run: RunRecord | Path, fragment: str = "", *, http: bool = False, **settings: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        index = run if isinstance(run, Path) else write_report(tmp_path / "report", run)
        address = served(index.parent) if http else index.as_uri()
        home = address.rsplit("/", 1)[0]
        page.on("request", lambda sent: None if sent.url.startswith((home, "data:")) else complaints.append(sent.url))
        page.goto(address + fragment)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def covers_screen(page: Page) -> bool:
    """Whether lines are drawn all over the screen, once the browser has drawn what it scrolled to."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")
    return page.evaluate(COVERS_SCREEN)


def appearance(area: int) -> str:
    planes = tuple(bytes([9]) * (size * size) for size in GRIDS)
    return str(Appearance((Patch(240, 64, "c", area, (80, 0, 0, 0, 80), planes),), 0, 0))


def shop() -> list[ComparisonRecord]:
    basket = [perceptual(0.2, 9000), ssim(0.7)]
    warned = [perceptual(0.001, 40, warned=True, warn=0.0, passed=True)]
    return [
        different("shop/basket/full", scores=basket, test="tests/test_shop.py::test_basket"),
        different("shop/basket/empty", scores=[perceptual(0.02), ssim()], test="tests/test_shop.py::test_empty"),
        different("blog/post 10", scores=[perceptual(0.03), ssim(0.5)], test="tests/test_blog.py::test_post"),
        different("blog/post 9", scores=[perceptual(0.006, 12), ssim()], test="tests/test_blog.py::test_post"),
        uncompared("missing", "blog/new", test="tests/test_blog.py::test_new"),
        different("blog/warned", verdict="match", passed=True, scores=warned, test="tests/test_blog.py::test_warned"),
        equal("blog/same"),
        equal("start"),
    ]


def same_changes(count: int = 40) -> list[ComparisonRecord]:
    header = appearance(1200)
    return [different(f"pages/{number}", fingerprint=header) for number in range(count)]


def names(page: Page) -> list[str]:
    return page.locator("#comparisons .name").all_inner_texts()


def headings(page: Page) -> list[str]:
    return page.locator("#comparisons .group .title").all_inner_texts()


def facet(page: Page, title: str, value: str) -> None:
    page.get_by_role("group", name=title).get_by_role("button", name=value).click()


def fragment(page: Page) -> str:
    return page.evaluate("decodeURIComponent(location.hash)")


# What stands in the list


@pytest.mark.parametrize("http", [False, True], ids=["file", "http"])
def test_failures_come_first_and_what_passed_is_out_of_the_way(open_list, http):
    page = open_list(run_of(*shop()), http=http)

    assert page.get_by_role("heading", level=1).inner_text() == "5 of 8 comparisons failed"
    assert names(page) == [
        "blog/post 10",
        "shop/basket/full",
        "shop/basket/empty",
        "blog/post 9",
        "blog/new",
        "blog/warned",
    ]
    assert page.locator("#shown").inner_text() == "6 of 8"
    page.keyboard.press("f")
    assert names(page)[-2:] == ["blog/same", "start"]
    assert fragment(page) == "#outcome=all"
    page.keyboard.press("f")
    assert len(names(page)) == 6
    page.get_by_role("button", name="Show all").click()
    assert page.locator("#shown").inner_text() == "all 8"
    page.get_by_role("button", name="Clear filters").click()
    assert len(names(page)) == 6


def test_everything_is_shown_where_nothing_asks_for_attention(open_list):
    page = open_list(run_of(equal("one"), equal("two")))

    assert names(page) == ["one", "two"]
    assert page.locator("#shown").inner_text() == "all 2"
    assert not page.get_by_role("navigation", name="Filters").is_visible()  # there is nothing to choose between


def test_line_says_name_verdict_words_size_of_the_change_and_regions(open_list, tmp_path):
    record = with_pictures(tmp_path / "report", different("charts/bar"))
    page = open_list(run_of(record))
    line = page.locator("#comparisons .row")

    assert line.locator(".name").inner_text() == "charts/bar"
    words = "fails perceptual: 1 284 px, 0.8 % > 0.5 %; passes ssim 0.993 >= 0.99; 3 regions, largest 240x64 at 16,80"
    assert line.locator(".line").inner_text() == words
    assert line.locator(".measure").inner_text().split("\n") == ["0.8\u00a0%", "3 regions"]
    assert line.locator(".badge").inner_text() == "different"
    line.locator("img").evaluate("image => image.decode()")
    assert line.locator("img").evaluate("image => [image.loading, image.width, image.height]") == ["lazy", 104, 64]


def test_run_without_comparisons_says_that_it_has_not_passed(open_list):
    page = open_list(run_of())

    page.get_by_text("a run without comparisons has not passed").wait_for()


def test_report_without_its_data_says_so(open_list, tmp_path):
    index = write_report(tmp_path / "report", run_of(different()))
    (tmp_path / "report" / "data" / "run.js").write_text("", encoding="utf-8")
    page = open_list(index)

    assert (
        "data/run.js cannot be read: keep all files of the report in one folder." in page.locator("#list").inner_text()
    )
    page.get_by_role("link", name="The same results without scripts").wait_for()


def test_without_scripts_the_page_leads_to_the_plain_one(open_list):
    page = open_list(run_of(different()), java_script_enabled=False)

    page.get_by_role("link", name="The same results without scripts").click()
    assert page.url.endswith("/plain.html")


# Filters and search


@pytest.mark.parametrize(
    ("title", "value", "address", "expected"),
    [
        ("Verdict", "missing", "#verdict=missing", ["blog/new"]),
        ("Failing metric", "ssim", "#metric=ssim", ["blog/post 10", "shop/basket/full"]),
        ("Size of change", "over 10 %", "#size=large", ["shop/basket/full"]),
        (
            "Outcome",
            "warned",
            "#outcome=failed",
            ["blog/post 10", "shop/basket/full", "shop/basket/empty", "blog/post 9", "blog/new"],
        ),
    ],
)
def test_filter_is_in_the_address_and_back_from_it(open_list, title, value, address, expected):
    page = open_list(run_of(*shop()))

    facet(page, title, value)
    assert names(page) == expected
    assert fragment(page) == address
    page.reload()
    assert names(page) == expected
    page.get_by_role("button", name="Clear filters").click()
    assert len(names(page)) == 6
    assert fragment(page) == ""


def test_folder_with_a_comma_in_its_name_is_filtered_and_linked(open_list):
    page = open_list(run_of(different("a,b%/c/one"), different("a,b%/two"), different("a/three")))

    page.get_by_label("Folder", exact=True).select_option("a,b%")
    assert names(page) == ["a,b%/c/one", "a,b%/two"]
    page.reload()
    assert names(page) == ["a,b%/c/one", "a,b%/two"]
    assert page.get_by_label("Folder", exact=True).input_value() == "a,b%"


def test_counts_of_a_filter_are_what_it_would_show(open_list):
    page = open_list(run_of(*shop()), "#metric=ssim")

    outcome = page.get_by_role("group", name="Outcome").get_by_role("button").all_inner_texts()
    assert [" ".join(text.split()) for text in outcome] == ["failed 2", "warned 0", "passed 0", "all 2"]
    metric = page.get_by_role("group", name="Failing metric").get_by_role("button").all_inner_texts()
    assert [" ".join(text.split()) for text in metric] == ["perceptual 4", "ssim 2"]


def test_search_finds_names_and_tests_and_is_in_the_address(open_list):
    page = open_list(run_of(*shop()))

    page.keyboard.press("/")
    page.keyboard.type("BLOG post")
    assert names(page) == ["blog/post 10", "blog/post 9"]
    assert fragment(page) == "#search=BLOG+post"
    page.keyboard.press("Enter")
    assert page.evaluate(FOCUSED_LINE) == 0
    page.reload()
    assert names(page) == ["blog/post 10", "blog/post 9"]
    assert page.get_by_label("Search names and tests").input_value() == "BLOG post"
    page.keyboard.press("Escape")
    assert len(names(page)) == 6


def test_search_finds_elements_of_pages(open_list):
    page = open_list(run_of(*shop(), captured("shop/cart")))

    for words in ("a.badge", "link new", "p.price 12.00"):
        page.get_by_label("Search names and tests").fill(words)
        page.wait_for_function("(words) => imgdiff.state.get('search') === words", arg=words)
        assert names(page) == ["shop/cart"]
    assert "`nav > a.badge` 'New' (link), 34x18 at 310,12" in page.locator("[role=treegrid], main").first.inner_text()


def test_search_that_finds_nothing_says_so_and_can_be_cleared(open_list):
    page = open_list(run_of(*shop()), "#search=nowhere&verdict=broken")

    assert page.get_by_text("No comparison matches the search and the filters.").is_visible()
    page.get_by_role("button", name="Clear the filters").click()
    assert len(names(page)) == 6


def test_address_changed_by_hand_is_followed(open_list):
    page = open_list(run_of(*shop()))

    page.evaluate("location.hash = '#verdict=missing&group=folder'")
    expect(page.locator("#comparisons .row")).to_have_count(1)
    assert headings(page) == ["blog"]
    assert page.get_by_label("Group by").input_value() == "folder"
    page.go_back()
    expect(page.locator("#comparisons .row")).to_have_count(6)


# Groups and order


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("verdict", ["Images differ", "No expected image", "Images match"]),
        ("folder", ["blog", "shop/basket"]),
        ("test", ["tests/test_blog.py", "tests/test_shop.py"]),
        ("none", []),
    ],
)
def test_list_is_grouped(open_list, group, expected):
    page = open_list(run_of(*shop()))

    page.get_by_label("Group by").select_option(group)
    assert headings(page) == expected
    assert len(names(page)) == 6
    page.reload()
    assert headings(page) == expected


def test_same_change_on_many_pages_is_one_line_until_it_is_unfolded(open_list):
    page = open_list(run_of(*same_changes(), different("alone", fingerprint=appearance(90))))

    assert headings(page) == ["Same change in 40 comparisons", "Images differ"]
    assert names(page) == ["pages/0", "alone"]
    assert page.evaluate("imgdiff.list.shown().length") == 41
    assert page.evaluate("imgdiff.list.steps().length") == 2
    page.get_by_text("show the other 39").click()
    assert page.evaluate("imgdiff.list.steps().length") == 41
    assert page.locator("#comparisons .group").first.get_attribute("aria-expanded") == "true"
    page.reload()
    assert page.evaluate("imgdiff.list.steps().length") == 41


def test_few_pages_with_the_same_change_are_all_shown(open_list):
    page = open_list(run_of(*same_changes(3), different("alone", fingerprint=appearance(90))))

    assert headings(page) == ["Same change in 3 comparisons", "Images differ"]
    assert names(page) == ["pages/0", "pages/1", "pages/2", "alone"]


def test_line_leads_to_all_with_the_same_change(open_list):
    page = open_list(run_of(*same_changes(3), different("alone")), "#group=none")

    page.get_by_role("button", name="3 similar").first.click()
    assert names(page) == ["pages/0", "pages/1", "pages/2"]
    page.get_by_role("button", name="one change only").click()
    assert len(names(page)) == 4


def kinds() -> list[ComparisonRecord]:
    moved = region(300, 40, 30, 20, area=90, kind="moved", moved=(14, -6))
    changed = region(kind="text")
    return [
        different("pages/text", regions=[changed], region_count=1),
        different("pages/both", regions=[changed, moved], region_count=2),
        different("pages/moved", regions=[moved], region_count=1),
        different("pages/unknown", regions=[], region_count=0),
    ]


def test_comparisons_are_filtered_and_grouped_by_kind(open_list):
    page = open_list(run_of(*kinds()))

    buttons = page.get_by_role("group", name="Kind of change").get_by_role("button").all_inner_texts()
    assert [" ".join(text.split()) for text in buttons] == ["moved 2", "text changed 2"]
    facet(page, "Kind of change", "moved")
    assert names(page) == ["pages/both", "pages/moved"]
    assert fragment(page) == "#kind=moved"
    page.reload()
    assert names(page) == ["pages/both", "pages/moved"]
    page.get_by_role("button", name="Clear filters").click()

    page.get_by_label("Group by").select_option("kind of change")
    assert fragment(page) == "#group=kind"
    assert headings(page) == ["Text changed", "Moved", "Images differ"]
    assert names(page) == ["pages/text", "pages/both", "pages/moved", "pages/unknown"]


def test_kinds_are_reached_by_keyboard(open_list):
    page = open_list(run_of(*kinds()))

    page.get_by_role("group", name="Kind of change").get_by_role("button").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert fragment(page) == "#kind=text"
    assert names(page) == ["pages/text", "pages/both"]


def test_folded_groups_are_in_the_address(open_list):
    page = open_list(run_of(*shop()), "#group=folder")

    page.locator(".group", has_text="shop/basket").click()
    assert names(page) == ["blog/post 10", "blog/post 9", "blog/new", "blog/warned"]
    page.reload()
    assert names(page) == ["blog/post 10", "blog/post 9", "blog/new", "blog/warned"]
    page.keyboard.press("e")
    assert len(names(page)) == 6
    page.keyboard.press("e")
    assert names(page) == []
    assert headings(page) == ["blog", "shop/basket"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["blog/new", "blog/post 9", "blog/post 10", "blog/warned", "shop/basket/empty", "shop/basket/full"]),
        ("size", ["shop/basket/full", "blog/post 10", "shop/basket/empty", "blog/post 9", "blog/warned", "blog/new"]),
    ],
)
def test_list_is_sorted(open_list, sort, expected):
    page = open_list(run_of(*shop()), "#group=none")

    page.get_by_label("Sort by").select_option(sort)
    assert names(page) == expected
    assert fragment(page) == f"#group=none&sort={sort}"


# Keyboard


def test_keys_move_one_focus_through_the_lines(open_list):
    page = open_list(run_of(*shop()), "#group=folder")

    for key, line in [
        ("j", 0),
        ("j", 1),
        ("ArrowDown", 2),
        ("k", 1),
        ("End", 7),
        ("j", 7),
        ("Home", 0),
        ("PageDown", 7),
    ]:
        page.keyboard.press(key)
        assert (key, page.evaluate(FOCUSED_LINE)) == (key, line)
    assert page.locator("#comparisons > [tabindex='0']").count() == 1
    page.keyboard.press("ArrowLeft")  # to the heading
    page.keyboard.press("ArrowLeft")  # which folds
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"


def test_cursor_stays_on_its_comparison_when_the_lines_change(open_list):
    page = open_list(run_of(*shop()), "#group=none")

    page.locator(".row", has_text="blog/post 9").focus()
    page.keyboard.press("s")
    page.keyboard.press("s")
    page.keyboard.press("g")
    assert page.evaluate("document.activeElement.querySelector('.name').textContent") == "blog/post 9"
    assert page.evaluate("imgdiff.list.current().map(index => imgdiff.run.rows[index].name)") == ["blog/post 9"]


def test_help_sheet_tells_every_key_and_gives_the_focus_back(open_list):
    page = open_list(run_of(*shop()))

    page.keyboard.press("j")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    sheet.wait_for()
    assert sheet.locator("dd").count() == page.evaluate("imgdiff.keys.all().length")
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    sheet.wait_for(state="hidden")
    assert page.evaluate(FOCUSED_LINE) == 0


def test_no_key_is_bound_twice(open_list):
    page = open_list(run_of(*shop()))

    bound = page.evaluate("imgdiff.keys.all().flatMap(({ keys, scope }) => keys.map((key) => [key, scope]))")
    for key in {key for key, _ in bound}:
        scopes = [scope for other, scope in bound if other == key]
        assert len(scopes) == len(set(scopes)), f"{key} is bound twice"
        assert "everywhere" not in scopes or len(scopes) == 1, f"{key} is bound everywhere and for one place too"


def test_keys_leave_text_fields_and_shortcuts_of_the_browser_alone(open_list):
    page = open_list(run_of(*shop()))

    page.get_by_label("Search names and tests").fill("")
    page.keyboard.type("jfgs")
    assert page.get_by_label("Search names and tests").input_value() == "jfgs"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+f")
    assert fragment(page) == ""


# Opening


def test_opened_comparison_has_an_address_and_back_closes_it(open_list):
    page = open_list(run_of(*shop()), "#group=none")

    page.locator(".row", has_text="blog/post 10").click()
    anchor = page.evaluate("imgdiff.run.rows.find((row) => row.name === 'blog/post 10').anchor")
    assert fragment(page) == f"#group=none&open={anchor}"
    page.locator("#viewer").wait_for()
    page.go_back()
    page.wait_for_selector("#viewer", state="hidden")
    assert fragment(page) == "#group=none"
    assert page.evaluate("document.activeElement.querySelector('.name')?.textContent") == "blog/post 10"
    page.keyboard.press("Enter")
    page.locator("#viewer").wait_for()


def test_link_to_a_comparison_opens_it_though_the_filters_leave_it_out(open_list):
    page = open_list(run_of(*shop()))

    anchor = page.evaluate("imgdiff.run.rows.find((row) => row.name === 'blog/same').anchor")
    page.goto("about:blank")
    page.go_back()
    page.evaluate("(anchor) => { location.hash = '#' + anchor; }", anchor)
    page.wait_for_selector("#viewer", state="visible")
    assert page.evaluate("imgdiff.run.rows[imgdiff.viewer.current()].name") == "blog/same"


def test_decision_is_marked_on_the_line(open_list):
    page = open_list(run_of(*shop()), "#group=none")

    page.evaluate("imgdiff.decide.set([0], { decision: 'reject', comment: 'who has drawn <b>this</b>?' })")
    line = page.locator("#comparisons .row").first
    assert line.locator(".mark .word").all_inner_texts() == ["rejected", "commented"]
    assert line.locator(".mark.is-comment").get_attribute("title") == "who has drawn <b>this</b>?"
    page.reload()
    assert line.locator(".mark .word").all_inner_texts() == ["rejected", "commented"]


def test_nothing_is_chosen_before_the_focus_is_in_the_list(open_list):
    page = open_list(run_of(*same_changes()))

    assert page.evaluate("imgdiff.list.current()") == []
    page.keyboard.press("a")
    assert page.evaluate("imgdiff.decide.of(0).decision") == "none"
    page.keyboard.press("j")
    assert len(page.evaluate("imgdiff.list.current()")) == 40
    page.keyboard.press("j")
    assert page.evaluate("imgdiff.list.current()") == [0]


# Ten thousand


@pytest.fixture(scope="module")
def large_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = [
        different(f"folder {number % 50}/page {number}")
        if number % 7 == 0
        else equal(f"folder {number % 50}/page {number}")
        for number in range(MANY)
    ]
    return write_report(tmp_path_factory.mktemp("large"), run_of(*records))


def test_ten_thousand_comparisons_keep_the_document_small(open_list, large_report):
    page = open_list(large_report, "#outcome=all&group=none&sort=name")

    assert page.locator("#shown").inner_text() == "all 10\u00a0000"
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height > MANY * 70
    for share in (0, 0.1, 0.5, 0.77, 1):
        page.evaluate("top => scrollTo(0, top)", height * share)
        assert covers_screen(page)
        assert page.locator("#comparisons > *").count() < 50
    assert names(page)[-1] == "folder 49/page 9999"
    assert page.locator("#comparisons > *").last.get_attribute("aria-rowindex") == "10000"
    assert page.locator("#comparisons").get_attribute("aria-rowcount") == "10000"


def test_focused_line_is_kept_however_far_one_scrolls(open_list, large_report):
    page = open_list(large_report, "#outcome=all&group=none")

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.evaluate("scrollTo(0, 400000)")
    assert covers_screen(page)
    assert page.evaluate(FOCUSED_LINE) == 1
    page.keyboard.press("j")
    assert page.evaluate("scrollY") < 1000
    page.keyboard.press("End")
    assert covers_screen(page)
    assert page.evaluate(FOCUSED_LINE) == MANY - 1


def test_details_are_loaded_shard_by_shard_when_they_are_asked_for(open_list, large_report):
    page = open_list(large_report)
    asked = []
    page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[-1]))

    assert page.evaluate("imgdiff.loader.details(250).then((detail) => detail.rules.length)") == 2
    page.evaluate("Promise.all([imgdiff.loader.details(201), imgdiff.loader.details(299)])")
    page.evaluate("imgdiff.loader.details(300)")
    assert asked == ["details-2.js", "details-3.js"]


def test_missing_shard_is_told_by_its_name_and_asked_for_again(browser, tmp_path):
    index = write_report(tmp_path, run_of(different()))
    shard = tmp_path / "data" / "details-0.js"
    kept = shard.read_bytes()
    shard.unlink()
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(index.as_uri())
        told = page.evaluate("imgdiff.loader.details(0).catch((error) => error.message)")
        shard.write_bytes(kept)
        found = page.evaluate("imgdiff.loader.details(0).then((detail) => detail.regionCount)")

    assert told == "data/details-0.js cannot be read: keep all files of the report in one folder."
    assert found == 3


def test_groups_of_ten_thousand_are_folded_and_unfolded(open_list, large_report):
    page = open_list(large_report, "#outcome=all&group=folder&folded=all")

    assert page.locator("#comparisons").get_attribute("aria-rowcount") == "50"
    page.keyboard.press("e")
    assert page.locator("#comparisons").get_attribute("aria-rowcount") == "10050"


# Merged runs


def three_browsers() -> RunRecord:
    columns = ["chromium", "firefox", "webkit, macOS"]
    records = [
        different("page", column=columns[0]),
        equal("page", column=columns[1]),
        different("page", column=columns[2], scores=[perceptual(0.5)]),
        different("other", column=columns[2]),
    ]
    return run_of(*records, columns=columns)


def test_merged_runs_have_a_line_for_a_name_and_a_cell_for_each_run(open_list):
    page = open_list(three_browsers(), "#group=none")

    assert names(page) == ["page", "other"]
    cells = page.locator(".row").first.locator(".run")
    assert [text.split("\n") for text in cells.all_inner_texts()] == [
        ["chromium", "different"],
        ["firefox", "match"],
        ["webkit, macOS", "different"],
    ]
    assert page.locator(".row").last.locator(".run").first.inner_text().split("\n") == ["chromium", "not compared"]
    facet(page, "Run", "webkit, macOS")
    page.reload()
    assert page.evaluate("imgdiff.list.shown().map((index) => imgdiff.run.rows[index].column)") == [2, 2]


def test_cell_of_a_run_is_reached_and_opened_by_keys(open_list):
    page = open_list(three_browsers(), "#group=none&outcome=all")

    for key in ("j", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    current = "imgdiff.list.current().map((index) => imgdiff.run.columns[imgdiff.run.rows[index].column])"
    assert page.evaluate(current) == ["firefox"]
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer", state="visible")
    assert page.evaluate("imgdiff.run.columns[imgdiff.run.rows[imgdiff.viewer.current()].column]") == "firefox"


# Whoever reads it, and on whatever


def test_hostile_names_are_shown_and_nothing_runs(open_list):
    records = [different(name, test=name) for name in HOSTILE_NAMES]
    page = open_list(run_of(*records, title=HOSTILE_NAMES[0]), "#group=folder")

    page.get_by_label("Group by").select_option("test")
    page.get_by_label("Group by").select_option("none")
    shown = names(page)
    assert HOSTILE_NAMES[0] in shown
    assert HOSTILE_NAMES[1] in shown
    assert "two\\x0alines\\x0d\\x0aand\\x09tab" in shown
    page.get_by_label("Search names and tests").fill("<img src=x")
    assert names(page) == [HOSTILE_NAMES[1]]
    page.reload()
    assert names(page) == [HOSTILE_NAMES[1]]
    assert page.evaluate("window.hacked") is None
    assert page.locator("#comparisons img[src='x'], #comparisons svg").count() == 0


@pytest.mark.parametrize(
    "hash_",
    ["#%E0%A4%A", "#open=<img src=x onerror=window.hacked=1>", "#group=constructor", "#fold=%25&sort=%", "#size=&&&=x"],
)
def test_address_that_no_page_wrote_breaks_nothing(open_list, hash_):
    page = open_list(run_of(*shop()), hash_)

    assert len(names(page)) == 6
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("width", [320, 400, 1024, 1440, 2560])
def test_nothing_scrolls_sideways(open_list, width):
    records = [*shop(), *[different(name) for name in HOSTILE_NAMES], *same_changes(3)]
    page = open_list(run_of(*records, title="long " * 40), viewport={"width": width, "height": 800})

    assert not page.evaluate(SCROLLS_SIDEWAYS)
    toggle = page.get_by_role("button", name="Filters", exact=True)
    if toggle.is_visible():
        toggle.click()
        page.get_by_role("group", name="Outcome").wait_for()
        assert not page.evaluate(SCROLLS_SIDEWAYS)
    page.get_by_label("Group by").select_option("folder")
    assert not page.evaluate(SCROLLS_SIDEWAYS)


def test_larger_letters_make_larger_lines(open_list):
    page = open_list(run_of(*shop()), "#group=none")

    page.evaluate("document.documentElement.style.fontSize = '200%'")
    page.set_viewport_size({"width": 1600, "height": 900})
    page.evaluate("dispatchEvent(new Event('resize'))")
    spills = "[...document.querySelectorAll('.row .words')].some((words) => words.scrollHeight > words.closest('.row').clientHeight)"
    assert not page.evaluate(spills)


def test_lines_have_their_places_for_screen_readers(open_list):
    page = open_list(run_of(*shop()), "#group=folder")

    grid = page.get_by_role("treegrid", name="Comparisons")
    assert grid.get_attribute("aria-rowcount") == "8"
    heading, line = grid.get_by_role("row").nth(0), grid.get_by_role("row").nth(2)
    keys = ["aria-level", "aria-posinset", "aria-setsize", "aria-rowindex", "aria-expanded"]
    assert [heading.get_attribute(key) for key in keys] == ["1", "1", "2", "1", "true"]
    assert [line.get_attribute(key) for key in keys] == ["2", "2", "4", "3", None]
    facet(page, "Verdict", "missing")
    expect(page.locator("#status")).to_have_text("1 of 8 shown")


def axe_script() -> str:
    """Return axe-core: from the file that IMGDIFF_AXE names, else from the package that brings it."""
    named = os.environ.get("IMGDIFF_AXE")
    if named:
        return Path(named).read_text(encoding="utf-8")
    pytest.importorskip(
        "axe_playwright_python", reason="axe-playwright-python brings axe-core (or name it in IMGDIFF_AXE)"
    )
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("hash_", "scheme", "width"),
    [
        ("", "light", 1440),
        ("", "dark", 400),
        ("#group=none&outcome=all", "dark", 1440),
        ("#group=folder&folded=all", "light", 400),
        ("#search=nowhere", "dark", 1024),
    ],
)
def test_axe_finds_no_violation(open_list, hash_, scheme, width):
    records = [*shop(), *same_changes(3)]
    run = run_of(*records, complete=False, unrecorded=["tests/test_a.py::test_late"], unused_baselines=["old.png"])
    page = open_list(run, hash_, color_scheme=scheme, viewport={"width": width, "height": 900})

    page.evaluate(axe_script())
    for key in ("j", "?"):
        page.keyboard.press(key)
        found = page.evaluate("axe.run({ preload: false })")["violations"]  # it would read the styles by XMLHttpRequest
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []


# Paper


def test_print_is_a_plain_table_of_what_is_shown(open_list):
    page = open_list(run_of(*shop()), "#verdict=different")

    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    table = page.locator("#printed")
    assert table.locator("caption").inner_text() == "4 comparisons of 8"
    assert table.locator("tbody th").all_inner_texts() == [
        "blog/post 10",
        "shop/basket/full",
        "shop/basket/empty",
        "blog/post 9",
    ]
    page.get_by_role("heading", level=1).wait_for()
    page.locator("#toolbar").wait_for(state="hidden")
    page.locator("#comparisons").wait_for(state="hidden")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert table.count() == 0


def test_print_of_very_many_says_where_the_rest_is(open_list, large_report):
    page = open_list(large_report, "#outcome=all")

    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#printed tbody tr").count() == 500
    assert page.locator("#printed tfoot").text_content() == "9\u00a0500 more are in plain.html."
