"""The input `follow`: lines of log files, through their rotations, each once.

A cursor in the journal (drawer `follow`) says how far each file is read. It is kept after its lines are accepted,
and what a line is called does not depend on when it is read: a crash in between repeats it and makes no second event.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct, field

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.inputs.matching import FollowOptions, Rule, named_twice
from xmppbus.inputs.rotation import Rotating
from xmppbus.inputs.trail import Bite, Cursor
from xmppbus.interfaces import Accept
from xmppbus.journal import Result
from xmppbus.plugins import Registry
from xmppbus.retry import Retry

if TYPE_CHECKING:
    from xmppbus.house import House

log = logging.getLogger("xmppbus.follow")

DRAWER = "follow"
_AGAIN = Retry(limits.RESTART_FIRST_SECONDS, limits.RESTART_MOST_SECONDS)
_Found = TypeVar("_Found")


class Kept(Struct):
    """What is kept of one file, or (without cursors) that a file or a pattern of files has been looked for."""

    trails: list[Cursor] = field(default_factory=list)
    done: list[Cursor] = field(default_factory=list)
    rule: str = ""
    path: str = ""


class Followed:
    """A file that is read by one rule."""

    def __init__(self, rule: Rule, path: Path, *, at_end: bool) -> None:
        self.rule = rule
        self.rotating = Rotating(path, at_end=at_end)
        self.reason = ""
        self._failed = ""  # why what is open can't be read on

    @property
    def name(self) -> str:
        """Of its cursor."""
        return cursor_name(self.rule, self.rotating.path)

    def kept(self) -> Any:
        """As the journal keeps it."""
        return msgspec.to_builtins(
            Kept(self.rotating.cursors, self.rotating.done, self.rule.name, str(self.rotating.path))
        )

    def look(self, now: float) -> None:
        """Notice a rotation; a reason why it can't be read goes into `status`."""
        try:
            self.rotating.look(now)
        except OSError as error:
            reason = f"can't read {self.rotating.path}: {error.strerror or error}"
        else:
            reason = self._failed
        if reason and reason != self.reason:
            right = "the daemon's user needs the right to read it (on Debian: the group adm)"
            mend = "the kernel's log says more of the disk" if self._failed else right
            log.warning("%s; %s", reason, mend)
        self.reason = reason
        for lost in self.rotating.lost:
            log.error("lines are lost: %s", lost)
        self.rotating.lost.clear()

    def bites(self, now: float) -> list[Bite]:
        """What is new; nothing of a file whose disk fails, which is no other file's matter."""
        try:
            found, self._failed = list(self.rotating.bites(now)), ""
        except OSError as error:
            found, self._failed = [], f"can't read {self.rotating.path}: {error.strerror or error}"
        return found


