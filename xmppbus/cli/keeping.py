"""What the commands that look after a journal's files share: where it is, a bar, and exit codes for what goes wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xmppbus.cli.desk import Desk
from xmppbus.cli.replay import BAR_COLUMNS
from xmppbus.errors import Code, ConfigInvalid, Exit, JournalFailed, JournalHeld, Refused

if TYPE_CHECKING:
    from xmppbus.config import Config

CONFIG = click.option("--config", metavar="FILE", help="The config; else the one that `xmppbus serve` would take.")


def here(desk: Desk) -> None:
    """For what is done to files, where it is typed, and never by the daemon."""
    if desk.open_house is not None:
        raise Refused(Code.USAGE, "this is done where it is typed, and not by the daemon")


def config_of(file: str | None) -> Config:
    """The config that `serve` would take. Raises `ConfigInvalid`."""
    from xmppbus.config import load

    return load(Path(file) if file else None, os.environ)


async def carefully(desk: Desk, work: Callable[[], int]) -> int:
    """Do it; what goes wrong is a sentence and an exit code."""
    try:
        return work()
    except ConfigInvalid as error:
        return await _said(desk, error, Exit.CONFIG)
    except JournalHeld as error:
        return await _said(desk, error, Exit.TRY_AGAIN)
    except JournalFailed as error:
        return await _said(desk, error, Exit.DATA)
    except OSError as error:
        refused = Refused(Code.FORBIDDEN, f"{error.filename}: {error.strerror}")
        return await _said(desk, refused, Exit.REFUSED)


async def _said(desk: Desk, error: Exception, code: int) -> int:
    await desk.err(str(error))
    return code


class Bar:
    """How far it is, on a terminal; nothing elsewhere. Leave it, and it is gone."""

    def __init__(self, desk: Desk, words: str) -> None:
        self._shown = desk.facts.terminals[2]
        self._words = words
        self._percent = -1

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._percent >= 0:
            self._write("\r\x1b[K")

    def __call__(self, done: int, whole: int) -> None:
        """So much of so much."""
        percent = 100 * done // whole if whole else 100
        if self._shown and percent != self._percent:
            self._percent = percent
            full = percent * BAR_COLUMNS // 100
            self._write(f"\r{self._words} {'█' * full}{'░' * (BAR_COLUMNS - full)} {percent:3} %")

    def _write(self, text: str) -> None:
        sys.stderr.buffer.write(text.encode())
        sys.stderr.buffer.flush()
