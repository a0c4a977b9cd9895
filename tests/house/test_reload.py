"""`xmppbus reload` and SIGHUP: a new config holds without a restart, or the old one does, and it is said why."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemon import Daemon, program
from tests.support.waiting import until

EXIT_CONFIG = 78

PLUGIN = '''
"""An output that writes what it is given into a file, and says over HTTP which."""

from pathlib import Path

from xmppbus.journal import DELIVERED
from xmppbus.web import json_answer


class Writer:
    def __init__(self, house, options):
        self.path = Path(options["path"])
        if house.web:
            house.web.route("GET", "/writer", self.get)

    async def get(self, request):
        return json_answer(200, {"path": str(self.path)})

    async def __aenter__(self):
        if self.path.name == "broken":
            raise OSError("there is no such place")
        self.note("opened")
        return self

    async def __aexit__(self, *exc_info):
        self.note("closed")

    def note(self, text):
        with self.path.open("a") as file:
            file.write(text + "\\n")

    async def ready(self):
        pass

    async def deliver_run(self, place, deliveries):
        for delivery in deliveries:
            self.note(f"{place} {delivery.event.get('data')}")
            yield DELIVERED

    def status(self):
        return {"state": "up", "path": str(self.path)}


class Counter:
    def __init__(self, options):
        self.count = options.get("from", 0)

    async def analyze(self, event):
        self.count += 1
        return [event.evolve(data=f"{event.get('data')} {self.count}")]


def register(registry):
    registry.output("writer", Writer)
    registry.analyzer("counter", Counter)
'''


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """A local bus with a plugin that offers an output and an analyzer, and no route to it yet."""
    (tmp_path / "writer.py").write_text(PLUGIN)
    async with Daemon(tmp_path / "bus", config=config(tmp_path)) as found:
        yield found


def config(tmp_path: Path, *, file: str = "written", **more: Any) -> dict[str, Any]:
    """What the fixture's daemon has beside its paths."""
    return {
        "plugins": [str(tmp_path / "writer.py")],
        "outputs": {"writer": {"path": str(tmp_path / file)}},
        **more,
    }


def route(name: str = "a", to: str = "writer:place", **more: Any) -> dict[str, Any]:
    """A route to the plugin's output."""
    return {"name": name, "to": [to], **more}


def written(tmp_path: Path, file: str = "written") -> list[str]:
    """What the output has written."""
    path = tmp_path / file
    return path.read_text().splitlines() if path.exists() else []


async def test_new_routes_hold_for_what_comes_and_none_is_dropped(daemon: Daemon, tmp_path: Path) -> None:
    """What was accepted keeps its deliveries."""
    await daemon.command("publish", "a.b", "before")
    daemon.configure(None, config=config(tmp_path, routes=[route()]))
    assert (await daemon.command("reload")).out == "the config holds; new: routes\n"
    await daemon.command("publish", "a.b", "after")
    await until(lambda: "place after" in written(tmp_path), 5, "the event to be delivered")
    daemon.configure(None, config=config(tmp_path, routes=[route(to="writer:other")]))
    await daemon.command("reload")
    await daemon.command("publish", "a.b", "again")
    await until(lambda: "other again" in written(tmp_path), 5, "the event to be delivered elsewhere")
    assert written(tmp_path) == ["opened", "place after", "other again"], "the output was not opened anew"


@pytest.mark.parametrize("by", ["command", "signal"])
async def test_a_config_that_cannot_be_used_leaves_the_old_one(daemon: Daemon, tmp_path: Path, by: str) -> None:
    """With the place of each mistake, exit 78, and in the log; everything goes on."""
    daemon.configure(None, config=config(tmp_path, routes=[route()]))
    await daemon.command("reload")
    daemon.config_file.write_text("routes:\n  - name: a\n    two: [writer]\nxnpp: {}\n")
    if by == "command":
        done = await daemon.run("reload")
        assert done.code == EXIT_CONFIG
        assert f"{daemon.config_file}:3:5: there is no option `two`" in done.err
        assert f"{daemon.config_file}:4:1: there is no option `xnpp`" in done.err
        assert done.err.endswith("xmppbus: the old config holds\n")
        found = (await daemon.run("reload", "--json")).json
        assert (found["exit"], len(found["errors"])) == (EXIT_CONFIG, 3)
    else:
        os.kill(daemon.pid or 0, signal.SIGHUP)
        await until(lambda: "there is no option `xnpp`" in daemon.log(), 5, "the log to say why")
    assert f"{daemon.config_file}:3:5" in daemon.log()
    await daemon.command("publish", "a.b", "still")
    await until(lambda: "place still" in written(tmp_path), 5, "the old route to work")


