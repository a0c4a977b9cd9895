"""`xmppbus exec`: the command runs as if nobody stood between, and its story is told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, program
from tests.support.jobs import EXEC, spooled


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path / "bus") as started:
        yield started


@pytest.fixture
def away(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody whose daemon does not run."""
    return Daemon(tmp_path / "bus").environment


def done(environment: Mapping[str, str], *arguments: str, **settings: Any) -> subprocess.CompletedProcess[bytes]:
    settings = {"stdin": subprocess.DEVNULL, "capture_output": True, **settings}
    return subprocess.run([program(), "exec", *arguments], check=False, env=environment, timeout=60, **settings)


async def events(daemon: Daemon, pattern: str = "job.#") -> list[dict[str, Any]]:
    """All that were published since the last time, oldest first."""
    lines = (await daemon.command("get", pattern, "-n", "100", "--json")).out.splitlines()
    return [json.loads(line)["event"] for line in lines]


# --- what passes through ----------------------------------------------------------------------------------------------


def test_output_passes_byte_for_byte_and_apart(away: dict[str, str]) -> None:
    """10 MB of any bytes on one stream, and its own on the other."""
    write = (
        "import os,random;r=random.Random(5);[os.write(1,r.randbytes(65536)) for _ in range(160)];"
        "os.write(2,b'\\x00err')"
    )
    ran = done(away, "--", sys.executable, "-c", write)
    plain = subprocess.run([sys.executable, "-c", write], capture_output=True, check=True)
    assert hashlib.sha256(ran.stdout).digest() == hashlib.sha256(plain.stdout).digest()
    assert len(ran.stdout) == 160 * 65_536
    assert ran.stderr == b"\x00err"


def test_two_streams_into_one_file_keep_their_order(away: dict[str, str]) -> None:
    """As cron mails it."""
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done"
    ran = done(away, "--", "sh", "-c", script, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, capture_output=False)
    assert ran.stdout.decode().splitlines() == [
        f"{name} {number}" for number in range(1, 10) for name in ("out", "err")
    ]


def test_standard_input_passes_through(away: dict[str, str]) -> None:
    """A pipe, to its end."""
    content = os.urandom(500_000)
    assert done(away, "--", "cat", input=content, stdin=None).stdout == content


@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_exit_code_is_the_command_s(away: dict[str, str], code: int) -> None:
    """Each."""
    assert done(away, "--", "sh", "-c", f"exit {code}").returncode == code


def test_what_can_t_be_run_has_the_shell_s_exit_codes(away: dict[str, str], tmp_path: Path) -> None:
    """127 not found, 126 not executable; and a script without a first line runs."""
    assert (done(away, "no-such-program").returncode, done(away, "/etc/passwd").returncode) == (127, 126)
    assert b"no-such-program: No such file" in done(away, "no-such-program").stderr
    script = tmp_path / "bare"
    script.write_text('echo "bare $1"\n')
    script.chmod(0o755)
    assert done(away, str(script), "argument").stdout == b"bare argument\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE, signal.SIGINT])
