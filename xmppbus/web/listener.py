"""The one HTTP listener: routes, the guard before them, and the same JSON for every refusal behind them.

It speaks to aiohttp's low-level server: no application, no middlewares, no access log, no task or timer of our own for
a request, so that a yes costs little more than the fsync it stands for.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, cast
from urllib.parse import unquote

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from xmppbus import limits
from xmppbus.errors import Code, ConfigInvalid, Refused
from xmppbus.listening import is_loopback, listen_address, no_password, server_tls
from xmppbus.options import HttpOptions
from xmppbus.web.answers import Answer, Streamed, json_answer, refusal_answer
from xmppbus.web.connection import Connection, Connections
from xmppbus.web.guard import Guard
from xmppbus.web.request import Request
from xmppbus.web.tokens import Tokens

log = logging.getLogger("xmppbus.web")

Handler = Callable[[Request], Awaitable[Answer | Streamed | web.StreamResponse]]
Health = Callable[[], Awaitable[str]]

REST = "/{rest}"
"""What stands behind the variable of a route that takes another segment, whatever it is."""

_CHALLENGE = b'WWW-Authenticate: Bearer realm="xmppbus"\r\n'


class Route(NamedTuple):
    """What serves a method on a path, and the action that a token must have a scope for (empty: no token)."""

    handler: Handler
    scope: str


class Table(NamedTuple):
    """What is served: by path; by what is before and behind a variable; and that variable's name."""

    paths: dict[str, dict[str, Route]]
    around: dict[tuple[str, str], dict[str, Route]]
    names: dict[tuple[str, str], str]

    def without(self, gone: Container[tuple[str, str]]) -> Table:
        """A copy that lacks each `(method, path)` of `gone`, as `served` lists them."""

        def left(path: str, methods: dict[str, Route]) -> dict[str, Route]:
            return {method: route for method, route in methods.items() if (method, path) not in gone}

        paths = {path: left(path, methods) for path, methods in self.paths.items()}
        around = {each: left(self.path(each), methods) for each, methods in self.around.items()}
        return Table(
            {path: methods for path, methods in paths.items() if methods},
            {each: methods for each, methods in around.items() if methods},
            dict(self.names),
        )

    def path(self, parts: tuple[str, str]) -> str:
        """As `Web.route` was given it."""
        return f"{parts[0]}{{{self.names[parts]}}}{parts[1]}"


