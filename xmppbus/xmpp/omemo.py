"""End-to-end encryption of what the bot and a person say to each other (XEP-0384), for those who can read it.

Imported only when `bot.omemo` is switched on: the library is an extra. Whoever has a device in his list is sent what
only his devices can read; who has none is sent plain words, unless the config wants them never to go out so, or he has
been sent encrypted ones before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self
from xml.etree.ElementTree import Element

import oldmemo
import oldmemo.etree
from doubleratchet import DuplicateMessageException
from omemo import (
    DecryptionFailed,
    DeviceListDownloadFailed,
    KeyExchangeFailed,
    MessageNotForUs,
    OMEMOException,
    SessionManager,
)
from omemo.types import DeviceList

from xmppbus import limits
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.lanes import Lanes
from xmppbus.xmpp.omemo_nodes import DEVICES, NAMESPACE, KeyNodes, changed, condition_of, reason_of
from xmppbus.xmpp.omemo_sessions import Wire, encrypted_xml, fetch_keys, open_sessions
from xmppbus.xmpp.omemo_store import Keys
from xmppbus.xmpp.replies import NoAnswer, Unanswered
from xmppbus.xmpp.sealing import ENCRYPTED, Recipients, Wanted, is_encrypted, readable, taken_apart
from xmppbus.xmpp.stanzas import attribute
from xmppbus.xmpp.talk import Talk

log = logging.getLogger(__name__)


class _Unreadable(Exception):
    """It can't be encrypted for its recipient, and must not be sent without."""


class _Learnt(NamedTuple):
    until: float
    has_devices: bool


