"""Several frames or pages in one file: each one that fails is found, kept, shown and accepted in sight."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.TiffImagePlugin
import pytest

from pytest_imgdiff.base.model import Policy, Rule, Verdict
from pytest_imgdiff.cli.parser import main
from pytest_imgdiff.comparison.engine import compare
from pytest_imgdiff.report import failure_text, read_results
from tests.viewer_pages import await_pictures, open_at

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_imgdiff.base.record import ComparisonRecord

__all__ = ["open_at"]

ALL = Policy(frames="all")
SIZE = (200, 100)
WHITE, RED, BLUE, BLACK = (255, 255, 255), (255, 0, 0), (0, 0, 255), (0, 0, 0)
HEADER, FOOTER, SIDE = (0, 0, 31, 31), (0, 60, 200, 40), (150, 20, 20, 60)


def sheet(*marks: tuple[tuple[int, int, int, int], tuple[int, int, int]]) -> PIL.Image.Image:
    picture = PIL.Image.new("RGB", SIZE, WHITE)
    for (x, y, width, height), colour in marks:
        picture.paste(colour, (x, y, x + width, y + height))
    return picture


def document(*pages: PIL.Image.Image, kind: str = "TIFF", **options: Any) -> bytes:
    stream = io.BytesIO()
    if kind in {"PNG", "WEBP"}:
        options.setdefault("lossless", True)
    pages[0].save(stream, kind, save_all=True, append_images=list(pages[1:]), **options)
    return stream.getvalue()


PLAIN = sheet()
DOCUMENT = document(PLAIN, PLAIN, PLAIN, PLAIN)
INVOICE = document(sheet((HEADER, RED)), PLAIN, sheet((FOOTER, BLUE)), PLAIN)
CONTRACT = document(sheet((HEADER, RED)), PLAIN, sheet((SIDE, BLACK)), PLAIN)
LETTER = document(sheet((HEADER, RED)), PLAIN, PLAIN, PLAIN)
OTHER_INVOICE = document(PLAIN, sheet((FOOTER, BLUE)), sheet((HEADER, RED)), sheet((HEADER, RED)))


@pytest.fixture
def compared(tmp_path, monkeypatch, capsys):
    """Compare two folders of documents and return what the report holds, by name."""
    monkeypatch.chdir(tmp_path)

    def run(frames: str = "all", **actual: bytes) -> dict[str, ComparisonRecord]:
        for name, content in actual.items():
            for folder, written in (("e", DOCUMENT), ("a", content)):
                (tmp_path / folder).mkdir(exist_ok=True)
                (tmp_path / folder / f"{name}.tiff").write_bytes(written)
        assert main(["compare", "e", "a", "--set", f"frames={frames}", "--report", "r"]) == 1
        capsys.readouterr()
        return {record.name: record for record in read_results(tmp_path / "r/results.json").comparisons}

    return run


def groups(report: Path) -> dict[str, str | None]:
    text = (report / "data/run.js").read_text()
    rows = json.loads(text[text.index("{") : text.rindex("}") + 1])["rows"]
    return {row["name"]: row["change"] for row in rows}


# What is found


def test_every_frame_that_fails_is_named_and_described():
    comparison = compare(DOCUMENT, INVOICE, ALL)

    assert (comparison.verdict, comparison.frame_count) == (Verdict.DIFFERENT, 4)
    assert [frame.index for frame in comparison.frames] == [0, 2]
    first, second = comparison.frames
    assert [first.scores[0].details["pixels"], second.scores[0].details["pixels"]] == [31 * 31, 200 * 40]
    assert (second.regions[0].box.y, second.region_count, second.compared) == (60, 1, SIZE)
    assert comparison.expected.info.frame == 0


def test_frames_that_pass_are_not_listed_and_those_with_a_warning_are():
    policy = Policy(frames="all", metrics=(Rule("pixel_match", min=0.1, warn=0.9),))
    comparison = compare(DOCUMENT, INVOICE, policy)

    assert comparison.passed
    assert [(frame.index, frame.passed, frame.verdict) for frame in comparison.frames] == [(2, True, Verdict.MATCH)]


def test_of_one_chosen_frame_nothing_is_said_of_the_others():
    comparison = compare(DOCUMENT, INVOICE, Policy(frames=2))
    assert (comparison.frame_count, comparison.frames) == (1, ())


def test_what_is_noted_of_any_frame_is_noted_of_the_pair():
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    changed = sheet(((5, 5, 1, 1), (254, 254, 254)))
    stream = io.BytesIO()
    with PIL.TiffImagePlugin.AppendingTiffWriter(stream) as writer:
        for page, options in ((changed, {}), (changed, {"icc_profile": profile})):
            page.save(writer, "TIFF", **options)
            writer.newFrame()
    comparison = compare(document(PLAIN, PLAIN), stream.getvalue(), ALL)

    assert comparison.passed
    (warning,) = comparison.warnings
    assert warning.startswith("the colour profiles (ICC) differ (expected none, actual ")
    assert comparison.differing_pixels == 2


def test_where_the_numbers_of_frames_differ_those_of_both_are_compared():
    comparison = compare(DOCUMENT, document(PLAIN, sheet((HEADER, RED)), PLAIN), ALL)

    assert comparison.reason == "the numbers of frames differ: expected 4, actual 3"
    assert [frame.index for frame in comparison.frames] == [1]


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP"])
def test_a_frame_that_is_damaged_is_no_pass_although_those_before_it_are_equal(kind):
    colours = [PIL.Image.new("RGB", SIZE, (value, 0, 0)) for value in (0, 80, 160)]
    whole = document(*colours, kind=kind)
    cut = whole[: len(whole) * 3 // 4]
    for pair in ((whole, cut), (cut, whole), (cut, cut), (None, cut), (cut, None)):
        comparison = compare(*pair, Policy(frames="all", missing="allow", unmatched="allow"))
        assert (comparison.verdict, comparison.passed) == (Verdict.BROKEN, False)


def test_damage_that_only_decoding_finds_is_told_of_either_side():
    def damaged(label: str) -> bytes:
        content = bytearray(document(*(sheet((HEADER, (value, 0, 0))) for value in (0, 80, 160)), kind="GIF"))
        content[-20:-2] = b"\0" * 18 if label == "actual" else b"\1" * 18
        return bytes(content)

    comparison = compare(damaged("expected"), damaged("actual"), ALL)
    assert comparison.verdict is Verdict.BROKEN
    assert comparison.reason.count("bytes: GIF: truncated or damaged") == 2


def test_one_page_of_a_long_document_stands_in_memory_at_a_time():
    pages = [PIL.Image.new("L", (1000, 1000), value) for value in range(0, 200, 10)]
    long, other = (document(*some, compression="tiff_deflate") for some in (pages, pages[::-1]))
    pixels = 1000 * 1000 * 4
    tracemalloc.start()
    comparison = compare(long, other, Policy(frames="all", metrics=(Rule("mse", max=0.5),), mask="pixel_match"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(comparison.frames) == len(pages)
    assert peak < 20 * pixels, f"{peak / pixels:.1f} pages; all of both are {2 * len(pages)}"


# Time


def animation(kind: str, durations: list[int], loop: int = 0) -> bytes:
    pages = [sheet((HEADER, (value, 0, 0))) for value in (0, 80, 160, 240)]
    return document(*pages, kind=kind, duration=durations, loop=loop)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_durations_that_differ_are_a_difference(kind):
    usual = animation(kind, [100, 100, 100, 100])
    comparison = compare(usual, animation(kind, [100, 100, 100, 200]), ALL)

    assert (comparison.verdict, comparison.passed) == (Verdict.DIFFERENT, False)
    assert comparison.reason == "the durations of frames differ: frame 3: 100 ms, 200 ms"
    assert compare(usual, animation(kind, [100, 100, 100, 200]), Policy(frames=1)).passed


def test_many_durations_that_differ_are_counted():
    comparison = compare(animation("GIF", [100] * 4), animation("GIF", [200, 300, 400, 500]), ALL)
    assert comparison.reason == (
        "the durations of frames differ: frame 0: 100 ms, 200 ms; frame 1: 100 ms, 300 ms; frame 2: 100 ms, 400 ms; "
        "and of 1 more"
    )


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_of_two_formats_with_the_same_time_are_alike(kind):
    comparison = compare(animation("GIF", [100, 50, 20, 200]), animation(kind, [100, 50, 20, 200]), ALL)
    assert (comparison.passed, comparison.reason) == (True, None)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_that_ends_is_another_than_one_that_does_not(kind):
    comparison = compare(animation(kind, [100] * 4), animation(kind, [100] * 4, loop=1), ALL)
    plays = "2 times" if kind == "GIF" else "once"
    assert comparison.reason == f"the animations are played differently often: expected forever, actual {plays}"


def test_pil_images_have_their_time_too():
    expected, actual = (PIL.Image.open(io.BytesIO(animation("GIF", [100, 100, 100, last]))) for last in (100, 200))
    assert compare(expected, actual, ALL).reason == "the durations of frames differ: frame 3: 100 ms, 200 ms"


# JPEG with several pictures


def pictures(*colours: tuple[int, int, int]) -> bytes:
    return document(*(PIL.Image.new("RGB", (48, 40), colour) for colour in colours), kind="MPO")


def test_all_pictures_of_a_jpeg_are_compared_where_all_frames_are_asked_for():
    comparison = compare(pictures(RED, WHITE), pictures(RED, BLUE), ALL)
    assert [frame.index for frame in comparison.frames] == [1]
    assert compare(pictures(RED, WHITE), pictures(RED, BLUE), Policy(frames=0)).passed
    assert not compare(pictures(RED, WHITE), pictures(RED, BLUE), Policy(frames=1)).passed


def test_of_a_jpeg_whose_frames_nobody_named_the_first_picture_is_compared_with_a_note():
    comparison = compare(pictures(RED, WHITE), pictures(RED, BLUE))
    assert comparison.passed
    assert "bytes: it holds several images (MPF); the first is compared" in comparison.notes


def test_pictures_of_a_jpeg_that_are_not_all_there_are_refused():
    whole = pictures(RED, WHITE, BLUE)
    for end in range(len(whole) // 2, len(whole), 97):
        comparison = compare(whole, whole[:end], ALL)
        assert comparison.verdict is Verdict.BROKEN
        assert "JPEG: truncated" in comparison.reason


def test_an_index_of_pictures_that_is_damaged_is_refused():
    whole = pictures(RED, WHITE)
    at = whole.index(b"MPF\0") + 4
    told = set()
    for place in range(at, at + 80):
        for value in (0, 255):
            broken = bytearray(whole)
            broken[place] = value
            comparison = compare(whole, bytes(broken), ALL)
            assert comparison.passed or comparison.reason
            told.add(comparison.verdict)
    assert Verdict.BROKEN in told


# What is kept


def test_the_pictures_and_scores_of_every_failing_frame_are_recorded(compared, tmp_path):
    record = compared(invoice=INVOICE)["invoice.tiff"]

    assert (record.frame_count, [frame.frame for frame in record.frames]) == (4, [0, 2])
    kept = [frame.artefacts for frame in record.frames]
    assert all(set(pictures) == {"expected", "actual", "mask", "thumb"} for pictures in kept)
    second = np.asarray(PIL.Image.open(tmp_path / "r" / kept[1]["actual"]).convert("RGB"))
    assert tuple(second[99, 0]) == BLUE
    mask = np.asarray(PIL.Image.open(tmp_path / "r" / kept[1]["mask"]))
    assert mask[60:].all()
    assert not mask[:60].any()
    assert record.artefacts == kept[0]


def test_the_words_name_the_frames_and_what_accepting_replaces(compared):
    record = compared(invoice=INVOICE)["invoice.tiff"]
    text = failure_text(record, directory=None)

    assert "2 of 4 frames fail: 0, 2 (counted from 0; the rest is about frame 0)" in text
    assert "would pass" not in text  # the strongest evidence that there is


def test_a_failing_test_says_what_accepting_replaces(pytester):
    pytester.path.joinpath("new.tiff").write_bytes(INVOICE)
    pytester.makepyfile("def test_it(assert_images_similar):\n    assert_images_similar('new.tiff', frames='all')\n")
    baseline = pytester.path / "baselines/test_a_failing_test_says_what_accepting_replaces/test_it.tiff"
    baseline.parent.mkdir(parents=True)
    baseline.write_bytes(DOCUMENT)

    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["*accept: *--imgdiff-update=failed*", "*replaces: *all 4 frames; 2 fail"])


def test_pictures_of_frames_are_kept_where_they_are_asked_for_only(compared, tmp_path):
    (tmp_path / "imgdiff.yaml").write_text("report: {pictures: none}\n")
    record = compared(invoice=INVOICE)["invoice.tiff"]
    assert [frame.artefacts for frame in record.frames] == [{}, {}]


def test_the_same_change_is_that_of_all_failing_frames(compared, tmp_path):
    compared(invoice=INVOICE, contract=CONTRACT, letter=LETTER, other_invoice=OTHER_INVOICE)
    found = groups(tmp_path / "r")

    assert found["invoice.tiff"] == found["other_invoice.tiff"] is not None
    assert found["contract.tiff"] is found["letter.tiff"] is None


def test_accepting_says_how_many_frames_it_replaces(compared, tmp_path, capsys):
    compared(invoice=INVOICE)
    assert main(["accept", "r", "--only", "**"]) == 0

    assert capsys.readouterr().out.splitlines()[0] == (
        "accepted: invoice.tiff: e/invoice.tiff (replaces all 4 frames; 2 fail)"
    )
    assert (tmp_path / "e/invoice.tiff").read_bytes() == INVOICE


def test_accepting_says_so_where_one_frame_was_compared(compared, capsys):
    compared("2", invoice=INVOICE)
    assert main(["accept", "r", "--only", "**"]) == 0
    assert "(replaces all 4 frames; only frame 2 was compared)" in capsys.readouterr().out


def test_frames_of_a_pil_image_are_never_stored_as_one_picture(pytester):
    pytester.makepyfile(
        """
        import io
        import PIL.Image

        def test_it(assert_images_similar):
            stream = io.BytesIO()
            pages = [PIL.Image.new("RGB", (9, 9), (value, 0, 0)) for value in (0, 200)]
            pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
            assert_images_similar(PIL.Image.open(stream), frames="all")
        """
    )
    result = pytester.runpytest("--imgdiff-update=all")
    result.stdout.fnmatch_lines(["*its 2 frames cannot be stored as one image; pass the file or the bytes*"])
    result.assert_outcomes(failed=1)
    assert not list(pytester.path.glob("baselines/**/*.png"))


# The page


@pytest.fixture
def viewer(compared, tmp_path, open_at):
    compared(invoice=INVOICE, contract=CONTRACT, letter=LETTER, other_invoice=OTHER_INVOICE)

    def opened(name: str, **settings: Any):
        page = open_at((tmp_path / "r").as_uri(), **settings)
        anchor = page.evaluate("(name) => imgdiff.run.rows.find((row) => row.name === name).anchor", name)
        page.evaluate("(open) => imgdiff.state.set({ open }, true)", anchor)
        page.wait_for_function("(name) => imgdiff.viewing.subject?.row.name === name", arg=name)
        await_pictures(page)
        return page

    return opened


def test_the_viewer_shows_each_frame_that_fails(viewer):
    page = viewer("invoice.tiff")
    chooser = page.get_by_role("combobox", name="Frame that differs")

    assert chooser.locator("option").all_inner_texts() == ["Frame 0", "Frame 2"]
    assert page.locator(".region-words").all_inner_texts() == ["31x31 at 0,0 (added)"]
    chooser.select_option("2")
    page.wait_for_function("() => imgdiff.viewing.subject.frame.frame === 2")
    await_pictures(page)
    assert page.locator(".region-words").all_inner_texts() == ["200x40 at 0,60 (added)"]
    assert page.locator(".of-frame").inner_text().startswith("Showing frame 2: fails visible: 8 000 px")
    assert page.url.endswith("frame=2")
    assert colour_under(page, 100, 90) == BLUE
    page.keyboard.press("}")
    page.get_by_text("This is the last frame that differs").first.wait_for()
    page.keyboard.press("{")
    page.wait_for_function("() => imgdiff.viewing.subject.frame.frame === 0")
    assert colour_under(page, 5, 5) == RED
    page.keyboard.press("j")
    page.wait_for_function("() => imgdiff.viewing.subject.row.name !== 'invoice.tiff'")
    assert "frame=" not in page.url


def colour_under(page, x: int, y: int) -> tuple[int, ...]:
    """Return the colour of the actual picture that is shown, where the page may read it."""
    await_pictures(page)
    return tuple(
        page.evaluate(
            """async ([x, y]) => {
              const image = await imgdiff.loader.readable(imgdiff.viewing.subject.actual);
              const canvas = document.createElement("canvas");
              canvas.width = image.naturalWidth;
              canvas.height = image.naturalHeight;
              const pen = canvas.getContext("2d");
              pen.drawImage(image, 0, 0);
              return [...pen.getImageData(x, y, 1, 1).data].slice(0, 3);
            }""",
            [x, y],
        )
    )


def test_the_page_says_what_accepting_replaces(viewer):
    page = viewer("invoice.tiff")
    assert page.locator(".replaces").inner_text() == "Accept replaces all 4 frames; 2 fail."
    page.keyboard.press("a")
    assert "invoice.tiff accepted; this replaces all 4 frames of the file" in page.locator("#decide-bar").inner_text()


@pytest.mark.parametrize("width", [1440, 400])
def test_the_frame_chooser_fits_the_screen(viewer, width):
    page = viewer("invoice.tiff", viewport={"width": width, "height": 860})
    box = page.locator(".viewer-settings .frames").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_comparison_of_one_frame_has_no_chooser(tmp_path, monkeypatch, open_at, capsys):
    monkeypatch.chdir(tmp_path)
    sheet().save("e.png")
    sheet((HEADER, RED)).save("a.png")
    assert main(["compare", "e.png", "a.png", "--report", "r"]) == 1
    capsys.readouterr()
    page = open_at((tmp_path / "r").as_uri())
    page.evaluate("() => imgdiff.viewer.open(0)")
    page.wait_for_function("() => imgdiff.viewing.subject")
    assert page.locator(".viewer-settings .frames").is_hidden()
    assert page.locator(".replaces").count() == 0
