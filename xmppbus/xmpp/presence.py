"""Who is there: the presence of people who let us see it, of all their resources (RFC 6121 §4). Pure, in memory."""

from __future__ import annotations

from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.xmpp.profile import CAPS
from xmppbus.xmpp.replies import local_name

SHOWS = ("chat", "available", "away", "xa", "dnd")
"""How somebody who is there is, the most talkative first. `available` is what the standard leaves unsaid."""

FORGETFUL = frozenset({"http://profanity-im.github.io"})
"""COMPAT(profanity 0.13.1): the caps nodes (XEP-0115 §4) of clients that show nothing of a correction when they have
shown one of the same message before, or have not seen the message since they started; `docs/reference/clients.md`. The
test is `test_profanity_is_told_each_change_in_a_line_of_its_own`."""

TABLELESS = frozenset({"http://profanity-im.github.io", "https://poez.io"})
"""COMPAT(profanity 0.13.1, poezio 0.14): those of clients that show a form with a table as an empty one. The test is
`test_a_table_of_an_ad_hoc_command_is_shown_as_lines`."""


class Presence(NamedTuple):
    """How somebody is: one of `SHOWS`, `offline`, `unknown` to us, or `awaited`: we have asked, or are about to."""

    show: str
    status: str = ""  # in the person's own words


OFFLINE = Presence("offline")
UNKNOWN = Presence("unknown")
AWAITED = Presence("awaited")


class _Resource(NamedTuple):
    priority: int
    presence: Presence
    node: str  # of its caps: what client it is, as far as it says so


class Presences:
    """By bare JID. Only of those that are watched: nobody else can fill it."""

    def __init__(self) -> None:
        self._resources: dict[str, dict[str, _Resource]] = {}
        self._expected: set[str] = set()  # asked, and not answered yet
        self._watched: set[str] = set()
        self._forgetful: set[str] = set()  # of the watched; stays when they leave, since they come back with the same

    def watch(self, jid: str) -> None:
        """It shows us its presence: until it is heard of, it is awaited."""
        self._watched.add(jid)
        self._resources.pop(jid, None)
        self._expected.add(jid)

    def forget(self, jid: str) -> None:
        """It shows us nothing any more."""
        self._watched.discard(jid)
        self._forgetful.discard(jid)
        self._expected.discard(jid)
        self._resources.pop(jid, None)

    def clear(self) -> None:
        """Nothing is known any more, but what clients there were; what was watched is not."""
        self._watched.clear()
        self._expected.clear()
        self._resources.clear()

    def settle(self) -> list[str]:
        """Whoever has not been heard of by now is offline (a server may be silent about that); who they are."""
        settled = [jid for jid in self._expected if jid not in self._resources]
        self._expected.clear()
        return settled

    def of(self, jid: str) -> Presence:
        """The presence of the best resource: the highest priority, then the most talkative."""
        if jid not in self._watched:
            return UNKNOWN
        found = self._resources.get(jid)
        if found:
            best = max(found.values(), key=lambda each: (each.priority, -SHOWS.index(each.presence.show)))
            # A resource with a negative priority is sent nothing (RFC 6121 §8.5.2.1.1): what comes is stored.
            return best.presence if best.priority >= 0 else OFFLINE
        return AWAITED if jid in self._expected else OFFLINE

    def shows_corrections(self, jid: str) -> bool:
        """Whether all its clients do, those it has or had when it was last there; one that does not decides."""
        return jid not in self._forgetful

    def shows_tables(self, full: str) -> bool:
        """Whether the client of a full JID shows a table in a form; so it is believed unless it is known not to."""
        jid, _, resource = full.partition("/")
        found = self._resources.get(jid, {}).get(resource)
        return found is None or found.node not in TABLELESS

    @property
    def online(self) -> int:
        """How many of the watched are there."""
        return sum(1 for found in self._resources.values() if found)

    def take(self, stanza: Element) -> tuple[str, Presence] | None:
        """Look at a presence of type available or unavailable: whose it is and how he is now, if that has changed."""
        jid, _, resource = stanza.get("from", "").partition("/")
        if jid not in self._watched:
            return None
        before = self.of(jid)
        self._expected.discard(jid)
        found = self._resources.setdefault(jid, {})
        if stanza.get("type") == "unavailable":
            # From the bare JID: the server's word that none of them is there (RFC 6121 §4.3.2).
            found.pop(resource, None) if resource else found.clear()
        else:
            found.pop(resource, None)
            found[resource] = _read(stanza)
            while len(found) > limits.RESOURCES:
                del found[next(iter(found))]
        if any(each.node in FORGETFUL for each in found.values()):
            self._forgetful.add(jid)
        elif found:
            self._forgetful.discard(jid)
        now = self.of(jid)
        return (jid, now) if now != before else None


def _read(stanza: Element) -> _Resource:
    texts = {local_name(child): (child.text or "").strip() for child in stanza if child.text}
    show = texts.get("show", "available")
    try:
        priority = int(texts.get("priority", "0"))
    except ValueError:
        priority = 0
    status = texts.get("status", "")[: limits.STATUS_CHARACTERS]
    presence = Presence(show if show in SHOWS else "available", status)
    caps = stanza.find(f"{{{CAPS}}}c")
    node = caps.get("node", "") if caps is not None else ""
    return _Resource(max(-128, min(priority, 127)), presence, node[: limits.STATUS_CHARACTERS])
