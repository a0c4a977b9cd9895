"""Who hears what arrives on the stream. A listener's bug is logged: nobody is answered for it, and nothing ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree.ElementTree import Element

log = logging.getLogger(__name__)


class Hooks:
    """Lists to append to. Everything is called at once, in the order of arrival; nobody may wait in it."""

    def __init__(self) -> None:
        self.begun: list[Callable[[int], None]] = []  # a session has begun; its number
        self.messages: list[Callable[[Element], None]] = []  # of any type but error
        self.presences: list[Callable[[Element], None]] = []  # the same
        self.errors: list[Callable[[Element], None]] = []  # messages and presences of type error; never to be answered
        self.requests: list[
            Callable[[Element], bool]
        ] = []  # IQs of type get and set; True: it is, or will be, answered

    def tell(self, listeners: Sequence[Callable[[Any], None]], what: Any) -> None:
        """Tell all of them."""
        for listener in listeners:
            try:
                listener(what)
            except Exception:  # the house is kept alive: nobody's stanza harms the stream or the other listeners
                log.exception("what arrived could not be dealt with")

    def answer(self, request: Element) -> bool:
        """Whether somebody answers it; the first who does."""
        for listener in self.requests:
            try:
                if listener(request):
                    return True
            except Exception:  # the same
                log.exception("a request could not be dealt with")
        return False
