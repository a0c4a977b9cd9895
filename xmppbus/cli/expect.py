"""`xmppbus expect`: a dead man's switch, kept by the daemon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.durations import Duration
from xmppbus.cli.patterns import Pattern
from xmppbus.cli.showing import json_line
from xmppbus.errors import Exit
from xmppbus.fields import SEVERITIES
from xmppbus.people.durations import lasting
from xmppbus.render import MARKS, plain

if TYPE_CHECKING:
    from xmppbus.inputs.expect import ExpectInput
    from xmppbus.inputs.expectations import Expectation

EVERY = Duration(*limits.EXPECT_SECONDS)


class Expecting(click.Group):
    """A group whose first command need not be named: `expect TYPE --every 25h` is `expect add TYPE --every 25h`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click says."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["add", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """As click says."""
        from xmppbus.cli.completing import Completed

        add = self.commands["add"]
        types = [each for each in add.params if each.name == "type_" and isinstance(each.type, Completed)]
        return super().shell_complete(ctx, incomplete) + [
            found for each in types for found in each.shell_complete(ctx, incomplete)
        ]


@click.group(cls=Expecting)
def expect() -> None:
    """Say that something comes again and again: a backup each night, a heartbeat each minute.

    When it does not come in time, the event `expect.missed` says so: firing, with the key `expect:NAME`. When it comes
    again, the same is resolved, and says how long it was silent.

    \b
    Example:
      xmppbus expect job.backup --every 25h
      xmppbus expect list
    """


@expect.command("add")
@click.argument("type_", metavar="TYPE", type=Pattern())
@click.option(
    "--every", type=EVERY, required=True, metavar="DURATION", help="How long it may be silent: 90s, 10m, 25h."
)
@click.option("--grace", type=Duration(0, limits.EXPECT_SECONDS[1]), default="0s", metavar="DURATION", help="And this.")
@click.option("--key", default="", help="Only events with this key.")
@click.option("--source", default="", help="Only events of this source.")
@click.option("--severity", type=click.Choice(SEVERITIES), default="error", show_default=True, help="Of its silence.")
@click.option("--name", help="Else the type, with key and source. The one of that name is replaced.")
@click.option("--json", is_flag=True, help="Print it as one JSON object.")
def add(type_: str, json: bool, name: str | None, **options: Any) -> Action:
    """Expect events whose type matches TYPE (* is one word, # any number of them), at least one every so often.

    It counts from now on, and goes on over a restart of the daemon. `expect TYPE` is the same without `add`.

    \b
    Example:
      xmppbus expect add job.backup --every 25h --grace 1h
      xmppbus expect add heartbeat --source web1 --every 2m --severity critical
    """

    async def action(desk: Desk) -> int:
        from xmppbus.inputs.expect import expecting
        from xmppbus.inputs.expectations import Expectation

        desk.need_admin("say what is expected")
        parts = [type_, options["key"], options["source"]]
        wished = Expectation(name=name or " ".join(filter(None, parts)), type=type_, **options)
        door = expecting(desk.house)
        found = await door.expect(wished)
        if json:
            await desk.terminal.write(json_line(_as_json(found, door)))
        else:
            await desk.out(f"{plain(found.name)} is expected {_pace(found)}")
        return Exit.OK

    return action


@expect.command("list")
@click.option("--json", is_flag=True, help="One JSON object a line.")
def list_(json: bool) -> Action:
    """List what is expected, when it came last, and what is missed.

    \b
    Example:
      xmppbus expect list
    """

    async def action(desk: Desk) -> int:
        from xmppbus.inputs.expect import expecting

        desk.need_listen()
        door = expecting(desk.house)
        found = await door.all()
        for each in found:
            if json:
                await desk.terminal.write(json_line(_as_json(each, door)))
            else:
                await desk.out(_line(desk, each, door.silent(each)))
        if not found and not json:
            await desk.err("nothing is expected; `xmppbus expect TYPE --every 25h` changes that")
        return Exit.OK

    return action


@expect.command("info")
@click.argument("name")
@click.option("--json", is_flag=True, help="One JSON object.")
def info(name: str, json: bool) -> Action:
    """Show one of them.

    \b
    Example:
      xmppbus expect info job.backup
    """

    async def action(desk: Desk) -> int:
        from xmppbus.inputs.expect import expecting

        desk.need_listen()
        door = expecting(desk.house)
        found = await door.find(name)
        if json:
            await desk.terminal.write(json_line(_as_json(found, door)))
            return Exit.OK
        await desk.out(_line(desk, found, door.silent(found)))
        for line in _details(found):
            await desk.out(line)
        return Exit.OK

    return action


@expect.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove(names: tuple[str, ...]) -> Action:
    """Expect it no more. If it is missed at the moment, that is resolved.

    \b
    Example:
      xmppbus expect remove job.backup
    """

    async def action(desk: Desk) -> int:
        from xmppbus.inputs.expect import expecting

        desk.need_admin("say what is expected")
        for name in names:
            found = await expecting(desk.house).remove(name)
            await desk.out(f"{plain(found.name)} is not expected any more")
        return Exit.OK

    return action


def _as_json(expectation: Expectation, door: ExpectInput) -> Mapping[str, Any]:
    return {
        "name": expectation.name,
        "type": expectation.type,
        "every_seconds": expectation.every,
        "grace_seconds": expectation.grace,
        "key": expectation.key or None,
        "source": expectation.source or None,
        "severity": expectation.severity,
        "since": expectation.made,
        "last": expectation.heard or None,
        "item": expectation.item or None,
        "silent_seconds": round(door.silent(expectation)),
        "missed": expectation.missed or None,
    }


def _line(desk: Desk, expectation: Expectation, silent: float) -> str:
    """`✔ job.backup   every 25 h + 60 min   came 3 h ago`."""
    if expectation.missed:
        mark, said = MARKS[expectation.severity], desk.style(f"missed: silent for {lasting(silent)}", "red")
    elif expectation.heard:
        mark, said = "✔", f"came {lasting(silent)} ago"
    else:
        mark, said = "…", f"has not come yet, for {lasting(silent)}"
    return f"{mark} {plain(expectation.name):<32} {_pace(expectation):<20} {said}"


def _pace(expectation: Expectation) -> str:
    """`every 25 h`, and behind a plus how much later it may come."""
    every = f"every {lasting(expectation.every)}"
    return f"{every} + {lasting(expectation.grace)}" if expectation.grace else every


def _details(expectation: Expectation) -> Iterator[str]:
    for name in ("type", "key", "source", "severity"):
        if value := getattr(expectation, name):
            yield f"  {name:<9} {plain(value)}"
    yield f"  since     {expectation.made}"
    if expectation.heard:
        yield f"  last      {expectation.heard}, item {expectation.item}"
