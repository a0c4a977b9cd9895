"""Results that come in pages (XEP-0059), from services that page and from those that do not. Bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.xmpp.replies import ErrorAnswer
from xmppbus.xmpp.services.asking import Asker, exact
from xmppbus.xmpp.stanzas import element_text

RSM = "http://jabber.org/protocol/rsm"
_NO_PAGES = ("bad-request", "feature-not-implemented", "not-acceptable")


class Pages(NamedTuple):
    """The answers, in the order in which they came. `more` is whether there was more than the bound."""

    answers: tuple[Element, ...]
    more: bool


def page(size: int, after: str = "") -> str:
    """Ask for so many, behind the one with that id."""
    behind = f"<after>{element_text(after)}</after>" if after else ""
    return f"<set xmlns='{RSM}'><max>{size}</max>{behind}</set>"


async def pages(
    asker: Asker,
    to: str,
    request: Callable[[str], str],
    count: Callable[[Element], int],
    *,
    from_the_first: bool = False,
) -> Pages:
    """Ask page for page, where the service pages by itself, or, `from_the_first`, where it can.

    `request` makes the request from what goes along with it; `count` counts what has come. Raises `ErrorAnswer` or
    `NoAnswer`.
    """
    answers: list[Element] = []
    seen: set[str] = set()
    got, after = 0, ""
    while len(answers) < limits.PAGES:
        rest = page(limits.PAGE_ITEMS, after) if after or from_the_first else ""
        try:
            answer = await asker.ask("get", to, request(rest))
        except ErrorAnswer as error:
            if answers or not rest or error.reply.name not in _NO_PAGES:
                raise
            from_the_first = False
            continue
        answers.append(answer)
        came = count(answer)
        got += came
        last, whole = _where(answer)
        if not came or not last or last in seen or whole is None or got >= whole:
            return Pages(tuple(answers), more=False)
        if got >= limits.SERVICE_ITEMS:
            return Pages(tuple(answers), more=True)
        seen.add(last)
        after = last
    return Pages(tuple(answers), more=True)


def _where(answer: Element) -> tuple[str, int | None]:
    """The id of the last of a page, and how many there are in all; a service that does not page says neither."""
    found = next(answer.iter(f"{{{RSM}}}set"), None)
    if found is None:
        return "", None
    number = (found.findtext(f"{{{RSM}}}count") or "").strip()
    last = found.findtext(f"{{{RSM}}}last") or ""
    if not (number.isascii() and number.isdigit() and len(number) <= 12):
        return last, limits.SERVICE_ITEMS if last else None
    return last, int(number)


def named(node: str) -> str:
    """A `node` attribute, where there is one."""
    return f" node='{exact(node)}'" if node else ""
