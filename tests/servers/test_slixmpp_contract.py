"""What slixmpp does that the transport has to be proof against: an upgrade that changes it is noticed here."""

import asyncio
import logging
import socket
import sys
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import pytest
from slixmpp import JID, ComponentXMPP
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.stanza import Message
from slixmpp.xmlstream import ET, tostring

from tests.support.conversation import PING
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.raw import component
from tests.support.raw_xml import PUBSUB
from tests.support.server import Server
from tests.support.slixmpp_stream import (
    CONNECT_TIMEOUT,
    handlers,
    happened,
    request,
    slixmpp_component,
    stanza_handlers,
    start,
)
from tests.support.waiting import until


def publish_text(node: str, item_id: str, text: str) -> str:
    """A publish request; `text` must be escaped."""
    return (
        f"<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='{item_id}'>"
        f"<note xmlns='urn:example:note'>{text}</note></item></publish></pubsub>"
    )


@pytest.mark.parametrize("character", ["\x1b", "\x00", "\x07", "\x0b", "\x0c", "\ufffe", "\uffff"])
async def test_an_illegal_character_costs_the_stream_and_what_is_sent_with_it(server: Server, character: str) -> None:
    async with slixmpp_component(server) as xmpp:
        await start(xmpp)
        gone = happened(xmpp, "disconnected")
        xmpp.send_message(mto="stranger@localhost", mbody=f"a{character}b", mfrom=xmpp.boundjid)
        with pytest.raises(IqTimeout):
            await request(xmpp, "get", server.domain, PING).send(timeout=0.5)
        await asyncio.wait_for(gone, CONNECT_TIMEOUT)


@pytest.mark.parametrize("body", ["\ud800", 7])
async def test_what_cannot_be_encoded_is_only_logged(
    prosody: Server, caplog: pytest.LogCaptureFixture, body: object
) -> None:
    async with slixmpp_component(prosody) as xmpp:
        await start(xmpp)
        iq = request(xmpp, "get", prosody.domain, PING)
        iq.xml[0].text = body
        with pytest.raises(IqTimeout):
            await iq.send(timeout=0.2)
        assert "Exception raised in send queue" in caplog.text


async def test_carriage_returns_and_white_space_in_attributes_change(server: Server, node: str) -> None:
    async with slixmpp_component(server) as xmpp:
        await start(xmpp)
        iq = request(xmpp, "set", server.pubsub_service, publish_text(node, "1", ""))
        note = iq.xml[0][0][0][0]
        note.text = "a\rb\r\nc"
        note.set("list", "a\nb\tc")
        await create_by(xmpp, server, node)
        await iq.send(timeout=5)
    async with await component(server.host, server.component_port, server.component_jid, server.secret) as stream:
        answer = await stream.iq(
            "get", server.pubsub_service, f"<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>"
        )
    read = answer.find("urn:example:note", "note")
    assert read is not None
    assert read.text == "a\nb\nc"
    assert read.get("list") == "a b c"


def test_names_are_not_escaped() -> None:
    assert tostring(ET.Element("a b='1'")) == "<a b='1' />"
    assert '<a b> c="1"' in tostring(ET.Element("a", {"b> c": "1"}))
    assert tostring(ET.Element("{urn:x' y='1}a")) == "<a xmlns=\"urn:x' y='1\" />"


async def test_a_stanza_of_600_kib_is_answered_by_ejabberd_and_ends_the_stream_on_prosody(
    server: Server, node: str
) -> None:
    async with slixmpp_component(server) as xmpp:
        await start(xmpp)
        await create_by(xmpp, server, node)
        gone = happened(xmpp, "disconnected")
        sent = request(xmpp, "set", server.pubsub_service, publish_text(node, "1", "x" * 600 * 1024)).send(timeout=5)
        if server.name == "ejabberd":
            with pytest.raises(IqError):
                await sent
        else:
            await asyncio.wait_for(gone, CONNECT_TIMEOUT)
            sent.cancel()


async def test_every_error_in_component_mode_reads_feature_not_implemented(server: Server, node: str) -> None:
    async with slixmpp_component(server) as xmpp:
        await start(xmpp)
        with pytest.raises(IqError) as caught:
            await request(xmpp, "get", server.pubsub_service, items_of(node)).send(timeout=5)
        assert caught.value.condition == "feature-not-implemented"
        assert caught.value.iq["error"]["type"] == "cancel"
        raw = caught.value.iq.xml.find("./{jabber:component:accept}error/*")
        assert raw is not None
        assert raw.tag == "{urn:ietf:params:xml:ns:xmpp-stanzas}item-not-found"


