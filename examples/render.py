"""Render the images of this folder: `expected/` as they should look, `actual/` after a change.

    python examples/render.py [--out DIR]

Pages are photographed with Chromium (the one on the PATH or named by the environment variable CHROMIUM, else
Playwright's own), charts drawn with matplotlib, photographs taken from scikit-image's wheel. Nothing is fetched.
On one machine every run writes the same bytes; elsewhere fonts and codecs differ, so render both sides together.
"""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from playwright.sync_api import sync_playwright
from skimage import data

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HERE = Path(__file__).resolve().parent
# Gray anti-aliasing, no hinting, sRGB: less depends on the settings of the machine.
CHROMIUM_ARGUMENTS = [
    "--disable-background-networking",
    "--disable-gpu",
    "--disable-lcd-text",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
]


@dataclass(frozen=True)
class Shot:
    """An image of a page, and the change to the page before the actual one is captured.

    Attributes:
        page: file name in `pages/`.
        size: width and height of the window, in CSS pixels.
        style: CSS added for the actual image.
        text: a selector and the text that its element has in the actual image.
        scheme: `light` or `dark`.
        full_page: photograph what lies below the fold too.
        element: a selector: photograph that element alone.
        sides: the trees that hold the image.
    """

    page: str
    size: tuple[int, int]
    style: str = ""
    text: tuple[str, str] | None = None
    scheme: str = "light"
    full_page: bool = False
    element: str | None = None
    sides: tuple[str, ...] = ("expected", "actual")


DASHBOARD = (960, 530)
SHOTS = {
    "checkout": Shot("checkout.html", (880, 510), style=".actions { justify-content: flex-start }"),
    "text_edit": Shot("checkout.html", (400, 484), text=(".total-price", "£113.40")),
    "badge": Shot("dashboard.html", DASHBOARD, style=".badge { background: #b7791f }"),
    "dashboard_dark": Shot("dashboard.html", DASHBOARD, scheme="dark"),
    # A fifth of a pixel: every curve is rasterised anew, and nobody can see it.
    "antialiasing": Shot(
        "dashboard.html", DASHBOARD, style=".gauge circle { cx: 56.2px } .curve { transform: translateY(.2px) }"
    ),
    "unchanged": Shot("guide.html", (720, 470)),
    "guide_full": Shot("guide.html", (1280, 800), full_page=True, style=".note { order: 1 }"),
    "removed": Shot("dashboard.html", DASHBOARD, element=".coverage", sides=("expected",)),
    "new": Shot("dashboard.html", DASHBOARD, element=".cards .card:last-child", sides=("actual",)),
}


def main() -> None:
    """Write both trees below the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Render the example images.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for expected/ and actual/ (default: examples/)")
    out = parser.parse_args().out
    for side in ("expected", "actual"):
        for kind in ("pages", "charts", "photos"):
            (out / side / kind).mkdir(parents=True, exist_ok=True)
    render_pages(out)
    render_charts(out)
    render_photos(out)


def render_pages(out: Path) -> None:
    """Photograph the pages before and after their change."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        for name, shot in SHOTS.items():
            for side in shot.sides:
                image = photograph(browser, shot, changed=side == "actual")
                path = out / side / "pages" / f"{name}.png"
                if (name, side) == ("unchanged", "actual"):
                    # The same pixels in other bytes: another compression, and an alpha channel that hides nothing.
                    image.convert("RGBA").save(path, compress_level=6)
                else:
                    image.save(path, optimize=True)
        browser.close()


def photograph(browser: Browser, shot: Shot, *, changed: bool) -> Image.Image:
    """Return what Chromium shows, as RGB."""
    width, height = shot.size
    with browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=1, color_scheme=shot.scheme, offline=True
    ) as context:
        page = context.new_page()
        page.goto((HERE / "pages" / shot.page).as_uri())
        if changed and shot.style:
            page.add_style_tag(content=shot.style)
        if changed and shot.text:
            selector, text = shot.text
            page.locator(selector).evaluate("(element, text) => { element.textContent = text }", text)
        if shot.element:
            png = page.locator(shot.element).screenshot(animations="disabled")
        else:
            png = page.screenshot(full_page=shot.full_page, animations="disabled")
    return Image.open(BytesIO(png)).convert("RGB")


