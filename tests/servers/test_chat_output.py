"""What people are told, on real servers: an incident's whole life, order, and nothing lost whatever happens."""

import itertools
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.servers.chatting import House, bodies, body, chatting, firing, replaced, said
from tests.servers.outputs import SOON
from tests.servers.talking import BOT, bare, person
from tests.support.conversation import log_in
from tests.support.proxy import Proxy
from tests.support.raw import RawStream
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.interfaces import Accepted
from xmppbus.journal import State
from xmppbus.outputs.wording import resource_of
from xmppbus.people.model import Copy, message_id
from xmppbus.people.texts import event_text
from xmppbus.route import Address, Match, Route
from xmppbus.xmpp.replies import NoAnswer, Unanswered

MAIN = f"{BOT}/xmppbus"
DB1 = f"{BOT}/{resource_of('db1')}"

OFFLINE: dict[str, dict[str, Any]] = {
    "prosody": {"modules": ["offline", "mam"]},
    "ejabberd": {"modules": {"mod_offline": {}, "mod_mam": {"default": "always"}}},
}


async def got(to: RawStream, count: int) -> list[str]:
    """The first lines of what somebody was told, once there is so much."""
    await to.until(lambda: len(said(to)) >= count, SOON)
    return bodies(to)


def has(to: RawStream, made: str) -> bool:
    """Whether the message with that id has come."""
    return any(each.get("id") == made for each in said(to))


# --- telling ----------------------------------------------------------------------------------------------------------


async def test_an_event_is_one_chat_message_that_any_client_shows(server: Server, tmp_path: Path) -> None:
    """With an id of its own that is the same as its origin id, kept for who is away, and a receipt asked for."""
    async with chatting(server, tmp_path) as house, await person(server) as romeo:
        await house.subscribe(romeo)
        (event,) = await house.accept({"type": "user.signup", "data": "alice <joined> & 'all' is \"well\"\nagain"})
        await got(romeo, 1)
        (message,) = said(romeo)
        (entry,) = await house.journal.read(0, 1)
        assert body(message) == event_text(entry.event)
        assert (message.get("type"), message.get("from")) == ("chat", MAIN)
        assert message.get("id") == message_id(event.item_id, bare(romeo), 0)
        origin = message.find("urn:xmpp:sid:0", "origin-id")
        assert origin is not None
        assert origin.get("id") == message.get("id")
        assert message.find("urn:xmpp:receipts", "request") is not None
        assert message.find("urn:xmpp:chat-markers:0", "markable") is not None
        assert message.find("http://jabber.org/protocol/pubsub#event", "event") is None
        await house.settled()
        assert await house.states(event) == {bare(romeo): State.DELIVERED}
        assert [(each.jid, each.id) for each in await house.messages(event)] == [(bare(romeo), message.get("id"))]


async def test_an_incident_is_one_message_corrected_in_place(server: Server, tmp_path: Path) -> None:
    """From a resource of its own, and every correction names the first message; another incident in between harms
    nothing. A fresh line, from the bot itself, says that it has become worse."""
    async with chatting(server, tmp_path) as house, await person(server) as romeo:
        await house.subscribe(romeo)
        await house.accept(firing())
        await got(romeo, 1)
        await house.accept(firing("db2"))
        await got(romeo, 2)
        await house.accept(firing())
        await got(romeo, 3)
        await house.accept(firing(severity="critical", summary="db1 is dead"))
        await got(romeo, 5)
        await house.accept(firing(status="acknowledged", severity="critical", data={"by": "juliet"}))
        await got(romeo, 6)
        await house.accept(firing(status="resolved", severity="info"))
        lines = await got(romeo, 7)
        first, other, repeat, worse, line, taken, over = said(romeo)
        assert lines[0] == "▲ *firing* db1 is full"
        assert lines[2] == "▲ *firing* db1 is full (×2)"
        assert lines[4] == "‼ *now critical* (was warning): db1 is dead"
        assert "acknowledged by juliet" in body(taken)
        assert lines[6].startswith("✔ *resolved* after")
        assert [replaced(each) for each in (first, other, line)] == ["", "", ""]
        assert {replaced(each) for each in (repeat, worse, taken, over)} == {first.get("id")}
        assert {each.get("from") for each in (first, repeat, worse, taken, over)} == {DB1}
        assert line.get("from") == MAIN
        assert len({each.get("id") for each in said(romeo)}) == 7
        await house.settled()
        incident = await house.journal.people.incident("db1")
        assert incident is not None
        copy = (await house.journal.people.copies([("db1", bare(romeo))]))["db1", bare(romeo)]
        assert copy == Copy("db1", bare(romeo), incident.episode, first.get("id"), incident.sequence, "critical")


