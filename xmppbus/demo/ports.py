"""Free TCP ports on loopback for servers that are started in a temporary directory."""

import random
import socket
from pathlib import Path

from xmppbus.limits import PORT_TRIES

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST_PORT = 10_000  # below are the ports of well-known services

_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on and that this process has not been given before.

    It lies below the kernel's ephemeral range. From inside of it, a client that keeps trying to reach a server
    which is down can be given the server's own port as its source: it then connects to itself, and the server
    can't start again.
    """
    last = int(_EPHEMERAL_RANGE.read_text().split()[0]) if _EPHEMERAL_RANGE.exists() else 32_768
    for _ in range(PORT_TRIES):
        port = random.randrange(_FIRST_PORT, last)  # noqa: S311  # not a secret
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port found on 127.0.0.1 in {PORT_TRIES} tries")


def is_free(port: int) -> bool:
    """True when 127.0.0.1:`port` can be bound now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """True when something accepts connections on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
