"""Who the bot is, as a client asks for it: vCard, avatar, disco, and the hashes in its presence."""

import base64
import hashlib
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from tests.servers.talking import BOT, befriend, child, person, presences, talking
from tests.support.conversation import refusal
from tests.support.raw import RawStream
from tests.support.server import Server
from xmppbus.options import BotOptions
from xmppbus.xmpp.talk import Talk

DISCO_INFO = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
PUBSUB = "http://jabber.org/protocol/pubsub"
VCARD = "<vCard xmlns='vcard-temp'/>"
COMMANDS = "http://jabber.org/protocol/commands"
SOON = 10.0


def verification(query: Element) -> str:
    """XEP-0115 §5.1, from what disco#info answered."""
    parts = ("category", "type", "{http://www.w3.org/XML/1998/namespace}lang", "name")
    found = query.iter(f"{{{DISCO_INFO}}}identity")
    identities = sorted("/".join(each.get(part, "") for part in parts) for each in found)
    features = sorted(each.get("var", "") for each in query.iter(f"{{{DISCO_INFO}}}feature"))
    text = "<".join([*identities, *features]) + "<"
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()  # noqa: S324  # what the standard says


async def picture(of: RawStream) -> bytes:
    """The photo of the bot's vCard."""
    vcard = await of.iq("get", BOT, VCARD)
    data = child(vcard, "BINVAL")
    assert data is not None
    return base64.b64decode(data.text or "")


async def test_it_has_a_vcard_with_a_picture(server: Server, tmp_path: Path) -> None:
    """XEP-0054; asked for at the bare JID, as clients do."""
    bot = BotOptions(title="The <bus> & co")
    async with talking(server, tmp_path, bot=bot), await person(server) as romeo:
        vcard = await romeo.iq("get", BOT, VCARD)
        assert {each.tag.rpartition("}")[2]: each.text for each in vcard.element[0] if each.text} == {
            "FN": "The <bus> & co",
            "NICKNAME": "bot",
            "DESC": "Says what happens, and takes commands: write `help`.",
        }
        found = await picture(romeo)
        assert found.startswith(b"\x89PNG")
        assert len(found) <= 8 * 1024
        assert await refusal(romeo.iq("set", BOT, VCARD)) == "service-unavailable"


async def test_the_hash_in_presence_is_that_of_the_picture(server: Server, tmp_path: Path) -> None:
    """XEP-0153; a client that has it does not ask again. XEP-0084's nodes have the same."""
    async with talking(server, tmp_path), await person(server) as romeo:
        await befriend(romeo)
        await romeo.until(lambda: bool(presences(romeo)), SOON)
        photo = child(presences(romeo)[0], "photo")
        found = await picture(romeo)
        assert photo is not None
        assert photo.text == hashlib.sha1(found).hexdigest()  # noqa: S324  # what the standard says
        for node in ("urn:xmpp:avatar:metadata", "urn:xmpp:avatar:data"):
            answer = await romeo.iq("get", BOT, f"<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>")
            item = answer.find(PUBSUB, "item")
            assert item is not None
            assert item.get("id") == photo.text
            assert item[0].tag == f"{{{node}}}{node.rpartition(':')[2]}"
        data = child(answer, "data")
        assert data is not None
        assert base64.b64decode(data.text or "") == found
        other = f"<pubsub xmlns='{PUBSUB}'><items node='urn:xmpp:bookmarks:1'/></pubsub>"
        assert await refusal(romeo.iq("get", BOT, other)) == "service-unavailable"


async def test_the_picture_can_be_ones_own(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A small PNG; what is none is not used, and the log says why."""
    own = b"\x89PNG\r\n\x1a\n" + bytes(100)
    (tmp_path / "own.png").write_bytes(own)
    async with await person(server) as romeo:
        async with talking(server, tmp_path, bot=BotOptions(avatar_file=str(tmp_path / "own.png"))):
            assert await picture(romeo) == own
        (tmp_path / "own.png").write_bytes(own + bytes(9_000))
        async with talking(server, tmp_path, bot=BotOptions(avatar_file=str(tmp_path / "own.png"))):
            assert await picture(romeo) != own
            assert "make it smaller" in caplog.text


async def test_the_hash_in_presence_is_that_of_what_disco_says(server: Server, tmp_path: Path) -> None:
    """XEP-0115; with whatever feature others have registered, and under the node that clients ask for."""
    bot = BotOptions(title="a bot <with> an odd name")

    def prepare(talk: Talk) -> None:
        talk.profile.features.add(COMMANDS)

    async with talking(server, tmp_path, bot=bot, prepare=prepare) as talk, await person(server) as romeo:
        await befriend(romeo)
        await romeo.until(lambda: bool(presences(romeo)), SOON)
        caps = child(presences(romeo)[0], "c")
        assert caps is not None
        assert caps.get("hash") == "sha-1"
        for to in (BOT, talk.full()):
            node = f"{caps.get('node')}#{caps.get('ver')}"
            answer = await romeo.iq("get", to, f"<query xmlns='{DISCO_INFO}' node='{node}'/>")
            query = answer.element[0]
            assert query.get("node") == node
            assert verification(query) == caps.get("ver")
            features = {each.get("var") for each in query.iter(f"{{{DISCO_INFO}}}feature")}
            assert {COMMANDS, DISCO_INFO, "vcard-temp", "urn:xmpp:receipts", "urn:xmpp:time"} <= features
            identity = query.find(f"{{{DISCO_INFO}}}identity")
            assert identity is not None
            assert (identity.get("category"), identity.get("type")) == ("client", "bot")
        assert (
            await refusal(romeo.iq("get", BOT, f"<query xmlns='{DISCO_INFO}' node='other'/>")) == "service-unavailable"
        )


async def test_whoever_looks_at_the_component_finds_the_bot(server: Server, tmp_path: Path) -> None:
    """Its domain has one item; the bot itself has none unless somebody registers them."""
    async with talking(server, tmp_path), await person(server) as romeo:
        answer = await romeo.iq("get", server.component_jid, f"<query xmlns='{DISCO_ITEMS}'/>")
        items = [(each.get("jid"), each.get("name")) for each in answer.element.iter(f"{{{DISCO_ITEMS}}}item")]
        assert items == [(BOT, "xmppbus")]
        await romeo.iq("get", server.component_jid, f"<query xmlns='{DISCO_INFO}'/>")
        assert not list((await romeo.iq("get", BOT, f"<query xmlns='{DISCO_ITEMS}'/>")).element[0])


async def test_it_says_what_it_is_and_what_time_it_has(server: Server, tmp_path: Path) -> None:
    """XEP-0092 and XEP-0202."""
    async with talking(server, tmp_path), await person(server) as romeo:
        version = await romeo.iq("get", BOT, "<query xmlns='jabber:iq:version'/>")
        assert version.element[0][0].text == "xmppbus"
        time = await romeo.iq("get", f"{BOT}/xmppbus", "<time xmlns='urn:xmpp:time'/>")
        assert [(each.text or "")[-1] for each in time.element[0]] == ["0", "Z"]
