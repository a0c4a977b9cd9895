"""Where a broker is and who we are there: the options that the input and the output of AMQP have in common."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, NamedTuple

from msgspec import Meta

from xmppbus import limits
from xmppbus.config.reaching import address, password, trust
from xmppbus.options import Name, Section

MISSING = "it needs the extra `amqp`, which is not installed here: pip install 'xmppbus[amqp]'"
PASSWORD = "amqp_password"  # noqa: S105  # the name of a credential
_PORTS = {"amqp": 5672, "amqps": 5671}

BrokerName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.AMQP_NAME_CHARACTERS,
        pattern=r"^[^\x00-\x1f\x7f]*\Z",
        description=f"one line of at most {limits.AMQP_NAME_CHARACTERS} characters",
    ),
]
"""Of an exchange, a queue, or a routing key."""


class BrokerOptions(Section, frozen=True, kw_only=True):
    """Where the broker is, and who we are there."""

    # `amqp://HOST:PORT/VHOST`, with TLS `amqps://`. Without a port it is 5672 (5671), without a virtual host `/`.
    url: Name = "amqp://127.0.0.1/"
    user: Name | None = None  # `guest` unless it is given, which RabbitMQ lets in from its own machine alone
    # A file whose first line is the password. Where none is named, systemd's credential `amqp_password` is it, or
    # `$XMPPBUS_AMQP_PASSWORD`.
    password_file: Name | None = None
    ca_file: Name | None = None  # PEM file with who signs the broker's certificate; the system's otherwise
    certificate_file: Name | None = None  # PEM file with a certificate of ours, where the broker wants one
    key_file: Name | None = None  # its key
    # So often both sides say that they are there; who is silent for three times as long is gone.
    heartbeat_seconds: Annotated[int, Meta(ge=1, le=600)] = limits.AMQP_HEARTBEAT_SECONDS


class Broker(NamedTuple):
    """Everything that a connection needs. Never shown: it has the password."""

    host: str
    port: int
    vhost: str
    user: str
    password: str
    tls: ssl.SSLContext | None
    heartbeat: int

    @property
    def shown(self) -> str:
        """`rabbit.example.org:5672/ops`, for people."""
        return f"{self.host}:{self.port}/{self.vhost.removeprefix('/')}"


def broker_of(options: BrokerOptions, environ: Mapping[str, str]) -> Broker:
    """With the password read. Raises `ValueError`: what is wrong with the options, or that the extra is missing."""
    if find_spec("aio_pika") is None:
        raise ValueError(MISSING)
    found = address(options.url, ("amqp", "amqps"))
    with_tls = found.scheme == "amqps"
    files = (options.ca_file, options.certificate_file, options.key_file)
    if not with_tls and any(files):
        raise ValueError("a certificate needs TLS: `url` has to begin with `amqps://`")
    user = options.user or found.user or "guest"
    secret = password(options.password_file, PASSWORD, environ)
    if not secret and user != "guest":
        raise ValueError(
            f"there is no password for `{user}`: write it into a file (mode 600) and name that in `password_file`, or "
            f"give systemd's credential `{PASSWORD}`, or set $XMPPBUS_{PASSWORD.upper()}"
        )
    return Broker(
        host=found.host or "127.0.0.1",
        port=found.port or _PORTS[found.scheme],
        vhost=found.path or "/",
        user=user,
        password=secret or "guest",
        tls=trust(*files) if with_tls else None,
        heartbeat=options.heartbeat_seconds,
    )
