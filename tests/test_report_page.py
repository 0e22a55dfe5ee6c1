"""What is written for the page: its data, the page without scripts, and what both hold against hostile texts."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.base.record import AcceptRecord
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.comparison.change_groups import GRIDS, Appearance, Patch
from pytest_imgdiff.report import html_data, write_report
from pytest_imgdiff.report.html import write_page
from pytest_imgdiff.report.html_data import SHARD
from tests.report_records import (
    HOSTILE_NAMES,
    different,
    equal,
    perceptual,
    png,
    region,
    run_of,
    side,
    ssim,
    uncompared,
    with_pictures,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from pytest_imgdiff.base.record import RunRecord


CONTRACT = Path(__file__).parents[1] / "reports" / "types" / "imgdiff.d.ts"
ACCEPTS = AcceptRecord("baselines/bar.png", "pictures/bar/actual.png", "ab" * 32, "cd" * 32)
SCROLLS_SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def received(script: Path, kind: str) -> Any:
    """Return what a data file hands to the page."""
    text = script.read_text(encoding="utf-8")
    call = f'imgdiff.receive("{kind}",'
    assert text.startswith(call)
    assert text.endswith(");\n")
    return json.loads(text[len(call) : -len(");\n")])


def rows(directory: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = received(directory / "data" / "run.js", "run")["rows"]
    return found


def details(directory: Path, shard: int = 0) -> list[dict[str, Any]]:
    data = received(directory / "data" / f"details-{shard}.js", "details")
    assert data["shard"] == shard
    found: list[dict[str, Any]] = data["details"]
    return found


def appearance(area: int) -> str:
    planes = tuple(bytes([9]) * (size * size) for size in GRIDS)
    return str(Appearance((Patch(240, 64, "c", area, (80, 0, 0, 0, 80), planes),), 0, 0))


# Data


def test_report_is_a_folder_of_pages_assets_and_data(tmp_path):
    page = write_report(tmp_path, run_of(different(), equal()))

    assert page == tmp_path / "index.html"
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    beside = {path for path in written if not path.startswith("assets/")}
    assert beside == {"index.html", "plain.html", "results.json", "data/run.js", "data/details-0.js"}
    linked = re.findall(r'(?:src|href)="((?:assets|data)/[^"]+)"', page.read_text(encoding="utf-8"))
    assert set(linked) <= written
    assert "data/run.js" in linked


@pytest.mark.parametrize(
    ("interface", "emitted"),
    [
        ("RunData", lambda report: received(report / "data" / "run.js", "run")),
        ("Row", lambda report: rows(report)[0]),
        ("Detail", lambda report: details(report)[0]),
        ("Figure", lambda report: details(report)[0]["figures"][0]),
    ],
)
def test_data_is_what_the_scripts_were_promised(tmp_path, interface, emitted):
    write_report(tmp_path, run_of(with_pictures(tmp_path, different())))

    contract = CONTRACT.read_text(encoding="utf-8")
    declared = contract.partition(f"\ninterface {interface} {{\n")[2].partition("\n}")[0]
    names = re.findall(r"^  (\w+):", declared, re.MULTILINE)
    assert sorted(emitted(tmp_path)) == sorted(names)


def test_row_says_what_the_list_shows_and_finds_by(tmp_path):
    record = different(artefacts={"thumb": "pictures/bar/thumb.jpg"}, accepts=ACCEPTS)
    write_report(tmp_path, run_of(record, run="2026-11-22"))

    run = received(tmp_path / "data" / "run.js", "run")
    assert (run["version"], run["run"], run["shard"], run["changes"]) == (1, "2026-11-22", SHARD, [])
    assert run["rows"] == [
        {
            "anchor": run["rows"][0]["anchor"],
            "name": "charts/bar",
            "verdict": "different",
            "outcome": "failed",
            "line": "fails perceptual: 1 284 px, 0.8 % > 0.5 %; passes ssim 0.993 >= 0.99; "
            "3 regions, largest 240x64 at 16,80",
            "test": "tests/test_charts.py::test_bar",
            "fails": ["perceptual"],
            "pixels": 1284,
            "share": 0.008,
            "regions": 3,
            "departure": 0.008,
            "change": None,
            "thumb": "pictures/bar/thumb.jpg",
            "column": -1,
            "acceptable": True,
            "alternative": False,
            "frames": 1,
            "kinds": [],
            "glance": False,
            "elements": [],
        }
    ]


def test_detail_says_what_is_shown_of_an_open_comparison(tmp_path):
    record = different(
        size_policy="pad",
        actual=side("actual/chart.png", height=290),
        ignored=0.25,
        notes=["the colour profiles differ"],
        artefacts={"ssim_heat": "pictures/bar/ssim heat.png", "actual": "pictures/bar/actual.png", "thumb": "t.jpg"},
        accepts=ACCEPTS,
    )
    write_report(tmp_path, run_of(record))

    detail = details(tmp_path)[0]
    assert detail["figures"] == [
        {
            "key": "actual",
            "caption": "Actual",
            "alt": "Actual of charts/bar",
            "href": "pictures/bar/actual.png",
            "width": 400,
            "height": 290,
            "pixels": None,
        },
        {
            "key": "ssim_heat",
            "caption": "Ssim heat",
            "alt": "Ssim heat of charts/bar",
            "href": "pictures/bar/ssim%20heat.png",
            "width": 400,
            "height": 300,
            "pixels": None,
        },
    ]
    assert detail["size"] == [400, 300]
    assert detail["rules"][0] == {
        "metric": "perceptual",
        "value": "1 284 px, 0.8 %",
        "limits": ["<= 0.5 %"],
        "margins": ["over by 0.3 %"],
        "outcome": "failed",
        "verdict": "fails",
        "measured": False,
        "details": [["pixels", "1 284"]],
    }
    assert detail["nearestLimits"] == "perceptual: {max: 0.008}"
    assert detail["regions"][0] == {
        "x": 16,
        "y": 80,
        "width": 240,
        "height": 64,
        "words": "240x64 at 16,80",
        "area": "1 200",
        "peak": "75 %",
        "kind": "changed",
        "contour": [],
        "element": "",
        "moved": None,
    }
    assert [fact["name"] for fact in detail["facts"] if fact["differs"]] == ["pixels"]
    assert detail["notes"] == [
        "Sizes: expected 400x300, actual 400x290: both were padded with transparency to 400x300 (size: pad).",
        "Ignore areas: 25 % of the image was ignored.",
        "the colour profiles differ",
    ]
    assert detail["accept"] == record.accept
    assert detail["accepts"] == msgspec.structs.asdict(ACCEPTS)


def test_order_is_what_a_reader_wants_to_see_first(tmp_path):
    warned = perceptual(0.001, warned=True, warn=0.0)
    run = run_of(
        equal("passed"),
        uncompared("unmatched", "gone"),
        uncompared("missing", "new"),
        different("warned", verdict="match", passed=True, scores=[warned]),
        uncompared("resized", "resized"),
        different("little"),
        different("much", scores=[perceptual(0.9, 9000)]),
        uncompared("broken", "broken"),
    )
    write_report(tmp_path, run)

    names = [row["name"] for row in rows(tmp_path)]
    assert names == ["broken", "much", "little", "resized", "new", "gone", "warned", "passed"]


def test_details_lie_in_files_of_a_hundred_in_the_order_of_the_rows(tmp_path):
    records = [different(f"{index}", regions=[region(x=index)]) for index in range(2 * SHARD + 50)]
    write_report(tmp_path, run_of(*records))

    shards = [details(tmp_path, shard) for shard in range(3)]
    assert [len(shard) for shard in shards] == [SHARD, SHARD, 50]
    places = [str(detail["regions"][0]["x"]) for shard in shards for detail in shard]
    assert places == [row["name"] for row in rows(tmp_path)]


def test_report_over_a_larger_one_leaves_none_of_its_details(tmp_path):
    write_report(tmp_path, run_of(*(different(f"{index}") for index in range(SHARD + 1))))
    write_report(tmp_path, run_of(different()))

    assert [path.name for path in tmp_path.glob("data/details-*")] == ["details-0.js"]


def test_what_passed_keeps_only_what_tells_something(tmp_path):
    near = equal("near", equal=None, scores=[perceptual(0.001, 3)], regions=[region()] * 30, region_count=30)
    write_report(tmp_path, run_of(near))

    detail = details(tmp_path)[0]
    assert [rule["value"] for rule in detail["rules"]] == ["3 px, 0.1 %"]
    assert [rule["details"] for rule in detail["rules"]] == [[]]
    assert (len(detail["regions"]), detail["regionCount"], detail["facts"]) == (20, 30, [])


def test_comparisons_of_the_same_change_are_a_group(tmp_path):
    alike = [different(f"header on page {index}", fingerprint=appearance(1200 + index)) for index in range(3)]
    run = run_of(*alike, different("alone", fingerprint=appearance(90)), different("unknown"))
    write_report(tmp_path, run)

    groups = {row["name"]: row["change"] for row in rows(tmp_path)}
    header = groups["header on page 0"]
    assert header is not None
    assert list(groups.values()).count(header) == 3
    assert groups["alone"] is groups["unknown"] is None
    assert received(tmp_path / "data" / "run.js", "run")["changes"] == [{"id": header, "size": 3}]


def test_merged_runs_have_a_column_each(tmp_path):
    run = run_of(different("a", column="firefox"), different("a", column="chromium"), columns=["chromium", "firefox"])
    write_report(tmp_path, run)

    firefox, chromium = rows(tmp_path)
    assert (firefox["column"], chromium["column"]) == (1, 0)
    assert firefox["anchor"] != chromium["anchor"]


def test_anchor_is_the_same_from_run_to_run(tmp_path):
    write_report(tmp_path / "one", run_of(different("a"), different("b")))
    write_report(tmp_path / "two", run_of(equal("b"), different("c")))

    first, second = ({row["name"]: row["anchor"] for row in rows(tmp_path / name)} for name in ("one", "two"))
    assert first["b"] == second["b"]
    assert len({*first.values(), *second.values()}) == 3


def test_run_without_a_name_is_known_by_what_it_found(tmp_path):
    named = []
    for folder, record in (("one", different()), ("again", different()), ("other", equal("charts/bar"))):
        write_report(tmp_path / folder, run_of(record))
        named.append(received(tmp_path / folder / "data" / "run.js", "run")["run"])

    assert named[0] == named[1] != named[2]
    assert named[0]


def test_ten_thousand_failures_stay_small(tmp_path):
    def failure(index: int) -> Any:
        name, folder = f"shop/cart/page-{index:05}.png", f"pictures/shop-cart-page-{index:05}.png-0a1b2c3d"
        pictures = ("expected", "actual", "mask", "ssim_heat", "thumb")
        return different(name, artefacts={key: f"{folder}/{key}.png" for key in pictures}, accepts=ACCEPTS)

    count = 1000
    write_report(tmp_path, run_of(*map(failure, range(count))))

    data = sum(path.stat().st_size for path in (tmp_path / "data").iterdir())
    assert data / count < 3_200
    assert ((tmp_path / "plain.html").stat().st_size - 3_000) / count < 620


# Colours of the pictures


def test_pictures_of_failures_stand_once_more_as_scripts(tmp_path):
    failed = with_pictures(tmp_path, different("failed"))
    passed = with_pictures(tmp_path, equal("passed"), ["expected", "actual"])
    write_report(tmp_path, run_of(failed, passed))

    figures = {figure["key"]: figure for figure in details(tmp_path)[0]["figures"]}
    assert {key for key, figure in figures.items() if figure["pixels"]} == {"expected", "actual"}
    script = tmp_path / f"{failed.artefacts['actual']}.js"
    pixels = received(script, "pixels")
    assert pixels["href"] == figures["actual"]["href"]
    kind, data = pixels["data"].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == (tmp_path / failed.artefacts["actual"]).read_bytes()
    assert len(list(tmp_path.glob("pictures/*.js"))) == 2


def test_pictures_that_are_missing_or_too_large_have_no_script(tmp_path, monkeypatch):
    monkeypatch.setattr(html_data, "LARGEST", 1000)
    record = different(artefacts={"expected": "pictures/none.png", "actual": "pictures/large.png"})
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "large.png").write_bytes(bytes(1001))
    write_report(tmp_path, run_of(record))

    assert [figure["pixels"] for figure in details(tmp_path)[0]["figures"]] == [None, None]
    assert list(tmp_path.glob("pictures/*.js")) == []


def test_worst_comparisons_get_the_scripts_where_there_is_no_room_for_all(tmp_path, monkeypatch):
    little = with_pictures(tmp_path, different("little"))
    much = with_pictures(tmp_path, different("much", scores=[perceptual(0.9, 9000)]))
    sizes = [(tmp_path / much.artefacts[name]).stat().st_size for name in ("expected", "actual")]
    monkeypatch.setattr(html_data, "MOST_TOGETHER", sum(sizes))
    write_report(tmp_path, run_of(little, much))

    shown = [[bool(figure["pixels"]) for figure in detail["figures"][:2]] for detail in details(tmp_path)]
    assert shown == [[True, True], [False, False]]


# Hostile texts


TEXTS = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(HOSTILE_NAMES)


@settings(max_examples=60, deadline=None)
@given(name=TEXTS, text=TEXTS, path=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_no_text_ends_a_script_or_breaks_it(tmp_path_factory, name, text, path):
    tmp_path = tmp_path_factory.mktemp("report")
    run = run_of(
        different(
            printable(name),
            reason=printable(text),
            test=printable(text),
            notes=[printable(text)],
            accept=printable(text),
            scores=[ssim(0.5, metric=printable(text), details={printable(text): printable(name)})],
            artefacts={printable(text) or "x": "pictures/" + re.sub(r"[/\\\0]|^\.+$", "_", path)},
            accepts=AcceptRecord(path, path, "00", None),
            column=printable(text),
        ),
        title=printable(text),
        columns=[printable(text)],
    )
    write_report(tmp_path, run)

    for script in (tmp_path / "data").iterdir():
        content = script.read_text(encoding="utf-8")
        assert re.search("[<\u2028\u2029]", content) is None
    row, detail = rows(tmp_path)[0], details(tmp_path)[0]
    shown = [row["name"], row["line"], row["test"], *row["fails"], *detail["notes"], *detail["rules"][0]["details"][0]]
    assert all(shown_text.isprintable() for shown_text in shown)
    assert detail["accepts"]["baseline"] == path
    assert all(re.fullmatch(r"pictures/[\w.~%-]+", figure["href"], re.ASCII) for figure in detail["figures"])


def test_name_that_no_file_can_have_is_told(tmp_path):
    with pytest.raises(ReportError, match=r"pictures/\\ud800\.png: no file can have this name"):
        write_page(tmp_path, run_of(different(artefacts={"actual": "pictures/\ud800.png"})))


def test_text_that_utf8_cannot_carry_is_told(tmp_path):
    with pytest.raises(ReportError, match=r"the report's data cannot be written: .* surrogates not allowed"):
        write_page(tmp_path, run_of(different(accepts=AcceptRecord("\ud800", "a", "b", None))))


# In the browser


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open an address; in the end nothing may have gone wrong or outside."""
    complaints: list[str] = []
    contexts = []

    def open_it(address: str, **options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: complaints.append(request.url) if not is_local(request.url) else None)
        page.goto(address)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []


