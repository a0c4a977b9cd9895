"""What is known of a server on this machine from reading its config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PROSODY, EJABBERD, OPENFIRE = "Prosody", "ejabberd", "Openfire"
KINDS = (PROSODY, EJABBERD, OPENFIRE)

PORTS = {PROSODY: 5347, EJABBERD: 5347, OPENFIRE: 5275}
"""Where each listens for components unless its config says otherwise; ejabberd does not, and may as well do it here."""

EVERYBODY = "*"


def unread(path: Path, error: OSError) -> str:
    """Why a file could not be read, and what to do."""
    return f"{path} can't be read: {error.strerror}" + ("; try as root" if isinstance(error, PermissionError) else "")


class Rule(NamedTuple):
    """ejabberd's access rule that says who may create nodes: where it stands, and how it is written."""

    name: str
    line: int
    indent: int  # of what stands in it
    is_list: bool


@dataclass(frozen=True)
class LocalServer:
    """A server, as far as its config could be read; `problem` says why it couldn't."""

    kind: str
    config: Path | None = None
    hosts: tuple[str, ...] = ()
    components: Mapping[str, str] = field(default_factory=dict)  # external ones, with their secrets
    services: tuple[str, ...] = ()  # pubsub services
    creators: tuple[str, ...] = ()  # who may create nodes there
    interface: str = "127.0.0.1"
    port: int | None = None  # for components; None: it does not listen for them
    ports: Mapping[str, int] = field(default_factory=dict)  # where a component has a port of its own
    drop_in: Path | None = None  # a directory whose files it reads, too
    plugin_paths: tuple[Path, ...] = ()  # where it looks for modules of others
    rule: Rule | None = None
    stores_sql: bool = False  # it could keep nodes in SQLite
    admins_at: str = ""  # where the pubsub service names its admins: FILE:LINE
    problem: str = ""

    @property
    def domains(self) -> tuple[str, ...]:
        """Hosts that people have accounts on; `localhost`, which comes with the package, behind the others."""
        return tuple(sorted(self.hosts, key=lambda host: host == "localhost"))

    def service_of(self, domain: str) -> str | None:
        """Its pubsub service for a domain."""
        return next((each for each in self.services if each.endswith(f".{domain}")), None)

    def lets_create(self, component: str) -> bool:
        """Whether the component may create nodes."""
        return EVERYBODY in self.creators or component in self.creators

    def port_for(self, component: str) -> int:
        """Where the component connects to. ejabberd has a listener for each: the next port, for one that is new."""
        usual = self.port or PORTS[self.kind]
        if self.kind != EJABBERD:
            return usual
        return self.ports.get(component) or max([usual - 1, *self.ports.values()]) + 1

    @property
    def reach(self) -> str:
        """Where we connect to when it listens on `interface`."""
        anywhere = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104  # read, not bound
        return anywhere.get(self.interface, self.interface)
