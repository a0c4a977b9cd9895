"""Tokens of the HTTP door: made here, kept as hashes in a file, compared in constant time.

The file has one token a line: its name, `sha256:` and the hash in hexadecimal, and its scopes; `#` begins a comment::

    website   sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08   publish:user.#
    grafana   sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752   publish:disk.# read:#

A token is `xmppbus.NAME.SECRET` with 256 random bits. Nobody can try all of those, so a plain SHA-256 keeps them: a
slow hash protects guessable passwords, and here it would only let strangers burn our processor.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import ConfigInvalid
from xmppbus.route import QUEUE, topic_matches

ACTIONS = ("publish", "read")
METRICS = "metrics"
"""The scope that has no pattern: figures are not about types, and show nobody's data (docs/adr/0012)."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_SCOPE = re.compile(rf"{METRICS}|(?:{'|'.join(ACTIONS)}):(?:[A-Za-z0-9_-]+|\*|#)(?:\.(?:[A-Za-z0-9_-]+|\*|#))*")
_LOOK_SECONDS = 1.0


class Token(NamedTuple):
    """What is known of a token. `scopes` are `(action, pattern)` pairs; the pattern of `metrics` is empty."""

    name: str
    digest: bytes
    scopes: tuple[tuple[str, str], ...]

    def may(self, action: str, event_type: str) -> bool:
        """Whether it may do this with events of this type."""
        return any(each == action and topic_matches(pattern, event_type) for each, pattern in self.scopes)

    def lacks(self, action: str, fields: Mapping[str, Any]) -> tuple[str, str] | None:
        """What it may not do this with, of an event: the field (`type`, `queue`) and what that is. An event of a queue
        needs a scope for its type and one for the queue, which counts by its name."""
        for field in ("type", QUEUE):
            value = fields.get(field)
            if isinstance(value, str) and not self.may(action, topic_of(value)):  # what is no text is refused later
                return field, topic_of(value)
        return None

    @property
    def words(self) -> list[str]:
        """Its scopes as they are written."""
        return [f"{action}:{pattern}" if pattern else action for action, pattern in self.scopes]

    def may_at_all(self, action: str) -> bool:
        """Whether it may do this with any type."""
        return any(each == action for each, _ in self.scopes)


def topic_of(name: str) -> str:
    """A type, or the name of a queue as if it were a type: what patterns of scopes are compared with."""
    return name.replace("/", ".")


_NOBODY = Token("", hashlib.sha256(secrets.token_bytes()).digest(), ())


class Tokens:
    """The tokens of a file, read again when it changes. Raises `ConfigInvalid` when it can't be read at first.

    A file that goes bad later is kept out: what was read before holds, and `problem` says why.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._looked = 0.0
        self._by_name: dict[str, Token] = {}
        self.problem = ""
        self._read()

    def check(self, presented: str) -> Token | None:
        """The token that this text is, else None. One that was made a moment ago counts at once."""
        self._look()
        return self._known(presented) or (self._known(presented) if self._look(at_once=True) else None)

    def _known(self, presented: str) -> Token | None:
        parts = presented.split(".")
        known = self._by_name.get(parts[1], _NOBODY) if len(parts) == 3 else _NOBODY
        digest = hashlib.sha256(presented.encode(errors="surrogateescape")).digest()
        # An unknown name is compared as well, so that time tells nothing about names either.
        same = hmac.compare_digest(digest, known.digest)
        return known if same and known is not _NOBODY else None

    def holds(self, token: Token) -> bool:
        """Whether a token is still in the file, with the same scopes."""
        self._look()
        return self._by_name.get(token.name) == token

    @property
    def warning(self) -> str:
        """What is wrong with the file, in plain words; empty when nothing is."""
        if self.problem:
            return self.problem
        with contextlib.suppress(OSError):
            mode = stat.S_IMODE(self._path.stat().st_mode)
            if mode & 0o022:
                return (
                    f"{self._path} can be written by others (mode {mode:o}): whoever can, can let himself in; chmod 600"
                )
            if mode & 0o004:
                return f"{self._path} can be read by everybody (mode {mode:o}); it holds only hashes, yet chmod 600"
        return ""

    def _look(self, *, at_once: bool = False) -> bool:
        """Read the file again where it has changed, at most once a second unless `at_once`; whether it was read."""
        now = time.monotonic()
        if not at_once and now - self._looked < _LOOK_SECONDS:
            return False
        self._looked = now
        try:
            has_changed = _stamp(self._path) != self._stamp
            if has_changed:
                self._read()
            self.problem = ""
        except (OSError, ConfigInvalid) as error:
            self.problem = f"the tokens file can't be read again, the old one holds: {error}"
            return False
        return has_changed

    def _read(self) -> None:
        try:
            stamp = _stamp(self._path)
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigInvalid(f"{self._path}: {error}; `xmppbus token add NAME SCOPE` makes it") from error
        self._by_name = {token.name: token for token in parse(text, str(self._path))}
        self._stamp = stamp


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def parse(text: str, file: str) -> list[Token]:
    """The tokens of a file's text. Raises `ConfigInvalid` with `file:line:column`."""
    found: dict[str, Token] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = [] if line.lstrip().startswith("#") else line.split()
        if not words:
            continue
        problem = _problem(words, found)
        if problem:
            raise ConfigInvalid(f"{file}:{number}:1: {problem}")
        name, digest, *scopes = words
        pairs = tuple((action, pattern) for action, _, pattern in (scope.partition(":") for scope in scopes))
        found[name] = Token(name, bytes.fromhex(digest.partition(":")[2]), pairs)
    return list(found.values())


