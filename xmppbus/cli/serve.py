"""`xmppbus serve`: the daemon."""

from __future__ import annotations

import gc
import logging
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.errors import ConfigInvalid, Exit, JournalFailed, JournalHeld, PluginInvalid
from xmppbus.running.logs import FORMATS, begin_log

if TYPE_CHECKING:
    from xmppbus.house import House
    from xmppbus.plugins import Registry

log = logging.getLogger("xmppbus")

COLLECT_AFTER = 10_000
"""Objects made and not yet gone after which Python looks for cycles among them (700 unless it is told otherwise). Ours
have hardly any, and ten thousand messages on their way are looked through again and again: it cost a third of all that
is done for each of them."""


@click.command()
@click.option("--config", metavar="FILE", help="The config; else $XMPPBUS_CONFIG, ./xmppbus.yaml, and so on.")
@click.option("--verbose", is_flag=True, help="Log more than one needs when all is well.")
@click.option("--log-format", type=click.Choice(FORMATS), help="How to log; else $XMPPBUS_LOG, and what fits.")
def serve(config: str | None, verbose: bool, log_format: str | None) -> Action:
    """Run the daemon, until SIGTERM or Ctrl-C.

    With no config at all it is a local bus: journal, socket, HTTP on loopback, plugins, listeners. A second daemon on
    the same journal is refused (exit 75).

    It logs to the error output: as text; as `json`, one object a line; or, under systemd, as fields of its `journal`.

    \b
    Example:
      xmppbus serve --config /etc/xmppbus/xmppbus.yaml
      xmppbus serve --log-format json
    """

    async def action(desk: Desk) -> int:
        try:
            begin_log(logging.DEBUG if verbose else logging.INFO, log_format, os.environ)
        except ValueError as error:
            return await _fail(desk, error, Exit.USAGE)
        try:
            return run_house(Path(config) if config else None)
        except ConfigInvalid as error:
            return await _fail(desk, error, Exit.CONFIG)
        except PluginInvalid as error:
            return await _fail(desk, error, Exit.CONFIG)
        except JournalHeld as error:
            return await _fail(desk, error, Exit.TRY_AGAIN)
        except JournalFailed as error:
            return await _fail(desk, error, Exit.SOFTWARE)

    return action


def run_house(path: Path | None, *more: Callable[[Registry], None]) -> int:
    """Live in it; the exit code. `more` register beside the plugins."""
    import asyncio

    from xmppbus import app
    from xmppbus.config import load

    config = load(path, os.environ)
    _raise_open_files()
    gc.set_threshold(COLLECT_AFTER)
    try:
        return asyncio.run(app.serve(config, started, more))
    except* (ConfigInvalid, JournalHeld, JournalFailed, PluginInvalid) as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
    raise error


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.OPEN_FILES if hard == resource.RLIM_INFINITY else min(limits.OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def started(house: House) -> None:
    """Every door is open: the command line moves in."""
    from xmppbus.cli.answer import Answerer
    from xmppbus.inputs.unix import UnixInput

    unix = house.inputs["unix"]
    assert isinstance(unix, UnixInput)  # noqa: S101  # for the type checker: its own module has registered it
    unix.commands = Answerer(house)
    for notice in house.notices:
        log.warning("%s", notice)
    page = f", page {house.web.address}/" if house.web else ""
    log.info("the bus is up: journal %s, socket %s%s", house.config.journal_path, house.config.socket_path, page)


async def _fail(desk: Desk, error: BaseException, code: int) -> int:
    await desk.err(str(error))
    return code
