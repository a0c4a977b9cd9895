"""Lines of consumers: whatever comes is understood, or refused with a word about it.

`FUZZ_RUNS=1000000 pytest tests/fuzz/test_consume.py` is the long form.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.cli.consuming import Said, _lines
from xmppbus.cli.desk import Desk
from xmppbus.errors import Code, Refused

words = st.sampled_from(["begin", "stop", "renew", "had", "ack", "requeue", "reject", "release", "text", "id", "x"])
values = st.one_of(st.booleans(), st.integers(), st.text(max_size=8), st.lists(st.integers(), max_size=3), st.none())
lines = st.one_of(
    st.binary(max_size=60), st.dictionaries(words, values, max_size=3).map(lambda line: json.dumps(line).encode())
)


class Typing:
    """A desk at which somebody says this, in these pieces."""

    def __init__(self, said: bytes, size: int) -> None:
        self.terminal = self
        self._said = said
        self._size = size

    async def read(self) -> AsyncIterator[bytes]:
        """As a terminal does."""
        for start in range(0, len(self._said), self._size):
            yield self._said[start : start + self._size]


async def understood(said: bytes, size: int) -> list[Said] | Refused:
    """What the house makes of it."""
    try:
        return [line async for line in _lines(cast("Desk", Typing(said, size)))]
    except Refused as refusal:
        return refusal


@settings(
    max_examples=int(os.environ.get("FUZZ_RUNS", "300")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(said=st.lists(lines, max_size=4), size=st.integers(1, 50))
def test_every_line_is_understood_or_refused(said: list[bytes], size: int) -> None:
    """The same in whatever pieces it comes."""
    whole = b"".join(line + b"\n" for line in said)
    found: Any = asyncio.run(understood(whole, size))
    again: Any = asyncio.run(understood(whole, len(whole) or 1))
    if isinstance(found, Refused):
        assert found.code is Code.USAGE
        assert isinstance(again, Refused)
    else:
        assert found == again


def test_a_line_without_an_end_is_refused() -> None:
    """Before it fills the memory."""
    answer = asyncio.run(understood(b"x" * (limits.QUEUE_LINE_BYTES + 2), 4_096))
    assert isinstance(answer, Refused)
    assert "more than" in answer.message
