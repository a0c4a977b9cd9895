"""What a STOMP client says, one frame after another, and what is answered: nothing is promised before it is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.inputs.stomp_delivery import QueueSubscription, Subscription, TopicSubscription, Wanted, Wire, wanted_of
from xmppbus.inputs.stomp_events import event_of
from xmppbus.inputs.stomp_frames import VERSIONS, Frame, encode
from xmppbus.inputs.stomp_topics import Topics
from xmppbus.interfaces import Accept, Accepted
from xmppbus.queues import Queues
from xmppbus.web.tokens import Token, Tokens

_LATER = ("SEND", "ACK", "NACK")  # what may be part of a transaction


class Door(Protocol):
    """What a session needs of the house."""

    accept: Accept
    topics: Topics
    queues: Queues
    program: str  # `xmppbus/1.0`

    @property
    def tokens(self) -> Tokens | None:
        """Whom to let in; None where everybody may."""

    def check(self, fields: Mapping[str, Any]) -> None:
        """Whether an event would be accepted as it is. Raises `Refused`."""


class Wrong(Exception):
    """A frame is refused, and with it the connection ends (STOMP 1.2, ERROR)."""

    def __init__(self, refusal: Refused, frame: Frame | None) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.frame = frame


@dataclass(slots=True)
class Transaction:
    """What waits for COMMIT. `events` are the fields of each SEND."""

    sends: list[tuple[Frame, dict[str, Any]]] = field(default_factory=list)
    settles: list[Frame] = field(default_factory=list)
    size: int = 0


class HeartBeats(NamedTuple):
    """Seconds within which each side says something; 0 where it need not."""

    ours: float = 0.0
    theirs: float = 0.0


class Session:
    """One connection's. `handle` frames in order; `stop` when the client is gone, then `close`."""

    def __init__(self, door: Door, wire: Wire, number: int) -> None:
        self.version = ""  # none before CONNECT
        self.beats = HeartBeats()
        self.token: Token | None = None
        self.ended = False  # DISCONNECT was answered
        self.subscriptions: dict[str, Subscription] = {}
        self.transactions: dict[str, Transaction] = {}
        self._by_number: dict[str, Subscription] = {}
        self._opened = 0
        self._door = door
        self._wire = wire
        self._number = number
        self._commands: Mapping[str, Callable[[Frame], Awaitable[None]]] = {
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._unsubscribe,
            "BEGIN": self._begin,
            "COMMIT": self._commit,
            "ABORT": self._abort,
            "DISCONNECT": self._disconnect,
        }

    @staticmethod
    def together(first: Frame, frame: Frame) -> bool:
        """Whether two frames that came one behind the other may be handled in one go: they share a commit."""
        if first.get("transaction") or frame.get("transaction"):
            return False
        return first.command in _LATER and (first.command == "SEND") == (frame.command == "SEND")

    async def handle(self, frames: Sequence[Frame]) -> None:
        """Frames that go `together`. Raises `Wrong`."""
        first = frames[0]
        if not self.version:
            self._connect(first)
        elif first.command in ("CONNECT", "STOMP"):
            raise Wrong(Refused(Code.USAGE, "this connection has had its CONNECT; there is one on each"), first)
        elif first.command in _LATER and first.get("transaction"):
            await self._one(self._add, first)
        elif first.command == "SEND":
            await self._send(frames)
        elif first.command in _LATER:
            await self._settle(frames)
        else:
            await self._one(self._commands[first.command], first)

    async def _one(self, work: Callable[[Frame], Awaitable[None]], frame: Frame) -> None:
        try:
            await work(frame)
        except Refused as refusal:
            raise Wrong(refusal, frame) from refusal
        self._receipt(frame)

    def stop(self) -> None:
        """Nothing is sent any more; what the client has said already still counts."""
        for each in self.subscriptions.values():
            each.stop()

    def woken(self) -> None:
        """The connection takes more."""
        for each in self.subscriptions.values():
            each.woken()

    async def close(self) -> None:
        """What is out goes to others."""
        self.stop()
        found, self.subscriptions = self.subscriptions, {}
        for each in found.values():
            await each.close()

    # --- in and out ---------------------------------------------------------------------------------------------------

    def _connect(self, frame: Frame) -> None:
        if frame.command not in ("CONNECT", "STOMP"):
            raise Wrong(Refused(Code.USAGE, f"the first frame is CONNECT, not {frame.command}"), None)
        offered = [each.strip() for each in frame.get("accept-version", "1.0").split(",")]
        common = [each for each in VERSIONS if each in offered]
        if not common:
            message = f"none of the versions {', '.join(offered)[:64]} is spoken here, only {', '.join(VERSIONS)}"
            raise Wrong(Refused(Code.USAGE, message, field="accept-version"), frame)
        try:
            self.token = self._who(frame)
            self.beats, said = _agreed(frame.get("heart-beat", "0,0"))
        except Refused as refusal:
            raise Wrong(refusal, frame) from refusal
        self.version = common[-1]
        headers = {"version": self.version, "session": str(self._number), "server": self._door.program}
        if self.version != "1.0":
            headers["heart-beat"] = said
        self._wire.write(encode("CONNECTED", headers))

    def _who(self, frame: Frame) -> Token | None:
        tokens = self._door.tokens
        if tokens is None:
            return None
        scheme, _, presented = next(
            (value for name, value in frame.headers.items() if name.lower() == "authorization"), ""
        ).partition(" ")
        given = presented.strip() if scheme.lower() == "bearer" else frame.get("passcode")
        found = tokens.check(given)
        if found is None:
            why = "this token is not known" if given else "a token is needed: give it as the passcode, with any login"
            raise Refused(Code.UNAUTHORIZED, f"{why}; `xmppbus token add NAME SCOPE` makes one")
        return found

    @property
    def is_welcome(self) -> bool:
        """Whether who came in once would still be let in."""
        tokens = self._door.tokens
        if not self.version:
            return True
        return tokens is None if self.token is None else tokens is not None and tokens.holds(self.token)

    def _may(self, action: str, topic: str) -> None:
        if self.token is not None and not self.token.may(action, topic):
            raise Refused(Code.FORBIDDEN, f"this token has no scope {action}:{topic}")

    async def _disconnect(self, frame: Frame) -> None:
        del frame
        self.stop()
        self.ended = True

    def _receipt(self, frame: Frame, answer: Accepted | None = None) -> None:
        if "receipt" in frame.headers:
            more = {}
            if answer:
                more = {"item-id": answer.item_id, "result": str(answer.result), "deliveries": str(answer.deliveries)}
            self._wire.write(encode("RECEIPT", {"receipt-id": frame.headers["receipt"], **more}, version=self.version))

    # --- events in ----------------------------------------------------------------------------------------------------

    def _event(self, frame: Frame) -> dict[str, Any]:
        """The fields of a SEND, which its sender may publish. Raises `Refused`."""
        fields = event_of(frame)
        if self.token is not None and (lacking := self.token.lacks("publish", fields)):
            raise Refused(Code.FORBIDDEN, f"this token has no scope publish:{lacking[1]}")
        return fields

    async def _send(self, frames: Sequence[Frame]) -> None:
        """All of them in one commit. The good ones have their RECEIPTs before the first bad one ends the connection."""
        read: list[dict[str, Any] | Refused] = []
        for frame in frames:
            try:
                read.append(self._event(frame))
            except Refused as refusal:
                read.append(refusal)
        good = [each for each in read if not isinstance(each, Refused)]
        try:
            answers = iter(await self._door.accept(good) if good else ())
        except Refused as refusal:  # the house accepts nothing at all at the moment
            answers = iter([refusal] * len(good))
        wrong: Wrong | None = None
        for frame, each in zip(frames, read, strict=True):
            answer = each if isinstance(each, Refused) else next(answers)
            if isinstance(answer, Refused):
                wrong = wrong or Wrong(answer, frame)
            else:
                self._receipt(frame, answer)
        if wrong:
            raise wrong

    # --- what became of events that were sent to the client -----------------------------------------------------------

    async def _settle(self, frames: Sequence[Frame]) -> None:
        """All of them in one commit, or a few."""
        settling: list[Awaitable[None]] = []
        wrong: Wrong | None = None
        counts: list[int] = []
        for frame in frames:
            try:
                found = self._settling(frame)
            except Refused as refusal:
                wrong = Wrong(refusal, frame)
                break
            settling += found
            counts.append(len(found))
        results = iter(await asyncio.gather(*settling, return_exceptions=True))
        for frame, count in zip(frames, counts, strict=False):
            for result in [next(results) for _ in range(count)]:
                if isinstance(result, Refused):
                    raise Wrong(result, frame) from result
                if isinstance(result, BaseException):
                    raise result
            self._receipt(frame)
        for each in self.subscriptions.values():
            each.woken()
        if wrong:
            raise wrong

    def _settling(self, frame: Frame) -> list[Awaitable[None]]:
        """What has to be written down for an ACK or NACK."""
        found = self._subscription_of(frame)
        if frame.command == "NACK" and self.version == "1.0":
            raise Refused(Code.USAGE, "STOMP 1.0 has no NACK; CONNECT with accept-version:1.2")
        covered = found.covered(self._ack_id(frame))
        if covered is None:
            raise self._not_out(frame)
        return [found.settle(each, frame) for each in covered]

    def _subscription_of(self, frame: Frame) -> Subscription:
        found = self._by_number.get(self._ack_id(frame).partition("-")[0])
        if found is None:
            raise self._not_out(frame)
        return found

    def _ack_id(self, frame: Frame) -> str:
        """1.2 names what it is about by `id`, versions before it by `message-id`; here they are the same."""
        names = ("id", "message-id") if self.version == "1.2" else ("message-id", "id")
        return frame.get(names[0]) or frame.get(names[1])

    def _not_out(self, frame: Frame) -> Refused:
        message = f"{self._ack_id(frame)[:64]!r} is not out: it was acknowledged already, or comes from another "
        return Refused(Code.NOT_FOUND, f"{message}connection, or its subscription has ack:auto", field="id")

    async def _subscribe(self, frame: Frame) -> None:
        wanted = wanted_of(frame, self.version)
        name = wanted.id or str(wanted.destination)
        if name in self.subscriptions:
            message = f"{name[:64]!r} is the id of a subscription already; UNSUBSCRIBE it first, or take another"
            raise Refused(Code.USAGE, message, field="id")
        if len(self.subscriptions) >= limits.STOMP_SUBSCRIPTIONS:
            message = f"{limits.STOMP_SUBSCRIPTIONS} subscriptions on one connection; take a pattern, or another one"
            raise Refused(Code.TOO_MANY, message)
        self._opened += 1
        made = self._made(wanted)
        self.subscriptions[name] = self._by_number[str(self._opened)] = made
        await made.open()

    def _made(self, wanted: Wanted) -> Subscription:
        destination, token = wanted.destination, self.token
        if destination.kind == "queue":
            self._may("read", destination.topic)
            return QueueSubscription(self._wire, self.version, self._opened, wanted, self._door.queues)
        if not {"*", "#"} & {*destination.name.split(".")}:
            self._may("read", destination.name)
        elif token is not None and not token.may_at_all("read"):
            raise Refused(Code.FORBIDDEN, "this token has no scope read")
        return TopicSubscription(self._wire, self.version, self._opened, wanted, self._door.topics, token=token)

    async def _unsubscribe(self, frame: Frame) -> None:
        name = frame.get("id") or frame.get("destination")
        found = self.subscriptions.pop(name, None)
        if found is None:
            raise Refused(Code.USAGE, f"there is no subscription {name[:64]!r} on this connection", field="id")
        self._by_number = {number: each for number, each in self._by_number.items() if each is not found}
        await found.close()

    # --- transactions -------------------------------------------------------------------------------------------------

    async def _begin(self, frame: Frame) -> None:
        name = frame.get("transaction")
        if not name or name in self.transactions:
            said = "is begun already" if name else "is missing; it names the transaction on this connection"
            raise Refused(Code.USAGE, said, field="transaction")
        if len(self.transactions) >= limits.STOMP_TRANSACTIONS:
            raise Refused(Code.TOO_MANY, f"{limits.STOMP_TRANSACTIONS} transactions are open; COMMIT or ABORT some")
        self.transactions[name] = Transaction()

    def _open_transaction(self, frame: Frame) -> Transaction:
        name = frame.get("transaction")
        if name not in self.transactions:
            raise Refused(Code.USAGE, f"{name[:64]!r} was not begun, or has ended", field="transaction")
        return self.transactions[name]

    async def _add(self, frame: Frame) -> None:
        """Looked at now, so that COMMIT has as little to refuse as can be; nothing is on disk yet."""
        found = self._open_transaction(frame)
        if frame.command == "SEND":
            fields = self._event(frame)
            self._door.check(fields)
            found.size += len(frame.body) + sum(len(name) + len(value) for name, value in frame.headers.items())
            found.sends.append((Frame(frame.command, frame.headers), fields))
        else:
            if self._ack_id(frame) not in self._subscription_of(frame).out:
                raise self._not_out(frame)
            found.settles.append(frame)
        if len(found.sends) + len(found.settles) > limits.BATCH_EVENTS or found.size > limits.STOMP_TRANSACTION_BYTES:
            most = f"{limits.BATCH_EVENTS} frames, or {limits.STOMP_TRANSACTION_BYTES} bytes of them"
            raise Refused(Code.TOO_BIG, f"a transaction has at most {most}")

    async def _commit(self, frame: Frame) -> None:
        """First the events are on disk, in one commit, and then what they came of is done: never the other way."""
        found = self._open_transaction(frame)
        del self.transactions[frame.get("transaction")]
        if found.sends:
            answers = await self._door.accept([fields for _, fields in found.sends])
            for refusal in (each for each in answers if isinstance(each, Refused)):
                message = f"{refusal}. The other events of the transaction are kept, and its ACKs are not"
                raise Refused(refusal.code, message, retry_after=refusal.retry_after)
        if found.settles:
            plain = [Frame(each.command, {**each.headers}, b"") for each in found.settles]
            for each in plain:
                each.headers.pop("receipt", None)  # it has had that one
            await self._settle(plain)

    async def _abort(self, frame: Frame) -> None:
        self._open_transaction(frame)
        del self.transactions[frame.get("transaction")]

    # --- the end ------------------------------------------------------------------------------------------------------

    def error(self, refusal: Refused, frame: Frame | None = None, receipt: str = "") -> bytes:
        """The ERROR that ends the connection."""
        headers = {"message": str(refusal), "code": str(refusal.code), "content-type": "text/plain"}
        receipt = receipt or (frame.get("receipt") if frame else "")
        headers |= {"receipt-id": receipt} if receipt else {}
        headers |= {"field": refusal.field} if refusal.field else {}
        headers |= {"retry-after": f"{refusal.retry_after:g}"} if refusal.retry_after else {}
        headers |= {"version": ",".join(VERSIONS)} if not self.version else {}
        about = f" {frame.command}" if frame else ""
        where = f" to {frame.get('destination')[:200]}" if frame and "destination" in frame.headers else ""
        body = f"{refusal}\n\nThis is the answer to your{about or ' connection'}{where}, and ends the connection, as "
        body += "STOMP has it. What has had its RECEIPT is kept. docs/reference/stomp.md has more.\n"
        return encode("ERROR", headers, body.encode(errors="replace"), self.version)


def _agreed(given: str) -> tuple[HeartBeats, str]:
    """What both sides send (STOMP 1.2, Heart-beating), and our half of it. Raises `Refused`."""
    can, comma, wants = given.partition(",")
    numbers = [each.strip() for each in (can, wants)]
    if not comma or not all(each.isascii() and each.isdecimal() and len(each) <= 9 for each in numbers):
        message = f"is two numbers of milliseconds, such as 10000,10000, not {given[:32]!r}"
        raise Refused(Code.USAGE, message, field="heart-beat")
    least = limits.STOMP_HEART_BEAT_MILLISECONDS
    theirs, ours = (max(int(each), least) / 1000 if int(each) else 0.0 for each in numbers)
    return HeartBeats(ours, theirs), f"{least},{least}"
