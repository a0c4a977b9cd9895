"""Options of the ways in and out, which each declares itself: `inputs:` and `outputs:` of the config.

One that is wanted twice has a name behind a slash: `amqp/second`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from xmppbus.config.shape import Difference, compare, did_you_mean
from xmppbus.plugins import Registry
from xmppbus.route import QUEUE


def kind_of(name: str) -> str:
    """What it is, of several that are the same."""
    return name.partition("/")[0]


def wrong_ways(section: str, given: Mapping[str, Mapping[str, Any]], registry: Registry) -> Iterator[Difference]:
    """What is wrong in `inputs` or `outputs` of a config."""
    offered = registry.inputs if section == "inputs" else registry.outputs
    for name, value in given.items():
        kind = kind_of(name)
        struct = registry.options.get((section, kind))
        if kind not in offered:
            sentence = f"no {section.removesuffix('s')} is called `{kind}`{did_you_mean(kind, offered)}"
            yield Difference((section, name), sentence, at_key=True)
        elif struct:
            yield from compare(value, struct, (section, name))


def lacking(output: str, given: Mapping[str, Mapping[str, Any]], registry: Registry) -> str:
    """Why a route can't name an output, or nothing."""
    kind = kind_of(output)
    if output == QUEUE:
        return ""  # every house has queues; whoever consumes one comes for what is in it
    if kind not in registry.outputs:
        return f"no output is called `{kind}`{did_you_mean(kind, registry.outputs)}"
    if output in given:
        return ""
    if kind != output:
        return f"there is no `{output}` in `outputs`{did_you_mean(output, given)}"
    struct = registry.options.get(("outputs", kind))
    needs = [each.name for each in msgspec.structs.fields(struct) if each.required] if struct else []
    return f"the output `{kind}` needs options: write `outputs: {{{kind}: {{{needs[0]}: ...}}}}`" if needs else ""


def options_for(section: str, name: str, given: Mapping[str, Any], registry: Registry, file: Path | None) -> Any:
    """What its factory is given: the type that it declares, with absolute file names, or what stands in the config."""
    struct = registry.options.get((section, kind_of(name)))
    if struct is None:
        return given
    directory = file.parent.absolute() if file else Path("/")
    return _absolute(msgspec.convert(given, struct, strict=True), directory)


def _absolute(value: Any, directory: Path) -> Any:
    """With every `file` and `..._file` in it absolute, as everywhere in the config."""
    if isinstance(value, list):
        return [_absolute(each, directory) for each in value]
    if isinstance(value, dict):
        return {key: _absolute(each, directory) for key, each in value.items()}
    if not isinstance(value, msgspec.Struct):
        return value
    found = {}
    for name in value.__struct_fields__:
        each = getattr(value, name)
        is_file = (name == "file" or name.endswith("_file")) and isinstance(each, str)
        found[name] = str(directory / Path(each).expanduser()) if is_file else _absolute(each, directory)
    return msgspec.structs.replace(value, **found)
