"""The config: what it takes, and the sentence for everything that it does not."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from xmppbus import limits
from xmppbus.config import Config, load, secret_of, verify
from xmppbus.errors import ConfigInvalid
from xmppbus.event import Event
from xmppbus.plugins import Registry

XMPP = "xmpp: {component: bus.example.org, secret_file: secret}\n"
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a config beside a file `secret`, which only its owner may read."""
    secret = tmp_path / "secret"
    secret.write_text("a canary\n")
    secret.chmod(0o600)

    def written(text: str) -> Path:
        path = tmp_path / "xmppbus.yaml"
        path.write_text(text)
        return path

    return written


@pytest.fixture
def said(write: Write) -> Callable[[str], list[str]]:
    """What is said about a config, a line each, without the file's name."""

    def lines(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        path = write(text)
        with pytest.raises(ConfigInvalid) as caught:
            load(path, environ or {})
        return [line.removeprefix(f"{path}:") for line in str(caught.value).split("\n")]

    return lines


Said = Callable[[str], list[str]]


def registry() -> Registry:
    """One output and one analyzer are on offer."""

    class Pass:
        def __init__(self, seconds: float = 1) -> None:
            self.seconds = seconds

        async def analyze(self, event: Event) -> list[Event]:
            return [event]

    offered = Registry()
    offered.output("pubsub", lambda _house, _options: pytest.fail("an output is not made to check a config"))
    offered.analyzer("throttle", lambda options: Pass(**options))
    return offered


class TestFinding:
    """Which file is read."""

    def test_without_any_config_this_is_a_local_bus(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is routed anywhere, and HTTP listens on loopback."""
        monkeypatch.chdir(tmp_path)
        config = load(None, {"HOME": str(tmp_path), "XMPPBUS_STATE": str(tmp_path)})
        assert config.path is None
        assert config.options.xmpp is None
        assert config.options.http is not None
        assert config.options.http.listen == "127.0.0.1:8222"
        assert list(config.routes) == []
        assert config.journal_path == tmp_path / "journal.db"

    def test_the_named_file_comes_before_the_variable_and_the_variable_before_the_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each config says who it is in `source`."""
        monkeypatch.chdir(tmp_path)
        for name in ("xmppbus.yaml", "variable.yaml", "named.yaml"):
            (tmp_path / name).write_text(f"source: {name}\n")
        environ = {"HOME": str(tmp_path), "XMPPBUS_CONFIG": str(tmp_path / "variable.yaml")}
        assert load(tmp_path / "named.yaml", environ).options.source == "named.yaml"
        assert load(None, environ).options.source == "variable.yaml"
        assert load(None, {"HOME": str(tmp_path)}).options.source == "xmppbus.yaml"

    def test_a_named_file_that_is_not_there_is_an_error_and_never_a_local_bus(self, tmp_path: Path) -> None:
        """Whoever names a config wants that one."""
        with pytest.raises(ConfigInvalid, match=r"gone\.yaml:1:1: the config can't be read: No such file"):
            load(tmp_path / "gone.yaml", {})

    @pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "xmpp:\nnodes:\nroutes:\nhttp:\njournal:\n"])
    def test_an_empty_config_and_empty_parts_mean_the_defaults(self, write: Write, text: str) -> None:
        """Everything below a key may be commented out."""
        config = load(write(text), {})
        assert config.options.http is not None
        assert config.options.journal.keep.days == limits.KEEP_DAYS


