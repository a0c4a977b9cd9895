"""The bot's JID: who sees it, whom it sees, what it hears, and what it never answers."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from tests.servers.talking import (
    BOT,
    bare,
    befriend,
    child,
    listener,
    messages,
    new_account,
    person,
    presences,
    talking,
    texts,
)
from tests.support.conversation import PING, log_in, refusal
from tests.support.raw import RawStream
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.options import BotOptions
from xmppbus.people.model import Mute, Person
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp.answers import result
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.hooks import Listeners
from xmppbus.xmpp.messages import Heard
from xmppbus.xmpp.presence import Presence
from xmppbus.xmpp.talk import Talk

SOON = 10.0


async def shown(talk: Talk, of: RawStream, show: str) -> None:
    """Wait until the bot sees somebody so."""
    await until(lambda: talk.presence_of(bare(of)).show == show, SOON, f"{show}, not {talk.presence_of(bare(of))}")


async def settled(of: RawStream) -> None:
    """Whatever the bot has to say to what somebody wrote, it has said."""
    await of.iq("get", BOT, PING)


# --- contacts ---------------------------------------------------------------------------------------------------------


async def test_whoever_adds_the_bot_sees_it_and_is_asked_back_once(server: Server, tmp_path: Path) -> None:
    """Subscribed, its presence with the status text, and a wish of its own; both are kept in the journal."""
    async with talking(server, tmp_path) as talk, await person(server) as romeo:
        talk.said("3 firing")
        await befriend(romeo)
        await romeo.until(lambda: bool(presences(romeo)), SOON)
        assert texts(presences(romeo)) == ["3 firing"]
        assert presences(romeo)[0].get("from") == f"{BOT}/xmppbus"
        await shown(talk, romeo, "available")
        romeo.write(f"<presence to='{BOT}' type='subscribe'/>")
        await settled(romeo)
        roster = await romeo.iq("get", "", "<query xmlns='jabber:iq:roster'/>")
        items = roster.element.iter("{jabber:iq:roster}item")
        assert [each.get("subscription") for each in items if each.get("jid") == BOT] == ["both"]
        assert len(presences(romeo, "subscribe")) == 1
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        assert await journal.people.persons() == [Person(jid=bare(romeo), sees_us=True, shows_us=True)]


async def test_whoever_removes_the_bot_is_forgotten(server: Server, tmp_path: Path) -> None:
    """It is told nothing more, and is unknown; what else is kept of it stays."""
    async with talking(server, tmp_path) as talk, await person(server) as romeo:
        await befriend(romeo)
        await shown(talk, romeo, "available")
        await talk._contacts._persons.alter(bare(romeo), mutes=(Mute(pattern="user.#"),))
        remove = f"<query xmlns='jabber:iq:roster'><item jid='{BOT}' subscription='remove'/></query>"
        await romeo.iq("set", "", remove)
        await shown(talk, romeo, "unknown")
        await until(lambda: talk.status()["contacts"] == 0, SOON, "no contact")
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        assert await journal.people.persons() == [Person(jid=bare(romeo), mutes=(Mute(pattern="user.#"),))]


async def test_who_is_not_dealt_with_is_not_answered(server: Server, tmp_path: Path) -> None:
    """An outcast gets no presence, no answer to a probe, no receipt; its requests are refused without a word."""

    def cast_out(talk: Talk) -> None:
        talk.may_subscribe = lambda jid: not jid.startswith("outcast")

    async with talking(server, tmp_path, prepare=cast_out) as talk, await person(server, "outcast") as outcast:
        outcast.write(f"<presence to='{BOT}' type='subscribe'/><presence to='{BOT}' type='probe'/>")
        outcast.write(
            f"<message to='{BOT}' id='m' type='chat'><body>x</body><request xmlns='urn:xmpp:receipts'/></message>"
        )
        assert await refusal(outcast.iq("get", BOT, PING)) == "service-unavailable"
        assert not [each for each in outcast.stanzas if each.get("from").startswith(BOT)]
        assert talk.status()["contacts"] == 0


async def test_presence_is_that_of_the_best_resource(server: Server, tmp_path: Path) -> None:
    """The highest priority; whoever leaves is offline; everybody is told of each change once."""
    heard: list[tuple[str, Presence]] = []
    async with (
        talking(
            server, tmp_path, prepare=lambda talk: talk.on_presence.append(lambda *what: heard.append(what))
        ) as talk,
        await person(server) as romeo,
    ):
        await befriend(romeo)
        await shown(talk, romeo, "available")
        romeo.write("<presence><show>dnd</show><status>in a play</status><priority>5</priority></presence>")
        await shown(talk, romeo, "dnd")
        assert talk.presence_of(bare(romeo)).status == "in a play"
        romeo.write("<presence type='unavailable'/>")
        await shown(talk, romeo, "offline")
        romeo.write("<presence><show>away</show></presence>")
        await shown(talk, romeo, "away")
        assert [(jid, each.show) for jid, each in heard] == [
            (bare(romeo), "available"), (bare(romeo), "dnd"), (bare(romeo), "offline"), (bare(romeo), "away"),
        ]  # fmt: skip
        assert talk.presence_of("nobody@localhost").show == "unknown"


async def test_nobody_puts_himself_before_our_eyes(server: Server, tmp_path: Path) -> None:
    """Presence of whom we never asked for it is not kept."""
    async with talking(server, tmp_path) as talk, await person(server) as romeo:
        romeo.write(f"<presence to='{BOT}' type='subscribed'/><presence to='{BOT}'/>")
        await settled(romeo)
        assert talk.presence_of(bare(romeo)).show == "unknown"
        assert talk.status()["contacts"] == 0


async def test_after_a_restart_it_is_there_again_and_knows_who_is(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On both sides: who saw it leave sees it come back; who is there and who is not is known again.

    Prosody answers a probe for somebody who is not there, ejabberd says nothing.
    """
    monkeypatch.setattr(limits, "PROBE_SECONDS", 0.5)
    async with await person(server) as romeo:
        async with await person(server) as juliet, talking(server, tmp_path) as talk:
            for each in (romeo, juliet):
                await befriend(each)
                await shown(talk, each, "available")
        await romeo.until(lambda: bool(presences(romeo, "unavailable")), SOON)
        romeo.stanzas.clear()
        async with talking(server, tmp_path) as talk:
            await romeo.until(lambda: bool(presences(romeo)), SOON)
            await shown(talk, romeo, "available")
            await shown(talk, juliet, "offline")


