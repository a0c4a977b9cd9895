"""Whatever people say to the bot, and whatever XML they send it, it answers in bounds or not at all, and fails never.

`FUZZ_RUNS=100000 pytest tests/fuzz/test_bot.py` is the long form, with other examples each time.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bot_desk import MEMBER, OUTCAST, OWNER, PUBLISHER, ROOM, STRANGER
from tests.support.bot_wire import BOT, Wire, wire
from tests.support.rights import ACTIONS, FIELDS
from xmppbus import limits
from xmppbus.bot.command import Asker, Place
from xmppbus.bot.conversation import answer_to, said
from xmppbus.xmpp import messages
from xmppbus.xmpp.adhoc import COMMANDS
from xmppbus.xmpp.messages import heard
from xmppbus.xmpp.requests import DATA, DISCO_INFO, DISCO_ITEMS

RUNS = int(os.environ.get("FUZZ_RUNS", "200"))
BOUNDED = settings(
    max_examples=RUNS,
    derandomize="FUZZ_RUNS" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LONGEST = limits.ANSWER_CHARACTERS + 200
"""Of an answer: a page, and a sentence that says how to go on."""

PEOPLE = (OWNER, PUBLISHER, MEMBER, STRANGER, OUTCAST, "", "x@y@z", "\u202e", "a" * 3_000 + "@example.org")
NAMESPACES = (
    "jabber:component:accept",
    "jabber:client",
    COMMANDS,
    DATA,
    DISCO_INFO,
    DISCO_ITEMS,
    *(value for name, value in vars(messages).items() if name.isupper() and isinstance(value, str) and ":" in value),
    "urn:xmpp:carbons:2",
    "urn:xmpp:forward:0",
    "urn:xmpp:ping",
    "eu.siacs.conversations.axolotl",
)
NAMES = (
    "body", "subject", "thread", "x", "invite", "reason", "password", "reply", "fallback", "reactions", "reaction",
    "received", "displayed", "acknowledged", "replace", "request", "delay", "headers", "header", "encrypted", "error",
    "text", "gone", "command", "query", "field", "value", "item", "show", "status", "priority", "c", "nick",
)  # fmt: skip
ATTRIBUTES = (
    "id", "to", "from", "type", "jid", "node", "action", "sessionid", "var", "start", "end", "for", "name", "stamp",
    "affiliation", "role", "code", "{http://www.w3.org/XML/1998/namespace}lang",
)  # fmt: skip
VALUES = (
    "", "0", "-1", "1", "9" * 40, "get", "set", "result", "error", "submit", "cancel", "execute", "complete", "next",
    "Auto-Submitted", "urn:xmpp:reply:0", COMMANDS, "confirm", "pattern", OWNER, f"{ROOM}/nurse", "de", "../../x", "👍",
)  # fmt: skip

characters = st.characters(
    codec="utf-8", exclude_categories=("Cs", "Cc"), include_characters="\t\n\x85", exclude_characters="\ufffe\uffff"
)  # what XML 1.0 lets through, so that it can arrive at all
anything = st.text(characters, max_size=60)
words = st.sampled_from(
    [*ACTIONS, "disk.#", "#", "warning", "every", "digest", "15m", "quiet", "22:00-07:00", "Europe/Rome", "but", "db1",
     "nothing", "retry", "drop", "1", "99999999999999999999", '"', "'", "«", "/", "!", "👍", "6f1f7a0e", OWNER, "more"]
)  # fmt: skip
lines = st.one_of(
    anything,
    st.lists(st.one_of(words, anything), min_size=1, max_size=6).map(" ".join),
    st.tuples(st.sampled_from(sorted(ACTIONS)), anything).map(" ".join),
)
values = st.one_of(st.sampled_from(VALUES), anything)
attributes = st.dictionaries(st.sampled_from(ATTRIBUTES), values, max_size=4)


@st.composite
def elements(draw: st.DrawFn, depth: int = 0) -> Element:
    """A child of a stanza: known names in known namespaces, in any order and depth."""
    tag = f"{{{draw(st.sampled_from(NAMESPACES))}}}{draw(st.sampled_from(NAMES))}"
    made = Element(tag, draw(attributes))
    made.text = draw(st.none() | lines)
    if depth < 2:
        made.extend(draw(st.lists(elements(depth + 1), max_size=2)))
    return made


@st.composite
def stanzas(draw: st.DrawFn) -> Element:
    """A message, a presence or a request to the bot."""
    name = draw(st.sampled_from(("message", "message", "presence", "iq", "iq")))
    made = Element(f"{{jabber:component:accept}}{name}", draw(attributes))
    made.set("to", draw(st.sampled_from((BOT, f"{BOT}/xmppbus", f"{BOT}/1234abcd"))))
    made.set("from", draw(st.sampled_from([f"{each}/phone" for each in PEOPLE] + [f"{ROOM}/nurse", ROOM])))
    if name == "iq":
        made.set("type", draw(st.sampled_from(("get", "set"))))
        if draw(st.booleans()):
            made.append(draw(commands()))
    elif draw(st.booleans()):
        SubElement(made, "{jabber:component:accept}body").text = draw(lines)
    made.extend(draw(st.lists(elements(), max_size=3)))
    return made


@st.composite
def commands(draw: st.DrawFn) -> Element:
    """An ad-hoc command with a form, more or less."""
    made = Element(f"{{{COMMANDS}}}command", draw(attributes))
    made.set("node", draw(st.sampled_from(sorted(ACTIONS)) | anything))
    form = SubElement(made, f"{{{DATA}}}x", {"type": draw(st.sampled_from(("submit", "submit", "cancel", "form")))})
    names = FIELDS.get(made.get("node", ""), {"confirm": ""})
    for name in draw(st.lists(st.sampled_from(sorted(names)) | anything, max_size=4)):
        field = SubElement(form, f"{{{DATA}}}field", {"var": name})
        SubElement(field, f"{{{DATA}}}value").text = draw(lines)
    return made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Wire]]:
    """The bot, and the loop in which it lives."""
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setattr(limits, "LEDGER_SECONDS", 0.0)  # nobody waits for a message that never was
        opened = wire(tmp_path_factory.mktemp("bot"))
        yield runner, runner.run(opened.__aenter__())
        runner.run(opened.__aexit__(None, None, None))


@given(lines, st.sampled_from(PEOPLE), st.sampled_from(Place), st.sampled_from(["", "an-id"]))
@settings(BOUNDED, max_examples=RUNS * 5)
def test_any_line_is_answered_in_bounds(
    running: tuple[asyncio.Runner, Wire], text: str, jid: str, place: Place, replies_to: str
) -> None:
    """At the desk, from everybody, everywhere."""
    runner, opened = running
    room = ROOM if place in (Place.ROOM, Place.PRIVATE) else ""
    asker = Asker(jid, place, room, "nick", f"{jid}/phone", "member", replies_to)

    async def answer() -> str:
        desk = opened.desk.desk
        return said(desk, asker, await answer_to(desk, asker, text))

    assert len(runner.run(answer())) <= LONGEST + 2 * len(jid)


@given(stanzas())
@BOUNDED
def test_any_message_is_read_within_its_bounds(stanza: Element) -> None:
    """Or is one that is never opened."""
    found = heard(stanza)
    if found is None:
        return
    assert len(found.body) <= limits.HEARD_CHARACTERS
    assert len(found.subject or "") <= limits.HEARD_CHARACTERS
    assert len(found.thread) <= limits.NAME_CHARACTERS
    if found.reactions is not None:
        assert len(found.reactions.emojis) <= limits.REACTIONS


@given(st.lists(stanzas(), min_size=1, max_size=2))
@BOUNDED
def test_any_stanzas_are_answered_within_bounds_or_not_at_all(
    running: tuple[asyncio.Runner, Wire], given_stanzas: list[Element]
) -> None:
    """What is written is XML, as much as was asked for; errors are never answered; nothing is logged as a failure."""
    runner, opened = running
    opened.desk.clock.move(minutes=3)  # a silence because of too many answers is over
    failures = Failures()
    logging.getLogger().addHandler(failures)
    try:
        written = runner.run(opened.give(*given_stanzas))
    finally:
        logging.getLogger().removeHandler(failures)
    assert not failures.texts
    asked = [each for each in given_stanzas if each.get("type") != "error"]
    requests = [each for each in asked if each.tag.endswith("}iq")]
    said_by_us = [each for each in written if each.tag == "message"]
    assert len(said_by_us) <= 3 * len(asked)  # a receipt, an answer, and a wish that an owner is told of
    assert sum(1 for each in written if each.tag == "iq" and each.get("type") in ("result", "error")) == len(requests)
    for each in said_by_us:
        assert len(each.findtext("body") or "") <= LONGEST + 6_000  # of somebody whose JID is that long


class Failures(logging.Handler):
    """What is logged of things that could not be dealt with."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.texts.append(self.format(record))


def test_the_bot_still_answers(running: tuple[asyncio.Runner, Wire]) -> None:
    """After all that."""
    runner, opened = running
    opened.desk.clock.move(minutes=3)
    asking: Any = Element("{jabber:component:accept}message", {"type": "chat", "from": f"{OWNER}/phone", "to": BOT})
    SubElement(asking, "{jabber:component:accept}body").text = "whoami"
    (answer,) = runner.run(opened.give(asking))
    assert (answer.findtext("body") or "").startswith(f"You are {OWNER}, owner.")
