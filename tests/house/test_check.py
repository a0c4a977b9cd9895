"""`xmppbus check`, as its users have it, against real servers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, Done
from tests.support.ports import free_port
from tests.support.raw import component
from tests.support.raw_pubsub import create_node, delete_node
from tests.support.server import Server, ServerFactory

Bus = Callable[..., Daemon]


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    """A config that no daemon runs on yet."""
    return lambda server=None, **options: Daemon(tmp_path / "bus", server, **options)


def about(done: Done, name: str) -> list[dict[str, object]]:
    """The findings of that name in `check --json`."""
    return [finding for finding in done.json["findings"] if finding["about"] == name]


class TestConfig:
    """Without a server."""

    async def test_a_config_with_mistakes_exits_with_78_and_names_each_place(self, bus: Bus) -> None:
        """On error output, a line each."""
        checked = bus()
        checked.config_file.write_text("http: {lisen: x}\nnodes:\n  - access_model: whitelst\n")
        done = await checked.run("check")
        assert done.code == 78
        assert done.out == ""
        first, second = done.err.splitlines()
        assert f"{checked.config_file}:1:8: there is no option `lisen`" in first
        assert "did you mean `listen`?" in first
        assert f"{checked.config_file}:3:19: nodes[0].access_model can't be `whitelst`" in second

    async def test_programs_get_mistakes_as_json(self, bus: Bus) -> None:
        """With the same exit code."""
        checked = bus()
        checked.config_file.write_text("routes: [{name: a, via: [trottle], to: [nowhere]}]\n")
        done = await checked.run("check", "--json")
        assert done.code == done.json["exit"] == 78
        errors = done.json["errors"]
        assert "no analyzer is called `trottle`; did you mean `throttle`?" in errors[0]
        assert "no output is called `nowhere`" in errors[1]

    async def test_a_local_bus_is_drawn_and_all_is_well(self, bus: Bus) -> None:
        """It says how to add a server."""
        done = await bus().run("check")
        assert done.code == 0, done
        assert "└── socket" in done.out
        assert "no XMPP server is configured" in done.out
        assert "\x1b" not in done.out, "a pipe has no colours"

    async def test_a_named_config_that_is_not_there_is_an_error(self, bus: Bus) -> None:
        """And not a local bus."""
        done = await bus().run("check", "--config", "gone.yaml")
        assert done.code == 78
        assert "gone.yaml:1:1: the config can't be read" in done.err


class TestServer:
    """With one."""

    async def test_a_server_that_plays_along_is_said_to(self, bus: Bus, server: Server) -> None:
        """And nothing is left behind on it."""
        done = await bus(server).run("check")
        assert done.code == 0, done
        assert "✓" in done.out
        assert "✗" not in done.out
        assert server.secret not in done.out + done.err

    async def test_a_wrong_secret_is_said_with_the_lines_that_set_it(self, bus: Bus, server: Server) -> None:
        """In plain words."""
        done = await bus(server, secret="another").run("check")
        assert done.code == 69, done
        assert "secret" in done.out
        assert "component_secret" in done.out
        assert "ejabberd_service" in done.out
        assert "another" not in done.out + done.err, "the secret itself is never shown"

    async def test_a_server_that_is_not_there_is_said_to_be(self, bus: Bus, server: Server) -> None:
        """With host and port."""
        port = free_port()
        done = await bus(server, port=port).run("check")
        assert done.code == 69, done
        assert str(port) in done.out
        assert "✗" in done.out

    async def test_a_missing_right_to_create_nodes_comes_with_the_lines_that_give_it(
        self, bus: Bus, server_name: str, own_server: ServerFactory
    ) -> None:
        """For every server, with our own names in it."""
        server = await own_server(server_name)
        await server.revoke_creation()
        done = await bus(server).run("check")
        assert done.code == 69, done
        assert f'admins = {{ "{server.component_jid}" }}' in done.out
        assert f"server: {server.component_jid}" in done.out
        await server.restore_creation()
        assert (await bus(server).run("check")).code == 0

    async def test_a_cap_below_what_the_config_asks_is_said(self, bus: Bus, prosody: Server) -> None:
        """Prosody's is 256."""
        done = await bus(prosody, node={"max_items": 5000}).run("check")
        assert "pubsub_max_items = 5000" in done.out, done

    async def test_a_missing_pubsub_service_is_said(self, bus: Bus, server: Server) -> None:
        """With the name that was looked for."""
        checked = bus(server)
        checked.config_file.write_text(
            checked.config_file.read_text().replace(server.pubsub_service, "gone.localhost"),
        )
        done = await checked.run("check")
        assert done.code == 69, done
        assert "gone.localhost" in done.out

    async def test_a_node_with_other_options_is_said(self, bus: Bus, server: Server, node: str) -> None:
        """It is not changed."""
        async with await component(server.host, server.component_port, server.component_jid, server.secret) as stream:
            await create_node(stream, server.pubsub_service, node, {"access_model": "open", "persist_items": "true"})
        done = await bus(server, node={"match": node}).run("check")
        assert node in done.out, done
        assert "access_model" in done.out
        async with await component(server.host, server.component_port, server.component_jid, server.secret) as stream:
            await delete_node(stream, server.pubsub_service, node)

    async def test_a_component_that_somebody_else_holds_is_said_to_be(self, bus: Bus, prosody: Server) -> None:
        """And he goes on undisturbed."""
        jid = prosody.component_jids[1]
        async with await component(prosody.host, prosody.component_port, jid, prosody.secret) as holder:
            checked = bus(prosody)
            checked.config_file.write_text(checked.config_file.read_text().replace(prosody.component_jid, jid))
            done = await checked.run("check")
            assert done.code == 69, done
            assert 'component_conflict_resolve = "kick_old"' in done.out
            assert not holder.closed.is_set()


