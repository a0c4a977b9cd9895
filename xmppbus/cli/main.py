"""All commands, by name; each is imported when it is used. And how they run without a daemon."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from xmppbus.errors import Exit

HOUSE_COMMANDS = (
    *("publish", "listen", "get", "plot", "status", "show", "monitor"),
    *("incidents", "ack", "unack", "resolve", "retract", "subscribers"),
    *("queue", "dead", "replay", "reload", "journal", "expect", "sendmail"),
    *("disco", "node", "roster", "message", "pep"),
)
"""Carried out by the daemon; of `journal` only `prune`, and that without one as well."""

LOCAL_COMMANDS = (
    *("init", "serve", "check", "config", "demo", "watch", "token", "exec", "work"),
    *("install-service", "server-module", "backup", "restore", "completion", "version"),
)
"""Carried out where they are typed."""

_MODULES = {"queue": "queues", "token": "tokens", "config": "configuring", "install-service": "install_service"}
_MODULES["server-module"] = "server_module"
_MODULES |= dict.fromkeys(("ack", "unack", "resolve", "retract"), "acting")
"""Where a module has not its command's name: `token` is a module of the standard library; some share one."""

UNLISTED = ("complete",)
"""Asked by programs of ours: no help shows them."""

_EXAMPLE = "\b\nExample:"
_LEAST_BRIEF = 15

SETTINGS = {"help_option_names": ["-h", "--help"]}


class Commands(click.Group):
    """A group whose commands are in `xmppbus/cli/NAME.py`, and are imported by name."""

    def __init__(self, names: Sequence[str], **settings: Any) -> None:
        super().__init__(**settings)
        self.names = tuple(names)
        self.prepare: Callable[[str, click.Command], None] = lambda _name, _command: None

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """In the order in which a newcomer meets them."""
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        """Import it once."""
        if cmd_name not in self.names and cmd_name not in UNLISTED:
            return None
        if cmd_name not in self.commands:
            module = importlib.import_module(f"xmppbus.cli.{_MODULES.get(cmd_name, cmd_name)}")
            self.commands[cmd_name] = example_last(getattr(module, cmd_name.replace("-", "_")))
            self.prepare(cmd_name, self.commands[cmd_name])
        return self.commands[cmd_name]


def example_last(command: click.Command) -> click.Command:
    """A command whose help ends with its example, behind the options: where the eye is when it has been printed."""
    text, mark, example = inspect.cleandoc(command.help or "").partition(_EXAMPLE)
    if mark:
        command.help, command.epilog = text.rstrip(), mark + example
    command.short_help = command.short_help or brief(text)
    for each in getattr(command, "commands", {}).values():
        example_last(each)
    return command


BRIEF = 58
"""So many characters stand beside the name of a command in 80 columns."""


def brief(text: str) -> str:
    """What a list of commands says of one: its first sentence, cut where it can be and not where the line ends."""
    sentence = " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].removesuffix(".")
    if len(sentence) <= BRIEF:
        return sentence
    for mark in (": ", "; ", " (", ", "):
        end = sentence.rfind(mark, _LEAST_BRIEF, BRIEF + len(mark))
        while end > 0 and (
            sentence[end:].startswith(", or ") or sentence.count("(", 0, end) > sentence.count(")", 0, end)
        ):
            end = sentence.rfind(mark, _LEAST_BRIEF, end)
        if end > 0:
            return sentence[:end]
    return sentence


HELP = """Publishes what happens on your systems to XMPP PubSub nodes, and keeps it on disk until it is there.

What asks or tells the bus is carried out by the daemon. init, serve, check, config, demo, watch, token, exec,
install-service, server-module, backup, restore and completion begin without one.
disco, node, roster, message and pep log in by themselves with --as JID.

\b
Example:
  xmppbus serve &
  make deploy 2>&1 | xmppbus publish deploy.log --severity notice
  xmppbus listen 'deploy.#'
"""


def command_line(names: Sequence[str]) -> Commands:
    """The program, with these commands."""
    group = Commands(names, name="xmppbus", help=HELP, context_settings=SETTINGS)
    example_last(group)
    group.params.append(
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
        )
    )
    return group


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001  # click's
    if value:
        from xmppbus.cli.version import text

        click.echo(text())
        ctx.exit()


def help_width(columns: int) -> int:
    """Of help texts: long lines are hard to read."""
    return min(max(40, columns), 100)


def run_locally(arguments: Sequence[str] | None = None) -> int:
    """Without a daemon; the exit code."""
    from xmppbus.cli.local import carry_out, terminal_width

    program = command_line([*HOUSE_COMMANDS, *LOCAL_COMMANDS])
    if "_XMPPBUS_COMPLETE" in os.environ:
        from xmppbus.cli.completing import complete

        return complete(program, os.environ["_XMPPBUS_COMPLETE"])
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        result = program.main(given, "xmppbus", standalone_mode=False, terminal_width=help_width(terminal_width()))
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return Exit.DATA
    except click.Abort:
        return 130
    return carry_out(result)
