"""Somebody with a client that speaks OMEMO: slixmpp with slixmpp-omemo, as they come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from omemo.storage import Just, Maybe, Nothing, Storage
from omemo.types import DeviceInformation, JSONType
from slixmpp import JID
from slixmpp.plugins.base import register_plugin
from slixmpp_omemo import XEP_0384

from tests.support.server import Server
from tests.support.slixmpp_stream import happened, slixmpp_client, start
from tests.support.waiting import until

SOON = 10.0


class _Memory(Storage):
    """Keys for as long as the test lasts."""

    def __init__(self) -> None:
        super().__init__(disable_cache=True)
        self.values: dict[str, JSONType] = {}

    async def _load(self, key: str) -> Maybe[JSONType]:
        return Just(self.values[key]) if key in self.values else Nothing()

    async def _store(self, key: str, value: JSONType) -> None:
        self.values[key] = value

    async def _delete(self, key: str) -> None:
        self.values.pop(key, None)


class _Plugin(XEP_0384):
    """Trusts every device it meets."""

    def plugin_init(self) -> None:
        """See slixmpp."""
        self.memory = _Memory()
        super().plugin_init()

    @property
    def storage(self) -> Storage:
        """See the library."""
        return self.memory

    @property
    def _btbv_enabled(self) -> bool:
        return True

    async def _prompt_manual_trust(
        self, manually_trusted: frozenset[DeviceInformation], identifier: str | None
    ) -> None:
        raise AssertionError(f"{identifier}: {manually_trusted} are not trusted blindly")


register_plugin(_Plugin)


class OmemoPerson:
    """What the client got: all messages, and the texts of those that it could decrypt."""

    def __init__(self, xmpp: Any) -> None:
        self.xmpp = xmpp
        self.jid = str(xmpp.boundjid.bare)
        self.stanzas: list[Any] = []
        self.read: list[str] = []
        self.unread: list[str] = []
        self.told: list[str] = []  # whose lists of devices came
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        xmpp.add_event_handler("message", self._got)
        xmpp.add_event_handler("pubsub_publish", lambda stanza: self.told.append(str(stanza["from"].bare)))

    @property
    def plugin(self) -> Any:
        """Its OMEMO."""
        return self.xmpp.plugin["xep_0384"]

    async def says(self, to: str, text: str) -> None:
        """Send an encrypted message, which fails where that is not possible."""
        (await self.encrypted(to, text)).send()

    async def encrypted(self, to: str, text: str) -> Any:
        """A message that can be sent."""
        stanza = self.xmpp.make_message(mto=JID(to), mbody=text, mtype="chat")
        encrypted, errors = await self.plugin.encrypt_message(stanza, JID(to))
        assert encrypted is not None, errors
        return encrypted

    async def reads(self, text: str) -> None:
        """Wait until a decrypted message says that."""
        await until(lambda: text in self.read, SOON, f"{text!r} among {self.read}, unread {self.unread}")

    async def gets(self, part: str) -> str:
        """Wait for a message with that in its plain body."""

        def bodies() -> list[str]:
            return [str(each["body"]) for each in self.stanzas if part in str(each["body"])]

        await until(lambda: bool(bodies()), SOON, part)
        return bodies()[0]

    def _got(self, stanza: Any) -> None:
        self.stanzas.append(stanza)
        if self.plugin.is_encrypted(stanza):
            task = asyncio.create_task(self._decrypt(stanza))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _decrypt(self, stanza: Any) -> None:
        try:
            async with self._turn:  # the library can't do it side by side
                decrypted, _ = await self.plugin.decrypt_message(stanza)
        except Exception as error:  # whatever it is, a test wants to see it
            self.unread.append(repr(error))
            return
        if decrypted["body"]:
            self.read.append(str(decrypted["body"]))


@asynccontextmanager
async def omemo_person(server: Server, jid: str = "") -> AsyncIterator[OmemoPerson]:
    """Somebody new, or with another client, logged in, whose keys are published."""
    if not jid:
        jid = f"omemo{uuid4().hex[:10]}@{server.domain}"
        await server.create_account(jid, "pw")
    async with slixmpp_client(server, jid) as xmpp:
        xmpp.register_plugin("xep_0184")
        xmpp.register_plugin("xep_0308")
        xmpp.register_plugin("xep_0384", module=__import__(__name__, fromlist=["_Plugin"]))
        found = OmemoPerson(xmpp)
        ready = happened(xmpp, "omemo_initialized")
        await start(xmpp, server.host, server.c2s_port)
        xmpp.send_presence()
        await asyncio.wait_for(ready, SOON)
        try:
            yield found
        finally:
            await xmpp.plugin["xep_0384"]._XEP_0384__session_manager.shutdown()
