"""What `init` reads in servers' configs: Debian's own, as its packages have them, and odd ones."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from tests.support.stock_server import stock_ejabberd, stock_prosody
from xmppbus import limits
from xmppbus.cli.advice import Facts
from xmppbus.cli.server_lines import lacking
from xmppbus.config import load
from xmppbus.setup import writing
from xmppbus.setup.found import EJABBERD, OPENFIRE, PROSODY, LocalServer
from xmppbus.setup.lua import tokens
from xmppbus.setup.machine import find_servers, kind_of, read_server

BUS = Facts("bus.example.org", "pubsub.example.org", 5347, is_component=True, secret="s")


def prosody(directory: Path, text: str, **included: str) -> LocalServer:
    """What is read in a config of these lines, and in files beside it."""
    (directory / "conf.d").mkdir(exist_ok=True)
    for name, content in included.items():
        (directory / "conf.d" / f"{name}.cfg.lua").write_text(content)
    (config := directory / "prosody.cfg.lua").write_text(text)
    return read_server(PROSODY, config)


def ejabberd(directory: Path, text: str) -> LocalServer:
    """What is read in a config of these lines."""
    (config := directory / "ejabberd.yml").write_text(text)
    return read_server(EJABBERD, config)


def test_debians_prosody_is_found_with_its_host_and_the_directory_that_it_includes(tmp_path: Path) -> None:
    """Its example host, its comments and its example components are none."""
    config = stock_prosody(tmp_path)
    (found,) = find_servers(tmp_path)
    assert (found.kind, found.config, found.problem) == (PROSODY, config, "")
    assert found.hosts == ("localhost",)
    assert (found.services, dict(found.components)) == ((), {})
    assert (found.reach, found.port_for("bus.localhost")) == ("127.0.0.1", 5347)
    assert found.drop_in == config.parent / "conf.d"


def test_debians_ejabberd_is_found_with_its_host_and_the_rule_for_nodes(tmp_path: Path) -> None:
    """Which line says who may create them, and how it is written."""
    config = stock_ejabberd(tmp_path, "example.org")
    (found,) = find_servers(tmp_path)
    assert (found.kind, found.config, found.problem) == (EJABBERD, config, "")
    assert (found.hosts, found.services) == (("example.org",), ("pubsub.example.org",))
    assert not found.lets_create("bus.example.org")
    assert found.rule is not None
    assert config.read_text().splitlines()[found.rule.line - 1].strip() == "pubsub_createnode:"
    assert (found.rule.indent, found.rule.is_list) == (4, False)


def test_prosodys_hosts_components_ports_and_admins_are_read_wherever_they_stand(tmp_path: Path) -> None:
    """In included files too; what a comment or a long string holds is no setting."""
    text = """
        admins = { "admin@example.org" } --[[ VirtualHost "comment.example.org"
        ]] --[==[ VirtualHost "other.example.org" ]] ]==]
        component_ports = { 5350; 5351 }; component_interfaces = { "::1", "127.0.0.1" }
        text = [[ VirtualHost "long.example.org" ]]
        VirtualHost "Example.ORG"
            enabled = true
        VirtualHost 'off.example.org' enabled = false
        Component("pubsub.example.org")("pubsub") name = "Nodes \\"here\\""
            admins = { "bus.example.org" };
        Include "conf.d/*.cfg.lua"
    """
    included = 'Component "gateway.example.org"\n component_secret = "from a file"\nadmins = { "last@example.org" }'
    found = prosody(tmp_path, text, gateway=included)
    assert found.hosts == ("example.org",)
    assert found.services == ("pubsub.example.org",)
    assert dict(found.components) == {"gateway.example.org": "from a file"}
    assert found.creators == ("admin@example.org", "bus.example.org")
    assert (found.interface, found.port) == ("::1", 5350)
    assert found.admins_at.endswith("prosody.cfg.lua:10")
    assert found.lets_create("bus.example.org")


@pytest.mark.parametrize(
    "text",
    ["VirtualHost", 'VirtualHost "a', "x = {", "x = { { }", "Include", "--[[", "function f() return {} end", "("],
)
def test_what_is_no_whole_lua_is_read_as_far_as_it_goes(tmp_path: Path, text: str) -> None:
    """And raises nothing."""
    assert prosody(tmp_path, f'VirtualHost "example.org"\n{text}').hosts == ("example.org",)


def test_tokens_know_their_line() -> None:
    """Also behind a comment and a text of several lines."""
    assert [(each.text, each.line) for each in tokens('a --[[\n]] "b\\"" [[c\n]] d')] == [
        *(("a", 1), ('b"', 2), ("c\n", 2), ("d", 3))
    ]


def test_a_config_that_includes_itself_ends(tmp_path: Path) -> None:
    """And says so."""
    assert f"{limits.SETUP_FILES} files" in prosody(tmp_path, 'Include "prosody.cfg.lua"').problem
    assert f"{limits.SETUP_FILES} files" in ejabberd(tmp_path, "include_config_file: ejabberd.yml").problem


def test_what_is_missing_or_unreadable_is_said(tmp_path: Path) -> None:
    """With the file's name."""
    assert find_servers(tmp_path) == []
    assert "nowhere.lua can't be read" in prosody(tmp_path, 'Include "nowhere.lua"').problem
    assert "is not YAML" in ejabberd(tmp_path, "a: [").problem
    (broken := tmp_path / "openfire.xml").write_text("<jive>")
    assert "is not XML" in read_server(OPENFIRE, broken).problem
    assert "can't be read" in read_server(OPENFIRE, tmp_path / "none.xml").problem


