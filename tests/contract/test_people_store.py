"""What the chat plane keeps: who wants what, incidents, what was sent to whom, and who is called next."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.journals import MovingClock, OpenJournal, deliver_all, ids, outcomes, routed, take
from tests.support.people_nouns import JULIET, NOON, ROMEO, copy, escalation, incident, message, subscription
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.journal import DELIVERED, Outcome, Verdict
from xmppbus.people.model import Mute, Person, Status, Subscription
from xmppbus.route import Target
from xmppbus.stores.sqlite import SqliteJournal

# --- who wants what ---------------------------------------------------------------------------------------------------


async def test_a_subscription_survives_a_restart(open_journal: OpenJournal) -> None:
    """With everything that was asked for, oldest first."""
    async with open_journal() as journal:
        first = await journal.people.subscribe(subscription())
        second = await journal.people.subscribe(subscription(JULIET))
        assert first.id
    async with open_journal() as journal:
        assert await journal.people.subscriptions() == [first, second]


async def test_a_second_subscription_to_the_same_pattern_takes_the_place_of_the_first(journal: SqliteJournal) -> None:
    """Nobody hears of an event twice because they changed their mind."""
    await journal.people.subscribe(subscription())
    changed = Subscription(owner=ROMEO, pattern="disk.#", digest_seconds=900, created=NOON)
    kept = await journal.people.subscribe(changed)
    assert await journal.people.subscriptions() == [kept]
    assert kept.digest_seconds == 900


async def test_unsubscribing_says_how_many_there_were(journal: SqliteJournal) -> None:
    """And their numbers are never used again."""
    kept = await journal.people.subscribe(subscription())
    assert await journal.people.unsubscribe([kept.id, 999]) == 1
    assert await journal.people.subscriptions() == []
    assert (await journal.people.subscribe(subscription())).id > kept.id


async def test_subscriptions_are_bounded(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """In all, and of one; changing one is always possible."""
    monkeypatch.setattr(limits, "SUBSCRIPTIONS", 3)
    monkeypatch.setattr(limits, "SUBSCRIPTIONS_OF_ONE", 2)
    for pattern in ("a", "b"):
        await journal.people.subscribe(subscription(ROMEO, pattern))
    with pytest.raises(Refused) as one:
        await journal.people.subscribe(subscription(ROMEO, "c"))
    await journal.people.subscribe(subscription(JULIET, "a"))
    with pytest.raises(Refused) as all_:
        await journal.people.subscribe(subscription("nurse@example.org", "a"))
    assert one.value.code is all_.value.code is Code.TOO_MANY
    await journal.people.subscribe(subscription(ROMEO, "a"))


async def test_what_is_known_of_a_person_survives_a_restart(open_journal: OpenJournal) -> None:
    """Mutes, bounces, and who sees us; until it is forgotten."""
    romeo = Person(jid=ROMEO, sees_us=True, mutes=(Mute(pattern="disk.#", until=NOON), Mute(key="db1")), bounces=2)
    async with open_journal() as journal:
        await journal.people.keep_person(Person(jid=ROMEO))
        await journal.people.keep_person(romeo)
        await journal.people.keep_person(Person(jid=JULIET))
    async with open_journal() as journal:
        assert await journal.people.persons() == [Person(jid=JULIET), romeo]
        await journal.people.forget_person(JULIET)
        assert await journal.people.persons() == [romeo]


async def test_persons_are_bounded(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers who knock can't fill the disk."""
    monkeypatch.setattr(limits, "PERSONS", 1)
    await journal.people.keep_person(Person(jid=ROMEO))
    with pytest.raises(Refused):
        await journal.people.keep_person(Person(jid=JULIET))
    await journal.people.keep_person(Person(jid=ROMEO, bounces=1))


# --- incidents --------------------------------------------------------------------------------------------------------


async def test_an_incident_survives_a_restart(open_journal: OpenJournal) -> None:
    """As it was folded last, with who has which message about it."""
    async with open_journal() as journal:
        await journal.people.keep_incidents([incident()])
        await journal.people.keep_incidents([incident(sequence=2, status=Status.ACKNOWLEDGED)])
        await journal.people.handed_over([message(1)], [copy(), copy(JULIET)])
    async with open_journal() as journal:
        assert await journal.people.incident("db1") == incident(sequence=2, status=Status.ACKNOWLEDGED)
        assert await journal.people.incident("db2") is None
        assert await journal.people.copies_of("db1") == [copy(JULIET), copy()]
        keys = [("db1", ROMEO), ("db1", "nurse@example.org"), ("db2", ROMEO)]
        assert await journal.people.copies(keys) == {("db1", ROMEO): copy()}


