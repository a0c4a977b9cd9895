"""What is held for people and told in one message, on real servers, with a clock that the test moves."""

import asyncio
import itertools
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.servers.chatting import House, bodies, body, chatting, firing, replaced, said
from tests.servers.outputs import SOON
from tests.servers.talking import BOT, bare, befriend, person
from tests.servers.test_ledger import ELSEWHERE, GONE
from tests.support.conversation import connect
from tests.support.journals import MovingClock
from tests.support.raw import RawStream
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.event import OURS
from xmppbus.interfaces import Accepted
from xmppbus.journal import State
from xmppbus.people.audience import CHAT, DIGEST
from xmppbus.people.incidents import RETRACTED
from xmppbus.people.model import Mute, Quiet
from xmppbus.route import Target
from xmppbus.xmpp.replies import NoAnswer, Unanswered

NIGHT = Quiet(start=22 * 60, end=7 * 60)


async def held(house: House, events: Iterable[Accepted]) -> None:
    """Wait until they all wait in a digest, and it has been looked at."""

    async def waits() -> bool:
        fates = [each for event in events for each in await house.fates(event)]
        stopped = [each for each in await house.journal.places() if each.output == DIGEST and each.stop]
        return len(fates) == len(list(events)) and {each.state for each in fates} == {State.WAITING} and bool(stopped)

    await until(waits, SOON, "a digest that is held")


def wake(house: House, who: RawStream) -> None:
    """As time would."""
    house.journal.people.wake(Target(DIGEST, bare(who)))


async def got(to: RawStream, count: int) -> list[str]:
    """The messages that somebody has, once there are so many."""
    await to.until(lambda: len(said(to)) >= count, SOON)
    return [body(each) for each in said(to)]


def events(*texts: str, **fields: Any) -> list[dict[str, Any]]:
    """Events with a text each."""
    return [{"data": text, **fields} for text in texts]


async def test_a_digest_gathers_and_is_one_message(server: Server, tmp_path: Path) -> None:
    """After its window; every event in it is delivered, and the ledger says in which message."""
    clock = MovingClock()
    async with chatting(server, tmp_path, clock=clock) as house, await person(server) as romeo:
        await house.subscribe(romeo, digest_seconds=900)
        found = await house.accept(*events("one", "two"), firing(), firing(severity="critical"))
        await held(house, found)
        clock.move(minutes=14)
        wake(house, romeo)
        await held(house, found)
        clock.move(minutes=1)
        wake(house, romeo)
        (text,) = await got(romeo, 1)
        lines = text.splitlines()
        assert lines[0] == "*4 events*"
        assert [line for line in lines if "one" in line]
        assert len([line for line in lines if "db1 is full (×2)" in line]) == 1
        await house.settled()
        for event in found:
            assert await house.states(event) == {bare(romeo): State.DELIVERED}
            assert [each.id for each in await house.messages(event)] == [said(romeo)[0].get("id")]


async def test_a_digest_is_told_when_enough_is_together(server: Server, tmp_path: Path) -> None:
    """Before its window is over."""
    async with chatting(server, tmp_path, clock=MovingClock()) as house, await person(server) as romeo:
        await house.subscribe(romeo, digest_seconds=900, digest_events=3)
        await held(house, await house.accept(*events("one", "two")))
        await house.accept(*events("three"))
        await until(lambda: waiting(house, romeo, 3), SOON, "three events")
        wake(house, romeo)
        assert (await got(romeo, 1))[0].splitlines()[0] == "*3 events*"


async def waiting(house: House, who: RawStream, count: int) -> bool:
    """Whether so much waits."""
    return len(await house.journal.people.waiting(Target(DIGEST, bare(who)), 100)) == count


async def test_quiet_hours_hold_what_does_not_break_through(server: Server, tmp_path: Path) -> None:
    """Until they are over; what is critical is told at once."""
    clock = MovingClock()
    clock.move(hours=11)  # 23:00
    async with chatting(server, tmp_path, clock=clock) as house, await person(server) as romeo:
        await house.subscribe(romeo, quiet=NIGHT)
        found = await house.accept(*events("one", "two"))
        await held(house, found)
        await house.accept(*events("help", severity="critical"))
        assert bodies_of(await got(romeo, 1)) == ["‼ help"]
        clock.move(hours=8)
        wake(house, romeo)
        assert bodies_of(await got(romeo, 2)) == ["‼ help", "*2 events*"]


