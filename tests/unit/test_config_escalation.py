"""`escalate` of a route, and the sentence for what it does not take."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.unit.test_config import XMPP, Said, Write, said, write
from xmppbus.config import load, verify
from xmppbus.errors import ConfigInvalid
from xmppbus.event import Event
from xmppbus.people import escalating
from xmppbus.plugins import Registry
from xmppbus.route import Address

__all__ = ["said", "write"]  # fixtures

ROUTE = "routes: [{name: a, to: ['chat:romeo@example.org'], escalate: %s}]\n"


def test_a_step_is_checked_for_what_its_types_cannot_say(said: Said) -> None:
    """All at once, each at its place."""
    lines = said(
        XMPP + ROUTE % "[{after: 0s, to: ['chat:ROMEO', 'chat:romeo@example.org']}, {after: 31d, to: [pager, pager]}]"
    )
    assert [line.partition(": ")[2] for line in lines] == [
        "`after` is from `1s` to `30d`, not `0s`",
        "`chat:` is followed by a bare JID, such as `chat:romeo@example.org`",
        "`chat:romeo@example.org` is here a second time; an escalation calls others",
        "`after` is from `1s` to `30d`, not `31d`",
        "`pager` is here a second time; an escalation calls others",
    ]


def test_a_step_has_a_duration_a_reason_and_somebody_to_call(said: Said) -> None:
    """Said in words of the option."""
    assert "a number and s, m, h or d" in said(XMPP + ROUTE % "[{after: soon, to: [pager]}]")[0]
    assert "`acknowledged`" in said(XMPP + ROUTE % "[{after: 5m, unless: seen, to: [pager]}]")[0]
    assert said(XMPP + ROUTE % "[{after: 5m, to: []}]")


def test_without_a_bot_nobody_knows_who_acknowledged(said: Said) -> None:
    """So it is asked for, and comes by itself where a person is called."""
    (line,) = said("routes: [{name: a, to: [pager], escalate: [{after: 5m, to: [siren]}]}]\n")
    assert "write `bot: {}`" in line


def test_an_output_that_nobody_offers_is_told_in_a_step_as_well(write: Write) -> None:
    """Before anything is delivered."""
    config = load(write(XMPP + ROUTE % "[{after: 5m, to: [pagre]}]"), {})
    registry = Registry()
    for name in ("chat", "pager", "pubsub"):
        registry.output(name, lambda *_: None)  # type: ignore[arg-type]  # only its name is looked at
    try:
        verify(config, registry)
    except ConfigInvalid as error:
        said = str(error)
    assert "no output is called `pagre`; did you mean `pager`?" in said


def test_a_route_that_escalates_goes_to_the_output_that_waits(write: Write) -> None:
    """Once, behind its own addresses; its steps have prepared JIDs."""
    config = load(write(XMPP + ROUTE % "[{after: 90s, to: ['chat:Juliet@Example.org', pager]}]"), {})
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    event = Event({"type": "a.b", "id": "1", "source": "s", "time": now.isoformat()})
    targets = [tuple(each) for each in config.routes.route(event)]
    assert targets[1:3] == [("chat", "romeo@example.org"), ("escalation", "a")]
    chain = escalating.chains(config.routes, config.options.routes)["a"]
    assert chain.steps == ((90.0, "acknowledged", (Address("chat", "juliet@example.org"), Address("pager"))),)
