"""What each option is for: the comment behind it, or above it, in `xmppbus/options.py`.

The reference page and the schema for editors say the same, and neither can be forgotten.
"""

from __future__ import annotations

import ast
import inspect
import io
import tokenize


def comments_of(section: type) -> dict[str, str]:
    """What stands behind a field, or in the lines right above it."""
    source = inspect.getsource(section)
    behind: dict[int, str] = {}
    alone: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            on_its_own = not token.line[: token.start[1]].strip()
            (alone if on_its_own else behind)[token.start[0]] = token.string.removeprefix("#").strip()
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101  # for the type checker: it is the source of a class
    found: dict[str, str] = {}
    for each in definition.body:
        if isinstance(each, ast.AnnAssign):
            first = each.lineno
            while first - 1 in alone:
                first -= 1
            words = [alone[line] for line in range(first, each.lineno)] + [
                behind.get(each.end_lineno or each.lineno, "")
            ]
            found[ast.unparse(each.target)] = " ".join(words).strip()
    return found