class TestReading:
    """YAML as people write it."""

    def test_files_are_named_relative_to_the_config(self, write: Write, tmp_path: Path) -> None:
        """So that a directory can be moved."""
        config = load(write(XMPP + "journal: {path: data/journal.db}\n"), {})
        assert config.options.xmpp is not None
        assert config.options.xmpp.secret_file == str(tmp_path / "secret")
        assert config.journal_path == tmp_path / "data" / "journal.db"

    def test_http_null_switches_http_off(self, write: Write) -> None:
        """Unlike a key without a value."""
        assert load(write("http: null\n"), {}).options.http is None

    def test_words_that_old_yaml_takes_for_something_else_are_text(self, write: Write) -> None:
        """`on`, `no`, `12:30`, a date and an octal number."""
        config = load(write("inputs: {mine: {on: no, at: 12:30, day: 2024-05-01, mode: 010, yes: ~}}\n"), {})
        expected = {"on": "no", "at": "12:30", "day": "2024-05-01", "mode": 10, "yes": None}
        assert config.options.inputs["mine"] == expected

    def test_anchors_and_aliases_are_followed(self, write: Write) -> None:
        """Two profiles with the same readers."""
        config = load(write("nodes: [{match: a, readers: &all [x.org]}, {match: b, readers: *all}]\n"), {})
        assert [node.readers for node in config.options.nodes] == [["x.org"], ["x.org"]]

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("http: {}\nhttp: null\n", "2:1: `http` is here a second time; the first is in line 1"),
            ("source: !!python/name:os.system x\n", "1:9: tags such as !!python/name:os.system are not read here"),
            ("inputs: {a: {<<: {b: 1}}}\n", "1:14: merge keys (`<<`) are not read here; write the options out"),
            ("inputs: &a {b: *a}\n", "1:9: an alias can't stand for what it is part of"),
            ("? [a]\n: b\n", "1:3: a key must be a word"),
            ("- xmpp\n", "1:1: a config is options by name, such as `xmpp:`"),
            ("source: a\x07b\n", "1:10: a control character can't stand here"),
            ("source: [a\n", "2:1: this is not YAML: expected ',' or ']', but got '<stream end>'"),
            ("http:\n\tlisten: 8222\n", "2:1: this is not YAML: a tab stands here; indent with blanks"),
        ],
    )
    def test_what_is_not_read_is_said_with_its_place(self, said: Said, text: str, line: str) -> None:
        """Each is refused, none is guessed."""
        assert said(text) == [line]

    def test_text_in_another_encoding_is_said_with_its_place(self, tmp_path: Path) -> None:
        """Latin-1 in the second line."""
        (tmp_path / "x.yaml").write_bytes(b"http: {}\nsource: caf\xe9\n")
        with pytest.raises(ConfigInvalid, match=r"x\.yaml:2:12: the file is not UTF-8 text"):
            load(tmp_path / "x.yaml", {})

    def test_nine_lines_of_aliases_do_not_become_a_billion_values(self, said: Said) -> None:
        """The billion laughs are refused at once, in bounded memory."""
        lines = ["inputs:", "  a: &a0 {x: " + str(["lol"] * 9) + "}"]
        lines += [f"  a{n}: &a{n} {{x: {'[' + ', '.join([f'*a{n - 1}'] * 9) + ']'}}}" for n in range(1, 10)]
        started = time.monotonic()
        found = said("\n".join(lines) + "\n")
        assert f"the file stands for more than {limits.CONFIG_VALUES} values" in found[0]
        assert time.monotonic() - started < 10

    @pytest.mark.parametrize("text", ["[" * 50_000, "inputs: " + "{a: " * 200 + "1" + "}" * 200])
    def test_deep_nesting_is_refused(self, said: Said, text: str) -> None:
        """It would be an attack on a recursive reader."""
        assert len(said(text)) == 1

    def test_a_file_beyond_the_bound_is_refused(self, said: Said) -> None:
        """Before it is parsed."""
        assert said("#" * (limits.CONFIG_BYTES + 1)) == [f"1:1: the file is larger than {limits.CONFIG_BYTES} bytes"]


