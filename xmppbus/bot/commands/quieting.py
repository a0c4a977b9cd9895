"""`mute`, `unmute`, `snooze`, `hold`: what somebody does not want to hear of, for a while or while away."""

from __future__ import annotations

from datetime import datetime, timedelta

from xmppbus.bot.access import Action
from xmppbus.bot.command import Answer, Argument, Asker, Kind, Unusable, Values
from xmppbus.bot.desk import Desk
from xmppbus.bot.finding import incident_of
from xmppbus.fields import SEVERITIES
from xmppbus.people.catalogue import _, mark
from xmppbus.people.model import Mute
from xmppbus.plugins import Registry
from xmppbus.render import plain

_NOTHING = "nothing"


async def mute(desk: Desk, asker: Asker, values: Values) -> Answer:
    """Types, until it is taken back or for a while; without any, what is muted."""
    if values["pattern"] is None:
        return _muted(desk, asker)
    until = _until(desk, values["duration"])
    await desk.audience.mute(asker.subscriber, Mute(pattern=values["pattern"], until=until))
    if until is None:
        return Answer(_("I say nothing of `{pattern}` until you `unmute`.").format(pattern=values["pattern"]))
    return Answer(
        _("I say nothing of `{pattern}` until {time}.").format(pattern=values["pattern"], time=desk.clock_time(until))
    )


def _muted(desk: Desk, asker: Asker) -> Answer:
    now = desk.now()
    mutes = [each for each in desk.audience.person(asker.subscriber).mutes if each.until is None or each.until > now]
    if not mutes:
        return Answer(_("Nothing is muted."))
    lines = [
        f"`{plain(each.pattern or each.key)}` "
        + (_("until {time}").format(time=desk.clock_time(each.until)) if each.until else _("until you `unmute`"))
        for each in mutes
    ]
    return Answer("\n".join([_("Muted:"), *lines]))


async def unmute(desk: Desk, asker: Asker, values: Values) -> Answer:
    """Take back a mute or a snooze; without a word, all of them."""
    named = values["what"] or ""
    gone = await desk.audience.unmute(asker.subscriber, pattern=named)
    if named and not gone:
        gone = await desk.audience.unmute(asker.subscriber, key=named)
    if named and not gone:
        raise Unusable(_("`{name}` is not muted. `mute` alone shows what is.").format(name=plain(named)))
    if not gone:
        return Answer(_("Nothing is muted."))
    names = ", ".join(f"`{plain(each.pattern or each.key)}`" for each in gone)
    return Answer(_("I speak of {names} again.").format(names=names))


async def snooze(desk: Desk, asker: Asker, values: Values) -> Answer:
    """One incident, for a while, for the asker alone: others hear of it all the same."""
    incident = await incident_of(desk, asker, values["key"])
    until = _until(desk, values["duration"])
    await desk.audience.mute(asker.subscriber, Mute(key=incident.key, until=until))
    return Answer(
        _("I say nothing of `{key}` until {time}. Others hear of it all the same.").format(
            key=plain(incident.key), time=desk.clock_time(until) if until else ""
        )
    )


async def hold(desk: Desk, asker: Asker, values: Values) -> Answer:
    """What is kept for later while the asker is away."""
    severity = values["severity"]
    if severity is None:
        severity = desk.audience.person(asker.subscriber).hold_below or _NOTHING
    else:
        await desk.audience.alter(asker.subscriber, hold_below="" if severity == _NOTHING else severity)
    if severity == _NOTHING:
        return Answer(_("I hold nothing back while you are away."))
    return Answer(
        _(
            "While you are busy, away for long, or offline, I hold back what is less than {severity}, and tell you in"
            " one message when you are back. For that I have to see your presence: add me to your contacts."
        ).format(severity=severity)
    )


def _until(desk: Desk, lasts: timedelta | None) -> datetime | None:
    return desk.now() + lasts if lasts else None


def register(registry: Registry) -> None:
    """Offer them."""
    lasts = Argument("duration", Kind.DURATION, mark("for how long: `30m`, `2h`, `1d`"))
    registry.command(
        "mute",
        mark("Say nothing of some types, for a while or until you unmute"),
        mute,
        action=Action.SUBSCRIBE,
        arguments=(
            Argument("pattern", Kind.PATTERN, mark("types like this"), required=False),
            lasts._replace(required=False),
        ),
        example="mute disk.# 2h",
    )
    registry.command(
        "unmute",
        mark("Speak of it again; without a word, of everything"),
        unmute,
        action=Action.SUBSCRIBE,
        arguments=(Argument("what", Kind.KEY, mark("the pattern or the key that is muted"), required=False),),
        example="unmute disk.#",
    )
    registry.command(
        "snooze",
        mark("Say nothing to you of one incident for a while"),
        snooze,
        action=Action.SUBSCRIBE,
        arguments=(
            Argument(
                "key", Kind.KEY, mark("its key, or an event's id; else the last you were told of"), required=False
            ),
            lasts,
        ),
        example="snooze 1h",
    )
    registry.command(
        "hold",
        mark("What to hold back while you are away"),
        hold,
        action=Action.SUBSCRIBE,
        arguments=(
            Argument(
                "severity",
                Kind.WORD,
                mark("what is less severe than this is held back; `nothing`: no event is"),
                required=False,
                choices=(*SEVERITIES[1:], _NOTHING),
            ),
        ),
        example="hold error",
    )
