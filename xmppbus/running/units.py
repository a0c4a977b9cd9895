"""systemd's units, made from the templates in `xmppbus/data/systemd` for one installation. Text in, text out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from xmppbus.config import Config
from xmppbus.config.rules import CREDENTIAL
from xmppbus.listening import listen_address
from xmppbus.paths import SOCKET_NAME, SYSTEM_RUNTIME, SYSTEM_STATE

_MARK = "# Written by `xmppbus install-service`; what is changed here is not written over. "
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))


class Installation(NamedTuple):
    """What the units are for."""

    config: Config
    program: Path
    user: bool = False  # a user's own service manager, and not the system's
    sockets: bool = False  # systemd opens them, and starts the service with the first that comes


def units(wanted: Installation) -> dict[str, str]:
    """The text of each file, by its name; `xmppbus.conf` belongs into sysusers.d."""
    options = wanted.config.options
    socket = wanted.config.options.socket.path or str(SYSTEM_RUNTIME / SOCKET_NAME)
    if wanted.user and not options.socket.path:
        socket = f"%t/{SOCKET_NAME}"
    values = {
        "PROGRAM": quoted(wanted.program),
        "CONFIG": f" --config {quoted(wanted.config.path.absolute())}" if wanted.config.path else "",
        "SETTINGS": "\n".join(_settings(wanted)) or "# (no setting of its own)",
        "GROUP": "\n".join(_for_group(wanted)),
        "HOME": "read-only" if _is_at_home(wanted.program) or _is_at_home(wanted.config.path) else "yes",
        "SOCKET": socket,
    }
    found = {"xmppbus.service": _filled("xmppbus-user.service" if wanted.user else "xmppbus.service", values)}
    if wanted.sockets:
        found["xmppbus.socket"] = _filled("xmppbus.socket", values)
        if options.http:
            host, port = listen_address(options.http.listen)
            address = f"[{host}]:{port}" if ":" in host else f"{host or '0.0.0.0'}:{port}"  # noqa: S104  # as configured
            found["xmppbus-http.socket"] = _filled("xmppbus-http.socket", {**values, "HTTP": address})
    if not wanted.user:
        found["xmppbus.conf"] = _filled("xmppbus.sysusers", values)
    return found


def _settings(wanted: Installation) -> list[str]:
    """What hangs on the config: the secret, which only root has to be able to read; and where things are."""
    config, options, lines = wanted.config, wanted.config.options, list[str]()
    if options.xmpp and options.xmpp.secret_file and not wanted.user:
        lines.append(f"LoadCredential={CREDENTIAL}:{escaped(options.xmpp.secret_file)}")
    if options.socket.path:
        lines.append(f"Environment={quoted(f'XMPPBUS_SOCKET={config.socket_path}')}")
    if not wanted.user:
        written = [Path(each).parent for each in (options.journal.path, options.socket.path) if each]
        outside = [each for each in written if each not in (SYSTEM_STATE, SYSTEM_RUNTIME)]
        lines += [f"ReadWritePaths={quoted(each)}" for each in dict.fromkeys(outside)]
    if wanted.sockets:
        lines.append("Sockets=xmppbus.socket" + (" xmppbus-http.socket" if options.http else ""))
    return lines


def _for_group(wanted: Installation) -> list[str]:
    """Whoever gives the socket to a group has to be in it, and may make that one system call."""
    group = wanted.config.options.socket.group
    if not group or wanted.sockets:
        return ["# (The daemon gives the socket to no group, and needs no right for that.)"]
    return [f"SupplementaryGroups={escaped(group)}", "SystemCallFilter=@chown"]


def quoted(value: object) -> str:
    """One word of a unit's line, whatever is in it (systemd.syntax(7))."""
    text = escaped(str(value))
    if text.replace("%%", "").isascii() and all(each.isalnum() or each in "/._-=%:@+," for each in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def escaped(text: str) -> str:
    """Without specifiers (systemd.unit(5))."""
    return text.replace("%", "%%")


def _is_at_home(path: Path | None) -> bool:
    return path is not None and any(path.absolute().is_relative_to(home) for home in _HOMES)


def _filled(name: str, values: Mapping[str, str]) -> str:
    text = files("xmppbus").joinpath("data", "systemd", name).read_text()
    for word, value in values.items():
        text = text.replace(f"@{word}@", value)
    return f"{_MARK}{_digest(text)}\n{text}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def is_untouched(text: str) -> bool:
    """Whether a file is as it was written, by this version or another."""
    first, _, rest = text.partition("\n")
    return first == f"{_MARK}{_digest(rest)}"
