"""`xmppbus config schema` and `show`: editors are told what the daemon takes, and secrets are told to nobody."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from xmppbus.app import built_in
from xmppbus.cli.main import run_locally
from xmppbus.config import load
from xmppbus.config import schema as schemas
from xmppbus.config.document import read

DOCS = Path(__file__).parents[2] / "docs"


def schema() -> dict[str, Any]:
    """With the options of every way in and out that is built in."""
    return schemas.schema(built_in().options)


TOP = set(schema()["$defs"]["Options"]["properties"])


def configs() -> Iterator[tuple[str, str]]:
    """Every YAML block of the docs, and of the README, that is a config."""
    for page in [DOCS.parent / "README.md", *sorted(DOCS.glob("**/*.md"))]:
        for block in re.findall(r"^ *```yaml\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE):
            value = read(block.encode()).value
            if isinstance(value, dict) and value and set(value) <= TOP:
                yield f"{page.relative_to(DOCS.parent)}: {block[:40]!r}", textwrap.dedent(block)


CONFIGS = dict(configs())


def validator() -> Any:
    """Of the whole schema."""
    return jsonschema_rs.Draft202012Validator(schema())


def test_it_is_a_schema() -> None:
    """By the rules of its own dialect."""
    assert jsonschema_rs.meta.is_valid(schema())


@pytest.mark.parametrize("block", CONFIGS.values(), ids=CONFIGS)
def test_every_config_of_the_docs_is_valid(block: str) -> None:
    """As an editor reads it."""
    validator().validate(read(block.encode()).value)


MACHINE = ("secret", "password", "tokens", "tls/fullchain.pem", "tls/key.pem", "plugins/mine.py", "plugins/hello.py")
"""What the pages tell to make, in /etc/xmppbus."""
SERVER = {"component": "bus.example.org", "secret_file": "secret", "pubsub_service": "pubsub.example.org"}


def plugin(name: str) -> str:
    """What the page that names it says is in it."""
    if name == "hello.py":
        return (DOCS / "howto/examples/hello.py").read_text()
    found = re.search(r"```python\n# mine\.py\n(.*?)```", (DOCS / "howto/write-a-plugin.md").read_text(), re.DOTALL)
    assert found
    return found.group(1)


@pytest.mark.parametrize("block", CONFIGS.values(), ids=CONFIGS)
def test_every_config_of_the_docs_is_taken_by_the_daemon(block: str, tmp_path: Path) -> None:
    """Without a doubt; where it speaks of the bot, `xmpp:` and the bot's owner are those of other pages."""
    for name in MACHINE:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(plugin(Path(name).name) if name.endswith(".py") else "what is secret\n")
        (tmp_path / name).chmod(0o600)
    text = block.replace("/etc/xmppbus", str(tmp_path))
    found = read(text.encode()).value
    if "xmpp" not in found and set(found) & {"bot", "routes"}:
        owned = {"affiliations": {"romeo@example.org": "owner"}, **found.get("bot", {})}
        text = yaml.safe_dump({**found, "xmpp": SERVER, "bot": owned})
    path = tmp_path / "xmppbus.yaml"
    path.write_text(text)
    assert load(path, {}).warnings == ()


def test_the_docs_have_configs() -> None:
    """Else the test above says nothing."""
    assert len(CONFIGS) > 10


@pytest.mark.parametrize(
    "text",
    [
        "xnpp: {}",
        "http: {listen: 8222}",
        "nodes: [{max_items: 0}]",
        "nodes: [{match: 'a..b'}]",
        "routes: [{name: 'a b', to: [pubsub]}]",
        "routes: [{name: a, to: []}]",
        "routes: [{name: a}]",
        "routes: [{name: a, match: {severity: '>=wrong'}, to: [pubsub]}]",
        "bot: {omemo: {romeo@example.org: perhaps}}",
        "journal: {keep: {days: 0}}",
    ],
)
def test_mistakes_are_mistakes_for_an_editor_too(text: str) -> None:
    """Unknown words, bounds, patterns and choices."""
    assert not validator().is_valid(yaml.safe_load(text))


def test_every_option_says_what_it_is_for() -> None:
    """In the words of the reference page; and the whole says what a schema can't say."""
    definitions = schema()["$defs"]
    lost = [
        f"{name}.{option}"
        for name, definition in definitions.items()
        for option, each in definition["properties"].items()
        if not each.get("description")
    ]
    assert not lost
    assert "`xmppbus check` does" in definitions["Options"]["description"]


def test_it_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """For a file that the config's first line names."""
    assert run_locally(["config", "schema"]) == 0
    assert json.loads(capfd.readouterr().out) == schema()


def test_show_has_every_default_and_no_secret(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is a config itself."""
    (tmp_path / "secret").write_text("canary\n")
    path = tmp_path / "xmppbus.yaml"
    path.write_text("xmpp: {component: bus.example.org, secret_file: secret}\n")
    assert run_locally(["config", "show", "--config", str(path)]) == 0
    shown = capfd.readouterr()
    found = yaml.safe_load(shown.out)
    assert (found["xmpp"]["host"], found["journal"]["keep"]["days"]) == ("127.0.0.1", 30)
    assert found["xmpp"]["secret_file"] == str(tmp_path / "secret")
    assert "canary" not in shown.out + shown.err
    validator().validate(found)
    path.write_text(shown.out)
    assert run_locally(["config", "show", "--json", "--config", str(path)]) == 0
    assert json.loads(capfd.readouterr().out) == found
    path.write_text("xnpp: {}\n")
    assert run_locally(["config", "show", "--config", str(path)]) == 78
    assert f"{path}:1:1" in capfd.readouterr().err
