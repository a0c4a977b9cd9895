"""Whatever is written into a log, and however it is cut and rotated: each line once, and nothing breaks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from xmppbus.errors import Refused
from xmppbus.event import Event
from xmppbus.fields import check
from xmppbus.inputs.filling import Fields, Text
from xmppbus.inputs.matching import FollowedFile, Rule
from xmppbus.inputs.trail import Line, split

RUNS = int(os.environ.get("FUZZ_RUNS", "300"))
MOST = 12

bytes_of_logs = st.lists(
    st.one_of(st.binary(max_size=20), st.sampled_from([b"\n", b"\r\n", b"\r", b"x" * 13])), max_size=12
)


@given(bytes_of_logs.map(b"".join), st.lists(st.integers(1, 30), min_size=1, max_size=8))
@settings(max_examples=RUNS * 5)
def test_a_file_has_the_same_lines_however_it_is_read(content: bytes, pieces: list[int]) -> None:
    """At once, or as it grows; and they are those that stand there."""
    whole = split(content, 0, skipping=False, last=True, most=MOST)
    found: list[Line] = []
    offset, skipping, size, turn = 0, False, 0, 0
    while size < len(content):
        size = min(len(content), size + pieces[turn % len(pieces)])
        turn += 1
        lines, offset, skipping = split(
            content[offset:size], offset, skipping=skipping, last=size == len(content), most=MOST
        )
        found += lines
    assert found == whole.lines
    assert offset == len(content) == whole.offset
    for line in found:
        assert content[line.offset : line.offset + len(line.content)] == line.content
        assert len(line.content) <= MOST
    told = [each.removesuffix(b"\r") if len(each) <= MOST else each[:MOST] for each in content.split(b"\n")]
    assert [each.content for each in found] == [each for each in told if each]


RULE = Rule(
    FollowedFile(
        file="/var/log/x",
        type="t",
        pattern=r"(?P<a>\w*)(?P<b>[^=]*)=?(?P<c>-?[0-9.]+)?",
        numbers=["c"],
        summary="{a} {b} {c}",
        severity="{a}",
        key="{b}",
        status="{a}",
    )
)


@given(st.binary(min_size=1, max_size=60), st.booleans())
@settings(max_examples=RUNS * 5)
def test_any_line_is_a_legal_event(content: bytes, cut: bool) -> None:
    """That the door takes, and the journal can hold."""
    event = RULE.event("token", Line(3, content, cut), Path("/var/log/x"))
    assert event is not None
    assert Event(check(event)).encoded


class Texts(NamedTuple):
    """What an operator may write."""

    summary: str | None
    severity: str
    key: str | None
    status: str | None


texts = st.lists(st.sampled_from(["{a}", "{b.0}", "{a.x-y}", "{{", "}}", "{", "}", "x", "firing", "error"]), max_size=4)
values = st.recursive(
    st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=10), st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["x-y", "0"]), inner)),
    max_leaves=6,
)


@given(*[texts.map("".join)] * 4, st.dictionaries(st.sampled_from(["a", "b"]), values))
@settings(max_examples=RUNS * 3)
def test_any_texts_and_values_are_legal_fields_or_a_sentence(
    summary: str, severity: str, key: str, status: str, given_values: dict[str, object]
) -> None:
    """A mistake in the config is a `ValueError`, before any value is seen."""
    try:
        fields = Fields(Texts(summary, severity, key, status))
        assert Text(summary).names <= {"a", "b"}
    except ValueError:
        return
    made = fields.of(given_values)
    try:
        check({"type": "t", **made})
    except Refused as refusal:
        raise AssertionError(made) from refusal
