"""The parts of the board: what happens, what fires, how the house stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from textual.content import Content
from textual.widgets import Static

from xmppbus.cli.board.kept import Day, Line, shown, waiting
from xmppbus.cli.board.rows import Rows
from xmppbus.cli.desk import SEVERITY_STYLES
from xmppbus.cli.status import STATES
from xmppbus.people.durations import ago
from xmppbus.render import MARKS, plain

STYLES = {
    "dim": "dim",
    "red": "ansi_red",
    "green": "ansi_green",
    "yellow": "ansi_yellow",
    "cyan": "ansi_cyan",
    "alarm": "bold ansi_bright_red",
}
"""The command line's styles in the terminal's own colours: they are right on any background."""

_STATE_STYLES = {"up": STYLES["green"], "behind": STYLES["yellow"]}
_STATUS_STYLES = {"firing": "bold", "acknowledged": "", "resolved": "dim"}
_WHEN = {"firing": "opened", "acknowledged": "acknowledged", "resolved": "resolved"}
_WIDEST_KEY = 30


def severity_style(severity: str) -> str:
    """The colour of a severity."""
    return STYLES[SEVERITY_STYLES.get(severity, "cyan")]


class Feed(Rows[Line | Day]):
    """What happens; the newest at the bottom."""

    zone: tzinfo | None = None

    def name_of(self, item: Line | Day) -> int | None:
        """Its sequence."""
        return None if isinstance(item, Day) else item.sequence

    def line(self, item: Line | Day) -> Content:
        """`12:00:00 ▲ disk.full  / is 91 % full  (db1)`."""
        if isinstance(item, Day):
            return Content.styled(f"── {item.day.strftime('%A, %d %B %Y')} ──", "dim")
        clock = item.accepted.astimezone(self.zone).strftime("%H:%M:%S")
        style = severity_style(item.severity)
        what, gap, said = item.text.partition(" ")
        return Content.assemble(
            (clock, "dim"), " ", (MARKS[item.severity], style), " ", (what, f"bold {style}"), gap, said
        )


class Incidents(Rows[Mapping[str, Any]]):
    """What fires, what somebody has; what changed last comes first."""

    now: datetime

    def name_of(self, item: Mapping[str, Any]) -> str:
        """Its key."""
        return str(item["key"])

    def line(self, item: Mapping[str, Any]) -> Content:
        """`▲ firing        3 min  db1:/var  /var is 91 % full`."""
        style = severity_style(item["severity"])
        status = str(item["status"])
        since = item.get(_WHEN.get(status, "opened")) or item["opened"]
        words = [shown(plain(item["summary"])) or str(item["type"])]
        words += [f"×{item['count']}"] if item["count"] > 1 else []
        words += ["flapping"] if item["flapping"] else []
        words += [f"by {shown(plain(item['by']))}"] if item["by"] else []
        return Content.assemble(
            (MARKS.get(item["severity"], "•"), style),
            " ",
            (f"{status:<12}", _STATUS_STYLES.get(status, "")),
            (f"{ago(datetime.fromisoformat(since), self.now):>7}  ", "dim"),
            (shown(plain(item["key"]))[:_WIDEST_KEY], f"bold {style}"),
            "  ",
            "  ".join(words),
        )


class Standing(Static):
    """How the house stands: a line on a small screen, on a large one a line for each way out that is not well."""

    def show(self, status: Mapping[str, Any] | None, *, wide: bool) -> None:
        """This is how. None: that is not known."""
        if status is None:
            self.update(Content(""))
            return
        found = waiting(status)
        names = [name for name, state, words in found if state == "up" and not words]
        well = [Content.assemble(", ".join(names), (" up", STYLES["green"]))] if names else []
        troubled = [
            Content.assemble((name, "bold"), " ", (state, _STATE_STYLES.get(state, STYLES["red"])), f" {shown(words)}")
            for name, state, words in found
            if state != "up" or words
        ]
        said = [self._summary(status)]
        lines = [_joined([*said, *well]), *troubled] if wide else [_joined([*said, *troubled, *well])]
        width = self.size.width
        self.update(Content("\n").join(line.truncate(width, ellipsis=True) for line in lines))

    def _summary(self, status: Mapping[str, Any]) -> Content:
        journal = status["journal"]
        parts = [Content(f"{journal['waiting']:,} waiting" if journal["waiting"] else "nothing waits")]
        if journal["dead"]:
            parts.append(Content.styled(f"{journal['dead']:,} dead (`xmppbus dead list`)", STYLES["red"]))
        if status["stopped"]:
            parts.append(Content.styled(f"{len(status['stopped'])} stopped (`xmppbus status`)", STYLES["red"]))
        if not journal["accepting"]:
            parts.append(Content.styled(f"accepts nothing: {shown(journal['reason'])}", STYLES["alarm"]))
        parts.append(Content.styled(f"{journal['entries']:,} events kept", "dim"))
        return _joined(parts)


def _joined(parts: Sequence[Content]) -> Content:
    return Content(" · ").join(parts)


def state_words(state: str) -> Content:
    """`● up`."""
    style, word, _ = STATES.get(state, ("red", state, ""))
    return Content.assemble(("●", STYLES[style]), " ", (word, "bold"))
