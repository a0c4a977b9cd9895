"""Every command line and every config of the README and the docs is run by a test, and which one that is."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import re
import ssl
import sys
import textwrap
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from tests.support.daemon import Daemon
from tests.support.pages import NOT_RUN, OUTPUT, OWN_TESTS, PAGES, ROOT, block, blocks, name
from tests.support.waiting import until
from tests.unit.test_config_schema import CONFIGS

GENERATED = {"docs/reference/bot.md", "docs/reference/commands.md"}
"""Their blocks are what the program prints."""
COMMAND = re.compile(
    r"^(?:[$#] )?(?:sudo|xmppbus|curl|apt-get|pip|python3?|systemctl|docker\S*|install|export) +[\w./-]"
)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_of_a_page_is_run_by_a_test(page: Path) -> None:
    """By its own, by `test_readme.py` if it is for a shell, or by the loader if it is a config; else it says why."""
    own = OWN_TESTS.get(name(page), {})
    unclaimed = [
        (language, text)
        for language, text in blocks(page)
        if language not in OUTPUT | set(own)
        and (name(page), language) not in NOT_RUN
        and not (language == "sh" or (language == "yaml" and textwrap.dedent(text) in CONFIGS.values()))
    ]
    assert not unclaimed


@pytest.mark.parametrize("page", OWN_TESTS)
def test_a_pages_own_tests_are_there_and_read_it(page: str) -> None:
    """And the page still has such blocks."""
    here = {language for language, _ in blocks(ROOT / page)}
    assert set(OWN_TESTS[page]) <= here
    for test in OWN_TESTS[page].values():
        assert Path(page).name in (ROOT / "tests" / test).read_text(), test


@pytest.mark.parametrize("page", [each for each in PAGES if name(each) not in GENERATED], ids=name)
def test_no_command_hides_in_what_is_printed(page: Path) -> None:
    """A block without a language, or with `text`, is run by nobody."""
    shown = "".join(text for language, text in blocks(page) if language in OUTPUT)
    assert not [line for line in shown.splitlines() if COMMAND.match(line)]


def test_the_readme_sets_up_a_server_with_the_lines_of_the_first_steps() -> None:
    """Which test_init.py runs on servers as Debian installs them."""
    steps = "".join(
        text for language, text in blocks(ROOT / "docs/howto/first-steps.md") if language in ("sh", "shell")
    )
    ours = "".join(text for language, text in blocks(ROOT / "README.md") if language == "shell")
    assert "xmppbus init" in ours
    assert set(ours.splitlines()) <= set(steps.splitlines())


async def test_the_line_for_cron_makes_a_backup(tmp_path: Path) -> None:
    """Of docs/howto/backup.md, every night: the second replaces the first."""
    line = block("docs/howto/backup.md", "cron").replace("/var/backups", str(tmp_path)).replace("/usr/local/bin/", "")
    assert re.match(r"[\d*]+( [\d*]+){4}  root  ", line), "five fields of time, and the user"
    async with Daemon(tmp_path / "bus") as daemon:
        for _ in range(2):
            assert "0 events" in await daemon.shell(line.split("  ", 2)[2])


async def test_a_renewed_certificate_is_taken_by_the_lines_of_its_page(tmp_path: Path) -> None:
    """docs/howto/tls.md: its config, its certificate, its hook. The unit's reload is `xmppbus reload`."""
    page = "docs/howto/tls.md"
    daemon = Daemon(tmp_path / "bus")
    where, lineage = daemon.directory / "tls", tmp_path / "lineage"
    where.mkdir()
    lineage.mkdir()
    (daemon.directory / "tokens").touch(mode=0o600)
    config = block(page, "yaml").replace("/etc/xmppbus", str(daemon.directory))
    http = yaml.safe_load(config.replace("192.0.2.10:8222", f"127.0.0.1:{daemon.http_port}"))
    daemon.configure(None, config={**yaml.safe_load(daemon.config_file.read_text()), **http})
    make = block(page, "sh").strip()
    await daemon.shell(f"cd {where} && {make}")
    await daemon.shell(f"cd {lineage} && {make} && mv key.pem privkey.pem")
    hook = block(page, "shell").replace("/etc/xmppbus", str(daemon.directory))
    assert hook.endswith("systemctl reload xmppbus\n")
    hook = hook.replace("systemctl reload xmppbus", "xmppbus reload").replace("-o xmppbus", f"-o {getpass.getuser()}")
    daemon.environment["RENEWED_LINEAGE"] = str(lineage)

    async def shown() -> str:
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", daemon.http_port))

    async def opened() -> bool:
        with contextlib.suppress(OSError):
            return daemon.answers() and bool(await shown())
        return False

    daemon.spawn()
    try:
        await until(opened, 30, "the listener, and the socket")
        assert await shown() == (where / "fullchain.pem").read_text()
        await daemon.shell(f"set -e\n{hook}")
        assert await shown() == (lineage / "fullchain.pem").read_text()
    finally:
        await daemon.stop()
    assert (where / "key.pem").stat().st_mode & 0o777 == 0o600


async def test_a_program_publishes_with_the_lines_on_the_socket(tmp_path: Path) -> None:
    """docs/reference/socket.md, as it stands there."""
    async with Daemon(tmp_path / "bus") as daemon:
        script = block("docs/reference/socket.md", "python").replace("/run/xmppbus/xmppbus.sock", str(daemon.socket))
        (daemon.directory / "publish.py").write_text(script)
        assert "'id': " in await daemon.shell(f"{sys.executable} publish.py")
        (entry,) = (await daemon.command("listen", "--since", "all", "-n", "1", "--json")).out.splitlines()
    assert json.loads(entry)["event"]["data"] == "alice joined"


def test_a_package_names_its_plugins_where_ours_does() -> None:
    """docs/howto/write-a-plugin.md."""
    shown = tomllib.loads(block("docs/howto/write-a-plugin.md", "toml"))["project"]["entry-points"]
    assert list(shown) == ["xmppbus.plugins"]
    assert metadata.entry_points(group="xmppbus.plugins")


def test_the_page_on_http_lists_every_path() -> None:
    """Of the description, which test_openapi.py holds together with the listener; and the two pages for browsers."""
    served = yaml.safe_load((ROOT / "docs/reference/openapi.yaml").read_text())["paths"]
    table = (ROOT / "docs/reference/http.md").read_text().partition("\n## ")[0]
    lost = []
    for path in (*served, "/", "/display/{name}", "/metrics"):
        written = re.sub(r"\\\{\w+\\\}", "[A-Z-]+", re.escape(path))
        if not re.search(rf"{written}[`?.]", table) and f"`/{path.rpartition('/')[2]}`" not in table:
            lost.append(path)
    assert not lost


def test_the_index_of_decisions_has_them_all() -> None:
    """By number and title."""
    index = (ROOT / "docs/adr/README.md").read_text()
    for decision in ROOT.glob("docs/adr/0*.md"):
        title = decision.read_text().partition("\n")[0].removeprefix("# ").partition(" ")[2]
        row = rf"\| \[{decision.name[:4]}\]\({re.escape(decision.name)}\) \| .{re.escape(title[1:])} \|"
        assert re.search(row, index), title
