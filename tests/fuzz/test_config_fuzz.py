"""Whatever a config file says, it is a config, or every complaint has its place."""

import re
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from xmppbus.config import load
from xmppbus.errors import ConfigInvalid
from xmppbus.options import (
    HttpOptions,
    JournalOptions,
    KeepOptions,
    MatchOptions,
    NodeOptions,
    Options,
    RouteOptions,
    SocketOptions,
    XmppOptions,
)

STRUCTS = (
    HttpOptions,
    JournalOptions,
    KeepOptions,
    MatchOptions,
    NodeOptions,
    Options,
    RouteOptions,
    SocketOptions,
    XmppOptions,
)
WORDS = sorted({name for struct in STRUCTS for name in struct.__struct_fields__} | {"default", "pubsub", "dedup"})
LINE = re.compile(r".*config\.yaml:[1-9][0-9]*:[1-9][0-9]*: .+")

scalars = st.one_of(
    st.sampled_from(
        [
            *WORDS,
            "#",
            "disk.#",
            ">=warning",
            "127.0.0.1:8222",
            "0.0.0.0:1",
            "pubsub:x",
            "a@b",
            "a.b",
            "a\nb",
            "\x1b[31m",
        ]
    ),
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=20),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=25,
)


def complaints(content: bytes) -> list[str]:
    """What is said about a config of these bytes; nothing when it is one."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.yaml"
        path.write_bytes(content)
        try:
            config = load(path, {})
        except ConfigInvalid as error:
            return str(error).split("\n")
        msgspec.json.encode(config.options)
        return []


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_config_or_complaints_with_a_place(content: bytes) -> None:
    """No traceback, whatever was saved under that name."""
    assert all(LINE.fullmatch(line) for line in complaints(content))


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(Options.__struct_fields__)), values, max_size=4))
def test_any_values_of_the_options_are_a_config_or_complaints_with_a_place(content: dict[str, Any]) -> None:
    """Words that are right in the wrong place."""
    written = yaml.safe_dump(content, allow_unicode=True).encode("utf-8", "surrogatepass")
    found = complaints(written)
    assert all(LINE.fullmatch(line) for line in found)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*WORDS, ": ", "\n", "  ", "- ", "{", "}", "[", "]", "&a", "*a", "'", '"', "|", "~"])))
def test_any_yaml_like_text_is_a_config_or_complaints_with_a_place(parts: list[str]) -> None:
    """Half-typed configs."""
    assert all(LINE.fullmatch(line) for line in complaints("".join(parts).encode()))
