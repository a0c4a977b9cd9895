"""Whatever comes as a mail is an event, or refused with a documented error, soon."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from email.mime.text import MIMEText
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmppbus.errors import Code, Refused
from xmppbus.event import parse
from xmppbus.inputs.mail import NoSuchRecipientError, Target, events_of, recipients_in, target_of
from xmppbus.inputs.mail_text import decoded, header_text, text_of_html

RUNS = int(os.environ.get("FUZZ_RUNS", "300"))
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
TARGETS = [Target("disk.full"), Target("cron.mail", "error", ("a",))]
CALM_SECONDS = 5.0  # of the processor; the worst of these takes a tenth of it

NAMES = [b"Subject", b"From", b"To", b"Date", b"Message-ID", b"X-Priority", b"Content-Disposition", b"X-Cron-Env"]
ENCODINGS = [b"base64", b"quoted-printable", b"x-uuencode", b"8bit", b"nonsense"]
MEDIA = [b"text/plain", b"text/html", b"multipart/mixed; boundary=b", b'multipart/x; boundary="b c"', b"message/rfc822"]
MEDIA += [b"text/plain; charset=%s" % each for each in (b"utf-16", b"idna", b"zip", b"utf-7", b"iso-2022-jp", b"\xff")]
MEDIA += [
    b"text/plain; charset*=utf-9''%ff",
    b"multipart/mixed",
    b"message/delivery-status",
    b"text/html; name*0*=x''%",
]
VALUES = [b"=?utf-8?B?w6k=?= =?utf-8?q?=C3?= =?utf-8?q?=A9?=", b"=?idna?q?x?=", b"=?x?b?%%%?=", b"a\r\n b", b"\xff\xfe"]
VALUES += [b"Cron <root@web1> /bin/x", b"SMART error (Health) detected on host: a", b"Sat, 31 Jan 2026 11:00:00 +0000"]
VALUES += [b"Sat, 99 Jan 2026 11:00:00 +9999", b"<1@x>", b'attachment; filename="a"', b"attachment; filename*=x'y'%ff"]

ends = st.sampled_from([b"\r\n", b"\n", b"\r"])
values = st.one_of(st.sampled_from(VALUES), st.binary(max_size=30))
fields = st.builds(lambda name, value, end: name + b": " + value + end, st.sampled_from(NAMES), values, ends)
kinds = st.builds(lambda media, end: b"Content-Type: " + media + end, st.sampled_from(MEDIA), ends)
codings = st.builds(lambda name, end: b"Content-Transfer-Encoding: " + name + end, st.sampled_from(ENCODINGS), ends)
bodies = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"--b\r\n", b"--b--\r\n", b"--b c\n", b"begin 644 a\n#x\nend\n", b"<p>a<![x[ b</p>", b"w6k=\r\n"]),
)
pieces = st.lists(st.one_of(fields, kinds, codings, bodies, ends), max_size=14).map(b"".join)


def read(content: bytes) -> list[dict[str, Any]] | Refused:
    """The events, or why not."""
    try:
        return events_of(content, TARGETS, NOW)
    except Refused as refusal:
        return refusal


@given(pieces)
@settings(max_examples=RUNS * 3, deadline=None)
def test_any_mail_is_events_or_refused(content: bytes) -> None:
    """The events pass the door, but for their size; and the same mail makes the same events."""
    events = read(content)
    if isinstance(events, Refused):
        assert events.code is Code.INVALID
        return
    assert [each["type"] for each in events] == ["disk.full", "cron.mail"]
    for each in events:
        parse(each, {"id": "1", "source": "s", "time": "2026-01-31T12:00:00Z"})
    assert events == events_of(content, TARGETS, NOW)


@given(pieces, st.text(max_size=60), st.binary(max_size=60), st.text(max_size=12))
@settings(max_examples=RUNS, deadline=None)
def test_any_text_of_a_mail_is_text(content: bytes, text: str, body: bytes, charset: str) -> None:
    """Headers, charsets, pages, recipients."""
    assert "\n" not in header_text(text)
    decoded(body, charset).encode()
    text_of_html(text + "<![" + text)
    with contextlib.suppress(Refused):
        recipients_in(content)


@given(st.text(max_size=40))
@settings(max_examples=RUNS, deadline=None)
def test_any_address_is_a_type_or_none(address: str) -> None:
    """With a reason in ASCII, as an SMTP answer is."""
    said = ""
    try:
        assert target_of(address, {"root": "cron.mail"}).type
    except NoSuchRecipientError as error:
        said = str(error)
    assert said.isascii()
    assert said.isprintable()


def nested(depth: int) -> bytes:
    """Parts within parts."""
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))


BOMBS = {
    "nested": nested(5_000) + b"text\n" * 50_000,
    "nested as far as it may be": nested(32) + b"text\n" * 500_000,
    "forwarded in one another": b"Content-Type: message/rfc822\n\n" * 5_000,
    "parts": nested(1) + b"\n--b0\n\n" * 200_000,
    "fields": b"A: b\n" * 400_000 + b"\n",
    "one long field": b"Subject: " + b"=?utf-8?q?=C3=A9?= " * 100_000 + b"\n\n",
    "folds": b"Subject: a\n" + b" b\n" * 400_000 + b"\n",
    "comments": b"Content-Type: text/html\n\n" + b"<!" * 2_000_000,
    "tags": b"Content-Type: text/html\n\n" + b"<a " * 1_000_000,
    "marked sections": b"Content-Type: text/html\n\n" + b"<![if" * 500_000,
    "parameters": b"Content-Type: text/plain; " + b"a*1*=b; " * 100_000 + b"\n\n",
    "a quoted string": b'Content-Disposition: attachment; filename="' + b"\\" * 1_000_000 + b"\n\n",
    "idna": b"Content-Type: text/plain; charset=idna\n\n" + b"a.." * 500_000,
    "uuencode": b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n" + b"#x\n" * 400_000,
    "a name in pieces": b"Content-Disposition: attachment; " + b"".join(b"filename*%d=a;" % n for n in range(20_000)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_mail_that_is_built_to_keep_us_busy_does_not(name: str) -> None:
    """The processor's time is bounded, an order of magnitude above what is needed."""
    begun = process_time()
    found = read(BOMBS[name])
    assert isinstance(found, Refused) or len(found[0]["data"]["text"]) < 60_000
    assert process_time() - begun < CALM_SECONDS


def test_an_ordinary_mail_is_not_refused() -> None:
    """Whatever is done against bombs."""
    mail = MIMEText("ß", _charset="utf-8")
    mail["Subject"] = "ä"
    assert events_of(mail.as_bytes(), TARGETS[:1], NOW)[0]["summary"] == "ä"
