"""What becomes of an event, by how its command ended. Pure."""

from __future__ import annotations

import signal
from typing import NamedTuple

from xmppbus import limits

REQUEUE = 75
"""The exit code that asks for another try: EX_TEMPFAIL of sysexits.h."""


class Verdict(NamedTuple):
    """A word that `queue consume` knows, and why."""

    word: str
    text: str = ""


def verdict(code: int, errors: str, attempt: int, attempts: int | None) -> Verdict:
    """What an exit code comes to; `attempts` is how often it may ask for another. Pure."""
    if code == 0:
        return Verdict("ack")
    ended = f"exit {code}" if code > 0 else f"ended by {_signal(-code)}"
    if code == REQUEUE:
        return again(_why(ended, errors), attempt, attempts)
    return Verdict("reject", _why(ended, errors))


def again(text: str, attempt: int, attempts: int | None) -> Verdict:
    """Another try, if there may be one."""
    if attempts is None or attempt < attempts:
        return Verdict("requeue", text)
    return Verdict("reject", f"try {attempt} of {attempts}: {text}")


def _why(ended: str, errors: str) -> str:
    """How it ended, and the end of its error output: as much as a delivery keeps."""
    room = limits.OUTCOME_CHARACTERS - len(ended) - 2
    text = errors.strip()
    return f"{ended}: {text[-room:]}" if text else ended


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
