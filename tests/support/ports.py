"""Free TCP ports for the servers that tests start."""

from xmppbus.demo.ports import free_port, is_open

__all__ = ["free_port", "is_open"]
