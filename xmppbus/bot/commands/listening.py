"""`subscribe`, `unsubscribe`, `subscriptions`: who wants to hear of what, and how."""

from __future__ import annotations

from datetime import datetime

from xmppbus import limits
from xmppbus.bot.access import Action
from xmppbus.bot.command import Answer, Argument, Asker, Kind, Place, Table, Unusable, Values
from xmppbus.bot.desk import Desk
from xmppbus.bot.reading import Way
from xmppbus.bot.telling import tell_owners
from xmppbus.fields import SEVERITIES
from xmppbus.people.catalogue import _, mark, several
from xmppbus.people.durations import lasting
from xmppbus.people.model import Person, Quiet, Subscription
from xmppbus.people.shown import clock_time
from xmppbus.plugins import Registry
from xmppbus.render import plain


async def subscribe(desk: Desk, asker: Asker, values: Values) -> Answer:
    """Hear of events from now on; of a stranger it is a wish."""
    wanted = wish(desk, asker.subscriber, values)
    if not desk.may(asker, Action.SUBSCRIBE):
        return await _wish(desk, asker, wanted)
    if asker.place is Place.ROOM:
        await desk.audience.alter(wanted.owner, is_room=True)  # known as one even where it is none of ours any more
    before = {each.pattern for each in desk.audience.interests.of(wanted.owner)}
    kept = await desk.audience.subscribe(wanted)
    if desk.audience.person(wanted.owner).suspended:
        await desk.audience.resume(wanted.owner)
    said = subscribed(kept, again=kept.pattern in before, is_room=asker.place is Place.ROOM)
    return Answer(said + await _narrow(desk, kept.pattern))


async def _narrow(desk: Desk, pattern: str) -> str:
    """A word for who has written `disk` and is likely to mean `disk.#`."""
    types = {each.type for each in await desk.people.types(limits.ANSWER_ROWS)}
    if pattern in types or not any(each.startswith(f"{pattern}.") for each in types):
        return ""
    return " " + _("That is the type `{pattern}` alone; what is below it is `{pattern}.#`.").format(pattern=pattern)


def wish(desk: Desk, owner: str, values: Values) -> Subscription:
    """What the values of `subscribe` come to."""
    way: Way = values["way"] or Way()
    return Subscription(
        owner=owner,
        pattern=values["pattern"],
        severity=_rule(values["severity"]),
        digest_seconds=way.digest_seconds,
        digest_events=way.digest_events,
        quiet=way.quiet,
        created=desk.now(),
    )


def subscribed(kept: Subscription, *, again: bool, is_room: bool) -> str:
    """What who has subscribed is told."""
    words = described(kept)
    if is_room:
        text = _("This room gets {words} from now on.")
    elif again:
        text = _("You get {words} from now on; that takes the place of what you had.")
    else:
        text = _("You get {words} from now on.")
    said = [text.format(words=words)]
    if not again:
        said.append(_("`unsubscribe {pattern}` ends it.").format(pattern=kept.pattern))
    return " ".join(said)


async def _wish(desk: Desk, asker: Asker, wanted: Subscription) -> Answer:
    """A stranger's, who is refused or has to wait, by the setting `strangers`."""
    if not asker.jid or asker.place is Place.ROOM:
        return Answer(_("Only who is known here may let a room hear of events."), failed=True)
    if desk.options.strangers == "refused":
        return Answer(
            _("I don't know {jid}, so I can't tell you of events. Ask an owner of this bot to let you in.").format(
                jid=asker.jid
            ),
            failed=True,
        )
    typed = written(wanted)
    person = desk.audience.person(asker.jid)
    if person.requested == typed:
        return Answer(_("Your wish waits for an owner's yes; you will be told."))
    waiting = sum(1 for each in desk.audience.persons() if each.requested)
    if waiting >= limits.WISHES and not person.requested:
        return Answer(_("Too many wishes wait for an owner's yes already; try again another day."), failed=True)
    await desk.audience.alter(asker.jid, requested=typed)
    tell_owners(
        desk,
        _("{jid} would like to `{wish}`. Answer `allow {jid}` or `deny {jid}`.").format(jid=asker.jid, wish=typed),
    )
    return Answer(_("That needs an owner's yes. I have asked, and will tell you."))


async def unsubscribe(desk: Desk, asker: Asker, values: Values) -> Answer:
    """No longer: one pattern, or everything. In a room that is for those who may subscribe: it concerns everybody."""
    if asker.place is Place.ROOM and not desk.may(asker, Action.SUBSCRIBE):
        return Answer(_("Only who is known here may end what a room hears of."), failed=True)
    owner, pattern = asker.subscriber, values["pattern"]
    mine = desk.audience.interests.of(owner)
    if not mine:
        return Answer(_("There is no subscription to end."))
    if pattern is None and len(mine) > 1:

        async def all_of_them() -> Answer:
            ended = await desk.audience.unsubscribe(owner)
            return Answer(_("Ended: {patterns}.").format(patterns=_patterns(ended)))

        text = several("End {count} subscription: {patterns}?", "End all {count} subscriptions: {patterns}?", len(mine))
        return Answer(text.format(count=len(mine), patterns=_patterns(mine)), confirm=all_of_them)
    ended = await desk.audience.unsubscribe(owner, pattern)
    if not ended:
        raise Unusable(
            _("There is no subscription to `{pattern}`; there are: {patterns}.").format(
                pattern=pattern, patterns=_patterns(mine)
            )
        )
    return Answer(_("Ended: {patterns}.").format(patterns=_patterns(ended)))


