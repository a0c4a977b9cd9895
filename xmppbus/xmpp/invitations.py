"""Invitations into rooms: mediated by the room (XEP-0045 §7.8.2), or direct (XEP-0249). Only owners' are accepted.

A mediated one says itself who invites; that is believed only of a service that speaks for him: one of his own server's,
or one where a room of the config is. A direct one bears the inviter's JID as his server stamped it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import deque
from collections.abc import Callable
from typing import Protocol

from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.people.addresses import bare, bare_jid, domain_of
from xmppbus.xmpp import muc
from xmppbus.xmpp.messages import Heard, Invitation, chat
from xmppbus.xmpp.replies import NoAnswer
from xmppbus.xmpp.standing import Standing, State
from xmppbus.xmpp.talk import Talk

log = logging.getLogger("xmppbus.xmpp")


class Joins(Protocol):
    """Who enters rooms."""

    async def join(self, jid: str, *, nick: str = "", password: str = "", by: str = "") -> Standing:
        """Be in that room from now on; `Refused` and `ValueError` say why not."""

    def trusts(self, service: str) -> bool:
        """Whether the config names a room of that service."""


class Invitations:
    """Listens while it is entered."""

    def __init__(self, talk: Talk, joins: Joins, is_owner: Callable[[str], bool]) -> None:
        self.ignored = 0  # there were too many
        self._talk = talk
        self._joins = joins
        self._is_owner = is_owner
        self._moments: deque[float] = deque(maxlen=limits.INVITATIONS_PER_MINUTE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> None:
        self._talk.on_heard.append(self._heard)

    async def __aexit__(self, *exc_info: object) -> None:
        self._talk.on_heard.remove(self._heard)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _heard(self, heard: Heard) -> None:
        invitation = heard.invitation
        if invitation is None or heard.kind in ("error", "groupchat"):
            return
        if not self._may_be_answered(invitation):
            self.ignored += 1
            return
        why_not = refusal(invitation, is_owner=self._is_owner, trusts=self._joins.trusts)
        if why_not:
            self._decline(invitation, why_not)
            return
        task = asyncio.create_task(self._accept(invitation), name=f"invitation to {invitation.room}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _may_be_answered(self, invitation: Invitation) -> bool:
        """So many a minute, and nobody whom the bot does not answer at all."""
        if not self._talk.may_subscribe(bare(invitation.inviter)):
            return False
        now = asyncio.get_running_loop().time()
        if len(self._moments) == self._moments.maxlen and now - self._moments[0] < 60.0:
            return False
        self._moments.append(now)
        return True

    async def _accept(self, invitation: Invitation) -> None:
        by = bare(invitation.inviter)
        log.info("%s invites us to %s", by, invitation.room, extra={"room": invitation.room, "jid": by})
        try:
            standing = await self._joins.join(invitation.room, password=invitation.password, by=by)
        except (Refused, ValueError) as error:
            self._decline(invitation, str(error))
            return
        if standing.state is not State.IN:
            self._tell(by, f"{invitation.room}: {standing.words}; it is tried again")

    def _decline(self, invitation: Invitation, reason: str) -> None:
        about = {"room": invitation.room, "jid": invitation.inviter}
        log.info("an invitation to %s by %s is declined: %s", *about.values(), reason, extra=about)
        if not invitation.is_mediated:  # there is no way to decline it but in words
            self._tell(invitation.inviter, f"{invitation.room}: {reason}")
            return
        stanza = muc.decline(invitation.room, invitation.inviter, sender=self._talk.full(), reason=reason)
        with contextlib.suppress(NoAnswer):
            self._talk.send(stanza)

    def _tell(self, jid: str, text: str) -> None:
        sender, made = self._talk.full(), str(uuid.uuid4())
        stanza = chat(to=jid, sender=sender, message_id=made, body=text, markable=False, receipt=False, automatic=True)
        with contextlib.suppress(NoAnswer):
            self._talk.send(stanza)


def refusal(invitation: Invitation, *, is_owner: Callable[[str], bool], trusts: Callable[[str], bool]) -> str:
    """Why an invitation is declined; empty when it is accepted."""
    try:
        room, inviter = bare_jid(invitation.room), bare_jid(invitation.inviter)
    except ValueError as error:
        return str(error)
    if inviter == room:
        return "the room hides who invites; use a direct invitation (XEP-0249), or `join`"
    if not is_owner(inviter):
        return "only the bot's owners can invite it"
    service, home = domain_of(room), domain_of(inviter)
    if invitation.is_mediated and not trusts(service) and service != home and not service.endswith(f".{home}"):
        return f"anybody could say at {service} that {inviter} invites; use a direct invitation (XEP-0249), or `join`"
    return ""
