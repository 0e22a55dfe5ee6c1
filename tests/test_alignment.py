"""What was inserted, deleted and moved: found from pixels alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.geometry import Alignment, Box
from pytest_imgdiff.comparison.alignment import align

WHITE = 255


def page(height: int = 300, width: int = 400, seed: int = 1, left: int = 20, right: int = 380) -> np.ndarray:
    """Lines of text-like marks on white, parted by blank rows."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 4), WHITE, np.uint8)
    for top in range(10, height - 10, 20):
        marks = rng.random((10, right - left)) < 0.4
        pixels[top : top + 10, left:right][marks] = (30, 30, 60, 255)
    return pixels


def banner(rows: int, width: int = 400, seed: int = 9) -> np.ndarray:
    pixels = np.full((rows, width, 4), (200, 230, 250, 255), np.uint8)
    rng = np.random.default_rng(seed)
    pixels[5:-5, 30 : width - 30][rng.random((rows - 10, width - 60)) < 0.3] = (0, 0, 0, 255)
    return pixels


def inserted(pixels: np.ndarray, rows: np.ndarray, y: int) -> np.ndarray:
    return np.concatenate([pixels[:y], rows, pixels[y:]])


def found(expected: np.ndarray, actual: np.ndarray) -> Alignment:
    alignment = align(expected, actual)
    assert alignment is not None
    assert_covered(alignment, expected.shape, actual.shape)
    return alignment


def assert_covered(alignment: Alignment, expected: tuple[int, ...], actual: tuple[int, ...]) -> None:
    """Every pixel of either picture is in one box."""
    for side, kind, shape in (("expected", "deleted", expected), ("actual", "inserted", actual)):
        count = np.zeros(shape[:2], int)
        boxes = [getattr(kept, side) for kept in alignment.kept]
        boxes += [getattr(band, side) for band in alignment.bands if band.kind == kind]
        for box in boxes:
            count[box.y : box.y + box.height, box.x : box.x + box.width] += 1
        assert (count == 1).all()
    assert_laid_out(alignment, expected, actual)


def assert_laid_out(alignment: Alignment, expected: tuple[int, ...], actual: tuple[int, ...]) -> None:
    """On the padded plane no two parts overlap, and every pixel of either picture is in one part."""
    count = np.zeros((expected[0] + actual[0], expected[1] + actual[1]), int)
    sides = np.zeros(expected[:2], int), np.zeros(actual[:2], int)
    for part in alignment.layout:
        for box, side in zip((part.expected, part.actual), sides, strict=True):
            side[box.y : box.y + box.height, box.x : box.x + box.width] += 1
        width, height = (max(part.expected.width, part.actual.width), max(part.expected.height, part.actual.height))
        for box in (part.expected, part.actual):
            assert (box.width, box.height) == (width, height) or 0 in (box.width, box.height)
        count[part.y : part.y + height, part.x : part.x + width] += 1
    assert count.max() == 1
    assert all((side == 1).all() for side in sides)


def told(alignment: Alignment) -> list[tuple[str, str, Box]]:
    return [(band.kind, band.axis, band.box) for band in alignment.shown]


def left_over(alignment: Alignment, expected: np.ndarray, actual: np.ndarray) -> int:
    return int((alignment.laid_out(expected, actual) != actual).any(axis=2).sum())


def test_banner() -> None:
    before = page()
    after = inserted(before, banner(43), 60)
    alignment = found(before, after)
    assert told(alignment) == [("inserted", "rows", Box(0, 60, 400, 43))]
    assert alignment.new().sum() == 43 * 400
    assert left_over(alignment, before, after) == 0


def test_banner_of_a_page_that_is_cut_at_its_end() -> None:
    before = page()
    after = inserted(before, banner(43), 60)[:300]
    alignment = found(before, after)
    assert told(alignment)[0] == ("inserted", "rows", Box(0, 60, 400, 43))
    assert {band.kind for band in alignment.shown} == {"inserted", "deleted"}
    assert left_over(alignment, before, after) == 0


