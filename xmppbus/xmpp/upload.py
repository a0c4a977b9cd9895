"""A file for people: uploaded to our own server (XEP-0363), so that any client can fetch it by its address.

Only our own server is asked for a place: who names another could make us send requests to wherever he likes.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import aiohttp

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.options import XmppOptions
from xmppbus.xmpp import requests
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer
from xmppbus.xmpp.requests import DISCO_ITEMS
from xmppbus.xmpp.stanzas import attribute, element_text

log = logging.getLogger(__name__)

UPLOAD = "urn:xmpp:http:upload:0"
OUT_OF_BAND = "jabber:x:oob"
HELP = (
    "the lines for the server are in docs/howto/prosody.md and ejabberd.md, under Pictures; `xmppbus check` shows "
    "them, too, while no daemon runs"
)
_HEADERS = ("authorization", "cookie", "expires")
"""XEP-0363 §5: others a server may not ask for."""


class Asker(Protocol):
    """What sends an IQ and returns its result; see `xmppbus.xmpp.component.Stream`."""

    async def ask(self, kind: str, to: str, inner: str, *, sender: str = "") -> Element:
        """Raises `ErrorAnswer` with the condition, or `NoAnswer`."""


class Service(NamedTuple):
    """Where files go: its JID, and how large they may be (0: it does not say)."""

    jid: str
    most_bytes: int


class File(NamedTuple):
    """What is uploaded."""

    name: str
    content: bytes
    kind: str  # its media type


class Slot(NamedTuple):
    """A place for one file: where it is put, with which headers, and where it is fetched."""

    put: str
    headers: dict[str, str]
    get: str


def out_of_band(url: str) -> str:
    """Beside a body that is exactly this address: clients show what is there (XEP-0066 §3)."""
    return f"<x xmlns='{OUT_OF_BAND}'><url>{element_text(url)}</url></x>"


def domains_of(options: XmppOptions) -> list[str]:
    """Hosts of our own server that may know the service: what our component, or the pubsub service, stands below."""
    if options.component is None:
        return [options.jid.partition("/")[0].rpartition("@")[2].lower()]
    found = [name.partition(".")[2].lower() for name in (options.jid, options.service)]
    return [name for name in dict.fromkeys(found) if name]


async def find_service(asker: Asker, domains: list[str]) -> Service | None:
    """The first upload service of a domain (XEP-0363 §4). Raises `NoAnswer`."""
    for domain in domains:
        if found := await _service_at(asker, domain):
            return found
        try:
            listed = await asker.ask("get", domain, f"<query xmlns='{DISCO_ITEMS}'/>")
        except ErrorAnswer:
            continue
        jids = [item.get("jid", "") for item in listed.iter(f"{{{DISCO_ITEMS}}}item")]
        waiting = [_service_at(asker, jid) for jid in jids[: limits.UPLOAD_HOSTS] if jid]
        services = [each for each in await asyncio.gather(*waiting) if each]
        if services:
            return services[0]
    return None


async def _service_at(asker: Asker, jid: str) -> Service | None:
    try:
        info = await asker.ask("get", jid, requests.features())
    except ErrorAnswer:
        return None
    if UPLOAD not in requests.read_features(info):
        return None
    most = "".join(requests.read_form(info).get("max-file-size", [])[:1])
    return Service(jid, int(most[:18]) if most.isascii() and most.isdecimal() else 0)


async def request_slot(asker: Asker, service: str, file: File, sender: str) -> Slot:
    """A place for a file (§5). Raises `ErrorAnswer`, `NoAnswer`, and `ValueError` for what can't be used."""
    given = f"filename='{attribute(file.name)}' size='{len(file.content)}' content-type='{attribute(file.kind)}'"
    result = await asker.ask("get", service, f"<request xmlns='{UPLOAD}' {given}/>", sender=sender)
    put = result.find(f".//{{{UPLOAD}}}put")
    get = result.find(f".//{{{UPLOAD}}}get")
    if put is None or get is None:
        raise ValueError(f"{service} answers without an address")
    headers = {}
    for header in put.iter(f"{{{UPLOAD}}}header"):
        header_name, value = header.get("name", ""), (header.text or "").replace("\r", "").replace("\n", "")
        if header_name.lower() in _HEADERS:
            headers[header_name] = value
    for url in (put.get("url", ""), get.get("url", "")):
        if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
            raise ValueError(f"{service} offers {url[:200]!r}, which is not https; give it a certificate")
    return Slot(put.get("url", ""), headers, get.get("url", ""))


class Uploads:
    """Puts files where people can fetch them. Made at any time; of use while there is a session."""

    def __init__(self, asker: Asker, options: XmppOptions) -> None:
        self._asker = asker
        self._domains = domains_of(options)
        self._ca_file = options.ca_file
        self._service: Service | None = None

    async def put(self, file: File, sender: str) -> str:
        """The address at which everybody who knows it can fetch the file. `sender` is our JID that uploads it (empty in
        client mode). Raises `Refused` (no-picture), whose words are for people; the log has what an operator can do."""
        try:
            async with asyncio.timeout(limits.UPLOAD_SECONDS):
                return await self._put(file, sender)
        except (ErrorAnswer, NoAnswer, ValueError, OSError, aiohttp.ClientError) as error:
            self._service = None  # it may be another one, or have a right for us, next time
            log.warning("a picture was not uploaded: %s; %s", error, HELP)
            raise Refused(Code.NO_PICTURE, f"the server takes no picture ({_brief(error)})") from error

    async def _put(self, file: File, sender: str) -> str:
        service = self._service = self._service or await find_service(self._asker, self._domains)
        if service is None:
            raise ValueError(f"{' and '.join(self._domains)} offers no upload of files (XEP-0363)")
        if service.most_bytes and len(file.content) > service.most_bytes:
            raise ValueError(f"{service.jid} takes at most {service.most_bytes} bytes, it has {len(file.content)}")
        slot = await request_slot(self._asker, service.jid, file, sender)
        context = ssl.create_default_context()
        if self._ca_file:
            context.load_verify_locations(self._ca_file)
        headers = {**slot.headers, "Content-Type": file.kind}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(limits.UPLOAD_SECONDS)) as session,
            session.put(slot.put, data=file.content, headers=headers, ssl=context, allow_redirects=False) as answer,
        ):
            if not 200 <= answer.status < 300:
                raise ValueError(f"{urlsplit(slot.put).hostname} answers the upload with {answer.status}")
        return slot.get


def _brief(error: Exception) -> str:
    """Without addresses in it that are nobody's business."""
    if isinstance(error, aiohttp.ClientError):
        return "its address for uploads can't be reached, or has no certificate to trust"
    return "it does not answer in time" if isinstance(error, TimeoutError) else str(error)
