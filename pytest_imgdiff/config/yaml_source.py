"""YAML to plain data, strictly, with the place of each value.

PyYAML splits the text into events; this module builds the data, because PyYAML's constructor accepts errors: of two
equal keys the last one wins, and nine lines of aliases become a billion items. Tags, merge keys, several documents and
keys that are not strings are rejected.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import yaml

from pytest_imgdiff.base.errors import ConfigError
from pytest_imgdiff.base.opening import NotRegularError, open_regular
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.config.validation import MAX_DEPTH, KeyPath, clipped, decimal_point, dotted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


MAX_DIGITS = 40
"""The most characters of a number: limits need fewer, and Python does not convert integers of thousands of digits."""

_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: tuple[tuple[re.Pattern[str], bool | None], ...] = (
    (re.compile(r"~|null|Null|NULL|"), None),
    (re.compile(r"true|True|TRUE"), True),
    (re.compile(r"false|False|FALSE"), False),
)
_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text, 0)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
)


def plain_scalar(text: str) -> Any:
    """Return None, a bool, an int, a finite float, or the string itself.

    Raises:
        ValueError: it is a number that cannot be used, for the reason in the message.
    """
    for pattern, value in _WORDS:
        if pattern.fullmatch(text):
            return value
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"must be a finite number, not {text}")
    for pattern, converted in _NUMBERS:
        if pattern.fullmatch(text):
            return _checked(text, converted)
    return text


def _checked(text: str, converted: Callable[[str], int | float]) -> int | float:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS} characters; shorten it")
    number = converted(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number; give a smaller one")
    return number


MAX_NODES = 20_000
"""The most keys and values; those of an alias count for each use."""
_REMEDIES = {
    r"'\t'": "a tab cannot indent YAML; use spaces",
    "unexpected end of stream": "a quote that opens here is never closed",
    "expected <block end>": "not valid YAML here; check the indentation, and quote texts that hold special characters",
    "mapping values are not allowed": "not valid YAML here; check the indentation, and quote texts that hold ': '",
    "cannot start any token": "not valid YAML here; quote texts that begin with a special character",
    "but got": "not valid YAML here; close every bracket, and put commas between items",
}
"""Words in PyYAML's common errors to what to do about them."""
_SURROGATE = re.compile("[\ud800-\udfff]")


