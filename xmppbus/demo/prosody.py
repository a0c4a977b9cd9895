"""A private Prosody: everything in one directory, on loopback only, with its own certificate.

Written for Prosody 0.12; nothing else in the house knows a server by name.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from xmppbus.demo.server_process import ServerProcess, ServerStartError
from xmppbus.limits import SERVER_START_SECONDS, SERVER_STOP_SECONDS

CERTIFICATE_DAYS = 3650

MODULES = (
    "bookmarks", "carbons", "disco", "pep", "ping", "posix", "private", "roster", "saslauth", "tls", "vcard4",
    "vcard_legacy",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ProsodySettings:
    """What a private Prosody serves. Ports are TCP ports on 127.0.0.1."""

    c2s_port: int
    component_port: int
    components: Mapping[str, str]  # JID of an external component -> its secret
    domain: str = "localhost"
    pubsub_service: str = "pubsub.localhost"
    creators: Sequence[str] = ()  # bare JIDs with every right on the pubsub service
    pubsub_storage: Literal["internal", "memory", "sql"] = "internal"
    pubsub_max_items: int | None = None  # the service's cap on a node's items; None leaves Prosody's own, 256
    kick_old: bool = False  # a second connection of a component replaces the first instead of being refused
    nagle: bool = True
    registration: bool = False  # anybody may make an account from a client (XEP-0077)
    stock_limits: bool = False  # 10 KiB/s a client, as Debian configures it
    unchecked_components: Sequence[str] = ()  # components that may send in anybody's name
    modules: Sequence[str] = ()
    lines: Sequence[str] = field(default=())  # more Lua for the global section


class PrivateProsody:
    """Writes the configuration into `directory` and runs `prosody` on it as a child process.

    Restarting keeps ports and data. `certificate` is a self-signed one, to be given to clients as their CA file.
    """

    def __init__(self, directory: Path, settings: ProsodySettings) -> None:
        self.directory = directory
        self.settings = settings
        self.certificate = directory / "certificate.pem"
        self.config = directory / "prosody.cfg.lua"
        self._process = ServerProcess(
            ["prosody", "-F", "--config", str(self.config)],
            (settings.component_port, settings.c2s_port),
            directory / "output.txt",
            os.environ,
        )

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid

    async def start(self) -> None:
        """Write the configuration and start; return when the ports are open. Raises ServerStartError."""
        self.write()
        await self._process.start(SERVER_START_SECONDS)

    async def stop(self) -> None:
        """End it in order, so that it saves what it holds in memory."""
        await self._process.stop(SERVER_STOP_SECONDS)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._process.kill()

    def log(self) -> str:
        """What it has logged and printed so far."""
        parts = (self.directory / "prosody.log", self._process.output)
        return "\n".join(part.read_text(errors="replace") for part in parts if part.exists())

    def create_account(self, user: str, password: str) -> None:
        """Make the account user@domain, or give it a new password; it can log in at once."""
        accounts = self._data() / _encoded(self.settings.domain) / "accounts"
        accounts.mkdir(parents=True, exist_ok=True)
        # Prosody replaces the password with SCRAM keys at the first login.
        (accounts / f"{_encoded(user)}.dat").write_text(f'return {{ ["password"] = {_lua(password)} }};\n')

    def write(self) -> None:
        """Write the configuration, and the certificate when there is none yet."""
        self._data().mkdir(parents=True, exist_ok=True)
        if not self.certificate.exists():
            make_certificate(self.directory, (self.settings.domain, f"*.{self.settings.domain}"))
        self.config.write_text("\n".join(self._lines()) + "\n")

    def _data(self) -> Path:
        return self.directory / "data"

    def _lines(self) -> list[str]:
        settings = self.settings
        lines = [
            f"run_as_root = {_lua(os.geteuid() == 0)}",
            f"pidfile = {_lua(str(self.directory / 'prosody.pid'))}",
            f"data_path = {_lua(str(self._data()))}",
            f"log = {{ info = {_lua(str(self.directory / 'prosody.log'))} }}",
            'interfaces = { "127.0.0.1" }',
            'component_interfaces = { "127.0.0.1" }',
            f"c2s_ports = {{ {settings.c2s_port} }}",
            f"component_ports = {{ {settings.component_port} }}",
            f"modules_enabled = {_lua_list(sorted({*MODULES, *settings.modules, *self._optional_modules()}))}",
            'modules_disabled = { "s2s" }',
            f"certificates = {_lua(str(self.directory))}",
            f"ssl = {{ certificate = {_lua(str(self.certificate))}, key = {_lua(str(self.directory / 'key.pem'))} }}",
            'authentication = "internal_hashed"',
            'storage = "internal"',
            f"allow_registration = {_lua(settings.registration)}",
            f"network_settings = {{ nagle = {_lua(settings.nagle)} }}",
            *(['limits = { c2s = { rate = "10kb/s" } }'] if settings.stock_limits else []),
            *settings.lines,
            f"VirtualHost {_lua(settings.domain)}",
            *self._pubsub_lines(),
        ]
        for jid, secret in settings.components.items():
            lines += [f"Component {_lua(jid)}", f"  component_secret = {_lua(secret)}"]
            lines += ['  component_conflict_resolve = "kick_old"'] if settings.kick_old else []
            lines += ["  validate_from_addresses = false"] if jid in settings.unchecked_components else []
        return lines

    def _optional_modules(self) -> set[str]:
        settings = self.settings
        return ({"register"} if settings.registration else set()) | ({"limits"} if settings.stock_limits else set())

    def _pubsub_lines(self) -> list[str]:
        settings = self.settings
        lines = [f'Component {_lua(settings.pubsub_service)} "pubsub"', f"  admins = {_lua_list(settings.creators)}"]
        if settings.pubsub_max_items is not None:
            lines.append(f"  pubsub_max_items = {settings.pubsub_max_items}")
        if settings.pubsub_storage != "internal":
            lines.append(f"  storage = {{ pubsub_data = {_lua(settings.pubsub_storage)} }}")
        if settings.pubsub_storage == "sql":
            database = str(self._data() / "pubsub.sqlite")
            lines.append(f'  sql = {{ driver = "SQLite3", database = {_lua(database)} }}')
        return lines


def make_certificate(directory: Path, names: Sequence[str]) -> None:
    """Write a self-signed certificate for these DNS names: certificate.pem, and its key in key.pem."""
    alternatives = ",".join(f"DNS:{name}" for name in names)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", str(CERTIFICATE_DAYS), "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alternatives}"]
    command += ["-keyout", str(directory / "key.pem"), "-out", str(directory / "certificate.pem")]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise ServerStartError("openssl is not installed; it makes the certificate") from None
    except subprocess.CalledProcessError as error:
        raise ServerStartError(f"openssl made no certificate: {error.stderr}") from error


def _lua(value: str | bool) -> str:
    """A Lua literal. JSON's are the same for strings without control characters."""
    return json.dumps(value, ensure_ascii=False)


def _lua_list(values: Sequence[str]) -> str:
    return "{ " + ", ".join(_lua(value) for value in values) + " }"


def _encoded(name: str) -> str:
    """A name as Prosody's file storage writes it (util.datamanager): all but ASCII letters and digits escaped."""
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02x}" for byte in name.encode())
