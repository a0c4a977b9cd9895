"""`xmppbus pep`: what an account tells its contacts of itself, and what others tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from xmppbus.cli.asking import JSON, Visit, Work, asks, done, line, rows
from xmppbus.cli.showing import json_line
from xmppbus.errors import Code, Exit, Refused

if TYPE_CHECKING:
    from xmppbus.xmpp.services.nodes import ManyItems
    from xmppbus.xmpp.services.pep import Kind

_WHAT = "speak for the bus"
_CLEAR = click.option("--clear", is_flag=True, help="Say nothing of it any more.")
_TUNE = ("artist", "title", "source", "track", "length", "rating", "uri")
_PLACE = (
    *("lat", "lon", "accuracy", "alt", "country", "region", "locality", "postalcode", "street", "building", "floor"),
    *("room", "description", "text", "uri"),
)
_WORDS = ("tune", "mood", "activity", "location", "nick")


@click.group()
def pep() -> None:
    """Tell an account's contacts what it is about (XEP-0163): tune, mood, activity, location, nickname.

    A component has no account, so this needs one: --as, or a daemon that is logged in as one (`xmpp: account:`).

    \b
    Example:
      xmppbus pep mood happy "It works." --as romeo@example.org
    """


def _parts(names: tuple[str, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def take(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            function = click.option(f"--{name}", name, metavar=name.upper())(function)
        return function

    return take


@pep.command()
@_parts(_TUNE)
@_CLEAR
@JSON
@asks(_WHAT)
def tune(*, clear: bool, json: bool, **parts: str | None) -> Work:
    """Tell what is being heard (XEP-0118): --artist, --title...; length is in seconds, rating from 1 to 10.

    \b
    Example:
      xmppbus pep tune --artist Yes --title "Heart of the Sunrise" \\
          --as romeo@example.org
      xmppbus pep tune --clear --as romeo@example.org
    """
    return _said("tune", parts, clear=clear, json=json)


@pep.command()
@_parts(_PLACE)
@_CLEAR
@JSON
@asks(_WHAT)
def location(*, clear: bool, json: bool, **parts: str | None) -> Work:
    """Tell where one is (XEP-0080): --lat and --lon in degrees, accuracy in metres, and words.

    \b
    Example:
      xmppbus pep location --locality Verona --country Italy \\
          --as romeo@example.org
    """
    return _said("location", parts, clear=clear, json=json)


def _said(word: str, given: Mapping[str, str | None], *, clear: bool, json: bool) -> Work:
    parts = {name: value for name, value in given.items() if value is not None}
    if bool(parts) == clear:
        raise click.UsageError(f"Say what of the {word}, or --clear.")

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services import pep as payloads

        kind = payloads.KINDS[word]
        return await _publish(visit, kind, payloads.payload(kind, parts), clear=clear, json=json)

    return work


@pep.command()
@click.argument("mood_", default="", metavar="[MOOD]")
@click.argument("text", default="")
@_CLEAR
@JSON
@asks(_WHAT)
def mood(mood_: str, text: str, clear: bool, json: bool) -> Work:
    """Tell a mood (XEP-0107), such as happy, worried or in_love, and TEXT about it.

    \b
    Example:
      xmppbus pep mood worried "The disk is full." --as romeo@example.org
      xmppbus pep mood --clear --as romeo@example.org
    """
    if bool(mood_) == clear:
        raise click.UsageError("Say which mood, or --clear.")

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services import pep as payloads

        return await _publish(visit, payloads.MOOD, payloads.mood(mood_, text), clear=clear, json=json)

    return work


@pep.command()
@click.argument("activity_", default="", metavar="[ACTIVITY]")
@click.argument("text", default="")
@_CLEAR
@JSON
@asks(_WHAT)
def activity(activity_: str, text: str, clear: bool, json: bool) -> Work:
    """Tell what one does (XEP-0108), such as working, working/coding or relaxing/reading, and TEXT about it.

    \b
    Example:
      xmppbus pep activity working/coding "A new release" \\
          --as romeo@example.org
    """
    if bool(activity_) == clear:
        raise click.UsageError("Say which activity, or --clear.")

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services import pep as payloads

        return await _publish(visit, payloads.ACTIVITY, payloads.activity(activity_, text), clear=clear, json=json)

    return work


@pep.command()
@click.argument("name", default="")
@_CLEAR
@JSON
@asks(_WHAT)
def nick(name: str, clear: bool, json: bool) -> Work:
    """Tell how one is called (XEP-0172).

    \b
    Example:
      xmppbus pep nick Romeo --as romeo@example.org
    """
    if bool(name) == clear:
        raise click.UsageError("Say the name, or --clear.")

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services import pep as payloads

        return await _publish(visit, payloads.NICK, payloads.nick(name), clear=clear, json=json)

    return work


async def _publish(visit: Visit, kind: Kind, content: str, *, clear: bool, json: bool) -> int:
    from xmppbus.xmpp.services.pep import publish

    if visit.asker.is_component:
        text = "a component has no PEP: its server keeps none for it. Log in with an account: --as romeo@example.org"
        raise Refused(Code.NOT_CONFIGURED, text)
    own = visit.asker.jid
    await visit.ask(f"can't tell the {kind.word}", own, visit.asker.ask("set", own, publish(kind, content)))
    return await done(visit.desk, "cleared" if clear else "told", {"what": kind.word, "jid": own}, json=json)


@pep.command()
@click.argument("jid", default="")
@click.argument("what", type=click.Choice(["", *_WORDS]), default="", metavar="[WHAT]")
@JSON
@asks("look at what others tell the bus")
def get(jid: str, what: str, json: bool) -> Work:
    """Show what JID tells of itself, or one's own account: all of it, or WHAT of it (tune, mood, ...).

    \b
    Example:
      xmppbus pep get juliet@example.com mood --as romeo@example.org
    """

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services import pep as payloads
        from xmppbus.xmpp.services.asking import address

        who = address(jid).partition("/")[0] if jid else visit.asker.jid
        found: dict[str, dict[str, Any]] = {}
        for word in [what] if what else _WORDS:
            if told := await _told(visit, who, payloads.KINDS[word], must=bool(what)):
                found[word] = told
        if json:
            await visit.desk.terminal.write(json_line({"jid": who, **found}))
        elif found:
            shown = [(word, ", ".join(_words(word, told))) for word, told in found.items()]
            await visit.desk.out("\n".join(rows(visit.desk, shown)))
        else:
            await visit.desk.err(f"{line(who)} tells nothing of that")
        return Exit.OK if found else Exit.EMPTY

    return work


async def _told(visit: Visit, who: str, kind: Kind, *, must: bool) -> dict[str, Any]:
    from xmppbus.xmpp.replies import ErrorAnswer
    from xmppbus.xmpp.services.asking import explained
    from xmppbus.xmpp.services.nodes import Service
    from xmppbus.xmpp.services.pep import read

    try:
        asked: ManyItems = await Service(visit.asker, who).items(kind.node, last=1)
    except ErrorAnswer as error:
        if error.reply.name == "item-not-found" or not must:
            return {}
        raise explained(error, f"the {kind.word} of {line(who)}", who, visit.asker.jid) from None
    return read(asked.items[-1].payload) if asked.items else {}


def _words(word: str, told: dict[str, Any]) -> list[str]:
    return [
        line(str(value)) if name in (word, "text") else f"{line(name)} {line(str(value))}"
        for name, value in told.items()
    ]
