"""One output at a time tells somebody something, and who has to wait for that is woken."""

from typing import Any

from xmppbus.people.turns import Turns
from xmppbus.route import Target

ROMEO, JULIET = "romeo@example.org", "juliet@example.org"


class Woken:
    """In the place of the store: remembers who was woken."""

    def __init__(self) -> None:
        self.targets: list[Target] = []

    def wake(self, target: Target) -> None:
        """As the store does."""
        self.targets.append(target)


def test_who_comes_second_waits_and_is_woken() -> None:
    """Others are not concerned, and what is over is over once."""
    woken: Any = Woken()
    turns = Turns(woken)
    assert turns.take("digest", ROMEO)
    assert not turns.take("chat", ROMEO)
    assert turns.take("chat", JULIET)
    turns.over("chat", ROMEO)
    turns.over("chat", JULIET)
    assert woken.targets == []
    turns.over("digest", ROMEO)
    turns.over("digest", ROMEO)
    assert woken.targets == [Target("chat", ROMEO)]
    assert turns.take("chat", ROMEO)


def test_nothing_is_kept_of_whose_turn_is_over() -> None:
    """However many there are."""
    turns = Turns(Woken())  # type: ignore[arg-type]  # all that it uses of the store
    for number in range(100):
        assert turns.take("chat", f"p{number}@example.org")
        assert not turns.take("digest", f"p{number}@example.org")
        turns.over("chat", f"p{number}@example.org")
    assert not turns._whose
    assert not turns._waiting
