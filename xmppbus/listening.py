"""Where a listener listens: the text of an option as host and port, and whether only this machine can reach it."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def listen_address(listen: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8222`, `[::1]:8222` or `:8222` (every address); port 0 is any that is free.

    Raises ValueError; its text is a predicate.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"should be an address and a port such as `127.0.0.1:8222` or `[::1]:8222`, not `{listen}`")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"needs brackets around an IPv6 address: `[{host}]:{port}`")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine by definition (RFC 6761 §6.3), without asking any resolver."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def server_tls(certificate_file: str | None, key_file: str | None) -> ssl.SSLContext | None:
    """What a listener speaks TLS with, from its two options in PEM (the key may be in the certificate's file); None
    without them.

    Raises ValueError; its text begins with the option's name.
    """
    import ssl  # most commands never listen

    if not certificate_file:
        if key_file:
            raise ValueError("key_file: given without certificate_file; TLS needs the certificate")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate_file, key_file, password=no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        files = " and ".join(each for each in (certificate_file, key_file) if each)
        raise ValueError(f"certificate_file: {files} can't be used for TLS: {error}") from error
    return context


def no_password() -> str:
    """For a key with a passphrase: nobody is there to type it. Raises ValueError."""
    raise ValueError("the key has a passphrase, and nobody is there to type it; give one without")
