"""What `xmppbus check` finds out about a server: what is missing is named, and nothing is left behind."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.servers.outputs import account_options, options
from tests.support.conversation import connect
from tests.support.ports import free_port
from tests.support.raw import RawStream
from tests.support.raw_pubsub import create_node
from tests.support.server import Server, ServerFactory
from xmppbus.demo.prosody import PrivateProsody, ProsodySettings
from xmppbus.options import NodeOptions, XmppOptions
from xmppbus.xmpp import requests
from xmppbus.xmpp.diagnose import Finding, diagnose


async def bad(given: XmppOptions, secret: str) -> Finding:
    """The one finding that says why it can't be used."""
    found = [each for each in await diagnose(given, secret, []) if each.level == "bad"]
    assert len(found) == 1
    return found[0]


def about(found: Sequence[Finding], missing: str) -> Finding:
    """The finding whose lines are those."""
    return next(each for each in found if each.missing == missing)


async def nodes_of(stream: RawStream, server: Server) -> set[str]:
    """All nodes of the service."""
    answer = await stream.iq("get", server.pubsub_service, requests.nodes())
    return set(requests.read_nodes(answer.element))


async def test_a_good_server_is_good_and_stays_as_it_was(own_server: ServerFactory, server_name: str) -> None:
    """Connected, a pubsub service, nodes may be made, quick; and no node is left."""
    given = {"pubsub_storage": "memory"} if server_name == "prosody" else {}
    server = await own_server(server_name, **given)
    found = await diagnose(options(server), server.secret, [])
    assert {each.level for each in found} == {"good"}
    assert [each.about for each in found] == ["connection", "service", "nodes", "publishing"]
    async with await connect(server) as stream:
        assert not await nodes_of(stream, server)


async def test_prosodys_default_storage_is_recognised_by_its_pace(prosody: Server) -> None:
    """It writes the whole node for each item."""
    found = about(await diagnose(options(prosody), prosody.secret, []), "storage")
    assert found.level == "doubt"
    assert "publishes a second" in found.text


async def test_a_cap_below_what_is_asked_is_said_with_both_numbers(server: Server) -> None:
    """And which profile asks."""
    asked = [NodeOptions(match="user.#", max_items=10_000)]
    found = about(await diagnose(options(server), server.secret, asked), "items")
    most = {"prosody": 256, "ejabberd": 1000}[server.name]
    assert (found.level, found.about) == ("doubt", "nodes[0] (user.#)")
    assert f"keeps {most} items" in found.text
    assert "10000" in found.text


async def test_a_wrong_secret_is_said(server: Server) -> None:
    """With the file to look into."""
    found = await bad(options(server), "wrong")
    assert found.missing == "component"
    assert "does not take our secret" in found.text
    assert "secret_file" in found.text


async def test_an_unknown_component_is_said(server: Server) -> None:
    """With the lines that make it known."""
    assert (await bad(options(server, component="nobody.localhost"), server.secret)).missing == "component"


async def test_a_closed_port_is_said() -> None:
    """With the address."""
    port = free_port()
    given = XmppOptions(component="bus.localhost", host="127.0.0.1", port=port)
    found = await bad(given, "x")
    assert found.missing == "component"
    assert f"nothing at 127.0.0.1:{port} takes components" in found.text


async def test_a_service_that_is_not_there_is_said(server: Server) -> None:
    """Also one that is something else."""
    found = await bad(options(server, pubsub_service="nobody.localhost"), server.secret)
    assert (found.missing, found.about) == ("service", "service")
    found = await bad(options(server, pubsub_service=server.domain), server.secret)
    assert "is no pubsub service" in found.text


async def test_another_holder_is_said(server: Server) -> None:
    """Prosody refuses us, ejabberd shares the traffic out."""
    async with await connect(server):
        found = await bad(options(server), server.secret)
    assert found.missing == {"prosody": "conflict", "ejabberd": "component"}[server.name]
    assert "another" in found.text


async def test_no_right_to_create_nodes_is_said(own_server: ServerFactory, server_name: str) -> None:
    """With the lines that give it."""
    server = await own_server(server_name)
    await server.revoke_creation()
    found = await bad(options(server), server.secret)
    assert (found.missing, found.about) == ("create", "nodes")
    assert "may not create nodes" in found.text


async def test_a_node_with_other_options_is_said_and_left_alone(
    own_server: ServerFactory, server_name: str, node: str
) -> None:
    """`serve` would bring it in line."""
    server = await own_server(server_name)
    async with await connect(server) as stream:
        await create_node(stream, server.pubsub_service, node, {"access_model": "open", "max_items": "64"})
    found = await diagnose(options(server), server.secret, [])
    different = next(each for each in found if each.about == f"node {node}")
    assert different.level == "doubt"
    assert "access_model is open, not whitelist" in different.text
    async with await connect(server) as stream:
        assert await nodes_of(stream, server) == {node}


async def test_an_account_that_ejabberd_slows_down_is_said(own_server: ServerFactory) -> None:
    """Debian's shaper; everything else works."""
    everybody = {"host": "pubsub.localhost", "access_createnode": "all", "plugins": ["flat"]}
    server = await own_server("ejabberd", stock_limits=True, modules={"mod_pubsub": everybody})
    found = await diagnose(account_options(server), server.accounts["listener@localhost"], [])
    assert not [each for each in found if each.level == "bad"]
    assert about(found, "limits").level == "doubt"


async def test_an_account_that_prosody_slows_down_is_said(tmp_path: Path) -> None:
    """10 kB/s; everything else works."""
    settings = ProsodySettings(
        c2s_port=free_port(),
        component_port=free_port(),
        components={"unused.localhost": "its secret"},
        creators=("bus@localhost",),
        stock_limits=True,
    )
    prosody = PrivateProsody(tmp_path, settings)
    prosody.create_account("bus", "a password")
    await prosody.start()
    try:
        given = XmppOptions(account="bus@localhost", port=settings.c2s_port, ca_file=str(prosody.certificate))
        found = await diagnose(given, "a password", [])
    finally:
        prosody.kill()
    assert not [each for each in found if each.level == "bad"]
    assert about(found, "limits").level == "doubt"


async def test_an_untrusted_certificate_is_said(server: Server) -> None:
    """With the option that names who signed it."""
    given = account_options(server, ca_file=None)
    found = await bad(given, server.accounts["listener@localhost"])
    assert "certificate" in found.text
    assert "ca_file" in found.text


async def test_a_wrong_password_is_said(server: Server) -> None:
    """An account has no component's lines."""
    found = await bad(account_options(server), "wrong")
    assert found.missing is None
    assert "does not take our secret" in found.text


@pytest.mark.parametrize("secret", ["canary in a check"])
async def test_no_finding_holds_the_secret(server: Server, secret: str) -> None:
    """They are shown, and pasted into questions."""
    for given in (options(server), account_options(server)):
        assert secret not in str(await diagnose(given, secret, []))
