"""What a test needs of the machine and does not find."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def is_missing(what: str, how: object) -> NoReturn:
    """In CI that fails, for there it is installed; a developer who has it not is told `how` to get it, and goes on."""
    text = f"{what} is missing: {how}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)  # a part of the tests is worth more than none to who has not installed it all


def need(program: str) -> None:
    """A program of Debian's that is called like its package."""
    if shutil.which(program) is None:
        is_missing(program, f"apt-get install {program}")
