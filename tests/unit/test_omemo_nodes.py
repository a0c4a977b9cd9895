"""Lists of devices as they come from anybody, and a component's own as it is asked for them."""

from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring

from xmppbus import limits
from xmppbus.xmpp.omemo_nodes import DEVICES, EVENTS, NAMESPACE, KeyNodes, changed, condition_of
from xmppbus.xmpp.replies import ErrorAnswer, ErrorReply, NoAnswer, Unanswered
from xmppbus.xmpp.stanzas import PUBSUB

BOT = "bot@bus.example.org"


def parsed(text: str | bytes) -> Element:
    """What a stream would hand over."""
    found: Element = fromstring(text)
    return found


def notification(devices: str, node: str = DEVICES) -> Element:
    """As a server tells it."""
    items = f"<items node='{node}'><item id='current'><list xmlns='{NAMESPACE}'>{devices}</list></item></items>"
    return parsed(
        f"<message xmlns='jabber:client' from='romeo@example.org/a'><event xmlns='{EVENTS}'>{items}</event></message>"
    )


def request(node: str, kind: str = "get") -> Element:
    """Somebody's for the bot's keys."""
    items = f"<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>"
    return parsed(f"<iq xmlns='jabber:client' type='{kind}' id='1' from='romeo@example.org/a' to='{BOT}'>{items}</iq>")


class Server:
    """Says that there is nothing, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def ask(self, kind: str, jid: str, _: str) -> Element:
        """See `omemo_nodes.Ask`."""
        self.asked.append(f"{kind} {jid}")
        return Element("iq")


def test_a_notification_tells_whose_devices_and_which() -> None:
    """Of nobody else's node, and of no more than are remembered."""
    assert changed(notification("<device id='5'/><device id='4294967295'/>")) == (
        "romeo@example.org",
        {5: None, 4294967295: None},
    )
    assert changed(notification("")) == ("romeo@example.org", {})
    assert changed(notification("<device id='5'/>", node="urn:example")) is None
    many = "".join(f"<device id='{number}'/>" for number in range(1, 1_000))
    found = changed(notification(many))
    assert found is not None
    assert len(found[1]) == limits.OMEMO_DEVICES


@pytest.mark.parametrize("number", ["", "-1", "1.5", "five", "٣", "12345678901", "0x10"])
def test_what_is_no_number_of_a_device_is_passed_over(number: str) -> None:
    """Anybody may write anything there."""
    assert changed(notification(f"<device id='{number}'/><device/><device id='7'/>")) == (
        "romeo@example.org",
        {7: None},
    )


async def test_a_component_answers_for_its_keys_whom_they_are_for() -> None:
    """And is silent about all other nodes, and to what is no question."""
    server = Server()
    nodes = KeyNodes(server.ask, BOT, is_component=True)
    await nodes.publish(DEVICES, "current", parsed(f"<list xmlns='{NAMESPACE}'><device id='5'/></list>"))
    told = nodes.answer(request(DEVICES), is_for=True)
    assert told is not None
    assert b"device" in told
    assert b"type='result'" in told
    for_others = nodes.answer(request(DEVICES), is_for=False)
    assert for_others is not None
    assert b"item-not-found" in for_others
    unknown = nodes.answer(request(f"{NAMESPACE}.bundles:5"), is_for=True)
    assert unknown is not None
    assert b"item-not-found" in unknown
    assert nodes.answer(request("urn:example"), is_for=True) is None
    assert nodes.answer(request(DEVICES, "set"), is_for=True) is None
    told_of = nodes.notification("juliet@example.org")
    assert told_of is not None
    assert changed(parsed(told_of)) == (BOT, {5: None})
    await nodes.delete(DEVICES)
    assert nodes.notification("juliet@example.org") is None
    assert not server.asked


async def test_an_account_leaves_both_to_its_server() -> None:
    """It has PEP."""
    server = Server()
    nodes = KeyNodes(server.ask, "bus@example.org", is_component=False)
    await nodes.publish(DEVICES, "current", parsed(f"<list xmlns='{NAMESPACE}'/>"))
    assert server.asked == ["set bus@example.org"]
    assert nodes.answer(request(DEVICES), is_for=True) is None
    assert nodes.notification("romeo@example.org") is None


async def test_bundles_that_are_remembered_are_not_asked_for_again_and_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also that there is none."""
    monkeypatch.setattr(limits, "OMEMO_BUNDLES", 3)
    server = Server()
    nodes = KeyNodes(server.ask, BOT, is_component=True)

    async def ask(jid: str) -> None:
        with pytest.raises(Exception, match="has published no keys"):
            await nodes.bundle(jid, 5)

    for jid in ("a@b", "a@b", "c@d", "e@f", "c@d", "g@h", "a@b"):
        await ask(jid)
    assert server.asked == [f"get {jid}" for jid in ("a@b", "c@d", "e@f", "g@h", "a@b")]
    nodes.forget()
    await ask("g@h")
    assert server.asked[-1] == "get g@h"


def test_why_keys_are_not_published_is_said_in_a_word() -> None:
    """Of the wire, wherever the library has hidden it."""

    def caused(by: BaseException) -> BaseException:
        found = RuntimeError("the library's own")
        found.__cause__ = by
        return found

    assert condition_of(caused(NoAnswer(Unanswered.TIMEOUT))) == "timeout"
    assert condition_of(caused(ErrorAnswer(ErrorReply("forbidden", "", "")))) == "forbidden"
    assert condition_of(TimeoutError()) == "timeout"
    assert condition_of(RuntimeError("?")) == "internal-server-error"
