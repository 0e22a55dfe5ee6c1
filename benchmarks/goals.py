"""What is to be held: every goal with its limit."""

from __future__ import annotations

from dataclasses import dataclass

PICTURES = ("4k-interface", "4k-photo", "page", "1280x720", "500x500")
MIXES = ("different", "mixed", "equal")

AGAINST_ODIFF = {"4k-interface": 0.18, "4k-photo": 0.35, "page": 0.15, "1280x720": 0.25, "500x500": 0.30}
COMMAND = {"4k-interface": 0.45, "4k-photo": 0.5, "page": 0.35, "1280x720": 1.5}
EQUAL_FILES = {"4k-interface": 0.2, "4k-photo": None}
AGAINST_XARGS = {"different": (0.30, 0.45), "mixed": (0.20, 0.35), "equal": (0.12, 0.30)}
"""By ``compare``, and by pytest."""
SSIM_TIME = {"different": 0.02, "interface": None}


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
            Goal(f"{name}/explained", 1, f"{mask}, kinds and moves found", None, "odiff --diff-mask"),
            Goal(f"{name}/blazediff-mask", 1, mask, 0.2, "blazediff, mask"),
            Goal(
                f"{name}/blazediff-antialiasing", 1, f"pair, {picture}, anti-aliasing", 0.5, "blazediff, anti-aliasing"
            ),
            Goal(f"{name}/odiff-antialiasing", 1, f"pair, {picture}, anti-aliasing", None, "odiff --antialiasing"),
            Goal(f"{name}/pixelmatch", 1, f"pair, {picture}, anti-aliasing", None, "pixelmatch, its command"),
        ]
    return goals


def _command() -> list[Goal]:
    return [
        *(
            Goal(f"command/{picture}/odiff", 2, f"the command, {picture} fails", limit, "odiff --antialiasing")
            for picture, limit in COMMAND.items()
        ),
        *(
            Goal(
                f"command/{picture}/within", 2, f"the command, {picture} within its limit", None, "odiff --antialiasing"
            )
            for picture in COMMAND
        ),
        *(
            Goal(f"command/equal-{picture}/odiff", 2, f"the command, {picture}, byte-equal files", limit, "odiff")
            for picture, limit in EQUAL_FILES.items()
        ),
        Goal("command/equal-numpy", 2, "modules of NumPy and OpenCV it imports, equal files", 0, None, "modules"),
        Goal("command/differing-numpy", 2, "the same, perceptual fails", 0, None, "modules"),
    ]


def _folders() -> list[Goal]:
    goals = []
    for mix in MIXES:
        name, what = f"folder/{mix}", f"200 pairs, {mix}"
        by_compare, by_pytest = AGAINST_XARGS[mix]
        goals += [
            Goal(f"{name}/compare", 3, f"{what}, compare --json", by_compare, "xargs odiff"),
            Goal(f"{name}/pytest", 3, f"{what}, pytest --imgdiff-scan", by_pytest, "xargs odiff"),
        ]
    return [
        *goals,
        Goal("folder/different/blazediff", 3, "200 pairs, different, compare --json", None, "blazediff"),
        Goal("folder/different/report", 3, "what the report of a failing pair adds", 5, None, "ms"),
    ]


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
            Goal(f"{name}/diffimg", 7, f"mae, {picture}, the number of two files", 0.2, "diffimg.diff"),
            Goal(f"{name}/diffimg-decoded", 7, f"mae, {picture}, decoded", 0.2, "diffimg.diff of BMP"),
            Goal(f"{name}/diffimg-judged", 7, f"mae, {picture}, judged, with regions", None, "diffimg.diff"),
        ]
    for picture in ("4k-interface", "page"):
        goals += [
            Goal(f"other_metrics/{picture}/{metric}", 7, f"{metric}, {picture}, decoded", None, "decoding the pair")
            for metric in ("ahash", "dhash", "phash", "whash", "orb")
        ]
    return goals


def _suite() -> list[Goal]:
    return [
        Goal("suite/tiny", 5, "a tiny pair of 10 000, by compare", 0.15, None, "ms"),
        Goal("suite/overhead", 5, "an item of a scan under pytest, beyond pytest's own", 0.5, None, "ms"),
        Goal("suite/collected", 5, "10 000 tiny pairs, collected by pytest", 3, None, "s"),
        Goal("suite/done", 5, "10 000 tiny pairs, done by pytest", 30, None, "s"),
        Goal("suite/client", 5, "100 000 pairs, compare, peak memory", 100, None, "MB"),
        Goal("suite/accept", 5, "100 000 pairs, accept --dry-run, peak memory", 150, None, "MB"),
        Goal("suite/report", 5, "100 000 pairs, report --from, peak memory", 150, None, "MB"),
        Goal("suite/import", 5, "importing the plugin", 3, None, "ms"),
    ]


def _memory() -> list[Goal]:
    return [
        Goal("memory/4k-photo/one-pair", 6, "one pair, 4k-photo, peak memory", 80, None, "MB"),
        Goal("memory/page/one-pair", 6, "one pair, page, peak memory", 60, None, "MB"),
        Goal("memory/4k-interface/one-pair", 6, "one pair, 4k-interface, peak memory", None, None, "MB"),
        Goal("memory/in-flight", 6, "8 pages at once, peak memory", 300, None, "MB"),
    ]


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
    *_command(),
    *_folders(),
    *_ssim(),
    *_suite(),
    *_memory(),
    *_other_metrics(),
    *_shapes(),
)
"""The limits of goals 7 and 8 are older, and hold that nothing else grows slow: 1.5 times a pixel's cost at a sixteenth
of the size, 3 times the cost of a square of as many pixels."""

_BY_NAME = {goal.name: goal for goal in GOALS}


def goal(name: str) -> Goal:
    """Return a goal by its name."""
    return _BY_NAME[name]