def test_swapped_sides() -> None:
    before = page()
    after = inserted(before, banner(43), 60)
    assert told(found(after, before)) == [("deleted", "rows", Box(0, 60, 400, 43))]


def test_several_bands_and_an_edit() -> None:
    before = page(600)
    after = inserted(np.concatenate([before[:400], before[420:]]), banner(30), 100)
    after[300:304, 50:54] = (255, 0, 0, 255)
    alignment = found(before, after)
    assert [(kind, box.height) for kind, _, box in told(alignment)] == [("inserted", 30), ("deleted", 20)]
    differs = (alignment.laid_out(before, after) != after).any(axis=2)
    assert differs.sum() == 16
    assert differs[300:304, 50:54].all()
    assert alignment.unequal_rows() == slice(300, 304)


def test_noise_of_two_levels() -> None:
    before = page(600)
    after = inserted(np.concatenate([before[:400], before[420:]]), banner(30), 100)
    rng = np.random.default_rng(3)
    noise = rng.integers(-2, 3, (*after.shape[:2], 3))
    after[..., :3] = np.clip(after[..., :3].astype(int) + noise, 0, 255).astype(np.uint8)
    alignment = found(before, after)
    assert [(kind, box.height) for kind, _, box in told(alignment)] == [("inserted", 30), ("deleted", 20)]
    laid = alignment.laid_out(before, after).astype(int)
    assert abs(laid - after).max() <= 2


def two_columns(items: list[int]) -> np.ndarray:
    """On the left items, on the right text that stays."""
    pixels = page(300, 400, seed=2, left=220, right=380)
    for row, seed in enumerate(items):
        rng = np.random.default_rng(seed)
        pixels[20 + 30 * row : 40 + 30 * row, 20:160][rng.random((20, 140)) < 0.4] = (90, 0, 0, 255)
    return pixels


def test_item_inserted_in_one_of_two_columns() -> None:
    before, after = two_columns([10, 11, 12, 13]), two_columns([10, 11, 99, 12, 13])
    alignment = found(before, after)
    ((kind, axis, box),) = told(alignment)
    assert (kind, axis, box.height) == ("inserted", "rows", 30)
    assert box.x + box.width < 220
    assert 70 <= box.y <= 81
    assert left_over(alignment, before, after) == 0


def test_item_inserted_in_one_of_two_columns_of_a_page_that_grows() -> None:
    head, foot = banner(40, seed=20), banner(50, seed=21)
    before = np.concatenate([head, two_columns([10, 11, 12, 13]), foot])
    taller = np.full((30, 400, 4), WHITE, np.uint8)
    after = np.concatenate([head, two_columns([10, 11, 99, 12, 13]), taller, foot])
    alignment = found(before, after)
    assert left_over(alignment, before, after) == 0
    ((kind, axis, box),) = told(alignment)
    assert (kind, axis, box.height) == ("inserted", "rows", 30)
    assert box.x + box.width < 220


def cards(left: list[int | None], right: list[int | None]) -> np.ndarray:
    """Two columns of cards with the same border and padding, each with text of its own; None leaves a place empty."""
    pixels = np.full((400, 500, 4), WHITE, np.uint8)
    for x, column in ((20, left), (260, right)):
        for place, seed in enumerate(column):
            if seed is None:
                continue
            card = pixels[20 + 70 * place : 80 + 70 * place, x : x + 220]
            card[:] = (120, 120, 120, 255)
            card[1:-1, 1:-1] = (245, 245, 250, 255)
            rng = np.random.default_rng(seed)
            for line in (10, 30):
                card[line : line + 12, 15:200][rng.random((12, 185)) < 0.35] = (20, 20, 60, 255)
    return pixels


def moves(alignment: Alignment) -> set[tuple[Box, int, int]]:
    return {(move.box, move.dx, move.dy) for move in alignment.moves}