def bodies_of(texts: Iterable[str]) -> list[str]:
    """First lines."""
    return [each.splitlines()[0] for each in texts]


async def test_a_restart_forgets_no_hold(server: Server, tmp_path: Path) -> None:
    """It is worked out anew."""
    clock = MovingClock()
    clock.move(hours=11)
    async with await person(server) as romeo:
        async with chatting(server, tmp_path, clock=clock) as house:
            await house.subscribe(romeo, quiet=NIGHT)
            found = await house.accept(*events("one", "two"))
            await held(house, found)
        async with chatting(server, tmp_path, clock=clock) as house:
            await held(house, found)
            assert said(romeo) == []
            clock.move(hours=9)
            wake(house, romeo)
            assert bodies_of(await got(romeo, 1)) == ["*2 events*"]
            await house.settled()


async def test_one_thing_that_was_held_is_told_as_it_would_have_been(server: Server, tmp_path: Path) -> None:
    """An incident that came and went in the night is one message, which is corrected from then on."""
    clock = MovingClock()
    clock.move(hours=11)
    async with chatting(server, tmp_path, clock=clock) as house, await person(server) as romeo:
        await house.subscribe(romeo, quiet=NIGHT)
        found = await house.accept(firing(), firing())
        await held(house, found)
        clock.move(hours=9)
        wake(house, romeo)
        assert bodies_of(await got(romeo, 1)) == ["▲ *firing* db1 is full (×2)"]
        await house.settled()
        for event in found:
            assert [each.id for each in await house.messages(event)] == [said(romeo)[0].get("id")]
        await house.accept(firing(status="resolved"))
        await got(romeo, 2)
        assert replaced(said(romeo)[1]) == said(romeo)[0].get("id")


async def test_a_person_who_comes_back_is_told_at_once(server: Server, tmp_path: Path) -> None:
    """Held while it does not want to be disturbed, as it asked."""
    async with chatting(server, tmp_path) as house, await person(server) as romeo:
        await befriend(romeo)
        await house.subscribe(romeo)
        await house.audience.alter(bare(romeo), hold_below="error")
        romeo.write("<presence><show>dnd</show></presence>")
        await until(lambda: house.talk.presence_of(bare(romeo)).show == "dnd", SOON, "dnd")
        await held(house, await house.accept(*events("one", "two")))
        await house.accept(*events("bad", severity="error"))
        assert bodies_of(await got(romeo, 1)) == ["✖ bad"]
        romeo.write("<presence/>")
        assert bodies_of(await got(romeo, 2)) == ["✖ bad", "*2 events*"]


