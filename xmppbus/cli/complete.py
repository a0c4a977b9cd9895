"""`xmppbus complete`, which no help lists: what the daemon knows that a shell may complete. Few, and at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.errors import Exit

KINDS = ("types", "items", "keys", "queues", "outputs", "expectations", "dead", "sources", "nodes")


@click.command(hidden=True)
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("begin", default="")
def complete(kind: str, begin: str) -> Action:
    """Print what begins so, one a line.

    \b
    Example:
      xmppbus complete types job.
    """

    async def action(desk: Desk) -> int:
        if not desk.role.listen:
            return Exit.OK
        found: dict[str, None] = {}
        async for each in _FINDS[kind](desk):
            if each.startswith(begin) and "\n" not in each:
                found[each] = None
        if found:
            await desk.out("\n".join([*found][: limits.COMPLETIONS]))
        return Exit.OK

    return action


def _recent(field: str) -> Callable[[Desk], AsyncIterator[str]]:
    """A field of the last events, the newest first."""

    async def found(desk: Desk) -> AsyncIterator[str]:
        journal = desk.house.journal
        newest = (await journal.status()).newest
        entries = await journal.read(max(0, newest - limits.COMPLETION_EVENTS), limits.COMPLETION_EVENTS)
        for entry in reversed(entries):
            value = entry.item_id if field == "item" else entry.event.get(field)
            if isinstance(value, str):
                yield value

    return found


async def _queues(desk: Desk) -> AsyncIterator[str]:
    for each in sorted(desk.house.queues.all(), key=str):
        yield str(getattr(each, "name", each))


async def _outputs(desk: Desk) -> AsyncIterator[str]:
    for each in sorted(desk.house.outputs):
        yield each


async def _expectations(desk: Desk) -> AsyncIterator[str]:
    from xmppbus.inputs.expect import expecting

    for each in await expecting(desk.house).all():
        yield each.name


async def _dead(desk: Desk) -> AsyncIterator[str]:
    for fate, _ in await desk.house.journal.dead((), limits.COMPLETIONS) if desk.role.admin else ():
        yield str(fate.id)


_FINDS: dict[str, Callable[[Desk], AsyncIterator[str]]] = {
    "types": _recent("type"),
    "nodes": _recent("type"),
    "items": _recent("item"),
    "keys": _recent("key"),
    "sources": _recent("source"),
    "queues": _queues,
    "outputs": _outputs,
    "expectations": _expectations,
    "dead": _dead,
}