@pytest.mark.parametrize(
    ("right_before", "right", "shift"),
    [
        pytest.param([5, 6], [5, 6, 2], (240, 70), id="to the end of the column"),
        pytest.param([5, 6], [2, 5, 6], (240, -70), id="to its start"),
        pytest.param([5, 6, 7], [5, 2, 6, 7], (240, 0), id="into its middle"),
    ],
)
def test_a_card_that_goes_to_the_other_column_is_a_move(
    right_before: list[int | None], right: list[int | None], shift: tuple[int, int]
) -> None:
    before, after = cards([1, 2, 3, 4], right_before), cards([1, 3, 4], right)
    alignment = found(before, after)
    assert moves(alignment) == {(Box(20, 90, 220, 60), *shift)}
    assert told(alignment) == []
    assert left_over(alignment, before, after) == 0
    back = found(after, before)
    assert moves(back) == {(Box(20 + shift[0], 90 + shift[1], 220, 60), -shift[0], -shift[1])}
    assert told(back) == []


def paragraph_moved(start: int, stop: int, to: int) -> tuple[np.ndarray, np.ndarray]:
    before = page(600)
    rest = np.concatenate([before[:start], before[stop:]])
    return before, inserted(rest, before[start:stop], to)


@pytest.mark.parametrize(("to", "dy"), [(328, 240), (8, -80)])
def test_a_paragraph_that_goes_elsewhere_is_a_move(to: int, dy: int) -> None:
    before, after = paragraph_moved(88, 128, to)
    alignment = found(before, after)
    assert moves(alignment) == {(Box(20, 90, 360, 30), 0, dy)}
    assert told(alignment) == []
    assert left_over(alignment, before, after) == 0


def test_part_of_a_large_page_moves_with_no_gutter_beside_it() -> None:
    rng = np.random.default_rng(4)
    before = np.full((4400, 2000, 4), WHITE, np.uint8)
    for top in range(0, 4400, 40):
        before[top : top + 4, :, :3] = rng.integers(0, 255, 3)
        before[top + 10 : top + 30, 40:-40][rng.random((20, 1920)) < 0.3] = (20, 20, 60, 255)
    after = before.copy()
    after[1048:, :1000], after[1000:1048, :1000] = before[1000:-48, :1000], (200, 230, 250, 255)
    alignment = found(before, after)
    assert told(alignment)[0] == ("inserted", "rows", Box(0, 1000, 1000, 48))
    assert left_over(alignment, before, after) == 0


def test_what_a_moved_block_left_behind_is_explained_but_not_what_is_new_there() -> None:
    before, after = cards([1, 2, 3, 4], [5, 6, None]), cards([1, None, 3, 4], [5, 6, 2])
    alignment = found(before, after)
    assert moves(alignment) == {(Box(20, 90, 220, 60), 240, 70)}
    assert left_over(alignment, before, after) == 0
    after[110:120, 100:130] = (200, 0, 0, 255)
    alignment = found(before, after)
    differs = (alignment.laid_out(before, after) != after).any(axis=2)
    assert differs[110:120, 100:130].all()
    assert differs.sum() == 300


def test_spacing_that_is_rounded_to_two_more_pixels_is_told_as_space() -> None:
    """A list beside a border: an item is inserted, and further down two rows of spacing are."""
    before = two_columns([10, 11, 12, 13, 14])
    before[:, 200] = (0, 0, 0, 255)
    after = before.copy()
    rest = np.concatenate([before[80:130], before[130:132], before[130:268]])
    after[80:110] = two_columns([10, 11, 99])[80:110]
    after[80:110, 200] = (0, 0, 0, 255)
    after[110:300] = rest
    after[:, 201:] = before[:, 201:]
    alignment = found(before, after)
    assert [(kind, box.height) for kind, _, box in told(alignment)] == [("inserted", 30)]
    assert {band.lines for band in alignment.bands if band.plain and band.kind == "inserted"} == {2}
    assert left_over(alignment, before, after) == 0


