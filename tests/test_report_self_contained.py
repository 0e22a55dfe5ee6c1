"""The report as one file that is sent and opened alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_imgdiff.base.errors import ReportError
from pytest_imgdiff.report import write_report
from pytest_imgdiff.report.html import inlined, write_self_contained
from pytest_imgdiff.report.html_data import SHARD
from tests.report_records import HOSTILE_NAMES, different, equal, perceptual, png, run_of, with_pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from pytest_imgdiff.base.record import RunRecord


POLICY = (
    "default-src 'none'; img-src 'self' file: data:; style-src 'self' file:; script-src 'self' file:; base-uri 'none'"
)
COLOUR = """async ([comparison, figure]) => {
  const detail = await imgdiff.loader.details(comparison);
  const image = await imgdiff.loader.readable(detail.figures[figure]);
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
  canvas.drawImage(image, 0, 0);
  return [...canvas.getImageData(1, 1, 1, 1).data];
}"""


@pytest.fixture
def opened_alone(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Write a run's report in one file, move it away from its pictures, and open it; nothing else may be asked for."""
    complaints: list[str] = []
    context = browser.new_context()

    def open_it(run: RunRecord, templates: Path | None = None) -> Page:
        alone = tmp_path / "alone" / "sent.html"
        alone.parent.mkdir()
        write_self_contained(tmp_path / "report", run, templates=templates).rename(alone)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: complaints.append(request.url) if is_foreign(request.url, alone) else None)
        page.goto(alone.as_uri())
        return page

    yield open_it
    context.close()
    assert complaints == []


def is_foreign(address: str, alone: Path) -> bool:
    return not address.startswith(("data:", "blob:")) and address.partition("#")[0] != alone.as_uri()


def test_one_file_holds_pictures_details_and_page(opened_alone, tmp_path):
    record = with_pictures(tmp_path / "report", different("shop/cart"))
    (tmp_path / "report" / record.artefacts["actual"]).write_bytes(png(40, 30, (12, 34, 56)))
    page = opened_alone(run_of(record, equal("shop/same")))

    assert page.get_by_role("heading", level=1).inner_text() == "1 of 2 comparisons failed"
    assert page.evaluate("imgdiff.run.rows.map((row) => row.name)") == ["shop/cart", "shop/same"]
    assert page.evaluate(COLOUR, [0, 1]) == [12, 34, 56, 255]
    assert page.evaluate("imgdiff.run.rows[0].thumb").startswith("data:image/png;base64,")
    page.get_by_text("shop/cart").first.wait_for()


def test_details_of_every_row_are_inside(opened_alone):
    page = opened_alone(run_of(*(different(f"{index}", notes=[f"note {index}"]) for index in range(2 * SHARD + 1))))

    notes = page.evaluate("""async () => {
      const details = await Promise.all(imgdiff.run.rows.map((row, index) => imgdiff.loader.details(index)));
      return details.map((detail) => detail.notes[0]);
    }""")
    assert notes == [f"note {index}" for index in range(2 * SHARD + 1)]


def test_report_in_one_file_stands_beside_the_folder_it_was_drawn_from(tmp_path):
    page = write_report(tmp_path, run_of(with_pictures(tmp_path, different())), self_contained=True)

    assert page == tmp_path / "report.html"
    assert (tmp_path / "index.html").is_file()
    assert 'href="plain.html"' not in page.read_text(encoding="utf-8")


def test_picture_stands_once_however_often_it_is_shown(tmp_path):
    records = [with_pictures(tmp_path, different(f"{index}"), ["expected", "actual"]) for index in range(5)]
    text = write_self_contained(tmp_path, run_of(*records)).read_text(encoding="utf-8")

    assert len(set(re.findall(r"data:image/png;base64,[\w+/=]+", text))) == 2
    assert text.count("data:image/png") == 2


def test_picture_that_is_missing_is_left_out(opened_alone):
    page = opened_alone(run_of(different(artefacts={"actual": "pictures/none.png", "thumb": "pictures/none.jpg"})))

    assert page.evaluate("imgdiff.run.rows[0].thumb") is None
    assert page.evaluate("imgdiff.loader.details(0).then((detail) => detail.figures)") == []


