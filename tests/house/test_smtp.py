"""Mails that come over SMTP, from stock clients and from ones that mean no good, to a daemon of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import smtplib
import socket
import ssl
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemon import Daemon, bot_without_a_server, finished
from tests.support.missing import need
from tests.support.pages import ROOT, blocks
from tests.support.ports import free_port
from tests.support.waiting import until
from tests.support.without_extra import program_without
from tests.unit.test_mail import CRON, SMARTD
from xmppbus import limits
from xmppbus.demo.prosody import make_certificate
from xmppbus.inputs.smtp import SmtpOptions, settings_of

SOON = 10.0
PAGE = ROOT / "docs/howto/mail.md"
CANARY = "canary-51c7-mail"


class Mailing(Daemon):
    """A local bus with the input, and what it has made of mails."""

    def __init__(self, directory: Path, **options: Any) -> None:
        super().__init__(directory)
        self.port = free_port()
        smtp = {"listen": f"127.0.0.1:{self.port}", "recipients": {"root": "cron.mail"}, **options}
        http = {"listen": f"127.0.0.1:{self.http_port}"}
        self.configure(None, config={"inputs": {"smtp": smtp}, "http": http})

    def client(self, timeout: float = SOON) -> smtplib.SMTP:
        """The standard library's."""
        return smtplib.SMTP("127.0.0.1", self.port, timeout=timeout)

    def send(self, recipients: list[str], mail: bytes) -> None:
        """One mail. Raises what smtplib raises."""
        with self.client() as client:
            client.sendmail("root@web1", recipients, mail.replace(b"\n", b"\r\n"))

    async def events(self, count: int) -> list[dict[str, Any]]:
        """The first so many, oldest first."""
        done = await self.command("listen", "--since", "all", "-n", str(count), "--json")
        return [json.loads(line)["event"] for line in done.out.splitlines()]

    async def smtp(self) -> dict[str, Any]:
        """What status says of it."""
        found: dict[str, Any] = (await self.status())["inputs"]["smtp"]
        return found


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Mailing]:
    async with Mailing(tmp_path / "bus") as started:
        yield started


def mail_of(size: int) -> bytes:
    """A mail with an attachment of that many bytes."""
    mail = EmailMessage()
    mail["Subject"] = "large"
    mail.set_content("text")
    mail.add_attachment(b"\xff" * size, "image", "jpeg", filename="a.jpg")
    return mail.as_bytes()


async def test_mails_of_cron_and_smartd_become_events_and_each_once(daemon: Mailing) -> None:
    """Also when the sender did not hear the yes, and sends again; a bounce's sender is nobody, and welcome."""
    await asyncio.to_thread(daemon.send, ["root"], CRON)
    for _ in range(2):
        await asyncio.to_thread(daemon.send, ["disk.smart+critical@web1", "ops.all"], SMARTD)
    with daemon.client() as client:
        await asyncio.to_thread(client.sendmail, "", ["mail.bounced"], b"Subject: came back\n\n")
    events = await daemon.events(4)
    assert [each["type"] for each in events] == ["cron.mail", "disk.smart", "ops.all", "mail.bounced"]
    assert events[0]["summary"] == "cron on web1 (root): /usr/local/bin/backup --all"
    assert events[0]["data"]["text"] == "rsync: connection refused (…)"
    assert [each["severity"] for each in events[1:3]] == ["critical", "error"]
    status = await daemon.smtp()
    assert (status["state"], status["accepted"]) == ("up", 4)
    assert status["address"] == f"smtp://127.0.0.1:{daemon.port}"


async def test_swaks_is_told_which_item_its_mail_became(daemon: Mailing) -> None:
    """A stock client, with a subject in UTF-8, an attachment and the standard's way to name a severity."""
    need("swaks")
    (daemon.directory / "picture.jpg").write_bytes(b"\xff\xd8")
    line = f"swaks --server 127.0.0.1:{daemon.port} --to motion.door+warning@localhost --from camera@garden.example "
    line += "--header 'Subject: Tür' --body 'somebody' "
    line += "--attach-type image/jpeg --attach-name picture.jpg --attach @picture.jpg"
    said = await daemon.shell(line)
    (event,) = await daemon.events(1)
    assert (event["type"], event["severity"], event["summary"]) == ("motion.door", "warning", "Tür")
    assert event["data"]["text"] == "somebody"
    assert event["data"]["attachments"] == ["picture.jpg"]
    item_id = said.partition("kept as ")[2].split()[0]
    assert (await daemon.show(item_id))["event"]["type"] == "motion.door"


