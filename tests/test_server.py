"""``pytest-imgdiff serve`` as a person uses it: a real process, and a real Chromium that looks at its pages."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from pytest_imgdiff import Registry
from pytest_imgdiff.config import load_settings
from pytest_imgdiff.images import encode_png
from pytest_imgdiff.server.api import offers
from tests import warm
from tests.decided_report import NEW, OLD, Project
from tests.pictures import BLUE, RED, notes, square, trees, write
from tests.server_process import Served, serving
from tests.test_report_list import axe_script
from tests.tiny_models import SIDE, onnx_file

pytest.importorskip("flask", reason="the extra serve brings Flask")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the server is ended by a signal that Windows lacks")

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Browser, Page


COMMAND = [sys.executable, "-m", "pytest_imgdiff", "serve"]
SCROLLS_SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
DROP = """([selector, files]) => {
    const data = new DataTransfer();
    for (const [name, bytes] of files) data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
    const place = document.querySelector(selector);
    place.dispatchEvent(new DragEvent("dragover", { bubbles: true, cancelable: true, dataTransfer: data }));
    place.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data }));
}"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Iterator[Served]:
    """A server without a report, where there is no imgdiff.yaml."""
    with serving(tmp_path_factory.mktemp("bare")) as served:
        yield served


@contextmanager
def looked_at(browser: Browser, served: Served, *, expected: Sequence[str] = (), **settings: Any) -> Iterator[Page]:
    """Open a page; in the end nothing else may have been complained of, nor anything asked of anybody else."""
    complaints: list[str] = []
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **settings})
    page = context.new_page()
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", lambda request: complaints.append(request.url) if is_foreign(request.url) else None)

    def is_foreign(address: str) -> bool:
        return not address.startswith((served.address, "data:", f"blob:{served.address}"))

    yield page
    context.close()
    assert complaints == [*expected]


@pytest.fixture
def page(browser: Browser, bare: Served) -> Iterator[Page]:
    with looked_at(browser, bare) as page:
        page.goto(f"{bare.address}/")
        yield page


