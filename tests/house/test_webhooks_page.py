"""The page on webhooks, `docs/howto/webhooks.md`: every line of it does what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.house.test_incidents_cli import alone, listed
from tests.support.daemon import Daemon
from tests.support.http_client import ask
from tests.support.http_door import open_door
from tests.support.missing import need
from tests.support.pages import ROOT, block, blocks
from tests.support.webhooks import RECORDINGS, hexadecimal, presets, recorded
from tests.unit.test_config_schema import validator
from xmppbus.config import load

PAGE = "docs/howto/webhooks.md"
TEXT = (ROOT / PAGE).read_text()
OURS = [yaml.safe_load(text) for kind, text in blocks(ROOT / PAGE) if kind == "yaml" and "inputs:" in text]


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """With the presets and the plugin of the page."""
    directory = tmp_path / "bus"
    directory.mkdir()
    plugin = directory / "doorbell.py"
    plugin.write_text(block_of("python", "doorbell"))
    (custom,) = [each for each in OURS if "webhooks" in each["inputs"]]
    async with alone(directory, **custom, plugins=[str(plugin)]) as started:
        yield started


def block_of(language: str, word: str) -> str:
    """The one in this language with this word."""
    (found,) = [text for kind, text in blocks(ROOT / PAGE) if kind == language and word in text]
    return found


async def events(daemon: Daemon, count: int) -> list[dict[str, Any]]:
    """The first so many, once they are there."""
    lines = (await daemon.command("listen", "--since", "all", "-n", str(count), "--json")).out.splitlines()
    return [json.loads(line)["event"] for line in lines]


async def test_every_line_for_a_shell_publishes_what_the_page_says(daemon: Daemon) -> None:
    """In order; then the chart of a workflow's runs, and the watch over the watchdog."""
    need("curl")
    lines = [line for kind, text in blocks(ROOT / PAGE) if kind == "sh" for line in text.splitlines()]
    curls = [line for line in lines if line.startswith("curl ")]
    answers = [await daemon.shell(f"{line.replace('http://127.0.0.1:8222', daemon.url)} -fsS") for line in curls]
    found = await events(daemon, len(curls))
    assert [each["type"] for each in found] == [
        *("github.ping", "slack.message", "slack.ops", "backup.done", "ntfy.alerts", "ntfy.alerts", "gotify.message"),
        *("user.signup", "deploy.done"),
    ]
    assert answers[1] == "ok"
    assert json.loads(answers[4])["topic"] == "alerts"
    assert [each.get("severity") for each in found][2:7] == ["error", "info", "critical", "warning", "warning"]
    assert found[-1] == found[-1] | {
        "summary": "shop done in 41 s",
        "key": "shop",
        "link": "https://ci.example.org/7",
    }
    assert found[-1]["data"] == {"seconds": 41.2, "app": "shop"}
    run = recorded("github/workflow_run-completed")
    await ask(daemon.url, "POST", "/v1/webhooks/github", run.body, run.headers)
    (plot,) = [line for line in lines if line.startswith("xmppbus plot")]
    assert "all there is: 1 value" in await daemon.shell(f"{plot.replace('90d', 'all')}")
    (expect,) = [line for line in lines if line.startswith("xmppbus expect")]
    assert "alert.Watchdog" in await daemon.shell(expect)
    assert sorted([*curls, plot, expect]) == sorted(lines), "there is no other line"


async def test_the_plugin_of_the_page_is_served(daemon: Daemon) -> None:
    """By its name."""
    answer = await ask(daemon.url, "POST", "/v1/webhooks/doorbell", b'{"door": "gate"}')
    assert answer.status == 202
    ((event),) = await events(daemon, 1)
    assert (event["type"], event["summary"]) == ("door.bell", "Somebody is at the gate")
    answer = await ask(daemon.url, "POST", "/v1/webhooks/doorbell", b"{}")
    assert (answer.status, "has no `door`" in answer.body.decode()) == (400, True)


async def test_an_agent_of_netdata_sends_with_the_function_of_the_page(daemon: Daemon) -> None:
    """With the variables that Netdata's script sets."""
    for program in ("bash", "jq", "curl"):
        need(program)
    function = block(PAGE, "bash").replace("http://127.0.0.1:8222", daemon.url)
    script = daemon.directory / "notify.sh"
    for status in ("CRITICAL", "CLEAR"):
        said = {"name": "disk_full", "status": status, "host": "db1", "chart": "disk_space._", "info": "space used"}
        said |= {"value_string": "97%", "goto_url": "https://netdata.example.org/", "when": "1795272866"}
        values = "\n".join(f"{name}='{value}'" for name, value in said.items())
        script.write_text(f'{function}\n{values}\ncustom_sender xmppbus\n[ "$sent" = 1 ]\n')
        await daemon.shell(f"bash {script}")
        (incident,) = await listed(daemon, "--status", {"CRITICAL": "firing", "CLEAR": "resolved"}[status])
        assert incident["key"] == "netdata:db1:disk_space._:disk_full"
    assert incident["summary"].startswith("[CRITICAL] disk_full db1 97% – space used")


