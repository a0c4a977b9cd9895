"""ejabberd's config, read without ejabberd. A part of it may come several times, and counts as one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from xmppbus import limits
from xmppbus.setup.found import EJABBERD, EVERYBODY, LocalServer, Rule, unread

Pair = tuple[str, yaml.Node]


def _pairs(node: yaml.Node | None) -> Iterator[Pair]:
    """Keys and values of a mapping, also of one that is written as a list of small ones; a key may come twice."""
    for each in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        if isinstance(each, yaml.MappingNode):
            yield from ((str(key.value), value) for key, value in each.value)


def _parts(pairs: list[Pair], name: str) -> list[yaml.Node]:
    return [value for key, value in pairs if key == name]


def _words(node: yaml.Node) -> list[str]:
    """A text, or a list of texts."""
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return [str(each.value) for each in nodes if isinstance(each, yaml.ScalarNode)]


def _word(node: yaml.Node | None, name: str) -> str:
    return next((word for part in _parts(list(_pairs(node)), name) for word in _words(part)), "")


class _Reading:
    """All parts of a config and of what it includes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.pairs: list[Pair] = []
        self._files: list[Path] = []
        self.problem = ""

    def read(self, path: Path) -> None:
        """Read a file and what it includes."""
        if len(self._files) >= limits.SETUP_FILES:
            self.problem = f"it includes more than {limits.SETUP_FILES} files"
            return
        self._files.append(path)
        try:
            found = list(_pairs(yaml.compose(path.read_text(errors="replace"), Loader=yaml.SafeLoader)))
        except OSError as error:
            self.problem = unread(path, error)
            return
        except yaml.YAMLError as error:
            self.problem = f"{path} is not YAML: {str(error).splitlines()[0]}"
            return
        self.pairs += found
        for part in _parts(found, "include_config_file"):
            for name in [*_words(part), *(key for key, _ in _pairs(part))]:
                self.read(self._root / name.lstrip("/") if name.startswith("/") else path.parent / name)

    def inner(self, name: str) -> list[Pair]:
        """What stands in a part, wherever that part comes."""
        return [pair for part in _parts(self.pairs, name) for pair in _pairs(part)]

    def listeners(self) -> list[yaml.Node]:
        """The listeners for components."""
        lists = [part.value for part in _parts(self.pairs, "listen") if isinstance(part, yaml.SequenceNode)]
        return [each for listed in lists for each in listed if _word(each, "module") == "ejabberd_service"]

    def components(self) -> dict[str, str]:
        """External components with their secrets."""
        parts = [part for each in self.listeners() for part in _parts(list(_pairs(each)), "hosts")]
        return {jid: _word(settings, "password") for part in parts for jid, settings in _pairs(part)}

    def ports(self) -> dict[str, int]:
        """External components with the ports of their listeners."""
        found = {}
        for each in self.listeners():
            port = _word(each, "port")
            names = [jid for part in _parts(list(_pairs(each)), "hosts") for jid, _ in _pairs(part)]
            found.update(dict.fromkeys(names or [f"port {port}"], int(port) if port.isdecimal() else 0))
        return found

    def creators(self, rule: yaml.Node | None) -> list[str]:
        """The component domains that a rule admits."""
        acl = self.inner("acl")
        found = []
        for verdict, who in _pairs(rule):
            for name in _words(who) if verdict == "allow" else ():
                found += [EVERYBODY] if name == "all" else []
                found += [word for part in _parts(acl, name) for each in _parts(list(_pairs(part)), "server")
                          for word in _words(each)]  # fmt: skip
        return found


def _rule(name: str, node: yaml.Node | None, key_line: int) -> Rule | None:
    if not isinstance(node, (yaml.MappingNode, yaml.SequenceNode)) or not node.value:
        return None
    return Rule(name, key_line, node.start_mark.column, isinstance(node, yaml.SequenceNode))


def read_ejabberd(config: Path, root: Path = Path("/")) -> LocalServer:
    """What an ejabberd with this config serves. Names of files in it that begin with / are taken below `root`."""
    reading = _Reading(root)
    reading.read(config)
    hosts = [word for part in _parts(reading.pairs, "hosts") for word in _words(part)]
    pubsub = next((node for key, node in reading.inner("modules") if key == "mod_pubsub"), None)
    named = [word for key in ("host", "hosts") for part in _parts(list(_pairs(pubsub)), key) for word in _words(part)]
    services = [name.replace("@HOST@", host) for name in named or ["pubsub.@HOST@"] for host in hosts]
    name = _word(pubsub, "access_createnode") or "all"
    node = next((node for key, node in reading.inner("access_rules") if key == name), None)
    listeners = reading.listeners()
    ports = reading.ports()
    return LocalServer(
        kind=EJABBERD,
        config=config,
        hosts=tuple(hosts),
        components=reading.components(),
        services=tuple(dict.fromkeys(services)) if pubsub is not None else (),
        creators=(EVERYBODY,) if name == "all" else tuple(reading.creators(node)),
        interface=next((_word(each, "ip") for each in listeners), "") or "127.0.0.1",
        port=next(iter(ports.values()), None),
        ports=ports,
        rule=_rule(name, node, _line_of(reading, name)),
        problem=reading.problem,
    )


def _line_of(reading: _Reading, name: str) -> int:
    for part in _parts(reading.pairs, "access_rules"):
        for key, _ in part.value if isinstance(part, yaml.MappingNode) else ():
            if key.value == name:
                return int(key.start_mark.line) + 1
    return 0
