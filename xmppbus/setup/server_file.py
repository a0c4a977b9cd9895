"""The one file of a server that we write, and only when an operator has asked for it: one that Prosody includes."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from xmppbus import limits
from xmppbus.errors import BusError

NAME = "xmppbus.cfg.lua"


class ServerFileRefused(BusError):
    """The server does not take it, or we may not write it; everything is as it was. The text says why."""


def write_server_file(directory: Path, lines: str, config: Path) -> Path | None:
    """Write `lines` where Prosody includes them, and have its own program look; returns the backup, if there is one.

    The file belongs to whom the server's config belongs to, for it holds a secret. Raises ServerFileRefused, and then
    what was there before is there again.
    """
    path = directory / NAME
    backup = _backed_up(path)
    try:
        _write(path, lines, config)
        said = _looked_at(config)
    except OSError as error:
        said = f"{path} can't be written: {error.strerror}; run it as root, or paste the lines yourself"
    if said:
        path.unlink(missing_ok=True)
        if backup:
            backup.rename(path)
        raise ServerFileRefused(said)
    return backup


def _backed_up(path: Path) -> Path | None:
    if not path.exists():
        return None
    # Its name does not end as Prosody's Include wants it, so that it is not read.
    backup = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}.bak")
    try:
        path.rename(backup)
    except OSError as error:
        raise ServerFileRefused(f"{path} can't be moved out of the way: {error.strerror}; run it as root") from error
    return backup


def _write(path: Path, lines: str, config: Path) -> None:
    owner = config.stat()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(f"-- Written by `xmppbus init --write-server-config`; {config} includes it.\n{lines}\n")
        if os.geteuid() == 0:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        os.fchmod(file.fileno(), owner.st_mode & 0o640)


def _looked_at(config: Path) -> str:
    """What `prosodyctl check config` complains of; nothing when it is content."""
    command = ["prosodyctl", "--config", str(config), "check", "config"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=limits.SETUP_CHECK_SECONDS, errors="replace"
        )
    except FileNotFoundError:
        return "prosodyctl is not there, so nobody could say whether the lines are right; paste them yourself"
    except subprocess.TimeoutExpired:
        return f"`{' '.join(command)}` took more than {limits.SETUP_CHECK_SECONDS:g} s; paste the lines yourself"
    if done.returncode == 0:
        return ""
    words = "\n".join(line for line in (done.stdout + done.stderr).splitlines() if line.strip() and "*****" not in line)
    return f"`{' '.join(command)}` is not content, so nothing was changed:\n{words[-2000:]}"
