"""Failing pairs, reported as what was inserted, deleted and moved; and the policy that allows plain space to move."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from pytest_imgdiff import Comparison, Policy, compare
from pytest_imgdiff.base.geometry import Box
from pytest_imgdiff.base.model import Length, MaskArea, RectangleArea, Verdict
from pytest_imgdiff.base.record import ComparisonRecord, record_of
from pytest_imgdiff.comparison.fingerprint import fingerprint
from pytest_imgdiff.report.html_data import same_change
from pytest_imgdiff.report.words import failure_text, verdict_line
from tests.image_files import png
from tests.test_alignment import WHITE, banner, cards, inserted, page, two_columns

ALLOW = Policy(moved="allow")


def line(comparison: Comparison) -> str:
    return verdict_line(record_of(comparison))


def test_a_banner_in_a_page_that_grows() -> None:
    before = page()
    judged = compare(before, inserted(before, banner(43), 60))
    assert (judged.verdict, judged.passed) == (Verdict.RESIZED, False)
    assert [(region.kind, region.box) for region in judged.regions] == [("inserted", Box(0, 60, 400, 43))]
    assert judged.mask is not None
    assert judged.mask.sum() == 43 * 400
    assert judged.mask[60:103].all()
    words = "43 rows inserted at y = 60; the rest equal, moved down by 43"
    assert words in line(judged)
    assert words in failure_text(record_of(judged), directory=None)


def test_a_banner_in_a_page_of_fixed_height() -> None:
    before = page()
    judged = compare(before, inserted(before, banner(43), 60)[:300])
    assert (judged.verdict, judged.passed) == (Verdict.DIFFERENT, False)
    assert [region.kind for region in judged.regions] == ["inserted", "deleted"]
    assert "43 rows inserted at y = 60" in line(judged)
    assert line(judged).startswith("fails ")


def test_swapped_sides_say_deleted() -> None:
    before = page()
    judged = compare(inserted(before, banner(43), 60), before)
    assert [(region.kind, region.box) for region in judged.regions] == [("deleted", Box(0, 60, 400, 43))]
    assert "43 rows deleted at y = 60; the rest equal, moved up by 43" in line(judged)


def test_what_still_differs_is_a_region_of_its_own() -> None:
    before = page()
    after = inserted(before, banner(43), 60)
    after[200:204, 50:54] = (255, 0, 0, 255)
    judged = compare(before, after)
    assert judged.regions[0].kind == "inserted"
    assert len(judged.regions) == 2
    small = judged.regions[1].box
    assert (small.x, small.y, small.width, small.height) == (50, 200, 4, 4)
    assert "1 more region differs" in line(judged)


def test_an_item_in_one_of_two_columns() -> None:
    judged = compare(two_columns([10, 11, 12, 13]), two_columns([10, 11, 99, 12, 13]))
    assert [region.kind for region in judged.regions] == ["inserted"]
    assert "30 rows inserted" in line(judged)


def test_a_card_in_the_other_column() -> None:
    judged = compare(cards([1, 2, 3, 4], [5, 6]), cards([1, 3, 4], [2, 5, 6]))
    assert (judged.verdict, judged.passed) == (Verdict.DIFFERENT, False)
    ((kind, box, moved),) = [(region.kind, region.box, region.moved) for region in judged.regions]
    assert (kind, box, moved) == ("moved", Box(260, 20, 220, 60), (240, -70))
    assert judged.mask is not None
    assert judged.mask.sum() == 220 * 60
    words = "220x60 at 20,90 moved by 240,-70; the rest equal"
    assert words in line(judged)
    assert words in failure_text(record_of(judged), directory=None)
    assert not compare(cards([1, 2, 3, 4], [5, 6]), cards([1, 3, 4], [2, 5, 6]), ALLOW).passed


def test_pictures_of_unequal_size_that_nothing_explains_are_drawn_from_the_top_left() -> None:
    before = page(100, 120, right=100)
    after = np.random.default_rng(1).integers(0, 256, (140, 120, 4), np.uint8)
    after[..., 3] = 255
    judged = compare(before, after)
    assert judged.verdict is Verdict.RESIZED
    assert judged.alignment is None
    assert judged.mask is not None
    assert judged.mask.shape == (140, 120)


def test_a_changed_text_stays_in_place() -> None:
    before = page()
    after = before.copy()
    after[70:80, 60:300] = page(seed=7)[70:80, 60:300]
    assert compare(before, after).alignment is None


def test_the_record_has_the_bands() -> None:
    before = page()
    record = record_of(compare(before, inserted(before, banner(43), 60)))
    data = msgspec.json.decode(msgspec.json.encode(record))
    assert data["alignment"] == {
        "bands": [
            {
                "kind": "inserted",
                "axis": "rows",
                "expected": [0, 60, 400, 0],
                "actual": [0, 60, 400, 43],
                "plain": False,
                "moved": False,
            }
        ],
        "moves": [],
        "layout": [
            {"x": 0, "y": 0, "expected": [0, 0, 400, 60], "actual": [0, 0, 400, 60]},
            {"x": 0, "y": 60, "expected": [0, 60, 400, 0], "actual": [0, 60, 400, 43]},
            {"x": 0, "y": 103, "expected": [0, 60, 400, 240], "actual": [0, 103, 400, 240]},
        ],
    }
    assert msgspec.json.decode(msgspec.json.encode(record), type=ComparisonRecord) == record


@pytest.mark.parametrize("grows", [True, False])
@pytest.mark.parametrize("is_deleted", [True, False])
def test_one_banner_on_many_pages_is_one_change(*, grows: bool, is_deleted: bool) -> None:
    marks = []
    for seed, y in ((1, 60), (2, 120), (3, 180)):
        before = page(400, seed=seed)
        after = inserted(before, banner(43), y)
        if not grows:  # the end of the page that is cut off is equal on all pages
            before = np.concatenate([before, np.full((43, 400, 4), WHITE, np.uint8)])
        pair = (after, before) if is_deleted else (before, after)
        judged = compare(*pair)
        assert judged.compared is not None
        assert judged.mask is not None
        marks.append(fingerprint(*judged.compared, judged.mask, judged.regions, judged.expected))
    assert len(set(same_change(marks).values())) == 1
    other = compare(page(400), inserted(page(400), banner(90), 60))
    assert other.compared is not None
    assert other.mask is not None
    mark = fingerprint(*other.compared, other.mask, other.regions, other.expected)
    assert mark not in same_change([*marks, mark])


def space(rows: int, colour: int = WHITE) -> np.ndarray:
    plain = np.full((rows, 400, 4), colour, np.uint8)
    plain[..., 3] = 255
    return plain


def test_plain_space_passes_where_the_policy_says_so() -> None:
    before = page()
    after = inserted(before, space(12), 44)
    for pair in ((before, after), (after, before)):
        assert not compare(*pair).passed
        judged = compare(*pair, ALLOW)
        assert judged.passed
        assert "12 plain rows" in line(judged)
        assert "(allowed by the policy)" in line(judged)


def test_plain_space_within_a_page_of_fixed_height() -> None:
    before = np.concatenate([page(), space(60)])
    after = inserted(page(), space(12), 44)
    after = np.concatenate([after, space(48)])
    judged = compare(before, after, ALLOW)
    assert (judged.verdict, judged.passed) == (Verdict.DIFFERENT, True)
    assert not compare(before, after).passed


def test_plain_columns() -> None:
    before = page()
    after = np.concatenate([before[:, :8], before[:, :5], before[:, 8:]], axis=1)
    assert compare(before, after, ALLOW).passed


def bar(height: int) -> np.ndarray:
    """A chart of one bar beside another."""
    pixels = space(200)
    pixels[180 - height : 180, 50:100, :3] = (200, 0, 0)
    pixels[80:180, 150:200, :3] = (0, 0, 200)
    return pixels


def swapped_words() -> tuple[np.ndarray, np.ndarray]:
    one, other = page(), page()
    one[50:60], other[50:60] = page()[50:60], page()[90:100]
    one[90:100], other[90:100] = page()[90:100], page()[50:60]
    return one, other


def faint_row() -> np.ndarray:
    rows = space(12)
    rows[5, 100, 0] = 254
    return rows


def edited(y: int) -> np.ndarray:
    after = inserted(page(), space(12), 44)
    after[y, 60, 1] ^= 1
    return after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(page(), inserted(page(), banner(43), 60), id="a banner"),
        pytest.param(page(), inserted(page(), space(12, 0), 44), id="a black bar"),
        pytest.param(page(), inserted(page(), space(12, 254), 44), id="a bar that hardly shows"),
        pytest.param(page(), inserted(page(), faint_row(), 44), id="one pixel by one level in the space"),
        pytest.param(page(), edited(200), id="one pixel by one level beside the space"),
        pytest.param(page(), inserted(page(), space(40), 44)[:300], id="a line of text cut off"),
        pytest.param(page(), np.concatenate([page()[:48], page()[68:]]), id="a line of text deleted"),
        pytest.param(bar(60), bar(90), id="a longer bar"),
        pytest.param(bar(90), bar(60), id="a shorter bar"),
        pytest.param(*swapped_words(), id="two lines that changed places"),
        pytest.param(two_columns([1, 2]), two_columns([2, 1]), id="two items that changed places"),
        pytest.param(two_columns([1, 2, 3]), two_columns([1, 3]), id="an item deleted"),
        pytest.param(cards([1, 2, 3], [4]), cards([1, 3], [2, 4]), id="a card in the other column"),
    ],
)
def test_content_never_passes_as_space(before: np.ndarray, after: np.ndarray) -> None:
    for pair in ((before, after), (after, before)):
        assert not compare(*pair, ALLOW).passed


def test_deep_pictures_differ_below_8_bits() -> None:
    before = page().astype(np.uint16) * 257
    after = inserted(before, space(12).astype(np.uint16) * 257, 44)
    assert compare(before, after, ALLOW).passed
    after[48, 100, 0] -= 1
    assert not compare(before, after, ALLOW).passed


def test_pairs_with_ignore_areas_do_not_pass_as_space() -> None:
    area = RectangleArea(*(Length(value) for value in (0, 0, 10, 10)))
    after = inserted(page(), space(12), 44)
    assert not compare(page(), after, Policy(moved="allow", ignore=(area,))).passed


def area(x: int, y: int, width: int, height: int) -> RectangleArea:
    return RectangleArea(*(Length(value) for value in (x, y, width, height)))


@pytest.mark.parametrize("grows", [True, False])
def test_ignore_areas_cover_their_place_in_either_picture(*, grows: bool) -> None:
    """A clock below a banner that was inserted: the area is where it was before."""
    before = page()
    after = inserted(before, banner(43), 60)
    before[210:220, 300:340] = (200, 0, 0, 255)
    after[253:263, 300:340] = (0, 0, 200, 255)
    after[20:24, 20:30] = (0, 200, 0, 255)
    if not grows:
        after = after[:300]
    policy = Policy(ignore=(area(300, 210, 40, 10), area(20, 20, 10, 4)))
    judged = compare(before, after, policy)
    assert not judged.passed
    assert {region.kind for region in judged.regions} == ({"inserted"} if grows else {"inserted", "deleted"})
    assert judged.mask is not None
    assert not judged.mask[253:263, 300:340].any()
    assert not judged.mask[20:24, 20:30].any()
    assert judged.ignored == pytest.approx(440 / (after.shape[0] * 400))
    assert len(compare(before, after).regions) == len(judged.regions) + 2


def test_a_pair_of_unequal_size_fails_though_all_that_differs_is_ignored() -> None:
    before = page()
    judged = compare(before, inserted(before, banner(43), 60), Policy(ignore=(area(0, 0, 400, 400),)))
    assert (judged.verdict, judged.passed, judged.regions) == (Verdict.RESIZED, False, ())
    assert "the sizes differ" in line(judged)


def test_an_ignored_part_of_a_band_is_not_marked() -> None:
    before = page()
    judged = compare(before, inserted(before, banner(43), 60), Policy(ignore=(area(0, 0, 400, 70),)))
    assert judged.mask is not None
    assert not judged.mask[:70].any()
    assert judged.mask[70:103].all()
    assert [(region.kind, region.area) for region in judged.regions] == [("inserted", 33 * 400)]


def test_ignore_areas_of_pictures_that_cannot_be_aligned() -> None:
    before = page(100, 120, right=100)
    after = np.random.default_rng(1).integers(0, 256, (140, 120, 4), np.uint8)
    after[..., 3] = 255
    judged = compare(before, after, Policy(ignore=(area(10, 10, 50, 60),)))
    assert judged.alignment is None
    assert judged.mask is not None
    assert judged.mask.any()
    assert not judged.mask[10:70, 10:60].any()


def test_an_ignore_mask_of_one_of_two_sizes(tmp_path: Path) -> None:
    from tests.pictures import write

    before = page()
    after = inserted(before, banner(43), 60)
    after[253:263, 300:340] = (0, 0, 200, 255)
    drawn = np.zeros((300, 400, 3), np.uint8)
    drawn[205:225, 290:350] = 255
    write(tmp_path / "mask.png", drawn)
    judged = compare(before, after, Policy(ignore=(MaskArea(str(tmp_path / "mask.png")),)))
    assert [region.kind for region in judged.regions] == ["inserted"]
    assert any("applied to one image at the most" in note for note in judged.notes)


def test_sidebars_that_stay_while_the_page_between_them_moves_are_no_part_of_it(root: Path) -> None:
    guide = [root / "examples" / side / "pages" / "guide_full.png" for side in ("expected", "actual")]
    regions = compare(*guide).regions
    assert {region.kind for region in regions} == {"inserted", "moved", "removed"}
    assert (0, 0) not in {region.moved for region in regions}
    assert all(region.box.x > 200 and region.box.x + region.box.width < 1020 for region in regions)


@pytest.mark.parametrize("kind", [0, 2])
def test_how_files_store_rows_changes_nothing(kind: int) -> None:
    """Rows whose stored form differs and whose pixels do not are not evidence."""
    before, after = two_columns([10, 11, 12, 13]), two_columns([10, 11, 99, 12, 13])
    rows = [[pixels[:, :, :3].reshape(len(pixels), -1)] for pixels in (before, after)]
    if kind == 2:  # Up, for one of them alone: no row is stored as in the other
        rows[1][0] = np.diff(rows[1][0], axis=0, prepend=np.zeros_like(rows[1][0][:1]))
    filters = (b"\0", bytes([kind]))
    stored = [b"".join(filter_ + row.tobytes() for row in side[0]) for side, filter_ in zip(rows, filters, strict=True)]
    files = [png((400, 300), 8, 2, data) for data in stored]
    assert compare(*files).regions == compare(before, after).regions


def test_moved_is_a_key_of_the_settings(pytester: pytest.Pytester) -> None:
    from tests.pictures import write

    for folder, pixels in (("expected", page()), ("actual", inserted(page(), space(12), 44))):
        write(Path(folder) / "page.png", pixels[..., :3])
    assert pytester.runpytest_subprocess("--imgdiff-scan", "expected", "actual").ret == pytest.ExitCode.TESTS_FAILED
    pytester.path.joinpath("imgdiff.yaml").write_text("moved: allow\n", encoding="utf-8")
    assert pytester.runpytest_subprocess("--imgdiff-scan", "expected", "actual").ret == pytest.ExitCode.OK
    (record,) = msgspec.json.decode(Path("imgdiff-report/results.json").read_bytes())["comparisons"]
    assert record["passed"]
    assert record["reason"].endswith("only plain space was inserted or deleted")


def test_explaining_two_png_files_imports_numpy_and_opencv_alone(tmp_path: Path) -> None:
    """Pillow and what downloads models take as long to import as a small pair takes in all."""
    expected = np.full((200, 120, 4), 255, np.uint8)
    expected[20:180:9, 10:90] = 40
    for name, pixels in (("a.png", expected), ("b.png", np.roll(expected, 40, axis=0))):
        cv2.imwrite(str(tmp_path / name), pixels)
    code = """
        import sys
        from pathlib import Path
        from pytest_imgdiff import Policy, Rule, compare

        comparison = compare(Path("a.png"), Path("b.png"), Policy((Rule("visible", max=1.0),)))
        assert comparison.regions and not comparison.passed
        print([name for name in ("PIL", "skimage", "scipy", "http.client", "numpy", "cv2") if name in sys.modules])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['numpy', 'cv2']"