async def subscriptions(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # it has no arguments
    """The asker's, or in a room the room's; with what is muted and held."""
    mine = desk.audience.interests.of(asker.subscriber)
    person = desk.audience.person(asker.subscriber)
    lines = []
    if person.suspended:
        lines.append(
            _("Nothing is sent to you for now: {why}. `subscribe` again to go on.").format(why=person.suspended)
        )
    if person.requested:
        lines.append(_("`{wish}` waits for an owner's yes.").format(wish=person.requested))
    lines += _quieted(person, desk.now())
    if not mine:
        lines.append(
            _("There is no subscription. `subscribe #` is everything; `list` shows what there is.")
            if desk.may(asker, Action.SUBSCRIBE)
            else _("There is no subscription.")
        )
        return Answer("\n".join(lines))
    rows = [(each.pattern, _severity(each), how(each)) for each in mine]
    return Answer("\n".join(lines), Table((_("types"), _("severity"), _("how")), rows))


def _quieted(person: Person, now: datetime) -> list[str]:
    """What keeps something from a person, besides how it has subscribed."""
    mutes = [each for each in person.mutes if each.until is None or each.until > now]
    names = ", ".join(f"`{plain(each.pattern or each.key)}`" for each in mutes)
    lines = [_("Muted: {names}; `mute` says until when.").format(names=names)] if names else []
    if person.hold_below:
        lines.append(_("Held back while you are away: less than {severity}.").format(severity=person.hold_below))
    return lines


def described(subscription: Subscription) -> str:
    """`disk.#, warning or worse, gathered for 15 min`."""
    words = [f"`{subscription.pattern}`", _severity(subscription)]
    return ", ".join(filter(None, [*words, how(subscription)]))


def how(subscription: Subscription) -> str:
    """How its owner is told, in words; every event at once needs none."""
    words = []
    if subscription.digest_seconds:
        words.append(_("gathered for {lasting}").format(lasting=lasting(subscription.digest_seconds)))
    if subscription.digest_events:
        words.append(_("or until there are {count}").format(count=subscription.digest_events))
    if subscription.quiet:
        words.append(_quiet(subscription.quiet))
    return ", ".join(words)


def written(subscription: Subscription) -> str:
    """As it would be typed."""
    words = ["subscribe", subscription.pattern, subscription.severity.removeprefix(">=")]
    if subscription.digest_seconds:
        events = f" {subscription.digest_events}" if subscription.digest_events else ""
        words.append(f"digest {subscription.digest_seconds}s{events}")
    if subscription.quiet:
        quiet = subscription.quiet
        hours = f"{clock_time(quiet.start)}-{clock_time(quiet.end)}"
        words.append(" ".join(filter(None, ["quiet", hours, quiet.zone, "but", quiet.breaks_through])))
    return " ".join(filter(None, words))


def _quiet(quiet: Quiet) -> str:
    hours = f"{clock_time(quiet.start)}-{clock_time(quiet.end)}"
    return _("quiet {hours} but for {severity}").format(
        hours=" ".join(filter(None, [hours, quiet.zone])), severity=quiet.breaks_through
    )


def _severity(subscription: Subscription) -> str:
    rule = subscription.severity
    if not rule:
        return ""
    if not rule.startswith(">="):
        return rule
    severity = rule.removeprefix(">=")
    return severity if severity == SEVERITIES[-1] else _("{severity} or worse").format(severity=severity)


def _rule(severity: str | None) -> str:
    """That or worse, as people mean it; the least is any."""
    return f">={severity}" if severity and severity != SEVERITIES[0] else ""


def _patterns(found: list[Subscription]) -> str:
    return ", ".join(f"`{each.pattern}`" for each in found)


PATTERN = Argument("pattern", Kind.PATTERN, mark("types of events; `*` is one word, `#` any number of them"))
SUBSCRIBE = (
    PATTERN,
    Argument("severity", Kind.SEVERITY, mark("only what is so severe, or worse"), required=False),
    Argument(
        "way",
        Kind.WAY,
        mark("`every` event at once, or `digest 15m`, or `quiet 22:00-07:00 [ZONE] [but SEVERITY]`, or both"),
        required=False,
    ),
)


def register(registry: Registry) -> None:
    """Offer them."""
    registry.command(
        "subscribe",
        mark("Hear of events from now on"),
        subscribe,
        action=Action.ASK,
        arguments=SUBSCRIBE,
        example="subscribe disk.# warning quiet 22:00-07:00",
        aliases=("sub",),
    )
    registry.command(
        "unsubscribe",
        mark("Hear of them no longer"),
        unsubscribe,
        action=Action.ASK,
        arguments=(PATTERN._replace(required=False),),
        example="unsubscribe disk.#",
        aliases=("unsub",),
    )
    registry.command(
        "subscriptions",
        mark("What you hear of"),
        subscriptions,
        action=Action.ASK,
        aliases=("subs",),
    )
