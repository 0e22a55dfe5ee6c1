"""One change on many pages is one group, and no group hides another change."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from pytest_imgdiff import Policy, Rule, Verdict, compare
from pytest_imgdiff.comparison.change_groups import GRIDS, Appearance, Patch, appearance_of, changes_of
from pytest_imgdiff.comparison.fingerprint import MOST_PATCHES, fingerprint
from pytest_imgdiff.report.html_data import same_change as groups_of
from tests.report_records import different, uncompared

EXAMPLES = Path(__file__).parent.parent / "examples"
WIDTH, HEIGHT, BAR = 480, 360, 48
INK, PAPER = (30, 30, 30), (235, 235, 240)


def page(seed, top, title, *, ink=INK, paper=PAPER, size=22, extra=None):
    """Draw a page that looks different for each seed, with the same kind of header at any height."""
    dice = random.Random(seed)  # noqa: S311 - of pictures, not of secrets
    picture = PILImage.new("RGB", (WIDTH, HEIGHT), tuple(dice.randrange(180, 256) for _ in range(3)))
    draw = ImageDraw.Draw(picture)
    for _ in range(40):
        x, y = dice.randrange(WIDTH), dice.randrange(HEIGHT)
        colour = tuple(dice.randrange(256) for _ in range(3))
        draw.rectangle((x, y, x + dice.randrange(80), y + dice.randrange(40)), fill=colour)
    draw.rectangle((0, top, WIDTH, top + BAR - 1), fill=paper)
    draw.text((16, top + 10), title, fill=ink, font=ImageFont.load_default(size))
    if extra is not None:
        draw.rectangle(extra, fill=(255, 0, 0))
    return np.asarray(picture)


BY_PIXEL = Policy(metrics=(Rule("perceptual", max=0.0),))
"""A mask of pixels of another colour, which noise on everything leaves as it is."""


def fingerprint_of(before, after, policy=None):
    comparison = compare(before, after, policy or Policy())
    assert comparison.verdict is Verdict.DIFFERENT
    return fingerprint(*comparison.compared, comparison.mask, comparison.regions)


def same_change(records):
    """Return the group of each record; None of one that is alone."""
    groups = groups_of(record.fingerprint for record in records if record.fingerprint is not None)
    return [groups.get(record.fingerprint) for record in records]


def are_alike(*texts):
    groups = same_change([different(f"{number}", fingerprint=text) for number, text in enumerate(texts)])
    return groups[0] is not None and len(set(groups)) == 1


def test_one_altered_header_on_forty_pages_is_one_group_and_other_changes_stay_out():
    records = []
    for seed in range(40):
        top = seed * 37 % (HEIGHT - BAR)
        text = fingerprint_of(page(seed, top, "Overview"), page(seed, top, "Over all 2"))
        records.append(different(f"page-{seed}", fingerprint=text))
    strangers = [
        fingerprint_of(page(1, 30, "Overview"), page(1, 30, "Settings")),
        fingerprint_of(page(2, 90, "Overview"), page(2, 90, "Overview", paper=(120, 160, 240))),
    ]
    records += [different(f"other-{number}", fingerprint=text) for number, text in enumerate(strangers)]

    *groups, settings_page, recoloured = same_change(records)

    assert groups[0] is not None
    assert set(groups) == {groups[0]}
    assert settings_page is None
    assert recoloured is None


BASE = ("Overview", "Over all 2")


@pytest.mark.parametrize(
    "changed",
    [
        {"title": "Over all 3"},  # one letter
        {"title": "Over all 8"},
        {"title": "Overview 2"},
        {"title": "Over all 2", "ink": (200, 30, 30)},
        {"title": "Over all 2", "paper": (120, 160, 240)},
        {"title": "Over all 2", "size": 25},
        {"title": "Over all 2", "extra": (300, 200, 310, 206)},  # one change more, elsewhere on the page
    ],
)
def test_another_change_in_the_same_place_is_another_change(changed):
    one = fingerprint_of(page(1, 30, BASE[0]), page(1, 30, BASE[1]))
    other = fingerprint_of(page(1, 30, BASE[0]), page(1, 30, **changed))

    assert not are_alike(one, other)
    assert not are_alike(other, one)


def noisy(pixels, amplitude, seed=0):
    noise = np.random.default_rng(seed).integers(-amplitude, amplitude + 1, pixels.shape)
    return np.clip(pixels.astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("amplitude", [1, 2, 4])
def test_noise_on_everything_does_not_part_what_is_one_change(amplitude):
    before, after = (page(1, 30, title) for title in BASE)
    still = fingerprint_of(before, after, BY_PIXEL)

    noise = noisy(before, amplitude, 1), noisy(after, amplitude, 2)
    assert are_alike(still, fingerprint_of(*noise, BY_PIXEL))


@pytest.mark.parametrize("scale", [0.97, 0.98, 1.02, 1.03])
def test_a_few_percent_of_size_do_not_part_what_is_one_change(scale):
    before, after = (page(1, 30, title) for title in BASE)
    size = round(WIDTH * scale), round(HEIGHT * scale)
    scaled = [np.asarray(PILImage.fromarray(picture).resize(size)) for picture in (before, after)]

    assert are_alike(fingerprint_of(before, after, BY_PIXEL), fingerprint_of(*scaled, BY_PIXEL))


def test_appearing_and_disappearing_are_two_changes():
    with_box = page(1, 30, "Overview", extra=(100, 200, 160, 240))
    without = page(1, 30, "Overview")
    assert not are_alike(fingerprint_of(without, with_box), fingerprint_of(with_box, without))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_same_change_has_the_same_fingerprint_wherever_it_is(data):
    width, height = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 30))
    dice = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    patch = dice.integers(0, 256, (2, height, width, 3), np.uint8)
    patch[:, 0, 0] = [[0, 0, 0], [255, 255, 255]]
    seen = set()
    for seed in range(2):
        canvas = np.random.default_rng(seed).integers(0, 256, (90, 120, 3), np.uint8)
        x, y = data.draw(st.integers(0, 120 - width)), data.draw(st.integers(0, 90 - height))
        sides = [canvas.copy(), canvas.copy()]
        for side, pixels in zip(sides, patch, strict=True):
            side[y : y + height, x : x + width] = pixels
        comparison = compare(*sides, Policy(mask="pixel_match"))
        seen.add(fingerprint(*comparison.compared, comparison.mask, comparison.regions))

    assert len(seen) == 1


patches = st.builds(
    Patch,
    width=st.integers(1, 30),
    height=st.integers(1, 10),
    kind=st.sampled_from("cea"),
    ink=st.integers(1, 300),
    levels=st.tuples(*[st.integers(-20, 20)] * 5),
    planes=st.tuples(
        st.sampled_from([bytes([7]) * 256, bytes([8]) * 256, bytes(range(15)) * 17 + b"\0"]),
        *[st.sampled_from([bytes([7]) * 64, bytes([6, 8]) * 32])] * 3,
    ),
)
appearances = st.builds(
    Appearance,
    patches=st.lists(patches, min_size=1, max_size=4).map(tuple),
    rest_count=st.integers(0, 2),
    rest_area=st.integers(0, 50),
)


@settings(deadline=None)
@given(appearances)
def test_the_text_tells_the_whole_appearance(appearance):
    text = str(appearance)
    assert appearance_of(text) == appearance
    assert text.isascii()
    assert text.isprintable()


@settings(deadline=None)
@given(appearances, appearances, st.randoms(use_true_random=False))
def test_likeness_goes_both_ways_and_asks_for_no_order(one, other, dice):
    shuffled = replace(other, patches=tuple(dice.sample(other.patches, len(other.patches))))
    assert one.is_similar(other) == other.is_similar(one) == one.is_similar(shuffled)
    assert one.is_similar(one)
    assert other.is_similar(shuffled)


@settings(deadline=None)
@given(st.lists(appearances, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_every_member_of_a_group_is_like_what_stands_for_it_whatever_the_order(members, dice):
    records = [different(f"{number}", fingerprint=str(member)) for number, member in enumerate(members)]
    groups = dict(zip((record.name for record in records), same_change(records), strict=True))
    mixed = dice.sample(records, len(records))

    assert groups == dict(zip((record.name for record in mixed), same_change(mixed), strict=True))
    for group in {group for group in groups.values() if group is not None}:
        joined = [member for member, name in zip(members, groups, strict=True) if groups[name] == group]
        assert len(joined) > 1
        assert any(all(first.is_similar(member) for member in joined) for first in joined)


def bar(width):
    plane = bytes([10]) * 256
    return str(
        Appearance((Patch(width, 100, "c", 100 * width, (50, 0, 0, 0, 50), (plane, *[bytes([7]) * 64] * 3)),), 0, 0)
    )


def test_a_chain_of_small_steps_joins_nothing_that_is_unlike():
    widths = [100, 104, 108, 112, 116, 120, 124]
    groups = same_change([different(f"{width}", fingerprint=bar(width)) for width in widths])
    by_group = [[width for width, group in zip(widths, groups, strict=True) if group == one] for one in set(groups)]

    assert len(by_group) > 1
    assert all(max(members) - min(members) <= 16 for members in by_group)


def test_the_most_frequent_stands_for_the_group_and_names_it():
    first = same_change([different(f"{n}", fingerprint=bar(width)) for n, width in enumerate([100, 102, 102])])
    again = same_change([different(f"{n}", fingerprint=bar(width)) for n, width in enumerate([104, 102, 102, 102])])

    assert first == [first[0]] * 3
    assert again == [first[0]] * 4


def test_what_was_not_compared_is_in_no_group():
    text = bar(100)
    records = [uncompared("missing", "a"), different("b", fingerprint=text), uncompared("broken", "c")]
    assert same_change(records) == [None, None, None]
    assert same_change([]) == []


@pytest.mark.parametrize(
    "text", ["", ";", "2", "2;+0/0", "2;;+0/0", "1" + bar(9)[1:], bar(9) + ";", "<script>", "2;9x9c9"]
)
def test_what_is_no_fingerprint_groups_nothing(text):
    assert appearance_of(text) is None
    assert same_change([different("a", fingerprint=text), different("b", fingerprint=text)]) == [None, None]


def test_changes_beyond_the_largest_are_counted():
    before = np.full((40, 400, 3), 255, np.uint8)
    after, more = before.copy(), before.copy()
    for number in range(MOST_PATCHES + 3):
        after[10:20, 40 * number : 40 * number + 12] = 0
        more[10:20, 40 * number : 40 * number + 12] = 0
    more[5:8, 385:388] = 0

    one, other = fingerprint_of(before, after), fingerprint_of(before, more)

    assert one.endswith(f"+3/{3 * 120}")
    assert not are_alike(one, other)


def test_depth_and_transparency():
    before = np.full((60, 60, 4), 255, np.uint8)
    after = before.copy()
    after[10:30, 10:50] = (250, 60, 20, 255)
    clear = before.copy()
    clear[10:30, 10:50] = 0  # white and transparent look alike on white
    deep = [picture.astype(np.uint16) * 257 for picture in (before, after)]
    real = [picture.astype(np.float32) / 255 for picture in (before, after)]

    text = fingerprint_of(before, after)
    assert fingerprint_of(*deep) == text
    assert fingerprint_of(*real) == text
    assert not are_alike(fingerprint_of(before, clear), text)
    assert appearance_of(fingerprint_of(before, clear)).patches[0].levels == (0, 0, 0, -255, 255)


def test_the_examples_are_all_different_changes():
    texts = []
    for actual in sorted((EXAMPLES / "actual").rglob("*.*")):
        expected = EXAMPLES / "expected" / actual.relative_to(EXAMPLES / "actual")
        if not expected.exists():
            continue
        comparison = compare(expected, actual)
        if comparison.regions:
            texts.append(fingerprint(*comparison.compared, comparison.mask, comparison.regions))
    assert len(texts) > 5
    records = [different(f"{number}", fingerprint=text) for number, text in enumerate(texts)]
    assert same_change(records) == [None] * len(texts)
    doubled = same_change([*records, *records])
    assert None not in doubled
    assert len(set(doubled)) == len(texts)


def test_reports_group_without_the_engine():
    code = "import sys, pytest_imgdiff.report.html_data; print(*{'cv2', 'numpy', 'pytest_imgdiff.comparison.engine'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def _drawn(noise, width, ink, levels, cells):
    """Return an appearance of one patch like these numbers, a little off."""

    def near(number):
        return round(number * noise.uniform(0.95, 1.05))

    first = bytes(max(0, min(14, cell + (noise.random() < 0.03))) for cell in cells)
    planes = (first, *(bytes([7]) * (size * size) for size in GRIDS[1:]))
    return str(Appearance((Patch(near(width), 40, "c", near(ink), tuple(map(near, levels)), planes),), 0, 0))


def test_groups_found_by_the_index_are_those_of_comparing_all_with_all():
    noise = random.Random(3)  # noqa: S311 - the same numbers in each run
    texts = []
    for _ in range(60):
        levels = (*(noise.randrange(-120, 120) for _ in range(4)), noise.randrange(30, 300))
        cells = [noise.randrange(2, 13) if noise.random() < 0.6 else 7 for _ in range(GRIDS[0] ** 2)]
        shape = noise.randrange(10, 300), round(10 ** noise.uniform(1, 5)), levels, cells
        texts += [_drawn(noise, *shape) for _ in range(noise.randrange(1, 9))]

    frequency = Counter(texts)
    left = {text: changes_of(text) for text in sorted(frequency, key=lambda text: (-frequency[text], text))}
    expected = set()
    while left:
        standing = next(iter(left.values()))
        group = {text for text, changes in left.items() if standing.is_similar(changes)}
        if sum(frequency[text] for text in group) > 1:
            expected.add(frozenset(group))
        left = {text: changes for text, changes in left.items() if text not in group}

    found = groups_of(texts)
    groups = {frozenset(text for text in found if found[text] == name) for name in found.values()}
    assert groups == expected
    assert 20 < len(groups) < len(set(texts)) - 20
