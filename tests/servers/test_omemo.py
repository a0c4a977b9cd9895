"""End-to-end encryption (XEP-0384), as a component and as an account; the person has slixmpp-omemo's own client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from omemo import NoEligibleDevices

from tests.servers.outputs import SOON
from tests.servers.talking import BOT, bare, messages, new_account, person, talking, texts
from tests.support.conversation import log_in
from tests.support.omemo_person import omemo_person
from tests.support.raw import RawStream
from tests.support.raw_xml import PUBSUB
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.xmpp.messages import Heard, chat
from xmppbus.xmpp.omemo import Encryption
from xmppbus.xmpp.omemo_nodes import DEVICES, NAMESPACE
from xmppbus.xmpp.sealing import Recipients
from xmppbus.xmpp.talk import Talk

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


@pytest_asyncio.fixture(params=["component", "account"])
async def account(request: pytest.FixtureRequest, server: Server) -> str:
    """The bot's own account, new: one that lost its keys before still lists those devices. Empty for a component."""
    return "" if request.param == "component" else await new_account(server, "bot")


async def is_there(somebody: RawStream) -> None:
    """His server knows that he is: what comes now does not go into offline storage."""
    await somebody.iq("get", "", "<query xmlns='jabber:iq:roster'/>")


async def first_words(of: RawStream) -> str:
    """That the bot says to somebody, as a client without encryption shows them."""
    await of.until(lambda: bool(messages(of)))
    return texts(messages(of), "body")[0]


async def publish_list(of: RawStream, devices: str) -> None:
    """Of devices, as somebody's client does."""
    item = f"<item id='current'><list xmlns='{NAMESPACE}'>{devices}</list></item>"
    kind = f"<field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#publish-options</value></field>"
    opened = "<field var='pubsub#access_model'><value>open</value></field>"
    form = f"<x xmlns='jabber:x:data' type='submit'>{kind}{opened}</x>"
    publish = f"<publish node='{DEVICES}'>{item}</publish><publish-options>{form}</publish-options>"
    await of.iq("set", "", f"<pubsub xmlns='{PUBSUB}'>{publish}</pubsub>")


@asynccontextmanager
async def encrypting(
    server: Server, directory: Path, account: str = "", omemo: bool | dict[str, str] = True
) -> AsyncIterator[Bot]:
    """A bot in session, whose keys are published; they, and all else that it keeps, are in `directory`."""
    made: list[Bot] = []

    def prepare(talk: Talk) -> None:
        made.append(Bot(talk, Encryption(talk._stream, talk, keys_in(directory), Recipients(omemo))))

    async with talking(server, directory, prepare=prepare, account=account):
        bot = made[0]
        await until(lambda: bot.encryption.status()["state"] == "up", SOON, f"{bot.encryption.status()}")
        yield bot


def keys_in(directory: Path) -> Path:
    """The file of keys."""
    return directory / "omemo.keys"


def contents(path: Path) -> bytes:
    """As a backup has them."""
    return path.read_bytes()


def restore(path: Path, saved: bytes) -> None:
    """As one does after an accident."""
    path.write_bytes(saved)


async def test_what_is_said_to_somebody_with_devices_only_his_devices_read(
    server: Server, tmp_path: Path, account: str
) -> None:
    """Nothing of the words is on the wire; his client has them."""
    async with encrypting(server, tmp_path, account) as bot, omemo_person(server) as romeo:
        sealed = await bot.says(romeo.jid, "db1: disk <91 %> full & rising")
        assert b"disk" not in sealed
        await romeo.reads("db1: disk <91 %> full & rising")
        assert "disk" not in str(romeo.stanzas[-1])


async def test_an_encrypted_command_is_heard_and_answered_encrypted(
    server: Server, tmp_path: Path, account: str
) -> None:
    """Also as the first thing that is ever said: the bot's keys are found at its JID."""
    async with encrypting(server, tmp_path, account) as bot, omemo_person(server) as romeo:
        await romeo.says(account or BOT, "status")
        heard = await bot.hears("status")
        assert (heard.bare, heard.is_encrypted) == (romeo.jid, False)
        bot.talk.say(heard.sender, chat(to=heard.sender, sender=bot.talk.full(), message_id="a", body="3 firing"))
        await romeo.reads("3 firing")
        assert not romeo.unread


async def test_somebody_without_devices_is_told_in_plain_words(server: Server, tmp_path: Path) -> None:
    """Most people: nothing changes for them, and nothing is counted as a failure."""
    async with encrypting(server, tmp_path) as bot, await person(server) as romeo:
        await is_there(romeo)
        await bot.says(bare(romeo), "3 firing")
        await romeo.until(lambda: texts(messages(romeo), "body") == ["3 firing"])
        said = bot.encryption.status()
        assert (said["encrypted"], said["not_encrypted"]) == (0, 0)


