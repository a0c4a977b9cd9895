"""What people type, in any case, in any quotes; and what they are told when it can't be read."""

from __future__ import annotations

import contextlib
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmppbus.bot import words
from xmppbus.bot.access import Action
from xmppbus.bot.command import Answer, Argument, Command, Kind, Unusable
from xmppbus.bot.commands.listening import SUBSCRIBE
from xmppbus.bot.hearing import addressed, is_acting, is_yes
from xmppbus.bot.reading import READERS, Way
from xmppbus.people.model import Quiet


async def _nothing(*_: Any) -> Answer:
    return Answer()


def command(name: str, *arguments: Argument, aliases: tuple[str, ...] = ()) -> Command:
    return Command(name, "Do something", _nothing, Action.TALK, arguments, f"{name} example", aliases)


NUMBER = Argument("number", Kind.NUMBER, "how many", required=False)
PATTERN = Argument("pattern", Kind.PATTERN, "types", required=False)
KEY = Argument("key", Kind.KEY, "which", required=False)
DURATION = Argument("duration", Kind.DURATION, "how long")
COMMANDS = {
    each.name: each
    for each in (
        command("help", Argument("command", Kind.COMMAND, "a command", required=False), aliases=("?",)),
        command("last", NUMBER, PATTERN),
        command("subscribe", *SUBSCRIBE),
        command("snooze", KEY, DURATION),
        command("ack", KEY),
        command("publish", Argument("type", Kind.TYPE, "type"), Argument("text", Kind.TEXT, "text")),
        command("dead", Argument("what", Kind.WORD, "what", required=False, choices=("retry", "drop")), NUMBER),
        command("allow", Argument("jid", Kind.JID, "who")),
        command("version"),
    )
}


def values(line: str) -> dict[str, Any]:
    return words.read(line, COMMANDS, "!").values


@pytest.mark.parametrize("line", ["last", "/last", "!last", "LAST", "Last", " last ", "last.", "/Last!", "! last"])
def test_a_command_is_known_in_any_case_and_with_any_sign_before_it(line: str) -> None:
    """Phones write a capital first, and a full stop last."""
    assert words.read(line, COMMANDS, "!").command.name == "last"


def test_an_alias_is_the_command() -> None:
    """One sign of it, even."""
    assert words.read("?", COMMANDS).command.name == "help"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("last", {"number": None, "pattern": None}),
        ("last 5", {"number": 5, "pattern": None}),
        ("last disk.#", {"number": None, "pattern": "disk.#"}),
        ("last  5   disk.#", {"number": 5, "pattern": "disk.#"}),
        ("snooze 1h", {"key": None, "duration": timedelta(hours=1)}),
        ("snooze db1 1h", {"key": "db1", "duration": timedelta(hours=1)}),
        ('snooze "disk / on db1" 30m', {"key": "disk / on db1", "duration": timedelta(minutes=30)}),
        ("snooze “disk / on db1” 30m", {"key": "disk / on db1", "duration": timedelta(minutes=30)}),
        ("snooze „disk /“ 30m", {"key": "disk /", "duration": timedelta(minutes=30)}),
        ("ack disk / on db1", {"key": "disk / on db1"}),
        ("ack 'disk /'", {"key": "disk /"}),
        ("ack don't panic", {"key": "don't panic"}),
        ("publish a.b two\nlines", {"type": "a.b", "text": "two\nlines"}),
        ("publish a.b\ntext", {"type": "a.b", "text": "text"}),
        ('publish a.b it\'s "quoted" here', {"type": "a.b", "text": 'it\'s "quoted" here'}),
        ("dead", {"what": None, "number": None}),
        ("dead RETRY 17", {"what": "retry", "number": 17}),
        ("dead 17", {"what": None, "number": 17}),
        ("allow Romeo@Example.ORG", {"jid": "romeo@example.org"}),
        ("allow xmpp:romeo@example.org?message", {"jid": "romeo@example.org"}),
    ],
)
def test_arguments_become_values(line: str, found: dict[str, Any]) -> None:
    """Optional ones are left out where the next word does not fit them."""
    assert values(line) == found


