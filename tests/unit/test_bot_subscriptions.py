"""Subscribing, muting and holding at the bot's desk, with a real journal: what it does, and what it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.bot_desk import MEMBER, OWNER, PUBLISHER, ROOM, STRANGER, Scene, confirmed, scene
from xmppbus import limits
from xmppbus.bot.command import Place
from xmppbus.people.model import Quiet


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(tmp_path) as opened:
        yield opened


# --- subscriptions ----------------------------------------------------------------------------------------------------


async def test_who_subscribes_hears_of_events_from_then_on(bot: Scene) -> None:
    """Of the types and severities that were asked for."""
    said = await bot.says(MEMBER, "subscribe disk.# warning")
    assert said == "You get `disk.#`, warning or worse from now on. `unsubscribe disk.#` ends it."
    await bot.event("disk.full", severity="error")
    await bot.event("disk.full", severity="info")
    places = {(each.output, each.place): each.waiting for each in await bot.journal.places()}
    assert places[("chat", MEMBER)] == 1
    assert await bot.says(MEMBER, "subscriptions") == "disk.# · warning or worse"


async def test_a_subscription_says_how_it_is_told(bot: Scene) -> None:
    """In digests, and quiet at night."""
    await bot.says(MEMBER, "subscribe disk.# digest 15m 20 quiet 22-7 Europe/Rome but error")
    (kept,) = await bot.desk.people.subscriptions()
    assert (kept.digest_seconds, kept.digest_events) == (900, 20)
    assert kept.quiet == Quiet(start=1320, end=420, zone="Europe/Rome", breaks_through="error")
    assert (
        await bot.says(MEMBER, "subs")
        == "disk.# · gathered for 15 min, or until there are 20, quiet 22:00-07:00 Europe/Rome but for error"
    )


async def test_subscribing_again_takes_the_place_of_the_first(bot: Scene) -> None:
    """Of the same pattern."""
    await bot.says(MEMBER, "subscribe #")
    assert "takes the place" in await bot.says(MEMBER, "subscribe # error")
    assert await bot.says(MEMBER, "subscriptions") == "# · error or worse"


async def test_unsubscribing_from_one_is_done_at_once_and_from_all_after_a_word(bot: Scene) -> None:
    """What there is not, is said."""
    for pattern in ("a.#", "b.#", "c.#"):
        await bot.says(MEMBER, f"subscribe {pattern}")
    assert await bot.says(MEMBER, "unsubscribe b.#") == "Ended: `b.#`."
    assert "there are: `a.#`, `c.#`" in await bot.says(MEMBER, "unsubscribe x")
    assert await confirmed(bot, MEMBER, "unsubscribe") == "Ended: `a.#`, `c.#`."
    assert await bot.says(MEMBER, "unsubscribe") == "There is no subscription to end."


async def test_the_one_time_word_is_not_cut_off_however_much_is_ended(bot: Scene) -> None:
    """A hundred patterns as long as they may be are more than one message."""
    for number in range(limits.SUBSCRIPTIONS_OF_ONE):
        await bot.says(MEMBER, f"subscribe {number}.{'a' * 500}")
    said = await bot.says(MEMBER, "unsubscribe")
    assert len(said) < limits.ANSWER_CHARACTERS + 200
    assert "…\nTo do it, send this word: " in said
    await bot.says(MEMBER, said.split()[-1])
    assert not bot.desk.audience.interests.of(MEMBER)


async def test_who_leaves_out_the_end_of_a_pattern_is_told(bot: Scene) -> None:
    """`disk` is a type like others, but hardly what is meant where `disk.full` was seen."""
    await bot.event("disk.full")
    assert (await bot.says(MEMBER, "subscribe disk")).endswith(
        " That is the type `disk` alone; what is below it is `disk.#`."
    )
    for line in ("subscribe disk.#", "subscribe disk.full", "subscribe dis", "subscribe user"):
        assert "alone" not in await bot.says(MEMBER, line)


async def test_what_is_muted_and_held_is_said_with_what_is_subscribed(bot: Scene) -> None:
    """Or whoever has forgotten it wonders why nothing comes."""
    for line in ("subscribe disk.#", "mute disk.full", "mute user.# 2h", "hold error"):
        await bot.says(MEMBER, line)
    assert await bot.says(MEMBER, "subscriptions") == (
        "Muted: `disk.full`, `user.#`; `mute` says until when.\nHeld back while you are away: less than error.\ndisk.#"
    )


async def test_too_many_subscriptions_are_refused_with_a_sentence(bot: Scene) -> None:
    """And none is lost."""
    for number in range(limits.SUBSCRIPTIONS_OF_ONE):
        await bot.says(MEMBER, f"subscribe a{number}")
    refusal = await bot.says(MEMBER, "subscribe one.more")
    assert str(limits.SUBSCRIPTIONS_OF_ONE) in refusal
    assert len(bot.desk.audience.interests.of(MEMBER)) == limits.SUBSCRIPTIONS_OF_ONE


async def test_a_room_can_be_a_subscriber(bot: Scene) -> None:
    """Whoever may subscribe says it there."""
    there = {"place": Place.ROOM, "room": ROOM, "nick": "juliet", "full": f"{ROOM}/juliet"}
    assert await bot.says(MEMBER, "subscribe disk.#", **there) == (
        "This room gets `disk.#` from now on. `unsubscribe disk.#` ends it."
    )
    assert [each.owner for each in await bot.desk.people.subscriptions()] == [ROOM]
    assert await bot.says(MEMBER, "subscriptions") == (
        "There is no subscription. `subscribe #` is everything; `list` shows what there is."
    )


async def test_a_stranger_is_refused(bot: Scene) -> None:
    """As the setting says, and nothing is kept of him."""
    assert "Ask an owner" in await bot.says(STRANGER, "subscribe #")
    assert await bot.desk.people.subscriptions() == []
    assert await bot.desk.people.persons() == []


async def test_a_stranger_may_wait_for_an_owners_yes(tmp_path: Path) -> None:
    """With the setting `queued`; he gets what he asked for, and no more."""
    async with scene(tmp_path, strangers="queued") as bot:
        assert "needs an owner's yes" in await bot.says(STRANGER, "subscribe disk.# error digest 15m")
        assert "waits for an owner's yes" in await bot.says(STRANGER, "subscribe disk.# error digest 15m")
        assert "waits for your yes · subscribe disk.# error digest 900s" in await bot.says(OWNER, "who")
        assert "You may not" in await bot.says(MEMBER, f"allow {STRANGER}")
        assert f"{STRANGER} gets `disk.#`" in await bot.says(OWNER, "allow")
        (kept,) = await bot.desk.people.subscriptions()
        assert (kept.owner, kept.pattern, kept.severity, kept.digest_seconds) == (STRANGER, "disk.#", ">=error", 900)
        assert "can let you in" in await bot.says(STRANGER, "last")
        assert await bot.says(STRANGER, "unsubscribe") == "Ended: `disk.#`."


async def test_an_owner_may_say_no(tmp_path: Path) -> None:
    """Then nothing is left of the wish."""
    async with scene(tmp_path, strangers="queued") as bot:
        await bot.says(STRANGER, "subscribe #")
        assert "refused" in await bot.says(OWNER, f"deny {STRANGER}")
        assert await bot.desk.people.persons() == []
        assert "Nobody waits" in await bot.says(OWNER, "allow")


async def test_no_stranger_can_fill_the_journal_with_wishes(tmp_path: Path) -> None:
    """So many wait, and no more."""
    async with scene(tmp_path, strangers="queued") as bot:
        for number in range(limits.WISHES + 1):
            said = await bot.says(f"paris{number}@example.net", "subscribe #")
        assert "Too many wishes" in said
        assert len(await bot.desk.people.persons()) == limits.WISHES


# --- what is not said for a while -------------------------------------------------------------------------------------


async def test_what_is_muted_is_not_said_until_then(bot: Scene) -> None:
    """For a while, or until it is taken back."""
    assert await bot.says(MEMBER, "mute disk.# 2h") == "I say nothing of `disk.#` until 14:00."
    assert await bot.says(MEMBER, "mute user.#") == "I say nothing of `user.#` until you `unmute`."
    assert await bot.says(MEMBER, "mute") == "Muted:\n`disk.#` until 14:00\n`user.#` until you `unmute`"
    bot.clock.move(hours=3)
    assert await bot.says(MEMBER, "mute") == "Muted:\n`user.#` until you `unmute`"
    assert "not muted" in await bot.says(MEMBER, "unmute a.#")
    assert await bot.says(MEMBER, "unmute") == "I speak of `user.#` again."
    assert await bot.says(MEMBER, "unmute") == "Nothing is muted."


async def test_an_incident_is_snoozed_for_one_person(bot: Scene) -> None:
    """The one that he was told of last, or that he names."""
    await bot.told(await bot.fires("db1"), MEMBER)
    said = await bot.says(MEMBER, "snooze 1h")
    assert said == "I say nothing of `db1` until 13:00. Others hear of it all the same."
    (mute,) = bot.desk.audience.person(MEMBER).mutes
    assert (mute.key, mute.until) == ("db1", bot.clock() + timedelta(hours=1))
    assert bot.desk.audience.person(PUBLISHER).mutes == ()
    assert await bot.says(MEMBER, "unmute db1") == "I speak of `db1` again."


async def test_what_is_held_while_somebody_is_away_is_a_severity(bot: Scene) -> None:
    """Or nothing."""
    assert await bot.says(MEMBER, "hold") == "I hold nothing back while you are away."
    assert "less than error" in await bot.says(MEMBER, "hold Error")
    assert bot.desk.audience.person(MEMBER).hold_below == "error"
    assert "less than error" in await bot.says(MEMBER, "hold")
    await bot.says(MEMBER, "hold nothing")
    assert bot.desk.audience.person(MEMBER).hold_below == ""
