"""Whoever looks on while events go through: what they want to see, and their bounds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

from xmppbus import limits
from xmppbus.cli.monitor import _Lines, in_words
from xmppbus.errors import Code, Refused
from xmppbus.inputs.dbus_offering import Offering
from xmppbus.interfaces import Accepted
from xmppbus.journal import HELD, Result, Stop
from xmppbus.route import Target
from xmppbus.running.watching import Came, Stopped, Wanted, Watched, Watcher, Went

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
CAME = Came(NOW, "events", "a.b", Accepted(Result.NEW, "id", 1, 1), (Target("pubsub", "a.b"),))
REFUSED = Came(NOW, "stomp", "a.b", Refused(Code.INVALID, "no"))
WENT = Went(NOW, "pubsub", "a.b", 1)
DEAD = Went(NOW, "chat", "a@b", 1, True, "gone", "no")
STOPPED = Stopped(NOW, "pubsub", "a.b", 1, Stop("forbidden", "no", 1, 2.0))
ALL = (CAME, REFUSED, WENT, DEAD, STOPPED)


def test_what_is_wanted_is_told_apart() -> None:
    """By direction, by name, and by how it went."""
    cases = {
        Wanted(): ALL,
        Wanted(ways_out=False): (CAME, REFUSED),
        Wanted(ways_in=False): (WENT, DEAD, STOPPED),
        Wanted(inputs=frozenset({"stomp"})): (REFUSED, WENT, DEAD, STOPPED),
        Wanted(outputs=frozenset({"chat"}), ways_in=False): (DEAD,),
        Wanted(only_refused=True): (REFUSED, DEAD, STOPPED),
    }
    for wanted, found in cases.items():
        assert tuple(each for each in ALL if wanted.takes(each)) == found


async def test_a_watcher_that_takes_nothing_has_a_bound_and_is_told_of_the_gap() -> None:
    """The newest are left out: what is shown has no holes but the one that is said."""
    watcher = Watcher(Wanted())
    for _ in range(limits.MONITOR_WAITING + 7):
        watcher.put(CAME)
    found, missed = await watcher.take()
    assert (len(found), missed) == (limits.MONITOR_WAITING, 7)
    watcher.put(WENT)
    assert await watcher.take() == ([WENT], 0)


def test_while_nobody_looks_on_nobody_is_told() -> None:
    """The journal does not even call; and one no is told once, however many hear of it."""
    heard: list[object] = []
    watched = Watched(lambda: NOW, heard.append)
    with watched.watch(Wanted()) as one, watched.watch(Wanted()):
        assert watched.anybody
        refusal = Refused(Code.INVALID, "no")
        watched.came("events", [{"type": 7}], [refusal], lambda _: (), "here")
        watched.turned_away("http", refusal, "POST /")
        watched.turned_away("http", Refused(Code.UNAUTHORIZED, "no"), "GET /")
        assert [(each.input, each.type) for each in one._waiting if isinstance(each, Came)] == [
            ("events", ""),
            ("http", "GET /"),
        ]
    assert not watched.anybody
    assert heard == [watched.settled, watched.settled, None]


def test_what_others_wrote_is_one_line() -> None:
    """Whatever is in it."""
    came = Came(NOW, "events", "t", Refused(Code.INVALID, "a\x1b[2J\nb"))
    dead = DEAD._replace(text="a\r\nb", place="c\x07d")
    held = STOPPED._replace(stop=Stop(HELD, "a\nb", 0, 60.0))
    for each in (came, dead, held):
        assert not [sign for sign in "".join(in_words(each)) if sign < " "]


def test_types_of_so_many_events_are_remembered() -> None:
    """`limits.MONITOR_KNOWN`, the newest."""
    lines = _Lines.__new__(_Lines)
    lines._known = {}
    for sequence in range(limits.MONITOR_KNOWN + 5):
        lines._remember(sequence, "t", "id")
    assert len(lines._known) == limits.MONITOR_KNOWN
    assert 4 not in lines._known


class _Session:
    """Where calls of our object come in."""

    on_call: Any = None


class _Call:
    """A call of Publish, and what was said to it."""

    path, interface, member, signature = "/internal/xmppbus", "internal.xmppbus.Bus", "Publish", "ss"
    body = ("a.b", "summary")

    def __init__(self) -> None:
        self.refused = ""

    def refuse(self, name: str, text: str) -> None:
        """With an error."""
        self.refused = f"{name} {text}"


async def test_so_many_calls_of_publish_are_answered_at_once() -> None:
    """And one more is refused: `limits.DBUS_CALLS`."""
    session, waits = _Session(), asyncio.Event()

    async def accept(*_: object, **__: object) -> list[Accepted | Refused]:
        await waits.wait()
        raise Refused(Code.CLOSING, "no")

    offering = Offering("internal.xmppbus")
    offering.serve(cast("Any", session), accept)
    calls = [_Call() for _ in range(limits.DBUS_CALLS + 1)]
    assert all(session.on_call(call) for call in calls)
    assert calls[-1].refused.startswith("internal.xmppbus.Error.TooManyRequests 64 calls")
    assert not any(call.refused for call in calls[:-1])
    waits.set()
    await asyncio.gather(*offering._answering)
    assert all(call.refused for call in calls)