class FollowInput:
    """As `interfaces.Input` says."""

    def __init__(self, house: House, options: FollowOptions) -> None:
        self._house = house
        self._rules = [Rule(each) for each in options.files]
        self._followed: dict[str, Followed] = {}
        self._kept: dict[str, Kept] = {}
        self._lines = self._refused = 0
        self._has_looked = False
        self._reason = ""

    async def run(self, accept: Accept) -> None:
        """As `interfaces.Input` says."""
        found = await self._house.journal.kept.all(DRAWER)
        self._kept = {name: msgspec.convert(value, Kept) for name, value in found.items()}
        try:
            await _in_thread(self._resume)
            while True:
                if not await self._round(accept):
                    await asyncio.sleep(limits.FOLLOW_POLL_SECONDS)
        finally:
            for each in self._followed.values():
                each.rotating.close()
            self._followed.clear()

    def status(self) -> Mapping[str, Any]:
        """As `interfaces.Input` says."""
        reasons = [self._reason, *(each.reason for each in self._followed.values())]
        reason = next((each for each in reasons if each), "")
        found = {"state": "up" if self._has_looked else "starting"}
        if reason:
            found = {"state": "waiting", "reason": reason}
        files = sum(bool(each.rotating.trails) for each in self._followed.values())
        return {**found, "files": files, "lines": self._lines, "refused": self._refused}

    async def _round(self, accept: Accept) -> bool:
        """Look at every file once; whether there was anything new."""
        await _in_thread(self._look)
        await self._keep_changed()
        self._has_looked = True
        now = monotonic()
        bites = await _in_thread(lambda: [(each, bite) for each in self._followed.values() for bite in each.bites(now)])
        for followed, bite in bites:
            await self._take(followed, bite, accept)
        return bool(bites)

    async def _take(self, followed: Followed, bite: Bite, accept: Accept) -> None:
        token, path = bite.trail.cursor.token, followed.rotating.path
        events = [each for line in bite.split.lines if (each := followed.rule.event(token, line, path))]
        for begin in range(0, len(events), limits.BATCH_EVENTS):
            await self._accept(events[begin : begin + limits.BATCH_EVENTS], accept)
        if bite.take():
            await self._keep(followed)

    async def _accept(self, events: list[dict[str, Any]], accept: Accept) -> None:
        """Until the house has room: the file can wait."""
        attempts = 0
        while True:
            try:
                answers = await accept(events)
            except Refused as refusal:
                attempts += 1
                if attempts == 1:
                    log.warning("nothing is read on for now: %s", refusal)
                self._reason = str(refusal)
                await asyncio.sleep(max(refusal.retry_after, _AGAIN.decide(attempts, random.random)))
            else:
                break
        self._reason = ""
        for event, answer in zip(events, answers, strict=True):
            if not isinstance(answer, Refused):
                self._lines += answer.result is Result.NEW
            elif answer.code is not Code.CONFLICT:  # it was accepted before, under a rule that has changed since
                self._refused += 1
                log.warning("a line of %s is refused: %s", event["data"]["file"], answer)

    async def _keep(self, followed: Followed) -> None:
        """Its cursors, on disk. Where there is no room for them, the next round tries again."""
        try:
            await self._house.journal.kept.keep(DRAWER, followed.name, followed.kept())
        except Refused as refusal:
            self._reason = str(refusal)
            followed.rotating.changed = True
        else:
            followed.rotating.changed = False

    # --- which files --------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Find files, and what has become of those that are known."""
        now = monotonic()
        for rule in self._rules:
            for path in rule.paths():
                self._begin(rule, path)
        for each in self._followed.values():
            each.look(now)

    def _begin(self, rule: Rule, path: Path) -> None:
        """A file that is there when its rule is new is read from its end on, unless the rule wants its beginning."""
        name = cursor_name(rule, path)
        if name in self._followed:
            return
        if len(self._followed) >= limits.FOLLOW_FILES:
            self._reason = f"{limits.FOLLOW_FILES} files are followed, and {path} is one too many: name fewer"
            return
        followed = self._followed[name] = Followed(rule, path, at_end=rule.name not in self._kept and rule.at_end)
        if kept := self._kept.get(name):
            followed.rotating.restore(kept.trails, kept.done)

    def _resume(self) -> None:
        """Files of patterns that may be gone by now: the rest of them is read all the same."""
        rules = {rule.name: rule for rule in self._rules}
        for kept in list(self._kept.values()):
            if kept.path and kept.rule in rules:
                self._begin(rules[kept.rule], Path(kept.path))

    async def _keep_changed(self) -> None:
        """What is read is kept before it is read. And that a rule was looked for: what appears from now on is read from
        its first line, also after a restart."""
        kept = self._house.journal.kept
        for each in list(self._followed.values()):
            if each.rotating.changed:
                await self._keep(each)
        for rule in self._rules:
            followed = self._followed.get(rule.name)
            if rule.name not in self._kept and not (followed and followed.reason):
                if rule.is_pattern:
                    await kept.keep(DRAWER, rule.name, msgspec.to_builtins(Kept()))
                self._kept[rule.name] = Kept()
        for name, each in list(self._followed.items()):
            if each.rule.is_pattern and not each.rotating.trails and not each.reason:
                del self._followed[name]  # it is gone; another one of the name is a new one
                self._kept.pop(name, None)
                await kept.drop(DRAWER, name)


def cursor_name(rule: Rule, path: Path) -> str:
    """Two rules may read one file: each has a cursor of its own."""
    return f"{rule.type} {path}"


async def _in_thread(work: Callable[[], _Found]) -> _Found:
    """Disks may be slow. What has begun is ended before anybody closes the files."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def build(house: House, options: FollowOptions) -> FollowInput:
    """Raises `ValueError` for rules that can't be right."""
    if twice := named_twice(options.files):
        raise ValueError(f"{twice} is followed twice with one type; give the events of one of them another type")
    return FollowInput(house, options)


def register(registry: Registry) -> None:
    """Offer this input."""
    registry.input("follow", build, FollowOptions)