def encoded(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def portrait(path: Path, *, changed: bool) -> Path:
    """A picture with something for every metric to see."""
    pixels = np.random.default_rng(3).integers(0, 256, (12, 16, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    if changed:
        pixels[40:90, 60:160] = RED
    return write(path, pixels)


# ---- Two pictures through the page


def test_two_pictures_are_uploaded_judged_and_shown(page, tmp_path):
    page.set_input_files("#expected-files", portrait(tmp_path / "a/face.png", changed=False))
    expect(page.get_by_role("button", name="Compare")).to_be_disabled()
    page.set_input_files("#actual-files", portrait(tmp_path / "b/face.png", changed=True))
    expect(page.locator("#pairs")).to_have_text("1 pair")
    page.get_by_role("checkbox", name=re.compile("^orb ")).check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/jobs/*/#open=*")

    viewer = page.locator("#viewer")
    glance = page.get_by_role("region", name="At a glance")
    for card in ("Pixel match", "SSIM", "ORB"):
        expect(glance.get_by_text(card, exact=True)).to_be_visible()
    expect(glance.locator("img")).to_have_count(4)  # both pictures, where they differ, ORB's matches
    expect(glance).to_contain_text("classification: not measured: model ")
    viewer.get_by_role("button", name="Side by side").click()
    expect(viewer).to_contain_text("face.png")
    expect(viewer).to_contain_text("fails perceptual")
    for name in ("perceptual", "ssim", "pixel_match", "diffimg", "orb", "phash"):
        expect(viewer.get_by_role("rowheader", name=re.compile(rf"^{name}\b"))).to_be_visible()
    for view in ("Heat", "ORB matches"):
        expect(viewer.get_by_role("button", name=view)).to_be_enabled()
    results = page.evaluate("fetch('results.json').then((answer) => answer.json())")
    (comparison,) = results["comparisons"]
    assert {"expected", "actual", "mask", "ssim_heat", "orb_matches"} <= set(comparison["artefacts"])
    assert comparison["region_count"] == 1
    assert page.get_by_role("button", name="Accept now").count() == 0


def test_progress_is_told_while_pairs_are_judged(page, tmp_path):
    for side in ("expected", "actual"):
        for number in range(12):
            pixels = np.random.default_rng(number).integers(0, 256, (300, 300, 3), np.uint8)
            pixels[:40, :40] = BLUE if side == "expected" else RED
            write(tmp_path / side / f"{number}.png", pixels)
        page.set_input_files(f"#{side}-folder", tmp_path / side)
    page.evaluate("""() => {
        const words = document.getElementById("progress-words");
        new MutationObserver(() => sessionStorage.setItem("seen", `${sessionStorage.getItem("seen") ?? ""}${words.textContent}\\n`))
            .observe(words, { childList: true });
    }""")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/jobs/*/")
    seen = page.evaluate("sessionStorage.getItem('seen')").splitlines()
    assert seen[0] == "Sending"
    assert any(re.fullmatch(r"Comparing: \d+ of 12 pairs", line) for line in seen)
    expect(page.get_by_role("heading", level=1)).to_have_text("12 of 12 comparisons failed")


def test_two_folders_are_paired_by_name(page, tmp_path):
    trees(tmp_path)
    notes(tmp_path)
    for side in ("expected", "actual"):
        page.set_input_files(f"#{side}-folder", tmp_path / side)
        expect(page.locator(f"#{side}-words")).to_have_text("3 images")  # note.txt is none
    expect(page.locator("#pairs")).to_have_text("2 pairs with the same name, 1 only expected, 1 only actual")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/jobs/*/")
    results = page.evaluate("fetch('results.json').then((answer) => answer.json())")
    found = {comparison["name"]: comparison["verdict"] for comparison in results["comparisons"]}
    assert found == {"same.png": "match", "sub/other.png": "different", "gone.png": "unmatched", "new.png": "missing"}


def test_pictures_are_dropped_and_cleared(page):
    page.evaluate(DROP, ["#expected-drop", [["old.png", list(OLD)]]])
    page.evaluate(DROP, ["#actual-drop", [["new.png", list(NEW)], ["notes.txt", [1, 2]]]])
    expect(page.locator("#pairs")).to_have_text("1 pair")
    assert page.locator("#expected-preview img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 8
    page.get_by_role("button", name="Clear actual").click()
    expect(page.locator("#pairs")).to_have_text("Choose images on both sides.")
    expect(page.get_by_role("button", name="Compare")).to_be_disabled()


def test_metrics_are_chosen_by_the_keyboard_alone(page, tmp_path):
    for side in ("expected", "actual"):
        page.set_input_files(f"#{side}-files", portrait(tmp_path / f"{side}.png", changed=side == "actual"))
    page.get_by_role("button", name="All or none").focus()
    page.keyboard.press("Enter")  # all that can be
    page.keyboard.press("Enter")  # none
    expect(page.locator("input[name=metric]:checked")).to_have_count(0)
    page.get_by_role("checkbox", name="Also show a glance").uncheck()
    page.get_by_role("checkbox", name=re.compile("^ssim ")).focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("0.25")
    page.get_by_label("Find regions with").select_option("ssim")
    page.get_by_role("button", name="Compare").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*/#open=*")
    (comparison,) = page.evaluate("fetch('results.json').then((answer) => answer.json())")["comparisons"]
    assert [(score["metric"], score["limit"]) for score in comparison["scores"]] == [("ssim", 0.25)]
    assert comparison["mask_metric"] == "ssim"


def test_what_is_refused_is_told_on_the_page_and_can_be_mended(browser, bare, tmp_path):
    unsupported = "error: Failed to load resource: the server responded with a status of 415 (UNSUPPORTED MEDIA TYPE)"
    with looked_at(browser, bare, expected=[unsupported]) as page:
        page.goto(f"{bare.address}/upload")
        page.set_input_files("#expected-files", write(tmp_path / "a.png", square(RED)))
        (tmp_path / "b.png").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
        page.set_input_files("#actual-files", tmp_path / "b.png")
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_role("alert")).to_have_text("actual b.png: SVG: vector graphics; render it to PNG")
        expect(page.get_by_role("alert")).to_be_focused()
        page.set_input_files("#actual-files", tmp_path / "a.png")
        page.get_by_role("button", name="Compare").click()
        page.wait_for_url("**/jobs/*/#open=*")


def test_an_upload_is_deleted_from_its_page(page, bare, tmp_path):
    picture = write(tmp_path / "a.png", square(RED))
    for side in ("expected", "actual"):
        page.set_input_files(f"#{side}-files", picture)
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/jobs/*/#open=*")
    address = page.url.partition("#")[0]
    job = address.rstrip("/").rpartition("/")[2]
    assert next(bare.temporary.rglob(job)).is_dir()
    page.goto(f"{address}#")
    page.get_by_role("button", name="Delete this upload").click()
    page.wait_for_url("**/upload")
    assert bare.get(f"/jobs/{job}/").status == 404
    assert list(bare.temporary.rglob(job)) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1440])