@pytest.mark.parametrize(
    ("line", "severity", "way"),
    [
        ("subscribe #", None, None),
        ("subscribe # warning", "warning", None),
        ("subscribe # Warning", "warning", None),
        ("subscribe # >=error", "error", None),
        ("subscribe # every", None, Way()),
        ("subscribe # digest 15m", None, Way(900)),
        ("subscribe # digest 15m 20", None, Way(900, 20)),
        ("subscribe # error digest 1h", "error", Way(3600)),
        ("subscribe # quiet 22:00-07:00", None, Way(quiet=Quiet(start=1320, end=420))),
        ("subscribe # quiet 22-7", None, Way(quiet=Quiet(start=1320, end=420))),
        (
            "subscribe # quiet 22:00 - 7:00 but error",
            None,
            Way(quiet=Quiet(start=1320, end=420, breaks_through="error")),
        ),
        ("subscribe # quiet 22:00-24:00 Europe/Rome", None, Way(quiet=Quiet(start=1320, end=0, zone="Europe/Rome"))),
        (
            "subscribe # info quiet 22:00–07:00 but error digest 15m",
            "info",
            Way(900, 0, Quiet(start=1320, end=420, breaks_through="error")),
        ),
    ],
)
def test_how_to_be_told_is_read_in_words(line: str, severity: str | None, way: Way | None) -> None:
    """Severity and way may be left out, each."""
    assert values(line) == {"pattern": "#", "severity": severity, "way": way}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("lsat", "did you mean `last`?"),
        ("sbscribe #", "did you mean `subscribe`?"),
        ("xyzzy", "`help` lists"),
        ("subscribe", "PATTERN is missing"),
        ("subscribe a..b", "`a..b` is no pattern"),
        ("subscribe # wraning", "`wraning`"),
        ("subscribe # digest", "digest 15m"),
        ("subscribe # digest soon", "`soon` is no time"),
        ("subscribe # quiet", "22:00-07:00"),
        ("subscribe # quiet 22:00-07:00 Mars/Base", "Mars/Base"),
        ("subscribe # quiet 29:00-07:00", "29:00"),
        ("last 5 a b", "What is `b` for?"),
        ("snooze", "DURATION is missing"),
        ("snooze db1", "DURATION is missing"),
        ("snooze db1 0m", "`0m` is no time"),
        ("snooze db1 9999d", "at most a year"),
        ("publish a.b", "TEXT is missing"),
        ("publish a.* x", "is no type"),
        ("dead retyr 17", "did you mean `retry`?"),
        ("allow romeo", "is no JID"),
        ("allow a@b@c", "is no JID"),
        ("version 2", "What is `2` for?"),
    ],
)
def test_what_can_not_be_read_is_answered_with_how_to_mend_it(line: str, says: str) -> None:
    """A sentence, and an example."""
    with pytest.raises(Unusable, match=re.escape(says)):
        values(line)


def test_what_can_not_be_read_shows_an_example_of_the_command() -> None:
    """To be typed as it stands."""
    with pytest.raises(Unusable, match="For example: `snooze example`; more: `help snooze`"):
        values("snooze")


@given(st.text(max_size=300))
def test_any_line_is_a_command_or_unusable(line: str) -> None:
    """Nothing else comes of it, and no answer repeats more than a little of it."""
    told = ""
    try:
        words.read(line, COMMANDS, "!")
    except Unusable as error:
        told = str(error)
    assert len(told) < 400


@given(st.sampled_from(sorted(COMMANDS)), st.text(max_size=200))
def test_any_argument_is_a_value_or_unusable(name: str, rest: str) -> None:
    """For each command."""
    try:
        found = words.values_of(COMMANDS[name], rest)
    except Unusable:
        return
    assert set(found) == {each.name for each in COMMANDS[name].arguments}


@given(st.sampled_from(list(Kind)), st.text(max_size=100))
def test_any_word_is_a_value_of_its_kind_or_unusable(kind: Kind, word: str) -> None:
    """In a field of a form as well."""
    with contextlib.suppress(Unusable):
        words.value_of(Argument("it", kind, "anything", required=False), word)


def test_every_kind_of_argument_is_read() -> None:
    """A new kind can't be forgotten."""
    assert set(READERS) == set(Kind)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("!ack", "ack"),
        ("bot: ack db1", "ack db1"),
        ("Bot, ack", "ack"),
        ("@bot ack", "ack"),
        ("bot ack", "ack"),
        ("ack", ""),
        ("/me waves", ""),
        ("robot: ack", ""),
        ("bots are great", ""),
        ("the bot: ack", ""),
        ("bot", ""),
    ],
)
def test_in_a_room_only_what_is_said_to_the_bot_is_a_command(body: str, said: str) -> None:
    """By prefix, or by its nick at the beginning."""
    assert addressed(body, "!", "bot") == said


def test_without_a_prefix_a_room_needs_the_nick() -> None:
    """An empty prefix is none."""
    assert addressed("ack", "", "bot") == ""
    assert addressed("bot: ack", "", "bot") == "ack"


@pytest.mark.parametrize("emoji", ["👍", "👍🏽", "👍🏿", "✅", "✔️", "✔", "☑️", "✅️"])
def test_a_thumb_of_any_colour_is_a_yes(emoji: str) -> None:
    """With or without the sign that asks for a picture."""
    assert is_yes(emoji)
    assert is_acting(emoji)


@pytest.mark.parametrize("emoji", ["👎", "❤️", "", "x", "👍👎", "🏽"])
def test_other_emojis_are_not(emoji: str) -> None:
    """Nor is nothing."""
    assert not is_yes(emoji)
