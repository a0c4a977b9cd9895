"""Where panels are, and who may see a board."""

from __future__ import annotations

import itertools

import pytest

from xmppbus.displays.layout import Place, landscape, portrait, rows_of
from xmppbus.displays.scopes import is_within, may_read_all
from xmppbus.options import DisplayOptions, PanelOptions
from xmppbus.route import topic_matches
from xmppbus.web.tokens import Token

KINDS = ("counter", "rate", "text", "counter", "chart", "feed", "table", "lights")


def cells(places: list[Place]) -> list[tuple[int, int]]:
    """Every cell that a panel takes."""
    return [
        cell
        for column, row, columns, rows in places
        for cell in itertools.product(range(column, column + columns), range(row, row + rows))
    ]


@pytest.mark.parametrize("columns", [1, 2, 5, 12, 48])
def test_panels_without_a_place_fill_the_board_upright_and_on_its_side(columns: int) -> None:
    """Each cell is taken once: no gap, and nothing over another."""
    panels = [PanelOptions(kind=kind, field="a" if kind == "chart" else None) for kind in KINDS]  # type: ignore[arg-type]  # they are kinds
    places = landscape(DisplayOptions(name="a", columns=columns, panels=panels))
    for found in (places, portrait(places, columns)):
        assert sorted(cells(found)) == sorted(itertools.product(range(1, columns + 1), range(1, rows_of(found) + 1)))


def test_a_place_that_is_given_is_kept_and_upright_panels_are_twice_as_wide() -> None:
    """In the order in which they are read."""
    panels = [
        PanelOptions(kind="feed", at=[7, 1, 6, 4]),
        PanelOptions(kind="rate", at=[1, 1, 6, 4]),
        PanelOptions(kind="rate", at=[1, 5, 3, 2]),
        PanelOptions(kind="rate", at=[4, 5, 3, 2]),
    ]
    places = landscape(DisplayOptions(name="a", panels=panels))
    assert places[0] == (7, 1, 6, 4)
    assert portrait(places, 12) == [(1, 5, 12, 4), (1, 1, 12, 4), (1, 9, 6, 2), (7, 9, 6, 2)]


PATTERNS = ["#", "*", "*.*", "a.#", "a.*", "a.b", "*.b", "#.b", "a.#.b", "b.#", "a.b.#", "a"]
TYPES = [".".join(words) for size in (1, 2, 3, 4) for words in itertools.product("abx", repeat=size)]


@pytest.mark.parametrize(("inner", "outer"), list(itertools.product(PATTERNS, PATTERNS)))
def test_a_pattern_lies_within_another_when_all_that_it_matches_does(inner: str, outer: str) -> None:
    """What is said to be within, is; and what is, is known, where no word comes behind a `#`."""
    really = all(topic_matches(outer, each) for each in TYPES if topic_matches(inner, each))
    assert is_within(inner, outer) <= really
    if "#." not in outer:
        assert is_within(inner, outer) == really


def test_a_token_sees_a_board_whose_every_pattern_it_may_read() -> None:
    """A scope to publish is none."""
    token = Token("lobby", b"", (("read", "disk.#"), ("read", "user.*"), ("publish", "#")))
    assert may_read_all(token, ["disk.full", "disk.*.#", "user.signup"])
    assert not may_read_all(token, ["disk.full", "user.#"])
    assert not may_read_all(token, ["#"])
    assert may_read_all(None, ["#"])