def test_axe_finds_no_violation_and_nothing_scrolls_sideways(browser, bare, scheme, width):
    script = axe_script()
    with looked_at(
        browser, bare, viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
    ) as page:
        page.goto(f"{bare.address}/upload")
        assert not page.evaluate(SCROLLS_SIDEWAYS)
        page.evaluate(script)
        found = page.evaluate("axe.run()")["violations"]
        assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []


# ---- A report in which accepting acts at once


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path / "project")


def test_accepting_on_the_page_writes_the_baseline_at_once(browser, project):
    project.changed("menu")
    project.page()
    with serving(project.root, project.report) as served, looked_at(browser, served) as page:
        page.goto(served.address)
        expect(page.locator("#served")).to_contain_text("Accept now replaces baselines by accepted images")
        page.get_by_text("menu", exact=True).first.click()
        page.locator("#viewer").get_by_role("button", name="Accept now").click()
        expect(page.get_by_role("dialog").filter(has_text="Results")).to_contain_text("accepted: menu")
        assert (project.root / "baselines/menu.png").read_bytes() == NEW


def test_baseline_that_has_changed_meanwhile_is_left_alone(browser, project):
    project.changed("menu")
    project.page()
    with serving(project.root, project.report) as served, looked_at(browser, served) as page:
        page.goto(f"{served.address}/index.html")
        project.put(project.root / "baselines/menu.png", OLD + b"\0")
        page.get_by_text("menu", exact=True).first.click()
        page.locator("#viewer").get_by_role("button", name="Accept now").click()
        expect(page.get_by_role("dialog").filter(has_text="Results")).to_contain_text("refused: menu: stale")
        assert (project.root / "baselines/menu.png").read_bytes() == OLD + b"\0"


def test_report_that_is_stale_says_so_when_it_is_opened(browser, project):
    for name in ("menu", "cart"):
        project.changed(name)
    project.page()
    project.put(project.root / "baselines/menu.png", OLD + b"\0")
    with serving(project.root, project.report) as served, looked_at(browser, served) as page:
        page.goto(served.address)
        page.get_by_text("1 image of this report can no longer be accepted").click()
        expect(page.locator("#stale li")).to_contain_text("stale: the baseline baselines/menu.png has changed since")


def test_baselines_are_written_below_the_root_that_is_named(project):
    project.changed("menu")
    project.page()
    with serving(project.root.parent, project.report, "--root", project.root) as served:
        answer = served.post("/api/accept", {"decisions": project.decisions()})
    assert answer.json == {
        "results": [
            {"name": "menu", "column": None, "result": "accepted", "line": "accepted: menu: baselines/menu.png"}
        ],
        "done": True,
    }
    assert (project.root / "baselines/menu.png").read_bytes() == NEW


