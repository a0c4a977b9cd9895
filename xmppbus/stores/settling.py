"""Sorts out what became of a run, so that a commit writes it in as few statements as can be. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xmppbus import limits
from xmppbus.errors import About, condition
from xmppbus.journal import HELD, UNSENT, Outcome, Run, Settled, Stop, Verdict
from xmppbus.stores.operations import Claim, Settlement, weight_of
from xmppbus.stores.places import Place


def claim_of(run: Run, place: Place) -> Claim:
    """The claim that a run stands for."""
    unsettled = {each.id: (index, each.sequence, each.accepted) for index, each in enumerate(run.deliveries)}
    return Claim(run.claim, place, unsettled)


def portions(settled: Sequence[Settled], most: int) -> Iterator[list[Settled]]:
    """The same in parts, none of which goes on to more than `most` targets: one commit each. One that goes on to more
    is settled by the last of its parts; after a crash in between it goes on again, and nowhere twice."""
    part: list[Settled] = []
    size = 0
    for each in settled:
        one = each
        while size + len(one.onward) > most:
            room = most - size
            yield [*part, Settled(one.delivery, UNSENT, one.onward[:room])]
            one = one._replace(onward=one.onward[room:])
            part, size = [], 0
        part.append(one)
        size += len(one.onward)
    yield part


def sort_out(claim: Claim, settled: Sequence[Settled], *, last: bool, stop: Stop | None) -> Settlement:
    """What is to be written. A delivery that is none of the run, or is settled already, changes nothing."""
    found = Settlement(claim, last, stop)
    expected = -1
    for delivery, outcome, onward, events in settled:
        known = claim.unsettled.get(delivery)
        if known is None:
            continue
        index, sequence, _ = known
        if outcome.verdict is Verdict.DELIVERED:
            # A run is the head of what waits, so nothing else waits between two neighbours of it.
            if index == expected:
                found.delivered[-1] = (found.delivered[-1][0], delivery)
            else:
                found.delivered.append((delivery, delivery))
            expected = index + 1
        elif outcome.verdict is Verdict.DEAD:
            found.dead.append((delivery, *_words(outcome)))
        elif outcome.verdict is Verdict.STOPPED and outcome.condition != HELD:
            found.stopped.append((delivery, *_words(outcome), _attempts(outcome)))
        found.onward += [(sequence, target) for target in onward]
        found.events += events
        if outcome.verdict in (Verdict.DELIVERED, Verdict.DEAD):
            found.taken[delivery] = claim.unsettled.pop(delivery)
    found.weight = 1 + len(found.onward) + weight_of(found.events)
    return found


def _words(outcome: Outcome) -> tuple[str, str]:
    """The condition and the text; a lone surrogate, which an exception's text may hold, is no text for a database."""
    text = outcome.text[: limits.OUTCOME_CHARACTERS]
    return outcome.condition.encode("utf-8", "replace").decode(), text.encode("utf-8", "replace").decode()


def _attempts(outcome: Outcome) -> int:
    """A lost connection is not an attempt, and neither is anything else that is about us."""
    return int(condition(outcome.condition).about is not About.US)
