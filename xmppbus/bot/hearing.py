"""What of all that arrives is meant for the bot, and what is never answered: errors, history, machines. Pure."""

from __future__ import annotations

import re

from xmppbus.xmpp.messages import Heard

_VARIANTS = re.compile("[\ufe0e\ufe0f\u200d\U0001f3fb-\U0001f3ff]")  # text or picture, and skin tones
_YES = frozenset("👍✅✔☑👌🆗")


def is_yes(emoji: str) -> bool:
    """Whether a reaction, or a word that is none but an emoji, acknowledges: 👍 ✅ ✔️, in any colour of skin."""
    return _VARIANTS.sub("", emoji.strip()) in _YES


def is_for_people(heard: Heard) -> bool:
    """Whether somebody may have typed it: errors, headlines, what is automatic, and a room's history are not answered,
    nor is what has no sender (our own account's server)."""
    if heard.kind not in ("chat", "normal", "groupchat") or heard.is_automatic or heard.invitation or not heard.sender:
        return False
    # A command of yesterday that waited in a server's storage is still meant; a room's history was answered then.
    return not (heard.kind == "groupchat" and (heard.is_delayed or not heard.nick))


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
