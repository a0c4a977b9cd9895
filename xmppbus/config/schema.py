"""The config as a JSON Schema (draft 2020-12), for editors: they complete names and values, and underline mistakes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import msgspec.inspect as types

from xmppbus import options
from xmppbus.config.described import comments_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BEYOND = """\
What a schema can't say, and `xmppbus check` does:
- `xmpp` has a `component` or an `account`, one of them, and a secret;
- `bot`, and routes to `chat:` and `room:`, need `xmpp`; `escalate` needs `bot`;
- names of routes and of rooms are there once, and so is each address of a route;
- analyzers, outputs and inputs are on offer; those of plugins take their options: plugins say so;
- files that are named can be read; `certificate_file` and `key_file` go together; a listener that other machines reach
  has a `tokens_file`;
- a key without a value (`nodes:`) is as if it were not there."""


def schema(ways: Mapping[tuple[str, str], type[msgspec.Struct]]) -> dict[str, Any]:
    """The whole schema, every option with what it is for and its default; `ways` are the options that inputs and
    outputs declare (`Registry.options`)."""
    found = msgspec.json.schema(options.Options)
    definitions: dict[str, Any] = found["$defs"]
    for (kind, name), way in ways.items():
        _, more = msgspec.json.schema_components([way], ref_template="#/$defs/{name}")
        definitions |= more
        mapping = definitions["Options"]["properties"][kind]
        pattern = f"^{re.escape(name)}(/.*)?$"
        mapping.setdefault("patternProperties", {})[pattern] = {"$ref": f"#/$defs/{way.__name__}"}
        mapping.setdefault("properties", {})[name] = {"$ref": f"#/$defs/{way.__name__}"}
    for section in sections(ways.values()):
        definition = definitions.get(section.__name__)
        if definition is None:
            continue
        definition["description"] = inspect.cleandoc(section.__doc__ or "")
        comments = comments_of(section)
        for name, each in definition["properties"].items():
            definition["properties"][name] = _with(each, comments.get(name, ""))
    _mend_patterns(definitions)
    definitions["Options"]["description"] = f"{definitions['Options']['description']}\n\n{BEYOND}"
    return {"$schema": DIALECT, "title": "The config of xmppbus", **found}


def sections(ways: Iterable[type[msgspec.Struct]]) -> Iterator[type[msgspec.Struct]]:
    """Every type of the config, with those that the ways in and out are made of."""
    for each in vars(options).values():
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            yield each
    for way in ways:
        yield from parts_of(way)


def parts_of(section: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """A type of options, and those that are in it."""
    found = [section]
    for each in found:
        inside = [types.type_info(field.type) for field in msgspec.structs.fields(each)]
        found += [part for kind in inside for part in _structs(kind) if part not in found]
    return found


def _structs(kind: types.Type) -> Iterator[type[msgspec.Struct]]:
    if isinstance(kind, types.StructType):
        yield kind.cls
    inside = (getattr(kind, name, None) for name in ("type", "item_type", "value_type"))
    for each in (*getattr(kind, "types", ()), *inside):
        if isinstance(each, types.Type):
            yield from _structs(each)


def _with(described: dict[str, Any], text: str) -> dict[str, Any]:
    """With what it is for, beside what it must look like."""
    looks = described.get("description", "")
    return {**described, "description": ": ".join(filter(None, (text, looks)))} if text or looks else described


def _mend_patterns(value: Any) -> None:
    """JSON Schema's patterns are those of ECMA-262, where the end of the text is `$`."""
    if isinstance(value, dict):
        if isinstance(value.get("pattern"), str):
            value["pattern"] = re.sub(r"\\Z$", "$", value["pattern"])
        for each in value.values():
            _mend_patterns(each)
    elif isinstance(value, list):
        for each in value:
            _mend_patterns(each)