def test_ejabberds_parts_may_come_twice_and_from_other_files(tmp_path: Path) -> None:
    """As it merges them itself; a component has the port of its own listener, the next new one the port after."""
    (tmp_path / "more.yml").write_text("acl: {ours: {server: [bus.example.org]}}")
    found = ejabberd(
        tmp_path,
        "hosts: [example.org, example.net]\n"
        "include_config_file: [more.yml]\n"
        "listen:\n  - {port: 5222, module: ejabberd_c2s}\n"
        "access_rules:\n  creators:\n    - allow: ours\n"
        "modules:\n  mod_pubsub: {host: 'nodes.@HOST@', access_createnode: creators}\n"
        "listen:\n  - {port: 5350, ip: '0.0.0.0', module: ejabberd_service, hosts: {bus.example.org: {password: s}}}\n",
    )
    assert found.services == ("nodes.example.org", "nodes.example.net")
    assert dict(found.components) == {"bus.example.org": "s"}
    assert (found.reach, found.port_for("bus.example.org"), found.port_for("new.example.org")) == (
        *("127.0.0.1", 5350),
        5351,
    )
    assert found.lets_create("bus.example.org")
    assert not found.lets_create("new.example.org")
    assert lacking(EJABBERD, found, BUS._replace(service="nodes.example.org", port=5350)) == []


def test_openfires_domain_is_in_its_files_or_has_to_be_said(tmp_path: Path) -> None:
    """Its own database is a file of text; another one can't be read."""
    (tmp_path / "etc/openfire").mkdir(parents=True)
    (config := tmp_path / "etc/openfire/openfire.xml").write_text("<jive><setup>true</setup></jive>")
    assert "--domain" in read_server(OPENFIRE, config).problem
    config.write_text("<jive><fqdn>example.net</fqdn></jive>")
    assert read_server(OPENFIRE, config).hosts == ("example.net",)
    (tmp_path / "etc/embedded-db").mkdir()
    (tmp_path / "etc/embedded-db/openfire.script").write_text(
        "INSERT INTO OFPROPERTY VALUES('xmpp.domain','example.org',0,NULL)\n"
        "INSERT INTO OFPROPERTY VALUES('xmpp.component.socket.port','5276',0,NULL)\n"
    )
    (found,) = find_servers(tmp_path)
    assert (found.hosts, found.services) == (("example.org",), ("pubsub.example.org",))
    assert found.port_for("bus.example.org") == 5276
    assert found.lets_create("bus.example.org")


