"""Who is this machine, and how often may one come?"""

from __future__ import annotations

import pytest

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.listening import is_loopback
from xmppbus.web.connection import network
from xmppbus.web.guard import Rate


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"]
)
def test_loopback_is_this_machine(host: str) -> None:
    """By name or by address."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "example.org", "localhost.example.org", "127.0.0.1.example.org", "0.0.0.1", "::", "10.0.0.1", "2130706433"],
)
def test_everything_else_is_not(host: str) -> None:
    """Also what a resolver would perhaps make into it."""
    assert not is_loopback(host)


def test_a_rate_is_kept_for_each_address() -> None:
    """A burst of one second, then so many a second, and the wait is said."""
    now = 0.0
    rate = Rate(5, lambda: now)
    for _ in range(5):
        rate.check("a")
    with pytest.raises(Refused) as raised:
        rate.check("a")
    assert raised.value.code is Code.TOO_MANY
    assert raised.value.retry_after >= 1
    rate.check("b")
    now = 0.2
    rate.check("a")
    with pytest.raises(Refused):
        rate.check("a")


def test_what_a_rate_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses come."""
    monkeypatch.setattr(limits, "HTTP_ADDRESSES", 10)
    rate = Rate(1, lambda: 0.0)
    for number in range(1000):
        rate.check(f"10.0.{number // 256}.{number % 256}")
    assert len(rate._left) <= 10


@pytest.mark.parametrize(
    ("peer", "counts_as"),
    [
        (("192.0.2.1", 1), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 1, 0, 0), "2001:db8:1:2::"),
        (("::ffff:192.0.2.1", 1, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::"),
        (None, ""),
    ],
)
def test_an_ipv6_address_counts_as_its_network(peer: object, counts_as: str) -> None:
    """One machine may have a whole /64."""
    assert network(peer) == counts_as
