"""PDF files and documents: pages are rendered and compared, and stored as the PDF that they came in."""

from __future__ import annotations

import json
import sys
import threading

import numpy as np
import PIL.Image
import pytest

from pytest_imgdiff import compare
from pytest_imgdiff.base.errors import BrokenImageError, CaptureError
from pytest_imgdiff.base.model import CaptureSettings, Policy, Verdict
from pytest_imgdiff.capture import capturer_of
from pytest_imgdiff.images import decode, read
from tests.pdf_files import HEIGHT, WIDTH, encrypted_pdf, pdf_of

WORD = "sesame"
ONE = pdf_of("Total 100")
THREE = pdf_of("Page one", "Page two", "Total 100")
SUITE = """
from pathlib import Path


def test_path(assert_images_similar):
    assert_images_similar("invoice.pdf")


def test_bytes(assert_images_similar):
    assert_images_similar(Path("invoice.pdf").read_bytes(), capture={"dpi": 72})


def test_pages(assert_images_similar):
    assert_images_similar("report.pdf", frames="all")


def test_document(assert_images_similar):
    import pypdfium2

    with pypdfium2.PdfDocument("report.pdf") as document:
        assert_images_similar(document, frames="all")


def test_page(assert_images_similar):
    import pypdfium2

    with pypdfium2.PdfDocument("report.pdf") as document:
        assert_images_similar(document[2], capture={"dpi": 72})
"""
STORED = {"test_bytes.pdf", "test_document.pdf", "test_page.png", "test_pages.pdf", "test_path.pdf"}


def write(pytester, total: str) -> None:
    (pytester.path / "invoice.pdf").write_bytes(pdf_of(total))
    (pytester.path / "report.pdf").write_bytes(pdf_of("Page one", "Page two", total))


def results(pytester) -> list[dict]:
    return json.loads((pytester.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))["comparisons"]


def test_missing_written_passes_differs_accepted_passes(pytester):
    pytester.makepyfile(test_it=SUITE)
    write(pytester, "Total 100")
    missing = pytester.runpytest_subprocess("-n", "2")
    missing.assert_outcomes(failed=5)
    missing.stdout.fnmatch_lines(["*there is no baseline baselines/test_it/test_path.pdf yet*"])

    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=5)
    folder = pytester.path / "baselines" / "test_it"
    assert {file.name for file in folder.iterdir()} == STORED
    assert (folder / "test_pages.pdf").read_bytes() == (pytester.path / "report.pdf").read_bytes()
    passes = pytester.runpytest_subprocess("-n", "2")
    passes.assert_outcomes(passed=5)
    passes.stdout.no_fnmatch_line("*unused*")

    write(pytester, "Total 108")
    differs = pytester.runpytest_subprocess()
    differs.assert_outcomes(failed=5)
    by_test = {record["test"].partition("::")[2]: record for record in results(pytester)}
    assert {name: record["actual"]["width"] for name, record in by_test.items()} == {
        "test_path": 625,
        "test_bytes": 300,
        "test_pages": 625,
        "test_document": 625,
        "test_page": 300,
    }
    assert [frame["frame"] for frame in by_test["test_pages"]["frames"]] == [2]
    for path in by_test["test_path"]["artefacts"].values():
        assert (pytester.path / "imgdiff-report" / path).read_bytes()[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0")

    accept = [sys.executable, "-m", "pytest_imgdiff", "accept", "imgdiff-report", "--only", "**"]
    assert pytester.run(*accept).ret == 0
    pytester.runpytest_subprocess("-n", "2").assert_outcomes(passed=5)


def test_an_unused_pdf_is_pruned_like_any_baseline(pytester):
    pytester.makepyfile(test_it=SUITE)
    write(pytester, "Total 100")
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=5)
    pytester.makepyfile(test_it=SUITE.partition("def test_pages")[0])
    pytester.runpytest_subprocess("--imgdiff-prune").assert_outcomes(passed=2)
    names = {file.name for file in (pytester.path / "baselines" / "test_it").iterdir()}
    assert names == {"test_bytes.pdf", "test_path.pdf"}


