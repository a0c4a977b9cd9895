"""What a new config changes: what can be taken while the bus works, and what needs a restart. Pure.

Every option of `options.py` is in exactly one of `TAKEN` and `RESTART`; a test holds that.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from xmppbus.options import HttpOptions, Options

TAKEN = frozenset({
    "nodes", "routes", "displays", "inputs", "outputs", "source",
    "xmpp.secret_file",
    "bot.title", "bot.avatar_file", "bot.affiliations", "bot.strangers", "bot.prefix", "bot.time_zone", "bot.rooms",
    "bot.messages_per_minute",
    "http.tokens_file", "http.certificate_file", "http.key_file", "http.requests_per_second",
    "journal.keep.days", "journal.keep.gib",
    "socket.group", "socket.publish", "socket.listen",
})  # fmt: skip
"""Options that hold as soon as `xmppbus reload` has said so."""

RESTART = frozenset({
    # Who we are, and where: the stream, every node's name and every message's sender hang on it.
    "xmpp", "xmpp.component", "xmpp.account", "xmpp.host", "xmpp.port", "xmpp.pubsub_service", "xmpp.node_prefix",
    "xmpp.resource", "xmpp.ca_file",
    # The bot's coming and going, its address, its keys, and the language that all its parts were begun in.
    "bot", "bot.name", "bot.language", "bot.omemo",
    # Files and addresses that are held open.
    "http", "http.listen", "journal.path", "socket.path",
    # Python forgets no module.
    "plugins",
})  # fmt: skip
"""Options (and parts that come or go) whose new value is looked at when the daemon starts again."""

_S = TypeVar("_S", bound=Struct)


class Change(NamedTuple):
    """What differs, by the names of the options; `options` are the new ones with what needs a restart as it was."""

    options: Options
    taken: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


def difference(old: Options, new: Options) -> Change:
    """What becomes of a new config while the old one holds."""
    taken: list[str] = []
    restart: list[str] = []
    merged = _merged(old, new, "", taken, restart)
    if old.http and new.http and bool(old.http.certificate_file) != bool(new.http.certificate_file):
        # A listener speaks TLS from its beginning, or not at all.
        files = ("http.certificate_file", "http.key_file")
        taken = [each for each in taken if each not in files]
        restart += files
        merged = msgspec.structs.replace(merged, http=_without_tls_change(old.http, merged.http))
    return Change(merged, tuple(taken), tuple(restart))


def _merged(old: _S, new: _S, before: str, taken: list[str], restart: list[str]) -> _S:
    kept: dict[str, Any] = {}
    for name in new.__struct_fields__:
        here, there, path = getattr(old, name), getattr(new, name), f"{before}{name}"
        if here == there:
            continue
        if isinstance(here, Struct) and isinstance(there, Struct):
            kept[name] = _merged(here, there, f"{path}.", taken, restart)
        elif path in TAKEN:
            taken.append(path)
        else:
            restart.append(path)
            kept[name] = here
    return msgspec.structs.replace(new, **kept)


def _without_tls_change(old: HttpOptions, merged: HttpOptions | None) -> HttpOptions | None:
    if merged is None:
        return None
    return msgspec.structs.replace(merged, certificate_file=old.certificate_file, key_file=old.key_file)
