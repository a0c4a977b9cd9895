"""What a process did to its files, and when: `strace`, read back."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CALLS = "fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg,rename,renameat,renameat2,link,linkat"
LINE = re.compile(r"^(?P<pid>\d+) +(?P<rest>.*)$")
BEGUN = re.compile(r"^(?P<name>\w+)\((?P<arguments>.*)$")
RESUMED = re.compile(r"^<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)$")
UNFINISHED = " <unfinished ...>"


@dataclass(slots=True)
class Call:
    """One system call: the lines of the trace where it begins and ends, so that calls can be ordered."""

    name: str
    arguments: str
    begin: int
    end: int

    @property
    def failed(self) -> bool:
        """Did it answer with an error?"""
        return bool(re.search(r"= -1 E[A-Z]+", self.arguments))


def works() -> bool:
    """Is there a strace, and may it trace?"""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


def command(output: Path) -> list[str]:
    """What to put before a command line: every thread, names of files, all bytes that were written."""
    return ["strace", "-f", "-y", "-s", "20000", "-e", f"trace={CALLS}", "-o", str(output)]


def calls(output: Path) -> list[Call]:
    """All calls of a trace, in the order in which they ended."""
    return list(read(output.read_text(errors="replace").splitlines()))


def read(lines: list[str]) -> Iterator[Call]:
    """Put together what strace had to write in two lines."""
    begun: dict[str, Call] = {}
    for number, line in enumerate(lines):
        found = LINE.match(line)
        if found is None:
            continue
        pid, rest = found["pid"], found["rest"]
        if (resumed := RESUMED.match(rest)) and pid in begun:
            call = begun.pop(pid)
            call.arguments += resumed["arguments"]
            call.end = number
            yield call
        elif start := BEGUN.match(rest):
            call = Call(start["name"], start["arguments"].removesuffix(UNFINISHED), number, number)
            if rest.endswith(UNFINISHED):
                begun[pid] = call
            else:
                yield call
