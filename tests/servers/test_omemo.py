"""End-to-end encryption (XEP-0384), as a component and as an account; the person has slixmpp-omemo's own client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.servers.outputs import SOON
from tests.servers.talking import BOT, talking
from tests.support.omemo_person import omemo_person
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus.xmpp.messages import Heard, chat
from xmppbus.xmpp.omemo import Encryption
from xmppbus.xmpp.sealing import Recipients
from xmppbus.xmpp.talk import Talk

ACCOUNT = "reader@localhost"
# slixmpp-omemo reaches slixmpp's plugins in a way that slixmpp will not offer for ever.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing plugins through the XMPP object:DeprecationWarning")


class Bot:
    """A talk that encrypts, and what it heard."""

    def __init__(self, talk: Talk, encryption: Encryption) -> None:
        self.talk = talk
        self.encryption = encryption
        self.heard: list[Heard] = []
        talk.on_heard.append(self.heard.append)

    async def says(self, to: str, text: str) -> bytes:
        """As an output says something: sealed, sent, and with the server."""
        message = chat(to=to, sender=self.talk.full(), message_id=str(uuid4()), body=text)
        (sealed,) = await self.talk.sealed(to, (message,))
        await self.talk.fence(self.talk.send(sealed))
        return sealed

    async def hears(self, text: str) -> Heard:
        """Wait until it was told that."""
        await until(lambda: text in [each.body for each in self.heard], SOON, f"{text!r} in {self.heard}")
        return next(each for each in self.heard if each.body == text)


@pytest.fixture(params=["component", "account"])
def mode(request: pytest.FixtureRequest) -> str:
    """How the bus is with its server."""
    return str(request.param)


@asynccontextmanager
async def encrypting(server: Server, directory: Path, mode: str) -> AsyncIterator[Bot]:
    """A bot in session, whose keys are published; they, and all else that it keeps, are in `directory`."""
    made: list[Bot] = []

    def prepare(talk: Talk) -> None:
        made.append(Bot(talk, Encryption(talk._stream, talk, directory / "omemo.keys", Recipients(given=True))))

    account = "" if mode == "component" else ACCOUNT
    async with talking(server, directory, prepare=prepare, account=account):
        bot = made[0]
        await until(lambda: bot.encryption.status()["state"] == "up", SOON, f"{bot.encryption.status()}")
        yield bot


def jid_of(mode: str) -> str:
    """The bot's."""
    return BOT if mode == "component" else ACCOUNT


async def test_what_is_said_to_somebody_with_devices_only_his_devices_read(
    server: Server, tmp_path: Path, mode: str
) -> None:
    """Nothing of the words is on the wire; his client has them."""
    async with encrypting(server, tmp_path, mode) as bot, omemo_person(server) as romeo:
        sealed = await bot.says(romeo.jid, "db1: disk <91 %> full & rising")
        assert b"disk" not in sealed
        await romeo.reads("db1: disk <91 %> full & rising")
        assert "disk" not in str(romeo.stanzas[-1])


async def test_an_encrypted_command_is_heard_and_answered_encrypted(server: Server, tmp_path: Path, mode: str) -> None:
    """Also as the first thing that is ever said: the bot's keys are found at its JID."""
    async with encrypting(server, tmp_path, mode) as bot, omemo_person(server) as romeo:
        await romeo.says(jid_of(mode), "status")
        heard = await bot.hears("status")
        assert (heard.bare, heard.is_encrypted) == (romeo.jid, False)
        bot.talk.say(heard.sender, chat(to=heard.sender, sender=bot.talk.full(), message_id="a", body="3 firing"))
        await romeo.reads("3 firing")
        assert not romeo.unread
