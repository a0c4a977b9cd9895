"""Where another server is, and with which password; no secret is ever repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from xmppbus.amqp.options import BrokerOptions, broker_of
from xmppbus.config.reaching import Address, address, password, trust
from xmppbus.inputs.redis_options import RedisInputOptions, server_of


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("amqp://h", Address("amqp", "h", 0, "", "")),
        ("amqp://bus@h:1/ops", Address("amqp", "h", 1, "bus", "ops")),
        ("amqps://[::1]:5671/a%2Fb", Address("amqps", "::1", 5671, "", "a/b")),
    ],
)
def test_a_url_is_taken_apart(url: str, found: Address) -> None:
    """Host, port, user, virtual host."""
    assert address(url, ("amqp", "amqps")) == found


@pytest.mark.parametrize(
    "url",
    [
        "amqp://bus:opensesame@h/",
        "http://opensesame",
        "amqp://h:opensesame/",
        "amqp://h/?opensesame",
        "amqp://[opensesame",
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_it(url: str) -> None:
    """It may have a password in it, and this is shown and logged."""
    with pytest.raises(ValueError, match="`url`") as caught:
        address(url, ("amqp", "amqps"))
    assert "opensesame" not in str(caught.value)


def test_a_password_comes_from_a_file_a_credential_or_the_environment(tmp_path: Path) -> None:
    """In this order, for only the file is named for this server."""
    (tmp_path / "file").write_text("by file\n")
    (tmp_path / "amqp_password").write_text("by credential\n")
    given = {"XMPPBUS_AMQP_PASSWORD": "by variable"}
    assert password(None, "amqp_password", given) == "by variable"
    given["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    assert password(None, "amqp_password", given) == "by credential"
    assert password(str(tmp_path / "file"), "amqp_password", given) == "by file"
    with pytest.raises(ValueError, match=r"the password can't be read: .*missing"):
        password(str(tmp_path / "missing"), "amqp_password", given)


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    """Certificates without TLS or without their key, a user without a password."""
    with pytest.raises(ValueError, match="has to begin with `amqps://`"):
        broker_of(BrokerOptions(ca_file="x"), {})
    with pytest.raises(ValueError, match="there is no password for `bus`"):
        broker_of(BrokerOptions(user="bus"), {})
    with pytest.raises(ValueError, match="go together"):
        trust(None, "certificate.pem", None)
    with pytest.raises(ValueError, match="can't be read"):
        trust(str(tmp_path / "missing"), None, None)
    with pytest.raises(ValueError, match="there is no password for `bus`"):
        server_of(RedisInputOptions(url="redis://bus@h"), {})
    with pytest.raises(ValueError, match="number of a database"):
        server_of(RedisInputOptions(url="redis://h/first"), {})


def test_what_is_not_said_is_the_usual(tmp_path: Path) -> None:
    """Ports, virtual hosts, users."""
    broker = broker_of(BrokerOptions(), {})
    assert (broker.host, broker.port, broker.vhost, broker.user) == ("127.0.0.1", 5672, "/", "guest")
    assert broker_of(BrokerOptions(url="amqps://h/ops"), {}).port == 5671
    assert server_of(RedisInputOptions(url="redis://h/3"), {}).shown == "h:6379/3"
    assert server_of(RedisInputOptions(url=f"unix://{tmp_path}/s", database=2), {}).shown == f"{tmp_path}/s/2"
