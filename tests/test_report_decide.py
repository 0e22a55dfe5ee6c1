"""Deciding on the page, in a real Chromium: from the first key to the baselines that a passing rerun finds."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec
import pytest
from playwright.sync_api import expect

from pytest_imgdiff.cli.parser import main
from pytest_imgdiff.comparison.change_groups import GRIDS, Appearance, Patch
from tests.decided_report import NEW, OLD, Project
from tests.report_records import HOSTILE_NAMES, png
from tests.test_accepting import SUITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Locator, Page


PLANES = tuple(bytes([9]) * (size * size) for size in GRIDS)
HEADER = str(Appearance((Patch(240, 64, "c", 1200, (80, 0, 0, 0, 80), PLANES),), 0, 0))
OTHER = png(8, 8, (0, 200, 0))
DECIDED = """() => Object.fromEntries(
    imgdiff.run.rows.map((row, index) => [row.name, imgdiff.decide.of(index)])
        .filter(([, {decision, comment}]) => decision !== "none" || comment)
        .map(([name, {decision, comment}]) => [name, comment ? `${decision}: ${comment}` : decision])
)"""
SCROLLS_SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser's profile: what it keeps is there until the test ends."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    complaints: list[str] = []

    def watch(page: Page) -> None:
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: complaints.append(request.url) if not is_local(request.url) else None)

    context.on("page", watch)
    yield context
    context.close()
    assert complaints == []


@pytest.fixture
def open_page(context: BrowserContext) -> Callable[[Path], Page]:
    def opened(path: Path, state: str = "") -> Page:
        page = context.new_page()
        page.goto(path.as_uri() + state)
        return page

    return opened


@pytest.fixture
def shop(project, open_page):
    """A page of four failures, of which one has nothing to accept, and one comparison that passed."""
    for name in ("shop/cart", "shop/login", "blog/post"):
        project.changed(name)
    project.record("blog/gone", verdict="unmatched", actual=None)
    project.record("blog/same", verdict="match", passed=True, equal="bytes")
    return open_page(project.page(), "#group=none&sort=name")


def is_local(address: str) -> bool:
    return address.startswith(("file:", "data:", "blob:"))


def decided(page: Page) -> dict[str, str]:
    found: dict[str, str] = page.evaluate(DECIDED)
    return found


def row(page: Page, name: str) -> Locator:
    return page.locator("#comparisons [role=row]").filter(has=page.get_by_text(name, exact=True))


def focus(page: Page, name: str) -> None:
    row(page, name).focus()


def told(page: Page) -> str:
    return page.locator("#decide-bar .message").inner_text()


def tally(page: Page) -> list[str]:
    return page.locator("#decide-bar .tally").all_inner_texts()


def exported(page: Page, to: Path) -> dict[str, Any]:
    """Export by the button; the dialog's command is that of the file, and names the report that is open."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export", exact=True).click()
    assert waiting.value.suggested_filename == to.name
    waiting.value.save_as(to)
    dialog = page.locator(".decide-dialog")
    command = shlex.split(dialog.locator("code").inner_text())
    assert command[:3] == ["pytest-imgdiff", "accept", "imgdiff-decisions.json"]
    if page.url.startswith("file:"):
        assert command[3:] == ["--report", str(Path(url2pathname(urlsplit(page.url).path)).parent)]
    else:
        assert command[3:] == []
    dialog.get_by_role("button", name="Close").click()
    manifest: dict[str, Any] = json.loads(to.read_text(encoding="utf-8"))
    return manifest


# ---- One


