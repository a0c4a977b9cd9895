"""What a shell may complete: commands and options, which click knows, and what the daemon knows, if it says so soon."""

from __future__ import annotations

import os
from time import monotonic
from typing import Any

import click
from click.shell_completion import CompletionItem, shell_complete

from xmppbus import limits
from xmppbus.cli import client
from xmppbus.cli.main import Commands
from xmppbus.inputs import frames

_FILES = "file"
_KINDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("pattern", "patterns", "type_"), ("types",)),
    **dict.fromkeys(("config", "file", "out", "password_file", "ca_file", "path", "command"), (_FILES,)),
    **dict.fromkeys(("deliveries", "delivery"), ("dead",)),
    **dict.fromkeys(("node", "node_"), ("nodes",)),
    "which": ("keys", "items"),
    "key": ("keys",),
    "source": ("sources",),
    "queue": ("queues",),
}
"""By the name of an argument or option."""

_OF_COMMANDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("show", "id_"): ("items",),
    ("retract", "id_"): ("items",),
    ("work", "name"): ("queues",),
    **{(f"queue {each}", "name"): ("queues",) for each in ("consume", "drop", "info", "purge")},
    ("expect info", "name"): ("expectations",),
    ("expect remove", "names"): ("expectations",),
    ("publish", "json"): (_FILES,),
    ("pep tune", "source"): (),
}
"""Where the name alone does not tell."""


class Completed(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.2
    """A type whose values can be looked up."""

    name = "completed"

    def __init__(self, of: Any, kinds: tuple[str, ...]) -> None:
        self._of = of
        self._kinds = kinds

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click says."""
        return self._of.convert(value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """As click says."""
        if _FILES in self._kinds:
            return [CompletionItem(incomplete, type="file")]
        known = {each for each in ctx.params.get(param.name or "") or () if param.nargs == -1}
        found = [each for kind in self._kinds for each in asked(kind, incomplete)]
        return [CompletionItem(each) for each in dict.fromkeys(found) if each not in known]


def complete(program: Commands, instruction: str) -> int:
    """Answer a shell; the exit code."""
    program.prepare = prepare
    return shell_complete(program, {}, "xmppbus", "_XMPPBUS_COMPLETE", instruction)


def prepare(name: str, command: click.Command) -> None:
    """Give its arguments and options what they can be completed with."""
    for each in command.params:
        kinds = _OF_COMMANDS.get((name, each.name or ""), _KINDS.get(each.name or "", ()))
        if kinds and not isinstance(each.type, (click.Choice, click.types.BoolParamType)):
            each.type = Completed(each.type, kinds)
    for part, below in getattr(command, "commands", {}).items():
        prepare(f"{name} {part}", below)


def asked(kind: str, begin: str) -> list[str]:
    """What the daemon knows that begins so; nothing without one, and nothing when it takes long: a key was pressed, and
    somebody waits."""
    deadline = monotonic() + limits.COMPLETION_SECONDS
    try:
        connection = client.connect()
        if connection is None:
            return []
        try:
            words = [b"complete", kind.encode(), os.fsencode(begin)]
            question = [frames.pack(frames.VERSION, frames.PROTOCOL)]
            question += [frames.pack(frames.ARGUMENT, each) for each in (*words[:2], b"--", words[2])]
            connection.settimeout(limits.COMPLETION_SECONDS)
            connection.sendall(b"".join([*question, frames.pack(frames.GO)]))
            splitter = frames.Splitter(limits.FRAME_BYTES)
            said = b""
            while (left := deadline - monotonic()) > 0:
                connection.settimeout(left)
                data = connection.recv(65_536)
                for sort, payload in splitter.feed(data):
                    if sort == frames.OUTPUT:
                        said += payload
                    elif sort == frames.EXIT:
                        return said.decode("utf-8", "replace").splitlines()
                if not data:
                    break
        finally:
            connection.close()
    except (OSError, frames.Broken):
        pass
    return []
