"""`xmppbus node config`: a node's configuration, shown, changed in part, and looked at again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from xmppbus import limits
from xmppbus.cli.asking import JSON, SERVICE, Visit, Work, asks, line, rows
from xmppbus.cli.desk import Desk, read_all
from xmppbus.cli.showing import json_line
from xmppbus.errors import Code, Exit, Refused

if TYPE_CHECKING:
    from xmppbus.xmpp.services.form_checks import Ignored
    from xmppbus.xmpp.services.forms import Form

VALUES = click.argument("values", nargs=-1, metavar="[K=V]...")


@click.group()
def config() -> None:
    """Show and change how a node is configured: its data form (XEP-0004), whatever fields its service has.

    \b
    Example:
      xmppbus node config get user.signup
    """


@config.command()
@click.argument("node", metavar="NODE")
@click.argument("fields", nargs=-1, metavar="[FIELD]...")
@click.option("--long", is_flag=True, help="With labels, and the values that each takes.")
@SERVICE
@JSON
@asks("look at nodes in the bus's name")
def get(node: str, fields: tuple[str, ...], long: bool, service: str, json: bool) -> Work:
    """Show the configuration, or only the values of some FIELDs, one a line.

    \b
    Example:
      xmppbus node config get user.signup max_items
      xmppbus node config get user.signup --json > signup.json
    """

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services.form_checks import field_named
        from xmppbus.xmpp.services.forms import form_json

        at, desk = visit.service(service), visit.desk
        form = await visit.ask(f"the configuration of {line(node)}", at.jid, at.config(node))
        chosen = [field_named(form, each) for each in fields]
        if json:
            shown = form._replace(fields=tuple(chosen)) if fields else form
            await desk.terminal.write(json_line({"service": at.jid, "node": node, **form_json(shown)}))
        elif fields:
            for each in chosen:
                await desk.out("\n".join(line(value) for value in each.values))
        else:
            await desk.out("\n".join(_long(desk, form) if long else rows(desk, _short(form))))
        return Exit.OK

    return work


def _short(form: Form) -> list[tuple[str, str]]:
    return [(_name(var), _joined(each.values)) for var, each in form.settable.items()]


def _long(desk: Desk, form: Form) -> Iterator[str]:
    for var, each in form.settable.items():
        yield f"{desk.style(_name(var), 'bold')}  {_joined(each.values)}".rstrip()
        for words in filter(None, (line(each.label), line(each.description))):
            yield from (desk.style(text, "dim") for text in rows(desk, [("", words)], indent="  "))
        if each.options:
            yield desk.style("    one of: " if each.type == "list-single" else "    some of: ", "dim") + ", ".join(
                line(option.value) for option in each.options
            )
        elif each.least or each.most:
            yield f"    {line(each.least) or '...'} to {line(each.most) or '...'}"
        elif each.type == "boolean":
            yield "    true or false"


def _name(var: str) -> str:
    return line(var.removeprefix("pubsub#"))


def _joined(values: Sequence[str]) -> str:
    return ", ".join(line(each) for each in values)


@config.command("set")
@click.argument("node", metavar="NODE")
@VALUES
@click.option("--from", "file", metavar="FILE", help="What `config get --json` showed, edited; - is standard input.")
@click.option("--force", is_flag=True, help="Send fields, too, that the form does not have.")
@SERVICE
@JSON
@asks("change nodes in the bus's name")
def set_(*, node: str, values: tuple[str, ...], file: str | None, force: bool, service: str, json: bool) -> Work:
    """Change some fields, send the others back as they are, and look what became of it.

    The beginning `pubsub#` may be left out. A field of many values is given as often: K=A K=B; K= empties it. What a
    service says yes to and does not do is said, with exit code 69.

    \b
    Example:
      xmppbus node config set user.signup max_items=64 access_model=whitelist
      xmppbus node config set user.signup --from signup.json
    """
    wanted = wanted_of(values)
    if not wanted and file is None:
        raise click.UsageError("Say what to change: K=V, or --from FILE.")

    async def work(visit: Visit) -> int:
        given = {**(await _read(visit.desk, file) if file is not None else {}), **wanted}
        at, desk = visit.service(service), visit.desk
        asked = at.configure(node, given, unknown=force)
        changes, ignored = await visit.ask(f"can't configure {line(node)}", at.jid, asked)
        if json:
            shown = {"changed": changes, "ignored": [each._asdict() for each in ignored]}
            await desk.terminal.write(json_line({"service": at.jid, "node": node, **shown}))
        elif not changes:
            await desk.err("nothing to change: it is so already")
        else:
            left = {each.var for each in ignored}
            done = [(_name(var), _joined(each)) for var, each in changes.items() if var not in left]
            await desk.out("\n".join(rows(desk, done)) if done else "nothing was changed")
            await _say_whose(visit, at.jid, node, changes)
        return await say_ignored(visit, at.jid, ignored)

    return work


def wanted_of(values: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """K=V, with several values where K is given several times, and none for `K=` alone. Raises `UsageError`."""
    found: dict[str, tuple[str, ...]] = {}
    for each in values:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{each!r} is not K=V, such as max_items=64.")
        found[name] = (*found.get(name, ()), *([value] if value else []))
    return found


async def _read(desk: Desk, file: str) -> Mapping[str, tuple[str, ...]]:
    from xmppbus.xmpp.services.forms import read_json

    content = await read_all(
        desk.terminal.read(b"" if file == "-" else os.fsencode(file)), limits.FORM_FILE_BYTES, file
    )
    try:
        return read_json(msgspec.json.decode(content))
    except msgspec.DecodeError as error:
        raise Refused(Code.INVALID, f"{file} is not JSON: {error}") from None
    except Refused as refused:
        raise Refused(refused.code, f"{file}: {refused}") from None


async def say_ignored(visit: Visit, service: str, ignored: Sequence[Ignored]) -> int:
    """What a service said yes to and did not do, and the exit code for it."""
    for each in ignored:
        wanted = _joined(each.wanted) or "nothing"
        if each.found is None:
            text = f"{line(service)} said yes to {_name(each.var)}={wanted}, and has no such field: it was ignored"
        else:
            found = _joined(each.found) or "nothing"
            text = f"{line(service)} said yes to {_name(each.var)}={wanted}, and it is {found} all the same"
        await visit.desk.err(text)
    return Exit.UNAVAILABLE if ignored else Exit.OK


async def _say_whose(visit: Visit, service: str, node: str, changes: Mapping[str, object]) -> None:
    """The config's `nodes:` has the last word on the bus's own nodes."""
    house = visit.house
    if house is None or house.xmpp is None or service != house.xmpp.service:
        return
    prefix = house.xmpp.options.node_prefix
    from xmppbus.xmpp.nodes import fields_of, profile_of

    if not node.startswith(prefix):
        return
    of_config = fields_of(profile_of(house.options.nodes, node.removeprefix(prefix)))
    names = [_name(each) for each in changes if each in of_config]
    if names:
        words = f"the bus keeps its nodes as the config's `nodes:` says, and may put back {', '.join(names)}"
        await visit.desk.err(words)
