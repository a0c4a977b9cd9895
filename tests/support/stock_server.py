"""Prosody and ejabberd as Debian installs them: the packages' own config files in a directory that stands for `/`.

Only what two servers on one machine can't share is changed in them: ports, and where they keep files.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import urllib.request
from asyncio import to_thread
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.missing import is_missing
from tests.support.ports import free_port
from xmppbus.demo.prosody import make_certificate
from xmppbus.demo.server_process import ServerProcess

PROSODY_STOCK = Path("/etc/prosody")
EJABBERD_STOCK = Path("/usr/share/ejabberd/ejabberd.yml.example")
DOMAIN = "example.org"
START_SECONDS = 30.0


def need_stock(path: Path, package: str) -> None:
    """The package's config is there."""
    if not path.exists():
        is_missing(str(path), f"apt-get install {package}")


def stock_prosody(root: Path) -> Path:
    """Debian's config of Prosody below `root`, untouched."""
    need_stock(PROSODY_STOCK / "prosody.cfg.lua", "prosody")
    shutil.copytree(PROSODY_STOCK, root / "etc/prosody", ignore=shutil.ignore_patterns("certs"))
    return root / "etc/prosody/prosody.cfg.lua"


def stock_ejabberd(root: Path, host: str = "localhost") -> Path:
    """Debian's config of ejabberd below `root`, with what its installation asks for: the host."""
    need_stock(EJABBERD_STOCK, "ejabberd")
    config = root / "etc/ejabberd/ejabberd.yml"
    config.parent.mkdir(parents=True)
    config.write_text(EJABBERD_STOCK.read_text().replace("  - localhost", f"  - {host}"))
    return config


class StockProsody:
    """Debian's Prosody with a host of its own, as an operator has it the day before he installs the bus."""

    kind = "Prosody"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.c2s_port, self.component_port = free_port(), free_port()
        self.config = stock_prosody(root)
        directory = self.config.parent
        text = self.config.read_text()
        text = re.sub(r'pidfile = "[^"]*"', f'pidfile = "{root}/pid"', text).replace("/var/log/prosody", str(root))
        text = text.replace("modules_disabled = {", 'modules_disabled = { "s2s";')
        top = f'run_as_root = {str(os.geteuid() == 0).lower()}\ndata_path = "{root}"\ninterfaces = {{ "127.0.0.1" }}\n'
        top += f"c2s_ports = {{ {self.c2s_port} }}\n"
        self.config.write_text(f"{top}component_ports = {{ {self.component_port} }}\n{text}")
        (directory / "conf.d" / f"{DOMAIN}.cfg.lua").write_text(f'VirtualHost "{DOMAIN}"\n')
        certificates = directory / "certs"
        certificates.mkdir()
        make_certificate(certificates, (DOMAIN,))
        (certificates / "certificate.pem").rename(certificates / f"{DOMAIN}.crt")
        (certificates / "key.pem").rename(certificates / f"{DOMAIN}.key")
        accounts = root / "example%2eorg/accounts"
        accounts.mkdir(parents=True)
        (accounts / "romeo.dat").write_text('return { ["password"] = "pw" };\n')
        command = ["prosody", "-F", "--config", str(self.config)]
        self._process = ServerProcess(command, (self.c2s_port,), root / "output", os.environ)

    async def __aenter__(self) -> Self:
        await self._process.start(START_SECONDS)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._process.kill()

    async def reload(self) -> None:
        """`systemctl restart prosody`."""
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        """`systemctl stop prosody`."""
        await self._process.stop(5)

    async def start(self) -> None:
        """`systemctl start prosody`, with the bus's component in its config."""
        self._process.ports = (self.c2s_port, self.component_port)
        await self._process.start(START_SECONDS)

    def paste(self, where: str, lines: str) -> None:
        """Do what `init` says: a new file, or the end of one."""
        file = Path(where.removesuffix(", a new file").removeprefix("the end of "))
        with file.open("a") as opened:
            opened.write(f"\n{lines}\n")


class StockEjabberd:
    """Debian's ejabberd, installed with a host of its own."""

    kind = "ejabberd"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = stock_ejabberd(root, DOMAIN)
        self.component_port = free_port()
        make_certificate(root, (DOMAIN,))
        both = (root / "certificate.pem").read_text() + (root / "key.pem").read_text()
        (root / "ejabberd.pem").write_text(both)
        text = re.sub(r"^    port: \d+$", lambda _: f"    port: {free_port()}", self.config.read_text(), flags=re.M)
        text = text.replace('ip: "::"', 'ip: "127.0.0.1"').replace("/etc/ejabberd/ejabberd.pem", f"{root}/ejabberd.pem")
        # What stands for ejabberdctl, which needs Erlang's distribution: it may do everything, but through HTTP.
        allowed = 'api_permissions:\n  "the tests":\n    who: {ip: 127.0.0.1}\n    what: "*"\n'
        text = text.replace("api_permissions:\n", allowed)
        self.config.write_text(text)
        ports = [int(port) for port in re.findall(r"^    port: (\d+)$", text, re.M)]
        self.c2s_port, self._api_port = ports[0], ports[3]
        self._process = ServerProcess(
            ["erl", "-noinput", "-noshell", "-mnesia", "dir", f'"{root}/spool"', "-s", "ejabberd"],
            (self.c2s_port, self._api_port),
            root / "output",
            self._environment(),
        )

    def _environment(self) -> Mapping[str, str]:
        library = next(Path("/usr/lib").glob("**/ejabberd-*/ebin/ejabberd.app"))
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.root),
            "ERL_LIBS": str(library.parents[2]),
            "ERL_CRASH_DUMP_BYTES": "0",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "EJABBERD_CONFIG_PATH": str(self.config),
            "EJABBERD_LOG_PATH": str(self.root / "ejabberd.log"),
        }

    async def __aenter__(self) -> Self:
        await self._process.start(START_SECONDS)
        try:
            await self._api("register", b'{"user": "romeo", "host": "example.org", "password": "pw"}')
        except BaseException:
            self._process.kill()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        self._process.kill()

    async def reload(self) -> None:
        """`ejabberdctl reload-config`, by the way that is open without Erlang's distribution."""
        await self._api("reload_config", b"{}")

    async def _api(self, command: str, arguments: bytes) -> None:
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        url = f"https://127.0.0.1:{self._api_port}/api/{command}"
        request = urllib.request.Request(url, arguments, {"Content-Type": "application/json"})  # loopback

        def call() -> None:
            urllib.request.urlopen(request, timeout=10, context=unverified).close()  # noqa: S310  # loopback

        await to_thread(call)

    def paste(self, where: str, lines: str) -> None:
        """Do what `init` says: a line below another, or the end of the file."""
        text = self.config.read_text().splitlines()
        below = re.search(r"below line (\d+)", where)
        position = int(below[1]) if below else len(text)
        self.config.write_text("\n".join([*text[:position], lines, *text[position:]]) + "\n")