def test_keys_decide_on_the_line_that_has_the_focus(shop):
    for name, key in (("shop/cart", "a"), ("shop/login", "x"), ("blog/post", "a")):
        focus(shop, name)
        shop.keyboard.press(key)
    assert decided(shop) == {"blog/post": "accept", "shop/cart": "accept", "shop/login": "reject"}
    assert tally(shop) == ["2 accepted", "1 rejected", "1 to decide"]
    assert "accepted" in row(shop, "shop/cart").inner_text()
    assert "rejected" in row(shop, "shop/login").inner_text()
    expect(row(shop, "blog/post")).to_be_focused()
    shop.keyboard.press("u")
    assert "blog/post" not in decided(shop)
    assert told(shop) == "blog/post undecided"


def test_what_cannot_be_accepted_says_why_and_can_be_rejected(shop):
    focus(shop, "blog/gone")
    shop.keyboard.press("a")
    assert decided(shop) == {}
    assert told(shop) == "There is no actual image to accept."
    shop.keyboard.press("x")
    assert decided(shop) == {"blog/gone": "reject"}
    shop.keyboard.press("Enter")
    panel = shop.locator(".decide-panel")
    accept = panel.get_by_role("button", name="Accept")
    expect(accept).to_be_disabled()
    expect(accept).to_have_accessible_description("There is no actual image to accept.")
    expect(panel.get_by_role("button", name="Reject")).to_have_attribute("aria-pressed", "true")


def test_panel_of_the_open_comparison_decides_and_comments(shop):
    focus(shop, "shop/cart")
    shop.keyboard.press("Enter")
    panel = shop.locator(".decide-panel")
    panel.get_by_role("button", name="Accept").click()
    expect(panel.get_by_role("button", name="Accept")).to_have_attribute("aria-pressed", "true")
    panel.get_by_label("Comment").fill("looks right")
    shop.keyboard.press("Escape")  # no click outside of the field is needed
    assert decided(shop) == {"shop/cart": "accept: looks right"}
    shop.keyboard.press("Control+z")
    shop.keyboard.press("Control+z")
    assert decided(shop) == {}
    shop.keyboard.press("Control+Shift+Z")
    assert decided(shop) == {"shop/cart": "accept"}
    shop.keyboard.press("Control+y")
    assert decided(shop) == {"shop/cart": "accept: looks right"}


def test_keys_decide_on_the_open_comparison_and_its_panel_follows(shop):
    focus(shop, "shop/login")
    shop.keyboard.press("Enter")
    reject = shop.locator(".decide-panel").get_by_role("button", name="Reject")
    expect(reject).to_have_attribute("aria-pressed", "false")
    shop.keyboard.press("x")
    expect(reject).to_have_attribute("aria-pressed", "true")
    shop.keyboard.press("Control+z")
    expect(reject).to_have_attribute("aria-pressed", "false")
    shop.locator(".decide-panel").get_by_label("Comment").focus()
    shop.keyboard.type("a x u c")  # letters, not commands
    assert decided(shop) == {"shop/login": "none: a x u c"}


def test_a_link_to_a_comparison_has_its_panel(shop, project, open_page):
    focus(shop, "shop/cart")
    shop.keyboard.press("a")
    anchor = shop.evaluate("imgdiff.run.rows.find(row => row.name === 'shop/cart').anchor")
    page = open_page(project.report / "index.html", f"#open={anchor}")
    accept = page.locator(".decide-panel").get_by_role("button", name="Accept")
    expect(accept).to_have_attribute("aria-pressed", "true")


def test_comment_from_the_list_is_asked_for_and_can_be_left(shop):
    focus(shop, "shop/cart")
    shop.keyboard.press("c")
    dialog = shop.get_by_role("dialog", name="Comment on shop/cart")
    expect(dialog.get_by_role("textbox")).to_be_focused()
    shop.keyboard.type("too wide")
    shop.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert decided(shop) == {}
    shop.keyboard.press("c")
    shop.keyboard.type("too wide")
    shop.keyboard.press("Control+Enter")
    assert decided(shop) == {"shop/cart": "none: too wide"}
    expect(row(shop, "shop/cart")).to_be_focused()
    assert "commented" in row(shop, "shop/cart").text_content()


