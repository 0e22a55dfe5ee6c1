"""``pytest-imgdiff init``: a commented imgdiff.yaml to begin with, for what the images show."""

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
# How pytest-imgdiff decides whether two images are alike enough: a start for {what}.
# Lines behind a "#" without a space are inactive. All keys: docs/config.md, all metrics: docs/metrics.md.
# To learn the limits from images in which nothing changed: pytest-imgdiff calibrate

"""

_TAIL = """
# ---- Where not to look ------------------------------------------------------------------------------------------
# In pixels or percent, from the top left. The report's viewer copies a region as such an area (key y).
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
# A page or a component, rendered by a browser. Two sizes fail, and any difference that a person would notice.
metrics:
  visible: {max: 1}             # 1 is just visible; font smoothing, rounding and a caret do not count
"""

_CHARTS = """\
# Charts and other drawings of your own code. The same drawing in the same colours; small labels count.
metrics:
  visible: {max: 1}             # 1 is just visible
  perceptual: {max: 0, threshold: 0.02}     # a fifth of the default: series of similar colours stay apart
"""

_PHOTOGRAPHS = """\
# Photographs that are encoded or scaled again. Never equal to the pixel, but the same structure everywhere.
metrics:
  ssim: {min: 0.9}              # mean structural similarity
  # The mean hides a small change in a large image: so few pixels of any window of 32x32 may clearly change colour.
  perceptual: {threshold: 0.25, max_in_window: {size: 32, pixels: 100}}
  # What the image shows, as a network sees it, once `pytest-imgdiff models fetch` has been run:
  #embedding_cosine: {max: 0.1, when: undecided}
"""

_GENERATED = """\
# Images that a model generates. The same seed gives nearly the same image on other hardware; another image fails.
metrics:
  phash: {max: 10}              # bits of 64 in which the coarse structure differs
  ssim: {min: 0.7}              # details may drift, the composition may not
  # What the image shows, as a network sees it, once `pytest-imgdiff models fetch` has been run:
  #embedding_cosine: {max: 0.15, when: undecided}
"""

_VIDEO = """\
# Animations and frames of a video. Every frame is compared; their number and durations must be equal.
frames: all
metrics:
  ssim: {min: 0.9}              # of each frame
  # The mean hides a small change in a large frame: so few pixels of any window of 32x32 may clearly change colour.
  perceptual: {threshold: 0.25, max_in_window: {size: 32, pixels: 100}}
"""

PRESETS = {
    "pages": ("pages and components", _PAGES),
    "charts": ("charts", _CHARTS),
    "photographs": ("photographs", _PHOTOGRAPHS),
    "generated": ("generated images", _GENERATED),
    "video": ("animations and video frames", _VIDEO),
}
"""Name of a preset to what it is for and its part of the file."""


def preset_text(name: str) -> str:
    """Return the imgdiff.yaml of a preset."""
    what, rules = PRESETS[name]
    return _HEAD.format(what=what) + rules + _TAIL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Write a commented imgdiff.yaml into this folder, never over one that is there. Exit code 0: written, 2: not."
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="pages",
        help="what the images show (default: pages)",
    )


def run(options: argparse.Namespace) -> int:
    """Write imgdiff.yaml into the current folder.

    Returns:
        0: written.

    Raises:
        ConfigError: there is a settings file already.
        ReportError: it cannot be written.
    """
    for name in CONFIG_NAMES:
        if os.path.lexists(name):
            raise ConfigError(f"{name}: is there already, and stays as it is; move it away to start again")
    path = Path(CONFIG_NAMES[0])
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:  # another one may have come meanwhile
            file.write(preset_text(options.preset))
    except OSError as error:
        raise ReportError(f"{path}: cannot be written: {error.strerror or error}") from error
    sys.stdout.write(f"written: {path} (preset {options.preset})\n")
    return 0