def is_local(address: str) -> bool:
    return address.startswith(("file:", "data:"))


def shop_run(directory: Path) -> RunRecord:
    warned = perceptual(0.001, warned=True, warn=0.0)
    return run_of(
        with_pictures(directory, different("shop/basket", scores=[perceptual(0.9, 9000)])),
        with_pictures(directory, different("shop/cart")),
        uncompared("missing", "blog/new", reason="there is no expected image"),
        with_pictures(directory, different("blog/warned", verdict="match", passed=True, scores=[warned])),
        equal("blog/same"),
        equal("shop/same", equal="pixels"),
    )


def hostile_run(directory: Path) -> RunRecord:
    def hostile(name: str) -> Any:
        score = perceptual(metric=name, details={"pixels": 3, name: name})
        return with_pictures(
            directory, different(name, test=name, reason=name, notes=[name], accept=name, scores=[score])
        )

    records = map(hostile, HOSTILE_NAMES)
    return run_of(*records, title=HOSTILE_NAMES[1], unused_baselines=[*HOSTILE_NAMES], unrecorded=[*HOSTILE_NAMES])


def test_page_takes_its_data_from_beside_it(opened, tmp_path):
    page = opened(write_report(tmp_path, shop_run(tmp_path)).as_uri())

    assert page.get_by_role("heading", level=1).inner_text() == "3 of 6 comparisons failed"
    assert page.evaluate("imgdiff.run.rows.map((row) => row.name)")[0] == "shop/basket"
    detail = page.evaluate("imgdiff.loader.details(1)")
    assert detail["figures"][1]["alt"] == "Actual of shop/cart"