def test_in_a_sub_folder_the_root_is_found_above(project):
    project.changed("menu")
    project.page()
    (project.root / ".git").touch()
    (project.root / "tests").mkdir()
    with serving(project.root / "tests", "../imgdiff-report") as served:
        assert served.post("/api/accept", {"decisions": project.decisions()}).json["done"]
    assert (project.root / "baselines/menu.png").read_bytes() == NEW


def test_a_folder_that_has_none_of_the_baselines_is_said_once(project):
    for name in ("menu", "cart"):
        project.changed(name)
    project.page()
    (project.root.parent / "elsewhere").mkdir()
    with serving(project.root.parent / "elsewhere", project.report) as served:
        answer = served.post("/api/accept", {"decisions": project.decisions()})
    assert answer.status == 400
    assert "nor their folders are below this folder" in answer.json["error"]


def test_report_drawn_again_is_served_anew(project):
    project.changed("menu")
    project.page()
    with serving(project.root, project.report) as served:
        assert "1 of 1" in served.get("/").body.decode()
        project.changed("cart")
        project.page()
        assert "2 of 2" in served.get("/").body.decode()
        first = served.get("/assets/main.js")
        again = served.get("/assets/main.js", If_None_Match=first.header("ETag"))
        assert (first.status, again.status) == (200, 304)


# ---- The endpoints


def test_what_answers_says_so(bare):
    assert bare.get("/api/version").json == {
        "name": "pytest-imgdiff",
        "version": bare.get("/api/version").json["version"],
        "api": 1,
        "report": False,
        "limits": {"bytes": 200_000_000, "pictures": 2000, "pixels": 100_000_000},
    }


def test_metrics_that_lack_their_model_say_what_to_do(bare):
    offers = {offer["name"]: offer for offer in bare.get("/api/metrics").json["metrics"]}
    assert set(offers) >= {"perceptual", "pixel_match", "diffimg", "ssim", "orb", "phash", "dhash", "ahash", "whash"}
    assert all(offers[name]["unavailable"] is None for name in ("perceptual", "ssim", "orb"))
    for name in ("embedding_cosine", "embedding_euclidean", "classification"):
        assert "pytest-imgdiff models fetch" in offers[name]["unavailable"]


def test_a_metric_of_a_plugin_is_listed_as_its_class_says(tmp_path):
    class Silent:
        """How loud the difference is.

        And more.
        """

        name, direction, perfect, bounds = "silent", "similarity", 1.0, (0.0, 1.0)
        counts_pixels, unit, heat_threshold = False, "share", "none"

        def measure(self, expected, actual, ignore):
            raise NotImplementedError

    class Talking(Silent):
        name, summary, group, usual_limit = "talking", "what is said", "structure", 0.8

    class Confusing(Silent):
        name, summary, group, usual_limit = "confusing", 3, "loud", "much"

    class Plugin:
        def imgdiff_metrics(self):
            return {"silent": Silent, "talking": Talking, "confusing": Confusing}

    registry = Registry([Plugin()])
    listed = {offer.name: offer for offer in offers(registry, load_settings(None, registry, folder=tmp_path))}
    said = {name: (listed[name].group, listed[name].words, listed[name].value) for name in Plugin().imgdiff_metrics()}
    assert said == {
        "silent": ("From plugins", "How loud the difference is.", 1.0),
        "talking": ("Structure", "what is said", 0.8),
        "confusing": ("From plugins", "", 1.0),
    }
    assert next(iter(listed)) == "visible"
    assert list(listed)[-2:] == ["confusing", "silent"]


def test_an_upload_that_takes_more_than_memory_is_refused_by_name(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "imgdiff.yaml").write_text("memory: 64\n")
    with serving(folder) as served:
        sides = [
            (side, "deep.png", encode_png(np.full((3000, 3000, 4), value, np.uint16)))
            for side, value in (("expected", 0x5555), ("actual", 0x9999))
        ]
        told = served.finished(served.upload(sides).json["id"])
        (comparison,) = served.get(f"{told['report']}results.json").json["comparisons"]
    assert (told["state"], told["passed"], comparison["verdict"]) == ("done", False, "broken")
    assert comparison["reason"].startswith("expected deep.png: PNG: decoding it and one more of its size takes about")
    assert "more than `memory` allows (64 MiB); it was not decoded; increase `memory`" in comparison["reason"]