async def test_a_digest_that_has_grown_is_no_repeat(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether it came, and meanwhile there is more: under the same id a client that has it would not look
    at it."""
    async with chatting(server, tmp_path) as house, await person(server) as romeo:
        await house.subscribe(romeo, digest_seconds=3_600, digest_events=2)
        fence, fences = house.talk.fence, itertools.count()

        async def lost(session: int) -> None:
            if next(fences):
                await fence(session)
                return
            await house.accept(*events("three"))
            await until(lambda: waiting(house, romeo, 3), SOON, "one more")
            raise NoAnswer(Unanswered.TIMEOUT)

        monkeypatch.setattr(house.talk, "fence", lost)
        await house.accept(*events("one", "two"))
        assert bodies_of(await got(romeo, 2)) == ["*2 events*", "*3 events*"]
        assert said(romeo)[0].get("id") != said(romeo)[1].get("id")


async def test_one_of_several_is_taken_back(server: Server, tmp_path: Path) -> None:
    """It is said that it was; the message that tells of the others stays."""
    async with chatting(server, tmp_path) as house, await person(server) as romeo:
        await house.subscribe(romeo, digest_seconds=3_600, digest_events=2)
        _, mistake = await house.accept(*events("one", "two"))
        assert bodies_of(await got(romeo, 1)) == ["*2 events*"]
        await house.settled()
        await house.accept(
            {"type": RETRACTED, "source": OURS, "summary": "taken back: two", "data": {"item": mistake.item_id}}
        )
        assert bodies_of(await got(romeo, 2))[1] == "• taken back: two"
        assert said(romeo)[1].find("urn:xmpp:message-retract:1", "retract") is None


async def test_whoever_was_not_heard_of_yet_is_not_told(server: Server, tmp_path: Path) -> None:
    """After a restart it takes a while until somebody's presence is known: nobody is woken by it."""
    async with await connect(server, ELSEWHERE) as elsewhere:
        busy = f"<presence from='{GONE}/x' to='{BOT}'><show>dnd</show></presence>"
        async with chatting(server, tmp_path) as house:
            await house.subscribe(GONE)
            await house.audience.alter(GONE, hold_below="error", shows_us=True)
        async with chatting(server, tmp_path) as house:
            found = await house.accept(*events("one"))
            await held(house, found)
            elsewhere.write(busy)
            await until(lambda: house.talk.presence_of(GONE).show == "dnd", SOON, "dnd")
        async with chatting(server, tmp_path) as house:
            await held(house, found)
            elsewhere.write(busy)
            await until(lambda: house.talk.presence_of(GONE).show == "dnd", SOON, "dnd")
            found += await house.accept(*events("two"))
            await held(house, found)
            assert said(elsewhere) == []
            elsewhere.write(f"<presence from='{GONE}/x' to='{BOT}'/>")
            assert bodies_of(await got(elsewhere, 1)) == ["*2 events*"]


async def test_nobody_is_waited_for_for_ever(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held is kept in the journal: for so long, or so much of it."""
    monkeypatch.setattr(limits, "HELD_EVENTS", 3)
    clock = MovingClock()
    async with chatting(server, tmp_path, clock=clock) as house, await person(server) as romeo:
        await befriend(romeo)
        await house.subscribe(romeo)
        await house.audience.alter(bare(romeo), hold_below="error")
        romeo.write("<presence><show>dnd</show></presence>")
        await until(lambda: house.talk.presence_of(bare(romeo)).show == "dnd", SOON, "dnd")
        await held(house, await house.accept(*events("one", "two")))
        await house.accept(*events("three"))
        await until(lambda: waiting(house, romeo, 3), SOON, "three events")
        wake(house, romeo)
        assert bodies_of(await got(romeo, 1)) == ["*3 events*"]
        await held(house, await house.accept(*events("four")))
        clock.move(days=limits.HELD_DAYS)
        wake(house, romeo)
        assert bodies_of(await got(romeo, 2)) == ["*3 events*", "• four"]


async def test_a_digest_of_more_than_a_run_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is full with all that waits, though one message can't tell it."""
    monkeypatch.setattr(limits, "RUN_EVENTS", 2)
    async with chatting(server, tmp_path, clock=MovingClock()) as house, await person(server) as romeo:
        await house.subscribe(romeo, digest_seconds=900, digest_events=3)
        await house.accept(*events("one", "two", "three"))
        await until(lambda: bool(said(romeo)) or waiting(house, romeo, 3), SOON, "three events")
        wake(house, romeo)
        assert bodies_of(await got(romeo, 1)) == ["*2 events*"]


async def test_quiet_hours_hold_what_becomes_worse(server: Server, tmp_path: Path) -> None:
    """It would be heard; that it is over is not, and mends the message at once."""
    clock = MovingClock()
    async with chatting(server, tmp_path, clock=clock) as house, await person(server) as romeo:
        await house.subscribe(romeo, quiet=NIGHT)
        await house.accept(firing(), firing("db2"))
        await got(romeo, 2)
        await house.settled()
        clock.move(hours=11)
        worse = await house.accept(firing(severity="error"), firing("db2", severity="error"))
        await held(house, worse)
        await house.accept(firing("db2", status="resolved"))
        texts = bodies_of(await got(romeo, 3))
        assert texts[2].startswith("✔ *resolved*")
        clock.move(hours=9)
        wake(house, romeo)
        assert sorted(bodies_of(await got(romeo, 5))[3:]) == [
            "✖ *firing* db1 is full (×2)",
            "✖ *now error* (was warning): db1 is full",
        ]


async def test_what_comes_while_a_digest_is_on_its_way_is_no_second_message(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two about one incident only one would be corrected, and the other say for ever that it fires."""
    clock = MovingClock()
    async with chatting(server, tmp_path, clock=clock) as house, await person(server) as romeo:
        await house.subscribe(romeo, quiet=NIGHT)
        clock.move(hours=11)
        await held(house, await house.accept(firing()))
        fence, may_go_on = house.talk.fence, asyncio.Event()

        async def slow(session: int) -> None:
            await may_go_on.wait()
            await fence(session)

        monkeypatch.setattr(house.talk, "fence", slow)
        clock.move(hours=9)
        wake(house, romeo)
        await got(romeo, 1)
        (repeat,) = await house.accept(firing())
        await until(lambda: is_for_chat(house, repeat), SOON, "the next event in the chat's place")
        await asyncio.sleep(0.5)
        may_go_on.set()
        await house.settled()
        await house.accept(firing(status="resolved"))
        await house.settled()
        await romeo.until(lambda: body(said(romeo)[-1]).startswith("✔"), SOON)
        first, *others = said(romeo)
        assert {replaced(each) for each in others} == {first.get("id")}


async def is_for_chat(house: House, event: Accepted) -> bool:
    """Whether it is to be told at once."""
    return any(each.output == CHAT for each in await house.fates(event))


async def test_quiet_hours_hold_what_can_t_be_corrected(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For whom each change is a message of its own."""
    clock = MovingClock()
    async with chatting(server, tmp_path, clock=clock) as house, await person(server) as romeo:
        monkeypatch.setattr(house.talk, "shows_corrections", lambda _: False)
        await house.subscribe(romeo, quiet=NIGHT)
        await house.accept(firing())
        await got(romeo, 1)
        await house.settled()
        clock.move(hours=11)
        await held(house, await house.accept(firing(status="resolved")))
        assert len(said(romeo)) == 1
        clock.move(hours=9)
        wake(house, romeo)
        assert (await got(romeo, 2))[1].startswith("✔ *resolved*")


async def test_nobody_is_flooded(server: Server, tmp_path: Path) -> None:
    """What is beyond the budget of a minute is one message, once there is room again; corrections disturb nobody."""
    clock = MovingClock()
    async with chatting(server, tmp_path, clock=clock, per_minute=3) as house, await person(server) as romeo:
        await house.subscribe(romeo)
        await house.accept(firing())
        await got(romeo, 1)
        found = await house.accept(*events(*(f"number {number}" for number in range(20))))
        await got(romeo, 3)
        await until(lambda: waiting(house, romeo, 18), SOON, "the rest")
        assert len(said(romeo)) == 3
        clock.move(minutes=1)
        wake(house, romeo)
        texts = await got(romeo, 4)
        assert bodies_of(texts)[3] == "*18 events*"
        await house.settled()
        for event in found:
            assert await house.states(event) == {bare(romeo): State.DELIVERED}


async def test_an_incident_that_a_person_has_is_corrected_instead(server: Server, tmp_path: Path) -> None:
    """It is no line of the digest."""
    clock = MovingClock()
    async with chatting(server, tmp_path, clock=clock, per_minute=1) as house, await person(server) as romeo:
        await house.subscribe(romeo)
        await house.accept(firing())
        await got(romeo, 1)
        await house.settled()
        await house.accept(*events("one", "two"), firing(severity="critical"), firing(status="resolved"))
        await until(lambda: waiting(house, romeo, 4), SOON, "all of it")
        clock.move(minutes=1)
        wake(house, romeo)
        texts = bodies_of(await got(romeo, 3))
        assert sorted(texts[1:])[0] == "*2 events*"
        corrections = [each for each in said(romeo) if replaced(each)]
        assert [replaced(each) for each in corrections] == [said(romeo)[0].get("id")]
        assert body(corrections[0]).startswith("✔ *resolved*")


async def test_what_was_muted_meanwhile_is_left_out(server: Server, tmp_path: Path) -> None:
    """And counts as told."""
    clock = MovingClock()
    async with chatting(server, tmp_path, clock=clock) as house, await person(server) as romeo:
        await house.subscribe(romeo, digest_seconds=60)
        found = await house.accept(*events("one", "two"), *events("noise", type="noise.all"))
        await held(house, found)
        await house.audience.mute(bare(romeo), Mute(pattern="noise.#"))
        clock.now += timedelta(minutes=2)
        wake(house, romeo)
        assert bodies_of(await got(romeo, 1)) == ["*2 events*"]
        await house.settled()
        assert bodies(romeo) == ["*2 events*"]