def test_a_signal_that_ends_the_command_ends_us(away: dict[str, str], number: signal.Signals) -> None:
    """The same one, so that a shell says the same."""
    assert done(away, "--", "sh", "-c", f"kill -{number:d} $$").returncode == -number


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_a_signal_to_us_is_a_signal_to_the_command(away: dict[str, str], number: signal.Signals) -> None:
    """Which may do with it what it likes."""
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo caught; exit 9' {name}; echo ready; while :; do sleep 0.02; done"
    with subprocess.Popen([*EXEC, "bash", "-c", script], env=away, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.read() == b"caught\n"
    assert process.returncode == 9


def test_a_command_under_nohup_goes_on_when_the_terminal_hangs_up(away: dict[str, str]) -> None:
    """What was ignored stays ignored."""
    ran = subprocess.run(
        ["nohup", *EXEC, "sh", "-c", "kill -HUP $PPID; kill -HUP $$; echo still here"],
        check=False,
        env=away,
        capture_output=True,
    )
    assert (ran.returncode, ran.stdout) == (0, b"still here\n")


def test_a_reader_that_has_gone_ends_the_command_as_without_us(away: dict[str, str]) -> None:
    """`yes | head -1`: SIGPIPE, and no word about it."""
    line = 'exec 3>&1; { { "$@"; echo $? >&3; } | head -1 >/dev/null; } 3>&1'
    without = subprocess.run(["bash", "-c", line, "x", "yes"], check=False, env=away, capture_output=True)
    ours = subprocess.run(["bash", "-c", line, "x", *EXEC, "yes"], check=False, env=away, capture_output=True)
    assert (ours.stdout, ours.stderr) == (without.stdout, without.stderr) == (b"141\n", b"")


def test_what_the_command_left_running_neither_holds_us_nor_is_cut_off(away: dict[str, str], tmp_path: Path) -> None:
    """Its output still comes, later."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = f"(read line < {gate}; echo late) & echo now"
    with subprocess.Popen([*EXEC, "sh", "-c", script], env=away, stdout=subprocess.PIPE) as process:
        assert process.wait(30) == 0
        gate.write_text("go\n")
        assert process.stdout is not None
        assert process.stdout.read() == b"now\nlate\n"


def test_a_gigabyte_of_output_takes_no_memory(away: dict[str, str]) -> None:
    """Only its end is held."""
    script = (
        "import resource,subprocess,sys;"
        "subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    used = [
        int(subprocess.run([sys.executable, "-c", script, *EXEC, "head", "-c", size, "/dev/zero"], env=away,
                           capture_output=True, check=True).stdout)
        for size in ("1000", "1000000000")
    ]  # fmt: skip
    assert used[1] - used[0] < 8_192, "kilobytes"


def test_a_job_that_takes_too_long_is_stopped(away: dict[str, str]) -> None:
    """With all that it has started, and exit code 124; how it ended is told."""
    script = "trap 'exit 0' TERM; sleep 600 & echo $!; wait"
    ran = done(away, "--timeout", "0.3s", "--type", "job.slow", "--", "bash", "-c", script, start_new_session=True)
    assert ran.returncode == 124
    assert (
        not Path(f"/proc/{int(ran.stdout)}/cmdline").exists()
        or not Path(f"/proc/{int(ran.stdout)}/cmdline").read_bytes()
    )
    told = spooled(away)[-1]
    assert (told["data"]["timeout"], told["data"]["code"]) == (True, 124)
    assert told["summary"].startswith("slow: took too long and was stopped after")


def quickly(away: dict[str, str], limit: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """The same program with one of its limits made so short that a test can wait for it."""
    line = f"import sys; from xmppbus import limits; limits.{limit} = 0.2; from xmppbus.cli.client import main; main()"
    return subprocess.run(
        [sys.executable, "-c", line, "exec", *arguments], env=away, check=False, capture_output=True, timeout=60
    )


def test_one_that_does_not_obey_is_killed(away: dict[str, str]) -> None:
    """After a grace period; the exit code says that it took too long."""
    stubborn = "trap '' TERM; while :; do sleep 0.05; done"
    assert quickly(away, "JOB_GRACE_SECONDS", "--timeout", "0.2s", "--", "sh", "-c", stubborn).returncode == 124


async def test_progress_is_told_while_it_runs(daemon: Daemon, tmp_path: Path) -> None:
    """To those who listen now."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = f"echo 42 %; read line < {gate}"
    arguments = ("--type", "job.slow", "--", "sh", "-c", script)
    running = asyncio.create_task(asyncio.to_thread(quickly, daemon.environment, "JOB_PROGRESS_SECONDS", *arguments))
    heard = await daemon.command("listen", "job.slow", "--since", "all", "-n", "2", "--json")
    await asyncio.to_thread(gate.write_text, "go\n")
    assert (await running).returncode == 0
    said = [json.loads(line)["event"] for line in heard.out.splitlines()]
    assert [each["summary"] for each in said] == ["slow: started", "slow: 42 %"]
    assert said[1]["data"]["percent"] == 42


# --- from cron --------------------------------------------------------------------------------------------------------


def test_it_works_from_cron_with_nothing_set(tmp_path: Path) -> None:
    """`env -i`, an absolute path, no daemon: the events wait in the spool of the user."""
    state = tmp_path / "state"
    line = [
        "env",
        "-i",
        f"XMPPBUS_STATE={state}",
        "XMPPBUS_SOCKET=/nonexistent",
        program(),
        "exec",
        "--",
        "echo",
        "hello",
    ]
    ran = subprocess.run(line, check=False, capture_output=True, stdin=subprocess.DEVNULL, cwd="/")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"hello\n", b"")
    assert [each["summary"].split(" after")[0] for each in spooled({"XMPPBUS_STATE": str(state)})] == [
        "echo: started",
        "echo: done",
    ]


