"""Redis as a way in: streams, whose entries are acknowledged only when they are on disk here, and channels, whose
messages reach who is there at that moment, and nobody else.

An entry's id names the event, so one that is read again is known. What can't be an event goes to a stream of dead
letters; what we can't take now stays pending in the group, and is read again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.inputs.brokered import accept_all, is_about_us
from xmppbus.inputs.redis_entries import Rule, event_of, published
from xmppbus.inputs.redis_options import RedisInputOptions, Server, consumer_of, server_of
from xmppbus.interfaces import Accept
from xmppbus.plugins import Registry
from xmppbus.retry import Retry

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

    from xmppbus.house import House

log = logging.getLogger("xmppbus.redis")

_AGAIN = Retry(limits.BROKER_AGAIN_FIRST_SECONDS, limits.BROKER_AGAIN_MOST_SECONDS)
_REFUSED = Retry(limits.BROKER_REFUSED_SECONDS, limits.BROKER_REFUSED_MOST_SECONDS)
_FULL = Retry()

Entry = tuple[bytes, Mapping[bytes, bytes] | None]


class RedisInput:
    """As `interfaces.Input` says."""

    def __init__(self, server: Server, options: RedisInputOptions) -> None:
        self._server = server
        self._options = options
        self._consumer = consumer_of(options)
        self._rule = Rule(options.type or "", options.source or "")
        self._state, self._reason = "connecting", "it has not been there yet"
        self._waiting: dict[str, str] = {}  # streams that are not read at the moment, and why
        self._accepted = self._rejected = self._lost = 0

    async def run(self, accept: Accept) -> None:
        """As `interfaces.Input` says."""
        from redis.exceptions import RedisError

        loop, attempts = asyncio.get_running_loop(), 0
        while True:
            begun = loop.time()
            client, error = self._server.connect(), None
            try:
                await self._read(client, accept)
            except* (RedisError, OSError, TimeoutError) as group:
                error = _first(group)
            finally:
                with suppress(RedisError, OSError, TimeoutError):
                    async with asyncio.timeout(limits.BROKER_CLOSE_SECONDS):
                        await client.aclose()
            attempts = 1 if loop.time() - begun >= limits.BROKER_STEADY_SECONDS else attempts + 1
            await asyncio.sleep(self._away(error, attempts))

    def status(self) -> Mapping[str, Any]:
        """See `docs/reference/status.md`."""
        waits = self._state == "up" and self._waiting
        reason = "; ".join(f"{name}: {why}" for name, why in self._waiting.items()) if waits else self._reason
        return {
            "state": "waiting" if waits else self._state,
            "reason": reason,
            "server": self._server.shown,
            "streams": list(self._options.streams),
            "channels": [*self._options.channels, *self._options.patterns],
            "accepted": self._accepted,
            "rejected": self._rejected,
            "lost": self._lost,
        }

    def _away(self, error: BaseException | None, attempts: int) -> float:
        """Say why, and return when to try again."""
        reason, is_refusal = reason_of(error, self._server) if error else ("the connection was lost", False)
        if self._state != "down" or self._reason != reason:
            log.warning("redis input: %s is away: %s", self._server.shown, reason)
        self._state, self._reason = "down", reason
        least = limits.BROKER_REFUSED_SECONDS if is_refusal else 0.0
        return (_REFUSED if is_refusal else _AGAIN).decide(attempts, random.random, least)

    async def _read(self, client: Redis, accept: Accept) -> None:
        await client.ping()
        options = self._options
        names = [*options.streams, *options.channels, *options.patterns]
        self._state, self._reason, self._waiting = "up", "", dict.fromkeys(names, "it is being opened")
        log.info("redis input: connected to %s", self._server.shown)
        async with asyncio.TaskGroup() as group:
            for name in self._options.streams:
                group.create_task(self._stream(client, name, accept))
            if self._options.channels or self._options.patterns:
                group.create_task(self._listen(client.pubsub(), accept))

    # --- streams ------------------------------------------------------------------------------------------------------

    async def _stream(self, client: Redis, stream: str, accept: Accept) -> None:
        """One stream; what is wrong with it alone is not the others' matter."""
        from redis.exceptions import NoPermissionError, ResponseError

        attempts = 0
        while True:
            try:
                await self._make_group(client, stream)
                self._waiting.pop(stream, None)
                await self._follow(client, stream, accept)
            except (NoPermissionError, ResponseError) as error:
                attempts += 1
                self._stopped(stream, str(error))
                await asyncio.sleep(_FULL.decide(attempts, random.random, limits.BROKER_AGAIN_FIRST_SECONDS))

    async def _make_group(self, client: Redis, stream: str) -> None:
        from redis.exceptions import ResponseError

        begin = "0" if self._options.begin == "first" else "$"
        try:
            await client.xgroup_create(stream, self._options.group, id=begin, mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def _follow(self, client: Redis, stream: str, accept: Accept) -> None:
        """What is ours and pending from before; then what comes; and now and then what others have left behind."""
        loop, attempts, pending, claim_at = asyncio.get_running_loop(), 0, True, 0.0
        while True:
            if loop.time() >= claim_at:
                claim_at = loop.time() + self._options.claim_seconds
                await self._claim(client, stream)
                pending = True
            entries = await self._next(client, stream, pending=pending)
            if await self._take(client, stream, entries, accept):
                attempts = 0
                self._waiting.pop(stream, None)
                pending = pending and bool(entries)
            else:
                attempts += 1
                pending = True
                await asyncio.sleep(_FULL.decide(attempts, random.random, limits.BROKER_AGAIN_FIRST_SECONDS))

    async def _next(self, client: Redis, stream: str, *, pending: bool) -> Sequence[Entry]:
        block = None if pending else int(limits.REDIS_BLOCK_SECONDS * 1000)
        after: dict[Any, Any] = {stream: "0" if pending else ">"}
        options = self._options
        found: Any = await client.xreadgroup(options.group, self._consumer, after, count=options.batch, block=block)
        return found[0][1] if found else ()

    async def _claim(self, client: Redis, stream: str) -> None:
        """What another consumer has had for long becomes ours, and is read with what is pending."""
        start: Any = "0-0"
        milliseconds, group = self._options.claim_seconds * 1000, self._options.group
        for _ in range(limits.REDIS_CLAIMS):
            answer: Any = await client.xautoclaim(
                stream, group, self._consumer, milliseconds, start, count=self._options.batch, justid=False
            )
            start = answer[0]
            self._were_deleted(stream, answer[2] if len(answer) > 2 else ())  # COMPAT(Redis<7): it keeps them pending
            if start == b"0-0":
                return

    async def _take(self, client: Redis, stream: str, entries: Sequence[Entry], accept: Accept) -> bool:
        """Accept and acknowledge; whether all of it is settled."""
        entries = await self._without_deleted(client, stream, entries)
        if not entries:
            return True
        answers = await accept_all(accept, [self._event(stream, each) for each in entries])
        done: list[bytes] = []
        waits = ""
        for answer, entry in zip(answers, entries, strict=True):
            if not isinstance(answer, Refused):
                self._accepted += 1
                done.append(entry[0])
            elif is_about_us(answer):
                waits = str(answer)
            else:
                await self._bury(client, stream, entry, answer)
        if done:
            await client.xack(stream, self._options.group, *done)
        if waits:
            self._stopped(stream, f"its entries wait there: {waits}")
        return not waits

    def _were_deleted(self, stream: str, entries: Sequence[bytes]) -> None:
        self._lost += len(entries)
        text = "the entry %s of the stream %s was deleted before it was an event: it is lost"
        for each in entries:
            log.error(text, each.decode(), stream)

    async def _without_deleted(self, client: Redis, stream: str, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Of an entry that was deleted or trimmed away while it was pending, Redis has only the id."""
        deleted = [entry_id for entry_id, fields in entries if not fields]  # each entry has a field at least
        if deleted:
            await client.xack(stream, self._options.group, *deleted)
            self._were_deleted(stream, deleted)
        return [each for each in entries if each[1]]

    def _event(self, stream: str, entry: Entry) -> dict[str, Any] | Refused:
        try:
            return event_of(stream, entry[0].decode(), entry[1] or {}, self._rule)
        except Refused as refusal:
            return refusal

    async def _bury(self, client: Redis, stream: str, entry: Entry, refusal: Refused) -> None:
        """In one step with its acknowledgement, so that it is in exactly one place."""
        dead = self._options.dead_letters or f"{stream}.dead"
        entry_id, fields = entry
        async with client.pipeline(transaction=True) as pipeline:
            letter: dict[Any, Any] = {**(fields or {}), "xmppbus-entry": entry_id, "xmppbus-reason": _bytes(refusal)}
            pipeline.xadd(dead, letter)
            pipeline.xack(stream, self._options.group, entry_id)
            await pipeline.execute()
        self._rejected += 1
        text = "the entry %s of the stream %s can't be an event: %s. It is in the stream %s now, with the reason"
        log.error(text, entry_id.decode(), stream, refusal, dead)

    def _stopped(self, stream: str, reason: str) -> None:
        if self._waiting.get(stream) != reason:
            log.warning("the stream %s is not read: %s", stream, reason)
        self._waiting[stream] = reason

    # --- channels -----------------------------------------------------------------------------------------------------

    async def _listen(self, pubsub: PubSub, accept: Accept) -> None:
        if self._options.channels:
            await pubsub.subscribe(*self._options.channels)
        if self._options.patterns:
            await pubsub.psubscribe(*self._options.patterns)
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while True:
            batch = await self._heard(pubsub)
            if batch:
                heard = loop.time()
                for each in batch:
                    if each["type"] in ("subscribe", "psubscribe"):
                        self._waiting.pop(each["channel"].decode("utf-8", "replace"), None)
                await self._tell([each for each in batch if each["type"] in ("message", "pmessage")], accept)
            elif loop.time() - heard > limits.BROKER_ANSWER_SECONDS * 2:
                raise TimeoutError
            elif loop.time() - heard > limits.BROKER_ANSWER_SECONDS:
                await pubsub.ping()  # a subscriber that hears nothing can't tell silence from a cut

    async def _heard(self, pubsub: PubSub) -> list[dict[str, Any]]:
        batch: list[dict[str, Any]] = []
        while len(batch) < self._options.batch:
            message = await pubsub.get_message(timeout=0.0 if batch else limits.REDIS_BLOCK_SECONDS)
            if message is None:
                break
            batch.append(message)
        return batch

    async def _tell(self, messages: Sequence[dict[str, Any]], accept: Accept) -> None:
        for answer in await accept_all(accept, [self._published(each) for each in messages]):
            if not isinstance(answer, Refused):
                self._accepted += 1
            elif is_about_us(answer):
                self._lost += 1
                log.error("what was published on a channel of Redis is lost, as nothing is accepted: %s", answer)
            else:
                self._rejected += 1
                log.error("what was published on a channel of Redis can't be an event: %s", answer)

    def _published(self, message: dict[str, Any]) -> dict[str, Any] | Refused:
        try:
            return published(message["channel"], message["data"], self._rule)
        except Refused as refusal:
            return refusal


def reason_of(error: BaseException, server: Server) -> tuple[str, bool]:
    """Why Redis is away, in plain words; and whether only a person can change that."""
    from redis.exceptions import AuthenticationError, BusyLoadingError, ResponseError

    if isinstance(error, BusyLoadingError):
        return "it is still loading its data", False
    if isinstance(error, AuthenticationError):
        return f"it refuses the user `{server.user}`: {error}; compare `password_file` with its ACL", True
    if isinstance(error, ResponseError):
        return str(error), True
    if isinstance(error.__cause__, ConnectionRefusedError) or isinstance(error.__context__, ConnectionRefusedError):
        return f"nothing listens on {server.shown.rpartition('/')[0]}", False
    if isinstance(error, TimeoutError) or type(error).__name__ == "TimeoutError":
        return "it has not answered in time", False
    return str(error) or type(error).__name__, False


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    each: BaseException = group
    while isinstance(each, BaseExceptionGroup):
        each = each.exceptions[0]
    return each


def _bytes(refusal: Refused) -> bytes:
    return str(refusal).encode("utf-8", "replace")


def build(house: House, options: RedisInputOptions) -> RedisInput:
    """For the registry."""
    if not (options.streams or options.channels or options.patterns):
        raise ValueError("it has nothing to read: name `streams`, `channels` or `patterns`")
    return RedisInput(server_of(options, house.config.environ), options)


def register(registry: Registry) -> None:
    """Offer this input."""
    registry.input("redis", build, RedisInputOptions)
