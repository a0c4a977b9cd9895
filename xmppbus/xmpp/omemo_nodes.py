"""Where device lists and bundles of keys are (XEP-0384 0.3 §4): read from anybody's PEP, and our own made known.

An account's are published to its PEP. A component has none: there we are asked ourselves, and answer.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

import oldmemo
import oldmemo.etree
from omemo import Bundle, BundleDownloadFailed, BundleNotFound, DeviceListDownloadFailed, NoEligibleDevices
from omemo.storage import StorageException
from omemo.types import DeviceList
from slixmpp.xmlstream.tostring import tostring

from xmppbus import limits
from xmppbus.errors import BusError
from xmppbus.xmpp.answers import refusal, result
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer
from xmppbus.xmpp.stanzas import PUBSUB, attribute

NAMESPACE: str = oldmemo.oldmemo.NAMESPACE
"""Of XEP-0384 0.3, which all clients speak; `urn:xmpp:omemo:2` is spoken by few, and by none of them alone."""

DEVICES = f"{NAMESPACE}.devicelist"
EVENTS = f"{PUBSUB}#event"
_ERRORS = f"{PUBSUB}#errors"
_OWNER = f"{PUBSUB}#owner"
_FORM = "jabber:x:data"
_NOBODY = ("item-not-found", "service-unavailable", "feature-not-implemented")
"""What a server says where there is no such node, no such account, or no PEP."""

Key = tuple[str, int]


Ask = Callable[[str, str, str], Awaitable[Element]]
"""Kind, JID, and the inside of an IQ; returns its result, or raises `ErrorAnswer` or `NoAnswer`."""


class _Known(NamedTuple):
    until: float
    bundle: Bundle | Exception


def bundle_node(device: int) -> str:
    """The node of a device's bundle."""
    return f"{NAMESPACE}.bundles:{device}"


