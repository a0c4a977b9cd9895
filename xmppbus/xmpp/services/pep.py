"""What an account tells its contacts of itself (XEP-0163): tune, mood, activity, place and nickname. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from xmppbus.errors import Code, Refused
from xmppbus.render import plain
from xmppbus.xmpp.replies import local_name
from xmppbus.xmpp.stanzas import PUBSUB, attribute, element_text


class Kind(NamedTuple):
    """A payload: where it is, and what can be in it."""

    word: str
    node: str
    tag: str
    parts: tuple[str, ...] = ()


TUNE = Kind(
    "tune", "http://jabber.org/protocol/tune", "tune",
    ("artist", "length", "rating", "source", "title", "track", "uri"),
)  # fmt: skip
LOCATION = Kind(
    "location", "http://jabber.org/protocol/geoloc", "geoloc",
    ("accuracy", "alt", "area", "bearing", "building", "country", "countrycode", "datum", "description", "floor",
     "lat", "locality", "lon", "postalcode", "region", "room", "speed", "street", "text", "timestamp", "tzo", "uri"),
)  # fmt: skip
MOOD = Kind("mood", "http://jabber.org/protocol/mood", "mood")
ACTIVITY = Kind("activity", "http://jabber.org/protocol/activity", "activity")
NICK = Kind("nick", "http://jabber.org/protocol/nick", "nick")
KINDS = {each.word: each for each in (TUNE, MOOD, ACTIVITY, LOCATION, NICK)}

MOODS = (
    "afraid", "amazed", "amorous", "angry", "annoyed", "anxious", "aroused", "ashamed", "bored", "brave", "calm",
    "cautious", "cold", "confident", "confused", "contemplative", "contented", "cranky", "crazy", "creative",
    "curious", "dejected", "depressed", "disappointed", "disgusted", "dismayed", "distracted", "embarrassed",
    "envious", "excited", "flirtatious", "frustrated", "grateful", "grieving", "grumpy", "guilty", "happy",
    "hopeful", "hot", "humbled", "humiliated", "hungry", "hurt", "impressed", "in_awe", "in_love", "indignant",
    "interested", "intoxicated", "invincible", "jealous", "lonely", "lost", "lucky", "mean", "moody", "nervous",
    "neutral", "offended", "outraged", "playful", "proud", "relaxed", "relieved", "remorseful", "restless", "sad",
    "sarcastic", "satisfied", "serious", "shocked", "shy", "sick", "sleepy", "spontaneous", "stressed", "strong",
    "surprised", "thankful", "thirsty", "tired", "undefined", "weak", "worried",
)  # fmt: skip
"""XEP-0107 §3."""

ACTIVITIES: Mapping[str, tuple[str, ...]] = {
    "doing_chores": ("buying_groceries", "cleaning", "cooking", "doing_maintenance", "doing_the_dishes",
                     "doing_the_laundry", "gardening", "running_an_errand", "walking_the_dog"),
    "drinking": ("having_a_beer", "having_coffee", "having_tea"),
    "eating": ("having_a_snack", "having_breakfast", "having_dinner", "having_lunch"),
    "exercising": ("cycling", "dancing", "hiking", "jogging", "playing_sports", "running", "skiing", "swimming",
                   "working_out"),
    "grooming": ("at_the_spa", "brushing_teeth", "getting_a_haircut", "shaving", "taking_a_bath", "taking_a_shower"),
    "having_appointment": (),
    "inactive": ("day_off", "hanging_out", "hiding", "on_vacation", "praying", "scheduled_holiday", "sleeping",
                 "thinking"),
    "relaxing": ("fishing", "gaming", "going_out", "partying", "reading", "rehearsing", "shopping", "smoking",
                 "socializing", "sunbathing", "watching_a_movie", "watching_tv"),
    "talking": ("in_real_life", "on_the_phone", "on_video_phone"),
    "traveling": ("commuting", "cycling", "driving", "in_a_car", "on_a_bus", "on_a_plane", "on_a_train", "on_a_trip",
                  "walking"),
    "undefined": (),
    "working": ("coding", "in_a_meeting", "studying", "writing"),
}  # fmt: skip
"""XEP-0108 §3: general, and what each can be in particular; `other` can be all."""

_NUMBERS = {"lat": (-90, 90), "lon": (-180, 180), "accuracy": (0, 1e9), "rating": (1, 10), "length": (0, 1e9)}


def payload(kind: Kind, parts: Mapping[str, str]) -> str:
    """Of the kinds that have parts; an empty one clears (XEP-0118 §2, XEP-0080 §4). Raises `Refused`."""
    for name, value in parts.items():
        if name in _NUMBERS:
            _check_number(name, value, *_NUMBERS[name])
    inner = "".join(f"<{name}>{element_text(_text(parts[name]))}</{name}>" for name in kind.parts if name in parts)
    return f"<{kind.tag} xmlns='{kind.node}'>{inner}</{kind.tag}>"


def mood(word: str = "", text: str = "") -> str:
    """XEP-0107; without a word none. Raises `Refused`."""
    if word and word not in MOODS:
        raise Refused(Code.USAGE, f"{plain(word)!r} is no mood of XEP-0107; `xmppbus pep mood --help` shows them")
    inner = f"<{word}/>" if word else ""
    return f"<mood xmlns='{MOOD.node}'>{inner}{_said(text)}</mood>"


def activity(words: str = "", text: str = "") -> str:
    """XEP-0108: `working`, `working/coding`; without words none. Raises `Refused`."""
    general, _, specific = words.partition("/")
    if general and general not in ACTIVITIES:
        raise Refused(
            Code.USAGE, f"{plain(general)!r} is no activity of XEP-0108; it is one of {', '.join(ACTIVITIES)}"
        )
    if specific and specific != "other" and specific not in ACTIVITIES[general]:
        known = ", ".join((*ACTIVITIES[general], "other"))
        raise Refused(Code.USAGE, f"{general} is not {plain(specific)!r} in particular; it is one of {known}")
    below = f"<{specific}/>" if specific else ""
    inner = f"<{general}>{below}</{general}>" if general else ""
    return f"<activity xmlns='{ACTIVITY.node}'>{inner}{_said(text)}</activity>"


def nick(name: str = "") -> str:
    """XEP-0172; without a name none."""
    return f"<nick xmlns='{NICK.node}'>{element_text(_text(name))}</nick>"


def publish(kind: Kind, content: str) -> str:
    """Publish it on one's own node (XEP-0163 §3); `current` is the id of what there is one of."""
    item = f"<item id='current'>{content}</item>"
    return f"<pubsub xmlns='{PUBSUB}'><publish node='{attribute(kind.node)}'>{item}</publish></pubsub>"


