"""Another server that a way in or out connects to: its address, our password there, and whom TLS trusts.

Everything that is wrong is a `ValueError` with a sentence that goes on after a comma; none has a password in it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from xmppbus.config.rules import credential, first_line
from xmppbus.errors import ConfigInvalid


class Address(NamedTuple):
    """The parts of a URL, decoded; `path` without the slash in front. What is not said is empty, or port 0."""

    scheme: str
    host: str
    port: int
    user: str
    path: str


def address(url: str, schemes: tuple[str, ...]) -> Address:
    """Take a server's URL apart. A password in it is refused, for many may read the config."""
    example = f"`{schemes[0]}://{schemes[0]}.example.org/`"
    try:
        parts = urlsplit(url)
        port, has_password = parts.port or 0, parts.password is not None
    except ValueError:  # its words may have a password in them
        raise ValueError(f"`url` is not a URL such as {example}") from None
    if has_password:
        raise ValueError(
            "`url` has a password in it, and many may read this file: write the password into a file of its own (mode "
            "600) and name that in `password_file`"
        )
    if parts.scheme not in schemes:
        raise ValueError(f"`url` begins with {' or '.join(f'`{each}://`' for each in schemes)}, such as {example}")
    if parts.query or parts.fragment:
        raise ValueError("`url` has a `?` or a `#`; what would stand behind it is an option of its own")
    return Address(parts.scheme, parts.hostname or "", port, unquote(parts.username or ""), unquote(parts.path[1:]))


def password(file: str | None, name: str, environ: Mapping[str, str]) -> str:
    """Ours at that server: the first line of `password_file`, or systemd's credential `NAME`, or `$XMPPBUS_NAME`.

    The file comes first, for there may be several servers, and only it is this one's. Empty when there is none.
    """
    given = Path(file) if file else credential(name, environ)
    if given is None:
        return environ.get(f"XMPPBUS_{name.upper()}", "")
    try:
        return first_line(given)
    except ConfigInvalid as error:
        raise ValueError(str(error).replace("secret", "password")) from None


def trust(ca_file: str | None, certificate_file: str | None, key_file: str | None) -> ssl.SSLContext:
    """TLS that checks the server's name and certificate; with a certificate of our own where there is one."""
    if bool(certificate_file) != bool(key_file):
        raise ValueError("`certificate_file` and `key_file` go together; one of them is missing")
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if certificate_file:
            context.load_cert_chain(certificate_file, key_file)
    except ssl.SSLError as error:
        raise ValueError(f"a certificate or key can't be used: {error.reason or error}") from None
    except OSError as error:
        named = error.filename or ", ".join(each for each in (ca_file, certificate_file, key_file) if each)
        raise ValueError(f"{named} can't be read: {error.strerror}") from None
    return context