def test_room_with_a_border_that_an_item_took_is_told_as_space() -> None:
    before, after = two_columns([10, 11, 12, 13]), two_columns([10, 11, 99, 12, 13])
    before[:, 180], after[:, 180] = (0, 0, 0, 255), (0, 0, 0, 255)
    alignment = found(before, after)
    assert [(kind, box.height) for kind, _, box in told(alignment)] == [("inserted", 30)]


def test_one_of_many_cards_that_look_alike_is_inserted() -> None:
    """The cards differ in one short line each: in place, each but the last would have another line."""

    def column(seeds: list[int]) -> np.ndarray:
        pixels = np.full((600, 400, 4), WHITE, np.uint8)
        for place, seed in enumerate(seeds):
            card = pixels[20 + 90 * place : 100 + 90 * place, 20:380]
            card[:] = (120, 120, 120, 255)
            card[1:-1, 1:-1] = (245, 245, 250, 255)
            for line, words in ((10, seed), (55, 7)):
                marks = np.random.default_rng(words).random((14, 120)) < 0.35
                card[line : line + 14, 15:135][marks] = (20, 20, 60, 255)
        return pixels

    before, after = column([1, 2, 3, 4]), column([1, 9, 2, 3, 4])
    alignment = found(before, after)
    ((kind, _, box),) = told(alignment)
    assert (kind, box.height) == ("inserted", 90)
    assert box.y == 110  # where the card begins, not where it first differs from the one that was there
    assert left_over(alignment, before, after) == 0


def test_a_longer_line_alone_is_told() -> None:
    """A line through a list becomes longer: what is all alike is space only where content took its room."""
    before = two_columns([10, 11, 12, 13])
    before[150:250, 100] = (0, 0, 0, 255)
    after = inserted(before, before[200:201].repeat(30, axis=0), 200)
    alignment = found(before, after)
    assert [(band.kind, band.plain) for band in alignment.bands if band.lines == 30] == [("inserted", False)]


def test_two_paragraphs_that_change_places() -> None:
    before = page(600)
    after = before.copy()
    after[88:128], after[328:368] = before[328:368], before[88:128]
    alignment = found(before, after)
    assert moves(alignment) == {(Box(20, 90, 360, 30), 0, 240), (Box(20, 330, 360, 30), 0, -240)}
    assert left_over(alignment, before, after) == 0


def test_another_paragraph_at_another_place_is_no_move() -> None:
    before = page(600)
    rest = np.concatenate([before[:88], before[128:]])
    alignment = found(before, inserted(rest, page(60, seed=77)[8:48], 288))
    assert moves(alignment) == set()
    assert [kind for kind, _, _ in told(alignment)] == ["deleted", "inserted"]


def test_a_button_that_two_items_share_did_not_move() -> None:
    button = banner(20, 100, seed=5)
    before, after = page(600), None
    items = [page(60, seed=seed)[8:48] for seed in (77, 78)]
    for item in items:
        item[20:40, 250:350] = button
    after = inserted(before, items[1], 288)
    before = inserted(before, items[0], 88)
    alignment = found(before, after)
    assert moves(alignment) == set()


def test_a_card_that_was_moved_and_edited_is_no_move() -> None:
    before, after = cards([1, 2, 3, 4], [5, 6, 7]), cards([1, 3, 4], [5, 2, 6, 7])
    after[100:130, 300:420] = cards([8], [])[30:60, 60:180]
    alignment = found(before, after)
    assert {kind for kind, _, _ in told(alignment)} == {"deleted", "inserted"}


