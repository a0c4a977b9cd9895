"""Messages: what is written is what a parser reads, for any text; and what is read is what its sender says."""

import unicodedata

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.xmpp.messages import Heard, Invitation, Message, Reactions, body_text, chat, heard, receipt, retraction

ANY = st.text(st.characters(), max_size=200)
"""Any code points at all, lone surrogates and control characters too."""
BOT, ROMEO = "bot@bus.example.org/xmppbus", "romeo@example.org"


def said(**changed: object) -> Heard:
    """What is heard of a message that is written."""
    given = {"to": ROMEO, "sender": BOT, "message_id": "m1", "body": "x", **changed}
    found = heard(fromstring(chat(**given)))  # type: ignore[arg-type]  # parameters by name
    assert found is not None
    return found


def read(inner: str, attributes: str = "type='chat'", namespace: str = "jabber:component:accept") -> Heard | None:
    """What is heard of a message with something in it, on a component's stream."""
    start = f"<message xmlns='{namespace}' from='{ROMEO}/phone' to='{BOT}' id='m' {attributes}>"
    return heard(fromstring(f"{start}{inner}</message>"))


def understood(inner: str, attributes: str = "type='chat'") -> Heard:
    """The same, where it is known to be opened."""
    found = read(inner, attributes)
    assert found is not None
    return found


# --- out --------------------------------------------------------------------------------------------------------------


def test_a_message_is_what_clients_expect_of_one() -> None:
    """An id that is its origin-id too (XEP-0359), a receipt asked for, markable, and kept by archives."""
    stanza = fromstring(chat(to=ROMEO, sender=BOT, message_id="m1", body="one\ntwo"))
    assert stanza.attrib == {"type": "chat", "from": BOT, "to": ROMEO, "id": "m1"}
    assert [(each.tag, each.attrib, each.text) for each in stanza] == [
        ("{urn:xmpp:sid:0}origin-id", {"id": "m1"}, None),
        ("body", {}, "one\ntwo"),
        ("{urn:xmpp:receipts}request", {}, None),
        ("{urn:xmpp:chat-markers:0}markable", {}, None),
        ("{urn:xmpp:hints}store", {}, None),
    ]


def test_a_correction_names_the_first_message() -> None:
    """XEP-0308."""
    assert said(replace="m0").replaces == "m0"
    assert said().replaces == ""


def test_in_a_room_no_receipts_are_asked_for() -> None:
    """XEP-0184 §5.3: everybody there would send one."""
    assert not said(kind="groupchat").asks_receipt
    assert said().asks_receipt
    assert not said(receipt=False).asks_receipt


def test_a_client_leaves_its_name_to_its_server() -> None:
    """RFC 6120 §8.1.2.1."""
    assert fromstring(chat(to=ROMEO, sender="", message_id="m", body="x")).get("from") is None


def test_an_answer_is_known_as_automatic() -> None:
    """By another bot, which must not answer it."""
    assert said(automatic=True).is_automatic
    assert not said().is_automatic


def test_a_retraction_reads_well_where_it_is_not_understood() -> None:
    """XEP-0424 with XEP-0428."""
    stanza = fromstring(retraction(to=ROMEO, sender=BOT, message_id="m2", retracts="m1", body="taken back"))
    retract = stanza.find("{urn:xmpp:message-retract:1}retract")
    fallback = stanza.find("{urn:xmpp:fallback:0}fallback")
    assert retract is not None
    assert fallback is not None
    assert (retract.get("id"), fallback.get("for")) == ("m1", "urn:xmpp:message-retract:1")
    assert stanza.findtext("body") == "taken back"
    assert stanza.find("{urn:xmpp:receipts}request") is None


def test_a_receipt_names_what_has_come_and_asks_for_none() -> None:
    """XEP-0184 §5.4: no receipts for receipts."""
    found = heard(fromstring(receipt(to=ROMEO, sender=BOT, of="m1")))
    assert found is not None
    assert (found.received, found.asks_receipt, found.body) == ("m1", False, "")
    assert found.id not in ("", "m1")


