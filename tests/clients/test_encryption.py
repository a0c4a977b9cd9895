"""What Profanity and Converse.js show of a bot that encrypts (XEP-0384), and what the bot reads of them:
`docs/reference/clients.md` tells it in words. Profanity's OMEMO is libsignal's, Converse's is libomemo.js, ours is
neither; so what they read of each other says something.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.clients.conftest import OpenClient
from tests.servers.outputs import SOON
from tests.servers.talking import BOT, new_account, talking
from tests.support.browser_client import add_contact, converse, websocket
from tests.support.conversation import log_in
from tests.support.raw_xml import PUBSUB
from tests.support.server import Server, ServerFactory
from tests.support.terminal_clients import TerminalClient
from tests.support.waiting import until
from xmppbus.xmpp.messages import Heard, chat
from xmppbus.xmpp.omemo import Encryption
from xmppbus.xmpp.omemo_nodes import DEVICES, NAMESPACE
from xmppbus.xmpp.sealing import Recipients
from xmppbus.xmpp.talk import Talk

FORM = "jabber:x:data"


class Scene:
    """A bot that encrypts, and one person's client, which has its conversation with the bot at the front."""

    def __init__(self, talk: Talk, encryption: Encryption, person: str) -> None:
        self.talk = talk
        self.encryption = encryption
        self.person = person
        self.heard: list[Heard] = []
        talk.on_heard.append(self.heard.append)

    def says(self, message_id: str, body: str, replaces: str = "") -> None:
        """A message of an incident's, encrypted if the person can read that."""
        sender = self.talk.full("disk")
        message = chat(to=self.person, sender=sender, message_id=message_id, body=body, replace=replaces)
        self.talk.say(self.person, message)

    async def hears(self, text: str) -> None:
        """Wait until it was told that."""
        await until(lambda: text in [each.body for each in self.heard], SOON, f"{text!r} in {self.heard}")


@asynccontextmanager
async def encrypting(server: Server, directory: Path, account: str, person: str) -> AsyncIterator[Scene]:
    """A bot whose keys are published."""
    made: list[Encryption] = []

    def prepare(talk: Talk) -> None:
        made.append(Encryption(talk._stream, talk, directory / "omemo.keys", Recipients(given=True)))

    async with talking(server, directory, prepare=prepare, account=account) as talk:
        scene = Scene(talk, made[0], person)
        await until(lambda: made[0].status()["state"] == "up", SOON, "the bot's keys to be published")
        yield scene


async def list_of_another_client(server: Server, jid: str) -> None:
    """COMPAT(profanity 0.13.1): it puts its device into a list that comes to it, and asks for none. Where the account
    never had one, it is in none, and nobody encrypts for it. Conversations or Dino would have made the list.
    """
    item = f"<item id='current'><list xmlns='{NAMESPACE}'/></item>"
    kind = f"<field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#publish-options</value></field>"
    form = f"<x xmlns='{FORM}' type='submit'>{kind}<field var='pubsub#access_model'><value>open</value></field></x>"
    publish = f"<publish node='{DEVICES}'>{item}</publish><publish-options>{form}</publish-options>"
    async with await log_in(server, jid) as stream:
        await stream.iq("set", "", f"<pubsub xmlns='{PUBSUB}'>{publish}</pubsub>")


async def make_keys(client: TerminalClient, server: Server, scene: Scene) -> None:
    """What a person types once."""
    bot = scene.talk.jid
    await client.type(f"/sub request {bot}")
    await client.until_shown("authorization request")
    await client.type(f"/sub allow {bot}")
    await until(lambda: scene.talk.presence_of(scene.person).show == "available", SOON, "them to be contacts")
    await client.type("/omemo gen")
    await client.until_shown("Your Device ID is")
    await list_of_another_client(server, scene.person)
    await client.until_shown("Going to publish own device ID")
    await client.type("/omemo trustmode blind")


def line(client: TerminalClient, text: str) -> str:
    """The line of the conversation that says so."""
    return next((each for each in client.conversation() if text in each), "")


@pytest.mark.parametrize("mode", ["component", "account"])
async def test_profanity_and_the_bot_read_what_they_encrypt(
    open_client: OpenClient, prosody: Server, person: str, tmp_path: Path, mode: str
) -> None:
    """It finds the keys of a component, too. A tilde says that a line was encrypted; a plus, that it was corrected. The
    fingerprint that it shows is the one that `xmppbus status` prints.
    """
    account = await new_account(prosody, "bot") if mode == "account" else ""
    async with encrypting(prosody, tmp_path, account, person) as scene:
        client = await open_client("profanity", prosody, person)
        await make_keys(client, prosody, scene)
        await client.talk_to(account or BOT)
        await client.type("/omemo start")
        await client.until_shown("[OMEMO]")
        await client.type("how full is the disk")
        await scene.hears("how full is the disk")
        assert line(client, "how full").endswith(" ~ me: how full is the disk")
        scene.says("a1", "the disk is full")
        await client.until_shown("the disk is full")
        assert " ~ " in line(client, "the disk is full")
        scene.says("a2", "there is room again", replaces="a1")
        await client.until_shown("there is room again")
        assert not line(client, "the disk is full")
        assert " + " in line(client, "there is room again")
        said = scene.encryption.status()
        assert (said["encrypted"], said["decrypted"], said["not_encrypted"], said["not_decrypted"]) == (2, 1, 0, 0)
        await client.type(f"/omemo fingerprint {account or BOT}")
        await client.until_shown(str(said["fingerprint"]).replace(" ", "-"))


async def test_converse_and_the_bot_read_what_they_encrypt(own_server: ServerFactory, tmp_path: Path) -> None:
    """Where it is set to encrypt; what is typed before its lock is closed goes as it is."""
    person, socket = "listener@localhost", websocket()
    server = await own_server("prosody", **socket.options)
    async with encrypting(server, tmp_path, "", person) as scene:
        await add_contact(server, person, BOT, "xmppbus")
        async with converse(socket, person, server.accounts[person], BOT, encrypts=True) as client:
            await client.page.get_by_title("Messages are sent encrypted").wait_for()
            await client.send("how full is the disk")
            await scene.hears("how full is the disk")
            scene.says("a1", "the disk is full")
            await client.until_messages(["how full is the disk", "the disk is full"])
            scene.says("a2", "there is room again", replaces="a1")
            await client.until_messages(["how full is the disk", "there is room again"])
            said = scene.encryption.status()
            assert (said["encrypted"], said["decrypted"], said["not_encrypted"], said["not_decrypted"]) == (2, 1, 0, 0)
