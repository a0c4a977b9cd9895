"""An account's contacts, kept by its server (RFC 6121 §2). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.xmpp.contacts import ROSTER
from xmppbus.xmpp.messages import quoted
from xmppbus.xmpp.stanzas import element_text


class Person(NamedTuple):
    """Somebody in a roster. `subscription`: both, to (its presence is seen), from (it sees ours), none."""

    jid: str
    name: str = ""
    subscription: str = "none"
    asked: bool = False  # it has not said yet whether its presence may be seen
    groups: tuple[str, ...] = ()


def request() -> str:
    """Ask for all."""
    return f"<query xmlns='{ROSTER}'/>"


def added(jid: str, name: str, groups: Sequence[str]) -> str:
    """Put somebody in, or change name and groups."""
    inner = "".join(f"<group>{element_text(each)}</group>" for each in groups)
    called = f" name='{quoted(name)}'" if name else ""
    return f"<query xmlns='{ROSTER}'><item jid='{quoted(jid)}'{called}>{inner}</item></query>"


def removed(jid: str) -> str:
    """Take somebody out; the server ends the subscriptions."""
    return f"<query xmlns='{ROSTER}'><item jid='{quoted(jid)}' subscription='remove'/></query>"


def presence(kind: str, to: str) -> bytes:
    """`subscribe` and the like (RFC 6121 §3)."""
    return f"<presence type='{kind}' to='{quoted(to)}'/>".encode()


def read(answer: Element) -> list[Person]:
    """The roster in an answer, by JID."""
    found = [
        Person(
            each.get("jid", ""),
            each.get("name", ""),
            each.get("subscription", "none"),
            each.get("ask") == "subscribe",
            tuple(group.text or "" for group in each.findall(f"{{{ROSTER}}}group")),
        )
        for each in answer.iter(f"{{{ROSTER}}}item")
    ]
    return sorted(found[: limits.CONTACTS], key=lambda each: each.jid)
