"""Two programs that talk to one another come to an end: two buses, in a chat and in a room, and anybody's bot
that answers whatever it hears. And what is never answered at all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.servers.forging import scene
from tests.support.administrator import ROOMS
from tests.support.conversation import PING, connect
from tests.support.living_house import living
from tests.support.raw import RawStream
from tests.support.raw_xml import Stanza
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.house import House
from xmppbus.xmpp.messages import chat
from xmppbus.xmpp.standing import State

SOON = 15.0


def answered(house: House) -> int:
    """How many answers its bot has given."""
    found: int = house.inputs["bot"].status()["answered"]
    return found


def calm(*houses: House) -> Callable[[], Any]:
    """Whether nothing is on its way in any of them."""

    async def is_calm() -> bool:
        for house in houses:
            if house.inputs["bot"].status()["talking"]:
                return False
            places = await house.journal.places()
            if any(each.waiting for each in places if each.output in ("people", "chat", "digest", "room")):
                return False
        return True

    return is_calm


async def over(*houses: House) -> None:
    """Until nothing is on its way, also through the server: what one has written, the other has heard."""
    for _ in range(4):  # there, back, and once more
        for house in houses:
            assert house.talk is not None
            await house.talk.fence(house.talk.session)
            for other in houses:
                assert other.xmpp is not None
                assert house.xmpp is not None
                if other is not house:
                    await house.xmpp.ask("get", f"bot@{other.xmpp.options.jid}", PING)
        await until(calm(*houses), SOON, "both to be silent")


def typed(house: House, to: str, text: str, kind: str = "chat") -> None:
    """The bot of a house says something as if somebody had typed it."""
    assert house.talk is not None
    house.talk.send(
        chat(to=to, sender=house.talk.full(), message_id=str(uuid4()), body=text, kind=kind, receipt=kind == "chat")
    )


async def test_two_buses_that_hear_one_another_come_to_an_end(server: Server, tmp_path: Path) -> None:
    """Each is a member of the other, and gets all its events: nothing that one says makes the other say something that
    it answers."""
    names = server.component_jids
    bots = [f"bot@{name}" for name in names[:2]]
    async with (
        living(server, tmp_path / "one", {"affiliations": {bots[1]: "owner"}}, component=names[0]) as one,
        living(server, tmp_path / "two", {"affiliations": {bots[0]: "owner"}}, component=names[1]) as two,
    ):
        typed(one, bots[1], "subscribe #")
        typed(two, bots[0], "subscribe #")
        await until(lambda: (answered(one), answered(two)) == (1, 1), SOON, "both answers")
        await over(one, two)
        assert (answered(one), answered(two)) == (1, 1)
        (accepted,) = await one.bus.accept([{"type": "publish.x", "summary": "publish a.b c", "id": "1"}])
        assert not isinstance(accepted, Refused)
        await until(lambda: answered(two) == 2, SOON, "it to be taken for something that somebody typed")
        await over(one, two)
        assert (answered(one), answered(two)) == (1, 2)
        assert (await one.journal.status()).entries == 1
        assert (await two.journal.status()).entries == 0


async def test_two_buses_in_one_room_come_to_an_end(server: Server, tmp_path: Path) -> None:
    """The answer to one begins with its name, which is how it is spoken to."""
    names = server.component_jids
    room = f"loop-{uuid4().hex[:12]}@{ROOMS}"
    bots = [{"rooms": [{"jid": room, "nick": nick}]} for nick in ("romeo", "juliet")]

    def both_are_in(*houses: House) -> bool:
        standings = [each.rooms.standing(room) for each in houses if each.rooms]
        return [each.state for each in standings if each] == [State.IN, State.IN]

    async with (
        living(server, tmp_path / "one", bots[0], component=names[0]) as one,
        living(server, tmp_path / "two", bots[1], component=names[1]) as two,
    ):
        await until(lambda: both_are_in(one, two), SOON, "both to be in the room")
        typed(one, room, "!help", "groupchat")
        typed(one, room, "juliet: version", "groupchat")
        await until(lambda: answered(two) == 2, SOON, "the answers")
        await over(one, two)
        assert (answered(one), answered(two)) == (0, 2)


@pytest.mark.parametrize("varies", [False, True], ids=["the same again", "something else each time"])
async def test_a_bot_that_answers_everything_is_answered_so_often_and_no_more(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, varies: bool
) -> None:
    """It does not say that nobody typed what it says."""
    monkeypatch.setattr(limits, "ANSWERS_PER_MINUTE", 15)
    other = server.component_jids[1]
    async with scene(server, tmp_path) as stage, await connect(server, other) as stream:
        heard: list[str] = []

        def echo(stanza: Stanza) -> None:
            body = next((each.text or "" for each in stanza.element if each.tag.endswith("}body")), "")
            if body:
                heard.append(body)
                say(stream, stage.bot, f"{uuid4()}" if varies else body)

        answer_everything(stream, echo)
        say(stream, stage.bot, "I say hello")
        await until(lambda: any("two programs talking" in each for each in heard), SOON, "the end of it")
        await stage.heard(stream)
        assert len(heard) == (limits.ANSWERS_PER_MINUTE if varies else limits.SAME_ANSWERS_PER_MINUTE) + 1
        say(stream, stage.bot, "help")
        await stage.heard(stream)
        assert "two programs talking" in heard[-1]


def say(stream: RawStream, bot: str, text: str) -> None:
    """Somebody of that component does."""
    stream.write(f"<message type='chat' from='echo@{stream.jid}/x' to='{bot}'><body>{text}</body></message>")


def answer_everything(stream: RawStream, answer: Callable[[Stanza], None]) -> None:
    """Each message of the stream is given to `answer` as it comes."""
    take = stream._take

    def taking(stanza: Stanza) -> None:
        take(stanza)
        if stanza.name == "message":
            answer(stanza)

    stream._take = taking  # type: ignore[method-assign]  # the reader of the tests looks it up each time


async def test_what_nobody_typed_is_never_answered(server: Server, tmp_path: Path) -> None:
    """Errors, headlines, and what says of itself that a program wrote it (RFC 3834, XEP-0131), whoever sends it."""
    shim = "http://jabber.org/protocol/shim"
    automatic = f"<headers xmlns='{shim}'><header name='Auto-Submitted'>auto-generated</header></headers>"
    error = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
    async with scene(server, tmp_path) as stage:
        before = await stage.kept()
        for name in ("romeo", "mercutio"):
            person = stage[name]
            for kind, extra in (
                ("error", error),
                ("error", ""),
                ("headline", ""),
                ("groupchat", ""),
                ("chat", automatic),
                ("normal", automatic),
            ):
                for text in ("help", "publish quiet.loop x", "I don't know `help`."):
                    person.say(text, kind=kind, extra=extra)
            person.say("", extra="<composing xmlns='http://jabber.org/protocol/chatstates'/>")
            person.say("", extra="<received xmlns='urn:xmpp:receipts' id='x'/>")
            await stage.heard(person.stream)
            assert not await person.nothing_more()
        assert await stage.kept() == before
