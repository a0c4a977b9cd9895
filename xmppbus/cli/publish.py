"""`xmppbus publish`: one event, or one a line."""

from __future__ import annotations

import os
from json import dumps
from typing import Any

import click

from xmppbus import limits
from xmppbus.cli.accepted import UNROUTED, as_json, unrouted
from xmppbus.cli.desk import Action, Desk, read_all
from xmppbus.cli.fields import Wish, fields_of, fields_of_json
from xmppbus.errors import Code, Exit, Refused
from xmppbus.fields import SEVERITIES, STATUSES
from xmppbus.interfaces import Accepted

SECONDS = click.FloatRange(0, 86_400, min_open=True)


@click.command()
@click.argument("type_", metavar="TYPE", required=False)
@click.argument("text", required=False)
@click.option("--summary", metavar="LINE", help="One line for people; else the text's first line.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="How bad it is; info unless it is given.")
@click.option("--link", metavar="URI", help="Where to read more.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A word to find it by. May be given several times.")
@click.option("--key", metavar="KEY", help="What it is about; with --status it names an incident.")
@click.option("--status", type=click.Choice(STATUSES), help="Where the incident stands; needs --key.")
@click.option("--subject", metavar="SUBJECT", help="What within the source it is about: a disk, a user, a job.")
@click.option("--source", metavar="SOURCE", help="Where it happened; this machine's name unless it is given.")
@click.option("--id", "id_", metavar="ID", help="Its name within the source: the same again is known, not repeated.")
@click.option("--time", metavar="TIME", help="When it happened (RFC 3339); now unless it is given.")
@click.option("--expires", metavar="TIME", help="Not worth delivering after this: RFC 3339, or 90s, 10m, 2h, 3d.")
@click.option("--replyto", metavar="URI", help="Where results are called back.")
@click.option(
    "--queue", metavar="NAME", help="For one consumer of this queue, and for nobody else: no node, no person."
)
@click.option("--data", multiple=True, metavar="K=V", help="A value for programs, JSON or text. May be repeated.")
@click.option("--json", "json", metavar="FILE|-", help="The whole event as JSON; other options win over it.")
@click.option("--lines", is_flag=True, help="Each line of standard input (or of --json's file) is an event.")
@click.option("--confirm", is_flag=True, help="Wait until the node's server has said yes.")
@click.option(
    "--timeout",
    type=SECONDS,
    default=limits.CONFIRM_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long --confirm waits.",
)
@click.option(
    "--output",
    type=click.Choice(["id", "json", "none"]),
    help="What to print for each event: its item id (the default; with --lines only when standard output is not a "
    "terminal), a JSON object, or nothing.",
)
def publish(type_: str | None, text: str | None, data: tuple[str, ...], **options: Any) -> Action:
    """Publish an event of TYPE (dotted words, such as disk.full), which is also the name of its node.

    TEXT is for people. When it is - or missing, and standard input is not a terminal, it is read from there. With
    --data the text becomes the data's `text`.

    The event is on disk when this exits with 0. Without a daemon it is kept in the spool, which the daemon takes up
    when it starts.

    Exit codes: 0 accepted (with --confirm: delivered), 64 usage, 65 bad event, 69 no daemon and no spool, 75 try again,
    77 refused.

    \b
    Example:
      xmppbus publish user.signup "alice joined" --data plan=free
      make deploy 2>&1 | xmppbus publish deploy.log --severity notice
    """
    _check_usage(type_, text, options)
    wish = Wish(type_ or "", _event_options(options), data)

    async def action(desk: Desk) -> int:
        desk.need_publish()
        if options["lines"]:
            from xmppbus.cli.lines import publish_lines

            return await publish_lines(desk, wish, options)
        fields = await _read(desk, wish, text, options["json"])
        if desk.open_house is None:
            return await _spool(desk, fields, options)
        try:
            (answer,) = await desk.house.bus.accept([fields])
        except Refused as refusal:
            if refusal.code is not Code.CLOSING:
                raise
            return await _spool(desk, fields, options)
        if isinstance(answer, Refused):
            raise answer
        await _show(desk, answer, options["output"] or "id")
        if options["confirm"]:
            from xmppbus.cli.confirm import confirm_all

            return await confirm_all(desk, [answer], options["timeout"])
        return Exit.OK

    return action


def _check_usage(type_: str | None, text: str | None, options: dict[str, Any]) -> None:
    if not type_ and not options["json"]:
        raise click.UsageError("Missing argument 'TYPE'.")
    if options["status"] and not options["key"] and not options["json"]:
        raise click.UsageError("--status needs --key: an incident is named by its key.")
    if options["json"] and text is not None:
        raise click.UsageError("TEXT and --json don't go together; give --data text=TEXT.")
    if options["lines"] and text not in (None, "-"):
        raise click.UsageError("TEXT and --lines don't go together: the lines are the texts.")
    if options["lines"] and options["id_"]:
        raise click.UsageError("--id names one event, --lines makes many; give ids with --json - --lines.")


def _event_options(options: dict[str, Any]) -> dict[str, Any]:
    names = ("summary", "severity", "link", "key", "status", "subject", "source", "time", "expires", "replyto", "queue")
    found = {name: options[name] for name in names if options[name] is not None}
    if options["id_"] is not None:
        found["id"] = options["id_"]
    if options["tags"]:
        found["tags"] = list(options["tags"])
    return found


async def _read(desk: Desk, wish: Wish, text: str | None, json: str | None) -> dict[str, Any]:
    if json is not None:
        path = b"" if json == "-" else os.fsencode(json)
        return fields_of_json(wish, await read_all(desk.terminal.read(path), limits.EVENT_BYTES, "the event"), desk.now)
    if text is None and desk.facts.terminals[0]:
        return fields_of(wish, None, desk.now)
    if text is None or text == "-":
        content = await read_all(desk.terminal.read(), limits.EVENT_BYTES, "the text")
    else:
        content = os.fsencode(text)
    return fields_of(wish, content, desk.now)


async def _show(desk: Desk, answer: Accepted, output: str) -> None:
    """The item id or JSON, and a word to its sender when nobody is going to get it."""
    if output != "none":
        await desk.out(answer.item_id if output == "id" else dumps(as_json(answer)))
    if unrouted(desk, answer):
        await desk.err(UNROUTED)


async def _spool(desk: Desk, fields: dict[str, Any], options: dict[str, Any]) -> int:
    from xmppbus.cli.spooling import Spooled, spool, spool_into

    if desk.open_house:  # it is being left, and can't tell its client to begin again: standard input has been read
        config = desk.open_house.config
        directory = config.spool_directory
        source = config.options.source or os.uname().nodename
        kept = Spooled(directory, spool_into(directory, source, [fields]))
    else:
        kept = spool([fields], desk.facts.environment)
    directory, (answer,) = kept
    if isinstance(answer, Refused):
        raise answer
    output = options["output"] or "id"
    if output != "none":
        await desk.out(answer if output == "id" else dumps({"id": answer, "result": "spooled"}))
    await desk.err(f"no daemon is running: the event is kept in {directory} until it starts")
    if options["confirm"]:
        raise Refused(Code.TIMEOUT, "nobody can confirm yet that it was delivered")
    return Exit.OK
