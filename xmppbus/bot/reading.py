"""One argument's text to its value, for each kind of argument. Pure; raises `Unusable` with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from xmppbus import limits
from xmppbus.bot.command import Kind, Unusable
from xmppbus.fields import SEVERITIES
from xmppbus.people import durations
from xmppbus.people.addresses import bare_jid
from xmppbus.people.catalogue import _
from xmppbus.people.model import Quiet

_PATTERN = re.compile(r"(?:[A-Za-z0-9_-]+|\*|#)(?:\.(?:[A-Za-z0-9_-]+|\*|#))*")
_TYPE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_EVENT = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
_HOURS = re.compile(r"([0-9]{1,2})(?:[:.]([0-9]{2}))?[-–—]([0-9]{1,2})(?:[:.]([0-9]{2}))?")
_LONGEST = timedelta(days=366)
_SHOWN = 40


class Way(NamedTuple):
    """How a subscriber wants to be told: every event at once, gathered in digests, and quiet at certain hours."""

    digest_seconds: int = 0
    digest_events: int = 0
    quiet: Quiet | None = None


def word(text: str) -> str:
    """One word, or several that were in quotes."""
    return _bounded(text)


def pattern(text: str) -> str:
    """`user.*`, `#`."""
    if not _PATTERN.fullmatch(_bounded(text)):
        raise Unusable(
            _(
                "`{text}` is no pattern: write words joined by dots, `*` for one word, `#` for any number of them,"
                " such as `disk.#`."
            ).format(text=_shown(text))
        )
    return text


def event_type(text: str) -> str:
    """An event's type."""
    if not _TYPE.fullmatch(text) or len(text) > limits.TYPE_CHARACTERS:
        raise Unusable(
            _("`{text}` is no type: write words joined by dots, such as `disk.full`.").format(text=_shown(text))
        )
    return text


def severity(text: str) -> str:
    """A severity: for who listens, that or worse."""
    found = text.casefold().removeprefix(">=").removesuffix("+").strip()
    if found not in SEVERITIES:
        choice = ", ".join(SEVERITIES)
        raise Unusable(_("`{text}` is no severity; they are: {choice}.").format(text=_shown(text), choice=choice))
    return found


def number(text: str) -> int:
    """A whole number, from 1."""
    digits = text.removeprefix("#")
    if not (digits.isdecimal() and digits.isascii() and len(digits) <= 18 and int(digits) > 0):
        raise Unusable(_("`{text}` is no number: write a whole one, from 1.").format(text=_shown(text)))
    return int(digits)


def duration(text: str) -> timedelta:
    """`15m`, `2h`, `1d`: more than nothing, at most a year."""
    found = durations.duration(text.casefold())
    if found is None or not timedelta(seconds=1) <= found <= _LONGEST:
        raise Unusable(
            _("`{text}` is no time: write a number and s, m, h or d, such as `15m`; at most a year.").format(
                text=_shown(text)
            )
        )
    return found


def event(text: str) -> str:
    """An item id, or its first characters: at least four."""
    found = text.casefold()
    if not _EVENT.fullmatch(found):
        raise Unusable(
            _("`{text}` is no event's id: `last` shows how they begin; four characters do.").format(text=_shown(text))
        )
    return found


def jid(text: str) -> str:
    """A bare JID with an `@`, prepared; a link (`xmpp:romeo@example.org`) will do."""
    try:
        found = bare_jid(text.removeprefix("xmpp:").partition("?")[0])
    except ValueError:
        found = ""
    if "@" not in found:
        raise Unusable(_("`{text}` is no JID: write one such as romeo@example.org.").format(text=_shown(text)))
    return found


def way(text: str) -> Way:
    """`every`, `digest 15m`, `digest 15m 20` (or when there are 20), `quiet 22:00-07:00 [ZONE] [but SEVERITY]`."""
    left = text.split()
    found = Way()
    while left:
        before = len(" ".join(left))
        first = left.pop(0).casefold()
        if first not in ("every", "digest", "quiet"):
            said = _("`{text}` is neither `every`, nor `digest 15m`, nor `quiet 22:00-07:00`.")
            raise Unusable(said.format(text=_shown(first)), before)
        try:
            if first == "digest":
                found = _digest(found, left)
            elif first == "quiet":
                found = found._replace(quiet=_quiet(left))
        except Unusable as error:
            raise Unusable(str(error), len(" ".join(left))) from None
    return found


def _digest(found: Way, left: list[str]) -> Way:
    if not left:
        raise Unusable(_("`digest` wants to know how long to gather: `digest 15m`."))
    seconds = round(duration(left.pop(0)).total_seconds())
    events = number(left.pop(0)) if left and left[0].isdecimal() else 0
    return found._replace(digest_seconds=seconds, digest_events=events)


def _quiet(left: list[str]) -> Quiet:
    hours = _hours(left)
    if hours is None:
        raise Unusable(_("`quiet` wants to know from when to when: `quiet 22:00-07:00`."))
    start, end = _minutes(hours[1], hours[2]), _minutes(hours[3], hours[4])
    zone = ""
    if left and left[0].casefold() not in ("every", "digest", "quiet", "but"):
        zone = _zone(left.pop(0))
    breaks_through = "critical"
    if left and left[0].casefold() == "but":
        left.pop(0)
        if not left:
            raise Unusable(_("`but` wants a severity that is said all the same: `quiet 22:00-07:00 but error`."))
        breaks_through = severity(left.pop(0))
    return Quiet(start=start, end=end, zone=zone, breaks_through=breaks_through)


def _hours(left: list[str]) -> re.Match[str] | None:
    """Takes `22:00-07:00`, and with blanks `22:00 - 07:00`; else the next word."""
    for count in range(1, 4):
        found = _HOURS.fullmatch("".join(left[:count]))
        if found:
            del left[:count]
            return found
    del left[:1]
    return None


def _minutes(hours: str, minutes: str | None) -> int:
    found = int(hours) * 60 + int(minutes or 0)
    if int(hours) > 24 or int(minutes or 0) > 59 or found > 24 * 60:
        raise Unusable(_("`{text}` is no time of day.").format(text=f"{hours}:{minutes or '00'}"))
    return found % (24 * 60)


def _zone(text: str) -> str:
    try:
        return str(ZoneInfo(text))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unusable(
            _("No time zone is called `{text}`; names are like `Europe/Rome`.").format(text=_shown(text))
        ) from None


def _bounded(text: str) -> str:
    if len(text) > limits.NAME_CHARACTERS:
        raise Unusable(_("That is longer than {most} characters.").format(most=limits.NAME_CHARACTERS))
    return text


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


READERS: Mapping[Kind, Callable[[str], Any]] = {
    Kind.WORD: word,
    Kind.TEXT: str,
    Kind.PATTERN: pattern,
    Kind.TYPE: event_type,
    Kind.SEVERITY: severity,
    Kind.NUMBER: number,
    Kind.DURATION: duration,
    Kind.EVENT: event,
    Kind.KEY: word,
    Kind.JID: jid,
    Kind.WAY: way,
    Kind.COMMAND: lambda text: _bounded(text).casefold().lstrip("/"),
}
