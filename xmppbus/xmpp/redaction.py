"""Keeps secrets and people's data out of slixmpp's logs, which at DEBUG hold the handshake and every stanza."""

from __future__ import annotations

import logging
import re

_MARKUP = re.compile(r"<[^\s>/]*.*", re.DOTALL)
_installed: set[str] = set()


class Redaction(logging.Filter):
    """Leaves of any markup in a record only the name of the first element and how long it was."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; it always passes."""
        message = record.getMessage()
        found = _MARKUP.search(message)
        if found:
            name = found.group().partition(" ")[0].rstrip(">")[:40].partition(">")[0]
            message = f"{message[: found.start()]}{name} ...> ({len(found.group())} characters)"
        record.msg, record.args = message, None
        return True


_FILTER = Redaction()


def redact(name: str = "slixmpp") -> None:
    """Put the filter on every logger at and below `name`; filters of loggers are not inherited, so call it again
    after more modules were imported."""
    below = [known for known in logging.root.manager.loggerDict if known == name or known.startswith(name + ".")]
    for known in {name, *below} - _installed:
        logging.getLogger(known).addFilter(_FILTER)
        _installed.add(known)
