"""The long form: mutated bytes at every parser behind a way in, as fast as they go, on all processors.

    python -m tests.fuzz.campaign                        2,000,000 executions
    python -m tests.fuzz.campaign --executions 10000 --only mail --seed 7

Hypothesis looks at what is said in these files for CI; here a hundred times as much is looked at, with plain dice.
What is found is printed with its bytes, and ends the campaign with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.fuzz import test_broker_messages, test_follow_fuzz, test_mail, test_stomp_frames
from tests.support.webhooks import presets
from xmppbus.amqp.message import Message
from xmppbus.bus import admit
from xmppbus.errors import Refused
from xmppbus.fields import decode_fields
from xmppbus.inputs import amqp_messages, frames, redis_entries
from xmppbus.inputs.frames import Broken, Splitter
from xmppbus.inputs.stomp_frames import VERSIONS
from xmppbus.inputs.trail import Line
from xmppbus.inputs.webhook import Sent
from xmppbus.xmpp.stanzas import check_size

NOW = "2026-01-31T12:00:00Z"
SLICE = 2_000
RECORDINGS = Path(__file__).parents[1] / "recordings"
HOSTILE = (
    *(b"\0", b"\r\n", b"\n", b"\r", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"{}", b"[]", b"null", b"-1", b"1e999"),
    *(b'"', b"\\", b":", b"=?utf-8?q?=00?=", b"--b", b"Content-Type: multipart/mixed; boundary=b\r\n", b"9" * 30),
)


class Target(NamedTuple):
    """Something that reads bytes. `seeds` are good ones; `read` raises only what is not to be raised."""

    seeds: tuple[bytes, ...]
    read: Callable[[bytes, random.Random], None]


def stomp(data: bytes, dice: random.Random) -> None:
    """The codec, and which event a SEND is."""
    cuts = [dice.randrange(1, 40) for _ in range(dice.randrange(6))]
    test_stomp_frames.look(data, cuts, dice.choice(VERSIONS))


def mail(data: bytes, _dice: random.Random) -> None:
    """A whole mail."""
    test_mail.read(data)


def webhook(headers: Mapping[str, str], data: bytes, dice: random.Random) -> None:
    """A body at one of the presets, most often at the one that it is for."""
    name = dice.choice(PRESETS)
    sent = Sent(data, dict(headers), {}, dice.choice(["", "message", "backups"]))
    with suppress(ValueError, Refused):
        for fields in OFFERED[name].events(sent):
            with suppress(Refused):
                admit(fields, "here", NOW, check_size)


def amqp(data: bytes, dice: random.Random) -> None:
    """A message's body."""
    kind = dice.choice(["application/cloudevents+json", "application/json", "text/plain; charset=latin-1", "", "a/b"])
    with suppress(Refused):
        message = Message(data, exchange="e", routing_key=data[:20].decode("latin-1"), content_type=kind)
        test_broker_messages.at_the_door(amqp_messages.event_of(message, "queue", amqp_messages.Rule()))


def redis(data: bytes, dice: random.Random) -> None:
    """An entry, and a message on a channel."""
    cut = dice.randrange(len(data) + 1)
    rule = redis_entries.Rule()
    with suppress(Refused):
        entry = {data[:cut][:20]: data[cut:], b"type": data[-9:]} if dice.random() < 0.5 else {b"event": data}
        test_broker_messages.at_the_door(redis_entries.event_of("s", "1-1", entry, rule))
    with suppress(Refused):
        test_broker_messages.at_the_door(redis_entries.published(data[:9], data, rule))


def follow(data: bytes, _dice: random.Random) -> None:
    """A line of a log."""
    event = test_follow_fuzz.RULE.event("token", Line(3, data, False), Path("/var/log/x"))
    assert event is None or admit(event, "here", NOW, check_size)


def unix_socket(data: bytes, dice: random.Random) -> None:
    """Frames of the command line, in pieces or not."""
    found = []
    for size in (dice.randrange(1, 50), len(data) or 1):
        splitter, got = Splitter(200, frames.FROM_CLIENTS), list[object]()
        try:
            for at in range(0, len(data), size):
                got += splitter.feed(data[at : at + size])
        except Broken:
            got = ["broken"]
        found.append(got)
    assert found[0] == found[1]


