"""`python -m tests.pictures [PLACE]`: every picture that the product makes of itself, in `docs/img` if nothing is said.

Needs Prosody, Chromium, and for the type that they are set in fonts-inter, all from Debian.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.pictures import boards, feed, plots
from tests.support.daemon import Daemon
from tests.support.page_browser import browsing
from tests.support.prosody import Prosody

IMAGES = Path(__file__).parents[2] / "docs/img"


async def main(place: Path) -> None:
    """A Prosody, a bus with a bot on it, and a browser that looks at it."""
    with tempfile.TemporaryDirectory() as directory:
        async with (
            Prosody(Path(directory) / "prosody") as server,
            Daemon(
                Path(directory) / "bus", server, config={"bot": {"affiliations": {"juliet@localhost": "owner"}}}
            ) as daemon,
            browsing() as browser,
        ):
            await feed.draw(daemon, browser, place)
            await boards.draw(browser, place)
            await plots.draw(daemon, place)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else IMAGES))
