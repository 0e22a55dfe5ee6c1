"""What is to be held: every goal with its limit."""

from __future__ import annotations

from dataclasses import dataclass

PICTURES = ("4k-interface", "4k-photo", "page", "1280x720", "500x500")
MIXES = ("different", "mixed", "equal")

AGAINST_ODIFF = {"4k-interface": 0.65, "4k-photo": 0.75, "page": 0.40, "1280x720": 0.5, "500x500": 0.35}
AGAINST_XARGS = {"different": 0.75, "mixed": 0.5, "equal": 0.15}
SSIM_TIME = {"different": 0.07, "interface": 0.03}


@dataclass(frozen=True)
class Goal:
    """One row of the table.

    Attributes:
        name: the subject that measures it, then what exactly: ``pair/page/odiff-mask``.
        number: of the goal in the list that all this was built for.
        says: what is compared with what.
        limit: the largest ratio, or value where there is no rival; None where a figure is only shown.
        rival: what stands below the fraction bar; None where the value itself is held to the limit.
        unit: of the two sides, or of the value.
    """

    name: str
    number: int
    says: str
    limit: float | None
    rival: str | None
    unit: str = "ms"

    @property
    def subject(self) -> str:
        """The module of `benchmarks.subjects` that measures it."""
        return self.name.partition("/")[0]


def _pairs() -> list[Goal]:
    goals = []
    for picture in PICTURES:
        name, mask = f"pair/{picture}", f"pair, {picture}, mask written"
        goals += [
            Goal(f"{name}/odiff-mask", 1, mask, AGAINST_ODIFF[picture], "odiff --diff-mask"),
            Goal(f"{name}/blazediff-mask", 1, mask, 0.7, "blazediff, mask"),
            Goal(f"{name}/blazediff-mask-compressed", 1, mask, 0.7, "blazediff, mask, compression=1"),
            Goal(
                f"{name}/blazediff-antialiasing", 1, f"pair, {picture}, anti-aliasing", 1.0, "blazediff, anti-aliasing"
            ),
            Goal(f"{name}/odiff-antialiasing", 1, f"pair, {picture}, anti-aliasing", None, "odiff --antialiasing"),
            Goal(f"{name}/pixelmatch", 1, f"pair, {picture}, anti-aliasing", None, "pixelmatch, its command"),
        ]
    return goals


def _folders() -> list[Goal]:
    goals = []
    for mix in MIXES:
        name, what = f"folder/{mix}", f"200 pairs, {mix}"
        goals += [
            Goal(f"{name}/compare", 2, f"{what}, compare --json", AGAINST_XARGS[mix], "xargs odiff"),
            Goal(f"{name}/pytest", 2, f"{what}, pytest --imgdiff-scan", AGAINST_XARGS[mix], "xargs odiff"),
            Goal(f"{name}/report", 2, f"{what}, compare --json --report", 1.25, "ours without --report"),
        ]
    return [*goals, Goal("folder/different/blazediff", 2, "200 pairs, different, compare --json", None, "blazediff")]


def _equal_files() -> list[Goal]:
    goals = [
        Goal(f"equal_files/{picture}/odiff", 3, f"byte-equal files, {picture}, the command", 0.15, "odiff")
        for picture in ("4k-interface", "4k-photo")
    ]
    return [*goals, Goal("equal_files/numpy", 3, "modules of NumPy that it imports", 0, None, "modules")]


def _ssim() -> list[Goal]:
    goals = []
    for change, limit in SSIM_TIME.items():
        name, what = f"ssim/{change}", "SSIM at 4K, " + ("all differs" if change == "different" else "interface")
        goals += [
            Goal(f"{name}/time", 4, what, limit, "scikit-image, rgb2gray and SSIM"),
            Goal(f"{name}/time-of-gray", 4, what, limit, "scikit-image, SSIM of gray"),
            Goal(f"{name}/memory", 4, f"{what}, peak memory", 0.25, "scikit-image", "MB"),
            Goal(f"{name}/score", 4, f"{what}, deviation of the score", 1e-6, None, ""),
            Goal(f"{name}/map", 4, f"{what}, deviation of the map", 1e-5, None, ""),
        ]
    return goals


def _other_metrics() -> list[Goal]:
    goals = []
    for picture in ("4k-interface", "4k-photo"):
        name = f"other_metrics/{picture}"
        goals += [
            Goal(f"{name}/diffimg", 5, f"mae, {picture}, the number of two files", 0.2, "diffimg.diff"),
            Goal(f"{name}/diffimg-decoded", 5, f"mae, {picture}, decoded", 0.2, "diffimg.diff of BMP"),
            Goal(f"{name}/diffimg-judged", 5, f"mae, {picture}, judged, with regions", None, "diffimg.diff"),
        ]
    for picture in ("4k-interface", "page"):
        goals += [
            Goal(f"other_metrics/{picture}/{metric}", 5, f"{metric}, {picture}, decoded", None, "decoding the pair")
            for metric in ("ahash", "dhash", "phash", "whash", "orb")
        ]
    return goals


def _suite() -> list[Goal]:
    return [
        Goal("suite/collected", 6, "10 000 tiny pairs, collected by pytest", 3, None, "s"),
        Goal("suite/done", 6, "10 000 tiny pairs, done by pytest", 30, None, "s"),
        Goal("suite/overhead", 6, "an item of a scan, beyond comparing it", 0.6, None, "ms"),
        Goal("suite/memory", 6, "memory a pair, from 10 000 to 100 000 pairs", 1.1, "pytest's own empty item", "kB"),
        Goal("suite/memory-compare", 6, "the same, compare --report", 1, None, "kB"),
        Goal("suite/import", 6, "importing the plugin", 3, None, "ms"),
    ]


def _memory() -> list[Goal]:
    goals = [
        Goal(f"memory/{picture}/one-pair", 7, f"one pair, {picture}, peak memory", 3, "the pair decoded", "MB")
        for picture in ("4k-interface", "4k-photo", "page")
    ]
    return [*goals, Goal("memory/in-flight", 7, "8 pages at once, peak memory", 3, "the limit of 1 GiB", "MB")]


def _shapes() -> list[Goal]:
    return [
        Goal("shapes/pixels", 8, "a megapixel of 8.3 Mpx", 1.5, "a megapixel of 0.5 Mpx"),
        Goal("shapes/interface-changed", 8, "4K interface, everything changed", 3, "ours, sparse change"),
        Goal("shapes/photo-changed", 8, "4K photo, everything changed", 3, "ours, sparse change"),
        Goal("shapes/tall", 8, "1 x 1 000 000", 3, "ours, 1000 x 1000"),
        Goal("shapes/wide", 8, "1 000 000 x 1", 3, "ours, 1000 x 1000"),
        Goal("shapes/one-pixel", 8, "1 x 1", 1, "ours, 500x500"),
    ]


GOALS = (
    *_pairs(),
    *_folders(),
    *_equal_files(),
    *_ssim(),
    *_other_metrics(),
    *_suite(),
    *_memory(),
    *_shapes(),
)
"""Where the list only says "linear", "flat" or "no cliff", the limit is ours: 1.5 times a pixel's cost at a sixteenth
of the size; a tenth more memory than pytest's own item that does nothing, and without pytest 1 kB, as what is kept of a
pair is its name; 3 times the cost of a square of as many pixels."""

_BY_NAME = {goal.name: goal for goal in GOALS}


def goal(name: str) -> Goal:
    """Return a goal by its name."""
    return _BY_NAME[name]
