"""Row R11 at RabbitMQ: it is consumed as an input, acknowledged after our commit, and published to with `mandatory`.

The broker is Debian's, and is killed while messages are on their way. docs/howto/rabbitmq.md is run line by line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import rabbitmq
from tests.support.amqp_client import FAULTS, client
from tests.support.daemon import Daemon
from tests.support.missing import is_missing
from tests.support.pages import ROOT, blocks
from tests.support.ports import free_port
from tests.support.rabbitmq import RabbitMQ
from tests.support.waiting import until
from xmppbus.amqp import tolerance
from xmppbus.amqp.link import Link
from xmppbus.amqp.options import Broker, BrokerOptions, broker_of
from xmppbus.errors import Code, Refused
from xmppbus.inputs.amqp import AmqpInput, AmqpInputOptions
from xmppbus.interfaces import Accepted
from xmppbus.journal import Result

PAGE = ROOT / "docs/howto/rabbitmq.md"
WAIT = 30.0
MESSAGES = 300


def tls_settings(directory: Path) -> str:
    """A listener with TLS that wants a certificate from whoever connects."""
    port = free_port()
    (directory / "tls-port").write_text(str(port))
    make = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout {0}.key -out {0}.pem"
    )
    name = " -subj /CN={1} -addext subjectAltName=DNS:localhost"
    signed = f"{make}{name} -addext basicConstraints=critical,CA:FALSE -CA {directory}/ca.pem -CAkey {directory}/ca.key"
    for file, line in {"ca": make + " -subj /CN=ca", "server": signed, "ours": signed, "stranger": make + name}.items():
        command = line.format(directory / file, file).split()
        subprocess.run(command, check=True, capture_output=True)
    return (
        f"listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {directory}/ca.pem\n"
        f"ssl_options.certfile = {directory}/server.pem\nssl_options.keyfile = {directory}/server.key\n"
        "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n"
    )


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMQ]:
    """One for all tests of this file: it takes seconds to start."""
    if not rabbitmq.available():
        is_missing("RabbitMQ", "apt-get install rabbitmq-server")
    with rabbitmq.rabbitmq(tls_settings) as running:
        yield running


def reach(broker: RabbitMQ, **more: Any) -> dict[str, Any]:
    """The option `broker`."""
    return {"url": f"amqp://127.0.0.1:{broker.port}/", **more}


async def until_up(daemon: Daemon, section: str = "inputs", name: str = "amqp") -> None:
    """It is connected, and its queues are consumed."""

    async def up() -> bool:
        return bool((await daemon.status())[section][name]["state"] == "up")

    await until(up, WAIT, f"{section}.{name} to be up", poll=0.1)


async def events_of(daemon: Daemon, pattern: str, count: int) -> list[dict[str, Any]]:
    """So many events of the journal, once they are there."""
    done = await daemon.run("listen", pattern, "--since", "all", "-n", str(count), "--json", timeout=WAIT)
    assert done.code == 0, f"{done}\n{daemon.log()[-3000:]}"
    return [json.loads(line)["event"] for line in done.out.splitlines()]


async def known(daemon: Daemon, pattern: str) -> list[dict[str, Any]]:
    """All that there is."""
    done = await daemon.command("get", pattern, "-n", "2000", "--json")
    return [json.loads(line)["event"] for line in done.out.splitlines() if line]


# --- the page ---------------------------------------------------------------------------------------------------------


async def test_the_lines_of_its_page_connect_a_bus_in_both_directions(broker: RabbitMQ, tmp_path: Path) -> None:
    """docs/howto/rabbitmq.md: a user of its own in a virtual host of its own, the two configs, and the policy."""
    daemon = Daemon(tmp_path / "bus")
    daemon.environment["PATH"] = f"{broker.on_path()}:{daemon.environment['PATH']}"
    texts = {kind: [text for language, text in blocks(PAGE) if language == kind] for kind in ("yaml", "shell", "sh")}
    user, policy = (each.replace("/etc/xmppbus", str(daemon.directory)) for each in texts["shell"])
    ctl = daemon.environment["PATH"].split(":")[0] + "/rabbitmqctl"
    shell = (user + policy + "rabbitmqctl set_permissions -p ops guest .\\* .\\* .\\*\n").replace("rabbitmqctl", ctl)
    await asyncio.to_thread(subprocess.run, ["/bin/sh", "-ec", shell], check=True, capture_output=True, timeout=60)
    config: dict[str, Any] = {}
    for text in texts["yaml"]:
        config |= yaml.safe_load(text.replace("rabbit.example.org", f"127.0.0.1:{broker.port}"))
    daemon.configure(None, config=config)
    async with daemon, client(f"{broker.url}ops") as other:
        await until_up(daemon)
        await until_up(daemon, "outputs")
        await other.queue("reader", "deploy.#")
        for line in texts["sh"][0].splitlines():
            await daemon.shell(line)
        message = await other.get("reader")
        assert message.routing_key == "deploy.done"
        assert json.loads(message.body)["data"] == "version 12 is out"
        await other.send("disk.full", b"/ is full", message_id="m1", app_id="df")
        (event,) = await events_of(daemon, "disk.#", 1)
        assert (event["source"], event["id"], event["data"]) == ("df", "m1", "/ is full")
        await other.queue("jobs")
        await (await other.channel.get_queue("jobs")).bind("amq.topic", "job.#")
        await other.send("job.x", b"poison", message_id="rejected")
        queue = await other.channel.get_queue("jobs")
        (given,) = [await queue.get()]
        await given.reject(requeue=False)
        assert (await other.get("xmppbus.dead")).message_id == "rejected", "by the policy of the page"
    assert daemon.log().count("WARNING xmppbus.amqp") == 0, daemon.log()


# --- nothing lost, nothing twice --------------------------------------------------------------------------------------


async def test_a_broker_that_is_killed_loses_nothing_and_makes_nothing_twice(broker: RabbitMQ, tmp_path: Path) -> None:
    """In both directions, with the daemon killed, too: a confirmed message is one event, and an event is a message."""
    config = {
        "inputs": {"amqp": {"broker": reach(broker), "bindings": [{"queue": "kills", "patterns": ["in.#"]}]}},
        "outputs": {"amqp": {"broker": reach(broker)}},
        "routes": [{"name": "out", "match": "out.#", "to": ["amqp:amq.topic/out"]}],
    }
    daemon = Daemon(tmp_path / "bus", config=config)
    confirmed: list[str] = []
    async with daemon:
        await until_up(daemon)
        async with client(broker.url) as other:
            await other.queue("kills.out", "out")
            sending = asyncio.create_task(_send(broker, confirmed))
            lines = b"".join(b"%d\n" % number for number in range(MESSAGES))
            publishing = asyncio.create_task(daemon.run("publish", "out.put", "--lines", input=lines, timeout=WAIT))

            async def half_way() -> bool:
                return len(confirmed) > MESSAGES // 4 and await other.depth("kills.out") > 0

            await until(half_way, WAIT, "some messages in both directions")
            await asyncio.to_thread(broker.kill)
        daemon.kill()
        await asyncio.gather(asyncio.to_thread(broker.start), daemon.start())
        await asyncio.gather(sending, publishing)
        await until_up(daemon)
        await daemon.until_nothing_waits(WAIT)
        async with client(broker.url) as other:

            async def drained() -> bool:
                return await other.depth("kills") == 0

            await until(drained, WAIT, "the queue to be empty", poll=0.1)
            sent = [message.message_id for message in await other.all("kills.out")]
        found = Counter(event["id"] for event in await known(daemon, "in.#"))
        assert set(found) == {str(number) for number in range(MESSAGES)} == set(confirmed)
        assert max(found.values()) == 1, "what was sent or delivered twice has the same id"
        done = await daemon.command("get", "out.#", "-n", "2000", "--json")
        accepted = [json.loads(line)["id"] for line in done.out.splitlines()]
        assert list(dict.fromkeys(sent)) == accepted, "all, in the order in which they were accepted"


async def _send(broker: RabbitMQ, confirmed: list[str]) -> None:
    """Messages one after the other, each until it is confirmed, as a careful program does."""
    left = [str(number) for number in range(MESSAGES)]

    async def sent() -> bool:
        with contextlib.suppress(*FAULTS):
            async with client(broker.url) as other:
                while left:
                    await other.send("in.put", left[0].encode(), message_id=left[0], app_id="sender")
                    confirmed.append(left.pop(0))
        return not left

    await until(sent, 2 * WAIT, "all to be confirmed", poll=0.1)


# --- refusals ---------------------------------------------------------------------------------------------------------


async def test_poison_goes_to_the_dead_letters_and_its_neighbours_are_events(broker: RabbitMQ, tmp_path: Path) -> None:
    """Also such that aio-pika itself can't read; and every message that is wrong ends there once."""
    bindings = [{"queue": "poison", "patterns": ["poison.#"]}]
    daemon = Daemon(tmp_path / "bus", config={"inputs": {"amqp": {"broker": reach(broker), "bindings": bindings}}})
    tolerance.install()  # here, too: the dead letters are read
    moment = datetime(2021, 3, 4, tzinfo=UTC)
    seconds = int(moment.timestamp())
    async with daemon, client(broker.url) as other:
        await until_up(daemon)
        await other.send("poison.a", b'{"half": ', content_type="application/json", message_id="half")
        await other.send("poison.a", b"x", headers={"cloudEvents:severity": "loud"}, message_id="loud")
        await other.send("poison.a", b"x" * 300_000, message_id="large")
        await other.send("poison.a", b"one", message_id="again")
        await other.send("poison.a", b"another", message_id="again")
        await other.send_raw(
            "poison.a", b"x", {"message_id": "XXXXXXXX"}, {b"XXXXXXXX": b"\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc"}
        )
        table: dict[str, Any] = {"headers": {"YYYYYYYY": "1"}, "message_id": "table"}
        await other.send_raw("poison.a", b"x", table, {b"YYYYYYYY": b"\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc"})
        nanoseconds = {seconds.to_bytes(8, "big"): (seconds * 10**9).to_bytes(8, "big")}
        await other.send_raw("poison.a", b"in time", {"timestamp": moment, "message_id": "time"}, nanoseconds)
        await other.send("poison.a", b"good", message_id="good")
        events = {event["id"]: event for event in await events_of(daemon, "poison.#", 3)}
        assert set(events) == {"again", "time", "good"}
        assert events["time"]["time"] == "2021-03-04T00:00:00Z"
        dead = [await other.get("poison.dead") for _ in range(6)]
        assert Counter(each.body[:9] for each in dead)[b"another"] == 1
        assert await other.depth("poison") == await other.depth("poison.dead") == 0
        status = (await daemon.status())["inputs"]["amqp"]
        assert (status["accepted"], status["rejected"]) == (3, 6)
        assert "severity: 'loud' is not one of" in daemon.log()
        assert "docs/howto/rabbitmq.md" in daemon.log()