def event_json(data: bytes, _dice: random.Random) -> None:
    """`POST /v1/events`, and whatever else takes an event as JSON."""
    with suppress(Refused):
        admit(decode_fields(data), "here", NOW, check_size)


OFFERED = presets()
PRESETS = sorted(OFFERED)
_EVENT = json.dumps(
    {"specversion": "1.0", "type": "disk.full", "id": "1", "data": {"used": 97}, "tags": ["a"]}
).encode()
_MAIL = b"From: a@b\r\nSubject: =?utf-8?q?=C3=A9?=\r\nMessage-ID: <1@x>\r\n"
_MAIL += b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
_MAIL += b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=\r\n--b--\r\n"
_RECORDED = [json.loads(path.read_text()) for path in sorted(RECORDINGS.glob("*/*.json"))]
_HEADERS = {name.lower(): value for each in _RECORDED for name, value in each["headers"].items()}
TARGETS = {
    "stomp": Target(tuple(test_stomp_frames.TOKENS[-2:]), stomp),
    "mail": Target((_MAIL, b"Subject: Cron <root@web1> /bin/x\n\nno\n"), mail),
    "webhook": Target(tuple(json.dumps(each["body"]).encode() for each in _RECORDED), partial(webhook, _HEADERS)),
    "amqp": Target((_EVENT, b"text"), amqp),
    "redis": Target((_EVENT, b"text"), redis),
    "follow": Target((b"a b=1.5", b"firing x=-2"), follow),
    "socket": Target((frames.pack(frames.VERSION, b"1") + frames.pack(frames.GO),), unix_socket),
    "json": Target((_EVENT,), event_json),
}


def mutated(data: bytes, dice: random.Random) -> bytes:
    """With some bytes changed, taken out, put in, or there twice."""
    found = bytearray(data)
    for _ in range(dice.randrange(1, 6)):
        at, length = dice.randrange(len(found) + 1), dice.randrange(1, 12)
        match dice.randrange(5):
            case 0:
                found[at : at + length] = dice.randbytes(length)
            case 1:
                del found[at : at + length]
            case 2:
                found[at:at] = dice.choice(HOSTILE)
            case 3:
                found[at:at] = found[at : at + length * 4] * dice.randrange(1, 9)
            case _:
                del found[at:]
    return bytes(found[:20_000])


def run(name: str, seed: str) -> tuple[int, str]:
    """One slice: how many, and what was found."""
    dice, target = random.Random(f"{name} {seed}"), TARGETS[name]
    for done in range(SLICE):
        data = mutated(dice.choice(target.seeds), dice)
        try:
            target.read(data, dice)
        except Exception:  # whatever it is, it is what is looked for
            return done, f"{name} with seed {seed}: {data!r}\n{traceback.format_exc()}"
    return SLICE, ""


def slices(names: list[str], executions: int, seed: str) -> Iterator[tuple[str, str]]:
    """All of them in turn."""
    for number in range(-(-executions // SLICE)):
        yield names[number % len(names)], f"{seed}/{number}"


def main() -> int:
    """The campaign; 0 when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=2_000_000)
    parser.add_argument("--only", choices=sorted(TARGETS), action="append")
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(2**32)))
    options = parser.parse_args()
    began, done, shown = time.monotonic(), dict.fromkeys(options.only or TARGETS, 0), 0.0
    print(f"seed {options.seed}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC", flush=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        wanted = list(slices(list(done), options.executions, options.seed))
        for (name, _), (count, found) in zip(wanted, pool.map(run, *zip(*wanted, strict=True)), strict=True):
            done[name] += count
            if found:
                print(found)
                pool.shutdown(cancel_futures=True)
                return 1
            if sys.stderr.isatty() and time.monotonic() - shown > 1:
                shown = time.monotonic()
                print(f"\r{sum(done.values()):,} of {options.executions:,}", end="", file=sys.stderr)
    seconds = time.monotonic() - began
    print(f"{sum(done.values()):,} executions in {seconds:.0f} s, nothing found: {done}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
