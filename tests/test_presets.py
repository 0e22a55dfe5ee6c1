"""``pytest-imgdiff init``: each preset loads, passes the usual noise of what it is for, and fails for a change."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pytest_imgdiff.base.text import CONFIG_NAMES
from pytest_imgdiff.cli.init import PRESETS
from tests.pictures import write
from tests.test_cli import ALIKE, DIFFERENT, Shell


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


def page(word="Save 12"):
    pixels = np.full((200, 320, 3), 250, np.uint8)
    pixels[:40] = (40, 70, 130)
    cv2.putText(pixels, word, (30, 120), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (30, 30, 30), 1, cv2.LINE_AA)
    return pixels


def chart(colour=(40, 120, 200)):
    pixels = np.full((200, 320, 3), 255, np.uint8)
    for bar, height in enumerate((60, 110, 80, 140)):
        pixels[180 - height : 180, 30 + 70 * bar : 70 + 70 * bar] = colour if bar == 2 else (40, 120, 200)
    return pixels


def photograph(seed=0, side=384):
    """Smooth shapes with fine grain, as a lens sees them."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(
        rng.integers(30, 226, (9, 9, 3)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC
    )
    fine = cv2.GaussianBlur(rng.normal(0, 40, (side, side, 3)), (0, 0), 1.6)
    return np.clip(coarse + fine, 0, 255).astype(np.uint8)


def encoded(pixels, quality=75):
    data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def retouched(pixels):
    """A wheel of a two-hundredth of the picture."""
    return cv2.circle(pixels.copy(), (250, 130), 15, (250, 250, 250), -1, cv2.LINE_AA)


def drifted(pixels):
    """The same composition with other details, as another device generates it."""
    grain = cv2.GaussianBlur(np.random.default_rng(5).normal(0, 30, pixels.shape), (0, 0), 1.6)
    return np.clip(pixels + grain * 0.5, 0, 255).astype(np.uint8)


def a_little_off(pixels):
    return np.clip(pixels.astype(int) + np.random.default_rng(1).integers(-1, 2, pixels.shape), 0, 255).astype(np.uint8)


SCENARIOS = {
    "pages": (page(), a_little_off(page()), page("Save 13")),
    "charts": (chart(), a_little_off(chart()), chart((40, 120, 178))),
    "photographs": (photograph(), encoded(photograph()), encoded(retouched(photograph()))),
    "generated": (photograph(), drifted(photograph()), photograph(seed=1)),
    "video": (photograph(), encoded(photograph()), encoded(retouched(photograph()))),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_passes_usual_noise_and_fails_for_a_change(shell, preset):
    done = shell("init", "--preset", preset)
    assert (done.returncode, done.stdout) == (0, f"written: imgdiff.yaml (preset {preset})\n")
    for name, pixels in zip(("expected", "noise", "change"), SCENARIOS[preset], strict=True):
        write(shell.folder / f"{name}.png", pixels)

    noise = shell("compare", "expected.png", "noise.png")
    assert noise.returncode == ALIKE, noise.stdout
    assert "differ below the limits" in noise.stdout
    change = shell("compare", "expected.png", "change.png")
    assert change.returncode == DIFFERENT, change.stdout


def test_the_preset_for_video_compares_every_frame(shell):
    shell("init", "--preset", "video")
    still = [photograph(side=96)] * 3
    for name, frames in {"a": still, "b": [*still[:2], photograph(seed=2, side=96)]}.items():
        cv2.imwritemulti(str(shell.folder / f"{name}.tiff"), frames)
    done = shell("compare", "a.tiff", "b.tiff")
    assert done.returncode == DIFFERENT
    assert "1 of 3 frames fails" in done.stdout


def test_every_line_of_a_preset_fits(shell):
    """What is inactive becomes active by taking the "#" away, and is a configuration then."""
    for preset in PRESETS:
        (shell.folder / "imgdiff.yaml").unlink(missing_ok=True)
        shell("init", "--preset", preset)
        file = shell.folder / "imgdiff.yaml"
        text = file.read_text(encoding="utf-8")
        assert max(map(len, text.splitlines())) <= 120
        lines = [
            line.replace("#", "", 1) if line.lstrip().startswith("#") and "# " not in line[:5] else line
            for line in text.splitlines()
        ]
        active = [line for line in lines if "embedding" not in line]
        file.write_text("\n".join(active) + "\n", encoding="utf-8")
        write(shell.folder / "a.png", page())
        assert shell("compare", "a.png", "a.png").stderr.count("imgdiff.yaml:") == 0


@pytest.mark.parametrize("name", CONFIG_NAMES)
def test_a_settings_file_that_is_there_stays_as_it_is(shell, name):
    (shell.folder / name).write_text("size: pad\n", encoding="utf-8")
    assert shell.refused("init").startswith(f"pytest-imgdiff: {name}: already exists")
    assert (shell.folder / name).read_text(encoding="utf-8") == "size: pad\n"
    assert sorted(path.name for path in shell.folder.iterdir()) == [name]


def test_init_offers_the_presets_that_there_are(shell):
    assert "{" + ",".join(PRESETS) + "}" in shell("init", "--help").stdout