async def test_an_iq_in_flight_is_not_failed_by_a_disconnect(server: Server) -> None:
    async with Proxy(server.component_port) as proxy, slixmpp_component(server, port=proxy.port) as xmpp:
        await start(xmpp)
        gone = happened(xmpp, "disconnected")
        proxy.to_bus.black_hole = True
        answer = request(xmpp, "get", server.domain, PING).send()
        await until(xmpp.waiting_queue.empty, 5, "the request to be sent")
        proxy.reset()
        await asyncio.wait_for(gone, CONNECT_TIMEOUT)
        assert not answer.done()
        deadline = next(handle for name, handle in xmpp.scheduled_events.items() if name.startswith("IqTimeout"))
        assert deadline.when() - asyncio.get_running_loop().time() == pytest.approx(120, abs=5)
        answer.cancel()


async def test_a_request_made_offline_is_sent_in_the_next_session_though_it_has_timed_out(server: Server) -> None:
    async with slixmpp_component(server) as xmpp:
        iq = request(xmpp, "set", "stranger@localhost/nowhere", "<late xmlns='urn:example:late'/>")
        with pytest.raises(IqTimeout):
            await iq.send(timeout=0.05)
        sent: list[str] = []
        send_raw = xmpp.send_raw

        def recording(data: Any) -> None:
            sent.append(str(data))
            send_raw(data)

        xmpp.send_raw = recording
        await start(xmpp)
        await until(lambda: any("urn:example:late" in data for data in sent), 5, "the request that timed out")


async def test_the_offline_queue_has_no_bound(prosody: Server) -> None:
    async with slixmpp_component(prosody) as xmpp:
        for _ in range(5_000):
            xmpp.send_message(mto="stranger@localhost", mbody="x", mfrom=xmpp.boundjid)
        assert len(xmpp._XMLStream__queued_stanzas) == 5_000


async def test_the_socket_has_no_keepalive_and_nobody_configures_it(prosody: Server) -> None:
    class Configuring(ComponentXMPP):
        configured = False

        def configure_socket(self) -> None:
            self.configured = True

    async with slixmpp_component(prosody, kind=Configuring) as xmpp:
        await start(xmpp)
        assert xmpp.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        assert xmpp.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
        assert xmpp.whitespace_keepalive_interval == 300
        assert not xmpp.configured


async def test_a_wrong_secret_and_the_documented_idiom_are_a_storm_of_connections(server: Server) -> None:
    async with (
        Proxy(server.component_port) as proxy,
        slixmpp_component(server, port=proxy.port, secret="wrong") as xmpp,
    ):
        xmpp.add_event_handler("disconnected", lambda _: xmpp.connect())
        xmpp.connect()
        await until(lambda: proxy.connections > 50, 5, "more than 50 connections")
        handlers(xmpp)["disconnected"].clear()


async def test_nothing_is_connected_again_without_the_idiom(prosody: Server) -> None:
    async with Proxy(prosody.component_port) as proxy, slixmpp_component(prosody, port=proxy.port) as xmpp:
        await start(xmpp)
        gone = happened(xmpp, "disconnected")
        proxy.reset()
        await asyncio.wait_for(gone, CONNECT_TIMEOUT)
        assert not xmpp.is_connecting()


async def test_connect_returns_a_task_when_it_is_refused(prosody: Server) -> None:
    async with slixmpp_component(prosody, port=free_port()) as xmpp:
        assert isinstance(await xmpp.connect(), asyncio.Task)
        assert xmpp.is_connecting()


async def test_connect_returns_before_there_is_a_session(server: Server) -> None:
    async with slixmpp_component(server) as xmpp:
        session = happened(xmpp, "session_start")
        assert await xmpp.connect() is None
        assert not session.done()
        await asyncio.wait_for(session, CONNECT_TIMEOUT)


async def test_disconnect_does_not_cancel_a_pending_attempt(prosody: Server) -> None:
    async with slixmpp_component(prosody, port=free_port()) as xmpp:
        await xmpp.connect()
        await xmpp.disconnect()
        assert xmpp.is_connecting()


async def test_a_queue_purged_by_a_disconnect_can_never_be_joined(prosody: Server) -> None:
    async with slixmpp_component(prosody) as xmpp:
        await start(xmpp)
        xmpp._run_out_filters.cancel()
        xmpp.send_message(mto="stranger@localhost", mbody="purged", mfrom=xmpp.boundjid)
        gone = happened(xmpp, "disconnected")
        xmpp.abort()
        await asyncio.wait_for(gone, CONNECT_TIMEOUT)
        assert xmpp.waiting_queue.empty()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await xmpp.waiting_queue.join()


async def test_every_iq_in_flight_is_a_handler_that_every_answer_is_compared_with(prosody: Server) -> None:
    async with Proxy(prosody.component_port) as proxy, slixmpp_component(prosody, port=proxy.port) as xmpp:
        await start(xmpp)
        proxy.to_server.black_hole = True
        before = len(stanza_handlers(xmpp))
        waiting = [request(xmpp, "get", prosody.domain, PING).send(timeout=60) for _ in range(300)]
        compared = 0
        for handler in stanza_handlers(xmpp):
            match = handler.match

            def counting(xml: Any, match: Any = match) -> Any:
                nonlocal compared
                compared += 1
                return match(xml)

            handler.match = counting
        assert len(stanza_handlers(xmpp)) == before + 300
        xmpp._spawn_event(ET.fromstring("<iq xmlns='jabber:component:accept' type='result' id='unknown'/>"))
        assert compared == before + 300
        for future in waiting:
            future.cancel()


