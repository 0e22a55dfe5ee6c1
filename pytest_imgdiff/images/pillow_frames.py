"""Frames of the files that Pillow decodes for us (WebP, AVIF, JPEG 2000), as RGBA.

The decoder's class is made directly, never through `PIL.Image.open`: no other format can answer (PostScript
would reach Ghostscript), and Pillow's own limit on pixels neither warns nor raises before ours.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.AvifImagePlugin import AvifImageFile
    from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    from pytest_imgdiff.images.container import Raster


def pillow_frames(
    decoder: type[WebPImageFile | AvifImageFile | Jpeg2KImageFile],
    file: bytes,
    size: tuple[int, int],
    indices: Sequence[int],
) -> Iterator[Raster]:
    """Yield the frames with these indices (ascending).

    Args:
        decoder: Pillow's class for the format.
        file: the encoded file.
        size: width and height that its headers state.
        indices: which frames.

    Raises:
        UnreadableError: the data does not decode, or not to what the headers state.
    """
    try:
        with decoder(io.BytesIO(file)) as picture:
            if picture.size != size:
                raise UnreadableError(f"damaged: it decodes to {picture.size[0]} x {picture.size[1]} pixels")
            for index in indices:
                picture.seek(index)
                picture.load()
                yield np.array(picture if picture.mode == "RGBA" else picture.convert("RGBA"))
    except (OSError, EOFError, RuntimeError, SyntaxError, ValueError) as error:
        raise UnreadableError(f"damaged or truncated: {error}") from None
