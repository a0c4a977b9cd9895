"""Answers as chat text: lines that read well raw on a phone. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from xmppbus.bot.command import Answer, Table
from xmppbus.render import plain


def as_text(answer: Answer) -> str:
    """The whole answer; a table is a line for each row."""
    lines = [answer.text] if answer.text else []
    if answer.table:
        lines += table_lines(answer.table)
    return plain("\n".join(lines))


def table_lines(table: Table) -> list[str]:
    """`disk.full · 17 times · 12 min ago`. The columns' names are for forms: a row has to be understood without."""
    return [row_line(row) for row in table.rows]


def row_line(row: Sequence[str]) -> str:
    """One row; what is empty is left out."""
    return " · ".join(" ".join(cell.split()) for cell in row if cell)
