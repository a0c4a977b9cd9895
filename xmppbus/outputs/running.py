"""How the outputs that tell people work their runs: many in one go, each person by one output at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from xmppbus.journal import UNSENT, Outcome, Run
from xmppbus.people.handing_over import ManyOutput
from xmppbus.people.turns import NOT_YET, Turns

Worked = AsyncIterator[tuple[Run, list[Outcome]]]
"""Each run with one outcome for each of its deliveries, as soon as it is known."""


async def in_turn(
    turns: Turns,
    output: str,
    runs: Sequence[Run],
    why_not: Callable[[str], Outcome | None],
    work: Callable[[Sequence[Run]], Worked],
) -> Worked:
    """Work the runs whose turn it is, of places that `why_not` has nothing against; the others wait."""
    mine: list[Run] = []
    try:
        for run in runs:
            why = why_not(run.place)
            if why is None and turns.take(output, run.place):
                mine.append(run)
            else:
                yield run, stopped(run, why or NOT_YET)
        if mine:
            async for run, outcomes in work(mine):
                turns.over(output, run.place)
                yield run, outcomes
    finally:
        for run in mine:
            turns.over(output, run.place)


async def one_run(output: ManyOutput, run: Run) -> AsyncIterator[Outcome]:
    """A run by itself, as `interfaces.Output` has it."""
    async for _, outcomes in output.deliver_many([run]):
        for outcome in outcomes:
            yield outcome


def stopped(run: Run, why: Outcome) -> list[Outcome]:
    """The outcomes of a run that has to wait."""
    return [why, *[UNSENT] * (len(run.deliveries) - 1)]
