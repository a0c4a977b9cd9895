"""docs/reference/commands.md: every command's help, as the program prints it."""

from collections.abc import Iterator

import click

from xmppbus.cli.main import HOUSE_COMMANDS, LOCAL_COMMANDS, command_line

WIDTH = 80
BEGIN = """# Commands

Written by `python -m tests.reference`. Each is what `xmppbus COMMAND --help` prints.

{house} are carried out by the daemon, which the program finds at `$XMPPBUS_SOCKET`, else at the system's or the
user's socket (`socket.md`); without a daemon `publish` keeps events in the spool, and the others exit with 69. Of
`journal` that is `prune`, which works without a daemon, too; its other parts run where they are typed.
{local} run where they are typed.

Everywhere: `--json` prints JSON for programs (but `publish --json FILE|-` reads it, and `--output json` prints it),
`NO_COLOR` is obeyed, and times are shown in the time zone of `$TZ`.

| exit code | meaning |
|---|---|
| 0 | done; for `publish`: accepted, on disk |
| 1 | nothing there: `get` found none, `show` knows none |
| 64 | the command line is wrong |
| 65 | the event is wrong, or (`--confirm`) its delivery is dead; the journal or the backup is damaged |
| 69 | no daemon answers, and the command can't do without |
| 70 | a bug |
| 73 | `init`: a file is there and says something else, or can't be written |
| 74 | standard output can't be written |
| 75 | try again: the daemon refuses at the moment, stops, or is held by another |
| 77 | you may not do this |
| 78 | the config can't be used |
| 124, 126, 127 | `exec`: the command took too long, can't be executed, was not found; else its own exit code |
| 130, 141 | ended by Ctrl-C; by a reader that had gone |
"""


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command and subcommand: its full name, and a context to ask for its help."""
    program = command_line([*HOUSE_COMMANDS, *LOCAL_COMMANDS])
    root = click.Context(program, info_name="xmppbus", terminal_width=WIDTH, **program.context_settings)
    for name in program.list_commands(root):
        command = program.get_command(root, name)
        assert command is not None
        context = click.Context(command, root, info_name=name)
        yield name, command, context
        yield from _parts(name, command, context)


def _parts(
    name: str, command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Of a group, and of the groups in it."""
    if isinstance(command, click.Group):
        for part in command.list_commands(context):
            below = command.get_command(context, part)
            assert below is not None
            inner = click.Context(below, context, info_name=part)
            yield f"{name} {part}", below, inner
            yield from _parts(f"{name} {part}", below, inner)


def page() -> str:
    """The whole page."""
    parts = [
        BEGIN.format(
            house=", ".join(f"`{name}`" for name in HOUSE_COMMANDS),
            local=", ".join(f"`{name}`" for name in LOCAL_COMMANDS),
        )
    ]
    for name, command, context in commands():
        parts.append(f"## xmppbus {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)
