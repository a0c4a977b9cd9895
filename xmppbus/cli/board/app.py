"""The board itself: where its parts stand, and what its keys do."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Footer, Static

from xmppbus import limits
from xmppbus.cli.board.calling import AwayError, Said, ask
from xmppbus.cli.board.following import Following, RefusedError, incidents, status
from xmppbus.cli.board.kept import Line, Lines, Rate, shown, sparkline, with_days
from xmppbus.cli.board.parts import STYLES, Feed, Incidents, Standing, severity_style, state_words
from xmppbus.cli.board.screens import HELP, Question, Text
from xmppbus.fields import SEVERITIES
from xmppbus.people.durations import ago
from xmppbus.render import plain
from xmppbus.route import severity_matches, topic_matches

_NARROWEST_WITH_BARS = 60  # columns; below that the state of the house needs them


@dataclass(frozen=True)
class Wanted:
    """What was typed."""

    patterns: tuple[str, ...] = ()
    severity: str = SEVERITIES[0]
    since: str | None = None
    zone: tzinfo | None = None


class Board(App[int]):
    """A terminal in a corner. Its result is the exit code."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #top, #message { height: 1; }
    #standing { height: auto; max-height: 12; }
    #body { layout: vertical; height: 1fr; }
    #side { height: auto; max-height: 40%; }
    Incidents { height: auto; max-height: 12; border-top: solid ansi_blue; }
    Feed { height: 1fr; border-top: solid ansi_blue; }
    Incidents:focus, Feed:focus { border-top: heavy ansi_bright_blue; }
    .-wide #body { layout: horizontal; }
    .-wide #side { width: 2fr; height: 1fr; max-height: 100%; margin-right: 1; }
    .-wide Incidents { height: 1fr; max-height: 100%; }
    .-wide Feed { width: 3fr; }
    Feed, Incidents, Static { text-wrap: nowrap; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (140, "-wide")]  # noqa: RUF012  # as Textual has annotated it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "act('ack')", "Acknowledge"),
        Binding("u", "act('unack')", "Take back", show=False),
        Binding("r", "act('resolve')", "Resolve"),
        Binding("s", "severity(1)", "Severity"),
        Binding("S", "severity(-1)", show=False),
        Binding("tab", "focus_next", "Other list"),
        Binding("question_mark,f1", "help", "Help"),
        Binding("q", "leave", "Quit"),
        Binding("ctrl+c,ctrl+q", "leave", show=False, priority=True),
    ]

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.wanted = wanted
        self.severity = wanted.severity
        self._lines = Lines()
        self._rate = Rate()
        self._following = Following(wanted.patterns, wanted.since)
        self._status: Mapping[str, Any] | None = None
        self._incidents: list[Mapping[str, Any]] = []
        self._no_incidents = ""  # why this bus keeps none
        self._away: tuple[str, datetime] | None = ("looking for the daemon", datetime.now(UTC))
        self._look = asyncio.Event()
        self._changed = True

    def compose(self) -> ComposeResult:
        """As Textual says."""
        yield Static(id="top", markup=False)
        yield Standing(id="standing", markup=False)
        with Container(id="body"):
            with Vertical(id="side"):
                yield Incidents(id="incidents", empty="nothing fires", newest_last=False)
            yield Feed(id="feed", empty="nothing has happened yet", newest_last=True)
        yield Static(id="message", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """It lives from now on."""
        self.query_one(Feed).zone = self.wanted.zone
        self.query_one(Incidents).border_title = "incidents"
        self.query_one(Feed).focus()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, partial(self.exit, 0))
        self.run_worker(self._follow(), exit_on_error=True)
        self.run_worker(self._look_around(), exit_on_error=True)
        self.set_interval(limits.WATCH_DRAW_SECONDS, self._draw)
        self.set_interval(1.0, self._tick)

    # --- what it learns -----------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        try:
            await self._following.events(self._take, self._up, self._gone)
        except RefusedError as error:
            self.exit(error.code, message=Content(f"xmppbus: {shown(plain(str(error)))}"))

    async def _look_around(self) -> None:
        """How things stand, every so often, and at once after something has changed."""
        while True:
            self._look.clear()
            with contextlib.suppress(AwayError, TimeoutError, OSError, RefusedError):
                self._status = await status()
                self._incidents, self._no_incidents = await incidents()
                self._changed = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), limits.WATCH_STATUS_SECONDS)

    def _take(self, line: Line) -> None:
        self._lines.add(line)
        self._rate.add(line.accepted)
        self._changed = True
        if line.key:
            self._look.set()

    def _up(self, *, anew: bool) -> None:
        if anew:
            self._lines.clear()
            self.query_one(Feed).chosen = None
            self.say("the daemon is back with another journal: this begins anew", "yellow")
        elif self._away is not None and self._status is not None:
            self.say(f"the daemon is back after {ago(self._away[1], datetime.now(UTC))}; nothing is missing", "green")
        self._away = None
        self._look.set()
        self._changed = True

    def _gone(self, reason: str) -> None:
        self._away = (reason, self._away[1] if self._away else datetime.now(UTC))
        self._changed = True

    # --- what it shows ------------------------------------------------------------------------------------------------

    def say(self, text: str, style: str = "") -> None:
        """A word at the bottom, until the next one."""
        self.query_one("#message", Static).update(Content.styled(shown(text), STYLES.get(style, "")))

    def _tick(self) -> None:
        self._changed = True  # ages and the rate change by themselves

    def _draw(self) -> None:
        if not self._changed or len(self.screen_stack) > 1:
            return
        self._changed = False
        now = datetime.now(UTC)
        feed, listed = self.query_one(Feed), self.query_one(Incidents)
        feed.show(with_days(self._lines.at_least(self.severity), now.astimezone(feed.zone).date(), feed.zone))
        listed.now = now
        listed.empty = "none are kept: the bus has no bot" if self._no_incidents else "nothing fires"
        listed.show([each for each in self._incidents if self._is_wanted(each)])
        standing = self.query_one(Standing)
        if self._away:
            standing.update(Content.styled(shown(self._away[0]), "ansi_red"))
        else:
            standing.show(self._status, wide=self.screen.has_class("-wide"))
        self.query_one("#top", Static).update(self._top(now))

    def _top(self, now: datetime) -> Content:
        width = self.size.width
        clock = now.astimezone(self.wanted.zone).strftime("%H:%M:%S")
        if self._away:
            words = Content.styled(f" AWAY for {ago(self._away[1], now)}, trying again ", "reverse bold ansi_red")
        else:
            words = state_words(str(self._status["state"]) if self._status else "connecting")
        head = Content.assemble(("xmppbus", "bold"), "  ", words, "  ")
        if self.severity != SEVERITIES[0]:
            head = head.append_text(f"≥{self.severity}  ", severity_style(self.severity))
        head = head.append(" ".join(self.wanted.patterns) or "#")
        bars = sparkline(self._rate.counts(now))[-(width // 3) :] if width >= _NARROWEST_WITH_BARS else ""
        rate = f"{self._rate.a_minute(now):,}/min {bars}  {clock}"
        return (
            head.truncate(max(0, width - len(rate) - 1), ellipsis=True, pad=True)
            + " "
            + Content.styled(rate, STYLES["cyan"])
        )

    def _is_wanted(self, incident: Mapping[str, Any]) -> bool:
        patterns: Iterable[str] = self.wanted.patterns or ("#",)
        severe = severity_matches(f">={self.severity}", incident["severity"])
        return severe and any(topic_matches(each, incident["type"]) for each in patterns)

    # --- what its keys do ---------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """End it."""
        self.exit(0)

    def action_help(self) -> None:
        """What the keys do."""
        self.push_screen(Text("Keys", HELP))

    def action_severity(self, by: int) -> None:
        """Show only what is at least so severe."""
        self.severity = SEVERITIES[(SEVERITIES.index(self.severity) + by) % len(SEVERITIES)]
        self._changed = True

    def action_act(self, command: str) -> None:
        """Acknowledge, take back, resolve: the chosen incident, or the one that the chosen event belongs to."""
        key = self._chosen_key()
        if key is None:
            self.say(self._no_incidents or "choose an incident first: Tab to its list, then ↑ and ↓", "yellow")
        elif command == "resolve":
            sure = Question(f"Resolve {shown(plain(key))}? It is over then for everybody, until it fires again.")
            self.push_screen(sure, lambda yes: self._begin_acting(command, key) if yes else None)
        else:
            self._begin_acting(command, key)

    def _chosen_key(self) -> str | None:
        listed, feed = self.query_one(Incidents), self.query_one(Feed)
        if feed.has_focus and isinstance(line := feed.chosen_item(), Line):
            return line.key or None
        item = listed.chosen_item()
        if item is None and len(listed.items) == 1:
            item = listed.items[0]
        return None if item is None else str(item["key"])

    def _begin_acting(self, command: str, key: str) -> None:
        self.run_worker(self._act(command, key))

    async def _act(self, command: str, key: str) -> None:
        said = await self._asked(command, "--", key)
        if said is not None:
            text = said.err or " ".join(said.out.decode(errors="replace").split())
            self.say(plain(text), "red" if said.code else "green")
        self._look.set()

    def on_rows_opened(self, message: Feed.Opened) -> None:
        """All of an event, or of what an incident began with."""
        item = message.item
        name, id_ = (item.text, item.id) if isinstance(item, Line) else (str(item["key"]), str(item["episode"]))
        self.run_worker(self._open(name, id_))

    async def _open(self, name: str, id_: str) -> None:
        said = await self._asked("show", id_)
        if said is not None:
            self.push_screen(Text(shown(plain(name)), plain(said.out.decode(errors="replace") or said.err)))

    async def _asked(self, *arguments: str) -> Said | None:
        try:
            return await ask(*arguments, width=max(40, self.size.width - 6))
        except (AwayError, TimeoutError, OSError) as error:
            self.say(str(error) or "the daemon does not answer; try again in a moment", "red")
            return None