class TestSentences:
    """What is wrong, where, and what was meant."""

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("htpp: {}\n", "1:1: there is no option `htpp` at the top of the config; did you mean `http`?"),
            ("http: {lisen: a}\n", "1:8: there is no option `lisen` in `http`; did you mean `listen`?"),
            ("socket: {zzz: 1}\n", "1:10: there is no option `zzz` in `socket`; there are `group`, `listen`, `path` "),
            ("nodes: [{access_model: whitelst}]\n", "1:24: nodes[0].access_model can't be `whitelst`; did you mean `w"),
            ("nodes: [{max_items: 0}]\n", "1:21: nodes[0].max_items should be a whole number from 1 to 100,000, not"),
            ("nodes: [{max_items: true}]\n", "1:21: nodes[0].max_items should be a whole number from 1 to 100,000,"),
            ("nodes: [{persist_items: yes}]\n", "1:25: nodes[0].persist_items should be `true` or `false`, not `yes`"),
            ("nodes: [{readers: x.org}]\n", "1:19: nodes[0].readers should be a list, not `x.org`"),
            ("nodes: [{match: a..b}]\n", "1:17: nodes[0].match can't be `a..b`: it is words of letters, digits, `_` "),
            ("nodes: [{readers: [a/b]}]\n", "1:20: a reader is a bare JID or a domain"),
            ("nodes: [{expire: 59m}]\n", "1:18: `expire` is from `1h` to `3650d`, not `59m`"),
            ("nodes: [{expire: 3651d}]\n", "1:18: `expire` is from `1h` to `3650d`, not `3651d`"),
            ("nodes: [{expire: soon}]\n", "1:18: nodes[0].expire can't be `soon`: it is a number and s, m, h, d or w"),
            (
                "nodes: [{publish_model: open, expire: 30d}]\n",
                "1:31: `expire` goes by what this bus publishes, and with `publish_model: open`",
            ),
            ("journal: {keep: {days: 0}}\n", "1:24: journal.keep.days should be a number above 0 to 36,500, not `0`"),
            ("source: 12\n", '1:9: source should be text, not `12`; quotes make it text: "12"'),
            ("http: 8222\n", "1:7: http should be options by name, not `8222`"),
            ("http: {listen: 8222}\n", '1:16: http.listen should be text, not `8222`; quotes make it text: "8222"'),
            ("http: {listen: ':1:2'}\n", "1:16: http.listen needs brackets around an IPv6 address: `[:1]:2`"),
            ("http: {listen: here}\n", "1:16: http.listen should be an address and a port such as `127.0.0.1:8222`"),
            ("http: {listen: '[::1]:99999'}\n", "1:16: http.listen should be an address and a port"),
        ],
    )
    def test_a_wrong_option_is_named_with_what_it_should_be(self, said: Said, text: str, line: str) -> None:
        """One sentence a mistake."""
        (found,) = said(text)
        assert found.startswith(line)

    @pytest.mark.parametrize(
        ("route", "line"),
        [
            (
                "{name: a, match: {severity: '>=warnin'}, to: [lamp]}",
                "match.severity can't be `>=warnin`; did you mean",
            ),
            (
                "{name: a, match: {severity: fatal}, to: [lamp]}",
                "match.severity can't be `fatal`: it is a severity, or",
            ),
            ("{name: a b, to: [lamp]}", "name can't be `a b`: it is 1 to 64 letters, digits, `_` and `-`"),
            ("{name: a, to: []}", "routes[0].to is empty; it needs at least 1"),
            ("{name: a}", "`to` is missing in `routes[0]`"),
            ("{name: a, to: [lamp, lamp]}", "`lamp` is here a second time"),
            ("{name: a, to: [pubsub]}", "route `a` goes to pubsub, but there is no `xmpp:`"),
            ("{name: a, via: [{x: {}, y: {}}], to: [lamp]}", "one step of `via` is one analyzer"),
            ("{name: a, via: [[x]], to: [lamp]}", "routes[0].via[0] should be text or options by name, not a list"),
        ],
    )
    def test_a_wrong_route_is_explained(self, said: Said, route: str, line: str) -> None:
        """With the place of the very value."""
        (found,) = said(f"routes:\n  - {route}\n")
        assert line in found
        assert found.startswith("2:")

    def test_everything_that_is_wrong_is_said_at_once_in_the_files_order(self, said: Said) -> None:
        """Nobody mends a config one error a time."""
        found = said("nodes:\n  - max_items: 0\n    titel: x\nroutes:\n  - {name: 1, to: [A]}\nhttp: {listen: []}\n")
        assert [line.split(":")[0] for line in found] == ["2", "3", "5", "5", "6"]

    def test_broken_rules_are_said_at_once_too(self, said: Said) -> None:
        """Two routes of one name, half of TLS, and a plugin that is not there."""
        found = said(
            "http: {certificate_file: secret}\nplugins: [gone.py]\n"
            "routes:\n  - {name: a, to: [lamp]}\n  - {name: a, to: [lamp]}\n"
        )
        assert found[0] == "1:8: http has a `certificate_file` but no `key_file`; TLS needs both"
        assert found[1].startswith("2:11: ")
        assert found[1].endswith("gone.py can't be read: No such file or directory")
        assert found[2] == "5:12: the name `a` is taken: the first route has it"

    def test_no_control_character_of_the_file_reaches_the_terminal(self, said: Said) -> None:
        """An escape sequence in a quoted key is shown as a question mark."""
        assert "\x1b" not in "".join(said('"\\e[31mhttp": {}\n'))


