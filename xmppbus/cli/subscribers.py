"""`xmppbus subscribers`: which people and rooms want to hear of what."""

from __future__ import annotations

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.showing import json_line
from xmppbus.errors import Exit
from xmppbus.people.durations import lasting
from xmppbus.people.model import Person, Subscription
from xmppbus.people.shown import clock_time, subscription_json
from xmppbus.render import plain


@click.command()
@click.option("--json", is_flag=True, help="One JSON object a line.")
def subscribers(json: bool) -> Action:
    """List who subscribed to what by writing to the bot: people, and rooms.

    \b
    Example:
      xmppbus subscribers
    """

    async def action(desk: Desk) -> int:
        from xmppbus.house import people_of

        desk.need_admin("see who subscribes")
        people = people_of(desk.house)
        persons = {each.jid: each for each in await people.persons()}
        found = sorted(await people.subscriptions(), key=lambda each: (each.owner, each.pattern))
        for each in found:
            person = persons.get(each.owner)
            if json:
                suspended = person.suspended if person else ""
                await desk.terminal.write(json_line({**subscription_json(each), "suspended": suspended}))
            else:
                await desk.out("  ".join(_words(each, person)))
        if not found and not json:
            await desk.err("nobody subscribes; write `subscribe #` to the bot in a Jabber client")
        return Exit.OK

    return action


def _words(subscription: Subscription, person: Person | None) -> list[str]:
    """`romeo@example.org  disk.#  >=warning  digest of 15 min`."""
    words = [plain(subscription.owner), subscription.pattern]
    words += [subscription.severity] if subscription.severity else []
    if subscription.digest_seconds:
        words.append(f"digest of {lasting(subscription.digest_seconds)}")
    elif subscription.digest_events:
        words.append(f"digest of {subscription.digest_events} events")
    if quiet := subscription.quiet:
        words.append(f"quiet {clock_time(quiet.start)}-{clock_time(quiet.end)} {quiet.zone}".rstrip())
    if person and person.suspended:
        words.append(f"suspended: {plain(person.suspended)}")
    return words