def test_upload_is_judged_by_the_policy_of_the_configuration(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    config = "metrics: {perceptual: {max: 0}}\noverrides: [{match: 'photos/**', metrics: {ssim: {min: 0.1}}}]\n"
    (folder / "imgdiff.yaml").write_text(config)
    one, two = (portrait(tmp_path / name, changed=name == "b").read_bytes() for name in ("a", "b"))
    with serving(folder) as served:
        parts = [
            (side, name, data)
            for side, data in (("expected", one), ("actual", two))
            for name in ("photos/x.png", "y.png")
        ]
        told = served.finished(served.upload(parts).json["id"])
        comparisons = served.get(f"{told['report']}results.json").json["comparisons"]
    assert (told["state"], told["passed"], told["done"], told["total"]) == ("done", False, 2, 2)
    assert told["line"] == "2 comparisons: 1 failed (1 different), 1 passed (1 differ below the limits)"
    assert {one["name"]: [score["metric"] for score in one["scores"]] for one in comparisons} == {
        "photos/x.png": ["ssim"],
        "y.png": ["perceptual"],
    }


def test_all_that_the_original_service_told_of_two_pictures(tmp_path):
    """Pixels, ORB, SSIM, the distances of embeddings and the classes of both pictures, by models that are named."""
    folder = tmp_path / "project"
    model = onnx_file(folder / "tiny.onnx").name
    common = f"model: {model}, cache: models, input_size: {SIDE}, backend: onnx"
    rules = f"embedding_cosine: {{max: 1.9, {common}}}, embedding_euclidean: {{max: 99, {common}}}, classification: {{min: 0.001, {common}}}"
    (folder / "imgdiff.yaml").write_text(f"metrics: {{{rules}}}\n")
    one, two = (portrait(tmp_path / name, changed=name == "b").read_bytes() for name in ("a", "b"))
    limits = {
        "diffimg": 0.9,
        "orb": 0.001,
        "ssim": 0,
        "embedding_cosine": 1.9,
        "embedding_euclidean": 99,
        "classification": 0.001,
    }
    with serving(folder) as served:
        settings = {"metrics": limits, "mask": "ssim"}
        parts = [
            ("settings", None, json.dumps(settings).encode()),
            ("expected", "one.png", one),
            ("actual", "two.png", two),
        ]
        told = served.finished(served.upload(parts).json["id"])
        (comparison,) = served.get(f"{told['report']}results.json").json["comparisons"]
    assert told["line"] == "1 comparison: 1 passed (1 differ below the limits)"
    assert told["passed"]
    scores = {score["metric"]: score for score in comparison["scores"]}
    assert set(scores) == set(limits)
    assert scores["embedding_euclidean"]["value"] > 0
    assert len(scores["classification"]["details"]["expected"]) == 5
    assert {"ssim_heat", "orb_matches", "mask"} <= set(comparison["artefacts"])
    assert (comparison["expected"]["label"], comparison["actual"]["label"]) == ("expected two.png", "actual two.png")


def test_sizes_that_differ_are_treated_as_asked(bare):
    small, large = (encoded(square(RED, side)) for side in (40, 60))
    parts = [("settings", None, b'{"size": "pad"}'), ("expected", "a.png", small), ("actual", "a.png", large)]
    told = bare.finished(bare.upload(parts).json["id"])
    (comparison,) = bare.get(f"{told['report']}results.json").json["comparisons"]
    assert (comparison["size_policy"], comparison["compared_width"]) == ("pad", 60)


def test_job_whose_model_is_missing_says_so(bare):
    parts = [
        ("settings", None, b'{"metrics": {"embedding_cosine": 0.1}}'),
        ("expected", "a.png", OLD),
        ("actual", "a.png", NEW),
    ]
    told = bare.finished(bare.upload(parts).json["id"])
    assert (told["state"], told["report"]) == ("failed", None)
    assert "pytest-imgdiff models fetch" in told["line"]


def test_results_are_kept_for_the_last_uploads_only(bare):
    jobs = []
    for _ in range(22):
        jobs.append(bare.upload([("expected", "a.png", OLD), ("actual", "a.png", OLD)]).json["id"])
        bare.finished(jobs[-1])
    bare.finished(bare.upload([("expected", "a.png", OLD), ("actual", "a.png", NEW)]).json["id"])
    assert bare.get(f"/jobs/{jobs[0]}/").status == 404
    assert bare.get(f"/jobs/{jobs[-1]}/").status == 200
    folders = next(bare.temporary.glob("imgdiff-*"))
    assert len(list(folders.iterdir())) <= 21
    assert list(folders.glob("*/expected")) == []  # the uploads themselves are gone at once


# ---- The command


def told_by(*arguments: object, folder: Path) -> str:
    """Return the one line that a refused command prints."""
    done = warm.run([*COMMAND, *arguments], cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line.removeprefix("pytest-imgdiff: ")


def test_folder_that_is_no_report(tmp_path):
    assert (
        told_by(".", folder=tmp_path)
        == ".: not a report: index.html is missing; pass the folder of a report, or no REPORT"
    )


def test_root_that_is_none(tmp_path):
    line = told_by("--root", "nowhere", folder=tmp_path)
    assert line == "--root nowhere: this folder does not exist; pass the root of the baselines' paths"


def test_port_that_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = told_by("--port", port, folder=tmp_path)
    assert line == f"127.0.0.1:{port} cannot be bound: Address already in use; use another --host or --port"


def test_configuration_that_cannot_be_followed(tmp_path):
    (tmp_path / "imgdiff.yaml").write_text("metrics: {ssim: {min: 2}}\n")
    assert "imgdiff.yaml:1:" in told_by(folder=tmp_path)


def test_without_flask_one_line_names_the_extra(tmp_path):
    code = "import sys; sys.modules['flask'] = sys.modules['werkzeug'] = None; from pytest_imgdiff.cli.parser import main; sys.exit(main(['serve']))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )
    line = "pytest-imgdiff: serve needs Flask, which is not installed; run pip install 'pytest-imgdiff[serve]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_other_hosts_are_warned_of_and_numbers_alone_are_answered(tmp_path):
    warning = (
        "pytest-imgdiff: warning: --host 0.0.0.0 is reachable from other machines; their users can see and accept "
        "the images\n"
    )
    with serving(tmp_path, "--host", "0.0.0.0", warning=warning) as served:  # noqa: S104 - what is tested
        assert served.get("/api/version").status == 200
        assert served.get("/api/version", Host=f"192.0.2.7:{served.port}").status == 200
        assert served.get("/api/version", Host=f"rebound.example:{served.port}").status == 403


def test_forwarded_port_is_answered_where_it_is_allowed(tmp_path):
    with serving(tmp_path, "--allow-host", "localhost:9000") as served:
        assert served.get("/api/version", Host="localhost:9000").status == 200
        assert served.get("/api/version", Host="localhost:9001").status == 403


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_ended_in_mid_job_it_leaves_nothing_behind(tmp_path, number):
    folder = tmp_path / "here"
    folder.mkdir()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    noise = [encoded(np.random.default_rng(seed).integers(0, 256, (500, 500, 3), np.uint8)) for seed in (1, 2)]
    process = subprocess.Popen(
        [*COMMAND, "--port", "0"],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
    served = Served(process, port, temporary)
    parts = [
        (side, f"{index}.png", data)
        for side, data in zip(("expected", "actual"), noise, strict=True)
        for index in range(12)
    ]
    job = served.upload([("settings", None, b'{"metrics": {"ssim": 0.5, "orb": 0.5}}'), *parts]).json["id"]
    while served.get(f"/api/jobs/{job}").json["state"] == "waiting":
        time.sleep(0.01)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, said) == (0, "")
    assert list(temporary.iterdir()) == []