async def test_incidents_are_found_by_how_they_stand(journal: SqliteJournal) -> None:
    """Newest first, no more than asked."""
    stands = (Status.FIRING, Status.RESOLVED, Status.FIRING, Status.ACKNOWLEDGED)
    await journal.people.keep_incidents([incident(f"k{n}", n, status) for n, status in enumerate(stands, 1)])
    found = await journal.people.incidents((Status.FIRING, Status.ACKNOWLEDGED), 10)
    assert [each.key for each in found] == ["k4", "k3", "k1"]
    assert [each.key for each in await journal.people.incidents((Status.FIRING,), 1)] == ["k3"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), max_size=6), max_size=6))
async def test_an_incident_never_goes_back_in_time(
    open_journal: OpenJournal, batches: list[list[tuple[str, int]]]
) -> None:
    """Whatever is kept, in whatever order, however often: of each key the newest stays, and the first that was it."""
    newest: dict[str, int] = {}
    async with open_journal() as journal:
        for key in "abc":
            if old := await journal.people.incident(key):  # from the example before
                newest[key] = old.sequence
        for batch in batches:
            await journal.people.keep_incidents([incident(key, sequence) for key, sequence in batch])
            for key, sequence in batch:
                newest[key] = max(newest.get(key, 0), sequence)
        for key, sequence in newest.items():
            assert await journal.people.incident(key) == incident(key, sequence)


async def test_a_copy_never_goes_back_in_time(journal: SqliteJournal) -> None:
    """What was handed over first may be written last."""
    await journal.people.handed_over([], [copy(sequence=5)])
    await journal.people.handed_over([], [copy(sequence=3)])
    assert await journal.people.copies_of("db1") == [copy(sequence=5)]


async def test_resolved_incidents_are_forgotten_after_the_retention(
    open_journal: OpenJournal, clock: MovingClock
) -> None:
    """With their copies; what still burns is not."""
    async with open_journal(keep_days=1) as journal:
        await journal.people.keep_incidents([incident("old", 1, Status.RESOLVED), incident("burns", 2)])
        await journal.people.handed_over([], [copy(key="old"), copy(JULIET, key="old"), copy(key="burns")])
        clock.move(days=2)
        await journal.people.keep_incidents([incident("new", 3, Status.RESOLVED)])
        await journal.prune()
        assert await journal.people.incident("old") is None
        assert await journal.people.copies_of("old") == []
        assert await journal.people.incident("burns")
        assert await journal.people.incident("new")
        assert await journal.people.copies_of("burns") == [copy(key="burns")]


