"""`xmppbus publish` as its users have it: on a local bus, in processes of its own."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, program

TEXTS = ("alice joined", "Grüße, 世界 🎉", "a\tb\r\nc\n", "\x1b[31mred\x1b[0m \x07", "-", "", " leading and trailing ")


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path) as started:
        yield started


async def events(daemon: Daemon) -> list[dict[str, object]]:
    """All there are, as `listen` shows them."""
    newest = (await daemon.status())["journal"]["newest"]
    if not newest:
        return []
    shown = await daemon.command("listen", "--since", "all", "-n", str(newest), "--json")
    return [json.loads(line)["event"] for line in shown.out.splitlines()]


async def test_publish_prints_the_item_id_under_which_the_event_can_be_shown(daemon: Daemon) -> None:
    """And nothing else: scripts read it."""
    published = await daemon.command("publish", "user.signup", "alice joined", "--severity", "notice")
    shown = await daemon.show(published.out.strip())
    assert published.err == ""
    assert shown["event"]["data"] == "alice joined"
    assert shown["event"]["severity"] == "notice"


async def test_publish_prints_json_for_programs(daemon: Daemon) -> None:
    """With the sequence, and whether it was known."""
    arguments = ("publish", "user.signup", "x", "--id", "1", "--source", "test", "--output", "json")
    first = (await daemon.command(*arguments)).json
    again = (await daemon.command(*arguments)).json
    assert first == {"id": first["id"], "sequence": 1, "result": "new", "deliveries": 0}
    assert again == {**first, "result": "known"}


async def test_the_same_name_with_other_content_is_a_bad_event(daemon: Daemon) -> None:
    """Exit 65, and the sequence that has the name."""
    await daemon.command("publish", "user.signup", "x", "--id", "1")
    refused = await daemon.run("publish", "user.signup", "y", "--id", "1")
    assert refused.code == 65
    assert "sequence 1" in refused.err


async def test_text_comes_from_a_pipe_when_there_is_none(daemon: Daemon) -> None:
    """`make deploy | xmppbus publish deploy.log`."""
    await daemon.command("publish", "deploy.log", input=b"built\ninstalled\n")
    await daemon.command("publish", "deploy.log", "-", input=b"\xff\xfe")
    first, second = await events(daemon)
    assert first["data"] == "built\ninstalled\n"
    assert second["data_base64"] == "//4="


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
async def test_every_text_arrives_as_it_was_given(daemon: Daemon, text: str) -> None:
    """From a pipe, byte for byte."""
    await daemon.command("publish", "a.text", input=text.encode())
    (event,) = await events(daemon)
    assert event.get("data", "") == text


async def test_an_argument_that_is_not_utf8_arrives_as_bytes(daemon: Daemon) -> None:
    """File names are bytes."""
    command = [program().encode(), b"publish", b"a.file", b"caf\xe9"]
    done = await asyncio.to_thread(subprocess.run, command, env=daemon.environment, check=True, capture_output=True)
    assert done.stderr == b""
    (event,) = await events(daemon)
    assert event["data_base64"] == "Y2Fm6Q=="


async def test_every_option_becomes_its_field(daemon: Daemon) -> None:
    """As CloudEvents name them."""
    options = {
        "summary": "Disk full",
        "severity": "critical",
        "link": "https://example.org/",
        "key": "disk:/",
        "status": "firing",
        "subject": "/",
        "source": "db1",
        "id": "17",
        "time": "2026-01-31T12:00:00Z",
        "expires": "2027-01-31T12:00:00Z",
        "replyto": "https://example.org/callback",
    }
    typed = [word for name, value in options.items() for word in (f"--{name}", value)]
    await daemon.command("publish", "disk.full", "is full", *typed, "--tag", "a", "--tag", "b", "--data", "used=91")
    (event,) = await events(daemon)
    assert event == {
        **options,
        "specversion": "1.0",
        "type": "disk.full",
        "tags": "a,b",
        "data": {"used": 91, "text": "is full"},
    }


async def test_a_whole_event_is_read_from_a_file_that_the_client_opens(daemon: Daemon) -> None:
    """Relative to where the user is, whatever the daemon may read."""
    inside = daemon.directory / "inside"
    inside.mkdir()
    (inside / "event.json").write_text('{"type": "user.signup", "data": {"plan": "free"}, "severity": "info"}')
    command = [program(), "publish", "--json", "event.json", "--severity", "warning"]
    await asyncio.to_thread(
        subprocess.run, command, env=daemon.environment, check=True, cwd=inside, capture_output=True
    )
    (event,) = await events(daemon)
    assert (event["type"], event["data"], event["severity"]) == ("user.signup", {"plan": "free"}, "warning")


async def test_a_file_that_is_not_there_is_said_with_its_name(daemon: Daemon) -> None:
    """And nothing is published."""
    done = await daemon.run("publish", "--json", "nowhere.json")
    assert done.code == 64
    assert "nowhere.json: No such file or directory" in done.err
    assert await events(daemon) == []


async def test_each_line_is_an_event_and_bad_ones_are_named(daemon: Daemon) -> None:
    """In order; the good ones are accepted, and the exit code tells."""
    good = b"".join(b'{"type": "n.%d"}\n' % number for number in range(2500))
    done = await daemon.run("publish", "--json", "-", "--lines", input=good + b'{"type": "a b"}\nnot json\n')
    assert done.code == 65
    assert len(done.out.splitlines()) == 2500
    assert "line 2501: type:" in done.err
    assert "line 2502: not a JSON object" in done.err
    assert [event["type"] for event in await events(daemon)] == [f"n.{number}" for number in range(2500)]


async def test_lines_are_published_as_they_come(daemon: Daemon) -> None:
    """`tail -f log | xmppbus publish log --lines` waits for no more than a line."""
    process = await asyncio.create_subprocess_exec(
        program(), "publish", "log", "--lines", env=daemon.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    for number in range(3):
        process.stdin.write(b"line %d\n" % number)
        item_id = (await asyncio.wait_for(process.stdout.readline(), 10)).decode().strip()
        assert (await daemon.show(item_id))["event"]["data"] == f"line {number}"
    process.stdin.close()
    assert await process.wait() == 0


async def test_a_shell_loop_keeps_its_standard_input(daemon: Daemon) -> None:
    """`while read x; do xmppbus publish t "$x"; done < file` sees every line of the file."""
    lines = daemon.directory / "lines"
    lines.write_text("one\ntwo\nthree\n")
    loop = f'while read -r x; do "{program()}" publish t "$x" || exit 1; done < "{lines}"'
    await asyncio.to_thread(subprocess.run, ["sh", "-c", loop], env=daemon.environment, check=True)
    assert [event["data"] for event in await events(daemon)] == ["one", "two", "three"]


async def test_twenty_publishers_at_once_are_all_accepted(daemon: Daemon) -> None:
    """Each with an item id of its own."""
    done = await asyncio.gather(*(daemon.command("publish", "t", f"text {number}") for number in range(20)))
    assert len({each.out for each in done}) == 20
    assert {event["data"] for event in await events(daemon)} == {f"text {number}" for number in range(20)}


async def test_a_client_works_with_its_standard_streams_closed(daemon: Daemon) -> None:
    """Cron does such things; the connection must not take their numbers."""
    line = f'"{program()}" publish t text <&- >&- 2>&-'
    await asyncio.to_thread(subprocess.run, ["sh", "-c", line], env=daemon.environment, check=True)
    assert [event["data"] for event in await events(daemon)] == ["text"]


async def test_a_full_standard_output_is_an_error_although_the_event_is_accepted(daemon: Daemon) -> None:
    """Exit 74, as of any program that can't print its result."""
    line = f'"{program()}" publish t text > /dev/full'
    done = await asyncio.to_thread(subprocess.run, ["sh", "-c", line], env=daemon.environment, capture_output=True)
    assert done.returncode == 74
    assert b"No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 64, "Missing argument 'TYPE'"),
        (("t", "x", "--severity", "bad"), 64, "is not one of 'debug', 'info'"),
        (("t", "x", "--severty", "info"), 64, "--severity"),
        (("t", "x", "y"), 64, "Try 'xmppbus publish --help' for help."),
        (("t", "x", "--status", "firing"), 64, "--status needs --key"),
        (("t", "x", "--lines"), 64, "--lines"),
        (("t", "x", "--data", "novalue"), 64, "NAME=VALUE"),
        (("bad type", "x"), 65, "user.signup"),
        (("t", "x", "--time", "yesterday"), 65, "RFC 3339"),
        (("t", "x", "--link", "example.org"), 65, "link: "),
        (("t", "x" * 100_000, "--summary", "s" * 2000), 65, "summary: has 2000 characters of at most 1000"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_published(
    daemon: Daemon, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """On standard error; standard output stays empty."""
    done = await daemon.run("publish", *arguments)
    assert done.code == code
    assert said in done.err
    assert done.out == ""
    assert await events(daemon) == []


async def test_an_event_over_the_limit_is_refused_before_it_is_read_to_its_end(daemon: Daemon) -> None:
    """A gigabyte on standard input costs nobody a gigabyte."""
    done = await daemon.run("publish", "t", input=bytes(1_000_000))
    assert done.code == 65
    assert "more than 262144 bytes" in done.err


async def test_a_local_bus_does_not_complain_that_nothing_is_routed(daemon: Daemon) -> None:
    """It is meant to be one."""
    assert (await daemon.command("publish", "t", "x")).err == ""


async def test_who_publishes_what_no_route_takes_is_told_so(tmp_path: Path) -> None:
    """R21: unroutable messages are noticed."""
    outputs = tmp_path / "plugin.py"
    outputs.write_text(
        "class Void:\n"
        "    async def __aenter__(self): return self\n"
        "    async def __aexit__(self, *exc): pass\n"
        "    async def ready(self): pass\n"
        "    def status(self): return {'state': 'up'}\n"
        "    async def deliver_run(self, place, deliveries):\n"
        "        from xmppbus.journal import DELIVERED\n"
        "        for each in deliveries: yield DELIVERED\n"
        "def register(registry): registry.output('void', lambda house, options: Void())\n"
    )
    route = {"name": "disks", "match": "disk.#", "to": ["void"]}
    async with Daemon(tmp_path / "bus", config={"plugins": [str(outputs)], "routes": [route]}) as daemon:
        taken = await daemon.command("publish", "disk.full", "x")
        unrouted = await daemon.command("publish", "user.signup", "x")
    assert taken.err == ""
    assert unrouted.err == "xmppbus: accepted, but no route takes it: kept for listeners only\n"


async def test_the_daemon_can_make_a_client_open_nothing_that_was_not_typed(tmp_path: Path) -> None:
    """A stranger's socket at $XMPPBUS_SOCKET asks for /etc/passwd and gets a refusal."""
    answers: list[bytes] = []

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"G\x00\x00\x00\x00")
        writer.write(b"i\x00\x00\x00\x0b/etc/passwd")
        answers.append(await reader.readexactly(1))
        writer.write(b"x\x00\x00\x00\x010")
        writer.close()

    path = tmp_path / "socket"
    async with await asyncio.start_unix_server(stranger, path):
        environment = {**os.environ, "XMPPBUS_SOCKET": str(path)}
        process = await asyncio.create_subprocess_exec(program(), "publish", "t", "x", env=environment)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    assert answers == [b"X"]