def test_page_where_everything_passed_asks_for_no_decision(project, open_page):
    project.record("same", verdict="match", passed=True, equal="bytes")
    page = open_page(project.page())
    expect(page.locator("#decide-bar")).to_be_hidden()


# ---- A group, and what a filter leaves


def test_same_change_is_accepted_on_its_heading_at_once(project, open_page):
    for index in range(5):
        project.changed(f"page {index}", fingerprint=HEADER)
    project.changed("alone")
    page = open_page(project.page(), "#group=change")
    heading = page.locator("#comparisons [data-group]").filter(has_text="5 comparisons")
    heading.focus()
    page.keyboard.press("a")
    assert decided(page) == {f"page {index}": "accept" for index in range(5)}
    assert told(page) == "5 comparisons accepted"
    page.keyboard.press("Control+z")
    assert decided(page) == {}
    heading.get_by_role("button", name="Reject 5").click()
    assert set(decided(page).values()) == {"reject"}
    heading.get_by_role("button", name="Reject 5").click()
    assert decided(page) == {}


def test_same_change_is_accepted_from_one_of_them(project, open_page):
    for index in range(3):
        project.changed(f"page {index}", fingerprint=HEADER)
    page = open_page(project.page(), "#group=none")
    focus(page, "page 1")
    page.keyboard.press("a")
    assert told(page) == "page 1 accepted; 2 more with the same change to decide"
    page.keyboard.press("Enter")
    page.locator(".decide-panel").get_by_role("button", name="Accept all 3").click()
    assert decided(page) == {f"page {index}": "accept" for index in range(3)}


def test_all_shown_are_decided_once_that_is_confirmed(shop):
    shop.locator("#search").fill("shop/")
    shop.keyboard.press("Enter")
    shop.keyboard.press("A")
    dialog = shop.get_by_role("dialog", name="Accept 2 comparisons?")
    expect(dialog).to_contain_text("The list shows 2 comparisons.")
    shop.keyboard.press("Escape")
    assert decided(shop) == {}
    shop.keyboard.press("A")
    shop.get_by_role("button", name="Accept 2", exact=True).click()
    assert decided(shop) == {"shop/cart": "accept", "shop/login": "accept"}
    shop.keyboard.press("Control+z")
    assert decided(shop) == {}


def test_all_shown_leaves_what_cannot_be_accepted(shop):
    shop.get_by_text("All 4 shown").click()
    shop.get_by_role("button", name="Accept all shown").click()
    dialog = shop.get_by_role("dialog", name="Accept 3 comparisons?")
    expect(dialog).to_contain_text("The list shows 4 comparisons; 1 cannot be accepted in this report.")
    shop.keyboard.press("Enter")
    assert sorted(decided(shop)) == ["blog/post", "shop/cart", "shop/login"]
    assert told(shop) == "3 comparisons accepted; 1 cannot be accepted in this report"
    shop.get_by_text("All 4 shown").click()
    shop.get_by_role("button", name="Comment on all shown").click()
    shop.keyboard.type("release 7")
    shop.get_by_role("button", name="Save comment").click()
    assert decided(shop)["blog/gone"] == "none: release 7"
    shop.get_by_text("More", exact=True).click()
    shop.get_by_role("button", name="Clear all decisions").click()
    shop.get_by_role("button", name="Clear", exact=True).click()
    assert decided(shop) == {}
    shop.get_by_role("button", name="Undo").click()
    assert len(decided(shop)) == 4


def test_menus_close_by_escape_and_by_a_click_elsewhere(shop):
    menu = shop.locator("#decide-bar details").first
    menu.locator("summary").click()
    shop.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(menu.locator("summary")).to_be_focused()
    menu.locator("summary").click()
    shop.locator("h1").click()
    expect(menu).not_to_have_attribute("open", "")


