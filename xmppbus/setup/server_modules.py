"""Modules for XMPP servers that publish sign-ups: our files, where they go, and what the server's config needs."""

from __future__ import annotations

import hashlib
import os
import pwd
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from xmppbus.setup.found import EJABBERD, PROSODY, LocalServer

STOCK_URL = "http://127.0.0.1:8222/v1/events"
STOCK_PLUGINS = Path("/usr/local/lib/prosody/modules")
TOKEN_FILES = {PROSODY: "/etc/prosody/xmppbus.token", EJABBERD: "/etc/ejabberd/xmppbus.token"}

_MARK = "Written by `xmppbus server-module`; what is changed here is not written over. "
_FILES = {
    PROSODY: {"mod_xmppbus.lua": "-- "},
    EJABBERD: {"mod_xmppbus/mod_xmppbus.spec": "# ", "mod_xmppbus/src/mod_xmppbus.erl": "%% "},
}
"""Names below `data/server-modules/SERVER`, with what begins a comment in each."""


class Wish(NamedTuple):
    """What the module is to do: where it posts, with a token or without, and whether it tells of logins."""

    url: str
    needs_token: bool
    logins: bool


def module_files(kind: str) -> dict[str, str]:
    """The texts by relative name; the first line of each is a mark that tells whether somebody has changed it."""
    found = {}
    for name, comment in _FILES[kind].items():
        text = files("xmppbus").joinpath("data", "server-modules", kind.lower(), *name.split("/")).read_text()
        found[name] = f"{comment}{_MARK}{_digest(text)}\n{text}"
    return found


def is_untouched(text: str) -> bool:
    """Whether a file is as it was written, by this version or another."""
    first, _, rest = text.partition("\n")
    return first.endswith(f"{_MARK}{_digest(rest)}")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def directory_of(kind: str, servers: Sequence[LocalServer], environ: Mapping[str, str]) -> Path:
    """Where the server looks for modules of others."""
    if kind == PROSODY:
        return next((path for each in servers if each.kind == kind for path in each.plugin_paths), STOCK_PLUGINS)
    if given := environ.get("CONTRIB_MODULES_PATH"):
        return Path(given) / "sources"
    try:
        home = Path(pwd.getpwnam("ejabberd").pw_dir)
    except KeyError:
        home = Path("/var/lib/ejabberd")
    return home / ".ejabberd-modules" / "sources"


def write_module(path: Path, text: str, *, force: bool, dry_run: bool) -> str:
    """What became of it: `written`, `unchanged`, or why it was not written. As root, it belongs to whom the nearest
    directory belongs to that was there before: the server compiles beside it."""
    try:
        present = path.read_text() if path.exists() else None
        if present == text:
            return "unchanged"
        if present is not None and not force and not is_untouched(present):
            return "somebody has changed it; move it away, or --force writes over it"
        if not dry_run:
            made = _directories(path.parent)
            new = path.with_name(f".{path.name}.new")
            new.write_text(text)
            new.chmod(0o644)
            new.replace(path)
            _give([*made, path])
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError):
            return f"it can't be written: {error.strerror}; run it as root, or say where with --to"
        return "it is not text; move it away, or --force writes over it"
    return "written"


def _directories(path: Path) -> list[Path]:
    """Make a directory, and those above it; the new ones, outermost first."""
    made = [each for each in (path, *path.parents) if not each.exists()][::-1]
    path.mkdir(parents=True, exist_ok=True)
    return made


def _give(made: Sequence[Path]) -> None:
    if os.geteuid() == 0:
        owner = made[0].parent.stat()
        for each in made:
            os.chown(each, owner.st_uid, owner.st_gid)


# --- what an operator does next ---------------------------------------------------------------------------------------


def config_lines(kind: str, wish: Wish, host: str, directory: Path, servers: Sequence[LocalServer]) -> str:
    """What goes into the server's config."""
    return (_for_prosody if kind == PROSODY else _for_ejabberd)(wish, host, directory, servers)


def _for_prosody(wish: Wish, host: str, directory: Path, servers: Sequence[LocalServer]) -> str:
    known = [path for each in servers if each.kind == PROSODY for path in each.plugin_paths]
    lines = [] if directory in known else [f'plugin_paths = {{ "{directory}" }}   -- in the global part', ""]
    lines += [f'VirtualHost "{host}"', '    modules_enabled = { "xmppbus" }   -- or add it to a list that is there']
    lines += [f'    xmppbus_url = "{wish.url}"'] if wish.url != STOCK_URL else []
    lines += [f'    xmppbus_token_file = "{TOKEN_FILES[PROSODY]}"'] if wish.needs_token else []
    lines += ['    xmppbus_events = { "signup", "deleted", "login" }'] if wish.logins else []
    return "\n".join(lines)


def _for_ejabberd(wish: Wish, _host: str, _directory: Path, _servers: Sequence[LocalServer]) -> str:
    options = [f'    url: "{wish.url}"'] if wish.url != STOCK_URL else []
    options += [f'    token_file: "{TOKEN_FILES[EJABBERD]}"'] if wish.needs_token else []
    options += ["    events: [signup, deleted, login]"] if wish.logins else []
    name = "  mod_xmppbus:" if options else "  mod_xmppbus: {}"
    return "\n".join(["modules:", name, *options])


def next_steps(kind: str, wish: Wish, *, had_module: bool) -> list[str]:
    """The commands that an operator has to give, once the lines are in the config."""
    name, file = kind.lower(), TOKEN_FILES[kind]
    steps = []
    if wish.needs_token:
        make = f"xmppbus token add {name} 'publish:user.#'"
        steps.append(f"{make} | sudo install -m 640 -g {name} /dev/stdin {file}")
    if kind == PROSODY:
        return [*steps, "sudo prosodyctl check config", "sudo systemctl restart prosody"]
    install = "module_upgrade" if had_module else "module_install"
    return [*steps, f"sudo ejabberdctl {install} mod_xmppbus   # before its lines are in the config",
            "sudo ejabberdctl reload_config   # after that"]  # fmt: skip
