"""Where things are on this machine: state, spool, journal, socket and config. Pure, but for looking at what exists.

=========  =========================================================================================================
state      `$XMPPBUS_STATE`; else `/var/lib/xmppbus` for root and for whoever may write there; else
           `${XDG_STATE_HOME:-~/.local/state}/xmppbus`. Never a tmpfs: what was accepted must survive a restart
spool      `spool/` in the state directory
journal    `journal.path` of the config; else `journal.db` in the state directory
socket     `$XMPPBUS_SOCKET`; else `socket.path` of the config; else `/run/xmppbus/xmppbus.sock` for root and for
           whoever may write into `/run/xmppbus`; else `$XDG_RUNTIME_DIR/xmppbus.sock`; else `xmppbus.sock` in the
           state directory
config     `--config`; else `$XMPPBUS_CONFIG`; else the first there is of `./xmppbus.yaml`,
           `${XDG_CONFIG_HOME:-~/.config}/xmppbus/xmppbus.yaml`, `/etc/xmppbus/xmppbus.yaml`
=========  =========================================================================================================

The command line reads no config to find the daemon: it tries the sockets of `socket_candidates`, in order. So a
`socket.path` elsewhere needs `$XMPPBUS_SOCKET` in the environment of whoever publishes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SYSTEM_STATE = Path("/var/lib/xmppbus")
SYSTEM_RUNTIME = Path("/run/xmppbus")
SYSTEM_CONFIG = Path("/etc/xmppbus/xmppbus.yaml")
CONFIG_NAME = "xmppbus.yaml"
SOCKET_NAME = "xmppbus.sock"
SOCKET_BYTES = 107
"""What `sockaddr_un` holds on Linux, less its final NUL (unix(7))."""


def state_directory(environ: Mapping[str, str]) -> Path:
    """Where everything durable is kept. It need not exist yet."""
    if given := environ.get("XMPPBUS_STATE"):
        return Path(given).absolute()
    if _is_ours(SYSTEM_STATE):
        return SYSTEM_STATE
    return _home_directory(environ, "XDG_STATE_HOME", ".local/state") / "xmppbus"


def spool_directory(environ: Mapping[str, str]) -> Path:
    """Where the command line leaves events while the daemon is away."""
    return state_directory(environ) / "spool"


def journal_path(environ: Mapping[str, str], configured: str | None = None) -> Path:
    """The journal's file."""
    return Path(configured).absolute() if configured else state_directory(environ) / "journal.db"


def socket_path(environ: Mapping[str, str], configured: str | None = None) -> Path:
    """Where the daemon listens."""
    if given := environ.get("XMPPBUS_SOCKET") or configured:
        return Path(given).absolute()
    if _is_ours(SYSTEM_RUNTIME):
        return SYSTEM_RUNTIME / SOCKET_NAME
    return _own_sockets(environ)[0]


def socket_candidates(environ: Mapping[str, str]) -> list[Path]:
    """Where the command line looks for the daemon, in order: a user's own one before the system's.

    `cli/xmppbus` repeats this rule without imports; a test holds the two together.
    """
    if given := environ.get("XMPPBUS_SOCKET"):
        return [Path(given).absolute()]
    system = SYSTEM_RUNTIME / SOCKET_NAME
    if os.geteuid() == 0:
        return [system]
    return [*_own_sockets(environ), system]


def config_candidates(environ: Mapping[str, str]) -> list[Path]:
    """Where a config is looked for when none is named."""
    home = _home_directory(environ, "XDG_CONFIG_HOME", ".config")
    return [Path(CONFIG_NAME), home / "xmppbus" / CONFIG_NAME, SYSTEM_CONFIG]


def _own_sockets(environ: Mapping[str, str]) -> list[Path]:
    runtime = environ.get("XDG_RUNTIME_DIR")
    return [*([Path(runtime) / SOCKET_NAME] if runtime else []), state_directory(environ) / SOCKET_NAME]


def _home_directory(environ: Mapping[str, str], variable: str, beneath_home: str) -> Path:
    # The XDG base directory specification: a relative path in the variable is to be ignored.
    given = environ.get(variable, "")
    return Path(given) if given.startswith("/") else Path(environ.get("HOME") or Path.home()) / beneath_home


def _is_ours(directory: Path) -> bool:
    return os.geteuid() == 0 or os.access(directory, os.W_OK | os.X_OK)


def sync_directory(directory: Path) -> None:
    """Make names durable that were made in it, or taken away."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
