"""T1 at every other way in: `kill -9` is a supported way to stop, whatever way an event came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.scene import KEEPING, scene, times
from tests.chaos.test_kills import kill_and_restart
from tests.chaos.ways import (
    AMQP_QUEUE,
    REDIS_STREAM,
    AmqpPublisher,
    RedisPublisher,
    SmtpPublisher,
    StompPublisher,
    WebhookPublisher,
    at,
)
from tests.support.missing import is_missing
from tests.support.ports import free_port
from tests.support.rabbitmq import RabbitMQ, available, rabbitmq
from tests.support.redis_server import RedisServer, redis_server
from tests.support.server import ServerFactory

KILLS = times(8, 100)


@pytest.fixture
def broker() -> Iterator[RabbitMQ]:
    """It is not what is killed here."""
    if not available():
        is_missing("RabbitMQ", "apt-get install rabbitmq-server")
    with rabbitmq() as running:
        yield running


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Neither is this."""
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


async def test_the_daemon_may_be_killed_whatever_way_events_come(
    own_server: ServerFactory, broker: RabbitMQ, store: RedisServer, tmp_path: Path
) -> None:
    """STOMP, webhooks, mail, RabbitMQ, Redis: what had a yes is delivered, once and in order, and nothing else."""
    server = await own_server("prosody", **KEEPING["prosody"])
    stomp, smtp = free_port(), free_port()
    config = {
        "inputs": {
            "stomp": {"listen": f"127.0.0.1:{stomp}"},
            "smtp": {"listen": f"127.0.0.1:{smtp}"},
            "webhooks": {},
            "amqp": {"broker": {"url": f"amqp://127.0.0.1:{broker.port}/"}, "queues": [AMQP_QUEUE]},
            "redis": {"url": store.url, "streams": [REDIS_STREAM]},
        }
    }
    doors = {
        "stomp": at(StompPublisher, stomp, 20.0),
        "webhook": (WebhookPublisher, 10.0),
        "mail": at(SmtpPublisher, smtp, 5.0),
        "amqp": at(AmqpPublisher, broker.url, 20.0),
        "redis": at(RedisPublisher, store.url, 20.0),
    }
    async with scene(server, tmp_path, doors=doors, config=config) as it:
        async with it.load.running():
            for _ in range(KILLS):
                await kill_and_restart(it)
        verdict = await it.judged(notified_is_complete=True)
    assert verdict.good, verdict
    assert verdict.accepted > 10 * KILLS
