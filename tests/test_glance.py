"""Two pictures at a glance: every number, both labels, contours and matches on one screen, in a real Chromium."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys

import cv2
import numpy as np
import pytest

from pytest_imgdiff.cli.parser import main
from pytest_imgdiff.networks.backends import quiet
from tests.metric_pictures import photograph
from tests.pictures import write
from tests.server_process import serving
from tests.test_contours import wheels
from tests.test_report_list import axe_script
from tests.test_server import DROP, looked_at
from tests.viewer_pages import open_at

expect = pytest.importorskip("playwright.sync_api", reason="the test extra brings playwright").expect

__all__ = ["open_at"]

CARDS = ["Pixel match", "SSIM", "ORB", "Cosine distance", "Euclidean distance", "Classification"]
OUT_OF_SIGHT = """
() => [...document.querySelectorAll('.glance, .glance *')].filter((one) => {
  const { top, left, right, bottom, width } = one.getBoundingClientRect();
  const floor = document.getElementById('decide-bar').getBoundingClientRect().top || innerHeight;
  return width && (top < 0 || left < 0 || right > innerWidth + 0.5 || bottom > floor + 0.5);
}).map((one) => `${one.className || one.tagName} ${one.textContent}`)
"""
SETTLED = "() => [...document.querySelectorAll('.glance img')].every((image) => image.complete && image.naturalWidth)"


@pytest.fixture(scope="module", autouse=True)
def _tensorflow():
    """Import it when a test runs: processes that only collect these tests do not wait for it."""
    with quiet():
        pytest.importorskip("tensorflow")


def configuration(models):
    feature, classes = models / "mobilenet_v2_feature_vector", models / "mobilenet_v2_classification"
    labels = models / "ImageNetLabels.txt"
    return f"""measure:
  - embedding_cosine: {{model: '{feature}', cache: cache, device: cpu}}
  - embedding_euclidean: {{model: '{feature}', cache: cache, device: cpu}}
  - classification: {{model: '{classes}', labels: '{labels}', cache: cache, device: cpu}}