def render_charts(out: Path) -> None:
    """Draw a bar chart of which one bar changes, and a scatter chart that is drawn twice alike."""
    mpl.rcdefaults()
    revenue = [31, 34, 33, 41, 46, 44, 52, 49]
    revised = [31, 34, 33, 41, 46, 37, 52, 49]
    for side, values in (("expected", revenue), ("actual", revised)):
        save_chart(revenue_chart(values), out / side / "charts" / "revenue.png")
        save_chart(scatter_chart(), out / side / "charts" / "scatter.png")


def save_chart(figure: Figure, path: Path) -> None:
    """Write the figure without the version of matplotlib in it, and small."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    Image.open(buffer).convert("RGB").save(path, optimize=True)


def revenue_chart(thousands: list[int]) -> Figure:
    """Return a bar chart of monthly revenue."""
    figure = Figure(figsize=(5.6, 3.4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.bar(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug"], thousands, width=0.62, color="#2f6fde")
    axes.set_title("Revenue by month", loc="left", fontsize=12, fontweight="bold")
    axes.set_ylabel("thousand £")
    axes.set_ylim(0, 60)
    axes.grid(axis="y", color="#e3e7ee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    return figure


def scatter_chart() -> Figure:
    """Return a scatter chart of two groups of seeded random points."""
    random = np.random.default_rng(7)
    figure = Figure(figsize=(4.6, 3.4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for label, centre, colour in (("control", (2.0, 3.2), "#8c97ab"), ("treated", (3.6, 4.4), "#c8683a")):
        x, y = random.normal(centre, (0.6, 0.5), (60, 2)).T
        axes.scatter(x, y, s=22, color=colour, alpha=0.8, linewidths=0, label=label)
    axes.set_title("Response to dose", loc="left", fontsize=12, fontweight="bold")
    axes.set_xlabel("dose (mg)")
    axes.set_ylabel("response")
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def render_photos(out: Path) -> None:
    """Re-encode one photograph, retouch the second, crop the third by one pixel."""
    expected, actual = out / "expected" / "photos", out / "actual" / "photos"
    coffee = photo("coffee")
    save_photo(coffee, expected / "reencoded.jpg", subsampling="4:4:4")
    save_photo(coffee, actual / "reencoded.jpg", quality=85)
    rocket = photo("rocket")
    save_photo(rocket, expected / "retouched.jpg")
    save_photo(without_left_tower(rocket), actual / "retouched.jpg")
    cat = photo("chelsea")
    save_photo(cat, expected / "cropped.jpg")
    save_photo(cat[:, 1:], actual / "cropped.jpg")


def photo(name: str) -> np.ndarray:
    """Return one of scikit-image's photographs, 400 pixels wide, RGB."""
    image = Image.fromarray(getattr(data, name)())
    width = 400
    height = round(image.height * width / image.width)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def save_photo(pixels: np.ndarray, path: Path, quality: int = 90, subsampling: str = "4:2:0") -> None:
    """Write the photograph as JPEG."""
    Image.fromarray(pixels).save(path, quality=quality, subsampling=subsampling, optimize=True)


def without_left_tower(rocket: np.ndarray) -> np.ndarray:
    """Return the photograph of the rocket with the tower at the left edge, and the lamp on it, painted out."""
    tower = [(22, 0), (60, 0), (60, 200), (72, 210), (72, 232), (56, 240), (54, 266), (0, 266), (0, 150)]
    mask = np.zeros(rocket.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.array(tower)], 255)
    return cv2.inpaint(rocket, mask, 5, cv2.INPAINT_TELEA)


if __name__ == "__main__":
    main()
