"""Events over HTTP: `POST /v1/events`, `POST|PUT /v1/events/TYPE`, and what became of one: `GET /v1/events/ITEM-ID`.

`docs/reference/http.md` describes it for people, `docs/reference/openapi.yaml` for programs.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from xmppbus.errors import Code, Refused
from xmppbus.event import item_id_bytes
from xmppbus.fields import decode_fields
from xmppbus.house import House, known_now, not_found
from xmppbus.inputs.cloudevents_http import Mode, binary_event, events_of, is_object, mode_of
from xmppbus.inputs.incidents import Incidents
from xmppbus.interfaces import Accept, Accepted
from xmppbus.journal import Entry, Fate, Result
from xmppbus.people.shown import known_json
from xmppbus.plugins import Registry
from xmppbus.web import Answer, Request, Web, check_json, json_answer, query_fields

NOTICE = "no route takes this event: it is in the journal, and goes nowhere else"

_JSON = b"Content-Type: application/json\r\nLocation: /v1/events/%s\r\n"
_YES = b'{"id":"%s","sequence":%d,"result":"%s","deliveries":%d}'
_YES_BUT = b'{"id":"%s","sequence":%d,"result":"new","deliveries":0,"notice":"' + NOTICE.encode() + b'"}'


class Events:
    """The input `events`. It has no loop of its own: the listener calls it."""

    def __init__(self, house: House, web: Web) -> None:
        self._house = house
        self._accept: Accept = house.bus.accept
        self._web = web
        self._accepted = 0
        self._refused = 0
        web.route("POST", "/v1/events", self.post, "publish")
        web.route("POST", "/v1/events/{event}", self.post_typed, "publish")
        web.route("PUT", "/v1/events/{event}", self.post_typed, "publish")
        web.route("GET", "/v1/events", self.get_named, "read")
        web.route("GET", "/v1/events/{event}", self.get, "read")
        Incidents(house, web)

    async def run(self, accept: Accept) -> None:
        """Nothing: see the listener."""
        self._accept = accept
        await asyncio.Event().wait()

    def status(self) -> Mapping[str, Any]:
        """The listener's state, and how many events came."""
        return {**self._web.status(), "accepted": self._accepted, "refused": self._refused}

    # --- in -----------------------------------------------------------------------------------------------------------

    async def post(self, request: Request) -> Answer:
        """One event or many, in every mode of CloudEvents' HTTP binding, as plain JSON, or one a line."""
        headers = request.headers
        content_type = headers.get("Content-Type", "")
        mode = mode_of(content_type, headers)
        body = await request.body()
        if mode is Mode.BINARY:
            return await self._one(request, binary_event(headers.items(), request.query_text, content_type, body))
        if request.query_text:
            raise Refused(Code.USAGE, "a query is taken on /v1/events/TYPE; here the fields are in the JSON")
        if is_object(mode, body):
            return await self._one(request, decode_fields(check_json(body)))
        return await self._many(request, events_of(mode, body))

    async def post_typed(self, request: Request) -> Answer:
        """One event whose type is in the path, whose data is the body, and whose other fields are headers or query."""
        headers = request.headers
        body = await request.body()
        fields = binary_event(headers.items(), request.query_text, headers.get("Content-Type", ""), body)
        if fields.setdefault("type", request.variable) != request.variable:
            raise Refused(Code.INVALID, "differs from the one in the path", field="type")
        return await self._one(request, fields)

    async def _one(self, request: Request, fields: dict[str, Any]) -> Answer:
        request.allow_event("publish", fields)
        (answer,) = await self._accept((fields,))
        if isinstance(answer, Refused):
            self._refused += 1
            raise answer
        self._accepted += 1
        item_id = answer.item_id.encode()
        if answer.deliveries or answer.result is not Result.NEW:
            body = _YES % (item_id, answer.sequence, answer.result.encode(), answer.deliveries)
        else:
            body = _YES_BUT % (item_id, answer.sequence)
        return Answer(202 if answer.result is Result.NEW else 200, body, _JSON % item_id)

    async def _many(self, request: Request, found: Sequence[dict[str, Any] | Refused]) -> Answer:
        """One result for each event, in order; 400 only when every one was refused."""
        checked = [_permitted(request, each) for each in found]
        good = [each for each in checked if not isinstance(each, Refused)]
        answers = iter(await self._accept(good) if good else ())
        results = [each if isinstance(each, Refused) else next(answers) for each in checked]
        accepted = [each for each in results if not isinstance(each, Refused)]
        self._accepted += len(accepted)
        self._refused += len(results) - len(accepted)
        new = any(each.result is Result.NEW for each in accepted)
        status = 202 if new or not results else 200 if accepted else 400
        return json_answer(status, [result_of(each) for each in results])

    # --- out ----------------------------------------------------------------------------------------------------------

    async def get(self, request: Request) -> Answer:
        """An event by its item id, the fate of each of its deliveries, and which people got it."""
        try:
            item_id = str(uuid.UUID(request.variable))
        except ValueError:
            raise not_found(request.variable[:64]) from None
        return await self._show(request, item_id)

    async def get_named(self, request: Request) -> Answer:
        """An event by its name: `source` and `id`."""
        given = query_fields(request.query_text)
        query = dict(given)
        if set(query) != {"source", "id"} or len(given) != 2:
            raise Refused(Code.USAGE, "name one event: /v1/events?source=SOURCE&id=ID, or /v1/events/ITEM-ID")
        item_id = uuid.UUID(bytes=item_id_bytes(query["source"], query["id"]))
        return await self._show(request, str(item_id))

    async def _show(self, request: Request, item_id: str) -> Answer:
        entry = await self._house.journal.find(item_id)
        if entry is None:
            raise not_found(item_id)
        request.allow_event("read", entry.event.fields)
        fates = await self._house.journal.fates(entry.sequence)
        known = await known_now(self._house, entry)
        return json_answer(200, {**shown(entry, fates), **known_json(known)})


def _permitted(request: Request, fields: dict[str, Any] | Refused) -> dict[str, Any] | Refused:
    if request.token is None or isinstance(fields, Refused):
        return fields
    try:
        request.allow_event("publish", fields)
    except Refused as refusal:
        return refusal
    return fields


def result_of(answer: Accepted | Refused) -> dict[str, Any]:
    """What is answered for one event of several."""
    if isinstance(answer, Refused):
        return {"error": answer.as_json()}
    found = {
        "id": answer.item_id,
        "sequence": answer.sequence,
        "result": answer.result,
        "deliveries": answer.deliveries,
    }
    if answer.result is Result.NEW and not answer.deliveries:
        found["notice"] = NOTICE
    return found


def shown(entry: Entry, fates: Sequence[Fate]) -> dict[str, Any]:
    """An accepted event as JSON, with what became of it."""
    return {
        "id": entry.item_id,
        "sequence": entry.sequence,
        "accepted": entry.accepted.isoformat(),
        "event": msgspec.Raw(entry.event.encoded),
        "deliveries": [
            {
                "output": fate.output,
                "place": fate.place,
                "state": fate.state.name.lower(),
                "condition": fate.condition,
                "text": fate.text,
                "attempts": fate.attempts,
                "settled": fate.settled.isoformat() if fate.settled else None,
            }
            for fate in fates
        ],
    }


def register(registry: Registry) -> None:
    """Offer the input `events`."""
    registry.input("events", _make)


def _make(house: House, options: Mapping[str, Any]) -> Events:
    if options:
        raise ValueError("the input events has no options of its own; see `http:`")
    if house.web is None:
        raise ValueError("the input events needs the HTTP listener, which `http: null` switches off")
    return Events(house, house.web)
