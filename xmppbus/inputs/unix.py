"""The Unix socket: the command line's thin clients, and programs that publish.

`docs/reference/socket.md` has the frames.

A client that is slow or stuck holds up nobody else: each has its own task, and its own bounds on what it may cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xmppbus import limits
from xmppbus.errors import BusError, ConfigInvalid, Exit, JournalHeld
from xmppbus.inputs import frames
from xmppbus.inputs.frames import Broken, Splitter
from xmppbus.inputs.pipeline import Ahead, Pipeline
from xmppbus.inputs.terminal import ClientTerminal, Typed
from xmppbus.inputs.visitor import Facts, Role, role_of
from xmppbus.interfaces import Accept
from xmppbus.options import SocketOptions
from xmppbus.plugins import Registry

if TYPE_CHECKING:
    from xmppbus.house import House

log = logging.getLogger("xmppbus.unix")

Commands = Callable[[Sequence[str], ClientTerminal, Facts, Role], Awaitable[int]]
"""Carries out a command line; its result is the exit code. The command line itself is a floor above the inputs."""

STOPPING = "the daemon is stopping"

_PATH_BYTES = 107 - len(".new")  # sockaddr_un, unix(7)


class SocketHeld(JournalHeld):
    """Another daemon answers on this socket (exit 75)."""


class UnixInput:
    """The socket is bound when this is made, and refuses to be bound twice."""

    def __init__(self, house: House) -> None:
        self.commands: Commands | None = None  # who opens the house puts it here
        self.look: Callable[[], None] | None = None  # the spool's input
        self.ahead = Ahead()
        self._options = house.options.socket
        self._path = house.config.socket_path
        self._group = group_id(self._options.group)
        self._connections: set[Connection] = set()
        self._by_user: Counter[int] = Counter()
        self._given = house.listening.get("unix")  # systemd's: its name and its rights are not ours to change
        if self._given:
            self._path = Path(self._given.getsockname())
        self._listener: socket.socket | None = self._bind()

    async def run(self, accept: Accept) -> None:
        """As `interfaces.Input` says."""
        listener = self._listener or self._bind()
        identity = os.stat(self._path).st_ino
        self._listener = None
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: Connection(self, accept), sock=listener, backlog=limits.SOCKET_CONNECTIONS
        )
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()
            with contextlib.suppress(OSError):
                if self._given is None and os.stat(self._path).st_ino == identity:
                    self._path.unlink()
            await self._leave()

    async def _leave(self) -> None:
        """What is being answered may be finished, for a while."""
        tasks = [connection.leave() for connection in self._connections]
        waiting = [task for task in tasks if task]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=limits.ANSWER_GRACE_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def status(self) -> Mapping[str, Any]:
        """As `interfaces.Input` says."""
        return {"state": "up", "path": str(self._path), "connections": len(self._connections)}

    def take(self, options: SocketOptions) -> None:
        """Let in whom these options let in, from the next connection on. Raises `ConfigInvalid` (no such group)."""
        group = group_id(options.group)
        self._options, self._group = options, group
        if self._given:
            return
        with contextlib.suppress(OSError):
            os.chown(self._path, -1, -1 if group is None else group)
            self._path.chmod(_mode(options))

    def enter(self, connection: Connection, role: Role) -> str:
        """Why a connection is not let in; empty when it is."""
        most = limits.SOCKET_CONNECTIONS if role.admin else limits.SOCKET_CONNECTIONS_OF_OTHERS
        if len(self._connections) >= most:
            return f"{most} connections are open already"
        if not role.admin and self._by_user[role.uid] >= limits.SOCKET_CONNECTIONS_PER_USER:
            return f"you have {limits.SOCKET_CONNECTIONS_PER_USER} connections open already"
        self._connections.add(connection)
        self._by_user[role.uid] += 1
        return ""

    def left(self, connection: Connection, role: Role) -> None:
        """The connection has ended."""
        if connection in self._connections:
            self._connections.discard(connection)
            self._by_user[role.uid] -= 1
            if not self._by_user[role.uid]:
                del self._by_user[role.uid]

    def role(self, connection: Any) -> Role:
        """Whose connection it is, and what they may do."""
        return role_of(connection, self._options, self._group)

    def _bind(self) -> socket.socket:
        if self._given:
            return self._given.dup()
        path = self._path
        if len(os.fsencode(path)) > _PATH_BYTES:
            raise ConfigInvalid(f"the socket's path {path} has more than {_PATH_BYTES} bytes; set socket: path:")
        if _is_live(path):
            raise SocketHeld(f"another daemon answers on {path}; stop it, or give this one a socket: path: of its own")
        listener = socket.socket(socket.AF_UNIX)
        try:
            self._name(listener, path)
        except OSError as error:
            listener.close()
            raise ConfigInvalid(f"can't listen at {path}: {error.strerror}; set another socket: path:") from error
        return listener

    def _name(self, listener: socket.socket, path: Path) -> None:
        """Give it its name. It appears with its permissions already set, and replaces a stale one in one step."""
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.unlink(missing_ok=True)
        listener.bind(str(new))
        if self._group is not None:
            os.chown(new, -1, self._group)
        new.chmod(_mode(self._options))
        listener.listen(limits.SOCKET_CONNECTIONS)
        new.rename(path)


class Connection(asyncio.Protocol):
    """One client: first its frames are a command line, or a program's events; the first frame tells which."""

    def __init__(self, door: UnixInput, accept: Accept) -> None:
        self._door = door
        self._accept = accept
        self._splitter = Splitter(limits.FRAME_BYTES, frames.FROM_CLIENTS)
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._leaving = False
        self._typed: Typed | None = None
        self._terminal: ClientTerminal | None = None
        self._pipeline: Pipeline | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio says."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # for the type checker: a stream's protocol
        self._transport = transport
        transport.set_write_buffer_limits(limits.SOCKET_READ_BYTES)
        self._role = self._door.role(transport.get_extra_info("socket"))
        if reason := self._door.enter(self, self._role):
            self._refuse(Exit.TRY_AGAIN, f"{reason}; try again")

    def data_received(self, data: bytes) -> None:
        """As asyncio says."""
        if self._transport.is_closing():
            return
        try:
            found = self._splitter.feed(data)
            if self._pipeline or (found and found[0][0] == frames.PUBLISH and not self._typed):
                self._publish(found)
            else:
                for kind, payload in found:
                    if not self._transport.is_closing():
                        self._take(kind, payload)
        except Broken as error:
            self._refuse(Exit.USAGE, f"this is not the socket's protocol: {error}")

    def eof_received(self) -> bool:
        """As asyncio says. A program may say that it has no more, and still get its answers."""
        if self._pipeline:
            self._pipeline.end()
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """As asyncio says."""
        if self._terminal:
            self._terminal.closed()
        if self._pipeline:
            self._pipeline.gone()
        elif self._task:
            self._task.cancel()
        self._can_write.set()
        self._door.left(self, self._role)

    def pause_writing(self) -> None:
        """As asyncio says."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """As asyncio says."""
        self._can_write.set()

    def leave(self) -> asyncio.Task[None] | None:
        """The house is being left: the task that may still finish, if this connection has one that will."""
        if self._pipeline:
            self._hold(True)
            self._pipeline.end()
            return self._task
        self._leaving = True
        if self._task is None:  # it has not yet said what it wants
            self._refuse(Exit.TRY_AGAIN, STOPPING)
        elif self._terminal:
            self._terminal.leave()
            if self._terminal.endless:
                self._task.cancel()
        return self._task

    def _take(self, kind: int, payload: bytes) -> None:
        if self._terminal and self._task:
            self._terminal.take(kind, payload)
        elif self._typed:
            if self._typed.take(kind, payload):
                self._begin(self._typed)
        elif kind == frames.VERSION:
            if payload != frames.PROTOCOL:
                self._refuse(Exit.UNAVAILABLE, "the daemon is of another version than this program; restart it")
            self._typed = Typed()
        elif kind == frames.LOOK:
            if self._door.look:
                self._door.look()
        else:
            raise Broken(f"begins with frame {chr(kind)!r}")

    def _begin(self, typed: Typed) -> None:
        if self._door.commands is None:
            self._refuse(Exit.TRY_AGAIN, "the daemon is still starting; try again")
            return
        extra = self._transport.get_extra_info
        self._terminal = ClientTerminal(self._transport.write, self._drain, lambda: extra("socket").dup())
        running = self._run(self._door.commands(typed.arguments, self._terminal, typed.facts, self._role))
        self._task = asyncio.create_task(running)

    async def _run(self, command: Awaitable[int]) -> None:
        try:
            code = await command
        except asyncio.CancelledError:
            if self._leaving:
                self._refuse(Exit.TRY_AGAIN, STOPPING)
            raise
        except Exception:
            log.exception("a command failed")
            code = Exit.SOFTWARE
        assert self._terminal is not None  # noqa: S101  # for the type checker: _begin has made it
        self._terminal.exit(code)
        self._transport.close()

    def _publish(self, found: list[tuple[int, bytes]]) -> None:
        if self._pipeline is None:
            write, allowed = self._transport.write, self._role.publish
            self._pipeline = Pipeline(self._accept, write, self._drain, self._hold, self._door.ahead, allowed=allowed)
            self._task = asyncio.create_task(self._answer(self._pipeline))
        if any(kind != frames.PUBLISH for kind, _ in found):
            raise Broken("another frame among PUBLISH frames")
        self._pipeline.take([payload for _, payload in found])

    async def _answer(self, pipeline: Pipeline) -> None:
        try:
            await pipeline.run()
        except BusError as error:
            log.error("a program's events could not be accepted, and it is not told what became of them: %s", error)
        except Exception:
            log.exception("a program's events could not be accepted, and it is not told what became of them")
        finally:
            self._transport.close()  # a program that waits for an answer that never comes would wait for ever

    def _hold(self, held: bool) -> None:
        if self._transport.is_closing():
            return
        if held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    async def _drain(self) -> None:
        await self._can_write.wait()

    def _refuse(self, code: int, sentence: str) -> None:
        self._transport.write(frames.pack(frames.ERROR, f"xmppbus: {sentence}\n".encode()))
        self._transport.write(frames.pack(frames.EXIT, str(code).encode()))
        self._transport.close()


def _is_live(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except TimeoutError:
            return True  # its queue is full: somebody is there, and busy
        except OSError:
            return False
        return True


def _mode(options: SocketOptions) -> int:
    """Everybody may connect where everybody may do something: roles go by credentials."""
    return 0o666 if "everyone" in (options.publish, options.listen) else 0o660


def group_id(name: str | None) -> int | None:
    """The Unix group's number. Raises `ConfigInvalid`."""
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigInvalid(f"socket: group: there is no group {name!r} on this machine") from None


def build(house: House, options: Mapping[str, Any]) -> UnixInput:  # noqa: ARG001  # the registry's signature
    """Its options are in `socket:`."""
    return UnixInput(house)


def register(registry: Registry) -> None:
    """Offer this input."""
    registry.input("unix", build)
