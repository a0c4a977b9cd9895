"""`/v1/session`: a browser keeps its token in a cookie, for an EventSource and a WebSocket can't send it in a header.

No script can read the cookie, and it counts only for what our own pages ask (`web/guard.py`).
"""

from __future__ import annotations

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.fields import decode_fields
from xmppbus.web import Answer, Request, Web, check_json, json_answer
from xmppbus.web.guard import COOKIE, cookie_of, is_same_origin
from xmppbus.web.tokens import Token

JSON = "application/json"


class Session:
    """Adds its routes to the listener."""

    def __init__(self, web: Web) -> None:
        self._web = web
        web.route("GET", "/v1/session", self.get)
        web.route("POST", "/v1/session", self.post)
        web.route("DELETE", "/v1/session", self.delete)

    async def get(self, request: Request) -> Answer:
        """Whether a token is needed, and whose the request's is. Looking in keeps the cookie for another while."""
        _no_query(request)
        token = self._web.guard.token_of(request)
        cookie = cookie_of(request) if token and "Authorization" not in request.headers else ""
        return self._answer(token, self._cookie(request, cookie) if cookie else b"")

    async def post(self, request: Request) -> Answer:
        """Keep a token in the browser. Refused where it is not known, or where the page of another site asks."""
        _check_page(request)
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != JSON:
            raise Refused(Code.MEDIA_TYPE, f"the body is {JSON}, not {media_type[:64]!r}")
        fields = decode_fields(check_json(await request.body()))
        presented = fields.get("token")
        if set(fields) != {"token"} or not isinstance(presented, str):
            raise Refused(Code.INVALID, 'the body is {"token": "xmppbus.NAME.SECRET"}')
        if not self._web.needs_token:
            return self._answer(None)
        token = self._web.guard.known(presented)
        if token is None:
            raise Refused(Code.UNAUTHORIZED, "this token is not known; look whether all of it was copied")
        return self._answer(token, self._cookie(request, presented))

    async def delete(self, request: Request) -> Answer:
        """Let the browser forget the token."""
        _check_page(request)
        return self._answer(None, self._cookie(request, ""))

    def _answer(self, token: Token | None, headers: bytes = b"") -> Answer:
        scopes = token.words if token else []
        found = {"needed": self._web.needs_token, "name": token.name if token else None, "scopes": scopes}
        return json_answer(200, found, b"Cache-Control: no-store\r\n" + headers)

    def _cookie(self, request: Request, value: str) -> bytes:
        """RFC 6265 §4.1. A proxy may speak TLS for us: then the browser says so in `Origin`."""
        secure = self._web.has_tls or request.headers.get("Origin", "").startswith("https://")
        age = limits.SESSION_DAYS * 86_400 if value else 0
        text = f"{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
        return b"Set-Cookie: %b\r\n" % text.encode()


def _check_page(request: Request) -> None:
    """A page of another site must neither bring its own token into a browser nor take ours out."""
    _no_query(request)
    headers = request.headers
    if ("Origin" in headers or "Sec-Fetch-Site" in headers) and not is_same_origin(request):
        raise Refused(
            Code.FORBIDDEN, "a web page of another site may not use this listener; see docs/reference/http.md"
        )


def _no_query(request: Request) -> None:
    if request.query_text:
        raise Refused(Code.USAGE, "no query is taken here")
