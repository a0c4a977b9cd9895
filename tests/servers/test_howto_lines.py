"""The lines that `docs/howto` and `xmppbus check` give to paste do what they say, on real servers."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import make_server
from tests.support.ejabberd import Ejabberd
from tests.support.ports import free_port
from tests.support.raw import RawError, RawStream, account, component
from tests.support.raw_pubsub import create_node, delete_node, node_configuration
from xmppbus.cli.advice import Facts, Missing, advice
from xmppbus.demo.server_process import ServerProcess

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
SECRET = "what secret_file says"
BUS = "bus.example.org"
PUBSUB = "pubsub.example.org"
ROMEO = "romeo@localhost"
COMPONENT = Facts(BUS, PUBSUB, 5347, is_component=True)
ACCOUNT = Facts("bus@example.org", PUBSUB, 5222, is_component=False)
OPENFIRE = COMPONENT._replace(port=5275)

pytestmark = pytest.mark.asyncio


def lines_for(page: str, language: str) -> list[str]:
    """The blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", (HOWTO / page).read_text(), re.DOTALL)


async def look(port: int) -> None:
    """With these lines the bus may connect, create a node of 10,000 items, and publish there."""
    async with await component("127.0.0.1", port, BUS, SECRET) as stream:
        fields = {"persist_items": "true", "max_items": "10000", "access_model": "whitelist"}
        await create_node(stream, PUBSUB, "howto", fields)
        assert (await node_configuration(stream, PUBSUB, "howto"))["pubsub#max_items"] == "10000"
        await delete_node(stream, PUBSUB, "howto")


async def test_prosody_takes_the_lines_of_its_page(tmp_path: Path) -> None:
    """Added to a configuration that has nothing but a host."""
    make_server("prosody", tmp_path)  # skips where it is not installed
    port = free_port()
    (block, *_) = lines_for("prosody.md", "lua")
    (tmp_path / "certs").mkdir()
    config = tmp_path / "prosody.cfg.lua"
    config.write_text(
        f"run_as_root = {json.dumps(os.geteuid() == 0)}\n"
        f'data_path = "{tmp_path}"\npidfile = "{tmp_path}/pid"\nlog = {{ info = "{tmp_path}/log" }}\n'
        f'c2s_ports = {{}}\ncomponent_ports = {{ {port} }}\nmodules_disabled = {{ "s2s" }}\n'
        f'VirtualHost "example.org"\n{block}'
    )
    process = ServerProcess(["prosody", "-F", "--config", str(config)], (port,), tmp_path / "output", os.environ)
    await process.start(20)
    try:
        await look(port)
        assert "\terror\t" not in (tmp_path / "log").read_text()
        assert (tmp_path / "pubsub.sqlite").exists(), "the storage lines were taken"
    finally:
        await process.stop(5)


class _WithPage(Ejabberd):
    """ejabberd with the lines of the page merged into what is there, as the page says."""

    def _settings(self) -> dict[str, Any]:
        settings = super()._settings()
        lines = yaml.safe_load(lines_for("ejabberd.md", "yaml")[0])
        (listener,) = lines["listen"]
        settings["hosts"] = ["example.org"]
        settings["listen"] = [each for each in settings["listen"] if each.get("port") != self.component_port]
        settings["listen"].append(listener | {"port": self.component_port})
        settings["acl"] |= lines["acl"]
        settings["access_rules"] |= lines["access_rules"]
        settings["modules"]["mod_pubsub"] |= lines["modules"]["mod_pubsub"]
        return settings


async def test_ejabberd_takes_the_lines_of_its_page(tmp_path: Path) -> None:
    """Added to a configuration that has a host and knows local users."""
    make_server("ejabberd", tmp_path)  # skips where it is not installed
    server = _WithPage(tmp_path)
    server.accounts = {}
    async with server:
        await look(server.component_port)


async def test_ejabberd_takes_the_lines_that_lift_its_limit_for_an_account(tmp_path: Path) -> None:
    """It refuses to start with rules that it does not understand."""
    make_server("ejabberd", tmp_path)
    lines = yaml.safe_load(advice(Missing.LIMITS, ACCOUNT)["ejabberd"])
    acl = {"admin": {"user": "admin@localhost"}, "creators": {"server": "bus.localhost"}, "local": {"user_regexp": ""}}
    server = Ejabberd(tmp_path, stock_limits=True, options={"acl": acl | lines["acl"]} | lines_without_acl(lines))
    await server.start()
    await server.stop()


STOCK = "shaper_rules:\n  max_user_offline_messages:\n    - 100: all\n"  # as Debian has it, bar administrators


