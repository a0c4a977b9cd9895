"""Is anybody else connected under our name? Prosody refuses a second holder, ejabberd shares the stanzas out.

We send nonces to our own address. All of ours back: we are alone. One of somebody else's: there are two, and the
younger steps down. Fewer than were sent: somebody else got them.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import secrets
import time
from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.xmpp.stanzas import attribute

NAMESPACE = "urn:xmppbus:holder"


class Holder(NamedTuple):
    """One that holds the address: since when (seconds since the epoch), and a random name that breaks ties."""

    since: float
    name: str


class Seen(enum.Enum):
    """What a nonce tells."""

    OURS = "ours"
    YOUNGER = "younger"  # another holder that has to step down: it must hear of us
    OLDER = "older"  # another holder: we have to step down


class SplitCheck:
    """The check of one connection."""

    def __init__(self, jid: str) -> None:
        self._jid = attribute(jid)
        self.holder = Holder(time.time(), secrets.token_hex(8))
        self._round = 0
        self._missing = 0
        self._all_back = asyncio.Event()

    def nonces(self) -> bytes:
        """The stanzas of a new round."""
        self._round += 1
        self._missing = limits.SPLIT_NONCES
        self._all_back.clear()
        return self.announcement() * limits.SPLIT_NONCES

    async def wait(self) -> int:
        """Wait until the nonces of the present round are back, or for a short while; how many are not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.SPLIT_DEADLINE_SECONDS):
                await self._all_back.wait()
        return self._missing

    def announcement(self) -> bytes:
        """One nonce of the present round."""
        since, name = self.holder
        nonce = f"<holder xmlns='{NAMESPACE}' name='{name}' since='{since!r}' round='{self._round}'/>"
        # A headline: no server keeps it for later.
        return f"<message type='headline' from='{self._jid}' to='{self._jid}'>{nonce}</message>".encode()

    def see(self, message: Element) -> Seen | None:
        """Look at a message: None when there is no nonce in it."""
        nonce = message.find(f"{{{NAMESPACE}}}holder")
        if nonce is None:
            return None
        if nonce.get("name") == self.holder.name:
            if nonce.get("round") == str(self._round) and self._missing:
                self._missing -= 1
                if not self._missing:
                    self._all_back.set()
            return Seen.OURS
        try:
            other = Holder(float(nonce.get("since", "")), nonce.get("name", ""))
        except ValueError:
            return None
        return Seen.OLDER if other < self.holder else Seen.YOUNGER
