"""Whatever is sent to a preset: events that the house takes, or a sentence that says what is wrong; nothing else.

A second in CI; `FUZZ_RUNS=20000 pytest tests/fuzz/test_webhooks.py` is the long form.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.webhooks import RECORDINGS, presets
from xmppbus.errors import Refused
from xmppbus.event import parse
from xmppbus.inputs.webhook import Sent
from xmppbus.inputs.webhook_signatures import SLACK, STANDARD, hexadecimal, shared
from xmppbus.interfaces import Accepted
from xmppbus.journal import Result

EXAMPLES = int(os.environ.get("FUZZ_RUNS", "25"))
BOUNDED = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
DEFAULTS = {"id": "1", "source": "here", "time": "2026-01-31T12:00:00Z"}
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PRESETS = presets()
FREE = ("cloudevents",)
"""What a sender says there is an event already, and so the door's to refuse."""

RECORDED = [json.loads(each.read_text()) for each in sorted(RECORDINGS.glob("*/*.json"))]
HEADERS = sorted({name.lower() for each in RECORDED for name in each["headers"]})
WORDS = sorted(
    {value for each in RECORDED for value in each["headers"].values()}
    | {"firing", "resolved", "success", "failure", "created", "up", "down", "message", "0001-01-01T00:00:00Z", "#ops"}
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=40) | st.sampled_from(WORDS) | st.text(alphabet="\x00\x1b\u202e\ufffe<>|.,é ", max_size=1_200)
anything = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def mutilated(draw: st.DrawFn) -> tuple[dict[str, str], Any]:
    """A recording in which some parts are something else, or gone, or there twice."""
    recorded = draw(st.sampled_from(RECORDED))
    body = json.loads(json.dumps(recorded["body"]))
    for _ in range(draw(st.integers(1, 8))):
        place = body
        while isinstance(place, (dict, list)) and place:
            key: Any = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], (dict, list)) or not place[key] or draw(st.booleans()):
                place[key] = draw(anything)
                break
            place = place[key]
    return dict(recorded["headers"]), body


bodies: st.SearchStrategy[tuple[dict[str, str], bytes]] = (
    mutilated().map(lambda each: (each[0], json.dumps(each[1]).encode()))
    | anything.map(lambda each: ({}, json.dumps(each).encode()))
    | st.binary(max_size=300).map(lambda each: ({}, each))
)


@pytest.mark.parametrize("name", sorted(PRESETS))
@given(
    found=bodies,
    more=st.dictionaries(st.sampled_from(HEADERS), texts, max_size=3),
    query=st.dictionaries(st.sampled_from(["title", "priority", "message", "p"]), texts, max_size=2),
    rest=st.sampled_from(["", "message", "backups", "a.b", "é"]),
)
@BOUNDED
def test_a_preset_makes_events_or_says_why_not(
    name: str, found: tuple[dict[str, str], bytes], more: dict[str, str], query: dict[str, str], rest: str
) -> None:
    """All that a preset makes is an event as the house takes it, and it is answered."""
    headers = {**{each.lower(): value for each, value in found[0].items()}, **more}
    sent = Sent(found[1], headers, query, rest)
    try:
        made = PRESETS[name].events(sent)
    except ValueError:
        return
    for fields in made:
        if name in FREE:
            continue
        event = parse(fields, DEFAULTS).event
        assert event.summary.strip()
        reply = PRESETS[name].reply
        if reply:
            assert reply(sent, dict(fields), Accepted(Result.NEW, event.item_id, 1, 1), NOW).body


@given(
    st.sampled_from([STANDARD, SLACK, hexadecimal("x-hub-signature-256", "sha256="), shared("x-gitlab-token")]),
    st.binary(max_size=40),
    st.binary(max_size=80),
    st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "x-slack-request-timestamp"]), st.text(), max_size=3
    ),
    st.text(),
)
@BOUNDED
def test_no_header_is_a_signature_by_chance(
    way: Any, secret: bytes, body: bytes, headers: dict[str, str], signature: str
) -> None:
    """Nor an exception that nobody knows."""
    with pytest.raises(Refused):
        way.check(b"x" + secret, Sent(body, {**headers, way.header: signature}), NOW)
