"""How long: as people type it, and as they read it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

_SEQUENCE = re.compile(r"[0-9]{1,18}")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration(text: str) -> timedelta | None:
    """`90s`, `10m`, `2h`, `3d`, `1w`; None for anything else."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.replace(".", "", 1).isdecimal() or not number.isascii():
        return None
    try:
        return timedelta(seconds=float(number) * _UNITS[unit])
    except OverflowError:
        return None


def beginning(text: str, now: datetime, zone: tzinfo | None) -> int | datetime:
    """Where to begin in the journal: a sequence, after which, or a moment. Raises `ValueError` for anything else.

    `all`, `412`, `2026-01-31`, `2026-01-31T12:00` (in a zone, None is this machine's), or `24h` ago.
    """
    if text == "all":
        return 0
    if _SEQUENCE.fullmatch(text):
        return int(text)
    past = duration(text)
    try:
        if past is not None:
            return now - past
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else (moment.replace(tzinfo=zone) if zone else moment.astimezone())
    except (ValueError, OverflowError):
        message = f"{text!r} is no sequence, no time such as 2026-01-31T12:00 or 10m, and not `all`."
        raise ValueError(message) from None


def ago(moment: datetime | None, now: datetime) -> str:
    """How long it has been: `3 s`, `12 min`, `5 h`, `3 days`."""
    if moment is None:
        return ""
    return lasting((now - moment).total_seconds())


def lasting(seconds: float) -> str:
    """A duration for people, in one unit."""
    whole = timedelta(seconds=max(0.0, seconds))
    if whole < timedelta(minutes=2):
        return f"{whole.total_seconds():.0f} s"
    if whole < timedelta(hours=2):
        return f"{whole.total_seconds() / 60:.0f} min"
    if whole < timedelta(days=2):
        return f"{whole.total_seconds() / 3600:.0f} h"
    return f"{whole.days} days"
