"""The daemon's side of a command: parse what a client typed, with click, and carry it out at the client's desk."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Sequence

import click

from xmppbus.cli.desk import Action, Desk, Names, Terminal, encode
from xmppbus.cli.main import HOUSE_COMMANDS, command_line, help_width
from xmppbus.errors import BusError, Exit, Refused
from xmppbus.house import House
from xmppbus.inputs.visitor import Facts, Role

log = logging.getLogger("xmppbus.cli")


class Parsed(Exception):  # an answer that click gives by itself, such as a help text
    """Nothing is left to do but to say this."""

    def __init__(self, output: str, error: str, code: int) -> None:
        super().__init__(error or output)
        self.output = output
        self.error = error
        self.code = code


class Answerer:
    """Carries out command lines. Made once: click's objects and every command's module are loaded when it is made."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._names = Names()
        self._program = command_line(HOUSE_COMMANDS)
        context = click.Context(self._program)
        for name in HOUSE_COMMANDS:
            self._program.get_command(context, name)

    async def __call__(self, arguments: Sequence[str], terminal: Terminal, facts: Facts, role: Role) -> int:
        """The exit code. Never raises but when it is cancelled."""
        desk = Desk(terminal, facts, role, self._names, self._house)
        try:
            return await self.parse(arguments, desk)(desk)
        except Parsed as answer:
            if answer.output:
                await terminal.write(encode(answer.output))
            if answer.error:
                await terminal.complain(encode(answer.error))
            return answer.code
        except Refused as refusal:
            await desk.err(str(refusal))
            return refusal.answer.exit
        except BusError as error:
            await desk.err(str(error))
            return Exit.SOFTWARE
        except Exception:  # the house is kept alive: a command's bug is its client's exit 70 and a traceback in the log
            log.exception("the command %r failed", list(arguments[:1]))
            await desk.err("this is a bug of xmppbus; the daemon's log has the traceback, please report it")
            return Exit.SOFTWARE

    def parse(self, arguments: Sequence[str], desk: Desk) -> Action:
        """The action, or `Parsed` when click has answered by itself."""
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output):
                found = self._program.main(
                    list(arguments),
                    "xmppbus",
                    standalone_mode=False,
                    terminal_width=help_width(desk.width),
                    color=desk.colours(),
                )
        except click.ClickException as error:
            said = io.StringIO()
            error.show(said)
            raise Parsed("", said.getvalue(), Exit.USAGE) from None
        except click.Abort:
            raise Parsed("", "", Exit.SOFTWARE) from None
        if not callable(found):
            raise Parsed(output.getvalue(), "", int(found or 0))
        return found  # type: ignore[no-any-return]  # what every command's callback returns