class KeyNodes:
    """Of the world, and our own. `ask` asks in the bot's name, for some show their keys only to contacts; `own` is its
    bare JID; `is_component` says that nobody keeps its nodes."""

    def __init__(self, ask: Ask, own: str, *, is_component: bool) -> None:
        self._ask = ask
        self._own = own
        self._is_component = is_component
        self._ours: dict[str, tuple[str, str]] = {}  # a component's nodes: the item's id and its payload
        self._bundles: dict[Key, _Known] = {}

    # --- ours -------------------------------------------------------------------------------------------------------

    async def publish(self, node: str, item_id: str, payload: Element) -> None:
        """Make a node's only item known to everybody. Raises `ErrorAnswer` or `NoAnswer`."""
        text = tostring(payload)
        if self._is_component:
            self._ours[node] = (item_id, text)
            return
        item = f"<publish node='{attribute(node)}'><item id='{attribute(item_id)}'>{text}</item></publish>"
        options = f"<publish-options>{_form(f'{PUBSUB}#publish-options')}</publish-options>"
        wanted = f"<pubsub xmlns='{PUBSUB}'>{item}{options}</pubsub>"
        try:
            await self._ask("set", self._own, wanted)
        except ErrorAnswer as error:
            if error.reply.specific != "precondition-not-met":
                raise
            configure = f"<configure node='{attribute(node)}'>{_form(f'{PUBSUB}#node_config')}</configure>"
            await self._ask("set", self._own, f"<pubsub xmlns='{_OWNER}'>{configure}</pubsub>")
            await self._ask("set", self._own, wanted)

    async def delete(self, node: str) -> None:
        """Take a node of ours back. Raises `ErrorAnswer` or `NoAnswer`."""
        if self._is_component:
            self._ours.pop(node, None)
            return
        try:
            inner = f"<pubsub xmlns='{_OWNER}'><delete node='{attribute(node)}'/></pubsub>"
            await self._ask("set", self._own, inner)
        except ErrorAnswer as error:
            if error.reply.name not in _NOBODY:
                raise

    def answer(self, request: Element, *, is_for: bool) -> bytes | None:
        """What a component says to who asks for its keys (XEP-0060 §6.5); None for any other request. `is_for` says
        whether they are there for the asker."""
        items = request.find(f"{{{PUBSUB}}}pubsub/{{{PUBSUB}}}items")
        node = items.get("node", "") if items is not None else ""
        if not self._is_component or request.get("type") != "get" or not node.startswith(f"{NAMESPACE}."):
            return None
        if node not in self._ours or not is_for:
            return refusal(request, self._own, "item-not-found")
        item_id, payload = self._ours[node]
        inner = f"<items node='{attribute(node)}'><item id='{attribute(item_id)}'>{payload}</item></items>"
        return result(request, self._own, f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>")

    def notification(self, to: str) -> bytes | None:
        """Tells a JID a component's list of devices (XEP-0060 §7.1.2.1); None where a server does that for us."""
        if not self._is_component or DEVICES not in self._ours:
            return None
        item_id, payload = self._ours[DEVICES]
        head = f"<message type='headline' from='{attribute(self._own)}' to='{attribute(to)}' id='{uuid.uuid4()}'>"
        items = f"<items node='{DEVICES}'><item id='{attribute(item_id)}'>{payload}</item></items>"
        return f"{head}<event xmlns='{EVENTS}'>{items}</event></message>".encode()

    # --- anybody's --------------------------------------------------------------------------------------------------

    async def devices(self, jid: str) -> DeviceList:
        """A bare JID's devices; none where it says nothing of any. Raises `DeviceListDownloadFailed`."""
        try:
            payload = await self._payload(jid, DEVICES)
            found: DeviceList = {} if payload is None else oldmemo.etree.parse_device_list(payload)
        except Exception as error:  # the library's parsers raise what they like; whatever it is, nothing is known
            raise DeviceListDownloadFailed(f"the devices of {jid} can't be learnt: {error}") from error
        return dict(list(found.items())[: limits.OMEMO_DEVICES])

    async def bundle(self, jid: str, device: int) -> Bundle:
        """A device's keys; they, and why they can't be had, are remembered for a while.

        Raises `BundleNotFound` or `BundleDownloadFailed`.
        """
        now = asyncio.get_running_loop().time()
        known = self._bundles.get((jid, device))
        if known is None or known.until <= now:
            known = _Known(now + limits.OMEMO_AGAIN_SECONDS, await self._fetch(jid, device))
            self._keep((jid, device), known)
        if isinstance(known.bundle, Exception):
            raise known.bundle
        return known.bundle

    def forget(self) -> None:
        """Fetch all bundles anew."""
        self._bundles.clear()

    def _keep(self, key: Key, known: _Known) -> None:
        self._bundles.pop(key, None)
        self._bundles[key] = known
        if len(self._bundles) > limits.OMEMO_BUNDLES:
            del self._bundles[next(iter(self._bundles))]

    async def _fetch(self, jid: str, device: int) -> Bundle | Exception:
        try:
            payload = await self._payload(jid, bundle_node(device))
            if payload is None:
                return BundleNotFound(f"device {device} of {jid} has published no keys")
            return oldmemo.etree.parse_bundle(payload, jid, device)
        except Exception as error:  # the same
            return BundleDownloadFailed(f"the keys of device {device} of {jid} can't be had: {error}")

    async def _payload(self, jid: str, node: str) -> Element | None:
        if self._is_component and jid == self._own:
            return None if node not in self._ours else _parsed(self._ours[node][1])
        inner = f"<pubsub xmlns='{PUBSUB}'><items node='{attribute(node)}' max_items='1'/></pubsub>"
        try:
            async with asyncio.timeout(limits.OMEMO_SECONDS):
                answer = await self._ask("get", jid, inner)
        except ErrorAnswer as error:
            if error.reply.name in _NOBODY:
                return None
            raise
        item = answer.find(f".//{{{PUBSUB}}}item")
        return next(iter(item), None) if item is not None else None


def changed(message: Element) -> tuple[str, DeviceList] | None:
    """Whose devices a notification (XEP-0060 §7.1.2.1) tells, and which; None for any other message."""
    items = message.find(f"{{{EVENTS}}}event/{{{EVENTS}}}items")
    if items is None or items.get("node") != DEVICES:
        return None
    payload = items.find(f"{{{EVENTS}}}item/{{{NAMESPACE}}}list")
    if payload is None:
        return None
    found: dict[int, Any] = {}
    for each in payload.findall(f"{{{NAMESPACE}}}device")[: limits.OMEMO_DEVICES]:
        number = each.get("id", "")
        if number.isascii() and number.isdigit() and 0 < len(number) <= 10:
            found[int(number)] = None
    return message.get("from", "").partition("/")[0], found


def condition_of(error: BaseException | None) -> str:
    """Why the library could not do something, in a word of the wire."""
    while error is not None:
        if isinstance(error, ErrorAnswer):
            return error.reply.name
        if isinstance(error, (NoAnswer, TimeoutError)):
            return "timeout"
        if isinstance(error, BusError):
            return str(error)
        error = error.__cause__
    return "internal-server-error"


def reason_of(error: Exception) -> str:
    """Why something could not be encrypted, in words for whoever does not get it."""
    if isinstance(error, (NoEligibleDevices, TimeoutError)):
        return "their keys can't be had"
    if isinstance(error, StorageException):
        return "my own can't be written"
    return type(error).__name__


def _parsed(text: str) -> Element:
    from defusedxml.ElementTree import fromstring

    found: Element = fromstring(text)
    return found


def _form(kind: str) -> str:
    """Open to everybody, and kept: who is no contact of ours encrypts too (XEP-0384 §4.2)."""
    fields = {"FORM_TYPE": kind, "pubsub#persist_items": "true", "pubsub#access_model": "open"}
    inner = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in fields.items())
    return f"<x xmlns='{_FORM}' type='submit'>{inner}</x>"
