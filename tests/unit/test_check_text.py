"""What `xmppbus check` shows: the tree of the house, and what it found."""

from pathlib import Path

import pytest

from xmppbus.cli.advice import FILES, Facts, Missing, advice
from xmppbus.cli.check import as_json, shown
from xmppbus.cli.checking import Level, Report, Verdict
from xmppbus.cli.desk import Desk, Names
from xmppbus.cli.house_tree import ASCII_LINES, LINES, Drawing, house
from xmppbus.cli.local import LocalTerminal
from xmppbus.config import Config, load
from xmppbus.inputs.visitor import Facts as TerminalFacts
from xmppbus.inputs.visitor import Role

CONFIG = """\
xmpp: {component: bus.example.org, secret_file: secret}
nodes: [{match: user.#, readers: [example.org], notify_retract: true}]
routes:
  - name: disks
    match: {type: "disk.#", severity: ">=warning"}
    via: [dedup, {throttle: {count: 5}}]
    to: [pubsub, "pubsub:ops.disks"]
http: {listen: "127.0.0.1:8222"}
journal: {path: journal.db}
socket: {path: bus.sock}
"""
COMPONENT = Facts("bus.example.org", "pubsub.example.org", 5347, is_component=True)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A house with a bit of everything."""
    (tmp_path / "secret").write_text("a canary")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "xmppbus.yaml").write_text(CONFIG)
    return load(tmp_path / "xmppbus.yaml", {"XMPPBUS_STATE": "/srv/bus"})


def desk(width: int = 80, *, terminal: bool = True, **environment: str) -> Desk:
    """Somebody at a terminal, or a pipe."""
    facts = TerminalFacts((terminal, terminal, terminal), width, "", environment)
    return Desk(LocalTerminal(), facts, Role(0, admin=True, publish=True, listen=True), Names(), None)


def drawn(config: Config, width: int | None = None, lines: tuple[str, str, str, str] = LINES) -> list[str]:
    """The tree without colours."""
    return list(Drawing(width, lines, lambda text, _: text).lines_of(house(config)))


def test_the_house_is_drawn_with_everything_that_the_config_says(config: Config, tmp_path: Path) -> None:
    """Inputs, routes, outputs, nodes, journal, HTTP and socket."""
    assert drawn(config) == [
        f"{tmp_path}/xmppbus.yaml",
        "├── inputs",
        f"│   ├── unix    the command line, at {tmp_path}/bus.sock",
        "│   ├── spool   what was published while no daemon ran, in /srv/bus/spool",
        "│   └── events  HTTP POST to http://127.0.0.1:8222/v1/events",
        "├── routes",
        "│   ├── default  # → pubsub (built in: every event to the node of its type)",
        "│   └── disks    disk.#, severity >=warning → dedup → throttle (count: 5) → pubsub, pubsub:ops.disks",
        "├── outputs",
        "│   └── pubsub  pubsub.example.org, as the component bus.example.org on 127.0.0.1:5347",
        "├── nodes",
        "│   ├── user.#  64 items, whitelist, readers example.org, notify_retract true",
        "│   └── #       64 items, whitelist, no readers but the bus (built in)",
        f"├── journal  {tmp_path}/journal.db, settled events kept for 30 days, at most 4 GiB",
        "├── http     http://127.0.0.1:8222, no token needed",
        f"└── socket   {tmp_path}/bus.sock, administered by its own user, root; publish: everyone, listen: admins",
    ]


def test_the_bot_and_whom_a_route_calls_are_drawn(tmp_path: Path) -> None:
    """Step by step."""
    file = tmp_path / "xmppbus.yaml"
    file.write_text(
        "xmpp: {component: bus.example.org, secret_file: secret}\n"
        "bot: {name: ops}\n"
        "routes: [{name: disks, match: disk.#, to: ['chat:romeo@example.org'], escalate: [\n"
        "  {after: 5m, to: ['chat:juliet@example.org', pubsub]}, {after: 1h, unless: delivered, to: [pager]}]}]\n"
    )
    (tmp_path / "secret").write_text("secret")
    lines = drawn(load(file, {"XMPPBUS_STATE": str(tmp_path)}))
    routes, outputs = lines.index("├── routes"), lines.index("├── outputs")
    assert lines[routes + 2 : outputs] == [
        "│   ├── disks    disk.# → chat:romeo@example.org",
        "│   │   ├── after 5m  unless acknowledged → chat:juliet@example.org, pubsub",
        "│   │   └── after 1h  unless delivered → pager",
        "│   └── people   # → people (built in: every event to whoever subscribed to it)",
    ]
    assert lines[outputs + 1 : outputs + 7] == [
        "│   ├── chat        as ops@bus.example.org",
        "│   ├── digest      as ops@bus.example.org",
        "│   ├── escalation  waits whether somebody reacts",
        "│   ├── pager",
        "│   ├── people      those who subscribed by writing to the bot; keeps incidents",
        "│   └── pubsub      pubsub.example.org, as the component bus.example.org on 127.0.0.1:5347",
    ]


@pytest.mark.parametrize("width", [60, 72, 100])
def test_the_tree_fits_a_terminal(config: Config, width: int) -> None:
    """But for paths, which are never broken."""
    for line in drawn(config, width):
        assert len(line) <= width or "/" in line


def test_the_tree_can_be_drawn_in_ascii(config: Config) -> None:
    """For a terminal that knows nothing else."""
    assert all(line.isascii() for line in drawn(config, 80, ASCII_LINES))


def test_a_local_bus_has_no_nodes_and_says_where_events_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nowhere, but they are kept."""
    monkeypatch.chdir(tmp_path)
    lines = drawn(load(None, {"HOME": str(tmp_path)}))
    assert lines[0] == "xmppbus  no config: a local bus"
    assert any("routes" in line and "none: events are kept" in line for line in lines)
    assert not any("nodes" in line for line in lines)


