"""Durable queues: each event of one goes to one consumer, which has it on lease until it has said what became of it."""

from xmppbus.queues.broker import Consumer
from xmppbus.queues.leases import Leased, LeaseLost
from xmppbus.queues.queues import Queues

__all__ = ["Consumer", "LeaseLost", "Leased", "Queues"]
