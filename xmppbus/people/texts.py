"""What people read of events and incidents in a chat or a room: plain text that reads well raw (XEP-0393's `*` only).

Pure. Nothing of an event can command a terminal or turn the line around (`render.plain`), and every text is bounded.
What a subscription wants an event to look like comes in as one function, `Template`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo

from xmppbus import limits
from xmppbus.event import Event
from xmppbus.people.catalogue import _, several
from xmppbus.people.durations import lasting
from xmppbus.people.incidents import RANK, is_work
from xmppbus.people.model import Incident, Status
from xmppbus.people.telling import key_of
from xmppbus.render import MARKS, few_lines, one_line, plain

OVER = "✔"
"""The mark of what is resolved, in the place of its severity's."""

Template = Callable[[Event], str]
"""An event as text; control characters are taken out and the length is bounded afterwards."""


def event_text(event: Event, template: Template = few_lines) -> str:
    """A message about an event that is no incident's."""
    return bounded(plain(template(event)), f"show {event.item_id}")


def incident_text(incident: Incident, zone: tzinfo, now: datetime) -> str:
    """The one message about an incident, as it stands: firing, acknowledged by whom, resolved after how long."""
    lines = [incident_line(incident), *_history(incident, zone, now)]
    if incident.flapping and incident.status is not Status.RESOLVED:
        lines.append(_("it comes and goes; this is not said again until it has been calm for a while"))
    if incident.link:
        lines.append(plain(incident.link))
    lines.append(_origin(incident.type, incident.source, incident.key))
    return bounded("\n".join(lines), f"last {incident.type}")


def incident_line(incident: Incident) -> str:
    """`▲ *firing* disk 91 % full (×4)`, in one line of any length; of work `• *under way* backup: 42 %`."""
    if is_work(incident):
        return _work_line(incident)
    said = _in_line(incident.summary) or incident.type
    times = f" (×{incident.count})" if incident.count > 1 else ""
    if incident.status is Status.RESOLVED:
        return _over(OVER, _("resolved"), incident, f"{said}{times}")
    return f"{MARKS[incident.severity]} *{_(incident.status.value)}* {said}{times}"


def _work_line(incident: Incident) -> str:
    """It says how far it is by itself: no counter."""
    said = _in_line(incident.summary) or incident.type
    if incident.status is not Status.RESOLVED:
        words = _("under way") if incident.status is Status.FIRING else _(incident.status.value)
        return f"{MARKS[incident.severity]} *{words}* {said}"
    mark = OVER if RANK[incident.severity] < RANK["warning"] else MARKS[incident.severity]
    return _over(mark, _("over"), incident, said)


def _over(mark: str, word: str, incident: Incident, said: str) -> str:
    return _("{mark} *{word}* after {lasting}: {said}").format(
        mark=mark, word=word, lasting=_lasted(incident), said=said
    )


def rise_text(incident: Incident, was: str = "") -> str:
    """The fresh line when an incident is worse than somebody was told; `was` is the severity that they know."""
    now = _("now {severity}").format(severity=incident.severity)
    before = " " + _("(was {severity})").format(severity=was) if was else ""
    line = f"{MARKS[incident.severity]} *{now}*{before}: {_in_line(incident.summary)}"
    return f"{shortened(line, limits.LINE_CHARACTERS)}\n{_origin(incident.type, incident.source, incident.key)}"


def noted(text: str, note: str) -> str:
    """The same with a line behind its first, where a phone still shows it; as it is without a note."""
    first, _line, rest = text.partition("\n")
    return "\n".join(filter(None, (first, note, rest))) if note else text


def end_text(event: Event) -> str:
    """How an episode ended whose incident fires again already."""
    lines = [
        f"{OVER} *{_('resolved')}* {_in_line(event.summary)}",
        _("it fires again: see the next message"),
        _origin(event.type, event.source, key_of(event)),
    ]
    return bounded("\n".join(lines), f"show {event.item_id}")


def retraction_text(event: Event | None = None) -> str:
    """What a client that can't take a message back shows instead. Repeats nothing of what it said."""
    if event is None:
        return _("taken back: it was a mistake")
    return _("taken back: the message about {type} was a mistake").format(type=event.type)


def digest_text(
    events: Sequence[Event],
    incidents: Mapping[str, Incident],
    template: Template = one_line,
) -> str:
    """Several events in one message, oldest first: one line for each incident, as it stands now, and one for each that
    is none; the same line again raises a counter. Of too many the most severe are shown. Not for no events."""
    lines: dict[str, int] = {}  # and how severe
    times: Counter[str] = Counter()
    for event in events:
        incident = incidents.get(key_of(event))
        if incident is not None:
            line = f"{incident_line(incident)} · {_in_line(incident.key)}"
            rank = RANK[incident.severity]
        else:
            line, rank = _in_line(template(event)), RANK[event.severity]
            times[line] += 1
        lines.pop(line, None)
        lines[line] = rank  # where it happened last
    shown = set(sorted(lines, key=lambda line: lines[line], reverse=True)[: limits.DIGEST_LINES])
    found = [several("*{count} event*", "*{count} events*", len(events)).format(count=len(events))]
    for line in lines:
        if line in shown:
            again = f" (×{times[line]})" if times[line] > 1 else ""
            found.append(shortened(line, limits.LINE_CHARACTERS - len(again)) + again)
    if len(lines) > len(shown):
        left = _("and {count} more: `last {events}`")
        found.append(left.format(count=len(lines) - len(shown), events=len(events)))
    return "\n".join(found)


def moment_text(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """A time of the day, with the day when it is not today: `22:14`, `2026-01-30 22:14`."""
    local, today = moment.astimezone(zone), now.astimezone(zone).date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%Y-%m-%d %H:%M}"


def bounded(text: str, more: str, most: int = limits.MESSAGE_CHARACTERS) -> str:
    """A text of any length, cut with a word on how to see the rest: `more` is the command."""
    if len(text) <= most:
        return text
    end = _("… cut: `{command}` has all of it").format(command=more)
    kept = text[: most - len(end) - 5].rstrip()
    fences = sum(line.startswith("```") for line in kept.splitlines())
    return f"{kept}\n```\n{end}" if fences % 2 else f"{kept}\n{end}"


def shortened(line: str, most: int) -> str:
    """The beginning of a line that is too long."""
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def _history(incident: Incident, zone: tzinfo, now: datetime) -> list[str]:
    by = shortened(_in_line(incident.by), limits.LINE_CHARACTERS)
    if incident.acknowledged is not None:
        time = moment_text(incident.acknowledged, zone, now)
        return [_("acknowledged by {by} {time}").format(by=by, time=time)]
    if incident.status is Status.RESOLVED and by:
        return [_("resolved by {by}").format(by=by)]
    return []


def _lasted(incident: Incident) -> str:
    return lasting(((incident.resolved or incident.opened) - incident.opened).total_seconds())


def _origin(type_: str, source: str, key: str) -> str:
    named = dict.fromkeys((type_, _in_line(source), _in_line(key)))
    return " · ".join(shortened(each, limits.LINE_CHARACTERS) for each in named if each)


def _in_line(text: str) -> str:
    return " ".join(plain(text).split())