@pytest.mark.parametrize(
    ("rules", "kept"), [(STOCK, 100), (lines_for("ejabberd.md", "yaml")[2], 120)], ids=["Debian's", "the page's"]
)
async def test_ejabberd_keeps_more_for_who_is_offline_with_the_lines_of_its_page(
    rules: str, kept: int, tmp_path: Path
) -> None:
    """What the bot sends, as the component; what is more than the limit comes back."""
    make_server("ejabberd", tmp_path)
    assert "max_user_offline_messages" in rules
    (tmp_path / "page.yml").write_text(rules)
    options = {"include_config_file": str(tmp_path / "page.yml")}
    server = Ejabberd(tmp_path, modules={"mod_offline": {}}, options=options)
    async with server:
        await server.create_account(ROMEO, "password")
        bot = await component(server.host, server.component_port, server.component_jid, server.secret)
        romeo = None
        try:
            send(bot, 120)
            await bot.iq("get", server.domain, "<ping xmlns='urn:xmpp:ping'/>")
            await bot.until(lambda: len(bounces(bot)) == 120 - kept, 20)
            romeo = await account(server.host, server.c2s_port, ROMEO, "password")
            await romeo.until(lambda: len(bodies(romeo)) == kept, 20)
        finally:
            await bot.close()
            if romeo:
                await romeo.close()
        assert bodies(romeo) == [str(number) for number in range(kept)]
        assert set(bounces(bot)) <= {"resource-constraint"}


async def test_prosody_keeps_everything_for_who_is_offline_without_a_line(tmp_path: Path) -> None:
    """`mod_offline` is loaded by itself."""
    server = make_server("prosody", tmp_path)
    async with server:
        await server.create_account(ROMEO, "password")
        async with await component(server.host, server.component_port, server.component_jid, server.secret) as bot:
            send(bot, 120)
            await bot.iq("get", server.domain, "<ping xmlns='urn:xmpp:ping'/>")
            async with await account(server.host, server.c2s_port, ROMEO, "password") as romeo:
                await romeo.until(lambda: len(bodies(romeo)) == 120, 20)
            assert not bounces(bot)


def send(stream: RawStream, count: int) -> None:
    """So many messages to somebody who is not there."""
    for number in range(count):
        stream.write(
            f"<message type='chat' id='m{number}' from='bot@{stream.jid}' to='{ROMEO}'><body>{number}</body>"
            "<store xmlns='urn:xmpp:hints'/></message>"
        )


def bodies(stream: RawStream) -> list[str]:
    """What was said, in order."""
    return [child.text or "" for each in stream.stanzas for child in each.element if child.tag.endswith("}body")]


def bounces(stream: RawStream) -> list[str]:
    """The conditions with which messages came back."""
    return [each.condition() for each in stream.stanzas if each.name == "message" and each.get("type") == "error"]


def lines_without_acl(lines: dict[str, Any]) -> dict[str, Any]:
    """The rest."""
    return {name: value for name, value in lines.items() if name != "acl"}


async def test_a_second_connection_replaces_the_first_with_the_line_for_conflicts(tmp_path: Path) -> None:
    """On Prosody; without the line it is refused."""
    server = make_server("prosody", tmp_path / "server")
    async with server, await component(server.host, server.component_port, server.component_jid, server.secret):
        with pytest.raises(RawError, match="conflict"):
            await component(server.host, server.component_port, server.component_jid, server.secret)
    (line,) = [each for each in advice(Missing.CONFLICT, COMPONENT)["Prosody"].splitlines() if "resolve" in each]
    assert line.strip() == 'component_conflict_resolve = "kick_old"'
    server = make_server("prosody", tmp_path / "kicks", kick_old=True)
    async with server:
        first: RawStream = await component(server.host, server.component_port, server.component_jid, server.secret)
        async with await component(server.host, server.component_port, server.component_jid, server.secret):
            await asyncio.wait_for(first.closed.wait(), 5)
        await first.close()


@pytest.mark.parametrize(
    ("page", "server", "facts"),
    [
        ("prosody.md", "Prosody", COMPONENT),
        ("ejabberd.md", "ejabberd", COMPONENT),
        ("openfire.md", "Openfire", OPENFIRE),
    ],
)
@pytest.mark.parametrize("missing", [each for each in Missing if each != Missing.LIMITS])
async def test_check_and_the_page_give_the_same_lines(page: str, server: str, facts: Facts, missing: Missing) -> None:
    """So that what is tried here holds for both."""
    shown = {line.strip() for line in (HOWTO / page).read_text().splitlines()}
    for line in advice(missing, facts).get(server, "").splitlines():
        assert line.strip() in shown


@pytest.mark.parametrize(("page", "server"), [("prosody.md", "Prosody"), ("ejabberd.md", "ejabberd")])
async def test_check_and_the_page_lift_an_accounts_limit_with_the_same_lines(page: str, server: str) -> None:
    """For those who have no component."""
    shown = {line.strip() for line in (HOWTO / page).read_text().splitlines()}
    assert {line.strip() for line in advice(Missing.LIMITS, ACCOUNT)[server].splitlines()} <= shown
