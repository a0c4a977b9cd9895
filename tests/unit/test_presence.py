"""Whose presence is known, and what it comes to when somebody has several clients."""

import pytest
from defusedxml.ElementTree import fromstring

from xmppbus import limits
from xmppbus.xmpp.presence import AWAITED, OFFLINE, UNKNOWN, Presence, Presences

ROMEO = "romeo@example.org"


def tell(of: Presences, inner: str = "", resource: str = "phone", kind: str = "") -> str:
    """Take a presence; how romeo is now if that changed, else nothing."""
    named = f"{ROMEO}/{resource}" if resource else ROMEO
    about = f" type='{kind}'" if kind else ""
    changed = of.take(fromstring(f"<presence xmlns='jabber:component:accept' from='{named}'{about}>{inner}</presence>"))
    return changed[1].show if changed else ""


def watching() -> Presences:
    """Romeo shows us his presence."""
    found = Presences()
    found.watch(ROMEO)
    return found


def test_only_who_is_watched_is_known() -> None:
    """Nobody else takes any memory."""
    of = Presences()
    assert tell(of) == ""
    assert of.of(ROMEO) == UNKNOWN
    assert not of._resources


def test_the_highest_priority_wins_then_the_most_talkative() -> None:
    """RFC 6121 §4.7.2.3."""
    of = watching()
    assert tell(of, "<show>away</show>", "phone") == "away"
    assert tell(of, "", "desk") == "available"
    assert tell(of, "<show>dnd</show><priority>5</priority><status>in a play</status>", "desk") == "dnd"
    assert of.of(ROMEO) == Presence("dnd", "in a play")
    assert tell(of, kind="unavailable", resource="desk") == "away"
    assert tell(of, kind="unavailable", resource="phone") == "offline"


def test_a_resource_that_wants_no_messages_is_not_there() -> None:
    """Its priority is negative: what is sent to the bare JID is kept for later."""
    of = watching()
    assert tell(of, "<priority>-1</priority>") == "offline"
    assert tell(of, "", "desk") == "available"


def test_the_servers_word_counts_for_all_resources() -> None:
    """Unavailable from the bare JID."""
    of = watching()
    tell(of, "", "phone")
    tell(of, "<show>away</show>", "desk")
    assert tell(of, kind="unavailable", resource="") == "offline"


def test_one_client_that_forgets_what_it_corrected_decides_until_others_are_there_alone() -> None:
    """It goes by the clients that there are; by the last ones, when there are none: they come back."""
    of, caps = watching(), "<c xmlns='http://jabber.org/protocol/caps' node='http://profanity-im.github.io'/>"
    assert of.shows_corrections(ROMEO)
    tell(of, "<c xmlns='http://jabber.org/protocol/caps' node='https://poez.io'/>", "phone")
    assert of.shows_corrections(ROMEO)
    tell(of, caps, "desk")
    tell(of, "<show>away</show>", "phone")
    assert not of.shows_corrections(ROMEO)
    tell(of, kind="unavailable", resource="phone")
    tell(of, kind="unavailable", resource="desk")
    of.clear()
    of.watch(ROMEO)
    assert not of.shows_corrections(ROMEO)
    tell(of, "", "phone")
    assert of.shows_corrections(ROMEO)
    tell(of, caps, "desk")
    of.forget(ROMEO)
    assert of.shows_corrections(ROMEO)


def test_who_was_asked_for_is_awaited_until_he_is_heard_of_or_it_takes_too_long() -> None:
    """A server may be silent about those who are not there."""
    of = watching()
    assert of.of(ROMEO) == AWAITED
    assert of.settle() == [ROMEO]
    assert of.of(ROMEO) == OFFLINE
    assert of.settle() == []


@pytest.mark.parametrize("inner", ["<show>asleep</show>", "<priority>high</priority>", "<priority>9999</priority>"])
def test_nonsense_is_read_as_being_there(inner: str) -> None:
    """Nobody is lost for a client's mistake."""
    assert tell(watching(), inner) == "available"


def test_resources_are_bounded() -> None:
    """The oldest go first."""
    of = watching()
    for number in range(limits.RESOURCES * 3):
        tell(of, resource=f"r{number}")
    assert len(of._resources[ROMEO]) == limits.RESOURCES
    of.forget(ROMEO)
    assert of.of(ROMEO) == UNKNOWN
    assert of.online == 0
