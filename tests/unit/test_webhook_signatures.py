"""Each way of signing: over the raw body, with a time where it has one, and refused in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.webhooks import hexadecimal, standard_headers
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.inputs.webhook import Secrets, Sent, Signing
from xmppbus.inputs.webhook_signatures import SLACK, STANDARD, shared
from xmppbus.inputs.webhook_signatures import hexadecimal as signing

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
BODY = b'{"text": "H\xc3\xa9llo"}'
GITHUB = signing("x-hub-signature-256", "sha256=")
GITLAB = shared("x-gitlab-token")


def slack(seconds: int, body: bytes = BODY) -> dict[str, str]:
    """Slack's headers."""
    signed = hexadecimal(SECRET, f"v0:{seconds}:".encode() + body)
    return {"x-slack-request-timestamp": str(seconds), "x-slack-signature": f"v0={signed}"}


def refused(way: Signing, headers: dict[str, str], body: bytes = BODY, secret: str = SECRET) -> str:
    """Why."""
    with pytest.raises(Refused) as caught:
        way.check(secret.encode(), Sent(body, headers), NOW)
    assert caught.value.code is Code.UNAUTHORIZED
    assert secret not in caught.value.message
    return caught.value.message


def test_githubs_own_example_is_right() -> None:
    """Of its documentation, Validating webhook deliveries."""
    header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    GITHUB.check(b"It's a Secret to Everybody", Sent(b"Hello, World!", {"x-hub-signature-256": header}), NOW)


def test_the_example_of_standard_webhooks_is_right() -> None:
    """Of the libraries of standardwebhooks.com."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    then = datetime.fromtimestamp(1614265330, UTC)
    STANDARD.check(secret, Sent(b'{"test": 2432232314}', headers), then)


def test_slacks_own_example_is_right() -> None:
    """Of its documentation, Verifying requests from Slack."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name="
        b"foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F"
        b"hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id="
        b"398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    SLACK.check(SECRET.encode(), Sent(body, headers), datetime.fromtimestamp(1531420618, UTC))


@pytest.mark.parametrize(
    ("way", "headers"),
    [
        (GITHUB, {"x-hub-signature-256": f"sha256={hexadecimal(SECRET, BODY)}"}),
        (SLACK, slack(SECONDS)),
        (STANDARD, standard_headers(SECRET, "msg_1", SECONDS, BODY)),
    ],
    ids=["github", "slack", "standard"],
)
def test_another_byte_or_another_secret_is_refused(way: Signing, headers: dict[str, str]) -> None:
    """The body counts as it was sent: the same JSON with another space is another body."""
    way.check(SECRET.encode(), Sent(BODY, headers), NOW)
    assert "not what this body has" in refused(way, headers, BODY.replace(b" ", b""))
    assert "not what this body has" in refused(way, headers, secret="another")
    assert "not what this body has" in refused(way, {**headers, way.header: "v1,é v0=\udcff"})


def test_gitlabs_token_is_the_secret_itself() -> None:
    """Compared in constant time, whatever its length."""
    GITLAB.check(SECRET.encode(), Sent(b"", {"x-gitlab-token": SECRET}), NOW)
    assert "not what this body has" in refused(GITLAB, {"x-gitlab-token": SECRET[:-1]})


@pytest.mark.parametrize("ahead", [True, False])
def test_a_time_outside_five_minutes_is_refused(ahead: bool) -> None:
    """What was recorded on the way can't be sent again later."""
    seconds = SECONDS + (1 if ahead else -1) * int(limits.WEBHOOK_AGE_SECONDS)
    for way, headers in ((SLACK, slack), (STANDARD, lambda at: dict(standard_headers(SECRET, "m", at, BODY)))):
        way.check(SECRET.encode(), Sent(BODY, headers(seconds)), NOW)
        late = headers(seconds + (1 if ahead else -1))
        assert "301 s " + ("ahead" if ahead else "ago") in refused(way, late)


@pytest.mark.parametrize("stamp", ["", "yesterday", "-1", "١٢", "9" * 30])
def test_a_time_that_is_none_is_refused(stamp: str) -> None:
    """Never an error of ours."""
    assert "seconds since 1970" in refused(SLACK, {**slack(SECONDS), "x-slack-request-timestamp": stamp})
    signed = {**standard_headers(SECRET, "m", SECONDS, BODY), "webhook-timestamp": stamp}
    assert "seconds since 1970" in refused(STANDARD, signed)


def test_a_standard_webhook_has_a_name_and_may_have_several_signatures() -> None:
    """The name is what tells one that is sent again."""
    headers = dict(standard_headers(SECRET, "msg_1", SECONDS, BODY))
    assert "webhook-id" in refused(STANDARD, {**headers, "webhook-id": ""})
    several = {**headers, "webhook-signature": f"v1a,xxx v1,yyy {headers['webhook-signature']}"}
    STANDARD.check(SECRET.encode(), Sent(BODY, several), NOW + timedelta(seconds=10))
    assert "whsec_" in refused(STANDARD, headers, secret="whsec_%%%")
    signed_with_nothing = dict(standard_headers("whsec_", "msg_1", SECONDS, BODY))
    with pytest.raises(Refused, match="no base64 behind it"):
        STANDARD.check(b"whsec_", Sent(BODY, signed_with_nothing), NOW)


def test_a_file_may_hold_two_secrets_and_is_read_again(tmp_path: Path) -> None:
    """While one takes over from the other; one that goes bad later is kept out, and said."""
    file = tmp_path / "secret"
    file.write_text("old\nnew\n")
    secrets = Secrets(file)
    assert secrets.all() == [b"old", b"new"]
    file.write_text("new alone\n")
    assert secrets.all() == [b"new alone"]
    file.unlink()
    assert secrets.all() == [b"new alone"]
    assert "can't be read" in secrets.problem


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "can't be read"), (b"\n", "is empty"), (b"x" * (limits.WEBHOOK_SECRET_BYTES + 1), "bytes of at most")],
)
def test_a_file_without_a_secret_is_refused_at_the_start(tmp_path: Path, content: bytes | None, said: str) -> None:
    """With its name."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match="secret") as caught:
        Secrets(file)
    assert said in str(caught.value)
