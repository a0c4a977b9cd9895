"""What the tests of the bot's JID share: a talk on a stream, and people with real clients."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4
from xml.etree.ElementTree import Element

from tests.servers.outputs import SOON, now, options
from tests.support.conversation import log_in
from tests.support.raw import RawStream
from tests.support.raw_xml import Stanza
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus.options import BotOptions, XmppOptions
from xmppbus.people.audience import Audience
from xmppbus.route import Routes
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.messages import Heard
from xmppbus.xmpp.talk import Talk

BOT = "bot@bus.localhost"


@asynccontextmanager
async def talking(
    server: Server,
    directory: Path,
    *,
    bot: BotOptions | None = None,
    prepare: Callable[[Talk], object] = id,
    account: str = "",
    port: int = 0,
) -> AsyncIterator[Talk]:
    """A bot in session; what it keeps is in `directory`. `prepare` is called before it is entered."""
    given: XmppOptions = options(server, **({"port": port} if port else {}))
    if account:
        reach = {"component": None, "account": account, "port": server.c2s_port}
        given = options(server, **reach, ca_file=str(server.certificate))
    secret = server.accounts[account] if account else server.secret
    async with SqliteJournal(directory / "journal.db") as journal:
        audience = Audience(journal.people, Routes([]), now)
        await audience.open()
        stream = Stream(given, secret, dice=lambda: 0.0)
        talk = Talk(stream, bot or BotOptions(), audience, clock=now)
        prepare(talk)
        async with stream, talk:
            await asyncio.wait_for(talk.ready(), SOON)
            yield talk


async def new_account(server: Server, name: str = "person") -> str:
    """The bare JID of an account that nobody has used."""
    jid = f"{name}{uuid4().hex[:12]}@{server.domain}"
    await server.create_account(jid, "pw")
    return jid


async def person(server: Server, name: str = "person") -> RawStream:
    """Somebody new, logged in."""
    return await log_in(server, await new_account(server, name))


def bare(stream: RawStream) -> str:
    """The bare JID of somebody."""
    return stream.jid.partition("/")[0]


def presences(of: RawStream, kind: str = "", sender: str = BOT) -> list[Stanza]:
    """What somebody got of the bot's presence: available, or of a type."""
    return [
        each
        for each in of.stanzas
        if each.name == "presence" and each.get("from").partition("/")[0] == sender and each.get("type") == kind
    ]


def texts(stanzas: list[Stanza], name: str = "status") -> list[str]:
    """The texts of a child of each, in order."""
    return [each.element.findtext(f"{{jabber:client}}{name}") or "" for each in stanzas]


def messages(of: RawStream, sender: str = BOT) -> list[Stanza]:
    """The messages that somebody got from the bot."""
    return [each for each in of.stanzas if each.name == "message" and each.get("from").partition("/")[0] == sender]


async def befriend(of: RawStream, sender: str = BOT) -> None:
    """Add the bot to the contacts, and let it see us, as a client does when its user says yes."""
    of.write("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
    of.write(f"<presence to='{sender}' type='subscribe'/>")
    await of.until(lambda: bool(presences(of, "subscribe", sender)))
    of.write(f"<presence to='{sender}' type='subscribed'/>")


def listener(into: list[Heard]) -> Callable[[Talk], None]:
    """Prepares a talk that notes what it hears."""
    return lambda talk: talk.on_heard.append(into.append)


def child(stanza: Stanza, name: str) -> Element | None:
    """The first descendant of that name, in any namespace."""
    return next((each for each in stanza.element.iter() if each.tag.endswith("}" + name)), None)


async def shown(talk: Talk, of: RawStream, show: str) -> None:
    """Wait until the bot sees somebody so."""
    await until(lambda: talk.presence_of(bare(of)).show == show, SOON, f"{show}, not {talk.presence_of(bare(of))}")