def test_hostile_texts_neither_run_nor_break_the_file(opened_alone, tmp_path):
    def hostile(name: str) -> Any:
        score = perceptual(metric=name, details={"pixels": 3, name: name})
        changes = {"test": name, "reason": name, "notes": [name], "accept": name, "scores": [score]}
        return with_pictures(tmp_path / "report", different(name, **changes))

    page = opened_alone(run_of(*map(hostile, HOSTILE_NAMES), title=HOSTILE_NAMES[1], unused_baselines=[*HOSTILE_NAMES]))

    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.evaluate("imgdiff.run.rows.length") == len(HOSTILE_NAMES)
    assert page.title().endswith(HOSTILE_NAMES[1])


def test_policy_allows_the_scripts_inside_and_no_other(browser, tmp_path):
    page = browser.new_page()
    page.goto(write_self_contained(tmp_path, run_of(different())).as_uri())

    page.evaluate("""() => {
      const script = document.createElement("script");
      script.textContent = "window.hacked = 1";
      document.body.append(script);
    }""")
    assert page.evaluate("[typeof window.hacked, typeof imgdiff.run]") == ["undefined", "object"]
    page.close()


def test_users_asset_may_hold_what_would_end_its_element(opened_alone, tmp_path):
    assets = tmp_path / "templates" / "assets"
    assets.mkdir(parents=True)
    (tmp_path / "templates" / "report.html.j2").write_text(
        '{% extends "!report.html.j2" %}{% block footer %}'
        '<link rel="stylesheet" media="screen" href="assets/shop.css"><script src="assets/shop.js" defer></script>'
        "{% endblock %}",
        encoding="utf-8",
    )
    script = """window.shop = ["</script>", `<!-- </SCRIPT>`, /<!--/u.source, "\\r\\n".length];\r\n// caf\xe9\n"""
    (assets / "shop.js").write_bytes(b"\xef\xbb\xbf" + script.encode())
    (assets / "logo.png").write_bytes(png(1, 1, (0, 0, 0)))
    (assets / "shop.css").write_bytes(b'\xef\xbb\xbfbody::after { content: "</style>"; }\r\n')
    page = opened_alone(run_of(different()), tmp_path / "templates")

    assert page.evaluate("window.shop") == ["</script>", "<!-- </SCRIPT>", "\\x3c!--", 2]
    assert page.evaluate("getComputedStyle(document.body, '::after').content") == '"</style>"'


def test_page_that_links_what_is_no_asset_is_told(tmp_path):
    own = tmp_path / "templates"
    own.mkdir()
    (own / "report.html.j2").write_text('<script src="elsewhere/shop.js"></script>', encoding="utf-8")

    with pytest.raises(ReportError, match=r"the page links 'elsewhere/shop\.js', which is not an asset"):
        write_self_contained(tmp_path / "report", run_of(different()), templates=own)


def test_scripts_run_in_their_order_at_the_end_of_the_body():
    page = (
        "<html>\n<head><link  HREF='a.css' rel=stylesheet media=print>\n<script defer src=\"one.js\"></script>"
        "<script src=two.js></script ></head>\n<body>text</body></html>"
    )
    texts = {"a.css": "p {}", "one.js": "1", "two.js": "2"}
    assert inlined(page, texts.get) == (
        '<html>\n<head><style media="print">p {}</style>\n</head>\n'
        "<body>text<script>1</script>\n<script>2</script>\n</body></html>"
    )


@given(
    st.lists(
        st.sampled_from([*"<>/!- \n'`a", "</script", "</SCRIPT>", "<!--", "-->", "<script", "]]>"]), max_size=12
    ).map("".join)
)
def test_no_text_of_a_script_ends_its_element(text):
    page = inlined('<body><script src="a.js"></script><p>after</p></body>', {"a.js": text}.get)

    # A parser reads the text of a script up to the first end tag (HTML, 13.2.5.4).
    script, after = re.fullmatch(
        r"<body><p>after</p><script>(.*?)</script(.*)", page, re.DOTALL | re.IGNORECASE
    ).groups()
    assert after == ">\n</body>"
    assert "<!--" not in script
    assert script.replace("\\x3c", "<") == text


def test_policy_of_the_page_names_hashes_in_place_of_what_lay_beside_it():
    page = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><script src="a.js"></script>'
    assert inlined(page, {"a.js": "alert(1)"}.get) == (
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'none'; "
        "script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='; base-uri 'none'\">"
        "<script>alert(1)</script>\n"
    )