class Web:
    """`route` what is served, then enter it: the listener is open until it is left.

    Raises `ConfigInvalid` when the options can't be used: an address that is taken or not ours, no tokens though the
    listener is not on loopback, a bad tokens file or certificate.
    """

    def __init__(self, options: HttpOptions, house_health: Health, given: socket.socket | None = None) -> None:
        """`given` is a socket that listens already (systemd's); then `options.listen` is not looked at."""
        self._given = given
        if given:
            self._host, self._port = str(given.getsockname()[0]), 0
        else:
            self._host, self._port = _address(options)
        self._tokens = Tokens(Path(options.tokens_file)) if options.tokens_file else None
        _check_tokens(self._host, self._tokens)
        self._options = options
        self._tls = _tls(options)
        self._health = house_health
        self.table = Table({}, {}, {})  # replaced as a whole by a new config
        self._connections = Connections()
        self.answers: Counter[int] = Counter()  # by status
        self.on_refused: Callable[[Refused, str], None] | None = None  # told of each no, and to what
        self._guard = Guard(self._tokens, options.requests_per_second, lambda: asyncio.get_running_loop().time())
        self._manager: web.Server | None = None
        self._server: asyncio.Server | None = None
        self._state = "closed"
        self.route("GET", "/health", self._get_health)

    # --- what is served -----------------------------------------------------------------------------------------------

    def route(self, method: str, path: str, handler: Handler, scope: str = "") -> None:
        """Serve a method on a path, before the listener opens. Its last segment, or the one before, may be a
        `{variable}`, which takes any text; a slash in it is sent as %2F. The last may be `{rest}`, behind another.

        `scope` is the action that a request's token needs (`publish`, `read` or `metrics`); empty lets everybody in.
        """
        before, brace, rest = path.partition("{")
        if brace:
            name, _, behind = rest.partition("}")
            self.table.names[before, behind] = name
            methods = self.table.around.setdefault((before, behind), {})
        else:
            methods = self.table.paths.setdefault(path, {})
        if method in methods:
            raise ValueError(f"{method} {path} is served already")
        methods[method] = Route(handler, scope)

    def served(self) -> list[tuple[str, str]]:
        """Every `(method, path)`, as `route` was given them."""
        around = {self.table.path(parts): methods for parts, methods in self.table.around.items()}
        return sorted((method, path) for path, methods in {**self.table.paths, **around}.items() for method in methods)

    def prepare(self, options: HttpOptions) -> Callable[[], None]:
        """What lets in by these options from the next request on: tokens, rate, and for new connections the
        certificate. Raises `ConfigInvalid`, and then nothing has changed; the address is not looked at.
        """
        tokens = Tokens(Path(options.tokens_file)) if options.tokens_file else None
        _check_tokens(self._host, tokens)
        guard = Guard(tokens, options.requests_per_second, lambda: asyncio.get_running_loop().time())
        _tls(options)  # that it can be used; a connection that is open keeps the one that it began with
        is_same = (options.tokens_file, options.requests_per_second) == (
            self._options.tokens_file,
            self._options.requests_per_second,
        )

        def take() -> None:
            if self._tls and options.certificate_file:  # first: by now it may be another file, which can't be used
                self._tls.load_cert_chain(options.certificate_file, options.key_file, password=no_password)
            self._options = options
            if not is_same:
                self._tokens, self._guard = tokens, guard

        return take

    # --- life ---------------------------------------------------------------------------------------------------------

    @property
    def guard(self) -> Guard:
        """Who may come in."""
        return self._guard

    @property
    def needs_token(self) -> bool:
        """Whether whoever comes needs one."""
        return self._tokens is not None

    @property
    def has_tls(self) -> bool:
        """Whether it speaks TLS itself."""
        return self._tls is not None

    @property
    def address(self) -> str:
        """The URL that it listens on, with the actual port."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the listener is not open")
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def status(self) -> Mapping[str, Any]:
        """What `xmppbus status` shows of it."""
        found: dict[str, Any] = {
            "state": self._state,
            "connections": len(self._connections.open),
            "connections_refused": self._connections.refused,
            "connections_late": self._connections.late,
        }
        if self._server is not None:
            found["address"] = self.address
        if self._tokens and self._tokens.warning:
            found["notice"] = self._tokens.warning
        return found

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        # aiohttp calls what it is given with the request that our factory made, and our answer stands for its response.
        handler = cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", self._serve)
        manager = self._manager = web.Server(handler, request_factory=_make_request, loop=loop)
        try:
            self._server = await loop.create_server(
                lambda: Connection(self._connections, manager, loop),
                **self._where(),
                ssl=self._tls,
                ssl_handshake_timeout=limits.HTTP_HEADER_SECONDS if self._tls else None,
                backlog=limits.CONNECTIONS_WAITING,
            )
        except OSError as error:
            raise ConfigInvalid(_why_not(self._options.listen, error)) from error
        self._state = "up"
        log.info("listening on %s", self.address)
        if self._tokens and self._tokens.warning:
            log.warning("%s", self._tokens.warning)
        return self

    def _where(self) -> dict[str, Any]:
        return {"sock": self._given.dup()} if self._given else {"host": self._host or None, "port": self._port}

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the door, let what is being answered end within the grace period, and cut off the rest."""
        if self._server is None or self._manager is None:
            return
        self._state = "closing"
        server, self._server = self._server, None
        server.close()
        self._manager.pre_shutdown()
        await self._manager.shutdown(limits.ANSWER_GRACE_SECONDS)
        await server.wait_closed()
        self._connections.close()
        self._state = "closed"
        log.info("closed")

    # --- one request --------------------------------------------------------------------------------------------------

    async def _serve(self, request: Request) -> Answer | Streamed | web.StreamResponse:
        connection = request.connection
        connection.handling = True
        content = request.content
        if content.is_eof():
            connection.begun = 0.0
        try:
            answer = await self._answer(request)
        finally:
            whole = content.is_eof()
            connection.handled(whole=whole)
        self.answers[answer.status] += 1
        if not whole and isinstance(answer, Answer):
            answer.keep_alive = False
        return answer

    async def _answer(self, request: Request) -> Answer | Streamed | web.StreamResponse:
        try:
            methods = self.table.paths.get(request.raw_path) or self._find(request)
            route = methods.get(request.method) or methods["GET" if request.method == "HEAD" else ""]
        except KeyError:
            return _method_not_allowed(request.method, methods)
        except Refused as refusal:
            self._tell(refusal, request)
            return refusal_answer(refusal)
        try:
            self._guard.check(request, route.scope)
            return await route.handler(request)
        except Refused as refusal:
            self._tell(refusal, request)
            headers = _CHALLENGE if refusal.code is Code.UNAUTHORIZED else b""
            return refusal_answer(refusal, headers=headers)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception as error:  # the house is kept alive: one request's bug is not the others'
            log.exception("%s %s failed", request.method, request.path)
            return refusal_answer(Refused(Code.FAILED, f"a bug: {type(error).__name__}; see the log"), 500)

    def _tell(self, refusal: Refused, request: Request) -> None:
        if self.on_refused:
            self.on_refused(refusal, f"{request.method} {request.path}")

    def _find(self, request: Request) -> dict[str, Route]:
        target = request.raw_path
        if not target.startswith("/"):
            target = request.rel_url.raw_path_qs  # absolute form (RFC 9112 §3.2.2)
        path, _, request.query_text = target.partition("#")[0].partition("?")
        methods = self.table.paths.get(path)
        if methods:
            return methods
        rest = ""
        parent, slash, variable = path.rpartition("/")
        methods = self.table.around.get((parent + slash, ""))
        if not methods:
            behind = slash + variable
            parent, slash, variable = parent.rpartition("/")
            methods = self.table.around.get((parent + slash, behind))
            if not methods:
                methods, rest = self.table.around.get((parent + slash, REST)), behind[1:]
        if not methods or not variable:
            raise Refused(Code.NOT_FOUND, "nothing is served on this path; see docs/reference/http.md")
        try:
            request.variable, request.rest = unquote(variable, errors="strict"), unquote(rest, errors="strict")
        except UnicodeDecodeError:
            raise Refused(Code.USAGE, "the path is not UTF-8") from None
        return methods

    async def _get_health(self, _: Request) -> Answer:
        reason = await self._health()
        if reason:
            return json_answer(503, {"accepting": False, "reason": reason}, b"Retry-After: 5\r\n")
        return json_answer(200, {"accepting": True})


