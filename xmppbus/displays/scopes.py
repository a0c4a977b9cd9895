"""Whether a token may read everything that a pattern can match, as a board with that pattern shows it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from xmppbus.web.tokens import Token


def may_read_all(token: Token | None, patterns: Iterable[str]) -> bool:
    """Whether each pattern lies within one of the token's scopes; who needs no token may."""
    if token is None:
        return True
    scopes = [pattern for action, pattern in token.scopes if action == "read"]
    return all(any(is_within(pattern, scope) for scope in scopes) for pattern in patterns)


@lru_cache(maxsize=4096)
def is_within(inner: str, outer: str) -> bool:
    """Whether `outer` matches every type that `inner` matches.

    A yes is always right. Where `outer` has a word behind a `#`, some patterns that lie within it are not recognised.
    """
    return _within(tuple(inner.split(".")), tuple(outer.split(".")))


def _within(inner: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    # One row of a table at a time, from the ends: no backtracking, however many `#` there are.
    below = [False] * len(outer) + [True]
    for index in range(len(outer) - 1, -1, -1):
        below[index] = outer[index] == "#" and below[index + 1]
    for word in reversed(inner):
        row = [False] * (len(outer) + 1)
        for index in range(len(outer) - 1, -1, -1):
            if outer[index] == "#":
                row[index] = row[index + 1] or below[index]
            elif word != "#":
                row[index] = outer[index] in ("*", word) and below[index + 1]
        below = row
    return below[0]
