"""JIDs as they are compared: prepared (RFC 7622), so that one written in the config equals the one a server stamps."""

from __future__ import annotations

import unicodedata

_FORBIDDEN = frozenset("\"&'/:<>@ ")  # in a localpart (RFC 7622 §3.3.1)
_BYTES = 1023  # of each part (RFC 7622 §3)


def bare_jid(text: str) -> str:
    """A bare JID or a domain, prepared; a resource is dropped. Raises `ValueError` with a sentence."""
    address = text.strip().partition("/")[0]
    local, at, domain = address.rpartition("@")
    local = unicodedata.normalize("NFKC", local.casefold())
    domain = unicodedata.normalize("NFKC", domain.casefold()).removesuffix(".")
    if at and (not local or _FORBIDDEN & set(local) or not _is_shown(local) or len(local.encode()) > _BYTES):
        raise ValueError(f"{text!r} is not a JID such as romeo@example.org")
    if not domain or not _is_domain(domain):
        raise ValueError(f"{text!r} is not a JID such as romeo@example.org: it has no domain")
    return f"{local}@{domain}" if local else domain


def domain_of(jid: str) -> str:
    """The domain of a prepared JID."""
    return jid.partition("/")[0].rpartition("@")[2]


def bare(jid: str) -> str:
    """A JID that a server has stamped, without its resource."""
    return jid.partition("/")[0]


def _is_domain(domain: str) -> bool:
    fits = len(domain.encode()) <= _BYTES and all(0 < len(label.encode()) <= 63 for label in domain.split("."))
    return fits and not (_FORBIDDEN - {":"}) & set(domain) and _is_shown(domain)


def _is_shown(text: str) -> bool:
    return text.isprintable() and not any(character.isspace() for character in text)
