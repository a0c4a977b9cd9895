"""Our own first config: its text, and files that are made once and never written over."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

CONFIG_NAME = "xmppbus.yaml"
SECRET_NAME = "secret"  # noqa: S105  # a file's name
SERVICE_USER = "xmppbus"
"""Whom the service runs as, where the machine has such a user."""

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9@._/-]*")
_TEMPLATE = """\
# The config of xmppbus, written by `xmppbus init`. Yours from now on: it is never written over.
# `xmppbus check` says what is wrong with it; docs/reference/config.md has everything that can stand here.

xmpp:
{component}  # the name under which your server knows the bus
{host}  # where the server is
{port}
{secret}  # its first line is the secret that the server has, too
{service}  # where the events' nodes are made

# Whoever is to read the nodes (displays, scripts, social clients) is named here, by bare JID.
nodes:
  - match: "#"
    readers: {readers}

{bot}
{http}
"""
_BOT = """\
# In your chat client, add {bot} and write `help` to it.
bot:
  affiliations:
{owners}
    # {domain}: member          # everybody of your server may subscribe, too
"""
_NO_BOT = """\
# A bot, to which people write in their chat client, needs an owner:
# bot:
#   affiliations:
#     romeo@{domain}: owner
"""
_HTTP = """\
# The page, and the way in for curl and webhooks. Not on loopback it needs `tokens_file` (`xmppbus token add`).
http:
  listen: {listen}
"""
_NO_HTTP = "http: null    # no page, no HTTP\n"


class Wishes(NamedTuple):
    """What the config is to say."""

    component: str
    domain: str
    service: str
    host: str
    port: int
    owners: Sequence[str]
    http: str | None
    secret_file: str = SECRET_NAME


def config_text(wishes: Wishes) -> str:
    """The config, with a comment for each thing that one may want to change."""

    def line(name: str, value: str) -> str:
        return f"  {name}: {value}".ljust(36)

    owners = "\n".join(f"    {json.dumps(each)}: owner" for each in wishes.owners)
    bot = _BOT if wishes.owners else _NO_BOT
    return _TEMPLATE.format(
        component=line("component", _scalar(wishes.component)),
        host=line("host", json.dumps(wishes.host)),
        port=f"  port: {wishes.port}",
        secret=line("secret_file", _scalar(wishes.secret_file)),
        service=line("pubsub_service", _scalar(wishes.service)),
        readers=json.dumps(list(wishes.owners)),
        bot=bot.format(bot=f"bot@{wishes.component}", owners=owners, domain=wishes.domain),
        http=_HTTP.format(listen=json.dumps(wishes.http)) if wishes.http else _NO_HTTP,
    )


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def new_secret() -> str:
    """192 random bits, in letters that need no quoting anywhere."""
    return secrets.token_urlsafe(24)


def write_once(path: Path, text: str, mode: int = 0o600) -> None:
    """Make a file that is not there yet, whole or not at all. Raises FileExistsError, OSError."""
    path.parent.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _give_to_service(unfinished)
        os.link(unfinished, path)
    finally:
        unfinished.unlink()


def _give_to_service(path: Path) -> None:
    """Root writes for the service's user, who is to read it."""
    if os.geteuid() != 0:
        return
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam(SERVICE_USER)
        os.chown(path, user.pw_uid, user.pw_gid)
