"""docs/tutorial.md from its top to its end: a Prosody as Debian installs it, a shell, a chat, and what one sees."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import yaml

from tests.support.daemon import Daemon
from tests.support.pages import ROOT, blocks
from tests.support.server import Server
from tests.support.stock_server import StockProsody
from tests.support.talk_person import Person
from tests.support.waiting import until

PAGE = ROOT / "docs/tutorial.md"
THERE = ("apt-get ", "echo 'VirtualHost", "chgrp prosody", "prosodyctl adduser", "python3 -m venv", "ln -s")
"""How lines begin whose work is done: the server, its host, the account and the program are there."""
CHECK = "/usr/local/bin/disk-check"


class Evening:
    """Somebody who reads the page: what was printed or heard last, and where the page's paths are here."""

    def __init__(self, stock: StockProsody, directory: Path) -> None:
        self.stock = stock
        self.bus = Daemon(directory / "bus")
        self.bus.config_file.unlink()
        self.bus.environment["LIMIT"] = "101"  # a machine whose disk is not full, whatever this one's is
        server = SimpleNamespace(host="127.0.0.1", c2s_port=stock.c2s_port, domain="example.org")
        self.romeo = Person(cast(Server, server), "romeo@example.org", "pw", "bot@bus.example.org")
        self.seen = ""
        self.acknowledged = ""
        self.token = ""
        self.paths = {
            "/etc/xmppbus": str(self.bus.directory),
            "/etc/prosody/certs": str(stock.config.parent / "certs"),
            "/var/backups": str(directory),
            CHECK: str(directory / "disk-check"),
            "0.0.0.0:8222": f"127.0.0.1:{self.bus.http_port}",
        }

    def here(self, text: str) -> str:
        """With the paths of the test."""
        for path, ours in self.paths.items():
            text = text.replace(path, ours)
        return text

    async def line(self, line: str) -> None:
        """Of a shell."""
        if line.startswith(THERE) or (line == "systemctl restart prosody" and not self.bus.config_file.exists()):
            return
        if line.startswith("systemctl "):
            what = line.split()[1]
            if what == "stop":
                await self.romeo.leave()
            await {"restart": self.stock.reload, "stop": self.stock.stop, "start": self.stock.start}[what]()
        elif line == "xmppbus serve &":
            await self.bus.start()
        elif line == "kill %1":
            await self.bus.stop()
        elif line.startswith("xmppbus init "):
            machine = ("--root", str(self.stock.root), "--directory", str(self.bus.directory))
            http = ("--http", f"127.0.0.1:{self.bus.http_port}")
            self.seen = (await self.bus.command(*line.split()[1:], *machine, *http)).out
        else:
            units = f" --directory {self.bus.directory}" if "install-service" in line else ""
            self.seen = await self.bus.shell(self.here(line) + units)
        await self.after(line)

    async def after(self, line: str) -> None:
        """What the page says of it."""
        if line.startswith("LIMIT=0"):
            self.seen = (await self.romeo.hear()).body
            self.romeo.react("👍")
            self.acknowledged = (await self.romeo.hear(sort="correction")).body
        elif line == CHECK:
            assert (await self.romeo.hear(sort="correction")).body.startswith("✔ *resolved*")
        elif line == "xmppbus incidents":
            assert "by romeo@example.org" in self.seen
        elif line.startswith("xmppbus plot"):
            assert "disk.usage  data.percent" in self.seen
        elif line == "xmppbus reload":
            assert (await self.bus.request("GET", "/v1/displays/wall"))[0] == 200
        elif line.startswith("xmppbus token"):
            self.token = self.seen.strip()
        elif line == "xmppbus serve &" and self.token:
            await self.look_with_the_token()
        elif line == "xmppbus status || true":
            assert "1 delivery waiting" in self.seen or "deliveries waiting" in self.seen
            assert "everything works" not in self.seen
        elif line == "systemctl start prosody":
            await until(self.all_is_well, 30, "the event to be delivered")
        elif "install-service" in line:
            assert "systemctl enable --now xmppbus" in self.seen

    async def look_with_the_token(self) -> None:
        """A screen that has it sees the board; one that has none sees nothing."""
        address = "/v1/displays/wall"
        assert (await self.bus.request("GET", address))[0] == 401
        found = await self.bus.request("GET", address, b"", {"Authorization": f"Bearer {self.token}"})
        assert found[0] == 200

    async def all_is_well(self) -> bool:
        return "everything works" in (await self.bus.run("status")).out

    async def talk(self, text: str) -> None:
        """With the bot."""
        await self.romeo.log_in()
        for line in text.splitlines():
            if line.startswith("romeo says: "):
                self.romeo.say(line.removeprefix("romeo says: "))
            else:
                assert (await self.romeo.hear()).body == line.removeprefix("bot answers romeo: ")

    def shows(self, text: str) -> None:
        """What is printed on the page was seen here, but for numbers and this machine's name."""
        if "acknowledged" in text:
            self.seen = self.acknowledged
        pattern = re.sub(
            r"\d+", r"\\d+", re.escape(self.here(text.strip())).replace("debian", re.escape(os.uname()[1]))
        )
        assert re.search(pattern, self.seen), self.seen

    def write_the_script(self, text: str) -> None:
        """As it stands there; the page makes it executable."""
        Path(self.paths[CHECK]).write_text(text)

    def configure(self, text: str) -> None:
        """The lines of the page are in the config."""
        config: dict[str, Any] = yaml.safe_load(self.bus.config_file.read_text())
        self.bus.config_file.write_text(yaml.safe_dump({**config, **yaml.safe_load(self.here(text))}))


async def test_the_tutorial_from_its_top_to_its_end(tmp_path: Path) -> None:
    """In the order of the page, on one machine."""
    (tmp_path / "machine").mkdir()
    async with StockProsody(tmp_path / "machine") as stock:
        evening = Evening(stock, tmp_path)
        try:
            for language, text in blocks(PAGE):
                if language == "yaml":
                    evening.configure(text)
                elif language == "talk":
                    await evening.talk(text)
                elif language == "text":
                    evening.shows(text)
                elif language == "cron":
                    await evening.bus.shell(evening.here(text.split("  ", 2)[2]))
                elif text.startswith("#!"):
                    evening.write_the_script(text)
                else:
                    for line in text.replace("\\\n", "").splitlines():
                        await evening.line(line)
        finally:
            await evening.romeo.leave()
            await evening.bus.stop()
