"""The report of a large run, whose passed comparisons are in files of their own: in a real Chromium, from its folder."""

from __future__ import annotations

import msgspec
import pytest

from pytest_imgdiff.report import html, write_results
from pytest_imgdiff.report.html import write_page
from pytest_imgdiff.server.app import is_data
from tests.report_records import different, equal, perceptual, run_of

expect = pytest.importorskip("playwright.sync_api", reason="the test extra brings playwright").expect

FAILED, PASSED, PIECE = 5, 95, 10
LISTED = "document.querySelectorAll('#comparisons .row').length"


def records():
    yield from (different(f"shop/failed-{number}.png") for number in range(FAILED))
    for number in range(PASSED):
        name = f"{'map' if number % 2 else 'shop'}/page-{number:03}.png"
        # Most are equal; some have pixels that differ, within the limit.
        yield equal(name) if number % 5 else equal(name, equal=None, scores=[perceptual(0.001, 9)], differing_pixels=9)


@pytest.fixture
def report(tmp_path):
    run = run_of(*records(), run="a large run")
    write_results(tmp_path, run)
    write_page(tmp_path, run, piece=PIECE)
    return tmp_path


@pytest.fixture
def opened(browser, report):
    context = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    asked = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2].partition("#")[0]))
    page.asked = asked
    page.at = (report / "index.html").as_uri()
    page.goto(page.at)
    yield page
    context.close()
    assert complaints == []


def pieces(page):
    return [name for name in page.asked if name.startswith("piece-")]


def count_of(page, value):
    return page.locator("#filters .facet").filter(has_text=value).locator(".count").first.inner_text()


def test_what_passed_is_counted_before_any_of_its_files_is_loaded(opened):
    expect(opened.locator("#shown")).to_have_text("5 of 100")
    assert count_of(opened, "passed") == "95"
    assert count_of(opened, "failed") == "5"
    assert count_of(opened, "no pixel") == "0"  # of the failures that are shown
    opened.get_by_role("button", name="all", exact=False).first.click()
    folders = opened.locator("#folder option").all_inner_texts()
    assert [text for text in folders if text.startswith(("map", "shop"))] == ["map (47)", "shop (53)"]
    assert count_of(opened, "no pixel") == "76"
    opened.locator("#folder").select_option("map")
    assert count_of(opened, "passed") == "47"
    assert pieces(opened) == []


def test_more_is_listed_file_by_file_in_the_order_of_the_run(opened):
    opened.evaluate("imgdiff.state.set({ outcome: 'all', group: 'none' })")
    expect(opened.locator("#shown")).to_have_text("10 of 100")
    more = opened.locator("#load-more")
    expect(more).to_have_text("Load more of the 90 passed comparisons that are not listed yet")
    more.click()
    expect(opened.locator("#shown")).to_have_text("20 of 100")
    assert pieces(opened) == ["piece-0.js"]
    names = opened.evaluate("imgdiff.list.shown().map((index) => imgdiff.run.rows[index].name)")
    in_order = [record.name for record in html.in_order(list(records()))]
    assert names == in_order[:20]
    for _ in range(8):
        more.click()
        more.evaluate("() => new Promise((done) => setTimeout(done, 50))")
    expect(opened.locator("#shown")).to_have_text("all 100")
    expect(more).to_be_hidden()
    assert count_of(opened, "passed") == "95"


def test_a_search_finds_what_is_in_a_file_that_was_not_loaded(opened):
    opened.evaluate("imgdiff.state.set({ outcome: 'all', group: 'none' })")
    opened.locator("#search").fill("map/page-093")
    expect(opened.locator("#comparisons .name")).to_have_text(["map/page-093.png"])
    expect(opened.locator("#shown")).to_have_text("1 of 100")
    expect(opened.locator("#load-more")).to_be_hidden()  # every file was searched
    assert count_of(opened, "passed") == "1"
    opened.keyboard.press("Enter")  # from the search to the list
    opened.keyboard.press("Enter")
    expect(opened.locator("#viewer-name")).to_have_text("map/page-093.png")
    opened.keyboard.press("Escape")
    opened.locator("#search").fill("")
    expect(opened.locator("#shown")).to_have_text("11 of 100")  # it stays in the list
    assert count_of(opened, "passed") == "95"
    opened.locator("#load-more").click()
    expect(opened.locator("#shown")).to_have_text("21 of 100")
    opened.locator("#load-more").click()
    names = opened.evaluate("imgdiff.list.shown().map((index) => imgdiff.run.rows[index].name)")
    assert len(names) == len(set(names))
    assert count_of(opened, "passed") == "95"


