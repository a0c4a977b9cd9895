"""`xmppbus check`: is the config right, what house does it make, and does the server play along?"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from xmppbus.cli.checking import Level, Report, Verdict, examine
from xmppbus.cli.desk import Action, Desk, encode
from xmppbus.cli.house_tree import ASCII_LINES, LINES, Drawing, house
from xmppbus.cli.showing import json_line

MARKS = {Level.GOOD: ("✓", "ok", "green"), Level.DOUBT: ("!", "!", "yellow"), Level.BAD: ("✗", "no", "red")}


@click.command()
@click.option("--config", metavar="FILE", help="The config; else $XMPPBUS_CONFIG, ./xmppbus.yaml, and so on.")
@click.option("--json", is_flag=True, help="Everything, as one JSON object.")
def check(config: str | None, json: bool) -> Action:
    """Check the config, draw the house that it makes, then connect and say what the server lacks.

    What is missing on the server is said in plain words, with the lines to paste for Prosody, ejabberd and Openfire.
    Needs no daemon; where one runs already, it is asked instead of the server, and goes on undisturbed.

    Exit codes: 0 all is well, 69 the server can't be used, 78 the config can't be used.

    \b
    Example:
      xmppbus check --config /etc/xmppbus/xmppbus.yaml
      xmppbus check --json | jq .findings
    """

    async def action(desk: Desk) -> int:
        report = examine(Path(config) if config else None, os.environ)
        if json:
            await desk.terminal.write(json_line(as_json(report)))
            return report.exit_code
        for line in report.errors:
            await desk.terminal.complain(encode(line + "\n"))  # as compilers do it, so that an editor finds the place
        if report.config:
            await desk.out("\n".join(shown(desk, report, draws_lines=_draws_lines())))
        return report.exit_code

    return action


def as_json(report: Report) -> dict[str, Any]:
    """What `--json` prints; docs/reference/check.md lists the fields."""
    config = report.config
    return {
        "exit": report.exit_code,
        "config": str(config.path) if config and config.path else None,
        "errors": list(report.errors),
        "warnings": list(config.warnings) if config else [],
        "options": msgspec.to_builtins(config.options) if config else None,
        "journal": str(config.journal_path) if config else None,
        "spool": str(config.spool_directory) if config else None,
        "socket": str(config.socket_path) if config else None,
        "daemon": report.daemon,
        "findings": [verdict._asdict() for verdict in report.verdicts],
    }


def shown(desk: Desk, report: Report, *, draws_lines: bool) -> Iterator[str]:
    """The report for people: the tree, then a paragraph for each warning and finding."""
    assert report.config  # noqa: S101  # for the type checker: without a config there are only errors
    width = desk.width if desk.facts.terminals[1] else None
    drawing = Drawing(width, LINES if draws_lines else ASCII_LINES, lambda text, depth: _name(desk, text, depth))
    yield from drawing.lines_of(house(report.config))
    yield ""
    for warning in report.config.warnings:
        yield from _paragraph(desk, Verdict(Level.DOUBT, "config", warning), draws_lines)
    yield from verdict_lines(desk, report, draws_lines=draws_lines)


def verdict_lines(desk: Desk, report: Report, *, draws_lines: bool | None = None) -> Iterator[str]:
    """A paragraph for each finding."""
    for verdict in report.verdicts:
        yield from _paragraph(desk, verdict, _draws_lines() if draws_lines is None else draws_lines)


def _name(desk: Desk, text: str, depth: int) -> str:
    return desk.style(text, "bold" if depth < 2 else "cyan")


def _paragraph(desk: Desk, verdict: Verdict, draws_lines: bool) -> Iterator[str]:
    fine, plain, colour = MARKS[verdict.level]
    mark = fine if draws_lines else plain
    indent = " " * (len(mark) + 1)
    first, *more = _wrapped(desk, verdict.text, indent)
    yield f"{desk.style(mark, colour)} {first}"
    yield from (indent + line for line in more)
    for place, lines in verdict.paste.items():
        yield f"{indent}{desk.style(place, 'bold')}"
        yield from (f"{indent}    {line}".rstrip() for line in lines.splitlines())


def _wrapped(desk: Desk, text: str, indent: str) -> Sequence[str]:
    if not desk.facts.terminals[1]:
        return [text]
    room = desk.width - len(indent)
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def _draws_lines() -> bool:
    """Whether standard output can say more than ASCII. What is not a terminal is taken to be UTF-8."""
    try:
        "├✓→".encode(sys.stdout.encoding if sys.stdout.isatty() else "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
