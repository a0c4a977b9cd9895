"""A YAML file as plain values, each with its line and column.

Scalars are read as YAML 1.2's core schema reads them: `on`, `no` and `12:30` are text, numbers are decimal, and only
`true` and `false` are true and false. Tags and merge keys are not read; a key that comes twice is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from xmppbus import limits

Path = tuple[str | int, ...]
"""Where in the config: `("routes", 0, "to")`."""

_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_TRUE = re.compile(r"^(?:true|True|TRUE)$")
_FALSE = re.compile(r"^(?:false|False|FALSE)$")
_INTEGER = re.compile(r"^[-+]?[0-9]{1,18}$")
_FLOAT = re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]{1,3})?$")
_TEXT_TAG = "tag:yaml.org,2002:str"
_QUOTED = re.compile(r"'[^']*'")


class Position(NamedTuple):
    """Both count from 1, as editors do."""

    line: int
    column: int


class Problem(NamedTuple):
    """What is wrong, and where."""

    position: Position
    sentence: str


@dataclass
class Document:
    """What stands in a file. `empty` are keys without a value: they say nothing, unlike an explicit `null`."""

    value: Any = None
    text: bytes = field(default=b"", repr=False)
    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    empty: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def position(self, path: Path, *, key: bool = False) -> Position:
        """Where this value (or its key) stands; for one that was left out, where the part stands that lacks it."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Position(1, 1))


class _Unresolving(yaml.SafeLoader):
    """Leaves every plain scalar as text: what it means is decided here, by YAML 1.2."""


_Unresolving.yaml_implicit_resolvers = {}


def read(text: bytes) -> Document:
    """Read a config file. What can't be read is in `problems`; the rest is in `value`."""
    document = Document(text=text)
    if len(text) > limits.CONFIG_BYTES:
        document.problems.append(Problem(Position(1, 1), f"the file is larger than {limits.CONFIG_BYTES} bytes"))
        return document
    try:
        root = yaml.compose(text.decode(), Loader=_Unresolving)
    except UnicodeDecodeError as error:
        before = text[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        document.problems.append(Problem(Position(before.count(b"\n") + 1, column), "the file is not UTF-8 text"))
    except RecursionError:
        document.problems.append(Problem(Position(1, 1), "the file is nested too deeply"))
    except yaml.reader.ReaderError as error:
        document.problems.append(
            Problem(_offset(text.decode(), error.position), "a control character can't stand here")
        )
    except yaml.MarkedYAMLError as error:
        document.problems.append(_syntax(error))
    else:
        if root is not None:
            document.value = _Reader(document).read(root, (), ())
    return document


def _offset(text: str, index: int) -> Position:
    before = text[:index]
    return Position(before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)


def _syntax(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    position = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
    said = str(error.problem or "it can't be read")
    if r"'\t'" in said:
        return Problem(position, "this is not YAML: a tab stands here; indent with blanks")
    if not isinstance(error, yaml.parser.ParserError):
        # What PyYAML quotes here stands in the file, and may be part of a secret.
        said = f"{_QUOTED.sub('', said).strip()}; a text with `*`, `&`, `@`, `%`, `#` or `: ` in it needs quotes"
    return Problem(position, f"this is not YAML: {' '.join(said.split())}")


class _TooMuchError(Exception):
    """The values, aliases counted out, are more than a config can need."""


class _Reader:
    """Turns composed nodes into values, and notes where each stands."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._left = limits.CONFIG_VALUES

    def read(self, node: yaml.Node, path: Path, above: tuple[int, ...]) -> Any:
        """The value of a node. Aliases are followed, so a few lines could stand for billions: values are counted."""
        try:
            return self._read(node, path, above)
        except _TooMuchError:
            self._complain(node, f"the file stands for more than {limits.CONFIG_VALUES} values")
            return None

    def _read(self, node: yaml.Node, path: Path, above: tuple[int, ...]) -> Any:
        self._left -= 1
        if self._left < 0 or len(above) > limits.CONFIG_DEPTH:
            raise _TooMuchError
        self._document.values[path] = _position(node)
        if id(node) in above:
            self._complain(node, "an alias can't stand for what it is part of")
            return None
        inside = (*above, id(node))
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, path, inside))
        if isinstance(node, yaml.SequenceNode):
            return [self._read(each, (*path, index), inside) for index, each in enumerate(node.value)]
        return self._scalar(node, path)

    def _pairs(self, node: yaml.MappingNode, path: Path, inside: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
        seen: dict[str, Position] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._complain(key, "a key must be a word")
                continue
            name = str(key.value)
            if name == "<<":
                self._complain(key, "merge keys (`<<`) are not read here; write the options out")
                continue
            if name in seen:
                self._complain(key, f"`{name}` is here a second time; the first is in line {seen[name].line}")
                continue
            seen[name] = self._document.keys[*path, name] = _position(key)
            yield name, self._read(value, (*path, name), inside)

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        text = str(node.value)
        if node.tag != _TEXT_TAG:
            self._complain(node, f"tags such as {node.tag.replace('tag:yaml.org,2002:', '!!')} are not read here")
            return None
        if getattr(node, "style", None) is not None:  # quoted, or a block: text whatever it looks like
            return text
        if not text:
            self._document.empty.add(path)
        return _plain(text)

    def _complain(self, node: yaml.Node, sentence: str) -> None:
        self._document.problems.append(Problem(_position(node), sentence))


def _plain(text: str) -> Any:
    if _NULL.match(text):
        return None
    if _TRUE.match(text):
        return True
    if _FALSE.match(text):
        return False
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text


def _position(node: yaml.Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)