async def test_what_nobody_is_bound_for_waits_until_somebody_is(broker: RabbitMQ, tmp_path: Path) -> None:
    """And holds up nobody else, not even the same event on its way to another place of the same exchange."""
    config = {
        "outputs": {
            "amqp": {"broker": reach(broker)},
            "amqp/lax": {"broker": reach(broker), "mandatory": False},
        },
        "routes": [
            {"name": "out", "match": "waits.#", "to": ["amqp", "amqp:amq.topic/bound", "amqp:gone/", "amqp/lax"]},
        ],
    }
    daemon = Daemon(tmp_path / "bus", config=config)
    async with daemon, client(broker.url) as other:
        await until_up(daemon, "outputs")
        await until_up(daemon, "outputs", "amqp/lax")
        await other.queue("bound", "bound")
        item_id = (await daemon.command("publish", "waits.here", "hello")).out.strip()
        assert (await other.get("bound")).message_id == item_id

        async def stopped() -> dict[str, Any]:
            status = await daemon.status()
            assert not status["outputs"]["amqp/lax"]["waiting"] or status["outputs"]["amqp"]["waiting"] > 2
            return {each["place"]: each for each in status["stopped"] if each["output"] == "amqp"}

        async def both() -> bool:
            return set(await stopped()) == {"waits.here", "gone/"}

        await until(both, WAIT, "two places to be stopped")
        found = await stopped()
        assert found["waits.here"]["condition"] == "recipient-unavailable"
        assert "no queue is bound to the exchange `amq.topic` for the key `waits.here`" in found["waits.here"]["text"]
        assert "no exchange 'gone' in vhost '/'; make the exchange" in found["gone/"]["text"]
        await other.queue("late", "waits.*")
        exchange = await other.channel.declare_exchange("gone", "fanout")
        await (await other.channel.get_queue("bound")).bind(exchange)
        assert (await other.get("late")).message_id == item_id
        assert (await other.get("bound")).routing_key == "waits.here"
        await daemon.until_nothing_waits(WAIT)


