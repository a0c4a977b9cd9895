"""The error tables are whole."""

from __future__ import annotations

from xmppbus.errors import ANSWERS, CONDITIONS, About, Code, Refused, condition


def test_every_code_has_an_answer_for_every_door() -> None:
    """HTTP status, exit code, stanza error."""
    assert set(ANSWERS) == set(Code)
    assert all(answer.stanza in CONDITIONS for answer in ANSWERS.values() if answer.stanza)


def test_every_condition_says_what_to_do() -> None:
    """In a sentence."""
    assert all(each.advice.endswith(".") for each in CONDITIONS.values())


def test_what_nobody_knows_is_about_the_place_and_kills_nothing() -> None:
    """Only an answer about the event makes a delivery dead."""
    assert condition("never-heard-of").about is About.PLACE


def test_the_specific_condition_wins() -> None:
    """XEP-0060 says `payload-too-big` beside `not-acceptable`."""
    assert condition("not-acceptable", "payload-too-big").name == "payload-too-big"
    assert condition("forbidden", "unheard-of").name == "forbidden"


def test_a_refusal_is_the_same_at_every_door() -> None:
    """Code, message, field, and when to come back."""
    refusal = Refused(Code.TOO_MANY, "slow down", field="id", retry_after=2)
    assert refusal.as_json() == {"code": "too-many-requests", "message": "slow down", "field": "id", "retry_after": 2}
    assert str(refusal) == "id: slow down"