def test_page_opened_from_the_disk_reads_colours(opened, tmp_path):
    record = with_pictures(tmp_path, different(), ["expected", "actual"])
    (tmp_path / record.artefacts["actual"]).write_bytes(png(400, 300, (12, 34, 56)))
    page = opened(write_report(tmp_path, run_of(record)).as_uri())

    colour = page.evaluate("""async () => {
      const detail = await imgdiff.loader.details(0);
      const image = await imgdiff.loader.readable(detail.figures[1]);
      const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
      canvas.drawImage(image, 0, 0);
      return [...canvas.getImageData(399, 299, 1, 1).data];
    }""")
    assert colour == [12, 34, 56, 255]


def test_hostile_texts_neither_run_nor_break_the_page(opened, tmp_path):
    page = opened(write_report(tmp_path, hostile_run(tmp_path)).as_uri())

    assert page.evaluate("typeof window.hacked") == "undefined"
    assert "<script>window.hacked = 1</script>" in page.evaluate("imgdiff.run.rows.map((row) => row.name)")
    assert page.locator("script:not([src])").count() == 0


def test_run_without_comparisons_does_not_look_passed(opened, tmp_path):
    page = opened(write_report(tmp_path, run_of()).as_uri())

    assert page.get_by_role("heading", level=1).inner_text() == "No image was compared"
    assert received(tmp_path / "data" / "run.js", "run")["outcome"] == "failed"