def test_columns_of_a_merged_report_are_decided_by_themselves(project, open_page, tmp_path):
    project.changed("cart", baseline="baselines/chromium/cart.png", column="chromium")
    project.changed("cart", baseline="baselines/firefox/cart.png", column="firefox", new=OTHER)
    page = open_page(project.page(), "#group=none")
    page.evaluate(
        "imgdiff.viewer.open(imgdiff.run.rows.findIndex(row => imgdiff.run.columns[row.column] === 'firefox'))"
    )
    expect(page.locator(".decide-panel")).to_be_visible()
    page.keyboard.press("a")
    (only,) = exported(page, tmp_path / "imgdiff-decisions.json")["decisions"]
    assert (only["name"], only["column"]) == ("cart", "firefox")
    assert only["accepts"]["baseline"] == "baselines/firefox/cart.png"


# ---- Kept


def test_reload_keeps_what_was_decided_and_another_run_does_not_have_it(shop, project, open_page):
    focus(shop, "shop/cart")
    shop.keyboard.press("a")
    focus(shop, "shop/login")
    shop.keyboard.press("c")
    shop.keyboard.type("too wide")
    shop.keyboard.press("Control+Enter")
    before = decided(shop)
    shop.reload()
    assert decided(shop) == before == {"shop/cart": "accept", "shop/login": "none: too wide"}
    assert tally(shop) == ["1 accepted", "1 comment", "3 to decide"]
    assert decided(open_page(project.page(run="another"))) == {}
    assert decided(open_page(project.page())) == before


def test_other_tab_of_the_same_report_follows(shop, project, open_page):
    other = open_page(project.report / "index.html")
    focus(shop, "shop/cart")
    shop.keyboard.press("a")
    expect(other.locator("#decide-bar .tally.is-accept")).to_have_text("1 accepted")
    assert decided(other) == {"shop/cart": "accept"}


def test_browser_that_keeps_nothing_is_told_of_and_the_page_works(project, context):
    project.changed("cart")
    page = context.new_page()
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('refused') }})")
    page.goto(project.page().as_uri())
    expect(page.get_by_text("decisions are lost when you close it")).to_be_visible()
    focus(page, "cart")
    page.keyboard.press("a")
    assert decided(page) == {"cart": "accept"}


def test_full_store_is_told_of(project, context):
    project.changed("cart")
    page = context.new_page()
    page.goto(project.page().as_uri())
    warning = page.get_by_text("decisions are lost when you close it")
    expect(warning).to_be_hidden()
    page.evaluate(
        "for (let size = 1 << 22; size >= 1; size >>= 1) try { for (let n = 0; n < 9; n++) localStorage.setItem(`fill-${size}-${n}`, 'x'.repeat(size)) } catch {}"
    )
    focus(page, "cart")
    page.keyboard.press("a")
    expect(warning).to_be_visible()
    page.evaluate("localStorage.clear()")
    page.keyboard.press("x")
    expect(warning).to_be_hidden()


@pytest.mark.parametrize(
    "stored",
    [
        "{",
        "null",
        "[]",
        '"text"',
        '{"version": 2}',
        '{"version": 1, "saved": 9e15, "comments": [5, null], "rows": [[], null, "x", ["ANCHOR", 1, 0], ["ANCHOR", 9, 0], ["__proto__", 1, 0], ["ANCHOR", 1, -1]]}',
    ],
)
def test_damaged_store_costs_nothing_but_itself(shop, stored):
    shop.evaluate(
        "text => localStorage.setItem(`imgdiff:decisions:${imgdiff.run.run}`, text.replaceAll('ANCHOR', imgdiff.run.rows[0].anchor))",
        stored,
    )
    shop.reload()
    assert decided(shop) == {}
    focus(shop, "shop/cart")
    shop.keyboard.press("a")
    shop.reload()
    assert decided(shop) == {"shop/cart": "accept"}


