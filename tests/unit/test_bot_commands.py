"""Every command of the bot at its desk, with a real journal: what it does, and what it answers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.bot_desk import MEMBER, OWNER, PUBLISHER, ROOM, STRANGER, Scene, confirmed, scene
from xmppbus.bot import words
from xmppbus.bot.command import Place
from xmppbus.journal import Outcome, Settled, Verdict
from xmppbus.people.model import Status
from xmppbus.route import Match


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(tmp_path) as opened:
        yield opened


# --- about the bot ----------------------------------------------------------------------------------------------------


async def test_help_lists_only_what_the_asker_may(bot: Scene) -> None:
    """An owner sees more than a member, and a member more than a stranger."""
    lists = []
    for jid in (STRANGER, MEMBER, PUBLISHER, OWNER):
        said = await bot.says(jid, "help")
        while "`more`" in said.splitlines()[-1]:
            said += "\n" + await bot.says(jid, "more")
        lists.append(set(re.findall(r"^`([a-z]+)", said, re.MULTILINE)))
    stranger, member, publisher, owner = lists
    assert stranger == {"help", "more", "whoami", "version", "subscribe", "unsubscribe", "subscriptions"}
    assert stranger < member < publisher < owner
    assert publisher - member == {"publish"}
    assert owner == set(bot.desk.commands)


async def test_help_about_a_command_shows_how_it_is_written_and_an_example(bot: Scene) -> None:
    """For each command, in a few lines."""
    said = await bot.says(MEMBER, "help subscribe")
    assert said.startswith("`subscribe PATTERN [SEVERITY] [WAY]`\nHear of events from now on.")
    assert "For example: `subscribe disk.# warning quiet 22:00-07:00`" in said
    for name in bot.desk.commands:
        assert (await bot.says(OWNER, f"help {name}")).startswith(f"`{name}")


async def test_help_about_what_is_unknown_says_what_is_near(bot: Scene) -> None:
    """And does not tell of what the asker may not do."""
    assert "did you mean `subscribe`?" in await bot.says(MEMBER, "help subscirbe")
    assert "dead" not in (await bot.says(MEMBER, "help dead")).replace("`dead`", "")


async def test_every_example_of_a_command_can_be_typed(bot: Scene) -> None:
    """As it stands."""
    for command in bot.desk.commands.values():
        if command.example:
            word, rest = words.split(command.example)
            assert words.find(word, bot.desk.commands) is command
            assert words.values_of(command, rest)


async def test_whoami_says_what_one_may(bot: Scene) -> None:
    """And who one is to the bot."""
    said = await bot.says(MEMBER, "whoami")
    assert said == f"You are {MEMBER}, member. You may: talk, ask, read, subscribe, acknowledge."
    assert f"{STRANGER}, none. You may: talk, ask." in await bot.says(STRANGER, "whoami")
    hidden = await bot.says("", "whoami", place=Place.ROOM, room=ROOM, full=f"{ROOM}/somebody", in_room="owner")
    assert hidden == "This room hides who you are, so you may: talk, ask."


async def test_version_says_for_how_long(bot: Scene) -> None:
    """Since the house was opened."""
    bot.clock.move(hours=3)
    assert re.fullmatch(r"xmppbus [\d.]+, running for 3 h\.", await bot.says(STRANGER, "version"))


# --- what happened ----------------------------------------------------------------------------------------------------


async def test_list_shows_types_with_counts_and_the_last_time(bot: Scene) -> None:
    """The most recent first."""
    assert await bot.says(MEMBER, "list") == "Nothing has happened yet."
    await bot.event("user.signup")
    await bot.event("disk.full")
    bot.clock.move(minutes=5)
    await bot.event("disk.full")
    bot.clock.move(minutes=10)
    assert await bot.says(MEMBER, "list") == "disk.full · 2 times · 10 min ago\nuser.signup · 1 time · 15 min ago"


async def test_last_shows_the_newest_events_first(bot: Scene) -> None:
    """Ten of them, or as many as are asked for, of a pattern."""
    ids = [(await bot.event("disk.full" if n % 2 else "user.signup", summary=f"event {n}")).item_id for n in range(12)]
    said = (await bot.says(MEMBER, "last")).splitlines()
    assert len(said) == 10
    assert said[0] == f"12:00 · • disk.full event 11 · {ids[11][:8]}"
    assert [line.split(" · ")[-1] for line in (await bot.says(MEMBER, "last 2 user.#")).splitlines()] == [
        ids[10][:8],
        ids[8][:8],
    ]
    assert (await bot.says(MEMBER, "last -5")).startswith("`-5` is no number: write a whole one, from 1.")
    assert await bot.says(MEMBER, "last nothing.#") == "I found nothing. `list` shows the types of what has happened."


async def test_search_finds_events_that_have_all_the_words(bot: Scene) -> None:
    """In any case."""
    await bot.event(summary="disk of DB1 is full")
    await bot.event(summary="disk of db2 is full")
    assert "DB1" in await bot.says(MEMBER, "search full db1")
    assert await bot.says(MEMBER, "search db3") == "I found nothing. `list` shows the types of what has happened."


async def test_show_says_who_got_it_and_who_has_seen_it(bot: Scene) -> None:
    """By an id, or the first characters of one."""
    accepted = await bot.fires("db1")
    made = await bot.told(accepted, PUBLISHER)
    bot.clock.move(minutes=1)
    await bot.desk.people.received([made], bot.clock())
    bot.clock.move(minutes=1)
    await bot.desk.people.displayed([made], bot.clock())
    await bot.says(PUBLISHER, "ack db1")
    said = await bot.says(MEMBER, f"show {accepted.item_id[:6]}")
    assert f"id {accepted.item_id}, accepted 12:00" in said
    assert f"acknowledged by {PUBLISHER}, 12:02" in said
    assert f"→ {PUBLISHER} · sent 12:00 · received 12:01 · seen 12:02" in said


async def test_show_of_a_reply_is_about_the_message_that_is_replied_to(bot: Scene) -> None:
    """Without an id."""
    accepted = await bot.event(summary="the disk is full")
    made = await bot.told(accepted, MEMBER)
    await bot.event(summary="another")
    assert "the disk is full" in await bot.says(MEMBER, "show", replies_to=made)
    assert "Give me its id" in await bot.says(MEMBER, "show")
    assert "Give me its id" in await bot.says(PUBLISHER, "show", replies_to=made)


async def test_an_id_that_nobody_knows_is_said_to_be(bot: Scene) -> None:
    """And how ids are found."""
    assert "`last` lists the newest" in await bot.says(MEMBER, "show ffffffff")
    assert "is no event's id" in await bot.says(MEMBER, "show db1")


async def test_an_id_that_begins_like_two_events_is_not_guessed(bot: Scene) -> None:
    """Both are named."""
    ids = {(await bot.event(id=str(number))).item_id for number in range(300)}
    beginnings = [each[:4] for each in ids]
    for twice in {each for each in beginnings if beginnings.count(each) > 1}:
        assert "More than one event" in await bot.says(MEMBER, f"show {twice}")


# --- incidents --------------------------------------------------------------------------------------------------------


async def status(bot: Scene, key: str) -> tuple[Status, str]:
    incident = await bot.desk.people.incident(key)
    assert incident is not None
    return incident.status, incident.by


async def test_an_incident_is_acknowledged_given_back_and_resolved(bot: Scene) -> None:
    """By its key; the answer says which it was."""
    await bot.fires("db1")
    assert await bot.says(MEMBER, "ack db1") == "Acknowledged: db1 is full · db1"
    assert await status(bot, "db1") == (Status.ACKNOWLEDGED, MEMBER)
    assert await bot.says(MEMBER, "unack db1") == "No longer acknowledged: db1 is full · db1"
    assert await status(bot, "db1") == (Status.FIRING, "")
    assert await bot.says(MEMBER, "resolve db1") == "Resolved: db1 is full · db1"
    assert (await status(bot, "db1"))[0] is Status.RESOLVED
    for word in ("ack", "resolve"):
        assert await bot.says(MEMBER, f"{word} db1") == "It is over already: db1 is full · db1"
    assert "Nobody has acknowledged" in await bot.says(MEMBER, "unack db1")


async def test_the_first_to_acknowledge_wins(bot: Scene) -> None:
    """The second is told who it was."""
    await bot.fires("db1")
    await bot.says(PUBLISHER, "ack db1")
    assert await bot.says(MEMBER, "ack db1") == f"{PUBLISHER} was first, 12:00: db1 is full · db1"
    assert await bot.says(PUBLISHER, "ack db1") == "Acknowledged: db1 is full · db1"
    assert await status(bot, "db1") == (Status.ACKNOWLEDGED, PUBLISHER)


async def test_ack_alone_is_about_the_last_one_that_somebody_was_told_of(bot: Scene) -> None:
    """By his own messages, not by another's."""
    await bot.told(await bot.fires("db1"), MEMBER)
    await bot.told(await bot.fires("db2"), MEMBER)
    await bot.told(await bot.fires("db3"), PUBLISHER)
    assert await bot.says(MEMBER, "ack") == "Acknowledged: db2 is full · db2"
    assert "told of nothing" in await bot.says(OWNER, "ack")


