"""Prosody's config, read without Prosody: hosts, components, who administers pubsub, and where it listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from glob import escape
from pathlib import Path

from xmppbus import limits
from xmppbus.setup.found import PORTS, PROSODY, LocalServer, unread
from xmppbus.setup.lua import Token, tokens

_SECTIONS = {"VirtualHost", "Host", "host", "Component", "component"}
_CLOSERS = {"{": "}", "(": ")", "[": "]"}


@dataclass
class _Section:
    """The options below a `VirtualHost` or `Component` line, or the global ones."""

    name: str
    is_component: bool = False
    module: str = ""
    options: dict[str, list[Token]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def texts(self, option: str) -> list[str]:
        """The strings of an option's value, or the one string that it is."""
        return [each.text for each in self.options.get(option, ()) if each.kind == "text"]

    def text(self, option: str) -> str:
        """The first of them; empty when there is none."""
        return next(iter(self.texts(option)), "")

    def word(self, option: str) -> str:
        """A value that is one word: `false`, `5347`."""
        return next((each.text for each in self.options.get(option, ())), "")


class _Reading:
    """The files of a config, in the order in which Prosody reads them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sections = {"*": _Section("*")}
        self._files = 0
        self.drop_in: Path | None = None
        self.problem = ""

    def read(self, path: Path, current: str = "*") -> str:
        """Read a file and what it includes; returns the section that it ends in."""
        self._files += 1
        if self._files > limits.SETUP_FILES:
            self.problem = f"it includes more than {limits.SETUP_FILES} files"
            return current
        try:
            found = list(tokens(path.read_text(errors="replace")))
        except OSError as error:
            self.problem = unread(path, error)
            return current
        position = 0
        while position < len(found):
            current, position = self._statement(path, found, position, current)
        return current

    def _statement(self, path: Path, found: list[Token], at: int, current: str) -> tuple[str, int]:
        """One `Word "text"` or `name = value`; anything else is passed over by one token."""
        token, rest = found[at], found[at + 1 :]
        if token.kind != "name" or not rest:
            return current, at + 1
        skip = 1 if rest[0].text == "(" and rest[0].kind == "sign" else 0
        given = rest[skip] if len(rest) > skip and rest[skip].kind == "text" else None
        if token.text in _SECTIONS and given:
            after = [each for each in rest[1 + 2 * skip : 3 + 2 * skip] if each.text != "("]
            return self._open(token.text.lower(), given.text, after), at + 2 + 2 * skip
        if token.text in ("Include", "include") and given:
            return self._include(path, given.text, current), at + 2 + 2 * skip
        if rest[0].kind == "sign" and rest[0].text == "=":
            value = _value(rest[1:])
            section = self._sections[current]
            section.options[token.text] = value
            section.places[token.text] = f"{path}:{token.line}"
            return current, at + 2 + len(value)
        return current, at + 1

    def _open(self, kind: str, name: str, after: list[Token]) -> str:
        name = name.lower()
        section = self._sections.setdefault(name, _Section(name))
        section.is_component = section.is_component or kind == "component"
        if section.is_component and after and after[0].kind == "text":
            section.module = after[0].text
        return name

    def _include(self, path: Path, pattern: str, current: str) -> str:
        if pattern.startswith("/"):
            directory, name = self._root / Path(pattern).parent.relative_to("/"), Path(pattern).name
        else:
            directory, name = path.parent / Path(pattern).parent, Path(pattern).name
        if not any(character in name for character in "*?"):
            return self.read(directory / name, current)
        if name == "*.cfg.lua":
            self.drop_in = directory
        for file in sorted(directory.glob(name.replace("[", escape("[")))):
            self.read(file, current)
        return current

    def server(self, config: Path, *, stores_sql: bool) -> LocalServer:
        """What was found."""
        everything = self._sections["*"]
        enabled = [each for each in self._sections.values() if each.name != "*" and each.word("enabled") != "false"]
        components = [each for each in enabled if each.is_component]
        services = [each for each in components if each.module == "pubsub"]
        ports = everything.options.get("component_ports", [])
        numbers = [int(each.text) for each in ports if each.kind == "number" and each.text.isdecimal()]
        interfaces = everything.texts("component_interfaces") or everything.texts("component_interface")
        creators = [*everything.texts("admins"), *(admin for each in services for admin in each.texts("admins"))]
        return LocalServer(
            kind=PROSODY,
            config=config,
            hosts=tuple(each.name for each in enabled if not each.is_component),
            components={each.name: each.text("component_secret") for each in components if not each.module},
            services=tuple(each.name for each in services),
            creators=tuple(dict.fromkeys(creators)),
            interface=(interfaces or ["127.0.0.1"])[0],
            port=numbers[0] if numbers else PORTS[PROSODY],
            drop_in=self.drop_in,
            plugin_paths=tuple(config.parent / path for path in everything.texts("plugin_paths")),
            stores_sql=stores_sql,
            admins_at=next((each.places["admins"] for each in services if "admins" in each.places), ""),
            problem=self.problem,
        )


def _value(rest: list[Token]) -> list[Token]:
    """The tokens of a value: one, or everything between brackets."""
    open_brackets: list[str] = []
    for number, token in enumerate(rest):
        if token.kind == "sign" and token.text in _CLOSERS:
            open_brackets.append(_CLOSERS[token.text])
        elif token.kind == "sign" and open_brackets and token.text == open_brackets[-1]:
            open_brackets.pop()
        if not open_brackets:
            return rest[: number + 1]
    return rest


def read_prosody(config: Path, root: Path = Path("/")) -> LocalServer:
    """What a Prosody with this config serves. Names of files in it that begin with / are taken below `root`."""
    reading = _Reading(root)
    reading.read(config)
    stores_sql = next((root / "usr/lib").glob("*/lua/5.4/dbd/sqlite3.so"), None) is not None
    return reading.server(config, stores_sql=stores_sql)
