"""What the demonstration publishes: sign-ups, a disk that fills and is emptied, builds that break and are mended."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

PEOPLE = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
NODES = ("user.signup", "disk.full", "build.failed", "demo.hello")
"""The nodes that it subscribes to; the last one is for whoever tries the commands that it prints."""

_FILLING = (81, 88, 93, 97, 34)
_MACHINES = 24
"""So many disks fill one after the other: one alone would come and go so often that the bot said only that."""


def samples() -> Iterator[list[str]]:
    """Arguments of `xmppbus publish`, without end."""
    for number in count():
        person = PEOPLE[number % len(PEOPLE)]
        yield ["user.signup", f"{person} joined", "--data", f"user={person}", "--tag", "web"]
        machine, step = divmod(number, len(_FILLING))
        yield _disk(f"db{machine % _MACHINES + 1}", _FILLING[step])
        yield ["user.signup", f"{person}-{number + 1} joined", "--data", f"user={person}-{number + 1}", "--tag", "xmpp"]
        if number % 2 == 0:
            text = f"build #{1040 + number}: 2 of 318 tests failed"
            link = f"https://ci.example.org/builds/{1040 + number}"
            yield ["build.failed", text, "--severity", "error", "--link", link, "--subject", "main"]


def _disk(machine: str, percent: int) -> list[str]:
    severity = "critical" if percent > 95 else "warning" if percent > 80 else "info"
    status = "firing" if percent > 80 else "resolved"
    text = f"/var is {percent} % full"
    options = ["--severity", severity, "--key", f"{machine}:/var", "--status", status, "--subject", machine]
    return ["disk.full", text, *options, "--data", f"percent={percent}"]