def test_a_bus_that_can_t_be_told_changes_nothing_but_a_line(away: dict[str, str], tmp_path: Path) -> None:
    """The state directory can't be written: the command runs, and its exit code stays."""
    (tmp_path / "file").write_text("")
    ran = done({**away, "XMPPBUS_STATE": str(tmp_path / "file")}, "--", "sh", "-c", "echo ran; exit 5")
    assert (ran.returncode, ran.stdout) == (5, b"ran\n")
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith(b"xmppbus: not published: ")


def test_a_daemon_that_hangs_holds_nobody_up_for_long(away: dict[str, str], tmp_path: Path) -> None:
    """It listens and never answers: what it was not seen to take is in the spool."""
    listen = (
        "import socket,sys,time\ns=socket.socket(socket.AF_UNIX);s.bind(sys.argv[1]);s.listen(9)\nprint(flush=True)\n"
        "sys.stdin.read()"
    )
    away["XMPPBUS_SOCKET"] = str(tmp_path / "deaf")
    with subprocess.Popen(
        [sys.executable, "-c", listen, away["XMPPBUS_SOCKET"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        assert done(away, "--", "echo", "x").stdout == b"x\n"
        deaf.kill()
    assert [each["data"]["state"] for each in spooled(away)] == ["started", "done"]


def test_what_is_wrong_with_the_command_line_is_said_before_it_runs(away: dict[str, str]) -> None:
    """Exit 64."""
    for wrong in (
        ["--type", "no type"],
        ["--progress", "("],
        ["--timeout", "soon"],
        ["--only-failure", "--only-change"],
    ):
        ran = done(away, *wrong, "--", "echo", "ran")
        assert (ran.returncode, ran.stdout) == (64, b"")
    assert b"Missing the command; write it behind --" in done(away, "--tail", "3").stderr


# --- what is told -----------------------------------------------------------------------------------------------------


async def test_a_job_is_told_from_its_beginning_to_its_end(daemon: Daemon) -> None:
    """One key; firing while it runs, resolved when it is done, with figures and the tail."""
    script = "seq 30; printf '\\033[31mred\\033[0m\\n 10%%\\r100%%\\n'"
    assert (await daemon.run("exec", "--type", "job.backup", "--tail", "3", "--", "sh", "-c", script)).code == 0
    began, ended = sorted(await events(daemon), key=lambda each: each["data"]["state"], reverse=True)
    assert (began["summary"], began["status"], began["key"]) == (
        "backup: started",
        "firing",
        f"{os.uname().nodename}:job.backup",
    )
    assert (ended["status"], ended["severity"], ended["key"]) == ("resolved", "info", began["key"])
    data = ended["data"]
    assert data["text"] == "30\nred\n100%"
    assert (data["code"], data["lines"], data["state"]) == (0, 32, "done")
    assert data["seconds"] > 0
    assert data["peak_memory_bytes"] > 1_000_000
    assert re.fullmatch(r"backup: done after \d+ s", ended["summary"])


def test_a_failure_fires_until_the_next_success(away: dict[str, str]) -> None:
    """With --only-failure as well, which says nothing else."""
    for code in (0, 1, 1, 0, 0):
        script = ("sh", "-c", f"echo word; exit {code}")
        assert done(away, "--only-failure", "--type", "job.mirror", "--tail", "0", "--", *script).returncode == code
    found = spooled(away)
    assert [each["status"] for each in found] == ["firing", "firing", "resolved"]
    assert {each["severity"] for each in found if each["status"] == "firing"} == {"error"}
    assert not any("text" in each["data"] for each in found)


def test_only_a_change_is_told(away: dict[str, str]) -> None:
    """--only-change, over runs of one key."""
    for code in (0, 0, 1, 1, 0):
        done(away, "--only-change", "--key", "k", "--type", "job.x", "--", "sh", "-c", f"exit {code}")
    assert [each["data"]["code"] for each in spooled(away)] == [0, 1, 0]


def test_arguments_are_not_published(away: dict[str, str]) -> None:
    """They may hold a password; the program's name is all that is told."""
    done(away, "--", "true", "--password=hunter2")
    assert "hunter2" not in json.dumps(spooled(away))
    assert {each["type"] for each in spooled(away)} == {"job.true"}