async def test_ack_alone_takes_no_other_one_when_the_last_is_somebody_elses(bot: Scene) -> None:
    """He meant that one."""
    await bot.told(await bot.fires("db1"), MEMBER)
    await bot.told(await bot.fires("db2"), MEMBER)
    await bot.says(PUBLISHER, "ack db2")
    assert "was first" in await bot.says(MEMBER, "ack")
    assert (await status(bot, "db1"))[0] is Status.FIRING


async def test_a_reply_is_about_the_message_that_it_replies_to(bot: Scene) -> None:
    """A word of the commands does what it says; any other reply acknowledges."""
    first = await bot.told(await bot.fires("db1"), MEMBER)
    second = await bot.told(await bot.fires("db2"), MEMBER)
    assert await bot.says(MEMBER, "ack", replies_to=first) == "Acknowledged: db1 is full · db1"
    assert await bot.says(MEMBER, "I look after it", replies_to=second) == "Acknowledged: db2 is full · db2"
    assert await bot.says(MEMBER, "resolve", replies_to=first) == "Resolved: db1 is full · db1"


async def test_a_reply_to_a_message_of_somebody_else_is_about_nothing(bot: Scene) -> None:
    """Ids can be guessed or seen; they give no rights and say nothing."""
    made = await bot.told(await bot.fires("db1"), PUBLISHER)
    assert "I don't know" in await bot.says(MEMBER, "oh no", replies_to=made)
    assert (await status(bot, "db1"))[0] is Status.FIRING


