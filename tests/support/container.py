"""Containers without an engine: the steps of a Dockerfile in namespaces of their own, and its programs as it runs them.

A directory of the test's stands for /opt, /etc, /run and /var/lib; nothing of the machine is changed. What runs in it
has the image's environment and nothing else (no HOME), a number as its user, no capabilities, no network but loopback,
and a root file system that can't be written.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.missing import is_missing, need

ROOT = Path(__file__).parents[2]
PARTS = {"opt": "/opt", "etc": "/etc", "run": "/run", "varlib": "/var/lib"}
CONFINED = ("--no-new-privs", "--bounding-set", "-all", "--inh-caps", "-all", "--clear-groups", "--pdeathsig", "KILL")


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """`(FROM, ...), (RUN, ...)`, without comments."""
    lines = dockerfile.read_text().replace("\\\n", " ").splitlines()
    return [(each.split()[0], each.split(maxsplit=1)[1]) for each in lines if each.strip() and not each.startswith("#")]


def environment(dockerfile: Path) -> dict[str, str]:
    """What its ENV lines say."""
    return dict(value.split("=", 1) for word, value in instructions(dockerfile) if word == "ENV")


class Box:
    """`with Box(directory) as box`: a place to build in, and, after `close_up`, to run in."""

    def __init__(self, directory: Path) -> None:
        need("nsenter")
        if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "-n", "true"], check=False).returncode:
            is_missing("the right to make namespaces", "run it as root, outside of a confined container")
        self.directory = directory
        for name in PARTS:
            (directory / name).mkdir()
        subprocess.run(["cp", "-a", "/etc/.", str(directory / "etc")], check=True)
        self._holders: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        binds = [f"mount --bind {shlex.quote(str(self.directory / name))} {path}" for name, path in PARTS.items()]
        self._hold(["unshare", "--mount", "--propagation", "private"], *binds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for holder in reversed(self._holders):
            assert holder.stdin
            assert holder.stdout
            holder.stdin.close()  # its `cat` ends
            holder.stdout.close()
            holder.wait()

    def _hold(self, command: Sequence[str], *steps: str) -> None:
        script = "\n".join(["set -e", *steps, "echo ready", "exec cat"])
        holder = subprocess.Popen([*command, "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._holders.append(holder)
        assert holder.stdout
        assert holder.stdout.readline() == b"ready\n"

    @property
    def _inside(self) -> list[str]:
        kinds = ["-m", "-n"] if len(self._holders) > 1 else ["-m"]
        return ["nsenter", "-t", str(self._holders[-1].pid), *kinds, "--"]

    def build(self, dockerfile: Path) -> None:
        """Do what its COPY and RUN lines say; FROM and `COPY --from` change nothing here."""
        for word, rest in instructions(dockerfile):
            if word == "COPY" and not rest.startswith("--from"):
                self._copy(*rest.split())
            elif word == "RUN":
                environ = {**os.environ, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
                subprocess.run([*self._inside, "sh", "-c", rest], check=True, env=environ)

    def _copy(self, *names: str) -> None:
        *sources, target = names
        place = self.path(target)
        for source in sources:
            there = place / source if target.endswith("/") else place
            there.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, there, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, there)

    def path(self, inside: str) -> Path:
        """Where something inside is for us."""
        part = next(name for name, path in PARTS.items() if inside.startswith(f"{path}/"))
        return self.directory / part / inside.removeprefix(f"{PARTS[part]}/")

    def close_up(self) -> None:
        """From now on only volumes can be written, and there is no network but loopback."""
        steps = ["mount -t tmpfs tmpfs /tmp", *(f"mount -o remount,bind,ro {path}" for path in ("/etc", "/opt", "/"))]
        self._hold([*self._inside, "unshare", "--mount", "--net"], *steps, "ip link set lo up")

    def command(self, argv: Sequence[str], environ: Mapping[str, str], user: int) -> list[str]:
        """The command line that runs it inside, confined."""
        variables = [f"{name}={value}" for name, value in environ.items()]
        ids = ["--reuid", str(user), "--regid", str(user)]
        return [*self._inside, "setpriv", *ids, *CONFINED, "env", "-i", *variables, *argv]

    def run(self, argv: Sequence[str], environ: Mapping[str, str], user: int) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self.command(argv, environ, user), capture_output=True, text=True, check=False, timeout=60
        )


def as_compose_does(command: Sequence[str]) -> list[str]:
    """Its `$$` is a `$`."""
    return [re.sub(r"\$\$", "$", word) for word in command]
