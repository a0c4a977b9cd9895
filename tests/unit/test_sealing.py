"""What is sent in the place of words, and for whom it is; without keys, and without a server."""

from defusedxml.ElementTree import fromstring

from xmppbus.xmpp.messages import chat, heard, retraction
from xmppbus.xmpp.sealing import Recipients, Stanza, Wanted, is_encrypted, readable, taken_apart

JID = "romeo@example.org"
WORDS = "db1: <91 %> full & rising\n'so' it \"is\""
PAYLOAD = "<encrypted xmlns='eu.siacs.conversations.axolotl'><payload>aaaa</payload></encrypted>"


def message(**given: str) -> bytes:
    """As an incident sends it."""
    return chat(to=JID, sender="bot@bus.example.org/disk", message_id="a2", body=WORDS, **given)  # type: ignore[arg-type]  # texts only


def apart(stanza: bytes) -> Stanza:
    """It has words."""
    found = taken_apart(stanza)
    assert found is not None
    return found


def test_everybody_somebody_or_nobody_is_encrypted_for() -> None:
    """A JID says more than its domain; who is not named is not meant; a look-alike is another."""
    assert Recipients(given=True).of(JID) is Wanted.POSSIBLE
    assert Recipients(given=False).of(JID) is Wanted.NEVER
    some = Recipients({"Example.org": "possible", JID: "required", "juliet@example.org": "never"})
    assert some.of(JID) is Wanted.REQUIRED
    assert some.of("juliet@example.org") is Wanted.NEVER
    assert some.of("nurse@example.org") is Wanted.POSSIBLE
    assert some.of("romeo@example.com") is Wanted.NEVER
    assert some.of("romeo@sub.example.org") is Wanted.NEVER


def test_the_words_are_taken_out_as_they_were() -> None:
    """With everything that XML escapes."""
    assert apart(message()).body == WORDS


def test_an_encrypted_message_has_none_of_the_words_and_all_the_rest() -> None:
    """It corrects what the plain one would have corrected, is kept, and asks for a receipt."""
    sealed = apart(message(replace="a1")).encrypted(PAYLOAD)
    assert b"db1" not in sealed
    found = heard(fromstring(sealed))
    assert found is not None
    assert found.is_encrypted
    assert (found.id, found.replaces, found.asks_receipt) == ("a2", "a1", True)
    assert sealed.count(b"<store ") == 1
    assert b"name='OMEMO'" in sealed
    assert b"encrypted with OMEMO" in sealed


def test_a_message_that_is_not_to_be_kept_is_kept_when_it_is_encrypted() -> None:
    """An archive that left it out would make the next one unreadable."""
    assert apart(message(store=False)).encrypted(PAYLOAD).count(b"<store ") == 1  # type: ignore[arg-type]  # a flag


def test_who_cannot_read_it_is_told_that_it_waits_and_nothing_is_replaced_by_that() -> None:
    """Otherwise a correction would take away the message that he could read."""
    refused = apart(message(replace="a1")).refused("I know of none & <never> did")
    assert b"db1" not in refused
    found = heard(fromstring(refused))
    assert found is not None
    assert found.body.startswith("An encrypted message waits for you")
    assert "(I know of none & <never> did)" in found.body
    assert not found.replaces
    assert not found.is_encrypted


def test_what_has_no_words_or_is_for_a_room_is_not_taken_apart() -> None:
    """A room has no keys."""
    assert taken_apart(chat(to="ops@muc.example.org", sender="", message_id="a", body="a", kind="groupchat")) is None
    assert taken_apart(b"<message to='romeo@example.org' id='a'><received id='b'/></message>") is None


def test_a_retraction_stays_one() -> None:
    """Its words are for clients that don't know what it is."""
    sealed = apart(retraction(to=JID, sender="", message_id="a2", retracts="a1", body="Taken back.")).encrypted(PAYLOAD)
    assert b"urn:xmpp:message-retract:1" in sealed
    assert b"Taken back" not in sealed


def test_what_comes_encrypted_is_read_as_if_it_had_come_so() -> None:
    """With the words in the place of the fallback, and everything beside them."""
    stanza = fromstring(
        f"<message xmlns='jabber:client' type='chat' from='{JID}/a' id='b1'><body>This is encrypted</body>"
        f"{PAYLOAD}<request xmlns='urn:xmpp:receipts'/></message>"
    )
    assert is_encrypted(stanza)
    found = heard(readable(stanza, "ack db1:/var"))
    assert found is not None
    assert (found.body, found.is_encrypted, found.id, found.asks_receipt) == ("ack db1:/var", False, "b1", True)
    assert is_encrypted(stanza), "the stanza itself is as it was"


def test_a_bounce_and_a_room_are_not_decrypted() -> None:
    """A bounce carries what we wrote ourselves."""
    for kind in ("error", "groupchat"):
        assert not is_encrypted(fromstring(f"<message type='{kind}'>{PAYLOAD}</message>"))