def read(payload_: Element | None) -> dict[str, Any]:
    """Words and texts of a payload of any kind; empty where it says nothing."""
    if payload_ is None:
        return {}
    found: dict[str, Any] = {}
    if not len(payload_):
        return {"nick": payload_.text} if payload_.text and payload_.tag == f"{{{NICK.node}}}nick" else {}
    for child in payload_:
        name = local_name(child)
        if payload_.tag in (f"{{{MOOD.node}}}mood", f"{{{ACTIVITY.node}}}activity") and name != "text":
            below = next(iter(child), None)
            word = f"{name}/{local_name(below)}" if below is not None else name
            found[local_name(payload_)] = word
        else:
            found[name] = child.text or ""
    return found


def _said(text: str) -> str:
    return f"<text>{element_text(_text(text))}</text>" if text else ""


def _text(text: str) -> str:
    """Without what XML forbids, and without what would move a cursor."""
    return "".join(each for each in plain(text) if each not in "\x00\ufffe\uffff" and not "\ud800" <= each <= "\udfff")


def _check_number(name: str, value: str, least: float, most: float) -> None:
    try:
        is_fine = least <= float(value) <= most
    except ValueError:
        is_fine = False
    if not is_fine:
        raise Refused(Code.USAGE, f"{name} is a number from {least:g} to {most:g}, not {plain(value)!r}")
