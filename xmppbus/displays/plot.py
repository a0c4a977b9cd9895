"""`GET /v1/plot/PATTERN.png`, `.svg` and `.json`: a number in events over time, as a picture."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from typing import Any
from urllib.parse import parse_qsl

from xmppbus import limits
from xmppbus.displays.scopes import may_read_all
from xmppbus.errors import Code, Refused
from xmppbus.house import House, series_of
from xmppbus.plots.asking import SCALE, Question
from xmppbus.plots.chart import chart
from xmppbus.web import Answer, Request, Web

TYPES = {"png": "image/png", "svg": "image/svg+xml; charset=utf-8", "json": "application/json"}
TEXTS = ("field", "since", "by", "title", "unit", "theme")
NUMBERS = ("width", "height")


class Plots:
    """Adds its route to the listener."""

    def __init__(self, house: House, web: Web) -> None:
        self._house = house
        self._drawn: OrderedDict[str, bytes] = OrderedDict()  # by ETag: a page that is reloaded is not drawn again
        self._reading = asyncio.Semaphore(limits.PLOTS_AT_ONCE)
        self._waiting = 0
        web.route("GET", "/v1/plot/{plot}", self.get, "read")

    async def get(self, request: Request) -> Answer:
        """The picture, or 304 to whoever has it already. Raises `Refused`."""
        pattern, _, form = request.variable.rpartition(".")
        if form not in TYPES or not pattern:
            message = "the path ends with the form: /v1/plot/http.latency.png, .svg or .json; write # in it as %23"
            raise Refused(Code.NOT_FOUND, message)
        question = asked(pattern, request.query_text)
        if not may_read_all(request.token, [question.pattern]):
            raise Refused(Code.FORBIDDEN, f"this token may not read all of {question.pattern}")
        spec = await self._chart(question)
        encoded = json.dumps(spec, ensure_ascii=False, separators=(",", ":")).encode()
        tag = f'"{hashlib.blake2b(encoded + form.encode(), digest_size=12).hexdigest()}"'
        headers = _headers(form, tag)
        if tag in (each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")):
            return Answer(304, b"", headers)
        return Answer(200, encoded if form == "json" else await self._picture(spec, form, tag), headers)

    async def _chart(self, question: Question) -> dict[str, Any]:
        if self._waiting >= limits.PLOTS_WAITING:
            raise Refused(Code.TOO_MANY, "too many plots are being made; try again", retry_after=5)
        self._waiting += 1
        try:
            async with self._reading:
                series = await series_of(self._house, question)
        finally:
            self._waiting -= 1
        return chart(question.look(series), series)

    async def _picture(self, spec: dict[str, Any], form: str, tag: str) -> bytes:
        found = self._drawn.get(tag) or await self._house.drawing.picture(spec, form, SCALE)
        self._drawn[tag] = found
        self._drawn.move_to_end(tag)
        if len(self._drawn) > limits.PLOTS_KEPT:
            self._drawn.popitem(last=False)
        return found


def asked(pattern: str, query: str) -> Question:
    """What a path and its query want. Raises `Refused` (usage)."""
    given: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=len(TEXTS) + len(NUMBERS))
    except ValueError as error:
        raise Refused(Code.USAGE, "the query is not a few UTF-8 fields, such as ?field=data.ms&since=24h") from error
    for name, value in pairs:
        if name in given or name not in (*TEXTS, *NUMBERS):
            known = ", ".join((*TEXTS, *NUMBERS))
            raise Refused(Code.USAGE, f"a query is one each of {known}; not {name[:64]!r} twice, or anything else")
        if name in NUMBERS:
            if not (value.isascii() and value.isdecimal() and len(value) <= 5):
                raise Refused(Code.USAGE, f"the {name} is a number of pixels, not {value[:40]!r}")
            given[name] = int(value)
        elif len(value) > limits.NAME_CHARACTERS:
            raise Refused(Code.USAGE, f"{name} is longer than {limits.NAME_CHARACTERS} characters")
        else:
            given[name] = value
    if "field" not in given:
        raise Refused(Code.USAGE, "say which field: ?field=data.ms")
    return Question(pattern, **given)


def _headers(form: str, tag: str) -> bytes:
    """An SVG is a document, which a browser may open by itself: nothing in it may run, or fetch."""
    lines = [
        f"Content-Type: {TYPES[form]}",
        f"ETag: {tag}",
        f"Cache-Control: private, max-age={limits.PLOT_FRESH_SECONDS}",
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; sandbox",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()
