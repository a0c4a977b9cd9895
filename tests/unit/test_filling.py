"""Texts with `{name}` in them, and the fields that they make of an event."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from xmppbus import limits
from xmppbus.fields import check
from xmppbus.inputs.filling import Fields, Text, severity_of


class Texts(NamedTuple):
    """What an operator wrote."""

    summary: str | None = None
    severity: str = "info"
    key: str | None = None
    status: str | None = None


VALUES: dict[str, Any] = {"user": "romeo", "ports": [22, 80], "more": {"a-b": {"c": True}}, "none": None}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{user} came", "romeo came"),
        ("{{user}} {user}", "{user} romeo"),
        ("{ports.1} of {ports}", "80 of [22,80]"),
        ("{more.a-b.c}", "true"),
        ("[{missing}{none}{ports.7}{ports.x}{user.x}]", "[]"),
        ("", ""),
    ],
)
def test_a_name_in_braces_is_a_value(text: str, filled: str) -> None:
    """One within another behind a dot; nothing where there is none."""
    assert Text(text).fill(VALUES) == filled


@pytest.mark.parametrize("text", ["{user", "user}", "{}", "{a b}", "{user!r}", "{0:>9999999999}"])
def test_a_brace_alone_is_said_before_anything_runs(text: str) -> None:
    """There is no format language behind it, which strangers' values could reach."""
    with pytest.raises(ValueError, match="has a brace alone"):
        Text(text)


def test_what_the_values_are_can_not_make_an_event_illegal() -> None:
    """Control characters, too much of it, words that are no severity."""
    fields = Fields(Texts(summary="{a}", severity="{b}", key="{a}", status="{c}"))
    made = fields.of({"a": "x\r\n\x1b[31m" * 1000, "b": "loud", "c": "broken"})
    assert check({"type": "t", **made})
    assert len(made["summary"]) == limits.SUMMARY_CHARACTERS
    assert "severity" not in made
    assert "status" not in made


def test_a_status_without_a_key_that_has_a_value_is_left_out() -> None:
    """An incident is named by its key."""
    fields = Fields(Texts(key="{unit}", status="firing"))
    assert fields.of({"unit": "ssh"})["status"] == "firing"
    assert not {"key", "status"} & set(fields.of({"unit": ""}))


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (Texts(severity="loud"), "no severity"),
        (Texts(status="broken", key="k"), "no status"),
        (Texts(status="firing"), "needs a `key`"),
    ],
)
def test_a_mistake_in_the_config_is_said(texts: Texts, words: str) -> None:
    """At the start, and by `check`."""
    with pytest.raises(ValueError, match=words):
        Fields(texts)


def test_syslogs_words_are_severities() -> None:
    """In either case."""
    assert [severity_of(each) for each in ("WARN", "err", "emerg", "Notice", "5")] == [
        *("warning", "error", "critical", "notice", None)
    ]