async def test_the_next_episode_is_another_message(server: Server, tmp_path: Path) -> None:
    """What is over stays as it was."""
    async with chatting(server, tmp_path) as house, await person(server) as romeo:
        await house.subscribe(romeo)
        for count, status in enumerate(("firing", "resolved", "firing", "resolved"), start=1):
            await house.accept(firing(status=status))
            await got(romeo, count)
        first, _, second, _ = said(romeo)
        assert [replaced(each) for each in said(romeo)] == ["", first.get("id"), "", second.get("id")]


@pytest.mark.parametrize("before", [0, 1])
async def test_what_is_told_otherwise_than_before_is_no_repeat(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """Nobody knows whether the message came, or its correction, and now the incident is over: under the same id a
    client that has it would not look at it, and say for ever that it fires."""
    async with chatting(server, tmp_path) as house, await person(server) as romeo:
        await house.subscribe(romeo)
        for count in range(1, before + 1):
            await house.accept(firing())
            await got(romeo, count)
            await house.settled()
        fence, fences = house.talk.fence, itertools.count()

        async def lost(session: int) -> None:
            if next(fences):
                await fence(session)
                return
            await romeo.until(lambda: len(said(romeo)) == before + 1, SOON)
            (over,) = await house.accept(firing(status="resolved"))
            await until(partial(is_folded, house, over), SOON, "the end to be folded")
            raise NoAnswer(Unanswered.TIMEOUT)

        monkeypatch.setattr(house.talk, "fence", lost)
        await house.accept(firing())
        await got(romeo, before + 2)
        await house.settled()
        ids = [each.get("id") for each in said(romeo)]
        assert bodies(romeo)[-1].startswith("✔ *resolved*")
        assert len(set(ids)) == len(ids)


async def is_folded(house: House, event: Accepted) -> bool:
    """Whether an incident is what its event left of it."""
    incident = await house.journal.people.incident("db1")
    return incident is not None and incident.sequence == event.sequence


async def test_an_end_that_has_expired_still_mends_what_is_there(server: Server, tmp_path: Path) -> None:
    """Nobody is told of it any more, but no message says for ever that it fires."""
    async with chatting(server, tmp_path) as house, await person(server) as romeo, await person(server) as juliet:
        await house.subscribe(romeo)
        await house.accept(firing())
        await got(romeo, 1)
        await house.settled()
        await house.subscribe(juliet)
        await house.accept(firing(status="resolved", expires="2026-01-31T12:00:00Z"))
        assert (await got(romeo, 2))[1].startswith("✔ *resolved*")
        await house.settled()
        assert said(juliet) == []


async def test_what_changes_while_nobody_can_be_told_is_told_as_it_stands(server: Server, tmp_path: Path) -> None:
    """One message, and nothing of what has passed; everybody is told the same."""
    async with chatting(server, tmp_path) as house, await person(server) as romeo, await person(server) as juliet:
        await house.subscribe(romeo, juliet)
        events = await house.accept(firing(), firing(severity="critical"), firing(status="resolved"))
        await house.settled()
        assert [line[:14] for line in await got(romeo, 1)] == ["✔ *resolved* a"]
        assert await got(juliet, 1) == bodies(romeo)
        for event in events:
            assert set((await house.states(event)).values()) == {State.DELIVERED}


async def test_a_direct_route_waits_until_the_incident_is_folded(server: Server, tmp_path: Path) -> None:
    """`chat:JID` in a route and a subscription are one delivery, and one message."""
    async with await person(server) as romeo:
        route = Route("ops", Match("disk.#"), (), (Address("chat", bare(romeo)),))
        async with chatting(server, tmp_path, routes=[route]) as house:
            await house.subscribe(romeo)
            (event,) = await house.accept(firing())
            await house.settled()
            assert await got(romeo, 1) == ["▲ *firing* db1 is full"]
            assert said(romeo)[0].get("from") == DB1
            assert await house.states(event) == {bare(romeo): State.DELIVERED}


async def test_what_was_a_mistake_is_taken_back(server: Server, tmp_path: Path) -> None:
    """From where it came (XEP-0424), with a text for clients that can't; what fires afterwards is a new message."""
    async with chatting(server, tmp_path) as house, await person(server) as romeo:
        await house.subscribe(romeo)
        plain, incident = await house.accept({"type": "user.signup", "data": "oops"}, firing())
        await got(romeo, 2)
        await house.settled()
        sent = {each.get("from"): each.get("id") for each in said(romeo)}
        for event in (plain, incident):
            data = {"item": event.item_id, "by": bare(romeo)}
            await house.accept({"type": "event.retracted", "source": "xmppbus", "data": data, "id": event.item_id})
        await got(romeo, 4)
        found = [(each.get("from"), each.find("urn:xmpp:message-retract:1", "retract")) for each in said(romeo)[2:]]
        assert {sender: each.get("id") for sender, each in found if each is not None} == sent
        assert body(said(romeo)[2]).startswith("taken back")
        await house.accept(firing())
        await got(romeo, 5)
        assert replaced(said(romeo)[4]) == ""


async def test_an_event_that_has_expired_is_told_nobody(server: Server, tmp_path: Path) -> None:
    """It is dead, and says when it expired."""
    async with await person(server) as romeo:
        route = Route("ops", Match(), (), (Address("chat", bare(romeo)),))
        async with chatting(server, tmp_path, routes=[route]) as house:
            (old,) = await house.accept({"expires": "2026-01-01T00:00:00Z"})
            await house.settled()
            (fate,) = await house.fates(old)
            assert (fate.state, fate.condition) == (State.DEAD, "expired")
            await house.accept({"data": "still good"})
            assert len(await got(romeo, 1)) == 1


# --- honesty ----------------------------------------------------------------------------------------------------------


async def test_everybody_gets_everything_in_order(server: Server, tmp_path: Path) -> None:
    """Many events to several people."""
    people = [await person(server) for _ in range(4)]
    async with chatting(server, tmp_path) as house:
        await house.subscribe(*people)
        for start in range(0, 200, 20):
            await house.accept(*({"data": f"number {number}"} for number in range(start, start + 20)))
        for one in people:
            assert await got(one, 200) == [f"• number {number}" for number in range(200)]
    for one in people:
        await one.close()


async def test_a_cut_stream_loses_nothing_and_repeats_only_the_same_ids(server: Server, tmp_path: Path) -> None:
    """In the middle of two hundred deliveries, again and again."""
    async with (
        Proxy(server.component_port) as proxy,
        await person(server) as romeo,
        await person(server) as juliet,
        chatting(server, tmp_path, port=proxy.port) as house,
    ):
        await house.subscribe(romeo, juliet)
        events = await house.accept(*({"data": f"number {number}"} for number in range(100)))
        for bytes_more in (20_000, 35_000, 15_000):
            proxy.to_server.cut_after = bytes_more
            await until(lambda: proxy.to_server.cut_after is None, SOON, "a cut")
        await house.settled(30)
        for one in (romeo, juliet):
            expected = [message_id(event.item_id, bare(one), 0) for event in events]
            await one.until(partial(has, one, expected[-1]), SOON)
            ids = [each.get("id") for each in said(one)]
            assert list(dict.fromkeys(ids)) == expected
            assert len(await house.messages(events[0])) == 2
        assert proxy.cuts >= 3


async def test_nothing_is_said_while_there_is_no_session(
    own_server: ServerFactory, server_name: str, tmp_path: Path
) -> None:
    """It waits, and is told once the server is back."""
    server = await own_server(server_name, **OFFLINE[server_name])
    async with chatting(server, tmp_path) as house:
        async with await log_in(server, "reader@localhost") as romeo:
            await house.subscribe(romeo)
        await server.stop()
        await until(lambda: not house.talk.session, SOON, "the end of the session")
        (event,) = await house.accept({"data": "while it was away"})
        await until(lambda: _forwarded(house, event), SOON, "a delivery to chat")
        assert house.chat.status()["state"] == "down"
        assert await house.states(event) == {bare(romeo): State.WAITING}
        await server.start()
        await house.settled()
        async with await log_in(server, "reader@localhost") as romeo:
            await got(romeo, 1)


async def _forwarded(house: House, event: Accepted) -> bool:
    return bool(await house.fates(event))


async def test_a_server_that_does_not_answer_the_ping_has_perhaps_not_got_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown is not no: it is sent again with the same id, and the ledger has it once."""
    monkeypatch.setattr(limits, "IQ_SECONDS", 0.3)
    async with (
        Proxy(server.component_port) as proxy,
        await person(server) as romeo,
        chatting(server, tmp_path, port=proxy.port) as house,
    ):
        await house.subscribe(romeo)
        proxy.to_bus.black_hole = True
        (event,) = await house.accept({"data": "perhaps"})
        await got(romeo, 2)
        assert await house.states(event) == {bare(romeo): State.WAITING}
        proxy.heal()
        await house.settled(30)
        assert len(await house.messages(event)) == 1
        assert {each.get("id") for each in said(romeo)} == {message_id(event.item_id, bare(romeo), 0)}


async def test_whoever_was_away_for_fifty_events_has_them_at_the_next_login_in_order(
    own_server: ServerFactory, server_name: str, tmp_path: Path
) -> None:
    """It is the server's offline storage that keeps them, as they are chat messages. Also after a restart of ours."""
    server = await own_server(server_name, **OFFLINE[server_name])
    async with chatting(server, tmp_path) as house:
        await house.subscribe("reader@localhost")
        await house.accept(*({"data": f"number {number}"} for number in range(30)))
        await house.settled()
    async with chatting(server, tmp_path) as house:
        await house.accept(*({"data": f"number {number}"} for number in range(30, 50)))
        await house.settled()
        async with await log_in(server, "reader@localhost") as reader:
            assert await got(reader, 50) == [f"• number {number}" for number in range(50)]
            assert len({each.get("id") for each in said(reader)}) == 50


# --- with an account --------------------------------------------------------------------------------------------------


async def test_an_account_corrects_only_the_last_message(server: Server, tmp_path: Path) -> None:
    """It has one full JID, and clients correct only the last message of that; anything else is a new message."""
    name = f"bot{uuid4().hex[:8]}@localhost"
    await server.create_account(name, "pw")
    server.accounts[name] = "pw"
    try:
        async with chatting(server, tmp_path, account=name) as house, await person(server) as romeo:
            await house.subscribe(romeo)
            for count, event in enumerate((firing(), firing(), firing("db2"), firing(status="acknowledged")), start=1):
                await house.accept(event)
                await got(romeo, count)
            await house.accept(firing("db2"))  # a repeat, not the last: not worth a message
            await house.settled()
            await house.accept(firing(status="resolved"))
            await got(romeo, 5)
            first, repeat, other, taken, over = said(romeo)
            assert [replaced(each) for each in (first, repeat, other, taken, over)] == [
                "", first.get("id"), "", "", taken.get("id"),
            ]  # fmt: skip
            assert len({each.get("from") for each in said(romeo)}) == 1
    finally:
        del server.accounts[name]
