"""The boards of the config: `GET /v1/displays`, what each shows, and the page that shows it on a screen.

What a board holds is read from the journal once, and then from where it was read: a hundred screens that are switched
on in the morning cost one look at what came since. `docs/howto/displays.md` is the page for people.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.displays.folding import COLUMNS, FOLDS, Fold, match_of, window_of
from xmppbus.displays.layout import landscape, portrait, rows_of
from xmppbus.displays.scopes import may_read_all
from xmppbus.displays.stream import Identity
from xmppbus.errors import Code, Refused
from xmppbus.house import House
from xmppbus.journal import Entry, Journal
from xmppbus.options import DisplayOptions, PanelOptions
from xmppbus.plots.chart import THEMES, Look, chart
from xmppbus.route import Match
from xmppbus.web import Answer, Request, Web, json_answer

_SCRIPT = (
    b"Content-Type: text/javascript; charset=utf-8\r\nCache-Control: no-cache\r\nETag: %b\r\n"
    b"Cross-Origin-Resource-Policy: same-origin\r\n"
)


class Panel(NamedTuple):
    """A panel, and what it holds."""

    options: PanelOptions
    match: Match
    fold: Fold


@dataclass
class Board:
    """What the panels of one board hold, as of a sequence."""

    display: DisplayOptions
    panels: list[Panel] = field(default_factory=list)
    sequence: int = 0
    looked: float = -limits.BOARD_KEPT_SECONDS  # when the journal was looked at last, on a clock that nobody sets
    asked: float = -limits.BOARD_KEPT_SECONDS
    since: list[datetime | None] = field(default_factory=list)  # from when a panel counts, where not from its window on
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Boards:
    """Adds its routes to the listener."""

    def __init__(self, house: House, web: Web, identity: Identity) -> None:
        self._house = house
        self._identity = identity
        self._boards: dict[str, Board] = {}
        web.route("GET", "/v1/displays", self.list, "read")
        web.route("GET", "/v1/displays/{name}", self.get, "read")
        web.route("GET", "/static/vega.js", self.vega)

    async def list(self, request: Request) -> Answer:
        """Those that the token may see."""
        _no_query(request)
        seen = [each for each in self._house.options.displays if _may_see(request, each)]
        found = [
            {"name": each.name, "title": each.title or each.name, "page": f"/display/{each.name}"} for each in seen
        ]
        return json_answer(200, {"displays": found})

    async def get(self, request: Request) -> Answer:
        """Everything that its page needs: the panels, where they are, and what they show by now."""
        _no_query(request)
        display = next((each for each in self._house.options.displays if each.name == request.variable), None)
        if display is None:
            raise Refused(Code.NOT_FOUND, "no board is called so; `displays:` in xmppbus.yaml has their names")
        if not _may_see(request, display):
            patterns = ", ".join(sorted({match_of(panel).type for panel in display.panels}))
            raise Refused(Code.FORBIDDEN, f"this board shows {patterns}, and this token may not read all of that")
        return json_answer(200, await self.shown(display), b"Cache-Control: no-store\r\n")

    async def vega(self, request: Request) -> Answer:
        """What draws charts in a browser. It comes with the extra `plots`, and is as public as any script of ours."""
        script = await self._house.drawing.bundle()
        tag = f'"{blake2b(script, digest_size=10).hexdigest()}"'
        known = tag in request.headers.get("If-None-Match", "")
        return Answer(304 if known else 200, b"" if known else script, _SCRIPT % tag.encode())

    async def shown(self, display: DisplayOptions) -> dict[str, Any]:
        """A board as of now, or of a moment ago."""
        named = {"version": self._identity.version(), "config": self._identity.config()}  # of what `display` is from
        board = self._boards.get(display.name)
        if board is None or board.display != display:
            board = self._boards[display.name] = Board(display)
        await self._bring_up_to_date(board)
        self._forget()
        return {**named, **_json(board, self._house.clock())}

    async def _bring_up_to_date(self, board: Board) -> None:
        """Take what came since; where nobody has asked for long, begin anew."""
        async with board.turn:
            ticks, asked = self._house.ticks(), board.asked
            if ticks - board.looked < limits.BOARD_FRESH_SECONDS:
                return
            board.asked = -limits.BOARD_KEPT_SECONDS  # until all of it is taken: half of it must not be taken again
            if ticks - asked >= limits.BOARD_KEPT_SECONDS:
                await _fill(board, self._house.journal, self._house.clock())
            else:
                await _follow(board, self._house.journal)
            board.looked = board.asked = self._house.ticks()

    def _forget(self) -> None:
        """Boards that have gone from the config, or that no screen has asked for lately."""
        now, named = self._house.ticks(), {each.name for each in self._house.options.displays}
        for name, board in list(self._boards.items()):
            if board.turn.locked():
                continue  # it is being read for somebody
            if name not in named or now - board.asked >= limits.BOARD_KEPT_SECONDS:
                del self._boards[name]


async def _fill(board: Board, journal: Journal, now: datetime) -> None:
    """Each panel from the journal, as far back as its window reaches and as the bound allows."""
    newest = (await journal.status()).newest
    board.panels = [Panel(each, match_of(each), FOLDS[each.kind](each)) for each in board.display.panels]
    board.since = [await _filled(panel, journal, newest, now) for panel in board.panels]
    board.sequence = newest


async def _filled(panel: Panel, journal: Journal, newest: int, now: datetime) -> datetime | None:
    """Fill one; from when on it counts where its window holds more than is read."""
    begin = await journal.sequence_at(now - timedelta(milliseconds=panel.fold.span))
    if wanted := panel.fold.newest:  # the last few are enough: no need to read the whole window
        for back in (limits.BOARD_LOOK_BACK_EVENTS, 16 * limits.BOARD_LOOK_BACK_EVENTS):
            after = max(begin, newest - back)
            entries = [entry async for entry in _between(journal, after, newest, [panel.match])]
            if len(entries) >= wanted or after == begin:
                for entry in entries:
                    panel.fold.take(entry)
                return None
    after = max(begin, newest - limits.BOARD_READ_EVENTS)
    first: Entry | None = None
    async for entry in _between(journal, after, newest, [panel.match]):
        first = first or entry
        panel.fold.take(entry)
    return first.accepted if first and after > begin and not panel.fold.newest else None


async def _follow(board: Board, journal: Journal) -> None:
    """What came since, to every panel that wants it."""
    newest = (await journal.status()).newest
    async for entry in _between(journal, board.sequence, newest, [panel.match for panel in board.panels]):
        for panel in board.panels:
            if panel.match.matches(entry.event):
                panel.fold.take(entry)
    board.sequence = newest


async def _between(journal: Journal, after: int, until: int, match: Sequence[Match]) -> AsyncIterator[Entry]:
    """Entries that match, oldest first; between two slices of them everybody else has a turn."""
    while after < until:
        entries = await journal.read(after, limits.BOARD_READ_SLICE, match)
        for entry in entries:
            if entry.sequence > until:
                return
            yield entry
        if not entries:
            return
        after = entries[-1].sequence
        await asyncio.sleep(0)


def _json(board: Board, now: datetime) -> dict[str, Any]:
    display = board.display
    places = landscape(display)
    upright = portrait(places, display.columns)
    panels = [
        {
            "kind": panel.options.kind,
            "title": panel.options.title or panel.match.type,
            "match": {name: value for name, value in panel.match._asdict().items() if value},
            "window": window_of(panel.options),
            "place": places[index],
            "portrait": upright[index],
            "since": board.since[index],
            **_of_kind(panel.options),
            "values": panel.fold.values(round(now.timestamp() * 1000)),
        }
        for index, panel in enumerate(board.panels)
    ]
    return {
        "name": display.name,
        "title": display.title or display.name,
        "theme": display.theme,
        "columns": display.columns,
        "rows": [rows_of(places), rows_of(upright)],
        "sequence": board.sequence,
        "time": round(now.timestamp() * 1000),
        "limits": _LIMITS,
        "panels": panels,
    }


_LIMITS = {
    "buckets": limits.BOARD_BUCKETS,
    "points": limits.BOARD_POINTS,
    "dots": limits.PLOT_DOTS,
    "series": limits.BOARD_SERIES,
    "keys": limits.BOARD_KEYS,
    "lines": limits.BOARD_FEED_EVENTS,
    "characters": limits.BOARD_TEXT_CHARACTERS,
}
"""The page keeps no more than we do."""


def _of_kind(options: PanelOptions) -> dict[str, Any]:
    """What only some kinds have."""
    found: dict[str, Any] = {}
    if options.kind == "chart":
        looks = {theme: Look(unit=options.unit or "", by=options.by or "", theme=theme) for theme in THEMES}
        found["specifications"] = {theme: chart(look) for theme, look in looks.items()}
    if options.kind == "table":
        found["columns"] = list(options.columns or COLUMNS)
    return {**found, "field": options.field, "by": options.by, "unit": options.unit}


def _may_see(request: Request, display: DisplayOptions) -> bool:
    return may_read_all(request.token, (match_of(panel).type for panel in display.panels))


def _no_query(request: Request) -> None:
    if request.query_text:
        raise Refused(Code.USAGE, "no query is taken here")
