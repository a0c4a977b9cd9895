"""docs/reference/payload.md shows what is made."""

from __future__ import annotations

import json
import re
from pathlib import Path

from xmppbus import limits
from xmppbus.event import NAMESPACE, parse
from xmppbus.xmpp.stanzas import encode_item

PAGE = (Path(__file__).parents[2] / "docs/reference/payload.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found.group(1)


def test_the_worked_example_is_what_the_house_makes_of_it() -> None:
    """Line for line, but for the JSON that stands above it."""
    fields = json.loads(block("json"))
    event = parse(fields, {}).event
    shown = "".join(line.strip() for line in block("xml").splitlines())
    before, after = shown.split('{"specversion":"1.0","source":"db1.example.org",...}')
    made = encode_item(event.item_id, event).decode()
    assert made.startswith(before)
    assert made.endswith(after)
    assert {"specversion": "1.0", **event.fields} == fields


def test_the_page_names_the_namespace_and_the_bound() -> None:
    """So that another program can compute item ids and sizes."""
    assert str(NAMESPACE) in PAGE
    assert f"{limits.ITEM_BYTES:,} bytes" in PAGE