async def test_an_exception_in_a_handler_is_told_to_the_sender_even_of_an_error(server: Server) -> None:
    async with (
        slixmpp_component(server) as xmpp,
        await component(server.host, server.component_port, server.component_jids[1], server.secret) as sender,
    ):
        await start(xmpp)

        def fail(_: Message) -> None:
            raise RuntimeError("a bug")

        xmpp.add_event_handler("message", fail)
        xmpp.add_event_handler("message_error", fail)
        xmpp.exception = lambda _: None
        for kind in ("chat", "error"):
            sender.stanzas.clear()
            error = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            sender.write(
                f"<message type='{kind}' from='{sender.jid}' to='{server.component_jid}' id='{kind}'>"
                f"<body>hello</body>{error if kind == 'error' else ''}</message>"
            )
            await sender.until(lambda: bool(sender.stanzas))
            assert "Slixmpp got into trouble." in ET.tostring(sender.stanzas[0].element, "unicode")


async def test_coroutines_that_are_no_named_functions_never_run(prosody: Server) -> None:
    ran: list[str] = []

    async def named(_: object) -> None:
        ran.append("named")

    class Callable:
        async def __call__(self, _: object) -> None:
            ran.append("object")

    unawaited: list[Any] = []
    async with slixmpp_component(prosody) as xmpp:
        call = Callable()
        xmpp.add_event_handler("test", named)
        xmpp.add_event_handler("test", lambda data: unawaited.append(named(data)))
        xmpp.add_event_handler("test", lambda data: unawaited.append(call(data)))
        xmpp.event("test", "x")
        await until(lambda: ran, 5, "the named one")
    for coroutine in unawaited:
        coroutine.close()
    assert ran == ["named"]


def test_an_object_built_before_the_loop_runs_is_bound_to_another() -> None:
    before = asyncio.new_event_loop()
    asyncio.set_event_loop(before)
    kind: Any = ComponentXMPP
    xmpp = kind("bus.localhost", "secret", "127.0.0.1", 1)

    async def running() -> bool:
        return xmpp.loop is asyncio.get_running_loop()

    assert not asyncio.run(running())
    before.close()


async def test_a_stalled_server_is_written_to_without_bound(server: Server) -> None:
    async with Proxy(server.component_port) as proxy, slixmpp_component(server, port=proxy.port) as xmpp:
        await start(xmpp)
        proxy.to_server.stalled = True
        for _ in range(20_000):
            xmpp.send_raw(b" " * 1_000)
        assert xmpp.transport is not None
        assert xmpp.transport.get_write_buffer_size() > 8_000_000
        xmpp.transport.abort()


async def test_plugins_are_reached_through_plugin(prosody: Server) -> None:
    async with slixmpp_component(prosody) as xmpp:
        xmpp.register_plugin("xep_0060")
        with pytest.warns(DeprecationWarning, match="plugin"):
            xmpp["xep_0060"]
        assert xmpp.plugin["xep_0060"] is not None


async def test_debug_logs_print_the_handshake_and_every_stanza(
    prosody: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "slixmpp")
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] == "slixmpp":  # a stream of ours in an earlier test has put its redaction there
            monkeypatch.setattr(logging.getLogger(name), "filters", [])
    async with slixmpp_component(prosody) as xmpp:
        await start(xmpp)
        await request(xmpp, "get", prosody.domain, PING).send(timeout=5)
    assert "<handshake" in caplog.text
    assert "urn:xmpp:ping" in caplog.text


def test_a_surrogate_in_a_jid_is_a_unicode_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        JID("\ud800@localhost")


async def test_an_iq_of_a_component_has_no_from_unless_it_is_given(prosody: Server) -> None:
    async with slixmpp_component(prosody) as xmpp:
        assert "from" not in xmpp.make_iq_set(ito=prosody.pubsub_service).xml.attrib


def test_the_version_has_what_we_use_and_not_what_we_do_not_count_on() -> None:
    assert tuple(int(part) for part in version("slixmpp").split(".")[:2]) >= (1, 13)
    assert sys.version_info >= (3, 11)
    assert find_spec("slixmpp.plugins.xep_0060") is not None
    for missing in ("xep_0277", "xep_0393", "xep_0472"):
        assert find_spec(f"slixmpp.plugins.{missing}") is None


def items_of(node: str) -> str:
    """The request for all items of a node (XEP-0060 §6.5)."""
    return f"<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>"


async def create_by(xmpp: Any, server: Server, node: str) -> None:
    """Create a node through slixmpp."""
    inner = f"<pubsub xmlns='{PUBSUB}'><create node='{node}'/></pubsub>"
    await request(xmpp, "set", server.pubsub_service, inner).send(timeout=5)
