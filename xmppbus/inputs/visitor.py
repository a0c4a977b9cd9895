"""Who is at the Unix socket, and where they sit."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from xmppbus.options import SocketOptions

# <asm-generic/socket.h>, <sys/socket.h>; spelt out because the `socket` module takes 6 ms and lacks one of them
_SOL_SOCKET, _SO_PEERCRED, _SO_PEERGROUPS = 1, 17, 59
_CREDENTIALS = struct.Struct("iII")  # unix(7): pid, uid, gid
_GROUPS_BYTES = 1024  # all that Python's getsockopt takes: 256 groups


class Facts(NamedTuple):
    """What is known of whoever typed a command. `terminals`: are input, output, error output terminals?"""

    terminals: tuple[bool, bool, bool] = (False, False, False)
    width: int = 80
    directory: str = ""
    environment: Mapping[str, str] = {}


class Role(NamedTuple):
    """What whoever is at the other end may do. `uid` is theirs."""

    uid: int
    admin: bool
    publish: bool
    listen: bool


class _Socket(Protocol):
    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


def role_of(connection: _Socket, options: SocketOptions, group: int | None) -> Role:
    """By the credentials that the kernel vouches for (SO_PEERCRED). `group` is the id of `socket.group`."""
    _, uid, gid = _CREDENTIALS.unpack(connection.getsockopt(_SOL_SOCKET, _SO_PEERCRED, _CREDENTIALS.size))
    admin = uid in (0, os.geteuid()) or (group is not None and group in (gid, *_groups(connection)))
    return Role(uid, admin, admin or options.publish == "everyone", admin or options.listen == "everyone")


def _groups(connection: _Socket) -> tuple[int, ...]:
    """Supplementary groups as the kernel has them: no question to a directory service that may be slow."""
    try:
        found = connection.getsockopt(_SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES)
    except OSError:  # COMPAT(Linux<4.13), or somebody in more groups than fit: their main group still counts
        return ()
    return struct.unpack(f"{len(found) // 4}I", found)
