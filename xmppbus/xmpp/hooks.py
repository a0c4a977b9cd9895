"""Who hears what arrives on the stream. A listener's bug is logged: nobody is answered for it, and nothing ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from xmppbus import limits

log = logging.getLogger(__name__)

Listeners = Sequence[Callable[[Element], None]]


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

        self._early: list[tuple[Listeners, Element]] = []

    def hear(self, listeners: Listeners, stanza: Element, *, is_up: bool) -> None:
        """Tell all of them; what comes before we may speak is kept for that moment, or nobody could answer it."""
        if is_up:
            self.tell(listeners, stanza)
        elif len(self._early) < limits.EARLY_STANZAS:
            self._early.append((listeners, stanza))

    def begin(self, session: int) -> None:
        """A session has begun."""
        self.tell(self.begun, session)
        early, self._early = self._early, []
        for listeners, stanza in early:
            self.tell(listeners, stanza)

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