async def test_sighup_takes_a_new_config(daemon: Daemon, tmp_path: Path) -> None:
    """As `kill -HUP` and `systemctl reload` with `Type=notify-reload` do it."""
    daemon.configure(None, config=config(tmp_path, routes=[route()]))
    os.kill(daemon.pid or 0, signal.SIGHUP)
    await until(lambda: "holds; new: routes" in daemon.log(), 5, "the config to hold")
    await daemon.command("publish", "a.b", "after")
    await until(lambda: "place after" in written(tmp_path), 5, "the event to be delivered")


async def test_what_needs_a_restart_is_said_and_the_rest_is_taken(daemon: Daemon, tmp_path: Path) -> None:
    """By name, in the answer, in `status` and by `check`, until the restart."""
    old = daemon.config_file.read_text()
    changed = yaml.safe_load(old) | {"routes": [route()], "source": "elsewhere"}
    changed["journal"] = {"path": str(tmp_path / "other.db"), "keep": {"days": 3}}
    daemon.config_file.write_text(yaml.safe_dump(changed))
    checked = await daemon.run("check")
    assert "has changed since the daemon" in checked.out, checked
    done = await daemon.command("reload")
    assert done.out.splitlines() == [
        "the config holds; new: routes, journal.keep.days, source",
        "needs a restart: journal.path",
    ]
    status = await daemon.status()
    assert status["config"]["restart"] == ["journal.path"]
    assert "needs a restart: journal.path" in (await daemon.command("status")).out
    assert "has changed since the daemon" not in (await daemon.run("check")).out
    assert "needs a restart: journal.path" in (await daemon.run("check")).out
    item_id = (await daemon.command("publish", "a.b", "after")).out.strip()
    assert (await daemon.show(item_id))["event"]["source"] == "elsewhere"
    daemon.config_file.write_text(old)
    await daemon.command("reload")
    status = await daemon.status()
    assert (status["config"]["restart"], status["journal"]["waiting"]) == ([], 0)
    assert not any("restart" in notice for notice in status["notices"])


async def test_what_waits_for_an_output_or_a_station_that_has_gone_is_held_and_shown(
    daemon: Daemon, tmp_path: Path
) -> None:
    """And goes on once the config has it again."""
    daemon.configure(None, config=config(tmp_path, routes=[route(via=["counter"])]))
    await daemon.command("reload")
    stop = tmp_path / "written"
    await daemon.command("publish", "a.b", "one")
    await until(lambda: "place one 1" in written(tmp_path), 5, "the first to be delivered")
    with_neither = config(tmp_path) | {"outputs": {}}
    daemon.configure(None, config=with_neither)
    assert (await daemon.command("reload")).out == "the config holds; new: routes, outputs\n"
    assert written(tmp_path)[-1] == "closed"
    assert "writer" not in (await daemon.status())["outputs"]
    # A route whose output has gone can't be written down, so what waits there is accepted before.
    daemon.configure(None, config=config(tmp_path, routes=[route(), route("b", "writer:slow", via=["counter"])]))
    await daemon.command("reload")
    stop.unlink()
    stop.mkdir()  # nothing can be written for now
    await daemon.command("publish", "a.b", "two")

    async def stopped() -> bool:
        return bool((await daemon.status())["stopped"])

    await until(stopped, 5, "the place to be stopped")
    daemon.configure(None, config=with_neither)
    await daemon.command("reload")
    shown = (await daemon.status())["outputs"]["writer"]
    assert (shown["state"], shown["waiting"]) == ("missing", 2)
    assert "held" in shown["reason"]
    daemon.configure(None, config=config(tmp_path, file="again", routes=[route()]))
    await daemon.command("reload")
    await daemon.until_nothing_waits(10)
    assert sorted(written(tmp_path, "again")) == ["opened", "place two", "slow two 1"]


