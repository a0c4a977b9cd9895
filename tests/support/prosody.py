"""A real Prosody for tests."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.administrator import OPERATOR, PUBSUB, ROOMS, SECRET
from tests.support.ports import free_port
from tests.support.server import COMPONENTS, DOMAIN, MissingServerError, StartedServer
from xmppbus.demo.prosody import PrivateProsody, ProsodySettings

ROOMS_LINES = (f'Component "{ROOMS}" "muc"',)
"""Rooms (XEP-0045) with stock settings; what follows in the file begins a section of its own."""


class Prosody(StartedServer):
    """Prosody as a test wants it. Options are those of `ProsodySettings` (pubsub_storage, kick_old, nagle...)."""

    name = "prosody"

    def __init__(self, directory: Path, **options: Any) -> None:
        if shutil.which("prosody") is None:
            raise MissingServerError("apt-get install prosody lua-dbi-sqlite3")
        super().__init__(directory, component_port=free_port(), c2s_port=free_port())
        self.options = options
        self._server = self._with_creators(COMPONENTS)

    def _with_creators(self, creators: Sequence[str]) -> PrivateProsody:
        settings = ProsodySettings(
            c2s_port=self.c2s_port,
            component_port=self.component_port,
            components=dict.fromkeys((*COMPONENTS, OPERATOR), SECRET),
            domain=DOMAIN,
            pubsub_service=PUBSUB,
            creators=(*creators, OPERATOR),
            unchecked_components=(OPERATOR,),
            **{**self.options, "lines": [*self.options.get("lines", ()), *ROOMS_LINES]},
        )
        return PrivateProsody(self.directory, settings)

    @property
    def certificate(self) -> Path:
        """See Server."""
        return self._server.certificate

    @property
    def pid(self) -> int | None:
        """See Server."""
        return self._server.pid

    async def start(self) -> None:
        """See Server."""
        for jid, password in self.accounts.items():
            self._server.create_account(jid.partition("@")[0], password)
        await self._server.start()

    async def stop(self) -> None:
        """See Server."""
        await self._server.stop()

    def kill(self) -> None:
        """See Server."""
        self._server.kill()

    def log(self) -> str:
        """See Server."""
        return self._server.log()

    async def create_account(self, jid: str, password: str) -> None:
        """See Server."""
        self.accounts[jid] = password
        self._server.create_account(jid.partition("@")[0], password)

    async def revoke_creation(self) -> None:
        """See Server. Prosody reads `admins` only when it starts."""
        await self._restart_with(())

    async def restore_creation(self) -> None:
        """See Server."""
        await self._restart_with(COMPONENTS)

    async def _restart_with(self, creators: Sequence[str]) -> None:
        await self.stop()
        self._server = self._with_creators(creators)
        await self.start()