class TestAccount:
    """Client mode."""

    async def test_an_account_without_the_right_to_create_nodes_gets_lines_with_its_own_name(
        self, bus: Bus, server: Server
    ) -> None:
        """Not those of a component."""
        checked = bus(server)
        account = "listener@localhost"
        (checked.directory / "secret").write_text(server.accounts[account])
        checked.config_file.write_text(
            f"xmpp: {{account: {account}, host: {server.host}, port: {server.c2s_port}, secret_file: secret, "
            f"ca_file: {server.certificate}, pubsub_service: {server.pubsub_service}}}\n"
        )
        done = await checked.run("check")
        assert done.code == 69, done
        assert f'admins = {{ "{account}" }}' in done.out
        assert f"user: {account}" in done.out
        assert server.accounts[account] not in done.out

    async def test_a_wrong_password_is_said(self, bus: Bus, server: Server) -> None:
        """With nothing to paste."""
        checked = bus(server)
        (checked.directory / "secret").write_text("wrong")
        checked.config_file.write_text(
            f"xmpp: {{account: listener@localhost, host: {server.host}, port: {server.c2s_port}, secret_file: secret, "
            f"ca_file: {server.certificate}}}\n"
        )
        done = await checked.run("check", "--json")
        assert done.code == 69, done
        (finding,) = about(done, "connection")
        assert "secret_file" in str(finding["text"])
        assert finding["paste"] == {}


class TestDaemon:
    """While the daemon runs."""

    async def test_a_running_daemon_is_asked_and_goes_on_undisturbed(self, bus: Bus, server: Server) -> None:
        """It holds the component: nobody connects beside it."""
        async with bus(server) as daemon:
            published = await daemon.command("publish", "--confirm", "test.check", "hello")
            before = await daemon.status()
            done = await daemon.run("check", "--json")
            assert done.code == 0, done
            (finding,) = about(done, "daemon")
            assert "a daemon runs on this socket" in str(finding["text"])
            after = await daemon.status()
            assert after["xmpp"].get("sessions") == before["xmpp"].get("sessions")
            assert published.out.strip()
