"""How services sign what they send: each compares with the raw body, in constant time. Pure; no I/O.

A signature that has a time is taken for five minutes around it, and in these what is sent again has the same name. What
has no time is known by the name of the delivery, which GitHub and Gitea don't sign.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.inputs.webhook import Sent, Signing


def hexadecimal(header: str, prefix: str = "") -> Signing:
    """HMAC-SHA256 of the body in hexadecimal, behind a prefix."""

    def check(secret: bytes, sent: Sent, now: datetime) -> None:
        del now
        _compare(header, prefix + _hmac(secret, sent.body).hex(), sent.headers[header])

    return Signing(header, check)


def shared(header: str) -> Signing:
    """The secret itself: it is worth what the way there is worth."""

    def check(secret: bytes, sent: Sent, now: datetime) -> None:
        del now
        given = sent.headers[header].encode(errors="surrogateescape")
        if not hmac.compare_digest(hashlib.sha256(secret).digest(), hashlib.sha256(given).digest()):
            raise _wrong(header)

    return Signing(header, check)


def _check_slack(secret: bytes, sent: Sent, now: datetime) -> None:
    stamp = sent.headers.get("x-slack-request-timestamp", "")
    _check_time("x-slack-request-timestamp", stamp, now)
    expected = "v0=" + _hmac(secret, b"v0:%b:%b" % (stamp.encode(), sent.body)).hex()
    _compare("x-slack-signature", expected, sent.headers["x-slack-signature"])


def _check_standard(secret: bytes, sent: Sent, now: datetime) -> None:
    name, stamp = sent.headers.get("webhook-id", ""), sent.headers.get("webhook-timestamp", "")
    if not name:
        raise Refused(Code.UNAUTHORIZED, "webhook-signature without webhook-id; see standardwebhooks.com")
    _check_time("webhook-timestamp", stamp, now)
    content = b"%b.%b.%b" % (name.encode(errors="surrogateescape"), stamp.encode(), sent.body)
    expected = base64.b64encode(_hmac(_standard_key(secret), content)).decode()
    given = [each.partition(",")[2] for each in sent.headers["webhook-signature"].split() if each.startswith("v1,")]
    if not any(_is_same(expected, each) for each in given):
        raise _wrong("webhook-signature")


def _standard_key(secret: bytes) -> bytes:
    if not secret.startswith(b"whsec_"):
        return secret
    try:
        if key := base64.b64decode(secret.removeprefix(b"whsec_"), validate=True):
            return key
    except binascii.Error:
        pass
    raise Refused(Code.UNAUTHORIZED, "the secret here begins with whsec_ and has no base64 behind it; mend it")


SLACK = Signing("x-slack-signature", _check_slack, lambda sent: sent.headers["x-slack-signature"].strip())
"""api.slack.com, Verifying requests: `v0=` and HMAC-SHA256 of `v0:TIME:BODY`."""

STANDARD = Signing("webhook-signature", _check_standard, lambda sent: sent.headers["webhook-id"])
"""standardwebhooks.com: `v1,` and HMAC-SHA256 of `ID.TIME.BODY` in base64."""


def _check_time(header: str, stamp: str, now: datetime) -> None:
    seconds = now.timestamp() - int(stamp) if stamp.isascii() and stamp.isdecimal() and len(stamp) < 16 else None
    if seconds is None:
        raise Refused(Code.UNAUTHORIZED, f"{header} is not the seconds since 1970 in which it was signed")
    if abs(seconds) > limits.WEBHOOK_AGE_SECONDS:
        said = f"{header} is {abs(seconds):.0f} s {'ago' if seconds > 0 else 'ahead'}, more than "
        said += f"{limits.WEBHOOK_AGE_SECONDS:.0f}; it was sent again, or a clock is wrong"
        raise Refused(Code.UNAUTHORIZED, said)


def _hmac(secret: bytes, content: bytes) -> bytes:
    return hmac.digest(secret, content, "sha256")


def _compare(header: str, expected: str, given: str) -> None:
    if not _is_same(expected, given.strip()):
        raise _wrong(header)


def _is_same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode(errors="surrogateescape"))


def _wrong(header: str) -> Refused:
    return Refused(Code.UNAUTHORIZED, f"{header} is not what this body has with the secret here; compare both ends")