async def test_an_emoji_acknowledges(bot: Scene) -> None:
    """As a message of its own."""
    await bot.told(await bot.fires("db1"), MEMBER)
    assert await bot.says(MEMBER, "👍🏽") == "Acknowledged: db1 is full · db1"


async def test_a_key_can_be_named_by_a_part_of_it(bot: Scene) -> None:
    """If only one open incident has it; and by an event's id."""
    accepted = await bot.fires("db1/disk")
    await bot.fires("db2/disk")
    assert "More than one incident" in await bot.says(MEMBER, "ack disk")
    assert "did you mean `db1/disk`?" in await bot.says(MEMBER, "ack db1/dsik")
    assert "db1/disk" in await bot.says(MEMBER, "ack DB1")
    assert "db1/disk" in await bot.says(MEMBER, f"resolve {accepted.item_id[:8]}")


async def test_incidents_lists_what_is_open(bot: Scene) -> None:
    """With who has it."""
    assert await bot.says(MEMBER, "incidents") == "No incident is open."
    await bot.fires("db1")
    bot.clock.move(minutes=12)
    await bot.says(PUBLISHER, "ack db1")
    said = await bot.says(MEMBER, "incidents")
    assert said == f"✖ *acknowledged* db1 is full · db1 · since 12 min · acknowledged by {PUBLISHER}"


