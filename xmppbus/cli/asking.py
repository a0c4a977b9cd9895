"""What the commands share that ask services: through the daemon, or with an account of one's own (`--as`)."""

from __future__ import annotations

import asyncio
import functools
import os
import textwrap
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from xmppbus.cli.desk import Action, Desk, encode
from xmppbus.cli.showing import json_line
from xmppbus.errors import BusError, Code, Exit, Refused
from xmppbus.render import plain

if TYPE_CHECKING:
    from xmppbus.house import House
    from xmppbus.xmpp.services.asking import Asker
    from xmppbus.xmpp.services.nodes import Service

PASSWORD = "XMPPBUS_PASSWORD"  # noqa: S105  # a variable's name
_NO_XMPP = (
    "this bus has no XMPP server: write `xmpp:` into xmppbus.yaml, or log in with an account: --as romeo@example.org"
)


class Visit(NamedTuple):
    """Somebody at a terminal, and who asks for them. `house` is None with `--as`."""

    desk: Desk
    asker: Asker
    house: House | None

    def service(self, given: str) -> Service:
        """The pubsub service that is meant: the one given, else the bus's own, else `pubsub.` before the domain."""
        from xmppbus.xmpp.services.asking import address
        from xmppbus.xmpp.services.nodes import Service

        if given:
            return Service(self.asker, address(given))
        if self.house is not None and self.house.xmpp is not None:
            return Service(self.asker, self.house.xmpp.service)
        return Service(self.asker, f"pubsub.{self.asker.jid.rpartition('@')[2]}")

    async def ask(self, about: str, to: str, asked: Awaitable[Any]) -> Any:
        """The answer. What goes wrong is a `Refused` in plain words."""
        from xmppbus.xmpp.services.asking import explained

        try:
            return await asked
        except BusError as error:
            raise explained(error, about, to, self.asker.jid) from error


Work = Callable[[Visit], Awaitable[int]]


class Login(NamedTuple):
    """How somebody logs in for one command."""

    account: str | None
    password_file: str | None
    host: str | None
    port: int | None
    ca_file: str | None


_OPTIONS = (
    click.option("--as", "account", metavar="JID", help="Log in with this account, here; without, the daemon asks."),
    click.option(
        "--password-file", metavar="FILE", help=f"Its password: the first line; else ${PASSWORD}, else asked."
    ),
    click.option("--host", metavar="HOST", help="Where its server is; else DNS says."),
    click.option("--port", type=click.IntRange(1, 65535), metavar="PORT", help="The server's port; else 5222."),
    click.option("--ca-file", metavar="FILE", help="Who signed the server's certificate, if the system does not know."),
)


def asks(what: str) -> Callable[[Callable[..., Work]], Callable[..., Action]]:
    """For a command's callback: it returns what is to be done with who asks. Through the daemon only administrators may
    (`what` says it), for the service lets its owner, the bus, do everything.
    """

    def take(function: Callable[..., Work]) -> Callable[..., Action]:
        @functools.wraps(function)
        def callback(
            *, account: str | None, password_file: str | None, host: str | None, port: int | None, ca_file: str | None,
            **given: Any,
        ) -> Action:  # fmt: skip
            return _action(Login(account, password_file, host, port, ca_file), function(**given), what)

        for option in reversed(_OPTIONS):
            callback = option(callback)
        return callback

    return take


def _action(login: Login, work: Work, what: str) -> Action:
    async def action(desk: Desk) -> int:
        if login.account is None:
            if any(each is not None for each in login):
                raise Refused(Code.USAGE, "--password-file, --host, --port and --ca-file belong to --as JID")
            return await _through_the_daemon(desk, work, what)
        if desk.open_house is not None:
            raise Refused(Code.USAGE, "--as logs in where it is typed, and not in the daemon")
        _check_file(login.ca_file)
        return asyncio.run(_with_account(desk, login, work, _password(desk, login)))

    return action


async def _through_the_daemon(desk: Desk, work: Work, what: str) -> int:
    if desk.open_house is None:
        text = "no daemon is running; start one with `xmppbus serve`, or log in with an account: --as romeo@example.org"
        raise Refused(Code.NO_DAEMON, text)
    desk.need_admin(what)
    if desk.house.xmpp is None:
        raise Refused(Code.NOT_CONFIGURED, _NO_XMPP)
    from xmppbus.xmpp.services.asking import Through

    return await work(Visit(desk, await Through.ready(desk.house.xmpp), desk.house))


