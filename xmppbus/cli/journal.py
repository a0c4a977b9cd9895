"""`xmppbus journal`: how the journal's files stand, and what can be done about them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.keeping import CONFIG, Bar, carefully, config_of, here
from xmppbus.cli.showing import json_line
from xmppbus.cli.status import size
from xmppbus.errors import Code, Exit, JournalFailed, Refused
from xmppbus.people.durations import ago, duration

if TYPE_CHECKING:
    from xmppbus.config import Config
    from xmppbus.stores.inspection import End, Info
    from xmppbus.stores.sqlite import SqliteJournal

_JSON = click.option("--json", is_flag=True, help="As one JSON object.")


@click.group()
def journal() -> None:
    """Look after the journal: how it stands, whether it is whole, forgetting early, giving disk space back.

    \b
    Example:
      xmppbus journal info
    """


@journal.command()
@CONFIG
@_JSON
def info(config: str | None, json: bool) -> Action:
    """Show its size, what it holds, and its schema. The daemon may run.

    \b
    Example:
      xmppbus journal info --json | jq .entries
    """

    async def action(desk: Desk) -> int:
        here(desk)
        return await carefully(desk, lambda: _info(desk, config, json=json))

    return action


def _info(desk: Desk, config: str | None, *, json: bool) -> int:
    from xmppbus.stores import inspection, snapshots

    path = config_of(config).journal_path
    with snapshots.reading(path) as connection:
        found = inspection.info(path, connection)
    if json:
        ends = {
            name: end and {"sequence": end.sequence, "accepted": end.accepted.isoformat()}
            for name, end in (("oldest", found.oldest), ("newest", found.newest))
        }
        sys.stdout.buffer.write(json_line({**found._asdict(), "path": str(path), **ends}))
    else:
        print("\n".join(f"{name:<11} {words}" for name, words in _shown(desk, found)))
    return Exit.OK


def _shown(desk: Desk, found: Info) -> Iterator[tuple[str, str]]:
    yield "journal", str(found.path)
    older = "" if found.schema == found.schema_here else f"; the next start brings it to {found.schema_here}"
    yield "schema", f"{found.schema}{older}"
    yield "held by", f"process {found.holder}" if found.holder is not None else "nobody: no daemon runs on it"
    used = f"{size(found.free_bytes)} of it free for what comes"
    yield "size", f"{size(found.file_bytes)}, {used}; {size(found.log_bytes)} of log"
    yield "events", f"{found.entries:,}, and {found.names:,} names (an event of a known name is not accepted twice)"
    for word, end in (("oldest", found.oldest), ("newest", found.newest)):
        if end:
            yield word, _end(desk, end)
    yield "deliveries", f"{found.waiting:,} waiting, {found.delivered:,} delivered, {found.dead:,} dead"
    yield "listeners", f"{found.consumers:,} with a name"


def _end(desk: Desk, end: End) -> str:
    moment = end.accepted.astimezone(desk.zone)
    return f"sequence {end.sequence}, {moment:%Y-%m-%d %H:%M:%S} ({ago(end.accepted, desk.now())} ago)"


@journal.command()
@CONFIG
@_JSON
def check(config: str | None, json: bool) -> Action:
    """Read all of it, and say whether it is whole: SQLite's structure, the tables, every event. The daemon may run.

    Exit codes: 0 it is whole, 65 it is damaged; then restore a backup (`xmppbus restore`).

    \b
    Example:
      xmppbus journal check
    """

    async def action(desk: Desk) -> int:
        here(desk)
        return await carefully(desk, lambda: _check(desk, config, json=json))

    return action


def _check(desk: Desk, config: str | None, *, json: bool) -> int:
    from xmppbus.stores import inspection, snapshots

    path = config_of(config).journal_path
    found: list[str] = []
    with snapshots.reading(path) as connection, Bar(desk, "check") as bar:
        connection.execute("BEGIN")
        entries = inspection.info(path, connection).entries
        for finding in inspection.findings(connection, bar):
            found.append(finding)
            if len(found) >= inspection.MOST_FINDINGS:
                break
    if json:
        sys.stdout.buffer.write(
            json_line({"path": str(path), "entries": entries, "whole": not found, "findings": found})
        )
    elif found:
        print("\n".join(found))
        print(f"{path} is damaged. Check the disk, then `xmppbus restore` a backup; what is wrong stands above.")
    else:
        print(f"{path} is whole: {entries:,} events")
    return Exit.DATA if found else Exit.OK


def _older_than(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:  # noqa: ARG001  # click's
    found = duration(value) if value else None
    if value and found is None:
        raise click.BadParameter(f"{value!r} is no time such as 12h, 30d or 4w.")
    return found


@journal.command()
@click.option("--older-than", callback=_older_than, metavar="TIME", help="12h, 30d, 4w; else `journal: keep: days:`.")
@CONFIG
@_JSON
def prune(older_than: timedelta | None, config: str | None, json: bool) -> Action:
    """Forget now what was delivered and is older than that. What waits or is dead stays.

    The daemon does it, if one runs; it does so by itself once a minute by `journal: keep:`. The file does not get
    smaller: what is free in it is used for what comes (`journal vacuum` gives it back).

    \b
    Example:
      xmppbus journal prune --older-than 7d
    """

    async def action(desk: Desk) -> int:
        if desk.open_house is None:
            return await carefully(desk, lambda: _prune_here(older_than, config_of(config), json=json))
        desk.need_admin("prune the journal")
        if config:
            raise Refused(Code.USAGE, "a daemon runs and prunes its own journal; leave --config out, or stop it")
        from xmppbus.stores.sqlite import SqliteJournal

        opened = desk.house.journal
        assert isinstance(opened, SqliteJournal)  # noqa: S101  # for the type checker: app.py opens no other
        await desk.terminal.write(await _pruned(opened, older_than, json=json))
        return Exit.OK

    return action


def _prune_here(older_than: timedelta | None, config: Config, *, json: bool) -> int:
    import asyncio

    from xmppbus.stores.sqlite import SqliteJournal

    if not config.journal_path.exists():
        raise JournalFailed(f"there is no journal at {config.journal_path}")
    keep = config.options.journal.keep

    async def work() -> bytes:
        most = int(keep.gib * limits.GIB)
        async with SqliteJournal(config.journal_path, keep_days=keep.days, most_bytes=most) as opened:
            return await _pruned(opened, older_than, json=json)

    sys.stdout.buffer.write(asyncio.run(work()))
    return Exit.OK


async def _pruned(opened: SqliteJournal, older_than: timedelta | None, *, json: bool) -> bytes:
    before = await opened.status()
    pruned = await opened.prune(older_than)
    after = await opened.status()
    if json:
        shown: dict[str, Any] = {"pruned": pruned, "entries": after.entries}
        return json_line({**shown, "bytes_before": before.bytes, "bytes": after.bytes})
    sizes = f"{size(before.bytes)} before, {size(after.bytes)} now"
    return f"{pruned:,} events forgotten, {after.entries:,} left; {sizes}\n".encode()


@journal.command()
@click.option("--dry-run", is_flag=True, help="Only say what it would take and give.")
@CONFIG
@_JSON
def vacuum(dry_run: bool, config: str | None, json: bool) -> Action:
    """Write the journal's file anew, without what is free in it, and give the disk space back.

    It needs as much room beside the journal as the new file takes. The daemon must be stopped; while it runs, what is
    free is used for what comes, so this is seldom worth it.

    Exit codes: 0 done, 75 the daemon runs or there is no room; then nothing was changed.

    \b
    Example:
      xmppbus journal vacuum --dry-run
    """

    async def action(desk: Desk) -> int:
        here(desk)
        return await carefully(desk, lambda: _vacuum(config, dry_run=dry_run, json=json))

    return action


def _vacuum(config: str | None, *, dry_run: bool, json: bool) -> int:
    from xmppbus.stores import compacting, restoring, snapshots

    path = config_of(config).journal_path
    with snapshots.reading(path) as connection:
        needed = compacting.needed_bytes(connection)
    now, free = path.stat().st_size, snapshots.free_bytes(path.parent)
    if not json:
        print(f"{path} has {size(now)}, the new file about {size(needed)}; {size(free)} are free beside it")
    done = compacting.Compacted(now, now)
    if not dry_run:
        sys.stdout.flush()
        with restoring.held(path, "vacuum"):
            done = compacting.compact(path)
    if json:
        shown = {"needed": needed, "free": free, "before": done.before, "after": done.after, "dry_run": dry_run}
        sys.stdout.buffer.write(json_line(shown))
    elif not dry_run:
        print(f"{size(done.before)} before, {size(done.after)} now")
    return Exit.OK
