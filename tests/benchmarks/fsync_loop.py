"""The limit of a yes that comes one at a time: append a record to a file, fsync, and again."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path


def rate(directory: Path, bodies: Sequence[bytes]) -> float:
    """Records a second."""
    path = directory / "one-by-one"
    with path.open("wb", buffering=0) as file:
        begun = time.perf_counter()
        for body in bodies:
            file.write(body + b"\n")
            os.fsync(file.fileno())
        seconds = time.perf_counter() - begun
    path.unlink()
    return len(bodies) / seconds
