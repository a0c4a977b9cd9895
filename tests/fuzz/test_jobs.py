"""Whatever a command prints, however it is cut, its tail is harmless text within its bounds, and can be published."""

from __future__ import annotations

import os
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.cli.jobs.ended import Ended
from xmppbus.cli.jobs.heard import PERCENT, Heard
from xmppbus.cli.jobs.telling import Job, type_of
from xmppbus.fields import check

RUNS = int(os.environ.get("FUZZ_RUNS", "300"))
JOB = Job("x", "job.x", "k", "run")

pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"\n", b"\r", b"\r\n", b"42 %", b"\x1b[", b"\x1b]0;", b"\x07", b"\xe2\x80", b"\xae", b"% 9999%", b"x" * 500]
    ),
)


@given(st.lists(pieces, max_size=60), st.integers(0, 30))
@settings(max_examples=RUNS * 3, deadline=None)
def test_any_output_has_a_tail_that_can_be_published(chunks: list[bytes], lines: int) -> None:
    """The same whole and in pieces; no control character, no more lines than asked for."""
    whole, cut = Heard(), Heard()
    whole.feed(b"".join(chunks))
    for chunk in chunks:
        cut.feed(chunk)
    tail = cut.tail(lines)
    assert tail == whole.tail(lines)
    assert cut.lines == whole.lines
    assert len(tail) <= limits.JOB_TAIL_CHARACTERS
    assert tail.count("\n") < max(1, lines)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", tail)
    percent = cut.percent(re.compile(PERCENT))
    assert percent is None or 0 <= percent <= 100
    check(JOB.has_ended(Ended(1), tail, cut.lines))


@given(st.text(max_size=300))
@settings(max_examples=RUNS, deadline=None)
def test_any_program_has_a_type(program: str) -> None:
    """That the door takes."""
    check({"type": type_of(program)})
