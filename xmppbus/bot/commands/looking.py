"""`list`, `last`, `show`, `search`: what happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xmppbus import limits
from xmppbus.bot.command import Answer, Argument, Asker, Kind, Table, Unusable, Values
from xmppbus.bot.desk import Desk
from xmppbus.bot.finding import entry_of, short_id
from xmppbus.bot.reading import number
from xmppbus.errors import condition
from xmppbus.journal import Entry, Fate, State
from xmppbus.people.catalogue import _, mark, several
from xmppbus.people.durations import ago
from xmppbus.people.model import Message
from xmppbus.people.shown import Known, known_of
from xmppbus.plugins import Registry
from xmppbus.render import few_lines, one_line, plain
from xmppbus.route import Match

_LAST = 10
_MESSAGES_SHOWN = 20
_STATES = (mark("waiting"), mark("delivered"), mark("dead"), mark("firing"), mark("acknowledged"), mark("resolved"))
"""For the catalogue: they are looked up by their values."""


async def list_(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # it has no arguments
    """Types seen, with counts and the last time."""
    types = await desk.people.types(limits.ANSWER_ROWS)
    if not types:
        return Answer(_("Nothing has happened yet."))
    now = desk.now()
    rows = [
        (
            each.type,
            several("{count} time", "{count} times", each.times).format(count=f"{each.times:,}"),
            _("{lasting} ago").format(lasting=ago(each.last, now)),
        )
        for each in types
    ]
    return Answer(table=Table((_("type"), _("how often"), _("last")), rows))


async def last(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # everybody is told the same
    """The newest events, newest first."""
    if (values["pattern"] or "").lstrip("-").isdecimal():
        number(values["pattern"])  # `0` and `-5` would do as a pattern, and are not meant as one
    count = min(values["number"] or _LAST, limits.ANSWER_ROWS)
    entries = await desk.people.last(count, Match(type=values["pattern"] or "#"))
    return _listed(desk, entries)


async def search(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # everybody is told the same
    """The newest events in which all the words are."""
    words = values["words"].split()
    if not words:
        raise Unusable(_("Which words?"))
    return _listed(desk, await desk.people.search(words, limits.ANSWER_ROWS))


def _listed(desk: Desk, entries: Sequence[Entry]) -> Answer:
    if not entries:
        return Answer(_("I found nothing. `list` shows the types of what has happened."))
    rows = [(desk.clock_time(each.accepted), one_line(each.event), short_id(each.item_id)) for each in entries]
    return Answer(table=Table((_("time"), _("event"), _("id")), rows))


async def show(desk: Desk, asker: Asker, values: Values) -> Answer:
    """An event, what became of it, and who was told."""
    entry = await entry_of(desk, asker, values["id"])
    known = await known_of(desk.house.journal, desk.people, entry)
    lines = [
        few_lines(entry.event),
        _("id {item}, accepted {time}").format(item=entry.item_id, time=desk.clock_time(entry.accepted)),
    ]
    lines += _incident(desk, known)
    lines += [_fate(desk, each) for each in await desk.house.journal.fates(entry.sequence)]
    lines += [_told(desk, each) for each in known.messages[:_MESSAGES_SHOWN]]
    left = len(known.messages) - _MESSAGES_SHOWN
    if left > 0:
        lines.append(several("and {count} message more", "and {count} messages more", left).format(count=left))
    return Answer("\n".join(lines))


def _incident(desk: Desk, known: Known) -> Iterator[str]:
    incident = known.incident
    if incident is None:
        return
    yield _("incident {key}: {status}").format(key=plain(incident.key), status=_(incident.status.value))
    if incident.acknowledged:
        yield _("acknowledged by {by}, {time}").format(
            by=plain(incident.by), time=desk.clock_time(incident.acknowledged)
        )
    if incident.resolved:
        yield _("resolved {time}").format(time=desk.clock_time(incident.resolved))


def _fate(desk: Desk, fate: Fate) -> str:
    words = [_(fate.state.name.lower()), f"{fate.output}:{fate.place}"]
    if fate.settled:
        words.append(desk.clock_time(fate.settled))
    if fate.state is not State.DELIVERED and fate.condition:
        words.append(fate.condition + ": " + (plain(fate.text) or condition(fate.condition).advice))
    return " · ".join(words)


def _told(desk: Desk, message: Message) -> str:
    """`→ romeo@example.org · sent 12:00 · received 12:00 · seen 12:01`."""
    words = [f"→ {message.jid}"]
    for name, moment in ((_("sent"), message.sent), (_("received"), message.received), (_("seen"), message.displayed)):
        if moment:
            words.append(f"{name} {desk.clock_time(moment)}")
    if message.bounced:
        words.append(_("came back: {condition}").format(condition=message.bounced))
    return " · ".join(words)


def register(registry: Registry) -> None:
    """Offer them."""
    registry.command(
        "list", mark("Types of events that were seen, how often, and when last"), list_, aliases=("types",)
    )
    registry.command(
        "last",
        mark("The newest events"),
        last,
        arguments=(
            Argument("number", Kind.NUMBER, mark("how many"), required=False),
            Argument("pattern", Kind.PATTERN, mark("only types like this"), required=False),
        ),
        example="last 5 disk.#",
    )
    registry.command(
        "show",
        mark("An event, what became of it, who got it and who has seen it"),
        show,
        arguments=(Argument("id", Kind.EVENT, mark("the event's id, or its beginning"), required=False),),
        example="show 6f1f7a0e",
    )
    registry.command(
        "search",
        mark("The newest events that have all these words"),
        search,
        arguments=(Argument("words", Kind.TEXT, mark("words, in any order")),),
        example="search db1 full",
        aliases=("find",),
    )
