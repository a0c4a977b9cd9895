"""R11, the shell's half of a broker: confirms, listen and get, ack, requeue, reject, dead letters, patterns.

And the lines of docs/howto/queues.md and docs/reference/consume.md, and a profile of docs/howto/read-the-nodes.md.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.house.subscribers import kept
from tests.support.daemon import Daemon, program
from tests.support.living_house import living
from tests.support.pages import ROOT, block, blocks
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.worker import Worker, until_consumed_by

PAGE = "docs/howto/queues.md"


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path / "bus") as started:
        yield started


class Consumer:
    """`xmppbus queue consume` in a process of its own, spoken to in lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def begin(cls, daemon: Daemon, *arguments: str) -> Consumer:
        """One more."""
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                *(program(), "queue", "consume", *arguments),
                env=daemon.environment,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
            )
        )

    async def line(self) -> dict[str, Any]:
        """The next that it prints."""
        assert self.process.stdout
        async with asyncio.timeout(10):
            found: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return found

    def say(self, **line: Any) -> None:
        """One line."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(line).encode() + b"\n")

    async def end(self) -> tuple[int, str]:
        """No more is said: its exit code, and what it said of errors."""
        assert self.process.stdin
        self.process.stdin.close()
        _, errors = await asyncio.wait_for(self.process.communicate(), 10)
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()


async def test_r11_confirm_waits_for_the_yes_of_the_server(server: Server, node: str, tmp_path: Path) -> None:
    """Of the node; what is for a queue is confirmed by the journal, whether anybody consumes it or not."""
    async with Daemon(tmp_path / "bus", server) as daemon:
        await daemon.command("queue", "declare", "all", "#")
        published = (await daemon.command("publish", node, "hello", "--confirm")).out.strip()
        assert await kept(server, node) == [published]
        await daemon.command("publish", node, "hello", "--queue", "mails", "--confirm")
        assert await kept(server, node) == [published]
        assert {each["name"]: each["waiting"] for each in (await daemon.status())["queues"]} == {"all": 1, "mails": 1}


async def test_r11_listen_pushes_and_get_pulls(daemon: Daemon) -> None:
    """An event of a queue alone is pulled by one, and nobody is pushed it."""
    listener = await asyncio.create_subprocess_exec(
        *(program(), "listen", "#", "--since", "all", "-n", "2", "--json"),
        env=daemon.environment,
        stdout=asyncio.subprocess.PIPE,
    )
    for text, queue in (("one", ()), ("two", ("--queue", "mails")), ("three", ())):
        await daemon.command("publish", "mail.new", text, *queue)
    async with asyncio.timeout(30):
        out, _ = await listener.communicate()
    assert [json.loads(line)["event"]["data"] for line in out.splitlines()] == ["one", "three"]
    pulled = (await daemon.command("get", "--queue", "mails", "--json")).json
    assert pulled["event"]["data"] == "two"
    assert (await daemon.run("get", "--queue", "mails")).code == 1
    assert (await daemon.command("get", "mail.*", "-n", "5")).out.count("\n") == 2
    assert (await daemon.run("get", "--queue", "mails", "--name", "me")).code == 64
    assert (await daemon.run("get")).code == 64
    _, body = await daemon.request("POST", "/v1/events", '{"type": "mail.new", "queue": "mails", "id": "h"}')
    assert "id" in json.loads(body), body
    assert (await daemon.command("get", "#", "--queue", "mails", "--json")).json["event"]["id"] == "h"
    _, body = await daemon.request("POST", "/v1/events", '{"type": "mail.new", "queue": "no name"}')
    assert json.loads(body)["error"]["field"] == "queue"


async def test_r11_how_a_command_exits_is_what_becomes_of_its_event(daemon: Daemon, tmp_path: Path) -> None:
    """0 is done, 75 is later, anything else is dead, with the end of its error output; a person decides on the dead."""
    script = """
        cat > event
        case "$XMPPBUS_TEXT" in
            later) [ "$XMPPBUS_ATTEMPT" -gt 1 ] || exit 75;;
            never) exit 75;;
            bad) printf '%2000s the disk is full' x >&2; exit 3;;
            killed) kill -9 $$;;
        esac
        echo "$XMPPBUS_TEXT $XMPPBUS_TYPE $XMPPBUS_SEVERITY $XMPPBUS_ATTEMPT $XMPPBUS_QUEUE" >> "$done"
    """
    arguments = ("job.#", "--queue", "jobs", "-j", "2", "--attempts", "2")
    async with Worker(daemon, tmp_path, *arguments, script=f"cd {tmp_path}\n{script}") as worker:
        await until_consumed_by(daemon, "jobs", 1)
        for text in ("later", "never", "bad", "killed", "good"):
            await daemon.command("publish", "job.a", text, "--severity", "warning")

        async def dead() -> list[dict[str, Any]]:
            lines = (await daemon.command("dead", "list", "--queue", "jobs", "--json")).out.splitlines()
            return [json.loads(line) for line in lines]

        async def settled() -> bool:
            return len(await dead()) == 3 and len(worker.lines()) == 2

        await until(settled, 30, "all to be settled")
        assert sorted(worker.lines()) == ["good job.a warning 1 jobs", "later job.a warning 2 jobs"]
        reasons = {each["entry"]["event"]["data"]: each["text"] for each in await dead()}
        assert reasons["never"] == "try 2 of 2: exit 75"
        assert reasons["killed"] == "ended by SIGKILL"
        assert reasons["bad"].startswith("exit 3: ")
        assert reasons["bad"].endswith("the disk is full")
        assert len(reasons["bad"]) <= 500
        assert "the disk is full" in worker.errors(), "it is passed through as well"
        assert not (await daemon.command("dead", "list", "--queue", "others")).out
        bad = next(each["delivery"] for each in await dead() if each["entry"]["event"]["data"] == "bad")
        await daemon.command("dead", "retry", str(bad))
        await until(lambda: worker.errors().count("the disk is full") == 2, 30, "it to be tried again")

        async def dead_again() -> bool:
            return len(await dead()) == 3

        await until(dead_again, 30, "it to be dead again")
        assert (await daemon.command("dead", "drop", "--queue", "jobs")).out == "3 dropped\n"
        assert not await dead()


async def test_r11_patterns_are_amqps(daemon: Daemon) -> None:
    """`*` is one word, `#` any number of them; each queue has its own copy."""
    await daemon.command("queue", "declare", "one", "job.*")
    await daemon.command("queue", "declare", "any", "job.#")
    for type_ in ("job", "job.a", "job.a.b", "other"):
        await daemon.command("publish", type_, "hello")
    pulled = (await daemon.command("get", "--queue", "any", "-n", "9", "--json")).out.splitlines()
    assert [json.loads(line)["event"]["type"] for line in pulled] == ["job", "job.a", "job.a.b"]
    pulled = (await daemon.command("get", "--queue", "one", "-n", "9", "--json")).out.splitlines()
    assert [json.loads(line)["event"]["type"] for line in pulled] == ["job.a"]
    assert (await daemon.command("queue", "list")).out.count("0 waiting") == 2


async def test_r11_a_program_consumes_with_lines(daemon: Daemon) -> None:
    """docs/reference/consume.md: each of them does what it says."""
    (line,) = [text for language, text in blocks(ROOT / "docs/reference/consume.md") if language == "sh"]
    arguments = line.split()[3:]
    for number in range(5):
        await daemon.command("publish", "mail.new", str(number), "--queue", arguments[0])
    consumer = await Consumer.begin(daemon, *arguments)
    found = [await consumer.line() for _ in range(5)]
    assert [each["event"]["data"] for each in found] == ["0", "1", "2", "3", "4"]
    assert {(each["queue"], each["attempt"]) for each in found} == {("mails", 1)}
    first, second, third, fourth, fifth = (each["lease"] for each in found)
    consumer.say(renew=[first, second, 10**6])
    assert (await consumer.line())["lost"] == 10**6
    consumer.say(ack=first)
    assert await consumer.line() == {"done": first}
    consumer.say(reject=second, text="no such user")
    assert await consumer.line() == {"done": second}
    consumer.say(stop=True)
    consumer.say(requeue=third, text="not now")
    assert await consumer.line() == {"done": third}
    consumer.say(ack=first)
    assert (await consumer.line())["lost"] == first
    other = await Consumer.begin(daemon, "mails", "--prefetch", "2", "--resume")
    other.say(had=fourth, id=found[3]["id"])
    assert (await other.line())["lost"] == fourth, "it is the first's"
    consumer.say(release=fourth)
    assert await consumer.line() == {"done": fourth}
    other.say(had=fourth, id=found[3]["id"])
    assert await other.line() == {"have": fourth}
    assert await consumer.end() == (0, "")
    other.say(begin=True)
    assert (await other.line())["lease"] == fifth, "what it did not answer is another's"
    other.say(ack=fifth)
    assert await other.line() == {"done": fifth}
    assert (await other.line())["lease"] == third, "it comes again"
    other.say(nonsense=1)
    code, said = await other.end()
    assert code == 64
    assert "nonsense" in said
    text = (await daemon.command("dead", "list", "--queue", "mails", "--json")).json["text"]
    assert text == "no such user"


async def test_r11_the_lines_of_the_page_work(daemon: Daemon) -> None:
    """docs/howto/queues.md, in their order."""
    script = daemon.directory / "send-welcome"
    script.write_text(block(PAGE, "bash"))
    script.chmod(0o755)
    lines = [
        line for language, text in blocks(ROOT / PAGE) if language == "sh" for line in text.splitlines() if line.strip()
    ]
    assert [line.split()[1] for line in lines] == [
        *("work", "publish", "dead", "dead", "dead", "queue", "queue", "queue", "queue", "publish", "get", "queue"),
    ]
    worker = await asyncio.create_subprocess_shell(
        f"exec {program().removesuffix('xmppbus')}{lines[0]}", env=daemon.environment, cwd=daemon.directory
    )
    sent = daemon.directory / "sent"
    try:
        await until_consumed_by(daemon, "welcome", 1)
        await daemon.shell(lines[1])
        await until(sent.exists, 30, "a welcome")
        for user in ("late", "nobody"):
            await daemon.command("publish", "user.signup", "joined", "--data", f"user={user}")

        async def dead() -> bool:
            return "no such user" in await daemon.shell(lines[2] + " --json")

        await until(dead, 30, "one that is dead")
        await until(lambda: "welcome, late (try 2)" in sent.read_text(), 30, "one that was tried again")
        assert "welcome, alice (try 1)" in sent.read_text()
        assert "1 put back" in await daemon.shell(lines[3])
        await until(dead, 30, "the dead one again")
        assert "1 dropped" in await daemon.shell(lines[4])
        assert "user.signup" in await daemon.shell(lines[5])
        assert "1 consumer" in await daemon.shell(lines[6])
    finally:
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), 30) == 0
    await daemon.shell(lines[1])
    assert "1 forgotten" in await daemon.shell(lines[7])
    for line in lines[8:10]:
        await daemon.shell(line)
    assert json.loads(await daemon.shell(lines[10]))["event"]["data"] == {"file": "a.png"}
    await daemon.shell(lines[11])
    assert (await daemon.command("queue", "info", "scratch", "--json")).json["expire_seconds"] == 604_800


async def test_r11_a_route_fills_a_queue(tmp_path: Path) -> None:
    """The config of the page."""
    async with Daemon(tmp_path / "bus", config=yaml.safe_load(block(PAGE, "yaml"))) as daemon:
        await daemon.command("publish", "disk.full", "91 %", "--severity", "warning")
        await daemon.command("publish", "disk.full", "99 %", "--severity", "critical")
        assert (await daemon.command("get", "--queue", "urgent", "--json")).json["event"]["data"] == "99 %"
        assert (await daemon.command("queue", "info", "urgent", "--json")).json["routes"] == ["urgent"]
        daemon.config_file.write_text(daemon.config_file.read_text().replace("queue:urgent", "queue:not a name"))
        assert "not a name" in (await daemon.run("check")).out + (await daemon.run("check")).err


async def test_r11_a_node_is_durable_and_expires_when_nobody_uses_it(
    server: Server, node: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its profile, which a reload takes; the next publish makes it again."""
    async with living(server, tmp_path, {}) as house:
        output: Any = house.outputs["pubsub"]
        path = tmp_path / "xmppbus.yaml"
        (profile,) = yaml.safe_load(block("docs/howto/read-the-nodes.md", "yaml"))["nodes"]
        profile |= {"match": node, "readers": ["listener@localhost"]}
        path.write_text(json.dumps({**yaml.safe_load(path.read_text()), "nodes": [profile]}))
        assert house.reload
        assert (await house.reload()).taken == ("nodes",)

        async def publish() -> list[str]:
            await house.bus.accept([{"type": node, "data": "hello"}])

            async def is_done() -> bool:
                return (await house.journal.status()).waiting == 0

            await until(is_done, 30, "the event to be delivered")
            return await kept(server, node)

        first = await publish()
        assert len(first) == 1
        assert await output._expiring.look() == []
        monkeypatch.setattr(output._expiring, "_clock", lambda: datetime.now(UTC) + timedelta(days=31))
        assert await output._expiring.look() == [node]
        assert (await house.status())["outputs"]["pubsub"]["expired"] == 1
        second = await publish()
        assert len(second) == 1
        assert second != first


async def test_r11_a_python_program_works_on_a_queue(daemon: Daemon, tmp_path: Path) -> None:
    """The program of the page: what returns is done, what raises is dead, `Again` is later."""
    (tmp_path / "thumbnails.py").write_text(block(PAGE, "python"))
    done = tmp_path / "done"
    with done.open("wb") as out:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", str(tmp_path / "thumbnails.py")),
            env={**daemon.environment, "PATH": os.environ["PATH"]},
            stdout=out,
            stderr=out,
        )
    try:
        await until_consumed_by(daemon, "thumbnails", 1)
        send = ("publish", "thumbnail.wanted", "--queue", "thumbnails")
        await daemon.command(*send, "--data", "file=a.png")
        await daemon.command(*send)
        await daemon.command(*send, "--severity", "debug", "--data", "file=b.png")

        async def settled() -> bool:
            queue = (await daemon.command("queue", "info", "thumbnails", "--json")).json
            dead = (await daemon.command("dead", "list", "--queue", "thumbnails", "--json")).out
            return queue["waiting"] == 1 and "ValueError: no file is named" in dead and "a.png" in done.read_text()

        await until(settled, 30, "one done, one dead, one for later")
    finally:
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), 30) == 0
