"""R14, a background task's handle, the chat half: every change of its state is one message, corrected in place."""

from __future__ import annotations

from pathlib import Path

from tests.house.people import answer, talking
from tests.support.server import Server
from tests.support.talk_person import Said


async def test_r14_a_job_is_one_message_from_queued_to_done_over_a_restart(server: Server, tmp_path: Path) -> None:
    """The bus is killed while it runs; nothing rings but its beginning."""
    async with talking(server, tmp_path, "r14") as (daemon, romeo, _):
        await answer(romeo, "subscribe job.#")

        async def publish(summary: str, status: str = "firing") -> None:
            await daemon.command("publish", "job.backup", summary, "--key", "job/7", "--status", status)

        heard: set[str] = set()

        async def change() -> Said:
            """The next correction. What was on its way when the bus was killed may come again, with the same id."""
            found = await romeo.hear(sort="correction")
            while found.id in heard:
                found = await romeo.hear(sort="correction")
            heard.add(found.id)
            return found

        await publish("backup: queued")
        first = await romeo.hear()
        assert first.body.startswith("• *under way* backup: queued")
        for summary in ("backup: running", "backup: 42 %"):
            await publish(summary)
            changed = await change()
            assert (changed.replaces, changed.body.splitlines()[0]) == (first.id, f"• *under way* {summary}")
            daemon.kill()
            await daemon.start()
        await publish("backup: done", "resolved")
        over = await change()
        assert over.replaces == first.id
        assert over.body.splitlines()[0].endswith(": backup: done")
        assert {each.id for each in await romeo.nothing_more()} <= heard
