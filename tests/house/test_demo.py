"""`xmppbus demo`, the installed program, as somebody who has just installed it runs it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import psutil

from tests.support.raw import RawStream, account
from tests.support.server import ServerFactory
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.demo.samples import samples

PROGRAM = Path(sys.executable).with_name("xmppbus")
DEADLINE = 30
CORRECTION = "urn:xmpp:message-correct:0"


@asynccontextmanager
async def demo(*arguments: str, **environment: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "demo", *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), DEADLINE)


async def line_of(process: Process) -> str:
    assert process.stdout
    return (await asyncio.wait_for(process.stdout.readline(), DEADLINE)).decode()


async def test_a_subscriber_receives_sign_ups_a_filling_disk_and_a_failed_build(own_server: ServerFactory) -> None:
    """One JSON object a line, for scripts; each item once."""
    del own_server  # asked for, so that a machine without Prosody skips or fails as the others do
    async with demo("--json") as process:
        received = [json.loads(await line_of(process)) for _ in range(5)]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
    assert {each["node"] for each in received} == {"user.signup", "disk.full", "build.failed"}
    assert all(each["event"]["type"] == each["node"] for each in received)
    assert len({each["id"] for each in received}) == len(received)


async def test_it_says_how_to_log_in_and_its_commands_work_in_another_terminal(own_server: ServerFactory) -> None:
    """What it prints is tried as it stands there."""
    del own_server
    async with demo() as process:
        said = ""
        while "receives" not in said:
            said += await line_of(process)
        assert "demo@localhost" in said
        assert "password" in said
        commands = [line.strip() for line in said.split("another terminal")[1].splitlines() if line.startswith("  ")]
        assert len(commands) == 3
        printed = ""
        for command in commands:
            shell = await asyncio.create_subprocess_shell(command, stdout=PIPE, stderr=PIPE)
            printed = (await shell.communicate())[0].decode()
            assert shell.returncode == 0, command
        assert "jid bot@bus.localhost" in printed, "the last one is `status`"
        while "hello from a shell" not in said:
            said += await line_of(process)
        assert "hello from curl" in said


async def test_the_account_that_it_prints_talks_to_the_bot_and_hears_of_the_disk(own_server: ServerFactory) -> None:
    """Subscribed to nothing before it asks; then one message, which is corrected when somebody takes it on."""
    del own_server
    async with demo() as process:
        said = ""
        while "alice joined" not in said:  # the first event: the bus is connected, and so is its bot
            said += await line_of(process)
        (bot,) = re.findall(r"add (\S+) in your client", said)
        (jid,), (password,), (port,) = (
            re.findall(rf"{word} +(\S+)", said) for word in ("JID", "password", "server +127.0.0.1, port")
        )
        async with await account("127.0.0.1", int(port), jid, password, resource="newcomer") as client:

            async def hears(text: str) -> None:
                await client.until(lambda: any(text in each for each in bodies(client)), DEADLINE)

            client.write(say(bot, "subscribe disk.#"))
            await hears("You get `disk.#` from now on")
            assert len(bodies(client)) == 1
            await hears("*firing* /var is")
            client.write(say(bot, "ack"))
            await hears("Acknowledged: /var is")
            await hears(f"acknowledged by {jid}")
            assert [each for each in client.stanzas if each.find(CORRECTION, "replace") is not None]


def test_no_disk_comes_and_goes_so_often_that_the_bot_says_so() -> None:
    """Or whoever subscribes after two minutes would see one message that fires for ever."""
    changes: dict[str, list[float]] = {}
    last: dict[str, str] = {}
    for number, sample in enumerate(islice(samples(), 2000)):
        if "--key" in sample:
            key, status = sample[sample.index("--key") + 1], sample[sample.index("--status") + 1]
            if last.get(key) != status:
                changes.setdefault(key, []).append(number * limits.DEMO_TRICKLE_SECONDS)
            last[key] = status
    assert changes
    for moments in changes.values():
        for first, later in zip(moments, moments[limits.FLAPPING_CHANGES - 1 :], strict=False):
            assert later - first > limits.FLAPPING_SECONDS


def say(to: str, text: str) -> str:
    """A chat message."""
    return f"<message type='chat' to='{to}'><body>{text}</body></message>"


def bodies(client: RawStream) -> list[str]:
    """What was said to it."""
    return [child.text or "" for each in client.stanzas for child in each.element if child.tag.endswith("}body")]


async def test_ctrl_c_ends_everything_that_it_started_and_only_that(own_server: ServerFactory) -> None:
    """Server, bus and subscriber; the temporary directory too."""
    bystander = await own_server("prosody")
    async with demo("--json") as process:
        await line_of(process)
        children = psutil.Process(process.pid).children(recursive=True)
        names = {child.name() for child in children}
        assert any(name.startswith("lua") or name == "prosody" for name in names), names
        directory = Path(next(part for part in children[0].cmdline() if "xmppbus-demo-" in part)).parent
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0
    await until(lambda: not [child for child in children if child.is_running()], timeout=DEADLINE, what="all ended")
    assert not directory.exists()
    await bystander.create_account("somebody@localhost", "still here")


async def test_when_it_is_killed_nothing_goes_on(own_server: ServerFactory) -> None:
    """It can clean nothing up then; the kernel ends what it started."""
    del own_server
    async with demo("--json") as process:
        await line_of(process)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        await process.wait()
    await until(lambda: not [child for child in children if child.is_running()], timeout=DEADLINE, what="all ended")


async def test_it_ends_by_itself_after_a_duration(own_server: ServerFactory) -> None:
    """For scripts and recordings."""
    del own_server
    async with demo("--duration", "0.5") as process:
        assert await asyncio.wait_for(process.wait(), DEADLINE) == 0


async def test_without_prosody_it_says_what_to_run(tmp_path: Path) -> None:
    """And installs nothing unless it is told to."""
    async with demo(PATH=str(tmp_path)) as process:
        _, complaint = await process.communicate()
    assert process.returncode == 69
    assert b"apt-get install" in complaint
    assert b"demo --install" in complaint