class Encryption:
    """Of one talk, which enters and leaves it. Made before that: it is part of what the bot is said to be able to."""

    def __init__(self, stream: Stream, talk: Talk, path: Path, recipients: Recipients) -> None:
        """`path` is the file of keys; it is made when it is missing. `recipients` says for whom is encrypted."""
        self._stream = stream
        self._talk = talk
        self._path = path
        self._recipients = recipients
        self._keys = Keys(path)
        self._nodes = KeyNodes(partial(stream.ask, sender=talk.full()), talk.jid, is_component=talk.is_component)
        self._wire = Wire(self._nodes, self._send, self._missed)
        self._sessions: SessionManager | None = None
        self._up = asyncio.Event()
        self._failed = ""  # why we have no device
        self._setting_up: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # the library reads, changes and writes a session in several steps
        self._learnt: OrderedDict[str, _Learnt] = OrderedDict()
        self._mended: OrderedDict[tuple[str, str], float] = OrderedDict()  # not again before
        self._incoming = Lanes()
        self._outgoing = Lanes()
        self._fingerprint = ""
        self._is_closed = False
        self._count = {"encrypted": 0, "decrypted": 0, "not_encrypted": 0, "not_decrypted": 0}
        talk.profile.features.add(f"{DEVICES}+notify")  # XEP-0163 §4.2: tell us of changed devices
        talk.encryption = self

    async def __aenter__(self) -> Self:
        """Raises `ConfigInvalid` where the file of keys can't be used."""
        await self._keys.open()
        self._talk.answers.append(self._asked)
        self._stream.hooks.messages.append(self._notified)
        self._stream.hooks.begun.append(self._begun)
        if self._stream.session:
            self._begun(self._stream.session)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._stream.hooks.begun.remove(self._begun)
        self._stream.hooks.messages.remove(self._notified)
        self._talk.answers.remove(self._asked)
        self._is_closed = True
        if self._setting_up is not None:
            self._setting_up.cancel()
            await asyncio.wait([self._setting_up])
        await self._incoming.close()
        await self._outgoing.close()
        if self._sessions is not None:
            await self._sessions.shutdown()
        await self._keys.close()

    def status(self) -> dict[str, Any]:
        """What `xmppbus status` shows: people compare the fingerprint with what their client shows of the bot."""
        state = "up" if self._up.is_set() else "down"
        return {"state": state, "reason": self._failed, "fingerprint": self._fingerprint, **self._count}

    # --- our device -------------------------------------------------------------------------------------------------

    def _begun(self, _: int) -> None:
        """What was learnt in the last session may have changed since."""
        self._nodes.forget()
        self._learnt.clear()
        self._set_up(0.0)

    def _missed(self) -> None:
        self._set_up(limits.OMEMO_AGAIN_SECONDS)

    def _set_up(self, seconds: float) -> None:
        if self._setting_up is not None:
            self._setting_up.cancel()
        self._setting_up = asyncio.create_task(self._keep_setting_up(seconds), name="omemo")

    async def _keep_setting_up(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                async with self._turn:
                    await self._make_known()
            except Exception as error:  # the house is kept alive: the library raises what it likes
                self._failed = f"the bot's keys can't be published: {condition_of(error)}"
                log.warning("%s: %s", self._talk.jid, self._failed)
                seconds = limits.OMEMO_AGAIN_SECONDS
            else:
                self._failed = ""
                self._up.set()
                return

    async def _make_known(self) -> None:
        """Have a device, and everybody able to find it."""
        if self._sessions is None:
            self._sessions = await open_sessions(self._keys, self._talk.jid, self._wire)
        await self._sessions.ensure_data_consistency()
        own, _ = await self._sessions.get_own_device_information()
        self._fingerprint = " ".join(self._sessions.format_identity_key(own.identity_key))
        if self._keys.is_new:
            self._keys.is_new = False
            log.warning(
                "%s: %s had no keys, so the bot has a new device for OMEMO; people may compare its fingerprint: %s",
                self._talk.jid,
                self._path,
                self._fingerprint,
            )

    async def _ready(self) -> SessionManager:
        if not self._up.is_set() and not self._failed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limits.OMEMO_SECONDS):
                    await self._up.wait()
        if self._sessions is not None and self._up.is_set():
            return self._sessions
        if self._failed:
            raise _Unreadable(self._failed)
        raise NoAnswer(Unanswered.TIMEOUT if self._stream.session else Unanswered.DISCONNECTED)

    def _asked(self, request: Element) -> bytes | Awaitable[bytes | None] | None:
        """For our keys. Whom nothing is encrypted for is told of none, lest he encrypts what is not read then."""
        is_for = self.reads(request.get("from", "").partition("/")[0])
        answer = self._nodes.answer(request, is_for=is_for)
        return answer if answer is None or self._up.is_set() or not is_for else self._asked_early(request)

    async def _asked_early(self, request: Element) -> bytes | None:
        """They are being made: who is told that there are none does not ask again."""
        with contextlib.suppress(_Unreadable, NoAnswer):
            await self._ready()
        return self._nodes.answer(request, is_for=True)

    # --- their devices ----------------------------------------------------------------------------------------------

    async def _has_devices(self, sessions: SessionManager, jid: str) -> bool:
        """What a bare JID's list says, asked for once in a while."""
        now = asyncio.get_running_loop().time()
        known = self._learnt.get(jid)
        if known is not None and known.until > now:
            return known.has_devices
        if not self._keys.has_room_for(jid):
            return False
        try:
            found = await self._nodes.devices(jid)
        except DeviceListDownloadFailed as error:
            log.info("%s: %s", self._talk.jid, error)
            has_devices = await self._had_devices(jid)
            self._learn(jid, _Learnt(now + limits.OMEMO_AGAIN_SECONDS, has_devices))
            return has_devices
        await self._take_list(sessions, jid, found)
        return bool(found)

    async def _had_devices(self, jid: str) -> bool:
        listed = (await self._keys.load_list(f"/devices/{jid}/list", int)).maybe([])
        states = [(await self._keys.load_dict(f"/devices/{jid}/{each}/active", bool)).maybe({}) for each in listed]
        return any(state.get(NAMESPACE) for state in states)

    async def _take_list(self, sessions: SessionManager, jid: str, found: DeviceList) -> None:
        async with self._turn:
            await sessions.update_device_list(NAMESPACE, jid, found)
        until = asyncio.get_running_loop().time() + limits.OMEMO_LIST_SECONDS
        self._learn(jid, _Learnt(until, bool(found)))

    def _learn(self, jid: str, learnt: _Learnt) -> None:
        self._learnt[jid] = learnt
        self._learnt.move_to_end(jid)
        if len(self._learnt) > limits.OMEMO_LISTS:
            self._learnt.popitem(last=False)

    def _notified(self, message: Element) -> None:
        """Of those with whom something was exchanged; anybody else's list is asked for when it is needed."""
        found = changed(message)
        if found is None or self._sessions is None:
            return
        jid, devices = found
        if jid == self._talk.jid or jid in self._learnt:
            self._incoming.add(jid, partial(self._take_list, self._sessions, jid, devices))

    # --- out --------------------------------------------------------------------------------------------------------

    async def prepare(self, jids: Sequence[str]) -> None:
        """See `talk.Encryption`: lists and keys of many, so many at a time."""
        now = asyncio.get_running_loop().time()
        waiting = [jid for jid in jids if jid not in self._learnt or self._learnt[jid].until <= now]
        if not waiting:
            return
        left = iter(waiting)
        with contextlib.suppress(_Unreadable, NoAnswer):  # sealing says so
            sessions = await self._ready()
            await asyncio.gather(*(self._prepare(sessions, left) for _ in range(limits.OMEMO_AT_ONCE)))

    async def _prepare(self, sessions: SessionManager, left: Iterator[str]) -> None:
        for jid in left:
            if await self._has_devices(sessions, jid):
                with contextlib.suppress(TimeoutError):
                    await fetch_keys(sessions, jid)

    async def sealed(self, to: str, stanza: bytes) -> bytes:
        """The message as it may be sent to a JID: encrypted, as it is, or words that say only that there is one.

        Raises `NoAnswer` when that can't be said now: nothing may be sent.
        """
        found = taken_apart(stanza)
        if found is None:
            return stanza
        jid = to.partition("/")[0]
        try:
            payload = await self._encrypted(jid, found.body)
        except _Unreadable as reason:
            if not self._stream.session:
                raise NoAnswer(Unanswered.DISCONNECTED) from reason
            self._count["not_encrypted"] += 1
            log.warning("%s: what was to be said to %s was not encrypted: %s", self._talk.jid, jid, reason)
            return found.refused(str(reason))
        if payload is None:
            return stanza
        self._count["encrypted"] += 1
        return found.encrypted(payload)

    def say(self, to: str, stanza: bytes) -> None:
        """Send a message that nobody waits for, behind those that were to be sent to the same bare JID before."""
        if self._is_closed:
            raise NoAnswer(Unanswered.DISCONNECTED)
        if not self._outgoing.add(to.partition("/")[0], partial(self._say, to, stanza)):
            raise NoAnswer(Unanswered.TIMEOUT)

    async def _say(self, to: str, stanza: bytes) -> None:
        try:
            self._talk.send(await self.sealed(to, stanza))
        except NoAnswer as error:
            log.info("%s: something was not said to %s: %s", self._talk.jid, to, error)

    async def encrypts(self, jid: str) -> bool:
        """See `talk.Encryption`."""
        wanted = self._recipients.of(jid)
        if wanted is not Wanted.POSSIBLE:
            return wanted is Wanted.REQUIRED
        if (await self._keys.load_primitive(f"/xmppbus/encrypted/{jid}", bool)).maybe(False):
            return True
        try:
            return await self._has_devices(await self._ready(), jid)
        except (_Unreadable, NoAnswer):
            return True  # nobody knows: as if it were

    async def _encrypted(self, jid: str, text: str) -> str | None:
        """The `<encrypted/>`; None for somebody who is to be sent plain words."""
        wanted = self._recipients.of(jid)
        if wanted is Wanted.NEVER:
            return None
        before = f"/xmppbus/encrypted/{jid}"
        was_encrypted = (await self._keys.load_primitive(before, bool)).maybe(False)
        try:
            sessions = await self._ready()
            if not await self._has_devices(sessions, jid):
                raise _Unreadable("I know of none")
        except _Unreadable:
            if was_encrypted or wanted is Wanted.REQUIRED:
                raise
            return None
        try:
            await fetch_keys(sessions, jid)
            async with self._turn:
                messages, _ = await sessions.encrypt(frozenset({jid}), {NAMESPACE: text.encode()})
                if not was_encrypted:
                    await self._keys.store(before, True)
        except Exception as error:  # whatever it is, the words must not go out without
            raise _Unreadable(reason_of(error)) from error
        return encrypted_xml(next(iter(messages)))

    def _send(self, jid: str, payload: str) -> None:
        """Key material without words (XEP-0384 0.3 §4.6)."""
        sender = self._talk.full()
        own = f" from='{attribute(sender)}'" if sender else ""
        head = f"<message type='chat'{own} to='{attribute(jid)}' id='{uuid.uuid4()}'>"
        self._stream.pipeline.write(f"{head}{payload}<store xmlns='urn:xmpp:hints'/></message>".encode())

    # --- in ---------------------------------------------------------------------------------------------------------

    def reads(self, jid: str) -> bool:
        """See `talk.Encryption`."""
        return self._recipients.of(jid) is not Wanted.NEVER

    def opens(self, stanza: Element, hear: Callable[[Element], None]) -> bool:
        """Whether a message is dealt with here: it is decrypted, or behind one that is. Then `hear` is called with it
        in a while; not at all for one that has come before, or carries no words."""
        sender = stanza.get("from", "").partition("/")[0]
        if is_encrypted(stanza) and self.reads(sender):
            if self._is_closed:
                return True  # nothing is heard any more
            return self._incoming.add(sender, partial(self._open, stanza, sender, hear))
        return self._incoming.is_busy(sender) and self._incoming.add(sender, partial(_hear, stanza, hear))

    async def _open(self, stanza: Element, sender: str, hear: Callable[[Element], None]) -> None:
        try:
            text = await self._decrypted(stanza, sender)
        except Exception as error:  # the library raises what it likes; what it can't read is heard as unreadable
            if not isinstance(error.__cause__, DuplicateMessageException):
                self._count["not_decrypted"] += 1
                log.info("%s: a message of %s can't be read: %s", self._talk.jid, sender, type(error).__name__)
                if isinstance(error, MessageNotForUs):
                    self._tell(stanza.get("from", ""))
                elif isinstance(error, (DecryptionFailed, KeyExchangeFailed)):
                    await self._mend(stanza, sender)
                hear(stanza)
            return
        if text is not None:
            self._count["decrypted"] += 1
            hear(readable(stanza, text))

    def _tell(self, to: str) -> None:
        """Our device to somebody who encrypts for another: an account's server does that, a component has to."""
        told = self._nodes.notification(to)
        if told is not None:
            with contextlib.suppress(NoAnswer):
                self._talk.send(told)

    async def _mend(self, stanza: Element, sender: str) -> None:
        """Begin anew with a device whose messages can't be read: one of us has keys of before, as from a backup."""
        header = stanza.find(f"{ENCRYPTED}/{{{NAMESPACE}}}header")
        number = header.get("sid", "") if header is not None else ""
        now = asyncio.get_running_loop().time()
        if self._sessions is None or self._mended.get((sender, number), 0.0) > now:
            return
        self._mended[sender, number] = now + limits.OMEMO_AGAIN_SECONDS
        if len(self._mended) > limits.OMEMO_BUNDLES:
            self._mended.popitem(last=False)
        with contextlib.suppress(OMEMOException, TimeoutError):
            await fetch_keys(self._sessions, sender)
            async with asyncio.timeout(limits.OMEMO_SECONDS), self._turn:
                for device in await self._sessions.get_device_information(sender):
                    if str(device.device_id) == number:
                        log.info("%s: beginning anew with device %s of %s", self._talk.jid, number, sender)
                        await self._sessions.replace_sessions(device)

    async def _decrypted(self, stanza: Element, sender: str) -> str | None:
        sessions = await self._ready()
        if not self._keys.has_room_for(sender):
            raise _Unreadable("there are too many people with devices")
        element = stanza.find(ENCRYPTED)
        assert element is not None  # noqa: S101  # it was looked for before
        async with self._turn:
            message = await oldmemo.etree.parse_message(element, sender, self._talk.jid, sessions)
            text, _, _ = await sessions.decrypt(message)
            # Whoever writes so is answered so, come what may.
            await self._keys.store(f"/xmppbus/encrypted/{sender}", True)
        return None if text is None else text.decode()


async def _hear(stanza: Element, hear: Callable[[Element], None]) -> None:
    hear(stanza)