def test_a_page_is_rendered_on_white_at_150_dpi_or_as_asked():
    (image,) = decode(read(ONE))
    assert image.size == (WIDTH * 150 // 72, -(-HEIGHT * 150 // 72))
    assert (image.info.format, image.pixels[0, 0].tolist()) == ("PDF", [255] * 4)
    assert image.pixels[..., :3].min() == 0
    policy = Policy(capture=CaptureSettings(dpi=72))
    comparison = compare(ONE, ONE, policy)
    assert comparison.verdict is Verdict.MATCH
    assert comparison.actual.size == (WIDTH, HEIGHT)


def test_pages_are_chosen_as_frames_are():
    with pytest.raises(
        BrokenImageError, match=r"bytes: PDF: it has 3 pages; choose one \(`frames: 0`\) or compare all of them"
    ):
        decode(read(THREE))
    with pytest.raises(BrokenImageError, match="it has no page 3; its pages are 0 to 2"):
        decode(read(THREE), frames=3)
    images = decode(read(THREE), frames="all")
    (last,) = decode(read(THREE), frames=2)
    assert [image.info.frame for image in images] == [0, 1, 2]
    assert np.array_equal(images[2].pixels, last.pixels)
    assert np.array_equal(last.pixels, decode(read(ONE))[0].pixels)


def test_another_number_of_pages_fails():
    comparison = compare(THREE, pdf_of("Page one", "Page two"), Policy(frames="all"))
    assert comparison.verdict is Verdict.DIFFERENT
    assert "expected 3, actual 2" in comparison.reason


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (THREE[:-6], r"PDF: truncated: it has no end mark \(%%EOF\)"),
        (b"%PDF-1.7\nnothing\n%%EOF\n", "PDF: damaged: "),
        (pdf_of(), "PDF: damaged: "),
    ],
)
def test_a_pdf_that_is_not_whole_is_refused(data, told):
    with pytest.raises(BrokenImageError, match=told):
        decode(read(data))


def test_a_page_of_too_many_pixels_is_refused_before_it_is_rendered():
    with pytest.raises(BrokenImageError, match=r"increase `limits\.megapixels`"):
        decode(read(ONE), max_pixels=1000)


def test_an_encrypted_document_is_refused_as_a_file_and_captured_when_it_was_opened(tmp_path):
    pypdfium2 = pytest.importorskip("pypdfium2")
    path = tmp_path / "secret.pdf"
    path.write_bytes(encrypted_pdf(WORD))
    with pytest.raises(BrokenImageError, match="PDF: it is encrypted; save it without a password"):
        decode(read(path))
    with pypdfium2.PdfDocument(path, WORD) as document:
        found = capturer_of(document, CaptureSettings()).capture().picture
    assert len(decode(read(found))) == 1


def test_without_pypdfium2_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    with pytest.raises(BrokenImageError, match=r'rendered by pypdfium2: pip install "pytest-imgdiff\[pdf\]"'):
        decode(read(ONE))


def test_a_closed_document_says_so():
    pypdfium2 = pytest.importorskip("pypdfium2")
    document = pypdfium2.PdfDocument(ONE)
    page = document[0]
    document.close()
    for target in (document, page):
        with pytest.raises(CaptureError, match="closed"):
            capturer_of(target, CaptureSettings()).capture()


def test_many_threads_render_at_once():
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(decode(read(ONE))[0].pixels.tobytes())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_scan_takes_the_pdfs_that_include_names_and_tells_of_others(pytester):
    for side, total in (("expected", "Total 100"), ("actual", "Total 108")):
        (pytester.path / side).mkdir()
        (pytester.path / side / "a.pdf").write_bytes(pdf_of(total))
        PIL.Image.new("RGB", (20, 20)).save(pytester.path / side / "b.png")
    scan = "scans: [{expected: expected, actual: actual%s}]"
    (pytester.path / "imgdiff.yaml").write_text(scan % "", encoding="utf-8")
    run = pytester.runpytest_subprocess("imgdiff.yaml")
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(["*not compared: 2 .pdf*"])
    (pytester.path / "imgdiff.yaml").write_text(scan % ', include: ["**/*.pdf"]', encoding="utf-8")
    pytester.runpytest_subprocess("imgdiff.yaml").assert_outcomes(failed=1)
