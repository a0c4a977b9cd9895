"""Who may do what, written down a second time: a change of the product's own table is noticed, and so is a new command.

And what shows that a command was done, beside its words: each `Trace` prepares something that the command would change,
and looks whether it has.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple, cast
from uuid import uuid4

from xmppbus.errors import Refused
from xmppbus.house import House, acting_of, people_of
from xmppbus.outputs.people import ForPeople
from xmppbus.people.audience import Audience
from xmppbus.people.model import Mute, Status, Subscription
from xmppbus.route import Match

AFFILIATIONS = ("owner", "publisher", "member", "none", "outcast")

RIGHTS: dict[str, set[str]] = {
    "talk": {"owner", "publisher", "member", "none"},
    "ask": {"owner", "publisher", "member", "none"},
    "read": {"owner", "publisher", "member"},
    "subscribe": {"owner", "publisher", "member"},
    "publish": {"owner", "publisher"},
    "acknowledge": {"owner", "publisher", "member"},
    "administer": {"owner"},
}

ACTIONS: dict[str, str] = {
    "help": "talk",
    "more": "talk",
    "whoami": "talk",
    "version": "talk",
    "subscribe": "ask",
    "unsubscribe": "ask",
    "subscriptions": "ask",
    "list": "read",
    "last": "read",
    "plot": "read",
    "show": "read",
    "search": "read",
    "status": "read",
    "incidents": "read",
    "mute": "subscribe",
    "unmute": "subscribe",
    "snooze": "subscribe",
    "hold": "subscribe",
    "publish": "publish",
    "ack": "acknowledge",
    "unack": "acknowledge",
    "resolve": "acknowledge",
    "nodes": "administer",
    "retract": "administer",
    "dead": "administer",
    "who": "administer",
    "allow": "administer",
    "deny": "administer",
    "rooms": "administer",
    "join": "administer",
    "leave": "administer",
}

REFUSALS = re.compile(
    r"I don't know \S+ yet\. An owner of this bot can let you in"
    r"|You may not do this: you are (publisher|member|none) here\."
    r"|This room hides who you are, so write to me in a chat of our own\."
)

FIELDS: dict[str, dict[str, str]] = {
    "subscribe": {"pattern": "quiet.{mark}"},
    "unsubscribe": {"pattern": "quiet.{mark}"},
    "show": {"id": "{item}"},
    "plot": {"pattern": "quiet.{mark}", "field": "data.ms"},
    "search": {"words": "nothing"},
    "mute": {"pattern": "quiet.{mark}"},
    "unmute": {"what": "quiet.{mark}"},
    "snooze": {"key": "{mark}", "duration": "1h"},
    "hold": {"severity": "error"},
    "publish": {"type": "quiet.{mark}", "text": "said"},
    "ack": {"key": "{mark}"},
    "unack": {"key": "{mark}"},
    "resolve": {"key": "{mark}"},
    "retract": {"id": "{item}"},
    "allow": {"jid": "{mark}@wishes.example"},
    "deny": {"jid": "{mark}@wishes.example"},
    "join": {"room": "{mark}@nowhere.localhost"},
    "leave": {"room": "{mark}@nowhere.localhost"},
}
"""What is given to each command, by argument; in the order in which it is typed."""


def expected(command: str, affiliation: str) -> str:
    """`done`, `refused`, or, for an outcast, `silent`."""
    if affiliation == "outcast":
        return "silent"
    return "done" if affiliation in RIGHTS[ACTIONS[command]] else "refused"


def leaves_a_trace(command: str, affiliation: str, place: str = "chat") -> bool:
    """Whether it is done: a stranger may ask for a subscription, and gets none; he may end his own, but not a room's;
    and where a room hides who he is he has none."""
    concerns_others = command == "unsubscribe" and place in ("room", "hidden")
    action = "subscribe" if command == "subscribe" or concerns_others else ACTIONS[command]
    return affiliation in RIGHTS[action]


class Spot(NamedTuple):
    """Where a trace is left: a name of this cell's own, and whose subscriptions its command is about."""

    mark: str
    subject: str


