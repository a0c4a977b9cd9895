"""A pubsub service that misbehaves: a raw component that answers as the test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from xml.sax.saxutils import quoteattr

from tests.support.raw import component
from tests.support.raw_xml import Stanza
from tests.support.server import Server

Answering = Callable[[Stanza], str | None]
"""What stands in the result; None: nothing is ever answered."""


@asynccontextmanager
async def false_service(server: Server, answering: Answering) -> AsyncIterator[str]:
    """Its JID. Of Prosody's components one that tests do not use otherwise."""
    jid = server.component_jids[1]
    stream = await component(server.host, server.component_port, jid, server.secret)

    def answer(request: Stanza) -> str | None:
        inner = answering(request)
        if inner is None:
            return None
        to, request_id = quoteattr(request.get("from")), quoteattr(request.get("id"))
        return f"<iq type='result' id={request_id} to={to} from={quoteattr(jid)}>{inner}</iq>"

    stream.on_request = answer
    async with stream:
        yield jid