def test_decisions_of_long_ago_are_dropped(shop):
    shop.evaluate(
        """() => {
            const stored = days => JSON.stringify({version: 1, saved: Date.now() - days * 864e5, comments: [], rows: []});
            localStorage.setItem("imgdiff:decisions:old", stored(100));
            localStorage.setItem("imgdiff:decisions:recent", stored(10));
            localStorage.setItem("somebody else's", "1");
        }"""
    )
    shop.reload()
    assert sorted(shop.evaluate("Object.keys(localStorage)")) == ["imgdiff:decisions:recent", "somebody else's"]


# ---- The manifest


def test_export_is_what_accept_reads(shop, project, monkeypatch, capsys):
    for name, key in (("shop/cart", "a"), ("blog/post", "a"), ("shop/login", "x")):
        focus(shop, name)
        shop.keyboard.press(key)
    focus(shop, "blog/gone")
    shop.keyboard.press("c")
    shop.keyboard.type("where is it?")
    shop.keyboard.press("Control+Enter")
    manifest = exported(shop, project.root / "imgdiff-decisions.json")
    assert (manifest["imgdiff"], manifest["version"], manifest["run"]) == ("decisions", 1, "the-run")
    assert {entry["name"]: entry["decision"] for entry in manifest["decisions"]} == {
        "shop/cart": "accept",
        "shop/login": "reject",
        "blog/post": "accept",
        "blog/gone": "none",
    }
    monkeypatch.chdir(project.root)
    assert main(["accept", "imgdiff-decisions.json"]) == 0
    captured = capsys.readouterr()
    assert sorted(captured.out.splitlines()) == [
        "2 accepted, 1 rejected",
        "accepted: blog/post: baselines/blog/post.png",
        "accepted: shop/cart: baselines/shop/cart.png",
        'comment on blog/gone: "where is it?"',
        "rejected: shop/login",
    ]
    assert project.files() == {
        "baselines/blog/post.png": NEW,
        "baselines/shop/cart.png": NEW,
        "baselines/shop/login.png": OLD,
    }


def test_a_picture_is_accepted_as_an_alternative(project, open_page, monkeypatch, capsys):
    accepts = project.changed("cart")
    project.records.clear()
    project.record("cart", accepts=msgspec.structs.replace(accepts, alternative=True))
    project.changed("scanned")
    page = open_page(project.page(), "#group=none&sort=name")
    focus(page, "scanned")
    page.keyboard.press("t")
    assert told(page) == "Only an image that a test compared with a stored baseline can be an alternative."
    focus(page, "cart")
    page.keyboard.press("t")
    assert told(page) == "cart accepted as an alternative"
    assert decided(page) == {"cart": "alternative"}
    assert tally(page) == ["1 accepted", "1 to decide"]
    page.reload()
    assert decided(page) == {"cart": "alternative"}
    row(page, "cart").dblclick()
    panel = page.locator(".decide-panel")
    expect(panel.get_by_role("button", name="Alternative")).to_have_attribute("aria-pressed", "true")
    manifest = exported(page, project.root / "imgdiff-decisions.json")
    assert [one["decision"] for one in manifest["decisions"]] == ["alternative"]
    monkeypatch.chdir(project.root)
    assert main(["accept", "imgdiff-decisions.json"]) == 0
    assert "accepted: cart: baselines/cart.png, as an alternative of it: cart.alt1.png" in capsys.readouterr().out
    stored = {name: data for name, data in project.files().items() if name.startswith("baselines/cart")}
    assert stored == {"baselines/cart.png": OLD, "baselines/cart.alt1.png": NEW}


def test_stale_manifest_is_refused(shop, project, monkeypatch, capsys):
    focus(shop, "shop/cart")
    shop.keyboard.press("a")
    exported(shop, project.root / "imgdiff-decisions.json")
    project.put(project.root / "baselines/shop/cart.png", OTHER)
    monkeypatch.chdir(project.root)
    assert main(["accept", "imgdiff-decisions.json"]) == 2
    assert "stale: the baseline baselines/shop/cart.png has changed since" in capsys.readouterr().err
    assert project.files()["baselines/shop/cart.png"] == OTHER