async def test_a_token_for_one_service_is_made_with_the_line_of_the_page(tmp_path: Path) -> None:
    """And lets in as a password, too."""
    daemon = Daemon(tmp_path / "bus")
    tokens = daemon.directory / "tokens"
    tokens.touch(mode=0o600)
    daemon.configure(None, config={"http": {"listen": f"127.0.0.1:{daemon.http_port}", "tokens_file": str(tokens)}})
    async with daemon:
        made = await daemon.shell(block(PAGE, "shell").strip())
        token = next(word for word in made.split() if word.startswith("xmppbus.alertmanager."))
        alert = recorded("alertmanager/firing")
        for path in (f"alertmanager?token={token}", "alertmanager"):
            answer = await ask(daemon.url, "POST", f"/v1/webhooks/{path}", alert.body)
            assert answer.status == (202 if "?" in path else 401)
        answer = await ask(daemon.url, "POST", f"/v1/webhooks/slack?token={token}", recorded("slack/text").body)
        assert answer.status == 403
        assert token not in daemon.log()


async def test_the_configs_of_the_page_are_taken(tmp_path: Path) -> None:
    """By the schema, and by the listener: two secrets of one kind, each at its own address."""
    for config in OURS:
        validator().validate(config)
    (signed,) = [each for each in OURS if "github" in each["inputs"]]
    for name in ("github", "second"):
        (tmp_path / f"{name}.secret").write_text(name)
    (tmp_path / "beside.yaml").write_text(json.dumps(signed))
    assert load(tmp_path / "beside.yaml", {"XMPPBUS_STATE": str(tmp_path)})
    async with open_door(tmp_path, inputs=signed["inputs"]) as door:
        push = recorded("github/push")
        for path, secret in (("github", "github"), ("github/second", "second")):
            signature = {"x-hub-signature-256": f"sha256={hexadecimal(secret, push.body)}"}
            answer = await ask(door.url, "POST", f"/v1/webhooks/{path}", push.body, {**push.headers, **signature})
            assert answer.status in (200, 202)


async def test_a_secret_that_a_reload_brings_counts_at_once_and_so_does_a_new_one_in_its_file(tmp_path: Path) -> None:
    """And one that can't be read is said, and changes nothing."""
    async with Daemon(tmp_path / "bus") as daemon:
        secret, push = daemon.directory / "github.secret", recorded("github/push")

        async def send(word: str) -> int:
            signature = {"x-hub-signature-256": f"sha256={hexadecimal(word, push.body)}"}
            return (
                await ask(daemon.url, "POST", "/v1/webhooks/github", push.body, {**push.headers, **signature})
            ).status

        assert await send("whatever") == 202, "nobody has said how it is signed"
        config = yaml.safe_load(daemon.config_file.read_text())
        daemon.config_file.write_text(
            yaml.safe_dump({**config, "inputs": {"github": {"secret_file": "github.secret"}}})
        )
        done = await daemon.run("reload")
        assert done.code != 0
        assert "github.secret can't be read" in done.out + done.err
        assert await send("whatever") == 200
        secret.write_text("first")
        await daemon.command("reload")
        assert [await send(word) for word in ("whatever", "first")] == [401, 200]
        secret.write_text("first\nsecond\n")
        assert [await send(word) for word in ("first", "second", "third")] == [200, 200, 401]
        assert (await daemon.status())["inputs"]["github"]["signed"] is True


def test_what_healthchecks_and_buildbot_are_told_is_what_was_recorded() -> None:
    """The placeholders filled in as Healthchecks does; Buildbot's reporter is the one whose request was recorded."""
    template = block(PAGE, "json")
    check = json.loads(recorded("healthchecks/down").body)
    filled = template.replace("$NOW", check["now"]).replace("$EXITSTATUS", "1")
    filled = filled.replace("$JSON", json.dumps(check["check"]))
    sent = recorded("healthchecks/down")._replace(body=filled.encode())
    ((event),) = presets()["healthchecks"].events(sent)
    assert (event["status"], event["data"]["exit"]) == ("firing", 1.0)
    python = block_of("python", "HttpStatusPush")
    compile(python, PAGE, "exec")
    assert "HttpStatusPush" in (RECORDINGS / "README.md").read_text()


def test_the_table_has_every_preset_and_every_type() -> None:
    """Nothing that is shipped is left out."""
    table = TEXT.partition("## Let them in")[0]
    assert not [name for name in presets() if f"`{name}`" not in table]


def test_amtool_takes_the_config_of_the_page(tmp_path: Path) -> None:
    """test_webhook_services.py runs it; the services' own lines are run there as well."""
    if shutil.which("amtool") is None:
        need("amtool")
    (text,) = [text for kind, text in blocks(ROOT / PAGE) if kind == "yaml" and "receivers:" in text]
    (tmp_path / "alertmanager.yml").write_text(text)
    done = subprocess.run(
        ["amtool", "check-config", str(tmp_path / "alertmanager.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