async def test_what_can_not_be_taken_now_waits_unacknowledged_and_is_tried_again(broker: RabbitMQ) -> None:
    """Without a storm; and a queue that drops what was given back twice drops none of it."""
    calls: list[int] = []
    full = True

    async def accept(sent: Sequence[Mapping[str, Any]], *, time: str = "") -> list[Accepted | Refused]:
        assert not time
        calls.append(len(sent))
        if full:
            raise Refused(Code.FULL, "the journal is full; nothing is lost")
        return [Accepted(Result.NEW, "", number, 0) for number in range(len(sent))]

    link = Link(Broker("127.0.0.1", broker.port, "/", "guest", "guest", None, 8), "test", random.random)
    taking = AmqpInput(link, AmqpInputOptions(queues=["full"], prefetch=10))
    async with client(broker.url) as other:
        limited: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": 2}
        await (await other.channel.declare_queue("full", durable=True, arguments=limited)).bind("amq.topic", "full")
        for number in range(25):
            await other.send("full", b"x", message_id=str(number))
        running = asyncio.create_task(taking.run(accept))
        try:
            await until(lambda: len(calls) > 3, WAIT, "some tries")
            assert taking.status()["state"] == "waiting"
            assert "the journal is full" in taking.status()["reason"]
            assert taking.status()["put_off"] >= 3
            full = False

            async def empty() -> bool:
                return taking.status()["accepted"] >= 25 and await other.depth("full") == 0

            await until(empty, 2 * WAIT, "all to be taken")
            assert taking.status()["state"] == "up"
        finally:
            running.cancel()
            await asyncio.wait({running})
        assert await other.depth("full") == 0, "all of it is acknowledged"
    assert len(calls) < 60


