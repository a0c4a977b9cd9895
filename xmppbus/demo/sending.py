"""How a careful program publishes over HTTP: with an id of its own, again and again until there is a yes."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from time import sleep
from typing import Any

from xmppbus import limits


def post(port: int, event: Mapping[str, Any], wait: Callable[[float], None] = sleep) -> str:
    """Publish an event that has a `source` and an `id`; returns its item id, however long that takes."""
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limits.DEMO_ANSWER_SECONDS)
        try:
            connection.request("POST", "/v1/events", json.dumps(event), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = json.loads(answer.read())
            if answer.status in (200, 202):
                return str(body["id"])
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the bus is away, or was killed in the middle: whether it has the event, it will know by its id
        finally:
            connection.close()
        wait(limits.DEMO_AGAIN_SECONDS)
