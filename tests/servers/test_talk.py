"""What the bot hears, what it answers, and what it never answers."""

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
    person,
    shown,
    talking,
)
from tests.support.conversation import PING, refusal
from tests.support.raw import RawStream
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.xmpp.answers import result
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.hooks import Listeners
from xmppbus.xmpp.messages import Heard
from xmppbus.xmpp.talk import Talk

SOON = 10.0


async def settled(of: RawStream) -> None:
    """Whatever the bot has to say to what somebody wrote, it has said."""
    await of.iq("get", BOT, PING)


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


async def test_who_writes_to_another_name_of_the_component_is_told_where_the_bot_is(
    server: Server, tmp_path: Path
) -> None:
    """By an error, once; an error, and what nobody typed, is not sent back."""
    domain = server.component_jid
    async with talking(server, tmp_path), await person(server) as romeo:
        romeo.write(f"<message to='{domain}' type='chat' id='typed'><body>status</body></message>")
        romeo.write(f"<message to='{domain}' type='error' id='error'><body>status</body></message>")
        romeo.write(f"<message to='bto@{domain}' id='typo'><body>status</body></message>")
        romeo.write(f"<message to='{domain}' type='chat' id='empty'/>")
        await settled(romeo)
        errors = [each for each in romeo.stanzas if each.name == "message" and each.get("type") == "error"]
        assert [(each.get("id"), each.get("from")) for each in errors] == [("typed", domain), ("typo", f"bto@{domain}")]
        assert all(f"write to {BOT}" in "".join(each.element.itertext()) for each in errors)


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
        await talk.fence(talk.session)
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
