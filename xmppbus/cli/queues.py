"""`xmppbus queue`: the durable queues of this bus."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.patterns import Pattern
from xmppbus.cli.showing import json_line
from xmppbus.cli.status import standing as words
from xmppbus.errors import Code, Exit, Refused
from xmppbus.fields import check_queue
from xmppbus.house import House
from xmppbus.people.durations import duration
from xmppbus.queues.queues import QueueStatus
from xmppbus.route import QUEUE


def check_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001  # click's
    """A callback of whatever names a queue."""
    if value is not None:
        try:
            check_queue("queue", value)
        except Refused as refusal:
            raise click.BadParameter(refusal.message) from None
    return value


def _expiry(ctx: click.Context, param: click.Parameter, value: str | None) -> float:  # noqa: ARG001  # click's
    found = duration(value) if value else None
    if value and (found is None or found.total_seconds() < limits.QUEUE_EXPIRE_LEAST_SECONDS):
        raise click.BadParameter(f"{value!r} is not a duration of 60s or more, such as 12h or 7d")
    return found.total_seconds() if found else 0.0


@click.group()
def queue() -> None:
    """List, show, make, purge or drop queues, and consume one from a program.

    An event of a queue goes to one of those who consume it (`xmppbus work`, or STOMP), and is kept until then.

    \b
    Example:
      xmppbus queue list
      xmppbus queue info mails
    """


@queue.command("list")
@click.option("--json", is_flag=True, help="One JSON object a line.")
def list_(json: bool) -> Action:
    """List the queues: those that were declared, and those that hold something or are consumed.

    \b
    Example:
      xmppbus queue list
    """

    async def action(desk: Desk) -> int:
        desk.need_listen()
        found = await standing(desk.house)
        if json:
            for each in found:
                await desk.terminal.write(json_line(each))
            return Exit.OK
        width = max((len(each["name"]) for each in found), default=0)
        for each in found:
            await desk.out(
                f"{desk.style(each['name'], 'bold')}{' ' * (width - len(each['name']))}  {', '.join(words(each))}"
            )
        if not found:
            await desk.err("there is no queue; `xmppbus work PATTERN --queue NAME -- COMMAND` makes one")
        return Exit.OK

    return action


@queue.command("info")
@click.argument("name", callback=check_name)
@click.option("--json", is_flag=True, help="One JSON object.")
def info_(name: str, json: bool) -> Action:
    """Show one queue.

    \b
    Example:
      xmppbus queue info mails
    """

    async def action(desk: Desk) -> int:
        desk.need_listen()
        found = await _one(desk, name)
        if json:
            await desk.terminal.write(json_line(found))
            return Exit.OK
        await desk.out(f"{desk.style(name, 'bold')}  {', '.join(words(found))}")
        if not found["declared"]:
            await desk.out("  not declared: it is there for as long as something waits in it or somebody consumes it")
        if not found["consumers"] and found["waiting"]:
            await desk.out(f"  nobody consumes it; `xmppbus work --queue {name} -- COMMAND` does")
        if found["routes"]:
            await desk.out(f"  routes that name it: {', '.join(found['routes'])}")
        return Exit.OK

    return action


@queue.command("declare")
@click.argument("name", callback=check_name)
@click.argument("pattern", type=Pattern(), required=False)
@click.option(
    "--expire",
    metavar="DURATION",
    callback=_expiry,
    help="Drop it, with what is in it, when nobody has consumed it for 12h, 7d...; else it stays until `queue drop`.",
)
def declare_(name: str, pattern: str | None, expire: float) -> Action:
    """Make a queue before anybody consumes it. With a PATTERN, events whose type matches come to it from now on.

    `xmppbus work` does the same by itself.

    \b
    Example:
      xmppbus queue declare mails 'user.#'
    """

    async def action(desk: Desk) -> int:
        desk.need_listen()
        desk.need_publish()
        await desk.house.queues.declare(name, pattern or "", expire)
        return Exit.OK

    return action


@queue.command("purge")
@click.argument("name", callback=check_name)
@click.option("--json", is_flag=True, help="Print the count as a JSON object.")
def purge_(name: str, json: bool) -> Action:
    """Forget what waits in a queue; what a consumer has at the moment stays with it.

    \b
    Example:
      xmppbus queue purge mails
    """

    async def action(desk: Desk) -> int:
        desk.need_admin("purge queues")
        await _one(desk, name)
        count = await desk.house.queues.purge(name)
        await (desk.terminal.write(json_line({"purged": count})) if json else desk.out(f"{count:,} forgotten"))
        return Exit.OK

    return action


@queue.command("drop")
@click.argument("name", callback=check_name)
@click.option("--purge", is_flag=True, help="With what waits in it.")
def drop_(name: str, purge: bool) -> Action:
    """Let a queue go: events don't come to it by its pattern any more.

    It must be empty, or be purged, and nobody may consume it.

    \b
    Example:
      xmppbus queue drop mails --purge
    """

    async def action(desk: Desk) -> int:
        desk.need_admin("drop queues")
        found = await _one(desk, name)
        if found["waiting"] and not purge:
            raise Refused(
                Code.CONFLICT,
                f"{found['waiting']:,} wait in the queue {name}: consume them, or let them go too with --purge",
            )
        await desk.house.queues.drop(name)
        if purge:
            await desk.house.queues.purge(name)
        return Exit.OK

    return action


@queue.command("consume")
@click.argument("name", callback=check_name)
@click.option("--pattern", type=Pattern(), help="Declare the queue with it, as `xmppbus work` does.")
@click.option(
    "--prefetch",
    type=click.IntRange(1, limits.QUEUE_PREFETCH),
    default=1,
    show_default=True,
    metavar="N",
    help="So many events at once.",
)
@click.option(
    "--lease",
    type=click.FloatRange(limits.QUEUE_LEASE_LEAST_SECONDS, limits.QUEUE_LEASE_MOST_SECONDS),
    metavar="SECONDS",
    help="Another gets an event that nothing was said of for so long; else it is kept until the connection ends.",
)
@click.option("--resume", is_flag=True, help="Begin when a line says so: first say what you had.")
def consume_(name: str, pattern: str | None, prefetch: int, lease: float | None, resume: bool) -> Action:
    """For programs: print events of a queue as JSON lines, and read from standard input what became of each.

    A line `{"ack": 17}`, `{"requeue": 17}`, `{"reject": 17, "text": "why"}` or `{"release": 17}` answers the event with
    `"lease": 17`. What was not answered is another's when this ends. docs/reference/consume.md has all lines.

    \b
    Example:
      xmppbus queue consume mails --prefetch 10
    """

    async def action(desk: Desk) -> int:
        from xmppbus.cli.consuming import Consuming

        desk.need_listen()
        desk.need_publish()
        queues = desk.house.queues
        await queues.declare(name, pattern or "")
        await desk.terminal.watch()
        async with queues.consumer(name, prefetch=prefetch, lease_seconds=lease) as consumer:
            return await Consuming(desk, consumer, name).run(resume=resume)

    return action


async def standing(house: House) -> list[dict[str, Any]]:
    """Every queue with its figures: as `QueueStatus`, how long its oldest waits, and which routes name it."""
    places = await house.journal.places()
    oldest = {each.place: each.oldest for each in places if each.output == QUEUE}
    routes: dict[str, list[str]] = {}
    for route in house.routes:
        for address in route.to:
            if address.output == QUEUE and address.place:
                routes.setdefault(address.place, []).append(route.name)
    found = house.queues.status(places)
    there = {each.name for each in found}
    found += [QueueStatus(name) for name in routes if name not in there]
    return [
        {
            **each._asdict(),
            "oldest_seconds": _age(oldest.get(each.name), house.clock()),
            "routes": routes.get(each.name, []),
        }
        for each in sorted(found)
    ]


async def _one(desk: Desk, name: str) -> dict[str, Any]:
    for each in await standing(desk.house):
        if each["name"] == name:
            return each
    raise Refused(Code.NOT_FOUND, f"no queue {name}; `xmppbus queue list` shows them")


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now.astimezone(UTC) - moment).total_seconds())
