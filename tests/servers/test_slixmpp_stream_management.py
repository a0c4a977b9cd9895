"""Why nothing here relies on slixmpp's XEP-0198: it reorders, and it forgets."""

import asyncio
from typing import Any

from tests.support.conversation import PING
from tests.support.proxy import Proxy
from tests.support.raw import RawStream, account
from tests.support.server import Server, ServerFactory
from tests.support.slixmpp_stream import CONNECT_TIMEOUT, happened, request, slixmpp_client, slixmpp_component, start
from tests.support.waiting import until


async def test_the_stream_management_plugin_does_nothing_in_a_component(server: Server) -> None:
    async with slixmpp_component(server) as xmpp:
        xmpp.register_plugin("xep_0198")
        await start(xmpp)
        await request(xmpp, "get", server.domain, PING).send(timeout=5)
        assert not hasattr(xmpp.plugin["xep_0198"], "unacked_queue")


async def managed_session(server: Server, proxy: Proxy, xmpp: Any) -> None:
    """Log in, switch stream management on, and send a message that the server never gets."""
    xmpp.register_plugin("xep_0198")
    enabled = happened(xmpp, "sm_enabled")
    await start(xmpp, server.host, proxy.port)
    await asyncio.wait_for(enabled, CONNECT_TIMEOUT)
    proxy.to_server.black_hole = True
    xmpp.send_message(mto="reader@localhost", mbody="older")
    await until(lambda: "older" in unacknowledged(xmpp), 5, "the message to be on its way")


def unacknowledged(xmpp: Any) -> str:
    """What slixmpp remembers for a resume."""
    return " ".join(str(stanza) for _, stanza in xmpp.plugin["xep_0198"].unacked_queue)


def bodies(reader: RawStream) -> list[str]:
    """The texts of the messages that have arrived."""
    return [str(body.text) for stanza in reader.stanzas for body in stanza.element.iter("{jabber:client}body")]


async def test_after_a_resume_newer_messages_go_before_older_ones(own_server: ServerFactory) -> None:
    server = await own_server("prosody", modules=["smacks"])
    async with (
        Proxy(server.c2s_port) as proxy,
        slixmpp_client(server, "listener@localhost") as xmpp,
        await account(server.host, server.c2s_port, "reader@localhost", server.accounts["reader@localhost"]) as reader,
    ):
        await managed_session(server, proxy, xmpp)
        gone, resumed = happened(xmpp, "disconnected"), happened(xmpp, "session_resumed")
        proxy.heal()
        await asyncio.wait_for(gone, CONNECT_TIMEOUT)
        xmpp.send_message(mto="reader@localhost", mbody="newer")
        xmpp.connect(server.host, proxy.port)
        await asyncio.wait_for(resumed, CONNECT_TIMEOUT)
        await reader.until(lambda: len(bodies(reader)) >= 2)
        assert bodies(reader)[:2] == ["newer", "older"]


async def test_a_refused_resume_drops_what_was_not_acknowledged(own_server: ServerFactory) -> None:
    server = await own_server("prosody", modules=["smacks"])
    async with Proxy(server.c2s_port) as proxy, slixmpp_client(server, "listener@localhost") as xmpp:
        await managed_session(server, proxy, xmpp)
        gone, again = happened(xmpp, "disconnected"), happened(xmpp, "session_start")
        await server.restart()
        proxy.heal()
        await asyncio.wait_for(gone, CONNECT_TIMEOUT)
        assert "older" in unacknowledged(xmpp)
        xmpp.connect(server.host, proxy.port)
        await asyncio.wait_for(again, CONNECT_TIMEOUT)
        assert "older" not in unacknowledged(xmpp)
