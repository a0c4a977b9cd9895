"""Incidents over HTTP: how they stand, and `POST /v1/incidents/KEY/ack`, `/unack` and `/resolve`.

A part of the input `events`. `docs/reference/http.md` describes it for people, `openapi.yaml` for programs.
"""

from __future__ import annotations

import re
from functools import partial

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.fields import STATUSES, check, decode_fields
from xmppbus.house import House, acting_of, people_by_now
from xmppbus.people.acting import OPEN
from xmppbus.people.incidents import ACKNOWLEDGED, RESOLVED, UNACKNOWLEDGED
from xmppbus.people.model import Incident, Status
from xmppbus.people.shown import incident_json, standing_json, too_late
from xmppbus.web import Answer, Request, Web, check_json, json_answer, query_fields

LIMIT = 100
VIA = "http"
JSON = "application/json"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class Incidents:
    """Adds its routes to the listener."""

    def __init__(self, house: House, web: Web) -> None:
        self._house = house
        web.route("GET", "/v1/incidents", self.list, "read")
        web.route("GET", "/v1/incidents/{key}", self.get, "read")
        for word, type_ in (("ack", ACKNOWLEDGED), ("unack", UNACKNOWLEDGED), ("resolve", RESOLVED)):
            web.route("POST", f"/v1/incidents/{{key}}/{word}", partial(self.act, type_), "publish")

    async def list(self, request: Request) -> Answer:
        """Those that stand as `status` says (open ones without it), newest first, as far as the token may read them."""
        statuses, limit = _wanted(query_fields(request.query_text))
        found = await (await people_by_now(self._house)).incidents(statuses or OPEN, limit)
        token = request.token
        return json_answer(
            200, [incident_json(each) for each in found if token is None or token.may("read", each.type)]
        )

    async def get(self, request: Request) -> Answer:
        """One, by its key."""
        _no_query(request)
        incident = await self._found(request.variable)
        request.allow("read", incident.type)
        return json_answer(200, incident_json(incident))

    async def act(self, type_: str, request: Request) -> Answer:
        """Publish an event of that type about it, in the name of whom the body says, else of the token."""
        request.allow("publish", type_)
        by = _by(request, await request.body())
        key = (await self._found(request.variable)).key
        acting = acting_of(self._house)
        act = {
            ACKNOWLEDGED: acting.acknowledge,
            UNACKNOWLEDGED: acting.unacknowledge,
            RESOLVED: acting.resolve,
        }[type_]
        acted = await act(key, by=by, via=VIA)
        if not acted.first:
            raise Refused(Code.CONFLICT, too_late(acted, self._house.clock()))
        return json_answer(200, standing_json(acted.incident))

    async def _found(self, key: str) -> Incident:
        incident = await (await people_by_now(self._house)).incident(key)
        if incident is None:
            raise Refused(Code.NOT_FOUND, "no incident has this key; GET /v1/incidents lists those that are open")
        return incident


def _by(request: Request, body: bytes) -> str:
    """Who acts. Raises `Refused` for a body that says something else."""
    _no_query(request)
    name = request.token.name if request.token else VIA
    if not body:
        return name
    media_type = request.headers.get("Content-Type", JSON).partition(";")[0].strip().lower()
    if media_type != JSON:
        raise Refused(Code.MEDIA_TYPE, f"the body is {JSON}, or there is none; not {media_type[:64]!r}")
    fields = decode_fields(check_json(body))
    if not set(fields) <= {"by"}:
        raise Refused(Code.INVALID, 'the body is {"by": "WHO"}, or there is none')
    given = fields.get("by", name)
    try:  # as an event's source is a name: one line of visible text that is not too long
        return str(check({"type": "a", "source": "" if given is None else given})["source"])
    except Refused as refusal:
        raise Refused(refusal.code, refusal.message, field="by") from None


def _wanted(query: list[tuple[str, str]]) -> tuple[list[Status], int]:
    """`status`, as often as it is given, and `limit`. Raises `Refused` (usage)."""
    statuses, limit = [], LIMIT
    for name, value in query:
        if name == "status" and value in STATUSES:
            statuses.append(Status(value))
        elif (
            name == "limit" and value.isascii() and value.isdecimal() and 1 <= int(value[:9]) <= limits.INCIDENTS_LISTED
        ):
            limit = int(value)
        else:
            most = limits.INCIDENTS_LISTED
            raise Refused(Code.USAGE, f"a query is status={'|'.join(STATUSES)} and limit=1..{most}, not {name[:64]!r}")
    return statuses, limit


def _no_query(request: Request) -> None:
    if request.query_text:
        raise Refused(Code.USAGE, "no query is taken here")
