"""The example of the config that the documentation shows can be pasted."""

from pathlib import Path

from xmppbus.config import load

EXAMPLE = """\
xmpp:
  component: bus.example.org          # or account: bus@example.org (client mode)
  host: 127.0.0.1
  port: 5347
  secret_file: secret
  pubsub_service: pubsub.example.org
nodes:
  - match: "user.#"
    access_model: whitelist
    readers: ["example.org"]
    max_items: 256
routes:
  - name: ops
    match: {type: "disk.#", severity: ">=warning"}
    via: [dedup]
    to: [pubsub, "room:ops@muc.example.org", "chat:romeo@example.org"]
http:
  listen: 127.0.0.1:8222
  tokens_file: tokens
journal:
  path: /var/lib/xmppbus/journal.db
  keep: {days: 30, gib: 4}
plugins: [xmppbus_plugins.throttle, mine.py]
"""


def test_every_option_of_the_example_in_the_architecture_is_known(tmp_path: Path) -> None:
    """With the files beside it that it names."""
    for name in ("secret", "tokens", "mine.py"):
        (tmp_path / name).write_text("a canary\n")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "xmppbus.yaml"
    path.write_text(EXAMPLE)
    config = load(path, {})
    assert [route.name for route in config.routes] == ["default", "ops", ".people"]
    assert config.options.nodes[0].max_items == 256