def _make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: Any,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> Request:
    return Request(message, payload, protocol, writer, task, task.get_loop())


def _method_not_allowed(method: str, methods: Mapping[str, Route]) -> Answer:
    allowed = ", ".join(sorted(methods))
    refusal = Refused(Code.USAGE, f"{method[:32]} is not served on this path, only {allowed}")
    return refusal_answer(refusal, 405, b"Allow: %s\r\n" % allowed.encode())


def _address(options: HttpOptions) -> tuple[str, int]:
    try:
        return listen_address(options.listen)
    except ValueError as error:
        raise ConfigInvalid(f"http.listen {error}") from error


def _check_tokens(host: str, tokens: Tokens | None) -> None:
    if tokens is None and not is_loopback(host):
        raise ConfigInvalid(
            f"http.listen: {host} can be reached from other machines, so tokens are needed: make one with `xmppbus "
            "token add NAME publish:PATTERN` and name the file in http.tokens_file, or listen on 127.0.0.1"
        )


def _tls(options: HttpOptions) -> ssl.SSLContext | None:
    try:
        context = server_tls(options.certificate_file, options.key_file)
    except ValueError as error:
        raise ConfigInvalid(f"http.{error}") from error
    if context:
        with suppress(NotImplementedError):
            context.set_alpn_protocols(["http/1.1"])
    return context


def _why_not(listen: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"http.listen: {listen} is taken by another program (`ss -ltnp` shows which; perhaps another xmppbus): end "
            "it, or choose another port in `http: {listen: ...}`"
        )
    if error.errno in (errno.EADDRNOTAVAIL, None):  # from Python 3.13 on asyncio says it without a number
        return f"http.listen: {listen} is not an address of this machine (`ip address` shows them)"
    if error.errno == errno.EACCES:
        return f"http.listen: {listen} needs a right that this user has not; choose a port from 1024 up"
    return f"http.listen: {listen} can't be used: {error}"
