"""Plain data to typed settings, with readable messages.

msgspec validates the data and reports the place; this module describes the expected value, from the same types.
"""

from __future__ import annotations

import difflib
import enum
import math
import numbers
import os
import re
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
import msgspec.inspect as types

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.stores import is_url, redacted
from pytest_imgdiff.base.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable


KeyPath = tuple[str | int, ...]
"""The path of a setting: ``("overrides", 0, "metrics", "ssim")``."""

MAX_DEPTH = 20
"""Levels of nesting that settings may have; imgdiff.yaml has seven."""
LONGEST_SHOWN = 60
"""The most characters of a user's value in a message."""
LONGEST_INTEGER = 64
"""The most bits of a number in a message."""
_DECIMAL_COMMA = re.compile(r"([-+]?[0-9]{1,20}),([0-9]{1,20})")


class Origin(Protocol):
    """A source of settings: a file, the command line, a call."""

    def error(self, path: KeyPath, what: str, *, at_key: bool = False) -> ConfigError:
        """Return (not raise) the error for the setting at ``path``.

        Args:
            path: of the setting; the message contains the nearest known place.
            what: what is wrong, and what to do.
            at_key: whether the key is wrong, not its value.
        """
        ...


class CallOrigin:
    """Settings as Python values: the arguments of a call, the options of the command line."""

    def __init__(self, label: str) -> None:
        self._label = label

    def error(self, path: KeyPath, what: str, *, at_key: bool = False) -> ConfigError:  # noqa: ARG002 - no columns here
        """Return ``LABEL: KEY: what``."""
        return ConfigError(f"{printable(self._label)}: {dotted(path)}: {what}")


def dotted(path: KeyPath) -> str:
    """Return the path in the form of messages: ``overrides[0].metrics.ssim``; lists count from 0."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{clipped(step)}" for step in path)
    return text.removeprefix(".") or "(top level)"


def shown(value: Any) -> str:
    """Return a user's value for a message, clipped and on one line; a URL without what may be credentials."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the string {quoted(redacted(value) if is_url(value) else value)}"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    return number(value) if isinstance(value, (int, float)) else f"a value of type {type(value).__name__}"


def number(value: float) -> str:
    """Return a number with at most 15 digits."""
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        return "a number of very many digits"
    return f"{value:.15g}"


def quoted(text: str) -> str:
    """Return a string in quotes, printable and clipped."""
    return f'"{clipped(text)}"'