async def test_what_is_wrong_with_a_mail_is_said_at_once_and_not_a_reason_to_try_again(daemon: Mailing) -> None:
    """A recipient that is no type, too many of them, a mail that is too large or that nobody can read."""
    with daemon.client() as client:
        client.ehlo()
        assert client.esmtp_features["size"] == str(limits.MAIL_BYTES)
        assert {"8bitmime", "smtputf8"} <= client.esmtp_features.keys()
        assert "auth" not in client.esmtp_features
        client.mail("a@b")
        code, said = client.rcpt("two words@x")
        assert code in (550, 553), said
        code, said = client.rcpt("a..b@x")
        assert (code, b"recipients" in said or b"malformed" in said) in ((550, True), (553, True))
        answers = [client.rcpt(f"t{number}")[0] for number in range(limits.MAIL_RECIPIENTS + 1)]
        assert answers == [250] * limits.MAIL_RECIPIENTS + [452]
        client.rset()
        assert client.mail("a@b", [f"SIZE={limits.MAIL_BYTES + 1}"])[0] == 552
        client.rset()
        bomb = b"Content-Type: message/rfc822\n\n" * 100
        for mail, code in (
            (bomb, 554),
            (b"Subject: a\n\n" + b"x" * 1_100 + b"\n", 500),
            ((b"x" * 990 + b"\n") * 11_000, 552),
        ):
            client.mail("a@b")
            client.rcpt("disk.full")
            found, said = await asyncio.to_thread(client.data, mail.replace(b"\n", b"\r\n"))
            assert found == code, said
        client.mail("a@b")
        client.rcpt("disk.full")
        assert (await asyncio.to_thread(client.data, mail_of(5_000_000).replace(b"\n", b"\r\n")))[0] == 250
    assert [each["summary"] for each in await daemon.events(1)] == ["large"]


async def test_a_full_journal_asks_to_try_again(tmp_path: Path) -> None:
    """452, as RFC 5321 has it: the sender's queue keeps it. Here nothing can be delivered, so all of it waits."""
    daemon = Mailing(tmp_path / "bus")
    keep = {"path": str(daemon.journal), "keep": {"gib": 0.01}}
    smtp = {"listen": f"127.0.0.1:{daemon.port}"}
    away = bot_without_a_server(daemon.directory)["xmpp"]
    daemon.configure(
        None,
        config={
            "journal": keep,
            "inputs": {"smtp": smtp},
            "http": {"listen": f"127.0.0.1:{daemon.http_port}"},
            "xmpp": away,
        },
    )
    async with daemon:
        with daemon.client() as client:
            client.ehlo()
            code, said = 250, b""
            for number in range(500):
                client.mail("a@b")
                client.rcpt("disk.full")
                code, said = client.data(b"Subject: %d\r\n\r\n" % number + (b"x" * 900 + b"\r\n") * 50)
                if code != 250:
                    break
        assert code == 452, said
        assert b"journal" in said