def test_a_finding_is_shown_with_the_lines_to_paste_for_each_server(config: Config) -> None:
    """Indented as the file wants them."""
    paste = {f"{server}: {FILES[server]}": lines for server, lines in advice(Missing.CREATE, COMPONENT).items()}
    report = Report(config, verdicts=(Verdict(Level.BAD, "create", "may not create nodes", paste),))
    text = "\n".join(shown(desk(terminal=False), report, draws_lines=True))
    assert "\n✗ may not create nodes\n  Prosody: prosody.cfg.lua, or a file in conf.d\n" in text
    assert '\n          admins = { "bus.example.org" }\n' in text
    assert "\n          server: bus.example.org\n" in text
    assert "\n      xmpp.pubsub.create.jid = bus.example.org" in text
    assert report.exit_code == 69


def test_colours_are_for_terminals_whose_owner_wants_them(config: Config) -> None:
    """NO_COLOR, a dumb terminal and a pipe have none."""
    report = Report(config, verdicts=(Verdict(Level.GOOD, "server", "fine"),))
    assert "\x1b[32m✓" in "\n".join(shown(desk(), report, draws_lines=True))
    for plain in (desk(NO_COLOR="1"), desk(TERM="dumb"), desk(terminal=False)):
        assert "\x1b" not in "\n".join(shown(plain, report, draws_lines=True))


def test_no_secret_is_shown(config: Config) -> None:
    """Neither to people nor to programs."""
    report = Report(config)
    assert "canary" not in "\n".join(shown(desk(), report, draws_lines=True))
    assert "canary" not in repr(as_json(report))


def test_the_exit_code_tells_the_config_from_the_server(config: Config) -> None:
    """A doubt is no failure."""
    assert Report(errors=("x:1:1: wrong",)).exit_code == 78
    assert Report(config, verdicts=(Verdict(Level.BAD, "server", "gone"),)).exit_code == 69
    assert Report(config, verdicts=(Verdict(Level.DOUBT, "storage", "slow"),)).exit_code == 0


@pytest.mark.parametrize("missing", [Missing.COMPONENT, Missing.CONFLICT])
def test_an_account_gets_no_lines_that_are_for_components(missing: Missing) -> None:
    """They would name an account as a domain."""
    assert advice(missing, Facts("bus@example.org", "pubsub.example.org", 5222, is_component=False)) == {}
