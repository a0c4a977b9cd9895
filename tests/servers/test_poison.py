"""Poison (T6): every code point through every text field, and what people have thought of, to real servers.

Not one disconnect, everything legal byte for byte, and the neighbours are not delayed.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.servers.outputs import DELIVERED, deliveries, now, output, stream, verdicts
from tests.support.conversation import log_in
from tests.support.raw import RawStream
from tests.support.raw_pubsub import items, subscribe
from tests.support.server import Server, ServerFactory
from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.event import Event, parse
from xmppbus.fields import FIELDS
from xmppbus.journal import Delivery
from xmppbus.options import NodeOptions
from xmppbus.outputs.pubsub import PubSub
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.stanzas import check_size, event_of

READERS = ["reader@localhost"]
ALL = [chr(point) for point in range(0x110000)]
PIECE = 10_000
"""Code points in one event's data: its item stays well below the bound whatever they are."""

FREE_TEXTS = ("data", "summary")
NAMES = ("id", "source", "subject", "key", "causedby")


@pytest_asyncio.fixture
async def bus(server: Server) -> AsyncIterator[Stream]:
    """Our stream, in session."""
    async with stream(server) as found:
        await asyncio.wait_for(found.ready(), 10)
        yield found


async def arranged(server: Server, bus: Stream, node: str, reader: RawStream) -> PubSub:
    """An output whose node keeps nothing (so that a server is as quick as it can) and has a reader."""
    found = output(bus, NodeOptions(persist_items=False, readers=READERS))
    await found._nodes.ensure(node, node)
    await subscribe(reader, server.pubsub_service, node)
    return found


def delivery(event: Event) -> Delivery:
    """On its way."""
    return Delivery(1, 1, event.item_id, event)


def accepted(event_type: str, fields: dict[str, Any]) -> Event | None:
    """The event, if the door takes it."""
    defaults = {"id": "1", "source": "urn:test", "time": now().isoformat()}
    try:
        event = parse({"type": event_type, **fields}, defaults).event
        check_size(event)
    except Refused:
        return None
    return event


async def test_all_code_points_survive_in_every_free_text(server: Server, bus: Stream, node: str) -> None:
    """Data, data within an object, summary: what the door takes comes back byte for byte."""
    events = []
    for start in range(0, len(ALL), PIECE):
        text = "".join(each for each in ALL[start : start + PIECE] if not 0xD800 <= ord(each) < 0xE000)
        name = f"data-{start:x}"
        events.append(accepted(node, {"id": name, "data": text}))
        events.append(
            accepted(node, {"id": f"object-{name}", "data": {"text": text[:5000], text[5000:6000]: [text[6000:]]}})
        )
    for start in range(0, len(ALL), limits.SUMMARY_CHARACTERS):
        text = "".join(
            each for each in ALL[start : start + limits.SUMMARY_CHARACTERS] if not 0xD800 <= ord(each) < 0xE000
        )
        if text:
            events.append(accepted(node, {"id": f"summary-{start:x}", "summary": text}))
    assert None not in events
    await all_come_back(server, bus, node, [event for event in events if event])


def characters(start: int, count: int) -> str:
    """A piece of all code points, without the surrogates, which are not text."""
    return "".join(each for each in ALL[start : start + count] if not 0xD800 <= ord(each) < 0xE000)


async def test_all_code_points_that_a_name_may_have_survive_in_it(server: Server, bus: Stream, node: str) -> None:
    """Control characters are refused at the door, in names; everything else goes through."""
    events = []
    legal = [each for each in ALL if not 0xD800 <= ord(each) < 0xE000]
    for number, start in enumerate(range(0, len(legal), 400)):
        field = NAMES[number % len(NAMES)]
        text = "".join(each for each in legal[start : start + 400] if accepted_name(each))
        if text:
            tags = [f"t{text[index : index + 60]}" for index in range(0, len(text), 60)] if "," not in text else []
            found = accepted(node, {"id": f"{number}", field: f"{number}{text}"} | ({"tags": tags} if tags else {}))
            assert found is not None, (field, start)
            events.append(found)
    await all_come_back(server, bus, node, events)


def accepted_name(character: str) -> bool:
    """Whether a name may have it."""
    return not (ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F or character in "\ufffe\uffff")


