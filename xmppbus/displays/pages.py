"""The pages and what they are made of: files of the package, read once, served from a table, never from a path.

They hold no data, so everybody may have them; what a page shows it asks for, with the rights of who looks at it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from xmppbus.errors import Code, Refused
from xmppbus.web import Answer, Request, Web

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NO_MARKUP = "; require-trusted-types-for 'script'; trusted-types 'none'"
"""On top, for a page whose scripts make every element by hand: the browser refuses markup in a text (innerHTML)."""

_HEADERS = (
    "Cache-Control: no-cache\r\n"  # kept, and asked for again with its hash: a page is never of two versions
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
)


class StaticFile(NamedTuple):
    """One file: its bytes, the header lines it is served with, and the hash of its content as an ETag."""

    content: bytes
    headers: bytes
    tag: str


class Pages:
    """Adds `/` and `/static/NAME` to the listener; `page` makes the handler of another page."""

    def __init__(self, web: Web) -> None:
        self._files = _files()
        web.route("GET", "/", self.page("index.html", NO_MARKUP))
        web.route("GET", "/static/{file}", self._static)

    def page(self, name: str, more_policy: str = "") -> Callable[[Request], Awaitable[Answer]]:
        """What serves this file of `static/` as a page, under the policy of all and `more_policy`."""
        found = _with_policy(self._files[name], _POLICY + more_policy)

        async def handler(request: Request) -> Answer:
            return _answer(request, found)

        return handler

    async def _static(self, request: Request) -> Answer:
        found = self._files.get(request.variable)
        if found is None:
            raise Refused(Code.NOT_FOUND, "there is no such file")
        return _answer(request, found)


@cache
def _files() -> Mapping[str, StaticFile]:
    """All of them by their names. Each has a type that is known here; another one must not be in the package."""
    found = {}
    for path in (files("xmppbus.displays") / "static").iterdir():
        content = path.read_bytes()
        tag = f'"{sha256(content).hexdigest()[:20]}"'
        lines = f"Content-Type: {_TYPES[path.name.rpartition('.')[2]]}\r\nETag: {tag}\r\n{_HEADERS}"
        # A file that is looked at by itself (an SVG is a document) may do no more than a page.
        found[path.name] = _with_policy(StaticFile(content, lines.encode(), tag), _POLICY)
    return found


def _with_policy(file: StaticFile, policy: str) -> StaticFile:
    lines = [line for line in file.headers.split(b"\r\n") if line and not line.startswith(b"Content-Security-Policy:")]
    lines.append(b"Content-Security-Policy: " + policy.encode())
    return file._replace(headers=b"".join(line + b"\r\n" for line in lines))


def _answer(request: Request, file: StaticFile) -> Answer:
    """The file, or 304 to whoever has it already (RFC 9110 §13.1.2)."""
    known = [each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")]
    status = 304 if file.tag in known or known == ["*"] else 200
    return Answer(status, file.content, file.headers)
