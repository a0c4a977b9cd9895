"""What of all that arrives is meant for the bot, and what is never answered: errors, history, machines. Pure."""

from __future__ import annotations

import re
from typing import Protocol

from xmppbus.xmpp.messages import Heard

_VARIANTS = re.compile("[\ufe0e\ufe0f\u200d\U0001f3fb-\U0001f3ff]")  # text or picture, and skin tones
_YES = frozenset("👍✅✔☑👌🆗")


def is_yes(emoji: str) -> bool:
    """Whether a reaction, or a word that is none but an emoji, acknowledges: 👍 ✅ ✔️, in any colour of skin."""
    return _VARIANTS.sub("", emoji.strip()) in _YES


class Rooms(Protocol):
    """What has to be known of rooms; see `xmppbus.xmpp.rooms`."""

    def is_room(self, jid: str) -> bool:
        """Whether that bare JID is a room that we are in, or want to be in."""

    def nick(self, room: str) -> str:
        """What we are called there; empty where we are not."""

    def is_own_reflection(self, heard: Heard) -> bool:
        """Whether it is what we said ourselves."""


def located(heard: Heard, rooms: Rooms) -> Heard:
    """With the place where it was said. A private message in a room comes from an occupant of one that we are in; that
    a message says so itself is nothing: clients leave it out, and anybody can write it."""
    is_private = heard.kind in ("chat", "normal") and heard.invitation is None and rooms.is_room(heard.bare)
    return heard._replace(is_private=is_private)


def is_for_people(heard: Heard, rooms: Rooms) -> bool:
    """Whether somebody may have typed it: errors, headlines, what is automatic, a room's history and what we said there
    ourselves are not answered, nor is what has no sender (our own account's server)."""
    if heard.kind not in ("chat", "normal", "groupchat") or heard.is_automatic or heard.invitation or not heard.sender:
        return False
    if not heard.is_private and heard.kind != "groupchat":
        return True
    if not heard.nick or not rooms.nick(heard.bare):
        return False  # before we are in it nobody there is known
    # A command of yesterday that waited in a server's storage is still meant; a room's history was answered then.
    return heard.is_private or not (heard.is_delayed or rooms.is_own_reflection(heard))


def addressed(body: str, prefix: str, nick: str) -> str:
    """What is said to the bot in a room: after the prefix, or a mention of its nick; else nothing.

    `!ack`, `bot: ack`, `bot, ack`, `@bot ack`. Not after a slash: clients say `/me` in rooms.
    """
    text = body.strip()
    if prefix and text.startswith(prefix):
        return text[len(prefix) :].strip()
    mention = re.match(rf"@?{re.escape(nick)}(?:[:,]\s*|\s+)(?=\S)", text, re.IGNORECASE) if nick else None
    return text[mention.end() :].strip() if mention else ""


def is_acting(body: str) -> bool:
    """Whether a reply in a room is meant for the bot although it does not say so: `ack`, `resolve`, an emoji that is a
    yes. What people say to one another of an incident is not.
    """
    word = body.strip().casefold().rstrip(".!")
    return word in ("ack", "unack", "resolve") or is_yes(word)