async def test_after_a_restart_of_the_server_it_announces_itself_again(
    own_server: ServerFactory, server_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People who come back see it, and it sees them."""
    monkeypatch.setattr(limits, "PROBE_SECONDS", 0.5)
    server = await own_server(server_name)
    async with talking(server, tmp_path) as talk:
        async with await person(server) as romeo:
            await befriend(romeo)
            await shown(talk, romeo, "available")
            session = talk.session
            await server.restart()
        assert talk.presence_of(bare(romeo)).show in ("available", "unknown", "offline")
        await until(lambda: talk.session > session, 20, "the next session")
        await shown(talk, romeo, "offline")
        async with await log_in(server, bare(romeo)) as again:
            await again.until(lambda: bool(presences(again)), SOON)
            await shown(talk, again, "available")


async def test_whoever_is_subscribed_and_not_known_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    """A journal was lost: servers probe for their subscribers, and their contact lists stay as they are."""
    async with await person(server) as romeo:
        async with talking(server, tmp_path / "a") as talk:
            await befriend(romeo)
            await shown(talk, romeo, "available")
        romeo.stanzas.clear()
        async with talking(server, tmp_path / "b") as talk:
            romeo.write("<presence type='unavailable'/><presence/>")
            await romeo.until(lambda: bool(presences(romeo)), SOON)
            assert talk.status()["contacts"] == 1


async def test_the_status_text_goes_out_when_it_changes_but_not_often(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one at once, then the last one of a while."""
    monkeypatch.setattr(limits, "STATUS_SECONDS", 0.5)
    async with talking(server, tmp_path) as talk, await person(server) as romeo:
        await befriend(romeo)
        await shown(talk, romeo, "available")
        for number in range(20):
            talk.said(f"{number} firing", "dnd" if number else "")
            await asyncio.sleep(0)
        await romeo.until(lambda: "19 firing" in texts(presences(romeo)), SOON)
        seen = [text for text in texts(presences(romeo)) if text]
        assert seen in (["0 firing", "19 firing"], ["19 firing"])
        assert texts(presences(romeo), "show")[-1] == "dnd"


# --- what is heard ----------------------------------------------------------------------------------------------------


async def test_a_message_to_any_of_its_resources_is_heard(server: Server, tmp_path: Path) -> None:
    """The sender is who the server says, whatever the stanza claims."""
    heard: list[Heard] = []
    async with talking(server, tmp_path, prepare=listener(heard)), await person(server) as romeo:
        for to in (BOT, f"{BOT}/xmppbus", f"{BOT}/1234abcd"):
            romeo.write(f"<message to='{to}' type='chat' id='m'><body>status</body></message>")
        romeo.write(f"<message to='someone@{server.component_jid}' type='chat'><body>not for us</body></message>")
        romeo.write(f"<message to='{server.component_jid}' type='chat'><body>nor this</body></message>")
        await settled(romeo)
        assert [(each.body, each.sender) for each in heard] == [("status", romeo.jid)] * 3
        assert [each.to for each in heard] == [BOT, f"{BOT}/xmppbus", f"{BOT}/1234abcd"]


async def test_what_comes_before_we_may_speak_is_heard_when_we_may(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a component knows that it is alone it answers nobody, and forgets nobody."""
    alone = asyncio.Event()
    arrived: list[Element] = []

    async def check(stream: Stream) -> None:
        hear = stream.hooks.hear

        def note(listeners: Listeners, stanza: Element, *, is_up: bool) -> None:
            arrived.append(stanza)
            hear(listeners, stanza, is_up=is_up)

        monkeypatch.setattr(stream.hooks, "hear", note)
        await alone.wait()

    monkeypatch.setattr(Stream, "_check_split", check)
    heard: list[Heard] = []
    async with await person(server) as romeo:

        async def speak() -> None:
            def write() -> bool:
                romeo.write(f"<message to='{BOT}' type='chat' id='m'><body>help</body></message>")
                return bool(arrived)

            await until(write, SOON, "the message")
            assert not heard
            alone.set()

        speaking = asyncio.create_task(speak())
        async with talking(server, tmp_path, prepare=listener(heard)):
            await speaking
            await until(lambda: heard, SOON, "what came early")
            assert {each.body for each in heard} == {"help"}


async def test_errors_and_reflections_are_never_answered(server: Server, tmp_path: Path) -> None:
    """Errors are heard as bounces; what comes from within our own domain, forwarded or as a carbon is not opened."""
    heard: list[Heard] = []
    inner = f"<message xmlns='jabber:client' from='owner@localhost' to='{BOT}'><body>dead all</body></message>"
    forwarded = f"<forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded>"
    async with talking(server, tmp_path, prepare=listener(heard)) as talk, await person(server) as romeo:
        ask = "<body>x</body><request xmlns='urn:xmpp:receipts'/>"
        unavailable = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        romeo.write(f"<message to='{BOT}' type='error' id='e1'>{ask}{unavailable}</message>")
        romeo.write(f"<message to='{BOT}' type='chat'><sent xmlns='urn:xmpp:carbons:2'>{forwarded}</sent></message>")
        romeo.write(f"<message to='{BOT}' type='chat'><body>see</body>{forwarded}</message>")
        talk.send(f"<message from='x@bus.localhost' to='{BOT}' type='chat' id='o'>{ask}</message>".encode())
        await talk.fence()
        await settled(romeo)
        assert [(each.kind, each.id, each.condition) for each in heard] == [("error", "e1", "gone")]
        assert not messages(romeo)
        assert talk.ignored == 3


async def test_nobody_can_speak_as_somebody_else(server: Server, tmp_path: Path) -> None:
    """The server stamps `from`, or ends the stream of whoever claims to be another."""
    heard: list[Heard] = []
    async with talking(server, tmp_path, prepare=listener(heard)), await person(server) as romeo:
        for claimed in (BOT, f"x@{server.component_jid}", "owner@localhost/phone"):
            romeo.write(f"<message from='{claimed}' to='{BOT}' type='chat'><body>ack</body></message>")
        romeo.write(f"<message to='{BOT}' type='chat'><body>mine</body></message>")
        await until(lambda: heard or romeo.closed.is_set(), SOON, "a message, or the end")
        assert {each.bare for each in heard} <= {bare(romeo)}


async def test_a_receipt_is_given_once_for_what_was_typed(server: Server, tmp_path: Path) -> None:
    """From the JID that was written to; not for delayed messages, and not for receipts."""
    ask = "<body>x</body><request xmlns='urn:xmpp:receipts'/>"
    delay = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-31T12:00:00Z'/>"
    async with talking(server, tmp_path), await person(server) as romeo:
        romeo.write(f"<message to='{BOT}/1234abcd' type='chat' id='m1'>{ask}</message>")
        romeo.write(f"<message to='{BOT}' type='chat' id='m2'>{ask}{delay}</message>")
        romeo.write(
            f"<message to='{BOT}' type='chat' id='m3'>{ask}<received xmlns='urn:xmpp:receipts' id='y'/></message>"
        )
        romeo.write(f"<message to='{BOT}' type='headline' id='m4'>{ask}</message>")
        romeo.write(f"<message to='{BOT}' type='chat' id='m5'><body>x</body></message>")
        await settled(romeo)
        found = [
            (each.get("from"), received.get("id"))
            for each in messages(romeo)
            if (received := child(each, "received")) is not None
        ]
        assert found == [(f"{BOT}/1234abcd", "m1")]


async def test_a_listener_that_fails_harms_nobody(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; the other listeners hear, and nothing is said to whoever wrote."""
    heard: list[Heard] = []

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    def prepare(talk: Talk) -> None:
        talk.on_heard += [fail, heard.append]
        talk.on_presence.append(fail)

    async with talking(server, tmp_path, prepare=prepare) as talk, await person(server) as romeo:
        await befriend(romeo)
        await shown(talk, romeo, "available")
        romeo.write(f"<message to='{BOT}' type='chat'><body>x</body></message>")
        await settled(romeo)
        assert [each.body for each in heard] == ["x"]
        assert not messages(romeo)
        assert "ZeroDivisionError" in caplog.text
        assert talk.session == 1


# --- requests ---------------------------------------------------------------------------------------------------------


async def test_requests_find_who_answers_them(server: Server, tmp_path: Path) -> None:
    """At once, later, or nobody: then the bot itself, or service-unavailable; a failure is an error of its own."""

    def at_once(request: Element) -> bytes | None:
        return result(request, BOT, "<at-once xmlns='urn:test'/>") if request[0].tag == "{urn:test}a" else None

    def later(request: Element) -> Awaitable[bytes | None]:
        async def wait() -> bytes | None:
            await asyncio.sleep(0)
            return result(request, BOT, "<later xmlns='urn:test'/>") if request[0].tag == "{urn:test}b" else None

        return wait()

    async def fail(request: Element) -> bytes | None:
        return None if request[0].tag != "{urn:test}c" else b"%d" % (1 / 0)

    async with (
        talking(server, tmp_path, prepare=lambda talk: talk.answers.extend((at_once, later, fail))) as talk,
        await person(server) as romeo,
    ):
        for name, answered in (("a", "at-once"), ("b", "later")):
            answer = await romeo.iq("get", f"{BOT}/any", f"<{name} xmlns='urn:test'/>")
            assert child(answer, answered) is not None
            assert answer.get("from") == f"{BOT}/any"
        assert await refusal(romeo.iq("set", BOT, "<c xmlns='urn:test'/>")) == "internal-server-error"
        assert await refusal(romeo.iq("get", BOT, "<d xmlns='urn:test'/>")) == "service-unavailable"
        await romeo.iq("get", BOT, PING)
        await until(lambda: not talk.status()["answering"], SOON, "the last answer")


async def test_too_many_requests_at_once_are_told_to_wait(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And answered when there is room again."""
    monkeypatch.setattr(limits, "REQUESTS_AT_ONCE", 1)
    go_on = asyncio.Event()

    async def slow(_: Element) -> bytes | None:
        await go_on.wait()
        return None

    async with talking(server, tmp_path, prepare=lambda talk: talk.answers.append(slow)), await person(server) as romeo:
        first = asyncio.create_task(romeo.iq("get", BOT, PING))
        await asyncio.sleep(0)
        assert await refusal(romeo.iq("get", BOT, PING)) == "resource-constraint"
        go_on.set()
        assert (await first).get("type") == "result"


# --- an account -------------------------------------------------------------------------------------------------------


async def test_an_account_is_a_bot_too(server: Server, tmp_path: Path) -> None:
    """Its server keeps the roster; messages come to it, and it is asked and asks back in the same way."""
    jid = await new_account(server, "bot")
    async with await person(server) as romeo:
        heard: list[Heard] = []
        async with talking(server, tmp_path, account=jid, prepare=listener(heard)) as talk:
            assert (talk.jid, talk.full("abc"), talk.is_component) == (jid, "", False)
            talk.said("all quiet")
            await befriend(romeo, jid)
            await shown(talk, romeo, "available")
            await romeo.until(lambda: "all quiet" in texts(presences(romeo, "", jid)), SOON)
            ask = "<body>help</body><request xmlns='urn:xmpp:receipts'/>"
            romeo.write(f"<message to='{jid}' type='chat' id='m'>{ask}</message>")
            await romeo.until(lambda: bool(messages(romeo, jid)), SOON)
            assert [(each.body, each.sender) for each in heard] == [("help", romeo.jid)]
            assert child(messages(romeo, jid)[0], "received") is not None
            await asyncio.wait_for(talk.fence(), SOON)
            await asyncio.wait_for(talk.fence(talk.send(b"<message to='x@localhost'/>")), SOON)
        romeo.stanzas.clear()
        async with talking(server, tmp_path, account=jid, bot=BotOptions(title="the bus")) as talk:
            await shown(talk, romeo, "available")
            vcard = await romeo.iq("get", f"{jid}/xmppbus", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
            identity = child(vcard, "identity")
            assert identity is not None
            assert (identity.get("type"), identity.get("name")) == ("bot", "the bus")
