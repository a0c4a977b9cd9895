"""`xmppbus sendmail` as programs call it: cron, mailx, PHP, scripts; with a daemon and without one."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, Done, finished, program
from tests.support.missing import need
from tests.support.pages import block
from tests.unit.test_mail import CRON
from xmppbus import limits

MAIL = b"From: me\nTo: disk.full, root@web1\nSubject: 93 %\n\ntext\n"
PAGE = "docs/howto/mail.md"
NAMED = {"inputs": {"smtp": {"listen": "127.0.0.1:0", "recipients": {"root": "cron.mail"}}}}


class Sending(Daemon):
    """A local bus, and a link called `sendmail` to its program."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.configure(None, config={**NAMED, "http": {"listen": f"127.0.0.1:{self.http_port}"}})
        self.sendmail = directory / "sendmail"
        self.sendmail.symlink_to(program())

    async def call(self, *arguments: str, mail: bytes = MAIL, environment: dict[str, str] | None = None) -> Done:
        """Call the link."""
        process = await asyncio.create_subprocess_exec(
            *(str(self.sendmail), *arguments),
            env=self.environment if environment is None else environment,
            cwd="/",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return await finished(process, mail, 30)

    async def events(self, count: int) -> list[dict[str, Any]]:
        """The first so many, oldest first."""
        done = await self.command("listen", "--since", "all", "-n", str(count), "--json")
        return [json.loads(line)["event"] for line in done.out.splitlines()]


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Sending]:
    async with Sending(tmp_path / "bus") as started:
        yield started


async def test_cron_hands_its_mail_over_and_hears_nothing(daemon: Sending) -> None:
    """With the options and the environment that Debian's cron has (3.0pl1-162, do_command.c and config.h): what the
    mailer prints would be lost."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/root", "LOGNAME": "root", "SHELL": "/bin/sh"}
    environment |= {name: daemon.environment[name] for name in ("XMPPBUS_SOCKET",)}
    arguments = ("-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root")
    to = re.findall("^MAILTO=(.*)$", block(PAGE, "cron"), re.MULTILINE)
    assert to == ["cron.backup"]
    for line in ((*arguments[:-1], *to), arguments, ("-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root")):
        done = await daemon.call(*line, mail=CRON, environment=environment)
        assert (done.code, done.out, done.err) == (0, "", "")
    events = await daemon.events(3)
    assert [each["type"] for each in events] == ["cron.backup", "cron.mail", "cron.mail"]
    assert events[0]["summary"] == "cron on web1 (root): /usr/local/bin/backup --all"
    assert events[0]["data"]["text"] == "rsync: connection refused (…)"


async def test_recipients_are_in_the_header_or_on_the_command_line(daemon: Sending) -> None:
    """Both with -t, as Postfix has it; and those of whom there are none are named, with sendmail's exit code."""
    assert (await daemon.call("-t", "-i", "ops.all+error")).code == 0
    assert (
        await daemon.call("-f", "web@shop.example", "-FShop", "user.mail", mail=b"Subject: a\n\nb\n.\nc\n")
    ).code == 0
    assert (await daemon.call("-oi", "user.mail", mail=b"b\n.\nc\n")).code == 0
    some = await daemon.call("-v", "--", "two words", "user.mail")
    assert (some.code, len(some.out.split())) == (67, 1)
    assert "'" not in some.err
    assert "two words is no type" in some.err
    assert (await daemon.call("two words")).code == 67
    events = await daemon.events(6)
    assert [each["type"] for each in events] == [*("ops.all", "disk.full", "cron.mail"), *["user.mail"] * 3]
    assert events[0]["severity"] == "error"
    assert (events[3]["data"]["from"], events[3]["data"]["text"]) == ("Shop <web@shop.example>", "b")
    assert events[4]["data"]["text"] == "b\n.\nc"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 64, "nobody is named"),
        (("-bs",), 64, "-bs is not done here"),
        (("-x", "a"), 64, "-x is no option"),
        (("a", "-f"), 64, "-f needs a value"),
        (("-bp",), 0, "no queue of mails"),
        (("-q30m",), 0, "no queue of mails"),
        (("-bi",), 0, "no aliases"),
        (("a",) * (limits.MAIL_RECIPIENTS + 1), 65, "recipients of at most"),
    ],
)
async def test_what_is_not_done_says_so(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    """With the codes of sysexits.h; nothing is kept then."""
    away = Sending(tmp_path / "bus")
    done = await away.call(*arguments)
    assert done.code == code
    assert words in done.err
    assert not (away.directory / "spool").exists()


async def test_without_a_daemon_the_mail_waits_in_the_spool_and_a_long_one_is_cut(tmp_path: Path) -> None:
    """And all of it is read: cron would take less for a failure."""
    daemon = Sending(tmp_path / "bus")
    assert (await daemon.call("root", mail=CRON)).code == 0
    long = b"Subject: long\n\n" + b"line\n" * limits.SENDMAIL_BYTES
    assert (await daemon.call("disk.full", mail=long)).code == 0
    assert (await daemon.call("disk.full", mail=b"Content-Type: message/rfc822\n\n" * 99)).code == 65
    async with daemon:
        events = await daemon.events(2)
    assert [each["type"] for each in events] == ["cron.mail", "disk.full"]
    assert events[1]["data"]["text"].endswith("more bytes in the mail]")


async def test_php_sends_its_mails_through_it(daemon: Sending) -> None:
    """mail() calls what `sendmail_path` names, as docs/howto/mail.md has it."""
    need("php")
    code = "exit(mail('user.mail@localhost', 'Tür offen', \"Zeile 1\\nZeile 2\", 'From: shop@shop.example') ? 0 : 1);"
    (daemon.directory / "php.ini").write_text(block(PAGE, "ini").replace("/usr/local/bin/xmppbus", program()))
    line = ["php", "-c", str(daemon.directory / "php.ini"), "-r", code]
    done = await asyncio.to_thread(subprocess.run, line, env=daemon.environment, capture_output=True, check=False)
    assert done.returncode == 0, done
    (event,) = await daemon.events(1)
    assert (event["type"], event["summary"]) == ("user.mail", "Tür offen")
    assert event["data"]["text"] == "Zeile 1\nZeile 2"
    assert event["data"]["from"] == "shop@shop.example"


async def test_mailx_sends_its_mails_through_it(daemon: Sending) -> None:
    """smartd's script, and many others, pipe into `mail -s SUBJECT RECIPIENT`."""
    need("s-nail")
    line = ["s-nail", "-n", "-S", f"mta={daemon.sendmail}", "-s", "SMART error (Health) detected on host: web1"]
    line += ["disk.smart@localhost"]
    text = "Device: /dev/sda [SAT], FAILED SMART self-check. BACK UP DATA NOW!\n"
    environment = {**daemon.environment, "MAILRC": "/dev/null"}
    done = await asyncio.to_thread(
        subprocess.run, line, env=environment, input=text, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done
    (event,) = await daemon.events(1)
    assert event["summary"] == "web1: Device: /dev/sda [SAT], FAILED SMART self-check. BACK UP DATA NOW!"
    assert (event["severity"], event["data"]["device"]) == ("critical", "/dev/sda")
