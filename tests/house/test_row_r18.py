"""R18, XMPP Poetry: services and nodes from the shell, through the daemon and with an account of one's own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, Done
from tests.support.false_service import false_service
from tests.support.raw_xml import Stanza
from tests.support.server import Server
from xmppbus import limits

READER = "reader@localhost"


@pytest.fixture
async def daemon(server: Server, tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path / "bus", server) as started:
        yield started


def login(daemon: Daemon, server: Server, jid: str = READER) -> list[str]:
    """The options of an account; its password is in a file."""
    file = daemon.directory / "password"
    file.write_text(server.accounts[jid] + "\n")
    where = ["--host", server.host, "--port", str(server.c2s_port), "--ca-file", str(server.certificate)]
    return ["--as", jid, "--password-file", str(file), *where]


def fields(done: Done) -> dict[str, list[str]]:
    """Of a configuration as JSON."""
    return {each["var"]: each["values"] for each in done.json["fields"]}


async def test_r18_disco_shows_what_there_is_and_what_hangs_below(daemon: Daemon, server: Server, node: str) -> None:
    """Identities, features, items; a tree; JSON."""
    await daemon.command("publish", node, "the first one makes the node", "--confirm")
    shown = (await daemon.command("disco", server.pubsub_service)).out
    assert "pubsub/service" in shown
    assert "http://jabber.org/protocol/pubsub#create-nodes" in shown
    assert node in shown
    found = (await daemon.command("disco", server.pubsub_service.upper(), "--json")).json
    assert {"category": "pubsub", "type": "service"}.items() <= found["identities"][0].items()
    assert node in [each["node"] for each in found["items"]]
    leaf = (await daemon.command("disco", server.pubsub_service, node, "--json")).json
    assert leaf["identities"][0]["type"] == "leaf"
    lines = (await daemon.command("disco", server.domain, "--tree")).out.splitlines()
    assert any(server.pubsub_service in each and "pubsub/service" in each for each in lines)
    assert any(node in each and "pubsub/leaf" in each for each in lines)
    tree = (await daemon.command("disco", server.domain, "--tree", "--depth", "1", "--json")).json
    assert server.pubsub_service in [each["jid"] for each in tree["children"]]
    gone = await daemon.run("disco", server.pubsub_service, "no.such.node")
    assert gone.code == 1
    assert "(item-not-found" in gone.err


async def test_r18_a_nodes_configuration_is_read_changed_and_read_back(daemon: Daemon, node: str) -> None:
    """`config get --json`, edit, `config set --from`: all but what was edited is as it was, known fields or not."""
    await daemon.command("node", "create", node, "max_items=5", "access_model=whitelist")
    assert node in (await daemon.command("node", "list")).out.split()
    before = await daemon.command("node", "config", "get", node, "--json")
    assert before.json["form_type"] == "http://jabber.org/protocol/pubsub#node_config"
    assert fields(before)["pubsub#max_items"] == ["5"]
    assert (await daemon.command("node", "config", "get", node, "max_items", "access_model")).out == "5\nwhitelist\n"

    edited: dict[str, Any] = before.json
    for each in edited["fields"]:
        if each["var"] == "pubsub#max_items":
            each["values"] = ["7"]
    file = daemon.directory / "edited.json"
    file.write_text(json.dumps(edited))
    done = await daemon.command("node", "config", "set", node, "--from", str(file), "--json")
    assert done.json["changed"] == {"pubsub#max_items": ["7"]}
    assert done.json["ignored"] == []
    after = await daemon.command("node", "config", "get", node, "--json")
    assert fields(after) == {**fields(before), "pubsub#max_items": ["7"]}
    again = await daemon.command("node", "config", "set", node, "--from", "-", input=file.read_bytes())
    assert "nothing to change" in again.err

    await daemon.command("node", "config", "set", node, "notify_retract=no", "max_items=6")
    assert fields(await daemon.command("node", "config", "get", node, "--json"))["pubsub#max_items"] == ["6"]
    huge = b"[" + b" " * limits.FORM_FILE_BYTES + b"]"
    assert (await daemon.run("node", "config", "set", node, "--from", "-", input=huge)).code == 65
    assert "is not JSON" in (await daemon.run("node", "config", "set", node, "--from", "-", input=b"{")).err
    typo = await daemon.run("node", "config", "set", node, "max_item=64")
    assert typo.code == 65
    assert "did you mean max_items?" in typo.err
    wrong = await daemon.run("node", "config", "set", node, "access_model=everyone")
    assert wrong.code == 65
    assert "one of: " in wrong.err


async def test_r18_a_field_that_a_service_does_not_have_is_never_set_in_silence(
    daemon: Daemon, server: Server, node: str
) -> None:
    """Prosody says yes to it and does nothing, ejabberd refuses it: both end with an exit code that tells."""
    await daemon.command("node", "create", node)
    done = await daemon.run("node", "config", "set", node, "moon=full", "--force")
    if server.name == "prosody":
        assert done.code == 69
        assert "said yes to moon=full, and has no such field: it was ignored" in done.err
    else:
        assert done.code == 65
        assert "resource-constraint" in done.err


async def test_r18_affiliations_and_subscriptions_are_set_listed_and_taken_back(
    daemon: Daemon, server: Server, node: str
) -> None:
    """By the node's owner, and by the account that they are about, without a daemon."""
    await daemon.command("node", "create", node, "access_model=whitelist")
    await daemon.command("node", "affiliations", "set", node, f"{READER}=member", "stranger@localhost=publisher")
    listed = (await daemon.command("node", "affiliations", "get", node, "--json")).out.splitlines()
    assert {each["jid"]: each["affiliation"] for each in map(json.loads, listed)} == {
        server.component_jid: "owner",
        READER: "member",
        "stranger@localhost": "publisher",
    }
    reader = login(daemon, server)
    await daemon.command("node", "subscribe", node, *reader)
    assert READER in (await daemon.command("node", "subscriptions", node)).out
    assert node in (await daemon.command("node", "subscriptions", *reader)).out
    await daemon.command("node", "unsubscribe", node, *reader)
    assert (await daemon.command("node", "subscriptions", node)).out == ""
    await daemon.command("node", "affiliations", "set", node, f"{READER}=none")
    assert READER not in (await daemon.command("node", "affiliations", "get", node)).out
    refused = await daemon.run("node", "subscribe", node, *reader)
    assert refused.code == 77, refused
    assert "(not-allowed" in refused.err or "(forbidden" in refused.err


