"""What `xmppbus check` finds out, before anybody shows it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from xmppbus import limits
from xmppbus.cli.advice import FILES, Facts, Missing, advice
from xmppbus.cli.extras import lacking
from xmppbus.config import Config, load, secret_of, verify
from xmppbus.errors import ConfigInvalid, Exit, PluginInvalid
from xmppbus.paths import config_candidates

if TYPE_CHECKING:
    from xmppbus.xmpp.diagnose import Finding


class Level(StrEnum):
    """How good it is."""

    GOOD = "good"
    DOUBT = "doubt"  # it works, but not as well as it could
    BAD = "bad"  # the server can't be used like this


class Verdict(NamedTuple):
    """One thing that was looked at. `paste` has the lines for each server, by where they go."""

    level: Level
    about: str
    text: str
    paste: Mapping[str, str] = {}


@dataclass(frozen=True)
class Report:
    """Everything that was found. Without a config there are only errors."""

    config: Config | None = None
    errors: tuple[str, ...] = ()
    daemon: Mapping[str, Any] | None = field(default=None)
    verdicts: tuple[Verdict, ...] = ()

    @property
    def exit_code(self) -> int:
        """78 for the config, 69 for the server, 0 when all is well."""
        if self.errors:
            return Exit.CONFIG
        return Exit.UNAVAILABLE if any(each.level == Level.BAD for each in self.verdicts) else Exit.OK


def examine(path: Path | None, environ: Mapping[str, str]) -> Report:
    """Look at the config, then at the daemon if there is one, else at the server."""
    try:
        config = load(path, environ)
        from xmppbus.app import offered

        verify(config, offered(config))
    except (ConfigInvalid, PluginInvalid) as error:
        return Report(errors=tuple(str(error).splitlines()))
    if errors := tuple(lacking(config)):
        return Report(errors=errors)
    daemon = daemon_status(config.socket_path)
    if config.options.xmpp is None:
        text = "no XMPP server is configured: this is a local bus. docs/howto has the lines for each server"
        if config.path is None:
            looked = ", ".join(map(str, config_candidates(environ)))
            text = f"no config was found, so this is a local bus; looked for {looked}; `--config` names another"
        server = Verdict(Level.GOOD, "server", text)
        return Report(config, daemon=daemon, verdicts=(server, *_of_its_config(config, daemon or {})))
    if daemon is not None:
        return Report(config, daemon=daemon, verdicts=(*_of_daemon(daemon), *_of_its_config(config, daemon)))
    if unusable := _unusable_keys(config):
        return Report(errors=(unusable,))
    return Report(config, verdicts=tuple(_of_server(config)))


def _unusable_keys(config: Config) -> str:
    """What the daemon would not start with."""
    if config.options.bot is None or not config.options.bot.omemo:
        return ""
    from xmppbus.outputs.chat_plane import BROKEN_EXTRA, OMEMO_FILE

    try:
        from xmppbus.xmpp.omemo_store import check_keys

        check_keys(config.journal_path.with_name(OMEMO_FILE))
    except ConfigInvalid as error:
        return str(error)
    except ImportError as error:
        return BROKEN_EXTRA.format(error)
    return ""


def daemon_status(path: Path) -> dict[str, Any] | None:
    """What a daemon on this socket says of itself; None when there is none, empty when it does not tell us."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.fspath(path))
    except PermissionError:
        return {}
    except OSError:
        return None
    finally:
        connection.close()
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "xmppbus", "status", "--json"],
            env={**os.environ, "XMPPBUS_SOCKET": os.fspath(path)},
            capture_output=True,
            timeout=limits.CHECK_DAEMON_SECONDS,
            check=False,
        )
        found = json.loads(answer.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _of_server(config: Config) -> list[Verdict]:
    """Connect, look, and say what is missing."""
    from xmppbus.xmpp.diagnose import diagnose

    xmpp = config.options.xmpp
    assert xmpp  # noqa: S101  # for the type checker: a local bus has no server
    bot = config.options.bot
    encrypts, jid = bot is not None and bool(bot.omemo), f"{bot.name}@{xmpp.jid}" if bot else ""
    nodes = config.options.nodes
    findings = asyncio.run(diagnose(xmpp, secret_of(config), nodes, bot=jid, encrypts=encrypts))
    most = max((node.max_items for node in config.options.nodes), default=0)
    facts = Facts.of(xmpp, max(most, 256))
    return [_verdict(finding, facts) for finding in findings]


def _verdict(finding: Finding, facts: Facts) -> Verdict:
    """A finding with the lines that mend it."""
    paste = {} if finding.missing is None else advice(Missing(finding.missing), facts)
    by_place = {f"{server}: {FILES[server]}": lines for server, lines in paste.items()}
    return Verdict(Level(finding.level), finding.about, finding.text, by_place)


def _of_its_config(config: Config, daemon: Mapping[str, Any]) -> Iterator[Verdict]:
    """Whether the daemon goes by the file that was just read."""
    from xmppbus.running.reloading import digest_of

    loaded = daemon.get("config")
    if not loaded or config.path is None or loaded["path"] != str(config.path.absolute()):
        return
    if loaded["digest"] != digest_of(config):
        text = "this file has changed since the daemon read it: `xmppbus reload`"
        yield Verdict(Level.DOUBT, "config", text)
    if loaded["restart"]:
        text = f"the daemon has taken this file but for what needs a restart: {', '.join(loaded['restart'])}"
        yield Verdict(Level.DOUBT, "config", text)


def _encryption(daemon: Mapping[str, Any]) -> list[Verdict]:
    encryption = daemon.get("encryption")
    if not encryption:
        return []
    if encryption.get("state") != "up":
        reason = encryption.get("reason") or "the bot's keys are not published yet"
        return [Verdict(Level.DOUBT, "encryption", f"nothing is encrypted (OMEMO): {reason}")]
    text = f"the bot encrypts (OMEMO); its fingerprint is {encryption.get('fingerprint')}"
    return [Verdict(Level.GOOD, "encryption", text)]


def _of_daemon(daemon: Mapping[str, Any]) -> list[Verdict]:
    """The daemon holds the stream: to connect beside it would throw it out, or share its traffic out."""
    stream = daemon.get("xmpp")
    if not stream:
        text = "a daemon runs on this socket, but does not tell you how it is; ask as root or as its own user"
        return [Verdict(Level.DOUBT, "daemon", text)]
    connected = stream.get("state") == "up"
    reason = f" ({stream['reason']})" if stream.get("reason") else ""
    text = f"a daemon runs on this socket and holds the stream, which is {stream.get('state')}{reason}"
    if connected:
        text += "; the server was not tried beside it"
    found = [Verdict(Level.GOOD if connected else Level.BAD, "daemon", text), *_encryption(daemon)]
    for stop in daemon.get("stopped", ()):
        text = f"{stop['output']}:{stop['place']} is stopped: {stop['condition']}; `xmppbus status` says more"
        found.append(Verdict(Level.BAD, "place", text))
    return found
