"""A translation of the catalogue as `msgfmt` compiles it, so that tests need no gettext tools."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

MAGIC = 0x950412DE
HEADER = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=n != 1;\n"


def translate(locale: Path, language: str, texts: Mapping[str, str], several: Mapping[tuple[str, str], str]) -> None:
    """Write `locale/LANGUAGE/LC_MESSAGES/xmppbus.mo`. `several` has both forms of a text, the translations divided by a
    line."""
    entries = {"": HEADER, **texts}
    entries |= {"\0".join(forms): said.replace("\n", "\0") for forms, said in several.items()}
    path = locale / language / "LC_MESSAGES" / "xmppbus.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(_compiled({key.encode(): said.encode() for key, said in entries.items()}))


def _compiled(entries: Mapping[bytes, bytes]) -> bytes:
    """The format of the GNU gettext manual, 10.3: two tables of lengths and offsets, then the texts; sorted."""
    keys = sorted(entries)
    count, start = len(keys), 28
    at = start + 16 * count
    tables: list[bytes] = []
    texts = b""
    for column in (keys, [entries[key] for key in keys]):
        for text in column:
            tables.append(struct.pack("<II", len(text), at + len(texts)))
            texts += text + b"\0"
    head = struct.pack("<7I", MAGIC, 0, count, start, start + 8 * count, 0, at)
    return head + b"".join(tables) + texts
