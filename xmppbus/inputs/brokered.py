"""What inputs have in common that take from somebody else's broker, and say yes to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xmppbus.errors import Exit, Refused
from xmppbus.interfaces import Accept, Accepted


async def accept_all(accept: Accept, read: Sequence[Mapping[str, Any] | Refused]) -> list[Accepted | Refused]:
    """One answer each, in order, for fields and for what could not be read; a no of the whole house is each one's."""
    sent = [each for each in read if not isinstance(each, Refused)]
    try:
        answers: Sequence[Accepted | Refused] = await accept(sent) if sent else ()
    except Refused as refusal:
        answers = [refusal] * len(sent)
    following = iter(answers)
    return [each if isinstance(each, Refused) else next(following) for each in read]


def is_about_us(refusal: Refused) -> bool:
    """Whether the same event may be accepted later: full, closing, too many nodes. By the one table of errors."""
    return refusal.answer.exit == Exit.TRY_AGAIN