"""


def make_project(folder, models):
    """Write two photographs, one of which has two wheels, and the settings that name the trained models."""
    (folder / "imgdiff.yaml").write_text(configuration(models), encoding="utf-8")
    expected, actual, _ = wheels("chelsea")
    write(folder / "a.png", expected)
    encoded = cv2.imencode(".jpg", actual[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    (folder / "b.jpg").write_bytes(encoded.tobytes())


@pytest.fixture
def project(tmp_path, monkeypatch, shared_fixtures):
    """The folder of a test that runs the comparison itself."""
    monkeypatch.chdir(tmp_path)
    make_project(tmp_path, shared_fixtures / "models")
    return tmp_path


@pytest.fixture(scope="module")
def compared(tmp_path_factory, shared_fixtures):
    """The folder with the report of both pictures, the exit code and what was printed."""
    folder = tmp_path_factory.mktemp("compared")
    make_project(folder, shared_fixtures / "models")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as output:
        patch.chdir(folder)
        code = main(["compare", "a.png", "b.jpg", "--glance"])
    return folder, code, output.getvalue()


def glanced(open_at, folder, **settings):
    page = open_at((folder / "imgdiff-glance").as_uri(), **settings)
    page.wait_for_selector(".glance .glance-card")
    page.wait_for_function(SETTLED)
    return page


def texts(page, selector):
    return page.locator(selector).all_inner_texts()


def test_all_of_it_is_above_the_fold(compared, open_at):
    folder, code, output = compared
    assert code == 1
    assert re.search(r"measured: +ssim: 0\.93", output)
    assert re.search(
        r"measured: +classification: the same class, expected Egyptian cat 80\.\d %, actual Egyptian cat \d\d\.\d %",
        output,
    )
    assert "report: imgdiff-glance/index.html" in output

    page = glanced(open_at, folder)
    assert texts(page, ".glance-card dt") == CARDS
    assert page.evaluate(OUT_OF_SIGHT) == []
    labels = texts(page, ".glance-label")
    assert [label.rsplit(" ", 2)[0] for label in labels] == ["Egyptian cat", "Egyptian cat"]
    assert all(re.fullmatch(r".* \d\d\.\d %", label) for label in labels)
    assert page.locator(".glance img").count() == 4  # both pictures, where they differ, ORB's matches
    for side in ("expected", "actual"):
        assert page.locator(f".is-{side} polygon.line").count() == 2
    assert page.evaluate("() => document.querySelector('.is-matches img').naturalWidth") == 2 * 451


def test_the_contours_lie_on_the_wheels(compared, open_at):
    page = glanced(open_at, compared[0])
    boxes = page.evaluate("""() => {
        const image = document.querySelector('.is-actual img').getBoundingClientRect();
        const scale = image.width / 451;
        return [...document.querySelectorAll('.is-actual polygon.line')].map((polygon) => {
            const { left, top, width, height } = polygon.getBoundingClientRect();
            return [(left + width / 2 - image.left) / scale, (top + height / 2 - image.top) / scale];
        });
    }""")
    assert np.allclose(boxes, [(300, 200), (100, 80)], atol=5)
    page.get_by_role("button", name="Side by side").click()
    assert page.locator(".pane").first.locator(".outlines polygon.line").count() == 2


def test_a_picture_leads_to_its_view_and_back(compared, open_at):
    page = glanced(open_at, compared[0])
    for place, view in ((".is-actual", "Side by side"), (".is-heat", "Heat"), (".is-matches", "ORB matches")):
        page.locator(f"{place} .glance-frame").click()
        expect(page.get_by_role("button", name=view)).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".stage")).to_be_visible()
        expect(page.locator(".glance")).to_be_hidden()
        page.keyboard.press("9")
        expect(page.locator(".glance")).to_be_visible()
    page.keyboard.press("1")
    measured = page.get_by_role("table", name="Measured only")
    expect(measured.get_by_role("rowheader")).to_have_count(6)
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1440])
def test_axe_finds_no_violation_and_nothing_scrolls_sideways(compared, open_at, scheme, width):
    size = {"width": width, "height": 900}
    page = glanced(open_at, compared[0], viewport=size, color_scheme=scheme, bypass_csp=True)
    sideways = "() => ['html', '#viewer', '.glance'].filter((name) => { const one = document.querySelector(name); return one.scrollWidth > one.clientWidth; })"
    assert page.evaluate(sideways) == []
    page.evaluate(axe_script())
    found = page.evaluate("axe.run('#viewer', { preload: false })")["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []


def test_tall_pictures_fit_as_well(project, open_at):
    picture = photograph("astronaut", 512, 260)
    write(project / "a.png", picture)
    changed = picture.copy()
    cv2.circle(changed, (100, 300), 40, (20, 20, 20), -1)
    write(project / "b.png", changed)
    main(["compare", "a.png", "b.png", "--glance"])
    page = glanced(open_at, project)
    assert page.evaluate(OUT_OF_SIGHT) == []
    assert page.locator(".is-actual .glance-frame").bounding_box()["height"] > 300


def test_equal_pictures_say_so(project, open_at, capsys):
    write(project / "c.png", photograph("chelsea"))
    assert main(["compare", "a.png", "c.png", "--glance"]) == 0
    assert "measured: ssim: 1" in capsys.readouterr().out
    page = glanced(open_at, project)
    assert texts(page, ".glance-card b") == ["100 %", "1", "1", "0", "0", "same class"]
    assert "Nowhere: the images are equal" in page.locator(".is-heat").inner_text()


def test_what_cannot_be_measured_is_said_in_its_place(project, open_at):
    (project / "imgdiff.yaml").unlink()
    flat = np.full((200, 300, 3), 120, np.uint8)
    write(project / "a.png", flat)
    flat[50:90, 50:90] = 200
    write(project / "b.png", flat)
    option = "metrics.perceptual.max=0"
    assert main(["compare", "a.png", "b.png", "--glance", "--set", option]) == 1
    page = glanced(open_at, project)
    assert "orb found" in page.locator(".is-matches").inner_text()
    assert "classification: not measured: model https://" in page.locator(".glance-classes").inner_text()


def test_other_reports_open_with_their_list(project, open_at):
    assert main(["compare", "a.png", "b.jpg", "--report", "imgdiff-glance", "--set", "measure=[]"]) == 1
    page = open_at((project / "imgdiff-glance").as_uri())
    expect(page.locator("#viewer")).to_be_hidden()
    page.locator("[data-line]").last.click()
    expect(page.locator("#viewer")).to_be_visible()
    expect(page.get_by_role("button", name="At a glance")).to_be_hidden()


def test_folders_are_measured_pair_by_pair(project):
    for side, name in (("one", "a.png"), ("two", "b.jpg")):
        for target in ("x.png", "y.png"):
            picture = cv2.imread(name)
            write(project / side / target, np.ascontiguousarray(picture[: 200 if target == "x.png" else 300, :, ::-1]))
    assert main(["compare", "one", "two", "--glance", "--json", "out.json"]) == 1
    records = json.loads((project / "out.json").read_text(encoding="utf-8"))["comparisons"]
    assert [sum(score.get("measured", False) for score in record["scores"]) for record in records] == [6, 6]
    assert all("orb_matches" in record["artefacts"] for record in records)


@pytest.mark.skipif(sys.platform == "win32", reason="the server is ended by a signal that Windows lacks")
def test_two_dropped_pictures_are_shown_at_a_glance(project, browser):
    with serving(project) as served, looked_at(browser, served) as page:
        page.goto(f"{served.address}/upload")
        for side, name in (("expected", "a.png"), ("actual", "b.jpg")):
            page.evaluate(DROP, [f"#{side}-drop", [[name, list((project / name).read_bytes())]]])
        page.get_by_role("button", name="Compare").click()
        page.wait_for_url("**/jobs/*/#open=*view=glance*", timeout=120_000)  # three models are loaded
        page.wait_for_function(SETTLED)
        assert texts(page, ".glance-card dt") == CARDS
        assert [label.rsplit(" ", 2)[0] for label in texts(page, ".glance-label")] == ["Egyptian cat", "Egyptian cat"]
        assert page.evaluate(OUT_OF_SIGHT) == []
