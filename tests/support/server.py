"""What tests know of an XMPP server, whichever it is."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, Self

from tests.support import administrator
from tests.support.administrator import HOST, PUBSUB, SECRET

DOMAIN = "localhost"
COMPONENTS = ("bus.localhost", "events.localhost")
ACCOUNTS = {"listener@localhost": "listener pw", "reader@localhost": "reader pw", "stranger@localhost": "stranger pw"}


class MissingServerError(Exception):
    """A server's program is not installed; the text is the line that installs it."""


class Server(Protocol):
    """A real server, private to the tests, on loopback ports. It keeps its ports and its data over restarts."""

    name: str  # "prosody" or "ejabberd"
    directory: Path
    component_port: int
    c2s_port: int

    host: str  # the address to connect to
    domain: str
    pubsub_service: str
    component_jids: tuple[str, ...]
    component_jid: str  # the first of them
    secret: str  # of every component
    accounts: dict[str, str]  # bare JID -> password

    @property
    def certificate(self) -> Path:
        """PEM file to trust in client mode (STARTTLS on `c2s_port`; good for `domain`)."""

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""

    async def start(self) -> None:
        """Start and return when it accepts connections on both ports."""

    async def stop(self) -> None:
        """End it in order (SIGTERM)."""

    def kill(self) -> None:
        """End it at once (SIGKILL)."""

    async def restart(self) -> None:
        """Stop and start."""

    def log(self) -> str:
        """What it has logged so far."""

    async def create_account(self, jid: str, password: str) -> None:
        """Make an account while it runs; it is in `accounts` afterwards."""

    async def revoke_creation(self) -> None:
        """Take from our components the right to create nodes. Prosody is restarted for it, ejabberd is not."""

    async def restore_creation(self) -> None:
        """Give the right to create nodes back."""

    async def revoke_publishing(self, node: str, publisher: str = COMPONENTS[0]) -> None:
        """Make `publisher`, the node's owner, an outcast of it: its publishes are forbidden. Nothing is restarted."""

    async def restore_publishing(self, node: str, publisher: str = COMPONENTS[0]) -> None:
        """Make `publisher` an owner of the node again."""

    async def delete_node(self, node: str, owner: str = COMPONENTS[0]) -> None:
        """Delete a node behind the back of its `owner`."""

    async def __aenter__(self) -> Self:
        """Start."""

    async def __aexit__(self, *error: object) -> None:
        """Stop."""


ServerFactory = Callable[..., Awaitable[Server]]  # the fixture own_server: (name, **options)


class StartedServer(Server):
    """What both servers do in the same way."""

    def __init__(self, directory: Path, *, component_port: int, c2s_port: int) -> None:
        self.directory = directory
        self.component_port = component_port
        self.operator_port = component_port  # where the administrator's component connects
        self.c2s_port = c2s_port
        self.host = HOST
        self.domain = DOMAIN
        self.pubsub_service = PUBSUB
        self.component_jids = COMPONENTS
        self.component_jid = COMPONENTS[0]
        self.secret = SECRET
        self.accounts = dict(ACCOUNTS)

    async def restart(self) -> None:
        """See Server."""
        await self.stop()
        await self.start()

    async def revoke_publishing(self, node: str, publisher: str = COMPONENTS[0]) -> None:
        """See Server."""
        await administrator.take_over(self.operator_port, node, publisher)
        await administrator.set_affiliation(self.operator_port, node, publisher, "outcast")

    async def restore_publishing(self, node: str, publisher: str = COMPONENTS[0]) -> None:
        """See Server."""
        await administrator.set_affiliation(self.operator_port, node, publisher, "owner")

    async def delete_node(self, node: str, owner: str = COMPONENTS[0]) -> None:
        """See Server."""
        await administrator.take_over(self.operator_port, node, owner)
        await administrator.delete_node(self.operator_port, node)

    async def __aenter__(self) -> Self:
        """Start."""
        self.directory.mkdir(parents=True, exist_ok=True)
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop."""
        await self.stop()
