"""A mail as an event: whom it is to becomes the type, the subject the summary, the text part the text. Pure.

A mail is somebody else's bytes, and the standard library reads them: it may take long for one that is built for that,
and may raise anything. So the parts of a mail are counted before it is read, and what is raised is a refusal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import getaddresses, parsedate_to_datetime
from itertools import islice
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import BusError, Code, Refused
from xmppbus.fields import SEVERITIES, check
from xmppbus.inputs.mail_senders import known_sender
from xmppbus.inputs.mail_text import decoded, header_text, text_of_html

_BOUNDARY = re.compile(rb"""boundary\s{0,20}=\s{0,20}(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE)
_NESTED = re.compile(rb"^content-type\s{0,20}:\s{0,20}message/", re.IGNORECASE | re.MULTILINE)
_LONG = re.compile(rb"^content-(?:type|disposition):[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE)
_URGENT = {"1", "2", "high", "urgent"}
_TYPE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


class Target(NamedTuple):
    """What a recipient stands for: a type, and what `+` had behind it."""

    type: str
    severity: str = ""
    tags: tuple[str, ...] = ()


class NoSuchRecipientError(BusError):
    """Nothing is published for this address; the text says why and what to do."""


def target_of(address: str, rules: Mapping[str, str]) -> Target:
    """The type for a recipient: the rule for the address, or for the part before the `@`; else that part itself.

    What stands behind a `+` is a severity, or a tag. Raises `NoSuchRecipientError`.
    """
    local, _, _ = address.strip().rpartition("@") if "@" in address else (address.strip(), "", "")
    local = local.strip('"')
    name, plus, tag = local.partition("+")
    found = rules.get(address.strip().lower()) or rules.get(local.lower()) or rules.get(name.lower()) or rules.get("*")
    named = found or name
    if not _TYPE.fullmatch(named) or len(named) > limits.TYPE_CHARACTERS:
        raise NoSuchRecipientError(
            f"{ascii(local[:64])[1:-1]} is no type of events: write to dotted words such as disk.full@localhost, or "
            "give it one with `recipients`"
        )
    if not plus or not tag:
        return Target(named)
    return Target(named, severity=tag.lower()) if tag.lower() in SEVERITIES else Target(named, tags=(tag,))


def events_of(content: bytes, targets: Sequence[Target], now: datetime, sender: str = "") -> list[dict[str, Any]]:
    """The fields of the events that a mail makes: one for each type. Raises `Refused`.

    `sender` is who sends it where its header does not say so. A mail with a Message-ID gives the same ids each time, so
    that one that is sent again is known.
    """
    try:
        return _events_of(content, targets, now, sender)
    except Refused:
        raise
    except Exception as error:  # the standard library's reader raises what nobody has listed
        message = f"this can't be read as a mail (RFC 5322): {type(error).__name__}"
        raise Refused(Code.INVALID, message) from error


def _events_of(content: bytes, targets: Sequence[Target], now: datetime, sender: str) -> list[dict[str, Any]]:
    check_parts(content)
    mail = BytesParser(policy=compat32).parsebytes(content)
    headers = {"from": header_text(sender), **_headers(mail)}
    subject, (text, attachments) = headers.get("subject", ""), _read(mail)
    data: dict[str, Any] = {"text": text}
    for name in ("from", "to", "date"):
        if headers.get(name):
            data[name] = headers[name]
    if attachments:
        data["attachments"] = attachments
    known = known_sender(headers, subject, text)
    summary = (known.summary if known else subject)[: limits.SUMMARY_CHARACTERS]
    severity = (known.severity if known else "") or ("warning" if _is_urgent(headers) else "")
    fields = {"summary": summary, "severity": severity, "data": data | (known.data if known else {})}
    if time := _time(headers.get("date", ""), now):
        fields["time"] = time
    return [_event(fields, target, headers) for target in {target.type: target for target in targets}.values()]


def _event(fields: Mapping[str, Any], target: Target, headers: Mapping[str, str]) -> dict[str, Any]:
    found = {"type": target.type, **fields}
    if target.severity:
        found["severity"] = target.severity
    if target.tags:
        found["tags"] = list(target.tags)
    found = {name: value for name, value in found.items() if value != ""}
    if headers.get("message-id"):
        # Old devices give every mail the same one: so what it says is a part of the name.
        said = "\n".join([headers["message-id"], target.type, headers.get("date", ""), found.get("summary", "")])
        text = f"{said}\n{found['data']['text']}".encode("utf-8", "replace")
        found["id"] = hashlib.blake2b(text, digest_size=16).hexdigest()
    return check(found)


def check_parts(content: bytes) -> None:
    """Refuse what is built to keep a reader busy: parts within parts without end, or too many beside each other."""
    boundaries = {quoted or bare for quoted, bare in _BOUNDARY.findall(content)}
    containers = len(boundaries) + len(_NESTED.findall(content))
    if containers > limits.MAIL_CONTAINERS:
        message = f"the mail has more than {limits.MAIL_CONTAINERS} parts that have parts; send what is in them alone"
        raise Refused(Code.INVALID, message)
    if any(len(field.group()) > limits.MAIL_HEADER_CHARACTERS for field in _LONG.finditer(content)):
        message = f"a Content-Type or -Disposition has more than {limits.MAIL_HEADER_CHARACTERS} characters"
        raise Refused(Code.INVALID, message)
    if sum(content.count(b"\n--" + each) for each in boundaries) > limits.MAIL_PARTS:
        raise Refused(Code.INVALID, f"the mail has more than {limits.MAIL_PARTS} parts; send fewer attachments")


def _headers(mail: Message) -> dict[str, str]:
    """The first of each name, in lower case, as one line of text."""
    found: dict[str, str] = {}
    for name, value in islice(mail.raw_items(), limits.MAIL_HEADERS):
        found.setdefault(name.lower(), header_text(value))
    return found


def _read(mail: Message) -> tuple[str, list[str]]:
    """The text of a mail, and the names of what else is in it."""
    plain, page = None, None
    names: list[str] = []
    for part in mail.walk():
        if part.is_multipart():
            continue
        kind, name = part.get_content_type(), _file_name(part)
        is_file = name is not None or part.get_content_disposition() == "attachment"
        if kind == "text/plain" and not is_file and plain is None:
            plain = part
        elif kind == "text/html" and not is_file and page is None:
            page = part
        elif len(names) < limits.MAIL_ATTACHMENTS:
            names.append(name or kind[: limits.TAG_CHARACTERS])
    if plain is not None:
        return _cut(_part_text(plain)), names
    return (_cut(text_of_html(_part_text(page))) if page is not None else ""), names


def _file_name(part: Message) -> str | None:
    try:
        name = part.get_filename()
    except Exception:  # RFC 2231 allows more than the standard library reads, in names that it takes apart
        return "a file whose name can't be read"
    return None if name is None else header_text(name)[: limits.NAME_CHARACTERS]


def _part_text(part: Message) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    charset = part.get_param("charset", "utf-8")
    name = charset[2] if isinstance(charset, tuple) else str(charset)
    return decoded(content[: limits.MAIL_READ_BYTES], name).replace("\r\n", "\n")


def _cut(text: str) -> str:
    """With a word where it goes on: an event has less room than a mail."""
    text = text.strip("\n")
    content = text.encode("utf-8", "replace")
    if len(content) <= limits.MAIL_TEXT_BYTES:
        return content.decode()
    left = len(content) - limits.MAIL_TEXT_BYTES
    return content[: limits.MAIL_TEXT_BYTES].decode("utf-8", "ignore") + f"\n[cut here: {left} more bytes in the mail]"


def _is_urgent(headers: Mapping[str, str]) -> bool:
    marks = (headers.get("x-priority", "").partition(" ")[0], headers.get("importance"), headers.get("priority"))
    return any(mark.lower() in _URGENT for mark in marks if mark)


def _time(date: str, now: datetime) -> str:
    """When it was written, if its clock can be believed; else nothing, and it is when it came."""
    try:
        written = parsedate_to_datetime(date)
        if written.tzinfo is None:
            return ""
        written = written.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
    oldest, newest = (
        now - timedelta(days=limits.MAIL_DATE_DAYS),
        now + timedelta(seconds=limits.MAIL_DATE_AHEAD_SECONDS),
    )
    return written.isoformat(timespec="seconds").replace("+00:00", "Z") if oldest < written < newest else ""


def recipients_in(content: bytes) -> list[str]:
    """The addresses in To, Cc and Bcc, for `sendmail -t`. Raises `Refused`."""
    try:
        head = content.partition(b"\n\n")[0] if b"\r\n\r\n" not in content else content.partition(b"\r\n\r\n")[0]
        mail = BytesParser(policy=compat32).parsebytes(head[: limits.MAIL_HEADER_BYTES], headersonly=True)
        values = [header_text(value) for name, value in mail.raw_items() if name.lower() in ("to", "cc", "bcc")]
        return [address for _, address in getaddresses(values) if address]
    except Exception as error:  # as above
        raise Refused(Code.INVALID, f"the header can't be read: {type(error).__name__}") from error