# --- the house --------------------------------------------------------------------------------------------------------


async def test_status_says_how_things_stand(bot: Scene) -> None:
    """What is open, what waits, and how full the journal is."""
    await bot.fires("db1")
    said = await bot.says(MEMBER, "status")
    assert "incidents: 1 firing, 0 acknowledged" in said
    assert re.search(r"journal: 1 events, \d+ wait, 0 dead, 0 % full", said)


async def test_publish_goes_through_the_door(bot: Scene) -> None:
    """With who says it as its source."""
    said = await bot.says(PUBLISHER, "publish deploy.done web 2.4\nis out")
    assert re.match(r"Accepted as [0-9a-f]{8}; it goes to \d places?\.", said)
    (entry,) = await bot.desk.people.last(1, Match())
    assert (entry.event.type, entry.event.source, entry.event.text) == (
        "deploy.done",
        f"xmpp:{PUBLISHER}",
        "web 2.4\nis out",
    )


async def test_what_the_door_refuses_is_said(bot: Scene) -> None:
    """In its own words."""
    assert "no type" in await bot.says(PUBLISHER, f"publish {'a' * 200} x")


async def test_what_was_published_by_mistake_is_taken_back_after_a_word(bot: Scene) -> None:
    """By an owner, once."""
    accepted = await bot.event(summary="a mistake")
    short = accepted.item_id[:8]
    assert "Taken back" in await confirmed(bot, OWNER, f"retract {short}")
    (entry,) = await bot.desk.people.last(1, Match())
    assert (entry.event.type, entry.event.get("data")["item"]) == ("event.retracted", accepted.item_id)
    assert "You may not" in await bot.says(PUBLISHER, f"retract {short}")


async def _dies(bot: Scene, summary: str) -> int:
    """A delivery that is refused because of its event; its number."""
    await bot.event("disk.full", summary=summary)
    for run in await bot.journal.claim("pubsub", 10, 10):
        refused = Outcome(Verdict.DEAD, "payload-too-big", "over 250000 bytes")
        await bot.journal.settle(run, [Settled(each.id, refused) for each in run.deliveries])
    ((fate, _entry),) = await bot.journal.dead((), 1)
    return fate.id


async def test_dead_deliveries_are_listed_sent_again_or_dropped(bot: Scene) -> None:
    """Each after its one-time word."""
    assert await bot.says(OWNER, "dead") == "No delivery is dead."
    number = await _dies(bot, "one")
    assert f"{number} · pubsub:disk.full · payload-too-big · • disk.full one" in await bot.says(OWNER, "dead")
    assert "over 250000 bytes" in await bot.says(OWNER, f"dead {number}")
    assert await confirmed(bot, OWNER, f"dead retry {number}") == f"{number} waits again."
    again = await _dies(bot, "two")
    assert await confirmed(bot, OWNER, f"dead drop {again}") == f"{again} is dropped."
    assert "lists them" in await bot.says(OWNER, "dead drop")
    assert "No delivery 999 is dead" in await bot.says(OWNER, "dead drop 999")


async def test_owners_see_who_hears_of_what(bot: Scene) -> None:
    """And why nothing is sent to somebody."""
    await bot.says(MEMBER, "subscribe disk.#")
    await bot.says(PUBLISHER, "subscribe # error")
    await bot.desk.audience.suspend(PUBLISHER, "gone")
    assert await bot.says(OWNER, "who") == (f"{MEMBER} · `disk.#`\n{PUBLISHER} · `#`, error or worse · suspended: gone")


async def test_who_is_suspended_hears_again_once_he_subscribes(bot: Scene) -> None:
    """He is there, after all."""
    await bot.desk.audience.suspend(MEMBER, "gone")
    await bot.says(MEMBER, "subscribe disk.#")
    assert bot.desk.audience.person(MEMBER).suspended == ""
