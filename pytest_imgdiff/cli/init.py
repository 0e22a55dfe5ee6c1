"""``pytest-imgdiff init``: write a commented imgdiff.yaml for one kind of images."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import ConfigError, ReportError
from pytest_imgdiff.base.text import CONFIG_NAMES

if TYPE_CHECKING:
    import argparse

_HEAD = """\
# How pytest-imgdiff decides whether two images are similar: a start for {what}.
# Lines that start with "#" and no space are inactive. All keys: docs/config.md, all metrics: docs/metrics.md.
# To propose limits from unchanged images: pytest-imgdiff calibrate

"""

_TAIL = """
# ---- Ignored areas ----------------------------------------------------------------------------------------------
# In pixels or percent, from the top left. In the report's viewer, the key y copies a region in this form.
#ignore:
  #- {x: 0, y: 0, width: 200, height: 40}

# ---- Other settings for some images ---------------------------------------------------------------------------
#overrides:
  #- match: "drafts/**"
    #missing: allow

# ---- Folders to compare: pytest imgdiff.yaml --------------------------------------------------------------------
#scans:
  #- {expected: shots/expected, actual: shots/actual}
"""

_PAGES = """\
# Pages and components rendered by a browser. Different sizes fail, and any difference that a person would notice.
metrics:
  visible: {max: 1}             # 1 is just visible; font smoothing, rounding and a caret do not count
"""

_CHARTS = """\
# Charts and other drawings of your code. Drawing and colours must be the same; small labels count.
metrics:
  visible: {max: 1}             # 1 is just visible
  perceptual: {max: 0, threshold: 0.02}     # a fifth of the default: distinguishes series of similar colours
"""

_PHOTOGRAPHS = """\
# Photographs that are encoded or scaled again. Pixels differ; the structure must be the same everywhere.
metrics:
  ssim: {min: 0.9}              # mean structural similarity
  # The mean hides a small change in a large image: limit the clearly changed pixels of any window of 32x32.
  perceptual: {threshold: 0.25, max_in_window: {size: 32, pixels: 100}}
  # What the image shows, by a neural network. First run `pytest-imgdiff models fetch`:
  #embedding_cosine: {max: 0.1, when: undecided}
"""

_GENERATED = """\
# Generated images. The same seed gives nearly the same image on other hardware; another image fails.
metrics:
  phash: {max: 10}              # of 64 bits of the coarse structure
  ssim: {min: 0.7}              # details may change, the composition must not
  # What the image shows, by a neural network. First run `pytest-imgdiff models fetch`:
  #embedding_cosine: {max: 0.15, when: undecided}
"""

_VIDEO = """\
# Animations and frames of a video. Every frame is compared; their number and durations must be equal.
frames: all
metrics:
  ssim: {min: 0.9}              # of each frame
  # The mean hides a small change in a large frame: limit the clearly changed pixels of any window of 32x32.
  perceptual: {threshold: 0.25, max_in_window: {size: 32, pixels: 100}}
"""

PRESETS = {
    "pages": ("pages and components", _PAGES),
    "charts": ("charts", _CHARTS),
    "photographs": ("photographs", _PHOTOGRAPHS),
    "generated": ("generated images", _GENERATED),
    "video": ("animations and video frames", _VIDEO),
}
"""Preset to its description and its part of the file."""


def preset_text(name: str) -> str:
    """Return the imgdiff.yaml of a preset."""
    what, rules = PRESETS[name]
    return _HEAD.format(what=what) + rules + _TAIL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Write a commented imgdiff.yaml to this folder. An existing one is not replaced. Exit code 0: written, 2: "
        "not written."
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="pages",
        help="what the images show (default: pages)",
    )


def run(options: argparse.Namespace) -> int:
    """Write imgdiff.yaml to the current folder.

    Returns:
        0: written.

    Raises:
        ConfigError: a settings file exists.
        ReportError: it cannot be written.
    """
    for name in CONFIG_NAMES:
        if os.path.lexists(name):
            raise ConfigError(f"{name}: already exists and is unchanged; move it away to start again")
    path = Path(CONFIG_NAMES[0])
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:  # another process may have written one
            file.write(preset_text(options.preset))
    except OSError as error:
        raise ReportError(f"{path}: cannot be written: {error.strerror or error}") from error
    sys.stdout.write(f"written: {path} (preset {options.preset})\n")
    return 0
