"""R15, results of builds: a CI's webhook becomes an event, and its number is plotted over time."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.servers.talking import bare, person
from tests.support.daemon import Daemon
from tests.support.http_client import ask
from tests.support.raw import RawStream
from tests.support.raw_xml import Stanza
from tests.support.room_owner import RoomOwner
from tests.support.server import Server, ServerFactory
from tests.support.uploading import fetched, uploading
from tests.support.waiting import until
from tests.support.webhooks import recorded

SOON = 20.0
OUT_OF_BAND = "{jabber:x:oob}"
PNG = b"\x89PNG\r\n\x1a\n"
BUILDS = (("linux-amd64", 312.0), ("windows", 518.0))
WEEKS = 26
SMALL = ("--width", "640", "--height", "400")  # as the bot draws it: for a phone
FORM = {"pattern": "build.#", "field": "data.seconds", "since": "200d", "by": "key"}


def builds() -> bytes:
    """Half a year of builds on two machines, one a week; in the middle they become faster. One was not measured."""
    now = datetime.now(UTC)
    lines: list[dict[str, Any]] = [{"type": "build.finished", "id": "broken", "data": {"seconds": None}}]
    for name, seconds in BUILDS:
        for week in range(WEEKS):
            taken = seconds * (0.7 if week > WEEKS // 2 else 1.0) + week % 5
            time = (now - timedelta(weeks=WEEKS - 1 - week)).isoformat()
            event = {"type": "build.finished", "id": f"{name}-{week}", "key": name, "time": time}
            lines.append({**event, "data": {"seconds": taken}})
    return "\n".join(json.dumps(each) for each in lines).encode()


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height."""
    assert png[:8] == PNG, png[:200]
    found: tuple[int, int] = struct.unpack(">II", png[16:24])
    return found


@asynccontextmanager
async def plotting(server: Server, directory: Path, config: dict[str, Any]) -> AsyncIterator[Daemon]:
    """The daemon, which trusts the server's certificate, with half a year of builds in it."""
    daemon = Daemon(directory, server, config=config)
    written = yaml.safe_load(daemon.config_file.read_text())
    written.setdefault("xmpp", {})["ca_file"] = str(server.certificate)
    daemon.config_file.write_text(yaml.safe_dump(written))
    async with daemon:
        await daemon.command("publish", "--json", "-", "--lines", "--output", "none", input=builds())
        await until(lambda: f"{server.component_jid} is up" in daemon.log(), SOON, "a session")
        yield daemon


def urls(stream: RawStream, sender: str) -> list[str]:
    """Addresses out of band, of messages whose body is nothing else, from a bare JID."""
    return [url for each in stream.stanzas if (url := _url(each, sender))]


def _url(stanza: Stanza, sender: str) -> str:
    url = stanza.element.findtext(f"{OUT_OF_BAND}x/{OUT_OF_BAND}url") or ""
    bodies = [each.text or "" for each in stanza.element if each.tag.endswith("}body")]
    return url if stanza.get("from").partition("/")[0] == sender and bodies == [url] else ""


def texts(stream: RawStream, sender: str) -> Sequence[str]:
    """What was said by a bare JID, bar addresses."""
    return [
        each.text or ""
        for stanza in stream.stanzas
        if stanza.get("from").partition("/")[0] == sender
        for each in stanza.element
        if each.tag.endswith("}body") and not (each.text or "").startswith("https://")
    ]


def submitted(node: str, fields: dict[str, str]) -> str:
    """An ad-hoc command with its form filled in (XEP-0050)."""
    inner = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in fields.items())
    form = f"<x xmlns='jabber:x:data' type='submit'>{inner}</x>"
    return f"<command xmlns='http://jabber.org/protocol/commands' node='{node}' action='execute'>{form}</command>"