async def test_incidents_and_copies_are_bounded(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the oldest are forgotten, the resolved first."""
    monkeypatch.setattr(limits, "INCIDENTS", 3)
    monkeypatch.setattr(limits, "COPIES", 4)
    monkeypatch.setattr(limits, "ONWARD_SLICE", 2)
    stands = [Status.FIRING, Status.FIRING, Status.RESOLVED, Status.FIRING, Status.FIRING]
    await journal.people.keep_incidents([incident(f"k{n}", n, status) for n, status in enumerate(stands, 1)])
    for number in range(1, 6):
        await journal.people.handed_over([], [copy(f"{n}@example.org", number, f"k{number}") for n in range(3)])
    await journal.prune()
    kept = [each.key for each in await journal.people.incidents(list(Status), 10)]
    assert kept == ["k5", "k4", "k2"]
    assert [len(await journal.people.copies_of(f"k{number}")) for number in range(1, 6)] == [0, 0, 0, 0, 3]


# --- the ledger -------------------------------------------------------------------------------------------------------


async def test_the_ledger_says_who_got_it_and_who_has_seen_it(open_journal: OpenJournal) -> None:
    """After a restart, too."""
    async with open_journal() as journal:
        await journal.people.handed_over([message(1), message(1, JULIET), message(2)], [])
        await journal.people.received([message(1).id], NOON + timedelta(seconds=1))
        await journal.people.displayed([message(1, JULIET).id], NOON + timedelta(seconds=2))
        await journal.people.bounced(message(2).id, "item-not-found", "nobody here")
    async with open_journal() as journal:
        assert await journal.people.messages_of(1) == [
            message(1)._replace(received=NOON + timedelta(seconds=1)),
            message(1, JULIET)._replace(displayed=NOON + timedelta(seconds=2)),
        ]
        found = await journal.people.message(message(2).id)
        assert found == message(2)._replace(bounced="item-not-found", text="nobody here")


async def test_a_message_handed_over_twice_is_kept_once_and_stays_received(journal: SqliteJournal) -> None:
    """After a crash it is sent again with the same id."""
    await journal.people.handed_over([message(1)], [])
    await journal.people.received([message(1).id], NOON)
    await journal.people.handed_over([message(1, sent=NOON + timedelta(hours=1))], [])
    assert await journal.people.messages_of(1) == [message(1)._replace(received=NOON)]


async def test_the_first_receipt_and_the_first_marker_count(journal: SqliteJournal) -> None:
    """Three clients of one person send three."""
    await journal.people.handed_over([message(1)], [])
    for hours in range(3):
        moment = NOON + timedelta(hours=hours)
        await journal.people.received([message(1).id] * 2, moment)
        await journal.people.displayed([message(1).id], moment)
    assert await journal.people.messages_of(1) == [message(1)._replace(received=NOON, displayed=NOON)]


async def test_a_marker_stands_for_what_was_sent_before_it(journal: SqliteJournal) -> None:
    """To the same person; not for what came after, and not for what never arrived (XEP-0333 §1)."""
    sent = [message(number, sent=NOON + timedelta(seconds=number)) for number in range(1, 5)]
    await journal.people.handed_over([*sent, message(1, JULIET)], [])
    await journal.people.bounced(sent[1].id, "recipient-unavailable", "")
    await journal.people.displayed([sent[2].id], NOON + timedelta(hours=1))
    seen = [await journal.people.message(each.id) for each in (*sent, message(1, JULIET))]
    assert [each is not None and each.displayed is not None for each in seen] == [True, False, True, False, False]


async def test_a_marker_of_a_corrected_message_stands_for_the_corrections_that_were_received(
    journal: SqliteJournal,
) -> None:
    """Each names the first id. Not for the fresh line, which has a marker of its own, nor for an earlier episode."""
    first, correction, unread = (
        message(number, key="db1", sent=NOON + timedelta(seconds=number)) for number in (1, 2, 3)
    )
    line = message(2, key="db1", revision=1, sent=NOON + timedelta(seconds=2))
    await journal.people.handed_over([first, correction, line, unread], [copy()._replace(message_id=first.id)])
    await journal.people.received([first.id, correction.id, line.id], NOON)
    await journal.people.displayed([first.id], NOON + timedelta(hours=1))
    seen = [await journal.people.message(each.id) for each in (first, correction, line, unread)]
    assert [each is not None and each.displayed is not None for each in seen] == [True, True, False, False]
    await journal.people.handed_over([], [copy(sequence=4)._replace(message_id=unread.id)])
    await journal.people.received([unread.id], NOON)
    await journal.people.displayed([first.id], NOON + timedelta(hours=2))
    new = await journal.people.message(unread.id)
    assert new is not None
    assert new.displayed is None


async def test_receipts_for_what_nobody_sent_change_nothing(journal: SqliteJournal) -> None:
    """A client may answer anything."""
    strange = ["", "x" * 36, "x", message(9).id.upper(), "0" * 32]
    await journal.people.received(strange, NOON)
    await journal.people.displayed(strange, NOON)
    for each in strange:
        await journal.people.bounced(each, "gone", "")
        assert await journal.people.message(each) is None


async def test_many_receipts_at_once_are_all_kept(journal: SqliteJournal) -> None:
    """Ten thousand clients answer within a second."""
    sent = [message(1, f"p{number}@example.org") for number in range(1_000)]
    await journal.people.handed_over(sent, [])
    await journal.people.received([each.id for each in sent[:700]], NOON)
    assert [bool(each.received) for each in await journal.people.messages_of(1)] == [True] * 700 + [False] * 300


async def test_a_digest_is_one_message_about_several_events(journal: SqliteJournal) -> None:
    """Its receipt is a receipt for each."""
    digest = [message(1), message(1)._replace(sequence=2)]
    await journal.people.handed_over(digest, [])
    await journal.people.received([message(1).id], NOON)
    assert await journal.people.messages_of(2) == [digest[1]._replace(received=NOON)]
    assert (await journal.people.message(message(1).id)) == digest[0]._replace(received=NOON)


async def test_the_ledger_is_forgotten_with_its_events(open_journal: OpenJournal, clock: MovingClock) -> None:
    """What is dead stays, with what was sent of it."""
    async with open_journal(keep_days=1) as journal:
        await journal.append([routed(number) for number in (1, 2)])
        run = await take(journal)
        await journal.settle(run, outcomes(run, DELIVERED, Outcome(Verdict.DEAD, "payload-too-big")))
        await journal.people.handed_over([message(1), message(1, JULIET), message(2)], [])
        clock.move(days=2)
        await journal.prune()
        assert await journal.people.messages_of(1) == []
        assert await journal.people.messages_of(2) == [message(2)]


# --- escalation -------------------------------------------------------------------------------------------------------


async def begun(journal: SqliteJournal) -> None:
    """An event that nobody has acknowledged, and its chain."""
    await journal.append([routed(1)._replace(targets=())])
    await journal.people.begin_escalation(escalation())


async def test_a_chain_goes_on_after_a_restart_and_calls_nobody_twice(open_journal: OpenJournal) -> None:
    """A step that was done is not done again, however often it is asked for."""
    later = NOON + timedelta(minutes=5)
    async with open_journal() as journal:
        await begun(journal)
        assert await journal.people.escalate(escalation(), [Target("chat", ROMEO)], later)
        assert not await journal.people.escalate(escalation(), [Target("chat", ROMEO)], later)
    async with open_journal() as journal:
        assert not await journal.people.escalate(escalation(), [Target("chat", ROMEO)], later)
        assert await deliver_all(journal, "chat") == ["1"]
        assert await journal.people.escalations() == [escalation(1, due=later)]
        assert await journal.people.escalate(escalation(1), [Target("chat", JULIET)], None)
        assert await journal.people.escalations() == []
        assert not await journal.people.escalate(escalation(2), [Target("chat", ROMEO)], None)
        await journal.people.begin_escalation(escalation())
        assert await journal.people.escalations() == []
        assert await deliver_all(journal, "chat") == ["1"]


async def test_an_acknowledgement_ends_every_chain_of_the_episode(journal: SqliteJournal) -> None:
    """At once, and they do not begin again."""
    await begun(journal)
    await journal.people.begin_escalation(escalation(route="night"))
    await journal.people.begin_escalation(escalation(sequence=2))
    assert await journal.people.end_escalations(escalation().episode) == 2
    assert not await journal.people.escalate(escalation(), [Target("chat", ROMEO)], None)
    await journal.people.begin_escalation(escalation())
    assert await journal.people.escalations() == [escalation(sequence=2)]
    assert await deliver_all(journal, "chat") == []


async def test_who_had_the_event_already_is_called_all_the_same(journal: SqliteJournal) -> None:
    """The delivery goes back to waiting; one that still waits is not made twice."""
    await journal.append([routed(1, Target("chat", ROMEO), Target("chat", JULIET))])
    runs = await journal.claim("chat", 10, 10)
    await journal.settle(runs[0], outcomes(runs[0], DELIVERED))
    await journal.settle(runs[1], ())
    await journal.people.begin_escalation(escalation())
    await journal.people.escalate(escalation(), [Target("chat", ROMEO), Target("chat", JULIET)], None)
    assert {run.place: ids(run) for run in await journal.claim("chat", 10, 10)} == {ROMEO: ["1"], JULIET: ["1"]}


async def test_the_next_chain_that_is_due_comes_first(journal: SqliteJournal) -> None:
    """Whatever began it."""
    for sequence, minutes in ((1, 30), (2, 10), (3, 20)):
        await journal.people.begin_escalation(escalation(0, sequence, due=NOON + timedelta(minutes=minutes)))
    assert [each.sequence for each in await journal.people.escalations()] == [2, 3, 1]


async def test_chains_are_bounded(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storm of events begins no storm of calls."""
    monkeypatch.setattr(limits, "ESCALATIONS", 1)
    await journal.people.begin_escalation(escalation())
    await journal.people.begin_escalation(escalation())
    with pytest.raises(Refused):
        await journal.people.begin_escalation(escalation(sequence=2))
