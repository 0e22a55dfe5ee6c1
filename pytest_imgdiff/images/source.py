"""From whatever the user gives to something that can be decoded."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any, Literal, cast

import numpy as np

from pytest_imgdiff.errors import BrokenImageError, ImgdiffError
from pytest_imgdiff.image import Image
from pytest_imgdiff.images.files import read_file, read_stream
from pytest_imgdiff.images.sniff import encoded_text
from pytest_imgdiff.images.strangers import advice_about, refuse_awaitable
from pytest_imgdiff.images.unreadable import UnreadableError
from pytest_imgdiff.images.values import Figure, array_of, checked_array, saved_figure
from pytest_imgdiff.names import printable
from pytest_imgdiff.stores import StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable

    import PIL.Image
    from numpy.typing import NDArray

    Load = Callable[[object], object | None]

LONGEST_LABEL = 400
"""Characters of a path that cannot be read which a message repeats: a text may have been given for a path."""

SourceKind = Literal["path", "bytes", "file object", "array", "PIL image", "figure", "image"]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A picture that was found and not yet decoded.

    Attributes:
        kind: what the user gave.
        label: how messages call it; printable.
        path: as the operating system takes it, where it was one.
        data: the encoded bytes, where there are any (paths, bytes, file objects, figures).
        pixels: (height, width, channels), a checked copy of an array.
        mode: channels and depth of an array in words.
        picture: the PIL image, as it was given.
        image: an image that is in the normal form already.
    """

    kind: SourceKind
    label: str
    path: str | bytes | None = None
    data: bytes | None = None
    pixels: NDArray[Any] | None = None
    mode: str = ""
    picture: PIL.Image.Image | None = None
    image: Image | None = None