@given(body=ANY, to=ANY, message_id=ANY, sender=ANY, replace=ANY)
def test_what_is_written_is_what_a_parser_reads(body: str, to: str, message_id: str, sender: str, replace: str) -> None:
    """Whatever the texts are: they lose what XML 1.0 §2.2 forbids, and nothing else changes."""
    stanza = fromstring(
        Message(sender, body, extra="<x xmlns='urn:x'/>").stanza(to, message_id, replace or "r").decode("utf-8")
    )
    assert stanza.get("to") == legal(to)
    assert stanza.get("id") == legal(message_id)
    assert (stanza.get("from") or "") == legal(sender)
    assert (stanza.findtext("body") or "") == body_text(body)
    assert [each.tag for each in stanza] == [
        "{urn:xmpp:message-correct:0}replace", "{urn:xmpp:sid:0}origin-id", "body", "{urn:xmpp:receipts}request",
        "{urn:xmpp:chat-markers:0}markable", "{urn:xmpp:hints}store", "{urn:x}x",
    ]  # fmt: skip


def legal(text: str) -> str:
    """Only the characters that XML 1.0 allows."""
    return "".join(
        each
        for each in text
        if each in "\t\n\r" or (each >= " " and unicodedata.category(each) != "Cs" and each not in "\ufffe\uffff")
    )


@given(ANY)
def test_a_body_is_plain(text: str) -> None:
    """No control character but newline and tab, no direction override; what is printable stays as it is."""
    found = body_text(text)
    assert body_text(found) == found
    assert all(each in "\n\t" or unicodedata.category(each) not in ("Cc", "Cs") for each in found)
    if text.isprintable():
        assert found == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\r\ntwo\rthree\u2028four\n\nfive", "one\ntwo\nthree\nfour\n\nfive"),
        ("\x1b[1;31mred\x1b[0m\x07 alert", "red alert"),
        ("left \u202eright\u202c", "left right"),
        ("lone \ud800 surrogate \ufffe", "lone  surrogate "),
        ("tab\tbed", "tab\tbed"),
    ],
)
def test_people_read_text(text: str, shown: str) -> None:
    """Colours, line ends of any sort, overrides."""
    assert body_text(text) == shown
    assert said(body=text).body == shown.strip()


@pytest.mark.parametrize("text", ["x" * 10_001, "x" * 10**7, "\x1b[1m" * 10**6 + "x", "&" * 20_000])
def test_a_long_body_is_cut_and_says_so(text: str) -> None:
    """Far below what a server takes, even if every character has to be escaped."""
    stanza = chat(to=ROMEO, sender=BOT, message_id="m", body=text)
    assert len(stanza) < 64 * 1024
    body = fromstring(stanza).findtext("body") or ""
    assert len(body) <= limits.BODY_CHARACTERS
    assert body.endswith("…")


def test_a_body_that_just_fits_is_whole() -> None:
    """Not a character is lost."""
    assert body_text("x" * limits.BODY_CHARACTERS) == "x" * limits.BODY_CHARACTERS


# --- in ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", ["jabber:client", "jabber:component:accept"])
def test_a_message_says_who_and_what(namespace: str) -> None:
    """On either kind of stream."""
    found = read("<body>ack db1</body><request xmlns='urn:xmpp:receipts'/>", namespace=namespace)
    assert found == Heard("chat", f"{ROMEO}/phone", BOT, "m", "ack db1", asks_receipt=True)
    assert (found.bare, found.nick) == (ROMEO, "")


def test_a_message_of_an_unknown_type_is_a_normal_one() -> None:
    """RFC 6121 §5.2.2, and so is one of none."""
    assert understood("", "type='shout'").kind == "normal"
    assert understood("", "").kind == "normal"


@pytest.mark.parametrize(
    "child",
    [
        "<forwarded xmlns='urn:xmpp:forward:0'/>",
        "<sent xmlns='urn:xmpp:carbons:2'/>",
        "<received xmlns='urn:xmpp:carbons:2'/>",
        "<result xmlns='urn:xmpp:mam:2'/>",
        "<event xmlns='http://jabber.org/protocol/pubsub#event'/>",
    ],
)
def test_what_is_second_hand_is_never_opened(child: str) -> None:
    """Wherever it stands beside a body."""
    assert read(f"<body>x</body>{child}") is None
    assert read(f"{child}<body>x</body>") is None


def test_what_an_archive_has_noted_is_opened() -> None:
    """ejabberd writes beside a message where its archive keeps it; that is no copy of one."""
    archived = "<archived xmlns='urn:xmpp:mam:tmp' by='ops@muc.example.org' id='1'/>"
    assert understood(f"{archived}<body>ack</body>").body == "ack"