def test_lines_for_a_pubsub_service_with_admins_keep_them(tmp_path: Path) -> None:
    """And say which line they replace; without any, they are added."""
    service = 'VirtualHost "example.org"\nComponent "pubsub.example.org" "pubsub"\n'
    (paste,) = lacking(PROSODY, prosody(tmp_path, f'{service} admins = {{ "admin@example.org" }}'), BUS)
    assert 'admins = { "admin@example.org", "bus.example.org" }' in paste.lines
    assert "prosody.cfg.lua:3" in paste.lines
    assert paste.where.startswith("the end of")
    (paste,) = lacking(PROSODY, prosody(tmp_path, service), BUS)
    assert 'Component "pubsub.example.org" "pubsub"\n    admins = { "bus.example.org" }' in paste.lines
    assert 'component_secret = "s"' in paste.lines


def test_prosody_gets_the_lines_for_sqlite_where_it_can_use_them(tmp_path: Path) -> None:
    """For a service that is new: one that is there would lose its items."""
    stock_prosody(tmp_path)
    (library := tmp_path / "usr/lib/x86_64-linux-gnu/lua/5.4/dbd").mkdir(parents=True)
    (library / "sqlite3.so").touch()
    (found,) = find_servers(tmp_path)
    (paste,) = lacking(PROSODY, found, BUS)
    assert paste.where == f"{found.drop_in}/xmppbus.cfg.lua, a new file"
    assert 'storage = { pubsub_data = "sql" }' in paste.lines
    assert paste.lines.count("Component") == 2


def test_ejabberd_without_pubsub_or_without_a_rule_gets_whole_parts(tmp_path: Path) -> None:
    """At the end of its file, where it merges them."""
    (paste,) = lacking(EJABBERD, ejabberd(tmp_path, "hosts: [example.org]"), BUS)
    for part in ("mod_pubsub:\n    host: pubsub.example.org", "acl:", "access_rules:", "ejabberd_service"):
        assert part in paste.lines


def test_a_server_that_nobody_can_look_at_gets_the_lines_of_its_kind() -> None:
    """One on another machine, or whose config is not ours to read."""
    for kind in (PROSODY, EJABBERD, OPENFIRE):
        (paste,) = lacking(kind, None, BUS)
        assert "bus.example.org" in paste.lines
    assert lacking(PROSODY, LocalServer(PROSODY, problem="no"), BUS)


def test_a_file_is_made_whole_once_and_belongs_to_the_services_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where root writes it and the machine has that user; nothing else is left behind."""
    monkeypatch.setattr(writing, "SERVICE_USER", "nobody")
    writing.write_once(file := tmp_path / "new" / "secret", "first")
    with pytest.raises(FileExistsError):
        writing.write_once(file, "second")
    assert file.read_text() == "first"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    if os.geteuid() == 0:
        assert file.stat().st_uid == pwd.getpwnam("nobody").pw_uid


def test_every_wish_makes_a_config_that_says_it(tmp_path: Path) -> None:
    """With names that need quoting, too."""
    wishes = writing.Wishes(
        "bus.münchen.example", "münchen.example", "pubsub.x.example", "::1", 5, ["o#neil@x.org"], None
    )
    (tmp_path / "secret").write_text("s")
    (config := tmp_path / "xmppbus.yaml").write_text(writing.config_text(wishes))
    options = load(config, {}).options
    assert options.xmpp is not None
    assert options.bot is not None
    assert (options.xmpp.component, options.xmpp.host, options.xmpp.port) == ("bus.münchen.example", "::1", 5)
    assert options.bot.affiliations == {"o#neil@x.org": "owner"}
    assert options.http is None


def test_whose_config_it_is_shows_in_its_name() -> None:
    """For `--server-config`."""
    names = ("prosody.cfg.lua", "ejabberd.yml", "openfire.xml", "x.toml")
    assert [kind_of(Path(name)) for name in names] == [PROSODY, EJABBERD, OPENFIRE, None]
