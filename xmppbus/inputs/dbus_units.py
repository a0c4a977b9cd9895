"""`systemd: failed-units`: a unit that fails is an incident, until it has recovered; also what happened while we were
away. The interface is org.freedesktop.systemd1(5).

What has failed and is not resolved yet is kept in the journal (drawer `units`) with the moment at which it failed, and
events are named by unit and moment: whoever looks twice tells it once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xmppbus import limits
from xmppbus.dbus import names
from xmppbus.dbus.values import Signal, TooMuch, plain
from xmppbus.errors import Code, Refused
from xmppbus.interfaces import Accept
from xmppbus.journal import Kept
from xmppbus.retry import Retry

if TYPE_CHECKING:
    from xmppbus.dbus.link import Session

log = logging.getLogger("xmppbus.dbus")

DRAWER = "units"
TYPE = "systemd.unit"
_SYSTEMD = "org.freedesktop.systemd1"
_MANAGER = (_SYSTEMD, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_UNIT = "org.freedesktop.systemd1.Unit"
_SERVICE = "org.freedesktop.systemd1.Service"
_UNITS = "/org/freedesktop/systemd1/unit"
_CHANGED = "org.freedesktop.DBus.Properties"
_WANTED = (
    *("Description", "ActiveState", "SubState", "InactiveEnterTimestamp", "StateChangeTimestamp"),
    *("Result", "ExecMainStatus"),
)
_RECOVERED = ("active", "inactive", "reloading")
_AGAIN = Retry(limits.RESTART_FIRST_SECONDS, limits.RESTART_MOST_SECONDS)

RULES = (
    f"type='signal',sender='{_SYSTEMD}',interface='{_CHANGED}',member='PropertiesChanged',"
    f"path_namespace='{_UNITS}',arg0='{_UNIT}'",
    f"type='signal',sender='{_SYSTEMD}',interface='{_MANAGER[2]}',member='JobRemoved'",
    f"type='signal',sender='{_SYSTEMD}',interface='{_MANAGER[2]}',member='UnitRemoved'",
    f"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{_SYSTEMD}'",
)


class FailedUnits:
    """Looks at units when systemd says that one has changed, and at all that have failed on a new connection."""

    def __init__(self, kept: Kept) -> None:
        self.failed: dict[str, str] = {}  # and when
        self.reason = ""
        self._kept = kept
        self._owner = ""
        self._changed: deque[tuple[str, str]] = deque(maxlen=limits.DBUS_WAITING)  # unit, and its state if it was said
        self._again = False  # everything has to be looked at
        self._wake = asyncio.Event()

    def take(self, signal: Signal) -> None:
        """A signal that may concern a unit."""
        if signal.sender == "org.freedesktop.DBus" and signal.member == "NameOwnerChanged":
            if signal.body[0] == _SYSTEMD:
                self._owner = str(signal.body[2])
                self._look_again()
        elif signal.sender == self._owner and self._owner and (found := changed_unit(signal)):
            if len(self._changed) == limits.DBUS_WAITING:
                self._look_again()  # one is lost: the list of what has failed has it
            self._changed.append(found)
            self._wake.set()

    async def watch(self, session: Session, accept: Accept) -> None:
        """Until cancelled."""
        kept = await self._kept.all(DRAWER)
        self.failed = {unit: str(moment) for unit, moment in kept.items()}
        for rule in RULES:
            await session.match(rule)
        self._owner = await session.owner(_SYSTEMD)
        self._look_again()
        while True:
            self._wake.clear()
            if self._again:
                self._again = False
                await self._look(session, accept)
            while self._changed and not self._again:
                await self._look_at(session, accept, *self._changed.popleft())
            if not self._again:
                await self._wake.wait()

    def _look_again(self) -> None:
        self._again = True
        self._changed.clear()
        self._wake.set()

    async def _look(self, session: Session, accept: Accept) -> None:
        """What has failed now, and what of that which had has recovered."""
        from xmppbus.dbus.link import Failed

        if not self._owner:
            self.reason = "systemd is not on this bus (nobody owns org.freedesktop.systemd1); waiting for it"
            return
        try:
            await _subscribe(session)
            (listed,) = await session.call(*_MANAGER, "ListUnitsFiltered", "as", ["failed"])
        except Failed as failed:
            if failed.name.endswith(".UnknownMethod") or failed.name.endswith(".AccessDenied"):
                self.reason = f"systemd does not answer: {failed}"
                return
            raise
        self.reason = ""
        now = [str(unit[0]) for unit in listed][: limits.DBUS_UNITS]
        for unit in now:
            await self._look_at(session, accept, unit, "failed")
        for unit in [each for each in self.failed if each not in now]:
            await self._look_at(session, accept, unit, "")

    async def _look_at(self, session: Session, accept: Accept, unit: str, said: str) -> None:
        """`said` is the state that it had when it changed; by now it may have another."""
        if said and said != "failed" and unit not in self.failed:
            return
        about = await self._about(session, unit)
        if not said and any(each == unit for each, _ in self._changed):
            return  # by now more was said of it, which is told in its order
        state = said or str(about.get("ActiveState", "inactive"))  # one that is not loaded any more has not failed
        if state == "failed":
            moment = str(about.get("InactiveEnterTimestamp") or about.get("StateChangeTimestamp") or time.time_ns())
            if self.failed.get(unit) == moment:
                return
            if len(self.failed) >= limits.DBUS_UNITS and unit not in self.failed:
                log.error("%s has failed, and is one too many to be told", unit)
                return
            await _accept(accept, event_of(unit, about, failed=True, moment=moment))
            self.failed[unit] = moment
            await self._kept.keep(DRAWER, unit, moment)
        elif unit in self.failed and state in _RECOVERED:
            await _accept(accept, event_of(unit, about, failed=False, moment=self.failed[unit]))
            del self.failed[unit]
            await self._kept.drop(DRAWER, unit)

    async def _about(self, session: Session, unit: str) -> dict[str, Any]:
        from xmppbus.dbus.link import Failed

        found: dict[str, Any] = {}
        for interface in (_UNIT, _SERVICE) if unit.endswith(".service") else (_UNIT,):
            try:
                given = await session.properties(_SYSTEMD, names.unit_path(unit), interface)
                found |= plain({name: each for name, each in given.items() if name in _WANTED})
            except (Failed, TooMuch) as error:
                log.debug("nothing is known of %s: %s", unit, error)
        return found


async def _subscribe(session: Session) -> None:
    """From now on systemd tells this connection."""
    from xmppbus.dbus.link import Failed

    try:
        await session.call(*_MANAGER, "Subscribe")
    except Failed as failed:
        if not failed.name.endswith(".AlreadySubscribed"):
            raise


def changed_unit(signal: Signal) -> tuple[str, str] | None:
    """Which unit a signal is about, and its new state if the signal says it."""
    if signal.interface == _CHANGED and signal.member == "PropertiesChanged" and len(signal.body) == 3:
        if signal.body[0] != _UNIT or not signal.path.startswith(f"{_UNITS}/"):
            return None
        unit = names.unescaped(signal.path.removeprefix(f"{_UNITS}/"))
        changed, invalidated = signal.body[1], signal.body[2]
        if isinstance(changed, dict) and "ActiveState" in changed:
            return unit, str(getattr(changed["ActiveState"], "value", ""))
        return (unit, "") if isinstance(invalidated, list) and "ActiveState" in invalidated else None
    if signal.interface == _MANAGER[2] and signal.member == "JobRemoved" and len(signal.body) == 4:
        return str(signal.body[2]), ""
    if signal.interface == _MANAGER[2] and signal.member == "UnitRemoved" and len(signal.body) == 2:
        return str(signal.body[0]), ""
    return None


def event_of(unit: str, about: Mapping[str, Any], *, failed: bool, moment: str) -> dict[str, Any]:
    """What is told of a unit. The same failure has the same name."""
    host = os.uname().nodename
    result = about.get("Result")
    data = {
        "unit": unit,
        "host": host,
        "description": about.get("Description"),
        "active_state": "failed" if failed else about.get("ActiveState", "inactive"),
        "sub_state": about.get("SubState"),
        "result": result,
        "exit_status": about.get("ExecMainStatus"),
    }
    why = f": {result}" if failed and result and result != "success" else ""
    status = about.get("ExecMainStatus")
    why += f", status {status}" if why and status else ""
    return {
        "id": f"systemd:{host}:{unit}:{moment}:{'failed' if failed else 'recovered'}"[: limits.NAME_CHARACTERS],
        "type": TYPE,
        "key": f"{host}:{unit}"[: limits.NAME_CHARACTERS],
        "status": "firing" if failed else "resolved",
        "severity": "error" if failed else "notice",
        "summary": (f"{unit} failed{why}" if failed else f"{unit} has recovered")[: limits.SUMMARY_CHARACTERS],
        "data": {name: each for name, each in data.items() if each is not None},
    }


async def _accept(accept: Accept, event: dict[str, Any]) -> None:
    """Until the house takes it: nobody else will say it again."""
    attempts = 0
    while True:
        try:
            (answer,) = await accept([event])
        except Refused as refusal:
            attempts += 1
            log.warning("%s waits to be told: %s", event["key"], refusal)
            await asyncio.sleep(max(refusal.retry_after, _AGAIN.decide(attempts, random.random)))
        else:
            if isinstance(answer, Refused) and answer.code is not Code.CONFLICT:  # which is: it was told before
                log.warning("what happened to %s is refused: %s", event["key"], answer)
            return