async def test_a_thousand_connections_that_stall_keep_nobody_out(daemon: Mailing) -> None:
    """Before the greeting is answered, in a command, in a mail; also those who send a byte now and then."""
    stalled = []
    try:
        for number in range(1_000):
            connection = socket.create_connection(("127.0.0.1", daemon.port))
            stalled.append(connection)
            with contextlib.suppress(OSError):
                connection.sendall((b"", b"EHL", b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<t>\r\nDATA\r\nx")[number % 3])
        for _ in range(3):
            await until(lambda: is_sent(daemon, b"Subject: through\n\n"), SOON, "a mail to get through")
        assert len(await daemon.events(3)) == 3
        status = await daemon.smtp()
        assert status["connections"] <= limits.SMTP_CONNECTIONS
        assert status["turned_away"] >= 1_000 - limits.SMTP_CONNECTIONS
        assert (await daemon.request("GET", "/health"))[0] == 200
    finally:
        for connection in stalled:
            connection.close()


async def is_sent(daemon: Mailing, mail: bytes) -> bool:
    """One try of a mail server, which tries again when it is told so."""
    with contextlib.suppress(smtplib.SMTPException, OSError):
        await asyncio.to_thread(daemon.send, ["disk.full"], mail)
        return True
    return False


async def test_a_line_without_an_end_is_cut_off(daemon: Mailing) -> None:
    """However much somebody sends, no more than two mails' worth of it is kept."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", daemon.port), timeout=SOON)) as connection:
        connection.sendall(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<t>\r\nDATA\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                await asyncio.to_thread(connection.sendall, b"x" * 1_000_000)
            connection.recv(65_536)
            raise AssertionError("it takes everything") if connection.recv(65_536) else ConnectionResetError
    assert (await daemon.smtp())["connections"] == 0


async def test_an_address_that_is_taken_is_said_in_the_status(tmp_path: Path) -> None:
    """The rest of the house is up."""
    daemon = Mailing(tmp_path / "bus")
    with contextlib.closing(socket.create_server(("127.0.0.1", daemon.port))):
        async with daemon:
            status = await daemon.smtp()
            assert (status["state"], daemon.is_healthy()) == ("down", True)
            assert f"can't listen on 127.0.0.1:{daemon.port}" in status["reason"]
            (headline, *_) = (await daemon.command("status")).out.splitlines()
            assert "up: what is accepted is delivered; nothing comes by smtp" in headline


async def test_a_web_page_can_not_send_a_mail_through_the_browser(daemon: Mailing) -> None:
    """It can make it post whatever it likes to loopback; at the first word that is over."""
    mail = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<disk.full>\r\nDATA\r\nSubject: forged\r\n\r\n.\r\n"
    with contextlib.closing(socket.create_connection(("127.0.0.1", daemon.port), timeout=SOON)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\n" + mail)
        said = b""
        with contextlib.suppress(ConnectionError):
            while data := await asyncio.to_thread(connection.recv, 65_536):
                said += data
    assert said.splitlines()[-1].startswith(b"421 4.7.0 this is SMTP")
    await asyncio.to_thread(daemon.send, ["disk.full"], b"Subject: a mail\n\n")
    assert [each["summary"] for each in await daemon.events(1)] == ["a mail"]


async def test_beyond_loopback_senders_log_in_with_a_token_and_over_tls(tmp_path: Path) -> None:
    """A token is for some types; and neither it nor the mail is in the log."""
    tokens = tmp_path / "tokens"
    make_certificate(tmp_path, ("localhost",))
    served = {"certificate_file": str(tmp_path / "certificate.pem"), "key_file": str(tmp_path / "key.pem")}
    daemon = Mailing(tmp_path / "bus", tokens_file=str(tokens), **served)
    token = (await daemon.command("token", "add", "camera", "publish:motion.#", "--file", str(tokens))).out.strip()
    daemon.arguments = (*daemon.arguments, "--verbose")
    context = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
    context.check_hostname = False
    async with daemon:
        with daemon.client() as client:
            client.ehlo()
            assert "auth" not in client.esmtp_features
            client.mail("a@b")
            assert client.rcpt("motion.door")[0] == 530
        with daemon.client() as client:
            await asyncio.to_thread(client.starttls, context=context)
            client.ehlo()
            assert set(client.esmtp_features["auth"].split()) == {"LOGIN", "PLAIN"}
            with pytest.raises(smtplib.SMTPAuthenticationError):
                await asyncio.to_thread(client.login, "camera", f"{token}x")
        for mechanism in ("PLAIN", "LOGIN"):
            with daemon.client() as client:
                await asyncio.to_thread(client.starttls, context=context)
                client.ehlo()
                client.esmtp_features["auth"] = mechanism
                await asyncio.to_thread(client.login, "anybody", token)
                client.mail("a@b")
                assert client.rcpt("disk.full") == (550, b"5.7.1 this token may not publish disk.full")
                assert client.rcpt("motion.door")[0] == 250
                assert (await asyncio.to_thread(client.data, f"Subject: {CANARY}\n\n".encode()))[0] == 250
        assert [each["type"] for each in await daemon.events(2)] == ["motion.door"] * 2
    assert token not in daemon.log()
    assert CANARY not in daemon.log()


async def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """And nothing else needs it."""
    daemon = Mailing(tmp_path / "bus")
    without = program_without(tmp_path / "venv", ("aiosmtpd",))
    process = await asyncio.create_subprocess_exec(
        *(*without, "serve"), env=daemon.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    done = await finished(process, None, 30)
    assert done.code == 78
    assert "pip install 'xmppbus[smtp]'" in done.err


async def test_the_lines_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    """docs/howto/mail.md: its configs, and each of its commands but those that change the machine."""
    need("swaks")
    here, beyond = [yaml.safe_load(text)["inputs"]["smtp"] for kind, text in blocks(PAGE) if kind == "yaml"]
    with pytest.raises(ValueError, match="xmppbus token add"):
        settings_of(SmtpOptions(**beyond))
    daemon = Mailing(tmp_path / "bus", recipients=here["recipients"])
    async with daemon:
        for line in (line for kind, text in blocks(PAGE) if kind == "sh" for line in text.splitlines()):
            if line.startswith("xmppbus token"):
                await daemon.shell(f"{line} --file tokens")
            elif not line.startswith("sudo "):
                await daemon.shell(line.replace(here["listen"], f"127.0.0.1:{daemon.port}"))
        await asyncio.to_thread(daemon.send, ["root@web1", "camera@garden.example.org"], b"Subject: a\n\n")
        events = await daemon.events(5)
    assert [each["type"] for each in events] == ["disk.full", "user.mail", "disk.full", "cron.mail", "motion.garden"]
    assert [each.get("severity") for each in events[:3]] == ["warning", None, "warning"]
    assert [each["summary"] for each in events[:3]] == ["93 % of /", "hello", "93 %"]
