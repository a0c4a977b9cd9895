"""The OMEMO library on our stream: where its lists and bundles come from, and whom it trusts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import oldmemo
import oldmemo.etree
from omemo import (
    Bundle,
    BundleDeletionFailed,
    BundleUploadFailed,
    DeviceInformation,
    DeviceListUploadFailed,
    Message,
    SessionManager,
)
from omemo.types import DeviceList
from slixmpp.xmlstream.tostring import tostring
from slixmpp_omemo import TrustLevel
from slixmpp_omemo.base_session_manager import BaseSessionManager

from xmppbus import limits
from xmppbus.errors import BusError
from xmppbus.xmpp.omemo_nodes import DEVICES, KeyNodes, bundle_node
from xmppbus.xmpp.omemo_store import Keys

log = logging.getLogger(__name__)

_LOGGERS = ("omemo.core", "oldmemo", "twomemo")


@dataclass
class Wire:
    """What the library needs of us. `send` writes a message with only that inside to a bare JID; `missed` is told that
    our own keys could not be published, which has to be done again."""

    nodes: KeyNodes
    send: Callable[[str, str], None]
    missed: Callable[[], None]
    is_up: bool = False  # our device is made, and known


async def open_sessions(keys: Keys, own: str, wire: Wire) -> SessionManager:
    """The library, with a device of its own for the bare JID `own`: made and published now if there is none yet.

    Raises whatever kept it from that: an `OMEMOException` or a `StorageException`.
    """
    for name in _LOGGERS:
        # At DEBUG they tell keys and what is said; at WARNING and INFO, what is every day's business here.
        logging.getLogger(name).setLevel(logging.ERROR)
    sessions = await _class(wire).create([oldmemo.Oldmemo(keys)], keys, own, None, TrustLevel.UNDECIDED.name)
    # Whatever waited for us in offline storage is decrypted like everything else.
    await sessions.after_history_sync()
    wire.is_up = True
    return sessions


def _class(wire: Wire) -> type[SessionManager]:
    """The library asks for a class of static methods, so there is one for each wire."""

    class Sessions(BaseSessionManager):
        """Blind trust before verification: nobody sits at the bot's side to compare fingerprints."""

        @staticmethod
        async def _upload_bundle(bundle: Bundle) -> None:
            assert isinstance(bundle, oldmemo.oldmemo.BundleImpl)  # noqa: S101  # the only kind that is in use
            try:
                payload = oldmemo.etree.serialize_bundle(bundle)
                await wire.nodes.publish(bundle_node(bundle.device_id), "current", payload)
            except BusError as error:
                if not wire.is_up:
                    raise BundleUploadFailed(f"our keys can't be published: {error}") from error
                # Raised here, it would cost the message that has just been decrypted.
                log.warning("our keys were not published, it is tried again: %s", error)
                wire.missed()

        @staticmethod
        async def _download_bundle(namespace: str, bare_jid: str, device_id: int) -> Bundle:  # noqa: ARG004  # theirs
            return await wire.nodes.bundle(bare_jid, device_id)

        @staticmethod
        async def _delete_bundle(namespace: str, device_id: int) -> None:  # noqa: ARG004  # theirs
            try:
                await wire.nodes.delete(bundle_node(device_id))
            except BusError as error:
                raise BundleDeletionFailed(str(error)) from error

        @staticmethod
        async def _upload_device_list(namespace: str, device_list: DeviceList) -> None:  # noqa: ARG004  # theirs
            try:
                await wire.nodes.publish(DEVICES, "current", oldmemo.etree.serialize_device_list(device_list))
            except BusError as error:
                raise DeviceListUploadFailed(f"our device can't be published: {error}") from error

        @staticmethod
        async def _download_device_list(namespace: str, bare_jid: str) -> DeviceList:  # noqa: ARG004  # theirs
            return await wire.nodes.devices(bare_jid)

        @staticmethod
        async def _send_message(message: Message, bare_jid: str) -> None:
            try:
                wire.send(bare_jid, encrypted_xml(message))
            except BusError as error:
                # It only carries a session forward; the next message to them does so, too.
                log.info("a key for %s was not sent: %s", bare_jid, error)

        @property
        def _btbv_enabled(self) -> bool:
            return True

        async def _prompt_manual_trust(
            self, manually_trusted: frozenset[DeviceInformation], identifier: str | None
        ) -> None:
            """Nothing is verified here, so nothing waits for a decision."""

    return Sessions


def encrypted_xml(message: Message) -> str:
    """An `<encrypted/>` (XEP-0384 0.3 §4.5)."""
    return tostring(oldmemo.etree.serialize_message(message))


async def fetch_keys(sessions: SessionManager, jid: str) -> None:
    """What has to be fetched to encrypt, while others have their turn with the library."""
    async with asyncio.timeout(limits.OMEMO_SECONDS):
        await sessions.get_device_information(jid)