def read(source: object, *, load: Load | None = None, root: Path | None = None) -> Source:
    """Find the picture that the user means; a file is read whole, nothing is decoded.

    Args:
        source: a path (str or PathLike), encoded bytes (never a path), a `StoredFile`, a binary file object, a NumPy
            array, a PIL image, a figure (anything with ``savefig``), an `Image`, a `Source` (returned itself), or
            whatever ``load`` takes.
        load: the plugins' hook; asked once about every source that is no path and no bytes. Its answer is read in
            the source's place.
        root: the folder that messages and records call absolute paths relative to; as they were given where omitted.

    Raises:
        BrokenImageError: there is nothing that can be read, or it is no picture source at all.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _read_path(_file_system_path(source), root)
    if isinstance(source, StoredFile):
        return Source("path", source.label, data=source.read())
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Source("bytes", "bytes", data=bytes(source))
    refuse_awaitable(source)
    answer = _asked(source, load)
    if answer is not None and answer is not source:
        return _read_answer(source, answer, root)
    try:
        return _read_value(source, root)
    except UnreadableError as error:
        raise BrokenImageError(_type_label(source), error.kind or "value", error.cause) from error.__cause__


def _read_answer(source: object, answer: object, root: Path | None) -> Source:
    """Read what an `imgdiff_load` hook returned for a value."""
    try:
        return read(answer, root=root)
    except BrokenImageError as error:
        cause = f"the imgdiff_load hook returned {_of_type(answer)}: {error}"
        raise BrokenImageError(_type_label(source), "value", cause) from error.__cause__


def _file_system_path(source: str | os.PathLike[Any]) -> str | bytes:
    try:
        return os.fspath(source)
    except Exception as error:  # __fspath__ is the user's own code
        cause = f"its __fspath__() gives no path: {type(error).__name__}: {error}"
        raise BrokenImageError(_type_label(source), "path", printable(cause)) from error


def _read_path(path: str | bytes, root: Path | None) -> Source:
    label = _path_label(path, root)
    if not path:
        raise BrokenImageError("''", "path", "the path is empty")
    encoded = encoded_text(path) if isinstance(path, str) and not os.path.lexists(path) else None
    if encoded is not None:
        what = {
            "base64": "base64, not a path; pass base64.b64decode(text)",
            "a data: URL": "a data: URL; pass base64.b64decode(text.split(',')[1])",
        }
        raise BrokenImageError("str", "text", f"this text is {what[encoded]}")
    try:
        return Source("path", label, path=path, data=read_file(path, label))
    except BrokenImageError as error:
        if len(label) <= LONGEST_LABEL:
            raise
        raise BrokenImageError(f"{label[:LONGEST_LABEL]}...", error.kind, error.cause) from None


def _path_label(path: str | bytes, root: Path | None) -> str:
    """Return what the file is called: nobody else's machine has this one's folders."""
    name = os.fsdecode(path)
    if root is not None and not os.path.isabs(name):  # noqa: PTH117 - no Path is needed for it
        name = _from_working_directory(name, root)
    if root is not None and os.path.isabs(name):  # noqa: PTH117 - the same
        try:
            name = os.path.relpath(name, root)
        except ValueError:  # on another drive
            name = Path(name).name
        name = name.replace(os.sep, "/")
    return printable(name)


def _from_working_directory(name: str, root: Path) -> str:
    """Return the absolute path of a relative one that lies below the root, if that is not the working directory."""
    here = Path.cwd()
    place = here / name
    return str(place) if here != root and name and place.is_relative_to(root) else name


def _asked(source: object, load: Load | None) -> object | None:
    if load is None:
        return None
    try:
        return load(source)
    except ImgdiffError:
        raise
    except Exception as error:
        cause = f"the imgdiff_load hook failed: {type(error).__name__}: {error}"
        raise BrokenImageError(_type_label(source), "value", printable(cause)) from error


def _read_value(source: object, root: Path | None) -> Source:
    if isinstance(source, Image):
        return Source("image", source.info.label, image=source)
    if isinstance(source, np.ndarray):
        try:
            pixels, mode = checked_array(source)
        except UnreadableError as error:
            raise UnreadableError(error.cause, "array") from None
        return Source("array", "array", pixels=pixels, mode=mode)
    picture = _pil_image(source)
    if picture is not None:
        return Source("PIL image", _file_name(picture, "filename", root) or "PIL image", picture=picture)
    if isinstance(source, Figure) and not isinstance(source, ModuleType):
        try:
            return Source("figure", "figure", data=saved_figure(source))
        except UnreadableError as error:
            raise UnreadableError(error.cause, "figure") from error.__cause__
    if not (known := advice_about(source)) and (array := array_of(source)) is not None:
        return _read_value(array, root)
    if not known and callable(getattr(source, "read", None)):
        label = _file_name(source, "name", root) or "file object"
        return Source("file object", label, data=read_stream(cast("IO[bytes]", source), label))
    raise UnreadableError(
        known
        or "this is no picture, and nothing captures it: pass a path, encoded bytes, a binary file, an array, a PIL "
        "image or a figure (the fixture also takes pages and elements of Playwright and Selenium, figures of Plotly, "
        "Bokeh and Altair, PyVista plotters, Qt widgets and pypdfium2 documents); for a type of your own write a hook, "
        "imgdiff_capture or imgdiff_load",
        type(source).__name__,
    )


def _pil_image(source: object) -> PIL.Image.Image | None:
    """Return the source if it is a PIL image; where there is one, Pillow was imported."""
    pillow = sys.modules.get("PIL.Image")
    return source if pillow is not None and isinstance(source, pillow.Image) else None


def _file_name(source: object, attribute: str, root: Path | None) -> str | None:
    """Return the name that a file object or PIL image carries; it can be a number, or empty."""
    name = getattr(source, attribute, None)
    return _path_label(os.fspath(name), root) if isinstance(name, (str, bytes, os.PathLike)) and name else None


def _of_type(value: object) -> str:
    return f"a value of type {type(value).__name__}"


def _type_label(source: object) -> str:
    return "array" if isinstance(source, np.ndarray) else type(source).__name__
