"""How we stand with a room: in it, or why not, in plain words, and when it is tried again. Pure."""

from __future__ import annotations

import enum
from typing import NamedTuple

from xmppbus import limits
from xmppbus.retry import Dice, Retry
from xmppbus.xmpp import muc
from xmppbus.xmpp.muc import Seen
from xmppbus.xmpp.replies import ErrorReply


class State(enum.StrEnum):
    """One word for it."""

    WAITING = "waiting"  # for its turn, or for a session
    JOINING = "joining"  # asked, and not answered yet
    IN = "in"
    KICKED = "kicked"  # somebody put us out
    BANNED = "banned"  # and does not want us back
    DESTROYED = "destroyed"  # the room is no more
    MEMBERS_ONLY = "members-only"  # and we are none
    PASSWORD = "password"  # noqa: S105  # a word of the standard's; ours is missing or wrong
    NICK = "nick-conflict"  # all nicks that we try belong to others
    FULL = "full"
    MISSING = "missing"  # there is no such room, and we may not make it; or it is not configured yet
    UNREACHABLE = "unreachable"  # the service does not answer, or goes down
    REFUSED = "refused"  # for another reason


class Standing(NamedTuple):
    """How we stand with a room; `words` are for people."""

    state: State
    words: str = ""
    is_new: bool = False  # we are in a room that has been made for us just now


WAITING = Standing(State.WAITING, "there is no session with the server")
UNANSWERED = Standing(State.UNREACHABLE, "the room's service does not answer")

_REFUSALS = {
    "not-authorized": Standing(State.PASSWORD, "it wants a password, and ours is missing or wrong"),
    "forbidden": Standing(State.BANNED, "we are banned from it"),
    "registration-required": Standing(State.MEMBERS_ONLY, "it lets members in only; make the bot one"),
    "conflict": Standing(State.NICK, "somebody else has our nick there"),
    "not-acceptable": Standing(State.NICK, "it takes only a nick that is registered there"),
    "jid-malformed": Standing(State.NICK, "it does not take our nick"),
    "service-unavailable": Standing(State.FULL, "it is full, or there is no such service"),
    "item-not-found": Standing(State.MISSING, "it is not there, or its owner has not configured it yet"),
    "not-allowed": Standing(State.MISSING, "there is no such room that we may enter or make, or no such service"),
    "gone": Standing(State.DESTROYED, "it is gone"),
    "remote-server-not-found": Standing(State.UNREACHABLE, "there is no such service"),
    "remote-server-timeout": UNANSWERED,
}
"""What an error says that answers a join (XEP-0045 §7.2)."""


def refused(error: ErrorReply) -> Standing:
    """We were not let in."""
    found = _REFUSALS.get(error.name) or Standing(State.REFUSED, f"it does not let us in: {error.name}")
    return found._replace(words=f"{found.words} ({error.text})") if error.text else found


_LOST = Standing(State.UNREACHABLE, "the room lost us")
_NOT_MEMBERS = Standing(State.MEMBERS_ONLY, "it lets members in only; make the bot one")
_PUT_OUT = (
    (muc.SHUTDOWN, Standing(State.UNREACHABLE, "the room's service goes down")),
    (muc.BANNED, Standing(State.BANNED, "we were banned")),
    (muc.FAILED, _LOST),
    (muc.NOT_AFFILIATED, _NOT_MEMBERS),
    (muc.MEMBERS_ONLY, _NOT_MEMBERS),
    (muc.KICKED, Standing(State.KICKED, "we were put out")),
)
"""What status codes say; several may be given, the first that is counts."""


def put_out(seen: Seen) -> Standing:
    """We were in it, and are no more (XEP-0045 §8.2, §9.1, §9.3 to §9.5, §10.9)."""
    if seen.is_destroyed:
        venue = f"; it goes on as {seen.venue}" if seen.venue else ""
        return Standing(State.DESTROYED, f"it was destroyed{_because(seen)}{venue}")
    found = next((standing for code, standing in _PUT_OUT if code in seen.codes), _LOST)
    return found._replace(words=found.words + _because(seen))


def _because(seen: Seen) -> str:
    by = f" by {seen.by}" if seen.by else ""
    return f"{by}: {seen.reason}" if seen.reason else by


_AT_ONCE = (State.WAITING, State.JOINING, State.IN)


def pause(state: State, attempts: int, dice: Dice) -> float:
    """Seconds until a room is tried again that we have failed to be in `attempts` times in a row."""
    if state in _AT_ONCE:
        return 0.0
    if state is State.UNREACHABLE:
        return Retry(limits.ROOM_SOON_SECONDS, limits.ROOM_SOON_MOST_SECONDS).decide(attempts, dice)
    first = limits.ROOM_KICKED_SECONDS if state is State.KICKED else limits.ROOM_REFUSED_SECONDS
    return Retry(first, limits.ROOM_MOST_SECONDS).decide(attempts, dice, first / 2)


def nicks(nick: str) -> list[str]:
    """What we may be called where somebody else is called that."""
    return [nick + "_" * number for number in range(limits.ROOM_NICKS)]


_STILL_IN = frozenset({"service-unavailable", "feature-not-implemented"})
_UNKNOWN = frozenset({"remote-server-not-found", "remote-server-timeout"})


def ping_says(condition: str) -> bool | None:
    """What an error says that answers a ping to ourselves in a room (XEP-0410 §3.2): True, we are in it; False, we are
    not; None, nobody knows. Prosody says item-not-found of a room that is gone; joining again is right in any case."""
    if condition in _STILL_IN:
        return True
    return None if condition in _UNKNOWN else False