async def test_who_is_required_to_have_devices_and_has_none_is_told_that_a_message_waits(
    server: Server, tmp_path: Path
) -> None:
    """In plain words, none of which are those of the message; so is who has a list without any device."""
    async with await person(server) as romeo, await person(server) as juliet:
        await is_there(romeo)
        await publish_list(juliet, "")
        omemo = {bare(romeo): "required", bare(juliet): "required"}
        async with encrypting(server, tmp_path, omemo=omemo) as bot:
            for somebody in (romeo, juliet):
                sealed = await bot.says(bare(somebody), "the key is under the mat")
                assert b"mat" not in sealed
                notice = await first_words(somebody)
                assert notice.startswith("An encrypted message waits for you")
                assert "`last`" in notice
            assert bot.encryption.status()["not_encrypted"] == 2


async def test_devices_without_keys_are_as_good_as_none_and_not_taken_for_none(server: Server, tmp_path: Path) -> None:
    """Somebody has a list, so he may be listened to: nothing goes out in plain words."""
    async with await person(server) as romeo, encrypting(server, tmp_path) as bot:
        await publish_list(romeo, "<device id='5'/>")
        sealed = await bot.says(bare(romeo), "the key is under the mat")
        assert b"mat" not in sealed
        assert b"An encrypted message waits for you" in sealed
        assert b"their keys can't be had" in sealed


async def test_who_had_devices_and_has_them_no_more_is_not_told_in_plain_words(server: Server, tmp_path: Path) -> None:
    """Also after a restart: a server that takes a list away can't make the bot talk. The config can, by name."""
    async with encrypting(server, tmp_path) as bot, omemo_person(server) as romeo:
        await bot.says(romeo.jid, "first")
        await romeo.reads("first")
    async with await log_in(server, romeo.jid) as plain:
        await publish_list(plain, "")
        async with encrypting(server, tmp_path) as bot:
            assert b"second" not in await bot.says(romeo.jid, "second")
            assert bot.encryption.status()["not_encrypted"] == 1
        async with encrypting(server, tmp_path, omemo={romeo.jid: "never"}) as bot:
            assert b"third" in await bot.says(romeo.jid, "third")
        await plain.until(lambda: len(messages(plain)) == 2)
        assert texts(messages(plain), "body")[0].startswith("An encrypted message waits for you")
        assert texts(messages(plain), "body")[1] == "third"


async def test_who_is_never_encrypted_for_finds_no_keys_and_is_not_decrypted(server: Server, tmp_path: Path) -> None:
    """Though he has devices, and others are."""
    async with (
        omemo_person(server) as romeo,
        omemo_person(server) as juliet,
        encrypting(server, tmp_path, omemo={juliet.jid: "possible"}) as bot,
    ):
        await bot.says(romeo.jid, "3 firing")
        await romeo.gets("3 firing")
        await bot.says(juliet.jid, "4 firing")
        await juliet.reads("4 firing")
        with pytest.raises(NoEligibleDevices):
            await romeo.says(BOT, "status")


async def test_a_restart_changes_neither_the_device_nor_the_sessions(
    server: Server, tmp_path: Path, account: str
) -> None:
    """Nobody has to compare anything anew, and each still reads the other."""
    async with omemo_person(server) as romeo:
        async with encrypting(server, tmp_path, account) as bot:
            before = bot.encryption.status()["fingerprint"]
            await bot.says(romeo.jid, "first")
            await romeo.reads("first")
            await romeo.says(account or BOT, "one")
            await bot.hears("one")
        async with encrypting(server, tmp_path, account) as bot:
            assert bot.encryption.status()["fingerprint"] == before
            await romeo.says(account or BOT, "two")
            await bot.hears("two")
            await bot.says(romeo.jid, "second")
            await romeo.reads("second")


