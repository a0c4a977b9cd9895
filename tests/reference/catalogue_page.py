"""The catalogue of what people read in the chat, `locale/xmppbus.pot`: every text that the code looks up."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from tests.reference.pages import ROOT
from xmppbus.people.catalogue import DOMAIN, LOCALE

POT = LOCALE / f"{DOMAIN}.pot"
PACKAGE = ROOT / "xmppbus"
LOOKS_UP = {"_": 1, "mark": 1, "several": 2}
"""Functions of the catalogue, and how many of their first arguments are texts."""

HEAD = r"""# What people read in the chat, from `python -m tests.reference`; how to translate it: docs/contributing.md.
# {names} in braces are filled in: keep them as they are, wherever they go in your sentence. Commands in `such quotes`
# are typed as they stand.
msgid ""
msgstr ""
"Project-Id-Version: xmppbus\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;\n"
"""


class Text(NamedTuple):
    """What is looked up: a text, or the two forms of one with a number."""

    one: str
    many: str = ""


def texts() -> dict[Text, list[str]]:
    """Each text once, in the order of the code, with the files in which it is."""
    found: dict[Text, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text()
        if ".catalogue import" not in source:
            continue
        for text in _texts_of(ast.parse(source)):
            files = found.setdefault(text, [])
            name = str(path.relative_to(ROOT))
            if name not in files:
                files.append(name)
    return found


def _texts_of(tree: ast.AST) -> Iterator[Text]:
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)]
    for call in sorted(calls, key=lambda each: (each.lineno, each.col_offset)):
        assert isinstance(call.func, ast.Name)
        given = call.args[: LOOKS_UP.get(call.func.id, 0)]
        # What is no literal is looked up by a text that is marked elsewhere.
        words = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if given and len(words) == len(given):
            yield Text(*words)


def page() -> str:
    """The whole catalogue. Without line numbers: it changes when a text does."""
    return "\n".join([HEAD, *(_entry(text, files) for text, files in texts().items())])


def _entry(text: Text, files: list[str]) -> str:
    lines = [f"#: {' '.join(files)}"]
    if "{" in text.one:
        lines.append("#, python-brace-format")
    lines.append(f"msgid {_quoted(text.one)}")
    if text.many:
        lines += [f"msgid_plural {_quoted(text.many)}", 'msgstr[0] ""', 'msgstr[1] ""']
    else:
        lines.append('msgstr ""')
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
