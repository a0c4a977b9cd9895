"""Jobs: how a command is run and told of, and what waits of that for the daemon."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.daemon import program

EXEC = (program(), "exec", "--")
"""What stands before the command."""


def spooled(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """All that wait for the daemon, oldest first."""
    files = sorted(Path(environment["XMPPBUS_STATE"], "spool").glob("*.events"))
    return [json.loads(line)["event"] for path in files for line in path.read_text().splitlines()]
