"""What a preset of webhooks is: a pure function from what a service sends to events, and how that service signs.

A plugin offers one as an input: `registry.input("github", Preset(events, ...), options=WebhookOptions)`. Every preset
that is offered is served by the input `webhooks` at `POST /v1/webhooks/NAME`; `inputs: {github: {...}}` in the config
gives it a secret, and `github/second` is another one, with a secret of its own (docs/adr/0021).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.house import House
from xmppbus.interfaces import Accept, Accepted
from xmppbus.options import Name, Section

Fields = dict[str, Any]
"""The fields of one event."""


class Sent(NamedTuple):
    """A request, as a service sent it. Header names are in lower case; no token is among the rest."""

    body: bytes
    headers: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    rest: str = ""  # what stands in the path behind the preset's name
    sender: str = ""  # the name of the token with which it came


class Reply(NamedTuple):
    """An answer in the words of the service that a preset stands in for."""

    body: bytes
    media_type: str = "application/json"


class Signing(NamedTuple):
    """How a service shows that it is it: `header` is what it sends, and `check` whether that is right.

    `check(secret, sent, now)` raises `Refused` (not-authorized). `name(sent)` is what names a delivery, where the
    signature covers that: a name beside it is anybody's.
    """

    header: str
    check: Callable[[bytes, Sent, datetime], None]
    name: Callable[[Sent], str] | None = None


class WebhookOptions(Section, frozen=True, kw_only=True):
    """One preset of webhooks."""

    # a file with the secret that the service signs with; several lines are several secrets, while one takes over
    secret_file: Name | None = None


@dataclass(frozen=True)
class Preset:
    """The factory of the input that a preset is; `make(house, options)` is its call."""

    events: Callable[[Sent], Sequence[Fields]]  # pure; raises ValueError with what is wrong with the body
    signing: Signing | None = None  # beside Standard Webhooks, which every preset takes
    delivery: str = ""  # the header that names a delivery, which is sent again under the same name
    reply: Callable[[Sent, Fields, Accepted, datetime], Reply] | None = None  # of what has been accepted
    is_slow: bool = False  # whether a stranger's body can keep `events` busy: then it is called in a thread
    is_topic: bool = False  # whether what stands behind its name in the path is a part of the message

    def __call__(self, house: House, options: WebhookOptions) -> ServedPreset:
        """The input. Raises `ValueError` where it can't be."""
        if house.web is None:
            raise ValueError("webhooks need the HTTP listener, which `http: null` switches off")
        return ServedPreset(self, options.secret_file)


class ServedPreset:
    """A preset in use, with its secret. It has no loop of its own: the input `webhooks` takes what is sent to it."""

    def __init__(self, preset: Preset, secret_file: str | None = None) -> None:
        self.preset = preset
        self.secrets = Secrets(Path(secret_file)) if secret_file else None
        self.accepted = 0
        self.refused = 0

    async def run(self, accept: Accept) -> None:
        """Nothing: see the input `webhooks`."""
        del accept
        await asyncio.Event().wait()

    def status(self) -> Mapping[str, Any]:
        """How many events came, and whether what is sent has to be signed."""
        found = {"state": "up", "accepted": self.accepted, "refused": self.refused, "signed": self.secrets is not None}
        if self.secrets and self.secrets.problem:
            found["notice"] = self.secrets.problem
        return found


class Secrets:
    """The secrets in a file, one a line, read again when it changes. Raises `ValueError` when there is none at first.

    A file that goes bad later is kept out: what was read before holds, and `problem` says why.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)
        self._found: list[bytes] = []
        self.problem = ""
        self.all()
        if self.problem:
            raise ValueError(self.problem)

    def all(self) -> Sequence[bytes]:
        """Those of today."""
        try:
            stat = self._path.stat()
            stamp = stat.st_mtime_ns, stat.st_ino
            if stamp != self._stamp:
                if stat.st_size > limits.WEBHOOK_SECRET_BYTES:
                    raise ValueError(f"has {stat.st_size} bytes of at most {limits.WEBHOOK_SECRET_BYTES}")
                found = [line.strip() for line in self._path.read_bytes().splitlines() if line.strip()]
                if not found:
                    raise ValueError("is empty; write the secret that the service signs with into it")
                self._found, self._stamp = found, stamp
            self.problem = ""
        except OSError as error:
            self.problem = f"{self._path} can't be read: {error.strerror}; it holds the secret of a webhook"
        except ValueError as error:
            self.problem = f"{self._path} {error}"
        return self._found


def check_signature(served: ServedPreset, signings: Sequence[Signing], sent: Sent, now: datetime) -> Signing | None:
    """How a request is signed: by the first of `signings` whose header it has. Raises `Refused` when wrongly."""
    if served.secrets is None:
        return None
    signing = next((each for each in signings if sent.headers.get(each.header)), None)
    if signing is None:
        return None
    refusal: Refused | None = None
    for secret in served.secrets.all():
        try:
            signing.check(secret, sent, now)
            return signing
        except Refused as refused:
            refusal = refused
    raise refusal or Refused(Code.UNAUTHORIZED, "there is no secret to compare the signature with")