async def _with_account(desk: Desk, login: Login, work: Work, password: str) -> int:
    import logging

    from xmppbus.xmpp.services.account import Account

    logging.getLogger().addHandler(logging.NullHandler())  # what goes wrong is said in words of ours
    account = Account(
        login.account or "", password, host=login.host or "", port=login.port, ca_file=login.ca_file or ""
    )
    async with account:
        return await work(Visit(desk, account, None))


def _check_file(ca_file: str | None) -> None:
    if ca_file and not Path(ca_file).is_file():
        raise Refused(Code.USAGE, f"there is no file {ca_file} (--ca-file)")


def _password(desk: Desk, login: Login) -> str:
    """From a file, the environment, or whoever sits there; never from the command line, which others can read."""
    if login.password_file:
        try:
            found = Path(login.password_file).read_text().partition("\n")[0].removesuffix("\r")
        except OSError as error:
            raise Refused(Code.USAGE, f"the password can't be read: {login.password_file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise Refused(Code.USAGE, f"the password can't be read: {login.password_file} is not UTF-8 text") from None
        if not found:
            raise Refused(Code.USAGE, f"the first line of {login.password_file} is empty: it has to be the password")
        return found
    if found := os.environ.get(PASSWORD, ""):
        return found
    if not (desk.facts.terminals[0] and desk.facts.terminals[2]):
        text = f"there is no terminal to ask for the password at; write it into a file (--password-file) or ${PASSWORD}"
        raise Refused(Code.USAGE, text)
    import getpass

    try:
        return getpass.getpass(f"Password of {plain(login.account or '')}: ")
    except EOFError:
        raise Refused(Code.USAGE, "no password was typed, so nobody logged in") from None


# --- shown ----------------------------------------------------------------------------------------------------------


async def sure(desk: Desk, what: str, follows: str = "", *, yes: bool) -> bool:
    """Whether somebody at a terminal says y. Raises `Refused` where there is none and nobody said --yes."""
    if yes:
        return True
    if not (desk.facts.terminals[0] and desk.facts.terminals[2]):
        raise Refused(Code.USAGE, f"there is no terminal to ask at whether to {what}; say --yes")
    lines = textwrap.wrap(f"{what[:1].upper()}{what[1:]}? {follows}".strip(), desk.width, break_on_hyphens=False)
    await desk.terminal.complain(encode("\n".join(lines) + "\n[y/N] "))
    answer = await anext(desk.terminal.read(), b"")
    if answer.strip().lower() in (b"y", b"yes"):
        return True
    await desk.err("nothing was done")
    return False


async def done(desk: Desk, word: str, shown: Mapping[str, str], *, json: bool) -> int:
    """What was done, and to what: `made  lunch  pubsub.example.org`, or as JSON; the exit code."""
    if json:
        await desk.terminal.write(json_line({"done": word, **shown}))
    else:
        await desk.out("  ".join(filter(None, (word, *(line(each) for each in shown.values())))))
    return Exit.OK


def line(text: str) -> str:
    """Any text on one line, such that a terminal shows it and does nothing else."""
    return " ".join(plain(text).split())


def rows(desk: Desk, found: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """Columns; the last one wraps on a terminal."""
    columns = max((len(each) for each in found), default=0)
    widths = [max((len(each[at]) for each in found if at < len(each) - 1), default=0) for at in range(columns)]
    lines = []
    for row in found:
        head = indent + "".join(f"{cell:<{widths[at]}}  " for at, cell in enumerate(row[:-1]))
        room = desk.width - len(head)
        if desk.facts.terminals[1] and len(row[-1]) > room >= 16:
            first, *more = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
            lines += [head + first, *(" " * len(head) + each for each in more)]
        else:
            lines.append((head + row[-1]).rstrip())
    return lines


SERVICE = click.option("--service", default="", metavar="JID", help="The pubsub service; else the bus's own.")
JSON = click.option("--json", is_flag=True, help="As JSON.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")
