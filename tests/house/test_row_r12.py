"""R12: a signal that matches a rule becomes an event with its arguments, and an event a signal; units of systemd that
fail are incidents; programs publish by a method. docs/howto/dbus.md, on a real dbus-daemon with Debian's own tools."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbus_fast import Message, MessageType, Variant

from tests.support.daemon import Daemon, bot_without_a_server, program
from tests.support.message_bus import AS_ON_A_SYSTEM_BUS, Bus, Systemd, connected, running
from tests.support.missing import need
from tests.support.pages import ROOT, blocks
from tests.support.waiting import until

PAGE = ROOT / "docs/howto/dbus.md"
WAIT = 30.0
HOST = os.uname().nodename
CONFIGS = [yaml.safe_load(text) for language, text in blocks(PAGE) if language == "yaml"]
LINES = "".join(text for language, text in blocks(PAGE) if language == "sh").splitlines()


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    """A message bus of our own."""
    with running(Bus(tmp_path / "bus")) as found:
        yield found


def on(bus: Bus, config: dict[str, Any]) -> dict[str, Any]:
    """A config of the page, on this bus."""
    found: dict[str, Any] = json.loads(json.dumps(config))
    for section in ("inputs", "outputs"):
        if "dbus" in found.get(section, {}):
            found[section]["dbus"]["bus"] = bus.address
    return found


@contextlib.asynccontextmanager
async def daemon_on(bus: Bus, directory: Path, config: dict[str, Any]) -> AsyncIterator[Daemon]:
    """A local bus that is on the message bus."""
    async with Daemon(directory / "house", config=on(bus, config)) as daemon:
        await is_up(daemon)
        yield daemon


async def is_up(daemon: Daemon, part: str = "dbus") -> None:
    """Its ways to the message bus are there."""

    async def there() -> bool:
        status = await daemon.status()
        ways = [status[section].get(part, {"state": "up"}) for section in ("inputs", "outputs")]
        return all(each["state"] == "up" for each in ways)

    await until(there, WAIT, "the connection to the bus", poll=0.05)


async def events(daemon: Daemon, count: int, pattern: str = "#") -> list[dict[str, Any]]:
    """The first so many events, once they are there."""
    done = await daemon.run("listen", pattern, "--since", "all", "--json", "-n", str(count), timeout=WAIT)
    return [json.loads(line)["event"] for line in done.out.splitlines()]


def line_of(tool: str) -> list[str]:
    """The page's line for a tool, as it stands there; the environment says where the system's bus is."""
    (line,) = [each for each in LINES if each.startswith(tool)]
    return shlex.split(line)


async def test_a_signal_that_matches_a_rule_is_an_event_with_its_arguments(bus: Bus, tmp_path: Path) -> None:
    """The page's rules, with its own line; what does not match is nothing."""
    need("gdbus")
    async with daemon_on(bus, tmp_path, CONFIGS[1]) as daemon:
        monitor = await asyncio.create_subprocess_exec(
            *(program(), "monitor", "--input", "dbus", "-n", "1"),
            env=daemon.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert monitor.stderr
        assert b"looking on" in await monitor.stderr.readline()
        command = line_of("gdbus emit")
        await asyncio.to_thread(bus.run, *[each.replace("org.example.sda", "com.example.sda") for each in command])
        await asyncio.to_thread(bus.run, *command)
        shown, _ = await asyncio.wait_for(monitor.communicate(), WAIT)
        assert b"in  dbus      accepted  disk.full  #1" in shown
        (event,) = await events(daemon, 1)
        sender = event["data"].pop("sender")
        assert re.fullmatch(r":1\.\d+", sender)
        assert event["type"] == "disk.full"
        assert event["summary"] == "org.example.sda is 97 % full"
        assert (event["key"], event["status"], event["severity"]) == ("disk org.example.sda", "firing", "warning")
        assert event["data"] == {
            "interface": "org.example.Disks",
            "member": "Full",
            "path": "/org/example/disks/sda",
            "arguments": ["org.example.sda", 97],
            "disk": "org.example.sda",
            "percent": 97,
        }


async def test_a_rule_for_a_sender_hears_nobody_else(bus: Bus, tmp_path: Path) -> None:
    """Anybody can send any signal; who owns a name is what the bus says, also when the name changes hands."""
    rule = {"interface": "org.example.Disks", "sender": "org.example.Disks", "args": {"arg0path": "/a/"}}
    # A second rule that lets the bus deliver the others' signals to us all the same.
    anybody = {"interface": "org.example.Disks", "type": "anybody"}
    async with daemon_on(bus, tmp_path, {"inputs": {"dbus": {"signals": [rule, anybody]}}}) as daemon:
        for number in range(2):
            async with connected(bus) as stranger, connected(bus) as owner:
                await owner.request_name("org.example.Disks")
                for each in (stranger, owner):
                    body = [f"/a/{number}", {"deep": Variant("av", [Variant("ay", b"\xff"), Variant("d", 0.5)])}]
                    await each.send(Message.new_signal("/x", "org.example.Disks", "Full", "sa{sv}", body))
                    await each.call(Message("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId"))
        found = await events(daemon, 6)
        assert sorted(each["type"] for each in found) == ["anybody"] * 4 + ["org.example.Disks.Full"] * 2
        chosen = [each["data"]["arguments"] for each in found if each["type"] != "anybody"]
        assert chosen == [[f"/a/{number}", {"deep": [{"base64": "/w=="}, 0.5]}] for number in range(2)]


async def test_units_that_fail_and_recover_are_one_incident(bus: Bus, tmp_path: Path) -> None:
    """With what systemd says of them; what happened while we were away is told too."""
    config = {**CONFIGS[0], **bot_without_a_server(tmp_path)}
    async with connected(bus) as connection:
        systemd = Systemd(connection)
        systemd.put("old.service", "failed", "timeout")
        await systemd.begin()
        async with daemon_on(bus, tmp_path, config) as daemon:
            await events(daemon, 1)
            await systemd.change("nginx.service", "failed", "exit-code", 1)
            found = await events(daemon, 2)
            assert [each["summary"] for each in found] == [
                "old.service failed: timeout",
                "nginx.service failed: exit-code, status 1",
            ]
            ((_, shown),) = [each for each in blocks(PAGE) if each[0] == "json"]
            assert found[1]["data"] == {**json.loads(shown), "host": HOST}
            assert found[1]["type"] == "systemd.unit"
            listening = await daemon.shell(
                next(each for each in LINES if each.startswith("xmppbus listen")) + " --since all -n 2"
            )
            assert "nginx.service failed: exit-code, status 1" in listening
            incidents = (await daemon.command("incidents", "--json")).out
            assert f'"{HOST}:nginx.service"' in incidents
            assert f'"{HOST}:old.service"' in incidents

            daemon.kill()
            await systemd.change("nginx.service", "active")
            await systemd.change("sshd.service", "failed", "signal", 9)
            await daemon.start()
            found = (await events(daemon, 4))[2:]
            assert {(each["key"], each["status"]) for each in found} == {
                (f"{HOST}:sshd.service", "firing"),
                (f"{HOST}:nginx.service", "resolved"),
            }
            await systemd.change("sshd.service", "activating")
            await systemd.change("sshd.service", "failed", "signal", 9)
            await systemd.change("sshd.service", "active")
            await systemd.unload("old.service")
            found = (await events(daemon, 7))[4:]
            assert [(each["key"], each["status"]) for each in found] == [
                (f"{HOST}:sshd.service", "firing"),
                (f"{HOST}:sshd.service", "resolved"),
                (f"{HOST}:old.service", "resolved"),
            ]

            async def none_open() -> bool:
                return HOST not in (await daemon.command("incidents", "--json")).out

            await until(none_open, WAIT, "all incidents to end")
            assert (await daemon.status())["journal"]["entries"] == 7


async def test_a_bus_and_a_systemd_that_go_away_are_heard_again(bus: Bus, tmp_path: Path) -> None:
    """By themselves; `status` says meanwhile why nothing comes."""
    async with daemon_on_waiting(bus, tmp_path, CONFIGS[0]) as daemon:

        async def reason() -> str:
            return str((await daemon.status())["inputs"]["dbus"].get("reason", ""))

        async def is_not_there() -> bool:
            return "systemd is not on this bus" in await reason()

        await until(is_not_there, WAIT, "no systemd")
        async with connected(bus) as connection:
            systemd = Systemd(connection)
            systemd.put("a.service", "failed", "exit-code", 1)
            await systemd.begin()
            await events(daemon, 1)
        bus.stop()

        async def is_gone() -> bool:
            return "there is no bus at" in await reason() or "lost" in await reason()

        await until(is_gone, WAIT, "the bus to be missed")
        bus.start()
        async with connected(bus) as connection:
            systemd = Systemd(connection)
            systemd.put("a.service", "active")
            await systemd.begin()
            found = await events(daemon, 2)
            assert [each["status"] for each in found] == ["firing", "resolved"]


@contextlib.asynccontextmanager
async def daemon_on_waiting(bus: Bus, directory: Path, config: dict[str, Any]) -> AsyncIterator[Daemon]:
    """One that need not be up yet."""
    async with Daemon(directory / "house", config=on(bus, config)) as daemon:
        yield daemon


async def test_programs_publish_by_a_method_and_have_the_item_id(bus: Bus, tmp_path: Path) -> None:
    """The page's lines for gdbus, busctl and dbus-send; a refusal has our words."""
    async with daemon_on(bus, tmp_path, CONFIGS[2]) as daemon:
        printed = [await asyncio.to_thread(bus.run, *line_of(tool)) for tool in ("gdbus call", "busctl", "dbus-send")]
        ids = [re.search(r"[0-9a-f-]{36}", each) for each in printed]
        found = await events(daemon, 3)
        assert [each["type"] for each in found] == ["user.signup", "disk.full", "job.done"]
        assert (found[0]["summary"], found[0]["severity"], found[0]["data"]) == (
            "alice joined",
            "notice",
            {"plan": "free"},
        )
        assert found[1]["key"] == "disk sda"
        for each in ids:
            assert each
            assert await daemon.show(each[0])
        async with connected(bus) as caller:

            async def call(signature: str, *body: Any, member: str = "Publish") -> Message:
                return await caller.call(
                    Message(
                        "internal.xmppbus",
                        "/internal/xmppbus",
                        "internal.xmppbus.Bus",
                        member,
                        signature=signature,
                        body=list(body),
                    )
                )

            refused = await call("ssa{sv}", "no type!", "", {})
            assert refused.message_type is MessageType.ERROR
            assert refused.error_name == "internal.xmppbus.Error.InvalidEvent"
            assert "is not dotted words" in refused.body[0]
            assert (await call("s", "a")).error_name == "org.freedesktop.DBus.Error.InvalidArgs"
            assert (await call("", member="Nothing")).error_name == "org.freedesktop.DBus.Error.UnknownMethod"
            assert (await call("ssa{ss}", "a", "b", {"severity": "notice"})).message_type is MessageType.METHOD_RETURN
            one = {"id": Variant("s", "one"), "source": Variant("s", "test")}
            assert (await call("ssa{sv}", "a", "", one)).body == (await call("ssa{sv}", "a", "", one)).body
            other = await call("ssa{sv}", "a", "other", one)
            assert other.error_name == "internal.xmppbus.Error.Conflict"
            introspected = await caller.introspect("internal.xmppbus", "/internal/xmppbus")
            assert "internal.xmppbus.Bus" in [each.name for each in introspected.interfaces]


async def test_the_policy_that_is_shipped_lets_us_own_the_name_and_else_the_reason_is_said(tmp_path: Path) -> None:
    """On a bus whose policy is that of the system's."""
    policy = (ROOT / "xmppbus/data/dbus/internal.xmppbus.conf").read_text()
    inside = re.search(r"<busconfig>(.*)</busconfig>", policy, re.DOTALL)
    assert inside
    allowed = inside[1]
    if os.geteuid():
        allowed = allowed.replace('user="root"', f'user="{os.geteuid()}"')
    # The user and the group of a package that is installed; there is none here, and dbus-daemon takes no unknown ones.
    allowed = re.sub(r'<policy (?:user|group)="xmppbus">.*?</policy>', "", allowed, flags=re.DOTALL)
    bare = Bus(tmp_path / "bare", AS_ON_A_SYSTEM_BUS.format(more=""))
    with running(bare):
        async with daemon_on_waiting(bare, tmp_path / "one", CONFIGS[2]) as daemon:

            async def is_said() -> bool:
                return "does not let us own internal.xmppbus" in str((await daemon.status())["inputs"]["dbus"])

            await until(is_said, WAIT, "the reason")
    system = Bus(tmp_path / "system", AS_ON_A_SYSTEM_BUS.format(more=allowed))
    with running(system):
        async with daemon_on(system, tmp_path / "two", CONFIGS[2]) as daemon:
            await asyncio.to_thread(system.run, *line_of("gdbus call"))
            assert (await events(daemon, 1))[0]["summary"] == "alice joined"


async def test_an_event_is_emitted_as_a_signal(bus: Bus, tmp_path: Path) -> None:
    """To dbus-monitor as the page has it, to a program that picks by the first argument; and after a break."""
    heard: asyncio.Queue[Message] = asyncio.Queue()
    config = {**CONFIGS[3], "inputs": {"dbus": {"signals": [{"path": "/internal/xmppbus"}]}}}
    async with daemon_on(bus, tmp_path, config) as daemon:
        monitor = await asyncio.create_subprocess_exec(
            *line_of("dbus-monitor"), stdout=asyncio.subprocess.PIPE, env=bus.environment
        )
        assert monitor.stdout
        async with connected(bus) as listener:
            listener.add_message_handler(
                lambda message: heard.put_nowait(message) if message.member in ("Event", "Full") else None
            )
            rule = "type='signal',arg0namespace='disk'"
            await listener.call(
                Message("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "AddMatch", signature="s", body=[rule])
            )
            while b"NameAcquired" not in await monitor.stdout.readline():
                pass
            item_id = (await daemon.command("publish", "disk.full", "97 %")).out.strip()
            signals = [await asyncio.wait_for(heard.get(), WAIT) for _ in range(2)]
            assert {(each.interface, each.member) for each in signals} == {
                ("internal.xmppbus.Events", "Event"),
                ("org.example.Disks", "Full"),
            }
            for each in signals:
                assert each.path == "/internal/xmppbus"
                assert each.signature == "sss"
                assert each.body[:2] == ["disk.full", item_id]
                assert json.loads(each.body[2])["data"] == "97 %"
            shown = await asyncio.wait_for(monitor.stdout.readuntil(item_id.encode()), WAIT)
            assert b"interface=internal.xmppbus.Events; member=Event" in shown
        monitor.terminate()
        await monitor.wait()
        await daemon.until_nothing_waits(WAIT)
        assert (await daemon.status())["journal"]["entries"] == 1, "our own signals do not go round"
        bus.stop()
        await daemon.command("publish", "disk.full", "98 %")
        bus.start()
        await daemon.until_nothing_waits(WAIT)