# --- reaching it ------------------------------------------------------------------------------------------------------


async def test_why_a_broker_can_not_be_used_is_said_in_plain_words(broker: RabbitMQ, tmp_path: Path) -> None:
    """A wrong password, a virtual host that is not there, a port where nobody is, a queue that is missing."""
    (tmp_path / "wrong").write_text("not the password\n")
    nobody = free_port()
    inputs = {
        "amqp": {"broker": reach(broker, password_file=str(tmp_path / "wrong"))},
        "amqp/vhost": {"broker": {"url": f"amqp://127.0.0.1:{broker.port}/nowhere"}},
        "amqp/nobody": {"broker": {"url": f"amqp://127.0.0.1:{nobody}/"}},
        "amqp/queue": {"broker": reach(broker)},
    }
    config = {"inputs": {name: {**options, "queues": ["missing"]} for name, options in inputs.items()}}
    said = {
        "amqp": "it refuses the user `guest`: the name or the password is wrong",
        "amqp/vhost": "it refuses the virtual host `nowhere`: there is none, or `guest` has no right to it",
        "amqp/nobody": f"nothing listens on 127.0.0.1:{nobody}",
        "amqp/queue": "missing: NOT_FOUND - no queue 'missing' in vhost '/'; make the queue, or take it out of",
    }
    async with Daemon(tmp_path / "bus", config=config) as daemon:

        async def told() -> bool:
            status = (await daemon.status())["inputs"]
            return all(words in status[name]["reason"] for name, words in said.items())

        await until(told, WAIT, "all reasons")
        assert "not the password" not in daemon.log()
        assert "Traceback" not in daemon.log()


async def test_tls_checks_both_certificates(broker: RabbitMQ) -> None:
    """The broker's against `ca_file`; ours, because this broker wants one."""
    port, directory = int((broker.directory / "tls-port").read_text()), broker.directory

    def link(ca: str, certificate: str) -> Link:
        options = BrokerOptions(
            url=f"amqps://localhost:{port}/",
            ca_file=f"{directory}/{ca}.pem",
            certificate_file=f"{directory}/{certificate}.pem",
            key_file=f"{directory}/{certificate}.key",
        )
        return Link(broker_of(options, {}), "tls", random.random)

    async def becomes(one: Link, state: str) -> None:
        keeping = asyncio.create_task(one.keep(lambda _: asyncio.get_running_loop().create_future()))
        try:
            await until(lambda: one.state == state, WAIT, f"the link to be {state}")
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})

    await becomes(link("ca", "ours"), "up")
    untrusting = link("stranger", "ours")
    await becomes(untrusting, "down")
    assert "its certificate is not trusted" in untrusting.reason
    assert "`ca_file`" in untrusting.reason
    stranger = link("ca", "stranger")
    await becomes(stranger, "down")
    assert "it wants another `certificate_file` of us" in stranger.reason, "how it says so is up to Erlang's TLS"
