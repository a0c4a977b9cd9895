"""Where a Redis is, what of it is read, and the client that reads it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from msgspec import Meta, field

from xmppbus import limits
from xmppbus.config.reaching import address, password, trust
from xmppbus.options import EventType, Name, Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

MISSING = "it needs the extra `redis`, which is not installed here: pip install 'xmppbus[redis]'"
PASSWORD = "redis_password"  # noqa: S105  # the name of a credential
PORT = 6379

_Names = Annotated[list[Name], Meta(max_length=limits.REDIS_STREAMS)]


class RedisInputOptions(Section, frozen=True, kw_only=True):
    """Entries of Redis streams, and what is published on Redis channels, become events ([more](../howto/redis.md)).
    Needs the extra `redis`."""

    # `redis://HOST:PORT/DATABASE`, with TLS `rediss://`, or `unix:///run/redis/redis-server.sock`.
    url: Name = "redis://127.0.0.1:6379/0"
    user: Name | None = None  # of Redis's access control list; `default` unless it is given
    # A file whose first line is the password. Where none is named, systemd's credential `redis_password` is it, or
    # `$XMPPBUS_REDIS_PASSWORD`.
    password_file: Name | None = None
    # For a Unix socket, whose `url` has no place for it.
    database: Annotated[int, Meta(ge=0, le=65_535)] | None = None
    ca_file: Name | None = None  # PEM file with who signed the server's certificate; the system's otherwise
    certificate_file: Name | None = None  # PEM file with a certificate of ours, where the server wants one
    key_file: Name | None = None  # its key
    streams: _Names = field(default_factory=list)  # streams that are read by a consumer group, each entry once
    group: Name = "xmppbus"  # its name; made where it is missing
    consumer: Name | None = None  # who we are in the group; this machine's name unless it is given
    # A group that is made begins with the `first` entry that is there, or with the next `new` one.
    begin: Literal["first", "new"] = "first"
    # A stream for entries that can't be events; the stream's name and `.dead` unless it is given.
    dead_letters: Name | None = None
    # What another consumer of the group has had for so long without a word is taken from it.
    claim_seconds: Annotated[int, Meta(ge=1, le=86_400)] = limits.REDIS_CLAIM_SECONDS
    batch: Annotated[int, Meta(ge=1, le=limits.REDIS_ENTRIES_MOST)] = limits.REDIS_ENTRIES  # entries read at once
    channels: _Names = field(default_factory=list)  # channels; what is published while we are away is gone
    patterns: _Names = field(default_factory=list)  # the same, by Redis's patterns: `h?llo`, `news.*`
    type: EventType | None = None  # of events that name none; made of the stream's or channel's name unless it is given
    source: Name | None = None  # of the same; `redis:STREAM` unless it is given


class Server(NamedTuple):
    """What a status shows, and how a client is made."""

    shown: str
    user: str
    connect: Callable[[], Redis]


def server_of(options: RedisInputOptions, environ: Mapping[str, str]) -> Server:
    """Raises `ValueError`: what is wrong with the options, or that the extra is missing."""
    if find_spec("redis") is None:
        raise ValueError(MISSING)
    found = address(options.url, ("redis", "rediss", "unix"))
    files = (options.ca_file, options.certificate_file, options.key_file)
    if found.scheme != "rediss" and any(files):
        raise ValueError("a certificate needs TLS: `url` has to begin with `rediss://`")
    trust(*files)
    secret = password(options.password_file, PASSWORD, environ)
    user = options.user or found.user
    if user and not secret:
        raise ValueError(
            f"there is no password for `{user}`: write it into a file (mode 600) and name that in `password_file`, or "
            f"give systemd's credential `{PASSWORD}`, or set $XMPPBUS_{PASSWORD.upper()}"
        )
    path = f"/{found.path}" if found.scheme == "unix" else ""
    database = options.database if options.database is not None else _database("" if path else found.path)
    host, port = found.host or "127.0.0.1", found.port or PORT

    def connect() -> Redis:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        where: dict[str, Any] = {"unix_socket_path": path} if path else {"host": host, "port": port}
        if found.scheme == "rediss":
            where |= {"ssl": True, "ssl_ca_certs": files[0], "ssl_certfile": files[1], "ssl_keyfile": files[2]}
        return Redis(
            **where,
            db=database,
            username=user or None,
            password=secret or None,
            socket_connect_timeout=limits.BROKER_ANSWER_SECONDS,
            socket_timeout=limits.REDIS_BLOCK_SECONDS + limits.BROKER_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),  # the backoff is ours, and said in `status`
            protocol=2,  # answers of one form, whichever version of the library is there
            client_name="xmppbus",
        )

    return Server(f"{path or f'{host}:{port}'}/{database}", user or "default", connect)


def consumer_of(options: RedisInputOptions) -> str:
    """The name that is ours again after a restart."""
    return options.consumer or socket.gethostname()


def _database(path: str) -> int:
    if path and not (path.isdecimal() and len(path) < 6):
        raise ValueError("what follows the server in `url` is the number of a database, such as `/0`")
    return int(path or 0)
