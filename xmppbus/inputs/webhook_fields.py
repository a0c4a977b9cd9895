"""Reading what others send, whatever it is: what is not there, or not as expected, is empty; nothing here raises but
`ValueError` for a body that is no JSON at all. What comes out fits into an event's fields.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec

from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.inputs.webhook import Sent
from xmppbus.web import check_json

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
FORM_FIELDS = 64

_decode = msgspec.json.Decoder().decode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
_SPACE = re.compile(r"\s+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]+")
_NO_WORD = re.compile(r"[^A-Za-z0-9_-]+")
_BOUNDARY = re.compile(r"multipart/form-data\s*;.*?boundary=(?:\"([^\"]{1,70})\"|([^\s;\"]{1,70}))", re.IGNORECASE)
_FIELD = re.compile(rb"[;\s]name=\"([^\"]{1,200})\"", re.IGNORECASE)
_LINK = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_DAY_AND_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)\s*(Z|UTC|[+-]\d\d:?\d\d)?", re.ASCII)


def json_of(sent: Sent) -> dict[str, Any]:
    """The body as a JSON object, also where it is the field `payload` or `data` of a form. Raises `ValueError`."""
    body = sent.body
    if is_form(sent):
        form = form_of(sent)
        body = (form.get("payload") or form.get("data", "")).encode()
    try:
        found = _decode(check_json(body))
    except Refused as refusal:
        raise ValueError(str(refusal)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("the body is JSON, but not an object")
    return found


def is_form(sent: Sent) -> bool:
    """Whether the body is a form, in either coding."""
    return sent.headers.get("content-type", "").lower().startswith(FORMS)


def form_of(sent: Sent) -> dict[str, str]:
    """The fields of a form, the first of each name. Raises `ValueError`."""
    boundary = _BOUNDARY.search(sent.headers.get("content-type", ""))
    try:
        if boundary:
            return dict(_parts(sent.body, (boundary[1] or boundary[2]).encode()))
        found = parse_qs(sent.body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS)
    except ValueError:
        raise ValueError(f"the body is not a form in UTF-8 of at most {FORM_FIELDS} fields") from None
    return {name: values[0] for name, values in found.items()}


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[str, str]]:
    """The fields of `multipart/form-data` (RFC 7578) that have a name."""
    parts = body.split(b"--" + boundary, FORM_FIELDS)
    for part in parts[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        if name := _FIELD.search(head):
            yield name[1].decode(), content.removesuffix(b"\r\n").decode()


# --- parts of JSON ----------------------------------------------------------------------------------------------------


def at(value: Any, *path: str) -> Any:
    """What is there, or None."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def objects(value: Any, *path: str) -> list[dict[str, Any]]:
    """The objects of a list, as many as may become events and one more."""
    found = at(value, *path)
    return (
        [each for each in found[: limits.BATCH_EVENTS + 1] if isinstance(each, dict)] if isinstance(found, list) else []
    )