def test_command_is_copied(shop, context):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    focus(shop, "shop/cart")
    shop.keyboard.press("a")
    with shop.expect_download():
        shop.get_by_role("button", name="Export", exact=True).click()
    shop.get_by_role("button", name="Copy").click()
    expect(shop.get_by_role("button", name="Copied")).to_be_visible()
    copied = shop.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("pytest-imgdiff accept imgdiff-decisions.json")


def test_the_command_works_where_it_is_pasted(open_page, tmp_path, monkeypatch, capsys):
    """In a folder of the project, over a report in a folder that no configuration names."""
    project = Project(tmp_path / "my project")
    project.report = tmp_path / "it's a report"
    project.changed("shop/cart")
    (project.root / ".git").touch()
    page = open_page(project.page(), "#group=none&sort=name")
    focus(page, "shop/cart")
    page.keyboard.press("a")
    here = project.root / "tests"
    here.mkdir()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export", exact=True).click()
    waiting.value.save_as(here / "imgdiff-decisions.json")
    monkeypatch.chdir(here)
    command = shlex.split(page.locator(".decide-dialog code").inner_text())
    assert main(command[1:]) == 0
    assert "accepted: shop/cart: ../baselines/shop/cart.png" in capsys.readouterr().out
    assert project.files()["baselines/shop/cart.png"] == NEW


def imported(page: Page, path: Path) -> None:
    page.get_by_label("Decisions to import").set_input_files(path)


def test_imported_decisions_are_those_exported(shop, tmp_path):
    focus(shop, "shop/cart")
    shop.keyboard.press("a")
    focus(shop, "shop/login")
    shop.keyboard.press("x")
    before = decided(shop)
    manifest = tmp_path / "imgdiff-decisions.json"
    exported(shop, manifest)
    shop.keyboard.press("Control+z")
    shop.keyboard.press("Control+z")
    imported(shop, manifest)
    expect(shop.locator("#decide-bar .message")).to_have_text("2 decisions imported")
    assert decided(shop) == before


def test_import_into_another_run_leaves_other_pictures_undecided(shop, project, open_page, tmp_path):
    for name in ("shop/cart", "shop/login", "blog/post"):
        focus(shop, name)
        shop.keyboard.press("a")
    exported(shop, tmp_path / "imgdiff-decisions.json")
    project.records = []
    project.changed("shop/cart")
    project.changed("shop/login", new=OTHER)
    page = open_page(project.page(run="another"))
    imported(page, tmp_path / "imgdiff-decisions.json")
    expect(page.locator("#decide-bar .message")).to_have_text(
        "2 decisions imported; 1 comparison is not in this report; 1 image accepted elsewhere differs here, so it is "
        "still undecided"
    )
    assert decided(page) == {"shop/cart": "accept"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "This file is not JSON"),
        ("[]", "does not contain decisions"),
        ('{"imgdiff": "decisions", "decisions": []}', "another version"),
        ('{"imgdiff": "decisions", "version": 1, "decisions": [{"name": 5}]}', "contains invalid decisions"),
    ],
)
def test_import_of_something_else_is_told(shop, tmp_path, content, words):
    (tmp_path / "other.json").write_text(content, encoding="utf-8")
    imported(shop, tmp_path / "other.json")
    expect(shop.get_by_role("dialog", name="Error")).to_contain_text(words)
    assert decided(shop) == {}