def test_a_body_within_something_else_is_not_the_senders() -> None:
    """Only direct children of the stream's own namespace count."""
    assert understood("<html xmlns='http://jabber.org/protocol/xhtml-im'><body>x</body></html>").body == ""
    assert understood("<x xmlns='urn:x'><body xmlns='jabber:component:accept'>x</body></x>").body == ""


def test_a_reply_is_read_without_its_quotation() -> None:
    """XEP-0461 with XEP-0428; positions count code points."""
    fallback = "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='{}'/></fallback>"
    reply = "<reply xmlns='urn:xmpp:reply:0' to='bot@bus.example.org' id='m1'/>"
    found = understood(f"<body>&gt; 🎉 disk\nack</body>{reply}{fallback.format(9)}")
    assert (found.body, found.replies_to) == ("ack", "m1")
    for nonsense in ("99", "-1", "x"):
        assert understood(f"<body>ack</body>{reply}{fallback.format(nonsense)}").body == "ack"


def test_reactions_are_read_and_bounded() -> None:
    """XEP-0444; a body that only stands for them is none."""
    whole = "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reactions:0'/>"
    many = "<reaction>👍</reaction>" * 100 + f"<reaction>{'x' * 1000}</reaction>"
    found = understood(f"<body>👍</body><reactions xmlns='urn:xmpp:reactions:0' id='m1'>{many}</reactions>{whole}")
    assert found.reactions == Reactions("m1", ("👍",) * limits.REACTIONS)
    assert found.body == ""
    long = f"<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>{'x' * 1000}</reaction></reactions>"
    assert understood(long).reactions == Reactions("m1", ())


def test_receipts_and_markers_name_a_message() -> None:
    """XEP-0184 and XEP-0333."""
    assert understood("<received xmlns='urn:xmpp:receipts' id='m1'/>").received == "m1"
    assert understood("<received xmlns='urn:xmpp:chat-markers:0' id='m1'/>").received == "m1"
    assert understood("<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>").displayed == "m1"


def test_a_bounce_says_why() -> None:
    """RFC 6120 §8.3; what it quotes is not what its sender says."""
    error = (
        "<error type='wait'><recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>not now</text></error>"
    )
    found = understood(f"<body>x</body><request xmlns='urn:xmpp:receipts'/>{error}", "type='error'")
    assert (found.kind, found.condition, found.error_kind, found.text) == (
        "error", "recipient-unavailable", "wait", "not now",
    )  # fmt: skip
    assert (found.body, found.asks_receipt) == ("", False)


def test_rooms_are_told_apart_from_people() -> None:
    """A nick is the room's word; private messages and invitations say that they are."""
    muc = "<x xmlns='http://jabber.org/protocol/muc#user'{}"
    in_room = understood("<body>x</body>", "type='groupchat'")
    assert (in_room.nick, in_room.is_private) == ("phone", False)
    private = understood(f"<body>x</body>{muc.format('/>')}")
    assert (private.nick, private.is_private, private.invitation) == ("phone", True, None)
    inner = "><invite from='juliet@example.org'><reason>come</reason></invite><password>pw</password></x>"
    mediated = understood(muc.format(inner))
    assert mediated.invitation == Invitation(ROMEO, "juliet@example.org", "come", "pw")
    assert not mediated.is_private
    direct = understood("<x xmlns='jabber:x:conference' jid='room@muc.example.org' reason='come'/>")
    assert direct.invitation == Invitation("room@muc.example.org", f"{ROMEO}/phone", "come", is_mediated=False)


def test_a_subject_may_be_empty() -> None:
    """A room whose subject is taken away is not one whose subject was not mentioned."""
    assert understood("<subject/>", "type='groupchat'").subject == ""
    assert understood("<body>x</body>", "type='groupchat'").subject is None


def test_what_came_late_or_is_sealed_is_known() -> None:
    """Kept for us (XEP-0203); encrypted, where the body is not what was typed."""
    assert understood("<body>x</body><delay xmlns='urn:xmpp:delay' stamp='2026-01-31T12:00:00Z'/>").is_delayed
    assert understood("<body>x</body><encrypted xmlns='eu.siacs.conversations.axolotl'/>").is_encrypted
    assert not understood("<body>x</body>").is_encrypted


def test_a_very_long_body_is_cut_when_it_is_read() -> None:
    """No command is so long, and whoever needs all of it can tell."""
    found = understood(f"<body>{'x' * (limits.HEARD_CHARACTERS + 1)}</body>")
    assert (len(found.body), found.is_cut) == (limits.HEARD_CHARACTERS, True)
    assert not understood("<body>x</body>").is_cut
