"""Python values, as a call's arguments hold them, to the plain data that a file would have given."""

from __future__ import annotations

import enum
import math
import numbers
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.config.origin import MAX_DEPTH, shown

if TYPE_CHECKING:
    from pytest_imgdiff.config.origin import KeyPath, Origin


def plain(value: Any, origin: Origin, path: KeyPath = ()) -> Any:
    """Return the value as plain data.

    Mappings become dicts, sequences lists, enum members their values, paths texts, NumPy's numbers Python's.
    What is none of these stays, for the validation to refuse.

    Raises:
        ConfigError: a number is not finite, a key is not text, or the value is nested too deeply.
    """
    if len(path) > MAX_DEPTH:
        raise origin.error(path, f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        return {_key(key, origin, path): plain(item, origin, (*path, key)) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(item, origin, (*path, index)) for index, item in enumerate(value)]
    return _plain_scalar(value, origin, path)


def _plain_scalar(value: Any, origin: Origin, path: KeyPath) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise origin.error(path, f"{value} is no finite number; give a number")
        return float(value)
    return value


def _key(key: Any, origin: Origin, path: KeyPath) -> str:
    if not isinstance(key, str):
        raise origin.error(path, f"a key is text, not {shown(key)}")
    return key
