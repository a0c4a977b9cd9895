"""A real dbus-daemon of our own, and a service on it that speaks as systemd's manager does."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import monotonic, time_ns
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.support.missing import need
from xmppbus.dbus.names import unit_path

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>{kind}</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  {policy}
</busconfig>
"""
EVERYTHING = """<policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>"""
AS_ON_A_SYSTEM_BUS = """<policy context="default">
    <allow user="*"/><deny own="*"/><deny send_type="method_call"/>
    <allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/>
    <allow receive_type="error"/><allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  {more}"""
START_TIMEOUT = 20.0

SYSTEMD = "org.freedesktop.systemd1"
MANAGER = "org.freedesktop.systemd1.Manager"
UNIT = "org.freedesktop.systemd1.Unit"


class Bus:
    """A dbus-daemon that can be stopped and started."""

    def __init__(self, directory: Path, policy: str = EVERYTHING, kind: str = "session") -> None:
        need("dbus-daemon")
        directory.mkdir(parents=True, exist_ok=True)
        self.socket = directory / "bus"
        self._config = directory / "bus.conf"
        self._config.write_text(CONFIG.format(kind=kind, socket=self.socket, policy=policy))
        self.address = f"unix:path={self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it listens."""
        self.socket.unlink(missing_ok=True)
        command = ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--nopidfile", "--print-address"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout
        deadline = monotonic() + START_TIMEOUT
        assert self._process.stdout.readline().strip(), "the bus says where it listens"
        assert monotonic() < deadline

    def stop(self) -> None:
        """At once, as a crash."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
            assert process.stdout
            process.stdout.close()

    @property
    def environment(self) -> dict[str, str]:
        """For programs that are to find it, as either bus."""
        return {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address, "DBUS_SESSION_BUS_ADDRESS": self.address}

    def run(self, *command: str) -> str:
        """What a program of Debian's prints that speaks to it; it must exit with 0."""
        need(command[0])
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{command}: {done}"
        return done.stdout


@contextmanager
def running(bus: Bus) -> Iterator[Bus]:
    """Until the end of the block."""
    bus.start()
    try:
        yield bus
    finally:
        bus.stop()


@asynccontextmanager
async def connected(bus: Bus) -> AsyncIterator[MessageBus]:
    """A connection of the test's own."""
    connection = await MessageBus(bus_address=bus.address).connect()
    try:
        yield connection
    finally:
        connection.disconnect()
        ending = asyncio.ensure_future(connection.wait_for_disconnect())  # type: ignore[no-untyped-call]  # the library's
        await asyncio.wait({ending}, timeout=5)
        if ending.done() and not ending.cancelled():
            ending.exception()


class Systemd:
    """Owns org.freedesktop.systemd1 and answers what systemd's manager and units answer, with the same signatures.

    As org.freedesktop.systemd1(5) has them, of systemd 252: `Subscribe()`, `ListUnitsFiltered(as) -> a(ssssssouso)`,
    `Properties.GetAll(s) -> a{sv}` of units, the signals PropertiesChanged (sa{sv}as), JobRemoved (uoss) and
    UnitRemoved (so), which are sent to subscribers only.
    """

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self.units: dict[str, dict[str, Any]] = {}
        self.subscribers: set[str] = set()
        bus.add_message_handler(self._answer)

    async def begin(self) -> None:
        """Own the name."""
        await self._bus.request_name(SYSTEMD)

    def put(self, unit: str, state: str, result: str = "success", status: int = 0) -> None:
        """How a unit is, without a word."""
        found = self.units.setdefault(unit, {"Description": f"The unit {unit}", "InactiveEnterTimestamp": 0})
        found |= {"ActiveState": state, "SubState": state, "Result": result, "ExecMainStatus": status}
        if state in ("failed", "inactive"):
            found["InactiveEnterTimestamp"] = time_ns() // 1000

    async def change(self, unit: str, state: str, result: str = "success", status: int = 0) -> None:
        """A unit changes: its properties are told, and its job is removed."""
        self.put(unit, state, result, status)
        about = self.units[unit]
        changed = {
            "ActiveState": Variant("s", state),
            "SubState": Variant("s", state),
            "InactiveEnterTimestamp": Variant("t", about["InactiveEnterTimestamp"]),
        }
        for _ in range(2):  # systemd often tells it again with the next property
            await self._signal(
                unit_path(unit), "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", [UNIT, changed, []]
            )
        job = [7, "/org/freedesktop/systemd1/job/7", unit, "failed" if state == "failed" else "done"]
        await self._signal("/org/freedesktop/systemd1", MANAGER, "JobRemoved", "uoss", job)

    async def unload(self, unit: str) -> None:
        """A unit that failed is collected."""
        del self.units[unit]
        await self._signal("/org/freedesktop/systemd1", MANAGER, "UnitRemoved", "so", [unit, unit_path(unit)])

    async def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        for subscriber in self.subscribers:  # systemd sends to its subscribers alone
            message = Message.new_signal(path, interface, member, signature, body)
            message.destination = subscriber
            await self._bus.send(message)

    def _answer(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.interface == MANAGER and message.member == "Subscribe":
            if message.sender in self.subscribers:
                return Message.new_error(
                    message, "org.freedesktop.systemd1.AlreadySubscribed", "Client is already subscribed."
                )
            self.subscribers.add(message.sender or "")
            return Message.new_method_return(message)
        if message.interface == MANAGER and message.member == "ListUnitsFiltered":
            (wanted,) = message.body
            listed = [
                [
                    name,
                    each["Description"],
                    "loaded",
                    each["ActiveState"],
                    each["SubState"],
                    "",
                    unit_path(name),
                    0,
                    "",
                    "/",
                ]
                for name, each in self.units.items()
                if each["ActiveState"] in wanted
            ]
            return Message.new_method_return(message, "a(ssssssouso)", [listed])
        if message.member == "GetAll":
            return self._properties(message)
        return None

    def _properties(self, message: Message) -> Message:
        for name, each in self.units.items():
            if unit_path(name) == message.path:
                kinds = {"InactiveEnterTimestamp": "t", "ExecMainStatus": "i"}
                of_service = ("Result", "ExecMainStatus")
                is_unit = message.body[0] == UNIT
                found = {
                    key: Variant(kinds.get(key, "s"), value)
                    for key, value in each.items()
                    if (key in of_service) is not is_unit
                }
                return Message.new_method_return(message, "a{sv}", [found])
        return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownObject", "Unknown object.")
