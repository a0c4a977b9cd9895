"""Prosody from Debian's packages, installed without letting the package start a server of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from xmppbus.demo.server_process import ServerStartError

PACKAGES = ("prosody", "openssl")
BY_HAND = f"apt-get install {' '.join(PACKAGES)}"
POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian's packages ask it before they start a server (`/usr/share/doc/init-system-helpers/README.policy-rc.d.gz`)."""


def missing() -> list[str]:
    """The programs that the demonstration needs and this machine lacks."""
    return [name for name in PACKAGES if shutil.which(name) is None]


def install() -> None:
    """Install them. Raises ServerStartError with what apt-get said."""
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", *missing()]):
            _run(command)
    finally:
        if ours:
            POLICY.unlink()


def _run(command: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, check=False, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise ServerStartError(f"this is not Debian; install {' and '.join(PACKAGES)} yourself") from None
    if done.returncode:
        raise ServerStartError(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout)[-2000:]}")