async def test_r15_a_number_is_plotted_over_time_in_chat_by_the_command_line_and_over_http(
    server_name: str, own_server: ServerFactory, tmp_path: Path
) -> None:
    """A person asks the bot, alone and in a room: a line of text with a curve in it, then the picture, which their
    client fetches from the server. The same chart comes out of the other doors."""
    server = await uploading(own_server, server_name, tmp_path)
    async with await person(server, "romeo") as romeo:
        me, bot = bare(romeo), f"bot@{server.component_jid}"
        owner = RoomOwner(romeo)
        room = await owner.make("ops", whois="anyone")
        config = {"bot": {"affiliations": {me: "owner"}, "rooms": [{"jid": room}]}}
        async with plotting(server, tmp_path / "bus", config) as daemon:
            romeo.write(f"<message to='{bot}' type='chat'><body>plot build.# data.seconds 200d key</body></message>")
            await romeo.until(lambda: len(urls(romeo, bot)) == 1, SOON)
            (said,) = texts(romeo, bot)
            head, *curves = said.splitlines()
            assert head == "build.# data.seconds, the last 200d, 1 not a number"
            assert [line.split()[0] for line in curves] == ["linux-amd64", "windows"]
            assert "▁" in curves[0]
            assert "min 218.4 s · mean" in curves[0]
            (url,) = urls(romeo, bot)
            kind, picture = await fetched(url, server)
            assert kind == "image/png"
            assert size_of(picture) == (960, 600)

            owner.say(room, "!plot build.# data.seconds 200d key")
            await romeo.until(lambda: len(urls(romeo, room)) == 1, SOON)
            assert (await fetched(urls(romeo, room)[0], server))[1] == picture
            assert any("▁" in each for each in texts(romeo, room))

            shown = "".join((await romeo.iq("set", bot, submitted("plot", FORM))).element.itertext())
            assert "▁" in shown
            (address,) = re.findall(r"https://\S+?\.png", shown)
            assert (await fetched(address, server))[1] == picture

            asked = ("build.#", "--field", "data.seconds", "--since", "200d", "--by", "key")
            await daemon.command("plot", *asked, "--out", "builds.png", *SMALL)
            assert (daemon.directory / "builds.png").read_bytes() == picture
            path = "/v1/plot/build.%23.png?field=data.seconds&since=200d&by=key&width=640&height=400"
            answer = await ask(daemon.url, "GET", path)
            assert (answer.status, answer.headers["content-type"], answer.body) == (200, "image/png", picture)


async def test_r15_without_an_upload_service_there_is_the_curve_in_text_and_check_has_the_lines(
    server: Server, tmp_path: Path
) -> None:
    """The person is told that there is no picture; whoever runs the bus is told what to do."""
    async with await person(server, "romeo") as romeo:
        bot = f"bot@{server.component_jid}"
        config = {"bot": {"affiliations": {bare(romeo): "owner"}}}
        async with plotting(server, tmp_path / "bus", config) as daemon:
            romeo.write(f"<message to='{bot}' type='chat'><body>Plot build.# data.seconds 200d</body></message>")
            await romeo.until(lambda: len(texts(romeo, bot)) == 2, SOON)
            curve, why = texts(romeo, bot)
            assert "█" in curve.splitlines()[1]
            assert why.startswith("There is no picture: the server takes no picture (localhost offers no upload")
            assert "the lines for the server are in docs/howto/prosody.md" in daemon.log()
        found = (await daemon.run("check", "--json")).json["findings"]
        (about,) = [each for each in found if each["about"] == "pictures"]
        assert about["level"] == "doubt"
        assert any("http_file_share" in lines for lines in about["paste"].values())
        assert any("mod_http_upload" in lines for lines in about["paste"].values())


def run_of(week: int) -> tuple[bytes, dict[str, str]]:
    """GitHub's webhook for a run of a workflow, as it was recorded, but of another week and with another length."""
    sent = recorded("github/workflow_run-completed")
    begun = datetime.now(UTC) - timedelta(weeks=WEEKS - 1 - week, minutes=20)
    ended = begun + timedelta(seconds=300 - 5 * week)
    body = json.loads(sent.body)
    times = {"created_at": begun.isoformat(), "run_started_at": begun.isoformat(), "updated_at": ended.isoformat()}
    body["workflow_run"] |= {**times, "id": week}
    return json.dumps(body).encode(), {**sent.headers, "x-github-delivery": f"delivery-{week}"}


async def test_r15_a_webhook_of_a_ci_becomes_an_event_whose_number_is_plotted(prosody: Server, tmp_path: Path) -> None:
    """Half a year of runs, each delivered twice: in chat as a curve, and as a picture for the display."""
    async with await person(prosody, "romeo") as romeo:
        bot = f"bot@{prosody.component_jid}"
        config = {"bot": {"affiliations": {bare(romeo): "owner"}}}
        async with Daemon(tmp_path / "bus", prosody, config=config) as daemon:
            for week in range(WEEKS):
                body, headers = run_of(week)
                for status in (202, 200):
                    answer = await ask(daemon.url, "POST", "/v1/webhooks/github", body, headers)
                    assert answer.status == status
            await until(lambda: f"{prosody.component_jid} is up" in daemon.log(), SOON, "a session")
            asked = "plot github.workflow_run data.seconds 200d key"
            romeo.write(f"<message to='{bot}' type='chat'><body>{asked}</body></message>")
            await romeo.until(lambda: len(texts(romeo, bot)) >= 1, SOON)
            curve = texts(romeo, bot)[0]
            assert "█" in curve
            assert "min 175 s" in curve
            path = "/v1/plot/github.workflow_run{}?field=data.seconds&since=200d&by=key"
            picture = await ask(daemon.url, "GET", path.format(".png"))
            assert (picture.status, picture.body[:8]) == (200, PNG)
            values = (await ask(daemon.url, "GET", path.format(".json"))).body.decode()
            assert "octo-org/octo-repo test" in values
