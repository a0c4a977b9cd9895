"""R6, the feed of sign-ups; here those of a web site."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic

from tests.house.subscribers import readers
from tests.support.daemon import Daemon
from tests.support.server import Server

WITHIN_SECONDS = 2.0  # the row's own words
NODE = "user.signup"


async def test_r6_a_sign_up_on_the_web_site_is_with_the_subscribers_within_two_seconds(
    server: Server, tmp_path: Path
) -> None:
    """The site's server posts with its token, as docs/howto/web-sign-ups.md says."""
    tokens = tmp_path / "tokens"
    http = {"tokens_file": str(tokens)}
    daemon = Daemon(tmp_path / "bus", server)
    token = (await daemon.command("token", "add", "website", "publish:user.#", "--file", str(tokens))).out.strip()
    daemon.configure(server, config={"http": {"listen": f"127.0.0.1:{daemon.http_port}", **http}})
    sign_up = {
        "type": NODE,
        "source": "https://shop.example",
        "id": f"signup-{monotonic()}",
        "summary": "alice joined",
        "data": {"plan": "free"},
    }
    async with daemon:
        await daemon.command("publish", NODE, "the first one makes the node", "--confirm")
        async with readers(server, NODE) as both:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
            begun = monotonic()
            status, body = await daemon.request("POST", "/v1/events", json.dumps(sign_up), headers)
            assert status == 202, body
            event = await both.until_seen(json.loads(body)["id"], timeout=WITHIN_SECONDS - (monotonic() - begun))
            assert event["summary"] == "alice joined"
            assert event["data"] == {"plan": "free"}
        refused, _ = await daemon.request("POST", "/v1/events", json.dumps({**sign_up, "type": "disk.full"}), headers)
        assert refused == 403