def test_a_search_among_the_failures_says_that_there_are_passed_ones(opened):
    opened.locator("#search").fill("page-0")
    expect(opened.locator("#shown")).to_have_text("0 of 100")
    expect(opened.locator("#filters .facet").filter(has_text="passed").locator(".count")).to_have_text("95")
    expect(opened.locator("#nothing-found")).to_be_visible()


def test_the_keyboard_goes_through_what_was_loaded(opened):
    opened.evaluate("imgdiff.state.set({ outcome: 'all', group: 'none' })")
    opened.locator("#load-more").click()
    expect(opened.locator("#shown")).to_have_text("20 of 100")
    opened.keyboard.press("j")
    opened.keyboard.press("End")
    assert opened.evaluate("Number(document.activeElement.dataset.line)") == 19
    opened.keyboard.press("Enter")
    expect(opened.locator("#viewer")).to_be_visible()
    name = opened.evaluate("imgdiff.run.rows[imgdiff.list.shown()[19]].name")
    expect(opened.locator("#viewer-name")).to_have_text(name)


def test_a_link_to_a_passed_comparison_opens_it(opened):
    opened.locator("#search").fill("page-088")
    opened.evaluate("imgdiff.state.set({ outcome: 'all' })")
    expect(opened.locator("#comparisons .name")).to_have_text(["shop/page-088.png"])
    link = opened.locator("#comparisons .name").get_attribute("href")
    anchor = link.partition("open=")[2].partition("&")[0]
    opened.goto("about:blank")
    opened.goto(f"{opened.at}#{anchor}")
    expect(opened.locator("#viewer-name")).to_have_text("shop/page-088.png")


def test_a_comment_on_a_passed_comparison_outlives_a_reload_and_other_decisions(opened):
    find = "imgdiff.pieces.find((name) => name === 'map/page-077.png')"
    index = "imgdiff.run.rows.findIndex((row) => row.name === 'map/page-077.png')"
    opened.evaluate(f"{find}.then(() => imgdiff.decide.set([{index}], {{ comment: 'look' }}))")
    opened.reload()
    opened.evaluate("imgdiff.decide.set([0], { decision: 'reject' })")
    opened.reload()
    assert opened.evaluate(f"{find}.then(() => imgdiff.decide.of({index}).comment)") == "look"


def test_a_file_that_is_gone_is_told_where_more_would_be(browser, report):
    (report / "data" / "piece-0.js").unlink()
    page = browser.new_page()
    page.goto((report / "index.html").as_uri())
    page.evaluate("imgdiff.state.set({ outcome: 'all', group: 'none' })")
    page.locator("#load-more").click()
    expect(page.locator("#load-more")).to_contain_text("data/piece-0.js cannot be read")
    page.close()


def test_a_smaller_report_leaves_no_file_of_a_larger_one_and_each_is_data(report):
    assert len(list((report / "data").glob("piece-*.js"))) == 9
    assert all(is_data(path.read_bytes()) for path in (report / "data").glob("*.js"))
    write_page(report, run_of(*list(records())[:20], run="a small run"), piece=PIECE)
    assert sorted(path.name for path in (report / "data").glob("piece-*.js")) == ["piece-0.js"]


def test_merged_runs_are_listed_whole(tmp_path):
    columns = ["a", "b"]
    merged = [msgspec.structs.replace(equal(f"{number}"), column=column) for number in range(40) for column in columns]
    write_page(tmp_path, run_of(*merged, columns=columns, run="merged"), piece=PIECE)
    assert not list((tmp_path / "data").glob("piece-*.js"))


def test_the_plain_page_says_what_it_leaves_out(tmp_path, monkeypatch):
    monkeypatch.setattr(html, "MOST_PLAIN", 30)
    write_page(tmp_path, run_of(*records(), run="a large run"), piece=PIECE)
    text = (tmp_path / "plain.html").read_text("utf-8")
    assert "Passed: 95" in text
    assert "This page lists the first 30 of 95." in text
    assert text.count("page-") == 30
    assert "failed-4.png" in text
