"""An event as text for people."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xmppbus.event import Event
from xmppbus.fields import SEVERITIES
from xmppbus.render import MARKS, few_lines, one_line, plain


def event(**fields: str) -> Event:
    return Event({"type": "disk.full", "id": "1", "source": "db1", "time": "2026-01-31T12:00:00Z", **fields})


def test_one_line_says_what_how_bad_and_where() -> None:
    """A mark for those who see no colour."""
    said = one_line(event(severity="warning", summary="/ is 91 %\nfull", subject="/dev/sda1", status="firing", key="k"))
    assert said == "▲ disk.full  / is 91 % full  (/dev/sda1, firing)"


def test_few_lines_have_summary_text_link_and_origin() -> None:
    """As chat clients show it raw."""
    said = few_lines(event(summary="Full", data="rm something", link="https://example.org/"))
    assert said == "• Full\nrm something\nhttps://example.org/\ndisk.full · db1"


def test_a_text_whose_first_line_is_the_summary_says_it_once() -> None:
    """As of `make deploy 2>&1 | xmppbus publish deploy.log`."""
    said = few_lines(event(summary="one", data="one\ntwo"))
    assert said.splitlines()[:2] == [f"{MARKS['info']} one", "two"]


def test_colours_of_a_log_line_are_taken_off() -> None:
    """ANSI sequences, hyperlinks and titles, and whatever else a terminal obeys."""
    assert plain("\x1b[1;31mred\x1b[0m \x1b]8;;https://e.org\x07link\x1b]8;;\x07 \x07bell\x9b") == "red link bell"


@given(st.text())
def test_no_text_can_command_a_terminal(text: str) -> None:
    """No escape, no control, no bidi override is left."""
    left = plain(text)
    assert not [char for char in left if ord(char) < 32 and char not in "\t\n\r"]
    assert not set(left) & {"\x1b", "\x7f", "\u202e", "\u2066"}


def test_every_severity_has_a_mark_of_its_own() -> None:
    """Shape as well as colour."""
    assert set(MARKS) == set(SEVERITIES)
    assert len(set(MARKS.values())) == len(SEVERITIES)
