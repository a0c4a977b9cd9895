"""Who may come in: the Host and Origin of a listener that is open on loopback, the rate of an address, tokens."""

from __future__ import annotations

import math
from collections.abc import Callable
from urllib.parse import urlsplit

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.listening import is_loopback
from xmppbus.web.request import Request
from xmppbus.web.tokens import Token, Tokens

COOKIE = "xmppbus"


class Rate:
    """At most so many requests a second from each address, with a burst of one second's worth."""

    def __init__(self, per_second: int, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}  # address -> requests left, and when that was

    def check(self, address: str) -> None:
        """Count one request. Raises `Refused` (too-many-requests) with the seconds to wait."""
        now = self._clock()
        left, then = self._left.get(address, (float(self._per_second), now))
        left = min(left + (now - then) * self._per_second, float(self._per_second))
        if left < 1.0:
            wait = (1.0 - left) / self._per_second
            message = f"more than {self._per_second} requests a second from one address; send batches, or wait"
            raise Refused(Code.TOO_MANY, message, retry_after=math.ceil(wait))
        if address not in self._left and len(self._left) >= limits.HTTP_ADDRESSES:
            self._left.clear()  # everybody gets a second's worth anew: bounded memory is worth more than exactness
        self._left[address] = left - 1.0, now


class Guard:
    """Lets a request in, or raises `Refused`."""

    def __init__(self, tokens: Tokens | None, per_second: int | None, clock: Callable[[], float]) -> None:
        self._tokens = tokens
        self._rate = Rate(per_second, clock) if per_second else None
        self._known_hosts: set[str] = set()

    def check(self, request: Request, action: str) -> None:
        """Let it in for an action (`publish`, `read`, `metrics`, or empty for what everybody may)."""
        if self._rate:
            self._rate.check(request.connection.address)
        if self._tokens is None:
            self._check_browser(request, action)
        elif action:
            request.token = self._check_token(request, self._tokens, action)

    def _check_browser(self, request: Request, action: str) -> None:
        """Without tokens, loopback is the only protection, and a web page can reach it from this machine's browser.

        A page of another site says so in `Origin` or `Sec-Fetch-Site`, and one that made its own name point here (DNS
        rebinding) says that name in `Host`.
        """
        headers = request.headers
        host = headers.get("Host", "")
        if host not in self._known_hosts:
            if not is_loopback(_host_name(host)):
                raise Refused(
                    Code.FORBIDDEN,
                    f"the Host {host[:200]!r} is not this machine; without tokens only localhost is served",
                )
            if len(self._known_hosts) < 64:
                self._known_hosts.add(host)
        origin = headers.get("Origin")
        is_foreign = headers.get("Sec-Fetch-Site") == "cross-site" and (action or not _follows_link(request))
        if (origin and not is_loopback(urlsplit_host(origin))) or is_foreign:
            raise Refused(
                Code.FORBIDDEN, "a web page of another site may not use this listener; see docs/reference/http.md"
            )

    def token_of(self, request: Request) -> Token | None:
        """Whose request it is, whatever they want; None for nobody, and where nobody needs a token."""
        return self._tokens.check(_presented(request)) if self._tokens else None

    def known(self, presented: str) -> Token | None:
        """Whose token that is."""
        return self._tokens.check(presented) if self._tokens else None

    def holds(self, token: Token | None) -> bool:
        """Whether who came in once with a token, or without one, still would."""
        if self._tokens is None or token is None:
            return self._tokens is None and token is None
        return self._tokens.holds(token)

    def _check_token(self, request: Request, tokens: Tokens, action: str) -> Token:
        presented = _presented(request)
        token = tokens.check(presented)
        if token is None:
            why = "this token is not known" if presented else "a token is needed: Authorization: Bearer TOKEN"
            raise Refused(Code.UNAUTHORIZED, why)
        if not token.may_at_all(action):
            raise Refused(Code.FORBIDDEN, f"this token has no scope {action}")
        return token


def _presented(request: Request) -> str:
    """The token of a request: in its header, or in the cookie that `POST /v1/session` has set."""
    scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
    if scheme:
        return presented.strip() if scheme.lower() == "bearer" else ""
    return cookie_of(request) if is_same_origin(request) else ""


def _follows_link(request: Request) -> bool:
    """Whether a person goes to one of our pages by a link in another (in a web client's chat, say): that shows what is
    public to the person, and nothing to the page."""
    headers = request.headers
    return (
        request.method in ("GET", "HEAD")
        and headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
    )


def cookie_of(request: Request) -> str:
    """The session cookie's value (RFC 6265 §4.2.1), whoever sent it."""
    for pair in request.headers.get("Cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def is_same_origin(request: Request) -> bool:
    """Whether a page of our own asks, or nobody's page does.

    A browser sends our cookie with what the pages of others make it ask, so it counts only then. `Sec-Fetch-Site` and
    `Origin` say it; a browser that sends neither does so only with GET and HEAD, which change nothing.
    """
    headers = request.headers
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    reads = request.method in ("GET", "HEAD")
    if site is not None and site != "same-origin" and not (site == "none" and reads):
        return False
    if origin is not None:
        return origin.partition("://")[2].lower() == headers.get("Host", "").lower() != ""
    return site is not None or reads


def urlsplit_host(origin: str) -> str:
    """The host of an origin (RFC 6454 §6.2); `null` and nonsense have none."""
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _host_name(host: str) -> str:
    """The Host header (RFC 9110 §7.2) without its port."""
    return urlsplit_host(f"//{host}")