@given(st.integers(0, 11), st.integers(0, 10), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_whatever_moves_is_found_exactly(start: int, to: int, seed: int) -> None:
    """Any line of a page moves to any other place; nothing else is reported, and nothing is left over."""
    before = page(280, seed=seed)
    line = before[8 + 20 * start : 28 + 20 * start]
    rest = np.concatenate([before[: 8 + 20 * start], before[28 + 20 * start :]])
    after = inserted(rest, line, 8 + 20 * to)
    if start == to:
        assert np.array_equal(before, after)
        return
    alignment = found(before, after)
    assert told(alignment) == []
    assert len(alignment.moves) in {1, 2}  # neighbours may change places
    assert left_over(alignment, before, after) == 0


def table(rows: list[int], widths: tuple[int, ...]) -> np.ndarray:
    """Cells on white; the columns start where the widths say."""
    pixels = np.full((300, 400, 4), WHITE, np.uint8)
    for place, seed in enumerate(rows):
        rng = np.random.default_rng(seed)
        for x in widths:
            pixels[20 + 30 * place : 35 + 30 * place, x : x + 60][rng.random((15, 60)) < 0.4] = (0, 60, 0, 255)
    return pixels


def test_table_row_removed_and_columns_that_drift() -> None:
    before = table([1, 2, 3, 4, 5, 6], (20, 150, 300))
    after = table([1, 2, 4, 5, 6], (20, 143, 289))
    alignment = found(before, after)
    ((kind, axis, box),) = told(alignment)
    assert (kind, axis, box.height) == ("deleted", "rows", 30)
    assert 65 <= box.y <= 80
    assert left_over(alignment, before, after) == 0


def test_columns_inserted() -> None:
    before = page()
    stripe = np.full((300, 15, 4), (250, 200, 0, 255), np.uint8)
    stripe[10:20] = (0, 0, 0, 255)
    after = np.concatenate([before[:, :100], stripe, before[:, 100:]], axis=1)
    alignment = found(before, after)
    assert told(alignment) == [("inserted", "columns", Box(100, 0, 15, 300))]
    assert left_over(alignment, before, after) == 0


def test_rows_and_columns_inserted() -> None:
    before = page()
    wider = np.concatenate([before, np.full((300, 20, 4), (9, 9, 9, 255), np.uint8)], axis=1)
    after = inserted(wider, banner(43, 420), 60)
    alignment = found(before, after)
    assert left_over(alignment, before, after) == 0
    assert alignment.new().sum() == 43 * 420 + 300 * 20


def test_part_that_moved_with_no_gutter_beside_it() -> None:
    rng = np.random.default_rng(5)
    before = rng.integers(0, 256, (400, 512, 4), np.uint8)
    before[..., 3] = 255
    after = before.copy()
    after[100:, :200] = np.concatenate([rng.integers(0, 256, (20, 200, 4), np.uint8), before[100:380, :200]])
    after[..., 3] = 255
    alignment = found(before, after)
    kinds = [(band.kind, band.box.width, band.box.height) for band in alignment.shown]
    assert kinds == [("inserted", 200, 20), ("deleted", 200, 20)]
    assert left_over(alignment, before, after) == 0


def test_block_that_moved_within_plain_space() -> None:
    before = page(300, 400, left=200)
    after = before.copy()
    block = np.random.default_rng(6).integers(0, 256, (60, 80, 3), np.uint8)
    before[100:160, 40:120, :3] = block
    after[112:172, 40:120, :3] = block
    alignment = found(before, after)
    ((box, dx, dy),) = [(move.box, move.dx, move.dy) for move in alignment.moves]
    assert (box, dx, dy) == (Box(40, 100, 80, 60), 0, 12)
    assert alignment.shown == ()
    assert left_over(alignment, before, after) == 0


@pytest.mark.parametrize("y", [64, 150, 237])
def test_a_changed_text_is_no_insertion(y: int) -> None:
    before = page()
    after = before.copy()
    after[y : y + 10, 60:300] = page(300, 400, seed=7)[70:80, 60:300]
    assert align(before, after) is None


def test_pictures_that_have_nothing_in_common() -> None:
    noise = np.random.default_rng(8).integers(0, 256, (90, 120, 4), np.uint8)
    assert align(page(90, 120, right=100), noise) is None
    assert align(page(200, 130, right=100), noise) is None


@pytest.mark.parametrize("depth", [np.uint16, np.float32, np.float64])
def test_other_depths(depth: Any) -> None:
    full = 65535 if depth is np.uint16 else 1
    before = (page() / 255 * full).astype(depth)
    rows = (banner(43) / 255 * full).astype(depth)
    after = inserted(before, rows, 60)
    alignment = found(before, after)
    assert told(alignment) == [("inserted", "rows", Box(0, 60, 400, 43))]
    assert alignment.laid_out(before, after).dtype == depth
    assert left_over(alignment, before, after) == 0


def test_what_8_bits_do_not_tell_is_left_to_be_judged() -> None:
    before = page().astype(np.uint16) * 257
    after = inserted(before, banner(43).astype(np.uint16) * 257, 60)
    after[200, 100, 0] ^= 1
    assert left_over(found(before, after), before, after) == 1


@pytest.mark.parametrize("sizes", [((1, 1), (1, 1)), ((1, 1), (2, 1)), ((1, 9), (1, 3)), ((4, 1), (40, 7))])
def test_tiny_pictures(sizes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    before, after = (np.full((*size, 4), level, np.uint8) for size, level in zip(sizes, (0, 200), strict=True))
    alignment = align(before, after)
    assert alignment is None or alignment.laid_out(before, after).shape == after.shape


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 60),
    st.integers(1, 30),
    st.integers(1, 40),
    st.integers(0, 1000),
    st.booleans(),
)
def test_random_rows_inserted_into_random_pictures(
    seed: int, height: int, width: int, count: int, place: int, opaque_channels: int
) -> None:
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 256, (height, width, 4), np.uint8)
    rows = rng.integers(0, 256, (count, width, 4), np.uint8)
    before[..., opaque_channels:] = rows[..., opaque_channels:] = 255
    y = place % (height + 1)
    after = inserted(before, rows, y)
    alignment = found(before, after)
    assert sum(band.lines for band in alignment.bands) == count
    assert all(band.kind == "inserted" and band.axis == "rows" for band in alignment.bands)
    assert left_over(alignment, before, after) == 0
    swapped = align(after, before)
    assert swapped is not None
    assert [band.box for band in swapped.bands] == [band.box for band in alignment.bands]
    assert all(band.kind == "deleted" for band in swapped.bands)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(12, 40), st.integers(1, 15)), min_size=2, max_size=4))