def test_hostile_names_and_comments_stay_text(project, open_page, monkeypatch, capsys):
    names = [name.replace("\n", " ").replace("\r", " ").replace("\t", " ") for name in HOSTILE_NAMES]
    for index, name in enumerate(names):
        project.changed(name, baseline=f"baselines/{index}.png")
    page = open_page(project.page(), "#group=none")
    comment = "</script><img src=x onerror='window.hacked=1'>\n\u202e\0\x1b[31m 🎨"
    page.evaluate("comment => imgdiff.decide.set([...imgdiff.run.rows.keys()], {decision: 'accept', comment})", comment)
    page.reload()
    for index in range(len(names)):
        page.evaluate("index => imgdiff.viewer.open(index)", index)
        expect(page.locator(".decide-panel textarea")).to_have_value(comment)
    page.keyboard.press("Escape")
    page.evaluate("imgdiff.actions.comment([0])")
    page.get_by_role("button", name="Cancel").click()
    manifest = exported(page, project.root / "imgdiff-decisions.json")
    assert {entry["comment"] for entry in manifest["decisions"]} == {comment}
    assert page.evaluate("window.hacked") is None
    monkeypatch.chdir(project.root)
    assert main(["accept", "imgdiff-decisions.json"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == f"{len(names)} accepted"
    assert all(line.isprintable() for line in captured.out.splitlines())
    assert set(project.files().values()) == {NEW}


def test_details_of_many_are_loaded_a_few_at_a_time(project, open_page, tmp_path):
    accepts = project.changed("first")
    project.records = [msgspec.structs.replace(project.records[0], name=f"page {index}") for index in range(1050)]
    page = open_page(project.page(), "#group=none")
    under_way: set[str] = set()
    most: list[int] = []
    page.on("request", lambda request: (under_way.add(request.url), most.append(len(under_way))))
    page.on("requestfinished", lambda request: under_way.discard(request.url))
    page.evaluate("imgdiff.decide.set([...imgdiff.run.rows.keys()], {decision: 'accept'})")
    manifest = exported(page, tmp_path / "imgdiff-decisions.json")
    assert len(manifest["decisions"]) == 1050
    assert {entry["accepts"]["digest"] for entry in manifest["decisions"]} == {accepts.digest}
    assert len(most) >= 11
    assert max(most) <= 8


@pytest.mark.parametrize("width", [320, 400, 1024])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bar_fits_and_covers_nothing(shop, width, scheme):
    shop.emulate_media(color_scheme=scheme)
    shop.set_viewport_size({"width": width, "height": 700})
    for name, key in (("shop/cart", "a"), ("shop/login", "x")):
        focus(shop, name)
        shop.keyboard.press(key)
    assert not shop.evaluate(SCROLLS_SIDEWAYS)
    bar = shop.locator("#decide-bar").bounding_box()
    assert bar["width"] == width
    for button in shop.locator("#decide-bar .buttons").locator("button:visible, summary:visible").all():
        box = button.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    shop.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    footer = shop.locator("footer p").bounding_box()
    assert footer["y"] + footer["height"] <= bar["y"]
    focus(shop, "shop/cart")
    shop.keyboard.press("Enter")
    viewer = shop.locator("#viewer").bounding_box()
    assert viewer["y"] + viewer["height"] <= bar["y"] + 1


# ---- The whole story


def test_run_fails_is_looked_at_accepted_and_passes(pytester, open_page, monkeypatch, capsys):
    root = pytester.path
    pytester.makepyfile(test_page=SUITE.format(colour=(200, 0, 0)))
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=3)
    pytester.makepyfile(test_page=SUITE.format(colour=(0, 0, 200)))
    pytester.runpytest_subprocess().assert_outcomes(failed=3)
    page = open_page(root / "imgdiff-report" / "index.html")
    page.keyboard.press("A")
    page.get_by_role("button", name="Accept 3", exact=True).click()
    exported(page, root / "imgdiff-decisions.json")
    monkeypatch.chdir(root)
    assert main(["accept", "imgdiff-decisions.json", "--dry-run"]) == 0
    assert main(["accept", "imgdiff-decisions.json"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 accepted"
    pytester.runpytest_subprocess().assert_outcomes(passed=3)
