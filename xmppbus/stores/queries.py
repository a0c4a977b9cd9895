"""The SQL of `sql/`: one file holds many statements, each under a line `-- name: NAME`."""

from __future__ import annotations

from importlib.resources import files

_MARK = "-- name: "


def text(name: str) -> str:
    """One file of `sql/`, as it is."""
    return files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def load(name: str) -> dict[str, str]:
    """The statements of one file, by name."""
    found = {}
    for part in text(name).split(_MARK)[1:]:
        title, _, body = part.partition("\n")
        found[title.strip()] = body.strip().rstrip(";")
    return found
