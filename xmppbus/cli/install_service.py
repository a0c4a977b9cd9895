"""`xmppbus install-service`: units for systemd, with the paths of this installation."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.showing import json_line
from xmppbus.errors import ConfigInvalid, Exit

if TYPE_CHECKING:
    from xmppbus.config import Config

SYSTEM_UNITS, SYSTEM_USERS = Path("/etc/systemd/system"), Path("/etc/sysusers.d")
_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--user", is_flag=True, help="For your own service manager (systemctl --user), not the system's.")
@click.option("--sockets", is_flag=True, help="systemd opens the sockets, and starts the bus with who comes first.")
@click.option("--config", type=_PATH, metavar="FILE", help="The config; else $XMPPBUS_CONFIG, and so on.")
@click.option("--directory", type=_PATH, metavar="DIR", help="Where to write; else where systemd looks for units.")
@click.option("--force", is_flag=True, help="Also over files that somebody has changed.")
@click.option("--dry-run", is_flag=True, help="Write nothing; print what would be written.")
@click.option("--json", is_flag=True, help="What became of each file, as one JSON object.")
def install_service(**options: Any) -> Action:
    """Write units for systemd: hardened, with watchdog, reload, and the secret as a credential.

    A second run changes only what a new version or a new config wants otherwise. A file that somebody has changed is
    left alone (exit 73), unless --force is given. It starts nothing: it prints what to run next.

    \b
    Example:
      sudo xmppbus install-service --config /etc/xmppbus/xmppbus.yaml
      xmppbus install-service --user --dry-run
    """

    user: bool = options["user"]
    sockets: bool = options["sockets"]
    dry_run: bool = options["dry_run"]

    async def action(desk: Desk) -> int:
        from xmppbus.config import load
        from xmppbus.running.units import Installation, units

        try:
            found = load(options["config"], os.environ)
        except ConfigInvalid as error:
            await desk.err(f"the config can't be used:\n{error}")
            return Exit.CONFIG
        made = units(Installation(found, program(), user=user, sockets=sockets))
        files = {place(name, user=user, directory=options["directory"]): text for name, text in made.items()}
        if dry_run and not options["json"]:
            for path, text in files.items():
                await desk.out(f"{desk.style(f'# {path}', 'bold')}\n{text}")
            return Exit.OK
        done = {path: write(path, text, force=options["force"], dry_run=dry_run) for path, text in files.items()}
        steps = next_steps(found, user=user, sockets=sockets, done=done)
        failed = [path for path, word in done.items() if word not in ("written", "unchanged")]
        if options["json"]:
            files_json = {str(path): word for path, word in done.items()}
            await desk.terminal.write(json_line({"files": files_json, "next": [] if failed else steps}))
        else:
            for path, word in done.items():
                await desk.out(f"{path}: {word}")
            if not failed:
                await desk.out("\n".join(["", "next:", *(f"  {each}" for each in steps)]))
        return Exit.CANT_CREATE if failed else Exit.OK

    return action


def program() -> Path:
    """The program that was called, by its absolute path."""
    beside = Path(sys.executable).with_name("xmppbus")
    return beside if beside.exists() else Path(shutil.which("xmppbus") or sys.argv[0]).absolute()


def place(name: str, *, user: bool, directory: Path | None) -> Path:
    """Where a file belongs."""
    if directory:
        return directory / name
    if user:
        home = os.environ.get("XDG_CONFIG_HOME", "")
        return (Path(home) if home.startswith("/") else Path.home() / ".config") / "systemd/user" / name
    return (SYSTEM_USERS if name.endswith(".conf") else SYSTEM_UNITS) / name


def write(path: Path, text: str, *, force: bool, dry_run: bool) -> str:
    """What became of it: `written`, `unchanged`, or why it was not written."""
    from xmppbus.running.units import is_untouched

    try:
        present = path.read_text() if path.exists() else None
        if present == text:
            return "unchanged"
        if present is not None and not force and not is_untouched(present):
            return "somebody has changed it; --dry-run shows what it would be, --force writes it"
        if not dry_run:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.new")
            new.write_text(text)
            new.chmod(0o644)
            new.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        return f"it can't be written: {reason}"
    return "written"


def next_steps(config: Config, *, user: bool, sockets: bool, done: dict[Path, str]) -> list[str]:
    """The commands that whoever runs it has to give."""
    control = "systemctl --user" if user else "systemctl"
    started = [path.name for path in done if path.suffix == ".socket"] if sockets else []
    steps = [f"{control} daemon-reload", f"{control} enable --now {' '.join(started) or 'xmppbus.service'}"]
    if user:
        return [*steps, "loginctl enable-linger   # it runs while you are logged out, too"]
    files = [config.path.absolute() if config.path else None, *_read_by_the_daemon(config)]
    shared = [str(each) for each in dict.fromkeys(files) if each]
    rights = [f"chgrp xmppbus {' '.join(shared)} && chmod g+r {' '.join(shared)}"] if shared else []
    return ["systemd-sysusers", *rights, *steps]


def _read_by_the_daemon(config: Config) -> list[Path]:
    """Files that it reads itself, also at a reload; the secret comes from systemd."""
    options, names = config.options, list[str | None]()
    if options.http:
        names += [options.http.tokens_file, options.http.certificate_file, options.http.key_file]
    if options.bot:
        names += [options.bot.avatar_file, *(room.password_file for room in options.bot.rooms)]
    directory = config.path.parent.absolute() if config.path else Path("/")
    ways = [directory / Path(each).expanduser() for each in _named_files([options.inputs, options.outputs])]
    return [Path(each) for each in (*names, *(name for name in options.plugins if name.endswith(".py")), *ways) if each]


def _named_files(value: Any) -> Iterator[str]:
    """Passwords, certificates, tokens of the ways in and out: whatever an option ending in `_file` says."""
    if isinstance(value, list):
        for each in value:
            yield from _named_files(each)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            if isinstance(each, str) and str(name).endswith("_file"):
                yield each
            else:
                yield from _named_files(each)