class Traces:
    """What commands leave behind in a house."""

    def __init__(self, house: House, item: str) -> None:
        self.house = house
        self.people = people_of(house)
        assert house.audience is not None
        self.audience: Audience = house.audience
        self.item = item  # the id of an event that there is
        self._kinds: dict[str, tuple[Callable[[Spot], Awaitable[object]], Callable[[Spot], Awaitable[bool]]]]
        self._kinds = {
            "subscribe": (self._nothing, self._is_subscribed),
            "unsubscribe": (self._subscribed, self._is_not_subscribed),
            "mute": (self._nothing, self._is_muted),
            "unmute": (self._muted, self._is_not_muted),
            "snooze": (self._fires, self._is_snoozed),
            "hold": (self._nothing, self._holds),
            "publish": (self._nothing, self._is_published),
            "ack": (self._fires, self._is(Status.ACKNOWLEDGED)),
            "unack": (self._acknowledged, self._is(Status.FIRING)),
            "resolve": (self._fires, self._is(Status.RESOLVED)),
            "allow": (self._wished, self._is_allowed),
            "deny": (self._wished, self._is_denied),
            "join": (self._nothing, self._is_wanted_room),
        }

    async def prepare(self, command: str, mark: str, subject: str) -> dict[str, str]:
        """What the command is to change is made; the fields to give it. `subject` is whose subscriptions it is about"""
        if command in self._kinds:
            await self._kinds[command][0](Spot(mark, subject))
        known = {"mark": mark, "item": self.item}
        return {name: value.format_map(known) for name, value in FIELDS.get(command, {}).items()}

    async def done(self, command: str, mark: str, subject: str) -> bool | None:
        """Whether it has been done; None where a command leaves nothing behind."""
        return await self._kinds[command][1](Spot(mark, subject)) if command in self._kinds else None

    async def clean(self, subject: str) -> None:
        """What one has is not what the next one finds."""
        await self.audience.unsubscribe(subject)
        await self.audience.forget(subject)

    async def event(self, **fields: str) -> str:
        """An event of a stranger's; its item id, once it is folded."""
        (answer,) = await self.house.bus.accept([{"id": uuid4().hex, "type": "quiet.event", **fields}])
        assert not isinstance(answer, Refused), answer
        await cast("ForPeople", self.house.outputs["people"]).folded(answer.sequence)
        return answer.item_id

    # --- what is made -------------------------------------------------------------------------------------------------

    async def _nothing(self, spot: Spot) -> None:
        pass

    async def _subscribed(self, spot: Spot) -> None:
        wanted = Subscription(owner=spot.subject, pattern=f"quiet.{spot.mark}", created=datetime.now(UTC))
        await self.audience.subscribe(wanted)

    async def _muted(self, spot: Spot) -> None:
        await self.audience.mute(spot.subject, Mute(pattern=f"quiet.{spot.mark}"))

    async def _fires(self, spot: Spot) -> None:
        await self.event(key=spot.mark, status="firing", severity="error", summary=spot.mark)

    async def _acknowledged(self, spot: Spot) -> None:
        await self._fires(spot)
        await acting_of(self.house).acknowledge(spot.mark, by="nurse@wishes.example", via="chat")

    async def _wished(self, spot: Spot) -> None:
        await self.audience.alter(f"{spot.mark}@wishes.example", requested=f"subscribe quiet.{spot.mark}")

    # --- what is found ------------------------------------------------------------------------------------------------

    async def _is_subscribed(self, spot: Spot) -> bool:
        return f"quiet.{spot.mark}" in {each.pattern for each in self.audience.interests.of(spot.subject)}

    async def _is_not_subscribed(self, spot: Spot) -> bool:
        return not await self._is_subscribed(spot)

    async def _is_muted(self, spot: Spot) -> bool:
        return f"quiet.{spot.mark}" in {each.pattern for each in self.audience.person(spot.subject).mutes}

    async def _is_not_muted(self, spot: Spot) -> bool:
        return not await self._is_muted(spot)

    async def _is_snoozed(self, spot: Spot) -> bool:
        return spot.mark in {each.key for each in self.audience.person(spot.subject).mutes}

    async def _holds(self, spot: Spot) -> bool:
        return self.audience.person(spot.subject).hold_below == "error"

    async def _is_published(self, spot: Spot) -> bool:
        return bool(await self.people.last(1, Match(type=f"quiet.{spot.mark}")))

    def _is(self, status: Status) -> Callable[[Spot], Awaitable[bool]]:
        async def found(spot: Spot) -> bool:
            incident = await self.people.incident(spot.mark)
            assert incident is not None
            return incident.status is status

        return found

    async def _is_allowed(self, spot: Spot) -> bool:
        return bool(self.audience.interests.of(f"{spot.mark}@wishes.example"))

    async def _is_denied(self, spot: Spot) -> bool:
        return not self.audience.person(f"{spot.mark}@wishes.example").requested

    async def _is_wanted_room(self, spot: Spot) -> bool:
        assert self.house.rooms is not None
        return self.house.rooms.is_room(f"{spot.mark}@nowhere.localhost")