class TestXmpp:
    """The server and the secret."""

    @pytest.mark.parametrize(
        ("xmpp", "line"),
        [
            ("{secret_file: secret}", "1:1: xmpp needs a `component`"),
            ("{component: a.b, account: c@d, secret_file: secret}", "1:24: xmpp has a `component` and an `account`"),
            ("{component: a@b, secret_file: secret}", "1:19: xmpp.component should be a domain such as"),
            ("{account: b/c, secret_file: secret}", "1:17: xmpp.account should be a bare JID such as"),
            ("{component: a.b}", "1:7: there is no secret: write it into a file of its own (mode 600)"),
            ("{component: a.b, secret_file: gone}", "1:37: the secret can't be read: "),
            ("{component: a.b, secret: a canary}", "1:24: a secret does not belong into this file"),
            ("{component: a.b, password: a canary}", "1:24: a secret does not belong into this file"),
        ],
    )
    def test_a_server_that_cannot_be_used_is_explained(self, said: Said, xmpp: str, line: str) -> None:
        """And no sentence repeats a secret."""
        (found,) = said(f"xmpp: {xmpp}\n")
        assert found.startswith(line)
        assert "canary" not in found

    @pytest.mark.parametrize("value", ["*canary", "&canary", "@canary", "%canary", "'canary", "a: canary"])
    def test_a_secret_that_breaks_the_yaml_is_not_repeated(self, said: Said, value: str) -> None:
        """Somebody wrote it where it does not belong, and with a character that YAML knows."""
        assert "canary" not in "".join(said(f"xmpp:\n  component: a.b\n  secret: {value}\n"))

    def test_the_secret_is_the_first_line_of_its_file(self, write: Write) -> None:
        """Without its line end."""
        assert secret_of(load(write(XMPP), {})) == "a canary"

    def test_the_variable_comes_first_then_the_credential_then_the_file(self, write: Write, tmp_path: Path) -> None:
        """A unit or a container overrides what the file says."""
        (tmp_path / "xmpp_secret").write_text("of systemd")
        environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
        assert secret_of(load(write(XMPP), environ)) == "of systemd"
        assert secret_of(load(write(XMPP), environ | {"XMPPBUS_XMPP_SECRET": "of a variable"})) == "of a variable"
        assert secret_of(load(write("xmpp: {component: a.b}\n"), environ)) == "of systemd"

    def test_a_secret_that_everybody_may_read_is_a_warning(self, write: Write, tmp_path: Path) -> None:
        """It works, but is hardly meant."""
        (tmp_path / "secret").chmod(0o644)
        (warning,) = load(write(XMPP), {}).warnings
        assert "xmppbus.yaml:1:" in warning
        assert f"chmod o-r {tmp_path / 'secret'}" in warning

    def test_a_config_shown_shows_no_secret(self, write: Write) -> None:
        """As in a traceback."""
        config = load(write(XMPP), {"XMPPBUS_XMPP_SECRET": "a canary"})
        assert "canary" not in repr(config)