def test_several_random_bands(seed: int, parts: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(seed)

    def rows(count: int) -> np.ndarray:
        return rng.integers(0, 256, (count, 24, 4), np.uint8)

    before, after, expected, y = [], [], [], 0
    for kept, new in parts:
        same = rows(kept)
        before.append(same)
        after += [same, rows(new)]
        expected.append((y + kept, new))
        y += kept + new
    alignment = found(np.concatenate(before), np.concatenate(after))
    assert [(band.box.y, band.box.height) for band in alignment.bands] == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.tuples(*[st.integers(1, 24)] * 4), st.integers(2, 4))
def test_any_two_pictures(seed: int, sizes: tuple[int, int, int, int], colours: int) -> None:
    """Whatever is proposed covers both pictures, and what is laid out is of one size with the actual one."""
    rng = np.random.default_rng(seed)
    before, after = (rng.integers(0, colours, (*size, 4), np.uint8) * 60 for size in (sizes[:2], sizes[2:]))
    alignment = align(before, after)
    if alignment is not None:
        assert_covered(alignment, before.shape, after.shape)
        assert alignment.laid_out(before, after).shape == after.shape
        assert alignment.new().shape == after.shape[:2]


def test_a_word_added_to_a_moved_page_is_no_inserted_column() -> None:
    before = page(600)
    after = inserted(before, banner(40), 100)[:600]
    rng = np.random.default_rng(12)
    after[330:350, 60:180][rng.random((20, 120)) < 0.4] = (200, 0, 0, 255)
    assert {band.axis for band in found(before, after).bands} == {"rows"}
