"""`xmppbus show`: an event, the fate of each of its deliveries, and which people got it, saw it, acknowledged it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.showing import entry_json, fate_json, json_line
from xmppbus.errors import Exit, condition
from xmppbus.event import item_id_bytes
from xmppbus.journal import Entry, Fate, State
from xmppbus.people.model import Incident, Message
from xmppbus.people.shown import Known, known_json
from xmppbus.render import few_lines, plain

STATE_STYLES = {State.WAITING: "yellow", State.DELIVERED: "green", State.DEAD: "red"}
_SHOWN = ("type", "source", "data", "data_base64", "summary", "specversion", "link")


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--source", metavar="SOURCE", help="ID is then the sender's id within this source, not the item id.")
@click.option("--json", is_flag=True, help="One JSON object: the entry, its deliveries, messages and incident.")
def show(id_: str, source: str | None, json: bool) -> Action:
    """Show an event by its item id, which `publish` printed, and what has become of each of its deliveries: to whom it
    was sent, who got it, who has seen it, who acknowledged it, and when.

    Exits with 1 when there is no such event.

    \b
    Example:
      xmppbus show 6f1f7a0e-5a0c-5d39-9a3b-0d6f5a2f6f0e
      xmppbus show backup-2026-01-31 --source db1
    """

    async def action(desk: Desk) -> int:
        desk.need_listen()
        journal = desk.house.journal
        item_id = str(uuid.UUID(bytes=item_id_bytes(source, id_))) if source is not None else id_.lower()
        entry = await journal.find(item_id) if _is_item_id(item_id) else None
        from xmppbus.house import known_now, not_found  # the daemon has it; a client without one need not wait for it

        if entry is None:
            raise not_found(id_)
        fates = await journal.fates(entry.sequence)
        known = await known_now(desk.house, entry)
        if json:
            shown = {**entry_json(entry), "deliveries": [fate_json(fate) for fate in fates], **known_json(known)}
            await desk.terminal.write(json_line(shown))
        else:
            await desk.out("\n".join([*_event(desk, entry), "", *_fates(desk, fates), *known_lines(desk, known)]))
        return Exit.OK

    return action


def _is_item_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _event(desk: Desk, entry: Entry) -> Iterator[str]:
    yield few_lines(entry.event)
    accepted = _moment(desk, entry.accepted)
    yield desk.style(f"item id  {entry.item_id}", "dim")
    yield desk.style(f"sequence {entry.sequence}, accepted {accepted}", "dim")
    for field, value in entry.event.fields.items():
        if field not in _SHOWN:
            yield f"  {field:<16} {plain(str(value))}"
    data = entry.event.get("data")
    if isinstance(data, dict):
        for field, value in data.items():
            if field != "text":
                said = value if isinstance(value, str) else json_line(value).decode().rstrip()
                yield f"  data.{plain(field):<11} {plain(said)}"


def _fates(desk: Desk, fates: Sequence[Fate]) -> Iterator[str]:
    if not fates:
        yield "no route took it: kept for listeners only"
    for fate in fates:
        yield fate_line(desk, fate)
        if fate.state is not State.DELIVERED and fate.condition:
            yield f"    {plain(fate.text) or condition(fate.condition).advice}"


def known_lines(desk: Desk, known: Known) -> Iterator[str]:
    """A line for each person that it was sent to, and how its incident stands."""
    if known.messages:
        yield ""
    by_jid: dict[str, list[Message]] = {}
    for message in known.messages:
        by_jid.setdefault(message.jid, []).append(message)
    widest = max(map(len, by_jid), default=0)
    for jid, messages in by_jid.items():
        yield "  ".join([f"{plain(jid):<{widest}}", *_person(desk, messages)])
    if known.incident:
        yield ""
        yield _incident(desk, known.incident)


def _person(desk: Desk, messages: Sequence[Message]) -> Iterator[str]:
    """What is known of what one person was sent: the first of each counts, in however many messages it was told."""
    for word, moments in (
        ("sent", [each.sent for each in messages]),
        ("received", [each.received for each in messages]),
        ("seen", [each.displayed for each in messages]),
    ):
        if found := sorted(filter(None, moments)):
            yield f"{word} {_moment(desk, found[0])}"
    for each in messages:
        if each.bounced:
            yield desk.style(f"came back: {plain(each.bounced)}", "red") + (
                f" ({plain(each.text)})" if each.text else ""
            )


def _incident(desk: Desk, incident: Incident) -> str:
    words = [f"incident {plain(incident.key)}", f"firing since {_moment(desk, incident.opened)}"]
    if incident.acknowledged:
        words.append(f"acknowledged by {plain(incident.by)} {_moment(desk, incident.acknowledged)}")
    if incident.resolved:
        by = "" if incident.acknowledged or not incident.by else f" by {plain(incident.by)}"
        words.append(f"resolved{by} {_moment(desk, incident.resolved)}")
    return "  ".join(words)


def _moment(desk: Desk, moment: datetime) -> str:
    return moment.astimezone(desk.zone).strftime("%Y-%m-%d %H:%M:%S")


def fate_line(desk: Desk, fate: Fate) -> str:
    """`delivered  pubsub:user.signup  2026-01-31 12:00:00`."""
    state = desk.style(f"{fate.state.name.lower():<9}", STATE_STYLES[fate.state])
    words = [state, f"{fate.output}:{fate.place}"]
    if fate.condition:
        words.append(fate.condition)
    if fate.settled:
        words.append(_moment(desk, fate.settled))
    if fate.attempts > 1:
        words.append(f"after {fate.attempts} attempts")
    return "  ".join(words)