class TestHttp:
    """Who can reach it needs a token."""

    @pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "bus.example.org:80", "*:80", ":80"])
    def test_beyond_loopback_tokens_are_required(self, said: Said, listen: str) -> None:
        """Whatever a name may resolve to."""
        (found,) = said(f'http: {{listen: "{listen}"}}\n')
        assert "needs a `tokens_file`" in found

    @pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.8.8.8:80", "[::1]:80", "localhost:8222"])
    def test_on_loopback_they_are_not(self, write: Write, listen: str) -> None:
        """Nobody else reaches it."""
        assert load(write(f'http: {{listen: "{listen}"}}\n'), {}).options.http is not None


class TestRoutes:
    """Routes as the house uses them."""

    def test_with_a_server_every_event_goes_to_the_node_of_its_type(self, write: Write) -> None:
        """The default route stands beside those of the config."""
        config = load(write(XMPP + "routes: [{name: ops, match: 'disk.#', to: ['pubsub:ops']}]\n"), {})
        assert [route.name for route in config.routes] == ["default", "ops"]

    def test_a_route_named_default_takes_the_place_of_the_built_in_one(self, write: Write) -> None:
        """So that not everything is published."""
        config = load(write(XMPP + "routes: [{name: default, match: 'user.*', to: [pubsub]}]\n"), {})
        (route,) = config.routes
        assert route.match.type == "user.*"

    def test_stations_get_their_options_by_step(self, write: Write) -> None:
        """The same analyzer may stand on a route twice."""
        text = "routes: [{name: a, via: [throttle, {throttle: {seconds: 2}}, {throttle: }], to: [lamp]}]\n"
        config = load(write(text), {})
        assert [config.station("a", step)[1] for step in range(3)] == [{}, {"seconds": 2}, {}]

    def test_a_profile_below_one_that_matches_everything_is_a_warning(self, write: Write) -> None:
        """The first match wins."""
        (warning,) = load(write("nodes: [{}, {match: user.*}]\n"), {}).warnings
        assert warning.endswith("1:13: the profile for `user.*` is never used: `#` above it matches every type")


class TestNames:
    """Names of what plugins offer."""

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("routes: [{name: a, to: [pubsup]}]\n", "no output is called `pubsup`; did you mean `pubsub`?"),
            ("routes: [{name: a, via: [trottle], to: [pubsub]}]\n", "no analyzer is called `trottle`; did you mean `t"),
            ("routes: [{name: a, via: [{throttle: {secs: 1}}], to: [pubsub]}]\n", "`throttle` does not take these opt"),
            ("inputs: {stomp: {}}\n", "no input is called `stomp`; there are none"),
            ("outputs: {lamp: {}}\n", "no output is called `lamp`; there are `pubsub`"),
        ],
    )
    def test_a_name_that_nobody_offers_is_said_with_its_place(self, write: Write, text: str, line: str) -> None:
        """As soon as the plugins are loaded."""
        path = write(XMPP + text)
        config = load(path, {})
        with pytest.raises(ConfigInvalid) as caught:
            verify(config, registry())
        assert line in str(caught.value)
        assert str(caught.value).startswith(f"{path}:2:")

    def test_a_tokens_file_may_be_made_after_the_config_but_before_the_daemon(self, write: Write) -> None:
        """`xmppbus token` reads the config to learn where to write it."""
        config = load(write("http: {tokens_file: gone}\n"), {})
        with pytest.raises(
            ConfigInvalid, match=r"xmppbus\.yaml:1:21: .*gone can't be read: No such .*xmppbus token add"
        ):
            verify(config, registry())

    def test_names_that_are_on_offer_pass(self, write: Write) -> None:
        """No output is made for it: that would open connections."""
        verify(load(write(XMPP + "routes: [{name: a, via: [throttle], to: [pubsub]}]\n"), {}), registry())

    def test_a_config_without_a_file_passes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The local bus names nothing."""
        monkeypatch.chdir(tmp_path)
        config: Config = load(None, {"HOME": str(tmp_path)})
        verify(config, registry())
