"""What of an upload service's answer is used (XEP-0363 §5), and where one is looked for."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from xmppbus.options import XmppOptions
from xmppbus.xmpp.upload import File, domains_of, out_of_band, request_slot

FILE = File("a.png", b"12345", "image/png")
SLOT = """<iq type='result'><slot xmlns='urn:xmpp:http:upload:0'><put url='{put}'>
<header name='Authorization'>Basic
 abc</header><header name='Host'>evil</header><header name='cookie'>a=b</header></put><get url='{get}'/></slot></iq>"""


class Answering:
    """A service that answers what no real one would."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.asked = ""

    async def ask(self, kind: str, to: str, inner: str, *, sender: str = "") -> Element:
        """As `Stream.ask` says."""
        self.asked = f"{kind} {to} {sender} {inner}"
        return fromstring(self.answer)  # noqa: S314  # our own text


async def test_only_the_headers_of_the_standard_are_sent_along() -> None:
    """Without the line ends with which others could be smuggled in."""
    service = Answering(SLOT.format(put="https://a.example/1", get="https://b.example/1"))
    slot = await request_slot(service, "upload.example", FILE, "bot@bus.example/xmppbus")
    assert slot == ("https://a.example/1", {"Authorization": "Basic abc", "cookie": "a=b"}, "https://b.example/1")
    assert service.asked.startswith("get upload.example bot@bus.example/xmppbus <request")
    assert "filename='a.png' size='5' content-type='image/png'" in service.asked


@pytest.mark.parametrize(
    ("put", "get"),
    [
        ("http://a.example/1", "https://a.example/1"),
        ("https://a.example/1", "http://a.example/1"),
        ("file:///etc/passwd", "https://a.example/1"),
        ("https:///1", "https://a.example/1"),
        ("", ""),
    ],
)
async def test_what_is_not_https_is_not_used(put: str, get: str) -> None:
    """Clients would not show it, and everybody on the way could read it."""
    with pytest.raises(ValueError, match="not https; give it a certificate"):
        await request_slot(Answering(SLOT.format(put=put, get=get)), "upload.example", FILE, "")


async def test_an_answer_without_a_place_is_none() -> None:
    """Whatever else it says."""
    with pytest.raises(ValueError, match="answers without an address"):
        await request_slot(Answering("<iq type='result'/>"), "upload.example", FILE, "")


@pytest.mark.parametrize(
    ("given", "domains"),
    [
        ({"component": "bus.example.org", "pubsub_service": "pubsub.example.org"}, ["example.org"]),
        ({"component": "bus.example.net", "pubsub_service": "pubsub.example.org"}, ["example.net", "example.org"]),
        ({"component": "bus", "pubsub_service": "pubsub.example.org"}, ["example.org"]),
        ({"account": "bot@Example.org"}, ["example.org"]),
    ],
)
def test_the_service_is_looked_for_at_our_own_server(given: dict[str, Any], domains: list[str]) -> None:
    """Nowhere else."""
    assert domains_of(XmppOptions(secret_file="secret", **given)) == domains


def test_an_address_is_text() -> None:
    """Whatever is in it."""
    assert out_of_band("https://a.example/?a&<b>") == (
        "<x xmlns='jabber:x:oob'><url>https://a.example/?a&amp;&lt;b&gt;</url></x>"
    )
