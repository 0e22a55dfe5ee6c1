"""Plain data to typed settings, with messages for people.

msgspec validates and says where; what was expected is said here, from the same types.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import msgspec.inspect as types

from pytest_imgdiff.config.origin import decimal_point, did_you_mean, number, quoted, shown
from pytest_imgdiff.names import printable

if TYPE_CHECKING:
    from pytest_imgdiff.config.origin import KeyPath, Origin
    from pytest_imgdiff.errors import ConfigError

T = TypeVar("T")

_KINDS: dict[type, str] = {
    types.BoolType: "true or false",
    types.StrType: "text",
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
"""msgspec looks at a type when it first meets it; two threads that do so at once crash the process (0.22)."""
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


def convert(data: Any, wanted: type[T], origin: Origin, path: KeyPath) -> T:
    """Return the data as the wanted type.

    Args:
        data: plain: dicts, lists, texts, numbers, booleans, None.
        wanted: a msgspec Struct that forbids unknown fields.
        origin: what the data come from.
        path: where in it they stand.

    Raises:
        ConfigError: what the first mistake is, where, and what to write instead.
    """
    try:
        with _ONE_AT_A_TIME:
            return msgspec.convert(data, wanted)
    except msgspec.ValidationError as error:
        raise _explained(str(error), data, wanted, origin, path) from error


def described(info: types.Type | None) -> str:
    """Return what a value of this type looks like, or nothing where that cannot be said."""
    if isinstance(info, types.Metadata):
        return (info.extra or {}).get("expects") or described(info.type)
    if isinstance(info, types.UnionType):
        return " or ".join(filter(None, map(described, info.types)))
    if isinstance(info, (types.IntType, types.FloatType)):
        return ("a whole number" if isinstance(info, types.IntType) else "a number") + _range(info)
    if isinstance(info, types.LiteralType):
        return _listed([str(value) for value in info.values])
    if isinstance(info, types.EnumType):
        return _listed([str(member.value) for member in info.cls])
    return _KINDS.get(type(info), "")


def _explained(complaint: str, data: Any, wanted: type, origin: Origin, path: KeyPath) -> ConfigError:
    """Return msgspec's complaint as the error that its reader can act on."""
    message, _, place = complaint.rstrip("`").partition(" - at `$")
    place, in_dict, _ = place.partition("[...]")  # msgspec does not say which key of a dict
    steps, info, value = _found(_steps(place), types.type_info(wanted), data)
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
    """Follow the steps as far as both the type and the data go."""
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
    """Return the type of a part, where the type says it."""
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
    """Return the keys of a mapping's type; none for any other."""
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
    """Return what to do about a mistake whose cause is plain."""
    if value is None:
        return "; give it a value, or remove the key"
    while isinstance(info, types.Metadata):
        info = info.type
    if isinstance(info, types.LiteralType) and isinstance(value, str):
        return did_you_mean(value, [str(known) for known in info.values])
    if isinstance(info, types.StrType) and isinstance(value, (bool, int, float)):
        return "; put a text in quotes"
    if isinstance(info, types.FloatType) and isinstance(value, str):
        return decimal_point(value)
    return ""
