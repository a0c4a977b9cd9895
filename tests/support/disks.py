"""A file system of a test's own, as small as it likes."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(directory: Path, mib: int) -> Iterator[Path]:
    """`directory`, with so much room. Skips where mounting is not allowed."""
    directory.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", directory], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"mounting needs a right that is missing here: {mount.stderr.decode().strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)
