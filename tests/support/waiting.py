"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from time import monotonic

_POLL_S = 0.01


async def until(condition: Callable[[], object], timeout: float, what: str, *, poll: float = _POLL_S) -> None:
    """Return as soon as `condition()` is true. Raises AssertionError, naming `what`, after `timeout` seconds.

    The condition may be an ordinary function or an asynchronous one; it is looked at every `poll` seconds.
    """
    deadline = monotonic() + timeout
    while not await _value(condition()):
        if monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        await asyncio.sleep(poll)


async def _value(answer: object | Awaitable[object]) -> object:
    return await answer if inspect.isawaitable(answer) else answer
