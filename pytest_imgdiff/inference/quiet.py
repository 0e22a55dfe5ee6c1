"""Silence for libraries that write to standard error from C++ while they are loaded."""

from __future__ import annotations

import os
import re
import tempfile
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDARD_ERROR = 2

_ALONE = threading.RLock()
"""Two threads that took and gave back the descriptor in turns would lose it."""

_LOG_LINE = re.compile(
    rb"[IWEF]\d{4} [\d:. ]+"  # abseil: I0000 00:00:1795379377.566624   12019 port.cc:153] ...
    rb"|\d{4}-\d\d-\d\d [\d:. ]+: [IWEF] "  # TensorFlow: 2026-01-31 12:00:00.123456: I tensorflow/...
    rb"|.{0,10}\d{4}-\d\d-\d\d [\d:. ]+\[[IWEF]:onnxruntime:"
    rb"|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    rb"|To enable the following instructions: "
)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Python warnings, and log lines that C++ code writes to file descriptor 2, from being seen.

    Whatever else is written to it in the meantime, by other threads say, is written to it at the end. Meant for
    importing and loading: both the warning filters and the descriptor belong to the whole process.
    """
    with _ALONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            saved = os.dup(STANDARD_ERROR)
        except OSError:  # there is no standard error
            yield
            return
        with os.fdopen(saved, "wb", buffering=0) as stream, tempfile.TemporaryFile() as kept:
            os.dup2(kept.fileno(), STANDARD_ERROR)
            try:
                yield
            finally:
                os.dup2(stream.fileno(), STANDARD_ERROR)
                _write_the_rest(kept, stream)


def _write_the_rest(kept: BinaryIO, stream: BinaryIO) -> None:
    kept.seek(0)
    for line in kept:
        if not _LOG_LINE.match(line):
            stream.write(line)
