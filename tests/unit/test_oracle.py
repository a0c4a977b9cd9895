"""The oracle sees what it is there to see: an oracle that finds nothing wrong proves nothing before this."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from tests.support.oracle import Ledger, judge
from tests.support.raw import Notification
from tests.support.raw_pubsub import Item


def event(number: int, text: str = "text") -> dict[str, Any]:
    return {"type": "disk.full", "source": "test", "id": f"e{number}", "data": f"{text} {number}"}


def result(number: int) -> dict[str, Any]:
    return {"id": f"item {number}", "sequence": number, "result": "new"}


def payload(content: dict[str, Any]) -> bytes:
    inner = escape(json.dumps(content | {"time": "2026-01-31T12:00:00Z"}))
    return f"<entry xmlns='http://www.w3.org/2005/Atom'><json xmlns='urn:xmpp:json:0'>{inner}</json></entry>".encode()


def notification(number: int, at: float = 0.0, text: str = "text") -> Notification:
    return Notification("disk.full", f"item {number}", payload(event(number, text)), at or float(number))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "accepted", seed=7) as ledger:
        for number in range(1, 5):
            ledger.attempt(event(number))
            ledger.accept([(event(number), result(number))])
        yield ledger


ALL = [notification(number) for number in range(1, 5)]


def test_everything_seen_once_and_in_order_is_good(ledger: Ledger) -> None:
    kept = {"disk.full": [Item(one.item_id, one.payload) for one in ALL]}
    assert judge(ledger, notified=ALL, kept=kept, kept_is_complete=True).good


def test_an_accepted_event_that_nobody_saw_is_lost(ledger: Ledger) -> None:
    verdict = judge(ledger, notified=[ALL[0], ALL[1], ALL[3]])
    assert verdict.lost == [("test", "e3")]
    assert not verdict.good


def test_an_event_missing_on_a_node_that_keeps_all_is_lost_even_if_it_was_notified(ledger: Ledger) -> None:
    kept = {"disk.full": [Item(one.item_id, one.payload) for one in ALL[1:]]}
    assert judge(ledger, notified=ALL, kept=kept, kept_is_complete=True).lost == [("test", "e1")]


def test_a_subscriber_that_was_cut_off_is_completed_by_the_items_of_the_node(ledger: Ledger) -> None:
    kept = {"disk.full": [Item(one.item_id, one.payload) for one in ALL[2:]]}
    assert judge(ledger, notified=ALL[:3], kept=kept, notified_is_complete=False).good
    assert judge(ledger, notified=ALL[:1], kept=kept, notified_is_complete=False).lost == [("test", "e2")]


def test_an_event_that_was_never_sent_is_extra(ledger: Ledger) -> None:
    assert len(judge(ledger, notified=[*ALL, notification(9)]).extra) == 1


def test_an_event_that_was_sent_without_an_answer_may_or_may_not_be_there(ledger: Ledger) -> None:
    ledger.attempt(event(9))
    assert judge(ledger, notified=ALL).good
    assert judge(ledger, notified=[*ALL, notification(9)]).good


def test_another_body_under_the_same_name_is_noticed(ledger: Ledger) -> None:
    assert len(judge(ledger, notified=[*ALL[:3], notification(4, text="other")]).changed) == 1


def test_an_event_overtaken_by_a_later_one_is_out_of_order(ledger: Ledger) -> None:
    assert len(judge(ledger, notified=[ALL[0], ALL[2], ALL[1], ALL[3]]).out_of_order) == 1


def test_a_repeat_is_excused_only_by_a_fault(ledger: Ledger) -> None:
    verdict = judge(ledger, notified=[*ALL, notification(4, at=9.0)])
    assert (verdict.repeated, len(verdict.repeated_without_reason)) == (1, 1)
    ledger.fault(8.0)
    verdict = judge(ledger, notified=[*ALL, notification(4, at=9.0)])
    assert (verdict.repeated, verdict.good) == (1, True)


def test_two_different_yeses_for_one_event_contradict_each_other(ledger: Ledger) -> None:
    ledger.accept([(event(4), result(5))])
    assert len(judge(ledger, notified=ALL).changed) == 1


def test_the_yeses_are_in_the_file_when_the_call_returns(tmp_path: Path) -> None:
    with Ledger(tmp_path / "accepted", seed=7) as ledger:
        ledger.accept([(event(1), result(1))])
        lines = [json.loads(line) for line in (tmp_path / "accepted").read_text().splitlines()]
    assert lines[0] == {"seed": 7}
    assert lines[1]["id"] == "item 1"