def clipped(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Return the string for a message: printable and clipped."""
    return printable(text if len(text) <= longest else f"{text[:longest]}...")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean "..."?`` for the most similar known word; empty if none is similar."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def decimal_point(text: str) -> str:
    """Return ``; write 0.01 ...`` for a number with a decimal comma; otherwise empty."""
    found = _DECIMAL_COMMA.fullmatch(text.strip())
    return f"; write {'.'.join(found.groups())}, with a point in place of the comma" if found else ""


T = TypeVar("T")

_KINDS: dict[type, str] = {
    types.BoolType: "true or false",
    types.StrType: "a string",
    types.NoneType: "null",
    types.ListType: "a list",
    types.TupleType: "a list",
    types.VarTupleType: "a list",
    types.DictType: "a mapping (key: value)",
    types.StructType: "a mapping (key: value)",
    types.DataclassType: "a mapping (key: value)",
    types.TypedDictType: "a mapping (key: value)",
}
_ONE_AT_A_TIME = threading.Lock()
"""msgspec inspects a type on first use; two threads that do so at the same time crash the process (0.22)."""
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


def convert(data: Any, target: type[T], origin: Origin, path: KeyPath) -> T:
    """Return the data as the target type.

    Args:
        data: plain: dicts, lists, strings, numbers, booleans, None.
        target: a msgspec Struct that forbids unknown fields.
        origin: the source of the data.
        path: their place in it.

    Raises:
        ConfigError: the first error, with its place and what to write instead.
    """
    try:
        with _ONE_AT_A_TIME:
            return msgspec.convert(data, target)
    except msgspec.ValidationError as error:
        raise _explained(str(error), data, target, origin, path) from error


def described(info: types.Type | None) -> str:
    """Return a description of the values of this type; empty if there is none."""
    if isinstance(info, types.Metadata):
        return (info.extra or {}).get("expects") or described(info.type)
    if isinstance(info, types.UnionType):
        return " or ".join(filter(None, map(described, info.types)))
    if isinstance(info, (types.IntType, types.FloatType)):
        return ("an integer" if isinstance(info, types.IntType) else "a number") + _range(info)
    if isinstance(info, types.LiteralType):
        return _listed([str(value) for value in info.values])
    if isinstance(info, types.EnumType):
        return _listed([str(member.value) for member in info.cls])
    return _KINDS.get(type(info), "")


def _explained(message: str, data: Any, target: type, origin: Origin, path: KeyPath) -> ConfigError:
    """Return msgspec's error with the place and what to do."""
    message, _, place = message.rstrip("`").partition(" - at `$")
    place, in_dict, _ = place.partition("[...]")  # msgspec does not report the key of a dict
    steps, info, value = _found(_steps(place), types.type_info(target), data)
    where = (*path, *steps)
    fields = _fields(info)
    if message.startswith("Object contains unknown field"):
        return _unknown_key(fields, value, origin, where)
    if message.startswith("Object missing required field"):
        return _missing_key(fields, value, origin, where)
    expects = described(info)
    if in_dict or not expects:
        return origin.error(where, printable(message[:1].lower() + message[1:]))
    return origin.error(where, f"expected {expects}, not {shown(value)}{_hint(info, value)}")


def _steps(place: str) -> KeyPath:
    return tuple(name or int(index) for name, index in _STEP.findall(place))


def _found(steps: KeyPath, info: types.Type, value: Any) -> tuple[KeyPath, types.Type | None, Any]:
    """Follow the steps as far as the type and the data have them."""
    found: types.Type | None = info
    for index, step in enumerate(steps):
        below = _below(found, step)
        try:
            value = value[step]
        except (LookupError, TypeError):
            return steps[:index], found, value
        found = below
    return steps, found, value


def _below(info: types.Type | None, step: str | int) -> types.Type | None:
    """Return the type of a part, if the type defines it."""
    if isinstance(info, types.Metadata):
        return _below(info.type, step)
    if isinstance(info, types.UnionType):
        return next((found for option in info.types if (found := _below(option, step))), None)
    if isinstance(step, str):
        field = _fields(info).get(step)
        return field.type if field else None
    if isinstance(info, types.TupleType):
        return info.item_types[step] if step < len(info.item_types) else None
    if isinstance(info, (types.ListType, types.VarTupleType)):
        return info.item_type
    return None


def _fields(info: types.Type | None) -> dict[str, types.Field]:
    """Return the keys of a mapping's type; none for other types."""
    if isinstance(info, types.Metadata):
        return _fields(info.type)
    if isinstance(info, types.UnionType):
        return next((fields for option in info.types if (fields := _fields(option))), {})
    if isinstance(info, (types.StructType, types.DataclassType, types.TypedDictType)):
        return {field.encode_name: field for field in info.fields}
    return {}


def _unknown_key(fields: dict[str, types.Field], value: Any, origin: Origin, path: KeyPath) -> ConfigError:
    key = next(key for key in value if key not in fields)
    what = f"unknown key {quoted(key)}{did_you_mean(key, fields)} (known: {', '.join(sorted(fields))})"
    return origin.error((*path, key), what, at_key=True)


def _missing_key(fields: dict[str, types.Field], value: Any, origin: Origin, path: KeyPath) -> ConfigError:
    key, field = next((key, field) for key, field in fields.items() if field.required and key not in value)
    return origin.error(path, f'the key "{key}" is missing; add {key}: {described(field.type)}', at_key=True)


def _range(info: types.IntType | types.FloatType) -> str:
    if info.ge is not None and info.le is not None:
        return f" from {number(info.ge)} to {number(info.le)}"
    parts = [
        f"{word} {number(bound)}"
        for word, bound in (("of at least", info.ge), ("above", info.gt), ("of at most", info.le), ("below", info.lt))
        if bound is not None
    ]
    return f" {' and '.join(parts)}" if parts else ""


def _listed(words: list[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _hint(info: types.Type | None, value: Any) -> str:
    """Return what to do about an error with an obvious cause."""
    if value is None:
        return "; give it a value, or remove the key"
    while isinstance(info, types.Metadata):
        info = info.type
    if isinstance(info, types.LiteralType) and isinstance(value, str):
        return did_you_mean(value, [str(known) for known in info.values])
    if isinstance(info, types.StrType) and isinstance(value, (bool, int, float)):
        return "; put strings in quotes"
    if isinstance(info, types.FloatType) and isinstance(value, str):
        return decimal_point(value)
    return ""


def plain(value: Any, origin: Origin, path: KeyPath = ()) -> Any:
    """Return the value as plain data.

    Mappings become dicts, sequences lists, enum members their values, paths strings, NumPy's numbers Python's.
    Other values are unchanged; the validation rejects them.

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
            raise origin.error(path, f"must be a finite number, not {value}")
        return float(value)
    return value


def _key(key: Any, origin: Origin, path: KeyPath) -> str:
    if not isinstance(key, str):
        raise origin.error(path, f"a key must be a string, not {shown(key)}")
    return key
