"""`xmppbus dead`: deliveries that the other side refused because of the event itself. A person decides."""

from __future__ import annotations

from collections.abc import Sequence

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.patterns import Pattern, matches
from xmppbus.cli.show import fate_line
from xmppbus.cli.showing import entry_json, fate_json, json_line
from xmppbus.errors import Code, Exit, Refused, condition
from xmppbus.journal import Entry, Fate
from xmppbus.render import one_line, plain
from xmppbus.route import QUEUE

Dead = tuple[Fate, Entry]


@click.group()
def dead() -> None:
    """List, show, retry or drop dead deliveries: those that the other side refused because of the event itself.

    \b
    Example:
      xmppbus dead list 'user.#'
      xmppbus dead retry 17
    """


@dead.command("list")
@click.argument("patterns", nargs=-1, type=Pattern(), metavar="[PATTERN]...")
@click.option("-n", "count", type=click.IntRange(1, limits.DEAD_LISTED), default=100, show_default=True, metavar="N")
@click.option("--queue", metavar="NAME", help="Those of this queue.")
@click.option("--json", is_flag=True, help="One JSON object a line.")
def list_(patterns: tuple[str, ...], count: int, queue: str | None, json: bool) -> Action:
    """List dead deliveries, newest first. The number in front names each.

    \b
    Example:
      xmppbus dead list 'user.#' -n 20
    """

    async def action(desk: Desk) -> int:
        desk.need_admin("see dead deliveries")
        found = await _dead(desk, patterns, queue, count)
        for fate, entry in found:
            if json:
                await desk.terminal.write(json_line({**fate_json(fate), "entry": entry_json(entry)}))
            else:
                reason = desk.style(fate.condition, "red")
                await desk.out(f"{fate.id}  {fate.output}:{fate.place}  {reason}  {one_line(entry.event)}")
        if not found and not json:
            await desk.err("no delivery is dead")
        return Exit.OK

    return action


@dead.command("show")
@click.argument("delivery", type=click.IntRange(0))
@click.option("--json", is_flag=True, help="One JSON object.")
def show_(delivery: int, json: bool) -> Action:
    """Show one dead delivery: its event, and why it is dead.

    \b
    Example:
      xmppbus dead show 17
    """

    async def action(desk: Desk) -> int:
        desk.need_admin("see dead deliveries")
        ((fate, entry),) = await _selected(desk, [delivery], (), None, everything=False)
        if json:
            await desk.terminal.write(json_line({**fate_json(fate), "entry": entry_json(entry)}))
            return Exit.OK
        await desk.out(fate_line(desk, fate))
        await desk.out(f"  {plain(fate.text) or condition(fate.condition).advice}")
        await desk.out(f"  {one_line(entry.event)}")
        await desk.out(f"  item id {entry.item_id}, sequence {entry.sequence}")
        await desk.terminal.write(b"  " + entry.event.encoded + b"\n")
        return Exit.OK

    return action


@dead.command("retry")
@click.argument("deliveries", nargs=-1, type=click.IntRange(0), metavar="[DELIVERY]...")
@click.option("--match", "patterns", multiple=True, type=Pattern(), metavar="PATTERN", help="Those whose type matches.")
@click.option("--queue", metavar="NAME", help="Those of this queue.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--json", is_flag=True, help="Print the count as a JSON object.")
def retry_(
    deliveries: tuple[int, ...], patterns: tuple[str, ...], queue: str | None, everything: bool, json: bool
) -> Action:
    """Put dead deliveries back to waiting, behind what waits.

    \b
    Example:
      xmppbus dead retry --match 'user.#'
    """
    _check_selection(deliveries, patterns, queue, everything)

    async def action(desk: Desk) -> int:
        desk.need_admin("retry dead deliveries")
        found = await _selected(desk, deliveries, patterns, queue, everything=everything)
        count = await desk.house.journal.retry_dead([fate.id for fate, _ in found])
        await _say_count(desk, count, "put back to waiting", "retried" if json else "")
        return Exit.OK

    return action


@dead.command("drop")
@click.argument("deliveries", nargs=-1, type=click.IntRange(0), metavar="[DELIVERY]...")
@click.option("--match", "patterns", multiple=True, type=Pattern(), metavar="PATTERN", help="Those whose type matches.")
@click.option("--queue", metavar="NAME", help="Those of this queue.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--json", is_flag=True, help="Print the count as a JSON object.")
def drop_(
    deliveries: tuple[int, ...], patterns: tuple[str, ...], queue: str | None, everything: bool, json: bool
) -> Action:
    """Forget dead deliveries. Their events stay in the journal as long as others do.

    \b
    Example:
      xmppbus dead drop 17 18
    """
    _check_selection(deliveries, patterns, queue, everything)

    async def action(desk: Desk) -> int:
        desk.need_admin("drop dead deliveries")
        found = await _selected(desk, deliveries, patterns, queue, everything=everything)
        count = await desk.house.journal.drop_dead([fate.id for fate, _ in found])
        await _say_count(desk, count, "dropped", "dropped" if json else "")
        return Exit.OK

    return action


async def _say_count(desk: Desk, count: int, words: str, key: str) -> None:
    if key:
        await desk.terminal.write(json_line({key: count}))
    else:
        await desk.out(f"{count} {words}")


def _check_selection(deliveries: Sequence[int], patterns: Sequence[str], queue: str | None, everything: bool) -> None:
    if sum(map(bool, (deliveries, patterns or queue, everything))) != 1:
        raise click.UsageError("Say which: DELIVERY numbers, or --match PATTERN, or --queue NAME, or --all.")


async def _dead(desk: Desk, patterns: Sequence[str], queue: str | None, most: int) -> Sequence[Dead]:
    """At most so many, newest first; of one queue, of those that are listed at all."""
    if queue is None:
        return await desk.house.journal.dead(matches(patterns), most)
    found = await desk.house.journal.dead(matches(patterns), limits.DEAD_LISTED)
    return [each for each in found if (each[0].output, each[0].place) == (QUEUE, queue)][:most]


async def _selected(
    desk: Desk, deliveries: Sequence[int], patterns: Sequence[str], queue: str | None, *, everything: bool
) -> Sequence[Dead]:
    found = await _dead(desk, patterns, queue, limits.DEAD_LISTED)
    if everything or patterns or queue:
        return found
    by_id = {each[0].id: each for each in found}
    for number in deliveries:
        if number not in by_id:
            raise Refused(Code.NOT_FOUND, f"no dead delivery {number}; `xmppbus dead list` shows them")
    return [by_id[number] for number in deliveries]
