"""What is meant for the bot of all that is said in rooms, and what rooms call its messages; without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.bot_desk import scene
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.bot.command import Answer, Asker, Place
from xmppbus.bot.confirming import Confirming
from xmppbus.bot.conversation import Conversations, Line
from xmppbus.bot.hearing import is_for_people, located
from xmppbus.xmpp.messages import Heard, Invitation
from xmppbus.xmpp.reflections import Names

ROOM, BOT = "ops@muc.example.org", "bot@bus.example.org/xmppbus"


class OneRoom:
    """Rooms as hearing asks for them: we are `bot` in one, or are coming in."""

    def __init__(self, nick: str = "bot") -> None:
        self._nick = nick

    def nick(self, room: str) -> str:
        """Ours."""
        return self._nick if room == ROOM else ""

    def is_room(self, jid: str) -> bool:
        """That one."""
        return jid == ROOM

    def is_own_reflection(self, heard: Heard) -> bool:
        """What comes from our nick there."""
        return heard.sender == f"{ROOM}/bot"


@pytest.mark.parametrize(
    ("heard", "is_meant"),
    [
        (Heard("groupchat", f"{ROOM}/romeo", BOT, "1", "!ack"), True),
        (Heard("groupchat", f"{ROOM}/bot", BOT, "1", "!ack"), False),
        (Heard("groupchat", ROOM, BOT, "1", "!ack"), False),
        (Heard("groupchat", f"{ROOM}/romeo", BOT, "1", "!ack", is_delayed=True), False),
        (Heard("groupchat", f"{ROOM}/other", BOT, "1", "!ack", is_automatic=True), False),
        (Heard("groupchat", "hall@muc.example.org/romeo", BOT, "1", "!ack"), False),
        (Heard("chat", f"{ROOM}/romeo", BOT, "1", "ack"), True),
        (Heard("chat", ROOM, BOT, "1", "ack"), False),
        (Heard("error", f"{ROOM}/romeo", BOT, "1", "ack"), False),
        (Heard("chat", "romeo@example.org/phone", BOT, "1", "ack", is_delayed=True), True),
        (Heard("normal", ROOM, BOT, "1", invitation=Invitation(ROOM, "romeo@example.org")), False),
    ],
)
def test_history_reflections_and_machines_are_not_answered_in_rooms(heard: Heard, *, is_meant: bool) -> None:
    """Nor what the room says itself, nor one where the bot is not; what waited for it in a chat is."""
    assert is_for_people(located(heard, OneRoom()), OneRoom()) is is_meant


@pytest.mark.parametrize("kind", ["groupchat", "chat"])
def test_nobody_is_answered_before_it_is_known_who_is_who(kind: str) -> None:
    """While we are coming in nobody has a real JID yet."""
    heard = located(Heard(kind, f"{ROOM}/romeo", BOT, "1", "!ack"), OneRoom(""))
    assert not is_for_people(heard, OneRoom(""))


def test_what_is_private_in_a_room_is_where_it_comes_from() -> None:
    """Some clients do not mark it; and whoever marks a message of his own as one is not in a room by that."""
    unmarked = located(Heard("chat", f"{ROOM}/romeo", BOT, "1", "ack"), OneRoom())
    assert (unmarked.is_private, unmarked.nick) == (True, "romeo")
    marked = located(Heard("chat", "romeo@example.org/phone", BOT, "1", "ack", is_private=True), OneRoom())
    assert (marked.is_private, marked.nick) == (False, "")


def test_a_message_has_the_name_that_its_room_gave_it() -> None:
    """In that room only; a name that nobody gave is its own."""
    names = Names(most=2)
    names.learn(ROOM, "made", "given")
    assert names.ours(ROOM, "given") == "made"
    assert names.given("made") == "given"
    assert names.ours("hall@muc.example.org", "given") == "given"
    assert (names.ours(ROOM, "other"), names.given("other")) == ("other", "other")


def test_the_oldest_names_are_forgotten() -> None:
    """Both ways; one that is learnt again is the newest."""
    names = Names(most=2)
    for made in ("one", "two", "one", "three"):
        names.learn(ROOM, made, f"room's {made}")
    assert len(names) == 2
    assert [names.given(each) for each in ("one", "two", "three")] == ["room's one", "two", "room's three"]
    assert names.ours(ROOM, "room's two") == "room's two"


async def test_the_word_that_is_waited_for_is_known_without_taking_it(tmp_path: Path) -> None:
    """Only from whom it was asked of."""
    async with scene(tmp_path) as bot:
        confirming = Confirming(bot.clock)

        async def work() -> Answer:
            return Answer("done")

        word = confirming.ask("romeo", work)
        assert confirming.is_word("romeo", f" {word.upper()} ")
        assert not confirming.is_word("romeo", "hello")
        assert not confirming.is_word("mercutio", word)
        assert confirming.confirmed("romeo", word) is work
        assert not confirming.is_word("romeo", word)


async def test_where_nobody_is_known_everybody_shares_a_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new nick for each line does not make the bot say more."""
    monkeypatch.setattr(limits, "ANSWERS_PER_MINUTE", 3)
    said: list[str] = []
    async with scene(tmp_path) as bot, asyncio.TaskGroup() as group:
        conversations = Conversations(bot.desk, group)
        for number in range(6):
            asker = Asker("", Place.ROOM, ROOM, f"n{number}", f"{ROOM}/n{number}")
            conversations.hear(Line(asker, f"help {number}", said.append))
            await until(lambda: not conversations.talking, 5, "the answer")
    assert len(said) == 4
    assert "two programs" in said[-1]
