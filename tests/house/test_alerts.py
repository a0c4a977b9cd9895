"""The alert rules and the dashboard: every alert fires when it should, and only then, and all that they name exists."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml

from tests.support.daemon import Daemon
from tests.support.missing import need
from tests.support.ports import free_port
from tests.support.waiting import until
from xmppbus.running.measures import FROM_THE_CLIENT, MEASURES

DOCS = Path(__file__).parents[2] / "docs"
RULES = DOCS / "prometheus" / "xmppbus-alerts.yaml"
DASHBOARD = DOCS / "grafana" / "xmppbus.json"
TESTS = Path(__file__).with_name("xmppbus-alerts.test.yaml")
EXISTING = {name for measure in MEASURES for name in measure.series} | set(FROM_THE_CLIENT) | {"up"}
SECONDS = 20.0


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def queries() -> Iterator[str]:
    """Of every panel, and of the variable."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (each["definition"] for each in dashboard["templating"]["list"] if "definition" in each)


def named(query: str) -> set[str]:
    """The metrics that a query names."""
    return set(re.findall(r"\b(?:xmppbus|process|python)_\w+|\bup\b", re.sub(r"\{[^}]*\}", "", query)))


def test_promtool_takes_the_rules_and_every_alert_fires_when_it_should() -> None:
    """Its unit tests have a story for each alert with which it fires, and others with which none does."""
    need("promtool")
    for arguments in (["check", "rules", str(RULES)], ["test", "rules", str(TESTS)]):
        done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout
    told = re.findall(r'alertname="(\w+)"', TESTS.read_text())
    assert sorted(told) == sorted(rule["alert"] for rule in alerts())


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_names_what_exists_and_says_what_to_do(rule: dict[str, Any]) -> None:
    """And the page on monitoring knows it."""
    assert named(rule["expr"])
    assert named(rule["expr"]) <= EXISTING
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description"}
    assert f"`{rule['alert']}`" in (DOCS / "howto" / "monitoring.md").read_text()


def test_the_dashboard_names_what_exists() -> None:
    """And each of its panels shows something."""
    found = {name for query in queries() for name in named(query)}
    assert len(found) > 25
    assert found <= EXISTING
    dashboard = json.loads(DASHBOARD.read_text())
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all(panel["title"] for panel in dashboard["panels"])


async def test_prometheus_scrapes_and_raises_the_alarm(tmp_path: Path) -> None:
    """With the configuration of the page on monitoring; all queries of the dashboard and all rules can be evaluated."""
    need("prometheus")
    page = (DOCS / "howto" / "monitoring.md").read_text()
    (block, *_) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    tokens, token = tmp_path / "tokens", tmp_path / "token"
    daemon = Daemon(tmp_path / "bus")
    listen = f"127.0.0.1:{daemon.http_port}"
    daemon.configure(None, config={"http": {"listen": listen, "tokens_file": str(tokens)}})
    add, *look = [line for each in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in each.splitlines()]
    token.write_text(await daemon.shell(add))
    for old, new in (
        ("/etc/prometheus/xmppbus-alerts.yaml", str(RULES)),
        ("/etc/prometheus/xmppbus-token", str(token)),
        ("127.0.0.1:8222", listen),
        ("scrape_interval: 15s", "scrape_interval: 1s\n  evaluation_interval: 1s"),
    ):
        assert old in block
        block = block.replace(old, new)
    config = tmp_path / "prometheus.yml"
    config.write_text(block)
    port = free_port()

    def ask(path: str) -> Any:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=5) as answer:
            return json.load(answer)["data"]

    async def asked(path: str) -> Any:
        try:
            return await asyncio.to_thread(ask, path)
        except OSError:
            return None

    process = await asyncio.create_subprocess_exec(
        *("prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
    )
    try:
        async with daemon:

            async def healthy() -> bool:
                targets = await asked("targets")
                rules = await asked("rules")
                return bool(
                    targets
                    and [each["health"] for each in targets["activeTargets"]] == ["up"]
                    and rules
                    and {rule["health"] for group in rules["groups"] for rule in group["rules"]} == {"ok"}
                )

            await until(healthy, SECONDS, "Prometheus to scrape the bus", poll=0.1)
            daemon.environment |= {"XMPPBUS_TOKEN": token.read_text().strip(), "XMPPBUS_URL": daemon.url}
            (daemon.directory / RULES.name).write_text(RULES.read_text())
            assert "SUCCESS" in "".join([await daemon.shell(line) for line in look])
            for query in queries():
                bare = query.replace("$instance", ".*").replace("$__rate_interval", "1m")
                if not bare.startswith("label_values"):
                    assert (await asked(f"query?query={_quoted(bare)}"))["resultType"] == "vector", query
            assert await asked(f"query?query={_quoted('xmppbus_accepting')}")

        async def alarmed() -> bool:
            found = await asked("alerts")
            return bool(found) and "XmppbusDown" in [each["labels"]["alertname"] for each in found["alerts"]]

        await until(alarmed, SECONDS, "an alert that the bus is gone", poll=0.1)
    finally:
        process.terminate()
        await process.wait()


def _quoted(query: str) -> str:
    return quote(query, safe="")