async def test_r18_items_are_shown_retracted_purged_and_the_node_deleted(daemon: Daemon, node: str) -> None:
    """Events as lines; what can't be undone is asked first."""
    ids = [(await daemon.command("publish", node, f"no {each}", "--confirm")).out.strip() for each in range(3)]
    lines = (await daemon.command("node", "items", node)).out.splitlines()
    assert [each.split()[0] for each in lines] == ids
    assert lines[0].endswith("no 0")
    last = (await daemon.command("node", "items", node, "--last", "1", "--json")).json
    assert (last["id"], last["event"]["data"]) == (ids[2], "no 2")
    assert "<title>no 1</title>" in (await daemon.command("node", "items", node, "--id", ids[1], "--xml")).out
    await daemon.command("node", "retract", node, ids[0])
    assert (await daemon.run("node", "retract", node, ids[0])).code == 1
    for command in ("purge", "delete"):
        unasked = await daemon.run("node", command, node)
        assert unasked.code == 64
        assert "say --yes" in unasked.err
    await daemon.command("node", "purge", node, "--yes")
    assert "there are no such items" in (await daemon.command("node", "items", node)).err
    deleted = await daemon.command("node", "delete", node, "--yes")
    assert f"The next event of type {node} makes the node anew" in deleted.err
    assert (await daemon.run("node", "info", node)).code == 1
    await daemon.command("publish", node, "and it is back", "--confirm")
    assert "and it is back" in (await daemon.command("node", "items", node)).out


async def test_r18_somebody_elses_node_is_no_ones_to_change(daemon: Daemon, server: Server, node: str) -> None:
    """In plain words, with the stanza's condition and what to do; the bus's own rights are for administrators alone."""
    await daemon.command("node", "create", node)
    for arguments in (["delete", node, "--yes"], ["config", "set", node, "max_items=1"], ["affiliations", "get", node]):
        done = await daemon.run("node", *arguments, *login(daemon, server, "stranger@localhost"))
        assert done.code == 77
        assert "(forbidden" in done.err
        assert "stranger@localhost may not do this" in done.err
    assert (await daemon.run("node", "config", "get", "no.such.node")).code in (1, 77)


async def test_r18_a_service_that_lies_is_found_out(prosody: Server, tmp_path: Path) -> None:
    """It says yes to all and does nothing; its fields have names that a terminal obeys; its answers are nonsense."""
    form = (
        "<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE' type='hidden'><value>t</value></field>"
        "<field var='pubsub#max_items' type='text-single'><value>20</value></field>"
        "<field var='&#x9b;31mred' type='list-multi'><value>a&#x202e;b</value><value>c</value></field></x>"
    )
    owner = "http://jabber.org/protocol/pubsub#owner"

    def lying(request: Stanza) -> str:
        if request.get("type") == "set":
            return ""
        if request.find(owner, "configure") is not None:
            return f"<pubsub xmlns='{owner}'><configure node='n'>{form}</configure></pubsub>"
        return "<pubsub xmlns='urn:wrong'><items/><item id='x'/><query xmlns='urn:wrong'/></pubsub>"

    async with Daemon(tmp_path / "bus", prosody) as daemon, false_service(prosody, lying) as jid:
        done = await daemon.run("node", "config", "set", "n", "max_items=64", "--service", jid)
        assert done.code == 69
        assert f"{jid} said yes to max_items=64, and it is 20 all the same" in done.err
        shown = (await daemon.command("node", "config", "get", "n", "--long", "--service", jid)).out
        assert "\x9b" not in shown
        assert "\u202e" not in shown
        assert "ab, c" in shown
        same = await daemon.command("node", "config", "set", "n", "max_items=20", "--service", jid)
        assert "nothing to change" in same.err
        assert (await daemon.command("node", "list", "--service", jid)).out == ""
        assert (await daemon.command("node", "items", "n", "--service", jid)).out == ""
        assert (await daemon.command("disco", jid, "--json")).json["features"] == []
        refused = await daemon.run("node", "affiliations", "set", "n", "romeo@example.org=owner", "--service", jid)
        assert refused.code == 69
        assert "said yes to romeo@example.org=owner, and it is none all the same" in refused.err