# The page without scripts


def plain(directory: Path, run: RunRecord) -> str:
    return write_report(directory, run).with_name("plain.html").as_uri()


def test_plain_page_holds_every_comparison_the_worst_first(opened, tmp_path):
    page = opened(plain(tmp_path, shop_run(tmp_path)), java_script_enabled=False)

    names = page.locator("tbody th[scope=row]").all_inner_texts()
    assert names == ["shop/basket", "shop/cart", "blog/new", "blog/warned", "blog/same", "shop/same"]
    groups = page.locator("tbody th[scope=rowgroup]").all_inner_texts()
    assert groups == ["Failed: 3", "Passed with a warning: 1", "Passed: 2"]
    first = page.locator("tbody tr:has(th[scope=row])").first
    assert first.locator("td").nth(0).inner_text() == "different"
    assert "fails perceptual: 9 000 px, 90 % > 0.5 %" in first.locator("td").nth(1).inner_text()
    links = first.get_by_role("link")
    assert links.all_inner_texts() == ["expected", "actual", "mask", "orb matches", "ssim heat"]
    assert first.locator("img").evaluate("image => [image.loading, image.naturalWidth]") == ["lazy", 400]
    links.first.click()
    assert page.url.endswith("-expected%20%231%3F.png")


def test_plain_page_says_what_did_not_run(opened, tmp_path):
    page = opened(plain(tmp_path, run_of(equal(), complete=False, unrecorded=["test_a.py::test_killed"])))

    banner = page.get_by_role("region", name="This report is incomplete")
    assert "1 of the collected items did not finish" in banner.inner_text()
    assert "test_a.py::test_killed" in banner.inner_text()
    assert page.locator("header.is-failed").count() == 1


