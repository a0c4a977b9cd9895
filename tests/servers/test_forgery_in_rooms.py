"""In a room rights are those of the real JID that it tells: a nick is nothing, and no other place is that room."""

from __future__ import annotations

import re
from pathlib import Path

from tests.servers.test_rights_in_rooms import Room, room, say, told
from tests.support.conversation import connect
from tests.support.server import Server
from tests.support.talk_person import MUC, MUC_USER, Person
from xmppbus.event import OURS
from xmppbus.route import Match

WORD = re.compile(r"send this word: (\w+)")


async def is_called(scene: Room, person: Person, nick: str) -> None:
    """Take another nick; everybody has seen it by then."""
    person.stream.write(f"<presence to='{scene.jid}/{nick}'/>")
    await person.stream.until(
        lambda: any(
            each.name == "presence" and each.get("from") == f"{scene.jid}/{nick}" and not each.get("type")
            for each in person.stream.stanzas
        )
    )


async def published(scene: Room) -> set[str]:
    """Who has published something: the sources of events."""
    return {each.event.source for each in await scene.traces.people.last(100, Match(type="quiet.nick"))}


async def test_a_nick_gives_no_rights(server: Server, tmp_path: Path) -> None:
    """An owner's name, an owner's JID, the bot's own, and the nick of an owner who has just left."""
    async with room(server, tmp_path, is_hidden=False) as scene:
        owner, stranger = scene.people["owner"], scene.people["none"]
        say(scene, owner, "publish quiet.nick x", "room")
        assert "Accepted" in await told(scene, owner)
        owner.stream.write(f"<presence to='{scene.jid}/owner' type='unavailable'/>")
        for nick in (owner.jid, owner.jid.partition("@")[0], "owner", f"bot@{server.component_jid}", "Bot"):
            await is_called(scene, stranger, nick)
            say(scene, stranger, "publish quiet.nick x", "room")
            while not (said := (await stranger.hear(scene.jid)).body).startswith(f"{nick}: "):
                pass
            assert said.startswith(f"{nick}: I don't know {stranger.jid} yet.")
            say(scene, stranger, "publish quiet.nick x", "private")
            assert (await stranger.hear()).body.startswith(f"I don't know {stranger.jid} yet.")
        assert await published(scene) == {f"xmpp:{owner.jid}"}


async def test_what_was_said_before_is_not_done_again(server: Server, tmp_path: Path) -> None:
    """A room's history is shown to who enters: commands of then were answered then."""
    words = "!publish quiet.nick x"
    async with room(server, tmp_path, is_hidden=False, before=words) as scene:
        owner = scene.people["owner"]
        say(scene, owner, "version", "room")
        assert "xmppbus" in await told(scene, owner)
        assert await published(scene) == set()


async def test_a_one_time_word_is_good_where_it_was_given(server: Server, tmp_path: Path) -> None:
    """What was asked in a chat is not done by a word in a room, nor in a private message there; and so on."""
    async with room(server, tmp_path, is_hidden=False) as scene:
        owner = scene.people["owner"]

        async def answer(text: str, place: str) -> str:
            if place == "chat":
                owner.say(text)
            else:
                say(scene, owner, text, place)
            return await told(scene, owner) if place == "room" else (await owner.hear()).body

        for asked in ("chat", "private", "room"):
            (word,) = WORD.findall(await answer(f"retract {scene.traces.item}", asked))
            for place in {"chat", "private", "room"} - {asked}:
                assert f"I don't know `{word}`" in await answer(word, place)
            assert not [each for each in await scene.traces.people.last(9, Match()) if each.event.source == OURS]
        assert "Taken back" in await answer(word, "room")


async def test_a_room_that_the_bot_is_not_in_is_nobody(server: Server, tmp_path: Path) -> None:
    """Another service may say of an occupant what it likes; so may somebody of himself."""
    other = server.component_jids[1]
    async with room(server, tmp_path, is_hidden=False) as scene, await connect(server, other) as stream:
        owner = scene.people["owner"].jid
        bot = f"bot@{server.component_jid}"
        item = f"<x xmlns='{MUC_USER}'><item jid='{owner}/phone' affiliation='owner' role='moderator'/></x>"
        words = "<body>publish quiet.nick x</body>"
        for own in (f"ops@{other}/owner", f"{scene.jid.partition('@')[0]}@{other}/owner"):
            for to in (bot, f"{bot}/xmppbus"):
                stream.write(f"<presence from='{own}' to='{to}'>{item}</presence>")
                stream.write(f"<presence from='{own}' to='{to}'><x xmlns='{MUC}'/>{item}</presence>")
                for kind in ("groupchat", "chat", "normal"):
                    stream.write(f"<message from='{own}' to='{to}' type='{kind}'>{words}</message>")
                    stream.write(f"<message from='{own}' to='{to}' type='{kind}'>{words}{item}</message>")
                stream.write(
                    f"<message from='{own}' to='{to}' type='groupchat'><body>!publish quiet.nick x</body></message>"
                )
        await stream.iq("get", bot, "<ping xmlns='urn:xmpp:ping'/>")
        witness = scene.people["owner"]
        witness.say("whoami")
        await witness.hear()
        assert await published(scene) == set()
        assert scene.traces.house.rooms is not None
        assert not scene.traces.house.rooms.is_room(f"ops@{other}")
