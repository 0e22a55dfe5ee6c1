"""Bad inputs of every kind that we could think of: `python -m tests.bad_images FOLDER` prints what becomes of each."""

from __future__ import annotations

import io
import os
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from tests.bad_files import bad_files
from tests.image_files import photograph, saved

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class BadImage:
    """A source that must be refused.

    Attributes:
        source: what is given to `read`; a file lies in the generator's folder and is named relative to it.
        kind: what the error says that it is.
        word: a part of the cause.
        during: started before the reading, such as a writer that goes on writing; the reader waits for the event.
        as_nobody: read by a user who may not read it, which the superuser never is.
    """

    source: object
    kind: str
    word: str
    during: Callable[[threading.Event], None] | None = None
    as_nobody: bool = False


def make_bad_images(folder: Path) -> dict[str, BadImage]:
    """Write all bad files into the folder and return every bad input by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    made: dict[str, BadImage] = {}
    for name, (data, kind, word) in bad_files().items():
        (folder / name).write_bytes(data)
        made[name] = BadImage(name, kind, word)
    return {**made, **_no_files(folder), **_bad_values()}


_PIXELS = photograph()
_PNG = saved(_PIXELS, "PNG")


def _no_files(folder: Path) -> dict[str, BadImage]:
    (folder / "directory.png").mkdir(exist_ok=True)
    for name, target in {"loop.png": "loop.png", "dangling.png": "nowhere.png", "zero.png": "/dev/zero"}.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)
    for name in ("fifo.png", "socket.png"):
        (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / "fifo.png")
    _make_socket(folder / "socket.png")
    (folder / "secret.png").write_bytes(_PNG)
    (folder / "secret.png").chmod(0)
    with (folder / "huge.png").open("wb") as file:
        file.truncate(600 * 2**20)
    growing = folder / "growing.png"
    with growing.open("wb") as file:
        file.write(_PNG)
        file.truncate(64 * 2**20)
    return {
        "missing.png": BadImage("missing.png", "missing", "no such file"),
        "empty path": BadImage("", "path", "empty"),
        "NUL in name": BadImage("a\0b.png", "path", "name"),
        "name too long": BadImage("x" * 5000 + ".png", "path", "longer"),
        "below a file": BadImage("secret.png/a.png", "missing", "not a folder"),
        "not UTF-8 and missing": BadImage(os.fsdecode(b"caf\xe9.png"), "missing", "no such file"),
        "directory.png": BadImage("directory.png", "directory", "not a file"),
        "fifo.png": BadImage("fifo.png", "FIFO", "regular files"),
        "socket.png": BadImage("socket.png", "socket", "regular files"),
        "/dev/zero": BadImage("/dev/zero", "device", "regular files"),
        "zero.png": BadImage("zero.png", "device", "regular files"),
        "loop.png": BadImage("loop.png", "symlink loop", "circular"),
        "dangling.png": BadImage("dangling.png", "dangling link", "leads to nowhere.png"),
        "secret.png": BadImage("secret.png", "no permission", "may not read", as_nobody=True),
        "huge.png": BadImage("huge.png", "file", "at most"),
        "growing.png": BadImage("growing.png", "file", "changed while", during=lambda started: _grow(growing, started)),
    }


def _make_socket(path: Path) -> None:
    """Bind a socket; its path may only be short, so it is bound from its own folder."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(before)


def _grow(path: Path, started: threading.Event) -> None:
    def append() -> None:
        with path.open("ab", buffering=0) as file:
            while True:
                file.write(b"x")
                started.set()

    threading.Thread(target=append, daemon=True).start()


class _FailingFile:
    def read(self, _size: int = -1) -> bytes:
        raise OSError("the wire was cut")


class _FailingFigure:
    def savefig(self, *_: object, **__: object) -> None:
        raise RuntimeError("no ink")


def _bad_values() -> dict[str, BadImage]:
    at_end = io.BytesIO(_PNG)
    at_end.seek(0, io.SEEK_END)
    nan = np.full((4, 4), np.nan)
    lazy = PIL.Image.open(io.BytesIO(_PNG[:100]))
    return {
        "array int32": BadImage(np.arange(16, dtype=np.int32).reshape(4, 4), "array", "int32"),
        "array complex": BadImage(np.ones((4, 4), complex), "array", "complex128"),
        "array of objects": BadImage(np.full((4, 4), None), "array", "object"),
        "array of 5 channels": BadImage(np.zeros((4, 4, 5), np.uint8), "array", "(4, 4, 5)"),
        "array of 4 axes": BadImage(np.zeros((1, 4, 4, 3), np.uint8), "array", "(1, 4, 4, 3)"),
        "array of 1 axis": BadImage(np.zeros(16, np.uint8), "array", "(16,)"),
        "array empty": BadImage(np.zeros((0, 4, 3), np.uint8), "array", "empty"),
        "array float to 255": BadImage(np.linspace(0, 255, 16).reshape(4, 4), "array", "0 to 255"),
        "array below 0": BadImage(np.linspace(-1, 1, 16).reshape(4, 4), "array", "-1 to 1"),
        "array NaN": BadImage(nan, "array", "NaN"),
        "array infinite": BadImage(np.full((4, 4), np.inf), "array", "inf to inf"),
        "array masked": BadImage(np.ma.masked_equal(_PIXELS, 7), "array", "filled"),
        "array too large": BadImage(np.zeros((20_000, 10_000), bool), "array", "limits.megapixels"),
        "PIL HSV": BadImage(PIL.Image.fromarray(_PIXELS).convert("HSV"), "PIL image", "HSV"),
        "PIL F to 255": BadImage(PIL.Image.fromarray(_PIXELS[..., 0].astype(np.float32)), "PIL image", "float32"),
        "PIL I below 0": BadImage(PIL.Image.new("I", (4, 4), -5), "PIL image", "-5"),
        "PIL empty": BadImage(PIL.Image.new("RGB", (0, 4)), "PIL image", "0 x 4"),
        "PIL cut": BadImage(lazy, "PIL image", "load"),
        "text file object": BadImage(io.StringIO("PNG"), "file object", "'rb'"),
        "file object at end": BadImage(at_end, "empty", "seek(0)"),
        "failing file object": BadImage(_FailingFile(), "file object", "the wire was cut"),
        "failing figure": BadImage(_FailingFigure(), "figure", "no ink"),
        "path as bytes": BadImage(b"shots/home.png", "text", "give a path as str"),
        "bytes empty": BadImage(b"", "empty", "no bytes"),
        "number": BadImage(42, "int", "not an image"),
        "None": BadImage(None, "NoneType", "not an image"),
    }


def main() -> None:
    from tests.bad_image_trials import trials

    made = make_bad_images(Path(sys.argv[1]))
    print("| input | kind | message | seconds | MB |\n|---|---|---|---|---|")  # noqa: T201 - the command's output
    for trial in trials(Path(sys.argv[1]), made):
        print(f"| {trial.name} | {trial.kind} | {trial.cause} | {trial.seconds:.2f} | {trial.megabytes:.0f} |")  # noqa: T201 - likewise


if __name__ == "__main__":
    main()
