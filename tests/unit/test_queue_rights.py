"""Events of a queue alone: who may publish a type may not put them into any queue, at no door; and who sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.bot_desk import OWNER, scene
from tests.support.event_stream import LINES, EventStream
from tests.support.http_client import ask, ask_json
from tests.support.http_door import Door, open_door
from tests.support.stomp_house import stomp_house
from xmppbus.errors import Refused
from xmppbus.web.tokens import Token, add_token

BATCH = "application/cloudevents-batch+json"
OTHERS = {"type": "user.signup", "queue": "mails"}


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("scopes", "fields", "field"),
    [
        (["publish:user.#"], {"type": "user.signup"}, ""),
        (["publish:user.#"], {"type": "disk.full"}, "type"),
        (["publish:user.#"], {"type": "user.signup", "queue": "mails"}, "queue"),
        (["publish:mails"], {"type": "user.signup", "queue": "mails"}, "type"),
        (["publish:user.#", "publish:mails"], {"type": "user.signup", "queue": "mails"}, ""),
        (["publish:mails"], {"type": "mails", "queue": "mails"}, ""),
        (["publish:user.#", "publish:jobs.*"], {"type": "user.signup", "queue": "jobs/night"}, ""),
        (["publish:user.#", "publish:jobs"], {"type": "user.signup", "queue": "jobs/night"}, "queue"),
        (["publish:user.#", "read:mails"], {"type": "user.signup", "queue": "mails"}, "queue"),
        (["publish:#"], {"type": "user.signup", "queue": "mails"}, ""),
    ],
)
def test_an_event_of_a_queue_needs_its_type_and_its_queue(
    scopes: list[str], fields: dict[str, str], field: str
) -> None:
    """A queue counts by its name, as if it were a type."""
    pairs = tuple((action, pattern) for action, _, pattern in (each.partition(":") for each in scopes))
    lacking = Token("site", b"", pairs).lacks("publish", fields)
    assert (lacking[0] if lacking else "") == field


async def test_no_way_of_publishing_over_http_leads_into_others_queues(tmp_path: Path) -> None:
    """One event, many, in headers, in the query, in a webhook; and who has the scope gets in by all of them."""
    file = tmp_path / "tokens"
    site = bearer(add_token(file, "site", ["publish:user.#"]))
    mailer = bearer(add_token(file, "mailer", ["publish:user.#", "publish:mails"]))

    async def codes(door: Door, headers: dict[str, str]) -> list[str]:
        batch = await ask_json(door.url, "/v1/events", [OTHERS], BATCH, headers)
        binary = {**headers, "ce-specversion": "1.0", "ce-type": "user.signup", "ce-queue": "mails"}
        binary |= {"ce-id": "1", "ce-source": headers["Authorization"][-8:]}
        hook = {**headers, "Content-Type": "application/cloudevents+json"}
        body = json.dumps({**OTHERS, "specversion": "1.0", "id": "2", "source": binary["ce-source"]}).encode()
        answers = [
            (await ask_json(door.url, "/v1/events", OTHERS, headers=headers)).json,
            (batch.json if isinstance(batch.json, list) else [batch.json])[0],
            (await ask(door.url, "POST", "/v1/events", b"", binary)).json,
            (await ask(door.url, "POST", "/v1/events/user.signup?queue=mails", b"", headers)).json,
            (await ask(door.url, "POST", "/v1/webhooks/cloudevents", body, hook)).json,
        ]
        return [each["error"]["code"] if "error" in each else each["result"] for each in answers]

    async with open_door(tmp_path, tokens_file=str(file)) as door:
        assert await codes(door, site) == ["forbidden"] * 5
        assert await codes(door, mailer) == ["new"] * 5


async def test_an_event_of_a_queue_is_shown_to_who_may_read_both(tmp_path: Path) -> None:
    """Its type alone is not enough."""
    file = tmp_path / "tokens"
    mailer = bearer(add_token(file, "mailer", ["publish:#", "read:user.#", "read:mails"]))
    screen = bearer(add_token(file, "screen", ["read:user.#"]))
    async with open_door(tmp_path, tokens_file=str(file)) as door:
        sent = await ask_json(door.url, "/v1/events", OTHERS, headers=mailer)
        location = sent.headers["location"]
        assert (await ask(door.url, "GET", location, headers=mailer)).status == 200
        refused = await ask(door.url, "GET", location, headers=screen)
        assert (refused.status, refused.code) == (403, "forbidden")


async def test_stomp_has_the_same_rule(tmp_path: Path) -> None:
    """Whether the destination says the queue, or the body that is a whole event does."""
    token = add_token(tmp_path / "tokens", "site", ["publish:user.#", "publish:jobs.*"])
    async with stomp_house(tmp_path, tokens_file="tokens") as bus:

        async def answer(**headers: str) -> str:
            async with bus.client() as client:
                await client.connect(login="site", passcode=token)
                return (await client.ask("SEND", headers)).headers.get("code", "yes")

        assert await answer(destination="/queue/jobs/night", type="user.signup") == "yes"
        assert await answer(destination="/queue/mails", type="user.signup") == "forbidden"
        assert await answer(destination="/topic/user.signup", queue="mails") != "yes"


async def test_the_bot_knows_no_event_of_a_queue(tmp_path: Path) -> None:
    """Whoever has its whole id is told that there is none; its words are its consumer's alone."""
    async with scene(tmp_path) as bot:
        item_id = (await bot.event(summary="the password is new", queue="mails")).item_id
        for command in ("show", "retract"):
            said = await bot.says(OWNER, f"{command} {item_id}")
            assert "I know no event" in said
            assert "password" not in said


async def test_a_stream_that_catches_up_misses_nothing_over_events_of_queues(tmp_path: Path) -> None:
    """They are there and none of its business: it is not told that something is gone for good."""
    async with open_door(tmp_path) as door:
        for queue in (None, "mails", "mails", None, "mails", None, "mails"):
            (accepted,) = await door.bus.accept([{"type": "user.a", "queue": queue}])
            assert not isinstance(accepted, Refused)
        async with await EventStream.open(door.url, LINES, since="all") as stream:
            await stream.next("hello")
            assert await stream.sequences(3) == [1, 4, 6]
            await door.bus.accept([{"type": "user.a", "queue": "mails"}, {"type": "user.a"}])
            assert await stream.sequences(1) == [9]