_Content = yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file; both numbers start at 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file as plain data, with the places of its parts.

    Attributes:
        value: string, bool, int, finite float, None, list, or dict with string keys.
        mark: its start.
        children: of a list or a mapping, by index or key.
        keys: the places of a mapping's keys.
        weight: the number of nodes in it, with itself and those of aliases.
    """

    value: Any
    mark: Mark
    children: Mapping[str | int, Node] = field(default_factory=dict)
    keys: Mapping[str, Mark] = field(default_factory=dict)
    weight: int = 1


@dataclass(frozen=True, slots=True)
class YamlSource:
    """The content of one YAML file.

    Attributes:
        label: the file's name in messages.
        root: its only document.
    """

    label: str
    root: Node

    def error(self, path: KeyPath, what: str, *, at_key: bool = False) -> ConfigError:
        """Return ``FILE:LINE:COLUMN: KEY: what``; see `pytest_imgdiff.config.validation.Origin`."""
        mark = self._key_mark(path) if at_key else self._nearest(path).mark
        return _error(self.label, mark, path, what)

    def _key_mark(self, path: KeyPath) -> Mark:
        parent = self._nearest(path[:-1])
        last = path[-1] if path else None
        if isinstance(last, str) and last in parent.keys:
            return parent.keys[last]
        return self._nearest(path).mark

    def _nearest(self, path: KeyPath) -> Node:
        node = self.root
        for step in path:
            if step not in node.children:
                break
            node = node.children[step]
        return node


def parse_yaml(text: str, label: str) -> YamlSource:
    """Parse YAML with at most one document; without a document the content is None.

    Args:
        text: of the file.
        label: the file's name in messages.

    Raises:
        ConfigError: it is not YAML, or uses a feature that is rejected.
    """
    try:
        # BaseLoader only for its scanner and parser: it constructs nothing.
        loader = yaml.BaseLoader(text)
    except yaml.reader.ReaderError as error:
        what = f"the character U+{error.character:04X} is not allowed in YAML; remove it"
        raise _error(label, _mark_at(text, error.position), (), what) from error
    reader = _Reader(label, loader)
    try:
        return YamlSource(label, reader.document())
    except yaml.MarkedYAMLError as error:
        unclosed = error.problem == "found unexpected end of stream"
        mark = _mark_of(error.context_mark if unclosed else error.problem_mark)
        raise _error(label, mark, tuple(reader.path), _in_words(error)) from error
    except (ValueError, OverflowError) as error:  # PyYAML does not check the arguments of chr() and int()
        what = "not valid YAML (an escape or a version that is out of range)"
        raise _error(label, _mark_of(loader.get_mark()), tuple(reader.path), what) from error


def _error(label: str, mark: Mark, path: KeyPath, what: str) -> ConfigError:
    return ConfigError(f"{label}:{mark.line}:{mark.column}: {dotted(path)}: {what}")


def _mark_at(text: str, position: int) -> Mark:
    before = text[:position]
    return Mark(before.count("\n") + 1, position - before.rfind("\n"))


def _mark_of(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)


def _in_words(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "it cannot be read"
    return next((words for cause, words in _REMEDIES.items() if cause in problem), f"not valid YAML ({problem})")


class _Reader:
    """Builds nodes from events. ``path`` is the current place, also after an error."""

    def __init__(self, label: str, loader: yaml.BaseLoader) -> None:
        self.path: list[str | int] = []
        self._label = label
        self._next: Callable[[], Any] = loader.get_event
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0

    def document(self) -> Node:
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            return Node(None, Mark(1, 1))
        root = self._node(self._next())
        self._next()  # the document's end
        following = self._next()
        if not isinstance(following, yaml.StreamEndEvent):
            raise self._refusal(following, "a second document; one file holds one, without a line ---")
        return root

    def _node(self, event: yaml.AliasEvent | _Content) -> Node:
        if len(self.path) > MAX_DEPTH:
            raise self._refusal(event, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event)
        self._count(event, 1)
        if event.tag is not None:
            raise self._refusal(event, f"the tag {clipped(event.tag)} is not read; remove it")
        if event.anchor is not None:
            self._open_anchor(event, event.anchor)
        node = self._content(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _content(self, event: _Content) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return Node(self._scalar(event), _start(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event)
        return self._mapping(event)

    def _sequence(self, start: yaml.Event) -> Node:
        children: dict[str | int, Node] = {}
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            self.path.append(len(children))
            children[len(children)] = self._node(event)
            self.path.pop()
        values = [child.value for child in children.values()]
        return Node(values, _start(start), children, weight=_weight(children))

    def _mapping(self, start: yaml.Event) -> Node:
        children: dict[str | int, Node] = {}
        keys: dict[str, Mark] = {}
        last: str | None = None
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, last)
            self.path.append(key)
            if key in keys:
                raise self._refusal(event, f"duplicate key, also on line {keys[key].line}; keep one of them")
            keys[key] = _start(event)
            value = self._next()
            children[key] = self._node(value)
            last = value.value if isinstance(value, yaml.ScalarEvent) else None
            self.path.pop()
        values = {key: child.value for key, child in children.items()}
        return Node(values, _start(start), children, keys, _weight(children))

    def _key(self, event: yaml.Event, last: str | None) -> str:
        """Return a key. `last` is the text of the previous value in the mapping, if it is a scalar."""
        self._count(event, 1)
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None or event.anchor is not None:
            raise self._refusal(event, "a key must be a plain string, without anchor, alias or tag")
        key = self._scalar(event)
        if not isinstance(key, str):
            # Between braces, `{max: 0,01}` is the number 0 and a key 01.
            if comma := decimal_point(f"{last},{event.value}"):
                raise self._refusal(event, f"a comma ends the value before it{comma}")
            raise self._refusal(
                event, f"the key {clipped(event.value) or '(nothing)'} is not a string; put it in quotes"
            )
        if key == "<<":
            raise self._refusal(
                event,
                "merge keys (<<) are not part of YAML 1.2; repeat the keys, or alias a whole value (key: *name)",
            )
        return key

    def _open_anchor(self, event: _Content, anchor: str) -> None:
        if anchor in self._anchors:
            raise self._refusal(event, f"duplicate anchor &{clipped(anchor)}; rename one of them")
        self._anchors[anchor] = None

    def _aliased(self, event: yaml.AliasEvent) -> Node:
        anchor = event.anchor or ""
        name = clipped(anchor)
        if anchor not in self._anchors:
            raise self._refusal(event, f"the alias *{name} has no anchor &{name} before it")
        node = self._anchors[anchor]
        if node is None:
            raise self._refusal(event, f"the alias *{name} is inside its own anchor")
        self._count(event, node.weight)
        return replace(node, mark=_start(event))

    def _count(self, event: yaml.Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._refusal(event, f"more than {MAX_NODES} keys and values, aliases counted as written out")

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text: str = event.value
        if _SURROGATE.search(text):
            raise self._refusal(event, "an unpaired surrogate is not a character; write the character itself")
        if event.style is not None:  # in quotes, or a block
            return text
        try:
            return plain_scalar(text)
        except ValueError as error:
            raise self._refusal(event, str(error)) from error

    def _refusal(self, event: yaml.Event, what: str) -> ConfigError:
        return _error(self._label, _start(event), tuple(self.path), what)


def _start(event: yaml.Event) -> Mark:
    return _mark_of(event.start_mark)


def _weight(children: Mapping[str | int, Node]) -> int:
    return 1 + sum(child.weight for child in children.values())


MAX_BYTES = 256 * 1024


def read_text(path: Path) -> str:
    """Return the text of a settings file.

    Raises:
        ConfigError: it is missing or not a regular file, larger than 256 KiB, or not UTF-8.
    """
    label = label_of(path)
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise ConfigError(f"{label}: {size} bytes; a configuration has at most {MAX_BYTES}")
            data = file.read()
    except NotRegularError as error:
        what = "a directory" if error.kind == "directory" else "a device, pipe or socket"
        raise ConfigError(f"{label}: {what}, not a file; give the path of a YAML file") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{label}: cannot be read: {cause}; check the path and its permissions") from error
    return _decoded(data, label)


def _decoded(data: bytes, label: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        what = f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError(f"{label}:{line}:{column}: (top level): {what}") from error
