"""The boards' part of the config, and the sentence for everything that it does not take."""

from __future__ import annotations

import pytest

from tests.unit.test_config import Said, Write, said, write
from xmppbus import limits
from xmppbus.config import load

__all__ = ["said", "write"]  # fixtures

BOARD = "displays:\n  - name: lobby\n    panels:\n"


def test_a_board_is_checked_for_what_its_types_cannot_say(said: Said) -> None:
    """All at once, each at its line and column."""
    lines = said(
        BOARD + "      - {kind: counter, field: data.ms}\n"
        "      - {kind: feed, by: key}\n"
        "      - {kind: chart, window: 1h}\n"
        "      - {kind: table, unit: ms, window: 5s}\n"
        "      - {kind: text, window: 9999d}\n"
        "  - {name: lobby, panels: [{kind: feed}]}\n"
    )
    assert lines == [
        "4:25: a `counter` takes no `field`",
        "5:22: a `feed` takes no `by`",
        "6:9: a `chart` needs the `field` that it draws, such as `data.ms`",
        "7:23: a `table` takes no `unit`; of such options it takes `by` and `columns`",
        "7:41: `window` is from `10s` to `3660d`, not `5s`",
        "8:30: `window` is from `10s` to `3660d`, not `9999d`",
        "9:12: a board called `lobby` is here a second time",
    ]


def test_a_word_that_is_nearly_right_is_asked_about(said: Said, write: Write) -> None:
    """A kind, an option, a theme; and a field, which works, for a sender may invent it."""
    assert said(BOARD + "      - {kind: light}\n") == [
        "4:16: displays[0].panels[0].kind can't be `light`; did you mean `lights`?"
    ]
    assert said(BOARD + "      - {kind: feed, windows: 1h}\n") == [
        "4:22: there is no option `windows` in `displays[0].panels[0]`; did you mean `window`?"
    ]
    assert "did you mean `dark`?" in said("displays: [{name: a, theme: drak, panels: [{kind: feed}]}]")[0]
    config = load(write(BOARD + "      - {kind: text, field: sumary}\n"), {})
    assert "4:29: events have no field `sumary`" in config.warnings[0]
    assert config.warnings[0].endswith("did you mean `summary`?")
    config = load(write(BOARD + "      - {kind: counter, window: 60d}\n"), {})
    assert "4:33: the journal keeps 30 days, and this looks back 60d: write `journal:" in config.warnings[0]
    assert not load(write(BOARD + "      - {kind: table, columns: [floor, data.sumary, time]}\n"), {}).warnings


def test_panels_lie_beside_one_another_and_within_the_grid(said: Said) -> None:
    """Or the screen would hide one."""
    lines = said(
        BOARD + "      - {kind: feed, at: [1, 1, 6, 4]}\n"
        "      - {kind: feed, at: [6, 4, 2, 1]}\n"
        "      - {kind: feed, at: [12, 1, 2, 1]}\n"
        "      - {kind: feed, at: [1, 48, 1, 2]}\n"
        "      - {kind: feed, at: [7, 1, 2]}\n"
        "      - {kind: feed}\n"
    )
    assert lines == [
        "5:26: this panel lies over the board's panel 1",
        "6:26: this panel reaches to column 13 of a board that has 12; the board's `columns` says how many",
        "7:26: this panel reaches to row 49 of at most 48",
        "8:26: `at` is four numbers, `[column, row, columns, rows]`, not 3",
        "9:9: this panel has no `at`, and others of the board have; give it to all, or to none",
    ]


def test_boards_need_the_listener(said: Said) -> None:
    """They are pages."""
    (line,) = said("http: null\ndisplays: [{name: a, panels: [{kind: feed}]}]\n")
    assert line.startswith("2:1: boards are pages")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "displays: ["
            + ", ".join(f"{{name: b{n}, panels: [{{kind: feed}}]}}" for n in range(limits.BOARDS + 1))
            + "]",
            f"{limits.BOARDS + 1} boards of at most {limits.BOARDS}",
        ),
        (
            "displays: [{name: a, panels: [" + ", ".join(["{kind: feed}"] * (limits.PANELS + 1)) + "]}]",
            f"{limits.PANELS + 1} panels of at most {limits.PANELS}; make a second board",
        ),
        ("displays: [{name: a, columns: 49, panels: [{kind: feed}]}]", "a whole number from 1 to 48"),
        ("displays: [{name: a, panels: []}]", "is empty; it needs at least 1"),
    ],
)
def test_boards_and_panels_have_a_limit(said: Said, text: str, sentence: str) -> None:
    """A screen has one, too."""
    assert sentence in said(text)[0]