def text(value: Any, *path: str) -> str:
    """Text, or a number as text; else nothing."""
    found = at(value, *path)
    if isinstance(found, str):
        return found.encode(errors="replace").decode() if not found.isascii() else found
    return str(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else ""


def number(value: Any, *path: str) -> int | float | None:
    """A number that JSON and a plot can hold; text that is one counts."""
    found = at(value, *path)
    if isinstance(found, str):
        try:
            found = float(found) if len(found) < 32 else None
        except ValueError:
            return None
    if not isinstance(found, (int, float)) or isinstance(found, bool):
        return None
    return found if abs(found) < 2**53 else None


def moment(value: Any, *path: str) -> datetime | None:
    """When that was: RFC 3339 and what looks like it (without a zone it is UTC), or seconds since 1970."""
    found = at(value, *path)
    try:
        if isinstance(found, str) and (match := _DAY_AND_TIME.match(found)):
            day, time, zone = match.groups()
            zone = "+00:00" if zone in (None, "Z", "UTC") else zone
            when = datetime.fromisoformat(f"{day}T{time[:15]}{zone}")
        else:
            seconds = number(found)
            if seconds is None:
                return None
            when = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return when if 1970 <= when.year < 9000 else None


def when(value: Any, *path: str) -> str | None:
    """As an event's `time`."""
    found = moment(value, *path)
    return found.isoformat() if found else None


def seconds_between(begin: datetime | None, end: datetime | None) -> float | None:
    """How long it took; None where that is not known."""
    return round((end - begin).total_seconds(), 3) if begin and end and end >= begin else None


# --- fields of an event -----------------------------------------------------------------------------------------------


def one_line(*parts: str, between: str = " ") -> str:
    """The parts that say something, as one line that fits into a summary."""
    joined = between.join(part for part in (_SPACE.sub(" ", _CONTROL.sub(" ", each)).strip() for each in parts) if part)
    return joined if len(joined) <= limits.SUMMARY_CHARACTERS else joined[: limits.SUMMARY_CHARACTERS - 1] + "…"


def first_line(said: str, most: int = limits.LINE_CHARACTERS) -> str:
    """The first line that says something, cut to what a phone shows."""
    line = next((each.strip() for each in said.splitlines() if each.strip()), "")
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def duration(seconds: float) -> str:
    """`48 s`, `5 min 12 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def typed(prefix: str, *words: str) -> str:
    """An event's type: the prefix, and each of the others made into one word of it."""
    found = [_NO_WORD.sub("_", word[: limits.TYPE_CHARACTERS]).strip("_") for word in words]
    whole = ".".join([prefix, *(word for word in found if word)])[: limits.TYPE_CHARACTERS].rstrip("._-")
    # A file that is named after it must not be too long either: each . _ and - counts three (fields.py).
    while len(whole) + 2 * sum(map(whole.count, "._-")) > limits.TYPE_FILE_BYTES:
        whole = whole[:-8].rstrip("._-")
    return whole


def named(said: str) -> str | None:
    """A name (`key`, `source`, `subject`, `id`): one line, and where it is too long its beginning and a hash."""
    line = _SPACE.sub(" ", _CONTROL.sub(" ", said)).strip()
    if len(line) > limits.NAME_CHARACTERS:
        line = f"{line[: limits.NAME_CHARACTERS - 17]}…{fingerprint(line)}"
    return line or None


def link(*candidates: str) -> str | None:
    """The first that is an address on the web."""
    fitting = (each for each in candidates if len(each) <= limits.LINK_CHARACTERS and not _CONTROL.search(each))
    return next((each for each in fitting if _LINK.fullmatch(each)), None)


def tags(words: list[str]) -> list[str] | None:
    """Those that can be tags."""
    found = [each.replace(",", " ").strip()[: limits.TAG_CHARACTERS] for each in words]
    found = [each for each in found if each and not _CONTROL.search(each)]
    return found[: limits.TAGS] or None


def fingerprint(value: Any) -> str:
    """Sixteen digits that are the same for the same JSON."""
    return hashlib.blake2b(_encode_sorted(value), digest_size=8).hexdigest()


def flat(value: Any, *, leave: tuple[str, ...] = ()) -> dict[str, Any]:
    """What an object says in words and numbers, on one level, names joined by `_`; the first few hundred of them."""
    found: dict[str, Any] = {}
    for name, each in _leaves(value, "", limits.WEBHOOK_DEPTH):
        if len(found) >= limits.WEBHOOK_MEMBERS:
            break
        if not name.startswith(leave):
            found[name] = each
    return found


def _leaves(value: Any, before: str, deep: int) -> Iterator[tuple[str, Any]]:
    for name, each in value.items() if isinstance(value, dict) else ():
        whole = f"{before}{_CONTROL.sub(' ', name)}"[: limits.WEBHOOK_NAME_CHARACTERS]
        if isinstance(each, dict) and deep:
            yield from _leaves(each, f"{whole}_", deep - 1)
        elif isinstance(each, str):
            yield whole, cut(each)
        elif isinstance(each, bool) or (isinstance(each, (int, float)) and abs(each) < 2**53):
            yield whole, each


def cut(said: str, most: int = limits.WEBHOOK_TEXT_CHARACTERS) -> str:
    """Text whose end may be missing: an event is a report, and no archive."""
    clean = text(said)
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def without_nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None or empty."""
    return {name: each for name, each in fields.items() if each is not None and each not in ("", {}, [])}