def test_plain_page_names_the_column_of_a_merged_run(opened, tmp_path):
    page = opened(plain(tmp_path, run_of(different("a", column="firefox"), columns=["chromium", "firefox"])))

    assert page.locator("th[scope=row]").inner_text() == "a firefox"


def test_plain_page_shows_hostile_texts_as_texts(opened, tmp_path):
    page = opened(plain(tmp_path, hostile_run(tmp_path)), viewport={"width": 400, "height": 800})

    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.locator("script").count() == 0
    names = page.locator("tbody th[scope=row]").all_inner_texts()
    assert "<script>window.hacked = 1</script>" in names
    assert "{{ 7 * 7 }} {% raise %}" in names
    assert not page.evaluate(SCROLLS_SIDEWAYS)


@pytest.mark.parametrize("width", [320, 1024, 1440])
def test_plain_page_never_scrolls_sideways(opened, tmp_path, width):
    page = opened(plain(tmp_path, shop_run(tmp_path)), viewport={"width": width, "height": 800})

    assert not page.evaluate(SCROLLS_SIDEWAYS)


def test_plain_page_prints_words_and_pictures_without_links(opened, tmp_path):
    page = opened(plain(tmp_path, shop_run(tmp_path)))
    page.emulate_media(media="print")

    page.get_by_text("fails perceptual: 9 000 px").wait_for()
    page.locator("tbody img").first.wait_for()
    assert page.get_by_role("link").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_of_the_plain_page_stands_out_from_its_background(opened, tmp_path, scheme):
    records = shop_run(tmp_path).comparisons
    run = run_of(*records, complete=False, unrecorded=["x"], unused_baselines=["y"])
    page = opened(plain(tmp_path, run), color_scheme=scheme)

    assert page.evaluate(LOW_CONTRAST) == []


LOW_CONTRAST = """
() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const background = (element) => {
    for (let node = element; node; node = node.parentElement) {
      const colour = channels(getComputedStyle(node).backgroundColor);
      if (colour.length === 3) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !element.checkVisibility()) continue;
    const pair = [channels(getComputedStyle(element).color), background(element)].map(luminance);
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${element.className} ${element.textContent.slice(0, 30)}`);
  }
  return found;
}
"""
"""WCAG 2.2, 1.4.3: texts whose contrast is below 4.5 to 1."""
