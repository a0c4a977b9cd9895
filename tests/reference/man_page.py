"""docs/man: a man page for each command, from what it says of itself, and one for the config."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click

from tests.reference import config_page
from tests.reference.commands_page import BEGIN, commands
from tests.reference.pages import ROOT
from tests.reference.roff import bold, escaped, markdown, marked, paragraphs, title

MAN = ROOT / "docs" / "man"
MANUAL = "docs/man/man1"
FILES = """\
## Files

| file | meaning |
|---|---|
| `/etc/xmppbus/xmppbus.yaml` | the config of the system's daemon, see **xmppbus.yaml**(5) |
| `/var/lib/xmppbus` | its journal, and the spool of those who publish while it is away |
| `/run/xmppbus/xmppbus.sock` | where it listens for the command line |

## Environment

| variable | meaning |
|---|---|
| `XMPPBUS_SOCKET` | where the daemon listens |
| `XMPPBUS_STATE` | the directory of journal and spool |
| `XMPPBUS_CONFIG` | the config |
| `NO_COLOR` | no colours |
| `TZ` | the time zone of the times that are shown |
"""


def pages() -> dict[Path, Callable[[], str]]:
    """Each file, and what makes its text."""
    found: dict[Path, Callable[[], str]] = {
        MAN / "man1" / "xmppbus.1": _program,
        MAN / "man5" / "xmppbus.yaml.5": _config,
    }
    for name, _, _ in commands():
        if " " not in name:
            found[MAN / "man1" / f"xmppbus-{name}.1"] = partial(_command, name)
    return found


def _command(name: str) -> str:
    """One command with all of its parts."""
    parts = [(each, command, context) for each, command, context in commands() if each.split()[0] == name]
    _, command, context = parts[0]
    lines = [title(f"xmppbus-{name}", 1), ".SH NAME", f"xmppbus\\-{escaped(name)} \\- {marked(_short(command))}"]
    lines += [".SH SYNOPSIS", *_usage(context), ".SH DESCRIPTION", *paragraphs(command.help or "")]
    if options := [*_options(command, context)]:
        lines += [".SH OPTIONS", *options]
    if len(parts) > 1:
        lines.append(".SH COMMANDS")
    for part, below, its in parts[1:]:
        lines += [f".SS xmppbus {escaped(part)}", *_usage(its), *paragraphs(below.help or ""), *_options(below, its)]
        lines += _example(below, heading=False)
    lines += [*_example(command, heading=True), ".SH SEE ALSO", _also(1, "xmppbus") + ",", _also(5, "xmppbus.yaml")]
    return "\n".join(lines) + "\n"


def _program() -> str:
    """What there is, and what holds everywhere."""
    root = next(commands())[2].parent
    assert root is not None
    lines = [title("xmppbus", 1), ".SH NAME", f"xmppbus \\- {marked(_short(root.command))}", ".SH SYNOPSIS"]
    lines += [*_usage(root), ".SH DESCRIPTION", *paragraphs(root.command.help or ""), ".SH OPTIONS"]
    lines += [*_options(root.command, root), ".SH COMMANDS"]
    for name, command, _ in commands():
        if " " not in name:
            lines += [".TP", _also(1, f"xmppbus-{name}"), marked(_short(command))]
    lines += [*_example(root.command, heading=True), ".SH EXIT STATUS"]
    lines += markdown("".join(re.findall(r"^\| .*\n|^\|---.*\n", BEGIN, re.MULTILINE)))
    lines += [*markdown(FILES), ".SH SEE ALSO", _also(5, "xmppbus.yaml")]
    return "\n".join(lines) + "\n"


def _config() -> str:
    """The reference of the config."""
    text = config_page.page().partition("\n")[2]
    lines = [title("xmppbus.yaml", 5), ".SH NAME", "xmppbus.yaml \\- the config of xmppbus", ".SH DESCRIPTION"]
    lines += [*markdown(text), ".SH SEE ALSO", _also(1, "xmppbus")]
    return "\n".join(lines) + "\n"


def _short(command: click.Command) -> str:
    """The first sentence, without its full stop."""
    text = " ".join((command.help or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\w)[.:](?: |$)", text)[0].rstrip(".")


def _usage(context: click.Context) -> Iterator[str]:
    pieces = context.command.collect_usage_pieces(context)
    yield ".PP"
    yield f"{bold(context.command_path)} {escaped(' '.join(pieces))}"


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for each in command.params:
        record = each.get_help_record(context)
        if record and (record[1] or isinstance(each, click.Option)):
            yield ".TP"
            yield bold(record[0])
            yield marked(" ".join(record[1].split())) or "\\&"


def _example(command: click.Command, *, heading: bool) -> Iterator[str]:
    lines = (command.epilog or "").replace("\b", "").strip().splitlines()
    if len(lines) > 1:
        if heading:
            yield ".SH EXAMPLE"
        yield from paragraphs("\b\n" + "\n".join(lines[1:]))


def _also(section: int, name: str) -> str:
    return f"{bold(name)}({section})"
