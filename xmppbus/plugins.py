"""The registry: four verbs by which plugins, and the house's own parts, say what they offer.

A plugin is a module with `register(registry)`. It is found by the entry point group `xmppbus.plugins`, or named in the
config: a module, or a file ending in `.py`. It comes to use when a route, or `inputs:` or `outputs:`, names it.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct

from xmppbus.errors import PluginInvalid
from xmppbus.interfaces import Analyzer, Input, Output
from xmppbus.route import Match

GROUP = "xmppbus.plugins"

Options = Mapping[str, Any]
"""What the config gives a part, as it stands there; or the type that the part declares, made of it. A factory that
raises `ValueError` or `TypeError` says what is wrong with it, and the config error names its place."""

MakeInput = Callable[[Any, Any], Input]
MakeOutput = Callable[[Any, Any], Output]
MakeAnalyzer = Callable[[Options], Analyzer]
"""The first argument of an input's and an output's factory is the `House`."""

_Factory = TypeVar("_Factory")


class Command(NamedTuple):
    """A word that people can say to the bot: declared once, with its help; `bot/command.py` has the rest."""

    name: str
    help: str
    run: Callable[..., Any]
    more: Mapping[str, Any] = {}


class Registry:
    """What is on offer, by kind and name. A name is taken once."""

    def __init__(self) -> None:
        self.inputs: dict[str, MakeInput] = {}
        self.outputs: dict[str, MakeOutput] = {}
        self.analyzers: dict[str, MakeAnalyzer] = {}
        self.commands: dict[str, Command] = {}
        self.matches: dict[str, Match] = {}
        self.options: dict[tuple[str, str], type[Struct]] = {}  # ("inputs" or "outputs", name) -> what they look like

    def input(self, name: str, make: MakeInput, options: type[Struct] | None = None) -> None:
        """Offer a way in. With `options` the config is compared with them, and `make` is given one of them."""
        _take(self.inputs, "input", name, make)
        if options:
            self.options["inputs", name] = options

    def output(
        self, name: str, make: MakeOutput, match: Match | None = None, options: type[Struct] | None = None
    ) -> None:
        """Offer a way out; routes name it in `to`. Events like `match` go there without a route in the config."""
        _take(self.outputs, "output", name, make)
        if options:
            self.options["outputs", name] = options
        if match:
            self.matches[name] = match

    def analyzer(self, name: str, make: MakeAnalyzer) -> None:
        """Offer a station; routes name it in `via`. One is made for each station, so each has a state of its own."""
        _take(self.analyzers, "analyzer", name, make)

    def command(self, name: str, help: str, run: Callable[..., Any], **more: Any) -> None:  # noqa: A002  # as ever
        """Offer a word for people: `await run(desk, asker, values)` is the answer. `more` may say who may (`action`),
        its `arguments`, `example` and `aliases`, as `xmppbus.bot.command.Command` has them."""
        _take(self.commands, "command", name, Command(name, help, run, more))


def _take(offered: dict[str, _Factory], kind: str, name: str, make: _Factory) -> None:
    if name in offered:
        raise PluginInvalid(f"two plugins offer the {kind} {name!r}; take one of them out of `plugins`")
    offered[name] = make


def load(registry: Registry, named: Sequence[str]) -> None:
    """Register every installed plugin, and those that the config names (each once). Raises `PluginInvalid`."""
    found = {entry.value: entry.name for entry in entry_points(group=GROUP)}
    for name in [*found, *(each for each in named if each not in found)]:
        _register(registry, name)


def _register(registry: Registry, name: str) -> None:
    try:
        module = _from_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except Exception as error:  # a plugin may raise anything while it is imported; its operator wants to know which
        raise PluginInvalid(f"the plugin {name} can't be loaded: {type(error).__name__}: {error}") from error
    register = getattr(module, "register", None)
    if not callable(register):
        raise PluginInvalid(f"the plugin {name} has no register(registry); see docs/howto/write-a-plugin.md")
    register(registry)


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"xmppbus_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PluginInvalid(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
