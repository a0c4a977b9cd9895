"""Chains of incidents that were taken on, or calm, when their step was due, and fire again in the same episode."""

from __future__ import annotations

from pathlib import Path

from tests.support.journals import MovingClock
from tests.unit.test_escalation import FIRING, FIRST, opened
from xmppbus.event import OURS
from xmppbus.interfaces import Accepted
from xmppbus.people.incidents import UNACKNOWLEDGED


async def test_what_is_given_back_goes_further(tmp_path: Path) -> None:
    """Though the step was due while somebody had it."""
    async with opened(tmp_path, MovingClock()) as scene:
        event = await scene.publish(**FIRING)
        await scene.acknowledge()
        await scene.pass_by(minutes=6)
        assert await scene.called(event) == set()
        given_back = {**FIRING, "type": UNACKNOWLEDGED, "source": OURS, "id": "back"}
        assert isinstance((await scene.bus.accept([given_back], is_ours=True))[0], Accepted)
        await scene.pass_by(minutes=5)
        assert await scene.called(event) == FIRST


async def test_what_begins_to_flap_goes_further_though_it_was_calm_when_the_step_was_due(tmp_path: Path) -> None:
    """The second episode is resolved when its step is due, and fires again within itself: somebody is called."""
    async with opened(tmp_path, MovingClock()) as scene:
        ends = {**FIRING, "status": "resolved"}
        await scene.publish(**FIRING)
        await scene.pass_by(minutes=1)
        await scene.publish(**ends)
        await scene.pass_by(minutes=1)
        second = await scene.publish(**FIRING)
        await scene.pass_by(minutes=2)
        await scene.publish(**ends)
        await scene.pass_by(minutes=4)
        assert await scene.called(second) == set()
        await scene.publish(**FIRING)
        incident = await scene.journal.people.incident("db1:/")
        assert incident is not None
        assert (incident.episode, incident.flapping) == (second.item_id, True)
        await scene.pass_by(minutes=5)
        assert await scene.called(second) == FIRST