async def all_come_back(server: Server, bus: Stream, node: str, events: list[Event]) -> None:
    """Publish them, and compare what a subscriber got."""
    async with await log_in(server, "reader@localhost") as reader:
        found = await arranged(server, bus, node, reader)
        assert set(await verdicts(found, node, [delivery(each) for each in events])) == {DELIVERED}
        await reader.until(lambda: len(reader.notifications) >= len(events), 30)
        for event, seen in zip(events, reader.notifications, strict=True):
            read = event_of(b"<item id='%b'>%b</item>" % (seen.item_id.encode(), seen.payload))
            assert read.item_id == event.item_id
            assert read.event.encoded == event.encoded
    assert bus.status()["sessions"] == 1


POISON: dict[str, dict[str, Any]] = {
    "a coloured log line": {"data": "\x1b[31mred\x1b[0m"},
    "a bell": {"data": "\x07"},
    "every C0 control": {"data": "".join(map(chr, range(0x20)))},
    "every C1 control": {"data": "".join(map(chr, range(0x7F, 0xA0)))},
    "a NUL": {"data": "a\x00b"},
    "not characters": {"data": "\ufffe\uffff\ufdd0\U0001fffe\U0010ffff"},
    "an end of CDATA": {"data": "]]>"},
    "a CDATA section": {"data": "<![CDATA[x]]>"},
    "the end of the stream": {"data": "</stream:stream>"},
    "the end of the item": {"data": "</json></entry></item></publish></pubsub></iq><iq type='set'>"},
    "a comment": {"data": "<!-- -- -->"},
    "a processing instruction": {"data": "<?xml version='1.0'?>"},
    "an entity": {"data": "&lt;&amp;&#0;&#x1b;&unknown;"},
    "a DTD": {"data": "<!DOCTYPE a [<!ENTITY b 'c'>]>"},
    "quotes": {"data": "\"'\"'"},
    "white space only": {"data": " \t\r\n\v\f "},
    "only CRs": {"data": "\r\r\r"},
    "CR LF": {"data": "a\r\nb\rc\nd"},
    "line separators": {"data": "a\u2028b\u2029c\u0085d"},
    "a byte order mark": {"data": "\ufeffa\ufeff"},
    "right to left": {"data": "\u202eabc\u202c\u2066\u2069"},
    "many combining marks": {"data": "e" + "\u0301" * 500},
    "not normalised": {"data": "\u0041\u030a \u00c5 \u212b"},
    "an emoji of many parts": {"data": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"},
    "private use": {"data": "\ue000\uf8ff\U000f0000\U0010fffd"},
    "nothing": {"data": ""},
    "null": {"data": None},
    "a deep list": {"data": eval("[" * 60 + "]" * 60)},  # noqa: S307  # a literal
    "a large number": {"data": 2**63},
    "a negative zero": {"data": -0.0},
    "a tiny number": {"data": 5e-324},
    "an empty key": {"data": {"": ""}},
    "keys with controls": {"data": {"\x00": "\x1b", "\r": "\n"}},
    "a key named like ours": {"data": {"specversion": "9", "text": "<b>"}},
    "a million spaces less": {"data": " " * 50_000},
    "all ampersands": {"data": "&" * 30_000},
    "all quotes": {"data": '"' * 30_000},
    "all controls": {"data": "\x01" * 20_000},
    "all astral": {"data": "\U0001f389" * 30_000},
    "a title of controls": {"summary": "\x1b[0m\x07\x00"},
    "a title of line ends": {"summary": "\r\n\r\n"},
    "a title that is markup": {"summary": "<title>&amp;</title>"},
    "an open escape": {"summary": "\x1b]0;never closed"},
    "a long escape": {"summary": "\x1b[" + "1;" * 400 + "m!"},
    "a terminal's answer": {"summary": "\x1b[6n\x1bP$q\x1b\\"},
    "a link with quotes": {"link": "https://example.org/?a='b'&c=d"},
    "a link with a fragment": {"link": "xmpp:a@b.example?;node=c#d"},
    "tags with markup": {"tags": ["<b>", "&amp;", "'\""]},
    "a tag of blanks and text": {"tags": [" a "]},
    "a subject with markup": {"subject": "'><a b='"},
    "a key with an emoji": {"key": "\U0001f389"},
    "an id with quotes": {"id": "it's \"quoted\" <&>"},
    "a source with quotes": {"source": "it's \"quoted\" <&>"},
    "a callback": {"replyto": "https://example.org/?a=<&b=1".replace("<", "%3C")},
    "a media type": {"datacontenttype": "text/plain; charset=\"utf-8\"", "data": "x"},
    "bytes": {"data_base64": "AAECAw=="},
    "an extension": {"comexampleext": "\x1b<&>\r\n"},
    "a number as an extension": {"comexampleint": -(2**63)},
    "true as an extension": {"comexamplebool": True},
    "a time with an offset": {"time": "2026-01-31T12:00:00.123456+14:00"},
    "a time in small letters": {"time": "2026-01-31t12:00:00z"},
    "critical": {"severity": "critical", "status": "firing", "key": "k"},
    "hops": {"hops": 16},
    "a surrogate": {"data": "\ud800"},
    "a surrogate in a key": {"data": {"\udfff": 1}},
    "a control in a name": {"subject": "a\x07"},
    "not a number": {"data": float("nan")},
    "without an end": {"data": float("inf")},
}  # fmt: skip


def test_there_are_at_least_sixty_cases_and_they_touch_every_field() -> None:
    """Those that a sender writes text into."""
    assert len(POISON) >= 60
    touched = {field for case in POISON.values() for field in case}
    assert set(FIELDS) - touched <= {"specversion", "type", "dataschema", "expires", "causedby", "queue"}


async def test_poison_is_refused_at_the_door_or_survives(server: Server, bus: Stream, node: str) -> None:
    """Each in its own event, with a good neighbour behind it."""
    events = []
    for number, case in enumerate(POISON.values()):
        poison = accepted(node, {"id": f"poison {number}", **case})
        neighbour = accepted(node, {"id": f"neighbour {number}", "data": "fine"})
        events += [each for each in (poison, neighbour) if each is not None]
    assert len(events) >= 2 * len(POISON) - 8
    await all_come_back(server, bus, node, events)


async def test_the_largest_items_that_the_door_takes_are_taken_by_the_server(
    server: Server, bus: Stream, node: str
) -> None:
    """Whatever they consist of: the servers escape in ways of their own."""
    events = []
    for number, character in enumerate('x&<"\\\x01\x7f\r\u00e9\u2028\ufffd\U0001f389'):
        one = accepted(node, {"id": f"{number}", "data": character})
        assert one is not None
        low, high = 1, limits.ITEM_BYTES
        while high - low > 1:
            middle = (low + high) // 2
            found = accepted(node, {"id": f"{number}", "data": character * middle})
            low, high, one = (middle, high, found) if found else (low, middle, one)
        events.append(one)
    await all_come_back(server, bus, node, events)


def all_poison(node: str) -> list[Event]:
    """What the door takes of it."""
    events = [accepted(node, {"id": f"{number}", **case}) for number, case in enumerate(POISON.values())]
    return [each for each in events if each is not None]


async def test_a_good_neighbour_is_not_delayed(bus: Stream, node: str) -> None:
    """Another node's events go on while the poison goes out."""
    found = output(bus, NodeOptions(persist_items=False))
    poison = [
        each for number, case in enumerate(POISON.values()) if (each := accepted(node, {"id": f"p{number}", **case}))
    ]
    assert set(await verdicts(found, f"{node}.good", deliveries(f"{node}.good", 1))) == {DELIVERED}
    begun = time.monotonic()
    sick = asyncio.create_task(verdicts(found, node, [delivery(each) for each in poison] * 5))
    assert set(await verdicts(found, f"{node}.good", deliveries(f"{node}.good", 20, first=1))) == {DELIVERED}
    assert time.monotonic() - begun < 5
    assert set(await sick) == {DELIVERED}


@pytest.mark.parametrize("storage", ["internal", "sql"])
async def test_kept_items_read_back_as_they_were(own_server: ServerFactory, storage: str, node: str) -> None:
    """Also after a restart of the server, from each storage of Prosody's."""
    server = await own_server("prosody", pubsub_storage=storage)
    events = [
        each for number, case in enumerate(POISON.values()) if (each := accepted(node, {"id": f"{number}", **case}))
    ]
    async with stream(server) as bus:
        await asyncio.wait_for(bus.ready(), 10)
        found = output(bus, NodeOptions(max_items=200, readers=READERS))
        assert set(await verdicts(found, node, [delivery(each) for each in events])) == {DELIVERED}
    await server.restart()
    async with await log_in(server, "reader@localhost") as reader:
        kept = await items(reader, server.pubsub_service, node)
    read = [event_of(b"<item id='%b'>%b</item>" % (each.item_id.encode(), each.payload)) for each in kept]
    assert [each.event.encoded for each in read] == [each.encoded for each in events]
