"""Which servers there are on this machine: where packages put their configs, and what running ones were told."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from xmppbus.setup.ejabberd import read_ejabberd
from xmppbus.setup.found import EJABBERD, KINDS, OPENFIRE, PROSODY, LocalServer
from xmppbus.setup.openfire import read_openfire
from xmppbus.setup.prosody import read_prosody

PLACES = {
    PROSODY: ("etc/prosody/prosody.cfg.lua", "usr/local/etc/prosody/prosody.cfg.lua"),
    EJABBERD: ("etc/ejabberd/ejabberd.yml", "opt/ejabberd/conf/ejabberd.yml", "home/ejabberd/conf/ejabberd.yml"),
    OPENFIRE: ("etc/openfire/openfire.xml", "usr/share/openfire/conf/openfire.xml", "opt/openfire/conf/openfire.xml"),
}
"""Debian's package first, then what the projects' own installers do."""

PROGRAMS = {PROSODY: "prosodyctl", EJABBERD: "ejabberdctl", OPENFIRE: "openfirectl"}
"""Their presence on PATH says that the server is installed, also where its config can't be seen by us."""


def read_server(kind: str, config: Path, root: Path = Path("/")) -> LocalServer:
    """What this config says."""
    readers: dict[str, Callable[[], LocalServer]] = {
        PROSODY: lambda: read_prosody(config, root),
        EJABBERD: lambda: read_ejabberd(config, root),
        OPENFIRE: lambda: read_openfire(config),
    }
    return readers[kind]()


def kind_of(config: Path) -> str | None:
    """Whose config a file of that name is."""
    kinds = {".lua": PROSODY, ".yml": EJABBERD, ".yaml": EJABBERD, ".xml": OPENFIRE}
    return kinds.get(config.suffix)


def find_servers(root: Path = Path("/")) -> list[LocalServer]:
    """Every server with a config on this machine, or below `root`; those whose config can't be read say so."""
    found = []
    for kind in KINDS:
        config = next(_configs(kind, root), None)
        if config is not None:
            found.append(read_server(kind, config, root))
        elif root == Path("/") and shutil.which(PROGRAMS[kind]):
            places = " or ".join(f"/{place}" for place in PLACES[kind])
            problem = f"{PROGRAMS[kind]} is installed, but its config can't be seen at {places}; try as root"
            found.append(LocalServer(kind, problem=problem))
    return found


def _configs(kind: str, root: Path) -> Iterator[Path]:
    for place in PLACES[kind]:
        if _is_there(root / place):
            yield root / place
    if root == Path("/") and kind == PROSODY:
        yield from _of_processes(b"prosody", b"--config")


def _is_there(path: Path) -> bool:
    """A directory that we may not enter hides the file: then reading it would say so, but so does this."""
    try:
        return path.is_file()
    except PermissionError:
        return True


def _of_processes(program: bytes, option: bytes) -> Iterator[Path]:
    """The configs that running processes were given on their command lines, by who starts his server himself."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        named = any(Path(word.decode(errors="replace")).name.encode() == program for word in words[:4])
        if named and option in words[:-1]:
            config = Path(words[words.index(option) + 1].decode(errors="replace"))
            if config.is_absolute() and config.is_file():
                yield config