async def test_lost_keys_are_a_new_device_which_is_said_and_found(
    server: Server, tmp_path: Path, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who still encrypts for the old one is not understood, is told of the new one, and is understood again."""
    async with omemo_person(server) as romeo:
        async with encrypting(server, tmp_path, account) as bot:
            before = bot.encryption.status()["fingerprint"]
            await romeo.says(account or BOT, "one")
            await bot.hears("one")
            stale = await romeo.encrypted(account or BOT, "two")
        keys_in(tmp_path).unlink()
        caplog.clear()
        async with encrypting(server, tmp_path, account) as bot:
            after = bot.encryption.status()["fingerprint"]
            assert after != before
            assert f"so the bot has a new device for OMEMO; people may compare its fingerprint: {after}" in caplog.text
            stale.send()
            await until(lambda: any(each.is_encrypted for each in bot.heard), SOON, "something unreadable")
            if not account:
                await until(lambda: BOT in romeo.told, SOON, "the list of its devices")
            await bot.says(romeo.jid, "second")
            await romeo.reads("second")
            await romeo.says(account or BOT, "three")
            await bot.hears("three")


async def test_two_devices_of_one_person_read_the_same(prosody: Server, tmp_path: Path) -> None:
    """And what one of them says, the bot reads."""
    async with (
        encrypting(prosody, tmp_path) as bot,
        omemo_person(prosody) as phone,
        omemo_person(prosody, phone.jid) as desk,
    ):
        await bot.says(phone.jid, "3 firing")
        await phone.reads("3 firing")
        await desk.reads("3 firing")
        await desk.says(BOT, "status")
        await bot.hears("status")


async def test_what_comes_twice_is_heard_once(prosody: Server, tmp_path: Path) -> None:
    """Somebody who replays a command can't have it done again."""
    async with encrypting(prosody, tmp_path) as bot, omemo_person(prosody) as romeo:
        stanza = await romeo.encrypted(BOT, "ack db1:/var")
        stanza.send()
        stanza.send()
        await romeo.says(BOT, "status")
        await bot.hears("status")
        assert [each.body for each in bot.heard if each.body] == ["ack db1:/var", "status"]
        assert not [each for each in bot.heard if each.is_encrypted]


async def test_much_that_nobody_answers_is_read_to_the_end(prosody: Server, tmp_path: Path) -> None:
    """A display says nothing for days; its client keeps the keys moving by itself."""
    async with encrypting(prosody, tmp_path) as bot, omemo_person(prosody) as romeo:
        for number in range(120):
            await bot.says(romeo.jid, f"event {number}")
        await romeo.reads("event 119")
        assert [text for text in romeo.read if text.startswith("event")] == [f"event {each}" for each in range(120)]
        assert not romeo.unread


async def test_keys_of_before_are_mended_when_somebody_writes(prosody: Server, tmp_path: Path) -> None:
    """As from a backup: neither reads the other, until the bot begins anew with the device that it can't read."""
    async with omemo_person(prosody) as romeo:
        async with encrypting(prosody, tmp_path) as bot:
            await romeo.says(BOT, "one")
            await bot.hears("one")
            await bot.says(romeo.jid, "first")
            await romeo.reads("first")
        saved = contents(keys_in(tmp_path))
        async with encrypting(prosody, tmp_path) as bot:
            await romeo.says(BOT, "two")
            await bot.hears("two")
            await bot.says(romeo.jid, "second")
            await romeo.reads("second")
        restore(keys_in(tmp_path), saved)
        async with encrypting(prosody, tmp_path) as bot:
            await romeo.says(BOT, "three")
            await until(lambda: any(each.is_encrypted for each in bot.heard), SOON, "something unreadable")
            await bot.says(romeo.jid, "third")
            await romeo.reads("third")
            await romeo.says(BOT, "four")
            await bot.hears("four")


async def test_what_many_need_is_learnt_at_once_and_bounded(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before one event goes to all of them; who can't be asked holds up nobody."""
    monkeypatch.setattr(limits, "OMEMO_LISTS", 10)
    strangers = [f"nobody{number}@{server.domain}" for number in range(20)]
    async with encrypting(server, tmp_path) as bot, omemo_person(server) as romeo:
        await bot.talk.prepare([*strangers, "nobody@nowhere.invalid", romeo.jid])
        assert len(bot.encryption._learnt) == 10
        assert b"3 firing" not in await bot.says(romeo.jid, "3 firing")
        assert b"3 firing" in await bot.says(strangers[-1], "3 firing")
        await romeo.reads("3 firing")


async def test_people_with_devices_have_an_end(
    prosody: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may invent as many as it likes; who came before is encrypted for, also after a restart."""
    monkeypatch.setattr(limits, "OMEMO_PEOPLE", 2)  # the bot is one of them
    async with omemo_person(prosody) as romeo, omemo_person(prosody) as juliet:
        async with encrypting(prosody, tmp_path) as bot:
            await bot.says(romeo.jid, "first")
            await romeo.reads("first")
            await bot.says(juliet.jid, "3 firing")
            await juliet.gets("3 firing")
        async with encrypting(prosody, tmp_path) as bot:
            await juliet.says(BOT, "status")
            await until(lambda: any(each.is_encrypted for each in bot.heard), SOON, "something unreadable")
            await bot.says(romeo.jid, "second")
            await romeo.reads("second")
        assert juliet.jid not in contents(keys_in(tmp_path)).decode()
