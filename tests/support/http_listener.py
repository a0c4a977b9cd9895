"""A listener with a few routes of its own, for tests of what every route gets."""

from __future__ import annotations

from xmppbus.errors import Code, Refused
from xmppbus.options import HttpOptions
from xmppbus.web import Answer, Request, Web

ON_LOOPBACK = HttpOptions(listen="127.0.0.1:0")


async def healthy() -> str:
    """It accepts."""
    return ""


async def echo(request: Request) -> Answer:
    """The body comes back."""
    return Answer(200, await request.body())


async def refuse(_: Request) -> Answer:
    """Full."""
    raise Refused(Code.FULL, "no room", retry_after=1.0)


async def crash(_: Request) -> Answer:
    """A bug."""
    raise ZeroDivisionError("secret-in-a-variable")


async def variable(request: Request) -> Answer:
    """What the path and the query were."""
    return Answer(200, f"{request.variable}|{request.query_text}".encode())


def listener(options: HttpOptions = ON_LOOPBACK) -> Web:
    """One with a few routes."""
    web = Web(options, healthy)
    web.route("POST", "/echo", echo)
    web.route("POST", "/refuse", refuse)
    web.route("GET", "/crash", crash)
    web.route("GET", "/of/{what}", variable)
    return web
