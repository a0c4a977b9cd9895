"""Where a listener listens: the text of an option as host and port, and whether only this machine can reach it."""

from __future__ import annotations

import ipaddress
import re


def listen_address(listen: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8222`, `[::1]:8222` or `:8222` (every address); port 0 is any that is free.

    Raises ValueError; its text is a predicate.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"should be an address and a port such as `127.0.0.1:8222` or `[::1]:8222`, not `{listen}`")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"needs brackets around an IPv6 address: `[{host}]:{port}`")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine by definition (RFC 6761 §6.3), without asking any resolver."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
