"""What is said to the sender of an event that was accepted."""

from __future__ import annotations

from typing import Any

from xmppbus.cli.desk import Desk
from xmppbus.interfaces import Accepted

UNROUTED = "accepted, but no route takes it: kept for listeners only"


def as_json(answer: Accepted) -> dict[str, Any]:
    """What the socket and `--output json` say of an accepted event."""
    return {
        "id": answer.item_id,
        "sequence": answer.sequence,
        "result": str(answer.result),
        "deliveries": answer.deliveries,
    }


def unrouted(desk: Desk, answer: Accepted) -> bool:
    """Whether its sender should know that nobody is going to get it. A local bus without routes is meant to be that."""
    meant = desk.house.xmpp is not None or bool(desk.house.options.routes)
    return meant and not answer.deliveries and answer.result == "new"