def _problem(words: Sequence[str], found: dict[str, Token]) -> str:
    """What is wrong with a line, or nothing. The hash is never shown: somebody may have put the token itself there."""
    if len(words) < 3:
        return "a token has a name, a hash and at least one scope, such as publish:user.#"
    strange = next((scope for scope in words[2:] if not _SCOPE.fullmatch(scope)), None)
    problems = (
        (not _NAME.fullmatch(words[0]), f"{words[0]!r} is not a name of A-Z a-z 0-9 _ -"),
        (words[0] in found, f"two tokens are named {words[0]}"),
        (not _HASH.fullmatch(words[1]), "the hash is not sha256: and 64 hexadecimal digits"),
        (len(found) >= limits.TOKENS, f"more than {limits.TOKENS} tokens"),
        (strange is not None, f"{strange!r} is not publish:PATTERN, read:PATTERN or metrics, such as publish:user.#"),
    )
    return next((text for wrong, text in problems if wrong), "")


# --- for `xmppbus token` ----------------------------------------------------------------------------------------------


def make_token(name: str, scopes: Sequence[str]) -> tuple[str, str]:
    """A new token, and its line for the file; only the line may be kept. Raises `ValueError` (bad name or scope)."""
    token = f"xmppbus.{name}.{secrets.token_urlsafe(32)}"
    words = [name, f"sha256:{hashlib.sha256(token.encode()).hexdigest()}", *scopes]
    problem = _problem(words, {})
    if problem:
        raise ValueError(problem)
    return token, " ".join(words)


def add_token(path: Path, name: str, scopes: Sequence[str], beside: Path | None = None) -> str:
    """Make a token, write its line into the file, and return it: it is shown once.

    A new file has mode 600; where a group may read the file `beside` it (the config), that group may read it, too.
    Raises `ValueError` (bad name or scope, name taken), `ConfigInvalid` (bad file), `OSError`.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if any(token.name == name for token in parse(text, str(path))):
        raise ValueError(f"there is a token named {name} already; remove it first, or take another name")
    token, line = make_token(name, scopes)
    _write(path, text + ("\n" if text and not text.endswith("\n") else "") + line + "\n", _access(path, beside))
    return token


def remove_token(path: Path, name: str) -> bool:
    """Take a token out of the file: it is refused from the next second on. False when there was none."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if line.split()[:1] != [name]]
    if len(kept) == len(lines):
        return False
    _write(path, "".join(kept), _access(path))
    return True


class _Access(NamedTuple):
    """Who may read a file; -1 is whoever writes it."""

    owner: int = -1
    group: int = -1
    mode: int = 0o600


def _access(path: Path, beside: Path | None = None) -> _Access:
    """As the file has it: root writes it, and a daemon that is not root has to read it after that."""
    if path.exists():
        found = path.stat()
        return _Access(found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
    if beside is not None and (found := beside.stat()).st_mode & stat.S_IRGRP:
        return _Access(group=found.st_gid, mode=0o640)
    return _Access()


def _write(path: Path, text: str, access: _Access) -> None:
    """All of it or nothing: a daemon may read at any moment."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            with contextlib.suppress(
                PermissionError
            ):  # who is not root gives nothing away; then it is the writer's own
                os.fchown(handle, access.owner, access.group)
            os.fchmod(handle, access.mode)
            file.write(text)
            file.flush()
            os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
