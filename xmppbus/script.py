"""A bot in ten lines of Python: it publishes, listens and answers. A program, or a plugin; `docs/howto` has both.

Nothing here that a plugin could not do: handlers are outputs, commands are commands.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from xmppbus.cli.working.handling import Again, work
from xmppbus.errors import BusError, ConfigInvalid, Exit, JournalHeld, PluginInvalid, Refused
from xmppbus.event import Event
from xmppbus.house import House
from xmppbus.journal import DELIVERED, UNSENT, Delivery, Outcome, Verdict
from xmppbus.plugins import Registry
from xmppbus.route import Match
from xmppbus.xmpp.services.account import Account
from xmppbus.xmpp.services.nodes import Service

__all__ = ["Account", "Again", "Bot", "Service", "work"]

log = logging.getLogger("xmppbus.script")

Handler = Callable[[Event], Awaitable[None]]
Answering = Callable[[str], Awaitable[str]]
_H = TypeVar("_H", bound=Handler)
_A = TypeVar("_A", bound=Answering)


class Bot:
    """What a script says and hears. `config` is found as `xmppbus serve` finds it, unless it is given."""

    def __init__(self, config: str | Path | None = None) -> None:
        self._config = Path(config) if config else None
        self._handlers: dict[str, tuple[Match, Handler]] = {}
        self._commands: dict[str, tuple[str, Answering, str]] = {}
        self._house: House | None = None

    # --- what a script says -------------------------------------------------------------------------------------------

    def command(self, name: str, help: str = "", who: str = "read") -> Callable[[_A], _A]:  # noqa: A002  # as ever
        """Answer a word that people say: the function is given what was said behind it, and returns the answer.

        `who` is an action of the table in `bot/access.py`: `talk` may everybody, `read` members, `administer` owners.
        """

        def take(run: _A) -> _A:
            self._commands[name] = (help or (run.__doc__ or name).strip(), run, who)
            return run

        return take

    def on(self, pattern: str, severity: str = "") -> Callable[[_H], _H]:
        """Be called with each event whose type matches; `severity` as in a route (`>=warning`).

        In the order of acceptance, each once more after a crash. While the function raises, its events wait.
        """

        def take(run: _H) -> _H:
            self._handlers[run.__name__] = (Match(pattern, severity), run)
            return run

        return take

    async def publish(self, type: str, summary: str = "", **fields: Any) -> str:  # noqa: A002  # CloudEvents' own word
        """Publish an event; its item id. Returns once it is on disk. Raises `Refused`."""
        if self._house is None:
            raise RuntimeError("publish once the bot runs: from a handler, from a command, or after `started`")
        given = {"type": type, **({"summary": summary} if summary else {}), **fields}
        (answer,) = await self._house.bus.accept([given])
        if isinstance(answer, Refused):
            raise answer
        return answer.item_id

    # --- how it lives -------------------------------------------------------------------------------------------------

    def register(self, registry: Registry) -> None:
        """As a plugin: `register = bot.register` in a file that the config names under `plugins`."""
        for name, (match, handler) in self._handlers.items():
            registry.output(f"on_{name.lower()}", self._output(name, handler), match)
        for name, (words, run, who) in self._commands.items():
            registry.command(name, words, self._answering(run), action=who, arguments=_rest())

    def run(self) -> None:
        """As a program: the whole daemon, with this in it, until SIGTERM or Ctrl-C. Ends the process when it can't."""
        sys.exit(self.main())

    def main(self) -> int:
        """The same; the exit code."""
        from xmppbus.cli.serve import run_house
        from xmppbus.running.logs import begin_log

        try:
            begin_log(logging.INFO, None, os.environ)
        except ValueError as error:
            print(error, file=sys.stderr)
            return Exit.USAGE
        try:
            return run_house(self._config, self.register)
        except (ConfigInvalid, PluginInvalid) as error:
            print(error, file=sys.stderr)
            return Exit.CONFIG
        except JournalHeld as error:
            print(f"{error}; name this file under its `plugins` instead", file=sys.stderr)
            return Exit.TRY_AGAIN
        except BusError as error:
            print(error, file=sys.stderr)
            return Exit.SOFTWARE

    def _output(self, name: str, handler: Handler) -> Callable[[House, Mapping[str, Any]], _Handling]:
        def make(house: House, _: Mapping[str, Any]) -> _Handling:
            self._house = house
            return _Handling(name, handler)

        return make

    def _answering(self, run: Answering) -> Callable[..., Awaitable[str]]:
        async def answering(desk: Any, _: Any, values: Mapping[str, Any]) -> str:
            self._house = desk.house
            return await run(values.get("text") or "")

        return answering


class _Handling:
    """An `Output` that calls a function."""

    def __init__(self, name: str, handler: Handler) -> None:
        self._name = name
        self._handler = handler
        self._handled = 0

    async def __aenter__(self) -> _Handling:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """The function is somebody else's."""

    async def ready(self) -> None:
        """It needs no server."""

    def status(self) -> Mapping[str, Any]:
        """How many events it was called with."""
        return {"state": "up", "handled": self._handled}

    async def deliver_run(self, place: str, deliveries: Sequence[Delivery]) -> AsyncIterator[Outcome]:  # noqa: ARG002  # it has one
        """In order; what raises stops the place, and comes again."""
        failed = False
        for delivery in deliveries:
            if failed:
                yield UNSENT
                continue
            try:
                await self._handler(delivery.event)
            except Exception as error:  # a script may raise anything; its event is kept, and `status` says why it waits
                log.exception("%s failed at %s", self._name, delivery.item_id, extra={"event_id": delivery.item_id})
                failed = True
                yield Outcome(Verdict.STOPPED, "bug", f"{self._name}: {type(error).__name__}: {error}")
            else:
                self._handled += 1
                yield DELIVERED


def _rest() -> tuple[Any, ...]:
    from xmppbus.bot.command import Argument, Kind

    return (Argument("text", Kind.TEXT, "what is said behind it", required=False),)
