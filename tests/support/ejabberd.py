"""A real ejabberd for tests.

Erlang's distribution is not used: no node name, no epmd, no cookie. What `ejabberdctl` would do goes through
ejabberd's HTTP API (mod_http_api) on a loopback port. The configuration is written as JSON, which is YAML.
"""

import asyncio
import json
import shutil
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.administrator import OPERATOR, PUBSUB, ROOMS, SECRET
from tests.support.ports import free_port
from tests.support.server import COMPONENTS, DOMAIN, MissingServerError, StartedServer
from xmppbus.demo.prosody import make_certificate
from xmppbus.demo.server_process import ServerProcess

START_TIMEOUT = 30.0  # it takes 1 s; the rest is for a machine that is busy
STOP_TIMEOUT = 10.0
API_TIMEOUT = 10.0


class Ejabberd(StartedServer):
    """ejabberd as a test wants it.

    `stock_limits` puts Debian's shaper on clients; `pubsub_max_items` caps a node's items (None leaves ejabberd's own,
    1000); `global_routes` restores ejabberd's default, by which every connected component may get the stanzas of all
    of them; `modules` adds or replaces modules; `options` adds top-level options; `listeners` adds listeners.
    """

    name = "ejabberd"

    def __init__(
        self,
        directory: Path,
        *,
        stock_limits: bool = False,
        pubsub_max_items: int | None = None,
        global_routes: bool = False,
        modules: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        listeners: Sequence[dict[str, Any]] = (),
    ) -> None:
        self._library = next(Path("/usr/lib").glob("**/ejabberd-*/ebin/ejabberd.app"), None)
        if shutil.which("erl") is None or self._library is None:
            raise MissingServerError("apt-get install ejabberd")
        super().__init__(directory, component_port=free_port(), c2s_port=free_port())
        self.stock_limits = stock_limits
        self.pubsub_max_items = pubsub_max_items
        self.global_routes = global_routes
        self.modules = modules or {}
        self.options = options or {}
        self.listeners = listeners
        self.operator_port = free_port()
        self._api_port = free_port()
        self._creators: tuple[str, ...] = COMPONENTS
        self._config = directory / "ejabberd.yml"
        self._process = ServerProcess(
            self._command(),
            (self.component_port, self.c2s_port, self.operator_port, self._api_port),
            directory / "output.txt",
            self._environment(),
        )

    def _command(self) -> list[str]:
        # Erlang's own flags: kernel polling, a terminal never asked for, no sleepy schedulers on a small machine.
        beam = ["erl", "+K", "true", "+P", "250000", "+sbwt", "none", "-noinput", "-noshell"]
        return [*beam, "-mnesia", "dir", json.dumps(str(self.directory / "spool")), "-s", "ejabberd"]

    def _environment(self) -> dict[str, str]:
        assert self._library is not None
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.directory),
            "ERL_LIBS": str(self._library.parents[2]),
            "ERL_CRASH_DUMP_BYTES": "0",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "EJABBERD_CONFIG_PATH": str(self._config),
            "EJABBERD_LOG_PATH": str(self.directory / "ejabberd.log"),
        }

    @property
    def certificate(self) -> Path:
        """See Server."""
        return self.directory / "certificate.pem"

    @property
    def pid(self) -> int | None:
        """See Server."""
        return self._process.pid

    async def start(self) -> None:
        """See Server."""
        if not self.certificate.exists():
            make_certificate(self.directory, (DOMAIN, f"*.{DOMAIN}"))
        self._config.write_text(json.dumps(self._settings(), indent=1))
        await self._process.start(START_TIMEOUT)
        for jid, password in self.accounts.items():
            await self.create_account(jid, password)

    async def stop(self) -> None:
        """See Server."""
        await self._process.stop(STOP_TIMEOUT)

    def kill(self) -> None:
        """See Server."""
        self._process.kill()

    def log(self) -> str:
        """See Server."""
        parts = (self.directory / "ejabberd.log", self._process.output)
        return "\n".join(part.read_text(errors="replace") for part in parts if part.exists())

    async def create_account(self, jid: str, password: str) -> None:
        """See Server."""
        self.accounts[jid] = password
        user, _, host = jid.partition("@")
        known = await self._api("check_account", user=user, host=host)
        if known != 0:
            await self._api("register", user=user, host=host, password=password)

    async def revoke_creation(self) -> None:
        """See Server."""
        await self._reload_with(())

    async def restore_creation(self) -> None:
        """See Server."""
        await self._reload_with(COMPONENTS)

    async def administer(self, command: str, **arguments: str) -> Any:
        """What `ejabberdctl COMMAND` would do and answer."""
        return await self._api(command, **arguments)

    async def load_modules(self, modules: dict[str, Any]) -> None:
        """Put modules into its config, which it then reads again."""
        self.modules = {**self.modules, **modules}
        self._config.write_text(json.dumps(self._settings(), indent=1))
        await self._api("reload_config")

    async def _reload_with(self, creators: tuple[str, ...]) -> None:
        self._creators = creators
        self._config.write_text(json.dumps(self._settings(), indent=1))
        await self._api("reload_config")

    async def _api(self, command: str, **arguments: str) -> Any:
        """Run one of ejabberd's administration commands and return its answer."""

        def call() -> Any:
            request = urllib.request.Request(
                f"http://127.0.0.1:{self._api_port}/api/{command}",
                json.dumps(arguments).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=API_TIMEOUT) as answer:  # noqa: S310  # our own server on loopback
                return json.load(answer)

        return await asyncio.to_thread(call)

    def _settings(self) -> dict[str, Any]:
        loopback = {"access": {"allow": {"ip": "127.0.0.0/8"}}}
        return {
            "hosts": [DOMAIN],
            "loglevel": "info",
            "log_rotate_count": 0,
            "certfiles": [str(self.certificate), str(self.directory / "key.pem")],
            "listen": self._listeners(),
            "acl": {"creators": {"server": [*self._creators, OPERATOR]}, "local": {"user_regexp": ""}},
            "access_rules": {
                "local": {"allow": "local"},
                "creators": {"allow": "creators"},
            },
            "shaper": {"normal": {"rate": 3000, "burst_size": 20000}},
            "shaper_rules": {"c2s_shaper": "normal" if self.stock_limits else "none"},
            "api_permissions": {"the tests": {"who": loopback, "what": "*"}},
            "modules": self._modules(),
            **self.options,
        }

    def _listeners(self) -> list[dict[str, Any]]:
        listener = {"ip": "127.0.0.1"}
        component = listener | {"module": "ejabberd_service", "global_routes": self.global_routes}
        password = {"password": SECRET}
        clients = {"module": "ejabberd_c2s", "port": self.c2s_port, "shaper": "c2s_shaper", "starttls": True}
        api = {"module": "ejabberd_http", "port": self._api_port, "request_handlers": {"/api": "mod_http_api"}}
        return [
            listener | clients,
            listener | api,
            component | {"port": self.component_port, "hosts": dict.fromkeys(COMPONENTS, password)},
            component | {"port": self.operator_port, "hosts": {OPERATOR: password}, "check_from": False},
            *(listener | each for each in self.listeners),
        ]

    def _modules(self) -> dict[str, Any]:
        pubsub: dict[str, Any] = {"access_createnode": "creators", "plugins": ["flat", "pep"], "host": PUBSUB}
        if self.pubsub_max_items is not None:
            pubsub["max_items_node"] = self.pubsub_max_items
        plain = (
            "mod_admin_extra",
            "mod_caps",
            "mod_disco",
            "mod_http_api",
            "mod_ping",
            "mod_roster",
            "mod_stream_mgmt",
        )
        rooms = {"host": ROOMS}
        return {**{name: {} for name in plain}, "mod_pubsub": pubsub, "mod_muc": rooms, **self.modules}
