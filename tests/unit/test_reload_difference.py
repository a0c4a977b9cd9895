"""What a new config changes: every option is taken while the bus works, or needs a restart, and nothing in between."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec.inspect as types
from msgspec import Struct, convert

from xmppbus.options import Options
from xmppbus.running.difference import RESTART, TAKEN, difference


def named(kind: type[Struct] = Options, before: str = "") -> Iterator[str]:
    """Every option by its name; the parts that may be left out are options as well, lists are one option each."""
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    for field in info.fields:
        kinds = field.type.types if isinstance(field.type, types.UnionType) else (field.type,)
        parts = [each for each in kinds if isinstance(each, types.StructType)]
        if len(kinds) > len(parts):
            yield f"{before}{field.name}"
        for part in parts:
            yield from named(part.cls, f"{before}{field.name}.")


def test_every_option_is_taken_or_needs_a_restart() -> None:
    """A new option belongs into TAKEN or RESTART of `xmppbus/running/difference.py`."""
    assert {*named()} == TAKEN | RESTART
    assert not TAKEN & RESTART


def options(**given: object) -> Options:
    """As a config says it."""
    return convert(given, Options)


def test_nothing_differs_in_the_same_config() -> None:
    """Nor does a part that says its defaults."""
    change = difference(options(), options(http={}, journal={"keep": {}}))
    assert (change.taken, change.restart) == ((), ())


def test_what_needs_a_restart_stays_as_it_was_beside_what_is_taken() -> None:
    """Within one part, too."""
    old = options(journal={"path": "/a"}, socket={"publish": "admins"}, source="old")
    new = options(journal={"path": "/b", "keep": {"days": 3}}, plugins=["more"], source="new")
    change = difference(old, new)
    assert change.taken == ("journal.keep.days", "socket.publish", "source")
    assert change.restart == ("journal.path", "plugins")
    assert change.options == options(journal={"path": "/a", "keep": {"days": 3}}, source="new")


def test_a_part_that_comes_or_goes_needs_a_restart() -> None:
    """The bot, the server and the listener are opened with the house."""
    change = difference(options(http=None), options(bot={"title": "x"}, xmpp={"component": "bus.example.org"}))
    assert change.restart == ("xmpp", "bot", "http")
    assert change.options == options(http=None)


def test_a_listener_begins_with_tls_or_without() -> None:
    """Another certificate is taken, the first one is not."""
    files = {"certificate_file": "/a.pem", "key_file": "/a.key"}
    change = difference(options(), options(http=files))
    assert (change.taken, change.restart) == ((), ("http.certificate_file", "http.key_file"))
    assert change.options == options()
    other = difference(options(http=files), options(http={**files, "certificate_file": "/b.pem"}))
    assert (other.taken, other.restart) == (("http.certificate_file",), ())
