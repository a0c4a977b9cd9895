"""What stands over the board for a moment: a text, and a question."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

HELP = """\
↑ ↓ PgUp PgDn    choose a line; Home is the oldest
End, Esc         choose none, and follow what is new
Tab              from what happens to the incidents, and back
Enter            all of an event: what it says, where it went, who was told
a                acknowledge the incident: nobody else is called
u                take that back
r                resolve it (it asks)
s, S             only what is severe: the next severity, the one before
?                this
q, Ctrl-C        quit

·  debug   •  info   ◆  notice   ▲  warning   ✖  error   ‼  critical"""

_CSS = """
{name} {{ align: center middle; }}
{name} > VerticalScroll {{
    width: 90%; max-width: 110; height: auto; max-height: 90%; border: round ansi_bright_blue; padding: 0 1;
}}
"""


class Text(ModalScreen[None]):
    """A text that is read and closed."""

    CSS = _CSS.format(name="Text")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,question_mark,q", "dismiss", priority=True)]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """As Textual says."""
        with VerticalScroll() as box:
            box.border_title = Content(self._title)
            box.border_subtitle = "Esc closes"
            yield Static(Content(self._text), markup=False)


class Question(ModalScreen[bool]):
    """Yes or no."""

    CSS = _CSS.format(name="Question")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", priority=True),
        Binding("n,escape,q", "answer(False)", priority=True),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """As Textual says."""
        with VerticalScroll() as box:
            box.border_subtitle = "y yes · n no"
            yield Static(Content(self._text), markup=False)

    def action_answer(self, yes: bool) -> None:
        """That was it."""
        self.dismiss(yes)
