"""GET /v1/status: how the house stands, as `xmppbus status --json` says it, and the same in a few plain words.

Whoever looks at a page must be able to say whether all is well; and if not, why, and what to do about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, Refused, condition
from xmppbus.house import House
from xmppbus.people.durations import lasting
from xmppbus.people.stream_advice import STREAM_ADVICE
from xmppbus.web import Answer, Request, Web, json_answer

_LIMITED = ("alive", "accepting", "state", "since")


class Said(NamedTuple):
    """The state of the house in plain words: what, why, and what to do; empty where there is nothing to say."""

    headline: str
    reason: str = ""
    advice: str = ""


class Health:
    """Adds its route. However many pages ask, the house is looked at once in a while."""

    def __init__(self, house: House, web: Web) -> None:
        self._house = house
        self._lock = asyncio.Lock()
        self._looked = float("-inf")
        self._found: dict[str, Any] = {}
        web.route("GET", "/v1/status", self.get, "read")

    async def get(self, request: Request) -> Answer:
        """All of it; for a token that may not read every type only the state, for reasons name hosts and people."""
        if request.query_text:
            raise Refused(Code.USAGE, "no query is taken here")
        found = await self._status()
        words = said(found)
        if request.token is not None and ("read", "#") not in request.token.scopes:
            return json_answer(
                200, {**{name: found[name] for name in _LIMITED}, "said": Said(words.headline)._asdict()}
            )
        return json_answer(200, {**found, "said": words._asdict()})

    async def _status(self) -> Mapping[str, Any]:
        async with self._lock:
            now = self._house.ticks()
            if now - self._looked >= limits.STATUS_KEPT_SECONDS:
                self._found = await self._house.status()
                self._looked = now
            return self._found


def said(status: Mapping[str, Any]) -> Said:
    """What a status means for who looks at it."""
    match status["state"]:
        case "refusing":
            return _refusing(status["journal"])
        case "down":
            return _down(status)
        case "behind":
            return _behind(status)
    dead = status["journal"]["dead"]
    if dead:
        why = "The other side refused them because of what is in them; everything else is delivered."
        return Said(_many(dead, "delivery is dead", "deliveries are dead"), why, "`xmppbus dead list` shows them.")
    return Said("The bus is well")


def _refusing(journal: Mapping[str, Any]) -> Said:
    reason = str(journal["reason"]) or "The daemon is stopping."
    return Said("No event is accepted", reason, "Senders keep theirs and try again. `xmppbus status` says more.")


def _down(status: Mapping[str, Any]) -> Said:
    waiting = _many(status["journal"]["waiting"], "delivery waits", "deliveries wait")
    kept = f"Events are accepted and kept; {waiting}."
    stream = status["xmpp"]
    if stream and stream["state"] != "up":
        why = str(stream["reason"]) or f"the stream is {stream['state']}"
        return Said(
            "The XMPP server is away", f"{why[0].upper()}{why[1:]}. {kept}", STREAM_ADVICE.get(stream["state"], "")
        )
    parts = [f"{name}: {each.get('reason') or each['state']}" for name, each in _not_up(status)]
    return Said("Not everything can be delivered", f"{'; '.join(parts)}. {kept}", "`xmppbus status` says more.")


def _not_up(status: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((name, each) for name, each in status["outputs"].items() if each["state"] != "up")


def _behind(status: Mapping[str, Any]) -> Said:
    stopped = status["stopped"]
    if stopped:
        first = stopped[0]
        more = f", and {len(stopped) - 1:,} more" if len(stopped) > 1 else ""
        why = f"{first['output']}:{first['place']} takes nothing: {first['text'] or first['condition']}{more}."
        return Said("Some places take nothing", why, condition(first["condition"]).advice)
    oldest = max((each.get("oldest_seconds") or 0 for each in status["outputs"].values()), default=0)
    waiting = _many(status["journal"]["waiting"], "delivery waits", "deliveries wait")
    return Said("Behind", f"{waiting}, the oldest for {lasting(oldest)}.", "It works them off by itself.")


def _many(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"
