"""The bot's part of the config, and the sentence for everything that it does not take."""

from __future__ import annotations

from tests.unit.test_config import XMPP, Said, Write, said, write
from xmppbus.config import load
from xmppbus.event import Event

__all__ = ["said", "write"]  # fixtures


def test_a_bot_is_checked_for_what_its_types_cannot_say(said: Said) -> None:
    """All at once, each at its place."""
    lines = said(
        XMPP + "bot:\n"
        "  affiliations: {romeo@example.org: owner, ROMEO@example.org: member, 'a b@c': none}\n"
        "  time_zone: Europe/Verona\n"
        "  rooms: [{jid: ops}, {jid: ops@muc.example.org}, {jid: OPS@muc.example.org}]\n"
        "routes: [{name: a, to: ['chat:romeo', 'room:ops@muc.example.org']}]\n"
    )
    assert [line.partition(": ")[2] for line in lines] == [
        "`ROMEO@example.org` is the same JID as `romeo@example.org`",
        "`a b@c` should be a bare JID or a domain: `romeo@example.org`",
        "no time zone is called `Europe/Verona`; names are like `Europe/Rome` and `UTC`",
        "`ops` should be a room's bare JID: `ops@muc.example.org`",
        "the room `OPS@muc.example.org` is here a second time",
        "`chat:` is followed by a bare JID, such as `chat:romeo@example.org`",
    ]


def test_a_route_to_people_is_enough_for_a_bot_and_a_bot_needs_a_server(said: Said, write: Write) -> None:
    """Nobody has to write `bot: {}`."""
    assert load(write(XMPP + "routes: [{name: a, to: ['chat:romeo@example.org']}]\n"), {}).options.bot is not None
    assert "there is no `xmpp:`" in said("routes: [{name: a, to: ['chat:romeo@example.org']}]\n")[0]
    assert "there is no `xmpp:`" in said("bot: {}\n")[0]


def test_with_a_bot_every_event_is_matched_with_what_people_want(write: Write) -> None:
    """Beside the other routes, once; and JIDs in routes are prepared."""
    config = load(write(XMPP + "bot: {}\nroutes: [{name: a, to: ['chat:ROMEO@Example.org']}]\n"), {})
    event = Event({"type": "a.b", "id": "1", "source": "s", "time": "2026-01-31T12:00:00Z"})
    targets = [tuple(each) for each in config.routes.route(event)]
    assert targets == [("pubsub", "a.b"), ("chat", "romeo@example.org"), ("people", "all")]
    assert any("no owner" in warning for warning in config.warnings)


def test_owners_are_told_who_can_not_be_reached_without_subscribing_to_it(write: Write) -> None:
    """Of us, and not of anybody else's `person` events; a domain that is owner is nobody to write to."""
    bot = "bot: {affiliations: {ROMEO@example.org: owner, example.net: owner, juliet@example.org: member}}\n"
    config = load(write(XMPP + bot), {})
    fields = {"type": "person.suspended", "id": "1", "time": "2026-01-31T12:00:00Z"}
    to_chat = [
        [target.place for target in config.routes.route(Event({**fields, "source": source})) if target.output == "chat"]
        for source in ("xmppbus", "crm")
    ]
    assert to_chat == [["romeo@example.org"], []]


def test_what_an_analyzer_makes_comes_by_people_too(write: Write) -> None:
    """It is an event like every other; what it lets pass has come by at the door."""
    routes = "routes: [{name: a, match: 'disk.#', via: [x], to: [pubsub]}]\n"
    config = load(write(XMPP + "bot: {}\n" + routes), {})
    event = Event({"type": "disk.digest", "id": "1", "source": "s", "time": "2026-01-31T12:00:00Z"})
    assert [tuple(each) for each in config.routes.derived("a/0", event)] == [
        ("pubsub", "disk.digest"),
        ("people", "all"),
    ]
    assert [tuple(each) for each in config.routes.onward("a/0", event)] == [("pubsub", "disk.digest")]


def test_for_whom_is_encrypted_is_checked_too(said: Said, write: Write) -> None:
    """By JID or domain, each once, in one of three words; a word for all is `true` or `false`."""
    wrong = "bot: {omemo: {romeo@example.org: required, Romeo@example.org: never, 'a b@c': possible}}\n"
    assert [line.partition(": ")[2] for line in said(XMPP + wrong)] == [
        "`Romeo@example.org` is the same JID as `romeo@example.org`",
        "`a b@c` should be a bare JID or a domain: `romeo@example.org`",
    ]
    (word,) = said(XMPP + "bot: {omemo: {romeo@example.org: allways}}\n")
    assert "bot.omemo.romeo@example.org can't be `allways`" in word
    (kind,) = said(XMPP + "bot: {omemo: sometimes}\n")
    assert "bot.omemo should be `true` or `false` or options by name, not `sometimes`" in kind
    bot = load(write(XMPP + "bot: {omemo: {example.org: possible}}\n"), {}).options.bot
    assert bot is not None
    assert bot.omemo == {"example.org": "possible"}
    off = load(write(XMPP + "bot: {}\n"), {}).options.bot
    assert off is not None
    assert off.omemo is False, "off by default"
