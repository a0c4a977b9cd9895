"""slixmpp as it comes, for the tests that pin down what it does.

Its objects are passed as `Any`: the tests look at what they should not, and half of it is not annotated.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from slixmpp import JID, ClientXMPP, ComponentXMPP
from slixmpp.xmlstream import ET

from tests.support.server import Server

CONNECT_TIMEOUT = 10.0


@asynccontextmanager
async def slixmpp_component(
    server: Server, *, port: int | None = None, secret: str | None = None, kind: Any = ComponentXMPP
) -> AsyncIterator[Any]:
    """A ComponentXMPP that is not connected yet; whatever becomes of it is cleaned up."""
    xmpp = kind(server.component_jid, secret or server.secret, server.host, port or server.component_port)
    try:
        yield xmpp
    finally:
        await cleaned_up(xmpp)


@asynccontextmanager
async def slixmpp_client(server: Server, jid: str) -> AsyncIterator[Any]:
    """A ClientXMPP that is not connected yet and trusts the server's certificate."""
    xmpp: Any = ClientXMPP(JID(jid), server.accounts[jid])
    xmpp.ca_certs = server.certificate
    try:
        yield xmpp
    finally:
        await cleaned_up(xmpp)


async def start(xmpp: Any, *address: object) -> None:
    """Connect (a client needs host and port) and wait for the session."""
    session = happened(xmpp, "session_start")
    xmpp.connect(*address)
    await asyncio.wait_for(session, CONNECT_TIMEOUT)


def happened(xmpp: Any, event: str) -> asyncio.Future[Any]:
    """A future of the next event of that name."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def note(data: Any) -> None:
        if not future.done():
            future.set_result(data)

    xmpp.add_event_handler(event, note, disposable=True)
    return future


async def cleaned_up(xmpp: Any) -> None:
    """End everything that slixmpp has begun."""
    handlers(xmpp).pop("disconnected", None)  # those that would connect again
    xmpp.cancel_connection_attempt()
    if xmpp.transport is not None:
        gone = happened(xmpp, "disconnected")
        xmpp.abort()
        await asyncio.wait_for(gone, CONNECT_TIMEOUT)
    for handle in xmpp.scheduled_events.values():
        handle.cancel()
    if xmpp._run_out_filters is not None:
        xmpp._run_out_filters.cancel()
        await asyncio.wait([xmpp._run_out_filters])


def handlers(xmpp: Any) -> dict[str, Any]:
    """The private table of event handlers."""
    table: dict[str, Any] = xmpp._XMLStream__event_handlers
    return table


def stanza_handlers(xmpp: Any) -> list[Any]:
    """The private list of what every incoming stanza is compared with."""
    found: list[Any] = xmpp._XMLStream__handlers
    return found


def request(xmpp: Any, kind: str, to: str, inner: str) -> Any:
    """An IQ with the given content, as slixmpp sends it."""
    iq = xmpp.make_iq(id=xmpp.new_id(), ifrom=xmpp.boundjid, ito=to, itype=kind)
    iq.append(ET.fromstring(inner))
    return iq
