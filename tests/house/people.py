"""Two people with a client each, and the installed program whose bot they talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.daemon import Daemon
from tests.support.server import Server
from tests.support.talk_person import Person
from tests.support.waiting import until


class Talking(NamedTuple):
    """Romeo is owner, Juliet member."""

    daemon: Daemon
    romeo: Person
    juliet: Person


@asynccontextmanager
async def talking(server: Server, directory: Path, row: str) -> AsyncIterator[Talking]:
    """The bot is there, and both are logged in. `row` makes their accounts new ones."""
    jids = [f"{name}.{row}@{server.domain}" for name in ("romeo", "juliet")]
    for jid in jids:
        await server.create_account(jid, "password")
    config = {"bot": {"affiliations": dict(zip(jids, ("owner", "member"), strict=True))}}
    async with Daemon(directory / "bus", server, config=config) as daemon:
        await until(lambda: f"{server.component_jid} is up" in daemon.log(), 15, "a session")
        romeo, juliet = (Person(server, jid, "password", f"bot@{server.component_jid}") for jid in jids)
        await romeo.log_in()
        await juliet.log_in()
        try:
            yield Talking(daemon, romeo, juliet)
        finally:
            await romeo.leave()
            await juliet.leave()


async def answer(person: Person, text: str) -> str:
    """What the bot says to it."""
    person.say(text)
    return (await person.hear()).body
