"""Text as a man page has it: man(7)'s macros, and the little Markdown of our own pages."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

_SPECIAL = {"\\": "\\e", "-": "\\-", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", "'": "\\(aq"}


def escaped(text: str) -> str:
    """So that roff prints what stands there."""
    for each, written in _SPECIAL.items():
        text = text.replace(each, written)
    return f"\\&{text}" if text.startswith(".") else text


def title(name: str, section: int) -> str:
    """The first line. It has no date, so that the same source makes the same bytes."""
    return f'.TH {name.upper()} {section} "" "xmppbus" "xmppbus manual"'


def bold(text: str) -> str:
    """In bold."""
    return f"\\fB{escaped(text)}\\fR"


def marked(text: str) -> str:
    """A line of Markdown: `code` and **words** in bold, *words* in italics, of links their text."""
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    found = []
    for part in re.split(r"(`[^`]+`|\*\*[^*]+\*\*|(?<![\w*])\*[^*\s][^*]*\*(?!\w))", text):
        if len(part) > 2 and part[0] == part[-1] == "`":
            found.append(bold(part[1:-1]))
        elif part.startswith("**") and len(part) > 4:
            found.append(bold(part[2:-2]))
        elif len(part) > 2 and part[0] == part[-1] == "*":
            found.append(f"\\fI{escaped(part[1:-1])}\\fR")
        else:
            found.append(escaped(part) if part else "")
    return "".join(found)


def literal(text: str) -> Iterator[str]:
    """Lines that stay as they are."""
    yield from (".PP", ".RS 4", ".nf")
    yield from (escaped(line) for line in textwrap.dedent(text).rstrip().splitlines())
    yield from (".fi", ".RE")


def paragraphs(text: str) -> Iterator[str]:
    """A help text of click: paragraphs, and with a mark of its own (`\\b`) what must not be filled."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.lstrip().startswith("\b"):
            yield from literal(paragraph.partition("\n")[2])
        else:
            yield ".PP"
            yield from (marked(line.strip()) for line in paragraph.splitlines())


def markdown(text: str) -> Iterator[str]:
    """A page of ours without its title."""
    for block in re.findall(r"```.*?```|(?:[^\n]+\n)+", re.sub(r"<!--.*?-->", "", text), re.DOTALL):
        if block.startswith("```"):
            yield from literal(block.partition("\n")[2].rpartition("```")[0])
        elif heading := re.match(r"(#+) (.*)", block):
            sort = ".SH" if len(heading[1]) == 2 else ".SS"
            yield f"{sort} {marked(heading[2].upper() if sort == '.SH' else heading[2])}"
        elif block.startswith("|"):
            yield from _table(block)
        elif block.startswith("* "):
            for item in re.split(r"^\* ", block, flags=re.MULTILINE)[1:]:
                yield ".IP \\(bu 2"
                yield marked(" ".join(item.split()))
        else:
            yield ".PP"
            yield from (marked(line) for line in block.splitlines())


def _table(block: str) -> Iterator[str]:
    """Each row as a term and what is said of it: a terminal is too narrow for columns of sentences."""
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in block.splitlines()]
    names = [cell.strip() for cell in rows[0]]
    for row in rows[2:]:
        first, *others = [cell.strip().replace("\\|", "|") for cell in row]
        yield ".TP"
        yield marked(first)
        said = [
            cell if number == len(others) else f"{name}: {cell}."
            for number, (name, cell) in enumerate(zip(names[1:], others, strict=True), start=1)
            if cell
        ]
        yield marked(" ".join(said)) or "\\&"
