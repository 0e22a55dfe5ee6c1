"""Whatever goes wrong with a model, in one line that names it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_imgdiff.errors import ModelError
from pytest_imgdiff.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_imgdiff.models.settings import ModelSettings


@contextmanager
def in_one_line(settings: ModelSettings, cache: Path) -> Iterator[None]:
    """Name the model, and the cache where that is what failed.

    Raises:
        ModelError: instead of any `OSError`, and of those which do not name the model.
    """
    model = f"model {printable(settings.model)}"
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{model}: {error}") from error
    except TimeoutError as error:
        raise ModelError(f"{model}: another process has been at work on it for {settings.timeout:g} s") from error
    except OSError as error:
        words = error.strerror or str(error)
        raise ModelError(f"{model}: the cache {printable(str(cache))} cannot be used: {words}") from error