async def test_stations_of_a_route_whose_via_is_as_it_was_keep_their_state(daemon: Daemon, tmp_path: Path) -> None:
    """Those of the others are made anew."""
    kept = route("kept", "writer:kept", via=["counter"])
    anew = route("anew", "writer:anew", via=["counter"])
    daemon.configure(None, config=config(tmp_path, routes=[kept, anew]))
    await daemon.command("reload")
    await daemon.command("publish", "a.b", "one")
    await until(lambda: len(written(tmp_path)) == 3, 5, "both to be delivered")
    anew["via"] = [{"counter": {"from": 40}}]
    kept["match"] = "a.#"
    daemon.configure(None, config=config(tmp_path, routes=[kept, anew]))
    await daemon.command("reload")
    await daemon.command("publish", "a.b", "two")
    await until(lambda: len(written(tmp_path)) == 5, 5, "both to be delivered")
    assert sorted(written(tmp_path)[3:]) == ["anew two 41", "kept two 2"]


async def test_an_output_with_other_options_takes_the_place_of_the_old_one(daemon: Daemon, tmp_path: Path) -> None:
    """Also what it serves over HTTP; one that can't be opened leaves the old one, and everything else, as it was."""
    daemon.configure(None, config=config(tmp_path, routes=[route()]))
    await daemon.command("reload")
    assert json.loads((await daemon.request("GET", "/writer"))[1]) == {"path": str(tmp_path / "written")}
    daemon.configure(None, config=config(tmp_path, file="broken", routes=[], source="never"))
    done = await daemon.run("reload")
    assert (done.code, "there is no such place" in done.err) == (EXIT_CONFIG, True)
    daemon.configure(None, config=config(tmp_path, routes=[route()], outputs={"writer": {"path": 5}}))
    assert "`writer` can't be used" in (await daemon.run("reload")).err
    await daemon.command("publish", "a.b", "one")
    await until(lambda: "place one" in written(tmp_path), 5, "the old one to deliver")
    daemon.configure(None, config=config(tmp_path, file="new", routes=[route()]))
    await daemon.command("reload")
    assert written(tmp_path)[-1] == "closed"
    assert json.loads((await daemon.request("GET", "/writer"))[1]) == {"path": str(tmp_path / "new")}
    await daemon.command("publish", "a.b", "two")
    await until(lambda: "place two" in written(tmp_path, "new"), 5, "the new one to deliver")


async def test_what_goes_with_a_restart_is_not_taken_in_half(daemon: Daemon, tmp_path: Path) -> None:
    """A route to people needs the bot, which comes with a restart: nothing of that config is taken before."""
    (daemon.directory / "secret").write_text("secret")
    server = {"component": "bus.localhost", "secret_file": "secret"}
    people = config(tmp_path, routes=[route(), route("b", "chat:romeo@localhost")], xmpp=server)
    daemon.configure(None, config=people)
    done = await daemon.run("reload")
    assert done.code == EXIT_CONFIG
    assert "needs a restart: xmpp, bot" in done.err
    assert "nothing of it is taken now" in done.err
    assert (await daemon.status())["config"]["restart"] == []


async def test_a_terminal_that_is_closed_ends_the_daemon_that_it_shows(tmp_path: Path) -> None:
    """That is SIGHUP as well, and nobody asked for a daemon that nobody sees."""
    daemon = Daemon(tmp_path / "bus")
    ours, its = pty.openpty()
    command = ("setsid", "--ctty", program(), *daemon.arguments)
    process = await asyncio.create_subprocess_exec(*command, stdin=its, stdout=its, stderr=its, env=daemon.environment)
    os.close(its)
    os.set_blocking(ours, False)
    said = bytearray()

    def is_up() -> bool:
        with contextlib.suppress(BlockingIOError):
            said.extend(os.read(ours, 65_536))
        return b"the bus is up" in said

    await until(is_up, 10, "the daemon to say that it is up")
    assert b"\x1b[33mWARNING\x1b[0m" in said, "it is a terminal"
    os.close(ours)
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_several_at_once_take_turns(daemon: Daemon) -> None:
    """Each has the file read again."""
    reads = await asyncio.gather(*(daemon.command("reload") for _ in range(3)))
    assert {done.out for done in reads} == {"the config holds; new: nothing\n"}
