"""The pages, the blocks in them, and which test runs the blocks of a language that the general test does not."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
OUTPUT = {"", "text"}
"""The languages of blocks that show what is printed, or words that are neither a command nor a config."""

_PLOTS, _STREAMS, _LINES = "house/test_plots_page.py", "house/test_streams.py", "servers/test_howto_lines.py"
_DISPLAYS, _OVER_XMPP = "browser/test_displays_page.py", "clients/test_display_over_xmpp.py"

OWN_TESTS: dict[str, dict[str, str]] = {
    "README.md": {"shell": "house/test_pages_lines.py", "talk": "servers/test_chat_page.py"},
    "docs/howto/a-bot-in-python.md": {"python": "house/test_row_r19.py"},
    "docs/howto/a-display-over-xmpp.md": dict.fromkeys(("html", "lua", "nginx", "sh", "yaml"), _OVER_XMPP),
    "docs/howto/backup.md": {"cron": "house/test_pages_lines.py", "sh": "house/test_backup.py"},
    "docs/howto/chat.md": {"talk": "servers/test_chat_page.py"},
    "docs/howto/completion.md": {"sh": "house/test_completion.py"},
    "docs/howto/cron-and-scripts.md": dict.fromkeys(("cron", "python", "sh"), "house/test_row_r17.py"),
    "docs/howto/dbus.md": dict.fromkeys(("json", "sh", "yaml"), "house/test_row_r12.py"),
    "docs/howto/displays.md": dict.fromkeys(("html", "ini", "sh", "yaml"), _DISPLAYS),
    "docs/howto/ejabberd.md": {"yaml": _LINES},
    "docs/howto/first-steps.md": {"shell": "house/test_init.py"},
    "docs/howto/follow-a-log-file.md": dict.fromkeys(("json", "sh", "yaml"), "house/test_follow.py"),
    "docs/howto/mail.md": {
        **dict.fromkeys(("cron", "ini"), "house/test_sendmail.py"),
        **dict.fromkeys(("sh", "yaml"), "house/test_smtp.py"),
    },
    "docs/howto/monitoring.md": dict.fromkeys(("sh", "yaml"), "house/test_alerts.py"),
    "docs/howto/nodes-from-the-shell.md": dict.fromkeys(("python", "sh"), "house/test_nodes_page.py"),
    "docs/howto/packaging.md": dict.fromkeys(("make", "sh"), "house/test_packaging.py"),
    "docs/howto/plots.md": dict.fromkeys(("sh", "yaml"), _PLOTS),
    "docs/howto/prosody.md": {"lua": _LINES},
    "docs/howto/queues.md": dict.fromkeys(("bash", "python", "sh", "yaml"), "house/test_row_r11.py"),
    "docs/howto/rabbitmq.md": dict.fromkeys(("sh", "shell"), "house/test_row_r11_amqp.py"),
    "docs/howto/redis.md": {"sh": "house/test_redis.py"},
    "docs/howto/read-the-nodes.md": dict.fromkeys(("js", "python"), "servers/test_read_the_nodes.py"),
    "docs/howto/reverse-proxy.md": {"nginx": "house/test_reverse_proxy.py"},
    "docs/howto/rooms.md": dict.fromkeys(("lua", "talk", "yml"), "servers/test_rooms_page.py"),
    "docs/howto/sign-ups.md": {
        **dict.fromkeys(("lua", "yml"), "house/test_row_r06.py"),
        "sh": "servers/test_sign_ups.py",
    },
    "docs/howto/stomp.md": dict.fromkeys(("bash", "perl", "php", "python", "sh"), "house/test_stomp_page.py"),
    "docs/howto/streams.md": {
        **dict.fromkeys(("python", "sh"), _STREAMS),
        "javascript": "browser/test_streams_page.py",
    },
    "docs/howto/tls.md": {"shell": "house/test_pages_lines.py"},
    "docs/howto/topology.md": {"shell": "house/test_row_r08.py"},
    "docs/howto/upgrade.md": {"sh": "house/test_backup.py"},
    "docs/howto/watch.md": {"sh": "house/test_watch.py"},
    "docs/howto/why-nothing-comes.md": {"sh": "house/test_monitor.py"},
    "docs/howto/web-sign-ups.md": {"javascript": "house/test_http.py", "php": "house/test_row_r06.py"},
    "docs/howto/webhooks.md": {
        **dict.fromkeys(("bash", "json", "python", "sh", "shell", "yaml"), "house/test_webhooks_page.py"),
        **dict.fromkeys(("icinga", "monit", "monitsh"), "house/test_webhook_services.py"),
    },
    "docs/howto/write-a-plugin.md": {"python": "unit/test_plugins.py", "toml": "house/test_pages_lines.py"},
    "docs/reference/consume.md": {"sh": "house/test_row_r11.py"},
    "docs/reference/http.md": {"json": "contract/test_openapi.py"},
    "docs/reference/payload.md": dict.fromkeys(("json", "python", "xml"), "unit/test_payload_page.py"),
    "docs/reference/socket.md": {"python": "house/test_pages_lines.py"},
    "docs/tutorial.md": dict.fromkeys(("cron", "shell", "talk", "yaml"), "house/test_tutorial.py"),
}
"""Page, language, and the file below `tests` that runs the page's blocks in it. What is not here is run by
`house/test_readme.py` (sh) or loaded by `unit/test_config_schema.py` (yaml)."""

NOT_RUN = {
    ("docs/howto/sign-ups.md", "bash"): "there is no Openfire in Debian",
}
"""Blocks that no test runs, and why."""


def name(page: Path) -> str:
    """As it is called in the tables."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text, in order."""
    return re.findall(r"^ *```(\w*)\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)


def block(page: str, language: str) -> str:
    """The one in this language."""
    (found,) = [text for kind, text in blocks(ROOT / page) if kind == language]
    return found
