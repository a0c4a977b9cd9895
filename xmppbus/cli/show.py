"""`xmppbus show`: an event, and the fate of each of its deliveries."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.showing import entry_json, fate_json, json_line
from xmppbus.errors import Exit, condition
from xmppbus.event import item_id_bytes
from xmppbus.journal import Entry, Fate, State
from xmppbus.render import few_lines, plain

STATE_STYLES = {State.WAITING: "yellow", State.DELIVERED: "green", State.DEAD: "red"}
_SHOWN = ("type", "source", "data", "data_base64", "summary", "specversion", "link")


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--source", metavar="SOURCE", help="ID is then the sender's id within this source, not the item id.")
@click.option("--json", is_flag=True, help="One JSON object: the entry, and its deliveries.")
def show(id_: str, source: str | None, json: bool) -> Action:
    """Show an event by its item id, which `publish` printed, and what has become of each of its deliveries.

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
        if entry is None:
            from xmppbus.house import not_found  # the daemon has it; a client without one need not wait for it

            raise not_found(id_)
        fates = await journal.fates(entry.sequence)
        if json:
            shown = {**entry_json(entry), "deliveries": [fate_json(fate) for fate in fates]}
            await desk.terminal.write(json_line(shown))
        else:
            await desk.out("\n".join([*_event(desk, entry), "", *_fates(desk, fates)]))
        return Exit.OK

    return action


def _is_item_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _event(desk: Desk, entry: Entry) -> Iterator[str]:
    yield few_lines(entry.event)
    accepted = entry.accepted.astimezone(desk.zone).strftime("%Y-%m-%d %H:%M:%S")
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


def fate_line(desk: Desk, fate: Fate) -> str:
    """`delivered  pubsub:user.signup  2026-01-31 12:00:00`."""
    state = desk.style(f"{fate.state.name.lower():<9}", STATE_STYLES[fate.state])
    words = [state, f"{fate.output}:{fate.place}"]
    if fate.condition:
        words.append(fate.condition)
    if fate.settled:
        words.append(fate.settled.astimezone(desk.zone).strftime("%Y-%m-%d %H:%M:%S"))
    if fate.attempts > 1:
        words.append(f"after {fate.attempts} attempts")
    return "  ".join(words)
